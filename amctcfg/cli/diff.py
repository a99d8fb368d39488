# SPDX-License-Identifier: Apache-2.0
"""The command diff: the layers that get something else, and because of which line."""

from __future__ import annotations

import re
from argparse import Namespace
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Callable, Iterator, NamedTuple, Tuple

from ..diagnostics.diagnostic import ERROR, PLAIN, RED
from ..diagnostics.source import Span
from ..diagnostics.words import as_code, escape_controls, pluralize, quote_name, shorten_list
from ..resolve.resolver import member_in
from ..tools.diffing import Change, diff
from ..tools.tabulating import show_value
from ..workspace.file import ConfigFile
from .arguments import READING, flag, formats, option
from .console import EXIT_FAILURE, EXIT_FINDINGS, EXIT_OK, GREEN, Console, Failure
from .opening import open_workspace, show_errors
from .reports import make_origin_row, write_json
from .show import UNLIMITED, borders_of, wrap

OPTIONS = (
    option("before A", "a configuration or a JSON quantization config; - is stdin"),
    option("after B", "another one"),
    formats("text", "json", "markdown"),
    flag("--all", "list every layer"),
    *READING,
)


def run(arguments: Namespace, console: Console) -> int:
    workspace = open_workspace(arguments, console)
    before, after = workspace.open_pair(arguments.before, arguments.after)
    if after.model is None:
        raise Failure("a model is needed: --graph G, or a comment '# amctcfg: graph=G' in the head of a file")
    found = [*show_errors(before, arguments, console), *show_errors(after, arguments, console)]
    if any(d.severity == ERROR for d in found):
        return EXIT_FAILURE  # as diff(1): 1 is for differences
    comparison = Comparison(before, after, arguments.all)
    if arguments.format == "text":
        width = console.measure_width(console.stdout) or UNLIMITED
        console.write_result(comparison.write_text(width, console.has_colors(console.stdout)))
    else:
        console.write_result({"json": diff_json, "markdown": diff_markdown}[arguments.format](comparison))
    return EXIT_FINDINGS if comparison.changes or found else EXIT_OK


Words = Tuple[str, str, str]  # for a change: a label, before and after


class ChangeGroup(NamedTuple):
    """The same change of all layers that have it, and the lines that brought it."""

    label: str
    before: str
    after: str
    names: list[str]  # none for a global key
    places: list[str]


