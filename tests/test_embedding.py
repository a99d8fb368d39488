# SPDX-License-Identifier: Apache-2.0
"""Embedding: a copied folder works under any name; threads, processes, types; importing costs nothing."""

import concurrent.futures
import copy
import dataclasses
import importlib
import importlib.util
import json
import pickle
import shutil
import subprocess
import sys
import threading
from functools import lru_cache
from pathlib import Path

import pytest

import amctcfg
from amctcfg import Layer

from .conftest import THOROUGH, golden_cases, layers_of, thorough

PACKAGE = Path(amctcfg.__file__).parent

SCRIPT = """
import copy, json, pickle, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("lark", "google", "amctcfg"):
            raise ImportError("blocked: " + name)

sys.meta_path.insert(0, Blocked())
sys.path.insert(0, sys.argv[1])
from vendored.deeper import quantcfg as q

FULL = len(sys.argv) < 4

with open(sys.argv[2], encoding="utf-8") as file:
    cases = json.load(file)
for case in cases:
    layers = [q.Layer(**layer) for layer in case["layers"]]
    try:
        document = q.parse(case["config"], case["name"], strict=False)
        plan = q.expand(document, layers, rules="toolkit")
    except q.ConfigError as error:
        assert "error" in case, error
        copied = pickle.loads(pickle.dumps(error))
        assert copied.diagnostics == error.diagnostics and str(copied) == str(error)
        continue
    assert plan.to_dict() == case["ok"], case["name"]
    for clone in (pickle.loads(pickle.dumps(plan)), copy.deepcopy(plan), copy.copy(plan)):
        assert clone == plan and clone.to_json() == plan.to_json() and hash(clone) == hash(plan)
        assert [e.origins for e in clone.values()] == [e.origins for e in plan.values()]
    for clone in (pickle.loads(pickle.dumps(document)), copy.deepcopy(document)):
        assert clone.config == document.config and hash(clone.config) == hash(document.config)
        assert list(clone.tree.elements()) == list(document.tree.elements())
    assert q.loads(q.dumps(document.config)) == document.config
    if FULL:
        assert q.condense(plan.to_json(), layers) and q.format(case["config"]) is not None
        assert q.diff(document, document, layers, rules="toolkit") == ()
assert q.AMCTConfig.__module__.startswith("vendored.deeper.quantcfg")
print("cases done")
"""


def run(*arguments, python=sys.executable):
    return subprocess.run([python, *arguments], capture_output=True, text=True, check=False)


def works(python):
    return run("-c", "", python=python).returncode == 0


def interpreters():
    """This Python, and one of each other version on PATH or under pyenv: their paths, the oldest first. Not each may work."""
    found = {"{}.{}".format(*sys.version_info): sys.executable}
    for minor in range(7, 14):
        version = "3.{}".format(minor)
        installed = sorted((Path.home() / ".pyenv" / "versions").glob(version + ".*/bin/python"))
        path = str(installed[-1]) if installed else shutil.which("python" + version)
        if path:
            found.setdefault(version, path)
    return [found[version] for version in sorted(found, key=lambda version: int(version.split(".")[1]))]


@lru_cache(maxsize=None)
def oldest():
    return next(filter(works, interpreters()))


@lru_cache(maxsize=None)
def newest():
    return next(filter(works, reversed(interpreters())))


def written_cases(folder):
    """Some of the toolkit's answers, errors among them; test_golden.py has all of them."""
    (folder / "cases.json").write_text(json.dumps(golden_cases()[:: 1 if THOROUGH else 4]), encoding="utf-8")
    return folder / "cases.json"


def test_a_copied_folder_works(tmp_path):
    target = tmp_path / "vendored" / "deeper"
    target.mkdir(parents=True)
    shutil.copytree(str(PACKAGE), str(target / "quantcfg"), ignore=shutil.ignore_patterns("__pycache__"))
    cases = written_cases(tmp_path)
    for python in filter(works, interpreters()) if THOROUGH else [oldest()]:
        result = run("-S", "-I", "-W", "error", "-c", SCRIPT, str(tmp_path), str(cases), python=python)
        assert (result.returncode, result.stdout, result.stderr) == (0, "cases done\n", "")


