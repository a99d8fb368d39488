# SPDX-License-Identifier: Apache-2.0
"""What a layer is, in words: products, weights computed at run time, groups, channels; and what is no layer."""

import json
import pickle
import sys

import pytest

import amctcfg
from amctcfg import ONNX, PYTORCH, TENSORFLOW, ConfigError, Layer
from amctcfg.flavours.layer import Layers, Traits
from amctcfg.models import graphs
from amctcfg.models.loading import examine_file

from .conftest import DATA

pytest.importorskip("google.protobuf", reason="models are read with protobuf")

from amctcfg.models.onnx import FIELDS
from amctcfg.models.values import OnnxGraph, iter_node_names

MODELS = DATA / "models"
FLOAT, INTEGER, INTEGERS, GRAPH = 1, 2, 7, 5


def onnx_model():
    model = graphs.make_message_classes("amctcfg_onnx", FIELDS)["ModelProto"](ir_version=8)
    model.graph.input.add(name="x").type.tensor_type.shape.dim.add(dim_value=1)
    return model


def add_node(graph, kind, inputs, output, name=None, **attributes):
    node = graph.node.add(op_type=kind, input=inputs, output=[output], name=output if name is None else name)
    for key, value in attributes.items():
        attribute = node.attribute.add(name=key)
        if isinstance(value, int):
            attribute.i, attribute.type = value, INTEGER
        else:
            attribute.ints.extend(value)
            attribute.type = INTEGERS
    return node


def written(model, path):
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def path(tmp_path):
    """A model with a layer of each kind that has a note."""
    model = onnx_model()
    graph = model.graph
    weights = {
        "w": [8, 4, 3, 3], "depth": [8, 1, 3, 3], "half": [8, 4, 3, 3], "m": [6, 5], "m4": [1, 1, 6, 5], "part": [3, 5],
    }  # fmt: skip
    for name, dims in weights.items():
        graph.initializer.add(name=name, dims=dims)
    add_node(graph, "Conv", ["x", "w"], "plain")
    add_node(graph, "Conv", ["plain", "depth"], "depthwise", group=8)
    add_node(graph, "Conv", ["depthwise", "half"], "grouped", group=2)
    add_node(graph, "Identity", ["w"], "w2")
    add_node(graph, "Conv", ["x", "w2"], "sharing")
    add_node(graph, "Concat", ["part", "part"], "joined")
    add_node(graph, "Cast", ["joined"], "cast")
    add_node(graph, "MatMul", ["x", "m"], "product")
    add_node(graph, "MatMul", ["x", "cast"], "runtime")
    add_node(graph, "MatMul", ["x", "product"], "variables")
    add_node(graph, "Identity", ["m4"], "m4b")
    add_node(graph, "Cast", ["m4b"], "m4c")
    add_node(graph, "DequantizeLinear", ["m4c"], "m4d")
    add_node(graph, "MatMul", ["x", "m4d"], "wide")
    add_node(graph, "Shape", ["x"], "shape")
    add_node(graph, "Relu", ["x"], "relu")
    return written(model, tmp_path / "m.onnx")


NOTES = {
    "depthwise": ["depthwise"],
    "grouped": ["grouped"],
    "plain": ["shares its weight with sharing"],
    "sharing": ["shares its weight with plain"],
    "runtime": ["weight computed at run time (Concat of constants)"],
    "variables": ["product of two variables"],
}


def test_traits(path):
    found = {e.layer.name: e for e in examine_file(path, ONNX)}
    assert {name: e.traits.list_notes() for name, e in found.items() if e.traits.list_notes()} == NOTES
    assert found["plain"].traits.channels == (4, 8) and found["grouped"].traits.channels == (8, 8)
    assert found["depthwise"].traits == Traits(group=8, channels=(8, 8)) and found["product"].traits.channels == (6, 5)
    assert found["wide"].reason == "its constant input has 4 dimensions, not 2 or 3"
    assert [name for name, e in found.items() if e.minor] == ["w2", "m4b", "m4c", "m4d", "shape"]
    assert found["runtime"].layer.lacks == found["variables"].layer.lacks == ("asymmetric",)


