# SPDX-License-Identifier: Apache-2.0
"""The settings that a file carries in its comments."""

import json
import os

import pytest

import amctcfg
from amctcfg import Layer
from amctcfg.cli.opening import rewrite_head_paths

STEP = "common_config { ifmr_quantize { search_step: 0.0100000001 } }"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "l.csv").write_text("name,type\na,Conv2D\nb,MatMul\n", encoding="utf-8")
    (tmp_path / "other.csv").write_text("name,type\nx,Conv2D\n", encoding="utf-8")
    (tmp_path / "sub" / "q.cfg").write_text(
        "# a file\n#\n# amctcfg: graph=../l.csv rules=toolkit\nskip_layers: 'b'\n", encoding="utf-8"
    )
    return tmp_path


def test_a_graph_in_the_head_makes_the_option_optional(folder, cli):
    for arguments in (["check"], ["expand"], ["show"], ["explain", "a"]):
        assert cli(arguments[0], "sub/q.cfg", *arguments[1:]).status == 0, arguments
    assert cli("diff", "sub/q.cfg", "sub/q.cfg").status == 0
    assert cli("check", "sub/q.cfg", "--graph", "other.csv").status == 1  # options win


@pytest.mark.parametrize(
    "text, codes",
    [
        ("# amctcfg: ignore=float32-rounding\n" + STEP, []),
        (STEP + "  # amctcfg: ignore=float32-rounding\n", []),
        ("do_fusion: true\n# amctcfg: ignore=float32-rounding\n\n# more\n" + STEP, []),
        (
            "# amctcfg: ignore=float32-rounding\ndo_fusion: true\nactivation_offset: true\n" + STEP,
            [],
        ),  # the head is for all
        ("activation_offset: true\n" + STEP[:-3] + "\n}  # amctcfg: ignore=float32-rounding\n}", ["float32-rounding"]),
        ("do_fusion: true\n# amctcfg: ignore=float32-rounding\n# more\n\n" + STEP, []),
        ("do_fusion: true  # amctcfg: ignore=float32-rounding\n" + STEP, ["float32-rounding"]),
        ("# x\ndo_fusion: true\n# amctcfg: ignore=many-steps\n" + STEP, ["float32-rounding"]),
        ("do_fusion: true\n# amctcfg: ignore=float32-rounding\nactivation_offset: true\n" + STEP, ["float32-rounding"]),
        ("# amctcfg: ignore=many-steps,float32-rounding\n" + STEP, []),
        ("# amctcfg : ignore=float32-rounding\n" + STEP, ["float32-rounding"]),
        ("# amctcfg: ignroe=float32-rounding\n" + STEP, ["unknown-setting", "float32-rounding"]),
        ("# amctcfg: ignore=wrong-type\ndo_fusion: 3", ["unknown-setting", "wrong-type"]),
        ("do_fusion: true\n# amctcfg: graph=x.pb\n", ["unknown-setting"]),
        ("skip_layers: '# amctcfg: ignroe=x'", []),
        ('# amctcfg: graph="a b.pb"\n' + STEP, ["float32-rounding"]),
    ],
)
def test_the_library_follows_ignore_and_no_other_setting(text, codes):
    assert [d.code for d in amctcfg.check(text)] == codes


def test_an_unknown_setting_gets_the_nearest():
    (found,) = amctcfg.check("# amctcfg: flavor=onnx\n")
    assert found.hint == "did you mean 'flavour'?" and found.span == (1, 12, 1, 23)


def test_an_ignore_that_silences_nothing(folder, cli):
    (folder / "x.cfg").write_text("# amctcfg: ignore=many-steps\ndo_fusion: true\n", encoding="utf-8")
    assert cli("check", "x.cfg", "-q").out == ""
    result = cli("check", "x.cfg", "--strict-warnings")
    assert result.status == 1 and "x.cfg:1:12: warning[unused-ignore]" in result.out


def test_plans_follow_ignore():
    text = "# amctcfg: ignore=redundant-override\noverride_layer_configs { layer_name: 'a' calibration_config { } }\n"
    assert amctcfg.expand(amctcfg.parse(text), [Layer("a", "Conv2D")]).warnings == ()


