# SPDX-License-Identifier: Apache-2.0
"""One canonical layout for configurations, that of txtpbfmt, with every comment kept."""

from __future__ import annotations

import re
from typing import Any, List, NamedTuple, Sequence, Union

from .document import Document, parse
from .textformat import List as ListValue
from .textformat import Tree, split
from .textformat.tree import Field

__all__ = ["format"]

WIDTH = 80
INDENT = "  "

DISABLE = re.compile(r"(?:[ \t\r\n]*#[^\n]*)*?[ \t\r\n]*# *txtpbfmt: *disable\b")

LITERAL = re.compile(r""""(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*'""")
COMMENT_OR_OPENING = re.compile(r"#[^\n]*|[{<\[]")
BLANKS_AND_SEPARATORS = re.compile(r"[ \t\r\v\f,;]*")
EMPTY_LINE = re.compile(r"\n[ \t\r\v\f]*\n")
LITERAL_OR_COMMENT = re.compile(LITERAL.pattern + r"|(#[^\n]*)")


def format(text: Union[str, bytes], name: str = "<string>", strict: bool = True) -> str:  # noqa: A001
    """The text in the canonical layout: two blanks of indentation, one field a line, every comment where it belongs.

    Order and spelling of values stay; quotes become double where that takes no escape. A text that says
    `# txtpbfmt: disable` in its first comments is returned as it is. The result means the same, which is proven by
    reading it again, and formatting it changes nothing. Raises `ConfigError` for a text with errors.

    >>> print(format("do_fusion:true;common_config:<>"), end="")
    do_fusion: true
    common_config {
    }
    """
    document = parse(text, name, strict)
    if DISABLE.match(document.text):
        return document.text
    layout = Layout(document)
    result = layout.whole()
    again = parse(result, name, strict)
    same = again.config == document.config and sorted(texts(find_comments(again.text))) == sorted(
        texts(layout.comments)
    )
    if not same:  # never write what means something else
        raise AssertionError("formatting {} would change it; please report this".format(name))
    return result


class Comment(NamedTuple):
    offset: int
    text: str


def texts(comments: Sequence[Comment]) -> List[str]:
    return [comment.text for comment in comments]


def find_comments(text: str) -> List[Comment]:
    found = (m for m in LITERAL_OR_COMMENT.finditer(text) if m.group(1))
    return [Comment(m.start(), m.group(1).rstrip()) for m in found]


