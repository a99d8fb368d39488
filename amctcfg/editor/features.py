# SPDX-License-Identifier: Apache-2.0
"""What an editor asks about a place in a file: completion, hover, hints, symbols, folding, definitions, references."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Optional, Tuple

from ..diagnostics.diagnostic import ERROR, Diagnostic
from ..diagnostics.words import as_block, as_code, escape_controls, list_words, pluralize
from ..flavours.layer import Layer
from ..flavours.requirement import BY_TYPE
from ..messages.kinds import BOOL, STRING, Enum
from ..messages.meanings import field_meanings
from ..resolve.resolver import COMMON, OF_LAYER, OF_TYPE, Resolver
from ..tools.explaining import Explanation
from .analysis import Analysis
from .outline import Node

NAMES_OF_LAYERS = ("skip_layers", "skip_fusion_layers", "layer_name", "skip_approximation_layers")
NAMES_OF_TYPES = ("skip_layer_types", "layer_type")

MOST_COMPLETIONS = 200
MOST_NAMED = 20

KIND_FIELD, KIND_VALUE, KIND_ENUM, KIND_LAYER, KIND_TYPE = 5, 12, 20, 21, 7
SYMBOL_OBJECT, SYMBOL_FIELD, SYMBOL_ARRAY = 19, 8, 18
DEEPEST = 50  # levels of symbols; clients and the JSON of an answer have limits, too
UNNECESSARY = 1
FADED = ("redundant-override", "unused-override", "ignored-override")

PAGE = "https://amctcfg.readthedocs.io/en/stable/diagnostics/#{}"


# ---------------------------------------------------------------- diagnostics


def diagnostics_of(analysis: Analysis) -> List[Dict[str, Any]]:
    """What `check` reports, as the protocol has it; what has no place stands at the beginning."""
    return [diagnostic_of(analysis, diagnostic) for diagnostic in analysis.diagnostics]


def diagnostic_of(analysis: Analysis, diagnostic: Diagnostic) -> Dict[str, Any]:
    zero = {"line": 0, "character": 0}
    place = {"start": zero, "end": zero} if diagnostic.span is None else analysis.text.span_range(diagnostic.span)
    message = escape_controls(diagnostic.message) + ("\n" + escape_controls(diagnostic.hint) if diagnostic.hint else "")
    found: Dict[str, Any] = {
        "range": place,
        "severity": 1 if diagnostic.severity == ERROR else 2,
        "code": diagnostic.code,
        "codeDescription": {"href": PAGE.format(diagnostic.code)},
        "source": "amctcfg",
        "message": message,
    }
    if diagnostic.code in FADED:
        found["tags"] = [UNNECESSARY]
    return found


# ---------------------------------------------------------------- completion


def completion(analysis: Analysis, offset: int, snippets: bool) -> Dict[str, Any]:
    """What may stand at a place. The list is never complete: what is typed next is asked about again."""
    outline = analysis.outline
    if outline.comment_at(offset):
        return {"isIncomplete": False, "items": []}
    message = outline.inside(offset)
    node = value_node(message, offset)
    if node is not None or message.is_list:
        items = values(analysis, message, node, offset)
    else:
        items = fields(analysis, message, offset, snippets)
    return {"isIncomplete": True, "items": list(items)[:MOST_COMPLETIONS]}


def value_node(message: Node, offset: int) -> Optional[Node]:
    """The field whose value a place is in, or behind whose colon it is."""
    for number, child in enumerate(message.children):
        if child.value is not None and child.value_start <= offset <= child.value_start + len(child.value):
            return child
        if child.has_colon and child.value is None and child.opening is None and child.start < offset:
            following = message.children[number + 1 : number + 2]
            if not following or offset <= following[0].start:
                return child
    return None


def fields(analysis: Analysis, message: Node, offset: int, snippets: bool) -> Iterator[Dict[str, Any]]:
    root = message is analysis.outline.root
    cls = (
        analysis.flavour.config
        if root
        else message.spec.kind
        if message.spec is not None and message.spec.is_message
        else None
    )
    if cls is None:
        return
    there = {
        child.name for child in message.children if not child.start <= offset <= child.start + len(child.name or "")
    }
    typed = next((c for c in message.children if c.name and c.start <= offset <= c.start + len(c.name)), None)
    start = typed.start if typed is not None else offset
    end = typed.start + len(typed.name or "") if typed is not None else offset
    has_value = typed is not None and (typed.has_colon or typed.opening is not None)
    for name, meaning in field_meanings(cls).items():
        spec = cls.__schema__.fields[name]
        if name in there and spec.label != "repeated":
            continue
        written = name if has_value else written_field(name, spec, snippets)
        item = {
            "label": name,
            "kind": KIND_FIELD,
            "detail": detail(spec),
            "documentation": {"kind": "markdown", "value": meaning},
            "textEdit": {"range": analysis.text.range(start, end), "newText": written},
        }
        if snippets and not has_value:
            item["insertTextFormat"] = 2
        yield item


def written_field(name: str, spec: Any, snippets: bool) -> str:
    """A field with a place to go on writing at."""
    if spec.is_message:
        return name + (" {\n  $0\n}" if snippets else " {")
    if not snippets:
        return name + ": "
    if spec.kind is STRING:
        return name + ': "$0"'
    if spec.kind is BOOL:
        return name + ": ${1|true,false|}"
    if isinstance(spec.kind, Enum):
        return name + ": ${1|" + ",".join(spec.kind.names) + "|}"
    return "{}: ${{1:{}}}".format(name, default_of(spec) or spec.kind.example)


def default_of(spec: Any) -> str:
    if spec.is_message or spec.default is None or spec.label == "repeated":
        return ""
    return repr(spec.default) if spec.default is BY_TYPE else spec.kind.format(spec.default)


def detail(spec: Any) -> str:
    parts = ["{} {}".format(spec.label, spec.kind_name)]
    if default_of(spec):
        parts.append("default {}".format(default_of(spec)))
    if spec.within is not None:
        parts.append(spec.within.words)
    return ", ".join(parts)


def values(analysis: Analysis, message: Node, node: Optional[Node], offset: int) -> Iterator[Dict[str, Any]]:
    owner = message if message.is_list else node
    spec = (node.spec if node is not None and node.spec is not None else None) or (
        owner.spec if owner is not None else None
    )
    if spec is None or spec.is_message:
        return
    name = spec.name
    value = node.value if node is not None and node.value is not None else None
    start = node.value_start if node is not None and value is not None else offset
    end = start + len(value) if value is not None else offset
    blank = "" if value is not None or analysis.text.text[offset - 1 : offset] in (" ", "[", ",", "\t", "\n") else " "
    if spec.kind is STRING:
        typed = analysis.text.text[start + 1 : offset] if value is not None else ""
        for label, kind, words in names_for(analysis, name, message, node):
            if typed.lower() in label.lower():
                yield {
                    "label": label,
                    "kind": kind,
                    "detail": words,
                    "filterText": value or label,
                    "textEdit": {"range": analysis.text.range(start, end), "newText": blank + STRING.format(label)},
                }
        return
    choices: Tuple[str, ...] = ()
    if spec.kind is BOOL:
        choices = ("true", "false")
    elif isinstance(spec.kind, Enum):
        choices = spec.kind.names
    elif default_of(spec):
        choices = (default_of(spec),)
    for choice in choices:
        words = "the default" if choice == default_of(spec) else ""
        edit = {"range": analysis.text.range(start, end), "newText": blank + choice}
        yield {
            "label": choice,
            "kind": KIND_ENUM if isinstance(spec.kind, Enum) else KIND_VALUE,
            "detail": words,
            "textEdit": edit,
        }


def names_for(analysis: Analysis, field: str, message: Node, node: Optional[Node]) -> Iterator[Tuple[str, int, str]]:
    """The names that may stand in a field and are not listed yet."""
    flavour, layers = analysis.flavour, analysis.layers or ()
    own = node.text if node is not None else None
    listed = {text for text, _ in strings_in(analysis, field, message)} - {own}
    if field in NAMES_OF_TYPES:
        counts: Dict[str, int] = {}
        for layer in layers:
            counts[layer.type] = counts.get(layer.type, 0) + flavour.quantizes(layer)
        order = sorted(flavour.quantizable_types, key=lambda name: (-counts.get(name, 0), name))
        for name in order:
            if name not in listed:
                yield name, KIND_TYPE, pluralize(counts.get(name, 0), "layer") if layers else ""
        return
    for layer in layers:
        if layer.name not in listed and may_stand(analysis, field, message, layer):
            yield layer.name, KIND_LAYER, layer.type


def may_stand(analysis: Analysis, field: str, message: Node, layer: Layer) -> bool:
    flavour = analysis.flavour
    if field == "skip_fusion_layers":
        return layer.type in flavour.fusible_types
    if field == "layer_name" and message.field == "tensor_quantize":
        described = flavour.types.get(layer.type)
        return described is not None and not described.quantizable
    return flavour.quantizes(layer)


def strings_in(analysis: Analysis, field: str, message: Node) -> Iterator[Tuple[str, Node]]:
    """The names in a field: of a list or repeated field all of them, of an override those of all overrides."""
    for node in analysis.outline.strings:
        holder = node.parent
        if node.field == field and node.text is not None and holder is not None:
            if field not in ("layer_name", "layer_type") or holder.field == message.field:
                yield node.text, node


# ---------------------------------------------------------------- hover


def hover(analysis: Analysis, offset: int) -> Optional[Dict[str, Any]]:
    """What is at a place: a field's meaning; what a layer gets; how many layers have a block, and which."""
    node = analysis.outline.at(offset)
    if node is None:
        return None
    on_name = node.name is not None and offset <= node.start + len(node.name)
    words: Optional[str] = None
    if on_name:
        start, end = node.start, node.start + len(node.name or "")
        words = field_words(analysis, node)
    else:
        start, end = node.value_start, node.value_start + len(node.value or "")
        if node.text is not None and node.field in NAMES_OF_LAYERS:
            words = layer_words(analysis, node.text)
        elif node.text is not None and node.field in NAMES_OF_TYPES:
            words = type_words(analysis, node.text)
        else:
            words = field_words(analysis, node)
    if words is None:
        return None
    return {"contents": {"kind": "markdown", "value": words}, "range": analysis.text.range(start, end)}


