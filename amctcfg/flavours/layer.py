# SPDX-License-Identifier: Apache-2.0
"""A layer of a model, and the layers of a model's file with what is known of them."""

from __future__ import annotations

import dataclasses
from typing import Iterable, Mapping, NamedTuple, Tuple


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer of a model: a node of the graph by name and type.

    supported -- false for a layer whose type is quantizable but which fails the type's condition, such as a convolution
    whose filter is not a constant; it is never quantized. lacks -- what this layer can't do although its type can: "int16",
    "int4", "asymmetric".
    """

    name: str
    type: str
    supported: bool = True
    lacks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        lacks = self.lacks
        if isinstance(lacks, (list, set, frozenset)):
            lacks = tuple(lacks if isinstance(lacks, list) else sorted(lacks))
            object.__setattr__(self, "lacks", lacks)
        words = [self.name, self.type, *(lacks if isinstance(lacks, tuple) else [None])]
        if not all(isinstance(word, str) for word in words) or not isinstance(self.supported, bool):
            values = (self.name, self.type, self.supported, self.lacks)
            raise TypeError("a Layer takes two strings and a bool, not {!r}".format(values))


# Nodes that hold, read or measure something and aren't layers in anybody's eyes.
MINOR_TYPES = frozenset(
    (
        "Const", "Constant", "ConstantOfShape", "VarHandleOp", "Variable", "VariableV2", "ReadVariableOp",
        "VarIsInitializedOp", "Shape", "ShapeN", "Size", "Rank",
    )
)  # fmt: skip


class Traits(NamedTuple):
    """Traits of a layer that a model's file shows, beyond its name and type.

    two_variable -- it multiplies two values that are both computed. runtime_weight -- its weight is computed of constants
    each time that the model runs: by this operation. shares -- another layer with the same weight. group -- its group,
    where it is a convolution of several, channels -- of its input and its output, where the weight shows them.
    """

    two_variable: bool = False
    runtime_weight: str | None = None
    shares: str | None = None
    group: int = 1
    channels: tuple[int, ...] = ()

    @property
    def is_depthwise(self) -> bool:
        """Tell whether it is a convolution with a filter of its own for each input channel."""
        return self.group > 1 and self.channels[:1] == (self.group,)

    def list_notes(self) -> list[str]:
        """Say in words what is special."""
        found = ["product of two variables"] if self.two_variable else []
        if self.runtime_weight is not None:
            found.append("weight computed at run time ({} of constants)".format(self.runtime_weight))
        if self.shares is not None:
            found.append("shares its weight with {}".format(self.shares))
        if self.group > 1:
            found.append("depthwise" if self.is_depthwise else "grouped")
        return found


class Layers(Tuple[Layer, ...]):
    """The layers in a model's file: a tuple with what the file shows beyond it.

    traits -- what is special, by name; None where the file is a table, which does not tell. minor -- the names of
    constants, and of reads of variables and shapes, which nobody means. is_complete -- false where the file may lack
    layers that the toolkit knows, because they were folded away when the model was exported.
    """

    traits: Mapping[str, Traits] | None
    minor: Mapping[str, None]
    is_complete: bool

    def __new__(
        cls,
        layers: Iterable[Layer],
        traits: Mapping[str, Traits] | None = None,
        minor: Iterable[str] = (),
        is_complete: bool = True,
    ) -> Layers:
        if isinstance(layers, Layers):  # as `tuple` does with a tuple
            return layers
        found = super().__new__(cls, layers)
        found.traits, found.minor, found.is_complete = traits, dict.fromkeys(minor), is_complete
        return found

    def is_minor(self, layer: Layer) -> bool:
        """Tell whether a layer is a constant, or a read of a variable or shape."""
        return layer.name in self.minor or layer.type in MINOR_TYPES
