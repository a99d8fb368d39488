# SPDX-License-Identifier: Apache-2.0
"""The simulation of a plan on a model, and what it shows: factors, record, a model, how much each layer suffers."""

from __future__ import annotations

from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import onnx

from ..documents.files import PathLike
from ..flavours.flavour import Flavour
from ..messages.kinds import STRING
from ..resolve.plan import Plan
from ..textformat.literals import round_float32
from .batches import check_batches
from .calibration import divide_into_runs
from .editing import append_pieces, build_float, build_quantized, weave
from .network import Network, Runner, SimulationError, is_tensorflow, load_model, take_network
from .sensitivity import Agreement, Reference
from .simulator import Progress, Refusal, Simulated, Simulator
from .sites import POOL, PRODUCT, Factors, Nodes, Site, name_layers

if TYPE_CHECKING:
    from ..tuning.scores import Scores


# The proto on the pages of these has no act_type and wts_type; GE's is not published, and its INT16 has to stand somewhere.
UNTYPED = ("caffe", "caffe-8.5", "mindspore", "tf-ascend")

SCORE_KINDS = {
    "cosine": "simulated cosines of the layers' outputs",
    "sqnr": "simulated decibels of the layers' outputs",
    "output": "simulated decibels of the model's output",
}


class Simulation:
    """The simulation of a plan.

    Attributes:
        factors: The factors of each layer that is quantized, in the order of the model.
        refused: The layers at which the toolkit stops, with the reason; here they stay in floats.
        notes: What is worth knowing, in sentences: what was converted, what stays in floats, what is not simulated.
    """

    def __init__(self, simulator: Simulator, simulated: Simulated, plan: Plan, notes: Sequence[str]) -> None:
        self._simulator: Simulator = simulator
        self._simulated: Simulated = simulated
        self._plan: Plan = plan
        self._measured: dict[str, Mapping[str, float]] = {}
        self.factors: Mapping[str, Factors] = MappingProxyType({site.name: site.factors for site in simulated.sites})
        self.refused: tuple[Refusal, ...] = simulated.refused
        self.notes: tuple[str, ...] = (*simulated.notes, *notes)

    def __repr__(self) -> str:
        return "<Simulation of {} layers, {} refused>".format(len(self.factors), len(self.refused))

    def to_rows(self) -> list[dict[str, Any]]:
        """Return a flat dictionary for each quantized layer, for `pandas.DataFrame(sim.to_rows())`.

        A product of two variables has pairs as its scale and offset; `weight_scales` is how many there are.
        """
        cosines, decibels = self.sensitivity("cosine"), self.sensitivity("sqnr")
        found = []
        for name, factors in self.factors.items():
            row: dict[str, Any] = {"layer": name, "type": self._plan[name].layer.type}
            offsets = tuple(offset for _, offset in factors.activations)
            row.update(scale=factors.scale_d, offset=offsets if len(offsets) > 1 else offsets[0])
            row.update(weight_scales=len(factors.scale_w))
            found.append(dict(row, cosine=cosines[name], sqnr=decibels[name]))
        return found

    @property
    def _repr_html_(self) -> Callable[[], str]:
        """Return what a notebook shows: the plan with factors, and cosines once they were asked for."""
        try:
            from ..pages.table import write_simulation
        except ImportError:
            raise AttributeError("the HTML view needs the folder pages, which was deleted from this copy") from None
        return lambda: write_simulation(self._plan, self, self._measured.get("cosine"))

    # ------------------------------------------------------------ what the toolkit writes

    @property
    def record(self) -> str:
        """The toolkit's record file, as text."""
        return record_of(self._simulated.sites, self._plan.flavour)

    @cached_property
    def network(self) -> Network:
        """The simulated model, its weights apart."""
        return weave(self._simulated.network, map(build_quantized, self._simulated.sites))

    @property
    def model(self) -> onnx.ModelProto:
        """The model that computes as the quantized one does, with standard operators; weights inside."""
        return self.network.make_proto()

    def save(self, path: PathLike) -> None:
        """Write the simulated model; a file that is there is replaced in one step.

        Weights go into a second file beside it (`PATH.data`) where those of the model did, or where they are too large.
        Raises `OSError`.
        """
        self.network.save(path)

    # ------------------------------------------------------------ how much is lost

    def sensitivity(self, what: str = "cosine") -> Scores:
        """Measure how much each layer suffers; low is sensitive.

        Args:
            what: "cosine": 0.5 + 0.5 · cosine of the layer's output in floats and quantized, as the toolkit ranks layers;
                "sqnr": decibels of the same; "output": decibels of the model's output where only this layer is quantized.

        Returns:
            The layers with their scores, the most sensitive first.

        Raises:
            ValueError: `what` is none of these.
        """
        from ..tuning.scores import Scores  # the room may be deleted

        if what not in SCORE_KINDS:
            raise ValueError("what is {!r}; it has to be {}".format(what, " or ".join(map(repr, SCORE_KINDS))))
        if what not in self._measured:
            if what == "output":
                self._measured["output"] = self._measure_alone()
            else:
                found = self._compare_layers()
                self._measured["cosine"] = {name: agreement.cosine for name, agreement in found.items()}
                self._measured["sqnr"] = {name: agreement.decibels for name, agreement in found.items()}
        values = self._measured[what]
        return Scores({name: values[name] for name in sorted(values, key=values.__getitem__)}, True, SCORE_KINDS[what])

    @cached_property
    def output_sqnr(self) -> float:
        """Decibels of the model's output, everything quantized, over all calibration batches."""
        return self._reference.measure(self.network)

    @cached_property
    def _reference(self) -> Reference:
        return Reference(self._simulated.network, self._simulator.batches)

    def _measure_alone(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for done, site in enumerate(self._simulated.sites):
            self._simulator.progress(site.name, done, len(self.factors))
            found[site.name] = self._reference.measure(weave(self._simulated.network, [build_quantized(site)]))
        return found

    def _compare_layers(self) -> dict[str, Agreement]:
        simulator, simulated = self._simulator, self._simulated
        sites = {site.name: site for site in simulated.sites}
        sizes = simulated.sizes.of(simulated.network, [site.result for site in simulated.sites])
        found = {name: Agreement() for name in sites}
        done = 0
        for portion in divide_into_runs(
            {name: 2 * max(sizes[site.result]) for name, site in sites.items()}, simulator.memory
        ):
            simulator.progress(portion[0], done, len(sites))
            pieces = []
            for name in portion:
                pieces += [build_float(sites[name]), build_quantized(sites[name], "/ints")]
            runner = Runner(append_pieces(simulated.calibrated, pieces))
            for batch in simulator.batches:
                results = runner.run(batch)
                for index, name in enumerate(portion):
                    found[name].add(results[2 * index], results[2 * index + 1])
            done += len(portion)
            simulator.progress(portion[-1], done, len(sites))
        return found


def simulate(
    plan: Plan,
    model: Any,
    batches: Iterable[Mapping[str, Any]],
    progress: Progress | None = None,
    memory: int = 1 << 30,
    jobs: int = 1,
) -> Simulation:
    """Quantize a model as the toolkit does with a plan, in plain numpy and onnxruntime.

    Args:
        plan: What each layer gets, from `amctcfg.expand` or `amctcfg.read_plan`.
        model: The path of an ONNX model or of a frozen TensorFlow graph, or an onnx.ModelProto.
        batches: The calibration data: for each batch a mapping of input name to array. As many are used as the plan's
            `batch_num` says.
        progress: Called with what is worked at, how many parts are done, and of how many.
        memory: How many bytes of activations are held at a time, at most; one layer's alone may take more.
        jobs: How many layers' scales are searched at a time.

    Returns:
        The factors, the record file, the simulated model, the layers that the toolkit would refuse.

    Raises:
        OSError: The model can't be read.
        ValueError: The model can't be simulated, or the batches are not what it takes.

    Source: the vendor's public PyTorch toolkit; other flavours document the same algorithms, and were not compared.

    Example:
        >>> plan = amctcfg.expand(config, layers)  # doctest: +SKIP
        >>> simulate(plan, "model.onnx", batches).factors["conv1"].scale_d  # doctest: +SKIP
        0.0295
    """
    simulator, notes = open_simulator(plan, model, batches, progress, memory, jobs)
    return Simulation(simulator, simulator.simulate(plan), plan, notes)


def open_simulator(
    plan: Plan, model: Any, batches: Iterable[Mapping[str, Any]], progress: Progress | None, memory: int, jobs: int
) -> tuple[Simulator, list[str]]:
    """Open a model with the batches that a plan takes; say what is not simulated or not used."""
    network, nodes = open_model(model, plan)
    given = check_batches(network.declared, batches)
    count = int(plan.global_values.get("batch_num") or len(given))
    notes = list_unsimulated(plan)
    if len(given) < count:
        are = "1 is" if len(given) == 1 else "{} are".format(len(given))
        raise SimulationError("the plan takes {} batches (batch_num), and {} given".format(count, are))
    if len(given) > count:
        notes.append("{} of {} batches are used (batch_num)".format(count, len(given)))
    progress = progress or (lambda what, done, total: None)
    return Simulator(network, nodes, given[:count], progress, memory, max(jobs, 1)), notes


def open_model(model: Any, plan: Plan) -> tuple[Network, dict[str, Nodes]]:
    notes = []
    if is_tensorflow(model):
        from .tensorflow import convert_graph  # needs an extra of its own

        model = convert_graph(model, plan)
        notes.append("the graph was converted to ONNX by tf2onnx")
    proto, folder = load_model(model)
    nodes = name_layers(proto.graph, plan.flavour)
    network = take_network(proto, folder)
    network.notes[:0] = notes
    return network, nodes


def list_unsimulated(plan: Plan) -> list[str]:
    """List what a plan asks for that is not simulated, in sentences."""
    notes = []
    if plan.global_values.get("tensor_quantize"):
        notes.append("tensor_quantize is not simulated: these inputs stay in floats")
    if plan.global_values.get("joint_quant"):
        notes.append("joint_quant is not simulated: each layer has factors of its own")
    if any(getattr(e.calibration_config, "weight_compress_only", None) for e in plan.values() if e.quant_enable):
        notes.append("weight_compress_only is not simulated: these layers are quantized as the others")
    if plan.flavour.evidence != "code":
        notes.append("the algorithms are as documented for {}, not compared with its toolkit".format(plan.flavour.name))
    return notes


# ---------------------------------------------------------------- the record file


def record_of(sites: Iterable[Site], flavour: Flavour[Any]) -> str:
    """Write the record file with the keys that the flavour's have; layers with a balancer come first, as in the toolkit's."""
    ordered = sorted(sites, key=lambda site: site.balance is None)
    return "".join(line + "\n" for site in ordered for line in record_lines(site, flavour))


def record_lines(site: Site, flavour: Flavour[Any]) -> Iterator[str]:
    factors = site.factors
    yield "record {"
    yield "  key: {}".format(STRING.format(site.name))
    yield "  value {"
    for scale, _ in factors.activations:
        yield "    scale_d: " + shorten_float(scale)
    for _, offset in factors.activations:
        yield "    offset_d: {}".format(offset)
    if site.kind != PRODUCT:
        yield from ("    scale_w: " + shorten_float(scale) for scale in factors.scale_w)
        yield from ("    offset_w: {}".format(int(offset)) for offset in factors.offset_w)
    if site.balance is not None:
        yield from ("    tensor_balance_factor: " + shorten_float(factor) for factor in site.balance)
    if not site.effective.fuse and flavour.graphs != "torch":
        yield "    skip_fusion: true"
    if flavour.name not in UNTYPED:
        yield '    act_type: "INT{}"'.format(site.setting.bits)
        if site.kind not in (POOL, PRODUCT):
            yield '    wts_type: "INT{}"'.format(site.setting.weight_bits)
    yield "  }"
    yield "}"


def shorten_float(value: Any) -> str:
    return repr(round_float32(float(np.float32(value))))
