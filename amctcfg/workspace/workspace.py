# SPDX-License-Identifier: Apache-2.0
"""The files of one run or session, with the options that hold for all of them; each model is read once."""

from __future__ import annotations

import os
import re
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple, Union

from ..documents.files import read
from ..documents.settings import Settings
from ..flavours import FLAVOURS
from ..flavours.flavour import Flavour
from ..flavours.socs import SOCS, soc_named
from ..flavours.tf_ascend import TF_ASCEND
from ..resolve.resolver import DOCUMENTED, TOOLKIT
from .choosing import choose_flavour, flavour_by_name
from .failure import Failure
from .file import ConfigFile
from .model import Model, kind_of_model, read_model, read_named_model

AUTO = "auto"

OBJECT = r'\A\s*\{\s*["}]'  # with which JSON begins, and no text format

Notify = Callable[[str], None]
Reader = Callable[[str], Tuple[Union[str, bytes], str]]


class Options(NamedTuple):
    """The options for all files; a file's own settings fill in what is None here."""

    graph: Optional[str] = None
    flavour: Optional[str] = None
    rules: Optional[str] = None
    lenient: bool = False
    ignore: Tuple[str, ...] = ()
    strict_warnings: bool = False
    soc: Optional[str] = None


def stay_silent(text: str) -> None:
    """Drop a note or a line of progress."""


class Workspace:
    """Files and the models that they are looked at on; models are read once, notes are given once.

    note -- called with each sentence about the run. progress -- with what long work is at, and with "" when it has ended.
    detail -- with how each file is read. read -- gives the contents and the name of a file; raises `OSError` or `Failure`.

    Raises `Failure` where there is no flavour of the name that the options ask for.
    """

    def __init__(
        self,
        options: Options,
        note: Notify = stay_silent,
        progress: Notify = stay_silent,
        read: Reader = read,
        detail: Notify = stay_silent,
    ) -> None:
        self.options: Options = options
        self.wanted: Optional[Flavour] = None
        if options.flavour not in (None, AUTO):
            self.wanted = flavour_by_name(str(options.flavour))
        self.models: Dict[Tuple[str, str], Model] = {}
        self._note: Notify = note
        self._progress: Notify = progress
        self._read: Reader = read
        self._detail: Notify = detail
        self._noted: Dict[str, None] = {}

    def note(self, text: str) -> None:
        """Give a note, unless it was given before."""
        if text not in self._noted:
            self._noted[text] = None
            self._note(text)

    # ------------------------------------------------------------ files

    def open(self, path: str, needs_model: bool = False, is_json: bool = False) -> ConfigFile:
        """Open a file. Raises `OSError`, and `Failure` for settings that can't be followed or a model that is missing."""
        file = self.file(*self._read(path), is_json)
        if needs_model:
            file.require_model()
        return file

    def file(self, contents: Union[str, bytes], name: str, is_json: bool = False) -> ConfigFile:
        """Return the file with these contents; relative paths in its head start from where it lies."""
        text = as_text(contents)
        is_json = is_json or holds_json(text, name)
        settings = Settings("" if is_json else text, name)
        graph, by_head = self.options.graph, False
        if graph is None and "graph" in settings.values:
            folder = os.path.dirname("" if name == "<stdin>" else name)
            graph, by_head = os.path.join(folder, settings.values["graph"]), True
        rules = self.options.rules or settings.values.get("rules", DOCUMENTED)
        if rules not in (DOCUMENTED, TOOLKIT):
            raise Failure("{}: rules is '{}'; it has to be 'documented' or 'toolkit'".format(name, rules))
        found = ConfigFile(self, contents, text, name, settings, is_json)
        found.rules = rules
        found.soc = self.soc_of(settings, name)
        found.flavour = self.flavour_of(found, graph, by_head)
        if found.flavour.deprecated:
            self.note("{} is {}".format(found.flavour.title, found.flavour.deprecated))
        found.model = None if graph is None else self.model(graph, found.flavour, by_head)
        on = "on {} layers of {}".format(len(found.model.examined), graph) if found.model else "without a model"
        self._detail("{}: flavour {}, {} rules, {}".format(name, found.flavour.name, rules, on))
        return found

    def file_alone(self, contents: Union[str, bytes], name: str) -> ConfigFile:
        """Return a file without the model that can't be read, and without settings that are wrong."""
        text = as_text(contents)
        found = ConfigFile(self, contents, text, name, Settings(text, name), holds_json(text, name))
        own = FLAVOURS.get(found.settings.values.get("flavour", AUTO))
        found.flavour = self.wanted or own or choose_flavour(found)[0]
        return found

    def soc_of(self, settings: Settings, name: str) -> Optional[str]:
        """Return the processor that the options or the file's head name. Raises `Failure` for an unknown one."""
        soc = settings.values.get("soc") if self.options.soc is None else self.options.soc
        if soc is not None and soc_named(soc) is None:
            where = "{}: ".format(name) if self.options.soc is None else ""
            raise Failure("{}there is no processor '{}'; names begin with {}".format(where, soc, ", ".join(SOCS)))
        return soc

    # ------------------------------------------------------------ flavours and models

    def flavour_of(self, file: ConfigFile, graph: Optional[str], by_head: bool) -> Flavour:
        """Return the flavour that the options or the file's head name, else the one that suits text and model best."""
        own = file.settings.values.get("flavour", AUTO) if self.options.flavour is None else AUTO
        flavour = self.wanted or (flavour_by_name(own, file.name) if own != AUTO else None)
        if flavour is not None:
            if flavour.graphs not in ("onnx", "torch") and kind_of_model(graph) == "onnx":
                words = "{} is an ONNX model; its node types are checked against flavour {}"
                self.note(words.format(graph, flavour.name))
            return flavour
        flavour, why = choose_flavour(file, graph, by_head)
        if flavour is not TF_ASCEND:
            words = "{}: assuming flavour {} ({}); override with --flavour"
            self.note(words.format(file.name, flavour.name, why))
        return flavour

    def flavour_of_model(self, graph: str) -> Tuple[Flavour, str]:
        """Return the flavour for a model without a configuration, and why; the one of the options where they name one."""
        if self.wanted is not None:
            return self.wanted, ""
        nothing = ConfigFile(self, "", "", graph, Settings("", graph), False)
        return choose_flavour(nothing, graph)

    def model(self, path: str, flavour: Flavour, by_head: bool = False) -> Model:
        """Return a model as a flavour sees it. Raises `Failure` for a file that can't be used."""
        key = path, flavour.name
        if key not in self.models:
            self._progress("reading {} ...".format(path))
            self.models[key] = (read_named_model if by_head else read_model)(path, flavour)
            self._progress("")
            examined = self.models[key].examined
            if not all(found.certain for found in examined):
                from ..models.loading import doubt_names

                self.note("{}: {}".format(path, doubt_names(examined)))
        return self.models[key]


def holds_json(text: str, name: str) -> bool:
    """Return whether a file is taken for JSON: by its ending, and standard input by its first characters."""
    return name.lower().endswith(".json") or (name == "<stdin>" and re.match(OBJECT, text) is not None)


def as_text(contents: Any) -> str:
    """Return a file's contents for showing, also where they are not UTF-8."""
    return contents if isinstance(contents, str) else str(contents, "utf-8", "replace")
