# SPDX-License-Identifier: Apache-2.0
"""What a command works on: a configuration with the model, flavour and rules that options and its own settings choose."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, Tuple

from ..checks.checking import check_document
from ..checks.context import Context
from ..checks.errors import another_model
from ..checks.expanding import expand
from ..diagnostics.diagnostic import ERROR, ConfigError, Diagnostic, position
from ..diagnostics.suggestions import did_you_mean, nearest
from ..documents.document import Document, read_text
from ..documents.settings import Settings
from ..flavours import FLAVOURS
from ..flavours.flavour import Flavour
from ..flavours.layer import Layer
from ..flavours.tf_ascend import TF_ASCEND
from ..resolve.plan import Plan
from ..resolve.resolver import DOCUMENTED, TOOLKIT, Resolver
from .console import EXIT_FINDINGS, Console, Exit, Failure, as_text

if TYPE_CHECKING:
    from ..models.graphs import Examined


AUTO = "auto"

OBJECT = r'\A\s*\{\s*["}]'  # with which JSON begins, and no text format


class Model(NamedTuple):
    """The layers of a graph, as a flavour sees them."""

    path: str
    examined: List[Examined]

    @property
    def layers(self) -> List[Layer]:
        return [examined.layer for examined in self.examined]


class Jobs:
    """The jobs of one run: graphs are read once, notes are printed once."""

    def __init__(self, arguments: Any, console: Console) -> None:
        self.arguments: Any = arguments
        self.console: Console = console
        self.models: Dict[Tuple[str, str], Model] = {}
        self.noted: Dict[str, None] = {}

    def note(self, text: str) -> None:
        if text not in self.noted:
            self.noted[text] = None
            self.console.note(text)

    def open(self, path: str, needs_model: bool = False) -> Job:
        """The job for a file. Raises `OSError` where it can't be read, `Failure` where the model is missing."""
        text, name = self.console.read(path)
        return self.job(text, name, needs_model)

    def job(self, text: Any, name: str, needs_model: bool = False) -> Job:
        plain = as_text(text)
        is_json = name.lower().endswith(".json") or (name == "<stdin>" and re.match(OBJECT, plain) is not None)
        settings = Settings("" if is_json else plain, name)
        graph = self.arguments.graph
        if graph is None and "graph" in settings.values:
            graph = os.path.join("" if name == "<stdin>" else os.path.dirname(name), settings.values["graph"])
        if needs_model and graph is None and not getattr(self.arguments, "type", None):
            raise Failure(
                "a model is needed: --graph G, or a comment '# amctcfg: graph=G' in the head of {}".format(name)
            )
        flavour = self.flavour(plain, name, graph, settings, is_json)
        rules = getattr(self.arguments, "rules", None) or settings.values.get("rules") or DOCUMENTED
        if rules not in (DOCUMENTED, TOOLKIT):
            raise Failure("{}: rules is '{}'; it has to be 'documented' or 'toolkit'".format(name, rules))
        model = None if graph is None else self.model(graph, flavour)
        return Job(self, text, name, flavour, rules, model, settings, is_json)

    # ------------------------------------------------------------ the flavour

    def flavour(self, text: str, name: str, graph: Optional[str], settings: Settings, is_json: bool) -> Flavour[Any]:
        wanted = getattr(self.arguments, "flavour", None)
        if wanted in (None, AUTO):
            wanted = settings.values.get("flavour", AUTO) if wanted is None else AUTO
        if wanted != AUTO:
            flavour = flavour_by_name(wanted)
            if graph and graph.lower().endswith(".onnx") and flavour.graphs != "onnx":
                self.note("{} is an ONNX model; its nodes are seen by the types of {}".format(graph, flavour.name))
            return flavour
        flavour, why = detected(text, name, graph, self, is_json)
        if flavour is not TF_ASCEND:
            self.note("{} is read as {}: {}".format(name, flavour.name, why))
        return flavour

    # ------------------------------------------------------------ the model

    def model(self, path: str, flavour: Flavour[Any]) -> Model:
        key = path, flavour.name
        if key not in self.models:
            self.console.progress("reading {} ...".format(path))
            self.models[key] = Model(path, examine_graph(path, flavour))
            self.console.done()
        return self.models[key]


def flavour_by_name(name: str) -> Flavour[Any]:
    if name not in FLAVOURS:
        hint = did_you_mean(nearest(name, FLAVOURS)) or "there are {}".format(", ".join(FLAVOURS))
        raise Failure("there is no flavour '{}'; {}".format(name, hint))
    return FLAVOURS[name]


def examine_graph(path: str, flavour: Flavour[Any]) -> List[Examined]:
    from ..models.loading import examine_file

    try:
        return examine_file(path, flavour)
    except ConfigError as error:  # a file that is not a graph is unreadable, not a wrong configuration
        raise Failure("can't use {} as a graph".format(path), str(error)) from None
    except OSError as error:
        raise Failure("can't read {}: {}".format(path, error.strerror or error)) from None


