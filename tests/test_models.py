# SPDX-License-Identifier: Apache-2.0
"""Layers out of ONNX models and of PyTorch modules, against the packages that make them (extra `witness`)."""

import json
from types import SimpleNamespace as Thing

import pytest

import amctcfg
from amctcfg import ONNX, PYTORCH, TENSORFLOW, Layer
from amctcfg.flavours.layer import Traits
from amctcfg.models.loading import doubt_names, examine_file
from amctcfg.models.modules import find_doubted_paths
from amctcfg.models.torch import traits_of


def layers_in(path, flavour=ONNX):
    return {layer.name: layer for layer in amctcfg.load_layers(path, flavour=flavour)}


# ---------------------------------------------------------------- ONNX, by onnx.helper


@pytest.fixture(scope="module")
def helper():
    pytest.importorskip("google.protobuf", reason="models are read with protobuf")
    return pytest.importorskip("onnx.helper", reason="models are made by the package onnx")


def made(helper, path, nodes, shapes=None, weights=(), outputs=("y",)):
    """A model: nodes as (type, inputs, outputs, name, attributes), shapes of values, shapes of weights by name."""
    import onnx

    def info(name, shape):
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)

    shapes = dict({"x": [1, 4, 8, 8]}, **(shapes or {}))
    made_nodes = [
        helper.make_node(kind, inputs, outs, name=name, **attributes) for kind, inputs, outs, name, attributes in nodes
    ]
    initializers = []
    for name, shape in dict(weights).items():
        count = 1
        for size in shape:
            count *= size
        initializers.append(helper.make_tensor(name, onnx.TensorProto.FLOAT, shape, [0.5] * count))
    values = [info(name, shape) for name, shape in shapes.items() if name != "x"]
    graph = helper.make_graph(
        made_nodes, "g", [info("x", shapes["x"])], [info(o, None) for o in outputs], initializers, value_info=values
    )
    onnx.save(helper.make_model(graph), str(path))
    return path


WEIGHT = {"w": [4, 4, 3, 3], "m": [4, 4], "m4": [1, 1, 4, 4]}

ONE_NODE = [
    ("Conv", ["x", "w"], {}, {}, None),
    ("Conv", ["x", "x"], {}, {}, "its weight is not a constant: it comes from 'x', an input of the model"),
    ("Conv", ["x", "w"], {}, {"x": [1, 4, 8]}, "its input has 3 dimensions, not 4 or 5"),
    ("ConvTranspose", ["x", "w"], {}, {}, None),
    ("ConvTranspose", ["x", "w"], {}, {"x": [1, 4, 8, 8, 8]}, "its input has 5 dimensions, not 4"),
    ("Gemm", ["x", "m"], {}, {"x": [4, 4]}, None),
    ("Gemm", ["x", "m"], {"transB": 1}, {"x": [4, 4]}, None),
    ("Gemm", ["x", "m"], {"transA": 1}, {"x": [4, 4]}, "its transA is 1"),
    ("Gemm", ["x", "m"], {"alpha": 0.5, "beta": 2.0}, {"x": [4, 4]}, "its alpha is 0.5 and its beta is 2.0"),
    ("Gemm", ["x", "x"], {}, {"x": [4, 4]}, "its weight is not a constant"),
    ("MatMul", ["x", "m"], {}, {}, None),
    ("MatMul", ["x", "m4"], {}, {}, "its constant input has 4 dimensions, not 2 or 3"),
    ("AveragePool", ["x"], {"kernel_shape": [2, 2]}, {}, None),
    ("AveragePool", ["x"], {"kernel_shape": [2]}, {"x": [1, 4, 8]}, "its input has 3 dimensions, not 4"),
]


@pytest.mark.parametrize("kind, inputs, attributes, shapes, reason", ONE_NODE)
def test_conditions(helper, tmp_path, cli, kind, inputs, attributes, shapes, reason):
    weights = {name: shape for name, shape in WEIGHT.items() if name in inputs}
    path = made(helper, tmp_path / "m.onnx", [(kind, inputs, ["y"], "n", attributes)], shapes, weights)
    assert layers_in(path)["n"].supported is (reason is None)
    shown = cli("layers", path).out
    assert "quantizable" in shown and (reason or "quantizable") in shown


