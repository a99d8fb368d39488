# SPDX-License-Identifier: Apache-2.0
"""An ONNX model taken apart: nodes, and weights as arrays, so that either can be replaced without copying the other."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass, field
from typing import IO, Any, Iterable, Iterator, Mapping, Sequence

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, external_data_helper, helper, numpy_helper

from ..documents.files import PathLike, write_bytes
from ..models.loading import recognize_graph

OLDEST = 11  # the opset that has Round and Clip as they are needed
SMALL_ARRAY = 1024  # bytes: what is smaller may be a shape, and stays in the graph
ALIGNED = 4096  # bytes: where an array begins in a file, so that it can be mapped
INLINE = 1_900_000_000  # bytes of weights that fit into one protobuf message
ELSEWHERE = "amctcfg-weights"  # never opened: onnxruntime is given the arrays
HALVES = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
CONSTANT_NODES = (
    "Constant", "Identity", "Transpose", "Cast", "Reshape", "Squeeze", "Unsqueeze", "DequantizeLinear", "Flatten",
)  # fmt: skip


class SimulationError(ValueError):
    """A model or data that can't be simulated, in a sentence."""


@dataclass(eq=False, repr=False)
class Network:
    """A model whose larger weights are arrays beside the graph."""

    model: onnx.ModelProto  # without the data of `arrays`
    arrays: dict[str, np.ndarray]
    folder: str | None = None  # of external data
    notes: list[str] = field(default_factory=list)  # what was converted
    declared: Sequence[onnx.ValueInfoProto] = ()  # the inputs as the file has them, before anything was converted

    def __post_init__(self) -> None:
        self.tensors: dict[str, onnx.TensorProto] = {tensor.name: tensor for tensor in self.graph.initializer}
        self.makers: dict[str, onnx.NodeProto] = {value: n for n in self.graph.node for value in n.output if value}

    @property
    def graph(self) -> onnx.GraphProto:
        return self.model.graph

    def list_outputs(self) -> list[str]:
        return [value.name for value in self.graph.output]

    def find_constant(self, name: str) -> np.ndarray | None:
        """Return the array that a value always has, also behind a Transpose and its like; None for any other value."""
        if name in self.arrays:
            return self.arrays[name]
        if name in self.tensors:
            return numpy_helper.to_array(self.tensors[name])
        if not self.is_constant(name):
            return None
        (result,) = Runner(self.with_nodes(self.graph.node, {}, [name], ())).run({})
        return result

    def is_constant(self, name: str) -> bool:
        node = self.makers.get(name)
        if node is None:
            return name in self.tensors
        is_known = node.op_type in CONSTANT_NODES and len(node.output) == 1
        return is_known and all(map(self.is_constant, filter(None, node.input)))

    def find_users(self) -> dict[str, list[onnx.NodeProto]]:
        """Return the nodes that read each value; an output of the model counts as one more."""
        found: dict[str, list[onnx.NodeProto]] = {}
        for node in self.graph.node:
            for value in (*node.input, *iter_outer_values(node)):
                found.setdefault(value, []).append(node)
        for value in self.list_outputs():
            found.setdefault(value, []).append(onnx.NodeProto())
        return found

    def with_nodes(
        self,
        nodes: Iterable[onnx.NodeProto],
        arrays: dict[str, np.ndarray],
        outputs: Sequence[str] | None = None,
        inputs: Iterable[str] | None = None,
    ) -> Network:
        """Return a network with other nodes, further weights, and perhaps other outputs, other inputs; only what these need."""
        model = copy.deepcopy(self.model)
        if inputs is not None:
            given = dict.fromkeys(inputs)
            nodes = [node for node in nodes if given.keys().isdisjoint(node.output)]
            del model.graph.input[:]
            model.graph.input.extend(helper.make_tensor_value_info(v, TensorProto.FLOAT, None) for v in given)
        del model.graph.node[:]
        model.graph.node.extend(nodes if outputs is None else find_needed(nodes, outputs))
        new = [make_placeholder(name, array) for name, array in arrays.items() if name not in self.tensors]
        model.graph.initializer.extend(new)
        if outputs is not None:
            own = {value.name: value for value in self.graph.output}
            del model.graph.output[:]
            model.graph.output.extend(own.get(name) or onnx.ValueInfoProto(name=name) for name in outputs)
        return Network(model, {**self.arrays, **arrays}, self.folder, self.notes)

    def make_compact(self) -> onnx.ModelProto:
        used = {value for node in self.graph.node for value in (*node.input, *iter_outer_values(node))}
        used.update(self.list_outputs())
        kept = [tensor for tensor in self.graph.initializer if tensor.name in used]
        model = copy.deepcopy(self.model)
        del model.graph.initializer[:]
        model.graph.initializer.extend(kept)
        return model

    def iter_taken_out(self, model: onnx.ModelProto) -> Iterator[tuple[onnx.TensorProto, np.ndarray]]:
        """Yield the initializers of a compact model whose data is not in it, and that."""
        for tensor in model.graph.initializer:
            if tensor.data_location == TensorProto.EXTERNAL:
                yield tensor, np.ascontiguousarray(self.arrays[tensor.name])

    def make_proto(self) -> onnx.ModelProto:
        model = self.make_compact()
        for tensor, array in self.iter_taken_out(model):
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        return model

    def save(self, path: PathLike) -> None:
        """Write the model, large weights beside it. Raises `OSError`, and leaves what was there until all is written."""
        if self.folder is None and sum(array.nbytes for array in self.arrays.values()) < INLINE:
            write_bytes(self.make_proto().SerializeToString(), path)
            return
        model = self.make_compact()
        weights = os.path.realpath(path) + ".data"

        def write_arrays(file: IO[bytes]) -> None:
            for tensor, array in self.iter_taken_out(model):
                file.write(b"\0" * (-file.tell() % ALIGNED))
                point_to(tensor, location=os.path.basename(weights), offset=file.tell(), length=array.nbytes)
                file.write(array.reshape(-1).view(np.uint8).data)

        write_bytes(write_arrays, weights)
        write_bytes(model.SerializeToString(), path)


