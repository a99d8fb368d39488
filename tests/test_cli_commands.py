# SPDX-License-Identifier: Apache-2.0
"""Every command on hostile names, files and streams: what reaches the terminal, what is written, and the exit status."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import amctcfg
from amctcfg.cli import run
from amctcfg.cli.arguments import COMMANDS

from .conftest import THOROUGH

INSTALLED = Path(amctcfg.__file__).parent.parent
ENVIRONMENT = dict(os.environ, PYTHONPATH=str(INSTALLED))

EVIL = "a\x1b[2J\x07\n::error::x\u202e\u2028\x9b1m\x7fb"

# What must not be raw in text for people, but line feeds of our own.
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def process(*arguments, **options):
    command = [sys.executable, "-m", "amctcfg", *map(str, arguments)]
    return subprocess.run(command, **dict(dict(capture_output=True, env=ENVIRONMENT, check=False), **options))


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """A folder whose layers, configuration and file names are hostile."""
    monkeypatch.chdir(tmp_path)
    rows = [
        {"name": EVIL, "type": "Conv2D"},
        {"name": EVIL + "2", "type": "Conv2D"},
        {"name": "r" + EVIL, "type": "R" + EVIL},
    ]
    (tmp_path / "l.json").write_text(json.dumps(rows), encoding="utf-8")
    text = "skip_layers: {}\nskip_layers: {}\n".format(json.dumps(EVIL + "2"), json.dumps(EVIL + "X"))
    good = "override_layer_configs {{ layer_name: {} calibration_config {{ }} }}\n".format(json.dumps(EVIL))
    name = "q\x1b[31m\u202e.cfg"
    (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "good.cfg").write_text(good, encoding="utf-8")
    (tmp_path / "s.json").write_text(json.dumps({EVIL: 0.5, EVIL + "Z": 0.1}), encoding="utf-8")
    return name


def test_no_command_writes_raw_control_characters(hostile, cli):
    skip_all = ["--skip", "a*"]
    commands = [
        ["check", hostile, "--graph", "l.json"],
        ["check", hostile, "--graph", "l.json", "--format", "concise"],
        ["check", hostile, "--graph", "l.json", "--format", "github"],
        ["check", hostile, "--graph", "l.json", "-q", "--statistics"],
        ["check", "no" + EVIL.replace("\n", "") + ".cfg"],
        ["check", "good.cfg", "--graph", "no" + EVIL.replace("\x00", "")],
        ["check", hostile, "--flavour", EVIL],
        ["explain", "good.cfg", EVIL, "--graph", "l.json"],
        ["explain", "good.cfg", EVIL + "Y", "--graph", "l.json"],
        ["show", "good.cfg", "--graph", "l.json"],
        ["layers", "l.json"],
        ["diff", "good.cfg", "good.cfg", "--graph", "l.json", "--all"],
        ["diff", "good.cfg", hostile, "--graph", "l.json"],
        ["fmt", "--check", hostile],
        ["fmt", "--check", "no" + EVIL.replace("\n", "")],
        ["expand", hostile, "--graph", "l.json"],
        ["condense", "l.json", "--graph", "l.json"],
        ["suggest", "good.cfg", "--graph", "l.json", "--scores", "s.json", "--worst", "1", "--low-is-sensitive", "-o", "out.cfg"],
        ["suggest", "good.cfg", "--graph", "l.json", *skip_all],
        ["audit", "good.cfg", "--graph", "l.json", "--record", os.devnull],
        ["bisect", "good.cfg", "--graph", "l.json", "--", "./no" + EVIL, "{}"],
        [EVIL],
        ["check", "--" + EVIL],
    ]  # fmt: skip
    for arguments in commands:
        result = cli(*arguments)
        for text in (result.out, result.err):
            assert not RAW.search(text), (arguments, RAW.search(text), text)
            assert not re.search(r"^::error::x", text, re.MULTILINE), arguments
            assert "Traceback" not in text, arguments


def test_tables_and_texts_carry_names_neutrally(hostile, cli):
    """JSON and literals have escapes for a name; CSV and plain lines have none, and are refused."""
    own = ["good.cfg", "--graph", "l.json"]
    names = [EVIL, EVIL + "2", "r" + EVIL]
    for arguments in (["layers", "l.json"], ["show", *own], ["suggest", *own, "--skip", "*"], ["explain", *own, "*"]):
        out = cli(*arguments, "--format", "json").out
        assert not RAW.search(out) and json.dumps(EVIL) in json.dumps(json.loads(out)), arguments
    for form, arguments in (
        ("csv", ["layers", "l.json"]),
        ("csv", ["show", *own]),
        ("names", ["suggest", *own, "--skip", "*"]),
    ):
        done = cli(*arguments, "--format", form)
        assert done.status == 2 and not done.out and "use --format json" in done.err, arguments
    done = cli("suggest", *own, "--skip", "a*2", "--reason", EVIL)
    assert not RAW.search(done.out) and amctcfg.loads(done.out).skip_layers == (names[1],)
    assert "# a\\x1b[2J" in done.out
    assert not RAW.search(cli("init", "--graph", "l.json").out)


def test_tables_without_escapes_quote_what_begins_a_command(tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    names = ["::stop-commands::tok", " ::error::x", "a"]
    (tmp_path / "l.json").write_text(json.dumps([{"name": name, "type": "Conv2D"} for name in names]))
    (tmp_path / "q.cfg").write_text("")
    for arguments in (["layers", "l.json"], ["show", "q.cfg", "--graph", "l.json"]):
        out = cli(*arguments, "--format", "csv").out
        assert not re.search(r"^\s*::", out, re.MULTILINE)
        assert [row[0] for row in csv.reader(io.StringIO(out))][1:] == names
    suggest = ["suggest", "q.cfg", "--graph", "l.json", "--format", "names", "--skip"]
    assert cli(*suggest, "a").out == "a\n"
    assert cli(*suggest, "*").status == 2


def test_what_is_content_stays_as_it_is(hostile, cli):
    """JSON and `fmt -` are the file's own."""
    listed = json.loads(cli("layers", "l.json", "--format", "json").out)
    assert listed[0]["name"] == EVIL
    text = "skip_layers: '\x1b'  # \u202e\n"
    assert cli("fmt", "-", stdin=text.encode()).out == text.replace("'", '"')
    assert json.loads(cli("expand", "good.cfg", "--graph", "l.json").out)[EVIL]


