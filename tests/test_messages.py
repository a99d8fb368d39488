# SPDX-License-Identifier: Apache-2.0
"""Messages can't hold a wrong value, and the seed's sample is read value by value."""

import copy
import dataclasses
import pickle
import re
from typing import Optional

import pytest

import amctcfg
from amctcfg import (
    AMCTConfig,
    ARQuantize,
    CalibrationConfig,
    ConfigError,
    FMRQuantize,
    OverrideLayer,
    OverrideLayerType,
)
from amctcfg.documents.document import read_text
from amctcfg.messages.field import LiteralCache, optional, required
from amctcfg.messages.kinds import STRING
from amctcfg.messages.message import Message, message
from amctcfg.messages.reading import Reading
from amctcfg.textformat.parser import parse
from amctcfg.tools.exporting import write_proto

from .conftest import DATA

EMPTY = CalibrationConfig()


def search(**fields):
    return FMRQuantize(**fields)


def test_the_sample_of_the_vendors_page():
    usual = search(
        search_range_start=0.7, search_range_end=1.3, search_step=0.01,
        max_percentile=0.999999, min_percentile=0.999999, asymmetric=True,
    )  # fmt: skip
    narrow = dataclasses.replace(usual, search_range_start=0.8, search_range_end=1.2, search_step=0.02)
    assert amctcfg.load(DATA / "valid" / "sample.cfg") == AMCTConfig(
        activation_offset=True,
        skip_layers=("Opname",),
        skip_layer_types=("Optype",),
        do_fusion=True,
        skip_fusion_layers=("Opname",),
        common_config=CalibrationConfig(ARQuantize(True), usual),
        override_layer_types=(OverrideLayerType("Optype", CalibrationConfig(ARQuantize(False), narrow)),),
        override_layer_configs=(OverrideLayer("Opname", CalibrationConfig(ARQuantize(True), narrow)),),
    )


@pytest.mark.parametrize(
    "fields, words",
    [
        (dict(search_range_start=0), "search_range_start is 0.0; it has to be greater than 0"),
        (dict(search_range_start=-1), "search_range_start is -1.0"),
        (dict(search_range_start=1.3), "less than search_range_end, 1.3 by default"),
        (dict(search_range_start=1.0, search_range_end=1.0), "less than search_range_end, 1.0"),
        (
            dict(search_range_end=0.7),
            "search_range_end is 0.7; it has to be greater than search_range_start, 0.7 by def",
        ),
        (dict(search_range_end=float("inf")), "search_range_end is inf; .* finite"),
        (dict(search_range_end=10**400), "search_range_end is inf"),
        (dict(search_range_end=1e39), "search_range_end is inf"),
        (dict(search_step=0), "search_step is 0.0; it has to be greater than 0"),
        (dict(search_step=1e-60), "search_step is 0.0"),
        (dict(search_step=0.6000001), "search_step is 0.6000001; it has to be at most 0.6"),
        (dict(search_range_end=0.705), "search_range_end is 0.705; .* room for search_step, 0.01 by default"),
        (dict(search_range_start=1.295), "search_range_start is 1.295; .* room for search_step, 0.01 by default"),
        (dict(search_step=float("nan")), "search_step is nan"),
        (dict(max_percentile=0.5), "max_percentile is 0.5; it has to be greater than 0.5 and at most 1"),
        (dict(min_percentile=1.0000001), "min_percentile is 1.0000001"),
        (dict(max_percentile=float("nan")), "max_percentile is nan"),
    ],
)
def test_values_out_of_range_cant_be_built(fields, words):
    with pytest.raises(ValueError, match=words) as caught:
        search(**fields)
    assert re.match(r"\w+ is ", str(caught.value))  # the field is named once
    text = "common_config { ifmr_quantize { %s } }" % " ".join(
        "{}: {}".format(k, float(v) if v != 10**400 else "1e400") for k, v in fields.items()
    )
    with pytest.raises(ConfigError, match=words):
        amctcfg.loads(text)


