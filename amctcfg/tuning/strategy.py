# SPDX-License-Identifier: Apache-2.0
"""The questions of a search, one after another, and those that are likely next.

It is a search by groups: layers are ranked, each with a guess of how likely it has to be skipped, and either answer to a
question is about as likely. It ends with a proof: each layer of the smallest good set is quantized again once.
"""

from __future__ import annotations

import heapq
import itertools
import math
from typing import Callable, FrozenSet, Generator, Iterator, Mapping, NamedTuple, Sequence, Tuple, Union

from .scores import rank

Verdict = Union[bool, float, None]
Names = Tuple[str, ...]
Verdicts = Mapping[FrozenSet[str], Verdict]

EXPECTED = 6.0  # layers that have to be skipped, at first
POWERS = (1.0, 2.0)  # of the place in a ranking, in whose inverse proportion layers may be needed
UNLIKELY = 1 / 256  # that a question is reached: what is less likely is as good as never asked
LIKELIEST = 0.9  # how sure a ranking can make us of one layer
ENDS = 4.0  # how much likelier the first and the last layer of a model are, where there is no ranking

SURE = 4.0  # layers that have to be found until they count as much as the first guess
MEMORY = 0.5  # what a find still counts after the next one: what can be left quantized changes with what is skipped

TOLERANCE = 1e-12  # of sums of gains
FIRST_RUNS = 3  # where these were not good, the largest set shows whether any can be
SMALL = 4  # layers of a model whose sets are tried to the end all the same


class Question(NamedTuple):
    """A set of layers to skip, and the answers that may be supposed meanwhile, each with its likelihood."""

    names: Names
    answers: tuple[tuple[Verdict, float], ...]


Search = Generator[Question, Verdict, None]


