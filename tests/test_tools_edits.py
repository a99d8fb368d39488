# SPDX-License-Identifier: Apache-2.0
"""Edits of texts: `skip` and `unskip`, and the fixes; what they leave alone stays as it is, byte for byte."""

import dataclasses
import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

import amctcfg
from amctcfg import ConfigError, Layer
from amctcfg.cli import console
from amctcfg.tools import edits, fixing

from .strategies import NAMES, configs, expandable

LAYERS = [Layer(name, "Conv2D") for name in NAMES]

# ---------------------------------------------------------------- skip, unskip


@st.composite
def texts_with_skips(draw):
    """A text that writes skip_layers in many ways, with comments and odd blanks between; and the names in it."""
    pieces, names = [], []
    for _ in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(["line", "list", "same line", "other", "comment", "message"]))
        if kind in ("line", "same line"):
            name = draw(st.sampled_from("abcde"))
            names.append(name)
            quote = draw(st.sampled_from("'\""))
            separator = draw(st.sampled_from(["", ",", ";", " ,"]))
            tail = (
                draw(st.sampled_from(["\n", "  # why\n"]))
                if kind == "line"
                else draw(st.sampled_from([" ", "\t", "\n"]))
            )
            pieces.append(
                "skip_layers{}{}{}{}{}{}".format(
                    draw(st.sampled_from([":", " : "])), quote, name, quote, separator, tail
                )
            )
        elif kind == "list":
            inside = draw(st.lists(st.sampled_from("abcde"), max_size=4))
            names += inside
            between = draw(st.sampled_from([",", ", ", ",\n  ", ",  # c\n  ", " # c\n ,"]))
            pieces.append(
                "skip_layers: [{}]{}".format(
                    between.join(map('"{}"'.format, inside)), draw(st.sampled_from([" ", "\n"]))
                )
            )
        elif kind == "other":
            pieces.append(draw(st.sampled_from(["do_fusion: true\n", "activation_offset: false ", "unknown: 1\n"])))
        elif kind == "comment":
            pieces.append(draw(st.sampled_from(["# skip_layers: 'a'\n", "#\n", "\n\n"])))
        else:
            pieces.append("common_config { ifmr_quantize { search_step: 0.02 } }\n")
    text = "".join(pieces)
    if draw(st.booleans()):
        text = text.rstrip("\n")
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return text, names


def skipped(text):
    """The names in skip_layers, in order, whatever else is in the text."""
    tree = amctcfg.textformat.parse(text)
    found = []
    for name, value, _, _ in amctcfg.textformat.split(tree.fields):
        if name == "skip_layers":
            found += [value] if isinstance(value, str) else [v for _, v, _, _ in amctcfg.textformat.split(value)]
    return [literal.strip("'\"") for literal in found]


def rest(text):
    """Everything but skip_layers, as fields and literals; and the comments outside of what was removed."""

    def plain(fields):
        return [(n, v if isinstance(v, str) else plain(v)) for n, v, _, _ in amctcfg.textformat.split(fields)]

    return [field for field in plain(amctcfg.textformat.parse(text).fields) if field[0] != "skip_layers"]


new_names = st.lists(
    st.sampled_from(["new", "other/new", 'q"uote', "back\\slash", "line\nbreak", "ü"]), unique=True, max_size=3
)


@given(texts_with_skips(), new_names)
def test_skipping_then_unskipping_is_the_identity(pair, added):
    text, names = pair
    done = amctcfg.skip(text, added)
    assert rest(done) == rest(text)
    assert skipped(done)[: len(names)] == names and len(skipped(done)) == len(names) + len(added)
    assert amctcfg.skip(done, added) == done
    assert amctcfg.unskip(done, added) == text
    lines = [line for line in done.splitlines(True) if line not in text.splitlines(True)]
    endings = {re.search(r"\r?\n?\Z", line).group() for line in lines} - {""}
    assert endings <= ({"\r\n"} if "\r\n" in text else {"\n"})


@given(texts_with_skips(), st.lists(st.sampled_from("abcdefg"), max_size=3))
def test_unskipping_removes_the_names_and_nothing_else(pair, gone):
    text, names = pair
    done = amctcfg.unskip(text, gone)
    assert skipped(done) == [name for name in names if name not in gone]  # twice there is twice removed
    assert rest(done) == rest(text)
    assert amctcfg.unskip(done, gone) == done
    if not set(gone) & set(names):
        assert done == text


