# SPDX-License-Identifier: Apache-2.0
"""Reports of what differs: between two configurations, and between what was asked for and what the toolkit did."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Sequence

from ..checks.context import shown
from ..diagnostics.words import counted, named, quoted, safe
from ..resolve.effective import Origin
from ..tools.auditing import Finding
from ..tools.diffing import Change
from .reports import FORMAT_VERSION

__all__ = ["DIFF_FORMATS", "audit_json", "audit_text"]


class Row(NamedTuple):
    """The same change of one field for all the layers that have it, in words."""

    field: str
    before: str
    after: str
    names: List[str]  # none for a global key
    whom: str
    because: str


def summary(changes: Iterable[Change], types: Dict[str, str], before: str, after: str, every: bool) -> Iterator[Row]:
    groups: Dict[Any, List[Change]] = {}
    for change in changes:
        places = change.before_origin[:4], change.after_origin[:4]
        key = change.layer is None, change.field, repr((change.before, change.after)), repr(places)
        groups.setdefault(key, []).append(change)
    sizes = Counter(types.values())
    for group in groups.values():
        change = group[0]
        values = shown_value(change.before), shown_value(change.after)
        names = [other.layer for other in group if other.layer is not None]
        whom = ""
        if names:
            who = ", ".join(map(quoted, names)) if every else named_or_types(names, types, sizes)
            whom = "{}: {}".format(counted(len(names), "layer"), who)
        yield Row(change.field.rpartition(".")[2], *values, names, whom, because(change, before, after))


def named_or_types(names: List[str], types: Dict[str, str], sizes: Dict[str, int]) -> str:
    """Types where all of their layers are meant, names otherwise."""
    counts = Counter(types.get(name, "") for name in names)
    if len(names) > 1 and all(count == sizes.get(layer_type) for layer_type, count in counts.items()):
        return ", ".join(sorted(counts))
    return named(names)


def because(change: Change, before: str, after: str) -> str:
    """The line that brought the change: that of the new value or, where it is a default, of the one that is gone."""
    if change.after_origin.span:
        return "{}:{}".format(after, change.after_origin.span.line)
    if change.before_origin.span:
        return "{}, was {}:{}".format(change.after_origin.tier, before, change.before_origin.span.line)
    return change.after_origin.tier


DiffReport = Callable[[Sequence[Change], Dict[str, str], str, str, bool], str]


def diff_text(changes: Sequence[Change], types: Dict[str, str], before: str, after: str, every: bool) -> str:
    """Grouped by what changed, then for whom: `search_step 0.01 → 0.02 for 35 layers: Conv2D, B:14`"""
    lines = [
        "{} {} → {}{}, {}".format(
            row.field, row.before, row.after, " for " + row.whom if row.whom else " (global)", row.because
        )
        for row in summary(changes, types, before, after, every)
    ]
    return "".join(safe(line) + "\n" for line in lines) or "no layer changes\n"


def diff_markdown(changes: Sequence[Change], types: Dict[str, str], before: str, after: str, every: bool) -> str:
    """A table for a review comment."""
    rows = []
    for row in summary(changes, types, before, after, every):
        cells = (row.field, row.before, row.after, row.whom or "global", row.because)
        rows.append("| {} |\n".format(" | ".join(safe(cell).replace("|", "\\|") for cell in cells)))
    if not rows:
        return "No layer changes.\n"
    return "| field | before | after | for | because of |\n|---|---|---|---|---|\n" + "".join(rows)


def diff_json(changes: Sequence[Change], types: Dict[str, str], before: str, after: str, every: bool) -> str:
    """One object: `version`, and `changes`, each with the fields of `Change`, the origins laid open."""
    rows = [
        {
            "layer": change.layer,
            "field": change.field,
            "before": change.before,
            "after": change.after,
            "before_origin": origin_row(change.before_origin, before),
            "after_origin": origin_row(change.after_origin, after),
        }
        for change in changes
    ]
    return json.dumps({"version": FORMAT_VERSION, "changes": rows}, indent=2, ensure_ascii=False) + "\n"


def origin_row(origin: Origin, file: str) -> Dict[str, Any]:
    line, column = origin.span[:2] if origin.span else (None, None)
    path = list(origin.path) if origin.path else None
    return {"tier": origin.tier, "path": path, "file": file if path else None, "line": line, "column": column}


def shown_value(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return "[{}]".format(", ".join(str(element) for element in value))
    return shown(value)


DIFF_FORMATS: Dict[str, DiffReport] = {"text": diff_text, "json": diff_json, "markdown": diff_markdown}


# ---------------------------------------------------------------- audit


def audit_text(findings: Sequence[Finding], unseen: Dict[str, int], file: str) -> str:
    """A line for each finding: `conv1: channel_wise is false, asked true (common_config, quant.cfg:3:5)`"""
    lines = []
    for finding in findings:
        place = finding.origin.tier
        if finding.origin.span is not None:
            place = "{}, {}:{}:{}".format(place, file, *finding.origin.span[:2])
        who = "global" if finding.layer is None else quoted(finding.layer)
        done, asked = shown_value(finding.done), shown_value(finding.asked)
        name = finding.field.rpartition(".")[2]
        lines.append("{}: {} is {}, asked for was {} ({})".format(who, name, done, asked, place))
    lines += ["not visible in the record: {} of {}".format(f, counted(n, "layer")) for f, n in unseen.items()]
    lines.append(
        "{} found".format(counted(len(findings), "difference")) if findings else "what was done is what was asked for"
    )
    return "".join(safe(line) + "\n" for line in lines)


def audit_json(findings: Sequence[Finding], unseen: Dict[str, int], file: str) -> str:
    """One object: `version`, `file`, `findings`, and for each field the number of layers for which it is not visible."""
    rows = [
        {
            "layer": finding.layer,
            "field": finding.field,
            "asked": finding.asked,
            "origin": origin_row(finding.origin, file),
            "done": finding.done,
        }
        for finding in findings
    ]
    report = {"version": FORMAT_VERSION, "file": file, "findings": rows, "not_visible": unseen}
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"
