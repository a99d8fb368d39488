# SPDX-License-Identifier: Apache-2.0
"""Overrides that are written into a text: a layer gets what it is to get, and nothing else changes."""

import dataclasses

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

import amctcfg

from .conftest import seldom
from .strategies import expandable

for name in ("numpy", "onnx", "onnxruntime"):
    pytest.importorskip(name, reason="only the simulation writes overrides: pip install 'amctcfg[simulate]'")

from amctcfg.simulation.overriding import Override, alter_block, override  # noqa: E402

PYTORCH = amctcfg.PYTORCH

RULES = ("documented", "toolkit")
COMMENT = "tune: output 12.0 dB, 8.3 without"
OLD = r"tune: output .*"

CHANGES = [
    {"ifmr_quantize.max_percentile": 1.0, "ifmr_quantize.min_percentile": 1.0},
    {"ifmr_quantize.search_range_start": 0.5, "ifmr_quantize.search_range_end": 2.0},
    {"ifmr_quantize.asymmetric": False},
    {"hfmg_quantize.num_of_bins": 2048, "hfmg_quantize.asymmetric": True},
    {"hfmg_quantize.num_of_bins": 4096, "hfmg_quantize.asymmetric": False},
    {"dmq_balancer.migration_strength": 0.5},
    {"dmq_balancer.migration_strength": 0.8},
    {"arq_quantize.channel_wise": False},
    {"ifmr_quantize.dst_type": "INT16"},
]


def possible(flavour, block, layer, changes):
    """The block with the changes that the flavour and the layer can have; None where none are left."""
    fields = type(block).__schema__.fields
    kept = {}
    for name, value in changes.items():
        member, leaf = name.split(".")
        if member in fields and leaf in fields[member].kind.__schema__.fields:
            kept[name] = value
    if "dmq_balancer.migration_strength" in kept and not flavour.can(layer, "dmq_balancer"):
        return None
    if "ifmr_quantize.dst_type" in kept and not flavour.can(layer, "int16"):
        return None
    if not kept or not flavour.can(layer, "asymmetric"):
        kept = {name: value for name, value in kept.items() if not (name.endswith("asymmetric") and value)}
    try:
        return alter_block(block, kept) if kept else None
    except ValueError:
        return None


def complete(config, model, layer, block):
    """What the layer gets by a block of its own, every field set: what can be asked for."""
    entry = type(config).__schema__.fields["override_layer_configs"].kind(layer.name, block)
    changed = dataclasses.replace(config, override_layer_configs=(entry,))
    try:
        amctcfg.expand(changed, model)
    except amctcfg.ConfigError:
        return None
    return amctcfg.merge(changed, layer).calibration_config


def decorate(draw, text):
    """The text in some other layout: on fewer lines, with comments, other brackets, without its end."""
    how = draw(st.sampled_from(["plain", "plain", "lines", "short", "comments", "crlf", "open"]))
    if how == "lines":
        return " ".join(text.split("\n"))
    if how == "short":
        return text.replace(" {\n", " { ").replace("\n      }", " }")
    if how == "comments":
        return "# first\n" + text.replace(" {\n", " { # here\n").replace("\n}", "\n  # last\n}")
    if how == "crlf":
        return text.replace("\n", "\r\n")
    return text[:-1] if how == "open" else text


@st.composite
def overridden(draw, flavour):
    """A configuration that expands, more often than not with blocks of the layers' own."""
    config, model = draw(expandable(flavour))
    entry = type(config).__schema__.fields["override_layer_configs"].kind
    there = {entry.layer_name for entry in config.override_layer_configs}
    names = [layer.name for layer in model if flavour.quantizes(layer) and layer.name not in there]
    block = type(config).__schema__.fields["common_config"].kind
    own = draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    entries = (*config.override_layer_configs, *(entry(name, block()) for name in own))
    return dataclasses.replace(config, override_layer_configs=entries), model


