"""Example pictures: what the result gets wrong, the worst first, small, and beside files of somebody else."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from edgepress.core.errors import UserError
from edgepress.core.metrics import VOID
from edgepress.core.results import Picture
from edgepress.data.dataset import Dataset, Input, Split
from edgepress.engine import panels, pictures
from PIL import Image

RANDOM = np.random.default_rng(0)


def engine(x: np.ndarray, y: np.ndarray, task: Any) -> Any:
    splits = {name: Split(x, y) for name in ("train", "validation", "test")}
    inputs = (Input("input", "image", x.shape[1:], 1 / 255, (0.0,), (1.0,)),)
    return SimpleNamespace(data=Dataset("mine", ("cat", "dog"), splits, inputs, task))


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_the_example_whose_class_fell_most_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MOST", 2)
    x = RANDOM.integers(0, 256, (4, 1, 300, 200)).astype(np.uint8)
    y = np.array([0, 0, 0, 1])
    start = np.array([[3.0, 0.0], [0.1, 0.0], [3.0, 0.0], [0.0, 3.0]])
    result = np.array([[0.0, 0.5], [0.0, 0.5], [0.0, 5.0], [0.0, 3.0]])
    rows = list(pictures._classes(engine(x, y, "single-label"), {"teacher": start, "int8": result}, y))
    assert [picture.row for picture, _ in rows] == [2, 0], "the last is right, and of the others two are kept"
    first, content = rows[0]
    assert first.label == "cat"
    assert first.outputs == {"teacher": "cat 95%", "int8": "dog 99%"}
    assert opened(content).size == (64, 96), "the longer side has 96 pixels"


def test_masks_stand_side_by_side_with_their_share_of_wrong_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MOST_SIDE_BY_SIDE", 2)
    x = RANDOM.integers(0, 256, (3, 3, 16, 16)).astype(np.uint8)
    y = np.zeros((3, 16, 16), np.uint8)
    y[:, :8] = VOID
    result = np.zeros_like(y)
    result[1, 8:12] = 1
    result[2, :9] = 1
    outputs = {"teacher": np.zeros_like(y), "float": np.zeros_like(y), "int8": result}
    rows = list(pictures._masks(engine(x, y, "segmentation"), outputs, y))
    assert [picture.row for picture, _ in rows] == [1, 2]
    first, content = rows[0]
    assert first.panels == ["picture", "target", "teacher", "float", "int8"]
    assert first.outputs["int8"] == "50.0% of pixels wrong"
    assert first.outputs["teacher"] == "0.0% of pixels wrong"
    assert list(first.colours) == ["cat", "dog"], "void has none"
    shown = np.asarray(opened(content).convert("RGB"))[12, 4 * 18 + 8]
    colour = np.frombuffer(bytes.fromhex(first.colours["cat"][1:]), np.uint8)
    assert np.abs(shown.astype(int) - colour).max() < 40, "but for what fewer colours cost"
    assert opened(content).size == (5 * 18 - 2, 16)


def test_boxes_stand_side_by_side_and_those_that_do_not_count_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Boxes below the score that a user would be shown are neither drawn nor counted."""
    monkeypatch.setattr(pictures, "MOST_SIDE_BY_SIDE", 2)
    x = np.full((3, 3, 48, 64), 128, np.uint8)
    cat, dog, crowd, none = [2, 2, 20, 20, 0, 1], [30, 10, 60, 40, 1, 1], [0, 0, 64, 48, 1, 0], [0, 0, 0, 0, -1, 0]
    y = np.array([[cat, none], [cat, dog], [cat, crowd]], np.float32)
    right = [[2, 2, 20, 20, 0.9, 0], [30, 10, 60, 40, 0.1, 1]]
    wrong = [[40, 2, 60, 20, 0.9, 0], [2, 2, 20, 20, 0.8, 0]]
    outputs = {"teacher": np.array([right] * 3, np.float32), "int8": np.array([right, wrong, right], np.float32)}
    rows = list(pictures._boxes(engine(x, y, "detection"), outputs, y))
    assert [picture.row for picture, _ in rows] == [1, 0]
    (first, content), (second, _) = rows
    assert first.panels == ["target", "teacher", "int8"]
    assert first.label == "cat, dog"
    assert list(first.colours) == ["cat", "dog"]
    assert first.outputs == {"teacher": "1 of 2 boxes found", "int8": "1 of 2 boxes found, 1 that is none"}
    assert second.label == "cat"
    assert second.outputs["int8"] == "1 of 1 boxes found"
    strip = np.asarray(opened(content).convert("RGB")).astype(int)
    assert strip.shape == (48, 3 * 66 - 2, 3)
    drawn = [(np.abs(strip[:, 66 * k : 66 * k + 64] - 128).sum(2) > 60).any() for k in range(3)]
    assert all(drawn), "boxes are on each panel"
    edge = strip[25, 30 : 30 + 2]
    assert (np.abs(edge - 128).sum(1) > 60).all(), "the dog's left side is on the target's panel"
    assert (np.abs(strip[25, 66 + 30 : 66 + 32] - 128).sum(1) < 30).all(), "and not on the teacher's, at a score of 0.1"


def test_boxes_of_any_numbers_can_be_drawn() -> None:
    raw = np.zeros((3, 200, 300), np.uint8)
    hostile = [
        [np.nan, 0, 5, 5, 1, 0], [-1e9, -1e9, 1e9, 1e9, 1, 0], [50, 50, 10, 10, 1, 1], [400, 400, 500, 500, 1, 7],
        [10, 10, 10, 10, 1, 1e6],
    ]  # fmt: skip
    assert panels.boxed(raw, np.array(hostile)).size == (96, 64)


def test_a_picture_of_photographs_is_within_what_a_page_takes() -> None:
    from edgepress.gate.report.page.pictures import LARGEST

    x = RANDOM.integers(0, 256, (1, 3, 224, 224)).astype(np.uint8)
    y = RANDOM.integers(0, 12, (1, 224, 224)).astype(np.uint8)
    outputs = {name: RANDOM.integers(0, 12, y.shape).astype(np.uint8) for name in ("teacher", "float", "int8")}
    ((_, content),) = pictures._masks(engine(x, y, "segmentation"), outputs, y)
    assert len(content) <= LARGEST, "even of noise, which is the largest"


def test_files_of_somebody_else_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(*_: Any) -> Any:
        picture = Picture(path="", sha256=pictures.hashlib.sha256(b"content").hexdigest(), row=3, label="cat")
        yield picture, b"content"

    monkeypatch.setattr(pictures, "_pictures", found)
    monkeypatch.setattr(pictures, "_has_any", lambda engine: True)
    none: Any = None
    (kept,) = pictures.write(none, none, tmp_path / "pictures", wanted=True)
    assert Path(kept.path) == tmp_path / "pictures" / "000003.png"
    assert Path(kept.path).read_bytes() == b"content"
    (tmp_path / "pictures" / "000004.png").write_bytes(b"mine")
    with pytest.raises(UserError, match="is not what edgepress wrote, and is not overwritten"):
        pictures.free(tmp_path / "pictures")
    (tmp_path / "pictures" / "000004.png").unlink()
    assert pictures.write(none, none, tmp_path / "pictures", wanted=False) == []
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["SHA256SUMS"]


def test_without_pictures_no_folder_is_made(tmp_path: Path) -> None:
    none: Any = None
    assert pictures.write(none, none, tmp_path / "pictures", wanted=False) == []
    assert not (tmp_path / "pictures").exists()
