"""Folders of images: every format and mode, orientation, sizes, and what is not an image."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from edgepress.core.errors import UserError
from edgepress.data import files, folder, images
from edgepress.data.dataset import Dataset
from edgepress.data.load import load_dataset
from edgepress.data.source import Source
from edgepress.models import metadata
from edgepress.models.onnx.pre_post_processing import Embedded, embedded
from edgepress.training import Examples, Rows
from PIL import Image

from .made import photo, photos


def load(path: Path, **options: object) -> Dataset:
    return load_dataset(Source.model_validate({"from": str(path), **options}))


def pixels(path: Path, **options: object) -> np.ndarray:
    """One image file as it is read, (channels, height, width)."""
    x, _ = files.read([str(path)], path.parent, Source.model_validate({"from": str(path.parent), **options}))
    return x[0]


def test_a_folder_becomes_a_data_set(tmp_path: Path) -> None:
    photos(tmp_path / "photos", each=20, classes=("b", "a", "c"))
    found = load(tmp_path / "photos")
    assert (found.name, found.labels, found.task) == ("photos", ("a", "b", "c"), "single-label")
    assert {name: split.x.shape for name, split in found.splits.items()} == {
        "train": (42, 3, 12, 12), "validation": (6, 3, 12, 12), "test": (12, 3, 12, 12),
    }  # fmt: skip
    assert (found.input.kind, found.input.scale, len(found.input.mean)) == ("image", 1 / 255, 3)
    first = np.asarray(Image.open(tmp_path / "photos" / "b" / "03.png")).transpose(2, 0, 1)
    where = [y for split in found.splits.values() for x, y in zip(*split, strict=True) if (x == first).all()]
    assert where == [1]


def test_the_order_on_the_disk_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = load(photos(tmp_path / "photos"))
    walk = os.walk

    def backwards(top: Path, **options: object) -> Iterator[tuple[str, list[str], list[str]]]:
        for where, folders, names in walk(top, **options):
            names.reverse()
            yield where, folders, names

    monkeypatch.setattr(os, "walk", backwards)
    monkeypatch.setattr(Path, "iterdir", lambda self: iter(sorted(map(self.joinpath, os.listdir(self)), reverse=True)))
    assert load(tmp_path / "photos").digest == one.digest
    shutil.move(tmp_path / "photos", tmp_path / "elsewhere")
    moved = load(tmp_path / "elsewhere")
    assert [split.y.tolist() for split in moved.splits.values()] == [split.y.tolist() for split in one.splits.values()]


def test_nested_files_count_and_hidden_and_other_files_do_not(tmp_path: Path) -> None:
    root = photos(tmp_path / "photos")
    photo(root / "cat" / "monday" / "late" / "1.png")
    for hidden in (
        ".DS_Store",
        ".hidden.png",
        "cat/._00.png",
        "cat/.cache/2.png",
        "cat/Thumbs.db",
        ".git/x.png",
        "README",
    ):
        (root / hidden).parent.mkdir(exist_ok=True)
        (root / hidden).write_bytes(b"junk")
    assert sum(len(split.y) for split in load(root).splits.values()) == 21


def test_folders_of_splits(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        photos(tmp_path / "photos" / part, each={"train": 9, "val": 2, "test": 4}[part])
    # Copies across given splits are the user's own; here all names repeat, so pictures do too.
    found = load(tmp_path / "photos")
    assert {name: len(split.y) for name, split in found.splits.items()} == {"train": 18, "validation": 4, "test": 8}
    assert found.labels == ("cat", "dog")


def test_groups_by_path(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        for subject in range(10):
            for shot in range(3):
                photo(tmp_path / "photos" / label / f"subject{subject}_{shot}.png", mode="L")
    paths = [
        f"{label}/subject{subject}_{shot}.png" for label in ("cat", "dog") for subject in range(10) for shot in range(3)
    ]
    source = {"from": str(tmp_path / "photos"), "group": r"(subject\d+)"}
    examples = folder.read(Source.model_validate(source), tmp_path / "photos")
    assert examples.groups is not None
    assert examples.groups.tolist() == [path.split("/")[1].split("_")[0] for path in paths]
    assert {name: len(split.y) for name, split in load(tmp_path / "photos", group=r"(subject\d+)").splits.items()} == {
        "train": 42, "validation": 6, "test": 12,
    }  # fmt: skip


@pytest.mark.parametrize("suffix", images.SUFFIXES)
def test_every_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix.upper()}"
    Image.new("RGB", (16, 10), (200, 30, 90)).save(path)
    found = pixels(path, color="rgb")
    assert found.shape == (3, 10, 16)
    assert np.abs(found.mean(axis=(1, 2)) - [200, 30, 90]).max() < 6


def test_every_mode(tmp_path: Path) -> None:
    def read(image: Image.Image, name: str = "x.png", **options: object) -> list[int]:
        image.save(tmp_path / name)
        return pixels(tmp_path / name, **options)[:, 4, 4].tolist()

    size = (8, 8)
    assert read(Image.new("L", size, 77)) == [77], "grey stays one channel"
    assert read(Image.new("L", size, 77), color="rgb") == [77, 77, 77]
    assert read(Image.new("1", size, 1)) == [255]
    assert read(Image.fromarray(np.full(size, 257 * 99, np.uint16))) == [99], "16 bits"
    assert read(Image.fromarray(np.full(size, 257 * 99, np.uint16)), "x.tif") == [99]
    assert read(Image.new("RGBA", size, (10, 20, 30, 255))) == [10, 20, 30]
    assert read(Image.new("RGBA", size, (10, 20, 30, 0))) == [255, 255, 255], "transparent is white"
    assert read(Image.new("LA", size, (40, 255))) == [40]
    assert read(Image.new("RGB", size, (10, 200, 30)).convert("P", palette=Image.Palette.ADAPTIVE)) == [10, 200, 30]
    assert read(Image.new("CMYK", size, (0, 0, 0, 0)), "x.jpg") == [255, 255, 255]
    assert read(Image.new("RGB", size, (255, 0, 0)), color="grey") == [76]
    with pytest.raises(UserError, match="floating-point"):
        read(Image.fromarray(np.zeros(size, np.float32)), "x.tif")


def test_grey_and_coloured_together_are_rgb(tmp_path: Path) -> None:
    root = photos(tmp_path / "photos")
    photo(root / "cat" / "grey.png", mode="L")
    assert load(root).input.shape == (3, 12, 12)


@pytest.mark.parametrize(
    ("name", "size"), [("x.png", None), ("x.jpg", None), ("x.jpg", 8), ("x.webp", None), ("x.tif", None)]
)
def test_orientation_is_followed(tmp_path: Path, name: str, size: int | None) -> None:
    """A phone writes the picture lying, and says so."""
    lying = np.zeros((16, 32, 3), np.uint8)
    lying[:, 16:] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(lying).save(tmp_path / name, exif=exif)
    found = pixels(tmp_path / name, **({"size": size} if size else {}))
    assert found.shape == ((3, size, size) if size else (3, 32, 16))
    assert found[:, : len(found[0]) // 4].max() < 40
    assert found[:, -len(found[0]) // 4 :].min() > 215, "right is below after a quarter turn"


def test_the_three_ways_to_resize(tmp_path: Path) -> None:
    stripes = np.zeros((20, 60), np.uint8)
    stripes[:, 20:40] = 200
    Image.fromarray(stripes).save(tmp_path / "x.png")
    assert pixels(tmp_path / "x.png", size=20).min() == 200, "crop keeps the middle"
    squashed = pixels(tmp_path / "x.png", size=20, resize="squash")[0]
    assert (squashed[10, 1], squashed[10, 10], squashed[10, 18]) == (0, 200, 0)
    padded = pixels(tmp_path / "x.png", size=[20, 24], resize="pad")[0]
    assert padded.shape == (20, 24)
    assert padded[:5].max() == 0
    assert padded[10, 12] == 200


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1)])
@pytest.mark.parametrize("resize", ["crop", "squash", "pad"])
def test_thin_images_take_no_memory_and_keep_their_shape(tmp_path: Path, size: tuple[int, int], resize: str) -> None:
    assert pixels(photo(tmp_path / "x.png", size), size=32, resize=resize).shape == (3, 32, 32)


def test_a_large_photo_is_decoded_small_and_looks_the_same(tmp_path: Path) -> None:
    smooth = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((2400, 1800))
    smooth.save(tmp_path / "x.jpg", quality=95)
    smooth.save(tmp_path / "y.png")
    small, exact = (pixels(tmp_path / name, size=96).astype(int) for name in ("x.jpg", "y.png"))
    assert np.abs(small - exact).mean() < 2


def test_unreadable_files_can_be_left_out(tmp_path: Path) -> None:
    root = photos(tmp_path / "photos", suffix=".jpg")
    whole = load(root)
    cut = photo(root / "cat" / "cut.jpg", (64, 64))
    cut.write_bytes(cut.read_bytes()[:-400])
    (root / "dog" / "00a.jpg").write_text("not an image")
    with pytest.raises(UserError, match="cannot be read"):
        load(root)
    assert load(root, size=12, unreadable="skip").digest == whole.digest, "labels stay with their images"


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, open = photos(tmp_path / "photos"), Image.open

    def refuse(path: Path) -> Image.Image:
        if path.name == "03.png":
            raise PermissionError(13, "Permission denied", str(path))
        return open(path)

    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(UserError, match=r"2 of 20 .*: cat/03\.png \(permission denied\), dog/03\.png \(permission"):
        load(root)


def test_free_memory_is_told_on_linux() -> None:
    free = images.free_memory()
    assert free is None or 2**20 < free < 2**50


@pytest.mark.parametrize("size", [(300, 200), (200, 301), (64, 640), (224, 224), (20, 500), (9, 3000)])
@pytest.mark.parametrize("to", [224, 33])
def test_photos_are_resized_as_torchvision_does(size: tuple[int, int], to: int, tmp_path: Path) -> None:
    from torchvision import transforms

    path = photo(tmp_path / "x.png", size)
    wanted = transforms.Compose([transforms.Resize(to), transforms.CenterCrop(to)])(Image.open(path))
    found = pixels(path, size=to).transpose(1, 2, 0)
    long = max(size) / min(size) > 8
    # The ends of a very long image are cut off before it is resized, which moves what is left by less than a pixel.
    assert long or np.array_equal(found, np.asarray(wanted))
    assert found.shape == (to, to, 3)


def test_images_of_other_shapes_keep_their_middle(tmp_path: Path) -> None:
    stripes = np.zeros((40, 60), np.uint8)
    stripes[10:30] = 200
    Image.fromarray(stripes).save(tmp_path / "x.png")
    found = pixels(tmp_path / "x.png", size=[20, 60])[0]
    assert found.shape == (20, 60)
    assert found.min() == 200


@pytest.mark.parametrize("embed", [(), ("normalize",)])
@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("resize", ["crop", "squash", "pad"])
def test_the_exported_file_is_fed_as_training_was(
    tmp_path: Path, embed: tuple[str, ...], raw: bool, resize: str
) -> None:
    """A device reads a photo by the contract alone: what it gives the file is what the training loader gave."""
    for label in ("cat", "dog"):
        for number in range(6):
            photo(tmp_path / "photos" / label / f"{number}.jpg", (50 + 9 * number, 40), quality=80)
    found = load(tmp_path / "photos", size=[24, 32], resize=resize, normalize="imagenet")
    contract = embedded(metadata.describe(found), embed, raw and "normalize" in embed)
    (entry,) = contract["inputs"]
    files = np.stack([metadata.photo(entry, path) for path in sorted((tmp_path / "photos").rglob("*.jpg"))])
    assert files.dtype == entry["dtype"]
    with torch.inference_mode():
        seen = Embedded(torch.nn.Identity(), found, contract)(torch.from_numpy(files)).numpy()
    learnt = Examples(found, "train", 0).batch(Rows(torch.arange(len(found["train"].y)), 0))[0].numpy()
    for row in learnt:
        assert min(float(np.abs(row - each).max()) for each in seen) < 1e-5, "one of the files gives just this"


def test_what_images_are_normalised_by(tmp_path: Path) -> None:
    root = photos(tmp_path / "photos")
    assert load(root, normalize="imagenet").input.mean == (0.485, 0.456, 0.406)
    given = load(root, normalize={"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}).input
    assert (given.mean, given.std) == ((0.5,) * 3, (0.25,) * 3)
    with pytest.raises(UserError) as error:
        load(root, normalize="imagenet", color="grey")
    assert str(error.value) == (
        "error: `photos`: `normalize` has 3 means and 3 deviations, and the images have 1 channel\n"
        "  = help: `color: rgb` makes three channels of each image, `color: grey` one"
    )


def test_names_of_imagenet_are_those_of_timm_in_its_order() -> None:
    from timm.data import ImageNetInfo

    info = ImageNetInfo("imagenet-1k")
    names = folder.imagenet()
    assert len(set(names)) == info.num_classes() == 1000
    for index, name in enumerate(names):
        alone = info.index_to_description(index, detailed=False)
        assert name in (alone, f"{alone} ({info.index_to_label_name(index)})")


def test_names_of_imagenet_import_no_network() -> None:
    program = "import sys; from edgepress.data import folder; folder.imagenet(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_images_without_labels(tmp_path: Path) -> None:
    for path in ("1.png", "a/2.png", "a/b/3.png", *(f"c/{number}.png" for number in range(17))):
        photo(tmp_path / "photos" / path)
    found = load(tmp_path / "photos", labels="imagenet")
    assert not found.labelled
    assert (len(found.labels), len(set(found.labels)), found.labels[1]) == (1000, 1000, "goldfish, Carassius auratus")
    assert [name for name in found.labels if name.startswith("crane (")] == ["crane (n02012849)", "crane (n03126707)"]
    assert {name: len(split.y) for name, split in found.splits.items()} == {"train": 2, "validation": 6, "test": 12}
    with pytest.raises(UserError, match="`photos` has no labels to train on"):
        found.to_learn_from()
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="`empty`: no images"):
        load(tmp_path / "empty", labels="imagenet")


def test_a_smoke_run_decodes_no_more_than_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred thousand files: listed, not opened."""
    photos(tmp_path / "few", each=100, classes=("a", "b", "rare"))
    many = tmp_path / "many"
    for label, count in {"a": 60_000, "b": 39_990, "rare": 10}.items():
        (many / label).mkdir(parents=True)
        for number in range(count):
            os.link(tmp_path / "few" / label / f"{number % 100:02}.png", many / label / f"{number:05}.png")
    opened = []
    original = images.pixels
    monkeypatch.setattr(images, "pixels", lambda path, **how: opened.append(path) or original(path, **how))
    found = load_dataset(Source.model_validate({"from": str(many)}), 20)
    assert {name: len(split.y) for name, split in found.splits.items()} == dict.fromkeys(found.splits, 20)
    assert len(opened) <= 20 / 0.1 + 3
    again = load_dataset(Source.model_validate({"from": str(many)}), 20)
    assert again.digest == found.digest, "the same ones each time"


def test_a_smoke_run_has_every_class() -> None:
    of = ["a"] * 1000 + ["b"] * 5 + ["c"]
    some = images.spread(of, 50)
    assert {label: sum(of[row] == label for row in some) for label in "abc"} == {"a": 50, "b": 3, "c": 1}
    assert some == sorted(set(some))
    assert images.spread(of, 2000) == images.spread(of, None) == list(range(1006))
