# SPDX-License-Identifier: Apache-2.0
"""The command condense: the shortest configuration for a JSON quantization config."""

from __future__ import annotations

from typing import Any

from .arguments import FLAVOUR, GRAPH, OUTPUT, STRICT, option, plain
from .console import EXIT_OK, Console, Failure
from .opening import open_workspace

OPTIONS = (
    option("json", metavar="JSON", type=plain, help="the JSON, possibly edited; - is standard input"),
    GRAPH,
    FLAVOUR,
    OUTPUT,
    STRICT,
)


def run(arguments: Any, console: Console) -> int:
    from ..documents.document import dumps
    from ..tools.condensing import condense

    if arguments.graph is None:
        raise Failure("a model is needed: --graph G")
    file = open_workspace(arguments, console).open_json(arguments.json)
    config = condense(file.contents, file.layers or (), file.name, file.flavour)
    console.output(dumps(config), arguments.output, (arguments.json, arguments.graph))
    return EXIT_OK
