# SPDX-License-Identifier: Apache-2.0
"""The page of `show`: what it says, in a real browser, and that nothing of a file runs in it; what notebooks show."""

import base64
import hashlib
import json
import re
import sys
from html.parser import HTMLParser

import pytest

import amctcfg
from amctcfg import Layer
from amctcfg.pages.table import Scale

from .browser import look
from .test_cli_show import CONFIG, folder, names_of, write_large  # noqa: F401

SHOW = ("show", "q.cfg", "--graph", "l.csv", "--format", "html")
NAMES = names_of(100)


@pytest.fixture
def large(folder):  # noqa: F811
    return write_large(folder, NAMES)


class Page(HTMLParser):
    """The table of a page: a list a row, of (text, links); all ids, links, elements, and the text of each id."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.links, self.tags, self.texts, self.attributes = [], [], set(), {}, []
        self.id, self.in_table = None, False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.add(tag)
        self.attributes += attributes.items()
        if "id" in attributes:
            self.id = attributes["id"]
            self.texts[self.id] = ""
        if tag == "table":
            self.in_table = True
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.in_table:
            self.rows[-1].append(["", []])
        elif tag == "a":
            self.links.append(attributes["href"])
            if self.in_table:
                self.rows[-1][-1][1].append(attributes["href"])

    def handle_endtag(self, tag):
        if tag == "table":
            self.in_table = False

    def handle_data(self, data):
        if self.in_table and self.rows and self.rows[-1]:
            self.rows[-1][-1][0] += data.strip("\n")
        if self.id is not None:
            self.texts[self.id] += data


def words(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


# ---------------------------------------------------------------- what it says


def test_what_all_layers_share_is_said_of_all_whatever_is_shown(folder, cli):  # noqa: F811
    whole = re.search("class=strip>All .* layers: .*", cli(*SHOW).out).group()
    for shown in ("conv1", "nothing*"):  # no row has the setting, or there is none
        result = cli(*SHOW, "--match", shown)
        assert result.status == 0 and whole.partition(":")[0] in result.out and "search_step" in result.out


def test_every_value_is_what_explain_says(folder, cli):  # noqa: F811
    page = Page(cli(*SHOW).out)
    head = [text for text, _ in page.rows[0]]
    explained = json.loads(cli("explain", "q.cfg", "--all", "--graph", "l.csv", "--format", "json").out)["layers"]
    for row, layer in zip(page.rows[1:], explained):
        cells = dict(zip(head, row))
        assert cells["layer"][0] == layer["layer"] and cells["type"][0] == layer["type"]
        for field, value in layer["fields"].items():
            label = "state" if field == "quant_enable" else field.rpartition(".")[2]
            if field == "quant_enable":
                assert (cells["state"][0] == "quantized") is value["value"]
                if value["value"]:
                    continue
            elif label not in cells:  # the same for all layers
                continue
            else:
                assert cells[label][0] == words(value["value"])
            if not cells[label][1]:
                assert value["tier"] == "default" or value["tier"] == "activation_offset"
                continue
            (link,) = cells[label][1]
            why = page.texts[link[1:]]
            if value["line"] is not None:
                assert "{}, q.cfg:{}:{}".format(value["tier"], value["line"], value["column"]) in why
            for lost in value["shadowed"]:
                place = "q.cfg:{}:{}".format(lost["line"], lost["column"])
                assert "overrides {} at {}: {}".format(words(lost["value"]), place, lost["why"]) in why


def test_what_all_layers_share_is_said_once(folder, cli):  # noqa: F811
    html = cli(*SHOW).out
    strip = re.sub(r"<[^>]*>", "", re.search(r"<p class=strip>(.*)", html).group(1))
    assert strip.startswith("All 3 layers: fuse false (do_fusion, line 7); by default ")
    assert "fuse" not in [text for text, _ in Page(html).rows[0]]


def test_figures(folder, cli):  # noqa: F811
    html = cli(*SHOW, "--against", "old.cfg", "--scores", "s.csv").out
    figures = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", html))
    assert figures == {
        "layers": "4", "quantized": "2", "skipped": "1", "can&#x27;t be quantized": "1", "changed": "3",
        "borders between quantized and float": "1",
    }  # fmt: skip
    assert "<h1>old.cfg → q.cfg</h1>" in html and "Worst by score: <a href=#r3>fc</a> 0.25" in html
    assert "<del>0.7</del> → <ins>0.5</ins>" in html and "quantized → skipped" in html
    assert ">1 warning</a>: 1 partial-override" in html


def test_links_lead_somewhere_on_the_page(folder, cli):  # noqa: F811
    page = Page(cli(*SHOW).out)
    assert page.links and all(link[0] == "#" and link[1:] in page.texts for link in page.links)


def test_lines_are_counted_as_diagnostics_count_them(folder, cli):  # noqa: F811
    """A form feed and U+2028 in a comment end no line; a carriage return before a line feed is not shown."""
    text = '# a\x0cb\u2028c\x85d\r\nskip_layers: "fc"\r\ndo_fusion: false\r\n'
    (folder / "q.cfg").write_bytes(text.encode("utf-8"))
    page = Page(cli(*SHOW).out)
    assert page.texts["L2"].rstrip("\n") == 'skip_layers: "fc"' and "L5" not in page.texts
    assert any("skip_layers, q.cfg:2:1" in said for said in page.texts.values())


def test_it_needs_nothing_else_and_admits_its_own_script_only(folder, cli):  # noqa: F811
    html = cli(*SHOW).out
    policy = re.search(r'Content-Security-Policy content="([^"]*)"', html).group(1)
    for element in ("style", "script"):
        (content,) = re.findall(r"<{0}>(.*?)</{0}>".format(element), html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert "{}-src 'sha256-{}'".format(element, digest) in policy
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy
    assert not {name for name, _ in Page(html).attributes if name == "style" or name.startswith("on")}
    assert "http:" not in html and "https:" not in html and "//" not in "".join(Page(html).links)


def test_a_thousand_layers_are_under_600_kilobytes(folder, cli):  # noqa: F811
    names = ["resnet50/stage{}/unit{}/conv{}/Conv2D".format(n // 100, n // 10, n) for n in range(1000)]
    (folder / "big.csv").write_text("name,type\n" + "".join(n + ",Conv2D\n" for n in names), encoding="utf-8")
    text = CONFIG.replace('skip_layers: "fc"\n', "").replace('"conv1"', '"resnet50/stage0/unit0/conv1/Conv2D"')
    text += (
        'override_layer_types { layer_type: "Conv2D" calibration_config { arq_quantize { channel_wise: false } '
        "ifmr_quantize { search_step: 0.03 asymmetric: false } } }\n"
    )
    (folder / "big.cfg").write_text(text, encoding="utf-8")
    (folder / "s.json").write_text(json.dumps([[n, 0.9 + at / 11000] for at, n in enumerate(names)]), encoding="utf-8")
    html = cli("show", "big.cfg", "--graph", "big.csv", "--format", "html", "--scores", "s.json").out
    assert html.count("<tr id") == 1000 and len(html.encode()) < 600000


# ---------------------------------------------------------------- in a browser


@pytest.mark.thorough
def test_filters_search_sorting_and_folding(large, cli, tmp_path):
    html = cli("show", "large.cfg", "--graph", "large.csv", "--format", "html", "--scores", "scores.json").out
    found, logged = look(
        html,
        tmp_path,
        """
        const found = {start: visible(), bar: $('.tools output').textContent};
        const fold = $('tr.sum button');
        found.closed = fold.getAttribute('aria-expanded');
        fold.click();
        found.opened = visible().length;
        found.focus = document.activeElement.getAttribute('aria-expanded');
        document.activeElement.click();
        found.again = visible().length;
        found.text = type('block33/');
        found.glob = type('*BLOCK3?/out').length;
        found.none = type('nothing').length;
        press('Escape');
        found.escaped = visible().length;
        press('/');
        found.slash = document.activeElement.id;
        $('[data-f=skipped]').click();
        found.skipped = visible();
        $('[data-f=L]').click();
        found.both = visible();
        $('[data-f=skipped]').click();
        found.layer = visible();
        $('[data-f=L]').click();
        const score = $$('thead button')[4];
        score.click();
        found.worst = visible().slice(0, 2);
        found.sort = score.parentNode.getAttribute('aria-sort');
        score.click();
        found.best = visible().slice(0, 2);
        score.click();
        found.order = visible().length;
        $('#unfold').click();
        found.unfolded = visible().length;
        found.offers = [$('#unfold').textContent];
        $('tr.sum button').click();
        found.offers.push($('#unfold').textContent);
        return found;
        """,
    )
    assert logged == []
    folds = ["100 layers net/…", NAMES[100], "99 layers net/…", NAMES[200], "99 layers net/…"]
    assert found == {
        "start": folds, "bar": "300 layers", "closed": "false", "opened": 105, "focus": "true", "again": 5,
        "text": NAMES[99:102], "glob": 10, "none": 0, "escaped": 5, "slash": "search",
        "skipped": [NAMES[200]], "both": [], "layer": [NAMES[100]],
        "worst": NAMES[:2], "sort": "ascending", "best": NAMES[:-3:-1], "order": 5, "unfolded": 303,
        "offers": ["fold equal layers", "unfold all"],
    }  # fmt: skip


@pytest.mark.thorough
def test_explanations_open_on_hover_focus_and_tap(folder, cli, tmp_path):  # noqa: F811
    found, logged = look(
        cli(*SHOW).out,
        tmp_path,
        """
        const link = $('#layers td a.l'), tip = $('#tip'), found = {hidden: tip.hidden};
        link.dispatchEvent(new MouseEvent('mouseover', {bubbles: true}));
        found.hover = [tip.hidden, tip.textContent, link.getAttribute('aria-describedby')];
        press('Escape');
        found.escaped = tip.hidden;
        link.focus();
        found.focus = tip.hidden;
        link.click();
        found.inside = tip.contains(document.activeElement) && document.activeElement.hash;
        press('Escape');
        found.back = document.activeElement === link && tip.hidden;
        const box = $('#layers').getBoundingClientRect();
        found.fits = document.documentElement.scrollWidth <= innerWidth;
        return found;
        """,
    )
    assert logged == [] and found["hidden"] is True
    assert found["hover"][0] is False and found["hover"][2] == "tip"
    assert "ifmr_quantize.search_range_start 0.5: override_layer_configs, q.cfg:5:" in found["hover"][1]
    assert found["escaped"] is True and found["focus"] is False and found["inside"] == "#L5"
    assert found["back"] is True and found["fits"] is True


WIDE = """
    const wide = document.documentElement.clientWidth;
    return $$('body *').filter(e => e.getBoundingClientRect().right > wide + 1 && !e.closest('pre')).map(e => e.outerHTML.slice(0, 200));
