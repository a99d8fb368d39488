# SPDX-License-Identifier: Apache-2.0
"""Every flavour by its description: the laws of priority, printing, expansion and condensing; what each can't have."""

import dataclasses
import json
import pickle
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import amctcfg
from amctcfg import GE, ONNX, PYTORCH, PYTORCH_9_0, TENSORFLOW, TF_ASCEND, ConfigError, Layer
from amctcfg.flavours import caffe, pytorch

from .conftest import DATA
from .strategies import (
    FLAVOURS,
    any_text,
    blocks_of,
    broken_texts,
    configs,
    expandable,
    flavours,
    flavours_with_json,
    layers_of_flavour,
    rule_sets,
)  # fmt: skip

ALGORITHMS = {"weights": ("arq_quantize", "ada_quantize"), "activations": ("ifmr_quantize", "hfmg_quantize")}
DEFAULTS = {
    "search_range_start": 0.7, "search_range_end": 1.3, "search_step": 0.01, "max_percentile": 0.999999,
    "min_percentile": 0.999999, "num_of_bins": 4096, "quant_bits": 8, "num_iteration": 10000, "reg_param": 0.01,
    "warm_start": 0.2, "beta_range_start": 20.0, "beta_range_end": 2.0, "migration_strength": 0.5, "dst_type": "INT8",
}  # fmt: skip


# ---------------------------------------------------------------- an independent statement of the rules of PyTorch

CAN = {  # FLAVOURS.md, section 1.2
    "channel_wise": {"Conv2d", "Conv3d", "ConvTranspose2d", "Conv1d", "ConvTranspose1d", "LSTM", "GRU"},
    "int16": {"Conv2d", "Linear", "ConvTranspose2d", "Conv1d", "ConvTranspose1d", "LSTM", "GRU"},
    "ada": {"Conv2d", "Linear", "ConvTranspose2d"},
    "bits": {"Conv2d"},
    "dmq": {"Conv2d", "Conv3d", "Linear", "ConvTranspose2d", "Conv1d", "ConvTranspose1d", "LSTM", "GRU"},
}


def pytorch_block(config, layer, rules):
    """What the pages and the toolkit say that a layer gets: part -> field -> value; None for one that is dropped."""
    own = next((o.calibration_config for o in config.override_layer_configs if o.layer_name == layer.name), None)
    typed = next((o.calibration_config for o in config.override_layer_types if o.layer_type == layer.type), None)
    common = config.common_config
    block = own or typed or common or pytorch.CalibrationConfig()
    weights = "ada_quantize" if block.ada_quantize else "arq_quantize"
    activations = "hfmg_quantize" if block.hfmg_quantize else "ifmr_quantize"
    found = {activations: {}, weights: {}}
    for part in (activations, weights):
        given = getattr(block, part)
        for field in dataclasses.fields(pytorch.CalibrationConfig.__schema__.fields[part].kind):
            value = getattr(given, field.name, None)
            found[part][field.name] = DEFAULTS.get(field.name) if value is None else value
    if found[weights]["channel_wise"] is None:
        found[weights]["channel_wise"] = layer.type in CAN["channel_wise"]
    # asymmetric: only blocks whose algorithm is the one that the layer ends up with.
    order = [own, common] if own and rules == "toolkit" else [own, typed, common]
    said = [getattr(b, activations).asymmetric for b in order if b and getattr(b, activations)]
    said = [value for value in (*said, config.activation_offset, True) if value is not None]
    found[activations]["asymmetric"] = said[0] and layer.type != "Conv3d" and "asymmetric" not in layer.lacks
    # A demand of common_config is softened.
    if found[activations]["dst_type"] == "INT16" and (layer.type not in CAN["int16"] or "int16" in layer.lacks):
        from_type = own is None and typed is not None and layer.type in CAN["int16"]
        commons = [getattr(common, a).dst_type for a in ALGORITHMS["activations"] if common and getattr(common, a)]
        if not (from_type and "INT16" not in commons):
            found[activations]["dst_type"] = "INT8"
    if weights == "arq_quantize":
        bits = found[weights]["quant_bits"]
        if (bits in (6, 7) and layer.type not in CAN["bits"]) or (bits == 4 and "int4" in layer.lacks):
            found[weights]["quant_bits"] = 8
    if weights == "ada_quantize" and layer.type not in CAN["ada"]:
        del found[weights]
    if block.dmq_balancer and layer.type in CAN["dmq"]:
        strength = block.dmq_balancer.migration_strength
        found["dmq_balancer"] = {"migration_strength": 0.5 if strength is None else strength}
    return found


