# SPDX-License-Identifier: Apache-2.0
"""The errors that a configuration has on a model: everything at which the toolkit stops, and all of it at once."""

from __future__ import annotations

from typing import Any, Dict, Tuple

from .diagnostics import ERROR, Diagnostic, Path
from .model import Model, named
from .suggest import did_you_mean, nearest

__all__ = ["GLOBAL_KEYS", "errors"]

# The keys of the JSON quantization config that are not layers.
GLOBAL_KEYS = ("version", "activation_offset", "do_fusion", "skip_fusion_layers")

# What other frameworks call the types of the TensorFlow target.
FOREIGN_TYPES: Dict[str, Tuple[str, ...]] = {
    "conv": ("Conv2D",),
    "conv2d": ("Conv2D",),
    "convolution": ("Conv2D",),
    "depthwiseconv": ("DepthwiseConv2dNative",),
    "depthwiseconv2d": ("DepthwiseConv2dNative",),
    "depthwise": ("DepthwiseConv2dNative",),
    "convolutiondepthwise": ("DepthwiseConv2dNative",),
    "deconvolution": ("Conv2DBackpropInput",),
    "deconv": ("Conv2DBackpropInput",),
    "convtranspose": ("Conv2DBackpropInput",),
    "convtranspose2d": ("Conv2DBackpropInput",),
    "conv2dtranspose": ("Conv2DBackpropInput",),
    "gemm": ("MatMul",),
    "linear": ("MatMul",),
    "dense": ("MatMul",),
    "innerproduct": ("MatMul",),
    "fullyconnected": ("MatMul",),
    "fullconnection": ("MatMul",),
    "matmulv2": ("MatMul", "BatchMatMulV2"),
    "bmm": ("BatchMatMul", "BatchMatMulV2"),
    "averagepool": ("AvgPool",),
    "avgpool2d": ("AvgPool",),
    "averagepooling2d": ("AvgPool",),
    "globalaveragepool": ("AvgPool",),
    "pooling": ("AvgPool",),
}


def errors(model: Model) -> Tuple[Diagnostic, ...]:
    """All errors, in the order of their places; those without a place come last."""
    skipped_layers(model)
    skipped_types(model)
    type_overrides(model)
    layer_overrides(model)
    common_channel_wise(model)
    unfused_layers(model)
    reserved_names(model)
    nothing_to_quantize(model)
    return model.taken()


def skipped_layers(model: Model) -> None:
    for path, name in model.entries("skip_layers"):
        layer = model.by_name.get(name)
        if layer is None:
            unknown_layer(model, name, path)
        elif layer.type not in model.target.quantizable_types:
            message = "'{}' is of type {}, which is not quantized anyway".format(name, layer.type)
            model.report(ERROR, "not-quantizable", message, path, "delete it here")


def skipped_types(model: Model) -> None:
    for path, layer_type in model.entries("skip_layer_types"):
        if layer_type not in model.target.quantizable_types:
            unknown_type(model, layer_type, path)


def type_overrides(model: Model) -> None:
    for path, entry in model.entries("override_layer_types"):
        if entry.layer_type not in model.target.quantizable_types:
            unknown_type(model, entry.layer_type, (*path, "layer_type"))
        elif wants_channel_wise(entry) and entry.layer_type not in model.target.channel_wise_types:
            channel_wise(model, "layers of type {}".format(entry.layer_type), path)


def layer_overrides(model: Model) -> None:
    for path, entry in model.entries("override_layer_configs"):
        layer = model.by_name.get(entry.layer_name)
        if layer is None:
            unknown_layer(model, entry.layer_name, (*path, "layer_name"))
        elif wants_channel_wise(entry) and layer.type not in model.target.channel_wise_types:
            channel_wise(model, "'{}', which is of type {}".format(layer.name, layer.type), path)


