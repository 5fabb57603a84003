"""Estimate a range from a histogram: minmax, percentile, entropy or mse.

Each is (histogram, symmetric) → (low, high). All but minmax clip outliers.

None goes beyond the values seen, but for a symmetric range of values that are not.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .histograms import HALF, Histogram

PERCENT = 99.999
"""Of the values that `percentile` keeps, both sides together; onnxruntime's default."""
BINS, LEVELS = 128, 128
"""Of `entropy`: bins over the whole range, and the levels that they are merged into; onnxruntime's defaults. With more
bins small networks lose most of their accuracy to it."""
_TRIED = 32
"""Clips that `mse` tries at each side, before it looks around the best."""


def minmax(histogram: Histogram, symmetric: bool) -> tuple[float, float]:
    """Cover every value seen."""
    return _within(histogram, histogram.low, histogram.high, symmetric)


def percentile(histogram: Histogram, symmetric: bool) -> tuple[float, float]:
    """Clip the outermost values: an equal share of each end, or the largest by absolute value."""
    counts, edges, outside = histogram.counts, histogram.edges, 1 - PERCENT / 100
    if symmetric:
        counts, edges = counts[HALF:] + counts[:HALF][::-1], edges[HALF:]
    else:
        outside /= 2
    total = counts.cumsum()
    below, above = np.searchsorted(total, [total[-1] * outside, total[-1] * (1 - outside)])
    return _within(histogram, float(edges[below]), float(edges[above + 1]), symmetric)


def entropy(histogram: Histogram, symmetric: bool) -> tuple[float, float]:
    """Clip symmetrically where the 8-bit form has the least Kullback-Leibler divergence from the values.

    As in TensorRT (Migacz, 8-bit inference with TensorRT, 2017) and as onnxruntime counts it: what is clipped belongs
    to the outermost bins, and bins at the right end that do not fill a level count as empty in the 8-bit form.
    """
    largest = max(-histogram.low, histogram.high)
    if not largest:
        return 0.0, 0.0
    edges = np.linspace(-largest, largest, BINS + 1)
    counts = _rebinned(histogram, edges)
    seen = np.concatenate(([0], counts.cumsum()))
    best, clip = np.inf, largest
    for half in range(LEVELS // 2, BINS // 2 + 1):
        start, end = BINS // 2 - half, min(BINS // 2 + half + 1, BINS)
        inside = counts[start:end]
        p = inside.copy()
        p[0] += seen[start]
        p[-1] += seen[-1] - seen[end]
        size = len(p) // LEVELS
        full = size * LEVELS
        sums = inside[:full].reshape(LEVELS, size).sum(1)
        sums[-1] += inside[full:].sum()
        filled = (p[:full] > 0).reshape(LEVELS, size).sum(1)
        q = np.zeros_like(p)
        q[:full] = np.repeat(np.where(filled, sums // np.maximum(filled, 1), 0), size)
        divergence = _divergence(p, q)
        if divergence < best:
            best, clip = divergence, float(edges[end])
    return _within(histogram, -clip, clip, symmetric)


def mse(histogram: Histogram, symmetric: bool) -> tuple[float, float]:
    """Minimize the mean squared error of rounding and clipping together."""
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    if symmetric:
        low, high = min(low, -high), max(-low, high)
    if low == high:
        return 0.0, 0.0
    occupied = np.flatnonzero(histogram.counts)
    counts = histogram.counts[occupied[0] : occupied[-1] + 1].astype(np.float64)
    edges = histogram.edges[occupied[0] : occupied[-1] + 2]

    def error(shares: tuple[float, float]) -> float:
        return _squared(counts, edges, low * shares[0], high * shares[1], symmetric)

    def better(best: tuple[float, float], side: int, shares: np.ndarray) -> tuple[float, float]:
        """Return the best share of one end; of both, where the range is symmetric."""
        if symmetric:
            return min([best, *((share, share) for share in shares.tolist())], key=error)
        return min([best, *((best[0], share) if side else (share, best[1]) for share in shares.tolist())], key=error)

    best = (1.0, 1.0)
    sides = [1] if symmetric else [side for side, end in ((1, high), (0, low)) if end]
    for side in sides * len(sides):
        best = better(best, side, np.arange(1, _TRIED + 1) / _TRIED)
    for side in sides:
        around = best[side] + np.linspace(-1, 1, 17) / _TRIED
        best = better(best, side, around[(around > 0) & (around <= 1)])
    return _within(histogram, low * best[0], high * best[1], symmetric)


CLIPS: dict[str, Callable[[Histogram, bool], tuple[float, float]]] = {
    "minmax": minmax,
    "percentile": percentile,
    "entropy": entropy,
    "mse": mse,
}


def _within(histogram: Histogram, low: float, high: float, symmetric: bool) -> tuple[float, float]:
    """Limit the range to the values seen."""
    lowest, highest = histogram.low, histogram.high
    if symmetric:
        high = min(max(-low, high), max(-lowest, highest))
        return -high, high
    return max(low, lowest), min(high, highest)


def _rebinned(histogram: Histogram, edges: np.ndarray) -> np.ndarray:
    """Count in wider bins, int64; the last holds its right end, and values lie evenly in the narrow bins."""
    total = np.concatenate(([0], histogram.counts.cumsum()))
    rebinned: np.ndarray = np.diff(
        np.rint(np.interp(edges, histogram.edges.clip(histogram.low, histogram.high), total))
    )
    return rebinned.astype(np.int64)


def _divergence(p: np.ndarray, q: np.ndarray) -> float:
    """Return the Kullback-Leibler divergence; each empty bin borrows a little from those that are not."""
    if not q.any():
        return np.inf
    shares = []
    for counts in (p, q):
        empty = counts == 0
        borrowed = 1e-4 * empty.sum() / (~empty).sum()
        smooth = np.where(empty, 1e-4, counts - borrowed)
        shares.append(smooth / smooth.sum())
    return float((shares[0] * np.log(shares[0] / shares[1])).sum())


def _squared(counts: np.ndarray, edges: np.ndarray, low: float, high: float, symmetric: bool) -> float:
    """Return the squared error of values that lie evenly in their bins, rounded to the 8 bits of a range.

    Around level k the error is x − k · scale; the integral of its square up to x is x's share of that level and a
    twelfth of scale³ for each whole level before, and beyond the last level it goes on as clipping.
    """
    scale = high / 127 if symmetric else (high - low) / 255
    first = -127 if symmetric else round(low / scale)
    level = np.rint(edges / scale).clip(first, 127 if symmetric else first + 255)
    off = edges - level * scale
    integral = level * (scale**3 / 12) + off * off * off / 3
    return float(counts @ np.diff(integral))
