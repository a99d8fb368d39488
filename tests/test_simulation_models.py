# SPDX-License-Identifier: Apache-2.0
"""The simulation on models of many kinds: what is simulated, what stays in floats and is said, what is refused."""

import os
import subprocess
import sys

import pytest

import amctcfg
from amctcfg import ONNX, PYTORCH

np = pytest.importorskip("numpy", reason="the simulation computes with numpy: pip install 'amctcfg[simulate]'")
onnx = pytest.importorskip("onnx", reason="the simulation edits graphs with onnx: pip install 'amctcfg[simulate]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="the simulation runs it: pip install 'amctcfg[simulate]'")
pytest.importorskip("google.protobuf", reason="layers are read with protobuf")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from amctcfg import simulation  # noqa: E402

from .conftest import DATA  # noqa: E402

GOLDEN = DATA / "simulation"


def rng(seed=0):
    return np.random.default_rng(seed)


def normal(*shape, seed=0):
    return rng(seed).standard_normal(shape).astype(np.float32)


def tensors(**arrays):
    return [numpy_helper.from_array(np.asarray(array), name.replace("__", ".")) for name, array in arrays.items()]


def made(nodes, constants, inputs, outputs=("y",), opset=17, kind=TensorProto.FLOAT):
    """A model of some nodes; inputs are a mapping of name to shape."""
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, kind, [None] * len(next(iter(inputs.values())))) for name in outputs],
        constants,
    )
    if opset < 9:  # constants were inputs, too
        graph.input.extend(helper.make_tensor_value_info(c.name, c.data_type, c.dims) for c in constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=3 if opset < 9 else 8)


def two_convolutions(opset=17, seed=0, **replaced):
    arrays = dict(
        w1=normal(6, 3, 3, 3, seed=seed + 1),
        b1=normal(6, seed=seed + 2),
        w2=normal(4, 6, 3, 3, seed=seed + 3),
        b2=normal(4, seed=seed + 4),
    )
    arrays.update(replaced)
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["a"], name="first", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["r"], name="relu"),
        helper.make_node("Conv", ["r", "w2", "b2"], ["y"], name="second"),
    ]
    return made(nodes, tensors(**arrays), {"x": ["n", 3, 8, 8]}, opset=opset)


def plan_of(model, text="batch_num: 1\n", flavour=ONNX, tmp_path=None, rules="documented"):
    path = tmp_path / "model.onnx"
    onnx.save(model, str(path))
    return amctcfg.expand(amctcfg.loads(text, flavour=flavour), amctcfg.load_layers(path, flavour), rules=rules)


def run(model, batch):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, batch)[0]


def batch(count=2, seed=7):
    return {"x": normal(count, 3, 8, 8, seed=seed)}


def decibels(wanted, found):
    return 10 * np.log10(np.sum(wanted.astype(np.float64) ** 2) / np.sum((wanted.astype(np.float64) - found) ** 2))


# ---------------------------------------------------------------- what comes out


def test_what_a_simulation_shows(tmp_path):
    model = two_convolutions()
    plan = plan_of(model, tmp_path=tmp_path)
    sim = simulation.simulate(plan, model, [batch()])
    factors = sim.factors["first"]
    assert list(sim.factors) == ["first", "second"] and sim.refused == ()
    assert isinstance(factors.scale_d, float) and isinstance(factors.offset_d, float)
    assert [row["offset"] for row in sim.to_rows()] == [int(each.offset_d) for each in sim.factors.values()]
    assert all(isinstance(row["offset"], int) for row in sim.to_rows())  # in tables it is written without a point
    assert factors.scale_w.shape == (6,) and factors.offset_w.tolist() == [0] * 6
    assert factors.scale_w.dtype == np.float32 and factors.balance is None
    with pytest.raises(ValueError):
        factors.scale_w[0] = 1
    onnx.checker.check_model(sim.model, full_check=True)
    assert {node.op_type for node in sim.model.graph.node} <= {"Conv", "Relu", "Mul", "Round", "Add", "Clip", "Sub"}
    wanted, found = run(model, batch()), run(sim.model, batch())
    assert decibels(wanted, found) == pytest.approx(sim.output_sqnr, abs=0.01) and 25 < sim.output_sqnr < 60
    assert amctcfg.audit(plan, record=sim.record) == ()
    for what in ("cosine", "sqnr", "output"):
        scores = sim.sensitivity(what)
        assert scores.low_is_sensitive and set(scores) == {"first", "second"}
    with pytest.raises(ValueError, match="'cosine' or 'sqnr' or 'output'"):
        sim.sensitivity("best")
    assert any("as documented" in note for note in sim.notes)  # the flavour's evidence


