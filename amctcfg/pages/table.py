# SPDX-License-Identifier: Apache-2.0
"""The table of a plan in HTML: a row a layer, a column for each setting that differs, coloured by the tier that decided."""

from __future__ import annotations

import math
from html import escape
from typing import Any, Iterable, Iterator, Mapping, Sequence

from ..checks.checking import check
from ..diagnostics.diagnostic import Diagnostic
from ..diagnostics.words import escape_controls, format_value
from ..documents.document import Document
from ..resolve.effective import Origin
from ..resolve.plan import Plan
from ..tools.tabulating import Cell, Measured, Row, Table, find_scope, show_value, tabulate, write_scores
from .style import NOTEBOOK, TABLE

MOST_ROWS = 200  # of a plan in a notebook
MOST_LINES = 400  # of a document

DOCUMENT_STYLE = """\
.amctcfg-text{text-align:left;font:12.5px/1.5 ui-monospace,monospace;white-space:pre-wrap}
.amctcfg-text li{margin:0 0 0 3em}.amctcfg-text p{margin:0;font-family:system-ui,sans-serif;border-left:3px solid #e0a800;padding-left:6px}
.amctcfg-text p.error{border-color:#e5484d}
"""

# One letter a tier, in the class of a cell: the page is to stay small.
TIERS = {
    "override_layer_configs": "l",
    "override_layer_types": "t",
    "common_config": "c",
    "activation_offset": "g",
    "do_fusion": "g",
    "skip_layers": "k",
    "skip_layer_types": "k",
    "skip_fusion_layers": "k",
    "quant_config": "j",
    "layer_type": "u",
    "unsupported": "u",
}


class Html(str):
    """Words that are HTML already."""

    __slots__ = ()


def put(template: str, *parts: Any) -> Html:
    """Put parts into a piece of HTML; what is not HTML itself is escaped."""
    return Html(template.format(*(p if isinstance(p, Html) else escape(escape_controls(str(p))) for p in parts)))


def write_heading(label: str) -> Html:
    """Write the heading of a column, which may be broken behind each `_`."""
    return Html(put("{}", label).replace("_", "_<wbr>"))


class Scale:
    """A scale from the worst score to the best; of cosines, of the logarithm of what is missing to 1."""

    def __init__(self, scores: Iterable[float], low_is_sensitive: bool | None) -> None:
        ordered = sorted(filter(math.isfinite, scores), reverse=low_is_sensitive is False) or [0.0]
        self.worst: float = ordered[0]
        self.best: float = ordered[-1]
        self.is_logarithmic: bool = low_is_sensitive is not False and self.worst >= 0 and self.best <= 1

    def place(self, score: float) -> float:
        """Place a score on the scale, on which the distance from the best counts."""
        return -math.log10(max(1 - score, 1e-8)) if self.is_logarithmic else score

    def measure_harm(self, score: float) -> float:
        """Return how bad a score is, from 0, the best, to 1, the worst."""
        worst, best = self.place(self.worst), self.place(self.best)
        return 0.0 if worst == best else min(max((best - self.place(score)) / (best - worst), 0.0), 1.0)


