# SPDX-License-Identifier: Apache-2.0
"""A configuration, or a JSON quantization config, with everything that it is looked at with; each is made once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Generic, Iterable, TypeVar

from ..checks.context import Context
from ..checks.errors import note_other_model
from ..checks.expanding import expand_context
from ..checks.warnings import gather_diagnostics
from ..diagnostics.diagnostic import ERROR, ConfigError, Diagnostic, sort_key_of
from ..documents.document import Document, parse_tree, read_tree
from ..documents.settings import Settings
from ..flavours.common import Configuration
from ..flavours.flavour import Flavour
from ..flavours.layer import Layers
from ..flavours.tf_ascend import TF_ASCEND
from ..messages.reading import Reading
from ..resolve.plan import Plan
from ..resolve.resolver import DOCUMENTED, Resolver
from ..textformat.tree import Tree
from .failure import Failure

if TYPE_CHECKING:
    from ..resolve.resolver import Rules
    from ..tools.fixing import Fixed
    from .workspace import Model, Workspace

V = TypeVar("V")


class cached(Generic[V]):  # noqa: N801 - it reads as a decorator
    """A property that is computed once; `functools.cached_property` came with Python 3.8."""

    def __init__(self, compute: Callable[[Any], V]) -> None:
        self.compute: Callable[[Any], V] = compute

    def __get__(self, instance: Any, owner: Any) -> V:
        value = self.compute(instance)
        instance.__dict__[self.compute.__name__] = value  # which is found before this descriptor from now on
        return value


@dataclass(eq=False, repr=False)
class ConfigFile:
    """A file with its model, flavour, rules and settings. `Workspace` makes it.

    contents -- as they were read. graph, model -- None where none is named.
    """

    workspace: Workspace
    contents: str | bytes
    name: str
    is_json: bool
    graph: str | None = None
    flavour: Flavour = TF_ASCEND
    rules: Rules = DOCUMENTED
    model: Model | None = None
    soc: str | None = None

    @property
    def layers(self) -> Layers | None:
        """The layers of the model, None where none is named."""
        return None if self.model is None else self.model.layers

    def require_model(self) -> Model:
        if self.model is None:
            words = "a model is needed: --graph G, or a comment '# amctcfg: graph=G' in the head of {}"
            raise Failure(words.format(self.name))
        return self.model

    def require_text(self) -> None:
        if self.is_json:
            raise Failure("{} is JSON; `amctcfg condense` makes a configuration of it first".format(self.name))

    def require_layout(self) -> None:
        if self.flavour.layout is None:
            raise Failure("the toolkit of {} writes no JSON quantization config".format(self.flavour.name))

    @cached
    def text(self) -> str:
        return as_text(self.contents)

    @cached
    def settings(self) -> Settings:
        return Settings("" if self.is_json else self.text, self.name)

    @cached
    def parsed(self) -> Tree | ConfigError:
        """Return the syntax tree, or what keeps the file from being text format."""
        try:
            return parse_tree(self.contents, self.name)
        except ConfigError as error:
            return error

    @property
    def tree(self) -> Tree | None:
        """The syntax tree; None for JSON, and for what is not text format."""
        return self.parsed if not self.is_json and isinstance(self.parsed, Tree) else None

    @cached
    def read(self) -> tuple[Document[Configuration], Reading]:
        """Read the configuration, also where it has errors. Raises `ConfigError` for what is not text format."""
        if isinstance(self.parsed, ConfigError):
            raise self.parsed
        return read_tree(self.parsed, not self.workspace.options.lenient, self.flavour)

    def check(self) -> tuple[Diagnostic, ...]:
        """Return all diagnostics, without those that options or comments leave out."""
        found = self.diagnostics
        kept = self.settings.without_ignored(found)
        if self.workspace.options.strict_warnings:
            kept = tuple(sorted([*kept, *self.settings.find_unused(found)], key=sort_key_of))
        return self.without_ignored(kept)

    def without_ignored(self, found: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
        ignored = self.workspace.options.ignore
        return tuple(d for d in found if d.severity == ERROR or d.code not in ignored)

    @cached
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        if self.is_json and self.layers is None:
            raise Failure("a JSON quantization config is checked on a model: --graph G")
        try:
            if self.is_json:
                return self.plan.warnings  # its errors keep it from being a plan
            document, reading = self.read
        except ConfigError as error:
            return error.diagnostics
        return document.diagnostics if reading.foreign else gather_diagnostics(self.context)

    @cached
    def context(self) -> Context:
        """Return the configuration with the model's layers. Raises `ConfigError` for what is not text format."""
        document, reading = self.read
        words = note_other_model(reading.config, self.layers) if self.layers is not None else None
        if words:
            self.workspace.note("{}: {}".format(self.name, words))
        return Context(document, self.layers, self.rules, self.flavour, reading.broken, self.soc)

    def require_whole(self) -> None:
        """Raise `ConfigError` with all diagnostics where something could not be read."""
        if self.read[1].broken:
            raise ConfigError(self.check(), self.text)

    @property
    def document(self) -> Document[Configuration]:
        """The configuration. Raises `ConfigError` with all diagnostics where something could not be read."""
        self.require_whole()
        return self.read[0]

    @cached
    def plan(self) -> Plan:
        """Return the plan. Raises `ConfigError` as `document` does, and `Failure` where no model is named."""
        if self.is_json:
            from ..resolve.json_reading import read_plan

            self.require_layout()
            return read_plan(self.contents, self.layers or (), self.name, self.flavour)
        self.require_model()
        self.require_whole()
        return expand_context(self.context, self.settings)

    @property
    def resolver(self) -> Resolver:
        """The rules, for layers of any name. Raises `ConfigError` as `document` does."""
        self.require_whole()
        return self.context.resolver

    def fix(self, unsafe: bool) -> Fixed:
        from ..tools.fixing import Fixed, fix_text

        try:
            return fix_text(self.contents, self.layers, unsafe, self.flavour)
        except ConfigError:  # not UTF-8
            return Fixed(self.text, [], 0)

    def count_fixes(self) -> tuple[int, int]:
        """Count the safe fixes, and those that are only likely."""
        from ..tools.fixing import count_fixes, is_fixable

        if self.is_json or not any(map(is_fixable, self.diagnostics)):
            return 0, 0
        return count_fixes(self.contents, self.layers, self.flavour, self.tree)


def as_text(contents: str | bytes) -> str:
    """Return a file's contents for showing, also where they are not UTF-8."""
    return contents if isinstance(contents, str) else str(contents, "utf-8", "replace")