@pytest.mark.parametrize("name", ["tf-ascend", "pytorch", "onnx"])
@seldom
@given(data=st.data())
def test_layers_get_what_they_are_to_get_and_nothing_else_changes(name, data):
    flavour = amctcfg.FLAVOURS[name]
    config, model = data.draw(overridden(flavour))
    text = decorate(data.draw, amctcfg.dumps(config))
    document = amctcfg.parse(text, "q.cfg", flavour=flavour)
    plans = {rules: amctcfg.expand(document, model, rules=rules) for rules in RULES}
    wanted = {}
    for layer_name in data.draw(st.lists(st.sampled_from(sorted(plans["documented"])), unique=True, min_size=1)):
        before = plans["documented"][layer_name]
        blocks = [possible(flavour, before.calibration_config, before.layer, changes) for changes in CHANGES]
        blocks = [complete(config, model, before.layer, block) for block in blocks if block is not None]
        blocks = [block for block in blocks if block is not None]
        if blocks:
            wanted[layer_name] = Override(before.layer, data.draw(st.sampled_from(blocks)), COMMENT, OLD)
    result = override(document, wanted.values())
    event("{} overrides, {} of them there".format(len(wanted), len(own_entries(config, wanted))))
    after = amctcfg.parse(result, "q.cfg", flavour=flavour)
    for rules, plan in plans.items():
        new = amctcfg.expand(after, model, rules=rules)
        for layer_name, effective in plan.items():
            expected = wanted[layer_name].block if layer_name in wanted else effective.calibration_config
            assert new[layer_name].calibration_config == expected
            assert new[layer_name].quant_enable == effective.quant_enable
        assert new.global_values == plan.global_values
    assert stretches(document, wanted) == stretches(after, wanted)
    again = override(after, wanted.values())  # the same once more: comments are replaced, nothing is added
    assert again == result


def own_entries(config, wanted):
    return [entry for entry in config.override_layer_configs if entry.layer_name in wanted]


def stretches(document, wanted):
    """The text without the entries of these layers and the comments on them, and without blanks at its ends."""
    gone = []
    for index, entry in enumerate(document.config.override_layer_configs):
        if entry.layer_name in wanted:
            _, _, start, end = document.tree.find(("override_layer_configs", index))
            gone.append((start, end))
    left, done = [], 0
    for start, end in sorted(gone):
        left.append(document.text[done:start])
        done = end
    whole = "".join([*left, document.text[done:]])
    return "".join(line for line in whole.replace("# " + COMMENT, "").split()).replace(",", "")


def written(before, changes, flavour=PYTORCH, layer=None, comment=COMMENT):
    """What becomes of a text where one layer is changed."""
    layer = layer or amctcfg.Layer("conv1", "Conv2d")
    document = amctcfg.parse(before, flavour=flavour)
    block = alter_block(amctcfg.merge(document, layer).calibration_config, changes)
    return override(document, [Override(layer, block, comment, OLD)])


def test_a_new_block_carries_what_the_layer_had():
    text = "activation_offset: false\ncommon_config { ifmr_quantize { search_step: 0.02 } }\n"
    assert written(text, {"dmq_balancer.migration_strength": 0.8}) == text + (
        "\n# tune: output 12.0 dB, 8.3 without\n"
        "override_layer_configs {\n"
        '  layer_name: "conv1"\n'
        "  calibration_config {\n"
        "    ifmr_quantize {\n"
        "      search_step: 0.02\n"
        "    }\n"
        "    dmq_balancer {\n"
        "      migration_strength: 0.8\n"
        "    }\n"
        "  }\n"
        "}\n"
    )


def test_asymmetric_is_written_where_the_rules_disagree():
    text = 'override_layer_types { layer_type: "Conv2d" calibration_config { ifmr_quantize { asymmetric: false } } }\n'
    assert "asymmetric: false" in written(text, {"ifmr_quantize.max_percentile": 1.0})[len(text) :]


def test_a_block_of_its_own_is_edited():
    text = (
        "override_layer_configs {  # ours\n"
        '  layer_name: "conv1"\n'
        "  calibration_config {\n"
        "    ifmr_quantize {  # the usual\n"
        "      max_percentile: 0.9999  # of a few\n"
        "    }\n"
        "  }\n"
        "}\n"
        "do_fusion: true\n"
    )
    changed = written(text, {"ifmr_quantize.max_percentile": 1.0, "ifmr_quantize.search_range_end": 2.0})
    assert changed == "# " + COMMENT + "\n" + text.replace("0.9999 ", "1.0 ").replace(
        "# of a few\n", "# of a few\n      search_range_end: 2.0\n"
    )
    again = written(changed, {"ifmr_quantize.max_percentile": 1.0}, comment="tune: output 9.0 dB, 8.0 without")
    assert again == changed.replace("12.0 dB, 8.3", "9.0 dB, 8.0")


