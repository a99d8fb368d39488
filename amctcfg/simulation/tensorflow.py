# SPDX-License-Identifier: Apache-2.0
"""A frozen TensorFlow graph as an ONNX model in which the layers keep their names, by tf2onnx (extra `tensorflow`)."""

from __future__ import annotations

import logging
import os
import re
from typing import Any, Iterable

import onnx
from onnx import helper

from .network import SimulationError, find_needed, first_line_of, parse_file, rename_values

OPSET = 15
# Operations whose results nobody asks for, although nothing reads them.
NO_OUTPUTS = ("NoOp", "Const", "Placeholder", "Assert")


def read_graph_def(path: Any) -> Any:
    """Read a GraphDef. Raises `SimulationError`, `OSError`, and `ImportError` without the extra."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # or it talks about the processor
    try:
        import tensorflow
        import tf2onnx  # noqa: F401
    except ImportError as error:
        words = (
            'the simulation of a TensorFlow graph needs {}, which is not installed: pip install "amctcfg[tensorflow]"'
        )
        raise ImportError(words.format(error.name or "tf2onnx")) from None
    graph = tensorflow.compat.v1.GraphDef()
    if os.path.isdir(path):
        raise SimulationError("{} is a folder; freeze the graph first, a SavedModel is not simulated".format(path))
    return parse_file(graph, path, "a frozen TensorFlow graph")


def read_graph_inputs(path: Any) -> list[onnx.ValueInfoProto]:
    import numpy as np

    graph = read_graph_def(path)
    from tensorflow import dtypes

    found = []
    for node in list_placeholders(graph):
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtypes.as_dtype(node.attr["dtype"].type).as_numpy_dtype))
        shape = node.attr["shape"].shape
        is_known = "shape" in node.attr and not shape.unknown_rank
        lengths = [d.size if d.size >= 0 else None for d in shape.dim] if is_known else None
        found.append(helper.make_tensor_value_info(node.name, kind, lengths))
    return found


def list_placeholders(graph: Any) -> list[Any]:
    return [node for node in graph.node if node.op == "Placeholder"]


def list_outputs_of_graph(graph: Any) -> list[str]:
    read = {re.sub(r"^\^|:\d+$", "", value) for node in graph.node for value in node.input}
    return [node.name for node in graph.node if node.name not in read and node.op not in NO_OUTPUTS]


def convert_graph(path: Any, layers: Iterable[str]) -> onnx.ModelProto:
    """Convert a graph into a model in which the layers are nodes of their names.

    A layer whose own output is asked for keeps its name, and batch normalization stays apart from it; the outputs that
    were asked for are taken away again. Inputs and outputs are named as in the graph, without `:0`.
    """
    graph = read_graph_def(path)
    import tf2onnx

    for name in ("tf2onnx", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    inputs, outputs = [node.name for node in list_placeholders(graph)], list_outputs_of_graph(graph)
    here = {node.name for node in graph.node}
    asked = [name for name in layers if name in here and name not in outputs]
    try:
        model: onnx.ModelProto
        model, _ = tf2onnx.convert.from_graph_def(
            graph,
            input_names=[name + ":0" for name in inputs],
            output_names=[name + ":0" for name in (*outputs, *asked)],
            opset=OPSET,
        )
    except Exception as error:  # of any class
        raise SimulationError("tf2onnx can't convert {}: {}".format(path, first_line_of(error))) from None
    rename_all_values(model, {name + ":0": name for name in (*inputs, *outputs)})
    kept = [value for value in model.graph.output if value.name in outputs]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    nodes = find_needed(model.graph.node, outputs)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def rename_all_values(model: onnx.ModelProto, names: Any) -> None:
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        value.name = names.get(value.name, value.name)
    for node in model.graph.node:
        rename_values(node, names)
