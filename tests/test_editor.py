# SPDX-License-Identifier: Apache-2.0
"""The language server, by a client over real pipes: on this Python, on the oldest here, and in Neovim."""

import contextlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import amctcfg
from amctcfg.diagnostics.codes import CODES, DIAGNOSTICS_PAGE
from amctcfg.editor.actions import format_stretch
from amctcfg.editor.analysis import Analysis, EditorWorkspace, read_settings
from amctcfg.editor.completion import complete
from amctcfg.editor.navigation import encode_tokens, list_folding_ranges, list_symbols
from amctcfg.editor.text import ENCODINGS, Text
from amctcfg.workspace.workspace import Options

from .conftest import THOROUGH, command, thorough
from .lsp_client import INSTALLED, Client
from .test_embedding import oldest

ROOT = Path(__file__).parent.parent
TABLE = "name,type,supported\nstage/conv1,Conv2D,true\nstage/conv2,Conv2D,true\nfc,MatMul,true\nrelu,Relu,true\ndyn,Conv2D,false\n"

TEXT = """\
# amctcfg: graph=l.csv
skip_layers: "fc"
common_config { ifmr_quantize { search_step: 0.02 } }
override_layer_types { layer_type: "Conv2D" calibration_config { ifmr_quantize { search_step: 0.03 } } }
override_layer_types { layer_type: "AvgPool" calibration_config { } }
override_layer_configs {
  layer_name: "stage/conv1"
  calibration_config { arq_quantize { } }
}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "l.csv").write_text(TABLE, encoding="utf-8")
    return tmp_path


def uri_of(folder, name="quant.cfg"):
    return (folder / name).as_uri()


def where(text, words, behind=False):
    """Line and character of some words."""
    offset = text.index(words) + (len(words) if behind else 0)
    return text.count("\n", 0, offset), offset - text.rfind("\n", 0, offset) - 1


def checked(text, folder, name="quant.cfg"):
    """What `check --format json` reports on a text, as (code, severity, line, character, line, character).

    None where an edit made its settings name a model that is not there: check leaves it at that, an editor goes on without.
    """
    path = folder / name
    path.write_bytes(text.encode("utf-8"))
    found = json.loads(command("check", path, "--format", "json").out)["diagnostics"]
    if [d["code"] for d in found] == ["unreadable"]:
        return None
    rows = []
    for d in found:
        if d["code"] == "unreadable":  # a window of the editor says so
            continue
        span = d["span"] or {"line": 1, "column": 1, "end_line": 1, "end_column": 1}
        place = span["line"] - 1, span["column"] - 1, span["end_line"] - 1, span["end_column"] - 1
        rows.append((d["code"], 1 if d["severity"] == "error" else 2, *place))
    return rows


def published(diagnostics):
    rows = []
    for d in diagnostics:
        start, end = d["range"]["start"], d["range"]["end"]
        rows.append((d["code"], d["severity"], start["line"], start["character"], end["line"], end["character"]))
    return rows


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    snippets = {"textDocument": {"completion": {"completionItem": {"snippetSupport": True}}}}
    folder = tmp_path_factory.mktemp("session")
    (folder / "l.csv").write_text(TABLE, encoding="utf-8")
    with Client(capabilities=snippets) as client:
        client.folder, client.uri = folder, uri_of(folder)
        yield client


@pytest.fixture
def client(server):
    """The same server, for files of the test's own."""
    server.notifications.clear()
    return server


@pytest.fixture
def session(server):
    server.open(server.uri, TEXT)
    yield server
    server.notify("textDocument/didClose", {"textDocument": {"uri": server.uri}})


# ---------------------------------------------------------------- diagnostics and edits


PIECES = [
    "", " ", "\n", "{", "}", '"', ":", "#", "skip_layers: ", '"fc"', '"stage/conv1"', "do_fusion: true\n", "search_step: 0.04", "x",
    "[", "]", ",", "common_config { }\n", "0.5", "卷", "😀",
]  # fmt: skip


@pytest.mark.parametrize("which", ["this", "oldest"])
def test_random_edits_are_what_check_reports(which, folder):
    """After each edit the diagnostics equal those of `check`; completion, hover and symbols answer anywhere."""
    chance = random.Random(7)
    text = TEXT
    edits = 1000 if THOROUGH else 15
    uri = uri_of(folder)
    python = sys.executable if which == "this" else oldest()
    with Client(python, capabilities={"general": {"positionEncodings": ["utf-32", "utf-8"]}}) as client:
        assert client.capabilities["capabilities"]["positionEncoding"] == "utf-32"
        client.open(uri, text)
        unreadable = 0
        for number in range(edits):
            start = chance.randrange(len(text) + 1)
            end = min(len(text), start + chance.choice([0, 0, 1, 3, 12]))
            piece = chance.choice(PIECES)
            lines = [text.count("\n", 0, at) for at in (start, end)]
            characters = [at - text.rfind("\n", 0, at) - 1 for at in (start, end)]
            places = [{"line": line, "character": c} for line, c in zip(lines, characters)]
            client.change(uri, [{"range": {"start": places[0], "end": places[1]}, "text": piece}])
            text = text[:start] + piece + text[end:]
            found, wanted = published(client.diagnostics(uri)), checked(text, folder)
            assert wanted is None or found == wanted
            unreadable += wanted is None
            for method in ("completion", "hover", "definition"):
                client.at(uri, method, *[places[0][key] for key in ("line", "character")])
            assert isinstance(client.request("textDocument/documentSymbol", {"textDocument": {"uri": uri}}), list)
            assert isinstance(client.request("textDocument/foldingRange", {"textDocument": {"uri": uri}}), list)
            if number % 25 == 24:
                text = TEXT
                client.change(uri, [{"text": text}])
        versions = [
            m["params"]["version"] for m in client.notifications if m["method"] == "textDocument/publishDiagnostics"
        ]
        assert len(set(versions)) == len(versions) and unreadable < edits / 4
        assert client.close() == 0 and not any("Traceback" in line for line in client.errors)


