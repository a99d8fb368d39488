# SPDX-License-Identifier: Apache-2.0
"""Scores for the commands that take them, and the room that reads them."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from ..workspace.failure import using
from .console import Console, Failure
from .opening import importing

if TYPE_CHECKING:
    from ..tuning import Scores


def require_tuning() -> Any:
    with importing("tuning"):
        from .. import tuning
    return tuning


def read_scores(arguments: Namespace, console: Console) -> Scores:
    """Read the scores that the options name, with the direction that they or the file give."""
    tuning = require_tuning()
    if arguments.low_is_sensitive and arguments.high_is_sensitive:
        raise Failure("--low-is-sensitive and --high-is-sensitive exclude each other")
    console.inputs.append(arguments.scores)
    with using(arguments.scores, "scores"):
        scores: Scores = tuning.load_scores(arguments.scores, arguments.column)
    if arguments.low_is_sensitive or arguments.high_is_sensitive:
        scores = tuning.Scores(scores, arguments.low_is_sensitive, scores.kind)
    elif scores.low_is_sensitive is not None:
        console.note("{} holds {}: low is sensitive".format(arguments.scores, scores.kind))
    return scores


def require_direction(scores: Scores, arguments: Namespace) -> Scores:
    if scores.low_is_sensitive is None:
        words = (
            "{} does not show whether low or high scores are sensitive; say --low-is-sensitive or --high-is-sensitive"
        )
        raise Failure(words.format(arguments.scores))
    return scores
