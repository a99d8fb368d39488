# SPDX-License-Identifier: Apache-2.0
"""A made-up quantization, for trying `amctcfg bisect`: a small network of numpy, quantized layer by layer.

    amctcfg bisect examples/tuning/net.cfg --target 0.95 -- python examples/tuning/measure.py {json}

It reads the JSON quantization config as the toolkit would, rounds the weights and activations of the layers that are
quantized to eight bits, with one scale a layer, and prints how often the network still gives the same class.
"""

import json
import sys

import numpy as np

LAYERS = ["in", "mid1", "mid2", "mid3", "mid4", "mid5", "wide", "out"]
WIDTH, CLASSES, SAMPLES = 24, 8, 400


def network():
    """Weights that are fixed, by layer. Two layers have a few large weights, which eight bits with one scale can't keep."""
    chance = np.random.default_rng(20)
    weights = {}
    for name in LAYERS:
        outputs = CLASSES if name == "out" else WIDTH
        weights[name] = chance.normal(0, 1 / np.sqrt(WIDTH), (WIDTH, outputs))
    for name in ("mid2", "wide"):
        weights[name][0, :2] += 60 * np.array([1, -1])
    return weights


def rounded(values):
    """The values as eight bits with one scale have them."""
    scale = np.abs(values).max() / 127
    return np.round(values / scale) * scale


def classes(weights, inputs, quantized):
    values = inputs
    for name in LAYERS:
        weight = weights[name]
        if name in quantized:
            values, weight = rounded(values), rounded(weight)
        values = values @ weight
        if name != "out":
            values = np.tanh(values)
    return values.argmax(axis=1)


def accuracy(quantized):
    """How often the network gives the same class when these layers are quantized."""
    weights = network()
    inputs = np.random.default_rng(21).normal(0, 1, (SAMPLES, WIDTH))
    return (classes(weights, inputs, quantized) == classes(weights, inputs, set())).mean()


def main(path):
    with open(path, encoding="utf-8") as file:
        config = json.load(file)
    quantized = {name for name in LAYERS if config.get(name, {}).get("quant_enable")}
    print("amctcfg-score: {:.4f}".format(accuracy(quantized)))


if __name__ == "__main__":
    main(sys.argv[1])
