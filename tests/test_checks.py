# SPDX-License-Identifier: Apache-2.0
"""Each rule of the checks on both sides of its edge: which code, at which text, for which layers.

A case is a text and what is reported for it: codes, each with what is written at its place. The words of the messages
are in `tests/data/broken/`.
"""

import dataclasses
import pickle
from pathlib import Path

import pytest

import amctcfg
from amctcfg import CAFFE, GE, ONNX, PYTORCH, TF_ASCEND, ConfigError, Layer
from amctcfg.checks.errors import note_other_model


def found(text, flavour=TF_ASCEND, layers=None, **options):
    """(code, the first line of the text at its place) of each diagnostic."""
    lines, places = text.split("\n"), []
    for d in amctcfg.check(text, layers=layers, flavour=flavour, **options):
        at = None
        if d.span is not None:
            end = d.span.end_column - 1 if d.span.end_line == d.span.line else None
            at = lines[d.span.line - 1][d.span.column - 1 : end]
        places.append((d.code, at))
    return places


def own(name, block=""):
    return "override_layer_configs { layer_name: '%s' calibration_config { %s } }\n" % (name, block)


def of_type(kind, block=""):
    return "override_layer_types { layer_type: '%s' calibration_config { %s } }\n" % (kind, block)


def common(block):
    return "common_config { %s }\n" % block


CHANNELS = "arq_quantize { channel_wise: true }"
STEP = "ifmr_quantize { search_step: 0.02 }"
YES, NO = ("ifmr_quantize { asymmetric: %s }" % value for value in ("true", "false"))
PER_LAYER = "arq_quantize { channel_wise: false }"
INT16, ADA, DMQ = "ifmr_quantize { dst_type: INT16 }", "ada_quantize { }", "dmq_balancer { }"

PARTIAL = ("partial-override", "calibration_config")

ASCEND = [
    Layer("conv", "Conv2D"), Layer("fc", "MatMul"), Layer("pool", "AvgPool"), Layer("odd", "Conv2D", False),
    Layer("odd/fc", "MatMul", False), Layer("relu", "Relu", False),
]  # fmt: skip

