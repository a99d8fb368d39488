# SPDX-License-Identifier: Apache-2.0
"""What the README shows is what happens."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
EXAMPLES = [
    example
    for language, block in BLOCKS
    if language == "console"
    for example in re.findall(r"^\$ amctcfg (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
]


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """What the README's commands read, in a folder of its own: some of them write."""
    for name in ("examples", "tests/data/models"):
        shutil.copytree(str(ROOT / name), str(tmp_path / name))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def words_of(text):
    """The words of a text, its numbers to a hundredth: a runtime's last digits are its own."""
    return [float(word) if re.match(r"-?\d+\.\d+\Z", word) else word for word in text.split()]


def assert_similar(printed, shown):
    found, wanted = words_of(printed), words_of(shown)
    assert len(found) == len(wanted), printed
    for one, other in zip(found, wanted):
        assert one == (other if isinstance(other, str) else pytest.approx(other, rel=1e-2, abs=0.02)), printed


def need_simulation():
    for name in ("numpy", "onnx", "onnxruntime"):
        pytest.importorskip(name, reason="the example is simulated: pip install 'amctcfg[simulate]'")
    if sys.version_info < (3, 9):
        pytest.skip("the simulation needs Python 3.9")


def test_it_has_examples():
    assert [line.split()[0] for line, _ in EXAMPLES] == ["check", "show", "simulate", "tune"]


@pytest.mark.parametrize("line, shown", EXAMPLES, ids=[line for line, _ in EXAMPLES])
def test_shown_output(line, shown, cli, clone):
    pytest.importorskip("google.protobuf", reason="the examples read a graph")
    if line.startswith(("simulate ", "tune ")):
        need_simulation()
        result = cli(*shlex.split(line))
        assert_similar(result.out + result.err, shown)
        return
    result = cli(*shlex.split(line))
    assert result.out + result.err == shown


def test_library_example(monkeypatch, capsys):
    pytest.importorskip("google.protobuf", reason="the example reads a graph")
    monkeypatch.chdir(ROOT)
    (code,) = [block for language, block in BLOCKS if language == "python"]
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.endswith("\n0.02 override_layer_types 27\n")


def test_set_up_activates_the_environment_and_ends_with_a_feature(cli, clone):
    pytest.importorskip("google.protobuf", reason="the command reads a graph")
    set_up, tests = [block for language, block in BLOCKS if language == "sh"]
    *environment, line = set_up.splitlines()
    assert environment == ["python3 -m venv .venv", ". .venv/bin/activate", "pip install -q '.[graph]'"]
    result = cli(*shlex.split(line)[1:])
    assert (result.status, result.out, result.err) == (0, "", "")
    page = (clone / "plan.html").read_text(encoding="utf-8")
    assert "mobilenet_1.00_224_1/conv_preds_1/" in page
    assert re.match(r"python3 .* pytest .*\n\Z", tests)  # .ci/run takes it from here


def test_features_come_before_the_tests_and_a_picture_before_all():
    order = [
        README.index(words)
        for words in ("](docs/images/plan.png)", "## Install", "## Three", "## The loop", "## Tests")
    ]
    assert order == sorted(order)
    assert (ROOT / "docs" / "images" / "plan.png").stat().st_size < 150000
    assert README.count("\n") <= 170


def test_the_tuning_session(cli, clone, tmp_path):
    pytest.importorskip("numpy", reason="the example's network is numpy's")
    (block,) = re.findall(r"```text\n\$ amctcfg bisect (.*?)\n(.*?)```", README, re.DOTALL)
    words = [sys.executable if word == "python" else word for word in shlex.split(block[0])]
    words[words.index("--") : words.index("--")] = ["--state", str(tmp_path / "state")]
    result = cli("bisect", *words)
    assert result.status == 0
    assert result.out.replace(str(tmp_path / "state"), "examples/tuning/net.cfg.bisect") == block[1]


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert "://" in target or (ROOT / target).exists(), target
