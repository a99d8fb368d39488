# SPDX-License-Identifier: Apache-2.0
"""Layers from graphs and tables, as the toolkit sees them; and files that are neither."""

import csv
import io
import json
import random
from types import SimpleNamespace as Thing

import pytest
from hypothesis import given
from hypothesis import strategies as st

import amctcfg
from amctcfg import TF_ASCEND, ConfigError, Layer
from amctcfg.models.loading import examine_file, link_nodes
from amctcfg.models.tables import layers_to_csv, layers_to_json

from .conftest import DATA, thorough
from .strategies import any_text

pytest.importorskip("google.protobuf", reason="graphs are read with protobuf")

from amctcfg.models import graphs
from amctcfg.models.tensorflow import FIELDS

MODELS = DATA / "models"
EXPECTED = json.loads((MODELS / "expected_layers.json").read_text(encoding="utf-8"))


def protobuf_messages():
    return graphs.make_message_classes("amctcfg_graph", FIELDS)


def graph_def(*nodes):
    """A GraphDef from (name, op, inputs, attributes)."""
    graph = protobuf_messages()["GraphDef"]()
    add_nodes(graph.node, nodes)
    return graph


def add_nodes(field, nodes):
    for name, op, inputs, attributes in nodes:
        node = field.add(name=name, op=op, input=inputs)
        for key, value in attributes.items():
            attribute = node.attr.add(key=key).value
            if isinstance(value, list):
                attribute.list.i.extend(value)
            elif isinstance(value, str):
                attribute.func.name = value
            else:
                attribute.b = value


def supported(graph):
    return {layer.name: layer.supported for layer in amctcfg.layers_from_graph(graph)}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_expected_layers(name):
    layers = amctcfg.load_layers(MODELS / name)
    expected = tuple(Layer(**row) for row in EXPECTED[name])
    if name == "mobilenet_v1.pb":  # of this one, the quantizable layers are listed
        layers = tuple(layer for layer in layers if TF_ASCEND.quantizes(layer))
    assert layers == expected


# ---------------------------------------------------------------- conditions


@pytest.mark.parametrize(
    "through, constant",
    [
        ([], True),
        (["Identity"], True),
        (["Identity", "Enter", "Reshape", "Cast"], True),
        (["Relu"], False),
        (["Identity", "Transpose"], False),
        (["ReadVariableOp"], False),
    ],
)
@pytest.mark.parametrize("conv", ["Conv2D", "DepthwiseConv2dNative", "Conv2DBackpropInput"])
def test_filters(conv, through, constant):
    nodes, source = [("x", "Placeholder", [], {}), ("w", "Const", [], {})], "w"
    for number, op in enumerate(through):
        nodes.append(("n{}".format(number), op, [source + ":0", "x"], {}))
        source = "n{}".format(number)
    graph = graph_def(("conv", conv, ["x", source, "x", "^w"], {}), *nodes)
    assert supported(graph)["conv"] is constant


@pytest.mark.parametrize(
    "inputs, reason",
    [
        (["x", "x"], "it comes from 'x', a Placeholder"),
        (["x"], "it has no filter"),
        (["x", "^w"], "it has no filter"),
        (["x", "nowhere"], "'nowhere', which is not in the graph"),
        (["x", "loop"], "it comes from 'loop', a Identity"),
        (["x", "end"], "'end', a Identity without input"),
        (["x", "v"], "a VarHandleOp; freeze the graph"),
    ],
)
def test_why_a_filter_is_no_constant(inputs, reason, cli, tmp_path):
    graph = graph_def(
        ("conv", "Conv2D", inputs, {}), ("x", "Placeholder", [], {}), ("w", "Const", [], {}),
        ("loop", "Identity", ["loop2"], {}), ("loop2", "Cast", ["loop"], {}), ("end", "Identity", [], {}),
        ("v", "VarHandleOp", [], {}),
    )  # fmt: skip
    path = tmp_path / "graph.pb"
    path.write_bytes(graph.SerializeToString())
    shown = cli("layers", path).out.splitlines()[0]
    assert shown.startswith("conv   Conv2D       not quantizable: ") and reason in shown


