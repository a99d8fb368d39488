# SPDX-License-Identifier: Apache-2.0
"""The edges of a graph, and the names that nodes have in the file: for pictures, read when one is drawn."""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional, Tuple

from ..documents.files import PathLike, display_name, open_file
from ..flavours.flavour import Flavour


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
        model = onnx.decode_model(data)
        return None if model is None else links_of_onnx(model.graph, flavour)
    graph = tensorflow.decode_graph(data, name)
    if graph is None:
        return None
    nodes = list(tensorflow.read_nodes(graph))
    return Links({node.name: tuple(node.inputs) for node in nodes}, {node.name: node.name for node in nodes})


def links_of_onnx(graph: Any, flavour: Flavour) -> Links:
    """Find the edges from the nodes that make values to those that read them."""
    from .onnx import name_nodes
    from .values import OnnxGraph

    named = [(node, name) for node, name, _ in name_nodes(OnnxGraph(graph), flavour)]
    makers = {value: name for node, name in named for value in node.outputs if value}
    inputs = {name: tuple(makers[value] for value in node.inputs if value in makers) for node, name in named}
    return Links(inputs, {name: node.raw.name for node, name in named})
