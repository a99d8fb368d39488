# SPDX-License-Identifier: Apache-2.0
"""PyTorch: `calibration_config_pytorch.proto`. Evidence: the toolkit's own code, 9.2.0-beta.2."""

from __future__ import annotations

from .._typing import TYPE_CHECKING
from ..messages.field import FRACTION, POSITIVE, Among, Interval, optional, repeated, required
from ..messages.kinds import BOOL, FLOAT, STRING, UINT32, Enum
from ..messages.message import Message, Problem, message, word_out_of_range
from . import algorithms, common
from .algorithms import ARQ_JSON_8, FAKEQUANT, HFMG_JSON, IFMR_JSON_8, DMQBalancer
from .common import CHANNELS
from .flavour import Flavour, LayerType, Types
from .json_layout import Constant, Layout, Value, Values
from .requirement import BY_TYPE, SOFTEN, WHERE_USED, Requirement, facts

if TYPE_CHECKING:
    from typing import Any, Iterator, Mapping

    from ..messages.field import Repeated
    from .json_layout import Items

__all__ = [
    "PYTORCH",
    "ADAquantize",
    "AMCTConfig",
    "ARQuantize",
    "CalibrationConfig",
    "DMQBalancer",
    "FMRQuantize",
    "HFMGQuantize",
    "OverrideLayer",
    "OverrideLayerType",
]

DST_TYPE = Enum("DataType", "INT8", "INT16")

INT16 = Requirement("int16", ("INT16",), "INT8", supported=True)
LOW_BITS = Requirement("low bits", (6, 7), 8)
INT4 = Requirement("int4", (4,), 8, by_type=SOFTEN, by_layer=SOFTEN)
ADA = Requirement("ada_quantize", supported=True)
BALANCER = Requirement("dmq_balancer", of_type="dmq_balancer by type", supported=True)
# AdaRound is dropped on a layer that can't have it, but its channel_wise is checked all the same.
ADA_CHANNELS = CHANNELS._replace(by_type=WHERE_USED)


@message
class ARQuantize(Message):
    """Quantization of weights: ARQ, a factor from the range of the weights."""

    channel_wise: bool | None = optional(BOOL, default=BY_TYPE, metadata=facts(requires=CHANNELS))
    """Whether each channel has its own quantization factor. Absent: true where the layer's type can have it."""
    quant_bits: int | None = optional(
        UINT32, default=8, within=Among(4, 6, 7, 8), metadata=facts(requires=(LOW_BITS, INT4))
    )
    """The width of the weights in bits (the vendor's page lists 6, 7 and 8 only)."""


@message
class ADAquantize(Message):
    """Quantization of weights: AdaRound, which learns for each weight whether it is rounded up or down."""

    num_iteration: int | None = optional(UINT32, default=10000)
    """How many steps it learns."""
    reg_param: float | None = optional(FLOAT, default=0.01, within=FRACTION)
    """The weight of the regularization."""
    beta_range_start: float | None = optional(FLOAT, default=20.0, within=POSITIVE)
    """The first value of the annealed parameter beta; greater than `beta_range_end`."""
    beta_range_end: float | None = optional(FLOAT, default=2.0, within=POSITIVE)
    """The last value of beta."""
    warm_start: float | None = optional(FLOAT, default=0.2, within=FRACTION)
    """The share of the steps before regularization begins."""
    channel_wise: bool | None = optional(BOOL, default=BY_TYPE, metadata=facts(requires=ADA_CHANNELS))
    """Whether each channel has its own quantization factor. Absent: true where the layer's type can have it."""

    @classmethod
    def __rules__(cls, values: Mapping[str, Any]) -> Iterator[Problem]:
        start, end = values.get("beta_range_start", 20.0), values.get("beta_range_end", 2.0)
        if start is not None and end is not None and start <= end:
            if "beta_range_start" in values:
                yield word_out_of_range("beta_range_start", start, "greater than beta_range_end, {}".format(end))
            else:
                yield word_out_of_range(
                    "beta_range_end", end, "less than beta_range_start, {} by default".format(start)
                )


@message
class WideADAquantize(ADAquantize):
    """AdaRound with a width that the toolkit reads from its JSON alone: no configuration can say it."""

    quant_bits: int | None = optional(UINT32, default=8, within=Among(4, 6, 7, 8))
    """The width of the weights in bits."""


@message
class FMRQuantize(common.FMRQuantize):
    dst_type: str | None = optional(DST_TYPE, default="INT8", metadata=facts(requires=INT16))
    """The type of the quantized activations."""


@message
class HFMGQuantize(algorithms.HFMGQuantize):
    dst_type: str | None = optional(DST_TYPE, default="INT8", metadata=facts(requires=INT16))
    """The type of the quantized activations."""


@message
class CalibrationConfig(Message):
    """Quantization of a layer: a block, which replaces lower blocks as a whole."""

    arq_quantize: ARQuantize | None = optional(ARQuantize, default=ARQuantize(), oneof="wts_quant_algo")
    """Quantize weights with ARQ, the default."""
    ada_quantize: ADAquantize | None = optional(ADAquantize, oneof="wts_quant_algo", metadata=facts(requires=ADA))
    """Quantize weights with AdaRound."""
    ifmr_quantize: FMRQuantize | None = optional(FMRQuantize, default=FMRQuantize(), oneof="acts_quant_algo")
    """Quantize activations with IFMR, the default."""
    hfmg_quantize: HFMGQuantize | None = optional(HFMGQuantize, oneof="acts_quant_algo")
    """Quantize activations with HFMG."""
    dmq_balancer: DMQBalancer | None = optional(DMQBalancer, oneof="tensor_balancer", metadata=facts(requires=BALANCER))
    """Balance activations and weights before quantization."""


