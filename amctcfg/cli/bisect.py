# SPDX-License-Identifier: Apache-2.0
"""The command bisect: find the layers that have to be skipped, by running a command on candidates."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shlex
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Sequence

from ..diagnostics.words import pluralize, quote_name
from ..documents.files import replace, write
from ..workspace.file import ConfigFile
from .arguments import CFG, READING, SENSITIVITY, flag, option, read_finite_number
from .console import EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_OK, Console, Failure, check_separable, format_duration
from .opening import open_workspace, read_scores, require_tuning, rewrite_head_paths
from .simulate import count, simulating
from .suggest import classify

if TYPE_CHECKING:
    from ..tuning import Bisection, Candidate, Journal
    from ..tuning.journal import StateFolder
    from ..tuning.strategy import Verdict

COMMAND = """{} is the candidate's file, {json} its expansion, {skip} and {skip-file} the layers that are skipped,
{onnx} its simulated model, {worker} the number of the device"""


OPTIONS = (
    CFG,
    option("run", COMMAND, nargs="*", metavar="-- COMMAND"),
    *READING,
    *SENSITIVITY,
    option("--target X", "the score that is good; read from 'amctcfg-score: N'", type=read_finite_number),
    option("--budget N", "run at most N commands", type=int),
    option("--repeat K", "runs of each candidate; the majority counts", type=int, default=1),
    option("--jobs N", "runs at the same time, at most 256; {worker} is 0 to N - 1", type=count, default=1),
    option("--dask ADDRESS", "run on the workers of this Dask scheduler; --jobs at the same time"),
    option("--data F", "calibration data for {onnx}, the candidate's simulated model", nargs="+"),
    option("--state DIR", "the journal and the results; CFG.bisect if left out"),
    flag("--reset", "forget what an earlier search left in that folder"),
    flag("--next", "write the next candidate and leave"),
    option("--tell STATUS", "the exit status or score of the candidate written by --next"),
)

SEEN_BY = re.compile(r"\{(json|skip|skip-file|onnx)?\}")  # the placeholders that show the candidate to a command
NEXT, NEXT_FILE = "next", "next.cfg"
NEXT_FILES = re.compile(r"next\.(cfg|json|txt)\Z")
BEST_FILE = "best.cfg"
MOST_JOBS = 256  # a search does not foresee more
NOTHING_GOOD = 3  # the exit status
LAST_LINES = 5


def run(arguments: argparse.Namespace, console: Console) -> int:
    refuse_wrong_usage(arguments)
    tuning = require_tuning()
    from ..tuning.journal import Locked, StateFolder

    file = open_workspace(arguments, console).open(arguments.config, needs_model=True)
    file.require_text()
    scores = read_scores(arguments, console, needs_direction=True) if arguments.scores else None
    if scores is not None:
        classify(scores, "the layers in " + arguments.scores, file, console)
    try:
        search = tuning.Bisection(
            file.document, file.layers or (), scores, arguments.target, arguments.budget, arguments.repeat, file.rules
        )
    except ValueError as error:
        raise Failure(str(error)) from None
    files = CandidateFiles(file, arguments.run, arguments.data or ())
    folder = StateFolder(arguments.state or ("bisect" if arguments.config == "-" else arguments.config + ".bisect"))
    refuse_inputs(folder, console)
    try:
        with folder.lock():
            report = SearchReport(search, open_journal(search, folder, arguments), folder, file, console)
            if arguments.next:
                return write_next(report, files)
            if arguments.tell is not None:
                return take_verdict(report, arguments.tell)
            return CommandLoop(report, files, arguments).run()
    except Locked as locked:
        who = " (pid {})".format(locked) if str(locked) else ""
        words = "another search{} uses {}; wait for it, or choose another folder with --state"
        raise Failure(words.format(who, folder.given)) from None


def refuse_wrong_usage(arguments: argparse.Namespace) -> None:
    if (arguments.next or arguments.tell is not None) == bool(arguments.run):
        raise Failure(
            "give the command behind --, such as: amctcfg bisect quant.cfg --graph G -- ./test.sh {}; or --next, --tell"
        )
    if arguments.run and not any(map(SEEN_BY.search, arguments.run)):
        raise Failure(
            "the command never sees the candidate; write {} where its file belongs, or {json} for its expansion"
        )
    if bool(arguments.data) != any("{onnx}" in word for word in arguments.run):
        raise Failure("{onnx} in the command and --data with calibration data go together")
    if arguments.jobs > MOST_JOBS:
        raise Failure("--jobs is at most {}: the search has no use for more runs at the same time".format(MOST_JOBS))
    if arguments.dask is not None and not arguments.run:
        raise Failure("--dask runs a command; --next and --tell need none")


def refuse_inputs(folder: StateFolder, console: Console) -> None:
    """Refuse a folder in which the search would replace one of its inputs."""
    words = "{} is one of the inputs, and the search writes such a file there; choose another folder with --state"
    for path in map(folder.path_of, filter(folder.OURS.match, os.listdir(folder.path))):
        if console.is_input(path):
            raise Failure(words.format(path))


def open_journal(search: Bisection, folder: StateFolder, arguments: argparse.Namespace) -> Journal:
    from ..tuning.journal import Journal, hash_plan, replay

    if arguments.reset:
        folder.reset()
    elif not Journal(folder.path).list_verdicts() and not os.path.exists(folder.path_of(NEXT_FILE)):
        folder.forget()  # a command that was mistyped binds nobody
    base = search.make_candidate(())
    begun = {"command": arguments.run or None, "target": arguments.target, "configuration": hash_plan(base)}
    other = "{} holds a search with another {}; give --reset to start over, or another folder with --state"
    changed = folder.begin(begun)
    if changed is not None:
        raise Failure(other.format(folder.given, changed))
    journal = Journal(folder.path)
    try:
        replay(search, journal)
    except ValueError:  # a journal without the file that says how its search was begun
        raise Failure(other.format(folder.given, "target or configuration")) from None
    return journal


# ---------------------------------------------------------------- the files of candidates


class CandidateFiles:
    def __init__(self, file: ConfigFile, command: Sequence[str], data: Sequence[str]) -> None:
        self.file: ConfigFile = file
        self.asked: str = " ".join(command)
        if "{json}" in self.asked and file.flavour.layout is None:
            raise Failure("{} has no JSON quantization config; use {{}}".format(file.flavour.name))
        names = list(file.plan)
        for placeholder, between in (("{skip}", ","), ("{skip-file}", "\n")):
            if placeholder in self.asked:
                check_separable(names, between, placeholder, "{} or {json}")
        self._batches: list[Any] = []
        self._lock: threading.Lock = threading.Lock()  # one at a time: each may take all of the memory
        if "{onnx}" in self.asked:
            with simulating() as simulation:
                self._batches = simulation.load_batches(data, file.require_model().path)

    def fill_values(self, candidate: Candidate, worker: str) -> dict[str, str]:
        """Return what the placeholders without a file stand for."""
        return {"skip": ",".join(list_skipped_layers(candidate)), "worker": worker}

    def fill_files(self, candidate: Candidate, place: str | None) -> dict[str, bytes]:
        """Return what is in the placeholders' files; `place` is the configuration's path."""
        text = rewrite_head_paths(candidate.text, self.file.name, place)
        found = {"": text.encode("utf-8")}
        if candidate.plan.flavour.layout is not None:
            found["json"] = (candidate.plan.to_json() + "\n").encode("utf-8")
        if "{skip-file}" in self.asked or not self.asked:
            found["skip-file"] = "".join("{}\n".format(name) for name in list_skipped_layers(candidate)).encode("utf-8")
        if "{onnx}" in self.asked:
            with self._lock, simulating("a candidate can't be simulated: ") as simulation:
                model = simulation.simulate(candidate.plan, self.file.require_model().path, self._batches).model
            found["onnx"] = model.SerializeToString()
        return found


def list_skipped_layers(candidate: Candidate) -> list[str]:
    """Return the layers that a candidate keeps in floats, the document's own skips among them."""
    return [name for name, effective in candidate.plan.items() if not effective.quant_enable]


