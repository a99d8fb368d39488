# SPDX-License-Identifier: Apache-2.0
"""The tuning loop: scores out of files, `suggest`, the search and its promises, the command and its journal."""

import concurrent.futures
import io
import json
import math
import multiprocessing
import os
import signal
import stat
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import amctcfg
from amctcfg import ConfigError, Layer
from amctcfg.cli.main import run
from amctcfg.tuning import Bisection, Candidate, Journal, Scores, load_scores, replay, search, toolkit_strategy
from amctcfg.tuning.strategy import Beliefs, Strategy, guess_needs

from .bench import tuning as bench
from .bench.oracles import ROWS, optimum, oracle
from .conftest import DATA, THOROUGH, seldom, thorough

TUNING = DATA / "tuning"
ENVIRONMENT = dict(os.environ, PYTHONPATH=str(Path(amctcfg.__file__).parent.parent))

# ---------------------------------------------------------------- scores


def test_the_toolkits_own_files():
    ranking = load_scores(TUNING / "accuracy_based_auto_calibration_ranking_information.json")
    pairs = json.loads(
        (TUNING / "accuracy_based_auto_calibration_ranking_information.json").read_text(encoding="utf-8")
    )
    assert list(ranking.items()) == [tuple(pair) for pair in pairs] and ranking.low_is_sensitive is True
    history = load_scores(TUNING / "accuracy_based_auto_calibration_record.json")
    assert set(history.values()) <= {0.0, 1.0} and set(history) == set(ranking)


@pytest.mark.parametrize(
    "name, text, values, low",
    [
        ("a.json", '{"a": 0.5, "b": 1}', {"a": 0.5, "b": 1.0}, None),
        ("a.json", '[["a", 0.5]]', {"a": 0.5}, True),
        ("a.json", "[]", {}, True),
        ("a.csv", "name,score\na,0.5\n", {"a": 0.5}, None),
        ("a.csv", "\ufefflayer,CosineSimilarity,MSE\r\na,0.5,7\r\nb,nan,1\r\n", {"a": 0.5}, True),
        ("a.csv", "Index,OpName,CosineSimilarity\n0,a,0.5\n1,a,0.25\n", {"a": 0.25}, True),
    ],
)
def test_scores(name, text, values, low, tmp_path):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    scores = load_scores(path)
    assert (dict(scores), scores.low_is_sensitive) == (values, low)


@pytest.mark.parametrize(
    "name, text, words",
    [
        ("a.json", "", "the file is empty"),
        ("a.json", '[["a"]]', "list of pairs"),
        ("a.json", '{"a": "x"}', "not a number"),
        ("a.json", "1 2", "no column holds the names"),
        ("a.csv", "name,a,b\nx,1,2\n", "several columns could hold the score"),
        ("a.csv", "name,score\nx\n", "row 2 has 1 cells"),
        ("a.csv", "name,score\nx,y\n", "'y' is not a number"),
        ("a.csv", "foo,bar\n1,2\n", "no column holds the names of layers"),
        ("a.csv", "name\na\n", "no column holds a score"),
        ("a.csv", "name,score\n" + "a" * 140000 + ",1\n", "not a table"),
        ("a.csv", "name,score\na,1_000\n", "'1_000' is not a number"),
        ("a.csv", "name,score\na,１\n", "is not a number"),
        ("a.json", '{"a": 1' + "0" * 350 + "}", "beyond every float"),
        ("a.json", '{"a": NaN}', "not a number"),
    ],
)
def test_wrong_scores(name, text, words, tmp_path):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=words):
        load_scores(path)
    with pytest.raises(OSError):
        load_scores(tmp_path / "nowhere")


# ---------------------------------------------------------------- suggest

TABLE = "name,type,supported\na,Conv2D,true\nb,Conv2D,true\nc,MatMul,true\nrelu,Relu,true\nd,Conv2D,false\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "l.csv").write_text(TABLE, encoding="utf-8")
    (tmp_path / "q.cfg").write_text("# amctcfg: graph=l.csv\nskip_layers: 'c'\n", encoding="utf-8")
    (tmp_path / "r.json").write_text(
        '[["gone", 0.1], ["c", 0.2], ["relu", 0.3], ["b", 0.91347], ["a", 0.99]]', encoding="utf-8"
    )
    return tmp_path


def test_suggest(folder, cli):
    result = cli("suggest", "q.cfg", "--scores", "r.json", "--below", "0.95")
    assert result.status == 0
    assert result.out == "# amctcfg: graph=l.csv\nskip_layers: 'c'\nskip_layers: \"b\"  # 0.9135\n"
    for words in ("low is sensitive", "'gone'", "not in the model", "'relu' ", "'c'", "already skipped"):
        assert words.strip() in result.err
    assert cli("suggest", "q.cfg", "--scores", "r.json", "--worst", "2").out == result.out  # c is one of the two
    assert cli("suggest", "q.cfg", "--scores", "r.json", "--above", "0.95").out.endswith('skip_layers: "a"  # 0.99\n')
    assert cli("suggest", "q.cfg", "--skip", "[ab]").status == 1  # nothing would be left
    assert cli("suggest", "q.cfg", "--skip", "[a]", "-i").status == 0
    assert (folder / "q.cfg").read_text(encoding="utf-8").endswith("skip_layers: 'c'\nskip_layers: \"a\"\n")


def test_suggest_asks_for_the_direction(folder, cli):
    (folder / "s.json").write_text('{"a": 3, "b": 1}', encoding="utf-8")
    result = cli("suggest", "q.cfg", "--scores", "s.json", "--worst", "1")
    assert result.status == 2 and "--low-is-sensitive or --high-is-sensitive" in result.err
    assert '"b"' in cli("suggest", "q.cfg", "--scores", "s.json", "--worst", "1", "--low-is-sensitive").out
    assert '"a"' in cli("suggest", "q.cfg", "--scores", "s.json", "--worst", "1", "--high-is-sensitive").out
    for wrong in ([], ["--scores", "s.json"], ["--worst", "1"], ["--scores", "s.json", "--worst", "1", "--below", "2"]):
        assert cli("suggest", "q.cfg", *wrong).status == 2
    assert cli("suggest", "q.cfg", "--scores", "nowhere.json", "--worst", "1").status == 2


# ---------------------------------------------------------------- the search


def searched(count, verdict, scores=None, **options):
    """Run a search over layers l0, l1, ... to its end; the search and the number of runs."""
    layers = [Layer("l{}".format(n), "Conv2D") for n in range(count)]
    search = Bisection(amctcfg.parse(""), layers, scores, **options)
    candidate = search.ask()
    while candidate is not None:
        assert len(candidate.skip) < count and len(set(candidate.skip)) == len(candidate.skip)
        assert search.ask() is candidate
        search.tell(candidate, verdict(frozenset(candidate.skip)))
        candidate = search.ask()
    return search


@st.composite
def monotone(draw):
    """Layers, and a test that is content when at least one of some sets of layers is skipped as a whole."""
    count = draw(st.integers(2, 12))
    names = ["l{}".format(n) for n in range(count)]
    sets = draw(st.lists(st.sets(st.sampled_from(names), min_size=1, max_size=count - 1), min_size=1, max_size=3))
    order = draw(st.none() | st.permutations(names))
    return count, [frozenset(one) for one in sets], order and {name: n for n, name in enumerate(order)}


