# SPDX-License-Identifier: Apache-2.0
"""The differences between two configurations: not how the texts differ, but what the layers get."""

from __future__ import annotations

import dataclasses
from typing import Any, Iterable, Iterator, Union

from ..checks.expanding import expand
from ..diagnostics.diagnostic import ConfigError, Diagnostic
from ..documents.document import Document
from ..flavours.common import Configuration
from ..flavours.flavour import Flavour
from ..flavours.layer import Layer, Layers
from ..messages.message import Message
from ..resolve.effective import EffectiveConfig, Origin
from ..resolve.plan import Plan
from ..resolve.resolver import DOCUMENTED, Rules

Side = Union[Message, Document[Configuration], Plan]


@dataclasses.dataclass(frozen=True)
class Change:
    """A field that has another value.

    Attributes:
        layer: The layer's name; None for a global key.
        field: The dotted name, as in `EffectiveConfig.origins`, or the key.
        before: The value on the first side; None where it does not have the field.
        after: The value on the second side; None where it does not have the field.
        before_origin: What set the value before.
        after_origin: What set the value after.
    """

    layer: str | None
    field: str
    before: Any
    after: Any
    before_origin: Origin
    after_origin: Origin


ABSENT_ORIGIN = Origin("default", None)


def diff(
    a: Side,
    b: Side,
    layers: Iterable[Layer] | None = None,
    rules: Rules = DOCUMENTED,
    flavour: Flavour | None = None,
) -> tuple[Change, ...]:
    """Compare two configurations by what the layers of a model get: global keys, then layers in their order.

    Args:
        a: The first side: a configuration, a document, or a plan.
        b: The second side.
        layers: The layers of the model; two plans need none.
        rules: "documented" or "toolkit", for what is not a plan.
        flavour: The dialect, where it is not that of the configurations.

    Returns:
        The changes; empty for a mere rewording.

    Raises:
        ConfigError: A side has errors on these layers; those of both are in it.
        TypeError: The layers are missing.

    Example:
        >>> from amctcfg import AMCTConfig
        >>> changes = diff(AMCTConfig(), AMCTConfig(skip_layers=["c"]), [Layer("c", "Conv2D"), Layer("d", "Conv2D")])
        >>> [(change.layer, change.field, change.after) for change in changes]
        [('c', 'quant_enable', False)]
    """
    if layers is None and not (isinstance(a, Plan) and isinstance(b, Plan)):
        raise TypeError("diff needs the layers of the model, but for two Plans")
    layers = Layers(layers or ())
    plans: list[Plan] = []
    errors: list[Diagnostic] = []
    for side in (a, b):
        try:
            plans.append(side if isinstance(side, Plan) else expand(side, layers, rules, flavour))
        except ConfigError as error:
            errors += error.diagnostics
    if errors:
        texts = {side.text for side in (a, b) if isinstance(side, Document)}
        raise ConfigError(errors, texts.pop() if len(texts) == 1 else None)
    return tuple(compare_plans(*plans))


def compare_plans(before: Plan, after: Plan) -> Iterator[Change]:
    """Compare the global keys, then the layers."""
    old, new = before.model_settings, after.model_settings
    if before.config is None or after.config is None:  # JSON has less than a configuration
        old, new = before.global_values, after.global_values
    for key in dict.fromkeys((*old, *new)):
        if old.get(key) != new.get(key):
            origins = origin_of_global(before, key, old.get(key)), origin_of_global(after, key, new.get(key))
            yield Change(None, key, old.get(key), new.get(key), *origins)
    for name in dict.fromkeys((*before, *after)):
        yield from compare_layer(name, before.get(name), after.get(name))


def origin_of_global(plan: Plan, key: str, value: Any) -> Origin:
    if plan.resolver is None:
        return Origin("quant_config", value)
    written = getattr(plan.config, key, None)
    if written is None or written == ():
        return Origin("default", value)
    path = (key,) if not isinstance(written, tuple) else (key, len(written) - 1)
    return plan.resolver.place(Origin(key, value, path))  # type: ignore[arg-type]  # it is its own tier


def compare_layer(name: str, one: EffectiveConfig | None, other: EffectiveConfig | None) -> Iterator[Change]:
    if one == other:
        return
    old, new = one.settings() if one else {}, other.settings() if other else {}
    for field in dict.fromkeys((*old, *new)):
        if old.get(field) != new.get(field):
            origins = [side.origins.get(field, ABSENT_ORIGIN) if side else ABSENT_ORIGIN for side in (one, other)]
            yield Change(name, field, old.get(field), new.get(field), *origins)
