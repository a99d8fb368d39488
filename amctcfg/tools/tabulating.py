# SPDX-License-Identifier: Apache-2.0
"""A plan as a table: a row a layer, with what it gets, which tier decided, and what is not the default."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from ..diagnostics.words import format_value
from ..flavours.flavour import Flavour
from ..flavours.layer import Layer
from ..resolve.effective import EffectiveConfig, Origin, values_of
from ..resolve.plan import Plan
from ..resolve.resolver import Resolver
from .explaining import Explanation, labels

READ, NOTHING = "quant_config", "default"


class Cell(NamedTuple):
    """A value of a layer: what decided, whether it is the default, what it was before where that is another plan's."""

    value: Any
    origin: Origin
    is_default: bool
    before: Any = None
    is_changed: bool = False


class Row(NamedTuple):
    """A layer: `state` is "quantized" or why it is not; `tier` the block that it has; `cells` by dotted name.

    `explanation` has the words for each cell; None for a layer that can't be quantized, which has no cells.
    """

    layer: Layer
    state: str
    tier: str
    cells: Dict[str, Cell]
    score: Optional[float]
    explanation: Optional[Explanation]

    @property
    def is_quantized(self) -> bool:
        return self.state == "quantized"

    @property
    def changed(self) -> Dict[str, Cell]:
        """The cells that have another value than before."""
        return {field: cell for field, cell in self.cells.items() if cell.is_changed}

    @property
    def notable(self) -> Dict[str, Cell]:
        """The cells of the block and of fusion that are not the default."""
        return {f: c for f, c in self.cells.items() if f != "quant_enable" and not c.is_default}


class Table(NamedTuple):
    """The rows, the dotted names of all columns with their labels, and which of them hold values at all."""

    rows: List[Row]
    columns: Dict[str, str]
    has_scores: bool
    has_before: bool


def tabulated(
    plan: Plan,
    merger: Optional[Resolver] = None,
    name: str = "",
    before: Optional[Plan] = None,
    scores: Optional[Mapping[str, float]] = None,
    others: Iterable[Tuple[Layer, str]] = (),
) -> Table:
    """The table of a plan.

    merger -- what the plan was made by, for the reasons of its values. name -- of the file. before -- another plan to
    compare with. scores -- of layers. others -- layers that can't be quantized, each with the reason.
    """
    merger, name = merger or plan.resolver, name or plan.name
    usual = Resolver(plan.flavour.config(), flavour=plan.flavour)
    old: Mapping[str, EffectiveConfig] = before if before is not None else {}
    rows = []
    for effective in plan.values():
        layer = effective.layer
        cells = cells_of(effective, usual, old.get(layer.name), before is not None)
        explanation = Explanation(merger, effective, name=name)
        origin = effective.origins["quant_enable"]
        state = "quantized" if effective.quant_enable else reason(origin)
        tier = tier_of(layer, merger, plan.config is None)
        rows.append(Row(layer, state, tier, cells, (scores or {}).get(layer.name), explanation))
    rows += [Row(layer, why, "", {}, (scores or {}).get(layer.name), None) for layer, why in others]
    columns = list(dict.fromkeys(field for row in rows for field in row.cells))
    return Table(rows, labels(columns), bool(scores), before is not None)


def reason(origin: Origin) -> str:
    """Why a layer is not quantized, in a word or two."""
    return {"skip_layers": "skipped", "skip_layer_types": "type skipped"}.get(origin.tier, "not quantized")


def tier_of(layer: Layer, merger: Optional[Resolver], is_read: bool) -> str:
    """The tier whose block a layer has."""
    if is_read or merger is None:
        return READ
    tiers = merger.tiers(layer)
    return tiers[0].name if tiers else NOTHING


def cells_of(
    effective: EffectiveConfig, usual: Resolver, old: Optional[EffectiveConfig], compared: bool
) -> Dict[str, Cell]:
    defaults: Dict[str, Any] = dict(
        {"quant_enable": True, "fuse": True}, **values_of(usual.calibration(effective.layer))
    )
    fields = effective.calibration_config.__schema__.fields
    before: Dict[str, Any] = {}
    if old is not None:
        before = dict({"quant_enable": old.quant_enable, "fuse": old.fuse}, **values_of(old.calibration_config))
    cells = {}
    for field, origin in effective.origins.items():
        part, _, name = field.partition(".")
        if field in defaults:
            default = defaults[field]
        else:  # of another algorithm than the default one
            default = fields[part].kind.__schema__.fields[name].default if name else fields[part].default
        changed = compared and before.get(field) != origin.value
        cells[field] = Cell(
            origin.value, origin, origin.value == default and field in defaults, before.get(field), changed
        )
    for field, value in before.items():
        if field not in cells:  # an algorithm that the layer had before
            cells[field] = Cell(None, Origin(NOTHING, None), True, value, True)
    return cells


def words_of(field: str, label: str, cell: Cell) -> str:
    """`search_step=0.02`, with what it was before."""
    value = "none" if cell.value is None else format_value(cell.value)
    was = " (was {})".format("none" if cell.before is None else format_value(cell.before)) if cell.is_changed else ""
    return "{}={}{}".format(label, value, was)


def others_of(examined: Iterable[Any], flavour: Flavour[Any]) -> List[Tuple[Layer, str]]:
    """The layers of quantizable types that can't be quantized, with the reason."""
    found = []
    for layer, why, *_ in examined:
        if layer.type in flavour.quantizable_types and not flavour.quantizes(layer):
            found.append((layer, why or "not supported"))
    return found


def explained(row: Row, field: str) -> str:
    """Where a cell's value comes from, and what lost against it."""
    cell = row.cells[field]
    if row.explanation is None:
        return ""
    parts = [row.explanation.source(field, cell.origin)]
    for lost in row.explanation.shadowed(field, cell.origin):
        place = row.explanation.place(lost)
        parts.append(
            "not {} at {}: {}".format(
                format_value(lost.value), place, row.explanation.why_not(field, cell.origin, lost)
            )
        )
    return "; ".join(parts)
