# SPDX-License-Identifier: Apache-2.0
"""The JSON quantization config back into a plan: read as the toolkit reads it, with every error and its place."""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, Iterable, List, Mapping, NamedTuple, Optional, Tuple, Union

from ..diagnostics.diagnostic import ERROR, ConfigError, Diagnostic, Path
from ..diagnostics.source import Source, Span
from ..diagnostics.suggestions import NameIndex, did_you_mean, nearest
from ..diagnostics.words import join_words, shorten
from ..documents.files import display_name
from ..documents.json_tree import Entry, Json, json_of, parse_json
from ..flavours.flavour import ASYMMETRIC, CHANNEL_WISE, Constant, Flavour, Mapped
from ..flavours.layer import Layer
from ..flavours.tf_ascend import TF_ASCEND
from ..messages.kinds import UINT32
from ..messages.message import PERCENTILE, Field, problems
from ..messages.record import trusted
from .effective import EffectiveConfig, Origin, Origins
from .json_writing import VERSION
from .plan import Plan
from .resolver import DOCUMENTED, Resolver

READ = "quant_config"  # the tier of values that were read


def read_plan(
    quant_config: Union[str, bytes, Mapping[str, Any]],
    layers: Iterable[Layer],
    name: str = "<json>",
    flavour: Flavour[Any] = TF_ASCEND,
) -> Plan:
    """The plan that a JSON quantization config holds, as text or as a mapping, possibly edited.

    It is read as the toolkit does: a layer that is left out, or has no true `quant_enable`, is not quantized; keys that are
    left out have their defaults. Raises `ConfigError` with every error, its line and column.

    >>> layers = [Layer("a", "Conv2D")]
    >>> from amctcfg import AMCTConfig, expand
    >>> read_plan(expand(AMCTConfig(), layers).to_json(), layers)["a"].quant_enable
    True
    """
    read = QuantConfig(quant_config, tuple(layers), name, flavour)
    if read.errors:
        raise ConfigError(read.errors, read.text)
    return read.plan()


class Read(NamedTuple):
    """What the JSON has for a layer: whether it is quantized, its block, and where each value is."""

    enabled: bool
    block: Any
    origins: Dict[str, Origin]


