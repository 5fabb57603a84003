"""Teachers' outputs that are too large for memory: on the disk, in half the bytes, or computed when they are needed."""

from __future__ import annotations

import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from edgepress.data.dataset import Dataset
from edgepress.models.description import Network
from edgepress.stage import Artifact, Context
from edgepress.stages.distill import teachers
from edgepress.stages.distill.kept import Rowed
from edgepress.stages.distill.stages import DistillKD
from edgepress.stages.distill.teachers import teacher_logits
from edgepress.training import Schedule

from tests.conftest import fresh

STILL = Schedule(flip=False, shift=1)
VIEWS = 2
Room = Callable[[float], None]


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teachers, "IN_MEMORY", 0)


@pytest.fixture
def room(few: Dataset, monkeypatch: pytest.MonkeyPatch) -> Room:
    """`room(2.5)`: a disk that two and a half views of float32 fit on."""
    usage, view = namedtuple("usage", ["free"]), 4 * 10 * len(few["train"].y)
    return lambda views: monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(int(views * view)))


@pytest.fixture
def teacher(tiny: Network, few: Dataset, tmp_path: Path) -> Artifact:
    return fresh(tiny, few, tmp_path / "t")


def found(teacher: Artifact, given: Context) -> list[Any]:
    (views,) = teacher_logits([teacher], STILL, VIEWS, 0, given)
    return views


def test_the_disk_has_the_same_numbers_and_a_resumed_run_finds_them(
    teacher: Artifact, few: Dataset, context: Callable[..., Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = context(few)
    before = found(teacher, given)
    monkeypatch.setattr(teachers, "IN_MEMORY", 0)
    rows = torch.tensor([3, 0, 41])
    views = found(teacher, given)
    assert all(isinstance(view, Rowed) and view.how == "float32" for view in views)
    assert all(torch.equal(view[rows], other[rows]) for view, other in zip(views, before, strict=True))
    files = sorted(given.scratch.iterdir())
    assert [file.name for file in files] == ["teacher0-view0.npy", "teacher0-view1.npy"]
    files[0].write_bytes(files[0].read_bytes()[:-1])
    runs: list[int] = []
    runner = teachers._runner
    monkeypatch.setattr(teachers, "_runner", lambda *given: runs.append(1) or runner(*given))
    assert torch.equal(found(teacher, given)[0][rows], before[0][rows]), "a damaged file is written again"
    assert runs == [1]
    found(teacher, given)
    assert runs == [1]


@pytest.mark.usefixtures("large")
def test_classes_take_half_where_the_disk_has_no_more_room(
    teacher: Artifact, few: Dataset, context: Callable[..., Context], room: Room
) -> None:
    room(1.5)
    views = found(teacher, context(few))
    assert [view.how for view in views] == ["float16", "float32"], "the second fits, by the same disk"
    assert views[0][torch.arange(3)].dtype == torch.float16


def test_without_room_they_are_computed_when_they_are_needed(
    teacher: Artifact, few: Dataset, context: Callable[..., Context], room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = context(few)
    before = found(teacher, given)
    monkeypatch.setattr(teachers, "IN_MEMORY", 0)
    room(0.4)
    views = found(teacher, given)
    rows = torch.tensor([5, 50, 2])
    assert [view.how for view in views] == ["live", "live"]
    for view, other in zip(views, before, strict=True):
        torch.testing.assert_close(view[rows], other[rows], atol=1e-4, rtol=1e-4)
    assert not [*given.scratch.iterdir()]


@pytest.mark.parametrize("weigh", ["mean_prob", "confidence", "entropy"])
def test_a_student_learns_the_same_from_the_disk(
    weigh: str,
    tiny: Network,
    few: Dataset,
    tmp_path: Path,
    context: Callable[..., Context],
    room: Room,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    several = {name: fresh(tiny, few, tmp_path / name, seed) for seed, name in enumerate("ab")}
    options = {"use": "distill.kd", "teacher": ["a", "b"], "student": tiny, "weigh": weigh, "epochs": 2, "batch": 32}
    stage = DistillKD.model_validate({**options, "views": VIEWS, "flip": False, "shift": 1})
    weights, notes = [], []
    for bound, views in ((2**30, 9.0), (0, 9.0), (0, 1.5)):
        monkeypatch.setattr(teachers, "IN_MEMORY", bound)
        room(views)
        given = context(few, folder=tmp_path / f"{bound}-{views}", scratch=tmp_path / f"s{bound}-{views}")
        for folder in (given.folder, given.scratch):
            folder.mkdir()
        notes.append(stage.run(several, given).notes)
        weights.append((given.folder / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
    assert notes[0] == notes[1]
    assert notes[2]["teacher_outputs"] == ["float16", "live"]
    assert len(notes[2]["warnings"]) == 2