ON_A_MODEL = [
    # names of layers
    ("skip_layers: 'conv'", []),
    ("skip_layers: 'odd'", []),  # an unsupported layer of a quantizable type
    ("skip_layers: 'relu'", [("not-quantizable", "'relu'")]),
    ("skip_layers: 'cnv'", [("unknown-layer", "'cnv'")]),
    ("skip_fusion_layers: 'conv'", []),
    ("skip_fusion_layers: 'odd'", []),
    ("skip_fusion_layers: 'fc'", [("not-fusible", "'fc'")]),
    ("skip_fusion_layers: 'cnv'", [("unknown-layer", "'cnv'")]),
    ("do_fusion: false skip_fusion_layers: ['fc']", [("fusion-off", "'fc'"), ("not-fusible", "'fc'")]),
    ("do_fusion: true skip_fusion_layers: 'conv'", []),
    # names of types
    ("skip_layer_types: 'Conv2D'", []),
    ("skip_layer_types: 'Conv2DBackpropInput'", []),  # a type that the model does not have
    ("skip_layer_types: 'Relu'", [("not-quantizable", "'Relu'")]),
    ("skip_layer_types: 'Conv'", [("unknown-type", "'Conv'")]),
    (of_type("Relu", STEP), [("not-quantizable", "'Relu'")]),
    (of_type("Conv", STEP), [("unknown-type", "'Conv'")]),
    # channel_wise
    (own("conv", CHANNELS), [("redundant-override", "'conv'")]),
    (own("fc", CHANNELS), [("channel-wise-unsupported", "true")]),
    (own("odd/fc", CHANNELS), [("ignored-override", "'odd/fc'"), ("channel-wise-unsupported", "true")]),
    (own("relu", CHANNELS), [("ignored-override", "'relu'"), ("channel-wise-unsupported", "true")]),
    (of_type("MatMul", CHANNELS), [("channel-wise-unsupported", "true")]),
    (common(CHANNELS), [("channel-wise-unsupported", "true")]),
    (common(CHANNELS) + own("fc") + own("pool"), []),  # so that nothing is asked of them
    (common(CHANNELS) + of_type("MatMul") + of_type("AvgPool"), []),
    (common(CHANNELS) + of_type("MatMul") + own("pool"), []),
    (common(CHANNELS) + "skip_layers: ['fc', 'pool']", [("channel-wise-unsupported", "true")]),
    # nothing to quantize
    ("skip_layers: ['conv', 'fc', 'pool']", [("nothing-to-quantize", None)]),
    ("skip_layers: ['conv', 'fc']", []),
    ("skip_layer_types: ['Conv2D', 'MatMul'] skip_layers: 'pool'", [("nothing-to-quantize", None)]),
    # overrides without effect
    (own("odd", STEP), [("ignored-override", "'odd'")]),
    (own("odd", STEP) + of_type("Conv2D", NO), [("ignored-override", "'odd'")]),  # and no asymmetric-cascade
    (own("relu", STEP), [("ignored-override", "'relu'")]),
    (own("conv", STEP), []),
    (own("conv") + own("fc", STEP) + own("conv"), [("redundant-override", "'conv'"), ("duplicate-entry", "'conv'")]),
    (own("conv"), [("redundant-override", "'conv'")]),
    (own("conv", "ifmr_quantize { search_step: 0.01 }"), [("redundant-override", "'conv'")]),
    (own("conv") + common(STEP), [PARTIAL]),
    (own("conv", STEP) + common(STEP), [("redundant-override", "'conv'")]),
    (own("conv", STEP) + common("ifmr_quantize { search_step: 0.03 }"), []),
    (own("conv", CHANNELS) + common(CHANNELS), [("redundant-override", "'conv'"), ("channel-wise-unsupported", "true")]),
    (of_type("Conv2D", STEP), []),
    (of_type("Conv2D"), [("redundant-override", "'Conv2D'")]),
    (of_type("BatchMatMul", STEP), [("unused-override", "'BatchMatMul'")]),
    (of_type("Conv2D", STEP) + own("conv", "ifmr_quantize { search_step: 0.03 }"), [("unused-override", "'Conv2D'")]),
    # the type's block still gives asymmetric to a layer with a block of its own: it is used
    (of_type("Conv2D", NO) + own("conv", STEP), [("asymmetric-cascade", "'conv'")]),
    (of_type("Conv2D", NO) + own("conv", YES), [("unused-override", "'Conv2D'")]),
    (of_type("Conv2D", YES) + own("conv", STEP), [("redundant-override", "'Conv2D'")]),
    (of_type("Conv2D", YES) + own("odd", STEP), [("redundant-override", "'Conv2D'"), ("ignored-override", "'odd'")]),
    (of_type("Conv2D", STEP) + "skip_layer_types: 'Conv2D'", [("skipped-override", "'Conv2D'")]),
    (own("conv", STEP) + "skip_layer_types: 'Conv2D'", [("skipped-override", "'conv'")]),
    (own("conv", STEP) + "skip_layers: 'conv'", [("skipped-override", "'conv'")]),
    (own("conv", STEP) + "skip_layers: 'fc'", []),
    (of_type("Conv2D", STEP) + "skip_layers: 'conv'", []),
    # partial overrides
    (of_type("Conv2D", NO) + common(STEP), [PARTIAL]),
    (of_type("BatchMatMul", NO) + common(STEP), [("unused-override", "'BatchMatMul'")]),
    (of_type("Conv2D", NO) + common(YES), []),  # asymmetric cascades
    (own("conv", NO) + common("ifmr_quantize { search_step: 0.01 }"), []),  # the default anyway
    (own("conv", NO) + common("arq_quantize { channel_wise: false }"), [PARTIAL]),
    (of_type("Conv2D", NO) + common("arq_quantize { channel_wise: false }"), [PARTIAL]),
    (of_type("MatMul", NO) + common("arq_quantize { channel_wise: false }"), []),
    (own("fc", NO) + common("arq_quantize { channel_wise: false }"), []),
    (own("odd", NO) + common(STEP), [("ignored-override", "'odd'")]),
    (own("conv", NO) + common(STEP) + "skip_layers: 'conv'", [("skipped-override", "'conv'")]),
    (own("conv", NO) + of_type("Conv2D", STEP) + common("ifmr_quantize { max_percentile: 0.9999 }"), [PARTIAL, ("unused-override", "'Conv2D'")]),
]  # fmt: skip


@pytest.mark.parametrize("text, expected", ON_A_MODEL)
def test_rules_on_a_model(text, expected):
    assert sorted(found(text, layers=ASCEND), key=str) == sorted(expected, key=str)
    errors = {"unknown", "not-", "channel", "nothing", "duplicate"}
    if not any(code.startswith(tuple(errors)) for code, _ in expected):
        warnings = amctcfg.expand(amctcfg.parse(text), ASCEND).warnings
        assert sorted(d.code for d in warnings) == sorted(code for code, _ in expected)
    else:
        with pytest.raises(ConfigError):
            amctcfg.expand(amctcfg.parse(text), ASCEND)


ALONE = [
    ("skip_layers: 'anything'", []),
    (of_type("MatMul", CHANNELS), [("channel-wise-unsupported", "true")]),
    (of_type("Conv2D", CHANNELS), []),
    (own("x", CHANNELS), []),
    (own("x") + common(STEP), [PARTIAL]),
    (own("x") + of_type("Conv2D", STEP), []),  # of which type x is, nobody knows
    (of_type("Conv2D") + common(STEP), [PARTIAL]),
    (of_type("Conv2D") + common(STEP) + "skip_layer_types: 'Conv2D'", [("skipped-override", "'Conv2D'")]),
    (own("x") + common(STEP) + "skip_layers: 'x'", [("skipped-override", "'x'")]),
    (own("x") + common("arq_quantize { channel_wise: true }"), [PARTIAL]),
    ("skip_layers: 'Opname'", [("placeholder", "'Opname'")]),
    ("skip_layer_types: 'Optype'", [("placeholder", "'Optype'"), ("unknown-type", "'Optype'")]),
    ("skip_fusion_layers: 'Opname'", [("placeholder", "'Opname'")]),
    (own("Opname", STEP), [("placeholder", "'Opname'")]),
]


