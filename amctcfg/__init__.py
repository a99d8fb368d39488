# SPDX-License-Identifier: Apache-2.0
"""Simplified configuration files of Huawei's AMCT: read, checked, explained, and expanded to every layer.

config = amctcfg.load("quant.cfg")
layers = amctcfg.load_layers("frozen.pb")
print(amctcfg.expand(config, layers).to_json())
"""

from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import simulation as simulation  # not in __all__, as it needs numpy
    from . import textformat, tuning
    from .checks.checking import check
    from .checks.expanding import expand
    from .diagnostics.diagnostic import ConfigError, Diagnostic
    from .diagnostics.source import Span
    from .documents.detecting import detect
    from .documents.document import Document, dump, dumps, load, loads, parse
    from .flavours import FLAVOURS
    from .flavours.caffe import CAFFE
    from .flavours.caffe_8_5 import CAFFE_8_5
    from .flavours.flavour import Flavour, LayerType
    from .flavours.ge import GE
    from .flavours.layer import Layer
    from .flavours.mindspore import MINDSPORE
    from .flavours.onnx import ONNX
    from .flavours.onnx_8_5 import ONNX_8_5
    from .flavours.pytorch import PYTORCH
    from .flavours.pytorch_9_0 import PYTORCH_9_0
    from .flavours.pytorch_9_1 import PYTORCH_9_1
    from .flavours.tensorflow import TENSORFLOW
    from .flavours.tensorflow_8_5 import TENSORFLOW_8_5
    from .flavours.tf_ascend import (
        TF_ASCEND,
        AMCTConfig,
        ARQuantize,
        CalibrationConfig,
        FMRQuantize,
        OverrideLayer,
        OverrideLayerType,
    )
    from .models.loading import load_layers
    from .models.tables import dump_layers
    from .models.tensorflow import layers_from_graph
    from .models.torch import layers_from_module
    from .resolve.effective import EffectiveConfig, Origin
    from .resolve.json_reading import read_plan
    from .resolve.plan import Plan
    from .resolve.resolver import merge
    from .tools.auditing import Finding, audit
    from .tools.condensing import condense
    from .tools.diffing import Change, diff
    from .tools.edits import skip, unskip
    from .tools.explaining import explain
    from .tools.fixing import fix
    from .tools.formatting import format  # noqa: A004  # the name of the contract

__version__ = "0.4.0"

# Where each public name is defined. It is imported when it is first asked for, so that `import amctcfg` costs nothing.
_HOMES = {
    "checks.checking": ("check",),
    "checks.expanding": ("expand",),
    "documents.detecting": ("detect",),
    "diagnostics.diagnostic": ("ConfigError", "Diagnostic"),
    "diagnostics.source": ("Span",),
    "documents.document": ("Document", "dump", "dumps", "load", "loads", "parse"),
    "flavours": ("FLAVOURS",),
    "flavours.flavour": ("Flavour", "LayerType"),
    "flavours.tf_ascend": (
        "AMCTConfig", "ARQuantize", "CalibrationConfig", "FMRQuantize", "OverrideLayer", "OverrideLayerType",
    ),
    "flavours.layer": ("Layer",),
    "models.loading": ("load_layers",),
    "models.tables": ("dump_layers",),
    "models.tensorflow": ("layers_from_graph",),
    "models.torch": ("layers_from_module",),
    "resolve.effective": ("EffectiveConfig", "Origin"),
    "resolve.resolver": ("merge",),
    "resolve.plan": ("Plan",),
    "resolve.json_reading": ("read_plan",),
    "tools.auditing": ("Finding", "audit"),
    "tools.condensing": ("condense",),
    "tools.diffing": ("Change", "diff"),
    "tools.edits": ("skip", "unskip"),
    "tools.explaining": ("explain",),
    "tools.fixing": ("fix",),
    "tools.formatting": ("format",),
}  # fmt: skip
_ROOMS = ("simulation", "textformat", "tuning")  # modules that are public as a whole

__all__ = [
    "CAFFE", "CAFFE_8_5", "FLAVOURS", "GE", "MINDSPORE", "ONNX", "ONNX_8_5", "PYTORCH", "PYTORCH_9_0", "PYTORCH_9_1",
    "TENSORFLOW", "TENSORFLOW_8_5", "TF_ASCEND",
    "AMCTConfig", "ARQuantize", "CalibrationConfig", "Change", "ConfigError", "Diagnostic", "Document",
    "EffectiveConfig", "FMRQuantize", "Finding", "Flavour", "Layer", "LayerType", "Origin", "OverrideLayer",
    "OverrideLayerType", "Plan", "Span", "__version__", "audit", "check", "condense", "detect", "diff", "dump", "dump_layers", "dumps",
    "expand", "explain", "fix", "format", "layers_from_graph", "layers_from_module", "load", "load_layers", "loads",
    "merge", "parse", "read_plan", "skip", "textformat", "tuning", "unskip",
]  # fmt: skip

_HOME_OF = {name: "flavours." + name.lower() for name in __all__ if name.isupper()}  # a flavour, in its module
_HOME_OF.update((name, module) for module, names in _HOMES.items() for name in names)


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for."""
    import importlib

    home = name if name in _ROOMS else _HOME_OF.get(name)
    if home is None:
        raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))
    try:
        found = importlib.import_module("." + home, __name__)
    except ModuleNotFoundError as error:
        if not "{}.{}.".format(__name__, home).startswith("{}.".format(error.name)):
            raise  # something else is missing
        message = "{!r} needs {}/{}, which was deleted from this copy".format(name, __name__, home.replace(".", "/"))
        raise AttributeError(message) from None
    value = found if name in _ROOMS else getattr(found, name)
    globals()[name] = value
    return value


def __dir__() -> "list[str]":
    return sorted({*__all__, *(name for name in globals() if name[:2] == name[-2:] == "__")})
