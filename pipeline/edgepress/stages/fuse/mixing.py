"""Mix the weights of models with one architecture.

Whole states are mixed, or the deltas that fine-tuning added to a base.

States are as `nn.Module.state_dict` gives them, with the same names and shapes. Floats are mixed tensor by tensor in
float32 and come back in their own type; integers, such as batch-norm's counters, have no mean: the first's are copied.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

State = dict[str, Tensor]

PARALLEL = 0.9995
"""Cosine of two tensors above which the sphere between them is flat in float32."""


def weighted(states: Sequence[State], weights: Sequence[float]) -> State:
    """Return Σ wₖ θₖ (Wortsman et al., 2022)."""
    return _mixed(states, lambda rows: torch.tensor(weights, dtype=rows.dtype) @ rows)


def mean(states: Sequence[State]) -> State:
    """Return the uniform soup (Wortsman et al., 2022)."""
    return _mixed(states, lambda rows: rows.mean(0))


def slerp(first: State, second: State, t: float) -> State:
    """Return the point at `t` in 0 … 1 of the arc from `first` to `second` (Shoemake, 1985), tensor by tensor.

    A straight line where the two are nearly parallel, or one of them is zero.
    """

    def arc(rows: Tensor) -> Tensor:
        cosine = _cosine(rows[0], rows[1])
        if abs(cosine) > PARALLEL or not rows.any(1).all():
            return (1 - t) * rows[0] + t * rows[1]
        angle = math.acos(cosine)
        return (math.sin((1 - t) * angle) * rows[0] + math.sin(t * angle) * rows[1]) / math.sin(angle)

    return _mixed([first, second], arc)


def task_arithmetic(base: State, states: Sequence[State], scale: float = 0.3) -> State:
    """Return base + scale · Σ (θₖ − base) (Ilharco et al., 2023)."""
    return _onto(base, states, lambda deltas: scale * deltas.sum(0))


def ties(base: State, states: Sequence[State], keep: float = 0.2, scale: float = 1.0) -> State:
    """Trim, elect, merge (Yadav et al., 2023).

    Of each tensor of each delta the `keep` share of largest size stays; a value's sign is that of the larger total;
    what agrees with it is averaged, and added to the base times `scale`.
    """

    def merged(deltas: Tensor) -> Tensor:
        count = max(1, math.ceil(keep * deltas.shape[1]))
        largest = deltas.abs().topk(count).indices
        trimmed = torch.zeros_like(deltas).scatter(1, largest, deltas.gather(1, largest))
        agree = trimmed * trimmed.sum(0).sign() > 0
        return scale * (trimmed * agree).sum(0) / agree.sum(0).clamp(min=1)

    return _onto(base, states, merged)


def dare(base: State, states: Sequence[State], drop: float = 0.5, scale: float = 1.0, seed: int = 0) -> State:
    """Drop and rescale (Yu et al., 2024): each value of a delta is 0 by the chance `drop`, or else 1 / (1 − drop) of
    itself; the mean of the deltas times `scale` is added to the base."""
    random = torch.Generator().manual_seed(seed)

    def dropped(deltas: Tensor) -> Tensor:
        kept = torch.rand(deltas.shape, generator=random) >= drop
        return scale * (deltas * kept / (1 - drop)).mean(0)

    return _onto(base, states, dropped)


def model_stock(base: State, states: Sequence[State]) -> State:
    """Model stock (Jang et al., 2024): t · mean + (1 − t) · base, t = N cos / (1 + (N − 1) cos) of each tensor.

    cos is the mean cosine between two deltas; deltas that lead apart (cos < 0) leave the base as it is.
    """

    def stock(deltas: Tensor) -> Tensor:
        count = len(deltas)
        pairs = [(i, j) for i in range(count) for j in range(i)]
        cosine = max(0.0, sum(_cosine(deltas[i], deltas[j]) for i, j in pairs) / len(pairs)) if pairs else 1.0
        return count * cosine / (1 + (count - 1) * cosine) * deltas.mean(0)

    return _onto(base, states, stock)


def _mixed(states: Sequence[State], mix: Callable[[Tensor], Tensor]) -> State:
    """Apply `mix` to each tensor's values, (states, values) → (values,)."""
    mixed = {}
    for name, first in states[0].items():
        if first.is_floating_point():
            rows = torch.stack([state[name].float().flatten() for state in states])
            mixed[name] = mix(rows).reshape(first.shape).to(first.dtype)
        else:
            mixed[name] = first.clone()
    return mixed


def _onto(base: State, states: Sequence[State], merge: Callable[[Tensor], Tensor]) -> State:
    """Add to the base what `merge` makes of the states' deltas, (states, values) → (values,)."""
    merged = _mixed([*states, base], lambda rows: rows[-1] + merge(rows[:-1] - rows[-1]))
    # A sum of deltas may lead below 0, where no variance is.
    return {name: tensor.clamp(min=0) if name.endswith("running_var") else tensor for name, tensor in merged.items()}


def _cosine(first: Tensor, second: Tensor) -> float:
    """Return the cosine, 0 when either (values,) is zero; in float64, for cosines near 1 decide."""
    a, b = first.double(), second.double()
    return float(a @ b / (a.norm() * b.norm()).clamp(min=1e-300))
