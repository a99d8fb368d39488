# SPDX-License-Identifier: Apache-2.0
"""Warnings: settings that are valid and do not do what their author believes."""

from __future__ import annotations

from typing import Any, Callable, Iterator, List, Optional, Sequence, Tuple

from .diagnostics import WARNING, Diagnostic, Path
from .merging import ASYMMETRIC, DOCUMENTED, PARTS, TOOLKIT, Merger, Origin, Tier, fields_of
from .model import Model, named
from .schema import DEFAULTS, CalibrationConfig, FMRQuantize
from .target import Layer

__all__ = ["warnings"]

MANY_STEPS = 10000

PLACEHOLDERS = ("Opname", "Optype")


def warnings(model: Model) -> Tuple[Diagnostic, ...]:
    """All warnings, in the order of their places. Without layers, those that the configuration alone tells."""
    for check in FILE_CHECKS + (MODEL_CHECKS if model.has_layers else ()):
        check(model)
    return model.taken()


# ---------------------------------------------------------------- told by the configuration alone


def placeholders(model: Model) -> None:
    for path, name in names(model):
        if name in PLACEHOLDERS:
            message = "'{}' is the placeholder of the vendor's page".format(name)
            what = "layer type" if name == "Optype" else "layer"
            model.report(WARNING, "placeholder", message, path, "write the name of a {} of the model".format(what))


def names(model: Model) -> Iterator[Tuple[Path, str]]:
    for field in ("skip_layers", "skip_layer_types", "skip_fusion_layers"):
        yield from model.entries(field)
    for field, key in (("override_layer_types", "layer_type"), ("override_layer_configs", "layer_name")):
        for path, entry in model.entries(field):
            yield (*path, key), getattr(entry, key)


def fusion_off(model: Model) -> None:
    if model.config.do_fusion is False and model.config.skip_fusion_layers:
        message = "skip_fusion_layers has no effect, do_fusion is false"
        model.report(
            WARNING, "fusion-off", message, ("skip_fusion_layers", 0), "delete skip_fusion_layers, or do_fusion"
        )


def rounded_numbers(model: Model) -> None:
    """A number written with more digits than float32 has is another number."""
    if model.document is None:
        return
    for path, block in blocks(model):
        for part, cls in PARTS.items():
            if getattr(block, part) is None or not any(spec.kind is float for spec in cls.specs.values()):
                continue
            for name, field in model.document.tree.inside((*path, part)).items():
                written, value = field[1], getattr(getattr(block, part), name)
                if cls.specs[name].kind is float and not same_number(written, value):
                    message = "{} is {} as a 32-bit float, not {}".format(name, value, written)
                    model.report(WARNING, "float32-rounding", message, (*path, part, name), "write {}".format(value))


def same_number(written: str, value: float) -> bool:
    if len(written) < 16:  # few enough digits for a double to tell
        return float(written.rstrip("fF")) == value
    from decimal import Decimal  # seldom needed, and slow to import

    return Decimal(written.rstrip("fF")) == Decimal(repr(value))


def many_steps(model: Model) -> None:
    for path, search in searches(model):
        start, end, step = (
            value_of(search, name) for name in ("search_range_start", "search_range_end", "search_step")
        )
        steps = (end - start) / step
        if steps > MANY_STEPS:
            name = next(
                n for n in ("search_step", "search_range_end", "search_range_start") if getattr(search, n) is not None
            )
            message = "the search from {} to {} by {} takes {:,.0f} steps for each layer".format(
                start, end, step, steps
            )
            model.report(WARNING, "many-steps", message, (*path, name), "a larger search_step is usual, such as 0.01")


def searches(model: Model) -> Iterator[Tuple[Path, FMRQuantize]]:
    for path, block in blocks(model):
        if block.ifmr_quantize is not None:
            yield (*path, "ifmr_quantize"), block.ifmr_quantize


def blocks(model: Model) -> Iterator[Tuple[Path, CalibrationConfig]]:
    if model.config.common_config is not None:
        yield ("common_config",), model.config.common_config
    for field in ("override_layer_types", "override_layer_configs"):
        for path, entry in model.entries(field):
            yield (*path, "calibration_config"), entry.calibration_config


def value_of(search: FMRQuantize, name: str) -> Any:
    value = getattr(search, name)
    return DEFAULTS[name] if value is None else value


def skipped_overrides(model: Model) -> None:
    merger = model.merger
    for path, entry in model.entries("override_layer_types"):
        if entry.layer_type in merger.skipped_types:
            skipped_override(model, (*path, "layer_type"), entry.layer_type, "skip_layer_types")
    for path, entry in model.entries("override_layer_configs"):
        layer = model.by_name.get(entry.layer_name)
        if entry.layer_name in merger.skipped_names:
            skipped_override(model, (*path, "layer_name"), entry.layer_name, "skip_layers")
        elif layer is not None and layer.type in merger.skipped_types:
            skipped_override(model, (*path, "layer_name"), entry.layer_name, "skip_layer_types")


def skipped_override(model: Model, path: Path, name: str, by: str) -> None:
    message = "'{}' is not quantized, {} skips it; this override has no effect".format(name, by)
    model.report(WARNING, "skipped-override", message, path, "delete the override, or take it out of {}".format(by))


def partial_overrides(model: Model) -> None:
    """What a block leaves out takes its default; people expect it to be inherited."""
    merger = model.merger
    for path, entry in model.entries("override_layer_types"):
        if entry.layer_type not in merger.skipped_types and (users(model, entry.layer_type) or not model.has_layers):
            partial_override(model, path, merger.tiers(None, entry.layer_type), entry.layer_type)
    for path, entry in model.entries("override_layer_configs"):
        layer = model.by_name.get(entry.layer_name)
        if entry.layer_name not in merger.skipped_names and (layer is None or effective(model, layer)):
            layer_type = layer.type if layer else None
            partial_override(model, path, merger.tiers(entry.layer_name, layer_type), layer_type)


