# SPDX-License-Identifier: Apache-2.0
"""The command expand: the JSON quantization config."""

from __future__ import annotations

from typing import Any

from .arguments import CFG, OUTPUT, READING
from .console import EXIT_OK, Console, Failure, verdict
from .opening import open_workspace

OPTIONS = (CFG, OUTPUT, *READING)


def run(arguments: Any, console: Console) -> int:
    job = open_workspace(arguments, console).open(arguments.config, needs_model=True)
    if job.flavour.layout is None:
        raise Failure("the toolkit of {} writes no JSON quantization config".format(job.flavour.name))
    plan = job.plan
    warnings = job.without_ignored(plan.warnings)
    console.diagnostics(warnings, job.text)
    status = verdict(warnings, arguments)
    if status == EXIT_OK:
        console.output(plan.to_json() + "\n", arguments.output, (arguments.config, job.model and job.model.path))
    return status
