# SPDX-License-Identifier: Apache-2.0
"""What a layer gets, and where each of its values comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, Mapping, NamedTuple, Optional, Tuple

from ..diagnostics.diagnostic import Path
from ..diagnostics.source import Span
from ..flavours.layer import Layer
from ..messages.message import Message
from ..messages.record import Record

if TYPE_CHECKING:
    from .resolver import Resolver


SWITCHES = ("quant_enable", "fuse")


class Origin(NamedTuple):
    """Where a value comes from.

    `tier` is what decided; `path` and `span` are the place, None where no text sets it; `shadowed` are the settings
    of the same field that lost, highest first.
    """

    tier: str
    value: Any
    path: Optional[Path] = None
    span: Optional[Span] = None
    shadowed: Tuple[Origin, ...] = ()


class Origins(Mapping[str, Origin]):
    """The `Origin` of each field of a layer, by dotted name; each is worked out when it is asked for."""

    __slots__ = ("_found", "_layer", "_merger")

    def __init__(self, merger: Optional[Resolver], layer: Layer, found: Optional[Dict[str, Origin]] = None) -> None:
        self._merger: Optional[Resolver] = merger  # None where all are given
        self._layer: Layer = layer
        self._found: Dict[str, Origin] = {} if found is None else found

    def __getitem__(self, field: str) -> Origin:
        if field not in self._found and self._merger is not None:
            self._found[field] = self._merger.origin_of(self._layer, field)
        return self._found[field]

    def _names(self) -> Iterable[str]:
        return self._found if self._merger is None else self._merger.names_of(self._layer)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(tuple(self._names()))

    def __hash__(self) -> int:
        return hash(tuple(self.items()))

    def __repr__(self) -> str:
        return "Origins({!r})".format(dict(self))

    def __reduce__(self) -> Any:
        """Pickled as what they are, without the document that they come from."""
        return Origins, (None, self._layer, dict(self))


class EffectiveConfig(Record):
    """What a layer gets: every field of `calibration_config` is set.

    quant_enable -- whether the layer is quantized. fuse -- whether BN may be fused into it. calibration_config -- the
    block, with one member of each group of algorithms. origins -- where each value comes from, by dotted name
    ("ifmr_quantize.search_step"); two that differ in origins only are equal.
    """

    layer: Layer
    quant_enable: bool
    fuse: bool
    calibration_config: Any
    origins: Mapping[str, Origin]

    if not TYPE_CHECKING:

        def __getattr__(self, name):
            """The origins, made when somebody asks for them."""
            if name != "origins" or "_merger" not in self.__dict__:
                raise AttributeError(name)
            self.__dict__["origins"] = Origins(self.__dict__["_merger"], self.layer)
            return self.__dict__["origins"]

    def __getstate__(self) -> Dict[str, Any]:
        return {name: getattr(self, name) for name in self.__attributes__}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EffectiveConfig):
            return NotImplemented
        return self._compared() == other._compared()

    def __hash__(self) -> int:
        return hash(self._compared())

    def _compared(self) -> Tuple[Any, ...]:
        return self.layer, self.quant_enable, self.fuse, self.calibration_config

    def __repr__(self) -> str:
        values = ["{}={}".format(name, value) for name, value in values_of(self.calibration_config).items()]
        switches = ["quantized" if self.quant_enable else "not quantized", "BN fused" if self.fuse else "BN not fused"]
        head = "<EffectiveConfig {!r} ({})".format(self.layer.name, self.layer.type)
        return "{}: {}>".format(head, ", ".join(switches + values))


def values_of(block: Optional[Message]) -> Dict[str, Any]:
    """What a block sets, by dotted name."""
    found: Dict[str, Any] = {}
    for name, field in block.__schema__.fields.items() if block is not None else ():
        value = getattr(block, name)
        if value is None:
            continue
        if not field.is_message:
            found[name] = value
            continue
        for inner in value.__schema__.fields:
            if getattr(value, inner) is not None:
                found[name + "." + inner] = getattr(value, inner)
    return found
