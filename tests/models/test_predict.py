"""The answers of a file, image by image, in the order asked."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from edgepress.core.errors import UserError
from edgepress.data.dataset import Dataset
from edgepress.models import metadata
from edgepress.models import predict as module
from edgepress.models.onnx.importer import adopt
from edgepress.models.predict import in_torch, predict
from edgepress.models.tflite.convert import write
from torch import nn

from tests import graphs
from tests.models.tflite.models import COMPATIBLE, graph, inputs, quantized, weights


def test_answers_keep_the_order_of_the_images(few: Dataset, tmp_path: Path) -> None:
    (tmp_path / "g.onnx").write_bytes(graphs.small().SerializeToString())
    adopt(tmp_path / "g.onnx", few, tmp_path / "model.onnx")
    x = few.input.to_model_inputs(few["test"].x[:9])
    answers = predict(tmp_path / "model.onnx", x)
    assert (answers.shape, answers.dtype) == ((9, 10), np.float32)
    np.testing.assert_array_equal(predict(tmp_path / "model.onnx", x[::-1]), answers[::-1])


@COMPATIBLE
def test_results_do_not_depend_on_the_threads(few: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnx
    from edgepress.models.metadata import for_tflite, read_onnx
    from edgepress.models.tflite.convert import write

    (tmp_path / "g.onnx").write_bytes(graphs.small().SerializeToString())
    adopt(tmp_path / "g.onnx", few, tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    (tmp_path / "model.tflite").write_bytes(write(model, for_tflite(read_onnx(model), ["x"])))
    x = few.input.to_model_inputs(few["test"].x[:20])
    for name, runtime in (("model.onnx", None), ("model.tflite", "litert"), ("model.tflite", "tflite-runtime")):
        found = []
        for threads in (1, 2, 4, 64):
            monkeypatch.setattr(module, "at_most", lambda threads=threads: threads)
            found.append(predict(tmp_path / name, x, runtime))
        assert all(np.array_equal(each, found[0]) for each in found), name


@COMPATIBLE
def test_tflite_answers_as_onnx_in_both_runtimes(few: Dataset, tmp_path: Path) -> None:
    import onnx
    from edgepress.models.metadata import for_tflite, read_onnx
    from edgepress.models.tflite.convert import write

    (tmp_path / "g.onnx").write_bytes(graphs.small().SerializeToString())
    adopt(tmp_path / "g.onnx", few, tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    (tmp_path / "model.tflite").write_bytes(write(model, for_tflite(read_onnx(model), ["x"])))
    x = few.input.to_model_inputs(few["test"].x[:9])
    expected = predict(tmp_path / "model.onnx", x)
    for runtime in (None, "litert", "tflite-runtime"):
        np.testing.assert_allclose(predict(tmp_path / "model.tflite", x, runtime), expected, rtol=1e-4, atol=1e-4)


def test_torch_computes_a_few_examples_at_a_time(few: Dataset) -> None:
    """64 photos at once were a gigabyte of activations, the peak of a whole run."""
    sizes = []

    class Net(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            sizes.append(len(x))
            return x.flatten(1)

    x = few.input.to_model_inputs(few["test"].x[:20])
    assert np.array_equal(in_torch(Net(), (x,)).numpy(), x.reshape(20, -1))
    assert sizes == [8, 8, 4]


def test_raw_rows_are_prepared_in_parts(few: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "g.onnx").write_bytes(graphs.small().SerializeToString())
    adopt(tmp_path / "g.onnx", few, tmp_path / "model.onnx")
    x, prepared = few["test"].x[:9], []
    expected = predict(tmp_path / "model.onnx", few.input.to_model_inputs(x))
    monkeypatch.setattr(module, "PREPARED", 4 * 4 * math.prod(few.input.shape))
    monkeypatch.setattr(
        module, "to_model_inputs", lambda *given: prepared.append(len(given[2])) or metadata.to_model_inputs(*given)
    )
    np.testing.assert_array_equal(module.predict_raw(tmp_path / "model.onnx", few, x), expected)
    assert prepared == [4, 4, 1]


def test_a_file_that_its_runtime_refuses_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """XNNPACK loads no file with 256 steps of a result in one of the sum; the writer makes none by itself."""
    monkeypatch.setattr("edgepress.models.tflite.ops.dense._MOST_STEPS", 1e37)
    layer = ("Gemm", [-1, weights(16, 4), np.float32([0.3, 1e37, 0.1, 0.2])], {})
    model = graph([1, 16], layer, ("Clip", [-1, np.float32(0), np.float32(6)], {}))
    samples = inputs(model, count=4)
    path = tmp_path / "model.tflite"
    entry = {"layout": None, "dtype": "float32"}
    contract = {"inputs": [entry | {"name": "input", "shape": [1, 16]}], "outputs": [entry | {"name": "output"}]}
    path.write_bytes(write(quantized(model, samples), contract))
    with pytest.raises(UserError, match=r"litert cannot run `model\.tflite`: failed to create XNNPACK runtime"):
        predict(path, samples)
