# SPDX-License-Identifier: Apache-2.0
"""The changes that tuning makes: what a layer, by its flavour, its type and itself, can have instead, and how it is written."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any, Iterable, Iterator, Mapping, NamedTuple

from ..documents.document import Document
from ..flavours.flavour import Flavour
from ..flavours.requirement import ASYMMETRIC, CHANNEL_WISE
from ..messages.field import Among
from ..messages.kinds import STRING
from ..messages.message import Message
from ..resolve.effective import EffectiveConfig, values_of
from ..tools.edits import skip
from .overriding import Override, alter_block, override
from .sites import Site

# By what they cost on the device, the cheapest first.
SETTINGS, BALANCER, INT16, SKIP = "settings", "balancer", "int16", "skip"
KINDS = (SETTINGS, BALANCER, INT16, SKIP)
COST = {kind: rank for rank, kind in enumerate(KINDS)}

PERCENTILES = (0.9999, 0.99999, 1.0)
RANGE_STARTS, RANGE_ENDS, RANGE_STEP = (0.2, 0.5, 0.7), (1.0, 1.3, 2.0), 0.01
STRENGTHS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)

WORTH_COMMENT = "tune: output {:.1f} dB, {:.1f} without"
OLD_COMMENT = r"tune: output -?[0-9.]+ dB, -?[0-9.]+ without\s*\Z"


class Cure(NamedTuple):
    """A change of a layer.

    setting -- as text format. kind -- the dearest in it: "settings", "balancer", "int16" or "skip". without -- the dB of the
    model's output if this layer alone had what the file gave it.
    """

    layer: str
    setting: str
    kind: str
    without: float


class Tuned(NamedTuple):
    """The result of tuning.

    text -- the configuration with the changes. before, after -- the dB of the model's output, everything quantized as the
    file and as `text` has it. changes -- in the order of the model. left -- the layers that are still quantized, each with
    the dB of the output where only it is quantized, the worst first. reached -- whether the target is reached, True without
    one. notes -- what is worth knowing, in sentences.
    """

    text: str
    before: float
    after: float
    changes: tuple[Cure, ...]
    left: tuple[tuple[str, float], ...]
    reached: bool
    notes: tuple[str, ...]


class Choice(NamedTuple):
    """A layer as it may be, None where it is skipped, and the noise of the model's output where only it is quantized."""

    kind: str
    site: Site | None
    noise: float


SKIPPING = Choice(SKIP, None, 0.0)
State = Mapping[str, Choice]  # of the layers that are changed


def write_change(effective: EffectiveConfig, choice: Choice) -> str:
    """Write what changes for a layer, as text format on one line."""
    if choice.site is None:
        return "skip_layers: {}".format(STRING.format(effective.layer.name))
    before, block = values_of(effective.calibration_config), choice.site.effective.calibration_config
    parts: dict[str, list[str]] = {}
    for name, value in values_of(block).items():
        if before.get(name) != value:
            member, _, leaf = name.partition(".")
            field = block.__schema__.follow(name)[-1]
            parts.setdefault(member, []).append("{}: {}".format(leaf or member, field.kind.format(value)))
    return " ".join("{} {{ {} }}".format(member, " ".join(fields)) for member, fields in parts.items())


def write_state(document: Document[Any], state: State, after: float, without: Mapping[str, float]) -> str:
    comments = {name: WORTH_COMMENT.format(after, without[name]) for name in state}
    changed = {name: choice.site.effective for name, choice in state.items() if choice.site is not None}
    overrides = [
        Override(effective.layer, effective.calibration_config, comments[name], OLD_COMMENT)
        for name, effective in changed.items()
    ]
    return skip(override(document, overrides), [name for name in state if name not in changed], comments)


# ---------------------------------------------------------------- what a layer can have


def choose_kinds(allow: Iterable[str] | None, target: float | None) -> list[str]:
    if allow is None:
        return [SETTINGS, BALANCER, *([INT16] if target is not None else [])]
    wanted = [allow] if isinstance(allow, str) else list(allow)
    for kind in wanted:
        if kind not in KINDS:
            raise ValueError("allow has {!r}; the kinds of changes are {}".format(kind, ", ".join(KINDS)))
    return wanted


