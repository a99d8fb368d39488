# SPDX-License-Identifier: Apache-2.0
"""Bytes to text: text format is UTF-8."""

from __future__ import annotations

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without the import
if TYPE_CHECKING:
    from typing import Union

    from ..diagnostics.diagnostic import ConfigError

__all__ = ["decode"]


def decode(text: Union[str, bytes], name: str) -> str:
    """The text, checked to be UTF-8 (a `str`: to be free of lone surrogates). Raises `ConfigError`, code `encoding`."""
    if isinstance(text, str):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            code = ord(text[error.start])
            raise encoding_error(text[: error.start], "U+{:04X} is half a character (a surrogate)".format(code), name)
        return text
    if not isinstance(text, (bytes, bytearray, memoryview)):
        raise TypeError("text has to be str or bytes, not {}".format(type(text).__name__))
    data = bytes(text)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        message = "byte 0x{:02X} is not UTF-8".format(data[error.start])
        raise encoding_error(data[: error.start].decode("utf-8"), message, name)


def encoding_error(before: str, message: str, name: str) -> ConfigError:
    from ..diagnostics.diagnostic import ERROR, ConfigError, Diagnostic  # only where there is an error
    from ..diagnostics.source import Source

    span = Source(before, name).span(len(before), len(before))
    span = span._replace(end_column=span.end_column + 1)
    return ConfigError([Diagnostic(ERROR, "encoding", message, span, None, "save the file as UTF-8", name)])
