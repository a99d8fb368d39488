# SPDX-License-Identifier: Apache-2.0
"""The edges of a graph, and the names that nodes have in the file: for pictures, read when one is drawn."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..documents.files import PathLike, display_name, open_file
from ..flavours.flavour import Flavour
from .graphs import decode_message, message_classes
from .modules import find_modules


class Links(NamedTuple):
    """The nodes of a graph by the names that layers have.

    inputs -- for each node the nodes that it reads. names -- what each node is called in the file; "" where it has no name.
    """

    inputs: Dict[str, Tuple[str, ...]]
    names: Dict[str, str]


def load_links(path: PathLike, flavour: Flavour) -> Optional[Links]:
    """Read the edges of a graph that `load_layers` has read; None for a table or a SavedModel."""
    from . import onnx, tensorflow
    from .loading import graph_kind

    name, kind = display_name(path), graph_kind(path)
    if kind not in ("onnx", "tensorflow"):
        return None
    try:
        with open_file(name, "rb") as file:
            data = file.read()
    except OSError:  # a folder, or a pipe that has been read
        return None
    if kind == "onnx":
        model = decode_message(message_classes("amctcfg_onnx", onnx.FIELDS)["ModelProto"], data)
        return None if model is None else links_of_onnx(model.graph, flavour)
    message = message_classes("amctcfg_graph", tensorflow.FIELDS)["GraphDef"]
    is_text = name.endswith((".pbtxt", ".textproto"))
    graph = tensorflow.parse_text_graph(data, name, message) if is_text else decode_message(message, data)
    if graph is None or not all(node.name and node.op for node in graph.node):
        return None
    nodes = list(tensorflow.read_nodes(graph))
    return Links({node.name: tuple(node.inputs) for node in nodes}, {node.name: node.name for node in nodes})


def links_of_onnx(graph: Any, flavour: Flavour) -> Links:
    """Find the edges from the nodes that make values to those that read them."""
    from .onnx import node_names

    modules = list(find_modules(graph)) if flavour.graphs == "torch" else []  # which keeps their nodes, and the ids
    names = {id(module.node): module.name for module in modules}
    named: List[Tuple[Any, str]] = [
        (node, names.get(id(node), name)) for node, name in node_names(graph, set(names.values()))
    ]
    makers = {value: name for node, name in named for value in node.output if value}
    inputs = {name: tuple(makers[value] for value in node.input if value in makers) for node, name in named}
    return Links(inputs, {name: node.name for node, name in named})