@pytest.mark.parametrize(
    "op, attributes, reason",
    [
        ("MatMul", {}, None),
        ("MatMul", {"transpose_a": False, "transpose_b": False}, None),
        ("MatMul", {"transpose_a": True}, "its transpose_a is true"),
        ("MatMul", {"transpose_b": True}, "its transpose_b is true"),
        ("MatMul", {"transpose_a": True, "transpose_b": True}, "its transpose_a and transpose_b are true"),
        ("BatchMatMul", {"adj_x": True}, "its adj_x is true"),
        ("BatchMatMulV2", {"adj_y": True}, "its adj_y is true"),
        ("BatchMatMulV2", {"adj_x": False, "adj_y": False}, None),
        ("AvgPool", {}, None),
        ("Conv2D", {"dilations": [1, 2, 2, 1]}, None),
        ("DepthwiseConv2dNative", {"dilations": [1, 1, 1, 1]}, None),
        ("DepthwiseConv2dNative", {"dilations": [1, 2, 1, 1]}, "its dilations are [1, 2, 1, 1], not all 1"),
        ("Conv2DBackpropInput", {"dilations": [1, 1, 2, 1]}, "its dilations are [1, 1, 2, 1], not all 1"),
    ],
)
def test_attributes(op, attributes, reason, tmp_path):
    path = tmp_path / "graph.pb"
    path.write_bytes(graph_def(("n", op, ["w", "w"], attributes), ("w", "Const", [], {})).SerializeToString())
    found = examine_file(path, TF_ASCEND)[0]
    assert (found.layer.supported, found.reason) == (reason is None, reason)


def test_anything_shaped_like_a_graph():
    weights = Thing(name="w", type="Const", inputs=[], get_attr=lambda name: None)
    conv = Thing(name="c", type="DepthwiseConv2dNative", inputs=[Thing(op=weights), Thing(op=weights)])
    conv.get_attr = {"dilations": [1, 2, 1, 1]}.__getitem__
    plain = Thing(name="p", type="AvgPool")
    assert supported(Thing(get_operations=lambda: [weights, conv, plain])) == {"w": False, "c": False, "p": True}
    node = Thing(name="p", op="AvgPool")
    assert supported(Thing(node=[node])) == {"p": True}
    assert supported(Thing(node=[Thing(name="m", op="MatMul", input=[], attr={"transpose_a": Thing(b=True)})])) == {
        "m": False
    }
    with pytest.raises(TypeError, match="a GraphDef or something shaped like them, not 'str'"):
        amctcfg.layers_from_graph("frozen.pb")
    with pytest.raises(TypeError, match="a GraphDef or something shaped like them, not 'SimpleNamespace'"):
        amctcfg.layers_from_graph(Thing(node=[Thing(name="p", op_type="AveragePool")]))  # ONNX's
    assert amctcfg.layers_from_graph(Thing(node=[node]), flavour=None) == amctcfg.layers_from_graph(Thing(node=[node]))


def test_a_graph_in_memory_whose_inputs_are_tensors_of_operations():
    """A `tf.Graph` has operations; their inputs are tensors, which know their operation, or at least have a name."""
    weight = Thing(name="w", type="Const", inputs=[], get_attr=lambda name: None)
    image = Thing(name="x", type="Placeholder", inputs=[], get_attr=lambda name: None)

    def conv(name, tensor):
        return Thing(name=name, type="Conv2D", inputs=[Thing(op=image), tensor], get_attr={"dilations": [1] * 4}.get)

    operations = [weight, image, conv("a", Thing(op=weight)), conv("b", Thing(name="w:0")), conv("c", Thing(op=image))]
    found = amctcfg.layers_from_graph(Thing(get_operations=lambda: operations))
    assert {layer.name: layer.supported for layer in found if layer.type == "Conv2D"} == {
        "a": True,
        "b": True,
        "c": False,
    }
    assert [layer.name for layer in found] == ["w", "x", "a", "b", "c"]


