# SPDX-License-Identifier: Apache-2.0
"""Reports for programs and reviews: diagnostics in several formats, and what a diff found."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Sequence

from .. import __version__
from ..checks.context import shown
from ..diagnostics.codes import CODES
from ..diagnostics.diagnostic import ERROR, Diagnostic
from ..diagnostics.words import counted, named, quoted, safe
from ..resolve.merging import Origin
from ..tools.auditing import Finding
from ..tools.diffing import Change

__all__ = ["DIFF_FORMATS", "FORMATS", "FORMAT_VERSION", "audit_json", "audit_text", "summary_line"]

FORMAT_VERSION = 1  # of the JSON reports


def summary_line(found: Sequence[Diagnostic], files: int, fixed: int = 0, fixable: int = 0, hidden: int = 0) -> str:
    """`Found 3 errors and 1 warning in 2 files; 2 fixable with --fix.`"""
    errors = sum(diagnostic.severity == ERROR for diagnostic in found)
    warnings = len(found) - errors
    where = "" if files == 1 else " in {}".format(counted(files, "file"))
    parts = [counted(errors, "error")] if errors or not warnings else []
    parts += [counted(warnings, "warning")] if warnings else []
    line = "Found {}{}".format(" and ".join(parts), where) if found else "All is fine{}".format(where)
    notes = ["{} fixed".format(fixed)] if fixed else []
    notes += ["{} fixable with --fix".format(fixable)] if fixable else []
    notes += ["{} more with --unsafe-fixes".format(hidden)] if hidden else []
    return "; ".join([line, *notes]) + "."


def to_concise(found: Iterable[Diagnostic]) -> str:
    """A line each."""
    return "".join("{}\n".format(diagnostic) for diagnostic in found)


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
    return safe("::{} {}::{}".format(diagnostic.severity, listed, escaped(text, "%\r\n"))) + "\n"


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
FORMATS: Dict[str, Callable[[Iterable[Diagnostic]], str]] = {
    "concise": to_concise,
    "json": to_json,
    "github": to_github,
    "sarif": to_sarif,
}


# ---------------------------------------------------------------- diff


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
