# SPDX-License-Identifier: Apache-2.0
"""From the toolkit's JSON quantization config, edited by hand, back to the shortest simplified configuration."""

from __future__ import annotations

import json
from collections import Counter
from itertools import product
from math import isnan
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple, Union

from .diagnostics import ERROR, ConfigError, Diagnostic, Path, shorten
from .expansion import VERSION, expand
from .schema import (
    DEFAULTS,
    SEARCH_FIELDS,
    AMCTConfig,
    ARQuantize,
    CalibrationConfig,
    FMRQuantize,
    OverrideLayer,
    OverrideLayerType,
    as_float32,
    with_default,
)
from .source import Source
from .suggest import did_you_mean, nearest
from .target import TF_ASCEND, Layer, Target
from .textformat.encoding import decode
from .validate import GLOBAL_KEYS

__all__ = ["condense"]


class Wanted(NamedTuple):
    """What a layer is to get."""

    channel_wise: bool
    numbers: Tuple[float, ...]  # in the order of SEARCH_FIELDS
    asymmetric: bool


USUAL = tuple(DEFAULTS[name] for name in SEARCH_FIELDS)


class Common(NamedTuple):
    """A candidate for the common block; None is a field left out."""

    channel_wise: Optional[bool]
    numbers: Tuple[float, ...]
    asymmetric: Optional[bool]


NO_COMMON = Common(None, USUAL, None)


def condense(
    quant_config: Union[str, bytes, Mapping[str, Any]],
    layers: Iterable[Layer],
    target: Target = TF_ASCEND,
    name: str = "<json>",
) -> AMCTConfig:
    """The configuration with the fewest blocks that expands to a JSON quantization config on a model.

    Takes the JSON as text or as a mapping, as the toolkit reads it: a layer that is left out is not quantized, a
    key that is left out has its default. The result holds under both sets of rules. Raises `ConfigError` with all
    that no configuration can express, by layer and key.

    >>> layers = [Layer("a", "Conv2D"), Layer("b", "Conv2D")]
    >>> condense(expand(AMCTConfig(skip_layers=["a"]), layers).to_json(), layers)
    AMCTConfig(activation_offset=None, skip_layers=('a',), skip_layer_types=(), common_config=None, \
override_layer_types=(), override_layer_configs=(), do_fusion=None, skip_fusion_layers=())
    """
    layers = tuple(layers)
    reader = Reader(quant_config if isinstance(quant_config, Mapping) else parse_json(quant_config, name), target, name)
    reader.read(layers)
    if reader.errors:
        raise ConfigError(reader.errors)
    config = shortest(reader, [layer for layer in layers if target.quantizes(layer)], target)
    check(config, reader, layers, target)
    return config


def check(config: AMCTConfig, reader: Reader, layers: Tuple[Layer, ...], target: Target) -> None:
    """Expand what was found once more, and compare."""
    for rules in ("documented", "toolkit"):
        plan = expand(config, layers, target, rules)
        for name, effective in plan.items():
            arq, ifmr = effective.calibration_config.arq_quantize, effective.calibration_config.ifmr_quantize
            assert arq is not None and ifmr is not None  # every field of an EffectiveConfig is set
            got = Wanted(bool(arq.channel_wise), tuple(getattr(ifmr, n) for n in SEARCH_FIELDS), bool(ifmr.asymmetric))
            fine = effective.quant_enable is (name in reader.enabled) and reader.wanted.get(name, got) == got
            if not fine:
                raise AssertionError("condensing got '{}' wrong; please report this".format(name))


# ---------------------------------------------------------------- the shortest configuration


