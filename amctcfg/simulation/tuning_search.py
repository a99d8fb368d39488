# SPDX-License-Identifier: Apache-2.0
"""The search of tuning: each layer's alternatives, judged alone, then states of all layers, simulated."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ..documents.document import Document
from ..resolve.effective import EffectiveConfig
from ..resolve.plan import Plan
from .alternatives import COST, INT16, KINDS, SKIP, possible_kinds
from .batches import check_batches
from .calibration import Batch, capture, divide
from .changes import Choice, Cure, State, Tuned, is_skip, setting_text, write_state
from .editing import Factors, build_quantized, weave
from .network import Network, SimulationError
from .preselection import factors_from, preselect
from .sensitivity import NOTHING_DIFFERS, model_decibels, model_outputs
from .simulating import open_simulator
from .simulator import Progress, Simulated, Simulator
from .sites import PRODUCT, Site, as_key

WORTH = 0.1  # dB: a change that is worth less is given back where no target is set
TOGETHER = 0.5  # dB: changes that are worth this together are mentioned, although none of them is worth a tenth
SMALL_GAINS = (
    "{} changes that are worth less than {} dB each were given back; "
    "with them the output has {:.1f} dB: --target {:.1f} keeps what that takes"
)
NEGLIGIBLE = 1e-3  # of the noise of all layers: what is less is not worth a try
TRIES = 120  # alternatives that are tried on the model's output, one of each kind and layer at least
REFINED = 60  # states that are tried around the best one
DOUBT = 0.5  # dB: what was estimated to fall short by more is not simulated
INTERRUPTED_NOTE = "interrupted: this is the best that was found until then"
ATTEMPTS = 3  # searches for a target, where less was reached than estimated


class Made(NamedTuple):
    """A layer as a choice makes it, from the inputs that it sees in the configuration as it is."""

    site: Site
    factors: Factors
    noise: float  # of the model's output where only this layer is quantized


class TuningSearch:
    """The search of one call.

    The noise of layers adds up nearly, so a layer's alternatives are judged alone first. What a state does to the model's
    output is estimated with factors from the inputs of the configuration as it is; what is reported is simulated anew, where
    other weights in front of a layer changed what it sees.
    """

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
        simulator, notes = open_simulator(plan, model, batches, progress, memory, jobs)
        self.simulator: Simulator = simulator
        self.measured_on: Sequence[Batch] = simulator.batches
        if check is not None:
            self.measured_on = check_batches(simulator.network.declared, check)
        self.progress: Progress = self.simulator.progress
        possible, lacking = possible_kinds(plan.flavour, kinds)
        self.kinds: List[str] = possible
        self.notes: List[str] = notes
        self.notes += ["{} has no {}; it is left out".format(plan.flavour.name, kind) for kind in lacking]
        if check is None:
            self.notes.append("measured on the calibration data; `--check` takes other data")
        self.base: Simulated = self.simulator.simulate(plan)
        self.notes += self.base.notes
        self.notes += ["'{}' is refused by the toolkit and stays in floats: {}".format(*r) for r in self.base.refused]
        self.sites: Dict[str, Site] = {site.name: site for site in self.base.sites}
        self.wanted: List[List[np.ndarray]] = model_outputs(self.base.network, self.measured_on)
        if not all(np.isfinite(array).all() for arrays in self.wanted for array in arrays):
            raise SimulationError(
                "the model's output in floats holds NaN or infinity; no setting can be measured by it"
            )
        self.estimated: Dict[Any, float] = {}
        self.simulated: Dict[Any, float] = {}
        self.heard_alone: Dict[Any, float] = {}
        self.made: Dict[Tuple[str, Optional[Choice]], Made] = {}
        self.tried: Dict[str, List[Choice]] = {}  # of each layer, the least noise first

    # ------------------------------------------------------------ what is measured

    def measure(self, network: Network) -> float:
        """Measure the dB of the output of a network."""
        return model_decibels(self.wanted, model_outputs(network, self.measured_on))

    def alone(self, network: Network, site: Site, factors: Factors) -> float:
        """Return the dB of the output where only this layer is quantized."""
        key = site.name, site.setting.bits, site.setting.weights, factors_key(factors)
        if key not in self.heard_alone:
            self.heard_alone[key] = self.measure(weave(network, [build_quantized(site, factors)]))
        return self.heard_alone[key]

    def estimate(self, state: State) -> float:
        """Estimate the dB of the output by a state, with the factors of each layer among layers as they are."""
        key = frozenset(state.items())
        if key not in self.estimated:
            found = [self.made[name, state.get(name)] for name in self.sites if not is_skip(state.get(name))]
            self.estimated[key] = self.measure(
                weave(self.base.network, [build_quantized(m.site, m.factors) for m in found])
            )
        return self.estimated[key]

    def whole(self, state: State) -> float:
        """Simulate the dB of the output by a state; as few as can be where the toolkit would refuse a layer."""
        if all(self.leaves_weights(name, choice) for name, choice in state.items()):
            return self.estimate(state)
        key = frozenset(state.items())
        if key not in self.simulated:
            found = self.simulator.simulate(self.variation(state))
            if {refusal.layer for refusal in found.refused} & set(state):
                self.simulated[key] = -NOTHING_DIFFERS
            else:
                pieces = [build_quantized(site, found.factors[site.name]) for site in found.sites]
                self.simulated[key] = self.measure(weave(found.network, pieces))
        return self.simulated[key]

    def leaves_weights(self, name: str, choice: Choice) -> bool:
        """Tell whether a choice leaves the weights of a layer, and so the inputs of the layers behind it."""
        return (
            choice.block is not None
            and self.made[name, choice].site.setting.weights == self.sites[name].setting.weights
        )

    def variation(self, state: State) -> Plan:
        """Return the plan with the changes of a state."""
        changed = [now if name not in state else with_choice(now, state[name]) for name, now in self.plan.items()]
        return Plan(changed, self.plan.config, self.plan.flavour, self.plan.global_values)

    # ------------------------------------------------------------ alternatives

    def try_alternatives(self) -> None:
        """Measure what each layer, and each of its alternatives, does to the output alone."""
        network = self.base.network
        for name, site in self.step("measuring", self.sites):
            factors = self.base.factors[name]
            self.made[name, None] = Made(site, factors, noise_of(self.alone(network, site, factors)))
        self.estimate({})
        total = sum(made.noise for made in self.made.values())
        worthwhile = [name for name in self.sites if self.made[name, None].noise > NEGLIGIBLE * total]
        self.most: int = max(TRIES // max(len(worthwhile) * len(self.kinds), 1), 1)
        made = self.preselected(worthwhile)
        for name, _ in self.step("trying", {name: self.sites[name] for name in worthwhile}):
            for kind, site, factors in made[name]:
                choice = Choice(kind, site.effective.calibration_config)
                noise = noise_of(self.alone(network, site, factors))
                if noise < self.made[name, None].noise:
                    self.made[name, choice] = Made(site, factors, noise)
                    self.tried.setdefault(name, []).append(choice)
            self.tried.get(name, []).sort(key=lambda choice: self.made[name, choice].noise)

    def preselected(self, names: Sequence[str]) -> Dict[str, List[Tuple[str, Site, Factors]]]:
        """Return the few alternatives of each layer with which its own output suffers least, with their factors."""
        simulator, network = self.simulator, self.base.network
        kinds = [kind for kind in self.kinds if kind != SKIP]
        found: Dict[str, List[Tuple[str, Site, Factors]]] = {name: [] for name in names}
        sites = [self.sites[name] for name in names] if kinds else []
        running = simulator.calibrating(self.base)
        _, sizes = simulator.prepared(self.plan)
        bytes_of = {value: 0 for site in sites for value in site.values}
        bytes_of.update((value, sum(each)) for value, each in sizes.of(network, list(bytes_of)).items())
        balanced = [site for site in sites if site.weight is not None and site.kind != PRODUCT]
        magnitudes = simulator.magnitudes_of(network, sizes, balanced)
        together = {site.name: sum(bytes_of[value] for value in set(site.values)) for site in sites}
        done = 0
        for portion in divide([site.name for site in sites], together, simulator.memory):
            values = list(dict.fromkeys(value for name in portion for value in self.sites[name].values))
            held = dict(zip(values, map(list, zip(*capture(running, values, simulator.batches)))))
            for name in portion:
                self.progress(name, done, len(sites))
                done += 1
                site, given = self.sites[name], magnitudes.get(name)
                arrays = [held[value] for value in site.values]
                for alternative in preselect(site, network, arrays, given, self.plan.flavour, kinds, self.most):
                    factors = factors_from(alternative.site, arrays, given)
                    if factors is not None:
                        found[name].append((alternative.kind, alternative.site, factors))
        return found

    def step(self, what: str, sites: Mapping[str, Site]) -> Iterable[Tuple[str, Site]]:
        """Yield the layers one after the other, and show that."""
        for done, (name, site) in enumerate(sites.items()):
            self.progress("{} {}".format(what, name), done, len(sites))
            yield name, site

    # ------------------------------------------------------------ the search

    def run(self, target: Optional[float]) -> Tuned:
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
            self.notes.append(INTERRUPTED_NOTE)
            state = self.best_so_far()
        before = self.estimate({})
        if self.whole(state) <= before:
            state = {}
        return self.result(state, before, target)

    def best_so_far(self) -> State:
        """Return the best state that was estimated, or the best alternatives that were tried until now."""
        state: State = dict(max(self.estimated, key=self.estimated.__getitem__))
        for rank, kind in enumerate(self.kinds):
            together = self.pick(self.kinds[: rank + 1]) if kind != SKIP else {}
            state = max(state, together, key=self.estimate)
        return state

    def search(self, target: Optional[float]) -> State:
        """Find the state that gives the best output, or that reaches the target, with no change that is not needed."""
        if target is None:
            best = self.best_state()
            kept = self.given_back(self.given_back(best, None, self.estimate), None, self.whole, closely=True)
            self.mention_gains(best, kept)
            return kept
        aim = target
        states: List[State] = []
        for _ in range(ATTEMPTS):
            found = self.state_for(aim)
            smaller = self.given_back(found, aim, self.estimate)
            short = target - self.whole(smaller)
            if short > 0:  # estimates gave back what was needed
                smaller = max(found, smaller, key=self.whole)
            states.append(self.given_back(smaller, target, self.whole, closely=True))
            if short <= 0 or self.estimate(found) < aim:
                break
            aim += 1.5 * short
        reached = [state for state in states if self.whole(state) >= target]
        return min(reached, key=price) if reached else max(states, key=self.whole)

    def mention_gains(self, best: State, state: State) -> None:
        """Note where nothing is to be had, and what a deep model of equal layers hides: small gains that are many."""
        decibels = self.whole(best)
        if decibels - self.whole(state) >= TOGETHER:
            given_back = sum(state.get(name) != choice for name, choice in best.items())
            self.notes.append(SMALL_GAINS.format(given_back, WORTH, decibels, math.floor(decibels * 10) / 10))
        elif not state:
            self.notes.append("nothing to gain: no change is worth {} dB".format(WORTH))

    def noise(self, state: State, name: str) -> float:
        """Return the noise of a layer by a state, alone."""
        return 0.0 if is_skip(state.get(name)) else self.made[name, state.get(name)].noise

    def choices(self, name: str, kinds: Sequence[str]) -> List[Choice]:
        """Return the alternatives of a layer of some kinds, the least noise first."""
        return [choice for choice in self.tried.get(name, ()) if choice.kind in kinds]

    def pick(self, kinds: Sequence[str]) -> State:
        """Pick for each layer the choice with the least noise among some kinds; at least one layer is not skipped."""
        state: Dict[str, Choice] = {}
        for name in self.sites:
            there = self.choices(name, kinds)
            if SKIP in kinds:
                state[name] = Choice(SKIP, None)
            elif there:
                state[name] = there[0]
        if all(is_skip(state.get(name)) for name in self.sites):
            del state[min(self.sites, key=lambda name: self.made[name, None].noise)]
        return state

    def best_state(self) -> State:
        """Find the state with the best output: of each layer the best, with or without the dearer kinds; refined where
        that holds.

        What was refined on estimates fits them, so the last word is the simulation's.
        """
        states: List[State] = [{}, *(self.pick(self.kinds[: rank + 1]) for rank in range(len(self.kinds)))]
        return max([self.refined(max(states, key=self.estimate), self.kinds), *states], key=self.whole)

    def refined(self, state: State, kinds: Sequence[str]) -> State:
        """Return the state with other alternatives of single layers where the whole is better for it: errors cancel,
        too.

        The loudest layers first; a few states are tried.
        """
        left, changed = REFINED, True
        while changed:
            changed = False
            for name in sorted(self.tried, key=lambda n: -self.noise(state, n)):
                for choice in self.choices(name, kinds)[: self.most]:
                    other = {**state, name: choice}
                    if not left or choice == state.get(name) or is_skip(state.get(name)):
                        continue
                    self.progress("refining {}".format(name), REFINED - left, REFINED)
                    left -= 1
                    if self.estimate(other) > self.estimate(state):
                        state, changed = other, True
        return state

    def state_for(self, target: float) -> State:
        """Find a state that reaches the target by the cheapest kinds, or the best that was found.

        All layers take the best of the cheap kinds; INT16 and skipping are added layer by layer, the loudest first.
        """
        found: List[State] = [{}]
        for rank, kind in enumerate(self.kinds):
            allowed = self.kinds[: rank + 1]
            if COST[kind] < COST[INT16]:
                found.append(self.pick(allowed))
            else:
                found.append(self.added(max(found, key=self.estimate), kind, target))
            if self.estimate(found[-1]) < target and kind != SKIP:
                found.append(self.refined(max(found, key=self.estimate), allowed))
            if self.estimate(found[-1]) >= target:
                return found[-1]
        return max(found, key=self.estimate)

    def added(self, state: State, kind: str, target: float) -> State:
        """Return the state with a dear kind for one layer after the other, until it reaches the target."""
        best: Dict[str, Choice] = {}
        for name in self.sites:
            there = self.choices(name, [kind])
            best.update({name: Choice(SKIP, None)} if kind == SKIP else {name: there[0]} if there else {})
        gains = {name: self.noise(state, name) - self.noise({name: choice}, name) for name, choice in best.items()}
        for done, name in enumerate(sorted(gains, key=lambda n: -gains[n])):
            self.progress("{} for {}".format(kind, name), done, len(gains))
            if self.estimate(state) >= target:
                break
            if gains[name] > 0 and not (kind == SKIP and skips(state) + 1 >= len(self.sites)):
                state = {**state, name: best[name]}
        return state

    def given_back(
        self, state: State, target: Optional[float], measure: Callable[[State], float], closely: bool = False
    ) -> State:
        """Give changes back, the dearest kind first, or take a cheaper kind, as long as the target, or the output, holds.

        Ends when a pass changes nothing: no change can be replaced by a cheaper one or given back alone. `closely`: what
        was estimated to fall short by far is not simulated again.
        """
        changed = True
        while changed:
            changed = False
            order = sorted(state, key=lambda n: (-COST[state[n].kind], self.noise({}, n) - self.noise(state, n)))
            for done, name in enumerate(order):
                self.progress("giving back {}".format(name), done, len(order))
                least = measure(state) - WORTH if target is None else target
                for smaller in self.cheaper(state, name):
                    if closely and name in smaller and self.estimate(smaller) < least - DOUBT:
                        continue
                    decibels = measure(smaller)
                    if decibels > least or (target is not None and decibels == target):
                        state, changed = smaller, True
                        break
        return state

    def cheaper(self, state: State, name: str) -> List[State]:
        """Return the state without a change, and with each cheaper one of it, the cheapest first."""
        found: List[State] = [without(state, name)]
        for kind in self.kinds:
            if COST[kind] < COST[state[name].kind]:
                found += [{**state, name: choice} for choice in self.choices(name, [kind])[: self.most]]
        return found

    # ------------------------------------------------------------ what comes out

    def result(self, state: State, before: float, target: Optional[float]) -> Tuned:
        after = self.whole(state)
        worth = {}
        for done, name in enumerate(state):
            self.progress("measuring without {}".format(name), done, len(state))
            worth[name] = self.whole(without(state, name))
        ordered = {name: state[name] for name in self.sites if name in state}
        changes = tuple(
            Cure(name, setting_text(self.plan[name], choice), choice.kind, worth[name])
            for name, choice in ordered.items()
        )
        simulated = self.simulator.simulate(self.variation(state))
        left = [
            (site.name, self.alone(simulated.network, site, simulated.factors[site.name]))
            for _, site in self.step("measuring", {site.name: site for site in simulated.sites})
        ]
        return Tuned(
            write_state(self.document, self.plan, ordered, after, worth),
            before,
            after,
            changes,
            tuple(sorted(left, key=lambda pair: pair[1])),
            target is None or after >= target,
            tuple(self.notes),
        )


def with_choice(now: EffectiveConfig, choice: Choice) -> EffectiveConfig:
    """Return what a layer gets by a choice."""
    block, enabled = choice.block or now.calibration_config, choice.block is not None
    return dataclasses.replace(now, quant_enable=enabled, calibration_config=block, origins={})


def without(state: State, name: str) -> State:
    return {other: choice for other, choice in state.items() if other != name}


def skips(state: State) -> int:
    return sum(map(is_skip, state.values()))


def price(state: State) -> Tuple[int, ...]:
    """Return how many changes of each kind a state has, the dearest first."""
    return tuple(sum(choice.kind == kind for choice in state.values()) for kind in reversed(KINDS))


def noise_of(decibels: float) -> float:
    """Return the noise that adds up: its power by that of the signal."""
    return float(10 ** (-decibels / 10))


def factors_key(factors: Factors) -> Any:
    return factors.scale_d, factors.offset_d, factors.scale_w.tobytes(), as_key(factors.balance)
