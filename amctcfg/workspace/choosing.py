# SPDX-License-Identifier: Apache-2.0
"""The choice of the flavour that a file is read as, where neither options nor its head name one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Optional, Sequence, Tuple

from ..flavours import FLAVOURS
from ..flavours.flavour import Flavour
from ..flavours.layer import Layer
from ..flavours.tf_ascend import TF_ASCEND
from .failure import require_known
from .model import kind_of_model

if TYPE_CHECKING:
    from .file import ConfigFile


def flavour_by_name(name: str, file: str = "") -> Flavour:
    """Return the flavour of a name, which stands in the head of a file. Raises `Failure` where there is none."""
    where = file + ": " if file else ""
    require_known(name, FLAVOURS, "flavour", "there are {}".format(", ".join(FLAVOURS)), where)
    return FLAVOURS[name]


def choose_flavour(
    file: ConfigFile, graph: Optional[str] = None, read_table: Callable[[], Sequence[Layer]] = tuple
) -> Tuple[Flavour, str]:
    """Return the flavour that a file and its model suggest, and by what evidence.

    The model's kind counts first, then the fields of the text, then the types that it names. It is TF-Ascend where
    nothing speaks against it. `read_table` gives the layers of a model that is a table.
    """
    kind = kind_of_model(graph)
    tree = file.tree
    if kind not in ("onnx", "table"):
        if file.is_json and not kind:
            return choose_by_keys(file.text)
        if tree is None:
            return TF_ASCEND, ""
        from ..documents.detecting import fits_tf_ascend

        if fits_tf_ascend(tree):
            return TF_ASCEND, ""
    from ..documents.detecting import evidence, rank_flavours

    layers = read_table() if kind == "table" else ()
    ranked = [] if tree is None else rank_flavours(tree, layers)
    suited = [flavour for flavour in ranked if kind in ("", "table") or flavour.graphs == kind]
    if tree is None or not suited:
        return choose_by_model(kind, layers, graph)
    best = suited[0]
    words = evidence(tree, best)
    if kind == "onnx":
        words.insert(0, "{} is an ONNX model".format(graph))
    elif kind == "table":
        types = dict.fromkeys(layer.type for layer in layers)
        telling = [name for name in types if name in best.types and name not in TF_ASCEND.types]
        words += [name for name in telling[:3] if name not in words]
    return best, ", ".join(words[:6]) or "the types of {}".format(graph)


def choose_by_model(kind: str, layers: Sequence[Layer], graph: Optional[str]) -> Tuple[Flavour, str]:
    """Return the flavour that a model alone suggests."""
    if kind == "onnx":
        for flavour in FLAVOURS.values():
            if flavour.graphs == kind:
                return flavour, "{} is an ONNX model".format(graph)
    if kind == "table":
        from ..documents.detecting import detect

        return detect("", layers)[0], "the types of {}".format(graph)
    return TF_ASCEND, "the types of {}".format(graph)


def choose_by_keys(text: str) -> Tuple[Flavour, str]:
    """Return the flavour of a JSON quantization config without a model: by its global keys."""
    if '"fakequant_precision_mode"' in text or ('"batch_num"' in text and '"joint_quant"' not in text):
        return FLAVOURS.get("pytorch", TF_ASCEND), "batch_num without joint_quant"
    if '"joint_quant"' in text:
        return FLAVOURS.get("onnx", TF_ASCEND), "joint_quant"
    return TF_ASCEND, ""
