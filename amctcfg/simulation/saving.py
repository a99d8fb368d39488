# SPDX-License-Identifier: Apache-2.0
"""A network into a file, weights inside or beside it; what was there is replaced when all is written."""

from __future__ import annotations

import os
from typing import IO

import numpy as np
from onnx import TensorProto

from ..documents.files import PathLike, write_bytes
from .network import INLINE, Network

ALIGNED = 4096  # bytes: where an array begins in a file, so that it can be mapped


def save_network(network: Network, path: PathLike) -> None:
    """Write a network. Raises `OSError`, and leaves what was there as it was until all is written."""
    if network.folder is None and network.size() < INLINE:
        write_bytes(network.proto().SerializeToString(), path)
        return
    model = network.compact()
    location = os.path.basename(os.path.realpath(path)) + ".data"

    def write_arrays(file: IO[bytes]) -> None:
        for tensor in model.graph.initializer:
            if tensor.data_location == TensorProto.EXTERNAL:
                file.write(b"\0" * (-file.tell() % ALIGNED))
                array = np.ascontiguousarray(network.arrays[tensor.name])
                point_to(tensor, location, file.tell(), array.nbytes)
                file.write(array.reshape(-1).view(np.uint8).data)

    write_bytes(write_arrays, os.path.join(os.path.dirname(os.path.realpath(path)), location))
    write_bytes(model.SerializeToString(), path)


def point_to(tensor: TensorProto, location: str, offset: int, length: int) -> None:
    del tensor.external_data[:]
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(length))):
        tensor.external_data.add(key=key, value=value)
