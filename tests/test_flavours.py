# SPDX-License-Identifier: Apache-2.0
"""Every flavour by its description: the laws of priority, printing, expansion and condensing; what each can't have."""

import dataclasses
import itertools
import json
import pickle
import subprocess
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

import amctcfg
from amctcfg import GE, ONNX, PYTORCH, PYTORCH_9_0, TENSORFLOW, TF_ASCEND, ConfigError, Layer
from amctcfg.documents.document import read_text
from amctcfg.flavours import caffe, pytorch
from amctcfg.flavours.json_layout import Constant, Layout, Value, Values
from amctcfg.resolve.json_reading import QuantConfig
from amctcfg.resolve.json_writing import layer_dict
from amctcfg.tools.block_search import IMPOSSIBLE, BlockSearch, LowerBounds

from . import facts
from .conftest import often, seldom, thorough
from .strategies import (
    FLAVOURS,
    TIERS,
    any_text,
    block_class,
    blocks_of,
    broken_texts,
    configs,
    contests,
    expandable,
    fields_of,
    layers_of_flavour,
    rule_sets,
)  # fmt: skip

DEFAULTS = {
    "search_range_start": 0.7, "search_range_end": 1.3, "search_step": 0.01, "max_percentile": 0.999999,
    "min_percentile": 0.999999, "num_of_bins": 4096, "quant_bits": 8, "num_iteration": 10000, "reg_param": 0.01,
    "warm_start": 0.2, "beta_range_start": 20.0, "beta_range_end": 2.0, "migration_strength": 0.5, "dst_type": "INT8",
}  # fmt: skip


VERSIONS = ["pytorch-9.1", "pytorch-9.0", "onnx-8.5", "tensorflow-8.5", "caffe-8.5"]


def named(flavours):
    """The names of flavours, for parametrize: what differs from another by the version alone is thorough."""
    return [
        *(name for name in flavours if name not in VERSIONS),
        *thorough(name for name in VERSIONS if name in flavours),
    ]


def each_of(flavours):
    """A law once for each flavour, so that no draw leaves one out."""
    return lambda law: pytest.mark.parametrize("name", named(flavours))(seldom(law))


# ---------------------------------------------------------------- an independent statement of the rules


def stated_block(config, layer, rules, name):
    """What the pages and the toolkit say that a layer gets: part -> field -> value, without a part that is dropped."""

    def can(letter, lack=None):
        return letter in facts.types_of(name).get(layer.type, ()) and lack not in layer.lacks

    own = next((o.calibration_config for o in config.override_layer_configs if o.layer_name == layer.name), None)
    typed = next((o.calibration_config for o in config.override_layer_types if o.layer_type == layer.type), None)
    common = config.common_config
    if name.startswith("caffe") and common is None and not config.override_layer_types:  # the deprecated blocks
        common = config.conv_calibration_config
        typed = config.fc_calibration_config if layer.type in ("InnerProduct", "Pooling") else None
    block = next((b for b in (own, typed, common) if b is not None), None)
    kinds = {field.name: field for field in dataclasses.fields(block_class(amctcfg.FLAVOURS[name]))}
    found = {}
    for group in facts.BLOCK[name].split():
        members = group.split("|")
        chosen = next((member for member in members if getattr(block, member, None) is not None), members[0])
        if chosen not in facts.MEMBERS or (chosen == "dmq_balancer" and getattr(block, chosen, None) is None):
            continue
        fields = facts.MEMBERS[chosen].split() + facts.MORE.get(name, {}).get(chosen, "").split()
        given = [getattr(getattr(block, chosen, None), field, None) for field in fields]
        found[chosen] = {f: DEFAULTS.get(f) if value is None else value for f, value in zip(fields, given)}
        if "channel_wise" in fields and found[chosen]["channel_wise"] is None:
            found[chosen]["channel_wise"] = can("c")
    assert set(found) <= set(kinds)
    # asymmetric: only blocks whose algorithm is the one that the layer ends up with.
    (activations,) = {"ifmr_quantize", "hfmg_quantize"} & set(found)
    order = [own, common] if own is not None and rules == "toolkit" else [own, typed, common]
    said = [getattr(b, activations).asymmetric for b in order if b is not None and getattr(b, activations) is not None]
    said = [value for value in (*said, config.activation_offset, True) if value is not None]
    symmetric = layer.type in facts.types_with(name, "s") or "asymmetric" in layer.lacks
    known = layer.type in facts.types_of(name)
    found[activations]["asymmetric"] = said[0] and not (symmetric and known)
    if name.startswith("pytorch") and known:
        soften(found, activations, (own, typed, common), can, name)
    return found


