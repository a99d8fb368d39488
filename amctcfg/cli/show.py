# SPDX-License-Identifier: Apache-2.0
"""The command show: the plan as a table, in its formats."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..diagnostics.diagnostic import Diagnostic
from ..diagnostics.words import escape_controls, pluralize
from ..resolve.plan import Plan
from ..tools.tabulating import Row, Table, others_of, tabulated, words_of
from ..workspace.file import ConfigFile
from .arguments import CFG, OUTPUT, READING, SENSITIVITY, formats, option
from .console import Console, Failure, verdict
from .opening import open_workspace
from .reports import FORMAT_VERSION

OPTIONS = (
    CFG,
    *READING,
    formats("text", "csv", "json", "html"),
    option("--against", metavar="OLD", help="another configuration: show before and after"),
    *SENSITIVITY,
    OUTPUT,
)


def run(arguments: Any, console: Console) -> int:
    workspace = open_workspace(arguments, console)
    job = workspace.open(arguments.config, needs_model=True)
    plan = job.plan
    old = None if arguments.against is None else workspace.open(arguments.against, needs_model=True)
    before = None if old is None else old.plan
    scores = None
    if arguments.scores:
        from .scoring import read_scores

        scores = read_scores(arguments, console)
    warnings = job.without_ignored(plan.warnings)
    view = View(job, plan, before, scores, warnings)
    inputs = (arguments.config, arguments.against, arguments.scores, job.model and job.model.path)
    if arguments.format == "text":
        console.diagnostics(warnings, job.text)
        if arguments.output:
            console.output(to_text(view, None, False), arguments.output, inputs)
        else:
            width = console.width(console.stdout)
            console.result(to_text(view, width, console.colors(console.stdout)))
    elif arguments.format == "html":
        console.output(to_html(view), arguments.output, inputs)
    else:
        console.output({"csv": to_csv, "json": to_json}[arguments.format](view), arguments.output, inputs)
    return verdict(warnings, arguments)


PLAIN, DIM = "\x1b[0m", "\x1b[2m"


COLOURS = {
    "override_layer_configs": "\x1b[35m",
    "override_layer_types": "\x1b[36m",
    "common_config": "\x1b[32m",
    "quant_config": "\x1b[34m",
}


NOT_QUANTIZED = "\x1b[33m"


NARROWEST = 60  # columns that a table takes at least


class View(NamedTuple):
    """What is shown: a job and its plan, another plan to compare with, scores, and the warnings."""

    job: ConfigFile
    plan: Plan
    before: Optional[Plan]
    scores: Optional[Mapping[str, float]]
    warnings: Tuple[Diagnostic, ...]

    def table(self, others: bool = True) -> Table:
        merger = None if self.job.is_json else self.job.resolver
        examined = self.job.model.examined if self.job.model and others else ()
        rest = others_of(examined, self.job.flavour)
        return tabulated(self.plan, merger, self.job.name, self.before, self.scores, rest)


def to_text(view: View, width: Optional[int], color: bool) -> str:
    """One row a layer; what is not the default stands in the last column, which is wrapped to the width."""
    table = view.table()
    cells = [[escape_controls(text) for text in cells_of(row, table)] for row in table.rows]
    head = ["layer", "type", "quantized", "by"] + (["score"] if table.has_scores else []) + ["not the default"]
    widths = [max(len(row[column]) for row in [head, *cells]) for column in range(len(head) - 1)]
    if width is not None:  # the names give way first
        widths[0] = max(min(widths[0], max(width, NARROWEST) - sum(widths[1:]) - 2 * len(widths) - 20), 16)
    lines = [line_of(head, widths)]
    for row, texts in zip(table.rows, cells):
        found = wrapped_row(texts, widths, width)
        colour = colour_of(row) if color else ""
        lines += [colour + line + PLAIN if colour else line for line in found]
    lines.append(summary(table))
    return "".join(line + "\n" for line in lines)


def cells_of(row: Row, table: Table) -> List[str]:
    notable = dict(row.notable, **row.changed)
    words = [words_of(field, table.columns[field], cell) for field, cell in notable.items()]
    score = ["" if row.score is None else "{:.4g}".format(row.score)] if table.has_scores else []
    quantized = "yes" if row.is_quantized else row.state
    return [row.layer.name, row.layer.type, quantized, row.tier, *score, ", ".join(words)]


def line_of(texts: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join([*["{:<{}}".format(t, w) for t, w in zip(texts, widths)], texts[-1]]).rstrip()


def wrapped_row(texts: List[str], widths: Sequence[int], width: Optional[int]) -> List[str]:
    if width is None:
        return [line_of(texts, widths)]
    left = sum(widths) + 2 * len(widths)
    room = max(max(width, NARROWEST) - left, 20)
    last = textwrap.wrap(texts[-1], room, break_on_hyphens=False, break_long_words=False) or [""]
    lines = []
    if len(texts[0]) > widths[0]:  # a name that is too long has a line of its own
        lines.append(texts[0])
        texts = ["", *texts[1:]]
    lines.append(line_of([*texts[:-1], last[0]], widths))
    return lines + [" " * left + more for more in last[1:]]


def colour_of(row: Row) -> str:
    if row.explanation is None:
        return DIM
    return COLOURS.get(row.tier, "") if row.is_quantized else NOT_QUANTIZED


def summary(table: Table) -> str:
    quantized = sum(row.is_quantized for row in table.rows)
    words = "{}, {} quantized".format(pluralize(len(table.rows), "layer"), quantized)
    if table.has_before:
        words += ", {} changed".format(sum(bool(row.changed) for row in table.rows))
    return words


def flat_rows(view: View) -> List[Dict[str, Any]]:
    """The rows of `Plan.to_rows`, with the score and what was before."""
    rows = view.plan.to_rows()
    table = view.table(others=False)
    for flat, row in zip(rows, table.rows):
        if table.has_scores:
            flat["score"] = row.score
        if table.has_before:
            flat["before"] = {field: cell.before for field, cell in row.changed.items()}
    return rows


def to_json(view: View) -> str:
    """One object: `version`, `file`, `layers`."""
    report = {"version": FORMAT_VERSION, "file": view.job.name, "layers": flat_rows(view)}
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"


def to_csv(view: View) -> str:
    rows = flat_rows(view)
    for row in rows:
        if "before" in row:
            row["before"] = "; ".join("{}={}".format(field, value) for field, value in row["before"].items())
    columns = list(dict.fromkeys(key for row in rows for key in row))
    columns += [column for column in ("score", "before") if column in columns and columns.remove(column) is None]  # type: ignore[func-returns-value]
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def to_html(view: View) -> str:
    try:
        from ..pages.page import page
    except ImportError:
        raise Failure("this copy of amctcfg is without its folder 'pages', which the HTML page needs") from None
    text = None if view.job.is_json else view.job.text
    model = view.job.model.path if view.job.model else ""
    return page(view.table(), view.job.name, model, view.plan, text, view.warnings)
