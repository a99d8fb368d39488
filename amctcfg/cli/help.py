# SPDX-License-Identifier: Apache-2.0
"""The command help."""

from __future__ import annotations

from argparse import Namespace

from .arguments import help_text, option, parser_of, require_command
from .console import Console

OPTIONS = (option("command_name COMMAND", nargs="?"),)


def run(arguments: Namespace, console: Console) -> None:
    name = arguments.command_name
    if name is None:
        console.result(help_text())
    else:
        require_command(name)
        parser_of(name, console).print_help()
