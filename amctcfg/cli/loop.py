# SPDX-License-Identifier: Apache-2.0
"""The commands of the tuning loop: suggest, bisect, audit."""

from __future__ import annotations

import os
import re
import subprocess
import time
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, Tuple, Union

from ..diagnostics.diagnostic import ERROR, ConfigError
from ..diagnostics.words import listed, quoted
from ..documents.files import write
from .console import ERRORS, FINE, Console, Failure
from .job import Job, Jobs

if TYPE_CHECKING:  # the room may be deleted
    from ..tuning import Bisection, Candidate, Journal, Scores

__all__ = ["audit", "bisect", "scores_of", "suggest"]


def room(console: Console) -> Any:
    """The room that these commands need, or the end of the command where a host has deleted it."""
    try:
        from .. import tuning
    except ImportError:
        raise Failure("this copy of amctcfg is without its folder 'tuning', which this command needs") from None
    return tuning


# ---------------------------------------------------------------- scores


def scores_of(arguments: Any, console: Console) -> Scores:
    """The scores that the options name, with the direction that they or the file give."""
    tuning = room(console)
    if arguments.low_is_sensitive and arguments.high_is_sensitive:
        raise Failure("--low-is-sensitive and --high-is-sensitive exclude each other")
    try:
        scores = tuning.load_scores(arguments.scores, arguments.column)
    except ConfigError as error:
        raise Failure("can't use {} as scores".format(arguments.scores), str(error)) from None
    except OSError as error:
        raise Failure("can't read {}: {}".format(arguments.scores, error.strerror or error)) from None
    direction = (
        True if arguments.low_is_sensitive else False if arguments.high_is_sensitive else scores.low_is_sensitive
    )
    if direction is not None and not (arguments.low_is_sensitive or arguments.high_is_sensitive):
        console.note("{} holds {}: low is sensitive".format(arguments.scores, scores.kind))
    found: Scores = tuning.Scores(scores, direction, scores.kind)
    return found


def directed(scores: Scores, arguments: Any) -> Scores:
    if scores.low_is_sensitive is None:
        message = (
            "{} does not show whether low or high scores are sensitive; say --low-is-sensitive or --high-is-sensitive"
        )
        raise Failure(message.format(arguments.scores))
    return scores


class Names(NamedTuple):
    """What becomes of the names in a file of scores: those that could be skipped, and the others by reason."""

    usable: List[str]
    already: List[str]
    unknown: List[str]
    unsupported: List[str]

    def notes(self, where: str) -> List[str]:
        rows = (
            (self.unknown, "are not in the model (fusion renames nodes)", "is not in the model (fusion renames nodes)"),
            (self.unsupported, "can't be quantized", "can't be quantized"),
            (self.already, "are skipped already", "is skipped already"),
        )
        found = []
        for names, many, one in rows:
            if names:
                lead = "1 layer" if len(names) == 1 else "{} layers".format(len(names))
                everything = listed([quoted(name) for name in names], "and")
                found.append("{} of {} {}: {}".format(lead, where, one if len(names) == 1 else many, everything))
        return found


def sorted_out(names: List[str], job: Job) -> Names:
    plan, known = job.plan(), {layer.name for layer in job.layers or ()}
    found = Names([], [], [], [])
    for name in names:
        if name not in known:
            found.unknown.append(name)
        elif name not in plan:
            found.unsupported.append(name)
        elif not plan[name].quant_enable:
            found.already.append(name)
        else:
            found.usable.append(name)
    return found


# ---------------------------------------------------------------- suggest


def suggest(arguments: Any, console: Console) -> int:
    from ..tools.edits import skip

    ways = [way for way in (arguments.worst, arguments.below, arguments.above) if way is not None]
    if len(ways) > 1:
        raise Failure("--worst, --below and --above exclude each other")
    if bool(ways) != bool(arguments.scores) or not (ways or arguments.skip):
        raise Failure("say which layers: --scores R with --worst N, --below X or --above X; or --skip GLOB")
    if arguments.worst is not None and arguments.worst < 0:
        raise Failure("--worst takes a number of layers, not {}".format(arguments.worst))
    if arguments.in_place and (arguments.output or arguments.config == "-"):
        raise Failure("-i changes the file itself; leave it out with -o and for standard input")
    job = Jobs(arguments, console).open(arguments.config, needs_model=True)
    if job.is_json:
        raise Failure("{} is JSON; `amctcfg condense` makes a configuration of it first".format(job.name))
    document = job.document()
    chosen: Dict[str, Optional[str]] = {}
    if ways:
        chosen.update(by_score(arguments, console, job))
    for glob in arguments.skip:
        matching = [name for name in job.plan() if fnmatchcase(name, glob)]
        if not matching:
            console.note("no layer that can be quantized matches {}".format(quoted(glob)))
        chosen.update((name, chosen.get(name)) for name in matching)
    names = sorted_out(list(chosen), job)
    comments = {name: comment for name, comment in chosen.items() if comment}
    text = skip(document.text, names.usable, comments, flavour=job.flavour)
    for note in names.notes("these"):
        console.note(note)
    console.note(
        "{} added to skip_layers".format(
            "1 layer is" if len(names.usable) == 1 else "{} layers are".format(len(names.usable))
        )
    )
    result = job.jobs.job(text, job.name, True)
    errors = [diagnostic for diagnostic in result.check() if diagnostic.severity == ERROR]
    if errors:
        console.diagnostics(errors, text)
        return ERRORS
    if arguments.in_place:
        if text != document.text:
            write(text, arguments.config)
        return FINE
    inputs = (arguments.config, arguments.scores, job.model and job.model.path)
    console.output(text, arguments.output, inputs)
    return FINE


