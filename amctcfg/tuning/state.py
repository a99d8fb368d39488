# SPDX-License-Identifier: Apache-2.0
"""The folder of a search: one search at a time, begun with one command, target and configuration."""

from __future__ import annotations

import contextlib
import json
import os
import re
from typing import Any, Iterator, Pattern

from ..documents.files import write

LOCK, BEGUN, RUNS = "lock", "search.json", "runs"
OURS = re.compile(r"(journal\.jsonl|search\.json|(best|next|candidate(-\d+)?)\.(cfg|json|txt|onnx))\Z")
BEGINNING = re.compile(r"(journal\.jsonl|search\.json)\Z")
TEMPORARY = re.compile(r"\.amctcfg-")  # what a killed search was writing


class Locked(Exception):
    """Another search uses the folder; `pid` is its process, None where it could not be read."""

    def __init__(self, pid: int | None) -> None:
        super().__init__(pid)
        self.pid: int | None = pid


class StateFolder:
    """The folder of a search, made where it is missing. None of its files may be a pipe, which would be waited for."""

    def __init__(self, path: str) -> None:
        self.given: str = path
        self.path: str = os.path.abspath(path)
        os.makedirs(self.path, exist_ok=True)
        for name in os.listdir(self.path):
            if (name == LOCK or OURS.match(name)) and not os.path.isfile(self.file(name)):
                raise OSError(22, "it is not a file", self.file(name))

    def file(self, name: str) -> str:
        return os.path.join(self.path, name)

    def shown(self, name: str) -> str:
        """Return the path of one of its files as people know it."""
        return os.path.join(self.given, name)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other searches out, or raise `Locked`; the system ends that when this process dies, however it dies."""
        descriptor = os.open(self.file(LOCK), os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not try_lock(descriptor):
                digits = os.read(descriptor, 20).strip()
                raise Locked(int(digits) if digits.isdigit() else None)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, b"%d\n" % os.getpid())
            self.remove(TEMPORARY)
            yield
        finally:
            os.close(descriptor)

    def reset(self) -> None:
        self.remove(OURS)
        runs = self.file(RUNS)
        for name in os.listdir(runs) if os.path.isdir(runs) else ():
            if re.match(r"\d+\.txt\Z", name):
                os.unlink(os.path.join(runs, name))

    def forget(self) -> None:
        """Forget the verdicts and how their search was begun; what its runs printed stays."""
        self.remove(BEGINNING)

    def remove(self, names: Pattern[str]) -> None:
        for name in filter(names.match, os.listdir(self.path)):
            os.unlink(self.file(name))

    def begin(self, search: dict[str, Any]) -> str | None:
        """Begin a search or go on with one; return what differs from the one that was begun."""
        begun: Any = None
        with contextlib.suppress(FileNotFoundError, ValueError, RecursionError), open(self.file(BEGUN), "rb") as file:
            begun = json.loads(file.read().decode("utf-8"))
        if isinstance(begun, dict):
            return next((key for key, value in search.items() if begun.get(key) != value), None)
        write(json.dumps(search, indent=2) + "\n", self.file(BEGUN))
        return None

    def next_log(self) -> str:
        """Make the file for the output of the next run, such as `runs/0001.txt`; return its path."""
        runs = self.file(RUNS)
        os.makedirs(runs, exist_ok=True)
        while True:
            numbers = [int(name[:-4]) for name in os.listdir(runs) if re.match(r"\d+\.txt\Z", name)]
            path = os.path.join(runs, "{:04}.txt".format(max(numbers, default=0) + 1))
            with contextlib.suppress(FileExistsError), open(path, "xb"):  # another thread may have been faster
                return path


def try_lock(descriptor: int) -> bool:
    """Lock an open file for this process alone; return whether nobody else holds it."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        windows: Any = msvcrt
        try:
            os.lseek(descriptor, 1 << 20, os.SEEK_SET)  # behind the number, which others read
            windows.locking(descriptor, windows.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
