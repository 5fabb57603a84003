"""Try mixtures of weights on the validation split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...core.errors import UserError
from ...training import Examples, logits, reestimate
from . import rebasin
from .mixing import State, mean

if TYPE_CHECKING:
    from ...models.description import Description
    from ...stage import Context

Statistics = Literal["reestimate", "mean"]

BARRIER = 2.0
"""Points of validation accuracy that the midpoint of two models may fall below their mean."""


class Trial(NamedTuple):
    """A state, how good it is on validation in points of the recipe's metric, and where its batch-norm statistics
    are from: None of a network without them, and of a member as it is."""

    state: State
    goodness: float
    bn: Statistics | None


class Trials:
    """The members, the first's module to put states into, and what was tried.

    `loaded` are modules with their descriptions, by name. Raises: UserError when they are not alike.
    """

    def __init__(
        self, loaded: dict[str, tuple[nn.Module, Description]], context: Context, *, align: bool, bn: str
    ) -> None:
        (first, (self.module, self.description)), *others = loaded.items()
        for name, (module, description) in others:
            _check_alike(first, self.module, self.description, name, module, description)
        # Copies: trials are put into the first module, whose own state would change with it.
        self.states = {name: _copied(module.state_dict()) for name, (module, _) in loaded.items()}
        if align:
            for name, (module, _) in others:
                self.states[name] = rebasin.align(self.module, module, self.description.example(), context.seed)
        self.context, self.aligned, self.bn = context, align, bn
        self.norms = [each for each in self.module.modules() if isinstance(each, _BatchNorm)]
        self._alone: dict[str, Trial] = {}

    def alone(self, name: str) -> Trial:
        """A member as it is."""
        if name not in self._alone:
            self._alone[name] = Trial(self.states[name], self._goodness(self.states[name]), None)
        return self._alone[name]

    def mixed(self, state: State) -> Trial:
        """A mixture, with the batch-norm statistics that `bn` says."""
        if not self.norms:
            return Trial(state, self._goodness(state), None)
        found = []
        if self.bn != "mean":
            anew = self._reestimated(state)
            found.append(Trial(anew, self._goodness(anew), "reestimate"))
        if self.bn != "reestimate":
            found.append(Trial(state, self._goodness(state), "mean"))
        return max(found, key=lambda trial: trial.goodness)

    def barriers(self, names: Sequence[str]) -> dict[str, float]:
        """How far the midpoint of the first and each other member falls below the mean of the two, in points.

        Raises: UserError when one is above `BARRIER`.
        """
        first, *others = names
        return {name: self._barrier(first, name) for name in others}

    def _barrier(self, one: str, other: str) -> float:
        middle = self.mixed(mean([self.states[one], self.states[other]])).goodness
        found = (self.alone(one).goodness + self.alone(other).goodness) / 2 - middle
        if found > BARRIER:
            fuse = "use `fuse.ensemble`, and `distill.kd` after it"
            raise UserError(
                f"`{one}` and `{other}` do not average: their midpoint is {found:.1f} points below their mean",
                fuse if self.aligned else f"weights average from a shared start; try `align: rebasin`, or {fuse}",
            )
        return found

    def _goodness(self, state: State) -> float:
        data = self.context.data.to_learn_from()
        self.module.load_state_dict(state)
        answers = logits(self.module, Examples(data, "validation", self.context.seed))
        return self.context.metric.score_points(answers, data["validation"].y)

    def _reestimated(self, state: State) -> State:
        """The state with mean and variance of one pass over the training examples, each batch with equal weight."""
        self.module.load_state_dict(state)
        return _copied(reestimate(self.module, self.context.data, self.context.seed).state_dict())


def _copied(state: dict[str, Any]) -> State:
    return {name: tensor.detach().clone() for name, tensor in state.items()}


def _check_alike(
    first: str, expected: nn.Module, of: Description, name: str, found: nn.Module, described: Description
) -> None:
    for each, description in ((first, of), (name, described)):
        if description.members:
            raise UserError(
                f"`{each}` is an ensemble, and an ensemble has no weights to average", "name its members instead"
            )
    other = "use `fuse.ensemble`, which takes any architectures"
    if of.network != described.network:
        raise UserError(f"`{name}` is not the architecture of `{first}`, so their weights have no mean", other)
    if of.pruned != described.pruned:
        raise UserError(f"`{name}` is not pruned as `{first}` is, so their weights have no mean", other)
    one, two = (dict(module.state_dict()) for module in (expected, found))
    different = [key for key in one | two if _shape(one.get(key)) != _shape(two.get(key))]
    if different:
        key = different[0]
        raise UserError(
            f"{len(different)} tensors of `{name}` have other shapes than in `{first}`: `{key}` is "
            f"{_shape(two.get(key))}, not {_shape(one.get(key))}",
            other,
        )


def _shape(tensor: torch.Tensor | None) -> str:
    return "missing" if tensor is None else "×".join(map(str, tensor.shape)) or "a number"
