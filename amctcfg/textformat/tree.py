# SPDX-License-Identifier: Apache-2.0
"""The syntax tree: fields as written, with the offsets at which they stand.

A field is `(name, value, start, end)`: `start` is the offset of its name, `end` the offset behind its value (a
separator is not part of it). A value is

* a `str`: a scalar exactly as it stands in the text (`1` is a bool or a float only once the field is known;
  `unescape` decodes a string),
* a `tuple`: the fields of a message, laid out flat, four entries each (`split` puts them together again). Laid out, a
  simple message may still be a `str`, `{ a: 1 }`, which `split` opens: it is looked up as a whole where it occurs
  again, and the places in it are worked out for those who ask,
* a `List`: the elements of `[...]`, themselves such fields with None for a name, laid out in the same way. It is a
  `MessageList` where they are messages, or can be nothing else (`name []`).

Flat tuples of `str` and `int` are untracked by the garbage collector, which otherwise takes a third of the time
(tests/bench/README.md).

Offsets are turned into lines and columns when somebody asks, by a `Source`.
"""

from __future__ import annotations

import re
from functools import lru_cache

from .._typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Any, Iterable, Iterator, Sequence, Tuple, Union
    from typing import List as ListOf

    from ..diagnostics.source import Source, Span

    # Typed loosely: fields lie flat, four entries each, which no type says.
    Field = Tuple[Any, Any, int, int]
    Path = Sequence[Union[str, int]]
    AnyList = ListOf[Any]

else:
    AnyList, Field = list, tuple


class List(AnyList):
    """The elements of a list written as `name: [...]`."""

    __slots__ = ()


class MessageList(List):
    """The elements of a list of messages, or of an empty one without a colon, which could hold nothing else."""

    __slots__ = ()


def split(flat: Iterable[Any]) -> Iterator[Field]:
    """Iterate over the fields of a message, or the elements of a list.

    Args:
        flat: What a message or list of the tree holds, laid out flat.

    Returns:
        Its fields, the messages in them opened.

    Example:
        >>> from amctcfg.textformat import parse
        >>> [(name, value) for name, value, start, end in split(parse("a: 1 b: 'x'").fields)]
        [('a', '1'), ('b', "'x'")]
    """
    return map(expand_field, iter_raw_fields(flat))


def iter_raw_fields(flat: Iterable[Any]) -> Iterator[Field]:
    """Iterate over the same, with simple messages as they are laid out, `{ a: 1 }`."""
    entries = iter(flat)
    return zip(entries, entries, entries, entries)


def expand_field(field: Field) -> Field:
    """Return a field with the fields of its message, where its value is the text of a simple one."""
    name, text, start, end = field
    if type(text) is not str or text[0] != "{":
        return field
    offset = end - len(text)
    inside: list[Any] = []
    for match in compile_simple_field("#" in text).finditer(text):
        if match[1]:
            inside += [match[1], match[2], offset + match.start(), offset + match.end()]
    return name, tuple(inside), start, end


def split_simple(text: str) -> list[tuple[str, str]]:
    """Return the names and values of the fields in the text of a simple message, which the scanner has taken."""
    found: list[tuple[str, str]] = compile_simple_field("#" in text).findall(text)
    return [field for field in found if field[0]] if "#" in text else found


@lru_cache(maxsize=2)
def compile_simple_field(comments: bool) -> Any:
    """Compile the expression that finds them, and with `comments` also each of these, as a field without a name."""
    field = r"""([A-Za-z_]\w*)\s*:?\s*("[^"]*"|'[^']*'|\{[^{}]*\}|[\w.]+)"""
    return re.compile("(?a)" + ("#[^\n]*|" if comments else "") + field)


class Element(NamedTuple):
    """A field or a list's element with its place worked out, for tools. See `Tree.elements`."""

    name: str | None
    value: str | tuple[Any, ...] | List
    span: Span
    value_span: Span | None  # of a scalar


