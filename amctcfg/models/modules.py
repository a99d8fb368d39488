# SPDX-License-Identifier: Apache-2.0
"""The modules of PyTorch in an exported ONNX graph: what the toolkit calls them, and what they can't do.

An export keeps a module's name in up to three places; they are trusted in this order: the name of the weight's
initializer (`layer1.0.conv1.weight`), the scope in the node's metadata (newer exporter), and the path in the node's name
(`/layer1/layer1.0/conv1/Conv`). Works on the reduced messages of this package and on those of the package onnx alike.
"""

from __future__ import annotations

import ast
import re
from typing import Any, Iterable, Iterator, NamedTuple, Sequence

from ..flavours.layer import Traits
from .graphs import Node, ValueOrigin, find_sharers
from .values import CONVOLUTIONS, OnnxGraph, integer, integers

SCOPES, CLASSES = "pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy"

# What keeps the names in an export, for those who read that one is not certain.
KEEPS_NAMES = (
    "torch.onnx.export(..., dynamo=True) keeps them;"
    " the older exporter does with do_constant_folding=False, training=TrainingMode.PRESERVE"
)

RECURRENT = ("LSTM", "GRU")
MODULES = (
    *("{}{}d".format(kind, rank) for kind in (*CONVOLUTIONS, "AvgPool") for rank in (1, 2, 3)),
    *("Linear", *RECURRENT),
)

