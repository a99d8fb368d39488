# SPDX-License-Identifier: Apache-2.0
"""What the property tests draw from: configurations, layers and blocks of any flavour, by its description."""

import dataclasses
import itertools
from functools import lru_cache

from hypothesis import reject
from hypothesis import strategies as st

import amctcfg
from amctcfg.messages.field import Among, Interval
from amctcfg.messages.kinds import BOOL, FLOAT, STRING, Enum

FLAVOURS = list(amctcfg.FLAVOURS.values())
TF_ASCEND = amctcfg.TF_ASCEND

TYPES = sorted(TF_ASCEND.quantizable_types)
CHANNEL_WISE_TYPES = sorted(TF_ASCEND.channel_wise_types)
OTHER_TYPES = ["Relu", "Placeholder", "Const"]

# Few names, so that entries and layers meet; and any text, for printing and parsing.
NAMES = ["conv1", "conv2", "stage/conv", "stage/fc", "pool", "fc"]
any_text = st.text(st.characters(blacklist_categories=("Cs",)), max_size=12)

# Strategies are made once: hypothesis takes longer to look at a new one than to draw from it.
once = lru_cache(maxsize=None)


@once
def one_of(values):
    """One of a few values, each of which is there once: hypothesis takes two places of a value for two examples."""
    return st.sampled_from(values)


@once
def maybe(values):
    """None, or one of a few values, in one draw; or what a strategy draws."""
    return one_of((None, *values)) if isinstance(values, tuple) else st.none() | values


factors = st.one_of(
    st.integers(1, 3000).map(lambda n: n / 1000),
    st.floats(min_value=2.0**-100, max_value=2.0**100, width=32),
)

flavours = st.sampled_from(FLAVOURS)
flavours_with_json = st.sampled_from([flavour for flavour in FLAVOURS if flavour.layout is not None])


# ---------------------------------------------------------------- messages


def fields_of(cls):
    return cls.__schema__.fields


def numbers_in(within):
    """Numbers in the range of a field: half of them usual values, half anything else that is allowed."""
    if within is None or within.high == float("inf"):
        return factors
    shut = [end for end, sign in zip((within.low, within.high), within.ends) if sign in "[]"]
    near = [n for n in (0.999999, 0.9999, 0.51, 0.2, 0.5, 0.8, 0.01, *shut) if n in within]
    inside = [within.low + (within.high - within.low) * n / 1000 for n in range(1, 1000)]
    return st.sampled_from(near) | st.sampled_from(inside)


def values(field, names, types):
    """The values of a scalar field: a tuple of them where they are few, or a strategy."""
    if field.kind is BOOL:
        return (False, True)
    if field.kind is FLOAT:
        return numbers_in(field.within)
    if isinstance(field.kind, Enum):
        return tuple(field.kind.names)
    if field.kind is STRING:
        return types if "type" in field.name else names
    if isinstance(field.within, Among):
        return tuple(field.within.values)
    least = 1 if isinstance(field.within, Interval) else 0
    return (*range(least, 5), 40, 2**32 - 1 if field.kind.proto == "uint32" else 2**31 - 1)


known_names = st.sampled_from(NAMES)
tensor_names = st.sampled_from(["tensorMaxPool", "tensorAdd", "tensorAdd", NAMES[0]])  # those of `models`


@once
def messages(cls, names, types):
    """Messages of a class: any of its fields, one member of each oneof."""
    return message_with(cls, names, types)()


@once
def message_with(cls, names, types):
    """What makes a strategy for the messages of a class that have some given fields."""
    if cls.__name__ == "TensorQuantize" and names is known_names:
        names = tensor_names
    schema, members = cls.__schema__, {}
    for name, field in schema.fields.items():
        members.setdefault(field.oneof or name, []).append(name)
    chosen = one_of(tuple(itertools.product(*members.values())))  # one of each
    fields = {name: field_values(field, names, types) for name, field in schema.fields.items()}

    @st.composite
    def of_class(draw, **known):
        given = {name: known[name] if name in known else draw(fields[name]) for name in draw(chosen)}
        searched = [name for name in given if "range" in name or "step" in name]
        for dropped in ([], ["search_step"], searched):
            try:
                return cls(**{name: value for name, value in given.items() if name not in dropped})
            except ValueError:
                continue
        # Rules between a block and what is inside it.
        optional = [name for name, field in schema.fields.items() if field.is_message and field.label == "optional"]
        try:
            return cls(**{name: value for name, value in given.items() if name not in optional})
        except ValueError:
            return reject()

    return of_class


def field_values(field, names, types):
    """What a field may have in a message: all of it where it is repeated, None where it is optional."""
    one = messages(field.kind, names, types) if field.is_message else values(field, names, types)
    if field.label == "optional":
        return maybe(one)
    if isinstance(one, tuple):
        one = one_of(one)
    if field.label == "required":
        return one
    if field.unique is None:
        return st.lists(one, max_size=2)
    if not field.unique:
        return st.lists(one, max_size=4, unique=True)
    keys = st.lists(values(fields_of(field.kind)[field.unique], names, types), max_size=3, unique=True)
    entry = message_with(field.kind, names, types)

    @st.composite
    def with_keys(draw):  # which are drawn first: an entry whose key is there already would be drawn in vain
        return [draw(entry(**{field.unique: key})) for key in draw(keys)]

    return with_keys()


