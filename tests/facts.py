# SPDX-License-Identifier: Apache-2.0
"""What the vendor's pages and the toolkit's own tables say of each flavour, written down apart from the code.

The tests compare the flavours with these tables, and laws take their expectations from them: a fact that is changed by
mistake differs from its page here, and not only from a page that is made of the same fact.
"""

from functools import lru_cache

# Type: q quantizable, t tensor_quantize only; c channel_wise, f BN is fused, s symmetric only; then the demands it takes:
# 16 INT16, a AdaRound, b 6 or 7 bits, d DMQ, D DMQ in an override of the type as well, w weights alone,
# C channel_wise where only the weights are quantized.
TYPES = {
    "tf-ascend": """
        Conv2D q c f
        DepthwiseConv2dNative q c f
        Conv2DBackpropInput q c
        MatMul q
        BatchMatMul q
        BatchMatMulV2 q
        AvgPool q
    """,
    "tensorflow": """
        Conv2D q c f
        DepthwiseConv2dNative q c f
        Conv3D q c f
        Conv2DBackpropInput q c
        MatMul q f
        BatchMatMul q
        BatchMatMulV2 q
        AvgPool q
        MaxPool t
        Add t
    """,
    "onnx": """
        Conv q c f
        Gemm q
        MatMul q
        ConvTranspose q c f
        AveragePool q
        MaxPool t
        Add t
    """,
    "pytorch": """
        Conv2d q c f 16 a b d D
        Conv3d q c f s d D
        Linear q 16 a d D
        ConvTranspose2d q c 16 a d D
        AvgPool2d q
        Conv1d q c f 16 d D
        ConvTranspose1d q c 16 d D
        LSTM q c 16 d
        GRU q c 16 d
    """,
    "caffe": """
        Convolution q c f
        Deconvolution q c f
        InnerProduct q f
        Pooling q
    """,
    "mindspore": """
        Conv2d q c f
        Dense q
    """,
    "ge": """
        Conv2D q c f b
        DepthwiseConv2D q c f
        Conv2DBackpropInput q c
        Conv2DTranspose q c f
        Deconvolution q c f
        Conv3D q c f
        FullyConnection q f
        MatMulV2 q f w C
        BatchMatMulV2 q w C
        FFN q w
        AvgPool q
        AvgPoolV2 q
        Pooling q
        MaxPool t
        MaxPoolV3 t
        Add t
        Eltwise t
    """,
    "pytorch-9.0": """
        Conv2d q c f a b d D
        Conv3d q c f s d D
        Linear q a d D
        ConvTranspose2d q c a d D
        AvgPool2d q
    """,
}
TYPES["pytorch-9.1"] = TYPES["pytorch"].replace("LSTM q c 16 d", "LSTM q c d").replace("GRU q c 16 d", "GRU q c d")
for older in ("onnx", "tensorflow", "caffe"):
    TYPES[older + "-8.5"] = TYPES[older]


# Types that compute the same, whatever the flavour: who writes one is asked whether the flavour's own is meant.
SAME = """
    Conv2D Conv2d Conv Convolution
    DepthwiseConv2dNative DepthwiseConv2D
    Conv2DBackpropInput Conv2DTranspose ConvTranspose ConvTranspose2d Deconvolution
    MatMul MatMulV2 Gemm Linear InnerProduct Dense FullyConnection
    BatchMatMul BatchMatMulV2
    AvgPool AvgPoolV2 AvgPool2d AveragePool Pooling
    Conv3D Conv3d
"""


@lru_cache(maxsize=None)
def types_of(flavour):
    """Type -> its letters."""
    rows = (line.split() for line in TYPES[flavour].split("\n") if line.strip())
    return {name: set(letters) for name, *letters in rows}


def types_with(flavour, letter):
    return {name for name, letters in types_of(flavour).items() if letter in letters}


