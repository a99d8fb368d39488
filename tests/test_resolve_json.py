# SPDX-License-Identifier: Apache-2.0
"""The JSON quantization config as input: `read_plan`, the commands that take it, `audit` and its mutations."""

import copy
import dataclasses
import gc
import json
import pickle
import random
import re
import weakref

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

import amctcfg
from amctcfg import FLAVOURS, PYTORCH, ConfigError, Layer
from amctcfg.documents.json_tree import parse_json
from amctcfg.flavours import pytorch
from amctcfg.tools.auditing import count_invisible, read_record

from .strategies import expandable, flavours_with_json, rule_sets

LAYERS = [
    Layer("conv", "Conv2d"),
    Layer("c3", "Conv3d"),
    Layer("fc", "Linear", True, ("int16",)),
    Layer("relu", "ReLU", False),
]


def default(**changes):
    """The default expansion with values changed by dotted key; None deletes one."""
    values = amctcfg.expand(amctcfg.loads("", flavour=PYTORCH), LAYERS).to_dict()
    for key, value in changes.items():
        *path, last = key.split("__")
        part = values
        for name in path:
            part = part[name]
        if value is None:
            del part[last]
        else:
            part[last] = value
    return values


def read(values, **options):
    text = values if isinstance(values, str) else json.dumps(values, indent=4)
    return amctcfg.read_plan(text, LAYERS, "config.json", **dict({"flavour": PYTORCH}, **options))


def test_the_root_module_has_no_name_and_its_places_all_the_same():
    layers = [Layer("", "Linear"), Layer("fc", "Linear")]
    for config in ("", "skip_layers: ''"):
        plan = amctcfg.expand(amctcfg.loads(config, flavour=PYTORCH), layers)
        again = amctcfg.read_plan(plan.to_json(), layers, flavour=PYTORCH)
        assert again == plan and set(again[""].origins) == set(plan[""].origins)
        assert again[""].origins["quant_enable"].path == ("", "quant_enable")


def test_what_is_left_out_has_its_default():
    values = default(
        conv__quant_enable=None,
        fc__weight_quant_params=None,
        c3__activation_quant_params__asymmetric=None,
        batch_num=None,
    )
    plan = read(values)
    assert not plan["conv"].quant_enable and plan["fc"].quant_enable
    assert (
        plan["c3"].calibration_config.ifmr_quantize.asymmetric is True
    )  # activation_offset, whatever the type can have
    assert plan["fc"].calibration_config.arq_quantize == pytorch.ARQuantize(channel_wise=False, quant_bits=8)
    assert plan.config is None and list(plan) == ["conv", "c3", "fc"]
    values = default()
    del values["conv"]
    assert not read(values)["conv"].quant_enable
    nothing = read({"version": 1})
    assert not any(effective.quant_enable for effective in nothing.values())


def test_an_offset_that_is_left_out_is_that_of_the_whole():
    for offset in (True, False):
        values = default(activation_offset=offset, conv__activation_quant_params__asymmetric=None)
        assert read(values)["conv"].calibration_config.ifmr_quantize.asymmetric is offset


@pytest.mark.parametrize(
    "keys, algorithm",
    [
        ({}, "ifmr_quantize"),
        ({"num_bits": 16, "asymmetric": False}, "ifmr_quantize"),  # which both have
        ({"num_bits": 16, "search_step": 0.02}, "ifmr_quantize"),
        ({"num_bits": 16, "num_of_bins": 2048}, "hfmg_quantize"),
        ({"act_algo": "hfmg"}, "hfmg_quantize"),
        ({"num_bits": 16, "act_algo": "hfmg", "num_of_bins": 2048}, "hfmg_quantize"),
    ],
)
def test_an_algorithm_that_is_not_named_is_told_by_its_keys(keys, algorithm):
    block = read(default(conv__activation_quant_params=keys))["conv"].calibration_config
    chosen = {name: getattr(block, name) for name in ("ifmr_quantize", "hfmg_quantize")}
    assert [name for name, message in chosen.items() if message is not None] == [algorithm]
    assert chosen[algorithm].dst_type == ("INT16" if "num_bits" in keys else "INT8")


@pytest.mark.parametrize("do_fusion", [True, False, None])
def test_whether_bn_is_fused_is_read(do_fusion):
    plan = read(default(do_fusion=do_fusion, skip_fusion_layers=["c3"]))
    assert {name: effective.fuse for name, effective in plan.items()} == {
        "conv": do_fusion is not False,
        "c3": False,
        "fc": do_fusion is not False,
    }
    tiers = [effective.origins["fuse"].tier for effective in plan.values()]
    assert tiers == ["default" if do_fusion is None else "do_fusion", "skip_fusion_layers", tiers[0]]


ADA_JSON = amctcfg.expand(amctcfg.loads("common_config { ada_quantize { } }", flavour=PYTORCH), LAYERS).to_dict()[
    "conv"
]


@pytest.mark.parametrize(
    "changes, field, value",
    [(dict(conv__activation_quant_params__num_bits=4), "ifmr_quantize.dst_type", "INT4")]
    + [(dict(conv=dict(ADA_JSON, weight_quant_params=dict(ADA_JSON["weight_quant_params"], num_bits=bits))), "ada_quantize.quant_bits", bits)
       for bits in (4, 6, 7)],
    ids=["activations", "4", "6", "7"],
)  # fmt: skip
def test_widths_that_only_json_can_ask_for(changes, field, value):
    """The toolkit reads more than its configuration can say; it is kept, shown and compared, and can't be condensed."""
    values = default(**changes)
    plan = read(values)
    assert plan["conv"].settings()[field] == value == plan["conv"].origins[field].value
    assert plan.to_dict() == values == json.loads(plan.to_json())
    assert read(plan.to_json()) == plan == pickle.loads(pickle.dumps(plan))
    assert (field, value) in [(change.field, change.after) for change in amctcfg.diff(read(default()), plan)]
    assert str(value) in amctcfg.explain(plan, "conv") and str(value) in plan._repr_html_()
    with pytest.raises(ConfigError, match="num_bits: no configuration can say this") as caught:
        amctcfg.condense(values, LAYERS, flavour=PYTORCH)
    assert len(caught.value.diagnostics) == 1


