# SPDX-License-Identifier: Apache-2.0
"""Selections: expressions that choose layers of a model, and the blocks of `skip_layers` that carry theirs in a comment.

    # amctcfg: where=type=MatMul,two-variable
    skip_layers: "a"
    skip_layers: "b"  # the accuracy drops

A block is the entries on whole lines directly below the comment; a blank line, another comment or field ends it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from typing import Iterator, List, Mapping, NamedTuple, Sequence, Tuple

from ..diagnostics.words import CONTROL, shorten
from ..flavours.flavour import Flavour
from ..flavours.layer import Layer, Layers, Traits
from ..textformat.literals import read_name
from ..textformat.tree import Field, Tree, elements_of, split

Terms = List[Tuple[str, str]]  # of which a layer has to fulfil all: each with its value

SKIP_LAYERS = "skip_layers"

WHERE = re.compile(r"^[ \t]*#+[ \t]*amctcfg:[ \t]*where=([^\n]*)(?:\n|\Z)", re.MULTILINE)
REST = re.compile(r"[ \t]*[,;]?[ \t]*(#[^\n]*?)?[ \t\r]*(?:\n|\Z)")
TERM = re.compile(r'[ \t]*([A-Za-z%-]+)(="(?:[^"\\]|\\.)*"|=[^",\s]*|[0-9]*)[ \t]*(?:,|\Z)')

TERMS = "type=T, scope=PREFIX, first=N, last=N, two-variable, runtime-weight, channels%16, depthwise"
TERM_VALUES = {  # what follows the name of a term
    "type": "=.+", "scope": "=.+", "first": "=[0-9]+", "last": "=[0-9]+", "channels%": "0*[1-9][0-9]*",
    "two-variable": "", "runtime-weight": "", "depthwise": "",
}  # fmt: skip
TERMS_OF_MODELS = ("runtime-weight", "channels%", "depthwise")  # about which a table of layers says nothing


def parse_expression(text: str) -> Terms:
    """Parse the terms of a selection, which commas join. Raises `ValueError` for an unknown term or a wrong value."""
    terms: Terms = []
    position, text = 0, text.strip()
    while position < len(text) or not terms:
        match = TERM.match(text, position)
        if match is None:
            raise make_term_error(shorten(text[position:]))
        name, value = match.groups()
        if value.startswith('="'):
            value = "=" + re.sub(r"\\(.)", r"\1", value[2:-1])
        if re.search(r"(?!\t)" + CONTROL, name + value):
            words = "the term '{}' holds a control character, which the comment of a selection can't"
            raise ValueError(words.format(name + value))
        if name not in TERM_VALUES or not re.fullmatch(TERM_VALUES[name], value, re.DOTALL):
            if name in ("first", "last") and value.startswith("="):
                raise ValueError("'{}' takes a number of layers, not '{}'".format(name, value[1:]))
            raise make_term_error(name + value)
        terms.append((name, value[1:] if value.startswith("=") else value))
        position = match.end()
    if text.endswith(","):
        raise ValueError("a term is missing behind the last comma; the terms are {}".format(TERMS))
    return terms


def make_term_error(written: str) -> ValueError:
    return ValueError("'{}' is not a term of a selection; the terms are {}".format(written, TERMS))


def write_expression(terms: Terms) -> str:
    return ",".join(write_term(name, value) for name, value in terms)


def write_term(name: str, value: str) -> str:
    """Write a term; a value with blanks, commas or quotes in double quotes."""
    if name == "channels%":
        return name + value
    if not value:
        return name
    if re.search(r'[\s,"\\]', value):
        value = '"{}"'.format(re.sub(r'(["\\])', r"\\\1", value))
    return "{}={}".format(name, value)


# ---------------------------------------------------------------- which layers


def select(terms: Terms, layers: Sequence[Layer], flavour: Flavour) -> list[str]:
    """Select the layers that can be quantized and fulfil all terms, in the model's order.

    `first` and `last` count among those that fulfil the others. Raises `ValueError` for a term about which a table of
    layers says nothing.
    """
    found, traits = [layer for layer in layers if flavour.quantizes(layer)], Layers(layers).traits
    separator = "." if flavour.graphs == "torch" else "/"
    for name, value in terms:
        if traits is None and name in TERMS_OF_MODELS:
            raise ValueError("a table of layers does not tell '{}'; it takes the model".format(name))
        if name not in ("first", "last"):
            found = [layer for layer in found if fulfils(layer, traits, name, value, separator)]
    names = [layer.name for layer in found]
    low = max([0, *(len(names) - int(value[:18]) for name, value in terms if name == "last")])
    high = min([len(names), *(int(value[:18]) for name, value in terms if name == "first")])
    return names[low:high]


def fulfils(layer: Layer, traits: Mapping[str, Traits] | None, name: str, value: str, separator: str) -> bool:
    """Return whether a layer fulfils a term, by what the model shows of it, if that is known."""
    if name == "type":
        return layer.type == value
    if name == "scope":
        return (layer.name.lstrip(separator) + separator).startswith(value.strip(separator) + separator)
    of_layer = Traits("asymmetric" in layer.lacks) if traits is None else traits.get(layer.name, Traits())
    if name == "channels%":
        return any(count % int(value[:18]) for count in of_layer.channels)
    if name == "runtime-weight":
        return of_layer.runtime_weight is not None
    return of_layer.two_variable if name == "two-variable" else of_layer.is_depthwise


# ---------------------------------------------------------------- blocks in a text


class Line(NamedTuple):
    """A line of entries: offsets of the line with its ending, the names, and the comment behind them."""

    start: int
    end: int
    names: tuple[str | None, ...]
    comment: str


class Block(NamedTuple):
    """A selection in a text: the expression as it is written, offsets of the comment's line, the lines below it."""

    expression: str
    start: int
    end: int
    lines: tuple[Line, ...]

    @property
    def names(self) -> list[str | None]:
        return [name for line in self.lines for name in line.names]

    @property
    def stop(self) -> int:
        """The offset behind the last line."""
        return self.lines[-1].end if self.lines else self.end


