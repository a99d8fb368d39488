# SPDX-License-Identifier: Apache-2.0
"""The data that a model is calibrated with: read from files, and checked against the model's inputs before anything runs."""

from __future__ import annotations

import os
import re
from typing import Any, Iterable, Mapping, Sequence
from zipfile import BadZipFile

import numpy as np
import onnx
from onnx import helper

from .calibration import Batch
from .network import HALVES, SimulationError, inputs_of, is_tensorflow

ENDINGS = (".npz", ".npy", ".bin")


def load_batches(paths: Any, model: Any) -> list[Batch]:
    """Read batches of calibration data.

    Args:
        paths: Files, or folders of files, in the order in which they are used. `.npz` holds an array for each input, by
            name; `.npy` and `.bin` the array of the only input, `.bin` in the input's type and shape. A file is a batch;
            in a folder they are sorted by name, and where the model has several inputs, a folder may hold one batch, a
            `.npy` or `.bin` for each input.
        model: The path of the model, or an onnx.ModelProto.

    Returns:
        For each batch, the array of each input.

    Raises:
        OSError: A file can't be read.
        ValueError: A file is none of these, or its arrays are not what the model takes.

    Example:
        >>> load_batches(["calibration.npz"], model="model.onnx")  # doctest: +SKIP
        [{'x': array(...)}]
    """
    inputs = read_inputs(model)
    found: list[tuple[str, Batch]] = []
    for path in [paths] if isinstance(paths, (str, os.PathLike)) else paths:
        name = os.fspath(path)
        if os.path.isdir(name):
            found += read_folder(name, inputs)
        else:
            found.append((name, read_batch(name, inputs)))
    return check_batches(inputs, [batch for _, batch in found], [name for name, _ in found])


def read_inputs(model: Any) -> list[onnx.ValueInfoProto]:
    if not is_tensorflow(model):
        return inputs_of(model)
    from .tensorflow import read_graph_inputs  # needs an extra of its own

    return read_graph_inputs(model)


def read_folder(folder: str, inputs: Sequence[onnx.ValueInfoProto]) -> list[tuple[str, Batch]]:
    files = sorted((f for f in os.listdir(folder) if f.lower().endswith(ENDINGS)), key=natural_key_of)
    if not files:
        raise SimulationError("{} holds no {} file".format(folder, " or ".join(ENDINGS)))
    stems = {os.path.splitext(file)[0]: file for file in files if not file.lower().endswith(".npz")}
    if len(inputs) > 1 and set(stems) == {value.name for value in inputs}:
        batch: Batch = {}
        for value in inputs:
            batch.update(read_batch(os.path.join(folder, stems[value.name]), [value]))
        return [(folder, batch)]
    return [(path, read_batch(path, inputs)) for path in (os.path.join(folder, file) for file in files)]


def natural_key_of(name: str) -> list[Any]:
    """Return a key by which b2 comes before b10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def read_batch(path: str, inputs: Sequence[onnx.ValueInfoProto]) -> Batch:
    try:
        os.stat(path)  # what isn't there is an OSError, whatever it is called
    except ValueError as error:  # a NUL, or half a character
        raise OSError(22, str(error), path) from None
    ending = os.path.splitext(path)[1].lower()
    if ending not in ENDINGS:
        raise SimulationError("{} is not data that is known: it has to be {}".format(path, ", ".join(ENDINGS)))
    if ending == ".npz":
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except (ValueError, EOFError, KeyError, BadZipFile) as error:
            raise SimulationError("{} is not a .npz file: {}".format(path, error)) from None
    if len(inputs) != 1:
        words = "{} holds one array, and the model has the inputs {}: use .npz, with an array for each"
        raise SimulationError(words.format(path, quote_inputs(inputs)))
    if ending == ".bin":
        return {inputs[0].name: read_binary(path, inputs[0])}
    try:
        return {inputs[0].name: np.load(path, allow_pickle=False)}
    except (ValueError, EOFError):
        raise SimulationError("{} is not a .npy file that holds numbers".format(path)) from None


def read_binary(path: str, value: onnx.ValueInfoProto) -> np.ndarray:
    """Read values without a head, in the type and shape of an input of which one length may be open."""
    dtype = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    data = np.fromfile(path, dtype)
    shape = [dim.dim_value if dim.HasField("dim_value") else -1 for dim in value.type.tensor_type.shape.dim]
    size = os.path.getsize(path)
    known = int(np.prod([length for length in shape if length >= 0], dtype=np.int64))
    fits = known and data.size % known == 0 if shape.count(-1) == 1 else data.size == known
    if shape.count(-1) > 1 or not fits or data.nbytes != size:
        words = "{} has {:,} bytes, which are not an array of the input '{}', {} {}"
        raise SimulationError(words.format(path, size, value.name, dtype.name, write_shape(value)))
    return data.reshape(shape)


def check_batches(
    inputs: Sequence[onnx.ValueInfoProto], batches: Iterable[Mapping[str, Any]], names: Sequence[str] = ()
) -> list[Batch]:
    """Return the batches as the model takes them. Raises `SimulationError` for one that it does not take.

    names -- what to call each batch; "batch 1" and so on where there are none.
    """
    found: list[Batch] = []
    wanted = {value.name for value in inputs}
    for number, batch in enumerate(batches, 1):
        where = names[number - 1] if names else "batch {}".format(number)
        if not isinstance(batch, Mapping):
            raise SimulationError("{} is not a mapping of input name to array".format(where))
        if set(batch) != wanted:
            wrong = next((name for name in batch if name not in wanted), None)
            words = (
                "lacks '{}'".format(min(wanted - set(batch)))
                if wrong is None
                else "has '{}', which is not an input".format(wrong)
            )
            raise SimulationError("{} {}; the inputs of the model are {}".format(where, words, quote_inputs(inputs)))
        found.append({value.name: check_array(value, np.asarray(batch[value.name]), where) for value in inputs})
    if not found:
        raise SimulationError("there is no batch of data; at least one is needed")
    return found


def check_array(value: onnx.ValueInfoProto, array: np.ndarray, where: str) -> np.ndarray:
    kind = value.type.tensor_type
    lead = "{}: input '{}'".format(where, value.name)
    half = kind.elem_type in HALVES
    wanted = np.dtype(np.float32) if half else helper.tensor_dtype_to_np_dtype(kind.elem_type)
    if half and array.dtype.name in ("float16", "bfloat16"):
        array = array.astype(np.float32)
    if array.dtype != wanted and not (array.dtype.kind in "SUO" and wanted.kind in "SUO"):
        raise SimulationError("{} has to be {}, not {}".format(lead, wanted.name, array.dtype.name))
    if kind.HasField("shape"):
        lengths = [dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim]
        if len(lengths) != array.ndim or any(n not in (None, m) for n, m in zip(lengths, array.shape)):
            shape = "({})".format(", ".join(map(str, array.shape)))
            raise SimulationError("{} has to have the shape {}, not {}".format(lead, write_shape(value), shape))
    if array.size == 0:
        raise SimulationError("{} is empty".format(lead))
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise SimulationError("{} holds {}".format(lead, "NaN" if np.isnan(array).any() else "infinity"))
    return np.ascontiguousarray(array)


def write_shape(value: onnx.ValueInfoProto) -> str:
    dims = value.type.tensor_type.shape.dim
    return "({})".format(", ".join(str(d.dim_value) if d.HasField("dim_value") else d.dim_param or "?" for d in dims))


def quote_inputs(inputs: Sequence[onnx.ValueInfoProto]) -> str:
    return ", ".join("'{}'".format(value.name) for value in inputs)
