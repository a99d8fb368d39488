# SPDX-License-Identifier: Apache-2.0
"""The JSON quantization config as the toolkit writes it, from the layout of a flavour."""

from __future__ import annotations

from operator import attrgetter
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

from ..flavours.flavour import Constant, Flavour, Layout, Mapped
from ..messages.kinds import Bool, Enum
from ..messages.message import REPEATED, Message
from .effective import EffectiveConfig, values_of
from .resolver import COMMON, OF_LAYER, OF_TYPE, Resolver

# The fields of a configuration that say what single layers get.
OF_LAYERS = ("skip_layers", "skip_layer_types", COMMON, OF_TYPE, OF_LAYER)

VERSION = 1  # of the JSON quantization config
INDENT = "    "
NEXT = ",\n" + INDENT
ENABLED = {value: ':{{\n{0}{0}"quant_enable":{1}'.format(INDENT, str(value).lower()) for value in (True, False)}


def global_values(merger: Resolver, layout: Layout) -> Dict[str, Any]:
    """The keys in front of the layers."""
    config: Any = merger.config
    found: Dict[str, Any] = {}
    for key in layout.globals:
        if key == "version":
            found[key] = VERSION
            continue
        value = getattr(config, key)
        if value is None and key in layout.when_set:
            continue
        field = config.__schema__.fields[key]
        if field.is_message:
            found[key] = [tensor_values(merger, layout, entry) for entry in value]
        elif field.label == REPEATED:
            found[key] = list(value)
        else:
            found[key] = field.default if value is None else value
    return found


def settings_beside(config: Any, flavour: Flavour[Any], keys: Iterable[str]) -> Dict[str, Any]:
    """What a configuration says of the model as a whole that is not among the keys; absent fields have their default."""
    blocks = (*OF_LAYERS, *(name for name, _ in flavour.stand_ins))
    found: Dict[str, Any] = {}
    for name, field in config.__schema__.fields.items():
        if name not in keys and name not in blocks:
            value = getattr(config, name)
            value = field.default if value is None else value
            found[name] = [plain(element) for element in value] if field.label == REPEATED else plain(value)
    return found


def plain(value: Any) -> Any:
    """A message as a dictionary of what it sets, for the eyes; anything else as it is."""
    if not isinstance(value, Message):
        return value
    values = {name: getattr(value, name) for name in value.__schema__.fields}
    return {name: plain(inner) for name, inner in values.items() if inner is not None}


def tensor_values(merger: Resolver, layout: Layout, entry: Any) -> Dict[str, Any]:
    """An entry of tensor_quantize: the input of a layer, with the activations' part of a block."""
    found = {name: getattr(entry, name) for name, f in entry.__schema__.fields.items() if not f.is_message}
    for key, templates in layout.parts.items():
        part = next((name for name in templates if getattr(entry, name, None) is not None), None)
        if part is None:
            part = next((name for name in templates if name in entry.__schema__.fields), None)
        if part is not None:
            values = tensor_block(merger, entry, part)
            found[key] = {k: filled(spec, values) for k, spec in templates[part].items()}
    return found


def tensor_block(merger: Resolver, entry: Any, part: str) -> Dict[str, Any]:
    """The values of a tensor's algorithm; `asymmetric` cascades as that of a layer without other blocks."""
    block, values = getattr(entry, part), {}
    common = merger.common and getattr(merger.common.block, part)
    for field in entry.__schema__.fields[part].kind.__schema__.fields.values():
        value = None if block is None else getattr(block, field.name)
        if value is None and field.cascades is not None:
            value = None if common is None else getattr(common, field.name)
            value = getattr(merger.config, field.cascades) if value is None else value
        values[field.name] = field.default if value is None else value
    return values


def filled(spec: Any, values: Dict[str, Any]) -> Any:
    """The JSON value that a template's entry stands for."""
    if isinstance(spec, Constant):
        return spec.value
    if isinstance(spec, Mapped):
        return spec.values[values[spec.field]]
    if isinstance(spec, list):
        return [values[name] for name in spec]
    return values[spec]


