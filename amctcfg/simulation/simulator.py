# SPDX-License-Identifier: Apache-2.0
"""The quantization of a model, in the toolkit's order: fusion, balancing, weights, activations, bias."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ..resolve.plan import Plan
from .algorithms import EPSILON, Samples, ifmr
from .calibration import Batch, Sizes, capture, divide
from .editing import INT32_LIMIT, Factors, build_calibrated, quantize_bias, weave
from .fusion import fuse
from .histograms import hfmg
from .naming import Nodes
from .network import Network, SimulationError, find_needed
from .sites import PRODUCT, Site, SiteSetting, Weights, as_key, site_of

Progress = Callable[[str, int, int], None]  # what is worked at, how many parts are done, of how many


BLIND = "it sees NaN or infinity"


class Refusal(NamedTuple):
    """A layer at which the toolkit stops, and why."""

    layer: str
    reason: str


class Simulated(NamedTuple):
    """The result for a plan."""

    network: Network  # fused, in floats
    sites: Tuple[Site, ...]  # that have factors
    factors: Dict[str, Factors]
    refused: Tuple[Refusal, ...]
    notes: Tuple[str, ...]


class Simulator:
    """A model with its data, on which any number of plans is simulated: nothing is computed twice for the same values.

    nodes -- the names of the nodes of each layer. batches -- checked, as many as the plans take.
    """

    def __init__(
        self,
        network: Network,
        nodes: Mapping[str, Nodes],
        batches: Sequence[Batch],
        progress: Optional[Progress] = None,
        memory: int = 1 << 30,
        jobs: int = 1,
    ) -> None:
        self.network: Network = network
        self.nodes: Mapping[str, Nodes] = nodes
        self.batches: Sequence[Batch] = batches
        self.progress: Progress = progress or (lambda what, done, total: None)
        self.memory: int = memory
        self.jobs: int = max(jobs, 1)
        self.fused: Dict[Any, Tuple[Network, Sizes]] = {}
        self.numbers: Dict[Any, int] = {}  # of values that are computed alike
        self.magnitudes: Dict[Any, np.ndarray] = {}
        self.weights: Dict[Any, Any] = {}
        self.searched: Dict[Any, Any] = {}

    # ------------------------------------------------------------ the layers of a plan

    def prepared(self, plan: Plan) -> Tuple[Network, Sizes]:
        """Return the network with BN fused as the plan has it."""
        globals_ = plan.global_values
        apart = set(globals_.get("skip_fusion_layers", ()))
        names = {nodes.node: layer for layer, nodes in self.nodes.items()}
        wanted = set()
        for node in self.network.graph.node:
            layer = names.get(node.name, node.name)
            if layer in plan:
                if plan[layer].fuse and plan[layer].layer.type in plan.flavour.fusible_types:
                    wanted.add(node.name)
            elif node.op_type == "Conv" and globals_.get("do_fusion", True) and layer not in apart:
                wanted.add(node.name)
        key = frozenset(wanted)
        if key not in self.fused:
            network = fuse(self.network, lambda node: node.name in wanted)
            self.fused[key] = network, Sizes(self.batches)
        return self.fused[key]

    def sites(self, plan: Plan, network: Network) -> Tuple[List[Site], List[str]]:
        """Return the layers that are simulated, in the order of the model, and notes about the others."""
        places = {node.name: index for index, node in enumerate(network.graph.node)}
        found: List[Tuple[int, Site]] = []
        notes: List[str] = []
        missing = [name for name in plan if plan[name].quant_enable and name not in self.nodes]
        if missing:
            words = "'{}'".format(missing[0])
            if len(missing) > 1:
                words = "{} layers, {} first".format(len(missing), words)
            raise SimulationError("the plan quantizes {}, which the model does not have".format(words))
        for name, effective in plan.items():
            if not effective.quant_enable:
                continue
            nodes = self.nodes[name]
            place = places[nodes.node]
            adding = None if nodes.add is None else network.graph.node[places[nodes.add]]
            site = site_of(effective, network.graph.node[place], adding, network)
            if isinstance(site, Site):
                found.append((place, site))
            else:
                notes.append("'{}' is not simulated and stays in floats: {}".format(name, site))
        return [site for _, site in sorted(found, key=lambda pair: pair[0])], notes

    # ------------------------------------------------------------ the whole

    def simulate(self, plan: Plan) -> Simulated:
        """Find the factors of all layers of a plan; a layer that the toolkit refuses stays in floats."""
        network, sizes = self.prepared(plan)
        sites, notes = self.sites(plan, network)
        notes = [*self.network.notes, *notes]
        refused: Dict[str, str] = {}
        blind: Dict[str, str] = {}
        for site in sites:
            if site.setting.bits == 16 and not plan.flavour.can(site.effective.layer, "int16"):
                refused[site.name] = "INT16 is not possible for it"
        while True:
            left = [site for site in sites if site.name not in refused and site.name not in blind]
            before = len(refused) + len(blind)
            factors = self.calibrate(network, sizes, left, refused, blind)
            if len(refused) + len(blind) == before:
                break
        notes += ["'{}' has no factors: {}".format(name, words) for name, words in blind.items()]
        if any(site.kind == PRODUCT for site in left):
            notes.append(
                "the two scales of a product of two variables are documented only: no public code computes them"
            )
        if any(site.setting.learnt for site in left):
            notes.append("AdaRound's learnt rounding is not simulated: weights are rounded to the nearest")
        order = {site.name: index for index, site in enumerate(sites)}
        found = sorted((Refusal(*pair) for pair in refused.items()), key=lambda refusal: order[refusal.layer])
        return Simulated(network, tuple(left), factors, tuple(found), tuple(notes))

    def calibrate(
        self,
        network: Network,
        sizes: Sizes,
        sites: Sequence[Site],
        refused: Dict[str, str],
        blind: Dict[str, str],
    ) -> Dict[str, Factors]:
        """Find the factors of layers; add refused ones to `refused`, and those behind them to `blind`."""
        balances, weights = self.balanced(network, sizes, sites, refused), {}
        for site in sites:
            if site.name in refused:
                continue
            found = self.quantized_weight(site, balances.get(site.name))
            if isinstance(found, str):
                refused[site.name] = found
            else:
                weights[site.name] = found
        sites = [site for site in sites if site.name not in refused]
        pieces = [build_calibrated(site, weights.get(site.name), balances.get(site.name)) for site in sites]
        scales = self.activations(weave(network, pieces), sizes, sites, balances, refused, blind)
        factors: Dict[str, Factors] = {}
        for site in sites:
            if site.name in refused or site.name in blind:
                continue
            found = make_factors(site, scales[site.name], weights.get(site.name), balances.get(site.name))
            overflow = bias_overflow(site, found)
            if overflow:
                refused[site.name] = overflow
            else:
                factors[site.name] = found
        return factors

    def calibrating(self, simulated: Simulated) -> Network:
        """Return the network on which the activations of a result were calibrated."""
        pieces = []
        for site in simulated.sites:
            balance = simulated.factors[site.name].balance
            pieces.append(build_calibrated(site, self.quantized_weight(site, balance), balance))
        return weave(simulated.network, pieces)

    # ------------------------------------------------------------ balancing and weights

    def magnitudes_of(self, network: Network, sizes: Sizes, sites: Sequence[Site]) -> Dict[str, np.ndarray]:
        """Return the largest magnitude in each input channel of each layer, by the first batch in floats."""
        numbers = number_values(network, {}, self.numbers)
        keys = {site.name: (numbers[site.values[0]], site.kind) for site in sites}
        missing = [site for site in sites if keys[site.name] not in self.magnitudes]
        values = list(dict.fromkeys(site.values[0] for site in missing))
        first_sizes = {value: each[0] for value, each in sizes.of(network, values).items()}
        for portion in divide(values, first_sizes, self.memory):
            for arrays in capture(network, portion, self.batches[:1]):
                given = dict(zip(portion, arrays))
                for site in missing:
                    if site.values[0] in given:
                        self.magnitudes[keys[site.name]] = site.channels_of(given[site.values[0]])
        return {name: self.magnitudes[key] for name, key in keys.items()}

    def balanced(
        self, network: Network, sizes: Sizes, sites: Sequence[Site], refused: Dict[str, str]
    ) -> Dict[str, np.ndarray]:
        """Return the balancer's factors, from the first batch on the model in floats."""
        wanted = [site for site in sites if site.setting.strength is not None and site.weight is not None]
        magnitudes = self.magnitudes_of(network, sizes, wanted)
        balances: Dict[str, np.ndarray] = {}
        for site in wanted:
            words = explain_unbalanced(site, magnitudes[site.name])
            if words is None:
                balances[site.name] = site.balance(magnitudes[site.name])
                words = explain_extreme(balances[site.name])
            if words is not None:
                refused[site.name] = words
        return balances

    def quantized_weight(self, site: Site, balance: Optional[np.ndarray]) -> Any:
        """Return the quantized weight, None where a layer has none; or in words why the toolkit stops."""
        if site.weight is None:
            return None
        key = site.node.name, site.node.input[1], site.setting.weights, as_key(balance)
        if key not in self.weights:
            if not np.isfinite(site.weight).all():
                return "its weight holds NaN or infinity"
            found = site.quantize(balance)
            assert found is not None
            if not (found.scale <= 1 / EPSILON).all():
                return "the scale of its weight, {:.6g}, is beyond 1/1.19e-7".format(float(np.max(found.scale)))
            self.weights[key] = found
        return self.weights[key]

    # ------------------------------------------------------------ activations

    def activations(
        self,
        network: Network,
        sizes: Sizes,
        sites: Sequence[Site],
        balances: Mapping[str, np.ndarray],
        refused: Dict[str, str],
        blind: Dict[str, str],
    ) -> Dict[str, List[Tuple[float, int]]]:
        """Find scale and offset of each activation of each layer, from as many layers at a time as memory allows."""
        versions = {s.node.name: (s.setting.weights, as_key(balances.get(s.name))) for s in sites}
        numbers = number_values(network, versions, self.numbers)
        readers: Dict[str, List[Tuple[Site, int, Any]]] = {}
        found: Dict[str, List[Any]] = {site.name: [None] * len(site.values) for site in sites}
        for site in sites:
            for index, value in enumerate(site.values):
                key = numbers[value], site.setting.activations, as_key(balances.get(site.name))
                if key in self.searched:
                    found[site.name][index] = self.searched[key]
                else:
                    readers.setdefault(value, []).append((site, index, key))
        values, done = list(readers), 0
        bytes_of = {value: sum(each) for value, each in sizes.of(network, values).items()}
        for portion in divide(values, bytes_of, self.memory):
            self.progress("running the model", done, len(values))
            runs = capture(network, portion, self.batches)
            held = [list(arrays) for arrays in zip(*runs)]
            for value, result in zip(portion, self.searches(held, [readers[value] for value in portion], balances)):
                for (site, index, key), factors in zip(readers[value], result):
                    self.searched[key] = found[site.name][index] = factors
                done += 1
                self.progress(readers[value][0][0].name, done, len(values))
        for site in sites:
            words = next((scale for scale in found[site.name] if isinstance(scale, str)), None)
            if words is None:
                continue
            above = self.refused_above(network, site, refused) if words == BLIND else None
            if above is not None:
                blind[site.name] = "{}, behind '{}'".format(words, above)
            else:
                refused[site.name] = words
        return found

    def refused_above(self, network: Network, site: Site, refused: Mapping[str, str]) -> Optional[str]:
        """Return a refused layer that the input of a layer depends on."""
        layers = {self.nodes[name].node: name for name in refused}
        above = find_needed(list(network.graph.node), site.values)
        return next((layers[node.name] for node in above if node.name in layers), None)

    def searches(
        self,
        held: List[List[np.ndarray]],
        readers: List[List[Tuple[Site, int, Any]]],
        balances: Mapping[str, np.ndarray],
    ) -> Iterator[List[Any]]:
        """Yield the factors of the readers of each value; what is done with is let go."""

        def search(place: int) -> List[Any]:
            arrays, held[place] = held[place], []
            return factors_of(arrays, [site for site, _, _ in readers[place]], balances)

        if self.jobs == 1:
            yield from map(search, range(len(held)))
            return
        with ThreadPoolExecutor(self.jobs) as pool:  # numpy sorts and sums without Python's lock
            yield from pool.map(search, range(len(held)))


