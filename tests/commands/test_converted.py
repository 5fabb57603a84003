"""An int8 ONNX file beside the TFLite file that was converted from it, tensor by tensor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from edgepress.commands.why import converted
from edgepress.commands.why.cones import Graph, pairs
from edgepress.core.explained import Likeness
from edgepress.models.tflite.builder import packed
from edgepress.models.tflite.convert import write
from edgepress.stages.quantize.qdq import prepared

from tests.commands.test_sensitivity import SHAPE, network, quantized


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, str]]:
    """An int8 ONNX file, its TFLite file, and by operator the tensor of the former."""
    folder = tmp_path_factory.mktemp("converted")
    whole = network(folder / "float.onnx", outlier=0.3)
    integers = quantized(whole, folder / "int8.onnx")
    (folder / "int8.tflite").write_bytes(write(onnx.load(integers), {}))
    found = pairs(Graph(onnx.load(integers)), Graph(prepared(onnx.load(whole))))
    return integers, folder / "int8.tflite", {pair.node.name: pair.rounded for pair in found}


def compared(integers: Path, tflite: Path, tensors: dict[str, str]) -> dict[str, Likeness]:
    x = np.random.default_rng(1).normal(size=(4, *SHAPE[1:])).astype(np.float32)
    found = converted.likenesses(integers, tensors.values(), (x,), tflite, (np.moveaxis(x, 1, -1),))
    return {name: found[tensor] for name, tensor in tensors.items() if tensor in found}


def test_tensors_are_found_by_name_and_are_alike(files: tuple[Path, Path, dict[str, str]]) -> None:
    """A step of int8 is the most by which the two round differently: about 40 dB below a tensor's values."""
    found = compared(*files)
    assert {"first", "second", "third", "head"} <= found.keys()
    assert all(likeness.sqnr > 30 for likeness in found.values()), found
    assert all((likeness.cosine or 0) > 0.999 for likeness in found.values())


def test_an_operator_that_differs_shows_from_there_on(files: tuple[Path, Path, dict[str, str]], tmp_path: Path) -> None:
    integers, tflite, tensors = files
    model = schema.ModelT.InitFromPackedBuf(tflite.read_bytes())
    (graph,) = model.subgraphs
    taken = [graph.tensors[op.inputs[1]] for op in graph.operators if len(op.inputs) > 1]
    weights = [tensor.buffer for tensor in taken if tensor.name.startswith(b"second.weight")]
    assert len(weights) == 1
    model.buffers[weights[0]].data = np.roll(model.buffers[weights[0]].data, 5)
    (tmp_path / "wrong.tflite").write_bytes(packed(model))
    found = compared(integers, tmp_path / "wrong.tflite", tensors)
    assert found["first"].sqnr > 30, "before it all is as it was"
    assert found["second"].sqnr < 10
    assert found["third"].sqnr < 20


def test_tensors_of_other_names_or_shapes_are_left_out(files: tuple[Path, Path, dict[str, str]]) -> None:
    value = np.zeros((1, 4, 3, 3), np.float32)
    assert converted._of({}, "a", value) is None
    assert converted._of({"a": np.zeros((2, 2), np.float32)}, "a", value) is None
    last = np.random.default_rng(0).normal(size=(1, 4, 4, 4)).astype(np.float32)
    taken = converted._of({"a": last}, "a", np.moveaxis(last, -1, 1))
    assert np.array_equal(taken if taken is not None else value, np.moveaxis(last, -1, 1)), "the layout that is nearer"
