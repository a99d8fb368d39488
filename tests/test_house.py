# SPDX-License-Identifier: Apache-2.0
"""The house rules that can be counted.

The aim stands beside each figure; where the house is not there yet, the limit may only fall: lower it when you can.
"""

import ast
import collections
import re
from pathlib import Path

import amctcfg

from .test_architecture import ROOMS, nodes_of, tree_of

PACKAGE = Path(amctcfg.__file__).parent
ROOMS_OF_THEIR_OWN = {"simulation", "tuning", "pages", "editor"}  # that a host may delete

PATHS = {
    path.relative_to(PACKAGE).with_suffix("").as_posix(): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name != "_tables.py"
}
TEXTS = {name: path.read_text(encoding="utf-8") for name, path in PATHS.items()}


def trees():
    return [(name, tree_of(path)) for name, path in PATHS.items()]


MODULE_LINES = 480
ANY = 435


def room_of(name):
    return name.partition("/")[0]


def functions():
    for name, path in PATHS.items():
        for node in nodes_of(path):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield name, node


def documented():
    for name, path in PATHS.items():
        for node in nodes_of(path):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)):
                text = ast.get_docstring(node)
                if text:
                    yield "{}:{}".format(name, getattr(node, "name", "")), text


def test_functions_are_short():
    longest = collections.Counter()
    for name, node in functions():
        length = getattr(node, "end_lineno", node.lineno) - node.lineno + 1  # not known before Python 3.8
        longest["{}:{}".format(name, node.name)] = length
    # One loop, as a call for each token costs a third.
    allowed = {"textformat/parser:parse_fields": 80}
    assert {name: n for name, n in longest.items() if n > allowed.get(name, 65)} == {}


def test_modules_are_short():
    lengths = {name: text.count("\n") for name, text in TEXTS.items()}
    assert {name: length for name, length in lengths.items() if length > MODULE_LINES} == {}


# Names that several modules define on purpose: a dialect's messages, what every command, format and reader of models has,
# and the few below.
DIALECTS = "flavours/"
OF_EACH = {
    "cli": {"OPTIONS", "FORMATS", "run", "to_csv", "to_html", "to_json", "to_text"},
    "models": {"CONDITIONS", "FIELDS"},
}
SAID_TWICE = {
    "ERROR",  # messages has its own copies: reading a text without errors imports no diagnostics
    "WARNING",
    "STRING",  # a kind of fields, and the pattern of a literal
    "main",  # of the command line, and of the process that runs a command on another machine
    "parse",  # public in both places
}


def defined_in(tree):
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                yield from (name.id for name in ast.walk(target) if isinstance(name, ast.Name))


def test_one_word_means_one_thing():
    modules = collections.defaultdict(set)
    for name, tree in trees():
        if name.startswith(DIALECTS) or name.count("/") == 0:
            continue
        for defined in defined_in(tree):
            if not defined.startswith("__") and defined not in OF_EACH.get(room_of(name), ()):
                modules[defined].add(name)
    twice = {name: sorted(found) for name, found in modules.items() if len(found) > 1}
    assert sorted((name, found) for name, found in twice.items() if name not in SAID_TWICE) == []


