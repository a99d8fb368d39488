# SPDX-License-Identifier: Apache-2.0
"""The toolkit's own answers, case by case."""

import json

import pytest

import amctcfg
from amctcfg import ConfigError

from .conftest import DATA, THOROUGH, golden_cases, layers_of

CASES = [(name, case) for name in ("tf-ascend", "pytorch") for case in golden_cases(name)]
IDS = ["{}-{}".format(name, case["name"]) for name, case in CASES]

# What is an error here: the codes for each case, written down by hand beside the toolkit's words.
CODES = json.loads((DATA / "golden_codes.json").read_text(encoding="utf-8"))

# A value out of range is an error here also in a block that nothing uses, which the toolkit does not look at.
STRICTER = {"layer override of a ReLU is ignored", "dmq out of range on a common AvgPool2d only"}


def in_order(value):
    """A JSON value with the order of its keys."""
    return [(key, in_order(v)) for key, v in value.items()] if isinstance(value, dict) else value


def expected(name, case):
    return None if "error" in case or case["name"] in STRICTER else case["ok"]


@pytest.mark.parametrize("name, case", CASES, ids=IDS)
def test_library_matches_toolkit(name, case):
    flavour = amctcfg.FLAVOURS[name]

    def answer():
        document = amctcfg.parse(case["config"], case["name"], strict=False, flavour=flavour)
        return amctcfg.expand(document, layers_of(case), rules="toolkit")

    if expected(name, case) is None:
        with pytest.raises(ConfigError) as caught:
            answer()
        errors = sorted({d.code for d in caught.value.diagnostics if d.severity == "error"})
        assert errors == CODES[name][case["name"]]
        return
    written = answer().to_json()
    assert json.loads(written) == case["ok"]
    if name == "pytorch":  # those of TF-Ascend were stored without order
        assert in_order(json.loads(written)) == in_order(case["ok"])
        assert json.dumps(json.loads(written), indent=4, separators=(",", ":")) == written


EVERY = slice(None, None, 1 if THOROUGH else 4)  # the library has all


@pytest.mark.parametrize("name, case", CASES[EVERY], ids=IDS[EVERY])
def test_command_matches_toolkit(name, case, cli, tmp_path):
    graph = tmp_path / "layers.json"
    rows = [{"name": x.name, "type": x.type, "supported": x.supported, "lacks": list(x.lacks)} for x in layers_of(case)]
    graph.write_text(json.dumps(rows), encoding="utf-8")
    arguments = ["expand", "-", "--graph", graph, "--rules", "toolkit", "--lenient", "--flavour", name]
    if any(not row["name"] for row in rows):  # the root module, which only the library has
        return
    result = cli(*arguments, stdin=case["config"].encode("utf-8"))
    if expected(name, case) is None:
        assert (result.status, result.out) == (1, "")
        assert "error[" in result.err
    else:
        assert result.status == 0
        assert json.loads(result.out) == case["ok"]


def test_there_are_cases():
    assert len(CASES) == 168
    assert sum("error" in case for _, case in CASES) > 50