def detected(text: str, name: str, graph: Optional[str], jobs: Jobs, is_json: bool) -> Tuple[Flavour[Any], str]:
    """The flavour that a text and a graph suggest, and by what evidence; TF-Ascend if nothing speaks against it."""
    from ..textformat.parser import parse as parse_text

    kind = graph_kind(graph)
    tree = None
    with contextlib.suppress(ConfigError):
        tree = None if is_json else parse_text(text, name)
    if kind not in ("onnx", "table"):
        from ..documents.detecting import fits_tf_ascend

        if tree is None or fits_tf_ascend(tree):
            return (TF_ASCEND, "") if not is_json or kind else json_flavour(text)
    from ..documents.detecting import detect, evidence

    layers = jobs.model(graph or "", TF_ASCEND).layers if kind == "table" else []
    found = [f for f in detect(text, layers) if kind in ("", "table") or f.graphs == kind] if tree is not None else []
    if not found:
        suited = [flavour for flavour in FLAVOURS.values() if flavour.graphs == kind and kind == "onnx"]
        if kind == "table":
            suited = list(detect("", layers))
        return (
            (suited[0], "{} is {} model".format(graph, "an ONNX"))
            if suited and kind == "onnx"
            else ((suited[0] if suited else TF_ASCEND), "the types of {}".format(graph))
        )
    best = found[0]
    words = evidence(text, best)
    if kind == "onnx":
        words.insert(0, "{} is an ONNX model".format(graph))
    elif kind == "table":
        types = [
            t for t in dict.fromkeys(layer.type for layer in layers) if t in best.types and t not in TF_ASCEND.types
        ]
        words += [t for t in types[:3] if t not in words]
    return best, ", ".join(words[:6]) or "the types of {}".format(graph)


def json_flavour(text: str) -> Tuple[Flavour[Any], str]:
    """The flavour of a JSON quantization config without a model: by its global keys."""
    if '"fakequant_precision_mode"' in text or ('"batch_num"' in text and '"joint_quant"' not in text):
        return FLAVOURS.get("pytorch", TF_ASCEND), "batch_num without joint_quant"
    if '"joint_quant"' in text:
        return FLAVOURS.get("onnx", TF_ASCEND), "joint_quant"
    return TF_ASCEND, ""


def graph_kind(graph: Optional[str]) -> str:
    """The kind of a graph's file: "onnx", "tensorflow", "table", or "" where there is none."""
    if graph is None:
        return ""
    lower = graph.lower()
    if lower.endswith(".onnx"):
        return "onnx"
    return "table" if lower.endswith((".json", ".csv")) else "tensorflow"


class Job:
    """A configuration, or a JSON quantization config, with everything that it is looked at with."""

    def __init__(
        self,
        jobs: Jobs,
        text: Any,
        name: str,
        flavour: Flavour[Any],
        rules: str,
        model: Optional[Model],
        settings: Settings,
        is_json: bool,
    ) -> None:
        self.jobs: Jobs = jobs
        self.raw: Any = text
        self.text: str = as_text(text)
        self.name: str = name
        self.flavour: Flavour[Any] = flavour
        self.rules: str = rules
        self.model: Optional[Model] = model
        self.settings: Settings = settings
        self.is_json: bool = is_json
        self.ignored: Any = set(getattr(jobs.arguments, "ignore", ()) or ())
        self.lenient: bool = bool(getattr(jobs.arguments, "lenient", False))

    @property
    def layers(self) -> Optional[List[Layer]]:
        return None if self.model is None else self.model.layers

    # ------------------------------------------------------------ checking

    def check(self) -> Tuple[Diagnostic, ...]:
        """All diagnostics, without those that options or comments leave out."""
        found = self.everything()
        kept = self.settings.without_ignored(found)
        if self.jobs.arguments.strict_warnings:
            kept = tuple(sorted([*kept, *self.settings.unused(found)], key=position))
        return self.kept(kept)

    def kept(self, found: Any) -> Tuple[Diagnostic, ...]:
        return tuple(d for d in found if d.severity == ERROR or d.code not in self.ignored)

    def everything(self) -> Tuple[Diagnostic, ...]:
        if self.is_json:
            if self.layers is None:
                raise Failure("a JSON quantization config is checked on a model: --graph G")
            from ..resolve.json_reading import QuantConfig

            try:
                return tuple(QuantConfig(self.raw, tuple(self.layers), self.name, self.flavour).errors)
            except ConfigError as error:
                return error.diagnostics
        try:
            document, reading = read_text(self.raw, self.name, not self.lenient, self.flavour)
        except ConfigError as error:
            return error.diagnostics
        if reading.foreign:
            return document.diagnostics
        self.note_other_model(reading.config)
        return check_document(Context(document, self.layers, self.rules, self.flavour, reading.broken))

    def note_other_model(self, config: Any) -> None:
        words = another_model(config, self.layers) if self.layers is not None else None
        if words:
            self.jobs.note("{}: {}".format(self.name, words))

    # ------------------------------------------------------------ what comes out

    def document(self) -> Document[Any]:
        """The configuration, or the end of the command with its errors."""
        try:
            document, reading = read_text(self.raw, self.name, not self.lenient, self.flavour)
        except ConfigError as error:
            self.fail(error.diagnostics)
        if reading.errors:
            self.fail(self.check())
        return document

    def fail(self, found: Any) -> Any:
        self.jobs.console.diagnostics(found, self.text)
        raise Exit(EXIT_FINDINGS)

    def plan(self) -> Plan:
        """The plan, or the end of the command with all errors."""
        if self.is_json:
            from ..resolve.json_reading import read_plan

            try:
                return read_plan(self.raw, self.layers or (), self.name, self.flavour)
            except ConfigError as error:
                self.fail(error.diagnostics)
        document = self.document()
        self.note_other_model(document.config)
        try:
            return expand(document, self.layers or (), self.rules, self.flavour)
        except ConfigError as error:
            self.fail(error.diagnostics)
            raise AssertionError("fail leaves") from None

    def merger(self) -> Resolver:
        return Resolver(self.document(), self.rules, self.flavour)


def types_of(job: Job) -> Dict[str, str]:
    """The types of the layers that can be quantized, by name."""
    return {layer.name: layer.type for layer in job.layers or () if job.flavour.quantizes(layer)}
