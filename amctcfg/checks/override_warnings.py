# SPDX-License-Identifier: Apache-2.0
"""Warnings about overrides: what a block replaces or changes is not what its author believes."""

from __future__ import annotations

from typing import Any, Iterator, Sequence

from ..diagnostics.diagnostic import WARNING, Diagnostic, Path
from ..diagnostics.words import format_value, quote_names
from ..flavours.layer import Layer
from ..flavours.requirement import ERROR, cascade_of, list_requirements, requirements_of
from ..resolve.effective import values_of
from ..resolve.resolver import DOCUMENTED, OF_LAYER, OF_TYPE, TOOLKIT, Resolver, Tier, member_in
from .context import OVERRIDES, Context


def check_skipped_overrides(context: Context) -> Iterator[Diagnostic]:
    """Report overrides of what is skipped; a run of them, as `condense` writes them, once."""
    resolver = context.resolver
    runs: list[tuple[Path, str, list[str]]] = []  # where a run begins, what skips its layers, and their names
    for field in OVERRIDES:
        following = None
        for path, name in context.iter_names(field):
            layer = context.by_name.get(name) if field == OF_LAYER else None
            by = "skip_layers" if field == OF_LAYER and name in resolver.skipped_names else ""
            if (name if field == OF_TYPE else layer and layer.type) in resolver.skipped_types:
                by = by or "skip_layer_types"
            if following == (path[1], by):
                runs[-1][2].append(name)
            elif by:
                runs.append((path, by, [name]))
            following = (int(path[1]) + 1, by) if by else None
    for path, by, found in runs:
        names = list(dict.fromkeys(found))
        words = "{} is not quantized, {} skips it; this override has no effect"
        hint = "delete the override, or take it out of {}"
        if len(names) > 1:
            words = "{} are not quantized, {} skips them; these overrides have no effect"
            hint = "delete them, or take them out of {}"
        yield context.report(WARNING, "skipped-override", words.format(quote_names(names), by), path, hint.format(by))


def iter_type_overrides(context: Context) -> Iterator[tuple[Path, str, bool]]:
    """Yield the overrides of types that aren't skipped, and whether a layer takes anything from each.

    Of several for one type, which are an error, the one that counts.
    """
    resolver = context.resolver
    for path, entry in context.iter_entries(OF_TYPE):
        name = entry.layer_type
        if name not in resolver.skipped_types and resolver.types[name].path[1] == path[1]:
            is_used = any(
                layer.name not in resolver.names
                or any(setting.tier == OF_TYPE for setting in resolver.decide_cascades(layer).values())
                for layer in context.by_type.get(name, ())
            )
            yield path, name, is_used


def check_partial_overrides(context: Context) -> Iterator[Diagnostic]:
    """Report what a block leaves out: it takes its default, where people expect it to be inherited."""
    resolver = context.resolver
    for path, name, is_used in iter_type_overrides(context):
        if is_used or not context.has_layers:
            yield from check_partial_override(context, path, resolver.list_tiers_by_name(None, name), Layer("", name))
    for path, entry in context.iter_entries(OF_LAYER):
        layer = context.by_name.get(entry.layer_name)
        if entry.layer_name in resolver.skipped_names or (layer is not None and not resolver.is_quantized(layer)):
            continue
        if layer is not None or not context.has_layers:
            yield from check_partial_override(
                context, path, resolver.list_tiers_by_name(entry.layer_name, layer.type if layer else None), layer
            )


def check_partial_override(
    context: Context, path: Path, tiers: Sequence[Tier], layer: Layer | None
) -> Iterator[Diagnostic]:
    """Compare a block, the first of the tiers, with those below it."""
    if len(tiers) < 2 or not context.is_whole(tiers):
        return
    lost = word_lost_algorithms(context, tiers, layer) + word_lost_values(context, tiers, layer)
    if lost:
        lower = " and ".join(dict.fromkeys(tier.name for tier in tiers[1:]))
        yield context.report(
            WARNING,
            "partial-override",
            "this block replaces {} as a whole: {}".format(lower, ", ".join(lost)),
            (*path, "calibration_config"),
            "repeat the settings that you want to keep",
        )


def word_lost_algorithms(context: Context, tiers: Sequence[Tier], layer: Layer | None) -> list[str]:
    """Word what becomes of algorithms of lower blocks that the highest has no other in place of."""
    if layer is None:  # it may be one that can't have them
        return []
    resolver, below, found = context.resolver, list(tiers[1:]), []
    for names, default in resolver.groups:
        lost = member_in(below[0].block, names)
        if member_in(tiers[0].block, names) is None and lost not in (None, default):
            if not resolver.is_dropped(lost, layer, below):
                words = "{} gives way to {}".format(lost, default) if default else "{} is left out".format(lost)
                found.append("{} ({} has it)".format(words, below[0].name))
    return found