class HtmlTable:
    """Writes the rows of a table: in a notebook, or in a page, where values link to their explanations, and these to lines.

    Explanations stand there once, by number: many layers have a value from the same line.
    """

    def __init__(self, table: Table, is_page: bool = False, has_lines: bool = False) -> None:
        self.table: Table = table
        self.is_page: bool = is_page
        self.has_lines: bool = has_lines
        self.explanations: dict[str, int] = {}
        self.columns: dict[str, str] = table.varying
        scores = [row.score for row in table.rows if row.score is not None]
        self.scale: Scale = Scale(scores, table.low_is_sensitive)
        self.scores: dict[float, str] = write_scores(scores)
        self.keys: dict[Any, int] = {}

    def list_headings(self) -> list[str]:
        score = [self.table.score] if self.table.has_scores else []
        return ["layer", "type", "state", "by", *score, *self.table.extras, *self.columns.values()]

    def write_row(self, row: Row, number: int, classes: str = "") -> Iterator[str]:
        attributes = " id=r{} data-k={}".format(number, self.grouping_key_of(row)) if self.is_page else ""
        attributes += " class='{}'".format(classes) if classes else ""
        yield put("<tr{}><th scope=row>{}<td>{}", Html(attributes), name_html(row.layer.name), row.layer.type)
        if not row.cells:  # its reason may be long, and there is nothing else to say
            score = "" if row.score is None else put(" ({} {})", self.table.score, self.scores[row.score])
            width = len(self.list_headings()) - 2
            yield put("<td colspan={}><span class=u>{}</span>{}</tr>", width, row.state, score)
            return
        yield from self.write_state(row)
        if self.table.has_scores:
            yield self.write_score(row)
        for label in self.table.extras:
            value = row.extras.get(label)
            yield put("<td class=x>{}", "" if value is None else show_value(value))
        for field in self.columns:
            cell = row.cells.get(field)
            yield "<td>" if cell is None else "<td>" + self.write_cell(row, field, cell)
        yield "</tr>"

    def write_state(self, row: Row) -> Iterator[str]:
        """Say whether the layer is quantized, or why not, and the block that it has."""
        enabled, words = row.cells["quant_enable"], row.state
        if enabled.is_changed and not row.is_refused:
            words = "{} → {}".format("quantized" if enabled.before else "not quantized", words)
        if row.is_refused:
            yield put("<td><span class=r>{}</span>", words)
        elif row.is_quantized and not enabled.is_changed:
            yield put("<td>{}", words)
        else:
            yield "<td>" + self.write_pill(row, "quant_enable", enabled, put("{}", words))
        block = TIERS.get(row.tier, "")
        yield put("<td><span class={}>{}</span>", block, row.tier) if block else put("<td>{}", row.tier)

    def write_cell(self, row: Row, field: str, cell: Cell) -> Html:
        value = put("{}", show_value(cell.value))
        if cell.is_changed:
            value = put("<del>{}</del> → <ins>{}</ins>", show_value(cell.before), value)
        if cell.is_default and not cell.hides and not cell.is_changed:
            return value
        return self.write_pill(row, field, cell, value)

    def write_pill(self, row: Row, field: str, cell: Cell, value: Html) -> Html:
        """Write a value in the colour of its tier, with its explanation."""
        classes = list(filter(None, (TIERS.get(cell.origin.tier, ""), "s" if cell.hides else "")))
        attribute = put(" class='{}'", " ".join(classes)) if classes else ""
        lines = self.explain(row, field, cell)
        if not self.is_page:
            return put("<span{} title='{}'>{}</span>", attribute, Html("; ".join(lines)), value)
        number = self.explanations.setdefault("<br>".join(lines), len(self.explanations) + 1)
        return put("<a{} href=#e{}>{}</a>", attribute, number, value)

    def explain(self, row: Row, field: str, cell: Cell) -> list[Html]:
        """Say where a value comes from, what it overrides and why, and what it was."""
        explanation, origin = row.explanation, cell.origin
        assert explanation is not None

        def place(of: Origin) -> str:
            words = explanation.name_place(of)
            return put("<a href=#L{}>{}</a>", of.span.line, words) if self.has_lines and of.span else words

        source = explanation.name_source(field, origin)
        if origin.path is not None:
            source = put("{}, {}", origin.tier, place(origin))
        lines = [put("{} {}: {}", field, show_value(cell.value), source)]
        for lost, why in explanation.list_lost(field, origin):
            lines.append(put("overrides {} at {}: {}", format_value(lost.value), place(lost), why))
        if cell.is_changed:
            lines.append(put("before: {}", show_value(cell.before)))
        return lines

    def strip(self, rows: Sequence[Row]) -> str:
        """Say what all layers share, also those not shown: `All 54 layers: search_step 0.02 (common_config, line 3)`"""
        rows = [row for row in rows if row.cells]
        notable, usual = [], []
        for field, cell in self.table.shared.items():
            label = self.table.columns[field]
            if cell.is_default and not cell.hides and not cell.is_changed:
                usual.append(put("<span class=dim>{} {}</span>", label, show_value(cell.value)))
                continue
            row = next(row for row in rows if row.cells[field] == cell)
            line = ", line {}".format(cell.origin.span.line) if cell.origin.span else ""
            tier = "" if cell.origin.tier == "default" else put(" ({}{})", cell.origin.tier, line)
            notable.append(put("<span>{} {}{}</span>", label, self.write_cell(row, field, cell), tier))
        words = "<p class=strip>All {} layers: {}".format(len(rows), ", ".join(notable))
        if usual:
            words += "{}<span class=dim>by default</span> {}".format("; " if notable else "", ", ".join(usual))
        return words if self.table.shared else ""

    def write_score(self, row: Row) -> str:
        if row.score is None:
            return "<td class=score>"
        words = self.scores[row.score]
        number = "" if float(words) == row.score else " data-v={!r}".format(row.score)
        width = round(70 * self.scale.measure_harm(row.score))
        bar = "<rect width={} height=9></rect>".format(width) if width else ""
        return "<td class=score{}><svg class=bar width=70 height=9 aria-hidden=true>{}</svg>{}".format(
            number, bar, words
        )

    def grouping_key_of(self, row: Row) -> int:
        """Return a number that equal layers share; when plans are compared, all that have not changed."""
        parts: tuple[Any, ...] = ("unchanged", row.state)
        if not (self.table.has_before and row.explanation and not row.changed):
            cells = [row.cells.get(field) for field in self.columns]
            values = tuple(c and (c.value, c.before, c.is_changed, TIERS.get(c.origin.tier), c.hides) for c in cells)
            parts = (row.state, row.tier, values, "quant_enable" in row.changed, tuple(row.extras.items()))
        return self.keys.setdefault(parts, len(self.keys))


