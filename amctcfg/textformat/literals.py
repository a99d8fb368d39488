# SPDX-License-Identifier: Apache-2.0
"""The values of scalar literals: strings, bools and floats, each as raw as the tree keeps it.

Rules: Text Format Language Specification, "Literals" and "Semantics".
"""

from __future__ import annotations

import re

from .._typing import TYPE_CHECKING
from .lexis import BLANK, COMMENT, DOUBLE, SINGLE

if TYPE_CHECKING:
    from typing import Match

    from .tree import Field

LARGEST = 3.4028235677973366e38  # what is nearer to the largest float32 than to infinity

BLANK_OR_COMMENT = "{}+|{}".format(BLANK, COMMENT)
# What is not closed ends with its line.
LITERAL_OR_BETWEEN = "\"({})\"?|'({})'?|{}".format(DOUBLE, SINGLE, BLANK_OR_COMMENT)
ESCAPE = rb"\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))"
SIMPLE_ESCAPES = dict(zip(b"abfnrtv", b"\a\b\f\n\r\t\v"))

BOOLS = {"true": True, "True": True, "t": True, "false": False, "False": False, "f": False}


def unescape(raw: str) -> bytes:
    """Return the bytes that a string literal stands for, or several adjacent ones.

    Args:
        raw: The literals as they stand in the text, with what lies between them.

    Returns:
        The bytes; `decode("utf-8")` makes text of them.

    Example:
        >>> unescape("'a' 'b'")
        b'ab'
    """
    return b"".join(unescape_each(raw))


def unescape_each(raw: str) -> list[bytes]:
    """Return the same of each literal by itself: an escape at the end of one does not go on in the next."""
    strings = (match for match in re.finditer(LITERAL_OR_BETWEEN, raw) if match[0][0] in "\"'")
    contents = [(match[1] or match[2] or "").encode("utf-8") for match in strings]
    return [re.sub(ESCAPE, _unescape_one, content) if b"\\" in content else content for content in contents]


def _unescape_one(match: Match[bytes]) -> bytes:
    octal, hexadecimal, code4, code8, character = match.groups()
    if octal:
        return bytes((int(octal, 8),))
    if hexadecimal:
        return bytes((int(hexadecimal, 16),))
    if code4 or code8:
        return chr(int(code4 or code8, 16)).encode("utf-8")
    return bytes((SIMPLE_ESCAPES.get(character[0], character[0]),))


def read_name(field: Field) -> str | None:
    """Return the text of a field that holds a name; None for what is not a string."""
    raw = field[1]
    if not isinstance(raw, str) or raw[0] not in "\"'":
        return None
    try:
        return unescape(raw).decode("utf-8")
    except UnicodeDecodeError:
        return None


def parse_bool(raw: str) -> bool | None:
    """Read `true True t`, `false False f`, and 1 or 0 as an unsigned integer in any base.

    Args:
        raw: The literal.

    Returns:
        The value, None for anything else.

    Example:
        >>> parse_bool("t"), parse_bool("0x1"), parse_bool("yes")
        (True, True, None)
    """
    value = BOOLS.get(raw)
    if (value is None and raw[0] == "0") or raw == "1":
        digits = raw.lstrip("0xX")  # "01", "0x1", "00": what is left is "1" or nothing
        value = {"1": True, "": False}.get(digits)
    return value


def parse_float(raw: str) -> float | None:
    """Read a decimal integer or float, `inf`, `infinity` or `nan`, as the nearest float32.

    The value is rounded to double and then to float32, as all official implementations do.

    Args:
        raw: The literal.

    Returns:
        The value, None for anything else.

    Example:
        >>> parse_float("1.5f"), parse_float("0x10")
        (1.5, None)
    """
    digits = raw.lstrip("-")
    if digits[:1] == "0" and digits[1:2].isalnum() and digits[1] not in "eEfF":  # octal or hexadecimal
        return None
    try:
        return round_float32(float(raw))
    except ValueError:  # no number, or one that Python writes otherwise
        pass
    if raw[0] == "-" and not raw[1].isalnum() and raw[1] != ".":  # blanks or comments behind the sign
        return parse_float("-" + re.sub(BLANK_OR_COMMENT, "", raw[1:]))
    if raw[-1] in "fF" and re.match("[0-9.]", raw[-2:-1]):  # a suffix, not the end of "inf"
        return parse_float(raw[:-1])
    return None


def round_float32(value: float) -> float:
    """Return the shortest decimal that stands for the float32 nearest to a number.

    Args:
        value: The number.

    Returns:
        The decimal, as a Python float.

    Example:
        >>> round_float32(0.7), round_float32(0.123456789), round_float32(0.99999999), round_float32(1e39)
        (0.7, 0.12345679, 1.0, inf)
    """
    usual = 1e-30 < abs(value) < 1e30
    if usual and float("%.6g" % value) == value:
        return value  # six digits always survive float32
    from struct import pack, unpack  # seldom needed, and slow to import

    try:
        packed = pack("f", value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
    nearest: float = unpack("f", packed)[0]
    for digits in range(6 if usual else 1, 10):
        for shortest in list_candidates(nearest, digits):
            if abs(shortest) <= LARGEST and pack("f", shortest) == packed:
                return shortest
    return nearest  # not a number, an infinity


def list_candidates(value: float, digits: int) -> tuple[float, ...]:
    """Return the decimals of some digits that could stand for a float32: the nearest one, for a power of two one more.

    Below a power of two the float32s are twice as dense, so that the shortest decimal in its range may be the one
    above that is not the nearest.
    """
    text = "%.*e" % (digits - 1, value)
    if "x1.0000000000000p" not in value.hex():
        return (float(text),)
    mantissa, exponent = text.replace(".", "").split("e")
    above = int(mantissa) + (1 if value > 0 else -1)
    return float(text), float("%de%d" % (above, int(exponent) - (digits - 1)))
