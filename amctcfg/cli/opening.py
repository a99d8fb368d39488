# SPDX-License-Identifier: Apache-2.0
"""The beginning and the end of a command: its workspace, rooms and scores, the file that it changes, and heads."""

from __future__ import annotations

import os
import re
from argparse import Namespace
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, Iterator, Sequence

from ..diagnostics.diagnostic import ERROR, Diagnostic
from ..diagnostics.words import CONTROL
from ..documents.settings import MARK, Settings
from ..workspace.failure import using
from ..workspace.file import ConfigFile
from ..workspace.workspace import Options, Workspace
from .console import Console, Failure

if TYPE_CHECKING:
    from ..tuning import Scores

PACKAGE = __package__.rpartition(".")[0]


def open_workspace(arguments: Namespace, console: Console) -> Workspace:
    given = dict(vars(arguments), ignore=list(chain.from_iterable(vars(arguments).get("ignore", ()))))
    options = Options(**{name: given[name] for name in Options._fields if given.get(name) is not None})
    return Workspace(options, console.note, console.show_reading, console.read, console.note_detail)


def show_errors(file: ConfigFile, arguments: Namespace, console: Console) -> list[Diagnostic]:
    """Write the errors of a file, under --strict-warnings its warnings, too."""
    found = [d for d in file.check() if d.severity == ERROR or arguments.strict_warnings]
    console.write_diagnostics(found, file.text)
    return found


@contextmanager
def importing(room: str, user: str = "this command") -> Iterator[None]:
    """End the command where a host has deleted the room that is imported."""
    try:
        yield
    except ImportError as error:
        missing = "{}.".format(error.name)
        if missing != PACKAGE + "." and not missing.startswith("{}.{}.".format(PACKAGE, room)):
            raise  # another package, which the room needs
        words = "this copy of amctcfg is without its folder '{}', which {} needs"
        raise Failure(words.format(room, user)) from None


def require_tuning() -> Any:
    with importing("tuning"):
        from .. import tuning
    return tuning


def read_scores(arguments: Namespace, console: Console, needs_direction: bool = False) -> Scores:
    """Read scores with the direction that options or the file give."""
    if arguments.low_is_sensitive and arguments.high_is_sensitive:
        raise Failure("--low-is-sensitive and --high-is-sensitive exclude each other")
    console.inputs.append(arguments.scores)
    with using(arguments.scores, "scores"):
        scores: Scores = require_tuning().load_scores(arguments.scores, arguments.column)
    if arguments.low_is_sensitive or arguments.high_is_sensitive:
        scores.low_is_sensitive = arguments.low_is_sensitive
    elif scores.low_is_sensitive is not None:
        console.note("{} holds {}: low is sensitive".format(arguments.scores, scores.kind))
    elif needs_direction:
        what = "{} does not show whether low or high scores are sensitive".format(arguments.scores)
        raise Failure(what + "; say --low-is-sensitive or --high-is-sensitive")
    return scores


def check_in_place(arguments: Namespace) -> None:
    """Refuse `-i` where it has no file to change, or another one to write."""
    if arguments.in_place and (arguments.output or arguments.config == "-"):
        raise Failure("-i changes the file itself; leave it out with -o and for standard input")


def write_changed(text: str, file: ConfigFile, arguments: Namespace, console: Console) -> None:
    if not arguments.in_place:
        console.write_output(rewrite_head_paths(text, file.name, arguments.output or file.name), arguments.output)
    elif text != file.document.text:
        console.rewrite(arguments.config, file.document.text, text)


def rewrite_head_paths(text: str, original: str, copy: str | None) -> str:
    """Rewrite the relative paths in a text's head, so that a copy of the file at another place finds the same files.

    `original` is its path, or a name such as `<stdin>`; where the place `copy` is None, the paths become absolute.
    """
    source = os.path.realpath(os.path.dirname(original))
    target = None if copy is None else os.path.realpath(os.path.dirname(copy))
    if source == target:
        return text
    for start, end in reversed(Settings(text, original).paths):
        path = text[start:end].strip('"')
        if path and not os.path.isabs(path):
            whole = os.path.join(source, path)
            path = os.path.normpath(whole) if target is None else make_relative(whole, target)
            text = text[:start] + quote_path(path) + text[end:]
    return text


def make_head_line(graph: str, flavour: str, output: str | None, ignore: Sequence[str] = ()) -> str:
    """Make the head of a new file at `output`, or in the current folder; without a model whose path no comment can hold."""
    path = make_relative(graph, os.path.realpath(os.path.dirname(output or ""))).replace(os.sep, "/")
    words = [] if re.search('"|' + CONTROL, path) else ["graph=" + quote_path(path)]
    words.append("flavour=" + flavour)
    words += ["ignore=" + ",".join(ignore)] if ignore else []
    return "# {} {}\n".format(MARK, " ".join(words))


def make_relative(path: str, folder: str) -> str:
    """Return the path as seen from a folder, or the whole path where they are on different drives."""
    real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    try:
        return os.path.relpath(real, folder)
    except ValueError:
        return real


def quote_path(path: str) -> str:
    return '"{}"'.format(path) if re.search(r"\s", path) else path
