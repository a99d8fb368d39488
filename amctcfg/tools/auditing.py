# SPDX-License-Identifier: Apache-2.0
"""An audit of what the toolkit did against what a plan asks: its JSON quantization config, and its record file."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any, Dict, Iterator, Mapping

from ..diagnostics.diagnostic import ConfigError
from ..messages.kinds import BOOL, FLOAT
from ..resolve.effective import EffectiveConfig, Origin, values_of
from ..resolve.json_reading import QuantConfig
from ..resolve.plan import Plan
from ..textformat.literals import read_name, unescape
from ..textformat.parser import parse as parse_text
from ..textformat.tree import Tree, elements_of, name_offsets, split
from .diffing import ABSENT_ORIGIN, compare_plans

ACTIVATION_TYPES = {name: name for name in ("INT4", "INT8", "INT16")}
WEIGHT_BITS = {"INT4": 4, "INT6": 6, "INT7": 7, "INT8": 8}


@dataclasses.dataclass(frozen=True)
class Finding:
    """A difference between a plan and what the toolkit did.

    Attributes:
        layer: The layer's name; None for a global key.
        field: The dotted name, as in `EffectiveConfig.origins`, or the key.
        asked: The value that the plan has.
        origin: What set the value in the plan.
        done: The value that the toolkit's file shows.
    """

    layer: str | None
    field: str
    asked: Any
    origin: Origin
    done: Any


def audit(
    plan: Plan,
    quant_config: str | bytes | Mapping[str, Any] | None = None,
    record: str | bytes | None = None,
) -> tuple[Finding, ...]:
    """Compare what the toolkit did with what a plan asks; what a file can't show isn't a finding.

    Args:
        plan: The plan.
        quant_config: The JSON quantization config that the toolkit wrote, as text or as a mapping.
        record: The text of the toolkit's record file; an empty one is one that quantized nothing.

    Returns:
        The differences; empty where all that the files show agrees.

    Raises:
        ConfigError: A file is not what it has to be.

    Example:
        >>> from amctcfg import AMCTConfig, Layer, expand
        >>> plan = expand(AMCTConfig(), [Layer("a", "Conv2D")])
        >>> audit(plan, quant_config=plan.to_json())
        ()
        >>> [(f.layer, f.field, f.asked, f.done) for f in audit(plan, record="")]
        [('a', 'quant_enable', True, False)]
    """
    found: list[Finding] = []
    if quant_config is not None:
        found += compare_json(plan, quant_config)
    if record is not None:
        found += compare_records(plan, read_record(record))
    return tuple(found)


# ---------------------------------------------------------------- the JSON


def compare_json(plan: Plan, quant_config: Any) -> Iterator[Finding]:
    layers = tuple(effective.layer for effective in plan.values())
    read = QuantConfig(quant_config, layers, "<json>", plan.flavour)
    wrong = [error for error in read.errors if error.code != "unknown-layer"]  # a plan knows its supported layers only
    if wrong:
        raise ConfigError(wrong, read.text)
    for name, json in read.unknown.items():
        entry = json.to_plain()
        if isinstance(entry, dict) and entry.get("quant_enable") is True:
            yield Finding(name, "quant_enable", False, Origin("unsupported", False), True)
    for change in compare_plans(plan, read.make_plan()):
        is_shown = change.layer is None or (change.field != "fuse" and change.layer in read.layers)
        if is_shown or change.field == "quant_enable":
            yield Finding(change.layer, change.field, change.before, change.before_origin, change.after)


def make_finding(effective: EffectiveConfig, field: str, asked: Any, done: Any) -> Finding:
    origin = effective.origins.get(field, ABSENT_ORIGIN)
    return Finding(effective.layer.name, field, asked, origin, done)


# ---------------------------------------------------------------- the record file


# What a record shows of a layer, by the last parts of the fields' names; and whether it is `balanced`.
LayerRecord = Dict[str, Any]


def read_record(text: str | bytes) -> dict[str, LayerRecord]:
    """Read the records of layers, by name."""
    tree = parse_text(text, "<record>")
    found: dict[str, LayerRecord] = {}
    for field in split(tree.fields):
        if field[0] not in ("record", "prune_record"):
            raise record_error(tree, field, "a record file has no '{}'".format(field[0]))
        for element in elements_of(field) if field[0] == "record" else ():
            if isinstance(element[1], str):
                raise record_error(tree, element, "record takes a message")
            last = {
                inner[0]: inner for inner in split(element[1]) if inner[0] == "key" or not isinstance(inner[1], str)
            }
            if "key" not in last:
                raise record_error(tree, element, "a record has a 'key', the name of its layer")
            name = read_name(last["key"])
            if name is None:
                raise record_error(tree, last["key"], "key is the name of a layer, a string of UTF-8")
            found[name] = read_layer_record(last["value"][1] if "value" in last else ())
    return found


def record_error(tree: Tree, field: Any, message: str) -> ConfigError:
    span = tree.source.span(*name_offsets(field))
    hint = "is it the toolkit's record file?"
    return ConfigError.single("syntax", message, tree.source.name, hint, span, tree.source.text)


def read_layer_record(fields: Any) -> LayerRecord:
    values: dict[str, list[str]] = {}
    for field in split(fields):
        values.setdefault(field[0], []).extend(e[1] for e in elements_of(field) if isinstance(e[1], str))
    last = {name: literals[-1] for name, literals in values.items() if literals}
    skipped = BOOL.read(last.get("skip_fusion", "unknown"))
    return {
        # One scale may be that of one channel; an offset of 0, which is that of the activations, chance.
        "channel_wise": True if len(values.get("scale_w", ())) > 1 else None,
        "asymmetric": True if FLOAT.read(last.get("offset_d", "0")) else None,
        "dst_type": ACTIVATION_TYPES.get(read_text_of(last.get("act_type", "''"))),
        "quant_bits": WEIGHT_BITS.get(read_text_of(last.get("wts_type", "''"))),
        "fuse": None if skipped is None else not skipped,
        "balanced": "tensor_balance_factor" in values,
    }


def read_text_of(literal: str) -> str:
    return unescape(literal).decode("utf-8", "replace") if literal[0] in "\"'" else literal


def compare_records(plan: Plan, records: dict[str, LayerRecord]) -> Iterator[Finding]:
    tensors = {"{}:{}".format(e.layer_name, e.input_index) for e in getattr(plan.config, "tensor_quantize", ())}
    for name in records:
        if name not in plan and name not in tensors:
            yield Finding(name, "quant_enable", False, Origin("unsupported", False), True)
    for name, effective in plan.items():
        if effective.quant_enable is not (name in records):
            yield make_finding(effective, "quant_enable", effective.quant_enable, name in records)
        elif name in records:
            yield from compare_record(plan, effective, records[name])


def compare_record(plan: Plan, effective: EffectiveConfig, record: LayerRecord) -> Iterator[Finding]:
    for field, asked, done in iter_recorded(effective, record):
        is_asked = field != "fuse" or effective.layer.type in plan.flavour.fusible_types
        if is_asked and done not in (None, asked):
            yield make_finding(effective, field, asked, done)
    block = effective.calibration_config
    if "dmq_balancer" in block.__schema__.fields and (block.dmq_balancer is not None) is not record["balanced"]:
        field = "dmq_balancer.migration_strength"
        yield make_finding(effective, field, values_of(block).get(field), "on" if record["balanced"] else None)


def iter_recorded(effective: EffectiveConfig, record: LayerRecord) -> Iterator[tuple[str, Any, Any]]:
    """Yield the fields of a layer, each with the values that are asked for and that a record shows; None for what it hides."""
    for field, asked in dict(values_of(effective.calibration_config), fuse=effective.fuse).items():
        yield field, asked, None if field == "arq_quantize.asymmetric" else record.get(field.rpartition(".")[2])


def count_invisible(plan: Plan, records: dict[str, LayerRecord]) -> Counter[str]:
    """Count for each field the quantized layers for which a record does not show it."""
    return Counter(
        field
        for name, effective in plan.items()
        if name in records and effective.quant_enable
        for field, _, done in iter_recorded(effective, records[name])
        if done is None
    )
