# SPDX-License-Identifier: Apache-2.0
"""An error or warning about a file, with its place and cure: `Diagnostic`, `ConfigError` and their text."""

from __future__ import annotations

import re
from collections import Counter
from itertools import accumulate
from typing import Iterable, NamedTuple, Tuple, Union

from .._typing import TYPE_CHECKING
from .source import Source, Span
from .words import UNSAFE, escape_controls, pluralize

if TYPE_CHECKING:
    from typing import Literal

    Severity = Literal["error", "warning"]

Path = Tuple[Union[str, int], ...]

ERROR: Severity = "error"
WARNING: Severity = "warning"

MOST_SHOWN = 100  # diagnostics in the text of an exception
WIDTH = 120  # columns, where there is no terminal to ask
TAB = "    "
RED, YELLOW, BLUE, BOLD, PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[34m", "\x1b[1m", "\x1b[0m"


class Diagnostic(NamedTuple):
    """One error or warning.

    Attributes:
        severity: "error" or "warning".
        code: One of the documented codes.
        message: What is wrong, in words.
        span: The exact place, where there is a text.
        path: The way to the field, as for `Document.span`.
        hint: The cure, in words.
        name: The file's name.
        replacement: What to write at the span instead, where that is known.
    """

    severity: Severity
    code: str
    message: str
    span: Span | None = None
    path: Path | None = None
    hint: str | None = None
    name: str = "<string>"
    replacement: str | None = None

    def __str__(self) -> str:
        hint = " ({})".format(escape_controls(self.hint)) if self.hint else ""
        return _write_headline(self) + hint


class ConfigError(ValueError):
    """A configuration that can't be used; its text shows the first hundred diagnostics.

    Attributes:
        diagnostics: Every error found, and the warnings, in order.
        text: The text that the places are in, if all are in one.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic], text: str | None = None) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = tuple(diagnostics)
        self.text: str | None = text
        super().__init__(self.diagnostics, text)  # what pickle calls __init__ with again

    @classmethod
    def single(
        cls,
        code: str,
        message: str,
        name: str = "<string>",
        hint: str | None = None,
        span: Span | None = None,
        text: str | None = None,
        path: Path | None = None,
    ) -> ConfigError:
        """Make the exception for one error."""
        return cls([Diagnostic(ERROR, code, message, span, path, hint, name)], text)

    def __str__(self) -> str:
        text = render(self.diagnostics[:MOST_SHOWN], self.text)
        more = len(self.diagnostics) - MOST_SHOWN
        return text if more <= 0 else "{}\n… and {:,} more".format(text, more)


def count_found(found: Iterable[Diagnostic]) -> str:
    """Return `3 errors and 1 warning`; "" for none."""
    counts = Counter(diagnostic.severity for diagnostic in found)
    return " and ".join(pluralize(counts[severity], severity) for severity in (ERROR, WARNING) if counts[severity])


def sort_key_of(diagnostic: Diagnostic) -> tuple[int, ...]:
    """Return a sorting key; what has no place goes to the end."""
    return tuple(diagnostic.span) if diagnostic.span else (1 << 62,)


def render(diagnostics: Iterable[Diagnostic], text: str | None, color: bool = False, width: int = WIDTH) -> str:
    """Write the diagnostics as people read them, each with its source line where the text is given."""
    source = None if text is None else Source(text, "")
    lines: list[str] = []
    for diagnostic in diagnostics:
        lines.append(_write_headline(diagnostic, color))
        if source is not None and diagnostic.span is not None:
            lines += _write_excerpt(diagnostic, source, color, width)
        elif diagnostic.hint:
            lines.append("  {}".format(escape_controls(diagnostic.hint)))
    return "\n".join(lines)


def _write_headline(diagnostic: Diagnostic, color: bool = False) -> str:
    place = escape_controls(diagnostic.name)
    if diagnostic.span is not None:
        place += ":{}:{}".format(diagnostic.span.line, diagnostic.span.column)
    label = "{}[{}]".format(diagnostic.severity, diagnostic.code)
    if color:
        place = BOLD + place + PLAIN
        label = (RED if diagnostic.severity == ERROR else YELLOW) + label + PLAIN
    return "{}: {}: {}".format(place, label, escape_controls(diagnostic.message))


def _write_excerpt(diagnostic: Diagnostic, source: Source, color: bool, width: int) -> list[str]:
    """Return the source line, cut where it is long, and a caret line with the hint."""
    span = diagnostic.span
    assert span is not None
    number = str(span.line)
    blank = " " * len(number)
    room = max(width - len(number) - len(" | "), 20)
    skipped = max(span.column - 1 - room, 0)  # a line may be very long
    line = source.line(span.line, skipped, span.column + 2 * room)
    end = span.end_column if span.end_line == span.line else span.column + room
    line, start, end = _cut(line, span.column - 1 - skipped, max(end - 1, span.column) - skipped, room, skipped > 0)
    before, marked = _replace_controls(line[:start]), _replace_controls(line[start:end])
    bar, caret = " | ", "^" * max(_count_columns(marked), 1)
    if color:
        bar, caret = BLUE + bar + PLAIN, (RED if diagnostic.severity == ERROR else YELLOW) + caret + PLAIN
    pointer = "{}{} {}".format(" " * _count_columns(before), caret, escape_controls(diagnostic.hint or ""))
    return [text.rstrip() for text in (blank + bar, number + bar + _replace_controls(line), blank + bar + pointer)]


def _cut(line: str, start: int, end: int, room: int, more: bool) -> tuple[str, int, int]:
    """Return at most `room` columns of a line around [start, end), and where that is in them; `more` was in front."""
    if not more and len(line) <= room and _count_columns(_replace_controls(line)) <= room:
        return line, start, min(end, len(line))
    first, used = min(start, len(line)), 0  # a carriage return at its end is not a part of the line
    while first and used < room // 2:
        first -= 1
        used += _count_columns(_replace_controls(line[first]))
    head = "…" if first or more else ""
    kept = _fit(line[first:], room - len(head))
    shift = len(head) - first
    text = head + kept
    return text, start + shift, min(end + shift, len(text))


def _fit(text: str, room: int) -> str:
    """Return what fits into some columns, with an ellipsis where that is not all."""
    if _count_columns(_replace_controls(text[: room + 1])) <= room:
        return text[:room]
    ends = accumulate(_count_columns(_replace_controls(character)) for character in text[:room])
    return text[: sum(end < room for end in ends)] + "…"


def _replace_controls(text: str) -> str:
    """Return the text as it is shown: tabs as blanks, other control characters as U+FFFD."""
    text = text.replace("\t", TAB)
    if text.isascii() and text.isprintable():
        return text
    import unicodedata  # for odd characters only

    seen = re.sub(UNSAFE, "\ufffd", text)
    return "".join(c if c.isprintable() or unicodedata.category(c) == "Zs" else "\ufffd" for c in seen)


def _count_columns(text: str) -> int:
    """Count the columns of a terminal that a text takes: East Asian wide characters two, combining marks none."""
    return len(text) if text.isascii() else sum(map(_width_of, text))


def _width_of(character: str) -> int:
    import unicodedata

    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
