# SPDX-License-Identifier: Apache-2.0
"""The layers of a network that are quantized: where each reads its activations, its weight and its bias."""

from __future__ import annotations

from typing import Any, List, NamedTuple, Optional, Tuple, Union

import numpy as np
import onnx

from ..models.values import attributes_of
from ..resolve.effective import EffectiveConfig
from .algorithms import arq, dmq, fake_quantize
from .fusion import groups_of
from .network import Network

CONVOLUTION, DECONVOLUTION, LINEAR, POOL, PRODUCT = "convolution", "deconvolution", "linear", "pool", "product"
BITS = {"INT4": 4, "INT8": 8, "INT16": 16}


class SiteSetting(NamedTuple):
    """The values of a layer's block that decide its factors."""

    bits: int
    asymmetric: bool
    bins: Optional[int]  # of HFMG, None for IFMR
    percentiles: Tuple[float, float]
    search: Tuple[float, float, float]
    weight_bits: int
    channel_wise: bool
    strength: Optional[float]  # of the balancer
    learnt: bool  # AdaRound, which is not simulated

    @property
    def weights(self) -> Tuple[Any, ...]:
        """The values that decide the weights."""
        return self.weight_bits, self.channel_wise, self.strength

    @property
    def activations(self) -> Tuple[Any, ...]:
        """The values that decide the activations' factors."""
        return self.bits, self.asymmetric, self.bins, self.percentiles, self.search, self.strength


def setting_of(effective: EffectiveConfig, kind: str) -> SiteSetting:
    """Return the values of a layer's block that the simulation follows; a product of two variables has no offset."""
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


def as_key(array: Optional[np.ndarray]) -> Optional[bytes]:
    """Return the values of an array as a part of a key."""
    return None if array is None else array.tobytes()


class Weights(NamedTuple):
    """The quantized weight of a layer. values -- rounded, as floats. plain -- in floats, balanced. scale -- of each channel, or one."""

    values: np.ndarray
    plain: np.ndarray
    scale: np.ndarray


class Site:
    """A layer in a network.

    values -- the names of the activations that are quantized: its input, or both of a product. weight, bias -- arrays, None
    where it has none. result -- the name of its output, behind the Add of a Linear that is a MatMul and an Add.
    """

    def __init__(self, effective: EffectiveConfig, node: onnx.NodeProto, kind: str) -> None:
        self.effective: EffectiveConfig = effective
        self.name: str = effective.layer.name
        self.setting: SiteSetting = setting_of(effective, kind)
        self.node: onnx.NodeProto = node
        self.kind: str = kind
        self.values: List[str] = list(node.input[: 2 if kind == PRODUCT else 1])
        self.weight: Optional[np.ndarray] = None
        self.bias: Optional[np.ndarray] = None
        self.tail: Optional[onnx.NodeProto] = None

    @property
    def result(self) -> str:
        return str((self.tail or self.node).output[0])

    # ------------------------------------------------------------ channels

    def apart(self) -> Tuple[Tuple[int, ...], Tuple[int, ...], Tuple[int, ...]]:
        """Return the weight's shape with groups on an axis of their own, and the axes of input and output channels."""
        assert self.weight is not None
        shape = self.weight.shape
        if self.kind == LINEAR:
            transposed = attributes_of(self.node)("transB")
            return shape, ((1,) if transposed else (0,)), ((0,) if transposed else (1,))
        groups = groups_of(self.node)
        whole = (groups, shape[0] // groups, *shape[1:])
        return (whole, (0, 2), (0, 1)) if self.kind == CONVOLUTION else (whole, (0, 1), (0, 2))

    def channels_of(self, activations: np.ndarray) -> np.ndarray:
        """Return the largest magnitude in each input channel."""
        axis = activations.ndim - 1 if self.kind == LINEAR else 1
        found: np.ndarray = np.max(np.abs(activations), axis=tuple(i for i in range(activations.ndim) if i != axis))
        return found

    def by_channel(self, factors: np.ndarray) -> np.ndarray:
        """Return factors of the input channels in a shape that activations can be divided by."""
        assert self.weight is not None
        return factors if self.kind == LINEAR else factors.reshape(1, -1, *(1,) * (self.weight.ndim - 2))

    # ------------------------------------------------------------ weights

    def balance(self, activations: np.ndarray) -> np.ndarray:
        """Return the balancer's factor of each input channel, from the largest magnitudes of the activations."""
        assert self.weight is not None and self.setting.strength is not None
        shape, inputs, _ = self.apart()
        others = tuple(axis for axis in range(len(shape)) if axis not in inputs)
        magnitudes = np.max(np.abs(self.weight.reshape(shape)), axis=others).reshape(-1)
        return dmq(activations, magnitudes, self.setting.strength)

    def quantize(self, balance: Optional[np.ndarray]) -> Optional[Weights]:
        """Return the weight as the quantized layer has it, balanced where there are factors; None where it has none."""
        if self.weight is None:
            return None
        shape, inputs, outputs = self.apart()
        plain = self.weight.reshape(shape)
        if balance is not None:
            plain = plain * balance.reshape([n if axis in inputs else 1 for axis, n in enumerate(shape)])
        axes = tuple(axis for axis in range(len(shape)) if axis not in outputs) if self.setting.channel_wise else None
        with np.errstate(over="ignore", invalid="ignore"):
            scale = arq(plain, self.setting.weight_bits, axes)
            values = fake_quantize(plain, scale, self.setting.weight_bits)
        return Weights(values.reshape(self.weight.shape), plain.reshape(self.weight.shape), scale.reshape(-1))


def site_of(
    effective: EffectiveConfig, node: onnx.NodeProto, adding: Optional[onnx.NodeProto], network: Network
) -> Union[Site, str]:
    """Find the layer at a node, with the Add behind it that is a part of it; or in words why it can't be simulated."""
    operation = node.op_type
    if operation in ("AveragePool", "GlobalAveragePool"):
        return Site(effective, node, POOL)
    kind = {"Conv": CONVOLUTION, "ConvTranspose": DECONVOLUTION, "Gemm": LINEAR, "MatMul": LINEAR}.get(operation)
    if kind is None:
        return "{} is not simulated".format(operation)
    weight = network.constant(node.input[1])
    if weight is None:
        if operation == "MatMul":
            return Site(effective, node, PRODUCT)
        return "its weight is not a constant"
    if kind == LINEAR and weight.ndim != 2:
        return "its weight has {} dimensions".format(weight.ndim)
    attribute = attributes_of(node)
    is_plain = not attribute("transA") and all(attribute(name) in (None, 1) for name in ("alpha", "beta"))
    if operation == "Gemm" and not is_plain:
        return "its Gemm has transA, alpha or beta"
    site = Site(effective, node, kind)
    site.weight = np.asarray(weight, np.float32)
    if operation == "MatMul":
        site.tail = adding
    elif len(node.input) > 2 and node.input[2]:
        site.bias = network.constant(node.input[2])
        if site.bias is None:
            return "its bias is not a constant"
    return site