@given(monotone())
def test_monotone_verdicts_give_a_proven_minimal_set(drawn):
    count, sets, scores = drawn
    asked = []

    def verdict(skip):
        asked.append(skip)
        return any(one <= skip for one in sets)

    search = searched(count, verdict, scores)
    best = frozenset(search.best.skip)
    assert any(one <= best for one in sets)
    assert search.minimal and not any(any(one <= best - {x} for one in sets) for x in best)
    assert [n.layer for n in search.needed] == list(search.best.skip)
    assert not any(n.verdict for n in search.needed)
    assert len(set(asked)) == len(asked) == search.runs and asked[0] == frozenset()
    assert search.best.text == amctcfg.skip("", search.best.skip)


@given(st.integers(2, 9), st.randoms(use_true_random=False), st.none() | st.integers(1, 12))
def test_any_verdicts_give_what_was_tested(count, chance, budget):
    """Interacting layers: the answer passed its test, and is minimal or does not say that it is."""
    told = {}

    def verdict(skip):
        told[skip] = chance.choice([True, False, None]) if skip else False
        return told[skip]

    search = searched(count, verdict, budget=budget)
    assert budget is None or search.runs <= budget
    good = [skip for skip, value in told.items() if value]
    if search.best is None:
        assert not good
        return
    best = frozenset(search.best.skip)
    assert told[best] is True and len(best) == min(map(len, good))
    assert search.minimal is all(told.get(best - {x}) is False for x in best)


@given(st.integers(2, 30), st.randoms(use_true_random=False), st.floats(0, 1))
def test_additive_scores_give_the_fewest_layers(count, chance, share):
    losses = {"l{}".format(n): chance.choice([0, 1, 4, 20, 30]) for n in range(count)}
    total = sum(losses.values())
    target = -int(share * total) - 0.5  # between two whole numbers, so that nothing is rounded
    scores = {name: -loss for name, loss in losses.items()} if chance.random() < 0.5 else None
    search = searched(count, lambda skip: -(total - sum(losses[x] for x in skip)), scores, target=target)
    fewest, left = 0, total
    for loss in sorted(losses.values(), reverse=True):
        if -left >= target:
            break
        fewest, left = fewest + 1, left - loss
    if fewest == count:
        assert search.best is None
    else:
        assert len(search.best.skip) == fewest
        assert search.minimal


@pytest.mark.parametrize("row", [ROWS[0], *thorough(ROWS[1:])], ids=str)
@pytest.mark.parametrize("mode", ["verdicts", "scores"])
def test_the_ceilings(row, mode):
    """Medians of runs and geometric means of sizes over a hundred seeds; `tests/bench/tuning.py` takes four hundred."""
    runs, sizes = [], []
    for seed in range(100):
        cost, order = oracle(row.layers, row.hot, row.quality, seed)
        total = sum(cost)
        layers = [Layer("l{}".format(n), "Conv2D") for n in range(row.layers)]
        scores = None if order is None else {"l{}".format(n): place for place, n in enumerate(order)}
        search = Bisection(amctcfg.parse(""), layers, scores, target=-0.01 if mode == "scores" else None)
        search.make_candidate = lambda names: Candidate(
            tuple(names), "", None
        )  # texts and plans are not looked at here
        candidate = search.ask()
        while candidate is not None:
            loss = total - sum(cost[int(name[1:])] for name in candidate.skip)
            search.tell(candidate, -loss if mode == "scores" else loss <= 0.01)
            candidate = search.ask()
        assert search.minimal
        runs.append(search.runs)
        sizes.append(math.log(len(search.best.skip) / optimum(cost)))
    most_runs, largest = row.ceilings[mode]
    assert statistics.median(runs) <= most_runs
    assert math.exp(statistics.mean(sizes)) <= largest


@pytest.mark.parametrize(
    "needed, has_ranking",
    [(range(0, 120, 2), False), (range(60), True), *thorough([(range(0, 120, 2), True), (range(60), False)])],
    ids=str,
)
def test_a_search_learns_that_many_layers_are_needed(needed, has_ranking):
    """Sixty of 120, where it expects six: with a guess that nothing corrects, it took 238 to 368 runs."""
    names = frozenset("l{}".format(n) for n in needed)
    ranking = {"l{}".format(n): float(n) for n in range(120)} if has_ranking else None
    search = searched(120, names.issubset, ranking)
    assert frozenset(search.best.skip) == names and search.runs <= 230


@given(st.integers(1, 40), st.lists(st.floats(0, 1), max_size=8))
def test_beliefs_stay_likelihoods(count, finds):
    """Whatever is found, none from a place on is the likelier the farther behind that place is, up to certainty."""
    beliefs = Beliefs([guess_needs(count, power) for power in (None, 0.5, 2.0)], count)
    for find in finds:
        chances = [beliefs.estimate_none_from(place) for place in range(beliefs.count + 1)]
        assert all(low <= high + 1e-12 for low, high in zip(chances, chances[1:]))
        assert chances[0] > 0 and chances[-1] == pytest.approx(1)
        if not beliefs.count:
            break
        beliefs.find(int(find * (beliefs.count - 1)))


@given(st.integers(2, 9), st.randoms(use_true_random=False), st.integers(1, 3))
def test_scores_that_are_not_finite_are_bad_and_the_search_ends(count, chance, repeat):
    told = {}

    def verdict(skip):
        told.setdefault(skip, []).append(chance.choice([math.nan, math.inf, -math.inf, 10**400, 0.5, 0.95]))
        return told[skip][-1]

    search = searched(count, verdict, target=0.9, repeat=repeat)
    if search.best is not None:
        assert all(math.isfinite(score) for score in map(float, told[frozenset(search.best.skip)]))


@given(st.integers(2, 12), st.randoms(use_true_random=False), st.none() | st.just(0.9))
def test_nothing_is_asked_after_the_proof_and_nothing_larger_than_the_best(count, chance, target):
    """Whatever the answers: errors that cancel in part are what real models have."""
    told = {}

    def good(skip):
        return told[skip] is True or (not isinstance(told[skip], bool) and told[skip] >= 0.9)

    def verdict(skip):
        passed = [one for one in told if good(one)]
        for one in passed:
            assert len(skip) <= len(one)
            assert not all(one - {x} in told and not good(one - {x}) for x in one), "asked after the proof"
        told[skip] = chance.choice([False, False, True]) if target is None else chance.choice([0.8, 0.85, 0.7, 0.95])
        return told[skip]

    searched(count, verdict, target=target)


def test_errors_that_cancel_in_part():
    """Skipping one of two layers is worse than skipping none, skipping both is good: the proof ends the search."""

    def score(skip):
        return {0: 0.9492, 1: 0.88, 2: 0.9766}[len(skip & {"l7", "l30"})] - 0.0001 * len(skip)

    ranking = {"l{}".format(n): 0.0 if n in (7, 30) else 1.0 + n for n in range(54)}
    search = searched(54, score, ranking, target=0.97)
    assert search.best.skip == ("l7", "l30") and search.minimal and search.runs <= 10


@pytest.mark.parametrize("count", [5, 8, 54])
@pytest.mark.parametrize("verdict", [False, None, 0.5])
def test_what_never_is_good_is_found_hopeless_in_four_runs(count, verdict):
    layers = [Layer("l{}".format(n), "Conv2D") for n in range(count)]
    search = Bisection(amctcfg.parse(""), layers, target=0.9 if verdict == 0.5 else None)
    sizes = []
    while not search.hopeless:
        candidate = search.ask()
        sizes.append(len(candidate.skip))
        search.tell(candidate, verdict)
    assert len(sizes) == 4 and sizes[0] == 0 and sizes[3] == count - 1
    assert search.ask() is not None  # whether to go on is for those who ask to say


