# SPDX-License-Identifier: Apache-2.0
"""The beginning and the end of a command: its workspace, the rooms and scores that it needs, the file that it changes."""

from __future__ import annotations

from argparse import Namespace
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Iterator

from ..diagnostics.diagnostic import ERROR, Diagnostic
from ..documents.settings import rewrite_head_paths
from ..workspace.failure import using
from ..workspace.file import ConfigFile
from ..workspace.workspace import Options, Workspace
from .console import Console, Failure

if TYPE_CHECKING:
    from ..tuning import Scores

PACKAGE = __package__.rpartition(".")[0]


def open_workspace(arguments: Namespace, console: Console) -> Workspace:
    """Return a workspace with those of its options that a command has."""
    given = vars(arguments)
    options = Options(**{name: given[name] for name in Options._fields if given.get(name) is not None})
    return Workspace(options, console.note, console.show_reading, console.read, console.detail)


def show_errors(file: ConfigFile, arguments: Namespace, console: Console) -> list[Diagnostic]:
    """Write the errors of a file, under --strict-warnings its warnings, too."""
    found = [d for d in file.check() if d.severity == ERROR or arguments.strict_warnings]
    console.diagnostics(found, file.text)
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


def read_scores(arguments: Namespace, console: Console) -> Scores:
    """Read the scores, with the direction that options or the file give."""
    tuning = require_tuning()
    if arguments.low_is_sensitive and arguments.high_is_sensitive:
        raise Failure("--low-is-sensitive and --high-is-sensitive exclude each other")
    console.inputs.append(arguments.scores)
    with using(arguments.scores, "scores"):
        scores: Scores = tuning.load_scores(arguments.scores, arguments.column)
    if arguments.low_is_sensitive or arguments.high_is_sensitive:
        scores = tuning.Scores(scores, arguments.low_is_sensitive, scores.kind)
    elif scores.low_is_sensitive is not None:
        console.note("{} holds {}: low is sensitive".format(arguments.scores, scores.kind))
    return scores


def require_direction(scores: Scores, arguments: Namespace) -> Scores:
    if scores.low_is_sensitive is None:
        what = "{} does not show whether low or high scores are sensitive".format(arguments.scores)
        raise Failure(what + "; say --low-is-sensitive or --high-is-sensitive")
    return scores


def check_in_place(arguments: Namespace) -> None:
    """Refuse `-i` where it has no file to change, or another one to write."""
    if arguments.in_place and (arguments.output or arguments.config == "-"):
        raise Failure("-i changes the file itself; leave it out with -o and for standard input")


def write_changed(text: str, file: ConfigFile, arguments: Namespace, console: Console) -> None:
    """Write what a command has made of a file: in its place, to another one, or to standard output."""
    if not arguments.in_place:
        console.output(rewrite_head_paths(text, file.name, arguments.output or file.name), arguments.output)
    elif text != file.document.text:
        console.rewrite(arguments.config, file.document.text, text)