def test_values_have_their_place():
    plan = read(default(conv__activation_quant_params__search_step=0.03))
    origin = plan["conv"].origins["ifmr_quantize.search_step"]
    assert (origin.tier, origin.value, origin.path) == (
        "quant_config",
        0.03,
        ("conv", "activation_quant_params", "search_step"),
    )
    text = json.dumps(default(conv__activation_quant_params__search_step=0.03), indent=4)
    line = text.splitlines()[origin.span.line - 1]
    assert line[origin.span.column - 1 : origin.span.end_column - 1] == "0.03"
    fused = plan["conv"].origins["fuse"]  # of a global value, with its key
    assert at(text.splitlines(), fused.span) == '"do_fusion":true'
    assert pickle.loads(pickle.dumps(plan))["conv"].origins == plan["conv"].origins
    for kept in (plan["conv"], pickle.loads(pickle.dumps(plan["conv"]))):
        assert kept.origins.get("nothing") is None and kept.origins["fuse"] == fused


WRONG = [
    (dict(version=2), "out-of-range", "only 1 is known"),
    (dict(version=[]), "out-of-range", "it is a list, and"),
    (dict(version={}), "out-of-range", "it is an object, and"),
    (dict(version=float("nan")), "out-of-range", "it is NaN, and"),
    (dict(version=10**20), "out-of-range", "it is 100000000000000000000, and"),
    (dict(version=-(10**20) - 1), "out-of-range", "it is a number of 67 bits, and"),
    (dict(batch_num=0), "out-of-range", "greater than 0"),
    (dict(batch_num=True), "wrong-type", "a whole number, not true"),
    (dict(batch_num=False), "wrong-type", "not false"),
    (dict(batch_num=[]), "wrong-type", "not a list"),
    (dict(conv=dict(quant_enable=True, activation_quant_params={"asymmetric": None})), "wrong-type", "not null"),
    (dict(activation_offset="yes"), "wrong-type", "a bool, not 'yes'"),
    (dict(joint_quant=True), "unknown-layer", "no such layer"),
    (dict(nope={}), "unknown-layer", "no such layer"),
    (dict(batch_nums=1), "unknown-layer", "did you mean 'batch_num'?"),
    (dict(cov={}), "unknown-layer", "did you mean 'conv'?"),
    (dict(conv__weight_quant_params={"channel_wisee": True}), "unknown-field", "did you mean 'channel_wise'?"),
    (dict(relu={}), "not-quantizable", "can't be quantized"),
    (dict(conv=[]), "wrong-type", "a layer has an object"),
    (dict(conv__quant_enable=1), "wrong-type", "true or false, not 1"),
    (dict(version=1.0), "out-of-range", "only 1 is known"),
    (dict(conv__activation_quant_params=None), "missing-field", "has 'activation_quant_params'"),
    (dict(conv__activation_quant_params=None, conv__quant_enable=False), "missing-field", "has 'activation_quant_params'"),
    (dict(conv__activation_quant_params__num_bits=8.0), "out-of-range", "it is 8.0"),
    (dict(conv__weight_quant_params__channel_wisee=True), "unknown-field", "did you mean 'channel_wise'?"),
    (dict(conv__activation_quant_params__num_bits=7), "out-of-range", "4, 8 or 16"),
    (dict(conv__weight_quant_params={"wts_algo": "ada_quantize", "num_bits": 5}), "out-of-range", "4, 6, 7 or 8"),
    (dict(conv__weight_quant_params={"wts_algo": "ada_quantize", "num_bits": 8.0}), "wrong-type", "not 8.0"),
    (dict(conv__weight_quant_params={"wts_algo": "ada_quantize", "num_iteration": 5000.5}), "wrong-type", "not 5000.5"),
    (dict(conv__activation_quant_params__max_percentile="much"), "wrong-type", "not 'much'"),
    (dict(conv__activation_quant_params__max_percentile="0.4"), "out-of-range", "greater than 0.5"),
    (dict(conv__activation_quant_params__search_step="0.01"), "wrong-type", "not '0.01'"),
    (dict(batch_num=2.0), "wrong-type", "not 2.0"),
    (dict(conv__activation_quant_params__num_of_bins=4096), "unknown-field", "no such key"),
    (dict(conv__activation_quant_params__act_algo="max"), "out-of-range", "'max'"),
    (dict(conv__activation_quant_params__search_range=[1.3, 0.7]), "out-of-range", "less than search_range_end"),
    (dict(conv__weight_quant_params__num_bits=5), "out-of-range", "4, 6, 7 or 8"),
    (dict(c3__activation_quant_params__asymmetric=True), "algorithm-unsupported", "of type Conv3d"),
    (dict(fc__activation_quant_params__num_bits=16), "algorithm-unsupported", "for 'fc'"),
    (dict(fc__weight_quant_params__channel_wise=True), "channel-wise-unsupported", "for 'fc'"),
    (dict(conv__dmq_balancer_param=1), "wrong-type", "a number with a point"),
    (dict(conv__dmq_balancer_param=0.9), "out-of-range", "at most 0.8"),
    (dict(skip_fusion_layers=["conv", "conv"]), "duplicate-entry", "twice"),
    (dict(skip_fusion_layers=["fc"]), "not-fusible", "never fused"),
    (dict(skip_fusion_layers="conv"), "wrong-type", "list of names"),
]  # fmt: skip


