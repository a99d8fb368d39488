# SPDX-License-Identifier: Apache-2.0
"""Tuning by simulation: what is written is what was found, what is reported holds, and nothing dearer is kept than needed."""

import dataclasses
import json
import re

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

import amctcfg
from amctcfg import PYTORCH

from .conftest import DATA, thorough

np = pytest.importorskip("numpy", reason="the simulation computes with numpy: pip install 'amctcfg[simulate]'")
onnx = pytest.importorskip("onnx", reason="the simulation edits graphs with onnx: pip install 'amctcfg[simulate]'")
pytest.importorskip("onnxruntime", reason="the simulation runs it: pip install 'amctcfg[simulate]'")
pytest.importorskip("google.protobuf", reason="layers are read with protobuf")

from onnx import helper, numpy_helper  # noqa: E402

from amctcfg import simulation  # noqa: E402
from amctcfg.simulation import tuning  # noqa: E402
from amctcfg.simulation.changes import OLD_COMMENT  # noqa: E402
from amctcfg.simulation.tuning import WORTH, TuningSearch  # noqa: E402

CHANNELS = 4


def network(seed, kinds, outliers=()):
    """A chain of small layers with random weights, named as PyTorch's modules; some with an outlier in their weights."""
    rng = np.random.default_rng(seed)
    nodes, constants, value = [], [], "x"
    for index, kind in enumerate(kinds):
        name = "l{}".format(index)
        weight = rng.standard_normal((CHANNELS, CHANNELS, 3, 3) if kind == "conv" else (CHANNELS, CHANNELS))
        if index in outliers:
            weight[:, 0] *= 30
        bias = rng.standard_normal(CHANNELS)
        constants += [
            numpy_helper.from_array(weight.astype(np.float32), name + ".weight"),
            numpy_helper.from_array(bias.astype(np.float32), name + ".bias"),
        ]
        inputs = [value, name + ".weight", name + ".bias"]
        if kind == "conv":
            nodes.append(helper.make_node("Conv", inputs, [name], name="/{}/Conv".format(name), pads=[1] * 4))
        else:
            if not any(node.op_type == "Gemm" for node in nodes):
                nodes.append(helper.make_node("GlobalAveragePool", [value], ["pooled"], name="/GlobalAveragePool"))
                nodes.append(helper.make_node("Flatten", ["pooled"], ["flat"], name="/Flatten"))
                inputs[0] = "flat"
            nodes.append(helper.make_node("Gemm", inputs, [name], name="/{}/Gemm".format(name), transB=1))
        value = name
        if index + 1 < len(kinds):
            nodes.append(helper.make_node("Tanh", [value], [name + "_t"], name="/Tanh_{}".format(index)))
            value = name + "_t"
    rank = 2 if "linear" in kinds else 4
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("x", 1, ["n", CHANNELS, 6, 6])],
        [helper.make_tensor_value_info(value, 1, [None] * rank)],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def batch(seed, tails=False):
    rng = np.random.default_rng(seed)
    x = rng.standard_t(2, (2, CHANNELS, 6, 6)) if tails else rng.standard_normal((2, CHANNELS, 6, 6))
    return {"x": x.astype(np.float32)}


def parse(text, flavour=PYTORCH):
    return amctcfg.parse(text, "q.cfg", flavour=flavour)


def layers_of(model, flavour=PYTORCH):
    from amctcfg.models.onnx import read_onnx

    return [examined.layer for examined in read_onnx(model.SerializeToString(), "m", flavour)]


