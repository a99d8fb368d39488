# SPDX-License-Identifier: Apache-2.0
"""The rules: what a layer gets, and what decides each of its values.

The rules are those of the vendor's page, "Parameter priority"; what the page leaves open is as the toolkit does it.
"""

from __future__ import annotations

import copy
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple, Union

from ..diagnostics.diagnostic import Path
from ..documents.document import Document
from ..flavours.flavour import ASYMMETRIC, KEEP, SOFTEN, Demand, Flavour, demanded
from ..flavours.layer import Layer
from ..messages.message import BY_TYPE, Field, Message
from ..messages.record import trusted
from .effective import SWITCHES, EffectiveConfig, Origin

DOCUMENTED, TOOLKIT = "documented", "toolkit"

OF_LAYER, OF_TYPE, COMMON = "override_layer_configs", "override_layer_types", "common_config"


class Tier(NamedTuple):
    """A block that a layer could have, and where it is."""

    name: str
    block: Any
    path: Path


class Setting(NamedTuple):
    """A value and what sets it: the name of a tier, and the path, None where no text does."""

    tier: str
    value: Any
    path: Optional[Path]


Decisions = Dict[str, Setting]

DEFAULT, BY_LAYER_TYPE = "default", "layer_type"


class Members(NamedTuple):
    """The members of a block: for each group of algorithms its members, the default first if it has one."""

    groups: Tuple[Tuple[Tuple[str, ...], Optional[str]], ...]
    scalars: Tuple[Field, ...]


def members_of(block: Any) -> Members:
    """What a class of blocks consists of."""
    groups: Dict[str, List[Field]] = {}
    scalars = []
    for name, field in block.__schema__.fields.items():
        if field.is_message:
            groups.setdefault(field.oneof or name, []).append(field)
        else:
            scalars.append(field)
    chosen = []
    for fields in groups.values():
        default = next((field.name for field in fields if field.default is not None), None)
        chosen.append((tuple(field.name for field in fields), default))
    return Members(tuple(chosen), tuple(scalars))


def merge(
    config: Union[Message, Document[Any]],
    layer: Layer,
    rules: str = DOCUMENTED,
    flavour: Optional[Flavour[Any]] = None,
) -> EffectiveConfig:
    """The effective configuration of one layer.

    `rules` is "documented", as the vendor's page says, or "toolkit": there, a layer with a block of its own that
    leaves `asymmetric` out skips the block of its type and takes `common_config`'s. `flavour` replaces the one of the
    configuration.

    >>> from amctcfg import AMCTConfig
    >>> merge(AMCTConfig(skip_layers=["conv1"]), Layer("conv1", "Conv2D")).origins["quant_enable"].tier
    'skip_layers'
    """
    if not isinstance(layer, Layer):
        raise TypeError("merge takes a Layer, such as Layer('conv1', 'Conv2D'), not {!r}".format(layer))
    return Resolver(config, rules, flavour).merge(layer)


def flavour_of(config: Any, flavour: Optional[Flavour[Any]]) -> Flavour[Any]:
    """The flavour that a configuration is in: the one given, the document's, or the one that its class is of."""
    if isinstance(config, Document):
        root = type(config.config)
        flavour = flavour or config.flavour
    else:
        root = type(config)
    if flavour is None:
        from ..flavours import FLAVOURS

        flavour = next((known for known in FLAVOURS.values() if known.config is root), None)
    if flavour is None or root is not flavour.config:
        wanted = "an AMCTConfig or a Document" + (" of flavour {}".format(flavour.name) if flavour else "")
        raise TypeError("{} is needed, not {}".format(wanted, type(config).__name__))
    return flavour


