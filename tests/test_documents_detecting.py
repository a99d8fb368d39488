# SPDX-License-Identifier: Apache-2.0
"""What a file is: which flavour, which other family, two files in one; and what is said about it."""

import json

import pytest

import amctcfg
from amctcfg import FLAVOURS, ConfigError, Layer

ASCEND, PLAIN, ONNX, PYTORCH = (FLAVOURS[name] for name in ("tf-ascend", "tensorflow", "onnx", "pytorch"))


@pytest.mark.parametrize(
    "text, name",
    [
        ("", "tf-ascend"),
        ('skip_layers: "conv1"', "tf-ascend"),
        ('skip_layers:["Conv_104","Conv_0"]skip_fusion_layers:["Conv_104","Conv_0"]', "tf-ascend"),
        ('batch_num: 2\r\njoint_quant: true\r\nskip_layers: "a"', "tensorflow"),
        ("skip_approximation_layers: 'a'", "tensorflow"),
        ("common_config { arq_quantize { quant_bits: 6 } }", "pytorch"),
        ("common_config { ada_quantize { } }", "pytorch"),
        ('override_layer_types { layer_type: "Linear" calibration_config { } }', "pytorch"),
        ('skip_layer_types: "Gemm"', "onnx"),
        ('skip_layer_types: "Conv" tensor_quantize { layer_name: "x" input_index: 0 }', "onnx"),
        ('batch_num: 1 skip_layer_types: "InnerProduct"', "caffe"),
        ("conv_calibration_config { }", "caffe"),
        ('skip_layer_types: "Dense"', "mindspore"),
        ("version: 1 joint_quant: true", "ge"),
        ("common_config { weight_compress_only: true }", "ge"),
        ('skip_layer_types: "Conv2d"', "tf-ascend"),  # differs by case alone: a slip
        ("common_config { ifmr_quantize { dst_type: INT16 } }", "pytorch"),
        ("bacth_num: 2", "tf-ascend"),
        ("common_config { arq_quantize { quant_bits: 6 } }", "pytorch"),  # by a field alone
        ("common_config { hfmg_quantize { } }", "tensorflow"),
        ("common_config { dmq_balancer { } }", "tensorflow"),
        ("# proto-file: calibration_config_onnx.proto\n# proto-message: AMCTConfig\n", "onnx"),
        ("# a\n\n  # proto-file: amct/proto/calibration_config_pytorch.proto\nskip_layers: 'a'", "pytorch"),
        ("# proto-file: calibration_config_onnx.proto\ncommon_config { arq_quantize { quant_bits: 6 } }", "pytorch"),
        ("# proto-message: amct.AMCTConfig\nbatch_num: 1", "tensorflow"),
        ("# proto-file: other.proto\nskip_layers: 'a'", "tf-ascend"),
        ("skip_layers: 'a'  # proto-file: calibration_config_onnx.proto\n", "tf-ascend"),
        ("skip_layers: 'a'\n# proto-file: calibration_config_onnx.proto\n", "tf-ascend"),
    ],
)
def test_detect(text, name):
    found = amctcfg.detect(text)
    assert found[0].name == name
    assert sorted(f.name for f in found) == sorted(FLAVOURS)


def test_the_types_of_a_model_come_before_those_of_the_text():
    layers = [Layer("a", "Conv2d"), Layer("b", "Linear")]
    assert amctcfg.detect('skip_layers: "a"', layers)[0] is PYTORCH
    assert amctcfg.detect('skip_layers: "a"', [Layer("a", "Gemm")])[0] is ONNX


FAMILIES = {
    "retraining": "batch_num: 1\noverride_layer_types { layer_type: 'Conv2d' retrain_weight_quant_config { arq_retrain { } } }",
    "pruning": "prune_config { filter_pruner { balanced_l2_norm_filter_prune { prune_ratio: 0.3 } } }",
    "distillation": "batch_num: 1 group_size: 2 distill_group: 'a'",
    "KV cache": "kv_cache_quant_config { quant_layers: 'a' }",
    "channel pruning": "max_prune_ratio: 0.5 test_iteration: 3",
    "mixed precision": "compress_ratio: 2 ptq_cfg: 'quant.cfg'",
    "SamplerConfig": "ascend_sampler_config { }",
    "ATC": 'calibration: { input_data_dir: "./d" config_file: "quant.cfg" }',
    "AMCTRetrainConfig": "# proto-message: amct.AMCTRetrainConfig\nbatch_num: 1 frozen: true",
    "large language": "weight_only_config { weight_compress_only: true wts_type: INT8 }",
}


@pytest.mark.parametrize("words", FAMILIES)
@pytest.mark.parametrize("flavour", [ASCEND, PYTORCH], ids=["tf-ascend", "pytorch"])
def test_another_family_is_named_once(words, flavour, cli):
    text = FAMILIES[words]
    (found,) = amctcfg.check(text, flavour=flavour, layers=[Layer("a", "Conv2D")])
    assert found.code == "foreign-family" and words in found.message and found.span.line in (1, 2)
    assert amctcfg.detect(text) == ()
    with pytest.raises(amctcfg.ConfigError) as caught:
        amctcfg.loads(text, flavour=flavour)
    assert [d.code for d in caught.value.diagnostics] == ["foreign-family"]
    result = cli("check", "-", stdin=text.encode())
    assert result.status == 1 and result.out.count("error[") == 1


