# SPDX-License-Identifier: Apache-2.0
"""Files: read whole, replaced whole."""

from __future__ import annotations

import os
from typing import IO, Any, Tuple, Union

__all__ = ["Readable", "Writable", "read", "write"]

PathLike = Union[str, "os.PathLike[str]"]
Readable = Union[PathLike, IO[str], IO[bytes]]
Writable = Union[PathLike, IO[str]]


def read(file: Readable) -> Tuple[Union[str, bytes], str]:
    """The contents of a path or an open file, and the name to show. Raises `OSError`."""
    stream: Any = file
    if hasattr(stream, "read"):
        name = getattr(stream, "name", None)
        return stream.read(), name if isinstance(name, str) else "<stream>"
    with open(stream, "rb") as opened:
        return opened.read(), os.fspath(stream)


def write(text: str, file: Writable) -> None:
    """Write to an open text file, or replace the file at a path in one step: it never holds half of the text."""
    stream: Any = file
    if hasattr(stream, "write"):
        stream.write(text)
        return
    path = os.path.realpath(stream)
    if os.path.exists(path) and not os.path.isfile(path):  # a pipe or a device can't be replaced
        with open(path, "w", encoding="utf-8", newline="\n") as opened:
            opened.write(text)
        return
    replace(text, path)


def replace(text: str, path: str) -> None:
    import shutil  # slow to import, and only needed for writing
    import tempfile

    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=os.path.basename(path) + ".")
    try:
        with open(handle, "w", encoding="utf-8", newline="\n") as opened:
            opened.write(text)
        if os.path.exists(path):
            shutil.copymode(path, temporary)
        else:
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
