# SPDX-License-Identifier: Apache-2.0
"""The toolkit's own answers, case by case."""

import json

import pytest

import amctcfg
from amctcfg import ConfigError

from .conftest import golden_cases, layers_of

CASES = golden_cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_library_matches_toolkit(case):
    def answer():
        document = amctcfg.parse(case["config"], case["name"], strict=False)
        return amctcfg.expand(document, layers_of(case), rules="toolkit")

    if "error" in case:
        with pytest.raises(ConfigError) as caught:
            answer()
        assert {d.severity for d in caught.value.diagnostics} >= {"error"}
    else:
        assert json.loads(answer().to_json()) == case["ok"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_command_matches_toolkit(case, cli, tmp_path):
    graph = tmp_path / "layers.json"
    graph.write_text(json.dumps(case["layers"]), encoding="utf-8")
    arguments = ["expand", "-", "--graph", graph, "--rules", "toolkit", "--lenient"]
    result = cli(*arguments, stdin=case["config"].encode("utf-8"))
    if "error" in case:
        assert (result.status, result.out) == (1, "")
        assert "error[" in result.err
    else:
        assert result.status == 0
        assert json.loads(result.out) == case["ok"]
