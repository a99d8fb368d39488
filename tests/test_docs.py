# SPDX-License-Identifier: Apache-2.0
"""The documentation is complete, up to date, and shows what is printed."""

import importlib.util
import re
from pathlib import Path

import pytest

import amctcfg
from amctcfg.cli.codes import example_of
from amctcfg.diagnostics.codes import CODES
from amctcfg.messages.meanings import field_meanings
from amctcfg.messages.message import messages_of

DOCS = Path(__file__).parent.parent / "docs"
SPEC = importlib.util.spec_from_file_location("generate", str(DOCS / "generate.py"))
generate = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(generate)


@pytest.mark.parametrize("name", ["diagnostics.md", "fields.md"])
def test_the_generated_pages_are_up_to_date(name):
    assert (DOCS / name).read_text(encoding="utf-8") == generate.PAGES[name]()


def test_the_page_of_the_command_line_has_every_option():
    """argparse words its help differently from version to version."""
    page = (DOCS / "command-line.md").read_text(encoding="utf-8")
    from amctcfg.cli.arguments import COMMANDS, options_of

    for name in COMMANDS:
        (section,) = re.findall(r"^## {}\n(.*?)(?=^## |\Z)".format(name), page, re.MULTILINE | re.DOTALL)
        assert all(option in section for o in options_of(name) for option in o.names if option.startswith("--"))


@pytest.mark.parametrize("code", sorted(set(CODES) - {"unreadable", "refused-by-toolkit"}))
def test_the_example_of_a_code_has_it(code):
    found = example_of(code)
    assert {d.code for d in found} == {code}
    assert {d.severity for d in found} == {CODES[code].severity}


@pytest.mark.parametrize("flavour", amctcfg.FLAVOURS.values(), ids=lambda flavour: flavour.name)
def test_every_field_has_a_meaning(flavour):
    for cls in messages_of(flavour.config):
        for name, meaning in field_meanings(cls).items():
            assert len(meaning) > 5, (cls, name)


def test_links_lead_somewhere():
    for page in DOCS.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), (page.name, target)
