"""Data sets of Hugging Face: saved ones, those by name, and what keeps one from being read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgepress.core.errors import UserError
from edgepress.data.dataset import Dataset
from edgepress.data.kinds import missing
from edgepress.data.load import load_dataset
from edgepress.data.source import Source
from PIL import Image


@pytest.fixture
def datasets() -> Any:
    return pytest.importorskip("datasets", exc_type=ImportError)


def load(folder: Path, source: str, limit: int | None = None, **options: Any) -> Dataset:
    found = Source.model_validate({"from": source, **options})
    return load_dataset(found, limit, base=folder, cache=folder / "cache")


def made(datasets: Any, count: int = 30, seed: int = 0) -> Any:
    random = np.random.default_rng(seed)
    pictures = [Image.fromarray(random.integers(0, 256, (16, 20, 3), np.uint8)) for _ in range(count)]
    columns = {"picture": pictures, "kind": [number % 2 for number in range(count)], "id": list(range(count))}
    features = {"picture": datasets.Image(), "kind": datasets.ClassLabel(names=["dog", "cat"])}
    return datasets.Dataset.from_dict(columns, datasets.Features({**features, "id": datasets.Value("int64")}))


NAMED = {"image": "picture", "label": "kind"}


def test_a_saved_data_set_is_read_once(datasets: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(datasets).save_to_disk(tmp_path / "saved")
    before = load(tmp_path, "./saved/dataset_info.json", **NAMED)
    assert (before.labels, before.input.shape) == (("dog", "cat"), (3, 16, 20))
    assert {name: len(split.y) for name, split in before.splits.items()} == {"train": 21, "validation": 3, "test": 6}
    with monkeypatch.context() as patch:
        patch.setattr(Image, "open", lambda *_: pytest.fail("opened"))
        assert load(tmp_path, "./saved/dataset_info.json", **NAMED).digest == before.digest
    made(datasets, seed=1).save_to_disk(tmp_path / "saved")
    assert load(tmp_path, "./saved/dataset_info.json", **NAMED).digest != before.digest


def test_the_splits_of_a_saved_one_are_kept(datasets: Any, tmp_path: Path) -> None:
    parts = {"train": made(datasets, 20), "valid": made(datasets, 8, 1), "test": made(datasets, 6, 2)}
    datasets.DatasetDict({**parts, "extra": made(datasets, 4, 3)}).save_to_disk(tmp_path / "saved")
    found = load(tmp_path, "./saved/dataset_dict.json", size=8, **NAMED)
    assert {name: len(split.y) for name, split in found.splits.items()} == {"train": 20, "validation": 8, "test": 6}
    assert found.notes == ("`./saved/dataset_dict.json`: the splits `extra` are not read",)
    assert found.input.shape == (3, 8, 8)


@pytest.mark.parametrize("streaming", [False, True])
def test_one_by_name(streaming: bool, datasets: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def loaded(path: str, *, revision: str | None, **args: Any) -> Any:
        asked.append((path, revision, args))
        return made(datasets).to_iterable_dataset() if streaming else datasets.DatasetDict({"train": made(datasets)})

    monkeypatch.setattr(datasets, "load_dataset", loaded)
    found = load(tmp_path, "hf://someone/pictures@v1.0", args={"name": "small"}, **NAMED)
    assert asked == [("someone/pictures", "v1.0", {"name": "small"})]
    assert sum(len(split.y) for split in found.splits.values()) == 30
    assert found.labels == ("dog", "cat")
    assert max(len(split.y) for split in load(tmp_path, "hf://someone/pictures", 4, **NAMED).splits.values()) == 4


def test_without_a_connection_the_next_act_is_told(
    datasets: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: Any, **__: Any) -> Any:
        raise ConnectionError("Couldn't reach 'someone/pictures' on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(UserError, match="`hf://someone/pictures` cannot be loaded: Couldn't reach") as error:
        load(tmp_path, "hf://someone/pictures")
    assert "load_dataset('someone/pictures').save_to_disk('pictures')" in error.value.problems[0].help
    assert "`from: ./pictures/dataset_dict.json`" in error.value.problems[0].help


def test_a_column_that_is_not_there_is_told(datasets: Any, tmp_path: Path) -> None:
    made(datasets).save_to_disk(tmp_path / "saved")
    with pytest.raises(UserError, match="gives no column `image`, only `picture`, `kind`, `id`"):
        load(tmp_path, "./saved/dataset_info.json", label="kind")


def test_splits_without_train_are_refused(datasets: Any, tmp_path: Path) -> None:
    parts = {"first": made(datasets, 8), "second": made(datasets, 8, 1)}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "saved")
    with pytest.raises(UserError, match="has no split `train`, only `first`, `second`"):
        load(tmp_path, "./saved/dataset_dict.json", **NAMED)


def test_a_damaged_picture_is_told_with_its_number(datasets: Any, tmp_path: Path) -> None:
    columns = {"image": [{"bytes": b"junk", "path": None}] * 9, "label": [0, 1, 0] * 3}
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    datasets.Dataset.from_dict(columns, features).save_to_disk(tmp_path / "saved")
    with pytest.raises(UserError, match="example 0 cannot be read: no image"):
        load(tmp_path, "./saved/dataset_info.json")


def test_a_damaged_file_is_told(datasets: Any, tmp_path: Path) -> None:
    made(datasets).save_to_disk(tmp_path / "saved")
    (tmp_path / "saved" / "state.json").write_text("junk")
    with pytest.raises(UserError, match=r"`./saved/dataset_info.json` cannot be loaded") as error:
        load(tmp_path, "./saved/dataset_info.json")
    assert error.value.problems[0].help == "save it again: `save_to_disk`"


def test_without_the_package_the_command_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match="`hf://someone/pictures` is read by the package `datasets`") as error:
        load(tmp_path, "hf://someone/pictures")
    assert error.value.problems[0].help == "`pip install 'edgepress[hf]'`"


def test_paths_that_lead_to_none(tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "dataset_dict.json").write_text("{}")
    (tmp_path / "coco.json").write_text("{}")
    assert missing("./saved", tmp_path) == (
        "`./saved` is a data set that `save_to_disk` wrote", "name its file: `saved/dataset_dict.json`",
    )  # fmt: skip
    wrong = missing("./coco.json", tmp_path)
    assert wrong is not None
    assert wrong[0] == "`./coco.json` is none of the files that `save_to_disk` writes"
    wrong = missing("hf://a/b/c", tmp_path)
    assert wrong is not None
    assert wrong[0] == "`hf://a/b/c` names no data set of Hugging Face"
    assert missing("hf://a/b@main", tmp_path) is None
