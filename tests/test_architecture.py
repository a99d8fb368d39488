# SPDX-License-Identifier: Apache-2.0
"""The architecture: which room may import which. Data goes one way, from text to JSON; so do imports."""

import ast
import re
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest

import amctcfg
from amctcfg.textformat import _tables as tables

try:
    from re import _constants as sre_constants
    from re import _parser as sre_parse
except ImportError:  # before Python 3.11
    import sre_constants
    import sre_parse

PACKAGE = Path(amctcfg.__file__).parent

# From the bottom to the top: a room may import those above it in this list, and nothing else of the package; inside
# functions, too. The exceptions are listed below.
ROOMS = [
    "diagnostics",
    "textformat",
    "messages",
    "flavours",
    "documents",
    "models",
    "resolve",
    "checks",
    "tools",
    "tuning",
    "simulation",
    "pages",
    "workspace",
    "editor",
    "cli",
]

DELETABLE = {
    "tuning",
    "simulation",
    "pages",
    "editor",
}  # a host may delete these: only these modules may import them, when needed
DOORS = {
    "cli.bisect": {"tuning"},
    "cli.opening": {"tuning"},
    "cli.lsp": {"editor"},
    "cli.show": {"pages"},
    "cli.simulate": {"simulation"},
    "documents.document": {"pages"},
    "resolve.plan": {"pages"},
    "simulation.simulating": {"tuning", "pages"},
}

# Upward, inside a function: the module, and what it imports.
UPWARD = {
    ("documents.document", "pages.table"),  # a document, a plan and a simulation in a notebook
    ("resolve.plan", "pages.table"),
    ("simulation.simulating", "pages.table"),
}

# Back, inside a function, within a room.
BACK = {
    ("diagnostics.source", "diagnostics.diagnostic"),  # text that is not UTF-8
}

STANDARD = set(
    """
    argparse ast asyncio base64 bisect collections concurrent contextlib copy copyreg csv ctypes dataclasses decimal difflib fcntl fnmatch functools hashlib heapq
    html importlib inspect io itertools json logging math msvcrt operator os queue re shlex shutil signal stat struct subprocess sys tempfile textwrap threading time traceback types
    typing unicodedata urllib
    """.split()
)
ON_DEMAND = {
    "distributed",
    "google",
    "tqdm",
}  # a cluster; protobuf, inside the functions that read graphs; a bar of progress
EXTRA = {"numpy", "onnx", "onnxruntime", "tensorflow", "tf2onnx"}  # of the room for simulation, and of it alone
FOR_CHECKERS = {"typing_extensions"}  # under TYPE_CHECKING


@lru_cache(maxsize=None)
def modules():
    """The modules of the package, name and path; the disk is walked once."""
    return tuple(walk_modules())


@lru_cache(maxsize=None)
def tree_of(path):
    """A module's syntax tree; each is parsed once."""
    return ast.parse(path.read_text(encoding="utf-8"))


@lru_cache(maxsize=None)
def nodes_of(path):
    """All nodes of a module's syntax tree."""
    return tuple(ast.walk(tree_of(path)))


def walk_modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(parts), path


def statements(node, at_import=True, checkers=False):
    """The imports of a module: (node, whether at import time, whether only for type checkers)."""
    at_import = at_import and not isinstance(node, ast.FunctionDef)
    asks = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
    for field in ("body", "orelse", "handlers", "finalbody"):
        for child in getattr(node, field, ()):
            if isinstance(child, (ast.Import, ast.ImportFrom)):
                yield child, at_import, checkers or (asks and field == "body")
            else:
                yield from statements(child, at_import, checkers or (asks and field == "body"))


@lru_cache(maxsize=None)
def imports(name, path):
    """(what is imported, at import time, only for checkers): own modules as "room.module", others by their top name."""
    return tuple(walk_imports(name, path))


