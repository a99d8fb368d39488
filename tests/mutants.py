# SPDX-License-Identifier: Apache-2.0
"""Mutants: small faults put into the package one at a time, to see whether a test notices.

    python tests/mutants.py resolve                  a sample of 20 mutants of that room, on the tests that are for it
    python tests/mutants.py resolve/plan checks -n 60 --seed 7
    python tests/mutants.py resolve --all            survivors run on the whole suite as well

The mutants are made in a copy of the repository; nothing here changes. A mutant is killed where a test fails or takes ten
times as long as without it. What survives is printed as a line before and after: read it, as some are the same program in
other words. Needs Python 3.9 or newer, what the tests need, and a system with process groups.
"""

import argparse
import ast
import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# The tests that are for a room, the quickest first; a room without a line has the suite.
TESTS = {
    "diagnostics": "checks diagnostics docs commands",
    "textformat": "textformat witnesses tools",
    "messages": "schema facts checks edits textformat docs flavours laws",
    "flavours": "facts checks selection golden flavours detect docs",
    "documents": "settings detect json files checks commands",
    "models": "graph models traits facts overlays selection exported",
    "resolve": "facts checks schema golden json tools laws flavours embedding",
    "checks": "checks facts diagnostics detect selection check edits golden flavours laws",
    "tools": "json tools edits show overlays schema selection check commands",
    "tuning": "scores tuning",
    "workspace": "workspace commands cli",
    "simulation": "overriding simulation simulation_models",
}
COMPARISONS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
ARITHMETIC = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}


def replaced(node, **fields):
    """A copy of a node with other fields."""
    return type(node)(**dict(ast.iter_fields(node), **fields))


def faults(node):
    """The mutants of a node: other nodes in its place."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARISONS:
        yield replaced(node, ops=[COMPARISONS[type(node.ops[0])]()])
    elif isinstance(node, ast.BoolOp):
        yield replaced(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        for index in range(len(node.values)):
            left = node.values[:index] + node.values[index + 1 :]
            yield left[0] if len(left) == 1 else replaced(node, values=left)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand
    elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC and not is_text(node.left):
        yield replaced(node, op=ARITHMETIC[type(node.op)]())
    elif isinstance(node, ast.IfExp):
        yield replaced(node, body=node.orelse, orelse=node.body)
    elif isinstance(node, ast.Constant):
        yield from (ast.Constant(value) for value in other_constants(node.value))
    elif isinstance(node, ast.Call) and can_swap(node):
        yield replaced(node, args=[node.args[1], node.args[0], *node.args[2:]])
    elif isinstance(node, ast.Return) and node.value is not None and not is_constant(node.value, None):
        yield ast.Return(ast.Constant(None))
    elif isinstance(node, (ast.Raise, ast.AugAssign, ast.Continue, ast.Break)) or (
        isinstance(node, ast.Expr) and not is_text(node.value)
    ):
        yield ast.Pass()


def can_swap(call):
    """Whether two arguments can be swapped without every test failing at once."""
    certain = ("isinstance", "getattr", "setattr", "hasattr", "map", "filter", "put", "__setattr__")
    name = getattr(call.func, "id", getattr(call.func, "attr", ""))
    if len(call.args) < 2 or name in certain or any(isinstance(a, ast.Starred) for a in call.args):
        return False
    return ast.dump(call.args[0]) != ast.dump(call.args[1])


def other_constants(value):
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, (int, float)):
        return [value + 1, value - 1] if isinstance(value, int) else [value * 1.5]
    # Only names and keys: of sentences, the wording is nobody's contract.
    return [value + "Q"] if isinstance(value, str) and re.fullmatch(r"[a-z_0-9.]{2,}", value) else []


def is_text(node):
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def is_constant(node, value):
    return isinstance(node, ast.Constant) and node.value is value


def nodes_of(tree):
    """What can be wrong at run time: no annotation, docstring, `__all__` or block for type checkers."""
    pending = [tree]
    while pending:
        node = pending.pop()
        if hasattr(node, "end_lineno"):
            yield node
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "decorator_list", "type_comment"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if not isinstance(child, ast.AST) or is_left_out(child):
                    continue
                pending.append(child)


def is_left_out(node):
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.dump(node.test)
    if isinstance(node, ast.Assign):
        return any(isinstance(t, ast.Name) and t.id in ("__all__", "__slots__") for t in node.targets)
    return isinstance(node, (ast.Import, ast.ImportFrom)) or (isinstance(node, ast.Expr) and is_text(node.value))


class Mutant:
    """A module with one fault: the lines that change, and the whole text."""

    def __init__(self, path, source, node, other):
        self.path, self.line = path, node.lineno
        lines = source.encode("utf-8").splitlines(keepends=True)
        offsets = [0]
        for line in lines:
            offsets.append(offsets[-1] + len(line))
        start = offsets[node.lineno - 1] + node.col_offset
        end = offsets[node.end_lineno - 1] + node.end_col_offset
        text = ast.unparse(ast.fix_missing_locations(other))
        if isinstance(other, ast.expr) and not isinstance(other, (ast.Constant, ast.Name, ast.Call)):
            text = "({})".format(text)
        data = source.encode("utf-8")
        self.before, self.after = data[start:end].decode("utf-8"), text
        self.text = (data[:start] + text.encode("utf-8") + data[end:]).decode("utf-8")

    def __str__(self):
        before = " ".join(self.before.split())
        return "{}:{}: {}  ->  {}".format(self.path, self.line, before[:90], self.after[:90])


def mutants_of(path):
    """All mutants of a module that compile."""
    source = path.read_text(encoding="utf-8")
    for node in nodes_of(ast.parse(source)):
        for other in faults(node):
            mutant = Mutant(path.relative_to(ROOT), source, node, other)
            try:
                compile(mutant.text, str(path), "exec", dont_inherit=True)
            except (SyntaxError, ValueError):
                continue
            yield mutant


def modules_in(names):
    """The modules of rooms, or single ones such as resolve/plan."""
    for name in names:
        place = ROOT / "amctcfg" / name
        found = sorted(place.glob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
        yield from (path for path in found if path.name != "_tables.py")


def sample_of(names, count, seed):
    """Some mutants, as many from each module as from any other."""
    chance, by_module = random.Random(seed), {}
    for path in modules_in(names):
        found = list(mutants_of(path))
        chance.shuffle(found)
        by_module[path] = found
    chosen = []
    while len(chosen) < count and any(by_module.values()):
        for found in by_module.values():
            if found and len(chosen) < count:
                chosen.append(found.pop())
    return chosen


def kill_group(leader):
    """End what the tests started and did not end, as a mutant may have kept them from it: workers, servers."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


