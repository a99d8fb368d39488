# SPDX-License-Identifier: Apache-2.0
"""Fixing what diagnostics report: safe fixes are proven to leave every layer what it gets, unsafe ones are likely."""

from __future__ import annotations

import re
from typing import Any, Callable, Iterable, Iterator, NamedTuple, Optional, Sequence

from ..checks.context import Context
from ..checks.errors import find_errors
from ..checks.expanding import expand
from ..checks.warnings import gather_diagnostics
from ..diagnostics.diagnostic import ERROR, ConfigError, Diagnostic
from ..diagnostics.source import Source, decode
from ..diagnostics.words import pluralize, shorten
from ..documents.document import Document, parse_tree, read_head_flavour, read_tree
from ..documents.selections import Judged, judge_blocks
from ..flavours.common import Configuration
from ..flavours.flavour import Flavour
from ..flavours.layer import Layer, Layers
from ..resolve.resolver import DOCUMENTED, TOOLKIT
from ..textformat.lexis import COMMENT, STRING
from ..textformat.syntax_errors import LOOKALIKES
from ..textformat.tree import Field, Tree, elements_of, split
from .edits import (
    Edit,
    apply_edits,
    find_ending,
    find_line_end,
    join_edits,
    keep_apart,
    remove_elements,
    remove_field,
    rewrite_block,
)

MOST_ROUNDS = 20
# Readings of the whole text to tell good fixes from bad ones, and the characters read: what is not tried then stays.
FEWEST_TRIALS, MOST_TRIALS, MOST_READ = 8, 100, 300_000

REMOVABLE = ("redundant-override", "unused-override", "ignored-override")
SAFE_REPLACEMENTS = ("float32-rounding",)
STALE = "stale-selection"


class Fix(NamedTuple):
    """The fix of a diagnostic.

    title -- for an editor. done -- for a report. is_safe -- it is sure to change no layer. element -- instead of edits, the
    field and the index in it of an element that goes: several such fixes of one list share its commas.
    """

    diagnostic: Diagnostic
    title: str
    done: str
    edits: tuple[Edit, ...]
    is_safe: bool
    element: tuple[Field, int] | None = None


def fix(
    text: str | bytes,
    layers: Iterable[Layer] | None = None,
    unsafe: bool = False,
    flavour: Flavour | None = None,
) -> str:
    """Fix what can be fixed safely, and leave the rest as it was, byte for byte.

    Safe fixes are slips of the syntax whose meaning is certain, duplicates in lists, numbers with more digits than they
    have, and overrides without effect. Where the text expands on `layers`, the plan stays the same, under both sets of
    rules; without `layers`, only what holds on every model is fixed. The text is read leniently. No fix makes an error,
    and a second run changes nothing, unless so many of thousands of fixes failed that the search was stopped.

    Args:
        text: The configuration.
        layers: The layers of the model, if it is known.
        unsafe: Whether to write the only near name for an unknown one, `true` for `yes`, and missing blocks as well.
        flavour: The dialect; without it, the one that the text's head names, else TF-Ascend.

    Returns:
        The fixed text.

    Raises:
        ConfigError: The text is not UTF-8.

    Example:
        >>> fix('skip_layers: ["a", "a",]')
        'skip_layers: ["a"]'
    """
    whole = decode(text, "<string>")
    return fix_text(whole, None if layers is None else Layers(layers), unsafe, flavour or read_head_flavour(whole))[0]


class Fixed(NamedTuple):
    """A fixed text, the fixes that were made, and how many were not tried, as too many of them fail."""

    text: str
    made: list[Fix]
    untried: int


def fix_text(text: str | bytes, layers: Sequence[Layer] | None, unsafe: bool, flavour: Flavour) -> Fixed:
    whole, made = fix_syntax(decode(text, "<string>"))
    state, renewed = renew_selections(FixableText(whole, layers, flavour))
    made += renewed
    untried = 0
    for _ in range(MOST_ROUNDS):
        chosen = [one for one in find_fixes(state) if one.is_safe or unsafe]
        state, kept, untried = select_fixes(state, chosen)
        if not kept:
            break
        made += kept
    return Fixed(state.text, made, untried)