def test_a_largest_set_that_is_better_is_not_hopeless():
    search = searched(12, lambda skip: len(skip) / 100, target=0.5)
    assert not search.hopeless and search.best is None
    search = searched(12, lambda skip: "l6" in skip)
    assert not search.hopeless and search.best.skip == ("l6",)


def test_what_is_good_already_and_what_never_is():
    search = searched(3, lambda skip: True)
    assert search.best.skip == () and search.runs == 1 and search.minimal and search.needed == ()
    search = searched(3, lambda skip: False)
    assert search.best is None and not search.minimal and search.needed == () and search.finished
    search = searched(1, lambda skip: False)
    assert search.best is None and search.runs == 1


def test_noise_is_met_by_repetition():
    told = []

    def verdict(skip):
        told.append(skip)
        wrong = len(told) % 3 == 0
        return ("l1" in skip) is not wrong

    search = searched(4, verdict, repeat=3)
    assert search.best.skip == ("l1",) and search.minimal
    scores = iter(range(10**6))
    search = searched(2, lambda skip: (1.0 if skip else 0.0) + 0.1 * (next(scores) % 2), target=0.9, repeat=2)
    assert search.needed[0].verdict == pytest.approx(0.05)


def test_wrong_arguments():
    layers = [Layer("a", "Conv2D"), Layer("b", "Conv2D")]
    with pytest.raises(TypeError, match="takes a Document"):
        Bisection(amctcfg.AMCTConfig(), layers)
    with pytest.raises(ConfigError):
        Bisection(amctcfg.parse("skip_layers: 'nope'"), layers)
    search = Bisection(amctcfg.parse(""), layers)
    candidate = search.ask()
    with pytest.raises(ValueError, match="needs a target"):
        search.tell(candidate, 0.5)
    with pytest.raises(ValueError, match="not the candidate"):
        search.tell(candidate._replace(skip=("a",)), True)
    with pytest.raises(ValueError):
        Bisection(amctcfg.parse(""), layers, repeat=0)
    for target in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match="finite"):
            Bisection(amctcfg.parse(""), layers, target=target)


def test_the_documents_own_skips_stay():
    layers = [Layer(name, "Conv2D") for name in "abc"]
    search = Bisection(amctcfg.parse("skip_layers: 'a'  # by hand\n"), layers, Scores({"c": 0.1, "b": 0.9}, True))
    assert search.order == ("c", "b") and search.ask().skip == ()
    search.tell(search.ask(), False)
    assert search.ask().text == "skip_layers: 'a'  # by hand\nskip_layers: \"c\"\n"
    assert not search.ask().plan["a"].quant_enable


# ---------------------------------------------------------------- many at once


def searched_many(count, verdict, chance, many, scores=None, **options):
    """Run a search with up to `many` candidates pending, whose verdicts come in any order."""
    layers = [Layer("l{}".format(n), "Conv2D") for n in range(count)]
    search = Bisection(amctcfg.parse(""), layers, scores, **options)
    pending, asked = [], []
    while True:
        first = search.ask()
        found = search.ask_many(many - len(pending))
        assert len(found) <= many - len(pending)
        if found and first.skip not in [candidate.skip for candidate in pending]:
            assert found[0] is first
        pending += found
        asked += [candidate.skip for candidate in found]
        if not pending:
            break
        candidate = pending.pop(chance.randrange(len(pending)))
        search.tell(candidate, verdict(frozenset(candidate.skip)))
    assert len(set(asked)) == len(asked)  # nothing is asked twice
    assert search.finished or search.runs == search.budget
    return search


@given(monotone(), st.integers(1, 9), st.randoms(use_true_random=False))
def test_many_at_once_come_to_the_same_answer(drawn, many, chance):
    count, sets, scores = drawn

    def verdict(skip):
        return any(one <= skip for one in sets)

    alone, together = searched(count, verdict, scores), searched_many(count, verdict, chance, many, scores)
    assert together.best == alone.best and together.needed == alone.needed and together.minimal


@seldom
@given(st.integers(2, 30), st.integers(1, 9), st.randoms(use_true_random=False), st.floats(0, 1))
def test_many_at_once_by_scores(count, many, chance, share):
    losses = {"l{}".format(n): chance.choice([0, 1, 4, 20, 30]) for n in range(count)}
    total = sum(losses.values())
    target = -int(share * total) - 0.5

    def score(skip):
        return -(total - sum(losses[x] for x in skip))

    alone = searched(count, score, target=target)
    together = searched_many(count, score, chance, many, target=target)
    assert (together.best and together.best.skip) == (alone.best and alone.best.skip)
    assert together.minimal is alone.minimal


@given(
    st.integers(2, 9),
    st.integers(1, 9),
    st.randoms(use_true_random=False),
    st.none() | st.integers(1, 12),
    st.integers(1, 3),
)
def test_many_at_once_whatever_the_verdicts(count, many, chance, budget, repeat):
    """Whatever is told, the best was told good, and what is called minimal is; once that is proven nothing is asked."""
    told = {}

    def verdict(skip):
        told.setdefault(skip, []).append(chance.choice([True, False, None]) if skip else False)
        return told[skip][-1]

    if repeat == 1:
        search = searched_many(count, verdict, chance, many, budget=budget)
    else:
        search = searched(count, verdict, budget=budget, repeat=repeat)
    assert budget is None or search.runs <= budget
    if search.best is None:
        return
    best = frozenset(search.best.skip)
    assert any(value is True for value in told[best])
    if search.minimal:
        assert all(any(value is False for value in told[best - {x}]) for x in best)
        assert search.ask() is None or not search.finished


@seldom
@given(st.integers(2, 12), st.integers(1, 9), st.floats(0, 1), st.randoms(use_true_random=False))
def test_a_journal_cut_off_anywhere_resumes_to_the_same_answer(count, many, kept, chance):
    """In the middle of a line, too. It is that of a search with many at once, whose verdicts came in any order."""
    needed = frozenset("l{}".format(n) for n in range(count) if chance.random() < 0.3)
    layers = [Layer("l{}".format(n), "Conv2D") for n in range(count)]
    order = []
    whole = searched_many(count, lambda skip: order.append(skip) or needed <= skip, chance, many)
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(folder)
        for skip in order:
            journal.write(whole.make_candidate(skip), needed <= skip)
        path = Path(journal.path)
        data = path.read_bytes() if order else b""
        data = data[: int(kept * len(data))]
        path.write_bytes(data)
        resumed = Bisection(amctcfg.parse(""), layers)
        candidate = replay(resumed, Journal(folder))
        told = order[: data.count(b"\n")]
        assert resumed.runs == len(told)
        while candidate is not None:
            assert frozenset(candidate.skip) not in told
            resumed.tell(candidate, needed.issubset(candidate.skip))
            candidate = resumed.ask()
    assert (resumed.best, resumed.minimal) == (whole.best, whole.minimal)


