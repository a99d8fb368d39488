# SPDX-License-Identifier: Apache-2.0
"""Layers out of a `torch.nn.Module`, by its shape: torch is not imported.

Which modules can be quantized: the toolkit's own checks, as far as the module itself shows them. What only its exported
graph shows (whether it is called, and how often) counts as fulfilled.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Callable, Dict, List, Optional, Tuple

from ..flavours.flavour import Flavour, require_flavour
from ..flavours.layer import Layer, Layers, Traits
from .modules import COUNTED


def layers_from_module(module: Any, flavour: Optional[Flavour] = None) -> Layers:
    """Read the modules of a model as layers, named as in `named_modules()`, the root as "".

    `supported` is false for a module whose arguments the toolkit does not take (padding mode, dilation, the kind of RNN),
    or that shares its weight; `lacks` says what it can't do although its type can. `dump_layers` writes them as a table.

    Args:
        module: A `torch.nn.Module`, or anything with its shape.
        flavour: One of PyTorch's; the newest where it is left out.

    Returns:
        All modules in their order.

    Raises:
        TypeError: It is not a module.

    Example:
        >>> layers_from_module(torch.nn.Sequential(torch.nn.Linear(8, 4)))[1]  # doctest: +SKIP
        Layer(name='0', type='Linear', supported=True, lacks=())
    """
    examined = examine_module(module, flavour)
    traits = {layer.name: traits_of(inner) for (layer, _), (_, inner) in zip(examined, module.named_modules())}
    return Layers((layer for layer, _ in examined), traits)


def examine_module(module: Any, flavour: Optional[Flavour] = None) -> List[Tuple[Layer, Optional[str]]]:
    """Read the layers, each with why it is not supported."""
    if not hasattr(module, "named_modules") or not hasattr(module, "named_parameters"):
        raise TypeError("a module has to be a torch.nn.Module, not {!r}".format(type(module).__name__))
    if flavour is None:
        from ..flavours.pytorch import PYTORCH

        flavour = PYTORCH
    require_flavour(flavour)
    named = list(module.named_modules())  # each module once, under its first name
    owners = Counter(id(get_own_weight(inner)) for _, inner in named if type(inner).__name__ in COUNTED)
    found: List[Tuple[Layer, Optional[str]]] = []
    for name, inner in named:
        kind = type(inner).__name__
        layer_type = flavour.types.get(kind)
        if layer_type is None or not layer_type.quantizable:
            found.append((Layer(name, kind, False), None))
            continue
        reason = next((r for c in layer_type.conditions for r in (CONDITIONS[c](inner),) if r), None)
        if reason is None and kind in COUNTED and owners[id(get_own_weight(inner))] > 1:
            reason = "its weight is shared with another module"
        found.append((Layer(name, kind, reason is None, lacks_of(inner)), reason))
    return found


def get_own_weight(module: Any) -> Any:
    parameters = getattr(module, "_parameters", {})
    return parameters.get("weight")


def lacks_of(module: Any) -> Tuple[str, ...]:
    """Tell what a layer can't do although its type can."""
    lacks = []
    if type(module).__name__ == "Linear" and getattr(module, "bias", None) is None:
        lacks.append("int16")
    widths = [getattr(module, name, None) for name in ("in_channels", "in_features", "input_size")]
    if type(module).__name__ in ("LSTM", "GRU"):
        widths.append(getattr(module, "hidden_size", None))
    if getattr(module, "groups", 1) != 1 or any(isinstance(width, int) and width % 2 for width in widths):
        lacks.append("int4")
    return tuple(lacks)


def traits_of(module: Any) -> Traits:
    """Tell what is special about a module."""
    for first, second in (("in_channels", "out_channels"), ("in_features", "out_features")):
        channels = getattr(module, first, None), getattr(module, second, None)
        if isinstance(channels[0], int) and isinstance(channels[1], int):
            return Traits(group=getattr(module, "groups", 1), channels=(channels[0], channels[1]))
    return Traits()


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