@pytest.mark.parametrize("data", [b"\x08", b"\x08\x07", b"\x08\x07\x12", b"\x0a", b"\x00"])
def test_files_of_a_few_bytes_are_refused(data, tmp_path):
    for name in ("a.pb", "a.onnx"):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ConfigError):
            amctcfg.load_layers(tmp_path / name)


def test_a_node_name_that_occurs_twice():
    with pytest.raises(ConfigError, match="the node name 'a' occurs twice"):
        amctcfg.layers_from_graph(graph_def(("a", "Relu", [], {}), ("a", "Conv2D", [], {})))


# ---------------------------------------------------------------- other files


# What TensorFlow's own messages say of `saved_model/`, which TensorFlow 2.21 saved: two functions deep, a variable, a constant.
# The nodes of the signature, `call` standing for StatefulPartitionedCall; the other two calls save and restore it.
SAVED = """
    kernel VarHandleOp
    kernel/Read/ReadVariableOp ReadVariableOp
    serving_default_image Placeholder
    call StatefulPartitionedCall
    call/call StatefulPartitionedCall
    call/call/PartitionedCall PartitionedCall
    call/call/PartitionedCall/Const Const
    call/call/PartitionedCall/inside Conv2D
    call/call/PartitionedCall/Identity Identity
    call/call/variable/ReadVariableOp ReadVariableOp
    call/call/variable Conv2D
    call/call/pool AvgPool
    call/call/Identity Identity
    call/call/NoOp NoOp
    call/Identity Identity
    call/NoOp NoOp
    NoOp NoOp
    Const Const
    saver_filename Placeholder
"""


def test_a_real_saved_model(cli):
    """Its numbers of fields are TensorFlow's, not ours; arguments of functions are not layers."""
    layers = amctcfg.load_layers(MODELS / "saved_model")
    found = [(layer.name.replace("StatefulPartitionedCall", "call"), layer.type) for layer in layers]
    expected = [tuple(line.split()) for line in SAVED.split("\n") if line.strip()]
    assert found[: len(expected)] == expected
    inside = [name.rpartition("/")[0] for name, _ in found[len(expected) :]]
    assert {name.partition("/")[0] for name in inside} <= {"", "call_1", "call_2"} and len(
        found
    ) == 9 + 3 + 6 + 3 + 9 + 20  # by graph and function
    assert [layer.name.rpartition("/")[2] for layer in layers if layer.supported] == ["inside", "pool"]
    assert "ReadVariableOp; freeze the graph" in cli("layers", MODELS / "saved_model").out


def test_a_saved_model_is_laid_open(tmp_path):
    """Layers in functions go by the name of the call, and filters are followed through arguments."""
    saved = protobuf_messages()["SavedModel"]()
    graph = saved.meta_graphs.add().graph_def
    add_nodes(
        graph.node,
        [
            ("x", "Placeholder", [], {}),
            ("w", "Const", [], {}),
            ("call", "StatefulPartitionedCall", ["x", "w"], {"f": "outer"}),
        ],
    )
    outer = graph.library.function.add()
    outer.signature.name = "outer"
    for name in ("image", "kernel"):
        outer.signature.input_arg.add(name=name)
    add_nodes(
        outer.node_def,
        [
            ("given", "Conv2D", ["image", "kernel"], {}),
            ("turned", "Conv2D", ["kernel", "image"], {}),
            ("inner", "PartitionedCall", ["given:output:0"], {"f": "inner"}),
            ("again", "PartitionedCall", ["image", "kernel"], {"f": "outer"}),
        ],
    )
    inner = graph.library.function.add()
    inner.signature.name = "inner"
    inner.signature.input_arg.add(name="t")
    add_nodes(inner.node_def, [("k", "Const", [], {}), ("own", "Conv2D", ["t", "k:output:0"], {})])
    (tmp_path / "saved_model.pb").write_bytes(saved.SerializeToString())
    layers = amctcfg.load_layers(tmp_path)
    assert [(layer.name, layer.supported) for layer in layers if layer.type == "Conv2D"] == [
        ("call/given", True),
        ("call/turned", False),
        ("call/inner/own", True),
    ]
    assert layers == amctcfg.load_layers(tmp_path / "saved_model.pb")


