# SPDX-License-Identifier: Apache-2.0
"""The toolkit's record file: the factors of each layer, in protobuf text format."""

from __future__ import annotations

from typing import Any, Iterable, Iterator, Tuple

import numpy as np

from ..messages.kinds import STRING
from ..textformat.literals import round_float32
from .editing import Factors
from .sites import POOL, PRODUCT, Site


def record_of(layers: Iterable[Tuple[Site, Factors]], skip_fusion: bool) -> str:
    """Write the text of the record file; layers with a balancer come first, as in the toolkit's.

    skip_fusion -- whether the flavour's records say of a layer that BN is not fused into it.
    """
    found = list(layers)
    found.sort(key=lambda pair: pair[1].balance is None)
    return "".join(line + "\n" for site, factors in found for line in record_lines(site, factors, skip_fusion))


def record_lines(site: Site, factors: Factors, skip_fusion: bool) -> Iterator[str]:
    yield "record {"
    yield "  key: {}".format(STRING.format(site.name))
    yield "  value {"
    pairs = factors.activations
    yield from ("    scale_d: {}".format(shortest_decimal(scale)) for scale, _ in pairs)
    yield from ("    offset_d: {}".format(offset) for _, offset in pairs)
    if site.kind != PRODUCT:
        yield from ("    scale_w: {}".format(shortest_decimal(scale)) for scale in factors.scale_w)
        yield from ("    offset_w: {}".format(int(offset)) for offset in factors.offset_w)
    balance: Any = () if factors.balance is None else factors.balance
    yield from ("    tensor_balance_factor: {}".format(shortest_decimal(factor)) for factor in balance)
    if skip_fusion and not site.effective.fuse:
        yield "    skip_fusion: true"
    yield '    act_type: "INT{}"'.format(site.setting.bits)
    if site.kind not in (POOL, PRODUCT):
        yield '    wts_type: "INT{}"'.format(site.setting.weight_bits)
    yield "  }"
    yield "}"


def shortest_decimal(value: Any) -> str:
    """Write the shortest decimal of a float32."""
    return repr(round_float32(float(np.float32(value))))
