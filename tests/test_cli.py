# SPDX-License-Identifier: Apache-2.0
"""The command line: exit status, streams, terminals, `explain`."""

import io
import json
import os
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import amctcfg
from amctcfg.cli import run
from amctcfg.diagnostics.diagnostic import render

from .conftest import DATA

GRAPH = DATA / "broken" / "layers.csv"

CONFIG = b"""\
activation_offset: true
common_config {
  ifmr_quantize {
    search_step: 0.03
    asymmetric: false
  }
}
override_layer_types {
  layer_type: "Conv2D"
  calibration_config { ifmr_quantize { search_step: 0.04 asymmetric: true } }
}
override_layer_configs {
  layer_name: "conv1"
  calibration_config { ifmr_quantize { search_range_start: 0.8 } }
}
skip_layers: "conv2"
skip_layer_types: "MatMul"
do_fusion: true
skip_fusion_layers: "conv1"
"""


class Terminal(io.StringIO):
    def isatty(self):
        return True


def on_terminal(monkeypatch, arguments, columns=80, **environment):
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in dict(environment, COLUMNS=str(columns)).items():
        monkeypatch.setenv(name, value)
    out = Terminal()
    run([str(a) for a in arguments], io.StringIO(), out, io.StringIO())
    return out.getvalue()


