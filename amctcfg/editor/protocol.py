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


class NotJson(Exception):
    """The body of a frame is not JSON; the session goes on."""


class ResponseError(Exception):
    """The answer to a request that has no result."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code: int = code
        self.message: str = message


def read_frame(stream: IO[bytes]) -> Any:
    """Read the body of the next frame, `END_OF_INPUT` at the end of the input.

    Raises `NotJson`; `ValueError` for a broken header, behind which nobody knows where the next frame begins.
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
        raise NotJson(str(error)) from None


class FrameWriter:
    def __init__(self, stream: IO[bytes]) -> None:
        self.stream: IO[bytes] = stream

    def send(self, message: dict[str, Any]) -> None:
        body = json.dumps(dict({"jsonrpc": "2.0"}, **message), separators=(",", ":")).encode("ascii", "replace")
        self.stream.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.stream.flush()

    def result(self, identifier: Any, result: Any) -> None:
        self.send({"id": identifier, "result": result})

    def error(self, identifier: Any, code: int, message: str) -> None:
        self.send({"id": identifier, "error": {"code": code, "message": message}})

    def notify(self, method: str, params: Any) -> None:
        self.send({"method": method, "params": params})
