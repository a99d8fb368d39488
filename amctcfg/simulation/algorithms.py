# SPDX-License-Identifier: Apache-2.0
"""The algorithms of the toolkit in numpy: ARQ for weights, IFMR and HFMG for activations, DMQ between the two.

Each is a function of arrays; none knows of graphs or configurations. They compute in float32 where the toolkit does.
Rounding is half to even. Source: the vendor's public PyTorch toolkit.
"""

from __future__ import annotations

import math
from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

__all__ = [
    "EPSILON",
    "Histogram",
    "Samples",
    "arq",
    "bounds_to_scale",
    "dmq",
    "fake_quantize",
    "hfmg",
    "ifmr",
    "limits",
]

EPSILON = 1.1920929e-07  # of float32: a smaller scale counts as 1
CHUNK = 1 << 15  # values that the plain search looks at together: they stay in the processor's cache


def limits(bits: int) -> Tuple[int, int]:
    """The least and the largest integer of a signed type of so many bits."""
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def fake_quantize(values: np.ndarray, scale: np.ndarray, bits: int) -> np.ndarray:
    """Values rounded to whole multiples of a scale, within the range of the type, without offset; float32."""
    low, high = limits(bits)
    found = np.divide(values, scale, dtype=np.float32)
    np.rint(found, out=found)
    np.clip(found, low, high, out=found)
    rounded: np.ndarray = np.multiply(found, scale, out=found)
    return rounded


# ---------------------------------------------------------------- weights


def arq(weights: np.ndarray, bits: int, axes: Optional[Tuple[int, ...]] = None) -> np.ndarray:
    """The symmetric scale of weights (ARQ): their largest magnitude over the largest integer.

    Args:
        weights: The weights, float32.
        bits: The width of the quantized weights.
        axes: The axes that share a scale; None for one scale of all.

    Returns:
        The scales, float32, in the shape of the weights with `axes` of length 1.

    Source: `arq_quantize`; where the negative end is the larger one, the range has one step more.
    """
    largest = np.max(weights, axis=axes, keepdims=True)
    least = np.min(weights, axis=axes, keepdims=True)
    return symmetric_scale(largest, least, bits)


def symmetric_scale(largest: np.ndarray, least: np.ndarray, bits: int) -> np.ndarray:
    """The scale that fits both ends of a range without an offset."""
    below, above = np.abs(least), np.abs(largest)
    low, high = limits(bits)
    steps = np.where(above < below, np.float32(-low), np.float32(high))
    scale = np.maximum(above, below) / steps
    found: np.ndarray = np.where(scale < np.float32(EPSILON), np.float32(1), scale).astype(np.float32)
    return found


# ---------------------------------------------------------------- balancing


