# SPDX-License-Identifier: Apache-2.0
"""The page of `show` and `simulate`: what each layer gets, what is odd, what hurts. One file that asks for no other."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from typing import Any, Iterable, Iterator, Mapping

from ..diagnostics.diagnostic import Diagnostic, count_found, render
from ..tools.tabulating import Row, View
from .script import SCRIPT
from .style import COLOURS, NARROW, PAGE, TABLE
from .table import TIERS, Html, HtmlTable, put, write_heading

# What the rows can be narrowed to: a class of rows, its words, and the colour that it explains.
FILTERS = (
    ("quantized", "quantized", ""), ("skipped", "skipped", "k"), ("refused", "refused by the toolkit", "r"),
    ("float", "can't be quantized", "u"), ("changed", "changed", ""), ("L", "by layer", "l"), ("T", "by type", "t"),
    ("C", "common_config", "c"), ("G", "a global setting", "g"), ("J", "quant_config", "j"), ("U", "what the type allows", "u"),
    ("S", "overriding ↷", ""), ("W", "with warnings", ""),
)  # fmt: skip

MARGIN = 8  # percent above and below
CROWDED = 400  # layers, above which the dots are smaller
STATES = 5  # of the filters, the first ones: how many rows each has stands at the top
FEW = 10  # diagnostics that stand open


def write_page(view: View) -> str:
    """Return the page as HTML: no network, readable without its script, nothing of a name is run."""
    table = view.table._replace(rows=view.rows)
    writer = HtmlTable(table, is_page=True, has_lines=view.text is not None)
    # The blocks and entries about layers that a diagnostic is about, as the first two steps of their paths.
    warned = {d.path[:2] for d in view.warnings if d.path and len(d.path) > 1 and isinstance(d.path[1], int)}
    rows = [(row, classes_of(row, warned)) for row in table.rows]
    counts = Counter(name for _, classes in rows for name in set(classes))
    body = [
        *write_header(view, writer, counts),
        writer.strip(view.table.rows),
        write_picture(writer),
        "</section>",
        *write_tools(writer, rows, counts),
        *write_table(writer, rows),
        *write_rest(view, writer.explanations),
        "<script>{}</script></body></html>\n".format(SCRIPT),
    ]
    style = COLOURS + TABLE + PAGE + NARROW % labels_of(writer.list_headings())
    policy = "default-src 'none'; style-src {}; script-src {}; img-src data:; base-uri 'none'; form-action 'none'"
    head = [
        "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8>",
        '<meta http-equiv=Content-Security-Policy content="{}">'.format(
            policy.format(compute_digest(style), compute_digest(SCRIPT))
        ),
        '<meta name=viewport content="width=device-width,initial-scale=1">',
        '<link rel=icon href="data:,">',  # or the browser asks for one
        put("<title>{}: what each layer gets</title>", view.plan.name),
        "<style>{}</style></head><body>".format(style),
    ]
    return "\n".join([*head, *filter(None, body)])


def compute_digest(content: str) -> str:
    """Return what a Content-Security-Policy calls an inline element by."""
    return "'sha256-{}'".format(base64.b64encode(hashlib.sha256(content.encode("utf-8")).digest()).decode("ascii"))


def labels_of(head: list[str]) -> str:
    """Write the style of cards: each cell names its column."""
    return "".join(
        '.amctcfg td:nth-child({})::before{{content:"{} "}}\n'.format(number, escape_css(label))
        for number, label in enumerate(head[3:], 4)
    )


def escape_css(words: str) -> str:
    return "".join(c if c.isalnum() or c in " _.-" else "\\{:x} ".format(ord(c)) for c in words)


# ---------------------------------------------------------------- which rows are what


def classes_of(row: Row, warnings: set[tuple[Any, ...]]) -> list[str]:
    """Return what the filters choose a row by."""
    if row.explanation is None:
        return ["float"]
    state = "refused" if row.is_refused else "quantized" if row.is_quantized else "skipped"
    origins = [cell.origin for cell in row.cells.values()]
    tiers = {TIERS.get(cell.origin.tier, "") for cell in row.notable.values()} | {TIERS.get(row.tier, "")}
    found = [state, *sorted(tier.upper() for tier in tiers - {"", "k"})]  # the small letters are colours
    if row.changed:
        found.append("changed")
    if any(cell.hides for cell in row.cells.values()):
        found.append("S")
    places = [*origins, *(lost for origin in origins for lost in origin.shadowed)]
    if warnings and any(place.path and place.path[:2] in warnings for place in places):
        found.append("W")
    return found


# ---------------------------------------------------------------- the parts


def write_header(view: View, writer: HtmlTable, counts: Mapping[str, int]) -> Iterator[str]:
    table = writer.table
    before = put("{} → ", view.against) if view.against else ""
    yield put("<header><h1>{}{}</h1>", before, view.plan.name)
    yield put("<p class=dim>{}; read as {}, {} rules</p></header>", view.model, view.plan.flavour.name, view.rules)
    always = ("quantized", "skipped", "changed") if table.has_before else ("quantized", "skipped")
    states = [(words, counts[name]) for name, words, _ in FILTERS[:STATES] if counts[name] or name in always]
    figures = [("layers", len(table.rows)), *states, ("borders between quantized and float", view.borders)]
    pairs = [put("<div><dt>{}</dt><dd>{}</dd></div>", words, "{:,}".format(number)) for words, number in figures]
    yield "<section><dl class=figures>{}</dl>".format("".join(pairs))
    yield from (put("<p>{}", note) for note in view.notes)
    if table.has_scores:
        yield write_worst(writer)
    if view.warnings:
        found = Counter(d.code for d in view.warnings).most_common()
        codes = ", ".join(put("{} {}", number, code) for code, number in found)
        yield "<p><a href=#diagnostics>{}</a>: {}".format(count_found(view.warnings), codes)


def write_picture(writer: HtmlTable) -> str:
    """Return the figure; nothing where fewer than three layers have a score."""
    table, scale, texts = writer.table, writer.scale, writer.scores
    dots: dict[bool, list[str]] = {True: [], False: []}  # of the layers that are quantized, and of the others
    for at, row in enumerate(table.rows):
        if row.score is not None:
            height = MARGIN + (100 - 2 * MARGIN) * scale.measure_harm(row.score)
            dots[row.is_quantized].append("M{:g} {:.3g}h0".format(at + 0.5, height))
    if len(dots[True]) + len(dots[False]) < 3:
        return ""
    worst, best = (texts.get(score, score) for score in (scale.worst, scale.best))
    words = "{} from {} (bottom) to {} (top), first layer to last".format(table.score, worst, best)
    logarithm = "; on the scale -log10(1 - score)" if scale.is_logarithmic else ""
    marks = [("key", "quantized")] + ([("key off", "not quantized")] if dots[False] else [])
    key = " ".join("<span class=mark><b class='{}'></b>{}</span>".format(*mark) for mark in marks)
    return put(
        "<figure{}><svg viewBox='0 0 {} 100' preserveAspectRatio=none role=img aria-label='{}'>"
        "<path class=pointer /><path class=dots d='{}'/><path class='dots off' d='{}'/></svg>"
        "<figcaption><span>{}{}</span>{}</figcaption></figure>",
        " class=many" if len(table.rows) > CROWDED else "",
        len(table.rows),
        words,
        "".join(dots[True]),
        "".join(dots[False]),
        words,
        logarithm,
        Html(key),
    )


def write_worst(writer: HtmlTable) -> str:
    table, found = writer.table, []
    for row in table.sort_worst_first(table.rows)[:3]:
        if row.score is not None:
            number = table.rows.index(row) + 1
            found.append(put("<a href=#r{}>{}</a> {}", number, row.layer.name, writer.scores[row.score]))
    return put("<p>Worst by {}: {}", table.score, Html(", ".join(found)))


def write_tools(writer: HtmlTable, rows: list[tuple[Row, list[str]]], counts: Mapping[str, int]) -> Iterator[str]:
    """Write the search and the filters, which are the legend of the colours as well."""
    yield "<div class=tools role=search>"
    yield "<input id=search class=script type=search placeholder='search: conv, *layer4*' aria-label='search by name or type'>"
    yield "<select id=order class='script narrow' aria-label='sort by'><option value=-1>model order</option>"
    yield "".join(put("<option value={}>by {}</option>", *pair) for pair in enumerate(writer.list_headings()))
    yield "</select>"
    for name, words, colour in FILTERS:
        if counts[name] and not (counts[name] == len(rows) and not colour):
            yield "<button class='chip {}' type=button data-f={} aria-pressed=false>{} {}</button>".format(
                colour, name, words, counts[name]
            )
    if any(not row.notable for row, _ in rows):
        yield "<span class='dim wide'>pale: the default</span>"
    yield "<button id=unfold class='chip script' type=button>unfold all</button><output class=script aria-live=polite></output></div>"


def write_table(writer: HtmlTable, rows: list[tuple[Row, list[str]]]) -> Iterator[str]:
    worst = "descending" if writer.table.low_is_sensitive is False else "ascending"
    head = []
    for at, label in enumerate(writer.list_headings()):
        first = " data-first={}".format(worst) if writer.table.has_scores and at == 4 else ""
        head.append(put("<th scope=col{}><button type=button>{}</button>", first, write_heading(label)))
    yield "<table class=amctcfg id=layers><thead><tr>{}<tbody>".format("".join(head))
    for number, (row, classes) in enumerate(rows, 1):
        yield "".join(writer.write_row(row, number, " ".join(classes)))
    yield "</table>"


def write_rest(view: View, explanations: Iterable[str]) -> Iterator[str]:
    """Write what the links lead to: the diagnostics, where the values come from, and the configuration."""
    if view.warnings:
        yield "<section><h2 id=diagnostics>Diagnostics</h2>"
        groups: dict[str, list[Diagnostic]] = {}
        for diagnostic in view.warnings:
            groups.setdefault(diagnostic.code, []).append(diagnostic)
        for code, group in groups.items():
            quiet = " class=quiet" if len(view.warnings) > FEW else ""
            lines = Html("\n".join(put("{}", line) for line in render(group, view.text).split("\n")))
            template = "<details open{}><summary>{} {}</summary><pre>{}</pre></details>"
            yield put(template, quiet, len(group), code, lines)
        yield "</section>"
    if explanations:
        yield "<section><details open class=quiet><summary>Where the values come from</summary><ol id=why>"
        yield from ("<li id=e{}>{}".format(number, words) for number, words in enumerate(explanations, 1))
        yield "</ol></details></section>"
    if view.text is not None:
        yield put("<section><h2 id=configuration>{}</h2><ol class=text>", view.plan.name)
        for number, line in enumerate(view.text.split("\n"), 1):
            yield put("<li id=L{}>{}", number, line.rstrip("\r"))
        yield "</ol></section>"