@pytest.mark.parametrize("encoding, width", [(None, 2), ("utf-8", 4), *thorough([("utf-16", 2), ("utf-32", 1)])])
def test_positions_count_in_the_clients_units(encoding, width, folder, server):
    capabilities = {"general": {"positionEncodings": [encoding]}}
    with Client(capabilities=capabilities) if encoding else contextlib.nullcontext(server) as client:
        uri = uri_of(folder)
        client.open(uri, 'skip_layers: "😀" do_fusion: maybe\n')
        (found,) = client.diagnostics(uri)
        assert found["range"]["start"] == {"line": 0, "character": 13 + 1 + width + 1 + 1 + len("do_fusion: ")}
        place = {"line": 0, "character": 14 + width}
        client.change(uri, [{"range": {"start": place, "end": place}, "text": "x"}])
        client.change(uri, [{"range": {"start": {"line": 0, "character": 14}, "end": place}, "text": "a"}])
        (found,) = client.diagnostics(uri)
        assert found["range"]["start"]["character"] == len('skip_layers: "ax" do_fusion: ')


def test_a_version_is_published_once_even_if_nothing_changed(folder, client):
    uri = uri_of(folder)
    client.open(uri, TEXT)
    first = client.diagnostics(uri)
    client.change(uri, [{"text": TEXT}])
    assert client.diagnostics(uri) == first
    time.sleep(0.4)
    client.request("textDocument/documentSymbol", {"textDocument": {"uri": uri}})
    of_it = [m["params"] for m in client.notifications if m["params"].get("uri") == uri]
    assert [params["version"] for params in of_it] == [1, 2]
    faded = [d["code"] for d in first if d.get("tags") == [1]]
    assert faded == ["unused-override"]
    assert all(d["codeDescription"]["href"].endswith("#" + d["code"]) for d in first)
    client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
    answer = client.ask("textDocument/hover", {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 0}})
    assert answer["error"]["code"] == -32803
    of_it = [m["params"] for m in client.notifications if m["params"].get("uri") == uri]
    assert of_it[-1]["diagnostics"] == []


def test_a_model_that_changes_and_the_clients_settings(folder):
    with Client() as client:
        uri = uri_of(folder)
        client.open(uri, "# amctcfg: graph=l.csv\nskip_layers: 'new'\n")
        assert [d["code"] for d in client.diagnostics(uri)] == ["unknown-layer"]
        client.notifications.clear()
        (folder / "l.csv").write_text(TABLE + "new,Conv2D,true\n", encoding="utf-8")
        assert client.diagnostics(uri) == []
        client.notifications.clear()
        client.notify("workspace/didChangeConfiguration", {"settings": {"amctcfg": {"flavour": "caffe"}}})
        while "nothing-to-quantize" not in [d["code"] for d in client.diagnostics(uri)]:
            client.notifications.clear()  # what was published before the settings came
        client.notifications.clear()
        client.notify(
            "workspace/didChangeConfiguration", {"settings": {"amctcfg": {"graph": str(folder / "nowhere.pb")}}}
        )
        assert client.diagnostics(uri) == []  # the file alone
        assert any(
            m["method"] == "window/showMessage" and "nowhere.pb" in m["params"]["message"] for m in client.notifications
        )


def test_a_flavour_that_is_not_there_is_said_and_left_out(folder):
    with Client(options={"flavour": "pytroch"}) as client:
        uri = uri_of(folder)
        client.open(uri, "skip_layer: 'a'\n")
        assert [d["code"] for d in client.diagnostics(uri)] == ["unknown-field"]
        shown = [m["params"]["message"] for m in client.notifications if m["method"] == "window/showMessage"]
        assert len(shown) == 1 and "did you mean 'pytorch'" in shown[0]


# ---------------------------------------------------------------- completion, hover and the rest


def labels(client, text, words, behind=True):
    """What is completed behind some words of a text that the file is changed to."""
    client.change(client.uri, [{"text": text}])
    items = client.at(client.uri, "completion", *where(text, words, behind))["items"]
    return {item["label"]: item for item in items}


