# SPDX-License-Identifier: Apache-2.0
"""Fixing what diagnostics report: safe fixes are proven to leave every layer what it gets, unsafe ones are likely."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple, Union

from ..checks.checking import check_document
from ..checks.context import Context
from ..checks.errors import find_errors
from ..checks.expanding import expand
from ..diagnostics.diagnostic import ERROR, ConfigError, Diagnostic
from ..diagnostics.source import Source, Span, decode
from ..diagnostics.words import pluralize, shorten
from ..documents.document import Document, flavour_in_head, parse_tree, read_text, read_tree
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
    ending_before,
    join_edits,
    keep_apart,
    line_end,
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

    title -- what it does, as an editor offers it. done -- what it did, as a report lists it. is_safe -- it is sure to change
    no layer. element -- instead of edits, the field and the index in it of an element that goes: several such fixes of
    one list share its commas.
    """

    diagnostic: Diagnostic
    title: str
    done: str
    edits: Tuple[Edit, ...]
    is_safe: bool
    element: Optional[Tuple[Field, int]] = None


def fix(
    text: Union[str, bytes],
    layers: Optional[Iterable[Layer]] = None,
    unsafe: bool = False,
    flavour: Optional[Flavour] = None,
) -> str:
    """Fix what can be fixed safely, and leave the rest as it was, byte for byte.

    Safe fixes are slips of the syntax whose meaning is certain, duplicates in lists, numbers that are written with more
    digits than they have, and overrides without effect. Where the text expands on `layers`, the plan is the same before
    and after, under both sets of rules; without `layers`, only what holds on every model is fixed. The text is read
    leniently. No fix makes an error, and a second run changes nothing, unless so many of thousands of fixes failed that
    the search for the good ones was stopped.

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
    return fix_text(whole, None if layers is None else Layers(layers), unsafe, flavour or flavour_in_head(whole))[0]


class Fixed(NamedTuple):
    """A fixed text, the fixes that were made, and how many were not tried, as too many of them fail."""

    text: str
    made: List[Fix]
    untried: int


def fix_text(text: Union[str, bytes], layers: Optional[Sequence[Layer]], unsafe: bool, flavour: Flavour) -> Fixed:
    whole, made = fix_syntax(decode(text, "<string>"))
    whole, renewed = renew_selections(OriginalText(whole, layers, flavour))
    made += renewed
    untried = 0
    for _ in range(MOST_ROUNDS):
        state = OriginalText(whole, layers, flavour)
        chosen = [x for x in find_fixes(state) if (x.is_safe or unsafe) and x.diagnostic.code != STALE]
        kept, untried = select_fixes(state, chosen)
        if not kept:
            break
        whole = apply_fixes(whole, kept)
        made += kept
    return Fixed(whole, made, untried)


def count_fixes(
    text: Union[str, bytes], layers: Optional[Sequence[Layer]], flavour: Flavour, tree: Optional[Tree] = None
) -> Tuple[int, int]:
    """Count the diagnostics of a text that can be fixed safely, and those that unsafe fixes cover beyond them.

    `tree` is that of the text, where it has been parsed.
    """
    slips: List[Fix] = []
    if tree is None:
        try:
            text, slips = fix_syntax(decode(text, "<string>"))
        except ConfigError:  # not UTF-8
            return 0, 0
    state = OriginalText(text if tree is None else tree, layers, flavour)
    renewed = renew_selections(state)[1]
    found = [one for one in find_fixes(state) if one.diagnostic.code != STALE]
    kept = select_fixes(state, [one for one in found if one.is_safe])[0]
    more = select_fixes(state, [one for one in found if not one.is_safe], kept)[0]
    return len(slips) + len(renewed) + len(kept), len(more) - len(kept)


class OriginalText:
    """A text before it is fixed, read once.

    document -- None where it is not text format. diagnostics -- every error and warning. Both are read leniently.
    """

    def __init__(self, text: Union[str, bytes, Tree], layers: Optional[Sequence[Layer]], flavour: Flavour) -> None:
        self.layers: Optional[Sequence[Layer]] = layers
        self.flavour: Flavour = flavour
        self.document: Optional[Document[Configuration]] = None
        self.text: str = text.source.text if isinstance(text, Tree) else str(text)
        self.is_readable: bool = False
        self._verifier: Optional[Verifier] = None
        try:
            tree = text if isinstance(text, Tree) else parse_tree(text, "<string>")
        except ConfigError as error:
            self.diagnostics: Tuple[Diagnostic, ...] = error.diagnostics
            return
        self.document, reading = read_tree(tree, False, flavour)
        self.is_readable = not reading.errors
        if reading.foreign:
            self.diagnostics = self.document.diagnostics
            return
        self.diagnostics = check_document(Context(self.document, layers, DOCUMENTED, flavour, reading.broken))

    @property
    def verifier(self) -> Verifier:
        """The test for what it is changed to."""
        self._verifier = self._verifier or Verifier(self)
        return self._verifier


def renew_selections(state: OriginalText) -> Tuple[str, List[Fix]]:
    """Rewrite the selections that are stale, unless that makes an error; other layers are skipped then, as is meant."""
    text = state.document.text if state.document is not None else state.text
    stale = [one for one in find_fixes(state) if one.diagnostic.code == STALE]
    if not stale:
        return text, []
    trial = apply_fixes(text, stale)
    return (trial, stale) if state.verifier.accepts(trial, False) else (text, [])


def apply_fixes(text: str, made: Sequence[Fix]) -> str:
    return apply_edits(text, combine_edits(text, made))


def combine_edits(text: str, made: Sequence[Fix]) -> List[Edit]:
    edits = [edit for one in made for edit in one.edits]
    lists: Dict[int, Tuple[Field, Set[int]]] = {}
    for one in made:
        if one.element is not None:
            field, index = one.element
            lists.setdefault(field[2], (field, set()))[1].add(index)
    for field, indices in lists.values():
        edits += remove_elements(text, field, indices)
    return keep_apart(text, join_edits(edits))


def select_fixes(state: OriginalText, chosen: Sequence[Fix], kept: Sequence[Fix] = ()) -> Tuple[List[Fix], int]:
    """Select the fixes that keep what they promise, beside those that are kept already; count those that are not tried.

    All together are tried first, then halves of those that fail, down to the single ones, as far as the budget goes.
    """
    made = list(kept)
    if not chosen or state.document is None:
        return made, 0
    text, verifier = state.document.text, state.verifier
    if verifier.plans is None:  # without a plan there is no proof that an override has no effect
        chosen = [one for one in chosen if one.diagnostic.code not in REMOVABLE]
    pending = [list(chosen)] if chosen else []
    for _ in range(max(FEWEST_TRIALS, min(MOST_TRIALS, MOST_READ // (1 + len(text))))):
        if not pending:
            break
        group = pending.pop()
        trial = apply_fixes(text, [*made, *group])
        if trial != text and verifier.accepts(trial, all(one.is_safe for one in (*made, *group))):
            made += group
        elif len(group) > 1:
            middle = len(group) // 2
            pending += [group[middle:], group[:middle]]
    return made, sum(map(len, pending))


class Verifier:
    """A test for changed texts: they make no error, and safe ones give every layer the same as before."""

    def __init__(self, state: OriginalText) -> None:
        self.layers: Optional[Sequence[Layer]] = state.layers
        self.flavour: Flavour = state.flavour
        self.errors: int = sum(diagnostic.severity == ERROR for diagnostic in state.diagnostics)
        self.plans: Any = self.expand(state.document if state.is_readable else None)

    def count_errors(self, text: str) -> Tuple[int, Optional[Document[Configuration]]]:
        """Count the errors of a text; return its document as well, where reading found none."""
        try:
            document, reading = read_text(text, "<string>", False, self.flavour)
        except ConfigError as error:
            return len(error.diagnostics), None
        context = Context(document, self.layers, DOCUMENTED, self.flavour, reading.broken)
        found = find_errors(context)
        count = sum(diagnostic.severity == ERROR for diagnostic in (*document.diagnostics, *found))
        return count, None if reading.errors else document

    def expand(self, document: Optional[Document[Configuration]]) -> Any:
        """Expand a document under both sets of rules; None where that can't be done."""
        if self.layers is None or document is None:
            return None
        try:
            plans = [expand(document, self.layers, rules, self.flavour) for rules in (DOCUMENTED, TOOLKIT)]
        except ConfigError:
            return None
        return [plan.to_json() if self.flavour.layout else tuple(plan.items()) for plan in plans]

    def accepts(self, text: str, safe: bool) -> bool:
        """Return whether a text has no more errors than the one before, and, to be safe, the same plan."""
        count, document = self.count_errors(text)
        if count > self.errors:
            return False
        return not safe or self.plans is None or self.expand(document) == self.plans


