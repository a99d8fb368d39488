# SPDX-License-Identifier: Apache-2.0
"""The text format: the conformance corpus, and that no bytes do harm."""

import dataclasses
import json
import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

import amctcfg
from amctcfg import ConfigError, textformat
from amctcfg.diagnostics.source import Source
from amctcfg.documents.document import read_text
from amctcfg.textformat.parser import parse_fields

from .conftest import DATA, THOROUGH
from .corpus import CASES, text_of
from .strategies import broken_texts, flavours, known_names

STRINGS_OR_BRACES = r"""\"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[{}]"""
LONG = 20000 if THOROUGH else 1200  # either is deeper than Python's own recursion goes
FUZZED = sorted((DATA / "fuzz").glob("*"))


def plain(value):
    """A configuration as the corpus writes it: what is there, as dicts and lists."""
    if dataclasses.is_dataclass(value):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return {name: plain(v) for name, v in fields.items() if v is not None and v != ()}
    return [plain(v) for v in value] if isinstance(value, tuple) else value


def first_error(diagnostics):
    return "{} {}:{}".format(diagnostics[0].code, *diagnostics[0].span[:2])


def errors_of(text):
    """The errors of the text itself: that a type is not one of the flavour's, only `check` tells."""
    return [d for d in amctcfg.check(text) if d.severity == "error" and d.code != "unknown-type"]


@pytest.mark.parametrize("rule", dict.fromkeys(case["rule"] for case in CASES))
def test_corpus_through_the_library(rule):
    for case in CASES:
        if case["rule"] != rule:
            continue
        text = text_of(case)
        if "is" in case:
            assert plain(amctcfg.loads(text)) == case["is"], text
            assert errors_of(text) == []
        else:
            with pytest.raises(ConfigError) as caught:
                amctcfg.loads(text)
            assert first_error(caught.value.diagnostics) == case["error"], text
            assert errors_of(text) == list(caught.value.diagnostics)


def test_corpus_through_the_command_line(cli, tmp_path):
    paths = []
    for number, case in enumerate(CASES):
        path = tmp_path / "{:03}.cfg".format(number)
        text = text_of(case)
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        paths.append(path)
    result = cli("check", "--format", "json", "--flavour", "tf-ascend", *paths)
    told = {}
    for diagnostic in json.loads(result.out)["diagnostics"]:
        if diagnostic["severity"] == "error" and diagnostic["code"] != "unknown-type":
            told.setdefault(diagnostic["file"], diagnostic)
    for path, case in zip(paths, CASES):
        first = told.get(str(path))
        found = first and "{} {}:{}".format(first["code"], first["span"]["line"], first["span"]["column"])
        assert found == case.get("error"), case


def test_every_rule_has_valid_and_invalid_cases():
    for rule in {case["rule"] for case in CASES} - {"no NUL", "names", "types", "duplicates", "required"}:
        verdicts = {"is" in case for case in CASES if case["rule"] == rule}
        assert verdicts == {True, False}, rule


def survives(text):
    """A value or a `ConfigError`; and its message can be shown."""
    try:
        config = amctcfg.loads(text)
    except ConfigError as error:
        assert str(error).startswith("<string>:")
        assert all(d.severity == "error" for d in error.diagnostics)
    else:
        assert amctcfg.loads(amctcfg.dumps(config)) == config
    for strict in (True, False):
        amctcfg.check(text, strict=strict)


@given(st.binary(max_size=80))
@example(b"\xff\xfe")
def test_any_bytes(data):
    survives(data)


@given(st.text(max_size=80))
@example("\ud800")
@example("a:[a:[")
def test_any_text(text):
    survives(text)


@given(broken_texts())
def test_any_mutation_of_a_configuration(text):
    survives(text)


@pytest.mark.parametrize("path", FUZZED, ids=lambda path: path.name)
def test_what_the_fuzzer_found(path):
    survives(path.read_bytes())


@given(st.binary(max_size=60))
@example(b'{"')
def test_the_command_line_takes_any_bytes(data):
    from .conftest import command

    result = command("check", "-", stdin=data)
    is_json = result.err == "amctcfg: a JSON quantization config is checked on a model: --graph G\n"
    assert result.status in (0, 1) or (is_json and data.lstrip()[:1] == b"{")
    assert "Traceback" not in result.out + result.err


