# SPDX-License-Identifier: Apache-2.0
"""Override blocks in a text: a layer gets what it is to get, and every other byte stays.

What has to be written is asked of the resolver: an override replaces the lower blocks as a whole (page "Parameter priority"),
so it carries what the layer had from them, and what it leaves out has to be the same under both sets of rules.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

from ..documents.document import Document
from ..flavours.common import Configuration
from ..flavours.layer import Layer
from ..messages.message import Message, construct
from ..messages.printing import INDENT, list_lines
from ..resolve.effective import values_of
from ..resolve.resolver import DOCUMENTED, OF_LAYER, TOOLKIT, Resolver
from ..textformat.tree import Field, elements_of, split
from ..tools.edits import BLANK_CHARACTERS, Edit, apply_edits, find_ending, insert_lines, remove_field

BLOCK_FIELD = "calibration_config"


class Override(NamedTuple):
    """A wish for a layer: what it is to get.

    block -- the whole effective block, every field of its algorithms set. comment -- of one line, above the entry; it
    replaces one there that `replaces` matches.
    """

    layer: Layer
    block: Message
    comment: str = ""
    replaces: str = r"\Z."


def override(document: Document[Configuration], overrides: Iterable[Override]) -> str:
    """Return the text in which layers have the blocks that they are to have, each layer named once.

    An entry that is there is edited, and its comments stay; others are added at the end. All other layers get what they had.
    Raises `ValueError` where no block of its own can give a layer that.
    """
    places = {entry.layer_name: index for index, entry in enumerate(document.config.override_layer_configs)}
    text, edits, added = document.text, [], []
    for wanted in overrides:
        block = find_block_to_write(document, wanted)
        if wanted.layer.name in places:
            edits += edit_override(document, places[wanted.layer.name], wanted, block)
        else:
            entry = print_field(type(document.config), OF_LAYER, (make_entry(document, wanted.layer, block),))
            added += ["", *(["# " + wanted.comment] if wanted.comment else []), *entry.split("\n")]
    text = apply_edits(text, edits)
    if not text.strip() or text.endswith(("\n\n", "\r\n\r\n")):
        added = added[1:]
    return insert_lines(text, len(text), added) if added else text


# ---------------------------------------------------------------- what to write


def find_block_to_write(document: Document[Configuration], wanted: Override) -> Message:
    """Return the smallest block of the layer's own that gives it what it is to get, under both sets of rules."""
    parts = {name: part for name, part in vars(wanted.block).items() if isinstance(part, Message)}
    block = dataclasses.replace(wanted.block, **{name: type(part)() for name, part in parts.items()})
    missing: dict[str, Any] = {}
    for outcome in resolve_own_block(document, wanted.layer, block):
        found = values_of(outcome)
        missing.update((name, value) for name, value in values_of(wanted.block).items() if found.get(name) != value)
    block = alter_block(block, missing)
    if not is_enough(document, wanted, block):
        raise ValueError("no block of its own gives '{}' {!r}".format(wanted.layer.name, wanted.block))
    for name, part in parts.items():
        if getattr(block, name) == type(part)():  # which a block may have without naming it
            smaller = dataclasses.replace(block, **{name: None})
            block = smaller if is_enough(document, wanted, smaller) else block
    return block


def is_enough(document: Document[Configuration], wanted: Override, block: Message) -> bool:
    return all(outcome == wanted.block for outcome in resolve_own_block(document, wanted.layer, block))


def resolve_own_block(document: Document[Configuration], layer: Layer, block: Message) -> list[Message]:
    config = dataclasses.replace(document.config, **{OF_LAYER: (make_entry(document, layer, block),)})
    return [
        Resolver(config, rules, document.flavour).merge(layer).calibration_config for rules in (DOCUMENTED, TOOLKIT)
    ]


def make_entry(document: Document[Configuration], layer: Layer, block: Message) -> Message:
    entry: Message = document.config.__schema__.fields[OF_LAYER].kind(layer.name, block)
    return entry


def print_field(kind: type[Message], name: str, value: Any) -> str:
    return "\n".join(list_lines(construct(kind, dict(kind.__schema__.blank, **{name: value}))))


# ---------------------------------------------------------------- entries that are there


def edit_override(document: Document[Configuration], index: int, wanted: Override, block: Message) -> list[Edit]:
    text, tree = document.text, document.tree
    entry = tree.find((OF_LAYER, index))
    assert entry is not None
    edits = edit_comment(text, entry, wanted)
    own_entry = document.config.override_layer_configs[index]
    inside = tree.find((OF_LAYER, index, BLOCK_FIELD))
    if inside is None:
        return [*edits, insert(text, entry, [print_field(type(own_entry), BLOCK_FIELD, block)])]
    return edits + edit_message(text, [inside], own_entry.calibration_config, block, wanted.block)


