# SPDX-License-Identifier: Apache-2.0
"""A file with its model, flavour, rules and settings: each read once, and nothing of a model that a head names is shown."""

import collections
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import amctcfg
from amctcfg.checks.context import Context
from amctcfg.documents.settings import Settings
from amctcfg.messages.reading import Reading
from amctcfg.textformat import parser
from amctcfg.workspace.failure import Failure
from amctcfg.workspace.workspace import Options, Workspace

from .conftest import thorough

INSTALLED = Path(amctcfg.__file__).parent.parent


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "l.csv").write_text("name,type\na,Conv2D\nb,Conv2D\n", encoding="utf-8")
    return tmp_path


def write(path, text):
    path.write_text("# amctcfg: graph=l.csv\n" + text, encoding="utf-8")
    return path


@pytest.fixture
def parses(monkeypatch):
    """How often a text was parsed."""
    seen = []
    original = parser.parse_fields
    monkeypatch.setattr(parser, "parse_fields", lambda *given, **more: seen.append(given) or original(*given, **more))
    return seen


@pytest.mark.parametrize(
    "text",
    [
        'override_layer_configs { layer_name: "a" calibration_config { } }\n',  # which a fix would delete
        'skip_layers: "a"\n',
        "common_config { ifmr_quantize { search_step: 0.00001 } }\n",
        'skip_fusion_layers: "a"\ndo_fusion: false\n',
    ],
)
def test_check_parses_a_file_once_and_once_more_to_prove_its_fixes(folder, cli, parses, text):
    write(folder / "q.cfg", text)
    assert cli("check", "q.cfg").status == 0
    assert len(parses) == (2 if "override" in text else 1)


@pytest.mark.parametrize(
    "command",
    [["check", "q.cfg"], ["expand", "q.cfg"], ["show", "q.cfg"], ["explain", "q.cfg", "a"], ["diff", "q.cfg", "q.cfg"]],
    ids=lambda command: command[0],
)
def test_a_command_reads_a_file_and_its_comments_once_and_resolves_it_once(folder, cli, monkeypatch, command):
    write(folder / "q.cfg", 'skip_layers: "a"  # amctcfg: ignore=skipped-override\n')
    made = collections.Counter()

    def count(cls):
        make = cls.__init__
        monkeypatch.setattr(
            cls, "__init__", lambda self, *given, **more: made.update([cls]) or make(self, *given, **more)
        )

    for cls in (Reading, Settings, Context):
        count(cls)
    assert cli(*command).status in (0, 1)
    assert made == dict.fromkeys((Reading, Settings, Context), command.count("q.cfg"))


@pytest.mark.parametrize("command", ["check", "expand", "show"])
def test_a_warning_about_a_setting_names_the_file(folder, cli, command):
    write(folder / "q.cfg", "# amctcfg: grph=l.csv\n")
    assert "q.cfg:2:12: warning[unknown-setting]" in cli(command, "q.cfg").out + cli(command, "q.cfg").err


def test_a_file_reads_each_of_its_parts_once(folder, parses):
    write(folder / "q.cfg", 'skip_layers: "a"\n')
    file = Workspace(Options()).open("q.cfg")
    assert file.plan is file.plan and file.document is file.document and file.diagnostics is file.diagnostics
    assert file.resolver is file.context.resolver is file.plan.resolver
    assert len(parses) == 1
    other = dataclasses.replace(file, model=file.model)
    assert other.plan == file.plan and other.plan is not file.plan


def test_models_are_read_once_and_notes_given_once(folder):
    notes = []
    workspace = Workspace(Options(), notes.append)
    for name in ("q.cfg", "r.cfg"):
        write(folder / name, "batch_num: 2\n")
    first, second = workspace.open("q.cfg"), workspace.open("r.cfg")
    assert first.flavour is second.flavour is not amctcfg.TF_ASCEND
    assert first.model is second.model
    workspace.note("once")
    workspace.note("once")
    assert [note.split(":")[0] for note in notes] == ["q.cfg", "r.cfg", "once"]


def test_a_flavour_that_does_not_exist_is_the_options_fault():
    with pytest.raises(Failure, match="did you mean"):
        Workspace(Options(flavour="pytorchh"))


# ---------------------------------------------------------------- a model that the head of a file names


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
@pytest.mark.parametrize("special", ["fifo", *thorough(["/dev/zero", "/dev/stdin"])])
def test_a_head_can_not_name_what_never_ends(folder, special):
    if special == "fifo":
        os.mkfifo("fifo")
    (folder / "q.cfg").write_text("# amctcfg: graph={}\nx: 1\n".format(special), encoding="utf-8")
    for arguments in (["check", "q.cfg"], ["completion", "query", "explain", "q.cfg", ""]):
        done = subprocess.run(
            [sys.executable, "-m", "amctcfg", *arguments],
            stdin=subprocess.PIPE, capture_output=True, timeout=30, env=dict(os.environ, PYTHONPATH=str(INSTALLED)), check=False,
        )  # fmt: skip
        if arguments[0] == "check":
            assert done.returncode == 2 and b"not a regular file" in done.stderr, done.stderr
        else:
            assert done.stdout == b""