def test_flavour_and_rules_in_the_head(folder, cli):
    (folder / "x.cfg").write_text("# amctcfg: flavour=pytorch\nbatch_num: 2\n", encoding="utf-8")
    assert cli("check", "x.cfg").status == 0
    (folder / "x.cfg").write_text("# amctcfg: rules=vendor\n", encoding="utf-8")
    assert cli("check", "x.cfg").status == 2
    text = (
        "# amctcfg: graph=l.csv rules={}\noverride_layer_types {{ layer_type: 'Conv2D' calibration_config {{ ifmr_quantize {{ asymmetric: false }} }} }}\n"
        "override_layer_configs {{ layer_name: 'a' calibration_config {{ }} }}\n"
    )
    for rules, expected in (("toolkit", True), ("documented", False)):
        (folder / "x.cfg").write_text(text.format(rules), encoding="utf-8")
        values = json.loads(cli("expand", "x.cfg").out)
        assert values["a"]["activation_quant_params"]["asymmetric"] is expected


def test_a_setting_that_can_not_be_followed_stops_its_own_file_only(cli, tmp_path):
    lost, wrong = tmp_path / "lost.cfg", tmp_path / "wrong.cfg"
    lost.write_text("# amctcfg: graph=nowhere.csv\n", encoding="utf-8")
    wrong.write_text("do_fusion: maybe\n", encoding="utf-8")
    result = cli("check", lost, wrong)
    assert result.status == 2 and "wrong-type" in result.out and "nowhere.csv: No such file" in result.err
    found = json.loads(cli("check", lost, wrong, "--format", "json").out)["diagnostics"]
    assert [d["code"] for d in found] == ["unreadable", "wrong-type"]
    assert cli("check", lost, "--graph", tmp_path / "nowhere.csv").status == 2


@pytest.mark.parametrize(
    "head, copy, expected",
    [
        ("# amctcfg: graph=../l.csv rules=toolkit\n", "q.cfg", "# amctcfg: graph=l.csv rules=toolkit\n"),
        ("# amctcfg: graph=../l.csv\n", "sub/deep/q.cfg", "# amctcfg: graph=../../l.csv\n"),
        ("# amctcfg: graph=../l.csv\n", "sub/copy.cfg", None),  # the same folder: every byte as it was
        ("# amctcfg: graph=/abs/l.csv\n", "q.cfg", None),
        ('# amctcfg: graph="../my models/l.csv"\n', "q.cfg", '# amctcfg: graph="my models/l.csv"\n'),
        ("# amctcfg: graph=l.csv\n", "my copies/deep/q.cfg", "# amctcfg: graph=../../sub/l.csv\n"),
        ("# amctcfg: graph=l.csv\n", "q.cfg", "# amctcfg: graph=sub/l.csv\n"),
        ("do_fusion: true\n# amctcfg: graph=../l.csv\n", "q.cfg", None),  # not in the head
        ("do_fusion: true\n", "q.cfg", None),
    ],
)
def test_a_copy_finds_the_files_that_the_head_names(folder, head, copy, expected):
    assert rewrite_head_paths(head, "sub/q.cfg", copy) == (head if expected is None else expected)
    assert rewrite_head_paths(head, str(folder / "sub" / "q.cfg"), copy) == (head if expected is None else expected)


def test_a_copy_at_an_unknown_place_has_whole_paths(folder):
    text = rewrite_head_paths("# amctcfg: graph=../l.csv\n", "sub/q.cfg", None)
    assert text == "# amctcfg: graph={}\n".format(os.path.realpath(str(folder / "l.csv")))


def test_a_copy_in_a_linked_folder_finds_them_too(folder):
    (folder / "far" / "away").mkdir(parents=True)
    try:
        os.symlink(str(folder / "far" / "away"), str(folder / "near"))
    except (OSError, NotImplementedError):
        pytest.skip("symbolic links can't be made here")
    text = rewrite_head_paths("# amctcfg: graph=../l.csv\n", "sub/q.cfg", "near/q.cfg")
    assert text == "# amctcfg: graph=../../l.csv\n"  # as the system follows it from the folder itself
