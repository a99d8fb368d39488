# SPDX-License-Identifier: Apache-2.0
"""Warnings: settings that are valid and do not do what their author believes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

from ..diagnostics.diagnostic import WARNING, Diagnostic, Path
from ..diagnostics.words import format_value, quote_names
from ..flavours.layer import Layer
from ..flavours.requirement import ERROR, cascade_of, requirements_in
from ..messages.sharing import by_identity
from ..resolve.effective import values_of
from ..resolve.resolver import DOCUMENTED, OF_LAYER, OF_TYPE, TOOLKIT, Setting, Tier
from ..textformat.tree import Tree
from .context import OVERRIDES, Context

if TYPE_CHECKING:
    from ..documents.selections import Judged
    from ..messages.sharing import IdentityCache
    from ..resolve.resolver import Rules

MANY_STEPS = 10000
COARSE = 0.9999

PLACEHOLDERS = ("Opname", "Optype")

SEARCH = ("search_step", "search_range_end", "search_range_start")


def find_warnings(context: Context) -> Tuple[Diagnostic, ...]:
    """Find all warnings, in the order of their places. Without layers, those that the configuration alone shows."""
    context = context.collecting()
    for check in FILE_CHECKS + (MODEL_CHECKS if context.has_layers else ()):
        check(context)
    return context.sorted_diagnostics()


# ---------------------------------------------------------------- shown by the configuration alone


def check_placeholders(context: Context) -> None:
    for path, name in iter_names(context):
        if name in PLACEHOLDERS:
            message = "'{}' is the placeholder of the vendor's page".format(name)
            what = "layer type" if name == "Optype" else "layer"
            context.report(WARNING, "placeholder", message, path, "write the name of a {} of the model".format(what))


def iter_names(context: Context) -> Iterator[Tuple[Path, str]]:
    for field in ("skip_layers", "skip_layer_types", "skip_fusion_layers"):
        yield from context.entries(field)
    for field, key in OVERRIDES:
        for path, entry in context.entries(field):
            yield (*path, key), getattr(entry, key)


def check_fusion_off(context: Context) -> None:
    if context.config.do_fusion is False and context.config.skip_fusion_layers:
        message = "skip_fusion_layers has no effect, do_fusion is false"
        path = ("skip_fusion_layers", 0)
        context.report(WARNING, "fusion-off", message, path, "delete skip_fusion_layers, or do_fusion")


def check_deprecated_fields(context: Context) -> None:
    """Report fields that these versions of the toolkit still take."""
    for field, instead in context.flavour.deprecated_fields:
        written = getattr(context.config, field)
        if written is not None and written != ():
            path: Path = (field, 0) if isinstance(written, tuple) else (field,)
            context.report(WARNING, "deprecated", "{} is deprecated".format(field), path, instead)


def check_deprecated_blocks(context: Context) -> None:
    """Report deprecated blocks that something else replaces."""
    for field, _ in context.flavour.deprecated_blocks:
        if getattr(context.config, field) is None:
            continue
        replaced = context.config.common_config is not None or context.config.override_layer_types
        if replaced:
            message = "{} is ignored: there is a common_config or an override_layer_types".format(field)
            context.report(WARNING, "ignored-override", message, (field,), "delete it")


def check_rounding(context: Context) -> None:
    """Report numbers with more digits than float32 has, which are other numbers."""
    if context.document is None or not has_long_numbers(context.document.text):
        return
    found: IdentityCache[Dict[str, str]] = {}  # the same block is read from the same text
    for path, block in iter_blocks(context):
        for name, written in by_identity(found, block, None, find_rounded, context.document.tree, path, block).items():
            inside = (*path, *name.split("."))
            value = str(values_of(block)[name])
            words = "{} is {} as a 32-bit float, not {}".format(inside[-1], value, written)
            context.report(WARNING, "float32-rounding", words, inside, "write {}".format(value), value)


def find_rounded(tree: Tree, path: Path, block: Any) -> Dict[str, str]:
    """Return the literals of a block that are other numbers than those that it keeps, by dotted name."""
    found = {}
    for name, value in values_of(block).items():
        if type(value) is float:
            written = str(tree.find_nearest((*path, *name.split(".")))[1])
            if not same_number(written, value):
                found[name] = written
    return found


def has_long_numbers(text: str) -> bool:
    """Return whether any number may have more than the six digits that always survive float32."""
    return "0" * 20 in text or re.search(r"[1-9](?:[0-9.]{6}|[0-9.]*[eE][-+0-9])", text) is not None


def same_number(written: str, value: float) -> bool:
    try:
        number = float(written.rstrip("fF"))
    except ValueError:  # blanks or comments behind the sign; the number is out of range anyway
        return True
    if len(written) < 16:  # few enough digits for a double to tell
        return number == value
    from decimal import Decimal  # seldom needed, and slow to import

    return Decimal(written.rstrip("fF")) == Decimal(repr(value))


def check_percentiles(context: Context) -> None:
    """Report percentiles that cut off more than one value in ten thousand; a run of blocks with the same one once."""
    counts: Dict[Tuple[Path, float], int] = {}  # of the blocks in a run, by its first place and its value
    growing: Dict[Tuple[Any, ...], Tuple[Path, float]] = {}  # the run that a block continues
    for path, block in iter_blocks(context):
        index = int(path[1]) if len(path) > 1 else 0
        for part, field in block.__schema__.fields.items():
            search = getattr(block, part) if field.is_message else None
            for name in ("max_percentile", "min_percentile"):
                value = getattr(search, name, None)
                if value is not None and value < COARSE and (*path, part) not in context.incomplete:
                    run = growing.pop((path[0], index, part, name, value), ((*path, part, name), value))
                    counts[run] = counts.get(run, 0) + 1
                    growing[path[0], index + 1, part, name, value] = run
    for (path, value), count in counts.items():
        words = "{} {} cuts off one value in {:,.0f}, large activations among them"
        message = words.format(path[-1], value, 1 / (1 - value))
        if count > 1:
            message += ", here and in the {} that {}".format(
                *("block", "follows") if count == 2 else ("{} blocks".format(count - 1), "follow")
            )
        context.report(WARNING, "coarse-percentile", message, path, "0.9999 or more is usual")


def check_steps(context: Context) -> None:
    for path, block in iter_blocks(context):
        for part, field in block.__schema__.fields.items():
            search = getattr(block, part) if field.is_message else None
            if search is None or SEARCH[0] not in search.__schema__.fields or (*path, part) in context.incomplete:
                continue
            given = [name for name in SEARCH if getattr(search, name) is not None]
            if given:
                report_steps(context, search, given[0], (*path, part, given[0]))


def report_steps(context: Context, search: Any, name: str, path: Path) -> None:
    from decimal import Decimal  # 1.3 - 0.7 is 0.6 in decimals only

    step, end, start = (
        getattr(search, n) if getattr(search, n) is not None else search.__schema__.fields[n].default for n in SEARCH
    )
    if (end - start) / step < 0.9 * MANY_STEPS:
        return
    steps = (Decimal(repr(end)) - Decimal(repr(start))) / Decimal(repr(step))
    if steps > MANY_STEPS:
        message = "the search from {} to {} by {} takes {:,.0f} steps for each layer".format(start, end, step, steps)
        context.report(WARNING, "many-steps", message, path, "use a larger search_step, such as 0.01")


def iter_blocks(context: Context) -> Iterator[Tuple[Path, Any]]:
    for field in ("common_config", *(name for name, _ in context.flavour.deprecated_blocks)):
        if getattr(context.config, field) is not None:
            yield (field,), getattr(context.config, field)
    for field in (OF_TYPE, OF_LAYER):
        for index, entry in enumerate(getattr(context.config, field)):
            if entry is not None and entry.calibration_config is not None:
                yield (field, index, "calibration_config"), entry.calibration_config
    for path, entry in context.entries("tensor_quantize"):
        yield path, entry


def check_skipped_overrides(context: Context) -> None:
    """Report overrides of what is skipped; a run of them one after the other, as `condense` writes them, once."""
    resolver = context.resolver
    runs: List[Tuple[Path, str, List[str]]] = []  # where a run begins, what skips its layers, and their names
    for field, key in OVERRIDES:
        following = None
        for path, entry in context.entries(field):
            name = getattr(entry, key)
            layer = context.by_name.get(name) if field == OF_LAYER else None
            by = "skip_layers" if field == OF_LAYER and name in resolver.skipped_names else ""
            if (name if field == OF_TYPE else layer and layer.type) in resolver.skipped_types:
                by = by or "skip_layer_types"
            if by and following == (path[1], by):
                runs[-1][2].append(name)
            elif by:
                runs.append(((*path, key), by, [name]))
            following = (int(path[1]) + 1, by) if by else None
    for path, by, names in runs:
        report_skipped_overrides(context, path, names, by)


def report_skipped_overrides(context: Context, path: Path, names: Sequence[str], by: str) -> None:
    names = list(dict.fromkeys(names))
    words = "{} {} not quantized, {} skips {}; {} no effect".format(
        quote_names(names),
        *(("is", by, "it", "this override has") if len(names) == 1 else ("are", by, "them", "these overrides have")),
    )
    hint = "delete the override, or take it out of {}" if len(names) == 1 else "delete them, or take them out of {}"
    context.report(WARNING, "skipped-override", words, path, hint.format(by))


def iter_type_overrides(context: Context) -> Iterator[Tuple[Path, Any]]:
    """Yield the overrides of types; of several for one type, which are an error, the one that counts."""
    for path, entry in context.entries(OF_TYPE):
        if context.resolver.types[entry.layer_type].path[1] == path[1]:
            yield path, entry


def check_partial_overrides(context: Context) -> None:
    """Report what a block leaves out: it takes its default, where people expect it to be inherited."""
    resolver = context.resolver
    for path, entry in iter_type_overrides(context):
        if entry.layer_type not in resolver.skipped_types and (
            affected_by_type_override(context, entry.layer_type) or not context.has_layers
        ):
            some = Layer("", entry.layer_type)
            check_partial_override(context, path, resolver.tiers_of(None, entry.layer_type), some)
    for path, entry in context.entries(OF_LAYER):
        layer = context.by_name.get(entry.layer_name)
        if entry.layer_name in resolver.skipped_names or (layer is not None and not context.is_quantized(layer)):
            continue
        if layer is not None or not context.has_layers:
            check_partial_override(
                context, path, resolver.tiers_of(entry.layer_name, layer.type if layer else None), layer
            )


def check_partial_override(context: Context, path: Path, tiers: Sequence[Tier], layer: Optional[Layer]) -> None:
    """Compare a block, the first of the tiers, with the others, which its author may believe to be still in force."""
    if len(tiers) < 2 or not context.is_whole(tiers):
        return
    own = values_of(tiers[0].block)
    below: Dict[str, Tuple[str, Any]] = {}
    for tier in reversed(tiers[1:]):
        below.update({field: (tier.name, value) for field, value in values_of(tier.block).items()})
    parts = {field.partition(".")[0] for field in own}
    reported = []
    for field, (tier_name, value) in below.items():
        steps = fields_along(context, field)
        if field in own or cascade_of(steps[-1]) is not None or is_excluded(steps[0], parts):
            continue
        fallback = context.resolver.default(steps[-1], layer)
        if fallback == value:  # inherited or not, it is the same
            continue
        words = "the type's default" if fallback is None else format_value(fallback)
        reported.append(
            "{} falls back to {} ({} has {})".format(last_part(field), words, tier_name, format_value(value))
        )
    if reported:
        lower = " and ".join(dict.fromkeys(tier.name for tier in tiers[1:]))
        message = "this block replaces {} as a whole: {}".format(lower, ", ".join(reported))
        context.report(
            WARNING,
            "partial-override",
            message,
            (*path, "calibration_config"),
            "repeat the settings that you want to keep",
        )


def fields_along(context: Context, dotted: str) -> List[Any]:
    """Return the fields that a dotted name leads through."""
    fields, found = context.resolver.block_class.__schema__.fields, []
    for name in dotted.split("."):
        found.append(fields[name])
        fields = fields[name].kind.__schema__.fields if fields[name].is_message else {}
    return found


def is_excluded(part: Any, own_parts: Any) -> bool:
    """Return whether the block has chosen another member of the oneof, which makes the fields of this one meaningless."""
    return part.oneof is not None and part.name not in own_parts


# ---------------------------------------------------------------- shown by the layers


def check_selections(context: Context) -> None:
    """Report selections whose lines are not what their expression chooses on this model."""
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
                block.expression, describe_changes(judged)
            )
        else:
            continue
        start = context.document.tree.source.span(block.start, block.start)
        width = len(context.document.text[block.start : block.end].rstrip("\r\n"))
        span = start._replace(end_column=start.column + width)
        context.diagnostics.append(Diagnostic(WARNING, code, message, span, None, hint or None, context.document.name))


def check_soc(context: Context) -> None:
    """Report what the processor makes worse, or does not take."""
    if context.soc is None:  # a host that only expands may have deleted what is known of processors
        return
    from ..flavours.socs import soc_named

    soc = soc_named(context.soc)
    if soc is None:
        return
    refused = dict(soc.lacks).get(context.flavour.name)
    if refused is not None:
        context.report(WARNING, "soc-unsuited", "{}: {}".format(context.soc, refused))
    products = [] if soc.gains_by_products else [x for x in context.supported if is_variable_product(context, x)]
    names = [layer.name for layer in products if context.is_quantized(layer)]
    if names:
        message = "on {} a quantized product of two variables loses accuracy: {}"
        hint = "`amctcfg suggest --where two-variable` skips them"
        context.report(WARNING, "soc-unsuited", message.format(context.soc, quote_names(names)), None, hint)


def is_variable_product(context: Context, layer: Layer) -> bool:
    """Return whether a layer multiplies two values of which the toolkit takes neither for a weight."""
    if context.layers.traits is None:
        return "asymmetric" in layer.lacks
    traits = context.layers.traits.get(layer.name)
    is_product = context.flavour.types[layer.type].operation in ("matmul", "batchmatmul")
    return is_product and traits is not None and (traits.two_variable or traits.runtime_weight is not None)


def describe_changes(judged: Judged) -> str:
    """Describe the difference: `'a' is missing, 'b' and 'c' are not selected`."""
    found = []
    own, wanted = set(judged.block.names), set(judged.wanted)
    for names, what in (
        ([name for name in judged.wanted if name not in own], "missing"),
        ([name for name in judged.block.names if name is not None and name not in wanted], "not selected"),
    ):
        if names:
            found.append("{} {} {}".format(quote_names(names), "is" if len(names) == 1 else "are", what))
    return ", ".join(found) or "an entry isn't a name"


def check_ignored_overrides(context: Context) -> None:
    for path, entry in context.entries(OF_LAYER):
        layer = context.by_name.get(entry.layer_name)
        if layer is not None and not context.flavour.quantizes(layer):
            why = "is of type {}, which is not quantizable".format(layer.type)
            if layer.type in context.flavour.quantizable_types:
                why = "is not supported, `amctcfg layers` shows why"
            message = "'{}' {}; this override has no effect".format(layer.name, why)
            context.report(WARNING, "ignored-override", message, (*path, "layer_name"), "delete the override")


def check_unused_overrides(context: Context) -> None:
    for path, entry in iter_type_overrides(context):
        known = entry.layer_type in context.flavour.quantizable_types
        if (
            known
            and entry.layer_type not in context.resolver.skipped_types
            and not affected_by_type_override(context, entry.layer_type)
        ):
            layers = [x for x in context.by_type.get(entry.layer_type, ()) if context.flavour.quantizes(x)]
            why = "the model has no quantizable layer of type {}".format(entry.layer_type)
            if layers:
                why = "each layer of type {} has an override of its own".format(entry.layer_type)
            message = "{}; this override has no effect".format(why)
            context.report(WARNING, "unused-override", message, (*path, "layer_type"), "delete the override")


def affected_by_type_override(context: Context, layer_type: str) -> List[Layer]:
    """Return the layers that take anything from the block of their type."""
    resolver = context.resolver
    found = []
    for layer in context.by_type.get(layer_type, ()):
        if context.flavour.quantizes(layer):
            takes = layer.name not in resolver.names or any(
                o.tier == OF_TYPE for o in decide_cascading(context, layer).values()
            )
            if takes:
                found.append(layer)
    return found


def decide_cascading(context: Context, layer: Layer, rules: Optional[Rules] = None) -> Dict[str, Setting]:
    """Return what decides the fields of a layer that are looked for below its block."""
    resolver = context.resolver if rules is None else context.resolver.with_rules(rules)
    decisions = resolver.decide(layer, resolver.tiers(layer))
    return {
        name: winner for name, winner in decisions.items() if cascade_of(fields_along(context, name)[-1]) is not None
    }


def check_cascades(context: Context) -> None:
    """Report the one case in which the page and the toolkit differ."""
    for path, entry in context.entries(OF_LAYER):
        layer = context.by_name.get(entry.layer_name)
        if layer is None or not context.flavour.quantizes(layer) or layer.type not in context.resolver.types:
            continue
        if not context.is_whole(context.resolver.tiers(layer)):
            continue
        toolkit = decide_cascading(context, layer, TOOLKIT)
        for field, page in decide_cascading(context, layer, DOCUMENTED).items():
            tool = toolkit[field]
            if page.value != tool.value:
                message = "{} of '{}' is {} by the documented rules ({}), but {} for the toolkit ({})".format(
                    last_part(field),
                    layer.name,
                    format_value(page.value),
                    page.tier,
                    format_value(tool.value),
                    tool.tier,
                )
                hint = "set {} in this override".format(last_part(field))
                context.report(WARNING, "asymmetric-cascade", message, (*path, "layer_name"), hint)


def check_redundant_overrides(context: Context) -> None:
    """Report overrides with and without which every layer has the same, under both sets of rules."""
    resolvers = [context.resolver.with_rules(rules) for rules in (DOCUMENTED, TOOLKIT)]
    for path, entry in iter_type_overrides(context):
        layers = [layer for layer in context.by_type.get(entry.layer_type, ()) if context.flavour.quantizes(layer)]
        if (
            not affected_by_type_override(context, entry.layer_type)
            or entry.layer_type in context.resolver.skipped_types
        ):
            continue
        whole = all(context.is_whole(context.resolver.tiers(layer)) for layer in layers)
        if whole and not would_forbid(context, None, entry.layer_type, layers):
            pairs = [(resolver, resolver.without_type(entry.layer_type)) for resolver in resolvers]
            if all(a.calibration(layer) == b.calibration(layer) for a, b in pairs for layer in layers):
                report_redundant_override(context, (*path, "layer_type"), "layers of type {}".format(entry.layer_type))
    without = [resolver.without_layers() for resolver in resolvers]
    for path, entry in context.entries(OF_LAYER):
        layer = context.by_name.get(entry.layer_name)
        if layer is None or not context.is_quantized(layer) or not context.is_whole(context.resolver.tiers(layer)):
            continue
        if would_forbid(context, layer, layer.type, [layer]):
            continue
        if all(a.calibration(layer) == b.calibration(layer) for a, b in zip(resolvers, without)):
            report_redundant_override(context, (*path, "layer_name"), quote_names([layer.name]))


def would_forbid(context: Context, layer: Optional[Layer], layer_type: str, layers: Sequence[Layer]) -> bool:
    """Return whether the blocks below an override would be an error on its layers: it is needed then."""
    common = context.resolver.common
    below = (
        [common] if layer is None or layer_type not in context.resolver.types else [context.resolver.types[layer_type]]
    )
    for tier in below:
        if tier is None:
            continue
        for requirement in requirements_in(tier.block):
            if requirement.common == ERROR and not all(context.resolver.can(x, requirement, tier) for x in layers):
                return True
    return False


def report_redundant_override(context: Context, path: Path, whom: str) -> None:
    message = "this override changes nothing for {}".format(whom)
    context.report(WARNING, "redundant-override", message, path, "delete it")


def last_part(field: str) -> str:
    """Return the last part of a dotted name: `search_step` of `ifmr_quantize.search_step`."""
    return field.rpartition(".")[2]


Check = Callable[[Context], None]

FILE_CHECKS: Tuple[Check, ...] = (
    check_placeholders,
    check_fusion_off,
    check_deprecated_fields,
    check_deprecated_blocks,
    check_rounding,
    check_steps,
    check_percentiles,
    check_skipped_overrides,
    check_partial_overrides,
)
MODEL_CHECKS: Tuple[Check, ...] = (
    check_selections,
    check_soc,
    check_ignored_overrides,
    check_unused_overrides,
    check_cascades,
    check_redundant_overrides,
)
