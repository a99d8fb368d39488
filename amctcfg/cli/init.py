# SPDX-License-Identifier: Apache-2.0
"""The command init: a commented configuration for a model."""

from __future__ import annotations

import os
import re
from argparse import Namespace
from collections import Counter
from typing import Sequence

from ..checks.checking import check
from ..diagnostics.diagnostic import ERROR
from ..diagnostics.words import join_words
from ..flavours.flavour import Flavour
from ..flavours.layer import Layer
from ..flavours.requirement import BY_TYPE, cascade_of
from ..messages.kinds import STRING
from ..messages.meanings import read_field_meanings
from ..messages.message import Message
from .arguments import FLAVOUR, GRAPH, flag, option, read_target
from .console import Console, Failure
from .opening import make_head_line, open_workspace

OPTIONS = (
    GRAPH,
    FLAVOUR,
    option("-o --output OUT", "the file to write; standard output if left out", type=read_target),
    flag("--force", "replace OUT if it exists"),
)


# Arguments of the toolkit's create_quant_config that a configuration silences.
API_ARGUMENTS = ("skip_layers", "batch_num", "activation_offset")


def run(arguments: Namespace, console: Console) -> None:
    if arguments.graph is None:
        raise Failure("a model is needed: --graph G")
    if arguments.output and os.path.isfile(arguments.output) and not arguments.force:
        raise Failure("{} exists; give another name, or --force to replace it".format(arguments.output))
    workspace = open_workspace(arguments, console)
    flavour, why = workspace.suggest_flavour(arguments.graph)
    if why and flavour.name != "tf-ascend":
        console.note("assuming flavour {} ({}); override with --flavour".format(flavour.name, why))
    layers = workspace.read_model(arguments.graph, flavour).layers
    head = make_head_line(arguments.graph, flavour.name, arguments.output)
    text = correct_examples(write_template(flavour, layers), layers, flavour)
    console.write_output(head + text, arguments.output)


def correct_examples(text: str, layers: Sequence[Layer], flavour: Flavour) -> str:
    """Return the template with `false` for each `true` in a comment that would be an error on these layers."""

    def correct(comment: re.Match[str]) -> str:
        trial = text[: comment.start()] + comment[0].replace("# ", "") + text[comment.end() :]
        is_wrong = any(diagnostic.severity == ERROR for diagnostic in check(trial, layers=layers, flavour=flavour))
        return comment[0].replace(": true", ": false") if is_wrong else comment[0]

    return re.sub(r"^ *# \w+: true$", correct, text, flags=re.MULTILINE)


def write_template(flavour: Flavour, layers: Sequence[Layer]) -> str:
    """Write a configuration of defaults, with a comment for each field."""
    quantizable = [layer for layer in layers if flavour.quantizes(layer)]
    counts = Counter(layer.type for layer in quantizable)
    lines: list[str] = []
    if flavour.proto:  # which editors and formatters of text format look for
        lines += ["# proto-file: {}".format(flavour.proto), "# proto-message: {}".format(flavour.config.__name__)]
    listing = ["{} {}".format(count, name) for name, count in counts.items()]
    lines.append("# {} layers can be quantized: {}.".format(len(quantizable), ", ".join(listing) or "none"))
    silenced = [name for name in API_ARGUMENTS if name in flavour.config.__schema__.fields]
    if flavour.layout is not None:  # a dialect with a Python API
        words = "# Given this file, create_quant_config ignores its own arguments {}; set them here."
        lines.append(words.format(join_words(silenced, "and")))
    ends = list(dict.fromkeys(layer.name for layer in (*quantizable[:1], *quantizable[-1:]))) or ["a layer"]
    type_name = [*counts, *(name for name, kind in flavour.types.items() if kind.quantizable)][0]
    fused = next((layer.name for layer in layers if layer.type in flavour.fusible_types), "a layer")
    advice = {
        "batch_num": "# It must equal the number of batches that you run.",
        "skip_layers": "# The first and the last layer are the usual candidates.",
    }
    examples = {"skip_layers": ends, "skip_layer_types": [type_name], "skip_fusion_layers": [fused]}
    overrides = {"override_layer_types": ("layer_type", type_name), "override_layer_configs": ("layer_name", ends[0])}
    for name, meaning in read_field_meanings(flavour.config).items():
        field = flavour.config.__schema__.fields[name]
        if name in dict(flavour.deprecated_blocks):
            continue
        lines += ["", "# {}".format(meaning), *([advice[name]] if name in advice else [])]
        if name == "common_config":
            lines += write_block(field.kind, name)
        elif name in overrides:
            key, example = overrides[name]
            lines += ["# {} {{".format(name), "#   {}: {}".format(key, STRING.format(example))]
            lines += ["#   calibration_config { ifmr_quantize { search_step: 0.02 } }", "# }"]
        elif field.is_message:
            lines.append("# {} {{ ... }}".format(name))
        elif field.label == "repeated":
            lines += ["# {}: {}".format(name, STRING.format(value)) for value in examples.get(name, ends[:1])]
        elif field.default is None:
            lines.append("# {}: {}".format(name, field.kind.example))
        else:
            lines.append("{}: {}".format(name, field.kind.format(field.default)))
    return "\n".join(lines) + "\n"


def write_block(block: type[Message], name: str) -> list[str]:
    """Write a block's default algorithms, and what else there is as comments."""
    lines = [name + " {"]
    for part, meaning in read_field_meanings(block).items():
        field = block.__schema__.fields[part]
        lines.append("  # " + meaning)
        if not field.is_message or field.default is None:
            lines.append("  # {}{}".format(part, " { }" if field.is_message else ": {}".format(field.kind.example)))
            continue
        lines.append("  {} {{".format(part))
        for leaf_name, words in read_field_meanings(field.kind).items():
            leaf = field.kind.__schema__.fields[leaf_name]
            lines.append("    # " + words)
            if leaf.default == BY_TYPE or cascade_of(leaf) is not None:
                lines.append("    # {}: {}".format(leaf_name, leaf.kind.example))
            else:
                lines.append("    {}: {}".format(leaf_name, leaf.kind.format(leaf.default)))
        lines.append("  }")
    return [*lines, "}"]
