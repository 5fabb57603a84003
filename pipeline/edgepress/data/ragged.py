"""Hold rows of different lengths, such as the boxes of pictures, one behind the other."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np

from .rows import DIGEST, Lazy


class Ragged(Lazy):
    """Arrays (k, …) by row, padded to the length of the longest with `fill` when they are taken.

    `values` (total, …) has all of them, and row i is `values[starts[i]:starts[i + 1]]`. COCO's 118,000 pictures have
    860,000 boxes, 20 MB; padded to the 93 of the fullest picture they are 260 MB.
    """

    def __init__(self, values: np.ndarray, starts: np.ndarray, fill: np.ndarray) -> None:
        most = max(1, int(np.diff(starts).max(initial=0)))
        parts = (values[start:end].tobytes() for start, end in pairwise(starts))
        digests = np.frombuffer(b"".join(hashlib.sha256(part).digest() for part in parts), np.uint8)
        shape = (len(starts) - 1, most, *values.shape[1:])
        super().__init__(shape, values.dtype, digests.reshape(-1, DIGEST), "ragged")
        self.values, self.starts, self.fill = values, starts, fill

    def take(self, rows: np.ndarray) -> np.ndarray:
        taken = np.broadcast_to(self.fill, (len(rows), *self.shape[1:])).copy()
        for place, row in zip(taken, rows.tolist(), strict=True):
            part = self.values[self.starts[row] : self.starts[row + 1]]
            place[: len(part)] = part
        return taken
