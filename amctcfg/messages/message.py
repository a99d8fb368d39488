# SPDX-License-Identifier: Apache-2.0
"""Messages: frozen dataclasses whose fields are each described in one line, and which can't hold a wrong value.

    class FMRQuantize(Message):
        search_step: Optional[float] = optional(FLOAT, default=0.01, within=POSITIVE)

`None` is an absent field, which is not the same as one set to its default.
"""

from __future__ import annotations

from collections import namedtuple

from .._typing import TYPE_CHECKING
from .kinds import Kind
from .record import MISSING, Record, dataclass_transform

if TYPE_CHECKING:
    from typing import (
        Any,
        Callable,
        ClassVar,
        Dict,
        Generic,
        Iterable,
        Iterator,
        List,
        Mapping,
        NamedTuple,
        Optional,
        Tuple,
        Type,
        TypeVar,
        Union,
        overload,
    )  # fmt: skip

    T = TypeVar("T")
    M = TypeVar("M", bound="Message")

    AnyDict = Dict[str, Any]

    class Repeated(Generic[T]):
        """A repeated field: takes any iterable and is kept as a tuple."""

        @overload
        def __get__(self, instance: None, owner: Any) -> Repeated[T]: ...
        @overload
        def __get__(self, instance: object, owner: Any) -> Tuple[T, ...]: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...
        def __set__(self, instance: Any, value: Iterable[T]) -> None: ...

    class Problem(NamedTuple):
        """A value that breaks a rule: code and words of its diagnostic, and where it is, below the message."""

        code: str
        path: Tuple[Union[str, int], ...]
        message: str
        hint: Optional[str] = None
        first: Optional[Tuple[Union[str, int], ...]] = None  # what it repeats
        wanted: Optional[str] = None  # of a number out of its range: what it has to be

else:
    AnyDict = dict
    Problem = namedtuple("Problem", "code path message hint first wanted", defaults=(None, None, None))


OPTIONAL, REQUIRED, REPEATED = "optional", "required", "repeated"

INFINITY = float("inf")


class ByType:
    """The default of a switch that the type of the layer decides."""

    def __repr__(self) -> str:
        return "by the layer's type"


BY_TYPE: Any = ByType()


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


class Choice:
    """One of some numbers."""

    def __init__(self, *values: int) -> None:
        self.low: float = INFINITY  # there are no bounds between which every number is one of them
        self.high: float = INFINITY
        self.values: Tuple[int, ...] = values
        self.words: str = "{} or {}".format(", ".join(map(str, values[:-1])), values[-1])

    def __contains__(self, value: Any) -> bool:
        return value in self.values

    def __repr__(self) -> str:
        return self.words


POSITIVE = Interval("greater than 0 and finite", 0)
PERCENTILE = Interval("greater than 0.5 and at most 1", 0.5, 1, "(]")
FRACTION = Interval("greater than 0 and less than 1", 0, 1)


class Field:
    """What a field is: its label, kind and range, what it means when it is absent, and what flavours say about it."""

    __slots__ = (
        "cascades",  # None, or the global field that decides where no block does ("": none does)
        "default",  # when absent; BY_TYPE, or of a message field the message that counts
        "demands",  # what a layer must be able to have, `flavours.flavour.Demand`
        "is_message",
        "kind",
        "label",
        "name",
        "oneof",
        "read",  # a scalar's literal's value; None for one that is of another kind, a string or out of range
        "unique",  # of a repeated field: what may not occur twice: a field of its messages, "" itself, None nothing
        "within",
    )

    def __init__(
        self,
        label: str,
        kind: Any,
        default: Any = None,
        within: Any = None,
        oneof: Optional[str] = None,
        unique: Optional[str] = None,
        cascades: Optional[str] = None,
        demand: Any = None,
    ) -> None:
        self.name: str = ""
        self.label: str = label
        self.kind: Any = kind
        self.is_message: bool = isinstance(kind, type)
        self.default: Any = default
        self.within: Any = within
        self.oneof: Optional[str] = oneof
        self.unique: Optional[str] = unique
        self.cascades: Optional[str] = cascades
        self.demands: Tuple[Any, ...] = demand if isinstance(demand, tuple) else (demand,) if demand else ()
        self.read: Callable[[str], Any] = Values(self).__getitem__
        if not self.is_message and not isinstance(kind, Kind):
            raise TypeError("a field's kind is a Kind or a Message, not {!r}".format(kind))

    def __repr__(self) -> str:
        return "<{} {} {}>".format(self.label, self.kind_name, self.name)

    @property
    def kind_name(self) -> str:
        """The proto2 name of its type."""
        return self.kind.__name__ if self.is_message else repr(self.kind)


