# SPDX-License-Identifier: Apache-2.0
"""The dialects of the file, one module each, which holds facts only; imported when they are first asked for."""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without the import
if TYPE_CHECKING:
    from typing import Any, Iterator, List, Mapping

    from .flavour import Flavour

    class Base(Mapping[str, Flavour[Any]]):
        """What type checkers see of the registry."""

else:
    from collections.abc import Mapping as Base

__all__ = ["FLAVOURS", "flavour_named"]

# name -> module and attribute; TF-Ascend first, then by how many files there are, older versions last.
HOMES = {
    "tf-ascend": ("tf_ascend", "TF_ASCEND"),
    "tensorflow": ("tensorflow", "TENSORFLOW"),
    "onnx": ("onnx", "ONNX"),
    "pytorch": ("pytorch", "PYTORCH"),
    "caffe": ("caffe", "CAFFE"),
    "mindspore": ("mindspore", "MINDSPORE"),
    "ge": ("ge", "GE"),
    "pytorch-9.0": ("pytorch_9_0", "PYTORCH_9_0"),
}


class Registry(Base):
    """The flavours by name; those whose module a host deleted are not there."""

    def __getitem__(self, name: str) -> Flavour[Any]:
        if name not in HOMES or name not in self.names():
            raise KeyError(name)
        module, attribute = HOMES[name]
        flavour: Flavour[Any] = getattr(importlib.import_module("." + module, __name__), attribute)
        return flavour

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())

    def __repr__(self) -> str:
        return "<flavours {}>".format(", ".join(self))

    def names(self) -> List[str]:
        from importlib.util import find_spec

        return [name for name, (module, _) in HOMES.items() if find_spec("." + module, __name__)]


FLAVOURS = Registry()


def flavour_named(name: str) -> Flavour[Any]:
    """The flavour of a name, for pickle."""
    return FLAVOURS[name]
