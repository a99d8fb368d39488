# SPDX-License-Identifier: Apache-2.0
"""The table of a plan in HTML: a row a layer, a column a setting, coloured by the tier that decided."""

from __future__ import annotations

from html import escape
from typing import Iterator, List, Optional, Tuple

from ..diagnostics.words import escape_controls, format_value
from ..resolve.plan import Plan
from ..tools.tabulating import Cell, Row, Table, explained, tabulated

MOST_ROWS = 200  # of a plan in a notebook

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

STYLE = """\
.amctcfg{border-collapse:collapse;font:13px/1.4 system-ui,sans-serif;font-variant-numeric:tabular-nums}
.amctcfg th,.amctcfg td{border:1px solid #8886;padding:2px 6px;text-align:left;white-space:nowrap}
.amctcfg thead th{position:sticky;top:0;background:Canvas}
.amctcfg a{color:inherit;text-decoration:underline dotted}
.amctcfg .l{background:#b04ad640}.amctcfg .t{background:#00a3b840}.amctcfg .c{background:#3faa3f38}
.amctcfg .g{background:#4a7dff38}.amctcfg .k{background:#e0a80048}.amctcfg .j{background:#4a7dff38}
.amctcfg .u{background:#88888838}.amctcfg .s{font-style:italic}
.amctcfg del{opacity:.7}.amctcfg ins{font-weight:600;text-decoration:none}
"""


def text(words: str) -> str:
    """Words as the content of an element or of an attribute."""
    return escape(escape_controls(words))


def plan_table(plan: Plan) -> str:
    """What a notebook shows of a plan."""
    table = tabulated(plan)
    rows = table.rows[:MOST_ROWS]
    more = len(table.rows) - len(rows)
    note = "<p>and {} more layers: plan.to_rows() has them all</p>".format(more) if more else ""
    return "<style>{}</style>{}{}".format(STYLE, table_html(table._replace(rows=rows), links=False), note)


def table_html(table: Table, links: bool = True) -> str:
    """The table; with `links`, each value that a text sets leads to its line."""
    lines: List[str] = [
        "<table class=amctcfg><thead><tr><th scope=col>layer<th scope=col>type<th scope=col>quantized<th scope=col>by"
    ]
    if table.has_scores:
        lines.append("<th scope=col>score")
    columns = [field for field in table.columns if field != "quant_enable"]
    lines += ["<th scope=col>{}".format(text(table.columns[field])) for field in columns]
    lines.append("<tbody>")
    scores = [row.score for row in table.rows if row.score is not None]
    bounds = (min([*scores, 0.0]), max([*scores, 1.0]))
    for row in table.rows:
        lines.append("".join(row_html(row, table, columns, bounds, links)))
    lines.append("</table>")
    return "\n".join(lines)


def row_html(row: Row, table: Table, columns: List[str], bounds: Tuple[float, float], links: bool) -> Iterator[str]:
    classes = " ".join(kinds_of(row))
    yield "<tr class='{}'><th scope=row>{}<td>{}".format(classes, text(row.layer.name), text(row.layer.type))
    enabled = row.cells.get("quant_enable")
    if enabled is None:
        yield "<td class=u>{}<td>".format(text(row.state))
    else:
        yield cell_html(row, "quant_enable", enabled, links, "yes" if row.is_quantized else row.state)
        yield "<td class={}>{}".format(TIERS.get(row.tier, "d"), text(row.tier))
    if table.has_scores:
        yield score_html(row.score, bounds)
    for field in columns:
        cell = row.cells.get(field)
        yield "<td>" if cell is None else cell_html(row, field, cell, links)


def kinds_of(row: Row) -> Iterator[str]:
    """What the filters of the page choose by."""
    if not row.is_quantized:
        yield "skipped"
    if row.tier.startswith("override"):
        yield "overridden"
    if any(cell.origin.shadowed for cell in row.cells.values()):
        yield "shadowed"
    if row.changed:
        yield "changed"


def cell_html(row: Row, field: str, cell: Cell, links: bool, words: str = "") -> str:
    value = text(words or ("" if cell.value is None else format_value(cell.value)))
    if cell.is_changed:
        before = "none" if cell.before is None else format_value(cell.before)
        value = "<del>{}</del> <ins>{}</ins>".format(text(before), value or "none")
    kind = TIERS.get(cell.origin.tier, "")
    if not kind and not cell.origin.shadowed:
        return "<td>" + value
    classes = " ".join(filter(None, (kind, "s" if cell.origin.shadowed else "")))
    attribute = " class={}".format(classes) if " " not in classes else " class='{}'".format(classes)
    why = text(explained(row, field))
    if links and cell.origin.span is not None:
        return '<td{}><a href=#L{} title="{}">{}</a>'.format(attribute, cell.origin.span.line, why, value)
    return '<td{} tabindex=0 title="{}">{}'.format(attribute, why, value)


def score_html(score: Optional[float], bounds: Tuple[float, float]) -> str:
    if score is None:
        return "<td>"
    low, high = bounds
    return "<td><meter min={:g} max={:g} value={:g}></meter> {:.4g}".format(low, high, score, score)
