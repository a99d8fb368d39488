# SPDX-License-Identifier: Apache-2.0
"""JSON with the place of everything: what the json module reads, and where each value and key stands."""

from __future__ import annotations

import json
import re
from typing import Any, Iterator, NamedTuple

from ..diagnostics.diagnostic import ConfigError
from ..diagnostics.source import Source, decode

JSON_BLANKS = re.compile(r"[ \t\r\n]*")
JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
COMMA = re.compile(r"[ \t\r\n]*(?:(,)[ \t\r\n]*)?")
# An object of which no member's object holds another one, as the entry of a layer is.
FLAT_OBJECT = re.compile(r"\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}")

INVALID_JSON = "invalid-json"  # the code of errors, unless the JSON is a table of layers
DEEPEST_JSON = 50
LONGEST_NUMBER = 400  # digits

scan_scalar: Any = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


class Json(NamedTuple):
    """A value and where it stands. An object is a dict of key to `Json`, an array a list of `Json`."""

    value: Any
    start: int
    end: int
    keys: list[tuple[int, int]]  # where its key stands; more than one place where that is repeated, none without a key

    @property
    def is_object(self) -> bool:
        return isinstance(self.value, dict)

    def to_plain(self) -> Any:
        """Return the value as the json module gives it."""
        if isinstance(self.value, dict):
            return {key: inner.to_plain() for key, inner in self.value.items()}
        if isinstance(self.value, list):
            return [element.to_plain() for element in self.value]
        return self.value


def parse_json(text: str | bytes, name: str) -> tuple[Source, Json]:
    """Read the value in a JSON text, with positions.

    Objects in the outermost one that are written alike, as most layers' entries, share what they hold, with the places of
    the first: `read_value` gives each its own. Raises `ConfigError`, code `invalid-json`.
    """
    source = Source(decode(text, name), name)
    offset = 1 if source.text.startswith("\ufeff") else 0
    value = read_whole_value(source, offset)
    end = skip_blanks(source.text, value.end)
    if end < len(source.text):
        raise make_json_error(source, end, "this is not JSON: expected the end of the file")
    return source, value


def parse_json_sequence(text: str | bytes, name: str) -> Iterator[Any]:
    """Read the values of a text that holds several, one after the other."""
    source = Source(decode(text, name), name)
    offset = skip_blanks(source.text, 0)
    while offset < len(source.text):
        value = read_whole_value(source, offset)
        yield value.to_plain()
        offset = skip_blanks(source.text, value.end)


def read_whole_value(source: Source, offset: int, code: str = INVALID_JSON) -> Json:
    """Read the value behind the blanks at an offset. Raises `ConfigError`."""
    try:
        return read_value(source.text, skip_blanks(source.text, offset), 0)
    except json.JSONDecodeError as failure:
        raise make_json_error(source, failure.pos, "this is not JSON: {}".format(failure.msg), code) from None


def make_json_error(source: Source, offset: int, message: str, code: str = INVALID_JSON) -> ConfigError:
    span = source.span(offset, min(offset + 1, len(source.text)))
    return ConfigError.single(code, message, source.name, None, span, source.text)


def skip_blanks(text: str, offset: int) -> int:
    return JSON_BLANKS.match(text, offset).end()  # type: ignore[union-attr]  # it may be empty


def read_value(text: str, start: int, depth: int) -> Json:
    """Read the value at an offset. Raises `json.JSONDecodeError`."""
    if depth > DEEPEST_JSON:
        raise json.JSONDecodeError("it is nested more than {} deep".format(DEEPEST_JSON), text, start)
    first = text[start : start + 1]
    if first in ("{", "["):
        return read_inside(text, start, depth)
    number = None if first == '"' else JSON_NUMBER.match(text, start)
    if number and number.end() - start > LONGEST_NUMBER:
        raise json.JSONDecodeError("this number has {:,} digits".format(number.end() - start), text, start)
    try:
        value, end = scan_scalar(text, start)
    except StopIteration:
        found = "the end of the file" if start >= len(text) else repr(text[start])
        raise json.JSONDecodeError("expected a value, found {}".format(found), text, start) from None
    if first == '"' and not value.isascii() and any("\ud800" <= half <= "\udfff" for half in value):
        raise json.JSONDecodeError("the string holds half a character (a surrogate)", text, start)
    return Json(value, start, end, [])


def read_inside(text: str, start: int, depth: int) -> Json:
    is_object = text[start] == "{"
    found: Any = {} if is_object else []
    alike: dict[str, Any] = {}
    closing = "}" if is_object else "]"
    offset = skip_blanks(text, start + 1)
    closed = text[offset : offset + 1] == closing
    offset += closed
    while not closed:
        if is_object:
            key, value = read_member(text, offset, depth, alike)
            found.setdefault(key.value, value).keys.append((offset, key.end))
        else:
            value = read_value(text, offset, depth + 1)
            found.append(value)
        offset, closed = read_separator(text, value.end, closing)
    return Json(found, start, offset, [])


def read_member(text: str, offset: int, depth: int, alike: dict[str, Any]) -> tuple[Json, Json]:
    """Read a key and its value."""
    if text[offset : offset + 1] != '"':
        raise json.JSONDecodeError("expected a key in double quotes", text, offset)
    key = read_value(text, offset, depth)
    colon = skip_blanks(text, key.end)
    if text[colon : colon + 1] != ":":
        raise json.JSONDecodeError("expected ':'", text, colon)
    start = skip_blanks(text, colon + 1)
    return key, read_value(text, start, depth + 1) if depth else read_alike(text, start, alike)


def read_alike(text: str, start: int, alike: dict[str, Any]) -> Json:
    """Read a value of the outermost object, or take what one written alike holds."""
    guess = FLAT_OBJECT.match(text, start)  # a wrong one isn't found, as an object's text begins no other object's
    if guess is not None and guess[0] in alike:
        return Json(alike[guess[0]], start, guess.end(), [])
    value = read_value(text, start, 1)
    if value.is_object:
        alike[text[start : value.end]] = value.value
    return value


def read_separator(text: str, offset: int, closing: str) -> tuple[int, bool]:
    match = COMMA.match(text, offset)
    assert match is not None  # it may be empty
    offset = match.end()
    closed = text[offset : offset + 1] == closing
    if match[1] and closed:
        raise json.JSONDecodeError("there is a ',' before '{}'".format(closing), text, offset)
    if not match[1] and not closed:
        raise json.JSONDecodeError("expected ',' or '{}'".format(closing), text, offset)
    return offset + closed, closed


def json_of(value: Any, depth: int = 0) -> Json:
    """Make the same of a value in memory, without places. Raises `TypeError` for a key that is not a string."""
    if depth > DEEPEST_JSON:
        raise ValueError("the JSON quantization config is nested more than {} deep".format(DEEPEST_JSON))
    if hasattr(value, "items"):
        found = {}
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError("a key of the JSON quantization config has to be a string, not {!r}".format(key))
            found[key] = json_of(inner, depth + 1)
        value = found
    elif isinstance(value, (list, tuple)):
        value = [json_of(element, depth + 1) for element in value]
    return Json(value, -1, -1, [(-1, -1)])