"""


@pytest.mark.thorough
@pytest.mark.parametrize("size", [(500, 900), (1400, 1000)])
def test_no_scrolling_sideways(large, cli, tmp_path, size):
    html = cli("show", "large.cfg", "--graph", "large.csv", "--format", "html", "--scores", "scores.json").out
    found, logged = look(html, tmp_path, WIDE, size)
    assert found == [] and logged == []


@pytest.mark.thorough
def test_without_its_script_and_on_paper_all_rows_are_open(large, cli, tmp_path):
    html = cli("show", "large.cfg", "--graph", "large.csv", "--format", "html").out
    bare = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    found, logged = look(
        bare, tmp_path, "return [visible().length, $('#search').getClientRects().length, $$('details[open]').length]"
    )
    assert found == [300, 0, 2] and logged == []
    found, _ = look(
        html,
        tmp_path,
        """
        const sheet = [...document.styleSheets[0].cssRules], before = $$('details[open]').length;
        dispatchEvent(new Event('beforeprint'));
        const screen = sheet.filter(rule => rule.media && rule.media.mediaText.includes('screen')).map(rule => rule.cssText);
        return [before, $$('details[open]').length, screen.some(text => text.includes('tr.in')), $$('tr.in').length];
        """,
    )
    assert found == [1, 2, True, 298]  # folded rows are hidden on screens alone


def luminance(colour):
    """As WCAG 2 defines it."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_words_stand_out_from_their_ground_in_both_schemes():
    from amctcfg.pages.style import COLOURS

    schemes = [dict(re.findall(r"--(\w+):(#[0-9a-f]+)", part)) for part in COLOURS.split("@media")]
    assert len(schemes) == 2
    for colours in schemes:
        for words, grounds in (("text", "back soft l t c g k u r"), ("dim", "back soft"), ("link", "back soft")):
            for ground in grounds.split():
                assert contrast(colours[words], colours[ground]) >= 4.5, (words, ground)


