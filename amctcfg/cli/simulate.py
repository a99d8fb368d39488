# SPDX-License-Identifier: Apache-2.0
"""The command simulate: quantize a model in plain numpy and onnxruntime, and show what that does to each layer."""

from __future__ import annotations

import argparse
import math
import os
import re
from contextlib import closing, contextmanager
from typing import Any, Callable, Dict, Iterable, Iterator, List

from ..diagnostics.diagnostic import WARNING, Diagnostic
from ..diagnostics.words import drop_infinite, dump_json, pluralize, quote_name
from ..tools.tabulating import Measured, View
from ..workspace.file import ConfigFile
from .arguments import CFG, READING, formats, option
from .console import Console, Failure, ProgressBar, find_status, text_of
from .opening import importing
from .reports import align, write_csv, write_json
from .show import open_compared, to_html, view_plan, word_borders

Rows = List[Dict[str, Any]]

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def read_memory_size(argument: str) -> int:
    """Read a number of bytes: `512MB`, `1GB`, powers of 1024."""
    found = re.match(r"\A([0-9]+(?:\.[0-9]+)?) *([KMGT]?)i?B?\Z", argument, re.IGNORECASE)
    if found is None or not float(found[1]):
        raise argparse.ArgumentTypeError("'{}' is not a size of memory; write 512MB or 1GB".format(argument))
    return int(float(found[1]) * UNITS[found[2].upper()])


def count(argument: str) -> int:
    if not argument.isdecimal() or not int(argument):
        raise argparse.ArgumentTypeError("'{}' is not a number of at least 1".format(argument))
    return int(argument)


DATA = option("--data F", "calibration data: .npz, .npy, .bin, or folders of these", nargs="+", required=True)
MEMORY_LIMIT = option(
    "--memory SIZE",
    "how much of the activations is held at a time, such as 512MB; default: 1GB",
    type=read_memory_size,
    default=1 << 30,
)
JOBS = option("--jobs N", "how many layers' scales are searched at a time", type=count, default=1)

OPTIONS = (
    CFG,
    *READING,
    DATA,
    option("-o --output SIM.onnx", "write the model that computes as the quantized one does"),
    option("--record R.txt", "write the toolkit's record file"),
    option("--ranking R.json", "write the toolkit's ranking of the layers, which `suggest --scores` reads"),
    option(
        "--sensitivity",
        "what the ranking holds: cosine or decibels of the layer's output, or decibels of the model's; default: cosine",
        choices=["cosine", "sqnr", "output"],
        default="cosine",
    ),
    formats("text", "json", "csv", "html"),
    option("--against OLD", "another configuration: the page (--format html) shows before and after"),
    JOBS,
    MEMORY_LIMIT,
)


def run(arguments: argparse.Namespace, console: Console) -> int:
    if arguments.against is not None and arguments.format != "html":
        raise Failure("--against is for the page: --format html; `amctcfg diff` compares in text")
    file, old = open_compared(arguments, console)
    path, plan = file.require_model().path, file.plan
    with simulating() as simulation, closing(ProgressBar(console)) as bar:
        console.inputs += [*simulation.network.list_weight_files(path), *files_of(arguments.data)]
        check_targets(arguments, console)
        batches = simulation.load_batches(arguments.data, path)
        sim = simulation.simulate(plan, path, batches, bar, arguments.memory, arguments.jobs)
        view, rows = make_view(file, sim, arguments.sensitivity == "output", old)
        scores = sim.sensitivity(arguments.sensitivity) if arguments.ranking else {}
    console.note(*sim.notes)
    console.write_diagnostics(view.warnings, file.text)
    if arguments.output is not None:
        sim.save(arguments.output)
    if arguments.record is not None:
        console.write_output(sim.record, arguments.record)
    if arguments.ranking is not None:
        console.write_output(to_ranking(scores), arguments.ranking)
    console.write_result(FORMATS[arguments.format](view, rows, sim))
    return find_status(view.warnings, arguments)


@contextmanager
def simulating(lead: str = "") -> Iterator[Any]:
    """Give the room for simulation; end the command where a model can't be simulated."""
    with importing("simulation"):
        from .. import simulation
    try:
        yield simulation
    except simulation.SimulationError as error:
        raise Failure(lead + str(error)) from None


def files_of(paths: Iterable[str]) -> list[str]:
    found: list[str] = []
    for path in paths:
        found += [os.path.join(path, name) for name in os.listdir(path)] if os.path.isdir(path) else [path]
    return found


