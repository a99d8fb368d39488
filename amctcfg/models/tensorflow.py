# SPDX-License-Identifier: Apache-2.0
"""Layers out of a TensorFlow graph, by the toolkit's own conditions, without TensorFlow.

Which nodes can be quantized: the vendor's page "Layers that support quantization", and the toolkit's checks.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Iterable, Iterator

from ..diagnostics.diagnostic import ConfigError
from ..flavours.flavour import Flavour, require_flavour
from ..flavours.layer import Layers, Traits
from ..flavours.tf_ascend import TF_ASCEND
from .graphs import (
    Allowance,
    Assessment,
    Condition,
    Examined,
    Graph,
    Node,
    Shape,
    decode_message,
    examine,
    make_message_classes,
    require_constant,
    with_traits,
)


def layers_from_graph(graph: Any, flavour: Flavour | None = None) -> Layers:
    """Read the nodes of a graph in memory as layers.

    Args:
        graph: A `tf.Graph`, a `GraphDef` of any TensorFlow version, or anything that is shaped like them.
        flavour: Decides by its types which nodes are supported; TF-Ascend where it is left out.

    Returns:
        All nodes in their order; `supported` where the toolkit could quantize them.

    Raises:
        ConfigError: A name occurs twice.
        TypeError: It is not a graph.

    Example:
        >>> layers_from_graph(tf.compat.v1.get_default_graph())[0].supported  # doctest: +SKIP
        True
    """
    flavour = TF_ASCEND if flavour is None else flavour
    require_flavour(flavour)
    return with_traits(examine_nodes(read_nodes(graph), "<graph>", flavour))


def examine_nodes(nodes: Iterable[Node], name: str, flavour: Flavour) -> list[Examined]:
    return examine(TensorFlowGraph(nodes, name), flavour, CONDITIONS)


class TensorFlowGraph(Graph):
    """A graph whose constants are nodes that know their shape."""

    transparent: tuple[str, ...] = ("Identity", "Enter", "Reshape", "Cast")

    def __init__(self, nodes: Iterable[Node], name: str) -> None:
        makers: dict[str, Node] = {}
        for node in nodes:
            if makers.setdefault(node.name, node) is not node:
                raise ConfigError.single("duplicate-entry", "the node name '{}' occurs twice".format(node.name), name)
        constants = {name: node.attribute("value") for name, node in makers.items() if node.type == "Const"}
        super().__init__(makers.values(), makers, constants)

    def read_channels(self, node: Node) -> Traits:
        shape = self.find_input_shape(node, 1)
        if shape is None or len(shape) < 2:
            return Traits()
        first, second = shape[-2:]
        if node.type == "DepthwiseConv2dNative":
            return Traits(group=first, channels=(first, first * second))
        return Traits(channels=(second, first) if node.type == "Conv2DBackpropInput" else (first, second))


# ---------------------------------------------------------------- conditions


def check_dilations(node: Node, graph: Graph) -> Assessment | None:
    dilations = list(node.attribute("dilations") or ())
    return None if all(d == 1 for d in dilations) else Assessment("its dilations are {}, not all 1".format(dilations))


def check_depth_dilation(node: Node, graph: Graph) -> Assessment | None:
    dilations = list(node.attribute("dilations") or ())
    depth = 2 if node.attribute("data_format") in (b"NCDHW", "NCDHW") else 1
    if len(dilations) != 5 or dilations[depth] == 1:
        return None
    return Assessment("its dilation in depth is {}, not 1".format(dilations[depth]))


def check_transposes(node: Node, graph: Graph) -> Assessment | None:
    names = ("transpose_a", "transpose_b", "adjoint_a", "adjoint_b", "adj_x", "adj_y")
    found = [name for name in names if node.attribute(name)]
    if not found:
        return None
    return Assessment("its {} {} true".format(" and ".join(found), "is" if len(found) == 1 else "are"))


def check_constants(node: Node, graph: TensorFlowGraph) -> Assessment | None:
    """Check a product: a constant second operand has two dimensions; two variables have no offset."""
    if not any(graph.trace(source).constant for source in node.inputs[:2]):
        return Assessment(lacks=("asymmetric",))
    shape = graph.find_input_shape(node, 1)
    if shape is None or len(shape) == 2:
        return None
    return Assessment("its constant operand has {} dimensions, not 2".format(len(shape)))


CONDITIONS: dict[str, Condition] = {
    "constant_filter": require_constant("filter", "its filter comes from '{}', which is not in the graph"),
    "undilated": check_dilations,
    "undilated depth": check_depth_dilation,
    "untransposed": check_transposes,
    "one constant": check_constants,
}


# ---------------------------------------------------------------- graphs in memory


def read_nodes(graph: Any) -> Iterator[Node]:
    """Yield the nodes of a `tf.Graph` or a `GraphDef`, by what they have in common."""
    if hasattr(graph, "get_operations"):
        for operation in graph.get_operations():
            inputs = [node_of_tensor(tensor) for tensor in getattr(operation, "inputs", ())]
            yield Node(
                operation.name, operation.type, inputs, [operation.name], partial(read_operation_attribute, operation)
            )
    elif hasattr(graph, "node") and all(hasattr(node, "op") for node in graph.node):
        for node in graph.node:
            yield Node(node.name, node.op, list_data_inputs(node), [node.name], partial(read_node_attribute, node))
    else:
        wanted = "a tf.Graph, a GraphDef or something shaped like them"
        raise TypeError("a graph has to be {}, not {!r}".format(wanted, type(graph).__name__))


def inline_functions(graph: Any, name: str, size: int) -> Iterator[Node]:
    """Yield the nodes of a SavedModel of `size` bytes, with those of the functions it calls under the calling node's name."""
    functions = {function.signature.name: function for function in graph.library.function}
    pending: list[tuple[Any, str, frozenset[str]]] = [(node, "", frozenset()) for node in reversed(graph.node)]
    allowance = Allowance(size, name, "its functions call each other too often to be laid out as one graph", FREEZE)
    while pending:
        node, prefix, callers = pending.pop()
        inputs = [prefix + source for source in list_data_inputs(node)]
        yield Node(prefix + node.name, node.op, inputs, [prefix + node.name], partial(read_node_attribute, node))
        allowance.take(Allowance.PER_NODE + len(prefix) * (1 + len(inputs)) + len(node.name))
        for key, called in find_called_functions(node, functions):
            if called in callers:
                continue
            inner = "{}{}/{}".format(prefix, node.name, key + "/" if key else "")
            body, arguments = functions[called].node_def, functions[called].signature.input_arg
            allowance.take((Allowance.PER_NODE + len(inner)) * (len(arguments) + len(body)))
            for argument, source in zip(arguments, inputs):
                outer = inner + argument.name
                yield Node(outer, "Identity", [source], [outer], hidden=True)
            pending += [(inside, inner, callers | {called}) for inside in reversed(body)]