@pytest.mark.parametrize("changes, code, words", WRONG)
def test_errors_have_their_place(changes, code, words):
    values = default(**changes)
    with pytest.raises(ConfigError) as caught:
        read(values)
    (found,) = caught.value.diagnostics
    assert found.code == code and found.name == "config.json"
    assert re.search(re.escape(words) + r"(?!\w)", found.message + " " + (found.hint or ""))
    assert found.message.startswith(" > ".join(map(str, found.path)) + ": ")
    # The path leads to the value, or to the key if that is what is wrong, and so does the span.
    for step in found.path:
        values = values[step]
    if isinstance(values, list) and found.path[-1] == "search_range":
        values = values[0]  # the end of the range that is wrong
    wrong = found.path[-1] if code in ("unknown-layer", "unknown-field", "not-quantizable") else values
    lines = json.dumps(default(**changes), indent=4).splitlines()
    assert lines[found.span.line - 1][found.span.column - 1 :].startswith(json.dumps(wrong, indent=4).splitlines()[0])
    if found.span.line == found.span.end_line:
        assert found.span.end_column - found.span.column == len(json.dumps(wrong))


IFMR = {"num_bits": 8, "act_algo": "ifmr"}


@pytest.mark.parametrize(
    "value, code, message, place",
    [
        (1, "wrong-type", "tensor_quantize: it is a list of objects, not 1", "1"),
        ({}, "wrong-type", "tensor_quantize: it is a list of objects, not an object", "{}"),
        ([1], "wrong-type", "tensor_quantize > 0: it is an object, not 1", "1"),
        ([{"input_index": 0}], "missing-field", "tensor_quantize > 0: an entry has a 'layer_name'", '{"input_index": 0}'),
        ([{"layer_name": "m"}], "missing-field", "tensor_quantize > 0: an entry has a 'input_index'", '{"layer_name": "m"}'),
        (
            [{"layer_name": "m", "input_index": 1}, {"layer_name": "m", "input_index": "0"}], "wrong-type",
            "tensor_quantize > 1 > input_index: it has to be a whole number, not '0'", '"0"',
        ),
        (
            [{"layer_name": "m", "input_index": 0, "index": 1}], "unknown-field",
            "tensor_quantize > 0 > index: there is no such key", '"index"',
        ),
        (
            [{"layer_name": "m", "input_index": 0, "activation_quant_params": 3}], "wrong-type",
            "tensor_quantize > 0 > activation_quant_params: it is an object, not 3", "3",
        ),
        (
            [{"layer_name": "m", "input_index": 0, "activation_quant_params": {**IFMR, "num_of_bins": 1}}], "unknown-field",
            "tensor_quantize > 0 > activation_quant_params > num_of_bins: there is no such key", '"num_of_bins"',
        ),
        (
            [{"layer_name": "m", "input_index": 0, "activation_quant_params": {**IFMR, "max_percentile": 2}}], "out-of-range",
            "tensor_quantize > 0 > activation_quant_params > max_percentile: it is 2; it has to be greater than 0.5 and at most 1", "2",
        ),
    ],
)  # fmt: skip
def test_errors_of_tensors_have_their_place(value, code, message, place):
    layers = [Layer("c", "Conv"), Layer("m", "MaxPool", False)]
    text = json.dumps({"version": 1, "tensor_quantize": value})
    with pytest.raises(ConfigError) as caught:
        amctcfg.read_plan(text, layers, flavour=amctcfg.ONNX)
    (found,) = caught.value.diagnostics
    assert (found.code, found.message) == (code, message)
    assert text[found.span.column - 1 : found.span.end_column - 1] == place
    assert " > ".join(map(str, found.path)) == message.partition(": ")[0]


def test_what_is_not_a_json_quantization_config():
    with pytest.raises(TypeError, match="a JSON quantization config is text or a mapping, not int"):
        amctcfg.read_plan(3, LAYERS, flavour=PYTORCH)
    with pytest.raises(ValueError, match="the toolkit of ge writes no JSON quantization config"):
        amctcfg.read_plan({}, LAYERS, flavour=amctcfg.GE)


def entries(changes, spaces):
    """A text with one entry a line: of the same values for each layer, written alike without spaces."""
    supported = [layer for layer in LAYERS if layer.supported]
    layers = [dataclasses.replace(layer, name="{}{}".format(layer.name, i)) for i in range(3) for layer in supported]
    values = default(**changes)
    lines = [
        '"{}": {}{}'.format(layer.name, "{" + " " * spaces * i, json.dumps(values["conv"])[1:])
        for i, layer in enumerate(layers)
    ]
    return layers, '{"version": 1,\n' + ",\n".join(lines) + "}"


def read_entries(changes, spaces):
    """The blocks, and each origin or error with the text at its place."""
    layers, text = entries(changes, spaces)
    lines = text.splitlines()
    try:
        plan = amctcfg.read_plan(text, layers, flavour=PYTORCH)
    except ConfigError as error:
        return [(d.code, d.path, d.message, d.span.line, at(lines, d.span)) for d in error.diagnostics]
    return [
        (
            effective,
            [(field, o[:3], o.span and (o.span.line, at(lines, o.span))) for field, o in effective.origins.items()],
        )
        for effective in plan.values()
    ]


def at(lines, span):
    return lines[span.line - 1][span.column - 1 : span.end_column - 1].replace(" ", "")


OF_ONE_ENTRY = [changes for changes, _, _ in WRONG if next(iter(changes)).startswith("conv__")]


@pytest.mark.parametrize("changes", [{}, {"conv__quant_enable": None}, *OF_ONE_ENTRY])
def test_entries_that_are_written_alike_are_read_like_others(changes):
    """They are read once for each type; each has its own errors and its own places."""
    assert read_entries(changes, 0) == read_entries(changes, 1)


