"""Distil intermediate features: FitNets, attention transfer, CWD, RKD."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ...stage import Artifact, Context
from .stages import KD

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .features import StudentWithTeacher
EMBEDDING = "embedding"
"""Name, in the place of a layer, of the last linear layer's input."""


class FeatureDistill(KD):
    """KD on the outputs plus a term on intermediate layers."""

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

    @property
    def in_every_network(self) -> bool:
        """Whether any network has the teacher's layers."""
        return {*self.layers.values()} <= {EMBEDDING}

    def with_teacher(
        self, student: nn.Module, inputs: dict[str, Artifact], context: Context
    ) -> StudentWithTeacher | None:
        from ...models.checkpoint import load

        teacher, description = load(inputs[self.teachers[0]].path, context.code)
        return self._pair(student, teacher, description.example())

    def check_networks(self, networks: Mapping[str, nn.Module], example: tuple[Tensor, ...]) -> None:
        from .features import watch_layers

        student, teacher = networks.get("student"), networks.get(self.teachers[0])
        if student and teacher:
            self._pair(student, teacher, example).unwrap()
        elif student:
            watch_layers(student, self.layers, "student").remove()
        elif teacher:
            watch_layers(teacher, self.layers.values(), "teacher").remove()

    def _pair(self, student: nn.Module, teacher: nn.Module, example: tuple[Tensor, ...]) -> StudentWithTeacher:
        from .features import StudentWithTeacher, adapters

        pair = StudentWithTeacher(student, teacher, self.layers, example)
        if self.adapted:
            pair.adapters = adapters(pair)
        for student_map, teacher_map in pair.features():
            self.term(student_map, teacher_map)  # raises before any training where sizes do not fit
        return pair

    def feature_loss(self, pair: StudentWithTeacher) -> Tensor | float:
        total = sum((self.term(student, teacher) for student, teacher in pair.seen), 0.0)
        return self.feature_weight * total / len(pair.seen)

    @abstractmethod
    def term(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the loss on a pair of features, the student's first."""


class DistillFitnet(FeatureDistill):
    """Match the teacher's features by adapters: FitNets (Romero et al., 2015)."""

    adapted: ClassVar = True

    use: Literal["distill.fitnet"]
    feature_weight: float = Field(default=100.0, gt=0, description="weight of the feature loss, the term on layers")

    def term(self, student: Tensor, teacher: Tensor) -> Tensor:
        from .features import hint, pooled

        student, teacher = pooled(student, teacher, self.pool)
        # Before the adapters are there the width does not fit yet.
        return hint(student, teacher) if student.shape == teacher.shape else student.sum()


class DistillAT(FeatureDistill):
    """Match attention maps of layers (Zagoruyko & Komodakis, 2017).

    A map shows where a layer is active, so that the widths of the two layers may differ.
    """

    use: Literal["distill.at"]
    feature_weight: float = Field(default=1000.0, gt=0, description="weight of the feature loss, the term on layers")

    def term(self, student: Tensor, teacher: Tensor) -> Tensor:
        from .features import attention, pooled

        return attention(*pooled(student, teacher, self.pool))


class DistillCWDFeatures(FeatureDistill):
    """Match where layers are active: CWD on features (Shu et al., 2021).

    The layers are those of a detector's neck, such as `fpn.layer_blocks.0`, or the last ones of a backbone. Adapters
    bring the student's channels to the teacher's.
    """

    adapted: ClassVar = True

    use: Literal["distill.cwd-features"]
    feature_weight: float = Field(default=30.0, gt=0, description="weight of the feature loss, the term on layers")
    feature_temperature: float = Field(
        default=1.0, gt=0, description="softmax temperature of the maps over which a channel is active"
    )

    def term(self, student: Tensor, teacher: Tensor) -> Tensor:
        from .features import pooled
        from .losses import cwd

        student, teacher = pooled(student, teacher, self.pool)
        # Before the adapters are there the width does not fit yet.
        return cwd(student, teacher, self.feature_temperature) if student.shape == teacher.shape else student.sum()


class DistillRKD(FeatureDistill):
    """Match distances and angles within a batch: RKD (Park et al., 2019)."""

    use: Literal["distill.rkd"]
    layers: dict[str, str] = Field(
        default={"embedding": "embedding"}, min_length=1, description="pairs of layers, student → teacher; "
        "`embedding` is the input of the last linear layer"
    )  # fmt: skip
    distance_weight: float = Field(default=25.0, ge=0, description="weight of the term on distances between examples")
    angle_weight: float = Field(default=50.0, ge=0, description="weight of the term on angles between examples")

    def term(self, student: Tensor, teacher: Tensor) -> Tensor:
        from .features import angles, distances

        return self.distance_weight * distances(student, teacher) + self.angle_weight * angles(student, teacher)
