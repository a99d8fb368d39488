# SPDX-License-Identifier: Apache-2.0
"""Override blocks in a text: a layer gets what it is to get, and every other byte stays.

What has to be written is asked of the resolver: an override replaces the lower blocks as a whole, so its block carries what
the layer had from them, and what it leaves out has to be the same under both sets of rules.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..documents.document import Document
from ..flavours.common import Configuration
from ..flavours.layer import Layer
from ..messages.message import Message
from ..messages.printing import INDENT, print_message
from ..resolve.effective import values_of
from ..resolve.resolver import DOCUMENTED, OF_LAYER, TOOLKIT, Resolver
from ..textformat.tree import Field, elements_of, split
from .edits import BLANK_CHARACTERS, Edit, apply_edits, remove_field

if TYPE_CHECKING:
    from ..resolve.resolver import Rules

NAME_FIELD, BLOCK_FIELD = "layer_name", "calibration_config"


class Override(NamedTuple):
    """A wish for a layer: what it is to get.

    block -- the whole effective block, every field of its algorithms set. comment -- of one line, above the entry; it
    replaces one there that `replaces` matches.
    """

    layer: Layer
    block: Any
    comment: str = ""
    replaces: str = r"\Z."


def override(document: Document[Configuration], overrides: Iterable[Override]) -> str:
    """Return the text in which layers have the blocks that they are to have.

    An entry of `override_layer_configs` that a layer has already is edited: literals are replaced, fields added, and of its
    algorithms those removed that are not wanted; its comments stay. Others are added at the end. A comment that `replaces`
    matches, on the line above an entry, is replaced.

    Args:
        document: The configuration, read strictly or leniently.
        overrides: What the layers are to get; each layer once.

    Returns:
        The text. Read as the document was, it gives these layers these blocks under both sets of rules, and all other
        layers what they had.

    Raises:
        ValueError: No block of its own can give the layer that.

    Source: the vendor's page "Parameter priority": an override replaces lower blocks as a whole.
    """
    places = {entry.layer_name: index for index, entry in enumerate(document.config.override_layer_configs)}
    text, edits, added = document.text, [], []
    for wanted in overrides:
        block = block_to_write(document, wanted)
        if wanted.layer.name in places:
            edits += entry_edits(document, places[wanted.layer.name], wanted, block)
        else:
            added.append(entry_lines(wanted, block))
    return append_blocks(apply_edits(text, edits), added)


# ---------------------------------------------------------------- what to write


def block_to_write(document: Document[Configuration], wanted: Override) -> Any:
    """Return the smallest block of the layer's own that gives it what it is to get, under both sets of rules."""
    members = {name: type(part)() for name, part in algorithms_of(wanted.block).items()}
    scalars = {name: value for name, value in values_of(wanted.block).items() if "." not in name}
    block = type(wanted.block)(**members, **scalars)
    for rules in (DOCUMENTED, TOOLKIT):
        found = values_of(resolve_own_block(document, wanted.layer, block, rules))
        missing: Dict[str, Dict[str, Any]] = {}
        for name, value in values_of(wanted.block).items():
            if "." in name and found.get(name) != value:
                member, _, leaf = name.partition(".")
                missing.setdefault(member, {})[leaf] = value
        changed = {member: dataclasses.replace(getattr(block, member), **leaves) for member, leaves in missing.items()}
        block = dataclasses.replace(block, **changed) if changed else block
    for rules in (DOCUMENTED, TOOLKIT):
        if resolve_own_block(document, wanted.layer, block, rules) != wanted.block:
            raise ValueError("no block of its own gives '{}' {!r}".format(wanted.layer.name, wanted.block))
    return without_empty_defaults(document, wanted, block)


def without_empty_defaults(document: Document[Configuration], wanted: Override, block: Any) -> Any:
    """Leave out the algorithms that a block has without naming them."""
    for name, part in algorithms_of(block).items():
        if not values_of_part(part):
            smaller = dataclasses.replace(block, **{name: None})
            if all(
                resolve_own_block(document, wanted.layer, smaller, rules) == wanted.block
                for rules in (DOCUMENTED, TOOLKIT)
            ):
                block = smaller
    return block


