# SPDX-License-Identifier: Apache-2.0
"""The plan as a table: text, CSV, JSON, the page of HTML in a real browser, and what notebooks show."""

import csv
import io
import json
import re
import shutil
import subprocess
from html import unescape
from html.parser import HTMLParser

import pytest

import amctcfg
from amctcfg import Layer

from .conftest import DATA

EXAMPLES = DATA.parent.parent / "examples"
TABLE = "name,type,supported\nconv1,Conv2D,true\nconv2,Conv2D,true\nfc,MatMul,true\nrelu,Relu,true\ndyn,Conv2D,false\n"
CONFIG = """skip_layers: "fc"
common_config { ifmr_quantize { search_step: 0.02 } }
override_layer_configs {
  layer_name: "conv1"
  calibration_config { ifmr_quantize { search_range_start: 0.5 } }
}
do_fusion: false
"""
OLD = "common_config { ifmr_quantize { search_step: 0.02 } }\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in (
        ("l.csv", TABLE),
        ("q.cfg", CONFIG),
        ("old.cfg", OLD),
        ("s.csv", "name,score\nconv1,0.5\nfc,0.25\n"),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_text(folder, cli):
    result = cli("show", "q.cfg", "--graph", "l.csv")
    lines = [re.split(r"  +", line) for line in result.out.splitlines()]
    assert lines[0] == ["layer", "type", "quantized", "by", "not the default"]
    assert lines[1] == ["conv1", "Conv2D", "yes", "override_layer_configs", "fuse=false, search_range_start=0.5"]
    assert lines[2] == ["conv2", "Conv2D", "yes", "common_config", "fuse=false, search_step=0.02"]
    assert lines[3][:3] == ["fc", "MatMul", "skipped"]
    assert lines[4][:3] == ["dyn", "Conv2D", "not supported"]
    assert result.out.endswith("4 layers, 2 quantized\n") and "relu" not in result.out


def test_against_and_scores(folder, cli):
    out = cli("show", "q.cfg", "--graph", "l.csv", "--against", "old.cfg", "--scores", "s.csv").out
    assert "search_range_start=0.5 (was 0.7)" in out and "search_step=0.01 (was 0.02)" in out
    assert "quant_enable=false (was true)" in out and "0.25" in out and "3 changed" in out
    rows = json.loads(
        cli("show", "q.cfg", "--graph", "l.csv", "--against", "old.cfg", "--scores", "s.csv", "--format", "json").out
    )
    assert (rows["version"], rows["file"]) == (1, "q.cfg")
    first = rows["layers"][0]
    assert (first["layer"], first["score"], first["before"]["ifmr_quantize.search_range_start"]) == ("conv1", 0.5, 0.7)


def test_csv_is_what_to_rows_gives(folder, cli):
    rows = list(csv.DictReader(io.StringIO(cli("show", "q.cfg", "--graph", "l.csv", "--format", "csv").out)))
    plan = amctcfg.expand(amctcfg.parse(CONFIG), amctcfg.load_layers("l.csv"))
    assert [{key: str(value) for key, value in row.items()} for row in plan.to_rows()] == rows
    assert plan.to_rows()[0]["ifmr_quantize.search_range_start"] == 0.5


@pytest.mark.parametrize("columns", [60, 100])
def test_wrapped_to_a_terminal(folder, monkeypatch, columns):
    from .test_cli import on_terminal

    text = on_terminal(monkeypatch, ["show", "q.cfg", "--graph", "l.csv"], columns, NO_COLOR="1")
    assert all(len(line) <= max(columns, 90) for line in text.splitlines())
    assert "\x1b[35m" in on_terminal(monkeypatch, ["show", "q.cfg", "--graph", "l.csv"], columns)


# ---------------------------------------------------------------- HTML


