# SPDX-License-Identifier: Apache-2.0
"""The command check: diagnostics of files and folders, and their fixes."""

from __future__ import annotations

import os
from argparse import Namespace
from collections import Counter
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Iterator, Sequence

from ..diagnostics.diagnostic import ERROR, MOST_SHOWN, Diagnostic, count_found
from ..diagnostics.words import pluralize
from ..workspace.file import ConfigFile
from .arguments import READING, flag, formats, number_from_zero, option
from .console import EXIT_FAILURE, EXIT_FINDINGS, EXIT_OK, Console, Failure, find_status
from .opening import open_workspace

OPTIONS = (
    option("configs CFG", "a configuration, or a folder with some; - is standard input", nargs="+"),
    *READING,
    formats("text", "concise", "json", "github", "sarif"),
    option("--exclude GLOB", "leave these out when looking through a folder", action="append", default=[]),
    option("--stdin-filename NAME", "the name of standard input, and what paths in its head start from"),
    option("--max-errors N", "show at most N (default: 100 as text; 0: all); all are counted", type=number_from_zero),
    flag("--statistics", "count the diagnostics by code"),
    flag("--fix", "fix what can be fixed safely, in place"),
    flag("--unsafe-fixes", "count, and with --fix make, fixes that are only likely, too"),
    flag("--diff", "show what --fix would change, and write nothing"),
)


def run(arguments: Namespace, console: Console) -> int:
    workspace, report = open_workspace(arguments, console), Report(arguments, console)
    paths = find_configurations(arguments.configs, arguments.exclude, console)
    for number, path in enumerate(paths, 1):
        if len(paths) > 20:
            console.show_progress("checking {} of {} ...".format(number, len(paths)))
        try:
            contents, name = console.read(path)
            name = arguments.stdin_filename or name if path == "-" else name
            try:
                file = workspace.open_text(contents, name)
            except Failure as failure:  # its settings or its model; it and other files are checked all the same
                report.report_unusable(path, failure)
                file = workspace.open_alone(contents, name)
                if not file.is_json:  # which says nothing without a model
                    report.show(file)
                continue
            report.add(report.fix(file, path) if arguments.fix or arguments.diff else file)
        except Failure as failure:  # it can't be read; the others may be fine
            report.report_unusable(path, failure)
    console.show_progress("")
    return report.finish()