@pytest.mark.parametrize("name", ["secret.json", "secret.csv", "secret.pbtxt", "secret.pb"])
@pytest.mark.parametrize("command", [["check"], ["expand"], ["show"], ["diff", "q.cfg"], ["suggest", "--skip", "a"]])
def test_nothing_of_a_file_that_a_head_names_is_shown(folder, cli, name, command):
    (folder / name).write_text('{"auths": "c2VjcmV0"}\nc2VjcmV0: c2VjcmV0\n', encoding="utf-8")
    (folder / "q.cfg").write_text("# amctcfg: graph={}\n".format(name), encoding="utf-8")
    done = cli(command[0], "q.cfg", *command[1:])
    assert done.status == 2
    assert name in done.err and "c2VjcmV0" not in done.out + done.err


@pytest.mark.parametrize(
    "bad", ["rules=z", "flavour=nope", "graph=missing.csv", "graph=bad.json"], ids=lambda bad: bad.split("=")[0]
)
@pytest.mark.parametrize("options", [(), ("--graph", "l.csv")], ids=["head", "option"])
def test_a_file_that_can_not_be_used_hides_no_other(folder, cli, bad, options):
    (folder / "bad.json").write_text("[1", encoding="utf-8")
    (folder / "evil.cfg").write_text("# amctcfg: {}\ny: 1\n".format(bad), encoding="utf-8")
    (folder / "victim.cfg").write_text("x: 1\n", encoding="utf-8")
    done = cli("check", "evil.cfg", "victim.cfg", "--format", "json", *options)
    found = [(d["file"], d["code"]) for d in json.loads(done.out)["diagnostics"]]
    assert ("victim.cfg", "unknown-field") in found and ("evil.cfg", "unknown-field") in found
    unreadable = not (options and bad.startswith("graph"))
    assert done.status == (2 if unreadable else 1)
    assert (("evil.cfg", "unreadable") in found) is unreadable


@pytest.mark.parametrize("head", ["", "# amctcfg: graph=other.csv\n", "# amctcfg: graph=gone.csv\n"])
def test_two_files_are_compared_on_the_model_of_the_newer_one(folder, cli, head):
    """The older one may name none, another one, or one that is not there any more."""
    (folder / "other.csv").write_text("name,type\nx,Conv2D\n", encoding="utf-8")
    write(folder / "new.cfg", 'skip_layers: "a"\n')
    (folder / "old.cfg").write_text(head + "do_fusion: true\n", encoding="utf-8")
    shown = cli("show", "new.cfg", "--against", "old.cfg")
    assert shown.status == 0 and shown.out.count("was") == 1 and "quant_enable=false (was true)" in shown.out
    compared = cli("diff", "old.cfg", "new.cfg")
    assert compared.out.startswith("quant_enable true → false for 1 layer: 'a', new.cfg:2\n")
    if not head:  # the only model there is
        assert cli("diff", "new.cfg", "old.cfg").out.startswith("quant_enable false → true for 1 layer: 'a', default")
        assert "quant_enable=true (was false)" in cli("show", "old.cfg", "--against", "new.cfg").out


def test_the_flavour_of_a_file_suits_the_model_that_it_is_compared_on(folder, cli):
    model = (Path(__file__).parent / "data" / "simulation" / "convnet.onnx").read_bytes()
    (folder / "n.onnx").write_bytes(model)
    (folder / "new.cfg").write_text('# amctcfg: graph=n.onnx\nskip_layer_types: "Gemm"\n', encoding="utf-8")
    (folder / "old.cfg").write_text("do_fusion: true\n", encoding="utf-8")
    compared = cli("diff", "old.cfg", "new.cfg")
    assert compared.status == 1 and "old.cfg: assuming flavour onnx" in compared.err
    assert "1 of 5 layers changes" in compared.out


def test_a_file_whose_model_is_gone_is_read_by_the_flavour_of_its_head(folder, cli):
    block = 'override_layer_types { layer_type: "Conv" calibration_config { } }\n'  # a type of ONNX
    (folder / "q.cfg").write_text("# amctcfg: graph=gone.onnx flavour=pytorch\n" + block, encoding="utf-8")
    result = cli("check", "q.cfg")
    assert result.status == 2 and "can't read gone.onnx" in result.err
    assert "error[unknown-type]: 'Conv' is not a quantizable type" in result.out and "'Conv2d'" in result.out


def test_a_name_that_is_near_to_none_is_answered_with_all(folder, cli):
    write(folder / "q.cfg", "")
    result = cli("check", "q.cfg", "--flavour", "zzzzzzzz")
    assert result.status == 2 and "there is no flavour 'zzzzzzzz'; there are tf-ascend, tensorflow, onnx" in result.err
