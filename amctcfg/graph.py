# SPDX-License-Identifier: Apache-2.0
"""Layers out of a TensorFlow graph, by the toolkit's own conditions, without TensorFlow.

Which nodes can be quantized: the vendor's page "Layers that support quantization", and the toolkit's checks.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Callable, Dict, FrozenSet, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from .diagnostics import ERROR, ConfigError, Diagnostic
from .target import TF_ASCEND, Layer

__all__ = ["Examined", "layers_from_graph", "read_graph"]

# Operations through which a filter may pass on its way from a constant.
TRANSPARENT = ("Identity", "Enter", "Reshape", "Cast")

FILTER_INPUT = 1  # of every kind of convolution

MOST_NODES = 1000000  # that functions calling functions may come to


class Node(NamedTuple):
    """What matters of a node: its name, type, the names of its data inputs, and a look-up of its attributes.

    A node that stands for the argument of a function is `hidden`: it is no layer, but filters pass through it.
    """

    name: str
    type: str
    inputs: Sequence[str]
    attribute: Callable[[str], Any]
    hidden: bool = False


class Examined(NamedTuple):
    """A layer, and why it is not supported where its type is quantizable."""

    layer: Layer
    reason: Optional[str]


def layers_from_graph(graph: Any) -> Tuple[Layer, ...]:
    """All nodes of a graph in memory, in its order; `supported` where the toolkit could quantize them.

    Takes a `tf.Graph`, a `GraphDef` of any TensorFlow version, or anything with `.get_operations()` or `.node` that
    is shaped like them. Raises `TypeError` for anything else, `ConfigError` where a node name occurs twice.
    """
    return tuple(examined.layer for examined in examine(read_nodes(graph), "<graph>"))


def examine(nodes: Iterable[Node], name: str) -> List[Examined]:
    """All nodes of a graph, each with what keeps it from being quantized; `name` is the file's, for errors."""
    nodes = list(nodes)
    by_name: Dict[str, Node] = {}
    for node in nodes:
        if by_name.setdefault(node.name, node) is not node:
            raise graph_error("duplicate-entry", "the node name '{}' occurs twice".format(node.name), name)
    return [examine_node(node, by_name) for node in nodes if not node.hidden]


def examine_node(node: Node, by_name: Dict[str, Node]) -> Examined:
    if node.type not in TF_ASCEND.quantizable_types:
        return Examined(Layer(node.name, node.type, False), None)
    reason = next((reason for check in CONDITIONS[node.type] for reason in (check(node, by_name),) if reason), None)
    return Examined(Layer(node.name, node.type, reason is None), reason)


# ---------------------------------------------------------------- conditions


def constant_filter(node: Node, by_name: Dict[str, Node]) -> Optional[str]:
    """Following the filter backwards has to reach a Const."""
    if len(node.inputs) <= FILTER_INPUT:
        return "it has no filter"
    current = node
    index, seen = FILTER_INPUT, set()
    while index < len(current.inputs):
        source = by_name.get(current.inputs[index])
        if source is None:
            return "its filter comes from '{}', which is not in the graph".format(current.inputs[index])
        if source.type == "Const":
            return None
        if source.type not in TRANSPARENT or source.name in seen:
            variable = "Variable" in source.type or source.type == "VarHandleOp"
            freeze = "; freeze the graph to make it a constant" if variable else ""
            return "its filter is no constant: it comes from '{}', a {}{}".format(source.name, source.type, freeze)
        seen.add(source.name)
        current, index = source, 0
    return "its filter is no constant: it comes from '{}', a {} without input".format(current.name, current.type)


def undilated(node: Node, by_name: Dict[str, Node]) -> Optional[str]:
    dilations = list(node.attribute("dilations") or ())
    return None if all(d == 1 for d in dilations) else "its dilations are {}, not all 1".format(dilations)


def untransposed(node: Node, by_name: Dict[str, Node]) -> Optional[str]:
    attributes = ("transpose_a", "transpose_b", "adjoint_a", "adjoint_b", "adj_x", "adj_y")
    found = [name for name in attributes if node.attribute(name)]
    return "its {} {} true".format(" and ".join(found), "is" if len(found) == 1 else "are") if found else None


Condition = Callable[[Node, Dict[str, Node]], Optional[str]]

CONDITIONS: Dict[str, Tuple[Condition, ...]] = {
    "Conv2D": (constant_filter,),
    "DepthwiseConv2dNative": (constant_filter, undilated),
    "Conv2DBackpropInput": (constant_filter, undilated),
    "MatMul": (untransposed,),
    "BatchMatMul": (untransposed,),
    "BatchMatMulV2": (untransposed,),
    "AvgPool": (),
}


# ---------------------------------------------------------------- graphs in memory


