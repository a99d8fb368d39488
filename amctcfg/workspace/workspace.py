# SPDX-License-Identifier: Apache-2.0
"""The files of one run or session and their models, with the options that hold for all; each model is read once."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, NamedTuple, Tuple, Union

from ..documents.document import parse_tree
from ..documents.files import read
from ..flavours import FLAVOURS
from ..flavours.flavour import Flavour
from ..flavours.layer import Layers
from ..flavours.socs import SOCS, find_soc
from ..flavours.tf_ascend import TF_ASCEND
from ..resolve.resolver import DOCUMENTED, TOOLKIT
from .failure import Failure, require_known, using
from .file import ConfigFile, as_text

if TYPE_CHECKING:
    from ..models.graphs import Examined

AUTO = "auto"

OBJECT = r'\A\s*\{\s*["}]'  # with which JSON begins, and no text format

Notify = Callable[[str], None]
Reader = Callable[[str], Tuple[Union[str, bytes], str]]


class Options(NamedTuple):
    """The options for all files; a file's own settings fill in what is None here."""

    graph: str | None = None
    flavour: str | None = None
    rules: str | None = None
    lenient: bool = False
    ignore: tuple[str, ...] = ()
    strict_warnings: bool = False
    soc: str | None = None


class Model(NamedTuple):
    path: str
    examined: list[Examined]
    layers: Layers


def stay_silent(text: str) -> None:
    """Drop a note."""


@dataclass(eq=False, repr=False)
class Workspace:
    """Files and the models that they are looked at on; models are read once, notes are given once.

    say -- called with each sentence about the run. reading -- with the path of a model that is read, with "" behind that.
    read -- gives the contents and the name of a file; raises `OSError` or `Failure`. detail -- called with how it is read.
    """

    options: Options
    say: Notify = stay_silent
    reading: Notify = stay_silent
    read: Reader = read
    detail: Notify = stay_silent

    def __post_init__(self) -> None:
        name = self.options.flavour
        self.wanted: Flavour | None = None if name is None or name == AUTO else find_flavour(name)
        self.models: dict[tuple[str, str], Model] = {}
        self.noted: set[str] = set()

    def note(self, text: str) -> None:
        """Give a note, unless it was given before."""
        if text not in self.noted:
            self.noted.add(text)
            self.say(text)

    def open(self, path: str, needs_model: bool = False, is_json: bool = False) -> ConfigFile:
        """Open a file. Raises `OSError`, and `Failure` for its settings or its model."""
        file = self.open_text(*self.read(path), is_json)
        if needs_model:
            file.require_model()
        return file

    def open_pair(self, path: str, other: str) -> tuple[ConfigFile, ConfigFile]:
        """Open two files on one model: that of the options, else of the second's head, else of the first's."""
        read = [self.read(path), self.read(other)]
        first, second = [ConfigFile(self, contents, name, holds_json(contents, name)) for contents, name in read]
        graph = self.model_of(second) or self.model_of(first)
        return self.complete(first, graph), self.complete(second, graph)

    def open_text(self, contents: str | bytes, name: str, is_json: bool = False) -> ConfigFile:
        """Return the file with these contents; relative paths in its head start from where it lies."""
        file = ConfigFile(self, contents, name, is_json or holds_json(contents, name))
        return self.complete(file, self.model_of(file))

    def model_of(self, file: ConfigFile) -> str | None:
        """Return the path of a file's model, which options or its head name."""
        if self.options.graph is not None or "graph" not in file.settings.values:
            return self.options.graph
        return os.path.join(os.path.dirname(file.name), file.settings.values["graph"])

    def complete(self, file: ConfigFile, graph: str | None) -> ConfigFile:
        """Give a file what options and its head say, and its model."""
        own, name = file.settings.values, file.name
        file.graph = graph
        rules = self.options.rules or own.get("rules", DOCUMENTED)
        if rules not in (DOCUMENTED, TOOLKIT):
            raise Failure("{}: rules is '{}'; it has to be 'documented' or 'toolkit'".format(name, rules))
        file.rules = rules
        file.soc = own.get("soc") if self.options.soc is None else self.options.soc
        if file.soc is not None and find_soc(file.soc) is None:
            where = "{}: ".format(name) if self.options.soc is None else ""
            raise Failure("{}there is no processor '{}'; names begin with {}".format(where, file.soc, ", ".join(SOCS)))
        file.flavour = self.flavour_of(file)
        if file.flavour.deprecated:
            self.note("{} is {}".format(file.flavour.title, file.flavour.deprecated))
        on = "without a model"
        if graph is not None:
            file.model = self.read_model(graph, file.flavour)
            on = "on {} layers of {}".format(len(file.model.examined), graph)
        self.detail("{}: flavour {}, {} rules, {}".format(name, file.flavour.name, rules, on))
        return file

    def open_alone(self, contents: str | bytes, name: str) -> ConfigFile:
        """Return a file without the model that can't be read, and without settings that are wrong."""
        file = ConfigFile(self, contents, name, holds_json(contents, name))
        own = FLAVOURS.get(file.settings.values.get("flavour", AUTO))
        file.flavour = self.wanted or own or choose_flavour(file)[0]
        return file

    def flavour_of(self, file: ConfigFile) -> Flavour:
        """Return the flavour that options or head name, else the one that suits text and model best."""
        own = file.settings.values.get("flavour", AUTO) if self.options.flavour is None else AUTO
        flavour = self.wanted or (find_flavour(own, file.name + ": ") if own != AUTO else None)
        if flavour is not None:
            if flavour.graphs not in ("onnx", "torch") and kind_of_model(file.graph) == "onnx":
                words = "{} is an ONNX model; its node types are checked against flavour {}"
                self.note(words.format(file.graph, flavour.name))
            return flavour
        flavour, why = choose_flavour(file)
        if flavour is not TF_ASCEND:
            words = "{}: assuming flavour {} ({}); override with --flavour"
            self.note(words.format(file.name, flavour.name, why))
        return flavour

    def suggest_flavour(self, graph: str) -> tuple[Flavour, str]:
        """Return the flavour that options or the model suggest, and why."""
        if self.wanted is not None:
            return self.wanted, ""
        return choose_flavour(ConfigFile(self, "", graph, False, graph))

    def read_model(self, path: str, flavour: Flavour) -> Model:
        key = path, flavour.name
        if key not in self.models:
            self.reading(path)
            self.models[key] = (read_named_model if self.options.graph is None else read_model)(path, flavour)
            self.reading("")
            examined = self.models[key].examined
            if not all(found.certain for found in examined):
                from ..models.loading import doubt_names

                self.note("{}: {}".format(path, doubt_names(examined)))
        return self.models[key]


