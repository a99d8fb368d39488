# SPDX-License-Identifier: Apache-2.0
"""Running a search to its end, on one evaluation at a time or on many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, Generator, NamedTuple, Optional

from .bisection import Bisection, Candidate
from .strategy import Verdict

if TYPE_CHECKING:
    from concurrent.futures import Executor

Evaluate = Callable[[Candidate], Verdict]


class Step(NamedTuple):
    """A verdict that was taken, and how many candidates are being evaluated meanwhile."""

    candidate: Candidate
    verdict: Verdict
    running: int


def search(
    bisection: Bisection, evaluate: Evaluate, executor: Optional[Executor] = None, jobs: int = 1
) -> Optional[Candidate]:
    """Run a search to its end.

    Args:
        bisection: The search; verdicts that it has count.
        evaluate: Gives the verdict on a candidate, as `Bisection.tell` takes it.
        executor: Where it is called: threads, processes, or `dask.distributed.Client.get_executor()`. Threads of our own
            if left out, or this thread where `jobs` is 1.
        jobs: How many candidates are evaluated at the same time, at most.

    Returns:
        The best candidate, None where none was good.

    Raises:
        ValueError: `jobs` is below 1.
        Exception: What `evaluate` raises ends the search; the verdicts before it stay.

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
    bisection: Bisection, evaluate: Evaluate, executor: Optional[Executor] = None, jobs: int = 1
) -> Generator[Step, None, None]:
    """Run a search and yield each verdict after it was taken; `search` says what the arguments are."""
    if jobs < 1:
        raise ValueError("jobs has to be at least 1")
    if executor is not None:
        yield from run_on(executor, bisection, evaluate, jobs)
    elif jobs == 1:
        candidate = bisection.ask()
        while candidate is not None:
            verdict = evaluate(candidate)
            bisection.tell(candidate, verdict)
            yield Step(candidate, verdict, 0)
            candidate = bisection.ask()
    else:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(jobs) as threads:
            yield from run_on(threads, bisection, evaluate, jobs)


def run_on(executor: Executor, bisection: Bisection, evaluate: Evaluate, jobs: int) -> Generator[Step, None, None]:
    """Keep an executor busy with what the search will most probably ask."""
    from concurrent.futures import FIRST_COMPLETED, wait

    pending: Dict[Any, Candidate] = {}
    try:
        while True:
            for candidate in bisection.ask_many(jobs - len(pending)):
                pending[executor.submit(evaluate, candidate)] = candidate
            if not pending or bisection.finished:
                return
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in [future for future in pending if future in done]:
                candidate, verdict = pending[future], future.result()
                del pending[future]
                bisection.tell(candidate, verdict)
                yield Step(candidate, verdict, len(pending))
    finally:
        bisection.drop_pending()
        for future in pending:
            future.cancel()