@given(expandable(PYTORCH), rule_sets)
def test_pytorch_by_an_independent_statement(pair, rules):
    config, model = pair
    for effective in amctcfg.expand(config, model, rules=rules).values():
        block = {k: v for k, v in dataclasses.asdict(effective.calibration_config).items() if v is not None}
        assert block == pytorch_block(config, effective.layer, rules), effective.layer


# ---------------------------------------------------------------- laws of each flavour


def with_layers(flavour):
    return st.tuples(st.just(flavour), configs(flavour=flavour), layers_of_flavour(flavour))


@given(flavours.flatmap(with_layers), rule_sets)
def test_every_field_of_an_effective_block_is_set_and_has_an_origin(drawn, rules):
    flavour, config, layer = drawn
    effective = amctcfg.merge(config, layer, rules=rules)
    schema = type(effective.calibration_config).__schema__.fields
    fields = {"quant_enable", "fuse"}
    groups = {}
    for name, field in schema.items():
        part = getattr(effective.calibration_config, name)
        if field.is_message and part is not None:
            groups.setdefault(field.oneof or name, []).append(name)
            for inner, value in ((f, getattr(part, f)) for f in field.kind.__schema__.fields):
                assert value is not None
                fields.add(name + "." + inner)
        elif not field.is_message:
            fields.add(name)
    assert all(len(members) == 1 for members in groups.values())
    assert set(effective.origins) == fields
    assert effective.quant_enable is effective.origins["quant_enable"].value
    for field, origin in effective.origins.items():
        part, _, inner = field.partition(".")
        if inner:
            assert origin.value == getattr(getattr(effective.calibration_config, part), inner)


@given(flavours.flatmap(lambda f: st.tuples(with_layers(f), blocks_of(f))), rule_sets)
def test_an_override_of_another_layer_changes_nothing(drawn, rules):
    (flavour, config, layer), block = drawn
    entry = flavour.config.__schema__.fields["override_layer_configs"].kind("another layer", block)
    more = dataclasses.replace(config, override_layer_configs=(*config.override_layer_configs, entry))
    before, after = (amctcfg.merge(c, layer, rules=rules) for c in (config, more))
    assert (before, before.origins) == (after, after.origins)


@given(flavours.flatmap(lambda f: st.tuples(st.just(f), configs(any_text, any_text, f))))
def test_printing_then_parsing_is_the_identity(drawn):
    flavour, config = drawn
    text = amctcfg.dumps(config)
    assert amctcfg.loads(text, flavour=flavour) == config
    assert amctcfg.format(text) == text
    assert pickle.loads(pickle.dumps(config)) == config


@given(flavours.flatmap(lambda f: st.tuples(st.just(f), broken_texts(f))))
def test_any_text_is_a_value_or_an_error(drawn):
    flavour, text = drawn
    try:
        config = amctcfg.loads(text, flavour=flavour)
    except ConfigError as error:
        assert str(error)
    else:
        assert amctcfg.loads(amctcfg.dumps(config), flavour=flavour) == config
    for strict in (True, False):
        amctcfg.check(text, strict=strict, flavour=flavour, layers=[Layer("conv1", sorted(flavour.types)[0])])
    assert all(isinstance(found, amctcfg.Flavour) for found in amctcfg.detect(text))


