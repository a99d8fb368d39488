# SPDX-License-Identifier: Apache-2.0
"""Finding the layers to skip: scores of layers, and a search that asks about candidates."""

from __future__ import annotations

from .bisection import Bisection, Candidate, Needed, search
from .journal import Journal, replay
from .scores import Scores, load_scores
from .toolkit import toolkit_strategy

__all__ = [
    "Bisection",
    "Candidate",
    "Journal",
    "Needed",
    "Scores",
    "load_scores",
    "replay",
    "search",
    "toolkit_strategy",
]
