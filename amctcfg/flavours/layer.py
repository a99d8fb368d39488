# SPDX-License-Identifier: Apache-2.0
"""A layer of a model."""

from __future__ import annotations

from typing import Any, Dict, Tuple

from ..messages.record import Record

__all__ = ["Layer"]


class Layer(Record):
    """A layer of a model: a node of the graph by name and type.

    supported -- false for a layer whose type is quantizable but which fails the type's condition, such as a convolution
    whose filter is not a constant; it is never quantized. lacks -- what this layer can't do although its type can: "int16",
    "int4", "asymmetric".
    """

    name: str
    type: str
    supported: bool = True
    lacks: Tuple[str, ...] = ()

    def _checked(self, values: Dict[str, Any]) -> Dict[str, Any]:
        lacks = values["lacks"]
        if isinstance(lacks, (list, tuple, set, frozenset)):
            lacks = values["lacks"] = tuple(sorted(lacks)) if isinstance(lacks, (set, frozenset)) else tuple(lacks)
        words = [values["name"], values["type"], *(lacks if isinstance(lacks, tuple) else [None])]
        if not all(isinstance(word, str) for word in words) or not isinstance(values["supported"], bool):
            raise TypeError("a Layer takes two strings and a bool, not {!r}".format(tuple(values.values())))
        return values
