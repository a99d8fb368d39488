# SPDX-License-Identifier: Apache-2.0
"""The command help."""

from __future__ import annotations

from argparse import Namespace

from ..diagnostics.suggestions import did_you_mean, nearest
from .arguments import COMMANDS, help_text, option, parser_of, strip_mark
from .console import EXIT_OK, Console, Failure

OPTIONS = (option("command_name", nargs="?", metavar="COMMAND", type=strip_mark),)


def run(arguments: Namespace, console: Console) -> int:
    name = arguments.command_name
    if name is None:
        console.result(help_text())
    elif name in COMMANDS:
        parser_of(name, console).print_help()
    else:
        hint = did_you_mean(nearest(name, COMMANDS)) or "`amctcfg help` lists the commands"
        raise Failure("there is no command '{}'; {}".format(name, hint))
    return EXIT_OK
