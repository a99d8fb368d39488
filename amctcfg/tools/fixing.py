# SPDX-License-Identifier: Apache-2.0
"""Mending what a diagnostic is about: safe fixes are proven to leave every layer what it gets, unsafe ones are likely."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple, Union

from ..checks.checking import check_document
from ..checks.context import Context
from ..checks.expanding import expand
from ..diagnostics.diagnostic import ERROR, ConfigError, Diagnostic
from ..diagnostics.source import Source, Span
from ..documents.document import read_text
from ..flavours.flavour import Flavour
from ..flavours.layer import Layer
from ..flavours.tf_ascend import TF_ASCEND
from ..messages.kinds import STRING
from ..resolve.resolver import DOCUMENTED, TOOLKIT
from ..textformat.parser import parse as parse_text
from ..textformat.syntax_errors import LOOKALIKES
from ..textformat.tree import Field, Tree, elements_of, split
from ..textformat.tree import List as ListValue
from .edits import Edit, applied, removal

MOST_SLIPS = 500  # of the syntax, each of which takes a parse
MOST_ROUNDS = 5

REMOVABLE = ("redundant-override", "unused-override", "ignored-override")

SUGGESTED = re.compile(r"did you mean '([^']*)'\?(?: \(.*\))?\Z")
BARE_WORD = re.compile(r"write (true|false)\b")


class Fix(NamedTuple):
    """What would mend a diagnostic: the edits of the text, and whether they are sure to change no layer."""

    diagnostic: Diagnostic
    title: str
    edits: Tuple[Edit, ...]
    is_safe: bool


def fix(
    text: Union[str, bytes],
    layers: Optional[Iterable[Layer]] = None,
    unsafe: bool = False,
    flavour: Flavour[Any] = TF_ASCEND,
) -> str:
    """The text with what can be mended safely, and what is not mended as it was, byte for byte.

    Safe fixes are slips of the syntax whose meaning is certain, duplicates in lists, numbers that are written with more
    digits than they have, and overrides without effect. Where the text expands on `layers`, the plan is the same before
    and after, under both sets of rules; without `layers`, only what holds on every model is mended. `unsafe` adds names
    with a single near one, `yes` for `true`, and missing blocks. The text is read leniently. No fix makes an error, and a
    second run changes nothing. Raises `ConfigError` for text that is not UTF-8.

    >>> fix('skip_layers: ["a", "a",]')
    'skip_layers: ["a"]'
    """
    return mended(text, layers, unsafe, flavour)[0]


def mended(
    text: Union[str, bytes], layers: Optional[Iterable[Layer]], unsafe: bool, flavour: Flavour[Any]
) -> Tuple[str, int]:
    """The text with its fixes, and how many there were."""
    from ..diagnostics.source import decode

    layers = None if layers is None else tuple(layers)
    whole, count = without_slips(decode(text, "<string>"))
    for _ in range(MOST_ROUNDS):
        chosen = [one for one in fixes(whole, layers, flavour) if one.is_safe or unsafe]
        after, made = best_of(whole, chosen, layers, flavour)
        if not made:
            break
        whole, count = after, count + made
    return whole, count


def best_of(
    text: str, chosen: Sequence[Fix], layers: Optional[Tuple[Layer, ...]], flavour: Flavour[Any]
) -> Tuple[str, int]:
    """The text with all fixes if together they keep what they promise, else with those that do one after the other."""
    judge = Judge(text, layers, flavour)
    if judge.plans is None:  # without a plan there is no proof that an override has no effect
        chosen = [one for one in chosen if one.diagnostic.code not in REMOVABLE]
    together = applied(text, [edit for one in chosen for edit in one.edits])
    if together != text and judge.accepts(together, all(one.is_safe for one in chosen)):
        return together, len(chosen)
    if len(chosen) < 2 or len(chosen) > 200:
        return text, 0
    kept: List[Fix] = []
    for one in chosen:
        trial = applied(text, [edit for other in (*kept, one) for edit in other.edits])
        if trial != text and judge.accepts(trial, one.is_safe and all(other.is_safe for other in kept)):
            kept.append(one)
    return applied(text, [edit for one in kept for edit in one.edits]), len(kept)


class Judge:
    """Says whether a changed text makes no error, and if it is to be safe, gives every layer the same as before."""

    def __init__(self, text: str, layers: Optional[Tuple[Layer, ...]], flavour: Flavour[Any]) -> None:
        self.layers: Optional[Tuple[Layer, ...]] = layers
        self.flavour: Flavour[Any] = flavour
        self.errors: int = self.count(text)
        self.plans: Any = self.plan(text)

    def count(self, text: str) -> int:
        try:
            document, reading = read_text(text, "<string>", False, self.flavour)
        except ConfigError as error:
            return len(error.diagnostics)
        context = Context(document, self.layers, DOCUMENTED, self.flavour, reading.broken)
        return sum(diagnostic.severity == ERROR for diagnostic in check_document(context))

    def plan(self, text: str) -> Any:
        if self.layers is None:
            return None
        try:
            document, reading = read_text(text, "<string>", False, self.flavour)
            if reading.errors:
                return None
            plans = [expand(document, self.layers, rules, self.flavour) for rules in (DOCUMENTED, TOOLKIT)]
        except ConfigError:
            return None
        return [plan.to_json() if self.flavour.layout else tuple(plan.items()) for plan in plans]

    def accepts(self, text: str, safe: bool) -> bool:
        if self.count(text) > self.errors:
            return False
        return not safe or self.plans is None or self.plan(text) == self.plans


# ---------------------------------------------------------------- slips of the syntax


def without_slips(text: str) -> Tuple[str, int]:
    """The text with the slips mended that keep it from being text format, as far as their meaning is certain."""
    count = 0
    while count < MOST_SLIPS:
        try:
            parse_text(text, "<string>")
            return text, count
        except ConfigError as error:
            span = error.diagnostics[0].span
        edits = slip_at(text, offset_of(text, span)) if span else ()
        if not edits:
            return text, count
        text = applied(text, edits)
        count += 1
    return text, count


def offset_of(text: str, span: Span) -> int:
    source = Source(text, "")
    return source.line_starts()[span.line - 1] + span.column - 1


def slip_at(text: str, offset: int) -> Tuple[Edit, ...]:
    """The edits for the slip that stands at an offset; none where its meaning is not certain."""
    here = text[offset : offset + 1]
    if text.startswith("//", offset):
        return (Edit(offset, offset + 2, "#"),)
    if here in ("\ufeff", "\u200b"):
        return (Edit(offset, offset + 1),)
    if here in ("\u00a0", "\u3000"):
        return (Edit(offset, offset + 1, " "),)
    if here == "]":
        before = text[:offset].rstrip(" \t\r\n")
        return (Edit(len(before) - 1, len(before)),) if before.endswith(",") else ()
    meant = LOOKALIKES.get(here)
    if meant is None:
        return ()
    if meant not in "\"'":
        return (Edit(offset, offset + 1, meant),)
    end = text.find("\n", offset)
    for index in range(offset + 1, len(text) if end < 0 else end):
        if text[index] in "\"'\\" and text[index] == meant:
            return ()  # quotes of both kinds: not certain
        if LOOKALIKES.get(text[index]) == meant or text[index] == meant:
            return (Edit(offset, offset + 1, meant), Edit(index, index + 1, meant))
    return ()


# ---------------------------------------------------------------- fixes of diagnostics


def fixes(text: str, layers: Optional[Tuple[Layer, ...]], flavour: Flavour[Any]) -> List[Fix]:
    """A fix for each diagnostic that has one."""
    try:
        document, reading = read_text(text, "<string>", False, flavour)
    except ConfigError:
        return []
    if reading.foreign:
        return []
    context = Context(document, layers, DOCUMENTED, flavour, reading.broken)
    found = []
    for diagnostic in check_document(context):
        make = MAKERS.get(diagnostic.code)
        one = make(text, document.tree, diagnostic) if make and diagnostic.path else None
        if one is not None:
            found.append(one)
    return found


def delete_override(text: str, tree: Tree, diagnostic: Diagnostic) -> Optional[Fix]:
    field = written_field(tree, (diagnostic.path or ())[:2])
    if field is None:
        return None
    return Fix(diagnostic, "Delete the override", (removal(text, field[2], field[3]),), True)


def delete_entry(text: str, tree: Tree, diagnostic: Diagnostic) -> Optional[Fix]:
    path = diagnostic.path or ()
    if len(path) != 2:
        return None  # two overrides of one name are not equal as a rule
    for field in split(tree.fields):
        if field[0] != path[0]:
            continue
        for element in elements_of(field):
            if element == tree.find(path):
                return Fix(diagnostic, "Delete it here", element_removal(text, field, element), True)
    return None


def element_removal(text: str, field: Field, element: Field) -> Tuple[Edit, ...]:
    """The removal of one element of a list, with the comma in front of it, or of the field."""
    if not isinstance(field[1], ListValue):
        return (removal(text, field[2], field[3]),)
    elements = list(split(field[1]))
    index = elements.index(element)
    between = text[elements[index - 1][3] : element[2]]
    kept = between.replace(",", "", 1) if "#" in between else ""
    return (Edit(elements[index - 1][3], element[3], kept),)


def written_field(tree: Tree, path: Sequence[Any]) -> Optional[Field]:
    """The field of a repeated message, where it is written alone; None for an element of a list."""
    found = tree.find(path)
    return found if found is not None and found[0] is not None else None


def write_number(text: str, tree: Tree, diagnostic: Diagnostic) -> Optional[Fix]:
    field = tree.find(diagnostic.path or ())
    value = (diagnostic.hint or "").rpartition(" ")[2]
    if field is None or not isinstance(field[1], str) or not value:
        return None
    edit = Edit(field[3] - len(field[1]), field[3], value)
    return Fix(diagnostic, "Write {}".format(value), (edit,), True)


def use_suggestion(text: str, tree: Tree, diagnostic: Diagnostic) -> Optional[Fix]:
    match = SUGGESTED.match(diagnostic.hint or "")
    if match is None or "…" in match[1]:
        return None
    name, path = match[1], diagnostic.path or ()
    if diagnostic.code == "unknown-field":
        offset = offset_of(text, diagnostic.span) if diagnostic.span else -1
        if not text.startswith(str(path[-1]), offset):
            return None
        edit = Edit(offset, offset + len(str(path[-1])), name)
    else:
        field = tree.find(path)
        if field is None or not isinstance(field[1], str):
            return None
        edit = Edit(field[3] - len(field[1]), field[3], STRING.written(name))
    return Fix(diagnostic, "Write {}".format(name), (edit,), False)


def write_word(text: str, tree: Tree, diagnostic: Diagnostic) -> Optional[Fix]:
    """`yes` for `true`, a value in quotes that needs none."""
    field = tree.find(diagnostic.path or ())
    if field is None or not isinstance(field[1], str):
        return None
    raw, match = field[1], BARE_WORD.match(diagnostic.hint or "")
    bare = raw.strip("\"'")
    if match and "or" not in (diagnostic.hint or ""):
        word = match[1]
    elif raw[0] in "\"'" and "without quotes" in (diagnostic.hint or "") and re.match(r"[\w.+-]+\Z", bare):
        word = bare
    elif "put it in quotes" in (diagnostic.hint or ""):
        word = STRING.written(raw)
    else:
        return None
    return Fix(diagnostic, "Write {}".format(word), (Edit(field[3] - len(raw), field[3], word),), False)


def add_block(text: str, tree: Tree, diagnostic: Diagnostic) -> Optional[Fix]:
    path = diagnostic.path or ()
    field = tree.find(path[:-1])
    if field is None or path[-1] != "calibration_config" or isinstance(field[1], str):
        return None
    end = field[3] - 1
    line = text.rfind("\n", 0, end) + 1
    if text[line:end].strip():
        addition = "calibration_config { }" if text[end - 1] in " \t{" else " calibration_config { }"
        return Fix(diagnostic, "Add an empty block", (Edit(end, end, addition + " "),), False)
    ending = "\r\n" if text[line - 2 : line] == "\r\n" else "\n"
    return Fix(
        diagnostic,
        "Add an empty block",
        (
            Edit(
                line,
                line,
                "  {}calibration_config {{\n  {}}}\n".format(text[line:end], text[line:end]).replace("\n", ending),
            ),
        ),
        False,
    )


Maker = Callable[[str, Tree, Diagnostic], Optional[Fix]]

MAKERS: Dict[str, Maker] = dict(
    dict.fromkeys(REMOVABLE, delete_override),
    **{
        "duplicate-entry": delete_entry,
        "float32-rounding": write_number,
        "unknown-field": use_suggestion,
        "unknown-layer": use_suggestion,
        "unknown-type": use_suggestion,
        "wrong-type": write_word,
        "missing-field": add_block,
    },
)
