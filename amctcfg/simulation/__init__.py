# SPDX-License-Identifier: Apache-2.0
"""The quantization itself: factors, a model that computes as the quantized one does, and how much each layer suffers.

Needs numpy, onnx and onnxruntime: `pip install "amctcfg[simulate]"`.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 9):
    raise ImportError("the simulation needs Python 3.9 or newer; this is {}.{}".format(*sys.version_info[:2]))
try:
    import numpy as _numpy  # noqa: F401
    import onnx as _onnx  # noqa: F401
    import onnxruntime as _onnxruntime  # noqa: F401
except ImportError as _missing:
    _message = 'the simulation needs {}, which is not installed: pip install "amctcfg[simulate]"'
    raise ImportError(_message.format(_missing.name or "numpy, onnx and onnxruntime")) from None

from .batches import load_batches
from .changes import Cure, Tuned
from .network import SimulationError
from .simulating import Simulation, simulate
from .simulator import Refusal
from .sites import Factors
from .tuning import tune

__all__ = ["Cure", "Factors", "Refusal", "Simulation", "SimulationError", "Tuned", "load_batches", "simulate", "tune"]