@pytest.mark.parametrize("target", [None, 0.9])
def test_no_more_candidates_than_are_of_use(target):
    """Asked for a million, the search looks no farther ahead than what may be reached."""
    search = Bisection(amctcfg.parse(""), [Layer("l{}".format(n), "Conv2D") for n in range(54)], target=target)
    replays = []
    questions = search.strategy.iter_questions
    search.strategy.iter_questions = lambda *verdicts: replays.append(1) or questions(*verdicts)
    search.make_candidate = lambda names: Candidate(tuple(names), "", None)
    found = search.ask_many(10**6)
    assert 8 < len(found) <= len(replays) < 1000 and len({candidate.skip for candidate in found}) == len(found)
    assert search.ask_many(10**6) == ()  # all that helps is pending


def test_no_answer_is_supposed_that_is_known_to_be_another():
    """Every beginning of the ranking is good, down to nothing skipped, which was bad."""
    names = ["l{}".format(n) for n in range(28)]
    verdicts = {}
    strategy, asked = Strategy(names, {name: n for n, name in enumerate(names)}, None), []
    ask = strategy._find_asked
    strategy._find_asked = lambda *question: asked.append(ask(*question)) or asked[-1]
    for question in strategy.iter_questions(verdicts, {}):
        verdicts[frozenset(question.names)] = bool(question.names)
    first, again = [question.answers for question in asked if question.names == ()][:2]
    assert first != again == ((True, 0.0), (False, 1.0))


def needs_l3(candidate):
    return "l3" in candidate.skip


@pytest.mark.parametrize("make", [None, "ThreadPoolExecutor", *thorough(["ProcessPoolExecutor"])])
def test_a_search_on_an_executor(make):
    layers = [Layer("l{}".format(n), "Conv2D") for n in range(12)]
    for jobs in (1, 3):
        bisection = Bisection(amctcfg.parse(""), layers)
        if make is None:
            best = search(bisection, needs_l3, jobs=jobs)
        elif make == "ThreadPoolExecutor":
            with concurrent.futures.ThreadPoolExecutor(2) as executor:
                best = search(bisection, needs_l3, executor, jobs)
        else:
            context = multiprocessing.get_context("spawn")  # forking a process that has threads is not safe
            with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as executor:
                best = search(bisection, needs_l3, executor, jobs)
        assert best.skip == ("l3",) and bisection.minimal
    with pytest.raises(ValueError, match="jobs"):
        search(Bisection(amctcfg.parse(""), layers), needs_l3, jobs=0)


def test_what_an_evaluation_raises_ends_the_search_and_nothing_is_lost():
    layers = [Layer("l{}".format(n), "Conv2D") for n in range(12)]
    bisection = Bisection(amctcfg.parse(""), layers)
    calls = []

    def broken(candidate):
        calls.append(candidate)
        if len(calls) == 4:
            raise LookupError("the card is gone")
        return needs_l3(candidate)

    with pytest.raises(LookupError, match="the card is gone"):
        search(bisection, broken, jobs=3)
    before = bisection.runs
    assert before <= 5
    assert search(bisection, needs_l3, jobs=3).skip == ("l3",)
    assert bisection.runs > before


SEEDS = 30 if THOROUGH else 15


@pytest.mark.parametrize(
    "row, many, verdicts, scores",
    [
        (ROWS[0], 8, 4.5, 4),
        *thorough([(ROWS[0], 4, 6, 5.5), (ROWS[1], 2, 18, 15.5), (ROWS[1], 4, 12, 9), (ROWS[1], 8, 9, 7)]),
        *thorough([(ROWS[4], 8, 10.5, 7.5)]),
    ],
    ids=str,
)
def test_the_rounds_with_many_at_once(row, many, verdicts, scores):
    """Medians of some seeds, a tenth above those of a sketch that was tried first; runs at most three times as many."""
    for mode, most in (("verdicts", verdicts), ("scores", scores)):
        alone = [bench.searched(row, mode, seed) for seed in range(SEEDS)]
        together = [bench.searched(row, mode, seed, many) for seed in range(SEEDS)]
        assert statistics.median(rounds for rounds, _, _ in together) <= 1.1 * most
        assert all(runs <= 3 * fewest for (_, runs, _), (_, fewest, _) in zip(together, alone))
        assert [size for *_, size in together] == [size for *_, size in alone]


# ---------------------------------------------------------------- in the toolkit's hands


class StrategyBase:
    """What the toolkit's base class is: no arguments, and a result."""

    def __init__(self):
        self.result = {}

    def initialize(self, ranking_info):
        raise NotImplementedError

    def update_quant_config(self, metric_eval):
        raise NotImplementedError


def calibrate(strategy, ranking, evaluate):
    """The toolkit's loop, to the letter of its contract; the final configuration, None where all is rolled back."""
    assert isinstance(strategy, StrategyBase)
    strategy.initialize(dict(ranking))
    config, steps = dict.fromkeys(ranking, True), 0
    metric = evaluate(config)
    while True:
        steps += 1
        assert steps < 1000
        update = strategy.update_quant_config(metric)
        assert set(update) == {"stop_flag", "roll_back_config"} and type(update["stop_flag"]) is bool
        before, config = config, update["roll_back_config"]
        assert list(config) == list(ranking) and all(type(flag) is bool for flag in config.values())
        if not any(config.values()):
            return None
        if update["stop_flag"]:
            if config != before:
                evaluate(config)
            return config
        metric = evaluate(config)


@given(monotone(), st.randoms(use_true_random=False), st.sampled_from(["pair", "numpy", "bool", "list"]))
def test_the_toolkit_searches_as_the_bisection_does(drawn, chance, returned):
    count, sets, scores = drawn
    layers = [Layer("l{}".format(n), "Conv2D") for n in range(count)]
    ranking = {layer.name: chance.random() for layer in layers}
    asked = []

    def evaluate(config):
        skipped = frozenset(name for name, quantized in config.items() if not quantized)
        asked.append(skipped)
        good = any(one <= skipped for one in sets)
        if returned == "numpy":
            numpy = pytest.importorskip("numpy")
            return numpy.array([good, 0.5])
        return {"pair": (good, 0.5), "bool": good, "list": [good, math.nan]}[returned]

    strategy = toolkit_strategy(StrategyBase, amctcfg.parse(""), layers, scores)
    assert strategy.result == {}
    config = calibrate(strategy, ranking, evaluate)
    alone = searched(count, lambda skip: any(one <= skip for one in sets), scores or ranking)
    assert {name for name, quantized in config.items() if not quantized} == set(alone.best.skip)
    last = asked.pop() if asked[-1] in asked[:-1] else None  # the answer, evaluated once more
    assert last is None or last == frozenset(alone.best.skip)
    assert len(set(asked)) == len(asked) == alone.runs


def test_a_toolkits_search_in_which_nothing_is_good_rolls_all_back(tmp_path):
    layers = [Layer(name, "Conv2D") for name in "abc"]
    strategy = toolkit_strategy(StrategyBase, amctcfg.parse(""), layers)
    assert calibrate(strategy, {"a": 1.0, "b": 2.0, "c": 3.0}, lambda config: (False, 1.0)) is None
    with pytest.raises(ConfigError):
        toolkit_strategy(StrategyBase, amctcfg.parse("skip_layers: 'gone'"), layers)
    fixed = toolkit_strategy(StrategyBase, amctcfg.parse(""), layers)  # b is not the toolkit's to roll back
    found = calibrate(fixed, {"a": 2.0, "c": 1.0, "new": 2.0}, lambda config: (not config["c"], 1.0))
    assert found == {"a": True, "c": False, "new": True}