def name_html(name: str) -> Html:
    """Write a name whose scope is pale, and which may be broken."""
    scope = find_scope(name)
    separator = "/" if "/" in scope else "."
    broken = Html(put("{}", scope).replace(separator, separator + "<wbr>"))
    return put("{}<b>{}</b>", put("<i>{}</i>", broken) if scope else "", name[len(scope) :])


def write_plan(plan: Plan) -> str:
    return write_for_notebook(tabulate(plan), "plan.to_rows() has them all")


def write_simulation(plan: Plan, simulation: Any, cosines: Mapping[str, float] | None) -> str:
    """Write a simulation for a notebook: the plan with scales and offsets, and refusals."""
    extras = {}
    for name, factors in simulation.factors.items():
        pairs = zip(*factors.activations)  # two of each for a product of two variables
        scales, offsets = (" and ".join(map("{:.6g}".format, values)) for values in pairs)
        extras[name] = {"scale": scales, "offset": offsets}
    refusals = {refusal.layer: refusal.reason for refusal in simulation.refused}
    table = tabulate(plan, measured=Measured(cosines, "cosine", extras, refusals))
    return write_for_notebook(table, "sim.to_rows() has them all")


def write_for_notebook(table: Table, rest: str) -> str:
    """Write a table with its style sheet; of many layers the first, and how to get the rest."""
    writer = HtmlTable(table)
    head = "".join("<th scope=col>" + write_heading(label) for label in writer.list_headings())
    lines = ["<style>{}{}</style>".format(TABLE, NOTEBOOK), writer.strip(table.rows)]
    lines.append("<table class=amctcfg><thead><tr>{}<tbody>".format(head))
    lines += ["".join(writer.write_row(row, number)) for number, row in enumerate(table.rows[:MOST_ROWS], 1)]
    lines.append("</table>")
    if len(table.rows) > MOST_ROWS:
        lines.append("<p>and {} more layers: {}</p>".format(len(table.rows) - MOST_ROWS, rest))
    return "\n".join(lines)


# ---------------------------------------------------------------- a document in a notebook


def write_document(document: Document[Any]) -> str:
    found: dict[int, list[Diagnostic]] = {}
    for diagnostic in check(document.text, document.name, strict=document.strict, flavour=document.flavour):
        found.setdefault(diagnostic.span.line if diagnostic.span else 1, []).append(diagnostic)
    lines = document.text.rstrip("\n").split("\n")
    items = []  # white space between them would show
    for number, line in enumerate(lines[:MOST_LINES], 1):
        notes = "".join(map(note_html, found.get(number, ())))
        items.append(put("<li>{}{}</li>", line.rstrip("\r"), Html(notes)))
    head = put("<style>{}</style><p>{}, {}</p>", Html(DOCUMENT_STYLE), document.name, document.flavour.name)
    parts = [head, "<ol class=amctcfg-text>{}</ol>".format("".join(items))]
    if len(lines) > MOST_LINES:
        parts.append("<p>and {} more lines</p>".format(len(lines) - MOST_LINES))
    return "\n".join(parts)


def note_html(diagnostic: Diagnostic) -> str:
    hint = "; {}".format(diagnostic.hint) if diagnostic.hint else ""
    words = "{}[{}]: {}{}".format(diagnostic.severity, diagnostic.code, diagnostic.message, hint)
    return put("<p class={}>{}</p>", diagnostic.severity, words)
