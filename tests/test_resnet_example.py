# SPDX-License-Identifier: Apache-2.0
"""examples/resnet: from init to a model that keeps its accuracy, with the numbers that its README shows."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import amctcfg

pytest.importorskip("numpy", reason="the simulation computes with numpy: pip install 'amctcfg[simulate]'")
pytest.importorskip("onnx", reason="the simulation edits graphs with onnx: pip install 'amctcfg[simulate]'")
pytest.importorskip("onnxruntime", reason="the simulation runs it: pip install 'amctcfg[simulate]'")
pytest.importorskip("google.protobuf", reason="layers are read with protobuf")

EXAMPLE = Path(__file__).parent.parent / "examples" / "resnet"
README = (EXAMPLE / "README.md").read_text(encoding="utf-8")
FLEET = (EXAMPLE.parent / "fleet" / "README.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.skipif(sys.version_info < (3, 9), reason="the simulation needs Python 3.9")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in EXAMPLE.iterdir():
        if path.is_file():
            shutil.copy(str(path), str(tmp_path))
    return tmp_path


def evaluate(model):
    command = [sys.executable, "evaluate.py", model]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=100).stdout


def shown(command):
    """What the README shows below a command."""
    found = re.search(r"^\$ {}\n((?:(?!\$ |```).*\n)*)".format(re.escape(command)), README, re.MULTILINE)
    return found.group(1)


def answer(out):
    """The layers, each with what happens without it, and whether that is all that is needed."""
    return re.search(r"^  layer.*?minimal.*?$", out, re.MULTILINE | re.DOTALL).group(0)


@pytest.mark.thorough
def test_the_loop_has_the_numbers_of_its_readme(cli, place):
    assert cli("init", "--graph", "digits.onnx", "--flavour", "pytorch", "-o", "quant.cfg").status == 0
    assert cli("check", "quant.cfg").status == 0
    assert evaluate("digits.onnx") == shown("python evaluate.py digits.onnx")
    data = ("--data", "calibration.npz")
    simulated = cli("simulate", "quant.cfg", *data, "-o", "sim.onnx", "--ranking", "ranking.json")
    assert simulated.status == 0
    scores = re.findall(r"^amctcfg-score: .*\n", README, re.MULTILINE)
    assert evaluate("sim.onnx") == scores[1]
    tuned = cli("tune", "quant.cfg", *data, "-o", "tuned.cfg")
    assert tuned.status == 0
    table = re.search(r"```text\n(layer .*?)```", README, re.DOTALL).group(1)
    assert "".join(line + "\n" for line in tuned.err.replace("amctcfg: ", "").splitlines()[:3]) == table
    assert cli("simulate", "tuned.cfg", *data, "-o", "sim.onnx").status == 0
    assert evaluate("sim.onnx") == scores[2] >= scores[0]
    target = re.search(r"--target (\S+)", README).group(1)
    search = ("bisect", "quant.cfg", *data, "--scores", "ranking.json", "--target", target)
    result = cli(*search, "--", sys.executable, "evaluate.py", "{onnx}")
    assert result.status == 0
    assert result.out == re.search(r"^skip 2 layers.*?(?=```)", README, re.MULTILINE | re.DOTALL).group(0)
    together = cli(*search, "--state", "together", "--jobs", "2", "--", sys.executable, "evaluate.py", "{onnx}")
    assert together.status == 0 and answer(together.out) == answer(result.out) == answer(FLEET)
    assert "--target {} --jobs 2 -- python evaluate.py {{onnx}}\n".format(target) in FLEET
    best = amctcfg.load("quant.cfg.bisect/best.cfg")
    assert best.skip_layers == ("layer1.conv2", "layer2.conv2")


def test_what_is_committed_is_small():
    assert sum(path.stat().st_size for path in EXAMPLE.iterdir() if path.is_file()) < 300000