def test_entries_that_are_written_alike_share_their_block():
    layers, text = entries(dict(conv__activation_quant_params__asymmetric=None, conv__weight_quant_params=None), 0)
    plan = amctcfg.read_plan(text, layers, flavour=PYTORCH)
    assert len({id(effective.calibration_config) for effective in plan.values()}) == 3 < len(plan)


def test_all_errors_at_once_and_duplicate_keys():
    text = '{"version": 1, "batch_num": 0, "batch_num": 1, "conv": {"quant_enable": 2, "quant_enable": true}, "x": 1}'
    with pytest.raises(ConfigError) as caught:
        read(text)
    found = [(d.code, d.span.column) for d in caught.value.diagnostics]
    assert ("duplicate-field", text.index('"batch_num": 1') + 1) in found and (
        "unknown-layer",
        text.index('"x"') + 1,
    ) in found
    assert [code for code, _ in found].count("duplicate-field") == 2
    assert found == sorted(found, key=lambda pair: pair[1])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[",
        "nul",
        '{"a" 1}',
        '{"a": 1,}',
        "[1,]",
        "{}{}",
        "[" * 99999,
        '{"a": "\\ud800"}',
        b"\xff",
        "1" * 5000,
        "{'a': 1}",
        '{"a": +1}',
    ],
)
def test_what_is_not_json(text):
    with pytest.raises(ConfigError) as caught:
        amctcfg.read_plan(text, LAYERS, flavour=PYTORCH)
    assert caught.value.diagnostics[0].code in ("invalid-json", "encoding", "wrong-type")


@pytest.mark.parametrize("value", [{1: {}}, {"conv": {2: 3}}])
def test_mappings_with_other_keys_than_strings(value):
    for function in (amctcfg.condense, amctcfg.read_plan):
        with pytest.raises(TypeError, match="a key of the JSON quantization config has to be a string"):
            function(value, LAYERS, flavour=PYTORCH)
    with pytest.raises(ConfigError):
        amctcfg.condense(default(batch_num=10**5000), LAYERS, flavour=PYTORCH)


def test_what_no_configuration_can_say():
    """The toolkit reads more from the JSON than a configuration can ask for."""
    for changes, words in (
        (
            dict(c3__weight_quant_params__num_bits=6),
            "c3: no configuration can give a layer of type Conv3d this: .*quant_bits=6",
        ),
        (
            dict(fc__weight_quant_params__num_bits=7),
            "fc: no configuration can give a layer of type Linear this: .*quant_bits=7",
        ),
    ):
        assert read(default(**changes))
        with pytest.raises(ConfigError, match=words):
            amctcfg.condense(default(**changes), LAYERS, flavour=PYTORCH)


def test_the_toolkit_leaves_out_the_weights_of_a_layer_that_cant_have_what_was_asked():
    """Where ada_quantize of common_config is dropped, nothing is read in its place; elsewhere ARQ with its defaults."""
    config = amctcfg.loads("common_config { ada_quantize { } }", flavour=PYTORCH)
    plan = amctcfg.expand(config, LAYERS)
    values = plan.to_dict()
    assert "weight_quant_params" not in values["c3"] and read(values).to_dict() == values
    del values["conv"]["weight_quant_params"]
    assert read(values)["conv"].calibration_config.arq_quantize == pytorch.ARQuantize(channel_wise=True, quant_bits=8)
    short = amctcfg.condense(values, LAYERS, flavour=PYTORCH)
    assert amctcfg.diff(amctcfg.expand(short, LAYERS), read(values), LAYERS) == ()


def test_what_the_toolkit_converts():
    """It reads a percentile in quotes, a float that is whole, and the mode that is the one without a word."""
    config = amctcfg.loads("common_config { ada_quantize { } }", flavour=PYTORCH)
    values = amctcfg.expand(config, LAYERS).to_dict()
    values["fakequant_precision_mode"] = "DEFAULT"
    values["conv"]["activation_quant_params"]["max_percentile"] = "0.9999"
    values["conv"]["weight_quant_params"]["num_iteration"] = 5000.0
    plan = read(values)
    block = plan["conv"].calibration_config
    assert (block.ifmr_quantize.max_percentile, block.ada_quantize.num_iteration) == (0.9999, 5000)
    assert "fakequant_precision_mode" not in plan.to_dict() and read(plan.to_json()) == plan
    short = amctcfg.condense(values, LAYERS, flavour=PYTORCH)
    assert amctcfg.diff(amctcfg.expand(short, LAYERS), plan, LAYERS) == ()


JSON_PIECES = st.sampled_from(
    ["{", "}", "[", "]", ",", ":", '"a":', '"b" : ', '"c"', '""', '"\\n"', '"\\ud800"', '"\t"', "1", "-0", "01", "1.5", "2e3",
     "1.", "-", "true", "null", "tru", "NaN", " ", "\n"]
)  # fmt: skip


@given(st.text(st.sampled_from('{}[]",:1e.-+truefalsn\\u \n'), max_size=40) | st.lists(JSON_PIECES).map("".join))
@example('{"a": 1.5, "b" :true,"c":{"a":"x"}, "d": "\\u00e9", "a": -0}')
@example('{"a": 1.5.1}')
@example('{"a": 1 "b": 2}')
def test_our_json_reader_agrees_with_pythons(text):
    from amctcfg.documents.json_tree import parse_json

    def no_duplicates(pairs):
        return dict(reversed(pairs))  # ours keeps the first of two

    try:
        expected = json.loads(text, object_pairs_hook=no_duplicates)
        half = "\\ud800" in text  # which Python takes
    except ValueError:
        expected, half = None, True
    try:
        found = parse_json(text, "x")[1].to_plain()
    except ConfigError:
        assert half
    else:
        assert json.dumps(found, sort_keys=True) == json.dumps(expected, sort_keys=True)  # NaN is not equal to itself


