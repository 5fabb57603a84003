"""What comes before an inference is timed, on the very files and rows that models are asked about."""

from __future__ import annotations

from pathlib import Path

import pytest
from edgepress.core.results import Preprocessing
from edgepress.data import images, preprocessing_time
from edgepress.data.dataset import Dataset
from edgepress.data.load import load_dataset
from edgepress.data.source import Source
from edgepress.gate.report import inputs

from tests.data.made import arrays, photos, table


def load(path: Path, **options: object) -> Dataset:
    return load_dataset(Source.model_validate({"from": str(path), **options}))


@pytest.mark.parametrize("kind", ["folder", "table"])
def test_image_files_are_read_again_as_in_training(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos(tmp_path / "photos", each=50, suffix=".jpg")
    if kind == "folder":
        found = load(tmp_path / "photos", size=8)
    else:
        rows = [f"photos/{label}/{n:02}.jpg,{label}" for label in ("cat", "dog") for n in range(50)]
        found = load(table(tmp_path / "t.csv", ["path,label", *rows]), image="path", size=8)
    assert images.SAMPLED / 2 <= len(found.files) <= images.SAMPLED
    asked = []
    original = images.pixels
    monkeypatch.setattr(
        preprocessing_time, "pixels", lambda path, **how: asked.append((path, how)) or original(path, **how)
    )
    timed = preprocessing_time.measure(found)
    assert len(timed.read) == len(found.files)
    assert min(timed.read) > 0
    assert len(timed.ready) == len(found["test"].y[: images.SAMPLED])
    assert min(timed.ready) > 0
    assert asked[:2] == [(found.files[0], {"grey": False, "size": (8, 8), "resize": "crop"})] * 2, "warmed first"


def test_other_data_has_no_files(tmp_path: Path) -> None:
    timed = preprocessing_time.measure(load(arrays(tmp_path / "x.npz")))
    assert timed.read == []
    assert timed.ready


@pytest.mark.parametrize(
    ("read", "words"),
    [
        ([0.002, 0.004, 0.003], "3 ms to read and resize an image, 0.100 ms to normalise it"),
        ([], "0.100 ms to prepare an example"),
    ],
)
def test_it_is_told_with_how_it_was_found(read: list[float], words: str) -> None:
    found = inputs.before_inference(Preprocessing(read=read, ready=[1e-4, 1e-4, 2e-4]))
    assert found == f"{words}; measured here: CPU time, 1 thread, median of 3"
