# SPDX-License-Identifier: Apache-2.0
"""The JSON quantization config as the toolkit writes it, from the layout of a flavour."""

from __future__ import annotations

import dataclasses
import re
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, Mapping

from ..flavours.json_layout import ACTIVATIONS, Layout
from ..messages.message import Message, by_identity, construct
from .effective import EffectiveConfig
from .resolver import Resolver, member_in

if TYPE_CHECKING:
    from ..flavours.json_layout import Items
    from ..messages.message import IdentityCache

    Template = Callable[[Message], str]  # writes a layer with this block

VERSION = 1  # of the JSON quantization config

NUMERIC = (int, float)
MARKED = re.compile(r'"\\u0000([\w.]+)"')  # of the place of a number


def gather_global_values(resolver: Resolver, layout: Layout) -> dict[str, Any]:
    """Return the keys in front of the layers."""
    config = resolver.config
    found: dict[str, Any] = {}
    for key in layout.globals:
        if key == "version":
            found[key] = VERSION
            continue
        value = getattr(config, key)
        if value is None and key in layout.when_set:
            continue
        field = config.__schema__.fields[key]
        if field.is_message:
            found[key] = [make_tensor_entry(resolver, layout, entry) for entry in value]
        else:
            found[key] = to_plain(field.default if value is None else value)
    return found


def to_plain(value: Any) -> Any:
    """Return a message as a dictionary of what it sets, several as a list, anything else as it is."""
    if isinstance(value, tuple):
        return [to_plain(element) for element in value]
    if not isinstance(value, Message):
        return value
    values = {name: getattr(value, name) for name in value.__schema__.fields}
    return {name: to_plain(inner) for name, inner in values.items() if inner is not None}


def make_tensor_entry(resolver: Resolver, layout: Layout, entry: Message) -> dict[str, Any]:
    """Return an entry of tensor_quantize: the input of a layer, with the activations' part of a block."""
    fields = entry.__schema__.fields
    found = {name: getattr(entry, name) for name, field in fields.items() if not field.is_message}
    templates = layout.parts[ACTIVATIONS]
    member = member_in(entry, list(templates)) or next(iter(templates))
    found[ACTIVATIONS] = write_part(templates[member], resolver.resolve_tensor(entry, member))
    return found


def write_part(template: Items, values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: item.write(values) for key, item in template.items()}


def layer_dict(effective: EffectiveConfig, layout: Layout) -> dict[str, Any]:
    """Return the entry of a layer as Python values: what `write_layers` writes, said plainly."""
    block = effective.calibration_config
    found: dict[str, Any] = {"quant_enable": effective.quant_enable}
    for key, member, field in layout.switches:
        if getattr(block, member) is not None:
            found[key] = getattr(getattr(block, member), field)
    for key, templates in layout.parts.items():
        for member, template in templates.items():
            message = getattr(block, member)
            wider, wide_template = layout.wider.get(member, (None, {}))
            if message is not None:
                found[key] = write_part(wide_template if type(message) is wider else template, vars(message))
    return found


def write_layers(layers: Iterable[EffectiveConfig], layout: Layout) -> Iterator[str]:
    """Write the entries of layers as `json.dumps(indent=4, separators=(",", ":"))` does, which is slow with indents.

    It is the fast path of `layer_dict`: layers that differ in numbers only share a template.
    """
    texts: IdentityCache[str] = {}  # of blocks: many layers have the same
    templates: dict[tuple[Any, ...], Template] = {}
    for effective in layers:
        block, enabled = effective.calibration_config, effective.quant_enable
        yield by_identity(texts, block, enabled, write_layer, effective, layout, templates)


def write_layer(effective: EffectiveConfig, layout: Layout, templates: dict[tuple[Any, ...], Template]) -> str:
    block = effective.calibration_config
    parts = [part for part in vars(block).values() if isinstance(part, Message)]
    words = [value for part in parts for value in vars(part).values() if type(value) not in NUMERIC]
    key = (effective.quant_enable, *map(type, parts), *words)
    if key not in templates:
        templates[key] = make_template(effective, layout)
    return templates[key](block)


def make_template(effective: EffectiveConfig, layout: Layout) -> Template:
    """Write a layer with marks, the dotted names, in the place of its numbers; a template puts those of a block there."""
    import json

    marked = dict(vars(effective.calibration_config))
    for name, part in marked.items():
        if isinstance(part, Message):
            mark = ("\0" + name + ".{}").format
            values = {field: mark(field) if type(value) in NUMERIC else value for field, value in vars(part).items()}
            marked[name] = construct(type(part), values)
    block = construct(type(effective.calibration_config), marked)
    shape = {"": layer_dict(dataclasses.replace(effective, calibration_config=block), layout)}
    text = json.dumps(shape, indent=4, separators=(",", ":"))
    names = MARKED.findall(text)
    text = MARKED.sub("%r", text[text.index(":") + 1 : text.rindex("\n")].replace("%", "%%"))
    numbers: Callable[[Message], object] = attrgetter(*names) if names else lambda block: ()
    return lambda block: text % numbers(block)
