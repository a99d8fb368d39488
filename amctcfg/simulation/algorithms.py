# SPDX-License-Identifier: Apache-2.0
"""The algorithms of the toolkit in numpy: ARQ for weights, IFMR for activations, DMQ between the two.

They compute in float32 where the toolkit does; rounding is half to even. Source: the vendor's public PyTorch toolkit.
"""

from __future__ import annotations

import math
from typing import Iterator, NamedTuple

import numpy as np

EPSILON = 1.1920929e-07  # of float32: a smaller scale counts as 1
CHUNK = 1 << 20  # values that the plain search looks at together: 4 MB, which a processor's cache holds


def integer_limits_of(bits: int) -> tuple[int, int]:
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def quantize_in_floats(values: np.ndarray, scale: np.ndarray, bits: int) -> np.ndarray:
    """Return values rounded to whole multiples of a scale, within the range of the type; float32."""
    low, high = integer_limits_of(bits)
    found = np.divide(values, scale, dtype=np.float32)
    np.rint(found, out=found)
    np.clip(found, low, high, out=found)
    rounded: np.ndarray = np.multiply(found, scale, out=found)
    return rounded


# ---------------------------------------------------------------- weights


def compute_arq(weights: np.ndarray, bits: int, axes: tuple[int, ...] | None = None) -> np.ndarray:
    """Compute the symmetric scale of weights (ARQ): their largest magnitude over the largest integer; float32.

    `axes` share a scale, and have the length 1 in the result; None is for one scale of all.

    Source: `arq_quantize`; where the negative end is the larger one, the range has one step more.
    """
    largest = np.max(weights, axis=axes, keepdims=True)
    least = np.min(weights, axis=axes, keepdims=True)
    return compute_symmetric_scale(largest, least, bits)


def compute_symmetric_scale(largest: np.ndarray, least: np.ndarray, bits: int) -> np.ndarray:
    """Return the scale that fits both ends of a range without an offset."""
    below, above = np.abs(least), np.abs(largest)
    low, high = integer_limits_of(bits)
    steps = np.where(above < below, np.float32(-low), np.float32(high))
    scale = np.maximum(above, below) / steps
    found: np.ndarray = np.where(scale < np.float32(EPSILON), np.float32(1), scale).astype(np.float32)
    return found


# ---------------------------------------------------------------- balancing


def compute_dmq(activations: np.ndarray, weights: np.ndarray, strength: float) -> np.ndarray:
    """Compute the factor of each input channel that moves a part of the difficulty from activations to weights (DMQ).

    activations, weights -- the largest magnitude in each channel; the former are divided by the factors, the latter multiplied.
    strength -- how much is moved.

    Source: `dmq_balancer`; a channel in which one of the two is nothing reaches the largest balanced magnitude of the others.
    """
    a, w = activations.astype(np.float32), weights.astype(np.float32)
    no_a, no_w = a < np.float32(EPSILON), w < np.float32(EPSILON)
    both = ~(no_a | no_w)
    factors = np.ones_like(a)
    if not both.any():
        return factors
    factors[both] = a[both] ** np.float32(strength) / w[both] ** np.float32(1 - strength)
    only_a, only_w = no_a & ~no_w, no_w & ~no_a
    factors[only_a] = np.max(w[both] * factors[both]) / w[only_a]
    factors[only_w] = a[only_w] / np.max(a[both] / factors[both])
    return factors


# ---------------------------------------------------------------- activations: IFMR


BINS = 1 << 16  # of the grid: 256 for each step at 8 bits
RUN = 1 << 17  # values that are counted together


class Grid(NamedTuple):
    """Values by equal bins: how many lie in the first 0, 1, 2, ... bins, and their sums; and the sum of all squares."""

    low: float
    width: float
    counts: np.ndarray
    sums: np.ndarray
    square: float


