# SPDX-License-Identifier: Apache-2.0
"""The page of `show --format html`: the table with its filters, the diagnostics, and the configuration. No script."""

from __future__ import annotations

from typing import Iterable, Optional, Tuple

from ..diagnostics.diagnostic import Diagnostic, render
from ..resolve.plan import Plan
from ..tools.tabulating import Table
from .table import STYLE, kinds_of, table_html, text

FILTERS: Tuple[Tuple[str, str], ...] = (
    ("skipped", "not quantized"),
    ("overridden", "overridden"),
    ("shadowed", "shadowing other settings"),
    ("changed", "changed"),
)

LEGEND = (
    ("l", "override_layer_configs"), ("t", "override_layer_types"), ("c", "common_config"), ("g", "a global setting"),
    ("k", "skipped"), ("u", "what the layer's type allows"),
)  # fmt: skip

PAGE_STYLE = """\
:root{color-scheme:light dark}
body{font:14px/1.5 system-ui,sans-serif;margin:1.5em;background:Canvas;color:CanvasText}
h1{font-size:1.4em}h2{font-size:1.15em}
.wrap{overflow:auto;max-height:85vh}
.legend span{padding:1px 6px;margin-right:.4em;border:1px solid #8886}
input.f{position:absolute;opacity:0}
label.f{display:inline-block;padding:2px 10px;margin:0 .3em .6em 0;border:1px solid #888;border-radius:1em;cursor:pointer}
pre{overflow:auto;padding:.6em;border:1px solid #8886}
ol.text{font:13px/1.5 ui-monospace,monospace;white-space:pre-wrap;padding-left:4em}
li:target{background:#ffd54a66}
a:focus,[tabindex]:focus{outline:2px solid #4a7dff}
a[title]:focus::after,[tabindex][title]:focus::after{content:attr(title);position:absolute;z-index:2;margin:1.5em 0 0 .5em;padding:4px 8px;
max-width:40em;white-space:normal;background:Canvas;color:CanvasText;border:1px solid #888}
@media print{.wrap{max-height:none;overflow:visible}label.f{display:none}.amctcfg thead th{position:static}
.amctcfg{font-size:9px}.amctcfg td,.amctcfg th{white-space:normal}*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
"""


CHECKED = "input.f:checked+label{background:#4a7dff;color:#fff}input.f:focus-visible+label{outline:2px solid #4a7dff}"


def page(
    table: Table,
    file: str,
    model: str,
    plan: Plan,
    source: Optional[str],
    diagnostics: Iterable[Diagnostic],
) -> str:
    """One HTML file that needs nothing else: no network, and no script."""
    diagnostics = tuple(diagnostics)
    quantized = sum(row.is_quantized for row in table.rows)
    filters = [(name, words) for name, words in FILTERS if name != "changed" or table.has_before]
    parts = [
        "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width">',
        '<link rel=icon href="data:,">',  # or the browser asks for one
        "<title>{}: what each layer gets</title>".format(text(file)),
        "<style>{}{}{}</style></head><body>".format(STYLE, PAGE_STYLE, "".join(map(filter_style, filters)) + CHECKED),
        "<h1>{}</h1>".format(text(file)),
        "<p>{} layers of {}, {} of them quantized; read as {}.</p>".format(
            len(table.rows), text(model or "the model"), quantized, text(plan.flavour.name)
        ),
        "<p class='legend amctcfg'>By: {} <span>the default</span> <i>italic: other settings lost</i></p>".format(
            " ".join("<span class={}>{}</span>".format(kind, words) for kind, words in LEGEND)
        ),
        "<section aria-label=layers>",
        "<input class=f type=radio name=f id=all checked><label class=f for=all>all</label>",
    ]
    for name, words in filters:
        count = sum(name in kinds_of(row) for row in table.rows)
        parts.append(
            "<input class=f type=radio name=f id={0}><label class=f for={0}>{1} ({2})</label>".format(
                name, words, count
            )
        )
    parts.append(
        "<div class=wrap tabindex=0 role=region aria-label='table of layers'>{}</div></section>".format(
            table_html(table, source is not None)
        )
    )
    if diagnostics:
        parts.append("<h2 id=diagnostics>Diagnostics</h2><pre>{}</pre>".format(text_lines(render(diagnostics, source))))
    if source is not None:
        parts.append("<h2 id=configuration>Configuration</h2><ol class=text>")
        parts += ["<li id=L{}>{}".format(number, text(line)) for number, line in enumerate(source.splitlines(), 1)]
        parts.append("</ol>")
    parts.append("</body></html>\n")
    return "\n".join(parts)


def filter_style(pair: Tuple[str, str]) -> str:
    return "#{0}:checked~.wrap tbody tr:not(.{0}){{display:none}}".format(pair[0])


def text_lines(words: str) -> str:
    return "\n".join(text(line) for line in words.split("\n"))
