# SPDX-License-Identifier: Apache-2.0
"""PyTorch 9.0: five layer types, and activations of 8 bits only. Evidence: the toolkit's own code."""

from __future__ import annotations

from .._typing import TYPE_CHECKING
from ..messages.field import Choice, optional, repeated, required
from ..messages.kinds import UINT32, enum
from ..messages.message import message
from . import pytorch
from .flavour import Flavour, Types
from .pytorch import LOW_BITS, ADAquantize, DMQBalancer
from .requirement import facts

if TYPE_CHECKING:
    from typing import Optional

    from ..messages.field import Repeated

__all__ = [
    "PYTORCH_9_0",
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

DST_TYPE = enum("DataType", "INT8")


@message
class ARQuantize(pytorch.ARQuantize):
    # Four bits are written whatever the channels; the check that softens them is of 9.2.
    quant_bits: Optional[int] = optional(
        UINT32, default=8, within=Choice(4, 6, 7, 8), metadata=facts(requires=LOW_BITS)
    )


@message
class FMRQuantize(pytorch.FMRQuantize):
    dst_type: Optional[str] = optional(DST_TYPE, default="INT8")


@message
class HFMGQuantize(pytorch.HFMGQuantize):
    dst_type: Optional[str] = optional(DST_TYPE, default="INT8")


@message
class CalibrationConfig(pytorch.CalibrationConfig):
    arq_quantize: Optional[ARQuantize] = optional(ARQuantize, default=ARQuantize(), oneof="wts_quant_algo")
    ifmr_quantize: Optional[FMRQuantize] = optional(FMRQuantize, default=FMRQuantize(), oneof="acts_quant_algo")
    hfmg_quantize: Optional[HFMGQuantize] = optional(HFMGQuantize, oneof="acts_quant_algo")


@message
class OverrideLayerType(pytorch.OverrideLayerType):
    calibration_config: CalibrationConfig = required(CalibrationConfig)


@message
class OverrideLayer(pytorch.OverrideLayer):
    calibration_config: CalibrationConfig = required(CalibrationConfig)


@message
class AMCTConfig(pytorch.AMCTConfig):
    common_config: Optional[CalibrationConfig] = optional(CalibrationConfig)
    override_layer_types: Repeated[OverrideLayerType] = repeated(OverrideLayerType, unique="layer_type")
    override_layer_configs: Repeated[OverrideLayer] = repeated(OverrideLayer, unique="layer_name")


FIVE = ("Conv2d", "Conv3d", "Linear", "ConvTranspose2d", "AvgPool2d")

PYTORCH_9_0: Flavour[AMCTConfig] = Flavour(
    name="pytorch-9.0",
    proto="calibration_config_pytorch.proto",
    config=AMCTConfig,
    types=Types(tuple(pytorch.PYTORCH.types[name] for name in FIVE)),
    layout=pytorch.LAYOUT,
    evidence="code",
    graphs="torch",
    title="PyTorch",
    versions="9.0",
    removed_fields=pytorch.REMOVED,
)