@pytest.mark.parametrize(
    "unit",
    [
        "{", "}", "<", "[", "]", "a{", "a<", "a:[", "a:[{", '"', "'", "\\", '"a" ', "skip_layers:", "1", "1e", "0", "-",
        "#", "#\n", "# x\n", "\r", ",", "a:1,", "do_fusion: true\n", 'skip_layers: "a"', "common_config{",
        "common_config{}", "override_layer_types{}", "a ", "a.", "[a.", "a{b:1}", "a{b:1 ", "a{b{c:1}} ", "a{b{c:1 ",
    ],
)  # fmt: skip
def test_depth_and_length_do_no_harm(unit):
    for before in ("", "skip_layers: ", 'skip_layers: "', "common_config{ifmr_quantize{search_step: "):
        survives(before + unit * LONG)


@pytest.mark.parametrize("blank", [" ", "\n", "#\n"])
@pytest.mark.parametrize(
    "around",
    [
        "a|x",
        "a|{",
        "a|: x",
        "a:|}",
        "a {|",
        "a {| ]",
        "a { b|: 1 ]",
        "a { b:| {",
        "a { b: 1|; ]",
        "a { b {| c: 1 ] } }",
        "a: 'b'|'c",
    ],
)
def test_long_blanks_are_read_once(around, blank):
    survives(around.replace("|", blank * (10 * LONG if THOROUGH else LONG)))


def test_huge_numbers_are_within_pythons_own_limits():
    digits = "common_config {{ ifmr_quantize {{ search_range_end: {} }} }}"
    for literal in ("9" * 50000, "0." + "0" * 50000 + "1", "1e" + "9" * 5000, "1e-" + "9" * 5000):
        with pytest.raises(ConfigError, match="out-of-range"):
            amctcfg.loads(digits.format(literal))
    assert amctcfg.loads("do_fusion: 0x" + "0" * 50000 + "1").do_fusion is True


def test_the_tree_alone():
    tree = textformat.parse("a: -1 # one\nb { c: ['x', \"y\"] }\n[d.e] <>", name="any.txt")
    found = [
        (e.name, e.value if isinstance(e.value, str) else list(tree.elements(e.value)), e.span) for e in tree.elements()
    ]
    assert [(name, span) for name, _, span in found] == [
        ("a", (1, 1, 1, 6)),
        ("b", (2, 1, 2, 20)),
        ("[d.e]", (3, 1, 3, 9)),
    ]
    (inner,) = found[1][1]
    assert (inner.name, inner.span) == ("c", (2, 5, 2, 18))
    assert [(e.value, e.span, e.value_span) for e in tree.elements(inner.value)] == [
        ("'x'", (2, 9, 2, 12), (2, 9, 2, 12)),
        ('"y"', (2, 14, 2, 17), (2, 14, 2, 17)),
    ]
    with pytest.raises(ConfigError) as caught:
        textformat.parse(b"a: \xff", name="any.txt")
    assert (caught.value.diagnostics[0].code, caught.value.diagnostics[0].name) == ("encoding", "any.txt")


@pytest.mark.parametrize(
    "path, text",
    [
        (("do_fusion",), "do_fusion : true"),
        (("skip_layers", 0), "skip_layers: 'a'"),
        (("skip_layers", 2), "'c'"),
        (("common_config", "ifmr_quantize", "search_step"), "search_step: 0.02"),
        (("override_layer_configs", 1, "layer_name"), "layer_name: 'y'"),
        (("override_layer_configs", 1, "calibration_config"), "calibration_config { arq_quantize { } }"),
    ],
)
def test_spans(path, text):
    source = (
        "do_fusion : true skip_layers: 'a' skip_layers: ['b', 'c']\n"
        "common_config { ifmr_quantize { search_step: 0.02; } }\n"
        "override_layer_configs: [{ layer_name: 'x' calibration_config {} },\n"
        "  { layer_name: 'y' calibration_config { arq_quantize { } } }]"
    )
    span = amctcfg.parse(source).span(path)
    assert span.line == span.end_line
    assert source.split("\n")[span.line - 1][span.column - 1 : span.end_column - 1] == text


def test_a_span_that_is_not_there():
    with pytest.raises(KeyError):
        amctcfg.parse("do_fusion: true").span(("skip_layers", 0))


