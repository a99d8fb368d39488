# SPDX-License-Identifier: Apache-2.0
"""ONNX up to 8.5: with `nuq_config`, which the pages of 9.0 lack. Evidence: the vendor's pages only."""

from __future__ import annotations

from ..messages.field import optional
from ..messages.message import message
from . import onnx
from .algorithms import NUQConfig, NUQuantize, word_undocumented
from .flavour import Flavour, derive_older_version
from .onnx import (
    ARQuantize,
    CalibrationConfig,
    DMQBalancer,
    FMRQuantize,
    HFMGQuantize,
    OverrideLayer,
    OverrideLayerType,
    TensorQuantize,
)

__all__ = [
    "ONNX_8_5",
    "AMCTConfig",
    "ARQuantize",
    "CalibrationConfig",
    "DMQBalancer",
    "FMRQuantize",
    "HFMGQuantize",
    "NUQConfig",
    "NUQuantize",
    "OverrideLayer",
    "OverrideLayerType",
    "TensorQuantize",
]


@message
class AMCTConfig(onnx.AMCTConfig):
    nuq_config: NUQConfig | None = optional(NUQConfig)
    """Non-uniform quantization: read, kept and printed."""


ONNX_8_5: Flavour[AMCTConfig] = derive_older_version(
    onnx.ONNX,
    "8.5",
    AMCTConfig,
    versions="7.0 to 8.5",
    removed_fields=word_undocumented("onnx"),
)
