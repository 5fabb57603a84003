"""Distilling detectors: fused boxes of teachers with other heads, and what is active where in a neck."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from edgepress.core.errors import UserError
from edgepress.core.metrics import METRICS
from edgepress.data.dataset import Dataset, Split, measured
from edgepress.data.facts import DataFacts
from edgepress.data.targets.boxes import none
from edgepress.models import checkpoint
from edgepress.models.decode import Decode
from edgepress.models.description import Network
from edgepress.stage import Setting
from edgepress.stages import TABLE
from edgepress.stages.distill.fused_boxes import fused_boxes

from tests.conftest import fresh

SIDE = 64
SMALL = "timm/tf_mobilenetv3_small_minimal_100"
FCOS = {"arch": SMALL, "head": "fcos", "head_channels": 16}
OPTIONS = {"student": FCOS, "epochs": 1, "batch": 3, "views": 1, "shift": 0, "flip": False}
MAP = METRICS["map"].of_task["detection"]


@pytest.fixture
def data() -> Dataset:
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (6, 3, SIDE, SIDE)).astype(np.uint8)
    y = none((6, 2, 6))
    y[:, 0] = 8, 8, 40, 40, 1, 1
    split = Split(x, y)
    splits = dict.fromkeys(("train", "validation", "test"), split)
    return Dataset("boxes", ("a", "b"), splits, (measured("input", "image", x, scale=1 / 255),), "detection")


def decoded(*boxes: tuple[float, ...]) -> torch.Tensor:
    """One picture's output of a detector with decoded boxes: corners and the scores of two classes."""
    return torch.tensor([boxes])


def test_fused_boxes_are_targets_where_half_of_the_teachers_are_sure(data: Dataset) -> None:
    corners = Decode(coding="corners", boxes=("output",), activation="none")
    shares_ = corners.model_copy(update={"scale": "shares"})
    one = decoded((10, 10, 30, 30, 0.9, 0), (40, 40, 60, 60, 0, 0.9))
    other = decoded((10 / SIDE, 14 / SIDE, 30 / SIDE, 34 / SIDE, 0.9, 0))
    targets = fused_boxes([one, other], [corners, shares_], [0.5, 0.5], data)
    assert targets.shape == (1, 1, 6), "of the other box only one is sure"
    np.testing.assert_allclose(targets[0, 0], [10, 12, 30, 32, 0, 1], atol=1e-3)
    (nothing,) = fused_boxes([decoded((1, 1, 9, 9, 0.3, 0))], [corners], [1.0], data)
    np.testing.assert_array_equal(nothing, [[0, 0, 0, 0, -1, 0]])


def test_teachers_with_other_heads_are_one_by_their_boxes(
    data: Dataset, tmp_path: Path, perform: Callable[..., Any]
) -> None:
    teachers = {"ssd": fresh(Network(arch=SMALL), data, tmp_path / "ssd"), "fcos": fresh(
        Network.model_validate(FCOS), data, tmp_path / "fcos")}  # fmt: skip
    options = {"use": "distill.kd", "teacher": ["ssd", "fcos"], **OPTIONS}
    artifact, done = perform(TABLE["distill.kd"].model_validate({**options, "weigh": "boxes", "weights": [0.3, 0.7]}),
                             teachers, data, metric=MAP)  # fmt: skip
    assert done.notes["weights"] == pytest.approx([0.3, 0.7])
    module, _ = checkpoint.load(artifact.path)
    assert all(value.isfinite().all() for value in module.state_dict().values())
    with pytest.raises(UserError, match="the teacher `fcos` makes"):
        perform(TABLE["distill.kd"].model_validate(options), teachers, data, metric=MAP)


def test_boxes_are_of_detectors() -> None:
    options = {"use": "distill.kd", "teacher": ["one", "other"], **OPTIONS, "student": SMALL, "weigh": "boxes"}
    facts = DataFacts(task="single-label", classes=3)
    (rejection,) = TABLE["distill.kd"].model_validate(options).reject(Setting({}, facts, {}))
    assert rejection.option == ("weigh",)
    assert rejection.message == "`weigh: boxes` is for detectors, and this is a single-label task"


def test_a_student_follows_where_the_teachers_neck_is_active(
    data: Dataset, tmp_path: Path, perform: Callable[..., Any]
) -> None:
    teacher = fresh(Network.model_validate({**FCOS, "head_channels": 24}), data, tmp_path / "t", seed=1)
    layers = {f"fpn.layer_blocks.{level}": f"fpn.layer_blocks.{level}" for level in range(2)}
    stage = TABLE["distill.cwd-features"].model_validate(
        {"use": "distill.cwd-features", "teacher": "t", "layers": layers, **OPTIONS}
    )
    artifact, done = perform(stage, {"t": teacher}, data, metric=MAP)
    assert done.notes["teachers"] == ["t"]
    module, description = checkpoint.load(artifact.path)
    assert description.network.head_channels == 16
    assert not any("adapters" in name for name in module.state_dict())
