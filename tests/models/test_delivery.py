"""Delivered files have the metadata that others read, and compute and describe themselves as before."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from edgepress.data.dataset import Dataset
from edgepress.models import delivery, metadata

from tests import graphs


def model(few: Dataset, path: Path, **more: Any) -> dict[str, Any]:
    described = metadata.describe(few) | more
    graph = graphs.small()
    metadata.embed(graph, described)
    onnx.save(graph, path)
    return described


def test_viewers_find_the_names_of_classes(few: Dataset, tmp_path: Path) -> None:
    described = model(few, tmp_path / "m.onnx", labels=[*"012345678", "half \udcff 'of' a\nname"])
    path = delivery.deliver(tmp_path / "m.onnx", described, tmp_path / "out.onnx", "small")
    onnx.checker.check_model(path)
    assert metadata.read(path) == described
    before, after = (onnxruntime.InferenceSession(file) for file in (tmp_path / "m.onnx", path))
    found = after.get_modelmeta().custom_metadata_map
    assert ast.literal_eval(found["names"]) == dict(enumerate(described["labels"]))
    assert (found["task"], found["imgsz"], found["channels"], found["batch"]) == ("classify", "[8, 8]", "1", "1")
    assert "stride" not in found
    x = np.random.default_rng(0).normal(size=(1, 1, 8, 8)).astype(np.float32)
    assert np.array_equal(before.run(None, {"x": x})[0], after.run(None, {"x": x})[0])


def test_what_a_file_says_already_stays(few: Dataset, tmp_path: Path) -> None:
    described = model(few, tmp_path / "m.onnx")
    graph = onnx.load(tmp_path / "m.onnx")
    entry = graph.metadata_props.add()
    entry.key, entry.value = "names", "{0: 'theirs'}"
    onnx.save(graph, tmp_path / "m.onnx")
    path = delivery.deliver(tmp_path / "m.onnx", described, tmp_path / "out.onnx", "small")
    found = onnx.load(path).metadata_props
    assert [entry.value for entry in found if entry.key == "names"] == ["{0: 'theirs'}"]
    again = delivery.deliver(path, described, tmp_path / "twice.onnx", "small")
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"labels": []}, {"batch", "imgsz", "channels"}),
        ({"task": "regression"}, {"batch", "imgsz", "channels"}),
        ({"task": "multi-label"}, {"batch", "imgsz", "channels", "names"}),
        ({"task": "segmentation"}, {"batch", "imgsz", "channels", "names"}),
        ({"outputs": [metadata.output("y", [1, 10], "raw")]}, {"batch", "imgsz", "channels"}),
    ],
)
def test_keys_without_a_meaning_are_left_out(few: Dataset, changes: dict[str, Any], expected: set[str]) -> None:
    assert set(delivery.keys(metadata.describe(few) | changes)) == expected


@pytest.mark.parametrize(
    ("decode", "expected"),
    [
        ({"coding": "centre", "boxes": ["output0"], "activation": "none"}, "detect"),
        ({"coding": "centre", "boxes": ["output0"], "activation": "none", "scale": "shares"}, None),
        ({"coding": "distances", "boxes": ["b"], "scores": ["s"], "strides": [8]}, None),
    ],
)
def test_detectors_that_runners_decode_say_so(decode: dict[str, Any], expected: str | None, few: Dataset) -> None:
    outputs = [metadata.output("output0", [1, 14, 84], "boxes")]
    found = delivery.keys(metadata.describe(few) | {"task": "detection", "outputs": outputs, "decode": decode})
    assert found.get("task") == expected
    assert "names" in found


def test_inputs_that_are_no_picture_have_no_size(few: Dataset) -> None:
    described = metadata.describe(few)
    two = described | {"inputs": [*described["inputs"], {"kind": "numbers"}]}
    assert set(delivery.keys(two)) == {"batch", "names", "task"}
