# SPDX-License-Identifier: Apache-2.0
"""Frames of JSON-RPC on two streams, and the errors that the protocol has."""

from __future__ import annotations

import json
from typing import IO, Any

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND = -32700, -32600, -32601
INVALID_PARAMS, INTERNAL_ERROR, NOT_INITIALIZED = -32602, -32603, -32002
REQUEST_CANCELLED, REQUEST_FAILED = -32800, -32803

LONGEST_HEADER = 8192  # bytes
LARGEST_BODY = 1 << 28  # bytes

END_OF_INPUT = object()  # what is read at the end of the input


class ResponseError(Exception):
    """The answer to a message that has no result: a code, and words."""


def read_frame(stream: IO[bytes]) -> Any:
    """Read the body of the next frame, `END_OF_INPUT` at the end of the input.

    Raises `ResponseError` for one that is not JSON; `ValueError` for a broken header, behind which nobody knows where the next
    frame begins.
    """
    length = LARGEST_BODY + 1
    while True:
        line = stream.readline(LONGEST_HEADER)
        if not line:
            return END_OF_INPUT
        name, colon, value = line.strip().partition(b":")
        if not line.endswith(b"\n") or (name and not colon):
            raise ValueError(repr(line[:80]))
        if not colon:
            break
        if name.strip().lower() == b"content-length":
            if not value.strip().isdigit():
                raise ValueError(repr(line[:80]))
            length = int(value)
    if length > LARGEST_BODY:
        raise ValueError("no Content-Length")
    body = b""
    while len(body) < length:  # a pipe gives what it has
        more = stream.read(length - len(body))
        if not more:
            return END_OF_INPUT
        body += more
    try:
        return json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ResponseError(PARSE_ERROR, "the body is not JSON: {}".format(error)) from None


def write_frame(stream: IO[bytes], message: dict[str, Any]) -> None:
    body = json.dumps({"jsonrpc": "2.0", **message}, separators=(",", ":")).encode("ascii", "replace")
    stream.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    stream.flush()
