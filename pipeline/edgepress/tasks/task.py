"""Define what a task tells all rooms above the data: losses, means of several models, and skill beyond chance."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from ..data.dataset import Dataset

    Loss = Callable[[Tensor, Tensor], Tensor]
    """(outputs (b, …), targets as `Examples.labels` has them) → a scalar."""
else:
    Loss = Callable

NEAR = 0.1
"""Skill below which a model counts as near chance; "slight" agreement ends at 0.2 (Landis and Koch, 1977)."""


@dataclass(frozen=True)
class Skill:
    """How far a model is above chance: 0 at chance, 1 at best, with its standard error, in words."""

    value: float
    error: float
    words: str

    @property
    def near_chance(self) -> bool:
        """Whether it is slight, or not significantly above 0."""
        return self.value < NEAR or self.value < 2 * self.error


class Task(ABC):
    """A kind of task; outputs of a model are (b, …), its first axis behind the batch classes or channels.

    Its raw targets, and what a mean of outputs is, are known in `data.targets` under the same name. Torch and numpy
    are imported inside the methods, so that reading a recipe stays instant.

    Class attributes:
        name: as a data set has it.
        about_classes: whether an output is a logit for each class of which an example has one; `distill.dkd` and the
            like are about those.
        about_maps: whether an output is a map for each class or point; `distill.cwd` is about those.
        dense: whether outputs are so large that teachers' are kept as float16 and read by batch.
        alike: what `agreement` is a share of; empty where it is a `likeness`, an R².
        averages: whether a mean of several models' outputs is one, as `fuse.ensemble` makes it in a graph.
        stacks: whether `fuse.stack` can fit a linear model on the members' outputs.
        takes: what the losses take notice of: `weights` and `sampling` of `balance`, `label_smoothing`, `temperature`.
        lenient: whether the others are warned of, and not refused: recipes that set them have run.
    """

    name: ClassVar[str]
    about_classes: ClassVar[bool] = False
    about_maps: ClassVar[bool] = False
    dense: ClassVar[bool] = False
    alike: ClassVar[str] = "examples"
    averages: ClassVar[bool] = True
    stacks: ClassVar[bool] = False
    takes: ClassVar[frozenset[str]] = frozenset()
    lenient: ClassVar[bool] = False

    def bound(self, module: nn.Module) -> Task:
        """Return the task as losses of the outputs of `module` need it: of detectors these differ by the network."""
        return self

    @abstractmethod
    def loss(self, data: Dataset, *, smoothing: float = 0.0, balanced: bool = False) -> Loss:
        """Return the training loss against the targets.

        `balanced` weighs rare classes more; tasks without classes have neither that nor `smoothing`.
        """

    @abstractmethod
    def kd(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """Return the distance of a student's outputs from a teacher's, softened by `temperature`: a scalar."""

    @abstractmethod
    def nll(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return what weights of an ensemble minimise: mean negative log-likelihood in nats, up to constants."""

    def nll_of(self, outputs: np.ndarray, y: np.ndarray) -> float:
        """Return `nll` of arrays, for notes and reports."""
        import torch

        return float(self.nll(torch.from_numpy(outputs), torch.from_numpy(y.copy())))

    def predictions(self, outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return what is kept of outputs to compare models by: all, or of dense ones what they predict."""
        return outputs

    def agreement(self, outputs: np.ndarray, other: np.ndarray, y: np.ndarray) -> float:
        """Return how alike two models' `predictions` are: the share of equal ones, or their `likeness`."""
        from ..core.likeness import likeness

        return likeness(outputs, other)

    def mean(self, outputs: Sequence[Tensor], shares: Tensor) -> Tensor:
        """Return the mean of teachers' outputs (n, …) weighed by `shares` (teachers, n)."""
        from ..models.ensemble import blend

        each = (len(shares), -1, *[1] * (outputs[0].ndim - 1))
        return blend(list(outputs), list(shares.reshape(each)), self.name)

    @abstractmethod
    def skill(self, outputs: np.ndarray, y: np.ndarray, metric: str = "") -> Skill:
        """Return how far outputs, or `predictions`, are above chance on targets `y`; `metric` is the recipe's."""


class LabelTask(Task):
    """A task whose output is one vector (b, labels): a logit for each label, or quantities."""

    stacks: ClassVar[bool] = True

    def nll_of(self, outputs: np.ndarray, y: np.ndarray) -> float:
        from ..core.metric_functions import nll

        return nll(outputs, y)

    def agreement(self, outputs: np.ndarray, other: np.ndarray, y: np.ndarray) -> float:
        from ..core.metric_functions import agreement

        return agreement(outputs, other, y)
