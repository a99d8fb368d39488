# SPDX-License-Identifier: Apache-2.0
"""Finding one's way in a file: symbols, folding, the kind of each word for its colour, definitions, references."""

from __future__ import annotations

import sys
from itertools import groupby
from typing import Any, Iterator

from ..diagnostics.words import escape_controls
from ..messages.kinds import BOOL, STRING, Enum
from ..resolve.resolver import OF_LAYER, OF_TYPE
from .analysis import Analysis
from .outline import NAMES_OF_LAYERS, NAMES_OF_TYPES, OutlineNode, find_child_text

SYMBOL_OBJECT, SYMBOL_FIELD, SYMBOL_ARRAY = 19, 8, 18
DEEPEST_SYMBOL = 50  # levels of symbols; clients and the JSON of an answer have limits, too

TOKENS = ("comment", "property", "string", "number", "keyword", "enumMember", "type", "variable")
DEPRECATED = 1  # the first modifier: themes strike out what the model does not have
LEGEND: dict[str, tuple[str, ...]] = {"tokenTypes": TOKENS, "tokenModifiers": ("deprecated",)}


def list_symbols(analysis: Analysis) -> list[dict[str, Any]]:
    return [make_symbol(analysis, node) for node in analysis.outline.root.children if node.name]


def make_symbol(analysis: Analysis, node: OutlineNode, depth: int = 0) -> dict[str, Any]:
    text = analysis.text
    name = node.name or "element"
    key = find_child_text(node, "layer_name") or find_child_text(node, "layer_type")
    found: dict[str, Any] = {
        "name": name,
        "detail": escape_controls(key or node.value or ""),
        "kind": SYMBOL_ARRAY if node.is_list else SYMBOL_OBJECT if node.opening is not None else SYMBOL_FIELD,
        "range": text.range(node.start, max(node.end, node.start)),
        "selectionRange": text.range(node.start, node.name_end),
    }
    inner = [child for child in node.children if child.name or child.opening is not None]
    if inner and depth < DEEPEST_SYMBOL:
        found["children"] = [make_symbol(analysis, child, depth + 1) for child in inner]
    return found


def list_folding_ranges(analysis: Analysis) -> list[dict[str, Any]]:
    text = analysis.text
    found: list[dict[str, Any]] = []
    for node in analysis.outline.walk():
        if node.opening is not None:
            first, last = text.position(node.start)["line"], text.position(node.end)["line"]
            if last > first:
                found.append({"startLine": first, "endLine": last - 1 if last - 1 > first else last})
    lines = [text.position(start)["line"] for start, _ in analysis.outline.comments]
    for _, group in groupby(enumerate(lines), key=lambda numbered: numbered[1] - numbered[0]):
        run = [line for _, line in group]
        if len(run) > 1:
            found.append({"startLine": run[0], "endLine": run[-1], "kind": "comment"})
    return found


def encode_tokens(analysis: Analysis, start: int = 0, end: int = sys.maxsize) -> dict[str, Any]:
    """Return the tokens of a stretch of the text, as the protocol packs them: each relative to the one before."""
    data: list[int] = []
    line = character = 0
    for first, last, kind, modifiers in sorted(iter_tokens(analysis)):
        if last <= start or first >= end:
            continue
        place, behind = analysis.text.position(first), analysis.text.position(last)
        if behind["line"] != place["line"]:  # a bare carriage return in a comment
            continue
        step = place["line"] - line
        character = place["character"] - (character if not step else 0)
        data += [step, character, behind["character"] - place["character"], TOKENS.index(kind), modifiers]
        line, character = place["line"], place["character"]
    return {"data": data}


def iter_tokens(analysis: Analysis) -> Iterator[tuple[int, int, str, int]]:
    """Yield the start and the end of each word, its kind, and its modifiers."""
    names = None if analysis.layers is None else {layer.name for layer in analysis.layers}
    for start, end in analysis.outline.comments:
        yield start, end, "comment", 0
    for node in analysis.outline.walk():
        if node.name:
            yield node.start, node.name_end, "property", 0
        if node.value is not None:
            kind = classify_value(node)
            absent = kind == "variable" and names is not None and node.text not in names
            yield node.value_start, node.value_end, kind, DEPRECATED if absent else 0


def classify_value(node: OutlineNode) -> str:
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


def name_at(analysis: Analysis, offset: int) -> OutlineNode | None:
    """Find the string at a place that names a layer or a type."""
    node = analysis.outline.at(offset)
    if node is None or node.text is None or node.field not in (*NAMES_OF_LAYERS, *NAMES_OF_TYPES):
        return None
    return node if node.value_start <= offset else None


def find_definition(analysis: Analysis, offset: int) -> list[dict[str, Any]]:
    """Go from an override to the blocks that it shadows, from a layer's name to the blocks that it could have."""
    override: OutlineNode | None = analysis.outline.at(offset) or analysis.outline.find_innermost(offset)
    while override is not None and override.field not in (OF_LAYER, OF_TYPE):
        override = override.parent
    document, resolver, named = analysis.document, analysis.resolver, name_at(analysis, offset)
    if document is None or resolver is None or (override is None and named is None):
        return []
    name: str | None = None
    layer_type: str | None = None
    if override is None:
        name = named.text if named is not None else None
    elif override.field == OF_TYPE:
        layer_type = find_child_text(override, "layer_type")
    else:
        name = find_child_text(override, "layer_name")
    layer = analysis.find_layer(name)
    tiers = resolver.list_tiers_by_name(name, layer_type if layer is None else layer.type)
    spans = [document.mark(tier.path[:2]) for tier in (tiers if override is None else tiers[1:])]
    return [{"uri": analysis.uri, "range": analysis.text.range_of_span(span)} for span in spans]


def find_references(analysis: Analysis, offset: int) -> list[dict[str, Any]]:
    """Find all places that name the same layer, or the same type."""
    node = name_at(analysis, offset)
    if node is None:
        return []
    group = NAMES_OF_LAYERS if node.field in NAMES_OF_LAYERS else NAMES_OF_TYPES
    return [
        {"uri": analysis.uri, "range": analysis.text.range(other.value_start, other.value_end)}
        for other in analysis.outline.strings
        if other.field in group and other.text == node.text
    ]
