# SPDX-License-Identifier: Apache-2.0
"""The kinds of scalar values: how each is read, checked, printed and named, with an example, in one place."""

from __future__ import annotations

import re

from .._typing import TYPE_CHECKING, Generic
from ..diagnostics.words import CONTROL
from ..textformat.literals import parse_bool, parse_float, round_float32

if TYPE_CHECKING:
    from typing import Any, Optional, Tuple, TypeVar

    T = TypeVar("T")
    Wording = Tuple[str, str, str, Optional[str]]  # code, message, hint, and what to write instead
else:
    T = None


INFINITY = float("inf")

TRUE_WORDS = ("true", "yes", "on", "y", "1")
FALSE_WORDS = ("false", "no", "off", "n", "0")

ESCAPED = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class Kind(Generic[T]):
    """A kind of scalar: `proto` is protobuf's name for it, `noun` ours, `example` a literal."""

    proto: str
    noun: str
    example: str

    def __repr__(self) -> str:
        return self.proto

    def read(self, raw: str) -> T | None:
        """Return the value of a literal that is not a string, or None for one of another kind."""
        return None

    def validate(self, name: str, value: Any) -> T:
        """Return a Python value as the field keeps it. Raises `TypeError` for one of another type, `ValueError` for a bad one."""
        raise NotImplementedError

    def format(self, value: T) -> str:
        return str(value)

    def word_mismatch(self, name: str, raw: str) -> Wording:
        """Word the diagnostic for a literal that `read` does not take."""
        raise NotImplementedError

    def without_quotes(self, raw: str) -> str | None:
        """Return the literal in quotes that need not be there; None where there are none, or no literal inside."""
        bare = raw.strip("\"'")
        return bare if raw[0] in "\"'" and bare and self.read(bare) is not None else None

    def make_type_error(self, name: str, value: Any) -> TypeError:
        return TypeError("{} has to be {}, not {!r}".format(name, self.noun, value))


class Bool(Kind[bool]):
    proto: str = "bool"
    noun: str = "a bool"
    example: str = "true"

    def read(self, raw: str) -> bool | None:
        return parse_bool(raw)

    def validate(self, name: str, value: Any) -> bool:
        if isinstance(value, bool):
            return value
        if type(value).__name__ in ("bool_", "bool") and type(value).__module__ == "numpy":
            return bool(value)
        raise self.make_type_error(name, value)

    def format(self, value: bool) -> str:
        return "true" if value else "false"

    def word_mismatch(self, name: str, raw: str) -> Wording:
        bare = raw.strip("\"'").lower()
        meant = "true" if bare in TRUE_WORDS else "false" if bare in FALSE_WORDS else None
        hint = "write " + (meant or "true or false") + (" without quotes" if meant and raw[0] in "\"'" else "")
        return "wrong-type", "{} is true or false, not {}".format(name, raw), hint, meant


class Float(Kind[float]):
    proto: str = "float"
    noun: str = "a number"
    example: str = "0.7"

    def read(self, raw: str) -> float | None:
        return parse_float(raw)

    def validate(self, name: str, value: Any) -> float:
        if isinstance(value, bool) or not hasattr(type(value), "__float__"):
            raise self.make_type_error(name, value)
        try:
            return round_float32(float(value))
        except OverflowError:  # an int beyond every float
            return INFINITY if value > 0 else -INFINITY

    def word_mismatch(self, name: str, raw: str) -> Wording:
        return word_not_a_number(self, "a decimal number", name, raw)


class Integer(Kind[int]):
    """A whole number of 32 bits; decimal, octal and hexadecimal literals are read."""

    noun: str = "a whole number"
    example: str = "1"

    def __init__(self, proto: str, least: int, most: int) -> None:
        self.proto: str = proto
        self.least: int = least
        self.most: int = most

    def read(self, raw: str) -> int | None:
        value = read_whole_number(raw)
        return value if value is not None and self.least <= value <= self.most else None

    def validate(self, name: str, value: Any) -> int:
        if isinstance(value, bool) or not hasattr(type(value), "__index__"):
            raise self.make_type_error(name, value)
        value = value.__index__()
        if not self.least <= value <= self.most:
            raise ValueError(
                "{} is {}; it has to be from {} to {}".format(name, write_brief(value), self.least, self.most)
            )
        return int(value)

    def word_mismatch(self, name: str, raw: str) -> Wording:
        if read_whole_number(raw) is None:
            return word_not_a_number(self, self.noun, name, raw)
        message = "{} is {}; it has to be from {} to {}".format(name, raw, self.least, self.most)
        return "out-of-range", message, "", None


