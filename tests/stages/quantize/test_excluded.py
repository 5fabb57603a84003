"""What stays float in any network: logarithms of probabilities, computed divisors, GELUs; and biases of batch norms."""

from __future__ import annotations

import numpy as np
from edgepress.core.presets import PRESETS
from edgepress.stages.quantize.excluded import divisors, gelus, likelihoods, unsuited
from edgepress.stages.quantize.qdq import Plan, written
from edgepress.stages.quantize.sqnr import run_model
from onnx import TensorProto, helper, numpy_helper

from tests.stages.quantize.made import evidence, graph, plan


def test_a_division_by_what_is_computed() -> None:
    """x·w over its own row sum: the sum and the division are float, a division by a constant is not."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["p"], "product"),
        helper.make_node("Relu", ["p"], ["r"], "positive"),
        helper.make_node("ReduceSum", ["r", "axes"], ["s"], "sum", keepdims=1),
        helper.make_node("Div", ["r", "s"], ["d"], "shares"),
        helper.make_node("Div", ["d", "two"], ["y"], "half"),
    ]
    model = graph(nodes, {"w": np.ones((4, 6)), "two": 2.0}, (1, 3, 4), (1, 3, 6))
    model.graph.initializer.append(numpy_helper.from_array(np.array([-1], np.int64), "axes"))
    assert set(divisors(model.graph)) == {"product", "positive", "sum", "shares"}
    assert unsuited(model.graph) == {"product", "positive", "sum", "shares"}


def test_the_logarithm_of_probabilities_back_to_the_softmax() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"], "logits"),
        helper.make_node("Softmax", ["z"], ["p"], "softmax"),
        helper.make_node("Mul", ["p", "half"], ["h"], "weighed"),
        helper.make_node("Log", ["h"], ["y"], "log"),
    ]
    model = graph(nodes, {"w": np.ones((4, 6)), "half": 0.5}, (1, 3, 4), (1, 3, 6))
    assert set(likelihoods(model.graph)) == {"softmax", "weighed", "log"}


def test_a_gelu_is_float_as_a_whole() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"], "before"),
        helper.make_node("Div", ["z", "root"], ["s"], "scaled"),
        helper.make_node("Erf", ["s"], ["e"], "erf"),
        helper.make_node("Add", ["e", "one"], ["a"], "shifted"),
        helper.make_node("Mul", ["z", "a"], ["m"], "times"),
        helper.make_node("Mul", ["m", "half"], ["g"], "halved"),
        helper.make_node("MatMul", ["g", "v"], ["y"], "after"),
    ]
    random = np.random.default_rng(0)
    weights = {"w": random.normal(size=(4, 6)), "v": random.normal(size=(6, 5))}
    constants = {"root": np.sqrt(2.0), "one": 1.0, "half": 0.5}
    model = graph(nodes, weights | constants, (1, 3, 4), (1, 3, 5))
    assert set(gelus(model.graph)) == {"scaled", "erf", "shifted", "times", "halved"}
    given = evidence(model, 256)
    before = plan(model, given)
    whole = Plan(model, before.ranges, floats=unsuited(model.graph))
    assert given.sqnr(whole) > given.sqnr(before) - 0.1, "it costs nothing but a rounding"


def test_the_bias_of_a_batch_norm_is_not_shifted() -> None:
    """Left alone, before its convolution: its int32 bias is no activation."""
    random = np.random.default_rng(0)
    weights = {
        "scale": random.uniform(0.5, 1.5, 4), "shift": random.normal(size=4), "mean": random.normal(size=4),
        "variance": random.uniform(0.5, 1.5, 4), "w": random.normal(size=(5, 4, 1, 1)), "b": random.normal(size=5),
    }  # fmt: skip
    nodes = [
        helper.make_node("BatchNormalization", ["x", "scale", "shift", "mean", "variance"], ["n"], "norm"),
        helper.make_node("Relu", ["n"], ["r"], "relu"),
        helper.make_node("Conv", ["r", "w", "b"], ["y"], "conv"),
    ]
    model = graph(nodes, weights, (1, 4, 6, 6), (1, 5, 6, 6))
    given = evidence(model)
    signed, unsigned = (written(plan(model, given), PRESETS[name]) for name in ("xnnpack", "x86"))
    assert any(tensor.data_type == TensorProto.INT32 for tensor in unsigned.graph.initializer)
    one, two = (run_model(each, given.held) for each in (signed, unsigned))
    assert np.abs(one - two).max() < 0.05 * np.abs(one).max()
