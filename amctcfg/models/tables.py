# SPDX-License-Identifier: Apache-2.0
"""Tables of layers, as JSON or CSV: read and written."""

from __future__ import annotations

import os
import re
from typing import Any, Dict, Iterable, Iterator, Mapping, Sequence, Tuple

from ..diagnostics.diagnostic import ConfigError
from ..diagnostics.source import Source, Span, decode
from ..diagnostics.words import dump_json, shorten
from ..documents.files import PathLike, display_name, write
from ..documents.json_tree import make_json_error, read_whole_value, skip_blanks
from ..flavours.layer import Layer

COLUMNS = ("name", "type", "supported", "lacks", "notes")  # the notes are for people; they are not read
SUPPORTED_WORDS = {"": True, "true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}

TableRow = Tuple[Dict[str, Any], Span]


def read_table(source: Source, ending: str) -> list[Layer]:
    """Read the layers in a table. Raises `ConfigError` for one that is wrong, or there twice."""
    layers: list[Layer] = []
    lines: dict[str, int] = {}
    for row, span in read_json_rows(source) if ending == ".json" else read_csv_rows(source):
        layer = read_layer(row, source, span)
        if layer.name in lines:
            message = "the layer '{}' is there twice, first at line {}".format(layer.name, lines[layer.name])
            raise make_row_error(source, span, message, "duplicate-entry")
        lines[layer.name] = span.line
        layers.append(layer)
    return layers


def read_layer(row: dict[str, Any], source: Source, span: Span) -> Layer:
    unknown = [key for key in row if key not in COLUMNS]
    if unknown:
        raise make_row_error(source, span, "a layer has no '{}'; it has {}".format(unknown[0], ", ".join(COLUMNS)))
    for key in ("name", "type"):
        if not isinstance(row.get(key), str) or not (row[key] or key == "name"):
            raise make_row_error(source, span, "a layer needs a '{}', a string that is not empty".format(key))
    supported, lacks = row.get("supported", True), row.get("lacks", ())
    if not isinstance(supported, bool):
        raise make_row_error(source, span, "'supported' is true or false, not {}".format(shorten(repr(supported))))
    if not isinstance(lacks, (list, tuple)) or not all(isinstance(word, str) for word in lacks):
        raise make_row_error(source, span, "'lacks' is a list of names, not {}".format(shorten(repr(lacks))))
    if not isinstance(row.get("notes", []), (list, str)):
        raise make_row_error(source, span, "'notes' is a list of sentences, not {}".format(shorten(repr(row["notes"]))))
    return Layer(row["name"], row["type"], supported, tuple(lacks))


def make_row_error(
    source: Source, span: Span, message: str, code: str = "wrong-type", hint: str | None = None
) -> ConfigError:
    return ConfigError.single(code, message, source.name, hint, span, source.text)


# ---------------------------------------------------------------- JSON


def read_json_rows(source: Source) -> Iterator[TableRow]:
    text = source.text
    start = skip_blanks(text, 0)
    if text[start : start + 1] != "[":
        raise make_json_error(source, start, 'a table of layers is a list: [{"name": ..., "type": ...}, ...]', "syntax")
    table = read_whole_value(source, start, "syntax")
    rest = skip_blanks(text, table.end)
    if rest < len(text):
        raise make_json_error(source, rest, "expected the end of the file", "syntax")
    for row in table.value:
        if not row.is_object:
            raise make_json_error(source, row.start, 'a layer is an object: {"name": ..., "type": ...}', "syntax")
        twice = next((key for key, value in row.value.items() if len(value.keys) > 1), None)
        if twice is not None:
            raise make_json_error(source, row.start, "a layer has two '{}'".format(twice), "syntax")
        yield row.to_plain(), source.span(row.start, row.end)


def layers_to_json(layers: Iterable[Layer], notes: Mapping[str, list[str]] | None = None) -> str:
    """Write a table as JSON, a layer a line; `notes` are words for people, by name."""
    rows = []
    for layer in layers:
        row: dict[str, Any] = {"name": layer.name, "type": layer.type, "supported": layer.supported}
        if layer.lacks:
            row["lacks"] = layer.lacks
        if notes and notes.get(layer.name):
            row["notes"] = notes[layer.name]
        rows.append(dump_json(row))
    return "[\n{}\n]\n".format(",\n".join(" " + row for row in rows)) if rows else "[]\n"


# ---------------------------------------------------------------- CSV


def read_csv_rows(source: Source) -> Iterator[TableRow]:
    import csv
    import io

    nul = source.text.find("\0")
    if nul >= 0:  # Python reads it from 3.11 on only
        raise make_row_error(source, source.span(nul, nul + 1), "a NUL character is not allowed in a table", "syntax")
    reader = csv.reader(io.StringIO(source.text, newline=""), strict=True)
    header: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            place, line = find_line_span(source, line), reader.line_num + 1
            if not cells:
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                if len(header) < 2 or tuple(header) != COLUMNS[: len(header)]:
                    message = "the first line has to be 'name,type', which ',supported,lacks,notes' may follow"
                    raise make_row_error(source, place, message, "syntax")
                continue
            if len(cells) != len(header):
                message = "this row has {} cells, the header has {}".format(len(cells), len(header))
                raise make_row_error(source, place, message, "syntax")
            row: dict[str, Any] = dict(zip(header, cells))
            if "supported" in row:
                row["supported"] = SUPPORTED_WORDS.get(row["supported"].strip().lower(), row["supported"])
            if "lacks" in row:
                row["lacks"] = row["lacks"].split()
            yield row, place
    except csv.Error as error:
        place = find_line_span(source, line)
        raise make_row_error(source, place, "this is not CSV: {}".format(error), "syntax") from None
    if header is None:
        raise make_row_error(source, source.span(0, 0), "the file is empty", "syntax", "its first line is 'name,type'")


def find_line_span(source: Source, number: int) -> Span:
    """Return the whole line, or the last one; without copying it, as thousands of rows can be on one for `Source`."""
    starts = source.find_line_starts()
    number = min(number, len(starts))
    end = starts[number] - 1 if number < len(starts) else len(source.text)
    end -= source.text[end - 1 : end] == "\r"
    return Span(number, 1, number, max(end - starts[number - 1], 0) + 1)


def layers_to_csv(layers: Iterable[Layer], notes: Mapping[str, list[str]] | None = None) -> str:
    """Write a table as CSV, with a header; `notes` are words for people, by name."""
    layers, words = tuple(layers), notes or {}
    width = 5 if words else 4 if any(layer.lacks for layer in layers) else 3
    rows: list[Sequence[str]] = [COLUMNS]
    for layer in layers:
        supported, lacks = str(layer.supported).lower(), " ".join(layer.lacks)
        rows.append((layer.name, layer.type, supported, lacks, "; ".join(words.get(layer.name, ()))))
    return rows_to_csv(row[:width] for row in rows)


def rows_to_csv(rows: Iterable[Sequence[Any]]) -> str:
    """Write rows as CSV, in quotes what has a comma, a quote, a line's end or `::`, which begins a command of GitHub.

    The module csv can't write NUL on each Python, and leaves carriage returns bare.
    """
    return "".join(",".join(map(write_csv_cell, row)) + "\n" for row in rows)


def write_csv_cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return '"{}"'.format(text.replace('"', '""')) if re.search('[,"\r\n]|::', text) else text


# ---------------------------------------------------------------- files


def dump_layers(layers: Iterable[Layer], path: PathLike) -> None:
    """Write layers as the table that `load_layers` reads: `load_layers(path) == tuple(layers)`.

    Args:
        layers: The layers, such as `layers_from_module` gives.
        path: The file, which is replaced in one step; `.json` or `.csv` by its ending.

    Raises:
        ValueError: The ending is another one, or the table could not give the layers back: a name twice, a name with a
            NUL in `.csv`, half a character.
        OSError: The file can't be written.

    Example:
        `amctcfg.dump_layers(amctcfg.layers_from_module(net), "layers.csv")`
    """
    name = display_name(path)
    ending = os.path.splitext(name)[1].lower()
    if ending not in (".json", ".csv"):
        raise ValueError("a table of layers ends in .json or .csv, unlike {!r}".format(name))
    layers = tuple(layers)
    text = layers_to_json(layers) if ending == ".json" else layers_to_csv(layers)
    if tuple(read_table(Source(decode(text, name), name), ending)) != layers:
        raise ValueError("a {} table can't hold these layers; a .json table can".format(ending))
    write(text, path)
