# SPDX-License-Identifier: Apache-2.0
"""The effective configuration of one layer, and where each of its values comes from.

The rules are those of the vendor's page, "Parameter priority"; what the page leaves open is as the toolkit does it.
"""

from __future__ import annotations

import copy
import dataclasses
from typing import Any, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Tuple, Union

from .diagnostics import Path
from .document import Document
from .schema import DEFAULTS, AMCTConfig, ARQuantize, CalibrationConfig, FMRQuantize, trusted
from .source import Span
from .target import TF_ASCEND, Layer, Target

__all__ = ["EffectiveConfig", "Merger", "Origin", "Origins", "fields_of", "merge"]

DOCUMENTED, TOOLKIT = "documented", "toolkit"

OF_LAYER, OF_TYPE = "override_layer_configs", "override_layer_types"

CHANNEL_WISE, ASYMMETRIC = "arq_quantize.channel_wise", "ifmr_quantize.asymmetric"
SWITCHES = ("quant_enable", "fuse")
PARTS: Dict[str, Any] = {"arq_quantize": ARQuantize, "ifmr_quantize": FMRQuantize}
BLOCK_FIELDS = tuple((part, field) for part, message in PARTS.items() for field in message.specs)
ALL_FIELDS = SWITCHES + tuple(".".join(field) for field in BLOCK_FIELDS)


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


class Origins(Mapping[str, Origin]):
    """The `Origin` of each field of a layer, by dotted name; worked out when it is asked for."""

    __slots__ = ("_layer", "_merger")

    def __init__(self, merger: Merger, layer: Layer) -> None:
        self._merger: Merger = merger
        self._layer: Layer = layer

    def __getitem__(self, field: str) -> Origin:
        if field not in ALL_FIELDS:
            raise KeyError(field)
        return self._merger.origin_of(self._layer, field)

    def __iter__(self) -> Iterator[str]:
        return iter(ALL_FIELDS)

    def __len__(self) -> int:
        return len(ALL_FIELDS)

    def __hash__(self) -> int:
        return hash(tuple(self.items()))

    def __repr__(self) -> str:
        return "Origins({!r})".format(dict(self))


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


class Tier(NamedTuple):
    """A block that a layer could have, and where it is."""

    name: str
    block: CalibrationConfig
    path: Path


# What sets a field, None for its default, and the value.
Setting = Tuple[Optional[Tier], Any]

# What sets asymmetric below all blocks.
ACTIVATION_OFFSET = Tier("activation_offset", CalibrationConfig(), ("activation_offset",))


