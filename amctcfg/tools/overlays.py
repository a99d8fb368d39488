# SPDX-License-Identifier: Apache-2.0
"""A plan on the graph of its model: overlays for Netron and Model Explorer, and the borders, each of which costs a conversion."""

from __future__ import annotations

from typing import Any, Callable, Iterator, Mapping, Sequence

from ..diagnostics.words import drop_infinite, dump_json
from .tabulating import Row, Table, show_value, word_cell

SKIPPED_STATE = "skip"
MOST_BITS = 1 << 31  # of all sets of layers together, after which the order of the layers has to do

# The colours of Model Explorer's nodes, by what decided; the gradient goes from the worst score to the best.
TIER_COLOURS = {"override_layer_configs": "#efd9f8", "override_layer_types": "#cdebf1", "common_config": "#d6edd6"}
SKIPPED, CHANGED, REFUSED, TEXT_COLOUR = "#fbe6b4", "#d9e4fd", "#fbd5d2", "#1c1e21"
GRADIENT = ("#f28b6b", "#fbe6b4", "#d6edd6")


def find_supported_rows(table: Table, names: Mapping[str, str]) -> Iterator[tuple[Row, str]]:
    """Find the layers that can be quantized, each with the name of its node; one without a name can't be pointed at."""
    for row in table.rows:
        name = names.get(row.layer.name, row.layer.name)
        if row.explanation is not None and name:
            yield row, name


def state_of(row: Row) -> str:
    """Say whether the layer is quantized, in the words that a viewer shows."""
    return "quantized" if row.is_quantized else row.state if row.is_refused else SKIPPED_STATE


def write_overlay(overlay: dict[str, Any]) -> str:
    return dump_json(overlay, indent=1, allow_nan=False) + "\n"


# ---------------------------------------------------------------- Netron


def make_netron(table: Table, names: Mapping[str, str]) -> str:
    """Write an attachment for Netron; `names` are those of the layers' nodes in the model's file, where they are others."""
    metadata: list[dict[str, Any]] = []
    metrics: list[dict[str, Any]] = []
    for row, node in find_supported_rows(table, names):
        entry = {"kind": "node", "target": node.split("\n")[0], "type": "attribute"}  # Netron looks at the first line
        texts = {"quantization": state_of(row), "decided by": row.tier}
        for field, cell in {**row.notable, **row.changed}.items():
            before = "{} → ".format(show_value(cell.before)) if cell.is_changed else ""
            texts[table.columns[field]] = before + show_value(cell.value)
        metadata += [dict(entry, name=name, value=value) for name, value in texts.items()]
        score = drop_infinite(row.score)
        numbers = dict(row.extras) if score is None else {table.score: score, **row.extras}
        metrics += [dict(entry, name=name, value=value) for name, value in numbers.items()]
    return write_overlay({"signature": "netron:attachment", "metadata": metadata, "metrics": metrics})


# ---------------------------------------------------------------- Model Explorer


def make_model_explorer(table: Table, names: Mapping[str, str]) -> str:
    """Write node data for Model Explorer: scores, else what decided; changes, where two plans are compared."""
    what = table.score if table.has_scores else "quantization"
    results = {node: make_node_data(row, table) for row, node in find_supported_rows(table, names)}
    overlay: dict[str, Any] = {"name": "amctcfg: {}".format(what), "results": results}
    if table.has_scores:
        colours = GRADIENT if table.low_is_sensitive is not False else GRADIENT[::-1]
        overlay["gradient"] = [{"stop": stop, "bgColor": colour} for stop, colour in zip((0, 0.5, 1), colours)]
    return write_overlay(overlay)


def make_node_data(row: Row, table: Table) -> dict[str, Any]:
    """Return what is written on a node, and its colours; a mere score gets its colour from the gradient."""
    score = drop_infinite(row.score)
    if row.is_quantized and score is not None and not row.changed:
        return {"value": score}
    words = [state_of(row)]
    if row.is_quantized and not (table.has_before or table.has_scores):
        words.append(row.tier)
    for field, cell in row.changed.items():
        if field == "quant_enable":
            words.append("was {}".format("quantized" if cell.before else SKIPPED_STATE))
        else:
            words.append(word_cell(table.columns[field], cell))
    if score is not None:
        words.append("{} {:.6g}".format(table.score, score))
    if row.is_quantized:
        colour = (CHANGED if row.changed else None) if table.has_before else TIER_COLOURS.get(row.tier)
    else:
        colour = REFUSED if row.is_refused else SKIPPED
    colours = {"bgColor": colour, "textColor": TEXT_COLOUR} if colour else {}
    return {"value": ", ".join(words), **colours}


OVERLAYS: dict[str, Callable[[Table, Mapping[str, str]], str]] = {
    "netron": make_netron,
    "model-explorer": make_model_explorer,
}


# ---------------------------------------------------------------- borders between quantized and float layers


def count_borders(is_quantized: Mapping[str, bool], inputs: Mapping[str, Sequence[str]] | None = None) -> int:
    """Count the pairs of layers, one quantized and one not, of which one reads what the other makes.

    `inputs` are for each node of the graph the nodes that it reads, of which those that are not layers are passed through;
    without it, layers that follow each other count as connected.
    """
    if inputs is None or len(is_quantized) * len(inputs) > MOST_BITS:
        states = list(is_quantized.values())
        return sum(one != other for one, other in zip(states, states[1:]))
    numbers = {name: number for number, name in enumerate(is_quantized)}
    quantized = sum(1 << numbers[name] for name, state in is_quantized.items() if state)
    made = sources_of(numbers, inputs)
    count = 0
    for name, state in is_quantized.items():
        read = 0
        for source in inputs.get(name, ()):
            read |= made.get(source, 0)
        count += bin(read & ~quantized if state else read & quantized).count("1")
    return count


def sources_of(numbers: Mapping[str, int], inputs: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Find for each node the layers that its output comes from, as the bits of a number."""
    made = {name: 1 << number for name, number in numbers.items()}
    for start in inputs:
        pending = [start]
        while pending:
            node = pending[-1]
            missing = [source for source in inputs.get(node, ()) if source not in made]
            if node not in made and missing:
                made[node] = 0  # a cycle adds nothing
                pending += missing
                continue
            pending.pop()
            if node not in numbers:
                found = 0
                for source in inputs.get(node, ()):
                    found |= made.get(source, 0)  # none yet, where the node reads itself
                made[node] = found
    return made
