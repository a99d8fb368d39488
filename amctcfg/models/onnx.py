# SPDX-License-Identifier: Apache-2.0
"""Layers out of an ONNX model, by the documented conditions, without the onnx package.

Weights are not among the fields that are read, so that they are passed over; external data is never opened. Which nodes
can be quantized: the vendor's page "Layers that support quantization" of AMCT for ONNX. What a missing shape leaves open
counts as fulfilled, and the layer's note says so.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

from ..flavours.flavour import Flavour
from ..flavours.layer import MINOR_TYPES, Layer, Traits
from .graphs import (
    Allowance,
    Assessment,
    Condition,
    Examined,
    Fields,
    Graph,
    Node,
    decode_message,
    examine,
    graph_error,
    message_classes,
    name_sharers,
    portray_product,
    require_constant,
)
from .modules import Module, find_modules
from .values import OnnxGraph, channels_of, integer, node_names

# onnx.proto, reduced to the fields that are read here. Sparse and external weights need only their names.
FIELDS: Fields = {
    "Dimension": {"dim_value": (1, "int64")},
    "Shape": {"dim": (1, "Dimension*")},
    "TensorType": {"shape": (2, "Shape")},
    "TypeProto": {"tensor_type": (1, "TensorType")},
    "ValueInfo": {"name": (1, "string"), "type": (2, "TypeProto")},
    "Tensor": {"dims": (1, "int64*"), "name": (8, "string")},
    "SparseTensor": {"values": (1, "Tensor"), "dims": (3, "int64*")},
    "Attribute": {
        "name": (1, "string"), "f": (2, "float"), "i": (3, "int64"), "s": (4, "bytes"), "t": (5, "Tensor"),
        "g": (6, "GraphProto"), "ints": (8, "int64*"), "graphs": (11, "GraphProto*"), "type": (20, "int32"),
    },
    "StringEntry": {"key": (1, "string"), "value": (2, "string")},
    "NodeProto": {
        "input": (1, "string*"), "output": (2, "string*"), "name": (3, "string"), "op_type": (4, "string"),
        "attribute": (5, "Attribute*"), "domain": (7, "string"), "metadata_props": (9, "StringEntry*"),
    },
    "GraphProto": {
        "node": (1, "NodeProto*"), "initializer": (5, "Tensor*"), "input": (11, "ValueInfo*"),
        "output": (12, "ValueInfo*"), "value_info": (13, "ValueInfo*"), "sparse_initializer": (15, "SparseTensor*"),
    },
    "ModelProto": {"ir_version": (1, "int64"), "graph": (7, "GraphProto")},
}  # fmt: skip

DEPTH = 50  # of subgraphs in subgraphs


# The tags of the fields that may follow the IR version with which an ONNX model begins.
SECOND_FIELDS = (0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42)


def is_onnx(data: bytes) -> bool:
    """Tell whether bytes begin as an ONNX ModelProto: with an IR version from 3 to 99. A SavedModel has version 1."""
    return len(data) > 2 and data[0] == 0x08 and 3 <= data[1] < 100 and data[2] in SECOND_FIELDS


def read_onnx(data: bytes, name: str, flavour: Flavour) -> List[Examined]:
    """Read the nodes of the model in the bytes of a file. Raises `ConfigError` for anything else."""
    model = decode_model(data)
    if model is None or not model.graph.node:
        hint = "is the file complete? It has to be an ONNX model with a graph"
        raise graph_error("encoding", "this is not an ONNX model, or only a part of one", name, hint)
    if flavour.graphs == "torch":
        outer = examine_modules(model.graph, flavour)
    else:
        outer = examine(OnnxGraph(model.graph), flavour, CONDITIONS, portray)
    allowance = Allowance(len(data), name, "its subgraphs have too many and too long names to be laid out")
    found: List[Examined] = []
    for node, examined in zip(model.graph.node, outer):
        found.append(examined)
        for inner, kind in inner_nodes(node, examined.layer.name, allowance):
            found.append(Examined(Layer(inner, kind, False), None, minor=kind in MINOR_TYPES))
    names: Set[str] = set()
    for examined in found:
        if examined.layer.name in names:
            raise graph_error("duplicate-entry", "the node name '{}' occurs twice".format(examined.layer.name), name)
        names.add(examined.layer.name)
    return found


def decode_model(data: bytes) -> Any:
    """Decode a ModelProto; None where the bytes are none."""
    return decode_message(message_classes("amctcfg_onnx", FIELDS)["ModelProto"], data)


# ---------------------------------------------------------------- layers and modules


def examine_modules(graph: Any, flavour: Flavour) -> List[Examined]:
    """Return the nodes of an exported graph: modules as the toolkit names them, the others as they are."""
    values, found, weights = OnnxGraph(graph), [], {}
    for node, (_, name, module) in zip(values.nodes, name_nodes(graph, flavour)):
        if module is None:
            found.append(Examined(Layer(name, node.type, False), None, minor=values.is_minor(node)))
            continue
        supported = module.type in flavour.quantizable_types and module.reason is None
        layer = Layer(module.name, module.type, supported, module.lacks)
        found.append(Examined(layer, module.reason, certain=module.certain, traits=module.traits))
        if module.weight is not None:
            weights[module.name] = module.weight.value
    return name_sharers(found, weights)


def portray(node: Node, graph: OnnxGraph) -> Traits:
    """Tell what is special about a node of a quantizable type."""
    found = Traits()
    if node.type == "MatMul":
        found = portray_product(node, graph)
    elif len(node.inputs) > 1:
        found = Traits(runtime_weight=graph.runtime_operation(node.inputs[1]))
    group = integer(node.attribute("group"), 1) if node.type in ("Conv", "ConvTranspose") else 1
    shape = graph.origin(node.inputs[1]).shape if len(node.inputs) > 1 else None
    return found._replace(group=group, channels=channels_of(node.type, shape, node.attribute))


def name_nodes(graph: Any, flavour: Flavour) -> List[Tuple[Any, str, Optional[Module]]]:
    """Return each node with the name of its layer; under a PyTorch flavour those that compute a module with that."""
    modules = {id(module.node): module for module in (find_modules(graph) if flavour.graphs == "torch" else ())}
    found: List[Tuple[Any, str, Optional[Module]]] = []
    for node, name in node_names(graph, {module.name for module in modules.values()}):
        module = modules.get(id(node))
        found.append((node, name if module is None else module.name, module))
    return found


def inner_nodes(node: Any, prefix: str, allowance: Allowance) -> Iterator[Tuple[str, str]]:
    """Yield the nodes in the subgraphs of an If or Loop, under the name of their node; they are not quantized."""
    pending = [(node, prefix, 0)]
    while pending:
        current, above, depth = pending.pop()
        for attribute in current.attribute:
            graphs = list(attribute.graphs) + ([attribute.g] if attribute.g.node else [])
            for number, graph in enumerate(graphs):
                inside = "{}/{}{}".format(above, attribute.name, "_{}".format(number) if number else "")
                allowance.take((Allowance.PER_NODE + len(inside)) * len(graph.node))
                for inner, name in node_names(graph):
                    yield "{}/{}".format(inside, name), inner.op_type
                    if depth < DEPTH:
                        pending.append((inner, "{}/{}".format(inside, name), depth + 1))


# ---------------------------------------------------------------- conditions


def rank_of(index: int, *allowed: int) -> Condition:
    def condition(node: Node, graph: Graph) -> Optional[Assessment]:
        assert isinstance(graph, OnnxGraph)
        rank = graph.rank(node, index)
        wanted = " or ".join(str(n) for n in allowed)
        if rank is None:
            return Assessment(note="its input is assumed to have {} dimensions, the model has no shape".format(wanted))
        if rank in allowed:
            return None
        return Assessment("its input has {} dimensions, not {}".format(rank, wanted))

    return condition


def convolution_rank(node: Node, graph: Graph) -> Optional[Assessment]:
    """Check the rank of the input, or where the model has no shape, that of the weight, which is the same."""
    assert isinstance(graph, OnnxGraph)
    allowed = (4,) if node.type == "ConvTranspose" else (4, 5)
    return rank_of(1 if graph.rank(node, 0) is None and graph.rank(node, 1) else 0, *allowed)(node, graph)


def plain_gemm(node: Node, graph: Graph) -> Optional[Assessment]:
    alpha, beta = node.attribute("alpha"), node.attribute("beta")
    wrong = ["transA is 1"] if node.attribute("transA") else []
    wrong += ["{} is {}".format(name, v) for name, v in (("alpha", alpha), ("beta", beta)) if v not in (None, 1.0)]
    return Assessment("its {}".format(" and its ".join(wrong))) if wrong else None


def product(node: Node, graph: Graph) -> Optional[Assessment]:
    """Check a product: a constant second input has two or three dimensions; two variables have no offset."""
    assert isinstance(graph, OnnxGraph)
    if len(node.inputs) < 2 or not graph.origin(node.inputs[1]).constant:
        return Assessment(lacks=("asymmetric",))
    rank = graph.rank(node, 1)
    if rank is not None and rank not in (2, 3):
        return Assessment("its constant input has {} dimensions, not 2 or 3".format(rank))
    return None


CONDITIONS: Dict[str, Condition] = {
    "constant weight": require_constant(
        "weight", "its weight is not a constant: it comes from '{}', an input of the model"
    ),
    "4 or 5 dimensions": convolution_rank,
    "4 dimensions": rank_of(0, 4),
    "plain gemm": plain_gemm,
    "product": product,
}