class Samples:
    """The values of an activation, counted once for all searches."""

    def __init__(self, values: np.ndarray) -> None:
        self.values: np.ndarray = np.ascontiguousarray(values, dtype=np.float32).reshape(-1)
        self.low: np.float32 = np.min(self.values)
        self.high: np.float32 = np.max(self.values)
        self._grid: Grid | None = None

    def __len__(self) -> int:
        return len(self.values)

    def iter_bins(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield values, and the bin that each is in; a larger value is never in an earlier bin."""
        factor = np.float32(BINS / (float(self.high) - float(self.low)))
        for begin in range(0, len(self.values), RUN):
            values = self.values[begin : begin + RUN]
            yield values, np.minimum(((values - self.low) * factor).astype(np.intp), BINS - 1)

    def make_grid(self) -> Grid:
        if self._grid is None:
            counts, sums, square = np.zeros(BINS + 1), np.zeros(BINS + 1), 0.0
            for values, bins in self.iter_bins():
                wide = values.astype(np.float64)
                counts[1:] += np.bincount(bins, minlength=BINS)
                sums[1:] += np.bincount(bins, wide, BINS)
                square += float(np.sum(np.square(wide)))
            width = (float(self.high) - float(self.low)) / BINS
            self._grid = Grid(float(self.low), width, np.cumsum(counts), np.cumsum(sums), square)
        return self._grid

    def is_countable(self) -> bool:
        """Tell whether there are many values, over a range of which float32 holds the square."""
        if len(self) < PAYS:
            return False
        with np.errstate(over="ignore"):
            most = float(np.square(self.high - self.low)) * len(self)
        return bool(self.high - self.low > TINY and np.isfinite(most))

    def find_outermost(self, k: int, side: int) -> np.float32:
        """Return the k-th value from the low end (side -1) or the high end (1); 0 where it is beyond zero."""
        end: np.float32 = self.low if side < 0 else self.high
        if k == 1 or end * side <= 0:
            return end if end * side > 0 else ZERO
        found = self.values
        if self.is_countable():
            place = int(np.searchsorted(self.make_grid().counts, k if side < 0 else len(self) - k + 1)) - 1
            found = np.concatenate([values[(bins - place) * side >= 0] for values, bins in self.iter_bins()])
        found = found[found * side > 0]  # equal values, such as zeros behind a ReLU, make partition slow
        if k > len(found):
            return ZERO
        place = k - 1 if side < 0 else len(found) - k
        value: np.float32 = np.partition(found, place)[place]
        return value


ZERO: np.float32 = np.float32(0)
TINY = 1e-30  # a range that is less wide is not counted: the inverse of a bin's width may be infinite


def search_ifmr(
    samples: Samples,
    bits: int,
    asymmetric: bool,
    percentiles: tuple[float, float] = (0.999999, 0.999999),
    search: tuple[float, float, float] = (0.7, 1.3, 0.01),
) -> tuple[float, int]:
    """Find the scale (a float32 as a float) and offset of activations with the least squared error (IFMR).

    percentiles -- which of the largest and of the smallest values count as the ends of the range. search -- start, end and
    step of the factors by which the upper end is multiplied.

    Source: `ifmr_quantize`. `measure_losses` computes as the toolkit does; where there are many values, `bound_losses` leaves
    it only the candidates that may be the best.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        bottoms, tops, scales = list_ranges(samples, bits, asymmetric, percentiles, list_ratios(*search))
        best = find_least_loss(samples, bottoms, tops, scales, bits)
        return pair_with_offset(bottoms[best], scales[best], bits, asymmetric)


def list_ranges(
    samples: Samples, bits: int, asymmetric: bool, percentiles: tuple[float, float], factors: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the ranges whose upper end is multiplied by factors, lower and upper ends, and their scales.

    The ends are the k-th largest value, at least 0, and the k-th smallest, at most 0.
    """
    upper, lower = (1 if 1 - p < EPSILON else len(samples) - int(p * len(samples)) for p in percentiles)
    high, low = samples.find_outermost(upper, 1), samples.find_outermost(lower, -1)
    steps = (1 << bits) - 1
    if not asymmetric:
        steps = (1 << (bits - 1)) - int(abs(high) >= abs(low))
        high, low = max(abs(high), abs(low)), ZERO
    tops = high * factors
    scales = (tops - low) / np.float32(steps)
    scales = np.where(scales < np.float32(EPSILON), np.float32(1), scales).astype(np.float32)
    return (np.full_like(tops, low) if asymmetric else -tops), tops, scales


def pair_with_offset(low: np.float32, scale: np.float32, bits: int, asymmetric: bool) -> tuple[float, int]:
    offset = integer_limits_of(bits)[0] - int(np.rint(low / scale)) if asymmetric and np.isfinite(scale) else 0
    return float(scale), offset


def list_ratios(start: float, end: float, step: float) -> np.ndarray:
    """Return the factors that are tried: start + i · step in float64, then float32."""
    return (start + np.arange(math.ceil((end - start) / step)) * step).astype(np.float32)


def find_least_loss(samples: Samples, bottoms: np.ndarray, tops: np.ndarray, scales: np.ndarray, bits: int) -> int:
    """Return the first candidate with the least loss."""
    left = np.arange(len(scales))
    if bits <= FINE and samples.is_countable():
        least, most = bound_losses(samples.make_grid(), bottoms, tops, scales, bits)
        left = np.flatnonzero(least <= most.min() * (1 + NOISE))
    if len(left) == 1:
        return int(left[0])
    return int(left[np.argmin(measure_losses(samples.values, bottoms[left], tops[left], scales[left]))])


PAYS = 1 << 17  # values from which on counting them first is faster
FINE = 8  # bits at which a bin of the grid is fine against a step
EDGE = 0.05  # of a bin's width: float32 puts no value further off its bin
NOISE = 1e-5  # relative, of float32 sums


def measure_losses(values: np.ndarray, bottoms: np.ndarray, tops: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Return the loss of each candidate, one after the other: the mean of (round(clip(x) / scale) · scale - x)²."""
    sums = np.zeros(len(scales))
    work = np.empty(min(CHUNK, len(values)), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for begin in range(0, len(values), CHUNK):
            x = values[begin : begin + CHUNK]
            error = work[: len(x)]
            for i, (bottom, top, scale) in enumerate(zip(bottoms, tops, scales)):
                np.clip(x, bottom, top, out=error)
                np.divide(error, scale, out=error)
                np.rint(error, out=error)
                np.multiply(error, scale, out=error)
                np.subtract(error, x, out=error)
                np.multiply(error, error, out=error)
                sums[i] += error.sum()
        losses = (sums / max(len(values), 1)).astype(np.float32)
    return np.where(np.isnan(losses), np.float32(np.inf), losses)


def bound_losses(
    grid: Grid, bottoms: np.ndarray, tops: np.ndarray, scales: np.ndarray, bits: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the most that each candidate can lose, summed over all values.

    Values between two rounding borders cost n·v² - 2·v·(their sum) + their squares. A bin with a border in it is counted
    on the side of its mean: that costs at most a quarter of its width times two steps for each of its values too much. Bins
    are found in float32, so that a border at the edge of a bin may concern the next one as well.
    """
    step = scales.astype(np.float64)[:, None]
    first, last = np.rint(bottoms / scales)[:, None], np.rint(tops / scales)[:, None]
    levels = first + np.arange((1 << bits) + 1)
    borders = (levels[:, :-1] + 0.5) * step
    places = np.where(levels[:, :-1] < last, (borders - grid.low) / grid.width, BINS)
    bins = np.clip(places, 0, BINS - 1).astype(np.intp)
    counts, sums = np.diff(grid.counts), np.diff(grid.sums)
    within = (places > -EDGE) & (places < BINS)
    below = (places >= BINS) | (within & (sums[bins] <= counts[bins] * borders))
    count = np.where(below, grid.counts[bins + 1], grid.counts[bins])
    total = np.where(below, grid.sums[bins + 1], grid.sums[bins])
    count = np.diff(count, axis=1, prepend=0, append=grid.counts[-1])
    total = np.diff(total, axis=1, prepend=0, append=grid.sums[-1])
    values = levels * step
    most = np.sum(values * (values * count - 2 * total), axis=1) + grid.square
    part = places - bins
    near = np.clip(bins + (part > 1 - EDGE) - (part < EDGE), 0, BINS - 1)
    doubt = counts[bins] / 2 * (1 + 2 * EDGE) + np.where(near != bins, counts[near] * 2 * EDGE, 0)
    reach = np.sum(np.where(within, doubt, 0), axis=1) * step[:, 0] * grid.width
    return most - reach - 1e-12 * grid.square, most


def estimate_losses(
    samples: Samples, bottoms: np.ndarray, tops: np.ndarray, scales: np.ndarray, bits: int
) -> np.ndarray:
    """Return the loss of each candidate, to a part in a thousand where there are many values."""
    if bits > FINE or not samples.is_countable():
        return measure_losses(samples.values, bottoms, tops, scales)
    least, most = bound_losses(samples.make_grid(), bottoms, tops, scales, bits)
    found: np.ndarray = np.maximum(least + most, 0) / (2 * len(samples))
    return found


def compute_scale(low: np.float32, high: np.float32, bits: int, asymmetric: bool) -> tuple[float, int]:
    least = integer_limits_of(bits)[0]
    if not asymmetric:
        return float(compute_symmetric_scale(np.float32(high), np.float32(low), bits)), 0
    low, high = min(low, np.float32(0)), max(high, np.float32(0))
    with np.errstate(over="ignore"):
        scale = np.float32(np.float32(high - low) / np.float32((1 << bits) - 1))
    if scale < np.float32(EPSILON):
        return 1.0, least
    if not np.isfinite(scale):
        return float(scale), 0
    return float(scale), int(np.rint(np.float32(least) - low / scale))
