# SPDX-License-Identifier: Apache-2.0
"""A configuration beside the layers of a model: what lint and validation look things up in."""

from __future__ import annotations

from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple, Union

from .diagnostics import Diagnostic, Path, listed, position
from .document import Document
from .merging import Merger
from .schema import AMCTConfig
from .source import Span
from .target import Layer, Target

__all__ = ["Model", "named"]

SHOWN_NAMES = 3


class Model:
    """Layers by name and by type, if they are known, the configuration, and the merge rules over both.

    Raises `ValueError` for two layers of one name, `TypeError` for what is no `Layer`.
    """

    def __init__(
        self, config: Union[AMCTConfig, Document], layers: Optional[Iterable[Layer]], target: Target, rules: str
    ) -> None:
        self.merger: Merger = Merger(config, target, rules)
        self.config: AMCTConfig = self.merger.config
        self.document: Optional[Document] = self.merger.document
        self.target: Target = target
        self.has_layers: bool = layers is not None
        self.layers: Tuple[Layer, ...] = tuple(layers or ())
        self.by_name: Dict[str, Layer] = {}
        self.by_type: Dict[str, List[Layer]] = {}
        for layer in self.layers:
            if not isinstance(layer, Layer):
                raise TypeError("layers have to be Layer, not {!r}".format(layer))
            if self.by_name.setdefault(layer.name, layer) is not layer:
                raise ValueError("the layer '{}' occurs twice".format(layer.name))
            self.by_type.setdefault(layer.type, []).append(layer)
        self.supported: List[Layer] = [layer for layer in self.layers if target.quantizes(layer)]
        self.diagnostics: List[Diagnostic] = []

    def report(
        self, severity: str, code: str, message: str, path: Optional[Path] = None, hint: Optional[str] = None
    ) -> None:
        """Add a diagnostic at the literal, or the name of the message, that a path leads to."""
        span: Optional[Span] = None
        name = self.document.name if self.document else "<config>"
        if self.document and path:
            span = self.document.mark(path)
        self.diagnostics.append(Diagnostic(severity, code, message, span, path, hint, name))

    def entries(self, field: str) -> Iterator[Tuple[Path, Any]]:
        """The entries of a repeated field, each with its path."""
        return (((field, index), entry) for index, entry in enumerate(getattr(self.config, field)))

    def taken(self) -> Tuple[Diagnostic, ...]:
        """The diagnostics reported since the last call, in the order of their places."""
        reported, self.diagnostics = self.diagnostics, []
        return tuple(sorted(reported, key=position))


def named(names: Iterable[str]) -> str:
    """`'a', 'b', 'c' and 4 more`"""
    names = list(names)
    shown = ["'{}'".format(name) for name in names[:SHOWN_NAMES]]
    if len(names) > SHOWN_NAMES:
        return "{} and {} more".format(", ".join(shown), len(names) - SHOWN_NAMES)
    return listed(shown, "and")
