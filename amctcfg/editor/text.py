# SPDX-License-Identifier: Apache-2.0
"""The text of an open file: edits by ranges, and positions in the units that the client counts in."""

from __future__ import annotations

import bisect
import re
from typing import Any, Dict, List, Sequence

from ..diagnostics.source import Span
from ..tools.edits import Edit

ENCODINGS = ("utf-16", "utf-8", "utf-32")

STRETCH = 256  # characters

LINE_END = re.compile(r"\r\n|\n|\r")


class Text:
    """A text with the beginnings of its lines, as the protocol counts them: a bare carriage return ends one, too."""

    def __init__(self, text: str, encoding: str = "utf-16") -> None:
        self.text: str = text
        self.encoding: str = encoding
        self.starts: List[int] = [0, *[match.end() for match in LINE_END.finditer(text)]]
        self.plain: bool = text.isascii() if hasattr(text, "isascii") else all(ord(c) < 128 for c in text)
        self._feeds: List[int] = []
        self._marks: Dict[int, List[int]] = {}  # of a line, the units in front of each stretch of it

    def offset(self, position: Dict[str, Any]) -> int:
        """Return the offset of a position; one beyond the end of its line, or of the text, is that end."""
        line, units = max(int(position["line"]), 0), max(int(position["character"]), 0)
        if line >= len(self.starts):
            return len(self.text)
        start = self.starts[line]
        content = self.text[start : self.end_of(line)].rstrip("\r\n")
        if self.plain or self.encoding == "utf-32":
            return start + min(units, len(content))
        marks = self.marks(line)
        stretch = max(bisect.bisect_right(marks, units) - 1, 0)
        count = marks[stretch]
        for index in range(stretch * STRETCH, len(content)):
            if count >= units:
                return start + index
            count += self.width(content[index])
        return start + len(content)

    def position(self, offset: int) -> Dict[str, int]:
        line = bisect.bisect_right(self.starts, offset) - 1
        column = offset - self.starts[line]
        if self.plain or self.encoding == "utf-32":
            return {"line": line, "character": column}
        stretch = column // STRETCH
        rest = self.text[self.starts[line] + stretch * STRETCH : offset]
        return {"line": line, "character": self.marks(line)[stretch] + sum(map(self.width, rest))}

    def marks(self, line: int) -> List[int]:
        """Return the units in front of each stretch of a line, so that a place in a long one is found at once."""
        if line not in self._marks:
            marks = [0]
            for begin in range(self.starts[line], self.end_of(line) - STRETCH + 1, STRETCH):
                marks.append(marks[-1] + sum(map(self.width, self.text[begin : begin + STRETCH])))
            self._marks[line] = marks
        return self._marks[line]

    def end_of(self, line: int) -> int:
        return self.starts[line + 1] if line + 1 < len(self.starts) else len(self.text)

    def width(self, character: str) -> int:
        if self.encoding == "utf-8":
            return len(character.encode("utf-8", "surrogatepass"))
        return 2 if ord(character) > 0xFFFF else 1

    def range(self, start: int, end: int) -> Dict[str, Any]:
        return {"start": self.position(start), "end": self.position(end)}

    def span_range(self, span: Span) -> Dict[str, Any]:
        """Return the range of a span of ours, whose lines end at line feeds only."""
        return self.range(self.span_offset(span.line, span.column), self.span_offset(span.end_line, span.end_column))

    def span_offset(self, line: int, column: int) -> int:
        if not self._feeds:
            self._feeds = [0, *[match.end() for match in re.finditer("\n", self.text)]]
        start = self._feeds[line - 1] if line <= len(self._feeds) else len(self.text)
        return min(start + column - 1, len(self.text))

    def changed(self, changes: Sequence[Dict[str, Any]]) -> Text:
        """Apply the changes of a notification, one after the other."""
        current = self
        for change in changes:
            if not isinstance(change.get("text"), str):
                raise ValueError("a change has a text")
            if "range" in change and change["range"] is not None:
                start, end = (current.offset(change["range"][side]) for side in ("start", "end"))
                whole = current.text[:start] + change["text"] + current.text[max(start, end) :]
            else:
                whole = change["text"]
            current = Text(whole, self.encoding)
        return current

    def edit(self, edit: Edit) -> Dict[str, Any]:
        return {"range": self.range(edit.start, edit.end), "newText": edit.text}


def whole_edit(before: str, after: str) -> List[Edit]:
    """Make the edit that turns one text into another, without what both ends share; none if they are equal."""
    if before == after:
        return []
    start = 0
    most = min(len(before), len(after))
    while start < most and before[start] == after[start]:
        start += 1
    end = 0
    while end < most - start and before[-1 - end] == after[-1 - end]:
        end += 1
    return [Edit(start, len(before) - end, after[start : len(after) - end])]
