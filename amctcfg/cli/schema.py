# SPDX-License-Identifier: Apache-2.0
"""The command schema: JSON Schemas of what the commands write with `--format json`."""

from __future__ import annotations

import json
from argparse import Namespace
from typing import Any, Callable, Container, Dict, Iterator

from ..diagnostics.codes import CODES
from ..diagnostics.diagnostic import ERROR, WARNING
from ..diagnostics.source import Span
from ..flavours import FLAVOURS
from ..messages.kinds import BOOL, STRING, Enum, Float
from ..workspace.failure import require_known
from .arguments import COMMANDS, option
from .console import Console
from .reports import FORMAT_VERSION, align

JsonSchema = Dict[str, Any]

OPTIONS = (option("command_name COMMAND", "a command; all are listed if left out", nargs="?"),)


def run(arguments: Namespace, console: Console) -> None:
    name = arguments.command_name
    if name is None:
        console.lines(align((name, COMMANDS[name]) for name in SCHEMAS))
        return
    require_known(name, SCHEMAS, "schema of", "there are schemas of {}".format(", ".join(SCHEMAS)))
    title = "amctcfg {} --format json".format(name)
    found = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **SCHEMAS[name]()}
    console.result(json.dumps(found, indent=2, ensure_ascii=False) + "\n")


TEXT: JsonSchema = {"type": "string"}
YES_OR_NO: JsonSchema = {"type": "boolean"}
NUMBER: JsonSchema = {"type": "number"}
NUMBERS: JsonSchema = {"type": "array", "items": NUMBER}
INTEGER: JsonSchema = {"type": "integer"}
ANYTHING: JsonSchema = {}  # a value of a field, whatever its type


def or_null(schema: JsonSchema) -> JsonSchema:
    return {"anyOf": [schema, {"type": "null"}]}


def array(items: JsonSchema) -> JsonSchema:
    return {"type": "array", "items": items}


def table(optional: Container[str] = (), **properties: JsonSchema) -> JsonSchema:
    """Return the schema of an object with these keys and no others."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def rows(optional: Container[str] = (), **properties: JsonSchema) -> JsonSchema:
    return array(table(optional, **properties))


def report_schema(**properties: JsonSchema) -> JsonSchema:
    return table(version={"const": FORMAT_VERSION}, **properties)


POSITION = dict(INTEGER, minimum=1)
PLACE = or_null(POSITION)
PATH = or_null(array({"type": ["string", "integer"]}))
TIER = dict(
    TEXT, description="What decided: a field of the configuration, default, layer_type, unsupported or quant_config."
)
DECIDED = {"tier": TIER, "path": PATH, "line": PLACE, "column": PLACE}
ORIGIN = table(**DECIDED, file=or_null(TEXT))
SPAN = table(**dict.fromkeys(Span._fields, POSITION))


def iter_block_fields() -> Iterator[tuple[str, JsonSchema]]:
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


def of_check() -> JsonSchema:
    severity, code = {"enum": [ERROR, WARNING]}, {"enum": list(CODES)}
    place = {"path": PATH, "span": or_null(SPAN)}
    return report_schema(
        diagnostics=rows(file=TEXT, severity=severity, code=code, message=TEXT, hint=or_null(TEXT), **place)
    )


def of_show() -> JsonSchema:
    values = {name: or_null(schema) for name, schema in iter_block_fields()}
    more: JsonSchema = {"score": or_null(NUMBER), "before": {"type": "object"}}
    every = {"layer": TEXT, "type": TEXT, "quant_enable": YES_OR_NO, "fuse": YES_OR_NO}
    return report_schema(file=TEXT, layers=rows((*values, *more), **every, **values, **more), borders=INTEGER)


def of_explain() -> JsonSchema:
    lost = rows(value=ANYTHING, **DECIDED, why=TEXT)
    fields = {"type": "object", "additionalProperties": table(value=ANYTHING, **DECIDED, shadowed=lost)}
    layers = rows(layer=TEXT, type=TEXT, quantized=YES_OR_NO, notes=array(TEXT), fields=fields)
    return report_schema(file=TEXT, layers=layers)


def of_diff() -> JsonSchema:
    values = {"before": ANYTHING, "after": ANYTHING, "before_origin": ORIGIN, "after_origin": ORIGIN}
    return report_schema(changes=rows(layer=or_null(TEXT), field=TEXT, **values))


def of_audit() -> JsonSchema:
    findings = rows(layer=or_null(TEXT), field=TEXT, asked=ANYTHING, origin=ORIGIN, done=ANYTHING)
    what = "Of each field, for how many layers it can't be seen."
    unseen = {"type": "object", "additionalProperties": INTEGER, "description": what}
    return report_schema(file=TEXT, findings=findings, not_visible=unseen)


def of_layers() -> JsonSchema:
    more = {"lacks": array(TEXT), "notes": array(TEXT)}
    return rows(more, name=TEXT, type=TEXT, supported=YES_OR_NO, **more)


def of_simulate() -> JsonSchema:
    one_or_two: JsonSchema = {"anyOf": [NUMBER, NUMBERS]}
    measured = dict.fromkeys(("cosine", "sqnr", "output"), or_null(NUMBER))
    return report_schema(
        file=TEXT,
        model=TEXT,
        layers=rows(layer=TEXT, type=TEXT, scale=one_or_two, offset=one_or_two, weight_scales=NUMBERS, **measured),
        borders=or_null(INTEGER),
        refused=rows(layer=TEXT, reason=TEXT),
        notes=array(TEXT),
        output_sqnr=or_null(NUMBER),
    )


def of_tune() -> JsonSchema:
    decibels = dict(or_null(NUMBER), description="Decibels of the model's output.")
    return report_schema(
        file=TEXT,
        model=TEXT,
        before=decibels,
        after=decibels,
        reached=YES_OR_NO,
        changes=rows(layer=TEXT, setting=TEXT, kind=TEXT, without=decibels),
        left=rows(layer=TEXT, output=decibels),
        notes=array(TEXT),
    )


SCHEMAS: dict[str, Callable[[], JsonSchema]] = {
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
