# SPDX-License-Identifier: Apache-2.0
"""The analysis of an open file: its diagnostics, its outline, and what it gives the layers of its model."""

from __future__ import annotations

import os
import threading
from typing import Any, Callable
from urllib.parse import unquote, urlsplit

from ..diagnostics.codes import DIAGNOSTICS_PAGE
from ..diagnostics.diagnostic import ERROR, Diagnostic
from ..diagnostics.words import escape_controls
from ..documents.document import Document, read_tree
from ..flavours.flavour import Flavour
from ..flavours.layer import Layer, Layers
from ..resolve.resolver import Resolver
from ..tools.fixing import REMOVABLE
from ..workspace.failure import Failure
from ..workspace.file import ConfigFile, cached
from ..workspace.workspace import Model, Options, Workspace
from .outline import Outline
from .text import Text

UNNECESSARY = 1  # a tag: editors show in pale what could as well be deleted

LARGE = 4 << 20  # bytes of a model that is read in the background


def path_of_uri(uri: str) -> str:
    """Return the path of a file's URI; the URI itself where it is not one."""
    try:
        parts = urlsplit(uri)
    except ValueError:  # such as an address in brackets that are not closed
        return uri
    if parts.scheme != "file":
        return uri
    path = unquote(parts.path)
    return path[1:] if os.name == "nt" and path[2:3] == ":" else path


def read_settings(values: Any) -> tuple[Options, bool]:
    """Return a client's options for files, and whether it wants inlay hints."""
    values = values if isinstance(values, dict) else {}
    values = values["amctcfg"] if isinstance(values.get("amctcfg"), dict) else values
    words = (values.get(key) for key in ("graph", "flavour", "rules"))
    graph, flavour, rules = (word if isinstance(word, str) and word else None for word in words)
    ignore = values.get("ignore")
    codes = [code for code in ignore if isinstance(code, str)] if isinstance(ignore, list) else []
    options = Options(graph, flavour, rules, values.get("lenient") is True, tuple(codes))
    return options, values.get("inlayHints") is not False


class EditorWorkspace(Workspace):
    """The files of a session: a model is read again when its file has changed."""

    def __init__(self, options: Options, note: Callable[[str], None], loaded: Callable[[], None]) -> None:
        super().__init__(options, note)
        self.stamps: dict[str, Any] = {}
        self.loaded: Callable[[], None] = loaded
        self.loading: dict[tuple[str, str], Failure | None] = {}  # large models: how reading one ended, None so far

    def read_model(self, path: str, flavour: Flavour) -> Model:
        stamp = stamp_of(path)
        if self.stamps.setdefault(path, stamp) != stamp:
            self.keep(set(self.stamps) - {path})
            self.stamps[path] = stamp
        key = path, flavour.name
        if key in self.models or stamp is None or stamp[0] < LARGE:
            return super().read_model(path, flavour)
        if key not in self.loading:
            self.loading[key] = None
            threading.Thread(target=self.load, args=(key, flavour), daemon=True).start()
        raise self.loading.get(key) or Waiting("reading {} ...".format(path))

    def load(self, key: tuple[str, str], flavour: Flavour) -> None:
        """Read a large model; runs in a thread of its own, so that other files don't wait for it."""
        try:
            super().read_model(key[0], flavour)
            self.loading.pop(key, None)
        except Failure as failure:
            self.loading[key] = failure
        self.loaded()

    def keep(self, paths: set[str]) -> None:
        """Forget all models but these."""
        being_read = {key[0] for key, failure in list(self.loading.items()) if failure is None}
        for path in set(self.stamps) - paths - being_read:
            del self.stamps[path]
            for cache in (self.models, self.loading):
                for key in [key for key in cache if key[0] == path]:
                    del cache[key]

    def list_changed(self) -> list[str]:
        return [path for path, stamp in self.stamps.items() if stamp_of(path) != stamp]


class Waiting(Failure):
    """A model is being read; what asks for it is asked again later."""


def stamp_of(path: str) -> tuple[int, int] | None:
    """Return the size and the time of a file, which tell its states apart."""
    try:
        status = os.stat(path)
        return status.st_size, status.st_mtime_ns
    except (OSError, ValueError):
        return None


class Analysis:
    """One version of a file. `earlier` is the last configuration that could be read, for a text that can't be."""

    def __init__(self, text: Text, uri: str, workspace: EditorWorkspace, earlier: Document[Any] | None = None) -> None:
        self.text: Text = text
        self.uri: str = uri
        self.name: str = path_of_uri(uri)
        self.problem: str | None = None  # why the file can't be looked at on its model
        self.is_waiting: bool = False
        try:
            self.file: ConfigFile = workspace.open_text(text.text, self.name)
        except Failure as failure:
            self.is_waiting = isinstance(failure, Waiting)
            self.problem = None if self.is_waiting else str(failure)
            self.file = workspace.open_alone(text.text, self.name)
        self.earlier: Document[Any] | None = earlier
        self.flavour: Flavour = self.file.flavour
        self.layers: Layers | None = self.file.layers

    @cached
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Return what `check` reports."""
        try:
            return self.file.check()
        except Failure as failure:
            self.problem = str(failure)
            return ()

    @cached
    def outline(self) -> Outline:
        return Outline(self.text.text, self.flavour)

    @cached
    def document(self) -> Document[Any] | None:
        """Return the configuration, also one with errors; the last one that could be read where this can't."""
        tree = self.file.tree
        return self.earlier if tree is None else read_tree(tree, False, self.flavour)[0]

    @cached
    def resolver(self) -> Resolver | None:
        document = self.document
        if document is None or type(document.config) is not self.flavour.config:
            return None
        return Resolver(document, self.file.rules, self.flavour)

    def find_layer(self, name: str | None) -> Layer | None:
        return next((layer for layer in self.layers or () if layer.name == name), None)


# ---------------------------------------------------------------- for the client


def diagnostic_of(analysis: Analysis, diagnostic: Diagnostic) -> dict[str, Any]:
    """Return a diagnostic as the protocol has it; one that has no place stands at the beginning."""
    span = diagnostic.span
    place = analysis.text.range(0, 0) if span is None else analysis.text.range_of_span(span)
    message = escape_controls(diagnostic.message) + ("\n" + escape_controls(diagnostic.hint) if diagnostic.hint else "")
    found: dict[str, Any] = {
        "range": place,
        "severity": 1 if diagnostic.severity == ERROR else 2,
        "code": diagnostic.code,
        "codeDescription": {"href": DIAGNOSTICS_PAGE.format(diagnostic.code)},
        "source": "amctcfg",
        "message": message,
    }
    if diagnostic.code in REMOVABLE:
        found["tags"] = [UNNECESSARY]
    return found