def test_completion(session):
    found = labels(session, TEXT + "\n", TEXT)
    assert {"skip_layers", "do_fusion", "activation_offset"} <= set(found) and "common_config" not in found
    assert found["do_fusion"]["textEdit"]["newText"] == "do_fusion: ${1|true,false|}"
    assert "Whether batch normalization" in found["do_fusion"]["documentation"]["value"]
    assert "search_range_start" in labels(session, "common_config { ifmr_quantize { sea } }", "sea")
    assert set(labels(session, "do_fusion: ", "do_fusion: ")) == {"true", "false"}
    assert set(labels(session, "common_config { ifmr_quantize { search_step: } }", "search_step:")) == {"0.01"}
    head = "# amctcfg: graph=l.csv\n"
    assert list(labels(session, head + 'skip_layers: "', 'skip_layers: "')) == ["stage/conv1", "stage/conv2", "fc"]
    assert list(labels(session, head + 'skip_layers: ["fc", "conv', '"conv')) == ["stage/conv1", "stage/conv2"]
    found = labels(session, head + "skip_layers: ", "skip_layers: ")
    assert found["fc"]["textEdit"]["newText"] == '"fc"'
    assert list(labels(session, head + 'skip_fusion_layers: ""', 'skip_fusion_layers: "')) == [
        "stage/conv1",
        "stage/conv2",
        "dyn",
    ]
    text = (
        head
        + 'override_layer_configs { layer_name: "fc" calibration_config { } }\noverride_layer_configs {  layer_name: "" }'
    )
    assert list(labels(session, text, '{  layer_name: "')) == ["stage/conv1", "stage/conv2"]
    assert next(iter(labels(session, head + 'skip_layer_types: ""', 'skip_layer_types: "'))) == "Conv2D"
    assert labels(session, "# skip_", "# skip_") == {}
    pytorch = "# amctcfg: flavour=pytorch\ncommon_config { ifmr_quantize { dst_type: } }"
    assert set(labels(session, pytorch, "dst_type:")) == {"INT8", "INT16"}


def test_a_file_that_is_broken_in_the_middle_still_answers(session):
    text = TEXT + 'common_config { ifmr_quantize { search_step: "\n\nskip_layers: "sta\n'
    assert set(labels(session, text, 'skip_layers: "sta')) == {"stage/conv1", "stage/conv2"}
    hover = session.at(session.uri, "hover", *where(text, '"stage/conv1"', True))
    assert "stage/conv1 (Conv2D)" in hover["contents"]["value"]


def test_hover(session):
    def words(at):
        return session.at(session.uri, "hover", *where(TEXT, at))["contents"]["value"]

    assert "**search_step**" in words("search_step") and "default 0.01" in words("search_step")
    assert "1 layer of the model: `stage/conv2`" in words("override_layer_types")
    assert "search_step         0.01" in words('"stage/conv1"')
    assert "not quantized: skip_layers at" in words('"fc"')
    assert session.at(session.uri, "hover", 0, 3) is None


def test_a_block_that_is_being_written_counts(tmp_path, client):
    """What can be resolved is the last text that could be read, in which it was not there."""
    (tmp_path / "m.json").write_text(json.dumps([{"name": n, "type": "Conv2D"} for n in "ab"]), encoding="utf-8")
    before = "# amctcfg: graph=m.json\ncommon_config { }\n"
    (tmp_path / "q.cfg").write_text(before, encoding="utf-8")
    uri = (tmp_path / "q.cfg").as_uri()
    client.open(uri, before)
    assert "2 layers of the model" in client.at(uri, "hover", 1, 3)["contents"]["value"]
    text = (
        before
        + 'override_layer_types {\n  layer_type: "Conv2D"\n  calibration_config { ifmr_quantize { search_step: \n'
    )
    client.change(uri, [{"text": text}])
    assert "2 layers of the model" in client.at(uri, "hover", 2, 3)["contents"]["value"]
    whole = {"start": {"line": 0, "character": 0}, "end": {"line": 9, "character": 0}}
    hints = client.request("textDocument/inlayHint", {"textDocument": {"uri": uri}, "range": whole})
    assert [hint["label"] for hint in hints] == ["→ 2 layers"]
    client.change(uri, [{"text": before.replace("{ }", "{ layer_name: 'a' }")}])
    assert "2 layers of the model" in client.at(uri, "hover", 1, 3)["contents"]["value"]


def test_names_in_a_hover_are_code(tmp_path, client):
    """Not links, tags or the end of a block of code, whatever is in them."""
    names = ["![x](http://a.example)", "```", "a`b``c", "<img src=x>", "\x1b[31m"]
    (tmp_path / "m.json").write_text(json.dumps([{"name": n, "type": "Conv2D"} for n in names]), encoding="utf-8")
    text = '# amctcfg: graph=m.json\nskip_layer_types: "Conv2D"\nskip_layers: "```"\n'
    (tmp_path / "q.cfg").write_text(text, encoding="utf-8")
    uri = (tmp_path / "q.cfg").as_uri()
    client.open(uri, text)
    types = client.at(uri, "hover", 1, 20)["contents"]["value"]
    layer = client.at(uri, "hover", 2, 16)["contents"]["value"]
    assert "`![x](http://a.example)`, ```` ``` ````, ``` a`b``c ```, `<img src=x>` and `\\x1b[31m`" in types
    assert layer.startswith("````text\n``` (Conv2D)\n") and layer.endswith("\n````")


