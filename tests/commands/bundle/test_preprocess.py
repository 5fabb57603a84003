"""The archive's numpy does what the pipeline does: inputs to the bit, pictures to a step, outputs by their meaning."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgepress.commands.bundle.command import TEMPLATES
from edgepress.core.metric_points import places
from edgepress.data import images
from edgepress.data.dataset import Input
from edgepress.models import metadata
from PIL import Image

Load = Callable[[dict[str, Any]], Any]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """`load(contract)`: the module `preprocess` of an archive with this contract."""

    def loaded(contract: dict[str, Any]) -> Any:
        for name in ("preprocess.py", "resize.py"):
            shutil.copy(TEMPLATES / name, tmp_path)
        (tmp_path / "model.json").write_text(json.dumps(contract))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "resize", raising=False)
        spec = importlib.util.spec_from_file_location("preprocess", tmp_path / "preprocess.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return loaded


def contract(*inputs: dict[str, Any], **more: Any) -> dict[str, Any]:
    output = metadata.output("y", [1, 3], "logits")
    return {"task": "single-label", "labels": ["a", "b", "c"], "inputs": [*inputs], "outputs": [output]} | more


INPUTS = {
    "grey": Input("x", "image", (1, 8, 6), 1 / 255, (0.2,), (0.3,), resize="crop"),
    "colour": Input("x", "image", (3, 8, 6), 1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "scaled otherwise": Input("x", "image", (3, 8, 6), 1 / 127.5, (1.0,) * 3, (1.0,) * 3),
    "series": Input("x", "series", (4, 32), 1.0, (0.1, 0.2, 0.3, 0.4), (1.0, 2.0, 3.0, 4.0)),
    "numbers": Input("x", "numbers", (5,), 1.0, (1.0,) * 5, (2.0,) * 5),
    "tokens": Input("x", "tokens", (12,), vocabulary=50),
}


def raw_of(given: Input) -> np.ndarray:
    random = np.random.default_rng(0)
    if given.kind == "image":
        return random.integers(0, 256, given.shape, np.uint8)
    if given.kind == "tokens":
        return random.integers(0, given.vocabulary, given.shape)
    return random.normal(size=given.shape).astype(np.float32)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", INPUTS)
def test_inputs_are_those_of_the_pipeline(name: str, last: bool, load: Load) -> None:
    given = INPUTS[name]
    entry = metadata._describe(given)
    if last:
        if entry["layout"] not in metadata.CHANNELS_LAST:
            return
        entry = metadata._last(entry)
    raw = raw_of(given)
    expected = given.to_model_inputs(raw[None])
    fed = np.moveaxis(raw, 0, -1) if given.kind == "image" else raw
    (found,) = load(contract(entry)).preprocess(fed)
    assert found.dtype == expected.dtype
    assert np.array_equal(found, np.moveaxis(expected, 1, -1) if last else expected)


def test_integers_are_quantized_and_pixels_stay(load: Load) -> None:
    given = INPUTS["colour"]
    raw = raw_of(given)
    int8 = metadata._describe(given) | {"dtype": "int8", "quantization": {"scale": 0.02, "zero_point": -3}}
    (found,) = load(contract(int8)).preprocess(np.moveaxis(raw, 0, -1))
    assert np.array_equal(found, metadata._typed(given.to_model_inputs(raw[None]), int8))
    pixels = metadata._describe(given) | {"dtype": "uint8", "mean": [], "std": [], "scale": 1.0}
    (found,) = load(contract(pixels)).preprocess(np.moveaxis(raw, 0, -1))
    assert found.dtype == np.uint8
    assert np.array_equal(found[0], raw)


def test_what_does_not_fit_is_told(load: Load) -> None:
    module = load(contract(metadata._describe(INPUTS["colour"])))
    with pytest.raises(ValueError, match=r"input `x` is \[1, 8, 6\], and the model takes \[3, 8, 6\]"):
        module.preprocess(np.zeros((8, 6), np.uint8))
    with pytest.raises(ValueError, match="the model has 1 inputs, and here are 2"):
        module.preprocess(1, 2)


@pytest.mark.parametrize("how", ["crop", "squash", "pad"])
@pytest.mark.parametrize("size", [(40, 60), (60, 40), (9, 200), (224, 224), (5, 7)])
def test_pictures_are_resized_as_in_training(how: str, size: tuple[int, int], load: Load) -> None:
    """Pillow computes with fixed point, so a pixel may differ by one step."""
    smooth = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    expected = np.asarray(images.sized(Image.fromarray(smooth), (24, 32), how)).astype(int)
    entry = metadata._describe(Input("x", "image", (3, 24, 32), 1.0, resize=how)) | {"mean": [], "dtype": "uint8"}
    (found,) = load(contract(entry)).preprocess(smooth)
    assert abs(found[0].transpose(1, 2, 0).astype(int) - expected).max() <= 1


def test_scores_of_classes(load: Load) -> None:
    y = np.float32([[0.5, 2.0, -1.0]])
    number = metadata._describe(INPUTS["numbers"])
    softmax = np.exp(y[0]) / np.exp(y[0]).sum()
    found = load(contract(number)).decode(y)
    assert [label for label, _ in found] == ["b", "a", "c"]
    np.testing.assert_allclose([score for _, score in found], softmax[[1, 0, 2]], rtol=1e-6)
    found = load(contract(number, task="multi-label")).decode(y)
    np.testing.assert_allclose([score for _, score in found], 1 / (1 + np.exp(-y[0][[1, 0, 2]])), rtol=1e-6)
    ends = [
        metadata.output("y", [1, 3], "probabilities", "uint8") | {"quantization": {"scale": 1 / 256, "zero_point": 0}}
    ]
    found = load(contract(number, outputs=ends)).decode(np.uint8([[64, 128, 0]]))
    assert found == [("b", 0.5), ("a", 0.25), ("c", 0.0)]
    found = load(contract(number, task="regression")).decode(y)
    assert found == {"a": 0.5, "b": 2.0, "c": -1.0}


def test_maps_vectors_and_pictures(load: Load) -> None:
    random = np.random.default_rng(0)
    number = metadata._describe(INPUTS["numbers"])
    maps = random.normal(size=(1, 3, 6, 4)).astype(np.float32)
    ends = [metadata.output("y", [1, 3, 6, 4], "mask_logits")]
    assert np.array_equal(load(contract(number, task="segmentation", outputs=ends)).decode(maps), maps[0].argmax(0))
    last = [metadata._last(ends[0])]
    module = load(contract(number, task="segmentation", outputs=last))
    assert np.array_equal(module.decode(np.moveaxis(maps, 1, -1)), maps[0].argmax(0))
    points = load(contract(number, task="keypoints", outputs=[ends[0] | {"meaning": "heatmaps"}])).decode(maps)
    np.testing.assert_allclose([points[label] for label in "abc"], places(maps)[0])
    vector = [metadata.output("y", [1, 3], "embedding")]
    found = load(contract(number, task="embedding", labels=[], outputs=vector)).decode(np.float32([[3, 0, 4]]))
    np.testing.assert_allclose(found, [0.6, 0, 0.8])
    picture = [ends[0] | {"meaning": "image"}]
    assert np.array_equal(load(contract(number, task="image", outputs=picture)).decode(maps), maps[0])


def test_outputs_without_labels_and_several_keep_their_names(load: Load) -> None:
    number = metadata._describe(INPUTS["numbers"])
    raw = [metadata.output("y", [1, 3], "raw"), metadata.output("boxes", [100, 4], "raw")]
    y, boxes = np.float32([[1, 2, 3]]), np.ones((100, 4), np.float32)
    found = load(contract(number, labels=[], outputs=raw)).decode(y, boxes)
    assert {name: value.shape for name, value in found.items()} == {"y": (3,), "boxes": (100, 4)}