def soften(found, activations, blocks, can, name):
    """PyTorch: what a layer can't have it gets something else for."""
    own, typed, common = blocks
    if found[activations]["dst_type"] == "INT16" and not can("16", "int16"):
        from_type = own is None and typed is not None and can("16")
        parts = [getattr(common, part, None) for part in ("ifmr_quantize", "hfmg_quantize")]
        if not (from_type and "INT16" not in [getattr(part, "dst_type", None) for part in parts]):
            found[activations]["dst_type"] = "INT8"
    bits = found.get("arq_quantize", {}).get("quant_bits")
    if (bits in (6, 7) and not can("b")) or (bits == 4 and name == "pytorch" and not can("q", "int4")):
        found["arq_quantize"]["quant_bits"] = 8
    if not can("a"):
        found.pop("ada_quantize", None)
    if not can("d"):
        found.pop("dmq_balancer", None)


STATED = [name for name in amctcfg.FLAVOURS if name != "ge"]  # there, channel_wise depends on another field


def plain(block):
    return {name: value for name, value in dataclasses.asdict(block).items() if value is not None}


def agrees(config, layer, rules, name):
    block = plain(amctcfg.merge(config, layer, rules=rules).calibration_config)
    assert block == stated_block(config, layer, rules, name), "{}{}".format(amctcfg.dumps(config), layer)


@pytest.mark.parametrize("name", named(STATED))
@often
@given(st.data(), rule_sets)
def test_an_independent_statement_of_the_rules(name, data, rules):
    agrees(*data.draw(contests(amctcfg.FLAVOURS[name])), rules, name)


@pytest.mark.parametrize("name", ["pytorch", "caffe", "onnx"])
@seldom
@given(st.data(), rule_sets)
def test_plans_by_the_same_statement(name, data, rules):
    config, model = data.draw(expandable(amctcfg.FLAVOURS[name]))
    for effective in amctcfg.expand(config, model, rules=rules).values():
        assert plain(effective.calibration_config) == stated_block(config, effective.layer, rules, name), (
            effective.layer
        )


@pytest.mark.parametrize("rules", ["documented", "toolkit"])
def test_every_combination_of_algorithm_and_offset(rules):
    """asymmetric cascades through blocks with the same algorithm only: each tier has none of eight blocks or one."""
    absent = object()
    members = [("ifmr_quantize", pytorch.FMRQuantize), ("hfmg_quantize", pytorch.HFMGQuantize)]
    blocks = [absent, pytorch.CalibrationConfig()]
    blocks += [pytorch.CalibrationConfig(**{m: cls(asymmetric=a)}) for m, cls in members for a in (None, True, False)]
    layer = Layer("a", "Linear")
    for own, typed, common in itertools.product(blocks, repeat=3):
        config = pytorch.AMCTConfig(
            activation_offset=False,
            common_config=None if common is absent else common,
            override_layer_types=[] if typed is absent else [pytorch.OverrideLayerType("Linear", typed)],
            override_layer_configs=[] if own is absent else [pytorch.OverrideLayer("a", own)],
        )
        agrees(config, layer, rules, "pytorch")


