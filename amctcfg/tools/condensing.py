# SPDX-License-Identifier: Apache-2.0
"""From the toolkit's JSON quantization config, edited by hand, back to the shortest simplified configuration."""

from __future__ import annotations

import dataclasses
from collections import Counter
from functools import partial
from itertools import product
from typing import (
    TYPE_CHECKING,
    Any,
    Dict,
    FrozenSet,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Tuple,
    Union,
)

from ..checks.expanding import expand
from ..diagnostics.diagnostic import ERROR, ConfigError, Diagnostic
from ..flavours.flavour import Flavour
from ..flavours.layer import Layer
from ..flavours.requirement import BY_TYPE, SOFTEN, cascade_of, requirements_in, requirements_of
from ..flavours.requirement import ERROR as IS_ERROR
from ..flavours.tf_ascend import TF_ASCEND
from ..messages.field import Field
from ..messages.kinds import FLOAT
from ..messages.message import construct
from ..messages.printing import print_message
from ..messages.sharing import by_identity
from ..resolve.effective import values_of
from ..resolve.json_reading import QuantConfig
from ..resolve.resolver import COMMON, OF_LAYER, OF_TYPE, Members, Resolver, Tier, members_of

if TYPE_CHECKING:
    from ..messages.sharing import IdentityCache


class Kind(NamedTuple):
    """What the effective block of a layer depends on beside the configuration: its type, and what it lacks."""

    type: str
    lacks: Tuple[str, ...]


class Cost(NamedTuple):
    """What is to be as small as possible: first the blocks, then the lines of the text."""

    blocks: int
    lines: int

    def plus(self, blocks: int, lines: int) -> Cost:
        return Cost(self.blocks + blocks, self.lines + lines)

    def minus(self, other: Cost) -> Cost:
        return Cost(self.blocks - other.blocks, self.lines - other.lines)


IMPOSSIBLE = 10**9  # blocks and lines: no configuration gives a layer this

# What the fields that cascade are without a word of the block: (dotted name, value), of one or two ways to look for it.
Fallback = FrozenSet[Tuple[str, str, Any]]


def condense(
    quant_config: Union[str, bytes, Mapping[str, Any]],
    layers: Iterable[Layer],
    name: str = "<json>",
    flavour: Flavour[Any] = TF_ASCEND,
) -> Any:
    """The configuration with the fewest blocks, and among these with the fewest lines, that expands to a JSON quantization
    config on a model.

    Takes the JSON as text or as a mapping, as the toolkit reads it: a layer that is left out or has no true `quant_enable`
    is not quantized, a key that is left out has its default. The result holds under both sets of rules. Raises
    `ConfigError` with all that no configuration can express, by layer and key.

    >>> from amctcfg import AMCTConfig
    >>> layers = [Layer("a", "Conv2D"), Layer("b", "Conv2D")]
    >>> condense(expand(AMCTConfig(skip_layers=["a"]), layers).to_json(), layers).skip_layers
    ('a',)
    """
    layers = tuple(layers)
    read = QuantConfig(quant_config, layers, name, flavour)
    errors = read.errors + ([] if read.errors else inexact(read))
    if errors:
        raise ConfigError(errors, read.text)
    search = Search(read, [layer for layer in layers if flavour.quantizes(layer)])
    config = search.best()
    check(config, read, layers)
    return config


def inexact(read: QuantConfig) -> List[Diagnostic]:
    """Numbers that are not 32-bit floats, which no configuration holds."""
    found = []
    for name, layer in read.layers.items():
        for field, value in values_of(layer.block).items():
            if isinstance(value, float) and FLOAT.validate(field, value) != value:
                origin = layer.origins[field]
                message = "{}: {} is not a 32-bit float".format(" > ".join(map(str, origin.path or (name,))), value)
                hint = "write {}".format(FLOAT.validate(field, value))
                error = Diagnostic(
                    ERROR, "out-of-range", message, span=origin.span, path=origin.path, hint=hint, name=read.name
                )
                found.append(error)
    return found


def check(config: Any, read: QuantConfig, layers: Tuple[Layer, ...]) -> None:
    """Expand what was found once more, and compare."""
    whole = dataclasses.replace(config, **read.messages)
    for rules in ("documented", "toolkit"):
        plan = expand(config, layers, rules, read.flavour)
        if read.messages and plan.to_dict() != expand(whole, layers, rules, read.flavour).to_dict():
            raise AssertionError("condensing got tensors wrong; please report this")
        for key, value in plan.global_values.items():
            wanted_value = read.globals.get(key, value)
            if key not in read.messages and as_list(wanted_value) != as_list(value):
                raise AssertionError("condensing got '{}' wrong; please report this".format(key))
        for name, effective in plan.items():
            wanted = read.layers.get(name)
            enabled = wanted is not None and wanted.enabled
            if effective.quant_enable is not enabled or (wanted and wanted.block != effective.calibration_config):
                raise AssertionError("condensing got '{}' wrong; please report this".format(name))