def find_called_functions(node: Any, functions: dict[str, Any]) -> list[tuple[str, str]]:
    """Find the functions that a node calls, each with its attribute: the branches of an If or While."""
    if node.op in functions:
        return [("", node.op)]
    found = [(entry.key, entry.value.func.name) for entry in node.attr if entry.value.func.name in functions]
    return [("" if key == "f" else key, name) for key, name in sorted(found)]


def list_data_inputs(node: Any) -> list[str]:
    """Return the names of the nodes behind a node's inputs, without control inputs."""
    return [source.partition(":")[0] for source in getattr(node, "input", ()) if not source.startswith("^")]


def node_of_tensor(tensor: Any) -> str:
    """Return the node of an input: `a` of `a:0`."""
    operation = getattr(tensor, "op", None)
    name: str = operation.name if operation is not None else tensor.name.partition(":")[0]
    return name


def read_operation_attribute(operation: Any, name: str) -> Any:
    try:
        found = operation.get_attr(name)
    except (AttributeError, KeyError, ValueError):  # TensorFlow raises ValueError for one that is not there
        return None
    return shape_of(found) if name == "value" else found


def read_node_attribute(node: Any, name: str) -> Any:
    attributes = getattr(node, "attr", {})
    if hasattr(attributes, "keys"):  # TensorFlow's messages have a map, ours a list
        value = attributes.get(name)
    else:
        value = next((entry.value for entry in attributes if entry.key == name), None)
    if value is None:
        return None
    if name == "value":
        return shape_of(getattr(value, "tensor", None))
    if name == "dilations":
        return list(value.list.i)
    return value.s if name == "data_format" else value.b


def shape_of(tensor: Any) -> Shape:
    """Read the shape of a TensorProto; None where it has none."""
    shape = getattr(tensor, "tensor_shape", None)
    if shape is None or getattr(shape, "unknown_rank", False):
        return None
    return tuple(dimension.size for dimension in shape.dim)


# ---------------------------------------------------------------- graphs in files

