# SPDX-License-Identifier: Apache-2.0
"""The messages of `calibration_config_ascend_tf.proto`, as frozen dataclasses that can't hold a wrong value.

`None` is an absent field, which is not the same as one set to its default. Where a
value may not be absent any more, in the effective configuration of a layer, every
field is set. Fields, defaults and ranges: the vendor's page "Simplified PTQ
Configuration File" and, where it is silent, the toolkit's own checks.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, Dict, Iterator, Mapping, NamedTuple, Optional, Tuple, Type, TypeVar, Union

from .textformat.literals import parse_bool, parse_float, round_float32

__all__ = ["AMCTConfig", "ARQuantize", "CalibrationConfig", "FMRQuantize", "OverrideLayer", "OverrideLayerType"]

OPTIONAL, REQUIRED, REPEATED = "optional", "required", "repeated"

KIND_NAMES: Dict[Type[Any], str] = {bool: "a bool", float: "a number", str: "a string"}

READERS: Dict[Type[Any], Callable[[str], Any]] = {bool: parse_bool, float: parse_float}


class FieldSpec(NamedTuple):
    """A field of a message: its name, label, and type (bool, float, str, or a message class)."""

    name: str
    label: str
    kind: Type[Any]
    is_message: bool
    read: Optional[Callable[[str], Any]]  # a literal's value, or None; strings need more than this
    unique: Optional[str]  # of a repeated field: what may not occur twice, a field of its messages or "" for itself


class Problem(NamedTuple):
    """A value that breaks a rule: the code and words of its diagnostic, and where it is, below the message."""

    code: str
    path: Tuple[Union[str, int], ...]
    message: str
    hint: Optional[str] = None


def optional(kind: Type[Any]) -> Any:
    return dataclasses.field(default=None, metadata={"label": OPTIONAL, "kind": kind})


def required(kind: Type[Any]) -> Any:
    return dataclasses.field(metadata={"label": REQUIRED, "kind": kind})


def repeated(kind: Type[Any], unique: str = "") -> Any:
    return dataclasses.field(default=(), metadata={"label": REPEATED, "kind": kind, "unique": unique})


class Message:
    """What the messages share: values are checked, floats rounded and repeated fields made tuples when one is built."""

    specs: Dict[str, FieldSpec]
    required: Tuple[str, ...]  # names of such fields
    repeated: Tuple[str, ...]
    messages_only: bool

    def __post_init__(self) -> None:
        values = {spec.name: checked(spec, getattr(self, spec.name)) for spec in self.specs.values()}
        for problem in self.problems({name: value for name, value in values.items() if value is not None}):
            raise ValueError("{}: {}".format(".".join(map(str, problem.path)), problem.message))
        self.__dict__.update(values)

    @classmethod
    def problems(cls, values: Mapping[str, Any]) -> Iterator[Problem]:
        """The rules that values of the right types break: ranges, and entries that occur twice.

        A missing key is an absent field; None stands for a value that could not be read, and breaks none.
        """
        return iter(())


M = TypeVar("M", bound=Message)


def message(cls: Type[M]) -> Type[M]:
    """Class decorator: gives a dataclass its `specs`."""
    cls.specs = {f.name: field_spec(f.name, **f.metadata) for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    cls.required = tuple(name for name, spec in cls.specs.items() if spec.label == REQUIRED)
    cls.repeated = tuple(name for name, spec in cls.specs.items() if spec.label == REPEATED)
    cls.messages_only = all(spec.is_message and spec.label == OPTIONAL for spec in cls.specs.values())
    return cls


def field_spec(name: str, label: str, kind: Type[Any], unique: Optional[str] = None) -> FieldSpec:
    return FieldSpec(name, label, kind, kind not in KIND_NAMES, READERS.get(kind), unique)


def trusted(cls: Type[Any], values: Dict[str, Any]) -> Any:
    """A message of values that are checked already; what they leave out is absent."""
    built = object.__new__(cls)
    object.__setattr__(built, "__dict__", values)
    return built


def checked(spec: FieldSpec, value: Any) -> Any:
    """The value as the field keeps it. Raises `TypeError` for one of another type, `ValueError` for bad text."""
    if spec.label == REPEATED:
        if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
            raise TypeError("{} takes several values, not {!r}".format(spec.name, value))
        return tuple(checked_one(spec, element) for element in value)
    return None if value is None and spec.label == OPTIONAL else checked_one(spec, value)


def checked_one(spec: FieldSpec, value: Any) -> Any:
    if spec.kind is float and not isinstance(value, bool) and hasattr(type(value), "__float__"):
        return as_float32(value)
    if not isinstance(value, spec.kind):
        wanted = KIND_NAMES.get(spec.kind) or spec.kind.__name__
        raise TypeError("{} has to be {}, not {!r}".format(spec.name, wanted, value))
    if spec.kind is str:
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError("{}: {!r} holds a surrogate, which is not text".format(spec.name, value)) from None
    return value


def as_float32(value: Any) -> float:
    """A number as the shortest decimal of its float32."""
    try:
        return round_float32(float(value))
    except OverflowError:  # an int beyond every float
        return INFINITY if value > 0 else -INFINITY


def duplicates(spec: FieldSpec, elements: Any) -> Iterator[Problem]:
    """Entries of a repeated field that occurred before; None stands for one that could not be read."""
    first: Dict[str, int] = {}
    for index, element in enumerate(elements):
        key = getattr(element, spec.unique) if spec.unique and element is not None else element
        if key is not None and first.setdefault(key, index) != index:
            path = (spec.name, index, spec.unique) if spec.unique else (spec.name, index)
            hint = "delete one of the two entries" if spec.unique else "delete it here"
            yield Problem("duplicate-entry", path, "'{}' occurs twice in {}".format(key, spec.name), hint)


@message
@dataclasses.dataclass(frozen=True)
class ARQuantize(Message):
    """How weights are quantized: ARQ.

    channel_wise -- whether each channel has its own quantization factor. Absent: as the layer's type allows,
    see `Target`.
    """

    channel_wise: Optional[bool] = optional(bool)


@message
@dataclasses.dataclass(frozen=True)
class FMRQuantize(Message):
    """How activations are quantized: IFMR, a search for the best scale.

    search_range_start, search_range_end -- the factors of the scale between which it searches, 0.7 and 1.3 if absent;
    0 < start < end, both finite. search_step -- the step of the search, 0.01 if absent; more than 0 and at most
    end - start, as decimals. max_percentile, min_percentile -- which of the largest and smallest values count as
    the bounds, 0.999999 if absent; more than 0.5, at most 1. asymmetric -- whether activations are quantized with
    an offset (the vendor's sentence has it the wrong way round); absent: a lower block or `activation_offset` decides.

    Numbers are kept as the shortest decimal of their float32. `ValueError` names a value out of its range.
    """

    search_range_start: Optional[float] = optional(float)
    search_range_end: Optional[float] = optional(float)
    search_step: Optional[float] = optional(float)
    max_percentile: Optional[float] = optional(float)
    min_percentile: Optional[float] = optional(float)
    asymmetric: Optional[bool] = optional(bool)

    @classmethod
    def problems(cls, values: Mapping[str, Any]) -> Iterator[Problem]:
        start, end, step, highest, lowest = [values.get(name, default) for name, default in SEARCH_DEFAULTS]
        readable = None not in values.values()
        if readable and 0.5 < highest <= 1 and 0.5 < lowest <= 1 and 0 < start < end < INFINITY:
            if step > 0 and not exceeds(step, start, end):
                return  # as nearly always
        for name, value in zip(SEARCH_FIELDS, (start, end, step)):
            if value is not None and not 0 < value < INFINITY:
                yield out_of_range(name, value, "greater than 0 and finite")
        for name, value in zip(SEARCH_FIELDS[3:], (highest, lowest)):
            if value is not None and not 0.5 < value <= 1:
                yield out_of_range(name, value, "greater than 0.5 and at most 1")
        if all(value is not None and 0 < value < INFINITY for value in (start, end, step)):
            yield from range_problems(values, start, end, step)


def range_problems(values: Mapping[str, Any], start: float, end: float, step: float) -> Iterator[Problem]:
    """The rules between the fields of a search range, put down to a field that is there."""
    if start >= end:
        if "search_range_start" in values:
            yield out_of_range(
                "search_range_start", start, "less than search_range_end, " + shown(values, "search_range_end")
            )
        else:
            yield out_of_range("search_range_end", end, "greater than search_range_start, {} by default".format(start))
    elif exceeds(step, start, end):
        name = next(n for n in ("search_step", "search_range_end", "search_range_start") if n in values)
        wanted = "at most {} - {}, the width of the search range".format(end, start)
        if name != "search_step":
            wanted = "such that search_step, {}, fits into the search range".format(shown(values, "search_step"))
        yield out_of_range(name, with_default(values, name), wanted)


@message
@dataclasses.dataclass(frozen=True)
class CalibrationConfig(Message):
    """How a layer is quantized: a block, which replaces lower blocks as a whole.

    arq_quantize -- the weights. ifmr_quantize -- the activations. Absent is the same as empty.
    """

    arq_quantize: Optional[ARQuantize] = optional(ARQuantize)
    ifmr_quantize: Optional[FMRQuantize] = optional(FMRQuantize)


@message
@dataclasses.dataclass(frozen=True)
class OverrideLayerType(Message):
    """The block of all layers of a type that have no block of their own."""

    layer_type: str = required(str)
    calibration_config: CalibrationConfig = required(CalibrationConfig)


@message
@dataclasses.dataclass(frozen=True)
class OverrideLayer(Message):
    """The block of one layer, by name."""

    layer_name: str = required(str)
    calibration_config: CalibrationConfig = required(CalibrationConfig)


@message
@dataclasses.dataclass(frozen=True)
class AMCTConfig(Message):
    """A simplified configuration file.

    activation_offset -- whether activations are quantized with an offset, where no block says `asymmetric`;
    true if absent. skip_layers, skip_layer_types -- what is not quantized. common_config -- the block of layers
    that no override names. override_layer_types, override_layer_configs -- blocks by type and by layer; priority:
    override_layer_configs > override_layer_types > common_config. do_fusion -- whether BN is fused, true if absent.
    skip_fusion_layers -- layers that it is not fused into.

    Repeated fields take any iterable and are kept as tuples. `ValueError` for an entry that occurs twice.
    """

    activation_offset: Optional[bool] = optional(bool)
    skip_layers: Tuple[str, ...] = repeated(str)
    skip_layer_types: Tuple[str, ...] = repeated(str)
    common_config: Optional[CalibrationConfig] = optional(CalibrationConfig)
    override_layer_types: Tuple[OverrideLayerType, ...] = repeated(OverrideLayerType, unique="layer_type")
    override_layer_configs: Tuple[OverrideLayer, ...] = repeated(OverrideLayer, unique="layer_name")
    do_fusion: Optional[bool] = optional(bool)
    skip_fusion_layers: Tuple[str, ...] = repeated(str)

    @classmethod
    def problems(cls, values: Mapping[str, Any]) -> Iterator[Problem]:
        for name in cls.repeated:
            if name in values:
                yield from duplicates(cls.specs[name], values[name])


INFINITY = float("inf")

# What an absent field means, where that is one value.
DEFAULTS: Mapping[str, Any] = {
    "activation_offset": True,
    "do_fusion": True,
    "search_range_start": 0.7,
    "search_range_end": 1.3,
    "search_step": 0.01,
    "max_percentile": 0.999999,
    "min_percentile": 0.999999,
}


SEARCH_FIELDS = ("search_range_start", "search_range_end", "search_step", "max_percentile", "min_percentile")
SEARCH_DEFAULTS = tuple((name, DEFAULTS[name]) for name in SEARCH_FIELDS)


def with_default(values: Mapping[str, Any], name: str) -> Any:
    return values.get(name, DEFAULTS[name])


def shown(values: Mapping[str, Any], name: str) -> str:
    return "{}{}".format(with_default(values, name), "" if name in values else " by default")


def out_of_range(name: str, value: float, wanted: str) -> Problem:
    return Problem("out-of-range", (name,), "{} is {}; it has to be {}".format(name, value, wanted))


def exceeds(step: float, start: float, end: float) -> bool:
    """Whether a step is larger than its range. Decided in decimals: 1.3 - 0.7 is 0.6."""
    if step < 0.999 * (end - start):
        return False
    from decimal import Decimal  # seldom needed, and slow to import

    return Decimal(repr(step)) > Decimal(repr(end)) - Decimal(repr(start))
