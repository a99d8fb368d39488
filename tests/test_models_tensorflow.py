# SPDX-License-Identifier: Apache-2.0
"""Graphs built by TensorFlow itself, where it is installed (extra `witness`)."""

import os

import pytest

import amctcfg

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
try:
    import tensorflow as tf
except ImportError:
    pytest.skip("TensorFlow is not installed: pip install 'amctcfg[witness]'", allow_module_level=True)
pytestmark = pytest.mark.filterwarnings("ignore")


def build():
    """A graph with a layer for each condition; name -> whether it can be quantized."""
    v1 = tf.compat.v1
    graph = tf.Graph()
    with graph.as_default():
        image = v1.placeholder(tf.float32, [1, 8, 8, 4], name="image")
        given = v1.placeholder(tf.float32, [3, 3, 4, 4], name="given")
        kernel = tf.constant(0.5, shape=[3, 3, 4, 4], name="kernel")
        half = tf.constant(0.5, shape=[3, 3, 4, 4], dtype=tf.float16)
        flat = tf.reshape(image, [8, 32])
        square = tf.constant(1.0, shape=[32, 32])
        tf.nn.conv2d(image, kernel, 1, "SAME", name="constant")
        tf.nn.conv2d(image, tf.identity(kernel), 1, "SAME", name="through_identity")
        tf.nn.conv2d(image, tf.reshape(tf.cast(half, tf.float32), [3, 3, 4, 4]), 1, "SAME", name="cast_and_reshape")
        tf.nn.conv2d(image, given, 1, "SAME", name="dynamic")
        tf.nn.conv2d(image, kernel * 2.0, 1, "SAME", name="computed")
        tf.nn.conv2d(image, kernel, 1, "SAME", dilations=2, name="dilated_conv")
        v1.nn.depthwise_conv2d_native(image, kernel, [1, 1, 1, 1], "SAME", name="depthwise")
        v1.nn.depthwise_conv2d_native(image, kernel, [1, 1, 1, 1], "SAME", dilations=[1, 2, 2, 1], name="dilated")
        v1.nn.conv2d_backprop_input([1, 8, 8, 4], kernel, image, [1, 1, 1, 1], "SAME", name="transposed_conv")
        tf.nn.avg_pool2d(image, 2, 2, "SAME", name="pool")
        tf.matmul(flat, square, name="matmul")
        tf.matmul(flat, square, transpose_b=True, name="matmul_transposed")
        tf.linalg.matmul(image, image, transpose_b=True, name="batch_adjoint")
        tf.linalg.matmul(image, tf.constant(1.0, shape=[1, 8, 4, 8]), name="batch")
    return graph, {
        "constant": True, "through_identity": True, "cast_and_reshape": True, "dynamic": False, "computed": False,
        "dilated_conv": True, "depthwise": True, "dilated": False, "transposed_conv": True, "pool": True,
        "matmul": True, "matmul_transposed": False, "batch_adjoint": False, "batch": True,
    }  # fmt: skip


def test_a_graph_in_memory_as_message_and_as_file(tmp_path):
    graph, expected = build()
    from_graph = amctcfg.layers_from_graph(graph)
    assert [layer.name for layer in from_graph] == [operation.name for operation in graph.get_operations()]
    assert {layer.name: layer.supported for layer in from_graph if layer.name in expected} == expected
    message = graph.as_graph_def()
    assert amctcfg.layers_from_graph(message) == from_graph
    for name, as_text in (("graph.pb", False), ("graph.pbtxt", True)):
        tf.io.write_graph(message, str(tmp_path), name, as_text=as_text)
        assert amctcfg.load_layers(tmp_path / name) == from_graph


def test_a_saved_model(tmp_path):
    class Model(tf.Module):
        def __init__(self):
            super().__init__()
            self.kernel = tf.Variable(tf.ones([3, 3, 4, 4]))

        @tf.function(input_signature=[tf.TensorSpec([1, 8, 8, 4], tf.float32)])
        def __call__(self, image):
            fixed = tf.nn.conv2d(image, tf.constant(0.5, shape=[3, 3, 4, 4]), 1, "SAME", name="fixed")
            return tf.nn.avg_pool2d(
                tf.nn.conv2d(fixed, self.kernel, 1, "SAME", name="variable"), 2, 2, "SAME", name="pool"
            )

    model = Model()
    tf.saved_model.save(model, str(tmp_path), signatures=model.__call__)
    layers = {layer.name.rpartition("/")[2]: layer.supported for layer in amctcfg.load_layers(tmp_path)}
    assert (layers["fixed"], layers["variable"], layers["pool"]) == (True, False, True)

    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    frozen = convert_variables_to_constants_v2(model.__call__.get_concrete_function())
    layers = {layer.name.rpartition("/")[2]: layer.supported for layer in amctcfg.layers_from_graph(frozen.graph)}
    assert (layers["fixed"], layers["variable"], layers["pool"]) == (True, True, True)
