# SPDX-License-Identifier: Apache-2.0
"""The simulation of a frozen TensorFlow graph."""

import os
import subprocess
import sys

import pytest

import amctcfg

from .conftest import DATA

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
np = pytest.importorskip("numpy", reason="the simulation computes with numpy: pip install 'amctcfg[simulate]'")
pytest.importorskip("onnxruntime", reason="the simulation runs onnxruntime: pip install 'amctcfg[simulate]'")


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    """A frozen graph: convolutions with normalization as Mul and AddV2, a transposed one, pooling, a MatMul."""
    pytest.importorskip("tf2onnx", reason="graphs are converted by tf2onnx: pip install 'amctcfg[tensorflow]'")
    tf = pytest.importorskip("tensorflow", reason="graphs are made by TensorFlow").compat.v1
    rng = np.random.default_rng(0)

    def constant(*shape):
        return tf.constant(rng.standard_normal(shape).astype(np.float32) * 0.3)

    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [None, 8, 8, 3], name="image")
        y = tf.nn.conv2d(x, constant(3, 3, 3, 6), 1, "SAME", name="net/conv1/convolution")
        y = tf.nn.relu(
            tf.raw_ops.AddV2(x=tf.multiply(y, constant(6), name="net/bn/mul"), y=constant(6), name="net/bn/add")
        )
        y = tf.nn.depthwise_conv2d_native(y, constant(3, 3, 6, 2), [1, 1, 1, 1], "SAME", name="net/dw/depthwise")
        y = tf.nn.conv2d_backprop_input(
            tf.stack([tf.shape(x)[0], 16, 16, 4]), constant(2, 2, 4, 12), y, [1, 2, 2, 1], "SAME", name="net/up"
        )
        y = tf.nn.avg_pool2d(y, 4, 4, "VALID", name="net/pool")
        y = tf.matmul(tf.reshape(y, [-1, 64]), constant(64, 5), name="net/fc")
        tf.identity(y, name="logits")
    path = tmp_path_factory.mktemp("graph") / "frozen.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


def image(count=4, seed=1):
    return np.random.default_rng(seed).standard_normal((count, 8, 8, 3)).astype(np.float32)


def test_layers_keep_their_names_and_normalization_is_fused(frozen, tmp_path):
    from amctcfg import simulation

    np.savez(str(tmp_path / "data.npz"), image=image())
    layers = amctcfg.load_layers(frozen)
    plan = amctcfg.expand(amctcfg.loads(""), layers)
    batches = simulation.load_batches(tmp_path / "data.npz", frozen)
    sim = simulation.simulate(plan, frozen, batches)
    assert list(sim.factors) == list(plan) and len(plan) == 5
    assert sim.output_sqnr > 20 and any("tf2onnx" in note for note in sim.notes)
    names = [node.name for node in sim.model.graph.node]
    assert [value.name for value in sim.model.graph.input] == ["image"]
    assert [value.name for value in sim.model.graph.output] == ["logits"]
    assert "net/bn/mul" not in names and "net/bn/add" not in names
    assert len(sim.factors["net/dw/depthwise"].scale_w) == 12 and len(sim.factors["net/up"].scale_w) == 4
    apart = simulation.simulate(amctcfg.expand(amctcfg.loads("do_fusion: false\n"), layers), frozen, batches)
    assert "net/bn/mul" in [node.name for node in apart.model.graph.node]


def test_the_command_takes_a_graph(cli, frozen, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("data.npz", image=image())
    (tmp_path / "quant.cfg").write_text('skip_layers: "net/fc"\n')
    result = cli("simulate", "quant.cfg", "--graph", frozen, "--data", "data.npz", "--record", "r.txt")
    assert result.status == 0 and result.out.count("net/") == 4
    assert cli("audit", "quant.cfg", "--graph", frozen, "--record", "r.txt").status == 0
    np.savez("wrong.npz", **{"image:0": image()})
    result = cli("simulate", "quant.cfg", "--graph", frozen, "--data", "wrong.npz")
    assert result.status == 2 and "the inputs of the model are 'image'" in result.err


def test_without_the_extra_it_says_what_to_install(tmp_path):
    pytest.importorskip("onnx", reason="the simulation edits graphs with onnx")
    code = (
        "import sys; sys.modules['tf2onnx'] = sys.modules['tensorflow'] = None\n"
        "from amctcfg import simulation; simulation.load_batches('data.npz', sys.argv[1])"
    )
    model = DATA / "models" / "mobilenet_v1.pb"
    done = subprocess.run([sys.executable, "-c", code, str(model)], capture_output=True, text=True)
    assert done.stderr.strip().endswith('is not installed: pip install "amctcfg[tensorflow]"')
