# SPDX-License-Identifier: Apache-2.0
"""The commands that look at configurations: check, expand, show, explain, fmt, diff, condense, layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Optional, Tuple

from ..diagnostics.diagnostic import ERROR, ConfigError, Diagnostic
from ..diagnostics.words import Names, did_you_mean, named, safe
from ..documents.files import write
from .console import ERRORS, FINE, TROUBLE, Console, Failure, as_text
from .job import AUTO, Job, Jobs, detected, examine_graph, flavour_by_name, types_of

if TYPE_CHECKING:
    from ..layers.graphs import Examined

__all__ = ["check", "condense_command", "diff_command", "expand_command", "explain", "fmt", "layers", "show"]


def verdict(found: Iterable[Diagnostic], arguments: Any) -> int:
    found = tuple(found)
    return ERRORS if any(d.severity == ERROR for d in found) or (arguments.strict_warnings and found) else FINE


# ---------------------------------------------------------------- check


def check(arguments: Any, console: Console) -> int:
    jobs, report = Jobs(arguments, console), Report(arguments, console)
    for number, path in enumerate(arguments.configs, 1):
        if len(arguments.configs) > 20:
            console.progress("checking {} of {} ...".format(number, len(arguments.configs)))
        try:
            job = jobs.open(path)
        except OSError as error:
            report.unreadable(path, "can't read {}".format(path), error.strerror or str(error))
            continue
        except Failure as failure:
            if arguments.graph is not None:
                raise
            report.unreadable(path, path, failure.message)  # by a setting of this file; the others may be fine
            continue
        if arguments.fix or arguments.diff or arguments.unsafe_fixes:
            job = report.mend(job, path)
        report.add(job)
    console.done()
    return report.finish()


class Report:
    """What `check` has found in the files so far."""

    def __init__(self, arguments: Any, console: Console) -> None:
        self.arguments: Any = arguments
        self.console: Console = console
        self.found: List[Diagnostic] = []
        self.files: int = 0
        self.status: int = FINE
        self.fixed: int = 0
        self.fixable: int = 0
        self.hidden: int = 0

    def unreadable(self, path: str, what: str, why: str) -> None:
        self.status = TROUBLE
        self.console.note("{}: {}".format(what, why))
        if self.arguments.format != "text":
            message = why if what == path else "can't read this file: {}".format(why)
            self.found.append(Diagnostic(ERROR, "unreadable", message, name=path))

    def mend(self, job: Job, path: str) -> Job:
        """Write what the fixes make of the file, or show it, and go on with the result."""
        from ..tools.fixing import fix_job

        if job.is_json:
            return job
        after, count = fix_job(job, self.arguments.unsafe_fixes)
        self.fixed += count
        if self.arguments.diff:
            self.console.result(difference(job.text, after, job.name, "fixed"))
            if after != job.text:
                self.status = max(self.status, ERRORS)
            return job
        if path == "-":
            self.console.result(after)
        elif after != job.text:
            write(after, path)
        return job.jobs.job(after, job.name)

    def add(self, job: Job) -> None:
        found = job.check()
        self.files += 1
        self.found += found
        if self.arguments.format != "text" or self.arguments.diff:
            return
        if self.arguments.quiet:
            self.console.lines(map(str, found))
        else:
            self.console.diagnostics(found, job.text, on_stdout=True)
            self.count_fixable(job, found)

    def count_fixable(self, job: Job, found: Tuple[Diagnostic, ...]) -> None:
        if not found or job.is_json:
            return
        from ..tools.fixing import fixes_for

        safe_fixes, unsafe_fixes = fixes_for(job)
        self.fixable += safe_fixes
        self.hidden += unsafe_fixes

    def finish(self) -> int:
        if self.arguments.diff:
            return self.status
        if self.arguments.format != "text":
            from .reports import FORMATS  # only where they are wanted

            self.console.result(FORMATS[self.arguments.format](self.found))
        if self.arguments.statistics:
            codes = [diagnostic.code for diagnostic in self.found]
            counts = {code: codes.count(code) for code in dict.fromkeys(codes)}
            rows = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
            self.console.lines("{:>6}  {}".format(count, code) for code, count in rows)
        elif self.arguments.format == "text" and not self.arguments.quiet and (self.found or self.fixed):
            from .reports import summary_line

            self.console.lines([summary_line(self.found, self.files, self.fixed, self.fixable, self.hidden)])
        return self.status or verdict(self.found, self.arguments)


def difference(before: str, after: str, name: str, what: str) -> str:
    """A unified diff, with missing final newlines marked as git marks them."""
    import difflib

    if before == after:
        return ""
    name = safe(name)
    lines = []
    for line in difflib.unified_diff(lines_of(before), lines_of(after), name, "{} ({})".format(name, what)):
        lines.append(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n")
    return "".join(lines)


def lines_of(text: str) -> List[str]:
    """The lines with their ends; only line feeds end one."""
    parts = text.split("\n")
    return [part + "\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


# ---------------------------------------------------------------- expand, show


def expand_command(arguments: Any, console: Console) -> int:
    job = Jobs(arguments, console).open(arguments.config, needs_model=True)
    if job.flavour.layout is None:
        raise Failure("the toolkit of {} writes no JSON quantization config".format(job.flavour.name))
    plan = job.plan()
    warnings = job.kept(plan.warnings)
    console.diagnostics(warnings, job.text)
    status = verdict(warnings, arguments)
    if status == FINE:
        console.output(plan.to_json() + "\n", arguments.output, (arguments.config, job.model and job.model.path))
    return status


def show(arguments: Any, console: Console) -> int:
    from . import tables

    jobs = Jobs(arguments, console)
    job = jobs.open(arguments.config, needs_model=True)
    plan = job.plan()
    old = None if arguments.against is None else jobs.open(arguments.against, needs_model=True)
    before = None if old is None else old.plan()
    scores = None
    if arguments.scores:
        from .loop import scores_of

        scores = scores_of(arguments, console)
    warnings = job.kept(plan.warnings)
    view = tables.View(job, plan, before, scores, warnings)
    inputs = (arguments.config, arguments.against, arguments.scores, job.model and job.model.path)
    if arguments.format == "text":
        console.diagnostics(warnings, job.text)
        if arguments.output:
            console.output(tables.to_text(view, None, False), arguments.output, inputs)
        else:
            width = console.width(console.stdout)
            console.result(tables.to_text(view, width, console.colors(console.stdout)))
    elif arguments.format == "html":
        console.output(tables.to_html(view), arguments.output, inputs)
    else:
        console.output({"csv": tables.to_csv, "json": tables.to_json}[arguments.format](view), arguments.output, inputs)
    return verdict(warnings, arguments)


# ---------------------------------------------------------------- explain


def explain(arguments: Any, console: Console) -> int:
    from ..checks.context import Context
    from ..checks.errors import errors
    from ..layers.graphs import Examined
    from ..layers.layer import Layer
    from ..resolve.merging import Merger
    from ..tools.explaining import Explanation

    job = Jobs(arguments, console).open(arguments.config)
    if job.model is None and (not arguments.type or arguments.all or not arguments.layers):
        raise Failure("explain needs --graph, or the names of layers and their --type")
    if job.model is not None and arguments.type:
        raise Failure("--type is for layers without a graph; leave it out, the graph has their types")
    if arguments.all and arguments.layers:
        raise Failure("give the names of layers or --all, not both")
    examined = (
        job.model.examined if job.model else [Examined(Layer(name, arguments.type), None) for name in arguments.layers]
    )
    chosen = choose_layers(examined, arguments, job) if job.model else examined
    found: Tuple[Diagnostic, ...] = ()
    if job.is_json:
        plan = job.plan()
        explained = [Explanation(None, plan[e.layer.name], name=job.name) for e in chosen if e.layer.name in plan]
    else:
        document = job.document()
        merger = Merger(document, job.rules, job.flavour)
        explained = [Explanation(merger, merger.merge(e.layer), e.reason or "") for e in chosen]
        if job.model:
            job.note_other_model(document.config)
            found = errors(Context(document, job.layers, job.rules, job.flavour))
            warnings = job.kept(job.plan().warnings) if not any(d.severity == ERROR for d in found) else ()
            found = (*job.kept(found), *(warnings if arguments.strict_warnings else ()))
    console.diagnostics(found, job.text)
    if arguments.format == "json":
        import json

        values = {"version": 1, "file": job.name, "layers": [one.values() for one in explained]}
        console.result(json.dumps(values, indent=2, ensure_ascii=False) + "\n")
    else:
        for number, one in enumerate(explained):
            console.result(("\n" if number else "") + one.text())
    return verdict(found, arguments)


def choose_layers(examined: List[Examined], arguments: Any, job: Job) -> List[Examined]:
    """The layers that are meant by names, ends of paths and patterns; all that can't be found are reported."""
    if arguments.all:
        return [e for e in examined if job.flavour.quantizes(e.layer)]
    if not arguments.layers:
        raise Failure("explain needs the names of layers, or --all")
    by_name = {e.layer.name: e for e in examined}
    chosen: Dict[str, Examined] = {}
    unknown: List[str] = []
    for word in arguments.layers:
        found = [word] if word in by_name else matching(word, by_name)
        unknown += [] if found else [word]
        chosen.update((name, by_name[name]) for name in found)
    if unknown:
        names = Names(by_name, lambda name: job.flavour.quantizes(by_name[name].layer))
        lines = []
        for word in unknown:
            hint = did_you_mean(names.nearest(word))
            lines.append(
                "{} has no layer '{}'{}".format(job.model and job.model.path, word, "; " + hint if hint else "")
            )
        raise Failure(lines[0], "\n".join("amctcfg: " + safe(line) for line in lines[1:]))
    return list(chosen.values())


