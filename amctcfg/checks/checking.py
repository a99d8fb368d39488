# SPDX-License-Identifier: Apache-2.0
"""`check`: every error and warning that a text has, alone or on a model; `expand`: the plan of one without errors."""

from __future__ import annotations

from typing import Any, Iterable, Optional, Tuple, Union

from ..diagnostics.diagnostic import ConfigError, Diagnostic, position
from ..documents.document import read_text
from ..documents.files import display_name
from ..documents.settings import Settings
from ..flavours.flavour import Flavour
from ..flavours.layer import Layer
from ..flavours.tf_ascend import TF_ASCEND
from ..resolve.resolver import DOCUMENTED
from .context import Context, checked_layers
from .errors import errors, type_errors
from .warnings import warnings


def check(
    text: Union[str, bytes],
    name: str = "<string>",
    layers: Optional[Iterable[Layer]] = None,
    rules: str = DOCUMENTED,
    strict: bool = True,
    flavour: Flavour[Any] = TF_ASCEND,
) -> Tuple[Diagnostic, ...]:
    """Every error and warning of a text, in the order of their places; never raises for bad text.

    With `layers`, also what the configuration does on that model. `name` is the file's; `rules` as for `merge`,
    `strict` as for `parse`. An error in one place hides none elsewhere: what could be read is checked. Comments
    `# amctcfg: ignore=CODE` in the text leave warnings out. Raises `ValueError` for two layers of one name.

    >>> [d.code for d in check("batch_nun: 2  do_fusion: maybe")]
    ['unknown-field', 'wrong-type']
    """
    layers = None if layers is None else checked_layers(layers)
    try:
        document, reading = read_text(text, display_name(name), strict, flavour)
    except ConfigError as error:
        return error.diagnostics
    if reading.foreign:
        return document.diagnostics
    context = Context(document, layers, rules, flavour, reading.broken)
    return Settings(document.text, document.name).without_ignored(check_document(context))


def check_document(context: Context) -> Tuple[Diagnostic, ...]:
    """The diagnostics of reading, of the configuration, and of its meeting with the model, if that is known."""
    read = context.document.diagnostics if context.document else ()
    found = errors(context) if context.has_layers else type_errors(context)
    return tuple(sorted(read + found + warnings(context), key=position))