def test_what_is_not_text_format_has_no_flavour():
    assert amctcfg.detect("{") == () == amctcfg.detect(b"\xff")


def test_two_files_in_one():
    text = "batch_num: 1\nskip_layers: 'a'\ndo_fusion: true\n"
    found = amctcfg.check(text + text, flavour=ONNX)
    assert "two configurations seem to be in this file, the second from line 4 on" in found[0].hint
    found = amctcfg.check("do_fusion: true\ndo_fusion: false\nactivation_offset: true\n")
    assert "two configurations" not in found[0].hint


def test_fields_and_types_of_several_flavours_are_told_apart():
    text = "joint_quant: true\ncommon_config { arq_quantize { quant_bits: 6 } }\nskip_layer_types: 'Linear'\n"
    found = {d.span.line: d for d in amctcfg.check(text, flavour=ASCEND)}
    assert "tensorflow, onnx, caffe and ge" in found[1].hint
    assert "pytorch" in found[2].hint and "# amctcfg: flavour=pytorch" in found[2].hint
    assert "did you mean" in found[3].hint and "Linear is a type of pytorch" in found[3].hint


@pytest.mark.parametrize(
    "flavour, wrong, right",
    [("onnx", "Conv2D", "Conv"), ("tensorflow", "Linear", "MatMul"), ("pytorch", "Gemm", "Linear"), ("caffe", "Conv2d", "Convolution"),
     ("ge", "InnerProduct", "FullyConnection"), ("tf-ascend", "Gemm", "MatMul")],
)  # fmt: skip
def test_a_type_of_another_flavour_is_told_its_name_here(flavour, wrong, right):
    text = "skip_layer_types: '{}'".format(wrong)
    (found,) = amctcfg.check(text, flavour=FLAVOURS[flavour])
    assert found.code == "unknown-type" and "'{}'".format(right) in found.hint
    assert "is a type of" in found.hint
    with pytest.raises(amctcfg.ConfigError):
        amctcfg.expand(
            amctcfg.loads(text, flavour=FLAVOURS[flavour]), [Layer("a", sorted(FLAVOURS[flavour].quantizable_types)[0])]
        )
    assert amctcfg.loads(text, flavour=FLAVOURS[flavour])


# ---------------------------------------------------------------- on the command line


def write(folder, **files):
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")