def test_a_product_of_two_variables_is_symmetric_only(helper, tmp_path):
    path = made(helper, tmp_path / "m.onnx", [("MatMul", ["x", "x"], ["y"], "n", {})])
    assert layers_in(path)["n"] == Layer("n", "MatMul", True, ("asymmetric",))
    plan = amctcfg.expand(amctcfg.loads("", flavour=ONNX), amctcfg.load_layers(path, flavour=ONNX))
    assert plan["n"].calibration_config.ifmr_quantize.asymmetric is False
    assert plan["n"].origins["ifmr_quantize.asymmetric"].tier == "layer_type"


@pytest.mark.parametrize(
    "through, constant", [("Identity", True), ("Cast", True), ("Transpose", True), ("Relu", False)]
)
def test_weights_are_followed_to_their_constants(helper, tmp_path, through, constant):
    import onnx

    attributes = {"to": onnx.TensorProto.FLOAT} if through == "Cast" else {}
    tensor = helper.make_tensor("t", onnx.TensorProto.FLOAT, [4, 4, 3, 3], [0.5] * 144)
    nodes = [
        ("Constant", [], ["c"], "const", {"value": tensor}),
        (through, ["c"], ["k"], "through", attributes),
        ("Conv", ["x", "k"], ["y"], "conv", {}),
    ]
    path = made(helper, tmp_path / "m.onnx", nodes)
    assert layers_in(path)["conv"].supported is constant


def test_names_of_nodes_without_one(helper, tmp_path):
    nodes = [
        ("Relu", ["x"], ["a"], "", {}), ("Conv", ["a", "w"], ["b"], "", {}), ("Conv", ["b", "w"], ["c"], "same", {}),
        ("Conv", ["c", "w"], ["y"], "same", {}),
    ]  # fmt: skip
    path = made(helper, tmp_path / "m.onnx", nodes, weights={"w": WEIGHT["w"]})
    assert list(layers_in(path)) == ["Relu_0", "Conv_1", "same", "same_1"]


def test_what_a_missing_shape_leaves_open_is_said(helper, tmp_path, cli):
    nodes = [("Relu", ["x"], ["a"], "r", {}), ("AveragePool", ["a"], ["y"], "pool", {"kernel_shape": [2, 2]})]
    path = made(helper, tmp_path / "m.onnx", nodes)
    assert layers_in(path)["pool"].supported
    assert "assumed to have 4 dimensions" in cli("layers", path).out


def test_nodes_in_subgraphs_are_not_quantized(helper, tmp_path):
    import onnx

    out = helper.make_tensor_value_info("o", onnx.TensorProto.FLOAT, None)
    inner = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["o"], name="conv")], "b", [], [out])
    nodes = [("If", ["x"], ["y"], "if", {"then_branch": inner, "else_branch": inner})]
    path = made(helper, tmp_path / "m.onnx", nodes, weights={"w": WEIGHT["w"]})
    found = layers_in(path)
    assert found["if/then_branch/conv"] == Layer("if/then_branch/conv", "Conv", False)
    assert set(found) == {"if", "if/then_branch/conv", "if/else_branch/conv"}