def field_words(analysis: Analysis, node: Node) -> Optional[str]:
    if node.spec is None:
        return None
    holder = node.parent
    while holder is not None and holder.is_list:
        holder = holder.parent
    cls = analysis.flavour.config
    if holder is not None and holder.spec is not None and holder.spec.is_message:
        cls = holder.spec.kind
    meaning = field_meanings(cls).get(node.spec.name, "")
    words = "**{}**: {}\n\n{}".format(node.spec.name, detail(node.spec), meaning)
    block = block_words(analysis, node)
    return words + ("\n\n" + block if block else "")


def block_words(analysis: Analysis, node: Node) -> Optional[str]:
    """How many layers get a block, and which."""
    found = users(analysis, node)
    if found is None:
        return None
    if not found:
        return "No layer of the model gets this block."
    return "{} of the model: {}".format(
        pluralize(len(found), "layer"), list_words([as_code(layer.name) for layer in found], MOST_NAMED)
    )


def users(analysis: Analysis, node: Node) -> Optional[List[Layer]]:
    """The quantized layers that have the block at a node; None where it is not a block, or there is no model."""
    merger, layers = analysis.merger, analysis.layers
    if merger is None or layers is None:
        return None
    if node.field == "calibration_config" and node.parent is not None and node.parent.parent is not None:
        node = node.parent
    quantized = [layer for layer in layers if merger.merge(layer).quant_enable]
    if node.field == COMMON:
        return [x for x in quantized if x.name not in merger.names and x.type not in merger.types]
    if node.field == OF_TYPE:
        name = text_of(node, "layer_type")
        return [x for x in quantized if x.type == name and x.name not in merger.names]
    if node.field == OF_LAYER:
        name = text_of(node, "layer_name")
        return [x for x in quantized if x.name == name]
    return None