EVIL = [
    "<script>document.title='run'</script>", "<img src=x onerror=\"document.title='run'\">", "\"onmouseover='document.title=1'",
    "'><svg/onload=document.title='run'>", "</style><script>document.title='run'</script>", "javascript:document.title='run'",
    "]]>--></table><script>document.title='run'</script>", "\x1b[31m\u202e&lt;b&gt;",
]  # fmt: skip


def evil_page(folder, cli):  # noqa: F811
    (folder / "evil.json").write_text(json.dumps([{"name": n, "type": "Conv2D"} for n in EVIL]), encoding="utf-8")
    (folder / "evil.cfg").write_text(
        "# {}\n".format(EVIL[4]) + "".join("skip_layers: {}\n".format(json.dumps(n)) for n in EVIL[:4]),
        encoding="utf-8",
    )
    (folder / "evil.csv").write_text("name,score\n" + '"{}",0.5\n'.format(EVIL[0]), encoding="utf-8")
    return cli("show", "evil.cfg", "--graph", "evil.json", "--format", "html", "--scores", "evil.csv").out


def test_names_are_text(folder, cli):  # noqa: F811
    html = evil_page(folder, cli)
    page = Page(html)
    assert not page.tags & {"img", "iframe", "object", "base", "form"} and html.count("<script") == 1
    assert "\x1b" not in html and "\u202e" not in html
    assert [row[0][0] for row in page.rows[1:-1]] == EVIL[:-1]