def test_one_layer_alone_is_what_skipping_the_others_leaves(tmp_path):
    model = two_convolutions()
    sim = simulation.simulate(plan_of(model, tmp_path=tmp_path), model, [batch()])
    alone = simulation.simulate(
        plan_of(model, 'batch_num: 1\nskip_layers: "second"\n', tmp_path=tmp_path), model, [batch()]
    )
    assert alone.output_sqnr == pytest.approx(sim.sensitivity("output")["first"], abs=1e-6)


def test_memory_and_jobs_change_nothing(tmp_path):
    path = GOLDEN / "grouped_bn.onnx"
    text = 'batch_num: 2\ncommon_config { dmq_balancer { } }\noverride_layer_types { layer_type: "Linear" calibration_config { hfmg_quantize { } } }\n'
    plan = amctcfg.expand(amctcfg.loads(text, flavour=PYTORCH), amctcfg.load_layers(path, PYTORCH))
    batches = [{"x": normal(3, 4, 12, 12, seed=seed)} for seed in (1, 2)]
    seen = []
    one = simulation.simulate(plan, path, batches, progress=lambda *what: seen.append(what))
    two = simulation.simulate(plan, path, batches, memory=1, jobs=3)
    assert one.record == two.record and one.output_sqnr == two.output_sqnr
    assert dict(one.sensitivity("sqnr")) == dict(two.sensitivity("sqnr"))
    assert {what for what, _, _ in seen} >= set(plan) and all(done <= total for _, done, total in seen)


def test_memory_is_kept_by_running_the_model_for_fewer_layers():
    from amctcfg.simulation.calibration import divide_into_runs

    sizes = dict(zip("abcdef", [3, 3, 3, 9, 1, 1]))
    found = divide_into_runs(sizes, 7)
    assert found == [["a", "b"], ["c"], ["d"], ["e", "f"]]
    assert all(sum(sizes[v] for v in portion) <= 7 or len(portion) == 1 for portion in found)


@pytest.mark.parametrize("opset", [13, 17, 21])
def test_a_weight_that_a_node_makes_of_constants(tmp_path, opset):
    """A quantized export has whole numbers and a DequantizeLinear; before opset 19 that ended in a RuntimeError."""
    steps, scale = rng(5).integers(-128, 128, (6, 3, 3, 3)).astype(np.int8), np.float32(0.0125)
    plain = two_convolutions(opset, w1=steps * scale)
    stored = two_convolutions(opset)
    stored.graph.node.insert(0, helper.make_node("DequantizeLinear", ["steps", "scale"], ["made"], name="widen"))
    stored.graph.node[1].input[1] = "made"
    stored.graph.initializer.extend(tensors(steps=steps, scale=scale))
    one, other = (simulation.simulate(plan_of(model, tmp_path=tmp_path), model, [batch()]) for model in (plain, stored))
    assert one.record == other.record and one.output_sqnr == other.output_sqnr


def test_the_callers_batches_stay_as_they_are(tmp_path):
    model = two_convolutions()
    given = [batch()]
    before = given[0]["x"].copy()
    simulation.simulate(plan_of(model, tmp_path=tmp_path), model, given)
    assert (given[0]["x"] == before).all()


def test_saving_replaces_the_file_in_one_step(tmp_path):
    model = two_convolutions()
    sim = simulation.simulate(plan_of(model, tmp_path=tmp_path), model, [batch()])
    target = tmp_path / "out" / "sim.onnx"
    with pytest.raises(OSError):
        sim.save(target)
    target.parent.mkdir()
    target.write_text("old")
    sim.save(target)
    assert os.listdir(str(target.parent)) == ["sim.onnx"]
    assert (run(onnx.load(str(target)), batch()) == run(sim.model, batch())).all()


# ---------------------------------------------------------------- kinds of models


