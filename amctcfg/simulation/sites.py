# SPDX-License-Identifier: Apache-2.0
"""The layers of a network: which nodes they are, where each reads its activations, its weight and its bias, what is found for it."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Sequence

import numpy as np
import onnx

from ..flavours.flavour import Flavour
from ..messages.message import Message
from ..models.modules import find_modules
from ..models.values import OnnxGraph, attribute_of, iter_node_names
from ..resolve.effective import EffectiveConfig
from .algorithms import EPSILON, compute_arq, compute_dmq, quantize_in_floats
from .fusion import groups_of
from .network import Network

CONVOLUTION, DECONVOLUTION, LINEAR, POOL, PRODUCT = "convolution", "deconvolution", "linear", "pool", "product"
BITS = {"INT4": 4, "INT8": 8, "INT16": 16}
INT32_LIMIT = 2**31
BLIND = "it sees NaN or infinity"


class Nodes(NamedTuple):
    """The names of a layer's nodes: of the one that computes it, and of the Add behind it that is a part of it."""

    node: str
    add: str | None = None


def name_layers(graph: onnx.GraphProto, flavour: Flavour) -> dict[str, Nodes]:
    """Return the nodes of each layer, named as the readers of models do; each node gets a name of its own."""
    modules = find_modules(OnnxGraph(graph)) if flavour.graphs == "torch" else []
    for node, name in iter_node_names(graph.node):
        node.name = name
    if flavour.graphs == "torch":
        return {m.name: Nodes(m.node.name, None if m.add is None else m.add.name) for m in modules}
    is_converted = flavour.graphs != "onnx"  # from a graph of another kind: nodes kept their names
    kept = [node.name for node in graph.node if is_converted or node.op_type in flavour.quantizable_types]
    return {name: Nodes(name) for name in kept}


class SiteSetting(NamedTuple):
    """The values of a layer's block that decide its factors; and those of them that decide the weights', and the activations'."""

    bits: int
    asymmetric: bool
    bins: int | None  # of HFMG, None for IFMR
    percentiles: tuple[float, float]
    search: tuple[float, float, float]
    weight_bits: int
    channel_wise: bool
    strength: float | None  # of the balancer
    learnt: bool  # AdaRound, which is not simulated

    @property
    def weights(self) -> tuple[Any, ...]:
        return self.weight_bits, self.channel_wise, self.strength

    @property
    def activations(self) -> tuple[Any, ...]:
        return self.bits, self.asymmetric, self.bins, self.percentiles, self.search, self.strength


def setting_of(effective: EffectiveConfig, kind: str) -> SiteSetting:
    """Return the values that the simulation follows; a product of two variables has no offset."""
    block = effective.calibration_config
    ada, hfmg = getattr(block, "ada_quantize", None), getattr(block, "hfmg_quantize", None)
    weights = ada or block.arq_quantize  # None for a pool under AdaRound
    activations = hfmg or block.ifmr_quantize
    balancer = getattr(block, "dmq_balancer", None)
    ifmr = None if hfmg else activations
    return SiteSetting(
        bits=BITS[getattr(activations, "dst_type", None) or "INT8"],
        asymmetric=bool(activations.asymmetric) and kind != PRODUCT,
        bins=hfmg.num_of_bins if hfmg else None,
        percentiles=(ifmr.max_percentile, ifmr.min_percentile) if ifmr else (1.0, 1.0),
        search=(ifmr.search_range_start, ifmr.search_range_end, ifmr.search_step) if ifmr else (1.0, 2.0, 1.0),
        weight_bits=getattr(weights, "quant_bits", None) or 8,
        channel_wise=bool(getattr(weights, "channel_wise", False)),
        strength=balancer.migration_strength if balancer else None,
        learnt=ada is not None,
    )


def as_key(array: np.ndarray | None) -> bytes | None:
    return None if array is None else array.tobytes()


