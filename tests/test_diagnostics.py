# SPDX-License-Identifier: Apache-2.0
"""Broken files, each with what the command line says about it; and that all formats say the same.

The expected outputs stand beside the files. `AMCTCFG_WRITE=1 pytest tests/test_diagnostics.py` writes them anew, to be
read before they are committed.
"""

import json
import os
import re

import pytest

import amctcfg
from amctcfg import ConfigError, Layer, check, load_layers
from amctcfg.diagnostics.codes import CODES
from amctcfg.diagnostics.source import Span

from .conftest import DATA

FOLDER = DATA / "broken"
FILES = sorted(FOLDER.glob("*.cfg"))
REPORTS = DATA / "reports"  # one file in every format

# About the model, the whole file or the run; `test_flavours` and `test_cli_commands` show these.
ELSEWHERE = {"reserved-name", "conflicting-fields", "algorithm-unsupported", "softened", "invalid-json", "unreadable", "refused-by-toolkit",
             "soc-unsuited",              "unused-ignore"}  # fmt: skip


def arguments(path, form):
    """Names that end in `.layers.cfg` are checked on the model of `layers.csv`."""
    graph = ["--graph", "layers.csv"] if path.name.endswith(".layers.cfg") else []
    return ["check", path.name, "--format", form, "--flavour", "tf-ascend", *graph]


def expected(path, out):
    """The contents of a file of expected output, which is written where that is asked for."""
    if os.environ.get("AMCTCFG_WRITE"):
        path.write_text(out, encoding="utf-8", newline="\n")
    return path.read_text(encoding="utf-8")


def test_there_are_files():
    assert len(FILES) > 20


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_output(path, cli, monkeypatch):
    monkeypatch.chdir(FOLDER)
    result = cli(*arguments(path, "text"))
    assert result.err in ("", "amctcfg: {}: ".format(path.name) + result.err.partition(": ")[2].partition(": ")[2])
    assert result.out == expected(path.with_suffix(".text"), result.out)
    severities = {d["severity"] for d in json.loads(cli(*arguments(path, "json")).out)["diagnostics"]}
    assert severities
    assert result.status == (1 if "error" in severities else 0)