def test_external_data_stays_external(tmp_path):
    model = two_convolutions(w1=normal(16, 3, 3, 3), b1=normal(16), w2=normal(4, 16, 3, 3))
    plan = plan_of(model, tmp_path=tmp_path)
    inside = simulation.simulate(plan, model, [batch()])
    path = tmp_path / "external.onnx"
    onnx.save(
        model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0, convert_attribute=False
    )
    outside = simulation.simulate(plan, path, [batch()])
    assert outside.record == inside.record
    outside.save(tmp_path / "sim.onnx")
    assert (tmp_path / "sim.onnx.data").stat().st_size > 3000 and (tmp_path / "sim.onnx").stat().st_size < 5000
    session = onnxruntime.InferenceSession(str(tmp_path / "sim.onnx"), providers=["CPUExecutionProvider"])
    assert (session.run(None, batch())[0] == run(inside.model, batch())).all()
    (tmp_path / "weights.bin").write_bytes(b"")
    with pytest.raises(ValueError, match=r"weights\.bin"):
        simulation.simulate(plan, path, [batch()])


def test_a_model_in_halves_is_computed_in_float32(tmp_path):
    wide = two_convolutions()
    model = onnx.ModelProto()
    model.CopyFrom(wide)
    for tensor in model.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    plan = plan_of(model, tmp_path=tmp_path)
    given = {"x": batch()["x"].astype(np.float16)}
    sim = simulation.simulate(plan, model, [given])
    assert any("float16" in note for note in sim.notes)
    assert simulation.simulate(plan, model, [{"x": given["x"].astype(np.float32)}]).record == sim.record
    assert run(sim.model, {"x": given["x"].astype(np.float32)}).dtype == np.float32


@pytest.mark.parametrize("opset", [7, 10])
def test_an_older_opset_is_converted_which_is_said(tmp_path, opset):
    old, new = two_convolutions(opset), two_convolutions()
    plan = plan_of(old, tmp_path=tmp_path)
    sim = simulation.simulate(plan, old, [batch()])
    assert any("opset {} to 11".format(opset) in note for note in sim.notes)
    assert sim.record == simulation.simulate(plan, new, [batch()]).record


def test_batches_of_different_sizes(tmp_path):
    model = two_convolutions()
    plan = plan_of(model, "batch_num: 2\n", tmp_path=tmp_path)
    both = np.concatenate([batch(3)["x"], batch(1, seed=9)["x"]])
    apart = simulation.simulate(plan, model, [{"x": both[:3]}, {"x": both[3:]}])
    together = simulation.simulate(plan_of(model, tmp_path=tmp_path), model, [{"x": both}])
    for name, factors in apart.factors.items():
        assert factors.scale_d == pytest.approx(together.factors[name].scale_d, rel=1e-5)


def product_model():
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], name="left"),
        helper.make_node("Transpose", ["x"], ["t"], name="turn", perm=[0, 2, 1]),
        helper.make_node("MatMul", ["a", "t"], ["y"], name="product"),
    ]
    return made(nodes, tensors(w=normal(5, 5, seed=3)), {"x": ["n", 4, 5]})


def test_a_product_of_two_variables_has_two_scales(tmp_path):
    model = product_model()
    plan = plan_of(model, tmp_path=tmp_path)
    sim = simulation.simulate(plan, model, [{"x": normal(2, 4, 5)}])
    factors = sim.factors["product"]
    assert len(factors.scale_d) == 2 and factors.offset_d == (0, 0)
    assert sim.record.count("scale_d") == 3
    assert any("product" in note and "documented" in note for note in sim.notes)
    assert sim.output_sqnr > 25 and set(sim.sensitivity()) == {"left", "product"}


def test_what_is_not_simulated_stays_in_floats_and_is_said(tmp_path):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], name="batched")]
    model = made(nodes, tensors(w=normal(2, 5, 5)), {"x": [2, 4, 5]})
    plan = plan_of(model, tmp_path=tmp_path)
    assert plan["batched"].quant_enable
    sim = simulation.simulate(plan, model, [{"x": normal(2, 4, 5)}])
    assert sim.factors == {} and sim.record == "" and sim.output_sqnr == 200
    assert any("'batched'" in note and "3 dimensions" in note for note in sim.notes)


