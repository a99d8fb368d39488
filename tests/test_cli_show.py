# SPDX-License-Identifier: Apache-2.0
"""The plan as a table: text, CSV, JSON."""

import csv
import io
import json
import os
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import amctcfg
from amctcfg import Layer

from .conftest import DATA, often, thorough

EXAMPLES = DATA.parent.parent / "examples"
TABLE = "name,type,supported\nconv1,Conv2D,true\nconv2,Conv2D,true\nfc,MatMul,true\nrelu,Relu,true\ndyn,Conv2D,false\n"
CONFIG = """skip_layers: "fc"
common_config { ifmr_quantize { search_step: 0.02 } }
override_layer_configs {
  layer_name: "conv1"
  calibration_config { ifmr_quantize { search_range_start: 0.5 } }
}
do_fusion: false
"""
OLD = "common_config { ifmr_quantize { search_step: 0.02 } }\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in (
        ("l.csv", TABLE),
        ("q.cfg", CONFIG),
        ("old.cfg", OLD),
        ("s.csv", "name,score\nconv1,0.5\nfc,0.25\n"),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_text(folder, cli):
    result = cli("show", "q.cfg", "--graph", "l.csv")
    lines = [re.split(r"  +", line) for line in result.out.splitlines()]
    assert lines[0] == ["All 3 layers: fuse=false"]
    assert lines[1] == ["layer", "type", "quantized", "by", "not the default"]
    special = "search_range_start=0.5, search_step=0.01 (default)"  # the default, although common_config sets another
    assert lines[2] == ["conv1", "Conv2D", "yes", "override_layer_configs", special]
    assert lines[3] == ["conv2", "Conv2D", "yes", "common_config", "search_step=0.02"]
    assert lines[4][:3] == ["fc", "MatMul", "skipped"]
    assert lines[5][:3] == ["dyn", "Conv2D", "not supported"]
    assert "relu" not in result.out
    assert lines[6] == [
        "4 layers, 2 quantized, 1 skipped, 1 not quantizable, 1 border between quantized and float layers"
    ]


def test_against_and_scores(folder, cli):
    out = cli("show", "q.cfg", "--graph", "l.csv", "--against", "old.cfg", "--scores", "s.csv").out
    assert "search_range_start=0.5 (was 0.7)" in out and "search_step=0.01 (was 0.02)" in out
    assert "quant_enable=false (was true)" in out and "0.25" in out and "3 changed" in out
    rows = json.loads(
        cli("show", "q.cfg", "--graph", "l.csv", "--against", "old.cfg", "--scores", "s.csv", "--format", "json").out
    )
    assert (rows["version"], rows["file"], rows["borders"]) == (1, "q.cfg", 1)
    first = rows["layers"][0]
    assert (first["layer"], first["score"], first["before"]["ifmr_quantize.search_range_start"]) == ("conv1", 0.5, 0.7)


def test_csv_is_what_to_rows_gives(folder, cli):
    rows = list(csv.DictReader(io.StringIO(cli("show", "q.cfg", "--graph", "l.csv", "--format", "csv").out)))
    plan = amctcfg.expand(amctcfg.parse(CONFIG), amctcfg.load_layers("l.csv"))
    assert [{key: str(value) for key, value in row.items()} for row in plan.to_rows()] == rows
    assert plan.to_rows()[0]["ifmr_quantize.search_range_start"] == 0.5


# ---------------------------------------------------------------- text: what is special


def names_of(blocks):
    return ["net/block{}/{}".format(block, part) for block in range(blocks) for part in ("conv", "bn_conv", "out")]


NAMES = names_of(40)
SPECIAL = """common_config {{ ifmr_quantize {{ search_step: 0.02 }} }}
override_layer_configs {{ layer_name: "{0}" calibration_config {{ arq_quantize {{ channel_wise: true }} }} }}
skip_layers: "{1}"
"""


