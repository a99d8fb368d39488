# SPDX-License-Identifier: Apache-2.0
"""Commands on this machine, several at once, none of whose processes is left behind; and the verdict by how one ended."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
from typing import Any, Iterator, Mapping, NamedTuple, Sequence

from ..diagnostics.words import quote_name
from ..documents.files import replace
from . import worker as worker_module
from .journal import CANT_TELL
from .scores import parse_number
from .strategy import Verdict
from .worker import FILE_ENDINGS, LIMIT, fill_in, supervise_command

SCORE = re.compile(r"^amctcfg-score:[ \t]*(\S+)[ \t]*\r?$", re.MULTILINE)
NOT_EXECUTABLE, NOT_FOUND = 126, 127


class CommandError(Exception):
    """A command can't be run, so that the search can't go on."""


class Ended(NamedTuple):
    """A command that has ended: its exit status (a signal is negative), the end of its output, and on which machine."""

    status: int
    output: bytes
    where: str = ""

    def read_verdict(self, program: str, target: float | None, log: str) -> Verdict:
        """Return the verdict by git's protocol or the printed score. Raises `CommandError`, with program and log, for none."""
        if self.status == CANT_TELL:
            return None
        if self.status in (NOT_EXECUTABLE, NOT_FOUND):
            what = "the command {}".format(
                "could not be executed" if self.status == NOT_EXECUTABLE else "was not found"
            )
            what += " by the {}".format(self.where) if self.where else ""
        elif target is not None:
            return read_score(self.output, log)
        elif self.status < 0:
            what = "{} was ended by signal {}".format(quote_name(program), -self.status)
        elif self.status > CANT_TELL:
            what = "the command exited with {}".format(self.status)
        else:
            return self.status == 0
        raise CommandError("{}, which is not a verdict; its output is in {}".format(what, log))


class LocalCommands:
    """Runs commands on files of a folder."""

    def __init__(self, folder: str, jobs: int) -> None:
        self.folder: str = folder
        self.jobs: int = jobs
        self._stopped: bool = False

    def find_places(self, worker: str) -> dict[str, str]:
        """Return where the files of the placeholders lie for a worker."""
        stem = os.path.join(self.folder, "candidate" if self.jobs == 1 else "candidate-" + worker)
        return {placeholder: stem + ending for placeholder, ending in FILE_ENDINGS.items()}

    def fill_in(self, words: Sequence[str], values: Mapping[str, str]) -> list[str]:
        filled = {**values, **self.find_places(values["worker"])}
        return [fill_in(word, filled) for word in words]

    def run(self, words: Sequence[str], files: Mapping[str, bytes], values: Mapping[str, str], log: str) -> Ended:
        """Run a command to its end; `log` gets its output. Raises `CommandError` where it can't be run, or is stopped."""
        worker = values["worker"]
        places = self.find_places(worker)
        for placeholder, contents in files.items():
            replace(contents, places[placeholder], None)
        filled = self.fill_in(words, values)
        answers: dict[str, Any] = {}
        if not self._stopped:
            answers = supervise_command([worker_module.__file__], filled, worker, log, lambda: not self._stopped)
        if self._stopped:
            raise CommandError("the search was stopped")
        if "error" in answers:
            raise CommandError("can't run '{}': {}".format(filled[0], answers["error"]))
        with open(log, "rb") as file:
            return Ended(answers["status"], file.read(LIMIT))

    def stop(self) -> None:
        self._stopped = True


@contextlib.contextmanager
def take_one_interrupt() -> Iterator[None]:
    """Take Ctrl-C once: while everything that was started is being ended, another one has nothing to add."""
    is_ours = threading.current_thread() is threading.main_thread()
    if not is_ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def interrupt(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def read_score(output: bytes, log: str) -> Verdict:
    found = SCORE.findall(output.decode("utf-8", "replace"))
    if not found:
        return None
    score = parse_number(found[-1])
    if score is None:
        raise CommandError("'amctcfg-score: {}' is not a number; the output is in {}".format(found[-1], log))
    return score if abs(score) < float("inf") else False  # a model that gives NaN is a bad one
