# SPDX-License-Identifier: Apache-2.0
"""The toolkit's record file: the factors of each layer, in protobuf text format."""

from __future__ import annotations

from typing import Any, Iterable, Iterator

import numpy as np

from ..flavours.flavour import Flavour
from ..messages.kinds import STRING
from ..textformat.literals import round_float32
from .sites import POOL, PRODUCT, Site

# The proto on the pages of these has no act_type and wts_type; GE's is not published, and its INT16 has to stand somewhere.
UNTYPED = ("caffe", "caffe-8.5", "mindspore", "tf-ascend")


def record_of(sites: Iterable[Site], flavour: Flavour[Any]) -> str:
    """Write the text of the record file, with the keys that the flavour's records have.

    Layers with a balancer come first, as in the toolkit's.
    """
    ordered = sorted(sites, key=lambda site: site.balance is None)
    return "".join(line + "\n" for site in ordered for line in record_lines(site, flavour))


def record_lines(site: Site, flavour: Flavour[Any]) -> Iterator[str]:
    factors = site.factors
    yield "record {"
    yield "  key: {}".format(STRING.format(site.name))
    yield "  value {"
    for scale, _ in factors.activations:
        yield "    scale_d: " + shortest_decimal(scale)
    for _, offset in factors.activations:
        yield "    offset_d: {}".format(offset)
    if site.kind != PRODUCT:
        yield from ("    scale_w: " + shortest_decimal(scale) for scale in factors.scale_w)
        yield from ("    offset_w: {}".format(int(offset)) for offset in factors.offset_w)
    if site.balance is not None:
        yield from ("    tensor_balance_factor: " + shortest_decimal(factor) for factor in site.balance)
    if not site.effective.fuse and flavour.graphs != "torch":
        yield "    skip_fusion: true"
    if flavour.name not in UNTYPED:
        yield '    act_type: "INT{}"'.format(site.setting.bits)
        if site.kind not in (POOL, PRODUCT):
            yield '    wts_type: "INT{}"'.format(site.setting.weight_bits)
    yield "  }"
    yield "}"


def shortest_decimal(value: Any) -> str:
    """Write the shortest decimal of a float32."""
    return repr(round_float32(float(np.float32(value))))
