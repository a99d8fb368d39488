# SPDX-License-Identifier: Apache-2.0
"""The failure that ends the work on a file before its contents are judged."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Collection, Iterator

from ..diagnostics.diagnostic import ConfigError
from ..diagnostics.suggestions import did_you_mean, find_nearest


class Failure(Exception):
    """Wrong usage, or a file that can't be used: exit status 2. `details` is text that is neutralised already."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.message: str = message
        self.details: str = details


@contextmanager
def using(path: str, what: str) -> Iterator[None]:
    """Raise `Failure` where a file beside the configuration can't be read as what it should be."""
    try:
        yield
    except ConfigError as error:
        raise Failure("can't use {} as {}".format(path, what), str(error)) from None
    except (OSError, ImportError) as error:  # ImportError: of the package that reads such a file
        raise Failure("can't read {}: {}".format(path, getattr(error, "strerror", None) or error)) from None


def require_known(name: str, known: Collection[str], what: str, otherwise: str, where: str = "") -> None:
    """Raise `Failure`, with the nearest known name or another hint, for an unknown one."""
    if name not in known:
        hint = did_you_mean(find_nearest(name, known)) or otherwise
        raise Failure("{}there is no {} '{}'; {}".format(where, what, name, hint))
