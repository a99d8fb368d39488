# SPDX-License-Identifier: Apache-2.0
"""`check`: every error and warning that a text has, alone or on a model; `expand`: the plan of one without errors."""

from __future__ import annotations

from typing import Any, Iterable, List, Optional, Tuple, Union

from ..diagnostics.diagnostic import ERROR, ConfigError, Diagnostic, position
from ..documents.document import Document, read_text
from ..documents.files import display_name
from ..documents.settings import Settings
from ..flavours.flavour import Flavour
from ..flavours.tf_ascend import TF_ASCEND
from ..layers.layer import Layer
from ..messages.message import Message
from ..resolve.merging import DOCUMENTED
from ..resolve.plan import Plan, plan_of
from .context import Context
from .errors import errors, type_errors
from .warnings import warnings

__all__ = ["check", "check_document", "expand"]


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
    layers = None if layers is None else tuple(layers)
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


def expand(
    config: Union[Message, Document[Any]],
    layers: Iterable[Layer],
    rules: str = DOCUMENTED,
    flavour: Optional[Flavour[Any]] = None,
) -> Plan:
    """The effective configuration of every supported layer of a model, skipped ones included.

    Raises `ConfigError` with all errors that the configuration has on these layers, `ValueError` for two layers
    of one name. `rules` and `flavour` as for `merge`.
    """
    return plan_in(Context(config, layers, rules, flavour))


def plan_in(context: Context) -> Plan:
    """The plan of what a context holds, checked."""
    found: List[Diagnostic] = list(errors(context))
    text = context.document.text if context.document else None
    if any(diagnostic.severity == ERROR for diagnostic in found):
        raise ConfigError([d for d in found if d.severity == ERROR], text)

    def make_warnings() -> Tuple[Diagnostic, ...]:
        read = context.document.diagnostics if context.document else ()
        everything = tuple(sorted((*read, *found, *warnings(context)), key=position))
        return everything if text is None else Settings(text, "").without_ignored(everything)

    source = context.document or context.config
    remake = plan_again, (source, context.layers, context.rules, context.flavour)
    return plan_of(context.merger, context.supported, make_warnings, remake)


def plan_again(config: Any, layers: Tuple[Layer, ...], rules: str, flavour: Flavour[Any]) -> Plan:
    """The plan that pickle makes again."""
    return plan_in(Context(config, layers, rules, flavour))
