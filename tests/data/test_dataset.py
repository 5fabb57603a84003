"""Data sets: splits that share no image, the types that stages rely on, the same bytes each time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from edgepress.core.errors import UserError
from edgepress.data import dataset
from edgepress.data.dataset import Dataset, Split
from edgepress.data.load import load_dataset

SIZES = {
    "digits": {"train": 1078, "validation": 359, "test": 360},
    "fashion-mnist-10k": {"train": 7000, "validation": 1000, "test": 2000},
}
SHAPES = {"digits": (1, 8, 8), "fashion-mnist-10k": (1, 28, 28)}


@pytest.fixture(scope="module", params=SIZES)
def loaded(request: pytest.FixtureRequest) -> Dataset:
    return load_dataset(request.param)


def test_sizes_shapes_and_types(loaded: Dataset) -> None:
    assert {name: len(split.y) for name, split in loaded.splits.items()} == SIZES[loaded.name]
    assert loaded.input.shape == SHAPES[loaded.name]
    for x, y in loaded.splits.values():
        assert (x.dtype, y.dtype) == (np.uint8, np.int64)
        assert len(x) == len(y)
        assert x.shape[1:] == loaded.input.shape
        assert set(y.tolist()) == set(range(len(loaded.labels)))
    assert loaded["train"].x.max() == 255, "pixels use the whole range of a byte"


def test_splits_share_no_image(loaded: Dataset) -> None:
    """Pixel for pixel; the sets themselves hold a few pictures twice, with one label each time."""
    seen = {name: {x.tobytes() for x in split.x} for name, split in loaded.splits.items()}
    shared = sum(
        len(seen[a] & seen[b]) for a, b in (("train", "validation"), ("train", "test"), ("validation", "test"))
    )
    assert shared == 0


def test_the_same_each_time(loaded: Dataset) -> None:
    again = load_dataset(loaded.name)
    assert again.digest == loaded.digest
    assert again.inputs == loaded.inputs


def test_normalised_pixels_are_centred(loaded: Dataset) -> None:
    x = loaded.input.to_model_inputs(loaded["train"].x)
    assert x.dtype == np.float32
    assert x.shape == loaded["train"].x.shape
    assert abs(float(x.mean())) < 0.02
    assert abs(float(x.std()) - 1) < 0.02


@pytest.mark.parametrize("change", ["pixel", "label", "name", "order", "split"])
def test_digest_sees_every_change(few: Dataset, change: str) -> None:
    splits = {name: Split(split.x.copy(), split.y.copy()) for name, split in few.splits.items()}
    name = few.name
    if change == "pixel":
        splits["test"].x[3, 0, 4, 4] ^= 1
    elif change == "label":
        splits["train"].y[0] = (splits["train"].y[0] + 1) % 10
    elif change == "order":
        splits["train"] = Split(splits["train"].x[::-1], splits["train"].y[::-1])
    elif change == "split":
        splits["test"], splits["validation"] = splits["validation"], splits["test"]
    else:
        name = "other"
    assert replace(few, name=name, splits=splits).digest != few.digest


def test_limit_keeps_the_first_of_each_split_and_the_moments(digits: Dataset) -> None:
    limited = load_dataset("digits", 5)
    for name, split in limited.splits.items():
        np.testing.assert_array_equal(split.x, digits[name].x[:5])
        np.testing.assert_array_equal(split.y, digits[name].y[:5])
    assert limited.inputs == digits.inputs
    assert limited.digest != digits.digest


def test_limit_beyond_the_data_changes_nothing(digits: Dataset) -> None:
    assert digits.limited(10**6).digest == digits.digest


def test_constant_channel_divides_by_no_zero() -> None:
    blank = Split(np.full((4, 1, 2, 2), 7, np.uint8), np.arange(4))
    found = dataset.images("blank", ("a", "b"), {"train": blank, "validation": blank, "test": blank}, "")
    assert np.isfinite(found.input.to_model_inputs(blank.x)).all()


def test_unknown_name_is_told_with_a_near_one() -> None:
    with pytest.raises(UserError, match="unknown data set `digit`") as error:
        load_dataset("digit")
    assert "digits" in error.value.problems[0].help
