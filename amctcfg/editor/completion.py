# SPDX-License-Identifier: Apache-2.0
"""Completion: what may stand at a place in a file."""

from __future__ import annotations

from collections import Counter
from typing import Any, Iterator

from ..diagnostics.words import pluralize
from ..flavours.layer import Layer
from ..flavours.requirement import write_default
from ..messages.kinds import BOOL, STRING, Enum
from ..messages.meanings import read_field_meanings
from .analysis import Analysis
from .outline import NAMES_OF_TYPES, OutlineNode

MOST_COMPLETIONS = 200

KIND_FIELD, KIND_VALUE, KIND_ENUM, KIND_LAYER, KIND_TYPE = 5, 12, 20, 21, 7


def complete(analysis: Analysis, offset: int, snippets: bool) -> dict[str, Any]:
    """List what may stand at a place. The list is never complete: what is typed next is asked about again."""
    outline = analysis.outline
    if any(start < offset <= end for start, end in outline.comments):
        return {"isIncomplete": False, "items": []}
    message = outline.find_innermost(offset)
    node = find_value_node(message, offset)
    if node is not None:
        items = complete_values(analysis, message, node, offset)
    else:
        items = offer_fields(analysis, message, offset, snippets)
    return {"isIncomplete": True, "items": list(items)[:MOST_COMPLETIONS]}


def find_value_node(message: OutlineNode, offset: int) -> OutlineNode | None:
    """Find the field whose value a place is in, or behind whose colon it is, or the list to which an element is added."""
    for number, child in enumerate(message.children):
        if child.value is not None and child.value_start <= offset <= child.value_end:
            return child
        if child.has_colon and child.value is None and child.opening is None and child.start < offset:
            following = message.children[number + 1 : number + 2]
            if not following or offset <= following[0].start:
                return child
    return message if message.is_list else None


def offer_fields(analysis: Analysis, message: OutlineNode, offset: int, snippets: bool) -> Iterator[dict[str, Any]]:
    if message.message is None:
        return
    there = {child.name for child in message.children if not child.start <= offset <= child.name_end}
    typed = analysis.outline.at(offset)
    start, end = (offset, offset) if typed is None else (typed.start, typed.name_end)
    has_value = typed is not None and (typed.has_colon or typed.opening is not None)
    for name, meaning in read_field_meanings(message.message).items():
        spec = message.message.__schema__.fields[name]
        if name in there and spec.label != "repeated":
            continue
        written = name if has_value else write_field(name, spec, snippets)
        item = make_item(analysis, (start, end), name, KIND_FIELD, describe_field(spec), written)
        item["documentation"] = {"kind": "markdown", "value": meaning}
        if snippets and not has_value:
            item["insertTextFormat"] = 2
        yield item


def make_item(
    analysis: Analysis, place: tuple[int, int], label: str, kind: int, words: str, written: str
) -> dict[str, Any]:
    edit = {"range": analysis.text.range(*place), "newText": written}
    return {"label": label, "kind": kind, "detail": words, "textEdit": edit}


def write_field(name: str, spec: Any, snippets: bool) -> str:
    """Write a field with a place to go on writing at."""
    if spec.is_message:
        return name + (" {\n  $0\n}" if snippets else " {")
    if not snippets:
        return name + ": "
    if spec.kind is STRING:
        return name + ': "$0"'
    if spec.kind is BOOL or isinstance(spec.kind, Enum):
        return name + ": ${1|" + ",".join(choices_of(spec)) + "|}"
    return "{}: ${{1:{}}}".format(name, write_default(spec) or spec.kind.example)


def describe_field(spec: Any) -> str:
    parts = ["{} {}".format(spec.label, spec.kind_name)]
    if write_default(spec):
        parts.append("default {}".format(write_default(spec)))
    if spec.within is not None:
        parts.append(spec.within.words)
    return ", ".join(parts)


def complete_values(
    analysis: Analysis, message: OutlineNode, node: OutlineNode, offset: int
) -> Iterator[dict[str, Any]]:
    spec = (message if message.is_list else node).spec
    value = node.value
    if spec is None or spec.is_message:
        return
    place = (offset, offset) if value is None else (node.value_start, node.value_end)
    blank = "" if value is not None or analysis.text.text[offset - 1 : offset] in (" ", "[", ",", "\t", "\n") else " "
    if spec.kind is not STRING:
        for choice in choices_of(spec):
            kind = KIND_ENUM if isinstance(spec.kind, Enum) else KIND_VALUE
            words = "the default" if choice == write_default(spec) else ""
            yield make_item(analysis, place, choice, kind, words, blank + choice)
        return
    typed = analysis.text.text[place[0] + 1 : offset] if value is not None else ""
    for label, kind, words in offer_names(analysis, spec.name, message, node):
        if typed.lower() in label.lower():
            item = make_item(analysis, place, label, kind, words, blank + STRING.format(label))
            yield dict(item, filterText=value or label)


def choices_of(spec: Any) -> tuple[str, ...]:
    if spec.kind is BOOL:
        return "true", "false"
    if isinstance(spec.kind, Enum):
        return spec.kind.names
    return (write_default(spec),) if write_default(spec) else ()


def offer_names(
    analysis: Analysis, field: str, message: OutlineNode, node: OutlineNode
) -> Iterator[tuple[str, int, str]]:
    """Yield the names that may stand in a field and are not listed yet."""
    flavour, layers = analysis.flavour, analysis.layers or ()
    by_holder = field in ("layer_name", "layer_type")  # listed are those of all overrides
    same = (other for other in analysis.outline.strings if other.field == field)
    listed = {o.text for o in same if o.parent and (not by_holder or o.parent.field == message.field)} - {node.text}
    if field in NAMES_OF_TYPES:
        counts = Counter(layer.type for layer in layers if flavour.quantizes(layer))
        for name in sorted(flavour.quantizable_types - listed, key=lambda name: (-counts[name], name)):
            yield name, KIND_TYPE, pluralize(counts[name], "layer") if layers else ""
        return
    for layer in layers:
        if layer.name not in listed and may_stand(analysis, field, message, layer):
            yield layer.name, KIND_LAYER, layer.type


def may_stand(analysis: Analysis, field: str, message: OutlineNode, layer: Layer) -> bool:
    flavour = analysis.flavour
    if field == "skip_fusion_layers":
        return layer.type in flavour.fusible_types
    if field == "layer_name" and message.field == "tensor_quantize":
        described = flavour.types.get(layer.type)
        return described is not None and not described.quantizable
    return flavour.quantizes(layer)
