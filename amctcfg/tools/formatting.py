# SPDX-License-Identifier: Apache-2.0
"""One canonical layout for configurations, that of txtpbfmt, with every comment kept."""

from __future__ import annotations

import re
from collections import deque
from typing import Any, Iterable, Iterator

from ..documents.document import parse_tree
from ..documents.files import display_name
from ..flavours.flavour import Flavour
from ..messages.printing import INDENT
from ..textformat.lexis import BLANK_IN_LINE, COMMENT, STRING
from ..textformat.literals import unescape
from ..textformat.tree import Field, Tree, split
from ..textformat.tree import List as ListValue
from .edits import find_ending

LINE_WIDTH = 80
DEEPEST_INDENT = 80  # blanks: a text that is nested n times must not get n * n blanks

DISABLE = re.compile(r"# *txtpbfmt: *disable\b")

COMMENT_OR_OPENING = re.compile(COMMENT + r"|([{<\[])")
INNER_COMMENT = re.compile(COMMENT + "\n")
BLANKS_AND_SEPARATORS = re.compile("(?:{}|[,;])*".format(BLANK_IN_LINE))
EMPTY_LINE = re.compile("\n{}*\n".format(BLANK_IN_LINE))
STRING_OR_COMMENT = re.compile("{}|({})".format(STRING, COMMENT))


def format(  # noqa: A001  # the name of the contract
    text: str | bytes, name: str = "<string>", flavour: Flavour | None = None
) -> str:
    """Format a text: two blanks of indentation, one field a line, every comment where it belongs.

    Order and spelling of values stay, line endings too; quotes become double where that takes no escape. A text that says
    `# txtpbfmt: disable` in its first comments is returned as it is. The result is proven to have the same content, and
    formatting it changes nothing. Errors of the schema don't matter.

    Args:
        text: The configuration.
        name: The name of its file, or a path, for diagnostics.
        flavour: The dialect, which makes no difference here.

    Returns:
        The text in the canonical layout.

    Raises:
        ConfigError: The text is not text format.

    Example:
        >>> print(format("do_fusion:true;common_config:<>"), end="")
        do_fusion: true
        common_config {
        }
    """
    name = display_name(name)
    tree = parse_tree(text, name)
    if is_disabled(tree):
        return tree.source.text
    result = Layout(tree).write_text()
    if content_of(parse_tree(result, name)) != content_of(tree):  # never write what means something else
        raise AssertionError("formatting {} would change it; please report this".format(name))
    return result


def find_comments(text: str) -> Iterator[tuple[int, str]]:
    """Find the comments of a text, each with its offset."""
    for match in STRING_OR_COMMENT.finditer(text):
        if match[1]:
            yield match.start(), match[1].rstrip()


def is_disabled(tree: Tree) -> bool:
    """Return whether one of the comments in front of the first field asks to leave the text alone."""
    text = tree.source.text
    head = text[: tree.fields[2]] if tree.fields else text
    return any(DISABLE.match(comment) for _, comment in find_comments(head))


def content_of(tree: Tree) -> list[Any]:
    """Return what a text holds: its comments; names, brackets, and the values of the literals, level by level."""
    found: list[Any] = sorted(comment for _, comment in find_comments(tree.source.text))
    pending: list[Iterable[Any]] = [tree.fields]
    for inside in pending:  # which grows on the way
        for written, value, _, _ in split(inside):
            name = without_comments(written)
            if not isinstance(value, str):
                found.append((name, isinstance(value, ListValue)))
                pending.append(value)
            elif value[0] in "\"'":
                found.append((name, unescape(value)))
            else:
                found.append((name, split_literals(value)))
        found.append("}")
    return found


def without_comments(name: str | None) -> str:
    """Return a field's name, "" for none; that of an extension may have comments between its parts."""
    return INNER_COMMENT.sub("", name) if name and name[0] == "[" else name or ""


Steps = Iterator[Any]  # of a walk: the walks through what is inside


