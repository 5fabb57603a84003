"""Images that stay in their files: rows, what is remembered of files, and files that change."""

from __future__ import annotations

import os
import pickle
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from edgepress.core.errors import UserError
from edgepress.data import file_index, images, memo
from edgepress.data.dataset import Dataset
from edgepress.data.load import load_dataset
from edgepress.data.rows import Lazy, Stored, Zeros, choose, concatenated, digests
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
    lazy["zeros"] = Zeros(values.shape, values.dtype)
    for name, each in lazy.items():
        values, digest = (np.zeros_like(values), 0 * digests(values)) if name == "zeros" else (values, digests(values))
        again = pickle.loads(pickle.dumps(each))
        assert isinstance(again, Lazy)
        assert (again.shape, len(again), again.dtype) == (values.shape, 9, values.dtype), name
        for taken in (rows, slice(2, 20, 3), slice(-2, None), slice(0, 0)):
            assert np.array_equal(again[taken], values[taken]), name
        assert np.array_equal(again[-1], values[-1])
        assert np.array_equal(np.stack(list(again)), values)
        assert np.array_equal(digests(again), digest)
        with pytest.raises(IndexError):
            again[9]


def test_a_row_is_taken_in_the_same_time_of_any_number() -> None:
    many = Zeros((10**12, 2), np.dtype(np.uint8))
    assert choose(many, np.array([10**12 - 1, -1]))[:].tolist() == [[0, 0], [0, 0]]
    with pytest.raises(IndexError):
        many[np.array([10**12])]


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


def test_whatever_is_damaged_in_the_cache_is_made_anew(tmp_path: Path) -> None:
    root = photos(tmp_path / "photos")
    before = load(root)
    kept = sorted((tmp_path / "cache").rglob("*.npz"))
    assert len(kept) == 3, "what is known of the files, how they are dealt, mean and deviation"
    whole = [file.read_bytes() for file in kept]
    for damage in (lambda _: b"", lambda _: b"junk", lambda own: own[:-1], lambda own: own[:50] + b"?" + own[51:]):
        for file, own in zip(kept, whole, strict=True):
            file.write_bytes(damage(own))
        again = load(root)
        assert (again.digest, again.inputs) == (before.digest, before.inputs)
        assert [file.read_bytes() for file in kept] == whole


def test_what_an_older_version_knew_of_files_is_found_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It believed headers about pictures that are turned behind their pixels."""
    root = photos(tmp_path / "photos")
    before = load(root)
    (index,) = (tmp_path / "cache" / "files").iterdir()
    known = memo.read(index)
    assert known is not None
    memo.write(index, {name: array for name, array in known.items() if name != "version"})
    header, opened = images.header, []
    monkeypatch.setattr(images, "header", lambda path: opened.append(path) or header(path))
    assert (load(root).digest, len(opened)) == (before.digest, 20)
    assert (load(root).digest, len(opened)) == (before.digest, 20), "and is remembered then"


def test_a_huge_file_in_the_place_of_an_index_is_not_read(tmp_path: Path) -> None:
    root = photos(tmp_path / "photos")
    before = load(root)
    (index,) = (tmp_path / "cache" / "files").iterdir()
    with index.open("r+b") as file:
        file.truncate(2**40)
    assert load(root).digest == before.digest


def test_a_file_that_is_new_when_a_long_examination_begins_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have changed once more behind its `stat`, in the same step of the file system's clock."""
    monkeypatch.setattr(file_index, "_SETTLED", 2 * 10**9)
    times = iter([time.time_ns(), *[time.time_ns() + 10**11] * 9])
    monkeypatch.setattr(file_index, "time", SimpleNamespace(time_ns=lambda: next(times)))
    load(photos(tmp_path / "photos"))
    (index,) = (tmp_path / "cache" / "files").iterdir()
    assert not len(file_index._read(index)[0])


def test_times_of_any_year_are_times(tmp_path: Path) -> None:
    root = photos(tmp_path / "photos")
    before = load(root)
    for number, year in enumerate((-10, 400)):
        os.utime(root / "cat" / f"{number:02}.png", (year * 31_556_952, year * 31_556_952))
    again = load(root)
    assert again.digest == before.digest
    assert sum(len(split.x[:]) for split in again.splits.values()) == 20


def test_names_need_not_be_utf_8(tmp_path: Path) -> None:
    root = photos(tmp_path / "photos")
    odd = root / "cat" / os.fsdecode(b"caf\xe9 1.png")
    (root / "cat" / "03.png").rename(odd)
    for data in (load(root), load(root)):
        assert sum(len(split.x[:]) for split in data.splits.values()) == 20
    odd.write_bytes(b"junk")
    with pytest.raises(UserError, match="1 of 20 image files cannot be read: cat/caf") as error:
        load(root)
    assert str(error.value).encode(errors="backslashreplace")


def test_an_index_forgets_files_that_are_gone(tmp_path: Path) -> None:
    root = photos(tmp_path / "photos")
    load(root)
    (index,) = (tmp_path / "cache" / "files").iterdir()
    (root / "cat" / "03.png").rename(root / "cat" / "new.png")
    load(root)
    names = file_index._read(index)[0].tolist()
    assert len(names) == 20
    assert b"cat/03.png" not in names


def test_an_interrupted_examination_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, whole, seen = photos(tmp_path / "photos"), file_index.photo, []
    monkeypatch.setattr(file_index, "_AT_ONCE", 4)

    def interrupted(path: Path) -> file_index.Found:
        seen.append(path)
        if len(seen) == 10:
            raise KeyboardInterrupt
        return whole(path)

    paths = [str(path) for path in sorted(root.rglob("*.png"))]
    with pytest.raises(KeyboardInterrupt):
        file_index.examine(paths, root, tmp_path / "cache", interrupted)
    again: list[Path] = []
    file_index.examine(paths, root, tmp_path / "cache", lambda path: again.append(path) or whole(path))
    assert len(again) == 12, "two blocks were finished"


def test_a_cache_that_cannot_be_written_is_used(tmp_path: Path) -> None:
    root = photos(tmp_path / "photos")
    (tmp_path / "cache").write_text("a file in its place")
    assert load(root).digest == load_dataset(Source.model_validate({"from": str(root)})).digest


def test_a_folder_that_is_moved_is_the_same_data(tmp_path: Path) -> None:
    root = photos(tmp_path / "photos")
    before = load(root)
    (tmp_path / "elsewhere").mkdir()
    assert load(root.rename(tmp_path / "elsewhere" / "photos")).digest == before.digest


def test_links_to_files_are_followed(tmp_path: Path) -> None:
    root = photos(tmp_path / "photos")
    real = (root / "cat" / "03.png").rename(tmp_path / "real.png")
    (root / "cat" / "03.png").symlink_to(real)
    before = load(root)
    photo(real, seed="another")
    assert load(root).digest != before.digest


def test_one_unreadable_file_is_left_out_in_every_run(tmp_path: Path) -> None:
    root = photos(tmp_path / "photos")
    (root / "cat" / "03.png").write_bytes((root / "cat" / "03.png").read_bytes()[:50])
    for _ in range(2):
        data = load(root, unreadable="skip")
        assert sum(len(split.y) for split in data.splits.values()) == 19
        assert any("1 is not read: 1 .png (cannot be read" in note for note in data.notes)


def test_one_photo_is_too_few(tmp_path: Path) -> None:
    photo(tmp_path / "photos" / "cat" / "1.png")
    with pytest.raises(UserError, match="has one class only, `cat`"):
        load(tmp_path / "photos")


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