# ---------------------------------------------------------------- the commands


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [{"name": x.name, "type": x.type, "supported": x.supported, "lacks": list(x.lacks)} for x in LAYERS]
    (tmp_path / "l.json").write_text(json.dumps(rows), encoding="utf-8")
    (tmp_path / "q.cfg").write_text(
        "common_config { arq_quantize { quant_bits: 8 } }\nskip_layers: 'c3'\n", encoding="utf-8"
    )
    return tmp_path


def test_json_wherever_a_configuration_is_taken(folder, cli):
    written = cli("expand", "q.cfg", "--graph", "l.json", "-o", "config.json")
    assert (written.status, written.out) == (0, "")
    assert cli("check", "config.json", "--graph", "l.json").status == 0
    assert cli("diff", "q.cfg", "config.json", "--graph", "l.json").status == 0
    assert "conv (Conv2d)" in cli("explain", "config.json", "conv", "--graph", "l.json").out
    assert "skipped" not in cli("show", "config.json", "--graph", "l.json").out
    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    values["conv"]["activation_quant_params"]["search_step"] = 0.05
    (folder / "config.json").write_text(json.dumps(values), encoding="utf-8")
    result = cli("diff", "q.cfg", "config.json", "--graph", "l.json")
    assert result.status == 1 and "search_step 0.01 → 0.05 for 1 layer: 'conv', config.json:1" in result.out
    values["batch_num"] = 0
    (folder / "config.json").write_text(json.dumps(values), encoding="utf-8")
    result = cli("check", "config.json", "--graph", "l.json")
    assert result.status == 1 and "config.json:1:" in result.out and "error[out-of-range]" in result.out
    assert cli("check", "config.json").status == 2  # without a model there is nothing to check it on


# ---------------------------------------------------------------- audit


def record_of(plan, flavour):
    """The record file that the toolkit would write, as its pages describe it."""
    lines = []
    for name, effective in plan.items():
        if not effective.quant_enable:
            continue
        block = effective.calibration_config
        activations = getattr(block, "hfmg_quantize", None) or block.ifmr_quantize
        weights = block.arq_quantize if block.arq_quantize is not None else getattr(block, "ada_quantize", None)
        scales = 3 if weights is not None and weights.channel_wise else 1
        fields = ["scale_d: 0.5", "offset_d: {}".format(-3 if activations.asymmetric else 0)]
        fields += ["scale_w: 0.25"] * scales + ["offset_w: 0"] * scales
        fields.append("skip_fusion: {}".format("false" if effective.fuse else "true"))
        if hasattr(activations, "dst_type"):
            fields.append('act_type: "{}"'.format(activations.dst_type))
            fields.append('wts_type: "INT{}"'.format(getattr(weights, "quant_bits", 8) or 8))
        if getattr(block, "dmq_balancer", None) is not None:
            fields.append("tensor_balance_factor: 0.5")
        lines.append("record {{\n  key: {}\n  value {{ {} }}\n}}\n".format(json.dumps(name), " ".join(fields)))
    return "".join(lines)


@given(flavours_with_json.flatmap(lambda f: st.tuples(st.just(f), expandable(f))), rule_sets)
def test_nothing_is_found_where_nothing_is(drawn, rules):
    flavour, (config, model) = drawn
    plan = amctcfg.expand(config, model, rules=rules)
    assert amctcfg.audit(plan, plan.to_json(), record_of(plan, flavour)) == ()
    assert amctcfg.audit(plan, plan.to_dict()) == ()


