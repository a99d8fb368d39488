# SPDX-License-Identifier: Apache-2.0
"""Nodes of any graph, and whether each can be quantized: what readers of graphs share."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Callable, Iterable, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..diagnostics.diagnostic import ConfigError
from ..flavours.flavour import Flavour
from ..flavours.layer import MINOR_TYPES, Layer, Layers, Traits


class Node(NamedTuple):
    """A node, with the values that it reads and makes, and a look-up of its attributes."""

    name: str
    type: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    attribute: Callable[[str], Any] = lambda name: None
    hidden: bool = False  # whether it stands for the argument of a function: not a layer, but filters pass
    raw: Any = None  # the node of the file


class Examined(NamedTuple):
    """A layer with what its file shows of it."""

    layer: Layer
    reason: str | None  # why it is not supported although its type is quantizable
    note: str | None = None  # what is not known of it
    certain: bool = True  # whether its name is
    traits: Traits = Traits()
    minor: bool = False  # whether it is a constant, or a read of a variable or shape
    sources: tuple[str, ...] | None = None  # the layers that it reads; None where the file has no edges
    node: str = ""  # what it is called in the file; "" where it has no name


def with_traits(examined: Iterable[Examined], is_complete: bool = True) -> Layers:
    found = tuple(examined)
    traits = {one.layer.name: one.traits for one in found if one.traits != Traits()}
    minor = [one.layer.name for one in found if one.minor]
    return Layers((one.layer for one in found), traits, minor, is_complete)


class Assessment(NamedTuple):
    """The result of a condition: why it is not fulfilled, what the layer lacks, what the graph leaves open."""

    reason: str | None = None
    lacks: tuple[str, ...] = ()
    note: str | None = None


Shape = Optional[Tuple[int, ...]]


class ValueOrigin(NamedTuple):
    """The value that a value begins as, whether it is constant, its final shape."""

    value: str
    constant: bool
    shape: Shape
    is_copy: bool = False  # whether it came through an Identity: exporters put one where two constants are equal


class Graph:
    """Nodes, and where their inputs come from."""

    transparent: tuple[str, ...] = ()  # the types of nodes through which a weight may pass on its way from a constant

    def __init__(self, nodes: Iterable[Node], makers: Mapping[str, Node], constants: Mapping[str, Shape]) -> None:
        self.nodes: list[Node] = list(nodes)
        self.makers: Mapping[str, Node] = makers  # of values
        self.constants: Mapping[str, Shape] = constants  # their shapes, as far as they are known
        self.origins: dict[str, ValueOrigin] = {}  # of the values that were followed
        self.constant: dict[str, bool] = {}  # of the values looked at: whether they are computed of constants alone

    def find_constant(self, node: Node, index: int) -> ValueOrigin | None:
        """Return the origin of a constant input; None for a variable, and where the node does not have it."""
        origin = self.trace(node.inputs[index]) if index < len(node.inputs) else None
        return origin if origin is not None and origin.constant else None

    def trace(self, value: str) -> ValueOrigin:
        """Follow a value backwards through the operations that a weight may pass. Each value is followed once."""
        passed: dict[str, Node] = {}
        while value not in self.origins:
            maker = self.makers.get(value)
            if value in self.constants:
                self.origins[value] = ValueOrigin(value, True, self.constants[value])
            elif maker is None or maker.type not in self.transparent or not maker.inputs or value in passed:
                self.origins[value] = ValueOrigin(value, False, None)
            else:
                passed[value] = maker
                value = maker.inputs[0]
        found = self.origins[value]
        for value, maker in reversed(list(passed.items())):
            is_copy = found.is_copy or maker.type == "Identity"
            found = found._replace(shape=self.find_shape_behind(maker, found.shape), is_copy=is_copy)
            self.origins[value] = found
        return found

    def find_input_shape(self, node: Node, index: int) -> Shape:
        """Return the shape of a constant input; None for a variable, and where it is not known."""
        constant = self.find_constant(node, index)
        return None if constant is None else constant.shape

    def find_shape_behind(self, node: Node, shape: Shape) -> Shape:
        """Return the shape behind a node that a weight may pass."""
        return None if node.type == "Reshape" else shape

    def read_channels(self, node: Node) -> Traits:
        """Tell the group and the channels of a node, as far as its weight shows them."""
        raise NotImplementedError

    def is_minor(self, node: Node) -> bool:
        """Tell whether a node only holds, reads or measures something."""
        if node.type in MINOR_TYPES:
            return True
        if node.type not in self.transparent or not node.outputs:
            return False
        origin = self.trace(node.outputs[0])
        source = self.makers.get(origin.value)
        return origin.constant if source is None else source.type in MINOR_TYPES

    def find_runtime_operation(self, value: str) -> str | None:
        """Return the operation that computes an input of constants alone; None for a constant, and for a variable."""
        origin = self.trace(value)
        if origin.constant or not self.is_computed_of_constants(origin.value):
            return None
        return self.makers[origin.value].type

    def is_computed_of_constants(self, value: str) -> bool:
        """Tell whether constants alone feed the node that makes a value. Each is looked at once."""
        pending = [(value, False)]
        while pending:
            current, has_answers = pending.pop()
            node = self.makers.get(current)
            inputs = [each for each in node.inputs if each] if node is not None else []
            if has_answers:
                self.constant[current] = all(self.constant[each] for each in inputs)
            elif current not in self.constant:
                self.constant[current] = current in self.constants  # false until more is known, and in a cycle
                if inputs and not self.constant[current]:
                    pending.append((current, True))
                    pending += [(each, False) for each in inputs if each not in self.constant]
        return self.constant[value]


Condition = Callable[[Node, Any], Optional[Assessment]]  # of a node and its graph

PRODUCTS = ("MatMul", "BatchMatMul", "BatchMatMulV2")


def examine(graph: Graph, flavour: Flavour, conditions: dict[str, Condition]) -> list[Examined]:
    """Examine all nodes of a graph: each with what keeps it from being quantized, and what is special about it."""
    found, weights = [], {}
    for node in graph.nodes:
        if node.hidden:
            continue
        layer_type = flavour.types.get(node.type)
        if layer_type is None or not layer_type.quantizable:
            found.append(Examined(Layer(node.name, node.type, False), None, minor=graph.is_minor(node)))
            continue
        checks = [conditions[name] for name in layer_type.conditions if name in conditions]
        results = [check(node, graph) or Assessment() for check in checks]
        reason = next((each.reason for each in results if each.reason), None)
        layer = Layer(node.name, node.type, reason is None, tuple(word for each in results for word in each.lacks))
        note = "; ".join(each.note for each in results if each.note)
        found.append(Examined(layer, reason, note or None, traits=portray(node, graph)))
        weights[node.name] = graph.find_constant(node, 1)
    return name_sharers(found, weights)


def portray(node: Node, graph: Graph) -> Traits:
    """Tell what is special about a node of a quantizable type."""
    found = graph.read_channels(node)
    is_product = node.type in PRODUCTS
    if len(node.inputs) < 2 or (is_product and any(graph.trace(operand).constant for operand in node.inputs[:2])):
        return found
    first, second = node.inputs[:2]
    weights = (second, first) if is_product else (second,)
    operation = next(filter(None, map(graph.find_runtime_operation, weights)), None)
    return found._replace(runtime_weight=operation, two_variable=is_product and operation is None)


def name_sharers(examined: Iterable[Examined], weights: Mapping[str, ValueOrigin | None]) -> list[Examined]:
    """Say of each layer which other one has the same of the `weights`."""
    shares = find_sharers(weights)
    return [one._replace(traits=one.traits._replace(shares=shares.get(one.layer.name))) for one in examined]


def find_sharers(weights: Mapping[str, ValueOrigin | None]) -> dict[str, str]:
    """Find for each layer that has a constant weight the first other one with the same."""
    owners: dict[str, list[str]] = {}
    for name, weight in weights.items():
        if weight is not None:
            owners.setdefault(weight.value, []).append(name)
    shared = [names for names in owners.values() if len(names) > 1]
    return {name: names[1 if name == names[0] else 0] for names in shared for name in names}


class Allowance:
    """The room to lay out a file, in characters of names: a few subgraphs can make a graph of any size.

    A fixed part and a multiple of the file's size; a model with some hundred calls of small functions needs a tenth.
    """

    FIXED, PER_BYTE, PER_NODE = 8000000, 50, 100

    def __init__(self, size: int, name: str, message: str, hint: str | None = None) -> None:
        self.left: int = self.FIXED + self.PER_BYTE * size
        self.error: ConfigError = ConfigError.single("syntax", message, name, hint)

    def take(self, characters: int) -> None:
        """Take from what is left. Raises `ConfigError` where that is not enough."""
        self.left -= characters
        if self.left < 0:
            raise self.error


def require_constant(what: str, outside: str) -> Condition:
    """Make the condition that following the second input backwards reaches a constant.

    what -- the word for that input. outside -- the reason why not, where its source is not a node of the graph.
    """

    def condition(node: Node, graph: Graph) -> Assessment | None:
        if len(node.inputs) < 2:
            return Assessment("it has no {}".format(what))
        origin = graph.trace(node.inputs[1])
        if origin.constant:
            return None
        source = graph.makers.get(origin.value)
        if source is None:
            return Assessment(outside.format(origin.value))
        words = "'{}', a {}".format(source.name, source.type)
        if source.type in graph.transparent:
            words += " in a cycle" if source.inputs else " without input"
        elif "Variable" in source.type or source.type == "VarHandleOp":
            words += "; freeze the graph to make it a constant"
        return Assessment("its {} is not a constant: it comes from {}".format(what, words))

    return condition


# ---------------------------------------------------------------- messages, reduced to the fields that are read


@lru_cache(maxsize=4)
def make_message_classes(package: str, proto: str) -> dict[str, Any]:
    """Make the classes of messages that are written as in a .proto file."""
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError:
        raise ImportError("reading a graph needs the package protobuf: pip install protobuf") from None

    file = descriptor_pb2.FileDescriptorProto(name=package + ".proto", package=package, syntax="proto3")
    messages = re.findall(r"message (\w+) \{(.*?)\}", proto, re.DOTALL)
    places = {name: ".{}.{}".format(package, name) for name, _ in messages}
    for name, fields in messages:
        message = file.message_type.add(name=name)
        for repeated, kind, field, number in re.findall(r"(repeated )?(\w+) (\w+) = (\d+);", fields):
            added = message.field.add(name=field, number=int(number), label=3 if repeated else 1)
            if kind in places:
                added.type, added.type_name = added.TYPE_MESSAGE, places[kind]
            else:
                added.type = getattr(added, "TYPE_" + kind.upper())
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    make = getattr(message_factory, "GetMessageClass", None) or message_factory.MessageFactory(pool).GetPrototype
    return {name: make(pool.FindMessageTypeByName("{}.{}".format(package, name))) for name in places}


def decode_message(message: Any, data: bytes) -> Any:
    from google.protobuf.message import DecodeError

    try:
        return message.FromString(data)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None
