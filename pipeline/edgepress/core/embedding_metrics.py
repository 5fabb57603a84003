"""Score vectors (n, length): each example is a query, all others of the split are the gallery.

The gallery stays whole in the bootstrap, which draws queries: a copy of a query would be its nearest neighbour.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_QUERIES = 256
"""Queries that are compared with the gallery at once."""


def nearest(outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return (n, 2): whether the nearest example by cosine is of the same identity, and 1; 0 and 0 without another."""
    parts = np.zeros((len(y), 2))
    for rows, alike in _similarities(outputs):
        same = y[alike.argmax(1)] == y[rows]
        parts[rows, 0], parts[rows, 1] = same, 1
    return parts * _paired(y)[:, None]


def precisions(outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return (n, 2): the average precision of each query, and 1; 0 and 0 where no other is of its identity."""
    parts = np.zeros((len(y), 2))
    for rows, alike in _similarities(outputs):
        order = np.argsort(-alike, axis=1, kind="stable")[:, :-1]  # the last is the query itself
        relevant = y[order] == y[rows, None]
        hits = relevant.cumsum(1) / np.arange(1, len(y))
        parts[rows, 0] = (hits * relevant).sum(1) / np.maximum(relevant.sum(1), 1)
        parts[rows, 1] = 1
    return parts * _paired(y)[:, None]


def cosines(outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return (n, 2): the cosine of each vector with its target, and 1."""
    return np.stack([(units(outputs) * units(y)).sum(1), np.ones(len(y))], 1)


def units(vectors: np.ndarray) -> np.ndarray:
    """Return vectors of length 1; those without a direction, or that are no numbers, are 0."""
    values = np.nan_to_num(vectors.astype(np.float64), posinf=0, neginf=0)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)


def _paired(y: np.ndarray) -> np.ndarray:
    """Return of each example (n,) whether there is another of its identity."""
    _, of, counts = np.unique(y, return_inverse=True, return_counts=True)
    found: np.ndarray = counts[of] > 1
    return found


def _similarities(outputs: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield rows, and their cosines with all examples, −∞ with themselves."""
    vectors = units(outputs)
    for start in range(0, len(vectors), _QUERIES):
        rows = np.arange(start, min(start + _QUERIES, len(vectors)))
        alike = vectors[rows] @ vectors.T
        alike[np.arange(len(rows)), rows] = -np.inf
        yield rows, alike