@pytest.mark.parametrize("text, expected", ALONE)
def test_rules_without_a_model(text, expected):
    assert sorted(found(text), key=str) == sorted(expected, key=str)


def search(start, end, step):
    values = [("search_range_start", start), ("search_range_end", end), ("search_step", step)]
    return common("ifmr_quantize { %s }" % " ".join("%s: %s" % pair for pair in values if pair[1] is not None))


NUMBERS = [
    (search(None, None, "0.00006"), []),  # 10,000 steps
    (search(None, None, "0.00005999"), [("many-steps", "0.00005999")]),
    (search("0.5", "100.5", None), []),  # 10,000 again
    (search("0.5", "100.6", None), [("many-steps", "100.6")]),
    (search("0.25", "1000.25", "0.1"), []),
    (search("0.25", "1000.5", "0.1"), [("many-steps", "0.1")]),
    (search(None, None, "0.0100000001"), [("float32-rounding", "0.0100000001")]),
    (search(None, None, "0.01000000000"), []),
    (search(None, None, "0.0123456"), []),
    (search(None, None, "1e-2"), []),
    (search(None, "1.30000001", None), [("float32-rounding", "1.30000001")]),
    (own("x", "ifmr_quantize { search_step: 0.0100000001 }"), [("float32-rounding", "0.0100000001")]),
    (of_type("Conv2D", "ifmr_quantize { search_step: 0.0100000001f }"), [("float32-rounding", "0.0100000001f")]),
]


@pytest.mark.parametrize("text, expected", NUMBERS)
def test_numbers(text, expected):
    assert found(text) == expected


# ---------------------------------------------------------------- demands, in PyTorch

TORCH = [
    Layer("conv", "Conv2d"), Layer("packed", "Conv2d", True, ("int4",)), Layer("fc", "Linear"),
    Layer("bare", "Linear", True, ("int16",)), Layer("pool", "AvgPool2d"), Layer("odd", "Conv2d", False), Layer("c3", "Conv3d"),
]  # fmt: skip

UNSUPPORTED = "algorithm-unsupported"
DEMANDS = [
    # in a block of its own
    (own("conv", INT16), []),
    (own("fc", INT16), []),
    (own("bare", INT16), [(UNSUPPORTED, "INT16")]),
    (own("pool", INT16), [(UNSUPPORTED, "INT16")]),
    (own("odd", INT16), [("ignored-override", "'odd'"), (UNSUPPORTED, "INT16")]),
    (own("odd", "arq_quantize { quant_bits: 6 }"), [("ignored-override", "'odd'")]),
    (own("odd", INT16 + " arq_quantize { quant_bits: 6 }"), [("ignored-override", "'odd'"), (UNSUPPORTED, "INT16")]),
    (own("pool", "arq_quantize { quant_bits: 6 }"), [(UNSUPPORTED, "6")]),
    (own("packed", "arq_quantize { quant_bits: 4 }"), [("softened", "4")]),
    (own("conv", "arq_quantize { quant_bits: 4 }"), []),
    (own("pool", ADA), [(UNSUPPORTED, "ada_quantize")]),
    (own("odd", ADA), [("ignored-override", "'odd'"), (UNSUPPORTED, "ada_quantize")]),
    (own("pool", DMQ), [(UNSUPPORTED, "dmq_balancer")]),
    (own("c3", YES), [(UNSUPPORTED, "true")]),
    (own("c3", ADA + DMQ), [(UNSUPPORTED, "ada_quantize")]),  # each demand on its own
    (own("pool", ADA + DMQ), [(UNSUPPORTED, "ada_quantize"), (UNSUPPORTED, "dmq_balancer")]),
    # in an override of a type
    (of_type("Linear", INT16), [(UNSUPPORTED, "INT16")]),  # bare lacks it
    (of_type("Linear", INT16) + own("bare", STEP), []),
    (of_type("Conv2d", "arq_quantize { quant_bits: 4 }"), [("softened", "4")]),
    (of_type("Conv2d", "arq_quantize { quant_bits: 4 }") + own("packed", STEP), []),
    (of_type("AvgPool2d", ADA), [(UNSUPPORTED, "ada_quantize")]),
    (of_type("LSTM", DMQ), [(UNSUPPORTED, "dmq_balancer"), ("unused-override", "'LSTM'")]),
    (of_type("LSTM", ADA), [(UNSUPPORTED, "ada_quantize"), ("unused-override", "'LSTM'")]),
    # AdaRound with channel_wise: an error of a type where a layer uses it only
    (of_type("Linear", "ada_quantize { channel_wise: true }"), [("channel-wise-unsupported", "true")]),
    (of_type("Linear", "ada_quantize { channel_wise: true }") + own("fc", STEP) + own("bare", STEP), [("unused-override", "'Linear'")]),
    # in common_config
    (common(INT16), [("softened", "INT16")]),
    (common(ADA), [("softened", "ada_quantize")]),
    (common(DMQ), [("softened", "dmq_balancer")]),
    (common("arq_quantize { quant_bits: 6 }"), [("softened", "6")]),
    (common("arq_quantize { quant_bits: 4 }"), [("softened", "4")]),
    (common("arq_quantize { quant_bits: 4 }") + "skip_layers: 'packed'", []),
    (common(DMQ) + "skip_layers: 'pool'", []),
    (common(DMQ) + of_type("AvgPool2d", STEP), []),
    (common("arq_quantize { quant_bits: 8 }"), []),
]  # fmt: skip


