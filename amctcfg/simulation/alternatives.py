# SPDX-License-Identifier: Apache-2.0
"""Alternatives for a layer: settings, a balancer, INT16; only what its flavour, its type and the layer can have."""

from __future__ import annotations

import itertools
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

from ..flavours.flavour import Flavour
from ..flavours.requirement import ASYMMETRIC, CHANNEL_WISE
from ..messages.field import Among
from ..resolve.effective import EffectiveConfig, values_of
from .overriding import alter_block
from .sites import Site

# By what they cost on the device, the cheapest first.
SETTINGS, BALANCER, INT16, SKIP = "settings", "balancer", "int16", "skip"
KINDS = (SETTINGS, BALANCER, INT16, SKIP)
COST = {kind: rank for rank, kind in enumerate(KINDS)}
DEFAULT_KINDS = (SETTINGS, BALANCER)

PERCENTILES = (0.9999, 0.99999, 1.0)
RANGE_STARTS, RANGE_ENDS, RANGE_STEP = (0.2, 0.5, 0.7), (1.0, 1.3, 2.0), 0.01
STRENGTHS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)

FieldValues = Dict[str, Any]  # by dotted name, as `overriding.alter_block` takes them


class Axes(NamedTuple):
    """The choices for a layer, each on its own; the first is what it has.

    weights, strengths -- values of the weights' algorithm and of the balancer, None without one. percentiles, ranges --
    of IFMR, in pairs and as (start, end, step); none where it is not to be had. bins -- of HFMG. offsets -- whether
    asymmetric. widths -- of the activations, None where the flavour has no choice.
    """

    weights: Tuple[Optional[bool], ...]
    strengths: Tuple[Optional[float], ...]
    percentiles: Tuple[Tuple[float, float], ...]
    ranges: Tuple[Tuple[float, float, float], ...]
    bins: Tuple[int, ...]
    offsets: Tuple[bool, ...]
    widths: Tuple[Optional[str], ...]


def chosen_kinds(allow: Optional[Iterable[str]], target: Optional[float]) -> List[str]:
    """Return the kinds that are allowed: by default those that cost little, and with a target INT16. Raises `ValueError`."""
    if allow is None:
        return [*DEFAULT_KINDS, *([INT16] if target is not None else [])]
    wanted = [allow] if isinstance(allow, str) else list(allow)
    for kind in wanted:
        if kind not in KINDS:
            raise ValueError("allow has {!r}; the kinds of changes are {}".format(kind, ", ".join(KINDS)))
    return wanted


def possible_kinds(flavour: Flavour, allowed: Iterable[str]) -> Tuple[List[str], List[str]]:
    """Return the kinds that are allowed and that a flavour has, and those that are allowed and that it lacks."""
    width = field_at(flavour, "ifmr_quantize.dst_type")
    lacking = {
        BALANCER: field_at(flavour, "dmq_balancer") is None,
        INT16: width is None or "INT16" not in width.kind.names,
    }
    wanted = [kind for kind in KINDS if kind in set(allowed)]
    return [k for k in wanted if not lacking.get(k)], [k for k in wanted if lacking.get(k)]


def field_at(flavour: Flavour, name: str) -> Optional[Any]:
    """Return a field of a flavour's blocks by its dotted name, None where it does not have it."""
    return next(iter(flavour.config.__schema__.along("common_config." + name)[::-1]), None)


def axes_of(site: Site, flavour: Flavour, kinds: Iterable[str]) -> Axes:
    """Return what can be chosen for a layer within some kinds of changes, what it has in front.

    Source: the vendor's advice where accuracy drops; the ranges are those of the fields.
    """
    layer, setting = site.effective.layer, site.setting
    values, kinds, has_ifmr = values_of(site.effective.calibration_config), set(kinds), setting.bins is None
    within = getattr(field_at(flavour, "hfmg_quantize.num_of_bins"), "within", None)
    bins = within.values if isinstance(within, Among) else ()
    weights: List[Optional[bool]] = [values.get("arq_quantize.channel_wise")]
    if SETTINGS in kinds and weights[0] is False and flavour.can(layer, CHANNEL_WISE):
        weights.append(True)
    strengths: List[Optional[float]] = [setting.strength]
    if flavour.can(layer, "dmq_balancer") and field_at(flavour, "dmq_balancer") is not None:
        if (BALANCER if setting.strength is None else SETTINGS) in kinds:
            strengths += STRENGTHS
    width = activation_width(values)
    widths: List[Optional[str]] = [width]
    if INT16 in kinds and width == "INT8" and flavour.can(layer, "int16"):
        widths.append("INT16")
    offsets = [setting.asymmetric]
    tuned = SETTINGS in kinds
    if tuned and flavour.can(layer, ASYMMETRIC):
        offsets.append(not offsets[0])
    pairs = [setting.percentiles] if has_ifmr else []
    ranges = [setting.search] if has_ifmr else []
    if tuned:
        pairs += [(p, p) for p in PERCENTILES]
        ranges += [(start, end, RANGE_STEP) for start, end in itertools.product(RANGE_STARTS, RANGE_ENDS)]
    return Axes(
        weights=tuple(weights),
        strengths=once(strengths),
        percentiles=once(pairs),
        ranges=once(ranges),
        bins=once([*([] if setting.bins is None else [setting.bins]), *(bins if tuned else ())]),
        offsets=tuple(offsets),
        widths=tuple(widths),
    )


def once(values: Iterable[Any]) -> Tuple[Any, ...]:
    return tuple(dict.fromkeys(values))


def block_with(effective: EffectiveConfig, changes: FieldValues) -> Any:
    """Return the layer's block with some values changed. Raises `ValueError` for one out of its range."""
    now = values_of(effective.calibration_config)
    return alter_block(effective.calibration_config, {n: v for n, v in changes.items() if now.get(n) != v})


def kind_of_change(effective: EffectiveConfig, block: Any) -> Optional[str]:
    """Return the dearest kind of change between what a layer gets and another block; None where nothing changes."""
    before, after = values_of(effective.calibration_config), values_of(block)
    if before == after:
        return None
    if activation_width(after) == "INT16" != activation_width(before):
        return INT16
    strength = "dmq_balancer.migration_strength"
    return BALANCER if strength in after and strength not in before else SETTINGS


def activation_width(values: FieldValues) -> Any:
    """Return the width of the activations, whichever algorithm it is of."""
    return next((value for name, value in values.items() if name.endswith(".dst_type")), None)
