# SPDX-License-Identifier: Apache-2.0
"""Fields of messages, each described in one line: `dataclasses.field` with its facts in the metadata.

search_step: float | None = optional(FLOAT, default=0.01, within=POSITIVE)
"""

from __future__ import annotations

import dataclasses

from .._typing import TYPE_CHECKING
from .kinds import INFINITY, Kind

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Generic, Iterable, Mapping, TypeVar, overload

    T = TypeVar("T")

    AnyDict = Dict[str, Any]

    class Repeated(Generic[T]):
        """A repeated field: takes any iterable and is kept as a tuple."""

        @overload
        def __get__(self, instance: None, owner: Any) -> Repeated[T]: ...
        @overload
        def __get__(self, instance: object, owner: Any) -> tuple[T, ...]: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...
        def __set__(self, instance: Any, value: Iterable[T]) -> None: ...

else:
    AnyDict = dict


OPTIONAL, REQUIRED, REPEATED = "optional", "required", "repeated"


class Interval:
    """The numbers between two bounds, infinity and NaN never among them."""

    def __init__(self, words: str, low: float, high: float = INFINITY, ends: str = "()") -> None:
        self.words: str = words
        self.low: float = low
        self.high: float = high
        self.ends: str = ends  # "(" for an end that is left out, "[" for one that belongs to it

    def __contains__(self, value: Any) -> bool:
        low, high = self.low, self.high
        return low < value < high or (value == low and self.ends[0] == "[") or (value == high and self.ends[1] == "]")

    def __repr__(self) -> str:
        return self.words


class Among:
    def __init__(self, *values: int) -> None:
        self.values: tuple[int, ...] = values
        self.words: str = "{} or {}".format(", ".join(map(str, values[:-1])), values[-1])

    def __contains__(self, value: Any) -> bool:
        return value in self.values

    def __repr__(self) -> str:
        return self.words


POSITIVE = Interval("greater than 0 and finite", 0)
FRACTION = Interval("greater than 0 and less than 1", 0, 1)


@dataclasses.dataclass(eq=False, repr=False)
class Field:
    """A field's label, kind and range, what it means when it is absent, and what others know about it (`metadata`)."""

    label: str
    kind: Any
    default: Any = None  # when absent; of a message field the message that counts
    within: Any = None
    oneof: str | None = None
    # Of a repeated field: what may not occur twice: a field of its messages, "" itself, None nothing.
    unique: str | None = None
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        self.name: str = ""
        self.is_message: bool = isinstance(self.kind, type)
        # A scalar's literal's value; None for one that is of another kind, a string or out of range.
        self.read: Callable[[str], Any] = LiteralCache(self).__getitem__
        if not self.is_message and not isinstance(self.kind, Kind):
            raise TypeError("a field's kind is a Kind or a Message, not {!r}".format(self.kind))

    def __repr__(self) -> str:
        return "<{} {} {}>".format(self.label, self.kind_name, self.name)

    @property
    def kind_name(self) -> str:
        return self.kind.__name__ if self.is_message else repr(self.kind)


class LiteralCache(AnyDict):
    """A bounded cache from a literal to its value, shared by all reads of the field."""

    LONGEST: int = 32  # longer ones are not kept, nor more than so many
    MOST: int = 1024

    def __init__(self, field: Field) -> None:
        self.field: Field = field

    def __missing__(self, raw: str) -> Any:
        field = self.field
        value = field.kind.read(raw)
        if value is not None and field.within is not None and value not in field.within:
            value = None
        if len(raw) <= self.LONGEST:
            if len(self) >= self.MOST:
                self.clear()
            self[raw] = value
        return value


FACTS = "field"  # where the metadata of a dataclass's field has the `Field`


def optional(
    kind: Kind[T] | type[T],
    *,
    default: T | None = None,
    within: Interval | Among | None = None,
    oneof: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> T | None:
    """Declare a field that may be absent, which means `default`; a member of `oneof` excludes its other members."""
    facts = Field(OPTIONAL, kind, default, within, oneof, metadata=metadata or {})
    return dataclasses.field(default=None, metadata={FACTS: facts})


def required(kind: Kind[T] | type[T]) -> Any:
    """Declare a field that has to be there."""
    return dataclasses.field(metadata={FACTS: Field(REQUIRED, kind)})


def repeated(kind: Kind[T] | type[T], unique: str | None = "") -> Repeated[T]:
    """Declare a field that may be there any number of times."""
    found: Any = dataclasses.field(default=(), metadata={FACTS: Field(REPEATED, kind, unique=unique)})
    return found  # type: ignore[no-any-return]
