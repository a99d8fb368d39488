# SPDX-License-Identifier: Apache-2.0
"""Text with a name: offsets to lines and columns, and bytes to text."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections import namedtuple

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without the import
if TYPE_CHECKING:
    from typing import List, NamedTuple, Optional

    class _Span(NamedTuple):
        line: int
        column: int
        end_line: int
        end_column: int

else:  # the same, without typing on the way to the first parse
    _Span = namedtuple("_Span", "line column end_line end_column")

__all__ = ["Source", "Span"]


class Span(_Span):
    """A stretch of text: 1-based, columns in characters, the end exclusive."""

    __slots__ = ()


class Source:
    """A text and the name that messages give it. Lines end at line feeds, as in an editor."""

    __slots__ = ("_line_starts", "name", "text")

    def __init__(self, text: str, name: str) -> None:
        self.text: str = text
        self.name: str = name
        self._line_starts: Optional[List[int]] = None

    def span(self, start: int, end: int) -> Span:
        """The span between two offsets."""
        starts = self.line_starts()
        line = bisect_right(starts, start)
        end_line = line if end == start else bisect_right(starts, end)
        return Span(line, start - starts[line - 1] + 1, end_line, end - starts[end_line - 1] + 1)

    def line(self, number: int, first: int = 0, last: int = sys.maxsize) -> str:
        """A line without its end, or the part of it between two of its columns, counted from 0."""
        starts = self.line_starts()
        start = starts[number - 1]
        end = starts[number] - 1 if number < len(starts) else len(self.text)
        return self.text[start + first : min(end, start + last)].rstrip("\r")

    def line_starts(self) -> List[int]:
        """The offsets at which the lines begin; counted once, when a position is first asked for."""
        if self._line_starts is None:
            starts, newline = [0], self.text.find("\n")
            while newline >= 0:
                starts.append(newline + 1)
                newline = self.text.find("\n", newline + 1)
            self._line_starts = starts
        return self._line_starts
