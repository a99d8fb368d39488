# SPDX-License-Identifier: Apache-2.0
"""The nodes that a layer becomes: in floats, as activations are calibrated, and quantized."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

import numpy as np
import onnx
from onnx import helper

from .algorithms import limits
from .network import Network, rename_values
from .sites import DECONVOLUTION, PRODUCT, Site, Weights

INT32_LIMIT = 2**31


class Factors(NamedTuple):
    """The factors of a layer.

    scale_d, offset_d -- of its activations; tuples for a product of two variables. scale_w, offset_w -- of its weight: one,
    or one for each output channel; float32 arrays that can't be written. balance -- the balancer's factor of each input
    channel, None where it has none.
    """

    scale_d: Any
    offset_d: Any
    scale_w: np.ndarray
    offset_w: np.ndarray
    balance: Optional[np.ndarray] = None

    @property
    def activations(self) -> List[Tuple[float, int]]:
        """Scale and offset of each of the layer's activations, an offset as the whole number that it is."""
        if isinstance(self.scale_d, tuple):
            return list(zip(self.scale_d, map(int, self.offset_d)))
        return [(self.scale_d, int(self.offset_d))]


class Piece:
    """A piece of a graph in place of a layer: nodes, and the arrays that they read."""

    def __init__(self, site: Site, tag: str) -> None:
        self.site: Site = site
        self.tag: str = tag
        self.nodes: List[onnx.NodeProto] = []
        self.arrays: Dict[str, np.ndarray] = {}

    def array(self, name: str, value: Any) -> str:
        self.arrays[self.named(name)] = np.asarray(value, np.float32)
        return self.named(name)

    def named(self, name: str) -> str:
        return "{}/{}{}".format(self.site.node.name, name, self.tag)

    def add(self, operation: str, value: str, name: str, *others: str) -> str:
        """Add a node on a value; return the name of its result."""
        result = self.named(name)
        self.nodes.append(helper.make_node(operation, [value, *others], [result], name=result))
        return result

    def layer(self, inputs: Iterable[str]) -> None:
        """Add the layer's own node with other inputs, and its tail."""
        node = onnx.NodeProto()
        node.CopyFrom(self.site.node)
        del node.input[:]
        node.input.extend(inputs)
        self.nodes.append(node)
        if self.site.tail is not None and self.tag:  # elsewhere it stays where it is
            tail = onnx.NodeProto()
            tail.CopyFrom(self.site.tail)
            self.nodes.append(tail)

    def apart(self) -> str:
        """Rename what the layer makes, so that it can stand beside another piece of it; the name of the result."""
        inner = {
            value: value + self.tag for node in self.nodes for value in node.output if not value.endswith(self.tag)
        }
        for node in self.nodes:
            node.name = node.name if node.name.endswith(self.tag) else node.name + self.tag
            rename_values(node, inner)
        return str(inner[self.site.result])


def build_float(site: Site, tag: str = "") -> Piece:
    """Build the layer in floats."""
    piece = Piece(site, tag)
    piece.layer(site.node.input)
    return piece


def build_calibrated(site: Site, weights: Optional[Weights], balance: Optional[np.ndarray]) -> Piece:
    """Build the layer for the calibration of activations: its weight is quantized, its activations are floats."""
    piece = Piece(site, "")
    inputs = list(site.node.input)
    if balance is not None:
        inputs[0] = piece.add("Div", inputs[0], "balanced", piece.array("balance", site.by_channel(balance)))
    if weights is not None:
        inputs[1] = piece.array("weight", weights.plain if site.kind == DECONVOLUTION else weights.values)
    piece.layer(inputs)
    return piece


def build_quantized(site: Site, factors: Factors, tag: str = "", weights: Optional[Weights] = None) -> Piece:
    """Build the quantized layer: rounded activations, weight and bias, by standard operators.

    weights -- quantized, where they have been.
    """
    weights = weights or site.quantize(factors.balance)
    piece = Piece(site, tag)
    inputs = list(site.node.input)
    low, high = limits(site.setting.bits)
    for i, (scale, offset) in enumerate(factors.activations):
        part = str(i) if site.kind == PRODUCT else ""
        x = inputs[i]
        if factors.balance is not None:
            inverse = np.float32(1) / site.by_channel(factors.balance)
            x = piece.add("Mul", x, "balanced", piece.array("balance", inverse))
        x = piece.add("Mul", x, "scaled" + part, piece.array("inverse" + part, np.float32(1) / np.float32(scale)))
        x = piece.add("Round", x, "rounded" + part)
        if offset:
            x = piece.add("Add", x, "shifted" + part, piece.array("offset" + part, offset))
        x = piece.add("Clip", x, "clipped" + part, piece.array("low", low), piece.array("high", high))
        if offset:
            x = piece.add("Sub", x, "centred" + part, piece.array("offset" + part, offset))
        inputs[i] = piece.add("Mul", x, "quantized" + part, piece.array("scale" + part, scale))
    if weights is not None:
        inputs[1] = piece.array("weight", weights.values)
    if site.bias is not None:
        steps, scale_of = quantize_bias(site, factors)
        inputs[2] = piece.array("bias", steps * scale_of)
    piece.layer(inputs)
    return piece


def quantize_bias(site: Site, factors: Factors) -> Tuple[np.ndarray, np.ndarray]:
    """Return the bias in whole multiples of scale_d · scale_w, and these; float32."""
    assert site.bias is not None
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        scale = np.float32(factors.scale_d) * factors.scale_w
        return np.rint(site.bias.astype(np.float32) / scale), scale


def weave(
    network: Network,
    pieces: Iterable[Piece],
    outputs: Optional[Iterable[str]] = None,
    beside: Iterable[Piece] = (),
) -> Network:
    """Return the network with pieces in place of their layers, and further pieces at its end."""
    by_node: Dict[str, Piece] = {piece.site.node.name: piece for piece in pieces}
    beside = list(beside)
    nodes: List[onnx.NodeProto] = []
    for node in network.graph.node:
        nodes += by_node[node.name].nodes if node.name in by_node else [node]
    arrays: Dict[str, np.ndarray] = {}
    for piece in (*by_node.values(), *beside):
        arrays.update(piece.arrays)
    nodes += [node for piece in beside for node in piece.nodes]
    return network.with_nodes(nodes, arrays, outputs)