class Layout:
    """Writes the fields line by line, taking the comments along as their offsets come by."""

    def __init__(self, document: Document) -> None:
        self.tree: Tree = document.tree
        self.text: str = document.text
        self.comments: List[Comment] = find_comments(self.text)
        self.next: int = 0  # the first comment that is not written yet
        self.last: int = 0  # the offset behind what was written last
        self.lines: List[str] = []
        self.fresh: bool = True  # nothing is written since the last opening bracket

    def whole(self) -> str:
        self.fields(self.tree.fields, "", len(self.text))
        return "".join(line + "\n" for line in self.lines)

    def fields(self, fields: Sequence[Any], indent: str, end: int) -> None:
        for field in split(fields):
            self.own_lines(field[2], indent)
            self.field(field, indent)
        self.own_lines(end, indent)

    def field(self, field: Field, indent: str) -> None:
        name, value, start, end = field
        self.gap(start)
        if isinstance(value, str):
            self.scalar(name, value, end, indent)
        elif isinstance(value, ListValue):
            self.list(name, value, field, indent)
        else:
            self.message(name + " {", value, field, indent, "}")

    def scalar(self, name: str, value: str, end: int, indent: str) -> None:
        self.own_lines(end - len(value), indent, inside=True)
        head = "{}{}:".format(indent, name)
        parts = literals(value)
        line = "{} {}".format(head, " ".join(parts))
        if len(parts) == 1 or (not self.comment_before(end) and len(line) <= WIDTH):
            self.own_lines(end, indent, inside=True)
            self.write(line, end)
            return
        self.lines.append(head)
        offset = end - len(value)
        for match in LITERAL_OR_COMMENT.finditer(self.text, offset, end):
            if match.group(1):
                continue
            self.own_lines(match.start(), indent + INDENT, inside=True)
            self.write(indent + INDENT + double_quoted(match.group()), match.end())

    def message(self, head: str, fields: Sequence[Any], field: Field, indent: str, foot: str) -> None:
        _, _, _, end = field
        opening = self.opening(field)
        self.own_lines(opening, indent, inside=True)
        self.write(indent + head, opening + 1)
        self.fresh = True
        self.fields(fields, indent + INDENT, end - 1)
        self.fresh = False
        self.write(indent + foot, end)

    def list(self, name: str, elements: ListValue, field: Field, indent: str) -> None:
        _, _, _, end = field
        opening = self.opening(field)
        self.own_lines(opening, indent, inside=True)
        inside = tuple(split(elements))
        if not self.comment_before(end) and all(isinstance(element[1], str) for element in inside):
            line = "{}{}: [{}]".format(indent, name, ", ".join(" ".join(literals(e[1])) for e in inside))
            if len(line) <= WIDTH or not inside:
                self.write(line, end)
                return
        self.write("{}{}: [".format(indent, name), opening + 1)
        self.fresh = True
        for number, element in enumerate(inside, 1):
            self.element(element, indent + INDENT, "," if number < len(inside) else "")
        self.own_lines(end - 1, indent + INDENT)
        self.fresh = False
        self.write(indent + "]", end)

    def element(self, element: Field, indent: str, comma: str) -> None:
        _, value, start, end = element
        self.own_lines(start, indent)
        self.gap(start)
        if isinstance(value, str):
            self.own_lines(end, indent, inside=True)
            self.write(indent + " ".join(literals(value)) + comma, end)
        else:
            self.message("{", value, element, indent, "}" + comma)

    def opening(self, field: Field) -> int:
        """The offset of the bracket with which a field's value begins."""
        name, _, start, _ = field
        for match in COMMENT_OR_OPENING.finditer(self.text, start + len(name or "")):
            if match.group()[0] != "#":
                return match.start()
        raise AssertionError("a message and a list have brackets")

    def comment_before(self, offset: int) -> bool:
        return self.next < len(self.comments) and self.comments[self.next].offset < offset

    def own_lines(self, end: int, indent: str, inside: bool = False) -> None:
        """The comments in front of an offset, each on a line of its own; without empty lines inside of a field."""
        while self.comment_before(end):
            comment = self.comments[self.next]
            self.next += 1
            if not inside:
                self.gap(comment.offset)
            self.lines.append(indent + comment.text)
            self.last = comment.offset + len(comment.text)
            self.fresh = False

    def gap(self, offset: int) -> None:
        """An empty line, where the text has some in front of an offset, but none behind an opening bracket."""
        if not self.fresh and EMPTY_LINE.search(self.text, self.last, offset):
            self.lines.append("")
        self.fresh = False
        self.last = max(self.last, offset)

    def write(self, line: str, end: int) -> None:
        """A line for what ends at an offset, with the comment that stands behind it on the same line."""
        self.last = end
        self.fresh = False
        if self.next < len(self.comments):
            comment = self.comments[self.next]
            if BLANKS_AND_SEPARATORS.match(self.text, end).end() == comment.offset:  # type: ignore[union-attr]
                line += INDENT + comment.text
                self.last = comment.offset + len(comment.text)
                self.next += 1
        self.lines.append(line)


def literals(value: str) -> List[str]:
    """A scalar's literals, without what stands between them: several of adjacent strings, else one."""
    if value[0] in "\"'":
        return [double_quoted(match.group()) for match in LITERAL_OR_COMMENT.finditer(value) if not match.group(1)]
    return [re.sub(r"#[^\n]*|[ \t\r\n\v\f]+", "", value)]  # "-" may have a comment behind it


def double_quoted(literal: str) -> str:
    inside = literal[1:-1]
    return literal if '"' in inside else '"{}"'.format(inside)