def output(plan, model, batches, measured=None):
    """The dB of the output, by another path than tune's: the saved model in onnxruntime, without its optimizations."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    signal = noise = 0.0
    simulated = simulation.simulate(plan, model, batches).model
    sessions = [
        onnxruntime.InferenceSession(m.SerializeToString(), options, providers=["CPUExecutionProvider"])
        for m in (model, simulated)
    ]
    for given_ in measured or batches:
        (wanted,), (found,) = [session.run(None, given_) for session in sessions]
        signal += float(np.sum(np.square(wanted.astype(np.float64))))
        noise += float(np.sum(np.square(wanted.astype(np.float64) - found)))
    return 10 * np.log10(signal / noise) if noise else 200.0


def changed_fields(text):
    """The fields of a setting, by dotted name, as text format says them."""
    tree = amctcfg.textformat.parse(text)
    found = {}
    for element in tree.elements():
        if isinstance(element.value, str):
            found[element.name] = element.value
        else:
            for inner in tree.elements(element.value):
                found[element.name + "." + inner.name] = inner.value
    return found


def same(written, value):
    """Whether a literal says a value."""
    if isinstance(value, bool):
        return written == str(value).lower()
    return written == value if isinstance(value, str) else float(np.float32(float(written))) == float(np.float32(value))


TEXTS = [
    "batch_num: 1\n",
    "# ours\nbatch_num: 1\nactivation_offset: false\n",
    "batch_num: 1\ncommon_config { ifmr_quantize { max_percentile: 0.9 } }  # low\n",
    'batch_num: 1\noverride_layer_types { layer_type: "Conv2d" calibration_config { hfmg_quantize { asymmetric: false } } }\n',
    'batch_num: 1\noverride_layer_configs {\n  layer_name: "l0"\n  calibration_config {\n    ifmr_quantize {  # mine\n'
    "      search_range_end: 1.1  # narrow\n    }\n  }\n}\n",
    'skip_layers: "l1"\nbatch_num: 1\noverride_layer_configs { layer_name: "l1" calibration_config { } }',
]
chains = st.lists(st.sampled_from(["conv", "conv", "linear"]), min_size=2, max_size=4).map(sorted)


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    chains,
    st.integers(0, 99),
    st.sampled_from(TEXTS),
    st.sampled_from([None, None, 30.0, 45.0, 70.0]),
    st.sampled_from([None, ("settings",), ("settings", "balancer", "int16", "skip"), ("skip",)]),
    st.booleans(),
)
def test_what_is_reported_holds_for_what_is_written(kinds, seed, text, target, allow, checks):
    model, batches = network(seed, kinds, outliers={seed % len(kinds)}), [batch(seed)]
    check = [batch(seed + 1000)] if checks else None
    document, layers = parse(text), layers_of(model)
    tuned = simulation.tune(document, model, batches, target, check, allow)
    event("{} changes".format(len(tuned.changes)))
    before = {rules: amctcfg.expand(document, layers, rules=rules) for rules in ("documented", "toolkit")}
    after_document = parse(tuned.text)
    assert not [d for d in amctcfg.check(tuned.text, layers=layers, flavour=PYTORCH) if d.severity == "error"]
    after = {rules: amctcfg.expand(after_document, layers, rules=rules) for rules in before}
    assert after["documented"] == after["toolkit"] or before["documented"] != before["toolkit"]
    if not tuned.changes:
        assert tuned.text == text and tuned.after == tuned.before
    # What differs is what is reported.
    reported = {change.layer: changed_fields(change.setting) for change in tuned.changes}
    for change in amctcfg.diff(before["documented"], after["documented"]):
        if change.after is None:
            continue  # of an algorithm that another one replaces
        if change.field == "quant_enable":
            assert reported[change.layer] == {"skip_layers": json.dumps(change.layer)}
        else:
            assert same(reported[change.layer].pop(change.field), change.after), change
    assert all(fields.keys() <= {"skip_layers"} for fields in reported.values())
    # The figures are those of the file.
    assert output(before["documented"], model, batches, check) == pytest.approx(tuned.before, abs=0.01)
    assert output(after["documented"], model, batches, check) == pytest.approx(tuned.after, abs=0.01)
    assert tuned.reached == (target is None or tuned.after >= target)
    assert tuned.after >= tuned.before
    quantized = [name for name, effective in after["documented"].items() if effective.quant_enable]
    assert quantized and {name for name, _ in tuned.left} == set(quantized)
    assert [decibels for _, decibels in tuned.left] == sorted(decibels for _, decibels in tuned.left)
    for change in tuned.changes:
        assert without(before, after, change.layer, model, batches, check) == pytest.approx(change.without, abs=0.01)
        assert allow is None or change.kind in allow
        if target is None:
            assert change.without < tuned.after - 0.09
        elif tuned.reached:
            assert change.without < target


def without(before, after, layer, model, batches, check):
    """The dB where one layer has again what it had."""
    plan = after["documented"]
    layers = [before["documented"][name] if name == layer else effective for name, effective in plan.items()]
    restored = amctcfg.Plan(layers, plan.config, plan.flavour, plan.global_values)
    return output(restored, model, batches, check)


def test_a_second_run_replaces_its_comments():
    model, batches = network(3, ["conv", "conv", "linear"], outliers={1}), [batch(3)]
    first = simulation.tune(parse("batch_num: 1\n"), model, batches)
    assert first.changes
    second = simulation.tune(parse(first.text), model, batches)
    assert second.before == pytest.approx(first.after, abs=0.01)
    comments = [line for line in second.text.splitlines() if "# tune:" in line]
    assert len(comments) == len({change.layer for change in (*first.changes, *second.changes)})


def test_comments_say_what_a_change_is_worth():
    model, batches = network(3, ["conv", "conv", "linear"], outliers={1}), [batch(3)]
    tuned = simulation.tune(parse("batch_num: 1\n"), model, batches)
    found = [line[2:] for line in tuned.text.splitlines() if line.startswith("# ")]
    assert found and all(re.match(OLD_COMMENT, comment) for comment in found)
    assert found[0] == "tune: output {:.1f} dB, {:.1f} without".format(tuned.after, tuned.changes[0].without)


def test_fewest_of_the_dearest_kinds():
    """With all kinds allowed, a target that settings reach needs nothing dearer."""
    model, batches = network(5, ["conv", "conv", "linear"], outliers={0}), [batch(5, tails=True)]
    document = parse("batch_num: 1\n")
    settings_only = simulation.tune(document, model, batches, allow=["settings"])
    target = settings_only.after - 0.5
    assert target > settings_only.before  # else there would be nothing to reach
    tuned = simulation.tune(document, model, batches, target, allow=["settings", "balancer", "int16", "skip"])
    assert tuned.reached and {change.kind for change in tuned.changes} == {"settings"}


def test_nothing_is_kept_that_the_target_does_not_need_however_far_estimates_are_off(monkeypatch):
    """All but INT16 is worth less than estimated; so more is tried, and what of it is not needed is given back."""

    def measure_whole(self, state):
        return self.estimate(state) - 8 * sum(choice.kind != "int16" for choice in state.values())

    monkeypatch.setattr(TuningSearch, "measure_whole", measure_whole)
    model, batches = network(3, ["conv", "conv", "linear"], outliers={1}), [batch(3)]
    tuned = simulation.tune(parse("batch_num: 1\n"), model, batches, target=40)
    assert tuned.reached and {change.kind for change in tuned.changes} == {"int16"}
    assert all(change.without < 40 for change in tuned.changes)


def test_of_what_reaches_the_target_the_cheapest_counts():
    """Estimates are off here: the first search reaches the target with two balancers, a second with a setting."""
    batches = [{"x": np.random.default_rng(8).normal(size=(2, 5, 12)).astype("f4")}]
    kinds = ["settings", "balancer", "int16", "skip"]
    tuned = simulation.tune(parse("batch_num: 1\n"), DATA / "simulation" / "sequence.onnx", batches, 45, allow=kinds)
    assert tuned.reached and all(change.without < 45 for change in tuned.changes)
    assert sorted(change.kind for change in tuned.changes) == ["int16", "settings", "skip", "skip"]


def test_a_setting_that_helps_on_the_calibration_data_alone_is_not_kept():
    """The calibration data has an outlier that other data lacks, or the other way round: what is judged is the check."""
    model = network(8, ["conv", "conv"])
    calibration, check = batch(8), batch(9)
    calibration["x"][0, 0, 0, 0] = 60
    document = parse("batch_num: 1\n")
    blind = simulation.tune(document, model, [calibration])
    seeing = simulation.tune(document, model, [calibration], check=[check])
    layers = layers_of(model)
    on_check = [
        output(amctcfg.expand(parse(text), layers), model, [calibration], [check])
        for text in (blind.text, seeing.text, "batch_num: 1\n")
    ]
    assert on_check[1] >= max(on_check) - 0.01  # at least as good as both
    assert blind.text != seeing.text and on_check[1] > on_check[0]  # a setting was caught
    assert not any("calibration data" in note for note in seeing.notes)
    assert any("calibration data" in note for note in blind.notes)


def test_at_least_one_layer_stays_quantized():
    model, batches = network(2, ["conv", "linear"]), [batch(2)]
    tuned = simulation.tune(parse("batch_num: 1\n"), model, batches, target=190, allow=["skip"])
    assert not tuned.reached and len(tuned.left) == 1
    assert [change.kind for change in tuned.changes] == ["skip"]


def test_kinds_that_are_not_to_be_had():
    model, batches = network(2, ["conv", "linear"]), [batch(2)]
    with pytest.raises(ValueError, match="allow has 'magic'; the kinds of changes are settings, balancer, int16, skip"):
        simulation.tune(parse("batch_num: 1\n"), model, batches, allow=["magic"])
    for allow, said in ((None, False), (["settings", "int16"], True)):  # INT16 is PyTorch's, and nobody asked for it
        tuned = simulation.tune(parse("batch_num: 1\n", amctcfg.ONNX), model, batches, target=1, allow=allow)
        assert ("onnx has no int16; it is left out" in tuned.notes) is said
    flavour = dataclasses.replace(amctcfg.CAFFE, graphs="onnx", types={"Conv": amctcfg.ONNX.types["Conv"]})
    tuned = simulation.tune(parse("", flavour), model, batches, allow=["settings", "balancer"])
    assert "caffe has no balancer; it is left out" in tuned.notes


def test_nothing_to_gain_is_said_and_nothing_is_written():
    model, batches = network(2, ["conv", "linear"]), [batch(2)]
    text = "batch_num: 1"
    reached = simulation.tune(parse(text), model, batches, target=1)
    assert reached.reached and not reached.changes and reached.text == text
    nothing = simulation.tune(parse(text), model, batches, allow=[])
    assert not nothing.changes and "nothing to gain: no change is worth 0.1 dB" in nothing.notes


def test_too_few_batches():
    model = network(2, ["conv", "linear"])
    with pytest.raises(ValueError, match=r"takes 3 batches \(batch_num\), and 1 is given"):
        simulation.tune(parse("batch_num: 3\n"), model, [batch(2)])


@pytest.mark.parametrize("target", [float("nan"), float("inf")])
def test_a_target_is_a_finite_number(target):
    with pytest.raises(ValueError, match="it has to be a finite number"):
        simulation.tune(parse("batch_num: 1\n"), network(2, ["conv"]), [batch(2)], target=target)


def test_a_model_whose_floats_are_nan_is_not_tuned():
    model = network(2, ["conv", "linear"])
    weight = model.graph.initializer[-1]
    array = onnx.numpy_helper.to_array(weight).copy()
    array.flat[0] = np.nan
    weight.CopyFrom(onnx.numpy_helper.from_array(array, weight.name))
    with pytest.raises(ValueError, match="the model's output in floats holds NaN or infinity"):
        simulation.tune(parse("batch_num: 1\n"), model, [batch(2)])


@pytest.mark.parametrize(
    "seed, kinds", [(2, ["conv", "linear"]), *thorough([(5, ["conv", "conv", "linear"]), (7, ["conv", "conv"])])]
)
def test_an_interrupted_search_gives_what_was_tried_and_a_whole_one_no_less(monkeypatch, seed, kinds):
    def interrupted(self, target):
        raise KeyboardInterrupt

    model, batches = network(seed, kinds, outliers={0, 1}), [batch(seed, tails=True)]
    whole = simulation.tune(parse("batch_num: 1\n"), model, batches)
    monkeypatch.setattr(TuningSearch, "search", interrupted)
    tuned = simulation.tune(parse("batch_num: 1\n"), model, batches)
    assert tuned.changes and tuned.after > tuned.before + 1
    assert whole.after > tuned.after - WORTH * len(tuned.changes)
    assert "interrupted: this is the best that was found until then" in tuned.notes
    assert not any("nothing to gain" in note for note in tuned.notes)


def test_another_strength_is_a_setting():
    model, batches = network(3, ["conv", "conv", "linear"], outliers={1}), [batch(3)]
    text = "batch_num: 1\ncommon_config { dmq_balancer { migration_strength: 0.2 } }\n"
    tuned = simulation.tune(parse(text), model, batches, allow=["settings"])
    assert any("migration_strength" in change.setting for change in tuned.changes)
    assert {change.kind for change in tuned.changes} == {"settings"}


def test_gains_that_are_small_alone_are_mentioned(monkeypatch):
    """With a coarse measure of worth, as a deep model of equal layers has it: no change counts alone."""
    monkeypatch.setattr(tuning, "WORTH", 8.0)
    model, batches = network(3, ["conv", "conv", "linear"], outliers={0, 1}), [batch(3, tails=True)]
    tuned = simulation.tune(parse("batch_num: 1"), model, batches)
    (note,) = (note for note in tuned.notes if "given back" in note)
    target = float(re.search(r"--target ([0-9.]+)", note)[1])
    assert target > tuned.after + 0.4
    assert simulation.tune(parse("batch_num: 1"), model, batches, target, allow=["settings", "balancer"]).reached
