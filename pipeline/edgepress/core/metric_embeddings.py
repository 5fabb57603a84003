"""Score embeddings (n, length) against identities int64 (n,), or against a teacher's vectors float32 (n, length).

Each example is a query, and all others of the split are the gallery, nearest first by cosine. What a query finds
depends on all of them, so the parts of chunks are the vectors; `queried` ranks them once, and draws are of queries:
an example that is drawn twice would find itself.
"""

from __future__ import annotations

import math

import numpy as np

from .errors import UserError

QUERIES = 256
"""Queries that are ranked at once: their similarities to all others are in memory."""


def vectors(outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return float64 (n, 1 + length): the identity, and the vector at length 1."""
    if y.ndim > 1:
        raise UserError("it compares identities, and the targets are vectors", "`metric: cosine` compares vectors")
    return np.concatenate([y[:, None], _units(outputs)], 1)


def queried(parts: np.ndarray) -> np.ndarray:
    """Return of each query (n, 3): recall at 1, average precision, and whether another has its identity, else all 0.

    Recall is 1 where the nearest is of the same identity. Average precision is the mean, over those of the same
    identity, of the share of them among all that are as near; equal similarities are in the order of the split.
    """
    names, units = parts[:, 0], parts[:, 1:]
    found = []
    for start in range(0, len(parts), QUERIES):
        rows = np.arange(start, min(start + QUERIES, len(parts)))
        near = units[rows] @ units.T
        near[np.arange(len(rows)), rows] = -np.inf
        order = np.argsort(-near, 1, kind="stable")[:, :-1]  # the last is the query itself
        same = names[order] == names[rows, None]
        precision = same.cumsum(1) / np.arange(1, len(parts))
        count = same.sum(1)
        average = (precision * same).sum(1) / np.maximum(count, 1)
        found.append(np.stack([same[:, 0], average, count > 0], 1))
    return np.concatenate(found)


def nearest(outputs: np.ndarray) -> np.ndarray:
    """Return of each example the row (n,) of the nearest other one."""
    units, rows = _units(outputs), []
    for start in range(0, len(units), QUERIES):
        near = units[start : start + QUERIES] @ units.T
        near[np.arange(len(near)), np.arange(start, start + len(near))] = -np.inf
        rows.append(near.argmax(1))
    return np.concatenate(rows)


def mated(y: np.ndarray) -> np.ndarray:
    """Return (n,) whether another example has the same identity: without one a query counts nowhere."""
    _, of, count = np.unique(y, return_inverse=True, return_counts=True)
    alike: np.ndarray = count[of] > 1
    return alike


def recall_at_1(queries: np.ndarray) -> float:
    return _of_queries(queries, 0)


def mean_average_precision(queries: np.ndarray) -> float:
    return _of_queries(queries, 1)


def cosines(outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the cosine of each output with the vector that is its target."""
    if y.ndim != 2:
        raise UserError("it compares vectors, and the targets are identities", "`metric: recall@1`, or `map`")
    if y.shape != outputs.shape:
        message = f"the targets have {y.shape[1]} numbers, and the model's outputs {outputs.shape[1]}"
        raise UserError(message, "a vector of another length has no angle to it")
    cosine: np.ndarray = (_units(outputs) * _units(y)).sum(1)
    return cosine


def _of_queries(queries: np.ndarray, column: int) -> float:
    count = queries[:, 2].sum()
    return float(queries[:, column].sum() / count) if count else math.nan


def _units(outputs: np.ndarray) -> np.ndarray:
    """Return vectors at length 1; what is no number, and zero, has no direction and is near nothing."""
    values = np.nan_to_num(outputs.astype(np.float64), posinf=0, neginf=0)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