def test_a_shared_weight_is_quantized_for_each_layer(tmp_path):
    model = two_convolutions(w1=normal(3, 3, 3, 3), b1=normal(3), w2=normal(3, 3, 3, 3), b2=normal(3))
    shared = onnx.ModelProto()
    shared.CopyFrom(model)
    shared.graph.node[2].input[1] = "w1"
    text = 'batch_num: 1\noverride_layer_configs { layer_name: "second" calibration_config { arq_quantize { channel_wise: false } } }\n'
    sim = simulation.simulate(plan_of(shared, text, tmp_path=tmp_path), shared, [batch()])
    assert len(sim.factors["first"].scale_w) == 3 and len(sim.factors["second"].scale_w) == 1


def test_normalization_is_fused_where_nothing_else_reads_the_convolution(tmp_path):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], name="conv"),
        helper.make_node("BatchNormalization", ["a", "gamma", "beta", "mean", "variance"], ["b"], name="bn"),
        helper.make_node("Relu", ["b"], ["y"], name="relu"),
    ]
    constants = dict(
        w=normal(4, 3, 3, 3),
        gamma=normal(4, seed=1),
        beta=normal(4, seed=2),
        mean=normal(4, seed=3),
        variance=np.abs(normal(4, seed=4)),
    )
    model = made(nodes, tensors(**constants), {"x": ["n", 3, 8, 8]})
    fused = simulation.simulate(plan_of(model, tmp_path=tmp_path), model, [batch()])
    apart = simulation.simulate(plan_of(model, "batch_num: 1\ndo_fusion: false\n", tmp_path=tmp_path), model, [batch()])
    operations = lambda sim: [node.op_type for node in sim.model.graph.node]  # noqa: E731
    assert "BatchNormalization" not in operations(fused) and "BatchNormalization" in operations(apart)
    assert "skip_fusion: true" in apart.record and "skip_fusion" not in fused.record
    factor = constants["gamma"] / np.sqrt(constants["variance"] + np.float32(1e-5))
    ratio = fused.factors["conv"].scale_w / apart.factors["conv"].scale_w
    assert ratio == pytest.approx(np.abs(factor), rel=0.01)
    read_twice = onnx.ModelProto()
    read_twice.CopyFrom(model)
    read_twice.graph.output.append(helper.make_tensor_value_info("a", TensorProto.FLOAT, None))
    kept = simulation.simulate(plan_of(read_twice, tmp_path=tmp_path), read_twice, [batch()])
    assert "BatchNormalization" in operations(kept)


@pytest.mark.parametrize(
    "flavour, kind, typed",
    [
        (ONNX, "Conv", True),
        (amctcfg.TENSORFLOW, "Conv2D", True),
        (amctcfg.CAFFE, "Convolution", False),
        (amctcfg.CAFFE_8_5, "Convolution", False),
        (amctcfg.MINDSPORE, "Conv2d", False),
        (amctcfg.TF_ASCEND, "Conv2D", False),
    ],
)
def test_a_record_has_the_keys_of_its_flavour(flavour, kind, typed):
    """Those of Caffe, MindSpore and TF-Ascend tell no widths."""
    model = two_convolutions()
    layers = [amctcfg.Layer(name, kind) for name in ("first", "second")]
    plan = amctcfg.expand(amctcfg.loads("", flavour=flavour), layers)
    record = simulation.simulate(plan, model, [batch()]).record
    assert record.count("act_type") == record.count("wts_type") == 2 * typed
    assert amctcfg.audit(plan, record=record) == ()


# ---------------------------------------------------------------- refusals


@pytest.mark.filterwarnings("error")
def test_outputs_that_are_infinite_in_floats_are_compared_without_a_word_of_numpy(tmp_path):
    weight = normal(4, 6, 3, 3)
    weight[0, 0, 0, 0] = np.inf
    model = two_convolutions(w2=weight)
    sim = simulation.simulate(plan_of(model, tmp_path=tmp_path), model, [batch()])
    assert [refusal.layer for refusal in sim.refused] == ["second"]
    assert np.isnan(sim.sensitivity("output")["first"]) and np.isnan(sim.output_sqnr)


