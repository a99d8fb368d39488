# SPDX-License-Identifier: Apache-2.0
"""Simplified configuration files of Huawei's AMCT: read, checked, explained, and expanded to every layer.

config = amctcfg.load("quant.cfg")
layers = amctcfg.load_layers("frozen.pb")
print(amctcfg.expand(config, layers).to_json())
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without the import
if TYPE_CHECKING:
    from typing import Any, List

    from . import textformat
    from .checking import check
    from .condensing import condense
    from .diagnostics import ConfigError, Diagnostic
    from .diffing import Change, diff
    from .document import Document, dump, load, loads, parse
    from .expansion import Plan, expand
    from .formatting import format  # noqa: A004  # the name of the contract
    from .graph import layers_from_graph
    from .layers import load_layers
    from .merging import EffectiveConfig, Origin, merge
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

# Where each name is defined. It is imported when it is first asked for, so that `import amctcfg` costs next to nothing.
_HOMES = {
    "checking": ("check",),
    "condensing": ("condense",),
    "diagnostics": ("ConfigError", "Diagnostic"),
    "diffing": ("Change", "diff"),
    "document": ("Document", "dump", "load", "loads", "parse"),
    "expansion": ("Plan", "expand"),
    "formatting": ("format",),
    "graph": ("layers_from_graph",),
    "layers": ("load_layers",),
    "merging": ("EffectiveConfig", "Origin", "merge"),
    "printing": ("dumps",),
    "schema": ("AMCTConfig", "ARQuantize", "CalibrationConfig", "FMRQuantize", "OverrideLayer", "OverrideLayerType"),
    "source": ("Span",),
    "target": ("TF_ASCEND", "Layer", "Target"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "textformat":
        return importlib.import_module(".textformat", __name__)
    if name not in _HOME_OF:
        raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))
    value = getattr(importlib.import_module("." + _HOME_OF[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> List[str]:
    return sorted(set(globals()) | set(__all__))