def shortest(reader: Reader, supported: List[Layer], target: Target) -> AMCTConfig:
    wanted: Dict[str, List[Tuple[str, Wanted]]] = {}  # by type
    for layer in supported:
        of_type = wanted.setdefault(layer.type, [])
        if layer.name in reader.wanted:
            of_type.append((layer.name, reader.wanted[layer.name]))
    sizes = Counter(layer.type for layer in supported)
    common = best_common(wanted, sizes, reader.activation_offset, target)
    types, names = [], []
    for layer_type, entries in wanted.items():
        block = type_block(layer_type, entries, sizes[layer_type], common, reader.activation_offset, target)
        usual = outcome(common, layer_type, reader.activation_offset, target)
        below = block or usual
        if block is not None:
            types.append(OverrideLayerType(layer_type, written(block, layer_type, {usual.asymmetric}, target)))
        forced = block is None and is_forbidden(common, layer_type, target)
        for name, value in entries:
            if value != below or forced:
                fallbacks = {below.asymmetric, usual.asymmetric}  # by the documented rules, and by the toolkit's
                names.append(OverrideLayer(name, written(value, layer_type, fallbacks, target)))
        if forced:  # nothing is wanted of these, but common_config would be an error on them
            left = [layer.name for layer in supported if layer.type == layer_type and layer.name not in reader.wanted]
            names += [OverrideLayer(name, CalibrationConfig()) for name in left]
    skipped_types, skipped_layers = skips(reader, supported)
    return AMCTConfig(
        activation_offset=None if reader.activation_offset else False,
        skip_layers=tuple(skipped_layers),
        skip_layer_types=tuple(skipped_types),
        common_config=None if common == NO_COMMON else block_of(*common),
        override_layer_types=tuple(types),
        override_layer_configs=tuple(names),
        do_fusion=None if reader.do_fusion else False,
        skip_fusion_layers=reader.skip_fusion_layers,
    )


def best_common(
    wanted: Dict[str, List[Tuple[str, Wanted]]], sizes: Counter[str], offset: bool, target: Target
) -> Common:
    """The common block, or NO_COMMON, with which the fewest blocks are needed: over all candidates, not greedily.

    With a given common block, each type decides for itself whether an entry of its own pays.
    """
    counts = {layer_type: Counter(value for _, value in entries) for layer_type, entries in wanted.items()}

    def cost(common: Common) -> int:
        total = int(common != NO_COMMON)
        for layer_type, values in counts.items():
            total += min(*costs(layer_type, values, sizes[layer_type], common, offset, target))
        return total

    numbers = sorted({value.numbers for values in counts.values() for value in values})
    candidates = [NO_COMMON] + [Common(*fields) for fields in product((None, True, False), numbers, (None, not offset))]
    return min(candidates, key=cost)  # the first of the best, which is the plainest


def costs(
    layer_type: str, values: Counter[Wanted], size: int, common: Common, offset: bool, target: Target
) -> Tuple[int, int]:
    """How many blocks the layers of a type need without an entry for the type, and with one."""
    total = sum(values.values())
    without = total - values[outcome(common, layer_type, offset, target)]
    if is_forbidden(common, layer_type, target):
        without = size
    return without, 1 + total - max(values.values(), default=0)


def type_block(
    layer_type: str, entries: List[Tuple[str, Wanted]], size: int, common: Common, offset: bool, target: Target
) -> Optional[Wanted]:
    """What the entry of a type is to give its layers, or None where no entry is as short."""
    values = Counter(value for _, value in entries)
    without, with_entry = costs(layer_type, values, size, common, offset, target)
    if without <= with_entry:
        return None
    usual = Wanted(
        layer_type in target.channel_wise_types, USUAL, outcome(common, layer_type, offset, target).asymmetric
    )
    return max(values, key=lambda value: values[value], default=usual)


def outcome(common: Common, layer_type: str, offset: bool, target: Target) -> Wanted:
    """What a layer without an override gets."""
    possible = layer_type in target.channel_wise_types
    asymmetric = offset if common.asymmetric is None else common.asymmetric
    channel_wise = possible if common.channel_wise is None else common.channel_wise
    return Wanted(channel_wise, common.numbers, asymmetric and layer_type not in target.symmetric_only_types)


def is_forbidden(common: Common, layer_type: str, target: Target) -> bool:
    """Whether `channel_wise: true` in the common block is an error on layers of a type."""
    return common.channel_wise is True and layer_type not in target.channel_wise_types


def written(value: Wanted, layer_type: str, fallbacks: Any, target: Target) -> CalibrationConfig:
    """The shortest block that gives a layer what is wanted; `fallbacks` is what asymmetric may be without it."""
    possible = layer_type in target.channel_wise_types
    asymmetric = None if fallbacks == {value.asymmetric} else value.asymmetric
    return block_of(None if value.channel_wise == possible else value.channel_wise, value.numbers, asymmetric)


def block_of(channel_wise: Optional[bool], numbers: Tuple[float, ...], asymmetric: Optional[bool]) -> CalibrationConfig:
    fields: Dict[str, Any] = {n: v for n, v in zip(SEARCH_FIELDS, numbers) if v != DEFAULTS[n]}
    if asymmetric is not None:
        fields["asymmetric"] = asymmetric
    arq = None if channel_wise is None else ARQuantize(channel_wise)
    return CalibrationConfig(arq, FMRQuantize(**fields) if fields else None)