@pytest.mark.filterwarnings("error")
def test_an_infinite_weight_that_normalization_takes_times_zero_is_refused_as_nan_is(tmp_path):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], name="conv"),
        helper.make_node("BatchNormalization", ["a", "zeros", "zeros", "zeros", "ones"], ["y"], name="bn"),
    ]
    weight, zeros = np.full((4, 3, 3, 3), np.inf, np.float32), np.zeros(4, np.float32)
    model = made(nodes, tensors(w=weight, zeros=zeros, ones=zeros + 1), {"x": ["n", 3, 8, 8]})
    sim = simulation.simulate(plan_of(model, tmp_path=tmp_path), model, [batch()])
    assert [refusal.layer for refusal in sim.refused] == ["conv"]


def test_a_weight_with_nan_is_refused_and_what_is_behind_it_is_said(tmp_path):
    weight = normal(6, 3, 3, 3)
    weight[0, 0, 0, 0] = np.nan
    model = two_convolutions(w1=weight)
    sim = simulation.simulate(plan_of(model, tmp_path=tmp_path), model, [batch()])
    assert [(refusal.layer, "NaN" in refusal.reason) for refusal in sim.refused] == [("first", True)]
    assert sim.factors == {} and any("'second'" in note and "'first'" in note for note in sim.notes)


def test_an_activation_with_infinity_is_refused(tmp_path):
    model = two_convolutions(w1=normal(6, 3, 3, 3) * np.float32(1e3), b1=normal(6))
    model.graph.node[1].op_type = "Exp"
    sim = simulation.simulate(plan_of(model, tmp_path=tmp_path), model, [batch()])
    assert [refusal.layer for refusal in sim.refused] == ["second"]


def test_a_scale_beyond_the_toolkits_range_is_refused(tmp_path):
    model = two_convolutions(w1=normal(6, 3, 3, 3) * np.float32(1e9), b1=None or normal(6))
    sim = simulation.simulate(plan_of(model, tmp_path=tmp_path), model, [batch()])
    assert [refusal.layer for refusal in sim.refused] == ["first", "second"]
    assert "scale of its weight" in sim.refused[0].reason and "scale" in sim.refused[1].reason


def test_int16_that_a_layer_lacks_is_refused():
    path = GOLDEN / "sequence.onnx"
    text = 'override_layer_types { layer_type: "Linear" calibration_config { ifmr_quantize { dst_type: INT16 } } }\n'
    plan = amctcfg.expand(amctcfg.loads(text, flavour=PYTORCH), amctcfg.load_layers(path, PYTORCH), rules="toolkit")
    sim = simulation.simulate(plan, path, [{"x": normal(2, 5, 12)}])
    assert [refusal.layer for refusal in sim.refused] == ["q"] and "INT16" in sim.refused[0].reason


def test_zeros_cannot_be_balanced():
    path = GOLDEN / "grouped.onnx"
    text = "common_config { dmq_balancer { } }\n"
    plan = amctcfg.expand(amctcfg.loads(text, flavour=PYTORCH), amctcfg.load_layers(path, PYTORCH))
    sim = simulation.simulate(plan, path, [{"x": np.zeros((2, 4, 12, 12), np.float32)}])
    assert [refusal.layer for refusal in sim.refused] == ["first"] and "zeros" in sim.refused[0].reason


# ---------------------------------------------------------------- wrong data, before anything runs


@pytest.mark.parametrize(
    "batches, words",
    [
        ([], "no batch"),
        ([{"z": normal(1, 3, 8, 8)}], "'z', which is not an input; the inputs of the model are 'x'"),
        ([{}], "lacks 'x'"),
        ([{"x": normal(1, 3, 8, 8).astype(np.float64)}], "has to be float32, not float64"),
        ([{"x": normal(1, 4, 8, 8)}], r"\(n, 3, 8, 8\), not \(1, 4, 8, 8\)"),
        ([{"x": normal(3, 8, 8)}], r"not \(3, 8, 8\)"),
        ([{"x": np.full((1, 3, 8, 8), np.nan, np.float32)}], "batch 1: input 'x' holds NaN"),
        ([{"x": np.full((1, 3, 8, 8), np.inf, np.float32)}], "holds infinity"),
        ([{"x": np.zeros((0, 3, 8, 8), np.float32)}], "empty"),
        ([{"x": normal(1, 3, 8, 8)}], "takes 2 batches .* 1 are given|takes 2 batches .* 1 is given"),
        ([normal(1, 3, 8, 8)], "not a mapping"),
    ],
)
def test_wrong_batches_are_said_before_anything_runs(tmp_path, batches, words):
    model = two_convolutions()
    with pytest.raises(ValueError, match=words):
        simulation.simulate(plan_of(model, "batch_num: 2\n", tmp_path=tmp_path), model, batches)