def count_fixes(
    text: str | bytes, layers: Sequence[Layer] | None, flavour: Flavour, tree: Tree | None
) -> tuple[int, int]:
    """Count the diagnostics of a text that can be fixed safely, and those that unsafe fixes cover beyond them."""
    if tree is None:
        return int(bool(fix_syntax(decode(text, "<string>"))[1])), 0  # no other diagnostic
    state = FixableText(tree, layers, flavour)
    renewed = renew_selections(state)[1]
    found = find_fixes(state)
    kept = select_fixes(state, [one for one in found if one.is_safe])[1]
    more = select_fixes(state, [one for one in found if not one.is_safe], kept)[1]
    return len(renewed) + len(kept), len(more) - len(kept)


class FixableText:
    """A text, read leniently, with the number of its errors and the places of what fixes change.

    elements -- of the fields at the top, each as a field, its index in that and what is written there. selections -- by the
    offsets of their comments.
    """

    def __init__(self, text: str | Tree, layers: Sequence[Layer] | None, flavour: Flavour) -> None:
        self.layers: Sequence[Layer] | None = layers
        self.flavour: Flavour = flavour
        self.document: Document[Configuration] | None = None  # where reading finds no error
        self.context: Context | None = None  # None where the text is not a configuration
        self.diagnostics: tuple[Diagnostic, ...] = ()
        self.errors: int = 0
        self.elements: dict[str, list[tuple[Field, int, str]]] = {}
        self.selections: dict[int, Judged] = {}
        try:
            self.tree: Tree = text if isinstance(text, Tree) else parse_tree(text, "<string>")
        except ConfigError as error:
            self.tree, self.errors = Tree(Source(str(text), ""), ()), len(error.diagnostics)
            return
        document, reading = read_tree(self.tree, False, flavour)
        self.document = None if reading.broken else document
        context = Context(document, layers, DOCUMENTED, flavour, reading.broken)
        self.errors = sum(one.severity == ERROR for one in (*document.diagnostics, *find_errors(context)))
        self.context = None if reading.foreign else context
        judged = [] if layers is None else judge_blocks(self.tree, layers, flavour)
        self.selections = {one.block.start: one for one in judged}
        for field in split(self.tree.fields):
            written = [element[1] for element in elements_of(field)]
            self.elements.setdefault(field[0], []).extend((field, index, one) for index, one in enumerate(written))

    @property
    def text(self) -> str:
        return self.tree.source.text

    def extent_of(self, diagnostic: Diagnostic) -> tuple[int, int]:
        source, span = self.tree.source, diagnostic.span
        assert span is not None  # what can be fixed has a place
        return source.offset(span.line, span.column), source.offset(span.end_line, span.end_column)

    def apply(self, made: Sequence[Fix]) -> FixableText:
        return FixableText(apply_fixes(self.text, made), self.layers, self.flavour)

    def accepts(self, trial: FixableText, plans: Any) -> bool:
        """Return whether a changed text has no more errors and, where plans are given, has these."""
        return trial.errors <= self.errors and (plans is None or trial.expand() == plans)

    def expand(self) -> Any:
        """Return what layers get under both sets of rules; None where that can't be known."""
        if self.layers is None or self.document is None:
            return None
        try:
            plans = [expand(self.document, self.layers, rules, self.flavour) for rules in (DOCUMENTED, TOOLKIT)]
        except ConfigError:
            return None
        return [plan.to_json() if self.flavour.layout else tuple(plan.items()) for plan in plans]


def renew_selections(state: FixableText) -> tuple[FixableText, list[Fix]]:
    """Rewrite the selections that are stale, unless that makes an error; other layers are skipped then, as is meant."""
    stale = [one for one in find_fixes(state) if one.diagnostic.code == STALE]
    trial = state.apply(stale) if stale else state
    return (trial, stale) if state.accepts(trial, None) else (state, [])


def apply_fixes(text: str, made: Sequence[Fix]) -> str:
    return apply_edits(text, combine_edits(text, made))


def combine_edits(text: str, made: Sequence[Fix]) -> list[Edit]:
    edits = [edit for one in made for edit in one.edits]
    lists: dict[int, tuple[Field, set[int]]] = {}
    for one in made:
        if one.element is not None:
            field, index = one.element
            lists.setdefault(field[2], (field, set()))[1].add(index)
    for field, indices in lists.values():
        edits += remove_elements(text, field, indices)
    return keep_apart(text, join_edits(edits))