def text_of(node: Node, field: str) -> Optional[str]:
    child = node.first(field)
    return child.text if child is not None else None


def layer_words(analysis: Analysis, name: str) -> Optional[str]:
    layer = analysis.layer(name)
    if layer is None:
        return None if analysis.layers is None else "The model has no layer of this name."
    merger = analysis.merger
    if merger is None:
        return "{} ({})".format(as_code(layer.name), as_code(layer.type))
    return as_block(Explanation(merger, merger.merge(layer), name=analysis.name).text())


def type_words(analysis: Analysis, name: str) -> Optional[str]:
    described = analysis.flavour.types.get(name)
    if described is None:
        return "{} has no layer type of this name.".format(analysis.flavour.name)
    facts = [
        word for word, holds in (("channel_wise", described.channel_wise), ("BN is fused", described.fusible)) if holds
    ]
    words = "**{}**{}".format(name, ": " + ", ".join(facts) if facts else "")
    layers = [layer for layer in analysis.layers or () if layer.type == name]
    if analysis.layers is not None:
        words += "\n\n{} of the model{}".format(
            pluralize(len(layers), "layer"),
            ": " + list_words([as_code(x.name) for x in layers], MOST_NAMED) if layers else "",
        )
    return words


# ---------------------------------------------------------------- hints, symbols, folding