def test_results_are_utf8_whatever_the_locale(tmp_path):
    (tmp_path / "l.csv").write_text("name,type\nfür,Conv2D\n卷积,Conv2D\n", encoding="utf-8")
    (tmp_path / "q.cfg").write_text('skip_layers: "für"\n', encoding="utf-8")
    for encoding in ("ascii", "cp1252", "utf-8") if THOROUGH else ("ascii",):
        environment = dict(ENVIRONMENT, PYTHONIOENCODING=encoding)
        for arguments in (
            ["layers", "l.csv", "--format", "json"],
            ["suggest", "q.cfg", "--graph", "l.csv", "--skip", "none"],
        ):
            done = process(*arguments, cwd=str(tmp_path), env=environment)
            assert done.returncode == 0 and "für".encode() in done.stdout, (encoding, done)
        done = process("check", "nöwhere.cfg", cwd=str(tmp_path), env=environment)
        assert done.returncode == 2 and b"Traceback" not in done.stderr


def test_closed_streams(tmp_path):
    (tmp_path / "l.csv").write_text("name,type\na,Conv2D\n", encoding="utf-8")
    command = "{} -m amctcfg {}".format(sys.executable, "{}")
    for tail in ("layers l.csv >&-", "check - <&-", "expand - --graph l.csv <&- >&-"):
        done = subprocess.run(
            command.format(tail), shell=True, cwd=str(tmp_path), capture_output=True, env=ENVIRONMENT, check=False
        )
        assert done.returncode == 2 and b"is closed" in done.stderr and b"Traceback" not in done.stderr
    done = subprocess.run(
        command.format("layers l.csv >/dev/full"),
        shell=True,
        cwd=str(tmp_path),
        capture_output=True,
        env=ENVIRONMENT,
        check=False,
    )
    assert done.returncode == 2 and b"No space left on device" in done.stderr