def matching(word: str, names: Iterable[str]) -> List[str]:
    """The name with this end of its path, or those that match a pattern. Raises `Failure` for an ambiguous end."""
    from fnmatch import fnmatchcase

    names = list(names)
    ends = [name for name in names if name.endswith(("/" + word, "." + word))]
    if len(ends) > 1:
        raise Failure("'{}' is the end of several names: {}".format(word, named(ends, 5)))
    return ends or [name for name in names if fnmatchcase(name, word)]


# ---------------------------------------------------------------- fmt


def fmt(arguments: Any, console: Console) -> int:
    from ..tools.formatting import format as format_text

    status = FINE
    for path in arguments.configs:
        contents = console.try_read(path)
        if contents is None:
            status = TROUBLE
            continue
        text, name = contents
        before = as_text(text)
        try:
            after = format_text(text, name)
        except ConfigError as error:
            console.diagnostics(error.diagnostics, before)
            status = max(status, ERRORS)
            continue
        if arguments.strict_warnings:
            found = Jobs(arguments, console).job(text, name).check()
            console.diagnostics(found, before)
            status = max(status, verdict(found, arguments))
        status = max(status, formatted(before, after, path, name, arguments, console))
    return status


def formatted(before: str, after: str, path: str, name: str, arguments: Any, console: Console) -> int:
    changed = after != before
    if arguments.diff and changed:
        console.result(difference(before, after, name, "formatted"))
    if arguments.check or arguments.diff:
        if changed:
            console.note("would reformat {}".format(name))
        return ERRORS if changed else FINE
    if path == "-":
        console.result(after)
    elif changed:
        try:
            write(after, path)
        except OSError as error:
            console.note("can't write {}: {}".format(path, error.strerror or error))
            return TROUBLE
        console.note("reformatted {}".format(name))
    return FINE


