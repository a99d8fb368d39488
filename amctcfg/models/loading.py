# SPDX-License-Identifier: Apache-2.0
"""The layers of a model in a file: a TensorFlow graph, an ONNX model, or a table."""

from __future__ import annotations

import os
from typing import Any, List, Tuple

from ..diagnostics.source import Source, decode
from ..documents.files import PathLike, display_name, open_file
from ..flavours.flavour import Flavour
from ..flavours.layer import Layer
from ..flavours.tf_ascend import TF_ASCEND
from .graphs import Examined, graph_error
from .tables import csv_rows, json_rows, table_layers


def load_layers(path: PathLike, flavour: Flavour[Any] = TF_ASCEND) -> Tuple[Layer, ...]:
    """The layers of a model, in its order: from a frozen TensorFlow graph (`.pb`, `.pbtxt`), an ONNX model (`.onnx`), or a
    table (`.json`, `.csv`).

    For a SavedModel, pass the folder. A table is `[{"name":..., "type":..., "supported":..., "lacks":[...]}]`, or
    `name,type[,supported[,lacks]]` with that header; `supported` is true where it is left out. Which nodes of a graph are
    supported follows the types of the `flavour`. Raises `ConfigError` for a file that is none of these, or a row that is
    wrong, `OSError` for one that can't be read, and `ImportError` where a graph is to be read and the package protobuf is
    missing.
    """
    return tuple(examined.layer for examined in examine_file(path, flavour))


def examine_file(path: PathLike, flavour: Flavour[Any] = TF_ASCEND) -> List[Examined]:
    """The layers in a file, each with what keeps it from being quantized, where that is known."""
    from . import onnx, tensorflow

    name = display_name(path)
    if "\0" not in name and os.path.isdir(name):  # Python 3.7 does not answer for a NUL
        inside = os.path.join(name, "saved_model.pb")
        if not os.path.exists(inside):
            hint = "give the frozen graph itself; for a SavedModel, pass the folder with saved_model.pb. Or "
            raise graph_error("syntax", "this folder holds no saved_model.pb", name, hint + tensorflow.FREEZE)
        name = inside
    with open_file(name, "rb") as file:
        data = file.read()
    extension = os.path.splitext(name)[1].lower()
    if extension in (".json", ".csv"):
        source = Source(decode(data, name), name)
        if source.text.startswith("\ufeff"):  # as spreadsheets save it
            source = Source(source.text[1:], name)
        rows = json_rows(source) if extension == ".json" else csv_rows(source)
        return [Examined(layer, None) for layer in table_layers(source, rows)]
    if extension == ".onnx" or onnx.is_onnx(data):
        return onnx.read_model(data, name, flavour)
    return tensorflow.read_graph(data, name, flavour)


def describe(examined: Examined, flavour: Flavour[Any]) -> str:
    """Whether a layer can be quantized, or why not, in words."""
    layer, reason, note = examined
    layer_type = flavour.types.get(layer.type)
    if layer_type is None:
        return ""
    if not layer_type.quantizable:
        return "for tensor_quantize only"
    if not layer.supported:
        return "not quantizable: {}".format(reason or "the table says so")
    words = ["quantizable"]
    if layer.lacks:
        words.append("without {}".format(", ".join(layer.lacks)))
    return ", ".join(words) + ("; {}".format(note) if note else "")