# ---------------------------------------------------------------- files that are written


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "l.csv").write_text("name,type\na,Conv2D\nb,MatMul\n", encoding="utf-8")
    (tmp_path / "q.cfg").write_text("do_fusion: true\n", encoding="utf-8")
    return tmp_path


def test_an_output_that_is_an_input_is_refused(folder, cli):
    (folder / "same.csv").symlink_to("l.csv")
    for out in ("q.cfg", "l.csv", "same.csv", str(folder / "l.csv")):
        result = cli("expand", "q.cfg", "--graph", "l.csv", "-o", out)
        assert result.status == 2 and "is one of the inputs" in result.err
    assert (folder / "l.csv").read_text(encoding="utf-8").startswith("name,type")


def test_the_model_of_the_file_that_is_compared_is_an_input_too(folder, cli):
    for name in ("new", "old"):
        (folder / (name + ".csv")).write_text("name,type\na,Conv2D\n", encoding="utf-8")
        (folder / (name + ".cfg")).write_text("# amctcfg: graph={}.csv\n".format(name), encoding="utf-8")
    for out in ("new.csv", "old.csv", "old.cfg"):
        result = cli("show", "new.cfg", "--against", "old.cfg", "-o", out)
        assert (result.status, result.out) == (2, "") and "is one of the inputs" in result.err
    assert (folder / "old.csv").read_text(encoding="utf-8").startswith("name,type")


def test_pipes_and_devices_are_written_to(folder):
    done = subprocess.run(
        "echo first > out; {0} -m amctcfg expand q.cfg --graph l.csv -o /dev/stdout >> out; echo last >> out".format(sys.executable),
        shell=True, env=ENVIRONMENT, capture_output=True, check=False, cwd=str(folder),
    )  # fmt: skip
    lines = (folder / "out").read_text(encoding="utf-8").splitlines()
    assert (lines[0], lines[1], lines[-1]) == ("first", "{", "last") and done.returncode == 0
    (folder / "q.json").write_text(json.dumps({"a": {"quant_enable": True, "activation_quant_params": {}}}))
    for command in (["init"], ["condense", "q.json"]) if THOROUGH else (["condense", "q.json"],):
        with (folder / "out").open("wb") as out:
            arguments = [*command, "--graph", "l.csv", "-o", "/dev/stdout"]
            done = process(*arguments, cwd=str(folder), stdout=out, stderr=subprocess.PIPE, capture_output=False)
        assert done.returncode == 0 and (folder / "out").read_text(encoding="utf-8").startswith(
            "# amctcfg: graph=l.csv"
        ), done
    fifo = folder / "fifo"
    os.mkfifo(str(fifo))
    received = []
    reader = threading.Thread(target=lambda: received.append(fifo.read_text(encoding="utf-8")))
    reader.start()
    assert process("expand", "q.cfg", "--graph", "l.csv", "-o", "fifo", cwd=str(folder)).returncode == 0
    reader.join(10)
    assert json.loads(received[0]) and fifo.is_fifo()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
def test_a_pipe_in_the_folder_of_a_model_is_not_waited_for(folder):
    (folder / "saved").mkdir()
    os.mkfifo(str(folder / "saved" / "saved_model.pb"))
    (folder / "q.cfg").write_text("# amctcfg: graph=saved\n", encoding="utf-8")
    command = [sys.executable, "-m", "amctcfg", "check", "q.cfg"]
    done = subprocess.run(command, cwd=str(folder), env=ENVIRONMENT, stdout=-1, stderr=-1, timeout=60)
    assert done.returncode == 2 and b"can't use saved as a model" in done.stderr


def test_long_names_permissions_and_no_leftovers(folder, cli):
    name = "n" * 251 + ".cfg"
    (folder / name).write_text("do_fusion:true", encoding="utf-8")
    (folder / name).chmod(0o640)
    assert cli("fmt", name).status == 0
    assert (folder / name).read_text(encoding="utf-8") == "do_fusion: true\n"
    assert (folder / name).stat().st_mode & 0o777 == 0o640
    result = cli("expand", "q.cfg", "--graph", "l.csv", "-o", "nowhere/out.json")
    assert result.status == 2 and "nowhere/out.json" in result.err and ".amctcfg-" not in result.err
    assert [p.name for p in folder.iterdir() if p.name.startswith(".")] == []


