"""Convert the order of axes: channels first in ONNX, last in TFLite.

Decided once, for every tensor, from what makes and reads it; ranks other than 3 and 4 never change their order.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .graph import Graph

TO_LAST = {3: (0, 2, 1), 4: (0, 2, 3, 1)}
TO_FIRST = {3: (0, 2, 1), 4: (0, 3, 1, 2)}
IMAGE, SIGNAL = 4, 3


class Layout(Enum):
    """What an operator asks of the order of its axes."""

    CHANNELS = "channels last, for it slides over pixels or samples"
    FOLLOW = "any, the same for all its tensors"
    MOVE = "any: it moves the numbers itself"
    PLAIN = "ONNX's"


def channels_last(graph: Graph, kinds: Mapping[str, Layout]) -> set[str]:
    """Return the names of the tensors that the file holds with channels last.

    Images among the graph's inputs always (rank 4), signals (rank 3) when they come to a convolution or a pool.
    """
    last = {name for name in graph.inputs if len(graph.shape(name)) == IMAGE or _is_signal(graph, kinds, name)}
    for node in graph.nodes:
        kind, shape = kinds[node.op], graph.shape(node.output)
        if len(shape) not in TO_LAST:
            continue
        before = [graph.shape(name) for name in node.inputs if name in last]
        if (
            kind is Layout.CHANNELS
            or (kind is Layout.FOLLOW and any(len(other) == len(shape) for other in before))
            or (node.op in RESHAPES and any(other[:2] == shape[:2] for other in before))
        ):
            last.add(node.output)
    return last


RESHAPES = ("Flatten", "Reshape", "Squeeze", "Unsqueeze")
"""They keep channels last when the batch and the channels stay what they are, as in (N, C, L) → (N, C, 1, L)."""


def _is_signal(graph: Graph, kinds: Mapping[str, Layout], name: str) -> bool:
    if len(graph.shape(name)) != SIGNAL:
        return False
    readers = graph.users()
    seen, waiting = set(), [name]
    while waiting:
        seen.add(name := waiting.pop())
        for node in readers.get(name, []):
            if kinds[node.op] is Layout.CHANNELS and node.inputs[0] == name:
                return True
            if kinds[node.op] is Layout.FOLLOW and node.output not in seen:
                waiting.append(node.output)
    return False
