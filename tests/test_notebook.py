# SPDX-License-Identifier: Apache-2.0
"""The notebook in `examples` runs, and shows tables."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

from .conftest import DATA

ROOT = DATA.parent.parent
NOTEBOOK = ROOT / "examples" / "notebook.ipynb"
NEEDED = ("nbconvert", "ipykernel", "onnxruntime")


def test_it_is_stored_without_outputs():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert len(cells) > 8 and not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


@pytest.mark.thorough
def test_it_runs(tmp_path):
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip("needs {}".format(", ".join(missing)))
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = dict(os.environ, PYTHONPATH=path, IPYTHONDIR=str(tmp_path), JUPYTER_CONFIG_DIR=str(tmp_path))
    command = [
        sys.executable,
        "-m",
        "nbconvert",
        "--to",
        "notebook",
        "--execute",
        "--output-dir",
        str(tmp_path),
        str(NOTEBOOK),
    ]
    done = subprocess.run(
        command, env=environment, cwd=str(NOTEBOOK.parent), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    cells = json.loads((tmp_path / NOTEBOOK.name).read_text(encoding="utf-8"))["cells"]
    shown = ["".join(o["data"].get("text/html", "")) for cell in cells for o in cell.get("outputs", ()) if "data" in o]
    document, plan, simulated = (text for text in shown if "amctcfg" in text)
    assert "partial-override" in document and "override_layer_types" in plan
    assert "<th scope=col>cosine" in simulated and "<th scope=col>scale" in simulated
