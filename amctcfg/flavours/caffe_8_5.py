# SPDX-License-Identifier: Apache-2.0
"""Caffe up to 8.5: with `nuq_config`, which the pages of 9.0 lack. Evidence: the vendor's pages only."""

from __future__ import annotations

from .._typing import TYPE_CHECKING
from ..messages.field import optional
from ..messages.message import message
from . import caffe
from .algorithms import NUQConfig, NUQuantize
from .caffe import ARQuantize, CalibrationConfig, FMRQuantize, HFMGQuantize, OverrideLayer, OverrideLayerType
from .flavour import Flavour

if TYPE_CHECKING:
    from typing import Optional

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
    nuq_config: Optional[NUQConfig] = optional(NUQConfig)
    """Non-uniform quantization: read, kept and printed."""


REMOVED = tuple((name, words) for name, words in caffe.CAFFE.removed_fields if not name.startswith("nuq"))

CAFFE_8_5: Flavour[AMCTConfig] = Flavour(
    name="caffe-8.5",
    proto=caffe.CAFFE.proto,
    config=AMCTConfig,
    types=caffe.CAFFE.types,
    layout=caffe.CAFFE.layout,
    graphs=caffe.CAFFE.graphs,
    title=caffe.CAFFE.title,
    versions="7.0 to 8.5",
    removed_fields=REMOVED,
    deprecated_blocks=caffe.CAFFE.deprecated_blocks,
    deprecated_fields=caffe.CAFFE.deprecated_fields,
)
