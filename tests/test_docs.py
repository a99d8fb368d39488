# SPDX-License-Identifier: Apache-2.0
"""The documentation is complete, up to date, and shows what is printed."""

import ast
import importlib.util
import json
import re
import shlex
import shutil
from functools import lru_cache
from pathlib import Path

import pytest

import amctcfg
from amctcfg.cli.arguments import COMMANDS, options_of
from amctcfg.cli.codes import example_of
from amctcfg.diagnostics.codes import CODES
from amctcfg.messages.meanings import read_field_meanings
from amctcfg.messages.message import messages_of

from .test_readme import assert_similar, need_simulation

DOCS = Path(__file__).parent.parent / "docs"
SPEC = importlib.util.spec_from_file_location("generate", str(DOCS / "generate.py"))
generate = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(generate)


@pytest.mark.parametrize("name", ["diagnostics.md", "fields.md", "../llms.txt", "../SKILL.md"])
def test_the_generated_pages_are_up_to_date(name):
    assert (DOCS / name).read_text(encoding="utf-8") == generate.PAGES[name]()


def test_the_page_of_the_command_line_has_every_option():
    """argparse words its help differently from version to version."""
    page = (DOCS / "command-line.md").read_text(encoding="utf-8")
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
        for name, meaning in read_field_meanings(cls).items():
            assert len(meaning) > 5, (cls, name)


def test_the_page_of_the_library_has_every_public_name():
    page = (DOCS / "library.md").read_text(encoding="utf-8")
    package = Path(amctcfg.__file__).parent
    for room in ("", "tuning", "simulation"):
        tree = ast.parse((package / room / "__init__.py").read_text(encoding="utf-8"))
        (names,) = [ast.literal_eval(node.value) for node in tree.body if is_all(node)]
        assert [n for n in names if n != "__version__" and not re.search(r"\b{}\b".format(n), page)] == [], room


def is_all(node):
    return isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"


# ---------------------------------------------------------------- links and code blocks

ROOT = DOCS.parent
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), *ROOT.glob("tests/bench/*.md")])
if (DOCS / "zh" / "simulation.md").exists():  # the translation is whole
    PAGES += sorted(DOCS.glob("zh/*.md"))