def test_external_weights_are_not_opened(helper, tmp_path):
    import onnx

    path = made(helper, tmp_path / "m.onnx", [("Conv", ["x", "w"], ["y"], "c", {})], weights={"w": WEIGHT["w"]})
    model = onnx.load(str(path))
    (tensor,) = model.graph.initializer
    tensor.ClearField("float_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="nowhere.bin")
    path.write_bytes(model.SerializeToString())
    assert layers_in(path)["c"].supported


def test_a_damaged_model_is_an_error(helper, tmp_path):
    path = made(helper, tmp_path / "m.onnx", [("Conv", ["x", "w"], ["y"], "c", {})], weights={"w": WEIGHT["w"]})
    data = path.read_bytes()
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        try:
            amctcfg.load_layers(path, flavour=ONNX)
        except amctcfg.ConfigError as error:
            assert str(error)


def test_an_onnx_model_with_another_flavour_is_a_note(helper, tmp_path, cli):
    path = made(helper, tmp_path / "m.onnx", [("Conv", ["x", "w"], ["y"], "c", {})], weights={"w": WEIGHT["w"]})
    result = cli("check", "-", "--graph", path, "--flavour", "caffe", stdin=b"")
    assert "is an ONNX model; its node types are checked against flavour caffe" in result.err
    result = cli("expand", "-", "--graph", path, stdin=b"batch_num: 2")
    assert result.status == 0 and json.loads(result.out)["batch_num"] == 2 and "flavour onnx" in result.err


# ---------------------------------------------------------------- TensorFlow's own types and conditions


def test_a_graph_of_the_tensorflow_flavour():
    def node(name, op, inputs=(), **attributes):
        return Thing(name=name, op=op, input=list(inputs), attr={k: v for k, v in attributes.items()})

    def ints(*values):
        return Thing(list=Thing(i=list(values)), b=False, s=b"")

    nodes = [
        node("w", "Const"), node("x", "Placeholder"),
        node("dw", "DepthwiseConv2dNative", ["x", "w"], dilations=ints(1, 2, 2, 1)),
        node("c3", "Conv3D", ["x", "w"], dilations=ints(1, 1, 2, 2, 1)),
        node("c3d", "Conv3D", ["x", "w"], dilations=ints(1, 2, 1, 1, 1)),
        node("bm", "BatchMatMulV2", ["x", "x"]), node("bmc", "BatchMatMulV2", ["x", "w"]),
    ]  # fmt: skip
    found = {layer.name: layer for layer in amctcfg.layers_from_graph(Thing(node=nodes), flavour=TENSORFLOW)}
    assert found["dw"].supported and found["c3"].supported and not found["c3d"].supported
    assert found["bm"].lacks == ("asymmetric",) and found["bmc"].lacks == ()
    ascend = {layer.name: layer.supported for layer in amctcfg.layers_from_graph(Thing(node=nodes))}
    assert (ascend["dw"], ascend["c3"], ascend["bm"]) == (False, False, True)


# ---------------------------------------------------------------- PyTorch


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="modules are made by PyTorch")


def test_modules(torch):
    nn = torch.nn
    shared = nn.Linear(4, 4)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 3)
            self.reflect = nn.Conv2d(4, 4, 3, padding_mode="reflect")
            self.grouped = nn.Conv2d(4, 4, 3, groups=2)
            self.odd = nn.Conv2d(3, 4, 3)
            self.deep = nn.Conv3d(4, 4, 3, dilation=(2, 1, 1))
            self.wide = nn.Conv3d(4, 4, 3, dilation=(1, 2, 2))
            self.fc = nn.Linear(4, 4)
            self.bare = nn.Linear(4, 4, bias=False)
            self.block = nn.Sequential(nn.AvgPool2d(2), nn.ReLU(), nn.LSTM(4, 4), nn.LSTM(4, 4, bidirectional=True))
            self.gru = nn.GRU(4, 4, num_layers=2)
            self.dropped, self.projected = nn.LSTM(4, 4), nn.LSTM(4, 4, proj_size=2)
            self.dropped.dropout = 0.5  # of one layer PyTorch warns, as it has no effect
            self.odd_lstm, self.odd_gru = nn.LSTM(4, 5), nn.GRU(3, 4)
            self.embedding, self.head = nn.Embedding(6, 4), nn.Linear(4, 6)
            self.head.weight = self.embedding.weight
            self.line, self.also = nn.Conv1d(4, 4, 1), nn.Conv1d(4, 4, 1)
            self.also.weight = self.line.weight
            self.one, self.other = shared, shared
            self.tied = nn.Linear(4, 4)
            self.tied.weight = self.fc.weight

    module = Net()
    layers = amctcfg.layers_from_module(module)
    assert [layer.name for layer in layers] == [name for name, _ in module.named_modules()]
    found = {layer.name: layer for layer in layers}
    assert found[""] == Layer("", "Net", False)
    assert amctcfg.layers_from_module(nn.Linear(4, 4)) == (Layer("", "Linear", False),)  # the root, whatever it is
    supported = {name for name, layer in found.items() if layer.supported}
    # One module under two names, an embedding's weight and that of two Conv1d are not counted as shared.
    assert supported == {
        "conv", "grouped", "odd", "wide", "bare", "block.0", "block.2", "odd_lstm", "odd_gru", "one",
        "head", "line", "also",
    }  # fmt: skip
    assert found["odd_lstm"].lacks == found["odd_gru"].lacks == ("int4",) and found["block.2"].lacks == ()
    assert found["fc"].supported is found["tied"].supported is False
    assert found["bare"].lacks == ("int16",)
    assert "int4" in found["grouped"].lacks and "int4" in found["odd"].lacks and found["conv"].lacks == ()
    plan = amctcfg.expand(amctcfg.loads("", flavour=PYTORCH), layers)
    assert list(plan) == [layer.name for layer in layers if layer.supported]
    with pytest.raises(TypeError, match="has to be a torch.nn.Module, not 'str'"):
        amctcfg.layers_from_module("model.pt")