def test_a_toolkits_search_keeps_a_journal(tmp_path):
    layers = [Layer("l{}".format(n), "Conv2D") for n in range(12)]
    ranking = {layer.name: float(n) for n, layer in enumerate(layers)}
    evaluated = []

    def evaluate(config):
        evaluated.append(config)
        if len(evaluated) == 4:
            raise KeyboardInterrupt
        return not config["l3"] and not config["l8"], 0.0

    with pytest.raises(KeyboardInterrupt):
        calibrate(toolkit_strategy(StrategyBase, amctcfg.parse(""), layers, journal=tmp_path), ranking, evaluate)
    strategy = toolkit_strategy(StrategyBase, amctcfg.parse(""), layers, journal=Journal(str(tmp_path)))
    config = calibrate(strategy, ranking, evaluate)
    assert [name for name, quantized in config.items() if not quantized] == ["l3", "l8"]
    plans = [json.loads(line)["plan"] for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert len(set(plans)) == len(plans)


# ---------------------------------------------------------------- bisect


def executable(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def script(folder, name, body):
    return executable(folder, name, "#!{} -SE\nimport os, sys, time\n{}\n".format(sys.executable, body))


def shell(folder, name, body):
    """For what a shell can do: it is there in a tenth of the time that a Python needs to start."""
    return executable(folder, name, "#!/bin/sh\n" + body)


LOGGED = "echo run >> runs.log\n"
NEEDS_L3 = 'grep -q \'"l3"\' "$1"'
NEEDS_B = LOGGED + 'grep -q \'"b"\' "$1"\n'


def test_bisect(folder, cli):
    (folder / "q.cfg").write_text("# amctcfg: graph=l.csv\n", encoding="utf-8")
    test = shell(folder, "test.sh", NEEDS_B)
    result = cli("bisect", "q.cfg", "--", test, "{}")
    assert result.status == 0
    assert (
        "skip 1 layer" in result.out
        and "b  if quantized: bad" in result.out
        and "minimal: quantizing any one of them again fails" in result.out
    )
    best = (folder / "q.cfg.bisect" / "best.cfg").read_text(encoding="utf-8")
    assert best == '# amctcfg: graph=../l.csv\nskip_layers: "b"\n'  # readable where it lies
    assert cli("check", "q.cfg.bisect/best.cfg").status == 0
    runs = (folder / "runs.log").read_text().count("run")
    assert "run {} of about".format(runs) in result.err
    first = "run 1 of about 6: {} {}\n".format(test, folder / "q.cfg.bisect" / "candidate.cfg")
    assert result.err.startswith("amctcfg: " + first)
    again = cli("bisect", "q.cfg", "--", test, "{}")
    assert "{} verdicts come from".format(runs) in again.err and "--reset" in again.err
    assert again.out == result.out and (folder / "runs.log").read_text().count("run") == runs


def test_bisect_by_scores_and_with_the_json(folder, cli):
    (folder / "q.cfg").write_text("# amctcfg: graph=l.csv\n", encoding="utf-8")
    body = 'echo noise\ngrep -A1 \'"b"\' "$1" | grep -q true && echo amctcfg-score: 0.7 || echo amctcfg-score: 0.75\n'
    test = shell(folder, "test.sh", body)
    result = cli("bisect", "q.cfg", "--target", "0.74", "--state", "state", "--", test, "{json}")
    assert result.status == 0 and "b  if quantized: 0.7 (bad)" in result.out
    assert (folder / "state" / "best.cfg").exists() and not (folder / "q.cfg.bisect").exists()


@pytest.mark.parametrize(
    "body, words",
    [
        ("exit 127", "was not found"),
        ("exit 126", "could not be executed"),
        ("exit 200", "exited with 200"),
        ("kill -9 $$", "signal 9"),
        (None, "can't run"),
    ],
)
def test_what_is_no_verdict_ends_the_search(folder, cli, body, words):
    (folder / "q.cfg").write_text("# amctcfg: graph=l.csv\n", encoding="utf-8")
    command = str(folder / "nowhere.sh") if body is None else shell(folder, "test.sh", body)
    result = cli("bisect", "q.cfg", "--", command, "{}")
    assert result.status == 2 and words in result.err
    assert not (folder / "q.cfg.bisect" / "journal.jsonl").exists()


def test_a_file_that_is_good_already_and_a_score_that_is_missing(folder, cli):
    (folder / "q.cfg").write_text("# amctcfg: graph=l.csv\n", encoding="utf-8")
    result = cli("bisect", "q.cfg", "--", shell(folder, "good.sh", "exit 0"), "{}")
    assert result.status == 0 and result.out == "q.cfg is good as it is: nothing has to be skipped\n"
    assert not (folder / "q.cfg.bisect" / "best.cfg").exists()
    for status in (0, 1, 200) if THOROUGH else (200,):
        missing = shell(folder, "none.sh", "echo No module named numpy\nexit {}".format(status))
        result = cli("bisect", "q.cfg", "--state", "s", "--target", "1", "--reset", "--", missing, "{}")
        assert result.status == 2 and "amctcfg-score" in result.err and "No module named numpy" in result.out
        assert "no verdict even with 2 of 3 layers skipped: does the command work?" in result.out
    scored = shell(folder, "none.sh", "echo amctcfg-score: 1")  # mended: nothing of before counts
    assert cli("bisect", "q.cfg", "--state", "s", "--target", "1", "--", scored, "{}").status == 0
    assert cli("bisect", "q.cfg", "--", "true").status == 2
    assert cli("bisect", "q.cfg").status == 2


def test_a_budget_ends_with_what_was_tested(folder, cli):
    (folder / "q.cfg").write_text("# amctcfg: graph=l.csv\n", encoding="utf-8")
    test = shell(folder, "test.sh", NEEDS_B)
    result = cli("bisect", "q.cfg", "--budget", "1", "--", test, "{}")
    assert (
        result.status == 3 and "no set of layers was good after 1 run" in result.out and "larger budget" in result.out
    )
    assert (folder / "runs.log").read_text().count("run") == 1


def wide(folder, count=54):
    rows = "name,type\n" + "".join("l{},Conv2D\n".format(n) for n in range(count))
    (folder / "l.csv").write_text(rows, encoding="utf-8")
    (folder / "q.cfg").write_text("# amctcfg: graph=l.csv\n", encoding="utf-8")


@pytest.mark.parametrize(
    "status, options, expected, words",
    [
        (2, [], 2, "bad even with 7 of 8 layers skipped: does the command work?"),
        (0, ["--target", "0.9"], 3, "0.5 (bad) even with 7 of 8 layers skipped: does the command work?"),
        *thorough(
            [
                (1, [], 3, "bad even with 7 of 8 layers skipped: does the command work?"),
                (125, [], 2, "no verdict even with 7 of 8 layers skipped: does the command work?"),
                (1, ["--target", "0.9"], 2, "no verdict even with 7 of 8 layers skipped: does the command work?"),
            ]
        ),
    ],
)
def test_a_command_that_does_not_work_ends_the_search_early(folder, cli, status, options, expected, words):
    wide(folder, 8)
    score = "echo amctcfg-score: 0.5\n" if status == 0 else ""
    body = LOGGED + score + "echo first\necho 'x: cannot \x1b[31m open y'\nexit {}".format(status)
    test = shell(folder, "test.sh", body)
    result = cli("bisect", "q.cfg", *options, "--", test, "{}")
    assert result.status == expected and words in result.out
    assert "  | x: cannot \\x1b[31m open y\n" in result.out and "runs/0004.txt" in result.out
    assert (folder / "runs.log").read_text().count("run") == 4
    again = cli("bisect", "q.cfg", *options, "--", test, "{}")
    assert again.status == expected


@pytest.mark.thorough
@pytest.mark.parametrize("status", [None, 2, 127])
def test_a_command_that_did_not_work_can_be_mended(folder, cli, status):
    """In the script or on the command line: what it did before binds nobody."""
    wide(folder, 6)
    test = folder / "test.sh"
    if status is not None:
        shell(folder, "test.sh", "exit {}".format(status))
    assert cli("bisect", "q.cfg", "--", str(test), "{}").status == 2
    mended = shell(folder, "test.sh", NEEDS_L3)
    for state in ("q.cfg.bisect", "copied"):
        words = [mended, "{}"] if state == "q.cfg.bisect" else ["/bin/sh", mended, "{}"]
        if state == "copied":
            assert cli("bisect", "q.cfg", "--state", state, "--", mended + "x", "{}").status == 2
        result = cli("bisect", "q.cfg", "--state", state, "--", *words)
        assert result.status == 0 and "skip 1 layer" in result.out and "come from" not in result.err


@pytest.mark.parametrize("jobs", [*thorough(["1"]), "2"])
def test_a_command_that_crashes_in_the_middle(folder, cli, jobs):
    """As when the memory is full: the best so far is kept, and the same command goes on."""
    wide(folder, 12)
    crash = '[ -e mended ] || grep -q \'"l2"\' "$1" || kill -9 $$\n'
    test = shell(folder, "test.sh", NEEDS_L3 + " || exit 1\n" + crash + "exit 0")
    command = ("bisect", "q.cfg", "--jobs", jobs, "--", test, "{}")
    crashed = cli(*command)
    assert crashed.status == 2 and "was ended by signal 9, which is not a verdict" in crashed.err
    assert "run the same command again to continue" in crashed.err and "written to q.cfg.bisect/best.cfg" in crashed.out
    verdicts = (folder / "q.cfg.bisect" / "journal.jsonl").read_text().count("\n")
    (folder / "mended").touch()
    result = cli(*command)
    assert result.status == 0 and "skip 1 layer" in result.out and "l3  if quantized: bad" in result.out
    assert "{} verdicts come from".format(verdicts) in result.err


def test_a_search_resumes_only_as_it_was_begun(folder, cli):
    (folder / "q.cfg").write_text("# amctcfg: graph=l.csv\n", encoding="utf-8")
    test = shell(folder, "test.sh", LOGGED + "echo amctcfg-score: 0.5")
    begin = ("bisect", "q.cfg", "--target", "0.9", "--budget", "2")
    assert cli(*begin, "--", test, "{}").status == 3
    for options, command, what in (
        (("--target", "0.8"), (test, "{}"), "target"),
        ((), (test, "{}"), "target"),
        (("--target", "0.9"), (test, "{json}"), "command"),
    ):
        result = cli("bisect", "q.cfg", *options, "--", *command)
        assert result.status == 2 and "another {}".format(what) in result.err and "--reset" in result.err
    (folder / "q.cfg").write_text("# amctcfg: graph=l.csv\n# a comment changes no layer\n", encoding="utf-8")
    assert cli(*begin, "--", test, "{}").status == 3
    (folder / "q.cfg").write_text("# amctcfg: graph=l.csv\nactivation_offset: false\n", encoding="utf-8")
    assert "another configuration" in cli(*begin, "--", test, "{}").err
    runs = (folder / "runs.log").read_text().count("run")
    assert runs == 2
    assert cli(*begin, "--reset", "--", test, "{}").status == 3
    assert (folder / "runs.log").read_text().count("run") == runs + 2
    assert sorted(path.name for path in (folder / "q.cfg.bisect" / "runs").iterdir()) == ["0001.txt", "0002.txt"]
    for wrong in ("nan", "inf"):
        assert cli("bisect", "q.cfg", "--target", wrong, "--state", "n", "--", test, "{}").status == 2


EDITED = [
    '{"plan": "x", "skip": []}',
    '{"plan": "x", "skip": [], "verdict": "good"}',
    '{"plan": "x", "skip": [], "verdict": []}',
    '{"plan": "x", "skip": [], "verdict": 1' + "0" * 400 + "}",
    '{"plan": "x", "skip": [1], "verdict": true}',
    '{"plan": "x", "skip": "a", "verdict": true}',
    '{"plan": "x", "skip": [], "verdict": false, "status": "1", "output": 1}',
    "[" * 100000,
    "null",
    "\x00\xff",
]


@pytest.mark.parametrize("lines", ["\n".join(EDITED), *thorough(EDITED)], ids=lambda lines: lines[:40])
def test_a_journal_that_was_edited(folder, cli, lines):
    """What is not a line of ours is not there."""
    (folder / "q.cfg").write_text("# amctcfg: graph=l.csv\n", encoding="utf-8")
    (folder / "q.cfg.bisect").mkdir()
    (folder / "q.cfg.bisect" / "journal.jsonl").write_text(lines + "\n", encoding="utf-8")
    test = shell(folder, "test.sh", NEEDS_B)
    result = cli("bisect", "q.cfg", "--budget", "1", "--", test, "{}")
    assert result.status == 3 and "verdicts come" not in result.err and "after 1 run" in result.out
    assert (folder / "runs.log").read_text() == "run\n"


@pytest.mark.parametrize(
    "line", ['{"plan": "x", "skip": ["a"], "verdict": 0.5}', '{"plan": "x", "skip": ["gone"], "verdict": true}']
)
def test_a_journal_of_another_search_is_refused(folder, cli, line):
    (folder / "q.cfg").write_text("# amctcfg: graph=l.csv\n", encoding="utf-8")
    (folder / "q.cfg.bisect").mkdir()
    (folder / "q.cfg.bisect" / "journal.jsonl").write_text(line + "\n", encoding="utf-8")
    result = cli("bisect", "q.cfg", "--", "true", "{}")
    assert result.status == 2 and "another target or configuration" in result.err


@pytest.mark.parametrize("name", ["journal.jsonl", "lock", "search.json", "best.cfg", "next.cfg"])
def test_a_file_of_the_search_that_is_a_pipe(folder, cli, name):
    (folder / "q.cfg.bisect").mkdir()
    os.mkfifo(str(folder / "q.cfg.bisect" / name))
    result = cli("bisect", "q.cfg", "--", "true", "{}")
    assert result.status == 2 and "it is not a file" in result.err


def test_placeholders(folder, cli):
    """Each is filled in once, whatever the names hold; paths are absolute."""
    (folder / "a{}b{json}.cfg").write_text("# amctcfg: graph=l.csv\nskip_layers: 'c'\n", encoding="utf-8")
    body = "import json\njson.dump([sys.argv[1:], open(sys.argv[4]).read()], open('seen.json', 'w'))\nsys.exit(0)"
    test = script(folder, "test.py", body)
    result = cli(
        "bisect", "a{}b{json}.cfg", "--", test, "{}", "x={json}", "{skip}", "{skip-file}", "{worker}", "{other}"
    )
    assert result.status == 0
    state = str(folder / "a{}b{json}.cfg.bisect")
    files = [state + "/candidate.cfg", "x=" + state + "/candidate.json", "c", state + "/candidate.txt", "0", "{other}"]
    assert json.loads((folder / "seen.json").read_text()) == [files, "c\n"]


@pytest.mark.parametrize("name", ["candidate.cfg", "best.cfg"])
def test_a_search_does_not_replace_its_own_input(folder, cli, name):
    text = "# amctcfg: graph=l.csv\n"
    (folder / name).write_text(text, encoding="utf-8")
    result = cli("bisect", name, "--state", ".", "--", "false", "{}")
    assert result.status == 2 and "one of the inputs" in result.err
    assert (folder / name).read_text(encoding="utf-8") == text


def test_the_output_of_each_run_is_kept_up_to_a_megabyte(folder, cli):
    (folder / "q.cfg").write_text("# amctcfg: graph=l.csv\n", encoding="utf-8")
    body = "sys.stdout.write('first\\n' + 'x' * 3000000 + '\\namctcfg-score: 0.5\\n')"
    result = cli("bisect", "q.cfg", "--target", "0.4", "--", script(folder, "test.py", body), "{}")
    assert result.status == 0 and "good as it is" in result.out
    kept = (folder / "q.cfg.bisect" / "runs" / "0001.txt").read_bytes()
    assert len(kept) == 1 << 20 and kept.endswith(b"x\namctcfg-score: 0.5\n")


def test_a_score_that_is_not_finite_is_bad(folder, cli):
    (folder / "q.cfg").write_text("# amctcfg: graph=l.csv\n", encoding="utf-8")
    body = NEEDS_B + "[ $? = 0 ] && echo amctcfg-score: 0.5 || echo amctcfg-score: $2"
    for number, word in enumerate(["nan", "-inf", "inf", "1e999"] if THOROUGH else ["inf"]):
        result = cli(
            "bisect", "q.cfg", "--target", "0.4", "--state", str(number), "--", shell(folder, "t.sh", body), "{}", word
        )
        assert result.status == 0 and "b  if quantized: bad" in result.out
    assert (
        cli("bisect", "q.cfg", "--target", "0.4", "--state", "x", "--", shell(folder, "t.sh", body), "{}", "1_0").status
        == 2
    )


def test_one_search_in_a_folder(folder):
    """The second one says which process holds it; a killed one leaves no harm and no process."""
    (folder / "q.cfg").write_text("# amctcfg: graph=l.csv\n", encoding="utf-8")
    body = "open('pids', 'a').write('%d\\n' % os.getpid())\nif os.fork() == 0:\n    open('pids', 'a').write('%d\\n' % os.getpid())\ntime.sleep(60)"
    command = [sys.executable, "-m", "amctcfg", "bisect", "q.cfg", "--", script(folder, "test.py", body), "{}"]
    first = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE)
    pids = wait_for_lines(folder / "pids", 2)
    second = subprocess.run(command, env=ENVIRONMENT, stderr=subprocess.PIPE)
    assert second.returncode == 2 and "pid {}".format(first.pid) in second.stderr.decode()
    first.kill()
    first.communicate()
    wait_until_gone(pids)
    (folder / "pids").unlink()
    third = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE)
    pids = wait_for_lines(folder / "pids", 2)
    third.send_signal(signal.SIGINT)
    assert "interrupted" in third.communicate()[1].decode() and third.returncode == 130
    wait_until_gone(pids)


