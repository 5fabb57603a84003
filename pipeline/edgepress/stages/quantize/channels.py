"""Describe the channels of a graph in groups that may be scaled, and the weights that absorb it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Part:
    """A constant that absorbs factors of `channels`: node's input `position`, divided where it writes them.

    `spread` shapes factors (channels,) to go with the constant; `largest` is the constant's largest magnitude for each
    channel, or None where the constant has a scale for each of them.
    """

    node: onnx.NodeProto
    position: int
    channels: Array
    writes: bool
    spread: Callable[[Array], Array]
    largest: Callable[[Array], Array] | None = None


@dataclass
class Channels:
    """Channels by number, of every tensor that has some: `of` maps its name to (axis, numbers).

    Numbers of one group have the same `root`; a group in `held` keeps the factor 1.
    """

    of: dict[str, tuple[int, Array]] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    _parents: list[int] = field(default_factory=list)
    _held: set[int] = field(default_factory=set)
    _settled: Array | None = None

    def new(self, count: int) -> Array:
        start = len(self._parents)
        self._parents.extend(range(start, start + count))
        return np.arange(start, start + count)

    def root(self, number: int) -> int:
        while self._parents[number] != number:
            self._parents[number] = number = self._parents[self._parents[number]]
        return number

    def roots(self, numbers: Array) -> Array:
        if self._settled is not None:
            return self._settled[numbers]
        return np.array([self.root(number) for number in numbers.tolist()], np.int64)

    def settle(self) -> Channels:
        """Look every root up, once no groups are joined any more."""
        self._settled = self.roots(np.arange(len(self._parents)))
        return self

    def join(self, first: Array, second: Array) -> None:
        for a, b in zip(self.roots(first).tolist(), self.roots(second).tolist(), strict=True):
            self._parents[self.root(b)] = self.root(a)

    def hold(self, name: str) -> None:
        if name in self.of:
            self._held.update(self.of[name][1].tolist())

    def held(self) -> set[int]:
        return {*self.roots(np.array([*self._held], np.int64)).tolist()}
