# SPDX-License-Identifier: Apache-2.0
"""GE: the configuration that ATC and AOE quantize by while they compile. Evidence: the vendor's pages only.

Its types are the names of the Ascend IR. It writes no JSON.
"""

from __future__ import annotations

from .._typing import TYPE_CHECKING
from ..messages.field import Among, optional, repeated, required
from ..messages.kinds import BOOL, INT32, STRING, UINT32, Enum
from ..messages.message import Message, Problem, message
from . import common
from .flavour import Flavour, LayerType, Types
from .requirement import BY_TYPE, Requirement, facts

if TYPE_CHECKING:
    from typing import Any, Iterator, Mapping

    from ..messages.field import Repeated

__all__ = [
    "GE",
    "AMCTConfig",
    "ARQuantize",
    "CalibrationConfig",
    "FMRQuantize",
    "OverrideLayer",
    "OverrideLayerType",
    "TensorQuantize",
]


DST_TYPE = Enum("DataType", "INT8", "INT16")

# Weight-only quantization lets products have a factor for each channel, which they can't have otherwise.
WEIGHTS_ONLY = "weight_compress_only"
CHANNELS = common.CHANNELS._replace(unless=(WEIGHTS_ONLY, "channel_wise alone"))
LOW_BITS = Requirement("low bits", (6, 7), 8)
COMPRESSION = Requirement(WEIGHTS_ONLY, (True,), False)


@message
class ARQuantize(Message):
    """Quantization of weights: ARQ, a factor from the range of the weights."""

    channel_wise: bool | None = optional(BOOL, default=BY_TYPE, metadata=facts(requires=CHANNELS))
    """Whether each channel has its own quantization factor. Absent: true where the layer's type can have it."""
    quant_bits: int | None = optional(UINT32, default=8, within=Among(6, 7, 8), metadata=facts(requires=LOW_BITS))
    """The width of the weights in bits; 6 and 7 for Conv2D only."""
    asymmetric: bool | None = optional(BOOL, default=False, metadata=facts(cascades=""))
    """Whether weights are quantized with an offset; true needs `weight_compress_only: true`."""


@message
class FMRQuantize(common.FMRQuantize):
    dst_type: str | None = optional(DST_TYPE, default="INT8")
    """The type of the quantized activations; INT16 on some devices only."""


@message
class CalibrationConfig(Message):
    """Quantization of a layer: a block, which replaces lower blocks as a whole."""

    arq_quantize: ARQuantize | None = optional(ARQuantize, default=ARQuantize(), oneof="wts_quant_algo")
    """Quantize weights with ARQ. Absent is the same as empty."""
    ifmr_quantize: FMRQuantize | None = optional(FMRQuantize, default=FMRQuantize(), oneof="acts_quant_algo")
    """Quantize activations with IFMR. Absent is the same as empty."""
    weight_compress_only: bool | None = optional(BOOL, default=False, metadata=facts(requires=COMPRESSION))
    """Whether only the weights are quantized: MatMulV2, BatchMatMulV2 and FFN."""

    @classmethod
    def __rules__(cls, values: Mapping[str, Any]) -> Iterator[Problem]:
        weights, only = values.get("arq_quantize"), values.get("weight_compress_only", False)
        if weights is not None and weights.asymmetric and only is False:
            message = "asymmetric weights need weight_compress_only: true in the same block"
            path = ("arq_quantize", "asymmetric")
            yield Problem("out-of-range", path, message, "write asymmetric: false, or set weight_compress_only")


@message
class TensorQuantize(Message):
    """An input of a layer that is quantized on its own."""

    layer_name: str = required(STRING)
    """The layer's name in the model."""
    input_index: int = required(UINT32)
    """Which of its inputs, from 0."""
    ifmr_quantize: FMRQuantize | None = optional(FMRQuantize, default=FMRQuantize())
    """By IFMR."""


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
    version: int | None = optional(INT32, default=1)
    """The version of the format."""
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
    tensor_quantize: Repeated[TensorQuantize] = repeated(TensorQuantize, unique=None)
    """Inputs of MaxPool and Add layers that are quantized on their own."""


PLAIN = (WEIGHTS_ONLY, "channel_wise alone")

GE: Flavour[AMCTConfig] = Flavour(
    name="ge",
    proto="",
    config=AMCTConfig,
    title="GE, ATC and AOE",
    versions="6.0.1 and newer",
    types=Types((
        LayerType("Conv2D", "conv2d", channel_wise=True, fusible=True, abilities=("low bits",), aliases=("Convolution", "Conv")),
        LayerType("DepthwiseConv2D", "depthwise", channel_wise=True, fusible=True, aliases=("DepthwiseConv2dNative",)),
        LayerType("Conv2DBackpropInput", "deconv2d", channel_wise=True),
        LayerType("Conv2DTranspose", "deconv2d", channel_wise=True, fusible=True, aliases=("ConvTranspose",)),
        LayerType("Deconvolution", "deconv2d", channel_wise=True, fusible=True),
        LayerType("Conv3D", "conv3d", channel_wise=True, fusible=True, aliases=("Conv",)),
        LayerType("FullyConnection", "matmul", fusible=True, aliases=("InnerProduct",)),
        LayerType("MatMulV2", "matmul", fusible=True, abilities=PLAIN, aliases=("MatMul", "Gemm")),
        LayerType("BatchMatMulV2", "batchmatmul", abilities=PLAIN, aliases=("BatchMatMul", "MatMul")),
        LayerType("FFN", "ffn", abilities=(WEIGHTS_ONLY,)),
        LayerType("AvgPool", "avgpool"),
        LayerType("AvgPoolV2", "avgpool", aliases=("AveragePool",)),
        LayerType("Pooling", "avgpool"),
        LayerType("MaxPool", "maxpool", quantizable=False),
        LayerType("MaxPoolV3", "maxpool", quantizable=False),
        LayerType("Add", "add", quantizable=False),
        LayerType("Eltwise", "add", quantizable=False),
    )),
    removed_fields=(
        ("hfmg_quantize", "GE has IFMR only; delete it"),
        ("enable_auto_nuq", "non-uniform quantization is gone from 9.0 on; delete it"),
        ("nuq_config", "GE does not document it; delete it"),
    ),
)  # fmt: skip
