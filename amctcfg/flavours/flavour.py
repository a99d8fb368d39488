# SPDX-License-Identifier: Apache-2.0
"""What a flavour is made of: its messages, what its layer types can do, and the layout of its JSON."""

from __future__ import annotations

from .._typing import TYPE_CHECKING
from ..messages.message import Message
from ..messages.record import Record

if TYPE_CHECKING:
    from typing import Any, Dict, FrozenSet, Generic, Iterator, List, Mapping, Optional, Tuple, Type

    from typing_extensions import TypeVar

    C = TypeVar("C", bound=Message, default=Any)

    class Config(Generic[C]):
        """Tells type checkers what `loads` gives."""

    MappingBase = Mapping[str, "LayerType"]
else:
    from collections.abc import Mapping as MappingBase

    class Config:
        def __class_getitem__(cls, item):
            return cls

    C = None

__all__ = [
    "CHANNEL_WISE",
    "FUSIBLE",
    "SYMMETRIC",
    "Constant",
    "Demand",
    "Flavour",
    "LayerType",
    "Layout",
    "Mapped",
    "Types",
    "demanded",
    "demands_of",
]

# What an override or common_config becomes on a layer that can't have it.
ERROR, SOFTEN, WHERE_USED = "error", "soften", "an error where a layer uses it"

KEEP = "keep"  # in place of another value: the value stays as it is


class Demand:
    """A value that not every layer can have.

    ability -- what the layer's type must have among its abilities, and the layer not among what it `lacks`.
    values -- the values of the field that ask for it; of a message field, none: its presence asks.
    instead -- what a layer gets that can't have it: another value, None for nothing at all, KEEP.
    common, by_type, by_layer -- what such a demand is in each tier: ERROR, SOFTEN, WHERE_USED.
    of_type -- the ability that an override of a type asks for, where that is another one.
    supported -- whether an override of a layer that is not supported is an error, too.
    unless -- a field of the block and the ability that is asked for instead where it is true.
    """

    __slots__ = (
        "ability",
        "by_layer",
        "by_type",
        "code",
        "common",
        "instead",
        "of_type",
        "supported",
        "unless",
        "values",
    )

    def __init__(
        self,
        ability: str,
        values: Tuple[Any, ...] = (),
        instead: Any = None,
        common: str = SOFTEN,
        by_type: str = ERROR,
        by_layer: str = ERROR,
        of_type: Optional[str] = None,
        supported: bool = False,
        unless: Optional[Tuple[str, str]] = None,
        code: str = "algorithm-unsupported",
    ) -> None:
        self.ability: str = ability
        self.values: Tuple[Any, ...] = values
        self.instead: Any = instead
        self.common: str = common
        self.by_type: str = by_type
        self.by_layer: str = by_layer
        self.of_type: str = of_type or ability
        self.supported: bool = supported
        self.unless: Optional[Tuple[str, str]] = unless
        self.code: str = code


def demands_of(block: Message) -> Iterator[Tuple[Demand, Any, Tuple[str, ...]]]:
    """What a block asks for that not every layer can have: the demand, the value that makes it, and where it is.

    The value is None for a message whose presence makes the demand.
    """
    for field in block.__schema__.demanding:
        part = getattr(block, field.name)
        if part is None:
            continue
        for demand in field.demands:
            if field.is_message or part in demand.values:
                yield demand, None if field.is_message else part, (field.name,)
        for inner in part.__schema__.demanding if field.is_message else ():
            value = getattr(part, inner.name)
            for demand in inner.demands:
                if value is not None and value in demand.values:
                    yield demand, value, (field.name, inner.name)


def demanded(block: Message) -> List[Demand]:
    return [demand for demand, _, _ in demands_of(block)]


CHANNEL_WISE, FUSIBLE, SYMMETRIC, ASYMMETRIC = "channel_wise", "fusible", "symmetric only", "asymmetric"


