"""Float graphs for tests of integers, and what they are asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from edgepress.stages.quantize.calibration import ranges
from edgepress.stages.quantize.calibration.observe import observe
from edgepress.stages.quantize.layer_inputs import Inputs, LayerInputs
from edgepress.stages.quantize.qdq import Plan, prepared
from edgepress.stages.quantize.sqnr import Evidence
from onnx import TensorProto, helper, numpy_helper


def graph(
    nodes: list[onnx.NodeProto],
    weights: dict[str, Any],
    shape: tuple[int, ...],
    out: tuple[int, ...],
    **numbers: list[int],
) -> onnx.ModelProto:
    """From `x` of `shape` to `y` of `out`; `numbers` are whole."""
    tensors = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in weights.items()]
    tensors += [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in numbers.items()]
    made = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, out)],
        tensors,
    )
    return prepared(helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9))


def uneven(*, spread: float = 1.0, depthwise: bool = True, channels: int = 7, seed: int = 0) -> onnx.ModelProto:
    """Conv, Relu, a second Conv, Relu, mean and a dense layer: 3 × 8 × 8 to 5; `spread` powers of ten between the
    channels that the first one writes, which the second takes back exactly."""
    random = np.random.default_rng(seed)
    scale = 10 ** np.linspace(-spread / 2, spread / 2, channels)
    second = random.normal(size=(channels, 1 if depthwise else channels, 3, 3))
    weights = {
        "w1": random.normal(size=(channels, 3, 1, 1)) * scale[:, None, None, None],
        "b1": random.normal(size=channels) * scale,
        "w2": second / (scale[:, None, None, None] if depthwise else scale[None, :, None, None]),
        "b2": random.normal(size=channels),
        "w3": random.normal(size=(5, channels)),
        "b3": random.normal(size=5),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], "first"),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node(
            "Conv", ["r1", "w2", "b2"], ["c2"], "second", pads=[1] * 4, group=channels if depthwise else 1
        ),
        helper.make_node("Relu", ["c2"], ["r2"], "relu2"),
        helper.make_node("GlobalAveragePool", ["r2"], ["m"], "mean"),
        helper.make_node("Flatten", ["m"], ["f"], "flat"),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["y"], "dense", transB=1),
    ]
    return graph(nodes, weights, (1, 3, 8, 8), (1, 5))


def evidence(model: onnx.ModelProto, count: int = 32, seed: int = 1) -> Evidence:
    """Normal examples for the graph's one input."""
    random = np.random.default_rng(seed)
    shape = [axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim]
    seen, held = random.normal(size=(2, count, *shape[1:])).astype(np.float32)
    return Evidence(model, ranges.Columns((seen,)), (held,))


def plan(model: onnx.ModelProto, evidence: Evidence, **options: Any) -> Plan:
    """With ranges by the extremes."""
    found = ranges.ranges(model, evidence.seen, methods=("minmax",))["minmax"]
    return Plan(onnx.shape_inference.infer_shapes(model), found, **options)


def collected(plan: Plan, evidence: Evidence) -> list[LayerInputs]:
    """Statistics of the layers of a plan, on its own graph."""
    inputs = Inputs(plan)
    observe(plan.graph, evidence.seen, [inputs])
    return inputs.layers(plan, {})
