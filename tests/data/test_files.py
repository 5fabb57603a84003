"""Images that stay in their files: rows, what is remembered of files, and files that change."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from edgepress.core.errors import UserError
from edgepress.data import file_index, images
from edgepress.data.dataset import Dataset
from edgepress.data.load import load_dataset
from edgepress.data.rows import Lazy, Stored, choose, concatenated, digests
from edgepress.data.source import Source
from PIL import Image

from .made import photo, photos


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files that were just written be remembered."""
    monkeypatch.setattr(file_index, "_SETTLED", -(10**12))


def load(root: Path, limit: int | None = None, **options: object) -> Dataset:
    return load_dataset(Source.model_validate({"from": str(root), **options}), limit, cache=root.parent / "cache")


def test_rows_are_taken_as_from_an_array(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 255, (9, 2, 3), dtype=np.uint8)
    (tmp_path / "rows").write_bytes(values.tobytes())
    stored = Stored(tmp_path / "rows", values.shape, values.dtype, digests(values))
    rows = np.array([5, 0, 7, 7])
    lazy = {"stored": stored, "chosen": choose(choose(stored, np.arange(9)[::-1]), slice(None, None, -1)),
            "joined": concatenated([choose(stored, slice(4)), values[4:]])}  # fmt: skip
    for name, each in lazy.items():
        again = pickle.loads(pickle.dumps(each))
        assert isinstance(again, Lazy)
        assert (again.shape, len(again), again.dtype) == (values.shape, 9, values.dtype), name
        for taken in (rows, slice(2, 20, 3), slice(-2, None), slice(0, 0)):
            assert np.array_equal(again[taken], values[taken]), name
        assert np.array_equal(again[-1], values[-1])
        assert np.array_equal(np.stack(list(again)), values)
        assert np.array_equal(digests(again), digests(values))
        with pytest.raises(IndexError):
            again[9]


def test_a_folder_is_read_once_and_then_nothing_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = photos(tmp_path / "photos")
    before = load(root)
    monkeypatch.setattr(Image, "open", lambda *_: pytest.fail("opened"))
    monkeypatch.setattr(file_index.of_paths, "digest", lambda _: pytest.fail("digested"))
    again = load(root)
    assert (again.digest, again.inputs) == (before.digest, before.inputs)
    assert [split.y.tolist() for split in again.splits.values()] == [
        split.y.tolist() for split in before.splits.values()
    ]


def test_a_changed_file_alone_is_examined_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = photos(tmp_path / "photos")
    before, header, opened = load(root), images.header, []
    monkeypatch.setattr(images, "header", lambda path: opened.append(path.name) or header(path))
    photo(root / "cat" / "03.png", seed="another")
    assert load(root).digest != before.digest
    assert opened == ["03.png"]


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x05\x06" + bytes(18)])
def test_a_damaged_index_is_made_anew(content: bytes, tmp_path: Path) -> None:
    root = photos(tmp_path / "photos")
    before = load(root)
    (index,) = (tmp_path / "cache" / "files").iterdir()
    whole = index.stat().st_size
    index.write_bytes(content)
    assert load(root).digest == before.digest
    assert index.stat().st_size == whole


def test_a_copy_of_a_file_is_in_the_same_split(tmp_path: Path) -> None:
    root = photos(tmp_path / "photos", each=30)
    for number in range(30):
        (root / "cat" / f"copy{number:02}.png").write_bytes((root / "cat" / f"{number:02}.png").read_bytes())
    seen = [{row.tobytes() for row in split.x} for split in load(root).splits.values()]
    assert sum(map(len, seen)) == len(set().union(*seen)) == 60


@pytest.mark.parametrize(("spoil", "words"), [
    (lambda file: photo(file, (30, 30)), "`cat/03.png` has changed"),
    (lambda file: file.unlink(), "`cat/03.png` is gone"),
])  # fmt: skip
def test_files_that_change_during_a_run_are_refused(spoil: object, words: str, tmp_path: Path) -> None:
    root = photos(tmp_path / "photos")
    data = load(root)
    spoil(root / "cat" / "03.png")  # type: ignore[operator]
    with pytest.raises(UserError, match=words) as error:
        [split.x[:] for split in data.splits.values()]
    assert error.value.problems[0].help == "run again: files that changed are examined anew"


def test_a_smoke_run_examines_three_times_its_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = photos(tmp_path / "photos", each=100)
    opened, header = [], images.header
    monkeypatch.setattr(images, "header", lambda path: opened.append(path) or header(path))
    few = load(root, 6)
    assert {name: len(split.y) for name, split in few.splits.items()} == dict.fromkeys(few.splits, 6)
    assert len(opened) <= 22