TEXT_GRAPH = """
node { name: "w" op: "Const" attr { key: "dtype" value { type: DT_FLOAT } } }
node {
  name: "fine" op: "DepthwiseConv2dNative" input: ["x", "w"]
  attr { key: "dilations" value { list { i: [1, 1] } } }
}
node {
  name: "dilated" op: "DepthwiseConv2dNative" input: ["x", "w"]
  attr { key: "dilations" value { list { i: 2 } } }
}
node { name: "fc" op: "MatMul" attr { key: "transpose_a" value { b: true } } }
versions { producer: 1 }
"""


def test_a_text_graph(tmp_path):
    path = tmp_path / "graph.pbtxt"
    path.write_text(TEXT_GRAPH, encoding="utf-8")
    layers = {layer.name: layer.supported for layer in amctcfg.load_layers(path)}
    assert layers == {"w": False, "fine": True, "dilated": False, "fc": False}
    assert link_nodes(examine_file(path, TF_ASCEND)) == {
        "w": (),
        "fine": ("x", "w"),
        "dilated": ("x", "w"),
        "fc": (),
    }


ONNX = bytes.fromhex("0807120770797465726368")  # ir_version 7, producer_name


@pytest.mark.parametrize(
    "name, data, words",
    [
        ("empty.pb", b"", "the file is empty"),
        ("text.pb", b"# a comment\n", "not a TensorFlow graph, or only a part of one"),
        ("m.onnx", b"\x00", "this is not an ONNX model, or only a part of one"),
        ("onnx.pb", ONNX, "this is not an ONNX model, or only a part of one"),
        ("keras.h5", b"\x89HDF\r\n\x1a\n....", "this is a Keras HDF5 model"),
        ("m.tflite", b"\x1c\0\0\0TFL3....", "this is a TensorFlow Lite model"),
        ("m.keras", b"PK\x03\x04....", "a zip archive"),
        ("m.pt", b"\x80\x02}q\x00.", "a Python pickle"),
        ("m.pb.gz", b"\x1f\x8b\x08\x00", "gzip-compressed"),
        ("bad.pbtxt", b"node { name: }", "not a GraphDef in text format"),
        ("none.pbtxt", b"versions { }", "the graph has no nodes"),
        ("photo.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF", "not a TensorFlow graph"),
        ("folder", None, "this folder holds no saved_model.pb"),
    ],
)
def test_other_files_are_refused_by_name(name, data, words, cli, tmp_path):
    path = tmp_path / name
    if data is None:
        path.mkdir()
    else:
        path.write_bytes(data)
    with pytest.raises(ConfigError, match=words) as caught:
        amctcfg.load_layers(path)
    assert {found.code for found in caught.value.diagnostics} <= {"syntax", "encoding"}
    for arguments in (["layers", path], ["expand", DATA / "valid" / "sample.cfg", "--graph", path]):
        result = cli(*arguments)
        assert (result.status, result.out) == (2, "")
        assert words in result.err and "amctcfg: can't use " in result.err


def test_truncated_graphs_are_refused():
    data = (MODELS / "constraints_a.pb").read_bytes()
    whole = amctcfg.load_layers(MODELS / "constraints_a.pb")
    chance = random.Random(1)
    for length in chance.sample(range(1, len(data)), 200):
        try:
            layers = read(data[:length])
        except ConfigError:
            continue
        assert layers == whole[: len(layers)]  # cut between two nodes, it is a graph


def read(data):
    from amctcfg.models.tensorflow import read_tensorflow

    return tuple(examined.layer for examined in read_tensorflow(data, "graph.pb", TF_ASCEND))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_graph_or_an_error(data):
    try:
        read(data)
    except ConfigError as error:
        assert str(error)


def test_missing_files_and_missing_protobuf(cli, monkeypatch, tmp_path):
    result = cli("layers", tmp_path / "nowhere.pb")
    assert (result.status, result.out) == (2, "")
    assert "can't read" in result.err and "No such file" in result.err
    with pytest.raises(OSError):
        amctcfg.load_layers(tmp_path / "nowhere.pb")
    import sys

    graphs.make_message_classes.cache_clear()
    monkeypatch.setitem(sys.modules, "google.protobuf", None)
    result = cli("layers", MODELS / "constraints_a.pb")
    assert result.status == 2
    assert "pip install protobuf" in result.err