class Writer:
    """Writes layers by templates, one for each combination of algorithms; Python's encoder is slow with indents."""

    def __init__(self, flavour: Flavour[Any]) -> None:
        assert flavour.layout is not None  # the plan asks
        self.layout: Layout = flavour.layout
        from json.encoder import encode_basestring_ascii

        self.quote: Callable[[str], str] = encode_basestring_ascii
        self.block_fields: Dict[str, Any] = flavour.config.__schema__.fields["common_config"].kind.__schema__.fields
        self.parts: List[str] = [name for name, field in self.block_fields.items() if field.is_message]
        self.templates: Dict[Tuple[str, ...], Template] = {}
        self.blocks: Dict[int, str] = {}  # what is written for a block: many layers have the same

    def head(self, values: Dict[str, Any]) -> str:
        import json  # a part of what is written, and slow to import

        return json.dumps(values, indent=4, separators=(",", ":"))

    def layer(self, effective: EffectiveConfig) -> Tuple[str, str, str, str]:
        """The pieces of a layer's entry, as `json.dumps(indent=4, separators=(",", ":"))` writes it."""
        block = effective.calibration_config
        if id(block) not in self.blocks:
            self.blocks[id(block)] = self.block(block)
        return NEXT, self.quote(effective.layer.name), ENABLED[effective.quant_enable], self.blocks[id(block)]

    def block(self, block: Any) -> str:
        members = tuple([name for name in self.parts if getattr(block, name) is not None])
        if members not in self.templates:
            self.templates[members] = self.template(members)
        template = self.templates[members]
        values = [*template.values(block)]
        for place, words in template.words:
            values[place] = words[values[place]]
        return template.text % tuple(values)

    def template(self, members: Tuple[str, ...]) -> Template:
        shape: Dict[str, Any] = {}
        found = Template(self.block_fields)
        for key, member, field in self.layout.switches:
            if member in members:
                shape[key] = found.place(member, field)
        for key, templates in self.layout.parts.items():
            for member, template in templates.items():
                if member in members:
                    shape[key] = {k: found.entry(member, spec) for k, spec in template.items()}
        found.close(shape)
        return found


class Template:
    """The text of layers with some algorithms, for the `%` operator, which is the fastest here.

    values -- the function that takes from a block what the text wants. words -- the places in it of values that are not
    written as numbers, with what is written for each value.
    """

    def __init__(self, block_fields: Dict[str, Any]) -> None:
        self.block_fields: Dict[str, Any] = block_fields
        self.text: str = ""
        self.values: Callable[[Any], Tuple[Any, ...]] = lambda block: ()
        self.words: List[Tuple[int, Dict[Any, str]]] = []
        self.places: List[str] = []  # dotted names

    def entry(self, member: str, spec: Any) -> Any:
        """What stands in for an entry of the layout."""
        if isinstance(spec, Constant):
            return spec.value
        if isinstance(spec, list):
            return [self.place(member, name) for name in spec]
        if isinstance(spec, Mapped):
            return self.place(member, spec.field, spec.values)
        return self.place(member, spec)

    def place(self, member: str, name: str, mapping: Optional[Dict[Any, Any]] = None) -> str:
        kind = self.block_fields[member].kind.__schema__.fields[name].kind
        if mapping is not None or isinstance(kind, (Bool, Enum)):
            import json

            mapping = mapping or {value: value for value in (kind.names if isinstance(kind, Enum) else (True, False))}
            self.words.append((len(self.places), {value: json.dumps(written) for value, written in mapping.items()}))
        self.places.append("{}.{}".format(member, name))
        return "\0{}".format(len(self.places) - 1)

    def close(self, shape: Dict[str, Any]) -> None:
        """Make the text of entries as `json.dumps(indent=4, separators=(",", ":"))` writes them."""
        import json

        text = json.dumps({"": shape}, indent=4, separators=(",", ":"))
        inner = text[text.index("{", 1) + 1 : text.rindex("}", 0, -1)].rstrip()
        text = (",{}\n{}}}".format(inner, INDENT) if shape else "\n{}}}".format(INDENT)).replace("%", "%%")
        as_word = {place for place, _ in self.words}
        for place in range(len(self.places)):
            text = text.replace('"\\u0000{}"'.format(place), "%s" if place in as_word else "%r")
        self.text = text
        self.values = getter(self.places)


def getter(names: List[str]) -> Callable[[Any], Tuple[Any, ...]]:
    """The function that takes attributes, by dotted name, from an object."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda block: tuple([attrgetter(name)(block) for name in names])


def rows(layers: Iterable[EffectiveConfig], origins: bool = False) -> List[Dict[str, Any]]:
    """A flat dictionary a layer: name, type, switches and values by dotted name, and where each of these comes from."""
    found = []
    for effective in layers:
        row = {"layer": effective.layer.name, "type": effective.layer.type, "quant_enable": effective.quant_enable}
        row["fuse"] = effective.fuse
        row.update(values_of(effective.calibration_config))
        for field, origin in effective.origins.items() if origins else ():
            row[field + ".by"] = origin.tier
            row[field + ".line"] = None if origin.span is None else origin.span.line
        found.append(row)
    return found
