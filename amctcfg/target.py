# SPDX-License-Identifier: Apache-2.0
"""What a target can quantize, and the layers of a model."""

from __future__ import annotations

import dataclasses
from typing import FrozenSet, Iterable

__all__ = ["TF_ASCEND", "Layer", "Target"]


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer of a model: a node of the graph by name and type.

    `supported` is false for a layer whose type is quantizable but which fails the type's condition, such as a
    convolution whose filter is no constant; it is never quantized.
    """

    name: str
    type: str
    supported: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not isinstance(self.type, str) or not isinstance(self.supported, bool):
            raise TypeError("a Layer takes two strings and a bool, not {!r}".format(dataclasses.astuple(self)))


@dataclasses.dataclass(frozen=True)
class Target:
    """What a framework and device can quantize, by layer type; any iterables of strings are taken.

    quantizable_types -- can be quantized at all. channel_wise_types -- may have `channel_wise: true`, and have it by
    default. fusible_types -- BN can be fused into them. symmetric_only_types -- their activations are always
    quantized without offset.
    """

    name: str
    quantizable_types: FrozenSet[str]
    channel_wise_types: FrozenSet[str] = frozenset()
    fusible_types: FrozenSet[str] = frozenset()
    symmetric_only_types: FrozenSet[str] = frozenset()

    def __post_init__(self) -> None:
        for field in ("quantizable_types", "channel_wise_types", "fusible_types", "symmetric_only_types"):
            types: Iterable[str] = getattr(self, field)
            if isinstance(types, str) or not all(isinstance(t, str) for t in types):
                raise TypeError("{} takes several names of types, not {!r}".format(field, types))
            object.__setattr__(self, field, frozenset(types))
        unknown = (self.channel_wise_types | self.fusible_types | self.symmetric_only_types) - self.quantizable_types
        if unknown:
            raise ValueError("{}: not among quantizable_types".format(", ".join(sorted(unknown))))

    def quantizes(self, layer: Layer) -> bool:
        """Whether a layer can be quantized: a quantizable type, and its condition holds."""
        return layer.supported and layer.type in self.quantizable_types


TF_ASCEND = Target(
    name="TF_ASCEND",
    quantizable_types=frozenset(
        ("Conv2D", "DepthwiseConv2dNative", "Conv2DBackpropInput", "MatMul", "BatchMatMul", "BatchMatMulV2", "AvgPool")
    ),
    channel_wise_types=frozenset(("Conv2D", "DepthwiseConv2dNative", "Conv2DBackpropInput")),
    fusible_types=frozenset(("Conv2D", "DepthwiseConv2dNative")),
)
