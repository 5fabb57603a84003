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


CUT: dict[str, tuple[str, list[float], float]] = {
    "Relu, dead on the examples": ("Relu", [], -3.0),
    "Clip, dead on the examples": ("Clip", [0, 6], -3.0),
    "Clip above 0": ("Clip", [0.5, 6], 0.0),
    "Clip below 0": ("Clip", [-6, -0.5], 0.0),
}


@pytest.mark.parametrize("name", CUT)
def test_what_no_integers_cut_stays(name: str) -> None:
    """onnxruntime's quantizer takes every Relu and Clip out, for the integers to end where it cuts."""
    operator, bounds, bias = CUT[name]
    random = np.random.default_rng(0)
    weights = {
        "w1": random.normal(0, 0.1, (4, 3, 1, 1)),
        "b1": np.full(4, bias),
        "w2": random.normal(size=(2, 4, 1, 1)),
    }
    weights |= {f"bound{place}": np.array(bound) for place, bound in enumerate(bounds)}
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c"], "first"),
        helper.make_node(operator, ["c", *(f"bound{place}" for place in range(len(bounds)))], ["cut"], "cut"),
        helper.make_node("Conv", ["cut", "w2"], ["y"], "second"),
    ]
    model = graph(nodes, weights, (1, 3, 4, 4), (1, 2, 4, 4))
    seen = evidence(model, 8)
    found = seen.outputs(plan(model, seen), PRESETS["xnnpack"])
    assert np.abs(seen.expected - found).max() < 0.05 * max(np.abs(seen.expected).max(), 1)