@pytest.mark.parametrize("text, expected", DEMANDS)
def test_demands(text, expected):
    beside = ("partial-override", "redundant-override")  # as the tables above have it
    ours = [pair for pair in found(text, PYTORCH, TORCH) if pair[0] not in beside]
    assert sorted(ours, key=str) == sorted(expected, key=str)


def names_in(text, flavour, layers):
    """Which layers a diagnostic is about, of those of the model."""
    (d,) = (d for d in amctcfg.check(text, layers=layers, flavour=flavour) if d.code in ("softened", UNSUPPORTED))
    return [layer.name for layer in layers if "'%s'" % layer.name in d.message]


def test_a_demand_names_the_layers_that_it_is_about():
    assert names_in(common(DMQ), PYTORCH, TORCH) == ["pool"]
    assert names_in(common(INT16), PYTORCH, TORCH) == ["bare", "pool", "c3"]
    assert names_in(of_type("Linear", INT16), PYTORCH, TORCH) == ["bare"]
    assert names_in(of_type("Linear", INT16) + common(INT16), PYTORCH, TORCH[:4]) == ["bare"]
    assert names_in(common("arq_quantize { quant_bits: 4 }"), PYTORCH, TORCH) == ["packed"]


def test_what_layers_get_instead_of_a_demand_is_said_of_one_and_of_several():
    def told(block, layers):
        (d,) = amctcfg.check(common(block), layers=layers, flavour=PYTORCH)
        return d.message.partition(" for ")[2]

    two = [Layer("pool", "AvgPool2d"), Layer("last", "AvgPool2d")]
    assert told(INT16, two[:1]) == "'pool'; it gets INT8 instead"
    assert told(INT16, two) == "'pool' and 'last'; they get INT8 instead"
    assert told(DMQ, two[:1]) == "'pool'; it is quantized without it"
    assert told(DMQ, two) == "'pool' and 'last'; they are quantized without it"


def test_an_override_is_redundant_where_what_is_below_it_is_softened():
    assert ("redundant-override", "'pool'") in found(common(DMQ) + own("pool"), PYTORCH, TORCH)


def test_a_layer_without_what_its_type_could_have_is_a_warning_by_the_toolkits_rules():
    text = of_type("Linear", INT16)
    (d,) = amctcfg.check(text, layers=TORCH, flavour=PYTORCH, rules="toolkit")
    assert (d.severity, d.code) == ("warning", UNSUPPORTED)
    plan = amctcfg.expand(amctcfg.loads(text, flavour=PYTORCH), TORCH, rules="toolkit")
    assert plan["bare"].calibration_config.ifmr_quantize.dst_type == "INT16"
    with pytest.raises(ConfigError):
        amctcfg.expand(amctcfg.loads(text, flavour=PYTORCH), TORCH)


def test_an_override_that_is_softened_to_nothing_is_redundant():
    text = own("packed", "arq_quantize { quant_bits: 4 }")
    assert found(text, PYTORCH, TORCH) == [("redundant-override", "'packed'"), ("softened", "4")]


ONLY_ADA = "leave it out; only Conv2d, ConvTranspose2d, Linear can have it"


@pytest.mark.parametrize(
    "layer, block, why, cure",
    [
        (Layer("a", "Conv2d", False), ADA, "which is not supported", "delete it here"),
        (Layer("a", "AvgPool2d", False), ADA, "which is of type AvgPool2d", ONLY_ADA),
        (Layer("a", "AvgPool2d"), ADA, "which is of type AvgPool2d", ONLY_ADA),
        (Layer("a", "Relu", False), ADA, "which is of type Relu", ONLY_ADA),
        (Layer("a", "Linear", True, ["int16"]), INT16, "a Linear without a bias", "leave it out; only Conv1d, Conv2d, "),
        (Layer("a", "Conv2d", True, ["asymmetric"]), YES, "a Conv2d of two variables", "write asymmetric: false, or "),
        (Layer("a", "Conv2d", True, ["ada_quantize"]), ADA, "which lacks it though its type Conv2d can have it", ONLY_ADA),
        # a table may say of any layer what it lacks
        (Layer("a", "Relu", False, ["int16"]), INT16, "which is of type Relu", "leave it out; only "),
        (Layer("a", "AvgPool2d", True, ["int16"]), INT16, "which is of type AvgPool2d", "leave it out; only "),
        (Layer("a", "Linear", True, ["channel_wise"]), CHANNELS, "which is of type Linear", "write channel_wise: false, "),
    ],
)  # fmt: skip
def test_why_a_layer_cant_have_what_it_is_asked_for(layer, block, why, cure):
    found_here = amctcfg.check(own("a", block), layers=[Layer("conv", "Conv2d"), layer], flavour=PYTORCH)
    (error,) = [d for d in found_here if d.severity == "error"]
    assert error.message.endswith(" for 'a', " + why) and error.hint.startswith(cure)