def read_model(path: str, flavour: Flavour) -> Model:
    """Read the model that the user names; a `Failure` has its diagnostics."""
    from ..models.loading import as_layers, examine_file

    with using(path, "a model"):
        examined = examine_file(path, flavour)
        layers = as_layers(examined, path, flavour)
    return Model(path, examined, layers)


def read_named_model(path: str, flavour: Flavour) -> Model:
    """Read the model that a file's head names, which may come from anyone.

    A pipe or a device, which might never end, is refused; nothing of a file that is not a model is shown.
    """
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        raise Failure("can't read {}: it is not a regular file".format(path))
    try:
        return read_model(path, flavour)
    except Failure as failure:
        if failure.details:
            words = "{} (which the file's head names); `amctcfg layers {}` shows why"
            raise Failure(words.format(failure.message, path)) from None
        raise


def kind_of_model(path: str | None) -> str:
    """Return "onnx", "tensorflow", "table", or "" for no path."""
    if path is None:
        return ""
    from ..models.loading import recognize_graph

    return recognize_graph(path)


def holds_json(contents: str | bytes, name: str) -> bool:
    """Take a file for JSON by its ending, standard input by its first characters."""
    return name.lower().endswith(".json") or (name == "<stdin>" and re.match(OBJECT, as_text(contents)) is not None)


def find_flavour(name: str, where: str = "") -> Flavour:
    """Return the flavour of a name. Raises `Failure`, which begins with the place of the name."""
    require_known(name, FLAVOURS, "flavour", "there are {}".format(", ".join(FLAVOURS)), where)
    return FLAVOURS[name]


def choose_flavour(file: ConfigFile) -> tuple[Flavour, str]:
    """Return the flavour that a file and its model suggest, and by what evidence; TF-Ascend where nothing speaks against it.

    The model's kind counts first, then the fields of the text, then the types that it names.
    """
    graph, tree = file.graph, file.tree
    kind = kind_of_model(graph)
    if file.is_json and not kind:
        return choose_by_keys(file.text)
    from ..documents.detecting import fits_tf_ascend, gather_evidence, rank_flavours

    if kind not in ("onnx", "table") and (tree is None or fits_tf_ascend(tree)):  # the common case
        return TF_ASCEND, ""
    layers = file.workspace.read_model(graph, TF_ASCEND).layers if graph and kind == "table" else ()
    ranked = () if tree is None else rank_flavours(tree, layers)
    if tree is None or not ranked:  # the model alone decides
        tree = parse_tree("", "")
        ranked = rank_flavours(tree, layers)
    suited = [flavour for flavour in ranked if kind not in ("onnx", "tensorflow") or flavour.graphs == kind]
    best = suited[0] if suited else TF_ASCEND  # a host may have deleted the others
    words = ["{} is an ONNX model".format(graph)] if kind == "onnx" else []
    words += gather_evidence(tree, best)
    types = dict.fromkeys(layer.type for layer in layers)
    telling = [name for name in types if name in best.types and name not in TF_ASCEND.types]
    words += [name for name in telling[:3] if name not in words]
    return best, ", ".join(words[:6]) or "the types of {}".format(graph)


def choose_by_keys(text: str) -> tuple[Flavour, str]:
    """Return the flavour of a JSON quantization config without a model: by its global keys."""
    if '"fakequant_precision_mode"' in text or ('"batch_num"' in text and '"joint_quant"' not in text):
        return FLAVOURS.get("pytorch", TF_ASCEND), "batch_num without joint_quant"
    if '"joint_quant"' in text:
        return FLAVOURS.get("onnx", TF_ASCEND), "joint_quant"
    return TF_ASCEND, ""
