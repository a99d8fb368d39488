# SPDX-License-Identifier: Apache-2.0
"""The command bisect: find the layers that have to be skipped, by running a command on candidates."""

from __future__ import annotations

import os
import re
import subprocess
import time
from typing import TYPE_CHECKING, Any, Optional, Tuple, Union

from ..diagnostics.words import quote_name
from ..documents.files import write
from ..workspace.file import ConfigFile
from .arguments import CFG, READING, SENSITIVITY, option, plain
from .console import EXIT_OK, Console, Failure
from .opening import open_workspace
from .scoring import read_scores, require_direction, require_tuning
from .suggest import classify

if TYPE_CHECKING:
    from ..tuning import Bisection, Candidate, Journal


OPTIONS = (
    CFG,
    option("run", nargs="*", metavar="-- COMMAND", type=plain, help="{} is the candidate, {json} its expansion"),
    *READING,
    *SENSITIVITY,
    option("--target", metavar="X", type=float, help="the score that is good; read from 'amctcfg-score: N'"),
    option("--budget", metavar="N", type=int, help="the most runs"),
    option("--repeat", metavar="K", type=int, default=1, help="runs of each candidate; the majority counts"),
    option("--state", metavar="DIR", help="the journal and the results; CFG.bisect if left out"),
    option("--next", action="store_true", help="write the next candidate and leave"),
    option("--tell", metavar="STATUS", help="the exit status or score of the candidate written by --next"),
)


SCORE = re.compile(r"^amctcfg-score:[ \t]*([^\s]+)[ \t]*\r?$", re.MULTILINE)


CANT_TELL = 125
CANDIDATE, BEST, NEXT = "candidate.cfg", "best.cfg", "next.cfg"


class Stopped(Exception):
    """The command gave no verdict, so that the search can't go on."""


def run(arguments: Any, console: Console) -> int:
    if (arguments.next or arguments.tell is not None) == bool(arguments.run):
        raise Failure(
            "give the command behind --, such as: amctcfg bisect quant.cfg --graph G -- ./test.sh {}; or --next, --tell"
        )
    if arguments.run and not any("{}" in word or "{json}" in word for word in arguments.run):
        raise Failure(
            "the command never sees the candidate; write {} where its file belongs, or {json} for its expansion"
        )
    tuning = require_tuning(console)
    job = open_workspace(arguments, console).open(arguments.config, needs_model=True)
    if job.is_json:
        raise Failure("{} is JSON; `amctcfg condense` makes a configuration of it first".format(job.name))
    job.require_plan()
    scores = None if not arguments.scores else require_direction(read_scores(arguments, console), arguments)
    if scores is not None:
        for note in classify(list(scores), job).notes(arguments.scores):
            console.note(note)
    folder = arguments.state or ("bisect" if arguments.config == "-" else arguments.config + ".bisect")
    journal = tuning.Journal(folder)
    try:
        search = tuning.Bisection(
            job.document, job.layers or (), scores, arguments.target, arguments.budget, arguments.repeat
        )
    except ValueError as error:
        raise Failure(str(error)) from None
    loop = Loop(search, journal, folder, job, arguments, console)
    if arguments.next:
        return loop.write_next()
    if arguments.tell is not None:
        return loop.take(arguments.tell)
    return loop.run()