def test_colour_on_a_terminal_only_and_not_with_no_color(monkeypatch, cli):
    arguments = ["check", DATA / "broken" / "bom.cfg"]
    assert "\x1b[31merror[syntax]\x1b[0m" in on_terminal(monkeypatch, arguments)
    for variable, value in (("NO_COLOR", ""), ("NO_COLOR", "1"), ("TERM", "dumb")):
        assert "\x1b" not in on_terminal(monkeypatch, arguments, **{variable: value})
    assert "\x1b" not in cli(*arguments).out
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[31merror" in cli(*arguments).out
    monkeypatch.setenv("NO_COLOR", "")  # wins
    assert "\x1b" not in cli(*arguments).out


@pytest.mark.parametrize("columns", [40, 60, 100])
def test_source_lines_respect_the_width(monkeypatch, columns):
    path = DATA / "broken" / "long_line.layers.cfg"
    text = on_terminal(monkeypatch, ["check", path, "--graph", GRAPH], columns, NO_COLOR="1")
    lines = text.splitlines()
    sources = [line for line in lines if re.match(r"\d+ \| ", line)]
    assert sources and all(len(line) <= columns for line in sources)


@given(st.text(st.sampled_from("ab卷\t\u0301 #\u200b"), max_size=30), st.integers(30, 60))
def test_the_caret_is_below_its_place(before, width):
    """In columns of a terminal: wide characters two, combining ones none."""
    import unicodedata

    text = "/" + before.replace("\n", "") + "X"
    span = amctcfg.Span(1, len(text), 1, len(text) + 1)
    shown = render([amctcfg.Diagnostic("error", "syntax", "m", span)], text, width=width).split("\n")
    source, carets = shown[2], shown[3]

    def columns(line):
        wide = [2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line]
        return sum(0 if unicodedata.combining(c) else w for c, w in zip(line, wide))

    assert columns(source[: source.rindex("X")]) == carets.index("^")
    assert columns(source) <= width


def test_explain(cli):
    result = cli("explain", "-", "conv1", "conv2", "stage/fc", "conv_dynamic", "relu1", "--graph", GRAPH, stdin=CONFIG)
    assert (result.status, result.err) == (0, "")
    assert result.out == (DATA / "explain.txt").read_text(encoding="utf-8")


def test_explain_by_the_toolkits_rules(cli):
    result = cli("explain", "-", "--graph", GRAPH, "conv1", "--rules", "toolkit", stdin=CONFIG)
    assert "asymmetric          false       common_config, <stdin>:5:5" in result.out
    why = "asymmetric true at 10:58: the toolkit skips override_layer_types for a layer with an override of its own"
    assert why in result.out


def test_explain_without_a_graph(cli):
    result = cli("explain", "-", "somewhere", "--type", "MatMul", stdin=CONFIG)
    assert result.out.startswith("somewhere (MatMul)\n  not quantized: skip_layer_types at <stdin>:17:1\n")
    assert "channel_wise        false       default of MatMul" in result.out
    assert cli("explain", "-", "somewhere", stdin=CONFIG).status == 2
    assert cli("explain", "-", "--graph", GRAPH, stdin=CONFIG).status == 2


def test_explain_takes_the_end_of_a_path_and_patterns(cli):
    assert cli("explain", "-", "fc", "--graph", GRAPH, stdin=CONFIG).out.startswith("stage/fc (MatMul)\n")
    result = cli("explain", "-", "conv*", "--graph", GRAPH, stdin=CONFIG)
    assert [line for line in result.out.splitlines() if line[:1] not in (" ", "")] == [
        "conv1 (Conv2D)", "conv2 (Conv2D)", "conv_dynamic (Conv2D)",
    ]  # fmt: skip


def test_explain_names_all_unknown_layers_with_the_nearest(cli):
    result = cli("explain", "-", "stage/fcc", "conv11", "nothing*", "--graph", GRAPH, stdin=CONFIG)
    assert (result.status, result.out) == (2, "")
    assert "'stage/fcc'" in result.err and "did you mean 'stage/fc'?" in result.err
    assert "'conv11'" in result.err and "'nothing*'" in result.err


def test_explain_for_programs_and_all_layers(cli):
    result = cli("explain", "-", "--all", "--graph", GRAPH, "--format", "json", stdin=CONFIG)
    report = json.loads(result.out)
    assert (report["version"], report["file"]) == (1, "<stdin>")
    explained = {row["layer"]: row for row in report["layers"]}
    assert list(explained) == ["conv1", "conv2", "dw1", "stage/pool", "stage/fc", "第一层/卷积"]
    step = explained["conv1"]["fields"]["ifmr_quantize.search_step"]
    assert (step["value"], step["tier"], step["path"], step["line"]) == (0.01, "default", None, None)
    assert [(lost["tier"], lost["value"], lost["line"], lost["column"]) for lost in step["shadowed"]] == [
        ("override_layer_types", 0.04, 10, 40),
        ("common_config", 0.03, 4, 5),
    ]
    assert explained["conv2"]["quantized"] is False
    assert explained["conv2"]["notes"] == ["not quantized: skip_layers at <stdin>:16:1"]


@pytest.mark.parametrize(
    "arguments, status",
    [
        ([], 2),
        (["--help"], 0),
        (["--version"], 0),
        (["nonsense"], 2),
        (["check"], 2),
        (["check", "--help"], 0),
        (["check", "x", "--format", "xml"], 2),
        (["expand", "-"], 2),
        (["check", "-", "--rules", "vendor"], 2),
        (["expand", os.curdir], 2),
        (["check", "-", "--ignore", "no-such-code"], 2),
    ],
)
def test_usage(arguments, status, cli):
    result = cli(*arguments)
    assert result.status == status
    assert bool(result.out) is (status == 0) and bool(result.err) is (status == 2)


def test_lenient_and_strict_warnings(cli):
    twice = b"do_fusion: true do_fusion: false skip_fusion_layers: 'conv1'"
    assert cli("check", "-", stdin=twice).status == 1
    result = cli("check", "-", "--lenient", stdin=twice)
    assert result.status == 0 and "warning[duplicate-field]" in result.out and "warning[fusion-off]" in result.out
    result = cli("expand", "-", "--graph", GRAPH, "--lenient", "--strict-warnings", stdin=twice)
    assert (result.status, result.out) == (1, "")


def test_as_a_process():
    """`python -m amctcfg`, names that the terminal's encoding lacks, and a reader that goes away."""
    command = [sys.executable, "-m", "amctcfg", "layers", str(GRAPH)]
    environment = dict(os.environ, PYTHONIOENCODING="ascii:strict", PYTHONPATH=str(DATA.parent.parent))
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "第一层/卷积".encode() in done.stdout  # UTF-8, whatever the locale
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 141
