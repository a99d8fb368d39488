# SPDX-License-Identifier: Apache-2.0
"""`format`, `diff` and `condense`: their laws, their layouts, their commands."""

import dataclasses
import itertools
import json
import os
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import amctcfg
from amctcfg import AMCTConfig, CalibrationConfig, ConfigError, Layer, OverrideLayer, OverrideLayerType
from amctcfg.documents.document import read_text
from amctcfg.resolve.resolver import Resolver

from .conftest import DATA, seldom
from .strategies import any_text, configs, expandable

FORMAT_FILES = sorted((DATA / "format").glob("*.in.cfg"))
TABLE = DATA / "broken" / "layers.csv"

# ---------------------------------------------------------------- format


@st.composite
def untidy_texts(draw):
    """A configuration in any layout, with comments between its tokens; and the comments."""
    tokens = re.findall(r'"(?:[^"\\]|\\.)*"|[A-Za-z_0-9.+-]+|[{}:]', amctcfg.dumps(draw(configs(any_text, any_text))))
    pieces, comments = [], []
    for token in tokens:
        between = draw(
            st.sampled_from([" ", "\n", "\n\n", "\n\n\n", "\t", " # c\n", "\n  # d\n", "\n\n#e \n\n", "\r\n"])
        )
        comments += re.findall(r"#\s?\w", between)
        pieces += [token if token[0] != '"' or "'" in token or '\\"' in token else draw(quoted(token)), between]
    return "".join(pieces), comments


def quoted(token):
    return st.sampled_from([token, "'{}'".format(token[1:-1])])


@given(untidy_texts())
def test_formatting_keeps_meaning_and_comments_and_is_idempotent(pair):
    text, comments = pair
    done = amctcfg.format(text)
    assert amctcfg.loads(done) == amctcfg.loads(text)
    kept = re.findall(r"#\s?\w", re.sub(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'', "", done))
    assert sorted(kept) == sorted(comments)
    assert amctcfg.format(done) == done
    unix = done.replace("\r\n", "\n")
    lines = unix.split("\n")
    assert "\r" not in unix and "\n\n\n" not in unix and not any(line != line.rstrip() for line in lines)


@given(configs(any_text, any_text))
def test_what_dumps_prints_is_laid_out_already(config):
    assert amctcfg.format(amctcfg.dumps(config)) == amctcfg.dumps(config)


@pytest.mark.parametrize("path", FORMAT_FILES, ids=lambda path: path.name)
def test_layouts(path, cli):
    expected = path.with_name(path.name.replace(".in.cfg", ".out.cfg"))
    done = cli("fmt", "-", stdin=path.read_bytes())
    if os.environ.get("AMCTCFG_WRITE"):
        expected.write_text(done.out, encoding="utf-8", newline="\n")
    assert (done.status, done.err) == (0, "")
    assert done.out == expected.read_bytes().decode("utf-8")
    assert amctcfg.format(done.out) == done.out


@pytest.mark.parametrize(
    "before, after",
    [
        ("a: 1# c\n", "a: 1  # c\n"),
        ("a: 1 ;# c\nb: 2\n", "a: 1  # c\nb: 2\n"),
        ("a: # c\n 1\n", "# c\na: 1\n"),
        ("a: -# c\n1\n", "# c\na: -1\n"),
        ("a # c\n{b: 1}\n", "# c\na {\n  b: 1\n}\n"),
        ("a {# c\nb: 1}# d\nc: 2\n", "a {  # c\n  b: 1\n}  # d\nc: 2\n"),
        ("a {\n# c\n}\n", "a {\n  # c\n}\n"),
        ("a: [1 # c\n]# d\nb: 2\n", "a: [\n  1  # c\n]  # d\nb: 2\n"),
        ("a: [# c\n 1]\n", "a: [  # c\n  1\n]\n"),
        ("a: [1\n# c\n]\n", "a: [\n  1\n  # c\n]\n"),
        ("a: [\n# c\n]\n", "a: [\n  # c\n]\n"),
        ("a: [{b: 1},# c\n{c: 2}# d\n]\n", "a: [\n  {\n    b: 1\n  },  # c\n  {\n    c: 2\n  }  # d\n]\n"),
        ("a: 'x'# c\n'y'# d\n", 'a:\n  "x"  # c\n  "y"  # d\n'),
        ("a: 'x'\n\n# c\n\n'y'\n", 'a:\n  "x"\n  # c\n  "y"\n'),
        ("\n\n# c\n\n\n# d\n\na: 1\n\n\n", "# c\n\n# d\n\na: 1\n"),
        ("[a# c\n.b# d\n]: 1\n", "# c\n# d\n[a.b]: 1\n"),
        ("[a/# {\nb] {c: 1}\n", "# {\n[a/b] {\n  c: 1\n}\n"),
    ],
)
def test_a_comment_stays_with_what_it_is_about(before, after):
    assert amctcfg.format(before) == after == amctcfg.format(after)


@pytest.mark.parametrize("head, foot, between", [("a: [", "]", ", "), ("a: ", "", " ")], ids=["list", "strings"])
def test_what_fits_in_eighty_columns_stays_on_a_line(head, foot, between):
    for width, lines in ((80, 1), (81, 4 if foot else 3)):
        first = '"{}"'.format("x" * 30)
        second = '"{}"'.format("y" * (width - 2 - len(head + first + between + foot)))
        line = head + first + between + second + foot
        assert len(line) == width
        done = amctcfg.format(line)
        assert len(done.splitlines()) == lines and (done == line + "\n") is (lines == 1)
        assert amctcfg.format(done) == done
    assert amctcfg.format("{}: [ ]".format("x" * 90)) == "{}: []\n".format(
        "x" * 90
    )  # nothing of it could stand elsewhere


@pytest.mark.parametrize("head, kept", [
    ("# txtpbfmt: disable\n", True), ("\n#txtpbfmt:disable, by hand\n", True), ("# first\n\n# txtpbfmt: disable\n", True),
    ("# txtpbfmt: disabled\n", False), ("# no txtpbfmt: disable\n", False), ("b: 1\n# txtpbfmt: disable\n", False),
    ("# txtpbfmt: disable", True),
])  # fmt: skip
def test_a_text_that_asks_to_be_left_alone_is(head, kept):
    text = head + ("a:1\n" if head.endswith("\n") else "")
    assert (amctcfg.format(text) == text) is kept


