# SPDX-License-Identifier: Apache-2.0
"""Tuning by simulation: for each layer that hurts the cheapest setting that helps, written into the configuration."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Iterable, Iterator, Mapping, Sequence

import numpy as np
import onnx

from ..checks.expanding import expand
from ..documents.document import Document
from ..flavours.layer import Layer
from ..models import onnx as onnx_models
from ..models.loading import load_layers
from ..resolve.effective import EffectiveConfig
from ..resolve.plan import Plan
from .batches import check_batches
from .calibration import Batch, capture_values, divide_into_runs
from .changes import (
    COST,
    INT16,
    KINDS,
    SKIP,
    SKIPPING,
    Choice,
    Cure,
    State,
    Tuned,
    choose_kinds,
    split_kinds,
    write_change,
    write_state,
)
from .editing import build_quantized, weave
from .network import Network, SimulationError
from .preselection import is_possible, preselect
from .sensitivity import NOTHING_DIFFERS, Reference
from .simulating import open_simulator
from .simulator import Progress, Simulated, Simulator
from .sites import Site, as_key

if TYPE_CHECKING:
    from ..resolve.resolver import Rules

WORTH = 0.1  # dB: a change that is worth less is given back where no target is set
TOGETHER = 0.5  # dB: changes that are worth this together are mentioned, although none of them is worth a tenth
NEGLIGIBLE = 1e-3  # of the noise of all layers: what is less is not worth a try
TRIES = 120  # alternatives that are tried on the model's output, one of each kind and layer at least
REFINED = 60  # states that are tried around the best one
DOUBT = 0.5  # dB: what was estimated to fall short by more is not simulated
ATTEMPTS = 3  # searches for a target, where less was reached than estimated


def tune(
    document: Document[Any],
    model: Any,
    batches: Iterable[Mapping[str, Any]],
    target: float | None = None,
    check: Iterable[Mapping[str, Any]] | None = None,
    allow: Iterable[str] | None = None,
    rules: Rules = "documented",
    progress: Progress | None = None,
    memory: int = 1 << 30,
    jobs: int = 1,
) -> Tuned:
    """Find the cheapest settings with which the simulated model suffers least, or little enough.

    Args:
        document: The configuration.
        model: As for `simulate`.
        batches: As for `simulate`.
        target: The dB of the model's output that are enough; None: as many as can be had.
        check: Batches that calibrate nothing, on which all dB are measured; the calibration data where left out.
        allow: The kinds of changes: "settings", "balancer", "int16", "skip". Left out: settings and balancer, and with a
            target int16 as well.
        rules: The priority rules by which the configuration is read.
        progress: As for `simulate`.
        memory: As for `simulate`.
        jobs: As for `simulate`.

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
    kinds = choose_kinds(allow, target)
    if target is not None and not math.isfinite(target):
        raise ValueError("target is {}; it has to be a finite number".format(target))
    plan = expand(document, layers_of(model, document), rules)
    possible, lacking = split_kinds(plan.flavour, kinds)
    simulator, notes = open_simulator(plan, model, batches, progress, memory, jobs)
    if allow is not None:  # nobody asked for what the flavour lacks otherwise
        notes += ["{} has no {}; it is left out".format(plan.flavour.name, kind) for kind in lacking]
    if check is None:
        notes.append("measured on the calibration data; `--check` takes other data")
    measured_on = simulator.batches if check is None else check_batches(simulator.network.declared, check)
    return TuningSearch(document, plan, simulator, measured_on, possible, notes).run(target)


def layers_of(model: Any, document: Document[Any]) -> Sequence[Layer]:
    if isinstance(model, onnx.ModelProto):
        found = onnx_models.read_onnx(model.SerializeToString(), "<model>", document.flavour)
        return [examined.layer for examined in found]
    return load_layers(model, document.flavour)