def check_targets(arguments: argparse.Namespace, console: Console) -> None:
    """Raise `Failure` where an output would replace an input or another output."""
    targets = [target for target in (arguments.output, arguments.record, arguments.ranking) if target is not None]
    if arguments.output == "-":
        raise Failure("-o takes the name of a file: a model is not written to standard output")
    if arguments.output is not None:
        if arguments.output.lower().endswith((".html", ".csv", ".json", ".txt")):
            words = (
                "-o writes the simulated model, such as sim.onnx; what --format asks for goes to standard output: > {}"
            )
            raise Failure(words.format(arguments.output))
        targets.append(os.path.realpath(arguments.output) + ".data")  # where large weights go
    for target in targets:
        console.check_target(target)
    if len({os.path.realpath(target) for target in targets}) < len(targets):
        raise Failure("two of the outputs have one name")


def make_view(file: ConfigFile, sim: Any, alone: bool, old: ConfigFile | None) -> tuple[View, Rows]:
    """View the plan with what was measured; return the simulation's rows, too, with more of each layer."""
    outputs = sim.sensitivity("output") if alone else {}
    weights = {name: list(map(float, factors.scale_w)) for name, factors in sim.factors.items()}
    rows = [dict(r, weight_scales=weights[r["layer"]], output=outputs.get(r["layer"])) for r in sim.to_rows()]
    extras = {
        row["layer"]: {label: make_text_cells(row)[label] for label in ("scale", "offset", "SQNR")} for row in rows
    }
    warnings = list(file.plan.warnings)
    for layer, reason in sim.refused:
        hint = "the toolkit stops at this layer: skip it (skip_layers: {})".format(dump_json(layer))
        message = "{}: {}".format(quote_name(layer), reason)
        warnings.append(Diagnostic(WARNING, "refused-by-toolkit", message, hint=hint, name=file.name))
    notes = ("The output of the quantized model: " + format_decibels(sim.output_sqnr), *sim.notes)
    view = view_plan(file, old, Measured(sim.sensitivity("cosine"), "cosine", extras, dict(sim.refused)), notes)
    return view._replace(warnings=file.without_ignored(warnings)), rows


def to_text(view: View, rows: Rows, sim: Any) -> str:
    head = ["layer", "scale", "offset", "cosine", "SQNR"]
    head += ["output"] if any(row["output"] is not None for row in rows) else []
    lines = align([head, *([make_text_cells(row)[label] for label in head] for row in rows)], str.rjust)
    parts = ["{} quantized".format(pluralize(len(rows), "layer"))]
    parts += ["{} refused".format(len(sim.refused))] if sim.refused else []
    parts += word_borders(view)
    lines.append("{}; the model's output: {}".format(", ".join(parts), format_decibels(sim.output_sqnr)))
    return text_of(lines)


def make_text_cells(row: dict[str, Any]) -> dict[str, str]:
    return {
        "layer": row["layer"],
        "scale": " and ".join(map("{:.6g}".format, as_pair(row["scale"]))),
        "offset": " and ".join(map(str, as_pair(row["offset"]))),
        "cosine": "{:.7f}".format(row["cosine"]),
        "SQNR": format_decibels(row["sqnr"]),
        "output": format_decibels(row["output"]),
    }


def as_pair(value: Any) -> tuple[Any, ...]:
    """Return the values of both activations of a product; of another layer the only one."""
    return value if isinstance(value, tuple) else (value,)


def format_decibels(value: float | None) -> str:
    """Write `41.15 dB`; words where the floats themselves are NaN or infinity."""
    return "" if value is None else "{:.2f} dB".format(value) if math.isfinite(value) else "NaN or infinity in floats"


def to_json(view: View, rows: Rows, sim: Any) -> str:
    return write_json(
        file=view.plan.name,
        model=view.model,
        layers=[dict(row, **{name: drop_infinite(row[name]) for name in ("cosine", "sqnr", "output")}) for row in rows],
        borders=view.borders,
        refused=[refusal._asdict() for refusal in sim.refused],
        notes=list(sim.notes),
        output_sqnr=drop_infinite(sim.output_sqnr),
    )


def to_csv(rows: Rows) -> str:
    columns = ("layer", "type", "scale", "offset", "weight_scales", "cosine", "sqnr", "output")
    flat = []
    for row in rows:
        scale, offset = (" ".join(map(repr, as_pair(row[name]))) for name in ("scale", "offset"))
        flat.append(dict(row, scale=scale, offset=offset, weight_scales=len(row["weight_scales"])))
    return write_csv(columns, flat)


def to_ranking(scores: Any) -> str:
    """Write the toolkit's ranking: pairs of layer and finite value, ascending."""
    pairs = sorted(([name, value] for name, value in scores.items() if math.isfinite(value)), key=lambda pair: pair[1])
    return dump_json(pairs, indent=4, separators=(",", ":"))


FORMATS: dict[str, Callable[[View, Rows, Any], str]] = {
    "text": to_text,
    "json": to_json,
    "csv": lambda view, rows, sim: to_csv(rows),
    "html": lambda view, rows, sim: to_html(view),
}
