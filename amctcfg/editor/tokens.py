# SPDX-License-Identifier: Apache-2.0
"""Semantic tokens: what each word of a file is, for editors that colour it."""

from __future__ import annotations

import sys
from typing import Any, Iterator, Tuple

from ..messages.kinds import BOOL, STRING, Enum
from .analysis import Analysis
from .outline import NAMES_OF_LAYERS, NAMES_OF_TYPES, OutlineNode

TYPES = ("comment", "property", "string", "number", "keyword", "enumMember", "type", "variable")
MODIFIERS = ("deprecated",)  # a layer or type that the model does not have is struck out by themes
ABSENT = 1

Token = Tuple[int, int, str, int]  # start, end, type, modifiers


def legend() -> dict[str, list[str]]:
    """Return the names that the numbers of the tokens stand for."""
    return {"tokenTypes": list(TYPES), "tokenModifiers": list(MODIFIERS)}


def semantic_tokens(analysis: Analysis, start: int = 0, end: int = sys.maxsize) -> dict[str, Any]:
    """Return the tokens of a stretch of the text, each relative to the one before, as the protocol packs them."""
    data: list[int] = []
    line = character = 0
    for first, last, kind, modifiers in sorted(tokens(analysis)):
        if last <= start or first >= end:
            continue
        place, behind = analysis.text.position(first), analysis.text.position(last)
        if behind["line"] != place["line"]:  # a bare carriage return in a comment
            continue
        step = place["line"] - line
        character = place["character"] - (character if not step else 0)
        data += [step, character, behind["character"] - place["character"], TYPES.index(kind), modifiers]
        line, character = place["line"], place["character"]
    return {"data": data}


def tokens(analysis: Analysis) -> Iterator[Token]:
    names = None if analysis.layers is None else {layer.name for layer in analysis.layers}
    for start, end in analysis.outline.comments:
        yield start, end, "comment", 0
    for node in analysis.outline.walk():
        if node.name:
            yield node.start, node.name_end, "property", 0
        if node.value is not None:
            kind = kind_of_value(node)
            absent = kind == "variable" and names is not None and node.text not in names
            yield node.value_start, node.value_end, kind, ABSENT if absent else 0


def kind_of_value(node: OutlineNode) -> str:
    if node.field in NAMES_OF_LAYERS and node.text is not None:
        return "variable"
    if node.field in NAMES_OF_TYPES and node.text is not None:
        return "type"
    kind = node.spec.kind if node.spec is not None and not node.spec.is_message else None
    if kind is STRING or (node.value or "")[:1] in ("'", '"'):
        return "string"
    if kind is BOOL:
        return "keyword"
    return "enumMember" if isinstance(kind, Enum) else "number"
