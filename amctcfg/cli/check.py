# SPDX-License-Identifier: Apache-2.0
"""The command check: diagnostics of files, and their fixes."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, List, Optional, Set, Tuple

from ..diagnostics.diagnostic import ERROR, MOST_SHOWN, Diagnostic
from ..documents.files import write
from ..workspace.file import ConfigFile
from .arguments import READING, formats, option, strip_mark
from .console import EXIT_FAILURE, EXIT_FINDINGS, EXIT_OK, Console, Failure, verdict
from .finding import find_configurations
from .opening import open_workspace

if TYPE_CHECKING:
    from ..tools.fixing import Fix, Fixed


OPTIONS = (
    option(
        "configs",
        nargs="+",
        metavar="CFG",
        type=strip_mark,
        help="a configuration, or a folder with some; - is standard input",
    ),
    *READING,
    formats("text", "concise", "json", "github", "sarif"),
    option(
        "--exclude", metavar="GLOB", action="append", default=[], help="leave these out when looking through a folder"
    ),
    option(
        "--stdin-filename", metavar="NAME", help="the name of standard input, and what paths in its head start from"
    ),
    option(
        "--max-errors",
        metavar="N",
        type=int,
        help="show at most N (default: 100 as text; 0: all); all are counted",
    ),
    option("--statistics", action="store_true", help="count the diagnostics by code"),
    option("--fix", action="store_true", help="fix what can be fixed safely, in place"),
    option("--unsafe-fixes", action="store_true", help="count, and with --fix make, fixes that are only likely, too"),
    option("--diff", action="store_true", help="show what --fix would change, and write nothing"),
)


def run(arguments: Namespace, console: Console) -> int:
    workspace, report = open_workspace(arguments, console), Report(arguments, console)
    paths = find_configurations(arguments.configs, arguments.exclude, console)
    for number, path in enumerate(paths, 1):
        if len(paths) > 20:
            console.progress("checking {} of {} ...".format(number, len(paths)))
        try:
            contents, name = console.read(path)
            name = arguments.stdin_filename or name if path == "-" else name
            try:
                file = workspace.file(contents, name)
            except Failure as failure:  # its settings or its model; it and other files are checked all the same
                report.unusable(path, failure.message, failure.details)
                report.add_alone(workspace.file_alone(contents, name))
                continue
            if arguments.diff:
                report.show_fixes(file)
            elif arguments.fix:
                report.add(report.fix(file, path), path)
            else:
                report.add(file, path)
        except Failure as failure:  # it can't be read; the others may be fine
            report.unusable(path, failure.message, failure.details)
    console.done()
    return report.finish()


class Report:
    """The diagnostics that `check` has found in the files so far."""

    def __init__(self, arguments: Namespace, console: Console) -> None:
        self.arguments: Namespace = arguments
        self.console: Console = console
        self.found: List[Diagnostic] = []
        self.said: Set[str] = set()
        self.files: int = 0
        self.status: int = EXIT_OK
        self.fixed: int = 0
        self.fixable: int = 0
        self.hidden: int = 0
        most = arguments.max_errors
        self.left: Optional[int] = MOST_SHOWN if most is None and arguments.format == "text" else most or None

    def unusable(self, path: str, message: str, details: str = "") -> None:
        """Report a file that can't be read or written, or whose settings or model can't be used."""
        self.status = EXIT_FAILURE
        if message not in self.said:  # a model that all files name is reported once
            self.said.add(message)
            self.console.failure(Failure(message, details))
        if self.arguments.format != "text":
            self.found.append(Diagnostic(ERROR, "unreadable", message, name=path))

    # ------------------------------------------------------------ fixes

    def show_fixes(self, file: ConfigFile) -> None:
        """Show what the fixes would change, and the errors that they leave."""
        after = file.text if file.is_json else self.fixed_text(file).text
        self.console.difference(file.text, after, file.name, "fixed")
        left = file if after == file.text else file.workspace.file(after, file.name)
        found = left.check()
        self.console.diagnostics(found, left.text)
        if after != file.text or verdict(found, self.arguments) != EXIT_OK:
            self.status = max(self.status, EXIT_FINDINGS)

    def fix(self, file: ConfigFile, path: str) -> ConfigFile:
        """Write what the fixes make of the file, list them, and go on with the result."""
        if file.is_json:
            return file
        after, made, _ = self.fixed_text(file)
        if path == "-":
            self.console.result(after)
        elif after != file.text:
            try:
                write(after, path, before=file.text.encode("utf-8"))
            except OSError as error:  # the other files may be fine
                self.unusable(path, "can't write {}: {}".format(path, error.strerror or error))
                return file
        self.fixed += len(made)
        self.list_fixes(file.name, made, on_stdout=path != "-" and self.arguments.format == "text")
        return file.workspace.file(after, file.name)

    def fixed_text(self, file: ConfigFile) -> Fixed:
        """Return what the fixes make of a file; note where there are too many to try them all."""
        fixed = file.fix(self.arguments.unsafe_fixes)
        if fixed.untried:
            words = "{}: {} of the possible fixes not tried, as many others fail; correct some of what is reported, and try again"
            self.console.note(words.format(file.name, fixed.untried))
        return fixed

    def list_fixes(self, name: str, made: List[Fix], on_stdout: bool) -> None:
        """List fixes: `quant.cfg:3: true for yes`"""
        for one in made if not self.arguments.quiet else ():
            line = "" if one.diagnostic.span is None else ":{}".format(one.diagnostic.span.line)
            words = "{}{}: {}".format(name, line, one.done)
            if on_stdout:
                self.console.lines([words])
            else:
                self.console.note(words)

    # ------------------------------------------------------------ diagnostics

    def add(self, file: ConfigFile, path: str) -> None:
        """Report what is wrong with a file."""
        found = file.check()
        self.show(file, found, on_stdout=not (self.arguments.fix and path == "-"))  # where the fixed text goes
        if self.arguments.format == "text" and not self.arguments.quiet:
            self.count_fixable(file, found)

    def add_alone(self, file: ConfigFile) -> None:
        """Report what is wrong with a file without its model or settings, which can't be used; nothing of it is fixed."""
        if not file.is_json:  # which says nothing without a model
            self.show(file, file.check(), on_stdout=not (self.arguments.fix or self.arguments.diff))

    def show(self, file: ConfigFile, found: Tuple[Diagnostic, ...], on_stdout: bool) -> None:
        """Count diagnostics, and show them as text as far as they are not too many."""
        self.files += 1
        self.found += found
        if self.arguments.format != "text":
            return
        if self.arguments.quiet:
            self.console.lines(map(str, found[: self.left]))
        else:
            self.console.diagnostics(found, file.text, on_stdout, self.left)
        if self.left is not None:
            self.left = max(self.left - len(found), 0)

    def count_fixable(self, file: ConfigFile, found: Tuple[Diagnostic, ...]) -> None:
        """Count the fixes that are left."""
        if found:
            safe_fixes, unsafe_fixes = file.count_fixes()
            self.fixable += safe_fixes
            self.hidden += unsafe_fixes

    def finish(self) -> int:
        """Write the reports of all files; return the exit status."""
        if self.arguments.diff:
            return self.status
        if self.arguments.format != "text":
            from .reports import FORMATS, WHOLE

            is_whole = self.arguments.format in WHOLE
            self.console.result(FORMATS[self.arguments.format](self.found if is_whole else self.found[: self.left]))
        if self.arguments.statistics:
            codes = [diagnostic.code for diagnostic in self.found]
            counts = {code: codes.count(code) for code in dict.fromkeys(codes)}
            rows = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
            self.console.lines("{:>6}  {}".format(count, code) for code, count in rows)
        elif self.arguments.format == "text" and not self.arguments.quiet:
            self.summarize()
        return self.status or verdict(self.found, self.arguments)

    def summarize(self) -> None:
        """Write the last lines of the text."""
        from .reports import summary_line

        most = MOST_SHOWN if self.arguments.max_errors is None else self.arguments.max_errors
        if most and len(self.found) > most:
            self.console.lines(["… and {:,} more; --max-errors 0 shows all".format(len(self.found) - most)])
        if self.found or self.fixed or self.status == EXIT_OK:
            line = summary_line(self.found, self.files, self.fixed, self.fixable, self.hidden)
            if self.arguments.fix and "-" in self.arguments.configs:
                self.console.note(line)
            else:
                self.console.lines([line])
