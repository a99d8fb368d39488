# SPDX-License-Identifier: Apache-2.0
"""The layout of a flavour's JSON quantization config: its keys in their order, and what stands at each."""

from __future__ import annotations

from .._typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Any, Mapping, Protocol, Sequence, TypeVar

    P = TypeVar("P", bound="Place")

    class Place(Protocol):
        """A value of a JSON text that is being read."""

        @property
        def value(self) -> Any: ...
        @property
        def words(self) -> str: ...  # the value, as a message shows it
        def replace(self: P, value: Any) -> P: ...
        def list_elements(self: P) -> Sequence[P]: ...
        def report(self, code: str, message: str) -> None: ...

    Items = Mapping[str, "Item"]  # what stands at each key

ACTIVATIONS = "activation_quant_params"  # the part without which the toolkit can't read a layer, quantized or not


class Item:
    """The content of a key: the `fields` that it holds; `mapping`: what is written for their values, if not these."""

    fields: tuple[str, ...] = ()
    mapping: Mapping[Any, Any] | None = None

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), self.fields))

    def write(self, values: Mapping[str, Any]) -> Any:
        """Return the JSON value for the values of the fields."""
        raise NotImplementedError

    def read(self, place: P) -> dict[str, P]:
        """Return the places of the fields in a JSON value; what is wrong with it is reported there."""
        raise NotImplementedError


class Value(Item):
    """The value of a field; with `mapping`, what is written for each of its values."""

    def __init__(self, field: str, mapping: Mapping[Any, Any] | None = None) -> None:
        self.field: str = field
        self.fields: tuple[str, ...] = (field,)
        self.mapping: Mapping[Any, Any] | None = mapping

    def write(self, values: Mapping[str, Any]) -> Any:
        value = values[self.field]
        return value if self.mapping is None else self.mapping[value]

    def read(self, place: P) -> dict[str, P]:
        if self.mapping is None:
            return {self.field: place}
        for meaning, written in self.mapping.items():
            if is_same(place.value, written):
                return {self.field: place.replace(meaning)}
        *some, last = map(str, self.mapping.values())
        allowed = "{} or {}".format(", ".join(some), last) if some else last
        place.report("out-of-range", "it is {}; it has to be {}".format(place.words, allowed))
        return {}


class Values(Item):
    """A list of the values of some fields."""

    def __init__(self, *fields: str) -> None:
        self.fields: tuple[str, ...] = fields

    def write(self, values: Mapping[str, Any]) -> Any:
        return [values[name] for name in self.fields]

    def read(self, place: P) -> dict[str, P]:
        elements = place.list_elements()
        if len(elements) == len(self.fields):
            return dict(zip(self.fields, elements))
        ends = ", ".join(name.rpartition("_")[2] for name in self.fields)
        place.report("wrong-type", "it is [{}], not {}".format(ends, place.words))
        return {}


class Constant(Item):
    """The same value whatever the fields are."""

    def __init__(self, value: Any) -> None:
        self.value: Any = value

    def write(self, values: Mapping[str, Any]) -> Any:
        return self.value

    def read(self, place: P) -> dict[str, P]:
        if not is_same(place.value, self.value):
            place.report("out-of-range", "it is {}; only {!r} can be here".format(place.words, self.value))
        return {}


def is_same(value: Any, only: Any) -> bool:
    """Return whether a value is just that one: neither 1.0 nor true is 1."""
    return type(value) is type(only) and bool(value == only)


class Layout(NamedTuple):
    """The layout of the JSON quantization config, in the order of its keys.

    globals -- the keys before the layers: "version" and fields of the configuration. when_set -- those of them that are
    written only where the configuration has them, each with the value that means the same as none. switches -- members of a
    block that stand beside the parts as a single value: key, member and field. parts -- the key of each part of a layer, and
    for each member of the block that may stand there, what stands at its keys. tolerated -- what stands at keys that are
    accepted and not written. wider -- members of a block that the toolkit reads from JSON with more than a configuration can
    say: the message that holds it, and what stands at its keys. reserved -- other names that the toolkit takes for its own,
    so that no layer may have them.
    """

    globals: tuple[str, ...]
    parts: Mapping[str, Mapping[str, Items]]
    when_set: Mapping[str, Any] = {}
    switches: tuple[tuple[str, str, str], ...] = ()
    tolerated: Mapping[str, Item] = {}
    wider: Mapping[str, tuple[Any, Items]] = {}
    reserved: tuple[str, ...] = ()
