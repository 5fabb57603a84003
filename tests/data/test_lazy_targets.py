"""Masks and target pictures that stay in their files, beside images that do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from edgepress import tasks
from edgepress.core.errors import UserError
from edgepress.core.metric import of_constant
from edgepress.core.metrics import METRICS
from edgepress.data import file_index, images, partners
from edgepress.data.dataset import Dataset
from edgepress.data.load import load_dataset
from edgepress.data.rows import Lazy
from edgepress.data.source import Source
from edgepress.training import Examples, Rows
from edgepress.training.examples import prefetch
from PIL import Image

from .made import photo

COUNT = 20


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files that were just written be remembered."""
    monkeypatch.setattr(file_index, "_SETTLED", -(10**12))


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """Photos, masks of classes 0 to 2 with void pixels, and pictures twice as large."""
    for number in range(COUNT):
        photo(tmp_path / "photos" / f"{number:02}.png", (16, 12))
        photo(tmp_path / "sharp" / f"{number:02}.png", (32, 24))
        classes = np.random.default_rng(number).choice([0, 1, 2, 255], (12, 16)).astype(np.uint8)
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(classes).save(tmp_path / "masks" / f"{number:02}.png")
    return tmp_path


def load(folder: Path, **options: object) -> Dataset:
    source = Source.model_validate({"from": "./photos", "size": 8, **options})
    return load_dataset(source, base=folder, cache=folder / "cache")


KINDS = {"masks": {"masks": "./masks"}, "pictures": {"pictures": "./sharp"}}


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_load_opens_no_file(kind: str, scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load(scene, **KINDS[kind])
    assert all(isinstance(split.y, Lazy) for split in before.splits.values())
    with monkeypatch.context() as patch:
        patch.setattr(Image, "open", lambda *_: pytest.fail("opened"))
        patch.setattr(file_index.of_paths, "digest", lambda _: pytest.fail("digested"))
        again = load(scene, **KINDS[kind])
    assert (again.digest, again.labels, again.inputs) == (before.digest, before.labels, before.inputs)
    for name, split in before.splits.items():
        assert np.array_equal(split.y[:], again[name].y[:])


@pytest.mark.parametrize("kind", KINDS)
def test_a_target_that_changes_changes_the_data_and_ends_a_run(kind: str, scene: Path) -> None:
    before, folder = load(scene, **KINDS[kind]), scene / ("masks" if kind == "masks" else "sharp")
    Image.open(folder / "03.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "03.png", compress_level=1)
    with pytest.raises(UserError, match=r"`03\.png` has changed"):
        [split.y[:] for split in before.splits.values()]
    assert load(scene, **KINDS[kind]).digest != before.digest


@pytest.mark.parametrize("resize", ["crop", "squash", "pad"])
def test_masks_are_the_values_of_their_files(resize: str, scene: Path) -> None:
    data = load(scene, masks="./masks", resize=resize)
    assert data.labels == ("0", "1", "2")
    wanted = {partners._mask(file, size=(8, 8), resize=resize).tobytes() for file in (scene / "masks").iterdir()}
    found = [mask for split in data.splits.values() for mask in split.y]
    assert {mask.tobytes() for mask in found} == wanted
    for split in data.splits.values():
        assert data.targets.present(split.y) == data.targets.present(split.y[:]), "without reading them"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", [{}, {"flip": True, "shift": 2}])
def test_batches_are_those_of_arrays(kind: str, how: dict[str, object], scene: Path) -> None:
    data = load(scene, **KINDS[kind])
    lazy, whole = (Examples(each, "train", 0, **how) for each in (data, data.in_memory()))  # type: ignore[arg-type]
    batches = [Rows(rows, 1) for rows in torch.arange(len(lazy)).flip(0).split(5)]
    for rows, (pixels,), y in prefetch(lazy, batches):
        (wanted,), labels = whole.pair(rows)
        assert torch.equal(pixels, wanted)
        assert torch.equal(y, labels)


def test_unlabelled_photos_have_targets_of_zeros(scene: Path) -> None:
    data = load(scene, masks="./masks")
    data = Dataset(**{**vars(data), "unlabelled": data["test"].x})
    examples = Examples(data, "train", 0, unlabelled=True)
    assert len(examples) == len(data["train"].y) + len(data["test"].y)
    _, y = examples.pair(Rows(torch.tensor([0, len(examples) - 1]), 0))
    assert torch.equal(y[0], torch.from_numpy(data["train"].y[0]))
    assert not y[1].any()


@pytest.mark.parametrize("name", ["miou", "pixel-accuracy", "psnr", "mae"])
def test_metrics_are_those_of_arrays(name: str, scene: Path) -> None:
    data = load(scene, **KINDS["masks" if name in ("miou", "pixel-accuracy") else "pictures"])
    y, metric, task = data["train"].y, METRICS[name], tasks.of(data)
    random = np.random.default_rng(0)
    shape = (len(y), 3, *y.shape[-2:])
    outputs = random.random(shape, np.float32)
    assert metric(outputs, y) == metric(outputs, y[:])
    assert metric.examples(y) == metric.examples(y[:])
    assert of_constant(metric, y) == pytest.approx(of_constant(metric, y[:]), abs=1e-6)
    assert task.skill(outputs, y) == task.skill(outputs, y[:])


def test_values_outside_of_the_labels_are_told_from_what_is_remembered(
    scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(scene, masks="./masks")
    monkeypatch.setattr(Image, "open", lambda *_: pytest.fail("opened"))
    with pytest.raises(UserError, match=r"20 of 20 masks have a value outside of the 2 `labels`.*: `00.png` 2"):
        load(scene, masks="./masks", labels=["ground", "sky"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_opens_its_own_files_alone(kind: str, scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(scene, **KINDS[kind])
    opened, whole = [], images.opened
    monkeypatch.setattr(images, "opened", lambda path: opened.append(path.name) or whole(path))
    data = load(scene, **KINDS[kind])
    assert not opened
    Examples(data, "train", 0).pair(Rows(torch.arange(3), 0))
    assert len(opened) == 6
    assert len(set(opened)) == 3, "a photo and its target have one name"
