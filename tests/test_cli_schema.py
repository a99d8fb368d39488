# SPDX-License-Identifier: Apache-2.0
"""The JSON Schemas that `amctcfg schema` prints, and that what the commands write keeps to them."""

import json
from functools import lru_cache

import pytest

from amctcfg.cli.arguments import COMMANDS, options_of
from amctcfg.cli.schema import SCHEMAS

from .conftest import DATA, command

jsonschema = pytest.importorskip("jsonschema")

MODELS = {
    "tf-ascend": "conv,Conv2D\nfc,MatMul\npool,AvgPool\nrelu,Relu\n",
    "tensorflow": "conv,Conv2D\nfc,MatMul\npool,AvgPool\nrelu,Relu\n",
    "onnx": "conv,Conv\nfc,Gemm\nrelu,Relu\n",
    "pytorch": "conv,Conv2d\nfc,Linear\nrelu,ReLU\n",
    "caffe": "conv,Convolution\nfc,InnerProduct\nrelu,ReLU\n",
}

BLOCK = 'override_layer_configs {{ layer_name: "conv{}" calibration_config {{ {} }} }}\n'
BLOCKS = {
    "onnx": ["ifmr_quantize { search_step: 0.02 }", "hfmg_quantize { num_of_bins: 4096 }", "dmq_balancer { }"],
    "pytorch": ["ifmr_quantize { search_step: 0.02 }", "hfmg_quantize { }", "ada_quantize { }", "dmq_balancer { }"],
}


@lru_cache(maxsize=None)
def validator(name):
    schema = json.loads(command("schema", name).out)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("flavour", MODELS)
def test_what_commands_write_keeps_to_their_schemas(cli, tmp_path, monkeypatch, flavour):
    monkeypatch.chdir(tmp_path)
    blocks = BLOCKS.get(flavour, ["ifmr_quantize { search_step: 0.02 }"])
    first, _, others = MODELS[flavour].partition("\n")
    rows = [first.replace("conv", "conv{}".format(number)) for number in range(len(blocks))]
    (tmp_path / "l.csv").write_text("\n".join(["name,type", *rows, others]), encoding="utf-8")
    head = "# amctcfg: graph=l.csv flavour={}\n".format(flavour)
    common = "common_config { ifmr_quantize { search_step: 0.03 } }\n"  # which loses for conv0, and `explain` says so
    own = "".join(BLOCK.format(*one) for one in enumerate(blocks)) + 'skip_layers: "fc"\n'
    (tmp_path / "q.cfg").write_text(head + common + own, encoding="utf-8")
    (tmp_path / "p.cfg").write_text(head, encoding="utf-8")
    (tmp_path / "bad.cfg").write_text(head + "x: 1\ndo_fusion: maybe", encoding="utf-8")
    (tmp_path / "scores.json").write_text('{"conv0": 0.5}', encoding="utf-8")
    assert cli("expand", "p.cfg", "-o", "p.json").status == 0
    commands = [
        ["check", "q.cfg", "bad.cfg", "nowhere.cfg"],
        ["show", "q.cfg"],
        ["show", "q.cfg", "--against", "p.cfg", "--scores", "scores.json", "--low-is-sensitive"],
        ["explain", "q.cfg", "--all"],
        ["diff", "p.cfg", "q.cfg"],
        ["audit", "q.cfg", "--config", "p.json"],
        ["layers", "l.csv", "--flavour", flavour],
    ]
    for name, *arguments in commands:
        result = cli(name, *arguments, "--format", "json")
        written = json.loads(result.out)
        validator(name).validate(written)
        assert len(result.out) > 150, (name, "nothing to validate")


MODEL = DATA / "simulation" / "residual_bn.onnx"


def test_the_layers_of_a_model_keep_to_their_schema(cli):
    for path in sorted((DATA / "simulation").glob("*.onnx")):
        validator("layers").validate(json.loads(cli("layers", path, "--format", "json").out))
    assert MODEL.exists()


def test_a_simulation_and_a_tuning_keep_to_their_schemas(cli, tmp_path):
    numpy = pytest.importorskip("numpy")
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    inputs = onnxruntime.InferenceSession(str(MODEL), providers=["CPUExecutionProvider"]).get_inputs()
    shapes = {one.name: [size if isinstance(size, int) else 1 for size in one.shape] for one in inputs}
    random = numpy.random.RandomState(0)
    arrays = {name: random.standard_normal(shape).astype("float32") for name, shape in shapes.items()}
    numpy.savez(str(tmp_path / "b0.npz"), **arrays)
    (tmp_path / "q.cfg").write_text("batch_num: 1\n", encoding="utf-8")
    for sensitivity in ("cosine", "output"):
        options = ["--graph", MODEL, "--data", tmp_path / "b0.npz", "--sensitivity", sensitivity, "--format", "json"]
        result = cli("simulate", tmp_path / "q.cfg", *options)
        assert result.status == 0, result.err
        written = json.loads(result.out)
        validator("simulate").validate(written)
        assert written["layers"]
    options = ["--graph", MODEL, "--data", tmp_path / "b0.npz", "--format", "json"]
    written = json.loads(cli("tune", tmp_path / "q.cfg", *options).out)
    validator("tune").validate(written)
    assert written["left"]


def test_the_layers_that_are_suggested_keep_to_their_schema(cli, tmp_path):
    config = tmp_path / "q.cfg"
    config.write_text("batch_num: 1\n", encoding="utf-8")
    result = cli("suggest", config, "--graph", MODEL, "--flavour", "onnx", "--where", "first=2", "--format", "json")
    names = json.loads(result.out)
    validator("suggest").validate(names)
    assert len(names) == 2


def test_each_command_that_writes_json_has_a_schema(cli):
    with_json = {
        name
        for name in COMMANDS
        for option in options_of(name)
        if "--format" in option.names and "json" in option.settings.get("choices", ())
    }
    assert set(SCHEMAS) == with_json
    assert [line.split()[0] for line in cli("schema").out.splitlines()] == list(SCHEMAS)
    result = cli("schema", "shw")
    assert result.status == 2 and "did you mean 'show'?" in result.err


def test_a_schema_refuses_what_is_not_written(cli):
    written = {"version": 1, "diagnostics": [], "more": 1}
    assert not validator("check").is_valid(written)
    assert not validator("check").is_valid({"version": 2, "diagnostics": []})
