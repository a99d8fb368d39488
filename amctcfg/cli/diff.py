# SPDX-License-Identifier: Apache-2.0
"""The command diff: the layers that get something else, and because of which line."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence

from ..diagnostics.diagnostic import ERROR, Diagnostic
from ..diagnostics.words import escape_controls, pluralize, quote_name, quote_names
from ..tools.diffing import Change
from ..workspace.file import quantizable_types
from .arguments import READING, formats, option, plain
from .console import EXIT_FAILURE, EXIT_FINDINGS, EXIT_OK, Console, Failure, verdict
from .opening import open_workspace
from .reports import FORMAT_VERSION, origin_row, shown_value

OPTIONS = (
    option("before", metavar="A", type=plain, help="a configuration or a JSON quantization config; - is stdin"),
    option("after", metavar="B", type=plain, help="another one"),
    formats("text", "json", "markdown"),
    option("--all", action="store_true", help="list every layer"),
    *READING,
)


def run(arguments: Any, console: Console) -> int:
    from ..tools.diffing import diff

    workspace = open_workspace(arguments, console)
    before, after = workspace.open(arguments.before), workspace.open(arguments.after)
    models = [job.model for job in (after, before) if job.model is not None]
    if not models:
        raise Failure("a model is needed: --graph G, or a comment '# amctcfg: graph=G' in the head of a file")
    found: List[Diagnostic] = []
    before, after = (
        job if job.model else job.with_model(workspace.model(models[0].path, job.flavour)) for job in (before, after)
    )
    for job in (before, after):
        told = job.check()
        errors = [d for d in told if d.severity == ERROR]
        console.diagnostics(told if arguments.strict_warnings else errors, job.text)
        found += told
    if any(d.severity == ERROR for d in found):
        return EXIT_FAILURE if all(d.code == "unreadable" for d in found) else EXIT_FINDINGS
    both = [job.plan if job.is_json else job.document for job in (before, after)]
    if before.flavour != after.flavour:
        both = [job.plan for job in (before, after)]
    changes = diff(
        both[0],
        both[1],
        after.layers or [],
        rules=after.rules,
        flavour=None if before.flavour != after.flavour else after.flavour,
    )
    text = DIFF_FORMATS[arguments.format](changes, quantizable_types(after), before.name, after.name, arguments.all)
    console.result(wrapped(text, console.width(console.stdout)) if arguments.format == "text" else text)
    return max(
        EXIT_FINDINGS if changes else EXIT_OK, verdict(found, arguments) if arguments.strict_warnings else EXIT_OK
    )


def wrapped(text: str, width: Optional[int]) -> str:
    """Lines that are too long for a terminal, with the rest indented."""
    if width is None:
        return text
    import textwrap

    lines: List[str] = []
    for line in text.splitlines():
        fold = textwrap.wrap(
            line, max(width, 40), subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
        )
        lines += fold or [line]
    return "".join(line + "\n" for line in lines)


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
            who = ", ".join(map(quote_name, names)) if every else named_or_types(names, types, sizes)
            whom = "{}: {}".format(pluralize(len(names), "layer"), who)
        yield Row(change.field.rpartition(".")[2], *values, names, whom, because(change, before, after))


def named_or_types(names: List[str], types: Dict[str, str], sizes: Dict[str, int]) -> str:
    """Types where all of their layers are meant, names otherwise."""
    counts = Counter(types.get(name, "") for name in names)
    if len(names) > 1 and all(count == sizes.get(layer_type) for layer_type, count in counts.items()):
        return ", ".join(sorted(counts))
    return quote_names(names)


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
    return "".join(escape_controls(line) + "\n" for line in lines) or "no layer changes\n"


def diff_markdown(changes: Sequence[Change], types: Dict[str, str], before: str, after: str, every: bool) -> str:
    """A table for a review comment."""
    rows = []
    for row in summary(changes, types, before, after, every):
        cells = (row.field, row.before, row.after, row.whom or "global", row.because)
        rows.append("| {} |\n".format(" | ".join(escape_controls(cell).replace("|", "\\|") for cell in cells)))
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


DIFF_FORMATS: Dict[str, DiffReport] = {"text": diff_text, "json": diff_json, "markdown": diff_markdown}
