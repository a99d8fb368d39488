# SPDX-License-Identifier: Apache-2.0
"""The few alternatives of a layer that are worth a look at the model's output: those with which the layer itself suffers least.

A layer is judged on a part of the values that it sees. The factors of those that are left come from all of them.
"""

from __future__ import annotations

import contextlib
import copy
from typing import Any, Iterable, Iterator, NamedTuple, Sequence

import numpy as np

from ..flavours.flavour import Flavour
from ..messages.message import Message
from ..resolve.effective import values_of
from .algorithms import (
    Samples,
    estimate_losses,
    integer_limits_of,
    list_ranges,
    list_ratios,
    pair_with_offset,
    search_ifmr,
)
from .changes import KINDS, Axes, activation_width_of, axes_of, change_block, classify_change, corners_of
from .editing import append_pieces, build_float, build_quantized
from .histograms import search_hfmg
from .network import Network, Runner, SimulationError
from .sensitivity import Agreement
from .simulator import factors_of
from .sites import PRODUCT, Site, as_key

MOST_VALUES = 1 << 18  # that scales are looked for on
MOST_INPUTS = 1 << 20  # values of the input that the layer is computed on
MOST_COMPUTED = 12  # alternatives of a layer that are computed at a time
BEST_SCALES = 3  # scales of a corner, by the error of the activations alone
FINER = 2  # corners of each kind that are looked at more closely


class Alternative(NamedTuple):
    """Another block for a layer, its kind, and the decibels of the layer's own output, on a part of what it sees."""

    kind: str
    block: Message
    decibels: float


def preselect(
    site: Site,
    network: Network,
    arrays: Sequence[Sequence[np.ndarray]],
    magnitudes: np.ndarray | None,
    flavour: Flavour,
    kinds: Iterable[str],
    most: int,
) -> list[Alternative]:
    """Choose the alternatives of a layer with which its own output suffers least: `most` of each kind, its best first.

    arrays -- for each of the layer's activations what it sees, one array a batch. magnitudes -- the largest of each input
    channel, None where no balancer is possible.
    """
    axes = axes_of(site, flavour, kinds)
    bench = Bench(site, network, arrays)
    corners = list(corners_of(site, flavour, kinds))
    found: list[tuple[Site, Alternative]] = []
    seen: set[Any] = set()
    finer = corners[:1]
    for few in (True, False):
        for corner in corners if few else finer:
            candidates = []
            for candidate in find_scales(bench, corner, axes, magnitudes, few):
                scale_d, offset_d, scale_w, *_ = candidate.factors
                key = candidate.setting.bits, candidate.setting.strength, scale_d, offset_d, scale_w.tobytes()
                if key not in seen:
                    seen.add(key)
                    candidates.append(candidate)
            for candidate, decibels in zip(candidates, bench.measure(candidates)):
                block = candidate.effective.calibration_config
                kind = classify_change(site.effective, block)
                if kind is not None and np.isfinite(decibels):
                    found.append((corner, Alternative(kind, block, decibels)))
        found.sort(key=lambda pair: -pair[1].decibels)
        for kind in KINDS:  # where the coarse look was best, a closer one
            best = dict.fromkeys(corner for corner, a in found if a.kind == kind and corner not in finer)
            finer += list(best)[:FINER]
    return [each for kind in KINDS for each in [a for _, a in found if a.kind == kind][:most]]


def is_possible(site: Site, arrays: Sequence[Sequence[np.ndarray]], magnitudes: np.ndarray | None) -> bool:
    """Give a layer its factors from all that it sees; tell whether the toolkit takes it."""
    if site.prepare(magnitudes) is not None:
        return False
    scales = [factors_of([array.copy() for array in each], [site])[0] for each in arrays]  # used up
    is_taken = not any(isinstance(scale, str) for scale in scales) and site.settle(scales) is None
    site.weights = None  # made anew where it is needed, as there are many alternatives
    return is_taken


def find_scales(bench: Bench, corner: Site, axes: Axes, magnitudes: np.ndarray | None, few: bool) -> Iterator[Site]:
    """Yield the layer with the scales of the activations that have the least error; a `few` of the algorithm that it has."""
    is_wide = corner.setting.bits == 16
    if few or is_wide:
        axes = axes._replace(
            percentiles=tuple(dict.fromkeys([*axes.percentiles[:1], *axes.percentiles[-1:]])),
            offsets=axes.offsets[:1],
            bins=axes.bins[:1] if corner.setting.bins is not None else (),
        )
    if is_wide:  # rounding hardly costs anything, a search of its steps would
        axes = axes._replace(ranges=axes.ranges[:1])
    first = copy.copy(corner)  # its weights are not kept
    if (first.setting.strength is not None and magnitudes is None) or first.prepare(magnitudes) is not None:
        return
    width = activation_width_of(values_of(corner.effective.calibration_config))
    for settings, pairs in find_least_errors(bench, axes, first, BEST_SCALES if few else 4 * BEST_SCALES):
        if width is not None:
            settings[next(iter(settings)).partition(".")[0] + ".dst_type"] = width
        with contextlib.suppress(ValueError):
            candidate = first.with_block(change_block(corner.effective, settings))
            candidate.settle(pairs)
            yield candidate