@pytest.mark.parametrize(
    "before, after",
    [
        ("", 'skip_layers: "x"\n'),
        ("do_fusion: true", 'do_fusion: true\nskip_layers: "x"'),
        ("do_fusion: true\r\n", 'do_fusion: true\r\nskip_layers: "x"\r\n'),
        (
            'skip_layers: "a"  # first\ndo_fusion: true\n',
            'skip_layers: "a"  # first\nskip_layers: "x"\ndo_fusion: true\n',
        ),
        ('skip_layers: ["a",\n  "b"]\n# end', 'skip_layers: ["a",\n  "b"]\nskip_layers: "x"\n# end'),
        ("skip_layers: 'x'", "skip_layers: 'x'"),
        ("a: 1\r\nb: 2", 'a: 1\r\nb: 2\r\nskip_layers: "x"'),
        ("\r\n", '\r\nskip_layers: "x"\r\n'),
        ('skip_layers: "a" b {\n}\nc: 1\n', 'skip_layers: "a" b {\n}\nskip_layers: "x"\nc: 1\n'),
        ('skip_layers: "a", b {\n}\n;\nc: 1', 'skip_layers: "a", b {\n}\n;\nskip_layers: "x"\nc: 1'),
        ('b {\n} skip_layers: "a"  # y\nc: 1\n', 'b {\n} skip_layers: "a"  # y\nskip_layers: "x"\nc: 1\n'),
        ('skip_layers: "a"\n;\nb: 1\n', 'skip_layers: "a"\n;\nskip_layers: "x"\nb: 1\n'),
        ('skip_layers: ["a"\n] b: 1\nc: 1\n', 'skip_layers: ["a"\n] b: 1\nskip_layers: "x"\nc: 1\n'),
        (
            'skip_layers: "a" skip_layers: "b" c {\n}; d {\n}\ne: 1',
            'skip_layers: "a" skip_layers: "b" c {\n}; d {\n}\nskip_layers: "x"\ne: 1',
        ),
    ],
)
def test_where_new_lines_go(before, after):
    assert amctcfg.skip(before, ["x"]) == after


@pytest.mark.parametrize(
    "text",
    [
        'skip_layers: "a"\n, do_fusion: true',
        'skip_layers: "a"  # why\n  # more\n; do_fusion: true\n, skip_layer_types: "x"\n',
        "do_fusion: true\n;\n",
        'skip_layers: ["a"\n]\n\n,\n',
    ],
)
def test_separators_at_the_beginning_of_a_line_stay_with_their_field(text):
    with_b = amctcfg.skip(text, ["b"])
    assert amctcfg.parse(with_b).config.skip_layers[-1] == "b"
    assert amctcfg.unskip(with_b, ["b"]) == text


@pytest.mark.parametrize(
    "before, after",
    [
        ("  skip_layers: 'a'  # why\ndo_fusion: true\n", "do_fusion: true\n"),
        ("do_fusion: true\n\t skip_layers: 'a';\n", "do_fusion: true\n"),
        ("do_fusion: true\n  skip_layers: 'a'", "do_fusion: true"),
        ("do_fusion: true  skip_layers: 'a'\n", "do_fusion: true  \n"),
        ("  skip_layers: 'a' do_fusion: true\n", "  do_fusion: true\n"),
    ],
)
def test_a_line_that_is_left_empty_goes_with_its_indentation(before, after):
    assert amctcfg.unskip(before, ["a"]) == after


@pytest.mark.parametrize(
    "before, gone, after",
    [
        ('["a", "b", "c"]', "a", '["b", "c"]'),
        ('["a", "b", "c"]', "b", '["a", "c"]'),
        ('["a", "b", "c"]', "bc", '["a"]'),
        ('["a", "b", "c"]', "ac", '["b"]'),
        ('[ "a" , "b" ]', "a", '[ "b" ]'),
        ('[ "a" , "b" ]', "b", '[ "a" ]'),
        ('["a",  # first\n  "b"]', "a", '[  # first\n  "b"]'),
        ('["a"  # first\n  , "b"]', "a", '[ "b"]'),
        ('["a"  # first\n, "b"]', "b", '["a"  # first\n ]'),
        ('["a", "b"  # last\n]', "b", '["a"  # last\n]'),
        ('["a",\n  "b",  # second\n  "c"]', "b", '["a",\n  "c"]'),
        ('[\n  "a",\n  "b"\n]', "a", '[\n  "b"\n]'),
        ('[\n  "a",\n  "b"\n]', "b", '[\n  "a"\n]'),
        ('[\n  "a", "b",\n  "c"\n]', "ab", '[\n  "c"\n]'),
    ],
)
def test_an_element_goes_with_one_comma_and_what_is_said_of_others_stays(before, gone, after):
    assert amctcfg.unskip("skip_layers: " + before, list(gone)) == "skip_layers: " + after


