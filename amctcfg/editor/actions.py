# SPDX-License-Identifier: Apache-2.0
"""Changes that an editor offers: the fixes of `check --fix`, skipping a layer, a block for a whole type, the layout."""

from __future__ import annotations

from typing import Any, Iterator

from ..diagnostics.diagnostic import ConfigError
from ..messages.kinds import STRING
from ..resolve.resolver import OF_LAYER, OF_TYPE
from ..textformat.parser import parse as parse_text
from ..textformat.tree import split
from ..tools.edits import Edit, join_edits, remove_field, skip, unskip
from ..tools.fixing import FixableText, combine_edits, find_fixes, fix_syntax, fix_text
from ..tools.formatting import format as formatted
from .analysis import Analysis, diagnostic_of
from .navigation import name_at
from .outline import OutlineNode, find_child_text
from .text import make_edit

QUICK_FIX, REFACTOR, FIX_ALL = "quickfix", "refactor", "source.fixAll.amctcfg"


def list_actions(analysis: Analysis, start: int, end: int, only: list[str] | None) -> list[dict[str, Any]]:
    """Return the actions for a stretch of the text; `only` are the kinds that the client wants."""
    found: list[dict[str, Any]] = []
    if is_wanted(QUICK_FIX, only):
        found += offer_fixes(analysis, start, end)
    if is_wanted(REFACTOR, only):
        found += offer_skipping(analysis, start)
        found += offer_extraction(analysis, start)
    if only and is_wanted(FIX_ALL, only):  # it takes a while; the rest is asked for with each move of the cursor
        text = analysis.text.text
        after = fix_text(text, analysis.layers, False, analysis.flavour)[0]
        if after != text:
            found.append(make_action("Fix all that can be fixed safely", FIX_ALL, analysis, make_edit(text, after)))
    return found


def is_wanted(kind: str, only: list[str] | None) -> bool:
    return not only or any(kind == one or kind.startswith(one + ".") for one in only)


def make_action(title: str, kind: str, analysis: Analysis, edits: Any, **more: Any) -> dict[str, Any]:
    changes = {analysis.uri: [analysis.text.edit(edit) for edit in edits]}
    return dict({"title": title, "kind": kind, "edit": {"changes": changes}}, **more)


# ---------------------------------------------------------------- fixes


def offer_fixes(analysis: Analysis, start: int, end: int) -> Iterator[dict[str, Any]]:
    text = analysis.text.text
    slips = fix_syntax(text)[1]
    if slips:
        edits = [edit for slip in slips for edit in slip.edits]
        yield make_action("Fix the syntax", QUICK_FIX, analysis, edits, isPreferred=True)
    first, last = analysis.text.position(start)["line"], analysis.text.position(end)["line"]
    for fix in find_fixes(FixableText(analysis.file.tree or text, analysis.layers, analysis.flavour)):
        place = diagnostic_of(analysis, fix.diagnostic)
        if place["range"]["start"]["line"] <= last and place["range"]["end"]["line"] >= first:
            title = fix.title if fix.is_safe else "{} (unsafe)".format(fix.title)
            edits = combine_edits(text, [fix])
            yield make_action(title, QUICK_FIX, analysis, edits, diagnostics=[place], isPreferred=fix.is_safe)


# ---------------------------------------------------------------- skipping, extraction


def offer_skipping(analysis: Analysis, offset: int) -> Iterator[dict[str, Any]]:
    node = name_at(analysis, offset)
    layer = analysis.find_layer(node.text) if node is not None else None
    if layer is None or not analysis.flavour.quantizes(layer):
        return
    text = analysis.text.text
    try:
        skipped, unskipped = skip(text, [layer.name]), unskip(text, [layer.name])
    except ConfigError:
        return
    if skipped != text:
        yield make_action("Skip this layer", REFACTOR, analysis, make_edit(text, skipped))
    if unskipped != text:
        yield make_action("Stop skipping this layer", REFACTOR, analysis, make_edit(text, unskipped))


def offer_extraction(analysis: Analysis, offset: int) -> Iterator[dict[str, Any]]:
    """Offer an override of a layer as one of its type, instead of all with this block."""
    node: OutlineNode | None = analysis.outline.find_innermost(offset)
    if node is analysis.outline.root:
        node = analysis.outline.at(offset)
    while node is not None and node.field != OF_LAYER:
        node = node.parent
    resolver = analysis.resolver
    if node is None or node.opening is None or node.name is None or resolver is None:
        return
    named = next((child for child in node.children if child.name == "layer_name"), None)
    layer = analysis.find_layer(named.text) if named is not None else None
    if named is None or layer is None or layer.type in resolver.types:
        return
    edits = [
        Edit(node.start, node.start + len(OF_LAYER), OF_TYPE),
        Edit(named.start, named.value_end, "layer_type: {}".format(STRING.format(layer.type))),
    ]
    own = resolver.find_own(layer.name)
    of_type = {other.name for other in analysis.layers or () if other.type == layer.type}
    for other in analysis.outline.root.children:
        name = find_child_text(other, "layer_name") or ""
        if other is not node and other.name == OF_LAYER and name in of_type:
            tier = resolver.find_own(name)
            if tier is not None and own is not None and tier.block == own.block:
                edits.append(remove_field(analysis.text.text, other.start, other.end))
    title = "Extract to an override of the type {}".format(layer.type)
    if len(edits) > 2:
        title += ", instead of {} overrides".format(len(edits) - 1)
    yield make_action(title, REFACTOR, analysis, join_edits(edits))


# ---------------------------------------------------------------- layout


def format_stretch(analysis: Analysis, start: int | None = None, end: int | None = None) -> list[dict[str, Any]] | None:
    """Return the edits that `fmt` makes, all or those in a stretch of the text; None for what is not text format."""
    text = analysis.text.text
    try:
        after = formatted(text)
    except ConfigError:
        return None
    if start is None or end is None:
        return [analysis.text.edit(edit) for edit in make_edit(text, after)]
    found = []
    for (low, high), (new_low, new_high) in zip(split_into_stretches(text), split_into_stretches(after)):
        inside = low < max(end, start + 1) and high > start
        new = after[new_low:new_high]
        if (inside or low == high == end) and text[low:high] != new:
            found.append(analysis.text.edit(Edit(low, high, new)))
    return found


def split_into_stretches(text: str) -> list[tuple[int, int]]:
    """Return where the top fields and the gaps between them begin and end, in turn, in which the layout changes nothing."""
    bounds = [0, *(bound for field in split(parse_text(text).fields) for bound in field[2:4]), len(text)]
    return list(zip(bounds, bounds[1:]))
