# SPDX-License-Identifier: Apache-2.0
"""The quantization of a model, in the toolkit's order: fusion, balancing, weights, activations, bias."""

from __future__ import annotations

import itertools
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Mapping, NamedTuple, Sequence

import numpy as np

from ..resolve.plan import Plan
from .algorithms import EPSILON, Samples, search_ifmr
from .calibration import Batch, Sizes, capture_values, divide_into_runs
from .editing import build_calibrated, weave
from .fusion import fuse
from .histograms import search_hfmg
from .network import Network, SimulationError, find_needed
from .sites import BLIND, PRODUCT, Nodes, Site, SiteSetting, as_key, site_of

Progress = Callable[[str, int, int], None]  # what is worked at, how many parts are done, of how many


class Refusal(NamedTuple):
    """A layer at which the toolkit stops, and why."""

    layer: str
    reason: str


class Simulated(NamedTuple):
    network: Network  # fused, in floats
    calibrated: Network  # on which the activations were calibrated
    sizes: Sizes
    sites: tuple[Site, ...]  # that have factors
    refused: tuple[Refusal, ...]
    notes: tuple[str, ...]


@dataclass(eq=False, repr=False)
class Simulator:
    """A model with its data, on which any number of plans is simulated: nothing is searched twice for the same values."""

    network: Network
    nodes: Mapping[str, Nodes]
    batches: Sequence[Batch]
    progress: Progress
    memory: int
    jobs: int

    def __post_init__(self) -> None:
        self.fused: dict[Any, tuple[Network, Sizes]] = {}
        self.numbers: dict[Any, int] = defaultdict(itertools.count().__next__)  # of values that are computed alike
        self.magnitudes: dict[Any, np.ndarray] = {}
        self.searched: dict[Any, Any] = {}  # scale and offset, or why the toolkit stops

    # ------------------------------------------------------------ the layers of a plan

    def prepare(self, plan: Plan) -> tuple[Network, Sizes]:
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
            self.fused[key] = fuse(self.network, wanted), Sizes(self.batches)
        return self.fused[key]

    def find_sites(self, plan: Plan, network: Network) -> tuple[list[Site], list[str]]:
        """Return the layers that are simulated, in the order of the model, and notes about the others."""
        quantized = [name for name, effective in plan.items() if effective.quant_enable]
        missing = [name for name in quantized if name not in self.nodes]
        if missing:
            words = "'{}'".format(missing[0])
            if len(missing) > 1:
                words = "{} layers, {} first".format(len(missing), words)
            raise SimulationError("the plan quantizes {}, which the model does not have".format(words))
        places = {node.name: index for index, node in enumerate(network.graph.node)}
        found: dict[int, Site] = {}
        notes: list[str] = []
        for name in quantized:
            nodes = self.nodes[name]
            place = places[nodes.node]
            adding = None if nodes.add is None else network.graph.node[places[nodes.add]]
            site = site_of(plan[name], network.graph.node[place], adding, network)
            if isinstance(site, Site):
                found[place] = site
            else:
                notes.append("'{}' is not simulated and stays in floats: {}".format(name, site))
        return [found[place] for place in sorted(found)], notes

    # ------------------------------------------------------------ the whole

    def simulate(self, plan: Plan) -> Simulated:
        network, sizes = self.prepare(plan)
        sites, notes = self.find_sites(plan, network)
        balanced = [site for site in sites if site.setting.strength is not None and site.weight is not None]
        magnitudes = self.magnitudes_of(network, sizes, balanced)
        for site in sites:
            if site.setting.bits == 16 and not plan.flavour.can(site.effective.layer, "int16"):
                site.refusal = "INT16 is not possible for it"
            else:
                site.refusal = site.prepare(magnitudes.get(site.name))
        is_settled = False
        while not is_settled:
            left = [site for site in sites if site.refusal is None]
            calibrated = self.calibrate(network, sizes, left, sites)
            is_settled = all(site.refusal is None for site in left)
        notes = [*self.network.notes, *notes]
        for site in sites:
            if site.behind is not None:
                notes.append("'{}' has no factors: {}, behind '{}'".format(site.name, site.refusal, site.behind))
        if any(site.kind == PRODUCT for site in left):
            notes.append(
                "the two scales of a product of two variables are documented only: no public code computes them"
            )
        if any(site.setting.learnt for site in left):
            notes.append("AdaRound's learnt rounding is not simulated: weights are rounded to the nearest")
        return Simulated(
            network,
            calibrated,
            sizes,
            tuple(left),
            tuple(Refusal(*pair) for pair in find_refused(sites).items()),
            tuple(notes),
        )

    def magnitudes_of(self, network: Network, sizes: Sizes, sites: Sequence[Site]) -> dict[str, np.ndarray]:
        """Return the largest magnitude in each input channel of each layer, by the first batch in floats."""
        numbers = number_values(network, {}, self.numbers)
        keys = {site.name: (numbers[site.values[0]], site.kind) for site in sites}
        readers: dict[str, list[Site]] = {}
        for site in sites:
            if keys[site.name] not in self.magnitudes:
                readers.setdefault(site.values[0], []).append(site)
        first_sizes = {value: each[0] for value, each in sizes.of(network, list(readers)).items()}
        for portion in divide_into_runs(first_sizes, self.memory):
            for value, arrays in capture_values(network, portion, self.batches[:1]).items():
                for site in readers[value]:
                    self.magnitudes[keys[site.name]] = site.channels_of(arrays[0])
        return {name: self.magnitudes[key] for name, key in keys.items()}

    def calibrate(self, network: Network, sizes: Sizes, left: Sequence[Site], sites: Sequence[Site]) -> Network:
        """Find the factors of the layers that are left, or why the toolkit stops; return the network that showed it."""
        network = weave(network, map(build_calibrated, left))
        versions = {site.node.name: (site.setting.weights, as_key(site.balance)) for site in left}
        numbers = number_values(network, versions, self.numbers)
        keys: dict[str, list[Any]] = {}
        readers: dict[str, dict[Any, Site]] = {}
        for site in left:
            found_by = site.setting.activations, as_key(site.balance)
            keys[site.name] = [(numbers[value], *found_by) for value in site.values]
            for value, key in zip(site.values, keys[site.name]):
                if key not in self.searched:
                    readers.setdefault(value, {}).setdefault(key, site)
        self.search_scales(network, sizes, readers)
        for site in left:
            scales = [self.searched[key] for key in keys[site.name]]
            site.refusal = next((scale for scale in scales if isinstance(scale, str)), None)
            if site.refusal == BLIND:
                layers = {self.nodes[name].node: name for name in find_refused(sites) if name != site.name}
                above = find_needed(network.graph.node, site.values)
                site.behind = next((layers[node.name] for node in above if node.name in layers), None)
        for site in left:
            if site.refusal is None:
                site.refusal = site.settle([self.searched[key] for key in keys[site.name]])
        return network

    def search_scales(self, network: Network, sizes: Sizes, readers: Mapping[str, Mapping[Any, Site]]) -> None:
        """Search the scales by which values are read, of as many at a time as memory allows."""
        done = 0
        bytes_of = {value: sum(each) for value, each in sizes.of(network, list(readers)).items()}
        held: dict[str, list[np.ndarray]] = {}

        def search(value: str) -> list[Any]:
            return factors_of(held.pop(value), list(readers[value].values()))

        with ThreadPoolExecutor(self.jobs) as pool:  # numpy sorts and sums without Python's lock
            for portion in divide_into_runs(bytes_of, self.memory):
                self.progress("running the model", done, len(readers))
                held.update(capture_values(network, portion, self.batches))
                for value, found in zip(portion, (map if self.jobs == 1 else pool.map)(search, portion)):
                    self.searched.update(zip(readers[value], found))
                    done += 1
                    self.progress(next(iter(readers[value].values())).name, done, len(readers))