def as_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


class Search:
    """The choice of a common block and of blocks of types, by the cost of the layers that then need their own.

    With a given common block each type decides for itself. What a type costs depends on the common block only by what
    it gives the layers of the type, and by the values that cascade: so both are worked out once for each of those.
    """

    def __init__(self, read: QuantConfig, supported: List[Layer]) -> None:
        self.read: QuantConfig = read
        self.flavour: Flavour[Any] = read.flavour
        self.supported: List[Layer] = supported
        self.block_class: Any = read.block_class
        self.members: Members = members_of(self.block_class)
        self.globals: Dict[str, Any] = {
            key: read.messages.get(key, value)
            for key, value in read.globals.items()
            if key in read.config_fields and value != read.config_fields[key].default and value != []
        }
        self.base: Any = self.flavour.config(**self.globals)
        same: Dict[Any, Any] = {}  # one object for equal blocks
        self.blocks: Dict[str, Any] = {name: same.setdefault(x.block, x.block) for name, x in read.layers.items()}
        self.wanted: Dict[Kind, Counter[Any]] = {}
        self.sizes: Counter[Kind] = Counter(map(kind_of, supported))
        for layer in supported:
            counts = self.wanted.setdefault(kind_of(layer), Counter())
            if layer.name in self.blocks:
                counts[self.blocks[layer.name]] += 1
        self.types: Dict[str, List[Kind]] = {}
        for kind in self.wanted:
            self.types.setdefault(kind.type, []).append(kind)
        self.layer_of: Dict[Kind, Layer] = {kind: Layer("", kind.type, True, kind.lacks) for kind in self.wanted}
        self.merger: Resolver = Resolver(self.base, "documented", self.flavour)
        # The fields that cascade, with the part that holds each.
        self.cascades: List[Tuple[str, Field]] = [
            (part, field)
            for part, outer in self.block_class.__schema__.fields.items()
            for field in (outer.kind.__schema__.fields.values() if outer.is_message else ())
            if cascade_of(field) is not None
        ]
        self.lines_of: Dict[Any, int] = {}
        self.sums: Dict[Any, Cost] = {}
        self.type_choices: Dict[Any, Any] = {}

    # ------------------------------------------------------------ the configuration

    def best(self) -> Any:
        common, least = None, self.cost(None)
        bounds = Bounds(self)
        for block in {block: None for counts in self.wanted.values() for block in counts}:
            if not bounds.may_cost_less(block, least):
                continue
            for candidate in self.variants(block):
                cost = self.cost(candidate)
                if cost < least:  # of the best the first, which is the plainest
                    common, least = candidate, cost
        if least.blocks >= IMPOSSIBLE:
            raise ConfigError(list(self.impossible(common)), self.read.text)
        types, names = [], []
        chosen = {}
        for layer_type in self.types:
            block = self.type_choice(layer_type, common)[1]
            chosen[layer_type] = block
            if block is not None:
                types.append(self.entry(OF_TYPE, layer_type, block))
        own_blocks: IdentityCache[Any] = {}
        for layer in self.supported:
            make = partial(self.own_block, layer, common, chosen[layer.type])
            block = by_identity(own_blocks, self.blocks.get(layer.name), make, kind_of(layer))
            if block is not None:
                names.append(self.entry(OF_LAYER, layer.name, block))
        skipped_types, skipped_layers = self.skips()
        fields = dict(
            self.globals,
            **self.tensors(common),
            skip_layers=skipped_layers,
            skip_layer_types=skipped_types,
            common_config=common,
            override_layer_types=types,
            override_layer_configs=names,
        )
        return self.flavour.config(**fields)

    def tensors(self, common: Any) -> Dict[str, List[Any]]:
        """Shorten the entries of tensor_quantize: what they are without a word is left out."""
        merger = Resolver(self.flavour.config(**dict(self.globals, common_config=common)), "documented", self.flavour)
        layout = self.flavour.layout
        members = [member for templates in layout.parts.values() for member in templates] if layout else []
        found = {}
        for key, entries in self.read.messages.items():
            cls = self.read.config_fields[key].kind
            parts = [name for name in members if name in cls.__schema__.fields]
            found[key] = [self.tensor(entry, parts, merger) for entry in entries]
        return found

    def tensor(self, entry: Any, parts: List[str], merger: Resolver) -> Any:
        """Shorten an entry; the first of its parts need not be there."""
        values = {name: getattr(entry, name) for name in entry.__schema__.fields}
        nothing = type(entry)(**dict(values, **dict.fromkeys(parts)))
        for part in parts:
            block = values[part]
            if block is not None:
                usual = merger.tensor_values(nothing, part)
                said = {f: getattr(block, f) for f in block.__schema__.fields if getattr(block, f) != usual[f]}
                values[part] = type(block)(**said) if said or part != parts[0] else None
        return type(entry)(**values)

    def entry(self, field: str, name: str, block: Any) -> Any:
        return self.read.config_fields[field].kind(name, block)

    def own_block(self, layer: Layer, common: Any, type_block: Any) -> Any:
        """The block that a layer needs for itself, None if it needs none."""
        kind = kind_of(layer)
        tiers = self.tiers(kind, common, type_block)
        forced = type_block is None and self.is_forbidden(kind, common)
        wanted = self.blocks.get(layer.name)
        if wanted is None:  # nothing is wanted of it, but common_config would be an error on it
            return self.block_class() if forced else None
        if not forced and wanted == self.outcome(kind, tiers):
            return None
        return self.written(wanted, kind, self.fallbacks(kind, common, type_block))

    def skips(self) -> Tuple[List[str], List[str]]:
        """Types none of whose layers are quantized, where that is shorter; then the remaining layers."""
        enabled = {name for name, layer in self.read.layers.items() if layer.enabled}
        by_type: Dict[str, List[str]] = {}
        for layer in self.supported:
            by_type.setdefault(layer.type, []).append(layer.name)
        off = [t for t, names in by_type.items() if len(names) > 1 and not enabled.intersection(names)]
        return off, [x.name for x in self.supported if x.type not in off and x.name not in enabled]

    def impossible(self, common: Any) -> Iterator[Diagnostic]:
        for layer in self.supported:
            read = self.read.layers.get(layer.name)
            kind = kind_of(layer)
            if read is None or self.written(read.block, kind, frozenset()) is not None:
                continue
            words = ", ".join("{}={}".format(k.rpartition(".")[2], v) for k, v in values_of(read.block).items())
            message = "{}: no configuration can give a layer of type {} this: {}".format(layer.name, layer.type, words)
            yield Diagnostic(
                ERROR,
                "algorithm-unsupported",
                message,
                span=read.origins["quant_enable"].span,
                path=(layer.name,),
                hint="the toolkit reads it from the JSON only; keep the JSON, or change this layer",
                name=self.read.name,
            )

    # ------------------------------------------------------------ candidates for the common block

    def variants(self, block: Any) -> Iterator[Any]:
        """The block as common_config: switches that the type decides left out, true or false; the rest as short as can be."""
        parts: List[List[Tuple[str, Any]]] = []
        for names, default in self.members.groups:
            name = next((n for n in names if getattr(block, n) is not None), None)
            if name is not None:
                parts.append([(name, part) for part in self.part_variants(name, getattr(block, name), name == default)])
            elif default is not None:  # dropped on this layer: what other layers have, or the algorithm's defaults
                others = [n for n in names if n != default]
                parts.append([(n, self.block_class.__schema__.fields[n].kind()) for n in others])
        for chosen in product(*parts):
            yield self.block_class(**{name: part for name, part in chosen if part is not None})

    def part_variants(self, name: str, part: Any, is_default: bool) -> Iterator[Any]:
        options: List[List[Tuple[str, Any]]] = []
        for field in part.__schema__.fields.values():
            value = getattr(part, field.name)
            if field.default is BY_TYPE:
                options.append([(field.name, v) for v in (None, True, False)])
            elif cascade_of(field) is not None:
                options.append([(field.name, v) for v in (None, not self.overall(field))])
            else:
                options.append([(field.name, None if value == field.default else value)])
        for chosen in product(*options):
            fields = {key: value for key, value in chosen if value is not None}
            yield None if is_default and not fields else type(part)(**fields)

    def overall(self, field: Field) -> Any:
        """What a field that cascades is where no block sets it."""
        return self.globals.get(cascade_of(field) or "", field.default)

    # ------------------------------------------------------------ costs

    def cost(self, common: Any) -> Cost:
        cost = Cost(0, 0) if common is None else Cost(1, self.lines(common))
        for layer_type in self.types:
            cost = cost.plus(*self.type_choice(layer_type, common)[0])
        return cost

    def type_choice(self, layer_type: str, common: Any) -> Tuple[Cost, Any]:
        """What the layers of a type cost under a common block, and the block of the type that pays, if any."""
        kinds = self.types[layer_type]
        state = tuple(
            (self.outcome(kind, self.tiers(kind, common, None)), self.is_forbidden(kind, common)) for kind in kinds
        )
        cascading = [self.fallbacks(kind, common, None) for kind in kinds]
        key = layer_type, state, tuple(cascading)
        if key not in self.type_choices:
            without = Cost(0, 0)
            for kind, (outcome, forbidden), fallbacks in zip(kinds, state, cascading):
                without = without.plus(*self.kind_cost(kind, outcome, forbidden, fallbacks))
            entry = self.type_entry(layer_type, common, cascading)
            self.type_choices[key] = min((without, None), entry, key=lambda pair: pair[0])
        found: Tuple[Cost, Any] = self.type_choices[key]
        return found

    def type_entry(self, layer_type: str, common: Any, cascading: List[Fallback]) -> Tuple[Cost, Any]:
        """The cheapest block of a type."""
        key = layer_type, tuple(cascading)
        if key not in self.type_choices:
            kinds = self.types[layer_type]
            best: Tuple[Cost, Any] = (Cost(2 * IMPOSSIBLE, 0), None)
            # What two kinds want alike may be written in two ways: one of them has less to say.
            tried = [
                self.written(w, kind, fallbacks) for kind, fallbacks in zip(kinds, cascading) for w in self.wanted[kind]
            ]
            for block in dict.fromkeys(tried or [self.block_class()]):
                if block is not None and self.is_allowed_for_type(layer_type, block):
                    best = min(best, (self.entry_cost(kinds, common, block), block), key=lambda pair: pair[0])
            self.type_choices[key] = best
        found: Tuple[Cost, Any] = self.type_choices[key]
        return found

    def entry_cost(self, kinds: List[Kind], common: Any, block: Any) -> Cost:
        cost = Cost(1, 3 + self.lines(block))
        for kind in kinds:
            outcome = self.outcome(kind, self.tiers(kind, common, block))
            cost = cost.plus(*self.kind_cost(kind, outcome, False, self.fallbacks(kind, common, block)))
        return cost

    def kind_cost(self, kind: Kind, outcome: Any, forbidden: bool, fallbacks: Fallback) -> Cost:
        """What the layers of a kind cost that need a block of their own."""
        counts = self.wanted[kind]
        key = kind, fallbacks
        if key not in self.sums:
            total = Cost(0, 0)
            for block, count in counts.items():
                one = self.own_cost(block, kind, fallbacks)
                total = total.plus(count * one.blocks, count * one.lines)
            self.sums[key] = total
        cost = self.sums[key]
        if forbidden:
            free = self.sizes[kind] - sum(counts.values())
            return cost.plus(free, free * 5)
        count = counts.get(outcome, 0)
        if count:
            one = self.own_cost(outcome, kind, fallbacks)
            cost = cost.plus(-count * one.blocks, -count * one.lines)
        return cost

    def own_cost(self, block: Any, kind: Kind, fallbacks: Fallback) -> Cost:
        written = self.written(block, kind, fallbacks)
        return Cost(IMPOSSIBLE, 0) if written is None else Cost(1, 3 + self.lines(written))

    def lines(self, block: Any) -> int:
        """The lines of a block with its brackets."""
        if block not in self.lines_of:
            lines: List[str] = []
            print_message(block, "", lines)
            self.lines_of[block] = 2 + len(lines)
        return self.lines_of[block]

    # ------------------------------------------------------------ what blocks give

    def tiers(self, kind: Kind, common: Any, type_block: Any) -> List[Tier]:
        tiers = [] if type_block is None else [Tier(OF_TYPE, type_block, ())]
        return tiers + ([] if common is None else [Tier(COMMON, common, ())])

    def outcome(self, kind: Kind, tiers: List[Tier]) -> Any:
        """The effective block of a layer of a kind without an override of its own."""
        return self.merger.block_of(self.layer_of[kind], tiers)

    def fallbacks(self, kind: Kind, common: Any, type_block: Any) -> Fallback:
        """What the fields that cascade may be for a layer whose own block leaves them out, by both sets of rules."""
        found = set()
        for part, field in self.cascades:
            below = [value_in(common, part, field.name), self.overall(field)]
            requirements = requirements_of(field)
            possible = not requirements or self.flavour.can(self.layer_of[kind], requirements[0].ability)
            for blocks in ([value_in(type_block, part, field.name), *below], below):
                value = next(v for v in blocks if v is not None)
                found.add((part, field.name, value and possible))
        return frozenset(found)

    def is_forbidden(self, kind: Kind, common: Any) -> bool:
        """Whether a common block is an error on layers of a kind."""
        return common is not None and any(
            requirement.common == IS_ERROR and not self.flavour.can(self.layer_of[kind], requirement.ability)
            for requirement in requirements_in(common)
        )

    def is_allowed_for_type(self, layer_type: str, block: Any) -> bool:
        described = self.flavour.types[layer_type]
        for requirement in requirements_in(block):
            if requirement.by_type == SOFTEN:
                continue
            if not described.has(requirement.of_type or requirement.ability):
                return False
            if not all(self.flavour.can(self.layer_of[kind], requirement.ability) for kind in self.types[layer_type]):
                return False
        return True

    def written(self, wanted: Any, kind: Kind, fallbacks: Fallback) -> Any:
        """The shortest block of its own that gives a layer what is wanted; None where none does."""
        layer = self.layer_of[kind]
        parts: Dict[str, Any] = {}
        for names, default in self.members.groups:
            name = next((n for n in names if getattr(wanted, n) is not None), None)
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
                    leave_out = value == self.merger.default(field, layer)
                if not leave_out:
                    fields[field.name] = value
            if fields or name != default:
                parts[name] = construct(type(part), dict(part.__schema__.blank, **fields))
        for field in self.members.scalars:
            if getattr(wanted, field.name) != field.default:
                parts[field.name] = getattr(wanted, field.name)
        block = construct(self.block_class, dict(self.block_class.__schema__.blank, **parts))
        possible = all(self.flavour.can(layer, requirement.ability) for requirement in requirements_in(block))
        return block if possible else None


