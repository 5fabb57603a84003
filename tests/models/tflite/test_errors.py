"""What is outside the set is refused: the node, its operator, why, and the next act."""

from __future__ import annotations

import re

import numpy as np
import onnx
import pytest
from edgepress.core.errors import UserError
from edgepress.models.tflite.convert import read_metadata, write
from onnx import TensorProto

from tests.models.tflite import models
from tests.models.tflite.models import graph, weights

F = np.float32


def test_all_unknown_operators_at_once() -> None:
    model = graph([1, 3, 4, 4], ("Selu", [-1], {}), ("Relu", [-1], {}), ("Selu", [-1], {}), ("Hardmax", [-1], {}))
    with pytest.raises(UserError) as error:
        write(model, {})
    first, second = error.value.problems
    assert first.message == (
        "cannot convert node `node_1` (Selu): the operator is not in the TFLite writer's set (2 in this model)"
    )
    assert "node `node_4` (Hardmax)" in second.message
    assert "HardSwish" in first.help
    assert "`litert-torch`" in first.help


VOLUME = [1, 3, 4, 4, 5]
SMALLER, UPWARDS = np.array([1, 3, 2, 2]), weights(3, 4, 3, 3)
FLOAT: models.Step = ("Cast", [-1], {"to": TensorProto.FLOAT})
REFUSED = {
    "(N, C, H, W)": graph([1, 3, 5, 5, 5], ("Conv", [-1, weights(4, 3, 3, 3, 3)], {})),
    "(ConvTranspose): its input has the shape [1, 3, 4, 4, 5]": graph(
        VOLUME, ("ConvTranspose", [-1, weights(3, 4, 2, 2, 2)], {})
    ),
    "(GlobalAveragePool): its input has the shape": graph(VOLUME, ("GlobalAveragePool", [-1], {})),
    "(GlobalMaxPool): its input has the shape": graph(VOLUME, ("GlobalMaxPool", [-1], {})),
    "(BatchNormalization): its input has the shape": graph(
        [1, 3, 4, 4, 3], ("BatchNormalization", [-1, *[np.ones(3, F)] * 4], {})
    ),
    "raises int32 to a power": graph(
        [1, 3], ("Cast", [-1], {"to": TensorProto.INT32}), ("Pow", [-1, F(0.5)], {}), FLOAT
    ),
    "no dilated pooling": graph([1, 3, 9, 9], ("MaxPool", [-1], {"kernel_shape": [2, 2], "dilations": [2, 2]})),
    "TFLite needs it as a constant": graph([1, 4], ("Transpose", [-1], {}), ("Gemm", [0, 1], {})),
    "it multiplies": graph([1, 4], ("Squeeze", [-1, np.array([0])], {}), ("MatMul", [0, 1], {})),
    "it cuts off": graph([1, 3, 4, 4], ("Pad", [-1, np.array([0, 0, -1, 0, 0, 0, 0, 0])], {})),
    "`antialias`": graph([1, 3, 4, 4], ("Resize", [-1, None, None, SMALLER], {"mode": "linear", "antialias": 1})),
    "its coordinates are": graph(
        [1, 3, 4, 4],
        ("Resize", [-1, None, None, SMALLER], {"coordinate_transformation_mode": "half_pixel_symmetric"}), opset=19,
    ),
    "it makes [1, 6, 4, 4] of": graph([1, 3, 4, 4], ("Resize", [-1, None, None, np.array([1, 6, 4, 4])], {})),
    "no dilated transposed": graph([1, 3, 4, 4], ("ConvTranspose", [-1, UPWARDS], {"dilations": [2, 2]})),
    "`ii,ij->j`": graph([3, 3], ("Einsum", [0, 0], {"equation": "ii,ij->j"})),
    "`ab,cb->a`": graph([3, 3], ("Einsum", [0, 0], {"equation": "ab,cb->a"})),
    "`ab->ba`": graph([3, 3], ("Einsum", [0], {"equation": "ab->ba"})),
    "it clips int32": graph([1, 3], ("Cast", [-1], {"to": TensorProto.INT32}), ("Relu", [-1], {}), FLOAT),
    "no fixed shape": graph([0, 3, 4, 4], ("Relu", [-1], {})),
    "operator set 12": graph([1, 3, 4, 4], ("Relu", [-1], {}), opset=12),
}  # fmt: skip


@pytest.mark.parametrize("words", REFUSED)
def test_uses_that_are_refused(words: str) -> None:
    with pytest.raises(UserError, match=re.escape(words)) as error:
        write(REFUSED[words], {})
    assert all(problem.help for problem in error.value.problems)


def test_a_dynamic_batch() -> None:
    model = graph([1, 3, 4, 4], ("Relu", [-1], {}))
    del model.graph.value_info[:]
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    with pytest.raises(UserError, match="no fixed shape"):
        write(model, {})


def test_unsigned_activations() -> None:
    model = graph(
        [1, 3, 4, 4],
        ("QuantizeLinear", [-1, F(0.1), np.uint8(3)], {}),
        ("DequantizeLinear", [-1, F(0.1), np.uint8(3)], {}),
    )
    with pytest.raises(UserError, match="quantizes to uint8") as error:
        write(model, {})
    assert "xnnpack" in error.value.problems[0].help


def test_weights_with_a_zero_point() -> None:
    model = models.quantized(graph([1, 3], ("MatMul", [-1, weights(3, 4)], {})), np.ones((2, 3), F))
    zero = next(
        each for each in model.graph.initializer if "constant" in each.name and each.name.endswith("zero_point")
    )
    zero.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(zero) + np.int8(1), zero.name))
    with pytest.raises(UserError, match="not symmetric int8"):
        write(model, {})


def test_the_indices_of_a_max_pool() -> None:
    model = graph([1, 3, 4, 4], ("MaxPool", [-1], {"kernel_shape": [2, 2]}), ("Relu", [-1], {}))
    model.graph.node[0].output.append("indices")
    model.graph.node[1].input[0] = "indices"
    with pytest.raises(UserError, match="`indices`, an output of its operator that TFLite does not have"):
        write(model, {})


def test_metadata_of_other_files() -> None:
    with pytest.raises(UserError, match="not a TFLite file"):
        read_metadata(b"something else")
