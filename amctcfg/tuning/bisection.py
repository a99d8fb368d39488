# SPDX-License-Identifier: Apache-2.0
"""The search for a small set of layers to skip: `ask` gives a candidate, `tell` takes what became of it.

It is a search by groups. Layers are ranked, the most sensitive first, and each has a guess of how likely it has to be
skipped; every question is put such that either answer is about as likely. Both searches end with the same proof: each
layer of the smallest set that was good is given back once.
"""

from __future__ import annotations

import math
from typing import (
    Any,
    Dict,
    FrozenSet,
    Generator,
    Iterable,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Union,
)  # fmt: skip

from ..checks.expanding import expand
from ..documents.document import Document, parse
from ..flavours.layer import Layer
from ..resolve.plan import Plan
from ..tools.edits import skip
from .scores import ranked

__all__ = ["Bisection", "Candidate", "Needed"]

Verdict = Union[bool, float, None]
Names = Tuple[str, ...]
Search = Generator[Names, Verdict, None]

EXPECTED = 6.0  # layers that have to be skipped, before anything is known
LIKELIEST = 0.9  # how sure a ranking can make us of one layer
ENDS = 4.0  # how much likelier the first and the last layer of a model are, where there is no ranking

TOLERANCE = 1e-12  # of sums of gains


class Candidate(NamedTuple):
    """A set of layers to try: `skip` are the names beyond the document's own; `text` the document with them, `plan` of it."""

    skip: Names
    text: str
    plan: Plan


class Needed(NamedTuple):
    """What was told of the best candidate without one of its layers."""

    layer: str
    verdict: Verdict


