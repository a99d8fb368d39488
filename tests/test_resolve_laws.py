# SPDX-License-Identifier: Apache-2.0
"""The laws of the priority rules, on any configuration and any layers."""

import dataclasses
import itertools
import json

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

import amctcfg
from amctcfg import AMCTConfig, CalibrationConfig, ConfigError, Layer, OverrideLayer, OverrideLayerType

from .conftest import often
from .strategies import NAMES, TYPES, any_text, blocks, configs, contests, expandable, layers, rule_sets

FULL = {
    "arq_quantize": ["channel_wise"],
    "ifmr_quantize": [
        "search_range_start", "search_range_end", "search_step", "max_percentile", "min_percentile", "asymmetric",
    ],
}  # fmt: skip
CHANNEL_WISE = {"Conv2D", "DepthwiseConv2dNative", "Conv2DBackpropInput"}
DEFAULT = {
    "search_range_start": 0.7, "search_range_end": 1.3, "search_step": 0.01,
    "max_percentile": 0.999999, "min_percentile": 0.999999,
}  # fmt: skip


def settings_of(config, layer, part, field):
    """tier -> the value that the tier sets, or None; only tiers that have a block for the layer."""
    by_name = {o.layer_name: o.calibration_config for o in config.override_layer_configs}
    by_type = {o.layer_type: o.calibration_config for o in config.override_layer_types}
    tiers = [
        ("override_layer_configs", by_name.get(layer.name)),
        ("override_layer_types", by_type.get(layer.type)),
        ("common_config", config.common_config),
    ]
    return {tier: getattr(getattr(block, part), field, None) for tier, block in tiers if block is not None}


def statement(config, layer, rules):
    """The vendor's sentences, one after another: field -> (value, tier, tiers that set it and lost)."""
    said = {}
    for part, fields in FULL.items():
        for field in fields:
            by_tier = settings_of(config, layer, part, field)
            setters = [tier for tier, value in by_tier.items() if value is not None]
            if field == "asymmetric":
                if config.activation_offset is not None:
                    setters.append("activation_offset")
                    by_tier["activation_offset"] = config.activation_offset
                eligible = list(setters)
                if rules == "toolkit" and "override_layer_configs" in by_tier and "override_layer_types" in eligible:
                    eligible.remove("override_layer_types")
                winner = eligible[0] if eligible else "default"
                value = by_tier.get(winner, True)
            else:
                block = next(iter(by_tier), None)
                winner = block if block in setters else "default"
                default = layer.type in CHANNEL_WISE if field == "channel_wise" else DEFAULT.get(field)
                value = by_tier[winner] if winner == block and block else default
            said[part + "." + field] = (value, winner, [tier for tier in setters if tier != winner])
    return said


# ---------------------------------------------------------------- contests


def tier_texts(own=None, by_type=None, common=None, rest=""):
    """A configuration with a block for each tier, of layer stage/conv of type Conv2D, and a layer of it."""
    text = rest + "\n"
    if own is not None:
        text += "override_layer_configs { layer_name: 'stage/conv' calibration_config { %s } }" % own
    if by_type is not None:
        text += "override_layer_types { layer_type: 'Conv2D' calibration_config { %s } }" % by_type
    if common is not None:
        text += "common_config { %s }" % common
    return amctcfg.loads(text), Layer("stage/conv", "Conv2D")


def block_of(name):
    return "override_layer_configs { layer_name: '%s' calibration_config { %s } }" % (name, STEP % 0.05)


YES, NO = ("ifmr_quantize { asymmetric: %s }" % value for value in ("true", "false"))
STEP = "ifmr_quantize { search_step: %s }"