@pytest.mark.thorough
def test_names_run_nothing(folder, cli, tmp_path):  # noqa: F811
    """Also where somebody would get an element past the escaping: the policy stops it."""
    html = evil_page(folder, cli)
    script = "$$('#layers *').forEach(e => e.dispatchEvent(new MouseEvent('mouseover', {bubbles: true}))); type('<'); return document.title"
    found, logged = look(html, tmp_path, script)
    assert found == "evil.cfg: what each layer gets" and logged == []
    found, logged = look(html.replace("<h1>", EVIL[0] + EVIL[1] + "<h1>"), tmp_path, script)
    assert found == "evil.cfg: what each layer gets" and len(logged) >= 2


# ---------------------------------------------------------------- notebooks


def test_notebooks_show_the_same_table():
    plan = amctcfg.expand(amctcfg.parse(CONFIG), [Layer("conv1", "Conv2D"), Layer("fc", "MatMul")])
    html = plan._repr_html_()
    assert [row[0][0] for row in Page(html).rows] == ["layer", "conv1", "fc"]
    assert "text-align:left!important" in html and "<script" not in html  # Jupyter's own sheet says right
    assert len(repr(plan).splitlines()) <= 5 and "conv1" in repr(plan)
    assert len(repr(plan["conv1"]).splitlines()) == 1
    many = amctcfg.expand(amctcfg.AMCTConfig(), [Layer("l{}".format(n), "Conv2D") for n in range(500)])
    assert "and 300 more layers" in many._repr_html_() and len(repr(many).splitlines()) <= 5