def find_needed(nodes: Iterable[onnx.NodeProto], outputs: Iterable[str]) -> list[onnx.NodeProto]:
    """Return the nodes that some values depend on; onnxruntime computes the others, too, if they are there."""
    nodes = list(nodes)
    makers = {value: index for index, node in enumerate(nodes) for value in node.output}
    pending, kept = list(outputs), set()
    while pending:
        index = makers.get(pending.pop())
        if index is not None and index not in kept:
            kept.add(index)
            pending += [*nodes[index].input, *iter_outer_values(nodes[index])]
    return [nodes[index] for index in sorted(kept)]


def iter_outer_values(node: onnx.NodeProto) -> Iterator[str]:
    """Yield the values that the subgraphs of a node read, among them those of the graph around it."""
    for attribute in node.attribute:
        for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
            for inner in graph.node:
                yield from inner.input
                yield from iter_outer_values(inner)
            for output in graph.output:
                yield output.name


def make_placeholder(name: str, array: np.ndarray) -> onnx.TensorProto:
    """Return an initializer whose data is given at run time, or the data itself where it is small."""
    if array.nbytes < SMALL_ARRAY:
        return numpy_helper.from_array(np.ascontiguousarray(array), name)
    tensor = TensorProto(name=name, dims=array.shape, data_type=helper.np_dtype_to_tensor_dtype(array.dtype))
    point_to(tensor, location=ELSEWHERE)
    return tensor


def point_to(tensor: onnx.TensorProto, **place: Any) -> None:
    tensor.data_location = TensorProto.EXTERNAL
    del tensor.external_data[:]
    for key, value in place.items():
        tensor.external_data.add(key=key, value=str(value))


def rename_values(node: onnx.NodeProto, names: Mapping[str, str]) -> None:
    for values in (node.input, node.output):
        values[:] = [names.get(value, value) for value in values]


def find_unused_name(name: str, taken: Any) -> str:
    found, number = name, 1
    while found in taken:
        number += 1
        found = "{}_{}".format(name, number)
    taken.add(found)
    return found


# ---------------------------------------------------------------- reading


def load_model(model: str | os.PathLike[str] | onnx.ModelProto) -> tuple[onnx.ModelProto, str | None]:
    """Return a copy of a model, or what a file holds, and its folder. Raises `SimulationError`, `OSError`."""
    loaded = (copy.deepcopy(model), None) if isinstance(model, onnx.ModelProto) else read_file(model)
    if not loaded[0].graph.node:
        raise SimulationError("the model has no nodes")
    return loaded


def take_network(proto: onnx.ModelProto, folder: str | None) -> Network:
    """Take a loaded model apart, at opset 11 or newer and in float32. Raises `SimulationError`, `OSError`."""
    external = any(external_data_helper.uses_external_data(tensor) for tensor in proto.graph.initializer)
    if external and folder is None:
        raise SimulationError("the model's weights lie in a file of their own: give the path of the model")
    declared = copy.deepcopy(inputs_of(proto))
    del proto.graph.input[:]  # the constants were inputs, too, before IR version 4
    proto.graph.input.extend(declared)
    proto.ir_version = max(proto.ir_version, 4)
    proto, notes = at_newer_opset(proto, folder or "")
    notes += in_float32(proto)
    arrays = take_apart(proto, folder or "")
    return Network(proto, arrays, folder if external else None, notes, declared)


def is_tensorflow(model: Any) -> bool:
    return not isinstance(model, onnx.ModelProto) and recognize_graph(model) == "tensorflow"


def inputs_of(model: Any) -> list[onnx.ValueInfoProto]:
    """Return the inputs that a batch has to give. Raises `SimulationError`, `OSError`."""
    proto = model if isinstance(model, onnx.ModelProto) else read_file(model)[0]
    constants = {tensor.name for tensor in proto.graph.initializer}
    return [value for value in proto.graph.input if value.name not in constants]


