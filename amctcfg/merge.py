# SPDX-License-Identifier: Apache-2.0
"""The effective configuration of one layer, and where each of its values comes from.

The rules are those of the vendor's page, "Parameter priority"; what the page leaves open is as the toolkit does it.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping as MappingABC
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple, Union

from .diagnostics import Path
from .document import Document
from .schema import DEFAULTS, AMCTConfig, ARQuantize, CalibrationConfig, FMRQuantize, trusted
from .source import Span
from .target import TF_ASCEND, Layer, Target

__all__ = ["EffectiveConfig", "Merger", "Origin", "Origins", "merge"]

DOCUMENTED, TOOLKIT = "documented", "toolkit"

CHANNEL_WISE, ASYMMETRIC = "arq_quantize.channel_wise", "ifmr_quantize.asymmetric"
FIELDS = tuple(
    "{}.{}".format(part.name, field)
    for part in CalibrationConfig.specs.values()
    for field in part.kind.specs
)  # fmt: skip


class Origin(NamedTuple):
    """Where a value comes from.

    `tier` is what decided; `path` and `span` are the place, None for what no text says; `shadowed` are the settings
    of the same field that lost, highest first.
    """

    tier: str
    value: Any
    path: Optional[Path] = None
    span: Optional[Span] = None
    shadowed: Tuple[Origin, ...] = ()


class Origins(MappingABC):  # type: ignore[type-arg]  # Mapping[str, Origin] can't be subscripted at run time in 3.7
    """The `Origin` of each field, by dotted name; immutable."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, Origin]) -> None:
        self._items = dict(items)

    def __getitem__(self, field: str) -> Origin:
        return self._items[field]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(tuple(self._items.items()))

    def __repr__(self) -> str:
        return "Origins({!r})".format(self._items)


@dataclasses.dataclass(frozen=True)
class EffectiveConfig:
    """What a layer gets: every field of `calibration_config` is set.

    quant_enable -- whether the layer is quantized. fuse -- whether BN may be fused into it. `origins` says where
    each value comes from, by dotted name ("ifmr_quantize.search_step"); two that differ in origins only are equal.
    """

    layer: Layer
    quant_enable: bool
    fuse: bool
    calibration_config: CalibrationConfig
    origins: Mapping[str, Origin] = dataclasses.field(compare=False)


def merge(
    config: Union[AMCTConfig, Document], layer: Layer, target: Target = TF_ASCEND, rules: str = DOCUMENTED
) -> EffectiveConfig:
    """The effective configuration of one layer.

    `rules` is "documented", as the vendor's page says, or "toolkit": there, a layer with a block of its own that
    leaves `asymmetric` out skips the block of its type and takes `common_config`'s.

    >>> config = AMCTConfig(skip_layers=["conv1"])
    >>> merge(config, Layer("conv1", "Conv2D")).origins["quant_enable"].tier
    'skip_layers'
    """
    return Merger(config, target, rules).merge(layer)


