# SPDX-License-Identifier: Apache-2.0
"""The algorithms that several flavours have beside ARQ and IFMR, the templates of their JSON, and those that are gone."""

from __future__ import annotations

from .._typing import TYPE_CHECKING
from ..messages.field import Among, Interval, optional, required
from ..messages.kinds import BOOL, FLOAT, STRING, UINT32, Enum
from ..messages.message import Message, message
from .common import IFMR_JSON, OFFSET, FMRQuantize
from .json_layout import Constant, Value
from .requirement import facts
from .tf_ascend import ARQuantize

if TYPE_CHECKING:
    from typing import Mapping

    from .json_layout import Items

FAKEQUANT = Enum("FakequantPrecisionMode", "FORCE_FP16_QUANT")


@message
class HFMGQuantize(Message):
    """Quantization of activations: HFMG, from a histogram of the values."""

    num_of_bins: int | None = optional(UINT32, default=4096, within=Among(1024, 2048, 4096, 8192))
    """The number of bins of the histogram."""
    asymmetric: bool | None = optional(BOOL, default=True, metadata=facts("activation_offset", OFFSET))
    """Whether activations are quantized with an offset. If the block does not set it, lower blocks with HFMG do, and then
    `activation_offset`."""


@message
class CalibrationConfig(Message):
    """Quantization of a layer: a block, which replaces lower blocks as a whole."""

    arq_quantize: ARQuantize | None = optional(ARQuantize, default=ARQuantize(), oneof="wts_quant_algo")
    """Quantize weights with ARQ. Absent is the same as empty."""
    ifmr_quantize: FMRQuantize | None = optional(FMRQuantize, default=FMRQuantize(), oneof="acts_quant_algo")
    """Quantize activations with IFMR, the default."""
    hfmg_quantize: HFMGQuantize | None = optional(HFMGQuantize, oneof="acts_quant_algo")
    """Quantize activations with HFMG."""


@message
class DMQBalancer(Message):
    """Shifts some of the difficulty of quantizing activations to the weights."""

    migration_strength: float | None = optional(
        FLOAT, default=0.5, within=Interval("at least 0.2 and at most 0.8", 0.2, 0.8, "[]")
    )
    """How much is shifted: the more, the easier the activations and the harder the weights."""


@message
class TensorQuantize(Message):
    """An input of a layer that is quantized on its own; several entries may name the same one."""

    layer_name: str = required(STRING)
    """The layer's name in the model: a MaxPool or an Add."""
    input_index: int = required(UINT32)
    """Which of its inputs, from 0."""
    ifmr_quantize: FMRQuantize | None = optional(FMRQuantize, oneof="acts_quant_algo")
    """By IFMR, which is the default."""
    hfmg_quantize: HFMGQuantize | None = optional(HFMGQuantize, oneof="acts_quant_algo")
    """By HFMG."""


@message
class NUQuantize(Message):
    """Non-uniform quantization of weights."""

    num_steps: int | None = optional(UINT32)
    """How many steps the weights are put on; the range is not documented."""
    num_of_iteration: int | None = optional(UINT32)
    """How many times the steps are improved; the range is not documented."""


@message
class NUQConfig(Message):
    """Layers that are quantized non-uniformly; read and kept, and not judged."""

    mapping_file: str = required(STRING)
    """The file that names the layers: the fused model as ATC converts it, in JSON."""
    nuq_quantize: NUQuantize | None = optional(NUQuantize)
    """How the weights of these layers are put on steps."""


IFMR_JSON_8: Items = {"num_bits": Constant(8), **IFMR_JSON}
HFMG_JSON: Items = {
    "num_bits": Constant(8),
    "act_algo": Constant("hfmg"),
    "asymmetric": Value("asymmetric"),
    "num_of_bins": Value("num_of_bins"),
}
ARQ_JSON_8: Items = {
    "num_bits": Constant(8),
    "channel_wise": Value("channel_wise"),
    "wts_algo": Constant("arq_quantize"),
}
PARTS_8: Mapping[str, Mapping[str, Items]] = {
    "activation_quant_params": {"ifmr_quantize": IFMR_JSON_8, "hfmg_quantize": HFMG_JSON},
    "weight_quant_params": {"arq_quantize": ARQ_JSON_8},
}


def word_removed_nuq(older: str) -> tuple[tuple[str, str], ...]:
    """Word what became of non-uniform quantization, which the flavour `older` has."""
    reads = "'# amctcfg: flavour={}' in the first line reads the file as of 8.5".format(older)
    words = "non-uniform quantization is gone from the pages of 9.0 on: delete it; {}".format(reads)
    return ("nuq_config", words), ("nuq_quantize", words)


def word_undocumented(flavour: str) -> tuple[tuple[str, str], ...]:
    """Word what the pages of a flavour don't say about the fields of others."""
    others = {"quant_bits": "pytorch and ge have", "dst_type": "pytorch and ge have", "ada_quantize": "pytorch has"}
    words = "whether {} has it is not documented; {} it"
    return tuple((field, words.format(flavour, having)) for field, having in others.items())