class Tree:
    """A parsed text: its `source` and its top-level `fields`. `str()` of it shows a field a line."""

    __slots__ = ("_found", "_index", "fields", "source")

    def __init__(self, source: Source, fields: tuple[Any, ...]) -> None:
        self.source: Source = source
        self.fields: tuple[Any, ...] = fields
        self._index: dict[Any, Any] | None = None
        self._found: dict[Any, Field | None] = {}

    def __deepcopy__(self, memo: Any) -> Tree:
        return self  # nothing in it changes

    def __repr__(self) -> str:
        return "<Tree of {!r}: {} fields>".format(self.source.name, len(self.fields) // 4)

    def __str__(self) -> str:
        lines: list[str] = []
        pending: list[Any] = [(0, split(self.fields))]
        while pending:
            depth, fields = pending[-1]
            for name, value, _, _ in fields:
                inside = not isinstance(value, str)
                bracket = " [" if isinstance(value, List) else " {" if inside else ": " + value
                lines.append("{}{}{}".format("  " * min(depth, 40), name or "", bracket))
                if inside:
                    pending.append((depth + 1, split(value)))
                    break
            else:
                pending.pop()
        return "\n".join(lines)

    def find(self, path: Path) -> Field | None:
        """Return the field that a path of names and indices leads to, or None.

        An index counts the elements of a repeated field through all its occurrences. Where a singular field is given
        twice, messages count as merged and the last scalar wins.

        Args:
            path: Names, with an index behind each repeated field.

        Returns:
            The field: name, value, and the offsets of its start and end.

        Example:
            >>> from amctcfg.textformat import parse
            >>> parse("a { b: 1 b: 2 }").find(("a", "b", 1))
            ('b', '2', 9, 13)
        """
        key = tuple(path)
        if key not in self._found:  # many layers ask for the same place
            found = self.find_all(path)
            self._found[key] = found[-1] if found else None
        return self._found[key]

    def find_nearest(self, path: Path) -> Field:
        """Find the same, or what is nearest above it: a required field may be missing in a text that is read leniently.

        Args:
            path: Names, with an index behind each repeated field.

        Returns:
            The field; of an empty text the whole.
        """
        found = self.find(path)
        while found is None and path:
            path = path[:-1]
            found = self.find(path)
        return found or (None, self.fields, 0, 0)

    def find_all(self, path: Path) -> Sequence[Field]:
        """Find the occurrences of what a path leads to.

        Args:
            path: Names, with an index behind each repeated field.

        Returns:
            The fields, in their order.
        """
        if self._index is None:
            index: dict[Any, Any] = {}
            for field in split(self.fields):
                index.setdefault(field[0], []).extend(elements_of(field))
            self._index = index
        elements: Sequence[Field] = self._index.get(path[0], ()) if path else ()
        for step in path[1:]:
            if isinstance(step, int):
                elements = elements[step : step + 1] if step >= 0 else ()
            else:
                inside = [f for e in elements if type(e[1]) is tuple for f in iter_raw_fields(e[1]) if f[0] == step]
                elements = [element for field in map(expand_field, inside) for element in elements_of(field)]
        return elements

    def elements(self, value: Sequence[Any] | None = None) -> Iterator[Element]:
        """Iterate over the top-level fields, or those of the value of an element met on the way, with lines and columns.

        Args:
            value: The value of an element, a message or list.

        Returns:
            The fields, each with its span and that of its literal.

        Example:
            >>> from amctcfg.textformat import parse
            >>> [element.span.line for element in parse("a: 1\\nb: 2").elements()]
            [1, 2]
        """
        for field in split(self.fields if value is None else value):
            name, inside, start, end = field
            yield Element(name, inside, self.source.span(start, end), self.value_span(field))

    def value_span(self, field: Field) -> Span | None:
        """Return the span of a scalar's literal.

        Args:
            field: A field of the tree.

        Returns:
            The span, None for messages and lists.
        """
        return self.source.span(*mark_offsets(field)) if isinstance(field[1], str) else None


def elements_of(field: Field) -> Sequence[Field]:
    """Return the elements that one occurrence of a field adds: those of its list, or itself."""
    return tuple(split(field[1])) if isinstance(field[1], List) else (field,)


def name_offsets(field: Field) -> tuple[int, int]:
    """Return the offsets of a field's name, or of the opening bracket of a list's element."""
    name, start = field[0], field[2]
    return start, start + len(name or "{")


def mark_offsets(field: Field) -> tuple[int, int]:
    """Return what a diagnostic about a field points at: the literal of a scalar, the name of anything else."""
    value, end = field[1], field[3]
    return (end - len(value), end) if isinstance(value, str) else name_offsets(field)
