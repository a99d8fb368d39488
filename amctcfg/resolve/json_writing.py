# SPDX-License-Identifier: Apache-2.0
"""The JSON quantization config as the toolkit writes it, from the layout of a flavour."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple, Type

from ..flavours.common import Configuration
from ..flavours.flavour import Flavour
from ..flavours.json_layout import Layout, Value
from ..messages.field import REPEATED, Field
from ..messages.kinds import Bool, Enum
from ..messages.message import Message
from ..messages.sharing import by_identity
from .effective import EffectiveConfig
from .resolver import COMMON, OF_LAYER, OF_TYPE, Resolver

if TYPE_CHECKING:
    from ..flavours.json_layout import Items
    from ..messages.sharing import IdentityCache

# The fields of a configuration that say what single layers get.
OF_LAYERS = ("skip_layers", "skip_layer_types", COMMON, OF_TYPE, OF_LAYER)

VERSION = 1  # of the JSON quantization config
JSON_INDENT = "    "
NEXT = ",\n" + JSON_INDENT
ENABLED = {value: ':{{\n{0}{0}"quant_enable":{1}'.format(JSON_INDENT, str(value).lower()) for value in (True, False)}


def global_values(resolver: Resolver, layout: Layout) -> Dict[str, Any]:
    """Return the keys in front of the layers."""
    config = resolver.config
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
            found[key] = [tensor_values(resolver, layout, entry) for entry in value]
        elif field.label == REPEATED:
            found[key] = list(value)
        else:
            found[key] = field.default if value is None else value
    return found


def settings_beside(config: Configuration, flavour: Flavour, keys: Iterable[str]) -> Dict[str, Any]:
    """Return what a configuration says of the model as a whole that is not among the keys; absent fields have their default."""
    blocks = (*OF_LAYERS, *(name for name, _ in flavour.deprecated_blocks))
    found: Dict[str, Any] = {}
    for name, field in config.__schema__.fields.items():
        if name not in keys and name not in blocks:
            value = getattr(config, name)
            value = field.default if value is None else value
            found[name] = [plain(element) for element in value] if field.label == REPEATED else plain(value)
    return found


def plain(value: Any) -> Any:
    """Return a message as a dictionary of what it sets, anything else as it is."""
    if not isinstance(value, Message):
        return value
    values = {name: getattr(value, name) for name in value.__schema__.fields}
    return {name: plain(inner) for name, inner in values.items() if inner is not None}


def tensor_values(resolver: Resolver, layout: Layout, entry: Message) -> Dict[str, Any]:
    """Return an entry of tensor_quantize: the input of a layer, with the activations' part of a block."""
    fields = entry.__schema__.fields
    found = {name: getattr(entry, name) for name, field in fields.items() if not field.is_message}
    for key, templates in layout.parts.items():
        members = [name for name in templates if name in fields]
        member = next((name for name in members if getattr(entry, name) is not None), members[0] if members else None)
        if member is not None:
            found[key] = write_part(templates[member], resolver.tensor_values(entry, member))
    return found


def write_part(template: Items, values: Mapping[str, Any]) -> Dict[str, Any]:
    return {key: item.write(values) for key, item in template.items()}


def layer_dict(effective: EffectiveConfig, layout: Layout) -> Dict[str, Any]:
    """Return the entry of a layer as Python values: what a `Writer` writes, said plainly."""
    block = effective.calibration_config
    found: Dict[str, Any] = {"quant_enable": effective.quant_enable}
    for key, member, field in layout.switches:
        if getattr(block, member) is not None:
            found[key] = getattr(getattr(block, member), field)
    for key, templates in layout.parts.items():
        for member in templates:
            message = getattr(block, member)
            if message is not None:
                found[key] = write_part(layout.template_of(key, member, type(message)), vars(message))
    return found


