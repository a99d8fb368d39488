# SPDX-License-Identifier: Apache-2.0
"""A configuration and a model's layers: what the rules look things up in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, Sequence

from ..diagnostics.diagnostic import Diagnostic, Path
from ..diagnostics.suggestions import NameIndex, did_you_mean
from ..diagnostics.words import quote_names
from ..documents.document import Document
from ..flavours.common import Configuration
from ..flavours.flavour import Flavour
from ..flavours.layer import Layer, Layers
from ..messages.kinds import STRING
from ..messages.message import Message
from ..resolve.resolver import DOCUMENTED, Resolver, Rules, Tier

if TYPE_CHECKING:
    from ..diagnostics.diagnostic import Severity

# Repeated fields of blocks, and the field of each that names what it is for.
OVERRIDES = {"override_layer_types": "layer_type", "override_layer_configs": "layer_name"}

# How many names are tried as patterns, of what length, with how many stars: more would take long.
MOST_PATTERNS, LONGEST_PATTERN, MOST_STARS = 30, 200, 4

# Around the name of a layer in those of its outputs and parameters, and of a module that is wrapped or compiled.
AROUND_NAME = r"\A(?:module\.|_orig_mod\.)+|(?::\d+|_output_\d+|\.weight|\.bias)\Z"


Check = Callable[["Context"], Iterable[Diagnostic]]


class Context:
    """A configuration, the layers by name and by type if they are known, and the resolver over both.

    `broken` are the paths of what could not be read: nothing is said about those.
    """

    def __init__(
        self,
        config: Message | Document[Configuration],
        layers: Iterable[Layer] | None,
        rules: Rules = DOCUMENTED,
        flavour: Flavour | None = None,
        broken: Iterable[Path] = (),
        soc: str | None = None,
    ) -> None:
        self.resolver: Resolver = Resolver(config, rules, flavour)
        self.config: Configuration = self.resolver.config
        self.document: Document[Configuration] | None = self.resolver.document
        self.flavour: Flavour = self.resolver.flavour
        self.soc: str | None = soc  # the processor that the model is for
        self.has_layers: bool = layers is not None
        self.layers: Layers = check_layers(layers or ())
        self.by_name: dict[str, Layer] = {}
        self.by_type: dict[str, list[Layer]] = {}  # the supported ones; of each type that the model has
        self.supported: list[Layer] = []
        for layer in self.layers:
            if layer.name in self.by_name:
                raise ValueError("the layer '{}' occurs twice".format(layer.name))
            self.by_name[layer.name] = layer
            of_type = self.by_type.setdefault(layer.type, [])
            if self.flavour.quantizes(layer):
                of_type.append(layer)
                self.supported.append(layer)
        # Every part of a broken path is incomplete.
        self.incomplete: set[Path] = {path[:length] for path in broken for length in range(1, len(path) + 1)}
        self.errors: tuple[Diagnostic, ...] | None = None  # when they were looked for, beside those of reading
        self.wrong: set[Path] = set()  # the blocks and entries with errors
        self._names: NameIndex | None = None
        self._patterns: int = 0  # names with signs of a pattern so far

    def report(
        self,
        severity: Severity,
        code: str,
        message: str,
        path: Path | None = None,
        hint: str | None = None,
        replacement: str | None = None,
    ) -> Diagnostic:
        """Return a diagnostic at the literal, or the name of the message, that a path leads to."""
        name = self.document.name if self.document else "<config>"
        span = self.document.mark(path) if self.document and path else None
        return Diagnostic(severity, code, message, span, path, hint, name, replacement)

    def iter_entries(self, field: str) -> Iterator[tuple[Path, Any]]:
        """Iterate over the entries of a repeated field, each with its path; without those that could not be read."""
        key = OVERRIDES.get(field)
        for index, entry in enumerate(getattr(self.config, field, ())):
            if entry is not None and (key is None or getattr(entry, key) is not None):
                yield (field, index), entry

    def iter_names(self, *fields: str) -> Iterator[tuple[Path, str]]:
        """Iterate over the names in repeated fields, each with its path: entries, or what overrides are for."""
        for field in fields:
            key = OVERRIDES.get(field)
            for path, entry in self.iter_entries(field):
                yield (path, entry) if key is None else ((*path, key), getattr(entry, key))

    def is_whole(self, tiers: Sequence[Tier]) -> bool:
        return self.incomplete.isdisjoint(tier.path for tier in tiers)

    def suggest_layers(self, name: str) -> tuple[str | None, str | None]:
        """Return what a name could have meant, in words, and the literal to write where it is a single layer."""
        if self._names is None:
            self._names = index_names(self.layers, self.flavour)
        if not any(sign in name for sign in "*?["):
            meant = [one for one in map(self.by_name.get, guess_names(name)) if one and self.flavour.quantizes(one)]
            close = [layer.name for layer in meant] or self._names.find_nearest(name)
            return did_you_mean(close), STRING.format(close[0]) if len(close) == 1 else None
        self._patterns += 1
        found = match_layers(name, self.supported) if self._patterns <= MOST_PATTERNS else []
        if found:
            return "this file has no patterns; name each layer: {}".format(quote_names(found)), None
        return "this file has no patterns, and no layer matches this one", None


def check_layers(layers: Iterable[Layer]) -> Layers:
    if isinstance(layers, (str, bytes)) or hasattr(layers, "__fspath__"):
        raise TypeError("layers have to be Layer, not a path; amctcfg.load_layers({!r}) reads them".format(layers))
    found = Layers(layers)
    for layer in found:
        if not isinstance(layer, Layer):
            raise TypeError("layers have to be Layer, not {!r}".format(layer))
    return found


def index_names(layers: Iterable[Layer], flavour: Flavour) -> NameIndex:
    """Index the names that can be meant: of layers of the flavour's types, else of all but minor ones."""
    layers = Layers(layers)
    quantizable = frozenset(layer.name for layer in layers if flavour.quantizes(layer))
    of_types = [layer.name for layer in layers if layer.type in flavour.types]
    return NameIndex(of_types or [x.name for x in layers if not layers.is_minor(x)], quantizable.__contains__)


def guess_names(name: str) -> list[str]:
    """Return what the name of an output, a parameter, a node of an export or a wrapped module may stand for."""
    name = re.sub(AROUND_NAME, "", name)
    if not name.startswith("/"):  # not from an export: nothing to import, which takes some milliseconds
        return [name]
    try:
        from ..models.modules import read_module_path
    except ImportError:  # a host that only expands may have deleted it
        return [name]
    path = read_module_path(name)
    return [name, path] if path else [name]


def match_layers(pattern: str, layers: Sequence[Layer]) -> list[str]:
    """Match a pattern as a whole, as the end of a path, or anywhere."""
    from fnmatch import fnmatchcase  # only where a name looks like a pattern

    if len(pattern) > LONGEST_PATTERN or pattern.count("*") > MOST_STARS:
        return []
    for whole in (pattern, "*/" + pattern, "*{}*".format(pattern)):
        found = [layer.name for layer in layers if fnmatchcase(layer.name, whole)]
        if found:
            return found
    return []
