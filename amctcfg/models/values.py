# SPDX-License-Identifier: Apache-2.0
"""The values of an ONNX graph: who makes and who reads each, and which come from a constant."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

# Operations through which a weight may pass on its way from a constant.
TRANSPARENT = ("Identity", "Cast", "Reshape", "Transpose", "DequantizeLinear")

Shape = Optional[Tuple[int, ...]]


class ValueOrigin(NamedTuple):
    """The origin of a value: where it begins, the operations on the way, whether it is constant, its final shape."""

    value: str
    through: Tuple[str, ...]
    constant: bool
    shape: Shape

    @property
    def is_copy(self) -> bool:
        """Tell whether it came through an Identity: exporters put one where two constants are equal."""
        return "Identity" in self.through


class Values:
    """The values of a graph, of the reduced messages or of those of the package onnx."""

    def __init__(self, graph: Any) -> None:
        self.makers: Dict[str, Any] = {}
        self.readers: Dict[str, List[Any]] = {}
        self.constants: Dict[str, Shape] = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
        self.constants.update((tensor.values.name, tuple(tensor.dims)) for tensor in graph.sparse_initializer)
        self.origins: Dict[str, ValueOrigin] = {}
        for node in graph.node:
            self.makers.update((value, node) for value in node.output if value)
            for value in dict.fromkeys(node.input):
                self.readers.setdefault(value, []).append(node)
            if node.op_type == "Constant" and node.output:
                self.constants[node.output[0]] = constant_shape(node)

    def origin(self, value: str) -> ValueOrigin:
        """Follow a value backwards through the operations that a weight may pass. Each value is followed once."""
        passed: Dict[str, None] = {}
        while value not in self.origins:
            maker = self.makers.get(value)
            if value in self.constants:
                self.origins[value] = ValueOrigin(value, (), True, self.constants[value])
            elif maker is None or maker.op_type not in TRANSPARENT or not maker.input or value in passed:
                self.origins[value] = ValueOrigin(value, (), False, None)
            else:
                passed[value] = None
                value = maker.input[0]
        found = self.origins[value]
        for value in reversed(list(passed)):
            maker = self.makers[value]
            through = found.through if maker.op_type in found.through else (*found.through, maker.op_type)
            found = ValueOrigin(found.value, through, found.constant, shape_behind(maker, found.shape))
            self.origins[value] = found
        return found


def constant_shape(node: Any) -> Shape:
    """Tell the shape of what a Constant makes; None where it is not written."""
    for attribute in node.attribute:
        if attribute.name == "value":
            return tuple(attribute.t.dims)
        if attribute.name in ("value_float", "value_int", "value_string"):
            return ()
    return None


def shape_behind(node: Any, shape: Shape) -> Shape:
    """Tell the shape behind an operation that a weight may pass."""
    if shape is None or node.op_type == "Reshape":
        return None
    if node.op_type != "Transpose":
        return shape
    order = integers(attributes_of(node)("perm")) or tuple(reversed(range(len(shape))))
    return tuple(shape[axis] for axis in order) if sorted(order) == list(range(len(shape))) else None


def channels_of(kind: str, shape: Shape, attribute: Any) -> Tuple[int, ...]:
    """Tell the channels of the input and the output of a node by its type and the shape of its weight."""
    if shape is None or len(shape) < 2:
        return ()
    if kind == "MatMul":
        return shape[-2], shape[-1]
    first, second = shape[:2]
    if kind == "Gemm":
        return (second, first) if integer(attribute("transB")) else (first, second)
    group = integer(attribute("group"), 1)
    return (first, second * group) if kind == "ConvTranspose" else (second * group, first)


def integers(value: Any) -> Tuple[int, ...]:
    """Return the integers of an attribute; none for one that is not there, or of another kind."""
    return tuple(value) if isinstance(value, list) else ()


def integer(value: Any, default: int = 0) -> int:
    """Return the integer of an attribute, or the default; a file may hold anything."""
    return value if isinstance(value, int) and value else default


def attributes_of(node: Any) -> Any:
    """Make a look-up of a node's attributes: numbers, lists of integers, bytes; None for one that is not there."""

    def attribute(name: str) -> Any:
        found = next((entry for entry in node.attribute if entry.name == name), None)
        if found is None:
            return None
        return {1: found.f, 2: found.i, 3: found.s, 7: list(found.ints)}.get(found.type, found.i)

    return attribute
