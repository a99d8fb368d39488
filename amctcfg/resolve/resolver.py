# SPDX-License-Identifier: Apache-2.0
"""Precedence: which setting wins for each field of a layer.

The rules are those of the vendor's page, "Parameter priority"; what the page leaves open is as the toolkit does it.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Iterable, Iterator, NamedTuple, Optional, Sequence, Tuple, cast

from ..diagnostics.diagnostic import Path
from ..documents.document import Document
from ..flavours.common import Configuration
from ..flavours.flavour import Flavour, require_flavour
from ..flavours.layer import Layer
from ..flavours.requirement import (
    ASYMMETRIC,
    BY_TYPE,
    KEEP,
    SOFTEN,
    Requirement,
    cascade_of,
    list_requirements,
    list_requiring_fields,
    requirements_of,
)
from ..messages.field import Field
from ..messages.message import Message, by_identity, construct
from .effective import SWITCHES, EffectiveConfig, Origin, Origins

if TYPE_CHECKING:
    from typing import Literal

    from ..messages.message import IdentityCache
    from .effective import TierName

    Rules = Literal["documented", "toolkit"]
else:
    Rules = str

DOCUMENTED: Rules = "documented"
TOOLKIT: Rules = "toolkit"

OF_LAYER: TierName = "override_layer_configs"
OF_TYPE: TierName = "override_layer_types"
COMMON: TierName = "common_config"


class Tier(NamedTuple):
    """A block that a layer could have, and where it is."""

    name: TierName
    block: Message
    path: Path


DEFAULT: TierName = "default"
BY_LAYER_TYPE: TierName = "layer_type"


# The members of each group of algorithms in a block, and the default if the group has one.
Groups = Tuple[Tuple[Tuple[str, ...], Optional[str]], ...]


def group_algorithms(block: type[Message]) -> Groups:
    groups: dict[str, list[Field]] = {}
    for name, field in block.__schema__.fields.items():
        if field.is_message:
            groups.setdefault(field.oneof or name, []).append(field)
    found = []
    for fields in groups.values():
        default = next((field.name for field in fields if field.default is not None), None)
        found.append((tuple(field.name for field in fields), default))
    return tuple(found)


def member_in(block: Message, names: Sequence[str]) -> str | None:
    """Return which member of a group a block has; None where it has none."""
    return next((name for name in names if getattr(block, name) is not None), None)


def merge(
    config: Message | Document[Configuration],
    layer: Layer,
    rules: Rules = DOCUMENTED,
    flavour: Flavour | None = None,
) -> EffectiveConfig:
    """Resolve the effective configuration of one layer.

    Args:
        config: A configuration, or a Document, whose places the origins then have.
        layer: The layer; it need not be supported.
        rules: "documented", as the vendor's page says, or "toolkit": there, a layer with a block of its own that leaves
            `asymmetric` out skips the block of its type and takes `common_config`'s.
        flavour: Replaces the configuration's own, for other types.

    Returns:
        Every field of the layer's block set, each with its origin.

    Raises:
        TypeError: It is not a configuration of the flavour, or not a Layer.
        ValueError: There are no such rules.

    Example:
        >>> from amctcfg import AMCTConfig
        >>> merge(AMCTConfig(skip_layers=["conv1"]), Layer("conv1", "Conv2D")).origins["quant_enable"].tier
        'skip_layers'

    Source:
        The vendor's page "Simplified PTQ Configuration File", "Parameter priority".
    """
    if not isinstance(layer, Layer):
        raise TypeError("merge takes a Layer, such as Layer('conv1', 'Conv2D'), not {!r}".format(layer))
    return Resolver(config, rules, flavour).merge(layer)


def flavour_of(root: type[Message], flavour: Flavour | None, given: str) -> Flavour:
    """Return the flavour that configurations of a class are in; `given` says in an error what there is instead of one."""
    if flavour is None:
        from ..flavours import FLAVOURS

        flavour = next((known for known in FLAVOURS.values() if known.config is root), None)
    else:
        require_flavour(flavour)
    if flavour is None or root is not flavour.config:
        wanted = "an AMCTConfig or a Document" + (" of flavour {}".format(flavour.name) if flavour else "")
        raise TypeError("{} is needed, not {}".format(wanted, given))
    return flavour


class Resolver:
    """`merge` for many layers of one configuration: its entries are looked up, not searched."""

    def __init__(
        self,
        config: Message | Document[Configuration],
        rules: Rules = DOCUMENTED,
        flavour: Flavour | None = None,
    ) -> None:
        if rules not in (DOCUMENTED, TOOLKIT):
            raise ValueError("rules is {!r}; it has to be 'documented' or 'toolkit'".format(rules))
        self.document: Document[Configuration] | None = config if isinstance(config, Document) else None
        root = cast(Configuration, self.document.config if self.document else config)
        if self.document:
            flavour = flavour or self.document.flavour
        self.flavour: Flavour = flavour_of(type(root), flavour, type(config).__name__)
        self.config: Configuration = root
        self.rules: Rules = rules
        self.block_class: type[Message] = root.__schema__.fields[COMMON].kind
        self.groups: Groups = group_algorithms(self.block_class)
        self.scalars: list[Field] = [f for f in self.block_class.__schema__.fields.values() if not f.is_message]
        self.skipped_names: dict[str, int] = index_of_each(root.skip_layers)
        self.skipped_types: dict[str, int] = index_of_each(root.skip_layer_types)
        self.unfused_names: dict[str, int] = index_of_each(root.skip_fusion_layers)
        # Where the block of a layer (by its index: there may be many), of a type and of the rest is.
        self.names: dict[str, int] = index_of_each(getattr(x, "layer_name", None) for x in root.override_layer_configs)
        of_types = index_of_each(getattr(entry, "layer_type", None) for entry in root.override_layer_types)
        self.types: dict[str, Tier] = {name: self.override_at(OF_TYPE, index) for name, index in of_types.items()}
        common = root.common_config
        self.common: Tier | None = None if common is None else Tier(COMMON, common, (COMMON,))
        self.apply_deprecated_blocks()
        self.cached: IdentityCache[Message] = {}  # the block of layers by what decides it: many have the same

    def find_own(self, name: str) -> Tier | None:
        index = self.names.get(name)
        return None if index is None else self.override_at(OF_LAYER, index)

    def override_at(self, field: TierName, index: int) -> Tier:
        block = getattr(self.config, field)[index].calibration_config
        return Tier(field, block, (field, index, "calibration_config"))

    def apply_deprecated_blocks(self) -> None:
        """Let deprecated fields count where the configuration has neither common_config nor overrides of types."""
        if self.common is not None or self.config.override_layer_types:
            return
        for field, types in self.flavour.deprecated_blocks:
            block = getattr(self.config, field)
            if block is not None and types:
                self.types.update({layer_type: Tier(OF_TYPE, block, (field,)) for layer_type in types})
            elif block is not None:
                self.common = Tier(COMMON, block, (field,))

    def with_rules(self, rules: Rules) -> Resolver:
        return self if rules == self.rules else self.replace(rules=rules)

    def replace(self, **attributes: Any) -> Resolver:
        other = copy.copy(self)
        other.__dict__.update(attributes, cached={})
        return other

    def merge(self, layer: Layer) -> EffectiveConfig:
        """Return the effective configuration of a layer; a fast path of `origin_of`, which says why."""
        return EffectiveConfig(
            layer,
            self.is_quantized(layer),
            layer.name not in self.unfused_names and self.config.do_fusion is not False,
            self.calibration_of(layer),
            Origins(self, layer),
        )

    def is_quantized(self, layer: Layer) -> bool:
        skipped = layer.name in self.skipped_names or layer.type in self.skipped_types
        return not skipped and self.flavour.quantizes(layer)

    def calibration_of(self, layer: Layer) -> Message:
        index = self.names.get(layer.name)
        own = None if index is None else self.config.override_layer_configs[index].calibration_config
        key = (index is None, layer.type, layer.lacks)
        return by_identity(self.cached, own, key, lambda: self.block_of(layer, self.list_tiers(layer)))

    def block_of(self, layer: Layer, tiers: list[Tier]) -> Message:
        """Return what `decide_field` decides, as a block; its values are those of messages that were validated."""
        values: dict[str, Any] = dict(self.block_class.__schema__.blank)
        for field in self.scalars:
            values[field.name] = self.decide_field(field, (field.name,), layer, tiers).value
        for chosen in self.iter_algorithms(layer, tiers):
            kind = self.block_class.__schema__.fields[chosen].kind
            top = getattr(tiers[0].block, chosen, None) if tiers else None
            found = dict(kind.__schema__.blank if top is None else top.__dict__)
            for field, requirements in list_requiring_fields(
                kind
            ):  # of others the layer gets what its highest block says
                found[field.name] = self.apply_fallback(requirements, found[field.name], layer, tiers)
            for name, field in kind.__schema__.fields.items():
                if found[name] is None:
                    found[name] = self.decide_field(field, (chosen, name), layer, tiers).value
            values[chosen] = construct(kind, found)
        return construct(self.block_class, values)

    # ------------------------------------------------------------ the rules

    def list_quant_enable_settings(self, layer: Layer) -> list[Origin]:
        """List what decides whether a layer is quantized: not if its name is skipped, or its type, or it can't be."""
        reasons = self.in_list("skip_layers", self.skipped_names, layer.name)
        reasons += self.in_list("skip_layer_types", self.skipped_types, layer.type)
        if not self.flavour.quantizes(layer):
            reasons.append(Origin("unsupported", False))
        return reasons or [Origin(DEFAULT, True)]

    def fuse_settings(self, layer: Layer) -> list[Origin]:
        """List what decides whether BN is fused: unless `skip_fusion_layers` names the layer, or `do_fusion` is false."""
        settings = self.in_list("skip_fusion_layers", self.unfused_names, layer.name)
        if self.config.do_fusion is not None:
            settings.append(Origin("do_fusion", self.config.do_fusion, ("do_fusion",)))
        return settings or [Origin(DEFAULT, True)]

    def in_list(self, field: TierName, names: dict[str, int], name: str) -> list[Origin]:
        return [Origin(field, False, (field, names[name]))] if name in names else []

    def list_tiers(self, layer: Layer) -> list[Tier]:
        return self.list_tiers_by_name(layer.name, layer.type)

    def list_tiers_by_name(self, name: str | None, layer_type: str | None) -> list[Tier]:
        """List the same where the name or the type is not known."""
        own = None if name is None else self.find_own(name)
        of_type = None if layer_type is None else self.types.get(layer_type)
        return [tier for tier in (own, of_type, self.common) if tier is not None]

    def find_highest_tier(self, layer: Layer) -> TierName:
        """Return the name of the tier whose block a layer has; that of defaults where it has none."""
        tiers = self.list_tiers(layer)
        return tiers[0].name if tiers else DEFAULT

    def decide_cascades(self, layer: Layer) -> dict[str, Origin]:
        """Return the winning settings of the fields that are looked for below a layer's block."""
        tiers = self.list_tiers(layer)
        return {
            ".".join(path): self.decide_field(field, path, layer, tiers)
            for path, field in self.fields_of(layer, tiers)
            if cascade_of(field) is not None
        }

    def fields_of(self, layer: Layer, tiers: list[Tier]) -> Iterator[tuple[tuple[str, ...], Field]]:
        """Yield the fields that a layer gets, each with its path in a block."""
        for field in self.scalars:
            yield (field.name,), field
        for chosen in self.iter_algorithms(layer, tiers):
            for field in self.block_class.__schema__.fields[chosen].kind.__schema__.fields.values():
                yield (chosen, field.name), field

    def iter_algorithms(self, layer: Layer, tiers: list[Tier]) -> Iterator[str]:
        """Yield the algorithm of each group that the layer gets."""
        top = tiers[0].block if tiers else None
        for names, default in self.groups:
            chosen = (None if top is None else member_in(top, names)) or default
            if chosen is not None and not self.is_dropped(chosen, layer, tiers):
                yield chosen

    def is_dropped(self, part: str, layer: Layer, tiers: list[Tier]) -> bool:
        """Return whether the layer can't have an algorithm that its block asks for."""
        requirements = requirements_of(self.block_class.__schema__.fields[part])
        if not requirements or not tiers or getattr(tiers[0].block, part) is None:
            return False
        return any(self.falls_back(requirement, layer, tiers) for requirement in requirements)

    def decide_field(self, field: Field, path: tuple[str, ...], layer: Layer, tiers: list[Tier]) -> Origin:
        """Decide the field at a path in the blocks.

        The highest block counts as a whole: what it leaves out has its default. Only fields that cascade are looked for
        further down, in blocks with the same algorithm. What the layer can't have falls back.
        """
        winner = self.find_setting(field, path, layer, tiers)
        value = self.apply_fallback(requirements_of(field), winner.value, layer, tiers)
        return winner if value is winner.value else Origin(BY_LAYER_TYPE, value)

    def apply_fallback(self, requirements: tuple[Requirement, ...], value: Any, layer: Layer, tiers: list[Tier]) -> Any:
        """Return the value, or what the layer gets instead because it can't have it."""
        for requirement in requirements:
            if value in requirement.values and self.falls_back(requirement, layer, tiers):
                value = requirement.instead
        return value

    def find_setting(self, field: Field, path: tuple[str, ...], layer: Layer | None, tiers: list[Tier]) -> Origin:
        """Take the first setting in the blocks that count for a field, else the default."""
        if cascade_of(field) is None:
            tiers = tiers[:1]
        elif self.rules == TOOLKIT and tiers and tiers[0].name == OF_LAYER:
            tiers = [tier for tier in tiers if tier.name != OF_TYPE]
        return next(self.iter_settings(field, path, tiers), None) or Origin(DEFAULT, self.default_of(field, layer))

    def iter_settings(self, field: Field, path: tuple[str, ...], tiers: list[Tier]) -> Iterator[Origin]:
        """Yield what the blocks set at a path, and last what the global field of its cascade does."""
        for tier in tiers:
            value: Any = tier.block
            for step in path:
                value = getattr(value, step, None)
            if value is not None:
                yield Origin(tier.name, value, (*tier.path, *path))
        name: Any = cascade_of(field)
        value = getattr(self.config, name) if name else None
        if value is not None:
            yield Origin(name, value, (name,))

    def default_of(self, field: Field, layer: Layer | None) -> Any:
        """Return the default of an absent field; None if it depends on a type that is not known."""
        if field.default != BY_TYPE:
            return field.default
        return None if layer is None else self.flavour.can(layer, requirements_of(field)[0].ability)

    def falls_back(self, requirement: Requirement, layer: Layer, tiers: list[Tier]) -> bool:
        """Return whether a layer cannot satisfy a requirement of its highest block and gets its fallback."""
        if requirement.instead is KEEP or layer.type not in self.flavour.types:
            return False
        if self.flavour.can(layer, requirement.ability):
            return False
        if requirement.ability == ASYMMETRIC or requirement.by_type == SOFTEN or not tiers or tiers[0].name != OF_TYPE:
            return True
        # The toolkit writes what a type asks for also where a layer of it can't have it, unless common_config asks, too.
        type_can = self.flavour.types[layer.type].has(requirement.ability)
        return not type_can or (tiers[-1].name == COMMON and requirement in list_requirements(tiers[-1].block))

    def resolve_tensor(self, entry: Message, member: str) -> dict[str, Any]:
        """Return the values of a tensor's algorithm; what cascades does so as for a layer without other blocks."""
        tiers = [Tier(OF_LAYER, entry, ()), *([self.common] if self.common else [])]
        fields = entry.__schema__.fields[member].kind.__schema__.fields.items()
        return {name: self.find_setting(field, (member, name), None, tiers).value for name, field in fields}

    # ------------------------------------------------------------ where values come from

    def names_of(self, layer: Layer) -> list[str]:
        return [*SWITCHES, *(".".join(path) for path, _ in self.fields_of(layer, self.list_tiers(layer)))]

    def origin_of(self, layer: Layer, wanted: str) -> Origin:
        """Return the origin of a field of a layer, by dotted name. Raises `KeyError` for one that the layer does not get."""
        winner, *losers = map(self.place, self.contest(layer, wanted))
        return winner._replace(shadowed=tuple(losers))

    def contest(self, layer: Layer, wanted: str) -> list[Origin]:
        """List what sets a field of a layer, the winner first."""
        if wanted in SWITCHES:
            return self.list_quant_enable_settings(layer) if wanted == "quant_enable" else self.fuse_settings(layer)
        tiers = self.list_tiers(layer)
        for path, field in self.fields_of(layer, tiers):
            if ".".join(path) == wanted:
                winner = self.decide_field(field, path, layer, tiers)
                return [winner, *(setting for setting in self.iter_settings(field, path, tiers) if setting != winner)]
        raise KeyError(wanted)

    def place(self, setting: Origin) -> Origin:
        """Return a setting with its place in the text."""
        return setting._replace(span=self.document.span(setting.path)) if self.document and setting.path else setting


def index_of_each(names: Iterable[str | None]) -> dict[str, int]:
    return {name: index for index, name in enumerate(names) if name is not None}
