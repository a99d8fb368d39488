# SPDX-License-Identifier: Apache-2.0
"""The layers of an exported ONNX model under a PyTorch flavour: named and typed as the toolkit names the modules."""

import json
import warnings
from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

import amctcfg
from amctcfg import ONNX, PYTORCH, Layer
from amctcfg.models.loading import examine_file
from amctcfg.models.modules import find_modules, read_module_path, without_counts
from amctcfg.models.values import OnnxGraph

from .conftest import DATA, thorough

pytest.importorskip("google.protobuf", reason="models are read with protobuf")

from amctcfg.models import graphs, onnx

MODELS = DATA / "simulation"
NAMES = json.loads((MODELS / "names.json").read_text(encoding="utf-8"))  # as the toolkit's own JSON has them
FILES = sorted(MODELS.glob("*.onnx")) + sorted((MODELS / "dynamo").glob("*.onnx"))


def graph_in(path):
    return graphs.decode_message(
        graphs.make_message_classes("amctcfg_onnx", onnx.FIELDS)["ModelProto"], path.read_bytes()
    ).graph


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_names_and_types_are_the_toolkits(path):
    model = path.stem.replace("_bn", "").replace("_dyn", "")
    layers = amctcfg.load_layers(path, flavour=PYTORCH)
    assert {layer.name: layer.type for layer in layers if layer.supported} == NAMES[model]
    assert all(examined.certain for examined in examine_file(path, PYTORCH))
    others = {layer.name: layer.type for layer in amctcfg.load_layers(path, flavour=ONNX)}
    assert all(others[layer.name] == layer.type for layer in layers if not layer.supported)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_layers_are_found_in_the_graph(path):
    graph = graph_in(path)
    modules = find_modules(OnnxGraph(graph))
    assert [module.name for module in modules] == [
        layer.name for layer in amctcfg.load_layers(path, flavour=PYTORCH) if layer.supported
    ]
    constants = {tensor.name for tensor in graph.initializer}
    for module in modules:
        assert module.node.raw in graph.node and module.node.type in ONNX.quantizable_types
        assert module.weight is None or module.weight.value in constants
        assert module.add is None or module.add.type == "Add"
        assert module.bias is None or module.bias in constants, module.name


def test_what_a_linear_without_bias_lacks():
    found = {layer.name: layer for layer in amctcfg.load_layers(MODELS / "sequence.onnx", flavour=PYTORCH)}
    assert found["q"] == Layer("q", "Linear", True, ("int16",)) and found["k"] == Layer("k", "Linear", True, ())
    modules = find_modules(OnnxGraph(graph_in(MODELS / "sequence_bn.onnx")))
    (module,) = (module for module in modules if module.name == "k")
    assert (module.weight.value, module.weight.is_copy, module.weight.shape) == ("k.weight", False, (8, 8))
    assert (module.bias, module.add.name) == ("k.bias", "/k/Add")


@pytest.mark.parametrize(
    "name, path",
    [
        ("/layer1/layer1.0/conv1/Conv", "layer1.0.conv1"),
        ("/stem/stem.0/Conv", "stem.0"),
        ("/a/l.1/l.1.0/Conv", "a.l.1.0"),
        ("/c1_1/Conv", "c1_1"),
        ("/MatMul", ""),
        ("Conv_0", None),
    ],
)
def test_paths(name, path):
    assert read_module_path(name) == path


def test_paths_that_count():
    assert list(without_counts("a_1.b_2")) == ["a.b_2", "a_1.b", "a.b"]
    assert list(without_counts("a.b")) == []


