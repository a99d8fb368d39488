# SPDX-License-Identifier: Apache-2.0
"""Files: read whole, replaced whole."""

from __future__ import annotations

import os
import stat

from .._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import IO, Any, Callable, Union

    PathLike = Union[str, "os.PathLike[str]"]
    Readable = Union[PathLike, IO[str], IO[bytes]]
    Writable = Union[PathLike, IO[str]]
    Fillable = Union[bytes, Callable[[IO[bytes]], None]]
else:
    PathLike = Readable = Writable = Fillable = object


def display_name(name: Any) -> str:
    """Return the name that diagnostics show. Raises `TypeError` for neither a string nor a path."""
    if isinstance(name, str):
        return name
    if hasattr(name, "__fspath__"):
        return os.fsdecode(name)
    raise TypeError("name has to be a string or a path, not {!r}".format(name))


def open_file(path: Any) -> IO[bytes]:
    """Open a file; `OSError` also for a path that no file can have, and for a device that has no end."""
    try:
        opened = open(path, "rb")  # noqa: SIM115 - for the caller to close
    except ValueError as error:  # a NUL, or half a character
        raise OSError(22, str(error), os.fspath(path)) from None
    if stat.S_ISCHR(os.fstat(opened.fileno()).st_mode) and not opened.isatty() and not is_same_file(path, os.devnull):
        opened.close()
        raise OSError(22, "it is a device", os.fspath(path))
    return opened


def is_same_file(path: Any, other: Any) -> bool:
    """Return whether two paths, or a path and the number of an open file, are the same file."""
    try:
        return os.path.samestat(os.stat(path), os.stat(other))
    except (OSError, ValueError):
        return False


def read(file: Readable) -> tuple[str | bytes, str]:
    """Read a path or an open file; return the contents and the name to show. Raises `OSError`."""
    stream: Any = file
    if not hasattr(stream, "read"):
        with open_file(stream) as opened:
            return opened.read(), display_name(stream)
    name = getattr(stream, "name", None)
    name = name if isinstance(name, str) else "<stream>"
    try:
        return stream.read(), name
    except UnicodeDecodeError as error:
        from ..diagnostics.diagnostic import ConfigError

        message = "byte 0x{:02X} is not {}".format(error.object[error.start], error.encoding)
        hint = "open the file in binary mode, or save it as UTF-8"
        raise ConfigError.single("encoding", message, name, hint) from None


def write(text: str, file: Writable, before: bytes | None = None) -> None:
    """Write to an open text file, or replace the file at a path in one step.

    A pipe, a device and the process's own output are written to. A file's owner, permissions, access list and extended
    attributes are kept as far as the system allows; a hard link keeps the old text. A file that no longer holds `before`,
    as it was read, is not replaced. Raises `OSError`.
    """
    stream: Any = file
    if hasattr(stream, "write"):
        stream.write(text)
        return
    write_bytes(text.encode("utf-8"), stream, before)


def write_bytes(data: Fillable, file: PathLike, before: bytes | None = None) -> None:
    """Do what `write` does to a path, with bytes or what a function writes into the open file."""
    try:
        path = os.path.realpath(file)
        own = next((number for number in (1, 2) if is_same_file(file, number)), None)
        if own is None and (os.path.isfile(path) or not os.path.exists(file)):
            replace(data, path, before)
        else:
            with open(os.open(file, os.O_WRONLY) if own is None else os.dup(own), "wb") as opened:
                fill(opened, data)
    except ValueError as error:  # a NUL in the path, or half a character
        raise OSError(22, str(error), os.fspath(file)) from None


def fill(opened: IO[bytes], data: Fillable) -> None:
    if callable(data):
        data(opened)
    else:
        opened.write(data)


def replace(data: Fillable, path: str, before: bytes | None) -> None:
    if os.path.exists(path) and not os.access(path, os.W_OK):
        raise PermissionError(13, "Permission denied", path)
    try:
        handle, temporary = create_beside(path)
        try:
            with open(handle, "wb") as opened:
                fill(opened, data)
                opened.flush()
                os.fsync(opened.fileno())
            copy_status(path, temporary)
            if before is not None:
                with open(path, "rb") as current:
                    if current.read() != before:
                        raise OSError(11, "somebody else has changed it in the meantime")
            os.replace(temporary, path)
        finally:
            if os.path.exists(temporary):  # also after an interrupt
                os.unlink(temporary)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None  # not the name of the temporary file


def create_beside(path: str) -> tuple[int, str]:
    """Create a file of another name beside a path, with the permissions of a new file where the path has none yet."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    mode = 0o600 if os.path.exists(path) else 0o666  # from which the system takes the umask
    while True:
        name = os.path.join(os.path.dirname(path), ".amctcfg-" + os.urandom(6).hex())
        try:
            return os.open(name, flags, mode), name
        except FileExistsError:  # by chance
            continue


def copy_status(path: str, temporary: str) -> None:
    """Give the new file the owner, permissions and attributes of the old one, if there is one."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return
    if hasattr(os, "chown"):
        from contextlib import suppress

        with suppress(PermissionError):  # only the administrator can give files away
            os.chown(temporary, status.st_uid, status.st_gid)
    mode = status.st_mode & 0o7777
    os.chmod(temporary, mode)
    if hasattr(os, "listxattr") and not copy_attributes(path, temporary):
        os.chmod(temporary, mode & ~0o070)  # what the group's bits allow stood in the access list


def copy_attributes(path: str, temporary: str) -> bool:
    """Copy the extended attributes, as far as the system allows; False where an access list was lost."""
    try:
        names = os.listxattr(path)
    except OSError:  # the file system has none
        return True
    kept = True
    for name in names:
        try:
            os.setxattr(temporary, name, os.getxattr(path, name))
        except OSError:
            kept = kept and name != "system.posix_acl_access"
    return kept
