# SPDX-License-Identifier: Apache-2.0
"""Requirements: values that not every layer can have; with the other facts that flavours know about a field.

They stand in the field's metadata, as `messages` knows nothing of layers.
"""

from __future__ import annotations

from functools import lru_cache

from .._typing import TYPE_CHECKING, NamedTuple
from ..messages.message import Message

if TYPE_CHECKING:
    from typing import Any, Iterator, Literal

    from ..messages.field import Field

    Consequence = Literal["error", "soften", "an error where a layer uses it"]

# What an override or common_config becomes on a layer that can't satisfy a requirement.
ERROR: Consequence = "error"
SOFTEN: Consequence = "soften"
WHERE_USED: Consequence = "an error where a layer uses it"

KEEP = "keep"  # in place of another value: the value stays as it is

CHANNEL_WISE, ASYMMETRIC = "channel_wise", "asymmetric"  # abilities that a type's own facts decide

BY_TYPE: Any = "by the layer's type"  # the default of a switch that the type of the layer decides


class Requirement(NamedTuple):
    """A value that not every layer can have.

    ability -- what the layer's type must have among its abilities, and the layer not among what it `lacks`.
    values -- the values of the field that ask for it; of a message field, none: its presence asks.
    instead -- what a layer gets that can't have it: another value, None for nothing at all, KEEP.
    common, by_type, by_layer -- the consequence in each tier.
    of_type -- the ability that an override of a type asks for, where that is another one.
    supported -- whether an override of a layer that is not supported is an error, too.
    unless -- a field of the block and the ability that is asked for instead where it is true.
    """

    ability: str
    values: tuple[Any, ...] = ()
    instead: Any = None
    common: Consequence = SOFTEN
    by_type: Consequence = ERROR
    by_layer: Consequence = ERROR
    of_type: str = ""
    supported: bool = False
    unless: tuple[str, str] | None = None
    code: str = "algorithm-unsupported"

    def ability_in(self, block: Message, by_type: bool = False) -> str:
        """Return the ability that is asked for in a block, of a single layer or of a whole type."""
        if self.unless is not None and getattr(block, self.unless[0]):
            return self.unless[1]
        return self.of_type if by_type and self.of_type else self.ability


class Occurrence(NamedTuple):
    """A requirement in a block: the value that makes it, None for a message whose presence does, and its place."""

    requirement: Requirement
    value: Any
    path: tuple[str | int, ...]


def facts(cascades: str | None = None, requires: Requirement | tuple[Requirement, ...] = ()) -> dict[str, Any]:
    """Return the metadata of a field.

    Args:
        cascades: The global field that decides where no block does ("": none does); without one, the highest block alone
            decides.
        requires: What a layer must be able to have.
    """
    return {"cascades": cascades, "requires": (requires,) if isinstance(requires, Requirement) else requires}


def cascade_of(field: Field) -> str | None:
    """Return the global field that decides where no block does ("": none does), None for a field that does not cascade."""
    found: str | None = field.metadata.get("cascades")
    return found


def write_default(field: Field) -> str:
    """Write the default of a field; "" for a message, and where there is none."""
    if field.is_message or field.default is None:
        return ""
    return str(field.default) if field.default == BY_TYPE else field.kind.format(field.default)


def requirements_of(field: Field) -> tuple[Requirement, ...]:
    found: tuple[Requirement, ...] = field.metadata.get("requires", ())
    return found


@lru_cache(maxsize=None)
def list_requiring_fields(cls: Any) -> tuple[tuple[Field, tuple[Requirement, ...]], ...]:
    """List the fields of a message that may require anything, themselves or inside, with what they require."""
    return tuple(
        (field, requirements_of(field))
        for field in cls.__schema__.fields.values()
        if requirements_of(field) or (field.is_message and list_requiring_fields(field.kind))
    )


def find_occurrences(block: Message, path: tuple[str | int, ...] = ()) -> Iterator[Occurrence]:
    """Yield what the block at a path asks for that not every layer can have."""
    cls: Any = type(block)
    for field, requirements in list_requiring_fields(cls):
        value, place = getattr(block, field.name), (*path, field.name)
        if value is None:
            continue
        for requirement in requirements:
            if field.is_message or value in requirement.values:
                yield Occurrence(requirement, None if field.is_message else value, place)
        if field.is_message:
            yield from find_occurrences(value, place)


def list_requirements(block: Message) -> list[Requirement]:
    return [occurrence.requirement for occurrence in find_occurrences(block)]
