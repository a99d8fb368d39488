# SPDX-License-Identifier: Apache-2.0
"""The command show: the plan as a table, in its formats."""

from __future__ import annotations

import os
from argparse import Namespace
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Container, Dict, List, Optional, Tuple

from ..tools.borders import count_borders
from ..tools.overlays import OVERLAYS
from ..tools.tabulating import Measured, Row, Table, View, find_unquantizable, tabulate
from ..workspace.file import ConfigFile
from .arguments import CFG, OUTPUT, READING, SENSITIVITY, flag, formats, option
from .console import Console, Failure, verdict
from .opening import importing, open_workspace, read_scores
from .reports import finite, json_report, table_csv
from .table_text import TextTable, summarize_table, wrap

if TYPE_CHECKING:
    from ..models.loading import Links

OPTIONS = (
    CFG,
    *READING,
    formats("text", "csv", "json", "html", *OVERLAYS),
    option("--against OLD", "another configuration: show before and after"),
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
    workspace = open_workspace(arguments, console)
    file = workspace.open(arguments.config, needs_model=True)
    old = None if arguments.against is None else workspace.open(arguments.against, needs_model=True)
    measured = Measured()
    if arguments.scores:
        measured = Measured(read_scores(arguments, console, False))
    view = view_plan(file, old, measured)
    view = view._replace(rows=chosen(view.table, arguments))
    if arguments.format == "text":
        console.diagnostics(view.warnings, file.text)
        every = arguments.all or arguments.sort == "score"
        width = None if arguments.output else width_of(console)
        shown = to_text(view, width, not arguments.output and console.colors(console.stdout), every)
    else:
        shown = FORMATS[arguments.format](view)
    console.output(shown, arguments.output)
    return verdict(view.warnings, arguments)


def view_plan(file: ConfigFile, old: Optional[ConfigFile], measured: Measured, notes: Tuple[str, ...] = ()) -> View:
    """View a file's plan, beside that of another file, with the layers that can't be quantized and the borders."""
    links = links_of(file)
    others = find_unquantizable(file.require_model().examined, file.flavour)
    borders = borders_of(file, links, measured.refusals)
    table = tabulate(file.plan, None if old is None else old.plan, measured, others, borders)
    return View(
        plan=file.plan,
        table=table,
        rows=table.rows,
        file=file.name,
        model=file.require_model().path,
        rules=file.rules,
        text=None if file.is_json else file.text,
        warnings=file.without_ignored(file.plan.warnings),
        against="" if old is None else old.name,
        nodes=links.names if links else {},
        notes=notes,
    )


def borders_of(file: ConfigFile, links: Optional[Links], refused: Container[str] = ()) -> int:
    """Count the borders between the layers of a file's plan that are quantized and those that are not."""
    plan, model = file.plan, file.require_model()
    others = {layer.name for layer, _ in find_unquantizable(model.examined, file.flavour)}
    is_quantized = {
        name: name in plan and plan[name].quant_enable and name not in refused
        for name in (layer.name for layer in model.layers)
        if name in plan or name in others
    }
    return count_borders(is_quantized, links.inputs if links else None)


def links_of(file: ConfigFile) -> Optional[Links]:
    from ..models.loading import link_nodes

    return link_nodes(file.require_model().examined)


def chosen(table: Table, arguments: Namespace) -> List[Row]:
    rows = [
        row
        for row in table.rows
        if (arguments.match is None or fnmatchcase(row.layer.name, arguments.match))
        and (not arguments.skipped or row.is_skipped)
        and (not arguments.changed or row.changed)
    ]
    if arguments.sort == "score":
        return table.worst_first(rows)
    return sorted(rows, key=lambda row: row.layer.name) if arguments.sort == "name" else rows


def width_of(console: Console) -> Optional[int]:
    """Return the width of the terminal; elsewhere what COLUMNS says, or none."""
    columns = os.environ.get("COLUMNS", "")
    return console.width(console.stdout) or (int(columns) if columns.isdigit() and int(columns) else None)


def to_text(view: View, width: Optional[int], color: bool, every: bool) -> str:
    lines = TextTable(view.table, every).text(view.rows, width, color)
    lines += wrap(summarize_table(view.table, len(view.rows)), width)
    return "".join(line + "\n" for line in lines)


def flat_rows(view: View) -> List[Dict[str, Any]]:
    """Return the rows of `Plan.to_rows`, with the score and what was before."""
    flat = {row["layer"]: row for row in view.plan.to_rows()}
    found = []
    for row in view.rows:
        if row.layer.name not in flat:
            continue  # it can't be quantized
        values = flat[row.layer.name]
        if view.table.has_scores:
            values["score"] = finite(row.score)
        if view.table.has_before:
            values["before"] = {field: cell.before for field, cell in row.changed.items()}
        found.append(values)
    return found


def to_json(view: View) -> str:
    return json_report(file=view.file, layers=flat_rows(view), borders=view.table.borders)


def to_csv(view: View) -> str:
    rows = flat_rows(view)
    for row in rows:
        if "before" in row:
            row["before"] = "; ".join("{}={}".format(field, value) for field, value in row["before"].items())
    last = (["score"] if view.table.has_scores else []) + (["before"] if view.table.has_before else [])
    columns = dict.fromkeys(key for row in rows for key in row if key not in last)
    return table_csv([*columns, *last], rows)


def to_html(view: View) -> str:
    with importing("pages", "the HTML page"):
        from ..pages.page import write_page
    return write_page(view)


def to_overlay(kind: str, view: View) -> str:
    return OVERLAYS[kind](view.table._replace(rows=view.rows), view.nodes)


FORMATS: Dict[str, Callable[[View], str]] = {
    "csv": to_csv,
    "json": to_json,
    "html": to_html,
    **{kind: partial(to_overlay, kind) for kind in OVERLAYS},
}