@given(flavours_with_json.flatmap(lambda f: st.tuples(st.just(f), expandable(f))), rule_sets)
def test_expansion_is_read_back_and_condensed(drawn, rules):
    flavour, (config, model) = drawn
    plan = amctcfg.expand(config, model, rules=rules)
    written = plan.to_json()
    assert json.dumps(json.loads(written), indent=4, separators=(",", ":")) == written
    again = amctcfg.read_plan(written, model, flavour=flavour)
    assert again.to_json() == written and list(again) == list(plan)
    try:
        short = amctcfg.condense(written, model, flavour=flavour)
    except ConfigError as error:  # what only a demand of common_config gives, a layer beside it may make impossible
        assert {d.code for d in error.diagnostics} == {"algorithm-unsupported"}
        return
    for either in ("documented", "toolkit"):
        assert amctcfg.expand(short, model, rules=either).to_json() == written


@given(flavours.flatmap(lambda f: st.tuples(st.just(f), expandable(f))))
def test_warnings_are_about_what_is_there(drawn):
    flavour, (config, model) = drawn
    document = amctcfg.parse(amctcfg.dumps(config), flavour=flavour)
    plan = amctcfg.expand(document, model)
    assert {d.severity for d in plan.warnings} <= {"warning"}
    assert plan.warnings == amctcfg.check(document.text, "<string>", model, flavour=flavour)
    for diagnostic in plan.warnings:
        assert diagnostic.span is not None or diagnostic.path is None


# ---------------------------------------------------------------- the registry


def test_the_registry():
    assert list(amctcfg.FLAVOURS)[:7] == ["tf-ascend", "tensorflow", "onnx", "pytorch", "caffe", "mindspore", "ge"]
    assert amctcfg.FLAVOURS["pytorch"] is PYTORCH and len(amctcfg.FLAVOURS) == 8
    with pytest.raises(KeyError):
        amctcfg.FLAVOURS["keras"]
    with pytest.raises(TypeError):
        amctcfg.FLAVOURS["keras"] = PYTORCH
    for flavour in FLAVOURS:
        assert pickle.loads(pickle.dumps(flavour)) is flavour
        assert flavour.evidence == ("code" if flavour.name.startswith(("tf-ascend", "pytorch")) else "pages")
        assert flavour.channel_wise_types <= flavour.quantizable_types
        assert flavour.config.__module__.startswith("amctcfg.flavours.")
        with pytest.raises(dataclasses.FrozenInstanceError):
            flavour.name = "other"


def test_a_flavour_with_other_types():
    types = {"Conv2D": TF_ASCEND.types["Conv2D"], "Conv3D": amctcfg.LayerType("Conv3D", symmetric_only=True)}
    flavour = dataclasses.replace(TF_ASCEND, types=types)
    assert flavour.quantizable_types == {"Conv2D", "Conv3D"} and flavour.symmetric_only_types == {"Conv3D"}
    plan = amctcfg.expand(amctcfg.AMCTConfig(), [Layer("a", "Conv3D"), Layer("b", "MatMul")], flavour=flavour)
    assert list(plan) == ["a"] and plan["a"].calibration_config.ifmr_quantize.asymmetric is False
    assert pickle.loads(pickle.dumps(flavour)) == flavour
    with pytest.raises(TypeError, match="flavour tf-ascend is needed"):
        amctcfg.expand(pytorch.AMCTConfig(), [], flavour=TF_ASCEND)


# ---------------------------------------------------------------- oneofs and enums


def codes(text, flavour, layers=None, **options):
    return [d.code for d in amctcfg.check(text, layers=layers, flavour=flavour, **options)]


def test_members_of_a_oneof_exclude_each_other():
    text = "common_config { ifmr_quantize { search_step: 0.02 } hfmg_quantize { } }"
    assert codes(text, PYTORCH) == ["conflicting-fields"]
    document = amctcfg.parse(text, strict=False, flavour=PYTORCH)
    assert document.config.common_config == pytorch.CalibrationConfig(hfmg_quantize=pytorch.HFMGQuantize())
    assert [d.code for d in document.diagnostics] == ["conflicting-fields"]
    with pytest.raises(ValueError, match="exclude each other"):
        pytorch.CalibrationConfig(arq_quantize=pytorch.ARQuantize(), ada_quantize=pytorch.ADAquantize())


