# SPDX-License-Identifier: Apache-2.0
"""The files of a candidate that a command of `bisect` gets, and the values of its placeholders."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple

from ..documents.settings import rewrite_head_paths
from ..workspace.failure import Failure
from ..workspace.file import ConfigFile
from .console import check_separable
from .simulate import simulation_room

if TYPE_CHECKING:
    from ..tuning import Candidate


FILE_ENDINGS = {"": ".cfg", "json": ".json", "skip-file": ".txt", "onnx": ".onnx"}  # of the placeholders' files


class CandidateFiles:
    """Makes the files of candidates that the words of a command ask for. Raises `Failure` for what there can't be."""

    def __init__(self, file: ConfigFile, command: Sequence[str], data: Sequence[str]) -> None:
        self.file: ConfigFile = file
        self.asked: str = " ".join(command)
        if "{json}" in self.asked and file.flavour.layout is None:
            raise Failure("{} has no JSON quantization config; use {{}}".format(file.flavour.name))
        names = list(file.plan)
        if "{skip}" in self.asked:
            check_separable(names, ",", "{skip}", "{} or {json}")
        if "{skip-file}" in self.asked:
            check_separable(names, "\n", "{skip-file}", "{} or {json}")
        self._simulation: Any = None
        self._batches: List[Any] = []
        self._simulating: threading.Lock = threading.Lock()  # one at a time: each may take all of the memory
        if "{onnx}" in self.asked:
            self._simulation = simulation_room()
            try:
                self._batches = self._simulation.load_batches(data, file.require_model().path)
            except self._simulation.SimulationError as error:
                raise Failure(str(error)) from None

    def values(self, candidate: Candidate, worker: int) -> Dict[str, str]:
        """Return what the placeholders without a file stand for."""
        return {"skip": ",".join(skipped_layers(candidate)), "worker": str(worker)}

    def contents(self, candidate: Candidate, place: Optional[str]) -> Dict[str, Tuple[str, bytes]]:
        """Return for each placeholder the ending and the contents of its file; `place` is the configuration's path, if known."""
        text = rewrite_head_paths(candidate.text, self.file.name, place)
        found = {"": text.encode("utf-8")}
        if candidate.plan.flavour.layout is not None:
            found["json"] = (candidate.plan.to_json() + "\n").encode("utf-8")
        if "{skip-file}" in self.asked or not self.asked:
            found["skip-file"] = "".join("{}\n".format(name) for name in skipped_layers(candidate)).encode("utf-8")
        if self._simulation is not None:
            found["onnx"] = self.simulate(candidate)
        return {placeholder: (FILE_ENDINGS[placeholder], contents) for placeholder, contents in found.items()}

    def simulate(self, candidate: Candidate) -> bytes:
        with self._simulating:
            try:
                path = self.file.require_model().path
                model = self._simulation.simulate(candidate.plan, path, self._batches).model
            except self._simulation.SimulationError as error:
                raise Failure("a candidate can't be simulated: {}".format(error)) from None
        return bytes(model.SerializeToString())


def skipped_layers(candidate: Candidate) -> List[str]:
    """Return the layers that a candidate does not quantize, those that the document skips itself among them."""
    return [name for name, effective in candidate.plan.items() if not effective.quant_enable]