@pytest.mark.parametrize(
    "before, gone, after",
    [
        ('skip_layers: "a" skip_layers: "b"  # both\n', "a", 'skip_layers: "b"  # both\n'),
        ('skip_layers: "a" skip_layers: "b"  # both\n', "ab", ""),
        ('skip_layers: "a", skip_layers: "b";\n', "ab", ""),
        ('skip_layers: "a"  # x\nskip_layers: [\n"b"]  # both\ndo_fusion: true', "ab", "do_fusion: true"),
        ('do_fusion: true\n skip_layers: "a" skip_layers: "b"', "ab", "do_fusion: true"),
        ('skip_layers: "a" do_fusion: true skip_layers: "b"\n', "ab", "do_fusion: true \n"),
    ],
)
def test_a_line_of_which_all_entries_go_goes_as_a_whole(before, gone, after):
    assert amctcfg.unskip(before, list(gone)) == after


def test_comments_and_wrong_arguments():
    assert amctcfg.skip("", ["a"], {"a": "cosine\n0.91", "b": "no"}) == 'skip_layers: "a"  # cosine 0.91\n'
    with pytest.raises(TypeError, match="several names"):
        amctcfg.skip("", "a")
    with pytest.raises(ConfigError):
        amctcfg.skip("do_fusion: [", ["a"])
    with pytest.raises(TypeError):
        amctcfg.skip("", [1])
    assert amctcfg.skip("nonsense: 1 do_fusion: maybe\n", ["a"]).endswith('skip_layers: "a"\n')


# ---------------------------------------------------------------- fix


def both_plans(text, layers):
    found = []
    for rules in ("documented", "toolkit"):
        document = amctcfg.parse(text, strict=False)
        found.append(amctcfg.expand(document, layers, rules=rules).to_json())
    return found


def test_of_two_overrides_that_are_the_default_one_has_to_stay():
    """Either may go, as the other one hides the common block; the law below draws such a case now and then."""
    model = [Layer("conv1", "AvgPool")]
    text = """common_config { ifmr_quantize { min_percentile: 0.9999 } }
override_layer_types { layer_type: "AvgPool" calibration_config { } }
override_layer_configs { layer_name: "conv1" calibration_config { } }
"""
    done = amctcfg.fix(text, model)
    assert both_plans(done, model) == both_plans(text, model) and done.count("override_layer") == 1


@given(expandable(), st.data())
def test_safe_fixes_change_no_plan_and_make_no_error(pair, data):
    config, model = pair
    text = amctcfg.dumps(config)
    name, kind = data.draw(st.sampled_from([(layer.name, layer.type) for layer in model if layer.supported]))
    if config.skip_fusion_layers and data.draw(st.booleans()):
        text += 'skip_fusion_layers: "{}"\n'.format(config.skip_fusion_layers[0])  # a duplicate
    if name not in {o.layer_name for o in config.override_layer_configs} and data.draw(st.booleans()):
        text += 'override_layer_configs {{ layer_name: "{}" calibration_config {{}} }}\n'.format(name)
    if kind not in {o.layer_type for o in config.override_layer_types} and data.draw(st.booleans()):  # the same block
        text += 'override_layer_types {{ layer_type: "{}" calibration_config {{}} }}\n'.format(kind)
    try:
        before = both_plans(text, model)
    except ConfigError:
        before = None
    done = amctcfg.fix(text, model)
    assert amctcfg.fix(done, model) == done
    if before is not None:
        assert both_plans(done, model) == before
    errors = [sum(d.severity == "error" for d in amctcfg.check(t, layers=model, strict=False)) for t in (text, done)]
    assert errors[1] <= errors[0]
    unsafe = amctcfg.fix(text, model, unsafe=True)
    assert sum(d.severity == "error" for d in amctcfg.check(unsafe, layers=model, strict=False)) <= errors[0]


