# SPDX-License-Identifier: Apache-2.0
"""Progress of long work on a terminal: tqdm's bar where it is installed, else a line of the console's own."""

from __future__ import annotations

import time
from typing import Any, Optional

from .console import Console


class ProgressBar:
    """Shows what is worked at, how much is done, and the time that is left; nothing where nobody watches.

    Called with what is worked at, how many parts are done, and of how many.
    """

    def __init__(self, console: Console) -> None:
        self.console: Console = console
        self.bar: Any = None
        self.total: Optional[int] = None
        self.started: float = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        if not self.console.shows_progress():
            return
        if total != self.total or done == 0:
            self.begin(total)
        if self.bar is not None:
            self.bar.set_description_str(what, refresh=False)
            self.bar.update(done - self.bar.n)
            return
        left = (time.monotonic() - self.started) / done * (total - done) if done else None
        words = "" if left is None else ", {} left".format(duration(left))
        self.console.progress("{} of {}{}: {}".format(done, total, words, what))

    def begin(self, total: int) -> None:
        self.close()
        self.total, self.started = total, time.monotonic()
        try:
            from tqdm import tqdm
        except ImportError:
            return
        self.bar = tqdm(total=total, file=self.console.stderr, leave=False, unit="layer")

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
        elif self.total is not None:
            self.console.progress("")
        self.bar = self.total = None


def duration(seconds: float) -> str:
    """Write a duration: `12 s`, `3 min 20 s`, `2 h 5 min`."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return "{} h {} min".format(*divmod(minutes, 60))
    return "{} min {} s".format(minutes, rest) if minutes else "{} s".format(rest)
