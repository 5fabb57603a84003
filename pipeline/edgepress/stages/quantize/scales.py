"""Adjust scales so that every runtime rounds integer sums alike.

A sum of integers is (a·s_a + b·s_b) / s_c. onnxruntime computes it in float32 and rounds halves to even, XNNPACK in
fixed point and rounds them up: they differ by a step where the true quotient is nearer to a half than either computes
it, once in some 100,000 sums, and what follows makes that many steps. If the three scales are whole multiples of one
power of two, and s_c an odd one, k·2^E, no quotient is a half, and none is nearer to one than 1/(2k).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, floor, log2

import onnx

Range = tuple[float, float]

_SUMS = ("Add", "Sub", "Concat")
"""Concat is a sum of one: it brings each input to the scale of the result."""
_SAME = (
    "Relu", "Clip", "MaxPool", "AveragePool", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Slice",
    "Split", "Gather", "Resize", "Pad", "Identity",
)  # fmt: skip
"""Operators whose input and output may share one scale."""
_STEPS = 255
_ALONE = 9
"""Bits of the multiples of tensors in no sum: products of two scales are exact in float32, too."""
_LEAST, _MOST = 7, 13
"""Bits of the smallest and of the largest scale's multiple in connected sums: that costs 1.6% of a scale at most."""
_COARSE = 32
"""A scale of fewer multiples, of sums whose scales are too far apart, goes its own way."""


def untied(graph: onnx.GraphProto, ranges: Mapping[str, Range]) -> dict[str, Range]:
    """Widen each range a little, so that its scale over 255 steps is such a multiple."""
    scales = {name: (max(high, 0.0) - min(low, 0.0)) / _STEPS for name, (low, high) in ranges.items()}
    positive = {name: scale for name, scale in scales.items() if scale > 0}
    exponents = {name: floor(log2(scale)) - _ALONE for name, scale in positive.items()}
    odd: set[str] = set()
    for names in _connected(graph):
        members = {name: positive[name] for name in names if name in positive}
        if len(members) < 2:
            continue
        shared = max(
            floor(log2(min(members.values()))) - _LEAST,
            ceil(log2(max(members.values()))) - _MOST,
        )
        for name, scale in members.items():
            if scale >= _COARSE * 2.0**shared:
                exponents[name] = shared
                odd.add(name)
    wider = dict(ranges)
    for name, scale in positive.items():
        multiple = ceil(scale / 2.0 ** exponents[name])
        multiple += name in odd and multiple % 2 == 0
        step = multiple * 2.0 ** exponents[name]
        below = round(-min(ranges[name][0], 0.0) / step)
        wider[name] = (-below * step, (_STEPS - below) * step)
    return wider


def _connected(graph: onnx.GraphProto) -> list[set[str]]:
    """Group the tensors that sums connect, through operators that pass numbers on."""
    groups: dict[str, set[str]] = {}
    for node in graph.node:
        if node.op_type in _SUMS or node.op_type in _SAME:
            tied = [*(node.input if node.op_type in _SUMS else node.input[:1]), *node.output]
            joined = set().union(*(groups.get(name, {name}) for name in tied))
            groups.update(dict.fromkeys(joined, joined))
    sums = {name for node in graph.node if node.op_type in _SUMS for name in node.output}
    return [names for names in {id(names): names for names in groups.values()}.values() if names & sums]