def test_a_name_is_not_corrected_where_that_makes_more_errors():
    """One error, the type, hides two: the algorithms of activations that layers of this type can't have."""
    wrong = """override_layer_types {
  layer_type: "Conv3"
  calibration_config { ifmr_quantize { asymmetric: true dst_type: INT16 } }
}
"""
    right, pytorch = wrong.replace("Conv3", "Conv3d"), amctcfg.FLAVOURS["pytorch"]
    codes = [[d.code for d in amctcfg.check(text, flavour=pytorch)] for text in (wrong, right)]
    assert codes == [["unknown-type"], ["algorithm-unsupported", "algorithm-unsupported"]]
    assert amctcfg.fix(wrong, flavour=pytorch, unsafe=True) == wrong


@given(configs())
def test_a_text_without_a_mistake_stays_as_it_is(config):
    text = amctcfg.dumps(config)
    fixable = {"out-of-range", "redundant-override", "unused-override", "duplicate-entry", "float32-rounding"}
    assume(not {d.code for d in amctcfg.check(text)} & fixable)
    assert amctcfg.fix(text) == text == amctcfg.fix(text, unsafe=True)


@pytest.mark.parametrize(
    "before, after",
    [
        ("do_fusion：true", "do_fusion:true"),
        ("do_fusion: true // yes\n", "do_fusion: true # yes\n"),
        ("skip_layers: ['a', 'b',]", "skip_layers: ['a', 'b']"),
        ("skip_layers: “conv1”", 'skip_layers: "conv1"'),
        ("skip_layers: “”", 'skip_layers: ""'),
        ("skip_layers： ‘a’", "skip_layers: 'a'"),
        ("\ufeffdo_fusion: true", "do_fusion: true"),
        ('skip_layers: ["a", "b", "a"]  # c\n', 'skip_layers: ["a", "b"]  # c\n'),
        ('skip_layers: "a"\n# x\nskip_layers: "a"  # again\n', 'skip_layers: "a"\n# x\n'),
        (
            "common_config { ifmr_quantize { search_step: 0.0100000001 } }",
            "common_config { ifmr_quantize { search_step: 0.01 } }",
        ),
        ("do_fusion: yes", "do_fusion: yes"),  # likely, and not safe
    ],
)
def test_safe_fixes(before, after):
    assert amctcfg.fix(before) == after
    assert amctcfg.fix(after) == after


@pytest.mark.parametrize(
    "before, after",
    [
        ("do_fusion: yes", "do_fusion: true"),
        ('do_fusion: "false"', "do_fusion: false"),
        ("do_fuson: true", "do_fusion: true"),
        ('skip_layers: "conv11"', 'skip_layers: "conv1"'),
        ('skip_layer_types: "conv2d"', 'skip_layer_types: "Conv2D"'),
    ],
)
def test_unsafe_fixes(before, after):
    layers = [Layer("conv1", "Conv2D"), Layer("fc", "MatMul")]
    assert amctcfg.fix(before, layers) == before
    assert amctcfg.fix(before, layers, unsafe=True) == after


REDUNDANT = """# head
common_config { ifmr_quantize { search_step: 0.02 } }
override_layer_types { layer_type: "AvgPool" calibration_config { } }  # nobody

# about conv1
override_layer_configs {
  layer_name: "conv1"
  calibration_config { ifmr_quantize { search_step: 0.02 } }
}
skip_layers: "fc"
"""


@pytest.mark.parametrize("word, meant", [
    ("yes", "true"), ("on", "true"), ("y", "true"), ("TRUE", "true"), ('"1"', "true"), ('"true"', "true"), ("'on'", "true"),
    ("no", "false"), ("off", "false"), ("n", "false"), ("FALSE", "false"), ('"0"', "false"), ('"False"', "false"), ("maybe", None), ("2", None),
])  # fmt: skip
def test_words_for_true_and_false(word, meant):
    text = "do_fusion: {}\n"
    assert amctcfg.fix(text.format(word), unsafe=True) == text.format(meant or word)