def split_kinds(flavour: Flavour, allowed: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the allowed kinds that a flavour has, and those that it lacks."""
    width = find_field(flavour, "ifmr_quantize.dst_type")
    lacking = {
        BALANCER: find_field(flavour, "dmq_balancer") is None,
        INT16: width is None or "INT16" not in width.kind.names,
    }
    wanted = [kind for kind in KINDS if kind in set(allowed)]
    return [k for k in wanted if not lacking.get(k)], [k for k in wanted if lacking.get(k)]


def find_field(flavour: Flavour, name: str) -> Any | None:
    return next(iter(flavour.config.__schema__.follow("common_config." + name)[::-1]), None)


def corners_of(site: Site, flavour: Flavour, kinds: Iterable[str]) -> Iterator[Site]:
    """Yield a layer by the choices made before the scales of its activations, within some kinds of changes: first as it is.

    They are the width of the activations, the balancer, the weights. Source: the vendor's advice where accuracy drops.
    """
    layer, strength = site.effective.layer, site.setting.strength
    values = values_of(site.effective.calibration_config)
    widths, strengths, by_channel = [activation_width_of(values)], [strength], [values.get("arq_quantize.channel_wise")]
    if INT16 in kinds and widths[0] == "INT8" and flavour.can(layer, "int16"):
        widths.append("INT16")
    if flavour.can(layer, "dmq_balancer") and find_field(flavour, "dmq_balancer") is not None:
        if (BALANCER if strength is None else SETTINGS) in kinds:
            strengths += [other for other in STRENGTHS if other != strength]
    if SETTINGS in kinds and by_channel[0] is False and flavour.can(layer, CHANNEL_WISE):
        by_channel.append(True)
    own = "hfmg_quantize.dst_type" if site.setting.bins is not None else "ifmr_quantize.dst_type"
    names = own, "dmq_balancer.migration_strength", "arq_quantize.channel_wise"
    for chosen in itertools.product(widths, strengths, by_channel):
        changes = {name: value for name, value in zip(names, chosen) if value is not None}
        with contextlib.suppress(ValueError):
            yield site.with_block(change_block(site.effective, changes))


class Axes(NamedTuple):
    """The choices for the activations of a layer, each on its own; the first is what it has.

    percentiles, ranges -- of IFMR, in pairs and as (start, end, step). bins -- of HFMG. offsets -- whether asymmetric.
    """

    percentiles: tuple[tuple[float, float], ...]
    ranges: tuple[tuple[float, float, float], ...]
    bins: tuple[int, ...]
    offsets: tuple[bool, ...]


def axes_of(site: Site, flavour: Flavour, kinds: Iterable[str]) -> Axes:
    """Return what can be chosen for the activations of a layer; the ranges are those of the fields."""
    setting = site.setting
    percentiles = [setting.percentiles] if setting.bins is None else []
    ranges = [setting.search] if setting.bins is None else []
    bins = [] if setting.bins is None else [setting.bins]
    offsets = [setting.asymmetric]
    if SETTINGS in kinds:
        percentiles += [(p, p) for p in PERCENTILES]
        ranges += [(start, end, RANGE_STEP) for start, end in itertools.product(RANGE_STARTS, RANGE_ENDS)]
        within = getattr(find_field(flavour, "hfmg_quantize.num_of_bins"), "within", None)
        bins += within.values if isinstance(within, Among) else ()
        if flavour.can(site.effective.layer, ASYMMETRIC):
            offsets.append(not offsets[0])
    choices: list[Any] = [percentiles, ranges, bins, offsets]
    return Axes(*(tuple(dict.fromkeys(values)) for values in choices))


def change_block(effective: EffectiveConfig, changes: dict[str, Any]) -> Any:
    """Return the layer's block with some values changed. Raises `ValueError` for one out of its range."""
    now = values_of(effective.calibration_config)
    return alter_block(effective.calibration_config, {n: v for n, v in changes.items() if now.get(n) != v})


def classify_change(effective: EffectiveConfig, block: Message) -> str | None:
    """Return the dearest kind of change between what a layer gets and another block; None where nothing changes."""
    before, after = values_of(effective.calibration_config), values_of(block)
    if before == after:
        return None
    if activation_width_of(after) == "INT16" != activation_width_of(before):
        return INT16
    strength = "dmq_balancer.migration_strength"
    return BALANCER if strength in after and strength not in before else SETTINGS


def activation_width_of(values: dict[str, Any]) -> Any:
    return next((value for name, value in values.items() if name.endswith(".dst_type")), None)
