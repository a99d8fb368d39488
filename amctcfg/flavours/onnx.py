# SPDX-License-Identifier: Apache-2.0
"""ONNX: the calibration configuration of AMCT for ONNX. Evidence: the vendor's pages only."""

from __future__ import annotations

from .._typing import TYPE_CHECKING
from ..messages.field import Interval, optional, repeated, required
from ..messages.kinds import BOOL, STRING, UINT32
from ..messages.message import message
from . import algorithms, common
from .algorithms import (
    FAKEQUANT,
    PARTS_8,
    DMQBalancer,
    HFMGQuantize,
    TensorQuantize,
    word_removed_nuq,
    word_undocumented,
)
from .common import FMRQuantize
from .flavour import Flavour, LayerType, Types
from .json_layout import Layout
from .tf_ascend import ARQuantize

if TYPE_CHECKING:
    from ..messages.field import Repeated

__all__ = [
    "ONNX",
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
class CalibrationConfig(algorithms.CalibrationConfig):
    dmq_balancer: DMQBalancer | None = optional(DMQBalancer, oneof="tensor_balancer")
    """Balance activations and weights before quantization. Which types can have it is not documented."""


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
    fakequant_precision_mode: str | None = optional(FAKEQUANT)
    """The precision of fake quantization; absent: the toolkit's own choice."""
    tensor_quantize: Repeated[TensorQuantize] = repeated(TensorQuantize, unique=None)
    """Inputs of MaxPool and Add layers that are quantized on their own."""


LAYOUT = Layout(
    globals=(
        "version", "batch_num", "activation_offset", "joint_quant", "do_fusion", "fakequant_precision_mode",
        "skip_fusion_layers", "tensor_quantize",
    ),
    when_set={"fakequant_precision_mode": "DEFAULT"},
    switches=(("dmq_balancer_param", "dmq_balancer", "migration_strength"),),
    parts=PARTS_8,
)  # fmt: skip

ONNX: Flavour[AMCTConfig] = Flavour(
    name="onnx",
    proto="calibration_config_onnx.proto",
    config=AMCTConfig,
    title="ONNX",
    versions="9.0 and newer",
    graphs="onnx",
    types=Types((
        LayerType(
            "Conv", "conv2d", channel_wise=True, fusible=True, conditions=("constant weight", "4 or 5 dimensions")
        ),
        LayerType("Gemm", "matmul", conditions=("plain gemm", "constant weight")),
        LayerType("MatMul", "matmul", conditions=("product",)),
        LayerType(
            "ConvTranspose", "deconv2d", channel_wise=True, fusible=True,
            conditions=("constant weight", "4 or 5 dimensions"),
        ),
        LayerType("AveragePool", "avgpool", conditions=("4 dimensions",)),
        LayerType("MaxPool", "maxpool", quantizable=False),
        LayerType("Add", "add", quantizable=False),
    )),
    layout=LAYOUT,
    removed_fields=(*word_removed_nuq("onnx-8.5"), *word_undocumented("onnx")),
)  # fmt: skip