def factors_of(arrays: List[np.ndarray], sites: Sequence[Site], balances: Mapping[str, np.ndarray]) -> List[Any]:
    """Find scale and offset for each reader of a value, or why the toolkit stops; the values are used up."""
    if not all(np.isfinite(array).all() for array in arrays):
        return [BLIND] * len(sites)
    found: List[Any] = [None] * len(sites)
    shared: List[int] = []
    for index, site in enumerate(sites):
        balance = balances.get(site.name)
        given = arrays if balance is None else [array / site.by_channel(balance) for array in arrays]
        if site.setting.bins is not None:
            found[index] = hfmg(given, site.setting.bits, site.setting.asymmetric, site.setting.bins)
        elif balance is None:
            shared.append(index)  # sorted once for all, when nobody needs the order any more
        else:
            found[index] = search_factors(Samples(join_batches(list(given))), site.setting)
    if shared:
        samples = Samples(join_batches(arrays))
        for index in shared:
            found[index] = search_factors(samples, sites[index].setting)
    return [check_scale(each) for each in found]


def join_batches(arrays: List[np.ndarray]) -> np.ndarray:
    """Return the values of all batches in one array; the list is used up, so that nothing is held twice."""
    if len(arrays) == 1:
        return arrays.pop().reshape(-1)
    found, place = np.empty(sum(array.size for array in arrays), np.float32), 0
    while arrays:
        array = arrays.pop()
        found[place : place + array.size] = array.reshape(-1)
        place += array.size
    return found