@pytest.mark.parametrize(
    "fields",
    [
        dict(search_step=0.6),  # 1.3 - 0.7 is 0.6 in decimals, and less in binary
        dict(search_range_start=0.5, search_range_end=1.5, search_step=1),
        dict(search_range_start=0.1, search_range_end=0.3, search_step=0.2),
        dict(max_percentile=1, min_percentile=0.5000001),
        dict(search_range_start=1e-45, search_range_end=3.4e38),
    ],
)
def test_values_at_the_bounds_can(fields):
    built = search(**fields)
    assert amctcfg.loads(
        "common_config { ifmr_quantize { %s } }" % " ".join(map("%s: %s".__mod__, fields.items()))
    ) == (AMCTConfig(common_config=CalibrationConfig(ifmr_quantize=built)))


@pytest.mark.parametrize(
    "build, words",
    [
        (lambda: search(search_step="0.1"), "search_step has to be a number, not '0.1'"),
        (lambda: search(search_step=True), "search_step has to be a number, not True"),
        (lambda: search(asymmetric=1), "asymmetric has to be a bool, not 1"),
        (lambda: ARQuantize("true"), "channel_wise has to be a bool"),
        (lambda: AMCTConfig(skip_layers="conv1"), "skip_layers takes several values, not 'conv1'"),
        (lambda: AMCTConfig(skip_layers=[1]), "skip_layers has to be a string, not 1"),
        (lambda: AMCTConfig(skip_layers=None), "skip_layers takes several values"),
        (lambda: AMCTConfig(common_config={}), "common_config has to be CalibrationConfig"),
        (lambda: OverrideLayer("a", None), "calibration_config has to be CalibrationConfig"),
        (lambda: OverrideLayer(None, EMPTY), "layer_name has to be a string"),
        (lambda: OverrideLayer("a"), "calibration_config"),
        (lambda: AMCTConfig(override_layer_configs=[OverrideLayerType("a", EMPTY)]), "has to be OverrideLayer"),
        (lambda: amctcfg.Layer("a", None), "two strings and a bool"),
        (lambda: dataclasses.replace(amctcfg.TF_ASCEND, types="Conv2D"), "several LayerTypes"),
        (lambda: amctcfg.loads(3), "text has to be str or bytes"),
        (lambda: amctcfg.dumps("a"), "dumps takes an AMCTConfig"),
    ],
)
def test_wrong_types_cant_be_built(build, words):
    with pytest.raises(TypeError, match=words):
        build()


@pytest.mark.parametrize("field", ["skip_layers", "skip_layer_types", "skip_fusion_layers"])
def test_repeated_fields_take_any_iterable_and_no_duplicates(field):
    config = AMCTConfig(**{field: (name for name in "ab")})
    assert getattr(config, field) == ("a", "b")
    with pytest.raises(ValueError, match="{}.1: 'a' occurs twice in {}".format(field, field)):
        AMCTConfig(**{field: ["a", "a"]})


def test_overrides_are_unique():
    with pytest.raises(ValueError, match="override_layer_types.1.layer_type: 'a' occurs twice"):
        AMCTConfig(override_layer_types=[OverrideLayerType("a", EMPTY)] * 2)
    with pytest.raises(ValueError, match="override_layer_configs.1.layer_name: 'a' occurs twice"):
        AMCTConfig(override_layer_configs=[OverrideLayer("a", EMPTY)] * 2)


def test_strings_are_text():
    with pytest.raises(ValueError, match=r"^skip_layers: '\\ud800' holds a surrogate, which is not text"):
        AMCTConfig(skip_layers=["\ud800"])


@pytest.mark.parametrize(
    "given, kept",
    [
        (0.7, 0.7), (0.123456789, 0.12345679), (0.0100000001, 0.01), (1, 1.0), (0.1 + 0.2, 0.3), (1e-45, 1e-45),
        (1.401298464324817e-45, 1e-45), (16777217 * 2.0**-20, 16.0), (3.4028234663852886e38, 3.4028235e38),
    ],
)  # fmt: skip
def test_floats_are_float32_as_their_shortest_decimal(given, kept):
    assert amctcfg.textformat.round_float32(given) == kept
    assert repr(amctcfg.textformat.round_float32(float(given))) == repr(float(kept))


