# SPDX-License-Identifier: Apache-2.0
"""Selections: expressions over a model, the blocks that carry them, the logs that name layers, and products."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import amctcfg
from amctcfg import ONNX, PYTORCH, TF_ASCEND, Layer
from amctcfg.diagnostics.words import CONTROL
from amctcfg.documents.selections import find_blocks, parse_expression, select, write_expression
from amctcfg.flavours.layer import Layers, Traits
from amctcfg.textformat.parser import parse
from amctcfg.tools.edits import skip_where
from amctcfg.tools.fixing import fix_text
from amctcfg.tools.logs import read_log

from . import facts
from .strategies import any_text

LAYERS = Layers(
    [
        Layer("stem/conv", "Conv2D"), Layer("stem/relu", "Relu"), Layer("a/dw", "DepthwiseConv2dNative"),
        Layer("a/mm", "MatMul"), Layer("a/xx", "BatchMatMulV2", True, ("asymmetric",)), Layer("ab/conv", "Conv2D"),
        Layer("ab/bad", "Conv2D", False), Layer("ab/rt", "BatchMatMulV2", True, ("asymmetric",)), Layer("fc", "MatMul"),
    ],
    {
        "stem/conv": Traits(channels=(3, 32)), "a/dw": Traits(group=32, channels=(32, 32)),
        "a/mm": Traits(channels=(32, 48)), "a/xx": Traits(two_variable=True), "ab/conv": Traits(channels=(32, 64)),
        "ab/rt": Traits(runtime_weight="ConcatV2"), "fc": Traits(channels=(64, 10)),
    },
)  # fmt: skip


def selected(text, layers=LAYERS, flavour=TF_ASCEND):
    return select(parse_expression(text), layers, flavour)


@pytest.mark.parametrize(
    "expression, names",
    [
        ("type=Conv2D", ["stem/conv", "ab/conv"]),
        ("type=Relu", []),
        ("scope=a", ["a/dw", "a/mm", "a/xx"]),
        ("scope=ab/conv", ["ab/conv"]),
        ("scope=/a/", ["a/dw", "a/mm", "a/xx"]),
        ("first=2", ["stem/conv", "a/dw"]),
        ("last=2", ["ab/rt", "fc"]),
        ("first=0", []),
        ("last=0", []),
        ("first=99999999999999999999", ["stem/conv", "a/dw", "a/mm", "a/xx", "ab/conv", "ab/rt", "fc"]),
        ("last=1,type=Conv2D", ["ab/conv"]),
        ("first=3,scope=a,last=1", ["a/xx"]),
        ("first=2,last=6", ["a/dw"]),
        ("two-variable", ["a/xx"]),
        ("runtime-weight", ["ab/rt"]),
        ("channels%16", ["stem/conv", "fc"]),
        ("channels%32", ["stem/conv", "a/mm", "fc"]),
        ("depthwise", ["a/dw"]),
        (' type="MatMul" , scope="a" ', ["a/mm"]),
    ],
)
def test_terms(expression, names):
    assert selected(expression) == names


def test_scopes_of_modules():
    layers = [Layer("layer1.0.conv", "Conv2d"), Layer("layer1.0x.conv", "Conv2d"), Layer("layer1", "Conv2d")]
    assert selected("scope=layer1.0", layers, PYTORCH) == ["layer1.0.conv"]
    assert selected("scope=layer1", layers, PYTORCH) == [layer.name for layer in layers]
    layers = [Layer("/a b/c,d/MatMul", "MatMul", True, ("asymmetric",)), Layer("/a b/c", "Conv")]
    assert selected('scope="a b/c,d",two-variable', layers, ONNX) == ["/a b/c,d/MatMul"]


@pytest.mark.parametrize(
    "expression",
    [
        "", ",", "type", "type=", "type=A,", "types=A", "first=x", "first=-1", "first", "channels%", "channels%0",
        "channels", "depthwise=1", "two-variable2", 'type="A', "first=\u0662", "type2=A",
        'type="A\nskip_layers: 1"', "scope=\x1b", "type=\u202eA",
    ],
)  # fmt: skip
def test_what_is_not_a_selection(expression):
    with pytest.raises(ValueError, match="terms are type=T|takes a number|term is missing|holds a control character"):
        parse_expression(expression)


def test_a_table_does_not_tell_channels():
    table = [Layer("a", "MatMul", True, ("asymmetric",)), Layer("b", "MatMul")]
    assert selected("two-variable", table) == ["a"]
    with pytest.raises(ValueError, match="a table of layers does not tell 'channels%'"):
        selected("channels%16", table)


words = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\n\r"), min_size=1, max_size=5)
values = words.filter(lambda word: word == word.strip() and not re.search(r"(?!\t)" + CONTROL, word))
terms = st.one_of(
    st.sampled_from([("two-variable", ""), ("runtime-weight", ""), ("depthwise", ""), ("channels%", "16")]),
    st.tuples(st.sampled_from(["first", "last"]), st.integers(0, 9).map(str)),
    st.tuples(st.sampled_from(["type", "scope"]), values),
)


@given(st.lists(terms, min_size=1, max_size=4))
def test_an_expression_is_read_as_it_is_written(drawn):
    assert parse_expression(write_expression(drawn)) == drawn


@given(any_text)
def test_any_text_is_an_expression_or_an_error(text):
    try:
        assert parse_expression(write_expression(parse_expression(text))) == parse_expression(text)
    except ValueError as error:
        assert "term" in str(error) or "number" in str(error)


# ---------------------------------------------------------------- blocks


def stale(text, layers=LAYERS):
    return [d for d in amctcfg.check(text, layers=layers) if d.code == "stale-selection"]


BLOCK = """\
do_fusion: false