def find_refused(sites: Iterable[Site]) -> dict[str, str]:
    """Return the layers at which the toolkit stops, and why; not those that only see what such a layer makes."""
    return {site.name: site.refusal for site in sites if site.refusal is not None and site.behind is None}


def factors_of(arrays: list[np.ndarray], sites: Sequence[Site]) -> list[Any]:
    """Find scale and offset for each reader of a value, or why the toolkit stops; the values are used up."""
    if not all(np.isfinite(array).all() for array in arrays):
        return [BLIND] * len(sites)
    found: list[Any] = [None] * len(sites)
    shared: list[int] = []
    for index, site in enumerate(sites):
        setting, balance = site.setting, site.balance
        given = arrays if balance is None else [array / site.by_channel(balance) for array in arrays]
        if setting.bins is not None:
            found[index] = search_hfmg(given, setting.bits, setting.asymmetric, setting.bins)
        elif balance is None:
            shared.append(index)  # counted once for all, when nobody needs the order any more
        else:
            found[index] = search_factors(Samples(join_batches(given)), setting)
    if shared:
        samples = Samples(join_batches(arrays))
        for index in shared:
            found[index] = search_factors(samples, sites[index].setting)
    return [
        each if each[0] <= 1 / EPSILON else "its scale, {:.6g}, is beyond 1/1.19e-7".format(each[0]) for each in found
    ]


def join_batches(arrays: list[np.ndarray]) -> np.ndarray:
    """Return the values of all batches in one array; the list is used up, so that nothing is held twice."""
    if len(arrays) == 1:
        return arrays.pop().reshape(-1)
    found, place = np.empty(sum(array.size for array in arrays), np.float32), 0
    while arrays:
        array = arrays.pop()
        found[place : place + array.size] = array.reshape(-1)
        place += array.size
    return found


def search_factors(samples: Samples, setting: SiteSetting) -> tuple[float, int]:
    return search_ifmr(samples, setting.bits, setting.asymmetric, setting.percentiles, setting.search)


# ---------------------------------------------------------------- which values are computed alike


def number_values(network: Network, versions: Mapping[str, Any], numbers: dict[Any, int]) -> dict[str, int]:
    """Number the values of a network: alike where the same is computed, here and in others; `versions` of quantized layers."""
    found: dict[str, int] = {}
    for node in network.graph.node:
        read = tuple(found.setdefault(value, numbers["given", value]) for value in node.input)
        for index, value in enumerate(node.output):
            found[value] = numbers[node.name, versions.get(node.name), read, index]
    for given in network.graph.input:
        found.setdefault(given.name, numbers["given", given.name])
    return found