# Every corner of the rules: each is an example of the laws below, so that no draw has to find it.
CORNERS = [
    tier_texts(YES, NO, NO, "activation_offset: false"),
    tier_texts(NO, YES, YES, "activation_offset: true"),
    tier_texts("", YES, NO, "activation_offset: true"),  # the toolkit looks past the type's block
    tier_texts("", YES, "", "activation_offset: false"),
    tier_texts("", YES, None),
    tier_texts("", "", NO, "activation_offset: true"),
    tier_texts(None, "", NO, "activation_offset: true"),
    tier_texts(None, NO, YES, "activation_offset: true"),
    tier_texts(None, None, NO, "activation_offset: true"),
    tier_texts(None, None, "", "activation_offset: false"),
    tier_texts(STEP % 0.02, STEP % 0.03, STEP % 0.04),
    tier_texts(None, STEP % 0.03, STEP % 0.04),
    tier_texts("", STEP % 0.03, STEP % 0.04),  # an empty block is a block
    tier_texts("arq_quantize { }", "arq_quantize { channel_wise: false }", STEP % 0.04),
    tier_texts("ifmr_quantize { max_percentile: 0.9999 }", STEP % 0.03, STEP % 0.04),
    tier_texts(STEP % 0.02, None, None, "skip_layers: 'stage/conv'"),  # a block of its own does not un-skip
    tier_texts(STEP % 0.02, STEP % 0.03, None, "skip_layer_types: 'Conv2D'"),
    tier_texts(STEP % 0.02, None, None, "skip_layers: 'conv' skip_fusion_layers: 'conv'"),  # names are whole
    tier_texts(None, STEP % 0.03, None, block_of("conv")),
    tier_texts(None, STEP % 0.03, None, block_of("a/stage/conv")),
    tier_texts(None, None, None, "skip_layers: 'stage' skip_fusion_layers: ['stage/conv1', 'stage/con']"),
    tier_texts(None, None, None, "skip_layers: 'stage/conv' skip_layer_types: 'Conv2D' do_fusion: true"),
    tier_texts(None, None, None, "skip_fusion_layers: 'stage/conv' do_fusion: true"),
    tier_texts(None, None, None, "skip_fusion_layers: 'stage/conv' do_fusion: false"),
]


def with_corners(test):
    for pair in CORNERS:
        test = example(pair, "toolkit")(example(pair, "documented")(test))
    return test


def fought_over(config, layer):
    """What a drawn contest is about, for hypothesis's statistics (--hypothesis-show-statistics)."""
    by_tier = settings_of(config, layer, "ifmr_quantize", "asymmetric")
    event("blocks: {}".format(len(by_tier)))
    event("asymmetric differs: {}".format(len({v for v in by_tier.values() if v is not None}) > 1))
    event("all blocks and the offset: {}".format(len(by_tier) == 3 and config.activation_offset is not None))
    event("the rules differ: {}".format(statement(config, layer, "toolkit") != statement(config, layer, "documented")))


# Of ten pairs, one is any configuration and any layer.
any_contest = st.integers(0, 9).flatmap(lambda n: contests() if n else st.tuples(configs(), layers))


@with_corners
@often
@given(any_contest, rule_sets)
def test_priority_rules(pair, rules):
    config, layer = pair
    fought_over(config, layer)
    effective = amctcfg.merge(config, layer, rules=rules)
    expected = statement(config, layer, rules)
    found = {
        field: (origin.value, origin.tier, [lost.tier for lost in origin.shadowed])
        for field, origin in effective.origins.items()
        if field in expected
    }
    assert found == expected, amctcfg.dumps(config)
    for field, (value, _, _) in expected.items():
        part, _, name = field.partition(".")
        assert getattr(getattr(effective.calibration_config, part), name) == value


@with_corners
@often
@given(any_contest, rule_sets)
def test_quant_enable_and_fuse(pair, rules):
    config, layer = pair
    effective = amctcfg.merge(config, layer, rules=rules)
    reasons = [
        reason
        for reason, holds in [
            ("skip_layers", layer.name in config.skip_layers),
            ("skip_layer_types", layer.type in config.skip_layer_types),
            ("unsupported", not layer.supported or layer.type not in TYPES),
        ]
        if holds
    ]
    origin = effective.origins["quant_enable"]
    assert effective.quant_enable is (not reasons)
    assert [origin.tier] + [lost.tier for lost in origin.shadowed] == (reasons or ["default"])
    unfused = ["skip_fusion_layers"] * (layer.name in config.skip_fusion_layers)
    unfused += ["do_fusion"] * (config.do_fusion is not None)
    origin = effective.origins["fuse"]
    assert effective.fuse is (config.do_fusion is not False and layer.name not in config.skip_fusion_layers)
    assert origin.value is effective.fuse
    assert [origin.tier] + [lost.tier for lost in origin.shadowed] == (unfused or ["default"])


@pytest.mark.parametrize("rules", ["documented", "toolkit"])
@pytest.mark.parametrize("field, values", [("asymmetric", [True, False]), ("search_step", [0.02, 0.03])])
def test_every_combination_of_the_tiers(rules, field, values):
    """Draws leave out a corner now and then: each tier has no block, an empty one, or one of two values."""
    absent, layer = object(), Layer("stage/conv", "Conv2D")
    settings = [absent, None, *values]

    def block(value):
        return CalibrationConfig(ifmr_quantize=None if value is None else amctcfg.FMRQuantize(**{field: value}))

    for own, typed, common in itertools.product(settings, repeat=3):
        for offset in (None, True, False):
            config = AMCTConfig(
                activation_offset=offset,
                common_config=None if common is absent else block(common),
                override_layer_types=[] if typed is absent else [OverrideLayerType(layer.type, block(typed))],
                override_layer_configs=[] if own is absent else [OverrideLayer(layer.name, block(own))],
            )
            effective, name = amctcfg.merge(config, layer, rules=rules), "ifmr_quantize." + field
            origin = effective.origins[name]
            found = origin.value, origin.tier, [lost.tier for lost in origin.shadowed]
            assert found == statement(config, layer, rules)[name], config
            assert getattr(effective.calibration_config.ifmr_quantize, field) == found[0]