def wait_for_lines(path, count):
    """The numbers in a file, as soon as there are so many."""
    for _ in range(600):
        if path.exists() and path.read_text().count("\n") >= count:
            return [int(line) for line in path.read_text().split()]
        time.sleep(0.05)
    raise AssertionError("{} never had {} lines".format(path, count))


def wait_until_gone(pids):
    """A process that has ended may stay in the table until somebody asks for its status."""
    for _ in range(600):
        if not any(is_alive(pid) for pid in pids):
            return
        time.sleep(0.05)
    raise AssertionError("still there: {}".format([pid for pid in pids if is_alive(pid)]))


def is_alive(pid):
    try:
        with open("/proc/{}/stat".format(pid)) as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):  # before it was opened, or after
        return False


def test_by_hand(folder, cli):
    """--next writes a candidate, --tell keeps what became of it, until there is nothing left."""
    (folder / "q.cfg").write_text("# amctcfg: graph=l.csv\n", encoding="utf-8")
    path = folder / "q.cfg.bisect" / "next.cfg"
    for _ in range(20):
        result = cli("bisect", "q.cfg", "--next")
        assert result.status == 0
        if not path.exists():
            break
        assert result.out.strip().endswith("next.cfg")
        status = (
            "0"
            if '"b"' in path.read_text(encoding="utf-8")
            else "125"
            if '"c"' in path.read_text(encoding="utf-8")
            else "1"
        )
        assert cli("bisect", "q.cfg", "--tell", status).status == 0
    assert "b  if quantized: bad" in result.out and not path.exists()
    assert cli("bisect", "q.cfg", "--tell", "0").status == 2