def test_a_flavour_without_types_that_are_fused():
    flavour = dataclasses.replace(TF_ASCEND, types=[amctcfg.LayerType("Conv2D")])
    (error,) = amctcfg.check("skip_fusion_layers: 'a'", layers=[Layer("a", "Conv2D")], flavour=flavour)
    assert (error.code, error.hint) == ("not-fusible", "delete it here; BN is fused into none of its types")


def test_four_bits_where_they_can_not_be_packed():
    config = amctcfg.loads(own("a", "arq_quantize { quant_bits: 4 }"), flavour=PYTORCH)
    for lacks, bits in (((), 4), (("int4",), 8), (("int16",), 4)):
        effective = amctcfg.merge(config, Layer("a", "Conv2d", True, lacks))
        assert effective.calibration_config.arq_quantize.quant_bits == bits
        tier = "override_layer_configs" if bits == 4 else "layer_type"
        assert effective.origins["arq_quantize.quant_bits"].tier == tier


# ---------------------------------------------------------------- the others

EVERY_TYPE = "skip_layer_types: [%s]" % ", ".join(map(repr, sorted(TF_ASCEND.quantizable_types)))


@pytest.mark.parametrize(
    "text, layers, cure",
    [
        (EVERY_TYPE, ASCEND, "leave at least one type out of it"),
        ("skip_layers: ['conv', 'fc', 'pool']", ASCEND, "leave at least one layer"),
        ("skip_layer_types: ['Conv2D', 'MatMul', 'AvgPool']", ASCEND, "leave at least one layer"),
        ("", ASCEND[3:], "the quantizable types are AvgPool, BatchMatMul"),
        (EVERY_TYPE, ASCEND[3:], "the quantizable types are AvgPool, BatchMatMul"),
    ],
)
def test_what_leaves_nothing_to_quantize_is_said_with_its_cure(text, layers, cure):
    (nothing,) = amctcfg.check(text, layers=layers)
    assert nothing.code == "nothing-to-quantize" and nothing.hint.startswith(cure)


def test_the_layers_of_an_error_of_common_config_are_named():
    def told(rest, layers=ASCEND):
        (d,) = [d for d in amctcfg.check(common(CHANNELS) + rest, layers=layers) if d.severity == "error"]
        return d.message.partition(" for ")[2]

    several = "'fc' and 'pool', of type AvgPool and MatMul, all of which common_config applies to"
    assert told("") == told("skip_layers: 'fc'") == several
    assert told("skip_layers: ['fc', 'pool']") == several + " even though skipped"
    assert told(own("pool")) == "'fc', of type MatMul, which common_config applies to"
    assert told(own("pool") + "skip_layers: 'fc'").endswith(", which common_config applies to even though skipped")


def test_runs_of_skipped_overrides_are_one_warning_each():
    text = "skip_layers: ['conv', 'fc', 'pool']\n" + own("conv") + own("fc") + own("x") + own("fc2") + own("pool", STEP)
    layers = [*ASCEND, Layer("x", "AvgPool"), Layer("fc2", "MatMul")]

    def told(text):
        return [(d.message, d.hint, d.span.line) for d in amctcfg.check(text, layers=layers) if "skipped" in d.code]

    two = "'conv' and 'fc' are not quantized, skip_layers skips them; these overrides have no effect"
    one = "'pool' is not quantized, skip_layers skips it; this override has no effect"
    hints = ("delete them, or take them out of skip_layers", "delete the override, or take it out of skip_layers")
    assert told(text) == [(two, hints[0], 2), (one, hints[1], 6)]
    text = text.replace("'fc',", "'fc2',")
    assert [line for _, _, line in told(text)] == [2, 5]
    assert told(text)[1][0].startswith("'fc2' and 'pool' are not quantized")


def test_what_a_block_replaces_is_told_of_each_tier_below():
    text = common("ifmr_quantize { max_percentile: 0.9999 }") + of_type("Conv2D", STEP) + own("conv", PER_LAYER)
    (d,) = [d for d in amctcfg.check(text, layers=ASCEND) if d.code == "partial-override" and d.span.line == 3]
    assert d.message == (
        "this block replaces override_layer_types and common_config as a whole: max_percentile falls back to 0.999999 "
        "(common_config has 0.9999), search_step falls back to 0.01 (override_layer_types has 0.02)"
    )


TENSORS = [Layer("conv", "Conv"), Layer("add", "Add"), Layer("relu", "Relu")]


