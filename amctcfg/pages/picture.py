# SPDX-License-Identifier: Apache-2.0
"""A small picture: the score of each layer over the depth of the model, the worst at the bottom."""

from __future__ import annotations

import math
from typing import List

from .table import HtmlTable, text

MARGIN = 8  # percent above and below
CROWDED = 400  # layers, above which the dots are smaller


def picture_html(writer: HtmlTable) -> str:
    """Return the figure; nothing where fewer than three layers have a score."""
    table, scale, texts = writer.table, writer.scale, writer.scores
    quantized: List[str] = []
    others: List[str] = []
    for at, row in enumerate(table.rows):
        if row.score is not None:
            height = MARGIN + (100 - 2 * MARGIN) * scale.harm(row.score)
            (quantized if row.is_quantized else others).append("M{:g} {:.3g}h0".format(at + 0.5, height))
    if len(quantized) + len(others) < 3:
        return ""
    finite = sorted(score for score in texts if math.isfinite(score)) or [0.0]
    best, worst = (finite[0], finite[-1]) if scale.sign < 0 else (finite[-1], finite[0])
    words = "{} from {} (bottom) to {} (top), first layer to last".format(
        table.score, texts.get(worst, worst), texts.get(best, best)
    )
    logarithm = "; on the scale -log10(1 - score)" if scale.is_logarithmic else ""
    marks = [("key", "quantized")] + ([("key off", "not quantized")] if others else [])
    key = " ".join("<span class=mark><b class='{}'></b>{}</span>".format(*mark) for mark in marks)
    return (
        "<figure{}><svg viewBox='0 0 {} 100' preserveAspectRatio=none role=img aria-label='{}'>"
        "<path class=pointer /><path class=dots d='{}'/><path class='dots off' d='{}'/></svg>"
        "<figcaption><span>{}{}</span>{}</figcaption></figure>"
    ).format(
        " class=many" if len(table.rows) > CROWDED else "",
        len(table.rows),
        text(words),
        "".join(quantized),
        "".join(others),
        text(words),
        logarithm,
        key,
    )