class Loop:
    """A search, its journal and its folder."""

    def __init__(
        self, search: Bisection, journal: Journal, folder: str, job: ConfigFile, arguments: Any, console: Console
    ) -> None:
        self.search: Bisection = search
        self.journal: Journal = journal
        self.folder: str = folder
        self.job: ConfigFile = job
        self.arguments: Any = arguments
        self.console: Console = console
        self.started: float = time.monotonic()
        self.own_runs: int = 0

    def run(self) -> int:
        status = EXIT_OK
        try:
            candidate = self.next()
            while candidate is not None:
                began = time.monotonic()
                verdict = self.verdict(candidate)
                seconds = round(time.monotonic() - began, 3)
                self.journal.write(candidate, verdict, seconds=seconds)
                self.search.tell(candidate, verdict)
                self.own_runs += 1
                self.progress(candidate, verdict)
                candidate = self.next()
        except KeyboardInterrupt:
            self.console.done()
            self.console.note("interrupted; start the same command again to go on")
            status = 130
        except Stopped as stopped:
            self.console.done()
            self.console.note(str(stopped))
            self.report()
            raise Failure("the search ends here; start the same command again when it is mended") from None
        self.console.done()
        return self.finish(status)

    def next(self) -> Optional[Candidate]:
        found: Optional[Candidate] = require_tuning(self.console).replay(self.search, self.journal)
        return found

    def finish(self, status: int) -> int:
        best = self.search.best
        if best is not None and not best.skip:
            raise Failure("{} is good as it is; there is nothing to look for".format(self.job.name))
        self.report()
        return status

    # ------------------------------------------------------------ one run

    def write(self, candidate: Candidate, name: str) -> Tuple[str, str]:
        """Write a candidate and its expansion; their paths."""
        paths = os.path.join(self.folder, name), os.path.join(self.folder, os.path.splitext(name)[0] + ".json")
        write(candidate.text, paths[0])
        if candidate.plan.flavour.layout is not None:
            write(candidate.plan.to_json() + "\n", paths[1])
        return paths

    def verdict(self, candidate: Candidate) -> Union[bool, float, None]:
        """Run the command on a candidate, by git's protocol. Raises `Stopped` where it gives no verdict."""
        config, expansion = self.write(candidate, CANDIDATE)
        words = [word.replace("{json}", expansion).replace("{}", config) for word in self.arguments.run]
        log = os.path.join(self.folder, "output.txt")
        try:
            with open(log, "wb") as output:
                process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
                try:
                    status = process.wait()
                except BaseException:
                    process.terminate()
                    process.wait()
                    raise
        except OSError as error:
            raise Stopped("can't run {}: {}".format(quote_name(words[0]), error.strerror or error)) from None
        if status < 0:
            raise Stopped(
                "{} was ended by signal {}, which is not a verdict; its output is in {}".format(
                    quote_name(words[0]), -status, log
                )
            )
        if status > CANT_TELL:
            what = {126: "could not be executed", 127: "was not found"}.get(status, "exited with {}".format(status))
            raise Stopped("the command {}, which is not a verdict; its output is in {}".format(what, log))
        if status == CANT_TELL:
            return None
        if self.arguments.target is None:
            return status == 0
        return self.score_in(log, status)

    def score_in(self, log: str, status: int) -> Union[bool, float]:
        with open(log, "rb") as output:
            found = SCORE.findall(output.read().decode("utf-8", "replace"))
        if not found:
            if status:
                return False
            raise Stopped(
                "the command printed no line 'amctcfg-score: N', which --target needs; its output is in {}".format(log)
            )
        try:
            score = float(found[-1])
        except ValueError:
            raise Stopped("'amctcfg-score: {}' is not a number".format(found[-1])) from None
        return score if score == score else False  # a model that gives NaN is a bad one

    # ------------------------------------------------------------ by hand, or on another machine

    def write_next(self) -> int:
        candidate = self.next()
        path = os.path.join(self.folder, NEXT)
        if candidate is None:
            for old in (path, os.path.splitext(path)[0] + ".json"):
                if os.path.exists(old):
                    os.unlink(old)
            return self.finish(EXIT_OK)
        self.write(candidate, NEXT)
        self.console.lines([path])
        return EXIT_OK

    def take(self, told: str) -> int:
        candidate = self.next()
        if candidate is None:
            raise Failure("the search has finished; there is no candidate to tell about")
        verdict = self.told_verdict(told)
        self.journal.write(candidate, verdict)
        self.search.tell(candidate, verdict)
        return EXIT_OK

    def told_verdict(self, told: str) -> Union[bool, float, None]:
        try:
            number = float(told)
        except ValueError:
            raise Failure(
                "--tell takes an exit status, or a score with --target, not {}".format(quote_name(told))
            ) from None
        if self.arguments.target is not None:
            if number != number:
                raise Failure("--tell takes a score, not {}".format(told))
            return number
        if number != int(number) or not 0 <= number <= CANT_TELL:
            raise Failure(
                "--tell takes an exit status from 0 to {}, not {}; a score needs --target".format(CANT_TELL, told)
            )
        return None if number == CANT_TELL else number == 0

    # ------------------------------------------------------------ what people see

    def progress(self, candidate: Candidate, verdict: Any) -> None:
        best = self.search.best
        state = "none yet" if best is None else "{} skipped".format(len(best.skip))
        runs, expected = self.search.runs, max(self.search.expected, self.search.runs)
        words = "run {} of about {}: {} skipped, {}; best so far: {}".format(
            runs, expected, len(candidate.skip), self.words(verdict), state
        )
        if self.console.is_terminal(self.console.stderr):
            seconds = (time.monotonic() - self.started) / max(self.own_runs, 1) * max(expected - runs, 0)
            self.console.progress("{}; about {} left".format(words, duration(seconds)))
        else:
            self.console.note(words)

    def words(self, verdict: Any) -> str:
        if verdict is None:
            return "can't tell"
        good = "good" if self.search.is_good(verdict) else "bad"
        return good if isinstance(verdict, bool) else "{:.6g} ({})".format(verdict, good)

    def report(self) -> None:
        best, lines = self.search.best, []
        runs = "1 run" if self.search.runs == 1 else "{} runs".format(self.search.runs)
        if best is None:
            lines.append("no set of layers was good after {}; no best.cfg was written".format(runs))
            if not self.search.finished:
                lines.append("the search is not finished; start it again with a larger budget to go on")
        elif best.skip:
            path = os.path.join(self.folder, BEST)
            write(best.text, path)
            without = dict(self.search.needed)
            lines.append(
                "skip {} after {}:".format(
                    "1 layer" if len(best.skip) == 1 else "{} layers".format(len(best.skip)), runs
                )
            )
            width = max(map(len, best.skip))
            for name in best.skip:
                told = "without it: {}".format(self.words(without[name])) if name in without else "not given back"
                lines.append("  {:<{}}  {}".format(name, width, told))
            proven = (
                "proven: none of them can be given back"
                if self.search.minimal
                else ("not proven: some of them might be given back")
            )
            lines += [proven, "written to {}".format(path)]
        self.console.lines(lines)


def duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        "{} h {} min".format(hours, minutes)
        if hours
        else "{} min {} s".format(minutes, rest)
        if minutes
        else "{} s".format(rest)
    )