# The fields of the root message, in the order of the pages.
SKELETON = "activation_offset skip_layers skip_layer_types common_config override_layer_types override_layer_configs do_fusion skip_fusion_layers"
ROOT = {
    "tf-ascend": SKELETON,
    "tensorflow": SKELETON
    + " batch_num joint_quant skip_approximation_layers fakequant_precision_mode tensor_quantize",
    "onnx": SKELETON + " batch_num joint_quant fakequant_precision_mode tensor_quantize",
    "pytorch": SKELETON + " batch_num fakequant_precision_mode",
    "caffe": SKELETON + " batch_num joint_quant conv_calibration_config fc_calibration_config",
    "mindspore": SKELETON,
    "ge": SKELETON + " version joint_quant tensor_quantize",
}
ROOT["pytorch-9.0"] = ROOT["pytorch-9.1"] = ROOT["pytorch"]
for older in ("onnx", "tensorflow", "caffe"):
    ROOT[older + "-8.5"] = ROOT[older] + " nuq_config"

# The words that a flavour does not have and answers with why, where a block could have them and in the root message.
NOT_IN_BLOCKS = {
    "onnx": "quant_bits dst_type ada_quantize",
    "tensorflow": "quant_bits dst_type ada_quantize",
    "mindspore": "hfmg_quantize",
    "ge": "hfmg_quantize",
}
NOT_IN_ROOT = {
    "onnx": "nuq_config", "tensorflow": "nuq_config", "caffe": "nuq_config", "pytorch": "nuq_config enable_auto_nuq",
    "ge": "nuq_config enable_auto_nuq",
}  # fmt: skip
for older in ("onnx", "tensorflow"):
    NOT_IN_BLOCKS[older + "-8.5"] = NOT_IN_BLOCKS[older]
NOT_IN_ROOT["pytorch-9.0"] = NOT_IN_ROOT["pytorch-9.1"] = NOT_IN_ROOT["pytorch"]

# The vendor's file that defines a flavour, for editors; GE's has no name.
PROTO = {
    "tf-ascend": "ascend_tf", "tensorflow": "tf", "onnx": "onnx", "pytorch": "pytorch", "caffe": "caffe", "mindspore": "mindspore",
}  # fmt: skip

# The members of a block, those of one oneof joined by "|", the default first; and plain fields.
BLOCK = {
    "tf-ascend": "arq_quantize ifmr_quantize",
    "tensorflow": "arq_quantize ifmr_quantize|hfmg_quantize dmq_balancer",
    "pytorch": "arq_quantize|ada_quantize ifmr_quantize|hfmg_quantize dmq_balancer",
    "caffe": "arq_quantize ifmr_quantize|hfmg_quantize",
    "ge": "arq_quantize ifmr_quantize weight_compress_only",
}
BLOCK["mindspore"] = BLOCK["tf-ascend"]
BLOCK["onnx"] = BLOCK["onnx-8.5"] = BLOCK["tensorflow-8.5"] = BLOCK["tensorflow"]
BLOCK["caffe-8.5"] = BLOCK["caffe"]
BLOCK["pytorch-9.0"] = BLOCK["pytorch-9.1"] = BLOCK["pytorch"]

IFMR = "search_range_start search_range_end search_step max_percentile min_percentile asymmetric"
MEMBERS = {
    "arq_quantize": "channel_wise",
    "ada_quantize": "num_iteration reg_param beta_range_start beta_range_end warm_start channel_wise",
    "ifmr_quantize": IFMR,
    "hfmg_quantize": "num_of_bins asymmetric",
    "dmq_balancer": "migration_strength",
}
# What a flavour has more in a member.
MORE = {
    "pytorch": {"arq_quantize": "quant_bits", "ifmr_quantize": "dst_type", "hfmg_quantize": "dst_type"},
    "ge": {"arq_quantize": "quant_bits asymmetric", "ifmr_quantize": "dst_type"},
}
MORE["pytorch-9.0"] = MORE["pytorch-9.1"] = MORE["pytorch"]

