# SPDX-License-Identifier: Apache-2.0
"""Fields and types that belong elsewhere: to another message, another flavour, or another kind of file."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Iterable, Iterator

from ..diagnostics.diagnostic import ERROR, ConfigError, Diagnostic
from ..diagnostics.source import Source
from ..diagnostics.suggestions import did_you_mean, find_nearest
from ..diagnostics.words import join_words, quote_name
from ..flavours import FLAVOURS
from ..flavours.flavour import Flavour
from ..messages.kinds import STRING
from ..messages.message import Message, messages_of
from ..messages.reading import Reading
from ..textformat.tree import Field, Tree, iter_raw_fields, split

if TYPE_CHECKING:
    from ..messages.kinds import Wording

# Other kinds of AMCT configurations in text format: what each is, and the fields that only it has; what ends with `_` is
# the beginning of several.
FAMILIES: dict[str, tuple[str, ...]] = {
    "a configuration for retraining or pruning (AMCTRetrainConfig)": (
        "retrain_", "regular_prune_", "prune_config", "quant_skip_layers", "quant_skip_types",
    ),
    "a configuration for distillation (AMCTDistillConfig)": (
        "distill_", "group_size", "data_dump", "quant_skip_layer_types",
    ),
    "a configuration for the KV cache (AMCTQuantCaliConfig)": (
        "kv_cache_quant_config", "override_layers_configs", "quant_layers", "quant_granularity",
    ),
    "a configuration for automatic channel pruning (AutoChannelPruneConfig)": (
        "max_prune_ratio", "override_prune_cfg", "ascend_optimized",
    ),
    "a configuration for automatic mixed precision (AutoMixedPrecisionConfig)": (
        "quant_bit_limit", "ptq_cfg", "override_qat_cfg",
    ),
    "a configuration for automatic compression (AutoChannelPruneConfig or AutoMixedPrecisionConfig)": (
        "compress_ratio", "test_iteration",
    ),
    "a configuration for the sampler (SamplerConfig)": ("ascend_sampler_config",),
    "a file with options of ATC (compression_optimize_conf)": (
        "calibration", "input_data_dir", "input_shape", "config_file",
    ),
    "an older configuration for large language models (quantization.cfg)": (
        "weight_only_config", "wts_type", "weight_granularity", "round_mode", "lut_quantize",
    ),
    "a configuration of HiSilicon's AMCT for Caffe": ("snq_quantize", "update_bn"),
}  # fmt: skip

MOST_HEAD_LINES = 50  # of a text's beginning that are looked through for its head

INSTEAD = "amctcfg reads the simplified configuration of post-training quantization (AMCTConfig with common_config)"

# ATC's options are `key: value` lines, bare to the end of the line, one of which names the configuration.
ATC_OPTIONS = r"^[ \t]*calibration[ \t]*:[ \t\r\n]*\{"
ATC_OPTION = r"^[ \t]*(input_data_dir|input_shape|config_file)[ \t]*:[ \t]*([^\n]*)"

PLACEHOLDERS = ("Opname", "Optype")  # for any layer and any type, on the vendor's pages

# What frameworks and people call types that no flavour has: the word for what they compute.
CALLED: dict[str, str] = {
    "conv": "conv2d", "conv2d": "conv2d", "convolution": "conv2d", "convolution2d": "conv2d",
    "conv3d": "conv3d", "convolution3d": "conv3d", "conv1d": "conv1d",
    "depthwiseconv": "depthwise", "depthwiseconv2d": "depthwise", "depthwise": "depthwise",
    "convolutiondepthwise": "depthwise", "depthwiseconvolution": "depthwise",
    "deconvolution": "deconv2d", "deconv": "deconv2d", "convtranspose": "deconv2d", "convtranspose2d": "deconv2d",
    "conv2dtranspose": "deconv2d",
    "gemm": "matmul", "linear": "matmul", "dense": "matmul", "innerproduct": "matmul", "fullyconnected": "matmul",
    "fullconnection": "matmul", "fullyconnection": "matmul", "fc": "matmul", "matmul": "matmul", "matmulv2": "matmul",
    "bmm": "batchmatmul", "averagepool": "avgpool", "avgpool": "avgpool", "avgpool2d": "avgpool",
    "averagepooling2d": "avgpool", "globalaveragepool": "avgpool", "pooling": "avgpool",
}  # fmt: skip


# ---------------------------------------------------------------- other kinds of files


def iter_top_fields(fields: Iterable[Any], depth: int = 0) -> Iterator[Field]:
    """Iterate over the fields down to a few messages below the top, where families differ."""
    for field in split(fields):
        if field[0] is not None:
            yield field
        if not isinstance(field[1], str) and depth < 4:
            yield from iter_top_fields(field[1], depth + 1)


def find_family(tree: Tree) -> tuple[str, Field] | None:
    """Return the other kind of configuration that a text is, and the field that shows it: the first of the first family."""
    shown: dict[str | None, Field] = {}
    for field in iter_top_fields(tree.fields):
        shown.setdefault(find_family_with_field(field[0]), field)
    return next(((family, shown[family]) for family in FAMILIES if family in shown), None)


def read_head_value(tree: Tree, wanted: str) -> str:
    """Return what a comment of the head says behind a key such as `proto-file`; "" for none."""
    for line in tree.source.text.split("\n", MOST_HEAD_LINES)[:MOST_HEAD_LINES]:
        if line.strip() and not line.lstrip().startswith("#"):
            break
        key, _, value = line.strip().lstrip("#").strip().partition(":")
        if key == wanted:
            return value.strip()
    return ""


def find_foreign_message(tree: Tree) -> str:
    """Return the message that the head names, where it is another kind's; else ""."""
    name = read_head_value(tree, "proto-message").rpartition(".")[2]  # without the package
    return "" if name in {flavour.config.__name__ for flavour in FLAVOURS.values()} else name


