# SPDX-License-Identifier: Apache-2.0
"""The command check: folders, standard input, fixes, limits, and what the last line says."""

import json
import os
import re
import subprocess
import sys

import pytest

import amctcfg

from .conftest import THOROUGH, thorough
from .test_cli_commands import ENVIRONMENT, process


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "l.csv").write_text("name,type\nconv1,Conv2D\nfc,MatMul\n", encoding="utf-8")
    return tmp_path


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


# ---------------------------------------------------------------- folders


def found_in(result):
    return sorted({d["file"].replace(os.sep, "/") for d in json.loads(result.out)["diagnostics"]})


def test_a_folder_is_looked_through(folder, cli):
    for name in ("b.cfg", "a/deep/c.cfg", ".hidden/d.cfg", "env/pyvenv.cfg", "env/e.cfg", "notes.txt"):
        write(folder / name, "x: 1\n")
    write(folder / "setup.cfg", "\n# comment\n[metadata]\nname = x\n")
    result = cli("check", ".", "--format", "json")
    assert (result.status, found_in(result)) == (1, ["a/deep/c.cfg", "b.cfg"])
    assert found_in(cli("check", "a", "b.cfg", "--format", "json")) == ["a/deep/c.cfg", "b.cfg"]


@pytest.mark.parametrize(
    "patterns, left",
    [
        (["b.cfg"], ["a/c.cfg", "a/d/e.cfg"]),
        (["a"], ["b.cfg"]),
        (["a/"], ["b.cfg"]),
        (["a/*"], ["b.cfg"]),
        (["d"], ["a/c.cfg", "b.cfg"]),
        (["a/d/e.cfg", "b*"], ["a/c.cfg"]),
    ],
)
def test_exclude(folder, cli, patterns, left):
    for name in ("b.cfg", "a/c.cfg", "a/d/e.cfg"):
        write(folder / name, "x: 1\n")
    options = [word for pattern in patterns for word in ("--exclude", pattern)]
    assert found_in(cli("check", ".", "--format", "json", *options)) == left


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
def test_a_pipe_in_a_folder_is_not_waited_for(folder):
    write(folder / "b.cfg", "x: 1\n")
    os.mkfifo(str(folder / "p.cfg"))
    os.symlink("gone", str(folder / "q.cfg"))
    command = [sys.executable, "-m", "amctcfg", "check", ".", "--format", "concise"]
    done = subprocess.run(command, cwd=str(folder), env=ENVIRONMENT, stdout=-1, stderr=-1, timeout=60)
    assert done.returncode == 2 and done.stdout.count(b"error[") == 2  # the field, and the link that leads nowhere
    assert b"p.cfg" not in done.stdout


def test_a_folder_without_configurations(folder, cli):
    result = cli("check", ".")
    assert (result.status, result.out) == (0, "All checks passed.\n")
    assert "no configurations" in result.err
    assert cli("check", ".", "-q").err == ""


def test_the_name_of_standard_input(folder, cli):
    write(folder / "sub" / "m.csv", "name,type\na,Conv2D\n")
    text = b'# amctcfg: graph=m.csv\nskip_layers: "b"\n'
    result = cli("check", "-", "--stdin-filename", "sub/q.cfg", "--format", "concise", stdin=text)
    assert result.status == 1 and result.out.startswith("sub/q.cfg:2:14: error[unknown-layer]")
    assert cli("check", "-", stdin=text).status == 2  # m.csv is not in this folder


# ---------------------------------------------------------------- fixes


def test_only_fix_writes(folder, cli):
    text = "do_fusion: yes\nskip_layer_types: 'conv2d'\n"
    path = write(folder / "q.cfg", text)
    before = path.stat().st_mtime_ns
    result = cli("check", "q.cfg", "--unsafe-fixes")
    assert path.read_text(encoding="utf-8") == text and path.stat().st_mtime_ns == before
    assert result.status == 1 and result.out.endswith("Found 2 errors (2 fixable with --fix --unsafe-fixes).\n")
    result = cli("check", "q.cfg", "--fix", "--unsafe-fixes")
    assert (
        result.out == "q.cfg:1: true for yes\nq.cfg:2: \"Conv2D\" for 'conv2d'\nFixed 2 problems; no problems left.\n"
    )
    assert result.status == 0


