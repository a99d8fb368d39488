# SPDX-License-Identifier: Apache-2.0
"""A copied folder works, under any name and with nothing but the standard library."""

import shutil
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "amctcfg"
DATA = Path(__file__).parent / "data"

SCRIPT = """
import copy, json, pickle, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("lark", "google", "amctcfg"):
            raise ImportError("blocked: " + name)

sys.meta_path.insert(0, Blocked())
sys.path.insert(0, sys.argv[1])
from vendored.deeper import quantcfg as q

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
    again = pickle.loads(pickle.dumps(document.config))
    assert again == document.config and hash(again) == hash(document.config)
    assert q.loads(q.dumps(document.config)) == document.config
assert q.AMCTConfig.__module__.startswith("vendored.deeper.quantcfg")
print("cases done")
"""


def test_a_copied_folder_works(tmp_path):
    target = tmp_path / "vendored" / "deeper"
    target.mkdir(parents=True)
    shutil.copytree(str(PACKAGE), str(target / "quantcfg"), ignore=shutil.ignore_patterns("__pycache__"))
    command = [
        sys.executable,
        "-S",
        "-I",
        "-W",
        "error",
        "-c",
        SCRIPT,
        str(tmp_path),
        str(DATA / "toolkit_expansion.json"),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "cases done\n", "")
