# SPDX-License-Identifier: Apache-2.0
"""The command show: the plan as a table; as text, with what all layers share once and equal neighbours in one row."""

from __future__ import annotations

import sys
import textwrap
from argparse import Namespace
from fnmatch import fnmatchcase
from functools import partial
from itertools import groupby
from typing import Any, Callable, Container, Iterable, Sequence

from ..diagnostics.diagnostic import PLAIN
from ..diagnostics.words import drop_infinite, escape_controls, pluralize
from ..models.loading import link_nodes
from ..resolve.effective import READ
from ..tools.overlays import OVERLAYS, count_borders
from ..tools.tabulating import Measured, Row, Table, View, run_name, tabulate, word_cell, write_scores
from ..workspace.file import ConfigFile
from .arguments import CFG, OUTPUT, READING, SENSITIVITY, flag, formats, option
from .console import Console, Failure, find_status, read_columns
from .opening import importing, open_workspace, read_scores
from .reports import write_csv, write_json

DIM = "\x1b[2m"
NOT_QUANTIZED = "\x1b[33m"
TERMINAL_COLOURS = {
    "override_layer_configs": "\x1b[35m",
    "override_layer_types": "\x1b[36m",
    "common_config": "\x1b[32m",
    "quant_config": "\x1b[34m",
}

FEWEST = 3  # equal neighbours that become one row
LAST = 24  # columns that the last column takes at least; where there are fewer, each layer takes several lines
NARROWEST = 16
UNLIMITED = sys.maxsize  # columns of what is no terminal


# The columns that are there if not all layers have the same: what each says of a layer, and what several values are.
IF_DIFFERENT: dict[str, tuple[Callable[[Row], str], str]] = {
    "type": (lambda row: row.layer.type, "types"),
    "quantized": (lambda row: "yes" if row.is_quantized else row.state, "reasons"),
    "by": (lambda row: row.tier, "tiers"),
}

OPTIONS = (
    CFG,
    *READING,
    formats("text", "csv", "json", "html", *OVERLAYS),
    option("--against OLD", "another configuration, read on the same model: show before and after"),
    option("--match GLOB", "only layers of these names; * stands for any part of a path"),
    flag("--skipped", "only layers that could be quantized and are not"),
    flag("--changed", "only layers that differ from --against"),
    option("--sort", "by score, the worst first, or by name", choices=["score", "name"]),
    flag("--all", "a row for every layer, also for equal neighbours (text)"),
    *SENSITIVITY,
    OUTPUT,
)


def run(arguments: Namespace, console: Console) -> int:
    if arguments.changed and arguments.against is None:
        raise Failure("--changed compares with another configuration: --against OLD")
    if arguments.sort == "score" and not arguments.scores:
        raise Failure("--sort score needs scores: --scores R")
    file, old = open_compared(arguments, console)
    view = view_plan(file, old, Measured(read_scores(arguments, console) if arguments.scores else None))
    view = view._replace(rows=choose_rows(view.table, arguments))
    if arguments.format == "text":
        console.write_diagnostics(view.warnings, file.text)
        every = arguments.all or arguments.sort == "score"
        width = UNLIMITED
        if not arguments.output:
            width = console.measure_width(console.stdout) or read_columns() or UNLIMITED
        shown = to_text(view, width, not arguments.output and console.has_colors(console.stdout), every)
    else:
        shown = FORMATS[arguments.format](view)
    console.write_output(shown, arguments.output)
    return find_status(view.warnings, arguments)


def open_compared(arguments: Namespace, console: Console) -> tuple[ConfigFile, ConfigFile | None]:
    """Open a file, and the one that --against names on the same model."""
    workspace = open_workspace(arguments, console)
    if arguments.against is None:
        return workspace.open(arguments.config, needs_model=True), None
    old, file = workspace.open_pair(arguments.against, arguments.config)
    file.require_model()
    console.inputs += filter(None, [workspace.model_of(old)])  # which is not read, and yet must not be replaced
    return file, old


def view_plan(file: ConfigFile, old: ConfigFile | None, measured: Measured, notes: tuple[str, ...] = ()) -> View:
    """View a file's plan, beside another's, with what can't be quantized and the borders."""
    model, flavour = file.require_model(), file.flavour
    others = [
        (found.layer, found.reason or "not supported")
        for found in model.examined
        if found.layer.type in flavour.quantizable_types and not flavour.quantizes(found.layer)
    ]
    table = tabulate(file.plan, None if old is None else old.plan, measured, others)
    return View(
        plan=file.plan,
        table=table,
        rows=table.rows,
        borders=borders_of(file, measured.refusals),
        model=model.path,
        rules=file.rules,
        text=None if file.is_json else file.text,
        warnings=file.without_ignored(file.plan.warnings),
        against="" if old is None else old.name,
        nodes={found.layer.name: found.node for found in model.examined if found.sources is not None},
        notes=notes,
    )


