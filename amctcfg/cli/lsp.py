# SPDX-License-Identifier: Apache-2.0
"""The command lsp: the door to the language server."""

from __future__ import annotations

import os
import sys
from argparse import Namespace

from .console import Console, Failure

OPTIONS = ()


def run(arguments: Namespace, console: Console) -> int:
    try:
        from ..editor.server import serve
    except ImportError:
        raise Failure("this copy of amctcfg is without its folder 'editor', which the language server needs") from None
    if console.stdin is None or sys.stdin is None:
        raise Failure("standard input is closed")
    if hasattr(os, "set_blocking"):
        os.set_blocking(sys.stdout.fileno(), True)  # else a frame that the client is slow to read is cut
    # Unbuffered, as a thread waits in it when the interpreter ends; a buffer's lock would be in the way.
    with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as stdin:
        return serve(stdin, sys.stdout.buffer)
