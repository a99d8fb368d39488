# SPDX-License-Identifier: Apache-2.0
"""The three streams: the one place where text for people is written, neutralised."""

from __future__ import annotations

import io
import os
import re
import sys
import time
from argparse import Namespace
from contextlib import suppress
from typing import IO, Any, Iterable, Sequence

from ..diagnostics.diagnostic import BOLD, ERROR, PLAIN, RED, WIDTH, Diagnostic, render
from ..diagnostics.words import CONTROL, escape_controls, quote_name
from ..documents.files import is_same_file, read, write
from ..workspace.failure import Failure as Failure  # noqa: PLC0414 - which every command takes from here

PATIENCE = 1.0  # seconds of work that nobody needs to watch

EXIT_OK, EXIT_FINDINGS, EXIT_FAILURE, EXIT_INTERRUPTED = 0, 1, 2, 130

# What a terminal acts on, and what begins a command of a GitHub workflow; lines may end as they like.
ACTING = re.compile(r"(?![\t\r\n]){}|(?:\A|[\r\n])\s*::".format(CONTROL))

GREEN, CYAN = "\x1b[32m", "\x1b[36m"


class Console:
    def __init__(self, stdin: IO[str] | None, stdout: IO[str] | None, stderr: IO[str] | None) -> None:
        self.stdin: IO[str] | None = stdin
        self.stdout: Any = stdout  # None only where `run` ends at once
        self.stderr: IO[str] = io.StringIO() if stderr is None else stderr  # closed: nobody reads it
        self.started: float = time.monotonic()
        self.is_quiet: bool = False
        self.has_read_stdin: bool = False
        self.is_verbose: bool = False
        self.color: str = "auto"  # on a terminal only
        self.inputs: list[str] = []  # what was read, and must not be replaced

    def is_terminal(self, stream: Any) -> bool:
        return bool(getattr(stream, "isatty", bool)())

    def has_colors(self, stream: Any) -> bool:
        """Colour on a terminal; FORCE_COLOR wins over that, NO_COLOR over both, and the option over all."""
        if self.color != "auto":
            return self.color == "always"
        if "NO_COLOR" in os.environ:
            return False
        if os.environ.get("FORCE_COLOR"):
            return True
        return self.is_terminal(stream) and os.environ.get("TERM") != "dumb"

    def measure_width(self, stream: Any) -> int | None:
        return find_columns() if self.is_terminal(stream) else None

    def write_result(self, text: str) -> None:
        """Write output for programs, or the content of a file, as it is."""
        self.stdout.write(text)

    def write_lines(self, lines: Iterable[str]) -> None:
        """Write output for people, in which nothing can act on the terminal or the log."""
        self.write_result(text_of(lines))

    def write_output(self, text: str, path: str | None) -> None:
        """Write a result to standard output, or in one step into a file that is not an input."""
        if path is None or path == "-":
            self.write_result(text)
            return
        self.check_target(path)
        self.stdout.flush()  # the file may be standard output by another name
        write(text.encode("utf-8", "backslashreplace").decode("utf-8"), path)  # a file's name may be no text

    def rewrite(self, path: str, before: str, after: str) -> None:
        """Change a file in its place, unless it is not what it was."""
        try:
            write(after, path, before=before.encode("utf-8"))
        except OSError as error:
            raise Failure("can't write {}: {}".format(path, error.strerror or error)) from None

    def is_input(self, path: str) -> bool:
        return any(is_same_file(other, path) for other in self.inputs)

    def check_target(self, path: str) -> None:
        """Refuse an output that is an input, or in a folder that is not there."""
        if self.is_input(path):
            raise Failure("{} is one of the inputs; choose another name for the output".format(path))
        folder = os.path.dirname(path)
        if folder and not os.path.isdir(folder):
            raise Failure("can't write {}: there is no folder {}".format(path, folder))

    def write_difference(self, before: str, after: str, name: str, what: str) -> None:
        """Write a unified diff for people, missing final newlines as git marks them."""
        import difflib

        colors = {"+": GREEN, "-": RED, "@": CYAN} if self.has_colors(self.stdout) else {}
        for line in difflib.unified_diff(lines_of(before), lines_of(after), name, "{} ({})".format(name, what)):
            shown = line[:1] + escape_controls(line[1:].rstrip("\n"))
            color = BOLD if colors and line.startswith(("+++", "---")) else colors.get(line[:1])
            self.write_result((color + shown + PLAIN if color else shown) + "\n")
            if not line.endswith("\n"):
                self.write_result("\\ No newline at end of file\n")

    def write_diagnostics(self, found: Sequence[Diagnostic], text: str | None, on_stdout: bool = False) -> None:
        """Write diagnostics with excerpts or, quietly, a line each; for `check` they are the result."""
        if not found:
            return
        stream = self.stdout if on_stdout else self.stderr
        if self.is_quiet:
            shown = text_of(map(str, found))
        else:
            shown = render(found, text, self.has_colors(stream), self.measure_width(stream) or WIDTH) + "\n"
        stream.write(shown)

    def note(self, *texts: str) -> None:
        """Write sentences about the run, unless it is to be quiet."""
        for text in texts if not self.is_quiet else ():
            self.complain(text)

    def note_detail(self, text: str) -> None:
        if self.is_verbose:
            self.complain(text)

    def complain(self, text: str) -> None:
        self.stderr.write("amctcfg: {}\n".format(escape_controls(text)))

    def report_failure(self, failure: Failure) -> None:
        self.complain(failure.message)
        if failure.details:
            self.stderr.write(failure.details + "\n")

    def show_progress(self, text: str) -> None:
        """Show on a terminal how far long work is; the next line replaces this one."""
        if self.shows_progress():
            shown = escape_controls(text)[: find_columns() - 1]  # a second row would stay
            self.stderr.write("\r\x1b[K{}".format(shown))
            self.stderr.flush()

    def show_reading(self, path: str) -> None:
        """Show that a model is being read, "" when that has ended."""
        self.inputs.append(path)
        self.show_progress("reading {} ...".format(path) if path else "")

    def shows_progress(self) -> bool:
        return not self.is_quiet and time.monotonic() - self.started > PATIENCE and self.rewrites_lines()

    def rewrites_lines(self) -> bool:
        return self.is_terminal(self.stderr) and os.environ.get("TERM") != "dumb"

    def read(self, path: str) -> tuple[Any, str]:
        """Read a file; return its contents and name. `-` is standard input."""
        if path != "-":
            self.inputs.append(path)
            try:
                return read(path)
            except OSError as error:
                raise Failure("can't read {}: {}".format(path, error.strerror or error)) from None
        if self.stdin is None:
            raise Failure("standard input is closed")
        if self.has_read_stdin:
            raise Failure("standard input can be read once only; give a file in the place of one '-'")
        self.has_read_stdin = True
        return getattr(self.stdin, "buffer", self.stdin).read(), "<stdin>"


