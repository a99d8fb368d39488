# SPDX-License-Identifier: Apache-2.0
"""Overlays for viewers of models, read as these viewers read them; the edges and names that they and the borders need."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amctcfg import ONNX, PYTORCH, TF_ASCEND, AMCTConfig, Layer, expand, load_layers, loads
from amctcfg.models.loading import examine_file, link_nodes
from amctcfg.tools.overlays import REFUSED, SKIPPED, count_borders, make_model_explorer, make_netron
from amctcfg.tools.tabulating import Measured, tabulate

from .conftest import DATA

MODELS = DATA / "models"


def netron_panel(text):
    """What Netron shows beside each node, as its loader takes an attachment apart: {node: {name: value}}, for both parts.

    Restated from how it behaves: it takes a .json with the signature, of each part a list; an item needs a kind and a target;
    of one name the last item counts; a node is looked up by the first line of its name.
    """
    data = json.loads(text)
    assert data["signature"] == "netron:attachment"
    panels = []
    for part in ("metadata", "metrics"):
        found = {}
        for item in data[part]:
            assert item["kind"] == "node" and "\n" not in item["target"] and isinstance(item["name"], str)
            assert item["name"] not in found.setdefault(item["target"], {}), "one would hide the other"
            assert isinstance(item["value"], (str, int, float)) and item["type"] == "attribute"
            found[item["target"]][item["name"]] = item["value"]
        panels.append(found)
    return panels


def explorer_nodes(text):
    """What Model Explorer writes on each node: {node: value}; restated from the classes of its node_data_builder."""
    data = json.loads(text, parse_constant=pytest.fail)
    assert set(data) <= {"name", "results", "gradient", "thresholds"}
    stops = data.get("gradient", [])
    if stops:
        assert [stop["stop"] for stop in stops] == sorted(stop["stop"] for stop in stops)
        assert (stops[0]["stop"], stops[-1]["stop"]) == (0, 1)
    for result in data["results"].values():
        assert {"value"} <= set(result) <= {"value", "bgColor", "textColor"}
        assert isinstance(result["value"], (str, int, float)) and not isinstance(result["value"], bool)
    return {node: result["value"] for node, result in data["results"].items()}


CONFIG = """skip_layers: "mobilenet_1.00_224_1/conv_preds_1/convolution"
override_layer_configs {
  layer_name: "mobilenet_1.00_224_1/conv1_1/convolution"
  calibration_config { ifmr_quantize { search_step: 0.02 } }
}
"""
FIRST, LAST = "mobilenet_1.00_224_1/conv1_1/convolution", "mobilenet_1.00_224_1/conv_preds_1/convolution"


@pytest.fixture
def show(tmp_path, cli):
    pytest.importorskip("google.protobuf", reason="reads a graph")
    graph = MODELS / "mobilenet_v1.pb"
    names = [layer.name for layer in load_layers(graph) if layer.supported]
    assert FIRST in names and LAST in names
    (tmp_path / "q.cfg").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "old.cfg").write_text("", encoding="utf-8")
    (tmp_path / "s.json").write_text(json.dumps([[n, at / 100 + 0.5] for at, n in enumerate(names)]), encoding="utf-8")

    def run(kind, *options):
        options = [tmp_path / option if "." in option else option for option in options]
        done = cli("show", tmp_path / "q.cfg", "--graph", graph, "--format", kind, *options)
        assert done.status == 0
        return done.out

    run.names = names
    return run


def test_netron(show):
    metadata, metrics = netron_panel(show("netron"))
    assert set(metadata) == set(show.names) and metrics == {}
    assert metadata[LAST]["quantization"] == "skip" and metadata[FIRST]["quantization"] == "quantized"
    assert metadata[FIRST]["decided by"] == "override_layer_configs" and metadata[FIRST]["search_step"] == "0.02"
    metadata, metrics = netron_panel(show("netron", "--scores", "s.json", "--against", "old.cfg"))
    assert {node: values["score"] for node, values in metrics.items()} == {
        name: at / 100 + 0.5 for at, name in enumerate(show.names)
    }
    assert metadata[FIRST]["search_step"] == "0.01 → 0.02" and metadata[LAST]["quantization"] == "skip"


def test_model_explorer(show):
    assert json.loads(show("model-explorer"))["name"] == "amctcfg: quantization"
    values = explorer_nodes(show("model-explorer"))
    assert set(values) == set(show.names)
    assert values[LAST] == "skip" and values[FIRST] == "quantized, override_layer_configs"
    values = explorer_nodes(show("model-explorer", "--scores", "s.json"))
    assert set(values) == set(show.names) and values[FIRST] == 0.5
    assert values[LAST] == "skip, score {:g}".format(0.5 + show.names.index(LAST) / 100)
    values = explorer_nodes(show("model-explorer", "--against", "old.cfg"))
    assert set(values) == set(show.names)
    assert values[FIRST] == "quantized, search_step=0.02 (was 0.01)" and values[LAST] == "skip, was quantized"


@pytest.mark.parametrize("options, worst", [([], 0), (["--low-is-sensitive"], 0), (["--high-is-sensitive"], -1)])
def test_the_worst_score_is_red(show, options, worst):
    gradient = json.loads(show("model-explorer", "--scores", "s.json", *options))["gradient"]
    assert [stop["stop"] for stop in gradient] == [0, 0.5, 1]
    assert gradient[worst]["bgColor"] == "#f28b6b"


def exported():
    """A PyTorch model as it is exported, without torch: names of weights say what the modules are called."""
    onnx = pytest.importorskip("onnx")
    numpy = pytest.importorskip("numpy")
    helper, number = onnx.helper, onnx.numpy_helper
    weights = [
        number.from_array(numpy.ones((3, 3, 1, 1), "float32"), "layer{}.conv.weight".format(n)) for n in (1, 2, 3)
    ]
    nodes = []
    for n in (1, 2, 3):
        source = "x" if n == 1 else "r{}".format(n - 1)
        nodes.append(
            helper.make_node(
                "Conv", [source, "layer{}.conv.weight".format(n)], ["c{}".format(n)], "/layer{}/conv/Conv".format(n)
            )
        )
        nodes.append(
            helper.make_node("Relu", ["c{}".format(n)], ["r{}".format(n)], "" if n == 1 else "/relu{}".format(n))
        )
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [value("x", 1, [1, 3, 4, 4])], [value("r3", 1, [1, 3, 4, 4])], weights)
    return helper.make_model(graph)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(exported().SerializeToString())
    return path


@pytest.mark.parametrize("flavour, prefix", [("pytorch", "layer{}.conv"), ("onnx", "/layer{}/conv/Conv")])
def test_targets_are_names_of_nodes_under_every_flavour(model, tmp_path, cli, flavour, prefix):
    (tmp_path / "q.cfg").write_text('skip_layers: "{}"\n'.format(prefix.format(2)), encoding="utf-8")
    nodes = {"/layer{}/conv/Conv".format(n) for n in (1, 2, 3)}
    common = ("show", tmp_path / "q.cfg", "--graph", model, "--flavour", flavour)
    metadata, _ = netron_panel(cli(*common, "--format", "netron").out)
    values = explorer_nodes(cli(*common, "--format", "model-explorer").out)
    assert set(metadata) == nodes == set(values)
    assert values["/layer2/conv/Conv"] == "skip" and metadata["/layer2/conv/Conv"]["quantization"] == "skip"
    assert "2 borders" in cli(*common).out


def test_nodes_of_model_explorer_itself(model, tmp_path, cli):
    """Its own reader of ONNX models has a node for each key, and its own classes write what is written."""
    explorer = pytest.importorskip("model_explorer", reason="pip install ai-edge-model-explorer model-explorer-onnx")
    onnx_reader = pytest.importorskip("model_explorer_onnx.main")
    (tmp_path / "q.cfg").write_text('skip_layers: "layer2.conv"\n', encoding="utf-8")
    text = cli("show", tmp_path / "q.cfg", "--graph", model, "--flavour", "pytorch", "--format", "model-explorer").out
    graphs = onnx_reader.ONNXAdapter().convert(str(model), {})["graphs"]
    ids = {node.id for graph in graphs for node in graph.nodes}
    data = json.loads(text)
    assert set(data["results"]) <= ids and len(data["results"]) == 3
    builder = explorer.node_data_builder
    results = {name: builder.NodeDataResult(**result) for name, result in data["results"].items()}
    again = json.loads(builder.GraphNodeData(results=results, name=data["name"]).to_json_string())
    assert {key: again[key] for key in data} == data


def test_what_the_toolkit_refuses_has_a_colour_of_its_own():
    unable = [(Layer("d", "Conv2D", False), "it is grouped")]
    plan = expand(AMCTConfig(skip_layers=["a", "b"]), [Layer(name, "Conv2D") for name in "abc"])
    table = tabulate(plan, others=unable)
    skipped, other, quantized, unquantizable = table.rows
    rows = [skipped, other._replace(state="refused", is_refused=True), quantized, unquantizable]
    found = json.loads(make_model_explorer(table._replace(rows=rows), {}))["results"]
    assert (found["a"]["value"], found["a"]["bgColor"]) == ("skip", SKIPPED)
    assert (found["b"]["value"], found["b"]["bgColor"]) == ("refused", REFUSED) != ("refused", SKIPPED)
    assert set(found) == set("abc")  # of what can't be quantized nothing is said


SIX = [Layer(name, "Conv2D") for name in "abcde"] + [Layer("f", "MatMul")]
TIERS = """common_config { ifmr_quantize { search_step: 0.02 } }
override_layer_types { layer_type: "MatMul" calibration_config { } }
override_layer_configs { layer_name: "b" calibration_config { ifmr_quantize { search_step: 0.03 } } }
skip_layers: "c"
"""
BEFORE = 'common_config { ifmr_quantize { search_step: 0.02 } } skip_layers: "d"'
PURPLE, CYAN, GREEN, YELLOW, BLUE, RED = "#efd9f8", "#cdebf1", "#d6edd6", "#fbe6b4", "#d9e4fd", "#fbd5d2"
MEASURED = Measured(
    {"a": 0.5, "b": float("nan"), "c": 0.25, "d": 1 / 3}, "SNR", {"a": {"dB": 12.0}, "c": {"dB": 3.0, "n": 1}},
    {"e": "too wide"},
)  # fmt: skip


def six(compared, measured):
    before = expand(loads(BEFORE), SIX) if compared else None
    return tabulate(expand(loads(TIERS), SIX), before, measured)


@pytest.mark.parametrize(
    "compared, measured, nodes",
    [
        (False, None, {
            "a": ("quantized, common_config", GREEN), "b": ("quantized, override_layer_configs", PURPLE),
            "c": ("skip", YELLOW), "f": ("quantized, override_layer_types", CYAN),
        }),
        (True, None, {
            "a": ("quantized", None), "b": ("quantized, search_step=0.03 (was 0.02)", BLUE),
            "c": ("skip, was quantized", YELLOW), "d": ("quantized, was skip", BLUE),
            "f": ("quantized, search_step=0.01 (was 0.02)", BLUE),
        }),
        (False, MEASURED, {
            "a": (0.5, None), "b": ("quantized", PURPLE), "c": ("skip, SNR 0.25", YELLOW), "d": (1 / 3, None),
            "e": ("too wide", RED), "f": ("quantized", CYAN),
        }),
        (True, MEASURED, {
            "a": (0.5, None), "b": ("quantized, search_step=0.03 (was 0.02)", BLUE),
            "c": ("skip, was quantized, SNR 0.25", YELLOW), "d": ("quantized, was skip, SNR 0.333333", BLUE),
            "e": ("too wide", RED), "f": ("quantized, search_step=0.01 (was 0.02)", BLUE),
        }),
    ],
    ids=["alone", "against", "scores", "both"],
)  # fmt: skip
def test_words_and_colours_of_nodes(compared, measured, nodes):
    data = json.loads(make_model_explorer(six(compared, measured), {}))
    assert data["name"] == ("amctcfg: SNR" if measured else "amctcfg: quantization")
    found = {node: (data["results"][node]["value"], data["results"][node].get("bgColor")) for node in nodes}
    assert found == nodes
    assert all(("bgColor" in result) is ("textColor" in result) for result in data["results"].values())
    assert [stop["bgColor"] for stop in data.get("gradient", [])] == (["#f28b6b", YELLOW, GREEN] if measured else [])


def test_what_netron_shows_of_each_layer():
    metadata, metrics = netron_panel(make_netron(six(True, MEASURED), {}))
    assert metadata["a"] == {"quantization": "quantized", "decided by": "common_config", "search_step": "0.02"}
    assert metadata["b"]["search_step"] == "0.02 → 0.03" and metadata["f"]["search_step"] == "0.02 → 0.01"
    assert metadata["c"]["quantization"] == "skip" and metadata["c"]["quant_enable"] == "true → false"
    assert metadata["d"]["quant_enable"] == "false → true" and metadata["e"]["quantization"] == "too wide"
    assert metrics == {"a": {"SNR": 0.5, "dB": 12.0}, "c": {"SNR": 0.25, "dB": 3.0, "n": 1}, "d": {"SNR": 1 / 3}}
    odd = tabulate(expand(AMCTConfig(), [Layer("two\nlines", "Conv2D")]))  # Netron looks a node up by the first
    assert set(netron_panel(make_netron(odd, {}))[0]) == {"two"}


@pytest.mark.parametrize("write", [make_netron, make_model_explorer])
def test_a_layer_is_shown_where_its_node_has_a_name(write):
    table = tabulate(expand(AMCTConfig(), [Layer(name, "Conv2D") for name in "abc"]))
    panel = {make_netron: lambda text: netron_panel(text)[0], make_model_explorer: explorer_nodes}[write]
    assert set(panel(write(table, {"a": "node of a", "b": ""}))) == {"node of a", "c"}


# ---------------------------------------------------------------- edges and borders


def test_edges_of_a_graph_by_the_names_of_layers(model):
    examined = examine_file(model, PYTORCH)
    links, nodes = link_nodes(examined), {found.layer.name: found.node for found in examined}
    assert links["layer2.conv"] == ("Relu_1",) and links["Relu_1"] == ("layer1.conv",)
    assert nodes["layer2.conv"] == "/layer2/conv/Conv" and nodes["Relu_1"] == ""
    assert link_nodes(examine_file(model, ONNX))["/relu2"] == ("/layer2/conv/Conv",)
    assert link_nodes(examine_file(DATA / "models" / "constraints_a.csv", TF_ASCEND)) is None


def test_edges_of_a_frozen_graph():
    pytest.importorskip("google.protobuf", reason="reads a graph")
    examined = examine_file(MODELS / "mobilenet_v1.pb", TF_ASCEND)
    links, nodes = link_nodes(examined), {found.layer.name: found.node for found in examined}
    assert set(links) == {layer.name for layer in load_layers(MODELS / "mobilenet_v1.pb")}
    assert links[FIRST] == ("x", "mobilenet_1.00_224_1/conv1_1/convolution/ReadVariableOp") and nodes[FIRST] == FIRST


@st.composite
def graphs(draw):
    """Nodes that read earlier ones and maybe themselves, some of which are layers, each quantized or not."""
    size = draw(st.integers(1, 12))
    inputs = {"n0": ()}
    for at in range(1, size):
        sources = draw(st.sets(st.integers(0, at), max_size=3))
        inputs["n{}".format(at)] = tuple("n{}".format(source) for source in sources)
    names = draw(st.sets(st.sampled_from(sorted(inputs)), max_size=size))
    inputs = dict(draw(st.permutations(list(inputs.items()))))  # a graph may name what is read later
    return {name: draw(st.booleans()) for name in sorted(names)}, inputs


@given(graphs())
def test_borders_are_the_pairs_that_a_search_finds(case):
    """Independent: from each layer all paths backwards, which end at layers."""
    is_quantized, inputs = case
    pairs = set()
    for name in is_quantized:
        pending, seen = list(inputs[name]), set()
        while pending:
            node = pending.pop()
            if node in is_quantized:
                pairs.add((node, name))
            elif node not in seen:
                seen.add(node)
                pending += inputs[node]
    assert count_borders(is_quantized, inputs) == sum(is_quantized[a] != is_quantized[b] for a, b in pairs)


@pytest.mark.parametrize("nodes, borders", [(2**30, 0), (2**30 + 1, 1)])
def test_where_sets_of_layers_would_fill_the_memory_their_order_has_to_do(nodes, borders):
    class Large(dict):
        def __len__(self):
            return nodes

    assert count_borders({"a": True, "b": False}, Large({"a": (), "b": ()})) == borders


def test_borders_in_cycles_and_long_chains():
    inputs = {"a": (), "x": ("a", "y"), "y": ("x",), "b": ("y",)}
    assert count_borders({"a": True, "b": False}, inputs) == 1
    inputs = {"n{}".format(at): ("n{}".format(at - 1),) for at in range(1, 50000)}
    assert count_borders({"n0": True, "n49999": False}, dict(inputs, n0=())) == 1
    assert count_borders({}) == 0 == count_borders({"a": True})
    assert count_borders({"a": True, "b": False}, {"a": (), "b": ("an input",)}) == 0
    assert count_borders({"a": True, "b": False}, {"a": (), "x": ("an input",), "b": ("x",)}) == 0
    assert count_borders({"a": True, "b": False}, {"b": ("x",), "x": ("y",), "y": ("a",), "a": ()}) == 1
    inputs = {"c": ("b",), "b": ("x",), "x": ("a",), "a": ()}  # what is read later is named first
    assert count_borders({"a": True, "b": False, "c": True}, inputs) == 2
    assert count_borders({"a": True, "b": False, "c": True}, {"a": (), "b": ("a", "a"), "c": ("b", "a")}) == 2
    inputs = {"a": (), "b": (), "x": ("b",), "c": ("x",)}
    assert count_borders({"a": True, "b": False, "c": False}, inputs) == 0  # the first layer is no source of the others
    assert count_borders({"a": True, "b": False, "c": False, "d": True}) == 2  # by their order alone
