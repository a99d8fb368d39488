# SPDX-License-Identifier: Apache-2.0
"""Made-up models for the search: what each layer costs while it is quantized, and a ranking of some quality.

A few hot layers cost a lot each, the others share a little. The ceilings are those of a plain search that was tried first.
"""

import math
import random
from typing import Dict, List, NamedTuple, Optional, Tuple

TOLERANCE = 0.01


class Row(NamedTuple):
    """A kind of model: layers, hot ones among them, quality of the ranking (None: there is none), and the ceilings."""

    layers: int
    hot: int
    quality: Optional[float]
    ceilings: Dict[str, Tuple[float, float]]  # of median runs and mean size, by the kind of answers

    def __str__(self) -> str:
        return "{} / {}, {}".format(self.layers, self.hot, self.quality)


def row(layers, hot, quality, verdict_runs, verdict_size, score_runs, score_size):
    return Row(layers, hot, quality, {"verdicts": (verdict_runs, verdict_size), "scores": (score_runs, score_size)})


ROWS = (
    row(28, 3, 0.5, 18, 1.25, 23, 1.05),
    row(120, 6, 0.5, 38, 1.4, 50, 1.05),
    row(120, 6, None, 75, 3.6, 70, 1.05),
    row(400, 6, 0.7, 22, 1.05, 42, 1.05),
    row(400, 6, 0.5, 45, 1.75, 58, 1.05),
)


def oracle(layers: int, hot: int, quality: Optional[float], seed: int) -> Tuple[List[float], Optional[List[int]]]:
    """The cost of each layer, and the layers in the order of the ranking."""
    chance = random.Random(seed)
    cost = [0.0] * layers
    chosen = chance.sample(range(layers), hot)
    for layer in chosen:
        cost[layer] = chance.uniform(0.004, 0.03)
    others = [layer for layer in range(layers) if layer not in set(chosen)]
    shares = [abs(chance.gauss(0, 1)) for _ in others]
    for layer, share in zip(others, shares):
        cost[layer] = 0.006 * share / sum(shares)
    if quality is None:
        return cost, None
    keys = [math.log(max(c, 1e-12)) * quality + chance.gauss(0, 1) * 3 * (1 - quality) for c in cost]
    return cost, sorted(range(layers), key=lambda layer: -keys[layer])


def optimum(cost: List[float]) -> int:
    """The fewest layers that have to be skipped."""
    left, count = sum(cost), 0
    for one in sorted(cost, reverse=True):
        if left <= TOLERANCE + 1e-15:
            break
        left, count = left - one, count + 1
    return count