def test_batches_beyond_batch_num_are_left_out_with_a_note(tmp_path):
    model = two_convolutions()
    plan = plan_of(model, tmp_path=tmp_path)
    sim = simulation.simulate(plan, model, [batch(), batch(seed=8)])
    assert sim.record == simulation.simulate(plan, model, [batch()]).record
    assert any("1 of 2 batches" in note for note in sim.notes)


def test_batches_from_files(tmp_path):
    model = two_convolutions()
    array = batch()["x"]
    folder = tmp_path / "data"
    folder.mkdir()
    np.savez(str(folder / "b2.npz"), x=array)
    np.save(str(folder / "b10.npy"), array + 1)
    (array + 2).tofile(str(tmp_path / "last.bin"))
    found = simulation.load_batches([folder, tmp_path / "last.bin"], model)
    assert [float(one["x"][0, 0, 0, 0] - array[0, 0, 0, 0]) for one in found] == pytest.approx([0, 1, 2], abs=1e-5)
    (tmp_path / "short.bin").write_bytes(b"123")
    (tmp_path / "text.npy").write_text("text")
    (tmp_path / "text.npz").write_text("text")
    (tmp_path / "text.txt").write_text("text")
    (tmp_path / "none").mkdir()
    for name in ("short.bin", "text.npy", "text.npz", "text.txt", "none"):
        with pytest.raises(ValueError, match=name):
            simulation.load_batches([tmp_path / name], model)
    np.savez(str(tmp_path / "other.npz"), other=array)
    with pytest.raises(ValueError, match=r"other\.npz has 'other'"):
        simulation.load_batches(str(tmp_path / "other.npz"), model)
    for name in ("missing.npz", "missing", "\0.npz"):
        with pytest.raises(OSError, match=name.strip("\0")):
            simulation.load_batches([tmp_path / name], model)


def test_a_folder_with_an_array_for_each_input_is_a_batch(tmp_path):
    nodes = [helper.make_node("MatMul", ["x", "z"], ["y"], name="product")]
    model = made(nodes, [], {"x": ["n", 4, 5], "z": ["n", 5, 4]})
    np.save(str(tmp_path / "x.npy"), normal(2, 4, 5))
    normal(2, 5, 4).tofile(str(tmp_path / "z.bin"))
    (found,) = simulation.load_batches(tmp_path, model)
    assert found["x"].shape == (2, 4, 5) and found["z"].shape == (2, 5, 4)
    with pytest.raises(ValueError, match="'x', 'z'"):
        simulation.load_batches(tmp_path / "x.npy", model)


def test_a_plan_of_another_model_is_an_error(tmp_path):
    plan = amctcfg.expand(amctcfg.loads("batch_num: 1\n", flavour=ONNX), [amctcfg.Layer("elsewhere", "Conv")])
    with pytest.raises(ValueError, match="'elsewhere', which the model does not have"):
        simulation.simulate(plan, two_convolutions(), [batch()])


def test_what_is_not_a_model_is_an_error(tmp_path):
    path = tmp_path / "text.onnx"
    path.write_text("text")
    plan = plan_of(two_convolutions(), tmp_path=tmp_path)
    with pytest.raises(ValueError, match=r"text\.onnx is not an ONNX model"):
        simulation.simulate(plan, path, [batch()])
    with pytest.raises(OSError):
        simulation.simulate(plan, tmp_path / "missing.onnx", [batch()])


# ---------------------------------------------------------------- without the packages


def test_without_numpy_the_room_says_what_to_install():
    code = "import sys; sys.modules['numpy'] = None; import amctcfg.simulation"
    found = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    last = found.stderr.strip().splitlines()[-1]
    assert last == 'ImportError: the simulation needs numpy, which is not installed: pip install "amctcfg[simulate]"'