# ---------------------------------------------------------------- slips of the syntax

# What may be a slip, and what hides one or tells its meaning: comments, strings, brackets.
SLIP = re.compile(
    r"""{}|{}|//|([,，、])(?=[ \t\r\n]*[\]］】])|["'\[\]{{}}<>\ufeff\u200b\u00a0\u3000{}]""".format(
        COMMENT, STRING, "".join(LOOKALIKES)
    )
)
MEANT_CHARACTERS = dict(LOOKALIKES, **{"//": "#", "\ufeff": "", "\u200b": "", "\u00a0": " ", "\u3000": " "})
CLOSED_BY = {"[": "]", "{": "}", "<": ">"}


def fix_syntax(text: str) -> Tuple[str, List[Fix]]:
    """Fix the slips that keep a text from being text format, as far as their meaning is certain.

    All slips are found in one pass. Those behind the first error that is left don't count: their meaning depends on it.
    """
    failed = syntax_error_in(text)
    if failed is None:
        return text, []
    slips = list(find_slips(text))
    failed = syntax_error_in(apply_fixes(text, slips))
    kept, moved = [], 0
    for slip in slips:
        if failed is not None and slip.edits[0].start + moved > failed:
            break
        kept.append(slip)
        moved += sum(edit.start - edit.end + len(edit.text) for edit in slip.edits)
    return apply_fixes(text, kept), kept