def test_the_last_line_counts_what_is_safe_and_what_is_not(folder, cli):
    write(folder / "q.cfg", "do_fusion: yes\nskip_layers: ['a', 'a']\n")
    line = cli("check", "q.cfg").out.splitlines()[-1]
    assert line == "Found 2 errors (1 fixable with --fix, 1 more with --fix --unsafe-fixes)."


def test_fixes_of_standard_input_leave_stdout_to_the_text(folder, cli):
    result = cli("check", "-", "--fix", stdin=b"do_fusion: maybe\nskip_layers: ['a', 'a']\n")
    assert result.out == "do_fusion: maybe\nskip_layers: ['a']\n"
    assert result.status == 1 and "'a' deleted" in result.err and "error[wrong-type]" in result.err
    for option in (["-q"], ["--max-errors", "1"]):
        result = cli("check", "-", "--fix", *option, stdin=b"do_fusion: maybe\nfuse: 1\n")
        assert (result.status, result.out) == (1, "do_fusion: maybe\nfuse: 1\n") and "error[wrong-type]" in result.err


def test_diff_fails_on_what_it_can_not_fix(folder, cli):
    write(folder / "q.cfg", "do_fusion: maybe\n")
    result = cli("check", "--diff", "q.cfg")
    assert (result.status, result.out) == (1, "") and "error[wrong-type]" in result.err
    write(folder / "q.cfg", "skip_layers: ['a', 'a']\n")
    result = cli("check", "--diff", "q.cfg")
    assert result.status == 1 and "+skip_layers: ['a']" in result.out and result.err == ""
    write(folder / "q.cfg", "skip_layers: ['a']\n")
    assert (cli("check", "--diff", "q.cfg").status, cli("check", "--diff", "q.cfg").out) == (0, "")


# ---------------------------------------------------------------- limits


def test_a_screen_of_diagnostics_and_the_count_of_all(folder, cli):
    write(folder / "q.cfg", "x: 1\n" * 1200)
    result = cli("check", "q.cfg")
    assert result.out.count("error[") == 100
    tail = result.out.splitlines()[-2:]
    assert tail[0].startswith("… and 1,100 more") and tail[1].startswith("Found 1200 errors")
    assert cli("check", "q.cfg", "--max-errors", "3").out.count("error[") == 3
    assert cli("check", "q.cfg", "--max-errors", "0").out.count("error[") == 1200
    assert "'-1' is not a number from 0 on" in cli("check", "q.cfg", "--max-errors", "-1").err
    assert cli("check", "q.cfg", "--max-errors", "3", "--format", "concise").out.count("\n") == 3
    assert cli("check", "q.cfg", "--format", "github").out.count("\n") == 1200
    assert len(json.loads(cli("check", "q.cfg", "--max-errors", "3", "--format", "json").out)["diagnostics"]) == 1200
    assert cli("check", "q.cfg", "--max-errors", "3", "--statistics").out.endswith("  1200  unknown-field\n")
    report = cli("check", "q.cfg", "--format", "json", "--statistics")
    assert len(json.loads(report.out)["diagnostics"]) == 1200 and report.err.endswith("  1200  unknown-field\n")
    write(folder / "r.cfg", "x: 1\n" * 60)
    write(folder / "s.cfg", "x: 1\n" * 60)
    assert cli("check", "r.cfg", "s.cfg").out.count("error[") == 100  # of all files together


# ---------------------------------------------------------------- options of every command