# ---------------------------------------------------------------- tables


@pytest.mark.parametrize("form", ["json", "csv"])
@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_tables_are_read_back(name, form, cli, tmp_path):
    table = tmp_path / ("layers." + form)
    table.write_text(cli("layers", MODELS / name, "--format", form, "--all").out, encoding="utf-8")
    assert amctcfg.load_layers(table) == amctcfg.load_layers(MODELS / name)


@pytest.mark.parametrize("options", [[], ["--all"]], ids=["some", "all"])
def test_constants_of_a_table_are_left_out_as_those_of_its_graph_are(options, cli, tmp_path):
    table, graph = tmp_path / "layers.csv", MODELS / "constraints_a.pb"
    amctcfg.dump_layers(amctcfg.load_layers(graph), table)
    for source in (graph, table):
        listed = json.loads(cli("layers", source, "--format", "json", *options).out)
        rows = list(csv.reader(io.StringIO(cli("layers", source, "--format", "csv", *options).out)))[1:]
        text = cli("layers", source, *options).out.splitlines()
        names = [row["name"] for row in listed]
        assert names == [row[0] for row in rows] == [line.split()[0] for line in text]
        assert ("Const" in {row["type"] for row in listed}) is bool(options)


names = any_text.filter(lambda text: text and "\0" not in text)
lacking = st.lists(st.sampled_from(["int16", "int4", "asymmetric"]), unique=True, max_size=2)


@given(st.lists(st.builds(Layer, names, names, st.booleans(), lacking), unique_by=lambda layer: layer.name))
def test_any_layers_survive_a_table(tmp_path_factory, layers):
    folder = tmp_path_factory.mktemp("tables")
    for form in ("json", "csv"):
        path = folder / ("layers." + form)
        amctcfg.dump_layers(layers, path)
        assert amctcfg.load_layers(path) == tuple(layers)


@pytest.mark.parametrize(
    "layers, name, error",
    [
        ([Layer("a", "b")], "l.txt", "ends in .json or .csv"),
        ([Layer("a", "b"), Layer("a", "c")], "l.json", "there twice"),
        ([Layer("a", "")], "l.json", "needs a 'type'"),
        ([Layer("a\0", "b")], "l.csv", "NUL"),
        ([Layer("a", "b", lacks=("two words",))], "l.csv", "a .json table can"),
        ([Layer("\ud800", "b")], "l.json", "surrogate"),
    ],
)
def test_what_a_table_could_not_give_back_is_not_written(layers, name, error, tmp_path):
    with pytest.raises(ValueError, match=error):
        amctcfg.dump_layers(layers, tmp_path / name)
    assert not (tmp_path / name).exists()


def test_what_layers_lack_is_in_tables_only_where_one_lacks_something(tmp_path):
    layers = (Layer("a", "Linear", True, ("int16", "int4")), Layer("b", "Conv2d"))
    for form, write, shown in (
        ("json", layers_to_json, '"lacks": ["int16", "int4"]'),
        ("csv", layers_to_csv, "int16 int4"),
    ):
        assert shown in write(layers) and "lacks" in write(layers) and "lacks" not in write(layers[1:])
        path = tmp_path / ("l." + form)
        path.write_text(write(layers), encoding="utf-8")
        assert amctcfg.load_layers(path) == layers
    path = tmp_path / "l.csv"
    path.write_text("name,type,supported,lacks\na,Linear,yes, int16  int4 \n", encoding="utf-8")
    assert amctcfg.load_layers(path) == layers[:1]


