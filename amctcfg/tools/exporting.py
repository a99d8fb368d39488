# SPDX-License-Identifier: Apache-2.0
"""A flavour as a `.proto` file, for editors and compilers that know text format by its schema."""

from __future__ import annotations

from typing import Iterator

from ..flavours.flavour import Flavour
from ..flavours.requirement import write_default
from ..messages.field import Field
from ..messages.kinds import Enum
from ..messages.message import messages_of
from ..messages.printing import INDENT


def write_proto(flavour: Flavour) -> str:
    """Write the messages of a flavour in proto2, which protoc compiles.

    Example:
        >>> from amctcfg import TF_ASCEND
        >>> "optional bool do_fusion = 7;" in write_proto(TF_ASCEND)
        True
    """
    messages = messages_of(flavour.config)
    enums = {f.kind.proto: f.kind for m in messages for f in m.__schema__.fields.values() if isinstance(f.kind, Enum)}
    lines = [
        "// The simplified configuration file of AMCT, flavour {} ({}).".format(flavour.name, flavour.title),
        "// The numbers of the fields are those of this file, not the toolkit's: text format needs only the names.",
        'syntax = "proto2";',
        "",
        "package amct;",
    ]
    for name, kind in sorted(enums.items()):
        lines += ["", "enum {} {{".format(name)]
        lines += ["{}{} = {};".format(INDENT, value, number) for number, value in kind.numbers.items()]
        lines.append("}")
    for message in messages:
        summary = str(message.__doc__ or message.__name__).strip().partition("\n")[0]
        lines += ["", "// {}".format(summary), "message {} {{".format(message.__name__)]
        lines += declare_fields(list(message.__schema__.fields.values()))
        lines.append("}")
    return "\n".join(lines) + "\n"


def declare_fields(found: list[Field]) -> Iterator[str]:
    """Write the lines of a message; the members of a oneof stand together, where the first of them does."""
    groups: dict[str, list[tuple[int, Field]]] = {}
    for number, field in enumerate(found, 1):
        groups.setdefault(field.oneof or field.name, []).append((number, field))
    for name, members in groups.items():
        number, field = members[0]
        if field.oneof is None:
            yield from declare_field(field, field.label + " ", INDENT, number)
            continue
        yield "{}oneof {} {{".format(INDENT, name)
        for number, member in members:
            yield from declare_field(member, "", INDENT * 2, number)
        yield INDENT + "}"


def declare_field(field: Field, label: str, indent: str, number: int) -> Iterator[str]:
    notes = [field.within.words] if field.within is not None else []
    notes += ["default: {}".format(write_default(field))] if write_default(field) else []
    if notes:
        yield "{}// {}".format(indent, "; ".join(notes))
    yield "{}{}{} {} = {};".format(indent, label, field.kind_name, field.name, number)
