# SPDX-License-Identifier: Apache-2.0
"""The folder of a search, for one at a time, and the journal in it: a line for each run, from which a rerun resumes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import threading
from typing import Any, Iterator, Pattern

from ..documents.files import write
from .bisection import Bisection, Candidate
from .strategy import Verdict

NAME = "journal.jsonl"
CANT_TELL = 125  # the exit status


class Journal:
    """The runs of a search, in `journal.jsonl` of a folder.

    A line is on the disk before the search goes on. A last line that was cut off is dropped, and what is not a line of ours.
    A run that ended without a verdict, other than by saying so, is run again.

    Args:
        folder: The folder, which is made where it is missing.

    Raises:
        OSError: It can't be read, or `journal.jsonl` is not a file.
    """

    def __init__(self, folder: str) -> None:
        os.makedirs(folder, exist_ok=True)
        self.path: str = os.path.join(folder, NAME)
        self.entries: list[dict[str, Any]] = []
        self._lock: threading.Lock = threading.Lock()
        if not os.path.exists(self.path):
            return
        if not os.path.isfile(self.path):
            raise OSError(22, "it is not a file", self.path)
        with open(self.path, "rb") as file:
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self.entries += filter(None, map(read_journal_line, whole.splitlines()))
        if whole != data:
            os.truncate(self.path, len(whole))

    def list_verdicts(self) -> dict[frozenset[str], list[Verdict]]:
        """Return the verdicts on each set of layers, in the order of their first runs."""
        found: dict[frozenset[str], list[Verdict]] = {}
        for entry in self.entries:
            if entry["verdict"] is not None or entry.get("status", CANT_TELL) == CANT_TELL:
                found.setdefault(frozenset(entry["skip"]), []).append(entry["verdict"])
        return found

    def write(self, candidate: Candidate, verdict: Verdict, **more: Any) -> None:
        """Record the verdict on the candidate, with whatever else is to be known of the run."""
        entry = dict({"plan": hash_plan(candidate), "verdict": verdict, "skip": list(candidate.skip)}, **more)
        line = json.dumps(entry, ensure_ascii=True).encode("ascii") + b"\n"
        with self._lock:
            self.entries.append(entry)
            with open(self.path, "ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())


def read_journal_line(line: bytes) -> dict[str, Any] | None:
    """Return the run that a line tells of, None for a line that is not of ours."""
    try:
        entry = json.loads(line.decode("utf-8"))
        verdict, names = entry["verdict"], entry["skip"]
        if isinstance(verdict, (int, float)) and not isinstance(verdict, bool):
            entry["verdict"] = verdict = float(verdict)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    is_ours = (
        (verdict is None or isinstance(verdict, (bool, float)))
        and isinstance(names, list)
        and all(isinstance(name, str) for name in names)
        and isinstance(entry.get("status", 0), int)
    )
    return entry if is_ours else None


def hash_plan(candidate: Candidate) -> str:
    """Return the hash of what every layer gets: two texts that say the same have the same."""
    plan = candidate.plan
    if plan.flavour.layout is not None:
        written = plan.to_json()
    else:
        written = repr([(e.layer, e.quant_enable, e.fuse, e.calibration_config) for e in plan.values()])
    fused = sorted(name for name, effective in plan.items() if effective.fuse)
    return hashlib.sha256(json.dumps([written, fused]).encode("utf-8")).hexdigest()


def replay(search: Bisection, journal: Journal) -> Candidate | None:
    """Tell a search the verdicts of a journal that it does not have yet.

    Returns:
        The candidate that has to be run next, None where there is none.

    Raises:
        ValueError: The journal is of another search: of other layers, or with scores where this one has no target.
    """
    for names, verdicts in journal.list_verdicts().items():
        for verdict in verdicts[search.runs_of(names) :]:
            search.take(names, verdict)
    return search.ask()


# ---------------------------------------------------------------- the folder


class Locked(Exception):
    """Another search uses the folder; the argument is the number of its process, "" where it could not be read."""


class StateFolder:
    """The folder of a search, made where it is missing. None of its files may be a pipe, which would be waited for."""

    LOCK, BEGUN, RUNS = "lock", "search.json", "runs"
    OURS = re.compile(r"(journal\.jsonl|search\.json|(best|next|candidate(-\d+)?)\.(cfg|json|txt|onnx))\Z")
    BEGINNING = re.compile(r"(journal\.jsonl|search\.json)\Z")
    TEMPORARY = re.compile(r"\.amctcfg-")  # what a killed search was writing

    def __init__(self, path: str) -> None:
        self.given: str = path
        self.path: str = os.path.abspath(path)
        os.makedirs(self.path, exist_ok=True)
        for name in os.listdir(self.path):
            if (name == self.LOCK or self.OURS.match(name)) and not os.path.isfile(self.path_of(name)):
                raise OSError(22, "it is not a file", self.path_of(name))

    def path_of(self, name: str) -> str:
        return os.path.join(self.path, name)

    def shown_path_of(self, name: str) -> str:
        """Return the path of one of its files as people know it."""
        return os.path.join(self.given, name)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other searches out, or raise `Locked`; the system ends that when this process dies, however it dies."""
        with open(self.path_of(self.LOCK), "a+b", buffering=0) as file:
            file.seek(0)
            if not try_lock(file.fileno()):
                digits = file.read(20).strip()
                raise Locked(int(digits) if digits.isdigit() else "")
            file.truncate()
            file.write(b"%d\n" % os.getpid())
            self.remove(self.TEMPORARY)
            yield

    def reset(self) -> None:
        self.remove(self.OURS)
        runs = self.path_of(self.RUNS)
        for name in os.listdir(runs) if os.path.isdir(runs) else ():
            if re.match(r"\d+\.txt\Z", name):
                os.unlink(os.path.join(runs, name))

    def forget(self) -> None:
        """Forget the verdicts and how their search was begun; what its runs printed stays."""
        self.remove(self.BEGINNING)

    def remove(self, names: Pattern[str]) -> None:
        for name in filter(names.match, os.listdir(self.path)):
            os.unlink(self.path_of(name))

    def begin(self, search: dict[str, Any]) -> str | None:
        """Begin a search or go on with one; return what differs from the one that was begun."""
        path, begun = self.path_of(self.BEGUN), None
        with contextlib.suppress(FileNotFoundError, ValueError, RecursionError), open(path, "rb") as file:
            begun = json.loads(file.read().decode("utf-8"))
        if isinstance(begun, dict):
            return next((key for key, value in search.items() if begun.get(key) != value), None)
        write(json.dumps(search, indent=2) + "\n", path)
        return None

    def make_next_log(self) -> str:
        """Make the file for the output of the next run, such as `runs/0001.txt`; return its path."""
        runs = self.path_of(self.RUNS)
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