DEMANDING = [
    "arq_quantize { quant_bits: 4 }",
    "arq_quantize { quant_bits: 6 }",
    "ifmr_quantize { dst_type: INT16 }",
    "hfmg_quantize { dst_type: INT16 }",
    "ada_quantize { } dmq_balancer { }",
]


@pytest.mark.parametrize(
    "name, lacks",
    [
        *[("pytorch", ()), ("pytorch", ("int4",)), ("pytorch", ("int16",)), ("pytorch-9.0", ())],
        *thorough(itertools.product(["pytorch-9.0", "pytorch-9.1"], [("int4",), ("int16",)])),
        *thorough([("pytorch-9.1", ())]),
    ],
)
def test_every_demand_of_every_tier(name, lacks):
    """Each tier asks for something that not every layer can have, or does not; what the layer gets, as stated."""
    flavour, asked = amctcfg.FLAVOURS[name], [None]
    for block in DEMANDING:
        try:
            asked.append(amctcfg.loads("common_config { %s }" % block, flavour=flavour).common_config)
        except ConfigError:  # 9.0 has INT8 alone
            assert "INT16" in block and name == "pytorch-9.0"
    of_type, of_layer = (fields_of(flavour.config)[tier].kind for tier in TIERS[:2][::-1])
    for kind, own, typed, common in itertools.product(flavour.types, asked, asked, asked):
        config = flavour.config(
            common_config=common,
            override_layer_types=[of_type(kind, typed)] if typed else [],
            override_layer_configs=[of_layer("a", own)] if own else [],
        )
        agrees(config, Layer("a", kind, True, lacks), "documented", name)


# ---------------------------------------------------------------- laws of each flavour


each_flavour = each_of(amctcfg.FLAVOURS)


@each_flavour
@given(st.data(), rule_sets)
def test_every_field_of_an_effective_block_is_set_and_has_an_origin(name, data, rules):
    flavour = amctcfg.FLAVOURS[name]
    config, layer = data.draw(configs(flavour=flavour)), data.draw(layers_of_flavour(flavour))
    effective = amctcfg.merge(config, layer, rules=rules)
    schema = type(effective.calibration_config).__schema__.fields
    fields = {"quant_enable", "fuse"}
    groups = {}
    for member, field in schema.items():
        part = getattr(effective.calibration_config, member)
        if field.is_message and part is not None:
            groups.setdefault(field.oneof or member, []).append(member)
            for inner, value in ((f, getattr(part, f)) for f in field.kind.__schema__.fields):
                assert value is not None
                fields.add(member + "." + inner)
        elif not field.is_message:
            fields.add(member)
    assert all(len(members) == 1 for members in groups.values())
    assert set(effective.origins) == fields
    assert effective.quant_enable is effective.origins["quant_enable"].value
    for field, origin in effective.origins.items():
        part, _, inner = field.partition(".")
        if inner:
            assert origin.value == getattr(getattr(effective.calibration_config, part), inner)


@each_flavour
@given(st.data(), rule_sets)
def test_an_override_of_another_layer_changes_nothing(name, data, rules):
    flavour = amctcfg.FLAVOURS[name]
    (config, layer), block = data.draw(contests(flavour)), data.draw(blocks_of(flavour))
    entry = flavour.config.__schema__.fields["override_layer_configs"].kind("another layer", block)
    more = dataclasses.replace(config, override_layer_configs=(*config.override_layer_configs, entry))
    before, after = (amctcfg.merge(c, layer, rules=rules) for c in (config, more))
    assert (before, before.origins) == (after, after.origins)


@each_flavour
@given(st.data())
def test_printing_then_parsing_is_the_identity(name, data):
    flavour = amctcfg.FLAVOURS[name]
    config = data.draw(configs(any_text, any_text, flavour))
    text = amctcfg.dumps(config)
    assert amctcfg.loads(text, flavour=flavour) == config
    assert amctcfg.format(text) == text
    assert pickle.loads(pickle.dumps(config)) == config