@dataclass(eq=False)
class Comparison:
    before: ConfigFile
    after: ConfigFile
    every: bool

    def __post_init__(self) -> None:
        self.changes: tuple[Change, ...] = diff(self.before.plan, self.after.plan)
        self.types: dict[str, str] = {name: found.layer.type for name, found in self.after.plan.items()}
        self.sizes: dict[str, int] = Counter(self.types.values())

    def group_rows(self) -> Iterator[ChangeGroup]:
        """Put equal changes together, whatever their lines."""
        groups: dict[tuple[bool, Words], list[Change]] = {}
        for words, change in self.iter_entries():
            groups.setdefault((change.layer is None, words), []).append(change)
        for (_, words), changes in groups.items():
            names = [change.layer for change in changes if change.layer is not None]
            yield ChangeGroup(*words, names, list(dict.fromkeys(map(self.name_place, changes))))

    def iter_entries(self) -> Iterator[tuple[Words, Change]]:
        """Yield the changes in words, those from one algorithm to another as one each."""
        fields = self.after.flavour.config.__schema__.fields["common_config"].kind.__schema__.fields
        for name, group in groupby(self.changes, key=lambda change: change.layer):
            parts: dict[str, list[Change]] = {}
            for change in group:
                parts.setdefault(change.field.partition(".")[0], []).append(change)
            kinds = {} if name is None else {part: fields[part].oneof for part in parts if part in fields}
            gone = {kind: part for part, kind in kinds.items() if all(c.after is None for c in parts[part])}
            new = {kind: part for part, kind in kinds.items() if all(c.before is None for c in parts[part])}
            for part, inside in parts.items():
                kind = kinds.get(part)
                if kind is None or kind not in gone or kind not in new:
                    for c in inside:
                        yield (c.field.rpartition(".")[2], show_value(c.before), show_value(c.after)), c
                elif part == new[kind]:
                    yield self.describe_switch(gone[kind], part, fields[part], inside)

    def describe_switch(self, old: str, new: str, field: Any, inside: list[Change]) -> tuple[Words, Change]:
        """Describe one algorithm for another: `ifmr → hfmg`, with what is not the default."""
        defaults = field.kind.__schema__.fields
        special = [
            "{} {}".format(c.field.rpartition(".")[2], show_value(c.after))
            for c in inside
            if c.after_origin.tier != "default" and c.after != defaults[c.field.rpartition(".")[2]].default
        ]
        change = next((c for c in inside if c.after_origin.span), inside[0])
        old, new = (re.sub("_quantize$", "", name) for name in (old, new))
        return ("", old, "{} ({})".format(new, ", ".join(special)) if special else new), change

    def name_place(self, change: Change) -> str:
        """Name the line that brought the new value or, where that is a default, had the old one."""
        after = change.after_origin.span or find_choice(self.after, change)
        if after:
            return "{}:{}".format(self.after.name, after.line)
        before = change.before_origin.span or find_choice(self.before, change)
        if before:
            return "{}, was {}:{}".format(change.after_origin.tier, self.before.name, before.line)
        return change.after_origin.tier

    def name_layers(self, row: ChangeGroup, quote: Callable[[str], str]) -> str:
        """Name the layers: `5 layers: 'conv2', 'dw1', 'fc' and 2 more`; types, where all of their layers are meant."""
        if not row.names:
            return "global"
        counts = Counter(self.types.get(name, "") for name in row.names)
        whole = all(count == self.sizes.get(layer_type) for layer_type, count in counts.items())
        if self.every:
            who = ", ".join(map(quote, row.names))
        elif len(row.names) > 1 and whole:
            who = ", ".join(quote(kind) if quote is as_code else kind for kind in sorted(counts))
        else:
            who = shorten_list([quote(name) for name in row.names])
        return "{}: {}".format(pluralize(len(row.names), "layer"), who)

    def write_text(self, width: int, color: bool) -> str:
        """Write a line for each change: `search_step 0.01 → 0.02 for 35 layers: Conv2D, B:14`, and a summary."""
        lines = []
        for row in self.group_rows():
            whom = " for " + self.name_layers(row, quote_name) if row.names else " (global)"
            what = " ".join(filter(None, (row.label, row.before, "→", row.after)))
            line = "{}{}, {}".format(what, whom, shorten_list(shorten_places(row.places)))
            folded = wrap(escape_controls(line), width, "    ")
            before, after = escape_controls(row.before), escape_controls(row.after)
            if color:  # where the values are short enough for the first line
                shown = "{}{}{} → {}{}{}".format(RED, before, PLAIN, GREEN, after, PLAIN)
                folded[0] = folded[0].replace("{} → {}".format(before, after), shown, 1)
            lines += folded
        lines += wrap(self.sum_up(), width, "    ")
        return "".join(line + "\n" for line in lines)

    def sum_up(self) -> str:
        """Sum up: `6 of 9 layers and 1 global setting change; borders ...: 1 before, 3 after`."""
        if not self.changes:
            return "no layer changes"
        layers = len({change.layer for change in self.changes} - {None})
        settings = sum(change.layer is None for change in self.changes)
        parts = ["{} of {}".format(layers, pluralize(len(self.types), "layer"))] if layers else []
        parts += [pluralize(settings, "global setting")] if settings else []
        verb = "change" if len(parts) > 1 or layers + settings > 1 else "changes"
        borders = [borders_of(file) for file in (self.before, self.after)]
        words = "; borders between quantized and float layers: {} before, {} after".format(*borders)
        return "{} {}{}".format(" and ".join(parts), verb, words if borders[0] != borders[1] else "")


def find_choice(file: ConfigFile, change: Change) -> Span | None:
    """Return where a block chooses an algorithm that came or went, maybe with defaults alone."""
    part = change.field.partition(".")[0]
    effective = None if file.is_json or change.layer is None else file.plan.get(change.layer)
    if effective is None or not (change.before is None or change.after is None):
        return None
    tiers = file.resolver.list_tiers(effective.layer)
    kind = next((names for names, _ in file.resolver.groups if part in names), ())
    chosen = member_in(tiers[0].block, kind) if tiers else None
    return file.document.span((*tiers[0].path, chosen)) if chosen else None


def shorten_places(places: list[str]) -> list[str]:
    """Write places, a file's name once for several lines of it in a row."""
    shown, above = [], ""
    for place in places:
        head, _, line = place.rpartition(":")
        shown.append(line if head and head == above else place)
        above = head
    return shown


def diff_markdown(comparison: Comparison) -> str:
    """Write a table for a review; in names, which stand as code, nothing is a link, an image or a mention."""
    rows = []
    for row in comparison.group_rows():
        values = [words if re.match(r"[\w.+-]*\Z", words) else as_code(words) for words in (row.before, row.after)]
        places = shorten_list([as_code(place) for place in row.places])
        cells = (row.label or "algorithm", *values, comparison.name_layers(row, as_code), places)
        rows.append("| {} |\n".format(" | ".join(cell.replace("|", "\\|") for cell in cells)))
    if not rows:
        return "No layer changes.\n"
    return "| field | before | after | for | because of |\n|---|---|---|---|---|\n{}\n{}.\n".format(
        "".join(rows), comparison.sum_up().capitalize()
    )


def diff_json(comparison: Comparison) -> str:
    before, after = comparison.before.name, comparison.after.name
    rows = [
        dict(
            vars(c),
            before_origin=make_origin_row(c.before_origin, before),
            after_origin=make_origin_row(c.after_origin, after),
        )
        for c in comparison.changes
    ]
    return write_json(changes=rows)
