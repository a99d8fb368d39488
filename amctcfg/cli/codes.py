# SPDX-License-Identifier: Apache-2.0
"""The command codes: the diagnostics with an example and the cure."""

from __future__ import annotations

from argparse import Namespace
from typing import Iterator

from ..diagnostics.codes import CODES, Code
from ..diagnostics.diagnostic import Diagnostic, render
from ..flavours.layer import Layer, Layers
from ..workspace.failure import require_known
from ..workspace.workspace import Model, Options, Workspace
from .arguments import option
from .console import Console
from .reports import align

OPTIONS = (option("code CODE", "one of them", nargs="?"),)


# The models that the examples are checked on.
EXAMPLE_LAYERS: dict[str, tuple[Layer, ...]] = {
    "tf-ascend": (
        Layer("conv1", "Conv2D"),
        Layer("conv2", "Conv2D"),
        Layer("conv_dynamic", "Conv2D", False),
        Layer("relu1", "Relu"),
        Layer("stage/fc", "MatMul"),
    ),
    "caffe": (Layer("conv1", "Convolution"), Layer("fc", "InnerProduct")),
    "pytorch": (
        Layer("conv1", "Conv2d"),
        Layer("conv3", "Conv3d"),
        Layer("pool", "AvgPool2d"),
        Layer("fc", "Linear"),
    ),
}


# Those that only one example needs.
MORE_LAYERS: dict[str, tuple[Layer, ...]] = {
    "reserved-name": (Layer("version", "Conv2D"),),
    "soc-unsuited": (Layer("stage/product", "BatchMatMulV2", lacks=("asymmetric",)),),
}


def example_of(code: str) -> tuple[Diagnostic, ...]:
    """Return the diagnostics that the example of a code is for."""
    described = CODES[code]
    workspace = Workspace(Options(flavour=described.flavour, strict_warnings=True))
    file = workspace.open_text(described.example, "config.json" if code == "invalid-json" else "quant.cfg")
    layers = Layers((*EXAMPLE_LAYERS[described.flavour], *MORE_LAYERS.get(code, ())))
    file.model = Model("", [], layers)
    return tuple(diagnostic for diagnostic in file.check() if diagnostic.code == code)


def run(arguments: Namespace, console: Console) -> None:
    if arguments.code is None:
        console.write_lines(align((name, code.severity, code.summary) for name, code in CODES.items()))
        return
    require_known(arguments.code, CODES, "diagnostic", "`amctcfg codes` lists them")
    console.write_result("\n".join(describe_code(arguments.code, CODES[arguments.code])) + "\n")


def describe_code(name: str, described: Code) -> Iterator[str]:
    yield from ("{} ({})".format(name, described.severity), "", described.summary, "")
    if described.example:
        read = "" if described.flavour == "tf-ascend" else ", read as {}".format(described.flavour)
        yield "Example{}:".format(read)
        for text in (described.example, render(example_of(name), described.example)):
            yield from ("", *("    " + line for line in text.splitlines()))
        yield ""
    yield "Cure: {}".format(described.cure)
