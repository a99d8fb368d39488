# SPDX-License-Identifier: Apache-2.0
"""The command lsp: the door to the language server."""

from __future__ import annotations

import os
import sys
from argparse import Namespace

from .console import Console, Failure
from .opening import importing

OPTIONS = ()


def run(arguments: Namespace, console: Console) -> int:
    with importing("editor", "the language server"):
        from ..editor.server import serve
    if console.stdin is None or sys.stdin is None:
        raise Failure("standard input is closed")
    if hasattr(os, "set_blocking"):
        os.set_blocking(sys.stdout.fileno(), True)  # else a frame that the client is slow to read is cut
    # Unbuffered, as a thread waits in it when the interpreter ends; a buffer's lock would be in the way.
    with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as stdin:
        return serve(stdin, sys.stdout.buffer)
