# SPDX-License-Identifier: Apache-2.0
"""The processors that a model is quantized for, as far as their products differ; evidence: the vendor's pages."""

from __future__ import annotations

from typing import NamedTuple


class Soc(NamedTuple):
    """Processors whose names begin alike.

    products -- what the vendor sells with them. gains_by_products -- whether a product of two variables gains by being
    quantized; elsewhere its accuracy drops. lacks -- the flavours that don't support them, and why.
    """

    products: str
    gains_by_products: bool = False
    lacks: tuple[tuple[str, str], ...] = ()


NO_CAFFE = (("caffe", "AMCT for Caffe does not support it"),)

SOCS: dict[str, Soc] = {
    "Ascend310": Soc("Atlas 200, 300 and 500"),
    "Ascend310B": Soc("Atlas 200I/500 A2", gains_by_products=True),
    "Ascend310P": Soc("Atlas inference products"),
    "Ascend910A": Soc("Atlas training products"),
    "Ascend910ProA": Soc("Atlas training products"),
    "Ascend910B": Soc("Atlas A2", gains_by_products=True, lacks=NO_CAFFE),
    "Ascend910_93": Soc("Atlas A3", gains_by_products=True, lacks=NO_CAFFE),
    "Ascend950": Soc("Atlas 950", lacks=(*NO_CAFFE, ("ge", "ATC takes no compression_optimize_conf for it"))),
}


def find_soc(name: str) -> Soc | None:
    """Return what is known of a processor, by the longest beginning of its name; None for an unknown one."""
    known = [beginning for beginning in SOCS if name.startswith(beginning)]
    return SOCS[max(known, key=len)] if known else None
