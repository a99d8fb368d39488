# SPDX-License-Identifier: Apache-2.0
"""Broken files, each with what the command line says about it, in all formats.

The expected outputs stand beside the files. `AMCTCFG_WRITE=1 pytest tests/test_diagnostics.py` writes them anew, to be
read before they are committed.
"""

import json
import os

import pytest

from amctcfg import check
from amctcfg.codes import CODES
from amctcfg.layers import load_layers

from .conftest import DATA

FOLDER = DATA / "broken"
FILES = sorted(FOLDER.glob("*.cfg"))
FORMATS = ["text", "json", "github", "sarif"]


def arguments(path, form):
    """Names that end in `.layers.cfg` are checked on the model of `layers.csv`."""
    graph = ["--graph", "layers.csv"] if path.name.endswith(".layers.cfg") else []
    return ["check", path.name, "--format", form, *graph]


def test_there_are_files():
    assert len(FILES) > 20


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_output(path, form, cli, monkeypatch):
    monkeypatch.chdir(FOLDER)
    result = cli(*arguments(path, form))
    out = result.err if form == "text" else result.out
    assert (result.out if form == "text" else result.err) == ""
    expected = path.with_suffix("." + form)
    if os.environ.get("AMCTCFG_WRITE"):
        expected.write_text(out, encoding="utf-8")
    assert out == expected.read_text(encoding="utf-8")
    severities = {d["severity"] for d in json.loads(cli(*arguments(path, "json")).out)["diagnostics"]}
    assert result.status == (1 if "error" in severities else 0)
    assert severities


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
        log = json.loads(text)
        rules = log["runs"][0]["tool"]["driver"]["rules"]
        assert [rule["id"] for rule in rules] == list(CODES)
        for result in log["runs"][0]["results"]:
            assert rules[result["ruleIndex"]]["id"] == result["ruleId"]


def test_together_the_files_show_every_code_that_a_file_can_have():
    shown = set()
    for path in FOLDER.glob("*.json"):
        shown |= {d["code"] for d in json.loads(path.read_text(encoding="utf-8"))["diagnostics"]}
    assert shown == set(CODES) - {"reserved-name"}  # that one is about the model


def test_many_files_are_checked_in_one_run(cli, monkeypatch):
    monkeypatch.chdir(FOLDER)
    result = cli("check", "bom.cfg", "nowhere.cfg", "numbers.cfg")
    assert result.status == 2
    assert "bom.cfg:1:1: error[syntax]" in result.err
    assert "amctcfg: can't read nowhere.cfg" in result.err
    assert "numbers.cfg:3:25: warning[float32-rounding]" in result.err


def test_warnings_can_be_left_out_and_can_be_made_to_count(cli, monkeypatch):
    monkeypatch.chdir(FOLDER)
    assert cli("check", "numbers.cfg").status == 0
    assert cli("check", "numbers.cfg", "--strict-warnings").status == 1
    result = cli("check", "numbers.cfg", "--strict-warnings", "--ignore", "float32-rounding", "--ignore", "many-steps")
    assert (result.status, result.err) == (0, "")
    assert cli("check", "bom.cfg", "--ignore", "syntax").status == 1
