"""Measure how alike the outputs of two models are, without labels.

Per output and channel group: cosine similarity; SQNR in dB, 10 · log10(signal / noise), where the signal is
Σ(expected − mean)² with the mean of each channel, since a constant tells nothing; and likeness, 1 − noise / signal, the
coefficient of determination R². A likeness of 0.99 is an SQNR of 20 dB. A channel group is the channels of
one output whose ranges are alike, so that pixels from 0 to 640 do not drown scores from 0 to 1 in the same output.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .columns import split

APART = 16.0
"""Ratio of ranges from which channels are of two groups: one int8 scale leaves the smaller range 16 steps."""
_STEPS = 255
_LEAST_STEPS = 25.0
"""Least signal, in squares of a step of 1/255 of the range: rounding to 8 bits alone, 1/4 at most, then costs no more
than 0.01 of likeness, also of scores where the examples show nothing to find."""
_LONGER = 8
"""How many times as long as the channels' axis that of the places of a picture is."""
_CONSTANT = 1e-6
"""Share of the outputs' energy that varies, below which they are constant."""
_LEAST = 1e-30


@dataclass(frozen=True)
class Group:
    """Channels of one output: places on `axis` of an example, their range, and the mean of each."""

    output: str
    axis: int
    channels: tuple[int, ...]
    every: bool
    low: float
    high: float
    mean: np.ndarray

    @property
    def step(self) -> float:
        """Return 1/255 of the range; shares have the range 1."""
        shares = self.low >= 0 and self.high <= 1
        return (1.0 if shares else max(self.high, 0.0) - min(self.low, 0.0)) / _STEPS

    def __str__(self) -> str:
        """Name the output and the channels: `boxes`, `output, channels 4–83`."""
        return self.output if self.every else f"{self.output}, channels {self.places}"

    @property
    def places(self) -> str:
        """Return the channels in words: `0–3, 7`."""
        return _runs(self.channels)

    def taken(self, example: np.ndarray) -> np.ndarray:
        """Return the values (channels, …) of one example's output, with channels first."""
        if example.ndim == 0:
            example = example[None]
        values = np.moveaxis(example, self.axis, 0).reshape(example.shape[self.axis], -1)
        return values if self.every else values[list(self.channels)]


def groups(expected: np.ndarray, name: str = "output") -> list[Group]:
    """Return the channel groups of outputs, by their ranges alone; `name` is that of a single output."""
    return [group for column, array in split(expected).items() for group in _of_output(column or name, array)]


def parts(outputs: np.ndarray, expected: np.ndarray, of: Sequence[Group]) -> np.ndarray:
    """Return sums (n, groups, 6): energy expected and found, product, noise, variation and the least signal."""
    found, wanted = split(outputs), split(expected)
    sums = np.zeros((len(expected), len(of), 6))
    for place, group in enumerate(of):
        key = group.output if group.output in wanted else ""
        for row, (theirs, mine) in enumerate(zip(wanted[key], found[key], strict=True)):
            e, o = (group.taken(np.asarray(value, np.float64)) for value in (theirs, mine))
            known = np.isfinite(e)
            e, o = np.where(known, e, 0.0), np.where(known, o, 0.0)
            varied = np.where(known, e - group.mean[:, None], 0.0)
            products = (e**2).sum(), (o**2).sum(), (e * o).sum(), ((o - e) ** 2).sum(), (varied**2).sum()
            sums[row, place] = *products, _LEAST_STEPS * group.step**2 * known.sum()
    return sums


def by_group(total: np.ndarray) -> np.ndarray:
    """Return the likeness of each group from summed parts (…, groups, 6).

    It is minus infinity where the output is no number, and where the expected one is never finite: alike is to nothing.
    """
    noise, known = total[..., 3], total[..., 5] > 0
    likeness: np.ndarray = 1 - noise / np.maximum(_signal(total), _LEAST)
    return np.where(known & ~np.isnan(noise), likeness, -np.inf)


def _signal(total: np.ndarray) -> np.ndarray:
    """Return what varies of each group, or all of it where nothing does, and at least some steps of 8 bits."""
    energy, varied, least = total[..., 0], total[..., 4], total[..., 5]
    signal: np.ndarray = np.maximum(np.where(varied > _CONSTANT * energy, varied, energy), least)
    return signal


def reduced(total: np.ndarray) -> np.ndarray:
    """Return the likeness of the worst group, at least 0, from summed parts (…, groups, 6)."""
    return np.maximum(by_group(total).min(-1), 0.0)


def worst_decibels(total: np.ndarray) -> float:
    """Return the SQNR of the worst group that varies; of the worst of all where none does."""
    varies = total[:, 4] > _CONSTANT * total[:, 0]
    chosen = total[varies] if varies.any() else total
    return min(decibels(signal, noise) for signal, noise in zip(_signal(chosen), chosen[:, 3], strict=True))


def never_finite(outputs: np.ndarray, name: str = "output") -> list[str]:
    """Return the outputs, or channel groups of them, without one finite value in any example."""
    return [str(group) for group in groups(outputs, name) if group.low > group.high]


def constant(outputs: np.ndarray, of: Sequence[Group]) -> list[str]:
    """Return the groups whose values are the same for every example, or nearly; of one example nothing is known."""
    if len(outputs) < 2:
        return []
    columns = split(outputs)
    return [str(group) for group in of if _still(columns[group.output if group.output in columns else ""], group)]


