# SPDX-License-Identifier: Apache-2.0
"""Messages to text, in the canonical layout: two blanks of indentation, one field a line, schema order."""

from __future__ import annotations

import re
from typing import Any, List

from .schema import AMCTConfig, Message

__all__ = ["dumps"]

INDENT = "  "

ESCAPED = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def dumps(config: AMCTConfig) -> str:
    """The configuration as protobuf text format. Reading it again gives an equal configuration."""
    if not isinstance(config, AMCTConfig):
        raise TypeError("dumps takes an AMCTConfig, not {!r}".format(config))
    lines: List[str] = []
    print_message(config, "", lines)
    lines.append("")
    return "\n".join(lines)


def print_message(message: Message, indent: str, lines: List[str]) -> None:
    for name in message.specs:
        value = getattr(message, name)
        if value is None:
            continue
        for element in value if type(value) is tuple else (value,):
            if isinstance(element, Message):
                lines.append("{}{} {{".format(indent, name))
                print_message(element, indent + INDENT, lines)
                lines.append(indent + "}")
            else:
                lines.append("{}{}: {}".format(indent, name, literal(element)))


def literal(value: Any) -> str:
    """A scalar as text format writes it; floats as they are kept, the shortest decimal of their float32."""
    if value is True or value is False:
        return "true" if value else "false"
    return quote(value) if type(value) is str else repr(value)


def quote(text: str) -> str:
    """A string literal in double quotes, characters beyond ASCII as they are."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return '"{}"'.format(text)
    return '"{}"'.format(re.sub(r'["\\\x00-\x1f\x7f]', escape, text))


def escape(match: Any) -> str:
    return ESCAPED.get(match[0]) or "\\{:03o}".format(ord(match[0]))
