# SPDX-License-Identifier: Apache-2.0
"""Warnings: settings that are valid and do not do what their author believes."""

from __future__ import annotations

import re
from typing import Any, Iterator, Sequence

from ..diagnostics.diagnostic import ERROR, WARNING, Diagnostic, Path, sort_key_of
from ..diagnostics.words import quote_names
from ..documents.foreign import PLACEHOLDERS
from ..flavours.common import DEFAULTS, SEARCH, subtract_exactly
from ..flavours.layer import Layer
from ..messages.message import Message
from ..resolve.effective import values_of
from ..resolve.resolver import OF_LAYER, OF_TYPE
from .context import OVERRIDES, Check, Context
from .errors import find_errors
from .override_warnings import (
    check_cascades,
    check_ignored_overrides,
    check_partial_overrides,
    check_redundant_overrides,
    check_skipped_overrides,
    check_unused_overrides,
)

MANY_STEPS = 10000
COARSE = 0.9999


def gather_diagnostics(context: Context) -> tuple[Diagnostic, ...]:
    """Gather what reading found, all errors and all warnings, in the order of their places.

    The warnings leave alone what has an error, which they find in the context (`wrong`). Without layers they are those that
    the configuration alone shows.
    """
    found = [*(context.document.diagnostics if context.document else ()), *find_errors(context)]
    context.wrong = {d.path[:2] for d in found if d.severity == ERROR and d.path}
    for check in FILE_CHECKS + (MODEL_CHECKS if context.has_layers else ()):
        found += check(context)
    return tuple(sorted(found, key=sort_key_of))


# ---------------------------------------------------------------- shown by the configuration alone


def check_placeholders(context: Context) -> Iterator[Diagnostic]:
    for path, name in context.iter_names("skip_layers", "skip_layer_types", "skip_fusion_layers", *OVERRIDES):
        if name in PLACEHOLDERS:
            message = "'{}' is the placeholder of the vendor's page".format(name)
            what = "layer type" if name == "Optype" else "layer"
            yield context.report(
                WARNING, "placeholder", message, path, "write the name of a {} of the model".format(what)
            )


def check_fusion_off(context: Context) -> Iterator[Diagnostic]:
    if context.config.do_fusion is False and context.config.skip_fusion_layers:
        message = "skip_fusion_layers has no effect, do_fusion is false"
        path = ("skip_fusion_layers", 0)
        yield context.report(WARNING, "fusion-off", message, path, "delete skip_fusion_layers, or do_fusion")


def check_deprecated_fields(context: Context) -> Iterator[Diagnostic]:
    """Report what the toolkit still takes, and blocks that something else replaces."""
    for field, instead in context.flavour.deprecated_fields:
        written = getattr(context.config, field)
        if written is not None and written != ():
            path: Path = (field, 0) if isinstance(written, tuple) else (field,)
            yield context.report(WARNING, "deprecated", "{} is deprecated".format(field), path, instead)
    is_replaced = context.config.common_config is not None or context.config.override_layer_types
    for field, _ in context.flavour.deprecated_blocks if is_replaced else ():
        if getattr(context.config, field) is not None:
            message = "{} is ignored: there is a common_config or an override_layer_types".format(field)
            yield context.report(WARNING, "ignored-override", message, (field,), "delete it")


def check_rounding(context: Context) -> Iterator[Diagnostic]:
    if context.document is None or not has_long_numbers(context.document.text):
        return
    for path, block in iter_blocks(context):
        for name, value in values_of(block).items():
            inside = (*path, *name.split("."))
            written = str(context.document.tree.find_nearest(inside)[1]) if type(value) is float else ""
            if written and not is_same_number(written, value):
                words = "{} is {} as a 32-bit float, not {}".format(inside[-1], value, written)
                yield context.report(WARNING, "float32-rounding", words, inside, "write {}".format(value), str(value))


def has_long_numbers(text: str) -> bool:
    """Return whether a number may have more than the six digits that always survive float32."""
    return "0" * 20 in text or re.search(r"[1-9](?:[0-9.]{6}|[0-9.]*[eE][-+0-9])", text) is not None


def is_same_number(written: str, value: float) -> bool:
    """Return whether a literal is the number that is kept of it; neither has a sign."""
    digits = written.rstrip("fF")
    if len(digits) < 16:  # few enough for a double to tell
        return float(digits) == value
    from decimal import Decimal  # seldom needed, and slow to import

    return Decimal(digits) == Decimal(repr(value))


def check_percentiles(context: Context) -> Iterator[Diagnostic]:
    """Report percentiles that cut off many values; a run of blocks with the same one once."""
    counts: dict[tuple[Path, float], int] = {}  # of the blocks in a run, by its first place and its value
    growing: dict[tuple[Any, ...], tuple[Path, float]] = {}  # the run that a block continues
    for path, search in iter_searches(context):
        index = path[1] if isinstance(path[1], int) else 0
        for name in ("max_percentile", "min_percentile"):
            value = getattr(search, name, None)
            if value is not None and value < COARSE:
                run = growing.pop((path[0], index, path[-1], name, value), ((*path, name), value))
                counts[run] = counts.get(run, 0) + 1
                growing[path[0], index + 1, path[-1], name, value] = run
    for (path, value), count in counts.items():
        words = "{} {} cuts off one value in {:,.0f}, large activations among them"
        message = words.format(path[-1], value, 1 / (1 - value))
        if count > 1:
            message += ", here and in the {} that {}".format(
                *("block", "follows") if count == 2 else ("{} blocks".format(count - 1), "follow")
            )
        yield context.report(WARNING, "coarse-percentile", message, path, "0.9999 or more is usual")


