# SPDX-License-Identifier: Apache-2.0
"""Reports of diagnostics in the formats for programs and reviews, and what the reports of several commands share."""

from __future__ import annotations

import os
from typing import Any, Callable, Iterable, Sequence

from .. import __version__
from ..diagnostics.diagnostic import Diagnostic
from ..diagnostics.words import dump_json, escape_controls
from ..resolve.effective import Origin
from .console import check_neutral

FORMAT_VERSION = 1  # of the JSON reports


def write_json(**values: Any) -> str:
    """Write one object, which begins with the version of its form."""
    return dump_json(dict(version=FORMAT_VERSION, **values), indent=2, allow_nan=False) + "\n"


def align(rows: Iterable[Sequence[str]], justify: Callable[[str, int], str] = str.ljust) -> list[str]:
    """Return the lines of a table; `justify` places all columns but the first."""
    rows = [[escape_controls(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join([row[0].ljust(widths[0]), *map(justify, row[1:], widths[1:])]).rstrip() for row in rows]


def to_json(found: Iterable[Diagnostic]) -> str:
    rows = []
    for d in found:
        row = {"file": d.name, "severity": d.severity, "code": d.code, "message": d.message, "hint": d.hint}
        rows.append(dict(row, path=d.path, span=d.span and d.span._asdict()))
    return write_json(diagnostics=rows)


def write_github_line(diagnostic: Diagnostic) -> str:
    properties: dict[str, Any] = {"file": diagnostic.name}
    span = diagnostic.span
    if span is not None:
        properties.update(line=span.line, endLine=span.end_line, col=span.column)
        if span.end_line == span.line:  # GitHub takes columns within a line only
            properties["endColumn"] = span.end_column
    properties["title"] = diagnostic.code
    listed = ",".join("{}={}".format(name, encode_percent(str(v), "%\r\n:,")) for name, v in properties.items())
    line = "{} {}::{}".format(diagnostic.severity, listed, encode_percent(with_hint(diagnostic), "%\r\n"))
    return "::{}\n".format(escape_controls(line))


def with_hint(diagnostic: Diagnostic) -> str:
    return diagnostic.message + (" ({})".format(diagnostic.hint) if diagnostic.hint else "")


def encode_percent(text: str, characters: str) -> str:
    return "".join("%{:02X}".format(ord(c)) if c in characters else c for c in text)


def to_sarif(found: Iterable[Diagnostic]) -> str:
    from ..diagnostics.codes import CODES, DIAGNOSTICS_PAGE

    rules = [
        {
            "id": code,
            "shortDescription": {"text": described.summary},
            "help": {"text": described.cure},
            "helpUri": DIAGNOSTICS_PAGE.format(code),
            "defaultConfiguration": {"level": described.severity},
        }
        for code, described in CODES.items()
    ]
    tool = {"driver": {"name": "amctcfg", "version": __version__, "rules": rules}}
    results = [make_sarif_result(d, list(CODES)) for d in found]
    run = {"tool": tool, "columnKind": "unicodeCodePoints", "results": results}
    log = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return dump_json(log, indent=2) + "\n"


def make_sarif_result(diagnostic: Diagnostic, codes: Sequence[str]) -> dict[str, Any]:
    from urllib.parse import quote

    location: dict[str, Any] = {"artifactLocation": {"uri": quote(os.fsencode(diagnostic.name.replace("\\", "/")))}}
    if diagnostic.span is not None:
        location["region"] = dict(zip(("startLine", "startColumn", "endLine", "endColumn"), diagnostic.span))
    return {
        "ruleId": diagnostic.code,
        "ruleIndex": codes.index(diagnostic.code),
        "level": diagnostic.severity,
        "message": {"text": with_hint(diagnostic)},
        "locations": [{"physicalLocation": location}],
    }


# What `check --format` offers beside text.
FORMATS: dict[str, Callable[[Iterable[Diagnostic]], str]] = {
    "concise": lambda found: "".join("{}\n".format(diagnostic) for diagnostic in found),
    "json": to_json,
    "github": lambda found: "".join(map(write_github_line, found)),
    "sarif": to_sarif,
}
WHOLE = ("json", "sarif")  # which are never cut


def make_origin_row(origin: Origin, file: str) -> dict[str, Any]:
    """Return where a value comes from, as the reports have it."""
    from ..tools.explaining import lay_open

    return dict(lay_open(origin), file=file if origin.path else None)


def write_csv(columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> str:
    """Write a table with a header, where CSV can hold its cells neutrally."""
    from ..models.tables import rows_to_csv  # which reads JSON, too, and `check` writes no table

    return check_neutral(rows_to_csv([columns, *([row.get(column, "") for column in columns] for row in rows)]), "csv")
