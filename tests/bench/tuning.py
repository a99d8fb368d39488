# SPDX-License-Identifier: Apache-2.0
"""How many runs the search for layers to skip takes, and how many layers it skips: the tables of `docs/tuning.md`.

python tests/bench/tuning.py            four hundred seeds a row, a minute
python tests/bench/tuning.py --seeds 50
python tests/bench/tuning.py --many --seeds 100     rounds with 1, 2, 4 and 8 at once
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


def searched(row, mode, seed, many=1):
    """The rounds of a search with so many candidates at once, its runs, and its size against the optimum."""
    cost, order = oracle(row.layers, row.hot, row.quality, seed)
    layers = [amctcfg.Layer("l{}".format(n), "Conv2D") for n in range(row.layers)]
    scores = None if order is None else {"l{}".format(n): place for place, n in enumerate(order)}
    search = Bisection(amctcfg.parse(""), layers, scores, target=-TOLERANCE if mode == "scores" else None)
    search.make_candidate = lambda names: Candidate(tuple(names), "", None)  # texts and plans are not looked at here
    rounds = 0
    candidates = search.ask_many(many)
    while candidates:
        rounds += 1
        for candidate in candidates:
            loss = sum(cost) - sum(cost[int(name[1:])] for name in candidate.skip)
            search.tell(candidate, -loss if mode == "scores" else loss <= TOLERANCE)
        candidates = search.ask_many(many)
    assert search.minimal
    return rounds, search.runs, len(search.best.skip) / optimum(cost)


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


def size_of(sizes):
    return math.exp(statistics.mean(math.log(size) for size in sizes))


def print_sizes(seeds):
    """One candidate at a time: runs and sizes."""
    print("| layers / hot, quality | verdicts: runs, size | scores: runs, size | prefix bisection: runs, size |")
    print("|---|---|---|---|")
    for row in ROWS:
        cells = []
        for mode in ("verdicts", "scores"):
            found = [searched(row, mode, seed) for seed in range(seeds)]
            cells.append((statistics.median(runs for _, runs, _ in found), size_of(size for *_, size in found)))
        found = [prefix_bisection(row, seed) for seed in range(seeds)]
        cells.append((statistics.median(runs for runs, _ in found), size_of(size for _, size in found)))
        print("| {} | {} |".format(row, " | ".join("{:g}, {:.2f}×".format(*cell) for cell in cells)), flush=True)


def print_rounds(seeds):
    """Many at once: rounds, and how many times the runs of one at a time eight at once take: the median, and the most."""
    print("| layers / hot, quality | verdicts: 1, 2, 4, 8 at once | scores: 1, 2, 4, 8 at once | runs with 8 (most) |")
    print("|---|---|---|---|")
    for row in ROWS:
        cells, more = [], []
        for mode in ("verdicts", "scores"):
            found = {many: [searched(row, mode, seed, many) for seed in range(seeds)] for many in (1, 2, 4, 8)}
            cells.append(", ".join("{:g}".format(statistics.median(r for r, *_ in found[n])) for n in found))
            times = [runs / alone for (_, runs, _), (_, alone, _) in zip(found[8], found[1])]
            more.append("{:.1f}× ({:.1f}×)".format(statistics.median(times), max(times)))
        print("| {} | {} | {} |".format(row, " | ".join(cells), ", ".join(more)), flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--seeds", type=int, default=400)
    arguments.add_argument("--many", action="store_true", help="rounds with many candidates at once")
    given = arguments.parse_args()
    (print_rounds if given.many else print_sizes)(given.seeds)


if __name__ == "__main__":
    main()