def read_nodes(graph: Any) -> Iterator[Node]:
    """The nodes of a `tf.Graph` or a `GraphDef`, by what they have in common."""
    if hasattr(graph, "get_operations"):
        for operation in graph.get_operations():
            inputs = [tensor_node(tensor) for tensor in getattr(operation, "inputs", ())]
            yield Node(operation.name, operation.type, inputs, operation_attribute(operation))
    elif hasattr(graph, "node"):
        for node in graph.node:
            yield Node(node.name, node.op, data_inputs(node), node_attribute(node))
    else:
        wanted = "a tf.Graph, a GraphDef or something shaped like them"
        raise TypeError("a graph has to be {}, not {!r}".format(wanted, type(graph).__name__))


def inlined_nodes(graph: Any, name: str) -> Iterator[Node]:
    """The nodes of a SavedModel's graph, with those of the functions it calls under the name of the calling node."""
    functions = {function.signature.name: function for function in graph.library.function}
    pending: List[Tuple[Any, str, FrozenSet[str]]] = [(node, "", frozenset()) for node in reversed(graph.node)]
    count = 0
    while pending:
        node, prefix, callers = pending.pop()
        inputs = [prefix + source for source in data_inputs(node)]
        yield Node(prefix + node.name, node.op, inputs, node_attribute(node))
        function = attribute_value(node, "f")
        called = node.op if function is None else function.func.name
        count += 1
        if count > MOST_NODES:
            raise graph_error("syntax", "its functions call each other more than a million times", name, FREEZE)
        if called in functions and called not in callers:
            inner = prefix + node.name + "/"
            for argument, source in zip(functions[called].signature.input_arg, inputs):
                yield Node(inner + argument.name, "Identity", [source], no_attribute, hidden=True)
            body = reversed(functions[called].node_def)
            pending += [(inside, inner, callers | {called}) for inside in body]


def data_inputs(node: Any) -> List[str]:
    """The names of the nodes behind a node's inputs, without control inputs."""
    return [node_of(source) for source in getattr(node, "input", ()) if not source.startswith("^")]


def no_attribute(name: str) -> None:
    return None


def tensor_node(tensor: Any) -> str:
    operation = getattr(tensor, "op", None)
    return operation.name if operation is not None else node_of(tensor.name)


def node_of(tensor_name: str) -> str:
    """`a` of `a:0`"""
    return tensor_name.partition(":")[0]


def operation_attribute(operation: Any) -> Callable[[str], Any]:
    def attribute(name: str) -> Any:
        try:
            return operation.get_attr(name)
        except (AttributeError, KeyError, ValueError):  # TensorFlow raises ValueError for one that is not there
            return None

    return attribute


def node_attribute(node: Any) -> Callable[[str], Any]:
    def attribute(name: str) -> Any:
        value = attribute_value(node, name)
        if value is None:
            return None
        return list(value.list.i) if name == "dilations" else value.b

    return attribute


def attribute_value(node: Any, name: str) -> Any:
    """The AttrValue of a node's attribute, or None; our own messages have them as a list, TensorFlow's as a map."""
    attributes = getattr(node, "attr", {})
    if hasattr(attributes, "keys"):
        return attributes.get(name)
    return next((entry.value for entry in attributes if entry.key == name), None)


# ---------------------------------------------------------------- graphs in files

# The signatures of files that are taken for frozen graphs, and what to do with them.
EXPORT = "export the model as a frozen TensorFlow graph (.pb)"
FREEZE = (
    "freeze it first: convert_variables_to_constants_v2 of tensorflow.python.framework.convert_to_constants,"
    " then write the GraphDef with tf.io.write_graph(..., as_text=False)"
)
SIGNATURES: Tuple[Tuple[int, bytes, str, str], ...] = (
    (0, b"\x89HDF\r\n\x1a\n", "a Keras HDF5 model", FREEZE),
    (4, b"TFL3", "a TensorFlow Lite model", EXPORT),
    (0, b"PK\x03\x04", "a zip archive (a Keras or PyTorch model?)", EXPORT),
    (0, b"\x80\x02", "a Python pickle (a PyTorch model?)", EXPORT),
    (0, b"\x1f\x8b", "gzip-compressed", "decompress it first"),
)


