# SPDX-License-Identifier: Apache-2.0
"""The table driver: runs the generated tables over a text and builds the tree."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Callable, Optional, Tuple, Union
from typing import List as ListOf

from ..source import Source
from . import _tables as tables
from .encoding import decode
from .failure import syntax_error
from .tree import List, Message, MessageList, Tree

__all__ = ["parse"]

# What a rule of the grammar collects its parts in.
COLLECTIONS = {"_fields": Message, "_elements": List, "_blocks": MessageList, "list": List, "message_list": MessageList}


@lru_cache(maxsize=1)
def scanner() -> Tuple[Callable[..., Any], Callable[..., Any]]:
    """The functions that skip blanks and comments, and that yield one match for each step of the parser."""
    return re.compile(tables.SKIP).match, re.compile(tables.SCANNER).finditer


def parse(text: Union[str, bytes], name: str = "<string>") -> Tree:
    """Read protobuf text format, knowing no schema.

    Raises `ConfigError` with one diagnostic, `encoding` or `syntax`, at the first thing that is not text
    format by the Text Format Language Specification.
    """
    source = Source(decode(text, name), name)
    return Tree(source, parse_fields(source))


def parse_fields(source: Source) -> Message:
    """text : _fields"""
    skip, scan = scanner()
    actions, rules = tables.ACTIONS, tables.RULES
    states: ListOf[int] = [0]
    values: ListOf[Any] = [None]  # beside each state, the token or the part of the tree that led to it
    for match in scan(source.text, skip(source.text).end()):
        group = match.lastindex
        token = (match[1], match[group], match.start(), match.end(group))
        while True:
            action = actions[states[-1]].get(group)
            if action is None:
                raise syntax_error(source, match.start(), states, values)
            if action > 0:  # shift
                states.append(action)
                values.append(token)
                break
            if action == 0:  # accept
                fields: Message = values[-1]
                return fields
            effect, length, symbol, item = rules[~action]  # reduce
            if effect == "append":  # the sequence stays where it is, and so does its state
                values[-length].append(values[item])
                del states[1 - length :], values[1 - length :]
                continue
            parts = values[len(values) - length :]
            del states[len(states) - length :], values[len(values) - length :]
            states.append(tables.GOTOS[states[-1]][symbol])
            values.append(COLLECTIONS[symbol](parts) if effect == "begin" else node(symbol, parts))
    raise AssertionError("the scanner matches everywhere, and no row accepts what it can't name")


def node(symbol: str, parts: ListOf[Any]) -> Tuple[Optional[str], Any, int, int]:
    """A field or element out of its opening token, its contents, if any, and its closing token."""
    name, _, start, _ = parts[0]
    contents = parts[1] if len(parts) == 3 else COLLECTIONS[symbol]()
    return name, contents, start, parts[-1][3]