def test_hints_symbols_folding_definition_references_rename(session):
    uri = {"textDocument": {"uri": session.uri}}
    whole = {"start": {"line": 0, "character": 0}, "end": {"line": 99, "character": 0}}
    hints = session.request("textDocument/inlayHint", dict(uri, range=whole))
    assert [(h["position"]["line"], h["label"]) for h in hints] == [(3, "→ 1 layer"), (4, "→ nothing")]
    symbols = session.request("textDocument/documentSymbol", uri)
    assert [s["detail"] for s in symbols if s["name"] == "override_layer_types"] == ["Conv2D", "AvgPool"]
    assert {"startLine": 5, "endLine": 7} in session.request("textDocument/foldingRange", uri)
    found = session.at(session.uri, "definition", *where(TEXT, '"stage/conv1"'))
    assert [place["range"]["start"]["line"] for place in found] == [3, 2]
    text = TEXT + 'skip_fusion_layers: "stage/conv1"\n'
    session.change(session.uri, [{"text": text}])
    found = session.at(session.uri, "references", *where(text, '"stage/conv1"'), context={})
    assert [place["range"]["start"]["line"] for place in found] == [6, 9]
    answer = session.ask("textDocument/rename", dict(uri, position={"line": 6, "character": 16}, newName="x"))
    assert answer["error"]["code"] == -32803 and "model" in answer["error"]["message"]
    session.notify("workspace/didChangeConfiguration", {"settings": {"amctcfg": {"inlayHints": False}}})
    assert session.request("textDocument/inlayHint", dict(uri, range=whole)) == []
    session.notify("workspace/didChangeConfiguration", {"settings": {"amctcfg": {"inlayHints": True}}})


def applied(text, edits):
    """The text with the edits of the protocol made; plain ASCII only."""
    starts = [0]
    for line in text.splitlines(True):
        starts.append(starts[-1] + len(line))
    for edit in sorted(edits, key=lambda e: -starts[e["range"]["start"]["line"]] - e["range"]["start"]["character"]):
        start, end = (
            starts[edit["range"][side]["line"]] + edit["range"][side]["character"] for side in ("start", "end")
        )
        text = text[:start] + edit["newText"] + text[end:]
    return text


def actions(client, text, words, only=None):
    client.change(client.uri, [{"text": text}])
    line, character = where(text, words)
    place = {"line": line, "character": character + 1}
    context = {"diagnostics": []} if only is None else {"diagnostics": [], "only": only}
    params = {"textDocument": {"uri": client.uri}, "range": {"start": place, "end": place}, "context": context}
    found = client.request("textDocument/codeAction", params)
    return {action["title"]: applied(text, action["edit"]["changes"][client.uri]) for action in found}


def test_actions(session):
    found = actions(session, TEXT, '"fc"')
    assert found["Stop skipping this layer"] == amctcfg.unskip(TEXT, ["fc"])
    found = actions(session, TEXT, '"stage/conv1"')
    assert found["Skip this layer"] == amctcfg.skip(TEXT, ["stage/conv1"])
    found = actions(session, TEXT, '"AvgPool"')
    assert "AvgPool" not in found["Delete the override"]
    found = actions(session, "do_fusion: yes\n", "yes")
    assert found["Write true (unsafe)"] == "do_fusion: true\n"
    assert actions(session, "do_fusion：true\n", "do_fusion")["Fix the syntax"] == "do_fusion:true\n"
    head = "# amctcfg: graph=l.csv\n"
    block = (
        'override_layer_configs {{ layer_name: "{}" calibration_config {{ ifmr_quantize {{ search_step: 0.04 }} }} }}\n'
    )
    text = head + block.format("stage/conv1") + block.format("stage/conv2")
    found = actions(session, text, '"stage/conv1"')
    (title,) = [title for title in found if title.startswith("Extract")]
    assert "instead of 2 overrides" in title
    layers = amctcfg.load_layers(session.folder / "l.csv")
    plans = [amctcfg.expand(amctcfg.parse(t), layers).to_json() for t in (text, found[title])]
    assert plans[0] == plans[1] and found[title].count("override") == 1
    messy = head + "skip_layers: ['fc', 'fc']\n"
    assert actions(session, messy, "'fc'", ["source.fixAll"])["Fix all that can be fixed safely"] == amctcfg.fix(messy)


def test_formatting(session):
    text = "do_fusion:true\nskip_layers:'a'\nactivation_offset:true\n"
    session.change(session.uri, [{"text": text}])
    uri = {"textDocument": {"uri": session.uri}, "options": {}}
    assert applied(text, session.request("textDocument/formatting", uri)) == amctcfg.format(text)
    second = {"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": 5}}
    assert 'skip_layers: "a"' in applied(text, session.request("textDocument/rangeFormatting", dict(uri, range=second)))
    session.change(session.uri, [{"text": "do_fusion: ["}])
    assert session.request("textDocument/formatting", uri) is None


# ---------------------------------------------------------------- the protocol


