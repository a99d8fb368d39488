# SPDX-License-Identifier: Apache-2.0
"""The command help."""

from __future__ import annotations

from argparse import Namespace

from .arguments import option, parser_of, require_command, write_help
from .console import Console

OPTIONS = (option("command_name COMMAND", nargs="?"),)


def run(arguments: Namespace, console: Console) -> None:
    name = arguments.command_name
    if name is None:
        console.write_result(write_help())
    else:
        require_command(name)
        parser_of(name, console).print_help()
