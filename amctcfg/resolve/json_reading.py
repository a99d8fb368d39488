# SPDX-License-Identifier: Apache-2.0
"""The JSON quantization config back into a plan: read as the toolkit reads it, with every error and its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..diagnostics.diagnostic import ERROR, ConfigError, Diagnostic, sort_key_of
from ..diagnostics.source import Source, Span
from ..diagnostics.suggestions import NameIndex, did_you_mean, find_nearest
from ..diagnostics.words import quote_name
from ..documents.files import display_name
from ..documents.json_tree import Json, json_of, parse_json, read_value
from ..flavours.flavour import Flavour, require_flavour
from ..flavours.json_layout import ACTIVATIONS, Constant, Layout, is_same
from ..flavours.layer import Layer
from ..flavours.requirement import ASYMMETRIC, CHANNEL_WISE, cascade_of, requirements_of
from ..flavours.tf_ascend import TF_ASCEND
from ..messages.field import REPEATED, Field
from ..messages.message import Message, by_identity, construct, find_problems
from .effective import READ, EffectiveConfig, Origin, Origins, values_of
from .json_cursor import Cursor, has_constants, number_in
from .json_writing import VERSION
from .plan import Plan
from .resolver import DOCUMENTED, Resolver

if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, Mapping, Optional

    from ..flavours.json_layout import Items
    from ..messages.message import IdentityCache
    from .effective import TierName

    Places = Dict[str, Optional[Cursor]]  # of values, by dotted name; None where nothing is written


def read_plan(
    quant_config: str | bytes | Mapping[str, Any],
    layers: Iterable[Layer],
    name: str = "<json>",
    flavour: Flavour | None = None,
) -> Plan:
    """Read the plan that a JSON quantization config holds, possibly edited.

    It is read as the toolkit does: a layer that is left out, or has no true `quant_enable`, is not quantized; keys that are
    left out have their defaults.

    Args:
        quant_config: The JSON, as text or as a mapping.
        layers: The layers of the model.
        name: The file's name, as errors show it.
        flavour: The dialect of the toolkit that wrote it; TF-Ascend where it is left out.

    Returns:
        A plan without a configuration, whose origins are places in the JSON.

    Raises:
        ConfigError: With every error, its line and column.
        ValueError: The flavour's toolkit writes no JSON.

    Example:
        >>> layers = [Layer("a", "Conv2D")]
        >>> from amctcfg import AMCTConfig, expand
        >>> read_plan(expand(AMCTConfig(), layers).to_json(), layers)["a"].quant_enable
        True

    Source:
        The toolkit's own `ConfigBase.parse_config_file`.
    """
    read = QuantConfig(quant_config, tuple(layers), name, flavour)
    if read.errors:
        raise ConfigError(read.errors, read.text)
    return read.make_plan()


class LayerEntry(NamedTuple):
    """The entry of a layer: whether it is quantized, its block, and the JSON itself, of a text only its place."""

    enabled: bool
    block: Message
    json: Json


class QuantConfig:
    """A JSON quantization config as it was read, with its errors.

    globals -- the values of the global keys. messages -- those that hold objects, as messages; whole if there are no errors.
    layers -- what it says of each layer that it names. unknown -- the JSON of layers that the model does not have. errors --
    in order.

    Where a value stands is worked out when it is asked for, by reading the layer's entry again: there may be many layers.
    """

    def __init__(self, quant_config: Any, layers: tuple[Layer, ...], name: str, flavour: Flavour | None = None) -> None:
        flavour = TF_ASCEND if flavour is None else flavour
        require_flavour(flavour)
        if flavour.layout is None:
            raise ValueError("the toolkit of {} writes no JSON quantization config".format(flavour.name))
        self.flavour: Flavour = flavour
        self.layout: Layout = flavour.layout
        self.name: str = display_name(name)
        self.known: tuple[Layer, ...] = layers
        self.by_name: dict[str, Layer] = {layer.name: layer for layer in layers}
        self.names: NameIndex | None = None
        self.errors: list[Diagnostic] = []
        self.source: Source | None = None
        self.layers: dict[str, LayerEntry] = {}
        self.unknown: dict[str, Json] = {}
        self.config_fields: dict[str, Field] = flavour.config.__schema__.fields
        self.block_class: type[Message] = self.config_fields["common_config"].kind
        self.block_fields: dict[str, Field] = self.block_class.__schema__.fields
        self.defaults: Resolver = Resolver(flavour.config(), DOCUMENTED, flavour)
        if isinstance(quant_config, (str, bytes, bytearray, memoryview)):
            self.source, root = parse_json(quant_config, self.name)  # type: ignore[arg-type]
        elif hasattr(quant_config, "items"):
            root = json_of(quant_config)
        else:
            kind = type(quant_config).__name__
            raise TypeError("a JSON quantization config is text or a mapping, not {}".format(kind))
        self.globals: dict[str, Any] = {}
        self.messages: dict[str, list[Message]] = {}
        self.extents: dict[str, tuple[int, int]] = {}  # of the global keys that are there
        self.unfused: frozenset[str] = frozenset()
        self.last_origins: tuple[Layer | None, dict[str, Origin]] = (None, {})  # of the layer that was asked about last
        self.read(Cursor(self.report, root, ()))
        self.errors.sort(key=sort_key_of)

    @property
    def text(self) -> str | None:
        return self.source.text if self.source else None

    def report(self, code: str, message: str, at: Cursor, hint: str | None = None) -> None:
        where = " > ".join(map(str, at.path))
        text = "{}: {}".format(where, message) if where else message
        span = self.make_span(at.json.start, at.json.end)
        self.errors.append(Diagnostic(ERROR, code, text, span=span, path=at.path, hint=hint, name=self.name))

    def make_span(self, start: int, end: int) -> Span | None:
        return self.source.span(start, end) if self.source and start >= 0 else None

    # ------------------------------------------------------------ the whole

    def read(self, root: Cursor) -> None:
        if not root.json.is_object:
            root.report("wrong-type", "a JSON quantization config is an object")
            return
        root.check_repetitions()
        for key in self.layout.globals:
            at = root.find_child(key)
            if at is not None:
                self.extents[key] = at.extent
            if key == "version":
                self.globals[key] = VERSION
                if at is not None and not is_same(at.value, VERSION):
                    at.report("out-of-range", "it is {}, and only {} is known".format(at.words, VERSION))
            elif at is None and key not in self.layout.when_set:
                field = self.config_fields[key]
                self.globals[key] = [] if field.label == REPEATED else field.default
            elif at is not None and not is_same(at.value, self.layout.when_set.get(key, at)):
                self.globals[key] = self.read_global_value(key, at)
        self.unfused = frozenset(self.globals.get("skip_fusion_layers", ()))
        alike: IdentityCache[LayerEntry | None] = {}
        for key, at in root.iter_children():
            if key not in self.layout.globals:
                self.read_layer(key, at, alike)

    def read_global_value(self, key: str, at: Cursor) -> Any:
        field = self.config_fields[key]
        if field.is_message:
            self.messages[key] = self.read_tensors(field.kind, at)
            return at.json.to_plain()
        return self.read_unfused_layers(at) if field.label == REPEATED else self.read_scalar(field, at, field.default)

    def read_unfused_layers(self, at: Cursor) -> list[str]:
        """Read the layers that BN is not fused into, the only list of names that a layout has."""
        elements = at.list_indexed()
        if not isinstance(at.value, list) or not all(isinstance(element.value, str) for element in elements):
            at.report("wrong-type", "it is a list of names, not {}".format(at.words))
            return []
        seen: dict[str, None] = {}
        for element in elements:
            layer = self.by_name.get(element.value)
            if element.value in seen:
                element.report("duplicate-entry", "'{}' is there twice".format(element.value))
            elif layer is None:
                self.report_unknown_layer(element.value, element)
            elif layer.type not in self.flavour.fusible_types:
                element.report("not-fusible", "BN is never fused into '{}'".format(element.value))
            seen[element.value] = None
        return list(seen)

    def read_tensors(self, cls: type[Message], at: Cursor) -> list[Message]:
        if not isinstance(at.value, list):
            at.report("wrong-type", "it is a list of objects, not {}".format(at.words))
            return []
        return [self.read_tensor(cls, element) for element in at.list_indexed() if element.check_object()]

    def read_tensor(self, cls: type[Message], at: Cursor) -> Message:
        fields: dict[str, Field] = cls.__schema__.fields
        scalars = [field for field in fields.values() if not field.is_message]
        at.check_keys((*[field.name for field in scalars], ACTIVATIONS))
        values: dict[str, Any] = dict(cls.__schema__.blank)
        for field in scalars:
            inner = at.find_child(field.name)
            if inner is None:
                at.report("missing-field", "an entry has a '{}'".format(field.name))
            else:
                values[field.name] = self.read_scalar(field, inner, None)
        part = at.find_child(ACTIVATIONS)
        if part is not None and part.check_object():
            templates = self.layout.parts[ACTIVATIONS]
            member = self.find_member(ACTIVATIONS, templates, part)
            part.check_keys(templates[member])
            values[member] = self.read_part_values(None, member, fields[member].kind, templates[member], part, {})
        return construct(cls, values)

    def report_unknown_layer(self, name: str, at: Cursor) -> None:
        if self.names is None:
            self.names = NameIndex(layer.name for layer in self.known if self.flavour.quantizes(layer))
        is_key = len(at.path) == 1
        message = "the model has no such layer" if is_key else "the model has no layer {}".format(quote_name(name))
        global_key = find_nearest(name, self.layout.globals) if is_key else []
        at.report("unknown-layer", message, did_you_mean(self.names.find_nearest(name) or global_key))

    # ------------------------------------------------------------ a layer

    def read_layer(self, name: str, at: Cursor, alike: IdentityCache[LayerEntry | None]) -> None:
        """Read what stands at the name of a layer; of entries that are written alike, one without errors for each type."""
        layer = self.by_name.get(name)
        if layer is None:
            self.unknown[name] = at.json
            self.report_unknown_layer(name, at.point_to_key())
        elif not self.flavour.quantizes(layer):
            at.point_to_key().report("not-quantizable", "this layer can't be quantized", "delete its entry")
        elif not at.json.is_object:
            at.report("wrong-type", "a layer has an object, not {}".format(at.words))
        else:
            place = at.json._replace(value=None) if self.source else at.json
            entry = by_identity(alike, at.value, (layer.type, layer.lacks), self.read_entry_without_errors, layer, at)
            entry = entry or self.read_entry(layer, self.place_entry(layer, place), {})
            self.layers[name] = entry._replace(json=place)

    def read_entry_without_errors(self, layer: Layer, at: Cursor) -> LayerEntry | None:
        """Read an entry; None for one with errors, which each layer has at a place of its own."""
        errors = len(self.errors)
        entry = self.read_entry(layer, at, {})
        if len(self.errors) == errors:
            return entry
        del self.errors[errors:]
        return None

    def place_entry(self, layer: Layer, place: Json) -> Cursor:
        """Return the entry of a layer with the places of its own."""
        json = read_value(self.source.text, place.start, 1) if self.source else place
        return Cursor(self.report, json, (layer.name,))

    def read_entry(self, layer: Layer, at: Cursor, places: Places) -> LayerEntry:
        at.check_keys(("quant_enable", *(key for key, _, _ in self.layout.switches), *self.layout.parts))
        switch = places["quant_enable"] = at.find_child("quant_enable")
        if switch is not None and not isinstance(switch.value, bool):
            switch.report("wrong-type", "it is true or false, not {}".format(switch.words))
        enabled = switch is not None and switch.value is True
        block: dict[str, Any] = dict(self.block_class.__schema__.blank)
        for key, member, field_name in self.layout.switches:
            switch = at.find_child(key)
            if switch is not None:
                places["{}.{}".format(member, field_name)] = switch
                block[member] = self.read_switch(self.block_fields[member].kind, field_name, switch)
        for key, templates in self.layout.parts.items():
            block.update(self.read_part(layer, key, templates, at, places))
        return LayerEntry(enabled, construct(self.block_class, block), at.json)

    def make_origin(self, value: Any, at: Cursor | None) -> Origin:
        if at is None:
            return Origin("default", value)
        start, end = at.extent if len(at.path) == 2 else (at.json.start, at.json.end)  # a switch with its key
        return Origin(READ, value, at.path, self.make_span(start, end))

    def is_fused(self, layer: Layer) -> bool:
        return layer.name not in self.unfused and self.globals.get("do_fusion", True) is not False

    def fuse(self, layer: Layer) -> Origin:
        key: TierName = "skip_fusion_layers" if layer.name in self.unfused else "do_fusion"
        if key not in self.extents:
            return Origin("default", self.is_fused(layer))
        return Origin(key, self.is_fused(layer), (key,), self.make_span(*self.extents[key]))

    def read_switch(self, cls: type[Message], name: str, at: Cursor) -> Message:
        """Read a member of the block that is a single value here, such as `dmq_balancer_param`."""
        field = cls.__schema__.fields[name]
        value = field.default
        if isinstance(at.value, int) and not isinstance(at.value, bool):
            at.report("wrong-type", "it is a number with a point, such as 0.5")
        else:
            value = self.read_scalar(field, at, field.default)
            if value is not None and field.within is not None and value not in field.within:
                at.report("out-of-range", "it has to be {}".format(field.within.words))
        return construct(cls, dict(cls.__schema__.blank, **{name: value}))

    def read_part(
        self, layer: Layer, key: str, templates: Mapping[str, Items], at: Cursor, places: Places
    ) -> dict[str, Message]:
        """Read a part of a layer: the member of the block that it is, with its values; none that is left out or wrong."""
        part = at.find_child(key)
        if part is None:
            requirements = [r for member in templates for r in requirements_of(self.block_fields[member])]
            if not all(self.flavour.can(layer, requirement.ability) for requirement in requirements):
                return {}  # the toolkit leaves it out where a layer can't have what was asked
            if key == ACTIVATIONS:
                at.report("missing-field", "a layer has '{}'".format(key))
            part = Cursor(self.report, Json({}, at.json.start, at.json.start, []), (*at.path, key))
        elif not part.check_object():
            return {}
        member = self.find_member(key, templates, part)
        kind, template = self.block_fields[member].kind, templates[member]
        if member in self.layout.wider and not has_constants(part, template):
            kind, template = self.layout.wider[member]
        with_tolerated = {**self.layout.tolerated, **template}
        part.check_keys(with_tolerated)
        return {member: self.read_part_values(layer, member, kind, with_tolerated, part, places)}

    def find_member(self, key: str, templates: Mapping[str, Items], part: Cursor) -> str:
        """Return the algorithm that a part is of: the one it names, else of activations one whose keys it has, else the default."""
        for algorithm, template in templates.items():
            for name, item in template.items():
                if isinstance(item, Constant) and isinstance(item.value, str) and name in part.value:
                    if part.value[name].value == item.value:
                        return algorithm
        for algorithm, template in templates.items() if key == ACTIVATIONS else ():
            only = [n for n in template if not any(n in t for m, t in templates.items() if m != algorithm)]
            if any(name in part.value for name in only):
                return algorithm
        default = (member for member in templates if self.block_fields[member].default is not None)
        return next(default, next(iter(templates)))

    def read_part_values(
        self,
        layer: Layer | None,
        member: str,
        kind: type[Message],
        template: Items,
        part: Cursor,
        places: Places,
    ) -> Message:
        """Read the message of an algorithm; what is left out has its default."""
        fields: dict[str, Field] = kind.__schema__.fields
        written: dict[str, Cursor] = {}
        meanings: set[str] = set()  # fields whose values the layout gives, of which JSON may have more
        for key, item in template.items():
            at = part.find_child(key)
            if at is not None:
                written.update(item.read(at))
                meanings.update(item.fields if item.mapping else ())
        errors = len(self.errors)
        found: dict[str, Any] = {}
        for name, field in fields.items():
            default = self.default_of(field, layer)
            at = written.get(name)
            found[name] = (
                default if at is None else at.value if name in meanings else self.read_scalar(field, at, default)
            )
            places["{}.{}".format(member, name)] = at
        if layer is not None:
            self.check_requirements(layer, fields, written, found)
        for problem in find_problems(kind, found) if len(self.errors) == errors else ():
            name = str(problem.path[0])
            at, message = written.get(name, part), problem.message
            if name in written and problem.wanted:  # its key is in front, and the number is shown as it is written
                message = "it is {}; it has to be {}".format(at.words, problem.wanted)
            at.report(problem.code, message)
        read: Message = construct(kind, found)
        return read

    def default_of(self, field: Field, layer: Layer | None) -> Any:
        cascade = cascade_of(field)
        if cascade is None:
            return self.defaults.default_of(field, layer)
        return self.globals.get(cascade, field.default) if cascade else field.default

    def check_requirements(
        self, layer: Layer, fields: dict[str, Field], written: dict[str, Cursor], found: dict[str, Any]
    ) -> None:
        """Report what the layer can't have; of widths of weights and algorithms the toolkit reads more than it writes."""
        for name, at in written.items():
            for requirement in requirements_of(fields[name]):
                strict = requirement.ability in (CHANNEL_WISE, ASYMMETRIC, "int16")
                # What could not be read was reported, and has its default.
                asked = strict and found[name] in requirement.values and is_same(at.value, found[name])
                if asked and not self.flavour.can(layer, requirement.ability):
                    words = "it can't be {} for '{}', of type {}"
                    at.report(requirement.code, words.format(str(at.value).lower(), layer.name, layer.type))

    def read_scalar(self, field: Field, at: Cursor, default: Any) -> Any:
        """Read a value of the field's kind; floats are kept as they are written."""
        plain = number_in(field, at.value)
        try:
            valid = field.kind.validate("it", plain)  # its key is in front
        except (TypeError, ValueError) as error:
            if isinstance(error, TypeError):
                at.report("wrong-type", "it has to be {}, not {}".format(field.kind.noun, at.words))
            else:
                at.report("out-of-range", str(error))
            return default
        if isinstance(plain, float) and isinstance(valid, float):
            return plain
        if field.within is not None and not isinstance(valid, float) and valid not in field.within:
            at.report("out-of-range", "it is {}; it has to be {}".format(at.words, field.within.words))
            return default
        return valid

    # ------------------------------------------------------------ the plan

    def make_effective(self, layer: Layer) -> EffectiveConfig:
        entry = self.layers.get(layer.name)
        enabled, block = (entry.enabled, entry.block) if entry else (False, self.defaults.calibration_of(layer))
        return EffectiveConfig(layer, enabled, self.is_fused(layer), block, Origins(self, layer))

    def origins_of(self, layer: Layer) -> dict[str, Origin]:
        if self.last_origins[0] != layer:
            self.last_origins = layer, self.read_origins(layer)
        return self.last_origins[1]

    def read_origins(self, layer: Layer) -> dict[str, Origin]:
        entry = self.layers.get(layer.name)
        if entry is None:
            return dict(Origins(self.defaults, layer), quant_enable=Origin("default", False), fuse=self.fuse(layer))
        places: Places = {}
        read = self.read_entry(layer, self.place_entry(layer, entry.json), places)
        values = values_of(read.block)
        return {
            "quant_enable": self.make_origin(read.enabled, places.pop("quant_enable")),
            "fuse": self.fuse(layer),
            **{name: self.make_origin(values.get(name), at) for name, at in places.items()},
        }

    def names_of(self, layer: Layer) -> Iterable[str]:
        return self.origins_of(layer)

    def origin_of(self, layer: Layer, field: str) -> Origin:
        return self.origins_of(layer)[field]

    def make_plan(self) -> Plan:
        def remake(plan: Plan) -> tuple[Any, ...]:
            return read_plan, (self.text or plan.to_json(), self.known, self.name, self.flavour)

        effective = map(self.make_effective, filter(self.flavour.quantizes, self.known))
        return Plan(effective, None, self.flavour, self.globals, remake, name=self.name)
