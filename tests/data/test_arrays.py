"""Arrays: the kind of input is told by type and shape; given splits; labels; nothing pickled is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgepress.core.errors import UserError
from edgepress.data import dataset
from edgepress.data.dataset import Dataset
from edgepress.data.load import load_dataset
from edgepress.data.source import Source

from .made import arrays

RANDOM = np.random.default_rng(0)


def load(path: Path, **options: object) -> Dataset:
    return load_dataset(Source.model_validate({"from": str(path), **options}))


@pytest.mark.parametrize(
    ("x", "kind", "shape", "dtype"),
    [
        (RANDOM.integers(0, 256, (20, 9, 9), dtype=np.uint8), "image", (1, 9, 9), np.uint8),
        (RANDOM.integers(0, 256, (20, 3, 9, 12), dtype=np.uint8), "image", (3, 9, 12), np.uint8),
        (RANDOM.integers(0, 256, (20, 9, 12, 3), dtype=np.uint8), "image", (3, 9, 12), np.uint8),
        (RANDOM.integers(0, 256, (20, 9, 12, 4), dtype=np.uint8), "image", (4, 9, 12), np.uint8),
        (RANDOM.normal(size=(20, 6, 50)), "series", (6, 50), np.float32),
        (RANDOM.normal(size=(20, 7)).astype(np.float16), "numbers", (7,), np.float32),
        (RANDOM.normal(size=20), "numbers", (1,), np.float32),
        (RANDOM.integers(0, 500, (20, 30)), "tokens", (30,), np.int32),
        (RANDOM.integers(0, 500, (20, 30)).astype(">u2"), "tokens", (30,), np.int32),
    ],
)
def test_kinds(tmp_path: Path, x: np.ndarray, kind: str, shape: tuple[int, ...], dtype: type) -> None:
    found = load(arrays(tmp_path / "x.npz", x=x))
    assert (found.input.kind, found.input.shape, found["train"].x.dtype) == (kind, shape, dtype)
    if kind == "tokens":
        assert found.input.vocabulary == x.max() + 1
    assert sum(len(split.y) for split in found.splits.values()) == 20


def test_channels_move_to_the_front(tmp_path: Path) -> None:
    x = np.zeros((20, 5, 6, 3), np.uint8)
    x[..., 2], x[:, 0, 0, 0] = 9, np.arange(20)
    found = load(arrays(tmp_path / "x.npz", x=x))["train"].x
    assert found[:, 2].min() == 9
    assert found.flags["C_CONTIGUOUS"]


def test_labels_name_classes_and_gaps_are_closed(tmp_path: Path) -> None:
    y = np.arange(20) % 2
    assert load(arrays(tmp_path / "a.npz", y=y, labels=np.array(["no", "yes"]))).labels == ("no", "yes")
    gaps = load(arrays(tmp_path / "b.npz", y=y * 7 - 2))
    assert (gaps.labels, set(gaps["train"].y.tolist())) == (("-2", "5"), {0, 1})
    assert load(arrays(tmp_path / "c.npz", y=np.array(["b", "a"])[y])).labels == ("a", "b")
    three = load(arrays(tmp_path / "d.npz", y=np.array(["b", "a"])[y], labels=np.array(["b", "a"])))
    assert three.labels == ("b", "a")


def test_tasks(tmp_path: Path) -> None:
    flags = RANDOM.integers(0, 2, (20, 3)).astype(bool)
    assert load(arrays(tmp_path / "a.npz", y=flags)).task == "multi-label"
    assert load(arrays(tmp_path / "b.npz", y=RANDOM.normal(size=(20, 2)))).task == "regression"
    assert load(arrays(tmp_path / "c.npz", y=np.arange(20)), task="regression")["train"].y.dtype == np.float32


def test_groups(tmp_path: Path) -> None:
    groups = np.arange(20) // 2
    x = np.repeat(np.arange(10.0), 2)[:, None].astype(np.float32)
    found = load(arrays(tmp_path / "x.npz", x=x, groups=groups))
    seen = [set(split.x[:, 0].tolist()) for split in found.splits.values()]
    assert sum(map(len, seen)) == 10


def test_given_splits(tmp_path: Path) -> None:
    parts = {"train": 12, "validation": 4, "test": 6}
    given = {f"{name}_x": np.full((size, 2), size, np.float32) for name, size in parts.items()}
    given |= {f"{name}_y": np.arange(size) % 2 for name, size in parts.items()}
    found = load(arrays(tmp_path / "x.npz", x=None, y=None, **given))
    assert {name: (len(split.y), split.x.max()) for name, split in found.splits.items()} == {
        name: (size, size) for name, size in parts.items()
    }


def test_splits_are_padded_to_the_picture_with_most_boxes(tmp_path: Path) -> None:
    parts = {"train": (12, 3), "validation": (4, 1), "test": (6, 2)}
    given: dict[str, Any] = {f"{name}_x": np.full((n, 3, 8, 8), n, np.uint8) for name, (n, _) in parts.items()}
    box = np.array([1, 1, 5, 5, 0], np.float32)
    given |= {f"{name}_y": np.tile(box, (n, most, 1)) for name, (n, most) in parts.items()}
    file = arrays(tmp_path / "x.npz", x=None, y=None, labels=np.array(["a"]), **given)
    found = load(file, task="detection")
    assert {name: int((split.y[..., 4] == 0).sum()) for name, split in found.splits.items()} == {
        name: n * most for name, (n, most) in parts.items()
    }


def test_targets_of_two_shapes_are_refused(tmp_path: Path) -> None:
    given: dict[str, Any] = {f"{name}_x": np.zeros((6, 2), np.float32) for name in ("train", "test")}
    given |= {"train_y": np.eye(6, 3, dtype=np.uint8), "test_y": np.arange(6) % 3}
    with pytest.raises(UserError, match=r"`test_y` is \(6,\), and `train_y` is \(6, 3\)"):
        load(arrays(tmp_path / "x.npz", x=None, y=None, **given))


def test_an_archive_that_unpacks_to_more_than_the_memory_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros((20, 1000)), y=np.arange(20) % 2)
    monkeypatch.setattr("edgepress.data.images.free_memory", lambda: 100_000)
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("unpacked"))
    with pytest.raises(dataset.UserError, match=r"its arrays take .* more than half of the free"):
        load(tmp_path / "x.npz")


@pytest.mark.parametrize("parts", [("",), ("train_", "validation_", "test_")])
def test_examples_of_a_model_that_is_no_classifier(parts: tuple[str, ...], tmp_path: Path) -> None:
    """With `labels: none` no labels are needed, or read."""
    np.savez(tmp_path / "x.npz", **{f"{part}x": RANDOM.integers(0, 256, (30, 9, 9), dtype=np.uint8) for part in parts})
    found = load(tmp_path / "x.npz", labels="none")
    assert (found.labelled, found.labels) == (False, ())
    assert len(found["test"].x) == (30 if parts[0] else 18)
    with pytest.raises(dataset.UserError, match=r"no array `(train_)?y`"):
        load(tmp_path / "x.npz")


def test_a_csv_has_labels(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`labels: none` is for a folder of images and for an \.npz"):
        Source.model_validate({"from": "./a.csv", "labels": "none"})