# What a host can delete, if it only reads and expands configurations of TF-Ascend.
BESIDE_THE_CORE = [
    "tools", "tuning", "simulation", "pages", "editor", "workspace", "cli", "__main__.py", "flavours/algorithms.py", "flavours/pytorch.py",
    "flavours/pytorch_9_0.py", "flavours/pytorch_9_1.py", "flavours/onnx_8_5.py", "flavours/tensorflow_8_5.py", "flavours/caffe_8_5.py",
    "flavours/tensorflow.py", "flavours/onnx.py", "flavours/caffe.py", "flavours/mindspore.py",
    "flavours/ge.py", "models", "messages/meanings.py", "documents/detecting.py",
    "documents/json_tree.py", "documents/selections.py", "diagnostics/codes.py", "flavours/socs.py", "checks/checking.py", "resolve/json_reading.py", "resolve/json_cursor.py",
]  # fmt: skip


def test_the_core_works_alone(tmp_path):
    """A copied folder with everything deleted but what reads and expands TF-Ascend's files; and what is gone says so."""
    target = tmp_path / "vendored" / "deeper"
    target.mkdir(parents=True)
    shutil.copytree(str(PACKAGE), str(target / "quantcfg"), ignore=shutil.ignore_patterns("__pycache__"))
    for name in BESIDE_THE_CORE:
        path = target / "quantcfg" / name
        shutil.rmtree(str(path)) if path.is_dir() else path.unlink()
    archive = shutil.make_archive(str(tmp_path / "core"), "zip", str(target))
    assert Path(archive).stat().st_size < 103000  # docstrings with their sections included
    cases = written_cases(tmp_path)
    for python in dict.fromkeys((oldest(), newest())) if THOROUGH else [newest()]:
        result = run("-S", "-I", "-W", "error", "-c", SCRIPT, str(tmp_path), str(cases), "core", python=python)
        assert (result.returncode, result.stdout, result.stderr) == (0, "cases done\n", "")
    code = "import sys; sys.path.insert(0, sys.argv[1]); from vendored.deeper import quantcfg as q\n"
    code += "print(list(q.FLAVOURS))\n"
    for name in ("tuning", "simulation", "condense", "PYTORCH", "load_layers", "detect"):
        code += "try: q.{0}\nexcept AttributeError as error: print(error)\n".format(name)
    lines = run("-I", "-c", code, str(tmp_path), python=python).stdout.splitlines()
    assert lines[0] == "['tf-ascend']"
    assert len(lines) == 7 and all("was deleted from this copy" in line for line in lines[1:])


WITHOUT = {
    "tuning": ["suggest", "-", "--graph", "l.csv", "--scores", "s.csv", "--worst", "1"],
    "pages": ["show", "-", "--graph", "l.csv", "--format", "html"],
    "simulation": ["simulate", "-", "--graph", "l.csv", "--data", "s.csv"],
    "editor": ["lsp"],
}


@pytest.mark.parametrize("gone", [tuple(WITHOUT), *thorough(((room,),) for room in WITHOUT)], ids=" ".join)
def test_a_command_without_its_room_says_so(gone, tmp_path):
    (tmp_path / "amctcfg").mkdir()
    for room in {"pages", "editor"} & set(gone):  # with compiled modules in the folder, as git leaves them
        (tmp_path / "amctcfg" / room / "__pycache__").mkdir(parents=True)
    for path in PACKAGE.iterdir():
        if path.name not in gone:
            (tmp_path / "amctcfg" / path.name).symlink_to(path)
    (tmp_path / "l.csv").write_text("name,type\na,Conv2D\n", encoding="utf-8")
    (tmp_path / "s.csv").write_text("name,score\na,1\n", encoding="utf-8")
    commands = [WITHOUT[room] for room in gone]
    code = "import sys\nfrom amctcfg.cli import run\n"
    code += "for words in {}: print(run(words, sys.stdin, sys.stdout, sys.stderr), file=sys.stderr)".format(commands)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=str(tmp_path), input="", capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    for room, line, status in zip(gone, *[iter(done.stderr.splitlines())] * 2):
        assert status == "2" and "without its folder '{}'".format(room) in line
    assert done.stderr.count("\n") == 2 * len(gone)


def test_reading_loads_no_other_flavour():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import amctcfg; amctcfg.loads('do_fusion: true')\n"
        "print(sorted(n for n in sys.modules if n.startswith('amctcfg.flavours.')))"
    )
    loaded = eval(run("-I", "-c", code, str(PACKAGE.parent)).stdout)
    assert loaded == [
        "amctcfg.flavours." + name for name in ("common", "flavour", "json_layout", "requirement", "tf_ascend")
    ]


