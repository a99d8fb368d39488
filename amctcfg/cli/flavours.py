# SPDX-License-Identifier: Apache-2.0
"""The command flavours: the dialects of the file."""

from __future__ import annotations

from argparse import Namespace
from typing import Iterator

from ..diagnostics.words import join_words
from ..flavours import FLAVOURS
from ..flavours.flavour import Flavour
from ..messages.message import messages_of
from ..tools.exporting import write_proto
from ..workspace.workspace import find_flavour
from .arguments import flag, option
from .console import Console, Failure
from .reports import align

OPTIONS = (
    option("name NAME", "one of them", nargs="?"),
    flag("--proto", "print its messages as a .proto file"),
)


def run(arguments: Namespace, console: Console) -> None:
    if arguments.proto and arguments.name is None:
        raise Failure("--proto prints one flavour; say which: {}".format(join_words(list(FLAVOURS), "or")))
    if arguments.proto:
        console.write_result(write_proto(find_flavour(arguments.name)))
    elif arguments.name is not None:
        console.write_lines(describe_flavour(find_flavour(arguments.name)))
    else:
        rows = (
            (f.name, f.title, f.versions, "evidence: {}{}".format(f.evidence, ", deprecated" if f.deprecated else ""))
            for f in FLAVOURS.values()
        )
        console.write_lines(align(rows))


EVIDENCE = {
    "code": "compared with the toolkit's own code",
    "pages": "from the vendor's pages alone",
}


def describe_flavour(flavour: Flavour) -> Iterator[str]:
    yield "{}: {}".format(flavour.name, flavour.title)
    yield "  schema    {}".format(flavour.proto or "not named by the vendor's pages")
    if flavour.versions:
        yield "  versions  {}".format(flavour.versions)
    if flavour.deprecated:
        yield "  note      {}".format(flavour.deprecated)
    for name, instead in flavour.deprecated_fields:
        yield "  note      {} is deprecated: {}".format(name, instead)
    yield "  evidence  {}".format(EVIDENCE[flavour.evidence])
    yield "  JSON      {}".format("written by the toolkit" if flavour.layout else "none")
    yield "  types"
    width = max(map(len, flavour.types))
    for name, layer_type in flavour.types.items():
        traits = {
            "tensor_quantize only": not layer_type.quantizable,
            "channel_wise": layer_type.channel_wise,
            "BN fused": layer_type.fusible,
            "symmetric only": layer_type.symmetric_only,
        }
        words = [words for words, holds in traits.items() if holds]
        words += [ability for ability in layer_type.abilities if " by type" not in ability]
        yield "    {:<{}}  {}".format(name, width, ", ".join(words)).rstrip()
    yield "  messages"
    for message in messages_of(flavour.config):
        yield "    {}: {}".format(message.__name__, ", ".join(message.__schema__.fields))
