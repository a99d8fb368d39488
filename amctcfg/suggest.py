# SPDX-License-Identifier: Apache-2.0
"""The nearest existing names for one that does not exist."""

from __future__ import annotations

from typing import Iterable, List, Optional

from .diagnostics import listed

__all__ = ["did_you_mean", "nearest"]

MOST = 3


def nearest(name: str, known: Iterable[str]) -> List[str]:
    """At most three known names, the likeliest first: the same but for case, the same end of a path, similar."""
    import difflib  # only where there is a mistake

    known = list(dict.fromkeys(known))
    lowered = name.lower()
    tail = "/" + lowered.rsplit("/", 1)[-1]
    found = [k for k in known if k.lower() == lowered]
    found += [k for k in known if ("/" + k.lower()).endswith("/" + lowered)]
    found += difflib.get_close_matches(name, known, MOST, 0.75)
    found += [k for k in known if ("/" + k.lower()).endswith(tail)]
    return list(dict.fromkeys(found))[:MOST]


def did_you_mean(names: Iterable[str]) -> Optional[str]:
    """`did you mean 'a' or 'b'?`"""
    quoted = ["'{}'".format(name) for name in names]
    if not quoted:
        return None
    return "did you mean {}?".format(listed(quoted, "or"))