def by_score(arguments: Any, console: Console, job: Job) -> Dict[str, Optional[str]]:
    """The layers that the scores choose, the most sensitive first, each with its score as a comment."""
    scores = scores_of(arguments, console)
    plan = job.plan()
    if arguments.worst is not None:
        order = room(console).scores.ranked(directed(scores, arguments))
        known = [name for name in order if name in plan]
        cut = known[: arguments.worst]
        chosen = order[: order.index(cut[-1]) + 1] if cut else []
    elif arguments.below is not None:
        chosen = sorted((name for name in scores if scores[name] < arguments.below), key=scores.__getitem__)
    else:
        chosen = sorted((name for name in scores if scores[name] > arguments.above), key=lambda name: -scores[name])
    return {name: "{:.4g}".format(scores[name]) for name in chosen}


# ---------------------------------------------------------------- bisect

SCORE = re.compile(r"^amctcfg-score:[ \t]*([^\s]+)[ \t]*\r?$", re.MULTILINE)
CANT_TELL = 125

CANDIDATE, BEST, NEXT = "candidate.cfg", "best.cfg", "next.cfg"


class Stopped(Exception):
    """The command gave no verdict, so that the search can't go on."""


def bisect(arguments: Any, console: Console) -> int:
    if (arguments.next or arguments.tell is not None) == bool(arguments.run):
        raise Failure(
            "give the command behind --, such as: amctcfg bisect quant.cfg --graph G -- ./test.sh {}; or --next, --tell"
        )
    if arguments.run and not any("{}" in word or "{json}" in word for word in arguments.run):
        raise Failure(
            "the command never sees the candidate; write {} where its file belongs, or {json} for its expansion"
        )
    tuning = room(console)
    job = Jobs(arguments, console).open(arguments.config, needs_model=True)
    if job.is_json:
        raise Failure("{} is JSON; `amctcfg condense` makes a configuration of it first".format(job.name))
    job.plan()  # ends with its errors
    scores = None if not arguments.scores else directed(scores_of(arguments, console), arguments)
    if scores is not None:
        for note in sorted_out(list(scores), job).notes(arguments.scores):
            console.note(note)
    folder = arguments.state or ("bisect" if arguments.config == "-" else arguments.config + ".bisect")
    journal = tuning.Journal(folder)
    try:
        search = tuning.Bisection(
            job.document(), job.layers or (), scores, arguments.target, arguments.budget, arguments.repeat
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
        self, search: Bisection, journal: Journal, folder: str, job: Job, arguments: Any, console: Console
    ) -> None:
        self.search: Bisection = search
        self.journal: Journal = journal
        self.folder: str = folder
        self.job: Job = job
        self.arguments: Any = arguments
        self.console: Console = console
        self.started: float = time.monotonic()
        self.own_runs: int = 0

    def run(self) -> int:
        status = FINE
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
        found: Optional[Candidate] = room(self.console).replay(self.search, self.journal)
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
            raise Stopped("can't run {}: {}".format(quoted(words[0]), error.strerror or error)) from None
        if status < 0:
            raise Stopped(
                "{} was ended by signal {}, which is not a verdict; its output is in {}".format(
                    quoted(words[0]), -status, log
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
            return self.finish(FINE)
        self.write(candidate, NEXT)
        self.console.lines([path])
        return FINE

    def take(self, told: str) -> int:
        candidate = self.next()
        if candidate is None:
            raise Failure("the search has finished; there is no candidate to tell about")
        verdict = self.told_verdict(told)
        self.journal.write(candidate, verdict)
        self.search.tell(candidate, verdict)
        return FINE

    def told_verdict(self, told: str) -> Union[bool, float, None]:
        try:
            number = float(told)
        except ValueError:
            raise Failure(
                "--tell takes an exit status, or a score with --target, not {}".format(quoted(told))
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


# ---------------------------------------------------------------- audit


def audit(arguments: Any, console: Console) -> int:
    from ..tools.auditing import audit as compare
    from ..tools.auditing import invisible, read_record
    from .comparisons import audit_json, audit_text

    if arguments.json is None and arguments.record is None:
        raise Failure("say what to compare with: --config JSON, --record TXT, or both")
    job = Jobs(arguments, console).open(arguments.config, needs_model=True)
    plan = job.plan()
    contents: Dict[str, Any] = {}
    for option in ("json", "record"):
        path = getattr(arguments, option)
        if path is not None:
            try:
                contents[option] = console.read(path)[0]
            except OSError as error:
                raise Failure("can't read {}: {}".format(path, error.strerror or error)) from None
    try:
        findings = compare(plan, contents.get("json"), contents.get("record"))
    except ConfigError as error:
        named_path = arguments.json if any(d.name == "<json>" for d in error.diagnostics) else arguments.record
        raise Failure("can't use {}".format(named_path), str(error)) from None
    unseen = {} if arguments.record is None else invisible(plan, read_record(contents["record"]))
    report = audit_json if arguments.format == "json" else audit_text
    console.result(report(findings, unseen, job.name))
    return ERRORS if findings else FINE
