# SPDX-License-Identifier: Apache-2.0
"""The explanation of a syntax error: what was expected, what stands there instead, and the cure for the usual slips."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, Sequence

from ..diagnostics.diagnostic import ConfigError
from ..diagnostics.source import Source
from ..diagnostics.words import join_words, shorten
from . import _tables as tables

END, DONE = "$END", ""

WORDS = {
    "FIELD_NAME": "a field name", "NAME": "a value", "NUMBER": "a value", "STRING": "a value",
    "COLON": "':'", "COMMA": "','", "SEMICOLON": "';'", "LBRACE": "'{'", "RBRACE": "'}'",
    "LESSTHAN": "'<'", "MORETHAN": "'>'", "LSQB": "'['", "RSQB": "']'", END: "the end of the file",
}  # fmt: skip

# Tokens that are never worth naming where the more usual one may stand as well.
RARE = {"LESSTHAN": "LBRACE", "LSQB": "LBRACE", "COMMA": "FIELD_NAME", "SEMICOLON": "FIELD_NAME"}

CLOSING = {"{": "RBRACE", "<": "MORETHAN", "[": "RSQB"}

LOOKALIKES = {
    "：": ":", "，": ",", "；": ";", "｛": "{", "｝": "}", "［": "[", "］": "]", "＜": "<", "＞": ">", "＃": "#",
    "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "＂": '"', "‘": "'", "’": "'", "＇": "'", "－": "-", "−": "-",
    "–": "-", "。": ".", "、": ",", "【": "[", "】": "]",
}  # fmt: skip

INVISIBLE = {
    "\ufeff": ("a byte-order mark", "save the file as UTF-8 without BOM"),
    "\0": ("a NUL character", "delete it; if there are many, the file is not UTF-8 text"),
    "\u00a0": ("a no-break space", "replace it with a blank"),
    "\u3000": ("a full-width blank", "replace it with a blank"),
    "\u200b": ("a zero-width blank", "delete it"),
    "\u2028": ("a Unicode line separator", "replace it with a line break"),
    "\u0085": ("a Unicode line break", "replace it with a line break"),
}


# What people bring along from other languages: what stands where the parser is stuck, the tokens that have to be expected
# there, those that must not be, and the cure.
SLIPS: tuple[tuple[str, set[str], set[str], str], ...] = (
    (r"//|/\*", set(), set(), "a comment begins with '#'"),
    (r"\+", set(), set(), "leave out the '+'"),
    (r"-", set(), set(), "'-' stands before a number, inf or nan only"),
    (r"\(", set(), set(), "lists stand in [ ], messages in { }"),
    (r"\]", {"NUMBER"}, {"RSQB"}, "a list has no comma after its last element"),
    (r".", {"RSQB"}, {"COMMA"}, "write a ':' in front of a list of values"),
    (r"(['\"])\w+\1\s*:", {"FIELD_NAME"}, set(), "the name of a field has no quotes"),
    (r"(?<=[0-9],)[0-9]", set(), set(), "a decimal number has a point, not a comma"),
)


class Stuck(NamedTuple):
    offset: int
    expected: set[str]
    before: str  # the token in front


class Cause(NamedTuple):
    message: str
    start: int
    end: int
    hint: str | None


def make_syntax_error(source: Source, offset: int, states: Sequence[int], values: Sequence[Any]) -> ConfigError:
    """Make the error for a text whose step at `offset` has no action in the current state."""
    opened = [v for v in values if type(v) is tuple and v[1] == "" and source.text[v[3] - 1] in CLOSING]
    stuck = find_stuck(source.text, offset, states)
    causes = (explain(source.text, stuck) for explain in (explain_character, explain_string, explain_number))
    message, start, end, hint = next(filter(None, causes), None) or explain_token(source, stuck, opened)
    return ConfigError.single("syntax", message, source.name, hint, source.span(start, end), source.text)


def shift_symbol(states: Sequence[int], group: int) -> list[int] | None:
    """Return the stack of states after shifting a symbol, with the reductions in front of it; None where it can't be."""
    stack = list(states)
    while True:
        action = tables.ACTIONS[stack[-1]][group]
        if action in (tables.ERROR, tables.PASS):
            return None
        if action in (tables.ACCEPT, tables.APPEND):
            return stack
        if 0 < action < tables.CLOSE:
            return [*stack, action]
        closes = action >= tables.CLOSE  # reduces with the symbol itself, which is not on the stack
        _, length, symbol, _ = tables.RULES[action - tables.CLOSE if closes else ~action]
        del stack[len(stack) - length + (1 if closes else 0) :]
        stack.append(tables.GOTOS[stack[-1]][symbol])
        if closes:
            return stack


