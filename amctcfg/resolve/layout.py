# SPDX-License-Identifier: Apache-2.0
"""The JSON quantization config as the toolkit writes it, from the layout of a flavour."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

from ..flavours.flavour import Constant, Flavour, Layout, Mapped
from ..messages.message import REPEATED
from .merging import EffectiveConfig, Merger, values_of

__all__ = ["Writer", "global_values"]

VERSION = 1  # of the JSON quantization config
INDENT = "    "

Getter = Callable[[Any], Any]


def global_values(merger: Merger, layout: Layout) -> Dict[str, Any]:
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


def tensor_values(merger: Merger, layout: Layout, entry: Any) -> Dict[str, Any]:
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


def tensor_block(merger: Merger, entry: Any, part: str) -> Dict[str, Any]:
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
        self.templates: Dict[Tuple[str, ...], Tuple[str, List[Getter]]] = {}
        self.blocks: Dict[int, str] = {}  # what is written for a block: many layers have the same

    def head(self, values: Dict[str, Any]) -> str:
        import json  # a part of what is written, and slow to import

        return json.dumps(values, indent=4, separators=(",", ":"))

    def layer(self, effective: EffectiveConfig) -> str:
        """A layer's entry, as `json.dumps(indent=4, separators=(",", ":"))` writes it."""
        block = effective.calibration_config
        if id(block) not in self.blocks:
            self.blocks[id(block)] = self.block(block)
        name = self.quote(effective.layer.name)
        enabled = '{{\n{0}{0}"quant_enable":{1}'.format(INDENT, "true" if effective.quant_enable else "false")
        return "{}{}:{}{}".format(INDENT, name, enabled, self.blocks[id(block)])

    def block(self, block: Any) -> str:
        members = tuple(name for name, f in block.__schema__.fields.items() if f.is_message and getattr(block, name))
        if members not in self.templates:
            self.templates[members] = self.template(members)
        text, getters = self.templates[members]
        return text.format(*[scalar(getter(block)) for getter in getters])

    def template(self, members: Tuple[str, ...]) -> Tuple[str, List[Getter]]:
        shape: Dict[str, Any] = {}
        getters: List[Getter] = []
        for key, member, field in self.layout.switches:
            if member in members:
                shape[key] = placeholder(getters, member, field)
        for key, templates in self.layout.parts.items():
            for member, template in templates.items():
                if member in members:
                    shape[key] = {k: self.entry(spec, member, getters) for k, spec in template.items()}
        import json

        text = json.dumps({"": shape}, indent=4, separators=(",", ":"))
        inner = text[text.index("{", 1) + 1 : text.rindex("}", 0, -1)].rstrip()
        body = (",{}\n{}}}".format(inner, INDENT) if shape else "\n{}}}".format(INDENT)).replace("{", "{{")
        body = body.replace("}", "}}")
        for number in range(len(getters)):
            body = body.replace('"\\u0000{}"'.format(number), "{}")
        return body, getters

    def entry(self, spec: Any, member: str, getters: List[Getter]) -> Any:
        if isinstance(spec, Constant):
            return spec.value
        if isinstance(spec, Mapped):
            return placeholder(getters, member, spec.field, spec.values)
        if isinstance(spec, list):
            return [placeholder(getters, member, name) for name in spec]
        return placeholder(getters, member, spec)


def placeholder(getters: List[Getter], member: str, field: str, mapped: Optional[Dict[Any, Any]] = None) -> str:
    def get(block: Any) -> Any:
        value = getattr(getattr(block, member), field)
        return value if mapped is None else mapped[value]

    getters.append(get)
    return "\0{}".format(len(getters) - 1)


def scalar(value: Any) -> str:
    if value is True or value is False:
        return "true" if value else "false"
    if not isinstance(value, str):
        return repr(value)
    from json import dumps  # of enums only

    return dumps(value)


def rows(layers: Iterable[EffectiveConfig]) -> List[Dict[str, Any]]:
    """A flat dictionary a layer: name, type, switches and values by dotted name."""
    found = []
    for effective in layers:
        row = {"layer": effective.layer.name, "type": effective.layer.type, "quant_enable": effective.quant_enable}
        row["fuse"] = effective.fuse
        row.update(values_of(effective.calibration_config))
        found.append(row)
    return found
