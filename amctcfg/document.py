# SPDX-License-Identifier: Apache-2.0
"""Text to configuration and back: `parse`, `loads`, `load`, `dump`; a `Document` is a configuration with its places."""

from __future__ import annotations

import dataclasses
from typing import Tuple, Union

from .bind import bind
from .diagnostics import ConfigError, Diagnostic, Path
from .files import Readable, Writable, read, write
from .printing import dumps
from .schema import AMCTConfig
from .source import Span
from .textformat import Tree
from .textformat import parse as parse_text
from .textformat.tree import mark_offsets

__all__ = ["Document", "dump", "load", "loads", "parse"]


@dataclasses.dataclass(frozen=True, eq=False)
class Document:
    """A configuration together with the text that it was read from.

    `config` is the configuration, `tree` the syntax tree, `diagnostics` the warnings of reading (with `strict=False`).
    """

    config: AMCTConfig
    tree: Tree
    diagnostics: Tuple[Diagnostic, ...] = ()

    @property
    def text(self) -> str:
        """The text as it was read."""
        return self.tree.source.text

    @property
    def name(self) -> str:
        """The file's name, as messages show it."""
        return self.tree.source.name

    def span(self, path: Path) -> Span:
        """Where a field stands, from its name to the end of its value; an element of a list, where it stands itself.

        `path` holds names, with an index behind each repeated field. `KeyError` where the text has no such field.

        >>> doc = parse("skip_layers: ['a', 'b']")
        >>> doc.span(("skip_layers", 1))
        Span(line=1, column=20, end_line=1, end_column=23)
        """
        field = self.tree.find(path)
        if field is None:
            raise KeyError(path)
        return self.tree.source.span(field[2], field[3])

    def mark(self, path: Path) -> Span:
        """What a message about a field points at: the literal of a scalar, the name of anything else."""
        return self.tree.source.span(*mark_offsets(self.tree.find_nearest(path)))


def parse(text: Union[str, bytes], name: str = "<string>", strict: bool = True) -> Document:
    """Read a configuration, keeping the place of everything in it.

    `strict=False` reads as the toolkit does: the last of several scalars wins, messages given twice are merged, a
    missing name or block is empty. Raises `ConfigError` with all errors.
    """
    tree = parse_text(text, name)
    config, diagnostics = bind(tree, strict)
    if config is None:
        raise ConfigError(diagnostics, tree.source.text)
    return Document(config, tree, tuple(diagnostics))


def loads(text: Union[str, bytes]) -> AMCTConfig:
    """The configuration in a text. Raises `ConfigError` with all errors.

    >>> loads("activation_offset: false").activation_offset
    False
    """
    return parse(text).config


def load(file: Readable) -> AMCTConfig:
    """The configuration in a file, given as a path or open. Raises `ConfigError` with all errors, or `OSError`."""
    return parse(*read(file)).config


def dump(config: AMCTConfig, file: Writable) -> None:
    """Write a configuration to an open text file, or to a path, where it replaces the file in one step."""
    write(dumps(config), file)
