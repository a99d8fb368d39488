# SPDX-License-Identifier: Apache-2.0
"""The node of an ONNX graph that a layer is."""

from __future__ import annotations

from typing import Dict, NamedTuple, Optional

import onnx

from ..flavours.flavour import Flavour
from ..models.onnx import locate_layers
from ..models.values import node_names


class Nodes(NamedTuple):
    """The names of a layer's nodes: of the one that computes it, and of the Add behind it that is a part of it."""

    node: str
    add: Optional[str] = None


def name_layers(graph: onnx.GraphProto, flavour: Flavour) -> Dict[str, Nodes]:
    """Return the nodes of each layer, named as the readers of models do; each node gets a name of its own."""
    places = locate_layers(graph, flavour)
    for node, name in list(node_names(graph)):
        node.name = name
    if flavour.graphs not in ("onnx", "torch"):  # a graph of another kind that was converted: nodes kept their names
        return {node.name: Nodes(node.name) for node in graph.node}
    return {
        name: Nodes(place.node.name, None if place.add is None else place.add.name) for name, place in places.items()
    }