def resolve_own_block(document: Document[Configuration], layer: Layer, block: Any, rules: Rules) -> Any:
    """Return the effective block of a layer whose own block is this one."""
    config = document.config
    entry_class = type(config).__schema__.fields[OF_LAYER].kind
    changed = dataclasses.replace(config, **{OF_LAYER: (entry_class(**{NAME_FIELD: layer.name, BLOCK_FIELD: block}),)})
    return Resolver(changed, rules, document.flavour).merge(layer).calibration_config


def algorithms_of(block: Message) -> Dict[str, Message]:
    """Return the algorithms that a block has."""
    fields = block.__schema__.fields
    found = {name: getattr(block, name) for name, field in fields.items() if field.is_message}
    return {name: part for name, part in found.items() if part is not None}


def values_of_part(part: Message) -> Dict[str, Any]:
    values = {name: getattr(part, name) for name in part.__schema__.fields}
    return {name: value for name, value in values.items() if value is not None}


# ---------------------------------------------------------------- entries that are new


def entry_lines(wanted: Override, block: Any) -> List[str]:
    lines = ["# " + wanted.comment] if wanted.comment else []
    head: List[str] = []
    print_message(block, INDENT * 2, head)
    name = block_line(wanted.layer.name)
    return [*lines, OF_LAYER + " {", INDENT + name, INDENT + BLOCK_FIELD + " {", *head, INDENT + "}", "}"]


def block_line(name: str) -> str:
    from ..messages.kinds import STRING

    return "{}: {}".format(NAME_FIELD, STRING.format(name))


def append_blocks(text: str, blocks: Sequence[List[str]]) -> str:
    """Put blocks at the end of a text, each behind an empty line, with the text's own line ends."""
    if not blocks:
        return text
    first = text.find("\n")
    ending = "\r\n" if first > 0 and text[first - 1] == "\r" else "\n"
    final = text.endswith("\n") or not text
    body = (ending * 2).join(ending.join(block) for block in blocks)
    gap = "" if not text.strip() else ending if text.endswith((ending * 2, "\n\n")) else ending * 2
    if text.endswith("\n") and gap == ending * 2:
        gap = ending
    elif text.endswith("\n") and gap == ending:
        gap = ""
    return text + gap + body + (ending if final else "")


# ---------------------------------------------------------------- entries that are there


def entry_edits(document: Document[Configuration], index: int, wanted: Override, block: Any) -> List[Edit]:
    """Return the edits that give an entry another block, and its comment."""
    text, tree = document.text, document.tree
    path: Tuple[Any, ...] = (OF_LAYER, index)
    entry = tree.find(path)
    assert entry is not None
    edits = comment_edits(text, entry, wanted)
    inside = tree.find((*path, BLOCK_FIELD))
    if inside is None:
        return [*edits, insert(text, entry, [part_text(BLOCK_FIELD, block)])]
    own = document.config.override_layer_configs[index].calibration_config
    return edits + block_edits(text, inside, own, block, wanted.block)


def block_edits(text: str, field: Field, own: Any, block: Any, effective: Any) -> List[Edit]:
    """Return the edits that make an own block say what `block` says; what it says beyond that, and rightly, stays."""
    written: Dict[str, List[Field]] = {}
    for inner in split(field[1]):
        written.setdefault(inner[0], []).extend(elements_of(inner))
    edits: List[Edit] = []
    gone: List[Field] = []
    new: List[str] = []
    for name, spec in block.__schema__.fields.items():
        there, value, whole = written.get(name, []), getattr(block, name), getattr(effective, name)
        if whole is None:
            gone += there
        elif not spec.is_message:
            edits += scalar_edits(there, getattr(own, name), whole, spec)
            new += [] if there or value is None else [field_line(spec, value)]
        elif there:
            edits += part_edits(text, there, getattr(own, name), value, whole)
        elif value is not None:
            new.append(part_text(name, value))
    if gone and new:  # one algorithm for another: at its place
        edits.append(Edit(gone[-1][2], gone[-1][3], lay_out(text, gone[-1], new.pop(0))))
        gone.pop()
    edits += [remove_field(text, each[2], each[3]) for each in gone]
    return edits + ([insert(text, field, new)] if new else [])


