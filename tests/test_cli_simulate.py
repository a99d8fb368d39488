# SPDX-License-Identifier: Apache-2.0
"""The command simulate: its formats, its files, and what it says where something is wrong."""

import io
import json
import os
import subprocess
import sys

import pytest

from amctcfg.cli import run as run_command

from .conftest import DATA

np = pytest.importorskip("numpy", reason="the simulation computes with numpy: pip install 'amctcfg[simulate]'")
onnx = pytest.importorskip("onnx", reason="the simulation edits graphs with onnx: pip install 'amctcfg[simulate]'")
pytest.importorskip("onnxruntime", reason="the simulation runs onnxruntime: pip install 'amctcfg[simulate]'")
pytest.importorskip("google.protobuf", reason="layers are read with protobuf")

GOLDEN = DATA / "simulation"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a configuration, and calibration data of two models."""
    monkeypatch.chdir(tmp_path)
    model = GOLDEN / "grouped_bn.onnx"
    (tmp_path / "quant.cfg").write_text("# amctcfg: graph={} flavour=pytorch\nbatch_num: 1\n".format(model))
    with np.load(GOLDEN / "020.npz") as arrays:
        np.savez(str(tmp_path / "data.npz"), x=arrays["x0"])
    return tmp_path


def test_a_pool_under_adaround_has_no_algorithm_for_weights(cli, place):
    plain = cli("simulate", "quant.cfg", "--data", "data.npz").out
    with open("quant.cfg", "a", encoding="utf-8") as file:
        file.write("common_config { ada_quantize { } }\n")
    result = cli("simulate", "quant.cfg", "--data", "data.npz")
    assert result.status == 0 and "AdaRound's learnt rounding is not simulated" in result.err
    assert result.out == plain  # rounded to the nearest, as without it


def test_the_table(cli, place):
    result = cli("simulate", "quant.cfg", "--data", "data.npz")
    assert (result.status, result.err) == (0, "")
    head, *rows, summary = result.out.splitlines()
    assert head.split() == ["layer", "scale", "offset", "cosine", "SQNR"]
    assert [row.split()[0] for row in rows] == ["first", "up", "g2", "big", "pool", "fc"]
    assert summary.startswith("6 layers quantized; the model's output: ") and summary.endswith(" dB")
    more = cli(
        "simulate",
        "quant.cfg",
        "--data",
        "data.npz",
        "data.npz",
        "--sensitivity",
        "output",
        "--jobs",
        "2",
        "--memory",
        "1KB",
    )
    assert more.out.splitlines()[0].split()[-1] == "output"
    assert more.err == "amctcfg: 1 of 2 batches are used (batch_num)\n"


def test_the_formats_say_the_same(cli, place):
    found = json.loads(cli("simulate", "quant.cfg", "--data", "data.npz", "--format", "json").out)
    assert set(found) == {"version", "file", "model", "layers", "borders", "refused", "notes", "output_sqnr"}
    rows = cli("simulate", "quant.cfg", "--data", "data.npz", "--format", "csv").out.splitlines()
    assert rows[0] == "layer,type,scale,offset,weight_scales,cosine,sqnr,output"
    for row, layer in zip(rows[1:], found["layers"]):
        name, kind, scale, offset, count, cosine, _, output = row.split(",")
        assert (name, kind, float(scale), int(offset)) == (
            layer["layer"],
            layer["type"],
            layer["scale"],
            layer["offset"],
        )
        assert int(count) == len(layer["weight_scales"]) and float(cosine) == layer["cosine"] and output == ""
    page = cli("simulate", "quant.cfg", "--data", "data.npz", "--format", "html").out
    assert page.lower().startswith("<!doctype html>") and "SQNR" in page


def test_the_page_shows_what_changed_against_another_file(cli, place):
    override = (
        'override_layer_configs { layer_name: "fc" calibration_config { dmq_balancer { migration_strength: 0.3 } } }'
    )
    (place / "tuned.cfg").write_text((place / "quant.cfg").read_text() + override)
    arguments = ["simulate", "tuned.cfg", "--data", "data.npz", "--against", "quant.cfg"]
    page = cli(*arguments, "--format", "html").out
    alone = cli(*arguments[:-2], "--format", "html").out
    assert "before: –" in page and "before: –" not in alone and "SQNR" in page
    result = cli(*arguments)
    assert result.status == 2 and "--against is for the page" in result.err


def test_the_files_that_are_written(cli, place):
    case = next(c for c in json.loads((GOLDEN / "cases.json").read_text()) if c["inputs"] == "020.npz")
    result = cli(
        "simulate", "quant.cfg", "--data", "data.npz", "-o", "sim.onnx", "--record", "r.txt", "--ranking", "r.json"
    )
    assert result.status == 0
    assert len((place / "r.txt").read_text().splitlines()) == len(case["record"].splitlines())
    onnx.checker.check_model(str(place / "sim.onnx"), full_check=True)
    pairs = json.loads((place / "r.json").read_text())
    assert pairs == sorted(pairs, key=lambda pair: pair[1]) and all(0.99 < value <= 1 for _, value in pairs)
    suggested = cli("suggest", "quant.cfg", "--scores", "r.json", "--worst", "1")
    assert 'skip_layers: "{}"'.format(pairs[0][0]) in suggested.out
    assert cli("audit", "quant.cfg", "--record", "r.txt").status == 0


def test_a_refusal_is_a_warning_with_its_cure(cli, place):
    (place / "quant.cfg").write_text("batch_num: 1\n")
    arguments = [
        "simulate",
        "quant.cfg",
        "--graph",
        GOLDEN / "overflow.onnx",
        "--flavour",
        "pytorch",
        "--data",
        "data.npz",
    ]
    result = cli(*arguments)
    assert result.status == 0 and "1 refused" in result.out.splitlines()[-1]
    assert "warning[refused-by-toolkit]: 'big': its quantized bias" in result.err
    assert 'skip_layers: "big"' in result.err
    assert cli(*arguments, "--strict-warnings").status == 1
    ignored = cli(*arguments, "--strict-warnings", "--ignore", "refused-by-toolkit")
    assert (ignored.status, ignored.err) == (0, "")
    (place / "quant.cfg").write_text('batch_num: 1\nskip_layers: "big"\n')
    assert cli(*arguments, "--strict-warnings").status == 0


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--data", "nothing.npz"], "can't read or write nothing.npz"),
        (["--data", "quant.cfg"], "quant.cfg is not data that is known"),
        (["--data", "data.npz", "-o", "data.npz"], "data.npz is one of the inputs"),
        (["--data", ".", "-o", "data.npz"], "data.npz is one of the inputs"),
        (["--data", "data.npz", "-o", "a", "--record", "a.data"], "two of the outputs have one name"),
        (["--data", "data.npz", "-o", "-"], "-o takes the name of a file"),
        (["--data", "data.npz", "--format", "html", "-o", "page.html"], "goes to standard output: > page.html"),
        (["--data", "data.npz", "-o", "nowhere/sim.onnx"], "there is no folder nowhere"),
        (["--data", "data.npz", "-o", "a", "--record", "a"], "two of the outputs have one name"),
        (["--data", "data.npz", "--memory", "much"], "'much' is not a size of memory"),
        (["--data", "data.npz", "--jobs", "0"], "'0' is not a number of at least 1"),
        ([], "--data"),
    ],
)
def test_wrong_usage(cli, place, arguments, words):
    result = cli("simulate", "quant.cfg", *arguments)
    assert result.status == 2 and words in result.err and result.out == ""


@pytest.mark.parametrize("arguments", [["simulate", "-o", "sim.onnx"], ["simulate", "--record"], ["tune", "-o"]])
def test_the_weights_beside_a_model_are_not_replaced(cli, place, arguments):
    model = onnx.load(str(GOLDEN / "grouped_bn.onnx"))
    onnx.save(model, "model.onnx", save_as_external_data=True, location="sim.onnx.data", size_threshold=0)
    before = (place / "sim.onnx.data").read_bytes()
    command, *output = arguments
    output += [] if output[-1] == "sim.onnx" else ["sim.onnx.data"]
    result = cli(command, "quant.cfg", "--graph", "model.onnx", "--data", "data.npz", *output)
    assert result.status == 2 and "sim.onnx.data is one of the inputs" in result.err
    assert (place / "sim.onnx.data").read_bytes() == before


def test_floats_that_are_nan_are_null_in_json(cli, place):
    model = onnx.load(str(GOLDEN / "grouped_bn.onnx"))
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == "fc.bias")
    weight.CopyFrom(onnx.numpy_helper.from_array(np.full(weight.dims, np.nan, np.float32), weight.name))
    onnx.save(model, "model.onnx")
    arguments = ["simulate", "quant.cfg", "--graph", "model.onnx", "--data", "data.npz"]

    def not_json(constant):
        raise AssertionError(constant)

    found = json.loads(cli(*arguments, "--format", "json").out, parse_constant=not_json)
    assert found["output_sqnr"] is None
    assert cli(*arguments).out.endswith("the model's output: NaN or infinity in floats\n")


def test_fewer_batches_than_the_configuration_takes(cli, place):
    (place / "quant.cfg").write_text((place / "quant.cfg").read_text().replace("batch_num: 1", "batch_num: 3"))
    result = cli("simulate", "quant.cfg", "--data", "data.npz")
    assert result.status == 2 and "takes 3 batches (batch_num), and 1 is given" in result.err


def test_a_table_of_layers_is_no_model_to_run(cli, place):
    (place / "layers.csv").write_text("name,type\nfirst,Conv2d\n")
    result = cli("simulate", "quant.cfg", "--graph", "layers.csv", "--data", "data.npz")
    assert result.status == 2 and "layers.csv is not an ONNX model" in result.err


def test_without_the_extra_it_says_what_to_install(place):
    code = "import sys; sys.modules['onnxruntime'] = None; from amctcfg.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "simulate", "quant.cfg", "--data", "data.npz"],
        capture_output=True, text=True, env=dict(os.environ, PYTHONPATH=str(DATA.parent.parent)),
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == 'amctcfg: the simulation needs onnxruntime, which is not installed: pip install "amctcfg[simulate]"\n'
    )


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("bar", [True, False])
def test_progress_says_the_layer_and_the_time_left(place, monkeypatch, bar):
    if not bar:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    else:
        tqdm = pytest.importorskip("tqdm", reason="the bar is tqdm's")
        original = tqdm.tqdm
        monkeypatch.setattr(tqdm, "tqdm", lambda **options: original(**dict(options, mininterval=0)))
    monkeypatch.setattr("amctcfg.cli.console.PATIENCE", 0.0)
    shown = Terminal()
    assert run_command(["simulate", "quant.cfg", "--data", "data.npz"], None, io.StringIO(), shown) == 0
    text = shown.getvalue()
    assert "g2" in text and ("left" in text or "<" in text)


def test_an_interrupt_leaves_nothing_half_written(place):
    (place / "sim.onnx").write_text("old")
    code = (
        "import os, signal, amctcfg.simulation.simulator as s\n"
        "s.search_ifmr = lambda *a: os.kill(os.getpid(), signal.SIGINT)\n"
        "from amctcfg.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "simulate", "quant.cfg", "--data", "data.npz", "-o", "sim.onnx", "--record", "r.txt"],
        capture_output=True, text=True, env=dict(os.environ, PYTHONPATH=str(DATA.parent.parent)),
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (130, "")
    assert (place / "sim.onnx").read_text() == "old"
    assert sorted(path.name for path in place.iterdir()) == ["data.npz", "quant.cfg", "sim.onnx"]
