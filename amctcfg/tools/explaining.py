# SPDX-License-Identifier: Apache-2.0
"""The explanation of what a layer gets: each value with the line that it came from, and the settings it overrides."""

from __future__ import annotations

from typing import Any, Iterator

from ..diagnostics.words import escape_controls, format_value, join_words
from ..documents.document import Document
from ..flavours.common import Configuration
from ..flavours.flavour import Flavour
from ..flavours.layer import Layer
from ..flavours.requirement import BY_TYPE, cascade_of
from ..messages.field import Field
from ..messages.message import Message
from ..resolve.effective import SWITCHES, EffectiveConfig, Origin
from ..resolve.plan import Plan
from ..resolve.resolver import DEFAULT, DOCUMENTED, OF_LAYER, OF_TYPE, TOOLKIT, Resolver, Rules


def explain(
    config: Message | Document[Configuration] | Plan,
    layer: Layer | str,
    rules: Rules = DOCUMENTED,
    flavour: Flavour | None = None,
) -> str:
    """Explain what a layer gets: its values, one a line, and below each the settings that lost and why.

    Args:
        config: The configuration, its document, or a plan, which explains by what made it.
        layer: The layer; of a plan, a name will do.
        rules: "documented" or "toolkit", as for `merge`.
        flavour: The dialect, where it is not that of the configuration.

    Returns:
        The text that `amctcfg explain` prints.

    Raises:
        KeyError: The plan does not have the layer.
        TypeError: It is not a `Layer`.

    Example:
        >>> from amctcfg import loads
        >>> print(explain(loads("skip_layers: 'a'"), Layer("a", "MatMul")).splitlines()[1])
          not quantized: skip_layers at skip_layers.0
    """
    if isinstance(config, Plan):
        name = layer.name if isinstance(layer, Layer) else layer
        return Explanation(config.resolver, config[name], name=config.name).write_text()
    if not isinstance(layer, Layer):
        raise TypeError("explain takes a Layer, such as Layer('conv1', 'Conv2D'), not {!r}".format(layer))
    resolver = Resolver(config, rules, flavour)
    return Explanation(resolver, resolver.merge(layer)).write_text()


def shorten_names(fields: Any) -> dict[str, str]:
    """Return how dotted names are shown: by their last part, where that is unique."""
    ends = [field.rpartition(".")[2] for field in fields]
    return {field: end if ends.count(end) == 1 else field for field, end in zip(fields, ends)}


class Explanation:
    """The words for one layer; `reason` is why it is not supported, if that is known."""

    def __init__(self, resolver: Resolver | None, effective: EffectiveConfig, reason: str = "", name: str = "") -> None:
        self.resolver: Resolver | None = resolver
        self.effective: EffectiveConfig = effective
        self.layer: Layer = effective.layer
        self.reason: str = reason
        self.name: str = resolver.document.name if resolver and resolver.document else name  # of the file

    def explain_quant_enable(self) -> Iterator[str]:
        """Say why the layer is not quantized at all."""
        origin = self.effective.origins["quant_enable"]
        if origin.value:
            return
        for cause in (origin, *origin.shadowed):
            if cause.tier == "unsupported":
                known = self.resolver is not None and self.layer.type in self.resolver.flavour.quantizable_types
                usual = "the toolkit's conditions do not hold" if known else "its type is not quantizable"
                yield "not quantized: {}".format(self.reason or usual)
            elif cause.path is None:
                yield "not quantized: {}".format(cause.tier)
            else:
                yield "not quantized: {} at {}".format(cause.tier, self.name_place(cause))

    def name_place(self, origin: Origin) -> str:
        """Return `file:line:column`, or the path where there is no text."""
        if origin.span is None:
            return ".".join(map(str, origin.path or ()))
        return "{}:{}:{}".format(self.name, origin.span.line, origin.span.column)

    def name_source(self, field: str, origin: Origin) -> str:
        if origin.path is not None:
            return "{}, {}".format(origin.tier, self.name_place(origin))
        if origin.tier == "layer_type":
            return "all that a layer of type {} can have".format(self.layer.type)
        if origin.tier != "default":
            return origin.tier
        found = self.find_field(field)
        if found is not None and found.default == BY_TYPE:
            return "default of {}".format(self.layer.type)
        left_out = self.name_block() != DEFAULT and field not in SWITCHES
        return "default, {} leaves it out".format(self.name_block()) if left_out else "default"

    def find_field(self, name: str) -> Field | None:
        path = self.effective.calibration_config.__schema__.follow(name)
        return path[-1] if path else None

    def name_block(self) -> str:
        return self.resolver.find_highest_tier(self.layer) if self.resolver else DEFAULT

    def explain_loss(self, field: str, origin: Origin, lost: Origin) -> str:
        if field == "quant_enable":
            return "{} comes first".format(origin.tier)
        if field == "fuse":
            return "skip_fusion_layers names the layer"
        if origin.tier == "layer_type":
            return "a layer of type {} can't have it".format(self.layer.type)
        block, found = self.name_block(), self.find_field(field)
        if lost.tier not in (block, "activation_offset", origin.tier):
            if found is None or cascade_of(found) is None:
                owner = "its type has an override" if block == OF_TYPE else "the layer has an override of its own"
                return "{} is not used, {}".format(lost.tier, owner)
            if lost.tier == OF_TYPE and block == OF_LAYER and self.resolver and self.resolver.rules == TOOLKIT:
                return "the toolkit skips {} for a layer with an override of its own".format(lost.tier)
        return "{} comes first".format(origin.tier)

    def list_lost(self, field: str, origin: Origin) -> list[tuple[Origin, str]]:
        """Return the settings that lost, each with the reason."""
        return [(lost, self.explain_loss(field, origin, lost)) for lost in origin.shadowed if lost.path is not None]

    def write_text(self) -> str:
        lines = ["{} ({})".format(self.layer.name, self.layer.type)]
        lines += ["  " + line for line in self.explain_quant_enable()]
        if self.layer.lacks:
            lines.append("  can't have: {}".format(join_words(self.layer.lacks, "and")))
        names = shorten_names(self.effective.origins)
        width = max([19, *map(len, names.values())])
        for field, origin in self.effective.origins.items():
            value, source = format_value(origin.value), self.name_source(field, origin)
            lines.append("  {:<{}} {:<11} {}".format(names[field], width, value, source))
            for lost, why in self.list_lost(field, origin):
                place = "{}:{}".format(*lost.span[:2]) if lost.span else self.name_place(lost)
                lines.append("      {} {} at {}: {}".format(name_in(lost), format_value(lost.value), place, why))
        return "".join(escape_controls(line) + "\n" for line in lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the same for programs."""
        fields: dict[str, Any] = {}
        for field, origin in self.effective.origins.items():
            lost = [dict(value=one.value, **lay_open(one), why=why) for one, why in self.list_lost(field, origin)]
            fields[field] = dict(value=origin.value, **lay_open(origin), shadowed=lost)
        return {
            "layer": self.layer.name,
            "type": self.layer.type,
            "quantized": self.effective.quant_enable,
            "notes": list(self.explain_quant_enable()),
            "fields": fields,
        }


def name_in(origin: Origin) -> str:
    """Return what the file calls the setting."""
    return [step for step in origin.path or () if isinstance(step, str)][-1]


def lay_open(origin: Origin) -> dict[str, Any]:
    line, column = origin.span[:2] if origin.span else (None, None)
    return {"tier": origin.tier, "path": list(origin.path) if origin.path else None, "line": line, "column": column}