@pytest.mark.parametrize("literal, value", [("INT16", "INT16"), ("2", "INT16"), ("1", "INT8"), ("0x2", "INT16")])
def test_enums_are_names(literal, value):
    config = amctcfg.loads("common_config { ifmr_quantize { dst_type: %s } }" % literal, flavour=PYTORCH)
    assert config.common_config.ifmr_quantize.dst_type == value
    assert "dst_type: " + value in amctcfg.dumps(config)


@pytest.mark.parametrize(
    "literal, code",
    [
        ('"INT16"', "wrong-type"),
        ("INT4", "out-of-range"),
        ("3", "out-of-range"),
        ("0.5", "wrong-type"),
        ("-1", "out-of-range"),
    ],
)
def test_wrong_enums(literal, code):
    assert codes("common_config { ifmr_quantize { dst_type: %s } }" % literal, PYTORCH) == [code]


@pytest.mark.parametrize("value", [True, "1", 1.0, None])
def test_whole_numbers_are_whole(value):
    if value is None:
        assert pytorch.AMCTConfig(batch_num=None).batch_num is None
        return
    with pytest.raises(TypeError, match="batch_num has to be a whole number"):
        pytorch.AMCTConfig(batch_num=value)


def test_pytorch_9_0_has_int8_only():
    text = "common_config { ifmr_quantize { dst_type: INT16 } }"
    assert codes(text, PYTORCH) == [] and codes(text, PYTORCH_9_0) == ["out-of-range"]
    assert len(PYTORCH_9_0.quantizable_types) == 5
    assert codes('skip_layer_types: "Conv1d"', PYTORCH_9_0) == ["unknown-type"]


# ---------------------------------------------------------------- what the flavours of the pages add

LAYERS = [Layer("conv", "Conv"), Layer("pool", "MaxPool"), Layer("add", "Add"), Layer("relu", "Relu")]

TENSOR = """
activation_offset: false
tensor_quantize { layer_name: "pool" input_index: 0 }
tensor_quantize { layer_name: "add" input_index: 1 hfmg_quantize { num_of_bins: 1024 asymmetric: true } }
tensor_quantize { layer_name: "add" input_index: 1 ifmr_quantize { asymmetric: true } }
"""


def test_tensor_quantize():
    values = amctcfg.expand(amctcfg.loads(TENSOR, flavour=ONNX), LAYERS).to_dict()["tensor_quantize"]
    assert [list(value) for value in values] == [["layer_name", "input_index", "activation_quant_params"]] * 3
    assert [v["activation_quant_params"]["act_algo"] for v in values] == ["ifmr", "hfmg", "ifmr"]
    assert [v["activation_quant_params"]["asymmetric"] for v in values] == [False, True, True]
    assert amctcfg.condense(amctcfg.expand(amctcfg.loads(TENSOR, flavour=ONNX), LAYERS).to_json(), LAYERS, flavour=ONNX)
    common = "common_config { %s { asymmetric: true } }"
    for algorithm, expected in (("ifmr_quantize", True), ("hfmg_quantize", False)):
        config = amctcfg.loads(common % algorithm + TENSOR, flavour=ONNX)
        first = amctcfg.expand(config, LAYERS).to_dict()["tensor_quantize"][0]
        assert first["activation_quant_params"]["asymmetric"] is expected


def test_tensor_quantize_makes_a_model_valid_and_names_layers():
    assert codes(TENSOR, ONNX, LAYERS[1:]) == []
    assert codes("", ONNX, LAYERS[1:]) == ["nothing-to-quantize"]
    assert codes("tensor_quantize { layer_name: 'nope' input_index: 0 }", ONNX, LAYERS) == ["unknown-layer"]
    assert codes("tensor_quantize { layer_name: 'conv' input_index: 0 }", ONNX, LAYERS) == ["not-quantizable"]
    assert codes("tensor_quantize { layer_name: 'pool' }", ONNX, LAYERS) == ["missing-field"]


CAFFE_LAYERS = [Layer("conv", "Convolution"), Layer("fc", "InnerProduct"), Layer("pool", "Pooling")]