@pytest.mark.parametrize(
    "name, text, error",
    [
        ("a.json", '[{"name": "a", "type": "b", "lacks": [1]}]', "'lacks' is a list of names, not [1]"),
        ("a.json", '[{"name": "a", "type": "b", "lacks": "int4"}]', "'lacks' is a list of names, not 'int4'"),
        ("a.csv", "name,type,lacks\na,b,int4\n", "1:1: error[syntax]: the first line has to be 'name,type'"),
        ("a.json", "", "1:1: error[syntax]: a table of layers is a list"),
        ("a.json", "{}", "1:1: error[syntax]: a table of layers is a list"),
        ("a.json", '[{"name": "a", "type": "b"}\n', "2:1: error[syntax]: this is not JSON: expected ',' or ']'"),
        ("a.json", '[{"name": "a", "type": "b"},\n]', "2:1: error[syntax]: this is not JSON: there is a ',' before ']'"),
        ("a.json", '[{"name": "a", "type": "b"}] x', "1:30: error[syntax]: expected the end of the file"),
        ("a.json", '[\n{"name": "a" "type": "b"}]', "2:14: error[syntax]: this is not JSON"),
        ("a.json", '[\n{"name": "a"}]', "2:1: error[wrong-type]: a layer needs a 'type'"),
        ("a.json", '[\n{"name": "a", "type": ""}]', "2:1: error[wrong-type]: a layer needs a 'type'"),
        ("a.json", '[\n{"name": 1, "type": "b"}]', "2:1: error[wrong-type]: a layer needs a 'name'"),
        ("a.json", '[{"name": "a", "type": "b", "supported": "yes"}]', "'supported' is true or false, not 'yes'"),
        ("a.json", '[{"name": "a", "type": "b", "kind": 1}]', "a layer has no 'kind'; it has name, type, supported"),
        ("a.json", '[{"name": "a", "name": "c", "type": "b"}]', "a layer has two 'name'"),
        ("a.json", "[\n\n1]", "3:1: error[syntax]: a layer is an object"),
        ("a.json", "[" * 100000, "error[syntax]: "),
        ("a.json", '[{"name": "a", "type": "b"},\n{"name": "a", "type": "b"}]', "2:1: error[duplicate-entry]"),
        ("a.csv", "", "1:1: error[syntax]: the file is empty"),
        ("a.csv", "layer,kind\n", "1:1: error[syntax]: the first line has to be 'name,type'"),
        ("a.csv", "name,type\na,b\nc\n", "3:1: error[syntax]: this row has 1 cells, the header has 2"),
        ("a.csv", "name,type,supported\na,b,maybe\n", "2:1: error[wrong-type]: 'supported' is true or false"),
        ("a.csv", 'name,type\n"a,b\n', "2:1: error[syntax]: this is not CSV"),
        ("a.csv", "name,type\na,b\n\na,c\n", "4:1: error[duplicate-entry]: the layer 'a' is there twice, first"),
        ("a.csv", b"name,type\n\xff,b\n", "2:1: error[encoding]: byte 0xFF is not UTF-8"),
    ],
)  # fmt: skip
def test_bad_rows_are_errors_with_their_line(name, text, error, cli, tmp_path):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    result = cli("layers", path)
    assert (result.status, result.out) == (2, "")
    assert error in result.err


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_bad_row_is_marked_as_a_whole(ending, tmp_path):
    path = tmp_path / "a.csv"
    for rows, line in ((["name,type", "a,b", "wrong", "c,d"], 3), (["name,type", "a,b", "wrong"], 3)):
        path.write_bytes(ending.join(rows).encode("utf-8"))
        with pytest.raises(ConfigError) as caught:
            amctcfg.load_layers(path)
        assert caught.value.diagnostics[0].span == (line, 1, line, len("wrong") + 1)
    path.write_bytes(b"")
    with pytest.raises(ConfigError) as caught:
        amctcfg.load_layers(path)
    assert caught.value.diagnostics[0].span == (1, 1, 1, 1)


def test_tables_as_people_write_them(tmp_path):
    path = tmp_path / "layers.csv"
    path.write_bytes(b"name, type ,supported\r\nconv1,Conv2D,\r\nconv2,Conv2D,False\r\n\r\nfc,MatMul,1\r\n")
    assert [layer.supported for layer in amctcfg.load_layers(path)] == [True, False, True]
    path = tmp_path / "layers.json"
    path.write_text(' [ {"type": "Conv2D", "name": "conv1"} ] \n', encoding="utf-8")
    assert amctcfg.load_layers(str(path)) == (Layer("conv1", "Conv2D"),)
    assert examine_file(path)[0].reason is None