def walk_imports(name, path):
    known = dict(modules())
    package = name.split(".")[:-1]
    for node, at_import, checkers in statements(tree_of(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.split(".")[0], at_import, checkers
        elif node.level == 0:
            yield node.module.split(".")[0], at_import, checkers
        else:
            base = package[: len(package) - node.level + 1] + (node.module.split(".") if node.module else [])
            for alias in node.names:
                own = ".".join([*base, alias.name])
                yield "." + (own if own in known or own + ".__init__" in known else ".".join(base)), at_import, checkers


def room_of(name):
    return name.lstrip(".").split(".")[0]


MODULES = [(name, path) for name, path in modules() if name not in ("__init__", "__main__", "_typing")]


def imports_of(room):
    """What the modules of a room import: their names beside what `imports` gives."""
    return [(name, *found) for name, path in MODULES if room_of(name) == room for found in imports(name, path)]


def test_every_module_is_in_a_room():
    assert {room_of(name) for name, _ in MODULES} == set(ROOMS)
    assert sum(1 for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__") == len(ROOMS)


@pytest.mark.parametrize("own", ROOMS)
def test_imports_go_downwards_only(own):
    for name, imported, at_import, checkers in imports_of(own):
        if not imported.startswith(".") or checkers:
            continue
        other = room_of(imported)
        if other == "_typing":
            continue
        if other in ("", "__init__"):
            assert own in ("cli", "editor"), "{} imports the face".format(name)  # for the version
        elif ROOMS.index(other) > ROOMS.index(own):
            assert (name, imported.lstrip(".")) in UPWARD and not at_import, "{} imports {}".format(name, imported)


@pytest.mark.parametrize("own", ROOMS)
def test_rooms_that_may_be_deleted_are_imported_through_their_doors(own):
    for name, imported, at_import, checkers in imports_of(own):
        if imported.startswith(".") and room_of(imported) in DELETABLE - {own} and not checkers:
            assert room_of(imported) in DOORS.get(name, ()) and not at_import, (name, imported)


def test_the_exceptions_are_needed():
    """What is listed as an exception is one."""
    found = {(name, i.lstrip(".")) for name, path in MODULES for i, _, checkers in imports(name, path) if not checkers}
    assert found >= UPWARD | BACK


def test_modules_do_not_import_each_other_in_a_circle():
    """Not inside functions either, but through the doors."""
    known = dict(modules())
    needs = {}
    for name, path in modules():
        found = {
            i.lstrip(".")
            for i, _, checkers in imports(name, path)
            if i.startswith(".") and not checkers and (name, i.lstrip(".")) not in UPWARD | BACK
        }
        needs[name] = {other if other in known else other + ".__init__" for other in found} - {
            name,
            "__init__",
            ".__init__",
        }
    done = set()
    while True:
        free = {name for name, others in needs.items() if name not in done and others <= done}
        if not free:
            break
        done |= free
    assert set(needs) - done == set()


def test_the_text_format_knows_nothing_of_amct():
    for name, path in MODULES:
        if room_of(name) == "textformat":
            own = {room_of(imported) for imported, _, _ in imports(name, path) if imported.startswith(".")}
            assert own <= {"textformat", "diagnostics", "_typing"}


NOT_DIALECTS = ("__init__", "flavour", "layer", "requirement", "json_layout", "common", "algorithms", "socs")


def test_flavours_are_facts():
    """The modules of flavours hold messages and data: no function that another flavour could use."""
    for name, path in MODULES:
        if room_of(name) == "flavours" and path.stem not in NOT_DIALECTS:
            functions = [node for node in nodes_of(path) if isinstance(node, ast.FunctionDef)]
            assert {function.name for function in functions} <= {"__rules__"}, name


def test_only_flavours_are_told_apart_by_name_nowhere_else():
    """No `if flavour` outside of `flavours/`: what differs is data."""
    names = set(amctcfg.FLAVOURS) - {"tf-ascend", "ge", "onnx", "tensorflow"}  # those are words of other things as well
    for name, path in MODULES:
        if room_of(name) in ("messages", "documents", "resolve", "tools", "models", "checks"):
            for node in nodes_of(path):
                if isinstance(node, ast.Compare):
                    for side in (node.left, *node.comparators):
                        assert not (isinstance(side, ast.Constant) and side.value in names), name


def test_nothing_but_the_standard_library_is_imported():
    for name, path in modules():
        for imported, at_import, checkers in imports(name, path):
            if not imported.startswith("."):
                known = STANDARD | {"__future__"} | (FOR_CHECKERS if checkers else set())
                known |= EXTRA | {"concurrent", "zipfile"} if room_of(name) == "simulation" else set()
                assert imported in known or (imported in ON_DEMAND and not at_import), (name, imported)


def test_each_module_says_what_it_is_for():
    for name, path in modules():
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0] == "# SPDX-License-Identifier: Apache-2.0", name
        assert re.match(r'"""[A-Za-z`].{15,}', lines[1]), name


# ---------------------------------------------------------------- regular expressions


def literal(node):
    """What a literal stands for, None for anything else."""
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


@lru_cache(maxsize=None)
def expressions():
    """Every regular expression of the package, with its flags."""
    return tuple(walk_expressions())


def walk_expressions():
    for _, path in modules():
        constants = {
            target.id: literal(node.value)
            for node in tree_of(path).body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in nodes_of(path):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                if getattr(node.func.value, "id", "") != "re":
                    continue
                pattern = node.args[0]
                value = constants.get(getattr(pattern, "id", None), literal(pattern))
                if isinstance(value, (str, bytes)):
                    flags = re.VERBOSE if "VERBOSE" in ast.dump(node) else 0
                    flags |= re.MULTILINE if "MULTILINE" in ast.dump(node) else 0
                    yield re.compile(value, flags)


GENERATED = (tables.SKIP, tables.USUAL, tables.SCANNER)

CLASSES = ["#", "# ", "#\n", "##", "## x\n", "\r\n", "#\r\n", " ", "\t", "\n", '"', "'", "\\", "a", "a/", "a=", "1", "0", "-", ".", ",", ";",
           "{", "e", "# a # b\n", 'amctcfg: x=y ', '"a" ', "'b'", "é", "\\x", "# txtpbfmt: disable\n", "txtpbfmt: "]  # fmt: skip


def test_there_are_expressions():
    assert len(expressions()) > 15


def test_no_expression_backtracks_without_bound():
    """No unbounded repetition of something that can itself be repeated in several ways, which takes exponential time."""

    def unbounded(item):
        operation, argument = item
        return (
            operation in (sre_constants.MAX_REPEAT, sre_constants.MIN_REPEAT) and argument[1] == sre_constants.MAXREPEAT
        )

    def walk(items, inside):
        for index, (operation, argument) in enumerate(items):
            if operation in (sre_constants.MAX_REPEAT, sre_constants.MIN_REPEAT):
                repeated = unbounded((operation, argument))
                if repeated and inside:
                    last = all(nullable(following) for following in items[index + 1 :])
                    assert not last, "{}: a repetition ends with a repetition".format(expression.pattern)
                walk(list(argument[2]), inside or repeated)
            elif operation == sre_constants.SUBPATTERN:
                walk(list(argument[-1]), inside)
            elif operation == sre_constants.BRANCH:
                for branch in argument[1]:
                    walk(list(branch), inside)

    def nullable(item):
        operation, argument = item
        if operation in (sre_constants.MAX_REPEAT, sre_constants.MIN_REPEAT):
            return argument[0] == 0
        return operation in (sre_constants.AT, sre_constants.ASSERT, sre_constants.ASSERT_NOT)

    for expression in expressions():
        walk(list(sre_parse.parse(expression.pattern, expression.flags)), False)


RUN = """
import re, sys
expressions, units = eval(sys.stdin.read())
for pattern, flags in expressions:
    for unit in units:
        text = unit * (40000 // len(unit))
        re.compile(pattern, flags).match(text.encode("gbk") if isinstance(pattern, bytes) else text)
"""


def test_long_runs_of_each_character_come_to_an_end():
    """Forty thousand characters: what is exponential in them does not end, what is cubic takes days."""
    patterns = [(e.pattern, int(e.flags & (re.VERBOSE | re.MULTILINE))) for e in expressions()]
    given = repr(([*patterns, *((pattern, 0) for pattern in GENERATED)], CLASSES))
    subprocess.run([sys.executable, "-c", RUN], input=given, text=True, check=True, timeout=60)
