# SPDX-License-Identifier: Apache-2.0
"""The diagnostic codes: what each means, and the usual cure. `docs/diagnostics.md` shows an example of each."""

from __future__ import annotations

from typing import Dict, NamedTuple

from .diagnostic import ERROR, WARNING

__all__ = ["CODES", "Code"]


class Code(NamedTuple):
    severity: str  # as a rule: two errors are warnings under strict=False
    summary: str
    cure: str


CODES: Dict[str, Code] = {
    "syntax": Code(ERROR, "The text is not protobuf text format.", "Mend the place that is marked."),
    "encoding": Code(ERROR, "The text is not UTF-8.", "Save the file as UTF-8, without a byte-order mark."),
    "unknown-field": Code(ERROR, "The message has no such field.", "Use the field that is suggested, or delete it."),
    "wrong-type": Code(ERROR, "The value is of another type than the field's.", "Write a value of the field's type."),
    "duplicate-field": Code(ERROR, "A field that takes one value is given twice.", "Keep one of the two."),
    "missing-field": Code(ERROR, "A required field is missing.", "Add it."),
    "out-of-range": Code(ERROR, "The number is outside the field's range.", "Choose a number in the range."),
    "duplicate-entry": Code(ERROR, "A repeated field holds the same entry twice.", "Delete one of the two."),
    "unknown-layer": Code(ERROR, "The model has no layer of that name.", "Use the name that is suggested."),
    "unknown-type": Code(ERROR, "The layer type is not one that can be quantized.", "Use the type that is suggested."),
    "not-quantizable": Code(ERROR, "The layer, or the type, can't be quantized.", "Delete the entry."),
    "channel-wise-unsupported": Code(
        ERROR,
        "channel_wise is true for a layer whose type can't have it.",
        "Leave channel_wise out, or add an override_layer_types entry with channel_wise: false.",
    ),
    "not-fusible": Code(
        ERROR, "BN is never fused into layers of that type.", "Delete the entry of skip_fusion_layers."
    ),
    "reserved-name": Code(ERROR, "A layer is named like a global key of the JSON.", "Rename the node of the graph."),
    "nothing-to-quantize": Code(ERROR, "No layer is left to quantize.", "Skip fewer layers."),
    "partial-override": Code(
        WARNING,
        "A block leaves out fields that the block below it sets; they take their defaults.",
        "Repeat in the block what is to stay the same.",
    ),
    "asymmetric-cascade": Code(
        WARNING,
        "The documented rules and the toolkit come to another asymmetric for a layer.",
        "Set asymmetric in the layer's override.",
    ),
    "skipped-override": Code(WARNING, "A layer or type is both skipped and overridden.", "Delete one of the two."),
    "unused-override": Code(WARNING, "No layer of the model uses an override of its type.", "Delete the override."),
    "ignored-override": Code(WARNING, "The layer of an override can't be quantized.", "Delete the override."),
    "fusion-off": Code(WARNING, "skip_fusion_layers has no effect with do_fusion: false.", "Delete one of the two."),
    "redundant-override": Code(WARNING, "An override changes nothing.", "Delete the override."),
    "float32-rounding": Code(WARNING, "The number written is not the number used.", "Write the number used."),
    "many-steps": Code(WARNING, "The search takes more than 10,000 steps for each layer.", "Use a larger search_step."),
    "placeholder": Code(WARNING, "A placeholder of the vendor's page is left.", "Write a real name."),
}
