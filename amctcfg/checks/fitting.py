# SPDX-License-Identifier: Apache-2.0
"""What in a text a flavour does not have: fields, names of enums, types; and whether it is plainly one for TF-Ascend."""

from __future__ import annotations

from ..flavours.tf_ascend import TF_ASCEND
from ..messages.kinds import Enum
from ..textformat.literals import unescape
from ..textformat.tree import elements_of, split

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without the import
if TYPE_CHECKING:
    from typing import Any, Iterator, List, Tuple

    from ..flavours.flavour import Flavour
    from ..textformat.tree import Tree

__all__ = ["fits_tf_ascend", "types_in", "unknown_fields"]


def fits_tf_ascend(tree: Tree) -> bool:
    """Whether nothing in a text speaks against TF-Ascend: the common case, decided without loading other flavours."""
    slips = {name.lower() for name in TF_ASCEND.types}
    return not any(True for _ in unknown_fields(tree, TF_ASCEND)) and all(t.lower() in slips for t in types_in(tree))


def unknown_fields(tree: Tree, flavour: Flavour[Any]) -> Iterator[str]:
    """The fields, and the names of enums, that a flavour does not have."""
    pending: List[Tuple[Any, Any]] = [(flavour.config, tree.fields)]
    while pending:
        cls, fields = pending.pop()
        for field in split(fields):
            spec = cls.__schema__.fields.get(field[0])
            if spec is None:
                yield field[0]
                continue
            for element in elements_of(field):
                if spec.is_message and type(element[1]) is tuple:
                    pending.append((spec.kind, element[1]))
                elif isinstance(spec.kind, Enum) and type(element[1]) is str and spec.kind.read(element[1]) is None:
                    yield element[1]


def types_in(tree: Tree) -> Iterator[str]:
    """The layer types that a text names."""
    for field in split(tree.fields):
        for element in elements_of(field):
            values = []
            if field[0] == "skip_layer_types":
                values = [element[1]]
            elif field[0] == "override_layer_types" and type(element[1]) is tuple:
                values = [inner[1] for inner in split(element[1]) if inner[0] == "layer_type"]
            for raw in values:
                if type(raw) is str and raw[0] in "\"'":
                    name = unescape(raw).decode("utf-8", "replace")
                    if name != "Optype":  # the placeholder of the vendor's page
                        yield name
