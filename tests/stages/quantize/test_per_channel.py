"""Weights with a scale for each channel are, to the bit, what onnxruntime's quantizer makes channel by channel."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from edgepress.core.presets import PRESETS, PresetName
from edgepress.stages.quantize import per_channel
from edgepress.stages.quantize.qdq import written
from onnx import helper, numpy_helper
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from tests.stages.quantize.made import evidence, graph, plan, uneven


def transposed() -> onnx.ModelProto:
    """A transposed convolution, and a matrix product: their outputs are on axis 1."""
    random = np.random.default_rng(0)
    weights = {"w": random.normal(size=(3, 4, 2, 2)), "b": random.normal(size=4), "v": random.normal(size=(4, 6))}
    nodes = [
        helper.make_node("ConvTranspose", ["x", "w", "b"], ["c"], "first", strides=[2, 2]),
        helper.make_node("MatMul", ["c", "v"], ["y"], "second"),
    ]
    return graph(nodes, weights, (1, 3, 2, 2), (1, 4, 4, 6))


def dead() -> onnx.ModelProto:
    """A channel of zeros, one that is nearly so, and a bias that is too large for the scale of its weights."""
    model = uneven(channels=4)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor).copy()
        if tensor.name == "w1":
            values[0], values[1], values[2] = 0, 1e-39, 1e-9
        if tensor.name == "b1":
            values[2] = 50
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return model


@pytest.mark.parametrize("model", [uneven(), uneven(depthwise=False), transposed(), dead()])
@pytest.mark.parametrize("preset", ["xnnpack", "x86", "x86-avx2"])
def test_files_are_those_of_onnxruntimes_quantizer(
    model: onnx.ModelProto, preset: PresetName, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = plan(model, evidence(model, 8))
    found = written(given, PRESETS[preset])
    monkeypatch.setattr(per_channel, "Quantizer", QDQQuantizer)
    expected = written(given, PRESETS[preset])
    assert found.SerializeToString(deterministic=True) == expected.SerializeToString(deterministic=True)
