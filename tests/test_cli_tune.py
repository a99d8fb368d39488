# SPDX-License-Identifier: Apache-2.0
"""The command tune: what it writes where, its exit states, and what it says."""

import json

import pytest

from .conftest import DATA

np = pytest.importorskip("numpy", reason="the simulation computes with numpy: pip install 'amctcfg[simulate]'")
pytest.importorskip("onnx", reason="the simulation edits graphs with onnx: pip install 'amctcfg[simulate]'")
pytest.importorskip("onnxruntime", reason="the simulation runs onnxruntime: pip install 'amctcfg[simulate]'")
pytest.importorskip("google.protobuf", reason="layers are read with protobuf")

GOLDEN = DATA / "simulation"
TEXT = "# amctcfg: graph={} flavour=pytorch\nbatch_num: 1\n"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a configuration and data of a small model."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.onnx").write_bytes((GOLDEN / "grouped_bn.onnx").read_bytes())
    (tmp_path / "quant.cfg").write_text(TEXT.format("model.onnx"))
    with np.load(GOLDEN / "020.npz") as arrays:
        np.savez(str(tmp_path / "data.npz"), x=arrays["x0"])
        np.savez(str(tmp_path / "check.npz"), x=arrays["x0"][::-1] * np.float32(0.9))
    return tmp_path


def test_the_new_file_goes_to_standard_output_and_the_table_to_standard_error(cli, place):
    result = cli("tune", "quant.cfg", "--data", "data.npz")
    assert result.status == 0
    assert result.out.startswith(TEXT.format("model.onnx")) and "# tune: output" in result.out
    head, *rows, summary, note = result.err.splitlines()
    assert head.split() == ["amctcfg:", "layer", "kind", "without", "setting"]
    assert all(row.split()[2] in ("settings", "balancer") for row in rows)
    assert summary.startswith("amctcfg: {} change".format(len(rows))) and " dB before, " in summary
    assert note == "amctcfg: measured on the calibration data; `--check` takes other data"
    assert (place / "quant.cfg").read_text() == TEXT.format("model.onnx")
    again = cli("check", "-", "--graph", "model.onnx", "--flavour", "pytorch", stdin=result.out.encode())
    assert again.status == 0


def test_in_place_and_elsewhere(cli, place):
    (place / "sub").mkdir()
    command = ("tune", "quant.cfg", "--data", "data.npz", "--check", "check.npz", "--allow", "settings")
    assert cli(*command, "-o", "sub/new.cfg").status == 0
    copy = (place / "sub" / "new.cfg").read_text()
    assert copy.startswith("# amctcfg: graph=../model.onnx")
    assert cli("check", "sub/new.cfg").status == 0
    result = cli(*command, "-i")
    assert (result.status, result.out) == (0, "")
    assert (place / "quant.cfg").read_text() == copy.replace("../model.onnx", "model.onnx")
    assert cli("tune", "quant.cfg", "--data", "data.npz", "-o", "data.npz").status == 2
    assert cli("tune", "-", "--data", "data.npz", "-i", stdin=b"").status == 2


def test_the_report_as_json(cli, place):
    result = cli("tune", "quant.cfg", "--data", "data.npz", "--format", "json", "--allow", "settings")
    found = json.loads(result.out)
    assert set(found) == {"version", "file", "model", "before", "after", "reached", "changes", "left", "notes"}
    assert found["reached"] is True and {change["kind"] for change in found["changes"]} <= {"settings"}
    assert [entry["output"] for entry in found["left"]] == sorted(entry["output"] for entry in found["left"])


def test_a_target_that_is_not_reached(cli, place):
    result = cli("tune", "quant.cfg", "--data", "data.npz", "--target", "150", "--allow", "settings", "-o", "best.cfg")
    assert result.status == 1
    assert "the target of 150 dB was not reached; this is the best that was found" in result.err
    assert "# tune: output" in (place / "best.cfg").read_text()


def test_nothing_to_do(cli, place):
    result = cli("tune", "quant.cfg", "--data", "data.npz", "--target", "1", "-i")
    assert result.status == 0 and "; no change" in result.err
    assert (place / "quant.cfg").read_text() == TEXT.format("model.onnx")


def test_wrong_use(cli, place):
    result = cli("tune", "quant.cfg", "--data", "data.npz", "--allow", "magic")
    assert result.status == 2 and "'magic' is not one of settings, balancer, int16 and skip" in result.err
    for target in ("nan", "inf", "much"):
        result = cli("tune", "quant.cfg", "--data", "data.npz", "--target", target)
        assert result.status == 2 and "'{}' is not a finite number".format(target) in result.err
    assert cli("tune", "quant.cfg", "--data", "data.npz", "--allow", "").status == 2
    place.joinpath("wrong.cfg").write_text(place.joinpath("quant.cfg").read_text() + "batch_num: one\n")
    result = cli("tune", "wrong.cfg", "--data", "nowhere.npz", "-o", "nowhere/x.cfg")
    assert result.status == 1 and "error[wrong-type]" in result.err  # the file comes first
    result = cli("tune", "quant.cfg", "--data", "nowhere.npz")
    assert result.status == 2 and "nowhere.npz" in result.err
