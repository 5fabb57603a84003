"""A data set made harder: what decides and what is reported stay, and chance comes from the seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgepress.config.recipe import Task, load
from edgepress.core.errors import UserError
from edgepress.data.corruptions import corrupted, joined
from edgepress.data.dataset import Dataset, Split
from edgepress.data.examples import Examples
from edgepress.data.load import load_unlabelled
from PIL import Image

from tests.conftest import TINY


def changed(data: Dataset, **options: Any) -> Dataset:
    task = Task.model_validate({"data": "digits", **options})
    return corrupted(
        data,
        task.seed,
        imbalance=task.imbalance,
        examples=task.examples,
        label_noise=task.label_noise,
        labels=task.labels,
    )


def same(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    return one.shape == other.shape and bool((one == other).all())


@pytest.mark.parametrize(
    "options",
    [{"examples": 200}, {"labels": 100}, {"label_noise": "20%"}, {"imbalance": "50:1"}],
    ids=str,
)
def test_only_training_changes_and_the_seed_decides_how(digits: Dataset, options: dict[str, Any]) -> None:
    one, again, other = (changed(digits, seed=seed, **options) for seed in (3, 3, 4))
    for split in ("validation", "test"):
        assert one[split] is digits[split]
    assert same(one["train"].x, again["train"].x)
    assert same(one["train"].y, again["train"].y)
    assert one.digest == again.digest
    assert len({one.digest, other.digest, digits.digest}) == 3


def test_fewer_examples_keep_the_shares_of_classes(digits: Dataset) -> None:
    found = changed(digits, examples=100)["train"].y
    assert len(found) == 100
    shares = np.bincount(digits["train"].y) / len(digits["train"].y)
    assert np.abs(np.bincount(found) - 100 * shares).max() <= 1


def test_ten_examples_of_ten_classes_are_one_of_each(digits: Dataset) -> None:
    assert sorted(changed(digits, examples=10)["train"].y.tolist()) == list(range(10))


def test_the_rest_has_no_labels(digits: Dataset) -> None:
    found = changed(digits, labels=100)
    assert found.unlabelled is not None
    assert len(found["train"].y) == 100
    assert len(found["train"].y) + len(found.unlabelled) == len(digits["train"].y)
    rows = [each.tobytes() for each in (*found["train"].x, *found.unlabelled)]
    assert sorted(rows) == sorted(each.tobytes() for each in digits["train"].x)


def test_so_many_labels_are_wrong(digits: Dataset) -> None:
    y, before = changed(digits, label_noise="25%")["train"].y, digits["train"].y
    assert int((y != before).sum()) == round(0.25 * len(before))
    assert set(y.tolist()) == set(range(10))
    told = digits["train"].y[y != before]
    assert np.bincount(told, minlength=10).min() > 0, "of every class"


def test_noise_of_several_labels_flips_each(digits: Dataset) -> None:
    y = (digits["train"].y[:, None] == np.arange(10)).astype(np.uint8)
    several = replace(digits, task="multi-label", splits=digits.splits | {"train": Split(digits["train"].x, y)})
    found = changed(several, label_noise="10%")["train"].y
    assert found.dtype == np.uint8
    assert 0.08 < (found != y).mean() < 0.12


def test_classes_thin_out_from_the_first_to_the_last(digits: Dataset) -> None:
    counts = np.bincount(changed(digits, imbalance="50:1")["train"].y, minlength=10)
    assert (np.diff(counts) <= 0).all()
    assert counts[0] / counts[-1] == pytest.approx(50, rel=0.3)
    assert np.bincount(changed(digits, imbalance="1:1")["train"].y).std() == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"examples": 2000}, "more than the 1078 training examples"),
        ({"labels": 9}, "less than one of each of 10 classes"),
        ({"imbalance": "1000:1"}, "leaves no example of `7`"),
    ],
    ids=str,
)
def test_what_cannot_be_had_is_told(digits: Dataset, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        changed(digits, **options)


@pytest.mark.parametrize("options", [{"label_noise": "20%"}, {"imbalance": "5:1"}], ids=str)
def test_numbers_have_no_classes(digits: Dataset, options: dict[str, Any]) -> None:
    y = {name: Split(x, y[:, None].astype(np.float32)) for name, (x, y) in digits.splits.items()}
    with pytest.raises(UserError, match="is about classes"):
        changed(replace(digits, task="regression", splits=y), **options)


@pytest.mark.parametrize("wrong", ["0%", "100%", 0.2, "5 points"])
def test_a_share_of_noise_is_between_none_and_all(wrong: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        f"name: a\ntask: {{data: digits, label_noise: {wrong}}}\nstages: [{{use: train, model: {TINY['arch']}}}]\n"
    )
    with pytest.raises(UserError, match="label_noise"):
        load(path)


@pytest.mark.parametrize("wrong", ["0.5:1", "50", 50, "50:2", "1:50"])
def test_imbalance_is_so_many_to_one(wrong: Any) -> None:
    with pytest.raises(ValueError, match="how many times more"):
        Task.model_validate({"data": "digits", "imbalance": wrong})


def test_examples_without_labels_come_from_a_folder_or_a_file(digits: Dataset, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    for k in range(3):
        Image.fromarray(np.full((20, 30), 40 * k, np.uint8)).save(tmp_path / "more" / f"{k}.png")
    np.savez(tmp_path / "more.npz", x=digits["train"].x[:5])
    for name, count in (("./more", 3), ("./more.npz", 5)):
        task = Task.model_validate({"data": "digits", "unlabelled": name})
        assert task.unlabelled is not None
        found = joined(digits, load_unlabelled(task.unlabelled, tmp_path, digits))
        assert found.unlabelled is not None
        assert found.unlabelled.shape == (count, 1, 8, 8)
        assert found.digest != digits.digest


def test_examples_of_another_shape_are_refused(digits: Dataset) -> None:
    with pytest.raises(UserError, match="the same `size` and `color`"):
        joined(digits, Examples(np.zeros((4, 3, 8, 8), np.uint8), np.zeros(4)))


def test_no_student_learns_from_what_it_is_tested_on(digits: Dataset) -> None:
    """A folder of all pictures holds those of the test split, too."""
    x = np.concatenate([digits["train"].x[:7], digits["validation"].x[:2], digits["test"].x[:3]])
    found = joined(digits, Examples(x, np.zeros(len(x))))
    assert found.unlabelled is not None
    np.testing.assert_array_equal(found.unlabelled[:], digits["train"].x[:7])
    assert found.notes[-1] == "`unlabelled`: 5 examples that are validation or test examples are left out"
    with pytest.raises(UserError, match="every example of `unlabelled` is"):
        joined(digits, Examples(x[7:], np.zeros(5)))


def test_what_had_no_labels_before_stays(digits: Dataset) -> None:
    more = joined(digits, Examples(digits["train"].x[:7], digits["train"].y[:7]))
    found = changed(more, labels=100)
    assert found.unlabelled is not None
    assert len(found["train"].y) + len(found.unlabelled) == len(digits["train"].y) + 7
