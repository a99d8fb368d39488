# SPDX-License-Identifier: Apache-2.0
"""Messages: frozen dataclasses that can't hold a wrong value.

    @message
    class FMRQuantize(Message):
        search_step: float | None = optional(FLOAT, default=0.01, within=POSITIVE)

`None` is an absent field, which is not the same as one set to its default.
"""

from __future__ import annotations

import dataclasses

from .._typing import TYPE_CHECKING, NamedTuple, dataclass_transform
from .field import FACTS, OPTIONAL, REPEATED, REQUIRED, Field, required

if TYPE_CHECKING:
    from typing import Any, Callable, ClassVar, Dict, Hashable, Iterable, Iterator, Mapping, Tuple, TypeVar

    M = TypeVar("M", bound="Message")
    V = TypeVar("V")

    # What was worked out, by the identity of a message and whatever else counts; with the message itself, which has to
    # live as long: another object could have its identity otherwise.
    IdentityCache = Dict[Tuple[Hashable, ...], Tuple[Any, V]]


class Problem(NamedTuple):
    """A value that breaks a rule: code and words of its diagnostic, and where it is, below the message."""

    code: str
    path: tuple[str | int, ...]
    message: str
    hint: str | None = None
    first: tuple[str | int, ...] | None = None  # what it repeats
    wanted: str | None = None  # of a number out of its range: what it has to be


class Schema:
    """The fields of a message, and what reading looks up in them."""

    def __init__(self, fields: dict[str, Field]) -> None:
        self.fields: dict[str, Field] = fields
        self.required: tuple[str, ...] = tuple(n for n, f in fields.items() if f.label == REQUIRED)
        self.repeated: tuple[str, ...] = tuple(n for n, f in fields.items() if f.label == REPEATED)
        self.blank: dict[str, Any] = {n: () if f.label == REPEATED else None for n, f in fields.items()}
        self.oneofs: dict[str, list[str]] = {}  # the members of each
        for name, field in fields.items():
            if field.oneof is not None:
                self.oneofs.setdefault(field.oneof, []).append(name)
        self.only_optional: bool = not self.required and not self.repeated
        self.ranged: tuple[Field, ...] = tuple(f for f in fields.values() if f.within is not None)
        self.unique: tuple[Field, ...] = tuple(f for f in fields.values() if f.unique is not None)

    def follow(self, dotted: str) -> list[Field]:
        """Return the fields that a dotted name leads through, the last one at the end; none where one is not there."""
        found: list[Field] = []
        fields = self.fields
        for name in dotted.split("."):
            if name not in fields:
                return []
            found.append(fields[name])
            fields = fields[name].kind.__schema__.fields if fields[name].is_message else {}
        return found


class Message:
    """The base of all messages: building one checks values, rounds floats and makes tuples of repeated fields.

    What is equal and how it prints stands here once, as a dataclass's own for each class would take a third of the time of
    making it, and a program that reads one file makes a dozen.
    """

    if TYPE_CHECKING:
        __schema__: ClassVar[Schema]
        __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

    def __post_init__(self) -> None:
        kept = self.__dict__
        kept.update({name: validate(field, kept[name]) for name, field in self.__schema__.fields.items()})
        for problem in find_problems(type(self), {name: value for name, value in kept.items() if value is not None}):
            # A message about a field begins with its name already, unless that is further down.
            where = ".".join(map(str, problem.path)) + ": "
            raise ValueError((where if len(problem.path) > 1 else "") + problem.message)

    def __eq__(self, other: object) -> bool:
        return self.__dict__ == other.__dict__ if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(map(self.__dict__.__getitem__, self.__schema__.fields)))

    def __repr__(self) -> str:
        fields = ("{}={!r}".format(name, self.__dict__[name]) for name in self.__schema__.fields)
        return "{}({})".format(type(self).__qualname__, ", ".join(fields))

    @classmethod
    def __rules__(cls, values: Mapping[str, Any]) -> Iterable[Problem]:
        """Yield the rules between fields that values break, each alone in its range.

        A missing key is an absent field; None stands for a value that could not be read, and breaks none.
        """
        return ()


