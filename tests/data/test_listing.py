"""Files that a folder's reader leaves out: each is counted by suffix and reason, and nothing in silence."""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest
from edgepress.core.errors import UserError
from edgepress.data import listing
from edgepress.data.dataset import Dataset
from edgepress.data.load import load_dataset
from edgepress.data.source import Source
from PIL import Image

from .made import photo, photos, table

REAL_HEIC = b"\0\0\0\x18ftypheic" + bytes(40)


def load(path: Path, **options: object) -> Dataset:
    return load_dataset(Source.model_validate({"from": str(path), **options}))


def count(data: Dataset) -> int:
    return sum(len(split.y) for split in data.splits.values())


def written(folder: Path, *names: str, content: bytes = b"junk") -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".JPG", ".ppm", ".tga", ".ico", ".pcx", ".jp2", ".avif", ".qoi"])
def test_whatever_pillow_decodes_is_read(tmp_path: Path, suffix: str) -> None:
    root = photos(tmp_path / "photos", suffix=".png")
    name = {".jfif": "JPEG", ".jpe": "JPEG"}.get(suffix) or Image.registered_extensions()[suffix.lower()]
    with Image.open(root / "cat" / "00.png") as image:
        image.save(root / "cat" / f"more{suffix}", name, **({"sizes": [(12, 12)]} if name == "ICO" else {}))
    found = load(root)
    assert (count(found), found.notes, found.warnings) == (21, (), ())


def test_formats_that_pillow_does_not_decode_itself_are_left_out() -> None:
    assert listing.suffixes() >= {".jpg", ".jfif", ".png", ".webp", ".tiff", ".bmp", ".gif", ".jp2"}
    assert not listing.suffixes() & {".h5", ".hdf", ".grib", ".wmf", ".mpg", ".eps", ".pdf", ".txt", ""}