@each_flavour
@given(st.data())
def test_any_text_is_a_value_or_an_error(name, data):
    flavour = amctcfg.FLAVOURS[name]
    text = data.draw(broken_texts(flavour))
    try:
        config = amctcfg.loads(text, flavour=flavour)
    except ConfigError as error:
        assert str(error)
    else:
        assert amctcfg.loads(amctcfg.dumps(config), flavour=flavour) == config
    for strict in (True, False):
        amctcfg.check(text, strict=strict, flavour=flavour, layers=[Layer("conv1", sorted(flavour.types)[0])])
    assert all(isinstance(found, amctcfg.Flavour) for found in amctcfg.detect(text))


@each_of(facts.JSON)
@given(st.data(), rule_sets)
def test_layers_are_written_as_what_they_are_plainly(name, data, rules):
    """The writer's templates, which are fast, against the layout read literally."""
    flavour = amctcfg.FLAVOURS[name]
    config, model = data.draw(expandable(flavour))
    plan = amctcfg.expand(config, model, rules=rules)
    written = plan.to_dict()
    for layer, effective in plan.items():  # in the same order of keys
        assert json.dumps(written[layer]) == json.dumps(layer_dict(effective, flavour.layout))


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"weight_quant_params": {"arq_quantize": {"wts_algo": Constant("100 %")}}},
        {"weight_quant_params": {"arq_quantize": {"channel_wise": Value("channel_wise")}}},
        {"activation_quant_params": {"ifmr_quantize": {"range": Values("search_range_start", "search_range_end")}}},
    ],
)
def test_a_layout_may_have_few_keys_or_none(parts):
    flavour = dataclasses.replace(TF_ASCEND, layout=Layout(globals=("version",), parts=parts))
    plan = amctcfg.expand(amctcfg.AMCTConfig(), [Layer("a", "Conv2D"), Layer("b", "AvgPool")], flavour=flavour)
    assert json.dumps(plan.to_dict(), indent=4, separators=(",", ":")) == plan.to_json()
    assert plan.to_dict()["b"] == layer_dict(plan["b"], flavour.layout)


@each_of(facts.JSON)
@given(st.data(), rule_sets)
def test_expansion_is_read_back_and_condensed(name, data, rules):
    flavour = amctcfg.FLAVOURS[name]
    config, model = data.draw(expandable(flavour))
    plan = amctcfg.expand(config, model, rules=rules)
    written = plan.to_json()
    assert json.dumps(json.loads(written), indent=4, separators=(",", ":")) == written
    again = amctcfg.read_plan(written, model, flavour=flavour)
    assert again.to_json() == written and list(again) == list(plan)
    for effective, there in zip(again.values(), plan.values()):
        assert (effective.quant_enable, effective.fuse) == (there.quant_enable, there.fuse)
        assert set(effective.origins) == set(there.origins)
    try:
        short = amctcfg.condense(written, model, flavour=flavour)
    except ConfigError as error:  # what only a demand of common_config gives, a layer beside it may make impossible
        assert {d.code for d in error.diagnostics} == {"algorithm-unsupported"}
        reject()
    for either in ("documented", "toolkit"):
        assert amctcfg.expand(short, model, rules=either).to_json() == written


@pytest.mark.parametrize("name", ["tf-ascend", "onnx", "pytorch"])
@given(st.data())
def test_no_common_block_is_cheaper(name, data):
    """Condensing comes to the cheapest of the common blocks that there are, and of those that cost the same to the first."""
    flavour = amctcfg.FLAVOURS[name]
    config, model = data.draw(expandable(flavour))
    written = amctcfg.expand(config, model).to_json()
    search = BlockSearch(QuantConfig(written, tuple(model), "", flavour))
    wanted = dict.fromkeys(block for counts in search.wanted.values() for block in counts)
    blocks = [None, *(variant for block in wanted for variant in search.iter_common_variants(block))]
    cheapest = min(blocks, key=search.cost_of)
    try:
        found = amctcfg.condense(written, model, flavour=flavour)
    except ConfigError:
        assert search.cost_of(cheapest) >= IMPOSSIBLE
    else:
        assert found.common_config == cheapest


