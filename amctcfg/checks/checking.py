# SPDX-License-Identifier: Apache-2.0
"""`check`: every error and warning that a text has, alone or on a model."""

from __future__ import annotations

from typing import Iterable

from ..diagnostics.diagnostic import ConfigError, Diagnostic
from ..documents.document import read_text
from ..documents.files import display_name
from ..documents.settings import Settings
from ..flavours.flavour import Flavour
from ..flavours.layer import Layer
from ..resolve.resolver import DOCUMENTED, Rules
from .context import Context, check_layers
from .warnings import gather_diagnostics


def check(
    text: str | bytes,
    name: str = "<string>",
    layers: Iterable[Layer] | None = None,
    rules: Rules = DOCUMENTED,
    strict: bool = True,
    flavour: Flavour | None = None,
) -> tuple[Diagnostic, ...]:
    """Check a text: find every error and warning, in the order of their places; bad text raises nothing.

    An error in one place hides none elsewhere: what could be read is checked. Comments `# amctcfg: ignore=CODE` in the
    text leave warnings out.

    Args:
        text: The configuration.
        name: The name of its file, or a path, for diagnostics.
        layers: The layers of the model, to find what the configuration does on it.
        rules: "documented" or "toolkit", as for `merge`.
        strict: As for `parse`.
        flavour: The dialect; without it, the one that the text's head names, else TF-Ascend.

    Returns:
        The diagnostics.

    Raises:
        ValueError: Two of the layers have one name.
        TypeError: The layers are not `Layer` objects, or the name is not a name.

    Example:
        >>> [d.code for d in check("batch_nun: 2  do_fusion: maybe")]
        ['unknown-field', 'wrong-type']
    """
    layers = None if layers is None else check_layers(layers)
    try:
        document, reading = read_text(text, display_name(name), strict, flavour)
    except ConfigError as error:
        return error.diagnostics
    if reading.foreign:
        return document.diagnostics
    settings = Settings(document.text, document.name)
    context = Context(document, layers, rules, None, reading.broken, settings.values.get("soc"))
    return settings.without_ignored(gather_diagnostics(context))