class LayerType(Record):
    """What the layers of a type can do.

    name -- as the configuration and the model have it. does -- what it computes, the same word in all flavours.
    quantizable -- whether it is quantized at all; a type that only `tensor_quantize` takes is not. channel_wise -- whether
    its weights may have a factor for each channel, which is then the default. fusible -- whether BN is fused into it.
    symmetric_only -- whether its activations are always quantized without offset. abilities -- the other demands that it
    takes: "int16", "ada_quantize" and so on. conditions -- what a node of the graph has to fulfil, by the names in
    `layers`. also -- what other frameworks call it, where that is an error in this flavour.
    """

    name: str
    does: str = ""
    quantizable: bool = True
    channel_wise: bool = False
    fusible: bool = False
    symmetric_only: bool = False
    abilities: Tuple[str, ...] = ()
    conditions: Tuple[str, ...] = ()
    also: Tuple[str, ...] = ()

    def has(self, ability: str) -> bool:
        """Whether a layer of this type can have what a demand asks for."""
        if ability == CHANNEL_WISE:
            return self.channel_wise
        if ability == ASYMMETRIC:
            return not self.symmetric_only
        return ability in self.abilities


class Fact:
    """A part of a description; equal to another with the same content."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return object.__hash__(self)


class Constant(Fact):
    """A key of the JSON that always has the same value."""

    def __init__(self, value: Any) -> None:
        self.value: Any = value


class Mapped(Fact):
    """A key of the JSON that has another value for each value of a field."""

    def __init__(self, field: str, values: Dict[Any, Any]) -> None:
        self.field: str = field
        self.values: Dict[Any, Any] = values


class Layout(Fact):
    """The layout of the JSON quantization config, in the order of its keys.

    globals -- the keys before the layers, each a field of the configuration or a `Constant`. when_set -- those of them
    that are written only where the configuration has them. switches -- members of a block that stand beside the parts as
    a single value: key, member and field. parts -- the key of each part of a layer, and for each member of the block
    that may stand there, the template: key -> name of a field, list of names, `Mapped` or `Constant`. tolerated -- keys
    that are accepted with this value and not written. same_as_unset -- global keys with a value that means the same as
    none. needed -- parts without which the toolkit can't read a layer, quantized or not.
    """

    def __init__(
        self,
        globals: Tuple[str, ...],  # noqa: A002
        parts: Dict[str, Dict[str, Dict[str, Any]]],
        when_set: Tuple[str, ...] = (),
        switches: Tuple[Tuple[str, str, str], ...] = (),
        tolerated: Optional[Dict[str, Any]] = None,
        same_as_unset: Optional[Dict[str, Any]] = None,
    ) -> None:
        self.globals: Tuple[str, ...] = globals
        self.parts: Dict[str, Dict[str, Dict[str, Any]]] = parts
        self.when_set: Tuple[str, ...] = when_set
        self.switches: Tuple[Tuple[str, str, str], ...] = switches
        self.tolerated: Dict[str, Any] = tolerated or {}
        self.same_as_unset: Dict[str, Any] = same_as_unset or {}
        self.needed: Tuple[str, ...] = ("activation_quant_params",)


class Types(Record, MappingBase):
    """A read-only mapping of a type's name to its `LayerType`."""

    entries: Tuple[LayerType, ...]

    def _checked(self, values: Dict[str, Any]) -> Dict[str, Any]:
        entries = values["entries"]
        if hasattr(entries, "values"):
            entries = entries.values()
        if isinstance(entries, str) or not hasattr(entries, "__iter__"):
            raise TypeError("types takes several LayerTypes, not {!r}".format(entries))
        entries = tuple(entries)
        if not all(isinstance(entry, LayerType) for entry in entries):
            raise TypeError("types takes several LayerTypes, not {!r}".format(entries))
        return {"entries": entries, "_by_name": {entry.name: entry for entry in entries}}

    def __getitem__(self, name: str) -> LayerType:
        by_name: Dict[str, LayerType] = self.__dict__["_by_name"]
        return by_name[name]

    def get(self, name: str, default: Any = None) -> Any:  # Mapping's own goes a long way round
        return self.__dict__["_by_name"].get(name, default)

    def __contains__(self, name: object) -> bool:
        return name in self.__dict__["_by_name"]

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__["_by_name"])

    def __len__(self) -> int:
        return len(self.__dict__["_by_name"])

    def __eq__(self, other: object) -> bool:
        return Record.__eq__(self, other)

    def __hash__(self) -> int:
        return Record.__hash__(self)