# The types whose weights the toolkit counts to see which are shared.
COUNTED = ("Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "Linear")


class Module(NamedTuple):
    """A module that a node computes.

    certain -- whether the export keeps its name without doubt. weight -- where its weight comes from, None where it has
    none that is constant. bias -- the value that is added, None where there is none. add -- the Add behind a MatMul that
    adds it. reason -- why it can't be quantized although its type can. lacks -- as `Layer.lacks`.
    """

    name: str
    type: str
    node: Node
    certain: bool
    weight: ValueOrigin | None
    bias: str | None
    add: Node | None
    reason: str | None
    lacks: tuple[str, ...]
    traits: Traits


class Clues(NamedTuple):
    """The surroundings of a node, as far as they tell its module's name, and that name."""

    type: str
    node: Node
    path: str | None  # out of the node's name; None where that is not a path
    scope: str | None  # the innermost module of the metadata,
    kind: str  # and its class
    weight: ValueOrigin | None
    sole: bool  # whether the weight's initializer is read here alone
    bias: str | None
    add: Node | None
    name: str | None = None  # None for a functional call
    certain: bool = False  # whether more than a path tells the name


def find_modules(values: OnnxGraph) -> list[Module]:
    """Find the modules in a graph, in its order, one for each name; one that is called again is not listed again."""
    containers = set(outer_paths(filter(None, (module_path(node.raw) for node in values.nodes))))
    # The modules that have modules, by the names of parameters: `a` and `a.b` of "a.b.c.weight".
    containers.update(outer_paths(value.rpartition(".")[0] for value in values.constants if "::" not in value))
    clues = list(filter(None, (read_clues(node, values, containers) for node in values.nodes)))
    certain = {clue.name: clue for clue in clues if clue.certain}
    doubted = find_doubted_paths(clues)
    modules = []
    for name, calls in gather_calls(clues, certain).items():
        paths_of_calls = {clue.path for clue in calls}
        # Two of one path that nothing else names are functional calls in a module of the user's own.
        if name in certain or len(paths_of_calls) == len(calls) or calls[0].type in RECURRENT:
            modules.append(make_module(name, calls, values, name in certain or not doubted & paths_of_calls))
    return refuse_shared_weights(modules)


def gather_calls(clues: Sequence[Clues], certain: dict[str | None, Clues]) -> dict[str, list[Clues]]:
    """Gather the nodes that compute each module, by its name."""
    again = calls_of_one([*(clue for clue in clues if not clue.certain), *certain.values()])
    calls: dict[str, list[Clues]] = {}
    for clue in clues:
        name = clue.name
        if name is not None and not clue.certain:
            name = again.get(name, name)
            if name in certain and not same_weight(certain[name], clue):
                name = clue.node.raw.name  # the name of its container is lost
        if name is not None:
            calls.setdefault(name, []).append(clue)
    return calls


# ---------------------------------------------------------------- what a node tells


def read_clues(node: Node, values: OnnxGraph, containers: set[str]) -> Clues | None:
    """Read what a node tells of its module; None for one that computes no module that the toolkit quantizes."""
    weight = None
    if node.type in (*CONVOLUTIONS, *RECURRENT, "Gemm", "MatMul"):
        weight = values.input_origin(node, 1)
        if weight is not None and not weight.constant:
            weight = None
        if weight is None and node.type not in RECURRENT:
            return None
    kind = module_type(node, weight)
    if kind is None:
        return None
    bias, add = bias_of(node, values)
    sole = weight is not None and len(values.readers.get(weight.value, ())) == 1 and not weight.is_copy
    scope, scope_class = scope_of(node.raw)
    clues = Clues(kind, node, module_path(node.raw), scope, scope_class, weight, sole, bias, add)
    name, certain = name_module(clues, containers)
    return clues._replace(name=name, certain=certain)


def module_type(node: Node, weight: ValueOrigin | None) -> str | None:
    """Tell the type of the module that a node computes, by the rank of its weight or kernel."""
    rank = len(weight.shape) if weight is not None and weight.shape is not None else None
    if node.type in CONVOLUTIONS:
        return "{}{}d".format(node.type, rank - 2) if rank is not None and 3 <= rank <= 5 else None
    if node.type in ("Gemm", "MatMul"):
        return "Linear" if rank == 2 else None
    if node.type == "AveragePool":
        kernel = integers(node.attribute("kernel_shape"))
        return "AvgPool{}d".format(len(kernel)) if 1 <= len(kernel) <= 3 else None
    return node.type if node.type in RECURRENT else None


def bias_of(node: Node, values: OnnxGraph) -> tuple[str | None, Node | None]:
    """Find the bias of a module: an input of its node, or what the Add behind a MatMul adds."""
    if node.type in (*CONVOLUTIONS, "Gemm"):
        return (node.inputs[2] or None if len(node.inputs) > 2 else None), None
    readers = values.readers.get(node.outputs[0], ()) if node.type == "MatMul" and node.outputs else ()
    if len(readers) != 1 or readers[0].type != "Add":
        return None, None
    add = readers[0]
    others = [value for value in add.inputs if value != node.outputs[0]]
    if len(others) != 1 or not values.origin(others[0]).constant:
        return None, None
    same_place = module_path(node.raw) == module_path(add.raw) and scope_of(node.raw)[0] == scope_of(add.raw)[0]
    return (others[0], add) if same_place else (None, None)


def module_path(node: Any) -> str | None:
    """Read the path of modules in a node's name: `layer1.0.conv1` of "/layer1/layer1.0/conv1/Conv"."""
    if not node.name.startswith("/"):
        return None
    parts: list[str] = []
    for part in node.name.split("/")[1:-1]:
        if parts and part.startswith(parts[-1] + "."):
            parts[-1] = part
        else:
            parts.append(part)
    return ".".join(parts)


def scope_of(node: Any) -> tuple[str | None, str]:
    """Read the innermost module that the metadata of a node names, and its class."""
    entries = {entry.key: entry.value for entry in getattr(node, "metadata_props", ())}
    if SCOPES not in entries or CLASSES not in entries:
        return None, ""
    scopes, classes = read_list(entries[SCOPES]), read_list(entries[CLASSES])
    inner = [(scope, kind) for scope, kind in zip(scopes, classes) if not kind.startswith("aten.")]
    scope, kind = inner[-1] if inner else ("", "")
    return scope, kind.rpartition(".")[2]


def read_list(text: str) -> list[str]:
    """Read a list of strings as Python writes it; empty where it is something else."""
    try:
        found = ast.literal_eval(text) if len(text) < 100000 else []
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    return [str(word) for word in found] if isinstance(found, list) else []


# ---------------------------------------------------------------- which name it is


def name_module(clue: Clues, containers: set[str]) -> tuple[str | None, bool]:
    """Choose the name of a module: the name, None for a functional call; and whether more than a path tells it."""
    own = owner_of(clue.weight.value, "weight") if clue.weight is not None else None
    if clue.scope is not None and clue.kind not in MODULES and "BatchNorm" not in clue.kind:
        return None, False
    if own is not None and clue.sole:
        return own, True
    if clue.scope and clue.kind in MODULES:
        return clue.scope, True
    by_bias = owner_of(clue.bias, "bias") if clue.bias is not None else None
    for name in (own, by_bias):
        if name is not None and clue.path and agrees(name, clue.path):
            return name, True
    if clue.path is None:
        return own, own is not None
    return (clue.path, False) if clue.path and clue.path not in containers else (None, False)


def owner_of(value: str, parameter: str) -> str | None:
    """Name the module that has a parameter: `fc` of "fc.weight"; None for another name."""
    owner, dot, name = value.rpartition(".")
    return owner if dot and owner and name == parameter else None


def agrees(name: str, path: str) -> bool:
    """Tell whether a path can be that of a module: it may lack the names of containers, and count calls."""
    return any(name == one or name.endswith("." + one) for one in (path, *without_counts(path)))


def without_counts(path: str) -> Iterator[str]:
    """Give the paths that a repeated path may repeat: `c1` of "c1_1"."""
    parts = path.split(".")
    stripped = [re.sub(r"_[0-9]+\Z", "", part) for part in parts]
    for index, part in enumerate(stripped):
        if part and part != parts[index]:
            yield ".".join([*parts[:index], part, *parts[index + 1 :]])
    if stripped != parts and all(stripped):
        yield ".".join(stripped)


def outer_paths(paths: Iterable[str]) -> Iterator[str]:
    """Give the paths that other paths begin with."""
    for path in paths:
        outer, dot, _ = path.rpartition(".")
        while dot:
            yield outer
            outer, dot, _ = outer.rpartition(".")


def calls_of_one(clues: Sequence[Clues]) -> dict[str, str]:
    """Find the paths that are further calls of another one: the same weight, and a path that counts."""
    first = {clue.path: clue for clue in reversed(clues)}
    found: dict[str, str] = {}
    for clue in clues:
        for base in without_counts(clue.path or ""):
            other = first.get(base)
            if other is not None and same_weight(clue, other):
                found[clue.path or ""] = base
    return found


def same_weight(one: Clues, other: Clues) -> bool:
    return one.weight is not None and other.weight is not None and one.weight.value == other.weight.value


def find_doubted_paths(clues: Sequence[Clues]) -> set[str | None]:
    """Find the paths that may not be a module's name: two of one name, or beside one that lost its container's."""
    certain = {clue.name: clue.path or "" for clue in clues if clue.certain and clue.name}
    by_path = {clue.name for clue in clues if clue.name and not clue.certain}
    lost = {path.rpartition(".")[0] for name, path in certain.items() if path and name and name.endswith("." + path)}
    doubted: set[str | None] = set()
    for path in by_path:
        bases = by_path.intersection(without_counts(path))
        if bases or path in certain or path.rpartition(".")[0] in lost:
            doubted.update(bases | {path})
    return doubted


# ---------------------------------------------------------------- what it can


def make_module(name: str, calls: Sequence[Clues], values: OnnxGraph, certain: bool) -> Module:
    clue = calls[0]
    if name == clue.node.raw.name and not certain:
        reason: str | None = "the export does not keep its name"
    elif len(calls) > 1:
        several = "it has several layers, or is called several times"
        reason = several if clue.type in RECURRENT else "it is called {} times".format(len(calls))
    else:
        reason = why_not(clue, name, values)
    shape = clue.weight.shape if clue.weight is not None else None
    traits = Traits() if clue.type in RECURRENT else values.channels(clue.node)
    widths = traits.channels[:1]
    if clue.type in RECURRENT:
        widths = integer(clue.node.attribute("hidden_size")), *(shape[2:] if shape is not None else ())
    lacks = find_lacks(clue.type, clue.bias is not None, traits.group, widths)
    return Module(name, clue.type, clue.node, certain, clue.weight, clue.bias, clue.add, reason, lacks, traits)


def why_not(clue: Clues, name: str, values: OnnxGraph) -> str | None:
    """Tell why a module can't be quantized, as far as its export shows it."""
    attribute = clue.node.attribute
    if clue.path and name.startswith(clue.path + "."):
        return "its weight is used by '{}' itself, the module is not called".format(clue.path)
    if clue.type.startswith("Conv") and is_padded(clue, values):
        return "its padding_mode is not 'zeros'"
    dilations = integers(attribute("dilations"))
    if clue.type == "Conv3d" and dilations and dilations[0] != 1:
        return "its dilation in depth is {}, not 1".format(dilations[0])
    if attribute("transA"):
        return "its transA is 1"
    if clue.type in RECURRENT and attribute("direction") not in (None, b"forward", "forward"):
        return "it is not a plain forward {}".format(clue.type)
    return None


def refuse_shared_weights(modules: Sequence[Module]) -> list[Module]:
    """Refuse modules that share a weight, as the toolkit counts them."""
    weights = {}
    for one in modules:
        if one.type in COUNTED and one.weight is not None and not one.weight.is_copy:
            weights[one.name] = one.weight.value
    shares = find_sharers(weights)
    words = "it shares its weight with '{}'"
    return [
        one._replace(reason=one.reason or words.format(shares[one.name])) if one.name in shares else one
        for one in modules
    ]


def is_padded(clue: Clues, values: OnnxGraph) -> bool:
    """Tell whether a convolution has a padding of its own in front, which only other modes than 'zeros' have."""
    maker = values.makers.get(clue.node.inputs[0])
    if maker is None or maker.type not in ("Pad", "Concat"):
        return False
    if maker.type == "Pad" and maker.attribute("mode") in (None, b"constant", "constant"):
        return False
    own_scope = scope_of(maker.raw)[0]
    return module_path(maker.raw) == clue.path and own_scope == clue.scope and (clue.path or own_scope) is not None


def find_lacks(kind: str, has_bias: bool, group: int, widths: Iterable[int]) -> tuple[str, ...]:
    """Find what a module can't do although its type can; `widths` are those of its inputs."""
    lacks = ["int16"] if kind == "Linear" and not has_bias else []
    return (*lacks, "int4") if group != 1 or any(width % 2 for width in widths) else tuple(lacks)
