# SPDX-License-Identifier: Apache-2.0
"""The failure that ends the work on a file before its contents are judged."""

from __future__ import annotations

from typing import Collection

from ..diagnostics.suggestions import did_you_mean, nearest


class Failure(Exception):
    """Wrong usage, or a file that can't be used: exit status 2. `details` is text that is neutralised already."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.message: str = message
        self.details: str = details


def require_known(name: str, known: Collection[str], what: str, otherwise: str, where: str = "") -> None:
    """Raise `Failure`, with the nearest of the known names or another hint, for a name that is not one of them."""
    if name not in known:
        hint = did_you_mean(nearest(name, known)) or otherwise
        raise Failure("{}there is no {} '{}'; {}".format(where, what, name, hint))
