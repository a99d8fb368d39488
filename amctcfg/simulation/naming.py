# SPDX-License-Identifier: Apache-2.0
"""The node of an ONNX graph that a layer is."""

from __future__ import annotations

from typing import Dict, NamedTuple, Optional

import onnx

from ..flavours.flavour import Flavour
from ..models.modules import find_modules
from ..models.values import OnnxGraph, node_names


class Nodes(NamedTuple):
    """The names of a layer's nodes: of the one that computes it, and of the Add behind it that is a part of it."""

    node: str
    add: Optional[str] = None


def name_layers(graph: onnx.GraphProto, flavour: Flavour) -> Dict[str, Nodes]:
    """Return the nodes of each layer, named as the readers of models do; each node gets a name of its own."""
    modules = find_modules(OnnxGraph(graph)) if flavour.graphs == "torch" else []
    for node, name in node_names(graph.node):
        node.name = name
    if flavour.graphs == "torch":
        return {m.name: Nodes(m.node.name, None if m.add is None else m.add.name) for m in modules}
    is_converted = flavour.graphs != "onnx"  # from a graph of another kind: nodes kept their names
    kept = [node.name for node in graph.node if is_converted or node.op_type in flavour.quantizable_types]
    return {name: Nodes(name) for name in kept}
