# SPDX-License-Identifier: Apache-2.0
"""TF-Ascend: `calibration_config_ascend_tf.proto`, TensorFlow on Ascend. Evidence: the toolkit's own code."""

from __future__ import annotations

from .._typing import TYPE_CHECKING
from ..messages.field import optional, repeated, required
from ..messages.kinds import BOOL, STRING
from ..messages.message import Message, message
from . import common
from .common import CHANNELS, IFMR_JSON, FMRQuantize
from .flavour import Flavour, LayerType, Types
from .json_layout import Constant, Layout, Value
from .requirement import BY_TYPE, facts

if TYPE_CHECKING:
    from ..messages.field import Repeated

__all__ = [
    "TF_ASCEND",
    "AMCTConfig",
    "ARQuantize",
    "CalibrationConfig",
    "FMRQuantize",
    "OverrideLayer",
    "OverrideLayerType",
]


@message
class ARQuantize(Message):
    """Quantization of weights: ARQ, a factor from the range of the weights."""

    channel_wise: bool | None = optional(BOOL, default=BY_TYPE, metadata=facts(requires=CHANNELS))
    """Whether each channel has its own quantization factor. Absent: true where the layer's type can have it."""


@message
class CalibrationConfig(Message):
    """Quantization of a layer: a block, which replaces lower blocks as a whole."""

    arq_quantize: ARQuantize | None = optional(ARQuantize, default=ARQuantize())
    """How weights are quantized. Absent is the same as empty."""
    ifmr_quantize: FMRQuantize | None = optional(FMRQuantize, default=FMRQuantize())
    """How activations are quantized. Absent is the same as empty."""


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
    activation_offset: bool | None = optional(BOOL, default=True)
    skip_layers: Repeated[str] = repeated(STRING)
    skip_layer_types: Repeated[str] = repeated(STRING)
    common_config: CalibrationConfig | None = optional(CalibrationConfig)
    override_layer_types: Repeated[OverrideLayerType] = repeated(OverrideLayerType, unique="layer_type")
    override_layer_configs: Repeated[OverrideLayer] = repeated(OverrideLayer, unique="layer_name")
    do_fusion: bool | None = optional(BOOL, default=True)
    skip_fusion_layers: Repeated[str] = repeated(STRING)


TF_ASCEND: Flavour[AMCTConfig] = Flavour(
    name="tf-ascend",
    proto="calibration_config_ascend_tf.proto",
    config=AMCTConfig,
    title="TensorFlow on Ascend",
    evidence="code",
    graphs="tensorflow",
    types=Types(
        (
            LayerType("Conv2D", "conv2d", channel_wise=True, fusible=True, conditions=("constant_filter",)),
            LayerType(
                "DepthwiseConv2dNative",
                "depthwise",
                channel_wise=True,
                fusible=True,
                conditions=("constant_filter", "undilated"),
            ),
            LayerType(
                "Conv2DBackpropInput", "deconv2d", channel_wise=True, conditions=("constant_filter", "undilated")
            ),
            LayerType("MatMul", "matmul", conditions=("untransposed",)),
            LayerType("BatchMatMul", "batchmatmul", conditions=("untransposed",)),
            LayerType("BatchMatMulV2", "batchmatmul", conditions=("untransposed",)),
            LayerType("AvgPool", "avgpool"),
        )
    ),
    layout=Layout(
        globals=("version", "activation_offset", "do_fusion", "skip_fusion_layers"),
        parts={
            "activation_quant_params": {"ifmr_quantize": IFMR_JSON},
            "weight_quant_params": {
                "arq_quantize": {"wts_algo": Constant("arq_quantize"), "channel_wise": Value("channel_wise")}
            },
        },
        tolerated={"num_bits": Constant(8)},
    ),
)
