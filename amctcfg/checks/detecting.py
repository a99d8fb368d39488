# SPDX-License-Identifier: Apache-2.0
"""Which flavour a text is in: the one whose messages have its fields, then the one whose types it names."""

from __future__ import annotations

from typing import Any, Iterable, List, NamedTuple, Optional, Set, Tuple, Union

from ..diagnostics.diagnostic import ConfigError
from ..flavours import FLAVOURS
from ..flavours.flavour import Flavour
from ..flavours.tf_ascend import TF_ASCEND
from ..layers.layer import Layer
from ..textformat.parser import parse as parse_text
from ..textformat.tree import Tree
from .fitting import types_in, unknown_fields
from .foreign import family_of

__all__ = ["detect", "evidence"]


class Misfit(NamedTuple):
    """What speaks against a flavour, the weightiest first; where two are equal, the order of `FLAVOURS` decides."""

    fields: int
    layers: int
    types: int


def detect(text: Union[str, bytes], layers: Optional[Iterable[Layer]] = None) -> Tuple[Flavour[Any], ...]:
    """All flavours, the best fit for a text first; empty for another kind of file, or what is not text format.

    With `layers`, the flavours that quantize most of their types come before the types that the text names. A type that
    differs from one of TF-Ascend's by case alone is a slip and no evidence.

    >>> [flavour.name for flavour in detect("common_config { arq_quantize { quant_bits: 6 } }")][:2]
    ['pytorch', 'ge']
    """
    try:
        tree = parse_text(text, "<string>")
    except ConfigError:
        return ()
    names = set(types_in(tree))
    known = {layer.type for layer in layers or ()}
    order = list(FLAVOURS.values())
    fits = {flavour.name: misfit(tree, names, known, flavour) for flavour in order}
    if min(fit.fields for fit in fits.values()) and family_of(tree) is not None:
        return ()
    return tuple(sorted(order, key=lambda flavour: fits[flavour.name]))


def misfit(tree: Tree, names: Set[str], known: Set[str], flavour: Flavour[Any]) -> Misfit:
    own = flavour.quantizable_types | set(flavour.types)
    slips = {name.lower() for name in TF_ASCEND.types}
    wrong = {name for name in names if name not in own and not (flavour is TF_ASCEND and name.lower() in slips)}
    return Misfit(sum(1 for _ in unknown_fields(tree, flavour)), -len(known & flavour.quantizable_types), len(wrong))


def evidence(text: Union[str, bytes], flavour: Flavour[Any]) -> List[str]:
    """What in a text speaks for a flavour and against TF-Ascend: fields, then types."""
    tree = parse_text(text, "<string>")
    missing = set(unknown_fields(tree, flavour))
    fields = [name for name in dict.fromkeys(unknown_fields(tree, TF_ASCEND)) if name not in missing]
    types = [name for name in dict.fromkeys(types_in(tree)) if name in flavour.types and name not in TF_ASCEND.types]
    return fields + types
