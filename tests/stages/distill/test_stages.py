"""`distill.kd`: the teacher stays as it is, the student comes nearer, the baselines are its equals in steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from edgepress.core.paths import digest
from edgepress.data.dataset import Dataset
from edgepress.models import checkpoint
from edgepress.models.description import Network
from edgepress.stage import Artifact
from edgepress.stages.distill.stages import DistillKD
from edgepress.training import Examples, logits
from pydantic import ValidationError

from tests.conftest import TINY, fresh

Perform = Callable[..., Any]


def stage(**changes: Any) -> DistillKD:
    given = {"use": "distill.kd", "teacher": "t", "student": TINY, "epochs": 1, "batch": 32, "views": 1}
    return DistillKD.model_validate(given | changes)


def test_the_teacher_is_not_touched(tiny: Network, few: Dataset, tmp_path: Path, perform: Perform) -> None:
    teacher = fresh(tiny, few, tmp_path / "t", seed=1)
    before = digest(teacher.path)
    artifact, made = perform(stage(), {"t": teacher}, few)
    assert digest(teacher.path) == before
    assert made.kind == "torch"
    assert made.notes == {"teachers": ["t"]}
    assert digest(artifact.path) != before


def test_the_student_learns_what_the_teacher_says_and_not_the_labels(
    tiny: Network, digits: Dataset, tmp_path: Path, perform: Perform
) -> None:
    """A teacher that is wrong on purpose: without cross-entropy the student follows it, label or no label."""
    description = Network.model_validate(TINY).describe(digits)
    right, _ = perform(train(epochs=4), {}, digits)
    module, _ = checkpoint.load(right.path)
    with torch.no_grad():
        module.fc.weight.copy_(module.fc.weight.roll(1, 0))
        module.fc.bias.copy_(module.fc.bias.roll(1, 0))
    (tmp_path / "liar").mkdir()
    checkpoint.save(module, description, tmp_path / "liar" / "model.safetensors")
    liar = Artifact("torch", tmp_path / "liar")
    options = {"epochs": 6, "lr": 0.02, "batch": 64, "flip": False, "shift": 0, "ce_weight": 0.0, "kd_weight": 1.0}
    artifact, _ = perform(stage(**options), {"t": liar}, digits)
    answers = logits(checkpoint.load(artifact.path)[0], Examples(digits, "test", 0)).argmax(1)
    y = digits["test"].y
    assert np.mean(answers == (y + 1) % 10) > 0.8
    assert np.mean(answers == y) < 0.1


def train(**options: Any) -> Any:
    from edgepress.stages.train import Train

    given = {"use": "train", "model": TINY, "batch": 64, "lr": 0.02, "flip": False, "shift": 0}
    return Train.model_validate(given | options)


def test_baselines_take_equal_steps_and_tell_the_gain(
    tiny: Network, few: Dataset, tmp_path: Path, perform: Perform
) -> None:
    said: dict[str, list[int]] = {}

    def say(done: int, total: int, words: str) -> None:
        said.setdefault(words.partition(":")[0] if "baseline" in words else words.split(maxsplit=1)[0], []).append(
            total
        )

    artifact, made = perform(stage(baselines=True), {"t": fresh(tiny, few, tmp_path / "t")}, few, say=say)
    reached = made.notes["equal_steps"]
    assert set(reached) == {"distilled", "cross_entropy", "label_smoothing"}
    best = max(reached["cross_entropy"]["validation"], reached["label_smoothing"]["validation"])
    assert made.notes["gain"] == reached["distilled"]["validation"] - best
    steps = {name: len(totals) for name, totals in said.items() if name != "running"}
    assert set(steps.values()) == {3}
    assert len(steps) == 3
    x = Examples(few, "test", 0)
    kept = 100 * float(np.mean(logits(checkpoint.load(artifact.path)[0], x).argmax(1) == few["test"].y))
    assert kept == pytest.approx(reached["distilled"]["test"]), "the distilled one is the one that is kept"


def test_baselines_do_not_change_the_student(tiny: Network, few: Dataset, tmp_path: Path, perform: Perform) -> None:
    teacher = fresh(tiny, few, tmp_path / "t")
    alone, _ = perform(stage(), {"t": teacher}, few)
    beside, _ = perform(stage(baselines=True), {"t": teacher}, few)
    assert digest(alone.path) == digest(beside.path)


@pytest.mark.parametrize("wrong", [{"temperature": 0}, {"views": 0}, {"kd_weight": -1}, {"alpha": 1}, {"teacher": []}])
def test_options_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        stage(**wrong)