@pytest.mark.parametrize(
    "name, expected",
    [
        ("add", []),
        ("conv", [("not-quantizable", "'conv'")]),
        ("relu", [("not-quantizable", "'relu'")]),
        ("ad", [("unknown-layer", "'ad'")]),
    ],
)
def test_tensors(name, expected):
    assert found("tensor_quantize { layer_name: '%s' input_index: 0 }" % name, ONNX, TENSORS) == expected


def test_the_types_that_tensor_quantize_takes_are_said():
    (error,) = amctcfg.check("tensor_quantize { layer_name: 'relu' input_index: 0 }", layers=TENSORS, flavour=ONNX)
    assert error.message == "'relu' is of type Relu; tensor_quantize takes Add, MaxPool"


def test_a_tensor_without_the_name_of_its_layer():
    assert found("tensor_quantize { input_index: 0 }", ONNX, TENSORS) == [("missing-field", "tensor_quantize")]
    assert found("tensor_quantize { input_index: 0 }", ONNX, [Layer("", "Conv"), *TENSORS])[1:] == []


def test_what_only_tensor_quantize_takes_has_no_override():
    for layers in (None, TENSORS, [*TENSORS, Layer("pool", "MaxPool")]):
        assert found(of_type("MaxPool", CHANNELS), ONNX, layers) == [("not-quantizable", "'MaxPool'")]
        assert found("skip_layer_types: 'MaxPool'", ONNX, layers) == [("not-quantizable", "'MaxPool'")]


@pytest.mark.parametrize(
    "flavour, kind", [(TF_ASCEND, "Conv2D"), (ONNX, "Conv"), (PYTORCH, "Conv2d"), (CAFFE, "Convolution")]
)
def test_names_that_the_json_has_for_itself(flavour, kind):
    tensors = ("tensor_quantize",) if flavour in (ONNX, PYTORCH) else ()  # PyTorch's toolkit fails there
    for key in (*flavour.layout.globals, *tensors):
        assert found("", flavour, [Layer(key, kind)]) == [("reserved-name", None)]
        assert found("", flavour, [Layer(key, kind, False), Layer("a", kind)]) == []
    assert found("", flavour, [Layer("Version", kind)]) == []
    assert found("", GE, [Layer("version", "Conv2D")]) == []  # it has no JSON


def test_an_error_hides_no_other():
    text = (
        "skip_layers: 'cnv'\nskip_layer_types: 'Conv'\n" + own("nope") + common(CHANNELS) + "do_fusion: maybe\nx: 1\n"
    )
    codes = [code for code, _ in found(text, layers=ASCEND)]
    assert codes == [
        "unknown-layer",
        "unknown-type",
        "unknown-layer",
        "channel-wise-unsupported",
        "wrong-type",
        "unknown-field",
    ]


def test_values_of_bools():
    assert found("do_fusion: x1") == [("wrong-type", "x1")]
    for value in ("x1", "10", "2", "00x1", "1.0", "yes"):
        assert [code for code, _ in found("do_fusion: " + value)] in (["wrong-type"], ["syntax"]), value


LONG = "c" * 200


@pytest.mark.parametrize(
    "name, meant",
    [
        ("st*", "stage/conv"),
        ("*s*t*a*", "stage/conv"),
        ("*s*t*a*g*", None),  # so many stars may take a long time
        ("con?", "stage/conv"),  # the end of a path
        ("age/c[o]n", "stage/conv"),  # anywhere
        (LONG[1:] + "?", LONG),
        (LONG + "*", None),
        ("nope*", None),
        ("odd*", None),  # it can't be quantized
    ],
)
def test_names_with_signs_of_a_pattern(name, meant):
    layers = [Layer("stage/conv", "Conv2D"), Layer(LONG, "Conv2D"), Layer("odd", "Conv2D", False)]
    (d,) = amctcfg.check("skip_layers: '%s'" % name, layers=layers)
    if meant is None:
        assert d.hint == "this file has no patterns, and no layer matches this one"
    else:
        assert d.hint.startswith("this file has no patterns; name each layer: '{}".format(meant[:5]))


def test_only_so_many_patterns_are_looked_up():
    hints = [
        d.hint
        for d in amctcfg.check(
            "".join("skip_layers: '*%d*'" % n for n in range(40)),
            layers=[Layer("l{}".format(n), "Conv2D") for n in range(40)],
        )
    ]
    assert sum("name each layer" in hint for hint in hints) == 30


def test_examples_of_another_models_layers_are_such_as_can_be_quantized():
    config = amctcfg.loads("skip_layers: ['x', 'y', 'z']")
    odd, relu, conv = Layer("odd", "Conv2D", False), Layer("relu", "Relu", False), Layer("conv", "Conv2D")
    assert note_other_model(config, [odd, relu, conv]).endswith("not in it; its layers are 'conv'")
    assert note_other_model(config, [odd]).endswith("its layers are 'odd'")