# Field -> (what it is where nothing is written, values that are allowed, values that are not). Bounds are tried on both sides.
FIELDS = {
    "batch_num": (1, ["1", "4294967295"], ["0", "-1", "4294967296"]),
    "activation_offset": (True, ["true", "0"], []),
    "joint_quant": (False, ["true", "false"], []),
    "do_fusion": (True, ["true", "false"], []),
    "version": (1, ["1", "0", "-1"], ["2147483648"]),
    "fakequant_precision_mode": (None, ["FORCE_FP16_QUANT", "1"], ["0", "2", "DEFAULT"]),
    "weight_compress_only": (False, ["true", "false"], []),
    "channel_wise": (None, ["true", "false"], []),
    "search_range_start": (0.7, ["1e-3", "1.28", "1.29"], ["0", "-0.1", "1.3", "nan", "inf", "1.295"]),
    "search_range_end": (1.3, ["0.71", "900"], ["0.7", "0", "-1", "nan", "inf", "0.705"]),
    "search_step": (0.01, ["0.6", "0.001"], ["0", "-0.01", "0.61", "nan", "inf"]),
    "max_percentile": (0.999999, ["0.50001", "1"], ["0.5", "1.0001", "0", "-1", "nan", "inf"]),
    "min_percentile": (0.999999, ["0.50001", "1"], ["0.5", "1.0001", "0", "-1", "nan", "inf"]),
    "asymmetric": (True, ["true", "false"], []),
    "num_of_bins": (4096, ["1024", "2048", "4096", "8192"], ["0", "1", "512", "1025", "16384"]),
    "num_iteration": (10000, ["0", "1", "4294967295"], ["-1", "4294967296"]),
    "reg_param": (0.01, ["1e-6", "0.999"], ["0", "1", "-0.1", "nan", "inf"]),
    "warm_start": (0.2, ["1e-6", "0.999"], ["0", "1", "-0.1", "nan", "inf"]),
    "beta_range_start": (20.0, ["2.001", "900"], ["2", "0", "-1", "nan", "inf"]),
    "beta_range_end": (2.0, ["19.999", "1e-3"], ["20", "25", "0", "-1", "nan", "inf"]),
    "migration_strength": (0.5, ["0.2", "0.8"], ["0.199", "0.801", "0", "nan", "inf"]),
    "quant_bits": (8, ["6", "7", "8"], ["0", "3", "5", "9", "16"]),
    "dst_type": ("INT8", ["INT8", "1"], ["INT4", "0", "3"]),
}
# Where flavours differ.
DIFFERENT = {
    ("ge", "asymmetric", "arq_quantize"): (False, ["false"], ["true"]),
    ("ge", "quant_bits", "arq_quantize"): (8, ["6", "7", "8"], ["4", "5", "9"]),
}
for name in ("pytorch", "pytorch-9.0", "pytorch-9.1"):
    DIFFERENT[name, "quant_bits", "arq_quantize"] = (8, ["4", "6", "7", "8"], ["3", "5", "9", "16"])
for name, part in [("pytorch", "ifmr_quantize"), ("pytorch", "hfmg_quantize"), ("ge", "ifmr_quantize")]:
    DIFFERENT[name, "dst_type", part] = ("INT8", ["INT8", "INT16", "2"], ["INT4", "0", "3"])
    DIFFERENT[name + "-9.1", "dst_type", part] = DIFFERENT[name, "dst_type", part]
    DIFFERENT[name + "-9.0", "dst_type", part] = ("INT8", ["INT8", "1"], ["INT16", "2", "0"])


def field_facts(flavour, field, part=None):
    return DIFFERENT.get((flavour, field, part), FIELDS[field])


# ---------------------------------------------------------------- the JSON

# The quantization config of one convolution "a" and of a configuration that says nothing, key by key.
IFMR_JSON = [
    ("max_percentile", 0.999999), ("min_percentile", 0.999999), ("search_range", [0.7, 1.3]), ("search_step", 0.01),
    ("act_algo", "ifmr"), ("asymmetric", True),
]  # fmt: skip
BITS = [("num_bits", 8)]
ARQ_JSON = [*BITS, ("channel_wise", True), ("wts_algo", "arq_quantize")]
SHARED_GLOBALS = [
    ("version", 1),
    ("batch_num", 1),
    ("activation_offset", True),
    ("joint_quant", False),
    ("do_fusion", True),
]
LAYER = {"quant_enable": True, "activation_quant_params": dict(BITS + IFMR_JSON), "weight_quant_params": dict(ARQ_JSON)}
ASCEND = {
    "version": 1, "activation_offset": True, "do_fusion": True, "skip_fusion_layers": [],
    "a": {
        "quant_enable": True, "activation_quant_params": dict(IFMR_JSON),
        "weight_quant_params": {"wts_algo": "arq_quantize", "channel_wise": True},
    },
}  # fmt: skip

