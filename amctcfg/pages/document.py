# SPDX-License-Identifier: Apache-2.0
"""A configuration as a notebook shows it: its lines with their numbers, each diagnostic below its line."""

from __future__ import annotations

from typing import Any

from ..checks.checking import check
from ..diagnostics.diagnostic import Diagnostic
from ..documents.document import Document
from .table import text

MOST_LINES = 400

STYLE = """\
.amctcfg-text{text-align:left;font:12.5px/1.5 ui-monospace,monospace;white-space:pre-wrap}
.amctcfg-text li{margin:0 0 0 3em}.amctcfg-text p{margin:0;font-family:system-ui,sans-serif;border-left:3px solid #e0a800;padding-left:6px}
.amctcfg-text p.error{border-color:#e5484d}
"""


def document_html(document: Document[Any]) -> str:
    """Write a document for a notebook."""
    found: dict[int, list[Diagnostic]] = {}
    for diagnostic in check(document.text, document.name, strict=document.strict, flavour=document.flavour):
        found.setdefault(diagnostic.span.line if diagnostic.span else 1, []).append(diagnostic)
    lines = document.text.rstrip("\n").split("\n")
    items = []  # white space between them would show
    for number, line in enumerate(lines[:MOST_LINES], 1):
        notes = "".join(map(note_html, found.get(number, ())))
        items.append("<li>{}{}</li>".format(text(line.rstrip("\r")), notes))
    head = "<style>{}</style><p>{}, {}</p>".format(STYLE, text(document.name), text(document.flavour.name))
    parts = [head, "<ol class=amctcfg-text>{}</ol>".format("".join(items))]
    if len(lines) > MOST_LINES:
        parts.append("<p>and {} more lines</p>".format(len(lines) - MOST_LINES))
    return "\n".join(parts)


def note_html(diagnostic: Diagnostic) -> str:
    hint = "; {}".format(diagnostic.hint) if diagnostic.hint else ""
    words = "{}[{}]: {}{}".format(diagnostic.severity, diagnostic.code, diagnostic.message, hint)
    return "<p class={}>{}</p>".format(text(diagnostic.severity), text(words))