def check_steps(context: Context) -> Iterator[Diagnostic]:
    for path, search in iter_searches(context):
        given = [name for name in reversed(SEARCH) if getattr(search, name, None) is not None]
        if not given:
            continue
        values = (getattr(search, name) for name in SEARCH)
        start, end, step = (DEFAULTS[n] if value is None else value for n, value in zip(SEARCH, values))
        if (end - start) / step < 0.9 * MANY_STEPS:
            continue
        from decimal import Decimal  # seldom needed, and slow to import

        steps = subtract_exactly(start, end) / Decimal(repr(step))
        if steps > MANY_STEPS:
            words = "the search from {} to {} by {} takes {:,.0f} steps for each layer"
            message = words.format(start, end, step, steps)
            yield context.report(
                WARNING, "many-steps", message, (*path, given[0]), "use a larger search_step, such as 0.01"
            )


def iter_searches(context: Context) -> Iterator[tuple[Path, Message]]:
    """Yield the messages that say how values are searched."""
    for path, block in iter_blocks(context):
        for part, field in block.__schema__.fields.items():
            search = getattr(block, part) if field.is_message else None
            if search is not None and (*path, part) not in context.incomplete:
                yield (*path, part), search


def iter_blocks(context: Context) -> Iterator[tuple[Path, Message]]:
    for field in ("common_config", *(name for name, _ in context.flavour.deprecated_blocks)):
        if getattr(context.config, field) is not None:
            yield (field,), getattr(context.config, field)
    for field in (OF_TYPE, OF_LAYER):
        for index, entry in enumerate(getattr(context.config, field)):
            if entry is not None and entry.calibration_config is not None:
                yield (field, index, "calibration_config"), entry.calibration_config
    yield from context.iter_entries("tensor_quantize")


# ---------------------------------------------------------------- shown by the layers


def check_selections(context: Context) -> Iterator[Diagnostic]:
    if context.document is None or "where=" not in context.document.text:
        return
    try:
        from ..documents.selections import judge_blocks
    except ImportError:  # a host that only expands may have deleted it
        return
    for judged in judge_blocks(context.document.tree, context.layers, context.flavour):
        block = judged.block
        code, hint = "stale-selection", "`amctcfg check --fix` rewrites the lines below"
        if judged.problem is not None:
            code, hint, message = "unknown-setting", "", judged.problem
        elif judged.is_stale:
            message = "the lines below are not what where={} selects: {}".format(
                block.expression, describe_changes(block.names, judged.wanted)
            )
        else:
            continue
        start = context.document.tree.source.span(block.start, block.start)
        width = len(context.document.text[block.start : block.end].rstrip("\r\n"))
        span = start._replace(end_column=start.column + width)
        yield Diagnostic(WARNING, code, message, span, None, hint or None, context.document.name)


def check_soc(context: Context) -> Iterator[Diagnostic]:
    """Report what the processor makes worse, or does not take."""
    if context.soc is None:  # a host that only expands may have deleted what is known of processors
        return
    from ..flavours.socs import find_soc

    soc = find_soc(context.soc)
    if soc is None:
        return
    refused = dict(soc.lacks).get(context.flavour.name)
    if refused is not None:
        yield context.report(WARNING, "soc-unsuited", "{}: {}".format(context.soc, refused))
    products = [] if soc.gains_by_products else [x for x in context.supported if is_variable_product(context, x)]
    names = [layer.name for layer in products if context.resolver.is_quantized(layer)]
    if names:
        message = "on {} a quantized product of two variables loses accuracy: {}"
        hint = "`amctcfg suggest --where two-variable` skips them"
        yield context.report(WARNING, "soc-unsuited", message.format(context.soc, quote_names(names)), None, hint)


def is_variable_product(context: Context, layer: Layer) -> bool:
    """Return whether a layer multiplies two values of which the toolkit takes neither for a weight."""
    if context.layers.traits is None:
        return "asymmetric" in layer.lacks
    traits = context.layers.traits.get(layer.name)
    is_product = context.flavour.types[layer.type].operation in ("matmul", "batchmatmul")
    return is_product and traits is not None and (traits.two_variable or traits.runtime_weight is not None)


def describe_changes(own: Sequence[str | None], wanted: Sequence[str]) -> str:
    """Describe the difference: `'a' is missing, 'b' and 'c' are not selected`."""
    found, there, chosen = [], set(own), set(wanted)
    for names, what in (
        ([name for name in wanted if name not in there], "missing"),
        ([name for name in own if name is not None and name not in chosen], "not selected"),
    ):
        if names:
            found.append("{} {} {}".format(quote_names(names), "is" if len(names) == 1 else "are", what))
    return ", ".join(found) or "an entry isn't a name"


FILE_CHECKS: tuple[Check, ...] = (
    check_placeholders,
    check_fusion_off,
    check_deprecated_fields,
    check_rounding,
    check_steps,
    check_percentiles,
    check_skipped_overrides,
    check_partial_overrides,
    check_soc,
)
MODEL_CHECKS: tuple[Check, ...] = (
    check_selections,
    check_ignored_overrides,
    check_unused_overrides,
    check_cascades,
    check_redundant_overrides,
)
