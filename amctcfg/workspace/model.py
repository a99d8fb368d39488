# SPDX-License-Identifier: Apache-2.0
"""A model: the layers in its file, as a flavour sees them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, List, NamedTuple, Optional

from ..flavours.flavour import Flavour
from ..flavours.layer import Layers
from .failure import Failure, using

if TYPE_CHECKING:
    from ..models.graphs import Examined


class Model(NamedTuple):
    """The layers of a model, and what its file shows of each."""

    path: str
    examined: List[Examined]
    layers: Layers


def read_model(path: str, flavour: Flavour) -> Model:
    """Read the model that the user names. Raises `Failure` for one that can't be used, with its diagnostics."""
    from ..models.loading import as_layers, examine_file

    with using(path, "a model"):
        examined = examine_file(path, flavour)
        layers = as_layers(examined, path, flavour)
    return Model(path, examined, layers)


def read_named_model(path: str, flavour: Flavour) -> Model:
    """Read the model that a file's head names, which may come from anyone.

    A pipe or a device is refused, because reading it might never end; nothing of a file that is not a model is shown.
    """
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        raise Failure("can't read {}: it is not a regular file".format(path))
    try:
        return read_model(path, flavour)
    except Failure as failure:
        if failure.details:
            words = "{} (which the file's head names); `amctcfg layers {}` shows why"
            raise Failure(words.format(failure.message, path)) from None
        raise


def kind_of_model(path: Optional[str]) -> str:
    """Return the kind of a model's file: "onnx", "tensorflow", "table", or "" where there is none."""
    if path is None:
        return ""
    from ..models.loading import graph_kind

    return graph_kind(path)
