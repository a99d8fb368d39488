# SPDX-License-Identifier: Apache-2.0
"""The command schema: JSON Schemas of what the commands write with `--format json`."""

from __future__ import annotations

from argparse import Namespace
from typing import Any, Container, Dict, Iterator

from ..diagnostics.codes import CODES
from ..diagnostics.diagnostic import ERROR, WARNING
from ..diagnostics.source import Span
from ..diagnostics.words import dump_json
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
        console.write_lines(align((name, COMMANDS[name]) for name in SCHEMAS))
        return
    require_known(name, SCHEMAS, "schema of", "there are schemas of {}".format(", ".join(SCHEMAS)))
    title = "amctcfg {} --format json".format(name)
    found = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **SCHEMAS[name]}
    console.write_result(dump_json(found, indent=2) + "\n")


TEXT: JsonSchema = {"type": "string"}
YES_OR_NO: JsonSchema = {"type": "boolean"}
NUMBER: JsonSchema = {"type": "number"}
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


def mapping(values: JsonSchema) -> JsonSchema:
    """Return the schema of an object with any keys."""
    return {"type": "object", "additionalProperties": values}


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
SEVERITY: JsonSchema = {"enum": [ERROR, WARNING]}
CODE: JsonSchema = {"enum": list(CODES)}
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


VALUES: JsonSchema = {name: or_null(schema) for name, schema in iter_block_fields()}
MORE: JsonSchema = {"score": or_null(NUMBER), "before": {"type": "object"}}
EXPLAINED = table(value=ANYTHING, **DECIDED, shadowed=rows(value=ANYTHING, **DECIDED, why=TEXT))
ABILITIES: JsonSchema = {"lacks": array(TEXT), "notes": array(TEXT)}
NUMBERS = array(NUMBER)
ONE_OR_TWO: JsonSchema = {"anyOf": [NUMBER, NUMBERS]}
MEASURED = dict.fromkeys(("cosine", "sqnr", "output"), or_null(NUMBER))
DECIBELS = dict(or_null(NUMBER), description="Decibels of the model's output.")

SCHEMAS: dict[str, JsonSchema] = {
    "check": report_schema(
        diagnostics=rows(
            file=TEXT, severity=SEVERITY, code=CODE, message=TEXT, hint=or_null(TEXT), path=PATH, span=or_null(SPAN)
        )
    ),
    "show": report_schema(
        file=TEXT,
        layers=rows((*VALUES, *MORE), layer=TEXT, type=TEXT, quant_enable=YES_OR_NO, fuse=YES_OR_NO, **VALUES, **MORE),
        borders=INTEGER,
    ),
    "explain": report_schema(
        file=TEXT,
        layers=rows(layer=TEXT, type=TEXT, quantized=YES_OR_NO, notes=array(TEXT), fields=mapping(EXPLAINED)),
    ),
    "diff": report_schema(
        changes=rows(
            layer=or_null(TEXT), field=TEXT, before=ANYTHING, after=ANYTHING, before_origin=ORIGIN, after_origin=ORIGIN
        )
    ),
    "audit": report_schema(
        file=TEXT,
        findings=rows(layer=or_null(TEXT), field=TEXT, asked=ANYTHING, origin=ORIGIN, done=ANYTHING),
        not_visible=dict(mapping(INTEGER), description="Of each field, for how many layers it can't be seen."),
    ),
    "layers": rows(ABILITIES, name=TEXT, type=TEXT, supported=YES_OR_NO, **ABILITIES),
    "simulate": report_schema(
        file=TEXT,
        model=TEXT,
        layers=rows(layer=TEXT, type=TEXT, scale=ONE_OR_TWO, offset=ONE_OR_TWO, weight_scales=NUMBERS, **MEASURED),
        borders=or_null(INTEGER),
        refused=rows(layer=TEXT, reason=TEXT),
        notes=array(TEXT),
        output_sqnr=or_null(NUMBER),
    ),
    "tune": report_schema(
        file=TEXT,
        model=TEXT,
        before=DECIBELS,
        after=DECIBELS,
        reached=YES_OR_NO,
        changes=rows(layer=TEXT, setting=TEXT, kind=TEXT, without=DECIBELS),
        left=rows(layer=TEXT, output=DECIBELS),
        notes=array(TEXT),
    ),
    "suggest": array(TEXT),
}
