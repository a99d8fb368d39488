# SPDX-License-Identifier: Apache-2.0
"""The parts of a flavour: its messages, what its layer types can do, and the layout of its JSON."""

from __future__ import annotations

import dataclasses

from .._typing import TYPE_CHECKING, Generic
from .requirement import ASYMMETRIC, CHANNEL_WISE

if TYPE_CHECKING:
    from typing import Any, Iterable, Iterator, Literal, Mapping

    from typing_extensions import TypeVar

    from .common import Configuration
    from .json_layout import Layout
    from .layer import Layer

    C_co = TypeVar("C_co", bound=Configuration, covariant=True, default=Configuration)
    MappingBase = Mapping[str, "LayerType"]
    Evidence = Literal["code", "pages"]
    Graphs = Literal["tensorflow", "onnx", "torch", ""]
else:
    from collections.abc import Mapping as MappingBase

    C_co = None


@dataclasses.dataclass(frozen=True)
class LayerType:
    """A type of layers and what they can do.

    Attributes:
        name: The type, as the configuration and the model have it.
        operation: What it computes, the same word in all flavours.
        quantizable: Whether it is quantized at all; a type that only `tensor_quantize` takes is not.
        channel_wise: Whether its weights may have a factor for each channel, which is then the default.
        fusible: Whether BN is fused into it.
        symmetric_only: Whether its activations are always quantized without offset.
        abilities: The other requirements that it satisfies: "int16", "ada_quantize" and so on.
        conditions: What a node of the graph has to fulfil, by the names in `models`.
        aliases: What other frameworks call it, where that is an error in this flavour.
    """

    name: str
    operation: str = ""
    quantizable: bool = True
    channel_wise: bool = False
    fusible: bool = False
    symmetric_only: bool = False
    abilities: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    def has(self, ability: str) -> bool:
        """Return whether a layer of this type can have what a requirement asks for.

        Args:
            ability: What is required, such as "channel_wise" or "int16".

        Returns:
            Whether the type has it.
        """
        if ability == CHANNEL_WISE:
            return self.channel_wise
        if ability == ASYMMETRIC:
            return not self.symmetric_only
        return ability in self.abilities


class Types(MappingBase):
    """A read-only mapping of a type's name to its `LayerType`."""

    __slots__ = ("_by_name",)

    def __init__(self, entries: Iterable[LayerType]) -> None:
        given: Any = entries.values() if hasattr(entries, "values") else entries
        found = None if isinstance(given, str) or not hasattr(given, "__iter__") else tuple(given)
        if found is None or not all(isinstance(entry, LayerType) for entry in found):
            raise TypeError("types takes several LayerTypes, not {!r}".format(entries))
        self._by_name: dict[str, LayerType] = {entry.name: entry for entry in found}
        for key, name in zip(entries, [entry.name for entry in found]) if given is not entries else ():
            if key != name:
                raise ValueError("types has the LayerType {!r} at {!r}; the key has to be its name".format(name, key))

    def __getitem__(self, name: str) -> LayerType:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __hash__(self) -> int:
        return hash(tuple(self._by_name.values()))

    def __repr__(self) -> str:
        return "Types({!r})".format(tuple(self._by_name.values()))


@dataclasses.dataclass(frozen=True, repr=False)
class Flavour(Generic[C_co]):
    """One dialect of the simplified configuration file.

    Attributes:
        name: The name that `--flavour` takes.
        proto: The vendor's file that defines it.
        config: The class of its root message.
        types: Its layer types, by name; `dataclasses.replace(flavour, types=...)` makes a flavour with other ones.
        layout: The layout of its JSON, None where the toolkit writes none.
        evidence: "code" where the toolkit's own code was compared, "pages" where only its documentation is known.
        graphs: The kind of graphs it is for: "tensorflow", "onnx", "torch" or "".
        title: Its name in prose.
        versions: The versions of the toolkit.
        removed_fields: Fields that other versions have, and what became of each.
        deprecated_blocks: Fields that count as common_config or as overrides of types where the configuration has neither.
        deprecated_fields: Fields that still work in these versions, with what to do instead.
        deprecated: Of a flavour that the vendor gives up: since when.
        quantizable_types: The types that can be quantized.
        channel_wise_types: Those that may have `channel_wise: true`, and have it by default.
        fusible_types: Those that BN can be fused into.
        symmetric_only_types: Those whose activations are always quantized without offset.
    """

    name: str
    proto: str
    config: type[C_co]
    types: Mapping[str, LayerType]
    layout: Layout | None = None
    evidence: Evidence = "pages"
    graphs: Graphs = ""
    title: str = ""
    versions: str = ""
    removed_fields: tuple[tuple[str, str], ...] = ()
    deprecated_blocks: tuple[tuple[str, tuple[str, ...]], ...] = ()
    deprecated_fields: tuple[tuple[str, str], ...] = ()
    deprecated: str = ""
    quantizable_types: frozenset[str] = dataclasses.field(init=False, compare=False)
    channel_wise_types: frozenset[str] = dataclasses.field(init=False, compare=False)
    fusible_types: frozenset[str] = dataclasses.field(init=False, compare=False)
    symmetric_only_types: frozenset[str] = dataclasses.field(init=False, compare=False)

    def __post_init__(self) -> None:
        types = self.types if isinstance(self.types, Types) else Types(self.types)  # type: ignore[arg-type]
        self.__dict__["types"] = types
        for fact in ("quantizable", "channel_wise", "fusible", "symmetric_only"):
            having = frozenset(name for name, layer_type in types.items() if getattr(layer_type, fact))
            self.__dict__[fact + "_types"] = having

    def quantizes(self, layer: Layer) -> bool:
        """Return whether a layer can be quantized: a quantizable type, and its condition holds.

        Args:
            layer: The layer.

        Returns:
            Whether the toolkit would quantize it if nothing skips it.
        """
        return layer.supported and layer.type in self.quantizable_types

    def can(self, layer: Layer, ability: str) -> bool:
        """Return whether a layer can have what a requirement asks for: its type has the ability, and the layer does not lack it.

        An offset is refused to layers of symmetric types alone: the toolkit ignores it on one whose type it does not know.

        Args:
            layer: The layer.
            ability: What is required, such as "channel_wise" or "int16".

        Returns:
            Whether the layer has it.
        """
        layer_type = self.types.get(layer.type)
        if layer_type is None:
            return ability == ASYMMETRIC
        return layer_type.has(ability) and ability not in layer.lacks

    def __hash__(self) -> int:
        return hash((self.name, self.config))

    def __repr__(self) -> str:
        return "<Flavour {}>".format(self.name)

    def __reduce__(self) -> Any:
        from . import FLAVOURS, flavour_named

        if FLAVOURS.get(self.name) == self:
            return flavour_named, (self.name,)
        return Flavour, tuple(getattr(self, field.name) for field in dataclasses.fields(self) if field.init)


def require_flavour(flavour: Any) -> None:
    """Check the argument `flavour` of a public function. Raises `TypeError` for what is not a flavour, such as its name."""
    if not isinstance(flavour, Flavour):
        raise TypeError("flavour has to be a Flavour, such as amctcfg.FLAVOURS['pytorch'], not {!r}".format(flavour))


def derive_older_version(newer: Flavour[Any], version: str, config: type[C_co], **facts: Any) -> Flavour[C_co]:
    """Return the flavour of an older version: what a newer one is, but for its messages and some facts."""
    return dataclasses.replace(
        newer, name="{}-{}".format(newer.name, version), config=config, **dict({"versions": version}, **facts)
    )
