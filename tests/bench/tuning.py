# SPDX-License-Identifier: Apache-2.0
"""How many runs the search for layers to skip takes, and how many layers it skips: the table of `docs/tuning.md`.

python tests/bench/tuning.py            four hundred seeds a row, a minute
python tests/bench/tuning.py --seeds 50
"""

import argparse
import math
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

import amctcfg  # noqa: E402
from amctcfg.tuning import Bisection, Candidate  # noqa: E402
from tests.bench.oracles import ROWS, TOLERANCE, optimum, oracle  # noqa: E402


def searched(row, mode, seed):
    """The runs of a search, and its size against the optimum."""
    cost, order = oracle(row.layers, row.hot, row.quality, seed)
    layers = [amctcfg.Layer("l{}".format(n), "Conv2D") for n in range(row.layers)]
    scores = None if order is None else {"l{}".format(n): place for place, n in enumerate(order)}
    search = Bisection(amctcfg.parse(""), layers, scores, target=-TOLERANCE if mode == "scores" else None)
    search._made = lambda names: Candidate(tuple(names), "", None)  # texts and plans are not looked at here
    candidate = search.ask()
    while candidate is not None:
        loss = sum(cost) - sum(cost[int(name[1:])] for name in candidate.skip)
        search.tell(candidate, -loss if mode == "scores" else loss <= TOLERANCE)
        candidate = search.ask()
    return search.runs, len(search.best.skip) / optimum(cost)


def prefix_bisection(row, seed):
    """The same oracle by the toolkit's search: the ranking is cut in two until the shortest good beginning is found."""
    cost, order = oracle(row.layers, row.hot, row.quality, seed)
    order = list(range(row.layers)) if order is None else order
    bad, good, runs = 0, row.layers, 1
    while good - bad > 1:
        middle, runs = (good + bad) // 2, runs + 1
        left = sum(cost) - sum(cost[layer] for layer in order[:middle])
        bad, good = (bad, middle) if left <= TOLERANCE else (middle, good)
    return runs, good / optimum(cost)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--seeds", type=int, default=400)
    seeds = arguments.parse_args().seeds
    print(
        "| layers / hot, quality | verdicts: runs, size | scores: runs, size | prefix bisection: runs, size |\n|---|---|---|---|"
    )
    for row in ROWS:
        cells = []
        for search in (
            lambda s: searched(row, "verdicts", s),
            lambda s: searched(row, "scores", s),
            lambda s: prefix_bisection(row, s),
        ):
            found = [search(seed) for seed in range(seeds)]
            size = math.exp(statistics.mean(math.log(size) for _, size in found))
            cells.append("{:g}, {:.2f}×".format(statistics.median(runs for runs, _ in found), size))
        print("| {} | {} |".format(row, " | ".join(cells)), flush=True)


if __name__ == "__main__":
    main()
