# SPDX-License-Identifier: Apache-2.0
"""The layers of a model in a file: a TensorFlow graph, an ONNX model, or a table."""

from __future__ import annotations

import contextlib
import os
import re
from typing import Iterable

from ..diagnostics.diagnostic import ConfigError
from ..diagnostics.source import Source, decode
from ..diagnostics.words import quote_names
from ..documents.files import PathLike, display_name, open_file
from ..flavours.flavour import Flavour, require_flavour
from ..flavours.layer import MINOR_TYPES, Layers
from ..flavours.onnx import ONNX
from ..flavours.tf_ascend import TF_ASCEND
from .graphs import Examined, with_traits
from .tables import read_table

# An ONNX ModelProto begins with an IR version from 3 to 99, where a SavedModel has 1, and the tag of another field.
ONNX_BEGINNING = rb"\x08[\x03-\x63][\x12\x1A\x22\x28\x32\x3A\x42]"

# What keeps the names in an export, for those who read that one is not certain.
KEEPS_NAMES = (
    "torch.onnx.export(..., dynamo=True) keeps them;"
    " the older exporter does with do_constant_folding=False, training=TrainingMode.PRESERVE"
)


def load_layers(path: PathLike, flavour: Flavour | None = None) -> Layers:
    """Read the layers of a model, in its order.

    Args:
        path: A frozen TensorFlow graph (`.pb`, `.pbtxt`), the folder of a SavedModel, an ONNX model, both recognised by
            their content, or a table (`.json`, `.csv`): `[{"name":..., "type":..., "supported":..., "lacks":[...]}]`, or
            `name,type[,supported[,lacks]]` with that header; `supported` is true where it is left out.
        flavour: Decides by its types which nodes are supported. Left out: ONNX for an ONNX model, else TF-Ascend. Under a
            PyTorch flavour, the layers of an ONNX model are called what the modules are called that it was exported from.

    Returns:
        All nodes, or all rows, in their order.

    Raises:
        ConfigError: The file is none of these, or a row is wrong.
        OSError: The file can't be read.
        ImportError: A graph is to be read and the package protobuf is missing.

    Example:
        >>> [layer.name for layer in load_layers("frozen.pb") if layer.supported]  # doctest: +SKIP
        ['conv1', 'fc']
    """
    return as_layers(examine_file(path, flavour), path, flavour)


def as_layers(examined: list[Examined], path: PathLike, flavour: Flavour | None) -> Layers:
    if recognize_graph(path) == "table":
        return Layers(found.layer for found in examined)
    is_exported = flavour is not None and flavour.graphs == "torch"  # modules may have been folded away
    return with_traits(examined, is_complete=not is_exported)


def examine_file(path: PathLike, flavour: Flavour | None = None) -> list[Examined]:
    """Read the layers in a file, each with what keeps it from being quantized, where that is known."""
    from . import onnx, tensorflow

    name = display_name(path)
    if flavour is not None:
        require_flavour(flavour)
    if "\0" not in name and os.path.isdir(name):  # Python 3.7 does not answer for a NUL
        inside = os.path.join(name, "saved_model.pb")
        if not os.path.isfile(inside):  # a pipe there would be waited for
            hint = "give the frozen graph itself; for a SavedModel, pass the folder with saved_model.pb. Or "
            raise ConfigError.single("syntax", "this folder holds no saved_model.pb", name, hint + tensorflow.FREEZE)
        name = inside
    with open_file(name) as file:
        data = file.read()
    extension = os.path.splitext(name)[1].lower()
    if extension in (".json", ".csv"):
        text = decode(data, name)
        source = Source(text[1:] if text.startswith("\ufeff") else text, name)  # as spreadsheets save it
        return [Examined(x, None, minor=x.type in MINOR_TYPES) for x in read_table(source, extension)]
    if kind_of(data, name) == "onnx":
        return onnx.read_onnx(data, name, flavour or ONNX)
    return tensorflow.read_tensorflow(data, name, flavour or TF_ASCEND)


def link_nodes(examined: Iterable[Examined]) -> dict[str, tuple[str, ...]] | None:
    """Return the nodes that each node of a graph reads, by the names of layers; None for a table or a SavedModel."""
    return {found.layer.name: found.sources for found in examined if found.sources is not None} or None


def recognize_graph(path: PathLike) -> str:
    """Tell the kind of a model's file by its first bytes: "onnx", "tensorflow", "table", or "" where there is none."""
    name, data = display_name(path), b""
    if name.lower().endswith((".json", ".csv")):
        return "table"
    with contextlib.suppress(OSError, ValueError):  # what can't be read is reported where it is needed
        if os.path.isfile(name):
            with open(name, "rb") as file:
                data = file.read(3)
    return kind_of(data, name)


def kind_of(data: bytes, name: str) -> str:
    if re.match(ONNX_BEGINNING, data):
        return "onnx"
    begins_with_node = data.startswith(b"\n")  # as a GraphDef does
    return "onnx" if name.lower().endswith(".onnx") and not begins_with_node else "tensorflow"


def doubt_names(examined: Iterable[Examined]) -> str | None:
    """Say which names of layers are not certain, and how to export them; None where all are."""
    names = [found.layer.name for found in examined if not found.certain]
    if not names:
        return None
    lead = "the name {} is not certain" if len(names) == 1 else "the names {} are not certain"
    return "{}: the export lost what they were part of; {}".format(lead.format(quote_names(names, 5)), KEEPS_NAMES)


def describe(examined: Examined, flavour: Flavour) -> str:
    """Say whether a layer can be quantized, or why not, and what is special about it."""
    layer = examined.layer
    layer_type = flavour.types.get(layer.type)
    if layer_type is None:
        return ""
    if not layer_type.quantizable:
        return "for tensor_quantize only"
    words = "quantizable{}".format(", without {}".format(", ".join(layer.lacks)) if layer.lacks else "")
    if not layer.supported:
        words = "not quantizable: {}".format(examined.reason or "the table says so")
    return "; ".join([words, *notes_of(examined)])


def notes_of(examined: Examined) -> list[str]:
    return [*examined.traits.list_notes(), *([examined.note] if examined.note else [])]
