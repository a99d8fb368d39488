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
from .values import CONVOLUTIONS, OnnxGraph, read_integer, read_integers

SCOPES, CLASSES = "pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy"

RECURRENT = ("LSTM", "GRU")
MODULES = (
    *("{}{}d".format(kind, rank) for kind in (*CONVOLUTIONS, "AvgPool") for rank in (1, 2, 3)),
    *("Linear", *RECURRENT),
)

# The types whose weights the toolkit counts to see which are shared.
COUNTED = ("Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "Linear")


class Module(NamedTuple):
    """A module that a node computes."""

    name: str  # "" for a functional call
    type: str
    node: Node
    certain: bool  # whether the export keeps the name without doubt
    weight: ValueOrigin | None  # where its weight comes from, None where it has none that is constant
    bias: str | None  # the value that is added, None where there is none
    add: Node | None  # the Add behind a MatMul that adds it
    path: str | None  # out of the node's name; None where that is not a path
    reason: str | None = None  # why it can't be quantized although its type can
    lacks: tuple[str, ...] = ()  # as `Layer.lacks`
    traits: Traits = Traits()


def find_modules(values: OnnxGraph) -> list[Module]:
    """Find the modules in a graph, in its order, one for each name; one that is called again is not listed again."""
    paths = [read_module_path(node.raw.name) or "" for node in values.nodes]
    # The modules that have modules, also by the names of parameters: `a` and `a.b` of "a.b.c.weight".
    paths += [value.rpartition(".")[0] for value in values.constants if "::" not in value]
    containers = set(iter_outer_paths(paths))
    found = list(filter(None, (read_module(node, values, containers) for node in values.nodes)))
    certain = {one.name: one for one in found if one.certain}
    doubted = find_doubted_paths(found)
    modules = []
    for name, calls in gather_calls(found, certain).items():
        paths_of_calls = {call.path for call in calls}
        # Two of one path that nothing else names are functional calls in a module of the user's own.
        if name in certain or len(paths_of_calls) == len(calls) or calls[0].type in RECURRENT:
            modules.append(assess(name, calls, values, name in certain or not doubted & paths_of_calls))
    return refuse_shared_weights(modules)


def gather_calls(found: Sequence[Module], certain: dict[str, Module]) -> dict[str, list[Module]]:
    """Gather the nodes that compute each module, by its name."""
    again = find_repeated_calls([*(one for one in found if not one.certain), *certain.values()])
    calls: dict[str, list[Module]] = {}
    for one in found:
        name = one.name
        if name and not one.certain:
            name = again.get(name, name)
            if name in certain and not have_same_weight(certain[name], one):
                name = one.node.raw.name  # the name of its container is lost
        if name:
            calls.setdefault(name, []).append(one)
    return calls


# ---------------------------------------------------------------- what a node tells


def read_module(node: Node, values: OnnxGraph, containers: set[str]) -> Module | None:
    """Read what a node tells of its module; None for one that computes no module that the toolkit quantizes."""
    weight = values.find_constant(node, 1) if node.type in (*CONVOLUTIONS, *RECURRENT, "Gemm", "MatMul") else None
    kind = find_module_type(node, weight)
    if kind is None:
        return None
    bias, add = bias_of(node, values)
    one = Module("", kind, node, False, weight, bias, add, read_module_path(node.raw.name))
    name, certain = name_module(one, values, containers)
    return one._replace(name=name, certain=certain)


def find_module_type(node: Node, weight: ValueOrigin | None) -> str | None:
    """Tell the type of the module that a node computes, by the rank of its weight or kernel."""
    rank = len(weight.shape) if weight is not None and weight.shape is not None else None
    if node.type in CONVOLUTIONS:
        return "{}{}d".format(node.type, rank - 2) if rank is not None and 3 <= rank <= 5 else None
    if node.type in ("Gemm", "MatMul"):
        return "Linear" if rank == 2 else None
    if node.type == "AveragePool":
        kernel = read_integers(node.attribute("kernel_shape"))
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
    if len(others) != 1 or not values.trace(others[0]).constant:
        return None, None
    return (others[0], add) if place_of(node) == place_of(add) else (None, None)


def place_of(node: Node) -> tuple[str | None, str | None]:
    """Return the path and the scope that a node is in."""
    return read_module_path(node.raw.name), scope_of(node.raw)[0]


def read_module_path(name: str) -> str | None:
    """Read the path of modules in a node's name: `layer1.0.conv1` of "/layer1/layer1.0/conv1/Conv"."""
    if not name.startswith("/"):
        return None
    parts: list[str] = []
    for part in name.split("/")[1:-1]:
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


def name_module(one: Module, values: OnnxGraph, containers: set[str]) -> tuple[str, bool]:
    """Choose the name of a module, "" for a functional call; and whether more than a path tells it."""
    own = owner_of(one.weight.value, "weight") if one.weight is not None else ""
    scope, kind = scope_of(one.node.raw)
    if scope is not None and kind not in MODULES and "BatchNorm" not in kind:
        return "", False
    if own and one.weight and len(values.readers.get(one.weight.value, ())) == 1 and not one.weight.is_copy:
        return own, True
    if scope and kind in MODULES:
        return scope, True
    for name in (own, owner_of(one.bias or "", "bias")):
        if name and one.path and agrees(name, one.path):
            return name, True
    if one.path is None:
        return own, own != ""
    return "" if one.path in containers else one.path, False


def owner_of(value: str, parameter: str) -> str:
    """Name the module that has a parameter: `fc` of "fc.weight"; "" for another name."""
    owner, _, name = value.rpartition(".")
    return owner if name == parameter else ""


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


def iter_outer_paths(paths: Iterable[str]) -> Iterator[str]:
    """Give the paths that other paths begin with."""
    for path in paths:
        outer, dot, _ = path.rpartition(".")
        while dot:
            yield outer
            outer, dot, _ = outer.rpartition(".")


def find_repeated_calls(found: Sequence[Module]) -> dict[str, str]:
    """Find the paths that are further calls of another one: the same weight, and a path that counts."""
    first = {one.path: one for one in reversed(found)}
    again: dict[str, str] = {}
    for one in found:
        for base in without_counts(one.path or ""):
            if base in first and have_same_weight(one, first[base]):
                again[one.path or ""] = base
    return again


def have_same_weight(one: Module, other: Module) -> bool:
    return one.weight is not None and other.weight is not None and one.weight.value == other.weight.value


def find_doubted_paths(found: Sequence[Module]) -> set[str | None]:
    """Find the paths that may not be a module's name: two of one name, or beside one that lost its container's."""
    certain = {one.name: one.path for one in found if one.certain}
    by_path = {one.name for one in found if one.name and not one.certain}
    lost = {path.rpartition(".")[0] for name, path in certain.items() if path and name.endswith("." + path)}
    doubted: set[str | None] = set()
    for path in by_path:
        bases = by_path.intersection(without_counts(path))
        if bases or path in certain or path.rpartition(".")[0] in lost:
            doubted.update(bases | {path})
    return doubted


# ---------------------------------------------------------------- what it can


def assess(name: str, calls: Sequence[Module], values: OnnxGraph, certain: bool) -> Module:
    """Say of a module what it can't do, by the nodes that compute it."""
    one = calls[0]._replace(name=name, certain=certain)
    is_recurrent = one.type in RECURRENT
    if name == one.node.raw.name and not certain:
        reason: str | None = "the export does not keep its name"
    elif len(calls) > 1:
        several = "it has several layers, or is called several times"
        reason = several if is_recurrent else "it is called {} times".format(len(calls))
    else:
        reason = explain_unquantizable(one, values)
    traits = Traits() if is_recurrent else values.read_channels(one.node)
    widths = traits.channels[:1]
    if is_recurrent:
        shape = one.weight.shape if one.weight is not None else None
        widths = read_integer(one.node.attribute("hidden_size")), *(shape or ())[2:]
    lacks = find_lacks(one.type, one.bias is not None, traits.group, widths)
    return one._replace(reason=reason, lacks=lacks, traits=traits)


def explain_unquantizable(one: Module, values: OnnxGraph) -> str | None:
    """Tell why a module can't be quantized, as far as its export shows it."""
    attribute = one.node.attribute
    if one.path and one.name.startswith(one.path + "."):
        return "its weight is used by '{}' itself, the module is not called".format(one.path)
    if one.type.startswith("Conv") and is_padded(one, values):
        return "its padding_mode is not 'zeros'"
    dilations = read_integers(attribute("dilations"))
    if one.type == "Conv3d" and dilations and dilations[0] != 1:
        return "its dilation in depth is {}, not 1".format(dilations[0])
    if attribute("transA"):
        return "its transA is 1"
    if one.type in RECURRENT and attribute("direction") not in (None, b"forward", "forward"):
        return "it is not a plain forward {}".format(one.type)
    return None


def refuse_shared_weights(modules: Sequence[Module]) -> list[Module]:
    """Refuse modules that share a weight, as the toolkit counts them."""
    weights = {one.name: one.weight for one in modules if one.type in COUNTED and one.weight and not one.weight.is_copy}
    reasons = {name: "it shares its weight with '{}'".format(other) for name, other in find_sharers(weights).items()}
    return [one._replace(reason=one.reason or reasons.get(one.name)) for one in modules]


def is_padded(one: Module, values: OnnxGraph) -> bool:
    """Tell whether a convolution has a padding of its own in front, which only other modes than 'zeros' have."""
    maker = values.makers.get(one.node.inputs[0])
    if maker is None or maker.type not in ("Pad", "Concat"):
        return False
    if maker.type == "Pad" and maker.attribute("mode") in (None, b"constant", "constant"):
        return False
    path, scope = place_of(maker)
    return (path, scope) == place_of(one.node) and (path or scope) is not None


def find_lacks(kind: str, has_bias: bool, group: int, widths: Iterable[int]) -> tuple[str, ...]:
    """Find what a module can't do although its type can; `widths` are those of its inputs."""
    lacks = ["int16"] if kind == "Linear" and not has_bias else []
    return (*lacks, "int4") if group != 1 or any(width % 2 for width in widths) else tuple(lacks)