def mutations(values):
    """One fault each in a JSON quantization config: (path, other value) that another plan means."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield (key, "quant_enable"), not value.get("quant_enable")
            for part in ("activation_quant_params", "weight_quant_params"):
                for name, inner in value.get(part, {}).items():
                    if name == "search_range":
                        yield (key, part, name), [inner[0] / 2, inner[1]]
                    elif name == "beta_range":
                        yield (key, part, name), [2 * inner[0], inner[1]]
                    elif (name == "asymmetric" and inner) or (name == "channel_wise" and inner):
                        yield (key, part, name), False
                    elif name in ("max_percentile", "min_percentile"):
                        yield (key, part, name), 0.75 if inner != 0.75 else 0.8
        elif key in ("activation_offset", "do_fusion", "joint_quant"):
            yield (key,), not value
        elif key == "batch_num":
            yield (key,), value % 7 + 2 if value % 7 + 2 != value else 1


@given(flavours_with_json.flatmap(lambda f: st.tuples(st.just(f), expandable(f))), st.randoms(use_true_random=False))
def test_every_fault_in_the_json_is_found(drawn, chance):
    flavour, (config, model) = drawn
    plan = amctcfg.expand(config, model)
    values = plan.to_dict()
    path, other = chance.choice(list(mutations(values)))
    faulty = copy.deepcopy(values)
    part = faulty
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = other
    found = amctcfg.audit(plan, faulty)
    assert found, (path, other)
    assert {finding.layer for finding in found} == {path[0] if len(path) > 1 else None}


@given(flavours_with_json.flatmap(lambda f: st.tuples(st.just(f), expandable(f))), st.randoms(use_true_random=False))
def test_every_fault_in_a_record_that_it_can_show_is_found(drawn, chance):
    flavour, (config, model) = drawn
    plan = amctcfg.expand(config, model)
    text = record_of(plan, flavour)
    records = text.split("record {")[1:]
    assume(records)
    index = chance.randrange(len(records))
    name = json.loads(records[index].split("key: ")[1].split("\n")[0])
    fault = chance.choice(["gone", "fusion", "symmetric", "channels", "width", "more"])
    faulty = list(records)
    if fault == "gone":
        del faulty[index]
    elif fault == "fusion" and plan[name].layer.type in flavour.fusible_types:
        now = "skip_fusion: true" in records[index]
        faulty[index] = records[index].replace(
            "skip_fusion: " + ("true" if now else "false"), "skip_fusion: " + ("false" if now else "true")
        )
    elif fault == "symmetric" and "offset_d: 0" in records[index]:
        faulty[index] = records[index].replace("offset_d: 0", "offset_d: 5")
    elif fault == "channels" and records[index].count("scale_w") == 1 and plan[name].calibration_config.arq_quantize:
        faulty[index] = records[index].replace("scale_w: 0.25", "scale_w: 0.25 scale_w: 0.3")
    elif fault == "width" and 'act_type: "INT8"' in records[index]:
        faulty[index] = records[index].replace('act_type: "INT8"', 'act_type: "INT16"')
    else:
        faulty.append(' key: "another" value { scale_d: 1 } }')
        name = "another"
    found = amctcfg.audit(plan, record="".join("record {" + one for one in faulty))
    assert {finding.layer for finding in found} == {name}


def test_an_audit_says_which_is_which():
    plan = amctcfg.expand(amctcfg.parse("activation_offset: false", flavour=PYTORCH), LAYERS)
    values = plan.to_dict()
    values["conv"]["activation_quant_params"]["search_step"] = 0.05
    values["batch_num"] = 4
    values["fc"]["quant_enable"] = False
    found = [(f.layer, f.field, f.asked, f.done, f.origin.tier) for f in amctcfg.audit(plan, values)]
    assert found == [
        (None, "batch_num", 1, 4, "default"),
        ("conv", "ifmr_quantize.search_step", 0.01, 0.05, "default"),
        ("fc", "quant_enable", True, False, "default"),
    ]
    for key, done in (("do_fusion", False), ("skip_fusion_layers", ["conv"])):  # and not once more for each layer
        (finding,) = amctcfg.audit(plan, dict(plan.to_dict(), **{key: done}))
        assert (finding.layer, finding.field, finding.done) == (None, key, done)
    values = plan.to_dict()
    del values["fc"]
    (finding,) = amctcfg.audit(plan, values)
    assert (finding.layer, finding.field, finding.done) == ("fc", "quant_enable", False)
    values = plan.to_dict()
    values["relu"] = {"quant_enable": True}
    assert [(f.layer, f.field, f.asked, f.done, f.origin.tier) for f in amctcfg.audit(plan, values)] == [
        ("relu", "quant_enable", False, True, "unsupported")
    ]
    for entry in ({"quant_enable": False}, {}):
        values["relu"] = entry
        assert amctcfg.audit(plan, values) == ()


def test_an_audit_of_global_keys_finds_what_diff_does():
    """The line that set one, and one that only the toolkit's JSON has."""
    plan = amctcfg.expand(amctcfg.parse("batch_num: 2\ndo_fusion: false", flavour=PYTORCH), LAYERS)
    values = dict(plan.to_dict(), do_fusion=True, fakequant_precision_mode="FORCE_FP16_QUANT")
    fused, mode = amctcfg.audit(plan, values)
    assert (fused.field, fused.asked, fused.done) == ("do_fusion", False, True)
    assert (fused.origin.tier, fused.origin.path, fused.origin.span.line) == ("do_fusion", ("do_fusion",), 2)
    assert (mode.field, mode.asked, mode.done) == ("fakequant_precision_mode", None, "FORCE_FP16_QUANT")
    assert mode.origin.tier == "default"


def test_an_audit_of_what_is_wrong_reports_that_alone():
    plan = amctcfg.expand(amctcfg.loads("", flavour=PYTORCH), LAYERS)
    with pytest.raises(ConfigError) as caught:
        amctcfg.audit(plan, default(version=2, batch_num=0, nope={"quant_enable": True}))
    assert [(d.code, d.path) for d in caught.value.diagnostics] == [
        ("out-of-range", ("version",)), ("out-of-range", ("batch_num",))
    ]  # fmt: skip


RECORD = 'record { key: "conv" value { scale_d: 1 offset_d: %s %s skip_fusion: %s act_type: "%s" wts_type: "%s" %s } }'


@pytest.mark.parametrize(
    "values, expected",
    [
        ((-1, "scale_w: 1 scale_w: 2", "false", "INT8", "INT8", ""), []),
        ((-1, "scale_w: 1", "false", "INT8", "INT8", ""), []),  # it may have one channel
        ((0, "scale_w: 1 scale_w: 2", "false", "INT8", "INT8", ""), []),  # an offset may be 0 by chance
        ((-1, "scale_w: 1 scale_w: 2", "true", "INT8", "INT8", ""), [("fuse", True, False)]),
        ((-1, "scale_w: 1 scale_w: 2", "false", "INT16", "INT8", ""), [("ifmr_quantize.dst_type", "INT8", "INT16")]),
        ((-1, "scale_w: 1 scale_w: 2", "false", "FLOAT", "INT8", ""), []),
        ((-1, "scale_w: 1 scale_w: 2", "false", "INT8", "INT6", ""), [("arq_quantize.quant_bits", 8, 6)]),
        ((-1, "scale_w: 1 scale_w: 2", "false", "INT8", "INT4", ""), [("arq_quantize.quant_bits", 8, 4)]),
        ((-1, "scale_w: 1 scale_w: 2", "false", "INT8", "INT8", "tensor_balance_factor: 1"),
         [("dmq_balancer.migration_strength", None, "on")]),
    ],
)  # fmt: skip
def test_what_a_record_shows(values, expected):
    plan = amctcfg.expand(amctcfg.loads("", flavour=PYTORCH), LAYERS[:1])
    found = amctcfg.audit(plan, record=RECORD % values)
    assert [(f.field, f.asked, f.done) for f in found] == expected


def test_a_record_shows_nothing_of_fusing_for_a_layer_that_bn_is_never_fused_into():
    plan = amctcfg.expand(amctcfg.loads("", flavour=PYTORCH), [LAYERS[2]])
    values = (-1, "scale_w: 1", "true", "INT8", "INT8", "")
    assert amctcfg.audit(plan, record=(RECORD % values).replace('"conv"', '"fc"')) == ()


