# SPDX-License-Identifier: Apache-2.0
"""The table driver: runs the generated tables over a text and builds the tree."""

from __future__ import annotations

import copyreg
import re
from functools import lru_cache

from .._typing import TYPE_CHECKING
from ..diagnostics.source import Source, decode
from . import _tables as tables
from .tree import List, MessageList, Tree

if TYPE_CHECKING:
    from typing import Any

ACCEPT, APPEND, CLOSE, ERROR, PASS = tables.ACCEPT, tables.APPEND, tables.CLOSE, tables.ERROR, tables.PASS

# What a rule of the grammar collects its parts in; the fields of a message become a tuple when it is closed.
COLLECTIONS: dict[str, Any] = {
    "_fields": list,
    "_elements": List,
    "_blocks": MessageList,
    "list": List,
    "message_list": MessageList,
}

compile_scanner: Any = lru_cache(maxsize=4)(re.compile)


def _pickle_tree(tree: Tree) -> Any:
    """Pickle a tree as its text: it may be nested more deeply than pickle can follow."""
    return parse, (tree.source.text, tree.source.name)


copyreg.pickle(Tree, _pickle_tree)


def parse(text: str | bytes, name: str = "<string>") -> Tree:
    """Read protobuf text format, knowing no schema.

    Args:
        text: The text, or its bytes.
        name: The name of its file, for diagnostics.

    Returns:
        The syntax tree, in which scalars are as raw as they are written.

    Raises:
        ConfigError: It is not text format; one diagnostic, `encoding` or `syntax`, at the first place that is not.

    Example:
        >>> parse("a: 1 b { c: 2 }").find(("b", "c"))[1]
        '2'

    Source: the Text Format Language Specification.
    """
    source = Source(decode(text, name), name)
    return Tree(source, parse_fields(source))


def parse_fields(source: Source, usual: bool = True) -> tuple[Any, ...]:
    """text : _fields

    A scanner yields a match for each step. The usual one knows no escapes, odd numbers and comments within a step; in
    turn it takes simple messages as a whole, and compiles in a third of the full one's 5 ms, which is more than reading a
    small file takes. The full one, for all steps without `usual`, does the steps that the usual one can't.
    """
    text = source.text
    skip = compile_scanner(tables.BLANKS if usual else tables.SKIP)  # comments are steps of the usual scanner
    scanner = compile_scanner(tables.USUAL if usual else tables.SCANNER)
    actions, gotos, rules = tables.ACTIONS, tables.GOTOS, tables.RULES
    states: list[int] = [0]
    values: list[Any] = [None]  # beside each state, the token or the part of the tree that led to it
    known: dict[str | None, str | None] = {}  # one string for all occurrences of a name or literal
    row = actions[0]
    matches: Any = scanner.finditer(text, skip.match(text).end())
    while True:
        for match in matches:
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
            elif action == PASS:
                continue
            else:  # shift
                states.append(action)
                values.append(token)
                row = actions[action]
        else:  # one step of the full scanner is done
            matches = scanner.finditer(text, match.end())
            continue
        if type(matches) is tuple:
            from .syntax_errors import make_syntax_error

            raise make_syntax_error(source, match.start(), states, values)
        step = compile_scanner(tables.SKIP).match(text, match.start()).end()
        matches = (compile_scanner(tables.SCANNER).match(text, step),)