def test_importing_loads_nothing_else():
    code = "import sys; sys.path.insert(0, sys.argv[1]); before = set(sys.modules); import amctcfg\n"
    code += "print(sorted(set(sys.modules) - before))"
    loaded = set(eval(run("-I", "-c", code, str(PACKAGE.parent)).stdout))
    assert {name for name in loaded if name.startswith("amctcfg")} == {"amctcfg", "amctcfg._typing"}
    assert not loaded & {"dataclasses", "enum", "inspect", "json", "re", "typing"}


def test_the_public_names_are_there_and_no_others():
    for name in amctcfg.__all__:
        assert getattr(amctcfg, name) is not None
        assert name in dir(amctcfg)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        amctcfg.nonsense  # noqa: B018
    names = {}
    exec("from amctcfg import *", names)
    assert {name for name in names if name[:2] != "__"} == set(amctcfg.__all__) - {"__version__"}


def test_every_public_name_has_a_docstring():
    for name in amctcfg.__all__:
        value = getattr(amctcfg, name)
        if name != "__version__" and not isinstance(value, amctcfg.Flavour):
            assert len(value.__doc__.split()) > 4, name
            methods = (
                [m for n, m in vars(value).items() if callable(m) and n[0] != "_"] if isinstance(value, type) else []
            )
            assert all(method.__doc__ for method in methods if method.__module__.startswith("amctcfg")), name


HAS_SIMULATION = sys.version_info >= (3, 9) and all(
    importlib.util.find_spec(name) for name in ("numpy", "onnx", "onnxruntime")
)


def test_doctests():
    import doctest

    examples = 0
    for path in sorted(PACKAGE.rglob("*.py")):
        if PACKAGE / "simulation" in path.parents and not HAS_SIMULATION:
            continue  # its examples are skipped, and what it imports is not here
        if ">>> " in path.read_text(encoding="utf-8"):
            name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
            result = doctest.testmod(importlib.import_module(name))
            assert result.failed == 0, name
            examples += result.attempted
    assert examples > 30


def expanded(case):
    document = amctcfg.parse(case["config"], strict=False)
    return amctcfg.expand(document, layers_of(case), rules="toolkit").to_dict()


GOOD = [case for case in golden_cases() if "ok" in case]


def test_many_threads():
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert list(threads.map(expanded, GOOD * 8)) == [case["ok"] for case in GOOD] * 8


def test_one_document_in_many_threads():
    text = "".join(
        'override_layer_configs {{ layer_name: "l{}" calibration_config {{}} }}\n'.format(n) for n in range(300)
    )
    document = amctcfg.parse(text)
    layers = [Layer("l{}".format(n), "Conv2D") for n in range(300)]
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        plans = list(threads.map(lambda _: amctcfg.expand(document, layers), range(16)))
    assert all(plan == plans[0] and plan.warnings == plans[0].warnings for plan in plans)
    lines = {plan["l7"].origins["ifmr_quantize.search_step"].tier for plan in plans}
    assert lines == {"default"} and document.span(("override_layer_configs", 7)).line == 8


def test_immutable():
    plan = amctcfg.expand(amctcfg.loads(""), [Layer("a", "Conv2D")])
    with pytest.raises(TypeError):
        plan["a"] = None
    with pytest.raises(AttributeError):
        plan["a"].fuse = False
    with pytest.raises(TypeError):
        plan["a"].origins["fuse"] = None
    assert {plan["a"]: 1}[copy.deepcopy(plan["a"])] == 1
    assert pickle.loads(pickle.dumps(amctcfg.TF_ASCEND)) == amctcfg.TF_ASCEND
    assert {Layer("a", "b"): 1}[Layer("a", "b")] == 1


def check_file(path):
    with open(path, "rb") as file:
        return amctcfg.check(file.read(), name=path)


def test_a_fleet_on_dask(tmp_path):
    """Many files on Dask's local scheduler: what is found travels between its threads."""
    bag = pytest.importorskip("dask.bag", reason="Dask is not installed: pip install 'amctcfg[witness]'")
    for name, text in (("a", "do_fusion: true"), ("b", "batch_num: 2"), ("c", "skip_layers: 'Opname'")):
        (tmp_path / (name + ".cfg")).write_text(text, encoding="utf-8")
    paths = [str(path) for path in sorted(tmp_path.glob("*.cfg"))]
    found = bag.from_sequence(paths).map(check_file).flatten().compute(scheduler="threads")
    assert [(d.severity, d.code) for d in found] == [("error", "unknown-field"), ("warning", "placeholder")]