def skips(reader: Reader, supported: List[Layer]) -> Tuple[List[str], List[str]]:
    """Types of which no layer is quantized, where that is shorter, and the other layers that are not."""
    by_type: Dict[str, List[str]] = {}
    for layer in supported:
        by_type.setdefault(layer.type, []).append(layer.name)
    off = [t for t, names in by_type.items() if len(names) > 1 and not reader.enabled.intersection(names)]
    names = [x.name for x in supported if x.type not in off and x.name not in reader.enabled]
    return off, names


# ---------------------------------------------------------------- reading the JSON


def parse_json(text: Union[str, bytes], name: str) -> Mapping[str, Any]:
    """The object in a JSON text. Raises `ConfigError` for one that is no JSON object."""
    source = Source(decode(text, name), name)
    try:
        value = json.loads(source.text, object_pairs_hook=unique_keys)
    except json.JSONDecodeError as error:
        at = min(error.pos, len(source.text))
        span = source.span(at, min(at + 1, len(source.text)))
        message = "this is not JSON: {}".format(error.msg)
        raise ConfigError([Diagnostic(ERROR, "syntax", message, span, None, None, name)], source.text) from None
    except (ValueError, RecursionError) as error:
        message = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
        raise ConfigError([Diagnostic(ERROR, "syntax", message, None, None, None, name)]) from None
    if not isinstance(value, dict):
        message = "a JSON quantization config is an object"
        raise ConfigError([Diagnostic(ERROR, "wrong-type", message, None, None, None, name)])
    return value