def test_overrides_without_effect_go_and_comments_around_stay():
    layers = [Layer("conv1", "Conv2D"), Layer("fc", "MatMul"), Layer("conv2", "Conv2D")]
    done = amctcfg.fix(REDUNDANT, layers)
    assert done == '# head\ncommon_config { ifmr_quantize { search_step: 0.02 } }\n\n# about conv1\nskip_layers: "fc"\n'
    assert amctcfg.fix(REDUNDANT) == REDUNDANT  # on another model they may have an effect
    indented = REDUNDANT.replace("override_layer", " \t override_layer")
    assert amctcfg.fix(indented, layers) == done


# ---------------------------------------------------------------- laws of all fixes

ELEMENTS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from([", ", ",", ",\n  ", ", # first\n  ", "\n,\n"])),
    max_size=6,
)


@st.composite
def texts_with_duplicates(draw):
    """Entries and lists of skip_layers with duplicates, comments and separators; other fields, right and wrong, between."""
    parts = []
    for _ in range(draw(st.integers(1, 5))):
        elements = draw(ELEMENTS)
        inside = "".join('"{}"{}'.format(name, comma) for name, comma in elements[:-1])
        last = '"{}"'.format(elements[-1][0]) if elements else ""
        parts.append(
            draw(
                st.sampled_from(
                    [
                        "skip_layers: [{}{}]".format(inside, last),
                        'skip_layers: "a"',
                        'skip_layers: "b"  # b',
                        "do_fusion: yes",
                        "common_config { ifmr_quantize { search_step: 0.0100000001 } }",
                        'override_layer_configs { layer_name: "a" }',
                        "skip_layerz: 'c'",
                    ]
                )
            )
        )
        parts.append(draw(st.sampled_from(["\n", " ", "\n\n", "; ", ",\n", "  # x\n", "\r\n"])))
    return "".join(parts)


@given(texts_with_duplicates(), st.booleans())
def test_a_second_run_changes_nothing_and_no_text_grows_beyond_what_its_fixes_write(text, unsafe):
    after, made, _ = fixing.fix_text(text, None, unsafe, amctcfg.TF_ASCEND)
    assert amctcfg.fix(after, unsafe=unsafe) == after
    assert len(after) <= len(text) + sum(len(edit.text) for one in made for edit in one.edits)
    assert (after == text) == (not made)
    for one in fixing.find_fixes(fixing.FixableText(text, None, amctcfg.TF_ASCEND)):
        alone = amctcfg.check(fixing.apply_fixes(text, [one]))
        assert len(alone) < len(amctcfg.check(text)) or not one.is_safe


@pytest.mark.parametrize(
    "before, after",
    [
        ('skip_layers: "a"\nskip_layers: ["a", "b"]\n', 'skip_layers: "a"\nskip_layers: ["b"]\n'),
        (
            'skip_layers: ["a", "b"]\n\nskip_layers: [\n  "a",  # first\n  "b"  # last\n]\n',
            'skip_layers: ["a", "b"]\n\n',
        ),
        ('skip_layers: ["a", "a", "a", "b", "b"]', 'skip_layers: ["a", "b"]'),
        ('skip_layers: "a" skip_layers: [ "a", "a", "b" ]', 'skip_layers: "a" skip_layers: [ "b" ]'),
    ],
)
def test_duplicates_wherever_they_stand_in_their_list(before, after):
    assert amctcfg.fix(before) == after


@pytest.mark.parametrize("wrong", [[(3, 1)], [(0, 3), (2, 4)], [(0, 9)], [(-1, 0)]])
def test_edits_that_cross_are_refused(wrong):
    with pytest.raises(ValueError, match=r"^Edit\(.*\) begins before \d, or ends outside the text"):
        edits.apply_edits("12345", [edits.Edit(start, end) for start, end in wrong])


@example([[0, 1], [2, 8], [3, 4]])
@example([[0, 1], [2, 4], [3, 6]])
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)).map(sorted), max_size=5))
def test_removals_that_overlap_remove_what_each_of_them_does(stretches):
    text = "0123456789"
    gone = {at for start, end in stretches for at in range(start, end)}
    joined = edits.join_edits(edits.Edit(start, end) for start, end in stretches)
    assert edits.apply_edits(text, joined) == "".join(c for at, c in enumerate(text) if at not in gone)


