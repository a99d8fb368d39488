# SPDX-License-Identifier: Apache-2.0
"""Hover, and hints behind overrides: what a field means, what a layer gets, how many layers have a block."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..checks.context import OVERRIDES
from ..diagnostics.words import as_block, as_code, pluralize, shorten_list
from ..flavours.layer import Layer
from ..messages.meanings import read_field_meanings
from ..resolve.resolver import COMMON, OF_LAYER, OF_TYPE
from ..tools.explaining import Explanation
from .analysis import Analysis
from .completion import describe_field
from .outline import NAMES_OF_LAYERS, NAMES_OF_TYPES, OutlineNode, find_child_text

MOST_LISTED = 20


def hover(analysis: Analysis, offset: int) -> dict[str, Any] | None:
    """Describe what is at a place: the meaning of a field, what a layer gets, which layers have a block."""
    node = analysis.outline.at(offset)
    if node is None:
        return None
    place = analysis.text.range(node.value_start, node.value_end)
    if node.name is not None and offset <= node.name_end:
        place, words = analysis.text.range(node.start, node.name_end), hover_field(analysis, node)
    elif node.text is not None and node.field in NAMES_OF_LAYERS:
        words = hover_layer(analysis, node.text)
    elif node.text is not None and node.field in NAMES_OF_TYPES:
        words = hover_type(analysis, node.text)
    else:
        words = hover_field(analysis, node)
    return None if words is None else {"contents": {"kind": "markdown", "value": words}, "range": place}


def hover_field(analysis: Analysis, node: OutlineNode) -> str | None:
    if node.spec is None:
        return None
    holder = node.parent
    while holder is not None and holder.is_list:
        holder = holder.parent
    message = holder.message if holder is not None else None
    meaning = read_field_meanings(message or analysis.flavour.config).get(node.spec.name, "")
    words = "**{}**: {}\n\n{}".format(node.spec.name, describe_field(node.spec), meaning)
    found = find_layers_of_block(analysis, node)
    if found is None:
        return words
    return "{}\n\n{}".format(words, count_layers(found) if found else "No layer of the model gets this block.")


def find_layers_of_block(analysis: Analysis, node: OutlineNode) -> list[Layer] | None:
    """Find the quantized layers that have the block at a node, also one that is being written; None without a model."""
    resolver, layers = analysis.resolver, analysis.layers
    if resolver is None or layers is None:
        return None
    if node.field == "calibration_config" and node.parent is not None and node.parent.parent is not None:
        node = node.parent
    quantized = [layer for layer in layers if resolver.merge(layer).quant_enable]
    if node.field == OF_LAYER:
        return [layer for layer in quantized if layer.name == find_child_text(node, "layer_name")]
    others = [layer for layer in quantized if layer.name not in resolver.names]
    if node.field == OF_TYPE:
        return [layer for layer in others if layer.type == find_child_text(node, "layer_type")]
    return [layer for layer in others if layer.type not in resolver.types] if node.field == COMMON else None


def count_layers(layers: list[Layer]) -> str:
    """Return `2 layers of the model: a, b`."""
    names = ": " + shorten_list([as_code(layer.name) for layer in layers], MOST_LISTED) if layers else ""
    return "{} of the model{}".format(pluralize(len(layers), "layer"), names)


def hover_layer(analysis: Analysis, name: str) -> str | None:
    layer = analysis.find_layer(name)
    if layer is None:
        return None if analysis.layers is None else "The model has no layer of this name."
    resolver = analysis.resolver
    if resolver is None:
        return "{} ({})".format(as_code(layer.name), as_code(layer.type))
    return as_block(Explanation(resolver, resolver.merge(layer), name=analysis.name).write_text())


def hover_type(analysis: Analysis, name: str) -> str | None:
    described = analysis.flavour.types.get(name)
    if described is None:
        return "{} has no layer type of this name.".format(analysis.flavour.name)
    facts = ["channel_wise"] if described.channel_wise else []
    facts += ["BN is fused"] if described.fusible else []
    words = "**{}**{}".format(name, ": " + ", ".join(facts) if facts else "")
    if analysis.layers is not None:
        words += "\n\n" + count_layers([layer for layer in analysis.layers if layer.type == name])
    return words


def list_inlay_hints(analysis: Analysis, start: int, end: int) -> list[dict[str, Any]]:
    """Say behind the name of an override how many layers get it: `→ 13 layers`, `→ nothing`."""
    resolver, layers = analysis.resolver, analysis.layers
    if resolver is None or layers is None:
        return []
    counts: Counter[tuple[str | None, str | None]] = Counter(
        (OF_LAYER, layer.name) if layer.name in resolver.names else (OF_TYPE, layer.type)
        for layer in layers
        if resolver.merge(layer).quant_enable
    )
    found = []
    for node in analysis.outline.strings:
        holder = node.parent
        if holder is None or (holder.field, node.field) not in OVERRIDES.items() or not start <= node.end <= end:
            continue
        count = counts[holder.field, node.text]
        if holder.field == OF_TYPE or not count:
            label = "→ {}".format(pluralize(count, "layer") if count else "nothing")
            found.append({"position": analysis.text.position(node.end), "label": label, "paddingLeft": True})
    return found