def test_photos_of_phones_need_a_package(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = written(photos(tmp_path / "photos"), "cat/a.heic", "dog/b.HEIC", "dog/c.heif", content=REAL_HEIC)
    photo(root / "cat" / "jpeg.jpg").rename(root / "cat" / "jpeg.heic")
    found = load(root)
    assert count(found) == 21, "a JPEG that is called .heic is one"
    note = "`photos`: 3 are not read: 2 .heic, 1 .heif (`pip install pillow-heif` lets Pillow read them)"
    assert found.notes == (note,)
    assert capfd.readouterr().err == f"note: {note}\n"
    load(root)
    assert capfd.readouterr().err == "", "once is enough"


def test_with_the_package_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = written(photos(tmp_path / "photos"), "cat/a.heic", content=REAL_HEIC)
    table(tmp_path / "t.csv", ["image,label", "photos/cat/a.heic,cat", "photos/dog/00.png,dog"])
    with pytest.raises(UserError, match=r"photos/cat/a.heic \(`pip install pillow-heif` lets Pillow read them\)"):
        load(tmp_path / "t.csv", image="image")
    package = ModuleType("pillow_heif")
    package.__spec__ = ModuleSpec("pillow_heif", None)
    package.register_heif_opener = (
        lambda: (  # type: ignore[attr-defined]
            Image.register_open(
                "HEIF", lambda file, name: Image.new("RGB", (12, 12)), lambda head: head[4:12] == b"ftypheic"
            ),
            Image.register_extension("HEIF", ".heic"),
        )
    )
    monkeypatch.setitem(sys.modules, "pillow_heif", package)
    for name, copy in (("OPEN", dict(Image.OPEN)), ("EXTENSION", dict(Image.EXTENSION)), ("ID", list(Image.ID))):
        monkeypatch.setattr(Image, name, copy)
    listing.suffixes.cache_clear()
    try:
        found = load(root)
        assert (count(found), found.notes) == (21, ())
    finally:
        listing.suffixes.cache_clear()


def test_all_else_is_counted(tmp_path: Path) -> None:
    root = photos(tmp_path / "photos")
    written(root, "__MACOSX/cat/._00.png", ".DS_Store", "cat/Thumbs.db", "cat/._01.png", "cat/._02.png", "desktop.ini")
    written(root, "cat/notes.txt", "dog/00001", "README.md", ".git/x.png", "dog/.cache/x.png", "dog/.old.png")
    (root / "cat" / "same").symlink_to(root / "dog")
    found = load(root)
    assert count(found) == 20
    assert found.labels == ("cat", "dog"), "and __MACOSX is no class"
    (line,) = found.notes
    assert line.startswith("`photos`: 13 are not read: ")
    for words in (
        "1 folder `__MACOSX`", "1 `.DS_Store`", "1 `desktop.ini`", "2 `._*`", "1 `Thumbs.db`", "(of the system)",
        "1 folder `.git`", "1 folder `.cache`", "1 `.old.png` (hidden)", "1 .md, 1 .txt, 1 without suffix (no",
        "1 folder (links to folders, which are not followed)",
    ):  # fmt: skip
        assert words in line


def test_what_is_read_as_before_has_the_digest_that_it_had(tmp_path: Path) -> None:
    root = photos(tmp_path / "photos")
    before = load(root).digest
    written(root, "__MACOSX/x", "cat/.DS_Store", "cat/x.txt")
    assert load(root).digest == before


def test_unreadable_files_that_are_skipped_are_counted(tmp_path: Path) -> None:
    root = written(photos(tmp_path / "photos"), "cat/a.jpg", "cat/b.jpg", "dog/c.png")
    found = load(root, unreadable="skip")
    assert found.notes == ("`photos`: 3 are not read: 2 .jpg, 1 .png (cannot be read, and `unreadable: skip`)",)


def test_folders_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, scandir = photos(tmp_path / "photos"), os.scandir
    photo(root / "cat" / "deep" / "1.png")

    def closed(path: object) -> object:
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(UserError, match=r"1 folder cannot be read: .*deep \(permission denied\)"):
        load(root / "cat" / "deep")
    with pytest.raises(UserError, match=r"1 folders? cannot be read: .*deep \(permission denied\)"):
        load(root)
    assert load(root, unreadable="skip").notes == ("`photos`: 1 is not read: 1 folder (cannot be listed)",)


def test_images_beside_the_class_folders_of_a_split(tmp_path: Path) -> None:
    for part in ("train", "val"):
        photos(tmp_path / "photos" / part)
    photo(tmp_path / "photos" / "train" / "loose.jpg")
    (tmp_path / "photos" / "test").mkdir()
    found = load(tmp_path / "photos")
    assert found.notes == (
        "`photos`: 2 are not read: 1 folder `test` (no class folders in it); 1 .jpg (outside of the class folders)",
    )


def test_classes_may_be_called_as_splits(tmp_path: Path) -> None:
    assert load(photos(tmp_path / "photos", classes=("train", "car", "plane"))).labels == ("car", "plane", "train")


def test_only_the_first_picture_of_a_file_is_read(tmp_path: Path) -> None:
    root, frames = photos(tmp_path / "photos"), [Image.new("RGB", (12, 12), color) for color in ("red", "blue")]
    for name in ("a.gif", "b.tif", "c.webp"):
        frames[0].save(root / "cat" / name, save_all=True, append_images=frames[1:])
    (root / "dog" / "one.gif").write_bytes(b"")
    frames[0].save(root / "dog" / "one.gif")
    assert load(root).notes == (
        "`photos`: the first picture alone is read of files with several: 1 .gif, 1 .tif, 1 .webp",
    )


@pytest.mark.parametrize("twin", ["00.jpg", "00_mask.png", "00-seg.bmp", "00.PNG"])
def test_a_twin_is_pointed_out(tmp_path: Path, twin: str, capfd: pytest.CaptureFixture[str]) -> None:
    root = photos(tmp_path / "photos")
    photo(root / "cat" / twin)
    found = load(root)
    assert count(found) == 21, "nobody knows which of the two is the photo"
    (line,) = found.warnings
    assert line.startswith("`photos`: 1 image has a twin of the same name, such as `cat/00")
    assert f"warning: {line}" in capfd.readouterr().err
    photo(root / "dog" / twin)
    assert load(root).warnings[0].startswith("`photos`: 2 images have a twin")


def test_masks_as_a_class(tmp_path: Path) -> None:
    assert load(photos(tmp_path / "a", classes=("images", "masks"))).warnings == (
        "`a`: the folder `masks` is read as a class, and 10 of its 10 images have the names of those in `images`: "
        "move masks out of the folder",
    )
    assert not load(photos(tmp_path / "b", classes=("mask", "no_mask"))).warnings, "faces"


def test_a_table_says_what_it_does_not_read(tmp_path: Path) -> None:
    root = photos(tmp_path / "p")
    rows = [f"p/{label}/{n:02}.png,{label},{n}" for label in ("cat", "dog") for n in range(9)]
    table(tmp_path / "t.csv", ["file,kind,age", *rows])
    written(root, "cat/more.txt")
    assert load(tmp_path / "t.csv", image="file", label="kind").notes == (
        "`t.csv`: no row names 2 of the 20 images there, such as `p/cat/09.png`",
        "`t.csv`: the columns `age` are not read; `columns` names numbers to read",
    )
    table(tmp_path / "u.csv", ["a,label", *[f"{i},{'?' if i < 5 else i % 2}" for i in range(40)]])
    assert load(tmp_path / "u.csv").notes == ("`u.csv`: the label `?` of 5 rows is read as a class",)
    table(tmp_path / "v.csv", ["a,label", *[f"{i},{'xy'[: i % 3]}" for i in range(40)]])
    assert load(tmp_path / "v.csv", task="multi-label").notes == (
        "`v.csv`: 14 rows have none of the labels: their cell is empty",
    )


def test_what_is_no_file_is_left_out_by_name(tmp_path: Path) -> None:
    root = photos(tmp_path / "photos")
    for name in ("cat/b.png", "dog/a.heic"):
        os.mkfifo(root / name)
    (root / "cat" / "zero.png").symlink_to("/dev/zero")
    (root / "cat" / "loop.png").symlink_to("loop.png")
    (root / "dog" / "gone.png").symlink_to("nowhere.png")
    assert load(root).notes == (
        "`photos`: 1 is not read, being a device: `zero.png`",
        "`photos`: 1 is not read, being a link that leads in a circle: `loop.png`",
        "`photos`: 1 is not read, being a link to nothing: `gone.png`",
        "`photos`: 2 are not read, being a named pipe: `a.heic`, `b.png`",
    )