# amctcfg: where=type=Conv2D
skip_layers: "stem/conv"  # the reason
skip_layers: "fc"  # the reason
# another comment
skip_layers: "a/dw"
"""


def test_a_stale_block_is_reported_and_rewritten():
    (found,) = stale(BLOCK)
    assert found.message == (
        "the lines below are not what where=type=Conv2D selects: 'ab/conv' is missing, 'fc' is not selected"
    )
    assert (found.span.line, found.span.column) == (3, 1) and found.severity == "warning"
    fixed = amctcfg.fix(BLOCK, LAYERS)
    assert fixed == BLOCK.replace('"fc"', '"ab/conv"')
    assert not stale(fixed) and amctcfg.fix(fixed, LAYERS) == fixed
    assert amctcfg.fix(BLOCK) == BLOCK  # without a model nobody can tell
    (renewed,) = fix_text(BLOCK, LAYERS, False, TF_ASCEND).made
    assert renewed.is_safe  # it is made without being asked, so an editor must not call it unsafe


@pytest.mark.parametrize(
    "names, said",
    [
        ("'stem/conv', 'ab/conv'", None),
        ("'stem/conv'", "'ab/conv' is missing"),
        ("'stem/conv', 'fc', 'a/mm', 'ab/conv'", "'fc' and 'a/mm' are not selected"),
        ("'fc'", "'stem/conv' and 'ab/conv' are missing, 'fc' is not selected"),
        ("'stem/conv', x, 'fc'", "'ab/conv' is missing, 'fc' is not selected"),
        ("'stem/conv', 'ab/conv', x", "an entry isn't a name"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_is_stale_is_said_at_the_comment(names, said, end):
    comment = "# amctcfg: where=type=Conv2D"
    found = stale(end.join([comment, "skip_layers: [%s]" % names, ""]))
    assert [(d.message.partition(" selects: ")[2], d.span[:4]) for d in found] == (
        [(said, (1, 1, 1, len(comment) + 1))] if said else []
    )


def test_a_term_that_is_none_has_no_cure_but_the_list_of_terms():
    (found,) = amctcfg.check("# amctcfg: where=kind=Conv2D\nskip_layers: 'fc'\n", layers=LAYERS)
    assert (found.code, found.hint) == ("unknown-setting", None) and "the terms are type=T, " in found.message


@pytest.mark.parametrize("above", ["", 'skip_layers: "ab/conv"\n'])
@pytest.mark.parametrize("between", ["skip_layer_types: 'MatMul'\n", "skip_layer_types: 'MatMul'  # x\n\t" * 2])
@pytest.mark.parametrize("first", ["", "skip_layer_types: 'MatMul'\n", "activation_offset: yes\n"])
def test_what_a_fix_deletes_does_not_join_a_block_with_entries_below(above, between, first):
    """They are the user's: a second run would take them for the selection's, and delete them."""
    block = "# amctcfg: where=scope=ab\n{}{}skip_layers: 'fc'\n".format(above, between)
    once = amctcfg.fix("skip_layer_types: 'MatMul'\n" + first + block, LAYERS, unsafe=True)
    assert once.count("MatMul") == 1 and "skip_layers: 'fc'" in once and not stale(once)
    assert amctcfg.fix(once, LAYERS) == once
    assert "\n\n\n" not in once


def test_unskip_does_not_join_a_block_with_entries_below():
    text = "# amctcfg: where=scope=ab\nskip_layers: 'ab/conv'\nskip_layers: [\n  'x'\n]\nskip_layers: 'fc'\n"
    assert amctcfg.unskip(text, ["x"]) == text.replace("skip_layers: [\n  'x'\n]", "")
    assert amctcfg.unskip(BLOCK, ["stem/conv"]) == BLOCK.replace('skip_layers: "stem/conv"  # the reason\n', "")


@pytest.mark.parametrize(
    "text, lines",
    [
        (BLOCK, 2),
        ('# amctcfg: where=first=1\nskip_layers: ["a", "b"]\n\nskip_layers: "c"', 1),
        ('# amctcfg: where=first=1\n\nskip_layers: "c"', 0),
        ('# amctcfg: where=first=1\nskip_layers: [\n"a"]', 0),
        ('# amctcfg: where=first=1\nskip_layers: "a", skip_layers: "b"\n', 0),
        ('# amctcfg: where=first=1\nskip_layers: "a";\nskip_layers: "b"', 2),
        ('common_config {\n# amctcfg: where=first=1\n}\nskip_layers: "a"\n', None),
        ('skip_layers: "# amctcfg: where=first=1"', None),
    ],
)
def test_what_belongs_to_a_block(text, lines):
    assert [len(block.lines) for block in find_blocks(parse(text, ""))] == ([] if lines is None else [lines])


def test_an_expression_that_is_none_is_an_unknown_setting():
    (found,) = amctcfg.check("# amctcfg: where=typo=Conv2D\n", layers=LAYERS)
    assert found.code == "unknown-setting" and "the terms are type=T" in found.message
    assert amctcfg.check("# amctcfg: where=typo=Conv2D\n") == ()


def test_two_blocks_and_lines_outside_share_no_entry():
    text = 'skip_layers: "fc"\n\n# amctcfg: where=type=MatMul\n\n# amctcfg: where=scope=a\n'
    fixed = amctcfg.fix(text, LAYERS)
    assert fixed == (
        'skip_layers: "fc"\n\n# amctcfg: where=type=MatMul\nskip_layers: "a/mm"\n\n'
        '# amctcfg: where=scope=a\nskip_layers: "a/dw"\nskip_layers: "a/xx"\n'
    )
    assert not amctcfg.check(fixed, layers=LAYERS)


def test_a_selection_of_everything_is_not_written():
    text = "# amctcfg: where=first=99\n"
    assert amctcfg.fix(text, LAYERS) == text and len(stale(text)) == 1


EXPRESSIONS = ["type=Conv2D", "scope=a", "first=2", "last=1", "two-variable", "channels%16", "type=Relu"]
names_of_layers = st.sampled_from([layer.name for layer in LAYERS if TF_ASCEND.quantizes(layer)])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("where"), st.sampled_from(EXPRESSIONS)),
        st.tuples(st.just("skip"), names_of_layers),
        st.tuples(st.just("unskip"), names_of_layers),
    ),
    max_size=6,
)
ENDINGS = ["", "\n", "# c", "do_fusion: true", 'skip_layers: "fc"', 'skip_layers: ["fc"]\r\n', "common_config { }\n\n"]
models = st.lists(st.sampled_from(list(LAYERS)), min_size=4, unique=True).map(lambda some: Layers(some, LAYERS.traits))


@given(st.sampled_from(ENDINGS), steps, models)
def test_whatever_is_added_a_block_stays_what_it_selects(text, steps, other):
    for step, what in steps:
        if step == "where":
            text = skip_where(text, what, selected(what))
        elif step == "skip":
            text = amctcfg.skip(text, [what])
        else:
            text = amctcfg.unskip(text, [what])
    outside = lines_outside(text)
    found = [d.code for d in amctcfg.check(text, layers=LAYERS)]
    assert "duplicate-entry" not in found
    if not any(step == "unskip" for step, _ in steps):
        assert "stale-selection" not in found
    fixed = amctcfg.fix(text, other)
    assert lines_outside(fixed) == outside
    assert amctcfg.fix(fixed, other) == fixed


def lines_outside(text):
    """The lines that belong to no block, without regard to the newline of the last one."""
    tree = parse(text, "")
    for block in reversed(find_blocks(tree)):
        text = text[: block.end] + text[block.stop :]
    return [line for line in text.splitlines() if line]


def test_skip_keeps_away_from_a_block():
    text = skip_where("", "type=Conv2D", selected("type=Conv2D"), {"ab/conv": "why"})
    assert text == '# amctcfg: where=type=Conv2D\nskip_layers: "stem/conv"\nskip_layers: "ab/conv"  # why\n'
    text = amctcfg.skip(text, ["fc"])
    assert text.endswith('skip_layers: "ab/conv"  # why\n\nskip_layers: "fc"\n')
    again = skip_where(text, "type=Conv2D", selected("type=Conv2D"))
    assert again == text and not stale(text)
    assert amctcfg.skip("# amctcfg: where=type=Relu\n", ["fc"]) == '# amctcfg: where=type=Relu\n\nskip_layers: "fc"\n'


WHY = '# amctcfg: where=type=Conv2D\nskip_layers: "a"  # why\nskip_layers: "b"  # why\n'


@pytest.mark.parametrize(
    "text, lines",
    [
        (WHY, ['"b"  # why', '"c"  # why']),
        (WHY.replace('"b"  # why', '"b"  # other'), ['"b"  # other', '"c"']),
        (WHY.replace('"b"  # why', '"b"'), ['"b"', '"c"']),
        (WHY.partition("skip")[0], ['"b"', '"c"']),
    ],
)
@pytest.mark.parametrize("below", ["", "\nskip_layers: 'z'\n", "do_fusion: true\n"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_new_line_of_a_block_has_the_comment_that_all_have(text, lines, below, ending):
    head = text.partition("skip")[0]
    after = head + "".join("skip_layers: {}\n".format(line) for line in lines) + below
    text, after = ((one.replace("\n", ending)) for one in (text + below, after))
    assert skip_where(text, "type=Conv2D", ["b", "c"]) == after
    assert skip_where(text, "type=Conv2D", []) == (head + below).replace("\n", ending)
    own = skip_where(text, "type=Conv2D", ["b", "c"], {"c": "its own"})
    assert own == after.replace(lines[1], '"c"  # its own')
    if not below and (ending == "\n" or "skip" in text):  # else no line shows how lines end
        assert skip_where(text[: -len(ending)], "type=Conv2D", ["b", "c"]) == after[: -len(ending)]


# ---------------------------------------------------------------- products


@pytest.mark.parametrize(
    "soc, loses",
    [("Ascend310P3", True), ("Ascend310", True), ("Ascend310B4", False), ("Ascend910B1", False), ("Ascend910_9391", False),
     ("Ascend910A", True), ("Ascend950PR", True)],
)  # fmt: skip
def test_products_of_two_variables_by_processor(soc, loses):
    text = "# amctcfg: soc={}\n".format(soc)
    found = [d for d in amctcfg.check(text, layers=LAYERS) if d.code == "soc-unsuited"]
    assert bool(found) is loses
    if loses:
        assert "'a/xx' and 'ab/rt'" in found[0].message and "two-variable" in found[0].hint
        skipped = text + 'skip_layers: ["a/xx", "ab/rt"]'
        assert not [d for d in amctcfg.check(skipped, layers=LAYERS) if d.code == "soc-unsuited"]


@pytest.mark.parametrize("flavour", amctcfg.FLAVOURS.values(), ids=lambda flavour: flavour.name)
def test_products_of_two_variables_of_every_type(flavour):
    rows = [set(row.split()) for row in facts.SAME.split("\n")]
    products = set().union(*(row for row in rows if row & {"MatMul", "BatchMatMul"}))
    for kind in flavour.quantizable_types:
        layers = Layers([Layer("p", kind)], {"p": Traits(two_variable=True)})
        found = [d.code for d in amctcfg.check("# amctcfg: soc=Ascend310", layers=layers, flavour=flavour)]
        assert ("soc-unsuited" in found) is (kind in products), kind
        nothing_special = Layers([Layer("p", kind)], {})
        assert amctcfg.check("# amctcfg: soc=Ascend310", layers=nothing_special, flavour=flavour) == ()


def test_flavours_that_a_processor_lacks():
    processors = ("Ascend310P3", "Ascend910A", "Ascend910B1", "Ascend910_9391", "Ascend950PR")
    refused = [
        (flavour.name, soc)
        for flavour in (amctcfg.CAFFE, amctcfg.GE, ONNX)
        for soc in processors
        for layers in ([], None)
        for found in amctcfg.check("# amctcfg: soc={}\n".format(soc), layers=layers, flavour=flavour)
        if found.code == "soc-unsuited"
    ]
    assert refused[::2] == refused[1::2] == [("caffe", soc) for soc in processors[2:]] + [("ge", "Ascend950PR")]


def test_an_unknown_processor_is_wrong_usage(cli, tmp_path):
    (tmp_path / "l.csv").write_text("name,type,supported,lacks\nm,BatchMatMulV2,true,asymmetric\n", encoding="utf-8")
    graph = tmp_path / "l.csv"
    result = cli("check", "-", "--graph", graph, "--soc", "Ascend310P3", stdin=b"")
    assert result.status == 0 and "soc-unsuited" in result.out
    assert "soc-unsuited" in cli("expand", "-", "--graph", graph, "--soc", "Ascend310P3", stdin=b"").err
    result = cli("check", "-", "--graph", graph, "--soc", "Kirin", stdin=b"")
    assert cli("check", "-", "--graph", graph, "--soc", "", stdin=b"").status == 2
    assert result.status == 2 and "no processor 'Kirin'" in result.err and "Ascend910_93" in result.err


@pytest.mark.parametrize("value, warned", [("0.999", True), ("0.9998", True), ("0.9999", False), ("1.0", False)])
def test_coarse_percentiles(value, warned):
    for text in (
        "common_config {{ ifmr_quantize {{ max_percentile: {} }} }}",
        "common_config {{ ifmr_quantize {{ min_percentile: {} }} }}",
    ):
        codes = [d.code for d in amctcfg.check(text.format(value))]
        assert ("coarse-percentile" in codes) is warned


def test_a_run_of_equal_coarse_percentiles_is_one_warning():
    block = "override_layer_configs { layer_name: '%d' calibration_config { ifmr_quantize { max_percentile: %s min_percentile: 0.9 } } }\n"
    text = "".join(block % (index, value) for index, value in enumerate(["0.99"] * 60 + ["0.98", "1.0", "0.98"]))
    found = [d for d in amctcfg.check(text) if d.code == "coarse-percentile"]
    assert [d.span.line for d in found] == [1, 1, 61, 63]
    assert "and in the 59 blocks that follow" in found[0].message and "the 62 blocks that" in found[1].message
    assert found[2].message == "max_percentile 0.98 cuts off one value in 50, large activations among them"


# ---------------------------------------------------------------- logs

TF_BIAS = 'ERROR: Quantize [Quantized bias of layer \\"stem/conv\\" exceed int32 range: [-2147483648.0, 2147483647.0], please add it.]'
INFINITE = "Invalid argument: Error: Exit Infinite value before data quantization! : Tensor had NaN values\n"
SCOPE = "\t [[{}/act_quant/act_quant_IFMR/cond/CheckNumerics]]\n"


def test_a_name_of_which_nothing_is_left_names_no_layer():
    log = "layer /act_quant run WeightFakeQuantArq failed"
    assert read_log(log, [Layer("odd/", "Conv2D")], TF_ASCEND) == ([], ["/act_quant"], [])


@pytest.mark.parametrize(
    "log, named, unknown, nameless",
    [
        (TF_BIAS, ["stem/conv"], [], []),
        (TF_BIAS.replace('\\"', '"'), ["stem/conv"], [], []),
        ('Quantized bias 2895703552.0 of layer "fc" exceed int32 range:[-2147483648.0', ["fc"], [], []),
        (INFINITE + SCOPE.format("stem"), ["stem/conv"], [], []),
        (INFINITE + SCOPE.format("a"), [], ["a"], []),  # three layers are in it
        (INFINITE + SCOPE.format("stem/conv"), ["stem/conv"], [], []),  # the layer's own name
        (SCOPE.format("stem"), [], [], []),
        ("[IFMR]: Do layer ['fc'] data calibration failed!", ["fc"], [], []),
        ("Do layer ['fc', \"a/mm\"] data calibration failed!", ["fc", "a/mm"], [], []),
        ("Do layer fc data calibration failed!", ["fc"], [], []),
        ("Do layer 'a/mm' data calibration failed!", ["a/mm"], [], []),
        ('Doing layer: "a/mm" calibration, \nDoing layer: "fc" calibration, done\nscale is illegal', ["fc"], [], []),
        ('Doing layer: "fc" calibration', [], [], []),
        ("layer a/dw run WeightFakeQuantArq failed", ["a/dw"], [], []),
        ("[GE]a/dw arq weight fake quant failed!", ["a/dw"], [], []),
        ("[IfmrQuantWithoutOffset]scale is illegal", [], [], ["is illegal"]),
        ("Not support scale greater than 1 / FLT_EPSILON", [], [], ["Not support scale greater than 1 / FLT_EPSILON"]),
        ("layer dw run WeightFakeQuantArq failed", ["a/dw"], [], []),
        ("layer conv run WeightFakeQuantArq failed", [], ["conv"], []),  # the end of two
        ("layer requant_/fc.dequant run WeightFakeQuantArq failed", ["fc"], [], []),
        ("layer a/mm.quant.fakequant_3 run WeightFakeQuantArq failed", ["a/mm"], [], []),
        ("layer a/mm/act_quant/x run WeightFakeQuantArq failed", ["a/mm"], [], []),
        ("all layers: stem/conv, fc, a/mm succeeded", [], [], []),
    ],
)
def test_what_a_log_names(log, named, unknown, nameless):
    assert read_log(log, LAYERS, TF_ASCEND) == (named, unknown, nameless)
    noise = "2026-01-01 12:00:00 stem/conv [INFO] layer fc\n"
    assert read_log(noise + log + "\n" + noise, LAYERS, TF_ASCEND) == (named, unknown, nameless)


pieces = st.lists(
    st.one_of(
        any_text,
        names_of_layers,
        st.sampled_from(["\n", " ", '"', "layer ", "[[", "/act_quant/", "failed!", "Do layer", "]"]),
    ),
    max_size=12,
).map("".join)


@given(pieces)
def test_no_other_text_names_a_layer(text):
    """The words around a name have to be whole: none of these pieces has them."""
    assert read_log(text, LAYERS, TF_ASCEND).layers == []


@given(pieces, any_text)
def test_the_names_of_a_log_are_exact_or_reported(text, name):
    quoted = "layer {} run WeightFakeQuantArq failed".format("".join(name.split()) or "x")
    found = read_log(text + "\n" + quoted, LAYERS, TF_ASCEND)
    assert set(found.layers) <= {layer.name for layer in LAYERS}
    assert len(found.layers) + len(found.unknown) == 1


# ---------------------------------------------------------------- the command


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    amctcfg.dump_layers(LAYERS, "l.csv")
    (tmp_path / "q.cfg").write_text("# amctcfg: graph=l.csv\ndo_fusion: true\n", encoding="utf-8")
    (tmp_path / "run.log").write_text(TF_BIAS + "\nlayer nope run WeightFakeQuantArq failed\n", encoding="utf-8")
    return tmp_path


def test_suggest_writes_a_selection(folder, cli):
    result = cli("suggest", "q.cfg", "--where", "type=Conv2D", "--where", "last=1", "--reason", "they drop", "-i")
    assert result.status == 0 and "added 3 layers" in result.err
    text = (folder / "q.cfg").read_text(encoding="utf-8")
    assert text == (
        "# amctcfg: graph=l.csv\ndo_fusion: true\n\n# amctcfg: where=type=Conv2D\n"
        'skip_layers: "stem/conv"  # they drop\nskip_layers: "ab/conv"  # they drop\n\n'
        '# amctcfg: where=last=1\nskip_layers: "fc"  # they drop\n'
    )
    assert cli("check", "q.cfg", "--strict-warnings").status == 0
    cli("suggest", "q.cfg", "--skip", "a/m*", "-i")
    assert (folder / "q.cfg").read_text(encoding="utf-8") == text + '\nskip_layers: "a/mm"\n'
    amctcfg.dump_layers(LAYERS[1:], "l.csv")
    assert "stale-selection" in cli("check", "q.cfg").out
    assert cli("check", "q.cfg", "--fix").status == 0
    fixed = text.replace('skip_layers: "stem/conv"  # they drop\n', "") + '\nskip_layers: "a/mm"\n'
    assert (folder / "q.cfg").read_text(encoding="utf-8") == fixed
    assert "stale" not in cli("check", "q.cfg").out


def test_suggest_counts_what_it_writes(folder, cli):
    """Layers of a type that is skipped are written all the same: the expression goes on to hold for them."""
    (folder / "q.cfg").write_text('# amctcfg: graph=l.csv\nskip_layer_types: "Conv2D"\n', encoding="utf-8")
    assert "added 2 layers to skip_layers" in cli("suggest", "q.cfg", "--where", "type=Conv2D", "-i").err
    assert "added 0 layers to skip_layers" in cli("suggest", "q.cfg", "--where", "type=Conv2D", "-i").err


def test_suggest_reads_logs(folder, cli):
    result = cli("suggest", "q.cfg", "--log", "run.log", "--reason", "bias beyond int32")
    assert result.out.endswith('skip_layers: "stem/conv"  # bias beyond int32\n')
    assert "'nope' in run.log is not a layer of the model" in result.err
    (folder / "other.log").write_text("nothing here\nscale is illegal", encoding="utf-8")
    result = cli("suggest", "q.cfg", "--log", "other.log")
    assert result.out == (folder / "q.cfg").read_text(encoding="utf-8")
    assert "says 'is illegal' without naming the layer" in result.err
    (folder / "other.log").write_text("nothing here", encoding="utf-8")
    assert "other.log names no layer that failed" in cli("suggest", "q.cfg", "--log", "other.log").err


def test_suggest_lists_the_layers(folder, cli):
    arguments = ["suggest", "q.cfg", "--log", "run.log", "--where", "scope=a,type=MatMul", "--format"]
    assert cli(*arguments, "names").out == "stem/conv\na/mm\n"
    assert cli(*arguments, "python").out == "['stem/conv', 'a/mm']\n"
    assert json.loads(cli(*arguments, "json").out) == ["stem/conv", "a/mm"]
    names = cli("suggest", "q.cfg", "--where", "last=1", "--where", "first=1", "--format", "names").out
    assert names == "stem/conv\nfc\n"


def test_names_that_a_list_does_not_keep_apart(folder, cli):
    """A name with a line break or a comma in it would be read as the names of other layers."""
    amctcfg.dump_layers([Layer("x\nfc", "MatMul"), Layer("fc", "MatMul"), Layer("a,fc", "MatMul")], "l.csv")
    result = cli("suggest", "q.cfg", "--where", "first=1", "--format", "names")
    assert result.status == 2 and result.out == "" and "use --format json" in result.err
    assert json.loads(cli("suggest", "q.cfg", "--where", "first=1", "--format", "json").out) == ["x\nfc"]
    for placeholder in ("{skip}", "{skip-file}"):
        result = cli("bisect", "q.cfg", "--", "true", placeholder)
        assert result.status == 2 and placeholder + " can't list" in result.err
        assert not (folder / "q.cfg.bisect" / "journal.jsonl").exists()


def test_scores_and_reasons_stand_together(folder, cli):
    pytest.importorskip("amctcfg.tuning")
    (folder / "r.json").write_text('[["a/mm",0.5],["fc",0.75]]', encoding="utf-8")
    result = cli(
        "suggest", "q.cfg", "--scores", "r.json", "--worst", "1", "--low-is-sensitive", "--reason", "sensitive"
    )
    assert 'skip_layers: "a/mm"  # sensitive (0.5)\n' in result.out


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--where", "kind=Conv2D"], "the terms are type=T, scope=PREFIX, first=N"),
        (["--where", "channels%16"], "a table of layers does not tell 'channels%'"),
        (["--where", "first=1", "-i", "--format", "names"], "leave out -i"),
        (["--log", "nowhere.log"], "can't read nowhere.log"),
        ([], "say which layers"),
    ],
)
def test_wrong_usage(arguments, words, folder, cli):
    result = cli("suggest", "q.cfg", *arguments)
    assert (result.status, result.out) == (2, "") and words in result.err


def test_a_selection_that_nothing_fulfils_is_said(folder, cli):
    result = cli("suggest", "q.cfg", "--where", "type=AvgPool")
    assert result.status == 0 and "no layer that can be quantized fulfils type=AvgPool" in result.err
    assert "where=" not in result.out


@pytest.mark.parametrize("flavour", amctcfg.FLAVOURS.values(), ids=lambda flavour: flavour.name)
def test_init_says_which_arguments_the_file_silences(flavour, folder, cli):
    out = cli("init", "--graph", "l.csv", "--flavour", flavour.name).out
    fields = [
        name for name in ("skip_layers", "batch_num", "activation_offset") if name in flavour.config.__schema__.fields
    ]
    said = "create_quant_config ignores its own arguments {} and {}".format(", ".join(fields[:-1]), fields[-1])
    assert (said in out) is (flavour.layout is not None)