class QuantConfig:
    """What a JSON quantization config says, and what is wrong with it.

    globals -- the values of the global keys. layers -- what it says of each layer that it names. errors -- in order.
    """

    def __init__(self, quant_config: Any, layers: Tuple[Layer, ...], name: str, flavour: Flavour[Any]) -> None:
        if flavour.layout is None:
            raise ValueError("the toolkit of {} writes no JSON quantization config".format(flavour.name))
        self.flavour: Flavour[Any] = flavour
        self.layout: Any = flavour.layout
        self.name: str = display_name(name)
        self.known: Tuple[Layer, ...] = layers
        self.by_name: Dict[str, Layer] = {layer.name: layer for layer in layers}
        self.names: Optional[NameIndex] = None
        self.errors: List[Diagnostic] = []
        self.source: Optional[Source] = None
        self.layers: Dict[str, Read] = {}
        self.config_fields: Dict[str, Field] = flavour.config.__schema__.fields
        self.block_class: Any = self.config_fields["common_config"].kind
        # What a layer without a word gets.
        self.usual: Resolver = Resolver(flavour.config(), DOCUMENTED, flavour)
        if isinstance(quant_config, (str, bytes, bytearray, memoryview)):
            self.source, root = parse_json(quant_config, self.name)  # type: ignore[arg-type]
        elif hasattr(quant_config, "items"):
            root = json_of(quant_config)
        else:
            raise TypeError(
                "a JSON quantization config is text or a mapping, not {}".format(type(quant_config).__name__)
            )
        self.globals: Dict[str, Any] = {}
        self.messages: Dict[str, List[Any]] = {}  # of global keys that hold objects: the same as messages
        self.places: Dict[str, Optional[Span]] = {}
        self.root: Json = root
        self.read(root)
        self.errors.sort(key=lambda error: error.span or (1 << 62,))

    @property
    def text(self) -> Optional[str]:
        return self.source.text if self.source else None

    # ------------------------------------------------------------ the whole

    def read(self, root: Json) -> None:
        if not root.is_object:
            self.report("wrong-type", (), "a JSON quantization config is an object", root)
            return
        self.repetitions(root, ())
        for key in self.layout.globals:
            if key == "version":
                self.globals[key] = self.version(root)
            elif key in root.value and root.value[key].value.value == self.layout.same_as_unset.get(key, root):
                self.places[key] = self.span(root.value[key].start, root.value[key].value.end)
            elif key in root.value or key not in self.layout.when_set:
                self.globals[key] = self.global_value(root, key)
        self.unfused: FrozenSet[str] = frozenset(self.globals.get("skip_fusion_layers", ()))
        for key, entry in root.value.items():
            if key not in self.layout.globals and self.is_layer(key, entry):
                self.layer(self.by_name[key], entry.value)

    def version(self, root: Json) -> int:
        entry = root.value.get("version")
        if entry is not None and not is_same(entry.value.value, VERSION):
            message = "it is {}, and only {} is known".format(brief(entry.value), VERSION)
            self.report("out-of-range", ("version",), message, entry.value)
        return VERSION

    def global_value(self, root: Json, key: str) -> Any:
        field = self.config_fields[key]
        entry = root.value.get(key)
        if entry is None:
            return [] if field.label == "repeated" else field.default
        self.places[key] = self.span(entry.start, entry.value.end)
        if field.label == "repeated" and not field.is_message:
            return self.fusion(key, entry.value)
        if field.is_message:
            self.messages[key] = self.tensors(key, field.kind, entry.value)
            return entry.value.plain()
        return self.scalar(field, entry.value, (key,), field.default)

    def fusion(self, key: str, value: Json) -> List[str]:
        """The layers that BN is not fused into; other lists of names as they are."""
        if not isinstance(value.value, list) or not all(isinstance(element.value, str) for element in value.value):
            self.report("wrong-type", (key,), "it is a list of names, not {}".format(brief(value)), value)
            return []
        seen: Dict[str, None] = {}
        for index, element in enumerate(value.value):
            layer = self.by_name.get(element.value)
            if element.value in seen:
                self.report("duplicate-entry", (key, index), "'{}' is there twice".format(element.value), element)
            elif layer is None:
                self.unknown_layer((key, index), element.value, element.start, element.end)
            elif key == "skip_fusion_layers" and layer.type not in self.flavour.fusible_types:
                self.report("not-fusible", (key, index), "BN is never fused into '{}'".format(element.value), element)
            seen[element.value] = None
        return list(seen)

    def tensors(self, key: str, cls: Any, value: Json) -> List[Any]:
        """The entries of tensor_quantize, as messages."""
        if not isinstance(value.value, list):
            self.report("wrong-type", (key,), "it is a list of objects, not {}".format(brief(value)), value)
            return []
        found = []
        for index, element in enumerate(value.value):
            path: Path = (key, index)
            if not element.is_object:
                self.report("wrong-type", path, "it is an object, not {}".format(brief(element)), element)
                continue
            errors = len(self.errors)
            self.repetitions(element, path)
            scalars = {name: f for name, f in cls.__schema__.fields.items() if not f.is_message}
            parts = {k: t for k, t in self.layout.parts.items() if any(m in cls.__schema__.fields for m in t)}
            self.known_keys(element, (*scalars, *parts), path)
            values: Dict[str, Any] = {}
            for name, field in scalars.items():
                inner = element.value.get(name)
                if inner is None:
                    self.report("missing-field", path, "an entry has a '{}'".format(name), element)
                else:
                    values[name] = self.scalar(field, inner.value, (*path, name), None)
            for part, templates in parts.items():
                inner = element.value.get(part)
                if inner is not None and inner.value.is_object:
                    self.repetitions(inner.value, (*path, part))
                    member = self.member(part, templates, inner.value, (*path, part))
                    self.known_keys(inner.value, templates[member], (*path, part))
                    block = self.fields_of(None, member, templates[member], inner.value, (*path, part), {}, cls)
                    values[member] = trusted(cls.__schema__.fields[member].kind, block)
            if len(self.errors) == errors:
                found.append(cls(**values))
        return found

    def is_layer(self, key: str, entry: Entry) -> bool:
        layer = self.by_name.get(key)
        if layer is None:
            self.unknown_layer((key,), key, entry.start, entry.end)
        elif not self.flavour.quantizes(layer):
            at = Json(None, entry.start, entry.end)
            self.report("not-quantizable", (key,), "this layer can't be quantized", at, "delete its entry")
        elif not entry.value.is_object:
            self.report("wrong-type", (key,), "a layer has an object, not {}".format(brief(entry.value)), entry.value)
        else:
            return True
        return False

    def unknown_layer(self, path: Path, name: str, start: int, end: int) -> None:
        from ..diagnostics.words import quote_name

        if self.names is None:
            self.names = NameIndex(layer.name for layer in self.known if self.flavour.quantizes(layer))
        message = (
            "the model has no layer {}".format(quote_name(name)) if len(path) > 1 else "the model has no such layer"
        )
        global_key = nearest(name, self.layout.globals) if len(path) == 1 else []
        hint = did_you_mean(self.names.nearest(name) or global_key)
        self.report("unknown-layer", path, message, Json(None, start, end), hint)

    # ------------------------------------------------------------ a layer

    def layer(self, layer: Layer, value: Json) -> None:
        path = (layer.name,)
        switches = {key: (member, field) for key, member, field in self.layout.switches}
        self.repetitions(value, path)
        self.known_keys(value, ("quant_enable", *switches, *self.layout.parts), path)
        origins: Dict[str, Origin] = {}
        enabled = self.enabled(value, path)
        origins["quant_enable"] = self.origin(enabled, (*path, "quant_enable"), value.value.get("quant_enable"))
        origins["fuse"] = self.fuse(layer)
        block: Dict[str, Any] = dict(self.block_class.__schema__.blank)
        for key, (member, field_name) in switches.items():
            if key in value.value:
                block[member] = self.switch(member, field_name, key, value.value[key], path, origins)
        for key, templates in self.layout.parts.items():
            found = self.part(layer, key, templates, value, path, origins)
            if found is not None:
                block[found[0]] = found[1]
        self.layers[layer.name] = Read(enabled, trusted(self.block_class, block), origins)

    def enabled(self, value: Json, path: Path) -> bool:
        entry = value.value.get("quant_enable")
        if entry is None:
            return False
        if not isinstance(entry.value.value, bool):
            message = "it is true or false, not {}".format(brief(entry.value))
            self.report("wrong-type", (*path, "quant_enable"), message, entry.value)
        return entry.value.value is True

    def fuse(self, layer: Layer) -> Origin:
        if layer.name in self.unfused:
            key = "skip_fusion_layers"
            return Origin(key, False, (key,), self.places.get(key))
        on = self.globals.get("do_fusion", True) is not False
        return Origin("do_fusion" if "do_fusion" in self.places else "default", on, None, self.places.get("do_fusion"))

    def switch(
        self, member: str, field_name: str, key: str, entry: Entry, path: Path, origins: Dict[str, Origin]
    ) -> Any:
        cls = self.block_class.__schema__.fields[member].kind
        field = cls.__schema__.fields[field_name]
        if isinstance(entry.value.value, int) and not isinstance(entry.value.value, bool):
            self.report("wrong-type", (*path, key), "it is a number with a point, such as 0.5", entry.value)
            return trusted(cls, dict(cls.__schema__.blank, **{field_name: field.default}))
        value = self.scalar(field, entry.value, (*path, key), field.default)
        if value is not None and field.within is not None and value not in field.within:
            self.report("out-of-range", (*path, key), "it has to be {}".format(field.within.words), entry.value)
        origins["{}.{}".format(member, field_name)] = self.origin(value, (*path, key), entry)
        return trusted(cls, dict(cls.__schema__.blank, **{field_name: value}))

    def part(
        self,
        layer: Layer,
        key: str,
        templates: Dict[str, Dict[str, Any]],
        value: Json,
        path: Path,
        origins: Dict[str, Origin],
    ) -> Optional[Tuple[str, Any]]:
        """The member of the block that a part is, and its values."""
        entry = value.value.get(key)
        fields = self.block_class.__schema__.fields
        if entry is None:
            if any(not self.flavour.can(layer, d.ability) for member in templates for d in fields[member].demands):
                return None  # the toolkit leaves it out where a layer can't have what was asked
            if key in self.layout.needed:
                self.report("missing-field", path, "a layer has '{}'".format(key), value)
            entry = Entry(Json({}, value.start, value.start), value.start, value.start)
        elif not entry.value.is_object:
            self.report("wrong-type", (*path, key), "it is an object, not {}".format(brief(entry.value)), entry.value)
            return None
        path = (*path, key)
        self.repetitions(entry.value, path)
        member = self.member(key, templates, entry.value, path)
        template = templates[member]
        self.known_keys(entry.value, (*template, *self.layout.tolerated), path)
        for tolerated, only in self.layout.tolerated.items():
            if tolerated in entry.value.value and tolerated not in template:
                self.constant(only, entry.value.value[tolerated].value, (*path, tolerated))
        found = self.fields_of(layer, member, template, entry.value, path, origins)
        return member, trusted(fields[member].kind, found)

    def member(self, key: str, templates: Dict[str, Dict[str, Any]], value: Json, path: Path) -> str:
        """Which algorithm a part is of."""
        for algorithm, template in templates.items():
            for name, spec in template.items():
                entry = value.value.get(name)
                if isinstance(spec, Constant) and isinstance(spec.value, str) and entry is not None:
                    if entry.value.value == spec.value:
                        return algorithm
        default = next((m for m in templates if self.block_class.__schema__.fields[m].default is not None), None)
        for algorithm, template in templates.items() if key.startswith("activation") else ():
            only = [n for n in template if not any(n in t for m, t in templates.items() if m != algorithm)]
            if any(name in value.value for name in only):
                return algorithm
        return default or next(iter(templates))

    def fields_of(
        self,
        layer: Optional[Layer],
        member: str,
        template: Dict[str, Any],
        value: Json,
        path: Path,
        origins: Dict[str, Origin],
        owner: Any = None,
    ) -> Dict[str, Any]:
        cls = (owner or self.block_class).__schema__.fields[member].kind
        fields = cls.__schema__.fields
        found: Dict[str, Any] = dict(cls.__schema__.blank)
        written: Dict[str, Json] = {}
        keys: Dict[str, str] = {}
        for key, spec in template.items():
            entry = value.value.get(key)
            if isinstance(spec, Constant):
                if entry is not None:
                    self.constant(spec.value, entry.value, (*path, key))
            elif entry is None:
                continue
            elif isinstance(spec, Mapped):
                keys[spec.field] = key
                written[spec.field] = self.mapped(spec, entry.value, (*path, key))
            elif isinstance(spec, list):
                elements = entry.value.value
                if not isinstance(elements, list) or len(elements) != len(spec):
                    message = "it is [{}], not {}".format(
                        ", ".join(n.rpartition("_")[2] for n in spec), brief(entry.value)
                    )
                    self.report("wrong-type", (*path, key), message, entry.value)
                    continue
                written.update(zip(spec, elements))
                keys.update((name, key) for name in spec)
            else:
                written[spec], keys[spec] = entry.value, key
        errors = len(self.errors)
        for name, field in fields.items():
            dotted = "{}.{}".format(member, name)
            default = self.default(field, layer)
            if name in written:
                place = (*path, keys[name])
                found[name] = self.scalar(field, written[name], place, default)
                origins[dotted] = self.origin(found[name], place, written[name])
            else:
                found[name] = default
                origins[dotted] = Origin("default", default)
        if layer is not None:
            self.demands(layer, fields, found, written, path, keys)
        for problem in problems(cls, found) if len(self.errors) == errors else ():
            name = str(problem.path[0])
            message = problem.message
            if name in written and problem.wanted:  # its key is in front, and the number is shown as it is written
                message = "it is {}; it has to be {}".format(brief(written[name]), problem.wanted)
            self.report(problem.code, (*path, keys.get(name, name)), message, written.get(name, value))
        return found

    def default(self, field: Field, layer: Optional[Layer]) -> Any:
        """What a key that is left out means."""
        if field.cascades is None:
            return self.usual.default(field, layer)
        return self.globals.get(field.cascades, field.default) if field.cascades else field.default

    def demands(
        self,
        layer: Layer,
        fields: Dict[str, Field],
        found: Dict[str, Any],
        written: Dict[str, Json],
        path: Path,
        keys: Dict[str, str],
    ) -> None:
        """What the layer can't have; of widths of weights and algorithms the toolkit reads more than it writes."""
        for name, value in found.items():
            for demand in fields[name].demands:
                strict = demand.ability in (CHANNEL_WISE, ASYMMETRIC, "int16")
                if not strict or name not in written or value not in demand.values:
                    continue
                if not self.flavour.can(layer, demand.ability):
                    message = "it can't be {} for '{}', of type {}".format(
                        str(written[name].value).lower(), layer.name, layer.type
                    )
                    self.report(demand.code, (*path, keys[name]), message, written[name])

    # ------------------------------------------------------------ values and keys

    def scalar(self, field: Field, value: Json, path: Path, default: Any) -> Any:
        """A value of the field's kind; floats are kept as they are written."""
        plain = number_in(field, value.value)
        try:
            checked = field.kind.checked("it", plain)  # its key is in front
        except (TypeError, ValueError) as error:
            code = "wrong-type" if isinstance(error, TypeError) else "out-of-range"
            message = "it has to be {}, not {}".format(field.kind.noun, brief(value))
            if code == "out-of-range":
                message = str(error)
            self.report(code, path, message, value)
            return default
        if isinstance(plain, float) and isinstance(checked, float):
            return plain
        if field.within is not None and not isinstance(checked, float) and checked not in field.within:
            message = "it is {}; it has to be {}".format(brief(value), field.within.words)
            self.report("out-of-range", path, message, value)
            return default
        return checked

    def mapped(self, spec: Mapped, value: Json, path: Path) -> Json:
        for meaning, written in spec.values.items():
            if is_same(value.value, written):
                return value._replace(value=meaning)
        allowed = join_words([str(v) for v in spec.values.values()], "or")
        self.report("out-of-range", path, "it is {}; it has to be {}".format(brief(value), allowed), value)
        return value._replace(value=next(iter(spec.values)))

    def constant(self, only: Any, value: Json, path: Path) -> None:
        if not is_same(value.value, only):
            self.report("out-of-range", path, "it is {}; only {!r} can be here".format(brief(value), only), value)

    def known_keys(self, value: Json, keys: Iterable[str], path: Path) -> None:
        keys = tuple(keys)
        for key, entry in value.value.items():
            if key not in keys:
                hint = did_you_mean(nearest(key, keys))
                at = Json(None, entry.start, entry.end)
                self.report("unknown-field", (*path, key), "there is no such key", at, hint)

    def repetitions(self, value: Json, path: Path) -> None:
        for key, entry in value.value.items():
            for start, end in entry.repeated:
                message = "the key is there twice in one object"
                self.report("duplicate-field", (*path, key), message, Json(None, start, end), "keep one of the two")

    def span(self, start: int, end: int) -> Optional[Span]:
        return self.source.span(start, end) if self.source and start >= 0 else None

    def origin(self, value: Any, path: Path, place: Any) -> Origin:
        if place is None:
            return Origin("default", value)
        end = place.value.end if isinstance(place, Entry) else place.end
        return Origin(READ, value, path, self.span(place.start, end))

    def report(self, code: str, path: Path, message: str, place: Json, hint: Optional[str] = None) -> None:
        where = " > ".join(map(str, path))
        text = "{}: {}".format(where, message) if where else message
        span = self.span(place.start, place.end)
        self.errors.append(Diagnostic(ERROR, code, text, span=span, path=path, hint=hint, name=self.name))

    # ------------------------------------------------------------ the plan

    def effective(self, layer: Layer) -> EffectiveConfig:
        read = self.layers.get(layer.name)
        if read is None:
            origins = dict(Origins(self.usual, layer), quant_enable=Origin("default", False), fuse=self.fuse(layer))
            read = Read(False, self.usual.calibration(layer), origins)
        values = {
            "layer": layer,
            "quant_enable": read.enabled,
            "fuse": read.origins["fuse"].value,
            "calibration_config": read.block,
            "origins": Origins(None, layer, read.origins),
        }
        return trusted(EffectiveConfig, values)

    def plan(self) -> Plan:
        """The plan of all supported layers."""
        supported = [layer for layer in self.known if self.flavour.quantizes(layer)]
        plain = self.text if self.source else None
        arguments = (plain, self.known, self.name, self.flavour)
        remake = (read_plan, arguments) if plain is not None else None
        plan = Plan(map(self.effective, supported), None, self.flavour, self.globals, None, remake, None, self.name)
        if remake is None:
            object.__setattr__(plan, "_remake", (read_plan, (plan.to_json(), self.known, self.name, self.flavour)))
        return plan


def is_same(value: Any, only: Any) -> bool:
    """Return whether a value is just that one: neither 1.0 nor true is 1."""
    return type(value) is type(only) and bool(value == only)


def number_in(field: Field, value: Any) -> Any:
    """Return a value as the toolkit converts it first: a percentile from a string, iterations from a whole float."""
    if field.within is PERCENTILE and isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    if field.kind is UINT32 and field.within is None and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def brief(value: Json) -> str:
    """A value in a message, also one that Python refuses to write."""
    plain = value.value
    if isinstance(plain, dict):
        return "an object"
    if isinstance(plain, list):
        return "a list"
    if isinstance(plain, int) and not isinstance(plain, bool) and abs(plain) > 10**20:
        return "a number of {} bits".format(plain.bit_length())
    if isinstance(plain, float) and plain != plain:
        return "NaN"
    if plain is None or isinstance(plain, bool):
        return {True: "true", False: "false", None: "null"}[plain]
    return shorten(repr(plain))
