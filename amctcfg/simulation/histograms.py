# SPDX-License-Identifier: Apache-2.0
"""HFMG in numpy: the clipping range of activations from a histogram of their values."""

from __future__ import annotations

import math
from typing import NamedTuple, Sequence

import numpy as np

from .algorithms import EPSILON, compute_scale


class Histogram(NamedTuple):
    """The number of values in each of the equal bins between two ends (float32)."""

    counts: np.ndarray
    low: np.float32
    high: np.float32


def search_hfmg(batches: Sequence[np.ndarray], bits: int, asymmetric: bool, bins: int) -> tuple[float, int]:
    """Find the scale (a float32 as a float) and offset of activations by a histogram. Source: `hfmg_quantize`."""
    histogram = None
    for values in batches:
        histogram = histogram_of(values, bins) if histogram is None else extend_histogram(histogram, values)
    assert histogram is not None
    low, high = clip_range(histogram, bits)
    return compute_scale(low, high, bits, asymmetric)


def histogram_of(values: np.ndarray, bins: int) -> Histogram:
    low, high = np.min(values), np.max(values)
    return Histogram(count_in_bins(values, low, high, bins), low, high)


def count_in_bins(values: np.ndarray, low: np.float32, high: np.float32, bins: int) -> np.ndarray:
    width = np.float32(high - low)
    if not width > 0 or not np.isfinite(width):
        return np.bincount([0], [values.size], bins).astype(np.int64)
    with np.errstate(over="ignore", invalid="ignore"):
        places = (values.reshape(-1) - low) * np.float32(bins) / width
    return np.bincount(np.minimum(places, np.float32(bins - 1), out=places).astype(np.int64), minlength=bins)


def extend_histogram(old: Histogram, values: np.ndarray) -> Histogram:
    bins = len(old.counts)
    low, high = min(old.low, np.min(values)), max(old.high, np.max(values))
    new = count_in_bins(values, low, high, bins)
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


def clip_range(histogram: Histogram, bits: int) -> tuple[np.float32, np.float32]:
    """Return the range of neighbouring bins that loses least when it is quantized."""
    counts, low, high = histogram
    if not high > low:
        return low, high
    bins = len(counts)
    width = (float(high) - float(low)) / bins
    windows = list_windows(counts)
    if not windows:
        return low, high
    losses = measure_windows(counts, windows, bits)
    left, right = windows[int(np.argmin(losses))]
    return np.float32(float(low) + left * width), np.float32(float(low) + (right + 1) * width)


def list_windows(counts: np.ndarray) -> list[tuple[int, int]]:
    """Return windows, each a step narrower on the side where that leaves out more bins."""
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


def measure_windows(counts: np.ndarray, windows: Sequence[tuple[int, int]], bits: int) -> np.ndarray:
    """Return the loss of each window; from integrals where targets have fewer borders than there are bins."""
    if 1 << bits >= len(counts):
        return np.array([measure_window(counts, left, right, bits) for left, right in windows])
    places = np.arange(len(counts), dtype=np.float64)
    mass, moment = sum_prefixes(counts), sum_prefixes(counts * (places + 0.5))
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


def sum_prefixes(values: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])


def measure_window(counts: np.ndarray, left: int, right: int, bits: int) -> float:
    """Return the squared error, in squared bins, of a quantized window whose bins hold uniform values."""
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
