"""What lies between a teacher's and a student's layers: the teacher stays as it is, and wrong names are told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from edgepress.core.errors import UserError
from edgepress.core.paths import digest
from edgepress.data.dataset import Dataset
from edgepress.data.facts import DataFacts
from edgepress.models import checkpoint
from edgepress.models.description import Network
from edgepress.stage import Setting
from edgepress.stages import TABLE
from edgepress.stages.distill.features import StudentWithTeacher, adapters, angles, attention, distances, hint
from pydantic import ValidationError

from tests.conftest import TINY, fresh

Perform = Callable[..., Any]
LAYERS = {"layer1": "layer1", "layer2": "layer2"}
OPTIONS = {
    "distill.kd": {"standardize": True},
    "distill.dkd": {"warm_up": 1},
    "distill.dist": {},
    "distill.fitnet": {"layers": LAYERS},
    "distill.at": {"layers": LAYERS},
    "distill.cwd-features": {"layers": LAYERS},
    "distill.rkd": {},
}


def stage(use: str, **changes: Any) -> Any:
    given = {"use": use, "teacher": "t", "student": TINY, "epochs": 2, "batch": 32, "views": 1, **OPTIONS[use]}
    return TABLE[use].model_validate(given | changes)


@pytest.mark.parametrize("use", OPTIONS)
@pytest.mark.parametrize("ema", [None, 0.9])
def test_every_way_trains_a_student_and_leaves_the_teacher(
    use: str, ema: float | None, few: Dataset, tmp_path: Path, perform: Perform
) -> None:
    wide = Network(arch="timm/resnet18", args={**TINY["args"], "channels": [12, 16, 24, 40]})
    teacher = fresh(wide, few, tmp_path / "t", seed=1)
    before = digest(teacher.path)
    artifact, made = perform(stage(use, ema=ema), {"t": teacher}, few)
    assert digest(teacher.path) == before
    module, description = checkpoint.load(artifact.path)
    assert description == Network.model_validate(TINY).describe(few), "the student alone is kept"
    assert made.notes["teachers"] == ["t"]
    assert all(torch.isfinite(each).all() for each in module.state_dict().values())


def test_training_the_student_leaves_the_teacher_in_eval(tiny: Network, few: Dataset) -> None:
    student, teacher = tiny.describe(few).build(), tiny.describe(few).build()
    pair = StudentWithTeacher(student, teacher, {"layer1": "layer1"}, tiny.describe(few).example())
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    pair.train()
    pair(torch.randn(8, 1, 8, 8))
    assert student.training
    assert not any(each.training for each in teacher.modules())
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert not any("teacher" in name for name, _ in pair.named_parameters())
    (maps,) = pair.seen
    assert maps[0].requires_grad
    assert not maps[1].requires_grad
    assert pair.unwrap() is student
    assert not any(each._forward_hooks for each in student.modules())


def test_a_wider_teacher_is_followed_through_an_adapter(tiny: Network, few: Dataset) -> None:
    wide = Network(arch="timm/resnet18", args={**TINY["args"], "channels": [12, 16, 24, 40]})
    description = tiny.describe(few)
    pair = StudentWithTeacher(
        description.build(), wide.describe(few).build(), {"layer1": "layer1"}, description.example()
    )
    pair.adapters = adapters(pair)
    pair.train()
    pair(torch.randn(4, 1, 8, 8))
    ((one, other),) = pair.seen
    assert one.shape == other.shape


@pytest.mark.parametrize(
    ("changes", "message", "help"),
    [
        ({"layers": {"layer9": "layer1"}}, "the student has no layer `layer9`", "did you mean"),
        ({"layers": {"layer1": "block"}}, "the teacher has no layer `block`", "conv1"),
        ({"layers": {"layer1": "layer4"}}, "the student's map is", "pool: true"),
    ],
)
def test_layers_that_do_not_fit_are_told_before_anything_is_trained(
    changes: dict[str, Any],
    message: str,
    help: str,
    few: Dataset,
    tiny: Network,
    tmp_path: Path,
    perform: Perform,
) -> None:
    strided = Network.model_validate(TINY | {"stride": 8})
    teacher = fresh(strided, few, tmp_path / "t")
    with pytest.raises(UserError, match=message) as error:
        perform(stage("distill.at", **changes, student=TINY | {"stride": 8}), {"t": teacher}, few)
    assert help in error.value.problems[0].help


def test_pool_brings_maps_to_one_size(few: Dataset, tmp_path: Path, perform: Perform) -> None:
    strided = TINY | {"stride": 8}
    teacher = fresh(Network.model_validate(strided), few, tmp_path / "t")
    perform(stage("distill.at", layers={"layer1": "layer4"}, pool=True, student=strided), {"t": teacher}, few)
    perform(stage("distill.fitnet", layers={"layer1": "layer4"}, pool=True, student=strided), {"t": teacher}, few)


def test_terms_are_zero_for_equal_features_and_do_not_see_what_they_should_not() -> None:
    x = torch.randn(9, 6, 4, 4)
    for term in (hint, attention, distances, angles):
        assert float(term(x, x)) == pytest.approx(0, abs=1e-6)
    assert float(distances(5 * x, x)) == pytest.approx(0, abs=1e-6), "distances are over their mean"
    assert float(angles(5 * x + 3, x)) == pytest.approx(0, abs=1e-5)
    assert float(attention(5 * x, x)) == pytest.approx(0, abs=1e-8)
    assert attention(torch.randn(3, 8, 4, 4), torch.randn(3, 20, 4, 4)).ndim == 0, "of any width"


def test_equal_examples_have_finite_distances() -> None:
    x = torch.ones(4, 3, requires_grad=True)
    (distances(x, torch.randn(4, 3)) + angles(x, torch.randn(4, 3))).backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"use": "distill.dist", "batch": 16},
        {"use": "distill.fitnet", "layers": {}},
        {"use": "distill.kd", "weigh": "fixed"},
        {"use": "distill.kd", "weigh": "fixed", "weights": [0.5, 0.5]},
        {"use": "distill.kd", "weights": [1.0]},
        {"use": "distill.kd", "teacher": ["t", "u"], "weigh": "fixed", "weights": [0.9, 0.3]},
    ],
    ids=str,
)
def test_options_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        stage(**wrong)


@pytest.mark.parametrize("use", ["distill.dkd", "distill.dist"])
def test_two_classes_are_refused(use: str) -> None:
    binary = DataFacts(task="single-label", classes=2)
    (rejection,) = stage(use).reject(Setting({}, binary, {}))
    assert "is undefined for two classes" in rejection.message