def test_a_record_against_symmetric_layers_and_one_scale():
    text = "common_config { arq_quantize { channel_wise: false } dmq_balancer { } } activation_offset: false"
    plan = amctcfg.expand(amctcfg.loads(text, flavour=PYTORCH), LAYERS[:1])
    values = (-1, "scale_w: 1 scale_w: 2", "false", "INT8", "INT8", "tensor_balance_factor: 1")
    found = [(f.field, f.asked, f.done) for f in amctcfg.audit(plan, record=RECORD % values)]
    assert found == [("arq_quantize.channel_wise", False, True), ("ifmr_quantize.asymmetric", False, True)]


def test_what_a_record_shows_is_visible():
    plan = amctcfg.expand(amctcfg.loads("", flavour=PYTORCH), LAYERS[:1])
    for values, fields in [
        ((-1, "scale_w: 1 scale_w: 2", "false", "INT8", "INT8", ""), set()),
        ((0, "scale_w: 1", "false", "INT8", "INT8", ""), {"arq_quantize.channel_wise", "ifmr_quantize.asymmetric"}),
    ]:
        hidden = count_invisible(plan, read_record(RECORD % values))
        shown = {
            "arq_quantize.channel_wise",
            "arq_quantize.quant_bits",
            "ifmr_quantize.asymmetric",
            "ifmr_quantize.dst_type",
            "fuse",
        }
        assert shown & set(hidden) == fields and set(hidden.values()) == {1}
        assert "ifmr_quantize.search_step" in hidden
    layers = [Layer(name, "Conv2d") for name in ("conv", "other", "third")]
    plan = amctcfg.expand(amctcfg.loads("skip_layers: 'third'", flavour=PYTORCH), layers)
    bare = "".join('record {{ key: "{}" value {{ scale_d: 1 }} }}'.format(layer.name) for layer in layers)
    counts = count_invisible(plan, read_record(bare))
    assert {"fuse", "ifmr_quantize.dst_type", "arq_quantize.quant_bits"} <= set(counts) and set(counts.values()) == {2}
    assert count_invisible(plan, {}) == {}


NOTHING_SHOWN = dict(
    dict.fromkeys(["channel_wise", "asymmetric", "dst_type", "quant_bits", "fuse"]),
    balanced=False,
)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", {}),
        ("scale_w: [1] scale_w: [] scale_w: 3 offset_d: 0 offset_d: -2", {"channel_wise": True, "asymmetric": True}),
        ("scale_w: 3 offset_d: 1 offset_d: 0", {}),
        ("act_type: INT8 wts_type: 'INT' '4' skip_fusion: false", {"dst_type": "INT8", "quant_bits": 4, "fuse": True}),
        ("skip_fusion: false skip_fusion: true act_type: 'a' act_type: 'INT16'", {"dst_type": "INT16", "fuse": False}),
        ("tensor_balance_factor: 0.5 act_type: INT8 act_type: '\\377' skip_fusion: 2", {"balanced": True}),
    ],
)
def test_of_what_a_record_says_twice_the_last_counts(text, expected):
    whole = "record { key: 'x' value { scale_w: 9 } key: 'a' 'b' value { %s } } prune_record { key: 'c' }" % text
    expected = {"ab": {**NOTHING_SHOWN, **expected}}
    assert read_record(whole) == expected
    assert read_record(("record: [{ key: 'ab' }, { key: 'ab' value { %s } }]" % text).encode()) == expected


def test_global_keys_that_the_json_leaves_out_have_their_defaults():
    plan = amctcfg.expand(amctcfg.loads("", flavour=PYTORCH), LAYERS)
    values = plan.to_dict()
    for key in ("batch_num", "activation_offset", "do_fusion", "skip_fusion_layers"):
        del values[key]
    assert amctcfg.read_plan(values, LAYERS, flavour=PYTORCH).global_values == plan.global_values


@pytest.mark.parametrize(
    "text", ['{"a": "\x01"}', '{"a\nb": 1}', "[" * 60 + "]" * 60, '{"a": 01}', '{"a": 1,}', "[1,]", "{'a': 1}"]
)
def test_what_the_json_module_takes_or_not_is_an_error_here(text):
    with pytest.raises(ConfigError) as caught:
        parse_json(text, "x.json")
    assert [d.code for d in caught.value.diagnostics] == ["invalid-json"]


def test_how_deep_json_may_be():
    for depth, fine in ((50, True), (51, False)):
        text = "[" * depth + "1" + "]" * depth
        try:
            assert parse_json(text, "x.json")[1].to_plain() == json.loads(text) and fine
        except ConfigError:
            assert not fine


def test_a_difference_of_global_values_says_which_file_has_which():
    (change,) = amctcfg.diff(read(default(batch_num=4)), amctcfg.expand(amctcfg.loads("", flavour=PYTORCH), LAYERS))
    assert (change.layer, change.field, change.before, change.after) == (None, "batch_num", 4, 1)
    assert (change.before_origin.tier, change.after_origin.tier) == ("quant_config", "default")


def test_what_a_record_cannot_show_is_not_visible(folder, cli):
    (folder / "record.txt").write_text(
        'record { key: "conv" value { scale_d: 1 offset_d: 0 scale_w: 1 } }', encoding="utf-8"
    )
    result = cli("audit", "q.cfg", "--graph", "l.json", "--record", "record.txt")
    assert result.status == 1
    assert "'fc': quant_enable expected true (default), found false" in result.out
    assert "not visible in the record: arq_quantize.channel_wise of 1 layer" in result.out
    report = json.loads(cli("audit", "q.cfg", "--graph", "l.json", "--record", "record.txt", "--format", "json").out)
    assert [f["layer"] for f in report["findings"]] == ["fc"] and report["not_visible"]["ifmr_quantize.asymmetric"] == 1
    assert cli("audit", "q.cfg", "--graph", "l.json").status == 2
    (folder / "record.txt").write_text("record {\n", encoding="utf-8")
    assert "\nrecord.txt:2:1: error[syntax]" in cli("audit", "q.cfg", "--graph", "l.json", "--record", "record.txt").err
    (folder / "record.txt").write_text("recrd { }", encoding="utf-8")
    assert cli("audit", "q.cfg", "--graph", "l.json", "--record", "record.txt").status == 2
    assert cli("audit", "q.cfg", "--graph", "l.json", "--record", "nowhere.txt").status == 2


