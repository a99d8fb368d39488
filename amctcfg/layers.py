# SPDX-License-Identifier: Apache-2.0
"""Layers from files: a frozen graph, or a table as JSON or CSV; and tables written."""

from __future__ import annotations

import os
from typing import Any, Iterable, Iterator, List, Tuple, Union

from .target import Layer

__all__ = ["LayersError", "layers_to_csv", "layers_to_json", "load_layers"]

COLUMNS = ("name", "type", "supported")
