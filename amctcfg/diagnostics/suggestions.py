# SPDX-License-Identifier: Apache-2.0
"""The existing names that a wrong name may be meant for: "did you mean"."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from .words import join_words, quote_name

if TYPE_CHECKING:
    from typing import Any, Callable, Iterable


def did_you_mean(names: Iterable[str]) -> str | None:
    """Return `did you mean 'a' or 'b'?`; None for no names."""
    found = [quote_name(name) for name in names]
    return "did you mean {}?".format(join_words(found, "or")) if found else None


def find_nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return at most three of a few known names, such as the fields of a message, the likeliest first."""
    return NameIndex(known).find_nearest(name)


class NameIndex:
    """An index over the names of a model, to find the nearest ones in a time that does not grow with the model.

    Found are, in this order: the same name but for case; the same end of a path but for the numbers that a framework gives
    scopes (`conv_1/kernel` for "conv/kernel"); the same end of a path; paths with the name as a component; names that share
    the most words and pairs of words, the rare ones counting most, once words that no name has are corrected.
    """

    DEEPEST = 4  # components of the ends of paths that are indexed
    LONGEST = 200  # characters of a name that are compared
    FEW = 64  # names that are kept under a key
    CANDIDATES = 60  # names that are compared
    WIDEST = 300  # words of the same beginning that one without a match is compared with
    CLOSE = 0.5  # the share of a name's words, by weight, that another one has to have
    MOST_CORRECTED = 500  # words in all

    def __init__(self, known: Iterable[str], is_preferred: Callable[[str], bool] = bool) -> None:
        self.known: list[str] = list(dict.fromkeys(known))
        self.is_preferred: Callable[[str], bool] = is_preferred
        self.ends: dict[str, list[str]] = {}
        self.unnumbered: dict[str, list[str]] = {}
        self.components: dict[str, list[str]] = {}
        self.parts: dict[str, list[int]] = {}  # of names: the indices of those that have a word or a pair of words
        self.counts: dict[str, int] = {}
        self.own_parts: list[dict[str, None]] = []  # of names: the words and pairs in them
        self.weights: dict[str, float] = {}  # of words and pairs: the rarer, the more it tells
        self.own_weights: list[float] = []  # of names
        self.initials: dict[str, list[str]] = {}  # words by their first letter
        self.corrected: dict[str, str] = {}
        for name in self.known:
            parts = name.lower().split("/")
            for depth in {*range(1, min(self.DEEPEST, len(parts)) + 1), len(parts)}:
                end = "/".join(parts[-depth:])
                add(self.ends, end, name)
                add(self.unnumbered, without_numbers(end), name)
            for part in parts[:-1]:
                add(self.components, part, name)
                add(self.components, without_numbers(part), name)

    def find_nearest(self, name: str) -> list[str]:
        """Return at most three known names, the likeliest first."""
        lowered = name.lower()
        found = self.sort(self.ends.get(lowered, ()), lowered)
        parts = lowered.split("/")
        same = self.unnumbered.get(without_numbers(lowered), ())
        if not found and 0 < len(same) <= MOST_SUGGESTED:
            return self.sort(same, lowered)
        for depth in range(min(self.DEEPEST, len(parts) - 1), 0, -1):
            ends = self.ends.get("/".join(parts[-depth:]), ())
            # An end that most names share tells nothing about which of them is meant.
            found += self.sort(ends, lowered) if len(ends) <= MOST_SUGGESTED or depth > 1 else []
        if len(found) < MOST_SUGGESTED:
            found += self.sort(self.components.get(lowered, ()), lowered)
        if not found and len(self.known) <= self.FEW:
            import difflib  # only where there is a mistake

            lower = {known.lower(): known for known in self.known}
            found = [lower[close] for close in difflib.get_close_matches(lowered[: self.LONGEST], lower, 3, 0.75)]
        if not found:
            found = self.find_similar(name)
        preferred = [close for close in found if self.is_preferred(close)]
        return list(dict.fromkeys(preferred or found))[:MOST_SUGGESTED]

    def sort(self, names: Iterable[str], lowered: str) -> list[str]:
        return sorted(names, key=lambda n: (n.lower() != lowered, not self.is_preferred(n)))[: 2 * MOST_SUGGESTED]

    # ------------------------------------------------------------ by words

    def find_similar(self, name: str) -> list[str]:
        if not self.counts:
            self.count_words()
        wanted = word_parts([self.correct(word) for word in split_words(name[: self.LONGEST])])
        weights = {part: self.weights.get(part, math.log(1 + len(self.known))) for part in wanted}
        total = sum(weights.values())
        rarest = sorted((part for part in wanted if part in self.parts), key=lambda part: self.counts[part])
        candidates: dict[int, None] = {}
        for part in rarest:
            candidates.update(dict.fromkeys(self.parts[part]))
            if len(candidates) >= self.CANDIDATES:
                break
        scored = []
        for index in candidates:
            own = self.own_parts[index]
            shared = sum([weight for part, weight in weights.items() if part in own])
            if shared >= self.CLOSE * total:
                scored.append((shared - 0.05 * (self.own_weights[index] - shared), index))
        best = max(scored, default=(0, 0))[0]
        close = [(not self.is_preferred(self.known[i]), -score, i) for score, i in scored if score >= 0.8 * best]
        return [self.known[index] for _, _, index in sorted(close)[:MOST_SUGGESTED]]

    def count_words(self) -> None:
        for index, name in enumerate(self.known):
            words = split_words(name[: self.LONGEST])
            parts = word_parts(words)
            self.own_parts.append(parts)
            for part in parts:
                self.counts[part] = self.counts.get(part, 0) + 1
                add(self.parts, part, index)
            for word in words:
                group = self.initials.setdefault(word[0], [])
                if self.counts[word] == 1 and len(group) < self.WIDEST:
                    group.append(word)
        self.weights = {part: math.log(1 + len(self.known) / count) for part, count in self.counts.items()}
        self.own_weights = [sum([self.weights[part] for part in parts]) for parts in self.own_parts]

    def correct(self, word: str) -> str:
        """Return the known word that is meant by an unknown one; numbers are what they are."""
        if word in self.counts or word.isdigit():
            return word
        if word not in self.corrected and len(self.corrected) < self.MOST_CORRECTED:
            import difflib  # only where there is a mistake

            known = [other for other in self.initials.get(word[0], ()) if abs(len(other) - len(word)) <= 2]
            self.corrected[word] = (difflib.get_close_matches(word, known, 1, 0.7) or [word])[0]
        return self.corrected.get(word, word)


def add(groups: dict[str, list[Any]], key: str, name: Any) -> None:
    """Keep a name, or its index, under a key, but not the thousandth of a kind."""
    group = groups.setdefault(key, [])
    if len(group) < NameIndex.FEW and (not group or group[-1] is not name):
        group.append(name)


def without_numbers(path: str) -> str:
    """Return a path without the numbers that a framework gives scopes of one name: `a/b` of "a_1/b_2"."""
    if "_" not in path:
        return path
    return re.sub(r"_[0-9]+(?=/|\Z)", "", path)


def split_words(name: str) -> list[str]:
    """Return the words and numbers in a name: `conv`, `dw`, `13` in "conv_dw_13"."""
    return re.findall(r"[0-9]+|[^\W0-9_]+", name.lower())


def word_parts(words: list[str]) -> dict[str, None]:
    """Return words, and pairs of neighbours: "13" tells little, "dw 13" which layer it is."""
    return dict.fromkeys([*words, *map(" ".join, zip(words, words[1:]))])


MOST_SUGGESTED = 3