# ---------------------------------------------------------------- diff, condense, layers


def diff_command(arguments: Any, console: Console) -> int:
    from ..tools.diffing import diff
    from .comparisons import DIFF_FORMATS

    jobs = Jobs(arguments, console)
    before, after = jobs.open(arguments.before), jobs.open(arguments.after)
    models = [job.model for job in (after, before) if job.model is not None]
    if not models:
        raise Failure("a model is needed: --graph G, or a comment '# amctcfg: graph=G' in the head of a file")
    found: List[Diagnostic] = []
    for job in (before, after):
        job.model = job.model or jobs.model(models[0].path, job.flavour)
        told = job.check()
        errors = [d for d in told if d.severity == ERROR]
        console.diagnostics(told if arguments.strict_warnings else errors, job.text)
        found += told
    if any(d.severity == ERROR for d in found):
        return TROUBLE if all(d.code == "unreadable" for d in found) else ERRORS
    both = [job.plan() if job.is_json else job.document() for job in (before, after)]
    if before.flavour != after.flavour:
        both = [job.plan() for job in (before, after)]
    changes = diff(
        both[0],
        both[1],
        after.layers or [],
        rules=after.rules,
        flavour=None if before.flavour != after.flavour else after.flavour,
    )
    text = DIFF_FORMATS[arguments.format](changes, types_of(after), before.name, after.name, arguments.all)
    console.result(wrapped(text, console.width(console.stdout)) if arguments.format == "text" else text)
    return max(ERRORS if changes else FINE, verdict(found, arguments) if arguments.strict_warnings else FINE)


