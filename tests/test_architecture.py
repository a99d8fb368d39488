# SPDX-License-Identifier: Apache-2.0
"""The architecture: which module may import which. Data goes one way, from text to JSON; so do imports."""

import ast
from pathlib import Path

import amctcfg

PACKAGE = Path(amctcfg.__file__).parent

# From the bottom to the top: a module may import those above it in this list, and nothing else of the package.
LAYERS = [
    "source",
    "diagnostics",
    "textformat._tables",
    "textformat.encoding",
    "textformat.tree",
    "textformat.failure",
    "textformat.parser",
    "textformat.literals",
    "textformat",
    "suggest",
    "files",
    "schema",
    "foreign",
    "bind",
    "printing",
    "document",
    "target",
    "merging",
    "model",
    "validate",
    "lint",
    "expansion",
    "graph",
    "layers",
    "checking",
    "formatting",
    "diffing",
    "condensing",
]

# Beside the library: the command line and what only it uses.
COMMANDS = ["codes", "reports", "explain", "cli", "__main__"]

STANDARD = set(
    """
    argparse ast bisect collections copy csv dataclasses decimal difflib functools importlib io itertools json math os
    re shutil struct sys tempfile typing unicodedata urllib
    """.split()
)
ON_DEMAND = {"google"}  # protobuf, inside the functions that read graphs


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts), path


def imports(name, path):
    """(module imported, whether at import time), own modules without the package's name."""
    package = name.split(".") if path.name == "__init__.py" and name != "__init__" else name.split(".")[:-1]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            if node.level == 0:
                yield node.module, node in tree.body
                continue
            base = package[: len(package) - node.level + 1] + (node.module or "").split(".") if node.module else package
            for alias in node.names:
                own = ".".join([*base, alias.name]).strip(".")
                yield "." + (own if own in dict(modules()) else ".".join(base) or "__init__"), node in tree.body
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node in tree.body


def test_every_module_has_its_place():
    found = {name for name, _ in modules()}
    assert found == {*LAYERS, *COMMANDS, "__init__"}


def test_imports_go_downwards_only():
    order = LAYERS + COMMANDS
    for name, path in modules():
        if name == "__init__":
            continue
        for module, _ in imports(name, path):
            if module.startswith(".") and module != ".__init__":
                assert order.index(module[1:]) < order.index(name), "{} imports {}".format(name, module)


def test_the_text_format_knows_nothing_of_amct():
    for name, path in modules():
        if name.startswith("textformat"):
            own = {module for module, _ in imports(name, path) if module.startswith(".")}
            assert {m for m in own if not m.startswith(".textformat")} <= {".source", ".diagnostics"}


def test_nothing_but_the_standard_library_is_imported():
    for name, path in modules():
        for module, at_import in imports(name, path):
            if not module.startswith("."):
                top = module.split(".")[0]
                assert top in STANDARD | {"__future__"} or (top in ON_DEMAND and not at_import), (name, module)


def test_each_module_says_what_it_is_for():
    for name, path in modules():
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0] == "# SPDX-License-Identifier: Apache-2.0", name
        assert lines[1].startswith('"""') and lines[1].count(" ") >= 0, name
        longest = 430 if not name.endswith("_tables") else 10**6
        assert len(lines) <= longest, "{} has {} lines".format(name, len(lines))
