# SPDX-License-Identifier: Apache-2.0
"""The scale on which scores are drawn."""

from __future__ import annotations

import math
from typing import Iterable, Optional


class Scale:
    """A scale from the worst score to the best; of those near 1 (cosines), of the logarithm of what is missing to 1."""

    def __init__(self, scores: Iterable[float], low_is_sensitive: Optional[bool]) -> None:
        finite = [score for score in scores if math.isfinite(score)] or [0.0]
        self.sign: float = -1.0 if low_is_sensitive is False else 1.0
        self.is_logarithmic: bool = self.sign > 0 and all(0 <= score <= 1 for score in finite)
        drawn = [self.goodness(score) for score in finite]
        self.worst: float = min(drawn)
        self.best: float = max(drawn)

    def goodness(self, score: float) -> float:
        return -math.log10(max(1 - score, 1e-8)) if self.is_logarithmic else self.sign * score

    def harm(self, score: float) -> float:
        """Return how bad a score is, from 0, the best, to 1, the worst."""
        if self.worst == self.best:
            return 0.0
        share = (self.best - self.goodness(score)) / (self.best - self.worst)
        return min(max(share, 0.0), 1.0)
