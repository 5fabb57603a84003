"""Try mixtures of weights on the validation split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...core.errors import UserError
from ...training import reestimate
from ...training.inference import score_points
from . import rebasin
from .mixing import State, mean

if TYPE_CHECKING:
    from ...models.description import Description
    from ...stage import Context

Statistics = Literal["reestimate", "mean"]

BARRIER = 2.0
"""Points of validation accuracy that the midpoint of two models may fall below their mean."""


class Trial(NamedTuple):
    """A state, its score on validation in points of the recipe's metric, and the origin of its batch-norm statistics:
    None for a network without them and for an unchanged member."""

    state: State
    points: float
    bn: Statistics | None


class Trials:
    """The members, the first's module to load states into, and the trials so far.

    `loaded` are modules with their descriptions, by name. Raises: UserError when they are not alike.
    """

    def __init__(
        self, loaded: dict[str, tuple[nn.Module, Description]], context: Context, *, align: bool, bn: str
    ) -> None:
        (first, (self.module, self.description)), *rest = loaded.items()
        for name, (module, description) in rest:
            _check_alike(first, self.module, self.description, name, module, description)
        # Copies: trials are put into the first module, whose own state would change with it.
        self.states = {name: _clone_state(module.state_dict()) for name, (module, _) in loaded.items()}
        if align:
            for name, (module, _) in rest:
                self.states[name] = rebasin.align(self.module, module, self.description.example(), context.seed)
        self.context, self.aligned, self.bn = context, align, bn
        self.norms = [layer for layer in self.module.modules() if isinstance(layer, _BatchNorm)]
        self._alone: dict[str, Trial] = {}

    def alone(self, name: str) -> Trial:
        """Score an unchanged member."""
        if name not in self._alone:
            self._alone[name] = Trial(self.states[name], self._score(self.states[name]), None)
        return self._alone[name]

    def mixed(self, state: State) -> Trial:
        """Score a mixture, with the batch-norm statistics that `bn` selects."""
        if not self.norms:
            return Trial(state, self._score(state), None)
        trials = []
        if self.bn != "mean":
            reestimated = self._reestimate(state)
            trials.append(Trial(reestimated, self._score(reestimated), "reestimate"))
        if self.bn != "reestimate":
            trials.append(Trial(state, self._score(state), "mean"))
        return max(trials, key=lambda trial: trial.points)

    def barriers(self, names: Sequence[str]) -> dict[str, float]:
        """Return how far the midpoint of the first and each other member falls below the mean of the two, in points.

        Raises: UserError when one is above `BARRIER`.
        """
        first, *rest = names
        return {name: self._barrier(first, name) for name in rest}

    def _barrier(self, first: str, second: str) -> float:
        midpoint = self.mixed(mean([self.states[first], self.states[second]])).points
        barrier = (self.alone(first).points + self.alone(second).points) / 2 - midpoint
        if barrier > BARRIER:
            fuse = "use `fuse.ensemble`, and `distill.kd` after it"
            raise UserError(
                f"`{first}` and `{second}` do not average: their midpoint is {barrier:.1f} points below their mean",
                fuse if self.aligned else f"weights average from a shared start; try `align: rebasin`, or {fuse}",
            )
        return barrier

    def _score(self, state: State) -> float:
        data = self.context.data.to_learn_from()
        self.module.load_state_dict(state)
        return score_points(self.module, data, "validation", self.context.metric, self.context.seed)

    def _reestimate(self, state: State) -> State:
        """Return the state with mean and variance from one pass over the training examples."""
        self.module.load_state_dict(state)
        return _clone_state(reestimate(self.module, self.context.data, self.context.seed).state_dict())


def _clone_state(state: dict[str, Any]) -> State:
    return {name: tensor.detach().clone() for name, tensor in state.items()}


def _check_alike(
    first: str,
    reference: nn.Module,
    reference_description: Description,
    name: str,
    candidate: nn.Module,
    candidate_description: Description,
) -> None:
    for member, member_description in ((first, reference_description), (name, candidate_description)):
        if member_description.members:
            raise UserError(
                f"`{member}` is an ensemble, and an ensemble has no weights to average", "name its members instead"
            )
    help = "use `fuse.ensemble`, which takes any architectures"
    if reference_description.network != candidate_description.network:
        raise UserError(f"`{name}` is not the architecture of `{first}`, so their weights have no mean", help)
    if reference_description.pruned != candidate_description.pruned:
        raise UserError(f"`{name}` is not pruned as `{first}` is, so their weights have no mean", help)
    shapes, other_shapes = (dict(module.state_dict()) for module in (reference, candidate))
    different = [key for key in shapes | other_shapes if _shape(shapes.get(key)) != _shape(other_shapes.get(key))]
    if different:
        key = different[0]
        raise UserError(
            f"{len(different)} tensors of `{name}` have other shapes than in `{first}`: `{key}` is "
            f"{_shape(other_shapes.get(key))}, not {_shape(shapes.get(key))}",
            help,
        )


def _shape(tensor: torch.Tensor | None) -> str:
    return "missing" if tensor is None else "×".join(map(str, tensor.shape)) or "a number"
