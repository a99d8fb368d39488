# SPDX-License-Identifier: Apache-2.0
"""Edits of a text: spans replaced and every other byte as it was; `skip` and `unskip` change `skip_layers`."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Iterable, Mapping, NamedTuple, Sequence

from ..diagnostics.source import Source
from ..diagnostics.words import as_comment
from ..documents.document import parse_tree
from ..documents.selections import SKIP_LAYERS, Block, ends_block, find_blocks
from ..flavours.flavour import Flavour
from ..messages.kinds import STRING
from ..textformat.lexis import BLANK, BLANK_IN_LINE, COMMENT
from ..textformat.literals import read_name
from ..textformat.tree import Field, Tree, elements_of, split

BLANK_CHARACTERS = " \t\r\v\f"
SEPARATOR = re.compile(r"(?:{}|{}(?:\n|\Z))*([,;])".format(BLANK, COMMENT))
ENTRY = re.compile("[{}]*{}".format(BLANK_CHARACTERS, SKIP_LAYERS))
REST_OF_LINE = re.compile("{}*(?:{})?".format(BLANK_IN_LINE, COMMENT))


class Edit(NamedTuple):
    """A stretch of the text, as offsets, and its replacement."""

    start: int
    end: int
    text: str = ""


def join_edits(edits: Iterable[Edit]) -> list[Edit]:
    """Join removals that overlap or follow each other; of other edits that overlap keep the first."""
    joined: list[Edit] = []
    for edit in sorted(edits, key=lambda edit: (edit.start, -edit.end)):
        last = joined[-1] if joined else None
        if last and not edit.text and (edit.start < last.end or (edit.start == last.end and not last.text)):
            joined[-1] = last._replace(end=max(last.end, edit.end))
        elif not last or edit.start >= last.end:
            joined.append(edit)
    return joined


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """Make all edits; where the end of a text without a final newline goes, so does the newline in front of it.

    Raises `ValueError` for edits that overlap or leave the text.
    """
    pieces, done = [], 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        if not done <= edit.start <= edit.end <= len(text):
            raise ValueError("{} begins before {}, or ends outside the text".format(edit, done))
        pieces += [text[done : edit.start], edit.text]
        done = edit.end
    result = "".join([*pieces, text[done:]])
    if done == len(text) and result.endswith("\n") and not text.endswith("\n"):
        result = result[: -len(find_ending(result, len(result)))]
    return result


def keep_apart(text: str, edits: Iterable[Edit]) -> list[Edit]:
    """Let an empty line stay between the block of a selection and entries that are none of its own."""
    return [
        edit._replace(end=edit.end - len(find_ending(text, edit.end))) if holds_apart(text, edit) else edit
        for edit in edits
    ]


def find_ending(text: str, end: int) -> str:
    return "\r\n" if text[end - 2 : end] == "\r\n" else "\n"


def holds_apart(text: str, edit: Edit) -> bool:
    """Return whether lines that go as a whole end the block of a selection, and entries follow them."""
    return (
        not edit.text
        and text[edit.start - 1 : edit.start] == "\n" == text[edit.end - 1 : edit.end]
        and ENTRY.match(text, edit.end) is not None
        and not all(ENTRY.match(line) for line in text[edit.start : edit.end].splitlines())  # else they are its own
        and ends_block(text, edit.start)
    )


def remove_field(text: str, start: int, end: int) -> Edit:
    """Remove a field with its separator; a line that this empties goes with its comment."""
    end = skip_separator(text, end)
    line = start
    while text[line - 1 : line] and text[line - 1] in BLANK_CHARACTERS:
        line -= 1
    stop = REST_OF_LINE.match(text, end).end()  # type: ignore[union-attr]  # it may be empty
    if text[line - 1 : line] in ("", "\n") and text[stop : stop + 1] in ("", "\n"):
        return Edit(line, stop + 1 if stop < len(text) else stop)
    if text[end : end + 1] in (" ", "\t") and text[start - 1 : start] in (" ", "\t", "\n", ""):
        end += 1
    return Edit(start, end)


def skip_separator(text: str, end: int) -> int:
    separator = SEPARATOR.match(text, end)
    return separator.end() if separator else end


def skip(
    text: str | bytes,
    names: Iterable[str],
    comments: Mapping[str, str] | None = None,
    flavour: Flavour | None = None,
) -> str:
    """Add names to `skip_layers`; those that are there already change nothing.

    New lines come behind the last entry, or at the end of the text, and end as the line before. Errors of the schema don't
    matter.

    Args:
        text: The configuration.
        names: The layers to skip.
        comments: Words that go behind a name, as a comment.
        flavour: The dialect, which makes no difference here.

    Returns:
        The text with the new lines; every other byte is as it was.

    Raises:
        ConfigError: The text is not text format.
        TypeError: `names` is a single string.

    Example:
        >>> print(skip('skip_layers: "a"\\n', ["b"], {"b": "cosine 0.91"}), end="")
        skip_layers: "a"
        skip_layers: "b"  # cosine 0.91
    """
    tree = parse_tree(text, "<string>")
    whole = tree.source.text
    there = find_skipped_names(tree)
    added = [STRING.validate(SKIP_LAYERS, name) for name in dict.fromkeys(as_names(names)) if name not in there]
    if not added:
        return whole
    offset, lines = end_of_entries(tree), [skip_line(name, (comments or {}).get(name)) for name in added]
    if any(block.stop == offset for block in find_blocks(tree)):
        lines = ["", *lines]  # a block of a selection goes on as long as entries follow
    return insert_lines(whole, offset, lines)


def find_skipped_names(tree: Tree) -> set[str | None]:
    return set(map(read_name, tree.find_all((SKIP_LAYERS,))))


def skip_where(text: str, expression: str, names: Sequence[str], comments: Mapping[str, str] | None = None) -> str:
    """Add a block of `skip_layers`, or replace that of the same expression; names that are elsewhere are left out."""
    tree = parse_tree(text, "<string>")
    blocks = [block for block in find_blocks(tree) if block.expression == expression]
    there = find_skipped_names(tree) - {name for block in blocks[:1] for name in block.names}
    added = [name for name in names if name not in there]
    if blocks:
        return apply_edits(text, [rewrite_block(text, blocks[0], added, comments)])
    if not added:
        return text
    lines = ["# amctcfg: where={}".format(expression), *(skip_line(n, (comments or {}).get(n)) for n in added)]
    return insert_lines(text, end_of_entries(tree), ["", *lines] if text.strip() else lines)


def rewrite_block(text: str, block: Block, names: Sequence[str], comments: Mapping[str, str] | None = None) -> Edit:
    """Rewrite the lines of a block; a new one takes the comment that all have."""
    kept = {line.names[0]: text[line.start : line.end].rstrip("\r\n") for line in block.lines if len(line.names) == 1}
    common = {line.comment for line in block.lines}
    shared = common.pop().lstrip("# ") if len(common) == 1 else None
    ending = find_ending(text, block.end)
    lines = [kept.get(name) or skip_line(name, (comments or {}).get(name, shared)) for name in names]
    opening = "" if text[block.end - 1 : block.end] == "\n" else ending
    return Edit(block.end, block.stop, (opening if lines else "") + "".join(line + ending for line in lines))


def as_names(names: Iterable[str]) -> tuple[str, ...]:
    if isinstance(names, (str, bytes)):
        raise TypeError("names takes several names, not {!r}".format(names))
    return tuple(names)


def skip_line(name: str, comment: str | None) -> str:
    line = "{}: {}".format(SKIP_LAYERS, STRING.format(name))
    return line + ("  # {}".format(as_comment(comment)) if comment else "")


def insert_lines(text: str, offset: int, lines: Sequence[str]) -> str:
    """Insert whole lines; they end as the line before them does."""
    newline = text.rfind("\n", 0, offset)
    ending = find_ending(text, (text.find("\n") if newline < 0 else newline) + 1)
    before = text[:offset]
    if not before or before.endswith("\n"):
        return before + "".join(line + ending for line in lines) + text[offset:]
    return before + "".join(ending + line for line in lines)  # a text without a final newline gets none


def end_of_entries(tree: Tree) -> int:
    """Return the offset behind the line of the last entry, or of a field that goes on there; the end where there is none."""
    text, end = tree.source.text, 0
    for name, _, start, behind in split(tree.fields):
        if name == SKIP_LAYERS or start < end < skip_separator(text, behind):
            end = find_line_end(text, skip_separator(text, behind))
    return min(end + 1, len(text)) if end else len(text)


def find_line_end(text: str, offset: int) -> int:
    end = text.find("\n", offset)
    return len(text) if end < 0 else end


def unskip(text: str | bytes, names: Iterable[str], flavour: Flavour | None = None) -> str:
    """Remove names from `skip_layers`, wherever they stand; a line that this empties goes with its comment.

    Args:
        text: The configuration.
        names: The layers not to skip any more.
        flavour: The dialect, which makes no difference here.

    Returns:
        The text without these entries; every other byte is as it was.

    Raises:
        ConfigError: The text is not text format.
        TypeError: `names` is a single string.

    Example:
        >>> unskip('skip_layers: ["a", "b"]', ["a"])
        'skip_layers: ["b"]'
    """
    tree = parse_tree(text, "<string>")
    whole, gone = tree.source.text, set(as_names(names))
    edits: list[Edit] = []
    for field in split(tree.fields):
        if field[0] == SKIP_LAYERS:
            indices = {index for index, element in enumerate(elements_of(field)) if read_name(element) in gone}
            edits += remove_elements(whole, field, indices)
    return apply_edits(whole, keep_apart(whole, join_edits(take_lines(tree.source, edits))))


def remove_elements(text: str, field: Field, gone: set[int]) -> list[Edit]:
    """Remove elements of a field, from a list each with one of its commas; the whole field where nothing is left."""
    elements = elements_of(field)
    kept = [index for index in range(len(elements)) if index not in gone]
    if gone and not kept:
        return [remove_field(text, field[2], field[3])]
    edits = []
    for index in sorted(gone):
        element = elements[index]
        if index < kept[-1]:  # with the comma behind it
            edits.append(remove_forward(text, element, elements[index + 1]))
        else:
            edits.append(Edit(elements[index - 1][3], element[3], keep_comments(text, elements[index - 1], element)))
    return edits


def remove_forward(text: str, element: Field, following: Field) -> Edit:
    edit = remove_field(text, element[2], element[3])
    between = text[skip_separator(text, element[3]) : following[2]]
    if "\n" in text[edit.start : edit.end] or between.strip():
        return edit
    return Edit(element[2], following[2])


def keep_comments(text: str, left: Field, right: Field) -> str:
    """Return what stays where the second of two elements goes."""
    comma = skip_separator(text, left[3]) - 1
    kept = text[left[3] : comma] + text[comma + 1 : right[2]]
    return kept if "#" in kept else ""


def take_lines(source: Source, edits: list[Edit]) -> list[Edit]:
    """Let edits that leave only blanks of a line between them take the line as well."""
    text, starts = source.text, source.find_line_starts()
    by_line: dict[int, list[Edit]] = {}
    result = []
    for edit in edits:
        if edit.text or "\n" in text[edit.start : edit.end]:
            result.append(edit)
        else:
            by_line.setdefault(starts[bisect_right(starts, edit.start) - 1], []).append(edit)
    for line, group in by_line.items():
        end = find_line_end(text, line)
        left = apply_edits(text[line:end], join_edits(Edit(e.start - line, e.end - line) for e in group))
        is_bare = not left.split("#", 1)[0].strip(BLANK_CHARACTERS + ",;")
        result += [Edit(line, min(end + 1, len(text)))] if is_bare else group
    return result
