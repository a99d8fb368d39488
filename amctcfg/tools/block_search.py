# SPDX-License-Identifier: Apache-2.0
"""The search for the shortest configuration: which block is the common one, and which types have one of their own."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from itertools import product
from operator import itemgetter
from typing import Any, FrozenSet, Iterator, Optional, Tuple

from ..diagnostics.diagnostic import ERROR, ConfigError, Diagnostic
from ..flavours.common import Configuration
from ..flavours.flavour import Flavour
from ..flavours.layer import Layer
from ..flavours.requirement import BY_TYPE, SOFTEN, cascade_of, list_requirements, requirements_of
from ..messages.field import Field
from ..messages.message import Message, construct
from ..messages.printing import list_lines
from ..resolve.effective import values_of
from ..resolve.json_reading import QuantConfig
from ..resolve.resolver import COMMON, OF_LAYER, OF_TYPE, Groups, Resolver, Tier, member_in

# A cost to be minimized is a number of lines; a block counts as more lines than any text has.
BLOCK = 1 << 32
IMPOSSIBLE = BLOCK << 32  # no configuration gives a layer this
JSON_ONLY = "the toolkit reads it from the JSON only; keep the JSON, or change this layer"

# What the fields that cascade are without a word of the block: (dotted name, value), of one or two ways to look for it.
Fallback = FrozenSet[Tuple[str, str, Any]]
Priced = Tuple[int, Optional[Message]]  # a type's block, or none, and what its layers cost with it


class BlockSearch:
    """The choice of a common block, under which each type decides for itself, by the cost of the layers that need their own."""

    def __init__(self, read: QuantConfig) -> None:
        self.read: QuantConfig = read
        self.flavour: Flavour = read.flavour
        self.supported: list[Layer] = list(filter(read.flavour.quantizes, read.known))
        self.block_class: type[Message] = read.block_class
        self.globals: dict[str, Any] = {
            key: read.messages.get(key, value)
            for key, value in read.globals.items()
            if key in read.config_fields and value != read.config_fields[key].default and value != []
        }
        self.blocks: dict[str, Message] = {name: entry.block for name, entry in read.layers.items()}
        self.wanted: dict[Layer, Counter[Message]] = {}
        for layer in self.supported:
            counts = self.wanted.setdefault(class_of(layer), Counter())
            if layer.name in self.blocks:
                counts[self.blocks[layer.name]] += 1
        self.types: dict[str, list[Layer]] = {}
        for layer_class in self.wanted:
            self.types.setdefault(layer_class.type, []).append(layer_class)
        self.resolver: Resolver = Resolver(self.flavour.config(**self.globals), "documented", self.flavour)
        # The fields that cascade, with the part that holds each.
        self.cascades: list[tuple[str, Field]] = [
            (part, field)
            for part, outer in self.block_class.__schema__.fields.items()
            for field in (outer.kind.__schema__.fields.values() if outer.is_message else ())
            if cascade_of(field) is not None
        ]
        # What is the same under many common blocks: only the values that cascade reach layers with a block of their own.
        self.costs: dict[tuple[Layer, Fallback], tuple[int, dict[Message, int]]] = {}
        self.entries: dict[tuple[str, tuple[Fallback, ...]], Priced] = {}

    # ------------------------------------------------------------ the configuration

    def find_best(self) -> Configuration:
        common: Message | None = None
        least = self.cost_of(None)
        bounds = LowerBounds(self)
        for wanted in {block: None for counts in self.wanted.values() for block in counts}:
            if not bounds.may_cost_less(wanted, least):
                continue
            for candidate in self.iter_common_variants(wanted):
                cost = self.cost_of(candidate)
                if cost < least:  # of the best the first, which is the plainest
                    common, least = candidate, cost
        if least >= IMPOSSIBLE:
            raise ConfigError(list(self.find_impossible()), self.read.text)
        chosen = {layer_type: self.choose_type_entry(layer_type, common)[1] for layer_type in self.types}
        types = [self.make_entry(OF_TYPE, name, own) for name, own in chosen.items() if own is not None]
        names = []
        own_block = lru_cache(maxsize=None)(self.find_own_block)
        for layer in self.supported:
            block = own_block(class_of(layer), self.blocks.get(layer.name), common, chosen[layer.type])
            if block is not None:
                names.append(self.make_entry(OF_LAYER, layer.name, block))
        skipped_types, skipped_layers = self.choose_skips()
        fields = dict(
            self.globals,
            **self.shorten_tensors(common),
            skip_layers=skipped_layers,
            skip_layer_types=skipped_types,
            common_config=common,
            override_layer_types=types,
            override_layer_configs=names,
        )
        return self.flavour.config(**fields)

    def shorten_tensors(self, common: Message | None) -> dict[str, list[Message]]:
        """Shorten the entries of tensor_quantize: what they are without a word is left out."""
        resolver = Resolver(self.flavour.config(**dict(self.globals, common_config=common)), "documented", self.flavour)
        members = [member for templates in self.read.layout.parts.values() for member in templates]
        return {
            key: [self.shorten_tensor(entry, members, resolver) for entry in entries]
            for key, entries in self.read.messages.items()
        }

    def shorten_tensor(self, entry: Message, members: list[str], resolver: Resolver) -> Message:
        """Shorten an entry; the first of its parts need not be there."""
        values = {name: getattr(entry, name) for name in entry.__schema__.fields}
        parts = [name for name in members if name in values]
        nothing = type(entry)(**dict(values, **dict.fromkeys(parts)))
        for part in parts:
            block = values[part]
            if block is not None:
                usual = resolver.resolve_tensor(nothing, part)
                said = {f: getattr(block, f) for f in block.__schema__.fields if getattr(block, f) != usual[f]}
                values[part] = type(block)(**said) if said or part != parts[0] else None
        return type(entry)(**values)

    def make_entry(self, field: str, name: str, block: Message) -> Message:
        entry: Message = self.read.config_fields[field].kind(name, block)
        return entry

    def find_own_block(
        self, layer_class: Layer, wanted: Message | None, common: Message | None, type_block: Message | None
    ) -> Message | None:
        if wanted is None or wanted == self.resolver.block_of(layer_class, self.make_tiers(common, type_block)):
            return None
        return self.shorten_block(wanted, layer_class, self.list_fallbacks(layer_class, common, type_block))

    def choose_skips(self) -> tuple[list[str], list[str]]:
        """Return the types to skip, where that is shorter, and the remaining layers."""
        enabled = {name for name, layer in self.read.layers.items() if layer.enabled}
        on = {layer.type for layer in self.supported if layer.name in enabled}
        counts = Counter(layer.type for layer in self.supported)
        off = [layer_type for layer_type, count in counts.items() if count > 1 and layer_type not in on]
        return off, [x.name for x in self.supported if x.type not in off and x.name not in enabled]

    def find_impossible(self) -> Iterator[Diagnostic]:
        for layer in self.supported:
            read = self.read.layers.get(layer.name)
            layer_class = class_of(layer)
            if read is None or self.shorten_block(read.block, layer_class, frozenset()) is not None:
                continue
            words = ", ".join("{}={}".format(k.rpartition(".")[2], v) for k, v in values_of(read.block).items())
            message = "{}: no configuration can give a layer of type {} this: {}".format(layer.name, layer.type, words)
            span = self.read.origins_of(layer)["quant_enable"].span
            yield Diagnostic(ERROR, "algorithm-unsupported", message, span, (layer.name,), JSON_ONLY, self.read.name)

    # ------------------------------------------------------------ candidates for the common block

    def iter_common_variants(self, block: Message) -> Iterator[Message]:
        """Iterate over ways to write a block as common_config."""
        parts: list[list[tuple[str, Any]]] = []
        for names, default in self.resolver.groups:
            name = member_in(block, names)
            if name is not None:
                parts.append([(name, part) for part in self.iter_part_variants(getattr(block, name), name == default)])
            elif default is not None:  # dropped on this layer: what other layers have, or the algorithm's defaults
                others = [n for n in names if n != default]
                parts.append([(n, self.block_class.__schema__.fields[n].kind()) for n in others])
        for chosen in product(*parts):
            yield construct(self.block_class, dict(self.block_class.__schema__.blank, **dict(chosen)))

    def iter_part_variants(self, part: Message, is_default: bool) -> Iterator[Message | None]:
        options: list[list[tuple[str, Any]]] = []
        for field in part.__schema__.fields.values():
            value = getattr(part, field.name)
            if field.default == BY_TYPE:
                options.append([(field.name, v) for v in (None, False)])  # true where it can be, if nothing is said
            elif cascade_of(field) is not None:
                options.append([(field.name, v) for v in (None, not self.overall_of(field))])
            else:
                options.append([(field.name, None if value == field.default else value)])
        for chosen in product(*options):
            is_needed = not is_default or any(value is not None for _, value in chosen)
            yield construct(type(part), dict(chosen)) if is_needed else None

    def overall_of(self, field: Field) -> Any:
        """Return what a field that cascades is where no block sets it."""
        return self.globals.get(cascade_of(field) or "", field.default)

    # ------------------------------------------------------------ costs

    def cost_of(self, common: Message | None) -> int:
        own = 0 if common is None else BLOCK + self.count_lines(common)
        return own + sum(self.choose_type_entry(layer_type, common)[0] for layer_type in self.types)

    def choose_type_entry(self, layer_type: str, common: Message | None) -> Priced:
        """Return what the layers of a type cost under a common block, and the block of the type that pays, if any."""
        cascading = tuple(self.list_fallbacks(layer_class, common, None) for layer_class in self.types[layer_type])
        key = layer_type, cascading
        if key not in self.entries:
            self.entries[key] = self.find_type_entry(layer_type, common, cascading)
        return min((self.cost_of_type(layer_type, common, None), None), self.entries[key], key=itemgetter(0))

    def find_type_entry(self, layer_type: str, common: Message | None, cascading: tuple[Fallback, ...]) -> Priced:
        # What two classes want alike may be written in two ways: one of them has less to say.
        tried = [
            self.shorten_block(wanted, layer_class, fallbacks)
            for layer_class, fallbacks in zip(self.types[layer_type], cascading)
            for wanted in self.wanted[layer_class]
        ]
        priced = [
            (self.cost_of_type(layer_type, common, block), block)
            for block in dict.fromkeys(tried)
            if block is not None and self.is_allowed_for_type(layer_type, block)
        ]
        return min(priced, key=itemgetter(0), default=(2 * IMPOSSIBLE, None))

    def cost_of_type(self, layer_type: str, common: Message | None, own: Message | None) -> int:
        """Return what the layers of a type cost under a common block, with a block of the type or without one."""
        cost = 0 if own is None else BLOCK + 3 + self.count_lines(own)
        tiers = self.make_tiers(common, own)
        for layer_class in self.types[layer_type]:
            fallbacks = self.list_fallbacks(layer_class, common, own)
            cost += self.cost_of_class(layer_class, self.resolver.block_of(layer_class, tiers), fallbacks)
        return cost

    def cost_of_class(self, layer_class: Layer, outcome: Message, fallbacks: Fallback) -> int:
        """Return what the layers of a class cost that need a block of their own, as they don't want this one."""
        key = layer_class, fallbacks
        if key not in self.costs:
            counts = self.wanted[layer_class]
            costs = {b: count * self.cost_of_own(b, layer_class, fallbacks) for b, count in counts.items()}
            self.costs[key] = sum(costs.values()), costs
        total, costs = self.costs[key]
        return total - costs.get(outcome, 0)

    def cost_of_own(self, block: Message, layer_class: Layer, fallbacks: Fallback) -> int:
        written = self.shorten_block(block, layer_class, fallbacks)
        return IMPOSSIBLE if written is None else BLOCK + 3 + self.count_lines(written)

    def count_lines(self, block: Message) -> int:
        return 2 + len(list_lines(block))

    # ------------------------------------------------------------ what blocks give

    def make_tiers(self, common: Message | None, type_block: Message | None) -> list[Tier]:
        tiers = [] if type_block is None else [Tier(OF_TYPE, type_block, ())]
        return tiers + ([] if common is None else [Tier(COMMON, common, ())])

    def list_fallbacks(self, layer_class: Layer, common: Message | None, type_block: Message | None) -> Fallback:
        """Return what the fields that cascade may be for a layer whose own block leaves them out."""
        found = set()
        for part, field in self.cascades:
            below = [value_in(common, part, field.name), self.overall_of(field)]
            requirements = requirements_of(field)
            possible = not requirements or self.flavour.can(layer_class, requirements[0].ability)
            for blocks in ([value_in(type_block, part, field.name), *below], below):
                value = next(v for v in blocks if v is not None)
                found.add((part, field.name, value and possible))
        return frozenset(found)

    def is_allowed_for_type(self, layer_type: str, block: Message) -> bool:
        described, layers = self.flavour.types[layer_type], self.types[layer_type]
        return all(
            described.has(requirement.of_type or requirement.ability)
            and all(self.flavour.can(layer, requirement.ability) for layer in layers)
            for requirement in list_requirements(block)
            if requirement.by_type != SOFTEN
        )

    def shorten_block(self, wanted: Message, layer: Layer, fallbacks: Fallback) -> Message | None:
        """Return the shortest block of its own that gives a layer what is wanted; None where none does."""
        parts: dict[str, Any] = {}
        for names, default in self.resolver.groups:
            name = member_in(wanted, names)
            if name is None:
                if default is not None:
                    return None  # only a requirement of common_config drops a part
                continue
            part, fields = getattr(wanted, name), {}
            for field in part.__schema__.fields.values():
                value = getattr(part, field.name)
                if cascade_of(field) is not None:
                    usual = {v for where, key, v in fallbacks if where == name and key == field.name}
                    leave_out = usual == {value}
                else:
                    leave_out = value == self.resolver.default_of(field, layer)
                if not leave_out:
                    fields[field.name] = value
            if fields or name != default:
                parts[name] = construct(type(part), dict(part.__schema__.blank, **fields))
        block = construct(self.block_class, dict(self.block_class.__schema__.blank, **parts))
        possible = all(self.flavour.can(layer, requirement.ability) for requirement in list_requirements(block))
        return block if possible else None


