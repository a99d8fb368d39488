# SPDX-License-Identifier: Apache-2.0
"""Independent witnesses of what is text format, and what it says: Lark, protobuf's Python parser, and protoc."""

import atexit
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import warnings
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import amctcfg
from amctcfg import TF_ASCEND, ConfigError, textformat
from amctcfg.tools.exporting import write_proto

from .conftest import DATA, THOROUGH, seldom
from .corpus import CASES, text_of
from .strategies import FLAVOURS, any_text, broken_texts, configs, flavours, number_texts, string_texts

GRAMMAR = Path(__file__).parent.parent / "grammar" / "textproto.lark"
TEXTS = [text_of(case) for case in CASES if "text" in case]
TEXTS += [path.read_text(encoding="utf-8") for path in sorted(DATA.glob("valid/*.cfg"))]

# ---------------------------------------------------------------- Lark, on the same grammar


@lru_cache(maxsize=1)
def lark_parser():
    lark = pytest.importorskip("lark", reason="Lark is needed at build time only")
    grammar = GRAMMAR.read_text(encoding="utf-8")
    return lark.Lark(
        grammar, parser="lalr", lexer="contextual", start="text", keep_all_tokens=True, propagate_positions=True
    )


def lark_tree(text):
    """Lark's tree in the shape of ours, or None."""
    from lark.exceptions import UnexpectedInput

    try:
        return [converted(child) for child in lark_parser().parse(text).children if not is_separator(child)]
    except UnexpectedInput:
        return None


def is_separator(child):
    return getattr(child, "type", None) in ("COMMA", "SEMICOLON")


def converted(tree):
    start, end = tree.meta.start_pos, tree.meta.end_pos
    children = [child for child in tree.children if not is_separator(child)]
    if tree.data in ("scalar", "element"):
        name = str(children[0]) if tree.data == "scalar" else None
        return name, str(children[-1]), start, children[-1].end_pos
    opening = children[0]
    name = str(opening.children[0]) if hasattr(opening, "children") else None
    return name, [converted(child) for child in children[1:-1]], start, end


def our_tree(text):
    def plain(fields):
        return [
            (name, value if isinstance(value, str) else plain(value), start, end)
            for name, value, start, end in textformat.split(fields)
        ]

    try:
        return plain(textformat.parse(text).fields)
    except ConfigError:
        return None


def test_lark_agrees_on_the_corpus():
    for text in TEXTS:
        assert our_tree(text) == lark_tree(text)


@pytest.mark.thorough  # to draw from a grammar takes long
@seldom
@given(st.data())
def test_lark_agrees_on_strings_of_the_grammar(data):
    pytest.importorskip("lark", reason="Lark is needed at build time only")
    from hypothesis.extra.lark import from_lark

    text = data.draw(grammar_texts(from_lark))
    expected = lark_tree(text)
    assert our_tree(text) == expected


@lru_cache(maxsize=1)
def grammar_texts(from_lark):
    """Strings that the grammar makes; tokens meet without a blank, so not all of them are text format."""
    skip = re.search(r"^SKIP +: /(.*)/$", GRAMMAR.read_text(encoding="utf-8"), re.MULTILINE)
    assert skip
    words = st.sampled_from(["a", "b1", "true", "inf", "_x"])
    numbers = st.sampled_from(
        ["0", "1", "-1", "- 1", "1.5", ".5", "1.", "1e5", "0x1", "017", "1f", "-inf", "- nan", "-#\n2"]
    )
    strings = st.sampled_from(['""', "'a'", "\"a\" 'b'", '"\\n"', '"\\377"', '"a"#x\n"b"', '"\\u00e9"'])
    blanks = st.sampled_from([" ", "\n", "\t", "\r\n"])
    comments = st.sampled_from(["#\n", "# a: {\n"])
    explicit = {
        "NAME": words, "FIELD_NAME": words | st.sampled_from(["[a.b]", "[ a . b / c ]", "[a]"]), "NUMBER": numbers,
        "STRING": strings, "BLANKS": blanks, "COMMENT": comments,
    }  # fmt: skip
    return from_lark(lark_parser(), start="text", explicit=explicit)


@given(broken_texts())
def test_lark_agrees_on_mutated_configurations(text):
    assert our_tree(text) == lark_tree(text)


@given(string_texts() | number_texts())
def test_lark_agrees_on_odd_literals(text):
    assert our_tree(text) == lark_tree(text)


# ---------------------------------------------------------------- google.protobuf.text_format

