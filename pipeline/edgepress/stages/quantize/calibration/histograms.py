"""Keep a histogram of each activation, in constant memory.

Bins around zero are merged in pairs when a value lies beyond them.

A bin's width is a power of two, so that merging two gives what counting in wider bins would have given, exactly: the
order of the examples does not matter, and nothing has to be counted twice.
"""

from __future__ import annotations

import math

import numpy as np

HALF = 4096
"""Bins on each side of zero; at least half of them lie below the largest absolute value."""
VALUES = 16_384
"""Most values of an activation that are counted per example."""
LARGE = 1000.0
"""Magnitude from which a value may be a fill: masks are written as −1000, −10000, −65504, −1e9 and beyond."""
UNUSUAL = 1e30
"""Magnitude from which it is one: twice as much for both ends of a range, and a scale is near float32's end."""
FAR = 256
"""Ratio of fills to all other values: a step of 8 bits is then larger than those."""
_SMALLEST = -100
"""Exponent of two of the narrowest histogram; 1 over its bins' width is still a float32."""


class Histogram:
    """Exact `low` and `high`, and `counts` int64 (2 · HALF,) of values in bins of `width`, from −HALF · width."""

    def __init__(self) -> None:
        self.low, self.high = math.inf, -math.inf
        self.exponent: int | None = None
        self.counts = np.zeros(2 * HALF, np.int64)
        self.beyond = False  # whether there was a value from `UNUSUAL` on; those are in no bin

    @classmethod
    def of(cls, values: np.ndarray, turn: int, exponent: int | None = None) -> Histogram:
        """Return that of one example: its exact ends, and a `sample` of its values.

        It is to be added to one that has bins of `exponent` or wider: narrower ones would be merged then.
        """
        histogram = cls()
        if not values.size:
            return histogram
        low, high = float(values.min()), float(values.max())
        if math.isnan(low):
            histogram.low = low
        else:
            histogram.widen(low, high)
            if exponent is not None and histogram.exponent is not None:
                histogram.exponent = max(histogram.exponent, exponent)
            histogram.count(sample(values, turn))
        return histogram

    @property
    def width(self) -> float:
        return math.ldexp(1.0, (self.exponent or 0)) / HALF

    @property
    def seen(self) -> bool:
        """Whether there was any value; an activation may be empty."""
        return self.low <= self.high

    @property
    def unfit(self) -> bool:
        """Whether a value was no number."""
        return math.isnan(self.low)

    @property
    def large(self) -> bool:
        """Whether a value was large enough to be a fill."""
        return self.beyond or max(-self.low, self.high) >= LARGE

    @property
    def filled(self) -> bool:
        """Whether some values stand for `never`, as those of a mask: beyond float32's useful range, or apart from all
        others by a factor of `FAR`. No range of 8 bits holds both."""
        if self.beyond:
            return True
        magnitudes = self.counts[HALF:] + self.counts[:HALF][::-1]
        occupied = np.flatnonzero(magnitudes)
        if not self.large or len(occupied) < 2:
            return False
        ends, starts = occupied[:-1] + 1, occupied[1:]
        return bool(((starts >= FAR * ends) & (starts * self.width >= LARGE / 2)).any())

    @property
    def edges(self) -> np.ndarray:
        """Bounds of the bins, (2 · HALF + 1,)."""
        bounds: np.ndarray = np.arange(-HALF, HALF + 1) * self.width
        return bounds

    def widen(self, low: float, high: float) -> None:
        """Take in the lowest and highest value of an example; from `UNUSUAL` on they are remembered as `beyond`."""
        largest = max(-low, high)
        if largest >= UNUSUAL:
            self.beyond = True
            return
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._coarsen(max(_SMALLEST, math.frexp(largest)[1]) if largest else _SMALLEST)

    def add(self, other: Histogram) -> None:
        """Take in another one, whose bins may become as wide as these."""
        self.beyond |= other.beyond
        if other.exponent is not None:
            self.widen(other.low, other.high)
            assert self.exponent is not None
            other._coarsen(self.exponent)
            self.counts += other.counts

    def _coarsen(self, exponent: int) -> None:
        """Merge bins in pairs until they are as wide as with this exponent."""
        if self.exponent is None:
            self.exponent = exponent
        while self.exponent < exponent:
            pairs = self.counts.reshape(-1, 2).sum(1)
            self.counts[:] = 0
            self.counts[HALF // 2 : HALF // 2 + HALF] = pairs
            self.exponent += 1

    def count(self, values: np.ndarray) -> None:
        """Count values, such as a `sample`, within the widened bounds."""
        if self.beyond:
            return
        scaled = values * np.float32(1 / self.width)
        bins = np.floor(scaled, out=scaled).astype(np.int64)
        bins += HALF
        self.counts += np.bincount(bins, minlength=2 * HALF)


def sample(values: np.ndarray, turn: int) -> np.ndarray:
    """Return a copy, float32 (n,), of the values to count: all, or `VALUES` spread evenly, others at the next turn."""
    flat = values.reshape(-1)
    step = max(1, -(-flat.size // VALUES))
    # No common divisor with the last axis: it may be the channels', and each is to be met.
    while step > 1 and math.gcd(step, values.shape[-1]) > 1:
        step += 1
    return flat[turn % step :: step].astype(np.float32)
