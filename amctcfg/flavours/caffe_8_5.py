# SPDX-License-Identifier: Apache-2.0
"""Caffe up to 8.5: with `nuq_config`, which the pages of 9.0 lack. Evidence: the vendor's pages only."""

from __future__ import annotations

from ..messages.field import optional
from ..messages.message import message
from . import caffe
from .algorithms import NUQConfig, NUQuantize
from .caffe import ARQuantize, CalibrationConfig, FMRQuantize, HFMGQuantize, OverrideLayer, OverrideLayerType
from .flavour import Flavour, derive_older_version

__all__ = [
    "CAFFE_8_5",
    "AMCTConfig",
    "ARQuantize",
    "CalibrationConfig",
    "FMRQuantize",
    "HFMGQuantize",
    "NUQConfig",
    "NUQuantize",
    "OverrideLayer",
    "OverrideLayerType",
]


@message
class AMCTConfig(caffe.AMCTConfig):
    nuq_config: NUQConfig | None = optional(NUQConfig)
    """Non-uniform quantization: read, kept and printed."""


CAFFE_8_5: Flavour[AMCTConfig] = derive_older_version(
    caffe.CAFFE,
    "8.5",
    AMCTConfig,
    versions="7.0 to 8.5",
    removed_fields=(),
)