# ---------------------------------------------------------------- end to end


@pytest.mark.parametrize("config", [DATA / "valid" / "empty.cfg", DATA.parent.parent / "examples" / "mobilenet.cfg"])
def test_mobilenet_end_to_end(config, cli, tmp_path):
    out = tmp_path / "quant.json"
    result = cli("expand", config, "--graph", MODELS / "mobilenet_v1.pb", "-o", out)
    assert (result.status, result.out, result.err) == (0, "", "")
    written = json.loads(out.read_text(encoding="utf-8"))
    layers = {row["name"]: row["type"] for row in EXPECTED["mobilenet_v1.pb"]}
    assert set(written) - {"version", "activation_offset", "do_fusion", "skip_fusion_layers"} == set(layers)
    if config.name == "mobilenet.cfg":
        skipped = [name for name in layers if not written[name]["quant_enable"]]
        assert skipped == [n for n in layers if "conv1_1" in n or "preds" in n]
        steps = {
            t: {written[n]["activation_quant_params"]["search_step"] for n in layers if layers[n] == t}
            for t in layers.values()
        }
        assert steps == {"Conv2D": {0.01}, "DepthwiseConv2dNative": {0.02, 0.005}}
    else:
        assert {json.dumps(written[name]) for name in layers} == {json.dumps(written[next(iter(layers))])}


def test_an_output_file_is_untouched_on_an_error(cli, tmp_path):
    out = tmp_path / "quant.json"
    out.write_text("before", encoding="utf-8")
    result = cli("expand", "-", "--graph", MODELS / "mobilenet_v1.pb", "-o", out, stdin=b'skip_layers: "nowhere"')
    assert result.status == 1 and "unknown-layer" in result.err
    assert out.read_text(encoding="utf-8") == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["quant.json"]


# ---------------------------------------------------------------- hostile graphs


def saved_model(functions, calls=(), nodes=()):
    """A SavedModel: functions of (name, arguments, nodes), and the nodes of its graph."""
    saved = protobuf_messages()["SavedModel"]()
    graph = saved.meta_graphs.add().graph_def
    add_nodes(graph.node, nodes)
    for name, arguments, inside in functions:
        function = graph.library.function.add()
        function.signature.name = name
        for argument in arguments:
            function.signature.input_arg.add(name=argument)
        add_nodes(function.node_def, inside)
    return saved.SerializeToString()


def nested(levels, calls):
    """Functions that each call the next one several times: a graph of calls ** levels nodes out of some hundred bytes."""
    functions = []
    for level in range(levels):
        inside = [("c{}".format(n), "PartitionedCall", [], {"f": "f{}".format(level + 1)}) for n in range(calls)]
        functions.append(("f{}".format(level), [], inside))
    functions.append(("f{}".format(levels), [], [("x", "Relu", [], {})]))
    return saved_model(functions, nodes=[("call", "PartitionedCall", [], {"f": "f0"})])