@pytest.mark.parametrize(
    "kind, attributes, lacks",
    [
        ("Linear", {"in_features": 4}, ("int16",)),
        ("Conv2d", {"in_channels": 4}, ()),
        ("Conv3d", {"in_channels": 4, "dilation": 1}, ()),
        ("Conv3d", {"in_channels": 3}, ("int4",)),
        ("LSTM", {"input_size": 4, "hidden_size": 6}, ()),
        ("GRU", {"input_size": 4, "hidden_size": 5}, ("int4",)),
    ],
)
def test_a_module_shaped_thing_is_enough(kind, attributes, lacks):
    """torch is not imported: anything with its shape is taken, and what it does not say is as usual."""
    leaf = type(kind, (Thing,), {})(_modules={}, _parameters={"weight": object()}, bias=None, **attributes)
    root = Thing(
        _modules={"fc": leaf}, _parameters={}, named_modules=lambda: [("", root), ("fc", leaf)], named_parameters=dict
    )
    (_, layer) = amctcfg.layers_from_module(root)
    assert layer == Layer("fc", kind, True, lacks)


def test_what_is_not_shaped_like_a_module():
    for thing in (3, Thing(), Thing(named_parameters=dict), Thing(named_modules=list)):
        with pytest.raises(
            TypeError, match="a module has to be a torch.nn.Module, not '{}'".format(type(thing).__name__)
        ):
            amctcfg.layers_from_module(thing)


def test_an_exported_model(torch, tmp_path):
    pytest.importorskip("onnx")
    nn = torch.nn
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(4 * 3 * 3, 5))
    path = str(tmp_path / "net.onnx")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, torch.zeros(1, 3, 8, 8), path, dynamo=False)
    import onnx

    layers = amctcfg.load_layers(path, flavour=ONNX)
    assert [layer.name for layer in layers] == [node.name for node in onnx.load(path).graph.node]
    assert [layer.type for layer in layers if layer.supported] == ["Conv", "AveragePool", "Gemm"]


# ---------------------------------------------------------------- what is said of a layer


@pytest.mark.parametrize(
    "traits, notes",
    [
        ({}, []),
        ({"group": 1, "channels": (1, 8)}, []),
        ({"group": 2, "channels": (8, 8)}, ["grouped"]),
        ({"group": 8, "channels": (8, 16)}, ["depthwise"]),
        ({"group": 2, "channels": (2, 2)}, ["depthwise"]),
        ({"group": 2}, ["grouped"]),
        ({"two_variable": True}, ["product of two variables"]),
        ({"runtime_weight": "Mul"}, ["weight computed at run time (Mul of constants)"]),
        ({"shares": "fc"}, ["shares its weight with fc"]),
    ],
)
def test_what_is_special_is_said(traits, notes):
    assert Traits(**traits).list_notes() == notes
    assert Traits(**traits).is_depthwise is ("depthwise" in notes)


@pytest.mark.parametrize(
    "module, group, channels",
    [
        ({"in_channels": 4, "out_channels": 8, "groups": 2}, 2, (4, 8)),
        ({"in_channels": 4, "out_channels": 8}, 1, (4, 8)),
        ({"in_features": 3, "out_features": 5}, 1, (3, 5)),
        ({"in_features": 3, "out_features": None}, 1, ()),
        ({}, 1, ()),
    ],
)
def test_channels_of_a_module(module, group, channels):
    found = traits_of(Thing(**module))
    assert (found.group, found.channels) == (group, channels)


