# SPDX-License-Identifier: Apache-2.0
"""The nodes that a layer becomes: in floats, as activations are calibrated, and quantized."""

from __future__ import annotations

import copy
from typing import Any, Iterable, Sequence

import numpy as np
import onnx
from onnx import helper

from .algorithms import integer_limits_of
from .network import Network, rename_values
from .sites import PRODUCT, Site


class Piece:
    """A piece of a graph in place of a layer: nodes, and the arrays that they read."""

    def __init__(self, site: Site, tag: str) -> None:
        self.site: Site = site
        self.tag: str = tag
        self.nodes: list[onnx.NodeProto] = []
        self.arrays: dict[str, np.ndarray] = {}

    def add_array(self, name: str, value: Any) -> str:
        self.arrays[self.name_value(name)] = np.asarray(value, np.float32)
        return self.name_value(name)

    def name_value(self, name: str) -> str:
        return "{}/{}{}".format(self.site.node.name, name, self.tag)

    def add(self, operation: str, value: str, name: str, *others: str) -> str:
        """Add a node on a value; return the name of its result."""
        result = self.name_value(name)
        self.nodes.append(helper.make_node(operation, [value, *others], [result], name=result))
        return result

    def add_layer(self, inputs: Iterable[str]) -> None:
        """Add the layer's own node with other inputs; with a tag its tail, too, and what they make renamed."""
        nodes = [copy.deepcopy(self.site.node)]
        nodes[0].input[:] = inputs
        if self.tag:
            nodes += [] if self.site.tail is None else [copy.deepcopy(self.site.tail)]
            renamed = {value: value + self.tag for node in nodes for value in node.output}
            for node in nodes:
                node.name += self.tag
                rename_values(node, renamed)
        self.nodes += nodes


def build_float(site: Site) -> Piece:
    """Build the layer in floats, to stand beside itself."""
    piece = Piece(site, "/floats")
    piece.add_layer(site.node.input)
    return piece


def build_calibrated(site: Site) -> Piece:
    """Build the layer for the calibration of activations: its weight is quantized, its activations are floats."""
    piece = Piece(site, "")
    inputs = list(site.node.input)
    if site.balance is not None:
        inputs[0] = piece.add("Div", inputs[0], "balanced", piece.add_array("balance", site.by_channel(site.balance)))
    if site.weights is not None:
        inputs[1] = piece.add_array("weight", site.weights.calibrating)
    piece.add_layer(inputs)
    return piece


def build_quantized(site: Site, tag: str = "") -> Piece:
    """Build the quantized layer: rounded activations, weight and bias, by standard operators."""
    piece = Piece(site, tag)
    inputs = list(site.node.input)
    low, high = integer_limits_of(site.setting.bits)
    for i, (scale, offset) in enumerate(site.factors.activations):
        part = str(i) if site.kind == PRODUCT else ""
        x = inputs[i]
        if site.balance is not None:
            inverse = np.float32(1) / site.by_channel(site.balance)
            x = piece.add("Mul", x, "balanced", piece.add_array("balance", inverse))
        x = piece.add("Mul", x, "scaled" + part, piece.add_array("inverse" + part, np.float32(1) / np.float32(scale)))
        x = piece.add("Round", x, "rounded" + part)
        if offset:
            x = piece.add("Add", x, "shifted" + part, piece.add_array("offset" + part, offset))
        x = piece.add("Clip", x, "clipped" + part, piece.add_array("low", low), piece.add_array("high", high))
        if offset:
            x = piece.add("Sub", x, "centred" + part, piece.add_array("offset" + part, offset))
        inputs[i] = piece.add("Mul", x, "quantized" + part, piece.add_array("scale" + part, scale))
    if site.weight is not None:
        inputs[1] = piece.add_array("weight", (site.weights or site.quantize()).values)
    if site.bias is not None:
        steps, scale_of = site.quantize_bias()
        inputs[2] = piece.add_array("bias", steps * scale_of)
    piece.add_layer(inputs)
    return piece


def weave(network: Network, pieces: Iterable[Piece]) -> Network:
    """Return the network with pieces in place of their layers."""
    by_node = {piece.site.node.name: piece for piece in pieces}
    nodes: list[onnx.NodeProto] = []
    for node in network.graph.node:
        nodes += by_node[node.name].nodes if node.name in by_node else [node]
    return network.with_nodes(nodes, arrays_of(by_node.values()))


def append_pieces(network: Network, pieces: Sequence[Piece], inputs: Iterable[str] | None = None) -> Network:
    """Return the network with pieces beside their layers, whose results are its outputs; and other inputs."""
    nodes = [*network.graph.node, *(node for piece in pieces for node in piece.nodes)]
    results = [piece.site.result + piece.tag for piece in pieces]
    return network.with_nodes(nodes, arrays_of(pieces), results, inputs)


def arrays_of(pieces: Iterable[Piece]) -> dict[str, np.ndarray]:
    return {name: array for piece in pieces for name, array in piece.arrays.items()}