def word_lost_values(context: Context, tiers: Sequence[Tier], layer: Layer | None) -> list[str]:
    """Word what becomes of values that lower blocks set, in the algorithms of the highest one, which leaves them out."""
    resolver, block = context.resolver, tiers[0].block
    own = values_of(block)
    chosen = [member_in(block, names) or default for names, default in resolver.groups]
    below: dict[str, tuple[str, Any]] = {}
    for tier in reversed(tiers[1:]):
        below.update({field: (tier.name, value) for field, value in values_of(tier.block).items()})
    found = []
    for field, (tier_name, value) in below.items():
        steps = block.__schema__.follow(field)
        if field in own or cascade_of(steps[-1]) is not None or (steps[0].is_message and steps[0].name not in chosen):
            continue
        asked = [requirement.ability for requirement in requirements_of(steps[-1]) if value in requirement.values]
        if layer is not None and not all(context.flavour.can(layer, ability) for ability in asked):
            continue
        fallback = resolver.default_of(steps[-1], layer)
        if fallback != value:  # else it is the same, inherited or not
            words = "the type's default" if fallback is None else format_value(fallback)
            what = "{} falls back to {} ({} has {})"
            found.append(what.format(steps[-1].name, words, tier_name, format_value(value)))
    return found


def check_ignored_overrides(context: Context) -> Iterator[Diagnostic]:
    for path, entry in context.iter_entries(OF_LAYER):
        layer = context.by_name.get(entry.layer_name)
        if layer is not None and not context.flavour.quantizes(layer):
            why = "is of type {}, which is not quantizable".format(layer.type)
            if layer.type in context.flavour.quantizable_types:
                why = "is not supported, `amctcfg layers` shows why"
            message = "'{}' {}; this override has no effect".format(layer.name, why)
            yield context.report(WARNING, "ignored-override", message, (*path, "layer_name"), "delete the override")


def check_unused_overrides(context: Context) -> Iterator[Diagnostic]:
    for path, name, is_used in iter_type_overrides(context):
        if name in context.flavour.quantizable_types and not is_used:
            why = "the model has no quantizable layer of type {}"
            if context.by_type.get(name):
                why = "each layer of type {} has an override of its own"
            message = "{}; this override has no effect".format(why.format(name))
            yield context.report(WARNING, "unused-override", message, (*path, "layer_type"), "delete the override")


def check_cascades(context: Context) -> Iterator[Diagnostic]:
    """Report where the page and the toolkit differ."""
    documented, as_toolkit = (context.resolver.with_rules(rules) for rules in (DOCUMENTED, TOOLKIT))
    for path, entry in context.iter_entries(OF_LAYER):
        layer = context.by_name.get(entry.layer_name)
        if layer is None or not context.flavour.quantizes(layer) or layer.type not in context.resolver.types:
            continue
        if not context.is_whole(context.resolver.list_tiers(layer)):
            continue
        toolkit = as_toolkit.decide_cascades(layer)
        for field, page in documented.decide_cascades(layer).items():
            name, tool = field.rpartition(".")[2], toolkit[field]
            if page.value != tool.value:
                message = "{} of '{}' is {} by the documented rules ({}), but {} for the toolkit ({})".format(
                    name,
                    layer.name,
                    format_value(page.value),
                    page.tier,
                    format_value(tool.value),
                    tool.tier,
                )
                hint = "set {} in this override".format(name)
                yield context.report(WARNING, "asymmetric-cascade", message, (*path, "layer_name"), hint)


def check_redundant_overrides(context: Context) -> Iterator[Diagnostic]:
    """Report overrides with and without which every layer has the same, under both sets of rules."""
    resolver = context.resolver
    resolvers = [resolver.with_rules(rules) for rules in (DOCUMENTED, TOOLKIT)]
    for path, name, is_used in iter_type_overrides(context):
        if path in context.wrong or not is_used:
            continue
        types = {other: tier for other, tier in resolver.types.items() if other != name}
        pairs = [(one, one.replace(types=types)) for one in resolvers]
        if is_redundant(context, context.by_type[name], resolver.common, pairs):
            yield report_redundant_override(context, (*path, "layer_type"), "layers of type {}".format(name))
    pairs = [(one, one.replace(names={})) for one in resolvers]
    for path, entry in context.iter_entries(OF_LAYER):
        layer = context.by_name.get(entry.layer_name)
        if path in context.wrong or layer is None or not resolver.is_quantized(layer):
            continue
        if is_redundant(context, [layer], resolver.types.get(layer.type, resolver.common), pairs):
            yield report_redundant_override(context, (*path, "layer_name"), quote_names([layer.name]))


def is_redundant(
    context: Context, layers: Sequence[Layer], below: Tier | None, pairs: Sequence[tuple[Resolver, Resolver]]
) -> bool:
    """Return whether layers have the same with an override and without it, as resolvers in pairs say.

    It is needed where the block below it would be an error on one of them, or where a block could not be read.
    """
    needed = (
        []
        if below is None
        else [r.ability_in(below.block) for r in list_requirements(below.block) if r.common == ERROR]
    )
    return all(
        context.is_whole(context.resolver.list_tiers(layer))
        and all(context.flavour.can(layer, ability) for ability in needed)
        and all(one.calibration_of(layer) == other.calibration_of(layer) for one, other in pairs)
        for layer in layers
    )


def report_redundant_override(context: Context, path: Path, whom: str) -> Diagnostic:
    message = "this override changes nothing for {}".format(whom)
    return context.report(WARNING, "redundant-override", message, path, "delete it")