def syntax_error_in(text: str) -> Optional[int]:
    """Return the offset of the syntax error that keeps a text from being text format; None where there is none."""
    try:
        parse_tree(text, "<string>")
        return None
    except ConfigError as error:
        found = error.diagnostics[0]
    span = found.span or Span(1, 1, 1, 1)
    return Source(text, "").offset(span.line, span.column) if found.code == "syntax" else None


def find_slips(text: str) -> Iterator[Fix]:
    """Find the slips in a text, up to a string that is not closed."""
    source, opened = Source(text, "<string>"), [""]
    match = SLIP.search(text)
    while match:
        found, start, end = match[0], match.start(), match.end()
        is_last_comma = match[1] and opened[-1] == "[" and last_character(text, start) not in "[,"
        meant = "" if is_last_comma else MEANT_CHARACTERS.get(found, found)
        edits: Tuple[Edit, ...] = (Edit(start, end, meant),) if meant != found else ()
        if meant in ("'", '"'):
            closing = None if meant == found else closing_quote(text, end, meant)
            if closing is None:
                return
            edits, end = (*edits, Edit(closing, closing + 1, meant)), closing + 1
        elif meant in CLOSED_BY:
            opened.append(meant)
        elif meant and meant == CLOSED_BY.get(opened[-1]):
            opened.pop()
        elif meant == "#" or found[0] == "#":
            end = line_end(text, end)
        if edits:
            yield slip_fix(source, found, meant, edits)
        match = SLIP.search(text, end)


def last_character(text: str, end: int) -> str:
    """Return the last character before `end` that is not blank."""
    while end and text[end - 1] in " \t\r\n":
        end -= 1
    return text[end - 1 : end]


def closing_quote(text: str, start: int, meant: str) -> Optional[int]:
    """Return where a string closes that a look-alike of a quote opens; None where that is not certain."""
    for index in range(start, line_end(text, start)):
        if text[index] == meant:
            return None  # quotes of both kinds
        if LOOKALIKES.get(text[index]) == meant:
            return index
    return None


def slip_fix(source: Source, found: str, meant: str, edits: Tuple[Edit, ...]) -> Fix:
    span = source.span(edits[0].start, edits[0].end)
    shown = found if found.isprintable() else ascii(found).strip("'")
    done = "{} for {}".format("a blank" if meant == " " else meant, shown) if meant else "{} deleted".format(shown)
    diagnostic = Diagnostic(ERROR, "syntax", "'{}' is not text format here".format(found), span, name=source.name)
    return Fix(diagnostic, "Fix the syntax", done, edits, True)


# ---------------------------------------------------------------- fixes of diagnostics


def find_fixes(state: OriginalText) -> List[Fix]:
    """Find a fix for each diagnostic that has one."""
    if state.document is None:
        return []
    places = Places(state.document, state.layers)
    made = (make_fix(places, x) for x in state.diagnostics if x.path or x.code == STALE)
    return [one for one in made if one is not None]


