"""Know which axes of a weight run over inputs and outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Layout:
    """Which axes of a weight run over inputs and outputs."""

    op: str
    shape: tuple[int, ...]
    group: int
    transposed: bool

    @property
    def _inputs_first(self) -> bool:
        return self.op in ("ConvTranspose", "MatMul") or (self.op == "Gemm" and not self.transposed)

    @property
    def inputs(self) -> int:
        return self.shape[0] if self._inputs_first else self.shape[1] * self.group

    @property
    def outputs(self) -> int:
        return self.shape[1] * self.group if self._inputs_first else self.shape[0]

    @property
    def depthwise(self) -> bool:
        return self.op == "Conv" and self.shape[1] == 1 and self.group == self.shape[0]

    def by_output(self, factors: Array) -> Array:
        return self._by_second(factors) if self._inputs_first else self._by_first(factors)

    def by_input(self, factors: Array) -> Array:
        return self._by_first(factors) if self._inputs_first else self._by_second(factors)

    def largest(self, weight: Array) -> Array:
        """The largest magnitude (inputs,) of each input's weights."""
        rows = np.abs(weight).reshape(*self.shape[:2], -1).max(2)
        if self._inputs_first:
            return np.asarray(rows.max(1))
        return np.asarray(rows.reshape(self.group, -1, self.shape[1]).max(1).reshape(-1))

    def _by_first(self, factors: Array) -> Array:
        return factors.reshape(-1, *[1] * (len(self.shape) - 1))

    def _by_second(self, factors: Array) -> Array:
        """The second axis counts within a group of the first."""
        rows = factors.reshape(self.group, self.shape[1]).repeat(self.shape[0] // self.group, 0)
        return rows.reshape(*self.shape[:2], *[1] * (len(self.shape) - 2))
