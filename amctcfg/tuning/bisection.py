# SPDX-License-Identifier: Apache-2.0
"""The search for a small set of layers to skip, and running it to its end."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any, Callable, Generator, Iterable, Iterator, Mapping, NamedTuple

from ..checks.expanding import expand
from ..documents.document import Document, parse
from ..flavours.layer import Layer, Layers
from ..resolve.plan import Plan
from ..resolve.resolver import DOCUMENTED
from ..tools.edits import skip
from .strategy import EXPECTED, Names, Question, Strategy, Verdict

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ..resolve.resolver import Rules


class Candidate(NamedTuple):
    """A set of layers to try: `skip` are the names beyond the document's own; `text` the document with them, `plan` of it."""

    skip: Names
    text: str
    plan: Plan


class Needed(NamedTuple):
    """The verdict on the best candidate without one of its layers."""

    layer: str
    verdict: Verdict


class Bisection:
    """Finds a small set of layers to skip with which a test passes: `ask` gives a candidate, `tell` takes what became of it.

    The same answers lead to the same questions.

    Args:
        document: The configuration; what it skips itself stays skipped.
        layers: The layers of the model.
        scores: How sensitive layers are, any mapping; low is sensitive unless its `low_is_sensitive` is False.
        target: The score that is good enough.
        budget: The most runs.
        repeat: How often each candidate is run: the majority of the verdicts counts, the mean of the scores.
        rules: The priority rules: "documented" or "toolkit".

    Raises:
        ConfigError: The document has errors on the layers.
        ValueError: The target is not finite, or budget or repeat is below 1.

    Example:
        >>> from amctcfg import parse, Layer
        >>> Bisection(parse(""), [Layer(name, "Conv2D") for name in "abcd"]).ask().skip  # at first nothing
        ()
    """

    def __init__(
        self,
        document: Document[Any],
        layers: Iterable[Layer],
        scores: Mapping[str, float] | None = None,
        target: float | None = None,
        budget: int | None = None,
        repeat: int = 1,
        rules: Rules = DOCUMENTED,
    ) -> None:
        if not isinstance(document, Document):
            raise TypeError(
                "Bisection takes a Document, as amctcfg.parse gives it, not {}".format(type(document).__name__)
            )
        if repeat < 1 or (budget is not None and budget < 1):
            raise ValueError("repeat and budget have to be at least 1")
        if target is not None and not math.isfinite(target):
            raise ValueError("target has to be a finite number, not {}".format(target))
        self.document: Document[Any] = document
        self.layers: Layers = Layers(layers)
        self.target: float | None = target
        self.budget: int | None = budget
        self.repeat: int = repeat
        self.rules: Rules = rules
        self.runs: int = 0
        plan = expand(document, self.layers, rules)
        quantized = [name for name, layer in plan.items() if layer.quant_enable]
        self.strategy: Strategy = Strategy(quantized, scores, target)
        self._verdicts: dict[frozenset[str], Verdict] = {}  # every verdict
        self._reached: dict[frozenset[str], Verdict] = {}  # those that the search asked for, in its order
        self._parts: dict[frozenset[str], list[Verdict]] = {}  # the verdicts on candidates that are run repeatedly
        self._pending: set[frozenset[str]] = set()  # what `ask_many` gave
        self._made: dict[frozenset[str], Candidate] = {}  # since the last verdict on them
        self._questions: Iterator[Question] = self.strategy.iter_questions(self._verdicts, self._reached)
        self._question: Question | None = next(self._questions, None)

    @property
    def order(self) -> Names:
        """The layers that can be skipped, the most sensitive first."""
        return self.strategy.order

    # ------------------------------------------------------------ asking and telling

    def ask(self) -> Candidate | None:
        """Return the next candidate to try, the same until its verdict is there; None at the end, or beyond the budget."""
        if self._question is None or (self.budget is not None and self.runs >= self.budget):
            return None
        return self.make_candidate(self._question.names)

    def ask_many(self, n: int) -> tuple[Candidate, ...]:
        """Return at most `n` candidates to try at the same time, without a verdict and not pending.

        First the one that `ask` gives, then those that the search will most probably ask about next; none where everything
        that helps is pending, or the search is finished. The answer does not depend on how many are tried at once.
        """
        room = n if self.budget is None else min(n, self.budget - self.runs - len(self._pending))
        found = self.strategy.list_likely_questions(self._verdicts, frozenset(self._pending), room)
        self._pending.update(map(frozenset, found))
        return tuple(self.make_candidate(names) for names in found)

    def drop_pending(self) -> None:
        """Forget what `ask_many` gave and has no verdict: it may be asked about again."""
        self._pending.clear()

    def tell(self, candidate: Candidate, verdict: Verdict) -> None:
        """Take the verdict on a candidate.

        Args:
            candidate: One that was asked about.
            verdict: True (good) or False, a score (one that is not finite is bad), or None where it can't be judged.

        Raises:
            ValueError: Another candidate than the one asked about, or a score without a target.
        """
        if frozenset(candidate.skip) not in self._pending:
            asked = self.ask()
            if asked is None or candidate.skip != asked.skip:
                raise ValueError("that is not the candidate that was asked about")
        self.take(candidate.skip, verdict)

    def take(self, names: Iterable[str], verdict: Verdict) -> None:
        """Take the verdict on a set of layers, asked about or not; `ValueError` as by `tell`, or for other names."""
        key = frozenset(names)
        if not key < frozenset(self.order) and key:
            raise ValueError("that is not a set of layers that this search could ask about")
        checked = self._check_verdict(verdict)
        parts = self._parts.setdefault(key, [])
        parts.append(checked)
        self.runs += 1
        self._pending.discard(key)
        self._made.pop(key, None)
        if key not in self._verdicts and is_decided(parts, self.repeat):
            self._verdicts[key] = summarize_verdicts(parts)
            self._question = next(self._questions, None)

    def runs_of(self, names: Iterable[str]) -> int:
        """Return how many verdicts on a set of layers were taken."""
        return len(self._parts.get(frozenset(names), ()))

    def _check_verdict(self, verdict: Verdict) -> Verdict:
        if verdict is None:
            return None
        if type(verdict).__name__ in ("bool", "bool_"):  # numpy's, too
            return bool(verdict)
        if self.target is None:
            raise ValueError("a score needs a target; give one, or tell True or False")
        try:
            score = float(verdict)
        except OverflowError:  # an int beyond every float
            return False
        return score if math.isfinite(score) else False

    def make_candidate(self, names: Iterable[str]) -> Candidate:
        """Return the candidate that skips these layers."""
        key = frozenset(names)
        if key not in self._made:
            in_order = tuple(layer.name for layer in self.layers if layer.name in key)
            text = skip(self.document.text, in_order, flavour=self.document.flavour)
            document = parse(text, self.document.name, self.document.strict, flavour=self.document.flavour)
            self._made[key] = Candidate(in_order, text, expand(document, self.layers, self.rules))
        return self._made[key]

    # ------------------------------------------------------------ what is known

    @property
    def verdicts(self) -> Mapping[frozenset[str], Verdict]:
        """The verdicts on sets of layers, those that the search asked for first, in its order."""
        return {**self._reached, **self._verdicts}

    @property
    def best(self) -> Candidate | None:
        """The smallest candidate that was good, of equal size the proven one; None while there is none."""
        names = self._find_best()
        return None if names is None else self.make_candidate(names)

    @property
    def needed(self) -> tuple[Needed, ...]:
        """For the layers of the best candidate that were quantized again: the verdict without each."""
        names = self._find_best() or frozenset()
        without = [(layer.name, names - {layer.name}) for layer in self.layers if layer.name in names]
        return tuple(Needed(name, self._verdicts[rest]) for name, rest in without if rest in self._verdicts)

    @property
    def minimal(self) -> bool:
        """True where it is proven that none of the layers of the best candidate can be quantized again."""
        names = self._find_best()
        return names is not None and self.strategy.is_proven(names, self._verdicts)

    @property
    def hopeless(self) -> bool:
        """True where neither the first candidates nor the largest did better than nothing skipped."""
        return self.strategy.is_hopeless(self._reached)

    @property
    def finished(self) -> bool:
        """True where there is nothing left to ask, whatever the budget."""
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
        """Return whether a verdict is good: True, or a score from the target on."""
        return self.strategy.is_good(verdict)

    def _find_best(self) -> frozenset[str] | None:
        """Return the answer: of a finished search what its questions came to, before that the best that is known."""
        return self.strategy.find_smallest(self._reached if self.finished else self._verdicts)


