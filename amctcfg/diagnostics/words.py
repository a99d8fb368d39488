# SPDX-License-Identifier: Apache-2.0
"""Words that messages share: lists, shortened and neutralised names, and the nearest existing names."""

from __future__ import annotations

import re

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without the import
if TYPE_CHECKING:
    from typing import Callable, Dict, Iterable, List, Optional

__all__ = ["Names", "counted", "did_you_mean", "listed", "named", "nearest", "quoted", "safe", "shorten"]

MOST_SUGGESTED = 3
MOST_NAMED = 3
LONGEST_NAME = 120  # characters of a name in a message

# What a terminal or a log could take for something else: control characters, line and paragraph separators, and
# the characters that change the direction of the text.
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


def safe(text: str) -> str:
    """Text for people, with the characters that could act on a terminal or a log written as escapes."""
    return text if text.isprintable() else UNSAFE.sub(lambda match: ascii(match[0])[1:-1], text)


def counted(number: int, what: str) -> str:
    """`1 error`, `3 errors`"""
    return "{} {}{}".format(number, what, "" if number == 1 else "s")


def listed(words: List[str], last: str) -> str:
    """`a, b or c`, with the word in front of the last."""
    return " {} ".format(last).join(filter(None, (", ".join(words[:-1]), words[-1])))


def shorten(text: str, most: int = 40) -> str:
    """At most `most` characters on one line."""
    head = " ".join(text[: 2 * most].split())
    return head if len(text) <= most else head[: most - 3] + "..."


def quoted(name: str) -> str:
    """A name in quotes; of a very long one the beginning and the end."""
    if len(name) > LONGEST_NAME:
        name = "{}…{}".format(name[:50], name[-(LONGEST_NAME - 51) :])
    return "'{}'".format(name)


def named(names: Iterable[str], most: int = MOST_NAMED) -> str:
    """`'a', 'b', 'c' and 4 more`"""
    names = list(names)
    shown = [quoted(name) for name in names[:most]]
    if len(names) > most:
        return "{} and {} more".format(", ".join(shown), len(names) - most)
    return listed(shown, "and")


def did_you_mean(names: Iterable[str]) -> Optional[str]:
    """`did you mean 'a' or 'b'?`"""
    found = [quoted(name) for name in names]
    return "did you mean {}?".format(listed(found, "or")) if found else None


def nearest(name: str, known: Iterable[str]) -> List[str]:
    """At most three of a few known names, such as the fields of a message, the likeliest first."""
    return Names(known).nearest(name)


class Names:
    """An index over the names of a model, to find the nearest ones in a time that does not grow with the model.

    A path is split at "/". Found are, in this order: the same name but for case; the same end of a path; paths with the
    name as a component; similar names. Among equals, names that `is_preferred` come first.
    """

    DEEPEST = 4  # components of the ends of paths that are indexed
    LONGEST = 200  # characters of a name that are compared
    WIDEST = 256  # names that a trigram may occur in to be of use
    RAREST = 16  # trigrams that are looked up
    FEW = 64  # names that are all compared

    def __init__(self, known: Iterable[str], is_preferred: Callable[[str], bool] = bool) -> None:
        self.known: List[str] = list(dict.fromkeys(known))
        self.is_preferred: Callable[[str], bool] = is_preferred
        self.ends: Dict[str, List[str]] = {}
        self.components: Dict[str, List[str]] = {}
        self.trigrams: Dict[str, List[int]] = {}
        for name in self.known:
            parts = name.lower().split("/")
            for depth in range(1, min(self.DEEPEST, len(parts)) + 1):
                add(self.ends, "/".join(parts[-depth:]), name)
            if len(parts) > self.DEEPEST:
                add(self.ends, name.lower(), name)
            for part in parts[:-1]:
                add(self.components, part, name)

    def nearest(self, name: str) -> List[str]:
        """At most three known names, the likeliest first."""
        lowered = name.lower()
        found = self.sorted(self.ends.get(lowered, ()), lowered)
        parts = lowered.split("/")
        for depth in range(min(self.DEEPEST, len(parts) - 1), 0, -1):
            ends = self.ends.get("/".join(parts[-depth:]), ())
            # An end that most names share tells nothing about which of them is meant.
            found += self.sorted(ends, lowered) if len(ends) <= MOST_SUGGESTED or depth > 1 else []
        if len(found) < MOST_SUGGESTED:
            found += self.sorted(self.components.get(lowered, ()), lowered)
        if len(found) < MOST_SUGGESTED:
            found += self.similar(name)
        return list(dict.fromkeys(found))[:MOST_SUGGESTED]

    def sorted(self, names: Iterable[str], lowered: str) -> List[str]:
        return sorted(names, key=lambda n: (n.lower() != lowered, not self.is_preferred(n)))[: 2 * MOST_SUGGESTED]

    def similar(self, name: str) -> List[str]:
        import difflib  # only where there is a mistake

        wanted, digits = name[: self.LONGEST], numbers(name)
        scored = []
        matcher = difflib.SequenceMatcher(None, "", wanted.lower())
        for candidate in self.candidates(wanted):
            matcher.set_seq1(candidate[: self.LONGEST].lower())
            if matcher.quick_ratio() > 0.7 and matcher.ratio() >= 0.75:
                scored.append((numbers(candidate) != digits, not self.is_preferred(candidate), -matcher.ratio()))
                scored[-1] += (candidate,)
        return [entry[-1] for entry in sorted(scored)[:MOST_SUGGESTED]]

    def candidates(self, name: str) -> List[str]:
        """The names that share the most of the rare trigrams of one."""
        if len(self.known) <= self.FEW:
            return self.known
        if not self.trigrams:
            for index, known in enumerate(self.known):
                for trigram in trigrams_of(known[: self.LONGEST]):
                    self.trigrams.setdefault(trigram, []).append(index)
        groups = sorted(filter(None, map(self.trigrams.get, trigrams_of(name))), key=len)[: self.RAREST]
        counts: Dict[int, int] = {}
        for group in groups:
            for index in group[: self.WIDEST]:
                counts[index] = counts.get(index, 0) + 1
        best = sorted(counts, key=lambda index: (-counts[index], index))[: 2 * MOST_SUGGESTED]
        return [self.known[index] for index in best]


def add(groups: Dict[str, List[str]], key: str, name: str) -> None:
    """Keep a name under a key, but not the thousandth of a kind."""
    group = groups.setdefault(key, [])
    if len(group) < Names.FEW and (not group or group[-1] is not name):
        group.append(name)


def trigrams_of(name: str) -> Dict[str, None]:
    padded = "  {} ".format(name.lower())
    return {padded[i : i + 3]: None for i in range(len(padded) - 2)}


def numbers(name: str) -> List[int]:
    """The numbers in a name: what tells layer 13 from layer 12."""
    return [int(digits) for digits in re.findall(r"[0-9]{1,9}", name)]
