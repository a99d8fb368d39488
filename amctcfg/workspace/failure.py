# SPDX-License-Identifier: Apache-2.0
"""The failure that ends the work on a file before its contents are judged."""

from __future__ import annotations


class Failure(Exception):
    """Wrong usage, or a file that can't be used: exit status 2. `details` is text that is neutralised already."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.message: str = message
        self.details: str = details
