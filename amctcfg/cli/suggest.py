# SPDX-License-Identifier: Apache-2.0
"""The command suggest: skip the sensitive layers of a model."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, Dict, List, NamedTuple, Optional

from ..diagnostics.diagnostic import ERROR
from ..diagnostics.words import join_words, quote_name
from ..documents.files import write
from ..workspace.file import ConfigFile
from .arguments import CFG, OUTPUT, READING, SENSITIVITY, option
from .console import EXIT_FINDINGS, EXIT_OK, Console, Failure
from .opening import open_workspace
from .scoring import read_scores, require_direction, require_tuning

OPTIONS = (
    CFG,
    *READING,
    *SENSITIVITY,
    option("--worst", metavar="N", type=int, help="the N most sensitive layers"),
    option("--below", metavar="X", type=float, help="layers with a score below X"),
    option("--above", metavar="X", type=float, help="layers with a score above X"),
    option("--skip", metavar="GLOB", action="append", default=[], help="layers whose name matches"),
    OUTPUT,
    option("-i", "--in-place", action="store_true", help="change the file itself"),
)


class Selection(NamedTuple):
    """What becomes of the names in a file of scores: those that could be skipped, and the others by reason."""

    usable: List[str]
    already: List[str]
    unknown: List[str]
    unsupported: List[str]

    def notes(self, where: str) -> List[str]:
        rows = (
            (self.unknown, "are not in the model (fusion renames nodes)", "is not in the model (fusion renames nodes)"),
            (self.unsupported, "can't be quantized", "can't be quantized"),
            (self.already, "are skipped already", "is skipped already"),
        )
        found = []
        for names, many, one in rows:
            if names:
                lead = "1 layer" if len(names) == 1 else "{} layers".format(len(names))
                everything = join_words([quote_name(name) for name in names], "and")
                found.append("{} of {} {}: {}".format(lead, where, one if len(names) == 1 else many, everything))
        return found


def classify(names: List[str], job: ConfigFile) -> Selection:
    plan, known = job.plan, {layer.name for layer in job.layers or ()}
    found = Selection([], [], [], [])
    for name in names:
        if name not in known:
            found.unknown.append(name)
        elif name not in plan:
            found.unsupported.append(name)
        elif not plan[name].quant_enable:
            found.already.append(name)
        else:
            found.usable.append(name)
    return found


def run(arguments: Any, console: Console) -> int:
    from ..tools.edits import skip

    ways = [way for way in (arguments.worst, arguments.below, arguments.above) if way is not None]
    if len(ways) > 1:
        raise Failure("--worst, --below and --above exclude each other")
    if bool(ways) != bool(arguments.scores) or not (ways or arguments.skip):
        raise Failure("say which layers: --scores R with --worst N, --below X or --above X; or --skip GLOB")
    if arguments.worst is not None and arguments.worst < 0:
        raise Failure("--worst takes a number of layers, not {}".format(arguments.worst))
    if arguments.in_place and (arguments.output or arguments.config == "-"):
        raise Failure("-i changes the file itself; leave it out with -o and for standard input")
    job = open_workspace(arguments, console).open(arguments.config, needs_model=True)
    if job.is_json:
        raise Failure("{} is JSON; `amctcfg condense` makes a configuration of it first".format(job.name))
    document = job.document
    chosen: Dict[str, Optional[str]] = {}
    if ways:
        chosen.update(by_score(arguments, console, job))
    for glob in arguments.skip:
        matching = [name for name in job.plan if fnmatchcase(name, glob)]
        if not matching:
            console.note("no layer that can be quantized matches {}".format(quote_name(glob)))
        chosen.update((name, chosen.get(name)) for name in matching)
    names = classify(list(chosen), job)
    comments = {name: comment for name, comment in chosen.items() if comment}
    text = skip(document.text, names.usable, comments, flavour=job.flavour)
    for note in names.notes("these"):
        console.note(note)
    console.note(
        "{} added to skip_layers".format(
            "1 layer is" if len(names.usable) == 1 else "{} layers are".format(len(names.usable))
        )
    )
    result = job.workspace.file(text, job.name)
    errors = [diagnostic for diagnostic in result.check() if diagnostic.severity == ERROR]
    if errors:
        console.diagnostics(errors, text)
        return EXIT_FINDINGS
    if arguments.in_place:
        if text != document.text:
            write(text, arguments.config, before=document.text.encode("utf-8"))
        return EXIT_OK
    inputs = (arguments.config, arguments.scores, job.model and job.model.path)
    console.output(text, arguments.output, inputs)
    return EXIT_OK


def by_score(arguments: Any, console: Console, job: ConfigFile) -> Dict[str, Optional[str]]:
    """The layers that the scores choose, the most sensitive first, each with its score as a comment."""
    scores = read_scores(arguments, console)
    plan = job.plan
    if arguments.worst is not None:
        order = require_tuning(console).scores.ranked(require_direction(scores, arguments))
        known = [name for name in order if name in plan]
        cut = known[: arguments.worst]
        chosen = order[: order.index(cut[-1]) + 1] if cut else []
    elif arguments.below is not None:
        chosen = sorted((name for name in scores if scores[name] < arguments.below), key=scores.__getitem__)
    else:
        chosen = sorted((name for name in scores if scores[name] > arguments.above), key=lambda name: -scores[name])
    return {name: "{:.4g}".format(scores[name]) for name in chosen}