class Strategy:
    """Chooses the next set of layers to try, given the verdicts on those before; `names` are in the order of the model."""

    def __init__(self, names: Sequence[str], scores: Mapping[str, float] | None, target: float | None) -> None:
        self.order: Names = rank_layers(names, scores)
        self.target: float | None = target
        self._rank: dict[str, int] = {name: index for index, name in enumerate(self.order)}
        powers: Sequence[float | None] = POWERS if scores else (None,)
        self._kinds: list[list[float]] = [guess_needs(len(self.order), power) for power in powers]
        self._guesses: list[float] = self._kinds[0]  # a search by scores takes one guess, and corrects none
        self._sums: list[float] = [0.0, *itertools.accumulate(self._guesses)]  # in front of each layer

    # ------------------------------------------------------------ what is known

    def is_good(self, verdict: Verdict) -> bool:
        """Return whether a verdict is good: True, or a score from the target on."""
        if verdict is None or isinstance(verdict, bool):
            return verdict is True
        return self.target is not None and verdict >= self.target

    def is_proven(self, names: frozenset[str], verdicts: Verdicts) -> bool:
        """Return whether each layer of a set was quantized again, and none of that was good."""
        without = (verdicts.get(names - {name}) for name in names)
        return all(verdict is not None and not self.is_good(verdict) for verdict in without)

    def find_smallest(self, verdicts: Verdicts) -> frozenset[str] | None:
        """Return the smallest set that was good, of equal size the proven one, then the most sensitive one."""
        good = [names for names, verdict in verdicts.items() if self.is_good(verdict)]
        least = min(map(len, good), default=0)

        def key(names: frozenset[str]) -> tuple[bool, list[int]]:
            return not self.is_proven(names, verdicts), sorted(self._rank[name] for name in names)

        return min((names for names in good if len(names) == least), key=key, default=None)

    def is_hopeless(self, verdicts: Verdicts) -> bool:
        """Return whether neither the first sets nor the largest, which is asked next then, were better than no set."""
        first = dict(itertools.islice(verdicts.items(), FIRST_RUNS + 1))
        return len(first) > FIRST_RUNS and len(self.order) > SMALL and self._has_gained_nothing(first)

    def _has_gained_nothing(self, verdicts: Verdicts) -> bool:
        found = list(verdicts.values())
        scores = [-math.inf if verdict is None or isinstance(verdict, bool) else verdict for verdict in found]
        return not any(map(self.is_good, found)) and max(scores) == scores[0]

    # ------------------------------------------------------------ the search

    def list_likely_questions(self, verdicts: Verdicts, pending: frozenset[frozenset[str]], count: int) -> list[Names]:
        """Return the sets that the search, replayed on supposed answers, will most probably ask about, the likeliest first."""
        found: dict[frozenset[str], Names] = {}
        # Likelihood, number, what is supposed.
        paths: list[tuple[float, int, dict[frozenset[str], Verdict]]] = [(-1.0, 0, {})]
        numbers = itertools.count(1)
        while paths and len(found) < count and -paths[0][0] >= UNLIKELY:
            likelihood, _, supposed = heapq.heappop(paths)
            question = next(self.iter_questions({**verdicts, **supposed}, {}), None)
            if question is None:
                continue
            key = frozenset(question.names)
            if key not in pending:
                found.setdefault(key, question.names)
            for answer, chance in question.answers:
                heapq.heappush(paths, (likelihood * chance, next(numbers), {**supposed, key: answer}))
        return list(found.values())

    def iter_questions(self, known: Verdicts, reached: dict[frozenset[str], Verdict]) -> Iterator[Question]:
        """Yield what is not known, each again until it is, to the end or the proof; `reached` gets all that was asked."""
        search = self._search(reached)
        answer: Verdict = None
        best: frozenset[str] | None = None
        while True:
            try:
                question = search.send(answer)
            except StopIteration:
                return
            answer = yield from wait_for(question, known, reached)
            size = len(question.names)
            if self.is_good(answer) and (best is None or size < len(best)):
                best = frozenset(question.names)
            if best is not None and size in (len(best), len(best) - 1):  # others can't change which one is the best
                best = self.find_smallest(reached)
                if best is not None and self.is_proven(best, reached):
                    return
            if len(reached) == FIRST_RUNS and self._has_gained_nothing(reached):
                without_one = (frozenset(self.order) - {name} for name in reversed(self.order))
                largest = next((names for names in without_one if names not in reached), None)
                if largest is not None:
                    yield from wait_for(self._find_asked(self._in_order(largest), 0.9), known, reached)
                    best = self.find_smallest(reached)

    def _search(self, verdicts: Verdicts) -> Search:
        if not self.order:
            return
        first = yield self._find_asked((), 0.02)
        if self.is_good(first) or len(self.order) == 1:  # to skip every layer is nothing that the toolkit takes
            return
        ranking: Names | None = self.order
        if first is not None and not isinstance(first, bool):
            ranking = yield from self._by_scores(first, verdicts)
        if ranking is not None:
            best = self.find_smallest(verdicts)
            yield from self._by_verdicts(tuple(name for name in ranking if best is None or name in best))
        yield from self._prove(verdicts)

    def _find_asked(self, names: Names, likelihood: float) -> Question:
        """Return a question whose answer is good with a likelihood; where answers are scores, near the target."""
        good: Verdict = True if self.target is None else self.target
        bad: Verdict = False if self.target is None else self.target - 1.0
        return Question(names, ((good, likelihood), (bad, 1 - likelihood)))

    def _in_order(self, names: frozenset[str]) -> Names:
        return tuple(name for name in self.order if name in names)

    def _by_verdicts(self, order: Names) -> Search:
        """Find the layers that a good set needs, one after another, the lowest of the ranking first.

        With those found, the shortest beginning of the ranking is looked for that is good, too: its last layer is needed, what
        is behind it is not. That everything skipped is good is assumed and never asked.
        """
        found: Names = ()
        beliefs = Beliefs(self._kinds, len(order))
        while True:
            bad, good = -1, beliefs.count
            while good - bad > 1:
                below, above = beliefs.estimate_none_from(bad) if bad >= 0 else 0.0, beliefs.estimate_none_from(good)
                middle = find_nearest_index(beliefs.estimate_none_from, (below + above) / 2, bad + 1, good)
                if not found:  # then some layer is needed: nothing skipped was bad
                    below = max(below, beliefs.estimate_none_from(0))
                likelihood = (beliefs.estimate_none_from(middle) - below) / max(above - below, TOLERANCE)
                verdict = yield self._find_asked((*found, *order[:middle]), likelihood)
                if self.is_good(verdict):
                    good = middle
                else:
                    bad = middle
            if good == 0:
                return
            found = (*found, order[good - 1])
            beliefs.find(good - 1)

    def _by_scores(self, base: float, known: Verdicts) -> Generator[Question, Verdict, Names | None]:
        """Split the group whose skipping gains most, until single layers gain enough.

        Gives None where a set of these was good, else a ranking by what was gained, for a search by verdicts.
        """
        assert self.target is not None  # scores have one
        order, missing = self.order, self.target - base
        groups: list[tuple[float, int, int]] = [(math.inf, 0, len(order))]  # gain, beginning and end in the ranking
        taken: list[str] = []
        gained = 0.0
        while groups:
            groups.sort(key=lambda group: (-group[0], group[1]))
            gain, start, end = groups.pop(0)
            if end - start == 1 and gain < math.inf:
                taken.append(order[start])
                gained += gain
                if base + gained >= self.target - TOLERANCE and len(taken) < len(order):
                    if len(taken) > self._count_most(known):
                        break
                    if self.is_good((yield self._find_asked(tuple(taken), 0.8))):
                        return None
                continue
            middle = min(self._find_middle(start, end), start + self._count_most(known))
            right = None
            # The larger part first, as it is not asked once the other one is good.
            if gain == math.inf:
                right = estimate_gain((yield self._split(middle, end, end, base, missing, gain)), base)
            left = estimate_gain((yield self._split(start, middle, end, base, missing, gain)), base)
            groups += [(left, start, middle), (gain - left if right is None else right, middle, end)]
        return (*taken, *[name for name in order if name not in taken])

    def _count_most(self, verdicts: Verdicts) -> int:
        best = self.find_smallest(verdicts)
        return len(self.order) - 1 if best is None else len(best)

    def _split(self, start: int, middle: int, end: int, base: float, missing: float, gain: float) -> Question:
        """Return the question what a part of a group gains: most of the group's gain, or little of it."""
        if gain == math.inf:
            gain = 1.5 * missing * (self._sums[end] - self._sums[start]) / self._sums[-1]
        share = (self._sums[middle] - self._sums[start]) / (self._sums[end] - self._sums[start])
        names = self.order[start:middle]
        return Question(names, ((base + 0.9 * gain, share), (base + 0.1 * gain, 1 - share)))

    def _find_middle(self, start: int, end: int) -> int:
        """Return where a group of several layers is split: half of the likelihood on either side."""
        half, total = sum(self._guesses[start:end]) / 2, 0.0
        for middle in range(start + 1, end - 1):
            total += self._guesses[middle - 1]
            if total + self._guesses[middle] / 2 >= half:
                return middle
        return end - 1

    def _prove(self, verdicts: Verdicts) -> Search:
        """Quantize each layer of the smallest good set again once, the least sensitive first, until none can be."""
        while True:
            names = self.find_smallest(verdicts)
            if names is None:
                return
            for name in reversed(self._in_order(names)):
                rest = self._in_order(names - {name})
                if self.is_good((yield self._find_asked(rest, 0.05))):
                    break
            else:
                return