def test_caffes_deprecated_blocks():
    text = "conv_calibration_config { %s } fc_calibration_config { %s }"
    steps = tuple("ifmr_quantize { search_step: %s }" % step for step in ("0.02", "0.03"))
    plan = amctcfg.expand(amctcfg.loads(text % steps, flavour=amctcfg.CAFFE), CAFFE_LAYERS)
    found = {name: effective.calibration_config.ifmr_quantize.search_step for name, effective in plan.items()}
    assert found == {"conv": 0.02, "fc": 0.03, "pool": 0.03}
    assert plan["fc"].origins["ifmr_quantize.search_step"].path[0] == "fc_calibration_config"
    for other in ("common_config { }", 'override_layer_types { layer_type: "Pooling" calibration_config { } }'):
        more = text % steps + other
        plan = amctcfg.expand(amctcfg.loads(more, flavour=amctcfg.CAFFE), CAFFE_LAYERS)
        assert {e.calibration_config.ifmr_quantize.search_step for e in plan.values()} == {0.01}
        assert codes(more, amctcfg.CAFFE)[:2] == ["ignored-override"] * 2
    wrong = "fc_calibration_config { arq_quantize { channel_wise: true } }"
    assert "channel-wise-unsupported" in codes(wrong, amctcfg.CAFFE, CAFFE_LAYERS)
    assert caffe.AMCTConfig().__schema__.fields["joint_quant"].default is False


def test_ge():
    layers = [Layer("a", "Conv2D"), Layer("b", "MatMulV2")]
    with pytest.raises(ValueError, match="writes no JSON"):
        amctcfg.expand(amctcfg.loads("", flavour=GE), layers).to_json()
    override = 'override_layer_types { layer_type: "MatMulV2" calibration_config { %s } }'
    assert codes(override % "arq_quantize { channel_wise: true }", GE, layers) == ["channel-wise-unsupported"]
    only = "weight_compress_only: true arq_quantize { channel_wise: true asymmetric: true }"
    assert codes(override % only, GE, layers) == []
    assert codes(override % "arq_quantize { asymmetric: true }", GE, layers) == ["out-of-range"]
    hint = amctcfg.check('skip_layer_types: "MatMul"', flavour=GE)[0].hint
    assert "MatMulV2" in hint


@pytest.mark.parametrize("flavour", [ONNX, TENSORFLOW])
def test_what_is_not_documented_is_said(flavour):
    (found,) = amctcfg.check("common_config { arq_quantize { quant_bits: 6 } }", flavour=flavour)
    assert found.code == "unknown-field" and "not documented" in found.hint
    (found,) = amctcfg.check("nuq_config { }", flavour=flavour)
    assert "gone" in found.hint


def test_a_flavour_that_writes_no_json_on_the_command_line(cli, tmp_path):
    graph = tmp_path / "l.csv"
    graph.write_text("name,type\na,Conv2D\n", encoding="utf-8")
    result = cli("expand", "-", "--graph", graph, "--flavour", "ge", stdin=b"")
    assert (result.status, result.out) == (2, "") and "writes no JSON" in result.err


# ---------------------------------------------------------------- adding a field is one line and one more

FIELD = """
import dataclasses, json
from amctcfg import Layer, expand, loads, dumps, condense, check
from amctcfg.flavours import tf_ascend
from amctcfg.tools.exporting import proto
layers = [Layer("a", "Conv2D"), Layer("b", "MatMul")]
text = 'override_layer_configs { layer_name: "a" calibration_config { arq_quantize { smoothing: 0.25 } } }'
config = loads(text)
assert config.override_layer_configs[0].calibration_config.arq_quantize.smoothing == 0.25
assert loads(dumps(config)) == config
plan = expand(config, layers)
assert [plan.to_dict()[name]["weight_quant_params"]["smoothing"] for name in "ab"] == [0.25, 0.5]
assert condense(plan.to_json(), layers) == config
assert [d.code for d in check("common_config { arq_quantize { smoothing: 1 } }")] == ["out-of-range"]
assert "optional float smoothing = 2;" in proto(tf_ascend.TF_ASCEND)
print("done")
"""