def inlay_hints(analysis: Analysis, start: int, end: int) -> List[Dict[str, Any]]:
    """Behind the name of an override how many layers get it: `→ 13 layers`, `→ nothing`."""
    merger, layers = analysis.merger, analysis.layers
    if merger is None or layers is None:
        return []
    counts: Dict[Tuple[str, str], int] = {}
    for layer in layers:
        if merger.merge(layer).quant_enable:
            key = (OF_LAYER, layer.name) if layer.name in merger.names else (OF_TYPE, layer.type)
            counts[key] = counts.get(key, 0) + 1
    found = []
    for node in analysis.outline.strings:
        holder = node.parent
        field = {"layer_type": OF_TYPE, "layer_name": OF_LAYER}.get(node.field or "")
        if field is None or holder is None or holder.field != field or not start <= node.end <= end:
            continue
        count = counts.get((field, node.text or ""), 0)
        if field == OF_TYPE or not count:
            label = "→ {}".format(pluralize(count, "layer") if count else "nothing")
            found.append({"position": analysis.text.position(node.end), "label": label, "paddingLeft": True})
    return found


def document_symbols(analysis: Analysis) -> List[Dict[str, Any]]:
    return [symbol(analysis, node) for node in analysis.outline.root.children if node.name]


def symbol(analysis: Analysis, node: Node, depth: int = 0) -> Dict[str, Any]:
    text = analysis.text
    name = node.name or "element"
    key = text_of(node, "layer_name") or text_of(node, "layer_type")
    found: Dict[str, Any] = {
        "name": name,
        "detail": escape_controls(key or node.value or ""),
        "kind": SYMBOL_ARRAY if node.is_list else SYMBOL_OBJECT if node.opening is not None else SYMBOL_FIELD,
        "range": text.range(node.start, max(node.end, node.start)),
        "selectionRange": text.range(node.start, node.start + len(node.name or "")),
    }
    inner = [child for child in node.children if child.name or child.opening is not None]
    if inner and depth < DEEPEST:
        found["children"] = [symbol(analysis, child, depth + 1) for child in inner]
    return found


def folding_ranges(analysis: Analysis) -> List[Dict[str, Any]]:
    text = analysis.text
    found: List[Dict[str, Any]] = []
    for node in analysis.outline.walk():
        if node.opening is not None:
            first, last = text.position(node.start)["line"], text.position(node.end)["line"]
            if last > first:
                found.append({"startLine": first, "endLine": last - 1 if last - 1 > first else last})
    lines = [text.position(start)["line"] for start, _ in analysis.outline.comments]
    begin = 0
    for index in range(1, len(lines) + 1):
        if index == len(lines) or lines[index] != lines[index - 1] + 1:
            if lines[index - 1] > lines[begin]:
                found.append({"startLine": lines[begin], "endLine": lines[index - 1], "kind": "comment"})
            begin = index
    return found


# ---------------------------------------------------------------- definitions, references


def name_at(analysis: Analysis, offset: int) -> Optional[Node]:
    """The string at a place that names a layer or a type."""
    node = analysis.outline.at(offset)
    if node is None or node.text is None or node.field not in (*NAMES_OF_LAYERS, *NAMES_OF_TYPES):
        return None
    return node if node.value_start <= offset else None


def definition(analysis: Analysis, offset: int) -> List[Dict[str, Any]]:
    """From an override to the blocks that it shadows; from a layer's name elsewhere to the blocks that it could have."""
    node = analysis.outline.at(offset) or analysis.outline.inside(offset)
    override: Optional[Node] = node
    while override is not None and override.field not in (OF_LAYER, OF_TYPE):
        override = override.parent
    merger: Optional[Resolver] = analysis.merger
    if merger is None:
        return []
    name: Optional[str] = None
    layer_type: Optional[str] = None
    skipped = 1
    if override is not None and override.field == OF_TYPE:
        layer_type = text_of(override, "layer_type")
    elif override is not None:
        name = text_of(override, "layer_name")
    else:
        named_here = name_at(analysis, offset)
        if named_here is None:
            return []
        name, skipped = named_here.text, 0
    layer = analysis.layer(name or "")
    if layer is not None:
        layer_type = layer.type
    tiers = merger.tiers_of(name, layer_type)[skipped:]
    spans = [
        merger.document.mark(tier.path[:2] if tier.name != COMMON else tier.path) for tier in tiers if merger.document
    ]
    return [analysis.text.span_range(span) for span in spans]


def references(analysis: Analysis, offset: int) -> List[Dict[str, Any]]:
    """All places that name the same layer, or the same type."""
    node = name_at(analysis, offset)
    if node is None:
        return []
    group = NAMES_OF_LAYERS if node.field in NAMES_OF_LAYERS else NAMES_OF_TYPES
    text = analysis.text
    return [
        text.range(other.value_start, other.value_start + len(other.value or ""))
        for other in analysis.outline.strings
        if other.field in group and other.text == node.text
    ]
