# SPDX-License-Identifier: Apache-2.0
"""The command expand: the JSON quantization config."""

from __future__ import annotations

from argparse import Namespace

from .arguments import CFG, OUTPUT, READING
from .console import EXIT_OK, Console, find_status
from .opening import open_workspace

OPTIONS = (CFG, OUTPUT, *READING)


def run(arguments: Namespace, console: Console) -> int:
    file = open_workspace(arguments, console).open(arguments.config, needs_model=True)
    file.require_layout()
    plan = file.plan
    warnings = file.without_ignored(plan.warnings)
    console.write_diagnostics(warnings, file.text)
    status = find_status(warnings, arguments)
    if status == EXIT_OK:
        console.write_output(plan.to_json() + "\n", arguments.output)
    return status