def test_quiet_verbose_and_color(folder, cli, monkeypatch):
    write(folder / "q.cfg", "# amctcfg: graph=l.csv\nbatch_num: 1\n")
    assert "q.cfg: assuming flavour tensorflow (batch_num)" in cli("check", "q.cfg").err
    assert cli("check", "q.cfg", "-q").err == "" and cli("show", "q.cfg", "--quiet").err == ""
    words = "q.cfg: flavour tensorflow, documented rules, on 2 layers of l.csv"
    assert words in cli("expand", "q.cfg", "-v").err
    monkeypatch.setenv("NO_COLOR", "1")
    write(folder / "bad.cfg", "x: 1\n")
    assert "\x1b[31m" in cli("check", "bad.cfg", "--color", "always").out
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" not in cli("check", "bad.cfg", "--color=never").out
    assert "\x1b[32m+skip_layers" in cli("fmt", "--diff", "-", stdin=b"skip_layers:'a'\n").out


@pytest.mark.parametrize("command", ["check", "show", "fmt", "layers", "codes"])
def test_a_bad_value_is_one_line(cli, command):
    result = cli(command, "q.cfg", "--color", "blue")
    assert (result.status, result.out) == (2, "")
    assert result.err.count("\n") == 1 and "blue" in result.err and "amctcfg {} --help".format(command) in result.err


# ---------------------------------------------------------------- init


def test_init_replaces_nothing_unless_it_is_to(folder, cli):
    path = write(folder / "mine.cfg", "# tuned for weeks\n")
    result = cli("init", "--graph", "l.csv", "-o", "mine.cfg")
    assert result.status == 2 and "--force" in result.err
    assert path.read_text(encoding="utf-8") == "# tuned for weeks\n"
    assert cli("init", "--graph", "l.csv", "-o", "mine.cfg", "--force").status == 0
    assert path.read_text(encoding="utf-8").startswith("# amctcfg: graph=l.csv")
    assert cli("init", "--graph", "l.csv", "-o", "/dev/null").status == 0


# ---------------------------------------------------------------- what reaches a log


def test_no_line_is_a_command_of_a_workflow(folder, cli):
    name = "::stop-commands::tok"
    write(folder / "g.json", json.dumps([{"name": name, "type": "Conv2D"}, {"name": " " + name, "type": "Conv2D"}]))
    write(folder / "q.cfg", "# amctcfg: graph=g.json\n")
    text = "# \x1b[31m\n ::error::x\ndo_fusion:true\n ::error::y\n"
    write(folder / "::error::x.cfg", text)
    commands = [
        ["layers", "g.json"],
        ["show", "q.cfg"],
        ["explain", "q.cfg", "--all"],
        ["check", "::error::x.cfg"],
        ["check", "::error::x.cfg", "--format", "concise"],
        ["fmt", "--diff", "-"],
    ]
    for arguments in commands:
        result = cli(*arguments, stdin=b"# \x1b[31m\nskip_layers:'a'\n # ::error::x\n # \n::error: 1\n")
        for line in (result.out + result.err).splitlines():
            assert not line.lstrip().startswith("::") and "\x1b" not in line, (arguments, line)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names of files are text there")
def test_a_file_name_that_is_not_text(folder):
    name = os.fsencode("bad") + b"\xff.cfg"
    with open(name, "wb") as file:
        file.write(b"x: 1\n")
    done = process("check", os.fsdecode(name), "--format", "sarif", cwd=str(folder))
    (row,) = json.loads(done.stdout.decode("utf-8"))["runs"][0]["results"]
    assert row["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "bad%FF.cfg"
    with open(name, "wb") as file:
        file.write(b"# nothing\n")
    arguments = ["show", os.fsdecode(name), "--graph", "l.csv", "--format", "json", "-o", "o.json"]
    assert process(*arguments, cwd=str(folder)).returncode == 0
    assert json.loads((folder / "o.json").read_text(encoding="utf-8"))["file"] == "bad\udcff.cfg"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
@pytest.mark.parametrize("unbuffered", ["", *thorough(["1"])])
def test_output_that_is_cut_is_noticed(folder, unbuffered):
    """A stream without a buffer drops what the descriptor does not take at once."""
    rows = "".join("layer{},Conv2D\n".format(number) for number in range(250))  # more than a pipe takes
    write(folder / "big.csv", "name,type\n" + rows)
    write(folder / "q.cfg", "# amctcfg: graph=big.csv\n")
    environment = dict(ENVIRONMENT, PYTHONUNBUFFERED=unbuffered)
    command = '{} -m amctcfg expand q.cfg | head -c 1 >/dev/null; echo "${{PIPESTATUS[0]}}"'.format(sys.executable)
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, check=False, timeout=60)
    assert done.stdout.strip() == b"141", done
    read_slowly = (
        "import os, sys, time; time.sleep(0.5); data = sys.stdin.buffer.read(); sys.stdout.write(str(len(data)))"
    )
    command = '{0} -m amctcfg expand q.cfg | {0} -c "{1}"'.format(sys.executable, read_slowly)
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, check=False, timeout=60)
    whole = len(amctcfg.expand(amctcfg.AMCTConfig(), amctcfg.load_layers("big.csv")).to_json()) + 1
    assert int(done.stdout) == whole
    resource = "ulimit -f 64; {} -m amctcfg expand q.cfg > out.json".format(sys.executable)
    done = subprocess.run(["bash", "-c", resource], env=environment, capture_output=True, check=False, timeout=60)
    assert done.returncode != 0 and (folder / "out.json").stat().st_size < whole