def read_graph(data: bytes, name: str) -> List[Examined]:
    """The nodes of the graph in the bytes of a file: a GraphDef, binary or text, or a SavedModel.

    Raises `ConfigError` for anything else, named where it is recognised, and `ImportError` without protobuf.
    """
    if not data:
        raise graph_error("syntax", "the file is empty", name, "is it complete?")
    for offset, signature, what, cure in SIGNATURES:
        if data.startswith(signature, offset):
            raise graph_error("encoding", "this is {}, not a frozen TensorFlow graph".format(what), name, cure)
    if name.endswith(".onnx") or is_onnx(data):
        raise graph_error("encoding", "this is an ONNX model, not a frozen TensorFlow graph", name, EXPORT)
    messages = protobuf_messages()
    if name.endswith((".pbtxt", ".textproto")):
        return examine(read_nodes(parse_text_graph(data, name, messages["GraphDef"])), name)
    graph = decoded(messages["GraphDef"], data)
    if graph is not None and graph.node and all(node.name and node.op for node in graph.node):
        return examine(read_nodes(graph), name)
    saved = decoded(messages["SavedModel"], data)
    if saved is not None and any(meta.graph_def.node for meta in saved.meta_graphs):
        return examine(inlined_nodes(saved.meta_graphs[0].graph_def, name), name)
    hint = "is the file complete? It has to be a frozen graph, a GraphDef in protobuf's binary format"
    raise graph_error("encoding", "this is no TensorFlow graph, or only a part of one", name, hint)


def is_onnx(data: bytes) -> bool:
    """An ONNX ModelProto begins with its IR version, 3 to 99, and its producer's name; a SavedModel with version 1."""
    return len(data) > 2 and data[0] == 0x08 and 3 <= data[1] < 100 and data[2] in (0x12, 0x3A, 0x42)


def parse_text_graph(data: bytes, name: str, message: Any) -> Any:
    from google.protobuf import text_format

    graph = message()
    try:
        text_format.Parse(data.decode("utf-8"), graph, allow_unknown_field=True)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise graph_error("syntax", "this is no GraphDef in text format: {}".format(error), name, FREEZE) from None
    if not graph.node:
        raise graph_error("syntax", "the graph has no nodes", name, "is it complete?")
    return graph


def decoded(message: Any, data: bytes) -> Any:
    from google.protobuf.message import DecodeError

    try:
        return message.FromString(data)
    except (DecodeError, UnicodeDecodeError):
        return None


def graph_error(code: str, message: str, name: str, hint: Optional[str] = None) -> ConfigError:
    return ConfigError([Diagnostic(ERROR, code, message, None, None, hint, name)])


# tensorflow/core/framework/{graph,node_def,attr_value}.proto and protobuf/{saved_model,meta_graph}.proto, reduced to
# the fields that are read here: message -> field -> (number, type). "*" marks a repeated field. Weights stay
# bytes that nobody looks at.
FIELDS: Dict[str, Dict[str, Tuple[int, str]]] = {
    "NameAttrList": {"name": (1, "string")},
    "ListValue": {"i": (3, "int64*")},
    "AttrValue": {"list": (1, "ListValue"), "b": (5, "bool"), "func": (10, "NameAttrList")},
    "NodeDef": {"name": (1, "string"), "op": (2, "string"), "input": (3, "string*"), "attr": (5, "AttrEntry*")},
    "AttrEntry": {"key": (1, "string"), "value": (2, "AttrValue")},
    "ArgDef": {"name": (1, "string")},
    "OpDef": {"name": (1, "string"), "input_arg": (2, "ArgDef*")},
    "FunctionDef": {"signature": (1, "OpDef"), "node_def": (3, "NodeDef*")},
    "FunctionDefLibrary": {"function": (1, "FunctionDef*")},
    "GraphDef": {"node": (1, "NodeDef*"), "library": (2, "FunctionDefLibrary")},
    "MetaGraphDef": {"graph_def": (2, "GraphDef")},
    "SavedModel": {"meta_graphs": (2, "MetaGraphDef*")},
}

PACKAGE = "amctcfg_graph"


@lru_cache(maxsize=1)
def protobuf_messages() -> Dict[str, Any]:
    """Classes for the messages of `FIELDS`, from protobuf's run time."""
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError:
        raise ImportError("reading a graph needs the package protobuf: pip install 'amctcfg[graph]'") from None

    file = descriptor_pb2.FileDescriptorProto(name="amctcfg_graph.proto", package=PACKAGE, syntax="proto3")
    places = {name: "." + PACKAGE + "." + name for name in FIELDS}
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for field, (number, type_name) in fields.items():
            kind = type_name.rstrip("*")
            added = message.field.add(name=field, number=number, label=1 if kind == type_name else 3)
            if kind in places:
                added.type, added.type_name = added.TYPE_MESSAGE, places[kind]
            else:
                added.type = getattr(added, "TYPE_" + kind.upper())
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    if hasattr(message_factory, "GetMessageClass"):
        make = message_factory.GetMessageClass
    else:  # protobuf 3
        make = message_factory.MessageFactory(pool).GetPrototype
    return {name: make(pool.FindMessageTypeByName("{}.{}".format(PACKAGE, name))) for name in FIELDS}
