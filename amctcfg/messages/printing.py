# SPDX-License-Identifier: Apache-2.0
"""Messages to text, in the canonical layout: two blanks of indentation, one field a line, schema order."""

from __future__ import annotations

from .message import Message

INDENT = "  "


def print_message(message: Message, indent: str, lines: list[str]) -> None:
    """Append the lines of the fields that are set; floats as they are kept, the shortest decimal of their float32."""
    for name, field in message.__schema__.fields.items():
        value = getattr(message, name)
        if value is None:
            continue
        for element in value if type(value) is tuple else (value,):
            if field.is_message:
                lines.append("{}{} {{".format(indent, name))
                print_message(element, indent + INDENT, lines)
                lines.append(indent + "}")
            else:
                lines.append("{}{}: {}".format(indent, name, field.kind.format(element)))
