# SPDX-License-Identifier: Apache-2.0
"""The command suggest: skip the sensitive layers of a model."""

from __future__ import annotations

from argparse import Namespace
from fnmatch import fnmatchcase
from typing import Iterable

from ..diagnostics.diagnostic import ERROR
from ..diagnostics.words import dump_json, join_words, pluralize, quote_name
from ..documents.selections import TERMS, parse_expression, select, write_expression
from ..workspace.file import ConfigFile, as_text
from .arguments import CFG, IN_PLACE, OUTPUT, READING, SENSITIVITY, option
from .console import EXIT_FINDINGS, EXIT_OK, Console, Failure, check_neutral, check_separable
from .opening import check_in_place, open_workspace, read_scores, require_tuning, write_changed

OPTIONS = (
    CFG,
    *READING,
    *SENSITIVITY,
    option("--worst N", "the N most sensitive layers", type=int),
    option("--below X", "layers with a score below X", type=float),
    option("--above X", "layers with a score above X", type=float),
    option("--skip GLOB", "layers whose name matches", action="append", default=[]),
    option("--where EXPR", "layers that fulfil all of: " + TERMS.replace("%", "%%"), action="append", default=[]),
    option("--log FILE", "layers that a log of the toolkit or ATC names", action="append", default=[]),
    option("--reason TEXT", "why, as a comment behind each layer"),
    OUTPUT,
    IN_PLACE,
    option("--format", "only the layers: a line each, or a list", choices=["names", "python", "json"]),
)


# What keeps a layer from being skipped; nothing, where it is usable.
UNKNOWN = "{} not in the model (fusion renames nodes)"
UNSUPPORTED = "can't be quantized"
ALREADY = "{} already skipped"
USABLE = ""


def classify(names: Iterable[str], where: str, file: ConfigFile, console: Console) -> dict[str, list[str]]:
    """Sort names by what keeps these layers from being skipped, and say what does."""
    plan, known = file.plan, {layer.name for layer in file.layers or ()}
    found: dict[str, list[str]] = {UNKNOWN: [], UNSUPPORTED: [], ALREADY: [], USABLE: []}
    for name in names:
        if name not in known:
            found[UNKNOWN].append(name)
        elif name not in plan:
            found[UNSUPPORTED].append(name)
        else:
            found[USABLE if plan[name].quant_enable else ALREADY].append(name)
    for reason, some in found.items():
        if reason and some:
            words = reason.format("is" if len(some) == 1 else "are")
            quoted = join_words(list(map(quote_name, some)), "and")
            console.note("{} of {} {}: {}".format(len(some), where, words, quoted))
    return found


def run(arguments: Namespace, console: Console) -> int:
    check_usage(arguments)
    file = open_workspace(arguments, console).open(arguments.config, needs_model=True)
    file.require_text()
    selections = select_where(arguments, console, file)
    chosen = choose(arguments, console, file)
    selected = {name for names in selections.values() for name in names}
    in_order = [layer.name for layer in file.layers or () if layer.name in selected]
    found = classify(dict.fromkeys([*chosen, *in_order]), "these layers", file, console)
    usable = found[USABLE]
    if arguments.format:
        console.write_output(write_names([*usable, *found[ALREADY]], arguments.format), arguments.output)
        return EXIT_OK
    text = with_selections(file, {name: chosen[name] for name in usable if name in chosen}, selections, arguments)
    result = file.workspace.open_text(text, file.name)
    errors = [diagnostic for diagnostic in result.check() if diagnostic.severity == ERROR]
    if errors:
        console.write_diagnostics(errors, text)
        return EXIT_FINDINGS
    before, after = (set(one.document.config.skip_layers) for one in (file, result))
    console.note("added {} to skip_layers".format(pluralize(len(after - before), "layer")))
    write_changed(text, file, arguments, console)
    return EXIT_OK


