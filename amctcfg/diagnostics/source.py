# SPDX-License-Identifier: Apache-2.0
"""Text with a name: offsets to lines and columns, and bytes to text."""

from __future__ import annotations

import re

from .._typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .diagnostic import ConfigError


class Span(NamedTuple):
    """A stretch of text; lines and columns count from 1, columns in characters, and the end is exclusive.

    Attributes:
        line: The line of its first character.
        column: The column of its first character.
        end_line: The line of its end.
        end_column: The column behind its last character.
    """

    line: int
    column: int
    end_line: int
    end_column: int


class Source:
    """A text and the name that messages give it. Lines end at line feeds, as in an editor."""

    __slots__ = ("_line_starts", "name", "text")

    def __init__(self, text: str, name: str) -> None:
        self.text: str = text
        self.name: str = name
        self._line_starts: list[int] | None = None

    def span(self, start: int, end: int) -> Span:
        """Return the span between two offsets."""
        from bisect import bisect_right  # for places only: slow to import

        starts = self.find_line_starts()
        line = bisect_right(starts, start)
        end_line = line if end == start else bisect_right(starts, end)
        return Span(line, start - starts[line - 1] + 1, end_line, end - starts[end_line - 1] + 1)

    def offset(self, line: int, column: int) -> int:
        """Return the offset of a line and a column."""
        return self.find_line_starts()[line - 1] + column - 1

    def line(self, number: int, first: int, last: int) -> str:
        """Return the part of a line between two of its columns, counted from 0, without the line's end."""
        starts = self.find_line_starts()
        start = starts[number - 1]
        end = starts[number] - 1 if number < len(starts) else len(self.text)
        return self.text[start + first : min(end, start + last)].rstrip("\r")

    def find_line_starts(self) -> list[int]:
        """Return the offsets at which the lines begin."""
        if self._line_starts is None:
            self._line_starts = [0, *(match.end() for match in re.finditer("\n", self.text))]
        return self._line_starts


def decode(text: str | bytes, name: str) -> str:
    """Return the text, checked to be UTF-8 (a `str`: to be free of lone surrogates)."""
    if isinstance(text, str):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            message = "U+{:04X} is half a character (a surrogate)".format(ord(text[error.start]))
            raise make_encoding_error(text[: error.start], message, name)
        return text
    if not isinstance(text, (bytes, bytearray, memoryview)):
        raise TypeError("text has to be str or bytes, not {}".format(type(text).__name__))
    data = bytes(text)
    try:
        if data[:1] in BINARY or data[1:2] == b"\0":
            raise_binary(data, name)
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise_binary(data, name)
        message = "byte 0x{:02X} is not UTF-8".format(data[error.start])
        if re.match(GB_2312, data):
            message += "; the file seems to be in GBK"
        raise make_encoding_error(data[: error.start].decode("utf-8"), message, name)


# What files begin with that are not text, or are in another encoding; the usual one of text format never does.
BINARY = (b"\x08", b"\n", b"P", b"\0")
GB_2312 = rb"(?:[\x00-\x7f]|[\xa1-\xf7][\xa1-\xfe])+\Z"


def raise_binary(data: bytes, name: str) -> None:
    model = "a configuration names its model in its head: # amctcfg: graph=FILE"
    kinds = (
        (rb"\xff\xfe|\xfe\xff|(?:[\x01-\x7f]\x00){2}|(?:\x00[\x01-\x7f]){2}", "in UTF-16", "save the file as UTF-8"),
        (rb"\x08[\x01-\x1f](?:[\x12\x1a\x22\x32][\x00-\x7f]|[\x28\x3a\x42])", "an ONNX model", model),
        (rb"\n.{1,3}\n[\x01-\x7f]{1,2}[ -~]+\x12", "a TensorFlow graph", model),
        (rb"PK\x03\x04|\x80[\x02-\x05]", "saved by PyTorch, or a zip archive", "export the model as ONNX"),
        (rb"\x89HDF\r\n", "an HDF5 file, such as Keras saves", "export the model as a frozen graph"),
        (rb"\x1f\x8b", "a gzip archive", "unpack it"),
    )
    for pattern, what, hint in kinds:
        if re.match(pattern, data, re.DOTALL):
            raise make_encoding_error("", "this is {}, not a text file in UTF-8".format(what), name, hint)


def make_encoding_error(before: str, message: str, name: str, hint: str = "save the file as UTF-8") -> ConfigError:
    from .diagnostic import ConfigError

    span = Source(before, name).span(len(before), len(before) + 1)
    return ConfigError.single("encoding", message, name, hint, span)