class Values(AnyDict):
    """The values of a field's literals as it reads them: files repeat theirs, and so do the files of a project."""

    LONGEST: int = 32  # longer ones are not kept, nor more than so many
    MOST: int = 1024

    def __init__(self, field: Field) -> None:
        super().__init__()
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


def optional(
    kind: Union[Kind[T], Type[T]],
    *,
    default: Optional[T] = None,
    within: Optional[Union[Interval, Choice]] = None,
    oneof: Optional[str] = None,
    cascades: Optional[str] = None,
    demand: Any = None,
) -> Optional[T]:
    """A field that may be absent, which means `default`; a member of `oneof` excludes its other members."""
    return Field(OPTIONAL, kind, default, within, oneof, None, cascades, demand)  # type: ignore[return-value]


def required(kind: Union[Kind[T], Type[T]]) -> Any:
    """A field that has to be there."""
    return Field(REQUIRED, kind)


def repeated(kind: Union[Kind[T], Type[T]], unique: Optional[str] = "") -> Repeated[T]:
    """A field that may be there any number of times."""
    return Field(REPEATED, kind, unique=unique)  # type: ignore[return-value]


class Schema:
    """The fields of a message, and what reading looks up in them."""

    def __init__(self, fields: Dict[str, Field], has_rules: bool) -> None:
        self.fields: Dict[str, Field] = fields
        self.required: Tuple[str, ...] = tuple(n for n, f in fields.items() if f.label == REQUIRED)
        self.repeated: Tuple[str, ...] = tuple(n for n, f in fields.items() if f.label == REPEATED)
        self.blank: Dict[str, Any] = {n: () if f.label == REPEATED else None for n, f in fields.items()}
        # The members of each oneof; one alone excludes nothing.
        oneofs = [
            [n for n, f in fields.items() if f.oneof == o] for o in dict.fromkeys(f.oneof for f in fields.values())
        ]
        self.oneofs: Tuple[List[str], ...] = tuple(
            members for members in oneofs if fields[members[0]].oneof and len(members) > 1
        )
        # How the literals of the scalars are read.
        self.readers: Dict[str, Callable[[str], Any]] = {n: f.read for n, f in fields.items() if not f.is_message}
        self.only_optional: bool = not self.required and not self.repeated
        self.has_rules: bool = has_rules
        self.has_relations: bool = has_rules or bool(self.oneofs)  # between optional fields
        # What has a range, with the bounds between which no more has to be asked.
        self.ranged: Tuple[Tuple[str, float, float, Any], ...] = tuple(
            (n, f.within.low, f.within.high, f.within) for n, f in fields.items() if f.within is not None
        )
        # Where something may be that not every layer can have.
        self.demanding: Tuple[Field, ...] = tuple(
            f for f in fields.values() if f.demands or (f.is_message and f.kind.__schema__.demanding)
        )
        self.unique: Tuple[Field, ...] = tuple(
            f for f in fields.values() if f.label == REPEATED and f.unique is not None
        )


