"""`normalize:` for every kind of data: what a model takes is what the recipe states, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgepress.core.errors import UserError
from edgepress.data.dataset import Dataset
from edgepress.data.load import load_dataset
from edgepress.data.source import Source

from .made import arrays, photos, table

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (20, 3, 6, 6), dtype=np.uint8)
SERIES = RANDOM.normal(5, 3, (20, 2, 30)).astype(np.float32)
NUMBERS = RANDOM.normal(5, 3, (20, 4)).astype(np.float32)


def load(source: str | Path, how: Any, **options: object) -> Dataset:
    return load_dataset(Source.model_validate({"from": str(source), "normalize": how, **options}))


def fed(found: Dataset) -> np.ndarray:
    """Test examples as a model takes them."""
    (values,) = found.to_model_inputs(found["test"].x)
    return values


@pytest.mark.parametrize(
    ("x", "how", "expected"),
    [
        (PIXELS, "none", lambda x: x / 255),
        (PIXELS, "raw", lambda x: x),
        (PIXELS, {"mean": [0.5], "std": [0.25]}, lambda x: (x / 255 - 0.5) / 0.25),
        (SERIES, "none", lambda x: x),
        (SERIES, "raw", lambda x: x),
        (SERIES, {"mean": [5, -1], "std": [3, 2]}, lambda x: (x - [[5], [-1]]) / [[3], [2]]),
        (NUMBERS, "none", lambda x: x),
        (NUMBERS, {"mean": [100.0], "std": [20]}, lambda x: (x - 100) / 20),
    ],
)
def test_arrays_are_fed_as_the_recipe_states(tmp_path: Path, x: np.ndarray, how: Any, expected: Any) -> None:
    found = load(arrays(tmp_path / "x.npz", x=x), how)
    raw = found["test"].x.astype(np.float64)
    np.testing.assert_allclose(fed(found), expected(raw), rtol=1e-5, atol=1e-6)
    assert found.input.normalized_by == "recipe"


def test_by_default_the_training_examples_say_it(tmp_path: Path) -> None:
    found = load_dataset(Source.model_validate({"from": str(arrays(tmp_path / "x.npz", x=NUMBERS))}))
    assert found.input.normalized_by == "train"
    assert abs(found.to_model_inputs(found["train"].x)[0].mean()) < 1e-3


def test_a_csv_of_numbers(tmp_path: Path) -> None:
    rows = ["a,b,label", *[f"{i + 100}.5,{i},{'xy'[i % 2]}" for i in range(20)]]
    found = load(table(tmp_path / "t.csv", rows), "none")
    assert fed(found).max() > 100, "the values are as they stand in the file"


def test_a_folder_of_photos(tmp_path: Path) -> None:
    found = load(photos(tmp_path / "photos"), "none")
    np.testing.assert_allclose(fed(found), found["test"].x[:] / np.float32(255), rtol=1e-6)


def test_a_function_of_the_users(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "import numpy as np\nfrom edgepress.data.examples import Examples\n"
        "def load():\n"
        "    x = np.arange(80, dtype=np.float32).reshape(20, 4)\n"
        "    return Examples(x, np.arange(20) % 2)\n"
    )
    source = Source.model_validate({"from": "./own.py:load", "normalize": "none"})
    found = load_dataset(source, base=tmp_path)
    assert fed(found).max() > 10


def test_a_shipped_data_set_by_its_name() -> None:
    found = load("digits", {"mean": [0.5], "std": [0.5]})
    assert found.name == "digits"
    np.testing.assert_allclose(fed(found), (found["test"].x / 255 - 0.5) / 0.5, rtol=1e-5, atol=1e-6)
    assert load_dataset("digits").input.normalized_by == "data"


def test_the_digest_changes_with_the_values_and_not_with_where_they_come_from(tmp_path: Path) -> None:
    file = arrays(tmp_path / "x.npz", x=NUMBERS)
    default = load_dataset(Source.model_validate({"from": str(file)}))
    same = load(file, {"mean": list(default.input.mean), "std": list(default.input.std)})
    assert same.digest == default.digest, "cached results of the same values stay valid"
    assert load(file, "none").digest != default.digest


@pytest.mark.parametrize(
    ("x", "how", "words"),
    [
        (NUMBERS, "imagenet", "has no images, which `normalize: imagenet` is for"),
        (NUMBERS, {"mean": [1, 2], "std": [1, 1]}, "has 2 means and 2 deviations, and the rows have 4 columns"),
        (SERIES, {"mean": [1, 2, 3], "std": [1, 1, 1]}, "and the series have 2 channels"),
        (PIXELS, {"mean": [123.7, 116.3, 103.5], "std": [58, 57, 57]}, "is of pixels from 0 to 1"),
        (PIXELS[:, 0], "imagenet", "has 3 means and 3 deviations, and the images have 1 channel"),
        (RANDOM.integers(0, 9, (20, 5)), "none", "has only tokens, which are not normalized"),
    ],
)
def test_what_does_not_go_together(tmp_path: Path, x: np.ndarray, how: Any, words: str) -> None:
    with pytest.raises(UserError) as error:
        load(arrays(tmp_path / "x.npz", x=x), how)
    assert words in str(error.value)
    assert error.value.problems[0].help


def test_none_and_raw_are_for_every_input_and_moments_for_the_photos(tmp_path: Path) -> None:
    photo_rows = photos(tmp_path / "photos", each=10)
    files = sorted(photo_rows.rglob("*.png"))
    rows = ["image,weight,label", *[f"{file.relative_to(tmp_path)},{100 + i},{i % 2}" for i, file in enumerate(files)]]
    path = table(tmp_path / "t.csv", rows)
    plain = load(path, "none", image="image", columns=["weight"])
    assert {each.normalized_by for each in plain.inputs} == {"recipe"}
    mixed = load(path, "imagenet", image="image", columns=["weight"], color="rgb")
    assert {each.kind: each.normalized_by for each in mixed.inputs} == {"image": "recipe", "numbers": "train"}
