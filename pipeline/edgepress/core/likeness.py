"""Measure how alike the outputs of two models are, without labels.

Per output and channel group: cosine similarity; SQNR in dB, 10 · log10(signal / noise), where the signal is
Σ(expected − mean)² with the mean of each channel, since a constant tells nothing; and likeness, 1 − noise / signal, the
coefficient of determination R². A likeness of 0.99 is an SQNR of 20 dB. A channel group is the channels of
one output whose ranges are alike, so that pixels from 0 to 640 do not drown scores from 0 to 1 in the same output.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .columns import split

NEIGHBOUR, TOP = 8.0, 16.0
"""Ratios of ranges from which channels are apart: to the next larger range, and to the largest of the group. One int8
scale leaves a range 16 times smaller than another 16 steps."""
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
    """Return sums (n, groups, 5) of each example: energy expected and found, product, noise, and variation."""
    found, wanted = split(outputs), split(expected)
    sums = np.zeros((len(expected), len(of), 5))
    for place, group in enumerate(of):
        key = group.output if group.output in wanted else ""
        for row, (theirs, mine) in enumerate(zip(wanted[key], found[key], strict=True)):
            e, o = (group.taken(np.asarray(value, np.float64)) for value in (theirs, mine))
            known = np.isfinite(e)
            e, o = np.where(known, e, 0.0), np.where(known, o, 0.0)
            varied = np.where(known, e - group.mean[:, None], 0.0)
            sums[row, place] = (e**2).sum(), (o**2).sum(), (e * o).sum(), ((o - e) ** 2).sum(), (varied**2).sum()
    return sums


def by_group(total: np.ndarray) -> np.ndarray:
    """Return the likeness of each group from summed parts (…, groups, 5); NaN where the expected output is 0."""
    energy, noise, varied = total[..., 0], total[..., 3], total[..., 4]
    signal = np.where(varied > _CONSTANT * energy, varied, energy)
    with np.errstate(divide="ignore", invalid="ignore"):
        likeness: np.ndarray = np.where(signal > _LEAST, 1 - noise / np.maximum(signal, _LEAST), np.nan)
    return np.where(np.isnan(noise), -np.inf, likeness)


def reduced(total: np.ndarray) -> np.ndarray:
    """Return the likeness of the worst group, at least 0, from summed parts (…, groups, 5)."""
    worst = np.min(by_group(total), axis=-1, where=~np.isnan(by_group(total)), initial=1.0)
    return np.maximum(worst, 0.0)


def worst_decibels(total: np.ndarray) -> float:
    """Return the SQNR of the worst group that varies; of the worst of all where none does."""
    varies = total[:, 4] > _CONSTANT * total[:, 0]
    chosen = total[varies] if varies.any() else total
    return min(decibels(row[4] if row[4] > _CONSTANT * row[0] else row[0], row[3]) for row in chosen)


def constant(outputs: np.ndarray, of: Sequence[Group]) -> list[str]:
    """Return the groups whose values are the same for every example, or nearly; of one example nothing is known."""
    if len(outputs) < 2:
        return []
    columns = split(outputs)
    return [str(group) for group in of if _still(columns[group.output if group.output in columns else ""], group)]


def _still(array: np.ndarray, group: Group) -> bool:
    values = np.stack([group.taken(np.asarray(row, np.float64)) for row in array])
    return float(values.var(axis=0).sum()) <= _CONSTANT * float((values**2).mean(axis=0).sum())


def likeness(outputs: np.ndarray, expected: np.ndarray) -> float:
    """Return the likeness of the worst channel group: 1 for the same outputs, 0 for none."""
    return float(reduced(parts(outputs, expected, groups(expected)).sum(0)))


def rows(outputs: np.ndarray, expected: np.ndarray, name: str = "output") -> list[dict[str, Any]]:
    """Return a row for each channel group, worst first: its range, `cosine`, `sqnr` and `likeness`."""
    of = groups(expected, name)
    total = parts(outputs, expected, of).sum(0)
    table = []
    for group, (energy, found, product, noise, varied), value in zip(of, total, by_group(total), strict=True):
        entry: dict[str, Any] = {"group": str(group), "low": group.low, "high": group.high}
        entry["constant"] = bool(varied <= _CONSTANT * energy)
        entry["sqnr"] = round(decibels(varied if varied > _CONSTANT * energy else energy, noise), 2)
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
    best, axis = [list(range(shape[_channels(shape)]))], _channels(shape)
    for candidate in dict.fromkeys((0, len(shape) - 1)):
        found = _apart(*_ranges(array, candidate))
        if len(found) > len(best):
            best, axis = found, candidate
    low, high = _ranges(array, axis)
    total: Any = sum(
        np.moveaxis(np.nan_to_num(np.asarray(row, np.float64)).reshape(shape), axis, 0).reshape(shape[axis], -1).mean(1)
        for row in array
    )
    for channels in best:
        bounds = float(low[channels].min()), float(high[channels].max())
        yield Group(name, axis, tuple(channels), len(best) == 1, *bounds, total[channels] / len(array))


def _channels(shape: tuple[int, ...]) -> int:
    """Return the axis of the channels: the first, or the shorter one of two."""
    return 1 if len(shape) == 2 and shape[1] < shape[0] else 0


def _ranges(array: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and largest finite value of every place on an axis of the examples."""
    array = array if array.ndim > 1 else array[:, None]
    rest = tuple(index for index in range(1, array.ndim) if index != axis + 1)
    low, high = np.inf, -np.inf
    for row in array:
        values = row[None].astype(np.float64)
        known = np.isfinite(values)
        low = np.minimum(low, np.where(known, values, np.inf).min(rest)[0])
        high = np.maximum(high, np.where(known, values, -np.inf).max(rest)[0])
    return np.asarray(low), np.asarray(high)


def _apart(low: np.ndarray, high: np.ndarray) -> list[list[int]]:
    """Group places by their ranges. Values from 0 to 1 are shares, whose range is 1 even where none was large."""
    sizes = np.maximum(np.abs(low), np.abs(high))
    sizes = np.where((low >= 0) & (high <= 1), 1.0, sizes)
    order = np.argsort(-sizes, kind="stable")
    found = [[int(order[0])]]
    for before, place in pairwise(order):
        size = sizes[place]
        apart = size * NEIGHBOUR <= sizes[before] or size * TOP <= sizes[found[-1][0]]
        if apart:
            found.append([])
        found[-1].append(int(place))
    return [sorted(places) for places in found]


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
