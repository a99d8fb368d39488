# SPDX-License-Identifier: Apache-2.0
"""From the toolkit's JSON quantization config, edited by hand, back to the shortest simplified configuration."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Iterable, Iterator, Mapping, overload

from ..checks.expanding import expand
from ..diagnostics.diagnostic import ERROR, ConfigError, Diagnostic
from ..flavours.common import Configuration
from ..flavours.flavour import Flavour
from ..flavours.layer import Layer
from ..messages.kinds import FLOAT, Enum
from ..resolve.effective import values_of
from ..resolve.json_reading import QuantConfig
from .block_search import JSON_ONLY, BlockSearch

if TYPE_CHECKING:
    from ..flavours.flavour import C_co
    from ..flavours.tf_ascend import AMCTConfig


@overload
def condense(
    quant_config: str | bytes | Mapping[str, Any], layers: Iterable[Layer], name: str = ..., flavour: None = ...
) -> AMCTConfig: ...
@overload
def condense(
    quant_config: str | bytes | Mapping[str, Any],
    layers: Iterable[Layer],
    name: str = ...,
    *,
    flavour: Flavour[C_co],
) -> C_co: ...
@overload
def condense(
    quant_config: str | bytes | Mapping[str, Any], layers: Iterable[Layer], name: str, flavour: Flavour[C_co]
) -> C_co: ...


def condense(
    quant_config: str | bytes | Mapping[str, Any],
    layers: Iterable[Layer],
    name: str = "<json>",
    flavour: Flavour | None = None,
) -> Any:
    """Find the configuration with the fewest blocks, and among these the fewest lines, that expands to a JSON quantization config.

    A layer that is left out or has no true `quant_enable` is not quantized, a key that is left out has its default. The
    result holds under both sets of rules.

    Args:
        quant_config: The JSON quantization config, as text or as a mapping.
        layers: The layers of the model.
        name: The name of its file, for diagnostics.
        flavour: The dialect; TF-Ascend where it is left out.

    Returns:
        The configuration, an instance of the flavour's root message.

    Raises:
        ConfigError: It can't be read, or no configuration can express it; all of it is in it, by layer and key.

    Example:
        >>> from amctcfg import AMCTConfig
        >>> layers = [Layer("a", "Conv2D"), Layer("b", "Conv2D")]
        >>> condense(expand(AMCTConfig(skip_layers=["a"]), layers).to_json(), layers).skip_layers
        ('a',)
    """
    read = QuantConfig(quant_config, tuple(layers), name, flavour)
    errors = read.errors or list(find_unsayable(read))
    if errors:
        raise ConfigError(errors, read.text)
    config = BlockSearch(read).find_best()
    verify(config, read)
    return config


def find_unsayable(read: QuantConfig) -> Iterator[Diagnostic]:
    """Find numbers that are not 32-bit floats, and widths that JSON alone can ask for."""
    for name, layer in read.layers.items():
        for field, value in values_of(layer.block).items():
            path = read.block_class.__schema__.follow(field)
            is_sayable = path and (not isinstance(path[-1].kind, Enum) or value in path[-1].kind.names)
            is_inexact = isinstance(value, float) and FLOAT.validate(field, value) != value
            if is_inexact or not is_sayable:
                origin = read.origins_of(read.by_name[name])[field]
                code, what, hint = "algorithm-unsupported", "no configuration can say this", JSON_ONLY
                if is_inexact:
                    code, what = "out-of-range", "{} is not a 32-bit float".format(value)
                    hint = "write {}".format(FLOAT.validate(field, value))
                message = "{}: {}".format(" > ".join(map(str, origin.path or (name,))), what)
                yield Diagnostic(ERROR, code, message, span=origin.span, path=origin.path, hint=hint, name=read.name)


def verify(config: Configuration, read: QuantConfig) -> None:
    whole = dataclasses.replace(config, **read.messages)
    for rules in ("documented", "toolkit"):
        plan = expand(config, read.known, rules, read.flavour)
        if read.messages and plan.to_dict() != expand(whole, read.known, rules, read.flavour).to_dict():
            raise AssertionError("condensing got tensors wrong; please report this")
        for key, value in plan.global_values.items():
            if key not in read.messages and read.globals.get(key, value) != value:
                raise AssertionError("condensing got '{}' wrong; please report this".format(key))
        for name, effective in plan.items():
            wanted = read.layers.get(name)
            enabled = wanted is not None and wanted.enabled
            if effective.quant_enable is not enabled or (wanted and wanted.block != effective.calibration_config):
                raise AssertionError("condensing got '{}' wrong; please report this".format(name))