@pytest.mark.parametrize(
    "data",
    [
        nested(40, 2),
        *thorough(
            [
                nested(7, 10),
                saved_model(  # arguments count as nodes, too
                    [
                        (
                            "f",
                            ["a{}".format(n) for n in range(160)],
                            [("n{}".format(n), "Relu", [], {}) for n in range(160)],
                        )
                    ],
                    nodes=[("c{}".format(n), "PartitionedCall", ["x"] * 160, {"f": "f"}) for n in range(1600)],
                ),
                saved_model(  # long names in a long chain
                    [
                        ("f{}".format(n), [], [("n" * 200, "PartitionedCall", [], {"f": "f{}".format(n + 1)})])
                        for n in range(4000)
                    ],
                    nodes=[("call", "PartitionedCall", [], {"f": "f0"})],
                ),
            ]
        ),
    ],
    ids=["doubling", "levels", "arguments", "names"],
)
def test_functions_that_blow_up_are_refused(data, tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(data)
    with pytest.raises(ConfigError, match="call each other too often"):
        amctcfg.load_layers(tmp_path)


def test_real_models_are_within_the_limit(tmp_path):
    """Some hundred calls of a function with a few nodes."""
    inside = [
        ("k", "Const", [], {}),
        ("conv", "Conv2D", ["x", "k:output:0"], {}),
        ("out", "Relu", ["conv:output:0"], {}),
    ]
    calls = [("block_{}/call".format(n), "StatefulPartitionedCall", ["x"], {"f": "f"}) for n in range(600)]
    (tmp_path / "saved_model.pb").write_bytes(
        saved_model([("f", ["x"], inside)], nodes=[("x", "Placeholder", [], {}), *calls])
    )
    layers = amctcfg.load_layers(tmp_path)
    assert sum(layer.type == "Conv2D" and layer.supported for layer in layers) == 600


def test_branches_of_cond_and_while_are_there(tmp_path):
    inside = [("k", "Const", [], {}), ("conv", "Conv2D", ["x", "k:output:0"], {})]
    nodes = [
        ("x", "Placeholder", [], {}),
        ("if", "If", ["x", "x"], {"then_branch": "f", "else_branch": "g"}),
        ("loop", "While", ["x"], {"cond": "g", "body": "f"}),
    ]
    (tmp_path / "saved_model.pb").write_bytes(saved_model([("f", ["x"], inside), ("g", ["x"], inside)], nodes=nodes))
    names = sorted(layer.name for layer in amctcfg.load_layers(tmp_path) if layer.type == "Conv2D")
    assert names == ["if/else_branch/conv", "if/then_branch/conv", "loop/body/conv", "loop/cond/conv"]


def test_a_first_node_named_like_another_format(tmp_path):
    (tmp_path / "g.pb").write_bytes(graph_def(("TFL3", "AvgPool", [], {})).SerializeToString())
    assert amctcfg.load_layers(tmp_path / "g.pb") == (Layer("TFL3", "AvgPool"),)


class Counting(dict):
    """A dictionary that counts how often it is asked."""

    asked = 0

    def get(self, *arguments):
        self.asked += 1
        return super().get(*arguments)


@pytest.mark.parametrize("cycle", [False, True])
def test_convolutions_behind_one_chain_cost_one_walk(cycle, monkeypatch):
    count = 400
    chain = [("i0", "Identity", ["i{}".format(count - 1)] if cycle else ["w"], {})]
    chain += [("i{}".format(n), "Identity", ["i{}".format(n - 1)], {}) for n in range(1, count)]
    convolutions = [("c{}".format(n), "Conv2D", ["x", "i{}".format(count - 1 - n)], {}) for n in range(count)]
    nodes = [("w", "Const", [], {}), ("x", "Placeholder", [], {}), *chain, *convolutions]
    looked = []
    original = graphs.Graph.__init__

    def counted(self, *arguments):
        original(self, *arguments)
        self.makers = Counting(self.makers)
        looked.append(self.makers)

    monkeypatch.setattr(graphs.Graph, "__init__", counted)
    layers = amctcfg.layers_from_graph(graph_def(*nodes))
    assert sum(layer.supported for layer in layers) == (0 if cycle else count)
    assert looked[0].asked < 4 * len(nodes)


def test_tables_from_spreadsheets_and_with_odd_characters(tmp_path):
    path = tmp_path / "layers.csv"
    path.write_bytes(b"\xef\xbb\xbfname,type\r\nconv1,Conv2D\r\n")
    assert amctcfg.load_layers(path) == (Layer("conv1", "Conv2D"),)
    for name, text in (
        ("a.csv", "name,type\na\0,b\n"),
        ("a.json", '[{"name": "\\ud800", "type": "b"}]'),
        ("a.json", '[{"name": "a", "type": "b", "supported": %s}]' % ("1" * 5000)),
        ("a.pbtxt", "node { name: 'a' op: 'b' x { " + "y { " * 3000 + "} " * 3000 + "} }"),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError):
            amctcfg.load_layers(tmp_path / name)
    with pytest.raises(OSError):
        amctcfg.load_layers("no\0where.csv")
