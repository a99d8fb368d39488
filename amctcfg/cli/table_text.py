# SPDX-License-Identifier: Apache-2.0
"""The table of a plan as text: what is the same for all layers once, equal neighbours in one row, at most a width."""

from __future__ import annotations

import textwrap
from itertools import groupby
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple

from ..diagnostics.diagnostic import PLAIN
from ..diagnostics.words import escape_controls, pluralize
from ..resolve.effective import READ
from ..tools.tabulating import Row, Table, run_name, score_texts, word_cell

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


# The columns that are there if not all layers have the same: what each says of a layer, and what several values are.
IF_DIFFERENT: Dict[str, Tuple[Callable[[Row], str], str]] = {
    "type": (lambda row: row.layer.type, "types"),
    "quantized": (lambda row: "yes" if row.is_quantized else row.state, "reasons"),
    "by": (lambda row: row.tier, "tiers"),
}


class TextTable:
    """Writes a table for people; `every` leaves equal neighbours apart."""

    def __init__(self, table: Table, every: bool) -> None:
        self.table: Table = table
        self.every: bool = every
        self.scores: Dict[float, str] = score_texts(row.score for row in table.rows if row.score is not None)
        self.constant: Dict[str, str] = {}
        for name, (value_of, _) in IF_DIFFERENT.items():
            values = [value_of(row) for row in table.rows if row.cells or name != "by"]
            if len(values) > 1 and len(set(values)) == 1:
                self.constant[name] = values[0]

    def head(self) -> List[str]:
        names = [name for name in IF_DIFFERENT if name not in self.constant]
        score = [self.table.score] if self.table.has_scores else []
        return ["layer", *names, *score, *self.table.extras, "changes" if self.table.has_before else "not the default"]

    def above(self) -> str:
        """Say what is the same for all layers: `All 54 layers: Conv2D, by common_config, search_step=0.02`."""
        values = [("by " if name == "by" else "") + value for name, value in self.constant.items()]
        for field, cell in self.table.shared.items():
            if cell.is_changed or not cell.is_default:
                values.append(word_cell(self.table.columns[field], cell))
        number = sum(bool(row.cells) for row in self.table.rows)
        return "All {} layers: {}".format(number, ", ".join(values)) if values else ""

    def words(self, row: Row) -> str:
        """Say what is special about a layer's settings."""
        cells = row.changed if self.table.has_before else row.notable
        return ", ".join(
            word_cell(self.table.columns[field], cell)
            for field, cell in cells.items()
            if field not in self.table.shared
        )

    def key(self, row: Row) -> Any:
        if self.every or row.extras:
            return row.layer.name
        if not row.cells:
            return "not quantizable"
        return row.state, self.table.has_before or row.tier, self.words(row)

    def runs(self, rows: Iterable[Row]) -> List[List[Row]]:
        found: List[List[Row]] = []
        for _, neighbours in groupby(rows, self.key):
            run = list(neighbours)
            found += [run] if len(run) >= FEWEST else [[row] for row in run]
        return found

    def cells(self, run: Sequence[Row]) -> List[str]:
        """Return the texts of a row for some equal layers."""
        first = run[0]
        texts = [run_name([row.layer.name for row in run])]
        for name, (value_of, what) in IF_DIFFERENT.items():
            if name not in self.constant:
                texts.append(join_different(list(map(value_of, run)), what))
        if self.table.has_scores:
            scores = sorted(row.score for row in run if row.score is not None)
            ends = dict.fromkeys(self.scores[score] for score in scores[:1] + scores[-1:])
            texts.append(" to ".join(ends))
        texts += ["" if label not in first.extras else str(first.extras[label]) for label in self.table.extras]
        return [escape_controls(text) for text in (*texts, self.words(first))]

    def text(self, rows: Sequence[Row], width: Optional[int], color: bool) -> List[str]:
        """Return the lines: what all share, then a table, or where that is too wide a paragraph for each layer."""
        above = wrap(escape_controls(self.above()), width, "  ")
        runs = self.runs(rows)
        cells = [self.cells(run) for run in runs]
        head = self.head()
        widths = [max(len(row[column]) for row in [head, *cells]) for column in range(len(head) - 1)]
        stacked = False
        if width is not None:  # the names give way first
            rest = sum(widths[1:]) + 2 * len(widths) + LAST
            stacked = width - rest < min(NARROWEST, widths[0])
            widths[0] = min(widths[0], max(width - rest, 1))
        lines = [] if stacked else [place_cells(head, widths)]
        for run, texts in zip(runs, cells):
            found = stacked_row(texts, head, width or 0) if stacked else table_row(texts, widths, width)
            colour = colour_of(run[0]) if color else ""
            lines += [colour + line + PLAIN if colour else line for line in found]
        return above + lines


def join_different(values: Sequence[str], what: str) -> str:
    different = list(dict.fromkeys(values))
    return ", ".join(different) if len(different) < 3 else "{} {}".format(len(different), what)


def place_cells(texts: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join([*["{:<{}}".format(t, w) for t, w in zip(texts, widths)], texts[-1]]).rstrip()


def wrap(text: str, width: Optional[int], indent: str = "") -> List[str]:
    """Break a text into lines of at most a width, those after the first indented."""
    if width is None or len(text) <= width:
        return [text] if text else []
    indent = indent if width > 2 * len(indent) else ""
    return textwrap.wrap(text, max(width, 1), subsequent_indent=indent, break_on_hyphens=False)


def break_name(name: str, width: int) -> List[str]:
    """Break a name into lines, behind a `/` where there is one."""
    lines = []
    while len(name) > width:
        cut = name.rfind("/", 1, width) + 1 or width
        lines.append(name[:cut])
        name = name[cut:]
    return [*lines, name]


def table_row(texts: List[str], widths: Sequence[int], width: Optional[int]) -> List[str]:
    if width is None:
        return [place_cells(texts, widths)]
    left = sum(widths) + 2 * len(widths)
    last = wrap(texts[-1], max(width - left, 1)) or [""]
    lines = []
    if len(texts[0]) > widths[0]:  # a name that is too long has lines of its own
        lines = break_name(texts[0], width)
        texts = ["", *texts[1:]]
    lines.append(place_cells([*texts[:-1], last[0]], widths))
    return lines + [" " * left + more for more in last[1:]]


def stacked_row(texts: List[str], head: List[str], width: int) -> List[str]:
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


def summarize_table(table: Table, shown: int) -> str:
    """Sum up: `54 layers, 52 quantized, 2 skipped, 4 borders between quantized and float layers`"""
    is_read = any(row.tier == READ for row in table.rows)  # JSON does not say that somebody skipped a layer
    counts = [
        (sum(row.is_quantized for row in table.rows), "quantized", True),
        (sum(row.is_skipped for row in table.rows), "not quantized" if is_read else "skipped", False),
        (sum(row.is_refused for row in table.rows), "refused by the toolkit", False),
        (sum(row.explanation is None for row in table.rows), "not quantizable", False),
        (sum(bool(row.changed) for row in table.rows), "changed", table.has_before),
    ]
    words = [pluralize(len(table.rows), "layer")]
    words += ["{} {}".format(number, what) for number, what, always in counts if number or always]
    if table.borders:
        words.append("{} between quantized and float layers".format(pluralize(table.borders, "border")))
    return ", ".join(words) + ("; {} shown".format(shown) if shown != len(table.rows) else "")