class Bisection:
    """Finds a small set of layers to skip such that a test is content, by asking about candidates.

    scores -- how sensitive layers are, any mapping; low is sensitive unless its `low_is_sensitive` is False. target -- the
    score that is good enough. budget -- the most runs. repeat -- how often each candidate is run: the majority of the
    verdicts counts, the mean of the scores. The same answers lead to the same questions. Raises `ConfigError` for a
    document that has errors on the layers.

    >>> from amctcfg import parse, Layer
    >>> search = Bisection(parse(""), [Layer(name, "Conv2D") for name in "abcd"])
    >>> candidate = search.ask()
    >>> while candidate is not None:
    ...     search.tell(candidate, "c" in candidate.skip)
    ...     candidate = search.ask()
    >>> search.best.skip, search.minimal
    (('c',), True)
    """

    def __init__(
        self,
        document: Document[Any],
        layers: Iterable[Layer],
        scores: Optional[Mapping[str, float]] = None,
        target: Optional[float] = None,
        budget: Optional[int] = None,
        repeat: int = 1,
    ) -> None:
        if not isinstance(document, Document):
            raise TypeError(
                "Bisection takes a Document, as amctcfg.parse gives it, not {}".format(type(document).__name__)
            )
        if repeat < 1 or (budget is not None and budget < 1):
            raise ValueError("repeat and budget have to be at least 1")
        self.document: Document[Any] = document
        self.layers: Tuple[Layer, ...] = tuple(layers)
        self.target: Optional[float] = target
        self.budget: Optional[int] = budget
        self.repeat: int = repeat
        self.runs: int = 0
        plan = expand(document, self.layers)
        self.order: Names = ordered([name for name, layer in plan.items() if layer.quant_enable], scores)
        self._guesses: List[float] = guesses(len(self.order), bool(scores))
        self._told: Dict[FrozenSet[str], Verdict] = {}
        self._pending: List[Verdict] = []  # what was told of the candidate so far, with `repeat`
        self._search: Search = self._run()
        self._question: Optional[Names] = None
        self._candidate: Optional[Candidate] = None
        self._advance(None, start=True)

    # ------------------------------------------------------------ asking and telling

    def ask(self) -> Optional[Candidate]:
        """The next candidate to try, the same until it is told; None where the search is finished, or the budget spent."""
        if self._question is None or (self.budget is not None and self.runs >= self.budget):
            return None
        if self._candidate is None:
            self._candidate = self._made(self._question)
        return self._candidate

    def tell(self, candidate: Candidate, verdict: Verdict) -> None:
        """What became of the candidate: True or False, a score, or None where it can't be judged.

        Raises `ValueError` for another candidate than the one asked about, a score without a target, and NaN.
        """
        asked = self.ask()
        if asked is None or candidate.skip != asked.skip:
            raise ValueError("that is not the candidate that was asked about")
        self._pending.append(self._checked(verdict))
        self.runs += 1
        if decided(self._pending, self.repeat):
            told = summed(self._pending)
            self._told[frozenset(asked.skip)] = told
            self._pending = []
            self._advance(told)

    def _checked(self, verdict: Verdict) -> Verdict:
        if verdict is None or isinstance(verdict, bool):
            return verdict
        if type(verdict).__name__ in ("bool_", "bool"):  # numpy's
            return bool(verdict)
        score = float(verdict)
        if math.isnan(score):
            raise ValueError("the score is not a number; tell None where it can't be judged")
        if self.target is None:
            raise ValueError("a score needs a target; give one, or tell True or False")
        return score

    def _advance(self, told: Verdict, start: bool = False) -> None:
        """Go on to the next question whose answer is not known yet."""
        self._candidate = None
        try:
            question = next(self._search) if start else self._search.send(told)
            while frozenset(question) in self._told:
                question = self._search.send(self._told[frozenset(question)])
            self._question = question
        except StopIteration:
            self._question = None

    def _made(self, names: Names) -> Candidate:
        inside = set(names)
        in_order = tuple(layer.name for layer in self.layers if layer.name in inside)
        text = skip(self.document.text, in_order, flavour=self.document.flavour)
        document = parse(text, self.document.name, self.document.strict, flavour=self.document.flavour)
        return Candidate(in_order, text, expand(document, self.layers))

    # ------------------------------------------------------------ what is known

    @property
    def best(self) -> Optional[Candidate]:
        """The smallest candidate that was good, of equal size the proven one; None while there is none."""
        names = self._smallest()
        return None if names is None else self._made(tuple(names))

    @property
    def needed(self) -> Tuple[Needed, ...]:
        """For the layers of the best candidate that were given back: what was told without them."""
        names = self._smallest() or frozenset()
        in_order = [layer.name for layer in self.layers if layer.name in names]
        return tuple(Needed(name, self._told[names - {name}]) for name in in_order if names - {name} in self._told)

    @property
    def minimal(self) -> bool:
        """Whether it is proven that none of the layers of the best candidate can be given back."""
        names = self._smallest()
        return names is not None and self._is_proven(names)

    def _smallest(self) -> Optional[FrozenSet[str]]:
        good = [names for names, told in self._told.items() if self.is_good(told)]
        rank = {name: index for index, name in enumerate(self.order)}

        def key(names: FrozenSet[str]) -> Any:
            return len(names), not self._is_proven(names), sorted(rank[name] for name in names)

        least = min(map(len, good), default=0)
        return min((names for names in good if len(names) == least), key=key, default=None)

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to ask, whatever the budget."""
        return self._question is None

    @property
    def expected(self) -> int:
        """About how many runs there will be in all: an estimate for showing progress."""
        size = max(len(self.order), 2)
        likely = min(EXPECTED, size / 2)
        estimate = self.repeat * int(2 + likely * (2 + math.log2(size / likely)))
        left = 0 if self.finished else max(1, estimate - self.runs)
        total = self.runs + left
        return total if self.budget is None else min(total, self.budget)

    def is_good(self, verdict: Verdict) -> bool:
        """Whether what was told is good: True, or a score from the target on."""
        if verdict is None or isinstance(verdict, bool):
            return verdict is True
        return self.target is not None and verdict >= self.target

    def _is_proven(self, names: FrozenSet[str]) -> bool:
        without = [self._told.get(names - {name}) for name in names]
        return all(verdict is not None and not self.is_good(verdict) for verdict in without)

    # ------------------------------------------------------------ the search

    def _run(self) -> Search:
        if not self.order:
            return
        first = yield ()
        if self.is_good(first) or len(self.order) == 1:  # to skip every layer is nothing that the toolkit takes
            return
        order = self.order
        if first is not None and not isinstance(first, bool):
            found = yield from self._by_scores(first)
            if found is None:
                return (yield from self._prove())
            order = tuple(found)
        yield from self._by_verdicts(order)
        yield from self._prove()

    def _by_verdicts(self, order: Names) -> Search:
        """The layers that a good set needs, one after another, the lowest of the ranking first.

        With those found, the shortest beginning of the ranking is looked for that is good when it is skipped, too. Its last
        layer is needed, and what comes behind it is not. That everything skipped is good is assumed and never asked.
        """
        found: Names = ()
        known = len(order)
        while True:
            # chances[m]: how likely none of the layers from m on is needed
            chances = [1.0] * (known + 1)
            for index in range(known - 1, -1, -1):
                chances[index] = chances[index + 1] * (1 - self._guesses[index])
            bad, good = -1, known
            while good - bad > 1:
                wanted = ((chances[bad] if bad >= 0 else 0.0) + chances[good]) / 2
                middle = min(range(bad + 1, good), key=lambda index: abs(chances[index] - wanted))
                told = yield (*found, *order[:middle])
                if self.is_good(told):
                    good = middle
                else:
                    bad = middle
            if good == 0:
                return
            found = (*found, order[good - 1])
            known = good - 1

    def _by_scores(self, base: float) -> Generator[Names, Verdict, Optional[List[str]]]:
        """Split the group whose skipping gains most, until single layers gain enough; what is split off costs one run.

        Gives None where that was good, else a ranking by what was gained, for a search by verdicts.
        """
        assert self.target is not None  # scores have one
        order = self.order
        groups: List[Tuple[float, int, int]] = [(math.inf, 0, len(order))]  # gain, beginning and end in the ranking
        taken: List[str] = []
        gained = 0.0
        while groups:
            groups.sort(key=lambda group: (-group[0], group[1]))
            gain, start, end = groups.pop(0)
            if end - start == 1 and gain < math.inf:
                taken.append(order[start])
                gained += gain
                if base + gained >= self.target - TOLERANCE and len(taken) < len(order):
                    if self.is_good((yield tuple(taken))):
                        return None
                continue
            middle = self._middle(start, end)
            told = yield order[start:middle]
            left = gain_of(told, base)
            right = gain - left
            if gain == math.inf and middle < end:
                right = gain_of((yield order[middle:end]), base)
            groups.append((left, start, middle))
            if middle < end:
                groups.append((right, middle, end))
        return taken

    def _middle(self, start: int, end: int) -> int:
        """Where a group is split: half of the likelihood on either side."""
        if end - start == 1:
            return end
        half, total = sum(self._guesses[start:end]) / 2, 0.0
        for middle in range(start + 1, end):
            total += self._guesses[middle - 1]
            if total + self._guesses[middle] / 2 >= half:
                return middle
        return end - 1

    def _prove(self) -> Search:
        """Give each layer of the smallest good set back once, the least sensitive first, until none can be."""
        while True:
            names = self._smallest()
            if names is None:
                return
            for name in [name for name in reversed(self.order) if name in names]:
                rest = tuple(other for other in self.order if other in names and other != name)
                if self.is_good((yield rest)):
                    break
            else:
                return


def gain_of(told: Verdict, base: float) -> float:
    """What skipping a group gains; nothing is known where it could not be told."""
    return 0.0 if told is None or isinstance(told, bool) else told - base


def decided(verdicts: Sequence[Verdict], repeat: int) -> bool:
    """Whether further runs of a candidate could not change what counts."""
    if len(verdicts) >= repeat:
        return True
    return any(2 * sum(verdict is side for verdict in verdicts) > repeat for side in (True, False))


def summed(verdicts: Sequence[Verdict]) -> Verdict:
    """What several runs say: the mean of scores, the majority of verdicts; a tie is not good."""
    scores = [verdict for verdict in verdicts if verdict is not None and not isinstance(verdict, bool)]
    if scores:
        return sum(scores) / len(scores)
    told = [verdict for verdict in verdicts if verdict is not None]
    return None if not told else 2 * sum(map(bool, told)) > len(told)


def ordered(names: Sequence[str], scores: Optional[Mapping[str, float]]) -> Names:
    """The layers in the order of their likely sensitivity; without scores the first and the last, then scope by scope."""
    if scores:
        inside = set(names)
        best = [name for name in ranked(scores) if name in inside]
        return (*best, *[name for name in names if name not in scores])
    ends = list(dict.fromkeys((*names[:1], *names[-1:])))
    scopes: Dict[str, List[str]] = {}
    for name in names:
        if name not in ends:
            scopes.setdefault(name.rpartition("/")[0] if "/" in name else name.rpartition(".")[0], []).append(name)
    return (*ends, *[name for scope in scopes.values() for name in scope])


def guesses(count: int, has_ranking: bool) -> List[float]:
    """How likely each layer of the ranking has to be skipped: by a ranking, in inverse proportion to its place."""
    weights = [1 / (index + 2) if has_ranking else ENDS if index < 2 else 1.0 for index in range(count)]
    total = sum(weights)
    expected = min(EXPECTED, count / 4)
    return [min(LIKELIEST, max(expected, 1) * weight / total) for weight in weights]
