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
from .test_cli_commands import ENVIRONMENT

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


def test_the_workflow_runs_the_checks_on_the_python_that_they_prefer():
    yaml = pytest.importorskip("yaml", reason="YAML is read by PyYAML, which comes with pre-commit")
    (job,) = yaml.safe_load((ROOT / ".github" / "workflows" / "checks.yml").read_text(encoding="utf-8"))[
        "jobs"
    ].values()
    checkout, setup, checks = job["steps"]
    assert checkout["uses"].startswith("actions/checkout@") and checks == {"run": ".ci/run"}
    assert os.access(str(ROOT / ".ci" / "run"), os.X_OK)
    versions = setup["with"]["python-version"].split()
    assert sorted(versions, key=lambda version: int(version[2:]))[0] == "3.8" and versions[-1] == "3.11"
    assert [step["run"] for step in yaml.safe_load(ACTION)["runs"]["steps"]] == steps()


def test_the_page_shows_options_that_there_are(cli):
    for command, option in re.findall(r"amctcfg (\w+)[^`\n]*?(--[a-z-]+)", PAGE):
        assert option in cli(command, "--help").out, (command, option)


@pytest.fixture
def clone(tmp_path):
    """A clone of this repository, for pre-commit."""
    pytest.importorskip("pre_commit", reason="pre-commit is not installed: pip install pre-commit")
    if not (ROOT / ".git").exists():
        pytest.skip("pre-commit is tried on a clone")
    subprocess.run(["git", "clone", "-q", str(ROOT), str(tmp_path / "clone")], check=True)
    return tmp_path / "clone"


def pre_commit(folder, *arguments):
    """What pre-commit says, which installs the hooks from PyPI."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = dict(os.environ, PATH=path, PRE_COMMIT_HOME=str(folder / ".home"))
    command = [sys.executable, "-m", "pre_commit", *arguments, "--all-files", "--verbose"]
    done = subprocess.run(command, cwd=str(folder), env=environment, capture_output=True, text=True, check=False)
    out = done.stdout + done.stderr
    if "No matching distribution" in out:
        pytest.skip("no network for the hooks' environments")
    return done.returncode, out


@pytest.mark.thorough
def test_our_own_hooks_pass(clone):
    """Those that `pre-commit install` runs on this repository."""
    status, out = pre_commit(clone, "run")
    assert status == 0, out
    assert re.findall(r"^- hook id: (.*)$", out, re.MULTILINE) == [
        "ruff", "ruff-format", "codespell", "amctcfg-check", "amctcfg-fmt",
    ]  # fmt: skip


@pytest.mark.thorough
def test_the_hooks_as_pre_commit_runs_them(clone, tmp_path):
    pytest.importorskip("google.protobuf", reason="the model is a graph")
    work = tmp_path / "work"
    work.mkdir()
    subprocess.run(["git", "init", "-q", str(work)], check=True)
    shutil.copy(str(MODEL), str(work / "frozen.pb"))
    (work / "good_quant.cfg").write_text("# amctcfg: graph=frozen.pb\ndo_fusion: true\n", encoding="utf-8")
    (work / "bad_quant.cfg").write_text('# amctcfg: graph=frozen.pb\nskip_layers: "nope"\n', encoding="utf-8")
    (work / "other.cfg").write_text("not: ours\n", encoding="utf-8")
    subprocess.run(["git", "add", "."], cwd=str(work), check=True)
    _, out = pre_commit(work, "try-repo", str(clone))
    assert "bad_quant.cfg:2:14: error[unknown-layer]" in out and "needs the package" not in out, out
    assert "other.cfg" not in out and "good_quant.cfg" not in out
