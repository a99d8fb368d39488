# SPDX-License-Identifier: Apache-2.0
"""PyTorch 9.0: five layer types, and activations of 8 bits only. Evidence: the toolkit's own code."""

from __future__ import annotations

from .._typing import TYPE_CHECKING
from ..messages.kinds import UINT32, enum
from ..messages.message import Choice, optional, repeated, required
from . import pytorch
from .flavour import Flavour, Types
from .pytorch import ASK_LOW_BITS, ADAquantize, DMQBalancer

if TYPE_CHECKING:
    from typing import Optional

    from ..messages.message import Repeated

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


class ARQuantize(pytorch.ARQuantize):
    __doc__ = pytorch.ARQuantize.__doc__

    # Four bits are written whatever the channels; the check that softens them is of 9.2.
    quant_bits: Optional[int] = optional(UINT32, default=8, within=Choice(4, 6, 7, 8), demand=ASK_LOW_BITS)
    """The width of the weights in bits (the vendor's page lists 6, 7 and 8 only)."""


class FMRQuantize(pytorch.FMRQuantize):
    __doc__ = pytorch.FMRQuantize.__doc__

    dst_type: Optional[str] = optional(DST_TYPE, default="INT8")
    """The type of the quantized activations."""


class HFMGQuantize(pytorch.HFMGQuantize):
    __doc__ = pytorch.HFMGQuantize.__doc__

    dst_type: Optional[str] = optional(DST_TYPE, default="INT8")
    """The type of the quantized activations."""


class CalibrationConfig(pytorch.CalibrationConfig):
    __doc__ = pytorch.CalibrationConfig.__doc__

    arq_quantize: Optional[ARQuantize] = optional(ARQuantize, default=ARQuantize(), oneof="wts_quant_algo")
    """The weights by ARQ, which is what they are quantized by if nothing is said."""
    ifmr_quantize: Optional[FMRQuantize] = optional(FMRQuantize, default=FMRQuantize(), oneof="acts_quant_algo")
    """The activations by IFMR, which is what they are quantized by if nothing is said."""
    hfmg_quantize: Optional[HFMGQuantize] = optional(HFMGQuantize, oneof="acts_quant_algo")
    """The activations by HFMG."""


class OverrideLayerType(pytorch.OverrideLayerType):
    __doc__ = pytorch.OverrideLayerType.__doc__

    calibration_config: CalibrationConfig = required(CalibrationConfig)
    """The block."""


class OverrideLayer(pytorch.OverrideLayer):
    __doc__ = pytorch.OverrideLayer.__doc__

    calibration_config: CalibrationConfig = required(CalibrationConfig)
    """The block."""


class AMCTConfig(pytorch.AMCTConfig):
    __doc__ = pytorch.AMCTConfig.__doc__

    common_config: Optional[CalibrationConfig] = optional(CalibrationConfig)
    """The block of the layers that no override names."""
    override_layer_types: Repeated[OverrideLayerType] = repeated(OverrideLayerType, unique="layer_type")
    """Blocks by layer type."""
    override_layer_configs: Repeated[OverrideLayer] = repeated(OverrideLayer, unique="layer_name")
    """Blocks by layer."""


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
    gone=pytorch.GONE,
)