@message
class OverrideLayerType(common.OverrideLayerType):
    layer_type: str = required(STRING)
    calibration_config: CalibrationConfig = required(CalibrationConfig)


@message
class OverrideLayer(common.OverrideLayer):
    layer_name: str = required(STRING)
    """The layer's name in the model: its path in `named_modules()`."""
    calibration_config: CalibrationConfig = required(CalibrationConfig)


@message
class AMCTConfig(common.Configuration):
    batch_num: int | None = optional(UINT32, default=1, within=Interval("greater than 0", 0))
    """The number of calibration batches."""
    activation_offset: bool | None = optional(BOOL, default=True)
    skip_layers: Repeated[str] = repeated(STRING)
    skip_layer_types: Repeated[str] = repeated(STRING)
    common_config: CalibrationConfig | None = optional(CalibrationConfig)
    override_layer_types: Repeated[OverrideLayerType] = repeated(OverrideLayerType, unique="layer_type")
    override_layer_configs: Repeated[OverrideLayer] = repeated(OverrideLayer, unique="layer_name")
    do_fusion: bool | None = optional(BOOL, default=True)
    skip_fusion_layers: Repeated[str] = repeated(STRING)
    fakequant_precision_mode: str | None = optional(FAKEQUANT)
    """The precision of fake quantization; absent: the toolkit's own choice."""


WEIGHT_BITS: Items = {"num_bits": Value("quant_bits")}
ACTIVATION_BITS: Items = {"num_bits": Value("dst_type", {"INT4": 4, "INT8": 8, "INT16": 16})}  # INT4: of JSON alone
ADA_JSON: Items = {
    "num_bits": Constant(8),
    "reg_param": Value("reg_param"),
    "warm_start": Value("warm_start"),
    "num_iteration": Value("num_iteration"),
    "beta_range": Values("beta_range_start", "beta_range_end"),
    "channel_wise": Value("channel_wise"),
    "wts_algo": Constant("ada_quantize"),
}

LAYOUT = Layout(
    globals=(
        "version", "batch_num", "activation_offset", "do_fusion", "fakequant_precision_mode", "skip_fusion_layers",
    ),
    when_set={"fakequant_precision_mode": "DEFAULT"},
    reserved=("tensor_quantize",),
    wider={"ada_quantize": (WideADAquantize, {**ADA_JSON, **WEIGHT_BITS})},
    switches=(("dmq_balancer_param", "dmq_balancer", "migration_strength"),),
    parts={
        "activation_quant_params": {
            "ifmr_quantize": {**IFMR_JSON_8, **ACTIVATION_BITS},
            "hfmg_quantize": {**HFMG_JSON, **ACTIVATION_BITS},
        },
        "weight_quant_params": {"arq_quantize": {**ARQ_JSON_8, **WEIGHT_BITS}, "ada_quantize": ADA_JSON},
    },
)  # fmt: skip

DMQ = ("dmq_balancer", "dmq_balancer by type")
ZEROS = ("zeros",)

TYPES = (
    LayerType(
        "Conv2d", "conv2d", channel_wise=True, fusible=True,
        abilities=("int16", "ada_quantize", "low bits", "int4", *DMQ), conditions=ZEROS,
    ),
    LayerType(
        "Conv3d", "conv3d", channel_wise=True, fusible=True, symmetric_only=True, abilities=("int4", *DMQ),
        conditions=(*ZEROS, "undilated depth"),
    ),
    LayerType("Linear", "matmul", abilities=("int16", "ada_quantize", "int4", *DMQ)),
    LayerType(
        "ConvTranspose2d", "deconv2d", channel_wise=True, abilities=("int16", "ada_quantize", "int4", *DMQ),
        conditions=ZEROS,
    ),
    LayerType("AvgPool2d", "avgpool", abilities=("int4",)),
    LayerType("Conv1d", "conv1d", channel_wise=True, fusible=True, abilities=("int16", "int4", *DMQ), conditions=ZEROS),
    LayerType("ConvTranspose1d", "deconv1d", channel_wise=True, abilities=("int16", "int4", *DMQ), conditions=ZEROS),
    LayerType("LSTM", "lstm", channel_wise=True, abilities=("int16", "int4", "dmq_balancer"), conditions=("plain rnn",)),
    LayerType("GRU", "gru", channel_wise=True, abilities=("int16", "int4", "dmq_balancer"), conditions=("plain rnn",)),
)  # fmt: skip

PYTORCH: Flavour[AMCTConfig] = Flavour(
    name="pytorch",
    proto="calibration_config_pytorch.proto",
    config=AMCTConfig,
    types=Types(TYPES),
    layout=LAYOUT,
    evidence="code",
    graphs="torch",
    title="PyTorch",
    versions="9.2 and newer",
    removed_fields=(
        ("nuq_config", "non-uniform quantization is gone from 9.0 on; delete it"),
        ("enable_auto_nuq", "non-uniform quantization is gone from 9.0 on; delete it"),
    ),
)
