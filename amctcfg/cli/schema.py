# SPDX-License-Identifier: Apache-2.0
"""The command schema: JSON Schemas of what the commands write with `--format json`."""

from __future__ import annotations

import json
from argparse import Namespace
from typing import Any, Callable, Dict, Iterator, Tuple

from ..diagnostics.codes import CODES
from ..diagnostics.diagnostic import ERROR, WARNING
from ..diagnostics.source import Span
from ..flavours import FLAVOURS
from ..messages.kinds import BOOL, STRING, Enum, Float
from ..workspace.failure import require_known
from .arguments import COMMANDS, option
from .console import EXIT_OK, Console
from .reports import FORMAT_VERSION, align

JsonSchema = Dict[str, Any]

OPTIONS = (option("command_name", nargs="?", metavar="COMMAND", help="a command; all are listed if left out"),)


def run(arguments: Namespace, console: Console) -> int:
    name = arguments.command_name
    if name is None:
        console.lines(align((name, COMMANDS[name]) for name in SCHEMAS))
        return EXIT_OK
    require_known(name, SCHEMAS, "schema of", "there are schemas of {}".format(", ".join(SCHEMAS)))
    found: JsonSchema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "amctcfg {} --format json".format(name),
    }
    found.update(SCHEMAS[name]())
    console.result(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    return EXIT_OK


# ---------------------------------------------------------------- parts

TEXT: JsonSchema = {"type": "string"}
YES_OR_NO: JsonSchema = {"type": "boolean"}
NUMBER: JsonSchema = {"type": "number"}
NUMBERS: JsonSchema = {"type": "array", "items": NUMBER}
INTEGER: JsonSchema = {"type": "integer"}
ANYTHING: JsonSchema = {}  # a value of a field, whatever its type


def or_null(schema: JsonSchema) -> JsonSchema:
    """Return the schema of what may be null."""
    return {"anyOf": [schema, {"type": "null"}]}


def array(items: JsonSchema) -> JsonSchema:
    return {"type": "array", "items": items}


def table(properties: Dict[str, JsonSchema], optional: Tuple[str, ...] = ()) -> JsonSchema:
    """Return the schema of an object with these keys and no others."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def report_schema(**properties: JsonSchema) -> JsonSchema:
    """Return the schema of a report, which begins with the version of its form."""
    return table({"version": {"const": FORMAT_VERSION}, **properties})


POSITION = dict(INTEGER, minimum=1)
PLACE = or_null(POSITION)
PATH = or_null(array({"type": ["string", "integer"]}))
TIER = dict(
    TEXT, description="What decided: a field of the configuration, default, layer_type, unsupported or quant_config."
)
DECIDED = {"tier": TIER, "path": PATH, "line": PLACE, "column": PLACE}
ORIGIN = table(dict(DECIDED, file=or_null(TEXT)))
SPAN = table(dict.fromkeys(Span._fields, POSITION))


def iter_block_fields() -> Iterator[Tuple[str, JsonSchema]]:
    """Yield the fields of the blocks of all flavours, as rows name them, with the schemas of their values."""
    for flavour in FLAVOURS.values():
        for name, field in flavour.config.__schema__.fields["common_config"].kind.__schema__.fields.items():
            if not field.is_message:
                yield name, value_of(field.kind)
                continue
            for inner, leaf in field.kind.__schema__.fields.items():
                yield "{}.{}".format(name, inner), value_of(leaf.kind)


def value_of(kind: Any) -> JsonSchema:
    if kind is BOOL:
        return YES_OR_NO
    if kind is STRING or isinstance(kind, Enum):
        return TEXT
    return NUMBER if isinstance(kind, Float) else INTEGER


# ---------------------------------------------------------------- commands


def of_check() -> JsonSchema:
    diagnostic = table(
        {
            "file": TEXT,
            "severity": {"enum": [ERROR, WARNING]},
            "code": {"enum": list(CODES)},
            "message": TEXT,
            "hint": or_null(TEXT),
            "path": PATH,
            "span": or_null(SPAN),
        }
    )
    return report_schema(diagnostics=array(diagnostic))


def of_show() -> JsonSchema:
    row: JsonSchema = {"layer": TEXT, "type": TEXT, "quant_enable": YES_OR_NO, "fuse": YES_OR_NO}
    values = {name: or_null(schema) for name, schema in iter_block_fields()}
    more: JsonSchema = {"score": or_null(NUMBER), "before": {"type": "object"}}
    return report_schema(file=TEXT, layers=array(table({**row, **values, **more}, (*values, *more))), borders=INTEGER)


def of_explain() -> JsonSchema:
    lost = table({"value": ANYTHING, **DECIDED, "why": TEXT})
    field = table({"value": ANYTHING, **DECIDED, "shadowed": array(lost)})
    fields = {"type": "object", "additionalProperties": field}
    layer = table({"layer": TEXT, "type": TEXT, "quantized": YES_OR_NO, "notes": array(TEXT), "fields": fields})
    return report_schema(file=TEXT, layers=array(layer))


def of_diff() -> JsonSchema:
    change = {"layer": or_null(TEXT), "field": TEXT, "before": ANYTHING, "after": ANYTHING}
    return report_schema(changes=array(table({**change, "before_origin": ORIGIN, "after_origin": ORIGIN})))


def of_audit() -> JsonSchema:
    finding = table({"layer": or_null(TEXT), "field": TEXT, "asked": ANYTHING, "origin": ORIGIN, "done": ANYTHING})
    unseen = dict(
        {"type": "object", "additionalProperties": INTEGER},
        description="Of each field, for how many layers it can't be seen.",
    )
    return report_schema(file=TEXT, findings=array(finding), not_visible=unseen)


def of_layers() -> JsonSchema:
    row = {"name": TEXT, "type": TEXT, "supported": YES_OR_NO, "lacks": array(TEXT), "notes": array(TEXT)}
    return array(table(row, ("lacks", "notes")))


def of_simulate() -> JsonSchema:
    one_or_two: JsonSchema = {"anyOf": [NUMBER, NUMBERS]}
    row = {"layer": TEXT, "type": TEXT, "scale": one_or_two, "offset": one_or_two, "weight_scales": NUMBERS}
    measured = {name: or_null(NUMBER) for name in ("cosine", "sqnr", "output")}
    refusal = table({"layer": TEXT, "reason": TEXT})
    return report_schema(
        file=TEXT,
        model=TEXT,
        layers=array(table({**row, **measured})),
        borders=or_null(INTEGER),
        refused=array(refusal),
        notes=array(TEXT),
        output_sqnr=or_null(NUMBER),
    )


def of_tune() -> JsonSchema:
    decibels = dict(or_null(NUMBER), description="Decibels of the model's output.")
    change = table({"layer": TEXT, "setting": TEXT, "kind": TEXT, "without": decibels})
    left = table({"layer": TEXT, "output": decibels})
    return report_schema(
        file=TEXT,
        model=TEXT,
        before=decibels,
        after=decibels,
        reached=YES_OR_NO,
        changes=array(change),
        left=array(left),
        notes=array(TEXT),
    )


SCHEMAS: Dict[str, Callable[[], JsonSchema]] = {
    "check": of_check,
    "show": of_show,
    "explain": of_explain,
    "diff": of_diff,
    "audit": of_audit,
    "layers": of_layers,
    "simulate": of_simulate,
    "tune": of_tune,
    "suggest": lambda: array(TEXT),
}
