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
from edgepress.engine.plausibility import doubts, skill
from edgepress.models.onnx.importer import adopt
from edgepress.models.predict import predict
from onnx import TensorProto, helper, numpy_helper

RANDOM = np.random.default_rng(0)


def one_hot(told: np.ndarray, classes: int) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[told]


def test_a_coin_and_a_majority_are_near_chance_and_a_weak_model_is_not() -> None:
    y = RANDOM.integers(0, 12, 2000)
    assert skill(one_hot(RANDOM.integers(0, 12, 2000), 12), y).near_chance
    rare = (RANDOM.random(2000) < 0.1).astype(np.int64)
    assert skill(one_hot(np.zeros(2000, np.int64), 2), rare).near_chance, "90% right by saying no"
    some = np.where(RANDOM.random(2000) < 0.3, y, RANDOM.integers(0, 12, 2000))
    assert not skill(one_hot(some, 12), y).near_chance


def test_few_examples_show_little() -> None:
    y = np.arange(10) % 2
    seven = np.where(np.arange(10) < 7, y, 1 - y)
    assert skill(one_hot(seven, 2), y).near_chance, "7 of 10 may be chance"
    assert not skill(one_hot(y, 2), y).near_chance


def test_labels_that_are_all_the_same_are_no_sign_of_a_wrong_model() -> None:
    """Kappa, the AUC and R² are 0 or undefined there, for whatever is answered."""
    y = np.full(50, 3)
    nearly = np.where(np.arange(50) < 49, 3, 1)
    for metric in ("accuracy", "auc"):
        assert not skill(one_hot(nearly, 10), y, metric).near_chance
        assert skill(one_hot(RANDOM.integers(0, 10, 50), 10), y, metric).near_chance
    marks = np.ones((50, 2), np.uint8)
    assert not skill(marks.astype(np.float32), marks).near_chance
    numbers = np.full((50, 1), 7, np.float32)
    assert not skill(numbers + RANDOM.normal(0, 0.1, numbers.shape), numbers).near_chance
    assert skill(numbers / 1000, numbers).near_chance


def test_numbers_are_held_against_their_mean_and_labels_of_each_against_a_coin() -> None:
    y = RANDOM.normal(20, 5, (200, 1)).astype(np.float32)
    assert skill(np.full_like(y, 20), y).near_chance
    assert skill(y / 100, y).near_chance, "another unit"
    assert not skill(y + RANDOM.normal(0, 2, y.shape), y).near_chance
    marks = RANDOM.integers(0, 2, (200, 4)).astype(np.uint8)
    assert skill(RANDOM.normal(size=marks.shape), marks).near_chance
    assert not skill(marks + RANDOM.normal(0, 0.5, marks.shape), marks).near_chance


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