def test_a_reshaped_input_is_a_layer_in_every_flavour(tmp_path):
    model = onnx_model()
    model.graph.initializer.add(name="w", dims=[4])
    add_node(model.graph, "Reshape", ["x", "w"], "flat")
    add_node(model.graph, "Identity", ["w"], "copy")
    path = written(model, tmp_path / "reshaped.onnx")
    for flavour in (ONNX, PYTORCH):
        assert {e.layer.name: e.minor for e in examine_file(path, flavour)} == {"flat": False, "copy": True}


def test_a_value_is_followed_to_what_is_constant_or_not():
    graph = onnx_model().graph
    graph.initializer.add(name="w", dims=[2, 3])
    for start in ("w", "x"):
        add_node(graph, "Identity", [start], start + "1")
        add_node(graph, "Transpose", [start + "1"], start + "2")
        add_node(graph, "Identity", [start + "2"], start + "3")
    found = OnnxGraph(graph)
    assert found.trace("w") == ("w", True, (2, 3), False)
    assert found.trace("w3") == ("w", True, (3, 2), True)
    assert found.trace("x3") == ("x", False, None, True)
    assert found.trace("x1") == ("x", False, None, True)


def test_a_node_without_its_inputs_is_nothing_special(tmp_path):
    model = onnx_model()
    for kind in ("Conv", "MatMul"):
        add_node(model.graph, kind, ["x"], kind + "1")
        add_node(model.graph, kind, [], kind + "0")
    layers = amctcfg.load_layers(written(model, tmp_path / "m.onnx"), flavour=ONNX)
    assert set(layers.traits.values()) <= {Traits()}


def test_the_layers_of_a_file_carry_them(path):
    layers = amctcfg.load_layers(path)
    assert layers.traits["variables"].two_variable and layers.is_complete and "shape" in layers.minor
    copy = pickle.loads(pickle.dumps(layers))
    assert (copy, copy.traits, copy.minor) == (layers, layers.traits, layers.minor)
    assert Layers(layers) is layers and layers == tuple(layers)
    assert Layers([Layer("a", "b")]).traits is None
    assert [layer.name for layer in layers if layers.is_minor(layer)] == ["w2", "m4b", "m4c", "m4d", "shape"]


def test_the_command_says_what_a_layer_is(path, cli):
    out = cli("layers", path).out
    assert (
        "runtime    MatMul  quantizable, without asymmetric; weight computed at run time (Concat of constants)" in out
    )
    assert "Shape" not in out and "Identity" not in out and "relu" in out
    assert "Shape" in cli("layers", path, "--all").out
    rows = {row["name"]: row for row in json.loads(cli("layers", path, "--format", "json").out)}
    assert {name: row["notes"] for name, row in rows.items() if "notes" in row} == NOTES
    table = cli("layers", path, "--format", "csv").out
    assert table.startswith("name,type,supported,lacks,notes\n") and "grouped,Conv,true,,grouped\n" in table
    for form in ("json", "csv"):
        copy = path.parent / ("l." + form)
        copy.write_text(cli("layers", path, "--format", form, "--all").out, encoding="utf-8")
        assert amctcfg.load_layers(copy) == amctcfg.load_layers(path)


