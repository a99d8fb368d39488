# SPDX-License-Identifier: Apache-2.0
"""The sensitivity of each layer: its output, or the model's, in floats and with this layer alone quantized."""

from __future__ import annotations

import math
from typing import Sequence

import numpy as np

from .calibration import Batch
from .network import Network, Runner

PIECE = 1 << 20  # values that are compared at a time in float64
NOTHING_DIFFERS = 200.0  # decibels


class Agreement:
    """The agreement of the outputs of several batches with others: mean cosine, and signal against noise."""

    def __init__(self) -> None:
        self.cosines: list[float] = []
        self.signal: float = 0.0
        self.noise: float = 0.0

    def add(self, wanted: np.ndarray, found: np.ndarray) -> None:
        both = one = other = noise = 0.0
        wanted, found = wanted.reshape(-1), found.reshape(-1)
        for begin in range(0, len(wanted), PIECE):
            a = wanted[begin : begin + PIECE].astype(np.float64)
            b = found[begin : begin + PIECE].astype(np.float64)
            both += multiply_inner(a, b)
            one += multiply_inner(a, a)
            other += multiply_inner(b, b)
            with np.errstate(invalid="ignore", over="ignore"):  # the floats themselves may be infinite
                np.subtract(a, b, out=b)
            noise += multiply_inner(b, b)
        if not math.isfinite(one):
            cosine = math.nan
        elif not math.isfinite(noise):
            cosine = 0.0
        else:
            cosine = 1.0 if not one else 0.5 + 0.5 * both / math.sqrt(one * other) if other else 0.0
            cosine = min(max(cosine, 0.0), 1.0)
        self.cosines.append(cosine)
        self.signal += one
        self.noise += noise

    @property
    def cosine(self) -> float:
        """0.5 + 0.5 · cosine of the outputs, the mean over the batches."""
        return math.fsum(self.cosines) / len(self.cosines)

    @property
    def decibels(self) -> float:
        """10 · log10 of the squares of the outputs over those of the differences; 200 where nothing differs.

        -200 where only the others are NaN or infinity; NaN where the outputs in floats are.
        """
        if not math.isfinite(self.signal):
            return math.nan
        if not math.isfinite(self.noise):
            return -NOTHING_DIFFERS
        if not self.noise:
            return NOTHING_DIFFERS
        return 10 * math.log10(self.signal / self.noise) if self.signal else -NOTHING_DIFFERS


def multiply_inner(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.einsum("i,i->", a, b))  # np.dot would wake BLAS's threads, which onnxruntime's wait for


class Reference:
    """The outputs of a network in floats, with which those of other networks are compared."""

    def __init__(self, network: Network, batches: Sequence[Batch]) -> None:
        self.batches: Sequence[Batch] = batches
        self.wanted: list[list[np.ndarray]] = self.compute_outputs(network)

    def compute_outputs(self, network: Network) -> list[list[np.ndarray]]:
        runner = Runner(network)
        return [[array for array in runner.run(batch) if array.dtype.kind == "f"] for batch in self.batches]

    def measure(self, network: Network) -> float:
        """Measure the signal against the noise of a network's outputs, all together."""
        agreement = Agreement()
        for one, other in zip(self.wanted, self.compute_outputs(network)):
            for wanted, found in zip(one, other):
                agreement.add(wanted, found)
        return agreement.decibels