def test_a_verdict_by_hand_is_of_the_candidate_that_waits(folder, cli):
    (folder / "q.cfg").write_text("# amctcfg: graph=l.csv\n", encoding="utf-8")
    assert cli("bisect", "q.cfg", "--tell", "1").status == 2  # none was written
    assert cli("bisect", "q.cfg", "--next").status == 0
    assert cli("check", "q.cfg.bisect/next.cfg").status == 0
    assert cli("bisect", "q.cfg", "--tell", "1").status == 0
    again = cli("bisect", "q.cfg", "--tell", "1")
    assert again.status == 2 and "--next writes one" in again.err
    assert len((folder / "q.cfg.bisect" / "journal.jsonl").read_text().splitlines()) == 1
    assert cli("bisect", "q.cfg", "--next").status == 0
    (folder / "q.cfg").write_text("# amctcfg: graph=l.csv\n# edited\n", encoding="utf-8")
    assert cli("bisect", "q.cfg", "--tell", "1").status == 2
    for wrong in ("nan", "inf", "1e400", "1_0", "0.5", "x", "-1"):
        assert cli("bisect", "q.cfg", "--next").status == 0
        assert cli("bisect", "q.cfg", "--tell", wrong).status == 2
    assert cli("bisect", "q.cfg", "--state", "s", "--tell", "300").status == 2


@pytest.mark.thorough
def test_killed_at_any_point_it_goes_on(folder):
    """kill -9 again and again: the same answer, and no finished run is run twice."""
    rows = "name,type\n" + "".join("l{},Conv2D\n".format(n) for n in range(12))
    (folder / "l.csv").write_text(rows, encoding="utf-8")
    (folder / "q.cfg").write_text("# amctcfg: graph=l.csv\n", encoding="utf-8")
    body = "config = open(sys.argv[1]).read()\ntime.sleep(0.02)\nsys.exit(0 if '\"l3\"' in config and '\"l8\"' in config else 1)"
    test = script(folder, "test.py", body)
    command = [sys.executable, "-m", "amctcfg", "bisect", "q.cfg", "--", test, "{}"]
    journal = folder / "q.cfg.bisect" / "journal.jsonl"

    def size():
        return journal.stat().st_size if journal.exists() else 0

    for attempt in range(60):
        before = size()
        process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        while process.poll() is None and size() <= before:
            time.sleep(0.005)
        time.sleep(0.01 * (attempt % 5))
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if attempt % 3 == 0 and size() > 10:
            journal.write_bytes(journal.read_bytes()[:-5])  # a line cut in the middle
    out = process.communicate()[0].decode()
    assert process.returncode == 0 and "l3" in out and "l8" in out and "minimal" in out
    plans = [json.loads(line)["plan"] for line in (folder / "q.cfg.bisect" / "journal.jsonl").read_text().splitlines()]
    assert len(set(plans)) == len(plans)


