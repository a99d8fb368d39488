# SPDX-License-Identifier: Apache-2.0
"""Scores of layers out of every kind of file, to the column; and the journal, run by run."""

import json

import pytest

import amctcfg
from amctcfg import ConfigError, Layer
from amctcfg.tuning import Bisection, load_scores
from amctcfg.tuning.journal import Journal, replay
from amctcfg.tuning.scores import rank

from .conftest import DATA


def scores_of(tmp_path, text, name="a.csv", column=None):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    found = load_scores(path, column) if column else load_scores(path)
    return dict(found), found.low_is_sensitive


@pytest.mark.parametrize(
    "column", ["name", "layer", "LayerName", "layer_name", "Op Name", "QuantDump", "GroundTruth", "NodeName"]
)
def test_columns_that_hold_names(column, tmp_path):
    assert scores_of(tmp_path, "score,%s\n0.5,a\n" % column) == ({"a": 0.5}, None)


@pytest.mark.parametrize("column", ["CosineSimilarity", "cosine", "Cos_Sim"])
def test_columns_whose_low_values_are_sensitive(column, tmp_path):
    assert scores_of(tmp_path, "name,MSE,%s,other\na,9,0.5,8\n" % column) == ({"a": 0.5}, True)


def test_which_column_is_taken(tmp_path):
    assert scores_of(tmp_path, "name,mse,score\na,9,0.5\n") == ({"a": 0.5}, None)
    assert scores_of(tmp_path, "mse,name\n9,a\n") == ({"a": 9.0}, None)  # the only other one
    table = "name,mse,kl\na,9,0.5\n"
    assert scores_of(tmp_path, table, column="kl") == ({"a": 0.5}, None)
    assert scores_of(tmp_path, "name,mse,cosine\na,9,0.5\n", column="mse") == ({"a": 9.0}, None)
    assert scores_of(tmp_path, "name,mse,cosine\na,9,0.5\n", column="cosine") == ({"a": 0.5}, True)
    for text, column in ((table, None), (table, "mes"), ("kl,mse\n1,2\n", None)):
        with pytest.raises(ConfigError):
            scores_of(tmp_path, text, column=column)


def test_cells_that_hold_no_number(tmp_path):
    cells = ["", "nan", "NA", "n/a", "None", "unsupported", "-", "*"]
    text = "name,score\n" + "".join("x%d,%s\n" % pair for pair in enumerate(cells)) + "a,1e-3\nb,-2\n"
    assert scores_of(tmp_path, text)[0] == {"a": 0.001, "b": -2.0}
    assert scores_of(tmp_path, "name,score,rest\na,0.5\n".replace(",rest", ""))[0] == {"a": 0.5}
    with pytest.raises(ConfigError, match="row 3"):
        scores_of(tmp_path, "name,score\na,1\nb\n")


def test_a_layer_with_several_outputs_has_the_worse(tmp_path):
    assert scores_of(tmp_path, "name,cosine\na,0.9\nb,0.8\na,0.7\n")[0] == {"a": 0.7, "b": 0.8}


def test_rankings_and_histories(tmp_path):
    pairs = [["b", 0.25], ["a", 0.5]]
    assert scores_of(tmp_path, json.dumps(pairs), "r.json") == ({"b": 0.25, "a": 0.5}, True)
    steps = [{"a": True, "b": True}, {"a": False, "b": True}, {"a": True, "b": False, "c": True}]
    text = "\n".join(json.dumps({"roll_back_config": step, "metric_eval": [True, 1]}) for step in steps)
    assert scores_of(tmp_path, text, "h.json") == ({"a": 1.0, "b": 0.0, "c": 1.0}, True)  # what the last step gave up
    wrong = ['[["a", true]]', '[["a", NaN]]', '[["a", 1], ["a", 2]]', '[["a", 1, 2]]', '{"roll_back_config": {"a": 1}}']
    for text in [*wrong, '{"roll_back_config": [1]}', '{"a": 1}{"b": 2}', "[1]"]:
        with pytest.raises(ConfigError):
            scores_of(tmp_path, text, "x.json")


def test_what_the_toolkits_own_search_ended_with():
    """Its final configuration skips what its history gave up last; a plan reads it, and condenses to those skips."""
    history = load_scores(DATA / "tuning" / "accuracy_based_auto_calibration_record.json")
    text = (DATA / "tuning" / "accuracy_based_auto_calibration_final_config.json").read_text(encoding="utf-8")
    layers = [Layer(name, "Linear" if name == "fc" else "Conv2d") for name in history]
    plan = amctcfg.read_plan(text, layers, flavour=amctcfg.PYTORCH)
    assert {name: float(e.quant_enable) for name, e in plan.items()} == dict(history)
    assert plan.to_json() == text.rstrip("\n")
    short = amctcfg.condense(text, layers, flavour=amctcfg.PYTORCH)
    assert short == amctcfg.loads("batch_num: 2 skip_layers: 'conv1'", flavour=amctcfg.PYTORCH)


def test_the_most_sensitive_come_first():
    scores = {"a": 3.0, "b": 1.0, "c": 2.0, "d": 1.0}
    assert rank(scores) == rank(scores, True) == ["b", "d", "c", "a"]
    assert rank(scores, False) == ["a", "c", "b", "d"]


# ---------------------------------------------------------------- the journal

LAYERS = [Layer(name, "Conv2D") for name in "abc"]


def bisection(**options):
    return Bisection(amctcfg.parse(""), LAYERS, **options)


def test_every_run_is_replayed_once(tmp_path):
    """With --repeat a candidate has several runs, each with its own verdict."""
    journal, verdicts, told = Journal(str(tmp_path)), [False, True, False, True, True], []
    search = bisection(repeat=3)
    while True:
        candidate = search.ask()
        if candidate is None or len(told) == len(verdicts):
            break
        told.append((candidate.skip, verdicts[len(told)]))
        journal.write(candidate, told[-1][1])
        search.tell(candidate, told[-1][1])
    other = bisection(repeat=3)
    pending = replay(other, Journal(str(tmp_path)))
    assert len(told) == 5
    for skip in {skip for skip, _ in told}:
        assert other.runs_of(frozenset(skip)) == [one for one, _ in told].count(skip)
    assert (pending and pending.skip) == (candidate and candidate.skip)


def test_a_journal_that_was_cut_off_or_is_not_ours(tmp_path):
    journal = Journal(str(tmp_path))
    candidate = bisection().ask()
    for verdict in (True, False, None, 0.5):
        journal.write(candidate, verdict)
    path = tmp_path / "journal.jsonl"
    whole = path.read_bytes()
    path.write_bytes(b"nonsense\n[1]\n{}\n" + whole + b'{"plan": "x')
    again = Journal(str(tmp_path))
    (verdicts,) = again.list_verdicts().values()
    assert verdicts == [True, False, None, 0.5]
    assert path.read_bytes() == b"nonsense\n[1]\n{}\n" + whole  # the rest of a line that was cut off is gone
    assert [type(verdict) for verdict in verdicts] == [bool, bool, type(None), float]