def test_fmt_in_place_check_and_diff(cli, tmp_path):
    path, tidy, broken = tmp_path / "a.cfg", tmp_path / "tidy.cfg", tmp_path / "broken.cfg"
    path.write_bytes(b"do_fusion:true")
    tidy.write_bytes(b"do_fusion: true\n")
    broken.write_bytes(b"do_fusion:")
    before = tidy.stat().st_mtime_ns
    result = cli("fmt", "--check", path, tidy)
    assert (result.status, result.err) == (1, "amctcfg: would reformat {}\n".format(path))
    result = cli("fmt", "--diff", path, tidy)
    assert result.status == 1 and "-do_fusion:true" in result.out and "+do_fusion: true" in result.out
    assert path.read_bytes() == b"do_fusion:true"
    result = cli("fmt", path, tidy, broken, tmp_path / "nowhere.cfg")
    assert result.status == 2
    assert "error[syntax]" in result.err and "can't read" in result.err
    assert (path.read_bytes(), broken.read_bytes()) == (b"do_fusion: true\n", b"do_fusion:")
    assert tidy.stat().st_mtime_ns == before
    assert cli("fmt", broken).status == 1
    assert cli("fmt", "--check", path, tidy).status == 0


def test_the_end_of_the_first_line_is_that_of_all():
    assert amctcfg.format("\r\na: 1\nb: 2\n").count("\r\n") == 2
    assert amctcfg.format("\na: 1\r").count("\r") == 0


def test_formatting_is_linear_in_comments_and_fields():
    text = "".join("# {0}\nskip_layers: '{0}'  # {0}\n".format(number) for number in range(4000)) + "# end"
    assert amctcfg.format(text).count("#") == 8001


# ---------------------------------------------------------------- diff


@given(expandable(), configs())
def test_a_diff_is_what_differs(pair, other):
    config, model = pair
    other = dataclasses.replace(
        config,
        common_config=other.common_config and CalibrationConfig(None, other.common_config.ifmr_quantize),
        do_fusion=other.do_fusion,
    )
    changes = amctcfg.diff(config, other, model)
    before, after = (amctcfg.expand(c, model) for c in (config, other))
    for name in before:
        changed = {change.field for change in changes if change.layer == name}
        old, new = before[name].origins, after[name].origins
        assert changed == {field for field in old if old[field].value != new[field].value}
    assert bool(changes) == (
        before.to_dict() != after.to_dict() or any(before[n].fuse != after[n].fuse for n in before)
    )
    back = amctcfg.diff(other, config, model)
    assert sorted((c.layer or "", c.field) for c in back) == sorted((c.layer or "", c.field) for c in changes)
    assert amctcfg.diff(config, amctcfg.parse(amctcfg.format(amctcfg.dumps(config))), model) == ()


A = "common_config { ifmr_quantize { search_step: 0.02 } }\nskip_layers: 'dw1'\n"
B = """common_config {
  ifmr_quantize { search_step: 0.03 }
}
do_fusion: false
override_layer_configs { layer_name: 'conv1' calibration_config {} }
"""


def test_a_diff_says_where_both_values_come_from():
    one = amctcfg.parse('skip_fusion_layers: "a"\nskip_fusion_layers: "b"\nactivation_offset: false\n')
    other = amctcfg.parse("do_fusion: true\n")
    model = [Layer("a", "Conv2D"), Layer("b", "Conv2D")]
    changes = {(c.layer, c.field): c for c in amctcfg.diff(one, other, model)}
    names = changes[None, "skip_fusion_layers"]
    assert (list(names.before), list(names.after)) == (["a", "b"], [])
    assert names.before_origin.path == ("skip_fusion_layers", 1) and names.before_origin.span.line == 2
    assert (names.after_origin.tier, names.after_origin.path) == ("default", None)
    offset = changes[None, "activation_offset"]
    assert (offset.before_origin.span.line, offset.after_origin.tier) == (3, "default")
    fuse = changes["b", "fuse"]
    assert (fuse.before, fuse.after) == (False, True)
    assert (fuse.before_origin.span.line, fuse.after_origin.tier, fuse.after_origin.span.line) == (2, "do_fusion", 1)
    assert (None, "do_fusion") not in changes  # true either way
    gone = amctcfg.diff(amctcfg.expand(other, model), amctcfg.expand(other, model[:1]))
    assert {(c.layer, c.after, c.after_origin.tier) for c in gone} == {("b", None, "default")}


def test_diff_command(cli, tmp_path):
    a, b, reworded = (tmp_path / name for name in ("a.cfg", "b.cfg", "c.cfg"))
    a.write_text(A, encoding="utf-8")
    b.write_text(B, encoding="utf-8")
    reworded.write_text("# the same\n" + A.replace("'", '"'), encoding="utf-8")
    result = cli("diff", a, reworded, "--graph", TABLE)
    assert (result.status, result.out, result.err) == (0, "no layer changes\n", "")
    result = cli("diff", a, b, "--graph", TABLE)
    assert (result.status, result.err) == (1, "")
    assert result.out.replace(str(tmp_path), "").replace(os.sep, "/").splitlines() == [
        "do_fusion true → false (global), /b.cfg:4",
        "fuse true → false for 6 layers: AvgPool, Conv2D, DepthwiseConv2dNative, MatMul, /b.cfg:4",
        "search_step 0.02 → 0.01 for 1 layer: 'conv1', default, was /a.cfg:1",
        "search_step 0.02 → 0.03 for 5 layers: 'conv2', 'dw1', 'stage/pool' and 2 more, /b.cfg:2",
        "quant_enable false → true for 1 layer: 'dw1', default, was /a.cfg:2",
        "6 of 6 layers and 1 global setting change",
    ]
    table = cli("diff", a, b, "--graph", TABLE, "--format", "markdown").out
    assert table.splitlines()[:2] == ["| field | before | after | for | because of |", "|---|---|---|---|---|"]
    rows = json.loads(cli("diff", a, b, "--graph", TABLE, "--format", "json").out)["changes"]
    assert rows[0]["layer"] is None and rows[0]["field"] == "do_fusion"
    step = next(row for row in rows if row["layer"] == "conv2" and row["field"] == "ifmr_quantize.search_step")
    assert (step["before"], step["after"], step["after_origin"]["line"]) == (0.02, 0.03, 2)
    b.write_text("do_fusion: maybe", encoding="utf-8")
    assert cli("diff", a, b, "--graph", TABLE).status == 2


