# SPDX-License-Identifier: Apache-2.0
"""A cursor in a JSON text: a value with the keys that lead to it, which reports what is wrong there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, NamedTuple, Optional

from ..diagnostics.diagnostic import Path
from ..diagnostics.suggestions import did_you_mean, find_nearest
from ..diagnostics.words import shorten
from ..documents.json_tree import Json
from ..flavours.common import PERCENTILE
from ..flavours.json_layout import Constant, is_same
from ..messages.field import Field
from ..messages.kinds import UINT32

if TYPE_CHECKING:
    from ..flavours.json_layout import Items

Reporter = Callable[[str, str, "Cursor", Optional[str]], None]


class Cursor(NamedTuple):
    """A value of the JSON with the keys that lead to it, and what takes the reports of what is wrong with it."""

    reporter: Reporter
    json: Json
    path: Path

    @property
    def value(self) -> Any:
        return self.json.value

    @property
    def words(self) -> str:
        """The value, as a message shows it."""
        if isinstance(self.value, dict):
            return "an object"
        if isinstance(self.value, list):
            return "a list"
        if isinstance(self.value, int) and not isinstance(self.value, bool) and abs(self.value) > 10**20:
            return "a number of {} bits".format(self.value.bit_length())
        if isinstance(self.value, float) and self.value != self.value:
            return "NaN"
        if self.value is None or isinstance(self.value, bool):
            return {True: "true", False: "false", None: "null"}[self.value]
        return shorten(repr(self.value))

    @property
    def extent(self) -> tuple[int, int]:
        """The offsets of the key and its value."""
        return self.json.keys[0][0], self.json.end

    def report(self, code: str, message: str, hint: str | None = None) -> None:
        self.reporter(code, message, self, hint)

    def replace(self, value: Any) -> Cursor:
        """Return the same place with another value, which stands for the one that is written."""
        return self._replace(json=self.json._replace(value=value))

    def point_to_key(self) -> Cursor:
        start, end = self.json.keys[0]
        return self._replace(json=Json(None, start, end, []))

    def find_child(self, key: str) -> Cursor | None:
        json = self.json.value.get(key)
        return None if json is None else Cursor(self.reporter, json, (*self.path, key))

    def iter_children(self) -> Iterator[tuple[str, Cursor]]:
        for key, json in self.json.value.items():
            yield key, Cursor(self.reporter, json, (*self.path, key))

    def list_elements(self) -> list[Cursor]:
        """List the elements of a list, which share its path; none for anything else."""
        found = self.json.value if isinstance(self.json.value, list) else ()
        return [Cursor(self.reporter, element, self.path) for element in found]

    def list_indexed(self) -> list[Cursor]:
        """List the elements of a list, each with its index in the path."""
        return [Cursor(self.reporter, e.json, (*self.path, index)) for index, e in enumerate(self.list_elements())]

    def check_object(self) -> bool:
        if not self.json.is_object:
            self.report("wrong-type", "it is an object, not {}".format(self.words))
        return self.json.is_object

    def check_keys(self, keys: Iterable[str]) -> None:
        """Report the keys of an object that are unknown, or there twice."""
        self.check_repetitions()
        keys = tuple(keys)
        for key, json in self.json.value.items():
            if key not in keys:
                unknown = Cursor(self.reporter, json, (*self.path, key)).point_to_key()
                unknown.report("unknown-field", "there is no such key", did_you_mean(find_nearest(key, keys)))

    def check_repetitions(self) -> None:
        for key, json in self.json.value.items():
            for start, end in json.keys[1:]:
                again = Cursor(self.reporter, Json(None, start, end, []), (*self.path, key))
                again.report("duplicate-field", "the key is there twice in one object", "keep one of the two")


def has_constants(part: Cursor, template: Items) -> bool:
    """Return whether what is always the same in a template is so in a part as well, as far as it is there."""
    places = ((part.find_child(key), item) for key, item in template.items() if isinstance(item, Constant))
    return all(at is None or is_same(at.value, item.value) for at, item in places)


def number_in(field: Field, value: Any) -> Any:
    """Return a value as the toolkit converts it first: a percentile from a string, iterations from a whole float."""
    if field.within is PERCENTILE and isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    if field.kind is UINT32 and field.within is None and isinstance(value, float) and value.is_integer():
        return int(value)
    return value
