# SPDX-License-Identifier: Apache-2.0
"""Layers out of an ONNX model, by the documented conditions, without the onnx package.

Weights are passed over, and external data is never opened. Which nodes can be quantized: the vendor's page "Layers that
support quantization" of AMCT for ONNX. What a missing shape leaves open counts as fulfilled, and the layer's note says so.
"""

from __future__ import annotations

from typing import Any, Iterator

from ..diagnostics.diagnostic import ConfigError
from ..flavours.flavour import Flavour
from ..flavours.layer import MINOR_TYPES, Layer
from .graphs import (
    Allowance,
    Assessment,
    Condition,
    Examined,
    Node,
    decode_message,
    examine,
    make_message_classes,
    name_sharers,
    require_constant,
)
from .modules import find_modules
from .values import CONVOLUTIONS, OnnxGraph, iter_node_names

# onnx.proto, reduced to the fields that are read here. Sparse and external weights need only their names.
FIELDS = """
message Dimension { int64 dim_value = 1; }
message Shape { repeated Dimension dim = 1; }
message TensorType { Shape shape = 2; }
message TypeProto { TensorType tensor_type = 1; }
message ValueInfo { string name = 1; TypeProto type = 2; }
message Tensor { repeated int64 dims = 1; string name = 8; }
message SparseTensor { Tensor values = 1; repeated int64 dims = 3; }
message Attribute {
    string name = 1; float f = 2; int64 i = 3; bytes s = 4; Tensor t = 5; GraphProto g = 6; repeated int64 ints = 8;
    repeated GraphProto graphs = 11; int32 type = 20;
}
message StringEntry { string key = 1; string value = 2; }
message NodeProto {
    repeated string input = 1; repeated string output = 2; string name = 3; string op_type = 4;
    repeated Attribute attribute = 5; repeated StringEntry metadata_props = 9;
}
message GraphProto {
    repeated NodeProto node = 1; repeated Tensor initializer = 5; repeated ValueInfo input = 11;
    repeated ValueInfo output = 12; repeated ValueInfo value_info = 13; repeated SparseTensor sparse_initializer = 15;
}
message ModelProto { int64 ir_version = 1; GraphProto graph = 7; }
"""

DEPTH = 50  # of subgraphs in subgraphs


def read_onnx(data: bytes, name: str, flavour: Flavour) -> list[Examined]:
    """Read the nodes of the model in the bytes of a file. Raises `ConfigError` for anything else."""
    model = decode_message(make_message_classes("amctcfg_onnx", FIELDS)["ModelProto"], data)
    if model is None or not model.graph.node:
        hint = "is the file complete? It has to be an ONNX model with a graph"
        raise ConfigError.single("encoding", "this is not an ONNX model, or only a part of one", name, hint)
    values, is_exported = OnnxGraph(model.graph), flavour.graphs == "torch"
    outer = examine_modules(values, flavour) if is_exported else examine(values, flavour, CONDITIONS)
    allowance = Allowance(len(data), name, "its subgraphs have too many and too long names to be laid out")
    makers = {value: one.layer.name for node, one in zip(values.nodes, outer) for value in node.outputs if value}
    found: list[Examined] = []
    for node, examined in zip(model.graph.node, outer):
        sources = tuple(makers[value] for value in node.input if value in makers)
        found.append(examined._replace(sources=sources, node=node.name))
        for inner, kind in iter_inner_nodes(node, examined.layer.name, allowance):
            found.append(Examined(Layer(inner, kind, False), None, minor=kind in MINOR_TYPES))
    names: set[str] = set()
    for layer in (examined.layer for examined in found):
        if layer.name in names:
            raise ConfigError.single("duplicate-entry", "the node name '{}' occurs twice".format(layer.name), name)
        names.add(layer.name)
    return found


# ---------------------------------------------------------------- layers and modules


def examine_modules(values: OnnxGraph, flavour: Flavour) -> list[Examined]:
    """Return the nodes of an exported graph: modules as the toolkit names them, the others as they are."""
    modules = {module.node.name: module for module in find_modules(values)}
    names = iter_node_names([node.raw for node in values.nodes], {module.name for module in modules.values()})
    found, weights = [], {}
    for node, (_, name) in zip(values.nodes, names):
        module = modules.get(node.name)
        if module is None:
            found.append(Examined(Layer(name, node.type, False), None, minor=values.is_minor(node)))
            continue
        supported = module.type in flavour.quantizable_types and module.reason is None
        layer = Layer(module.name, module.type, supported, module.lacks)
        found.append(Examined(layer, module.reason, certain=module.certain, traits=module.traits))
        weights[module.name] = module.weight
    return name_sharers(found, weights)


def iter_inner_nodes(node: Any, prefix: str, allowance: Allowance) -> Iterator[tuple[str, str]]:
    """Yield the nodes in the subgraphs of an If or Loop, under the name of their node; they are not quantized."""
    pending = [(node, prefix, 0)]
    while pending:
        current, above, depth = pending.pop()
        for attribute in current.attribute:
            graphs = list(attribute.graphs) + ([attribute.g] if attribute.g.node else [])
            for number, graph in enumerate(graphs):
                inside = "{}/{}{}".format(above, attribute.name, "_{}".format(number) if number else "")
                allowance.take((Allowance.PER_NODE + len(inside)) * len(graph.node))
                for inner, name in iter_node_names(graph.node):
                    yield "{}/{}".format(inside, name), inner.op_type
                    if depth < DEPTH:
                        pending.append((inner, "{}/{}".format(inside, name), depth + 1))


# ---------------------------------------------------------------- conditions


def check_rank(node: Node, graph: OnnxGraph) -> Assessment | None:
    """Check the rank of the input, or where the model has no shape, that of a convolution's weight, which is the same."""
    allowed = (4, 5) if node.type == "Conv" else (4,)
    rank = graph.rank(node, 0)
    if rank is None and node.type in CONVOLUTIONS:
        rank = graph.rank(node, 1) or None
    wanted = " or ".join(map(str, allowed))
    if rank is None:
        return Assessment(note="its input is assumed to have {} dimensions, the model has no shape".format(wanted))
    return None if rank in allowed else Assessment("its input has {} dimensions, not {}".format(rank, wanted))


def check_gemm(node: Node, graph: OnnxGraph) -> Assessment | None:
    alpha, beta = node.attribute("alpha"), node.attribute("beta")
    wrong = ["transA is 1"] if node.attribute("transA") else []
    wrong += ["{} is {}".format(name, v) for name, v in (("alpha", alpha), ("beta", beta)) if v not in (None, 1.0)]
    return Assessment("its {}".format(" and its ".join(wrong))) if wrong else None


def check_product(node: Node, graph: OnnxGraph) -> Assessment | None:
    """Check a product: a constant second input has two or three dimensions; two variables have no offset."""
    if graph.find_constant(node, 1) is None:
        return Assessment(lacks=("asymmetric",))
    rank = graph.rank(node, 1)
    if rank is not None and rank not in (2, 3):
        return Assessment("its constant input has {} dimensions, not 2 or 3".format(rank))
    return None


CONDITIONS: dict[str, Condition] = {
    "constant weight": require_constant(
        "weight", "its weight is not a constant: it comes from '{}', an input of the model"
    ),
    "4 or 5 dimensions": check_rank,
    "4 dimensions": check_rank,
    "plain gemm": check_gemm,
    "product": check_product,
}
