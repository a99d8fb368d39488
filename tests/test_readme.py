# SPDX-License-Identifier: Apache-2.0
"""What the README shows is what happens."""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

EXAMPLES = [
    example
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for example in re.findall(r"^\$ amctcfg (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
]


def test_it_has_examples():
    assert len(EXAMPLES) >= 6


@pytest.mark.parametrize("line, shown", EXAMPLES, ids=[line for line, _ in EXAMPLES])
def test_shown_output(line, shown, cli, monkeypatch):
    pytest.importorskip("google.protobuf", reason="the examples read a graph")
    monkeypatch.chdir(ROOT)
    result = cli(*shlex.split(line))
    assert result.out + result.err == shown


def test_library_example(monkeypatch, capsys):
    pytest.importorskip("google.protobuf", reason="the example reads a graph")
    monkeypatch.chdir(ROOT)
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "load_layers" in block]
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.endswith("}\n0.02 override_layer_types 27\n")


def test_there_are_two_commands_for_a_fresh_machine():
    assert len(re.findall(r"```sh\n.*\n```", README)) == 2


def test_the_main_job(cli, monkeypatch):
    pytest.importorskip("google.protobuf", reason="the command reads a graph")
    monkeypatch.chdir(ROOT)
    (line,) = re.findall(r"\.venv/bin/amctcfg (expand .*)$", README, re.MULTILINE)
    result = cli(*shlex.split(line))
    assert (result.status, result.err) == (0, "")
    assert '"mobilenet_1.00_224_1/conv_preds_1/convolution":{\n        "quant_enable":false' in result.out


def test_the_tuning_session(cli, monkeypatch, tmp_path):
    pytest.importorskip("numpy", reason="the example's network is numpy's")
    import sys

    monkeypatch.chdir(ROOT)
    (block,) = re.findall(r"```text\n\$ amctcfg bisect (.*?)\n(.*?)```", README, re.DOTALL)
    words = [sys.executable if word == "python" else word for word in shlex.split(block[0])]
    words[words.index("--") : words.index("--")] = ["--state", str(tmp_path)]
    result = cli("bisect", *words)
    assert result.status == 0
    assert result.out.replace(str(tmp_path), "examples/tuning/net.cfg.bisect") == block[1]


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert "://" in target or (ROOT / target).exists(), target
