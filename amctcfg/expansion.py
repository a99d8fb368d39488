# SPDX-License-Identifier: Apache-2.0
"""The whole model: a `Plan` of the effective configuration of each layer, and the toolkit's JSON."""

from __future__ import annotations

from typing import Any, Dict, Iterable, Iterator, Mapping, Tuple, Union

from .diagnostics import ConfigError, Diagnostic, position
from .document import Document
from .lint import warnings
from .merging import DOCUMENTED, EffectiveConfig
from .model import Model
from .schema import DEFAULTS, AMCTConfig
from .target import TF_ASCEND, Layer, Target
from .validate import errors

__all__ = ["Plan", "expand"]

VERSION = 1  # of the JSON quantization config


class Plan(Mapping[str, EffectiveConfig]):
    """The effective configuration of each supported layer, by name, in the order of the layers; immutable.

    `config` is the configuration, `target` what it was expanded for, `warnings` what is worth knowing about it.
    """

    __slots__ = ("_layers", "config", "target", "warnings")

    def __init__(
        self,
        layers: Iterable[EffectiveConfig],
        config: AMCTConfig,
        target: Target = TF_ASCEND,
        warnings: Tuple[Diagnostic, ...] = (),
    ) -> None:
        self._layers = {effective.layer.name: effective for effective in layers}
        self.config: AMCTConfig = config
        self.target: Target = target
        self.warnings: Tuple[Diagnostic, ...] = warnings

    def __getitem__(self, name: str) -> EffectiveConfig:
        return self._layers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)

    def __hash__(self) -> int:
        return hash(tuple(self._layers.values()))

    def __repr__(self) -> str:
        return "<Plan of {} layers for {}>".format(len(self), self.target.name)

    def to_json(self) -> str:
        """The JSON quantization config as the toolkit writes it: global keys, then layers sorted by name."""
        import json  # only needed here

        quote = json.encoder.encode_basestring_ascii
        head = json.dumps(global_keys(self.config), indent=4, separators=(",", ":"))
        layers = [layer_json(quote(name), self._layers[name]) for name in sorted(self._layers)]
        return ",\n".join([head[: -len("\n}")], *layers]) + "\n}"

    def to_dict(self) -> Dict[str, Any]:
        """The JSON quantization config as Python values."""
        import json

        result: Dict[str, Any] = json.loads(self.to_json())
        return result


def global_keys(config: AMCTConfig) -> Dict[str, Any]:
    values: Dict[str, Any] = {"version": VERSION}
    for name in ("activation_offset", "do_fusion"):
        value = getattr(config, name)
        values[name] = DEFAULTS[name] if value is None else value
    values["skip_fusion_layers"] = config.skip_fusion_layers
    return values


# A layer's entry, as json.dumps(indent=4, separators=(",", ":")) writes it; Python's own encoder is slow with indents.
LAYER_JSON = """\
    {}:{{
        "quant_enable":{},
        "activation_quant_params":{{
            "max_percentile":{},
            "min_percentile":{},
            "search_range":[
                {},
                {}
            ],
            "search_step":{},
            "act_algo":"ifmr",
            "asymmetric":{}
        }},
        "weight_quant_params":{{
            "wts_algo":"arq_quantize",
            "channel_wise":{}
        }}
    }}"""

JSON_BOOL = {True: "true", False: "false"}


def layer_json(name: str, effective: EffectiveConfig) -> str:
    weights, activations = effective.calibration_config.arq_quantize, effective.calibration_config.ifmr_quantize
    assert weights is not None and activations is not None  # every field of an EffectiveConfig is set
    return LAYER_JSON.format(
        name,
        JSON_BOOL[effective.quant_enable],
        activations.max_percentile,
        activations.min_percentile,
        activations.search_range_start,
        activations.search_range_end,
        activations.search_step,
        JSON_BOOL[activations.asymmetric],  # type: ignore[index]
        JSON_BOOL[weights.channel_wise],  # type: ignore[index]
    )


def expand(
    config: Union[AMCTConfig, Document], layers: Iterable[Layer], target: Target = TF_ASCEND, rules: str = DOCUMENTED
) -> Plan:
    """The effective configuration of every supported layer of a model, skipped ones included.

    Raises `ConfigError` with all errors that the configuration has on these layers, `ValueError` for two layers
    of one name. `rules` as for `merge`.
    """
    model = Model(config, layers, target, rules)
    found = errors(model)
    if found:
        raise ConfigError(found, model.document.text if model.document else None)
    read = model.document.diagnostics if model.document else ()
    told = tuple(sorted(read + warnings(model), key=position))
    return Plan(map(model.merger.merge, model.supported), model.config, target, told)