class Merger:
    """`merge` for many layers of one configuration: its entries are looked up, not searched."""

    def __init__(self, config: Union[AMCTConfig, Document], target: Target, rules: str) -> None:
        if rules not in (DOCUMENTED, TOOLKIT):
            raise ValueError("rules is {!r}; it has to be 'documented' or 'toolkit'".format(rules))
        self.document: Optional[Document] = config if isinstance(config, Document) else None
        self.config: AMCTConfig = config.config if isinstance(config, Document) else config
        if not isinstance(self.config, AMCTConfig):
            raise TypeError("an AMCTConfig or a Document is needed, not {!r}".format(config))
        self.target: Target = target
        self.rules: str = rules
        self.names: Dict[str, int] = {entry.layer_name: i for i, entry in enumerate(self.config.override_layer_configs)}
        self.types: Dict[str, int] = {entry.layer_type: i for i, entry in enumerate(self.config.override_layer_types)}
        self.skipped_names: Dict[str, int] = indices(self.config.skip_layers)
        self.skipped_types: Dict[str, int] = indices(self.config.skip_layer_types)
        self.unfused_names: Dict[str, int] = indices(self.config.skip_fusion_layers)
        # The calibration of layers by their own block and their type: many layers have the same.
        self.combined: Dict[Tuple[Optional[CalibrationConfig], str], CalibrationConfig] = {}

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
        enable, fuse = self.quant_enable(layer).value, self.fuse(layer).value
        return EffectiveConfig(layer, enable, fuse, self.calibration(layer), Origins(self, layer))

    def calibration(self, layer: Layer) -> CalibrationConfig:
        """The block of a layer, every field set."""
        return self.calibration_of(layer.name, layer.type)

    def calibration_of(self, name: Optional[str], layer_type: str) -> CalibrationConfig:
        """The block of a layer, or of one without an override of its own."""
        index = None if name is None else self.names.get(name)
        key = None if index is None else self.config.override_layer_configs[index].calibration_config, layer_type
        if key not in self.combined:
            tiers = self.tiers(name, layer_type)
            self.combined[key] = block_of(self.decide(*field, tiers, layer_type)[0][1] for field in BLOCK_FIELDS)
        return self.combined[key]

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

    def tiers(self, name: Optional[str], layer_type: Optional[str]) -> List[Tier]:
        """The blocks that a layer could have, highest first: its own, its type's, the common one."""
        found = []
        for tier, indexes, key in ((OF_LAYER, self.names, name), (OF_TYPE, self.types, layer_type)):
            if key is not None and key in indexes:
                index = indexes[key]
                block = getattr(self.config, tier)[index].calibration_config
                found.append(Tier(tier, block, (tier, index, "calibration_config")))
        if self.config.common_config is not None:
            found.append(Tier("common_config", self.config.common_config, ("common_config",)))
        return found

    def decide(self, part: str, field: str, tiers: List[Tier], layer_type: str) -> Tuple[Setting, List[Setting]]:
        """What a field is and which tier it is from, None for its default; and all that sets it, highest first.

        The highest block that is there counts as a whole: what it leaves out has its default. Only `asymmetric` is
        looked for further down.
        """
        settings: List[Setting] = []
        for tier in tiers:
            message = getattr(tier.block, part)
            value = None if message is None else getattr(message, field)
            if value is not None:
                settings.append((tier, value))
        if field == "asymmetric":
            return self.decide_asymmetric(settings, tiers, layer_type)
        if settings and settings[0][0] is tiers[0]:
            return settings[0], settings
        return (None, self.default(field, layer_type)), settings

    def decide_asymmetric(
        self, settings: List[Setting], tiers: List[Tier], layer_type: str
    ) -> Tuple[Setting, List[Setting]]:
        """The first block that sets it, else `activation_offset`, else true."""
        if self.config.activation_offset is not None:
            settings.append((ACTIVATION_OFFSET, self.config.activation_offset))
        if layer_type in self.target.symmetric_only_types:
            return (None, False), settings
        candidates = settings
        if self.rules == TOOLKIT and tiers and tiers[0].name == OF_LAYER:
            candidates = [setting for setting in settings if setting[0].name != OF_TYPE]  # type: ignore[union-attr]
        return candidates[0] if candidates else (None, DEFAULTS["activation_offset"]), settings

    def default(self, field: str, layer_type: Optional[str]) -> Any:
        """What a field that the block leaves out is; None for one that an unknown type decides."""
        if field == "channel_wise":
            return None if layer_type is None else layer_type in self.target.channel_wise_types
        return DEFAULTS[field]

    # ------------------------------------------------------------ where values come from

    def origin_of(self, layer: Layer, field: str) -> Origin:
        """The origin of a field of a layer, by dotted name."""
        if field in SWITCHES:
            return self.quant_enable(layer) if field == "quant_enable" else self.fuse(layer)
        part, _, name = field.partition(".")
        tiers = self.tiers(layer.name, layer.type)
        winner, settings = self.decide(part, name, tiers, layer.type)
        losers = tuple(self.origin_in(setting, part, name) for setting in settings if setting is not winner)
        return self.origin_in(winner, part, name)._replace(shadowed=losers)

    def origin_in(self, setting: Setting, part: str, field: str) -> Origin:
        tier, value = setting
        if tier is None:
            return Origin("default", value)
        return self.origin(tier.name, value, tier.path if tier is ACTIVATION_OFFSET else (*tier.path, part, field))

    def origin(self, tier: str, value: Any, path: Path) -> Origin:
        return Origin(tier, value, path, self.document.span(path) if self.document else None)


def block_of(values: Iterable[Any]) -> CalibrationConfig:
    """The block with the values of BLOCK_FIELDS, which checked messages held."""
    parts: Dict[str, Dict[str, Any]] = {part: {} for part in PARTS}
    for (part, field), value in zip(BLOCK_FIELDS, values):
        parts[part][field] = value
    block: CalibrationConfig = trusted(CalibrationConfig, {n: trusted(PARTS[n], v) for n, v in parts.items()})
    return block


def fields_of(block: CalibrationConfig) -> Dict[str, Any]:
    """What a block sets, by dotted name."""
    found = {}
    for part, specs in PARTS.items():
        message = getattr(block, part)
        for field in specs.specs if message is not None else ():
            if getattr(message, field) is not None:
                found[part + "." + field] = getattr(message, field)
    return found


def first(settings: List[Origin], default: Origin) -> Origin:
    """The first setting, which shadows the others, or the default."""
    return settings[0]._replace(shadowed=tuple(settings[1:])) if settings else default


def indices(names: Tuple[str, ...]) -> Dict[str, int]:
    return {name: index for index, name in enumerate(names)}