def test_absent_is_not_the_default():
    assert amctcfg.loads("") == AMCTConfig() != amctcfg.loads("activation_offset: true")
    assert amctcfg.loads("common_config {}").common_config == EMPTY


def test_messages_are_immutable_hashable_and_can_be_copied():
    config = amctcfg.load(DATA / "valid" / "sample.cfg")
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.do_fusion = False
    for clone in (copy.copy(config), copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert clone == config and hash(clone) == hash(config)
    built = dataclasses.replace(config, do_fusion=None)
    assert built != config and dataclasses.asdict(built)["do_fusion"] is None


def test_equal_whether_built_or_read():
    text = 'override_layer_configs { layer_name: "a" calibration_config { arq_quantize { } } }'
    built = AMCTConfig(override_layer_configs=[OverrideLayer("a", CalibrationConfig(ARQuantize()))])
    assert amctcfg.loads(text) == built and hash(amctcfg.loads(text)) == hash(built)
    assert repr(amctcfg.loads(text)) == repr(built)
    assert repr(CalibrationConfig(ARQuantize(True))) == (
        "CalibrationConfig(arq_quantize=ARQuantize(channel_wise=True), ifmr_quantize=None)"
    )


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    "written, kept",
    [
        ("search_step: 0", {}),
        ("search_step: yes", {}),
        ("search_range_start: 1.5 search_range_end: 1.2", {"search_range_end": 1.2}),
        ("search_range_start: 0 search_range_end: 1.2", {"search_range_end": 1.2}),
    ],
)
def test_a_value_with_an_error_is_absent_from_what_was_read(written, kept, strict):
    """What looks further at a text with errors takes nothing for set that can't be."""
    text = "common_config { ifmr_quantize { %s max_percentile: 0.9 } }" % written
    document, reading = read_text(text, strict=strict)
    assert len(reading.diagnostics) == len(reading.broken) == 1
    assert document.config.common_config.ifmr_quantize == FMRQuantize(max_percentile=0.9, **kept)


@pytest.mark.parametrize("values", [(0, 2), (0, 0), (0, 2, 0), (2, 0), (-1, 2), (-1, 0, 3)])
def test_each_value_of_a_field_that_is_given_again_is_judged(values):
    text = " ".join("batch_num: {}".format(value) for value in values)
    found = amctcfg.check(text, flavour=amctcfg.PYTORCH)
    assert [d.code for d in found].count("out-of-range") == sum(value < 1 for value in values)
    assert [d.code for d in found].count("duplicate-field") == len(values) - 1
    columns = [d.span.column for d in found if d.code == "out-of-range"]
    numbers = [match.start() for match in re.finditer(r"-?[0-9]", text)]
    assert columns == [start + 1 for start, value in zip(numbers, values) if value < 1]
    lenient = amctcfg.check(text, flavour=amctcfg.PYTORCH, strict=False)  # the last counts; a uint32 each of them is
    wrong = [value for value in values[:-1] if value < 0] + [value for value in values[-1:] if value < 1]
    assert [d.code for d in lenient].count("out-of-range") == len(wrong)


def test_a_plan_keeps_its_attributes():
    plan = amctcfg.expand(AMCTConfig(), [amctcfg.Layer("a", "Conv2D")])
    for change in (lambda: delattr(plan, "config"), lambda: setattr(plan, "config", None)):
        with pytest.raises(AttributeError, match="field 'config'"):
            change()
    assert plan.config == AMCTConfig()


@pytest.mark.parametrize("sign", [1, -1])
def test_a_number_that_python_refuses_to_write_is_described(sign):
    for number, words in (
        (10**20 - 1, "{:d}".format(sign * (10**20 - 1))),
        (10**20, "a number of 67 bits"),
        (10**5000, "bits"),
    ):
        with pytest.raises(ValueError, match=words):
            amctcfg.ONNX.config(batch_num=sign * number)


