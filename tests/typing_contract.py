# SPDX-License-Identifier: Apache-2.0
"""The contract as type checkers see it: `mypy --strict` and pyright have to accept this file. It is not run."""

from __future__ import annotations

import io
from typing import Any, Dict, Mapping, Optional, Tuple

import amctcfg


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

    found: Tuple[amctcfg.Diagnostic, ...] = amctcfg.check(
        text, name="quant.cfg", layers=None, rules="documented", strict=True
    )
    place: Optional[amctcfg.Span] = found[0].span
    hint: Optional[str] = found[0].hint
    words: str = found[0].severity + found[0].code + found[0].message + found[0].name

    layer = amctcfg.Layer("conv1", "Conv2D", supported=True)
    layers: Tuple[amctcfg.Layer, ...] = amctcfg.load_layers("frozen.pb") + amctcfg.layers_from_graph(graph)
    effective: amctcfg.EffectiveConfig = amctcfg.merge(config, layer, target=amctcfg.TF_ASCEND, rules="toolkit")
    effective = amctcfg.merge(document, layer)
    fine: bool = effective.quant_enable and effective.fuse
    block: amctcfg.CalibrationConfig = effective.calibration_config
    weights: Optional[amctcfg.ARQuantize] = block.arq_quantize
    activations: Optional[amctcfg.FMRQuantize] = block.ifmr_quantize
    origins: Mapping[str, amctcfg.Origin] = effective.origins
    shadowed: Tuple[amctcfg.Origin, ...] = origins["fuse"].shadowed

    plan: amctcfg.Plan = amctcfg.expand(config, layers)
    one: amctcfg.EffectiveConfig = plan["conv1"]
    written: str = plan.to_json()
    values: Dict[str, Any] = plan.to_dict()
    warnings: Tuple[amctcfg.Diagnostic, ...] = plan.warnings
    target: amctcfg.Target = plan.target

    changes: Tuple[amctcfg.Change, ...] = amctcfg.diff(config, document, layers)
    name: Optional[str] = changes[0].layer
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
        target,
        name,
        tree,
        built,
        printed,
    )