@once
def types_of(flavour):
    return st.sampled_from(sorted(flavour.quantizable_types))


@once
def configs(names=known_names, types=None, flavour=TF_ASCEND):
    """Any configuration over these names and types."""
    return messages(flavour.config, names, types_of(flavour) if types is None else types)


@once
def blocks_of(flavour):
    return messages(flavour.config.__schema__.fields["common_config"].kind, known_names, types_of(flavour))


blocks = blocks_of(TF_ASCEND)

LACKS = ("int16", "int4", "asymmetric")
LACKING = ((), *((lack,) for lack in LACKS))  # nothing or one of them


@once
def layers_of_flavour(flavour):
    kinds = one_of((*sorted(flavour.types), *OTHER_TYPES))
    lacks = one_of((*LACKING, *itertools.combinations(LACKS, 2)))
    return st.builds(amctcfg.Layer, known_names, kinds, st.booleans(), lacks)


layers = st.builds(amctcfg.Layer, known_names, st.sampled_from(TYPES + OTHER_TYPES), st.booleans())
rule_sets = st.sampled_from(["documented", "toolkit"])


# ---------------------------------------------------------------- what expands


def without(value, path):
    """A message without what a path leads to."""
    if len(path) == 1 or (len(path) == 2 and isinstance(path[1], int)):
        if len(path) == 2:
            kept = [element for index, element in enumerate(getattr(value, path[0])) if index != path[1]]
            return dataclasses.replace(value, **{path[0]: kept})
        return dataclasses.replace(value, **{path[0]: None})
    if isinstance(path[1], int):
        elements = list(getattr(value, path[0]))
        try:
            elements[path[1]] = without(elements[path[1]], path[2:])
        except (TypeError, ValueError):  # a required field
            del elements[path[1]]
        return dataclasses.replace(value, **{path[0]: elements})
    return dataclasses.replace(value, **{path[0]: without(getattr(value, path[0]), path[1:])})


@once
def quantizable_layers(flavour):
    kinds = sorted(flavour.quantizable_types)
    rows = [itertools.product([name], kinds, [False, True], LACKING) for name in NAMES]
    return [one_of(tuple(itertools.starmap(amctcfg.Layer, row))) for row in rows]


@once
@st.composite
def models(draw, flavour=TF_ASCEND):
    """Layers with all names, the first of which can be quantized."""
    found = [draw(layer) for layer in quantizable_layers(flavour)]
    found[0] = dataclasses.replace(found[0], supported=True)
    tensors = [name for name, described in flavour.types.items() if not described.quantizable]
    return [*found, *[amctcfg.Layer("tensor" + name, name) for name in tensors], amctcfg.Layer("relu", "Relu", False)]


@once
@st.composite
def expandable(draw, flavour=TF_ASCEND):
    """A configuration and a model on which it has no errors: what is an error is left out."""
    model = draw(models(flavour))
    config = draw(configs(flavour=flavour))
    for _ in range(40):
        try:
            amctcfg.expand(config, model)
            return config, draw(st.permutations(model))
        except amctcfg.ConfigError as error:
            wrong = next((d for d in error.diagnostics if d.severity == "error" and d.path), None)
            if wrong is None:  # nothing is left to quantize
                config = dataclasses.replace(config, skip_layers=(), skip_layer_types=())
            else:
                config = without(config, wrong.path)
    return reject()


# ---------------------------------------------------------------- contests: what the priority rules are about

THIRD = (None, True, False)

# The fields that tiers fight over, each with few values, so that several tiers set one, and differ.
FOUGHT = {
    "channel_wise": THIRD, "asymmetric": THIRD, "search_step": (None, 0.01, 0.02, 0.03), "max_percentile": (None, 0.9999),
    "num_of_bins": (None, 1024), "dst_type": (None, "INT8", "INT16"), "quant_bits": (None, 4, 6, 8),
    "migration_strength": (None, 0.25), "num_iteration": (None, 7),
}  # fmt: skip
TIERS = ("override_layer_configs", "override_layer_types", "common_config")


def fought_values(field):
    """Those of the few values that the flavour knows."""
    if isinstance(field.kind, Enum):
        return tuple(value for value in FOUGHT[field.name] if value is None or value in field.kind.names)
    within = field.within if isinstance(field.within, Among) else None
    return tuple(value for value in FOUGHT[field.name] if value is None or within is None or value in within.values)


def block_class(flavour):
    return fields_of(flavour.config)["common_config"].kind


def some_of(values, least, most):
    """Some of the values, in any order."""
    return one_of(tuple(itertools.chain(*(itertools.permutations(values, n) for n in range(least, most + 1)))))


