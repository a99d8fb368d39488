# SPDX-License-Identifier: Apache-2.0
"""The command layers: the layers of a model."""

from __future__ import annotations

from argparse import Namespace
from fnmatch import fnmatchcase

from ..models.loading import describe, notes_of
from ..models.tables import layers_to_csv, layers_to_json
from .arguments import FLAVOUR, flag, formats, option
from .console import Console, check_neutral
from .opening import open_workspace
from .reports import align

OPTIONS = (
    option("graph G", "a graph (.pb, .onnx), or a table of layers (.json, .csv)"),
    formats("text", "json", "csv"),
    flag("--quantizable", "only those that can be quantized"),
    flag("--all", "also constants, and reads of variables and shapes"),
    option("--match GLOB", "only those whose name matches; * also matches /"),
    FLAVOUR,
)


def run(arguments: Namespace, console: Console) -> None:
    workspace = open_workspace(arguments, console)
    flavour, _ = workspace.suggest_flavour(arguments.graph)
    examined = [
        e
        for e in workspace.read_model(arguments.graph, flavour).examined
        if (arguments.all or not e.minor)
        and (not arguments.quantizable or flavour.quantizes(e.layer))
        and (not arguments.match or fnmatchcase(e.layer.name, arguments.match))
    ]
    layers, notes = [e.layer for e in examined], {e.layer.name: notes_of(e) for e in examined if notes_of(e)}
    if arguments.format == "json":
        console.write_result(layers_to_json(layers, notes))
    elif arguments.format == "csv":
        console.write_result(check_neutral(layers_to_csv(layers, notes), "csv"))
    else:
        console.write_lines(align((e.layer.name, e.layer.type, describe(e, flavour)) for e in examined))
