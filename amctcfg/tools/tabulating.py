# SPDX-License-Identifier: Apache-2.0
"""A plan as a table: a row a layer, with what it gets, which tier decided, and what is not the default."""

from __future__ import annotations

import math
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

from ..diagnostics.diagnostic import Diagnostic
from ..diagnostics.words import format_value
from ..flavours.layer import Layer
from ..resolve.effective import READ, EffectiveConfig, Origin
from ..resolve.plan import Plan
from ..resolve.resolver import DEFAULT, Resolver, Rules
from .explaining import Explanation, shorten_names

QUANTIZED = "quantized"
SKIPPED_BY = {"skip_layers": "skipped", "skip_layer_types": "type skipped"}


class Cell(NamedTuple):
    """A value of a layer: what decided, whether it is the default, and what it was before, in another plan."""

    value: Any
    origin: Origin
    is_default: bool
    before: Any
    is_changed: bool

    @property
    def hides(self) -> bool:
        """Tell whether a line sets another value, which lost."""
        return any(lost.value != self.value for lost in self.origin.shadowed)


class Row(NamedTuple):
    """A layer: `state` is "quantized" or why it is not; `tier` the block that it has; `cells` by dotted name.

    A layer that can't be quantized has no `explanation` and no cells. `extras` are by the columns of the table's `extras`.
    `is_refused`: the toolkit would stop at it.
    """

    layer: Layer
    state: str
    tier: str
    cells: dict[str, Cell]
    score: float | None
    explanation: Explanation | None
    extras: Mapping[str, Any] = {}
    is_refused: bool = False

    @property
    def is_quantized(self) -> bool:
        return self.state == QUANTIZED

    @property
    def is_skipped(self) -> bool:
        """Tell whether the configuration keeps a layer in floats that could be quantized."""
        return self.explanation is not None and not self.is_quantized and not self.is_refused

    @property
    def changed(self) -> dict[str, Cell]:
        """The cells that have another value than before."""
        return {field: cell for field, cell in self.cells.items() if cell.is_changed}

    @property
    def notable(self) -> dict[str, Cell]:
        """The cells that are not the default, or are it although a line sets another value; not `quant_enable`."""
        return {f: c for f, c in self.cells.items() if f != "quant_enable" and (not c.is_default or c.hides)}


class Table(NamedTuple):
    """A plan's layers and what is to be seen of them.

    columns -- the dotted names of all settings, with their labels. shared -- what is the same for all layers. extras -- the
    labels of further columns. score -- what the scores are.
    """

    rows: list[Row]
    columns: dict[str, str]
    has_scores: bool
    has_before: bool
    shared: Mapping[str, Cell]
    extras: tuple[str, ...]
    score: str
    low_is_sensitive: bool | None

    @property
    def varying(self) -> dict[str, str]:
        """The settings that differ between layers, with their labels."""
        return {f: label for f, label in self.columns.items() if f not in self.shared and f != "quant_enable"}

    def sort_worst_first(self, rows: Iterable[Row]) -> list[Row]:
        """Sort rows by score, the one that quantizing hurts most first; those without a score last."""
        sign = -1 if self.low_is_sensitive is False else 1
        return sorted(rows, key=lambda row: (row.score is None, sign * (row.score or 0.0)))


class View(NamedTuple):
    """A plan as it is shown: its table, the rows that were asked for, and what it was made of.

    borders -- between quantized and float layers. text -- the configuration, None for JSON. against -- the name of the file
    that is compared. nodes -- the names of the layers' nodes. notes -- sentences below the figures.
    """

    plan: Plan
    table: Table
    rows: list[Row]
    borders: int
    model: str
    rules: Rules
    text: str | None
    warnings: tuple[Diagnostic, ...]
    against: str
    nodes: Mapping[str, str]
    notes: tuple[str, ...] = ()


class Measured(NamedTuple):
    """The findings of a simulation, by the layers' names: scores, the values of further columns, why the toolkit would stop."""

    scores: Mapping[str, float] | None = None
    score: str = "score"
    extras: Mapping[str, Mapping[str, Any]] = {}
    refusals: Mapping[str, str] = {}