class Bounds:
    """What common blocks cost at least: most of them need not be tried then.

    Whatever its switches are, a common block gives the layers of a kind what one of the wanted blocks with the same core
    holds, or nothing that is wanted. A block of a type saves as much as the most frequent one at best.
    """

    def __init__(self, search: Search) -> None:
        self.search: Search = search
        self.alone: Dict[Kind, Cost] = {}  # where each layer has a block of its own
        self.saved: Dict[
            Kind, Dict[Any, Cost]
        ] = {}  # by a block for all layers of a kind, by its core; by any for None
        for kind, counts in search.wanted.items():
            alone = Cost(0, 0)
            saved: Dict[Any, Cost] = {None: Cost(0, 0)}
            for block, count in counts.items():
                shortest = search.own_cost(block, kind, self.kindest(block)).lines
                cost, core = Cost(count, count * shortest), self.core(block)
                alone = alone.plus(*cost)
                saved[core], saved[None] = max(saved.get(core, cost), cost), max(saved[None], cost)
            self.alone[kind], self.saved[kind] = alone, saved

    def may_cost_less(self, block: Any, than: Cost) -> bool:
        """Whether any variant of a block may be a better common block than one of this cost."""
        core, least = self.core(block), Cost(1, 0)
        for kinds in self.search.types.values():
            without, by_type = Cost(0, 0), Cost(1, 5)
            for kind in kinds:
                alone, saved = self.alone[kind], self.saved[kind]
                without = without.plus(*alone.minus(saved.get(core, Cost(0, 0))))
                by_type = by_type.plus(*alone.minus(saved[None]))
            least = least.plus(*min(without, by_type))
        # The first variant, which leaves out all switches, is the shortest.
        return least < than and least.plus(0, self.search.lines(next(self.search.variants(block)))) < than

    def kindest(self, block: Any) -> Fallback:
        """The values in which a block has to say the least."""
        return frozenset((part, f.name, value_in(block, part, f.name)) for part, f in self.search.cascades)

    def core(self, block: Any) -> Optional[Tuple[Any, ...]]:
        """What all layers get of a block that is the common one in any variant; None where that is not sure."""
        values: List[Any] = []
        for names, default in self.search.members.groups:
            if any(requirements_of(self.search.block_class.__schema__.fields[name]) for name in names):
                continue  # some layers do without
            name = next((n for n in names if getattr(block, n) is not None), None)
            if name is None and default is not None:
                return None
            values.append(name)
            part = None if name is None else getattr(block, name)
            if part is not None:
                values += [getattr(part, f.name) for f in part.__schema__.fields.values() if is_plain(f)]
        return tuple(values)


def is_plain(field: Field) -> bool:
    """Whether a field is the same for all layers that have a block."""
    return cascade_of(field) is None and field.default is not BY_TYPE and not requirements_of(field)


def kind_of(layer: Layer) -> Kind:
    return Kind(layer.type, layer.lacks)


def value_in(block: Any, member: str, field: str) -> Any:
    part = None if block is None else getattr(block, member)
    return None if part is None else getattr(part, field)