# ---------------------------------------------------------------- the report


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

    def find_next(self) -> Candidate | None:
        return None if self.search.hopeless else self.search.ask()

    def note_resumed(self) -> None:
        if self.resumed:
            come = "1 verdict comes" if self.resumed == 1 else "{} verdicts come".format(self.resumed)
            path = self.folder.shown_path_of("journal.jsonl")
            self.console.note("{} from {}; --reset starts over".format(come, path))

    def show_progress(self, candidate: Candidate, verdict: Verdict, running: int) -> None:
        best = self.search.best
        state = "none yet" if best is None else "{} skipped".format(len(best.skip))
        runs, expected = self.search.runs, max(self.search.expected, self.search.runs)
        words = "run {} of about {}: {} skipped, {}; best so far: {}"
        words = words.format(runs, expected, len(candidate.skip), self.describe(verdict), state)
        if running:
            words += "; {} running".format(running)
        if runs < expected:
            seconds = (time.monotonic() - self.started) / max(runs - self.resumed, 1) * (expected - runs)
            words += "; about {} left".format(format_duration(seconds))
        if self.console.rewrites_lines():
            self.console.show_progress(words)
        else:
            self.console.note(words)

    def describe(self, verdict: Verdict) -> str:
        if verdict is None:
            return "no verdict"
        good = "good" if self.search.is_good(verdict) else "bad"
        return good if isinstance(verdict, bool) else "{:.6g} ({})".format(verdict, good)

    def finish(self) -> int:
        self.write()
        if self.search.best is not None:
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
            self.console.write_lines(self.explain_nothing(runs))
        elif best.skip:
            path = self.folder.path_of(BEST_FILE)
            write(rewrite_head_paths(best.text, self.file.name, path), path)
            written = "written to {}".format(self.folder.shown_path_of(BEST_FILE))
            self.console.write_lines([*self.list_needed(best, runs), written])
        else:
            self.console.write_lines(["{} is good as it is: nothing has to be skipped".format(self.file.name)])

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
            lines += self.quote_last_lines(largest)
        elif not self.search.finished and self.search.ask() is None:
            lines.append("the search is not finished; run it again with a larger budget to continue")
        return lines

    def quote_last_lines(self, names: frozenset[str]) -> list[str]:
        logs = [entry.get("output") for entry in self.journal.entries if frozenset(entry["skip"]) == names]
        if not logs or not isinstance(logs[-1], str):
            return []
        path = self.folder.shown_path_of(os.path.join(self.folder.RUNS, os.path.basename(logs[-1])))
        text = ""
        with contextlib.suppress(OSError), open(path, "rb") as file:
            text = file.read().decode("utf-8", "replace").rstrip()
        last = ["  | " + line for line in text.split("\n")[-LAST_LINES:]]
        return ["the last lines of {}:".format(path), *last] if text else []


