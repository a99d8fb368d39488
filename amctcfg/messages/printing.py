# SPDX-License-Identifier: Apache-2.0
"""Messages to text, in the canonical layout: two blanks of indentation, one field a line, schema order."""

from __future__ import annotations

from .message import Message

INDENT = "  "


def list_lines(message: Message, indent: str = "") -> list[str]:
    """List the lines of the fields that are set; floats as they are kept, the shortest decimal of their float32."""
    lines: list[str] = []
    for name, field in message.__schema__.fields.items():
        value = getattr(message, name)
        if value is None:
            continue
        for element in value if type(value) is tuple else (value,):
            if field.is_message:
                lines += ["{}{} {{".format(indent, name), *list_lines(element, indent + INDENT), indent + "}"]
            else:
                lines.append("{}{}: {}".format(indent, name, field.kind.format(element)))
    return lines