def find_stuck(text: str, offset: int, states: Sequence[int]) -> Stuck:
    """Follow the phrases token by token from `offset` to where the parser can't go on."""
    skip = re.compile(tables.SKIP)
    phrases = begin_phrases(states)
    before = ""
    while True:
        expected = dict.fromkeys(token for phrase in phrases for token in phrase)
        for token in expected:
            match = re.compile(tables.TOKENS[token]).match(text, offset) if token in tables.TOKENS else None
            if match:
                break
        else:
            done = [phrase[DONE] for phrase in phrases if DONE in phrase]
            if not done:
                return Stuck(offset, set(expected), before)
            states = shift_symbol(states, tables.SYMBOLS.index(done[0])) or states
            phrases = begin_phrases(states)
            continue
        before, phrases = match[0], [phrase[token] for phrase in phrases if token in phrase]
        offset = skip.match(text, match.end()).end()  # type: ignore[union-attr]  # SKIP may be empty


def begin_phrases(states: Sequence[int]) -> list[dict[str, Any]]:
    """Return by what each symbol that the parser can go on with begins: tokens, and what may follow each; DONE at its end.

    The table allows reductions that lead nowhere, so each symbol is tried.
    """
    symbols = {symbol for group, symbol in enumerate(tables.SYMBOLS) if shift_symbol(states, group)}
    return [tables.PHRASES.get(symbol, {symbol: {DONE: symbol}}) for symbol in sorted(symbols)]


def explain_token(source: Source, stuck: Stuck, opened: list[tuple[Any, ...]]) -> Cause:
    word = re.compile(r"[A-Za-z0-9_.]+|.", re.DOTALL).match(source.text, stuck.offset)
    found, end = ("'{}'".format(shorten(word[0])), word.end()) if word else ("the end of the file", stuck.offset)
    expected = sorted({WORDS[token] for token in stuck.expected if RARE.get(token) not in stuck.expected})
    after = " after '{}'".format(shorten(stuck.before)) if stuck.before else ""
    message = "expected {}{}, found {}".format(join_words(expected, "or"), after, found)
    return Cause(message, stuck.offset, end, find_cure(source, stuck, opened))


def find_cure(source: Source, stuck: Stuck, opened: list[tuple[Any, ...]]) -> str | None:
    """Return what to do about a token that is out of place, where that is clear."""
    text, expected, here = source.text, stuck.expected, source.text[stuck.offset : stuck.offset + 1]
    for pattern, needed, excluded, cure in SLIPS:
        if expected >= needed and not expected & excluded and re.compile(pattern).match(text, stuck.offset):
            return cure
    before = text[: stuck.offset].rstrip()
    if "FIELD_NAME" in expected:
        is_list = here in ("'", '"') and re.search(r"['\"]\s*[,;]\Z|\{\Z", before)
    else:  # a name where the next field would have to begin
        before = before[: len(before) - len(stuck.before)]
        is_list = here in ("", ",", ";") and re.search(r":\s*[\w./]+\s*[,;]\s*\Z", before)
    if is_list:
        return 'several values stand in brackets, names in quotes: ["a", "b"]'
    if here in ("", "}", ">", "]"):
        return describe_unclosed(source, here, opened)
    if "RSQB" in expected:
        return "separate the elements of a list with ','"
    if here in (",", ";"):
        return "at most one separator stands behind a field" if "FIELD_NAME" in expected else None
    if here in ("/", ".", "@"):
        return "a name that holds anything but letters, digits and '_' has to be in quotes"
    if {"COLON", "LBRACE"} <= expected:
        return "write '{}: ...'".format(shorten(stuck.before))
    return None