def search_factors(samples: Samples, setting: SiteSetting) -> Tuple[float, int]:
    return ifmr(samples, setting.bits, setting.asymmetric, setting.percentiles, setting.search)


def check_scale(found: Tuple[float, int]) -> Any:
    """Return scale and offset, or in words why the toolkit stops."""
    return found if found[0] <= 1 / EPSILON else "its scale, {:.6g}, is beyond 1/1.19e-7".format(found[0])


def explain_unbalanced(site: Site, magnitudes: np.ndarray) -> Optional[str]:
    """Say why the toolkit can't balance a layer."""
    assert site.weight is not None
    if not np.isfinite(magnitudes).all():
        return BLIND
    if not np.isfinite(site.weight).all():
        return "its weight holds NaN or infinity"
    return None if magnitudes.any() else "its input is all zeros, which can't be balanced"


def explain_extreme(balance: np.ndarray) -> Optional[str]:
    inside = (balance > EPSILON) & (balance < 1 / EPSILON)
    if inside.all():
        return None
    return "a factor of its balancer, {:.6g}, is beyond 1.19e-7 to 1/1.19e-7".format(float(balance[~inside][0]))


def bias_overflow(site: Site, factors: Factors) -> Optional[str]:
    """Say why the toolkit can't quantize the bias of a layer."""
    if site.bias is None:
        return None
    steps = quantize_bias(site, factors)[0].astype(np.float64)
    outside = ~((steps >= -INT32_LIMIT) & (steps <= INT32_LIMIT - 1))
    if not outside.any():
        return None
    return "its quantized bias, {:.0f}, is beyond int32".format(float(steps[outside].reshape(-1)[0]))


