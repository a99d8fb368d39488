# SPDX-License-Identifier: Apache-2.0
"""Reports for programs and reviews: diagnostics as JSON, GitHub annotations and SARIF 2.1.0; what a diff found."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Sequence, Tuple

from . import __version__
from .codes import CODES
from .diagnostics import ERROR, Diagnostic
from .diffing import Change
from .lint import short, shown
from .merging import Origin
from .model import named

__all__ = ["DIFF_FORMATS", "FORMATS"]

FORMAT_VERSION = 1  # of the JSON report


def to_json(found: Iterable[Diagnostic]) -> str:
    """One object: `version`, and `diagnostics`, each with the fields of `Diagnostic` and the span laid open."""
    rows: List[Dict[str, Any]] = []
    for diagnostic in found:
        row: Dict[str, Any] = {"file": diagnostic.name, "severity": diagnostic.severity, "code": diagnostic.code}
        row.update(message=diagnostic.message, hint=diagnostic.hint)
        row["path"] = None if diagnostic.path is None else list(diagnostic.path)
        row["span"] = None if diagnostic.span is None else dict(diagnostic.span._asdict())
        rows.append(row)
    return json.dumps({"version": FORMAT_VERSION, "diagnostics": rows}, indent=2, ensure_ascii=False) + "\n"


def to_github(found: Iterable[Diagnostic]) -> str:
    """Workflow commands, which GitHub shows as annotations of the lines."""
    return "".join(map(github_line, found))


def github_line(diagnostic: Diagnostic) -> str:
    properties = {"file": diagnostic.name}
    if diagnostic.span is not None:
        span = diagnostic.span
        properties.update(line=str(span.line), endLine=str(span.end_line), col=str(span.column))
        if span.end_line == span.line:  # GitHub takes columns within a line only
            properties.update(endColumn=str(span.end_column))
    properties["title"] = diagnostic.code
    text = diagnostic.message + (" ({})".format(diagnostic.hint) if diagnostic.hint else "")
    listed = ",".join("{}={}".format(name, escaped(value, "%\r\n:,")) for name, value in properties.items())
    return "::{} {}::{}\n".format(diagnostic.severity, listed, escaped(text, "%\r\n"))


def escaped(text: str, characters: str) -> str:
    return "".join("%{:02X}".format(ord(c)) if c in characters else c for c in text)


def to_sarif(found: Iterable[Diagnostic]) -> str:
    """A SARIF 2.1.0 log with one run; columns count Unicode characters."""
    rules = [
        {
            "id": code,
            "shortDescription": {"text": described.summary},
            "help": {"text": described.cure},
            "defaultConfiguration": {"level": described.severity},
        }
        for code, described in CODES.items()
    ]
    driver = {"name": "amctcfg", "version": __version__, "rules": rules}
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": list(map(sarif_result, found))}
    log = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def sarif_result(diagnostic: Diagnostic) -> Dict[str, Any]:
    from urllib.parse import quote

    location: Dict[str, Any] = {"artifactLocation": {"uri": quote(diagnostic.name.replace("\\", "/"))}}
    if diagnostic.span is not None:
        span = diagnostic.span
        location["region"] = {
            "startLine": span.line,
            "startColumn": span.column,
            "endLine": span.end_line,
            "endColumn": span.end_column,
        }
    return {
        "ruleId": diagnostic.code,
        "ruleIndex": list(CODES).index(diagnostic.code),
        "level": "error" if diagnostic.severity == ERROR else "warning",
        "message": {"text": diagnostic.message + (" ({})".format(diagnostic.hint) if diagnostic.hint else "")},
        "locations": [{"physicalLocation": location}],
    }


# What `check --format` offers beside text.
FORMATS: Dict[str, Callable[[Iterable[Diagnostic]], str]] = {"json": to_json, "github": to_github, "sarif": to_sarif}


# ---------------------------------------------------------------- diff


class Row(NamedTuple):
    """The same change of one field for all the layers that have it, in words."""

    field: str
    before: str
    after: str
    whom: str  # empty for a global key
    because: str


def summary(changes: Iterable[Change], types: Dict[str, str], before: str, after: str) -> Iterator[Row]:
    groups: Dict[Any, List[Change]] = {}
    for change in changes:
        places = change.before_origin[:4], change.after_origin[:4]
        key = change.layer is None, change.field, repr((change.before, change.after)), repr(places)
        groups.setdefault(key, []).append(change)
    sizes = Counter(types.values())
    for group in groups.values():
        change = group[0]
        values = shown_value(change.before), shown_value(change.after)
        whom = ""
        if change.layer is not None:
            names = [other.layer or "" for other in group]
            whom = "{}: {}".format(counted(names), named_or_types(names, types, sizes))
        yield Row(short(change.field), *values, whom, because(change, before, after))


def named_or_types(names: List[str], types: Dict[str, str], sizes: Dict[str, int]) -> str:
    """Types, if these are all the layers of theirs, or names."""
    counts = Counter(types[name] for name in names)
    if len(names) > 1 and all(count == sizes[layer_type] for layer_type, count in counts.items()):
        return ", ".join(sorted(counts))
    return named(names)


def because(change: Change, before: str, after: str) -> str:
    """The line that brought the change: that of the new value or, where it is a default, of the one that is gone."""
    if change.after_origin.span:
        return "{}:{}".format(after, change.after_origin.span.line)
    if change.before_origin.span:
        return "{}, was {}:{}".format(change.after_origin.tier, before, change.before_origin.span.line)
    return change.after_origin.tier


def counted(names: Sequence[str]) -> str:
    return "1 layer" if len(names) == 1 else "{} layers".format(len(names))


def diff_text(changes: Iterable[Change], types: Dict[str, str], before: str, after: str) -> str:
    """`search_step 0.01 → 0.02 for 35 layers: Conv2D, B:14`"""
    lines = [
        "{} {} → {}{}, {}\n".format(*row[:3], " for " + row.whom if row.whom else " (global)", row.because)
        for row in summary(changes, types, before, after)
    ]
    return "".join(lines) or "no layer changes\n"


def diff_markdown(changes: Iterable[Change], types: Dict[str, str], before: str, after: str) -> str:
    """A table for a review comment."""
    rows = []
    for row in summary(changes, types, before, after):
        cells = row._replace(whom=row.whom or "global")
        rows.append("| {} |\n".format(" | ".join(cell.replace("|", "\\|") for cell in cells)))
    if not rows:
        return "No layer changes.\n"
    return "| field | before | after | for | because of |\n|---|---|---|---|---|\n" + "".join(rows)


def diff_json(changes: Iterable[Change], types: Dict[str, str], before: str, after: str) -> str:
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
    if isinstance(value, tuple):
        return "[{}]".format(", ".join(value))
    return shown(value)


DiffReport = Callable[[Tuple[Change, ...], Dict[str, str], str, str], str]

DIFF_FORMATS: Dict[str, DiffReport] = {"text": diff_text, "json": diff_json, "markdown": diff_markdown}
