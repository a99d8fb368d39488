# SPDX-License-Identifier: Apache-2.0
"""How long the simulation takes, against one float inference of the same batch: `python tests/bench/simulation.py`.

Ratios in one run, minima of several, warm, with the same number of threads for both. ResNet-50's shapes, random weights.
"""

import argparse
import time

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import amctcfg
from amctcfg import simulation
from amctcfg.simulation.algorithms import Samples, search_ifmr

STAGES = ((3, 64), (4, 128), (6, 256), (3, 512))  # blocks, and channels of the narrow convolutions


class Builder:
    """Nodes and weights of a network, one after the other."""

    def __init__(self):
        self.random = np.random.default_rng(0)
        self.nodes, self.weights = [], []

    def add(self, operation, inputs, **attributes):
        result = "v{}".format(len(self.nodes))
        self.nodes.append(
            helper.make_node(operation, inputs, [result], name="{}_{}".format(operation, result), **attributes)
        )
        return result

    def weight(self, *shape):
        spread = np.sqrt(2 / max(np.prod(shape[1:]), 1))
        array = (self.random.standard_normal(shape) * spread).astype(np.float32)
        self.weights.append(numpy_helper.from_array(array, "w{}".format(len(self.weights))))
        return self.weights[-1].name

    def convolution(self, value, channels, out, size, stride=1):
        pads = [size // 2] * 4
        return self.add(
            "Conv", [value, self.weight(out, channels, size, size), self.weight(out)], strides=[stride] * 2, pads=pads
        )

    def model(self, result, shape):
        self.nodes[-1].output[0] = "y"
        graph = helper.make_graph(
            self.nodes, "network",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            self.weights,
        )  # fmt: skip
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def resnet50():
    """The layers of ResNet-50 with BN folded, and random weights."""
    build = Builder()
    x = build.add("Relu", [build.convolution("x", 3, 64, 7, 2)])
    x = build.add("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels = 64
    for stage, (blocks, narrow) in enumerate(STAGES):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            inner = build.add("Relu", [build.convolution(x, channels, narrow, 1)])
            inner = build.add("Relu", [build.convolution(inner, narrow, narrow, 3, stride)])
            inner = build.convolution(inner, narrow, 4 * narrow, 1)
            beside = x if block else build.convolution(x, channels, 4 * narrow, 1, stride)
            x, channels = build.add("Relu", [build.add("Add", [inner, beside])]), 4 * narrow
    x = build.add("Flatten", [build.add("AveragePool", [x], kernel_shape=[7, 7])])
    return build.model(build.add("Gemm", [x, build.weight(2048, 1000), build.weight(1000)]), ["n", 3, 224, 224])


def narrow_network(layers):
    """Many small convolutions, one behind the other."""
    build = Builder()
    x = "x"
    for _ in range(layers):
        x = build.add("Relu", [build.convolution(x, 4, 4, 3)])
    return build.model(x, ["n", 4, 8, 8])


def plan_of(model, text="batch_num: 1\n"):
    layers = [amctcfg.Layer(node.name, node.op_type) for node in model.graph.node]
    return amctcfg.expand(amctcfg.loads(text, flavour=amctcfg.ONNX), layers)


def seconds(work, repeat):
    found = []
    for _ in range(repeat):
        begin = time.perf_counter()
        work()
        found.append(time.perf_counter() - begin)
    return min(found)


def float_inference(model, batch, repeat, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return seconds(lambda: session.run(None, batch), repeat)


def plain_search(values, bits=8):
    """The candidates of IFMR one by one, each with its passes over all values."""
    low, best = min(values.min(), np.float32(0)), None
    high = max(values.max(), np.float32(0))
    for i in range(61):
        top = high * np.float32(0.7 + i * 0.01)
        scale = (top - low) / np.float32(2**bits - 1)
        loss = np.mean((np.round(np.clip(values, low, top) / scale) * scale - values) ** 2)
        best = min(best, (loss, scale)) if best else (loss, scale)
    return best


def of_resnet(repeat, threads):
    model = resnet50()
    batch = {"x": np.random.default_rng(1).standard_normal((8, 3, 224, 224)).astype(np.float32)}
    once = float_inference(model, batch, repeat, threads)
    plan, found = plan_of(model), []
    steps = {
        "factors": lambda: found.append(simulation.simulate(plan, model, [batch])),
        "the simulated model": lambda: found[-1].model,
        "the ranking": lambda: found[-1].sensitivity("cosine"),
        "the model's output": lambda: found[-1].output_sqnr,
        "the output by each layer": lambda: found[-1].sensitivity("output"),
    }
    print("ResNet-50, a batch of 8: one float inference {:.2f} s".format(once))
    for name, step in steps.items():
        taken = seconds(step, repeat if name == "factors" else 1)
        print("  {:26} {:6.2f} s, {:5.1f} inferences".format(name, taken, taken / once))
    doubled = [batch] * 2
    plan = plan_of(model, "batch_num: 2\n")
    taken = seconds(lambda: simulation.simulate(plan, model, doubled), 1)
    print("  {:26} {:6.2f} s, {:5.1f} inferences".format("factors from two batches", taken, taken / once))


def of_tuning(repeat, threads, images):
    model = resnet50()
    batch = {"x": np.random.default_rng(1).standard_normal((images, 3, 224, 224)).astype(np.float32)}
    once = float_inference(model, batch, repeat, threads)
    document = amctcfg.parse("batch_num: 1\n", flavour=amctcfg.ONNX)
    tuned = []
    taken = seconds(lambda: tuned.append(simulation.tune(document, model, [batch])), 1)
    words = "tune, a batch of {}: {:.0f} s, {:.0f} inferences; {:.2f} dB before, {:.2f} after, {} changes"
    print(words.format(images, taken, taken / once, tuned[0].before, tuned[0].after, len(tuned[0].changes)))


def of_search(repeat):
    for count in (100_000, 1_000_000, 3_000_000, 10_000_000):
        for bits in (8, 16):
            values = np.random.default_rng(2).standard_normal(count).astype(np.float32)
            plain = seconds(lambda: plain_search(values, bits), min(repeat, 2))
            ours = seconds(lambda: search_ifmr(Samples(values), bits, True), repeat)
            print(
                "IFMR, {:>10,} values, {:2} bits: {:.4f} s, the loop {:.4f} s: {:.1f} times".format(
                    count, bits, ours, plain, plain / ours
                )
            )


def of_many(layers):
    model = narrow_network(layers)
    batch = {"x": np.random.default_rng(3).standard_normal((1, 4, 8, 8)).astype(np.float32)}
    plan = plan_of(model)
    print("{:,} small layers: {:.2f} s".format(layers, seconds(lambda: simulation.simulate(plan, model, [batch]), 1)))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="of onnxruntime, for both")
    parser.add_argument("--only", choices=["resnet", "tuning", "search", "many"])
    parser.add_argument("--images", type=int, default=8, help="in the batch that is tuned on")
    arguments = parser.parse_args()
    if arguments.only in (None, "resnet"):
        of_resnet(arguments.repeat, arguments.threads)
    if arguments.only in (None, "tuning"):
        of_tuning(arguments.repeat, arguments.threads, arguments.images)
    if arguments.only in (None, "search"):
        of_search(arguments.repeat)
    if arguments.only in (None, "many"):
        of_many(2000)


if __name__ == "__main__":
    main()