# ---------------------------------------------------------------- places, order, other layers


@given(any_contest, rule_sets)
def test_origins_lead_to_their_values(pair, rules):
    """Each path leads to the value in the configuration, each span to its text."""
    config, layer = pair
    document = amctcfg.parse(amctcfg.dumps(config))
    for origin in amctcfg.merge(document, layer, rules=rules).origins.values():
        for setting in (origin, *origin.shadowed):
            if setting.path is None:
                assert setting.span is None
                continue
            place = document.config
            for step in setting.path:
                place = place[step] if isinstance(step, int) else getattr(place, step)
            assert place in (setting.value, layer.name, layer.type)
            line = document.text.split("\n")[setting.span.line - 1]
            written = line[setting.span.column - 1 : setting.span.end_column - 1]
            assert written.startswith(next(s for s in reversed(setting.path) if isinstance(s, str)) + ": ")


@given(configs(), blocks, st.lists(layers), rule_sets)
def test_an_override_changes_no_other_layer(config, block, others, rules):
    config = dataclasses.replace(
        config, override_layer_configs=[o for o in config.override_layer_configs if o.layer_name != "conv1"]
    )
    added = OverrideLayer("conv1", block)
    more = dataclasses.replace(config, override_layer_configs=(*config.override_layer_configs, added))
    for layer in others:
        if layer.name != "conv1":
            before, after = (amctcfg.merge(c, layer, rules=rules) for c in (config, more))
            assert (before, before.origins) == (after, after.origins)


@given(st.data(), configs(), st.lists(layers), rule_sets)
def test_the_order_of_overrides_does_not_matter(data, config, some, rules):
    shuffled = dataclasses.replace(
        config,
        override_layer_types=data.draw(st.permutations(config.override_layer_types)),
        override_layer_configs=data.draw(st.permutations(config.override_layer_configs)),
        skip_layers=data.draw(st.permutations(config.skip_layers)),
    )
    for layer in some:
        one, other = (amctcfg.merge(c, layer, rules=rules) for c in (config, shuffled))
        assert one == other
        assert [o.tier for o in one.origins.values()] == [o.tier for o in other.origins.values()]


@often
@given(any_contest, blocks, rule_sets)
def test_a_lower_tier_never_changes_what_a_higher_one_decides(pair, block, rules):
    config, layer = pair

    def without_asymmetric(effective):
        block = effective.calibration_config
        return dataclasses.replace(block, ifmr_quantize=dataclasses.replace(block.ifmr_quantize, asymmetric=None))

    named = {o.layer_name for o in config.override_layer_configs}
    typed = {o.layer_type for o in config.override_layer_types}
    lower = []
    if layer.name in named or layer.type in typed:
        lower.append(dataclasses.replace(config, common_config=block))
    if layer.name in named:
        kept = [o for o in config.override_layer_types if o.layer_type != layer.type]
        lower.append(dataclasses.replace(config, override_layer_types=[*kept, OverrideLayerType(layer.type, block)]))
    before = amctcfg.merge(config, layer, rules=rules)
    for changed in lower:
        after = amctcfg.merge(changed, layer, rules=rules)
        assert without_asymmetric(after) == without_asymmetric(before)


@often
@given(any_contest, layers, rule_sets)
def test_a_fully_set_block_is_what_the_layer_gets(pair, donor, rules):
    config, layer = pair
    full = amctcfg.merge(config, donor).calibration_config
    kept = [o for o in config.override_layer_configs if o.layer_name != layer.name]
    config = dataclasses.replace(config, override_layer_configs=[*kept, OverrideLayer(layer.name, full)])
    assert amctcfg.merge(config, layer, rules=rules).calibration_config == full


@given(layers)
def test_every_field_of_an_effective_block_is_set(layer):
    block = amctcfg.merge(AMCTConfig(), layer).calibration_config
    values = dataclasses.asdict(block)
    assert all(value is not None for part in values.values() for value in part.values())


@given(configs(any_text, any_text))
def test_printing_then_parsing_is_the_identity(config):
    assert amctcfg.loads(amctcfg.dumps(config)) == config


@given(st.lists(blocks, min_size=1, max_size=3), st.data())
def test_reading_leniently_changes_nothing_where_nothing_is_lenient(some, data):
    overrides = [OverrideLayer(name, data.draw(st.sampled_from(some))) for name in NAMES]
    config = AMCTConfig(common_config=some[0], override_layer_configs=overrides)
    text = amctcfg.dumps(config)
    lenient = amctcfg.parse(text, strict=False)
    assert amctcfg.loads(text) == lenient.config == config
    assert lenient.diagnostics == ()


