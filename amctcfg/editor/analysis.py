# SPDX-License-Identifier: Apache-2.0
"""What is known of an open file: its diagnostics, its outline, and what the configuration gives the layers of its model."""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, List, Optional, Tuple
from urllib.parse import unquote, urlsplit

from ..diagnostics.diagnostic import ConfigError, Diagnostic
from ..documents.document import Document, read_text
from ..flavours.flavour import Flavour
from ..flavours.layer import Layer
from ..resolve.resolver import Resolver
from ..workspace.failure import Failure
from ..workspace.file import ConfigFile
from ..workspace.model import Model
from ..workspace.workspace import Options, Workspace
from .outline import Outline
from .text import Text


def path_of(uri: str) -> str:
    """The path of a file's URI; the URI itself where it is not one."""
    parts = urlsplit(uri)
    if parts.scheme != "file":
        return uri
    path = unquote(parts.path)
    return path[1:] if os.name == "nt" and path[2:3] == ":" else path


class Settings:
    """What the client asks for: `graph`, `flavour`, `rules`, `lenient`, `ignore`, and whether it wants inlay hints."""

    def __init__(self, values: Any) -> None:
        values = values if isinstance(values, dict) else {}
        values = values.get("amctcfg", values) if isinstance(values.get("amctcfg", values), dict) else values
        self.graph: Optional[str] = text_or_none(values.get("graph"))
        self.flavour: Optional[str] = text_or_none(values.get("flavour"))
        self.rules: Optional[str] = text_or_none(values.get("rules"))
        self.lenient: bool = values.get("lenient") is True
        ignore = values.get("ignore")
        self.ignore: List[str] = [code for code in ignore if isinstance(code, str)] if isinstance(ignore, list) else []
        self.hints: bool = values.get("inlayHints") is not False

    def options(self) -> Options:
        """Return the same as a workspace takes it."""
        return Options(self.graph, self.flavour, self.rules, self.lenient, tuple(self.ignore))


def text_or_none(value: Any) -> Optional[str]:
    return value if isinstance(value, str) and value else None


class EditorWorkspace(Workspace):
    """The files of a session: a model is read again when its file has changed."""

    def __init__(self, options: Options, note: Callable[[str], None]) -> None:
        super().__init__(options, note)
        self.stamps: Dict[str, Any] = {}

    def model(self, path: str, flavour: Flavour[Any], by_head: bool = False) -> Model:
        stamp = stamp_of(path)
        if self.stamps.setdefault(path, stamp) != stamp:
            self.stamps[path] = stamp
            self.models: Dict[Tuple[str, str], Model] = {
                key: model for key, model in self.models.items() if key[0] != path
            }
        return super().model(path, flavour, by_head)

    def changed(self) -> List[str]:
        """The models whose files are not what they were when they were read."""
        return [path for path, stamp in self.stamps.items() if stamp_of(path) != stamp]


def stamp_of(path: str) -> Any:
    try:
        status = os.stat(path)
        return status.st_mtime_ns, status.st_size
    except (OSError, ValueError):
        return None


class Analysis:
    """One version of a file."""

    def __init__(self, text: Text, name: str, workspace: EditorWorkspace, before: Optional[Analysis]) -> None:
        self.text: Text = text
        self.name: str = name
        self.trouble: Optional[str] = None  # why the file can't be looked at on its model
        try:
            self.file: ConfigFile = workspace.file(text.text, name)
        except Failure as failure:
            self.trouble = str(failure)
            self.file = workspace.file_alone(text.text, name)
        self._diagnostics: Optional[Tuple[Diagnostic, ...]] = None
        self._outline: Optional[Outline] = None
        self._document: Any = None
        self._before: Optional[Document[Any]] = before.document if before is not None else None

    @property
    def flavour(self) -> Flavour[Any]:
        return self.file.flavour

    @property
    def layers(self) -> Optional[List[Layer]]:
        return self.file.layers

    @property
    def diagnostics(self) -> Tuple[Diagnostic, ...]:
        """What `check` reports."""
        if self._diagnostics is None:
            try:
                self._diagnostics = self.file.check()
            except Failure as failure:
                self.trouble, self._diagnostics = str(failure), ()
        return self._diagnostics

    @property
    def outline(self) -> Outline:
        if self._outline is None:
            self._outline = Outline(self.text.text, self.flavour)
        return self._outline

    @property
    def document(self) -> Optional[Document[Any]]:
        """The configuration, also one with errors; the last one that could be read where this can't."""
        if self._document is None:
            try:
                self._document = read_text(self.text.text, self.name, False, self.flavour)[0]
            except ConfigError:
                self._document = self._before
        found: Optional[Document[Any]] = self._document
        return found

    @property
    def merger(self) -> Optional[Resolver]:
        document = self.document
        if document is None or type(document.config) is not self.flavour.config:
            return None
        return Resolver(document, self.file.rules, self.flavour)

    def layer(self, name: str) -> Optional[Layer]:
        return next((layer for layer in self.layers or () if layer.name == name), None)
