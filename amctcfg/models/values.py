# SPDX-License-Identifier: Apache-2.0
"""The values of an ONNX graph: who makes and who reads each, and which come from a constant."""

from __future__ import annotations

from functools import partial
from typing import Any, Iterable, Iterator

from ..flavours.layer import Traits
from .graphs import Graph, Node, Shape

CONVOLUTIONS = ("Conv", "ConvTranspose")


class OnnxGraph(Graph):
    """A graph of the reduced messages or of those of the package onnx. Its nodes may make several values."""

    transparent: tuple[str, ...] = ("Identity", "Cast", "Reshape", "Transpose", "DequantizeLinear")

    def __init__(self, graph: Any) -> None:
        nodes = [
            Node(name, node.op_type, list(node.input), list(node.output), partial(attribute_of, node), raw=node)
            for node, name in iter_node_names(graph.node)
        ]
        makers = {value: node for node in nodes for value in node.outputs if value}
        super().__init__(nodes, makers, find_constant_shapes(graph))
        self.readers: dict[str, list[Node]] = {}  # of values
        for node in nodes:
            for value in dict.fromkeys(node.inputs):
                self.readers.setdefault(value, []).append(node)
        self.ranks: dict[str, int] = {}  # of the values whose shape the model tells
        for value in [*graph.input, *graph.value_info, *graph.output]:
            if value.type.tensor_type.HasField("shape"):
                self.ranks[value.name] = len(value.type.tensor_type.shape.dim)

    def rank(self, node: Node, index: int) -> int | None:
        """Return the number of dimensions of an input, None where the model does not say."""
        if index >= len(node.inputs):
            return None
        shape = self.find_input_shape(node, index)
        return self.ranks.get(node.inputs[index]) if shape is None else len(shape)

    def read_channels(self, node: Node) -> Traits:
        group = read_integer(node.attribute("group"), 1) if node.type in CONVOLUTIONS else 1
        shape = self.find_input_shape(node, 1)
        if shape is None or len(shape) < 2:
            return Traits(group=group)
        first, second = shape[-2:] if node.type == "MatMul" else shape[:2]
        if node.type == "ConvTranspose":
            second *= group
        elif node.type == "Gemm":
            first, second = (second, first) if read_integer(node.attribute("transB")) else (first, second)
        elif node.type != "MatMul":
            first, second = second * group, first
        return Traits(group=group, channels=(first, second))

    def find_shape_behind(self, node: Node, shape: Shape) -> Shape:
        if shape is None or node.type != "Transpose":
            return super().find_shape_behind(node, shape)
        order = read_integers(node.attribute("perm")) or tuple(reversed(range(len(shape))))
        return tuple(shape[axis] for axis in order) if sorted(order) == list(range(len(shape))) else None


def iter_node_names(nodes: Iterable[Any], reserved: Iterable[str] = ()) -> Iterator[tuple[Any, str]]:
    """Yield each node with its name: its type and index where it has none, with a suffix where it is taken."""
    nodes = list(nodes)
    given: set[str] = {node.name for node in nodes if node.name}
    seen: set[str] = set(reserved)
    suffixes: dict[str, int] = {}  # the last one of each name: thousands of one name are no longer work
    for index, node in enumerate(nodes):
        wanted = name = node.name or "{}_{}".format(node.op_type, index)
        while name in seen or (name is not wanted and name in given):
            suffixes[wanted] = suffixes.get(wanted, 0) + 1
            name = "{}_{}".format(wanted, suffixes[wanted])
        seen.add(name)
        yield node, name


def find_constant_shapes(graph: Any) -> dict[str, Shape]:
    found: dict[str, Shape] = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    found.update((tensor.values.name, tuple(tensor.dims)) for tensor in graph.sparse_initializer)
    found.update((n.output[0], find_constant_shape(n)) for n in graph.node if n.op_type == "Constant" and n.output)
    return found


def find_constant_shape(node: Any) -> Shape:
    """Tell the shape of what a Constant makes; None where it is not written."""
    for attribute in node.attribute:
        if attribute.name == "value":
            return tuple(attribute.t.dims)
        if attribute.name in ("value_float", "value_int", "value_string"):
            return ()
    return None


def read_integers(value: Any) -> tuple[int, ...]:
    """Return the integers of an attribute; none for one that is not there, or of another kind."""
    return tuple(value) if isinstance(value, list) else ()


def read_integer(value: Any, default: int = 0) -> int:
    """Return the integer of an attribute, or the default; a file may hold anything."""
    return value if isinstance(value, int) and value else default


def attribute_of(node: Any, name: str) -> Any:
    """Look up an attribute of a node: a number, a list of integers, bytes; None for one that is not there."""
    found = next((entry for entry in node.attribute if entry.name == name), None)
    if found is None:
        return None
    return {1: found.f, 2: found.i, 3: found.s, 7: list(found.ints)}.get(found.type, found.i)