# What functions and methods begin with: a verb, or a word by which one says what it makes of another thing.
VERBS = set(
    """
    accepts add adopt agrees align alter analyse announce answer append apply ask assess audit balance begin belongs bound break build calibrate can capture
    change check choose classify clip close combine compare compile complain complete compute condense configure construct contest convert copy correct count
    create cut decide declare decode delete derive describe detect did diff display divide double doubt drop dump dumps edit encode end ends escape estimate
    evaluate examine exceeds expand explain extend falls fill find finish fit fits fix follow forget format fulfils fuse gather get give group guess handle has
    hash have holds hover index infer initialize inline insert is iter join judge keep lay link list load loads lock log make map mark match matches may
    measure merge multiply name note notify number offer open override pair parse pick pickle place pluralize point portray prepare preselect price print
    prove publish put quantize quantizes quote raise rank read recheck recognize record refine refuse remove rename render renew replace replay report require
    reset resolve rewrite rewrites round run save say search select serve settle shift shorten show shows shutdown simulate skip sort split stay stop strip
    subtract suggest sum summarize supervise tabulate take tell thin trace try tune unescape unify unpickle unskip update validate verify view wait walk weave
    word wrap write
    """.split()
)
CONVERSIONS = {"as", "by", "from", "in", "on", "to", "with", "without"}
NOUNS = {
    # declarations: called by what they declare
    *("optional", "required", "repeated", "message", "facts", "option", "flag", "formats"),
    *("array", "table", "rows", "mapping", "or_null"),
    # places of a text, as editors and our own spans have them
    *("span", "offset", "line", "position", "range", "value_span"),
    # the contract's names, and what pickles of earlier versions name
    *("settings", "sensitivity", "elements", "single", "layers_from_graph", "layers_from_module", "toolkit_strategy", "flavour_named"),
    *("layer_dict", "layers_to_csv", "layers_to_json", "rows_to_csv"),
    # what `with` stands in front of
    *("importing", "simulating", "using"),
    # argparse's own, and the entry point
    *("error", "main"),
}  # fmt: skip


def methods_and_functions():
    """Without properties, and what only type checkers read."""
    for name, tree in trees():
        bodies = [tree.body, *(node.body for node in ast.walk(tree) if isinstance(node, ast.ClassDef))]
        for node in (node for body in bodies for node in body):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                decorators = " ".join(map(ast.dump, node.decorator_list))
                if not re.search("property|overload|cached", decorators) and not node.name.startswith("__"):
                    yield name, node.name


def test_functions_are_verbs():
    """Or say of what they give something: `origin_of`, `value_in`."""
    found, unused = [], VERBS | NOUNS
    for module, name in methods_and_functions():
        first, *rest = name.strip("_").split("_")
        unused -= {name, first}
        if first not in VERBS | CONVERSIONS and name not in NOUNS and not {"of", "in", "at"} & {first, *rest}:
            found.append("{}:{}".format(module, name))
    assert (found, unused) == ([], set())


def test_docstrings_do_not_ask():
    assert [name for name, text in documented() if re.match(r"(What|Whether|How|Where|Why|Which)\b", text)] == []


def test_docstrings_of_functions_begin_with_a_verb():
    asks = []
    for name, node in functions():
        is_property = any("property" in ast.dump(decorator) for decorator in node.decorator_list)
        if not is_property and re.match(r"(The|A|An|All|Each|Every|One|It|This)\b", ast.get_docstring(node) or ""):
            asks.append("{}:{}".format(name, node.name))
    assert asks == []


def test_private_words():
    """`told` and `is no` are ours, not English's: reported, and is not a."""
    told = collections.Counter()
    for name, text in TEXTS.items():
        told[name] = len(re.findall(r"\btold\b", text))
    assert {name: count for name, count in told.items() if count} == {}
    pattern = r"(?<![Tt]here )\bis no (?!longer|more)\w+"
    assert ["{}: {}".format(name, found) for name, text in documented() for found in re.findall(pattern, text)] == []


def test_any_is_rare():
    count = collections.Counter()
    for name, path in PATHS.items():
        if room_of(name) not in ROOMS_OF_THEIR_OWN:
            count[name] = sum(isinstance(node, ast.Name) and node.id == "Any" for node in nodes_of(path))
    assert sum(count.values()) <= ANY, count.most_common(10)


# Files of tests that are about no single room.
OF_NO_ROOM = {"architecture", "ci", "docs", "embedding", "golden", "growth", "house", "newcomer", "notebook", "readme", "resnet_example",
              "translations", "witnesses"}  # fmt: skip


def test_files_of_tests_are_named_like_rooms():
    names = {path.stem[len("test_") :] for path in Path(__file__).parent.glob("test_*.py")}
    assert names >= OF_NO_ROOM
    assert {room_of(name.replace("_", "/", 1)) for name in names - OF_NO_ROOM} == set(ROOMS)