# The signatures of files that are mistaken for frozen graphs, and what to do with them.
EXPORT = "export the model as a frozen TensorFlow graph (.pb)"
MODULE = (
    "; of PyTorch, export it as .onnx, or write the table of its layers:"
    " amctcfg.dump_layers(amctcfg.layers_from_module(module), 'layers.csv')"
)
FREEZE = (
    "freeze it first: convert_variables_to_constants_v2 of tensorflow.python.framework.convert_to_constants,"
    " then write the GraphDef with tf.io.write_graph(..., as_text=False)"
)
SIGNATURES: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"\x89HDF\r\n\x1a\n", "a Keras HDF5 model", FREEZE),
    (4, b"TFL3", "a TensorFlow Lite model", EXPORT),
    (0, b"PK\x03\x04", "a zip archive (a Keras or PyTorch model?)", EXPORT + MODULE),
    (0, b"\x80\x02", "a Python pickle (a PyTorch model?)", EXPORT + MODULE),
    (0, b"\x1f\x8b", "gzip-compressed", "decompress it first"),
)


def read_tensorflow(data: bytes, name: str, flavour: Flavour) -> list[Examined]:
    """Read the nodes of the graph in the bytes of a file: a GraphDef, binary or text, or a SavedModel.

    Raises `ConfigError` for anything else, named where it is recognised, and `ImportError` without protobuf.
    """
    if not data:
        raise ConfigError.single("syntax", "the file is empty", name, "is it complete?")
    for offset, signature, what, cure in SIGNATURES:
        # A TensorFlow Lite file begins with an offset that is a multiple of 4, a GraphDef with 0x0A.
        if data.startswith(signature, offset) and not (offset and data[0] % 4):
            raise ConfigError.single("encoding", "this is {}, not a frozen TensorFlow graph".format(what), name, cure)
    graph = decode_graph(data, name)
    if graph is not None:
        nodes = list(read_nodes(graph))
        found = examine_nodes(nodes, name, flavour)
        return [one._replace(sources=tuple(node.inputs), node=node.name) for node, one in zip(nodes, found)]
    saved = decode_message(make_message_classes("amctcfg_graph", FIELDS)["SavedModel"], data)
    if saved is not None and any(meta.graph_def.node for meta in saved.meta_graphs):
        return examine_nodes(inline_functions(saved.meta_graphs[0].graph_def, name, len(data)), name, flavour)
    hint = "is it complete? A model is a frozen graph (a binary GraphDef), an ONNX model, or a table of layers (.csv, .json)"
    raise ConfigError.single("encoding", "this is not a TensorFlow graph, or only a part of one", name, hint)


def decode_graph(data: bytes, name: str) -> Any:
    """Decode a GraphDef, in text format where the name says so; None for other bytes."""
    message = make_message_classes("amctcfg_graph", FIELDS)["GraphDef"]
    if name.endswith((".pbtxt", ".textproto")):
        return parse_text_graph(data, name, message())
    graph = decode_message(message, data)
    return graph if graph is not None and graph.node and all(node.name and node.op for node in graph.node) else None


def parse_text_graph(data: bytes, name: str, graph: Any) -> Any:
    from google.protobuf import text_format

    try:
        text_format.Parse(data.decode("utf-8"), graph, allow_unknown_field=True)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        message = "this is not a GraphDef in text format: {}".format(error)
        raise ConfigError.single("syntax", message, name, FREEZE) from None
    except RecursionError:
        raise ConfigError.single("syntax", "this is nested too deeply for a GraphDef", name, FREEZE) from None
    if not graph.node:
        raise ConfigError.single("syntax", "the graph has no nodes", name, "is it complete?")
    return graph


# tensorflow/core/framework/{graph,node_def,attr_value}.proto and protobuf/{saved_model,meta_graph}.proto, reduced to
# the fields that are read here. Weights stay bytes that nobody looks at.
FIELDS = """
message NameAttrList { string name = 1; }
message ListValue { repeated int64 i = 3; }
message Dim { int64 size = 1; }
message TensorShape { repeated Dim dim = 2; bool unknown_rank = 3; }
message TensorProto { TensorShape tensor_shape = 2; }
message AttrValue { ListValue list = 1; bytes s = 2; bool b = 5; TensorProto tensor = 8; NameAttrList func = 10; }
message NodeDef { string name = 1; string op = 2; repeated string input = 3; repeated AttrEntry attr = 5; }
message AttrEntry { string key = 1; AttrValue value = 2; }
message ArgDef { string name = 1; }
message OpDef { string name = 1; repeated ArgDef input_arg = 2; }
message FunctionDef { OpDef signature = 1; repeated NodeDef node_def = 3; }
message FunctionDefLibrary { repeated FunctionDef function = 1; }
message GraphDef { repeated NodeDef node = 1; FunctionDefLibrary library = 2; }
message MetaGraphDef { GraphDef graph_def = 2; }
message SavedModel { repeated MetaGraphDef meta_graphs = 2; }
"""