def test_the_note_says_which_and_why(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(
        tmp_path,
        a_cfg="common_config { arq_quantize { quant_bits: 6 } }\nskip_layer_types: 'Linear'\n",
        b_cfg="do_fusion: true\n",
    )
    result = cli("check", "a.cfg")
    assert (result.status, result.out) == (0, "All checks passed.\n")
    assert result.err == "amctcfg: a.cfg: assuming flavour pytorch (quant_bits, Linear); override with --flavour\n"
    assert cli("check", "b.cfg").err == ""
    assert cli("check", "a.cfg", "--flavour", "tf-ascend").status == 1
    result = cli("check", "a.cfg", "--flavour", "pytroch")
    assert result.status == 2 and "did you mean 'pytorch'?" in result.err


def test_the_kind_of_the_graph_comes_first(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(
        tmp_path,
        a_cfg="skip_layers: 'fc'\n",
        l_csv="name,type\nconv,Conv2d\nfc,Linear\n",
        m_csv="name,type\nconv,Conv2D\n",
    )
    result = cli("expand", "a.cfg", "--graph", "l.csv")
    assert result.status == 0 and json.loads(result.out)["batch_num"] == 1
    assert "flavour pytorch" in result.err and "Conv2d" in result.err
    write(tmp_path, a_cfg="do_fusion: true\n")
    assert cli("expand", "a.cfg", "--graph", "m.csv").err == ""


def test_a_files_own_flavour_counts_and_an_option_wins(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, a_cfg="# amctcfg: flavour=onnx\nskip_layer_types: 'Gemm'\n")
    assert cli("check", "a.cfg").status == 0
    assert cli("check", "a.cfg", "--flavour", "caffe").status == 1
    assert cli("check", "a.cfg", "--flavour", "auto").status == 0


HEADED = "# amctcfg: flavour={}\nbatch_num: 2\n"


@pytest.mark.parametrize("name", ["pytorch", "onnx", "pytorch-9.0"])
def test_what_reads_a_text_follows_the_flavour_of_its_head(name, tmp_path):
    text, flavour = HEADED.format(name), amctcfg.FLAVOURS[name]
    assert type(amctcfg.loads(text)) is flavour.config
    assert amctcfg.parse(text.encode()).flavour is flavour
    assert amctcfg.check(text) == ()
    (tmp_path / "a.cfg").write_text(text)
    assert amctcfg.load(tmp_path / "a.cfg") == flavour.config(batch_num=2)
    wrong = text + "do_fusion: yes\nskip_layer_types: 'conv2d'\n"
    assert amctcfg.fix(wrong, unsafe=True) == amctcfg.fix(wrong, unsafe=True, flavour=flavour) != wrong
    # the parameter wins
    with pytest.raises(ConfigError):
        amctcfg.loads(text, flavour=amctcfg.TF_ASCEND)
    assert amctcfg.check(text, flavour=amctcfg.TF_ASCEND)


def test_a_flavour_that_there_is_not_is_reported():
    (found,) = amctcfg.check("# amctcfg: flavour=pytoch\ndo_fusion: true\n")
    assert (found.code, found.hint) == ("unknown-setting", "did you mean 'pytorch'?")
    assert amctcfg.loads("# amctcfg: flavour=pytoch\ndo_fusion: true\n").do_fusion is True
    assert amctcfg.check("# amctcfg: flavour=auto\ndo_fusion: true\n") == ()
    below = "do_fusion: true\n# amctcfg: flavour=pytorch\n"  # not in the head
    assert type(amctcfg.loads(below)) is amctcfg.AMCTConfig


def test_no_error_advises_an_option_of_the_command_line():
    with pytest.raises(ConfigError) as caught:
        amctcfg.loads("batch_num: 2  joint_quant: true  common_config { dmq_balancer { } }")
    assert " --" not in str(caught.value) and "# amctcfg: flavour=" in str(caught.value)


# ---------------------------------------------------------------- files that are no text format

OPTIONS = """calibration:
{
  input_data_dir: ./data.bin,d2.bin
  input_shape: in:16,32,224,224;in2:16,8
  config_file: {}
  aicore_num: 1
}
"""


def test_the_options_of_atc_point_at_the_configuration():
    text = OPTIONS.replace("{}", "./simple_config.cfg")
    (found,) = amctcfg.check(text)
    assert (found.code, found.span[:2]) == ("foreign-family", (1, 1))
    assert "ATC" in found.message and "'./simple_config.cfg'" in found.hint
    with pytest.raises(ConfigError) as caught:
        amctcfg.loads(text)
    assert caught.value.diagnostics == (found,) and caught.value.text == text
    assert amctcfg.detect(text) == ()
    assert amctcfg.fix(text, unsafe=True) == text
    assert [d.code for d in amctcfg.check(text.replace("  config_file: ./simple_config.cfg\n", ""))] == [
        "foreign-family"
    ]
    assert [d.code for d in amctcfg.check("calibration: { a: b/c }")] == ["syntax"]  # may be anything


@pytest.mark.parametrize(
    "data, what",
    [
        ("do_fusion: true\n".encode("utf-16"), "UTF-16"),
        ("do_fusion: true\n".encode("utf-16-le"), "UTF-16"),
        ("# 注释\ndo_fusion: true\n".encode("utf-16-be"), "UTF-16"),
        (b"\x08\x07\x12\x07pytorch\x1a\x032.1:\x94\x02\n", "ONNX"),
        (b"\x08\x0a:\x10\n\x0e\n\x01x", "ONNX"),
        (b"\n\x1e\n\x05input\x12\x0bPlaceholder*\x0b\n\x05dtype", "TensorFlow"),
        (b"PK\x03\x04\x00\x00", "zip"),
        (b"\x80\x02}q\x00.", "PyTorch"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"\x1f\x8b\x08\x00", "gzip"),
    ],
)
def test_files_that_are_not_text_are_named(data, what):
    for read in (amctcfg.loads, amctcfg.format, amctcfg.fix, amctcfg.textformat.parse):
        with pytest.raises(ConfigError) as caught:
            read(data)
        (found,) = caught.value.diagnostics
        assert found.code == "encoding" and what in found.message, found
    assert [d.code for d in amctcfg.check(data)] == ["encoding"]


@pytest.mark.parametrize("text", ["\n\n\n# x\n", "\n#\n\ndo_fusion: true\n", "Policy: 1", "\n \n \n"])
def test_text_is_not_taken_for_a_model(text):
    assert amctcfg.format(text.encode()) == amctcfg.format(text)


def test_models_in_the_tests_are_named(tmp_path):
    onnx = pytest.importorskip("onnx")
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [], [])
    for data in (onnx.helper.make_model(graph), onnx.helper.make_model(graph, producer_name="pytorch", ir_version=8)):
        with pytest.raises(ConfigError, match="ONNX model"):
            amctcfg.loads(data.SerializeToString())


def test_a_byte_order_mark_is_one_error_and_hides_no_setting():
    found = amctcfg.check("\ufeff# amctcfg: flavour=pytorch ignore=many-steps\nbatch_num: 2\n")
    assert [d.code for d in found] == ["syntax"]
    fixed = amctcfg.fix("\ufeff# amctcfg: flavour=pytorch\nbatch_num: 2\n")
    assert amctcfg.check(fixed) == ()


def test_blanks_around_the_equals_sign_are_one_warning():
    (found,) = amctcfg.check("# amctcfg: graph = x.onnx\ndo_fusion: true\n")
    assert found.code == "unknown-setting" and "blanks" in found.message