def wait_for(
    question: Question, known: Verdicts, reached: dict[frozenset[str], Verdict]
) -> Generator[Question, None, Verdict]:
    names = frozenset(question.names)
    while names not in known:
        yield question
    reached[names] = known[names]
    return known[names]


def find_nearest_index(rising: Callable[[int], float], wanted: float, start: int, end: int) -> int:
    """Return the index from `start` to before `end` whose value is nearest; `rising` never falls."""
    low, high = start, end - 1
    while low < high:
        middle = (low + high) // 2
        if rising(middle) < wanted:
            low = middle + 1
        else:
            high = middle
    return low - 1 if low > start and wanted - rising(low - 1) <= rising(low) - wanted else low


def estimate_gain(verdict: Verdict, base: float) -> float:
    """Return what skipping a group gains; nothing is known where there is no score."""
    return 0.0 if verdict is None or isinstance(verdict, bool) else verdict - base


def rank_layers(names: Sequence[str], scores: Mapping[str, float] | None) -> Names:
    """Return the layers by their likely sensitivity; without scores the first and the last, then scope by scope."""
    if scores:
        inside = set(names)
        best = [name for name in rank(scores) if name in inside]
        return (*best, *[name for name in names if name not in scores])
    ends = list(dict.fromkeys((*names[:1], *names[-1:])))
    scopes: dict[str, list[str]] = {}
    for name in names:
        if name not in ends:
            scopes.setdefault(name.rpartition("/")[0] if "/" in name else name.rpartition(".")[0], []).append(name)
    return (*ends, *[name for scope in scopes.values() for name in scope])


def guess_needs(count: int, power: float | None) -> list[float]:
    """Return how likely each layer has to be skipped: by a ranking, in inverse proportion to a power of its place."""
    weights = [(ENDS if index < 2 else 1.0) if power is None else (index + 2) ** -power for index in range(count)]
    total = sum(weights)
    expected = min(EXPECTED, count / 6)
    return [min(LIKELIEST, max(expected, 1) * weight / total) for weight in weights]


# ---------------------------------------------------------------- where the layers that are needed lie


class Beliefs:
    """Guesses of how likely each layer of a ranking is needed, of which nobody knows yet which one is right.

    Each is up to a factor that is learnt. It has a gamma distribution with the mean `found / passed`, so that what is learnt
    is added to the two.
    """

    def __init__(self, kinds: Sequence[Sequence[float]], count: int) -> None:
        self.count: int = count  # of the layers, the first ones, of which nothing is known
        self._sums: list[list[float]] = [[0.0, *itertools.accumulate(needs[:count])] for needs in kinds]
        self._weights: list[float] = [1 / len(kinds)] * len(kinds)  # how well each has foretold what was found
        self._passed: list[float] = [SURE] * len(kinds)  # how many should have been found
        self._found: float = SURE

    def estimate_none_from(self, place: int) -> float:
        """Return how likely none of the layers from a place on is needed."""
        return sum(weight * none for weight, none in zip(self._weights, self._iter_none_from(place)))

    def _iter_none_from(self, place: int) -> Iterator[float]:
        for sums, passed in zip(self._sums, self._passed):
            yield math.pow(passed / (passed + sums[self.count] - sums[place]), self._found)

    def find(self, place: int) -> None:
        """Take that the layer at a place is the last one that is needed."""
        chances = zip(self._weights, self._iter_none_from(place + 1), self._iter_none_from(place))
        weights = [weight * (behind - here) for weight, behind, here in chances]
        self._weights = [weight / sum(weights) for weight in weights]
        passed = zip(self._sums, self._passed)
        self._passed = [MEMORY * before + sums[self.count] - sums[place] for sums, before in passed]
        self._found = MEMORY * self._found + 1
        self.count = place