class ProgressBar:
    """Called with what is worked at, how many parts are done, and of how many."""

    def __init__(self, console: Console) -> None:
        self.console: Console = console
        self.bar: Any = None
        self.total: int | None = None
        self.started: float = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        if not self.console.shows_progress():
            return
        if total != self.total or done == 0:
            self.close()
            self.total, self.started = total, time.monotonic()
            with suppress(ImportError):  # without tqdm, a line says the same
                from tqdm import tqdm

                self.bar = tqdm(total=total, file=self.console.stderr, leave=False, unit="layer")
        if self.bar is not None:
            self.bar.set_description_str(what, refresh=False)
            self.bar.update(done - self.bar.n)
            return
        left = (time.monotonic() - self.started) / done * (total - done) if done else None
        words = "" if left is None else ", {} left".format(format_duration(left))
        self.console.show_progress("{} of {}{}: {}".format(done, total, words, what))

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
        elif self.total is not None:
            self.console.show_progress("")
        self.bar = self.total = None


def format_duration(seconds: float) -> str:
    """Write a duration: `12 s`, `3 min 20 s`, `2 h 5 min`."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return "{} h {} min".format(*divmod(minutes, 60))
    return "{} min {} s".format(minutes, rest) if minutes else "{} s".format(rest)


def find_columns() -> int:
    """Return the width of the terminal; `shutil` is slow to import, and asks a stream that Python may have detached."""
    try:
        return read_columns() or os.get_terminal_size().columns or 80
    except OSError:
        return 80


def read_columns() -> int:
    """Return the width that COLUMNS says; 0 where it says none."""
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdecimal() else 0


def open_standard_streams() -> tuple[Any, Any, Any]:
    """Return the process's streams: results are UTF-8 in any locale, notes are escaped where needed."""
    if isinstance(sys.stdout, io.TextIOWrapper) and isinstance(sys.stdout.buffer, io.RawIOBase):
        # Under PYTHONUNBUFFERED the text goes to the descriptor itself, which may take a part of it only.
        is_terminal = sys.stdout.isatty()
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(sys.stdout.detach()), line_buffering=is_terminal)
    if sys.stdout is not None and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
    if sys.stderr is not None and hasattr(sys.stderr, "reconfigure"):
        sys.stderr.reconfigure(errors="backslashreplace")
    return sys.stdin, sys.stdout, sys.stderr


def find_status(found: Sequence[Diagnostic], arguments: Namespace) -> int:
    is_bad = any(d.severity == ERROR for d in found) or (arguments.strict_warnings and found)
    return EXIT_FINDINGS if is_bad else EXIT_OK


def check_separable(names: Iterable[str], between: str, where: str, instead: str) -> None:
    """Refuse a name that would be read as several."""
    for name in names:
        if between in name:
            what = "a line break" if between in "\r\n" else repr(between)
            raise Failure("{} can't list {}, which has {} in it; use {}".format(where, quote_name(name), what, instead))


def check_neutral(table: str, form: str) -> str:
    """Return a table without escapes, unless a terminal or a log would act on a line of it."""
    acting = ACTING.search(table)
    if acting is not None:
        line = lines_of(table[: acting.end()])[-1]
        raise Failure("--format {} has no escapes for {}; use --format json".format(form, quote_name(line.strip())))
    return table


def text_of(lines: Iterable[str]) -> str:
    """Return lines for people as a text in which nothing can act."""
    return "".join("{}\n".format(escape_controls(line)) for line in lines)


def lines_of(text: str) -> list[str]:
    """Return the lines with their ends; only line feeds end one."""
    return re.findall(r".*\n|.+", text)