def test_tensorflow_tells_them_too(tmp_path):
    from .test_models_graphs import graph_def

    def constant(name, *dims):
        return name, "Const", [], {}, dims

    nodes = [
        constant("w", 3, 3, 4, 8), constant("d", 3, 3, 8, 2), constant("up", 3, 3, 8, 4), constant("m", 5, 6),
        constant("m3", 2, 5, 6),
        ("x", "Placeholder", [], {}), ("conv", "Conv2D", ["x", "w"], {}), ("dw", "DepthwiseConv2dNative", ["x", "d"], {}),
        ("back", "Conv2DBackpropInput", ["x", "up", "x"], {}), ("mm", "MatMul", ["x", "m"], {}),
        ("read", "Identity", ["m3"], {}), ("bm", "BatchMatMulV2", ["x", "read"], {}),
        ("joined", "ConcatV2", ["m", "m"], {}), ("rt", "BatchMatMulV2", ["x", "joined"], {}),
        ("xx", "BatchMatMulV2", ["x", "x"], {}),
    ]  # fmt: skip
    graph = graph_def(*[node[:4] for node in nodes])
    for node, described in zip(graph.node, nodes):
        for size in described[4] if len(described) > 4 else ():
            value = node.attr.add(key="value").value if not node.attr else node.attr[0].value
            value.tensor.tensor_shape.dim.add(size=size)
    layers = amctcfg.layers_from_graph(graph, flavour=TENSORFLOW)
    channels = {name: found.channels for name, found in layers.traits.items() if found.channels}
    assert channels["conv"] == (4, 8) and channels["dw"] == (8, 16) and channels["back"] == (4, 8)
    assert channels["mm"] == (5, 6) and layers.traits["dw"].is_depthwise
    assert layers.traits["rt"].runtime_weight == "ConcatV2" and layers.traits["xx"].two_variable
    assert {layer.name: layer.supported for layer in layers}["bm"] is False  # its constant operand has three dimensions
    assert set(layers.minor) == {"w", "d", "up", "m", "m3", "read"}


def test_weights_behind_a_chain_are_walked_once():
    """A thousand products behind a chain of a thousand additions: each node is looked at once."""
    looked = []

    class Counting(dict):
        def __contains__(self, name):
            looked.append(name)
            return super().__contains__(name)

    def graph_of(*nodes):
        made = {name: graphs.Node(name, kind, inputs, [name], lambda name: None) for name, kind, inputs in nodes}
        return graphs.Graph(made.values(), made, Counting(c0=None))

    chain = [("c%d" % n, "Add", ["c%d" % (n - 1)] * 2) for n in range(1, 1000)]
    graph = graph_of(("c0", "Const", []), *chain)
    assert [graph.find_runtime_operation("c999") for _ in range(1000)] == ["Add"] * 1000
    assert len(looked) < 5000
    assert graph_of(("a", "Add", ["b", "b"]), ("b", "Add", ["a"])).find_runtime_operation("a") is None


# ---------------------------------------------------------------- what must not grow


def test_many_nodes_of_one_name():
    """Twice as many nodes of one name are twice the work: suffixes are not counted from the start again."""

    def steps(count):
        graph = onnx_model().graph
        for _ in range(count):
            graph.node.add(op_type="Relu", name="a", output=["y"])
        lines = [0]

        def trace(frame, event, argument):
            lines[0] += event == "line"
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            named = [name for _, name in iter_node_names(graph.node)]
        finally:
            sys.settrace(before)
        assert len(set(named)) == count and named[:3] == ["a", "a_1", "a_2"]
        return lines[0]

    assert steps(400) < 5 * steps(100)


def test_an_allowance_may_be_used_up():
    room = graphs.Allowance(2, "m.onnx", "too much")
    room.take(room.FIXED + 2 * room.PER_BYTE)
    with pytest.raises(ConfigError, match="too much"):
        room.take(1)


@pytest.mark.parametrize("characters, nodes", [(200000, 20000), (20000, 20000)])
def test_names_of_subgraphs_have_an_allowance(characters, nodes, tmp_path):
    model = onnx_model()
    inner = add_node(model.graph, "If", ["x"], "y").attribute.add(name="n" * characters, type=GRAPH).g
    for _ in range(nodes):
        inner.node.add(op_type="Add")
    with pytest.raises(ConfigError, match="its subgraphs have too many and too long names"):
        amctcfg.load_layers(written(model, tmp_path / "m.onnx"))


def test_rows_on_one_line_are_not_copied():
    """Rows that carriage returns end are all on the first line of an editor, which is not copied for each of them."""
    from amctcfg.diagnostics.source import Source
    from amctcfg.models.tables import read_csv_rows

    class Watched(str):
        copied = 0

        def __getitem__(self, index):
            found = str.__getitem__(self, index)
            Watched.copied += len(found)
            return found

    source = Source(Watched("name,type\r" + "a,b\r" * 5000), "l.csv")
    assert len(list(read_csv_rows(source))) == 5000 and Watched.copied < 100000
