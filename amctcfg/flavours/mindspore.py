# SPDX-License-Identifier: Apache-2.0
"""MindSpore: the calibration configuration of AMCT for MindSpore. Evidence: the vendor's pages only.

Its messages are those of TF-Ascend. Whether it has HFMG, and whether its types are named by the layer (Dense) or by the
primitive (MatMul), is not documented; the names here are the page's.
"""

from __future__ import annotations

from ..messages.message import message
from . import tf_ascend
from .flavour import Flavour, LayerType, Types
from .tf_ascend import ARQuantize, CalibrationConfig, FMRQuantize, OverrideLayer, OverrideLayerType

__all__ = [
    "MINDSPORE",
    "AMCTConfig",
    "ARQuantize",
    "CalibrationConfig",
    "FMRQuantize",
    "OverrideLayer",
    "OverrideLayerType",
]


@message
class AMCTConfig(tf_ascend.AMCTConfig):
    """A simplified configuration file for MindSpore, with the fields of TF-Ascend."""


MINDSPORE: Flavour[AMCTConfig] = Flavour(
    name="mindspore",
    proto="calibration_config_mindspore.proto",
    config=AMCTConfig,
    title="MindSpore",
    versions="5.0.4 to 8.5",
    deprecated="deprecated in 9.0.0, and to be deleted in a version after it",
    types=Types(
        (
            LayerType("Conv2d", "conv2d", channel_wise=True, fusible=True),
            LayerType("Dense", "matmul"),
        )
    ),
    layout=tf_ascend.TF_ASCEND.layout,
    removed_fields=(("hfmg_quantize", "whether mindspore has it is not documented"),),
)