class Report:
    def __init__(self, arguments: Namespace, console: Console) -> None:
        self.arguments: Namespace = arguments
        self.console: Console = console
        self.format: str = "text" if arguments.diff else arguments.format
        self.is_summed_up: bool = self.format == "text" and not arguments.quiet and not arguments.diff
        self.on_stdout: bool = not (arguments.diff or (arguments.fix and "-" in arguments.configs))  # where a text is
        most = MOST_SHOWN if arguments.max_errors is None and self.format == "text" else arguments.max_errors
        self.most: int | None = None if arguments.diff else most or None
        self.found: list[Diagnostic] = []
        self.said: set[str] = set()
        self.files: int = 0
        self.status: int = EXIT_OK
        self.fixed: int = 0
        self.fixable: int = 0
        self.hidden: int = 0

    def say(self, line: str) -> None:
        if self.on_stdout and self.format == "text":
            self.console.write_lines([line])
        else:
            self.console.note(line)

    def report_unusable(self, path: str, failure: Failure) -> None:
        """Report a file that can't be read, written or used."""
        self.status = EXIT_FAILURE
        if failure.message not in self.said:  # a model that all files name is reported once
            self.said.add(failure.message)
            self.console.report_failure(failure)
        if self.format != "text":
            self.found.append(Diagnostic(ERROR, "unreadable", failure.message, name=path))

    def fix(self, file: ConfigFile, path: str) -> ConfigFile:
        """Write what the fixes make of a file, or show it; go on with the result."""
        if file.is_json:
            return file
        after, made, untried = file.fix(self.arguments.unsafe_fixes)
        if untried:
            words = "{}: {} of the possible fixes not tried, as many others fail; correct some of what is reported, and try again"
            self.console.note(words.format(file.name, untried))
        fixed = file if after == file.text else file.workspace.open_text(after, file.name)
        if self.arguments.diff:
            self.console.write_difference(file.text, after, file.name, "fixed")
            self.status = max(self.status, EXIT_OK if fixed is file else EXIT_FINDINGS)
            return fixed
        if path == "-":
            self.console.write_result(after)
        elif fixed is not file:
            try:
                self.console.rewrite(path, file.text, after)
            except Failure as failure:  # the other files may be fine
                self.report_unusable(path, failure)
                return file
        self.fixed += len(made)
        for one in made if not self.arguments.quiet else ():
            line = "" if one.diagnostic.span is None else ":{}".format(one.diagnostic.span.line)
            self.say("{}{}: {}".format(file.name, line, one.done))
        return fixed

    def add(self, file: ConfigFile) -> None:
        """Show a file's diagnostics, and count the fixes that are left."""
        if self.show(file) and self.is_summed_up:
            safe_fixes, unsafe_fixes = file.count_fixes()
            self.fixable += safe_fixes
            self.hidden += unsafe_fixes

    def show(self, file: ConfigFile) -> tuple[Diagnostic, ...]:
        """Count a file's diagnostics, and show those of text that are not too many."""
        found = file.check()
        left = None if self.most is None else max(self.most - len(self.found), 0)
        self.files += 1
        self.found += found
        if self.format == "text":
            self.console.write_diagnostics(found[:left], file.text, self.on_stdout)
        return found

    def finish(self) -> int:
        if self.format != "text":
            from .reports import FORMATS, WHOLE

            shown = self.found if self.format in WHOLE else self.found[: self.most]
            self.console.write_result(FORMATS[self.format](shown))
        if self.arguments.statistics and not self.arguments.diff:
            for code, count in sorted(Counter(d.code for d in self.found).items(), key=lambda row: (-row[1], row[0])):
                self.say("{:>6}  {}".format(count, code))
        elif self.is_summed_up:
            self.sum_up()
        return self.status or find_status(self.found, self.arguments)

    def sum_up(self) -> None:
        """Write the last lines: `Found 3 errors in 2 files (2 fixable with --fix).`, or that all is well."""
        if self.most and len(self.found) > self.most:
            self.say("… and {:,} more; --max-errors 0 shows all".format(len(self.found) - self.most))
        lead = "Fixed {}; ".format(pluralize(self.fixed, "problem")) if self.fixed else ""
        if self.found:
            where = "" if self.files == 1 else " in {}".format(pluralize(self.files, "file"))
            notes = ["{} fixable with --fix".format(self.fixable)] if self.fixable else []
            if self.hidden:
                more = "more with" if self.fixable else "fixable with"
                notes.append("{} {} --fix --unsafe-fixes".format(self.hidden, more))
            fixes = " ({})".format(", ".join(notes)) if notes else ""
            self.say("{}{} {}{}{}.".format(lead, "found" if lead else "Found", count_found(self.found), where, fixes))
        elif self.fixed or self.status == EXIT_OK:
            self.say(lead + "no problems left." if lead else "All checks passed.")


# ---------------------------------------------------------------- the configurations in a folder

ENDING = ".cfg"
ENVIRONMENT = "pyvenv.cfg"  # which the folder of a virtual environment holds
HEAD_BYTES = 4096  # bytes, to tell an INI file


def find_configurations(paths: Sequence[str], excluded: Sequence[str], console: Console) -> list[str]:
    """Return the paths, with its configurations in the place of a folder."""
    found: list[str] = []
    for path in paths:
        inside = sorted(walk(path, excluded)) if path != "-" and os.path.isdir(path) else [path]
        if not inside:
            console.note("there are no configurations (*{}) in {}".format(ENDING, path))
        found += inside
    return found


def walk(folder: str, excluded: Sequence[str]) -> Iterator[str]:
    """Yield the configurations below a folder, but for hidden folders and virtual environments."""
    for root, folders, names in os.walk(folder):
        for name in folders[:]:
            path = os.path.join(root, name)
            is_environment = os.path.exists(os.path.join(path, ENVIRONMENT))
            if name.startswith(".") or is_environment or matches_excluded(path, folder, excluded):
                folders.remove(name)
        for path in [os.path.join(root, name) for name in names if name.endswith(ENDING)]:
            if not matches_excluded(path, folder, excluded) and may_be_read(path):
                yield os.path.normpath(path)


def matches_excluded(path: str, folder: str, excluded: Sequence[str]) -> bool:
    """Match the patterns with the name, the path in the folder, and the path as it is shown."""
    shown = [os.path.basename(path), os.path.relpath(path, folder), os.path.normpath(path)]
    shown = [name.replace(os.sep, "/") for name in shown]
    return any(fnmatchcase(name, pattern.rstrip("/")) for pattern in excluded for name in shown)


def may_be_read(path: str) -> bool:
    """Refuse INI files, and pipes, which would be waited for; a missing file is reported later."""
    if os.path.exists(path) and not os.path.isfile(path):
        return False
    head = b""
    with suppress(OSError), open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
    first = next((line for line in map(bytes.strip, head.splitlines()) if line and line[:1] not in b"#;"), b"")
    return not (first[:1] == b"[" and first[-1:] == b"]")
