"""The order of classes: whole numbers by value, names by their letters, or as the recipe lists them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgepress.core.errors import UserError
from edgepress.data.dataset import Dataset
from edgepress.data.load import load_dataset
from edgepress.data.source import Source
from edgepress.data.words import class_order
from pydantic import ValidationError

from .made import arrays, photos, table

TWELVE = tuple(map(str, range(12)))


def load(source: Path, base: Path = Path(), **options: Any) -> Dataset:
    return load_dataset(Source.model_validate({"from": str(source), **options}), base=base)


def test_whole_numbers_sort_as_numbers_and_before_names() -> None:
    assert sorted(["10", "9", "b", "-1", "02", "a10", "a9"], key=class_order) == [
        "-1", "02", "9", "10", "a10", "a9", "b",
    ]  # fmt: skip


def test_folders_0_to_11(tmp_path: Path) -> None:
    assert load(photos(tmp_path / "photos", classes=TWELVE)).labels == TWELVE


def test_numbers_as_text_in_an_npz_and_among_names_in_a_csv(tmp_path: Path) -> None:
    y = np.array([str(i % 12) for i in range(48)])
    found = load(arrays(tmp_path / "x.npz", x=np.random.default_rng(0).normal(size=(48, 3)), y=y))
    assert found.labels == TWELVE
    assert sorted({found.labels[k] for k in found["train"].y}, key=int) == list(TWELVE)
    rows = ["a,label", *[f"{i}.5,{['10', '9', 'other'][i % 3]}" for i in range(30)]]
    assert load(table(tmp_path / "t.csv", rows)).labels == ("9", "10", "other")


def test_a_list_says_the_order_and_numbers_may_stand_without_quotes(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", classes=("0", "1", "10"), each=10)
    found = load(folder, labels=[0, 10, 1])
    assert found.labels == ("0", "10", "1")
    assert set(found["test"].y.tolist()) == {0, 1, 2}


def test_a_file_of_names(tmp_path: Path) -> None:
    photos(tmp_path / "photos", classes=("cat", "dog"), each=10)
    (tmp_path / "labels.txt").write_text("dog\ncat\n\n")
    assert load(Path("photos"), tmp_path, labels="./labels.txt").labels == ("dog", "cat")
    (tmp_path / "labels.txt").write_text("dog\n\ncat\ndog\n")
    with pytest.raises(UserError, match=r"`\./labels\.txt`: line 2 is empty"):
        load(Path("photos"), tmp_path, labels="./labels.txt")
    with pytest.raises(UserError, match=r"names no text file `\./nowhere\.txt`"):
        load(Path("photos"), tmp_path, labels="./nowhere.txt")


def test_a_folder_that_is_not_listed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has a folder `dgo`, which is none of the 2 `labels`") as error:
        load(photos(tmp_path / "photos", classes=("cat", "dgo")), labels=["cat", "dog"])
    assert error.value.problems[0].help == "did you mean `dog`?"


def test_what_yaml_reads_as_no_text_is_to_be_quoted(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", classes=("01", "02"))
    with pytest.raises(UserError, match="has a folder `01`, which is none of the 2 `labels`") as error:
        load(folder, labels=[1, 2])
    assert error.value.problems[0].help == 'in YAML, 01 is the number 1: write it in quotes, `"01"`'
    for value, text in ((True, "true"), (None, "null"), (1.5, "1.5")):
        with pytest.raises(ValidationError, match=f"`labels` has `{text}`, which YAML reads as no text"):
            load(folder, labels=["no", value])


def test_listed_classes_without_photos_are_for_models_and_not_for_training(tmp_path: Path) -> None:
    """A loaded network may know more classes than a folder has photos of."""
    found = load(photos(tmp_path / "photos", classes=("cat", "dog"), each=10), labels=["bird", "cat", "dog"])
    assert (found.labels, found.uncovered) == (("bird", "cat", "dog"), ("bird",))
    with pytest.raises(UserError, match="no training examples of `bird`"):
        found.to_learn_from()


def test_photos_without_class_folders_have_no_labels(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", classes=("cat",), each=30)
    found = load(folder / "cat", labels=["bird", "cat"])
    assert not found.labelled
    assert found.labels == ("bird", "cat")


def test_a_csv_and_an_npz_may_be_listed_too(tmp_path: Path) -> None:
    rows = ["a,label", *[f"{i}.5,{'xy'[i % 2]}" for i in range(20)]]
    path = table(tmp_path / "t.csv", rows)
    assert load(path, labels=["y", "z", "x"]).labels == ("y", "z", "x")
    with pytest.raises(UserError, match="labels that are none of the 2 `labels`: line 3 `y`"):
        load(path, labels=["x", "z"])
    file = arrays(tmp_path / "x.npz", x=np.random.default_rng(0).normal(size=(20, 3)), y=np.arange(20) % 2)
    assert load(file, labels=["no", "yes", "perhaps"]).labels == ("no", "yes", "perhaps")


def test_a_label_twice_is_refused_before_a_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`labels` has `cat` twice"):
        Source.model_validate({"from": "./photos", "labels": ["cat", "dog", "cat"]})