@pytest.mark.parametrize("name", ["tf-ascend", "onnx", "pytorch"])
@given(st.data())
def test_bounds_hide_no_common_block(name, data):
    """Condensing tries fewer common blocks than there are, and comes to the answer of trying all of them."""
    flavour = amctcfg.FLAVOURS[name]
    config, model = data.draw(expandable(flavour))
    written = amctcfg.expand(config, model).to_json()
    found = []
    for may_cost_less in (LowerBounds.may_cost_less, lambda *_: True):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(LowerBounds, "may_cost_less", may_cost_less)
            try:
                found.append(amctcfg.condense(written, model, flavour=flavour))
            except ConfigError as error:
                found.append(error.diagnostics)
    assert found[0] == found[1]


@each_flavour
@given(st.data())
def test_warnings_are_about_what_is_there(name, data):
    flavour = amctcfg.FLAVOURS[name]
    config, model = data.draw(expandable(flavour))
    document = amctcfg.parse(amctcfg.dumps(config), flavour=flavour)
    plan = amctcfg.expand(document, model)
    assert {d.severity for d in plan.warnings} <= {"warning"}
    assert plan.warnings == amctcfg.check(document.text, "<string>", model, flavour=flavour)
    for diagnostic in plan.warnings:
        assert diagnostic.span is not None or diagnostic.path is None


REQUIRED = {"layer_name": "'a'", "input_index": "0", "mapping_file": "'fused.json'"}


def numbers_for_messages(cls, kind, around="%s"):
    """A text for each field of a class, and of the messages in it, with a number where a message belongs."""
    for name, field in fields_of(cls).items():
        if field.is_message:
            yield around % (name + ": 3")
            needed = {**REQUIRED, "layer_type": repr(kind)}
            words = ["%s: %s" % (other, needed[other]) for other in fields_of(field.kind) if other in needed]
            yield from numbers_for_messages(field.kind, kind, around % (name + " { %s }" % " ".join([*words, "%s"])))


@pytest.mark.parametrize("name", amctcfg.FLAVOURS)
def test_a_number_where_a_message_belongs_is_an_error_of_its_own(name):
    flavour = amctcfg.FLAVOURS[name]
    kind = sorted(flavour.quantizable_types)[0]
    beside = {"deprecated", "not-quantizable"}  # of Caffe's blocks, and of a tensor of this type
    for text in numbers_for_messages(flavour.config, kind):
        for layers in (None, [Layer("a", kind), Layer("b", kind)]):
            found = [*codes(text, flavour, layers), *codes(text, flavour, layers, strict=False)]
            assert [code for code in found if code not in beside] == ["wrong-type"] * 2, text


# ---------------------------------------------------------------- the registry


def test_the_registry():
    assert list(amctcfg.FLAVOURS)[:7] == ["tf-ascend", "tensorflow", "onnx", "pytorch", "caffe", "mindspore", "ge"]
    assert amctcfg.FLAVOURS["pytorch"] is PYTORCH and list(amctcfg.FLAVOURS)[7:] == VERSIONS
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
    assert repr(amctcfg.FLAVOURS) == "<flavours {}>".format(", ".join(flavour.name for flavour in FLAVOURS))


@pytest.mark.parametrize("name", amctcfg.FLAVOURS)
def test_types_are_a_value_that_its_repr_writes(name):
    types = amctcfg.FLAVOURS[name].types
    again = eval(repr(types), {"Types": type(types), "LayerType": amctcfg.LayerType})
    assert again == types and hash(again) == hash(types) and list(again) == list(types)
    assert types.get("Relu") is types.get("Relu", None) is None and types.get("Relu", 7) == 7