def test_a_pickled_layer_is_small():
    """It does not drag the document along."""
    text = "".join(
        'override_layer_configs {{ layer_name: "l{}" calibration_config {{ ifmr_quantize {{ }} }} }}\n'.format(n)
        for n in range(3000)
    )
    effective = amctcfg.merge(amctcfg.parse(text), Layer("l7", "Conv2D"))
    data = pickle.dumps(effective)
    assert len(data) < 5000 < len(text)
    clone = pickle.loads(data)
    assert clone == effective and dict(clone.origins) == dict(effective.origins)


EIGHT = 8


def in_threads(work):
    """What each of eight threads gets that begin at once."""
    barrier = threading.Barrier(EIGHT)

    def begin():
        barrier.wait()
        return work()

    with concurrent.futures.ThreadPoolExecutor(EIGHT) as pool:
        return [future.result() for future in [pool.submit(begin) for _ in range(EIGHT)]]


LAZY = {
    "warnings": lambda document, plan: plan.warnings,
    "origins": lambda document, plan: [dict(effective.origins) for effective in plan.values()],
    "to_json": lambda document, plan: plan.to_json(),
    "html": lambda document, plan: plan._repr_html_(),
    "hash": lambda document, plan: (hash(plan), hash(document.config)),
    "span": lambda document, plan: document.span(("override_layer_configs", 50, "calibration_config")),
    "explain": lambda document, plan: amctcfg.explain(document, plan["l7"].layer),
    "pickle": lambda document, plan: pickle.loads(pickle.dumps(plan)).warnings,
}


@pytest.mark.parametrize("what", sorted(LAZY))
def test_eight_threads_get_what_one_gets(what):
    """Everything that is worked out when it is first asked for, asked for by eight threads at once."""
    layers = [Layer("l{}".format(n), "Conv2D") for n in range(60)]
    text = "common_config { ifmr_quantize { search_step: 0.02 } }\n" + "".join(
        "override_layer_configs { layer_name: 'l%d' calibration_config { ifmr_quantize { max_percentile: 0.9 } } }\n"
        % n
        for n in range(60)
    )

    def fresh():
        document = amctcfg.parse(text)
        return document, amctcfg.expand(document, layers)

    expected = LAZY[what](*fresh())
    for _ in range(3 if THOROUGH else 1):
        document, plan = fresh()
        assert in_threads(lambda: LAZY[what](document, plan)) == [expected] * EIGHT
        assert LAZY[what](document, plan) == expected


@pytest.fixture
def complete(monkeypatch, tmp_path_factory):
    """The names that jedi offers at the end of a script, which it does not run."""
    jedi = pytest.importorskip("jedi")
    # Its cache is of this process alone: what another one is writing can't be read.
    monkeypatch.setattr(jedi.settings, "cache_directory", str(tmp_path_factory.getbasetemp() / "jedi"))

    def names(code):
        lines = code.split("\n")
        script = jedi.Script(code, path=str(PACKAGE.parent / "script.py"), project=jedi.Project(str(PACKAGE.parent)))
        return [found.name for found in script.complete(len(lines), len(lines[-1]))]

    return names


def test_the_face_completes_in_a_script_that_was_never_run(complete):
    assert set(amctcfg.__all__) <= set(complete("import amctcfg\namctcfg."))
    found = dir(amctcfg)
    assert [name for name in found if name[:2] != "__"] == [
        name for name in sorted(amctcfg.__all__) if name[:2] != "__"
    ]


FIELDS = [
    ("import amctcfg\namctcfg.AMCTConfig().", amctcfg.AMCTConfig),
    ("import amctcfg\nconfig = amctcfg.loads('')\nconfig.", amctcfg.AMCTConfig),
    ("import amctcfg\namctcfg.parse('').config.", amctcfg.AMCTConfig),
    ("import amctcfg\nconfig = amctcfg.load('quant.cfg')\nconfig.common_config.", amctcfg.CalibrationConfig),
    ("import amctcfg\namctcfg.Layer('a', 'MatMul').", Layer),
    ("from amctcfg.flavours import pytorch\npytorch.AMCTConfig().", amctcfg.PYTORCH.config),
]


@pytest.mark.parametrize("code, cls", [*FIELDS[:2], *thorough(FIELDS[2:])])
def test_the_fields_of_a_message_complete_and_nothing_else(complete, code, cls):
    found = [name for name in complete(code) if name[:2] != "__"]
    assert sorted(found) == sorted(field.name for field in dataclasses.fields(cls))


def test_origins_of_what_is_no_field():
    effective = amctcfg.merge(amctcfg.AMCTConfig(), Layer("a", "Conv2D"))
    for one in (effective, pickle.loads(pickle.dumps(effective))):
        with pytest.raises(KeyError):
            one.origins["nope"]