def borders_of(file: ConfigFile, refused: Container[str] = ()) -> int:
    """Count the borders between a plan's quantized and float layers."""
    plan, model = file.plan, file.require_model()
    is_quantized = {
        layer.name: layer.name in plan and plan[layer.name].quant_enable and layer.name not in refused
        for layer in model.layers
        if layer.type in file.flavour.quantizable_types
    }
    return count_borders(is_quantized, link_nodes(model.examined))


def choose_rows(table: Table, arguments: Namespace) -> list[Row]:
    rows = [
        row
        for row in table.rows
        if (arguments.match is None or fnmatchcase(row.layer.name, arguments.match))
        and (not arguments.skipped or row.is_skipped)
        and (not arguments.changed or row.changed)
    ]
    if arguments.sort == "score":
        return table.sort_worst_first(rows)
    return sorted(rows, key=lambda row: row.layer.name) if arguments.sort == "name" else rows


class TextTable:
    """Writes a table for people, but for what only a simulation finds; `every` leaves equal neighbours apart."""

    def __init__(self, table: Table, every: bool) -> None:
        self.table: Table = table
        self.every: bool = every
        self.scores: dict[float, str] = write_scores(row.score for row in table.rows if row.score is not None)
        self.constant: dict[str, str] = {}
        for name, (value_of, _) in IF_DIFFERENT.items():
            values = [value_of(row) for row in table.rows if row.cells or name != "by"]
            if len(values) > 1 and len(set(values)) == 1:
                self.constant[name] = values[0]

    def write_head(self) -> list[str]:
        names = [name for name in IF_DIFFERENT if name not in self.constant]
        score = [self.table.score] if self.table.has_scores else []
        return ["layer", *names, *score, "changes" if self.table.has_before else "not the default"]

    def describe_common(self) -> str:
        """Say what is the same for all layers: `All 54 layers: Conv2D, by common_config, search_step=0.02`."""
        values = [("by " if name == "by" else "") + value for name, value in self.constant.items()]
        for field, cell in self.table.shared.items():
            if cell.is_changed or not cell.is_default:
                values.append(word_cell(self.table.columns[field], cell))
        number = sum(bool(row.cells) for row in self.table.rows)
        return "All {} layers: {}".format(number, ", ".join(values)) if values else ""

    def word_values(self, row: Row) -> str:
        cells = row.changed if self.table.has_before else row.notable
        return ", ".join(
            word_cell(self.table.columns[field], cell)
            for field, cell in cells.items()
            if field not in self.table.shared
        )

    def grouping_key_of(self, row: Row) -> Any:
        if self.every:
            return row.layer.name
        if not row.cells:
            return "not quantizable"
        return row.state, self.table.has_before or row.tier, self.word_values(row)

    def group_runs(self, rows: Iterable[Row]) -> list[list[Row]]:
        found: list[list[Row]] = []
        for _, neighbours in groupby(rows, self.grouping_key_of):
            run = list(neighbours)
            found += [run] if len(run) >= FEWEST else [[row] for row in run]
        return found

    def write_cells(self, run: Sequence[Row]) -> list[str]:
        texts = [run_name([row.layer.name for row in run])]
        for name, (value_of, what) in IF_DIFFERENT.items():
            if name not in self.constant:
                values = list(dict.fromkeys(map(value_of, run)))
                texts.append(", ".join(values) if len(values) < 3 else "{} {}".format(len(values), what))
        if self.table.has_scores:
            scores = sorted(row.score for row in run if row.score is not None)
            ends = dict.fromkeys(self.scores[score] for score in scores[:1] + scores[-1:])
            texts.append(" to ".join(ends))
        return [escape_controls(text) for text in (*texts, self.word_values(run[0]))]

    def write_text(self, rows: Sequence[Row], width: int, color: bool) -> list[str]:
        """Return what all share, then a table or, where that is too wide, a paragraph for each layer."""
        above = wrap(escape_controls(self.describe_common()), width, "  ")
        runs = self.group_runs(rows)
        cells = [self.write_cells(run) for run in runs]
        head = self.write_head()
        widths = [max(len(row[column]) for row in [head, *cells]) for column in range(len(head) - 1)]
        rest = sum(widths[1:]) + 2 * len(widths) + LAST
        stacked = width - rest < min(NARROWEST, widths[0])
        widths[0] = min(widths[0], max(width - rest, 1))  # the names give way first
        lines = [] if stacked else write_table_row(head, widths, width)
        for run, texts in zip(runs, cells):
            found = write_stacked_row(texts, head, width) if stacked else write_table_row(texts, widths, width)
            colour = colour_of(run[0]) if color else ""
            lines += [colour + line + PLAIN if colour else line for line in found]
        return above + lines