@dataclass_transform(frozen_default=True, field_specifiers=(required,))
def message(cls: type[M]) -> type[M]:
    """Make a class of fields a frozen dataclass, and describe the fields in its `__schema__`.

    A class that only refines another one has the other's words.
    """
    cls.__doc__ = cls.__doc__ or cls.__bases__[0].__doc__
    made = dataclasses.dataclass(frozen=True, eq=False, repr=False)(cls)
    fields: dict[str, Field] = {field.name: field.metadata[FACTS] for field in dataclasses.fields(made)}
    for name, field in fields.items():
        field.name = name
    made.__schema__ = Schema(fields)
    return made


def construct(cls: type[M], values: dict[str, Any]) -> M:
    """Build a message of values that are validated already, all of them; the dict becomes its own."""
    built: M = object.__new__(cls)
    object.__setattr__(built, "__dict__", values)
    return built


def validate(field: Field, value: Any) -> Any:
    """Return the value as the field keeps it. Raises `TypeError` for one of another type, `ValueError` for a bad one."""
    if field.label == REPEATED:
        if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
            raise TypeError("{} takes several values, not {!r}".format(field.name, value))
        return tuple([validate_one(field, element) for element in value])
    return None if value is None and field.label == OPTIONAL else validate_one(field, value)


def validate_one(field: Field, value: Any) -> Any:
    if not field.is_message:
        return field.kind.validate(field.name, value)
    if not isinstance(value, field.kind):
        raise TypeError("{} has to be {}, not {!r}".format(field.name, field.kind.__name__, value))
    return value


# ---------------------------------------------------------------- rules


def find_problems(cls: type[Message], values: Mapping[str, Any], in_range: bool = False) -> list[Problem]:
    """List the rules that values of the right kinds break: oneofs, ranges, entries that occur twice, the message's own.

    `in_range` says that the ranges are known to be kept.
    """
    schema = cls.__schema__
    found: list[Problem] = []
    for members in schema.oneofs.values():
        given = [name for name in members if name in values]
        if len(given) > 1:
            message = "{} and {} exclude each other".format(", ".join(given[:-1]), given[-1])
            found.append(Problem("conflicting-fields", (given[-1],), message, "keep one of them"))
    for field in () if in_range else schema.ranged:
        value = values.get(field.name)
        if value is not None and value not in field.within:
            found.append(word_out_of_range(field.name, value, field.within.words))
    for field in schema.unique:
        if len(values.get(field.name, ())) > 1:
            found += find_duplicates(field, values[field.name])
    if found:
        wrong = {problem.path[0] for problem in found}
        values = {name: None if name in wrong else value for name, value in values.items()}
    found += cls.__rules__(values)
    return found


def word_out_of_range(name: str, value: Any, wanted: str) -> Problem:
    message = "{} is {}; it has to be {}".format(name, value, wanted)
    return Problem("out-of-range", (name,), message, wanted=wanted)


def find_duplicates(field: Field, elements: Any) -> Iterator[Problem]:
    """Yield entries of a repeated field that occurred before; None stands for one that could not be read."""
    first: dict[str, int] = {}
    for index, element in enumerate(elements):
        key = getattr(element, field.unique) if field.unique and element is not None else element
        if key is not None and first.setdefault(key, index) != index:
            path = (field.name, index, field.unique) if field.unique else (field.name, index)
            hint = "delete one of the two entries" if field.unique else "delete it here"
            message = "'{}' occurs twice in {}".format(key, field.name)
            yield Problem("duplicate-entry", path, message, hint, (field.name, first[key]))


def by_identity(cache: IdentityCache[V], block: Any, more: Hashable, make: Callable[..., V], *arguments: Any) -> V:
    """Return what is cached for a message and whatever else counts, or make it of the arguments.

    Reading makes one object of messages that are written alike, and files repeat theirs; so what is worked out for one
    counts for thousands, and to look one up by its identity costs less than by its values. Caches rely on that for speed,
    never for what they answer: two equal messages that are two objects are worked out twice.
    """
    found = cache.get((id(block), more))
    if found is None:
        found = cache[id(block), more] = (block, make(*arguments))
    return found[1]


def messages_of(root: type[Message]) -> list[type[Message]]:
    """List a message class and those of its fields, each once, from the outside in."""
    found, queue = [], [root]
    while queue:
        cls = queue.pop(0)
        if cls not in found:
            found.append(cls)
            queue += [field.kind for field in cls.__schema__.fields.values() if field.is_message]
    return found
