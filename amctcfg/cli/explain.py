# SPDX-License-Identifier: Apache-2.0
"""The command explain: where each value of a layer comes from."""

from __future__ import annotations

from argparse import Namespace
from fnmatch import fnmatchcase
from typing import Collection

from ..checks.context import index_names
from ..diagnostics.suggestions import did_you_mean
from ..diagnostics.words import escape_controls, quote_names
from ..flavours.flavour import Flavour
from ..flavours.layer import Layer
from ..models.graphs import Examined
from ..tools.explaining import Explanation
from ..workspace.workspace import Model
from .arguments import CFG, READING, flag, formats, option
from .console import Console, Failure, find_status
from .opening import open_workspace, show_errors
from .reports import write_json

OPTIONS = (
    CFG,
    option("layers LAYER", "a name, the end of a path, or a pattern with *", nargs="*"),
    flag("--all", "every layer that can be quantized"),
    option("--type T", "the layers' type, where no graph is given"),
    formats("text", "json"),
    *READING,
)


def run(arguments: Namespace, console: Console) -> int:
    file = open_workspace(arguments, console).open(arguments.config)
    if file.model is None:
        if not arguments.type or arguments.all or not arguments.layers:
            raise Failure("explain needs --graph, or the names of layers and their --type")
        chosen = [Examined(Layer(name, arguments.type), None) for name in arguments.layers]
    else:
        chosen = choose_layers(file.model, arguments, file.flavour)
    if file.is_json:
        plan = file.plan
        explained = [Explanation(None, plan[e.layer.name], name=file.name) for e in chosen if e.layer.name in plan]
    else:
        resolver = file.resolver
        explained = [Explanation(resolver, resolver.merge(e.layer), e.reason or "") for e in chosen]
    found = [] if file.model is None else show_errors(file, arguments, console)
    if arguments.format == "json":
        console.write_result(write_json(file=file.name, layers=[one.to_dict() for one in explained]))
    else:
        console.write_result("\n".join(one.write_text() for one in explained))
    return find_status(found, arguments)


def choose_layers(model: Model, arguments: Namespace, flavour: Flavour) -> list[Examined]:
    """Find the layers meant; all words that mean none are reported."""
    if arguments.type:
        raise Failure("--type is for layers without a graph; leave it out, the graph has their types")
    if arguments.all and arguments.layers:
        raise Failure("give the names of layers or --all, not both")
    if arguments.all:
        return [e for e in model.examined if flavour.quantizes(e.layer)]
    if not arguments.layers:
        raise Failure("explain needs the names of layers, or --all")
    by_name = {e.layer.name: e for e in model.examined}
    found = {word: [word] if word in by_name else find_matches(word, by_name) for word in arguments.layers}
    unknown = [word for word in arguments.layers if not found[word]]
    if unknown:
        index, lines = index_names(model.layers, flavour), []
        for word in unknown:
            hint = did_you_mean(index.find_nearest(word))
            lines.append("{} has no layer '{}'{}".format(model.path, word, "; " + hint if hint else ""))
        raise Failure(lines[0], "\n".join("amctcfg: " + escape_controls(line) for line in lines[1:]))
    return [by_name[name] for name in dict.fromkeys(name for names in found.values() for name in names)]


def find_matches(word: str, names: Collection[str]) -> list[str]:
    """Find the name with this end of its path, or those that match a pattern."""
    ends = [name for name in names if name.endswith(("/" + word, "." + word))]
    if len(ends) > 1:
        raise Failure("'{}' is the end of several names: {}".format(word, quote_names(ends, 5)))
    return ends or [name for name in names if fnmatchcase(name, word)]
