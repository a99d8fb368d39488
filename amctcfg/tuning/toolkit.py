# SPDX-License-Identifier: Apache-2.0
"""The search as a strategy of the toolkit's own `accuracy_based_auto_calibration`."""

from __future__ import annotations

import contextlib
import dataclasses
import os
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
        layers: Those of the model.
        scores: How sensitive layers are; the toolkit's own ranking if left out.
        journal: A journal, or the folder of one: what it holds is not evaluated again, each result is added.

    Returns:
        An instance of a subclass of `base`, for the argument `strategy`.

    Example:
        strategy = amctcfg.tuning.toolkit_strategy(AutoCalibrationStrategyBase, document, layers)
        accuracy_based_auto_calibration(model, evaluator, config, record, save_dir, strategy=strategy)
    """
    kept = Journal(os.fspath(journal)) if isinstance(journal, (str, os.PathLike)) else journal
    layers = tuple(layers)
    everything = Bisection(document, layers, scores)  # raises before the toolkit runs

    class BisectionStrategy(base):  # type: ignore[valid-type, misc]  # a class that is only known at run time
        """Rolls back the layers that `amctcfg.tuning.Bisection` asks about."""

        def initialize(self, ranking_info: Mapping[str, float]) -> None:
            """Begin a search over the layers that the toolkit can roll back; its ranking says how sensitive each is."""
            self._ranking = dict(ranking_info)
            fixed = set(everything.order) - set(self._ranking)
            free = [dataclasses.replace(x, supported=x.supported and x.name not in fixed) for x in layers]
            self._search = Bisection(document, free, scores or self._ranking)
            self._evaluated: Names = ()  # the toolkit begins with everything quantized
            if kept is not None:
                replay(self._search, kept)

        def update_quant_config(self, metric_eval: Any) -> dict[str, Any]:
            """Take the result of the configuration returned last; return the next, or the answer."""
            search = self._search
            if not search.runs_of(self._evaluated):
                verdict = read_satisfied(metric_eval)
                if kept is not None:
                    kept.write(search.make_candidate(self._evaluated), verdict)
                search.take(self._evaluated, verdict)
            asked = search.ask()
            if asked is not None:
                self._evaluated = asked.skip
            answer = asked or search.best
            skipped = set(self._ranking if answer is None else answer.skip)  # nothing was good: nothing is quantized
            flags = {name: name not in skipped for name in self._ranking}
            self.result = {"stop_flag": asked is None, "roll_back_config": flags}
            return self.result

    strategy: B = BisectionStrategy()
    return strategy


def read_satisfied(metric_eval: Any) -> Verdict:
    """Return the verdict in what the user's evaluation returned: (satisfied, loss), or the first of these alone."""
    if not isinstance(metric_eval, (str, bytes)) and hasattr(metric_eval, "__getitem__"):
        with contextlib.suppress(LookupError, TypeError):  # empty, or an array without dimensions
            metric_eval = metric_eval[0]
    return None if metric_eval is None else bool(metric_eval)