def is_decided(verdicts: list[Verdict], repeat: int) -> bool:
    """Return whether further runs of a candidate could not change what counts."""
    sides = (sum(verdict is side for verdict in verdicts) for side in (True, False))
    return len(verdicts) >= repeat or 2 * max(sides) > repeat


def summarize_verdicts(verdicts: list[Verdict]) -> Verdict:
    """Return what several runs come to: the mean of scores, bad if one was not finite; the majority, a tie being bad."""
    scores = [verdict for verdict in verdicts if verdict is not None and not isinstance(verdict, bool)]
    if scores:
        return False if any(verdict is False for verdict in verdicts) else sum(scores) / len(scores)
    sure = [verdict for verdict in verdicts if verdict is not None]
    return None if not sure else 2 * sum(map(bool, sure)) > len(sure)


# ---------------------------------------------------------------- running a search to its end


Evaluate = Callable[[Candidate], Verdict]


def search(
    bisection: Bisection, evaluate: Evaluate, executor: Executor | None = None, jobs: int = 1
) -> Candidate | None:
    """Run a search to its end.

    Args:
        bisection: The search; verdicts that it has count.
        evaluate: Gives the verdict on a candidate, as `Bisection.tell` takes it.
        executor: Where it is called, such as `dask.distributed.Client.get_executor()`; threads of our own if left out.
        jobs: How many candidates are evaluated at the same time, at most.

    Returns:
        The best candidate, None where none was good.

    Raises:
        ValueError: `jobs` is below 1.
        Exception: What `evaluate` raises; the verdicts before it stay.

    Example:
        >>> from amctcfg import parse, Layer
        >>> layers = [Layer(name, "Conv2D") for name in "abcd"]
        >>> search(Bisection(parse(""), layers), lambda candidate: "c" in candidate.skip, jobs=2).skip
        ('c',)
    """
    for _ in run_steps(bisection, evaluate, executor, jobs):
        pass
    return bisection.best


def run_steps(
    bisection: Bisection, evaluate: Evaluate, executor: Executor | None = None, jobs: int = 1
) -> Generator[tuple[Candidate, Verdict, int], None, None]:
    """Run a search as `search` does; yield each candidate whose verdict was taken, that, and how many others are running."""
    if jobs < 1:
        raise ValueError("jobs has to be at least 1")
    if executor is None and jobs == 1:
        for candidate in iter(bisection.ask, None):
            verdict = evaluate(candidate)
            bisection.tell(candidate, verdict)
            yield candidate, verdict, 0
        return
    from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

    pending: dict[Any, Candidate] = {}
    with ThreadPoolExecutor(jobs) if executor is None else contextlib.nullcontext(executor) as workers:
        try:
            while True:
                for candidate in bisection.ask_many(jobs - len(pending)):
                    pending[workers.submit(evaluate, candidate)] = candidate
                if not pending or bisection.finished:
                    return
                done, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in [future for future in pending if future in done]:
                    candidate, verdict = pending.pop(future), future.result()
                    bisection.tell(candidate, verdict)
                    yield candidate, verdict, len(pending)
        finally:
            bisection.drop_pending()
            for future in pending:
                future.cancel()
