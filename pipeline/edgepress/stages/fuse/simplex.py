"""Fit weights of several models' outputs by maximum likelihood.

No weight is negative, and they sum to 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from ...core.errors import UserError
from ...data.dataset import Split
from ...data.rows import choose
from ...models.ensemble import Of, blend
from ...tasks import TASKS

if TYPE_CHECKING:
    from ...data.dataset import Dataset
    from ...models.description import Task


OUTPUTS, FEWEST = 2**28, 16
"""Bytes of a model's outputs in float64 that are held to fit weights to; and the fewest examples."""


def shortened(data: Dataset, shape: Sequence[int]) -> Dataset:
    """Return `data` with as many validation examples, evenly spread, as weights of dense outputs are fitted to.

    `shape` is that of one example's output.
    """
    if not TASKS[data.task].dense:
        return data
    x, y = data["validation"]
    most = max(FEWEST, OUTPUTS // (8 * math.prod(shape)))
    rows = np.unique(np.linspace(0, len(y) - 1, min(len(y), most)).round().astype(np.int64))
    return replace(data, splits=data.splits | {"validation": Split(choose(x, rows), y[rows])})


def fit(outputs: Sequence[Tensor], y: Tensor, task: Task, of: Of = "probabilities") -> list[float]:
    """Return the weights of lowest negative log-likelihood of `y` under the blend of `outputs`, (n, …) each.

    `of` says what is blended, as in `ensemble.blend`; `y` is as `data.Split` has it, and the likelihood is the task's,
    `Task.nll`: of a regression the squared error is lowered. The problem is convex, but for identities; the solution of
    SLSQP (Kraft, 1988) is compared with equal weights and with each model alone, so that it is never worse than they
    are.
    """
    count, nll = len(outputs), TASKS[task].nll
    logits = [member.double() for member in outputs]

    def loss(weights: Tensor) -> Tensor:
        return nll(blend(logits, list(weights), task, of), y)

    def slope(weights: np.ndarray) -> tuple[float, np.ndarray]:
        point = torch.tensor(weights, requires_grad=True)
        value = loss(point)
        value.backward()
        assert point.grad is not None
        return float(value.detach()), point.grad.numpy()

    equal = np.full(count, 1 / count)
    sums = {"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(count)}
    # The size of squared errors is that of the labels, and SLSQP's tolerance is absolute.
    size = max(slope(equal)[0], 1e-12)
    solved = minimize(
        lambda w: tuple(part / size for part in slope(w)),
        equal, jac=True, method="SLSQP", bounds=[(0, 1)] * count, constraints=sums, options={"ftol": 1e-10},
    ).x.clip(0)  # fmt: skip
    candidates = [equal, *np.eye(count)]
    if np.isfinite(solved).all() and solved.sum() > 0:
        candidates.insert(0, solved / solved.sum())
    with torch.no_grad():
        losses = [float(loss(torch.from_numpy(candidate))) for candidate in candidates]
    if np.isnan(losses).all():
        broken = [int((~torch.isfinite(member.flatten(1))).any(1).sum()) for member in logits]
        which = [f"model {place} for {rows:,}" for place, rows in enumerate(broken, 1) if rows]
        raise UserError(
            f"some outputs are no numbers, {', '.join(which)} of {len(y):,} validation examples",
            "take such a model out, or check how its inputs are prepared",
        )
    best: list[float] = candidates[int(np.nanargmin(losses))].tolist()
    return best