def test_doubtful_names_are_said():
    one, two = ([Thing(layer=Layer(n, "Conv2d"), certain=False) for n in names] for names in ("a", "ab"))
    sure = Thing(layer=Layer("c", "Conv2d"), certain=True)
    assert doubt_names([sure]) is None
    assert doubt_names([sure, *one]).startswith("the name 'a' is not certain: ")
    assert doubt_names([*two, sure]).startswith("the names 'a' and 'b' are not certain: ")
    many = [Thing(layer=Layer(name, "Conv2d"), certain=False) for name in "abcdefg"]
    assert doubt_names(many).startswith("the names 'a', 'b', 'c', 'd', 'e' and 2 more are not certain: ")


# ---------------------------------------------------------------- names of PyTorch's modules on ONNX


def test_a_module_that_is_called_twice_is_not_quantized(helper, tmp_path):
    """A number at the end is a further call where the weight is the same, and a module of its own elsewhere."""
    for weights, supported in ({"w": WEIGHT["w"]}, set()), ({"w": WEIGHT["w"], "v": WEIGHT["w"]}, {"a", "a_1"}):
        nodes = [
            ("Conv", ["x", "w"], ["h"], "/a/Conv", {"pads": [1] * 4}),
            ("Conv", ["h", list(weights)[-1]], ["y"], "/a_1/Conv", {"pads": [1] * 4}),
        ]
        found = layers_in(made(helper, tmp_path / "m.onnx", nodes, weights=weights), PYTORCH)
        assert found["a"].type == "Conv2d"
        assert {name for name, layer in found.items() if layer.supported} == supported


@pytest.mark.parametrize(
    "added, place, lacks",
    [
        ("fc.bias", "/fc/Add", ()),
        ("x", "/fc/Add", ("int16",)),
        ("fc.bias", "/other/Add", ("int16",)),
        ("fc.bias", "/Add", ("int16",)),
    ],
)
def test_what_is_added_to_a_linear_is_its_bias_where_it_is_constant(helper, tmp_path, added, place, lacks):
    """The toolkit has no INT16 for a Linear without a bias."""
    nodes = [
        ("MatMul", ["x", "onnx::MatMul_1"], ["h"], "/fc/MatMul", {}),
        ("Add", [added, "h"], ["y"], place, {}),
    ]
    weights = {"onnx::MatMul_1": [8, 8], "fc.bias": [8]}
    path = made(helper, tmp_path / "m.onnx", nodes, weights=weights)
    assert layers_in(path, PYTORCH)["fc"] == Layer("fc", "Linear", True, lacks)


@pytest.mark.parametrize("hidden, width, lacks", [(4, 4, ()), (5, 4, ("int4",)), (4, 3, ("int4",)), (4, None, ())])
def test_int4_wants_even_widths_of_a_recurrent_module(helper, tmp_path, hidden, width, lacks):
    """A weight of an unknown shape is taken for an even one."""
    weights = {"r": [1, 4 * hidden, hidden]}
    if width is not None:
        weights["w"] = [1, 4 * hidden, width]
    nodes = [
        ("Relu", ["x"], ["h"], "/r/Relu", {}),
        ("LSTM", ["h", "w", "r"], ["y"], "/lstm/LSTM", {"hidden_size": hidden}),
    ]
    path = made(helper, tmp_path / "m.onnx", nodes, weights=weights)
    assert layers_in(path, PYTORCH)["lstm"].lacks == lacks


@pytest.mark.parametrize("kind, shape, lacks", [
    ("Conv", [5, 4, 3, 3], ()), ("Conv", [4, 5, 3, 3], ("int4",)), ("Conv", [4, 4, 3, 3], ()),
    ("ConvTranspose", [4, 5, 3, 3], ()), ("ConvTranspose", [5, 4, 3, 3], ("int4",)),
])  # fmt: skip
def test_int4_wants_an_even_number_of_input_channels(helper, tmp_path, kind, shape, lacks):
    path = made(helper, tmp_path / "m.onnx", [(kind, ["x", "w"], ["y"], "/c/" + kind, {})], weights={"w": shape})
    assert layers_in(path, PYTORCH)["c"].lacks == lacks


