"""Distilling maps: nothing to learn from oneself, teachers of one form, and outputs that a disk has room for."""

from __future__ import annotations

import shutil
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from edgepress.core import distributed
from edgepress.core.errors import UserError
from edgepress.core.metrics import METRICS
from edgepress.engine.cache import Cache
from edgepress.models import checkpoint
from edgepress.models.description import Network
from edgepress.models.onnx import export
from edgepress.stage import Artifact, Context
from edgepress.stages.distill.kept import Rowed
from edgepress.stages.distill.stages import DistillCWD, DistillKD
from edgepress.stages.distill.teachers import teacher_logits
from edgepress.training import Examples, Rows, Schedule

from tests.conftest import fresh
from tests.models.test_dense import SMALL, made

STILL = {"flip": False, "shift": 0}
OPTIONS = {"student": SMALL, "epochs": 1, "batch": 2, "views": 1, **STILL}


@pytest.mark.parametrize("task", ["segmentation", "keypoints"])
@pytest.mark.parametrize("count", [1, 2])
def test_a_student_that_is_its_teacher_has_nothing_to_learn(
    task: Any, count: int, tmp_path: Path, context: Callable[..., Context]
) -> None:
    """Through the stage: its targets as they are kept, and its loss."""
    data = made(task)
    artifact = fresh(Network(arch=SMALL), data, tmp_path / "t")
    names = [f"t{k}" for k in range(count)]
    stage = DistillCWD.model_validate({"use": "distill.cwd", "teacher": names, **OPTIONS})
    surroundings = context(data)
    (target,), _ = stage._teacher_targets(dict.fromkeys(names, artifact), surroundings, 0)
    rows = Rows(torch.arange(3), 0)
    module = checkpoint.load(artifact.path)[0]
    with torch.inference_mode():
        z = module(*Examples(data, "train", 0).batch(rows))
    soft = stage.soft(surroundings, module)
    y = torch.from_numpy(data["train"].y)
    assert float(soft(z, target[rows.index], y, rows)) == pytest.approx(0, abs=1e-4)  # kept as float16
    assert float(soft(z.flip(3), target[rows.index], y, rows)) > 1e-3


@pytest.mark.parametrize("use", ["distill.kd", "distill.cwd"])
def test_a_teacher_may_have_another_stride_and_two_may_not_differ(
    use: str, tmp_path: Path, perform: Callable[..., Any]
) -> None:
    data, kind = made("keypoints"), DistillKD if use == "distill.kd" else DistillCWD
    fine = fresh(Network(arch=SMALL), data, tmp_path / "fine")
    coarse = fresh(Network(arch=SMALL, stride=32), data, tmp_path / "coarse")
    (tmp_path / "file").mkdir()
    export.export(checkpoint.load(fine.path)[0], data, tmp_path / "file" / "model.onnx")
    file = Artifact("onnx", tmp_path / "file")
    metric = METRICS["pck"].of_data(size=(32, 32))
    stage = kind.model_validate({"use": use, "teacher": "coarse", **OPTIONS})
    assert perform(stage, {"coarse": coarse}, data, metric=metric)[1].kind == "torch"
    for other in (fine, file):
        stage = kind.model_validate({"use": use, "teacher": ["coarse", "other"], **OPTIONS})
        with pytest.raises(UserError, match="`other` makes 4 × 8 × 8 of an example, `coarse` 4 × 4 × 4"):
            perform(stage, {"coarse": coarse, "other": other}, data, metric=metric)


def test_maps_that_the_disk_has_no_room_for_are_computed_when_they_are_needed(
    tmp_path: Path, context: Callable[..., Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = made("segmentation")
    artifact = fresh(Network(arch=SMALL), data, tmp_path / "t")
    usage = namedtuple("usage", ["free"])
    needed = 3 * 4 * 32 * 32 * 2
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(2 * needed - 1))
    ((live, _),) = teacher_logits([artifact], Schedule(**STILL), 2, 0, context(data))
    assert isinstance(live, Rowed)
    given = context(data)
    with monkeypatch.context() as patch:
        patch.setattr(distributed, "several", lambda: True)  # the other processes have gone on
        patch.setattr(Cache, "make", lambda cache, key, maker, what="": maker(given.folder, given.scratch))
        with pytest.raises(UserError) as caught:
            teacher_logits([artifact], Schedule(**STILL), 2, 0, given)
    (problem,) = caught.value.problems
    assert "24.6 kB a view, 2 are to be written" in problem.message
    assert "`views`" in problem.help
    assert "`--cache`" in problem.help
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(2 * needed))
    ((kept, _),) = teacher_logits([artifact], Schedule(**STILL), 2, 0, context(data))
    assert kept.shape == (3, 4, 32, 32)
    rows = torch.tensor([2, 0])
    torch.testing.assert_close(live[rows], kept[rows].float(), atol=1e-2, rtol=1e-2)
    assert kept.dtype == torch.float16


def test_values_of_a_unit_of_their_own_are_kept_as_they_are(tmp_path: Path, context: Callable[..., Context]) -> None:
    data = made("image")
    depth = data["train"]._replace(y=np.full((3, 1, 64, 64), 1e5, np.float32))  # millimetres
    data = replace(data, splits=dict.fromkeys(data.splits, depth))
    artifact = fresh(Network(arch="edgepress/espcn"), data, tmp_path / "t")
    module, description = checkpoint.load(artifact.path)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(2.0)
    checkpoint.save(module, description, artifact.path)
    ((kept,),) = teacher_logits([artifact], Schedule(**STILL), 1, 0, context(data))
    assert kept.dtype == torch.float32
    assert kept.isfinite().all()
    assert float(kept.max()) > 65504


def test_weights_of_teachers_are_fitted_on_maps(tmp_path: Path, perform: Callable[..., Any]) -> None:
    data = made("keypoints")
    teachers = {name: fresh(Network(arch=SMALL), data, tmp_path / name, seed) for seed, name in enumerate("ab")}
    stage = DistillKD.model_validate({"use": "distill.kd", "teacher": ["a", "b"], "weigh": "fitted", **OPTIONS})
    _, done = perform(stage, teachers, data, metric=METRICS["pck"].of_data(size=(32, 32)))
    assert sum(done.notes["weights"]) == pytest.approx(1, abs=1e-3)