def write_large(folder, names):
    """Many layers, two of which have something else."""
    special = names[len(names) // 3], names[2 * len(names) // 3]
    (folder / "large.csv").write_text("name,type\n" + "".join(n + ",Conv2D\n" for n in names), encoding="utf-8")
    (folder / "large.cfg").write_text(SPECIAL.format(*special), encoding="utf-8")
    (folder / "before.cfg").write_text("common_config { ifmr_quantize { search_step: 0.02 } }\n", encoding="utf-8")
    (folder / "scores.json").write_text(
        json.dumps([[name, 1 - 0.1 / (at + 2)] for at, name in enumerate(names)]), encoding="utf-8"
    )
    return folder


@pytest.fixture
def large(folder):
    return write_large(folder, NAMES)


def names_in(out, names=NAMES):
    found = set(re.findall(r"[^ \n]+", out))
    return [name for name in names if name in found]


def test_a_large_model_is_a_screen(large, cli):
    out = cli("show", "large.cfg", "--graph", "large.csv").out
    lines = out.splitlines()
    assert len(lines) == 8 and names_in(out) == [NAMES[40], NAMES[80]]
    assert lines[0] == "All 120 layers: Conv2D"
    assert [line.split("  ")[0] for line in lines[2:7]] == [
        "40 layers net/…", NAMES[40], "39 layers net/…", NAMES[80], "39 layers net/…",
    ]  # fmt: skip
    assert "search_step=0.01 (default)" in lines[3]
    assert lines[-1].startswith("120 layers, 119 quantized, 1 skipped, 2 b")
    assert names_in(cli("show", "large.cfg", "--graph", "large.csv", "--all").out) == NAMES


@pytest.mark.parametrize(
    "options, chosen",
    [
        (["--match", "net/block33/*"], NAMES[99:102]),
        (["--skipped"], [NAMES[80]]),
        (["--changed", "--against", "before.cfg"], [NAMES[40], NAMES[80]]),
        *thorough([(["--match", "*/out"], NAMES[2::3]), (["--match", "*33/*", "--skipped"], [])]),
    ],
)
def test_rows_that_are_asked_for(large, cli, options, chosen):
    common = ["show", "large.cfg", "--graph", "large.csv", *options]
    assert names_in(cli(*common, "--all").out) == chosen
    assert [row["layer"] for row in json.loads(cli(*common, "--format", "json").out)["layers"]] == chosen
    assert cli(*common).out.splitlines()[-1].endswith("; {} shown".format(len(chosen)))


def test_sorted_by_what_hurts_and_by_name(large, cli):
    common = ["show", "large.cfg", "--graph", "large.csv", "--scores", "scores.json"]
    assert names_in(cli(*common, "--sort", "score").out) == NAMES  # each is on its own
    rows = json.loads(cli(*common, "--sort", "score", "--high-is-sensitive", "--format", "json").out)["layers"]
    assert [row["layer"] for row in rows] == NAMES[::-1]
    rows = json.loads(cli(*common, "--sort", "name", "--format", "json").out)["layers"]
    assert [row["layer"] for row in rows] == sorted(NAMES)


@pytest.mark.parametrize("low_is_sensitive, order", [(True, "bcad"), (None, "bcad"), (False, "acbd")])
def test_the_worst_comes_first_and_what_has_no_score_last(low_is_sensitive, order):
    from amctcfg.tools.tabulating import Measured, tabulate

    plan = amctcfg.expand(amctcfg.AMCTConfig(), [Layer(name, "Conv2D") for name in "abcd"])
    table = tabulate(plan, measured=Measured({"a": 0.5, "b": -2.0, "c": 0.0}))
    assert table.has_scores and not tabulate(plan).has_scores
    assert table.score == tabulate(plan).score == "score"
    rows = table._replace(low_is_sensitive=low_is_sensitive).sort_worst_first(table.rows[::-1])
    assert "".join(row.layer.name for row in rows) == order


@pytest.mark.parametrize("options, words", [(["--changed"], "--against OLD"), (["--sort", "score"], "--scores R")])
def test_options_that_need_others(folder, cli, options, words):
    done = cli("show", "q.cfg", "--graph", "l.csv", *options)
    assert done.status == 2 and words in done.err


def test_neighbours_of_a_comparison_are_folded_by_having_changed(large, cli):
    out = cli("show", "large.cfg", "--graph", "large.csv", "--against", "before.cfg").out
    assert names_in(out) == [NAMES[40], NAMES[80]] and len(out.splitlines()) == 8
    assert "channel_wise" not in out and "search_step=0.01 (was 0.02)" in out  # true is the default of a Conv2D


@given(st.data())
def test_folding_loses_no_layer_and_hides_no_difference(data):
    """The counts of the rows add up to the layers, and neighbouring rows differ."""
    from amctcfg.cli.show import FEWEST, TextTable
    from amctcfg.tools.tabulating import tabulate

    types = data.draw(st.lists(st.sampled_from(["Conv2D", "MatMul"]), min_size=1, max_size=30))
    layers = [Layer("n/l{}".format(at), kind) for at, kind in enumerate(types)]
    names = [layer.name for layer in layers]
    skipped = data.draw(st.lists(st.sampled_from(names), unique=True, max_size=len(names) - 1))
    table = tabulate(amctcfg.expand(amctcfg.AMCTConfig(skip_layers=skipped), layers))
    writer = TextTable(table, every=False)
    runs = writer.group_runs(table.rows)
    assert [row.layer.name for run in runs for row in run] == names
    states = [[row.state for row in run] for run in runs]
    assert all(len(set(run)) == 1 for run in states) and all(len(run) == 1 or len(run) >= FEWEST for run in runs)
    for run, after in zip(runs, runs[1:]):
        if max(len(run), len(after)) >= FEWEST:
            assert writer.grouping_key_of(run[-1]) != writer.grouping_key_of(after[0])


# ---------------------------------------------------------------- text: the width


@pytest.mark.parametrize("columns", [20, 80, *thorough([60, 200])])
def test_at_most_as_wide_as_the_terminal(large, monkeypatch, cli, columns):
    from .test_cli import on_terminal

    for command in (
        ["show", "large.cfg", "--graph", "large.csv", "--against", "before.cfg", "--scores", "scores.json"],
        ["show", "q.cfg", "--graph", "l.csv"],
        ["show", "large.cfg", "--graph", "large.csv", "--all", "--match", "*block3*"],
    ):
        text = on_terminal(monkeypatch, command, columns, NO_COLOR="1")
        assert max(map(len, text.splitlines())) <= columns
    monkeypatch.setenv("COLUMNS", str(columns))  # also where the output is no terminal
    assert max(map(len, cli("show", "large.cfg", "--graph", "large.csv").out.splitlines())) <= columns


def test_columns_that_are_no_number_say_nothing(folder, monkeypatch, cli):
    plain = cli("show", "q.cfg", "--graph", "l.csv").out
    monkeypatch.setenv("COLUMNS", "²")  # a digit for Python, and no number
    assert cli("show", "q.cfg", "--graph", "l.csv").out == plain


def test_as_wide_as_the_terminal_without_buffers(large, monkeypatch):
    """Under PYTHONUNBUFFERED the stream that Python began with is detached from its descriptor."""
    from amctcfg.cli import run

    from .test_cli import Terminal

    began = io.TextIOWrapper(io.BytesIO())
    began.detach()
    monkeypatch.setattr(sys, "__stdout__", began)
    monkeypatch.setattr(os, "get_terminal_size", lambda *descriptor: os.terminal_size((150, 24)))
    monkeypatch.delenv("COLUMNS", raising=False)
    out = Terminal()
    run(["show", "large.cfg", "--graph", "large.csv", "--color", "never"], None, out, io.StringIO())
    assert 80 < max(map(len, out.getvalue().splitlines())) <= 150


def test_colours_of_tiers(folder, monkeypatch):
    from .test_cli import on_terminal

    assert "\x1b[35m" in on_terminal(monkeypatch, ["show", "q.cfg", "--graph", "l.csv"], 100)


@often
@given(st.lists(st.floats(allow_nan=False), unique=True, min_size=1, max_size=6))
def test_scores_are_told_from_their_neighbours(scores):
    from amctcfg.tools.tabulating import write_scores

    texts = write_scores(scores)
    for one, other in zip(sorted(scores), sorted(scores)[1:]):
        if 1e-4 <= abs(one) < 1e9 and abs(one - other) >= 1e-8:
            assert texts[one] != texts[other]


def test_switches_are_the_default_where_nothing_sets_them():
    from amctcfg.tools.tabulating import tabulate

    config = amctcfg.AMCTConfig(skip_layers=["b"], skip_fusion_layers=["c"])
    table = tabulate(amctcfg.expand(config, [Layer(name, "Conv2D") for name in "abc"]))
    usual = {
        row.layer.name: [field for field in ("quant_enable", "fuse") if row.cells[field].is_default]
        for row in table.rows
    }
    assert usual == {"a": ["quant_enable", "fuse"], "b": ["fuse"], "c": ["quant_enable"]}


@pytest.mark.parametrize("common, notable", [("0.01", []), ("0.02", ["ifmr_quantize.search_step"])])
def test_a_default_is_worth_a_word_where_it_hides_another_value(common, notable):
    from amctcfg.tools.tabulating import tabulate

    text = """common_config { ifmr_quantize { search_step: %s } }
        override_layer_configs { layer_name: "a" calibration_config { ifmr_quantize { search_step: 0.01 } } }"""
    (row,) = tabulate(amctcfg.expand(amctcfg.loads(text % common), [Layer("a", "Conv2D")])).rows
    assert list(row.notable) == notable == [field for field, cell in row.cells.items() if cell.hides]


@pytest.mark.parametrize(
    "names, words",
    [
        (["conv1"], "conv1"),
        (["net/a", "net/b", "net/c"], "3 layers net/…"),
        (["net/a1", "net/a2"], "2 layers net/…"),
        (["first", "last"], "2 layers first … last"),
        (["b", "a"], "2 layers b … a"),
        (["net.a.x", "net.a.y"], "2 layers net.a.…"),
        (["net/v1.0", "net/v1.1"], "2 layers net/…"),
        (["net/a", "net/a/b"], "2 layers net/…"),
    ],
)
def test_neighbours_are_named_by_what_they_share(names, words):
    from amctcfg.tools.tabulating import run_name

    assert run_name(names) == words


def test_what_is_the_same_for_all_layers_is_said_once():
    from amctcfg.tools.tabulating import Measured, tabulate

    layers = [Layer("a", "Conv2D"), Layer("b", "MatMul"), Layer("c", "Conv2D")]
    text = """common_config { ifmr_quantize { search_step: 0.02 } } skip_layers: "b"
        override_layer_configs { layer_name: "c" calibration_config { } }"""
    other = [(Layer("d", "Conv2D", False), "it is grouped")]
    plan = amctcfg.expand(amctcfg.loads(text), layers)
    measured = Measured({"a": 0.5, "d": 1.5}, "SNR", {"a": {"dB": 3.0}, "c": {"dB": 4.0, "n": 1}})
    table = tabulate(plan, None, measured, other)
    assert [(row.state, row.tier, row.score, row.is_quantized, row.is_skipped) for row in table.rows] == [
        ("quantized", "common_config", 0.5, True, False), ("skipped", "common_config", None, False, True),
        ("quantized", "override_layer_configs", None, True, False), ("it is grouped", "", 1.5, False, False),
    ]  # fmt: skip
    assert set(table.varying.values()) == {"search_step", "channel_wise"}
    assert set(table.shared) | set(table.varying) | {"quant_enable"} == set(table.columns)
    assert table.shared["ifmr_quantize.max_percentile"].value == 0.999999
    assert (table.score, table.extras, table.has_before) == ("SNR", ("dB", "n"), False)


def test_what_was_another_algorithm_has_its_values_still():
    from amctcfg.tools.tabulating import tabulate, word_cell

    layers = [Layer("a", "Conv2d"), Layer("b", "Conv2d")]
    texts = ("common_config { hfmg_quantize { } }", "override_layer_configs { layer_name: 'a' calibration_config { } }")
    before, after = (amctcfg.expand(amctcfg.loads(text, flavour=amctcfg.PYTORCH), layers) for text in texts)
    table = tabulate(after, before)
    changed = table.rows[0].changed
    assert set(changed) >= {"hfmg_quantize.num_of_bins", "ifmr_quantize.search_step"}
    assert not {"quant_enable", "fuse"} & set(changed) and table.has_before
    words = [word_cell("x", changed[field]) for field in ("hfmg_quantize.num_of_bins", "ifmr_quantize.search_step")]
    assert words == ["x=– (was 4096)", "x=0.01 (was –)"]
    same = tabulate(after, after).rows[0]
    assert same.changed == {} and word_cell("x", same.cells["ifmr_quantize.search_step"]) == "x=0.01 (default)"


@pytest.mark.parametrize(
    "texts",
    [
        {0.999991: "0.99999", 1.0: "1.00000", 0.5: "0.50"},  # nearly one is not one
        {0.0001: "0.0001", 0.0: "0.0000"},
        {0.5: "0.500", 0.501: "0.501", 0.9: "0.90"},
        {-0.5: "-0.500", -0.501: "-0.501"},
        {0.00009: "9e-05", 1e9: "1e+09", -2.5e10: "-2.5e+10", 999999999.5: "999999999.50"},
        {float("inf"): "inf", 3.0: "3.00"},
        {0.12345678901: "0.123456789", 0.12345678902: "0.123456789"},  # nine decimals at most
    ],
)
def test_scores_have_as_many_digits_as_tell_them_apart(texts):
    from amctcfg.tools.tabulating import write_scores

    assert write_scores(texts) == texts


# ---------------------------------------------------------------- for programs


def test_scores_that_are_not_finite_are_json(folder, cli):
    (folder / "odd.csv").write_text("name,score\nconv1,inf\nconv2,0.5\nfc,-inf\n", encoding="utf-8")

    def refuse(constant):
        raise AssertionError(constant)

    options = ["show", "q.cfg", "--graph", "l.csv", "--scores", "odd.csv", "--low-is-sensitive"]
    rows = json.loads(cli(*options, "--format", "json").out, parse_constant=refuse)["layers"]
    assert [row["score"] for row in rows] == [None, 0.5, None]
    assert "nan" not in cli(*options, "--format", "html").out.partition("</style>")[2].partition("<script")[0].lower()


def test_a_carriage_return_in_a_name_ends_no_row(folder, cli):
    names = ["a\rb", 'c"d', "e,f\r\n"]
    (folder / "odd.json").write_text(json.dumps([{"name": n, "type": "Conv2D"} for n in names]), encoding="utf-8")
    (folder / "empty.cfg").write_text("", encoding="utf-8")
    out = cli("show", "empty.cfg", "--graph", "odd.json", "--format", "csv").out
    assert [row["layer"] for row in csv.DictReader(io.StringIO(out, newline=""))] == names
    assert [row[0] for row in csv.reader(io.StringIO(out, newline=""))][1:] == names