# ---------------------------------------------------------------- what an exporter makes of a module


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model with everything that loses a name or is no layer, as three exporters write it."""
    torch = pytest.importorskip("torch", reason="modules are made by PyTorch")
    nn, functional = torch.nn, torch.nn.functional

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = nn.ModuleDict({"c1": nn.Conv2d(4, 4, 3, padding=1, bias=False)})
            self.norm = nn.BatchNorm2d(4)
            self.rest = nn.ModuleList([nn.Conv2d(4, 4, 1), nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))])
            self.own = nn.Parameter(torch.rand(4, 4, 1, 1))

        def forward(self, x):
            x = self.norm(self.parts["c1"](x))
            return functional.conv2d(self.rest[1](self.rest[0](x)), self.own)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = Block()
            self.c1, self.n1 = nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)
            self.reflect = nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")
            self.circular = nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular")
            self.same = nn.Conv2d(4, 4, 2, padding="same")
            self.more = nn.ModuleDict({"c1": nn.Conv2d(4, 4, 1), "x": nn.Linear(4, 4)})
            self.n2 = nn.BatchNorm2d(4)
            self.twice, self.tied = nn.Linear(4, 4), nn.Linear(4, 4)
            self.tied.weight = self.twice.weight
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
            self.pool, self.lstm = nn.AvgPool2d(2), nn.LSTM(4, 5, batch_first=True)
            self.last = nn.Linear(5, 3, bias=False)

        def forward(self, x):
            x = self.circular(self.reflect(self.n1(self.c1(self.a(x)))))
            x = self.pool(self.n2(self.more["c1"](self.same(x))))
            x = functional.avg_pool2d(x, 2).mean(2).transpose(1, 2)
            x = self.tied(self.twice(self.twice(self.more["x"](x))))
            x = self.attention(x, x, x, need_weights=False)[0]
            return self.last(self.lstm(x)[0])

    torch.manual_seed(1)
    net, folder = Net().eval(), tmp_path_factory.mktemp("exported")
    plain = {"do_constant_folding": False, "training": torch.onnx.TrainingMode.PRESERVE}
    kinds = {"folded": {}, "plain": plain, "newer": {"dynamo": True, "verbose": False}}

    @lru_cache(maxsize=None)
    def export(kind):
        """What is found in the file of an exporter, and that file."""
        if kind == "newer":
            pytest.importorskip("onnxscript", reason="the newer exporter needs it")
        path = folder / (kind + ".onnx")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(net, torch.rand(1, 4, 16, 16), str(path), **{"dynamo": False, **kinds[kind]})
        return {e.layer.name: e for e in examine_file(path, PYTORCH)}, path

    return net, export


RIGHT = ["a.rest.0", "a.rest.1.0", "c1", "same", "more.x", "pool", "lstm", "last"]


@pytest.mark.parametrize("kind", ["folded", "plain", *thorough(["newer"])])
def test_modules_of_an_export(exported, kind):
    net, export = exported
    found, _ = export(kind)
    types = {name: type(module).__name__ for name, module in net.named_modules()}
    wrong = {name for name, e in found.items() if e.layer.supported and types.get(name) != e.layer.type}
    if kind != "folded":
        assert not wrong and all(found[name].layer.supported for name in [*RIGHT, "a.parts.c1", "more.c1"])
    else:  # what is lost is said to be doubtful, but for a ModuleDict's where nothing shows it
        assert wrong == {"a.c1", "c1_1"}
        assert not found["c1_1"].certain and not found["c1"].certain
    assert all(found[name].layer.supported and types[name] == found[name].layer.type for name in RIGHT)
    assert found["twice"].reason == "it is called 2 times"
    for name in ("reflect", "circular"):
        assert found[name].reason == "its padding_mode is not 'zeros'"
    assert found["last"].layer.lacks == ("int16", "int4") and found["lstm"].layer.lacks == ("int4",)
    assert "attention" not in found and "a" not in found
    if kind == "plain":
        assert found["tied"].reason == "it shares its weight with 'twice'"
        assert found["attention.out_proj"].reason.startswith("its weight is used by 'attention' itself")


def test_uncertain_names_are_said(exported, cli):
    _, export = exported
    result = cli("layers", export("folded")[1], "--flavour", "pytorch", "--quantizable")
    assert "'c1'" in result.err and "not certain" in result.err and "dynamo=True" in result.err
    assert "c1_1" in result.out and result.status == 0


@pytest.mark.thorough  # it starts a compiler
def test_names_of_the_newer_exporter_are_certain(exported, cli):
    _, export = exported
    assert "certain" not in cli("layers", export("newer")[1], "--flavour", "pytorch").err


# ---------------------------------------------------------------- recognised by its bytes


def test_a_model_is_recognised_by_its_bytes(tmp_path, cli):
    data = (MODELS / "convnet.onnx").read_bytes()
    for name in ("model", "model.pb", "model.onnx.part"):
        (tmp_path / name).write_bytes(data)
        assert amctcfg.load_layers(tmp_path / name, flavour=ONNX)[0].type == "Conv"
        result = cli("layers", tmp_path / name, "--quantizable")
        assert "/stem/stem.0/Conv" in result.out, result.err
    (tmp_path / "frozen.onnx").write_bytes((DATA / "models" / "constraints_a.pb").read_bytes())
    assert amctcfg.load_layers(tmp_path / "frozen.onnx") == amctcfg.load_layers(DATA / "models" / "constraints_a.pb")
    assert cli("show", "-", "--graph", tmp_path / "frozen.onnx", stdin=b"").status == 0


# ---------------------------------------------------------------- what a file may hold

KINDS = [
    "Conv",
    "ConvTranspose",
    "MatMul",
    "Gemm",
    "AveragePool",
    "LSTM",
    "Add",
    "Transpose",
    "Identity",
    "Constant",
    "Pad",
]
VALUES = ["x", "a.weight", "b.weight", "a.bias", "v", "w", ""]
ATTRIBUTES = [
    "group",
    "kernel_shape",
    "dilations",
    "perm",
    "transB",
    "transA",
    "hidden_size",
    "direction",
    "mode",
    "value",
]
values_of = st.lists(st.sampled_from(VALUES), max_size=3)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(KINDS), values_of, values_of, st.sampled_from(["", "/a/Conv", "/a_1/Conv", "/", "a", "/a/b/MatMul"]),
            st.lists(st.tuples(st.sampled_from(ATTRIBUTES), st.integers(0, 8), st.lists(st.integers(-2, 5), max_size=3)), max_size=2),
        ),
        min_size=1, max_size=6,
    ),
    st.lists(st.lists(st.integers(-1, 6), max_size=5), min_size=2, max_size=2),
)  # fmt: skip
def test_any_graph_is_read_or_refused(tmp_path_factory, nodes, shapes):
    model = graphs.make_message_classes("amctcfg_onnx", onnx.FIELDS)["ModelProto"](ir_version=8)
    for name, dims in zip(("a.weight", "b.weight"), shapes):
        model.graph.initializer.add(name=name, dims=dims)
    for kind, inputs, outputs, name, attributes in nodes:
        node = model.graph.node.add(op_type=kind, input=inputs, output=outputs, name=name)
        node.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=name)
        for key, type_number, integers in attributes:
            node.attribute.add(name=key, type=type_number, ints=integers, i=len(integers), s=b"x")
    path = tmp_path_factory.mktemp("any") / "m.onnx"
    path.write_bytes(model.SerializeToString())
    for flavour in (PYTORCH, ONNX):
        try:
            layers = amctcfg.load_layers(path, flavour=flavour)
        except amctcfg.ConfigError:
            continue
        assert len(layers) == len(nodes)
        if flavour is PYTORCH:
            assert {module.name for module in find_modules(OnnxGraph(graph_in(path)))} <= {
                layer.name for layer in layers
            }


def test_a_module_that_was_folded_away_is_a_warning(cli, tmp_path):
    """The toolkit knows the name, the model does not: no error, in the library and on the command line."""
    text = 'skip_layers: ["stem.0", "stem.1x"]\nskip_fusion_layers: "gone"\n'
    layers = amctcfg.load_layers(MODELS / "convnet.onnx", flavour=PYTORCH)
    found = amctcfg.check(text, layers=layers, flavour=PYTORCH)
    assert [(d.severity, d.code) for d in found] == [("warning", "unknown-layer")] * 2
    plan = amctcfg.expand(amctcfg.parse(text, flavour=PYTORCH), layers)
    assert not plan["stem.0"].quant_enable and plan["dw"].quant_enable
    (tmp_path / "q.cfg").write_text(text, encoding="utf-8")
    arguments = [tmp_path / "q.cfg", "--graph", MODELS / "convnet.onnx", "--flavour", "pytorch"]
    assert cli("check", *arguments).status == cli("expand", *arguments).status == cli("show", *arguments).status == 0
    found = amctcfg.check(text, layers=list(layers), flavour=PYTORCH)
    assert [d.severity for d in found if d.code == "unknown-layer"] == ["error", "error"]
