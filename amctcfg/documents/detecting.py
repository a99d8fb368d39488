# SPDX-License-Identifier: Apache-2.0
"""Detection of a text's flavour: by its fields, its head, the model's types, then its own."""

from __future__ import annotations

from typing import Any, Iterable, Iterator

from ..diagnostics.diagnostic import ConfigError
from ..flavours import FLAVOURS
from ..flavours.flavour import Flavour
from ..flavours.layer import Layer
from ..flavours.tf_ascend import TF_ASCEND
from ..messages.kinds import Enum
from ..textformat.literals import read_name
from ..textformat.parser import parse as parse_text
from ..textformat.tree import Tree, elements_of, split
from .foreign import find_family, find_foreign_message, read_head_value


def detect(text: str | bytes, layers: Iterable[Layer] | None = None) -> tuple[Flavour, ...]:
    """Rank the flavours by how well they fit a text.

    Fields count first, then a comment `# proto-file:` in the head, the types of the layers, and those in the text, of which
    one that differs from TF-Ascend's by case alone is a slip. A `# proto-message:` that is none of theirs is another
    kind of file.

    Args:
        text: The configuration.
        layers: The layers of the model.

    Returns:
        All flavours, the best fit first; none for another kind of file, or what is not text format.

    Example:
        >>> [flavour.name for flavour in detect("common_config { arq_quantize { quant_bits: 6 } }")][:2]
        ['pytorch', 'ge']
    """
    try:
        return rank_flavours(parse_text(text, "<string>"), layers or ())
    except ConfigError:
        return ()


def rank_flavours(tree: Tree, layers: Iterable[Layer]) -> tuple[Flavour, ...]:
    """Return what `detect` does, for a text that is parsed already."""
    known = frozenset(layer.type for layer in layers)
    names, proto = set(iter_types(tree)), proto_of(tree)
    fits = {name: find_misfits(tree, flavour, names, proto, known) for name, flavour in FLAVOURS.items()}
    if find_foreign_message(tree) or (min(fits.values())[0] and find_family(tree) is not None):
        return ()
    return tuple(FLAVOURS[name] for name in sorted(fits, key=fits.__getitem__))


def find_misfits(
    tree: Tree, flavour: Flavour, names: set[str], proto: str, known: frozenset[str] = frozenset()
) -> tuple[int, bool, int, int]:
    """Return the evidence against a flavour, the weightiest first: fields, the head, the model's types, the text's."""
    slips = {name.lower() for name in TF_ASCEND.types} if flavour is TF_ASCEND else set()
    wrong = {name for name in names if name not in flavour.types and name.lower() not in slips}
    fields = sum(1 for _ in iter_unknown_fields(tree, flavour))
    return fields, proto not in ("", flavour.proto), -len(known & flavour.quantizable_types), len(wrong)


def proto_of(tree: Tree) -> str:
    """Return the file of the schema that the head names, without its folder; "" for none."""
    return read_head_value(tree, "proto-file").replace("\\", "/").rpartition("/")[2]


def gather_evidence(tree: Tree, flavour: Flavour) -> list[str]:
    """Return what in a text speaks for a flavour and against TF-Ascend: fields, its head, then types."""
    missing = set(iter_unknown_fields(tree, flavour))
    fields = [name for name in dict.fromkeys(iter_unknown_fields(tree, TF_ASCEND)) if name not in missing]
    types = [name for name in dict.fromkeys(iter_types(tree)) if name in flavour.types and name not in TF_ASCEND.types]
    proto = proto_of(tree)
    head = ["proto-file: {}".format(proto)] if proto and proto == flavour.proto != TF_ASCEND.proto else []
    return fields + head + types


def fits_tf_ascend(tree: Tree) -> bool:
    """Return whether nothing speaks against TF-Ascend: the common case, decided without loading other flavours."""
    return not any(find_misfits(tree, TF_ASCEND, set(iter_types(tree)), proto_of(tree)))


def iter_unknown_fields(tree: Tree, flavour: Flavour) -> Iterator[str]:
    """Iterate over the fields, and the names of enums, that a flavour does not have."""
    pending: list[tuple[Any, Any]] = [(flavour.config, tree.fields)]
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


def iter_types(tree: Tree) -> Iterator[str]:
    elements = [*tree.find_all(("skip_layer_types",))]
    for entry in tree.find_all(("override_layer_types",)):
        if type(entry[1]) is tuple:
            elements += [inner for inner in split(entry[1]) if inner[0] == "layer_type"]
    for name in map(read_name, elements):
        if name not in (None, "Optype"):  # the placeholder of the vendor's page
            yield name
