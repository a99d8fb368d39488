# SPDX-License-Identifier: Apache-2.0
"""The report of a search by `bisect`: what it goes on from, each run, and what was found."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..diagnostics.words import pluralize, quote_name
from ..documents.files import write
from ..workspace.file import ConfigFile
from .console import EXIT_FAILURE, EXIT_OK, Console, duration
from .opening import rewrite_head_paths

if TYPE_CHECKING:
    from ..tuning import Bisection, Candidate, Journal
    from ..tuning.journal import StateFolder
    from ..tuning.strategy import Verdict

BEST_FILE = "best.cfg"
NOTHING_GOOD = 3  # the exit status
LAST_LINES = 5


@dataclass(eq=False)
class SearchReport:
    """Writes on the console how a search goes, and its best candidate into its folder."""

    search: Bisection
    journal: Journal
    folder: StateFolder
    file: ConfigFile
    console: Console

    def __post_init__(self) -> None:
        self.started: float = time.monotonic()
        self.resumed: int = self.search.runs

    def upcoming(self) -> Candidate | None:
        return None if self.search.hopeless else self.search.ask()

    def note_resumed(self) -> None:
        if self.resumed:
            come = "1 verdict comes" if self.resumed == 1 else "{} verdicts come".format(self.resumed)
            self.console.note("{} from {}; --reset starts over".format(come, self.folder.shown("journal.jsonl")))

    def show_progress(self, candidate: Candidate, verdict: Verdict, running: int) -> None:
        best = self.search.best
        state = "none yet" if best is None else "{} skipped".format(len(best.skip))
        runs, expected = self.search.runs, max(self.search.expected, self.search.runs)
        words = "run {} of about {}: {} skipped, {}; best so far: {}".format(
            runs, expected, len(candidate.skip), self.describe(verdict), state
        )
        if running:
            words += "; {} running".format(running)
        if runs < expected:
            seconds = (time.monotonic() - self.started) / max(runs - self.resumed, 1) * (expected - runs)
            words += "; about {} left".format(duration(seconds))
        if self.console.rewrites_lines():
            self.console.progress(words)
        else:
            self.console.note(words)

    def describe(self, verdict: Verdict) -> str:
        if verdict is None:
            return "no verdict"
        good = "good" if self.search.is_good(verdict) else "bad"
        return good if isinstance(verdict, bool) else "{:.6g} ({})".format(verdict, good)

    def finish(self) -> int:
        best = self.search.best
        if best is not None and not best.skip:
            self.console.lines(["{} is good as it is: nothing has to be skipped".format(self.file.name)])
            return EXIT_OK
        self.write()
        if best is not None:
            return EXIT_OK
        if all(verdict is None for verdict in self.search.verdicts.values()):
            words = "no run gave a verdict"
            if self.search.target is not None:
                words += "; with --target the command has to print a line 'amctcfg-score: N'"
        elif self.has_always_failed():
            words = "every run ended with the same status, so none of them counts; fix the command and run it again"
            self.folder.forget()
        else:
            return NOTHING_GOOD
        self.console.note(words)
        return EXIT_FAILURE

    def has_always_failed(self) -> bool:
        """Tell whether the first runs and the largest set ended with one status, as of a broken command."""
        statuses = {frozenset(entry["skip"]): entry.get("status") for entry in self.journal.entries}
        first = [statuses.get(names) for names in list(self.search.verdicts)[:4]]
        return self.search.target is None and len(first) > 2 and len(set(first)) == 1 and (first[0] or 0) > 1

    def write(self) -> None:
        best = self.search.best
        runs = pluralize(self.search.runs, "run")
        if best is None:
            self.console.lines(self.explain_nothing(runs))
        elif best.skip:
            path = self.folder.file(BEST_FILE)
            write(rewrite_head_paths(best.text, self.file.name, path), path)
            self.console.lines([*self.list_needed(best, runs), "written to {}".format(self.folder.shown(BEST_FILE))])

    def list_needed(self, best: Candidate, runs: str) -> list[str]:
        lines = ["skip {} after {}:".format(pluralize(len(best.skip), "layer"), runs)]
        without = dict(self.search.needed)
        width = max(map(len, best.skip))
        for name in best.skip:
            outcome = "if quantized: {}".format(self.describe(without[name])) if name in without else "not tried"
            lines.append("  {:<{}}  {}".format(name, width, outcome))
        if self.search.minimal:
            lines.append("minimal: quantizing any one of them again fails")
        else:
            lines.append("not proven to be minimal: perhaps some of them can be quantized again")
        return lines

    def explain_nothing(self, runs: str) -> list[str]:
        verdicts = self.search.verdicts
        lines = ["no set of layers was good after {}; no best.cfg was written".format(runs)]
        largest: frozenset[str] = max(verdicts, key=len, default=frozenset())
        layers = self.search.order
        if len(layers) > 1 and len(largest) == len(layers) - 1:
            words = "{} even with {} of {} layers skipped: does the command work?"
            lines.append(words.format(self.describe(verdicts[largest]), len(largest), len(layers)))
            if self.search.hopeless:
                left = next(name for name in layers if name not in largest)
                words = "if it does, {} has to be skipped: add it to skip_layers and start again"
                lines.append(words.format(quote_name(left)))
            lines += self.last_lines(largest)
        elif not self.search.finished and self.search.ask() is None:
            lines.append("the search is not finished; run it again with a larger budget to continue")
        return lines

    def last_lines(self, names: frozenset[str]) -> list[str]:
        from ..tuning.journal import RUNS

        logs = [entry.get("output") for entry in self.journal.entries if frozenset(entry["skip"]) == names]
        if not logs or not isinstance(logs[-1], str):
            return []
        path = self.folder.shown(os.path.join(RUNS, os.path.basename(logs[-1])))
        text = ""
        with contextlib.suppress(OSError), open(path, "rb") as file:
            text = file.read().decode("utf-8", "replace").rstrip()
        last = ["  | " + line for line in text.split("\n")[-LAST_LINES:]]
        return ["the last lines of {}:".format(path), *last] if text else []