def test_of_edits_that_overlap_the_first_is_kept():
    pair = [edits.Edit(2, 4, "x"), edits.Edit(3, 5, "y")]
    assert edits.join_edits(pair) == edits.join_edits(pair[::-1]) == pair[:1]


@pytest.mark.parametrize(
    "before, after",
    [
        (
            "override_layer_configs { layer_name: 'a' }",
            "override_layer_configs { layer_name: 'a' calibration_config { } }",
        ),
        (
            "override_layer_configs { layer_name: 'a'}",
            "override_layer_configs { layer_name: 'a' calibration_config { } }",
        ),
        (
            "override_layer_configs {\n  layer_name: 'a'\n}\n",
            "override_layer_configs {\n  layer_name: 'a'\n  calibration_config {\n  }\n}\n",
        ),
        (
            "override_layer_types {\r\n  layer_type: 'Conv2D'\r\n}\r\n",
            "override_layer_types {\r\n  layer_type: 'Conv2D'\r\n  calibration_config {\r\n  }\r\n}\r\n",
        ),
        ("override_layer_configs { calibration_config { } }", "override_layer_configs { calibration_config { } }"),
        ("override_layer_configs: 'a'", "override_layer_configs: 'a'"),
    ],
)
def test_a_block_that_is_missing_is_added_where_it_is_asked_for(before, after):
    assert amctcfg.fix(before) == before and amctcfg.fix(before, unsafe=True) == after


@pytest.mark.parametrize(
    "text, expected",
    [
        (b"\xff", (0, 0)),
        ("\ufeffdo_fusion: yes", (1, 0)),  # the one error that is reported; what it hides comes after it
        ("do_fusion：yes", (1, 0)),
        ("do_fusion: yes", (0, 1)),
        ("skip_layers: ['a', 'a',]", (1, 0)),
        ("skip_layers: ['a', 'a']", (1, 0)),
        ("skip_layers: [", (0, 0)),
        ("{", (0, 0)),
    ],
)
def test_what_can_be_fixed_is_counted(text, expected, cli, tmp_path):
    (tmp_path / "q.cfg").write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    counted = re.search(r"\((\d+) fixable with --fix( --unsafe-fixes)?\)", cli("check", str(tmp_path / "q.cfg")).out)
    found = (0, 0) if counted is None else (0, int(counted[1])) if counted[2] else (int(counted[1]), 0)
    assert found == expected


FIXABLE = """common_config { ifmr_quantize { search_step: 0.0100000001 asymmetric: yes } }
do_fuson: true
skip_layers: ["conv11", "fc", "fc"]
skip_fusion_layers: 'conv1' skip_fusion_layers: 'conv1'
override_layer_types { layer_type: "AvgPool" calibration_config { } }
override_layer_configs { layer_name: 'conv2' }
# amctcfg: where=type=Conv2D
skip_layers: "conv2"
"""


def test_what_a_fix_is_called_and_what_it_did():
    layers = [Layer("conv1", "Conv2D"), Layer("fc", "MatMul"), Layer("conv2", "Conv2D")]
    state = fixing.FixableText(FIXABLE, layers, amctcfg.TF_ASCEND)
    found = fixing.find_fixes(state)
    assert [(one.diagnostic.code, one.title, one.done, one.is_safe) for one in found] == [
        ("float32-rounding", "Write 0.01", "0.01 for 0.0100000001", True),
        ("wrong-type", "Write true", "true for yes", False),
        ("unknown-field", "Write do_fusion", "do_fusion for do_fuson", False),
        ("unknown-layer", 'Write "conv1"', '"conv1" for "conv11"', False),
        ("duplicate-entry", "Delete it here", '"fc" deleted', True),
        ("duplicate-entry", "Delete it here", "'conv1' deleted", True),
        ("unused-override", "Delete the override", "override deleted", True),
        ("missing-field", "Add an empty block", "empty calibration_config added", False),
        ("stale-selection", "Select the layers again", "2 layers selected by where=type=Conv2D", True),
    ]
    assert all(fixing.is_fixable(one.diagnostic) for one in found)
    assert not fixing.is_fixable(amctcfg.Diagnostic("error", "not-fusible", "words"))


