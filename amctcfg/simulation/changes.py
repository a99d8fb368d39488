# SPDX-License-Identifier: Apache-2.0
"""The changes that tuning makes: what a layer gets instead, and how it is written into the configuration."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ..documents.document import Document
from ..messages.kinds import STRING
from ..resolve.effective import EffectiveConfig, values_of
from ..tools.edits import skip
from .alternatives import SKIP
from .overriding import Override, override
from .sites import Site

WORTH_COMMENT = "tune: output {:.1f} dB, {:.1f} without"
OLD_COMMENT = r"tune: output -?[0-9.]+ dB, -?[0-9.]+ without\s*\Z"


class Cure(NamedTuple):
    """A change of a layer.

    setting -- as text format. kind -- the dearest in it: "settings", "balancer", "int16" or "skip". without -- the dB of the
    model's output if this layer alone had what the file gave it.
    """

    layer: str
    setting: str
    kind: str
    without: float


class Tuned(NamedTuple):
    """The result of tuning.

    text -- the configuration with the changes. before, after -- the dB of the model's output, everything quantized as the
    file and as `text` has it. changes -- in the order of the model. left -- the layers that are still quantized, each with
    the dB of the output where only it is quantized, the worst first. reached -- whether the target is reached, True without
    one. notes -- what is worth knowing, in sentences.
    """

    text: str
    before: float
    after: float
    changes: Tuple[Cure, ...]
    left: Tuple[Tuple[str, float], ...]
    reached: bool
    notes: Tuple[str, ...]


class Choice(NamedTuple):
    """A layer as it may be: with a block, its own or another; without a site where it is skipped.

    noise -- of the model's output where only this layer is quantized, from the inputs that it sees in the configuration as it
    is.
    """

    kind: str
    site: Optional[Site]
    noise: float


SKIPPING = Choice(SKIP, None, 0.0)
State = Mapping[str, Choice]  # of the layers that are changed


def setting_text(effective: EffectiveConfig, choice: Choice) -> str:
    """Write what changes for a layer, as text format on one line."""
    if choice.site is None:
        return "skip_layers: {}".format(STRING.format(effective.layer.name))
    before, block = values_of(effective.calibration_config), choice.site.effective.calibration_config
    parts: Dict[str, List[str]] = {}
    for name, value in values_of(block).items():
        if before.get(name) != value:
            member, _, leaf = name.partition(".")
            field = block.__schema__.along(name)[-1]
            parts.setdefault(member, []).append("{}: {}".format(leaf or member, field.kind.format(value)))
    return " ".join("{} {{ {} }}".format(member, " ".join(fields)) for member, fields in parts.items())


def write_state(document: Document[Any], state: State, after: float, without: Mapping[str, float]) -> str:
    """Write the text of the configuration with the changes of a state, each with what it is worth."""
    comments = {name: WORTH_COMMENT.format(after, without[name]) for name in state}
    changed = {name: choice.site.effective for name, choice in state.items() if choice.site is not None}
    overrides = [
        Override(effective.layer, effective.calibration_config, comments[name], OLD_COMMENT)
        for name, effective in changed.items()
    ]
    return skip(override(document, overrides), [name for name in state if name not in changed], comments)
