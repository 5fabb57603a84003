"""A model that runs is not a model that is right: chance, and what feeds or reads a network wrongly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from edgepress.data.dataset import Dataset, Input, Split
from edgepress.data.normalize import normalized
from edgepress.engine import plausibility
from edgepress.engine.plausibility import doubts
from edgepress.models.onnx.importer import adopt
from edgepress.models.predict import predict
from edgepress.tasks.task import Skill
from onnx import TensorProto, helper, numpy_helper

RANDOM = np.random.default_rng(0)


def pictures(classes: int = 10, channels: int = 3) -> Dataset:
    """Flat pictures whose red level tells the class, which blue does not follow."""
    splits = {}
    for name, count in (("train", 60), ("validation", 60), ("test", 120)):
        y = np.arange(count) % classes
        x = np.empty((count, channels, 8, 8), np.uint8)
        x[:, 0] = (20 * y + 30)[:, None, None]
        x[:, 1:] = RANDOM.integers(0, 256, (count, channels - 1, 8, 8))
        splits[name] = Split(x, y.astype(np.int64))
    input = Input("input", "image", (channels, 8, 8), 1 / 255, (0.5,) * channels, (0.3,) * channels)
    return Dataset("pictures", tuple(map(str, range(classes))), splits, (input,))


def by_level(path: Path, levels: np.ndarray, channel: int = 0, channels: int = 3) -> Path:
    """A model that tells the level of one channel, in the values that it is fed."""
    weight = np.zeros((channels, len(levels)), np.float32)
    weight[channel] = 2 * levels
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[2, 3], keepdims=0),
        helper.make_node("Gemm", ["m", "w", "b"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, channels, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, len(levels)])],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(-(levels.astype(np.float32) ** 2), "b")],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


LEVELS = 20 * np.arange(10) + 30.0


def warned(tmp_path: Path, data: Dataset, how: Any, **model: Any) -> tuple[str, list[str]]:
    data = normalized(data, how, "pictures")
    adopt(by_level(tmp_path / "m.onnx", **model), data, tmp_path / "a.onnx")
    answers = predict(tmp_path / "a.onnx", data.to_model_inputs(data["test"].x))
    return doubts(tmp_path / "a.onnx", answers, data, "accuracy", loaded=True)


def test_a_model_that_is_fed_rightly_is_not_doubted(tmp_path: Path) -> None:
    assert warned(tmp_path, pictures(), "none", levels=LEVELS / 255) == ("", [])


@pytest.mark.parametrize(
    ("levels", "fed", "hint"),
    [
        (LEVELS / 255, "raw", "`normalize: none` fits far better: 100.0% right"),
        (LEVELS, "none", "`normalize: raw` fits far better: 100.0% right"),
        ((LEVELS / 255 - 0.5) / 0.5, "raw", "`normalize: {mean: [0.5], std: [0.5]}` fits far better: 100.0%"),
        ((LEVELS / 255 - 0.485) / 0.229, "none", "`normalize: imagenet` fits far better: 100.0%"),
    ],
)
def test_wrong_normalization_is_named(tmp_path: Path, levels: np.ndarray, fed: str, hint: str) -> None:
    doubt, (warning,) = warned(tmp_path, pictures(), fed, levels=levels)
    assert doubt
    assert hint in warning


def test_blue_green_red_is_named(tmp_path: Path) -> None:
    doubt, (warning,) = warned(tmp_path, pictures(), "none", levels=LEVELS / 255, channel=2)
    assert doubt == "near chance level"
    assert "; blue, green, red in place of red, green, blue fits far better" in warning, "and no other normalization"


def test_a_model_that_few_examples_cannot_tell_from_chance_is_not_said_to_be_at_chance(tmp_path: Path) -> None:
    data = pictures(classes=2)
    x, y = data["test"]
    few = replace(data, splits=data.splits | {"test": Split(x[:8], np.where(np.arange(8) < 6, y[:8], 1 - y[:8]))})
    doubt, (warning,) = warned(tmp_path, few, "none", levels=LEVELS[:2] / 255)
    assert doubt == "not distinguishable from chance on 8 test examples"
    assert warning.startswith(f"is {doubt}: 75.0% right, chance level 50.0%; check that its inputs are as in training")


def test_another_order_of_the_classes_is_named_and_written_out(tmp_path: Path) -> None:
    order = [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]
    doubt, (warning,) = warned(tmp_path, pictures(), "none", levels=LEVELS[order] / 255)
    assert doubt
    assert "another order of the classes fits far better, 100.0% in place of " in warning
    assert "`labels: ['3', '1', '4', '0', '5', '9', '2', '6', '8', '7']`" in warning


def test_noise_is_no_other_order(tmp_path: Path) -> None:
    """With many classes and few examples some order always fits the examples that it is chosen on."""
    data = pictures()
    y = RANDOM.integers(0, 10, 120)
    noisy = replace(data, splits=data.splits | {"test": Split(data["test"].x, y)})
    doubt, (warning,) = warned(tmp_path, noisy, "none", levels=LEVELS / 255)
    assert doubt == "near chance level"
    assert "check that its inputs are as in training (normalization, order of the channels, layout)" in warning


def test_outputs_that_are_no_numbers_are_broken(tmp_path: Path) -> None:
    data, outputs = pictures(), np.zeros((120, 10), np.float32)
    outputs[5, 2] = np.nan
    words = "broken: it gives no number for 1 of 120 test examples"
    assert doubts(tmp_path / "a.onnx", outputs, data, "accuracy", loaded=True) == (words, [])


def test_no_input_fits_better_than_one_without_a_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few examples of a rare label have no AUC, however they are prepared."""
    adopt(by_level(tmp_path / "m.onnx", levels=LEVELS), pictures(), tmp_path / "a.onnx")
    monkeypatch.setattr(plausibility, "_skill", lambda *_: Skill(float("nan"), 0.1, "AUC nan"))
    assert plausibility._inputs(tmp_path / "a.onnx", pictures()) is None