def recognize_options(error: ConfigError) -> ConfigError:
    """Return the error of a text that is not text format, or one that says that it is ATC's options."""
    text, name = error.text or "", error.diagnostics[0].name
    begin = re.search(ATC_OPTIONS, text, re.MULTILINE)
    options = dict(re.findall(ATC_OPTION, text, re.MULTILINE)) if begin else {}
    if begin is None or not options:
        return error
    start = text.index("calibration", begin.start())
    span = Source(text, name).span(start, start + len("calibration"))
    configuration = options.get("config_file", "").strip()
    hint = "the configuration is the file {}".format(quote_name(configuration)) if configuration else INSTEAD
    message = "this is a file with options of ATC (compression_optimize_conf)"
    return ConfigError.single("foreign-family", message, name, hint, span, text, ("calibration",))


@lru_cache(maxsize=512)  # a wrong file has the same names again and again
def find_family_with_field(name: str) -> str | None:
    for family, fields in FAMILIES.items():
        if name in fields or name.startswith(tuple(field for field in fields if field.endswith("_"))):
            return family
    return None


def make_family_error(tree: Tree, reading: Reading) -> Diagnostic | None:
    """Return the one diagnostic for a file of another kind; None where this kind has the field that shows it."""
    shown = find_foreign_message(tree)
    if shown:
        what, start, path = "of the message {}".format(shown), tree.source.text.index(shown), None
    else:
        found = find_family(tree)
        if found is None or found[1][0] not in {broken[-1] for broken in reading.broken}:
            return None
        what, field = found
        shown, start, path = field[0], field[2], (field[0],)
    span = tree.source.span(start, start + len(shown))
    return Diagnostic(ERROR, "foreign-family", "this is {}".format(what), span, path, INSTEAD, tree.source.name)


def refine_errors(tree: Tree, reading: Reading) -> None:
    """Refine errors that have one cause: another kind of file, or two files in one."""
    family = make_family_error(tree, reading)
    if family is not None:
        reading.diagnostics, reading.foreign = [family], True
        return
    twice = [d for d in reading.diagnostics if d.code == "duplicate-field" and d.path and len(d.path) == 1]
    second = find_second_file(tree)
    if second is not None and twice:
        line = tree.source.span(second, second).line
        hint = "two configurations seem to be in this file, the second from line {} on; keep one of them".format(line)
        index = reading.diagnostics.index(twice[0])
        reading.diagnostics[index] = twice[0]._replace(hint=hint)