def test_the_exported_schema_has_its_enums_and_says_what_messages_are():
    text = write_proto(amctcfg.PYTORCH)
    assert "enum DataType {\n  INT8 = 1;\n  INT16 = 2;\n}\n" in text
    config = amctcfg.PYTORCH.config
    assert "// {}\nmessage AMCTConfig {{\n".format(config.__doc__.strip().partition("\n")[0]) in text
    assert (
        """message ARQuantize {
  // default: by the layer's type
  optional bool channel_wise = 1;
  // 4, 6, 7 or 8; default: 8
  optional uint32 quant_bits = 2;
}
"""
        in text
    )
    assert (
        """
  oneof wts_quant_algo {
    ARQuantize arq_quantize = 1;
    ADAquantize ada_quantize = 2;
  }
  oneof acts_quant_algo {
    FMRQuantize ifmr_quantize = 3;
"""
        in text
    )


def test_a_truth_value_is_pythons_or_numpys():
    class bool_:  # noqa: N801
        """Named like numpy's, and something else."""

    with pytest.raises(TypeError, match="do_fusion has to be a bool"):
        AMCTConfig(do_fusion=bool_())
    numpy = pytest.importorskip("numpy")
    assert AMCTConfig(do_fusion=numpy.bool_(False)).do_fusion is False


def test_what_a_layer_lacks_is_kept_in_order_and_of_a_set_sorted():
    words = ["int8", "int16", "asymmetric", "other"]
    assert (
        amctcfg.Layer("a", "b", True, words).lacks == amctcfg.Layer("a", "b", True, tuple(words)).lacks == tuple(words)
    )
    for kind in (set, frozenset):
        assert amctcfg.Layer("a", "b", True, kind(words)).lacks == tuple(sorted(words))
    with pytest.raises(TypeError, match="a Layer takes two strings and a bool"):
        amctcfg.Layer("a", "b", True, "int16")


def test_few_literals_are_kept_and_all_are_read():
    """An editor reads for days: a thousand short literals of a field at most stay in the memory."""
    cache = LiteralCache(FMRQuantize.__schema__.fields["search_step"])
    most = 0
    for number in range(1, 3000):
        assert cache["{}e-5".format(number)] == float("{}e-5".format(number))
        most = max(most, len(cache))
    assert most == 1024
    for length, kept in ((32, True), (33, False)):
        literal = "0.5".ljust(length, "0")
        assert cache[literal] == 0.5 and (literal in cache) is kept


def test_a_field_is_of_a_kind_or_a_message():
    with pytest.raises(TypeError, match="a field's kind is a Kind or a Message, not 'bool'"):
        optional("bool")


@message
class Named(Message):
    name: str = required(STRING)


@message
class Holder(Message):
    named: Optional[Named] = optional(Named)


@message
class Root(Message):
    holder: Optional[Holder] = optional(Holder)


@pytest.mark.parametrize("inside, fine", [("", False), ("name: 'a'", True), ("name: 1", False)])
@pytest.mark.parametrize("text", ["holder { named { %s } }", "holder < named < %s > >"])
def test_a_required_field_inside_of_optional_ones(text, inside, fine):
    """No flavour has one so deep, but a new one may."""
    reading = Reading(parse(text % inside, "x"), Root, True, unknown=None)
    assert [d.path for d in reading.diagnostics] == [("holder", "named", "name")] * (not fine)
    assert not fine or reading.config == Root(holder=Holder(named=Named(name="a")))