def common_channel_wise(model: Model) -> None:
    """The toolkit checks every supported layer without an override, also those that are skipped."""
    common = model.config.common_config
    if common is None or common.arq_quantize is None or not common.arq_quantize.channel_wise:
        return
    hit = [
        layer
        for layer in model.supported
        if layer.type not in model.target.channel_wise_types
        and layer.name not in model.merger.names
        and layer.type not in model.merger.types
    ]
    if not hit:
        return
    types = sorted({layer.type for layer in hit})
    message = "channel_wise can't be true for {}, of type {}, {} common_config applies to{}".format(
        named(layer.name for layer in hit),
        " and ".join(types),
        "which" if len(hit) == 1 else "all of which",
        " even though skipped" if not any(model.merger.quant_enable(layer).value for layer in hit) else "",
    )
    hint = "leave channel_wise out here, or add override_layer_types with channel_wise: false for {}".format(
        " and ".join(types)
    )
    path = ("common_config", "arq_quantize", "channel_wise")
    model.report(ERROR, "channel-wise-unsupported", message, path, hint)


def unfused_layers(model: Model) -> None:
    for path, name in model.entries("skip_fusion_layers"):
        layer = model.by_name.get(name)
        if layer is None:
            unknown_layer(model, name, path)
        elif layer.type not in model.target.fusible_types:
            message = "'{}' is of type {}, into which BN is never fused".format(name, layer.type)
            fusible = " and ".join(sorted(model.target.fusible_types))
            model.report(ERROR, "not-fusible", message, path, "delete it here; BN is fused into {}".format(fusible))


def reserved_names(model: Model) -> None:
    for layer in model.supported:
        if layer.name in GLOBAL_KEYS:
            message = "the model has a layer named '{}', which is a global key of the JSON".format(layer.name)
            model.report(ERROR, "reserved-name", message, None, "rename that node of the graph")


def nothing_to_quantize(model: Model) -> None:
    if not model.supported:
        message = "the model has no layer that can be quantized"
        hint = "the quantizable types are {}".format(", ".join(sorted(model.target.quantizable_types)))
    elif model.target.quantizable_types <= set(model.config.skip_layer_types):
        message, hint = "skip_layer_types skips every quantizable type", "leave at least one type out of it"
    elif not any(model.merger.quant_enable(layer).value for layer in model.supported):
        message, hint = "skip_layers and skip_layer_types leave no layer to quantize", "leave at least one layer"
    else:
        return
    model.report(ERROR, "nothing-to-quantize", message, None, hint)


# ---------------------------------------------------------------- words that several rules share


def wants_channel_wise(entry: Any) -> bool:
    arq = entry.calibration_config.arq_quantize
    return arq is not None and arq.channel_wise is True


def channel_wise(model: Model, what: str, path: Path) -> None:
    path += ("calibration_config", "arq_quantize", "channel_wise")
    possible = ", ".join(sorted(model.target.channel_wise_types))
    hint = "write channel_wise: false, or leave it out; only {} can have it".format(possible)
    model.report(ERROR, "channel-wise-unsupported", "channel_wise can't be true for {}".format(what), path, hint)


def unknown_layer(model: Model, name: str, path: Path) -> None:
    hint = did_you_mean(nearest(name, model.by_name)) or "`amctcfg layers` lists the layers of a graph"
    model.report(ERROR, "unknown-layer", "the model has no layer '{}'".format(name), path, hint)


def unknown_type(model: Model, name: str, path: Path) -> None:
    quantizable = sorted(model.target.quantizable_types)
    if name in model.by_type:
        message = "layers of type {} can't be quantized".format(name)
        hint = "the quantizable types are {}".format(", ".join(quantizable))
        model.report(ERROR, "not-quantizable", message, path, hint)
        return
    similar = [t for t in FOREIGN_TYPES.get(name.lower().replace("_", ""), ()) if t in model.target.quantizable_types]
    similar = similar or nearest(name, quantizable)
    hint = did_you_mean(similar) or "the quantizable types are {}".format(", ".join(quantizable))
    model.report(ERROR, "unknown-type", "'{}' is no quantizable type".format(name), path, hint)
