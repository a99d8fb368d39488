# SPDX-License-Identifier: Apache-2.0
"""A model: the layers in its file, as a flavour sees them."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, List, NamedTuple, Optional

from ..diagnostics.diagnostic import ConfigError
from ..flavours.flavour import Flavour
from ..flavours.layer import Layers
from .failure import Failure

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

    try:
        examined = examine_file(path, flavour)
        return Model(path, examined, as_layers(examined, path, flavour))
    except ConfigError as error:  # a file that is not a model is unreadable, not a wrong configuration
        raise Failure("can't use {} as a model".format(path), str(error)) from None
    except OSError as error:
        raise Failure("can't read {}: {}".format(path, error.strerror or error)) from None
    except ImportError as error:  # the package that reads this kind of model
        raise Failure("can't read {}: {}".format(path, error)) from None


def read_named_model(path: str, flavour: Flavour) -> Model:
    """Read the model that a file's head names, which may come from anyone.

    A pipe or a device is refused, because reading it might never end; nothing of a file that is not a model is shown.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        mode = stat.S_IFREG  # reading it reports what is wrong
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
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
