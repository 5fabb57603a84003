"""Define what the data room knows of targets: their arrays, checks, and how they move with a picture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ...core.errors import UserError
from ..words import described, several

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ..dataset import Task

Link = Literal["softmax", "sigmoid", "identity"]
"""What makes means of outputs: probabilities of one class, of each label, or the outputs as they are."""
Pairs = tuple[tuple[int, int], ...]


class Targets(ABC):
    """The targets of one kind of task; rows of them are the first axis of an array.

    Class attributes:
        task: its name.
        link: how outputs become what is averaged; the axis of a softmax is the second, behind the batch.
        meaning: what the metadata of a file calls the outputs of such a model.
        classes: whether every example has one class, so that classes can be counted, balanced and thinned out.
        noisy: whether labels can be replaced by wrong ones, for an experiment.
        spatial: whether they move with the picture, so that there is one.
        per_label: whether a model has one output, or one map, for each label.
        together: how many examples of a kind are neighbours in an epoch's order.
        immovable: the augmentations of torchvision that they cannot follow.
        least_units: how many units, groups or different examples, a split needs.
        mixable: whether a mean of two examples' targets is a target.
    """

    task: ClassVar[Task]
    link: ClassVar[Link] = "identity"
    meaning: ClassVar[str] = "values"
    classes: ClassVar[bool] = False
    noisy: ClassVar[bool] = False
    spatial: ClassVar[bool] = False
    per_label: ClassVar[bool] = True
    together: ClassVar[int] = 1
    immovable: ClassVar[tuple[str, ...]] = ()
    least_units: ClassVar[int] = 1
    mixable: ClassVar[bool] = True

    def array(self, y: Any) -> np.ndarray:
        """Return targets, as readers and functions have them, as one array."""
        import numpy as np

        return np.asarray(y)

    @abstractmethod
    def checked(
        self, y: np.ndarray, labels: Sequence[str], size: tuple[int, ...] | None = None
    ) -> tuple[np.ndarray, tuple[str, ...]]:
        """Return targets with the type of a `Split`, and the names of the labels. Raises: UserError.

        `size` is the height and width of the examples' pictures, if they are pictures.
        """

    def verify_inputs(self, inputs: Sequence[str]) -> None:
        """Raise UserError unless targets that move with a picture have one input, by name."""
        if self.spatial and len(inputs) > 1:
            raise UserError(
                f"{self.task} takes one input, an image, and there are {len(inputs)}: {', '.join(inputs)}",
                "leave the others out",
            )

    def verify(self, y: np.ndarray, labels: Sequence[str], size: tuple[int, ...] | None = None) -> None:  # noqa: B027
        """Raise UserError unless `y` is what `checked` returns, for a `Dataset` that a user's function made."""

    def required(self, labels: int) -> frozenset[int]:
        """Return the labels of which train must have an example."""
        return frozenset()

    def present(self, y: np.ndarray) -> set[int]:
        """Return the labels of which rows `y` have an example, where train is to have one of each."""
        return set()

    def groups(self, y: np.ndarray) -> np.ndarray | None:
        """Return the group (n,) of each example where the targets alone decide it, to be kept in one split."""
        return None

    def reject_split(self, y: np.ndarray, labels: Sequence[str]) -> tuple[str, str] | None:
        """Return why a model cannot learn from, or be judged on, the rows `y` of one split, and the next act."""
        return None

    def moved(self, y: Tensor, flips: Tensor, moves: Tensor, size: tuple[int, int], pairs: Pairs = ()) -> Tensor:
        """Return rows `y` mirrored where `flips` (b,), then moved up and left by `moves` (b, 2) pixels.

        `size` is the height and width of the picture, whose edge pixels are repeated; `pairs` are labels that change
        places in a mirror.
        """
        raise NotImplementedError(self.task)

    def wrapped(self, y: Tensor, size: tuple[int, int]) -> Any:
        """Return the target of one example as torchvision's transforms move it."""
        raise NotImplementedError(self.task)

    def unwrapped(self, moved: Any, y: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the target of one example, which was `y`, behind those transforms."""
        raise NotImplementedError(self.task)


def verify_as_checked(targets: Targets, y: np.ndarray, labels: Sequence[str], size: tuple[int, ...] | None) -> None:
    """Raise UserError unless `y` is what `checked` makes of it: nothing is converted in a `Dataset`."""
    made, names = targets.checked(y, labels, size)
    if len(names) != len(labels):
        raise UserError(f"there are {len(labels)} `labels`, and {len(names)} are needed", "name each")
    if (y.dtype, y.shape) != (made.dtype, made.shape):
        raise UserError(
            f"the targets are {described(y)}, and a Dataset of the task {targets.task} takes {described(made)}",
            "convert them, or return `edgepress.Examples`, which are converted",
        )


def finite(name: str, raw: np.ndarray) -> np.ndarray:
    """Return float32 values. Raises: UserError where some are no numbers of that type."""
    import numpy as np

    with np.errstate(over="ignore"):
        values = raw.astype(np.float32)
    wrong = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))
    if len(wrong):
        raise UserError(
            f"`{name}` has values that are NaN, infinite or too large for float32, in {len(wrong)} of {len(raw)} rows; "
            f"rows from 0: {several(wrong.tolist())}",
            "fill them in, or leave these rows out",
        )
    return values
