# SPDX-License-Identifier: Apache-2.0
"""Words that messages share: lists, numbers with their nouns, shortened and neutralised names."""

from __future__ import annotations

import math
import re

from .._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Iterable, Sequence


MOST_NAMED = 3
LONGEST_NAME = 120  # characters of a name in a message

# What a terminal, a log or an editor acts on: control characters, line and paragraph separators, and the characters that
# change the direction of the text.
CONTROLS = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
CONTROL = "[{}]".format(CONTROLS)

# What a reader could take for something else as well: the characters that nobody sees, and halves of characters.
UNSAFE = (
    "[" + CONTROLS + "\xad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u2065\u206a-\u206f\u3164"
    "\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def escape_controls(text: str) -> str:
    """Write as escapes what could act on a terminal, or is not seen, and `::` at the beginning, a command to GitHub's logs."""
    if "::" in text and text.lstrip().startswith("::"):
        text = text.replace(":", "\\x3a", 1)
    return text if text.isascii() and text.isprintable() else re.sub(UNSAFE, lambda match: ascii(match[0])[1:-1], text)


def as_comment(text: str) -> str:
    """Return words for a comment: on one line, with escapes for control characters."""
    return re.sub(CONTROL, lambda match: ascii(match[0])[1:-1], " ".join(text.split()))


def dump_json(value: Any, **options: Any) -> str:
    """Write JSON with its letters as they are, and escapes for what `escape_controls` escapes."""
    import json  # slow to import

    text = json.dumps(value, ensure_ascii=False, **options)
    return re.sub("(?!\n)" + UNSAFE, lambda match: json.dumps(match[0])[1:-1], text)  # line feeds are of the layout


def drop_infinite(number: float | None) -> float | None:
    """Return a number that JSON can hold; None for infinity and NaN, and for none."""
    return number if number is not None and math.isfinite(number) else None


def pluralize(number: int, what: str) -> str:
    """Return `1 error`, `3 errors`."""
    return "{} {}{}".format(number, what, "" if number == 1 else "s")


def join_words(words: Sequence[str], last: str) -> str:
    """Return `a, b or c`, with the word in front of the last."""
    return " {} ".format(last).join(filter(None, (", ".join(words[:-1]), words[-1])))


def shorten(text: str) -> str:
    """Return a text of at most 40 characters, on one line."""
    head = " ".join(text[:80].split())
    return head if len(text) <= 40 else head[:37] + "..."


def quote_name(name: str) -> str:
    """Return a name in quotes; of a very long one the beginning and the end."""
    if len(name) > LONGEST_NAME:
        name = "{}…{}".format(name[:50], name[-(LONGEST_NAME - 51) :])
    return "'{}'".format(name)


def quote_names(names: Iterable[str], most: int = MOST_NAMED) -> str:
    """Return `'a', 'b', 'c' and 4 more`."""
    return shorten_list(list(map(quote_name, names)), most)


def format_value(value: Any) -> str:
    """Return a value as the file writes it, several in brackets."""
    if isinstance(value, (tuple, list)):
        return "[{}]".format(", ".join(map(str, value)))
    return str(value).lower() if isinstance(value, bool) else str(value)


def as_code(words: str) -> str:
    """Return words as code in Markdown, whatever is in them."""
    words = quote_name(escape_controls(words))[1:-1]
    fence = "`" * (measure_longest_run(words) + 1)
    space = " " if len(fence) > 1 else ""
    return "{0}{1}{2}{1}{0}".format(fence, space, words)


def as_block(text: str) -> str:
    """Return lines as a block of code in Markdown, whatever is in them."""
    fence = "`" * max(measure_longest_run(text) + 1, 3)
    return "{0}text\n{1}{0}".format(fence, text)


def measure_longest_run(words: str) -> int:
    return max([len(run) for run in re.findall("`+", words)] + [0])


def shorten_list(words: list[str], most: int = MOST_NAMED) -> str:
    """Return `a, b and c`, of many the first three: `a, b, c and 4 more`."""
    if len(words) > most:
        return "{} and {} more".format(", ".join(words[:most]), len(words) - most)
    return join_words(words, "and")