# Where protobuf's Python parser is no witness because it deviates from the specification: what it does wrong, what
# such a text looks like outside or inside of its strings, and an example.
DEVIATIONS = [
    ("takes blanks and digits beyond ASCII", r"[^\x00-\x7f]|[\x1c-\x1f]", "do_fusion:\u2003true"),
    ("takes NUL", "\0", "do_fusion: true # \0"),
    ("takes a plus sign", r"\+", "common_config { ifmr_quantize { search_range_end: +2 } }"),
    ("takes underscores in numbers", r"[0-9]_", "common_config { ifmr_quantize { search_range_end: 2_0 } }"),
    (
        "takes a second f behind a number",
        r"[0-9.][fF][fF]",
        "common_config { ifmr_quantize { search_range_end: 2ff } }",
    ),
    ("takes an f behind inf and nan", r"(?i:inff|nanf)", "common_config { ifmr_quantize { search_range_end: inff } }"),
    ("refuses a blank or comment behind '-'", r"-[\s#]", "common_config { ifmr_quantize { search_step: - 1e-50 } }"),
    ("refuses octal and hexadecimal bools", r"\b0[0-9xX]", "do_fusion: 01"),
]
try:
    import google.protobuf

    # 5.29 is the last for Python 3.8.
    if int(google.protobuf.__version__.split(".")[0]) < 6:
        DEVIATIONS.append(
            ("refuses a capital F", r"[0-9.]F", "common_config { ifmr_quantize { search_range_end: 2F } }")
        )
except ImportError:
    pass  # the tests below skip
STRING_DEVIATIONS = [
    ("takes NUL", "\0", 'skip_layers: "\0"'),
    ("takes any escape, and reads \\? as two characters", r"\\[^abfnrtv\\'\"0-7xuU]", 'skip_layers: "\\q"'),
]
STRING = re.compile(r"""\"(?:[^"\\\n]|\\[^\n])*\"|'(?:[^'\\\n]|\\[^\n])*'""")


def deviates(text):
    strings, rest = "".join(STRING.findall(text)), STRING.sub('""', text)
    found = [reason for reason, pattern, _ in DEVIATIONS if re.search(pattern, rest)]
    return found + [reason for reason, pattern, _ in STRING_DEVIATIONS if re.search(pattern, strings)]


def message_class(flavour):
    # Older ones, such as the last for Python 3.7, crash on some escapes.
    pytest.importorskip("google.protobuf", minversion="5.26", reason="a current protobuf is the witness")
    from . import dynamic_schema

    return dynamic_schema.message_class(flavour)


def protobuf_value(text, flavour=TF_ASCEND):
    """What protobuf makes of a text, as plain values, or None."""
    empty = message_class(flavour)()  # first, as it skips where there is no protobuf
    from google.protobuf import text_format

    try:
        with warnings.catch_warnings():  # Python's codec warns of the escapes that protobuf lets through
            warnings.simplefilter("ignore", DeprecationWarning)
            message = text_format.Parse(text, empty)
    except (text_format.ParseError, UnicodeDecodeError, ValueError):
        return None
    return message_values(message) if message.IsInitialized() else None


def message_values(message):
    values = {}
    for field, value in message.ListFields():
        repeated = not isinstance(value, (str, bool, float, int)) and hasattr(value, "append")
        elements = [
            message_values(v) if hasattr(v, "ListFields") else scalar(named(field, v))
            for v in (value if repeated else [value])
        ]
        values[field.name] = elements if repeated else elements[0]
    return values


def named(field, value):
    return value if field.enum_type is None else field.enum_type.values_by_number[value].name


def scalar(value):
    return struct.pack("f", value) if isinstance(value, float) else value


def our_value(text, flavour=TF_ASCEND):
    """What we make of a text in the same shape: None for an error that protobuf has as well."""

    def plain(value):
        if hasattr(value, "__schema__"):
            found = {name: plain(getattr(value, name)) for name in value.__schema__.fields}
            return {name: v for name, v in found.items() if v is not None and v != []}
        return [plain(v) for v in value] if isinstance(value, tuple) else scalar(value)

    try:
        return plain(amctcfg.loads(text, flavour=flavour))
    except ConfigError as error:
        ours = {"out-of-range", "duplicate-entry"}  # rules that the schema does not have
        return "only ours" if {d.code for d in error.diagnostics} <= ours else None


def agree_with_protobuf(text, flavour=TF_ASCEND):
    ours, theirs = our_value(text, flavour), protobuf_value(text, flavour)
    if ours == "only ours":
        # Whole numbers out of their 32 bits, and numbers that no name of an enum has, are refused by both.
        assert theirs is not None or deviates(text) or re.search(r"[0-9]{10}|-[0-9]|_mode|dst_type", text), text
    elif ours != theirs:
        assert deviates(text), text


def test_protobuf_agrees_on_the_corpus():
    for text in TEXTS:
        agree_with_protobuf(text)


@given(flavours.flatmap(lambda f: st.tuples(st.just(f), configs(any_text, any_text, f))))
def test_protobuf_reads_what_we_print(pair):
    flavour, config = pair
    text = amctcfg.dumps(config)
    assert protobuf_value(text, flavour) == our_value(text, flavour) is not None


@given(flavours.flatmap(lambda f: st.tuples(st.just(f), broken_texts(f))))
def test_protobuf_agrees_on_mutated_configurations(pair):
    flavour, text = pair
    agree_with_protobuf(text, flavour)