@pytest.mark.parametrize(
    "skipped, overridden, is_another",
    [
        ("xyz", "", True),
        ("xy", "", False),  # two may be misspelt
        ("xy", "z", True),
        ("xyzabc", "", False),  # half of them are there
        ("xyza", "bc", False),
        ("xyzab", "", True),
        ("xyzabcd", "", False),
        ("xyzvabcd", "", False),
        ("xyzv", "abc", True),
        ("abc", "", False),
    ],
)
def test_a_file_of_another_model(skipped, overridden, is_another):
    """It is one if more than half of the names, and three at least, are not in this model."""
    text = "skip_layers: [%s]" % ", ".join(map(repr, skipped)) + "".join(map(own, overridden))
    note = note_other_model(amctcfg.loads(text), [Layer(name, "Conv2D") for name in "abcd"])
    assert (note is not None) is is_another
    if is_another:
        names = skipped + overridden
        assert "{} of the {} layers".format(len(set(names) - set("abcd")), len(names)) in note
        assert note.endswith("its layers are 'a', 'b' and 2 more")


@pytest.mark.parametrize("path", ["l.csv", b"l.csv", Path("l.csv")])
def test_a_path_is_not_layers(path):
    with pytest.raises(TypeError, match=r"not a path; amctcfg.load_layers\(.*l.csv.*\) reads them"):
        amctcfg.expand(amctcfg.AMCTConfig(), path)


def test_what_a_file_ignores_is_not_a_warning_of_its_plan():
    text = "# amctcfg: ignore=redundant-override\n" + own("conv")
    assert amctcfg.expand(amctcfg.parse(text), ASCEND).warnings == ()
    assert [d.code for d in amctcfg.expand(amctcfg.loads(text), ASCEND).warnings] == ["redundant-override"]


def test_a_pickled_plan_knows_its_document():
    plan = amctcfg.expand(amctcfg.parse(own("conv")), ASCEND)
    assert pickle.loads(pickle.dumps(plan)).warnings == plan.warnings != ()
    assert plan.warnings[0].span is not None
    made = amctcfg.expand(amctcfg.AMCTConfig(skip_layers=["conv"]), ASCEND)
    assert pickle.loads(pickle.dumps(made)) == made and pickle.loads(pickle.dumps(made)).config == made.config


HFMG = "hfmg_quantize { num_of_bins: 1024 }"
LOST = [
    (common(STEP), "conv", HFMG, None),  # it has chosen another algorithm
    (common(STEP), "conv", "ifmr_quantize { max_percentile: 0.9999 }", "search_step falls back to 0.01 (common_config has 0.02)"),
    (common(STEP), "conv", "ifmr_quantize { }", "search_step falls back to 0.01 (common_config has 0.02)"),
    (common(STEP), "conv", DMQ, "search_step falls back to 0.01 (common_config has 0.02)"),  # with IFMR by default
    (common(HFMG), "conv", CHANNELS, "hfmg_quantize gives way to ifmr_quantize (common_config has it)"),
    (common(HFMG), "conv", STEP, None),
    (common(ADA), "conv", STEP, "ada_quantize gives way to arq_quantize (common_config has it)"),
    (common(ADA), "c3", STEP, None),  # which can't have it
    (common(DMQ), "fc", STEP, "dmq_balancer is left out (common_config has it)"),
    (common("dmq_balancer { migration_strength: 0.7 }"), "fc", STEP, "dmq_balancer is left out (common_config has it)"),
    (common(DMQ), "pool", STEP, None),
    (common(INT16), "fc", "arq_quantize { }", "dst_type falls back to INT8 (common_config has INT16)"),
    (common(INT16), "bare", "arq_quantize { }", None),
    (common(CHANNELS), "fc", "", None),
    (
        common(DMQ) + of_type("Linear", HFMG), "fc", "arq_quantize { }",
        "hfmg_quantize gives way to ifmr_quantize (override_layer_types has it)",
    ),
]  # fmt: skip


@pytest.mark.parametrize("below, name, block, words", LOST)
def test_a_block_loses_what_its_layer_would_have_had(below, name, block, words):
    found = amctcfg.check(below + own(name, block), layers=TORCH, flavour=PYTORCH)
    messages = [d.message for d in found if d.code == "partial-override" and d.path[0] == "override_layer_configs"]
    assert [message.partition(": ")[2] for message in messages] == ([words] if words else [])
    if words and "falls" not in words:  # the plan says the same
        without, with_it = (
            vars(amctcfg.expand(amctcfg.loads(text, flavour=PYTORCH), TORCH)[name].calibration_config)
            for text in (below, below + own(name, block))
        )
        assert [n for n in without if without[n] is not None and with_it[n] is None] == [words.split()[0]]


@pytest.mark.parametrize(
    "flavour, text, place",
    [
        ("tensorflow", "do_fusion: true\nskip_approximation_layers: ['a',\n  'b']", (2, 29)),
        ("caffe", "do_fusion: true\n  fc_calibration_config { }", (2, 3)),
    ],
)
def test_what_is_deprecated_has_its_place(flavour, text, place):
    (deprecated,) = [d for d in amctcfg.check(text, flavour=amctcfg.FLAVOURS[flavour]) if d.code == "deprecated"]
    assert (deprecated.span.line, deprecated.span.column) == place


