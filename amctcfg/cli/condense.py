# SPDX-License-Identifier: Apache-2.0
"""The command condense: the shortest configuration for a JSON quantization config."""

from __future__ import annotations

from argparse import Namespace

from ..checks.checking import check
from ..documents.document import dumps
from ..tools.condensing import condense
from .arguments import FLAVOUR, GRAPH, OUTPUT, STRICT, option
from .console import Console, Failure
from .opening import make_head_line, open_workspace

OPTIONS = (
    option("json JSON", "the JSON, possibly edited; - is standard input"),
    GRAPH,
    FLAVOUR,
    OUTPUT,
    STRICT,
)

# Warnings about what the JSON says: layers that are not quantized keep parameters, and a block says all that it needs.
EXPECTED_WARNINGS = ("partial-override", "skipped-override")


def run(arguments: Namespace, console: Console) -> None:
    if arguments.graph is None:
        raise Failure("a model is needed: --graph G")
    file = open_workspace(arguments, console).open(arguments.json, is_json=True)
    file.require_layout()
    config = condense(file.contents, file.layers or (), file.name, flavour=file.flavour)
    text = dumps(config)
    found = {diagnostic.code for diagnostic in check(text, layers=file.layers or (), flavour=file.flavour)}
    ignored = [code for code in EXPECTED_WARNINGS if code in found]
    head = make_head_line(arguments.graph, file.flavour.name, arguments.output, ignored)
    console.write_output(head + text, arguments.output)
