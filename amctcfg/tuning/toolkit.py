# SPDX-License-Identifier: Apache-2.0
"""The search as a strategy of the toolkit's own `accuracy_based_auto_calibration`."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from dataclasses import dataclass
from typing import Any, Iterable, Mapping, TypeVar

from ..documents.document import Document
from ..flavours.layer import Layer
from .bisection import Bisection
from .journal import Journal, replay
from .strategy import Names, Verdict

B = TypeVar("B")


def toolkit_strategy(
    base: type[B],
    document: Document[Any],
    layers: Iterable[Layer],
    scores: Mapping[str, float] | None = None,
    journal: Journal | str | os.PathLike[str] | None = None,
) -> B:
    """Return a strategy with which the toolkit's accuracy based calibration searches as `Bisection` does.

    Args:
        base: The toolkit's `AutoCalibrationStrategyBase`.
        document: The configuration of which the toolkit's JSON was made.
        layers: The layers of the model.
        scores: How sensitive layers are; the toolkit's own ranking if left out.
        journal: A journal, or the folder of one: what it holds is not evaluated again, each result is added.

    Returns:
        An instance of a subclass of `base`, for the argument `strategy`.

    Example:
        strategy = amctcfg.tuning.toolkit_strategy(AutoCalibrationStrategyBase, document, layers)
        accuracy_based_auto_calibration(model, evaluator, config, record, save_dir, strategy=strategy)
    """
    if isinstance(journal, (str, os.PathLike)):
        journal = Journal(os.fspath(journal))
    session = Session(document, tuple(layers), scores, journal)

    class BisectionStrategy(base):  # type: ignore[valid-type, misc]  # a class that is only known at run time
        """Rolls back the layers that `amctcfg.tuning.Bisection` asks about."""

        def initialize(self, ranking_info: Mapping[str, float]) -> None:
            """Begin with the layers that are quantized, and how sensitive each is."""
            session.begin(ranking_info)

        def update_quant_config(self, metric_eval: Any) -> dict[str, Any]:
            """Take the result of the configuration returned last; return the next, or the answer."""
            self.result = session.go_on(is_satisfied(metric_eval))
            return self.result

    strategy: B = BisectionStrategy()
    return strategy


@dataclass(eq=False)
class Session:
    """A search in the toolkit's hands: what it evaluated last, and what comes next."""

    document: Document[Any]
    layers: tuple[Layer, ...]
    scores: Mapping[str, float] | None
    journal: Journal | None

    def __post_init__(self) -> None:
        self.search: Bisection = Bisection(self.document, self.layers, self.scores)  # raises before the toolkit runs
        self.ranking: Mapping[str, float] = {}
        self.evaluated: Names = ()  # the toolkit begins with everything quantized

    def begin(self, ranking: Mapping[str, float]) -> None:
        """Begin a search over the layers that the toolkit can roll back."""
        self.ranking = dict(ranking)
        fixed = set(self.search.order) - set(self.ranking)
        layers = [dataclasses.replace(x, supported=x.supported and x.name not in fixed) for x in self.layers]
        self.search = Bisection(self.document, layers, self.scores or self.ranking)
        self.evaluated = ()
        if self.journal is not None:
            replay(self.search, self.journal)

    def go_on(self, verdict: Verdict) -> dict[str, Any]:
        """Take the verdict on what was evaluated last; return what the toolkit is to do."""
        if not self.search.runs_of(self.evaluated):
            if self.journal is not None:
                self.journal.write(self.search.candidate(self.evaluated), verdict)
            self.search.take(self.evaluated, verdict)
        asked = self.search.ask()
        if asked is not None:
            self.evaluated = asked.skip
        answer = asked or self.search.best
        skipped = set(self.ranking if answer is None else answer.skip)  # nothing was good: nothing is quantized
        return {"stop_flag": asked is None, "roll_back_config": {name: name not in skipped for name in self.ranking}}


def is_satisfied(metric_eval: Any) -> Verdict:
    """Return the verdict in what the user's evaluation returned: (satisfied, loss), or the first of these alone."""
    if not isinstance(metric_eval, (str, bytes)) and hasattr(metric_eval, "__getitem__"):
        with contextlib.suppress(LookupError, TypeError):  # empty, or an array without dimensions
            metric_eval = metric_eval[0]
    return None if metric_eval is None else bool(metric_eval)
