# SPDX-License-Identifier: Apache-2.0
"""The effective configuration of a layer, and the provenance of its values."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Iterable, Iterator, Mapping, NamedTuple

from ..diagnostics.diagnostic import Path
from ..diagnostics.source import Span
from ..flavours.layer import Layer
from ..messages.message import Message

if TYPE_CHECKING:
    from typing import Literal, Protocol

    TierName = Literal[
        "override_layer_configs", "override_layer_types", "common_config", "activation_offset", "skip_layers",
        "skip_layer_types", "skip_fusion_layers", "do_fusion", "unsupported", "default", "layer_type", "quant_config",
    ]  # fmt: skip

    class Provenance(Protocol):
        """A source of the provenance of a layer's values."""

        def names_of(self, layer: Layer) -> Iterable[str]: ...
        def origin_of(self, layer: Layer, field: str) -> Origin: ...


SWITCHES = ("quant_enable", "fuse")
READ: TierName = "quant_config"  # the tier of values that were read from JSON


class Origin(NamedTuple):
    """The provenance of a value.

    Attributes:
        tier: What decided.
        value: The value.
        path: The place in the configuration, None where nothing sets it.
        span: The place in the text, None where no text sets it.
        shadowed: The settings of the same field that lost, highest first.
    """

    tier: TierName
    value: Any
    path: Path | None = None
    span: Span | None = None
    shadowed: tuple[Origin, ...] = ()


class Origins(Mapping[str, Origin]):
    """The `Origin` of each field of a layer, by dotted name; each is worked out when it is asked for."""

    __slots__ = ("_found", "_layer", "_source")

    def __init__(self, source: Provenance | None, layer: Layer, found: dict[str, Origin] | None = None) -> None:
        self._source: Provenance | None = source  # None where all are given
        self._layer: Layer = layer
        self._found: dict[str, Origin] | None = found  # made when it is needed: there may be many layers

    def __getitem__(self, field: str) -> Origin:
        found = self._found
        if found is None:
            found = self._found = {}
        if field not in found and self._source is not None:
            found[field] = self._source.origin_of(self._layer, field)
        return found[field]

    def __iter__(self) -> Iterator[str]:
        return iter(self._source.names_of(self._layer) if self._source is not None else self._found or ())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __hash__(self) -> int:
        return hash(tuple(self.items()))

    def __repr__(self) -> str:
        return "Origins({!r})".format(dict(self))

    def __reduce__(self) -> Any:
        return Origins, (None, self._layer, dict(self))


@dataclasses.dataclass(frozen=True, repr=False)
class EffectiveConfig:
    """The effective configuration of a layer: every field of `calibration_config` is set.

    Two that differ in origins only are equal.

    Attributes:
        layer: The layer.
        quant_enable: Whether it is quantized.
        fuse: Whether BN may be fused into it.
        calibration_config: The block, with one member of each group of algorithms.
        origins: Where each value comes from, by dotted name ("ifmr_quantize.search_step"); worked out when asked for.
    """

    layer: Layer
    quant_enable: bool
    fuse: bool
    calibration_config: Any
    origins: Mapping[str, Origin] = dataclasses.field(compare=False)

    def settings(self) -> dict[str, Any]:
        """Return all that the layer gets.

        Returns:
            The two switches, then the values of the block, by dotted name.

        Example:
            >>> from amctcfg import AMCTConfig, merge
            >>> merge(AMCTConfig(), Layer("conv1", "Conv2D")).settings()["arq_quantize.channel_wise"]
            True
        """
        switches = {"quant_enable": self.quant_enable, "fuse": self.fuse}
        return dict(switches, **values_of(self.calibration_config))

    def __repr__(self) -> str:
        values = ["{}={}".format(name, value) for name, value in values_of(self.calibration_config).items()]
        switches = ["quantized" if self.quant_enable else "not quantized", "BN fused" if self.fuse else "BN not fused"]
        head = "<EffectiveConfig {!r} ({})".format(self.layer.name, self.layer.type)
        return "{}: {}>".format(head, ", ".join(switches + values))


def values_of(block: Message | None) -> dict[str, Any]:
    """Return what a block sets, by dotted name."""
    found: dict[str, Any] = {}
    for name, field in block.__schema__.fields.items() if block is not None else ():
        value = getattr(block, name)
        if field.is_message:
            for inner, held in values_of(value).items():
                found[name + "." + inner] = held
        elif value is not None:
            found[name] = value
    return found
