# SPDX-License-Identifier: Apache-2.0
"""Layers out of a `torch.nn.Module`, by its shape: torch is not imported.

Which modules can be quantized: the toolkit's own checks, as far as the module itself shows them. What only its exported
graph shows (whether it is called, and how often) counts as fulfilled.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple

from ..flavours.flavour import Flavour
from ..flavours.layer import Layer


def layers_from_module(module: Any, flavour: Optional[Flavour[Any]] = None) -> Tuple[Layer, ...]:
    """The modules of a model as layers, named as in `named_modules()`, the root as "".

    `supported` is false for a module whose arguments the toolkit does not take (padding mode, dilation, the kind of RNN),
    that is there twice, or that shares its weight; `lacks` says what it can't do although its type can. `flavour` is
    PyTorch's. Raises `TypeError` for what is not a module.
    """
    return tuple(layer for layer, _ in examine_module(module, flavour))


def examine_module(module: Any, flavour: Optional[Flavour[Any]] = None) -> List[Tuple[Layer, Optional[str]]]:
    """The layers, each with why it is not supported."""
    if not hasattr(module, "named_modules") or not hasattr(module, "named_parameters"):
        raise TypeError("a module has to be a torch.nn.Module, not {!r}".format(type(module).__name__))
    if flavour is None:
        from ..flavours.pytorch import PYTORCH

        flavour = PYTORCH
    named = list(all_modules(module))
    uses: Dict[int, int] = {}
    for _, inner in named:
        uses[id(inner)] = uses.get(id(inner), 0) + 1
    owners: Dict[int, int] = {}
    for inner in {id(inner): inner for _, inner in named}.values():
        weight = own_weight(inner)
        if weight is not None:
            owners[id(weight)] = owners.get(id(weight), 0) + 1
    found: List[Tuple[Layer, Optional[str]]] = []
    for name, inner in module.named_modules():
        kind = type(inner).__name__
        layer_type = flavour.types.get(kind)
        if layer_type is None or not layer_type.quantizable:
            found.append((Layer(name, kind, False), None))
            continue
        reason = next((r for c in layer_type.conditions for r in (CONDITIONS[c](inner),) if r), None)
        if reason is None and uses[id(inner)] > 1:
            reason = "it is used under several names"
        if reason is None and owners.get(id(own_weight(inner)), 0) > 1:
            reason = "its weight is shared with another module"
        found.append((Layer(name, kind, reason is None, lacks_of(inner)), reason))
    return found


def all_modules(module: Any, prefix: str = "") -> Any:
    """Each module under each of its names: `named_modules` leaves repetitions out."""
    pending = [(prefix, module)]
    while pending:
        name, current = pending.pop()
        yield name, current
        for key, child in getattr(current, "_modules", {}).items():
            if child is not None:
                pending.append((name + "." + key if name else key, child))


def own_weight(module: Any) -> Any:
    parameters = getattr(module, "_parameters", {})
    return parameters.get("weight")


def lacks_of(module: Any) -> Tuple[str, ...]:
    """What a layer can't do although its type can."""
    lacks = []
    if type(module).__name__ == "Linear" and getattr(module, "bias", None) is None:
        lacks.append("int16")
    channels = getattr(module, "in_channels", None) or getattr(module, "in_features", None)
    if getattr(module, "groups", 1) != 1 or (isinstance(channels, int) and channels % 2):
        lacks.append("int4")
    return tuple(lacks)


def zero_padding(module: Any) -> Optional[str]:
    mode = getattr(module, "padding_mode", "zeros")
    return None if mode == "zeros" else "its padding_mode is {!r}, not 'zeros'".format(mode)


def undilated_depth(module: Any) -> Optional[str]:
    dilation = getattr(module, "dilation", (1,))
    depth = dilation[0] if isinstance(dilation, (tuple, list)) else dilation
    return None if depth == 1 else "its dilation in depth is {}, not 1".format(depth)


def plain_rnn(module: Any) -> Optional[str]:
    wanted = (("num_layers", 1), ("bidirectional", False), ("dropout", 0), ("proj_size", 0))
    wrong = [(name, getattr(module, name, usual)) for name, usual in wanted if getattr(module, name, usual) != usual]
    return "its {}".format(" and its ".join("{} is {}".format(*pair) for pair in wrong)) if wrong else None


def shown_by_the_graph(module: Any) -> Optional[str]:
    return None


CONDITIONS: Dict[str, Callable[[Any], Optional[str]]] = {
    "zeros": zero_padding,
    "undilated depth": undilated_depth,
    "plain rnn": plain_rnn,
    "once": shown_by_the_graph,
}