@pytest.mark.parametrize(
    "text, words",
    [
        ("recrd { }", "a record file has no 'recrd'"),
        ("record: 1", "record takes a message"),
        ("record: [1]", "record takes a message"),
        ("record { key: 1 value { scale_d: 1 } }", "key is the name of a layer, a string of UTF-8"),
        ('record { key: "\\377" value { } }', "key is the name of a layer, a string of UTF-8"),
        ('record: "x"\nfoo: 1', "record takes a message"),  # the first error of the file
        ("record { value { scale_d: 1 } }", "a record has a 'key', the name of its layer"),
    ],
)
def test_what_is_not_a_record(text, words):
    with pytest.raises(ConfigError) as caught:
        read_record("prune_record { }\n" + text)
    (found,) = caught.value.diagnostics
    assert (found.code, found.message, found.span.line) == ("syntax", words, 2)


def test_a_plan_that_is_dropped_goes_at_once():
    """Each holds all its layers: it must not wait for the collector of cycles."""
    values = amctcfg.expand(amctcfg.loads("", flavour=PYTORCH), LAYERS).to_dict()
    plan = amctcfg.read_plan(values, LAYERS, flavour=PYTORCH)
    assert pickle.loads(pickle.dumps(plan)) == plan
    dropped = weakref.ref(plan)
    gc.disable()
    try:
        del plan
        assert dropped() is None
    finally:
        gc.enable()


def test_a_record_shows_what_stands_in_its_value():
    (found,) = read_record(
        'record { key: "conv" value: 1 other { scale_w: 1 offset_d: 1 tensor_balance_factor: 1 } }'
    ).values()
    assert found == NOTHING_SHOWN


def test_a_record_of_a_tensor_that_is_asked_for_is_fine():
    text = "tensor_quantize { layer_name: 'add' input_index: 1 }"
    plan = amctcfg.expand(
        amctcfg.parse(text, flavour=amctcfg.ONNX), [Layer("conv", "Conv"), Layer("add", "Add", False)]
    )
    values = (-1, "scale_w: 1", "false", "INT8", "INT8", "")
    records = [(RECORD % values).replace('"conv"', json.dumps(name)) for name in ("conv", "add:1", "add:0")]
    (found,) = amctcfg.audit(plan, record="".join(records))
    assert (found.layer, found.field, found.asked, found.done) == ("add:0", "quant_enable", False, True)
    assert (found.origin.tier, found.origin.value) == ("unsupported", False)


def test_an_empty_record_is_one():
    plan = amctcfg.expand(amctcfg.loads("", flavour=PYTORCH), LAYERS)
    assert {finding.field for finding in amctcfg.audit(plan, record="")} == {"quant_enable"}
    with pytest.raises(ConfigError):
        amctcfg.audit(plan, quant_config="")


def test_large_records_are_linear():
    chance = random.Random(1)
    scales = " ".join("scale_w: {:.6f} offset_w: 0".format(chance.random()) for _ in range(2000))
    layers = [Layer("l{}".format(n), "Conv2D") for n in range(10)]
    text = "".join(
        'record {{ key: "l{}" value {{ scale_d: 1 offset_d: 1 {} }} }}\n'.format(n, scales) for n in range(10)
    )
    assert amctcfg.audit(amctcfg.expand(amctcfg.loads(""), layers), record=text) == ()


def test_flavours_have_json():
    assert [f.name for f in FLAVOURS.values() if f.layout is None] == ["ge"]


@pytest.mark.parametrize("gone", [("quant_enable",), ("activation_quant_params", "search_step")])
def test_what_the_json_leaves_out_is_a_default(gone):
    model = [Layer("a", "Conv2D")]
    values = amctcfg.expand(amctcfg.AMCTConfig(), model).to_dict()
    part = values["a"] if len(gone) == 1 else values["a"][gone[0]]
    del part[gone[-1]]
    origins = amctcfg.read_plan(json.dumps(values), model)["a"].origins
    defaults = {field.rpartition(".")[2] for field, origin in origins.items() if origin.tier == "default"}
    assert defaults == {gone[-1]}
    assert origins["ifmr_quantize.max_percentile"].tier == "quant_config"


def test_a_plan_of_json_is_freed_with_its_last_reference():
    """Without waiting for the garbage collector, which some programs switch off."""
    plan = amctcfg.read_plan(
        amctcfg.expand(amctcfg.loads("", flavour=PYTORCH), LAYERS).to_json(), LAYERS, flavour=PYTORCH
    )
    origins = plan[LAYERS[0].name].origins
    assert origins["quant_enable"].tier
    source = weakref.ref(origins._source)
    gc.disable()
    try:
        del plan, origins
        assert source() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("wrong", [[1, 2], "x", 1])
def test_what_could_not_be_read_is_not_also_beyond_the_layer(wrong):
    model = [Layer("a", "Conv3d")]
    values = amctcfg.expand(amctcfg.loads("", flavour=PYTORCH), model).to_dict()
    values["a"]["activation_quant_params"]["asymmetric"] = wrong
    with pytest.raises(ConfigError) as caught:
        amctcfg.read_plan(values, model, flavour=PYTORCH)
    assert [diagnostic.code for diagnostic in caught.value.diagnostics] == ["wrong-type"]
