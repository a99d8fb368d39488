# SPDX-License-Identifier: Apache-2.0
"""What changes for whom between two configurations: not how the texts differ, but what the layers get."""

from __future__ import annotations

import dataclasses
from typing import Any, Iterable, Iterator, Optional, Tuple, Union

from .document import Document
from .expansion import Plan, expand
from .merging import DOCUMENTED, Merger, Origin
from .schema import DEFAULTS, AMCTConfig
from .target import TF_ASCEND, Layer, Target

__all__ = ["Change", "diff"]

GLOBALS = ("activation_offset", "do_fusion", "skip_fusion_layers")


@dataclasses.dataclass(frozen=True)
class Change:
    """A field that has another value.

    `layer` is the layer's name, None for a global key; `field` the dotted name, as in `EffectiveConfig.origins`, or
    the key; `before` and `after` the values, each with its origin.
    """

    layer: Optional[str]
    field: str
    before: Any
    after: Any
    before_origin: Origin
    after_origin: Origin


def diff(
    a: Union[AMCTConfig, Document],
    b: Union[AMCTConfig, Document],
    layers: Iterable[Layer],
    target: Target = TF_ASCEND,
    rules: str = DOCUMENTED,
) -> Tuple[Change, ...]:
    """What `b` changes against `a` on a model: global keys, then layers in their order; empty for a mere rewording.

    Raises `ConfigError` where one of the two has errors on these layers.

    >>> changes = diff(AMCTConfig(), AMCTConfig(skip_layers=["c"]), [Layer("c", "Conv2D"), Layer("d", "Conv2D")])
    >>> [(change.layer, change.field, change.after) for change in changes]
    [('c', 'quant_enable', False)]
    """
    layers = tuple(layers)
    before, after = (expand(config, layers, target, rules) for config in (a, b))
    found = list(global_changes(Merger(a, target, rules), Merger(b, target, rules)))
    return tuple(found + list(layer_changes(before, after)))


def global_changes(before: Merger, after: Merger) -> Iterator[Change]:
    for key in GLOBALS:
        old, new = (global_origin(merger, key) for merger in (before, after))
        if old.value != new.value:
            yield Change(None, key, old.value, new.value, old, new)


def global_origin(merger: Merger, key: str) -> Origin:
    value = getattr(merger.config, key)
    if value is None or value == ():
        return Origin("default", DEFAULTS.get(key, ()))
    path = (key,) if key in DEFAULTS else (key, len(value) - 1)
    return merger.origin(key, value, path)


def layer_changes(before: Plan, after: Plan) -> Iterator[Change]:
    for name in before:
        if before[name] == after[name]:
            continue
        origins = after[name].origins
        for field, old in before[name].origins.items():
            new = origins[field]
            if old.value != new.value:
                yield Change(name, field, old.value, new.value, old, new)
