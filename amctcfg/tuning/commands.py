# SPDX-License-Identifier: Apache-2.0
"""Commands on this machine, several at once; whatever becomes of the search, none of their processes is left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence

from . import worker


class CommandError(Exception):
    """A command can't be run; the message says which and why."""


class Ended(NamedTuple):
    """What became of a command: its exit status (a signal is negative) and the end of its output."""

    status: int
    output: bytes


class LocalCommands:
    """Runs commands, each below a small process of its own that ends it when this process dies."""

    def __init__(self) -> None:
        self._running: List[Any] = []
        self._lock: threading.Lock = threading.Lock()
        self._stopped: bool = False

    def run(self, words: Sequence[str], environment: Mapping[str, str], log: str) -> Ended:
        """Run a command to its end.

        Raises:
            CommandError: It can't be run, or `stop` was called.
        """
        job = {"words": list(words), "environment": dict(environment), "log": log}
        runner = self._start()
        try:
            answers = self._converse(runner, job)
        finally:
            self._end(runner)
        if self._stopped:
            raise CommandError("the search was stopped")
        if "error" in answers:
            raise CommandError("can't run '{}': {}".format(words[0], answers["error"]))
        if "status" not in answers:  # somebody has killed the process between us and the command
            end_group_of(answers.get("pid"))
            return Ended(-signal.SIGTERM, b"")
        with open(log, "rb") as file:
            return Ended(answers["status"], file.read(worker.LIMIT))

    def stop(self) -> None:
        """End all commands with their children; none is started any more."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for runner in running:
            with contextlib.suppress(OSError):
                runner.stdin.close()
        for runner in running:
            runner.wait()

    def _start(self) -> Any:
        with self._lock:
            if self._stopped:
                raise CommandError("the search was stopped")
            runner = subprocess.Popen(
                [sys.executable, "-I", "-S", worker.__file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # an interrupt from the terminal reaches us alone
            )
            self._running.append(runner)
            return runner

    def _converse(self, runner: Any, job: Dict[str, Any]) -> Dict[str, Any]:
        answers: Dict[str, Any] = {}
        with contextlib.suppress(OSError):  # it was killed
            runner.stdin.write(json.dumps(job).encode("utf-8") + b"\n")
            runner.stdin.flush()
        for line in runner.stdout:
            with contextlib.suppress(ValueError):
                answers.update(json.loads(line.decode("utf-8")))
        return answers

    def _end(self, runner: Any) -> None:
        with contextlib.suppress(OSError, ValueError):
            runner.stdin.close()
        runner.wait()
        runner.stdout.close()
        with self._lock:
            self._running.remove(runner)


def end_group_of(pid: Any) -> None:
    """End what a command left behind."""
    if pid and hasattr(os, "killpg"):
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)