@pytest.mark.parametrize("form", ["json", "github", "sarif"])
def test_one_file_in_every_format(form, cli, monkeypatch):
    monkeypatch.chdir(FOLDER)
    out = cli(*arguments(FOLDER / "all_at_once.cfg", form)).out
    out = re.sub(r'"version": "\d+\.\d+\.\d+[^"]*"(?=,\s+"rules")', '"version": "*"', out)
    assert out == expected(REPORTS / ("all_at_once." + form), out)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_formats_agree(path, cli, monkeypatch):
    """Each format has the same diagnostics, at the same places, in the same order."""
    monkeypatch.chdir(FOLDER)
    found = json.loads(cli(*arguments(path, "json")).out)["diagnostics"]
    places = [(d["code"], d["span"] and d["span"]["line"], d["message"]) for d in found]
    concise = re.findall(r"^\S+?:(?:(\d+):\d+:)? \w+\[(\S+)\]: ", cli(*arguments(path, "concise")).out, re.MULTILINE)
    assert [(code, int(line) if line else None) for line, code in concise] == [place[:2] for place in places]
    github = cli(*arguments(path, "github")).out.splitlines()
    assert [line.startswith("::" + d["severity"]) for line, d in zip(github, found)] == [True] * len(found)
    assert len(github) == len(found)
    run = json.loads(cli(*arguments(path, "sarif")).out)["runs"][0]
    assert [result["ruleId"] for result in run["results"]] == [d["code"] for d in found]
    for result, d in zip(run["results"], found):
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == d["code"]
        region = result["locations"][0]["physicalLocation"].get("region")
        assert (region and region["startLine"]) == (d["span"] and d["span"]["line"])
        assert result["message"]["text"].startswith(d["message"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_places_are_in_the_text_and_in_order(path):
    data = path.read_bytes()
    layers = load_layers(FOLDER / "layers.csv") if path.name.endswith(".layers.cfg") else None
    found = check(data, path.name, layers)
    lines = data.decode("utf-8", "replace").split("\n")
    spans = [d.span for d in found if d.span]
    assert spans == sorted(spans)
    for diagnostic in found:
        assert diagnostic.code in CODES
        assert "\n" not in diagnostic.message and diagnostic.name == path.name
        if diagnostic.span:
            line, column, end_line, end_column = diagnostic.span
            assert 1 <= column <= len(lines[line - 1]) + 1
            assert (line, column) <= (end_line, end_column) <= (len(lines), len(lines[-1]) + 2)


def test_sarif_is_valid_by_its_schema(cli, monkeypatch):
    monkeypatch.chdir(FOLDER)
    model = pytest.importorskip("pydantic_sarif.model", reason="the SARIF schema comes with pydantic-sarif")
    for path in FILES:
        text = cli(*arguments(path, "sarif")).out
        model.StaticAnalysisResultsFormatSarifVersion210JsonSchema.model_validate_json(text)
        assert [rule["id"] for rule in json.loads(text)["runs"][0]["tool"]["driver"]["rules"]] == list(CODES)


def test_together_the_files_show_every_code_that_a_file_can_have():
    shown = set()
    for path in FILES:
        layers = load_layers(FOLDER / "layers.csv") if path.name.endswith(".layers.cfg") else None
        shown |= {d.code for d in check(path.read_bytes(), path.name, layers)}
    assert shown == set(CODES) - ELSEWHERE


def test_many_files_are_checked_in_one_run(cli, monkeypatch):
    monkeypatch.chdir(FOLDER)
    result = cli("check", "bom.cfg", "nowhere.cfg", "numbers.cfg")
    assert result.status == 2
    assert "bom.cfg:1:1: error[syntax]" in result.out
    assert "amctcfg: can't read nowhere.cfg" in result.err
    assert "numbers.cfg:3:25: warning[float32-rounding]" in result.out
    rows = json.loads(cli("check", "nowhere.cfg", "--format", "json").out)["diagnostics"]
    assert [(row["code"], row["file"]) for row in rows] == [("unreadable", "nowhere.cfg")]


def test_warnings_can_be_left_out_and_can_be_made_to_count(cli, monkeypatch):
    monkeypatch.chdir(FOLDER)
    assert cli("check", "numbers.cfg").status == 0
    assert cli("check", "numbers.cfg", "--strict-warnings").status == 1
    result = cli("check", "numbers.cfg", "--strict-warnings", "--ignore", "float32-rounding,many-steps")
    assert (result.status, result.out, result.err) == (0, "All checks passed.\n", "")
    result = cli("check", "bom.cfg", "--ignore", "syntax")
    assert result.status == 2 and "'syntax' is an error; only warnings can be ignored" in result.err


@pytest.mark.parametrize("name", ["a\x1b[2Jb", "a\n::error::x", "\u202eb", "a\x9b0m"])
def test_a_config_error_is_neutral_text(name):
    with pytest.raises(ConfigError) as caught:
        from amctcfg import parse

        parse("do_fusion: maybe", name=name)
    assert str(caught.value).isprintable() or set(re.findall(r"[^ -~]", str(caught.value))) <= {"\n"}
    assert "\n::error" not in str(caught.value)


def test_the_text_of_an_exception_shows_a_hundred_and_counts_the_rest():
    text = "x: 1\n" * 5100
    with pytest.raises(ConfigError) as caught:
        amctcfg.loads(text)
    shown = str(caught.value)
    assert len(caught.value.diagnostics) == 5100
    assert shown.count("error[unknown-field]") == 100
    assert shown.endswith("\n… and 5,000 more")
    with pytest.raises(ConfigError) as caught:
        amctcfg.loads("x: 1\n" * 100)
    assert "more" not in str(caught.value) and str(caught.value).count("error[") == 100


@pytest.mark.parametrize("letter", ["e", "é"])
def test_a_place_behind_carriage_returns_is_shown_at_the_end_of_the_line(letter):
    found = amctcfg.Diagnostic("error", "syntax", "words", span=Span(1, 200, 1, 201))
    _, _, line, pointer = str(ConfigError([found], letter * 150 + "\r" * 100)).splitlines()
    assert line.startswith("1 | …") and line.endswith(letter) and pointer.rstrip("^") == "  |" + " " * (len(line) - 3)


INVISIBLE = "\u00ad\u034f\u115f\u17b4\u180b\u200b\u200d\u2060\u3164\ufe0f\uffa0\U000e0061"


@pytest.mark.parametrize("character", INVISIBLE, ids=ascii)
def test_characters_that_nobody_sees_are_escaped(character):
    name = "conv{}1".format(character)
    found = amctcfg.check("skip_layers: '{}'".format(name), layers=[Layer("conv1", "Conv2D"), Layer("fc", "MatMul")])
    assert ascii(character)[1:-1] in str(found[0])
    shown = str(ConfigError(found, "skip_layers: '{}'".format(name)))
    assert character not in shown and "did you mean 'conv1'?" in shown


def test_an_error_alone():
    error = ConfigError.single("syntax", "words", hint="cure", name="a.cfg", text="x")
    assert error.diagnostics == (amctcfg.Diagnostic("error", "syntax", "words", hint="cure", name="a.cfg"),)
    assert error.text == "x"


RESNET = [
    ("resnet50_1/conv1_conv_1/Reshape/shape", "Const"),
    ("resnet50_1/conv1_conv_1/convolution/ReadVariableOp/resource", "Const"),
    ("resnet50_1/conv1_conv_1/BiasAdd", "BiasAdd"),
    ("resnet50_1/conv1_bn_1/Reshape/shape", "Const"),
    ("resnet50_1/conv1_conv_1/convolution", "Conv2D"),
    ("resnet50_1/conv2_conv_1/convolution", "Conv2D"),
    ("resnet50_1/conv2_conv_1/weights", "Const"),
]


@pytest.mark.parametrize(
    "name",
    [
        "conv1_conv", "resnet50/conv1_conv/convolution", "resnet50_1/conv1_conv/convolution", "conv1_conv/convolution",
        "ResNet50/conv1_conv/Convolution",
    ],
)  # fmt: skip
def test_suggestions_are_layers_whatever_their_scopes_number(name):
    layers = [Layer(name, kind) for name, kind in RESNET]
    (found,) = (d for d in amctcfg.check('skip_layers: "{}"'.format(name), layers=layers) if d.code == "unknown-layer")
    assert found.hint == "did you mean 'resnet50_1/conv1_conv_1/convolution'?"
    assert found.replacement == '"resnet50_1/conv1_conv_1/convolution"'


def test_without_layers_to_quantize_constants_are_not_suggested():
    layers = [Layer("conv/weights", "Const"), Layer("conv/relu", "Relu")]
    found = amctcfg.check('skip_layers: "conv"', layers=layers)
    assert [d.hint for d in found if d.code == "unknown-layer"] == ["did you mean 'conv/relu'?"]
