# SPDX-License-Identifier: Apache-2.0
"""Caches by the identity of a message.

Reading makes one object of messages that are written alike, and files repeat theirs; so what is worked out for one counts
for thousands, and to look one up by its identity costs less than by its values. Caches rely on that for speed, never for
what they answer: two equal messages that are two objects are worked out twice.
"""

from __future__ import annotations

from .._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Hashable, Tuple, TypeVar

    V = TypeVar("V")

    # What was worked out, by the identity of the message and whatever else counts; with the message itself, which has to
    # live as long: another object could have its identity otherwise.
    IdentityCache = Dict[Tuple[Hashable, ...], Tuple[Any, V]]


def by_identity(cache: IdentityCache[V], block: Any, more: Hashable, make: Callable[..., V], *arguments: Any) -> V:
    """Return what is cached for a message and whatever else counts, or make it of the arguments."""
    found = cache.get((id(block), more))
    if found is None:
        found = cache[id(block), more] = (block, make(*arguments))
    return found[1]