JSON = {
    "tf-ascend": ("Conv2D", ASCEND),
    "mindspore": ("Conv2d", ASCEND),
    "tensorflow": ("Conv2D", {**dict(SHARED_GLOBALS), "skip_fusion_layers": [], "tensor_quantize": [], "a": LAYER}),
    "onnx": ("Conv", {**dict(SHARED_GLOBALS), "skip_fusion_layers": [], "tensor_quantize": [], "a": LAYER}),
    "caffe": ("Convolution", {**dict(SHARED_GLOBALS), "skip_fusion_layers": [], "a": LAYER}),
    "pytorch": (
        "Conv2d",
        {
            "version": 1,
            "batch_num": 1,
            "activation_offset": True,
            "do_fusion": True,
            "skip_fusion_layers": [],
            "a": LAYER,
        },
    ),
}
for older in ("onnx", "tensorflow", "caffe"):
    JSON[older + "-8.5"] = JSON[older]
JSON["pytorch-9.0"] = JSON["pytorch-9.1"] = JSON["pytorch"]

# The members of a layer's JSON where its block is not the default one: (flavours, text of the block, key, expected).
HFMG = {"num_bits": 8, "act_algo": "hfmg", "asymmetric": False, "num_of_bins": 1024}
PYTORCHS = ["pytorch", "pytorch-9.0", "pytorch-9.1"]
PAGES = ["onnx", "tensorflow", "onnx-8.5", "tensorflow-8.5"]
PARTS = [
    ([*PYTORCHS, *PAGES, "caffe", "caffe-8.5"], "hfmg_quantize { num_of_bins: 1024 asymmetric: false }", "activation_quant_params", HFMG),
    ([*PYTORCHS, *PAGES], "dmq_balancer { }", "dmq_balancer_param", 0.5),
    ([*PYTORCHS, *PAGES], "dmq_balancer { migration_strength: 0.75 }", "dmq_balancer_param", 0.75),
    (PYTORCHS, "arq_quantize { quant_bits: 6 channel_wise: false }", "weight_quant_params", {"num_bits": 6, "channel_wise": False, "wts_algo": "arq_quantize"}),
    (PYTORCHS, "ada_quantize { beta_range_start: 10 }", "weight_quant_params", {
        "num_bits": 8, "reg_param": 0.01, "warm_start": 0.2, "num_iteration": 10000, "beta_range": [10.0, 2.0],
        "channel_wise": True, "wts_algo": "ada_quantize",
    }),
    (["pytorch", "pytorch-9.1"], "hfmg_quantize { dst_type: INT16 }", "activation_quant_params", {"num_bits": 16, "act_algo": "hfmg", "asymmetric": True, "num_of_bins": 4096}),
    (["pytorch", "pytorch-9.1"], "ifmr_quantize { dst_type: INT16 search_range_end: 2 }", "activation_quant_params", {
        "num_bits": 16, **dict(IFMR_JSON), "search_range": [0.7, 2.0],
    }),
]  # fmt: skip

# The same for a global key: (flavours, text, key, expected).
GLOBALS = [
    ([*PYTORCHS, *PAGES], "fakequant_precision_mode: FORCE_FP16_QUANT", "fakequant_precision_mode", "FORCE_FP16_QUANT"),
    ([*PAGES, "caffe", "caffe-8.5"], "joint_quant: true", "joint_quant", True),
    ([*PYTORCHS, *PAGES, "caffe", "caffe-8.5"], "batch_num: 3", "batch_num", 3),
    (list(JSON), "skip_fusion_layers: 'a'", "skip_fusion_layers", ["a"]),
    (list(JSON), "activation_offset: false", "activation_offset", False),
    (list(JSON), "do_fusion: false", "do_fusion", False),
]
