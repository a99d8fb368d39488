# SPDX-License-Identifier: Apache-2.0
"""The command check: diagnostics of files, and their fixes."""

from __future__ import annotations

from typing import Any, List, Tuple

from ..diagnostics.diagnostic import ERROR, Diagnostic
from ..documents.files import write
from ..workspace.file import ConfigFile
from .arguments import CFGS, READING, formats, option
from .console import EXIT_FAILURE, EXIT_FINDINGS, EXIT_OK, Console, Failure, difference, verdict
from .opening import open_workspace

OPTIONS = (
    CFGS,
    *READING,
    formats("text", "concise", "json", "github", "sarif"),
    option("-q", "--quiet", action="store_true", help="no excerpts and no summary"),
    option("--statistics", action="store_true", help="count the diagnostics by code"),
    option("--fix", action="store_true", help="mend what can be mended safely, in place"),
    option("--unsafe-fixes", action="store_true", help="with --fix, also what is only likely to be meant"),
    option("--diff", action="store_true", help="show what --fix would change, and write nothing"),
)


def run(arguments: Any, console: Console) -> int:
    workspace, report = open_workspace(arguments, console), Report(arguments, console)
    for number, path in enumerate(arguments.configs, 1):
        if len(arguments.configs) > 20:
            console.progress("checking {} of {} ...".format(number, len(arguments.configs)))
        try:
            file = workspace.open(path)
        except OSError as error:
            report.unreadable(path, "can't read {}".format(path), error.strerror or str(error))
            continue
        except Failure as failure:  # this file's settings or model; the others may be fine
            report.unusable(path, failure)
            continue
        if arguments.fix or arguments.diff or arguments.unsafe_fixes:
            file = report.mend(file, path)
        report.add(file)
    console.done()
    return report.finish()


class Report:
    """What `check` has found in the files so far."""

    def __init__(self, arguments: Any, console: Console) -> None:
        self.arguments: Any = arguments
        self.console: Console = console
        self.found: List[Diagnostic] = []
        self.files: int = 0
        self.status: int = EXIT_OK
        self.fixed: int = 0
        self.fixable: int = 0
        self.hidden: int = 0

    def unreadable(self, path: str, what: str, why: str) -> None:
        self.status = EXIT_FAILURE
        self.console.note("{}: {}".format(what, why))
        if self.arguments.format != "text":
            message = why if what == path else "can't read this file: {}".format(why)
            self.found.append(Diagnostic(ERROR, "unreadable", message, name=path))

    def unusable(self, path: str, failure: Failure) -> None:
        """Report a file whose settings can't be followed, or whose model can't be used."""
        self.status = EXIT_FAILURE
        self.console.failure(failure)
        if self.arguments.format != "text":
            self.found.append(Diagnostic(ERROR, "unreadable", failure.message, name=path))

    def mend(self, file: ConfigFile, path: str) -> ConfigFile:
        """Write what the fixes make of the file, or show it, and go on with the result."""
        if file.is_json:
            return file
        after, made = file.fix(self.arguments.unsafe_fixes)
        self.fixed += len(made)
        if self.arguments.diff:
            self.console.result(difference(file.text, after, file.name, "fixed"))
            if after != file.text:
                self.status = max(self.status, EXIT_FINDINGS)
            return file
        if path == "-":
            self.console.result(after)
        elif after != file.text:
            try:
                write(after, path, before=file.text.encode("utf-8"))
            except OSError as error:  # the other files may be fine
                self.fixed -= len(made)
                self.unreadable(path, "can't write {}".format(path), error.strerror or str(error))
                return file
        return file.workspace.file(after, file.name)

    def add(self, file: ConfigFile) -> None:
        found = file.check()
        self.files += 1
        self.found += found
        if self.arguments.format != "text" or self.arguments.diff:
            return
        if self.arguments.quiet:
            self.console.lines(map(str, found))
        else:
            self.console.diagnostics(found, file.text, on_stdout=True)
            self.count_fixable(file, found)

    def count_fixable(self, file: ConfigFile, found: Tuple[Diagnostic, ...]) -> None:
        if not found:
            return
        safe_fixes, unsafe_fixes = file.count_fixes()
        self.fixable += safe_fixes
        self.hidden += unsafe_fixes

    def finish(self) -> int:
        if self.arguments.diff:
            return self.status
        if self.arguments.format != "text":
            from .reports import FORMATS

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