def test_diff_reports_both_files_and_exits_with_2(folder, cli):
    write(folder / "a.cfg", "x: 1\n")
    write(folder / "b.cfg", "y: 1\n")
    result = cli("diff", "a.cfg", "b.cfg", "--graph", "l.csv")
    assert (result.status, result.out) == (2, "")
    assert "a.cfg:1:1: error" in result.err and "b.cfg:1:1: error" in result.err


def test_a_model_that_can_not_be_read_hides_no_error_and_keeps_fixes_away(folder, cli):
    text = "# amctcfg: flavour=pytorch\nbatch_num: 2\ndo_fusion: yes\n"
    write(folder / "a.cfg", text)
    result = cli("check", "a.cfg", "--graph", "missing.pb")
    assert result.status == 2 and "missing.pb" in result.err
    assert [line for line in result.out.splitlines() if "error" in line] == [
        "a.cfg:3:12: error[wrong-type]: do_fusion is true or false, not yes", "Found 1 error."
    ]  # fmt: skip
    assert cli("check", "a.cfg", "--graph", "missing.pb", "--fix").status == 2
    assert (folder / "a.cfg").read_text(encoding="utf-8") == text
    write(folder / "a.json", "{")
    assert cli("check", "a.json", "--graph", "missing.pb").out == ""


def test_fixes_that_are_not_tried_are_said(folder, cli):
    block = "override_layer_configs { layer_name: '%d' calibration_config { ifmr_quantise { nope: 1 nepo: 2 } } }\n"
    write(folder / "few.cfg", "".join(block % number for number in range(3)))
    write(folder / "many.cfg", "".join(block % number for number in range(200)))
    for arguments in (["--fix"], ["--diff"]) if THOROUGH else (["--diff"],):  # each fix reveals two errors
        assert "not tried" not in cli("check", "few.cfg", "--unsafe-fixes", *arguments).err
        result = cli("check", "many.cfg", "--unsafe-fixes", *arguments)
        assert re.search(r"many.cfg: 1\d\d of the possible fixes not tried", result.err)


def test_fmt_names_the_options_of_atc_as_check_does(folder, cli):
    write(folder / "atc.cfg", "calibration:\n{\n  input_data_dir: ./d.bin\n  config_file: quant.cfg\n}\n")
    for arguments in (["check"], ["fmt", "--check"], ["fmt"]):
        result = cli(*arguments, "atc.cfg")
        assert result.status == 1 and "error[foreign-family]" in result.out + result.err, arguments


def test_what_is_wrong_with_one_model_is_said_once_and_a_heads_fault_with_its_file(folder, cli):
    for name in ("a.cfg", "b.cfg"):
        write(folder / name, "do_fusion: true\n")
    result = cli("check", "a.cfg", "b.cfg", "--graph", "missing.pb")
    assert result.status == 2 and result.err.count("missing.pb") == 1
    write(folder / "h.cfg", "# amctcfg: flavour=onxx\n")
    assert "h.cfg: there is no flavour 'onxx'; did you mean 'onnx'?" in cli("check", "h.cfg").err