# ---------------------------------------------------------------- by hand, or on another machine


def write_next(report: SearchReport, files: CandidateFiles) -> int:
    from ..tuning.worker import FILE_ENDINGS

    candidate = report.find_next()
    if candidate is None:
        report.folder.remove(NEXT_FILES)
        return report.finish()
    folder = report.folder
    for placeholder, contents in files.fill_files(candidate, folder.path_of(NEXT_FILE)).items():
        replace(contents, folder.path_of(NEXT + FILE_ENDINGS[placeholder]), None)
    report.console.write_lines([folder.shown_path_of(NEXT_FILE)])
    return EXIT_OK


def take_verdict(report: SearchReport, word: str) -> int:
    candidate = report.search.ask()
    if candidate is None:
        raise Failure("the search has finished; no candidate is waiting for a verdict")
    path, text = report.folder.path_of(NEXT_FILE), None
    with contextlib.suppress(OSError), open(path, "rb") as file:
        text = file.read()
    if text != rewrite_head_paths(candidate.text, report.file.name, path).encode("utf-8"):
        raise Failure("no candidate is waiting for a verdict; --next writes one, and --tell takes its verdict once")
    verdict = read_verdict(word, report.search.target)
    report.journal.write(candidate, verdict)
    report.search.tell(candidate, verdict)
    report.folder.remove(NEXT_FILES)
    return EXIT_OK