def unique_keys(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    result: Dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError("the key '{}' is there twice in one object".format(key))
        result[key] = value
    return result


class Reader:
    """What a JSON quantization config says, and what is wrong with it."""

    def __init__(self, values: Mapping[str, Any], target: Target, name: str) -> None:
        self.values: Mapping[str, Any] = values
        self.target: Target = target
        self.name: str = name
        self.errors: List[Diagnostic] = []
        self.wanted: Dict[str, Wanted] = {}
        self.enabled: set[str] = set()
        self.activation_offset: bool = True
        self.do_fusion: bool = True
        self.skip_fusion_layers: Tuple[str, ...] = ()

    def read(self, layers: Iterable[Layer]) -> None:
        by_name = {layer.name: layer for layer in layers}
        version = self.values.get("version", VERSION)
        if version != VERSION or isinstance(version, bool):
            self.report("out-of-range", ("version",), "it is {!r}, and only {} is known".format(version, VERSION))
        self.activation_offset = self.flag(self.values, "activation_offset", True, ())
        self.do_fusion = self.flag(self.values, "do_fusion", True, ())
        self.fusion(by_name)
        for key, entry in self.values.items():
            if key not in GLOBAL_KEYS and self.is_layer(key, entry, by_name):
                self.layer(by_name[key], entry)

    def fusion(self, by_name: Mapping[str, Layer]) -> None:
        names = self.values.get("skip_fusion_layers", [])
        path = ("skip_fusion_layers",)
        if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
            self.report("wrong-type", path, "it is a list of names, not {!r}".format(names))
            return
        for name in names:
            if name not in by_name:
                hint = did_you_mean(nearest(name, by_name))
                self.report("unknown-layer", path, "the model has no layer '{}'".format(name), hint)
            elif by_name[name].type not in self.target.fusible_types:
                self.report("not-fusible", path, "BN is never fused into '{}'".format(name))
        if len(set(names)) < len(names):
            self.report("duplicate-entry", path, "it names a layer twice")
        self.skip_fusion_layers = tuple(dict.fromkeys(names))

    def is_layer(self, key: str, entry: Any, by_name: Mapping[str, Layer]) -> bool:
        layer = by_name.get(key)
        if layer is None:
            self.report("unknown-layer", (key,), "the model has no such layer", did_you_mean(nearest(key, by_name)))
        elif not self.target.quantizes(layer):
            self.report("not-quantizable", (key,), "this layer can't be quantized", "delete its entry")
        elif not isinstance(entry, Mapping):
            self.report("wrong-type", (key,), "a layer has an object, not {!r}".format(entry))
        else:
            return True
        return False

    def layer(self, layer: Layer, entry: Mapping[str, Any]) -> None:
        path = (layer.name,)
        self.known(entry, ("quant_enable", "activation_quant_params", "weight_quant_params"), path)
        if self.flag(entry, "quant_enable", True, path):
            self.enabled.add(layer.name)
        activations, below = self.part(entry, "activation_quant_params", path)
        weights, above = self.part(entry, "weight_quant_params", path)
        keys = ("num_bits", "max_percentile", "min_percentile", "search_range", "search_step", "act_algo", "asymmetric")
        self.known(activations, keys, below)
        self.known(weights, ("num_bits", "wts_algo", "channel_wise"), above)
        self.only(activations, "act_algo", "ifmr", below)
        self.only(weights, "wts_algo", "arq_quantize", above)
        self.only(activations, "num_bits", 8, below)
        self.only(weights, "num_bits", 8, above)
        numbers = self.numbers(activations, below)
        symmetric = layer.type in self.target.symmetric_only_types
        asymmetric = self.flag(activations, "asymmetric", self.activation_offset and not symmetric, below)
        if asymmetric and symmetric:
            message = "layers of type {} are always symmetric".format(layer.type)
            self.report("out-of-range", (*below, "asymmetric"), message)
        possible = layer.type in self.target.channel_wise_types
        channel_wise = self.flag(weights, "channel_wise", possible, above)
        if channel_wise and not possible:
            message = "it can't be true for layers of type {}".format(layer.type)
            self.report("channel-wise-unsupported", (*above, "channel_wise"), message)
        if numbers is not None:
            self.wanted[layer.name] = Wanted(channel_wise, numbers, asymmetric)

    def numbers(self, values: Mapping[str, Any], path: Path) -> Optional[Tuple[float, ...]]:
        """The search range and the rest, checked by the rules of the message; None where they break one."""
        search = values.get("search_range", USUAL[:2])
        if not isinstance(search, (list, tuple)) or len(search) != 2:
            self.report("wrong-type", (*path, "search_range"), "it is [start, end], not {!r}".format(search))
            return None
        found = dict(zip(SEARCH_FIELDS, search))
        found.update((name, with_default(values, name)) for name in SEARCH_FIELDS[2:])
        errors = len(self.errors)
        for name, value in found.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                self.report("wrong-type", (*path, key_of(name)), "{} is a number, not {!r}".format(name, value))
            elif value != as_float32(value) and not isnan(as_float32(value)):
                message = "{} is {}, which no 32-bit float is".format(name, shorten(repr(value)))
                self.report("out-of-range", (*path, key_of(name)), message, "write {}".format(as_float32(value)))
        for problem in FMRQuantize.problems(found) if len(self.errors) == errors else ():
            self.report(problem.code, (*path, key_of(str(problem.path[0]))), problem.message)
        return tuple(map(float, found.values())) if len(self.errors) == errors else None

    # ------------------------------------------------------------ values and keys

    def part(self, entry: Mapping[str, Any], key: str, path: Path) -> Tuple[Mapping[str, Any], Path]:
        value = entry.get(key, {})
        if not isinstance(value, Mapping):
            self.report("wrong-type", (*path, key), "it is an object, not {!r}".format(value))
            value = {}
        return value, (*path, key)

    def flag(self, values: Mapping[str, Any], key: str, default: bool, path: Path) -> bool:
        value = values.get(key, default)
        if isinstance(value, bool):
            return value
        self.report("wrong-type", (*path, key), "it is true or false, not {!r}".format(value))
        return default

    def only(self, values: Mapping[str, Any], key: str, possible: Any, path: Path) -> None:
        value = values.get(key, possible)
        if value != possible or isinstance(value, bool):
            self.report("out-of-range", (*path, key), "it is {!r}; only {!r} can be written".format(value, possible))

    def known(self, values: Mapping[str, Any], keys: Tuple[str, ...], path: Path) -> None:
        for key in values:
            if key not in keys:
                hint = did_you_mean(nearest(str(key), keys))
                self.report("unknown-field", (*path, str(key)), "there is no such key", hint)

    def report(self, code: str, path: Path, message: str, hint: Optional[str] = None) -> None:
        place = " > ".join(map(str, path))
        self.errors.append(Diagnostic(ERROR, code, "{}: {}".format(place, message), None, path, hint, self.name))


def key_of(name: str) -> str:
    """The key of the JSON that holds a field."""
    return "search_range" if name.startswith("search_range") else name
