# SPDX-License-Identifier: Apache-2.0
"""Scores of layers out of files: the toolkit's ranking and search history, JSON objects, CSV tables."""

from __future__ import annotations

import csv
import io
import math
import re
import sys
from typing import Any, Dict, Mapping

from ..diagnostics.diagnostic import ConfigError
from ..diagnostics.source import decode
from ..diagnostics.suggestions import did_you_mean, find_nearest
from ..diagnostics.words import join_words
from ..documents.files import PathLike, display_name, read
from ..documents.json_tree import parse_json_sequence

SIMILARITIES = ("cosinesimilarity", "cosine", "cossim")  # columns of comparison tools: low is sensitive
SCORE_PATTERN = r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|nan|inf(?:inity)?)\Z"
NAME_COLUMNS = ("name", "layer", "layername", "opname", "quantdump", "groundtruth", "nodename")


class Scores(Dict[str, float]):
    """Layer to score, in the order of the file.

    low_is_sensitive -- whether a low score means that quantizing the layer hurts; None where the file does not show it.
    kind -- what the file is, in words.
    """

    def __init__(self, values: Mapping[str, float], low_is_sensitive: bool | None = None, kind: str = "scores") -> None:
        super().__init__(values)
        self.low_is_sensitive: bool | None = low_is_sensitive
        self.kind: str = kind

    def __repr__(self) -> str:
        return "<Scores of {} layers, {}>".format(len(self), self.kind)


def load_scores(path: PathLike, column: str | None = None) -> Scores:
    """Read the scores in a file.

    Read are the toolkit's ranking (a list of pairs; low is sensitive), its search history (what the last step rolled back
    scores 0, the rest 1), a JSON object, and a CSV with a header: `name,score`, or a comparison tool's `result_*.csv`.

    Args:
        path: The file.
        column: The column of a CSV that holds the score, where several do.

    Returns:
        The scores by layer.

    Raises:
        ConfigError: The file is none of these.
        OSError: The file can't be read.

    Example:
        >>> load_scores("sensitivity.json").low_is_sensitive  # doctest: +SKIP
        True
    """
    text, _ = read(path)
    name = display_name(path)
    plain = decode(text, name).lstrip("\ufeff")
    if plain.lstrip()[:1] in ("[", "{"):
        values = list(parse_json_sequence(plain, name))
        if len(values) == 1 and isinstance(values[0], list):
            if not all(isinstance(pair, list) and len(pair) == 2 for pair in values[0]):
                raise make_error("a ranking is a list of pairs: [[layer, value], ...]", name)
            return Scores(check_pairs(values[0], name), True, "the toolkit's ranking")
        if all(isinstance(value, dict) and "roll_back_config" in value for value in values):
            return from_history(values, name)
        if len(values) == 1 and isinstance(values[0], dict):
            return Scores(check_pairs(values[0].items(), name), None, "a JSON object")
        raise make_error("this JSON is neither a ranking, a search history nor an object of scores", name)
    return from_csv(plain, name, column)


def make_error(message: str, name: str, hint: str | None = None) -> ConfigError:
    return ConfigError.single("wrong-type", message, name, hint)


def check_pairs(pairs: Any, name: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for layer, score in pairs:
        is_number = isinstance(score, (int, float)) and not isinstance(score, bool)
        is_huge = isinstance(score, int) and abs(score) > sys.float_info.max
        if not isinstance(layer, str) or not is_number or is_huge or math.isnan(score):
            raise make_error(
                "the score of {} is {}, not a number".format(write_brief_value(layer), write_brief_value(score)), name
            )
        if layer in found:
            raise make_error("the layer '{}' is there twice".format(layer), name)
        found[layer] = float(score)
    return found


def from_history(steps: list[dict[str, Any]], name: str) -> Scores:
    """Score 0 for layers that the last step rolled back, 1 for the rest."""
    values: dict[str, float] = {}
    for step in steps:
        config = step["roll_back_config"]
        if not isinstance(config, dict) or not all(isinstance(flag, bool) for flag in config.values()):
            raise make_error("roll_back_config is an object of layers, each true (quantized) or false", name)
        values.update(dict.fromkeys(config, 1.0))
    for step in steps[-1:]:
        values.update((layer, float(flag)) for layer, flag in step["roll_back_config"].items())
    return Scores(values, True, "the toolkit's search history")


def from_csv(text: str, name: str, column: str | None) -> Scores:
    if "\0" in text:
        raise make_error("a NUL character is not allowed in a table", name)
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    except csv.Error as error:
        raise make_error("this is not a table: {}".format(error), name) from None
    if not rows:
        raise make_error("the file is empty", name, "its first line is a header such as name,score")
    header = [cell.strip() for cell in rows[0]]
    keys = [re.sub(r"[^a-z]", "", cell.lower()) for cell in header]
    of_name = next((keys.index(key) for key in NAME_COLUMNS if key in keys), None)
    if of_name is None:
        raise make_error("no column holds the names of layers; there are {}".format(join_words(header, "and")), name)
    of_score = choose_column(header, keys, of_name, column, name)
    found: dict[str, float] = {}
    for number, row in enumerate(rows[1:], 2):
        if len(row) <= max(of_name, of_score):
            raise make_error("row {} has {} cells, the header has {}".format(number, len(row), len(header)), name)
        cell = row[of_score].strip()
        if cell.lower() in ("", "nan", "na", "n/a", "none", "unsupported", "-", "*"):
            continue  # comparison tools leave out what they could not compare
        score = parse_number(cell)
        if score is None:
            raise make_error("row {}: {!r} is not a number".format(number, cell), name)
        layer = row[of_name].strip()
        found[layer] = min(found.get(layer, score), score)  # a layer with several outputs: the most sensitive one
    return Scores(
        check_pairs(found.items(), name),
        keys[of_score] in SIMILARITIES or None,
        "the column {}".format(header[of_score]),
    )


def choose_column(header: list[str], keys: list[str], of_name: int, column: str | None, name: str) -> int:
    if column is not None:
        if column not in header:
            hint = did_you_mean(find_nearest(column, header)) or "there are {}".format(join_words(header, "and"))
            raise make_error("there is no column '{}'".format(column), name, hint)
        return header.index(column)
    known = [keys.index(key) for key in (*SIMILARITIES, "score") if key in keys]
    choices = known[:1] or [index for index in range(len(header)) if index != of_name]
    if len(choices) == 1:
        return choices[0]
    if not choices:
        raise make_error("no column holds a score", name, "its first line is a header such as name,score")
    hint = "choose a column: {}".format(join_words([header[i] for i in choices], "or"))
    raise make_error("several columns could hold the score", name, hint)


def parse_number(text: str) -> float | None:
    """Return a number as programs print it, also `nan` and `inf`; None for anything else that Python would take."""
    return float(text) if re.match(SCORE_PATTERN, text, re.IGNORECASE) else None


def write_brief_value(value: Any) -> str:
    text = "beyond every float" if isinstance(value, int) and abs(value) > sys.float_info.max else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def rank(scores: Mapping[str, float], low_is_sensitive: bool | None = None) -> list[str]:
    """Rank the layers, the most sensitive first; of equal ones the order of the file."""
    direction = getattr(scores, "low_is_sensitive", True) if low_is_sensitive is None else low_is_sensitive
    return sorted(scores, key=scores.__getitem__, reverse=direction is False)