def select_fixes(
    state: FixableText, chosen: Sequence[Fix], kept: Sequence[Fix] = ()
) -> tuple[FixableText, list[Fix], int]:
    """Select the fixes that keep what they promise, beside those that are kept already; count those that are not tried.

    All together are tried first, then halves of those that fail, as far as the budget goes.
    """
    made, after, plans = list(kept), state, state.expand() if chosen else None
    chosen = [
        one
        for one in chosen
        # Without a plan there is no proof that an override has no effect.
        if one.diagnostic.code != STALE and (plans is not None or one.diagnostic.code not in REMOVABLE)
    ]
    pending = [chosen] if chosen else []
    for _ in range(max(FEWEST_TRIALS, min(MOST_TRIALS, MOST_READ // (1 + len(state.text))))):
        if not pending:
            break
        group = pending.pop()
        trial = state.apply([*made, *group])
        is_safe = all(one.is_safe for one in (*made, *group))
        if trial.text != state.text and state.accepts(trial, plans if is_safe else None):
            made, after = made + group, trial
        elif len(group) > 1:
            middle = len(group) // 2
            pending += [group[middle:], group[:middle]]
    return after, made, sum(map(len, pending))


# ---------------------------------------------------------------- slips of the syntax

# What may be a slip, and what hides one or tells its meaning: comments, strings, brackets.
SLIP = re.compile(
    r"""{}|{}|//|([,，、])(?=[ \t\r\n]*[\]］】])|["'\[\]{{}}<>\ufeff\u200b\u00a0\u3000{}]""".format(
        COMMENT, STRING, "".join(LOOKALIKES)
    )
)
MEANT_CHARACTERS = dict(LOOKALIKES, **{"//": "#", "\ufeff": "", "\u200b": "", "\u00a0": " ", "\u3000": " "})
CLOSED_BY = {"[": "]", "{": "}", "<": ">"}


def fix_syntax(text: str) -> tuple[str, list[Fix]]:
    """Fix the slips that keep a text from being text format, up to the first error that is left."""
    failed = find_syntax_error(text)
    if failed is None:
        return text, []
    slips = list(find_slips(text))
    failed = find_syntax_error(apply_fixes(text, slips))
    kept, moved = [], 0
    for slip in slips:
        if failed is not None and slip.edits[0].start + moved > failed:
            break
        kept.append(slip)
        moved += sum(edit.start - edit.end + len(edit.text) for edit in slip.edits)
    return apply_fixes(text, kept), kept


def find_syntax_error(text: str) -> int | None:
    """Return the offset of a text's syntax error; None where there is none."""
    try:
        parse_tree(text, "<string>")
        return None
    except ConfigError as error:
        found = error.diagnostics[0]
    if found.code != "syntax" or found.span is None:
        return None
    return Source(text, "").offset(found.span.line, found.span.column)


def find_slips(text: str) -> Iterator[Fix]:
    """Find the slips in a text, up to a string that is not closed."""
    source, opened = Source(text, "<string>"), [""]
    match = SLIP.search(text)
    while match:
        found, start, end = match[0], match.start(), match.end()
        is_last_comma = match[1] and opened[-1] == "[" and find_last_character(text, start) not in "[,"
        meant = "" if is_last_comma else MEANT_CHARACTERS.get(found, found)
        edits: tuple[Edit, ...] = (Edit(start, end, meant),) if meant != found else ()
        if meant in ("'", '"'):
            closing = None if meant == found else find_closing_quote(text, end, meant)
            if closing is None:
                return
            edits, end = (*edits, Edit(closing, closing + 1, meant)), closing + 1
        elif meant in CLOSED_BY:
            opened.append(meant)
        elif meant and meant == CLOSED_BY.get(opened[-1]):
            opened.pop()
        elif meant == "#" or found[0] == "#":
            end = find_line_end(text, end)
        if edits:
            yield make_slip_fix(source, found, meant, edits)
        match = SLIP.search(text, end)


def find_last_character(text: str, end: int) -> str:
    """Return the last character before `end` that is not blank."""
    while end and text[end - 1] in " \t\r\n":
        end -= 1
    return text[end - 1 : end]


def find_closing_quote(text: str, start: int, meant: str) -> int | None:
    """Return where a string closes that a look-alike of a quote opens; None where that is not certain."""
    for index in range(start, find_line_end(text, start)):
        if text[index] == meant:
            return None  # quotes of both kinds
        if LOOKALIKES.get(text[index]) == meant:
            return index
    return None


def make_slip_fix(source: Source, found: str, meant: str, edits: tuple[Edit, ...]) -> Fix:
    span = source.span(edits[0].start, edits[0].end)
    shown = found if found.isprintable() else ascii(found).strip("'")
    done = "{} for {}".format("a blank" if meant == " " else meant, shown) if meant else "{} deleted".format(shown)
    diagnostic = Diagnostic(ERROR, "syntax", "'{}' is not text format here".format(found), span, name=source.name)
    return Fix(diagnostic, "Fix the syntax", done, edits, True)


# ---------------------------------------------------------------- fixes of diagnostics


def find_fixes(state: FixableText) -> list[Fix]:
    if state.context is not None and not state.diagnostics:
        state.diagnostics = gather_diagnostics(state.context)
    found = []
    for one in state.diagnostics:
        make = FIX_MAKERS.get(one.code) if one.replacement is None else replace_span
        made = make(state, one) if make and (one.path or one.code == STALE) else None
        if made is not None:
            found.append(made)
    return found


def replace_span(state: FixableText, diagnostic: Diagnostic) -> Fix:
    (start, end), replacement = state.extent_of(diagnostic), diagnostic.replacement or ""
    title, is_safe = "Write {}".format(shorten(replacement)), diagnostic.code in SAFE_REPLACEMENTS
    done = "{} for {}".format(shorten(replacement), shorten(state.text[start:end]))
    return Fix(diagnostic, title, done, (Edit(start, end, replacement),), is_safe)


def delete_override(state: FixableText, diagnostic: Diagnostic) -> Fix | None:
    field = state.tree.find((diagnostic.path or ())[:2])
    if field is None or field[0] is None:  # an element of a list
        return None
    edit = remove_field(state.text, field[2], field[3])
    return Fix(diagnostic, "Delete the override", "override deleted", (edit,), True)


def delete_entry(state: FixableText, diagnostic: Diagnostic) -> Fix | None:
    path = diagnostic.path or ()
    if len(path) != 2 or not isinstance(path[1], int):
        return None  # two overrides of one name are not equal as a rule
    field, index, written = state.elements[str(path[0])][path[1]]
    done = "{} deleted".format(shorten(written))
    return Fix(diagnostic, "Delete it here", done, (), True, (field, index))


def add_block(state: FixableText, diagnostic: Diagnostic) -> Fix | None:
    text, path = state.text, diagnostic.path or ()
    field = state.tree.find(path[:-1])
    if field is None or path[-1] != "calibration_config" or isinstance(field[1], str):
        return None
    title, done, end = "Add an empty block", "empty calibration_config added", field[3] - 1
    line = text.rfind("\n", 0, end) + 1
    if text[line:end].strip():
        addition = "calibration_config { }" if text[end - 1] in " \t{" else " calibration_config { }"
        return Fix(diagnostic, title, done, (Edit(end, end, addition + " "),), False)
    block = "  {0}calibration_config {{\n  {0}}}\n".format(text[line:end]).replace("\n", find_ending(text, line))
    return Fix(diagnostic, title, done, (Edit(line, line, block),), False)


def renew_selection(state: FixableText, diagnostic: Diagnostic) -> Fix:
    block, wanted, _ = state.selections[state.extent_of(diagnostic)[0]]
    done = "{} selected by where={}".format(pluralize(len(wanted), "layer"), block.expression)
    return Fix(diagnostic, "Select the layers again", done, (rewrite_block(state.text, block, wanted),), True)


Maker = Callable[[FixableText, Diagnostic], Optional[Fix]]

FIX_MAKERS: dict[str, Maker] = dict(
    dict.fromkeys(REMOVABLE, delete_override),
    **{"duplicate-entry": delete_entry, "missing-field": add_block, STALE: renew_selection},
)


def is_fixable(diagnostic: Diagnostic) -> bool:
    return diagnostic.code == "syntax" or diagnostic.code in FIX_MAKERS or diagnostic.replacement is not None