def wrap(text: str, width: int, indent: str = "") -> list[str]:
    """Break a text into lines of at most a width, those after the first indented."""
    if len(text) <= width:
        return [text] if text else []
    indent = indent if width > 2 * len(indent) else ""
    return textwrap.wrap(text, max(width, 1), subsequent_indent=indent, break_on_hyphens=False)


def break_name(name: str, width: int) -> list[str]:
    """Break a name into lines, behind a `/` where there is one."""
    lines = []
    while len(name) > width:
        cut = name.rfind("/", 1, width) + 1 or width
        lines.append(name[:cut])
        name = name[cut:]
    return [*lines, name]


def write_table_row(texts: list[str], widths: Sequence[int], width: int) -> list[str]:
    left = sum(widths) + 2 * len(widths)
    last = wrap(texts[-1], max(width - left, 1)) or [""]
    lines = []
    if len(texts[0]) > widths[0]:  # a name that is too long has lines of its own
        lines = break_name(texts[0], width)
        texts = ["", *texts[1:]]
    cells = ["{:<{}}".format(text, room) for text, room in zip(texts, widths)]
    lines.append("  ".join([*cells, last[0]]).rstrip())
    return lines + [" " * left + more for more in last[1:]]


def write_stacked_row(texts: list[str], head: list[str], width: int) -> list[str]:
    """Write a layer as a paragraph: `Conv2D, quantized, by common_config, score 0.9994`."""
    lead = {"type": "", "quantized": "", "by": "by "}
    words = []
    for name, text in zip(head[1:-1], texts[1:-1]):
        value = "quantized" if (name, text) == ("quantized", "yes") else text
        words += [lead.get(name, name + " ") + value] if value else []
    lines = break_name(texts[0], width)
    for line in (", ".join(words), texts[-1]):
        lines += wrap("  " + line, width, "    ") if line else []
    return lines


def colour_of(row: Row) -> str:
    if row.explanation is None:
        return DIM
    return TERMINAL_COLOURS.get(row.tier, "") if row.is_quantized else NOT_QUANTIZED


def sum_up(view: View) -> str:
    """Sum up: `54 layers, 52 quantized, 2 skipped, 4 borders between quantized and float layers`"""
    table, shown = view.table, len(view.rows)
    is_read = any(row.tier == READ for row in table.rows)  # JSON does not say that somebody skipped a layer
    counts = [
        (sum(row.is_quantized for row in table.rows), "quantized", True),
        (sum(row.is_skipped for row in table.rows), "not quantized" if is_read else "skipped", False),
        (sum(row.explanation is None for row in table.rows), "not quantizable", False),
        (sum(bool(row.changed) for row in table.rows), "changed", table.has_before),
    ]
    words = [pluralize(len(table.rows), "layer")]
    words += ["{} {}".format(number, what) for number, what, always in counts if number or always]
    words += word_borders(view)
    return ", ".join(words) + ("; {} shown".format(shown) if shown != len(table.rows) else "")


def word_borders(view: View) -> list[str]:
    """Say how many borders there are, if any."""
    return ["{} between quantized and float layers".format(pluralize(view.borders, "border"))] if view.borders else []


def to_text(view: View, width: int, color: bool, every: bool) -> str:
    lines = TextTable(view.table, every).write_text(view.rows, width, color)
    lines += wrap(sum_up(view), width)
    return "".join(line + "\n" for line in lines)


def make_flat_rows(view: View) -> list[dict[str, Any]]:
    """Return the rows of `Plan.to_rows`, with the score and what was before."""
    flat = {row["layer"]: row for row in view.plan.to_rows()}
    found = []
    for row in view.rows:
        if row.layer.name not in flat:
            continue  # it can't be quantized
        values = flat[row.layer.name]
        if view.table.has_scores:
            values["score"] = drop_infinite(row.score)
        if view.table.has_before:
            values["before"] = {field: cell.before for field, cell in row.changed.items()}
        found.append(values)
    return found


def to_json(view: View) -> str:
    return write_json(file=view.plan.name, layers=make_flat_rows(view), borders=view.borders)


def to_csv(view: View) -> str:
    rows = make_flat_rows(view)
    for row in rows:
        if "before" in row:
            row["before"] = "; ".join("{}={}".format(field, value) for field, value in row["before"].items())
    last = (["score"] if view.table.has_scores else []) + (["before"] if view.table.has_before else [])
    columns = dict.fromkeys(key for row in rows for key in row if key not in last)
    return write_csv([*columns, *last], rows)


def to_html(view: View) -> str:
    with importing("pages", "the HTML page"):
        from ..pages.page import write_page
    return write_page(view)


def to_overlay(kind: str, view: View) -> str:
    return OVERLAYS[kind](view.table._replace(rows=view.rows), view.nodes)


FORMATS: dict[str, Callable[[View], str]] = {
    "csv": to_csv,
    "json": to_json,
    "html": to_html,
    **{kind: partial(to_overlay, kind) for kind in OVERLAYS},
}