def anchors_of(text):
    """The anchors of a page, as GitHub and MkDocs make them of its headings."""
    found = set(re.findall(r'<a (?:id|name)="([^"]+)"', text))
    for heading in re.findall(
        r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    ):
        words = re.sub(r"[`*]|\]\([^)]*\)|\[|\s*\{[^}]*\}$", "", heading).strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", words).replace(" ", "-"))
        found.update(re.findall(r"\{#([^ }]+)", heading))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    """Also to a place within a page."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        other = page.parent / path if path else page
        assert other.exists(), target
        if anchor and other.suffix == ".md":
            assert anchor in anchors_of(other.read_text(encoding="utf-8")), target


def code_blocks():
    for page in PAGES:
        if page.name == "diagnostics.md":
            continue  # made of examples that are checked above
        found = re.findall(
            r"^( *)```(\w+)[^\n]*\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        )
        for number, (indent, language, code) in enumerate(found):
            yield (
                "{}-{}".format(page.relative_to(ROOT), number),
                language,
                re.sub("^" + indent, "", code, flags=re.MULTILINE),
            )


BLOCKS = list(code_blocks())


def test_there_are_code_blocks():
    assert {language for _, language, _ in BLOCKS} >= {"python", "textproto", "sh", "console", "json"}


@pytest.mark.parametrize("language, code", [block[1:] for block in BLOCKS], ids=[block[0] for block in BLOCKS])
def test_code_blocks_are_code(language, code):
    """Configurations have no errors, programs compile, and commands have the options that they are shown with."""
    if language == "python":
        compile(code, "page", "exec")
    elif language == "json":
        json.loads(code)
    elif language == "textproto":
        flavours = amctcfg.detect(code)
        found = amctcfg.check(code, flavour=flavours[0] if flavours else amctcfg.TF_ASCEND)
        assert [d for d in found if d.severity == "error"] == []
    elif language in ("console", "sh", "text"):
        for line in re.findall(r"^\$? ?(?:\S*/)?amctcfg (?!: )(.*?)(?: *[|;>].*)?$", code, re.MULTILINE):
            check_command(line)


SHOWN = [
    # README shows what `tune` says of the same file, and has a test of its own.
    pytest.param(
        line, shown, id="{}-{}".format(page.name, line), marks=[pytest.mark.thorough] * line.startswith("tune ")
    )
    for page in PAGES
    if not page.name.startswith("README") and page.parent.name != "zh"  # these have tests of their own
    for block in re.findall(r"```console\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    for line, shown in re.findall(r"^\$ amctcfg (.*)\n((?:(?!\$ ).*\n)+)", block, re.MULTILINE)
]


@pytest.mark.parametrize("line, shown", SHOWN)
def test_shown_output(line, shown, cli, monkeypatch):
    pytest.importorskip("google.protobuf", reason="the examples read a graph")
    monkeypatch.chdir(ROOT)
    if line.startswith(("simulate ", "tune ")):
        need_simulation()
        result = cli(*shlex.split(line))
        assert_similar(result.out + result.err, shown)
    else:
        result = cli(*shlex.split(line))
        assert result.out + result.err == shown


def test_the_program_of_the_simulation_runs(tmp_path, monkeypatch):
    need_simulation()
    (code,) = [code for name, language, code in BLOCKS if name.startswith("docs/simulation") and language == "python"]
    (tmp_path / "batches").mkdir()
    resnet = ROOT / "examples" / "resnet"
    shutil.copy(str(resnet / "calibration.npz"), str(tmp_path / "batches"))
    shutil.copy(str(resnet / "digits.onnx"), str(tmp_path / "model.onnx"))
    shutil.copy(str(ROOT / "examples" / "digits.cfg"), str(tmp_path / "quant.cfg"))
    monkeypatch.chdir(tmp_path)
    exec(compile(code.replace('"conv1"', '"stem"'), "simulation.md", "exec"), {})
    assert (tmp_path / "sim.onnx").stat().st_size > (tmp_path / "model.onnx").stat().st_size


def check_command(line):
    words = shlex.split(line.partition("  #")[0])
    name, behind = words[0], words.index("--") if "--" in words else len(words)
    if name.startswith("-"):
        return
    assert name in COMMANDS, line
    known = {option for one in options_of(name) for option in one.names}
    for word in words[1:behind]:
        if re.match(r"--\w", word):
            assert word.partition("=")[0] in known, line


@lru_cache(maxsize=None)
def naming():
    """What may name an example: pages, tests and other examples, each with its text."""
    others = [*ROOT.glob("tests/**/*.py"), *ROOT.glob("examples/**/*.*"), ROOT / ".ci" / "run"]
    written = [*PAGES, *(other for other in others if other.suffix in (".py", ".cfg", ".md", ".sh", ""))]
    return {path: path.read_text(encoding="utf-8") for path in written}


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/**/*.*")), ids=lambda path: path.name)
def test_every_example_is_shown_or_tested(path):
    texts = [text for other, text in naming().items() if other != path]
    assert any(re.search(r"(?<!\w)" + re.escape(path.name), text) for text in texts)


def test_the_skill_names_commands_and_pages_that_there_are():
    from amctcfg.cli.arguments import COMMANDS, parser_of, put_options_first
    from amctcfg.cli.console import Console

    root, skill = DOCS.parent, importlib.import_module("skill")
    assert {command.split()[1] for _, command in skill.WISHES} >= set(COMMANDS) - {
        "fmt",
        "flavours",
        "completion",
        "lsp",
        "help",
    }
    for _, command in skill.WISHES:
        name, *words = command.split()[1:]
        parser = parser_of(name, Console(None, None, None))
        parser.parse_args(put_options_first(words, parser))
    assert all((root / page).exists() for page in skill.REPOSITORY_PAGES)
