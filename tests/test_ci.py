# SPDX-License-Identifier: Apache-2.0
"""What runs elsewhere: the hooks of pre-commit, the composite action, and what the page about CI shows."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import DATA
from .test_commands import ENVIRONMENT

ROOT = Path(__file__).parent.parent
ACTION = (ROOT / "action.yml").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")

MODEL = DATA / "models" / "mobilenet_v1.pb"


def steps():
    """The scripts of the action's steps."""
    return [
        re.sub(r"^ {8}", "", run, flags=re.MULTILINE) for run in re.findall(r"      run: \|\n((?: {8}.*\n)+)", ACTION)
    ]


def test_the_actions_check(tmp_path):
    """Its second step, with this tree in place of what the first one installs; inputs are words and never code."""
    bin_folder = tmp_path / "amctcfg" / "bin"
    bin_folder.mkdir(parents=True)
    (bin_folder / "amctcfg").write_text(
        '#!/bin/sh\nexec "{}" -m amctcfg "$@"\n'.format(sys.executable), encoding="utf-8"
    )
    (bin_folder / "amctcfg").chmod(0o755)
    for name in ("a.cfg", "b.cfg"):
        (tmp_path / name).write_text("x: 1\n", encoding="utf-8")
    _, check = steps()

    def annotate(paths, arguments=""):
        environment = dict(ENVIRONMENT, RUNNER_TEMP=str(tmp_path), PATHS=paths, ARGUMENTS=arguments)
        return subprocess.run(
            ["bash", "-e", "-c", check], cwd=str(tmp_path), env=environment, capture_output=True, text=True, check=False
        )

    done = annotate(".")
    assert done.returncode == 1 and done.stdout.count("::error file=") == 2
    assert annotate("a.cfg b.cfg", "--max-errors 1").stdout.count("::error file=") == 1
    done = annotate("a.cfg;touch$IFS'x' $(touch${IFS}y) *", "--exclude `touch z`")
    assert done.returncode == 2 and not {"x", "y", "z"} & {path.name for path in tmp_path.iterdir()}


def test_the_page_shows_options_that_there_are(cli):
    for command, option in re.findall(r"amctcfg (\w+)[^`\n]*?(--[a-z-]+)", PAGE):
        assert option in cli(command, "--help").out, (command, option)


@pytest.mark.skipif(shutil.which("pre-commit") is None, reason="pre-commit is not installed: pip install pre-commit")
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="the hooks are tried on a clone")
def test_the_hooks_as_pre_commit_runs_them(tmp_path):
    pytest.importorskip("google.protobuf", reason="the model is a graph")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    work = tmp_path / "work"
    work.mkdir()
    subprocess.run(["git", "init", "-q", str(work)], check=True)
    shutil.copy(str(MODEL), str(work / "frozen.pb"))
    (work / "good_quant.cfg").write_text("# amctcfg: graph=frozen.pb\ndo_fusion: true\n", encoding="utf-8")
    (work / "bad_quant.cfg").write_text('# amctcfg: graph=frozen.pb\nskip_layers: "nope"\n', encoding="utf-8")
    (work / "other.cfg").write_text("not: ours\n", encoding="utf-8")
    subprocess.run(["git", "add", "."], cwd=str(work), check=True)
    environment = dict(os.environ, PRE_COMMIT_HOME=str(tmp_path / "home"))
    command = ["pre-commit", "try-repo", str(clone), "--all-files", "--verbose"]
    done = subprocess.run(command, cwd=str(work), env=environment, capture_output=True, text=True, check=False)
    out = done.stdout + done.stderr
    if "pip" in out and "No matching distribution" in out:
        pytest.skip("no network for the hooks' environments")
    assert "bad_quant.cfg:2:14: error[unknown-layer]" in out and "needs the package" not in out, out
    assert "other.cfg" not in out and "good_quant.cfg" not in out