def test_a_flavour_with_other_types():
    types = {"Conv2D": TF_ASCEND.types["Conv2D"], "Conv3D": amctcfg.LayerType("Conv3D", symmetric_only=True)}
    flavour = dataclasses.replace(TF_ASCEND, types=types)
    assert flavour.quantizable_types == {"Conv2D", "Conv3D"} and flavour.symmetric_only_types == {"Conv3D"}
    plan = amctcfg.expand(amctcfg.AMCTConfig(), [Layer("a", "Conv3D"), Layer("b", "MatMul")], flavour=flavour)
    assert list(plan) == ["a"] and plan["a"].calibration_config.ifmr_quantize.asymmetric is False
    assert pickle.loads(pickle.dumps(flavour)) == flavour
    with pytest.raises(ValueError, match="has the LayerType 'Conv2D' at 'Conv3D'; the key has to be its name"):
        dataclasses.replace(TF_ASCEND, types={"Conv3D": TF_ASCEND.types["Conv2D"]})
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
    (found,) = document.diagnostics
    assert found.message == "ifmr_quantize and hfmg_quantize exclude each other; the last one counts"
    assert (found.code, found.hint) == ("conflicting-fields", "delete ifmr_quantize")
    assert found.path == ("common_config", "hfmg_quantize")
    assert (
        read_text(text, flavour=PYTORCH)[0].config.common_config.hfmg_quantize is not None
    )  # both of them count as read
    with pytest.raises(ValueError, match="arq_quantize and ada_quantize exclude each other"):
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


def test_a_block_with_fields_that_a_flavour_lacks_is_none_of_its_blocks():
    """It could be written, and not be read again."""
    for one, other in itertools.product(FLAVOURS, repeat=2):
        if set(fields_of(block_class(other))) - set(fields_of(block_class(one))):
            with pytest.raises(TypeError, match="common_config has to be CalibrationConfig"):
                one.config(common_config=block_class(other)())


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
    common = "common_config { %s { asymmetric: true } }"
    for algorithm, expected in (("ifmr_quantize", True), ("hfmg_quantize", False)):
        config = amctcfg.loads(common % algorithm + TENSOR, flavour=ONNX)
        first = amctcfg.expand(config, LAYERS).to_dict()["tensor_quantize"][0]
        assert first["activation_quant_params"]["asymmetric"] is expected


def test_tensors_are_read_back_and_condensed():
    config = amctcfg.loads(TENSOR, flavour=ONNX)
    written = amctcfg.expand(config, LAYERS).to_json()
    assert amctcfg.read_plan(written, LAYERS, flavour=ONNX).to_json() == written
    short = amctcfg.condense(written, LAYERS, flavour=ONNX)
    assert amctcfg.expand(short, LAYERS).to_json() == written
    assert [(t.layer_name, t.input_index) for t in short.tensor_quantize] == [("pool", 0), ("add", 1), ("add", 1)]
    assert short.tensor_quantize[1].hfmg_quantize.num_of_bins == 1024


def test_tensors_that_get_the_same_do_not_differ():
    text = "tensor_quantize { layer_name: 'add' input_index: 1 %s }"
    plain, same, other = (
        amctcfg.loads(text % more, flavour=ONNX)
        for more in ("", "ifmr_quantize { search_step: 0.01 asymmetric: true }", "ifmr_quantize { search_step: 0.02 }")
    )
    assert amctcfg.diff(plain, same, LAYERS) == ()
    (change,) = amctcfg.diff(plain, other, LAYERS)
    assert change.field == "tensor_quantize"


def test_many_steps_of_a_tensor():
    entry = "tensor_quantize { layer_name: 'add' input_index: 1 ifmr_quantize { search_step: 0.00001 } }"
    assert codes(entry, ONNX) == ["many-steps"]


