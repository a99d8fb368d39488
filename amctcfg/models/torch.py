# SPDX-License-Identifier: Apache-2.0
"""Layers out of a `torch.nn.Module`, by its shape: torch is not imported.

Which can be quantized: the toolkit's own checks. What only an exported graph shows counts as fulfilled.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Callable

from ..flavours.flavour import Flavour, require_flavour
from ..flavours.layer import Layer, Layers, Traits
from .modules import COUNTED, find_lacks


def layers_from_module(module: Any, flavour: Flavour | None = None) -> Layers:
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
    if not hasattr(module, "named_modules") or not hasattr(module, "named_parameters"):
        raise TypeError("a module has to be a torch.nn.Module, not {!r}".format(type(module).__name__))
    if flavour is None:
        from ..flavours.pytorch import PYTORCH

        flavour = PYTORCH
    require_flavour(flavour)
    named = list(module.named_modules())  # each module once, under its first name
    owners = Counter(id(get_own_weight(inner)) for _, inner in named if type(inner).__name__ in COUNTED)
    layers = []
    for name, inner in named:
        kind = type(inner).__name__
        layer_type = flavour.types.get(kind)
        if not name or layer_type is None or not layer_type.quantizable:  # the root is the model
            layers.append(Layer(name, kind, False))
            continue
        supported = all(CONDITIONS[condition](inner) for condition in layer_type.conditions if condition in CONDITIONS)
        is_shared = kind in COUNTED and owners[id(get_own_weight(inner))] > 1
        layers.append(Layer(name, kind, supported and not is_shared, lacks_of(inner)))
    return Layers(layers, {name: traits_of(inner) for name, inner in named})


def get_own_weight(module: Any) -> Any:
    return getattr(module, "_parameters", {}).get("weight")


def lacks_of(module: Any) -> tuple[str, ...]:
    kind = type(module).__name__
    found = (getattr(module, name, None) for name in ("in_channels", "in_features", "input_size", "hidden_size"))
    widths = [width for width in found if isinstance(width, int)]
    return find_lacks(kind, getattr(module, "bias", None) is not None, getattr(module, "groups", 1), widths)


def traits_of(module: Any) -> Traits:
    for first, second in (("in_channels", "out_channels"), ("in_features", "out_features")):
        channels = getattr(module, first, None), getattr(module, second, None)
        if isinstance(channels[0], int) and isinstance(channels[1], int):
            return Traits(group=getattr(module, "groups", 1), channels=(channels[0], channels[1]))
    return Traits()


def is_undilated_in_depth(module: Any) -> bool:
    dilation = getattr(module, "dilation", (1,))
    return bool((dilation[0] if isinstance(dilation, (tuple, list)) else dilation) == 1)


def is_plain_rnn(module: Any) -> bool:
    wanted = (("num_layers", 1), ("bidirectional", False), ("dropout", 0), ("proj_size", 0))
    return all(getattr(module, name, usual) == usual for name, usual in wanted)


# By the names in the flavours. One of another framework may have a type of the same name, with other conditions.
CONDITIONS: dict[str, Callable[[Any], bool]] = {
    "zeros": lambda module: bool(getattr(module, "padding_mode", "zeros") == "zeros"),
    "undilated depth": is_undilated_in_depth,
    "plain rnn": is_plain_rnn,
}