def describe_unclosed(source: Source, found: str, opened: list[tuple[Any, ...]]) -> str | None:
    if not opened:
        return "nothing is open here that '{}' could close".format(found) if found else None
    name, _, start, end = opened[-1]
    bracket = source.text[end - 1]
    if found and found == WORDS[CLOSING[bracket]].strip("'"):
        return None
    what = "'{} {}'".format(name, bracket) if name else "'{}'".format(bracket)
    line, column = source.span(start, start)[:2]
    return "{}, opened at {}:{}, is not closed with {} yet".format(what, line, column, WORDS[CLOSING[bracket]])


def explain_character(text: str, stuck: Stuck) -> Cause | None:
    """Explain a character that nobody sees, or that only looks like the one that belongs there."""
    comment = re.compile(r"#[^\n\0]*\0").match(text, stuck.offset)
    offset = comment.end() - 1 if comment else stuck.offset
    character = text[offset : offset + 1]
    if character in INVISIBLE:
        what, hint = INVISIBLE[character]
        return Cause("{} is not allowed here".format(what), offset, offset + 1, hint)
    if character in LOOKALIKES:
        message = "'{}' is not the character that belongs here".format(character)
        return Cause(message, offset, offset + 1, "write the ASCII one: {}".format(LOOKALIKES[character]))
    return None


def explain_string(text: str, stuck: Stuck) -> Cause | None:
    """Explain a literal that is not closed on its line, or holds a bad escape."""
    start, quote = stuck.offset, text[stuck.offset : stuck.offset + 1]
    if quote not in ('"', "'") or re.compile(tables.TOKENS["STRING"]).match(text, start):
        return None
    content = re.compile(r"[^\\\n\0{0}]*(?:\\[^\n\0][^\\\n\0{0}]*)*".format(quote)).match(text, start + 1)
    assert content is not None  # it may be empty
    end = content.end()
    found = text[end : end + 1]
    if found == quote:
        return explain_escape(text, start + 1, end)
    if found == "\0":
        return Cause("a NUL character is not allowed in a string", end, end + 1, "write it as \\0, or delete it")
    hint = "close it with {0}; a long string can continue on the next line as another one, {0}...{0}".format(quote)
    return Cause("the string is not closed at the end of its line", start, end, hint)


def explain_escape(text: str, start: int, end: int) -> Cause:
    good = re.compile(r"(?:[^\\]+|{})*".format(tables.ESCAPE)).match(text, start, end)
    assert good is not None  # it may be empty
    bad = re.compile(r"\\(?:u[0-9A-Fa-f]{0,4}|U[0-9A-Fa-f]{0,8}|[0-7]{1,3}|.)").match(text, good.end())
    assert bad is not None
    hint = "a backslash itself is written \\\\"
    if bad[0][1] in "01234567":
        hint = "an octal escape is one byte, at most \\377"
    elif bad[0][1] in "uU":
        hint = "\\u takes 4 hex digits and \\U takes 8, for a code point up to 10FFFF that is not a surrogate"
    elif bad[0][1] == "x":
        hint = "\\x takes one or two hex digits"
    return Cause("'{}' is not an escape sequence".format(bad[0]), bad.start(), bad.end(), hint)


def explain_number(text: str, stuck: Stuck) -> Cause | None:
    """Explain digits that are not a number: a name glued to them, a leading zero, a sign in front."""
    match = re.compile(r"[+-]?[ \t]*\.?[0-9](?:[eE][+-]|[A-Za-z0-9_.])*").match(text, stuck.offset)
    if match is None or "NUMBER" not in stuck.expected:
        return None
    written = match[0]
    if written[0] == "+":
        hint = "leave out the '+'"
    elif re.match(r"-?[ \t]*0[0-9]", written):
        hint = "leave out the leading zeros"
    elif re.match(r"-?[ \t]*[0-9.]+_", written):
        hint = "leave out the '_'"
    else:
        hint = "a name that begins with a digit has to be in quotes"
    return Cause("'{}' is not a number".format(shorten(written)), match.start(), match.end(), hint)
