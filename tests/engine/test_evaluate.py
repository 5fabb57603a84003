"""What is found out about a model, against a count by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from edgepress.core import metric_functions
from edgepress.core.metrics import METRICS, plain
from edgepress.core.paths import digest
from edgepress.data.dataset import Dataset
from edgepress.engine.evaluate import agreement, evaluate, scored
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
