"""Join named arrays into one: the inputs of a data set, the outputs of a model.

One array stands alone; several become fields of a structured array (n,), so that rows are taken as one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def joined(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Join arrays (n, *shape) by name: a single one as it is, several as a structured array (n,)."""
    if len(columns) == 1:
        return next(iter(columns.values()))
    import numpy as np

    first = next(iter(columns.values()))
    array = np.empty(len(first), [(name, column.dtype, column.shape[1:]) for name, column in columns.items()])
    for name, column in columns.items():
        array[name] = column
    return array


def split(array: np.ndarray) -> dict[str, np.ndarray]:
    """Return the arrays (n, *shape) by name; a single one has the name ''."""
    return {name: array[name] for name in array.dtype.names} if array.dtype.names else {"": array}


def described(array: np.ndarray) -> str:
    """Return the names and shapes of outputs of one example in words: `boxes 4 × 100 and scores 100`."""
    sides = {name: " × ".join(map(str, column.shape[1:])) or "a number" for name, column in split(array).items()}
    return " and ".join(f"{name} {side}".strip() for name, side in sides.items())


def flat(array: np.ndarray) -> np.ndarray:
    """Return a single array as (n, numbers)."""
    return array.reshape(len(array), -1)
