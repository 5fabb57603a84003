"""Fashion-MNIST: where it is looked for, what its absence says, and that the small set is drawn from it fairly."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from edgepress.core.errors import UserError
from edgepress.data import fashion_mnist
from edgepress.data.dataset import Dataset
from edgepress.data.load import load_dataset

OFFICIAL = Path("/usr/share/datasets/fashion-mnist")
installed = pytest.mark.skipif(
    not (OFFICIAL / "train-images-idx3-ubyte.gz").is_file(),
    reason="the full set is not installed (dataset-fashion-mnist)",
)


@pytest.fixture(scope="module")
def small() -> Dataset:
    return load_dataset("fashion-mnist-10k")


def test_small_set_is_balanced(small: Dataset) -> None:
    for name, each in (("train", 700), ("validation", 100), ("test", 200)):
        assert np.bincount(small[name].y).tolist() == [each] * 10


def test_small_set_is_not_sorted_by_class(small: Dataset) -> None:
    """`--limit` and calibration take the first images: they must be of all classes."""
    for split in small.splits.values():
        assert len(set(split.y[:100].tolist())) == 10


@installed
def test_small_set_is_of_the_official_images(small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPRESS_FASHION_MNIST", str(OFFICIAL))
    full = load_dataset("fashion-mnist")
    assert {name: len(split.y) for name, split in full.splits.items()} == {
        "train": 55_000, "validation": 5_000, "test": 10_000,
    }  # fmt: skip
    for name, split in small.splits.items():
        known = {(x.tobytes(), int(y)) for x, y in zip(*full[name], strict=True)}
        assert sum((x.tobytes(), int(y)) in known for x, y in zip(*split, strict=True)) == len(split.y)
    assert (small.labels, small.inputs) == (full.labels, full.inputs)


def test_empty_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPRESS_FASHION_MNIST", str(tmp_path))
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte\.gz") as error:
        load_dataset("fashion-mnist")
    assert str(tmp_path) in error.value.problems[0].message
    assert "EDGEPRESS_FASHION_MNIST" in error.value.problems[0].help


def test_absence_names_every_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEPRESS_FASHION_MNIST", raising=False)
    monkeypatch.delenv("EDGEPRESS_DOWNLOAD", raising=False)
    monkeypatch.setattr(fashion_mnist, "_FOLDERS", (Path("/nowhere"), Path("/nowhere/else")))
    with pytest.raises(UserError, match="not on this machine") as error:
        load_dataset("fashion-mnist")
    for way in (
        "apt install dataset-fashion-mnist",
        "EDGEPRESS_FASHION_MNIST=",
        "EDGEPRESS_DOWNLOAD=1",
        "fashion-mnist-10k",
    ):
        assert way in error.value.problems[0].help


@pytest.mark.parametrize("broken", ["missing", "cut", "empty", "not gzip", "labels short"])
def test_broken_files_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """A download that stopped half way is the user's to mend, not a crash."""
    images = gzip.compress(bytes(16) + bytes(28 * 28 * 6000))
    labels = gzip.compress(bytes(8) + bytes(6000))
    for part in ("train", "t10k"):
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(images)
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(labels)
    bad = tmp_path / "t10k-images-idx3-ubyte.gz"
    if broken == "missing":
        bad.unlink()
    elif broken == "labels short":
        (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(8) + bytes(5999)))
    else:
        bad.write_bytes({"cut": images[:-50], "empty": b"", "not gzip": b"<html>404</html>"}[broken])
    monkeypatch.setenv("EDGEPRESS_FASHION_MNIST", str(tmp_path))
    with pytest.raises(UserError) as error:
        load_dataset("fashion-mnist")
    assert "t10k" in str(error.value)
