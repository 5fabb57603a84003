"""Distil intermediate features: FitNets, attention transfer, relational distillation."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ...stage import Artifact, Context

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ...training import Rows
    from .features import Taught

    Soft = Callable[[Tensor, Tensor, Tensor, Rows], Tensor]
    "(the student's answers, the teacher's, the labels, which rows) → the weighted distance of the two."
from .stages import _KD


class _Features(_KD):
    """KD on the answers, and a term on layers added to it."""

    named_kinds: ClassVar = ("torch",)
    adapted: ClassVar[bool] = False

    layers: dict[str, str] = Field(
        min_length=1, description="pairs of layers, student → teacher; `embedding` is the input of the last linear "
        "layer"
    )  # fmt: skip
    pool: bool = Field(
        default=False, description="average-pool the larger of two feature maps to the size of the smaller"
    )
    feature_weight: float = Field(default=1.0, gt=0, description="weight of the feature loss, the term on layers")

    def taught(self, student: nn.Module, inputs: dict[str, Artifact], context: Context) -> Taught | None:
        from ...models.checkpoint import load
        from .features import Taught, adapters

        teacher, description = load(inputs[self.teachers[0]].path, context.code)
        found = Taught(student, teacher, self.layers, description.example())
        if self.adapted:
            found.adapters = adapters(found)
        for one, other in found.features():
            self.term(one, other)  # sizes that do not fit are told before anything is trained
        return found

    def between(self, taught: Taught) -> Tensor | float:
        total = sum((self.term(one, other) for one, other in taught.seen), 0.0)
        return self.feature_weight * total / len(taught.seen)

    @abstractmethod
    def term(self, one: Tensor, other: Tensor) -> Tensor:
        """The loss on a pair of features, the student's first."""


class DistillFitnet(_Features):
    """Match the teacher's features by adapters: FitNets (Romero et al., 2015)."""

    adapted: ClassVar = True

    use: Literal["distill.fitnet"]
    feature_weight: float = Field(default=100.0, gt=0, description="weight of the feature loss, the term on layers")

    def term(self, one: Tensor, other: Tensor) -> Tensor:
        from .features import hint, pooled

        one, other = pooled(one, other, self.pool)
        # Before the adapters are there the width does not fit yet.
        return hint(one, other) if one.shape == other.shape else one.sum()


class DistillAT(_Features):
    """Match attention maps of layers (Zagoruyko & Komodakis, 2017).

    A map shows where a layer is active, so that the widths of the two layers may differ.
    """

    use: Literal["distill.at"]
    feature_weight: float = Field(default=1000.0, gt=0, description="weight of the feature loss, the term on layers")

    def term(self, one: Tensor, other: Tensor) -> Tensor:
        from .features import attention, pooled

        return attention(*pooled(one, other, self.pool))


class DistillRKD(_Features):
    """Match distances and angles within a batch: RKD (Park et al., 2019)."""

    use: Literal["distill.rkd"]
    layers: dict[str, str] = Field(
        default={"embedding": "embedding"}, min_length=1, description="pairs of layers, student → teacher; "
        "`embedding` is the input of the last linear layer"
    )  # fmt: skip
    distance_weight: float = Field(default=25.0, ge=0, description="weight of the term on distances between examples")
    angle_weight: float = Field(default=50.0, ge=0, description="weight of the term on angles between examples")

    def term(self, one: Tensor, other: Tensor) -> Tensor:
        from .features import angles, distances

        return self.distance_weight * distances(one, other) + self.angle_weight * angles(one, other)