def partial_override(model: Model, path: Path, tiers: Sequence[Tier], layer_type: Optional[str]) -> None:
    """The block is the first of the tiers, and the next is what would count without it."""
    if len(tiers) < 2:
        return
    own, below, lower = fields_of(tiers[0].block), fields_of(tiers[1].block), tiers[1].name
    left_out = [field for field in below if field not in own and field != ASYMMETRIC]
    if not left_out:
        return
    told = []
    for field in left_out:
        value = model.merger.default(short(field), layer_type)
        fallback = "the type's default" if value is None else shown(value)
        told.append("{} falls back to {} ({} has {})".format(short(field), fallback, lower, shown(below[field])))
    message = "this block replaces {} as a whole: {}".format(lower, ", ".join(told))
    hint = "repeat what is to stay the same"
    model.report(WARNING, "partial-override", message, (*path, "calibration_config"), hint)


# ---------------------------------------------------------------- told by the layers


def effective(model: Model, layer: Layer) -> bool:
    """Whether a layer is quantized, so that its settings count."""
    return model.merger.quant_enable(layer).value is True


def ignored_overrides(model: Model) -> None:
    for path, entry in model.entries("override_layer_configs"):
        layer = model.by_name.get(entry.layer_name)
        if layer is not None and not model.target.quantizes(layer):
            why = "is of type {}, which is not quantizable".format(layer.type)
            if layer.type in model.target.quantizable_types:
                why = "is not supported, `amctcfg layers` says why"
            message = "'{}' {}; this override has no effect".format(layer.name, why)
            model.report(WARNING, "ignored-override", message, (*path, "layer_name"), "delete the override")


def unused_overrides(model: Model) -> None:
    for path, entry in model.entries("override_layer_types"):
        known = entry.layer_type in model.target.quantizable_types
        if known and entry.layer_type not in model.merger.skipped_types and not users(model, entry.layer_type):
            layers = [layer for layer in model.by_type.get(entry.layer_type, ()) if model.target.quantizes(layer)]
            why = "the model has no quantizable layer of type {}".format(entry.layer_type)
            if layers:
                why = "each layer of type {} has an override of its own".format(entry.layer_type)
            message = "{}; this override has no effect".format(why)
            model.report(WARNING, "unused-override", message, (*path, "layer_type"), "delete the override")


def users(model: Model, layer_type: str) -> List[Layer]:
    """The layers that take anything from the block of their type."""
    merger = model.merger
    found = []
    for layer in model.by_type.get(layer_type, ()):
        takes = layer.name not in merger.names or asymmetric_of(merger, layer).tier == "override_layer_types"
        if takes and model.target.quantizes(layer):
            found.append(layer)
    return found


def asymmetric_of(merger: Merger, layer: Layer) -> Origin:
    return merger.origin_of(layer, ASYMMETRIC)


def asymmetric_cascades(model: Model) -> None:
    """The one case in which the page and the toolkit differ."""
    documented = model.merger.by_rules(DOCUMENTED)
    toolkit = model.merger.by_rules(TOOLKIT)
    for path, entry in model.entries("override_layer_configs"):
        layer = model.by_name.get(entry.layer_name)
        if layer is None or not model.target.quantizes(layer) or layer.type not in model.merger.types:
            continue
        page, tool = asymmetric_of(documented, layer), asymmetric_of(toolkit, layer)
        if page.value != tool.value:
            message = "asymmetric of '{}' is {} by the documented rules ({}), but {} for the toolkit ({})".format(
                layer.name, shown(page.value), page.tier, shown(tool.value), tool.tier
            )
            hint = "set asymmetric in this override"
            model.report(WARNING, "asymmetric-cascade", message, (*path, "layer_name"), hint)


def redundant_overrides(model: Model) -> None:
    """Merged with the entry and without it, every layer has the same."""
    merger = model.merger
    for path, entry in model.entries("override_layer_types"):
        layers = users(model, entry.layer_type)
        if layers and entry.layer_type not in merger.skipped_types:
            without = merger.without_type(entry.layer_type)
            if all(merger.calibration(layer) == without.calibration(layer) for layer in layers):
                redundant_override(model, (*path, "layer_type"), "layers of type {}".format(entry.layer_type))
    for path, entry in model.entries("override_layer_configs"):
        layer = model.by_name.get(entry.layer_name)
        if layer is not None and effective(model, layer):
            if merger.calibration(layer) == merger.calibration_of(None, layer.type):
                redundant_override(model, (*path, "layer_name"), named([layer.name]))


def redundant_override(model: Model, path: Path, whom: str) -> None:
    message = "this override changes nothing for {}".format(whom)
    model.report(WARNING, "redundant-override", message, path, "delete it")


def short(field: str) -> str:
    """`search_step` of `ifmr_quantize.search_step`"""
    return field.rpartition(".")[2]


def shown(value: Any) -> str:
    """A value as the file writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


Check = Callable[[Model], None]

FILE_CHECKS: Tuple[Check, ...] = (
    placeholders,
    fusion_off,
    rounded_numbers,
    many_steps,
    skipped_overrides,
    partial_overrides,
)
MODEL_CHECKS: Tuple[Check, ...] = (ignored_overrides, unused_overrides, asymmetric_cascades, redundant_overrides)
