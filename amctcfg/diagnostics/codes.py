# SPDX-License-Identifier: Apache-2.0
"""The diagnostic codes: what each means, the usual cure, and an example; the page of the documentation is made of this."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Callable, NamedTuple

from .diagnostic import ERROR, WARNING

if TYPE_CHECKING:
    from .diagnostic import Severity

# The page of a code: the site has an anchor for each.
DIAGNOSTICS_PAGE = "https://amctcfg.readthedocs.io/en/stable/diagnostics/#{}"


class Code(NamedTuple):
    """The meaning of a code; some errors are warnings under `strict=False`."""

    severity: Severity
    summary: str
    cure: str
    example: str = ""  # a text that has it
    flavour: str = "tf-ascend"


error: Callable[..., Code] = partial(Code, ERROR)
warning: Callable[..., Code] = partial(Code, WARNING)

OVERRIDE = '{} {{\n  {}: "{}"\n  calibration_config {{ ifmr_quantize {{ {} }} }}\n}}\n'

layer_override: Callable[..., str] = partial(OVERRIDE.format, "override_layer_configs", "layer_name")
type_override: Callable[..., str] = partial(OVERRIDE.format, "override_layer_types", "layer_type")

CODES: dict[str, Code] = {
    "syntax": error(
        "The text is not protobuf text format.",
        "Fix the place that is marked.",
        'skip_layers: "conv1\n',
    ),
    "encoding": error(
        "The text is not UTF-8.",
        "Save the file as UTF-8, without a byte-order mark.",
        'skip_layers: "\\303"\n',
    ),
    "unknown-field": error(
        "The message has no such field.",
        "Use the field that is suggested, or delete it.",
        "common_config { ifmr_quantise { } }\n",
    ),
    "wrong-type": error(
        "The value is of another type than the field's.",
        "Write a value of the field's type.",
        "do_fusion: yes\n",
    ),
    "duplicate-field": error(
        "A field that takes one value is given twice.",
        "Keep one of the two.",
        "do_fusion: true\ndo_fusion: false\n",
    ),
    "conflicting-fields": error(
        "Two algorithms exclude each other in one block. With `--lenient`, a warning: the last one counts.",
        "Keep one of the two.",
        "common_config { ifmr_quantize { } hfmg_quantize { } }\n",
        flavour="pytorch",
    ),
    "missing-field": error(
        "A required field is missing.",
        "Add it.",
        'override_layer_configs { layer_name: "conv1" }\n',
    ),
    "out-of-range": error(
        "The number is outside the field's range.",
        "Choose a number in the range.",
        "common_config { ifmr_quantize { max_percentile: 0.5 } }\n",
    ),
    "duplicate-entry": error(
        "A repeated field holds the same entry twice.",
        "Delete one of the two.",
        'skip_layers: ["conv1", "conv1"]\n',
    ),
    "foreign-family": error(
        "The file is another kind of AMCT configuration: for retraining, pruning, distillation, the KV cache and so on.",
        "Use the tool that this kind of file is for; amctcfg reads configurations of post-training quantization.",
        "batch_num: 1\nretrain_data_quant_config { ulq_quantize { } }\n",
    ),
    "invalid-json": error(
        "The file is not JSON.",
        "Fix the place that is marked.",
        '{"version":1,}\n',
    ),
    "unreadable": error(
        "The file, or the model that its settings name, can't be read. Only in reports for programs; the exit status is 2.",
        "Check the path and its permissions.",
    ),
    "unknown-layer": error(
        "The model has no layer of that name.",
        "Use the name that is suggested.",
        'skip_layers: "fc"\n',
    ),
    "unknown-type": error(
        "The layer type is not one that can be quantized.",
        "Use the type that is suggested.",
        'skip_layer_types: "InnerProduct"\n',
    ),
    "not-quantizable": error(
        "The layer, or the type, can't be quantized.",
        "Delete the entry.",
        'skip_layers: "relu1"\n',
    ),
    "channel-wise-unsupported": error(
        "channel_wise is true for a layer whose type can't have it.",
        "Leave channel_wise out, or add an override_layer_types entry with channel_wise: false.",
        "common_config { arq_quantize { channel_wise: true } }\n",
    ),
    "algorithm-unsupported": error(
        "An override asks for an algorithm or a width that its layers can't have.",
        "Leave it out, or ask for it where it is possible.",
        type_override("Conv3d", "dst_type: INT16"),
        flavour="pytorch",
    ),
    "not-fusible": error(
        "BN is never fused into layers of that type.",
        "Delete the entry of skip_fusion_layers.",
        'skip_fusion_layers: "stage/fc"\n',
    ),
    "reserved-name": error(
        "A layer is named like a global key of the JSON.",
        "Rename the node of the graph.",
        "do_fusion: true\n",
    ),
    "nothing-to-quantize": error(
        "No layer is left to quantize.",
        "Skip fewer layers.",
        'skip_layer_types: ["Conv2D", "MatMul"]\n',
    ),
    "partial-override": warning(
        "A block leaves out fields that lower blocks set; they take their defaults.",
        "Repeat in the block the settings that you want to keep.",
        "common_config { ifmr_quantize { search_range_start: 0.8 } }\n" + layer_override("conv1", "search_step: 0.02"),
    ),
    "asymmetric-cascade": warning(
        "The documented rules and the toolkit give a layer different values of asymmetric.",
        "Set asymmetric in the layer's override.",
        type_override("Conv2D", "asymmetric: false") + layer_override("conv1", "search_step: 0.02"),
    ),
    "skipped-override": warning(
        "A layer or type is both skipped and overridden.",
        "Delete one of the two.",
        'skip_layers: "conv1"\n' + layer_override("conv1", "search_step: 0.02"),
    ),
    "unused-override": warning(
        "No layer of the model uses an override of its type.",
        "Delete the override.",
        type_override("AvgPool", "search_step: 0.02"),
    ),
    "ignored-override": warning(
        "The layer of an override can't be quantized.",
        "Delete the override.",
        layer_override("conv_dynamic", "search_step: 0.02"),
    ),
    "fusion-off": warning(
        "skip_fusion_layers has no effect with do_fusion: false.",
        "Delete one of the two.",
        'do_fusion: false\nskip_fusion_layers: "conv1"\n',
    ),
    "redundant-override": warning(
        "An override changes nothing.",
        "Delete the override.",
        layer_override("conv1", "search_step: 0.01"),
    ),
    "softened": warning(
        "A layer can't have what common_config asks for, and gets something else.",
        "To say so, add an override without it for these layers.",
        "common_config { dmq_balancer { } }\n",
        flavour="pytorch",
    ),
    "float32-rounding": warning(
        "The number written is not the number used.",
        "Write the number used.",
        "common_config { ifmr_quantize { search_step: 0.0123456789 } }\n",
    ),
    "many-steps": warning(
        "The search takes more than 10,000 steps for each layer.",
        "Use a larger search_step.",
        "common_config { ifmr_quantize { search_step: 0.00001 } }\n",
    ),
    "stale-selection": warning(
        "The entries below `# amctcfg: where=...` are not what the expression selects on this model.",
        "Let `amctcfg check --fix` rewrite them, or delete the comment.",
        '# amctcfg: where=type=Conv2D,first=1\nskip_layers: "conv2"\n',
    ),
    "deprecated": warning(
        "The field is deprecated in these versions of the toolkit.",
        "Write what has replaced it, or delete it.",
        "conv_calibration_config { ifmr_quantize { search_step: 0.02 } }\n",
        flavour="caffe",
    ),
    "coarse-percentile": warning(
        "A percentile below 0.9999 cuts off large activations, which can ruin the accuracy.",
        "Write 0.9999 or more.",
        "common_config { ifmr_quantize { max_percentile: 0.999 } }\n",
    ),
    "soc-unsuited": warning(
        "The processor that `soc=` or `--soc` names takes no such file, or loses accuracy on these layers.",
        "Skip the layers, or quantize for another processor.",
        "# amctcfg: soc=Ascend310P3\n",
    ),
    "refused-by-toolkit": warning(
        "The toolkit stops at this layer, `amctcfg simulate` found: NaN or infinity, a scale out of range, a bias beyond int32.",
        "Skip the layer.",
    ),
    "placeholder": warning(
        "A placeholder of the vendor's page was left in.",
        "Write a real name.",
        'skip_layers: "Opname"\n',
    ),
    "unknown-setting": warning(
        "Unknown setting in a comment `# amctcfg: ...`.",
        "Use the setting that is suggested: graph, flavour, rules or ignore.",
        "# amctcfg: grpah=model.pb\ndo_fusion: true\n",
    ),
    "unused-ignore": warning(
        "Unused `ignore` comment: it silences nothing. Only with `--strict-warnings`.",
        "Delete the comment.",
        "# amctcfg: ignore=many-steps\ndo_fusion: true\n",
    ),
}
