# SPDX-License-Identifier: Apache-2.0
"""The verdict on a candidate by how its command ended: git's protocol, or the score that it printed."""

from __future__ import annotations

import re
from typing import Optional

from ..diagnostics.words import quote_name
from .commands import CommandError, Ended
from .journal import CANT_TELL
from .scores import parse_number
from .strategy import Verdict

SCORE = re.compile(r"^amctcfg-score:[ \t]*([^\s]+)[ \t]*\r?$", re.MULTILINE)
NOT_EXECUTABLE, NOT_FOUND = 126, 127


def verdict_of(ended: Ended, program: str, target: Optional[float], log: str) -> Verdict:
    """Return the verdict of a run. Raises `CommandError`, which names the program and the log, where it has none."""
    status = ended.status
    if status == CANT_TELL:
        return None
    if status in (NOT_EXECUTABLE, NOT_FOUND):
        what = "the command {}".format("could not be executed" if status == NOT_EXECUTABLE else "was not found")
        what += " by the {}".format(ended.where) if ended.where else ""
    elif target is not None:
        return score_in(ended.output, log)
    elif status < 0:
        what = "{} was ended by signal {}".format(quote_name(program), -status)
    elif status > CANT_TELL:
        what = "the command exited with {}".format(status)
    else:
        return status == 0
    raise CommandError("{}, which is not a verdict; its output is in {}".format(what, log))


def score_in(output: bytes, log: str) -> Verdict:
    """Return the score that a run printed last; None where it printed none."""
    found = SCORE.findall(output.decode("utf-8", "replace"))
    if not found:
        return None
    score = parse_number(found[-1])
    if score is None:
        raise CommandError("'amctcfg-score: {}' is not a number; the output is in {}".format(found[-1], log))
    return score if abs(score) < float("inf") else False  # a model that gives NaN is a bad one
