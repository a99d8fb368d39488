# SPDX-License-Identifier: Apache-2.0
"""The choice of the flavour that a file is read as, where neither options nor its head name one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Tuple

from ..documents.document import parse_tree
from ..flavours import FLAVOURS
from ..flavours.flavour import Flavour
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


def choose_flavour(file: ConfigFile) -> Tuple[Flavour, str]:
    """Return the flavour that a file and its model suggest, and by what evidence.

    The model's kind counts first, then the fields of the text, then the types that it names. It is TF-Ascend where
    nothing speaks against it.
    """
    graph, tree = file.graph, file.tree
    kind = kind_of_model(graph)
    if file.is_json and not kind:
        return choose_by_keys(file.text)
    from ..documents.detecting import evidence, fits_tf_ascend, rank_flavours

    if kind not in ("onnx", "table") and (tree is None or fits_tf_ascend(tree)):  # the common case
        return TF_ASCEND, ""
    layers = file.workspace.model(graph, TF_ASCEND, file.by_head).layers if graph and kind == "table" else ()
    ranked = () if tree is None else rank_flavours(tree, layers)
    if tree is None or not ranked:  # the model alone decides
        tree = parse_tree("", "")
        ranked = rank_flavours(tree, layers)
    suited = [flavour for flavour in ranked if kind not in ("onnx", "tensorflow") or flavour.graphs == kind]
    best = suited[0] if suited else TF_ASCEND  # a host may have deleted the others
    words = ["{} is an ONNX model".format(graph)] if kind == "onnx" else []
    words += evidence(tree, best)
    types = dict.fromkeys(layer.type for layer in layers)
    telling = [name for name in types if name in best.types and name not in TF_ASCEND.types]
    words += [name for name in telling[:3] if name not in words]
    return best, ", ".join(words[:6]) or "the types of {}".format(graph)


def choose_by_keys(text: str) -> Tuple[Flavour, str]:
    """Return the flavour of a JSON quantization config without a model: by its global keys."""
    if '"fakequant_precision_mode"' in text or ('"batch_num"' in text and '"joint_quant"' not in text):
        return FLAVOURS.get("pytorch", TF_ASCEND), "batch_num without joint_quant"
    if '"joint_quant"' in text:
        return FLAVOURS.get("onnx", TF_ASCEND), "joint_quant"
    return TF_ASCEND, ""
