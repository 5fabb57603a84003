"""What is found out about a model, against a count by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from edgepress.core import metric_functions
from edgepress.core.metric import plain
from edgepress.core.metrics import METRICS
from edgepress.core.paths import digest
from edgepress.data.dataset import Dataset
from edgepress.engine import evaluate as evaluation
from edgepress.engine.evaluate import agreement, boxes_kept, constant, evaluate, scored, without_number
from edgepress.models.onnx.importer import adopt
from edgepress.models.predict import predict
from edgepress.stage import Made

from tests import graphs


def small(folder: Path, data: Dataset) -> Path:
    folder.mkdir()
    onnx.save(graphs.small(), folder / "given")
    adopt(folder / "given", data, folder / "model.onnx")
    return folder


def test_facts_of_a_file(few: Dataset, tmp_path: Path) -> None:
    folder = small(tmp_path / "m", few)
    facts = evaluate(Made("onnx", notes={"told": 1}), folder, few, METRICS["accuracy"], None)
    assert (facts["parameters"], facts["macs"]) == (graphs.PARAMETERS, graphs.MACS)
    assert facts["notes"] == {"told": 1}
    (file,) = facts["files"]
    assert (file["precision"], file["kind"]) == ("float32", "onnx")
    assert file["bytes"] == (folder / "model.onnx").stat().st_size
    assert file["sha256"] == digest(folder / "model.onnx")
    for split in ("validation", "test"):
        x, y = few[split]
        answers = predict(folder / "model.onnx", few.input.to_model_inputs(x))
        assert file["scores"][split] == {
            "accuracy": metric_functions.accuracy(answers, y),
            "nll": metric_functions.nll(answers, y),
        }
    answers = predict(folder / "model.onnx", few.input.to_model_inputs(few["test"].x))
    assert file["correct"] == "".join("01"[int(right)] for right in answers.argmax(1) == few["test"].y)


def test_agreement_is_the_share_of_equal_classes(tmp_path: Path, few: Dataset) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    answers = np.eye(10, dtype=np.float32)
    np.save(one / "float32.npy", answers)
    np.save(two / "float32.npy", 7 * answers)
    assert agreement(one, two, few) == 1
    np.save(two / "float32.npy", answers[[1, 0, 2, 3, 4, 5, 6, 7, 8, 9]])
    assert agreement(one, two, few) == pytest.approx(0.8)


def test_like_is_compared_with_like(tmp_path: Path, few: Dataset) -> None:
    """TFLite's xnnpack with the xnnpack it was made from, whatever else its source has."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    answers = np.eye(4, dtype=np.float32)
    np.save(one / "xnnpack.npy", answers)
    np.save(two / "xnnpack.npy", answers)
    np.save(two / "a.npy", answers[::-1])
    np.save(two / "x86.npy", answers[::-1])
    assert agreement(one, two, few) == 1


def test_only_the_test_split_is_resampled(few: Dataset) -> None:
    """1,000 draws of the validation split were made and thrown away."""
    called: list[int] = []

    def own(outputs: np.ndarray, y: np.ndarray) -> float:
        called.append(len(y))
        return METRICS["macro-f1"](outputs, y)

    metric = plain("own", own)
    outputs = {split: np.eye(10, dtype=np.float32)[few[split].y] for split in ("validation", "test")}
    assert set(scored(outputs["validation"], few, "validation", metric)) == {"scores"}
    assert len(called) == 1
    assert len(scored(outputs["test"], few, "test", metric)["resampled"]) == len(called) - 2 == 1000


@pytest.mark.parametrize("task", ["segmentation", "keypoints", "embedding", "image"])
def test_one_answer_for_every_example_is_told_of_every_task(
    task: Any, few: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An all background mask, one place, one vector or one picture, also where rounding makes it a little other."""
    monkeypatch.setattr("edgepress.engine.evaluate.read", lambda path: {"outputs": [{"name": "y"}]})
    random = np.random.default_rng(0)
    shape = {"segmentation": (8, 8), "keypoints": (3, 2), "embedding": (16,), "image": (3, 8, 8)}[task]
    data = replace(few, task=task, labels=("a", "b", "c"))
    varied = random.uniform(0.1, 1, (20, *shape)).astype(np.float32)
    still = np.repeat(varied[:1], 20, 0) * (1 + 1e-5 * random.normal(size=varied.shape).astype(np.float32))
    if task == "segmentation":
        varied, still = (varied > 0.5).astype(np.uint8), np.zeros_like(still, np.uint8)
    if task == "image":
        varied[:, 0] = 0  # a channel that is always black is no fault
    for outputs, expected in ((varied, []), (still, ["y"])):
        np.save(tmp_path / "arm.npy", varied)
        np.save(tmp_path / "x86.npy", outputs)
        assert constant(tmp_path / "m.onnx", data) == expected


def test_an_example_without_a_number_is_not_right(few: Dataset) -> None:
    outputs = np.full((len(few["test"].y), 10), np.nan, np.float32)
    assert set(scored(outputs, few, "test", METRICS["accuracy"])["correct"]) == {"0"}
    assert without_number(outputs, few) == len(outputs)


def test_boxes_of_a_detector_without_labels_are_counted(
    few: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sixth of the boxes is gone."""
    image = {"shape": [1, 3, 32, 64], "kind": "image", "size": (32, 64)}
    contract = {"labels": [], "inputs": [image], "outputs": [{"name": "a"}]}
    monkeypatch.setattr(evaluation, "read", lambda path: contract | {"boxes": {"coding": "corners", "boxes": ["a"]}})
    nameless = replace(few, labels=(), labelled=False)
    middle = np.stack(np.meshgrid(np.arange(5) * 12 + 6, np.arange(2) * 14 + 8), 2).reshape(-1, 2)
    corners = np.concatenate([middle - 5, middle + 5], 1)
    expected = np.tile(np.concatenate([corners, np.full((10, 1), 4.0)], 1), (6, 1, 1)).astype(np.float32)
    outputs = expected.copy()
    outputs[0, :, 4] = -4.0
    for folder, values in (("mine", outputs), ("theirs", expected), ("few", expected[:4])):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "float32.npy", values)
    found = boxes_kept(tmp_path / "mine" / "model.onnx", tmp_path / "theirs", nameless)
    assert found == {"f1": pytest.approx(2 * 50 / 110), "boxes": 60}
    assert boxes_kept(tmp_path / "few" / "model.onnx", tmp_path / "few", nameless) == {}, "40 boxes tell nothing"
    contract["labels"] = ["cat"]
    assert boxes_kept(tmp_path / "mine" / "model.onnx", tmp_path / "theirs", few) == {}, "labels do"
