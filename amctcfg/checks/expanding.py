# SPDX-License-Identifier: Apache-2.0
"""expand: the plan of a configuration on layers, with all errors where there are any."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Iterable

from ..diagnostics.diagnostic import ERROR, ConfigError, Diagnostic
from ..documents.document import Document
from ..documents.settings import Settings
from ..flavours.common import Configuration
from ..flavours.flavour import Flavour
from ..flavours.layer import Layer
from ..messages.message import Message
from ..resolve.json_writing import gather_global_values
from ..resolve.plan import Plan
from ..resolve.resolver import DOCUMENTED, Rules
from .context import Context
from .errors import find_errors
from .warnings import gather_diagnostics


def expand(
    config: Message | Document[Configuration],
    layers: Iterable[Layer],
    rules: Rules = DOCUMENTED,
    flavour: Flavour | None = None,
) -> Plan:
    """Expand a configuration: resolve every supported layer of a model, skipped ones included.

    Args:
        config: The configuration, or the document of one.
        layers: The layers of the model.
        rules: "documented", as the vendor's page says, or "toolkit", as the toolkit does.
        flavour: The dialect, where it is not that of the configuration.

    Returns:
        The plan: the effective configuration of each supported layer, by name.

    Raises:
        ConfigError: The configuration has errors on these layers; all of them are in it.
        ValueError: Two of the layers have one name.

    Example:
        >>> from amctcfg import AMCTConfig
        >>> plan = expand(AMCTConfig(skip_layers=["a"]), [Layer("a", "Conv2D"), Layer("b", "Conv2D")])
        >>> [(name, effective.quant_enable) for name, effective in plan.items()]
        [('a', False), ('b', True)]
    """
    return expand_context(Context(config, layers, rules, flavour))


def expand_context(context: Context, settings: Settings | None = None) -> Plan:
    """Resolve the layers of a context; without `settings`, the text is asked for them. Raises `ConfigError` with all errors."""
    document = context.document
    errors = [diagnostic for diagnostic in find_errors(context) if diagnostic.severity == ERROR]
    if errors:
        raise ConfigError(errors, document.text if document else None)

    @lru_cache(maxsize=None)
    def make_warnings() -> tuple[Diagnostic, ...]:
        everything = gather_diagnostics(context)
        if document is None:
            return everything
        return (settings or Settings(document.text, document.name)).without_ignored(everything)

    def remake(_: Plan) -> tuple[Any, ...]:
        given = document or context.config
        return unpickle_plan, (given, context.layers, context.resolver.rules, context.flavour, context.soc)

    effective = map(context.resolver.merge, context.supported)
    layout = context.flavour.layout
    global_keys = gather_global_values(context.resolver, layout) if layout else {}
    name = document.name if document else ""
    return Plan(effective, context.config, context.flavour, global_keys, remake, make_warnings, context.resolver, name)


def unpickle_plan(
    config: Message | Document[Configuration],
    layers: tuple[Layer, ...],
    rules: Rules,
    flavour: Flavour,
    soc: str | None,
) -> Plan:
    return expand_context(Context(config, layers, rules, flavour, soc=soc))