class Page(HTMLParser):
    """The table of a page: a list a row, of (text, title); all ids, links and elements."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.ids, self.links, self.tags = [], set(), [], set()
        self.cell = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.add(tag)
        self.ids.add(attributes.get("id"))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append(["", attributes.get("title")])
        elif tag == "a" and self.rows:
            self.links.append(attributes["href"])
            self.rows[-1][-1][1] = attributes.get("title")

    def handle_endtag(self, tag):
        if tag == "table":
            self.rows.append([["", None]])

    def handle_data(self, data):
        if self.rows and self.rows[-1]:
            self.rows[-1][-1][0] += data.strip("\n")


def test_every_cell_is_what_explain_says(folder, cli):
    html = cli("show", "q.cfg", "--graph", "l.csv", "--format", "html").out
    page = Page(html)
    head = [text for text, _ in page.rows[0]]
    explained = json.loads(cli("explain", "q.cfg", "--all", "--graph", "l.csv", "--format", "json").out)["layers"]
    labels = {"fuse": "fuse"}
    for row, layer in zip(page.rows[1:], explained):
        cells = dict(zip(head, row))
        assert cells["layer"][0] == layer["layer"] and cells["type"][0] == layer["type"]
        for field, value in layer["fields"].items():
            if field == "quant_enable":
                assert (cells["quantized"][0] == "yes") is value["value"]
                continue
            text, title = cells[labels.get(field, field.rpartition(".")[2])]
            assert text == str(value["value"]).lower()
            if value["line"] is not None:
                assert "{}, q.cfg:{}:{}".format(value["tier"], value["line"], value["column"]) in title
            for lost in value["shadowed"]:
                assert (
                    "not {} at q.cfg:{}:{}: {}".format(
                        str(lost["value"]).lower(), lost["line"], lost["column"], lost["why"]
                    )
                    in title
                )
    assert {link[1:] for link in page.links} <= page.ids
    assert "script" not in page.tags and "http" not in html
    assert not any(diagnostic in html for diagnostic in ("readthedocs",))


def test_names_are_escaped():
    evil = "<script>alert(1)</script>\"'&\x1b"
    text = "skip_layers: {}\n".format(json.dumps(evil))
    plan = amctcfg.expand(amctcfg.parse(text), [Layer(evil, "Conv2D"), Layer("b", "Conv2D")])
    html = plan._repr_html_()
    assert "<script>" not in html and "\x1b" not in html and "&lt;script&gt;" in html


def test_a_thousand_layers_are_under_a_megabyte(folder, cli):
    rows = "name,type\n" + "".join(
        "resnet50/stage{}/unit{}/conv{}/Conv2D,Conv2D\n".format(n // 100, n // 10, n) for n in range(1000)
    )
    (folder / "big.csv").write_text(rows, encoding="utf-8")
    text = CONFIG.replace('skip_layers: "fc"\n', "").replace('"conv1"', '"resnet50/stage0/unit0/conv1/Conv2D"')
    text += 'override_layer_types { layer_type: "Conv2D" calibration_config { arq_quantize { channel_wise: false } ifmr_quantize { search_step: 0.03 asymmetric: false } } }\n'
    (folder / "big.cfg").write_text(text, encoding="utf-8")
    html = cli("show", "big.cfg", "--graph", "big.csv", "--format", "html").out
    assert html.count("<tr ") == 1000 and len(html.encode()) < 1000000


def test_notebooks_show_the_same_table():
    plan = amctcfg.expand(amctcfg.parse(CONFIG), [Layer("conv1", "Conv2D"), Layer("fc", "MatMul")])
    page = Page(plan._repr_html_())
    assert [row[0][0] for row in page.rows[:3]] == ["layer", "conv1", "fc"]
    assert len(repr(plan).splitlines()) <= 5 and "conv1" in repr(plan)
    assert len(repr(plan["conv1"]).splitlines()) == 1
    many = amctcfg.expand(amctcfg.AMCTConfig(), [Layer("l{}".format(n), "Conv2D") for n in range(500)])
    assert "and 300 more layers" in many._repr_html_() and len(repr(many).splitlines()) <= 5


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

SHOWN = """
<script>
window.onload = () => {
  const visible = () => [...document.querySelectorAll('tbody tr')].filter(r => r.offsetParent !== null).map(r => r.cells[0].textContent);
  const found = {all: visible()};
  for (const id of ['skipped', 'overridden', 'shadowed', 'changed']) {
    document.querySelector('label[for=' + id + ']').click();
    found[id] = visible();
  }
  document.title = JSON.stringify(found);
  document.documentElement.setAttribute('data-found', JSON.stringify(found));
};
</script>
"""


def test_in_a_browser(folder, cli, tmp_path):
    """The filters work without a script of the page's own; the only one is the test's."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    html = cli("show", "q.cfg", "--graph", "l.csv", "--against", "old.cfg", "--format", "html").out
    (folder / "plan.html").write_text(html.replace("</body>", SHOWN + "</body>"), encoding="utf-8")
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage",
        "--user-data-dir=" + str(tmp_path / "profile"), "--enable-logging=stderr", "--dump-dom", "--virtual-time-budget=2000",
        (folder / "plan.html").as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    found = json.loads(unescape(re.search(r'data-found="([^"]*)"', done.stdout).group(1)))
    assert found == {
        "all": ["conv1", "conv2", "fc", "dyn"],
        "skipped": ["fc", "dyn"],
        "overridden": ["conv1"],
        "shadowed": ["conv1"],
        "changed": ["conv1", "conv2", "fc"],
    }
    assert "CONSOLE" not in done.stderr
