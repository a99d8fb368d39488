# SPDX-License-Identifier: Apache-2.0
"""PyTorch 9.1: no INT16 for LSTM and GRU, and four bits wherever they are asked for. Evidence: the toolkit's own code."""

from __future__ import annotations

import dataclasses

from .._typing import TYPE_CHECKING
from ..messages.field import Among, optional, repeated, required
from ..messages.kinds import UINT32
from ..messages.message import message
from . import pytorch
from .flavour import Flavour, derive_older_version
from .pytorch import LOW_BITS, ADAquantize, DMQBalancer, FMRQuantize, HFMGQuantize
from .requirement import facts

if TYPE_CHECKING:
    from ..messages.field import Repeated

__all__ = [
    "PYTORCH_9_1",
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


@message
class ARQuantize(pytorch.ARQuantize):
    # Four bits are written whatever the channels; the check that softens them is of 9.2.
    quant_bits: int | None = optional(UINT32, default=8, within=Among(4, 6, 7, 8), metadata=facts(requires=LOW_BITS))


@message
class CalibrationConfig(pytorch.CalibrationConfig):
    arq_quantize: ARQuantize | None = optional(ARQuantize, default=ARQuantize(), oneof="wts_quant_algo")


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


RECURRENT = {
    name: dataclasses.replace(pytorch.PYTORCH.types[name], abilities=("int4", "dmq_balancer"))
    for name in ("LSTM", "GRU")
}

PYTORCH_9_1: Flavour[AMCTConfig] = derive_older_version(
    pytorch.PYTORCH, "9.1", AMCTConfig, types={**pytorch.PYTORCH.types, **RECURRENT}
)