def test_a_name_of_an_enum():
    kind = amctcfg.PYTORCH.config
    assert kind(fakequant_precision_mode="FORCE_FP16_QUANT").fakequant_precision_mode == "FORCE_FP16_QUANT"
    with pytest.raises(ValueError, match="fakequant_precision_mode is 'FP16'; it has to be FORCE_FP16_QUANT"):
        kind(fakequant_precision_mode="FP16")
    with pytest.raises(TypeError, match="fakequant_precision_mode has to be FORCE_FP16_QUANT, not 1"):
        kind(fakequant_precision_mode=1)
    for written in ("FORCE_FP16_QUANT", "1", "0x1"):
        read = amctcfg.loads("fakequant_precision_mode: " + written, flavour=amctcfg.PYTORCH)
        assert read.fakequant_precision_mode == "FORCE_FP16_QUANT"


@pytest.mark.parametrize("field, least, most", [("version", -(2**31), 2**31 - 1), ("batch_num", 1, 2**32 - 1)])
def test_whole_numbers_at_their_bounds(field, least, most):
    flavour = amctcfg.GE if field == "version" else amctcfg.ONNX
    for value in (least, most):
        assert getattr(flavour.config(**{field: value}), field) == value
        assert getattr(amctcfg.loads("{}: {}".format(field, value), flavour=flavour), field) == value
    for value in (least - 1, most + 1):
        with pytest.raises(ValueError, match="{} is {}; it has to be".format(field, value)):
            flavour.config(**{field: value})
        with pytest.raises(ConfigError):
            amctcfg.loads("{}: {}".format(field, value), flavour=flavour)


def test_a_field_in_a_line():
    fields = {**AMCTConfig.__schema__.fields, **FMRQuantize.__schema__.fields}
    shown = [repr(fields[name]) for name in ("do_fusion", "skip_layers", "common_config", "search_step")]
    assert shown == [
        "<optional bool do_fusion>", "<repeated string skip_layers>", "<optional CalibrationConfig common_config>",
        "<optional float search_step>",
    ]  # fmt: skip
    ranges = (
        fields["search_step"].within,
        amctcfg.PYTORCH.config.__schema__.follow("common_config.arq_quantize.quant_bits")[-1].within,
    )
    assert list(map(repr, ranges)) == ["greater than 0 and finite", "4, 6, 7 or 8"]


BOOL, WHOLE, TEXT, BLOCK = "do_fusion: %s", "batch_num: %s", "skip_layers: %s", "common_config%s"
NUMBER, NAME = ("common_config { ifmr_quantize { %s: %%s } }" % field for field in ("search_step", "dst_type"))
BARE, INSIDE = "write the number without quotes", "write the value without brackets"
NAMES = "write INT8 or INT16"

