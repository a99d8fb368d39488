# SPDX-License-Identifier: Apache-2.0
"""The values that layers see: computed for as many layers at a time as fit into a limit of memory."""

from __future__ import annotations

import copy
from typing import Dict, Mapping, Sequence

import numpy as np
import onnx
from onnx import helper

from .network import Network, Runner

Batch = Dict[str, np.ndarray]


class Sizes:
    """The bytes of each value of a network for each batch, from shape inference; what that leaves open is computed."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches: Sequence[Batch] = batches
        self.known: dict[tuple[tuple[int, ...], ...], dict[str, int]] = {}

    def of(self, network: Network, values: Sequence[str]) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {value: [] for value in values}
        for batch in self.batches:
            shapes = tuple(batch[name].shape for name in sorted(batch))
            known = self.known.setdefault(shapes, {})
            if any(value not in known for value in values):
                known.update(infer_sizes(network, batch))
            missing = [value for value in values if value not in known]
            if missing:
                known.update(compute_sizes(network, batch, missing))
            for value, sizes in found.items():
                sizes.append(known[value])
        return found


def infer_sizes(network: Network, batch: Batch) -> dict[str, int]:
    model = copy.deepcopy(network.model)
    del model.graph.value_info[:]
    for value in model.graph.input:
        if value.name in batch:
            del value.type.tensor_type.shape.dim[:]
            for length in batch[value.name].shape:
                value.type.tensor_type.shape.dim.add(dim_value=length)
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception:  # of the compiled module; the shapes are computed then
        return {}
    found = {name: array.nbytes for name, array in batch.items()}
    for value in (*model.graph.value_info, *model.graph.output):
        kind = value.type.tensor_type
        if kind.HasField("shape") and all(dim.HasField("dim_value") for dim in kind.shape.dim) and kind.elem_type:
            count = int(np.prod([dim.dim_value for dim in kind.shape.dim], dtype=np.int64))
            found[value.name] = count * helper.tensor_dtype_to_np_dtype(kind.elem_type).itemsize
    return found


def compute_sizes(network: Network, batch: Batch, values: Sequence[str]) -> dict[str, int]:
    nodes = [helper.make_node("Size", [value], [value + "/size"]) for value in values]
    sizes = network.with_nodes([*network.graph.node, *nodes], {}, [value + "/size" for value in values])
    return {value: 4 * int(size) for value, size in zip(values, Runner(sizes).run(batch))}


def divide_into_runs(sizes: Mapping[str, int], memory: int) -> list[list[str]]:
    """Divide what has these sizes, in its order, into runs that hold no more than the memory; one alone may be larger."""
    found: list[list[str]] = []
    used = 0
    for name, size in sizes.items():
        if not found or used + size > memory:
            found.append([])
            used = 0
        found[-1].append(name)
        used += size
    return found


def capture_values(network: Network, values: Sequence[str], batches: Sequence[Batch]) -> dict[str, list[np.ndarray]]:
    """Return values, one array a batch; the arrays are the caller's to change."""
    outside = {value.name for value in network.graph.input}
    inside = [value for value in values if value not in outside and value not in network.tensors]
    runner = Runner(network.with_nodes(network.graph.node, {}, inside)) if inside else None
    found: dict[str, list[np.ndarray]] = {value: [] for value in values}
    for batch in batches:
        results = dict(zip(inside, runner.run(batch))) if runner is not None else {}
        for value in values:
            if value in outside:
                found[value].append(batch[value].copy())
            else:
                found[value].append(results[value] if value in results else np.array(network.find_constant(value)))
    return found
