# SPDX-License-Identifier: Apache-2.0
"""protobuf text format, without a schema: `parse(text, name=...)` gives the syntax tree with positions."""

from __future__ import annotations

from .literals import parse_bool, parse_float, round_float32, unescape
from .parser import parse
from .tree import Element, List, MessageList, Tree, split

__all__ = [
    "Element",
    "List",
    "MessageList",
    "Tree",
    "parse",
    "parse_bool",
    "parse_float",
    "round_float32",
    "split",
    "unescape",
]