class Merger:
    """`merge` for many layers of one configuration: its entries are looked up, not searched."""

    def __init__(self, config: Union[AMCTConfig, Document], target: Target, rules: str) -> None:
        if rules not in (DOCUMENTED, TOOLKIT):
            raise ValueError("rules is {!r}; it has to be 'documented' or 'toolkit'".format(rules))
        self.document = config if isinstance(config, Document) else None
        self.config = config.config if isinstance(config, Document) else config
        if not isinstance(self.config, AMCTConfig):
            raise TypeError("an AMCTConfig or a Document is needed, not {!r}".format(config))
        self.target = target
        self.rules = rules
        self.names = {entry.layer_name: i for i, entry in enumerate(self.config.override_layer_configs)}
        self.types = {entry.layer_type: i for i, entry in enumerate(self.config.override_layer_types)}
        self.skipped_names = indices(self.config.skip_layers)
        self.skipped_types = indices(self.config.skip_layer_types)
        self.unfused_names = indices(self.config.skip_fusion_layers)
        common = self.config.common_config
        self.common = None if common is None else self.settings("common_config", common, ("common_config",))
        self.found: Dict[Tuple[str, int], Dict[str, Origin]] = {}
        self.combined: Dict[Tuple[Optional[str], str], Tuple[CalibrationConfig, Dict[str, Origin]]] = {}

    def by_rules(self, rules: str) -> Merger:
        """The same by other rules."""
        return self if rules == self.rules else self.altered(rules=rules)

    def without_type(self, layer_type: str) -> Merger:
        """The same without the override of a type."""
        return self.altered(types={name: i for name, i in self.types.items() if name != layer_type})

    def altered(self, **attributes: Any) -> Merger:
        other = copy.copy(self)
        other.combined = {}
        other.__dict__.update(attributes)
        return other

    def merge(self, layer: Layer) -> EffectiveConfig:
        block, origins = self.calibration(layer)
        enable, fuse = self.quant_enable(layer), self.fuse(layer)
        merged = {"quant_enable": enable, "fuse": fuse}
        merged.update(origins)
        return EffectiveConfig(layer, enable.value, fuse.value, block, Origins(merged))

    # ------------------------------------------------------------ the rules

    def quant_enable(self, layer: Layer) -> Origin:
        """No if its name is skipped, or its type, or it can't be quantized."""
        reasons: List[Origin] = []
        if layer.name in self.skipped_names:
            reasons.append(self.origin("skip_layers", False, ("skip_layers", self.skipped_names[layer.name])))
        if layer.type in self.skipped_types:
            reasons.append(self.origin("skip_layer_types", False, ("skip_layer_types", self.skipped_types[layer.type])))
        if not self.target.quantizes(layer):
            reasons.append(Origin("unsupported", False))
        return first(reasons, Origin("default", True))

    def fuse(self, layer: Layer) -> Origin:
        """BN is fused unless the layer is named in `skip_fusion_layers`, or `do_fusion` is false."""
        settings: List[Origin] = []
        if layer.name in self.unfused_names:
            index = self.unfused_names[layer.name]
            settings.append(self.origin("skip_fusion_layers", False, ("skip_fusion_layers", index)))
        if self.config.do_fusion is not None:
            settings.append(self.origin("do_fusion", self.config.do_fusion, ("do_fusion",)))
        return first(settings, Origin("default", DEFAULTS["do_fusion"]))

    def calibration(self, layer: Layer) -> Tuple[CalibrationConfig, Dict[str, Origin]]:
        """Layers without a block of their own have what their type has."""
        return self.calibration_of(layer.name if layer.name in self.names else None, layer.type)

    def calibration_of(self, name: Optional[str], layer_type: str) -> Tuple[CalibrationConfig, Dict[str, Origin]]:
        """What a layer with a block of its own has, or any layer of a type without one."""
        key = name, layer_type
        if key not in self.combined:
            own = None if name is None else self.layer_settings(name)
            self.combined[key] = self.combine(own, self.type_settings(layer_type), layer_type)
        return self.combined[key]

    def combine(
        self, own: Optional[Dict[str, Origin]], of_type: Optional[Dict[str, Origin]], layer_type: str
    ) -> Tuple[CalibrationConfig, Dict[str, Origin]]:
        """The highest block that is there counts as a whole; only `asymmetric` is looked for further down."""
        blocks = [block for block in (own, of_type, self.common) if block is not None]
        origins: Dict[str, Origin] = {}
        for field in FIELDS:
            settings = [block[field] for block in blocks if field in block]
            if field == ASYMMETRIC:
                origins[field] = self.asymmetric(settings, own, layer_type)
            elif blocks and field in blocks[0]:
                origins[field] = first(settings, settings[0])
            else:
                origins[field] = Origin("default", self.default(field, layer_type), shadowed=tuple(settings))
        return block_of(origins), origins

    def asymmetric(self, settings: List[Origin], own: Optional[Dict[str, Origin]], layer_type: str) -> Origin:
        """The first block that sets it, else `activation_offset`, else true."""
        if self.config.activation_offset is not None:
            path = ("activation_offset",)
            settings = [*settings, self.origin("activation_offset", self.config.activation_offset, path)]
        if layer_type in self.target.symmetric_only_types:
            return Origin("default", False, shadowed=tuple(settings))
        candidates = settings
        if self.rules == TOOLKIT and own is not None:
            candidates = [s for s in settings if s.tier != "override_layer_types"]
        winner = candidates[0] if candidates else Origin("default", DEFAULTS["activation_offset"])
        return winner._replace(shadowed=tuple(s for s in settings if s is not winner))

    def default(self, field: str, layer_type: Optional[str]) -> Any:
        """What a field that the block leaves out is; None for one that an unknown type decides."""
        if field == CHANNEL_WISE:
            return None if layer_type is None else layer_type in self.target.channel_wise_types
        return DEFAULTS[field.rpartition(".")[2]]

    # ------------------------------------------------------------ what the blocks set

    def layer_settings(self, name: str) -> Optional[Dict[str, Origin]]:
        """What the block of a layer sets, by dotted field name; None where it has none of its own."""
        return self.block_settings("override_layer_configs", self.names.get(name))

    def type_settings(self, layer_type: str) -> Optional[Dict[str, Origin]]:
        """What the block of a type sets."""
        return self.block_settings("override_layer_types", self.types.get(layer_type))

    def block_settings(self, tier: str, index: Optional[int]) -> Optional[Dict[str, Origin]]:
        if index is None:
            return None
        if (tier, index) not in self.found:
            block = getattr(self.config, tier)[index].calibration_config
            self.found[tier, index] = self.settings(tier, block, (tier, index, "calibration_config"))
        return self.found[tier, index]

    def settings(self, tier: str, block: CalibrationConfig, path: Path) -> Dict[str, Origin]:
        found: Dict[str, Origin] = {}
        for part in ("arq_quantize", "ifmr_quantize"):
            message = getattr(block, part)
            if message is None:
                continue
            part_path = (*path, part)
            spans = self.document.spans(part_path) if self.document else {}
            for field in message.specs:
                value = getattr(message, field)
                if value is not None:
                    found[part + "." + field] = Origin(tier, value, (*part_path, field), spans.get(field))
        return found

    def origin(self, tier: str, value: Any, path: Path) -> Origin:
        return Origin(tier, value, path, self.document.span(path) if self.document else None)


def first(settings: List[Origin], default: Origin) -> Origin:
    """The first setting, which shadows the others, or the default."""
    return settings[0]._replace(shadowed=tuple(settings[1:])) if settings else default


def block_of(origins: Mapping[str, Origin]) -> CalibrationConfig:
    """The block with the value of each origin; the values come from checked messages."""
    parts: Dict[str, Dict[str, Any]] = {"arq_quantize": {}, "ifmr_quantize": {}}
    for name, origin in origins.items():
        part, _, field = name.partition(".")
        parts[part][field] = origin.value
    arq, ifmr = trusted(ARQuantize, parts["arq_quantize"]), trusted(FMRQuantize, parts["ifmr_quantize"])
    block: CalibrationConfig = trusted(CalibrationConfig, {"arq_quantize": arq, "ifmr_quantize": ifmr})
    return block


def indices(names: Tuple[str, ...]) -> Dict[str, int]:
    return {name: index for index, name in enumerate(names)}