def make_factors(site: Site, scales: Any, weights: Optional[Weights], balance: Optional[np.ndarray]) -> Factors:
    scale_w = np.ones(1, np.float32) if weights is None else weights.scale.copy()
    offset_w = np.zeros_like(scale_w)
    for array in (scale_w, offset_w) if balance is None else (scale_w, offset_w, balance):
        array.setflags(write=False)
    scale, offset = zip(*((float(scale), float(offset)) for scale, offset in scales))
    if site.kind == PRODUCT:
        return Factors(scale, offset, scale_w[:0], offset_w[:0])
    return Factors(scale[0], offset[0], scale_w, offset_w, balance)


# ---------------------------------------------------------------- which values are computed alike


def number_values(network: Network, versions: Mapping[str, Any], numbers: Dict[Any, int]) -> Dict[str, int]:
    """Return a number for each value of a network: the same one where the same is computed, in this network and in
    others.

    versions -- of the nodes whose layer is not in floats.
    """
    found: Dict[str, int] = {}

    def number(key: Any) -> int:
        return numbers.setdefault(key, len(numbers))

    def of(value: str) -> int:
        if value not in found:
            found[value] = number(("given", value))
        return found[value]

    for node in network.graph.node:
        key = node.name, versions.get(node.name), tuple(of(value) for value in node.input)
        for index, value in enumerate(node.output):
            found[value] = number((key, index))
    for value in network.inputs():
        of(value.name)
    return found