def test_rows_with_origins():
    document = amctcfg.parse(CONFIG, name="q.cfg")
    plan = amctcfg.expand(document, [Layer("conv1", "Conv2D"), Layer("fc", "MatMul")])
    for plain, row in zip(plan.to_rows(), plan.to_rows(origins=True)):
        assert {key: row[key] for key in plain} == plain
        origins = plan[row["layer"]].origins
        assert set(row) - set(plain) == {field + end for field in origins for end in (".by", ".line")}
        for field, origin in origins.items():
            assert row[field + ".by"] == origin.tier and row[field] == origin.value
            assert row[field + ".line"] == (origin.span.line if origin.span else None)
    assert row["quant_enable.by"] == "skip_layers" and row["quant_enable.line"] == 1


def test_documents_in_a_notebook():
    document = amctcfg.parse(
        'skip_layers: "<b>"\r\n# a\u2028b\ncommon_config { ifmr_quantize { search_step: 0.0000001 } }\n'
    )
    html = document._repr_html_()
    lines = re.findall(r"<li>(.*?)</li>", html, re.DOTALL)
    assert len(lines) == 3 and "&lt;b&gt;" in lines[0] and "\r" not in html
    assert "<p class=warning>warning[many-steps]" in lines[2] and "<p" not in lines[0]
    assert "text-align:left" in html and "<script" not in html


def test_simulations_in_a_notebook():
    pytest.importorskip("onnxruntime", reason="simulates")
    numpy = pytest.importorskip("numpy")
    from amctcfg import simulation

    from .test_tools_overlays import exported

    model = exported()
    layers = [Layer("layer{}.conv".format(at), "Conv2d") for at in (1, 2, 3)]
    document = amctcfg.parse('batch_num: 1\nskip_layers: "layer2.conv"', flavour=amctcfg.PYTORCH)
    plan = amctcfg.expand(document, layers)
    sim = simulation.simulate(plan, model, [{"x": numpy.linspace(-1, 1, 48, dtype="float32").reshape(1, 3, 4, 4)}])
    assert "cosine" not in sim._repr_html_()  # which would have to be computed first
    rows = sim.to_rows()
    assert [row["layer"] for row in rows] == ["layer1.conv", "layer3.conv"] == list(sim.factors)
    assert rows[0]["scale"] == sim.factors["layer1.conv"].scale_d and rows[0]["cosine"] > 0.9
    page = Page(sim._repr_html_())
    head = [text for text, _ in page.rows[0]]
    assert head[4:7] == ["cosine", "scale", "offset"] and page.rows[2][2][0] == "skipped" and page.rows[2][5][0] == ""
    assert float(page.rows[1][5][0]) == pytest.approx(rows[0]["scale"], rel=1e-5)


@pytest.mark.parametrize(
    "scores, low_is_sensitive, harms",
    [
        ([0.9, 0.99, 0.999], True, [1, 0.5, 0]),  # similarities: each nine counts
        ([0.9, 0.99, 0.999], None, [1, 0.5, 0]),
        ([1, 2, 3], True, [1, 0.5, 0]),
        ([1, 2, 3], False, [0, 0.5, 1]),
        ([0.5, 0.75, 1.0], False, [0, 0.5, 1]),  # errors, though they look like similarities
        ([-1, 0, 1], True, [1, 0.5, 0]),
        ([2, 2], True, [0, 0]),
        ([1, 3, float("inf"), float("-inf")], True, [1, 0, 0, 1]),
    ],
)
def test_the_worst_score_harms_by_one_and_the_best_by_nothing(scores, low_is_sensitive, harms):
    scale = Scale(scores, low_is_sensitive)
    assert [scale.measure_harm(score) for score in scores] == pytest.approx(harms)


def test_a_plan_has_no_page_where_the_room_was_deleted(monkeypatch):
    plan = amctcfg.expand(amctcfg.AMCTConfig(), [Layer("a", "Conv2D")])
    assert hasattr(plan, "_repr_html_")
    monkeypatch.setitem(sys.modules, "amctcfg.pages.table", None)
    assert not hasattr(plan, "_repr_html_")
