# SPDX-License-Identifier: Apache-2.0
"""The command fmt: format configurations in place."""

from __future__ import annotations

from argparse import Namespace

from ..diagnostics.diagnostic import ConfigError
from ..tools.formatting import format as format_text
from ..workspace.file import as_text
from .arguments import CFGS, READING, flag
from .console import EXIT_FAILURE, EXIT_FINDINGS, EXIT_OK, Console, Failure, find_status
from .opening import open_workspace, show_errors

OPTIONS = (
    CFGS,
    flag("--check", "write nothing; exit with 1 if a file would change"),
    flag("--diff", "write nothing; show what would change, and exit with 1 if any"),
    *READING,
)


def run(arguments: Namespace, console: Console) -> int:
    status = EXIT_OK
    for path in arguments.configs:
        try:
            status = max(status, format_file(path, arguments, console))
        except Failure as failure:  # the other files may be fine
            console.report_failure(failure)
            status = EXIT_FAILURE
    return status


def format_file(path: str, arguments: Namespace, console: Console) -> int:
    contents, name = console.read(path)
    before, status = as_text(contents), EXIT_OK
    try:
        after = format_text(contents, name)
    except ConfigError as error:
        console.write_diagnostics(error.diagnostics, before)
        return EXIT_FINDINGS
    if arguments.strict_warnings:
        file = open_workspace(arguments, console).open_text(contents, name)
        status = find_status(show_errors(file, arguments, console), arguments)
    is_dry = arguments.check or arguments.diff
    if path == "-" and not is_dry:
        console.write_result(after)
    elif after != before and is_dry:
        if arguments.diff:
            console.write_difference(before, after, name, "formatted")
        console.note("would reformat {}".format(name))
        status = EXIT_FINDINGS
    elif after != before:
        console.rewrite(path, before, after)
        console.note("reformatted {}".format(name))
    return status
