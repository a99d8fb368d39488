# SPDX-License-Identifier: Apache-2.0
"""The questions that a search will most probably ask next: it is replayed on supposed answers, the likeliest first."""

from __future__ import annotations

import heapq
from typing import Container, Dict, FrozenSet, List, Tuple

from .strategy import Names, Strategy, Verdict, Verdicts, advance

UNLIKELY = 1 / 256  # how likely a question has to be reached: what is less likely is as good as never asked


def likely_questions(
    strategy: Strategy, verdicts: Verdicts, pending: Container[FrozenSet[str]], count: int
) -> List[Names]:
    """Return the sets that the search will most probably ask about, the likeliest first; none whose verdict is pending."""
    found: Dict[FrozenSet[str], Names] = {}
    # Likelihood, number, what is supposed.
    paths: List[Tuple[float, int, Dict[FrozenSet[str], Verdict]]] = [(-1.0, 0, {})]
    number = 0
    while paths and len(found) < count and -paths[0][0] >= UNLIKELY:
        likelihood, _, supposed = heapq.heappop(paths)
        reached: Dict[FrozenSet[str], Verdict] = {}
        search = strategy.questions(reached)
        question = advance(search, next(search, None), {**verdicts, **supposed}, reached)
        if question is None:
            continue
        key = frozenset(question.names)
        if key not in pending:
            found.setdefault(key, question.names)
        for answer, chance in question.answers:
            number += 1
            heapq.heappush(paths, (likelihood * chance, number, {**supposed, key: answer}))
    return list(found.values())
