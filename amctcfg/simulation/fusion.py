# SPDX-License-Identifier: Apache-2.0
"""Batch normalization folded into the convolution in front of it, as the toolkit does before it quantizes."""

from __future__ import annotations

import copy
from typing import Container, List, Tuple

import numpy as np
import onnx

from ..models.values import attribute_of, read_integer
from .network import Network, find_unused_name


def fuse(network: Network, wanted: Container[str]) -> Network:
    """Fold normalization into the `wanted` convolutions whose only user it is; in TensorFlow's graphs it is a Mul, then an Add."""
    users, taken = network.find_users(), set(network.tensors)
    nodes: list[onnx.NodeProto] = []
    arrays: dict[str, np.ndarray] = {}
    gone = set()
    for node in network.graph.node:
        if node.output and node.output[0] in gone:
            continue
        is_wanted = node.op_type in ("Conv", "ConvTranspose") and node.name in wanted
        found = find_normalization(network, node, users) if is_wanted else None
        if found is None:
            nodes.append(node)
            continue
        passed, scale, mean, shift = found
        gone |= set(passed)
        weight, bias = network.find_constant(node.input[1]), read_bias(network, node)
        assert weight is not None
        names = [find_unused_name("{}/fused_{}".format(node.name, part), taken) for part in ("weight", "bias")]
        fused = copy.deepcopy(node)
        fused.input[1:] = names
        fused.output[:] = passed[-1:]
        before = np.zeros_like(scale) if bias is None else bias
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused where it is quantized
            arrays[names[0]] = weight * by_output(scale, node, weight)
            arrays[names[1]] = ((before - mean) * scale + shift).astype(np.float32)
        nodes.append(fused)
    return network.with_nodes(nodes, arrays) if arrays else network


# The values that go, the last one the result; k, mean and beta of each channel.
Found = Tuple[List[str], np.ndarray, np.ndarray, np.ndarray]


def find_normalization(network: Network, node: onnx.NodeProto, users: dict[str, list[onnx.NodeProto]]) -> Found | None:
    weight = network.find_constant(node.input[1])
    if weight is None or (len(node.input) > 2 and node.input[2] and read_bias(network, node) is None):
        return None
    after = find_only_user(users, node.output[0])
    if after is None:
        return None
    if after.op_type == "BatchNormalization":
        return read_batch_normalization(network, after, node.output[0])
    channels = int(weight.shape[0] if node.op_type == "Conv" else weight.shape[1] * groups_of(node))
    scale = read_per_channel(network, after, "Mul", node.output[0], channels, weight.ndim)
    if scale is None:
        return None
    end, zeros = after.output[0], np.zeros_like(scale)
    adding = find_only_user(users, end)
    shift = None if adding is None else read_per_channel(network, adding, "Add", end, channels, weight.ndim)
    if adding is None or shift is None:
        return [end], scale, zeros, zeros
    return [end, adding.output[0]], scale, zeros, shift


def read_batch_normalization(network: Network, node: onnx.NodeProto, value: str) -> Found | None:
    if node.input[0] != value or attribute_of(node, "training_mode") or sum(map(bool, node.output)) != 1:
        return None
    parts = [part.astype(np.float32) for part in map(network.find_constant, node.input[1:5]) if part is not None]
    if len(parts) != 4:
        return None
    gamma, beta, mean, variance = parts
    epsilon = np.float32(1e-5 if attribute_of(node, "epsilon") is None else attribute_of(node, "epsilon"))
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = gamma * (np.float32(1) / np.sqrt(variance + epsilon))
    return [node.output[0]], scale, mean, beta


def find_only_user(users: dict[str, list[onnx.NodeProto]], value: str) -> onnx.NodeProto | None:
    found = users.get(value, [])
    return found[0] if len(found) == 1 and found[0].op_type else None


def read_per_channel(
    network: Network, node: onnx.NodeProto, operation: str, value: str, channels: int, rank: int
) -> np.ndarray | None:
    if node.op_type != operation or list(node.input).count(value) != 1:
        return None
    constant = network.find_constant(node.input[1 - list(node.input).index(value)])
    if constant is None or constant.dtype != np.float32 or constant.size != channels:
        return None
    wanted = [1] * rank
    wanted[1] = channels
    shape = [1] * (rank - constant.ndim) + list(constant.shape)
    return constant.reshape(-1) if shape == wanted or (channels == 1 and len(shape) == rank) else None


def read_bias(network: Network, node: onnx.NodeProto) -> np.ndarray | None:
    return network.find_constant(node.input[2]) if len(node.input) > 2 and node.input[2] else None


def groups_of(node: onnx.NodeProto) -> int:
    return read_integer(attribute_of(node, "group"), 1)


def by_output(scale: np.ndarray, node: onnx.NodeProto, weight: np.ndarray) -> np.ndarray:
    ones = (1,) * (weight.ndim - 2)
    if node.op_type == "Conv":
        return scale.reshape(-1, 1, *ones)
    groups = groups_of(node)
    each = np.repeat(scale.reshape(groups, 1, -1), weight.shape[0] // groups, axis=1)
    return each.reshape(weight.shape[0], weight.shape[1], *ones)