# A literal, what is said of it, the cure, and what a fix writes.
OF_ANOTHER_KIND = [
    (BOOL, "maybe", "do_fusion is true or false, not maybe", "write true or false", None),
    (BOOL, "ON", "do_fusion is true or false, not ON", "write true", "true"),
    (BOOL, "2", "do_fusion is true or false, not 2", "write true or false", None),
    (BOOL, '"yes"', 'do_fusion is true or false, not "yes"', "write true without quotes", "true"),
    (BOOL, "'off'", "do_fusion is true or false, not 'off'", "write false without quotes", "false"),
    (BOOL, "'x'", "do_fusion is true or false, not 'x'", "write true or false", None),
    (NUMBER, "x", "search_step is a decimal number, not x", "write a decimal number such as 0.7", None),
    (NUMBER, "0x10", "search_step is a decimal number, not 0x10", "write a decimal number such as 0.7", None),
    (NUMBER, '"0.5"', 'search_step is a decimal number, not "0.5"', BARE, "0.5"),
    (NUMBER, "'x'", "search_step is a decimal number, not 'x'", BARE, None),
    (WHOLE, "1.5", "batch_num is a whole number, not 1.5", "write a whole number such as 1", None),
    (WHOLE, '"3"', 'batch_num is a whole number, not "3"', BARE, "3"),
    (WHOLE, "-1", "batch_num is -1; it has to be from 0 to 4294967295", None, None),
    (WHOLE, "0x100000000", "batch_num is 0x100000000; it has to be from 0 to 4294967295", None, None),
    (TEXT, "conv1", "skip_layers is a string, not conv1", 'put it in quotes: "conv1"', '"conv1"'),
    (NAME, "INT4", "dst_type is INT4; it has to be INT8 or INT16", NAMES, None),
    (NAME, "_x", "dst_type is _x; it has to be INT8 or INT16", NAMES, None),
    (NAME, "0", "dst_type is 0; it has to be INT8 or INT16", NAMES, None),
    (NAME, "3", "dst_type is 3; it has to be INT8 or INT16", NAMES, None),
    (NAME, "1.5", "dst_type is a name, not 1.5", NAMES, None),
    (NAME, '"INT8"', 'dst_type is a bare name, not "INT8"', NAMES + " without quotes", "INT8"),
    (NAME, "'INT4'", "dst_type is a bare name, not 'INT4'", NAMES + " without quotes", None),
    (BLOCK, ": 1", "common_config takes a message, not 1", "write 'common_config { ... }'", None),
]
OF_ANOTHER_SHAPE = [
    ("do_fusion { }", "do_fusion takes a value, not a message", "write 'do_fusion: true'"),
    ("do_fusion: [true]", "do_fusion takes one value, not a list", INSIDE),
    ("batch_num { }", "batch_num takes a value, not a message", "write 'batch_num: 1'"),
    ("skip_layers { }", "skip_layers takes a value, not a message", "write 'skip_layers: \"...\"'"),
    ("common_config: []", "common_config takes one message, not a list", "write 'common_config { ... }'"),
    ("common_config: [1]", "common_config takes one message, not a list", "write 'common_config { ... }'"),
]


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("template, literal, message, hint, replacement", OF_ANOTHER_KIND)
def test_a_value_of_another_kind_and_its_cure(template, literal, message, hint, replacement, strict):
    text = template % literal
    (found,) = amctcfg.check(text, flavour=amctcfg.PYTORCH, strict=strict)
    assert found.code == ("out-of-range" if "it has to be" in message else "wrong-type")
    assert (found.message, found.hint, found.replacement) == (message, hint, replacement)
    marked = text[found.span.column - 1 : found.span.end_column - 1]
    assert marked == literal.lstrip(": ")


@pytest.mark.parametrize("text, message, hint", OF_ANOTHER_SHAPE)
def test_a_value_of_another_shape_and_its_cure(text, message, hint):
    (found,) = amctcfg.check(text, flavour=amctcfg.PYTORCH)
    assert (found.code, found.message, found.hint, found.replacement) == ("wrong-type", message, hint, None)
    assert text[: found.span.end_column - 1] == found.path[0] and found.span.column == 1


@pytest.mark.parametrize("strict", [True, False])
def test_what_could_not_be_read_is_no_duplicate(strict):
    """Nobody knows what it was to be."""
    entry = "override_layer_configs { layer_name: %s calibration_config { } }\n"
    text = "override_layer_configs: 1\n" * 2 + entry % "2" + entry % "2" + entry % "'a'" + "skip_layers: [3, 3, 'b']"
    found = amctcfg.check(text, strict=strict)
    assert [(d.code, d.span.line) for d in found] == [
        ("wrong-type", line) for line in (1, 2, 3, 4, 6, 6)
    ]  # fmt: skip


def test_an_effective_configuration_in_a_line():
    layer = amctcfg.Layer("a", "Conv2D")
    plan = amctcfg.expand(AMCTConfig(do_fusion=False), [layer])
    assert repr(plan["a"]).startswith(
        "<EffectiveConfig 'a' (Conv2D): quantized, BN not fused, arq_quantize.channel_wise=True, "
    )
    skipped = amctcfg.merge(AMCTConfig(skip_layers=("a",)), layer)
    assert repr(skipped).startswith("<EffectiveConfig 'a' (Conv2D): not quantized, BN fused, ")
    assert len(skipped.origins) == len(list(skipped.origins)) == len(skipped.settings())
    assert repr(skipped.origins).startswith("Origins({'quant_enable': Origin(tier='skip_layers', value=False, ")