class Copy:
    """A copy of the repository in which one module at a time has a fault."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="amctcfg-mutants-"))
        leave = shutil.ignore_patterns(".git", ".venv*", "__pycache__", "build", "dist", "*.egg-info", ".hypothesis")
        shutil.copytree(str(ROOT), str(self.folder), ignore=leave, dirs_exist_ok=True)

    def run(self, tests, limit, workers=0, compiles=True):
        """Whether the tests pass: None where they take too long. What they compile is kept if they run on what is whole."""
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header"]
        command += ["-n", str(workers)] if workers else []
        environment = dict(os.environ, PYTHONPATH=str(self.folder), PYTHONDONTWRITEBYTECODE="" if compiles else "1")
        with subprocess.Popen(
            [*command, *tests], cwd=str(self.folder), env=environment, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process:  # fmt: skip
            try:
                said, _ = process.communicate(timeout=limit)
            except subprocess.TimeoutExpired:
                return None
            finally:
                kill_group(process.pid)
        self.said = said.decode("utf-8", "replace")
        return process.returncode == 0

    def first_failure(self):
        found = re.search(r"^(?:FAILED|ERROR) (\S+)", self.said, re.MULTILINE)
        return found[1] if found else "an error"

    def judge(self, mutant, tests, limit, workers=0):
        """What killed the mutant; None if nothing did."""
        target = self.folder / mutant.path
        whole, times = target.read_bytes(), target.stat()
        target.write_text(mutant.text, encoding="utf-8")
        try:
            passed = self.run(tests, limit, workers, compiles=False)
        finally:
            target.write_bytes(whole)
            os.utime(str(target), ns=(times.st_atime_ns, times.st_mtime_ns))  # what was compiled holds again
        return None if passed else "time" if passed is None else self.first_failure()


def tests_for(mutant):
    """The files of tests for the room of a mutant that are there."""
    room = mutant.path.parts[1]
    files = ["tests/test_{}.py".format(name) for name in TESTS.get(room, "").split()]
    return [name for name in files if (ROOT / name).exists()] or ["tests"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", metavar="ROOM", help="a room, or a module such as resolve/plan")
    parser.add_argument("-n", "--count", type=int, default=20, help="how many mutants (20)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (1)")
    parser.add_argument("--all", action="store_true", help="run survivors on the whole suite as well")
    parser.add_argument("--list", action="store_true", help="only list them")
    options = parser.parse_args()
    chosen = sample_of(options.names, options.count, options.seed)
    if options.list:
        print("\n".join(map(str, chosen)))
        return
    copy, usual, survived = Copy(), {}, []
    try:
        for number, mutant in enumerate(chosen, 1):
            tests = tests_for(mutant)
            if tuple(tests) not in usual:  # without a fault they pass, and take so long
                started = time.monotonic()
                if not copy.run(tests, 3600):
                    sys.exit("the tests fail without a fault:\n" + copy.said[-3000:])
                usual[tuple(tests)] = time.monotonic() - started
            killer = copy.judge(mutant, tests, 60 + 10 * usual[tuple(tests)])
            if killer is None and options.all:
                killer = copy.judge(mutant, ["tests"], 3600, workers=2)
            survived += [mutant] if killer is None else []
            print("{}/{} {}: {}".format(number, len(chosen), killer or "SURVIVED", mutant), flush=True)
    finally:
        shutil.rmtree(str(copy.folder), ignore_errors=True)
    killed = len(chosen) - len(survived)
    print("{} of {} killed ({:.0f} %)".format(killed, len(chosen), 100 * killed / max(1, len(chosen))))


if __name__ == "__main__":
    main()