def read_verdict(word: str, target: float | None) -> Verdict:
    from ..tuning.journal import CANT_TELL
    from ..tuning.scores import parse_number

    number = parse_number(word)
    if number is None:
        raise Failure("--tell takes an exit status, or a score with --target, not {}".format(quote_name(word)))
    if target is not None:
        return number if abs(number) < float("inf") else False
    if not 0 <= number <= CANT_TELL or number != int(number):
        words = "--tell takes an exit status from 0 to {}, not {}; a score needs --target"
        raise Failure(words.format(CANT_TELL, word))
    return None if number == CANT_TELL else number == 0


# ---------------------------------------------------------------- by running the command


@dataclass(eq=False)
class CommandLoop:
    report: SearchReport
    files: CandidateFiles
    arguments: argparse.Namespace
    commands: Any = None

    def __post_init__(self) -> None:
        self.search: Bisection = self.report.search
        self.console: Console = self.report.console
        self.workers: deque[str] = deque(map(str, range(self.arguments.jobs)))  # those that run nothing

    def run(self) -> int:
        from ..tuning.commands import CommandError

        self.report.note_resumed()
        try:
            candidate = self.report.find_next()
            if candidate is not None:
                self.commands = self.open_commands()
                self.announce(candidate)
                self.run_commands()
        except KeyboardInterrupt:
            self.console.note("interrupted; run the same command again to continue")
            self.report.write()
            return EXIT_INTERRUPTED
        except CommandError as stopped:
            self.console.note(str(stopped))
            self.report.write()
            raise Failure("the search ends here; mend that and run the same command again to continue") from None
        return self.report.finish()

    def open_commands(self) -> Any:
        from ..tuning.commands import CommandError, LocalCommands

        if self.arguments.dask is None:
            return LocalCommands(self.report.folder.path, self.arguments.jobs)
        from ..tuning.cluster import ClusterCommands

        try:
            commands = ClusterCommands(self.arguments.dask)
        except CommandError as error:
            raise Failure(str(error)) from None
        if not commands.has_workers:
            self.console.note("the cluster has no workers yet; the runs begin when one is there")
        return commands

    def announce(self, candidate: Candidate) -> None:
        """Say what is going to be run, before the first run has ended."""
        filled = self.commands.fill_in(self.arguments.run, self.files.fill_values(candidate, self.workers[0]))
        words = " ".join(map(shlex.quote, filled))
        number = self.search.runs + 1
        self.console.note("run {} of about {}: {}".format(number, max(self.search.expected, number), words))

    def run_commands(self) -> None:
        """Run commands until nothing is left to try; however that ends, none is left running."""
        from concurrent.futures import ThreadPoolExecutor

        from ..tuning.bisection import run_steps
        from ..tuning.commands import take_one_interrupt

        jobs = self.arguments.jobs
        with contextlib.ExitStack() as stack:
            stack.callback(self.console.show_progress, "")
            stack.enter_context(take_one_interrupt())
            threads = stack.enter_context(ThreadPoolExecutor(jobs)) if jobs > 1 else None
            stack.callback(self.commands.stop)  # before the threads are waited for
            for step in stack.enter_context(contextlib.closing(run_steps(self.search, self.evaluate, threads, jobs))):
                self.report.show_progress(*step)
                if self.report.find_next() is None:
                    return

    def evaluate(self, candidate: Candidate) -> Verdict:
        """Run the command on a candidate, and record its end."""
        command, worker = self.arguments.run, self.workers.popleft()
        try:
            place = None if self.arguments.dask else self.commands.find_places(worker)[""]
            files, values = self.files.fill_files(candidate, place), self.files.fill_values(candidate, worker)
            log = self.report.folder.make_next_log()
            began = time.monotonic()
            ended = self.commands.run(command, files, values, log)
            seconds = round(time.monotonic() - began, 3)
        finally:
            self.workers.append(worker)
        verdict: Verdict = ended.read_verdict(command[0], self.arguments.target, log)
        output = os.path.basename(log)
        self.report.journal.write(candidate, verdict, status=ended.status, seconds=seconds, output=output)
        return verdict
