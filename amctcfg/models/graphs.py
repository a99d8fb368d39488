# SPDX-License-Identifier: Apache-2.0
"""Nodes of any graph, and whether each can be quantized: what readers of graphs share."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from ..diagnostics.diagnostic import ERROR, ConfigError, Diagnostic
from ..flavours.flavour import Flavour
from ..flavours.layer import Layer


class Node(NamedTuple):
    """The parts of a node that matter: its name, type, the names of its data inputs, and a look-up of its attributes.

    A node that stands for the argument of a function is `hidden`: it is not a layer, but filters pass through it.
    """

    name: str
    type: str
    inputs: Sequence[str]
    attribute: Callable[[str], Any]
    hidden: bool = False


class Examined(NamedTuple):
    """A layer; why it is not supported where its type is quantizable; what is not known of it; if its name is certain."""

    layer: Layer
    reason: Optional[str]
    note: Optional[str] = None
    certain: bool = True


class Finding(NamedTuple):
    """What a condition finds: why it is not fulfilled, what the layer lacks, what the graph leaves open."""

    reason: Optional[str] = None
    lacks: Tuple[str, ...] = ()
    note: Optional[str] = None


class Graph:
    """Nodes by name, and where constants come from."""

    def __init__(self, nodes: Iterable[Node], name: str, constants: Any, transparent: Any) -> None:
        self.nodes: List[Node] = list(nodes)
        self.by_name: Dict[str, Node] = {}
        self.constants: Any = constants  # names of constants that are not nodes
        self.transparent: Any = transparent  # types through which a constant may pass
        self.origins: Dict[str, Tuple[str, bool]] = {}  # of the nodes looked at: what feeds them, and if it is constant
        for node in self.nodes:
            if self.by_name.setdefault(node.name, node) is not node:
                raise graph_error("duplicate-entry", "the node name '{}' occurs twice".format(node.name), name)

    def origin(self, name: str) -> Tuple[str, bool]:
        """What feeds an input, followed backwards: words for it, and whether it is a constant.

        Nodes that were passed are remembered, so that many convolutions behind one chain cost one walk.
        """
        passed: List[str] = []
        seen = set()
        current = name
        while current not in self.origins:
            node = self.by_name.get(current)
            if current in self.constants or (node is not None and node.type in ("Const", "Constant")):
                self.origins[current] = "", True
            elif node is None:
                self.origins[current] = "'{}', which is not in the graph".format(current), False
            elif current in seen:
                self.origins[current] = "'{}', a {} in a cycle".format(current, node.type), False
            elif node.type not in self.transparent:
                self.origins[current] = "'{}', a {}{}".format(current, node.type, freeze_hint(node)), False
            elif not node.inputs:
                self.origins[current] = "'{}', a {} without input".format(current, node.type), False
            else:
                passed.append(current)
                seen.add(current)
                current = node.inputs[0]
        found = self.origins[current]
        self.origins.update((name, found) for name in passed)
        return found


Condition = Callable[[Node, Graph], Optional[Finding]]


def examine(graph: Graph, flavour: Flavour[Any], conditions: Dict[str, Condition]) -> List[Examined]:
    """All nodes of a graph, each with what keeps it from being quantized."""
    return [examine_node(node, graph, flavour, conditions) for node in graph.nodes if not node.hidden]


def examine_node(node: Node, graph: Graph, flavour: Flavour[Any], conditions: Dict[str, Condition]) -> Examined:
    layer_type = flavour.types.get(node.type)
    if layer_type is None or not layer_type.quantizable:
        return Examined(Layer(node.name, node.type, False), None)
    reason: Optional[str] = None
    lacks: List[str] = []
    notes: List[str] = []
    for condition in layer_type.conditions:
        found = conditions[condition](node, graph) if condition in conditions else None
        if found is not None:
            reason = reason or found.reason
            lacks += found.lacks
            notes += [found.note] if found.note else []
    return Examined(Layer(node.name, node.type, reason is None, tuple(lacks)), reason, "; ".join(notes) or None)


def freeze_hint(node: Node) -> str:
    variable = "Variable" in node.type or node.type == "VarHandleOp"
    return "; freeze the graph to make it a constant" if variable else ""


def graph_error(code: str, message: str, name: str, hint: Optional[str] = None) -> ConfigError:
    return ConfigError([Diagnostic(ERROR, code, message, hint=hint, name=name)])


# ---------------------------------------------------------------- messages, reduced to the fields that are read


Fields = Dict[str, Dict[str, Tuple[int, str]]]  # message -> field -> (number, type); "*" marks a repeated field


def message_classes(package: str, fields: Fields) -> Dict[str, Any]:
    """Classes for reduced messages, from protobuf's run time. Weights are not among the fields: nobody looks at them."""
    return _message_classes(package, tuple((name, tuple(inside.items())) for name, inside in fields.items()))


@lru_cache(maxsize=4)
def _message_classes(package: str, messages: Any) -> Dict[str, Any]:
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError:
        raise ImportError("reading a graph needs the package protobuf: pip install protobuf") from None

    file = descriptor_pb2.FileDescriptorProto(name=package + ".proto", package=package, syntax="proto3")
    places = {name: ".{}.{}".format(package, name) for name, _ in messages}
    for name, fields in messages:
        message = file.message_type.add(name=name)
        for field, (number, type_name) in fields:
            kind = type_name.rstrip("*")
            added = message.field.add(name=field, number=number, label=1 if kind == type_name else 3)
            if kind in places:
                added.type, added.type_name = added.TYPE_MESSAGE, places[kind]
            else:
                added.type = getattr(added, "TYPE_" + kind.upper())
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    make = getattr(message_factory, "GetMessageClass", None) or message_factory.MessageFactory(pool).GetPrototype
    return {name: make(pool.FindMessageTypeByName("{}.{}".format(package, name))) for name in places}


def decoded(message: Any, data: bytes) -> Any:
    """The message in some bytes, or None."""
    from google.protobuf.message import DecodeError

    try:
        return message.FromString(data)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None