@pytest.mark.thorough
def test_jobs_run_at_the_same_time(folder, cli):
    """Eight commands that wait for each other come to an end only where all run at once; their outputs are not mixed."""
    wide(folder, 40)
    body = (
        "import pathlib\nworker = os.environ['AMCTCFG_WORKER']\nassert worker == sys.argv[2]\n"
        "pathlib.Path('round', worker).touch()\n"
        "for _ in range(1200):\n    time.sleep(0.05)\n    if len(os.listdir('round')) == 8: break\nelse: sys.exit(200)\n"
        "config = open(sys.argv[1]).read()\nprint(worker * 100000)\n"
        "sys.exit(0 if '\"l3\"' in config and '\"l8\"' in config else 1)"
    )
    (folder / "round").mkdir()
    test = script(folder, "test.py", body)
    result = cli("bisect", "q.cfg", "--jobs", "8", "--", test, "{}", "{worker}")
    assert result.status == 0, result.err
    assert "l3  if quantized: bad" in result.out and "l8  if quantized: bad" in result.out and "minimal" in result.out
    assert "; 7 running" in result.err
    for path in (folder / "q.cfg.bisect" / "runs").iterdir():
        assert len(set(path.read_text().strip())) <= 1
    alone = cli("bisect", "q.cfg", "--state", "alone", "--", test, "{}", "0")
    answer = [line for line in alone.out.splitlines() if line.startswith("  ")]
    assert [line for line in result.out.splitlines() if line.startswith("  ")] == answer
    again = cli("bisect", "q.cfg", "--jobs", "3", "--", test, "{}", "{worker}")  # another N is fine
    assert again.status == 0 and "verdicts come from" in again.err
    assert cli("bisect", "q.cfg", "--jobs", "0", "--", test, "{}").status == 2
    many = cli("bisect", "q.cfg", "--jobs", "100000000", "--", test, "{}")
    assert many.status == 2 and "--jobs is at most 256" in many.err


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_keeps_to_one_row_of_the_terminal(folder, monkeypatch):
    monkeypatch.setattr("amctcfg.cli.console.PATIENCE", 0.0)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    wide(folder, 4)
    shown = Terminal()
    test = shell(folder, "test.sh", NEEDS_L3)
    assert run(["bisect", "q.cfg", "--jobs", "2", "--", test, "{}"], None, io.StringIO(), shown) == 0
    rows = [row for row in shown.getvalue().split("\r\x1b[K") if row.startswith("run ")]
    assert rows and max(map(len, rows)) == 39  # what would go on is cut off: a second row would stay


SLEEPER = (
    "def note():\n    with open('pids', 'a') as file: file.write('%d\\n' % os.getpid())\n"
    "note()\nif os.fork() == 0:\n    os.setsid()\n    note()\ntime.sleep(600)"  # out of reach for a signal to the group
)


@pytest.mark.parametrize("end", ["kill", *thorough(["interrupt", "one command"])])
def test_no_process_is_left_of_many(folder, end):
    wide(folder, 40)
    command = [
        sys.executable,
        "-m",
        "amctcfg",
        "bisect",
        "q.cfg",
        "--jobs",
        "4",
        "--",
        script(folder, "test.py", SLEEPER),
        "{}",
    ]
    process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE)
    pids = wait_for_lines(folder / "pids", 8)
    if end == "one command":
        os.kill(pids[0], signal.SIGKILL)  # the search ends with it, and all others
    else:
        process.send_signal(signal.SIGINT if end == "interrupt" else signal.SIGKILL)
    for _ in range(3 if end == "interrupt" else 0):  # pressed again, as it takes a moment
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=60)[1].decode()
    assert process.returncode == {"interrupt": 130, "kill": -9, "one command": 2}[end], err
    assert "Traceback" not in err
    wait_until_gone(wait_for_lines(folder / "pids", 8))
    journal = folder / "q.cfg.bisect" / "journal.jsonl"
    assert not journal.exists() or journal.read_bytes().endswith(b"\n")


def test_an_interrupt_that_is_pressed_again_as_python_ends():
    """Here by what Python does last: the status stays, and there is no traceback."""
    code = (
        "import amctcfg.cli, atexit, os, signal, sys\n"
        "module = sys.modules['amctcfg.cli.main']\n"
        "def run(*arguments): raise KeyboardInterrupt\n"
        "module.run = run\n"
        "atexit.register(os.kill, os.getpid(), signal.SIGINT)\n"
        "module.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True)
    assert (done.returncode, done.stderr) == (130, b"")


def test_a_command_that_ends_and_leaves_a_child(folder, cli):
    (folder / "q.cfg").write_text("# amctcfg: graph=l.csv\n", encoding="utf-8")
    body = "if os.fork() == 0:\n    open('pids', 'a').write('%d\\n' % os.getpid())\n    time.sleep(600)\nelse:\n    time.sleep(0.5)"
    assert cli("bisect", "q.cfg", "--", script(folder, "test.py", body), "{}").status == 0
    wait_until_gone(wait_for_lines(folder / "pids", 1))


def test_each_candidates_simulated_model(folder, cli):
    """The command gets a model that computes as the candidate's quantized model does."""
    pytest.importorskip("numpy")
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    golden = DATA / "simulation"
    (folder / "q.cfg").write_text(
        "# amctcfg: graph={} flavour=pytorch\nbatch_num: 1\n".format(golden / "convnet.onnx"), encoding="utf-8"
    )
    import numpy

    with numpy.load(str(golden / "000.npz")) as arrays:
        numpy.savez(
            str(folder / "batch.npz"), **{onnx.load(str(golden / "convnet.onnx")).graph.input[0].name: arrays["x0"]}
        )
    body = (
        "import numpy, onnxruntime\n"
        "def run(path):\n"
        "    session = onnxruntime.InferenceSession(path)\n"
        "    with numpy.load('batch.npz') as batch: return session.run(None, dict(batch))[0]\n"
        "whole, quantized = run({!r}), run(sys.argv[1])\n"
        "print('amctcfg-score:', -float(abs(whole - quantized).max()))\n"
    ).format(str(golden / "convnet.onnx"))
    test = script(folder, "evaluate.py", body)
    command = ("--data", "batch.npz", "--", sys.executable, test, "{onnx}")
    result = cli("bisect", "q.cfg", "--target=-1e-30", "--budget", "1", *command)
    assert result.status == 3, result.err + result.out  # quantizing everything is not exact
    base = json.loads((folder / "q.cfg.bisect" / "journal.jsonl").read_text())["verdict"]
    assert -1 < base < 0
    result = cli("bisect", "q.cfg", "--target={!r}".format(base * 0.9), "--jobs", "2", "--reset", *command)
    assert result.status == 0 and "minimal" in result.out, result.err
    for wrong in (("--", test, "{onnx}"), ("--data", "batch.npz", "--", test, "{}")):
        assert cli("bisect", "q.cfg", "--state", "w", *wrong).status == 2
    missing = cli("bisect", "q.cfg", "--state", "w", "--data", "nowhere.npz", "--", test, "{onnx}")
    assert missing.status == 2 and "nowhere.npz" in missing.err
