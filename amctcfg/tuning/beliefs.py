# SPDX-License-Identifier: Apache-2.0
"""Beliefs about where the layers that are needed lie in a ranking: guesses of different kinds, corrected by what the search finds."""

from __future__ import annotations

import math
from itertools import accumulate
from typing import Iterable, List, Sequence

SURE = 4.0  # layers that have to be found until they count as much as the first guess
MEMORY = 0.75  # what a find still counts after the next one: what can be left quantized changes with what is skipped


class Belief:
    """A guess of how likely each layer is needed, up to a factor that is learnt.

    The factor has a gamma distribution with the mean `found / passed`, so that what is learnt is added to the two.
    """

    def __init__(self, needs: Iterable[float]) -> None:
        self.weight: float = 1.0  # how well the guess has foretold what was found
        self._sums: List[float] = [0.0, *accumulate(needs)]
        self._found: float = SURE
        self._passed: float = SURE  # how many should have been found

    def none_in(self, start: int, end: int) -> float:
        """Return how likely none of the layers of a stretch is needed."""
        return math.pow(self._passed / (self._passed + self._sums[end] - self._sums[start]), self._found)

    def learn(self, place: int, end: int) -> None:
        """Take that the layer at a place is needed, and none of those behind it."""
        self.weight *= self.none_in(place + 1, end) - self.none_in(place, end)
        self._found = MEMORY * self._found + 1
        self._passed = MEMORY * self._passed + self._sums[end] - self._sums[place]


class Beliefs:
    """Guesses, each of how likely each layer of a ranking is needed, of which nobody knows yet which one is right."""

    def __init__(self, kinds: Iterable[Sequence[float]], count: int) -> None:
        self.count: int = count  # of the layers, the first ones, of which nothing is known
        self._kinds: List[Belief] = [Belief(needs[:count]) for needs in kinds]
        self._normalize()

    def none_from(self, place: int) -> float:
        """Return how likely none of the layers from a place on is needed."""
        return sum(kind.weight * kind.none_in(place, self.count) for kind in self._kinds)

    def find(self, place: int) -> None:
        """Take that the layer at a place is the last one that is needed."""
        for kind in self._kinds:
            kind.learn(place, self.count)
        self.count = place
        self._normalize()

    def _normalize(self) -> None:
        total = sum(kind.weight for kind in self._kinds)
        for kind in self._kinds:
            kind.weight /= total
