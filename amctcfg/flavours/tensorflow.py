# SPDX-License-Identifier: Apache-2.0
"""TensorFlow: the calibration configuration of AMCT for TensorFlow. Evidence: the vendor's pages only."""

from __future__ import annotations

from .._typing import TYPE_CHECKING
from ..messages.field import Interval, optional, repeated
from ..messages.kinds import BOOL, STRING, UINT32
from ..messages.message import message
from .algorithms import FAKEQUANT, DMQBalancer, HFMGQuantize, TensorQuantize, word_removed_nuq, word_undocumented
from .common import Configuration, FMRQuantize
from .flavour import Flavour, LayerType, Types
from .onnx import LAYOUT, CalibrationConfig, OverrideLayer, OverrideLayerType
from .tf_ascend import ARQuantize

if TYPE_CHECKING:
    from ..messages.field import Repeated

__all__ = [
    "TENSORFLOW",
    "AMCTConfig",
    "ARQuantize",
    "CalibrationConfig",
    "DMQBalancer",
    "FMRQuantize",
    "HFMGQuantize",
    "OverrideLayer",
    "OverrideLayerType",
    "TensorQuantize",
]


@message
class AMCTConfig(Configuration):
    batch_num: int | None = optional(UINT32, default=1, within=Interval("greater than 0", 0))
    """The number of calibration batches."""
    activation_offset: bool | None = optional(BOOL, default=True)
    joint_quant: bool | None = optional(BOOL, default=False)
    """Whether the inputs of an element-wise addition are quantized together."""
    skip_layers: Repeated[str] = repeated(STRING)
    skip_layer_types: Repeated[str] = repeated(STRING)
    skip_approximation_layers: Repeated[str] = repeated(STRING)
    """Layers that are not approximated (not documented for each version)."""
    common_config: CalibrationConfig | None = optional(CalibrationConfig)
    override_layer_types: Repeated[OverrideLayerType] = repeated(OverrideLayerType, unique="layer_type")
    override_layer_configs: Repeated[OverrideLayer] = repeated(OverrideLayer, unique="layer_name")
    do_fusion: bool | None = optional(BOOL, default=True)
    skip_fusion_layers: Repeated[str] = repeated(STRING)
    fakequant_precision_mode: str | None = optional(FAKEQUANT)
    """The precision of fake quantization; absent: the toolkit's own choice."""
    tensor_quantize: Repeated[TensorQuantize] = repeated(TensorQuantize, unique=None)
    """Inputs of MaxPool and Add layers that are quantized on their own."""


PRODUCT = ("untransposed", "one constant")

TENSORFLOW: Flavour[AMCTConfig] = Flavour(
    name="tensorflow",
    proto="calibration_config_tf.proto",
    config=AMCTConfig,
    title="TensorFlow",
    versions="9.0 and newer",
    deprecated_fields=(("skip_approximation_layers", "approximate calibration is deprecated in 9.0"),),
    graphs="tensorflow",
    types=Types((
        LayerType("Conv2D", "conv2d", channel_wise=True, fusible=True, conditions=("constant_filter",)),
        LayerType("DepthwiseConv2dNative", "depthwise", channel_wise=True, fusible=True, conditions=("constant_filter",)),
        LayerType(
            "Conv3D", "conv3d", channel_wise=True, fusible=True, conditions=("constant_filter", "undilated depth")
        ),
        LayerType("Conv2DBackpropInput", "deconv2d", channel_wise=True, conditions=("constant_filter", "undilated")),
        LayerType("MatMul", "matmul", fusible=True, conditions=("untransposed",)),
        LayerType("BatchMatMul", "batchmatmul", conditions=PRODUCT),
        LayerType("BatchMatMulV2", "batchmatmul", conditions=PRODUCT),
        LayerType("AvgPool", "avgpool"),
        LayerType("MaxPool", "maxpool", quantizable=False),
        LayerType("Add", "add", quantizable=False),
    )),
    layout=LAYOUT,
    removed_fields=(*word_removed_nuq("tensorflow-8.5"), *word_undocumented("tensorflow")),
)  # fmt: skip
