# SPDX-License-Identifier: Apache-2.0
"""The command fmt: format configurations in place."""

from __future__ import annotations

from argparse import Namespace

from ..diagnostics.diagnostic import ConfigError
from ..documents.files import write
from ..workspace.workspace import as_text
from .arguments import CFGS, READING, option
from .console import EXIT_FAILURE, EXIT_FINDINGS, EXIT_OK, Console, Failure, verdict
from .opening import open_workspace

OPTIONS = (
    CFGS,
    option("--check", action="store_true", help="write nothing; exit with 1 if a file would change"),
    option("--diff", action="store_true", help="write nothing; show what would change, and exit with 1 if any"),
    *READING,
)


def run(arguments: Namespace, console: Console) -> int:
    from ..tools.formatting import format as format_text

    status = EXIT_OK
    for path in arguments.configs:
        try:
            text, name = console.read(path)
        except Failure as failure:  # the other files may be fine
            console.failure(failure)
            status = EXIT_FAILURE
            continue
        before = as_text(text)
        try:
            after = format_text(text, name)
        except ConfigError as error:
            console.diagnostics(error.diagnostics, before)
            status = max(status, EXIT_FINDINGS)
            continue
        if arguments.strict_warnings:
            found = open_workspace(arguments, console).file(text, name).check()
            console.diagnostics(found, before)
            status = max(status, verdict(found, arguments))
        status = max(status, write_formatted(before, after, path, name, arguments, console))
    return status


def write_formatted(before: str, after: str, path: str, name: str, arguments: Namespace, console: Console) -> int:
    changed = after != before
    if arguments.diff and changed:
        console.difference(before, after, name, "formatted")
    if arguments.check or arguments.diff:
        if changed:
            console.note("would reformat {}".format(name))
        return EXIT_FINDINGS if changed else EXIT_OK
    if path == "-":
        console.result(after)
    elif changed:
        try:
            write(after, path, before=before.encode("utf-8"))
        except OSError as error:
            console.complain("can't write {}: {}".format(path, error.strerror or error))
            return EXIT_FAILURE
        console.note("reformatted {}".format(name))
    return EXIT_OK
