# SPDX-License-Identifier: Apache-2.0
"""Messages, requirements and templates of the JSON that flavours have in common.

Fields, defaults and ranges: the vendor's pages "Simplified PTQ Configuration File" and, where they are silent, the
toolkit's own checks.
"""

from __future__ import annotations

from .._typing import TYPE_CHECKING
from ..messages.field import POSITIVE, Interval, optional
from ..messages.kinds import BOOL, FLOAT
from ..messages.message import Message, message, word_out_of_range
from .json_layout import Constant, Value, Values
from .requirement import ASYMMETRIC, CHANNEL_WISE, ERROR, KEEP, Requirement, facts

if TYPE_CHECKING:
    from typing import Any, Iterable, Mapping

    from ..messages.field import Repeated
    from ..messages.message import Problem
    from .json_layout import Items

PERCENTILE = Interval("greater than 0.5 and at most 1", 0.5, 1, "(]")

# channel_wise: true is an error on a layer that can't have it, wherever it comes from.
CHANNELS = Requirement(CHANNEL_WISE, (True,), KEEP, common=ERROR, code="channel-wise-unsupported")
# asymmetric: true in an override is an error on a layer that is always symmetric; in common_config it is ignored there.
OFFSET = Requirement(ASYMMETRIC, (True,), False)


# What the messages of all flavours have: each flavour decorates its own, with its own kinds, and takes the meanings from here.


class OverrideLayerType(Message):
    """The block of all layers of a type that have no block of their own."""

    layer_type: str
    """A quantizable layer type."""
    calibration_config: Message
    """The block."""


class OverrideLayer(Message):
    """The block of one layer, by name."""

    layer_name: str
    """The layer's name in the model."""
    calibration_config: Message
    """The block."""


class Configuration(Message):
    """A simplified configuration file.

    Priority: override_layer_configs > override_layer_types > common_config. Repeated fields take any iterable and are
    kept as tuples. `ValueError` for an entry that occurs twice.
    """

    activation_offset: bool | None
    """Whether activations are quantized with an offset, where no block sets `asymmetric`."""
    skip_layers: Repeated[str]
    """Layers that are not quantized."""
    skip_layer_types: Repeated[str]
    """Types whose layers are not quantized."""
    common_config: Message | None
    """The block of all layers without an override."""
    override_layer_types: Repeated[OverrideLayerType]
    """Blocks for layer types."""
    override_layer_configs: Repeated[OverrideLayer]
    """Blocks for single layers."""
    do_fusion: bool | None
    """Whether batch normalization (BN) is fused into the layer in front of it."""
    skip_fusion_layers: Repeated[str]
    """Layers that BN is not fused into."""


@message
class FMRQuantize(Message):
    """Quantization of activations: IFMR, a search for the best scale.

    The scale that the largest and smallest values give is multiplied by factors from `search_range_start` to
    `search_range_end`, by `search_step`; the factor with the smallest error is kept. Numbers are kept as the shortest
    decimal of their float32. `ValueError` names a value out of its range.
    """

    search_range_start: float | None = optional(FLOAT, default=0.7, within=POSITIVE)
    """The smallest factor that is tried; less than `search_range_end`."""
    search_range_end: float | None = optional(FLOAT, default=1.3, within=POSITIVE)
    """The largest factor that is tried; greater than `search_range_start`."""
    search_step: float | None = optional(FLOAT, default=0.01, within=POSITIVE)
    """The step between two factors; at most end - start, decided in decimals."""
    max_percentile: float | None = optional(FLOAT, default=0.999999, within=PERCENTILE)
    """Which of the largest values counts as the maximum: 0.999999 leaves out one in a million."""
    min_percentile: float | None = optional(FLOAT, default=0.999999, within=PERCENTILE)
    """Which of the smallest values counts as the minimum."""
    asymmetric: bool | None = optional(BOOL, default=True, metadata=facts("activation_offset", OFFSET))
    """Whether activations are quantized with an offset. If the block does not set it, lower blocks do, and then
    `activation_offset`."""

    @classmethod
    def __rules__(cls, values: Mapping[str, Any]) -> Iterable[Problem]:
        start, end, step = [values.get(name, DEFAULTS[name]) for name in SEARCH]
        if start is None or end is None:
            return ()
        if start >= end:
            if "search_range_start" in values:
                wanted = "less than search_range_end, {}{}".format(end, by_default("search_range_end", values))
                return (word_out_of_range("search_range_start", start, wanted),)
            wanted = "greater than search_range_start, {} by default".format(start)
            return (word_out_of_range("search_range_end", end, wanted),)
        if step is None or not exceeds(step, start, end):
            return ()
        name = next(name for name in reversed(SEARCH) if name in values)
        if name == "search_step":
            wanted = "at most {}, the width of the search range from {} to {}".format(
                subtract_exactly(start, end), start, end
            )
            return (word_out_of_range(name, step, wanted),)
        wanted = "such that it leaves room for search_step, {}{}".format(step, by_default("search_step", values))
        return (word_out_of_range(name, values[name], wanted),)


SEARCH = ("search_range_start", "search_range_end", "search_step")
DEFAULTS = {name: FMRQuantize.__schema__.fields[name].default for name in SEARCH}


def by_default(name: str, values: Mapping[str, Any]) -> str:
    return "" if name in values else " by default"


def exceeds(step: float, start: float, end: float) -> bool:
    """Return whether a step is larger than its range. Decided in decimals: 1.3 - 0.7 is 0.6."""
    if step < 0.999 * (end - start):
        return False
    from decimal import Decimal  # seldom needed, and slow to import

    return bool(Decimal(repr(step)) > subtract_exactly(start, end))


def subtract_exactly(start: float, end: float) -> Any:
    from decimal import Decimal  # seldom needed, and slow to import

    return (Decimal(repr(end)) - Decimal(repr(start))).normalize()


IFMR_JSON: Items = {
    "max_percentile": Value("max_percentile"),
    "min_percentile": Value("min_percentile"),
    "search_range": Values("search_range_start", "search_range_end"),
    "search_step": Value("search_step"),
    "act_algo": Constant("ifmr"),
    "asymmetric": Value("asymmetric"),
}