def test_an_interrupt_leaves_no_temporary_file(folder, monkeypatch):
    from amctcfg.documents import files

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        amctcfg.dump(amctcfg.AMCTConfig(), folder / "q.cfg")
    monkeypatch.undo()
    assert sorted(p.name for p in folder.iterdir()) == ["l.csv", "q.cfg"]
    assert (folder / "q.cfg").read_text(encoding="utf-8") == "do_fusion: true\n"


def test_fmt_goes_on_after_a_file_that_it_cannot_write(folder, cli, monkeypatch):
    from amctcfg.cli import console

    for name in ("x.cfg", "y.cfg"):
        (folder / name).write_text("do_fusion:true", encoding="utf-8")
    written = console.write

    def write(text, path, before=None):
        if path == "x.cfg":
            raise OSError(30, "Read-only file system", path)
        written(text, path)

    monkeypatch.setattr(console, "write", write)
    result = cli("fmt", "x.cfg", "y.cfg")
    assert result.status == 2 and "can't write x.cfg: Read-only file system" in result.err
    assert (folder / "y.cfg").read_text(encoding="utf-8") == "do_fusion: true\n"


def test_fmt_diff_is_gits(folder, cli):
    (folder / "x.cfg").write_bytes(b"do_fusion:true")
    assert "\\ No newline at end of file" in cli("fmt", "--diff", "x.cfg").out
    (folder / "x.cfg").write_bytes(b"do_fusion: true\r\nskip_layers:'a'\r\n")
    result = cli("fmt", "--diff", "x.cfg")
    assert "-do_fusion" not in result.out and "-skip_layers:'a'" in result.out
    assert cli("fmt", "x.cfg").status == 0
    assert (folder / "x.cfg").read_bytes() == b'do_fusion: true\r\nskip_layers: "a"\r\n'


def test_load_and_dump_of_open_files(folder):
    config = amctcfg.AMCTConfig(skip_layers=["für"])
    with open(folder / "o.cfg", "w", encoding="utf-8") as file:
        amctcfg.dump(config, file)
    with open(folder / "o.cfg", encoding="utf-8") as file:
        assert amctcfg.load(file) == config
    with open(folder / "o.cfg", "rb") as file:
        assert amctcfg.load(file) == config == amctcfg.load(folder / "o.cfg") == amctcfg.load(str(folder / "o.cfg"))
    with open(folder / "o.cfg", encoding="ascii") as file, pytest.raises(amctcfg.ConfigError, match="encoding"):
        amctcfg.load(file)
    out = io.StringIO()
    amctcfg.dump(config, out)
    assert out.getvalue() == amctcfg.dumps(config)
    for path in ("no\0where", folder / "nowhere.cfg", folder):
        with pytest.raises(OSError):
            amctcfg.load(path)
    with pytest.raises(OSError):
        amctcfg.dump(config, "no\0where")


@pytest.mark.parametrize("name", [3, None, b"a.cfg", ["a"]])
def test_a_name_that_is_not_one(name):
    for function in (amctcfg.parse, amctcfg.check, amctcfg.format):
        with pytest.raises(TypeError, match="name has to be a string or a path"):
            function("", name=name)
    with pytest.raises(TypeError, match="name has to be a string or a path"):
        amctcfg.condense({}, [], name=name)
    assert amctcfg.parse("", name=Path("a.cfg")).name == "a.cfg"


def test_friendly_errors_of_the_library():
    config = amctcfg.AMCTConfig()
    with pytest.raises(TypeError, match="load_layers"):
        amctcfg.expand(config, "m.pb")
    for function in (amctcfg.merge, amctcfg.explain):
        with pytest.raises(TypeError, match="takes a Layer, such as"):
            function(config, "a")


def test_deep_trees_pickle_and_print():
    import copy
    import pickle

    tree = amctcfg.textformat.parse("a{" * 5000 + "}" * 5000)
    assert "5000" not in repr(tree) and str(tree).count("a {") == 5000
    clone = pickle.loads(pickle.dumps(tree))
    assert clone.source.text == tree.source.text and copy.deepcopy(tree) is not None
    document = amctcfg.parse("do_fusion: true")
    assert document == amctcfg.parse("do_fusion: true") != amctcfg.parse("do_fusion: false")
    assert hash(document) == hash(pickle.loads(pickle.dumps(document)))


