# SPDX-License-Identifier: Apache-2.0
"""The text of an open file: edits by ranges, and positions in the units that the client counts in."""

from __future__ import annotations

import bisect
import itertools
import re
from os.path import commonprefix
from typing import Any, Sequence

from ..diagnostics.source import Source, Span
from ..tools.edits import Edit

ENCODINGS = ("utf-16", "utf-8", "utf-32")

LINE_END = re.compile(r"\r\n|\n|\r")


class Text:
    """A text with the beginnings of its lines, as the protocol counts them: a bare carriage return ends one, too."""

    def __init__(self, text: str, encoding: str = "utf-16") -> None:
        self.text: str = text
        self.encoding: str = encoding
        self.starts: list[int] = [0, *[match.end() for match in LINE_END.finditer(text)]]
        self.counts_characters: bool = text.isascii() or encoding == "utf-32"
        self.source: Source = Source(text, "")
        self._marks: dict[int, list[int]] = {}  # of a line, the units in front of each character

    def offset(self, position: dict[str, Any]) -> int:
        """Return the offset of a position; one beyond the end of its line, or of the text, is that end."""
        line, units = max(int(position["line"]), 0), max(int(position["character"]), 0)
        if line >= len(self.starts):
            return len(self.text)
        start = self.starts[line]
        length = len(self.text[start : self.end_of(line)].rstrip("\r\n"))
        column = units if self.counts_characters else bisect.bisect_left(self.measure_marks(line), units)
        return start + min(column, length)

    def position(self, offset: int) -> dict[str, int]:
        line = bisect.bisect_right(self.starts, offset) - 1
        column = offset - self.starts[line]
        return {"line": line, "character": column if self.counts_characters else self.measure_marks(line)[column]}

    def measure_marks(self, line: int) -> list[int]:
        if line not in self._marks:
            widths = map(self.width_of, self.text[self.starts[line] : self.end_of(line)])
            self._marks[line] = [0, *itertools.accumulate(widths)]
        return self._marks[line]

    def end_of(self, line: int) -> int:
        return self.starts[line + 1] if line + 1 < len(self.starts) else len(self.text)

    def width_of(self, character: str) -> int:
        if self.encoding == "utf-8":
            return len(character.encode("utf-8", "surrogatepass"))
        return 2 if ord(character) > 0xFFFF else 1

    def range(self, start: int, end: int) -> dict[str, Any]:
        return {"start": self.position(start), "end": self.position(end)}

    def range_of_span(self, span: Span) -> dict[str, Any]:
        """Return the range of a span of ours, whose lines end at line feeds only."""
        return self.range(
            self.offset_of_span(span.line, span.column), self.offset_of_span(span.end_line, span.end_column)
        )

    def offset_of_span(self, line: int, column: int) -> int:
        is_there = line <= len(self.source.find_line_starts())  # the span may be of an earlier text
        return min(self.source.offset(line, column), len(self.text)) if is_there else len(self.text)

    def apply_changes(self, changes: Sequence[dict[str, Any]]) -> Text:
        """Apply the changes of a notification, one after the other."""
        current = self
        for change in changes:
            if not isinstance(change.get("text"), str):
                raise ValueError("a change has a text")
            if change.get("range") is not None:
                start, end = (current.offset(change["range"][side]) for side in ("start", "end"))
                whole = current.text[:start] + change["text"] + current.text[max(start, end) :]
            else:
                whole = change["text"]
            current = Text(whole, self.encoding)
        return current

    def edit(self, edit: Edit) -> dict[str, Any]:
        return {"range": self.range(edit.start, edit.end), "newText": edit.text}


def make_edit(before: str, after: str) -> list[Edit]:
    """Make the edit that turns one text into another, without what both ends share; none if they are equal."""
    if before == after:
        return []
    start = len(commonprefix([before, after]))  # noqa: RUF071 - of texts, not of paths
    end = len(commonprefix([before[start:][::-1], after[start:][::-1]]))  # noqa: RUF071
    return [Edit(start, len(before) - end, after[start : len(after) - end])]