def part_edits(text: str, there: Sequence[Field], own: Any, value: Any, whole: Any) -> List[Edit]:
    """Return the edits of an algorithm that is there: its literals, and the fields that it lacks."""
    written: Dict[str, List[Field]] = {}
    for field in there:
        for inner in split(field[1]):
            written.setdefault(inner[0], []).append(inner)
    edits: List[Edit] = []
    new = []
    for name, spec in whole.__schema__.fields.items():
        fields = written.get(name, [])
        edits += scalar_edits(fields, getattr(own, name), getattr(whole, name), spec)
        if not fields and value is not None and getattr(value, name) is not None:
            new.append(field_line(spec, getattr(value, name)))
    return edits + ([insert(text, there[-1], new)] if new else [])


def scalar_edits(fields: Sequence[Field], own: Any, wanted: Any, spec: Any) -> List[Edit]:
    """Return the edit of the literal that counts, where it says something else."""
    if not fields or own == wanted or wanted is None:
        return []
    _, raw, _, end = fields[-1]
    return [Edit(end - len(raw), end, spec.kind.format(wanted))]


def field_line(spec: Any, value: Any) -> str:
    return "{}: {}".format(spec.name, spec.kind.format(value))


def part_text(name: str, message: Message) -> str:
    """Write an algorithm as lines without indentation."""
    lines: List[str] = []
    print_message(message, INDENT, lines)
    return "\n".join([name + " {", *lines, "}"])


def comment_edits(text: str, entry: Field, wanted: Override) -> List[Edit]:
    """Return the edit of the comment above an entry."""
    if not wanted.comment:
        return []
    start = entry[2]
    line = text.rfind("\n", 0, start) + 1
    if text[line:start].strip(BLANK_CHARACTERS):  # something stands in front of it on its line
        return [Edit(start, start, "\n# {}\n".format(wanted.comment))]
    above = text.rfind("\n", 0, max(line - 1, 0)) + 1
    old = text[above : max(line - 1, 0)]
    indent = text[line:start]
    if line and re.match(r"[ \t]*# *(?:{})".format(wanted.replaces), old):
        begin = above + len(old) - len(old.lstrip(BLANK_CHARACTERS))
        return [Edit(begin, line - 1 - (old.endswith("\r")), "# " + wanted.comment)]
    ending = "\r\n" if text[: line - 1].endswith("\r") and line else "\n"
    return [Edit(line, line, "{}# {}{}".format(indent, wanted.comment, ending))]


# ---------------------------------------------------------------- where things go


def insert(text: str, message: Field, pieces: Sequence[str]) -> Edit:
    """Return the edit that adds fields at the end of a message, on lines of their own if its bracket has one."""
    close = message[3] - 1
    line = text.rfind("\n", 0, close) + 1
    if line > message[2] and not text[line:close].strip(BLANK_CHARACTERS):
        indent = text[line:close] + INDENT
        ending = "\r\n" if text[: line - 1].endswith("\r") else "\n"
        lines = [indent + row for piece in pieces for row in piece.split("\n")]
        return Edit(line, line, "".join(row + ending for row in lines))
    lead = "" if text[close - 1] in BLANK_CHARACTERS + "\n" else " "
    return Edit(close, close, lead + "".join(" ".join(row.strip() for row in p.split("\n")) + " " for p in pieces))


def lay_out(text: str, field: Field, piece: str) -> str:
    """Lay out a piece in the place of a field: on one line if that was, else indented as it was."""
    if "\n" not in text[field[2] : field[3]]:
        return " ".join(row.strip() for row in piece.split("\n"))
    line = text.rfind("\n", 0, field[2]) + 1
    indent = re.match(r"[ \t]*", text[line:]).group()  # type: ignore[union-attr]  # it may be empty
    ending = "\r\n" if "\r\n" in text[field[2] : field[3]] else "\n"
    return (ending + indent).join(piece.split("\n"))


def alter_block(block: Any, changes: Mapping[str, Any]) -> Any:
    """Return a block with other values, by dotted name; a member that they name replaces its rival.

    Args:
        block: A whole block.
        changes: Values by dotted name; None as the value of a member removes it.

    Returns:
        The block, not checked for what a layer can have.

    Raises:
        ValueError: A value is out of its range.
    """
    schema = block.__schema__
    values = {name: getattr(block, name) for name in schema.fields}
    leaves: Dict[str, Dict[str, Any]] = {}
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
        there: Optional[Message] = values[member]
        values[member] = spec.kind(**given) if there is None else dataclasses.replace(there, **given)
    return type(block)(**values)