LENIENT = """
do_fusion: true  do_fusion: false
common_config { ifmr_quantize { search_step: 0.02 } }
common_config { ifmr_quantize { search_range_start: 0.8 } arq_quantize { } }
override_layer_types { layer_type: "Conv2D" }
override_layer_configs { calibration_config { } }
"""


def test_lenient_reading():
    document = amctcfg.parse(LENIENT, strict=False)
    assert plain(document.config) == {
        "do_fusion": False,
        "common_config": {"ifmr_quantize": {"search_step": 0.02, "search_range_start": 0.8}, "arq_quantize": {}},
        "override_layer_types": [{"layer_type": "Conv2D", "calibration_config": {}}],
        "override_layer_configs": [{"layer_name": "", "calibration_config": {}}],
    }
    told = [(d.severity, d.code, *d.span[:2]) for d in document.diagnostics]
    assert told == [
        ("warning", "duplicate-field", 2, 18),
        ("warning", "duplicate-field", 4, 1),
        ("warning", "duplicate-field", 4, 17),
        ("warning", "missing-field", 5, 1),
        ("warning", "missing-field", 6, 1),
    ]
    assert document.span(("common_config", "ifmr_quantize", "search_step")).line == 3
    assert document.span(("common_config", "ifmr_quantize", "search_range_start")).line == 4


def test_lenient_reading_is_strict_about_everything_else():
    with pytest.raises(ConfigError) as caught:
        amctcfg.parse("do_fusion: 3 do_fusion: true batch_num: 1 " + "override_layer_types{}" * 2, strict=False)
    errors = [(d.code, d.span.column) for d in caught.value.diagnostics if d.severity == "error"]
    assert errors == [("wrong-type", 12), ("unknown-field", 30), ("duplicate-entry", 65)]


@given(broken_texts())
@example("a: 1 # comment\nb { c: 'd' 'e' }")
@example("a: 0x10")
@example("[com.x/y] { a < b: -1 > }")
@example("a: 1 b: 2.5e")
@example("a { b: 1 c: 'd'; e: 0.5, f: g }; h: [1, # i\n 2] # j\n k: 'l' # m\n 'n' o: 1 # p\n ; q: 1 } # r")
@example("a { # b: 1\n c: 'd#' # e }\n f { g: 1 # h\n } } i { j { # k }\n } l: 1 # m\n , n: 2 # {\n }")
@example("a { b: bc: 1 } c { d: 1e } e { f: 01 }")
def test_the_scanner_that_compiles_quickly_agrees_with_the_full_one(text):
    """Whatever the quick one takes it takes as the full one does, and lets that one take the rest."""
    assert outcome(text, usual=True) == outcome(text, usual=False)


@given(flavours.flatmap(lambda flavour: st.tuples(st.just(flavour), broken_texts(flavour, known_names))))
@example(
    (
        amctcfg.TF_ASCEND,
        "common_config { arq_quantize { channel_wise: 1 chanel_wise: true } ifmr_quantize { ".ljust(99) + "} }",
    )
)
@example(
    (amctcfg.TF_ASCEND, "common_config { arq_quantize { channel_wise: true channel_wise: false } fmr_quantize: 3 }")
)
@example((amctcfg.TF_ASCEND, "common_config { ifmr_quantize { search_step: 0.02 # search_step: 1\n } # }\n }"))
@example((amctcfg.TF_ASCEND, 'override_layer_types { layer_type: "{a" calibration_config { } }'))
@example((amctcfg.TF_ASCEND, "common_config { ifmr_quantize { search_step: 2 } arq_quantize: { } do_fusion { } }"))
def test_messages_taken_as_a_whole_say_what_they_say_field_by_field(case):
    """Those in angle brackets are always read field by field."""
    flavour, text = case
    assume("<" not in text and ">" not in text)
    angular = re.sub(STRINGS_OR_BRACES, lambda match: {"{": "<", "}": ">"}.get(match[0], match[0]), text)
    for strict in (True, False):
        readings = []
        for written in (text, angular):
            try:
                reading = read_text(written, strict=strict, flavour=flavour)[1]
            except ConfigError as error:
                readings.append((error.diagnostics[0].code, error.diagnostics[0].span))
            else:
                found = [(d.severity, d.code, d.span, d.path) for d in reading.diagnostics]
                readings.append((reading.config, found, reading.broken))
        assert readings[0] == readings[1]


