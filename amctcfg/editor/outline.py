# SPDX-License-Identifier: Apache-2.0
"""The fields of a text as far as they can be recognised, also where it is broken."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Iterator

from ..flavours.flavour import Flavour
from ..textformat.literals import unescape

TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*)
      | (?P<string>"(?:[^"\\\n]|\\[^\n])*(?:"|(?=\n)|\Z)|'(?:[^'\\\n]|\\[^\n])*(?:'|(?=\n)|\Z))
      | (?P<word>[^\s\#"'{}<>\[\]:,;]+)
      | (?P<sign>[{}<>\[\]:,;])""",
    re.VERBOSE,
)

NAMES_OF_LAYERS = ("skip_layers", "skip_fusion_layers", "layer_name", "skip_approximation_layers")
NAMES_OF_TYPES = ("skip_layer_types", "layer_type")

MOST_NODES = 300000


@dataclass(eq=False, repr=False)
class OutlineNode:
    """A field, or an element of a list: where it stands, and its scalar or the fields inside."""

    name: str | None
    start: int
    end: int
    parent: OutlineNode | None
    children: list[OutlineNode] = field(default_factory=list)
    value: str | None = None
    value_start: int = 0
    opening: int | None = None  # the offset behind the opening bracket
    is_closed: bool = False  # by a bracket
    is_list: bool = False
    has_colon: bool = False
    spec: Any = None  # what the flavour says of the field
    message: Any = None  # the class of the fields inside

    def __post_init__(self) -> None:
        if self.parent is not None:
            self.parent.children.append(self)

    @property
    def name_end(self) -> int:
        return self.start + len(self.name or "")

    @property
    def value_end(self) -> int:
        return self.value_start + len(self.value or "")

    @property
    def field(self) -> str | None:
        """Its name, or of an element that of its list."""
        return self.name if self.name is not None or self.parent is None else self.parent.name

    @property
    def text(self) -> str | None:
        if self.value is None or self.value[0] not in "\"'":
            return None
        try:
            return unescape(self.value).decode("utf-8", "replace")
        except (ValueError, OverflowError):  # an escape of no code point
            return self.value[1:]


class Outline:
    """The nodes of a text under one root, each with what the flavour says of it."""

    def __init__(self, text: str, flavour: Flavour) -> None:
        self.text: str = text
        self.root: OutlineNode = OutlineNode("", 0, len(text), None)
        self.comments: list[tuple[int, int]] = []
        self.strings: list[OutlineNode] = []
        self._read()
        self._describe(flavour)

    def _read(self) -> None:
        stack: list[OutlineNode] = [self.root]
        pending: OutlineNode | None = None
        for count, match in enumerate(TOKEN.finditer(self.text)):
            if count > MOST_NODES:
                break
            kind, token, start, end = match.lastgroup, match.group(), match.start(), match.end()
            top = stack[-1]
            if pending is not None and pending.value is not None and kind not in ("string", "comment"):
                pending = None  # strings go on in the next one; anything else is another field
            if kind == "comment":
                self.comments.append((start, end))
            elif token == ":":
                if pending is not None:
                    pending.has_colon, pending.end = True, end
            elif token in "{<[":
                node = pending or OutlineNode(None, start, end, top)
                node.opening, node.is_list = end, token == "["
                stack.append(node)
                pending = None
            elif token in "}>]":
                pending = None
                closes = len(stack) > 1 and top.is_list == (token == "]")
                if not closes and len(stack) > 2 and top.is_list:  # the end of a list is missing
                    stack.pop().end, closes = start, True
                if closes:
                    node = stack.pop()
                    node.end, node.is_closed = end, True
            elif kind == "sign":
                pending = None
            elif top.is_list or (pending is not None and pending.has_colon):
                node = pending or OutlineNode(None, start, end, top)
                if node.value is None:
                    node.value, node.value_start = token, start
                    if kind == "string":
                        self.strings.append(node)
                node.end = end
                if kind != "string":
                    pending = None
            elif kind == "word":
                pending = OutlineNode(token, start, end, top)
        for node in stack[1:]:
            node.end = len(self.text)

    def _describe(self, flavour: Flavour) -> None:
        """Find out what each node is."""
        self.root.message = flavour.config
        pending: list[tuple[OutlineNode, tuple[Any, ...]]] = [(self.root, (flavour.config,))]
        while pending:
            parent, scopes = pending.pop()
            for node in parent.children:
                # Where a bracket is missing, a field of an outer message stands too deep.
                fields = (cls.__schema__.fields for cls in scopes)
                node.spec = next((known[node.name] for known in fields if node.name in known), None)
                for element in node.children if node.is_list else [node]:
                    element.spec = node.spec
                    if element.opening is not None:
                        element.message = node.spec.kind if node.spec is not None and node.spec.is_message else None
                        pending.append((element, (element.message, *scopes) if element.message else scopes))

    def walk(self) -> Iterator[OutlineNode]:
        pending = list(reversed(self.root.children))
        while pending:
            node = pending.pop()
            yield node
            pending.extend(reversed(node.children))

    def find_innermost(self, offset: int) -> OutlineNode:
        """Find the innermost message or list that an offset is in."""
        node = self.root
        while True:
            around = [c for c in node.children if c.opening is not None and c.opening <= offset <= c.end - c.is_closed]
            if not around:
                return node
            node = around[0]

    def at(self, offset: int) -> OutlineNode | None:
        """Find the field whose name or scalar an offset is on."""
        node = self.find_innermost(offset)
        for child in node.children:
            if child.name is not None and child.start <= offset <= child.name_end:
                return child
            if child.value is not None and child.value_start <= offset <= child.value_end:
                return child
        return None


def find_child_text(node: OutlineNode, field: str) -> str | None:
    return next((child.text for child in node.children if child.name == field), None)
