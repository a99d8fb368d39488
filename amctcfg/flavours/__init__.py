# SPDX-License-Identifier: Apache-2.0
"""The dialects of the file, one module each, which holds facts only; imported when they are first asked for."""

from __future__ import annotations

import importlib

from .._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Iterator, Mapping

    from .flavour import Flavour

    class Base(Mapping[str, Flavour]):
        """The registry as type checkers see it."""

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
    "pytorch-9.1": ("pytorch_9_1", "PYTORCH_9_1"),
    "pytorch-9.0": ("pytorch_9_0", "PYTORCH_9_0"),
    "onnx-8.5": ("onnx_8_5", "ONNX_8_5"),
    "tensorflow-8.5": ("tensorflow_8_5", "TENSORFLOW_8_5"),
    "caffe-8.5": ("caffe_8_5", "CAFFE_8_5"),
}


class Registry(Base):
    """The flavours by name; those whose module a host deleted are not there."""

    def __init__(self) -> None:
        self.found: dict[str, Flavour] = {}
        self.names: list[str] = []  # found out when they are first asked for, as nothing in a package changes then

    def __getitem__(self, name: str) -> Flavour:
        if name not in self.found:
            if name not in self.present():
                raise KeyError(name)
            module, attribute = HOMES[name]
            self.found[name] = getattr(importlib.import_module("." + module, __name__), attribute)
        return self.found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.present())

    def __len__(self) -> int:
        return len(self.present())

    def __repr__(self) -> str:
        return "<flavours {}>".format(", ".join(self))

    def newest(self) -> list[Flavour]:
        """Return the flavours without their older versions, which have no types of their own."""
        return [self[name] for name in self if name.rpartition("-")[0] not in HOMES]

    def present(self) -> list[str]:
        if not self.names:
            from importlib.util import find_spec

            self.names = [name for name, (module, _) in HOMES.items() if find_spec("." + module, __name__)]
        return self.names


FLAVOURS = Registry()


def flavour_named(name: str) -> Flavour:
    """Return the flavour of a name, for pickle."""
    return FLAVOURS[name]