class Judge:
    """It takes the texts in which both entries of each of some names stand, and counts what it reads."""

    def __init__(self, names):
        self.names, self.lengths = names, []

    def accepts(self, trial, plans):
        self.lengths.append(len(trial.text))
        return all(trial.text.count('"{}"'.format(name)) == 2 for name in self.names)


def judged(names, bad, more=""):
    """The names whose second entry goes, how many were not tried, and the judge of it."""
    entries = ['"{}"'.format(name) for name in names]
    text = "skip_layers: [{}]\n{}".format(", ".join(entries * 2), more)
    state = fixing.FixableText(text, None, amctcfg.TF_ASCEND)
    judge = Judge(bad)
    state.accepts = judge.accepts
    found = [one for one in fixing.find_fixes(state) if one.diagnostic.code == "duplicate-entry"]
    assert len(found) == len(entries)
    _, made, untried = fixing.select_fixes(state, found)
    left = fixing.apply_fixes(text, made)
    return [name for name in names if left.count('"{}"'.format(name)) == 1], untried, judge, text


@given(st.sets(st.sampled_from("abcdefghijk")))
def test_fixes_are_made_whatever_fails_beside_them(bad):
    names = "abcdefghijk"
    fixed, untried, judge, _ = judged(names, bad)
    assert (fixed, untried) == ([name for name in names if name not in bad], 0)
    assert len(judge.lengths) == 1 or bad


@pytest.mark.parametrize(
    "comment, least, most", [(0, 100, 100), (9_000, 20, 35), (60_000, 8, 8)], ids=["short", "long", "very long"]
)
def test_where_fixes_fail_so_much_is_tried_and_what_is_not_is_counted(comment, least, most):
    """A hundred readings, or 300000 characters, but eight readings at least."""
    names = ["n{}".format(number) for number in range(60)]  # more than a hundred readings tell apart
    fixed, untried, judge, text = judged(names, names, "# " + "x" * comment)
    readings = len(judge.lengths)
    assert fixed == [] and 0 < untried < len(names)
    assert least <= readings <= most
    assert readings in (8, 100) or readings * len(text) <= 300_000 < (readings + 1) * (len(text) + 1)
    assert judged(names, [], "# " + "x" * comment)[:2] == (names, 0)


WRONG = """common_config { ifmr_quantize { search_step: 0.0100000001 asymmetric: yes search_range_start: "0.5" } }
do_fuson: true
skip_layers: "conv11"
skip_layers: fc
skip_layer_types: "conv2d"
"""
SLIPPED = """common_config： { ifmr_quantize { asymmetric: yes } } // “so”
skip_layers: [“conv3”, ]
# amctcfg: where=first=1
skip_layers: "fc"
override_layer_configs { layer_name: 'conv2' }
"""


@pytest.mark.parametrize("text", [WRONG, SLIPPED], ids=["wrong", "slipped"])
def test_fixes_do_not_read_the_words_of_a_diagnostic(text, monkeypatch):
    layers = [Layer("conv1", "Conv2D"), Layer("conv2", "Conv2D"), Layer("conv3", "Conv2D"), Layer("fc", "MatMul")]
    wanted = amctcfg.fix(text, layers, unsafe=True)
    assert {line for line in wanted.splitlines() if line in text.splitlines()} <= {"# amctcfg: where=first=1"}
    make, words = amctcfg.Diagnostic.__new__, []

    def reword(cls, severity, code, message, span=None, path=None, hint=None, *more, **others):
        words.append(message)
        return make(cls, severity, code, "other words", span, path, hint and "other words", *more, **others)

    monkeypatch.setattr(amctcfg.Diagnostic, "__new__", reword)
    assert amctcfg.fix(text, layers, unsafe=True) == wanted
    assert len(set(words)) > 2


def test_the_replacement_of_a_diagnostic_is_what_to_write():
    found = {d.code: d.replacement for d in amctcfg.check(WRONG, layers=[Layer("conv1", "Conv2D")])}
    assert found["float32-rounding"] == "0.01"
    assert found["unknown-field"] == "do_fusion"
    assert found["unknown-layer"] == '"conv1"'
    assert found["unknown-type"] == '"Conv2D"'
    assert amctcfg.Diagnostic("error", "syntax", "words").replacement is None