def test_the_protocols_errors(folder):
    with Client(initialize=False) as client:
        assert client.ask("textDocument/hover", {})["error"]["code"] == -32002
        client.request("initialize", {"capabilities": {}})
        client.notify("initialized", {})
        client.raw(b'Content-Length: 4\r\n\r\n{"a"')
        assert client.ask("no/such", {})["error"]["code"] == -32601
        for body in (b"[]", b"1", b'{"id": 5}', b"null"):
            client.raw(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert client.ask("textDocument/hover", None)["error"]["code"] == -32602
        assert client.ask("textDocument/hover", {"textDocument": {"uri": "file:///x"}})["error"]["code"] == -32803
        client.notify("textDocument/didChange", {"textDocument": 3})  # bad notifications are ignored
        client.notify("no/such", [])
        client.notify("textDocument/didOpen", None)
        codes = [m["error"]["code"] for m in client.notifications if m.get("id") is None and "error" in m]
        assert codes == [-32700, -32600, -32600, -32600, -32600]
        assert client.ask("initialize", {})["error"]["code"] == -32600
        assert client.close() == 0


def test_cancelled_requests_and_the_end(folder):
    uri = uri_of(folder)
    with Client() as client:
        client.open(uri, TEXT)
        params = {"textDocument": {"uri": uri}, "position": {"line": 1, "character": 3}}
        client.send({"id": 900, "method": "textDocument/hover", "params": params})
        client.send({"id": 901, "method": "textDocument/hover", "params": params})
        client.notify("$/cancelRequest", {"id": 901})
        answers = {}
        while len(answers) < 2:
            message = client.next()
            if message.get("id") in (900, 901):
                answers[message["id"]] = message
        assert "result" in answers[900]
        assert answers[901].get("error", {}).get("code", -32800) == -32800
        client.process.stdin.close()
        assert client.process.wait(timeout=20) == 1  # the input ended without shutdown
    with Client() as client:
        client.raw(b"nonsense\r\n\r\n")
        assert client.process.wait(timeout=20) == 1
    with Client() as client:
        client.request("shutdown", None)
        assert client.ask("textDocument/hover", {})["error"]["code"] == -32600
        client.process.stdin.close()
        assert client.process.wait(timeout=20) == 0


def test_parameters_of_another_form_leave_one_line_in_the_log(folder):
    uri = uri_of(folder)
    with Client() as client:
        client.open(uri, TEXT)
        client.notify("textDocument/didChange", {"textDocument": {"uri": "file:///other"}, "contentChanges": []})
        client.notify("textDocument/didOpen", {"textDocument": 3})
        for line in (float("inf"), "x", None, 10**400):
            place = {"line": line, "character": 0}
            answer = client.ask("textDocument/hover", {"textDocument": {"uri": uri}, "position": place})
            assert answer.get("error", {"code": None})["code"] == (None if line == 10**400 else -32602)
        client.open("file://[::1/q.cfg", "x: 1\n")
        assert [d["code"] for d in client.diagnostics("file://[::1/q.cfg")] == ["unknown-field"]
        assert client.close() == 0
        assert client.errors and all(line.startswith("amctcfg lsp: ") for line in client.errors), client.errors


def test_cancels_of_what_is_not_asked_are_forgotten(folder, client):
    client.notify("$/cancelRequest", {"id": 5000})
    client.open(uri_of(folder), TEXT)
    params = {"textDocument": {"uri": uri_of(folder)}}
    client.send({"id": 5000, "method": "textDocument/foldingRange", "params": params})
    while True:
        message = client.next()
        if message.get("id") == 5000:
            break
    assert "result" in message


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
@pytest.mark.parametrize("name", ["fifo", *thorough(["/dev/zero", "/dev/stdin", "/proc/self/fd/1"])])
def test_a_model_that_never_ends(folder, name):
    os.mkfifo(str(folder / "fifo"))
    uri = uri_of(folder)
    with Client() as client:
        client.open(uri, "# amctcfg: graph={}\nx: 1\n".format(name))
        assert [d["code"] for d in client.diagnostics(uri)] == ["unknown-field"]
        client.process.stdin.close()
        assert client.process.wait(timeout=20) == 1


BUSY = """
import sys, time
from amctcfg.editor import server
server.hover = lambda *given: time.sleep(600)
sys.exit(server.serve(open(0, "rb", buffering=0), sys.stdout.buffer))
"""


def test_the_end_of_the_input_ends_the_server_whatever_it_does(folder):
    uri = uri_of(folder)
    with Client(command=[sys.executable, "-c", BUSY]) as client:
        client.open(uri, TEXT)
        params = {"textDocument": {"uri": uri}, "position": {"line": 1, "character": 3}}
        client.send({"id": 900, "method": "textDocument/hover", "params": params})
        client.process.stdin.close()
        assert client.process.wait(timeout=30) == 1


LATE = """
import os, sys, time
from amctcfg.editor import analysis, server
from amctcfg.workspace import workspace
read = workspace.read_named_model
def read_late(path, flavour):
    while path.endswith("big.csv") and not os.path.exists(os.path.join(os.path.dirname(path), "go")):
        time.sleep(0.05)
    return read(path, flavour)
workspace.read_named_model, analysis.LARGE = read_late, 1000
sys.exit(server.serve(open(0, "rb", buffering=0), sys.stdout.buffer))
"""


def test_another_file_does_not_wait_for_a_large_model(folder):
    """A model above the limit is read in the background, and its file is reported when it is there."""
    rows = "".join("layer{},Conv2D,true\n".format(number) for number in range(100))
    (folder / "big.csv").write_text("name,type,supported\n" + rows, encoding="utf-8")
    big, small = uri_of(folder, "big.cfg"), uri_of(folder, "small.cfg")
    with Client(command=[sys.executable, "-c", LATE]) as client:
        client.open(big, "# amctcfg: graph=big.csv\nskip_layers: 'layer7'\nskip_layers: 'nope'\n")
        client.open(small, TEXT)
        assert client.diagnostics(small)
        assert client.at(small, "hover", *where(TEXT, '"stage/conv1"'))["contents"]["value"]
        assert client.at(big, "hover", 1, 2)["contents"]["value"]  # what needs no model
        published = [m["params"]["uri"] for m in client.notifications if m["method"].endswith("publishDiagnostics")]
        assert big not in published
        (folder / "go").touch()
        assert [d["code"] for d in client.diagnostics(big)] == ["unknown-layer"]
        assert client.close() == 0


def test_an_edit_before_the_first_look_keeps_what_was_opened(folder, client):
    """What could be read of the text that was opened counts, also where nothing looked at it before it was broken."""
    uri = uri_of(folder)
    client.open(uri, TEXT)
    client.change(uri, [{"text": TEXT + 'common_config { ifmr_quantize { search_step: "\n'}])
    found = client.at(uri, "hover", *where(TEXT, '"stage/conv1"', True))
    assert "stage/conv1 (Conv2D)" in found["contents"]["value"]


def test_a_problem_while_typing_is_shown_when_the_typing_has_ended(folder, client):
    uri, head = uri_of(folder), "# amctcfg: graph={}\n"
    client.open(uri, head.format("l.csv"))
    client.diagnostics(uri)
    for length in range(1, 5):
        client.change(uri, [{"text": head.format("none.csv"[:length])}])
        client.diagnostics(uri)
    client.change(uri, [{"text": head.format("none.csv")}])
    while not any(m["method"] == "window/showMessage" for m in client.notifications):
        client.notifications.append(client.next())
    shown = [m["params"]["message"] for m in client.notifications if m["method"] == "window/showMessage"]
    assert len(shown) == 1 and "none.csv" in shown[0]


# ---------------------------------------------------------------- long lines, deep nests, large files


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_positions_in_long_lines(encoding):
    """As when they are counted from the line's beginning."""
    text = "a\n" + "ab😀卷" * 700 + "\nx"
    one = Text(text, encoding)
    for offset in [*range(0, len(text), 61), len(text)]:
        place = one.position(offset)
        begin = text.rfind("\n", 0, offset) + 1
        units = offset - begin if encoding == "utf-32" else sum(map(one.width_of, text[begin:offset]))
        assert place == {"line": text.count("\n", 0, offset), "character": units}
        assert one.offset(place) == offset


def costs(work, sizes):
    """How many steps of the interpreter a function takes for each size."""
    found = []
    for size in sizes:
        given, count = work(size), [0]

        def trace(frame, event, argument, count=count):
            count[0] += 1
            return trace

        before = sys.gettrace()  # of what measures the coverage
        sys.settrace(trace)
        try:
            given()
        finally:
            sys.settrace(before)
        found.append(count[0])
    return found


def analysed(text):
    return Analysis(Text(text), "quant.cfg", EditorWorkspace(Options(), print, print))


def test_behind_a_bracket_at_the_end_the_message_around_it_goes_on():
    text = 'override_layer_configs {\n  layer_name: "a"\n  calibration_config { arq_quantize { }'
    for end in ("", " ", "\n"):
        offered = complete(analysed(text + end), len(text), False)["items"]
        assert [item["label"] for item in offered] == ["ifmr_quantize"]


def test_a_string_that_is_being_typed_may_have_an_escape_of_no_code_point():
    for escape in (r"\U00110000", r"\UFFFFFFFF", r"\ud800"):
        analysis = analysed('do_fusion: true skip_layers: "{}"'.format(escape))
        assert len(encode_tokens(analysis)["data"]) == 4 * 5
        assert list_symbols(analysis)[1]["detail"] == '"{}"'.format(escape)
        assert [node.text for node in analysis.outline.strings] == [escape + '"']


def long_line(size):
    analysis = analysed("skip_layers: [{}]".format(", ".join('"卷{}"'.format(n) for n in range(size))))
    return lambda: (list_symbols(analysis), encode_tokens(analysis, 0, 10**9))


def colons(size):
    analysis = analysed("common_config {" + "x:;" * size)
    return lambda: complete(analysis, len(analysis.text.text), False)


def unformatted(size):
    block = "override_layer_configs {{\nlayer_name:'{}'\ncalibration_config {{\nifmr_quantize {{\n}}\n}}\n}}\n"
    analysis = analysed("".join(map(block.format, range(size))))
    return lambda: format_stretch(analysis, 0, len(analysis.text.text))


@pytest.mark.parametrize("work", [long_line, colons, unformatted])
def test_answers_take_steps_that_grow_with_the_text(work):
    small, large = costs(work, [50, 200])
    assert large < 6 * small


def test_deep_nests_have_symbols():
    analysis = analysed("common_config {" * 1200)  # deeper than Python's own recursion goes
    json.dumps(list_symbols(analysis))
    json.dumps(list_folding_ranges(analysis))


def test_a_part_is_formatted_by_whole_fields():
    text = "# a\ndo_fusion:true # b\nskip_layers:['a',\n'b']\n\n\n\n# c\nactivation_offset:true"
    analysis = analysed(text)
    for start in range(0, len(text), 3):
        for end in range(start, len(text) + 1, 7):
            after = applied(text, format_stretch(analysis, start, end))
            assert amctcfg.format(after) == amctcfg.format(text)
    assert applied(text, format_stretch(analysis, 0, len(text))) == amctcfg.format(text)
    where_it_is = text.index("skip_layers")
    after = applied(text, format_stretch(analysis, where_it_is, where_it_is + 1))
    assert "do_fusion:true # b" in after and "activation_offset:true" in after and "skip_layers:[" not in after


# ---------------------------------------------------------------- semantic tokens


def decoded(text, data, names):
    """The words of the tokens with their types and modifiers."""
    lines, line, character, found = text.split("\n"), 0, 0, []
    for step, move, length, kind, modifiers in zip(*[iter(data)] * 5):
        line, character = line + step, move if step else character + move
        found.append((lines[line][character : character + length], names[kind], modifiers))
    return found


def test_semantic_tokens(session):
    text = (
        "# amctcfg: graph=l.csv flavour=pytorch\nskip_layers: ['fc', 'gone']\nskip_layer_types: 'Conv2d'\n"
        "do_fusion: true # so\ncommon_config { ifmr_quantize { search_step: 0.02 dst_type: INT16 } }\nodd: 'x'\n"
    )
    session.change(session.uri, [{"text": text}])
    uri = {"textDocument": {"uri": session.uri}}
    names = session.capabilities["capabilities"]["semanticTokensProvider"]["legend"]["tokenTypes"]
    found = decoded(text, session.request("textDocument/semanticTokens/full", uri)["data"], names)
    assert found == [
        ("# amctcfg: graph=l.csv flavour=pytorch", "comment", 0),
        ("skip_layers", "property", 0), ("'fc'", "variable", 0), ("'gone'", "variable", 1),
        ("skip_layer_types", "property", 0), ("'Conv2d'", "type", 0),
        ("do_fusion", "property", 0), ("true", "keyword", 0), ("# so", "comment", 0),
        ("common_config", "property", 0), ("ifmr_quantize", "property", 0),
        ("search_step", "property", 0), ("0.02", "number", 0), ("dst_type", "property", 0), ("INT16", "enumMember", 0),
        ("odd", "property", 0), ("'x'", "string", 0),
    ]  # fmt: skip
    part = {"start": {"line": 3, "character": 0}, "end": {"line": 3, "character": 9}}
    data = session.request("textDocument/semanticTokens/range", dict(uri, range=part))["data"]
    assert decoded(text, data, names) == [("do_fusion", "property", 0)]
    session.change(session.uri, [{"text": "skip_layers: '😀' # x\ncommon_config { ] : { 'a' "}])
    data = session.request("textDocument/semanticTokens/full", uri)["data"]
    assert data[:15] == [0, 0, 11, 1, 0, 0, 13, 4, 7, 0, 0, 5, 3, 0, 0]


def test_the_page_of_a_diagnostic_is_in_the_site():
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert DIAGNOSTICS_PAGE.startswith(re.search(r"^site_url: (\S+)", settings, re.MULTILINE)[1] + "diagnostics/#")
    assert "use_directory_urls: false" not in settings
    headings = (ROOT / "docs" / "diagnostics.md").read_text(encoding="utf-8")
    assert all(re.search(r"^#+ {}\b".format(code), headings, re.MULTILINE) for code in CODES if code != "unreadable")


EDITORS = (ROOT / "docs" / "editors.md").read_text(encoding="utf-8")


def shown(language):
    """The first example of a language on the page about editors."""
    return re.search(r"```{}\n(.*?)```".format(language), EDITORS, re.DOTALL)[1]


def installed(folder):
    """The environment of a machine where this tree is installed as the command amctcfg."""
    (folder / "bin").mkdir()
    script = folder / "bin" / "amctcfg"
    script.write_text('#!/bin/sh\nexec "{}" -m amctcfg "$@"\n'.format(sys.executable), encoding="utf-8")
    script.chmod(0o755)
    path = "{}{}{}".format(script.parent, os.pathsep, os.environ["PATH"])
    return dict(os.environ, PATH=path, PYTHONPATH=str(INSTALLED), HOME=str(folder))


NVIM = """
vim.o.swapfile = false
vim.cmd('luafile ' .. vim.env.SETUP)
vim.cmd('edit ' .. vim.env.CFG)
local function wait(what, test) if not vim.wait(15000, test, 50) then print('TIMEOUT ' .. what) vim.cmd('cquit') end end
wait('diagnostics', function() return #vim.diagnostic.get(0) > 0 end)
for _, d in ipairs(vim.diagnostic.get(0)) do io.stdout:write('DIAG ' .. d.code .. ' ' .. d.lnum .. '\\n') end
vim.api.nvim_buf_set_lines(0, 1, 2, false, {'skip_layers: "nope"'})
wait('edit', function() for _, d in ipairs(vim.diagnostic.get(0)) do if d.code == 'unknown-layer' then return true end end end)
local answers = vim.lsp.buf_request_sync(0, 'textDocument/hover', {textDocument = {uri = vim.uri_from_bufnr(0)}, position = {line = 6, character = 16}}, 5000)
for _, a in pairs(answers) do io.stdout:write('HOVER ' .. a.result.contents.value:sub(1, 40):gsub('\\n', ' ') .. '\\n') end
if vim.lsp.buf.format then vim.lsp.buf.format({timeout_ms = 5000}) else vim.lsp.buf.formatting_sync(nil, 5000) end
io.stdout:write('LINES ' .. vim.api.nvim_buf_line_count(0) .. '\\n')
vim.cmd('qall!')
"""


@pytest.mark.thorough
def test_neovim(folder):
    nvim = shutil.which("nvim")
    if nvim is None:
        pytest.skip("no Neovim here: apt-get install neovim")
    (folder / "quant.cfg").write_text(TEXT, encoding="utf-8")
    (folder / "session.lua").write_text(NVIM, encoding="utf-8")
    (folder / "setup.lua").write_text(shown("lua"), encoding="utf-8")
    environment = dict(
        installed(folder), CFG=str(folder / "quant.cfg"), SETUP=str(folder / "setup.lua"),
        XDG_STATE_HOME=str(folder), XDG_DATA_HOME=str(folder), XDG_CACHE_HOME=str(folder),
    )  # fmt: skip
    done = subprocess.run(
        [nvim, "--headless", "-u", "NONE", "-c", "luafile {}".format(folder / "session.lua")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    out = done.stdout + done.stderr
    assert "DIAG unused-override 4" in out and "stage/conv1 (Conv2D)" in out and "TIMEOUT" not in out, out
    expected = amctcfg.format(TEXT.replace('skip_layers: "fc"', 'skip_layers: "nope"'))
    assert "LINES {}".format(expected.count("\n")) in out


EMACS = """
(package-initialize)
(require 'eglot)
(load-file (getenv "SETUP"))
(remove-hook 'amctcfg-mode-hook #'eglot-ensure) ; it waits for a command, of which a script has none
(setq eglot-sync-connect 30)
(defun until (what test)
  (let ((end (+ (float-time) 30)))
    (while (not (funcall test))
      (when (> (float-time) end) (princ (format "TIMEOUT %s\\n" what)) (kill-emacs 1))
      (accept-process-output nil 0.05))))
(find-file (getenv "CFG"))
(princ (format "MODE %s\\n" major-mode))
(apply #'eglot--connect (eglot--guess-contact))
(until "diagnostics" (lambda () (flymake-start) (flymake-diagnostics)))
(dolist (one (flymake-diagnostics))
  (princ (format "DIAG %s %s\\n" (line-number-at-pos (flymake-diagnostic-beg one)) (flymake-diagnostic-text one))))
(goto-char (point-min))
(search-forward "stage/conv1")
(let ((found (jsonrpc-request (eglot-current-server) :textDocument/hover (eglot--TextDocumentPositionParams))))
  (princ (format "HOVER %s\\n" (plist-get (plist-get found :contents) :value))))
(eglot-format-buffer)
(princ (format "LINES %s\\n" (count-lines (point-min) (point-max))))
(kill-emacs 0)
"""


@pytest.mark.thorough
def test_emacs(folder):
    emacs = shutil.which("emacs")
    if emacs is None:
        pytest.skip("no Emacs here: apt-get install emacs-nox elpa-eglot")
    has_eglot = ["--batch", "--eval", '(progn (package-initialize) (kill-emacs (if (locate-library "eglot") 0 1)))']
    if subprocess.run([emacs, *has_eglot], capture_output=True, check=False).returncode:
        pytest.skip("Emacs has no eglot here: apt-get install elpa-eglot, or Emacs 29")
    (folder / "quant.cfg").write_text(TEXT, encoding="utf-8")
    (folder / "session.el").write_text(EMACS, encoding="utf-8")
    (folder / "setup.el").write_text(shown("elisp"), encoding="utf-8")
    environment = dict(installed(folder), CFG=str(folder / "quant.cfg"), SETUP=str(folder / "setup.el"))
    command = [emacs, "--batch", "-l", str(folder / "session.el")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    out = done.stdout + done.stderr
    assert "MODE amctcfg-mode" in done.stdout and "DIAG 5 " in done.stdout, out
    assert "HOVER ```text\nstage/conv1 (Conv2D)" in done.stdout, out
    assert "LINES {}".format(amctcfg.format(TEXT).count("\n")) in done.stdout, out


EXTENSION = ROOT / "editors" / "vscode"


@pytest.mark.thorough
def test_the_extension_of_vscode_starts_the_server():
    """With a stub of VS Code's client; `vsce package` builds the rest."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node here: apt-get install nodejs")
    command = json.dumps([sys.executable, "-m", "amctcfg", "lsp"])
    environment = dict(
        os.environ, COMMAND=command, EXTENSION=str(EXTENSION / "extension.js"), PYTHONPATH=str(INSTALLED)
    )
    stub = str(ROOT / "tests" / "vscode_stub.js")
    done = subprocess.run([node, stub], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert '"semanticTokensProvider"' in done.stdout, done.stdout + done.stderr


def test_the_extension_of_vscode_offers_the_settings_that_the_server_has():
    described = json.loads((EXTENSION / "package.json").read_text(encoding="utf-8"))
    offered = set(described["contributes"]["configuration"]["properties"]) - {"amctcfg.command"}
    taken = []

    class Settings(dict):
        def get(self, key):
            taken.append(key)

    read_settings(Settings())
    assert offered == {"amctcfg." + name for name in taken if name != "amctcfg"}
    assert (EXTENSION / described["main"]).exists()
