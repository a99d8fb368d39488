# SPDX-License-Identifier: Apache-2.0
"""What a new user does: the README from top to bottom in the environment that it makes, and a real model's tuning."""

import importlib.util
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import amctcfg
from amctcfg import PYTORCH, Layer
from amctcfg.tuning import Bisection

from .conftest import THOROUGH
from .test_readme import assert_similar

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

# Stands in for the environment: what README has not installed by then can't be imported.
SITE = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError("No module named {{!r}}".format(name), name=name)

sys.meta_path.insert(0, Missing())
"""
KNOWN = {"'.[graph]'": {"google"}, "'.[simulate]'": {"numpy", "onnx", "onnxruntime"}}
OTHERS = {"google", "numpy", "onnx", "onnxruntime", "torch", "tensorflow", "dask", "lark", "hypothesis", "jsonschema"}


def steps():
    """The commands of README in their order, each with what is shown for it and what is installed by then."""
    installed = set()
    pattern = r"pip install (?:-q )?((?:'[^']+'|\w+))|```(?:console|text)\n(.*?)```"
    for match in re.finditer(pattern, README, re.DOTALL):
        installed = installed | KNOWN.get(match[1], set())
        for line, shown in re.findall(r"^\$ amctcfg (.*)\n((?:(?!\$ ).*\n)*)", match[2] or "", re.MULTILINE):
            yield line, shown, installed


def test_the_readme_from_top_to_bottom(tmp_path):
    """Each command as a process of its own, in one folder: what one writes, the next one sees."""
    for name in ("README.md", "examples", "tests/data/models"):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(str(ROOT / name), str(target))
    site, package = tmp_path / "site", Path(amctcfg.__file__).parent.parent
    site.mkdir()
    (site / "amctcfg").symlink_to(package / "amctcfg")
    environment = dict(os.environ, PYTHONPATH=str(site), PYTHONIOENCODING="utf-8")
    environment.pop("COLUMNS", None)  # which xdist sets
    found = list(steps())
    assert [line.split()[0] for line, _, _ in found] == ["check", "show", "simulate", "tune", "bisect"]
    for line, shown, installed in found:
        if "numpy" in installed and sys.version_info < (3, 9):
            continue  # the simulation's extra is for newer ones
        if not all(importlib.util.find_spec(name) for name in installed):
            continue  # it is not here to be installed
        if line.startswith(("tune ", "bisect ")) and not THOROUGH:
            continue  # they take long, and test_readme.py runs them, in its own process
        (site / "sitecustomize.py").write_text(SITE.format(missing=OTHERS - installed), encoding="utf-8")
        words = [sys.executable if word == "python" else word for word in shlex.split(line)]
        command = [sys.executable, "-m", "amctcfg", *words]
        done = subprocess.run(
            command, cwd=str(tmp_path), env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        # The progress of a search is not shown in README.
        out = (done.stdout + (b"" if line.startswith("bisect ") else done.stderr)).decode("utf-8")
        out = out.replace(str(tmp_path) + os.sep, "")
        if line.startswith(("simulate ", "tune ")):
            assert_similar(out, shown)
        else:
            assert out == shown, line


# ---------------------------------------------------------------- ResNet-50


def resnet50():
    """The 54 layers that are quantized, as PyTorch names them."""
    names = [("conv1", "Conv2d")]
    for stage, blocks in enumerate((3, 4, 6, 3), 1):
        for block in range(blocks):
            names += [("layer{}.{}.conv{}".format(stage, block, n), "Conv2d") for n in (1, 2, 3)]
            names += [("layer{}.{}.downsample.0".format(stage, block), "Conv2d")] if block == 0 else []
    return [Layer(*pair) for pair in [*names, ("fc", "Linear")]]


def errors_of(layers, seed):
    """What each layer's rounding adds to the output: most of it small, of both signs, four large."""
    chance = random.Random(seed)
    found = {layer.name: chance.gauss(0, 0.003) for layer in layers}
    for name, error in zip(chance.sample(sorted(found), 4), (0.05, -0.04, 0.06, 0.05)):
        found[name] = error
    return found


@pytest.fixture
def resnet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    layers = resnet50()
    assert len(layers) == 54
    rows = "".join("{},{}\n".format(layer.name, layer.type) for layer in layers)
    (tmp_path / "resnet50.csv").write_text("name,type\n" + rows, encoding="utf-8")
    (tmp_path / "quant.cfg").write_text(
        "# amctcfg: graph=resnet50.csv flavour=pytorch\nbatch_num: 2\n", encoding="utf-8"
    )
    return layers


@pytest.mark.parametrize("seed", range(5))
def test_resnet_50_is_tuned_though_errors_cancel_in_part(resnet, tmp_path, cli, seed):
    errors = errors_of(resnet, seed)

    def quality(skipped):
        """Errors of two signs cancel; their sizes count as well."""
        left = [error for name, error in errors.items() if name not in skipped]
        return 1 - abs(sum(left)) - 0.3 * sum(map(abs, left))

    # 1. By the ranking of a calibration: the worst four, written into the file.
    scores = "".join("{},{:.6f}\n".format(name, 1 - abs(error)) for name, error in errors.items())
    (tmp_path / "scores.csv").write_text("layer,CosineSimilarity\n" + scores, encoding="utf-8")
    result = cli("suggest", "quant.cfg", "--scores", "scores.csv", "--worst", "4", "-i")
    assert result.status == 0
    suggested = amctcfg.load("quant.cfg", flavour=PYTORCH).skip_layers
    assert set(suggested) == {name for name, error in errors.items() if abs(error) > 0.03}
    result = cli("check", "quant.cfg")
    assert result.status == 0 and "error" not in result.out

    # 2. By the search, with a target that the ranking's set reaches.
    target, asked = quality(suggested) - 0.001, []
    document = amctcfg.parse("batch_num: 2\n", flavour=PYTORCH)
    search = Bisection(document, resnet, amctcfg.tuning.load_scores("scores.csv"), target)
    while True:
        candidate = search.ask()
        if candidate is None:
            break
        asked.append(candidate.skip)
        search.tell(candidate, quality(candidate.skip))
        assert len(asked) <= 120
    best = search.best
    assert quality(best.skip) >= target
    assert len(best.skip) <= len(suggested) + 2  # minimal, which is not the smallest of all where errors cancel
    assert len(asked) == len(set(asked))  # nothing is run twice
    assert search.minimal
    for needed in search.needed:
        assert quality(set(best.skip) - {needed.layer}) < target
    assert {needed.layer for needed in search.needed} == set(best.skip)
    assert amctcfg.check(best.text, layers=resnet, flavour=PYTORCH) == ()
    assert [name for name, e in best.plan.items() if not e.quant_enable] == [
        x.name for x in resnet if x.name in best.skip
    ]