@pytest.mark.parametrize(
    "before, after",
    [
        (
            "a：1 // “x”\nskip_layers: “y：z”，do_fusion：true ＃ ：",
            'a:1 # “x”\nskip_layers: "y：z",do_fusion:true # ：',
        ),
        ('do_fusion：true\nskip_layers: "open\ndo_fusion：true', 'do_fusion:true\nskip_layers: "open\ndo_fusion：true'),
        ("a：1\n}\nb：2", "a:1\n}\nb：2"),
        ("// x\n" * 5 + "a：1 }\nb：2", "# x\n" * 5 + "a:1 }\nb：2"),  # which is shorter, up to the error
        ("skip_layers: ['a', ]  x: 1, ]", "skip_layers: ['a' ]  x: 1, ]"),
        ("skip_layers: “a'”", 'skip_layers: "a\'"'),
        ('skip_layers: “a"”', 'skip_layers: “a"”'),
        ("x ｛ y：［1，2，］｝", "x { y:[1,2]}"),
    ],
)
def test_slips_are_mended_up_to_the_first_error_that_is_left(before, after):
    assert fixing.fix_syntax(before)[0] == after
    assert fixing.fix_syntax(after)[0] == after


def test_a_slip_has_its_place_and_what_is_done():
    text = "a：1 // “x”\nb: “y”，c： ‘2’\u00a0e: [1，]\u200b"
    fixed, slips = fixing.fix_syntax(text)
    assert fixed == "a:1 # “x”\nb: \"y\",c: '2' e: [1]"
    lines, found = text.split("\n"), []
    for _, code, message, span, *_ in (slip.diagnostic for slip in slips):
        there = lines[span.line - 1][span.column - 1 : span.end_column - 1]
        assert code == "syntax" and message == "'{}' is not text format here".format(there)
        assert span.line == span.end_line
        found.append(there)
    assert found == ["：", "//", "“", "，", "：", "‘", "\u00a0", "，", "\u200b"]
    assert [slip.done for slip in slips] == [
        ": for ：", "# for //", '" for “', ", for ，", ": for ：", "' for ‘", "a blank for \\xa0", "， deleted", "\\u200b deleted"
    ]  # fmt: skip
    assert all(slip.is_safe for slip in slips)


def test_fix_on_the_command_line(cli, tmp_path):
    path, graph = tmp_path / "a.cfg", tmp_path / "l.csv"
    path.write_text("do_fusion：yes\nskip_layers: ['a','a']\n", encoding="utf-8")
    graph.write_text("name,type\na,Conv2D\nb,Conv2D\n", encoding="utf-8")
    result = cli("check", path, "--graph", graph, "--fix", "--diff")
    assert "+do_fusion:yes" in result.out and result.status == 1
    assert path.read_text(encoding="utf-8").startswith("do_fusion：")
    result = cli("check", path, "--graph", graph, "--fix")
    assert result.status == 1
    assert path.read_text(encoding="utf-8") == "do_fusion:yes\nskip_layers: ['a']\n"
    assert result.out.endswith("Fixed 2 problems; found 1 error (1 fixable with --fix --unsafe-fixes).\n")
    result = cli("check", path, "--graph", graph, "--fix", "--unsafe-fixes")
    assert path.read_text(encoding="utf-8") == "do_fusion:true\nskip_layers: ['a']\n"
    assert (result.status, result.out) == (0, "{}:1: true for yes\nFixed 1 problem; no problems left.\n".format(path))


def test_dataclasses_replace_on_messages_still_checks():
    with pytest.raises(ValueError):
        dataclasses.replace(amctcfg.AMCTConfig(), skip_layers=["a", "a"])


def test_a_file_that_cannot_be_written_does_not_end_the_run(cli, tmp_path, monkeypatch):
    for name in ("a.cfg", "b.cfg"):
        (tmp_path / name).write_text("do_fusion：true\n", encoding="utf-8")
    whole = console.write

    def write(text, path, before=None):
        if str(path).endswith("a.cfg"):
            raise PermissionError(13, "Permission denied", path)
        whole(text, path, before)

    monkeypatch.setattr(console, "write", write)
    result = cli("check", "--fix", tmp_path / "a.cfg", tmp_path / "b.cfg")
    assert result.status == 2 and "a.cfg: Permission denied" in result.err
    assert (tmp_path / "b.cfg").read_text() == "do_fusion:true\n"
    assert "error[syntax]" in result.out  # of a.cfg, as it is
