# SPDX-License-Identifier: Apache-2.0
"""The layers that a log of the toolkit or of ATC names as failing: those that the vendor's pages say to skip."""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import Iterator, NamedTuple, Sequence

from ..flavours.flavour import Flavour
from ..flavours.layer import Layer

MOST = 1000  # characters of a name

# Lines that name a layer: the name as (?P<name>...), or several in (?P<names>...) as Python prints a list.
NAMING = re.compile(
    r"""Quantized\ bias\ (?:[-+.0-9eE]{{1,40}}\ )?of\ layer\ (\\?")(?P<bias>[^"\\\n]{{1,{0}}})\1\ exceed\ int32\ range
    |Do\ layer\ \[(?P<names>[^\]\n]{{1,{0}}})\]\ data\ calibration\ failed
    |Do\ layer\ (?P<calibration>\S{{1,{0}}})\ data\ calibration\ failed
    |layer\ (?P<weight>\S{{1,{0}}})\ run\ WeightFakeQuantArq\ failed
    |\](?P<atc>[^\]\s]{{1,{0}}})\ arq\ weight\ fake\ quant\ failed!
    |\[\[(?P<scope>[^\[\]\s]{{1,{0}}}?)/act_quant/
    |Doing\ layer:\ "(?P<doing>[^"\n]{{1,{0}}})"\ calibration
    |(?P<infinite>Exit\ Infinite\ value\ before\ data\ quantization!)
    |(?P<illegal>is\ illegal|Do\ IFMR\ calibration\ failed|Not\ support\ scale\ greater\ than\ 1\ /\ FLT_EPSILON)
    """.format(MOST),
    re.VERBOSE,
)
QUOTED = re.compile(r"""(["'])([^"'\n]{1,%d})\1""" % MOST)

# What the toolkit puts around the name of a layer whose nodes it inserts.
INSERTED = re.compile(
    r"\Arequant_/|/(?:act_quant|wts_quant)(?:/.*)?\Z|\.(?:quant\.)?fakequant.*\Z|\.(?:quant|dequant|antiquant)\Z"
)


class Failing(NamedTuple):
    """The layers that fail by a log, names in it that aren't layers, and lines that fail without a name."""

    layers: list[str]
    unknown: list[str]
    nameless: list[str]


def read_log(text: str, layers: Sequence[Layer], flavour: Flavour) -> Failing:
    index = LayerIndex(layers, flavour)
    found: dict[str, None] = {}
    unknown: dict[str, None] = {}
    nameless: dict[str, None] = {}
    for name, kind in find_names(text):
        if kind == "illegal":
            nameless[name] = None
            continue
        layer = index.find_only_inside(name) if kind == "scope" else index.find(name)
        if layer is None:
            unknown[name] = None
        else:
            found[layer] = None
    return Failing(list(found), list(unknown), list(nameless))


def find_names(text: str) -> Iterator[tuple[str, str]]:
    """Give the names in a log, each with its kind; of a failure without a name the words of the log."""
    doing: str | None = None  # the layer that Caffe's toolkit is at
    is_infinite = False  # whether the place of an infinite value is to follow
    for match in NAMING.finditer(text):
        kind = match.lastgroup or ""
        if kind == "names":
            for quoted in QUOTED.finditer(match["names"]):
                yield quoted[2], kind
        elif kind == "doing":
            doing = match[kind]
        elif kind == "infinite":
            is_infinite = True
        elif kind == "scope":
            if is_infinite:
                yield match[kind], kind
            is_infinite = False
        elif kind == "illegal":
            yield (match[kind], kind) if doing is None else (doing, "doing")
            doing = None
        else:
            yield match[kind].strip("'\""), kind


class LayerIndex:
    """The names of a model's layers, in order from their beginnings and from their ends: a log may hold many names."""

    def __init__(self, layers: Sequence[Layer], flavour: Flavour) -> None:
        quantizable = [layer.name for layer in layers if flavour.quantizes(layer)]
        self.known: set[str] = {layer.name for layer in layers}
        self.forwards: list[str] = sorted(name + "/" for name in quantizable)
        self.backwards: list[str] = sorted(name[::-1] for name in quantizable)

    def find_only_inside(self, scope: str) -> str | None:
        """Return the layer in a scope that can be quantized; None where there is none, or another one."""
        inside = begin_with(self.forwards, scope + "/")
        return inside[0][:-1] if len(inside) == 1 else None

    def find(self, name: str) -> str | None:
        """Return the layer of a name, or the only one whose path ends so; without what the toolkit has inserted."""
        for one in dict.fromkeys((name, INSERTED.sub("", name))):
            if one in self.known:
                return one
            ends = [end for separator in "/." for end in begin_with(self.backwards, one[::-1] + separator)]
            if one and len(ends) == 1:
                return ends[0][::-1]
        return None


def begin_with(ordered: list[str], beginning: str) -> list[str]:
    """Return the names of a sorted list that begin so, two at most."""
    first = bisect_left(ordered, beginning)
    return [name for name in ordered[first : first + 2] if name.startswith(beginning)]