def test_numbers_beside_a_block_that_could_not_be_read_are_checked():
    text = search(None, None, "0.0100000001") + "override_layer_configs { layer_name: 'a' calibration_config: 3 }"
    assert {code for code, _ in found(text)} == {"float32-rounding", "wrong-type"}


UNREAD = "ifmr_quantize { asymmetric: false search_step: x }"


@pytest.mark.parametrize(
    "text, expected",
    [
        (own("conv", "ifmr_quantize { search_step: x }"), []),
        (own("conv") + common("ifmr_quantize { search_step: x }"), []),
        (own("conv") + common(PER_LAYER + "ifmr_quantize { search_step: x }"), []),
        (own("conv", UNREAD) + of_type("Conv2D", STEP), [("unused-override", "'Conv2D'")]),
        (own("conv", STEP) + of_type("Conv2D", UNREAD), []),
        (of_type("Conv2D", UNREAD), []),
        (of_type("Conv2D", "ifmr_quantize { search_step: x }"), []),
        (of_type("Conv2D") + common("ifmr_quantize { search_step: x }"), []),
        (of_type("Conv2D") + common(PER_LAYER + "ifmr_quantize { search_step: x }"), []),
        (common(CHANNELS + " ifmr_quantize { search_step: x }"), [("channel-wise-unsupported", "true")]),
        (common(CHANNELS) + "override_layer_types: x", []),  # whom is it for?
        (common(CHANNELS) + "override_layer_configs: x", []),
        (common(CHANNELS) + of_type("MatMul").replace("'MatMul'", "x") + own("pool"), []),
        (common("ifmr_quantize { search_step: 0.0000001 asymmetric: x }"), []),
        (common(STEP) + own("conv") + own("pool", "ifmr_quantize { search_step: x }"), [PARTIAL]),
    ],
)
def test_a_block_that_could_not_be_read_is_not_judged(text, expected):
    assert sorted(found(text, layers=ASCEND)) == sorted([("wrong-type", "x"), *expected])


def test_what_is_not_a_layer_is_refused():
    for layers in (["conv"], [("conv", "Conv2D")], [Layer("conv", "Conv2D"), None]):
        for function in (
            lambda model: amctcfg.check("", layers=model),
            lambda model: amctcfg.expand(amctcfg.loads(""), model),
        ):
            with pytest.raises(TypeError, match="layers have to be Layer, not "):
                function(layers)


def test_two_layers_of_one_name_are_refused():
    with pytest.raises(ValueError, match="the layer 'a' occurs twice"):
        amctcfg.check("", layers=[Layer("b", "Conv2D"), Layer("a", "Conv2D"), Layer("a", "MatMul")])


@pytest.mark.parametrize(
    "literals, is_missing",
    [
        ('"a"\n  "b"', True),
        ("'a' # first\n 'b'", True),
        ('"a" "x"', False),  # no layer, and no name that is near
        ('"ab"', False),
    ],
)
def test_a_comma_that_is_missing_between_two_layers(literals, is_missing):
    layers = [Layer("a", "Conv2D"), Layer("b", "Conv2D"), Layer("other", "Conv2D")]
    (found,) = amctcfg.check("skip_layers: [{}]".format(literals), layers=layers)
    hint = "a comma is missing: strings side by side are one; 'a' and 'b' are layers"
    assert found.code == "unknown-layer" and (found.hint == hint) is is_missing


@pytest.mark.parametrize(
    "written, meant",
    [
        ("stem:0", "stem"),  # TensorFlow's first output
        ("/layers/layers.0/conv1/Conv", "layers.0.conv1"),  # the node that an export makes of a module,
        ("/layers/layers.0/conv1/Conv_output_0", "layers.0.conv1"),  # and its output
        ("layers.0.conv1.weight", "layers.0.conv1"),
        ("module.stem", "stem"),  # wrapped for several devices
        ("_orig_mod.module.stem.bias", "stem"),  # compiled as well
        ("pool:0", None),  # of a type that is not quantized
        ("/other/Conv", None),
    ],
)
def test_what_other_names_of_a_layer_mean(written, meant):
    layers = [Layer("stem", "Conv2d"), Layer("layers.0.conv1", "Conv2d"), Layer("pool", "MaxPool2d")]
    text = 'skip_layers: "{}"'.format(written)
    (found,) = amctcfg.check(text, layers=layers, flavour=PYTORCH)
    assert found.code == "unknown-layer"
    assert (found.hint == "did you mean '{}'?".format(meant)) is (meant is not None)
    if meant is not None:
        assert amctcfg.fix(text, layers, unsafe=True, flavour=PYTORCH) == 'skip_layers: "{}"'.format(meant)


def test_a_name_of_an_enum_in_other_letters():
    text = "common_config { ifmr_quantize { dst_type: int8 } }"
    (found,) = amctcfg.check(text, flavour=PYTORCH)
    assert (found.code, found.hint) == ("out-of-range", "write INT8")
    assert amctcfg.fix(text, unsafe=True, flavour=PYTORCH) == text.replace("int8", "INT8")