def fought_messages(cls):
    """All messages of a class that differ in what tiers fight over."""
    fields = [field for field in fields_of(cls).values() if field.name in FOUGHT]
    for row in itertools.product(*map(fought_values, fields)):
        yield cls(**{field.name: value for field, value in zip(fields, row)})


@once
def fought_parts(flavour):
    """The parts of a block, in groups of which it has one at most: mostly the first, as it is the default.

    None and what sets little are in front, as a failure shrinks to these.
    """
    groups = {}
    for name, field in fields_of(block_class(flavour)).items():
        if field.is_message:
            groups.setdefault(field.oneof or name, []).append([(name, m) for m in fought_messages(field.kind)])
    strategies = []
    for parts in groups.values():
        first, last = parts[0], itertools.islice(itertools.cycle(parts[-1]), len(parts[0]))
        strategies.append(st.sampled_from([None] * len(first) + [*first, *first, *last]))
    return strategies


@once
@st.composite
def fought_blocks(draw, flavour):
    parts = dict(filter(None, [draw(part) for part in fought_parts(flavour)]))
    try:
        return block_class(flavour)(**parts)
    except ValueError:
        return reject()


@once
@st.composite
def contests(draw, flavour=TF_ASCEND):
    """A layer and a configuration whose tiers fight over it; another layer and another type have blocks as well."""
    lacks = draw(some_of(LACKS, 0, 2)) if flavour is not TF_ASCEND else ()
    name, other = draw(some_of(tuple(NAMES), 2, 2))
    kind, other_kind = draw(some_of((*sorted(flavour.quantizable_types), OTHER_TYPES[0]), 2, 2))
    layer = amctcfg.Layer(name, kind, draw(one_of((True, True, True, False))), lacks)
    there = draw(one_of((*itertools.product((False, True), repeat=5), *[(True,) * 5] * 32)))  # a failure shrinks to few
    own, by_name, typed, by_type, common = (draw(fought_blocks(flavour)) if one else None for one in there)
    named, of_type = (fields_of(flavour.config)[tier].kind for tier in TIERS[:2])
    names = [named(n, block) for n, block in ((name, own), (other, by_name)) if block is not None]
    types = [of_type(k, block) for k, block in ((kind, typed), (other_kind, by_type)) if block is not None]
    near = tuple(dict.fromkeys([name, name.rpartition("/")[2], name + "1", other]))
    config = flavour.config(
        activation_offset=draw(one_of(THIRD)),
        common_config=common,
        override_layer_types=types[:: draw(one_of((1, -1)))],
        override_layer_configs=names[:: draw(one_of((1, -1)))],
        skip_layers=draw(some_of(near, 0, 2)),
        skip_layer_types=draw(some_of((kind, other_kind), 0, 1)),
        do_fusion=draw(one_of(THIRD)),
        skip_fusion_layers=draw(some_of(near, 0, 2)),
    )
    return config, layer


# ---------------------------------------------------------------- texts

BREAKING = [*"{}[]<>:,;\"'\\#-0", "", "1_", "x", "# y\n", "#}: 1\n"]
MUTATIONS = tuple(itertools.product(BREAKING, range(4)))  # what is put in, and how many characters it replaces


@once
@st.composite
def broken_texts(draw, flavour=TF_ASCEND, names=any_text):
    """A configuration's text with a few characters taken out, doubled, swapped or put in."""
    text = amctcfg.dumps(draw(configs(names, names, flavour)))
    for piece, replaced in draw(st.lists(one_of(MUTATIONS), max_size=4)):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + piece + text[at + replaced :]
    return text


# What strings and numbers are made of: digits may go on with an escape, in one literal or in the next.
STRING_PIECES = [
    r"\7", r"\12", r"\377", r"\x4", r"\xc3\xa9", r"\u00e9", r"\U0001F600", r"\n", r"\\", "7", "1", "f", "é", "#",
]  # fmt: skip
BROKEN_PIECES = ["\\", r"\x", r"\u0", r"\ud83d", r"\8", r"\xff", "\n", "'", '"']
NUMBER_PIECES = [
    "0", "1", "7", "9", "00", "123456", ".", "e", "E", "f", "F", "x", "a", "-", "+", "_", " ", "#\n", "inf",
    "nan", "true",
]  # fmt: skip


@st.composite
def string_texts(draw):
    """A field with adjacent strings of odd pieces."""
    pieces = st.sampled_from(STRING_PIECES + (BROKEN_PIECES if draw(st.booleans()) else []))
    literals = draw(st.lists(st.lists(pieces, max_size=3).map("".join), min_size=1, max_size=3))
    quote, between = draw(st.sampled_from("\"'")), draw(st.sampled_from(["", " ", "# '\n"]))
    return "skip_layers: " + between.join(quote + literal + quote for literal in literals)


@st.composite
def number_texts(draw):
    """A field with something like a number."""
    number = "".join(draw(st.lists(st.sampled_from(NUMBER_PIECES), min_size=1, max_size=5)))
    fields = ["do_fusion: {}", "common_config {{ ifmr_quantize {{ search_range_end: {} }} }}"]
    return draw(st.sampled_from(fields)).format(number)