def _still(array: np.ndarray, group: Group) -> bool:
    mean: Any = sum(group.taken(np.asarray(row, np.float64)) for row in array) / len(array)
    away = sum(float(((group.taken(np.asarray(row, np.float64)) - mean) ** 2).sum()) for row in array)
    return away <= _CONSTANT * len(array) * float((mean**2).sum())


def likeness(outputs: np.ndarray, expected: np.ndarray) -> float:
    """Return the likeness of the worst channel group: 1 for the same outputs, 0 for none."""
    return float(reduced(parts(outputs, expected, groups(expected)).sum(0)))


def rows(outputs: np.ndarray, expected: np.ndarray, name: str = "output") -> list[dict[str, Any]]:
    """Return a row for each channel group, worst first: its range, `cosine`, `sqnr` and `likeness`."""
    of = groups(expected, name)
    total = parts(outputs, expected, of).sum(0)
    table = []
    for group, sums, signal, value in zip(of, total, _signal(total), by_group(total), strict=True):
        energy, found, product, noise, varied, _ = sums
        entry: dict[str, Any] = {"group": str(group), "low": group.low, "high": group.high}
        entry["constant"] = bool(varied <= _CONSTANT * energy)
        entry["sqnr"] = round(decibels(signal, noise), 2)
        known = energy > _LEAST and found > _LEAST and np.isfinite(found)
        entry["cosine"] = round(float(product / np.sqrt(energy * found)), 6) if known else None
        table.append(entry | {"likeness": round(float(value), 6) if np.isfinite(value) else None})
    return sorted(table, key=lambda entry: (entry["constant"], entry["sqnr"]))


def decibels(signal: float, noise: float) -> float:
    """Return 10 · log10(signal / noise), at most 120; −120 for noise that is no number."""
    if not np.isfinite(noise):
        return -120.0
    return float(10 * np.log10(max(signal, 1e-30) / max(noise, 1e-12 * signal, 1e-30)))


def _of_output(name: str, array: np.ndarray) -> Iterator[Group]:
    shape = array.shape[1:] or (1,)
    tried = [(axis, *_apart(*_ranges(array, axis))) for axis in _axes(shape)]
    axis, best, _ = max(tried, key=lambda found: found[2])  # the first of equal ones
    low, high = _ranges(array, axis)
    total, count = np.zeros(shape[axis]), np.zeros(shape[axis])
    for row in array:
        values = np.moveaxis(np.asarray(row, np.float64).reshape(shape), axis, 0).reshape(shape[axis], -1)
        known = np.isfinite(values)
        total += np.where(known, values, 0.0).sum(1)
        count += known.sum(1)
    mean = total / np.maximum(count, 1)
    for channels in best:
        bounds = float(low[channels].min()), float(high[channels].max())
        yield Group(name, axis, tuple(channels), len(best) == 1, *bounds, mean[channels])


def _axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the axes that may be the channels', the likeliest first.

    Of two it is the shorter one, unless they are nearly as long: the other has the places in a picture, such as
    anchors, some of which are near 0. Of more it is the first, or the last where two equal sides precede it.
    """
    last = len(shape) - 1
    if last == 1:
        short, long = (0, 1) if shape[0] <= shape[1] else (1, 0)
        return (short, long) if shape[long] < _LONGER * shape[short] else (short,)
    return (last,) if last > 1 and shape[last - 1] == shape[last - 2] != shape[last] else (0,)


def _ranges(array: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and largest finite value of every place on an axis of the examples; inf and −inf of none."""
    array = array if array.ndim > 1 else array[:, None]
    rest = tuple(index for index in range(1, array.ndim) if index != axis + 1)
    low, high = np.inf, -np.inf
    for row in array:
        values = row[None].astype(np.float64)
        known = np.isfinite(values)
        low = np.minimum(low, np.where(known, values, np.inf).min(rest)[0])
        high = np.maximum(high, np.where(known, values, -np.inf).max(rest)[0])
    return np.asarray(low), np.asarray(high)


def _apart(low: np.ndarray, high: np.ndarray) -> tuple[list[list[int]], float]:
    """Group places by their ranges; return them, and how far they are apart: the largest by the smallest range.

    Values from 0 to 1 are shares, whose range is 1 even where none was large. What never changes is with the largest.
    Places that are never finite are a group of their own, of no size.
    """
    known = np.flatnonzero(low <= high)
    if len(known) < len(low):
        found, ratio = _apart(low[known], high[known]) if len(known) else ([], 1.0)
        return [
            *([int(known[place]) for place in places] for places in found),
            np.flatnonzero(low > high).tolist(),
        ], ratio
    sizes = np.maximum(np.abs(low), np.abs(high))
    sizes = np.where((low >= 0) & (high <= 1), 1.0, sizes)
    sizes = np.where(low == high, sizes.max(), sizes)
    order = np.argsort(-sizes, kind="stable")
    found = [[int(order[0])]]
    for place in order[1:]:
        if sizes[place] * APART <= sizes[found[-1][0]]:
            found.append([])
        found[-1].append(int(place))
    ratio = float(sizes[order[0]] / max(sizes[found[-1][0]], _LEAST)) if len(found) > 1 else 1.0
    return [sorted(places) for places in found], ratio


def _runs(places: Sequence[int]) -> str:
    """Return `0–3, 7` of [0, 1, 2, 3, 7]; of many runs the first few."""
    runs: list[list[int]] = []
    for place in places:
        if runs and place == runs[-1][-1] + 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    words = [f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs]
    return ", ".join(words[:4]) + (f" and {len(words) - 4} more" if len(words) > 4 else "")