class Weights(NamedTuple):
    """The quantized weight of a layer, in floats; as it is while activations are calibrated; the scale of each channel, or one."""

    values: np.ndarray
    calibrating: np.ndarray
    scale: np.ndarray


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
    balance: np.ndarray | None = None

    @property
    def activations(self) -> list[tuple[float, int]]:
        """Scale and offset of each of the layer's activations, an offset as the whole number that it is."""
        if isinstance(self.scale_d, tuple):
            return list(zip(self.scale_d, map(int, self.offset_d)))
        return [(self.scale_d, int(self.offset_d))]


@dataclass(eq=False, repr=False)
class Site:
    """A layer in a network, and what was found for it."""

    effective: EffectiveConfig
    node: onnx.NodeProto
    kind: str
    weight: np.ndarray | None = None
    bias: np.ndarray | None = None
    tail: onnx.NodeProto | None = None  # the Add of a Linear that is a MatMul and an Add
    balance: np.ndarray | None = None  # once it is prepared, as the next
    weights: Weights | None = None
    factors: Factors = field(init=False)  # once its scales were found
    refusal: str | None = None  # in words why the toolkit stops at it
    behind: str | None = None  # the refused layer that makes it blind

    def __post_init__(self) -> None:
        self.name: str = self.effective.layer.name
        self.setting: SiteSetting = setting_of(self.effective, self.kind)
        # The activations that are quantized: its input, or both of a product.
        self.values: list[str] = list(self.node.input[: 2 if self.kind == PRODUCT else 1])

    def with_block(self, block: Message) -> Site:
        found = copy.copy(self)
        found.effective = dataclasses.replace(self.effective, calibration_config=block, origins={})
        found.setting = setting_of(found.effective, self.kind)
        return found

    @property
    def result(self) -> str:
        return str((self.tail or self.node).output[0])

    # ------------------------------------------------------------ channels

    def split_groups(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Return the weight's shape with groups on an axis of their own, and the axes of input and output channels."""
        assert self.weight is not None
        shape = self.weight.shape
        if self.kind == LINEAR:
            transposed = attribute_of(self.node, "transB")
            return shape, ((1,) if transposed else (0,)), ((0,) if transposed else (1,))
        groups = groups_of(self.node)
        whole = (groups, shape[0] // groups, *shape[1:])
        return (whole, (0, 2), (0, 1)) if self.kind == CONVOLUTION else (whole, (0, 1), (0, 2))

    def channels_of(self, activations: np.ndarray) -> np.ndarray:
        axis = activations.ndim - 1 if self.kind == LINEAR else 1
        found: np.ndarray = np.max(np.abs(activations), axis=list_other_axes((axis,), activations.ndim))
        return found

    def by_channel(self, factors: np.ndarray) -> np.ndarray:
        """Return factors of the input channels in a shape that activations can be divided by."""
        assert self.weight is not None
        return factors if self.kind == LINEAR else factors.reshape(1, -1, *(1,) * (self.weight.ndim - 2))

    # ------------------------------------------------------------ weights

    def prepare(self, magnitudes: Any) -> str | None:
        """Balance the weight by the largest magnitudes of the input, and quantize it; return in words why the toolkit stops."""
        self.balance = None
        if self.weight is None:
            return None
        strength = self.setting.strength
        if strength is not None and not np.isfinite(magnitudes).all():
            return BLIND
        if not np.isfinite(self.weight).all():
            return "its weight holds NaN or infinity"
        if strength is not None:
            if not magnitudes.any():
                return "its input is all zeros, which can't be balanced"
            shape, inputs, _ = self.split_groups()
            largest = np.max(np.abs(self.weight.reshape(shape)), axis=list_other_axes(inputs, len(shape))).reshape(-1)
            self.balance = compute_dmq(magnitudes, largest, strength)
            inside = (self.balance > EPSILON) & (self.balance < 1 / EPSILON)
            if not inside.all():
                words = "a factor of its balancer, {:.6g}, is beyond 1.19e-7 to 1/1.19e-7"
                return words.format(float(self.balance[~inside][0]))
        self.weights = self.quantize()
        scale = self.weights.scale
        if (scale <= 1 / EPSILON).all():
            return None
        return "the scale of its weight, {:.6g}, is beyond 1/1.19e-7".format(float(np.max(scale)))

    def quantize(self) -> Weights:
        assert self.weight is not None
        shape, inputs, outputs = self.split_groups()
        plain = self.weight.reshape(shape)
        if self.balance is not None:
            plain = plain * self.balance.reshape([n if axis in inputs else 1 for axis, n in enumerate(shape)])
        with np.errstate(over="ignore", invalid="ignore"):
            axes = list_other_axes(outputs, len(shape)) if self.setting.channel_wise else None
            scale = compute_arq(plain, self.setting.weight_bits, axes)
            values = quantize_in_floats(plain, scale, self.setting.weight_bits).reshape(self.weight.shape)
        calibrating = plain.reshape(self.weight.shape) if self.kind == DECONVOLUTION else values
        return Weights(values, calibrating, scale.reshape(-1))

    def settle(self, scales: Sequence[tuple[float, int]]) -> str | None:
        """Take scale and offset of each activation; return in words why the toolkit stops."""
        scale_w = np.ones(1, np.float32) if self.weights is None else self.weights.scale
        offset_w = np.zeros_like(scale_w)
        for array in (scale_w, offset_w) if self.balance is None else (scale_w, offset_w, self.balance):
            array.setflags(write=False)
        scale, offset = zip(*((float(scale), float(offset)) for scale, offset in scales))
        if self.kind == PRODUCT:
            self.factors = Factors(scale, offset, scale_w[:0], offset_w[:0])
        else:
            self.factors = Factors(scale[0], offset[0], scale_w, offset_w, self.balance)
        if self.bias is None:
            return None
        steps = self.quantize_bias()[0].astype(np.float64)
        outside = ~((steps >= -INT32_LIMIT) & (steps <= INT32_LIMIT - 1))
        if not outside.any():
            return None
        return "its quantized bias, {:.0f}, is beyond int32".format(float(steps[outside].reshape(-1)[0]))

    def quantize_bias(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the bias in whole multiples of scale_d · scale_w, and these; float32."""
        assert self.bias is not None
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            scale = np.float32(self.factors.scale_d) * self.factors.scale_w
            return np.rint(self.bias.astype(np.float32) / scale), scale


def list_other_axes(axes: Sequence[int], rank: int) -> tuple[int, ...]:
    return tuple(axis for axis in range(rank) if axis not in axes)


def site_of(
    effective: EffectiveConfig, node: onnx.NodeProto, adding: onnx.NodeProto | None, network: Network
) -> Site | str:
    """Find the layer at a node, with the Add behind it that is a part of it; or in words why it can't be simulated."""
    operation = node.op_type
    if operation in ("AveragePool", "GlobalAveragePool"):
        return Site(effective, node, POOL)
    kind = {"Conv": CONVOLUTION, "ConvTranspose": DECONVOLUTION, "Gemm": LINEAR, "MatMul": LINEAR}.get(operation)
    if kind is None:
        return "{} is not simulated".format(operation)
    weight = network.find_constant(node.input[1])
    if weight is None:
        if operation == "MatMul":
            return Site(effective, node, PRODUCT)
        return "its weight is not a constant"
    if kind == LINEAR and weight.ndim != 2:
        return "its weight has {} dimensions".format(weight.ndim)
    factors = [attribute_of(node, name) for name in ("alpha", "beta")]
    is_plain = not attribute_of(node, "transA") and all(factor in (None, 1) for factor in factors)
    if operation == "Gemm" and not is_plain:
        return "its Gemm has transA, alpha or beta"
    site = Site(effective, node, kind)
    site.weight = np.asarray(weight, np.float32)
    if operation == "MatMul":
        site.tail = adding
    elif len(node.input) > 2 and node.input[2]:
        site.bias = network.find_constant(node.input[2])
        if site.bias is None:
            return "its bias is not a constant"
    return site