class Writer:
    """Writes layers by templates, one for each combination of algorithms; Python's encoder is slow with indents.

    It is the fast path of `layer_dict`.
    """

    def __init__(self, flavour: Flavour) -> None:
        assert flavour.layout is not None  # the plan asks
        self.layout: Layout = flavour.layout
        from json.encoder import encode_basestring_ascii

        self.quote: Callable[[str], str] = encode_basestring_ascii
        fields: Dict[str, Field] = flavour.config.__schema__.fields["common_config"].kind.__schema__.fields
        self.parts: List[str] = [name for name, field in fields.items() if field.is_message]
        self.templates: Dict[Tuple[Tuple[str, Type[Message]], ...], Template] = {}
        self.blocks: IdentityCache[str] = {}  # what is written for a block: many layers have the same

    def head(self, values: Dict[str, Any]) -> str:
        import json  # a part of what is written, and slow to import

        return json.dumps(values, indent=4, separators=(",", ":"))

    def layer(self, effective: EffectiveConfig) -> Tuple[str, str, str, str]:
        """Return the pieces of a layer's entry, as `json.dumps(indent=4, separators=(",", ":"))` writes it."""
        block = effective.calibration_config
        text = by_identity(self.blocks, block, None, self.block, block)
        return NEXT, self.quote(effective.layer.name), ENABLED[effective.quant_enable], text

    def block(self, block: Message) -> str:
        kinds = {name: type(getattr(block, name)) for name in self.parts if getattr(block, name) is not None}
        key = tuple(kinds.items())
        if key not in self.templates:
            self.templates[key] = self.template(kinds)
        template = self.templates[key]
        values = [*template.values(block)]
        for place, words in template.words:
            values[place] = words[values[place]]
        return template.text % tuple(values)

    def template(self, kinds: Dict[str, Type[Message]]) -> Template:
        shape: Dict[str, Any] = {}
        found = Template(kinds)
        for key, member, field in self.layout.switches:
            if member in kinds:
                shape[key] = found.place(member, Value(field))
        for key, templates in self.layout.parts.items():
            for member in filter(kinds.__contains__, templates):
                template = self.layout.template_of(key, member, kinds[member])
                shape[key] = {k: found.place(member, item) for k, item in template.items()}
        found.close(shape)
        return found


class Template:
    """The text of layers with some algorithms, for the `%` operator, which is the fastest here.

    kinds -- the classes of the algorithms' messages, by their names in a block.
    values -- the function that takes from a block what the text wants. words -- the places in it of values that are not
    written as numbers, with what is written for each value.
    """

    def __init__(self, kinds: Dict[str, Type[Message]]) -> None:
        self.kinds: Dict[str, Type[Message]] = kinds
        self.text: str = ""
        self.values: Callable[[Any], Tuple[Any, ...]] = lambda block: ()
        self.words: List[Tuple[int, Dict[Any, str]]] = []
        self.places: List[str] = []  # dotted names

    def place(self, member: str, item: Any) -> Any:
        """Return what stands in for an item of the layout: a mark for each of its values."""
        marks = {name: self.mark(member, name, item.mapping) for name in item.fields}
        return Value(item.field).write(marks) if item.mapping else item.write(marks)

    def mark(self, member: str, name: str, mapping: Optional[Mapping[Any, Any]]) -> str:
        kind = self.kinds[member].__schema__.fields[name].kind
        if mapping is None and isinstance(kind, (Bool, Enum)):
            mapping = {value: value for value in (kind.names if isinstance(kind, Enum) else (True, False))}
        if mapping is not None:
            import json

            self.words.append((len(self.places), {value: json.dumps(written) for value, written in mapping.items()}))
        self.places.append("{}.{}".format(member, name))
        return "\0{}".format(len(self.places) - 1)

    def close(self, shape: Dict[str, Any]) -> None:
        """Make the text of entries as `json.dumps(indent=4, separators=(",", ":"))` writes them."""
        import json

        text = json.dumps({"": shape}, indent=4, separators=(",", ":"))
        inner = text[text.index("{", 1) + 1 : text.rindex("}", 0, -1)].rstrip()
        text = (",{}\n{}}}".format(inner, JSON_INDENT) if shape else "\n{}}}".format(JSON_INDENT)).replace("%", "%%")
        as_word = {place for place, _ in self.words}
        for place in range(len(self.places)):
            text = text.replace('"\\u0000{}"'.format(place), "%s" if place in as_word else "%r")
        self.text = text
        self.values = getter(self.places)


def getter(names: List[str]) -> Callable[[Any], Tuple[Any, ...]]:
    """Return the function that takes attributes, by dotted name, from an object."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda block: tuple([attrgetter(name)(block) for name in names])