def dmq(activations: np.ndarray, weights: np.ndarray, strength: float) -> np.ndarray:
    """The factor of each input channel that moves a part of the difficulty from activations to weights (DMQ).

    Args:
        activations: The largest magnitude of the activations in each input channel, float32.
        weights: The same of the weights.
        strength: `migration_strength`, how much is moved.

    Returns:
        A factor for each channel, float32: activations are divided by it, weights multiplied.

    Source: `dmq_balancer`; a channel in which one of the two is nothing gets the factor that reaches the largest
    balanced magnitude of the others.
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


class Samples:
    """Values of an activation, sorted once for all searches. The array is sorted in place where it is given away."""

    def __init__(self, values: np.ndarray, own: bool = False) -> None:
        flat = np.ascontiguousarray(values, dtype=np.float32).reshape(-1)
        self.values: np.ndarray = flat if own or (flat.base is None and flat is not values) else flat.copy()
        self.is_sorted: bool = False
        self._sums: Optional[np.ndarray] = None
        self._square: float = 0.0

    def __len__(self) -> int:
        return len(self.values)

    def sort(self) -> np.ndarray:
        if not self.is_sorted:
            self.values.sort()
            self.is_sorted = True
        return self.values

    def sums(self) -> Tuple[np.ndarray, float]:
        """The sums of the first 0, 1, 2, ... sorted values, and the sum of all squares, in float64."""
        if self._sums is None:
            values = self.sort()
            self._sums = np.empty(len(values) + 1, np.float64)
            self._sums[0] = 0
            np.cumsum(values, dtype=np.float64, out=self._sums[1:])
            pieces = (values[i : i + CHUNK].astype(np.float64) for i in range(0, len(values), CHUNK))
            self._square = math.fsum(float(np.dot(piece, piece)) for piece in pieces)
        return self._sums, self._square


def ifmr(
    samples: Samples,
    bits: int,
    asymmetric: bool,
    percentiles: Tuple[float, float] = (0.999999, 0.999999),
    search: Tuple[float, float, float] = (0.7, 1.3, 0.01),
) -> Tuple[float, int]:
    """The scale and offset of activations with the least squared error (IFMR).

    Args:
        samples: The values of all batches together.
        bits: The width of the quantized activations.
        asymmetric: Whether there is an offset.
        percentiles: Which of the largest and of the smallest values count as the ends of the range.
        search: Start, end and step of the factors by which the upper end is multiplied.

    Returns:
        The scale (a float32 as a float) and the offset.

    Source: `ifmr_quantize`. Where it pays the values are sorted and the loss of each candidate is read from prefix sums;
    `ifmr_losses` computes the same as the toolkit does.
    """
    high, low = range_of(samples, percentiles)
    steps = (1 << bits) - 1
    if not asymmetric:
        steps = 1 << (bits - 1)
        if abs(high) >= abs(low):
            steps -= 1
        high, low = max(abs(high), abs(low)), np.float32(0)
    with np.errstate(over="ignore", invalid="ignore"):
        tops = high * ratios(*search)
        scales = (tops - low) / np.float32(steps)
        scales = np.where(scales < np.float32(EPSILON), np.float32(1), scales).astype(np.float32)
        bottoms = np.full_like(tops, low) if asymmetric else -tops
        best = least_loss(samples, bottoms, tops, scales, bits)
        scale = scales[best]
        offset = -int(np.rint(low / scale)) - (1 << (bits - 1)) if asymmetric and np.isfinite(scale) else 0
    return float(scale), offset


def range_of(samples: Samples, percentiles: Tuple[float, float]) -> Tuple[np.float32, np.float32]:
    """The ends of the range: the k-th largest value, at least 0, and the k-th smallest, at most 0."""
    count = len(samples)
    upper, lower = (1 if 1 - p < EPSILON else count - int(p * count) for p in percentiles)
    if samples.is_sorted or upper > 1 or lower > 1:
        values = samples.sort()
        high, low = values[count - upper], values[lower - 1]
    else:
        high, low = np.max(samples.values), np.min(samples.values)
    return max(high, np.float32(0)), min(low, np.float32(0))


def ratios(start: float, end: float, step: float) -> np.ndarray:
    """The factors that are tried: start + i · step in float64, then float32."""
    return (start + np.arange(math.ceil((end - start) / step)) * step).astype(np.float32)


def least_loss(samples: Samples, bottoms: np.ndarray, tops: np.ndarray, scales: np.ndarray, bits: int) -> int:
    """The first candidate with the least loss.

    From prefix sums where there are many values for each integer; where the two least are as near as the toolkit's own
    float32 sums can't tell apart, these few are computed as it does.
    """
    if len(samples) < PAYS << bits or not np.isfinite(np.float32(tops[-1]) ** 2 * len(samples)):
        return int(np.argmin(ifmr_losses(samples.values, bottoms, tops, scales)))
    losses = sorted_losses(samples, bottoms, tops, scales)
    near = np.flatnonzero(losses <= losses.min() * (1 + NEAR))
    if 1 < len(near) <= FEW:
        return int(near[np.argmin(ifmr_losses(samples.values, bottoms[near], tops[near], scales[near]))])
    return int(near[0])


PAYS = 256  # values for each integer from which on sorting is faster: 65,536 at 8 bits, 16 million at 16
NEAR = 1e-5  # relative
FEW = 4  # candidates that are computed again


def ifmr_losses(values: np.ndarray, bottoms: np.ndarray, tops: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """The loss of each candidate, one after the other: the mean of (round(clip(x) / scale) · scale - x)²."""
    sums = np.zeros(len(scales))
    size = min(CHUNK, len(values))
    first, rounded = np.empty(size, np.float32), np.empty(size, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for begin in range(0, len(values), size):
            x = values[begin : begin + size]
            error, work = first[: len(x)], rounded[: len(x)]
            for i in range(len(scales)):
                np.clip(x, bottoms[i], tops[i], out=work)
                np.divide(work, scales[i], out=work)
                np.rint(work, out=work)
                np.multiply(work, scales[i], out=work)
                np.subtract(work, x, out=error)
                np.multiply(error, error, out=error)
                sums[i] += np.sum(error, dtype=np.float64)
        losses = (sums / max(len(values), 1)).astype(np.float32)
    return np.where(np.isnan(losses), np.float32(np.inf), losses)


def sorted_losses(samples: Samples, bottoms: np.ndarray, tops: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """The same from sorted values: those between two rounding borders cost n·v² - 2·v·(their sum) + their squares."""
    values, (sums, square) = samples.sort(), samples.sums()
    losses = np.empty(len(scales))
    for i, scale in enumerate(scales.astype(np.float64)):
        levels = np.arange(np.rint(bottoms[i] / scales[i]), np.rint(tops[i] / scales[i]) + 1)
        borders = ((levels[:-1] + 0.5) * scale).astype(np.float32)
        places = np.concatenate([[0], np.searchsorted(values, borders), [len(values)]])
        v = levels * scale
        losses[i] = np.sum(v * (v * np.diff(places) - 2 * np.diff(sums[places])))
    return np.maximum(losses + square, 0) / len(values)


# ---------------------------------------------------------------- activations: HFMG


class Histogram(NamedTuple):
    """How many values lie in each of the equal bins between two ends (float32)."""

    counts: np.ndarray
    low: np.float32
    high: np.float32


def hfmg(batches: Sequence[np.ndarray], bits: int, asymmetric: bool, bins: int) -> Tuple[float, int]:
    """The scale and offset of activations whose clipping range a histogram decides (HFMG).

    Args:
        batches: The values of each batch.
        bits: The width of the quantized activations.
        asymmetric: Whether there is an offset.
        bins: How many bins the histogram has.

    Returns:
        The scale (a float32 as a float) and the offset.

    Source: `hfmg_quantize`.
    """
    histogram = None
    for values in batches:
        histogram = histogram_of(values, bins) if histogram is None else extended(histogram, values)
    assert histogram is not None
    low, high = clip_range(histogram, bits)
    return bounds_to_scale(low, high, bits, asymmetric)


def bounds_to_scale(low: np.float32, high: np.float32, bits: int, asymmetric: bool) -> Tuple[float, int]:
    """The scale and offset of a range."""
    least = limits(bits)[0]
    if not asymmetric:
        return float(symmetric_scale(np.float32(high), np.float32(low), bits)), 0
    low, high = min(low, np.float32(0)), max(high, np.float32(0))
    with np.errstate(over="ignore"):
        scale = np.float32(np.float32(high - low) / np.float32((1 << bits) - 1))
    if scale < np.float32(EPSILON):
        return 1.0, least
    if not np.isfinite(scale):
        return float(scale), 0
    return float(scale), int(np.rint(np.float32(least) - low / scale))


def histogram_of(values: np.ndarray, bins: int) -> Histogram:
    low, high = np.min(values), np.max(values)
    return Histogram(counted(values, low, high, bins), low, high)


def counted(values: np.ndarray, low: np.float32, high: np.float32, bins: int) -> np.ndarray:
    """The number of values in each bin, by float32; all in the first where the range has no width."""
    width = np.float32(high - low)
    if not width > 0 or not np.isfinite(width):
        return np.bincount([0], [values.size], bins).astype(np.int64)
    with np.errstate(over="ignore", invalid="ignore"):
        places = (values.reshape(-1) - low) * np.float32(bins) / width
    return np.bincount(np.minimum(places, np.float32(bins - 1), out=places).astype(np.int64), minlength=bins)


def extended(old: Histogram, values: np.ndarray) -> Histogram:
    """A histogram with the values of another batch, over the range of both."""
    bins = len(old.counts)
    low, high = min(old.low, np.min(values)), max(old.high, np.max(values))
    new = counted(values, low, high, bins)
    if abs(low - old.low) <= EPSILON and abs(high - old.high) <= EPSILON:
        return Histogram(new + old.counts, low, high)
    width = (float(high) - float(low)) / bins
    old_width = (float(old.high) - float(old.low)) / bins
    begins = float(old.low) + np.arange(bins) * old_width
    first = np.clip(np.floor((begins - float(low)) / width), 0, bins - 1).astype(np.int64)
    if old_width == 0:
        new[first[0]] += old.counts.sum()
        return Histogram(new, low, high)
    last = np.clip(np.floor((begins + old_width - float(low)) / width), 0, bins - 1).astype(np.int64)
    border = float(low) + last * width
    part = np.clip(old.counts * (border - begins) / old_width, 0, old.counts).astype(np.int64)
    head = np.where(first == last, old.counts, part)
    np.add.at(new, first, head)
    np.add.at(new, last, old.counts - head)
    return Histogram(new, low, high)


def clip_range(histogram: Histogram, bits: int) -> Tuple[np.float32, np.float32]:
    """The range of neighbouring bins that loses least when it is quantized; all of it where it has no width."""
    counts, low, high = histogram
    if not high > low:
        return low, high
    bins = len(counts)
    width = (float(high) - float(low)) / bins
    windows = candidate_windows(counts)
    if not windows:
        return low, high
    losses = window_losses(counts, windows, bits)
    left, right = windows[int(np.argmin(losses))]
    return np.float32(float(low) + left * width), np.float32(float(low) + (right + 1) * width)


def candidate_windows(counts: np.ndarray) -> List[Tuple[int, int]]:
    """The windows of the search, each a step narrower on the side where that leaves out more bins."""
    bins, total = len(counts), int(counts.sum())
    step = max(math.ceil(total / 100000), 1)
    until = np.cumsum(counts)  # of the values in the bins up to this one
    left, right, found = 0, bins - 1, []
    while right - left > math.ceil(bins / 4):
        before = int(until[left - 1]) if left else 0
        further = min(int(np.searchsorted(until, before + step)) + 1, right)
        nearer = max(int(np.searchsorted(until, int(until[right]) - step, side="right")) - 1, left)
        if further - left > right - nearer:
            left = further
        else:
            right = nearer
        found.append((left, right))
    return found


def window_losses(counts: np.ndarray, windows: Sequence[Tuple[int, int]], bits: int) -> np.ndarray:
    """The loss of each window: from integrals up to the borders of the targets where these are fewer than the bins."""
    if 1 << bits >= len(counts):
        return np.array([window_loss(counts, left, right, bits) for left, right in windows])
    places = np.arange(len(counts), dtype=np.float64)
    mass, moment = prefixed(counts), prefixed(counts * (places + 0.5))
    square = float(np.dot(counts, places * (places + 1) + 1 / 3))
    found = np.empty(len(windows))
    for begin in range(0, len(windows), WINDOWS):
        left, right = (np.array(ends, np.float64) for ends in zip(*windows[begin : begin + WINDOWS]))
        steps = (right - left + 1) / (1 << bits)
        borders = left[:, None] + steps[:, None] * np.arange(1, 1 << bits)
        bins = borders.astype(np.int64)
        inside = counts[bins]
        zero, one = np.zeros((len(left), 1)), np.ones((len(left), 1))
        masses = np.hstack([zero, mass[bins] + inside * (borders - bins), one * mass[-1]])
        moments = np.hstack(
            [zero, moment[bins] + inside * (borders**2 - bins.astype(np.float64) ** 2) / 2, one * moment[-1]]
        )
        centres = left[:, None] + steps[:, None] * (np.arange(1 << bits) + 0.5)
        parts = centres * (centres * np.diff(masses, axis=1) - 2 * np.diff(moments, axis=1))
        found[begin : begin + WINDOWS] = parts.sum(axis=1) + square
    return found


WINDOWS = 64  # that are looked at together


def prefixed(values: np.ndarray) -> np.ndarray:
    """The sums of the first 0, 1, 2, ... values."""
    return np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])


def window_loss(counts: np.ndarray, left: int, right: int, bits: int) -> float:
    """The squared error of values that are uniform in their bins, in squared bins, where a window is quantized."""
    targets = 1 << bits
    step = (right - left + 1) / targets
    bins = np.flatnonzero(counts)
    begin = bins - float(left)
    end = begin + 1
    first = np.clip(np.floor(begin / step), 0, targets - 1)
    last = np.clip(np.floor(end / step), 0, targets - 1)
    half = step / 2
    head = half**3 - (begin - (first + 0.5) * step) ** 3
    middle = (last - first - 1) * 2 * half**3
    tail = (end - (last + 0.5) * step) ** 3 + half**3
    return float(np.dot(counts[bins], head + middle + tail)) / 3
