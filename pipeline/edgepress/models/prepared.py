"""Raw examples as the inputs of a file, of which one at a time is in memory as floats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..data.rows import Rows
from .metadata import to_model_inputs

if TYPE_CHECKING:
    from ..data.dataset import Dataset


class Column(Protocol):
    """An input of examples, (n, *shape); an array is one."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[np.ndarray]: ...

    def __getitem__(self, rows: slice) -> np.ndarray: ...


Columns = tuple[Column, ...]


@dataclass(frozen=True)
class Prepared:
    """Raw rows `x` of `data` as inputs of a file with this contract."""

    contract: dict[str, Any]
    data: Dataset
    x: Rows

    def __len__(self) -> int:
        return len(self.x)

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        for row in range(len(self.x)):
            yield tuple(column[0] for column in to_model_inputs(self.contract, self.data, self.x[row : row + 1]))


@dataclass(frozen=True)
class PreparedColumn:
    """One input of prepared examples, by its number; with its channels last where `last` is set."""

    examples: Prepared
    number: int
    last: bool = False

    def __len__(self) -> int:
        return len(self.examples)

    def __iter__(self) -> Iterator[np.ndarray]:
        for row in self.examples:
            yield np.moveaxis(row[self.number], 0, -1) if self.last else row[self.number]

    def __getitem__(self, rows: slice) -> np.ndarray:
        of = self.examples
        taken = to_model_inputs(of.contract, of.data, of.x[rows])[self.number]
        return np.moveaxis(taken, 1, -1) if self.last else taken


def columns_of(contract: dict[str, Any], data: Dataset, x: Rows) -> tuple[PreparedColumn, ...]:
    """Return raw rows as a file with this contract takes them, a column for each input."""
    examples = Prepared(contract, data, x)
    return tuple(PreparedColumn(examples, number) for number in range(len(contract["inputs"])))
