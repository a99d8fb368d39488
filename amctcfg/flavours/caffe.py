# SPDX-License-Identifier: Apache-2.0
"""Caffe: the calibration configuration of AMCT for Caffe. Evidence: the vendor's pages only."""

from __future__ import annotations

from .._typing import TYPE_CHECKING
from ..messages.field import Interval, optional, repeated, required
from ..messages.kinds import BOOL, STRING, UINT32
from ..messages.message import message
from . import algorithms, common
from .algorithms import PARTS_8, HFMGQuantize, word_removed_nuq
from .common import FMRQuantize
from .flavour import Flavour, LayerType, Types
from .json_layout import Layout
from .tf_ascend import ARQuantize

if TYPE_CHECKING:
    from ..messages.field import Repeated

__all__ = [
    "CAFFE",
    "AMCTConfig",
    "ARQuantize",
    "CalibrationConfig",
    "FMRQuantize",
    "HFMGQuantize",
    "OverrideLayer",
    "OverrideLayerType",
]


@message
class CalibrationConfig(algorithms.CalibrationConfig):
    """Quantization of a layer: a block, which replaces lower blocks as a whole."""

    # A class of its own, as a block of ONNX, which may have a balancer, is not one of Caffe's.


@message
class OverrideLayerType(common.OverrideLayerType):
    layer_type: str = required(STRING)
    calibration_config: CalibrationConfig = required(CalibrationConfig)


@message
class OverrideLayer(common.OverrideLayer):
    layer_name: str = required(STRING)
    calibration_config: CalibrationConfig = required(CalibrationConfig)


@message
class AMCTConfig(common.Configuration):
    batch_num: int | None = optional(UINT32, default=1, within=Interval("greater than 0", 0))
    """The number of calibration batches."""
    activation_offset: bool | None = optional(BOOL, default=True)
    joint_quant: bool | None = optional(BOOL, default=False)
    """Whether the inputs of an element-wise addition are quantized together."""
    skip_layers: Repeated[str] = repeated(STRING)
    skip_layer_types: Repeated[str] = repeated(STRING)
    common_config: CalibrationConfig | None = optional(CalibrationConfig)
    override_layer_types: Repeated[OverrideLayerType] = repeated(OverrideLayerType, unique="layer_type")
    override_layer_configs: Repeated[OverrideLayer] = repeated(OverrideLayer, unique="layer_name")
    do_fusion: bool | None = optional(BOOL, default=True)
    skip_fusion_layers: Repeated[str] = repeated(STRING)
    conv_calibration_config: CalibrationConfig | None = optional(CalibrationConfig)
    """Deprecated: counts as common_config where there is neither that nor an override of a type."""
    fc_calibration_config: CalibrationConfig | None = optional(CalibrationConfig)
    """Deprecated: counts as an override of InnerProduct and of Pooling, as conv_calibration_config does."""


CAFFE: Flavour[AMCTConfig] = Flavour(
    name="caffe",
    proto="calibration_config_caffe.proto",
    config=AMCTConfig,
    title="Caffe",
    versions="9.0 and newer",
    types=Types(
        (
            LayerType("Convolution", "conv2d", channel_wise=True, fusible=True),
            LayerType("Deconvolution", "deconv2d", channel_wise=True, fusible=True),
            LayerType("InnerProduct", "matmul", fusible=True),
            LayerType("Pooling", "avgpool"),
        )
    ),
    layout=Layout(
        globals=("version", "batch_num", "activation_offset", "joint_quant", "do_fusion", "skip_fusion_layers"),
        parts=PARTS_8,
    ),
    removed_fields=word_removed_nuq("caffe-8.5"),
    deprecated_fields=(
        ("conv_calibration_config", "write common_config"),
        ("fc_calibration_config", "write an override_layer_types for InnerProduct, and one for Pooling"),
    ),
    deprecated_blocks=(("conv_calibration_config", ()), ("fc_calibration_config", ("InnerProduct", "Pooling"))),
)
