# SPDX-License-Identifier: Apache-2.0
"""The meanings of a message's fields: the strings that stand below them in the source."""

from __future__ import annotations

import ast
import inspect
import sys
from functools import lru_cache
from typing import Any


def read_field_meanings(cls: Any) -> dict[str, str]:
    """Return the meaning of each field, also those of a base class; empty where there is no source."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        found.update(read_module_meanings(base.__module__).get(base.__name__, {}))
    return {name: found.get(name, "") for name in cls.__schema__.fields}


@lru_cache(maxsize=None)
def read_module_meanings(module: str) -> dict[str, dict[str, str]]:
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (OSError, KeyError, TypeError):
        return {}
    found: dict[str, dict[str, str]] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            inside = found.setdefault(node.name, {})
            for field, below in zip(node.body, node.body[1:]):
                if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
                    target: Any = field.target  # a name, as in any class of fields
                    inside[target.id] = " ".join(ast.literal_eval(below.value).split())
    return found