def wrapped(text: str, width: Optional[int]) -> str:
    """Lines that are too long for a terminal, with the rest indented."""
    if width is None:
        return text
    import textwrap

    lines: List[str] = []
    for line in text.splitlines():
        fold = textwrap.wrap(
            line, max(width, 40), subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
        )
        lines += fold or [line]
    return "".join(line + "\n" for line in lines)


def condense_command(arguments: Any, console: Console) -> int:
    from ..documents.document import dumps
    from ..tools.condensing import condense

    if arguments.graph is None:
        raise Failure("a model is needed: --graph G")
    jobs = Jobs(arguments, console)
    text, name = console.read(arguments.json)
    plain = as_text(text)
    wanted = arguments.flavour
    if wanted in (None, AUTO):
        flavour, why = detected(plain, name, arguments.graph, jobs, True)
        if flavour.name != "tf-ascend":
            jobs.note("{} is read as {}: {}".format(name, flavour.name, why))
    else:
        flavour = flavour_by_name(wanted)
    layers = jobs.model(arguments.graph, flavour).layers
    config = condense(text, layers, name, flavour)
    console.output(dumps(config), arguments.output, (arguments.json, arguments.graph))
    return FINE


def layers(arguments: Any, console: Console) -> int:
    from fnmatch import fnmatchcase

    from ..layers.loading import describe
    from ..layers.tables import layers_to_csv, layers_to_json

    wanted = arguments.flavour
    if wanted in (None, AUTO):
        flavour, _ = detected("", arguments.graph, arguments.graph, Jobs(arguments, console), False)
    else:
        flavour = flavour_by_name(wanted)
    examined = examine_graph(arguments.graph, flavour)
    if arguments.quantizable:
        examined = [e for e in examined if flavour.quantizes(e.layer)]
    if arguments.match:
        examined = [e for e in examined if fnmatchcase(e.layer.name, arguments.match)]
    if arguments.format != "text":
        console.result({"json": layers_to_json, "csv": layers_to_csv}[arguments.format]([e.layer for e in examined]))
        return FINE
    rows = [(safe(e.layer.name), safe(e.layer.type), describe(e, flavour)) for e in examined]
    widths = [max([len(row[column]) for row in rows] + [0]) for column in (0, 1)]
    console.lines("{:<{}}  {:<{}}  {}".format(n, widths[0], t, widths[1], s).rstrip() for n, t, s in rows)
    return FINE
