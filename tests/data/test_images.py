"""PNGs that are turned: the header, what is remembered of a file, and its pixels agree."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from edgepress.core.errors import UserError
from edgepress.data import file_index, images, partners
from edgepress.data.load import load_dataset
from edgepress.data.source import Source
from PIL import Image

from .made import FRONT, photo, turned


@pytest.mark.parametrize("way", FRONT)
def test_a_header_knows_how_the_picture_is_turned_and_decodes_nothing(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = turned(photo(tmp_path / "x.png", (64, 48)), way)
    monkeypatch.setattr(Image.core, "zip_decoder", lambda *_: pytest.fail("decoded"))
    assert images.header(path)[:2] == (64, 48)


@pytest.mark.parametrize("way", [*FRONT, "behind", "text behind", "turned back"])
def test_what_is_known_of_a_turned_picture_is_what_decoding_gives(way: str, tmp_path: Path) -> None:
    path = turned(photo(tmp_path / "x.png", (64, 48)), way)
    header = file_index.photo(path).header
    assert (header.width, header.height) == images.decoded(path, "RGB", 128).size
    assert (header.width < header.height) == (way != "turned back")


@pytest.mark.parametrize("save", [
    lambda image, path: image.save(path / "x.jpg"),
    lambda image, path: image.save(path / "x.jpg", exif=_exif(6)),
    lambda image, path: image.save(path / "x.tif"),
    lambda image, path: image.save(path / "x.png"),
])  # fmt: skip
@pytest.mark.parametrize("size", [(64, 48), (2, 1), (9, 8), (640, 81)])
def test_other_pictures_keep_their_sides(
    size: tuple[int, int], save: Callable[[Image.Image, Path], None], tmp_path: Path
) -> None:
    """A JPEG is decoded at an eighth to be examined, so that its decoded sides are not those of the file."""
    save(Image.new("RGB", size), tmp_path)
    (path,) = tmp_path.iterdir()
    header = file_index.photo(path).header
    assert (header.width, header.height) == images.decoded(path, "RGB", 10**6).size


@pytest.mark.parametrize("way", ["xmp", "behind"])
def test_masks_that_are_not_turned_with_their_photo_are_refused(way: str, tmp_path: Path) -> None:
    for number in range(20):
        turned(photo(tmp_path / "photos" / f"{number:02}.png", (16, 12)), way)
        classes = np.random.default_rng(number).choice([0, 1, 255], (12, 16)).astype(np.uint8)
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(classes).save(tmp_path / "masks" / f"{number:02}.png")
    source = Source.model_validate({"from": "./photos", "masks": "./masks", "size": 8})
    with pytest.raises(UserError, match="20 of 20 masks are of another size than their image"):
        load_dataset(source, base=tmp_path)
    for path in (tmp_path / "masks").iterdir():
        turned(path, way)
    found = load_dataset(source, base=tmp_path)["train"].y[:]
    assert found[0].tobytes() in {
        partners._mask(path, size=(8, 8), resize="crop").tobytes() for path in (tmp_path / "masks").iterdir()
    }


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif
