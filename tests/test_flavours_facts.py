# SPDX-License-Identifier: Apache-2.0
"""The flavours against the tables of the pages: fields, defaults, ranges, types, and the JSON, literally."""

import dataclasses
import json

import pytest

import amctcfg
from amctcfg import Layer
from amctcfg.flavours.json_layout import Value, Values
from amctcfg.models import onnx, tensorflow, torch

from . import facts

NAMES = list(amctcfg.FLAVOURS)
WITH_JSON = [name for name in NAMES if name in facts.JSON]


def fields_of(cls):
    return [field.name for field in dataclasses.fields(cls)]


def codes(text, flavour, layers=None, **options):
    return [d.code for d in amctcfg.check(text, layers=layers, flavour=amctcfg.FLAVOURS[flavour], **options)]


def errors(text, flavour, layers=None):
    found = amctcfg.check(text, layers=layers, flavour=amctcfg.FLAVOURS[flavour])
    return [d.code for d in found if d.severity == "error"]


def test_every_flavour_has_its_facts():
    assert set(NAMES) <= set(facts.TYPES) and set(NAMES) <= set(facts.ROOT) and set(NAMES) <= set(facts.BLOCK)
    assert set(NAMES) - set(WITH_JSON) == {"ge"} == {n for n in NAMES if amctcfg.FLAVOURS[n].layout is None}


def test_flavours_are_told_apart():
    flavours = list(amctcfg.FLAVOURS.values())
    assert [a.name for a in flavours for b in flavours if a is not b and a == b] == []
    assert all(flavour == dataclasses.replace(flavour) for flavour in flavours)


def test_equal_items_of_a_layout_are_one_in_a_set():
    assert len({Value("a"), Value("a"), Value("b"), Value("a", {1: 2}), Values("a"), Values("a", "b")}) == 5
    assert Value("a") != "a"


# ---------------------------------------------------------------- types


@pytest.mark.parametrize("name", NAMES)
def test_types(name):
    flavour, expected = amctcfg.FLAVOURS[name], facts.types_of(name)
    assert list(flavour.types) == list(expected)
    assert flavour.quantizable_types == facts.types_with(name, "q")
    assert set(flavour.types) - flavour.quantizable_types == facts.types_with(name, "t")
    assert flavour.channel_wise_types == facts.types_with(name, "c")
    assert flavour.fusible_types == facts.types_with(name, "f")
    assert flavour.symmetric_only_types == facts.types_with(name, "s")


@pytest.mark.parametrize("name", NAMES)
def test_a_type_of_another_flavour_is_answered_with_those_that_compute_the_same(name):
    own = facts.types_with(name, "q")
    for row in facts.SAME.split("\n"):
        there = own & set(row.split())
        for other in set(row.split()) - set(facts.types_of(name)):
            same = {kind for kind in there if kind.lower() == other.lower()}
            (found,) = amctcfg.check("skip_layer_types: '%s'" % other, flavour=amctcfg.FLAVOURS[name])
            asked = found.hint.partition("?")[0] if there else ""
            assert found.code == "unknown-type"
            assert all("'%s'" % kind in asked for kind in same or there), (other, found.hint)


@pytest.mark.parametrize(
    "other, meant", [("MatMul", "BatchMatMulV2"), ("Conv", "Conv3D"), ("ConvTranspose", "Conv2DTranspose")]
)
def test_types_of_ge_that_several_of_a_framework_become(other, meant):
    (found,) = amctcfg.check("skip_layer_types: '%s'" % other, flavour=amctcfg.FLAVOURS["ge"])
    assert "'%s'" % meant in found.hint


@pytest.mark.parametrize("name", NAMES)
def test_conditions_are_those_that_a_reader_of_graphs_knows(name):
    flavour = amctcfg.FLAVOURS[name]
    readers = {"": (), "tensorflow": tensorflow.CONDITIONS, "onnx": onnx.CONDITIONS, "torch": torch.CONDITIONS}
    found = {condition for layer_type in flavour.types.values() for condition in layer_type.conditions}
    assert found <= set(readers[flavour.graphs]) and bool(found) is bool(flavour.graphs)


# What asks for an ability: letter, block, the code of the error on a type without it; in an override of the type.
DEMANDS = [
    ("c", "arq_quantize { channel_wise: true }", "channel-wise-unsupported"),
    ("16", "ifmr_quantize { dst_type: INT16 }", "algorithm-unsupported"),
    ("16", "hfmg_quantize { dst_type: INT16 }", "algorithm-unsupported"),
    ("a", "ada_quantize { }", "algorithm-unsupported"),
    ("b", "arq_quantize { quant_bits: 6 }", "algorithm-unsupported"),
    ("b", "arq_quantize { quant_bits: 7 }", "algorithm-unsupported"),
    ("D", "dmq_balancer { }", "algorithm-unsupported"),
    ("w", "weight_compress_only: true", "algorithm-unsupported"),
    ("C", "weight_compress_only: true arq_quantize { channel_wise: true }", "channel-wise-unsupported"),
]


@pytest.mark.parametrize("letter, block, code", DEMANDS)
@pytest.mark.parametrize("name", NAMES)
def test_what_a_type_can_be_asked_for(name, letter, block, code):
    """In an override of the type, without a model and with one."""
    read = errors("common_config { %s }" % block, name)
    if read:  # the flavour lacks the field, or its value
        assert set(read) <= {"unknown-field", "out-of-range"}
        return
    if letter == "16" and name == "ge":
        return  # whether a device has it is not the type's
    if letter == "D" and name in facts.PAGES:
        return  # which types can have it is not documented
    for kind, letters in facts.types_of(name).items():
        if "q" not in letters:
            continue
        text = "override_layer_types { layer_type: '%s' calibration_config { %s } }" % (kind, block)
        for layers in (None, [Layer("a", kind)]):
            found = errors(text, name, layers)
            can = letter in letters or (letter == "C" and "c" in letters and "w" in letters)
            assert (code in found) is not can, (kind, found)


@pytest.mark.parametrize("name", NAMES)
def test_who_can_have_what_a_layer_cant(name):
    able = sorted(facts.types_with(name, "q") - facts.types_with(name, "s"))
    text = "override_layer_configs { layer_name: 'a' calibration_config { ifmr_quantize { asymmetric: true } } }"
    layer = Layer("a", able[0], True, ["asymmetric"])
    (found,) = amctcfg.check(text, layers=[layer], flavour=amctcfg.FLAVOURS[name])
    assert found.hint.endswith("; only {} can have it".format(", ".join(able)))


@pytest.mark.parametrize("name", NAMES)
def test_fusible_and_channel_wise_layers(name):
    flavour = amctcfg.FLAVOURS[name]
    for kind, letters in facts.types_of(name).items():
        if "q" not in letters:
            assert codes("", name, [Layer("a", kind)]) == ["nothing-to-quantize"]
            continue
        layer = Layer("a", kind)
        found = errors("skip_fusion_layers: 'a'", name, [layer])
        assert found == ([] if "f" in letters else ["not-fusible"])
        block = amctcfg.merge(flavour.config(), layer).calibration_config
        assert block.arq_quantize.channel_wise is ("c" in letters)
        assert block.ifmr_quantize.asymmetric is ("s" not in letters)


# ---------------------------------------------------------------- fields


@pytest.mark.parametrize("name", NAMES)
def test_fields(name):
    flavour = amctcfg.FLAVOURS[name]
    assert sorted(fields_of(flavour.config)) == sorted(facts.ROOT[name].split())
    block = type(amctcfg.merge(flavour.config(), Layer("a", next(iter(flavour.types)))).calibration_config)
    groups = [group.split("|") for group in facts.BLOCK[name].split()]
    assert sorted(fields_of(block)) == sorted(member for group in groups for member in group)
    for member in (member for group in groups for member in group if member in facts.MEMBERS):
        expected = facts.MEMBERS[member].split() + facts.MORE.get(name, {}).get(member, "").split()
        texts = [
            "common_config { %s { %s: %s } }" % (member, f, facts.field_facts(name, f, member)[1][0]) for f in expected
        ]
        assert [errors(text, name) for text in texts] == [[]] * len(texts)
        others = [f for f in facts.FIELDS if f not in expected]
        text = "common_config { %s { %s } }" % (member, " ".join(f + ": 1" for f in others))
        assert errors(text, name) == ["unknown-field"] * len(others)


@pytest.mark.parametrize("name", NAMES)
def test_what_became_of_a_field_is_said(name):
    """In words of the flavour's pages, and not by a guess at what was meant or at whose it is."""
    texts = ["%s: 1" % field for field in facts.NOT_IN_ROOT.get(name, "").split()]
    texts += ["common_config { %s { } }" % member for member in facts.NOT_IN_BLOCKS.get(name, "").split()]
    told = dict(amctcfg.FLAVOURS[name].removed_fields)
    for text in texts:
        (found,) = amctcfg.check(text, flavour=amctcfg.FLAVOURS[name])
        assert found.code == "unknown-field"
        assert found.hint in told.values() and (
            "gone" in found.hint or "document" in found.hint or "only" in found.hint
        )
    assert len(texts) == len(told) - ("nuq_quantize" in told)  # which stands inside of the other


@pytest.mark.parametrize("name", NAMES)
def test_the_vendors_file(name):
    proto = facts.PROTO.get(name.partition("-8")[0].partition("-9")[0])
    assert amctcfg.FLAVOURS[name].proto == ("calibration_config_%s.proto" % proto if proto else "")


@pytest.mark.parametrize("name", NAMES)
def test_members_of_a_group_exclude_each_other(name):
    for group in facts.BLOCK[name].split():
        members = group.split("|")
        if len(members) > 1:
            assert errors("common_config { %s { } %s { } }" % tuple(members), name) == ["conflicting-fields"]
    together = " ".join(group.split("|")[-1] + " { }" for group in facts.BLOCK[name].split() if "only" not in group)
    assert errors("common_config { %s }" % together, name) == []


def places(name):
    """Every field of a flavour with one value, and the text around it."""
    for field in facts.ROOT[name].split():
        if field in facts.FIELDS:
            yield field, None, "%s"
    for member in facts.BLOCK[name].replace("|", " ").split():
        if member in facts.FIELDS:
            yield member, None, "common_config { %s }"
        else:
            for field in facts.MEMBERS[member].split() + facts.MORE.get(name, {}).get(member, "").split():
                yield field, member, "common_config { " + member + " { %s } }"


@pytest.mark.parametrize("name", NAMES)
def test_ranges(name):
    for field, member, around in places(name):
        _, allowed, refused = facts.field_facts(name, field, member)
        for value in allowed:
            assert errors(around % (field + ": " + value), name) == [], (field, value)
        for value in refused:
            assert errors(around % (field + ": " + value), name) == ["out-of-range"], (field, value)


@pytest.mark.parametrize("name", NAMES)
def test_defaults(name):
    """What a layer gets where nothing is written, and where the parts of its block are empty."""
    flavour = amctcfg.FLAVOURS[name]
    kind = next(kind for kind, letters in facts.types_of(name).items() if {"q", "c"} <= letters)
    for members in zip(*((group.split("|") * 2)[:2] for group in facts.BLOCK[name].split())):
        text = " ".join(member + " { }" for member in members if member in facts.MEMBERS)
        effective = amctcfg.merge(amctcfg.loads("common_config { %s }" % text, flavour=flavour), Layer("a", kind))
        for member in members:
            found = getattr(effective.calibration_config, member)
            if member not in facts.MEMBERS:
                assert found is facts.FIELDS[member][0]
                continue
            for field in facts.MEMBERS[member].split() + facts.MORE.get(name, {}).get(member, "").split():
                expected = True if field == "channel_wise" else facts.field_facts(name, field, member)[0]
                assert (type(getattr(found, field)), getattr(found, field)) == (type(expected), expected), (
                    member,
                    field,
                )


# ---------------------------------------------------------------- the JSON


def pairs(value):
    """A JSON value with the order of its keys."""
    if isinstance(value, dict):
        return [(key, pairs(inner)) for key, inner in value.items()]
    return [pairs(inner) for inner in value] if isinstance(value, list) else value


def written(name, text):
    kind, _ = facts.JSON[name]
    return json.loads(amctcfg.expand(amctcfg.loads(text, flavour=amctcfg.FLAVOURS[name]), [Layer("a", kind)]).to_json())


@pytest.mark.parametrize("name", WITH_JSON)
def test_the_json_of_a_default_layer(name):
    assert pairs(written(name, "")) == pairs(facts.JSON[name][1])


EVERY = [(name, *rest) for names, *rest in facts.PARTS for name in names if name in NAMES]


@pytest.mark.parametrize("name, block, key, expected", EVERY)
def test_the_json_of_a_block(name, block, key, expected):
    layer = written(name, "common_config { %s }" % block)["a"]
    assert pairs(layer[key]) == pairs(expected)
    order = ["quant_enable", "dmq_balancer_param", "activation_quant_params", "weight_quant_params"]
    assert list(layer) == [key for key in order if key in layer]


EVERY_GLOBAL = [(name, *rest) for names, *rest in facts.GLOBALS for name in names if name in NAMES]


@pytest.mark.parametrize("name, text, key, expected", EVERY_GLOBAL)
def test_the_json_of_a_global_key(name, text, key, expected):
    found, default = written(name, text), facts.JSON[name][1]
    assert found[key] == expected
    keys = [k for k in found if k != "fakequant_precision_mode"]
    assert keys == list(default)
    if key not in default:
        assert list(found).index(key) == list(found).index("do_fusion") + 1


@pytest.mark.parametrize("name", [name for name in facts.PAGES if name in NAMES])
def test_the_json_of_a_tensor(name):
    kind, _ = facts.JSON[name]
    text = """
        activation_offset: false
        tensor_quantize { layer_name: 'add' input_index: 1 }
        tensor_quantize { layer_name: 'add' input_index: 0 hfmg_quantize { num_of_bins: 2048 asymmetric: true } }
    """
    layers = [Layer("a", kind), Layer("add", "Add")]
    plan = amctcfg.expand(amctcfg.loads(text, flavour=amctcfg.FLAVOURS[name]), layers)
    ifmr = {**dict(facts.BITS), **dict(facts.IFMR_JSON), "asymmetric": False}
    hfmg = {"num_bits": 8, "act_algo": "hfmg", "asymmetric": True, "num_of_bins": 2048}
    assert pairs(json.loads(plan.to_json())["tensor_quantize"]) == pairs([
        {"layer_name": "add", "input_index": 1, "activation_quant_params": ifmr},
        {"layer_name": "add", "input_index": 0, "activation_quant_params": hfmg},
    ])  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_and_a_type_have_one_override(name):
    kind = next(line.split()[0] for line in facts.TYPES[name].strip().splitlines())
    for field in facts.ROOT[name].split():
        text = {
            "override_layer_types": "override_layer_types { layer_type: '%s' }" % kind,
            "override_layer_configs": "override_layer_configs { layer_name: 'a' calibration_config { } }",
        }.get(field)
        if text is not None:
            found = errors(text + "\n" + text, name)
            assert found.count("duplicate-entry") == 1, (field, found)