def test_adding_a_float_field_touches_its_line_and_the_layouts(tmp_path):
    """CONTRIBUTING tells how; this does it, in a copy."""
    import shutil
    from pathlib import Path

    package = Path(amctcfg.__file__).parent
    shutil.copytree(str(package), str(tmp_path / "amctcfg"), ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "amctcfg" / "flavours" / "tf_ascend.py"
    lines = path.read_text(encoding="utf-8").splitlines()
    field = next(n for n, line in enumerate(lines) if "channel_wise: Optional[bool]" in line)
    lines.insert(field + 2, "    smoothing: Optional[float] = optional(FLOAT, default=0.5, within=FRACTION)")
    layout = next(n for n, line in enumerate(lines) if '"channel_wise": "channel_wise"' in line)
    lines[layout] = lines[layout].replace('"channel_wise"}', '"channel_wise", "smoothing": "smoothing"}')
    imports = {
        "import BOOL, STRING": "import BOOL, FLOAT, STRING",
        "import BY_TYPE, Message": "import BY_TYPE, FRACTION, Message",
    }
    text = "\n".join(lines)
    for before, after in imports.items():
        assert before in text
        text = text.replace(before, after)
    path.write_text(text + "\n", encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", FIELD], cwd=str(tmp_path), capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr


def test_golden_files_are_ours():
    assert (DATA / "pytorch_expansion.json").exists()


# ---------------------------------------------------------------- what reviews found


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_an_offset_is_refused_to_symmetric_types_alone(flavour):
    """A layer whose type the toolkit does not know is ignored, its values unchecked; a Conv3d is not, supported or not."""
    text = 'override_layer_configs {{ layer_name: "x" calibration_config {{ {} {{ asymmetric: true }} }} }}'
    block = flavour.config.__schema__.fields["common_config"].kind.__schema__.fields
    model = [Layer("fine", sorted(flavour.quantizable_types)[0])]
    for algorithm in [name for name in ("ifmr_quantize", "hfmg_quantize") if name in block]:
        assert "algorithm-unsupported" not in codes(
            text.format(algorithm), flavour, [*model, Layer("x", "FusedBatchNormV3")]
        )
        for symmetric in flavour.symmetric_only_types:
            for supported in (True, False):
                unfit = Layer("x", symmetric, supported)
                assert "algorithm-unsupported" in codes(text.format(algorithm), flavour, [*model, unfit])


@pytest.mark.parametrize(
    "wrong, code",
    [
        ("dst_type: INT4", "out-of-range"),
        ("nope: 1", "unknown-field"),
        ("asymmetric: maybe", "wrong-type"),
        ("num_of_bins: -5", "out-of-range"),
        ("asymmetric { }", "wrong-type"),
    ],
)
@pytest.mark.parametrize("again", ["", " hfmg_quantize { }"])
def test_the_member_of_a_oneof_that_loses_is_read_as_well(wrong, code, again):
    text = "common_config { hfmg_quantize { %s } ifmr_quantize { }%s }" % (wrong, again)
    found = [d for d in amctcfg.check(text, strict=False, flavour=PYTORCH) if d.severity == "error"]
    assert [d.code for d in found] == [code]
    assert wrong.split(":")[0].split()[0] in found[0].message


def test_of_the_member_that_loses_the_ranges_count_for_nothing():
    text = "common_config { hfmg_quantize { num_of_bins: 5 } ifmr_quantize { } }"
    assert codes(text, PYTORCH, strict=False) == ["conflicting-fields"]


@pytest.mark.parametrize("flavour", [flavour for flavour in FLAVOURS if flavour.name in ("pytorch-9.0", "pytorch-9.1")])
def test_four_bits_are_written_as_asked_before_9_2(flavour):
    config = amctcfg.loads("common_config { arq_quantize { quant_bits: 4 } }", flavour=flavour)
    layers = [Layer("grouped", "Conv2d", True, ["int4"]), Layer("plain", "Conv2d")]
    plan = amctcfg.expand(config, layers)
    assert [e.calibration_config.arq_quantize.quant_bits for e in plan.values()] == [4, 4] and plan.warnings == ()
    newest = amctcfg.expand(amctcfg.loads(amctcfg.dumps(config), flavour=PYTORCH), layers)
    assert [e.calibration_config.arq_quantize.quant_bits for e in newest.values()] == [8, 4]