@pytest.mark.parametrize("kind, dimensions, reason", [
    ("Conv", 3, "its input has 3 dimensions, not 4 or 5"), ("Conv", 4, None), ("Conv", 5, None),
    ("ConvTranspose", 4, None), ("ConvTranspose", 5, "its input has 5 dimensions, not 4"),
])  # fmt: skip
def test_where_the_input_has_no_shape_the_weight_has_as_many_dimensions(helper, tmp_path, kind, dimensions, reason):
    nodes = [("Relu", ["x"], ["h"], "r", {}), (kind, ["h", "w"], ["y"], "n", {})]
    path = made(helper, tmp_path / "m.onnx", nodes, weights={"w": [4, 4, 3, 3, 3][:dimensions]})
    found = {examined.layer.name: examined for examined in examine_file(path, ONNX)}["n"]
    assert (found.layer.supported, found.reason, found.note) == (reason is None, reason, None)


@pytest.mark.parametrize(
    "kind, weights, attributes, reason",
    [
        ("Conv", [4, 4, 3, 3, 3], {"dilations": [1, 2, 2]}, None),
        ("Conv", [4, 4, 3, 3, 3], {"dilations": [2, 1, 1]}, "its dilation in depth is 2, not 1"),
        ("Conv", [4, 4, 3, 3], {"dilations": [2, 1]}, None),
        ("Gemm", [4, 4], {"transB": 1}, None),
        ("Gemm", [4, 4], {"transA": 1, "transB": 1}, "its transA is 1"),
        ("LSTM", [1, 16, 4], {"hidden_size": 4, "direction": "forward"}, None),
        ("LSTM", [1, 16, 4], {"hidden_size": 4, "direction": "reverse"}, "it is not a plain forward LSTM"),
        ("GRU", [1, 12, 4], {"hidden_size": 4, "direction": "bidirectional"}, "it is not a plain forward GRU"),
    ],
)
def test_why_a_module_is_not_quantized(helper, tmp_path, kind, weights, attributes, reason):
    inputs = ["x", "w", "r"] if kind in ("LSTM", "GRU") else ["x", "w"]
    given = {"w": weights, "r": [1, weights[1], 4]} if "r" in inputs else {"w": weights}
    path = made(helper, tmp_path / "m.onnx", [(kind, inputs, ["y"], "/a/" + kind, attributes)], weights=given)
    (found,) = [examined for examined in examine_file(path, PYTORCH) if examined.layer.name == "a"]
    assert (found.layer.supported, found.reason) == (reason is None, reason)


def test_a_type_that_only_tensors_are_of_is_said(helper, tmp_path, cli):
    path = made(helper, tmp_path / "m.onnx", [("MaxPool", ["x"], ["y"], "pool", {"kernel_shape": [2, 2]})])
    assert cli("layers", path).out.splitlines()[0].split("  ")[-1].strip() == "for tensor_quantize only"
    assert layers_in(path)["pool"] == Layer("pool", "MaxPool", False)


def test_channels_of_a_gemm(helper, tmp_path):
    for name, attributes in (("plain", {}), ("turned", {"transB": 1}), ("not_turned", {"transB": 0})):
        path = made(
            helper, tmp_path / "m.onnx", [("Gemm", ["x", "m"], ["y"], name, attributes)], {"x": [4, 4]}, {"m": [4, 6]}
        )
        assert amctcfg.load_layers(path).traits[name].channels == ((6, 4) if name == "turned" else (4, 6))


def test_a_path_beside_one_that_lost_the_name_of_its_container_is_doubted():
    def found(name, path, certain):
        return Thing(name=name, path=path, certain=certain)

    kept = found("top.block.conv", "block.conv", True)
    assert find_doubted_paths([kept, found("block.fc", "block.fc", False)]) == {"block.fc"}
    assert find_doubted_paths([kept, found("other.fc", "other.fc", False)]) == set()
    assert find_doubted_paths([kept, found("top.block.conv", "top.block.conv", False)]) == {"top.block.conv"}
    assert find_doubted_paths([found("a.b", "a.b", False), found("a.b_1", "a.b_1", False)]) == {"a.b", "a.b_1"}


def test_a_sparse_weight_is_constant(helper, tmp_path):
    import onnx

    values = helper.make_tensor("w", onnx.TensorProto.FLOAT, [2], [0.5, 0.25])
    places = helper.make_tensor("places", onnx.TensorProto.INT64, [2], [0, 5])
    path = made(helper, tmp_path / "m.onnx", [("MatMul", ["x", "w"], ["y"], "n", {})])
    model = onnx.load(str(path))
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [8, 8]))
    onnx.save(model, str(path))
    assert layers_in(path)["n"] == Layer("n", "MatMul", True)
