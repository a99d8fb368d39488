# SPDX-License-Identifier: Apache-2.0
"""Tuning by simulation: for each layer that hurts the cheapest setting that helps, written into the configuration."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Iterable, Mapping, Optional, Sequence

import onnx

from ..checks.expanding import expand
from ..documents.document import Document
from ..flavours.layer import Layer
from ..models import onnx as onnx_models
from ..models.loading import load_layers
from .alternatives import chosen_kinds, possible_kinds
from .batches import check_batches
from .changes import Tuned
from .simulating import open_simulator
from .simulator import Progress
from .tuning_search import TuningSearch

if TYPE_CHECKING:
    from ..resolve.resolver import Rules


def tune(
    document: Document[Any],
    model: Any,
    batches: Iterable[Mapping[str, Any]],
    target: Optional[float] = None,
    check: Optional[Iterable[Mapping[str, Any]]] = None,
    allow: Optional[Iterable[str]] = None,
    rules: Rules = "documented",
    progress: Optional[Progress] = None,
    memory: int = 1 << 30,
    jobs: int = 1,
) -> Tuned:
    """Find the cheapest settings with which the simulated model suffers least, or little enough.

    Args:
        document: The configuration.
        model: The path of an ONNX model or of a frozen TensorFlow graph, or an onnx.ModelProto.
        batches: The calibration data: for each batch a mapping of input name to array.
        target: The dB of the model's output that are enough; None: as many as can be had.
        check: Batches that calibrate nothing, on which all dB are measured; the calibration data where left out.
        allow: The kinds of changes: "settings", "balancer", "int16", "skip". Left out: settings and balancer, and with a
            target int16 as well.
        rules: The priority rules by which the configuration is read.
        progress: Called with what is worked at, how many parts are done, and of how many.
        memory: How many bytes of activations are held at a time, at most; one layer's alone may take more.
        jobs: How many layers' scales are searched at a time.

    Returns:
        The configuration with what was found, and what each change is worth.

    Raises:
        ConfigError: The configuration has errors on this model.
        OSError: The model can't be read.
        ValueError: The model can't be simulated, the batches are not what it takes, or `allow` names no kind.

    Source: the vendor's advice where accuracy drops. The noise of layers adds up nearly, so that each layer's alternatives
    can be judged alone; what counts in the end is the whole simulated model.

    Example:
        >>> tuned = tune(document, "model.onnx", batches, target=40)  # doctest: +SKIP
        >>> tuned.changes[0].setting  # doctest: +SKIP
        'dmq_balancer { migration_strength: 0.8 }'
    """
    kinds = chosen_kinds(allow, target)
    if target is not None and not math.isfinite(target):
        raise ValueError("target is {}; it has to be a finite number".format(target))
    plan = expand(document, layers_of(model, document), rules)
    possible, lacking = possible_kinds(plan.flavour, kinds)
    simulator, notes = open_simulator(plan, model, batches, progress, memory, jobs)
    if allow is not None:  # nobody asked for what the flavour lacks otherwise
        notes += ["{} has no {}; it is left out".format(plan.flavour.name, kind) for kind in lacking]
    if check is None:
        notes.append("measured on the calibration data; `--check` takes other data")
    measured_on = simulator.batches if check is None else check_batches(simulator.network.declared, check)
    return TuningSearch(document, plan, simulator, measured_on, possible, notes).run(target)


def layers_of(model: Any, document: Document[Any]) -> Sequence[Layer]:
    if isinstance(model, onnx.ModelProto):
        found = onnx_models.read_onnx(model.SerializeToString(), "<model>", document.flavour)
        return [examined.layer for examined in found]
    return load_layers(model, document.flavour)