def find_blocks(tree: Tree) -> list[Block]:
    text = tree.source.text
    if "where=" not in text:
        return []
    fields = list(split(tree.fields))
    starts = [field[2] for field in fields]
    found = []
    for match in WHERE.finditer(text):
        index = bisect_right(starts, match.start())
        if index == 0 or fields[index - 1][3] <= match.start():  # else it is inside a field
            lines = tuple(find_lines_at(text, fields, index, match.end()))
            found.append(Block(match[1].strip(), match.start(), match.end(), lines))
    return found


def find_lines_at(text: str, fields: Sequence[Field], index: int, start: int) -> Iterator[Line]:
    """Give the lines from an offset that hold nothing but an entry of `skip_layers` each."""
    for field in fields[index:]:
        rest = REST.match(text, field[3])
        if (
            field[0] != SKIP_LAYERS
            or text[start : field[2]].strip(" \t")
            or rest is None
            or "\n" in text[field[2] : field[3]]
        ):
            return
        yield Line(start, rest.end(), tuple(read_name(element) for element in elements_of(field)), rest[1] or "")
        start = rest.end()


def ends_block(text: str, offset: int) -> bool:
    """Return whether the lines above the beginning of a line are a block's."""
    while offset:
        start = text.rfind("\n", 0, offset - 1) + 1
        line = text[start:offset]
        if WHERE.match(line):
            return True
        if not line.lstrip(" \t").startswith(SKIP_LAYERS):
            return False
        offset = start
    return False


class Judged(NamedTuple):
    """A block with the names that its expression chooses now; `problem` says why these can't be known."""

    block: Block
    wanted: tuple[str, ...]
    problem: str | None

    @property
    def is_stale(self) -> bool:
        return self.problem is None and set(self.block.names) != set(self.wanted)


def judge_blocks(tree: Tree, layers: Sequence[Layer], flavour: Flavour) -> list[Judged]:
    """Compare the blocks of a text with a model.

    A name outside of all blocks, or chosen by a block above, is not wanted again: an entry can't be there twice.
    """
    blocks = find_blocks(tree)
    if not blocks:
        return []
    inside = Counter(name for block in blocks for name in block.names)
    taken = set(Counter(map(read_name, tree.find_all((SKIP_LAYERS,)))) - inside)
    found = []
    for block in blocks:
        try:
            chosen = select(parse_expression(block.expression), layers, flavour)
        except ValueError as error:
            taken.update(block.names)
            found.append(Judged(block, (), str(error)))
            continue
        wanted = tuple(name for name in chosen if name not in taken)
        taken.update(wanted)
        found.append(Judged(block, wanted, None))
    return found