def tabulate(
    plan: Plan,
    before: Plan | None = None,
    measured: Measured | None = None,
    others: Iterable[tuple[Layer, str]] = (),
) -> Table:
    """Return the table of a plan; `others` are layers that can't be quantized, each with the reason."""
    usual = Resolver(plan.flavour.config(), flavour=plan.flavour)
    measured = measured or Measured()
    scores = measured.scores or {}
    rows = []
    for effective in plan.values():
        layer = effective.layer
        cells = compare_cells(effective, usual, before)
        skipped = SKIPPED_BY.get(cells["quant_enable"].origin.tier, "not quantized")
        state = measured.refusals.get(layer.name, QUANTIZED if effective.quant_enable else skipped)
        explanation = Explanation(plan.resolver, effective, name=plan.name)
        tier = READ if plan.resolver is None else plan.resolver.find_highest_tier(layer)
        more = measured.extras.get(layer.name, {})
        rows.append(
            Row(layer, state, tier, cells, scores.get(layer.name), explanation, more, layer.name in measured.refusals)
        )
    shared = find_shared_cells(rows)
    rows += [Row(layer, why, "", {}, scores.get(layer.name), None) for layer, why in others]
    columns = list(dict.fromkeys(field for row in rows for field in row.cells))
    extras = tuple(dict.fromkeys(label for row in rows for label in row.extras))
    direction = getattr(measured.scores, "low_is_sensitive", None)
    labels, has_before = shorten_names(columns), before is not None
    return Table(rows, labels, bool(scores), has_before, shared, extras, measured.score, direction)


def find_shared_cells(rows: Sequence[Row]) -> dict[str, Cell]:
    """Find the settings that are the same for all layers, each as one of them has it."""
    shared = {}
    for field in rows[0].cells if len(rows) > 1 else ():
        cells = [row.cells[field] for row in rows if field in row.cells]
        is_same = len(cells) == len(rows) and len({(cell.value, cell.before) for cell in cells}) == 1
        if is_same and field != "quant_enable":
            shared[field] = next((cell for cell in cells if not cell.is_default), cells[0])
    return shared


def run_name(names: Sequence[str]) -> str:
    """Name several neighbours together: the scope that they share, or the first and the last."""
    if len(names) == 1:
        return names[0]
    first, last = min(names), max(names)  # what these two share, all share
    length = next((at for at, (one, other) in enumerate(zip(first, last)) if one != other), len(first))
    scope = find_scope(first[:length])
    return "{} layers {}".format(len(names), scope + "…" if scope else "{} … {}".format(names[0], names[-1]))


def find_scope(name: str) -> str:
    """Return the part of a name in front of its last part, with the separator, which is `/` or else `.`."""
    return name[: max(name.rfind("/"), -1 if "/" in name else name.rfind(".")) + 1]


def compare_cells(effective: EffectiveConfig, usual: Resolver, old_plan: Plan | None) -> dict[str, Cell]:
    """Return the settings of a layer by dotted name, beside the defaults and what it had before."""
    old = None if old_plan is None else old_plan.get(effective.layer.name)
    defaults = usual.merge(effective.layer).settings()
    before = {} if old is None else old.settings()
    cells = {}
    for field, origin in effective.origins.items():
        is_default = field in defaults and origin.value == defaults[field]  # a field of another algorithm is none
        changed = old_plan is not None and before.get(field) != origin.value
        cells[field] = Cell(origin.value, origin, is_default, before.get(field), changed)
    for field, value in before.items():
        if field not in cells:  # an algorithm that the layer had before
            cells[field] = Cell(None, Origin(DEFAULT, None), True, value, True)
    return cells


def word_cell(label: str, cell: Cell) -> str:
    """Write `search_step=0.02`, with what it was before."""
    notes = ["default"] if cell.is_default and cell.value is not None and not cell.is_changed else []
    if cell.is_changed:
        notes.append("was {}".format(show_value(cell.before)))
    return "{}={}{}".format(label, show_value(cell.value), " ({})".format(", ".join(notes)) if notes else "")


def show_value(value: Any) -> str:
    """Return a value for people; of an algorithm that a layer does not have, a dash."""
    return "–" if value is None else format_value(value)


# ---------------------------------------------------------------- scores


def write_scores(scores: Iterable[float]) -> dict[float, str]:
    """Return scores as text, each with as many digits as tell it from its neighbours: 0.9999 and 0.99991, not 1 and 1."""
    ordered = sorted(set(scores))
    texts = {}
    for index, score in enumerate(ordered):
        neighbours = ordered[max(index - 1, 0) : index] + ordered[index + 1 : index + 2]
        texts[score] = write_score(score, neighbours)
    return texts


def write_score(score: float, neighbours: Sequence[float]) -> str:
    if not math.isfinite(score) or (score != 0 and not 1e-4 <= abs(score) < 1e9):
        return "{:.4g}".format(score)
    text = ""
    for decimals in range(2, 10):
        text = "{:.{}f}".format(score, decimals)
        others = ["{:.{}f}".format(other, decimals) for other in neighbours if math.isfinite(other)]
        if text not in others and not (float(text) == round(score) != score):
            break
    return text
