# SPDX-License-Identifier: Apache-2.0
"""Tuning by simulation: for each layer that hurts the cheapest setting that helps, written into the configuration."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import onnx

from ..checks.expanding import expand
from ..documents.document import Document
from ..flavours.layer import Layer
from ..messages.kinds import STRING
from ..models import onnx as onnx_models
from ..models.loading import load_layers
from ..resolve.effective import EffectiveConfig, values_of
from ..resolve.plan import Plan
from ..tools.edits import skip
from ..tools.overriding import Override, override
from .alternatives import COST, DEFAULT_KINDS, INT16, KINDS, SKIP, possible_kinds
from .batches import check_batches
from .calibration import captured, portions
from .editing import Factors, Piece, calibrated, quantized, woven
from .network import Network, SimulationError
from .preselection import Alternative, preselect
from .sensitivity import model_decibels, model_outputs
from .simulating import opened, unsimulated
from .simulator import Progress, Simulated, Simulator
from .sites import PRODUCT, Site

__all__ = ["Cure", "Tuned", "tune"]

WORTH = 0.1  # dB: a change that is worth less is given back where no target is set
COMMENT = "tune: output {:.1f} dB, {:.1f} without"
OLD_COMMENT = r"tune: output -?[0-9.]+ dB, -?[0-9.]+ without\s*\Z"
NEGLIGIBLE = 1e-3  # of the noise of all layers: what is less is not worth a try
TRIES = 120  # alternatives that are tried on the model's output, two of each kind and layer at least
FEWEST = 2
REFINED = 60  # states that are tried around the best one


class Cure(NamedTuple):
    """A change of a layer.

    setting -- as text format. kind -- the dearest in it: "settings", "balancer", "int16" or "skip". without -- the dB of the
    model's output if this layer alone had what the file gave it.
    """

    layer: str
    setting: str
    kind: str
    without: float


class Tuned(NamedTuple):
    """What tuning found.

    text -- the configuration with the changes. before, after -- the dB of the model's output, everything quantized as the
    file and as `text` has it. changes -- in the order of the model. left -- the layers that are still quantized, each with
    the dB of the output where only it is quantized, the worst first. reached -- whether the target is reached, True without
    one. notes -- what is worth knowing, in sentences.
    """

    text: str
    before: float
    after: float
    changes: Tuple[Cure, ...]
    left: Tuple[Tuple[str, float], ...]
    reached: bool
    notes: Tuple[str, ...]


class Choice(NamedTuple):
    """What a layer gets instead: another block, or none because it is skipped (None)."""

    kind: str
    block: Any

    @property
    def cost(self) -> int:
        return COST[self.kind]


State = Mapping[str, Choice]  # of the layers that are changed


def tune(
    document: Document[Any],
    model: Any,
    batches: Iterable[Mapping[str, Any]],
    target: Optional[float] = None,
    check: Optional[Iterable[Mapping[str, Any]]] = None,
    allow: Optional[Iterable[str]] = None,
    rules: str = "documented",
    progress: Optional[Progress] = None,
    memory: int = 1 << 30,
    jobs: int = 1,
) -> Tuned:
    """Find the cheapest settings with which the simulated model suffers least, or little enough.

    Args:
        document: The configuration.
        model: The path of an ONNX model, or an onnx.ModelProto.
        batches: The calibration data: for each batch a mapping of input name to array.
        target: The dB of the model's output that are enough; None: as many as can be had.
        check: Batches that calibrate nothing, on which all dB are measured; the calibration data where left out.
        allow: The kinds of changes: "settings", "balancer", "int16", "skip". Left out: settings and balancer, and with a
            target int16 as well.
        rules: The priority rules by which the configuration is read.
        progress: Called with what is worked at, how many parts are done, and of how many.
        memory: How many bytes of activations are held at a time, at most; one layer's alone may take more.
        jobs: How many layers' scales are searched at a time.

    Returns:
        The configuration with what was found, and what each change is worth.

    Raises:
        ConfigError: The configuration has errors on this model.
        OSError: The model can't be read.
        ValueError: The model can't be simulated, the batches are not what it takes, or `allow` names no kind.

    Source: the vendor's advice where accuracy drops. The noise of layers adds up nearly, so that each layer's alternatives
    can be judged alone; what counts in the end is the whole simulated model.

    Example:
        >>> tuned = tune(document, "model.onnx", batches, target=40)  # doctest: +SKIP
        >>> tuned.changes[0].setting  # doctest: +SKIP
        'dmq_balancer { migration_strength: 0.8 }'
    """
    kinds = chosen_kinds(allow, target)
    plan = expand(document, layers_of(model, document), rules)
    return Search(document, plan, model, batches, check, kinds, progress, memory, jobs).run(target)


def chosen_kinds(allow: Optional[Iterable[str]], target: Optional[float]) -> List[str]:
    if allow is None:
        return [*DEFAULT_KINDS, *([INT16] if target is not None else [])]
    wanted = [allow] if isinstance(allow, str) else list(allow)
    for kind in wanted:
        if kind not in KINDS:
            raise ValueError("allow has {!r}; the kinds of changes are {}".format(kind, ", ".join(KINDS)))
    return wanted


def layers_of(model: Any, document: Document[Any]) -> Sequence[Layer]:
    if isinstance(model, onnx.ModelProto):
        found = onnx_models.read_model(model.SerializeToString(), "<model>", document.flavour)
        return [examined.layer for examined in found]
    return load_layers(model, document.flavour)


class Stopped(Exception):
    """The search was interrupted; the best so far is written."""


class Search:
    """The search of one call."""

    def __init__(
        self,
        document: Document[Any],
        plan: Plan,
        model: Any,
        batches: Iterable[Mapping[str, Any]],
        check: Optional[Iterable[Mapping[str, Any]]],
        kinds: Sequence[str],
        progress: Optional[Progress],
        memory: int,
        jobs: int,
    ) -> None:
        self.document: Document[Any] = document
        self.plan: Plan = plan
        network, nodes = opened(model, plan)
        given = check_batches(network.declared, batches)
        count = int(plan.global_values.get("batch_num") or len(given))
        if len(given) < count:
            raise SimulationError("the plan takes {} batches (batch_num), and {} are given".format(count, len(given)))
        self.simulator: Simulator = Simulator(network, nodes, given[:count], progress, memory, jobs)
        self.measured_on: Sequence[Any] = given[:count] if check is None else check_batches(network.declared, check)
        self.progress: Progress = self.simulator.progress
        self.kinds, lacking = possible_kinds(plan.flavour, kinds)
        self.notes: List[str] = [*unsimulated(plan), *kind_notes(lacking, plan)]
        if len(given) > count:
            self.notes.append("{} of {} batches are used (batch_num)".format(count, len(given)))
        if check is None:
            self.notes.append("measured on the calibration data; `check` takes other batches")
        self.base: Simulated = self.simulator.simulate(plan)
        self.notes += self.base.notes
        self.notes += ["'{}' is refused by the toolkit and stays in floats: {}".format(*r) for r in self.base.refused]
        self.sites: Dict[str, Site] = {site.name: site for site in self.base.sites}
        self.wanted: List[List[np.ndarray]] = model_outputs(self.base.network, self.measured_on)
        self.known: Dict[Any, float] = {}
        self.alone_known: Dict[Any, float] = {}

    # ------------------------------------------------------------ what is measured

    def variation(self, state: State) -> Plan:
        """The plan with the changes of a state."""
        changed = [
            EffectiveConfig(
                layer=now.layer,
                quant_enable=state[name].block is not None,
                fuse=now.fuse,
                calibration_config=state[name].block or now.calibration_config,
                origins={},
            )
            if name in state
            else now
            for name, now in self.plan.items()
        ]
        return Plan(changed, self.plan.config, self.plan.flavour, self.plan.global_values)

    def pieces(self, simulated: Simulated, sites: Iterable[Site]) -> List[Piece]:
        found = []
        for site in sites:
            factors = simulated.factors[site.name]
            weights = None if site.weight is None else self.simulator.quantized_weight(site, factors.balance)
            found.append(quantized(site, factors, weights))
        return found

    def whole(self, state: State) -> float:
        """The dB of the output, everything quantized as a state has it; less than any where the toolkit would refuse."""
        key = frozenset((name, choice) for name, choice in state.items())
        if key not in self.known:
            simulated = self.simulator.simulate(self.variation(state))
            refused = {refusal.layer for refusal in simulated.refused}
            if refused & set(state) or not simulated.sites:
                self.known[key] = -np.inf
            else:
                network = woven(simulated.network, self.pieces(simulated, simulated.sites))
                self.known[key] = model_decibels(self.wanted, model_outputs(network, self.measured_on))
        return self.known[key]

    def alone(self, simulated: Simulated, site: Site) -> float:
        """The dB of the output where only this layer is quantized."""
        factors = simulated.factors[site.name]
        key = site.name, site.setting.bits, factors_key(factors)
        if key not in self.alone_known:
            network = woven(simulated.network, self.pieces(simulated, [site]))
            self.alone_known[key] = model_decibels(self.wanted, model_outputs(network, self.measured_on))
        return self.alone_known[key]

    # ------------------------------------------------------------ alternatives

    def choices(self) -> Dict[str, Dict[str, Tuple[Choice, float]]]:
        """The best of each kind for each layer, with the noise of the output where only this layer is quantized."""
        network, simulated = self.base.network, self.base
        noise = {name: noise_of(self.alone(simulated, site)) for name, site in self.step("measuring", self.sites)}
        total = sum(noise.values())
        worthwhile = [name for name in self.sites if noise[name] > NEGLIGIBLE * total]
        self.most: int = max(TRIES // max(len(worthwhile) * len(self.kinds), 1), FEWEST)
        alternatives = self.preselected(network, worthwhile)
        best: Dict[str, Dict[str, Tuple[Choice, float]]] = {}
        self.tried: Dict[str, List[Tuple[Choice, float]]] = {}
        for name, _ in self.step("trying", {name: self.sites[name] for name in worthwhile}):
            found: Dict[str, Tuple[Choice, float]] = {}
            for alternative in alternatives[name]:
                choice = Choice(alternative.kind, alternative.site.effective.calibration_config)
                result = self.simulator.simulate(self.variation({name: choice}))
                site = next((s for s in result.sites if s.name == name), None)
                if site is None:  # the toolkit would refuse it
                    continue
                heard = noise_of(self.alone(result, site))
                self.tried.setdefault(name, []).append((choice, heard))
                if heard < noise[name] and (choice.kind not in found or heard < found[choice.kind][1]):
                    found[choice.kind] = choice, heard
            best[name] = found
            self.tried.setdefault(name, []).sort(key=lambda pair: pair[1])
        if SKIP in self.kinds:
            for name in self.sites:
                best.setdefault(name, {})[SKIP] = Choice(SKIP, None), 0.0
        self.noise: Dict[str, float] = noise
        return best

    def preselected(self, network: Network, names: Sequence[str]) -> Dict[str, List[Alternative]]:
        """The few alternatives of each layer with which its own output suffers least."""
        simulator = self.simulator
        kinds = [kind for kind in self.kinds if kind != SKIP]
        if not kinds:
            return {name: [] for name in names}
        sites = [self.sites[name] for name in names]
        running = woven(network, [self.calibrated(site) for site in self.sites.values()])
        _, sizes = simulator.prepared(self.plan)
        values = list(dict.fromkeys(value for site in sites for value in site.values))
        bytes_of = {value: sum(each) for value, each in sizes.of(network, values).items()}
        magnitudes = simulator.magnitudes_of(
            network, sizes, [s for s in sites if s.weight is not None and s.kind != PRODUCT]
        )
        found: Dict[str, List[Alternative]] = {}
        for portion in portions(values, bytes_of, simulator.memory):
            runs = [list(arrays) for arrays in zip(*captured(running, portion, simulator.batches))]
            held = dict(zip(portion, runs))
            for site in sites:
                if site.name in found or not set(site.values) <= set(held):
                    continue
                arrays = [held[value] for value in site.values]
                self.progress(site.name, len(found), len(sites))
                found[site.name] = preselect(
                    site, network, arrays, magnitudes.get(site.name), self.plan.flavour, kinds, self.most
                )
        return {name: found.get(name, []) for name in names}

    def calibrated(self, site: Site) -> Piece:
        balance = self.base.factors[site.name].balance
        weights = None if site.weight is None else self.simulator.quantized_weight(site, balance)
        return calibrated(site, weights, balance)

    def step(self, what: str, sites: Mapping[str, Site]) -> Iterable[Tuple[str, Site]]:
        """The layers, one after the other, which is shown."""
        for done, (name, site) in enumerate(sites.items()):
            self.progress("{} {}".format(what, name), done, len(sites))
            yield name, site

    # ------------------------------------------------------------ the search

    def run(self, target: Optional[float]) -> Tuned:
        before = self.whole({})
        if not self.sites:
            self.notes.append("no layer is quantized in the simulation")
            return self.result({}, before, target)
        if target is not None and before >= target:
            return self.result({}, before, target)
        best = self.choices()
        state = self.best_state(best) if target is None else self.state_for(best, target)
        if target is None or self.whole(state) >= target:
            state = self.given_back(state, target)
        elif self.whole(state) <= before:
            state = {}
        return self.result(state, before, target)

    def best_state(self, best: Mapping[str, Mapping[str, Tuple[Choice, float]]]) -> State:
        """What gives the best output: of each layer the best, with or without the dearer kinds."""
        states: List[State] = [{}]
        for rank in range(len(self.kinds)):
            states.append(self.spared(pick(best, self.kinds[: rank + 1])))
        return self.refined(max(states, key=self.whole), self.kinds)

    def refined(self, state: State, kinds: Sequence[str]) -> State:
        """The state with other alternatives of single layers where the whole is better for it: errors cancel, too.

        The loudest layers first; a few states are tried.
        """
        left, changed = REFINED, True
        while changed:
            changed = False
            for name in sorted(self.tried, key=lambda n: -self.heard(state, n)):
                allowed = [choice for choice, _ in self.tried[name] if choice.kind in kinds]
                for choice in allowed[: self.most]:
                    other = {**state, name: choice}
                    if not left or choice == state.get(name):
                        continue
                    self.progress("refining {}".format(name), REFINED - left, REFINED)
                    left -= 1
                    if self.whole(other) > self.whole(state):
                        state, changed = other, True
        return state

    def spared(self, state: State) -> State:
        """The state with at least one layer that is not skipped: the one that suffers least."""
        if len([c for c in state.values() if c.block is None]) < len(self.sites):
            return state
        quietest = min(state, key=lambda name: self.noise[name])
        return {name: choice for name, choice in state.items() if name != quietest}

    def state_for(self, best: Mapping[str, Mapping[str, Tuple[Choice, float]]], target: float) -> State:
        """A state that reaches the target by the cheapest kinds, or the best that was found.

        All layers take the best of the cheap kinds; INT16 and skipping are added layer by layer, the loudest first.
        """
        state: State = {}
        found = [state]
        for kind in self.kinds:
            allowed = self.kinds[: self.kinds.index(kind) + 1]
            if COST[kind] < COST[INT16]:
                state = pick(best, allowed)
                if self.whole(state) < target:
                    state = self.refined(state, allowed)
                found.append(state)
                if self.whole(state) >= target:
                    return state
                continue
            state = max(found, key=self.whole)
            gains = {n: self.heard(state, n) - kinds[kind][1] for n, kinds in best.items() if kind in kinds}
            for name in sorted(gains, key=lambda n: -gains[n]):
                self.progress("{} for {}".format(kind, name), len(state), len(best))
                if gains[name] <= 0 or (kind == SKIP and skips(state) + 1 >= len(self.sites)):
                    continue
                state = {**state, name: best[name][kind][0]}
                found.append(state)
                if self.whole(state) >= target:
                    return state
            if kind != SKIP:
                found.append(self.refined(max(found, key=self.whole), allowed))
                if self.whole(found[-1]) >= target:
                    return found[-1]
        return max(found, key=self.whole)

    def heard(self, state: State, name: str) -> float:
        """The noise of a layer in a state, as it is where only this layer is quantized."""
        if name not in state or state[name].block is None:
            return self.noise[name] if name not in state else 0.0
        return next(heard for choice, heard in self.tried[name] if choice == state[name])

    def given_back(self, state: State, target: Optional[float]) -> State:
        """Give changes back, the dearest kind first, or take a cheaper kind, as long as the target, or the output, holds.

        Ends when a pass changes nothing: no change can be replaced by a cheaper one or given back alone.
        """
        changed = True
        while changed:
            changed = False
            order = sorted(state, key=lambda n: (-state[n].cost, self.noise[n] - self.heard(state, n)))
            for done, name in enumerate(order):
                self.progress("giving back {}".format(name), done, len(order))
                least = self.whole(state) - WORTH if target is None else target
                for smaller in self.cheaper(state, name):
                    decibels = self.whole(smaller)
                    if decibels >= least if target is not None else decibels > least:
                        state, changed = smaller, True
                        break
        return state

    def cheaper(self, state: State, name: str) -> List[State]:
        """The state without a change, and with each cheaper one of it, the cheapest first."""
        found = [{other: choice for other, choice in state.items() if other != name}]
        for kind in self.kinds:
            if COST[kind] < state[name].cost:
                tried = [choice for choice, _ in self.tried.get(name, ()) if choice.kind == kind]
                found += [{**state, name: choice} for choice in tried[: self.most]]
        return found

    # ------------------------------------------------------------ what comes out

    def result(self, state: State, before: float, target: Optional[float]) -> Tuned:
        after = self.whole(state)
        reached = target is None or after >= target
        without = {}
        for done, name in enumerate(state):
            self.progress("measuring without {}".format(name), done, len(state))
            without[name] = self.whole({other: choice for other, choice in state.items() if other != name})
        changes = tuple(
            Cure(name, setting_text(self.plan[name], state[name]), state[name].kind, without[name])
            for name in self.sites
            if name in state
        )
        simulated = self.simulator.simulate(self.variation(state))
        left = [(site.name, self.alone(simulated, site)) for _, site in self.step("measuring", by_name(simulated))]
        if not state and target is None:
            self.notes.append("nothing to gain: no change is worth {} dB".format(WORTH))
        text = written(self.document, self.plan, state, after, without)
        return Tuned(
            text, before, after, changes, tuple(sorted(left, key=lambda pair: pair[1])), reached, tuple(self.notes)
        )


def by_name(simulated: Simulated) -> Dict[str, Site]:
    return {site.name: site for site in simulated.sites}


def kind_notes(lacking: Iterable[str], plan: Plan) -> List[str]:
    return ["{} has no {}; it is left out".format(plan.flavour.name, kind) for kind in lacking]


def skips(state: State) -> int:
    return sum(choice.block is None for choice in state.values())


def pick(best: Mapping[str, Mapping[str, Tuple[Choice, float]]], allowed: Sequence[str]) -> State:
    """For each layer the choice with the least noise among the kinds that are allowed; the cheaper of equal ones."""
    state = {}
    for name, kinds in best.items():
        there = [kinds[kind] for kind in KINDS if kind in allowed and kind in kinds]
        if there:
            state[name] = min(there, key=lambda pair: pair[1])[0]
    return state


def noise_of(decibels: float) -> float:
    """The noise that adds up: its power by that of the signal."""
    return float(10 ** (-decibels / 10))


def factors_key(factors: Factors) -> Any:
    balance = None if factors.balance is None else factors.balance.tobytes()
    return factors.scale_d, factors.offset_d, factors.scale_w.tobytes(), balance


def setting_text(effective: EffectiveConfig, choice: Choice) -> str:
    """What changes for a layer, as text format on one line."""
    if choice.block is None:
        return "skip_layers: {}".format(STRING.written(effective.layer.name))
    before = values_of(effective.calibration_config)
    parts: Dict[str, List[str]] = {}
    for name, value in values_of(choice.block).items():
        if before.get(name) != value:
            member, _, leaf = name.partition(".")
            field = type(choice.block).__schema__.fields[member]
            field = field.kind.__schema__.fields[leaf] if leaf else field
            parts.setdefault(member, []).append("{}: {}".format(leaf or member, field.kind.written(value)))
    return " ".join("{} {{ {} }}".format(member, " ".join(fields)) for member, fields in parts.items())


def written(document: Document[Any], plan: Plan, state: State, after: float, without: Mapping[str, float]) -> str:
    """The text of the configuration with the changes of a state, each with what it is worth."""
    comments = {name: COMMENT.format(after, without[name]) for name in state}
    text = override(
        document,
        [
            Override(plan[name].layer, choice.block, comments[name], OLD_COMMENT)
            for name, choice in state.items()
            if choice.block is not None
        ],
    )
    return skip(text, [name for name, choice in state.items() if choice.block is None], comments)
