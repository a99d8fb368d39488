# SPDX-License-Identifier: Apache-2.0
"""Files: read whole, replaced whole."""

from __future__ import annotations

import os

from .._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import IO, Any, Tuple, Union

    PathLike = Union[str, "os.PathLike[str]"]
    Readable = Union[PathLike, IO[str], IO[bytes]]
    Writable = Union[PathLike, IO[str]]
else:
    PathLike = Readable = Writable = object


def display_name(name: Any) -> str:
    """The name that diagnostics show: a string, or a path. Raises `TypeError` for anything else."""
    if isinstance(name, str):
        return name
    if hasattr(name, "__fspath__"):
        return os.fsdecode(name)
    raise TypeError("name has to be a string or a path, not {!r}".format(name))


def open_file(path: Any, mode: str) -> Any:
    """`open`, with `OSError` also for a path that no file can have."""
    try:
        return open(path, mode) if "b" in mode else open(path, mode, encoding="utf-8", newline="")
    except ValueError as error:  # a NUL, or half a character
        raise OSError(22, str(error), os.fspath(path)) from None


def read(file: Readable) -> Tuple[Union[str, bytes], str]:
    """The contents of a path or an open file, and the name to show. Raises `OSError`."""
    stream: Any = file
    if not hasattr(stream, "read"):
        with open_file(stream, "rb") as opened:
            return opened.read(), display_name(stream)
    name = getattr(stream, "name", None)
    name = name if isinstance(name, str) else "<stream>"
    try:
        return stream.read(), name
    except UnicodeDecodeError as error:
        from ..diagnostics.diagnostic import ERROR, ConfigError, Diagnostic

        message = "byte 0x{:02X} is not {}".format(error.object[error.start], error.encoding)
        hint = "open the file in binary mode, or save it as UTF-8"
        raise ConfigError([Diagnostic(ERROR, "encoding", message, hint=hint, name=name)]) from None


def write(text: str, file: Writable) -> None:
    """Write to an open text file, or replace the file at a path in one step: it never holds half of the text.

    A pipe or a device is written to. The file's permissions are kept, and its owner where that is possible. The new text
    is on the disk (`fsync`) before it replaces the old one.
    """
    stream: Any = file
    if hasattr(stream, "write"):
        stream.write(text)
        return
    try:
        path = os.path.realpath(stream)
        replaceable = os.path.isfile(path) or not os.path.exists(stream)
    except ValueError as error:  # a NUL in the path
        raise OSError(22, str(error), os.fspath(stream)) from None
    if replaceable and not str(os.fspath(stream)).startswith(("/dev/", "/proc/")):
        replace(text.encode("utf-8"), path)
        return
    descriptor = os.open(stream, os.O_WRONLY | getattr(os, "O_APPEND", 0))
    with open(descriptor, "wb") as opened:
        opened.write(text.encode("utf-8"))


def replace(data: bytes, path: str) -> None:
    import tempfile  # slow to import, and only needed for writing

    folder = os.path.dirname(path)
    try:
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".amctcfg-")
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None  # not the name of the temporary file
    try:
        with open(handle, "wb") as opened:
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        copy_status(path, temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
    finally:
        if os.path.exists(temporary):  # also after an interrupt
            os.unlink(temporary)


def copy_status(path: str, temporary: str) -> None:
    """Give the new file the owner and the permissions of the old one, or those of any new file."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        return
    if hasattr(os, "chown"):
        from contextlib import suppress

        with suppress(PermissionError):  # only the administrator can give files away
            os.chown(temporary, status.st_uid, status.st_gid)
    os.chmod(temporary, status.st_mode & 0o7777)