class Flavour(Record, Config[C]):
    """One dialect of the simplified configuration file.

    name -- as `--flavour` takes it. proto -- the vendor's file that defines it. config -- the class of its root message.
    types -- its layer types, by name; `dataclasses.replace(flavour, types=...)` makes a flavour with other ones.
    layout -- of its JSON, None where the toolkit writes none. evidence -- "code" where the toolkit's own code was
    compared, "pages" where only its documentation is known. graphs -- the kind of graphs it is for: "tensorflow", "onnx",
    "torch" or "". versions -- of the toolkit. gone -- fields that other versions have, and what became of each. stand_ins
    -- fields that count as common_config or as overrides of types where the configuration has neither.
    """

    name: str
    proto: str
    config: Type[C]
    types: Mapping[str, LayerType]
    layout: Optional[Layout] = None
    evidence: str = "pages"
    graphs: str = ""
    title: str = ""
    versions: str = ""
    gone: Tuple[Tuple[str, str], ...] = ()
    stand_ins: Tuple[Tuple[str, Tuple[str, ...]], ...] = ()

    def _checked(self, values: Dict[str, Any]) -> Dict[str, Any]:
        types = values["types"] if isinstance(values["types"], Types) else Types(values["types"])
        sets = {
            "_" + what: frozenset(name for name, layer_type in types.items() if getattr(layer_type, what))
            for what in ("quantizable", "channel_wise", "fusible", "symmetric_only")
        }
        return dict(values, types=types, **sets)

    @property
    def quantizable_types(self) -> FrozenSet[str]:
        """The types that can be quantized."""
        return self.__dict__["_quantizable"]  # type: ignore[no-any-return]

    @property
    def channel_wise_types(self) -> FrozenSet[str]:
        """The types that may have `channel_wise: true`, and have it by default."""
        return self.__dict__["_channel_wise"]  # type: ignore[no-any-return]

    @property
    def fusible_types(self) -> FrozenSet[str]:
        """The types that BN can be fused into."""
        return self.__dict__["_fusible"]  # type: ignore[no-any-return]

    @property
    def symmetric_only_types(self) -> FrozenSet[str]:
        """The types whose activations are always quantized without offset."""
        return self.__dict__["_symmetric_only"]  # type: ignore[no-any-return]

    def quantizes(self, layer: Any) -> bool:
        """Whether a layer can be quantized: a quantizable type, and its condition holds."""
        return layer.supported and layer.type in self.quantizable_types

    def can(self, layer: Any, ability: str) -> bool:
        """Whether a layer can have what a demand asks for: its type has the ability, and the layer does not lack it.

        An offset is refused to layers of symmetric types alone: the toolkit ignores it on one whose type it does not know.
        """
        layer_type = self.types.get(layer.type)
        if layer_type is None:
            return ability == ASYMMETRIC
        return layer_type.has(ability) and ability not in layer.lacks

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Flavour):
            return NotImplemented
        return self is other or all(getattr(self, name) == getattr(other, name) for name in self.__attributes__)

    def __hash__(self) -> int:
        return hash((self.name, self.config))

    def __repr__(self) -> str:
        return "<Flavour {}>".format(self.name)

    def __reduce__(self) -> Any:
        """Pickled by name, if it is one of ours."""
        from . import FLAVOURS, flavour_named

        if self.name in FLAVOURS and FLAVOURS[self.name] == self:
            return flavour_named, (self.name,)
        return Flavour, tuple(getattr(self, name) for name in self.__attributes__)