@pytest.mark.parametrize("order", ["abc", "bac", "cab", "cba"])
def test_what_a_layer_merges_leniently_is_its_own(order):
    """Its block stands there in two parts, and others have a block that is written like one of them."""
    step, side = ("calibration_config { ifmr_quantize { %s } }" % x for x in ("search_step: 0.5", "asymmetric: false"))
    parts = {"a": step + side, "b": step, "c": side}
    entry = "override_layer_configs { layer_name: '%s' %s }\n"
    config = amctcfg.parse("".join(entry % (name, parts[name]) for name in order), strict=False).config
    found = {x.layer_name: x.calibration_config.ifmr_quantize for x in config.override_layer_configs}
    steps, sides = amctcfg.FMRQuantize(search_step=0.5), amctcfg.FMRQuantize(asymmetric=False)
    assert found == {"a": dataclasses.replace(steps, asymmetric=False), "b": steps, "c": sides}


WRONG = [
    "search_step: 9",
    "search_step: yes",
    "stepp: 1",
    "search_step: 1 search_step: 1",
    "asymmetric: { }",
    "search_step: 0.123456789",
]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("strict", [True, False])
def test_the_same_mistake_is_told_at_each_of_its_places(wrong, strict):
    entry = "override_layer_configs { layer_name: '%s' calibration_config { ifmr_quantize { %s } } }\n"
    alone = amctcfg.check(entry % ("a", wrong), strict=strict)
    assert alone
    both = amctcfg.check(entry % ("a", wrong) + entry % ("b", wrong), strict=strict)
    assert both == alone + tuple(
        diagnostic._replace(
            hint=diagnostic.hint and diagnostic.hint.replace("is at line 1", "is at line 2"),
            span=diagnostic.span._replace(line=2, end_line=2),
            path=("override_layer_configs", 1, *diagnostic.path[2:]),
        )
        for diagnostic in alone
    )


@given(expandable(), rule_sets)
def test_expansion_is_the_merge_of_each_supported_layer(pair, rules):
    config, model = pair
    plan = amctcfg.expand(config, model, rules=rules)
    supported = [layer for layer in model if layer.supported and layer.type in TYPES]
    assert list(plan) == [layer.name for layer in supported]
    assert list(plan.values()) == [amctcfg.merge(config, layer, rules=rules) for layer in supported]
    written = plan.to_json()
    assert json.dumps(plan.to_dict(), indent=4, separators=(",", ":")) == written
    assert list(json.loads(written))[4:] == sorted(layer.name for layer in supported)


@given(configs(), st.permutations([Layer(name, TYPES[i]) for i, name in enumerate(NAMES)]))
def test_the_json_does_not_depend_on_the_order_of_the_layers(config, shuffled):
    def answer(order):
        try:
            return amctcfg.expand(config, order).to_json()
        except ConfigError as error:
            return {(d.code, d.path) for d in error.diagnostics}

    assert answer(shuffled) == answer(sorted(shuffled, key=lambda layer: layer.name))


def test_documented_and_toolkit_rules_differ_in_one_case():
    config = amctcfg.loads(
        """
        common_config { ifmr_quantize { asymmetric: false } }
        override_layer_types { layer_type: "Conv2D" calibration_config { ifmr_quantize { asymmetric: true } } }
        override_layer_configs { layer_name: "conv1" calibration_config { } }
        """
    )
    layer = Layer("conv1", "Conv2D")
    values = [
        amctcfg.merge(config, layer, rules=rules).calibration_config.ifmr_quantize.asymmetric
        for rules in ("documented", "toolkit")
    ]
    assert values == [True, False]


def test_symmetric_only_types_are_never_asymmetric():
    types = [amctcfg.LayerType("Conv3D", symmetric_only=True)]
    flavour = dataclasses.replace(amctcfg.TF_ASCEND, types=types)
    effective = amctcfg.merge(amctcfg.loads("activation_offset: true"), Layer("c", "Conv3D"), flavour=flavour)
    assert effective.calibration_config.ifmr_quantize.asymmetric is False
    assert [o.tier for o in effective.origins["ifmr_quantize.asymmetric"].shadowed] == ["activation_offset"]


def test_unknown_rules_are_refused():
    with pytest.raises(ValueError, match="'documented' or 'toolkit'"):
        amctcfg.merge(AMCTConfig(), Layer("a", "Conv2D"), rules="vendor")
    with pytest.raises(TypeError, match="AMCTConfig or a Document"):
        amctcfg.merge(CalibrationConfig(), Layer("a", "Conv2D"))