@given(string_texts() | number_texts())
def test_protobuf_agrees_on_odd_literals(text):
    agree_with_protobuf(text)


WHOLE_NUMBERS = [
    "0",
    "1",
    "01",
    "0x1f",
    "0X1F",
    "07",
    "08",
    "- 1",
    "-1",
    "1.0",
    "1f",
    "1e3",
    "4294967295",
    "4294967296",
    "+1",
    "1_0",
    "0x",
]


@pytest.mark.parametrize("literal", WHOLE_NUMBERS)
def test_protobuf_agrees_on_whole_numbers(literal):
    agree_with_protobuf("batch_num: " + literal, amctcfg.PYTORCH)
    agree_with_protobuf("version: " + literal, amctcfg.GE)
    agree_with_protobuf("common_config { ifmr_quantize { dst_type: %s } }" % literal, amctcfg.PYTORCH)


ONEOFS = ["ifmr_quantize { %s }", "hfmg_quantize { %s }", "arq_quantize { %s }", "ada_quantize { %s }"]


@given(
    st.lists(
        st.tuples(st.sampled_from(ONEOFS), st.sampled_from(["", "asymmetric: true", "channel_wise: true"])), max_size=6
    )
)
def test_lenient_reading_of_oneofs_is_protobufs_merge(parts):
    """The last member wins and an earlier one is lost whole; the same member twice is merged."""
    message = message_class(amctcfg.PYTORCH)()
    from google.protobuf import text_format

    inside = [part % (field if ("channel" in field) == (part[0] == "a") else "") for part, field in parts]
    text = "".join("common_config { %s }\n" % one for one in inside)
    text_format.Merge(text, message)
    document = amctcfg.parse(text, strict=False, flavour=amctcfg.PYTORCH)
    assert message_values(message) == our_value(amctcfg.dumps(document.config), amctcfg.PYTORCH)


@seldom
@given(flavours.flatmap(lambda f: st.tuples(st.just(f), configs(flavour=f))))
def test_we_read_what_protobuf_prints(pair):
    flavour, config = pair
    empty = message_class(flavour)()
    from google.protobuf import text_format

    message = text_format.Parse(amctcfg.dumps(config), empty)
    for options in ({}, {"as_one_line": True}, {"use_short_repeated_primitives": True, "pointy_brackets": True}):
        assert amctcfg.loads(text_format.MessageToString(message, **options), flavour=flavour) == config


@pytest.mark.parametrize("reason, pattern, example", DEVIATIONS + STRING_DEVIATIONS)
def test_each_deviation_is_one(reason, pattern, example):
    assert deviates(example) == [reason]
    ours, theirs = our_value(example), protobuf_value(example)
    assert (ours is None) != (theirs is None) or ours != theirs


# ---------------------------------------------------------------- protoc, where the first two differ


@lru_cache(maxsize=None)
def schema_folder(flavour):
    """A folder with the flavour's schema as `amctcfg flavours --proto` prints it."""
    folder = tempfile.mkdtemp(prefix="amctcfg-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    Path(folder, "flavour.proto").write_text(write_proto(flavour), encoding="utf-8")
    return folder


def protoc(text, flavour=TF_ASCEND):
    """Run the C++ parser on a text; skips where grpcio-tools is missing."""
    pytest.importorskip("grpc_tools.protoc", reason="protoc comes with grpcio-tools")
    folder = schema_folder(flavour)
    command = [sys.executable, "-W", "ignore", "-m", "grpc_tools.protoc", "-I", folder, "--encode=amct.AMCTConfig"]
    command.append(str(Path(folder, "flavour.proto")))
    return subprocess.run(command, input=text.encode("utf-8"), capture_output=True, check=False)


def protoc_takes(text):
    return protoc(text).returncode == 0


@pytest.mark.parametrize("flavour", FLAVOURS, ids=lambda flavour: flavour.name)
def test_protoc_compiles_the_exported_schema(flavour):
    """And reads the defaults of a block with it."""
    result = protoc("common_config { ifmr_quantize { search_step: 0.02 asymmetric: false } arq_quantize { } }", flavour)
    assert (result.returncode, result.stderr) == (0, b"")
    assert len(result.stdout) > 4


DISPUTED = [text for text in TEXTS if deviates(text)]

# Where the C++ parser deviates as well.
PROTOC_DEVIATIONS = {
    "takes \\X as well as \\x": r"\\X",
    "takes strings that are not UTF-8, and surrogates": r"\\[ux]|\\[0-7]",
}


@pytest.mark.parametrize("text", DISPUTED if THOROUGH else DISPUTED[::6])  # each starts a process
def test_protoc_sides_with_us(text):
    takes = protoc_takes(text)
    if takes != (our_value(text) is not None):
        assert [reason for reason, pattern in PROTOC_DEVIATIONS.items() if re.search(pattern, text)], text


def test_something_is_disputed():
    assert len(DISPUTED) > 20
