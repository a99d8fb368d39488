# SPDX-License-Identifier: Apache-2.0
"""The changes that tuning makes: what a layer gets instead, and how it is written into the configuration."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ..documents.document import Document
from ..messages.kinds import STRING
from ..resolve.effective import EffectiveConfig, values_of
from ..resolve.plan import Plan
from ..tools.edits import skip
from .overriding import Override, override

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
    """A change of a layer: another block, None where it is skipped."""

    kind: str
    block: Any


State = Mapping[str, Choice]  # of the layers that are changed


def is_skip(choice: Optional[Choice]) -> bool:
    return choice is not None and choice.block is None


def setting_text(effective: EffectiveConfig, choice: Choice) -> str:
    """Write what changes for a layer, as text format on one line."""
    if choice.block is None:
        return "skip_layers: {}".format(STRING.format(effective.layer.name))
    before = values_of(effective.calibration_config)
    parts: Dict[str, List[str]] = {}
    for name, value in values_of(choice.block).items():
        if before.get(name) != value:
            member, _, leaf = name.partition(".")
            field = choice.block.__schema__.along(name)[-1]
            parts.setdefault(member, []).append("{}: {}".format(leaf or member, field.kind.format(value)))
    return " ".join("{} {{ {} }}".format(member, " ".join(fields)) for member, fields in parts.items())


def write_state(document: Document[Any], plan: Plan, state: State, after: float, without: Mapping[str, float]) -> str:
    """Write the text of the configuration with the changes of a state, each with what it is worth."""
    comments = {name: WORTH_COMMENT.format(after, without[name]) for name in state}
    text = override(
        document,
        [
            Override(plan[name].layer, choice.block, comments[name], OLD_COMMENT)
            for name, choice in state.items()
            if choice.block is not None
        ],
    )
    return skip(text, [name for name, choice in state.items() if choice.block is None], comments)