# ---------------------------------------------------------------- habits


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["chek"], "there is no command 'chek'; did you mean 'check'?"),
        (["check", "q.cfg", "--grahp", "l.csv"], "there is no option --grahp; did you mean '--graph'?"),
        (["--versoin"], "there is no option '--versoin'"),
        (["explain", "q.cfg", "a", "--graph", "l.csv", "--type", "Conv2D"], "leave it out"),
        (["explain", "q.cfg", "a", "--all", "--graph", "l.csv"], "not both"),
        (["check", "q.cfg", "--ignore", "syntax"], "only warnings can be ignored"),
        (["check", "q.cfg", "--ignore", "partial-overide"], "did you mean 'partial-override'?"),
        (["help", "shw"], "did you mean 'show'?"),
        (["help", "--", "-x"], "there is no command '-x'"),
        (["codes", "sintax"], "did you mean 'syntax'?"),
    ],
)
def test_wrong_usage_gets_the_nearest(folder, cli, arguments, words):
    result = cli(*arguments)
    assert (result.status, result.out) == (2, "") and words in result.err


def test_help_and_versions(cli):
    assert cli("-V").out == cli("check", "--version").out == "amctcfg {}\n".format(amctcfg.__version__)
    shown = cli("help").out
    assert all(re.search(r"\b{}\b".format(name), shown) for name in COMMANDS) and shown == cli("--help").out
    assert shown.count("\n") <= 24 and max(map(len, shown.splitlines())) <= 80
    for name in COMMANDS:
        assert cli("help", name).out == cli(name, "--help").out and cli(name, "--help").status == 0


def test_two_dashes_end_the_options(folder, cli):
    (folder / "-x.cfg").write_text("do_fusion: true\n", encoding="utf-8")
    assert cli("check", "--", "-x.cfg").status == 0
    assert cli("fmt", "--check", "--", "-x.cfg").status == 0


def test_standard_input_is_read_once(folder, cli):
    (folder / "l.json").write_text("[]", encoding="utf-8")
    result = cli("diff", "-", "-", "--graph", "l.json", stdin=b"do_fusion: true")
    assert result.status == 2 and "standard input can be read once only" in result.err


def test_summary_statistics_and_quiet(folder, cli):
    (folder / "bad.cfg").write_text("do_fusion: maybe\nskip_layers: ['a', 'a']\n", encoding="utf-8")
    result = cli("check", "bad.cfg", "q.cfg")
    assert result.out.endswith("Found 2 errors in 2 files (1 fixable with --fix).\n")
    result = cli("check", "bad.cfg", "-q")
    assert len(result.out.splitlines()) == 2
    quiet_fix = cli("check", "-", "--fix", "-q", stdin=b"do_fusion: maybe\n")  # the text has standard output
    assert quiet_fix.err.splitlines() == [
        "<stdin>:1:12: error[wrong-type]: do_fusion is true or false, not maybe (write true or false)"
    ]
    assert cli("check", "bad.cfg", "-q", "--statistics").out.endswith("     1  duplicate-entry\n     1  wrong-type\n")
    assert cli("check", "q.cfg").out == "All checks passed.\n"
    assert cli("check", "q.cfg", "-q").out == ""


@pytest.mark.parametrize("command", ["explain", "diff", "fmt", "expand", "show", "check"])
def test_strict_warnings_and_ignore_on_every_command_that_warns(folder, cli, command):
    (folder / "w.cfg").write_text(
        "common_config {\n  ifmr_quantize {\n    search_step: 0.0100000001\n  }\n}\n", encoding="utf-8"
    )
    rest = {"explain": ["a"], "diff": ["w.cfg"], "fmt": ["--check"]}.get(command, [])
    model = [] if command == "fmt" else ["--graph", "l.csv"]
    assert cli(command, "w.cfg", *rest, *model).status == 0
    assert cli(command, "w.cfg", *rest, *model, "--strict-warnings").status == 1
    assert cli(command, "w.cfg", *rest, *model, "--strict-warnings", "--ignore", "float32-rounding").status == 0


