# SPDX-License-Identifier: Apache-2.0
"""The journal of a search: a line for each run, from which a rerun resumes."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from typing import Any

from .bisection import Bisection, Candidate
from .strategy import Verdict

NAME = "journal.jsonl"
CANT_TELL = 125  # the exit status of a command that has looked and can't tell


class Journal:
    """The runs of a search, in `journal.jsonl` of a folder.

    A line is on the disk before the search goes on. A last line that was cut off when the process was killed is dropped,
    and so is whatever is not a line of ours. A run that ended without a verdict, other than by saying so, is run again.

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
        self.entries += filter(None, map(entry_of, whole.splitlines()))
        if whole != data:
            with open(self.path, "r+b") as file:
                file.truncate(len(whole))

    def verdicts_on(self, candidate: Candidate) -> list[Verdict]:
        """Return the verdicts on a candidate so far, run by run."""
        return self.verdicts().get(frozenset(candidate.skip), [])

    def verdicts(self) -> dict[frozenset[str], list[Verdict]]:
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


def entry_of(line: bytes) -> dict[str, Any] | None:
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
    for names, verdicts in journal.verdicts().items():
        for verdict in verdicts[search.runs_of(names) :]:
            search.take(names, verdict)
    return search.ask()
