# SPDX-License-Identifier: Apache-2.0
"""The workspace that the options of a command ask for."""

from __future__ import annotations

from argparse import Namespace

from ..workspace.workspace import Options, Workspace
from .console import Console


def open_workspace(arguments: Namespace, console: Console) -> Workspace:
    """Return a workspace with those of its options that a command has."""
    given = vars(arguments)
    options = Options(**{name: given[name] for name in Options._fields if given.get(name) is not None})
    return Workspace(options, console.note, console.progress, console.read, console.detail)
