# SPDX-License-Identifier: Apache-2.0
"""The journal of a search: a line for each run, keyed by the effective plan, from which a rerun resumes."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any, Dict, List, Optional, Sequence, Union

from .bisection import Bisection, Candidate
from .strategy import Verdict

__all__ = ["Journal", "replay"]

NAME = "journal.jsonl"


class Journal:
    """What became of runs, in `journal.jsonl` of a folder.

    A line is on the disk before the search goes on. A last line that was cut off when the process was killed is dropped.
    """

    def __init__(self, folder: str) -> None:
        os.makedirs(folder, exist_ok=True)
        self.path: str = os.path.join(folder, NAME)
        self.runs: Dict[str, List[Dict[str, Any]]] = {}
        if os.path.exists(self.path):
            self._read()

    def _read(self) -> None:
        with open(self.path, "rb") as file:
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        for line in whole.splitlines():
            try:
                entry = json.loads(line.decode("utf-8"))
                self.runs.setdefault(entry["plan"], []).append(entry)
            except (ValueError, KeyError, TypeError):
                continue  # not one of ours
        if whole != data:
            with open(self.path, "r+b") as file:
                file.truncate(len(whole))

    def told(self, candidate: Candidate) -> List[Verdict]:
        """What was told of a candidate so far, run by run."""
        return [verdict_of(entry["verdict"]) for entry in self.runs.get(key_of(candidate), [])]

    def write(self, candidate: Candidate, verdict: Verdict, **more: Any) -> None:
        """Keep what became of one run."""
        value: Union[str, float, bool, None] = verdict
        entry = dict({"plan": key_of(candidate), "verdict": value, "skip": list(candidate.skip)}, **more)
        self.runs.setdefault(entry["plan"], []).append(entry)
        with open(self.path, "ab") as file:
            file.write(json.dumps(entry, ensure_ascii=True).encode("ascii") + b"\n")
            file.flush()
            os.fsync(file.fileno())


def verdict_of(value: Any) -> Verdict:
    return value if value is None or isinstance(value, bool) else float(value)


def key_of(candidate: Candidate) -> str:
    """The hash of what every layer gets: two texts that say the same are the same run."""
    plan = candidate.plan
    if plan.flavour.layout is not None:
        written = plan.to_json()
    else:
        written = repr([(e.layer, e.quant_enable, e.fuse, e.calibration_config) for e in plan.values()])
    fused = sorted(name for name, effective in plan.items() if effective.fuse)
    return hashlib.sha256(json.dumps([written, fused]).encode("utf-8")).hexdigest()


def replay(search: Bisection, journal: Journal) -> Optional[Candidate]:
    """Tell a search what the journal has; gives the candidate that has to be run next, None where there is none."""
    used: Dict[Sequence[str], int] = {}
    while True:
        candidate = search.ask()
        if candidate is None:
            return None
        told = journal.told(candidate)
        number = used.get(candidate.skip, 0)
        if number >= len(told):
            return candidate
        used[candidate.skip] = number + 1
        search.tell(candidate, told[number])