class String(Kind[str]):
    proto: str = "string"
    noun: str = "a string"
    example: str = '"..."'

    def validate(self, name: str, value: Any) -> str:
        if not isinstance(value, str):
            raise self.make_type_error(name, value)
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError("{}: {!r} holds a surrogate, which is not text".format(name, value)) from None
        return str(value)

    def format(self, value: str) -> str:
        """Write a literal in double quotes; characters beyond ASCII stay, but for those that act on a terminal."""
        if value.isprintable() and '"' not in value and "\\" not in value:
            return '"{}"'.format(value)
        return '"{}"'.format(re.sub(r'["\\]|' + CONTROL, escape, value))

    def word_mismatch(self, name: str, raw: str) -> Wording:
        hint = 'put it in quotes: "{}"'.format(raw)
        return "wrong-type", "{} is a string, not {}".format(name, raw), hint, self.format(raw)


class Enum(Kind[str]):
    """One of some names, kept as `str`. Their numbers, which are read and not written, count from 1."""

    def __init__(self, proto: str, *names: str) -> None:
        self.proto: str = proto
        self.names: tuple[str, ...] = names
        self.numbers: dict[int, str] = dict(enumerate(names, 1))
        self.example: str = names[0]
        self.noun: str = "one of the names {}".format(", ".join(names)) if len(names) > 1 else names[0]

    def read(self, raw: str) -> str | None:
        if raw in self.names:
            return raw
        number = read_whole_number(raw)
        return None if number is None else self.numbers.get(number)

    def validate(self, name: str, value: Any) -> str:
        if not isinstance(value, str):
            raise self.make_type_error(name, value)
        if value not in self.names:
            raise ValueError("{} is {!r}; it has to be {}".format(name, value, " or ".join(self.names)))
        return str(value)

    def word_mismatch(self, name: str, raw: str) -> Wording:
        wanted = "write {}".format(" or ".join(self.names))
        if raw[0] in "\"'":
            message, bare = "{} is a bare name, not {}".format(name, raw), self.without_quotes(raw)
            return "wrong-type", message, wanted + " without quotes", bare
        if read_whole_number(raw) is None and not raw[0].isalpha() and raw[0] != "_":
            return "wrong-type", "{} is a name, not {}".format(name, raw), wanted, None
        message = "{} is {}; it has to be {}".format(name, raw, " or ".join(self.names))
        same = next((known for known in self.names if known.lower() == raw.lower()), None)
        return "out-of-range", message, wanted if same is None else "write {}".format(same), same


def read_whole_number(raw: str) -> int | None:
    """Read the value of an integer literal, in any base; None for anything else."""
    match = re.match(r"\A(-?)(?:[ \t\n\v\f\r]|#[^\n]*\n)*(0[xX][0-9A-Fa-f]+|0[0-7]*|[1-9][0-9]*)\Z", raw)
    if match is None or len(raw) > 200:  # no field takes so many digits
        return None
    digits = match[2]
    base = 16 if digits[:2] in ("0x", "0X") else 8 if digits[0] == "0" else 10
    return int(match[1] + digits, base)


def word_not_a_number(kind: Kind[Any], noun: str, name: str, raw: str) -> Wording:
    hint = "write the number without quotes" if raw[0] in "\"'" else "write {} such as {}".format(noun, kind.example)
    return "wrong-type", "{} is {}, not {}".format(name, noun, raw), hint, kind.without_quotes(raw)


def write_brief(value: int) -> str:
    """Write a whole number, also one of thousands of digits, which Python refuses to write."""
    return str(value) if -(10**20) < value < 10**20 else "a number of {} bits".format(value.bit_length())


def escape(match: Any) -> str:
    return ESCAPED.get(match[0]) or "".join(map("\\{:03o}".format, match[0].encode("utf-8")))


BOOL = Bool()
FLOAT = Float()
STRING = String()
UINT32 = Integer("uint32", 0, 2**32 - 1)
INT32 = Integer("int32", -(2**31), 2**31 - 1)
