# SPDX-License-Identifier: Apache-2.0
"""Why a layer gets what it gets: each value with the line that it came from, and what lost against it."""

from __future__ import annotations

from typing import Any, Dict, Iterator

from .lint import short, shown
from .merging import ASYMMETRIC, CHANNEL_WISE, OF_TYPE, SWITCHES, TOOLKIT, EffectiveConfig, Merger, Origin
from .target import Layer

__all__ = ["explain_text", "explain_values"]


class Explanation:
    """The words for one layer."""

    def __init__(self, merger: Merger, effective: EffectiveConfig, reason: str) -> None:
        self.merger: Merger = merger
        self.effective: EffectiveConfig = effective
        self.layer: Layer = effective.layer
        self.reason: str = reason  # why it is not supported, if that is known

    def headline(self) -> Iterator[str]:
        """What matters more than any value: that the layer is not quantized at all."""
        origin = self.effective.origins["quant_enable"]
        if origin.value:
            return
        for cause in (origin, *origin.shadowed):
            if cause.tier == "unsupported":
                known = self.layer.type in self.merger.target.quantizable_types
                why = self.reason or (
                    "the toolkit's conditions do not hold" if known else "its type is not quantizable"
                )
                yield "not quantized: {}".format(why)
            else:
                yield "not quantized: {} at {}".format(cause.tier, self.place(cause))

    def place(self, origin: Origin) -> str:
        """`file:line:column`, or the path where there is no text."""
        if origin.span is None or self.merger.document is None:
            return ".".join(map(str, origin.path or ()))
        return "{}:{}:{}".format(self.merger.document.name, origin.span.line, origin.span.column)

    def source(self, field: str, origin: Origin) -> str:
        """The tier and place of a value."""
        if origin.path is not None:
            return "{}, {}".format(origin.tier, self.place(origin))
        if origin.tier != "default":
            return origin.tier
        if field == CHANNEL_WISE:
            return "default of {}".format(self.layer.type)
        return "default, {} leaves it out".format(self.block()) if self.block() and field not in SWITCHES else "default"

    def block(self) -> str:
        """The tier whose block the layer has."""
        tiers = self.merger.tiers(self.layer.name, self.layer.type)
        return tiers[0].name if tiers else ""

    def why_not(self, field: str, origin: Origin, lost: Origin) -> str:
        """Why a setting lost."""
        if field == "quant_enable":
            return "{} comes first".format(origin.tier)
        if field == "fuse":
            return "skip_fusion_layers names the layer"
        if field == ASYMMETRIC:
            if self.layer.type in self.merger.target.symmetric_only_types:
                return "layers of type {} are always symmetric".format(self.layer.type)
            if lost.tier == OF_TYPE and self.merger.rules == TOOLKIT and self.layer.name in self.merger.names:
                return "the toolkit skips {} for a layer with an override of its own".format(lost.tier)
            return "{} comes first".format(origin.tier)
        owner = "the layer has an override of its own"
        if self.block() == OF_TYPE:
            owner = "its type has an override"
        return "{} is not used, {}".format(lost.tier, owner)


def explain_text(merger: Merger, effective: EffectiveConfig, reason: str = "") -> str:
    """A layer's values as people read them: one a line, and below it what lost."""
    explanation = Explanation(merger, effective, reason)
    lines = ["{} ({})".format(effective.layer.name, effective.layer.type)]
    lines += ["  " + line for line in explanation.headline()]
    for field, origin in effective.origins.items():
        lines.append("  {:<19} {:<11} {}".format(short(field), shown(origin.value), explanation.source(field, origin)))
        for lost in origin.shadowed:
            if lost.path is not None:
                why = explanation.why_not(field, origin, lost)
                place = "{}:{}".format(*lost.span[:2]) if lost.span else explanation.place(lost)
                lines.append("      {} {} at {}: {}".format(name_in(lost), shown(lost.value), place, why))
    return "\n".join(lines) + "\n"


def name_in(origin: Origin) -> str:
    """What the file calls the setting."""
    names = [step for step in origin.path or () if isinstance(step, str)]
    return names[-1]


def explain_values(merger: Merger, effective: EffectiveConfig, reason: str = "") -> Dict[str, Any]:
    """The same for programs: layer, type, quantized, notes, and for each field its value, origin and what lost."""
    explanation = Explanation(merger, effective, reason)
    fields: Dict[str, Any] = {}
    for field, origin in effective.origins.items():
        lost = [dict(described(s), why=explanation.why_not(field, origin, s)) for s in origin.shadowed if s.path]
        fields[field] = dict(described(origin), shadowed=lost)
    return {
        "layer": effective.layer.name,
        "type": effective.layer.type,
        "quantized": effective.quant_enable,
        "notes": list(explanation.headline()),
        "fields": fields,
    }


def described(origin: Origin) -> Dict[str, Any]:
    line, column = origin.span[:2] if origin.span else (None, None)
    path = list(origin.path) if origin.path else None
    return {"value": origin.value, "tier": origin.tier, "path": path, "line": line, "column": column}
