# SPDX-License-Identifier: Apache-2.0
"""The configurations in a folder, for the command check."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from typing import Iterator, List, Sequence

from .console import Console

ENDING = ".cfg"
ENVIRONMENT = "pyvenv.cfg"  # which the folder of a virtual environment holds
HEAD_BYTES = 4096  # bytes, to tell an INI file


def find_configurations(paths: Sequence[str], excluded: Sequence[str], console: Console) -> List[str]:
    """Return the paths, with the configurations in a folder for the folder itself.

    Hidden folders and virtual environments are not looked through; pipes, devices and INI files such as `setup.cfg` are
    left out.
    """
    found: List[str] = []
    for path in paths:
        if path == "-" or not os.path.isdir(path):
            found.append(path)
            continue
        inside = sorted(walk(path, excluded))
        if not inside:
            console.note("there are no configurations (*{}) in {}".format(ENDING, path))
        found += inside
    return found


def walk(folder: str, excluded: Sequence[str]) -> Iterator[str]:
    """Yield the configurations in a folder and the folders in it."""
    for root, folders, names in os.walk(folder):
        inner = [os.path.join(root, name) for name in folders if not name.startswith(".")]
        folders[:] = [
            os.path.basename(path)
            for path in inner
            if not os.path.exists(os.path.join(path, ENVIRONMENT)) and not matches_excluded(path, folder, excluded)
        ]
        for name in names:
            path = os.path.join(root, name)
            if name.endswith(ENDING) and not matches_excluded(path, folder, excluded) and may_be_read(path):
                yield os.path.normpath(path)


def matches_excluded(path: str, folder: str, excluded: Sequence[str]) -> bool:
    """Tell whether a pattern matches the name, the path in the folder, or the path as it is shown."""
    shown = [os.path.basename(path), os.path.relpath(path, folder), os.path.normpath(path)]
    shown = [name.replace(os.sep, "/") for name in shown]
    return any(fnmatchcase(name, pattern.rstrip("/")) for pattern in excluded for name in shown)


def may_be_read(path: str) -> bool:
    """Tell whether it is a file, but not an INI file; a pipe would be waited for, and a missing file is reported later."""
    return not os.path.exists(path) or (os.path.isfile(path) and not is_ini(path))


def is_ini(path: str) -> bool:
    """Tell whether a file begins with a section of an INI file, behind comments."""
    try:
        with open(path, "rb") as file:
            lines = file.read(HEAD_BYTES).splitlines()
    except OSError:
        return False
    first = next((line for line in map(bytes.strip, lines) if line and line[:1] not in b"#;"), b"")
    return first[:1] == b"[" and first[-1:] == b"]"