@pytest.fixture
def switched(tmp_path, monkeypatch):
    """Fifty layers with a block each, of which the second file changes something on other lines."""
    names = ["layer{}".format(at) for at in range(50)]
    block = 'override_layer_configs {{ layer_name: "{}"\n calibration_config {{ {} }} }}\n'
    before = [block.format(name, "ifmr_quantize { search_step: 0.02 }") for name in names]
    after = [block.format(name, "hfmg_quantize { num_of_bins: 8192 }") for name in names[:49]] + before[49:]
    (tmp_path / "a.cfg").write_text("".join(before), encoding="utf-8")
    (tmp_path / "b.cfg").write_text("".join(after) + 'skip_layers: "layer7"\n', encoding="utf-8")
    table = "name,type\n" + "".join(name + ",Conv2d\n" for name in names)
    (tmp_path / "l.csv").write_text(table, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return ("diff", "a.cfg", "b.cfg", "--graph", "l.csv", "--flavour", "pytorch")


def test_equal_changes_are_one_whatever_their_lines_and_so_is_another_algorithm(cli, switched, tmp_path):
    lines = cli(*switched).out.splitlines()
    assert lines == [
        "ifmr → hfmg (num_of_bins 8192) for 49 layers: 'layer0', 'layer1', 'layer2' and 46 more, b.cfg:2, 4, 6 and 46 more",
        "quant_enable true → false for 1 layer: 'layer7', b.cfg:101",
        "49 of 50 layers change; borders between quantized and float layers: 0 before, 2 after",
    ]
    defaults = "common_config {\n  hfmg_quantize { }\n  dmq_balancer { }\n}\n"
    for name, text in (("c.cfg", ""), ("d.cfg", defaults)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert cli("diff", "c.cfg", "d.cfg", *switched[3:]).out.splitlines()[:2] == [
        "ifmr → hfmg for 50 layers: Conv2d, d.cfg:2",
        "migration_strength – → 0.5 for 50 layers: Conv2d, d.cfg:3",
    ]
    assert cli("diff", "d.cfg", "c.cfg", *switched[3:]).out.splitlines()[:2] == [
        "migration_strength 0.5 → – for 50 layers: Conv2d, default, was d.cfg:3",
        "hfmg → ifmr for 50 layers: Conv2d, default, was d.cfg:2",
    ]
    (tmp_path / "r.csv").write_text("name,type\nlayer0,Conv2D\nlayer1,Conv3D\n", encoding="utf-8")
    (tmp_path / "c.cfg").write_text("# amctcfg: flavour=tensorflow\n" + defaults, encoding="utf-8")
    for flavour in ("tf-ascend", "ge"):  # which lack a layer, and an algorithm
        (tmp_path / "d.cfg").write_text("# amctcfg: flavour={}\n".format(flavour), encoding="utf-8")
        for pair in (("c.cfg", "d.cfg"), ("d.cfg", "c.cfg")):
            assert cli("diff", *pair, "--graph", "r.csv").status == 1
    back = [*switched[:1], switched[2], switched[1], *switched[3:]]
    assert cli(*back).out.startswith("hfmg → ifmr (search_step 0.02) for 49 layers: ")
    changes = json.loads(cli(*switched, "--format", "json").out)["changes"]
    assert {c["after"] for c in changes if c["field"] == "ifmr_quantize.search_step"} == {None}  # programs get all


def test_what_changed_has_colours_on_a_terminal(monkeypatch, switched):
    from .test_cli import on_terminal

    text = on_terminal(monkeypatch, switched, 60)
    assert "quant_enable \x1b[31mtrue\x1b[0m → \x1b[32mfalse\x1b[0m for" in text
    plain = re.sub("\x1b\\[[0-9]*m", "", text)
    assert plain == on_terminal(monkeypatch, switched, 60, NO_COLOR="1") and max(map(len, plain.splitlines())) <= 60


EVIL = [
    "![x](http://a.example/x.png)",
    "<img src=x>",
    "@team",
    "a|b",
    "`code`",
    "**b**",
    "[l](javascript:1)",
    "x\n| y |",
]


def test_names_are_code_in_a_review_comment(cli, tmp_path):
    """A reader of Markdown that knows code spans and tables alone finds nothing else that is a name's."""
    (tmp_path / "l.json").write_text(
        json.dumps([{"name": n, "type": "Conv2D"} for n in [*EVIL, "z"]]), encoding="utf-8"
    )
    text = "".join("skip_layers: {}\n".format(json.dumps(name)) for name in EVIL)
    (tmp_path / "a.cfg").write_text("", encoding="utf-8")
    (tmp_path / "@all <b>.cfg").write_text(text, encoding="utf-8")
    options = ("--graph", tmp_path / "l.json", "--format", "markdown", "--all")
    out = cli("diff", tmp_path / "a.cfg", tmp_path / "@all <b>.cfg", *options).out
    (row,) = [line for line in out.splitlines() if line.startswith("| quant_enable")]
    cells = re.split(r"(?<!\\)\|", row)[1:-1]
    assert len(cells) == 5
    code = re.compile(r"(?<!`)(`+)(?!`)(.*?)(?<!`)\1(?!`)")
    for cell in cells:
        assert not re.search(r"[<>@!\[\]*`\n]", code.sub("", cell))
    names = [match[1].replace("\\|", "|") for match in code.findall(cells[3])]
    assert [name[1:-1] if name.startswith(" ") else name for name in names] == [*EVIL[:-1], "x\\n| y |"]


# ---------------------------------------------------------------- condense


def size(config):
    """How many blocks a configuration has."""
    return (config.common_config is not None) + len(config.override_layer_types) + len(config.override_layer_configs)


@given(expandable(), st.sampled_from(["documented", "toolkit"]))
def test_condensing_an_expansion(pair, rules):
    config, model = pair
    plan = amctcfg.expand(config, model, rules=rules)
    short = amctcfg.condense(plan.to_json(), model)
    for either in ("documented", "toolkit"):
        assert amctcfg.expand(short, model, rules=either).to_dict() == plan.to_dict()
    assert size(short) <= size(config)
    assert amctcfg.condense(plan.to_dict(), model) == short


def test_a_block_that_could_not_be_read_says_nothing_about_other_layers():
    """Its layer is left out of account; the others have the block of their type, whichever is asked for first."""
    text = (
        'override_layer_types { layer_type: "MatMul" calibration_config { ifmr_quantize { search_step: 0.02 } } }\n'
        'override_layer_configs { layer_name: "a" calibration_config: 3 }\n'
    )
    config = read_text(text)[0].config
    first, other = Layer("a", "MatMul"), Layer("b", "MatMul")
    for order in ((first, other), (other, first)):
        resolver = Resolver(config)
        steps = {layer.name: resolver.calibration_of(layer).ifmr_quantize.search_step for layer in order}
        assert steps == {"a": 0.01, "b": 0.02}


def test_condensing_says_for_a_type_what_only_some_of_its_layers_need():
    text = (
        'override_layer_types { layer_type: "BatchMatMul" calibration_config { ifmr_quantize { asymmetric: false } } }'
    )
    model = [Layer(name, "BatchMatMul") for name in "ab"] + [Layer("c", "BatchMatMul", True, ["asymmetric"])]
    model.append(Layer("d", "AvgPool"))
    config = amctcfg.loads(text)
    assert amctcfg.condense(amctcfg.expand(config, model).to_json(), model) == config


def test_condensing_writes_a_type_once_where_one_of_its_layers_is_otherwise():
    text = (
        'override_layer_types { layer_type: "MatMul" calibration_config { ifmr_quantize { search_step: 0.02 } } }'
        'override_layer_configs { layer_name: "c" calibration_config { } }'
    )
    model = [Layer(name, "MatMul") for name in "abc"] + [Layer(name, "Conv2D") for name in "xyz"]
    config = amctcfg.loads(text)
    assert amctcfg.condense(amctcfg.expand(config, model).to_json(), model) == config


@given(st.data())
def test_the_common_block_is_optimal(data):
    """Against all common blocks and type blocks that could be of use, tried one by one with `merge`."""
    kinds = ["Conv2D", "MatMul", "AvgPool"]
    model = [Layer("l{}".format(n), data.draw(st.sampled_from(kinds))) for n in range(data.draw(st.integers(2, 5)))]
    wanted = {}
    for layer in model:
        step = data.draw(st.sampled_from([0.01, 0.02]))
        fields = amctcfg.FMRQuantize(search_step=step, asymmetric=data.draw(st.booleans()))
        channel_wise = data.draw(st.booleans()) if layer.type == "Conv2D" else False
        wanted[layer.name] = CalibrationConfig(amctcfg.ARQuantize(channel_wise), fields)
    everything = AMCTConfig(override_layer_configs=[OverrideLayer(name, block) for name, block in wanted.items()])
    plan = amctcfg.expand(everything, model)
    short = amctcfg.condense(plan.to_json(), model)
    assert size(short) == fewest_blocks(model, wanted, plan)


def fewest_blocks(model, wanted, plan):
    types = sorted({layer.type for layer in model})
    fields = itertools.product([None, True, False], [0.01, 0.02], [None, True, False])
    some = [
        CalibrationConfig(amctcfg.ARQuantize(c), amctcfg.FMRQuantize(search_step=s, asymmetric=a)) for c, s, a in fields
    ]
    best = len(model)
    for common in [None, *some]:
        total = int(common is not None)
        for layer_type in types:
            of_type = [layer for layer in model if layer.type == layer_type]
            costs = []
            for block in [None, *{wanted[layer.name] for layer in of_type}]:
                overrides = [OverrideLayerType(layer_type, block)] if block else []
                config = AMCTConfig(common_config=common, override_layer_types=overrides)
                forbidden = layer_type != "Conv2D" and common and common.arq_quantize.channel_wise and not block
                wrong = [
                    layer
                    for layer in of_type
                    if forbidden
                    or amctcfg.merge(config, layer).calibration_config != plan[layer.name].calibration_config
                ]
                costs.append(bool(block) + len(wrong))
            total += min(costs)
        best = min(best, total)
    return best


SHAPES = [CalibrationConfig()] + [
    CalibrationConfig(None, amctcfg.FMRQuantize(search_step=step, asymmetric=asymmetric))
    for step, asymmetric in itertools.product([None, 0.02], [None, True, False])
]


def cost(**fields):
    """The blocks and the lines of a configuration with one block."""
    config = AMCTConfig(**fields)
    return size(config), len(amctcfg.dumps(config).splitlines())


def total(costs):
    return tuple(map(sum, zip((0, 0), *costs)))


def fewest_lines(model, wanted):
    """Every common block, block of a type and own block that there could be, tried with `merge`."""

    def gets(config, layer, block):
        return all(
            amctcfg.merge(config, layer, rules).calibration_config == block for rules in ("documented", "toolkit")
        )

    def own(layer, common, overrides):
        below = AMCTConfig(common_config=common, override_layer_types=overrides)
        if gets(below, layer, wanted[layer.name]):
            return 0, 0
        return min(
            cost(override_layer_configs=entries)
            for shape in SHAPES
            for entries in [[OverrideLayer(layer.name, shape)]]
            if gets(dataclasses.replace(below, override_layer_configs=entries), layer, wanted[layer.name])
        )

    found = []
    for common in [None, *SHAPES]:
        costs = [cost(common_config=common) if common else (0, 0)]
        for layer_type in sorted({layer.type for layer in model}):
            choices = []
            for entries in [[], *[[OverrideLayerType(layer_type, shape)] for shape in SHAPES]]:
                owns = [own(layer, common, entries) for layer in model if layer.type == layer_type]
                choices.append(total([cost(override_layer_types=entries) if entries else (0, 0), *owns]))
            costs.append(min(choices))
        found.append(total(costs))
    return min(found)


@seldom
@given(st.data())
def test_condensing_gives_the_fewest_blocks_and_lines(data):
    wanted, model = {}, []
    for n in range(data.draw(st.integers(1, 4))):
        model.append(Layer("l{}".format(n), data.draw(st.sampled_from(["Conv2D", "MatMul"]))))
        wanted["l{}".format(n)] = data.draw(st.sampled_from(SHAPES))
    everything = AMCTConfig(override_layer_configs=[OverrideLayer(name, block) for name, block in wanted.items()])
    plan = amctcfg.expand(everything, model)
    wanted = {name: effective.calibration_config for name, effective in plan.items()}
    short = amctcfg.condense(plan.to_json(), model)
    assert (size(short), len(amctcfg.dumps(short).splitlines())) == fewest_lines(model, wanted)


COMMON, TYPE, OWN, SKIP = (
    "common_config {{ {} }}\n",
    "override_layer_types {{ layer_type: '{}' calibration_config {{ {} }} }}\n",
    "override_layer_configs {{ layer_name: '{}' calibration_config {{ {} }} }}\n",
    "skip_layers: '{}'\n",
)
FINER, EVEN = "ifmr_quantize { search_step: 0.02 }", "ifmr_quantize { asymmetric: false }"

# Nothing shorter gives the layers, of these types and named by the alphabet, the same.
SHORTEST = [
    ("tf-ascend", "MatMul", COMMON.format(FINER)),
    ("tf-ascend", "Conv2D MatMul", COMMON.format("ifmr_quantize { search_step: 0.02 asymmetric: false }")),
    ("tf-ascend", "MatMul MatMul Conv2D", COMMON.format(FINER) + TYPE.format("MatMul", EVEN)),
    ("tf-ascend", "Conv2D MatMul MatMul", COMMON.format(FINER) + TYPE.format("MatMul", EVEN)),
    ("tf-ascend", "MatMul Conv2D Conv2D/asymmetric MatMul BatchMatMul",
     SKIP.format("d") + "skip_layer_types: 'Conv2D'\n" + COMMON.format("arq_quantize { channel_wise: false }")),
    ("tf-ascend", "Conv2D MatMul AvgPool MatMul Conv2D AvgPool",
     SKIP.format("a") + COMMON.format("arq_quantize { channel_wise: false }") + TYPE.format("AvgPool", FINER)),
    ("tf-ascend", "MatMul AvgPool AvgPool Conv2D Conv2D Conv2D Conv2D MatMul", COMMON.format(FINER) + TYPE.format("MatMul", "")),
    ("tf-ascend", "Conv2D MatMul Conv2D AvgPool Conv2D AvgPool", COMMON.format(EVEN) + TYPE.format("AvgPool", FINER)),
    ("tf-ascend", "MatMul MatMul MatMul Conv2D AvgPool",
     COMMON.format(EVEN) + TYPE.format("MatMul", "ifmr_quantize { asymmetric: true }")),
    ("tf-ascend", "MatMul MatMul Conv2D BatchMatMul MatMul", COMMON.format("arq_quantize { channel_wise: false }")
     + TYPE.format("MatMul", "ifmr_quantize { search_step: 0.02 asymmetric: false }")
     + OWN.format("b", "ifmr_quantize { asymmetric: true }")),
    ("tf-ascend", "MatMul BatchMatMul BatchMatMul MatMul Conv2D", TYPE.format("MatMul", FINER) + OWN.format("b", FINER)),
    ("tf-ascend", "MatMul Conv2D AvgPool MatMul/asymmetric Conv2D",
     SKIP.format("c") + COMMON.format(EVEN) + OWN.format("b", "ifmr_quantize { search_step: 0.03 }")),
    ("tensorflow", "AvgPool MatMul MatMul AvgPool",
     "activation_offset: false\n" + TYPE.format("MatMul", "hfmg_quantize { asymmetric: true }") + OWN.format("a", FINER)),
    ("tensorflow", "AvgPool AvgPool", COMMON.format(EVEN) + OWN.format("b", "hfmg_quantize { }")),
    ("onnx", "AveragePool AveragePool",
     COMMON.format("ifmr_quantize { search_step: 0.02 asymmetric: false }") + OWN.format("a", "")),
    ("onnx", "Gemm Conv Conv", SKIP.format("b") + COMMON.format("hfmg_quantize { }")
     + OWN.format("b", "hfmg_quantize { } dmq_balancer { }") + OWN.format("c", "dmq_balancer { }")),
    ("pytorch", "Conv2d Conv2d Conv2d AvgPool2d",
     COMMON.format("ifmr_quantize { dst_type: INT16 }") + OWN.format("a", "ada_quantize { }")),
    ("pytorch", "Conv2d Linear Conv2d Conv3d",
     SKIP.format("a") + OWN.format("a", "hfmg_quantize { dst_type: INT16 }") + OWN.format("d", FINER)),
    # What can't be said of a type as a whole, or only softly.
    ("pytorch", "LSTM LSTM Conv2d Linear", OWN.format("a", "dmq_balancer { }") + OWN.format("b", "dmq_balancer { }")),
    ("pytorch", "Linear Linear Linear/int16 Conv2d Conv1d",
     OWN.format("a", "ifmr_quantize { dst_type: INT16 }") + OWN.format("b", "ifmr_quantize { dst_type: INT16 }")),
    ("pytorch", "Linear Linear Linear/int4 Conv2d Conv2d", TYPE.format("Linear", "arq_quantize { quant_bits: 4 }")),
    ("pytorch", "Linear Linear Conv2d Conv2d AvgPool2d", TYPE.format("Linear", "ifmr_quantize { dst_type: INT16 }")),
]  # fmt: skip


@pytest.mark.parametrize("name, types, text", SHORTEST)
def test_condensing_leaves_what_is_the_shortest_already(name, types, text):
    flavour, model = amctcfg.FLAVOURS[name], []
    for letter, (layer_type, _, lack) in zip("abcdefgh", (one.partition("/") for one in types.split())):
        model.append(Layer(letter, layer_type, True, [lack] if lack else []))
    config = amctcfg.loads(text, flavour=flavour)
    values = amctcfg.expand(config, model).to_json()
    assert amctcfg.condense(values, model, flavour=flavour) == config


def test_a_demand_of_all_layers_of_a_type_is_one_block():
    model = [
        Layer("a", "Linear"),
        Layer("b", "Linear"),
        Layer("c", "Conv2d"),
        Layer("d", "Conv2d"),
        Layer("e", "AvgPool2d"),
    ]
    block = "ifmr_quantize { dst_type: INT16 }"
    text = "override_layer_types { layer_type: 'Linear' calibration_config { %s } }" % block
    config = amctcfg.loads(text, flavour=amctcfg.PYTORCH)
    assert amctcfg.condense(amctcfg.expand(config, model).to_json(), model, flavour=amctcfg.PYTORCH) == config


def test_layers_that_do_without_an_algorithm_hide_no_common_block():
    """The bound of what a common block costs counts what only it can drop."""
    kinds = ("AvgPool2d", "Conv1d", "LSTM", "Conv2d")
    model = [Layer(kind, kind) for kind in kinds]
    text = "common_config { ada_quantize { num_iteration: 2 } hfmg_quantize { } }"
    config = amctcfg.loads(text, flavour=amctcfg.PYTORCH)
    assert amctcfg.condense(amctcfg.expand(config, model).to_json(), model, flavour=amctcfg.PYTORCH) == config


MODEL = [Layer("conv1", "Conv2D"), Layer("conv2", "Conv2D"), Layer("fc", "MatMul"), Layer("relu", "Relu", False)]


def edited(**changes):
    """The default expansion with some keys of `conv1` set, or deleted where they are None."""
    values = amctcfg.expand(AMCTConfig(), MODEL).to_dict()
    for key, value in changes.items():
        part = values["conv1"]
        for name in key.split("__")[:-1]:
            part = part[name]
        part[key.split("__")[-1]] = value
        if value is None:
            del part[key.split("__")[-1]]
    return values


@pytest.mark.parametrize(
    "changes",
    [
        dict(weight_quant_params=None),
        dict(activation_quant_params__search_range=None),
        dict(activation_quant_params__asymmetric=None, activation_quant_params__act_algo=None),
        dict(weight_quant_params__channel_wise=None, weight_quant_params__wts_algo=None),
        dict(activation_quant_params__num_bits=8, weight_quant_params__num_bits=8),
        dict(activation_quant_params__search_step=1e-2, activation_quant_params__max_percentile=0.999999),
    ],
)
def test_keys_that_are_left_out_have_their_defaults(changes):
    assert amctcfg.condense(edited(**changes), MODEL) == AMCTConfig()


def test_a_layer_that_is_left_out_is_not_quantized():
    values = edited(activation_quant_params__search_step=0.02)
    del values["conv2"], values["version"]
    short = amctcfg.condense(json.dumps(values), MODEL)
    assert short.skip_layers == ("conv2",)
    assert amctcfg.expand(short, MODEL)["conv1"].calibration_config.ifmr_quantize.search_step == 0.02
    del values["conv1"]
    assert amctcfg.condense(values, MODEL) == AMCTConfig(skip_layer_types=["Conv2D"])


@pytest.mark.parametrize(
    "changes, error",
    [
        (dict(activation_quant_params__act_algo="hfmg"), "conv1 > activation_quant_params > act_algo: it is 'hfmg'"),
        (dict(weight_quant_params__wts_algo="nuq"), "conv1 > weight_quant_params > wts_algo: it is 'nuq'"),
        (dict(activation_quant_params__num_bits=4), "it is 4; only 8 can be here"),
        (dict(activation_quant_params__search_steps=0.1), "search_steps: there is no such key"),
        (dict(quant_enabled=True), "did you mean 'quant_enable'?"),
        (dict(quant_enable=1), "conv1 > quant_enable: it is true or false, not 1"),
        (dict(activation_quant_params=[]), "conv1 > activation_quant_params: it is an object, not a list"),
        (dict(activation_quant_params__search_range=[0.7]), "search_range: it is [start, end], not a list"),
        (dict(activation_quant_params__search_range=[1.3, 0.7]), "search_range: it is 1.3"),
        (dict(activation_quant_params__search_step="0.1"), "search_step: it has to be a number, not '0.1'"),
        (dict(activation_quant_params__search_step=0), "search_step: it is 0; it has to be greater than 0"),
        (dict(activation_quant_params__search_step=0.123456789), "0.123456789 is not a 32-bit float"),
        (dict(activation_quant_params__search_step=float("nan")), "search_step: it is NaN"),
        (dict(activation_quant_params__search_step=10**400), "search_step"),
        (dict(activation_quant_params__max_percentile=2), "max_percentile: it is 2; it has to be greater than 0.5"),
    ],
)  # fmt: skip
def test_what_no_configuration_can_express(changes, error):
    with pytest.raises(ConfigError) as caught:
        amctcfg.condense(edited(**changes), MODEL)
    (found,) = caught.value.diagnostics
    assert found.severity == "error" and error in str(caught.value)


def test_all_problems_at_once():
    values = edited()
    values.update(version=2, do_fusion="no", skip_fusion_layers=["fc", "nowhere", "conv1", "conv1"], relu={}, conv3={})
    values["fc"]["weight_quant_params"]["channel_wise"] = True
    with pytest.raises(ConfigError) as caught:
        amctcfg.condense(values, MODEL)
    codes = [d.code for d in caught.value.diagnostics]
    assert codes == [
        "out-of-range", "wrong-type", "not-fusible", "unknown-layer", "duplicate-entry", "channel-wise-unsupported",
        "not-quantizable", "unknown-layer",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", '{"version": 1, "version": 1}', "[" * 100000, "\ufeff{}", b"\xff"]
)
def test_what_is_no_json_config(text):
    with pytest.raises(ConfigError):
        amctcfg.condense(text, MODEL)


def test_condense_command(cli, tmp_path):
    graph, values, out = tmp_path / "layers.json", tmp_path / "quant.json", tmp_path / "quant.cfg"
    graph.write_text(json.dumps([dataclasses.asdict(layer) for layer in MODEL]), encoding="utf-8")
    values.write_text(json.dumps(edited(quant_enable=False)), encoding="utf-8")
    assert cli("condense", values, "--graph", graph, "-o", out).status == 0
    written = '# amctcfg: graph=layers.json flavour=tf-ascend\nskip_layers: "conv1"\n'
    assert out.read_text(encoding="utf-8") == written
    values.write_text(json.dumps(edited(quant_enable=2)), encoding="utf-8")
    result = cli("condense", values, "--graph", graph, "-o", out)
    assert result.status == 1 and "error[wrong-type]: conv1 > quant_enable: it is true or false, not 2" in result.err
    assert out.read_text(encoding="utf-8") == written


# ---------------------------------------------------------------- a plan knows what made it

CASCADE = """common_config { ifmr_quantize { asymmetric: false } }
override_layer_types { layer_type: "Conv2D" calibration_config { ifmr_quantize { asymmetric: true } } }
override_layer_configs { layer_name: "conv1" calibration_config { } }
"""


@pytest.mark.parametrize("rules", ["documented", "toolkit"])
def test_a_plan_explains_by_the_rules_and_the_document_that_made_it(rules):
    document = amctcfg.parse(CASCADE, name="some.cfg")
    layer = Layer("conv1", "Conv2D")
    plan = amctcfg.expand(document, [layer], rules=rules)
    expected = amctcfg.explain(document, layer, rules=rules)
    assert amctcfg.explain(plan, layer) == amctcfg.explain(plan, "conv1") == expected
    assert ("the toolkit skips override_layer_types" in expected) is (rules == "toolkit")
    assert "some.cfg:" in expected
    assert ("the toolkit skips override_layer_types" in plan._repr_html_()) is (rules == "toolkit")
    clone = pickle.loads(pickle.dumps(plan))
    assert amctcfg.explain(clone, "conv1") == expected
    with pytest.raises(KeyError, match="nope"):
        amctcfg.explain(plan, "nope")


def test_a_plan_that_was_read_explains_by_its_text():
    layer = Layer("conv1", "Conv2D")
    written = amctcfg.expand(amctcfg.loads(CASCADE), [layer]).to_json()
    assert "quant_config, some.json:" in amctcfg.explain(amctcfg.read_plan(written, [layer], "some.json"), "conv1")


def test_diff_reads_each_file_by_the_rules_of_its_head(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = """\
override_layer_types { layer_type: "Conv2D" calibration_config { ifmr_quantize { asymmetric: false } } }
override_layer_configs { layer_name: "c" calibration_config { ifmr_quantize { } } }
"""
    (tmp_path / "l.csv").write_text("name,type\nc,Conv2D\n", encoding="utf-8")
    (tmp_path / "page.cfg").write_text(text, encoding="utf-8")
    (tmp_path / "toolkit.cfg").write_text("# amctcfg: rules=toolkit\n" + text, encoding="utf-8")
    assert cli("diff", "page.cfg", "page.cfg", "--graph", "l.csv").status == 0
    for files in (("page.cfg", "toolkit.cfg"), ("toolkit.cfg", "page.cfg")):
        result = cli("diff", *files, "--graph", "l.csv")
        assert result.status == 1 and "asymmetric" in result.out
        assert cli("diff", *files, "--graph", "l.csv", "--rules", "toolkit").status == 0


@pytest.mark.parametrize("name", [name for name, flavour in amctcfg.FLAVOURS.items() if flavour.layout])
def test_a_plan_and_what_it_writes_do_not_differ(name):
    """Whichever is the first; what the JSON has no key for is left out of account."""
    flavour = amctcfg.FLAVOURS[name]
    model = [Layer("c", min(flavour.fusible_types))]
    text = "activation_offset: false\nskip_fusion_layers: 'c'\n"
    for more in ("skip_approximation_layers: 'c'\n", "batch_num: 3\n"):
        text += more if more.partition(":")[0] in flavour.config.__schema__.fields else ""
    plan = amctcfg.expand(amctcfg.loads(text, flavour=flavour), model)
    read = amctcfg.read_plan(plan.to_json(), model, flavour=flavour)
    assert amctcfg.diff(plan, read) == amctcfg.diff(read, plan) == ()


def test_two_plans_differ_without_their_layers():
    one, other = amctcfg.parse(""), amctcfg.parse("activation_offset: false")
    model = [Layer("conv1", "Conv2D"), Layer("relu", "Relu")]
    plans = [amctcfg.expand(document, model) for document in (one, other)]
    assert amctcfg.diff(*plans) == amctcfg.diff(one, other, model) != ()
    assert amctcfg.diff(*plans)[0].after_origin.span.column == 1
    for sides in ((one, plans[1]), (plans[0], other), (one, other)):
        with pytest.raises(TypeError, match="needs the layers"):
            amctcfg.diff(*sides)


GLOBAL_FIELDS = [
    ("ge", "version: 2", "version", 1, 2),
    ("ge", "joint_quant: true", "joint_quant", False, True),
    ("ge", "activation_offset: false", "activation_offset", True, False),
    (
        "ge", "tensor_quantize { layer_name: 'm' input_index: 0 }", "tensor_quantize",
        [], [{"layer_name": "m", "input_index": 0}],
    ),
    ("tensorflow", "skip_approximation_layers: 'c'", "skip_approximation_layers", [], ["c"]),
    ("tensorflow", "fakequant_precision_mode: FORCE_FP16_QUANT", "fakequant_precision_mode", None, "FORCE_FP16_QUANT"),
]  # fmt: skip


@pytest.mark.parametrize("flavour, text, key, before, after", GLOBAL_FIELDS)
def test_diff_sees_what_holds_for_the_model_as_a_whole(flavour, text, key, before, after):
    flavour = amctcfg.FLAVOURS[flavour]
    model = [Layer("c", "Conv2D"), Layer("m", "MaxPool")]
    changes = amctcfg.diff(amctcfg.loads("", flavour=flavour), amctcfg.parse(text, flavour=flavour), model)
    found = [(c.layer, c.field, c.before, c.after) for c in changes if c.layer is None]
    assert found == [(None, key, before, after)]
    assert changes[0].after_origin.tier == key and changes[0].after_origin.span.column == 1
    again = amctcfg.diff(amctcfg.parse(text, flavour=flavour), amctcfg.loads(text, flavour=flavour), model)
    assert again == ()


# ---------------------------------------------------------------- condense: heads, tensors, layers that are skipped


@pytest.mark.parametrize("name", ["tensorflow", "onnx"])
@pytest.mark.parametrize(
    "entry",
    [
        "",
        "ifmr_quantize { asymmetric: false }",
        "ifmr_quantize { search_step: 0.5 }",
        "hfmg_quantize { }",
        "hfmg_quantize { num_of_bins: 1024 }",
    ],
)
@pytest.mark.parametrize("common", ["", "common_config { ifmr_quantize { asymmetric: false search_step: 0.02 } }\n"])
def test_condense_writes_of_a_tensor_what_it_has_to(name, entry, common):
    flavour = amctcfg.FLAVOURS[name]
    layers = [
        amctcfg.Layer("c", next(iter(flavour.channel_wise_types))),
        amctcfg.Layer("m", next(t for t, known in flavour.types.items() if not known.quantizable)),
    ]
    if (
        "hfmg" in entry
        and "hfmg_quantize"
        not in amctcfg.FLAVOURS[name].config.__schema__.fields["tensor_quantize"].kind.__schema__.fields
    ):
        pytest.skip("tensors have no HFMG here")
    text = common + 'tensor_quantize {{ layer_name: "m" input_index: 0 {} }}\n'.format(entry)
    plan = amctcfg.expand(amctcfg.loads(text, flavour=flavour), layers)
    short = amctcfg.condense(plan.to_json(), layers, flavour=flavour)
    assert amctcfg.expand(short, layers).to_json() == plan.to_json()
    written = amctcfg.dumps(short).partition("tensor_quantize")[2].split("\n}")[0]
    if not entry:
        assert written == ' {\n  layer_name: "m"\n  input_index: 0'
    assert written.count("\n") <= 5


def test_what_condense_writes_passes_check(cli, tmp_path):
    layers = [amctcfg.Layer("l{}".format(i), "Conv2D") for i in range(40)]
    text = "".join(
        'override_layer_configs {{ layer_name: "l{}" calibration_config {{ ifmr_quantize {{ search_step: {} }} }} }}\n'.format(
            i, 0.02 + i / 1000
        )
        for i in range(1, 30)
    )
    text += "common_config { ifmr_quantize { max_percentile: 0.99999 } }\n"
    data = amctcfg.expand(amctcfg.loads(text), layers).to_dict()
    for i in range(1, 25):
        data["l{}".format(i)]["quant_enable"] = False
    (tmp_path / "models").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "config.json").write_text(json.dumps(data))
    (tmp_path / "models" / "g.csv").write_text("name,type\n" + "".join("{},Conv2D\n".format(x.name) for x in layers))
    result = cli(
        "condense", tmp_path / "config.json", "--graph", tmp_path / "models" / "g.csv", "-o", tmp_path / "out" / "q.cfg"
    )
    assert result.status == 0, result.err
    written = (tmp_path / "out" / "q.cfg").read_text()
    head, _, rest = written.partition("\n")
    assert head == "# amctcfg: graph=../models/g.csv flavour=tf-ascend ignore=partial-override,skipped-override"
    assert amctcfg.expand(amctcfg.loads(written), layers).to_dict() == data
    checked = cli("check", "--strict-warnings", tmp_path / "out" / "q.cfg")
    assert (checked.status, checked.err) == (0, ""), checked.out
    # Without the head: one warning for all that stand one behind the other.
    (found,) = [d for d in amctcfg.check(rest, layers=layers) if d.code == "skipped-override"]
    assert found.message == (
        "'l1', 'l2', 'l3' and 21 more are not quantized, skip_layers skips them; these overrides have no effect"
    )


OFFSETS = """activation_offset: false
common_config { ifmr_quantize { asymmetric: true } }
override_layer_types { layer_type: 'Conv2D' calibration_config { ifmr_quantize { asymmetric: false } } }
override_layer_configs { layer_name: 'a' calibration_config { } }
"""
ASYMMETRIC = "common_config { ifmr_quantize { asymmetric: true } }"


@pytest.mark.parametrize(
    "flavour, text, layer, rules, lines",
    [
        ("tf-ascend", "skip_layer_types: 'MatMul'", Layer("a", "MatMul"), "documented",
         ["not quantized: skip_layer_types at skip_layer_types.0", "quant_enable        false       skip_layer_types, skip_layer_types.0"]),
        ("tf-ascend", "", Layer("a", "Conv2D", False), "documented", ["not quantized: the toolkit's conditions do not hold"]),
        ("tf-ascend", "", Layer("a", "Relu"), "documented", ["not quantized: its type is not quantizable"]),
        ("tf-ascend", ASYMMETRIC, Layer("a", "MatMul", True, ("int16", "asymmetric")), "documented",
         ["can't have: int16 and asymmetric",
          "asymmetric          false       all that a layer of type MatMul can have",
          "asymmetric true at common_config.ifmr_quantize.asymmetric: a layer of type MatMul can't have it"]),
        ("pytorch", ASYMMETRIC, Layer("a", "Conv3d"), "documented",
         ["asymmetric true at common_config.ifmr_quantize.asymmetric: a layer of type Conv3d can't have it"]),
        ("tf-ascend", OFFSETS, Layer("a", "Conv2D"), "documented",
         ["asymmetric          false       override_layer_types, override_layer_types.0.calibration_config.ifmr_quantize.asymmetric",
          "asymmetric true at common_config.ifmr_quantize.asymmetric: override_layer_types comes first",
          "activation_offset false at activation_offset: override_layer_types comes first"]),
        ("tf-ascend", OFFSETS, Layer("a", "Conv2D"), "toolkit",
         ["asymmetric          true        common_config, common_config.ifmr_quantize.asymmetric",
          "asymmetric false at override_layer_types.0.calibration_config.ifmr_quantize.asymmetric: "
          "the toolkit skips override_layer_types for a layer with an override of its own"]),
        ("tf-ascend", "do_fusion: false skip_fusion_layers: 'a'", Layer("a", "Conv2D"), "documented",
         ["do_fusion false at do_fusion: skip_fusion_layers names the layer"]),
        ("tf-ascend", "skip_layers: 'a' skip_layer_types: 'Conv2D'", Layer("a", "Conv2D"), "documented",
         ["not quantized: skip_layers at skip_layers.0", "not quantized: skip_layer_types at skip_layer_types.0",
          "skip_layer_types false at skip_layer_types.0: skip_layers comes first"]),
    ],
)  # fmt: skip
def test_what_an_explanation_says(flavour, text, layer, rules, lines):
    shown = amctcfg.explain(amctcfg.loads(text, flavour=amctcfg.FLAVOURS[flavour]), layer, rules)
    assert [line for line in lines if line not in map(str.strip, shown.splitlines())] == []


def test_a_layer_that_a_json_does_not_name_is_explained():
    assert "not quantized: default" in amctcfg.explain(amctcfg.read_plan({"version": 1}, [Layer("a", "Conv2D")]), "a")


def test_a_diff_reports_the_errors_of_both_sides():
    layers = [Layer("a", "Conv2D")]
    one, other = amctcfg.parse("skip_layers: 'b'"), amctcfg.parse("skip_layers: 'c'")
    for sides, names, text in (
        ((one, other), ["'b'", "'c'"], None),
        ((one, amctcfg.AMCTConfig()), ["'b'"], one.text),
        ((amctcfg.AMCTConfig(), other), ["'c'"], other.text),
    ):
        with pytest.raises(ConfigError) as caught:
            amctcfg.diff(*sides, layers)
        found = caught.value.diagnostics
        assert [d.code for d in found] == ["unknown-layer"] * len(names)
        assert all(name in d.message for name, d in zip(names, found))
        assert caught.value.text == text
