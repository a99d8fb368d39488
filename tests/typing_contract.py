# SPDX-License-Identifier: Apache-2.0
"""The contract as type checkers see it: `mypy --strict` and pyright have to accept this file. It is not run."""

from __future__ import annotations

import dataclasses
import io
from typing import Any, Mapping

import amctcfg
from amctcfg.flavours import pytorch


def contract(text: str, data: bytes, graph: object) -> None:
    config: amctcfg.AMCTConfig = amctcfg.loads(text)
    config = amctcfg.loads(data)
    config = amctcfg.load("quant.cfg")
    config = amctcfg.load(io.BytesIO(data))
    printed: str = amctcfg.dumps(config)
    amctcfg.dump(config, "quant.cfg")
    amctcfg.dump(config, io.StringIO())

    document: amctcfg.Document = amctcfg.parse(text, name="quant.cfg", strict=True)
    config = document.config
    span: amctcfg.Span = document.span(("override_layer_configs", 0, "calibration_config", "ifmr_quantize"))
    line: int = span.line + span.column + span.end_line + span.end_column

    found: tuple[amctcfg.Diagnostic, ...] = amctcfg.check(
        text, name="quant.cfg", layers=None, rules="documented", strict=True
    )
    place: amctcfg.Span | None = found[0].span
    hint: str | None = found[0].hint
    words: str = found[0].severity + found[0].code + found[0].message + found[0].name

    layer = amctcfg.Layer("conv1", "Conv2D", supported=True)
    layers: tuple[amctcfg.Layer, ...] = amctcfg.load_layers("frozen.pb") + amctcfg.layers_from_graph(graph)
    effective: amctcfg.EffectiveConfig = amctcfg.merge(config, layer, flavour=amctcfg.TF_ASCEND, rules="toolkit")
    effective = amctcfg.merge(document, layer)
    fine: bool = effective.quant_enable and effective.fuse
    block: amctcfg.CalibrationConfig = effective.calibration_config
    weights: amctcfg.ARQuantize | None = block.arq_quantize
    activations: amctcfg.FMRQuantize | None = block.ifmr_quantize
    origins: Mapping[str, amctcfg.Origin] = effective.origins
    shadowed: tuple[amctcfg.Origin, ...] = origins["fuse"].shadowed

    plan: amctcfg.Plan = amctcfg.expand(config, layers)
    one: amctcfg.EffectiveConfig = plan["conv1"]
    written: str = plan.to_json()
    values: dict[str, Any] = plan.to_dict()
    warnings: tuple[amctcfg.Diagnostic, ...] = plan.warnings
    flavour: amctcfg.Flavour = plan.flavour

    changes: tuple[amctcfg.Change, ...] = amctcfg.diff(config, document, layers)
    name: str | None = changes[0].layer
    config = amctcfg.condense(written, layers)
    config = amctcfg.condense(values, layers)
    printed = amctcfg.format(text, name="quant.cfg")
    tree: amctcfg.textformat.Tree = amctcfg.textformat.parse(text, name="any.txt")

    built = amctcfg.AMCTConfig(
        skip_layers=("a",),
        common_config=amctcfg.CalibrationConfig(amctcfg.ARQuantize(True), amctcfg.FMRQuantize(search_step=0.02)),
        override_layer_types=(amctcfg.OverrideLayerType("Conv2D", block),),
        override_layer_configs=(amctcfg.OverrideLayer("a", block),),
    )
    print(
        line,
        place,
        hint,
        words,
        fine,
        weights,
        activations,
        shadowed,
        one,
        warnings,
        flavour,
        name,
        tree,
        built,
        printed,
    )


def flavours(text: str, layers: tuple[amctcfg.Layer, ...], module: object) -> None:
    config: pytorch.AMCTConfig = amctcfg.loads(text, flavour=amctcfg.PYTORCH)
    document: amctcfg.Document[pytorch.AMCTConfig] = amctcfg.parse(text, flavour=amctcfg.PYTORCH)
    config = document.config
    bits: int | None = config.batch_num
    bits = amctcfg.condense(text, layers, flavour=amctcfg.PYTORCH).batch_num
    plan = amctcfg.read_plan(text, layers, flavour=amctcfg.ONNX)
    rows: list[dict[str, Any]] = plan.to_rows()
    best: tuple[amctcfg.Flavour[Any], ...] = amctcfg.detect(text, layers)
    chosen: amctcfg.Flavour[Any] = amctcfg.FLAVOURS["caffe"]
    other = dataclasses.replace(amctcfg.TF_ASCEND, types={"Conv3D": amctcfg.LayerType("Conv3D", symmetric_only=True)})
    more: tuple[amctcfg.Layer, ...] = amctcfg.layers_from_module(module)
    edited: str = amctcfg.unskip(amctcfg.skip(text, ["a"], {"a": "0.9"}), ("a",))
    mended: str = amctcfg.fix(text, layers, unsafe=True)
    shown: str = amctcfg.explain(document, layers[0])
    findings: tuple[amctcfg.Finding, ...] = amctcfg.audit(plan, quant_config=text, record=text)
    scores: amctcfg.tuning.Scores = amctcfg.tuning.load_scores("ranking.json")
    search = amctcfg.tuning.Bisection(document, layers, scores, target=0.7, budget=20, repeat=3)
    candidate: amctcfg.tuning.Candidate | None = search.ask()
    if candidate is not None:
        search.tell(candidate, True)
        search.tell(candidate, 0.5)
        search.tell(candidate, None)
    needed: tuple[amctcfg.tuning.Needed, ...] = search.needed
    proven: bool = search.minimal
    built = pytorch.AMCTConfig(
        batch_num=2,
        skip_layers=["a"],
        override_layer_types=[pytorch.OverrideLayerType("Linear", pytorch.CalibrationConfig())],
    )
    names: tuple[str, ...] = built.skip_layers
    print(config, bits, rows, best, chosen, other, more, edited, mended, shown, findings, needed, proven, built, names)


def mistakes() -> None:
    """Each is an error of mypy: a comment that ignores none would be one itself."""
    amctcfg.OverrideLayer("a")  # type: ignore[call-arg]
    amctcfg.AMCTConfig(batch_num=2)  # type: ignore[call-arg]
    amctcfg.FMRQuantize(search_step="0.1")  # type: ignore[arg-type]
    amctcfg.AMCTConfig(common_config=pytorch.CalibrationConfig())  # type: ignore[arg-type]
    amctcfg.AMCTConfig().do_fusion = True  # type: ignore[misc]
    amctcfg.loads("").batch_num  # type: ignore[attr-defined]  # noqa: B018
    pytorch.FMRQuantize(dst_type=8)  # type: ignore[arg-type]