def test_init_for_a_model_without_a_quantizable_layer_has_the_first_type_for_an_example(folder, cli):
    (folder / "m.csv").write_text("name,type\na,Relu\n", encoding="utf-8")
    assert '# skip_layer_types: "Conv2d"\n' in cli("init", "--graph", "m.csv", "--flavour", "pytorch").out


def test_init_writes_what_checks_and_expands_to_the_default(folder, cli):
    for flavour, types in (
        ("tf-ascend", "Conv2D MatMul"),
        ("onnx", "Conv Gemm"),
        ("pytorch", "Conv2d Linear"),
        ("caffe", "Convolution Pooling"),
    ):
        rows = "".join("l{},{}\n".format(n, kind) for n, kind in enumerate(types.split()))
        (folder / "m.csv").write_text("name,type\n" + rows, encoding="utf-8")
        result = cli("init", "--graph", "m.csv", "--flavour", flavour, "-o", "new.cfg", "--force")
        assert (result.status, result.out) == (0, "")
        assert cli("check", "new.cfg", "--strict-warnings", "-q").out == ""
        expanded = [
            json.loads(cli("expand", path, "--graph", "m.csv", "--flavour", flavour, stdin=b"").out)
            for path in ("new.cfg", "-")
        ]
        assert expanded[0] == expanded[1]
    assert cli("init").status == 2


def test_layers_can_be_chosen(folder, cli):
    assert cli("layers", "l.csv", "--match", "a*").out.split() == ["a", "Conv2D", "quantizable"]
    assert [line.split()[0] for line in cli("layers", "l.csv", "--quantizable").out.splitlines()] == ["a", "b"]


def test_an_interrupt_is_130(folder):
    body = "import time\nopen({!r}, 'w').close()\ntime.sleep(30)\n".format(str(folder / "begun"))
    (folder / "slow.py").write_text(body, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "amctcfg",
        "bisect",
        "q.cfg",
        "--graph",
        "l.csv",
        "--",
        sys.executable,
        "slow.py",
        "{}",
    ]
    running = subprocess.Popen(
        command,
        cwd=str(folder),
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Where the tests run in the background of a shell they ignore interrupts, and hand that down.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    deadline = time.monotonic() + 20
    while not (folder / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=20)
    assert running.returncode == 130 and b"run the same command again" in err and b"Traceback" not in err


def test_run_without_streams():
    err = io.StringIO()
    assert run(["layers", "x"], None, None, err) == 2 and "closed" in err.getvalue()
    assert run(["check", "-"], None, io.StringIO(), err) == 2


@pytest.mark.parametrize(
    "flavour, types", [("tf-ascend", "Conv2D MatMul"), ("onnx", "Conv Gemm"), ("pytorch", "Conv2d Linear")]
)
def test_each_field_of_the_template_can_be_uncommented(folder, cli, flavour, types):
    """A line of it alone, or a block; nothing that the template says is an error on the model that it is for."""
    rows = "".join("l{},{}\n".format(n, kind) for n, kind in enumerate(types.split()))
    (folder / "m.csv").write_text("name,type\n" + rows, encoding="utf-8")
    text = cli("init", "--graph", "m.csv", "--flavour", flavour).out
    layers = amctcfg.load_layers("m.csv", amctcfg.FLAVOURS[flavour])
    assert amctcfg.detect(text)[0].proto == amctcfg.FLAVOURS[flavour].proto
    tried = 0
    for match in re.finditer(r"^ *# (?:\w+: [^\s]+|\w+ \{ \})$|^# \w+ \{\n(?:#  .*\n)+# \}$", text, re.MULTILINE):
        name = re.match(r"\W*(\w+)", match[0])[1]
        if name in ("amctcfg", "proto"):
            continue
        block = re.sub(r"^( *)# ", r"\1", match[0], flags=re.MULTILINE)
        trial = text[: match.start()] + block + text[match.end() :]
        found = [
            d for d in amctcfg.check(trial, layers=layers, flavour=amctcfg.FLAVOURS[flavour]) if d.severity == "error"
        ]
        found = [d for d in found if d.code != "conflicting-fields"]  # of two algorithms one is written
        assert not found, (match[0], found)
        tried += 1
    assert tried > 5