class Layout:
    """A printer that writes fields line by line, taking the comments along as their offsets come by.

    Texts may be nested more deeply than Python calls functions: `write_text` runs generators on a stack of its own.
    """

    def __init__(self, tree: Tree) -> None:
        self.tree: Tree = tree
        self.text: str = tree.source.text
        self.comments: deque[tuple[int, str]] = deque(find_comments(self.text))  # that are not written yet
        self.last: int | None = None  # the offset behind what was written last; None behind an opening bracket
        self.lines: list[str] = []

    def write_text(self) -> str:
        walks: list[Steps] = [self.write_fields(self.tree.fields, "", len(self.text))]
        while walks:
            inner = next(walks[-1], None)
            if inner is None:
                walks.pop()
            else:
                walks.append(inner)
        ending = find_ending(self.text, self.text.find("\n") + 1)
        return "".join([line + ending for line in self.lines])

    def write_fields(self, fields: Iterable[Any], indent: str, end: int, comma: str = "") -> Steps:
        """Write the fields of a message, or the elements of a list, which have commas between them."""
        found = tuple(split(fields))
        for number, field in enumerate(found, 1):
            self.write_comments(field[2], indent)
            self.write_gap(field[2])
            behind = comma if number < len(found) else ""
            if isinstance(field[1], str):
                self.write_scalar(field, indent, behind)
            else:
                yield self.write_inside(field, indent, behind)
        self.write_comments(end, indent)

    def write_scalar(self, field: Field, indent: str, behind: str) -> None:
        name, value, end = without_comments(field[0]), field[1], field[3]
        self.write_comments(end - len(value), indent, inside=True)
        head = indent + (name + ":" if name else "")
        parts = split_literals(value)
        line = head + " " * bool(name) + " ".join(parts)
        if not name or len(parts) == 1 or (not self.has_comment_before(end) and len(line) <= LINE_WIDTH):
            self.write_comments(end, indent, inside=True)
            self.write(line + behind, end)
            return
        self.lines.append(head)
        for match in STRING_OR_COMMENT.finditer(self.text, end - len(value), end):
            if not match.group(1):
                self.write_comments(match.start(), indent + INDENT, inside=True)
                self.write(indent + INDENT + double_quotes(match.group()), match.end())

    def write_inside(self, field: Field, indent: str, behind: str) -> Steps:
        """Write a message, or a list, on one line if it fits."""
        written, value, start, end = field
        name = without_comments(written)
        brackets = COMMENT_OR_OPENING.finditer(self.text, start + len(written or ""))
        opening = next(match.start() for match in brackets if match[1])
        self.write_comments(opening, indent, inside=True)
        left, right, comma = (": [", "]", ",") if isinstance(value, ListValue) else (" {", "}", "")
        head = indent + (name + left if name else left.strip())
        if comma and not self.has_comment_before(end):
            elements = [element[1] for element in split(value)]
            if all(isinstance(element, str) for element in elements):
                line = "{}{}]".format(head, ", ".join(" ".join(split_literals(element)) for element in elements))
                if len(line) <= LINE_WIDTH or not elements:
                    self.write(line, end)
                    return
        self.write(head, opening + 1)
        self.last = None
        deeper = indent + INDENT if len(indent) < DEEPEST_INDENT else indent
        yield self.write_fields(value, deeper, end - 1, comma)
        self.write(indent + right + behind, end)

    def has_comment_before(self, offset: int) -> bool:
        return bool(self.comments) and self.comments[0][0] < offset

    def write_comments(self, end: int, indent: str, inside: bool = False) -> None:
        """Write the comments in front of an offset, each on a line of its own."""
        while self.has_comment_before(end):
            if not inside:
                self.write_gap(self.comments[0][0])
            self.lines.append(indent + self.take_comment())

    def take_comment(self) -> str:
        offset, comment = self.comments.popleft()
        self.last = offset + len(comment)
        return comment

    def write_gap(self, offset: int) -> None:
        """Write an empty line for those in front of an offset, but not behind an opening bracket."""
        if self.last is not None and EMPTY_LINE.search(self.text, self.last, offset):
            self.lines.append("")

    def write(self, line: str, end: int) -> None:
        """Write a line for what ends at an offset, with the comment that stands behind it on the same line."""
        self.last = end
        behind = BLANKS_AND_SEPARATORS.match(self.text, end).end()  # type: ignore[union-attr]  # it may be empty
        if self.has_comment_before(behind + 1):
            line += INDENT + self.take_comment()
        self.lines.append(line)


def split_literals(value: str) -> list[str]:
    """Return a scalar's literals: several of adjacent strings, else one."""
    if value[0] in "\"'":
        return [double_quotes(match.group()) for match in STRING_OR_COMMENT.finditer(value) if not match.group(1)]
    return [re.sub(r"#[^\n]*|[ \t\r\n\v\f]+", "", value)]  # "-" may have a comment behind it


def double_quotes(literal: str) -> str:
    inside = literal[1:-1]
    return literal if '"' in inside else '"{}"'.format(inside)
