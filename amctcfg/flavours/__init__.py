# SPDX-License-Identifier: Apache-2.0
"""The dialects of the file, one module each, which holds facts only; imported when they are first asked for."""

from __future__ import annotations

import importlib

from .._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Iterator, Mapping

    from .flavour import Flavour

    Base = Mapping[str, Flavour]
else:
    from collections.abc import Mapping as Base

__all__ = ["FLAVOURS", "flavour_named"]

# TF-Ascend first, then by how many files there are. Each has a module of its name, which holds a constant of its name.
NEWEST = ("tf-ascend", "tensorflow", "onnx", "pytorch", "caffe", "mindspore", "ge")
OLDER = ("pytorch-9.1", "pytorch-9.0", "onnx-8.5", "tensorflow-8.5", "caffe-8.5")


class Registry(Base):
    """The flavours by name; those whose module a host deleted are not there."""

    def __init__(self) -> None:
        self.found: dict[str, Flavour] = {}
        self.modules: dict[str, str] = {}  # found out when one is first asked for, as nothing in a package changes then

    def __getitem__(self, name: str) -> Flavour:
        if name not in self.found:
            module = self.find_modules()[name]
            self.found[name] = getattr(importlib.import_module("." + module, __name__), module.upper())
        return self.found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.find_modules())

    def __len__(self) -> int:
        return len(self.find_modules())

    def __repr__(self) -> str:
        return "<flavours {}>".format(", ".join(self))

    def list_newest(self) -> list[Flavour]:
        """Return the flavours without their older versions, which have no types of their own."""
        return [self[name] for name in self if name in NEWEST]

    def find_modules(self) -> dict[str, str]:
        if not self.modules:
            from importlib.util import find_spec

            modules = {name: name.replace("-", "_").replace(".", "_") for name in (*NEWEST, *OLDER)}
            self.modules = {name: module for name, module in modules.items() if find_spec("." + module, __name__)}
        return self.modules


FLAVOURS = Registry()


def flavour_named(name: str) -> Flavour:
    """Return the flavour of a name, for pickle."""
    return FLAVOURS[name]
