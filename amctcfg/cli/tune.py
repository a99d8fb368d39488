# SPDX-License-Identifier: Apache-2.0
"""The command tune: the cheapest setting for each layer that hurts, found by simulation and written into the file."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import Any

from ..diagnostics.words import drop_infinite, join_words, pluralize
from .arguments import CFG, IN_PLACE, OUTPUT, READING, formats, option, read_finite_number
from .console import EXIT_FINDINGS, EXIT_OK, Console, ProgressBar
from .opening import check_in_place, open_workspace, write_changed
from .reports import align, write_json
from .simulate import DATA, JOBS, MEMORY_LIMIT, files_of, format_decibels, simulating

CHANGE_KINDS = ("settings", "balancer", "int16", "skip")


def read_kinds(argument: str) -> list[str]:
    found = argument.split(",")
    for kind in found:
        if kind not in CHANGE_KINDS:
            raise argparse.ArgumentTypeError("'{}' is not one of {}".format(kind, join_words(CHANGE_KINDS, "and")))
    return found


OPTIONS = (
    CFG,
    *READING,
    DATA,
    option("--check F", "data that calibrates nothing, on which everything is measured", nargs="+"),
    option("--target DB", "the dB of the model's output that are enough", type=read_finite_number),
    option(
        "--allow KIND,…",
        "settings, balancer, int16, skip; default: settings,balancer and, with --target, int16",
        type=read_kinds,
    ),
    IN_PLACE,
    OUTPUT,
    formats("text", "json"),
    JOBS,
    MEMORY_LIMIT,
)


def run(arguments: argparse.Namespace, console: Console) -> int:
    check_in_place(arguments)
    file = open_workspace(arguments, console).open(arguments.config, needs_model=True)
    file.require_text()
    path, document = file.require_model().path, file.document
    with simulating() as simulation, closing(ProgressBar(console)) as bar:
        console.inputs += simulation.network.list_weight_files(path)
        console.inputs += files_of([*arguments.data, *(arguments.check or ())])
        if arguments.output:
            console.check_target(arguments.output)
        batches = simulation.load_batches(arguments.data, path)
        check = None if arguments.check is None else simulation.load_batches(arguments.check, path)
        goal = (arguments.target, check, arguments.allow, file.rules)
        tuned = simulation.tune(document, path, batches, *goal, bar, arguments.memory, arguments.jobs)
    console.note(*to_table(tuned), *tuned.notes)
    if not tuned.reached:
        words = "the target of {:g} dB was not reached; this is the best that was found"
        console.note(words.format(arguments.target))
    if arguments.format == "json":
        console.write_result(to_json(tuned, file.name, path))
    if arguments.in_place or arguments.output or arguments.format != "json":
        write_changed(tuned.text, file, arguments, console)
    return EXIT_OK if tuned.reached else EXIT_FINDINGS


def to_table(tuned: Any) -> list[str]:
    head = "the model's output: {} before, {} after".format(format_decibels(tuned.before), format_decibels(tuned.after))
    if not tuned.changes:
        return [head.partition(" before")[0] + "; no change"]
    rows = [["layer", "kind", "without", "setting"]]
    rows += [[change.layer, change.kind, format_decibels(change.without), change.setting] for change in tuned.changes]
    return [*align(rows), "{}, {}".format(pluralize(len(tuned.changes), "change"), head)]


def to_json(tuned: Any, name: str, model: str) -> str:
    return write_json(
        file=name,
        model=model,
        before=drop_infinite(tuned.before),
        after=drop_infinite(tuned.after),
        reached=tuned.reached,
        changes=[dict(change._asdict(), without=drop_infinite(change.without)) for change in tuned.changes],
        left=[{"layer": layer, "output": drop_infinite(value)} for layer, value in tuned.left],
        notes=list(tuned.notes),
    )
