# SPDX-License-Identifier: Apache-2.0
"""The command condense: the shortest configuration for a JSON quantization config."""

from __future__ import annotations

from typing import Any

from .arguments import FLAVOUR, GRAPH, OUTPUT, STRICT, option, plain
from .console import EXIT_OK, Console, Failure, as_text
from .job import AUTO, Jobs, detected, flavour_by_name

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
    jobs = Jobs(arguments, console)
    text, name = console.read(arguments.json)
    plain = as_text(text)
    wanted = arguments.flavour
    if wanted in (None, AUTO):
        flavour, why = detected(plain, name, arguments.graph, jobs, True)
        if flavour.name != "tf-ascend":
            jobs.note("{} is read as {}: {}".format(name, flavour.name, why))
    else:
        flavour = flavour_by_name(wanted)
    layers = jobs.model(arguments.graph, flavour).layers
    config = condense(text, layers, name, flavour)
    console.output(dumps(config), arguments.output, (arguments.json, arguments.graph))
    return EXIT_OK
