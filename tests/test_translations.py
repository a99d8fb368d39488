# SPDX-License-Identifier: Apache-2.0
"""The Chinese pages keep in step with the English ones: commands with their output, options, codes, places to link to."""

import re
from pathlib import Path

import pytest

from amctcfg.cli.arguments import COMMANDS, options_of
from amctcfg.diagnostics.codes import CODES

from .test_docs import anchors_of

ROOT = Path(__file__).parent.parent
PAIRS = {
    "README.md": "README.zh-CN.md",
    **{"docs/" + name: "docs/zh/" + name for name in ("index.md", "guide.md", "simulation.md", "tuning.md")},
}
WHOLE = ("README.md", "docs/simulation.md")  # everything is in both; the others are shorter in Chinese
OPTIONS = {name for command in COMMANDS for option in options_of(command) for name in option.names}


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


def blocks_of(page, *languages):
    found = re.findall(r"^ *```(\w+)\n(.*?)^ *```", text_of(page), re.MULTILINE | re.DOTALL)
    return [block for language, block in found if language in languages]


def shown(page):
    """Commands with the output that is shown for them."""
    return re.findall(r"^\$ (amctcfg .*)\n((?:(?!\$ |```).*\n)+)", text_of(page), re.MULTILINE)


def options_in(page):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z_-]+", text_of(page)))


def lines_of(page):
    """The commands of a session, without what is said beside them."""
    found = re.findall(r"^ *(amctcfg .*?)(?:   .*)?$", "".join(blocks_of(page, "text")), re.MULTILINE)
    return [line.strip() for line in found]


def code_of(block):
    """A program without its comments."""
    return [re.sub(r"\s*#.*", "", line) for line in block.splitlines()]


@pytest.mark.parametrize("page", PAIRS)
def test_there_is_a_page_in_each_language_that_is_in_that_language(page):
    chinese = re.findall(r"[\u4e00-\u9fff]", re.sub(r"```.*?```", "", text_of(PAIRS[page]), flags=re.DOTALL))
    assert len(chinese) > 200
    assert len(re.findall(r"[\u4e00-\u9fff]", text_of(page))) <= 2  # the link to the other one


@pytest.mark.parametrize("page", PAIRS)
def test_what_is_shown_is_the_same(page):
    english, chinese = shown(page), shown(PAIRS[page])
    assert [example for example in chinese if example not in english] == []
    if page in WHOLE:
        assert chinese == english
        assert lines_of(PAIRS[page]) == lines_of(page)
        assert blocks_of(PAIRS[page], "sh") == blocks_of(page, "sh")
        assert [code_of(block) for block in blocks_of(PAIRS[page], "python")] == [
            code_of(block) for block in blocks_of(page, "python")
        ]


@pytest.mark.parametrize("page", PAIRS)
def test_options_and_commands_are_those_that_there_are(page):
    others = {"--calibration_config"}  # AMCT's own, and the program's
    assert options_in(PAIRS[page]) - OPTIONS <= others
    for command in re.findall(r"`amctcfg ([a-z]+)", text_of(PAIRS[page])):
        assert command in COMMANDS
    if page in WHOLE:
        assert options_in(PAIRS[page]) == options_in(page)


@pytest.mark.parametrize("page", PAIRS)
def test_diagnostics_are_those_that_there_are(page):
    text = text_of(PAIRS[page])
    linked = re.findall(r"diagnostics\.md#([a-z-]+)", text)
    assert set(linked) <= set(CODES)
    if page in WHOLE:
        assert set(linked) == set(re.findall(r"diagnostics\.md#([a-z-]+)", text_of(page)))
    table = re.findall(r"^\| `([a-z]+(?:-[a-z]+)*)` \|.*\|.*\|$", text, re.MULTILINE) if page == "docs/guide.md" else []
    assert set(table) <= set(CODES)


@pytest.mark.parametrize("page", ["docs/simulation.md", "docs/tuning.md"])
def test_places_have_one_name_in_both(page):
    english, chinese = text_of(page), text_of(PAIRS[page])
    named = re.findall(r'<a id="([^"]+)"></a>\n\n#', chinese)
    assert set(named) <= anchors_of(english)
    if page in WHOLE:
        assert set(named) == anchors_of(english) - anchors_of(english.splitlines()[0])
    else:
        assert {"the-cheapest-setting-tune", "by-a-search-bisect", "from-scores-suggest"} <= set(named)


@pytest.mark.parametrize("page", PAIRS)
def test_links_of_the_chinese_pages_lead_to_chinese_pages_where_there_are_any(page):
    for target in re.findall(r"\]\(([^)#:]+\.md)(?:#[^)]*)?\)", text_of(PAIRS[page])):
        path = (ROOT / PAIRS[page]).parent / target
        assert path.exists(), target
        english = path.resolve().relative_to(ROOT.resolve()).as_posix()
        assert english not in PAIRS or (page, english) == ("README.md", "README.md"), target


@pytest.mark.parametrize("page", PAIRS)
def test_lines_break_where_a_blank_belongs(page):
    """A line's end is a blank on the page, and there is none between Chinese characters."""
    text = re.sub(r"^ *```.*?^ *```", "", text_of(PAIRS[page]), flags=re.MULTILINE | re.DOTALL)
    chinese = r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]"
    assert re.findall(r".*{0}\n *(?:\*\*)?{0}.*".format(chinese), text) == []
