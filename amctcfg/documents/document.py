# SPDX-License-Identifier: Apache-2.0
"""Text to configuration and back: `parse`, `loads`, `load`, `dumps`, `dump`; a `Document` is a configuration with its text."""

from __future__ import annotations

import dataclasses

from .._typing import TYPE_CHECKING, Generic, overload
from ..flavours.flavour import require_flavour
from ..flavours.tf_ascend import TF_ASCEND
from ..messages.message import Message
from ..messages.reading import Reading
from ..textformat.parser import parse as parse_text
from ..textformat.tree import mark_offsets
from .files import display_name, read, write

if TYPE_CHECKING:
    from typing import Any, Callable

    from typing_extensions import TypeVar

    from ..diagnostics.diagnostic import Diagnostic, Path
    from ..diagnostics.source import Span
    from ..flavours.common import Configuration
    from ..flavours.flavour import Flavour
    from ..flavours.tf_ascend import AMCTConfig
    from ..messages.kinds import Wording
    from ..textformat.tree import Tree
    from .files import Readable, Writable

    C_co = TypeVar("C_co", bound=Configuration, covariant=True, default=AMCTConfig)
else:
    C_co = None


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Document(Generic[C_co]):
    """A configuration together with the text that it was read from; equal to another with the same text and name.

    Attributes:
        config: The configuration.
        tree: The syntax tree.
        flavour: The dialect that it was read as.
        diagnostics: The warnings of reading, with `strict=False`.
        strict: How it was read.
    """

    config: C_co
    tree: Tree
    flavour: Flavour[C_co]
    diagnostics: tuple[Diagnostic, ...] = ()
    strict: bool = True

    @property
    def text(self) -> str:
        """Return the text as it was read."""
        return self.tree.source.text

    @property
    def name(self) -> str:
        """Return the file's name, as diagnostics show it."""
        return self.tree.source.name

    def span(self, path: Path) -> Span:
        """Return the span of a field, from its name to the end of its value; of an element of a list, its own.

        Args:
            path: Names, with an index behind each repeated field.

        Returns:
            The span.

        Raises:
            KeyError: The text has no such field.

        Example:
            >>> parse("skip_layers: ['a', 'b']").span(("skip_layers", 1))
            Span(line=1, column=20, end_line=1, end_column=23)
        """
        field = self.tree.find(path)
        if field is None:
            raise KeyError(path)
        return self.tree.source.span(field[2], field[3])

    def mark(self, path: Path) -> Span:
        """Return what a diagnostic about a field points at: the literal of a scalar, the name of anything else.

        Args:
            path: Names, with an index behind each repeated field.

        Returns:
            The span; where the text has no such field, that of the nearest field above it.
        """
        return self.tree.source.span(*mark_offsets(self.tree.find_nearest(path)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Document):
            return NotImplemented
        mine, others = ((document.text, document.name, document.flavour, document.strict) for document in (self, other))
        return mine == others

    def __hash__(self) -> int:
        return hash((self.text, self.name))

    def __repr__(self) -> str:
        return "<Document {!r}, {}>".format(self.name, self.flavour.name)

    @property
    def _repr_html_(self) -> Callable[[], str]:
        """Return what a notebook shows; an `AttributeError`, for which it shows text, where a host deleted the room."""
        try:
            from ..pages.table import write_document
        except ImportError:
            raise AttributeError("the HTML view needs the folder pages, which was deleted from this copy") from None
        return lambda: write_document(self)


def read_text(
    text: str | bytes, name: str = "<string>", strict: bool = True, flavour: Flavour | None = None
) -> tuple[Document[Configuration], Reading]:
    """Read a text as `parse` does, also one with schema errors, whose configuration is partial; return what reading found, too."""
    tree = parse_tree(text, display_name(name))
    return read_tree(tree, strict, flavour or read_head_flavour(tree.source.text))


def parse_tree(text: str | bytes, name: str) -> Tree:
    """Parse a text. Raises `ConfigError`, which names other kinds of files."""
    try:
        return parse_text(text, name)
    except ValueError as error:
        from ..diagnostics.diagnostic import ConfigError
        from .foreign import recognize_options

        raise (recognize_options(error) if isinstance(error, ConfigError) else error) from None


def read_head_flavour(text: str) -> Flavour:
    """Return the flavour that the head of a text names; TF-Ascend where it names none."""
    if "flavour=" not in text:  # the common case
        return TF_ASCEND
    from ..flavours import FLAVOURS
    from .settings import Settings

    return FLAVOURS.get(Settings(text, "").values.get("flavour", ""), TF_ASCEND)


def read_tree(tree: Tree, strict: bool, flavour: Flavour) -> tuple[Document[Configuration], Reading]:
    """Return the document of a syntax tree, as `read_text` does."""
    require_flavour(flavour)

    def unknown(cls: type[Message], name: str) -> Wording:
        from .foreign import word_unknown_field

        return word_unknown_field(flavour, cls, name)  # type: ignore[arg-type]  # a class has a hash

    reading = Reading(tree, flavour.config, strict, unknown)
    if reading.broken:
        from .foreign import refine_errors

        refine_errors(tree, reading)
    return Document(reading.config, tree, flavour, tuple(reading.diagnostics), strict), reading


@overload
def parse(text: str | bytes, name: Any = ..., strict: bool = ..., flavour: None = ...) -> Document[AMCTConfig]: ...
@overload
def parse(text: str | bytes, name: Any = ..., strict: bool = ..., *, flavour: Flavour[C_co]) -> Document[C_co]: ...


def parse(
    text: str | bytes, name: Any = "<string>", strict: bool = True, flavour: Flavour | None = None
) -> Document[Configuration]:
    """Read a configuration, keeping the place of everything in it.

    Args:
        text: The configuration; bytes are UTF-8.
        name: The name of its file, or a path, for diagnostics.
        strict: False reads as the toolkit does: the last of several scalars wins, messages given twice are merged, a
            missing name or block is empty; each such leniency is a warning of the document.
        flavour: The dialect; without it, the one that the text's head names (`# amctcfg: flavour=pytorch`), else
            TF-Ascend, also where there is no flavour of that name, of which `check` warns.

    Returns:
        The configuration with its text.

    Raises:
        ConfigError: The text has errors; all of them are in it.
        TypeError: The name is not a name.

    Example:
        >>> parse("do_fusion: false").config.do_fusion
        False
    """
    document, reading = read_text(text, name, strict, flavour)
    if reading.broken:
        from ..diagnostics.diagnostic import ConfigError

        raise ConfigError(document.diagnostics, document.text)
    return document


@overload
def loads(text: str | bytes, flavour: None = ...) -> AMCTConfig: ...
@overload
def loads(text: str | bytes, flavour: Flavour[C_co]) -> C_co: ...


def loads(text: str | bytes, flavour: Flavour | None = None) -> Any:
    """Read the configuration in a text.

    Args:
        text: The configuration; bytes are UTF-8.
        flavour: The dialect; without it, the one that the text's head names, else TF-Ascend.

    Returns:
        The configuration, an instance of the flavour's root message.

    Raises:
        ConfigError: The text has errors; all of them are in it.

    Example:
        >>> loads("activation_offset: false").activation_offset
        False
    """
    return parse(text, flavour=flavour).config


@overload
def load(file: Readable, flavour: None = ...) -> AMCTConfig: ...
@overload
def load(file: Readable, flavour: Flavour[C_co]) -> C_co: ...


def load(file: Readable, flavour: Flavour | None = None) -> Any:
    """Read the configuration in a file.

    Args:
        file: A path, or an open text or binary file.
        flavour: The dialect; without it, the one that the text's head names, else TF-Ascend.

    Returns:
        The configuration, an instance of the flavour's root message.

    Raises:
        ConfigError: The text has errors; all of them are in it.
        OSError: The file can't be read.

    Example:
        >>> load("quant.cfg").batch_num  # doctest: +SKIP
        2
    """
    text, name = read(file)
    return parse(text, name, flavour=flavour).config


def dumps(config: Message) -> str:
    """Write a configuration as protobuf text format. Reading it again gives an equal configuration.

    Args:
        config: The configuration, of any flavour.

    Returns:
        The canonical text.

    Raises:
        TypeError: It is not a configuration.

    Example:
        >>> dumps(loads("do_fusion:true"))
        'do_fusion: true\\n'
    """
    if not isinstance(config, Message):
        raise TypeError("dumps takes an AMCTConfig, not {}".format(type(config).__name__))
    from ..messages.printing import list_lines  # a program that only reads does without

    return "\n".join([*list_lines(config), ""])


def dump(config: Message, file: Writable) -> None:
    """Write a configuration to a file.

    Args:
        config: The configuration, of any flavour.
        file: An open text file, or a path, where the file is replaced in one step.

    Raises:
        TypeError: It is not a configuration.
        OSError: The file can't be written.

    Example:
        >>> dump(loads("batch_num: 2"), "quant.cfg")  # doctest: +SKIP
    """
    write(dumps(config), file)