@dataclass_transform(frozen_default=True, field_specifiers=(required,))
class Message(Record):
    """What the messages share: values are checked, floats rounded and repeated fields made tuples when one is built."""

    if TYPE_CHECKING:
        __schema__: ClassVar[Schema]
    else:

        def __init_subclass__(cls, **options):
            fields = dict(cls.__schema__.fields) if hasattr(cls, "__schema__") else {}
            for name, field in list(cls.__dict__.items()):
                if isinstance(field, Field):
                    field.name = name
                    fields[name] = field
                    missing = MISSING if field.label == REQUIRED else () if field.label == REPEATED else None
                    type.__setattr__(cls, name, missing)
            super().__init_subclass__(**options)
            cls.__schema__ = Schema(fields, cls._rules is not Message._rules)
            for name in cls.__schema__.required:
                if name in cls.__dict__:
                    type.__delattr__(cls, name)

    def _checked(self, values: Dict[str, Any]) -> Dict[str, Any]:
        schema = self.__schema__
        checked = {name: checked_value(field, values[name]) for name, field in schema.fields.items()}
        for problem in problems(type(self), {name: value for name, value in checked.items() if value is not None}):
            # A message about a field begins with its name already, unless that is further down.
            where = ".".join(map(str, problem.path)) + ": "
            raise ValueError((where if len(problem.path) > 1 else "") + problem.message)
        return checked

    @classmethod
    def _rules(cls, values: Mapping[str, Any]) -> Iterable[Problem]:
        """The rules between fields that values break, each alone in its range.

        A missing key is an absent field; None stands for a value that could not be read, and breaks none.
        """
        return ()


def checked_value(field: Field, value: Any) -> Any:
    """The value as the field keeps it. Raises `TypeError` for one of another type, `ValueError` for a bad one."""
    if field.label == REPEATED:
        if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
            raise TypeError("{} takes several values, not {!r}".format(field.name, value))
        return tuple([checked_one(field, element) for element in value])
    return None if value is None and field.label == OPTIONAL else checked_one(field, value)


def checked_one(field: Field, value: Any) -> Any:
    if not field.is_message:
        return field.kind.checked(field.name, value)
    if not isinstance(value, field.kind):
        raise TypeError("{} has to be {}, not {!r}".format(field.name, field.kind.__name__, value))
    return value


# ---------------------------------------------------------------- rules


def problems(cls: Type[Message], values: Mapping[str, Any], in_range: bool = False) -> List[Problem]:
    """The rules that values of the right kinds break: oneofs, ranges, entries that occur twice, the message's own.

    `in_range` says that the ranges are known to be kept.
    """
    schema = cls.__schema__
    found: List[Problem] = []
    for members in schema.oneofs:
        given = [name for name in members if name in values]
        if len(given) > 1:
            message = "{} and {} exclude each other".format(", ".join(given[:-1]), given[-1])
            found.append(Problem("conflicting-fields", (given[-1],), message, "keep one of them"))
    for name, low, high, within in () if in_range else schema.ranged:
        value = values.get(name)
        if value is not None and not low < value < high and value not in within:
            found.append(out_of_range(name, value, within.words))
    for field in schema.unique:
        if len(values.get(field.name, ())) > 1:
            found += duplicates(field, values[field.name])
    if schema.has_rules:
        if found:
            wrong = {problem.path[0] for problem in found}
            values = {name: None if name in wrong else value for name, value in values.items()}
        found += cls._rules(values)
    return found


def out_of_range(name: str, value: Any, wanted: str, hint: Optional[str] = None) -> Problem:
    """The problem of a number that is not `wanted`."""
    message = "{} is {}; it has to be {}".format(name, value, wanted)
    return Problem("out-of-range", (name,), message, hint, wanted=wanted)


def duplicates(field: Field, elements: Any) -> Iterator[Problem]:
    """Entries of a repeated field that occurred before; None stands for one that could not be read."""
    first: Dict[str, int] = {}
    for index, element in enumerate(elements):
        key = getattr(element, field.unique) if field.unique and element is not None else element
        if key is not None and first.setdefault(key, index) != index:
            path = (field.name, index, field.unique) if field.unique else (field.name, index)
            hint = "delete one of the two entries" if field.unique else "delete it here"
            message = "'{}' occurs twice in {}".format(key, field.name)
            yield Problem("duplicate-entry", path, message, hint, (field.name, first[key]))


def messages_of(root: Type[Message]) -> List[Type[Message]]:
    """A message class and those of its fields, each once, from the outside in."""
    found, queue = [], [root]
    while queue:
        cls = queue.pop(0)
        if cls not in found:
            found.append(cls)
            queue += [field.kind for field in cls.__schema__.fields.values() if field.is_message]
    return found
