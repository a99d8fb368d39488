# SPDX-License-Identifier: Apache-2.0
"""Fields that people expect here and that belong elsewhere: to another message, or another flavour of this file."""

from __future__ import annotations

from typing import Dict, Iterator, Optional, Type

from .schema import AMCTConfig, Message
from .suggest import did_you_mean, nearest

__all__ = ["unknown_field_hint"]

# Fields of the vendor's other simplified configuration files, and what reads them.
FLAVOURS: Dict[str, str] = {
    "batch_num": "the AMCT flavours that run calibration from the configuration (Caffe, ONNX, PyTorch, TensorFlow)",
    "joint_quant": "AMCT for Caffe, ONNX and PyTorch",
    "nuq_config": "the non-uniform quantization of AMCT",
    "nuq_quantize": "the non-uniform quantization of AMCT",
    "quant_bits": "the retraining (QAT) configuration of AMCT",
    "hfmg_quantize": "AMCT flavours with the HFMG algorithm",
    "dmq_balancer": "AMCT flavours with the DMQ balancer",
    "dst_type": "the retraining (QAT) configuration of AMCT",
    "version": "the JSON quantization config that the toolkit writes",
    "tensor_quantize": "AMCT for ONNX and PyTorch",
    "fakequant_precision_mode": "AMCT for ONNX and PyTorch",
}


def unknown_field_hint(cls: Type[Message], name: str) -> Optional[str]:
    """The cure for a field that `cls` does not have."""
    if name in FLAVOURS:
        return "this field belongs to {}; delete it here".format(FLAVOURS[name])
    owners = [message.__name__ for message in messages(AMCTConfig) if name in message.specs]
    if owners:
        return "it belongs into {}; is a brace missing or misplaced?".format(" or ".join(owners))
    return did_you_mean(nearest(name, cls.specs)) or "its fields are {}".format(", ".join(cls.specs))


def messages(root: Type[Message]) -> Iterator[Type[Message]]:
    """A message and the messages in it, each once."""
    seen, queue = set(), [root]
    while queue:
        message = queue.pop(0)
        if message not in seen:
            seen.add(message)
            yield message
            queue += [spec.kind for spec in message.specs.values() if spec.is_message]