@dataclass(eq=False, repr=False)
class TuningSearch:
    """The search of one call: each layer's alternatives, judged alone, then states of all layers.

    What a state does to the model's output is estimated with factors from the inputs of the configuration as it is; what is
    reported is simulated anew, where other weights in front of a layer changed what it sees.
    """

    document: Document[Any]
    plan: Plan
    simulator: Simulator
    measured_on: Sequence[Batch]
    kinds: Sequence[str]
    notes: list[str]

    def __post_init__(self) -> None:
        self.progress: Progress = self.simulator.progress
        self.settable: Sequence[str] = [kind for kind in self.kinds if kind != SKIP]
        self.base: Simulated = self.simulator.simulate(self.plan)
        self.notes += self.base.notes
        self.notes += ["'{}' is refused by the toolkit and stays in floats: {}".format(*r) for r in self.base.refused]
        self.sites: dict[str, Site] = {site.name: site for site in self.base.sites}
        self.reference: Reference = Reference(self.base.network, self.measured_on)
        if not all(np.isfinite(array).all() for arrays in self.reference.wanted for array in arrays):
            raise SimulationError(
                "the model's output in floats holds NaN or infinity; no setting can be measured by it"
            )
        self.estimated: dict[Any, float] = {}
        self.simulated: dict[Any, float] = {}
        self.heard_alone: dict[Any, float] = {}
        self.now: dict[str, Choice] = {}  # of each layer what it has
        # Of each layer, the least noise first.
        self.tried: dict[str, list[Choice]] = {name: [SKIPPING] if SKIP in self.kinds else [] for name in self.sites}

    # ------------------------------------------------------------ what is measured

    def measure_quantized(self, network: Network, sites: Iterable[Site]) -> float:
        return self.reference.measure(weave(network, map(build_quantized, sites)))

    def measure_alone(self, network: Network, site: Site) -> float:
        """Return the dB of the output where only this layer is quantized."""
        factors = site.factors
        scales = factors.scale_d, factors.offset_d, factors.scale_w.tobytes(), as_key(site.balance)
        key = site.name, site.setting.bits, site.setting.weights, scales
        if key not in self.heard_alone:
            self.heard_alone[key] = self.measure_quantized(network, [site])
        return self.heard_alone[key]

    def choice_of(self, state: State, name: str) -> Choice:
        return state.get(name, self.now[name])

    def estimate(self, state: State) -> float:
        """Estimate the dB of the output by a state, with the factors of each layer among layers as they are."""
        key = frozenset(state.items())
        if key not in self.estimated:
            sites = [self.choice_of(state, name).site for name in self.sites]
            self.estimated[key] = self.measure_quantized(self.base.network, filter(None, sites))
        return self.estimated[key]

    def measure_whole(self, state: State) -> float:
        """Simulate the dB of the output by a state; as few as can be where the toolkit would refuse a layer."""
        changes = [(self.sites[name], choice.site) for name, choice in state.items()]
        if all(site is not None and site.setting.weights == now.setting.weights for now, site in changes):
            return self.estimate(state)  # what layers see is what it was
        key = frozenset(state.items())
        if key not in self.simulated:
            found = self.simulator.simulate(self.make_variation(state))
            if {refusal.layer for refusal in found.refused} & set(state):
                self.simulated[key] = -NOTHING_DIFFERS
            else:
                self.simulated[key] = self.measure_quantized(found.network, found.sites)
        return self.simulated[key]

    def make_variation(self, state: State) -> Plan:
        changed = [with_choice(now, state.get(name)) for name, now in self.plan.items()]
        return Plan(changed, self.plan.config, self.plan.flavour, self.plan.global_values)

    # ------------------------------------------------------------ alternatives

    def try_alternatives(self) -> None:
        """Measure what each layer, and each of its alternatives, does to the output alone."""
        network = self.base.network
        for name in self.show_steps("measuring", list(self.sites)):
            self.now[name] = Choice("", self.sites[name], noise_of(self.measure_alone(network, self.sites[name])))
        self.estimate({})
        total = sum(choice.noise for choice in self.now.values())
        worthwhile = [name for name, choice in self.now.items() if choice.noise > NEGLIGIBLE * total]
        self.most: int = max(TRIES // max(len(worthwhile) * len(self.kinds), 1), 1)
        possible = self.preselect(worthwhile)
        for name in self.show_steps("trying", worthwhile):
            choices = [Choice(kind, site, noise_of(self.measure_alone(network, site))) for kind, site in possible[name]]
            better = [choice for choice in choices if choice.noise < self.now[name].noise]
            self.tried[name] = sorted([*self.tried[name], *better], key=lambda choice: choice.noise)

    def preselect(self, names: Sequence[str]) -> dict[str, list[tuple[str, Site]]]:
        """Return the few alternatives of each layer with which its own output suffers least, with their factors."""
        simulator, base = self.simulator, self.base
        sites = [self.sites[name] for name in names] if self.settable else []
        magnitudes = simulator.magnitudes_of(
            base.network, base.sizes, [site for site in sites if site.weight is not None]
        )
        sizes = base.sizes.of(base.network, [value for site in sites for value in site.values])
        found: dict[str, list[tuple[str, Site]]] = {name: [] for name in names}
        together = {site.name: sum(sum(sizes[value]) for value in set(site.values)) for site in sites}
        done = 0
        for portion in divide_into_runs(together, simulator.memory):
            values = dict.fromkeys(value for name in portion for value in self.sites[name].values)
            held = capture_values(base.calibrated, list(values), simulator.batches)
            for name in portion:
                self.progress(name, done, len(sites))
                done += 1
                site, given = self.sites[name], magnitudes.get(name)
                arrays = [held[value] for value in site.values]
                each = preselect(site, base.network, arrays, given, self.plan.flavour, self.settable, self.most)
                candidates = [(kind, site.with_block(block)) for kind, block, _ in each]
                found[name] = [(kind, other) for kind, other in candidates if is_possible(other, arrays, given)]
        return found

    def show_steps(self, what: str, names: Sequence[str]) -> Iterator[str]:
        """Yield the layers, and show how far that is."""
        for done, name in enumerate(names):
            self.progress("{} {}".format(what, name), done, len(names))
            yield name

    # ------------------------------------------------------------ the search

    def run(self, target: float | None) -> Tuned:
        if not self.sites:
            self.notes.append("no layer is quantized in the simulation")
        try:
            self.try_alternatives()
            if not self.sites or (target is not None and self.estimate({}) >= target):
                state: State = {}
            else:
                state = self.search(target)
        except KeyboardInterrupt:
            if frozenset() not in self.estimated:
                raise
            self.notes.append("interrupted: this is the best that was found until then")
            best: State = dict(max(self.estimated, key=self.estimated.__getitem__))
            state = max([best, *self.pick_for_all(self.settable)], key=self.estimate)
        before = self.estimate({})
        if self.measure_whole(state) <= before:
            state = {}
        return self.make_result(state, before, target)

    def search(self, target: float | None) -> State:
        """Find the state that gives the best output, or that reaches the target, with no change that is not needed."""
        if target is None:
            return self.search_best()
        aim = target
        states: list[State] = []
        for _ in range(ATTEMPTS):
            found = self.find_state(aim)
            smaller = self.give_back(found, aim)
            short = target - self.measure_whole(smaller)
            if short > 0:  # estimates gave back what was needed
                smaller = max(found, smaller, key=self.measure_whole)
            states.append(self.give_back(smaller, target, closely=True))
            if short <= 0 or self.estimate(found) < aim:
                break
            aim += 1.5 * short
        reached = [state for state in states if self.measure_whole(state) >= target]
        return min(reached, key=price_of) if reached else max(states, key=self.measure_whole)

    def search_best(self) -> State:
        """Find the best output, refined on estimates; these fit what was refined, so the last word is the simulation's."""
        states: list[State] = [{}, *self.pick_for_all(self.kinds)]
        states.insert(0, self.refine(max(states, key=self.estimate), self.settable))
        best = max(states, key=self.measure_whole)
        kept = self.give_back(self.give_back(best, None), None, closely=True)
        decibels = self.measure_whole(best)
        if (
            decibels - self.measure_whole(kept) >= TOGETHER
        ):  # a deep model of equal layers hides small gains that are many
            words = (
                "{} changes that are worth less than {} dB each were given back; "
                "with them the output has {:.1f} dB: --target {:.1f} keeps what that takes"
            )
            count = sum(kept.get(name) != choice for name, choice in best.items())
            self.notes.append(words.format(count, WORTH, decibels, math.floor(decibels * 10) / 10))
        elif not kept:
            self.notes.append("nothing to gain: no change is worth {} dB".format(WORTH))
        return kept

    def list_choices(self, name: str, kinds: Sequence[str]) -> list[Choice]:
        return [choice for choice in self.tried[name] if choice.kind in kinds]

    def pick(self, kinds: Sequence[str]) -> State:
        """Pick for each layer the choice with the least noise among some kinds; at least one layer is not skipped."""
        choices = {name: self.list_choices(name, kinds) for name in self.sites}
        state = {name: each[0] for name, each in choices.items() if each}
        if all(state.get(name) is SKIPPING for name in self.sites):
            del state[min(self.sites, key=lambda name: self.now[name].noise)]
        return state

    def pick_for_all(self, kinds: Sequence[str]) -> list[State]:
        """Return the best of each layer, with fewer or more of the dearer kinds."""
        return [self.pick(kinds[: rank + 1]) for rank in range(len(kinds))]

    def refine(self, state: State, kinds: Sequence[str]) -> State:
        """Take other alternatives of single layers, the loudest first, where the whole is better for it: errors cancel, too."""
        left, changed = REFINED, True
        while changed:
            changed = False
            for name in sorted(self.sites, key=lambda n: -self.choice_of(state, n).noise):
                for choice in self.list_choices(name, kinds)[: self.most]:
                    other = {**state, name: choice}
                    if not left or self.choice_of(state, name) in (choice, SKIPPING):
                        continue
                    self.progress("refining {}".format(name), REFINED - left, REFINED)
                    left -= 1
                    if self.estimate(other) > self.estimate(state):
                        state, changed = other, True
        return state

    def find_state(self, target: float) -> State:
        """Find a state that reaches the target by the cheapest kinds, or the best; INT16 and skipping come layer by layer."""
        found: list[State] = [{}]
        for rank, kind in enumerate(self.kinds):
            allowed = self.kinds[: rank + 1]
            if COST[kind] < COST[INT16]:
                found.append(self.pick(allowed))
            else:
                found.append(self.add_changes(max(found, key=self.estimate), kind, target))
            if self.estimate(found[-1]) < target and kind != SKIP:
                found.append(self.refine(max(found, key=self.estimate), allowed))
            if self.estimate(found[-1]) >= target:
                return found[-1]
        return max(found, key=self.estimate)

    def add_changes(self, state: State, kind: str, target: float) -> State:
        """Take a dear kind for one layer after the other, the loudest first, until the state reaches the target."""
        gains: dict[str, float] = {}
        for name in self.sites:
            for choice in self.list_choices(name, [kind])[:1]:
                gains[name] = self.choice_of(state, name).noise - choice.noise
        for name in self.show_steps("{} for".format(kind), sorted(gains, key=lambda n: -gains[n])):
            if self.estimate(state) >= target:
                break
            is_last = kind == SKIP and list(state.values()).count(SKIPPING) + 1 >= len(self.sites)
            if gains[name] > 0 and not is_last:
                state = {**state, name: self.list_choices(name, [kind])[0]}
        return state

    def give_back(self, state: State, target: float | None, closely: bool = False) -> State:
        """Give changes back, the dearest kind first, or take a cheaper kind, until none can be while the target, or the output, holds.

        `closely`: what counts is simulated, but for what was estimated to fall short by far.
        """
        measure = self.measure_whole if closely else self.estimate
        changed = True
        while changed:
            changed = False
            order = sorted(state, key=lambda n: (-COST[state[n].kind], self.now[n].noise - state[n].noise))
            for name in self.show_steps("giving back", order):
                least = measure(state) - WORTH if target is None else target
                for smaller in self.list_cheaper(state, name):
                    if closely and name in smaller and self.estimate(smaller) < least - DOUBT:
                        continue
                    decibels = measure(smaller)
                    if decibels > least or (target is not None and decibels == target):
                        state, changed = smaller, True
                        break
        return state

    def list_cheaper(self, state: State, name: str) -> list[State]:
        """Return the state without a change, and with each cheaper one of it, the cheapest first."""
        found: list[State] = [without_choice(state, name)]
        for kind in self.kinds:
            if COST[kind] < COST[state[name].kind]:
                found += [{**state, name: choice} for choice in self.list_choices(name, [kind])[: self.most]]
        return found

    # ------------------------------------------------------------ what comes out

    def make_result(self, state: State, before: float, target: float | None) -> Tuned:
        after = self.measure_whole(state)
        worth = {
            name: self.measure_whole(without_choice(state, name))
            for name in self.show_steps("measuring without", list(state))
        }
        ordered = {name: state[name] for name in self.sites if name in state}
        changes = tuple(
            Cure(name, write_change(self.plan[name], choice), choice.kind, worth[name])
            for name, choice in ordered.items()
        )
        simulated = self.simulator.simulate(self.make_variation(state))
        sites = {site.name: site for site in simulated.sites}
        left = [
            (name, self.measure_alone(simulated.network, sites[name]))
            for name in self.show_steps("measuring", list(sites))
        ]
        return Tuned(
            write_state(self.document, ordered, after, worth),
            before,
            after,
            changes,
            tuple(sorted(left, key=lambda pair: pair[1])),
            target is None or after >= target,
            tuple(self.notes),
        )


def with_choice(now: EffectiveConfig, choice: Choice | None) -> EffectiveConfig:
    if choice is None:
        return now
    return dataclasses.replace(now, quant_enable=False, origins={}) if choice.site is None else choice.site.effective


def without_choice(state: State, name: str) -> State:
    return {other: choice for other, choice in state.items() if other != name}


def price_of(state: State) -> tuple[int, ...]:
    """Return how many changes of each kind a state has, the dearest first."""
    return tuple(sum(choice.kind == kind for choice in state.values()) for kind in reversed(KINDS))


def noise_of(decibels: float) -> float:
    """Return the noise that adds up, by the signal's."""
    return float(10 ** (-decibels / 10))
