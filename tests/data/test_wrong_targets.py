"""Everything that can be wrong with masks, points, identities and pictures, and the exact words about it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edgepress import Examples
from edgepress.core.columns import joined
from edgepress.core.errors import UserError
from edgepress.data.load import load_dataset
from edgepress.data.source import Source
from PIL import Image

from . import wrong_functions, wrong_pairs
from .test_wrong import said
from .wrong_targets import COUNT, IDENTITIES, SIDE, WRONG, masks, pairs, points, x

ALL = WRONG | wrong_pairs.WRONG


@pytest.mark.parametrize("name", ALL)
def test_wrong_targets_are_told(name: str, tmp_path: Path) -> None:
    make, words = ALL[name]
    assert said(make, tmp_path) == words


def test_folders_of_images_and_masks_are_read_together(tmp_path: Path) -> None:
    pairs(tmp_path)
    source = Source.model_validate({"from": "./photos", "masks": "./masks", "labels": ["ground", "sky"], "size": 8})
    data = load_dataset(source, base=tmp_path)
    assert (data.task, data.labels) == ("segmentation", ("ground", "sky"))
    assert {name: len(split.y) for name, split in data.splits.items()} == {"train": 14, "validation": 2, "test": 4}
    assert data["train"].y.shape == (14, 8, 8)
    assert data["train"].y.dtype == np.uint8
    assert (data["train"].y[:][:, :4] == 1).all()
    assert (data["train"].y[:][:, 4:] == 0).all()
    assert load_dataset(source, base=tmp_path).digest == data.digest


def test_padding_of_a_mask_is_void(tmp_path: Path) -> None:
    pairs(tmp_path)
    source = Source.model_validate({"from": "./photos", "masks": "./masks", "size": [8, 16], "resize": "pad"})
    assert (load_dataset(source, base=tmp_path)["train"].y[:][:, :, 0] == 255).all()


def test_folders_of_splits_have_their_masks_below_the_same_names(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        pairs(tmp_path / part, 3)
        for kind in ("photos", "masks"):
            (tmp_path / kind).mkdir(exist_ok=True)
            (tmp_path / part / kind).rename(tmp_path / kind / part)
    data = load_dataset(Source.model_validate({"from": "./photos", "masks": "./masks"}), base=tmp_path)
    assert {name: len(split.y) for name, split in data.splits.items()} == {"train": 3, "validation": 3, "test": 3}


def test_a_folder_of_sharp_pictures_is_the_target_of_another(tmp_path: Path) -> None:
    pairs(tmp_path)
    data = load_dataset(Source.model_validate({"from": "./photos", "pictures": "./masks"}), base=tmp_path)
    assert (data.task, data.labels) == ("image", ("grey",))
    assert data["test"].y.shape == (4, 1, SIDE, SIDE)


def test_identities_are_each_in_one_split(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=x(), y=IDENTITIES)
    data = load_dataset(Source.model_validate({"from": "./x.npz", "task": "embedding"}), base=tmp_path)
    seen = [set(split.y.tolist()) for split in data.splits.values()]
    assert sum(map(len, seen)) == len(set().union(*seen)) == COUNT // 2
    assert min(map(len, seen)) >= 2
    assert data.groups is not None
    assert len(set(data.groups.tolist())) == len(set(data["test"].y.tolist()))


def test_points_in_pixels_are_read_as_shares_of_the_picture(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=x(), y=points(), labels=["left", "right"])
    source = {"from": "./x.npz", "task": "keypoints", "flip_pairs": [["left", "right"]]}
    data = load_dataset(Source.model_validate(source), base=tmp_path)
    assert data.flip_pairs == ((0, 1),)
    assert data["train"].y.min() >= 0
    assert data["train"].y.max() <= 1
    all_y = np.concatenate([split.y for split in data.splits.values()])
    assert sorted(all_y[:, 0, 0] * SIDE - 0.5) == pytest.approx(sorted(points()[:, 0, 0]), abs=1e-4)


@pytest.mark.parametrize("name", wrong_functions.WRONG)
def test_wrong_targets_of_a_function_are_told(name: str, tmp_path: Path) -> None:
    code, words, help = wrong_functions.WRONG[name]
    (tmp_path / "mine.py").write_text(f"{wrong_functions.HEAD}{code}\n")
    found = said(lambda where: {"from": "./mine.py:load"}, tmp_path).replace("`./mine.py:load`:", "`./mine.py:load`")
    assert found == f"error: `./mine.py:load` {words}\n  = help: {help}"


def test_masks_of_a_function_that_are_no_masks_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import numpy as np\nfrom edgepress import Dataset, Input\nfrom edgepress.data.dataset import Split\n"
        "def load():\n    split = Split(np.zeros((4, 1, 8, 8), np.uint8), np.zeros((4, 4, 8), np.uint8))\n"
        "    input = Input('input', 'image', (1, 8, 8), 1 / 255, (0.0,), (1.0,))\n"
        "    splits = {name: split for name in ('train', 'validation', 'test')}\n"
        "    return Dataset('mine', ('a', 'b'), splits, (input,), 'segmentation')\n"
    )
    words = (
        "error: `./mine.py:load`: `train`: the masks are of 4 × 8 pixels, and the images of 8 × 8\n"
        "  = help: a mask has a class for each pixel of its image"
    )
    assert said(lambda where: {"from": "./mine.py:load"}, tmp_path) == words


def test_masks_beside_an_image_and_numbers_are_refused() -> None:
    inputs = joined({"picture": x(), "age": np.zeros((COUNT, 1), np.float32)})
    with pytest.raises(UserError, match="segmentation takes one input, an image, and there are 2: picture, age"):
        Examples(inputs, masks(), task="segmentation").checked("mine")


def test_a_person_is_in_one_split_whatever_else_is_grouped() -> None:
    people, sessions = np.repeat(np.arange(10), 4), np.repeat(np.arange(20), 2)
    sessions[[0, 4]] = 30
    examples = Examples(np.zeros((40, 3), np.float32), people, task="embedding", groups=sessions).checked("mine")
    assert examples.groups is not None
    assert len(set(examples.groups.tolist())) == 9, "people 0 and 1 share a session"
    assert all(len({*examples.groups[people == person].tolist()}) == 1 for person in range(10))
    assert examples.groups[0] == examples.groups[4]


@pytest.mark.parametrize("resize", ["crop", "squash", "pad"])
def test_a_picture_is_cropped_as_its_image_is_and_stays_larger(resize: str, tmp_path: Path) -> None:
    """The same pixels, twice as large, are the same picture after both are made smaller."""
    for number in range(COUNT):
        small = np.random.default_rng(number).integers(0, 256, (4, 6, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        for name, pixels in (("photos", small), ("sharp", small.repeat(2, 0).repeat(2, 1))):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    options = {"from": "./photos", "pictures": "./sharp", "size": 16, "resize": resize}
    x, y = load_dataset(Source.model_validate(options), base=tmp_path)["train"]
    assert (x.shape[2:], y.shape[2:]) == ((16, 16), (32, 32))
    halved = y[:].reshape(len(y), 3, 16, 2, 16, 2).mean((3, 5))
    assert np.abs(halved - x[:]).mean() < 8


@pytest.mark.parametrize("pairs", [None, [["left", "right"]]])
def test_points_without_mirror_pairs_are_noted(pairs: list[list[str]] | None, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=x(), y=points(), labels=["left", "right"])
    source = Source.model_validate({"from": "./x.npz", "task": "keypoints", "flip_pairs": pairs})
    assert [note for note in load_dataset(source, base=tmp_path).notes if "flip_pairs" in note] == (
        [
            "`x.npz`: without `flip_pairs`, a left point is learnt as a right one where pictures are mirrored: name "
            "such pairs, or train with `flip: false`"
        ]
        if pairs is None
        else []
    )


def test_the_turn_that_a_mask_is_to_be_shown_with_is_followed(tmp_path: Path) -> None:
    pairs(tmp_path)
    for file in (tmp_path / "masks").iterdir():
        image = Image.open(file)
        exif = image.getexif()
        exif[0x0112] = 3  # upside down
        image.save(file, exif=exif)
    data = load_dataset(Source.model_validate({"from": "./photos", "masks": "./masks"}), base=tmp_path)
    assert (data["train"].y[:][:, : SIDE // 2] == 0).all()
    assert (data["train"].y[:][:, SIDE // 2 :] == 1).all()
