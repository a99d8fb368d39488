# SPDX-License-Identifier: Apache-2.0
"""The command line: `run(argv, stdin, stdout, stderr)` gives the exit status."""

from __future__ import annotations

from .main import main, run

__all__ = ["main", "run"]
