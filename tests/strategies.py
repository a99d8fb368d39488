# SPDX-License-Identifier: Apache-2.0
"""What the property tests draw from: configurations, layers, blocks."""

import dataclasses

from hypothesis import reject
from hypothesis import strategies as st

import amctcfg

TYPES = sorted(amctcfg.TF_ASCEND.quantizable_types)
CHANNEL_WISE_TYPES = sorted(amctcfg.TF_ASCEND.channel_wise_types)
OTHER_TYPES = ["Relu", "Placeholder", "Const"]

# Few names, so that entries and layers meet; and any text, for printing and parsing.
NAMES = ["conv1", "conv2", "stage/conv", "stage/fc", "pool", "fc"]
any_text = st.text(st.characters(blacklist_categories=("Cs",)), max_size=12)

maybe_bool = st.none() | st.booleans()


def maybe(strategy):
    return st.none() | strategy


factors = st.one_of(
    st.integers(1, 3000).map(lambda n: n / 1000),
    st.floats(min_value=2.0**-100, max_value=2.0**100, width=32),
)
percentiles = st.one_of(
    st.sampled_from([0.999999, 0.9999, 1.0, 0.51]),
    st.floats(min_value=0.5, max_value=1.0, exclude_min=True, width=32),
)


@st.composite
def fmr_quantizes(draw):
    fields = {
        "search_range_start": draw(maybe(factors)),
        "search_range_end": draw(maybe(factors)),
        "search_step": draw(maybe(factors)),
        "max_percentile": draw(maybe(percentiles)),
        "min_percentile": draw(maybe(percentiles)),
        "asymmetric": draw(maybe_bool),
    }
    start, end = fields["search_range_start"], fields["search_range_end"]
    if start is not None and end is not None and start > end:
        fields["search_range_start"], fields["search_range_end"] = end, start
    for drop in ((), ("search_step",), ("search_step", "search_range_start", "search_range_end")):
        try:
            return amctcfg.FMRQuantize(**{k: v for k, v in fields.items() if k not in drop})
        except ValueError:
            continue
    return reject()


arq_quantizes = st.builds(amctcfg.ARQuantize, channel_wise=maybe_bool)
blocks = st.builds(amctcfg.CalibrationConfig, arq_quantize=maybe(arq_quantizes), ifmr_quantize=maybe(fmr_quantizes()))


def unique_lists(elements, key=lambda element: element):
    return st.lists(elements, max_size=4, unique_by=key)


known_names, known_types = st.sampled_from(NAMES), st.sampled_from(TYPES)


def configs(names=known_names, types=known_types):
    """Any configuration over these names and types."""
    return st.builds(
        amctcfg.AMCTConfig,
        activation_offset=maybe_bool,
        skip_layers=unique_lists(names),
        skip_layer_types=unique_lists(types),
        common_config=maybe(blocks),
        override_layer_types=unique_lists(st.builds(amctcfg.OverrideLayerType, types, blocks), lambda o: o.layer_type),
        override_layer_configs=unique_lists(st.builds(amctcfg.OverrideLayer, names, blocks), lambda o: o.layer_name),
        do_fusion=maybe_bool,
        skip_fusion_layers=unique_lists(names),
    )


layers = st.builds(amctcfg.Layer, st.sampled_from(NAMES), st.sampled_from(TYPES + OTHER_TYPES), st.booleans())
rule_sets = st.sampled_from(["documented", "toolkit"])


@st.composite
def expandable(draw):
    """A configuration and a model on which it has no errors."""
    model = [draw(st.builds(amctcfg.Layer, st.just(name), st.sampled_from(TYPES), st.booleans())) for name in NAMES]
    model[0] = amctcfg.Layer(NAMES[0], "Conv2D")
    model += [amctcfg.Layer("relu", "Relu", False)]
    types = {layer.name: layer.type for layer in model}
    config = draw(configs())

    def plain(block):
        return dataclasses.replace(block, arq_quantize=None)

    def only_where_possible(entry, layer_type):
        possible = layer_type in CHANNEL_WISE_TYPES
        return entry if possible else dataclasses.replace(entry, calibration_config=plain(entry.calibration_config))

    config = dataclasses.replace(
        config,
        skip_layers=[name for name in config.skip_layers if name != NAMES[0]],
        skip_layer_types=[t for t in config.skip_layer_types if t != "Conv2D"],
        common_config=config.common_config and plain(config.common_config),
        override_layer_types=[only_where_possible(o, o.layer_type) for o in config.override_layer_types],
        override_layer_configs=[only_where_possible(o, types[o.layer_name]) for o in config.override_layer_configs],
        skip_fusion_layers=[n for n in config.skip_fusion_layers if types[n] in amctcfg.TF_ASCEND.fusible_types],
    )
    return config, draw(st.permutations(model))


@st.composite
def broken_texts(draw):
    """A configuration's text with a few characters taken out, doubled, swapped or put in."""
    text = amctcfg.dumps(draw(configs(any_text, any_text)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(text)))
        piece = draw(
            st.sampled_from(["", "{", "}", "[", "]", "<", ">", ":", ",", ";", '"', "'", "\\", "#", "-", "0", "1_", "x"])
        )
        text = text[:at] + piece + text[at + draw(st.integers(0, 3)) :]
    return text


# What strings and numbers are made of: digits may go on with an escape, in one literal or in the next.
STRING_PIECES = [
    r"\7",
    r"\12",
    r"\377",
    r"\x4",
    r"\xc3\xa9",
    r"\u00e9",
    r"\U0001F600",
    r"\n",
    r"\\",
    "7",
    "1",
    "f",
    "é",
    "#",
]
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
    field = draw(st.sampled_from(["do_fusion: {}", "common_config {{ ifmr_quantize {{ search_range_end: {} }} }}"]))
    return field.format(number)
