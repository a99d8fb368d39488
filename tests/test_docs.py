# SPDX-License-Identifier: Apache-2.0
"""The page of diagnostics is complete and shows what is printed."""

import re
from pathlib import Path

import pytest

from amctcfg import Layer, check
from amctcfg.diagnostics.codes import CODES
from amctcfg.diagnostics.diagnostic import render

PAGE = (Path(__file__).parent.parent / "docs" / "diagnostics.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### (\S+)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))
ROWS = re.search(r"```csv\nname,type,supported\n(.*?)```", PAGE, re.DOTALL).group(1).split()
MODEL = [Layer(name, kind, supported == "true") for name, kind, supported in (row.split(",") for row in ROWS)]


def test_every_code_has_a_section_and_every_section_a_code():
    assert list(SECTIONS) == [c for severity in ("error", "warning") for c in CODES if CODES[c].severity == severity]


@pytest.mark.parametrize("code", CODES)
def test_the_example_is_what_is_printed(code):
    section = SECTIONS[code]
    (text,) = re.findall(r"```textproto\n(.*?)```", section, re.DOTALL)
    (shown,) = re.findall(r"```text\n(.*?)\n```", section, re.DOTALL)
    models = [None, MODEL, [*MODEL, Layer("version", "Conv2D")]]
    outputs = [render([d for d in check(text, "quant.cfg", model) if d.code == code], text) for model in models]
    assert shown in outputs
    assert CODES[code].summary in section and "\nCure: " in section