def check_usage(arguments: Namespace) -> None:
    ways = [way for way in (arguments.worst, arguments.below, arguments.above) if way is not None]
    if len(ways) > 1:
        raise Failure("--worst, --below and --above exclude each other")
    if bool(ways) != bool(arguments.scores) or not (ways or arguments.skip or arguments.where or arguments.log):
        raise Failure(
            "say which layers: --scores R with --worst N, --below X or --above X; --skip GLOB; --where EXPR; or --log FILE"
        )
    if arguments.worst is not None and arguments.worst < 0:
        raise Failure("--worst takes a number of layers, not {}".format(arguments.worst))
    check_in_place(arguments)
    if arguments.in_place and arguments.format:
        raise Failure("--format prints the layers instead of the file; leave out -i")


def choose(arguments: Namespace, console: Console, file: ConfigFile) -> dict[str, str | None]:
    chosen: dict[str, str | None] = dict(by_score(arguments, console, file)) if arguments.scores else {}
    for glob in arguments.skip:
        matching = [name for name in file.plan if fnmatchcase(name, glob)]
        if not matching:
            console.note("no layer that can be quantized matches {}".format(quote_name(glob)))
        chosen.update((name, chosen.get(name)) for name in matching)
    for path in arguments.log:
        chosen.update((name, chosen.get(name)) for name in by_log(path, console, file))
    return chosen


def select_where(arguments: Namespace, console: Console, file: ConfigFile) -> dict[str, list[str]]:
    found = {}
    for text in arguments.where:
        try:
            terms = parse_expression(text)
            names = select(terms, file.layers or (), file.flavour)
        except ValueError as error:
            raise Failure("--where {}: {}".format(text, error)) from None
        if not names:
            console.note("no layer that can be quantized fulfils {}".format(text))
        found[write_expression(terms)] = names
    return found


def by_log(path: str, console: Console, file: ConfigFile) -> list[str]:
    """Return the layers that a log names as failing, and say what else it has."""
    from ..tools.logs import read_log

    contents, name = console.read(path)
    found = read_log(as_text(contents), file.layers or (), file.flavour)
    for unknown in found.unknown:
        console.note("{} in {} is not a layer of the model".format(quote_name(unknown), name))
    for words in found.nameless:
        console.note("{} says '{}' without naming the layer; `amctcfg simulate` finds it".format(name, words))
    if not any(found):
        console.note("{} names no layer that failed".format(name))
    return found.layers


def with_selections(
    file: ConfigFile, chosen: dict[str, str | None], selections: dict[str, list[str]], arguments: Namespace
) -> str:
    from ..tools.edits import skip, skip_where

    reason = arguments.reason
    comments = {name: score or reason for name, score in chosen.items() if score or reason}
    if reason:
        comments.update((name, "{} ({})".format(reason, score)) for name, score in chosen.items() if score)
    text = skip(file.document.text, chosen, comments, flavour=file.flavour)
    for expression, names in selections.items():
        text = skip_where(text, expression, names, dict.fromkeys(names, reason) if reason else None)
    return text


def write_names(names: list[str], form: str) -> str:
    if form == "names":
        for line_break in "\r\n":
            check_separable(names, line_break, "--format names", "--format json")
        return check_neutral("".join(name + "\n" for name in names), "names")
    return (repr(names) if form == "python" else dump_json(names)) + "\n"


def by_score(arguments: Namespace, console: Console, file: ConfigFile) -> dict[str, str | None]:
    """Return the layers that the scores choose, the most sensitive first, each with its score."""
    scores = read_scores(arguments, console, needs_direction=arguments.worst is not None)
    if arguments.worst is not None:
        order = require_tuning().scores.rank(scores)
        known = [name for name in order if name in file.plan][: arguments.worst]
        chosen = order[: order.index(known[-1]) + 1] if known else []
    elif arguments.below is not None:
        chosen = sorted((name for name in scores if scores[name] < arguments.below), key=scores.__getitem__)
    else:
        chosen = sorted((name for name in scores if scores[name] > arguments.above), key=lambda name: -scores[name])
    return {name: "{:.4g}".format(scores[name]) for name in chosen}
