"""Hold examples that need not be in memory: rows are read when they are taken."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, overload

from ..core.errors import UserError

if TYPE_CHECKING:
    import numpy as np

DIGEST, SEEN = 32, 32
"""Bytes of a SHA-256, and of a bit for each of 256 values."""
_LITTLE = 2**28
"""Bytes of rows that are worth keeping."""


class Rows(Protocol):
    """Examples (n, *shape) by row; a numpy array is the plainest. `rows[slice or int64 array]` is a numpy array."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def ndim(self) -> int: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __getitem__(self, rows: Any, /) -> Any: ...


class Lazy(ABC):
    """Rows that are read from somewhere each time they are taken. They are picklable: other processes read them.

    Attributes:
        digests: tells each row's content from another's, uint8 (n, 32), without reading it.
        made_by: what beside the content shapes the values, such as the options of decoding.
        seen: of masks the values that occur in each row, a bit for each of 256, uint8 (n, 32).
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        digests: np.ndarray,
        made_by: str,
        seen: np.ndarray | None = None,
    ) -> None:
        self.shape, self.dtype, self.digests, self.made_by, self.seen = shape, dtype, digests, made_by, seen

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @abstractmethod
    def take(self, rows: np.ndarray) -> np.ndarray:
        """Read `rows`, int64 (k,): (k, *shape)."""

    def choose(self, rows: np.ndarray) -> Lazy:
        return _Chosen(self, rows)

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[row] for row in range(len(self)))

    def __getitem__(self, rows: int | slice | np.ndarray) -> np.ndarray:

        chosen = _numbers(rows, len(self))
        return self.take(chosen) if chosen.ndim else self.take(chosen[None])[0]


class _Chosen(Lazy):
    """Rows of other rows, by their number."""

    def __init__(self, of: Lazy, rows: np.ndarray) -> None:
        seen = None if of.seen is None else of.seen[rows]
        super().__init__((len(rows), *of.shape[1:]), of.dtype, of.digests[rows], of.made_by, seen)
        self.of, self.rows = of, rows

    def take(self, rows: np.ndarray) -> np.ndarray:
        return self.of.take(self.rows[rows])

    def choose(self, rows: np.ndarray) -> Lazy:
        return _Chosen(self.of, self.rows[rows])


class _Joined(Lazy):
    """The rows of one behind those of another, of the same shape and type."""

    def __init__(self, first: Rows, second: Rows) -> None:
        import numpy as np

        both = np.concatenate([digests(first), digests(second)])
        made_by = " ".join(part.made_by for part in (first, second) if isinstance(part, Lazy))
        super().__init__((len(both), *first.shape[1:]), first.dtype, both, made_by)
        self.first, self.second = first, second

    def take(self, rows: np.ndarray) -> np.ndarray:
        import numpy as np

        early = rows < len(self.first)
        taken = np.empty((len(rows), *self.shape[1:]), self.dtype)
        taken[early] = self.first[rows[early]]
        taken[~early] = self.second[rows[~early] - len(self.first)]
        return taken


class Stored(Lazy):
    """Rows of one size in a file, one behind the other; what is read does not stay in this process's memory."""

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], digests: np.ndarray) -> None:
        super().__init__(shape, dtype, digests, "stored")
        self.path = path

    def take(self, rows: np.ndarray) -> np.ndarray:
        with suppress(FileNotFoundError):
            if (taken := self._read(rows)) is not None:
                return taken
        raise UserError(
            f"the copy of the data in the cache, `{self.path}`, was deleted or cut off during this run",
            "run again: it is made anew",
        )

    def _read(self, rows: np.ndarray) -> np.ndarray | None:
        """Read `rows`; None where the file ends before."""
        import numpy as np

        taken = np.empty((len(rows), *self.shape[1:]), self.dtype)
        into, size = taken.reshape(-1).view(np.uint8).data, taken.nbytes // max(len(rows), 1)
        with self.path.open("rb", buffering=0) as file:
            for place, row in enumerate(rows.tolist()):
                file.seek(row * size)
                if file.readinto(into[place * size : (place + 1) * size]) != size:
                    return None
        return taken


class Zeros(Lazy):
    """Rows of zeros, of which none takes memory before it is taken: the targets of examples that have none."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        import numpy as np

        super().__init__(shape, dtype, np.broadcast_to(np.uint8(0), (shape[0], DIGEST)), "zeros")

    def take(self, rows: np.ndarray) -> np.ndarray:
        import numpy as np

        return np.zeros((len(rows), *self.shape[1:]), self.dtype)


def held(x: Rows) -> Rows:
    """Return rows in memory if they take little of it: those that are taken again and again."""
    import numpy as np

    return x[:] if int(np.prod(x.shape)) * x.dtype.itemsize <= _LITTLE else x


def _numbers(rows: int | slice | np.ndarray, count: int) -> np.ndarray:
    """Return the numbers from 0 of `rows` of `count`, int64 () or (k,), in time for k. Raises: IndexError."""
    import numpy as np

    if isinstance(rows, slice):
        return np.arange(*rows.indices(count))
    numbers = np.asarray(rows)
    if numbers.dtype.kind not in "iu":
        return np.arange(count)[rows]
    if ((numbers < -count) | (numbers >= count)).any():
        raise IndexError(f"there are {count} rows")
    return np.where(numbers < 0, numbers + count, numbers).astype(np.int64)


@overload
def choose(x: np.ndarray, rows: np.ndarray | slice) -> np.ndarray: ...
@overload
def choose(x: Rows, rows: np.ndarray | slice) -> Rows: ...
def choose(x: Rows, rows: np.ndarray | slice) -> Rows:
    """Return `x[rows]`, which is read now only if it is in memory."""
    if isinstance(x, Lazy):
        return x.choose(_numbers(rows, len(x)))
    chosen: np.ndarray = x[rows]
    return chosen


def concatenated(parts: Sequence[Rows]) -> Rows:
    """Return all rows of `parts`, in order."""
    import numpy as np

    if not any(isinstance(part, Lazy) for part in parts):
        return np.concatenate([part[:] for part in parts])
    return reduce(_Joined, parts)


def digests(x: Rows) -> np.ndarray:
    """Return what tells rows apart, uint8 (n, 32): of arrays the SHA-256 of each row's values."""
    import hashlib

    import numpy as np

    if isinstance(x, Lazy):
        return x.digests
    each = b"".join(hashlib.sha256(x[row].tobytes()).digest() for row in range(len(x)))
    return np.frombuffer(each, np.uint8).reshape(-1, DIGEST)