def test_a_tensor_without_index_is_the_first_one_leniently():
    document = amctcfg.parse("tensor_quantize { layer_name: 'add' }", strict=False, flavour=ONNX)
    assert [(t.layer_name, t.input_index) for t in document.config.tensor_quantize] == [("add", 0)]
    assert [d.code for d in document.diagnostics] == ["missing-field"]


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
        assert sorted(codes(more, amctcfg.CAFFE))[:4] == ["deprecated"] * 2 + ["ignored-override"] * 2
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
    (tmp_path / "v.json").write_text('{"version": 1}', encoding="utf-8")
    for command in ("show", "check", "condense", "explain", "audit - --config", "diff -"):
        words = [*command.split(), str(tmp_path / "v.json"), *(["a"] if command == "explain" else [])]
        result = cli(*words, "--graph", graph, "--flavour", "ge", stdin=b"")
        assert result.status == 2 and "writes no JSON" in result.err, command


# ---------------------------------------------------------------- adding a field is one line and one more

FIELD = """
import dataclasses, json
from amctcfg import Layer, expand, loads, dumps, condense, check
from amctcfg.flavours import tf_ascend
from amctcfg.tools.exporting import write_proto
layers = [Layer("a", "Conv2D"), Layer("b", "MatMul")]
text = 'override_layer_configs { layer_name: "a" calibration_config { arq_quantize { smoothing: 0.25 } } }'
config = loads(text)
assert config.override_layer_configs[0].calibration_config.arq_quantize.smoothing == 0.25
assert loads(dumps(config)) == config
plan = expand(config, layers)
assert [plan.to_dict()[name]["weight_quant_params"]["smoothing"] for name in "ab"] == [0.25, 0.5]
assert condense(plan.to_json(), layers) == config
assert [d.code for d in check("common_config { arq_quantize { smoothing: 1 } }")] == ["out-of-range"]
assert "optional float smoothing = 2;" in write_proto(tf_ascend.TF_ASCEND)
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
    field = next(n for n, line in enumerate(lines) if "channel_wise: bool | None" in line)
    lines.insert(field + 2, "    smoothing: Optional[float] = optional(FLOAT, default=0.5, within=FRACTION)")
    layout = next(n for n, line in enumerate(lines) if '"channel_wise": Value("channel_wise")' in line)
    lines[layout] = lines[layout].replace("}", ', "smoothing": Value("smoothing")}')
    imports = {
        "import BOOL, STRING": "import BOOL, FLOAT, STRING",
        "import optional, repeated": "import FRACTION, optional, repeated",
    }
    text = "\n".join(lines)
    for before, after in imports.items():
        assert before in text
        text = text.replace(before, after)
    path.write_text(text + "\n", encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", FIELD], cwd=str(tmp_path), capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr


# ---------------------------------------------------------------- versions

NUQ = """nuq_config {
  mapping_file: "fused.json"
  nuq_quantize {
    num_steps: 32
    num_of_iteration: 1
  }
}
"""


@pytest.mark.parametrize("name", ["onnx", "tensorflow", "caffe"])
def test_nuq_config_is_read_kept_and_printed_up_to_8_5(name):
    older, newer = amctcfg.FLAVOURS[name + "-8.5"], amctcfg.FLAVOURS[name]
    config = amctcfg.loads(NUQ, flavour=older)
    assert amctcfg.dumps(config) == NUQ and config.nuq_config.nuq_quantize.num_steps == 32
    assert codes("nuq_config { }", older) == ["missing-field"]
    (found,) = amctcfg.check(NUQ, flavour=newer)
    assert found.code == "unknown-field" and "flavour={}'".format(older.name) in found.hint
    layers = [Layer("a", sorted(older.channel_wise_types)[0])]
    assert amctcfg.expand(config, layers).to_json() == amctcfg.expand(newer.config(), layers).to_json()
    (change,) = amctcfg.diff(older.config(), config, layers)
    assert (change.field, change.before) == ("nuq_config", None) and change.after["mapping_file"] == "fused.json"
    assert amctcfg.detect(NUQ)[0].name.endswith("-8.5")


def test_pytorch_9_1_gives_recurrent_layers_no_int16():
    flavour = amctcfg.FLAVOURS["pytorch-9.1"]
    assert flavour.quantizable_types == PYTORCH.quantizable_types
    config = amctcfg.loads("common_config { ifmr_quantize { dst_type: INT16 } }", flavour=flavour)
    layers = [Layer("rnn", "LSTM"), Layer("gate", "GRU"), Layer("conv", "Conv1d")]
    kept = {n: e.calibration_config.ifmr_quantize.dst_type for n, e in amctcfg.expand(config, layers).items()}
    assert kept == {"rnn": "INT8", "gate": "INT8", "conv": "INT16"}


DEPRECATED = [
    ("caffe", "conv_calibration_config { }", ["deprecated"]),
    ("caffe-8.5", "fc_calibration_config { }", ["deprecated"]),
    ("tensorflow", "skip_approximation_layers: ['a', 'b']", ["deprecated"]),
    ("tensorflow", "skip_approximation_layers: []", []),
    ("tensorflow-8.5", "skip_approximation_layers: 'a'", []),
]


@pytest.mark.parametrize("flavour, text, expected", DEPRECATED)
def test_fields_are_deprecated_in_the_versions_that_say_so(flavour, text, expected):
    assert codes(text, amctcfg.FLAVOURS[flavour]) == expected


def test_mindspore_is_deprecated(cli, tmp_path):
    assert [flavour.name for flavour in FLAVOURS if flavour.deprecated] == ["mindspore"]
    assert "deprecated in 9.0.0" in cli("flavours", "mindspore").out
    (tmp_path / "q.cfg").write_text("do_fusion: true", encoding="utf-8")
    for command in ("check", "expand"):
        (tmp_path / "l.csv").write_text("name,type\na,Dense\n", encoding="utf-8")
        done = cli(command, tmp_path / "q.cfg", "--flavour", "mindspore", "--graph", tmp_path / "l.csv")
        assert done.status == 0 and "MindSpore is deprecated in 9.0.0" in done.err and "deprecated" not in done.out


def test_a_flavour_is_no_name():
    layers = [Layer("a", "Conv2D")]
    graph = SimpleNamespace(node=[])
    for call in (
        lambda flavour: amctcfg.loads("", flavour=flavour),
        lambda flavour: amctcfg.check("", layers=layers, flavour=flavour),
        lambda flavour: amctcfg.fix("", flavour=flavour),
        lambda flavour: amctcfg.read_plan("{}", layers, flavour=flavour),
        lambda flavour: amctcfg.condense("{}", layers, flavour=flavour),
        lambda flavour: amctcfg.expand(amctcfg.AMCTConfig(), layers, flavour=flavour),
        lambda flavour: amctcfg.layers_from_graph(graph, flavour=flavour),
        lambda flavour: amctcfg.load_layers(__file__, flavour=flavour),
    ):
        with pytest.raises(
            TypeError, match=r"flavour has to be a Flavour, such as amctcfg.FLAVOURS\['pytorch'\], not 'onnx'"
        ):
            call("onnx")


def test_older_versions_have_no_types_of_their_own():
    """Who has a type is looked for among the newest versions alone."""
    newest = {flavour.title: flavour for flavour in amctcfg.FLAVOURS.list_newest()}
    assert len(newest) == len(amctcfg.FLAVOURS.list_newest()) < len(amctcfg.FLAVOURS)
    for flavour in amctcfg.FLAVOURS.values():
        assert set(flavour.types) <= set(newest[flavour.title].types)
        assert flavour.quantizable_types <= newest[flavour.title].quantizable_types