def edit_message(
    text: str, there: Sequence[Field], own: Message, wanted: Message | None, effective: Message
) -> list[Edit]:
    """Return the edits that make a message say what is wanted; what it says beyond that, and rightly, stays.

    `there` are its occurrences in the text, which together are read as `own`.
    """
    written: dict[str, list[Field]] = {}
    for inner in (inner for field in there for inner in split(field[1])):
        written.setdefault(inner[0], []).extend(elements_of(inner))
    edits: list[Edit] = []
    gone: list[Field] = []
    new: list[str] = []
    for name, spec in effective.__schema__.fields.items():
        fields, value, whole = written.get(name, []), getattr(wanted, name, None), getattr(effective, name)
        if whole is None:
            gone += fields
        elif not fields:
            new += [] if value is None else [print_field(type(effective), name, value)]
        elif spec.is_message:
            edits += edit_message(text, fields, getattr(own, name), value, whole)
        elif getattr(own, name) != whole:  # the last literal is the one that counts
            _, raw, _, end = fields[-1]
            edits.append(Edit(end - len(raw), end, spec.kind.format(whole)))
    if gone and new:  # one algorithm for another: at its place
        edits.append(Edit(gone[-1][2], gone[-1][3], lay_out(text, gone[-1], new.pop(0))))
        gone.pop()
    edits += [remove_field(text, each[2], each[3]) for each in gone]
    return edits + ([insert(text, there[-1], new)] if new else [])


def edit_comment(text: str, entry: Field, wanted: Override) -> list[Edit]:
    if not wanted.comment:
        return []
    start = entry[2]
    line = text.rfind("\n", 0, start) + 1
    indent = text[line:start]
    if indent.strip(BLANK_CHARACTERS):  # something stands in front of it on its line
        return [Edit(start, start, "\n# {}\n".format(wanted.comment))]
    above = text.rfind("\n", 0, max(line - 1, 0)) + 1
    old = text[above:line].rstrip("\r\n")
    if re.match(r"[ \t]*# *(?:{})".format(wanted.replaces), old):
        begin = above + len(old) - len(old.lstrip(BLANK_CHARACTERS))
        return [Edit(begin, above + len(old), "# " + wanted.comment)]
    return [Edit(line, line, "{}# {}{}".format(indent, wanted.comment, find_ending(text, line)))]


# ---------------------------------------------------------------- where things go


def insert(text: str, message: Field, pieces: Sequence[str]) -> Edit:
    """Return the edit that adds fields at the end of a message, on lines of their own if its bracket has one."""
    close = message[3] - 1
    line = text.rfind("\n", 0, close) + 1
    if line > message[2] and not text[line:close].strip(BLANK_CHARACTERS):
        indent = text[line:close] + INDENT
        rows = [indent + row + find_ending(text, line) for piece in pieces for row in piece.split("\n")]
        return Edit(line, line, "".join(rows))
    lead = "" if text[close - 1] in BLANK_CHARACTERS + "\n" else " "
    return Edit(close, close, lead + "".join(on_one_line(piece) + " " for piece in pieces))


def lay_out(text: str, field: Field, piece: str) -> str:
    """Lay out a piece in the place of a field: on one line if that was, else indented as it was."""
    if "\n" not in text[field[2] : field[3]]:
        return on_one_line(piece)
    line = text.rfind("\n", 0, field[2]) + 1
    indent = re.match(r"[ \t]*", text[line:]).group()  # type: ignore[union-attr]  # it may be empty
    ending = "\r\n" if "\r\n" in text[field[2] : field[3]] else "\n"
    return (ending + indent).join(piece.split("\n"))


def on_one_line(piece: str) -> str:
    return " ".join(row.strip() for row in piece.split("\n"))


def alter_block(block: Message, changes: Mapping[str, Any]) -> Message:
    """Return a block with other values, by dotted name; a member replaces its rival, None removes it. Raises `ValueError`."""
    schema = block.__schema__
    values = {name: getattr(block, name) for name in schema.fields}
    leaves: dict[str, dict[str, Any]] = {}
    for dotted, value in changes.items():
        member, _, leaf = dotted.partition(".")
        if leaf:
            leaves.setdefault(member, {})[leaf] = value
        else:
            values[member] = value
    for member, given in leaves.items():
        spec = schema.fields[member]
        for rival, other in schema.fields.items():
            if other.is_message and other.oneof == spec.oneof and other.oneof and rival != member:
                values[rival] = None
        there: Message | None = values[member]
        values[member] = spec.kind(**given) if there is None else dataclasses.replace(there, **given)
    return type(block)(**values)