class Resolver:
    """`merge` for many layers of one configuration: its entries are looked up, not searched."""

    def __init__(
        self, config: Union[Message, Document[Any]], rules: str = DOCUMENTED, flavour: Optional[Flavour[Any]] = None
    ) -> None:
        if rules not in (DOCUMENTED, TOOLKIT):
            raise ValueError("rules is {!r}; it has to be 'documented' or 'toolkit'".format(rules))
        self.flavour: Flavour[Any] = flavour_of(config, flavour)
        self.document: Optional[Document[Any]] = config if isinstance(config, Document) else None
        root: Any = config.config if isinstance(config, Document) else config
        self.config: Any = root
        self.rules: str = rules
        self.block_class: Any = root.__schema__.fields[COMMON].kind
        self.members: Members = members_of(self.block_class)
        self.skipped_names: Dict[str, int] = indices(root.skip_layers)
        self.skipped_types: Dict[str, int] = indices(root.skip_layer_types)
        self.unfused_names: Dict[str, int] = indices(root.skip_fusion_layers)
        # Where the block of a layer (by its index: there may be many), of a type and of the rest is.
        entries = enumerate(root.override_layer_configs)
        self.names: Dict[str, int] = {
            entry.layer_name: index for index, entry in entries if has_name(entry, "layer_name")
        }
        self.types: Dict[str, Tier] = {
            entry.layer_type: Tier(OF_TYPE, entry.calibration_config, (OF_TYPE, index, "calibration_config"))
            for index, entry in enumerate(root.override_layer_types)
            if has_name(entry, "layer_type")
        }
        common = root.common_config
        self.common: Optional[Tier] = None if common is None else Tier(COMMON, common, (COMMON,))
        self.stand_ins()
        self.cached: Dict[Any, Any] = {}  # the block of layers by what decides it: many have the same

    def own(self, name: str) -> Optional[Tier]:
        """The block of a layer for itself."""
        index = self.names.get(name)
        if index is None:
            return None
        block = self.config.override_layer_configs[index].calibration_config
        return Tier(OF_LAYER, block, (OF_LAYER, index, "calibration_config"))

    def stand_ins(self) -> None:
        """Deprecated fields count where the configuration has neither common_config nor overrides of types."""
        if self.common is not None or self.config.override_layer_types:
            return
        for field, types in self.flavour.stand_ins:
            block = getattr(self.config, field)
            if block is not None and types:
                self.types.update({layer_type: Tier(OF_TYPE, block, (field,)) for layer_type in types})
            elif block is not None:
                self.common = Tier(COMMON, block, (field,))

    def by_rules(self, rules: str) -> Resolver:
        """The same configuration under other rules."""
        return self if rules == self.rules else self.altered(rules=rules)

    def without_type(self, layer_type: str) -> Resolver:
        """The same configuration without the override of a type."""
        return self.altered(types={name: tier for name, tier in self.types.items() if name != layer_type})

    def altered(self, **attributes: Any) -> Resolver:
        other = copy.copy(self)
        other.cached = {}
        other.__dict__.update(attributes)
        return other

    def merge(self, layer: Layer) -> EffectiveConfig:
        skipped = layer.name in self.skipped_names or layer.type in self.skipped_types
        # Attributes one by one need no dict (from Python 3.11 on): many layers are a burden to the garbage collector.
        effective: EffectiveConfig = object.__new__(EffectiveConfig)
        put = object.__setattr__
        put(effective, "layer", layer)
        put(effective, "quant_enable", not skipped and self.flavour.quantizes(layer))
        put(effective, "fuse", layer.name not in self.unfused_names and self.config.do_fusion is not False)
        put(effective, "calibration_config", self.calibration(layer))
        put(effective, "_merger", self)
        return effective

    def calibration(self, layer: Layer) -> Any:
        """The block of a layer, every field set."""
        index = self.names.get(layer.name)
        own = None if index is None else id(self.config.override_layer_configs[index].calibration_config)
        key = own, layer.type, layer.lacks
        if key not in self.cached:
            self.cached[key] = self.block_of(layer, self.tiers(layer))
        return self.cached[key]

    def block_of(self, layer: Layer, tiers: List[Tier]) -> Any:
        """What `decide` decides, as a block; its values are those of messages that were checked."""
        values: Dict[str, Any] = dict(self.block_class.__schema__.blank)
        blocks = [tier.block for tier in tiers]
        for field in self.members.scalars:
            values[field.name] = self.decide_field(field, (), blocks, layer, tiers).value
        for chosen, parts in self.chosen_parts(layer, tiers):
            kind = self.block_class.__schema__.fields[chosen].kind
            found = dict(kind.__schema__.blank if not parts or parts[0] is None else parts[0].__dict__)
            for name, field in kind.__schema__.fields.items():
                if found[name] is None:
                    found[name] = self.decide_field(field, (chosen,), parts, layer, tiers).value
                elif field.demands:  # else the layer gets what its highest block says
                    found[name] = self.softened(field, found[name], layer, tiers)
            values[chosen] = trusted(kind, found)
        return trusted(self.block_class, values)

    # ------------------------------------------------------------ the rules

    def quant_enable(self, layer: Layer) -> Origin:
        """No if its name is skipped, or its type, or it can't be quantized."""
        reasons: List[Origin] = []
        if layer.name in self.skipped_names:
            reasons.append(self.origin("skip_layers", False, ("skip_layers", self.skipped_names[layer.name])))
        if layer.type in self.skipped_types:
            reasons.append(self.origin("skip_layer_types", False, ("skip_layer_types", self.skipped_types[layer.type])))
        if not self.flavour.quantizes(layer):
            reasons.append(Origin("unsupported", False))
        return first(reasons, Origin(DEFAULT, True))

    def fuse(self, layer: Layer) -> Origin:
        """BN is fused unless the layer is named in `skip_fusion_layers`, or `do_fusion` is false."""
        settings: List[Origin] = []
        if layer.name in self.unfused_names:
            index = self.unfused_names[layer.name]
            settings.append(self.origin("skip_fusion_layers", False, ("skip_fusion_layers", index)))
        if self.config.do_fusion is not None:
            settings.append(self.origin("do_fusion", self.config.do_fusion, ("do_fusion",)))
        return first(settings, Origin(DEFAULT, True))

    def tiers(self, layer: Layer) -> List[Tier]:
        """The blocks that a layer could have, highest first: its own, its type's, the common one."""
        return self.tiers_of(layer.name, layer.type)

    def tiers_of(self, name: Optional[str], layer_type: Optional[str]) -> List[Tier]:
        """The same where the name or the type is not known."""
        found = (self.own(name or ""), self.types.get(layer_type or ""), self.common)
        if name is None:
            found = (None, *found[1:])
        if layer_type is None:
            found = (found[0], None, found[2])
        return [tier for tier in found if tier is not None]

    def decide(self, layer: Layer, tiers: List[Tier]) -> Decisions:
        """What each field of the block is that the layer gets, and which setting decided.

        The highest block counts as a whole: what it leaves out has its default. Only fields that cascade are looked for
        further down, in blocks with the same algorithm. What the layer can't have is softened.
        """
        return {
            name: self.decide_field(field, inside, parts, layer, tiers)
            for name, field, inside, parts in self.fields_of(layer, tiers)
        }

    def fields_of(self, layer: Layer, tiers: List[Tier]) -> Iterator[Tuple[str, Field, Tuple[str, ...], List[Any]]]:
        """The fields that a layer gets: dotted name, field, the name of the part that holds it, and the parts of the blocks."""
        for field in self.members.scalars:
            yield field.name, field, (), [tier.block for tier in tiers]
        for chosen, parts in self.chosen_parts(layer, tiers):
            for field in self.block_class.__schema__.fields[chosen].kind.__schema__.fields.values():
                yield chosen + "." + field.name, field, (chosen,), parts

    def chosen_parts(self, layer: Layer, tiers: List[Tier]) -> Iterator[Tuple[str, List[Any]]]:
        """The algorithm of each group that the layer gets, with what the blocks have of it."""
        top = tiers[0].block if tiers else None
        for names, default in self.members.groups:
            chosen = default
            for name in names if top is not None else ():
                if getattr(top, name) is not None:
                    chosen = name
                    break
            if chosen is not None and not self.is_dropped(chosen, layer, tiers):
                yield chosen, [getattr(tier.block, chosen, None) for tier in tiers]

    def is_dropped(self, part: str, layer: Layer, tiers: List[Tier]) -> bool:
        """Whether the layer can't have an algorithm that its block asks for."""
        demands = self.block_class.__schema__.fields[part].demands
        if not demands or not tiers or getattr(tiers[0].block, part) is None:
            return False
        return any(self.is_softened(demand, layer, tiers) for demand in demands)

    def decide_field(
        self, field: Field, inside: Tuple[str, ...], parts: List[Any], layer: Layer, tiers: List[Tier]
    ) -> Setting:
        """One field of the messages that the blocks hold `inside`, None for a block without one."""
        name = field.name
        if field.cascades is not None:
            winner = self.decide_cascade(field, inside, parts, tiers)
        else:
            value = getattr(parts[0], name, None) if parts else None
            if value is not None:
                winner = Setting(tiers[0].name, value, (*tiers[0].path, *inside, name))
            else:
                winner = Setting(DEFAULT, self.default(field, layer), None)
        value = self.softened(field, winner.value, layer, tiers)
        return winner if value is winner.value else Setting(BY_LAYER_TYPE, value, None)

    def softened(self, field: Field, value: Any, layer: Layer, tiers: List[Tier]) -> Any:
        """The value, or what the layer gets instead because it can't have it."""
        for demand in field.demands:
            if value in demand.values and self.is_softened(demand, layer, tiers):
                value = demand.instead
        return value

    def decide_cascade(self, field: Field, inside: Tuple[str, ...], parts: List[Any], tiers: List[Tier]) -> Setting:
        """The first block that sets it, else the global field of the cascade, else the default."""
        for tier, part in zip(tiers, parts):
            if self.rules == TOOLKIT and tier.name == OF_TYPE and tiers[0].name == OF_LAYER:
                continue
            value = getattr(part, field.name, None)
            if value is not None:
                return Setting(tier.name, value, (*tier.path, *inside, field.name))
        return next(self.overall(field), Setting(DEFAULT, field.default, None))

    def overall(self, field: Field) -> Iterator[Setting]:
        """The global field that decides where no block does, if it is set."""
        if field.cascades and getattr(self.config, field.cascades) is not None:
            yield Setting(field.cascades, getattr(self.config, field.cascades), (field.cascades,))

    def default(self, field: Field, layer: Optional[Layer]) -> Any:
        """What a field that the block leaves out is; None for one that an unknown type decides."""
        if field.default is not BY_TYPE:
            return field.default
        return None if layer is None else self.flavour.can(layer, field.demands[0].ability)

    def can(self, layer: Layer, demand: Demand, tier: Tier) -> bool:
        """Whether a layer can have what a block asks for."""
        ability = demand.ability
        if demand.unless and getattr(tier.block, demand.unless[0]):
            ability = demand.unless[1]
        return self.flavour.can(layer, ability)

    def is_softened(self, demand: Demand, layer: Layer, tiers: List[Tier]) -> bool:
        """Whether a layer gets something else than what its highest block demands."""
        if demand.instead is KEEP or layer.type not in self.flavour.types:
            return False
        if self.flavour.can(layer, demand.ability):
            return False
        if demand.ability == ASYMMETRIC or not tiers:
            return True
        tier = tiers[0]
        if tier.name != OF_TYPE or demand.by_type == SOFTEN:
            return True
        # The toolkit writes what a type asks for also where a layer of it can't have it, unless common_config asks, too.
        type_can = self.flavour.types[layer.type].has(demand.ability)
        return not type_can or (tiers[-1].name == COMMON and demand in demanded(tiers[-1].block))

    # ------------------------------------------------------------ where values come from

    def names_of(self, layer: Layer) -> List[str]:
        """The names of all that a layer gets."""
        return [*SWITCHES, *[name for name, _, _, _ in self.fields_of(layer, self.tiers(layer))]]

    def origin_of(self, layer: Layer, wanted: str) -> Origin:
        """The origin of a field of a layer, by dotted name. Raises `KeyError` for one that the layer does not get."""
        if wanted in SWITCHES:
            return self.quant_enable(layer) if wanted == "quant_enable" else self.fuse(layer)
        tiers = self.tiers(layer)
        for name, field, inside, parts in self.fields_of(layer, tiers):
            if name == wanted:
                winner = self.decide_field(field, inside, parts, layer, tiers)
                losers = [self.origin(*setting) for setting in self.settings(name, tiers) if setting != winner]
                return self.origin(*winner)._replace(shadowed=tuple(losers))
        raise KeyError(wanted)

    def settings(self, name: str, tiers: List[Tier]) -> Iterator[Setting]:
        """What sets a field of the block, by dotted name: highest first, whether it counts or not."""
        field: Any = self.block_class.__schema__.fields[name.partition(".")[0]]
        steps = name.split(".")
        if len(steps) > 1:
            field = field.kind.__schema__.fields[steps[1]]
        for tier in tiers:
            value = tier.block
            for step in steps:
                value = getattr(value, step, None)
            if value is not None:
                yield Setting(tier.name, value, (*tier.path, *steps))
        yield from self.overall(field)

    def origin(self, tier: str, value: Any, path: Optional[Path]) -> Origin:
        return Origin(tier, value, path, self.document.span(path) if self.document and path else None)


def first(settings: List[Origin], default: Origin) -> Origin:
    """The first setting, which shadows the others, or the default."""
    return settings[0]._replace(shadowed=tuple(settings[1:])) if settings else default


def has_name(entry: Any, key: str) -> bool:
    """Whether an override could be read as far as that."""
    return entry is not None and getattr(entry, key) is not None


def indices(names: Tuple[str, ...]) -> Dict[str, int]:
    return {name: index for index, name in enumerate(names) if name is not None}
