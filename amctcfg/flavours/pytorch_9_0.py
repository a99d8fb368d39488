# SPDX-License-Identifier: Apache-2.0
"""PyTorch 9.0: five layer types, and activations of 8 bits only. Evidence: the toolkit's own code."""

from __future__ import annotations

from .._typing import TYPE_CHECKING
from ..messages.field import optional, repeated, required
from ..messages.kinds import Enum
from ..messages.message import message
from . import pytorch, pytorch_9_1
from .flavour import Flavour, derive_older_version
from .pytorch import ADAquantize, DMQBalancer
from .pytorch_9_1 import ARQuantize

if TYPE_CHECKING:
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

DST_TYPE = Enum("DataType", "INT8")


@message
class FMRQuantize(pytorch.FMRQuantize):
    dst_type: str | None = optional(DST_TYPE, default="INT8")


@message
class HFMGQuantize(pytorch.HFMGQuantize):
    dst_type: str | None = optional(DST_TYPE, default="INT8")


@message
class CalibrationConfig(pytorch_9_1.CalibrationConfig):
    ifmr_quantize: FMRQuantize | None = optional(FMRQuantize, default=FMRQuantize(), oneof="acts_quant_algo")
    hfmg_quantize: HFMGQuantize | None = optional(HFMGQuantize, oneof="acts_quant_algo")


@message
class OverrideLayerType(pytorch.OverrideLayerType):
    calibration_config: CalibrationConfig = required(CalibrationConfig)


@message
class OverrideLayer(pytorch.OverrideLayer):
    calibration_config: CalibrationConfig = required(CalibrationConfig)


@message
class AMCTConfig(pytorch.AMCTConfig):
    common_config: CalibrationConfig | None = optional(CalibrationConfig)
    override_layer_types: Repeated[OverrideLayerType] = repeated(OverrideLayerType, unique="layer_type")
    override_layer_configs: Repeated[OverrideLayer] = repeated(OverrideLayer, unique="layer_name")


FIVE = ("Conv2d", "Conv3d", "Linear", "ConvTranspose2d", "AvgPool2d")

PYTORCH_9_0: Flavour[AMCTConfig] = derive_older_version(
    pytorch.PYTORCH, "9.0", AMCTConfig, types={name: pytorch.PYTORCH.types[name] for name in FIVE}
)