class Places:
    """The places of the elements of the lists at the top of a text, each looked up once."""

    def __init__(self, document: Document[Configuration], layers: Optional[Sequence[Layer]] = None) -> None:
        self.document: Document[Configuration] = document
        self.text: str = document.text
        judged = [] if layers is None else judge_blocks(document.tree, layers, document.flavour)
        self.selections: Dict[int, Judged] = {one.block.start: one for one in judged}
        self.elements: Dict[str, List[Tuple[Field, int]]] = {}
        for field in split(document.tree.fields):
            indices = range(len(elements_of(field)))
            self.elements.setdefault(field[0], []).extend((field, index) for index in indices)

    def offset(self, line: int, column: int) -> int:
        return self.document.tree.source.offset(line, column)


def make_fix(places: Places, diagnostic: Diagnostic) -> Optional[Fix]:
    """Make the fix of a diagnostic, if it has one: what it says to write, or what its code tells."""
    if diagnostic.replacement is not None:
        return replace_span(places, diagnostic, diagnostic.replacement)
    make = FIX_MAKERS.get(diagnostic.code)
    return make(places, diagnostic) if make else None


def replace_span(places: Places, diagnostic: Diagnostic, replacement: str) -> Optional[Fix]:
    span = diagnostic.span
    if span is None:
        return None
    edit = Edit(places.offset(span.line, span.column), places.offset(span.end_line, span.end_column), replacement)
    found = shorten(places.text[edit.start : edit.end])
    safe = diagnostic.code in SAFE_REPLACEMENTS
    done = "{} for {}".format(shorten(replacement), found)
    return Fix(diagnostic, "Write {}".format(shorten(replacement)), done, (edit,), safe)


def delete_override(places: Places, diagnostic: Diagnostic) -> Optional[Fix]:
    field = places.document.tree.find((diagnostic.path or ())[:2])
    if field is None or field[0] is None:  # an element of a list
        return None
    edit = remove_field(places.text, field[2], field[3])
    return Fix(diagnostic, "Delete the override", "override deleted", (edit,), True)


def delete_entry(places: Places, diagnostic: Diagnostic) -> Optional[Fix]:
    path = diagnostic.path or ()
    if len(path) != 2 or not isinstance(path[1], int):
        return None  # two overrides of one name are not equal as a rule
    field, index = places.elements[str(path[0])][path[1]]
    found = places.document.tree.find(path)
    done = "{} deleted".format(shorten(str(found[1])) if found else "entry")
    return Fix(diagnostic, "Delete it here", done, (), True, (field, index))


def add_block(places: Places, diagnostic: Diagnostic) -> Optional[Fix]:
    text, path = places.text, diagnostic.path or ()
    field = places.document.tree.find(path[:-1])
    if field is None or path[-1] != "calibration_config" or isinstance(field[1], str):
        return None
    title, done, end = "Add an empty block", "empty calibration_config added", field[3] - 1
    line = text.rfind("\n", 0, end) + 1
    if text[line:end].strip():
        addition = "calibration_config { }" if text[end - 1] in " \t{" else " calibration_config { }"
        return Fix(diagnostic, title, done, (Edit(end, end, addition + " "),), False)
    block = "  {0}calibration_config {{\n  {0}}}\n".format(text[line:end]).replace("\n", ending_before(text, line))
    return Fix(diagnostic, title, done, (Edit(line, line, block),), False)


def renew_selection(places: Places, diagnostic: Diagnostic) -> Optional[Fix]:
    """Rewrite the lines of a selection."""
    span = diagnostic.span
    judged = None if span is None else places.selections.get(places.offset(span.line, span.column))
    if judged is None:
        return None
    edit = rewrite_block(places.text, judged.block, judged.wanted)
    done = "{} selected by where={}".format(pluralize(len(judged.wanted), "layer"), judged.block.expression)
    return Fix(diagnostic, "Select the layers again", done, (edit,), True)


Maker = Callable[[Places, Diagnostic], Optional[Fix]]

FIX_MAKERS: Dict[str, Maker] = dict(
    dict.fromkeys(REMOVABLE, delete_override),
    **{"duplicate-entry": delete_entry, "missing-field": add_block, STALE: renew_selection},
)


def is_fixable(diagnostic: Diagnostic) -> bool:
    """Return whether a diagnostic may have a fix."""
    return diagnostic.code == "syntax" or diagnostic.code in FIX_MAKERS or diagnostic.replacement is not None