def list_weight_files(model: Any) -> list[str]:
    """Return the files beside an ONNX model that hold its weights. Raises `SimulationError`, `OSError`."""
    if is_tensorflow(model):
        return []
    proto, folder = read_file(model)
    outside = filter(external_data_helper.uses_external_data, proto.graph.initializer)
    names = {external_data_helper.ExternalDataInfo(tensor).location for tensor in outside}
    return [os.path.join(folder, name) for name in sorted(names)]


def read_file(path: Any) -> tuple[onnx.ModelProto, str]:
    name = os.fspath(path)
    return parse_file(onnx.ModelProto(), name, "an ONNX model"), os.path.dirname(os.path.abspath(name))


def parse_file(message: Any, path: Any, what: str) -> Any:
    """Read the message that a file holds. Raises `SimulationError`, `OSError`."""
    with open(path, "rb") as file:
        data = file.read()
    try:
        message.ParseFromString(data)
    except Exception:  # the error's class depends on protobuf's build
        raise SimulationError("{} is not {}".format(path, what)) from None
    return message


def at_newer_opset(proto: onnx.ModelProto, folder: str) -> tuple[onnx.ModelProto, list[str]]:
    version = next((entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), 1)
    if version >= OLDEST:
        return proto, []
    from onnx import version_converter

    if folder:
        onnx.load_external_data_for_model(proto, folder)
    try:
        converted = version_converter.convert_version(proto, OLDEST)
    except Exception as error:
        message = "the model has opset {}; it can't be converted to {}, the oldest that is simulated: {}"
        raise SimulationError(message.format(version, OLDEST, first_line_of(error))) from None
    return converted, ["the model was converted from opset {} to {}".format(version, OLDEST)]


def take_apart(proto: onnx.ModelProto, folder: str) -> dict[str, np.ndarray]:
    """Take the data of the larger initializers out; external data is mapped, not read."""
    arrays: dict[str, np.ndarray] = {}
    for tensor in proto.graph.initializer:
        external = external_data_helper.uses_external_data(tensor)
        array = map_external(tensor, folder) if external else numpy_helper.to_array(tensor)
        is_half = tensor.data_type in HALVES
        if tensor.data_type != TensorProto.STRING and (external or is_half or array.nbytes >= SMALL_ARRAY):
            arrays[tensor.name] = array.astype(np.float32) if is_half else array
            tensor.CopyFrom(make_placeholder(tensor.name, arrays[tensor.name]))
    return arrays


def map_external(tensor: onnx.TensorProto, folder: str) -> np.ndarray:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    path = os.path.join(folder, entries.get("location", ""))
    dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    count = int(np.prod(tensor.dims, dtype=np.int64))
    offset = int(entries.get("offset", 0))
    if not os.path.isfile(path) or os.path.getsize(path) < offset + count * dtype.itemsize:
        raise SimulationError("the weights of the model are missing: {}, or a part of it".format(path))
    if count == 0:
        return np.zeros(tuple(tensor.dims), dtype)
    return np.memmap(path, dtype, "r", offset, tuple(tensor.dims))


def in_float32(proto: onnx.ModelProto) -> list[str]:
    """Turn the halves of a graph into float32: inputs, outputs, casts, constants."""
    changed = any(tensor.data_type in HALVES for tensor in proto.graph.initializer)
    for value in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info):
        if value.type.tensor_type.elem_type in HALVES:
            changed = True
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    for node in proto.graph.node:
        for attribute in node.attribute:
            if attribute.name in ("to", "dtype") and attribute.i in HALVES:
                attribute.i = TensorProto.FLOAT
            if attribute.HasField("t") and attribute.t.data_type in HALVES:
                wide = numpy_helper.to_array(attribute.t).astype(np.float32)
                attribute.t.CopyFrom(numpy_helper.from_array(wide, attribute.t.name))
    return ["the model is in float16; it is computed in float32"] if changed else []


# ---------------------------------------------------------------- running


class Runner:
    def __init__(self, network: Network) -> None:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4
        self.outputs: list[str] = network.list_outputs()
        model = network.make_compact()
        given = {tensor.name: array for tensor, array in network.iter_taken_out(model)}
        values = list(map(onnxruntime.OrtValue.ortvalue_from_numpy, given.values()))
        self.given: Any = (given, values)  # onnxruntime reads the arrays where they are
        if given:
            options.add_external_initializers(list(given), values)
        try:
            self.session: Any = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # classes of the compiled module
            raise SimulationError("onnxruntime can't load the model: {}".format(first_line_of(error))) from None
        self.names: list[str] = [value.name for value in self.session.get_inputs()]

    def run(self, batch: dict[str, np.ndarray]) -> list[np.ndarray]:
        try:
            found = self.session.run(self.outputs, {name: batch[name] for name in self.names})
        except Exception as error:
            raise SimulationError("onnxruntime can't run the model: {}".format(first_line_of(error))) from None
        return [np.asarray(value) for value in found]


def first_line_of(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
