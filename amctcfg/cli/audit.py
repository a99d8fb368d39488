# SPDX-License-Identifier: Apache-2.0
"""The command audit: what the toolkit did, compared with what a configuration asks."""

from __future__ import annotations

from argparse import Namespace
from typing import Sequence

from ..diagnostics.diagnostic import ConfigError
from ..diagnostics.words import format_value, pluralize, quote_name
from ..tools.auditing import Finding, audit, count_invisible, read_record
from .arguments import CFG, READING, formats, option
from .console import EXIT_FINDINGS, EXIT_OK, Console, Failure
from .opening import open_workspace
from .reports import make_origin_row, write_json

OPTIONS = (
    CFG,
    *READING,
    option("--config JSON", "the toolkit's JSON quantization config", dest="json"),
    option("--record TXT", "the toolkit's record file"),
    formats("text", "json"),
)


def run(arguments: Namespace, console: Console) -> int:
    if arguments.json is None and arguments.record is None:
        raise Failure("say what to compare with: --config JSON, --record TXT, or both")
    file = open_workspace(arguments, console).open(arguments.config, needs_model=True)
    plan = file.plan
    if arguments.json is not None:
        file.require_layout()
    json, json_name = (None, "") if arguments.json is None else console.read(arguments.json)
    record, record_name = (None, "") if arguments.record is None else console.read(arguments.record)
    try:
        findings = audit(plan, json, record)
    except ConfigError as error:
        name = json_name if error.diagnostics[0].name == "<json>" else record_name
        named = ConfigError([d._replace(name=name) for d in error.diagnostics], error.text)
        raise Failure("can't use {}".format(name), str(named)) from None
    unseen = {} if record is None else count_invisible(plan, read_record(record))
    if arguments.format == "json":
        rows = [dict(vars(finding), origin=make_origin_row(finding.origin, file.name)) for finding in findings]
        console.write_result(write_json(file=file.name, findings=rows, not_visible=unseen))
    else:
        console.write_lines(audit_lines(findings, unseen, file.name))
    return EXIT_FINDINGS if findings else EXIT_OK


def audit_lines(findings: Sequence[Finding], unseen: dict[str, int], file: str) -> list[str]:
    """Write findings: `'conv1': channel_wise expected true (common_config, quant.cfg:3:5), found false`"""
    lines = []
    for finding in findings:
        place: str = finding.origin.tier
        if finding.origin.span is not None:
            place = "{}, {}:{}:{}".format(place, file, *finding.origin.span[:2])
        who = "global" if finding.layer is None else quote_name(finding.layer)
        done, asked = format_value(finding.done), format_value(finding.asked)
        name = finding.field.rpartition(".")[2]
        lines.append("{}: {} expected {} ({}), found {}".format(who, name, asked, place, done))
    lines += ["not visible in the record: {} of {}".format(f, pluralize(n, "layer")) for f, n in unseen.items()]
    found = "{} found".format(pluralize(len(findings), "difference"))
    return [*lines, found if findings else "what was done is what was asked for"]
