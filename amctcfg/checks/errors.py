# SPDX-License-Identifier: Apache-2.0
"""The errors that a configuration has on a model: everything at which the toolkit stops, and all of it at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, Sequence

from ..diagnostics.diagnostic import ERROR, WARNING, Diagnostic, Path, sort_key_of
from ..diagnostics.words import format_value, quote_names
from ..flavours.common import Configuration
from ..flavours.layer import Layer, Layers
from ..flavours.requirement import ERROR as IS_ERROR
from ..flavours.requirement import SOFTEN, WHERE_USED, Occurrence, find_occurrences
from ..messages.message import Message, by_identity
from ..resolve.resolver import OF_LAYER, OF_TYPE, TOOLKIT
from ..textformat.literals import unescape_each
from .context import Check, Context

if TYPE_CHECKING:
    from ..diagnostics.diagnostic import Severity
    from ..messages.message import IdentityCache


def find_errors(context: Context) -> tuple[Diagnostic, ...]:
    """Find all errors, in the order of their places; without layers, those that the types decide alone.

    The context keeps them.
    """
    if context.errors is None:
        checks = CHECKS if context.has_layers else CHECKS_OF_TYPES
        context.errors = tuple(sorted((found for check in checks for found in check(context)), key=sort_key_of))
    return context.errors


# ---------------------------------------------------------------- names


def check_skipped_layers(context: Context) -> Iterator[Diagnostic]:
    for path, name in context.iter_entries("skip_layers"):
        layer = context.by_name.get(name)
        if layer is None:
            yield report_unknown_layer(context, name, path)
        elif layer.type not in context.flavour.quantizable_types:
            message = "'{}' is of type {}, which is not quantized anyway".format(name, layer.type)
            yield context.report(ERROR, "not-quantizable", message, path, "delete it here")


def check_layer_overrides(context: Context) -> Iterator[Diagnostic]:
    unmet: IdentityCache[list[Occurrence]] = {}  # many blocks are the same
    for path, entry in context.iter_entries(OF_LAYER):
        layer, block = context.by_name.get(entry.layer_name), entry.calibration_config
        if layer is None:
            yield report_unknown_layer(context, entry.layer_name, (*path, "layer_name"))
            continue
        kind = (layer.type, layer.lacks, layer.supported)
        for one in () if block is None else by_identity(unmet, block, kind, find_unmet, context, layer, block):
            asked = one._replace(path=(*path, "calibration_config", *one.path))
            yield report_unmet(context, layer, asked, asked.requirement.ability_in(block))


def find_unmet(context: Context, layer: Layer, block: Message) -> list[Occurrence]:
    return [
        asked
        for asked in find_occurrences(block)
        if not context.flavour.can(layer, asked.requirement.ability_in(block))
        or (asked.requirement.supported and not layer.supported)
    ]


def check_unfused_layers(context: Context) -> Iterator[Diagnostic]:
    fusible = context.flavour.fusible_types
    for path, name in context.iter_entries("skip_fusion_layers"):
        layer = context.by_name.get(name)
        if layer is None:
            yield report_unknown_layer(context, name, path)
        elif layer.type not in fusible:
            message = "'{}' is of type {}, into which BN is never fused".format(name, layer.type)
            hint = "delete it here; BN is fused into {}".format(" and ".join(sorted(fusible)) or "none of its types")
            yield context.report(ERROR, "not-fusible", message, path, hint)


def report_unknown_layer(context: Context, name: str, path: Path) -> Diagnostic:
    hint, replacement = context.suggest_layers(name)
    hint = find_missing_comma(context, path) or hint or "`amctcfg layers` lists the layers of a graph"
    message = "the model has no layer '{}'".format(name)
    # An exported model lacks the modules that were folded away, which the toolkit knows.
    severity = ERROR if context.layers.is_complete else WARNING
    return context.report(severity, "unknown-layer", message, path, hint, replacement)


def find_missing_comma(context: Context, path: Path) -> str | None:
    """Return a hint where a name is written as several strings, each of them the name of a layer."""
    literal = context.document.tree.find_nearest(path)[1] if context.document else ""
    is_string = isinstance(literal, str) and literal[:1] in ("'", '"')
    names = [name.decode("utf-8", "replace") for name in unescape_each(literal)] if is_string else []
    if len(names) < 2 or not all(name in context.by_name for name in names):
        return None
    return "a comma is missing: strings side by side are one; {} are layers".format(quote_names(names))


def note_other_model(config: Configuration, layers: Sequence[Layer]) -> str | None:
    """Return a note where most of the layers that a configuration names are not in the model."""
    entries = [entry.layer_name for entry in config.override_layer_configs if entry is not None]
    named_here = [name for name in (*config.skip_layers, *config.skip_fusion_layers, *entries) if name is not None]
    known = {layer.name for layer in layers}
    unknown = [name for name in named_here if name not in known]
    if len(unknown) < 3 or 2 * len(unknown) <= len(named_here):
        return None
    of_model = Layers(layers)
    examples = [layer.name for layer in of_model if layer.supported] or [
        layer.name for layer in of_model if not of_model.is_minor(layer)
    ]
    example = "; its layers are {}".format(quote_names(examples, 2)) if examples else ""
    counts = "{} of the {} layers that the file names are not in it".format(len(unknown), len(named_here))
    return "this looks like another model's graph: {}{}".format(counts, example)


def check_type_names(context: Context) -> Iterator[Diagnostic]:
    for path, name in context.iter_names("skip_layer_types", OF_TYPE):
        if name in context.flavour.quantizable_types:
            continue
        if name in context.by_type or name in context.flavour.types:
            message = "layers of type {} can't be quantized".format(name)
            hint = "the quantizable types are {}".format(", ".join(sorted(context.flavour.quantizable_types)))
            yield context.report(ERROR, "not-quantizable", message, path, hint)
        else:
            from ..documents.foreign import word_unknown_type

            code, message, type_hint, replacement = word_unknown_type(context.flavour, name)
            yield context.report(ERROR, code, message, path, type_hint, replacement)


# ---------------------------------------------------------------- requirements that a layer can't satisfy


def report_asked(
    context: Context, asked: Occurrence, whom: str, hint: str, severity: Severity = ERROR, code: str | None = None
) -> Diagnostic:
    """Report what can't be: `dst_type can't be INT16 for ...`, `dmq_balancer is not possible for ...`."""
    what = "is not possible" if asked.value is None else "can't be {}".format(format_value(asked.value))
    message = "{} {} for {}".format(asked.path[-1], what, whom)
    return context.report(severity, code or asked.requirement.code, message, asked.path, hint)


def check_types(context: Context) -> Iterator[Diagnostic]:
    for name, tier in context.resolver.types.items():
        layer_type = context.flavour.types.get(name)
        if layer_type is None or not layer_type.quantizable or tier.block is None:  # which could not be read
            continue
        for asked in find_occurrences(tier.block, tier.path):
            ability = asked.requirement.ability_in(tier.block, by_type=True)
            if layer_type.has(ability):
                others = without_own_override(context, name)
                needed = asked.requirement.ability_in(tier.block)
                lack = [layer for layer in others if not context.flavour.can(layer, needed)]
                if lack and asked.requirement.by_type == SOFTEN:
                    yield report_softened(context, asked, lack)
                elif lack:
                    yield report_lack(context, asked, lack, name)
            elif asked.requirement.by_type == IS_ERROR or (
                asked.requirement.by_type == WHERE_USED and without_own_override(context, name)
            ):
                yield report_refusal(context, asked, "layers of type {}".format(name), ability)


def report_lack(context: Context, asked: Occurrence, lack: list[Layer], layer_type: str) -> Diagnostic:
    severity, why = ERROR, ", of type {}".format(layer_type)
    if context.resolver.rules == TOOLKIT:
        severity, why = WARNING, "; the toolkit writes it and refuses it later"
    whom = quote_names(layer.name for layer in lack) + why
    return report_asked(context, asked, whom, "give these layers overrides of their own", severity)


def without_own_override(context: Context, layer_type: str) -> list[Layer]:
    return [layer for layer in context.by_type.get(layer_type, ()) if layer.name not in context.resolver.names]


def report_unmet(context: Context, layer: Layer, asked: Occurrence, ability: str) -> Diagnostic:
    if context.flavour.can(layer, ability):
        return report_asked(context, asked, "'{}', which is not supported".format(layer.name), "delete it here")
    if asked.requirement.by_layer == SOFTEN:
        return report_softened(context, asked, [layer])
    why, layer_type = "which is of type {}".format(layer.type), context.flavour.types.get(layer.type)
    if layer_type is not None and layer_type.has(ability):
        why = LACKS.get(ability, "which lacks it though its type {} can have it").format(layer.type)
    return report_refusal(context, asked, "'{}', {}".format(layer.name, why), ability)


# Why a layer lacks what its type can have.
LACKS: dict[str, str] = {
    "int16": "a {} without a bias",
    "asymmetric": "a {} of two variables",
}


def report_refusal(context: Context, asked: Occurrence, whom: str, ability: str) -> Diagnostic:
    able = sorted(name for name, t in context.flavour.types.items() if t.quantizable and t.has(ability))
    only = "only {} can have it".format(", ".join(able)) if able else "no type can have it"
    hint = "leave it out; " + only
    if asked.value is True:
        hint = "write {}: false, or leave it out; {}".format(asked.path[-1], only)
    return report_asked(context, asked, whom, hint)


def check_common(context: Context) -> Iterator[Diagnostic]:
    """Check what common_config asks of layers without an override, skipped ones included."""
    tier = context.resolver.common
    if tier is None:
        return
    overrides_are_read = not {(OF_LAYER,), (OF_TYPE,)} & context.incomplete
    for asked in find_occurrences(tier.block, tier.path):
        hit = [
            layer
            for layer in context.supported
            if layer.name not in context.resolver.names
            and layer.type not in context.resolver.types
            and not context.flavour.can(layer, asked.requirement.ability_in(tier.block))
        ]
        if asked.requirement.common != IS_ERROR:
            quantized = [layer for layer in hit if context.resolver.is_quantized(layer)]
            if quantized:
                yield report_softened(context, asked, quantized)
        elif hit and overrides_are_read:
            yield report_common_error(context, asked, hit)


def report_common_error(context: Context, asked: Occurrence, hit: list[Layer]) -> Diagnostic:
    types = sorted({layer.type for layer in hit})
    whom = "{}, of type {}, {} {} applies to{}".format(
        quote_names(layer.name for layer in hit),
        " and ".join(types),
        "which" if len(hit) == 1 else "all of which",
        asked.path[0],
        " even though skipped" if not any(context.resolver.is_quantized(layer) for layer in hit) else "",
    )
    name = asked.path[-1]
    hint = "leave {0} out here, or add override_layer_types with {0}: false for {1}".format(name, " and ".join(types))
    return report_asked(context, asked, whom, hint)


def report_softened(context: Context, asked: Occurrence, layers: list[Layer]) -> Diagnostic:
    instead = asked.requirement.instead
    gets = "{} {} instead".format("it gets" if len(layers) == 1 else "they get", format_value(instead))
    if instead is None:
        gets = "{} quantized without it".format("it is" if len(layers) == 1 else "they are")
    whom = "{}; {}".format(quote_names(layer.name for layer in layers), gets)
    hint = "to say so, add an override without it for {}".format(" and ".join(sorted({x.type for x in layers})))
    return report_asked(context, asked, whom, hint, WARNING, "softened")


# ---------------------------------------------------------------- the model as a whole


def check_tensors(context: Context) -> Iterator[Diagnostic]:
    for path, entry in context.iter_entries("tensor_quantize"):
        layer = context.by_name.get(entry.layer_name)
        takes = sorted(name for name, t in context.flavour.types.items() if not t.quantizable)
        if layer is None and entry.layer_name is not None:
            yield report_unknown_layer(context, entry.layer_name, (*path, "layer_name"))
        elif layer is not None and layer.type not in takes:
            message = "'{}' is of type {}; tensor_quantize takes {}".format(layer.name, layer.type, ", ".join(takes))
            yield context.report(ERROR, "not-quantizable", message, (*path, "layer_name"), "delete the entry")


def check_reserved_names(context: Context) -> Iterator[Diagnostic]:
    layout = context.flavour.layout
    for layer in context.supported:
        if layout is not None and layer.name in (*layout.globals, *layout.reserved):
            words = "the model has a layer named '{}', which the toolkit takes for a global key of the JSON"
            hint = "rename that node of the graph"
            yield context.report(ERROR, "reserved-name", words.format(layer.name), None, hint)


def check_anything_quantized(context: Context) -> Iterator[Diagnostic]:
    if getattr(context.config, "tensor_quantize", ()):
        return
    quantizable = context.flavour.quantizable_types
    if not context.supported:
        message = "the model has no layer that can be quantized"
        hint = "the quantizable types are {}".format(", ".join(sorted(quantizable)))
    elif quantizable <= set(context.config.skip_layer_types):
        message, hint = "skip_layer_types skips every quantizable type", "leave at least one type out of it"
    elif not any(map(context.resolver.is_quantized, context.supported)):
        message, hint = "skip_layers and skip_layer_types leave no layer to quantize", "leave at least one layer"
    else:
        return
    yield context.report(ERROR, "nothing-to-quantize", message, None, hint)


CHECKS: tuple[Check, ...] = (
    check_skipped_layers,
    check_layer_overrides,
    check_unfused_layers,
    check_type_names,
    check_types,
    check_common,
    check_tensors,
    check_reserved_names,
    check_anything_quantized,
)
CHECKS_OF_TYPES: tuple[Check, ...] = (check_type_names, check_types)
