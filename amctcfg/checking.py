# SPDX-License-Identifier: Apache-2.0
"""`check`: every error and warning that a text has, alone or on the layers of a model."""

from __future__ import annotations

from typing import Iterable, Optional, Tuple, Union

from .diagnostics import ConfigError, Diagnostic, position
from .document import parse
from .lint import warnings
from .merging import DOCUMENTED
from .model import Model
from .target import TF_ASCEND, Layer, Target
from .validate import errors

__all__ = ["check"]


def check(
    text: Union[str, bytes],
    name: str = "<string>",
    layers: Optional[Iterable[Layer]] = None,
    rules: str = DOCUMENTED,
    strict: bool = True,
    target: Target = TF_ASCEND,
) -> Tuple[Diagnostic, ...]:
    """Every error and warning of a text, in the order of their places; never raises for bad text.

    With `layers`, also what the configuration does on that model. `name` is the file's; `rules` as for `merge`,
    `strict` as for `parse`. Raises `ValueError` for two layers of one name.

    >>> [d.code for d in check("batch_num: 2  do_fusion: maybe")]
    ['unknown-field', 'wrong-type']
    """
    try:
        document = parse(text, name, strict)
    except ConfigError as error:
        return error.diagnostics
    model = Model(document, layers, target, rules)
    found = document.diagnostics + (errors(model) if model.has_layers else ()) + warnings(model)
    return tuple(sorted(found, key=position))