@pytest.mark.parametrize("block", ["{ ifmr_quantize { search_step: 2 } }", "{ ifmr_quantize < search_step: 2 > }"])
def test_what_is_wrong_twice_is_said_twice(block):
    """Equal blocks are read once, but for those with something wrong."""
    text = "override_layer_configs { layer_name: 'a' calibration_config %s }\n" % block
    found = amctcfg.check(text + text.replace("'a'", "'b'"))
    assert [(d.code, d.span.line) for d in found if d.severity == "error"] == [("out-of-range", 1), ("out-of-range", 2)]


def outcome(text, usual):
    try:
        return all_opened(parse_fields(Source(text, "x"), usual))
    except ConfigError as error:
        (found,) = error.diagnostics
        return found.code, found.span  # the words may differ in whether they name the token in front


def all_opened(fields):
    return [
        (name, value if isinstance(value, str) else (type(value), all_opened(value)), start, end)
        for name, value, start, end in textformat.split(fields)
    ]


def test_powers_of_two_have_their_shortest_decimal():
    """Where floats are spaced unevenly: below a power of two they are twice as dense as above it."""
    numpy = pytest.importorskip("numpy", reason="numpy's shortest decimals are the witness")
    for exponent in range(-149, 128):
        number = 2.0**exponent
        assert textformat.round_float32(number) == float(str(numpy.float32(number))), exponent
        below = float(numpy.nextafter(numpy.float32(number), numpy.float32(0)))
        assert textformat.round_float32(below) == float(str(numpy.float32(below))), exponent


SEVERAL = 'several values stand in brackets, names in quotes: ["a", "b"]'


@pytest.mark.parametrize(
    "text, place, hint",
    [
        ('skip_layers: "a", "b"', 19, SEVERAL),
        ('skip_layers: "a"; "b"', 19, SEVERAL),
        ('skip_layers: "a",\n  "b"', 3, SEVERAL),
        ('skip_layers: {"a", "b"}', 15, SEVERAL),
        ("skip_layers: a, b", 18, SEVERAL),
        (
            "skip_layers: conv/a, b, c",
            None,
            "a name that holds anything but letters, digits and '_' has to be in quotes",
        ),
        ("skip_layers: a, b, c", 18, SEVERAL),
        ("do_fusion: true, batch_num 2", 28, "write 'batch_num: ...'"),
        ('skip_layers: ("a", "b")', 14, "lists stand in [ ], messages in { }"),
        ("common_config ( )", 15, "lists stand in [ ], messages in { }"),
        ('skip_layers ["a"]', 14, "write a ':' in front of a list of values"),
        ('x [ { } "a" ]', 9, "separate the elements of a list with ','"),
        ('"skip_layers": ["a"]', 1, "the name of a field has no quotes"),
        ("common_config { 'ifmr_quantize' : { } }", 17, "the name of a field has no quotes"),
        ("x { search_step: 0,02 }", 20, "a decimal number has a point, not a comma"),
        ('x { } "a"', 7, None),
        ("x: 1 2", 6, None),
        ("x: , y: 1", 4, None),
        ("x: [1, }", 8, "'x [', opened at 1:1, is not closed with ']' yet"),
    ],
)
def test_what_people_bring_along_from_other_languages_has_its_cure(text, place, hint):
    with pytest.raises(ConfigError) as caught:
        amctcfg.loads(text)
    (found,) = caught.value.diagnostics
    assert (found.code, found.hint) == ("syntax", hint)
    assert place is None or found.span.column == place


@pytest.mark.parametrize(
    "data, is_gbk",
    [
        ("# 跳过第一层\nskip_layers: 'a'\n".encode("gbk"), True),
        ("# 跳过".encode() + b"\xff", False),
        ("# d\u00e9j\u00e0 vu\n".encode("latin-1"), False),
        (b"do_fusion: true \xc4", False),  # half of a character
    ],
)
def test_a_file_in_gbk_is_named_as_one(data, is_gbk):
    with pytest.raises(ConfigError) as caught:
        amctcfg.loads(data)
    (found,) = caught.value.diagnostics
    assert found.code == "encoding" and found.message.endswith("; the file seems to be in GBK") is is_gbk
