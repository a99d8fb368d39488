# SPDX-License-Identifier: Apache-2.0
"""The table driver: runs the generated tables over a text and builds the tree."""

from __future__ import annotations

import re
from functools import lru_cache

from ..diagnostics.source import Source
from . import _tables as tables
from .encoding import decode
from .tree import List, MessageList, Tree

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without the import
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional, Tuple, Union
    from typing import List as ListOf

    Scan = Callable[..., Any]

__all__ = ["parse"]

ACCEPT, APPEND, CLOSE, ERROR = tables.ACCEPT, tables.APPEND, tables.CLOSE, tables.ERROR

# What a rule of the grammar collects its parts in; the fields of a message become a tuple when it is closed.
COLLECTIONS: Dict[str, Any] = {
    "_fields": list,
    "_elements": List,
    "_blocks": MessageList,
    "list": List,
    "message_list": MessageList,
}


@lru_cache(maxsize=1)
def usual_scanner() -> Tuple[Scan, Scan]:
    """The functions that skip blanks and comments, and that yield one match for each step of the parser.

    This one knows no comments, escapes and odd numbers: it compiles in a quarter of the time of the full one (6 ms), which is
    more than reading a small file takes.
    """
    return re.compile(tables.SKIP).match, re.compile(tables.USUAL).finditer


@lru_cache(maxsize=1)
def full_scanner() -> Scan:
    """The same for everything; it goes on where the usual one ends."""
    return re.compile(tables.SCANNER).finditer


def parse(text: Union[str, bytes], name: str = "<string>") -> Tree:
    """Read protobuf text format, knowing no schema.

    Raises `ConfigError` with one diagnostic, `encoding` or `syntax`, at the first thing that is not text
    format by the Text Format Language Specification.
    """
    source = Source(decode(text, name), name)
    fields = parse_fields(source, True)
    return Tree(source, fields if fields is not None else parse_fields(source, False) or ())


def parse_fields(source: Source, usual: bool) -> Optional[Tuple[Any, ...]]:
    """text : _fields

    With `usual`, by the scanner that compiles quickly as far as that goes; None for an error then, as it is found
    exactly by the full one from the beginning.
    """
    text = source.text
    skip, scan = usual_scanner()
    actions, gotos, rules = tables.ACTIONS, tables.GOTOS, tables.RULES
    states: ListOf[int] = [0]
    values: ListOf[Any] = [None]  # beside each state, the token or the part of the tree that led to it
    known: Dict[Optional[str], Optional[str]] = {}  # one string for all occurrences of a name or literal
    row = actions[0]
    offset, is_full = skip(text).end(), False
    if not usual:
        scan, is_full = full_scanner(), True
    while True:
        for match in scan(text, offset):
            group = match.lastindex
            action = row[group]
            while action < 0:  # reduce
                effect, length, symbol, item = rules[~action]
                if effect == "append":  # the sequence stays where it is, and so does its state
                    values[-length] += values[item]
                    del states[1 - length :], values[1 - length :]
                else:  # begin a sequence, with its first item if there is one
                    part = COLLECTIONS[symbol](values[-1] if length else ())
                    del states[len(states) - length :], values[len(values) - length :]
                    states.append(gotos[states[-1]][symbol])
                    values.append(part)
                row = actions[states[-1]]
                action = row[group]
            if action >= CLOSE:  # a field or element, from its opening token to this one
                _, length, symbol, _ = rules[action - CLOSE]
                opening, inside = values[1 - length], values[-1] if length == 3 else COLLECTIONS[symbol]()
                inside = tuple(inside) if type(inside) is list else inside
                del states[1 - length :], values[1 - length :]
                states.append(gotos[states[-1]][symbol])
                values.append((opening[0], inside, opening[2], match.end(group)))
                row = actions[states[-1]]
                continue
            name, literal = match[1], match[group]
            token = (known.setdefault(name, name), known.setdefault(literal, literal), match.start(), match.end(group))
            if action == APPEND:  # shift, and append at once
                values[-1] += token
            elif action == ACCEPT:
                return tuple(values[-1])
            elif action == ERROR:
                break
            else:  # shift
                states.append(action)
                values.append(token)
                row = actions[action]
        if is_full:
            if usual:
                return None
            from .failure import syntax_error  # only where there is an error

            raise syntax_error(source, match.start(), states, values)
        scan, offset, is_full = full_scanner(), skip(text, match.start()).end(), True
