"""The places that a kernel meets, against what onnxruntime makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from edgepress.stages.quantize.bias_correction import corrected
from edgepress.stages.quantize.layer_inputs import LayerInputs, mean_inputs
from edgepress.stages.quantize.sqnr import run_model
from onnx import helper

from tests.stages.quantize.made import collected, evidence, graph, plan

CONVOLUTIONS: list[dict[str, Any]] = [
    {},
    {"pads": [1, 0, 2, 1], "strides": [2, 1]},
    {"dilations": [2, 2], "pads": [2, 2, 2, 2]},
    {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
    {"auto_pad": "SAME_LOWER", "strides": [2, 3]},
    {"auto_pad": "VALID", "strides": [3, 2]},
    {"group": 2, "pads": [1, 1, 1, 1]},
]
TRANSPOSED: list[dict[str, Any]] = [
    {},
    {"strides": [2, 2], "pads": [1, 0, 2, 1]},
    {"strides": [2, 3], "output_padding": [1, 2], "dilations": [2, 1]},
    {"strides": [2, 2], "output_shape": [11, 14]},
    {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
    {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
    {"group": 2, "strides": [2, 2], "pads": [1, 1, 1, 1]},
]


@pytest.mark.parametrize(
    ("operator", "options"),
    [*(("Conv", each) for each in CONVOLUTIONS), *(("ConvTranspose", each) for each in TRANSPOSED)],
    ids=str,
)
def test_the_mean_output_is_the_weight_times_the_mean_inputs(operator: str, options: dict[str, Any]) -> None:
    random = np.random.default_rng(0)
    groups = options.get("group", 1)
    shape = (6, 4 // groups, 3, 3) if operator == "Conv" else (4, 6 // groups, 3, 3)
    weight = random.normal(size=shape).astype(np.float32)
    node = helper.make_node(operator, ["x", "w"], ["y"], "only", **options)
    model = graph([node], {"w": weight}, (1, 4, 6, 7), ("batch", "channels", "high", "wide"))  # type: ignore[arg-type]
    x = random.normal(size=(1, 4, 6, 7)).astype(np.float32)
    expected = run_model(model, (x,))
    found = mean_inputs(LayerInputs(node, weight, expected.shape[2:]), x)
    assert found is not None
    assert found.shape == (4, 3, 3)
    split = found.reshape(groups, 4 // groups, 3, 3)
    by_group = weight.reshape(groups, *(6 // groups, 4 // groups)[:: 1 if operator == "Conv" else -1], 3, 3)
    means = np.einsum("goikl,gikl->go" if operator == "Conv" else "giokl,gikl->go", by_group, split).reshape(-1)
    np.testing.assert_allclose(means, expected.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("operator", ["Conv", "ConvTranspose"])
def test_an_axis_of_a_signal_and_of_a_volume(operator: str) -> None:
    random = np.random.default_rng(0)
    for sides in ((9,), (4, 5, 6)):
        weight = random.normal(size=(3, 3, *[2] * len(sides))).astype(np.float32)
        node = helper.make_node(operator, ["x", "w"], ["y"], "only", strides=[2] * len(sides))
        model = graph([node], {"w": weight}, (1, 3, *sides), (None,) * (2 + len(sides)))  # type: ignore[arg-type]
        x = random.normal(size=(1, 3, *sides)).astype(np.float32)
        expected = run_model(model, (x,))
        found = mean_inputs(LayerInputs(node, weight, expected.shape[2:]), x)
        assert found is not None
        product = weight * (found[None] if operator == "Conv" else found[:, None])
        means = product.sum((1 if operator == "Conv" else 0, *range(2, weight.ndim)))
        np.testing.assert_allclose(means, expected.mean((0, *range(2, expected.ndim))), rtol=1e-4, atol=1e-5)


def test_a_transposed_convolution_of_unknown_outputs_is_not_corrected() -> None:
    weight = np.random.default_rng(0).normal(size=(3, 4, 2, 2))
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], "only")
    value = np.zeros((1, 3, 5, 5), np.float32)
    for places in ((), (6, 0)):
        assert mean_inputs(LayerInputs(node, weight, places), value) is None
    model = graph([node], {"w": weight}, (1, 3, 5, 5), (1, 4, 6, 6))
    given = evidence(model)
    before = plan(model, given)
    layers = [LayerInputs(model.graph.node[0], weight)]
    assert len(corrected(before, given.written(before), layers).graph.graph.node[0].input) == 2
    assert len(corrected(before, given.written(before), collected(before, given)).graph.graph.node[0].input) == 3