def test_one_algorithm_for_another():
    text = 'override_layer_configs { layer_name: "conv1" calibration_config { ifmr_quantize { search_step: 0.02 } } }'
    changed = written(
        text,
        {"hfmg_quantize.num_of_bins": 2048, "hfmg_quantize.asymmetric": True, "hfmg_quantize.dst_type": "INT8"},
        comment="",
    )
    assert changed == text.replace("ifmr_quantize { search_step: 0.02 }", "hfmg_quantize { num_of_bins: 2048 }")


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("indent", ["", "    ", "\t"])
def test_another_algorithm_on_lines_of_its_own(ending, indent):
    text = (
        'override_layer_configs {\n  layer_name: "conv1"\n  calibration_config {\n'
        "~ifmr_quantize {\n~  search_step: 0.02  # finer\n~}  # the usual\n  }\n}\n"
    )
    text = text.replace("~", indent).replace("\n", ending)
    other = {"num_of_bins": 2048, "asymmetric": True, "dst_type": "INT8"}
    changed = written(text, {"hfmg_quantize." + name: value for name, value in other.items()}, comment="")
    assert changed == text.replace("ifmr", "hfmg").replace("search_step: 0.02  # finer", "num_of_bins: 2048")


def test_a_comment_ends_as_the_first_line_does():
    for start, ending in (("", "\n"), ("\n", "\n"), ("\r\n", "\r\n"), ("do_fusion: true\r\n", "\r\n")):
        text = start + 'override_layer_configs { layer_name: "conv1" calibration_config { } }'
        changed = written(text, {"dmq_balancer.migration_strength": 0.8})
        assert changed.startswith(start + "# " + COMMENT + ending)


def test_a_block_with_other_values():
    whole = amctcfg.merge(
        amctcfg.loads("common_config { dmq_balancer { } }", flavour=PYTORCH), amctcfg.Layer("a", "Conv2d")
    )
    block = whole.calibration_config
    assert alter_block(block, {"dmq_balancer": None}) == dataclasses.replace(block, dmq_balancer=None)
    assert alter_block(block, {}) == block and block.dmq_balancer is not None
    other = alter_block(block, {"hfmg_quantize.num_of_bins": 2048})
    assert other.ifmr_quantize is None and other.hfmg_quantize.num_of_bins == 2048
    with pytest.raises(ValueError, match="search_step is 0.0"):
        alter_block(block, {"ifmr_quantize.search_step": 0})


def test_what_a_layer_is_not_to_have_goes():
    text = """override_layer_configs {
  layer_name: "conv1"
  calibration_config {
    dmq_balancer { }  # for a while
    ifmr_quantize { search_step: 0.02 }
  }
}
"""
    changed = written(text, {"dmq_balancer": None}, comment="")
    assert changed == "".join(line for line in text.splitlines(True) if "dmq" not in line)


def test_an_entry_without_a_block_gets_one():
    text = 'override_layer_configs { layer_name: "conv1" }\n'
    layer = amctcfg.Layer("conv1", "Conv2d")
    document = amctcfg.parse(text, flavour=PYTORCH, strict=False)
    block = alter_block(
        amctcfg.merge(amctcfg.loads("", flavour=PYTORCH), layer).calibration_config, {"ifmr_quantize.search_step": 0.02}
    )
    changed = override(document, [Override(layer, block, "", "")])
    assert amctcfg.merge(amctcfg.loads(changed, flavour=PYTORCH), layer).calibration_config == block


def test_an_element_of_a_list_is_edited():
    text = 'override_layer_configs: [{layer_name: "a" calibration_config {}}, {layer_name: "conv1" calibration_config {}}]\n'
    changed = written(text, {"ifmr_quantize.max_percentile": 1.0}, comment="")
    assert changed == text.replace("{}}]", "{ ifmr_quantize { max_percentile: 1.0 } }}]")


def test_what_no_block_can_give_is_refused():
    layer = amctcfg.Layer("pool", "AvgPool2d")
    with pytest.raises(ValueError, match="no block of its own gives 'pool'"):
        written("", {"ifmr_quantize.dst_type": "INT16"}, layer=layer)
