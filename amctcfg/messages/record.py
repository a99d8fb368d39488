# SPDX-License-Identifier: Apache-2.0
"""Frozen dataclasses that cost nothing to make: `dataclasses.fields`, `replace` and the rest work on them.

The methods are shared and not generated for each class, and `dataclasses` is imported when it asks for the fields: its
import and its generated code took half of the time of a first parse.
"""

from __future__ import annotations

from .._typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dataclasses
    from typing import Any, Callable, ClassVar, Dict, Tuple, Type, TypeVar

    from typing_extensions import dataclass_transform as dataclass_transform  # noqa: PLC0414  # message takes it from here

    R = TypeVar("R", bound="Record")
    C = TypeVar("C", bound=Type[Any])
else:

    def dataclass_transform(**how):
        return lambda cls: cls


class Missing:
    """The default of an attribute that has none."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = Missing()


class LazyFields:
    """`__dataclass_fields__` and its like, made when they are first asked for."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self.make: Callable[[Any], Any] = make

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self.make(owner or type(instance))


def dataclass_fields(cls: Type[Record]) -> Dict[str, Any]:
    if "_dataclass_fields" not in cls.__dict__:
        import dataclasses

        made = {}
        for name, default in cls.__attributes__.items():
            value: Any = dataclasses.MISSING if default is MISSING else default
            field: Any = dataclasses.field(default=value)
            field.name, field.type = name, annotation_of(cls, name)
            field._field_type = dataclasses._FIELD  # type: ignore[attr-defined]
            made[name] = field
        type.__setattr__(cls, "_dataclass_fields", made)
    return cls.__dict__["_dataclass_fields"]  # type: ignore[no-any-return]


def annotation_of(cls: Type[Any], name: str) -> Any:
    return next((own_annotations(c)[name] for c in cls.__mro__ if name in own_annotations(c)), "Any")


def own_annotations(cls: Type[Any]) -> Dict[str, Any]:
    found: Dict[str, Any] = cls.__dict__.get("__annotations__", {})  # noqa: RUF063  # on Python 3.7, too
    return found


def signature(cls: Type[Record]) -> Any:
    import inspect

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Signature(
        [
            inspect.Parameter(name, kind, default=inspect.Parameter.empty if default is MISSING else default)
            for name, default in cls.__attributes__.items()
        ]
    )


@dataclass_transform(frozen_default=True)
class Record:
    """What they share: built from positional or named values, immutable, hashable, equal by value, picklable."""

    if TYPE_CHECKING:
        __dataclass_fields__: ClassVar[Dict[str, dataclasses.Field[Any]]]
        __attributes__: ClassVar[Dict[str, Any]]  # the names, in order, each with its default or MISSING
    else:
        __attributes__ = {}
        __dataclass_fields__ = LazyFields(dataclass_fields)
        __signature__ = LazyFields(signature)
        __match_args__ = LazyFields(lambda cls: tuple(cls.__attributes__))

        def __init_subclass__(cls, **options):
            super().__init_subclass__(**options)
            own = [name for name in own_annotations(cls) if name[0] != "_"]
            cls.__attributes__ = dict(cls.__attributes__, **{n: cls.__dict__.get(n, MISSING) for n in own})

        def __init__(self, *args, **values):
            self.__dict__.update(self._checked(self._bound(args, values)))

    def _bound(self, args: Tuple[Any, ...], values: Dict[str, Any]) -> Dict[str, Any]:
        """The value of each attribute, as a function with these parameters would have it."""
        attributes, name = self.__attributes__, type(self).__name__
        if len(args) > len(attributes):
            raise TypeError("{} takes {} arguments, not {}".format(name, len(attributes), len(args)))
        bound = dict(attributes)
        bound.update(zip(attributes, args))
        for key, value in values.items():
            if key not in attributes:
                raise TypeError("{} has no field {!r}; it has {}".format(name, key, ", ".join(attributes)))
            if key in list(attributes)[: len(args)]:
                raise TypeError("{} got two values for {!r}".format(name, key))
            bound[key] = value
        missing = [key for key, value in bound.items() if value is MISSING]
        if missing:
            raise TypeError("{} needs {}".format(name, ", ".join(missing)))
        return bound

    def _checked(self, values: Dict[str, Any]) -> Dict[str, Any]:
        """The values as they are kept. Raises `TypeError` or `ValueError` for wrong ones."""
        return values

    def __setattr__(self, name: str, value: Any) -> None:
        import dataclasses

        raise dataclasses.FrozenInstanceError("cannot assign to field {!r}; use dataclasses.replace".format(name))

    def __delattr__(self, name: str) -> None:
        import dataclasses

        raise dataclasses.FrozenInstanceError("cannot delete field {!r}".format(name))

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return self is other or self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self).__name__, *map(self.__dict__.get, self.__attributes__)))

    def __repr__(self) -> str:
        values = ", ".join("{}={!r}".format(name, self.__dict__[name]) for name in self.__attributes__)
        return "{}({})".format(type(self).__qualname__, values)

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __replace__(self: R, **changes: Any) -> R:
        return type(self)(**dict({name: getattr(self, name) for name in self.__attributes__}, **changes))


new: Any = object.__new__
set_attribute: Any = object.__setattr__


def trusted(cls: Type[R], values: Dict[str, Any]) -> R:
    """A record of values that are checked already, all of them; the dict becomes its own."""
    built: R = new(cls)
    set_attribute(built, "__dict__", values)
    return built