class LowerBounds:
    """Lower bounds of what common blocks cost: most of them need not be tried then.

    A common block gives the layers of a class what one of the wanted blocks with the same core holds, or nothing that is
    wanted. A block of a type saves as much as the most frequent one at best.
    """

    def __init__(self, search: BlockSearch) -> None:
        self.search: BlockSearch = search
        # The groups that no layer does without, and the fields that are the same for all layers that have a block.
        fields = search.block_class.__schema__.fields
        self.groups: Groups = tuple(
            group for group in search.resolver.groups if not any(requirements_of(fields[name]) for name in group[0])
        )
        self.plain: set[str] = {
            "{}.{}".format(name, field.name)
            for names, _ in self.groups
            for name in names
            for field in fields[name].kind.__schema__.fields.values()
            if cascade_of(field) is None and field.default != BY_TYPE and not requirements_of(field)
        }
        self.alone: dict[Layer, int] = {}  # where each layer has a block of its own
        # By a block for all layers of a class, by its core; by any block for None.
        self.saved: dict[Layer, dict[Any, int]] = {}
        for layer_class, counts in search.wanted.items():
            self.alone[layer_class], self.saved[layer_class] = 0, {None: 0}
            saved = self.saved[layer_class]
            for block, count in counts.items():
                least = frozenset((part, f.name, value_in(block, part, f.name)) for part, f in search.cascades)
                cost, core = count * search.cost_of_own(block, layer_class, least), self.find_core(block)
                self.alone[layer_class] += cost
                saved[core], saved[None] = max(saved.get(core, 0), cost), max(saved[None], cost)

    def may_cost_less(self, block: Message, than: int) -> bool:
        """Return whether any variant of a block may be a better common block than one of this cost."""
        # The first variant, which leaves out all switches, is the shortest.
        core = self.find_core(block)
        least = BLOCK + self.search.count_lines(next(self.search.iter_common_variants(block)))
        for classes in self.search.types.values():
            alone = sum(map(self.alone.__getitem__, classes))
            by_common = sum(self.saved[layer_class].get(core, 0) for layer_class in classes)
            by_type = sum(self.saved[layer_class][None] for layer_class in classes) - BLOCK - 5
            least += alone - max(by_common, by_type)
        return least < than

    def find_core(self, block: Message) -> tuple[Any, ...] | None:
        """Return what all layers get of a block that is the common one in any variant; None where that is not sure."""
        if any(default is not None and member_in(block, names) is None for names, default in self.groups):
            return None
        return tuple(item for item in values_of(block).items() if item[0] in self.plain)


def class_of(layer: Layer) -> Layer:
    """Return the nameless layer that stands for all that resolve alike."""
    return Layer("", layer.type, True, layer.lacks)


def value_in(block: Message | None, member: str, field: str) -> Any:
    return getattr(getattr(block, member, None), field, None)