def find_least_errors(
    bench: Bench, axes: Axes, site: Site, most: int
) -> list[tuple[dict[str, Any], list[tuple[float, int]]]]:
    """Return the settings with the least errors of the activations, each with another scale or offset."""
    bits, samples = site.setting.bits, bench.make_samples(site)
    found: list[tuple[float, dict[str, Any], list[tuple[float, int]]]] = []
    for offset in axes.offsets:
        if site.kind == PRODUCT and offset:
            continue
        for percentiles in axes.percentiles:
            parts = [search_ranges(each, bits, offset, percentiles, axes.ranges) for each in samples]
            for search in axes.ranges:
                scales = [part[search] for part in parts]
                settings = make_ifmr_changes(percentiles, search, offset)
                found.append((sum(loss for loss, _, _ in scales), settings, [(s, o) for _, s, o in scales]))
        for bins in axes.bins:
            pairs = [search_hfmg(given, bits, offset, bins) for given in bench.balance(site)]
            loss = sum(measure_rounding(each.values, bits, *pair) for each, pair in zip(samples, pairs))
            settings = {"hfmg_quantize.num_of_bins": bins, "hfmg_quantize.asymmetric": offset}
            found.append((loss, settings, pairs))
    distinct: dict[Any, Any] = {}
    for _, settings, pairs in sorted(found, key=lambda entry: entry[0]):
        distinct.setdefault(tuple(pairs), (settings, pairs))
    return list(distinct.values())[:most]


def measure_rounding(values: np.ndarray, bits: int, scale: float, offset: int) -> float:
    low, high = integer_limits_of(bits)
    rounded = np.clip(np.rint(values / np.float32(scale)) + offset, low, high) - offset
    return float(np.mean(np.square(rounded * np.float32(scale) - values)))


def make_ifmr_changes(
    percentiles: tuple[float, float], search: tuple[float, float, float], offset: bool
) -> dict[str, Any]:
    names = ("max_percentile", "min_percentile", "search_range_start", "search_range_end", "search_step", "asymmetric")
    return {"ifmr_quantize." + name: value for name, value in zip(names, (*percentiles, *search, offset))}


def search_ranges(
    samples: Samples, bits: int, offset: bool, percentiles: tuple[float, float], ranges: Iterable[Any]
) -> dict[Any, tuple[float, float, int]]:
    """Return the least loss, scale and offset of IFMR for each range; ranges share candidates."""
    if bits > 8:  # counting does not pay
        searched = {search: search_ifmr(samples, bits, offset, percentiles, search) for search in ranges}
        return {search: (0.0, *pair) for search, pair in searched.items()}
    each = {search: list_ratios(*search) for search in ranges}
    factors = np.unique(np.concatenate(list(each.values())))
    bottoms, tops, scales = list_ranges(samples, bits, offset, percentiles, factors)
    losses = estimate_losses(samples, bottoms, tops, scales, bits)
    found = {}
    for search, own in each.items():
        places = np.flatnonzero((factors >= own[0]) & (factors <= own[-1]))
        best = places[np.argmin(losses[places])]
        found[search] = (float(losses[best]), *pair_with_offset(bottoms[best], scales[best], bits, offset))
    return found


class Bench:
    """A layer on its own, on a part of what it sees."""

    def __init__(self, site: Site, network: Network, arrays: Sequence[Sequence[np.ndarray]]) -> None:
        self.site: Site = site
        self.network: Network = network
        self.arrays: list[list[np.ndarray]] = [[thin_out(array, MOST_INPUTS // len(b)) for array in b] for b in arrays]
        self.whole: Sequence[Sequence[np.ndarray]] = arrays
        self.kept: dict[Any, list[Samples]] = {}

    def balance(self, site: Site) -> list[list[np.ndarray]]:
        if site.balance is None:
            return self.arrays
        factors = site.by_channel(site.balance)
        return [[array / factors for array in arrays] for arrays in self.arrays]

    def make_samples(self, site: Site) -> list[Samples]:
        key = as_key(site.balance)
        if key not in self.kept:
            self.kept.clear()  # one balancer after the other
            found = []
            for arrays, whole in zip(self.balance(site), self.whole):
                values = np.concatenate([array.reshape(-1) for array in arrays])
                ends = [(np.min(array), np.max(array)) for array in (whole if site.balance is None else arrays)]
                thin = values[:: max(values.size // MOST_VALUES, 1)]
                found.append(Samples(np.append(thin, np.array(ends, np.float32))))
            self.kept[key] = found
        return self.kept[key]

    def measure(self, candidates: Sequence[Site]) -> Iterator[float]:
        for begin in range(0, len(candidates), MOST_COMPUTED):
            yield from self.compute(candidates[begin : begin + MOST_COMPUTED])

    def compute(self, candidates: Sequence[Site]) -> list[float]:
        pieces = [build_float(self.site)]
        pieces += [build_quantized(candidate, "/{}".format(number)) for number, candidate in enumerate(candidates)]
        runner = Runner(append_pieces(self.network, pieces, self.site.values))
        found = [Agreement() for _ in candidates]
        for batch in zip(*self.arrays):
            try:
                wanted, *results = runner.run(dict(zip(self.site.values, batch)))
            except SimulationError:  # a layer that takes its input in whole batches only
                return [float("nan")] * len(candidates)
            for agreement, result in zip(found, results):
                agreement.add(wanted, result)
        return [agreement.decibels for agreement in found]


def thin_out(array: np.ndarray, most: int) -> np.ndarray:
    """Return the first samples of a batch, at least one, with about so many values."""
    if array.ndim < 2 or array.size <= most:
        return array
    return array[: max(int(most // (array.size // len(array))), 1)]
