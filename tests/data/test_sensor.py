"""The smartwatch windows: nobody in two splits, and a file that is not what it should be is never run."""

from __future__ import annotations

import importlib.util
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from edgepress.core.errors import UserError
from edgepress.data import sensor
from edgepress.data.dataset import Dataset
from edgepress.data.load import load_dataset


@pytest.fixture(scope="module")
def loaded() -> Dataset:
    if importlib.util.find_spec("seglearn") is None:
        pytest.skip("seglearn is not installed")
    return load_dataset("sensor")


def test_windows(loaded: Dataset) -> None:
    assert {name: split.x.shape for name, split in loaded.splits.items()} == {
        "train": (2669, 6, 100), "validation": (1006, 6, 100), "test": (1002, 6, 100),
    }  # fmt: skip
    for x, y in loaded.splits.values():
        assert (x.dtype, y.dtype) == (np.float32, np.int64)
        assert np.isfinite(x).all()
        assert set(y[:100].tolist()) == set(range(7)), "`--limit` and calibration take the first ones"


def test_model_takes_centred_channels(loaded: Dataset) -> None:
    (x,) = loaded.to_model_inputs(loaded["train"].x)
    np.testing.assert_allclose(x.mean((0, 2)), 0, atol=0.01)
    np.testing.assert_allclose(x.std((0, 2)), 1, atol=0.01)


def test_nobody_is_in_two_splits(loaded: Dataset) -> None:
    people = [set(each) for each in sensor.PEOPLE.values()]
    assert set.union(*people) == set(range(1, 11))
    assert sum(map(len, people)) == 10
    samples = [{bytes(row) for row in split.x[:, :, 0]} for split in loaded.splits.values()]
    assert sum(map(len, samples)) == len(set.union(*samples))


def test_windows_overlap_by_half_and_stay_inside_a_recording() -> None:
    series = [np.arange(7 * n).reshape(n, 7)[:, :6] * 1.0 for n in (100, 149, 150)]
    stored = {"X": series, "y": np.array([3, 4, 5]), "subject": np.array([1, 1, 2])}
    split = sensor._windows(stored, range(1, 3), seed=0)
    assert sorted(split.y.tolist()) == [3, 4, 5, 5]
    starts = sorted(split.x[split.y == 5][:, 0, 0].tolist())
    assert starts == [0, 350]
    assert (np.diff(split.x, axis=2) == 7).all(), "time is the last axis, without gaps"


def test_missing_extra_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError) as error:
        load_dataset("sensor")
    assert "pip install seglearn" in error.value.problems[0].help


def test_other_file_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "watch_dataset.npy"
    np.save(path, np.array({"X": []}, dtype=object), allow_pickle=True)
    monkeypatch.setattr(sensor, "_file", lambda: path)
    monkeypatch.setattr(sensor, "unpickle", lambda content: pytest.fail("it was unpickled"))
    with pytest.raises(UserError, match="is not the file"):
        sensor.read()


class _Evil:
    def __reduce__(self) -> tuple:
        return os.mkdir, ("evil",)


class _Sneaky:
    def __reduce__(self) -> tuple:
        return eval, ("1",)


@pytest.mark.parametrize("thing", [_Evil(), [_Sneaky()], {"X": np.array([_Evil()], dtype=object)}, Path("x")])
def test_pickle_can_run_nothing(thing: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="which is not an array"):
        sensor.unpickle(pickle.dumps(thing))
    assert not list(tmp_path.iterdir())
