# SPDX-License-Identifier: Apache-2.0
"""Simplified configuration files of Huawei's AMCT: read, checked, explained, and expanded to every layer.

config = amctcfg.load("quant.cfg")
layers = amctcfg.load_layers("frozen.pb")
print(amctcfg.expand(config, layers).to_json())
"""

from __future__ import annotations

from . import textformat
from .checking import check
from .condense import condense
from .diagnostics import ConfigError, Diagnostic
from .diff import Change, diff
from .document import Document, dump, load, loads, parse
from .expand import Plan, expand
from .formatting import format  # noqa: A004  # the name of the contract
from .graph import layers_from_graph
from .layers import load_layers
from .merge import EffectiveConfig, Origin, merge
from .printing import dumps
from .schema import AMCTConfig, ARQuantize, CalibrationConfig, FMRQuantize, OverrideLayer, OverrideLayerType
from .source import Span
from .target import TF_ASCEND, Layer, Target

__version__ = "0.1.0"

__all__ = [
    "TF_ASCEND",
    "AMCTConfig",
    "ARQuantize",
    "CalibrationConfig",
    "Change",
    "ConfigError",
    "Diagnostic",
    "Document",
    "EffectiveConfig",
    "FMRQuantize",
    "Layer",
    "Origin",
    "OverrideLayer",
    "OverrideLayerType",
    "Plan",
    "Span",
    "Target",
    "__version__",
    "check",
    "condense",
    "diff",
    "dump",
    "dumps",
    "expand",
    "format",
    "layers_from_graph",
    "load",
    "load_layers",
    "loads",
    "merge",
    "parse",
    "textformat",
]
