# SPDX-License-Identifier: Apache-2.0
"""The borders between quantized and float layers: each costs a conversion of the data on the device."""

from __future__ import annotations

from typing import Mapping, Sequence

MOST_BITS = 1 << 31  # of all sets of layers together, after which the order of the layers has to do


def count_borders(is_quantized: Mapping[str, bool], inputs: Mapping[str, Sequence[str]] | None = None) -> int:
    """Count the pairs of layers, one quantized and one not, of which one reads what the other makes.

    The layers are in the order of the model. `inputs` are for each node of the graph the nodes that it reads, of which those
    that are not layers are passed through; without it, layers that follow each other count as connected.

    Example:
        >>> count_borders({"a": True, "b": False, "c": True})
        2
        >>> count_borders({"a": True, "b": False, "c": True}, {"a": [], "b": ["a"], "relu": ["a"], "c": ["relu"]})
        1
    """
    if inputs is None or len(is_quantized) * len(inputs) > MOST_BITS:
        states = list(is_quantized.values())
        return sum(one != other for one, other in zip(states, states[1:]))
    numbers = {name: number for number, name in enumerate(is_quantized)}
    quantized = sum(1 << numbers[name] for name, state in is_quantized.items() if state)
    made = sources_of(numbers, inputs)
    count = 0
    for name, state in is_quantized.items():
        read = 0
        for source in inputs.get(name, ()):
            read |= made.get(source, 0)
        count += bin(read & ~quantized if state else read & quantized).count("1")
    return count


def sources_of(numbers: Mapping[str, int], inputs: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Find for each node the layers that its output comes from, as the bits of a number; a layer's output is its own."""
    made = {name: 1 << number for name, number in numbers.items()}
    for start in inputs:
        pending = [start]
        while pending:
            node = pending[-1]
            missing = [source for source in inputs.get(node, ()) if source not in made]
            if node not in made and missing:
                made[node] = 0  # a cycle adds nothing
                pending += missing
                continue
            pending.pop()
            if node not in numbers:
                found = 0
                for source in inputs.get(node, ()):
                    found |= made.get(source, 0)  # none yet, where the node reads itself
                made[node] = found
    return made