def find_second_file(tree: Tree) -> int | None:
    """Return the offset at which a second configuration seems to begin: at its first field, once more."""
    names = [(field[0], field[2]) for field in iter_raw_fields(tree.fields)]
    again = next((index for index, (name, _) in enumerate(names) if index and name == names[0][0]), 0)
    first, second = ({name for name, _ in part} for part in (names[:again], names[again:]))
    return names[again][1] if again > 1 and 2 * len(first & second) > len(first) else None


# ---------------------------------------------------------------- fields


@lru_cache(maxsize=512)  # as the same unknown field is
def word_unknown_field(flavour: Flavour, cls: type[Message], name: str) -> Wording:
    """Word the diagnostic for a field that a message does not have."""
    close = find_nearest(name, cls.__schema__.fields)
    hint = belongs_elsewhere(flavour, cls, name)
    replacement = close[0] if hint is None and len(close) == 1 else None
    hint = hint or did_you_mean(close) or "its fields are {}".format(", ".join(cls.__schema__.fields))
    return "unknown-field", "{} has no field '{}'".format(cls.__name__, name), hint, replacement


def belongs_elsewhere(flavour: Flavour, cls: type[Message], name: str) -> str | None:
    """Say which other messages, flavours or versions have a field."""
    gone = dict(flavour.removed_fields).get(name)
    if gone:
        return gone
    owners = [message.__name__ for message in messages_of(flavour.config) if name in message.__schema__.fields]
    if owners:
        return "it belongs in {}; is a brace missing or misplaced?".format(" or ".join(owners))
    others = drop_older_versions(
        other
        for other in FLAVOURS.values()
        for message in messages_of(other.config)
        if other.name != flavour.name and message.__name__ == cls.__name__ and name in message.__schema__.fields
    )
    if others:
        choose = "'# amctcfg: flavour={}' in the first line".format(others[0])
        return "it is a field of {}; {} reads the file as that".format(join_words(others, "and"), choose)
    former = drop_older_versions(
        other for other in FLAVOURS.values() if name in dict(other.removed_fields) and other.name != flavour.name
    )
    if former:
        return "older versions of {} had it; delete it here".format(join_words(former, "and"))
    return None


def drop_older_versions(flavours: Iterable[Flavour]) -> list[str]:
    """Return the names of flavours, of several versions of one the newest alone."""
    found: dict[str, str] = {}
    for flavour in flavours:
        found.setdefault(flavour.title, flavour.name)
    return list(found.values())


# ---------------------------------------------------------------- types


@lru_cache(maxsize=512)  # the same wrong type is there again and again
def word_unknown_type(flavour: Flavour, name: str) -> Wording:
    """Word the diagnostic for a type that the flavour does not have."""
    quantizable = sorted(flavour.quantizable_types)
    same = [known for known in quantizable if known.lower() == name.lower()]
    others = [] if name in PLACEHOLDERS else FLAVOURS.list_newest()  # which are many to load
    does = {known.types[name].operation for known in others if name in known.types}
    word = CALLED.get(name.lower().replace("_", ""))
    similar = same or [
        known
        for known in quantizable
        if flavour.types[known].operation in does
        or flavour.types[known].operation == word
        or name in flavour.types[known].aliases
    ]
    close = similar or find_nearest(name, quantizable)
    hint = did_you_mean(close) or "the quantizable types are {}".format(", ".join(quantizable))
    owners = [other.name for other in others if name in other.quantizable_types]
    if owners:
        hint = "{} ({} is a type of {})".format(hint, name, join_words(owners, "and"))
    replacement = STRING.format(close[0]) if len(close) == 1 else None
    return "unknown-type", "{} is not a quantizable type".format(quote_name(name)), hint, replacement
