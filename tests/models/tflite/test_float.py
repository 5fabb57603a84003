"""Every operator of the set, in float: the file answers as onnxruntime does, in both runtimes."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import onnx
import pytest
from edgepress.models.tflite.convert import layouts, write
from hypothesis import assume, given, settings

from tests.models.tflite import models
from tests.models.tflite.models import graph, weights

F = np.float32


def conv(*shape: int, **attributes: object) -> models.Step:
    return ("Conv", [-1, weights(*shape), weights(shape[0], seed=3).ravel()], attributes)


def transposed(*shape: int, **attributes: object) -> models.Step:
    channels = shape[1] * int(str(attributes.get("group", 1)))
    return ("ConvTranspose", [-1, weights(*shape), weights(channels, seed=3).ravel()], attributes)


INTEGERS: models.Step = ("Cast", [-1], {"to": onnx.TensorProto.INT64})
FLOATS: models.Step = ("Cast", [-1], {"to": onnx.TensorProto.FLOAT})
CASES = {
    "conv": graph([1, 3, 9, 10], conv(5, 3, 3, 3, pads=[1, 1, 1, 1])),
    "conv without bias": graph([1, 3, 9, 10], ("Conv", [-1, weights(5, 3, 1, 1)], {})),
    "conv stride 2 on an even size": graph([1, 3, 8, 8], conv(5, 3, 3, 3, pads=[1, 1, 1, 1], strides=[2, 2])),
    "conv stride 2 on an odd size": graph([1, 3, 9, 9], conv(5, 3, 3, 3, pads=[1, 1, 1, 1], strides=[2, 2])),
    "conv with lopsided pads": graph([1, 3, 8, 6], conv(5, 3, 3, 2, pads=[0, 1, 2, 0], strides=[1, 2])),
    "conv dilated": graph([1, 3, 12, 12], conv(5, 3, 3, 3, pads=[2, 2, 2, 2], dilations=[2, 2])),
    "conv same upper": graph([1, 3, 8, 8], conv(5, 3, 3, 3, auto_pad="SAME_UPPER", strides=[2, 2])),
    "conv same lower": graph([1, 3, 8, 8], conv(5, 3, 3, 3, auto_pad="SAME_LOWER", strides=[2, 2])),
    "conv grouped": graph([1, 6, 8, 8], conv(9, 2, 3, 3, group=3, pads=[1, 1, 1, 1])),
    "conv depthwise": graph([1, 7, 8, 8], conv(7, 1, 3, 3, group=7, pads=[1, 1, 1, 1], strides=[2, 2])),
    "conv depthwise twice": graph([1, 3, 8, 8], conv(6, 1, 3, 3, group=3)),
    "conv depthwise dilated": graph([1, 3, 12, 12], conv(3, 1, 3, 3, group=3, dilations=[2, 2], pads=[2, 2, 2, 2])),
    "conv relu": graph([1, 3, 8, 8], conv(5, 3, 1, 1), ("Relu", [-1], {})),
    "conv relu6": graph([1, 3, 8, 8], conv(5, 3, 1, 1), ("Clip", [-1, F(0), F(6)], {})),
    "conv clip to one": graph([1, 3, 8, 8], conv(5, 3, 1, 1), ("Clip", [-1, F(-1), F(1)], {})),
    "conv read twice before relu": graph([1, 3, 8, 8], conv(5, 3, 1, 1), ("Relu", [-1], {}), ("Add", [1, 2], {})),
    "batch norm": graph(
        [1, 4, 6, 6],
        ("BatchNormalization", [-1, *(np.abs(weights(4, seed=s).ravel()) + F(0.1) for s in range(4))], {}),
    ),
    "gemm": graph([1, 7], ("Gemm", [-1, weights(5, 7), weights(5).ravel()], {"transB": 1})),
    "gemm of columns": graph([1, 7], ("Gemm", [-1, weights(7, 5)], {}), ("Relu", [-1], {})),
    "gemm with factors": graph(
        [1, 7], ("Gemm", [-1, weights(5, 7), weights(5).ravel()], {"transB": 1, "alpha": 0.5, "beta": 2.0})
    ),
    "gemm of columns, and one bias": graph([7, 3], ("Gemm", [-1, weights(7, 5), F([0.3])], {"transA": 1, "beta": 3.0})),
    "gemm with a bias for each row": graph([3, 7], ("Gemm", [-1, weights(7, 5), weights(3, 1)], {"alpha": 2.0})),
    "gemm with a bias in a row": graph([1, 7], ("Gemm", [-1, weights(7, 5), weights(1, 5)], {})),
    "gemm with a computed bias": graph(
        [3, 7],
        ("Gemm", [0, weights(7, 5)], {}),
        ("Gemm", [0, weights(7, 5, seed=1), 1], {"alpha": 0.5, "beta": 0.25}),
    ),
    "matmul": graph([1, 7], ("MatMul", [-1, weights(7, 5)], {}), ("Add", [-1, weights(5).ravel()], {})),
    **{
        f"transposed, {name}": graph([1, 4, 5, 6], transposed(4, 3, 3, 2, strides=[2, 3], **attributes))
        for name, attributes in {
            "same upper": {"auto_pad": "SAME_UPPER"},
            "same lower": {"auto_pad": "SAME_LOWER"},
            "valid": {"auto_pad": "VALID"},
            "of a shape": {"output_shape": [9, 16]},
            "of a shape, same upper": {"output_shape": [10, 15], "auto_pad": "SAME_UPPER"},
            "of a shape, same lower": {"output_shape": [10, 15], "auto_pad": "SAME_LOWER"},
            "of a shape, with more behind": {"output_shape": [10, 16], "output_padding": [1, 1]},
        }.items()
    },
    "transposed signals of a shape": graph([1, 4, 6], transposed(4, 3, 3, strides=[2], output_shape=[11])),
    "transposed groups, same upper": graph(
        [1, 4, 5, 5], transposed(4, 3, 3, 3, strides=[2, 2], group=2, auto_pad="SAME_UPPER")
    ),
    **{
        f"slice {starts}:{ends}:{steps}": graph(
            [1, 3, 8, 9], ("Slice", [-1, starts, ends, np.array([2, 3]), steps], {}), ("Relu", [-1], {})
        )
        for starts, ends, steps in (
            (np.array([7, -1]), np.array([-100, 2]), np.array([-1, -2])),
            (np.array([1, 100]), np.array([6, -(2**63)]), np.array([2, -1])),
        )
    },
    "channels in reverse": graph(
        [1, 3, 4, 4],
        ("Slice", [-1, np.array([-1]), np.array([-(2**63)]), np.array([1]), np.array([-1])], {}),
        conv(5, 3, 3, 3),
    ),
    "in float64": graph(
        [1, 3, 4, 4],
        ("Cast", [-1], {"to": onnx.TensorProto.DOUBLE}),
        ("Mul", [-1, np.float64(3)], {}),
        ("Cast", [-1], {"to": onnx.TensorProto.FLOAT}),
    ),
    "max pool": graph([1, 3, 8, 8], ("MaxPool", [-1], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4})),
    "max pool of negatives": graph(
        [1, 3, 8, 8],
        ("Sub", [-1, F(50)], {}),
        ("MaxPool", [-1], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4}),
    ),
    "max pool rounded up": graph(
        [1, 3, 8, 9], ("MaxPool", [-1], {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1})
    ),
    "average pool": graph([1, 3, 8, 8], ("AveragePool", [-1], {"kernel_shape": [2, 2], "strides": [2, 2]})),
    "average pool rounded up": graph(
        [1, 3, 7, 7], ("AveragePool", [-1], {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1})
    ),
    "average pool over pads": graph(
        [1, 3, 8, 8],
        ("AveragePool", [-1], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4, "count_include_pad": 1}),
    ),
    "average pool within pads": graph(
        [1, 3, 8, 9], ("AveragePool", [-1], {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 1, 0, 1]})
    ),
    "average pool over pads, rounded up": graph(
        [1, 3, 9, 8],
        ("AveragePool", [-1], {
            "kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4, "count_include_pad": 1, "ceil_mode": 1,
        }),
        opset=19,
    ),
    "average of signals over pads": graph(
        [1, 3, 9], ("AveragePool", [-1], {"kernel_shape": [3], "pads": [1, 1], "count_include_pad": 1})
    ),
    "average pool same": graph([1, 3, 7, 7], ("AveragePool", [-1], {"kernel_shape": [3, 3], "pads": [1] * 4})),
    "global average": graph([1, 3, 5, 4], ("GlobalAveragePool", [-1], {})),
    "mean over pixels": graph([1, 3, 5, 4], ("ReduceMean", [-1, np.array([-1, -2])], {"keepdims": 1})),
    "mean to a row": graph([1, 3, 5, 4], ("ReduceMean", [-1, np.array([2, 3])], {"keepdims": 0})),
    "mean over channels": graph([1, 3, 5, 4], ("ReduceMean", [-1, np.array([1])], {"keepdims": 1})),
    "mean over channels away": graph([1, 3, 5, 4], ("ReduceMean", [-1, np.array([1])], {"keepdims": 0})),
    "mean in an old operator set": graph([1, 3, 5, 4], ("ReduceMean", [-1], {"axes": [2, 3]}), opset=13),
    "flatten a map for gemm": graph(
        [1, 3, 4, 5], ("Flatten", [-1], {}), ("Gemm", [-1, weights(6, 60)], {"transB": 1})
    ),
    "flatten a map": graph([1, 3, 4, 5], ("Reshape", [-1, np.array([1, -1])], {})),
    "flatten a pixel": graph([1, 3, 1, 1], ("Flatten", [-1], {})),
    "row to pixel": graph([1, 5], ("Reshape", [-1, np.array([1, 5, 1, 1])], {}), conv(4, 5, 1, 1)),
    "row to map": graph([1, 24], ("Reshape", [-1, np.array([1, 4, 3, 2])], {}), conv(4, 4, 1, 1)),
    "map to map": graph([1, 4, 6, 2], ("Reshape", [-1, np.array([1, 2, 4, 6])], {})),
    "squeeze": graph([1, 4, 1, 1], ("Squeeze", [-1, np.array([2, 3])], {}), ("Unsqueeze", [-1, np.array([1])], {})),
    "transpose": graph([1, 4, 6, 2], ("Transpose", [-1], {"perm": [0, 3, 1, 2]})),
    "concat channels": graph([1, 3, 4, 5], ("Relu", [0], {}), conv(4, 3, 1, 1), ("Concat", [2, 0, 1], {"axis": 1})),
    "concat columns": graph([1, 3, 4, 5], ("Relu", [0], {}), ("Concat", [0, 1], {"axis": -1})),
    "pad": graph([1, 3, 4, 5], ("Pad", [-1, np.array([0, 0, 1, 0, 0, 0, 2, 3])], {})),
    "add per channel": graph([1, 3, 4, 5], ("Add", [-1, weights(3, 1, 1)], {})),
    "number minus map": graph([1, 3, 4, 5], ("Sub", [F(1), 0], {})),
    "divide": graph([1, 3, 4, 5], ("Div", [-1, np.abs(weights(1, 3, 1, 1)) + F(1)], {})),
    "excite": graph([1, 3, 4, 5], ("GlobalAveragePool", [0], {}), ("Sigmoid", [-1], {}), ("Mul", [0, 2], {})),
    "clip": graph([1, 3, 4, 5], ("Clip", [-1, F(-0.5), F(1.7)], {})),
    "clip from above": graph([1, 3, 4, 5], ("Clip", [-1, None, F(1.7)], {})),
    "relu6 alone": graph([1, 3, 4, 5], ("Clip", [-1, F(0), F(6)], {})),
    "hard swish": graph([1, 3, 9, 9], ("HardSwish", [-1], {})),
    "hard sigmoid": graph([1, 3, 9, 9], ("HardSigmoid", [-1], {"alpha": 1 / 6})),
    "hard sigmoid of onnx": graph([1, 3, 9, 9], ("HardSigmoid", [-1], {})),
    "mean that leaves channels in the middle": graph(
        [1, 3, 4, 5], ("ReduceMean", [-1, np.array([2])], {"keepdims": 0})
    ),
    "a map times a plane": graph(
        [1, 3, 4, 5], ("ReduceMean", [0, np.array([1])], {"keepdims": 0}), ("Mul", [0, 1], {})
    ),
    "pad channels": graph([1, 3, 4, 4], ("Pad", [-1, np.array([0, 1, 0, 0, 0, 2, 0, 0])], {})),
    "softmax of rows": graph([1, 3, 4, 5], ("Softmax", [-1], {"axis": 2})),
    "a matrix for every row of a map": graph([1, 3, 4, 6], ("MatMul", [-1, weights(6, 5)], {}), ("Relu", [-1], {})),
    "product of two, then relu": graph(
        [2, 3, 5], ("Transpose", [-1], {"perm": [0, 2, 1]}), ("MatMul", [0, 1], {}), ("Relu", [-1], {})
    ),
    "product of different ranks": graph(
        [1, 3, 5, 5], ("Reshape", [0, np.array([3, 5, 5])], {}), ("MatMul", [1, 0], {})
    ),
    "erf": graph([1, 3, 7], ("Erf", [-1], {})),
    "erf near zero": graph([1, 99], ("Mul", [-1, np.logspace(-12, 0, 99, dtype=F)], {}), ("Erf", [-1], {})),
    "erf of zero": graph([1, 9], ("Relu", [-1], {}), ("Erf", [-1], {})),
    "gelu": graph([1, 3, 7], ("Gelu", [-1], {}), opset=20),
    "gelu by tanh": graph([1, 3, 7], ("Gelu", [-1], {"approximate": "tanh"}), opset=20),
    "not gelu": graph(
        [1, 7], ("Div", [0, F(1.5)], {}), ("Erf", [-1], {}), ("Add", [-1, F(1)], {}), ("Mul", [0, 3], {}),
        ("Mul", [-1, F(0.5)], {}),
    ),
    "gelu, halved first": graph(
        [1, 7], ("Mul", [0, F(0.70710678)], {}), ("Erf", [-1], {}), ("Add", [F(1), -1], {}), ("Mul", [0, F(0.5)], {}),
        ("Mul", [3, 4], {}),
    ),
    "layer norm over two axes": graph(
        [2, 3, 7], ("LayerNormalization", [-1, weights(3, 7), weights(3, 7, seed=2)], {"axis": 1})
    ),
    "layer norm of large numbers": graph(
        [1, 5, 7], ("Add", [-1, F(100)], {}), ("LayerNormalization", [-1, weights(7, 1).ravel()], {})
    ),
    "slice of channels and rows": graph(
        [1, 5, 6, 4], ("Slice", [-1, np.array([1, -5]), np.array([2**62, -1]), np.array([1, 2]), np.array([2, 1])], {})
    ),
    "slice of a signal": graph(
        [1, 3, 9], conv(5, 3, 3), ("Slice", [-1, *(np.array([each]) for each in (-3, 7, 2))], {})
    ),
    "gather the last step": graph([1, 3, 9], ("Gather", [-1, np.array(-1)], {"axis": 2})),
    "gather columns": graph([1, 4, 9], ("Gather", [-1, np.array([[7, -2], [0, 0]])], {"axis": -1})),
    "a table of integers": graph(
        [1, 5], ("Greater", [-1, F(0)], {}), ("Cast", [-1], {"to": onnx.TensorProto.INT64}),
        ("Gather", [np.array([3, -8]), -1], {}), ("Cast", [-1], {"to": onnx.TensorProto.FLOAT}),
    ),
    "max of three": graph([1, 3, 5], ("Neg", [0], {}), ("Max", [0, F(0.1), 1], {})),
    "where": graph([1, 3, 5], ("Greater", [0, F(0.2)], {}), ("Where", [1, 0, F(-7)], {})),
    "and, or": graph(
        [1, 3, 5], ("Greater", [0, F(0)], {}), ("Less", [0, F(1)], {}), ("And", [1, 2], {}), ("Not", [1], {}),
        ("Or", [3, 4], {}), ("Cast", [-1], {"to": onnx.TensorProto.FLOAT}),
    ),
    "layer norm spelled out": graph(
        [1, 4, 7], ("ReduceMean", [0, np.array([-1])], {}), ("Sub", [0, 1], {}), ("Pow", [-1, F(2)], {}),
        ("ReduceMean", [-1, np.array([-1])], {}), ("Add", [-1, F(1e-5)], {}), ("Sqrt", [-1], {}), ("Div", [2, 6], {}),
    ),
    "power of int64": graph([1, 3, 4, 5], ("Pow", [-1, np.int64(2)], {})),
    "power of int64, per channel": graph([1, 3, 4, 5], ("Pow", [-1, np.arange(3).reshape(3, 1, 1)], {})),
    "power of computed integers": graph([1, 3, 4, 5], ("Relu", [0], {}), INTEGERS, ("Pow", [0, -1], {})),
    "integers to a whole power": graph([1, 3, 4, 5], INTEGERS, ("Pow", [-1, F(2)], {}), FLOATS),
    "resize by factors of axes": graph(
        [1, 3, 5, 5], ("Resize", [-1, None, F([1.45, 1.5])], {"mode": "linear", "axes": [3, 2]})
    ),
    "resize by a factor of one axis": graph(
        [1, 3, 5, 6], ("Resize", [-1, None, F([1.5])], {"mode": "nearest", "axes": [-1]})
    ),
    "resize by factors that give one size": graph(
        [1, 3, 5, 5], ("Resize", [-1, None, F([1, 1, 1.5, 1.45])], {"mode": "linear"})
    ),
    "resize of signals by a factor": graph(
        [1, 3, 5], ("Resize", [-1, None, F([1.5])], {"mode": "linear", "axes": [2]})
    ),
    **{
        f"resize, cubic, from pixels inside alone, {kind}": graph(
            [1, 3, 5, 7],
            ("Resize", [-1, None, F([1, 1, 2, 0.6])], {
                "mode": "cubic", "exclude_outside": 1, "coordinate_transformation_mode": kind,
            }),
        )
        for kind in ("half_pixel", "asymmetric", "align_corners")
    },
    "conv of signals, lopsided": graph([1, 3, 10], conv(5, 3, 3, pads=[0, 2], strides=[2])),
    "conv of signals, same upper": graph([1, 3, 9], conv(5, 3, 4, auto_pad="SAME_UPPER", strides=[2])),
    "conv of signals, grouped": graph([1, 6, 9], conv(9, 2, 3, group=3, dilations=[2])),
    "average of signals": graph([1, 3, 9], ("AveragePool", [-1], {"kernel_shape": [2], "strides": [2]})),
    "global pools of signals": graph(
        [1, 3, 9], ("GlobalAveragePool", [0], {}), ("GlobalMaxPool", [0], {}), ("Add", [1, 2], {})
    ),
    "signal with an image's neighbour": graph(
        [1, 3, 9], conv(5, 3, 3), ("Unsqueeze", [-1, np.array([2])], {}), conv(4, 5, 1, 3),
        ("Reshape", [-1, np.array([1, -1])], {}),
    ),
    "a signal flattened for gemm": graph(
        [1, 3, 9], conv(5, 3, 3), ("Flatten", [-1], {}), ("Gemm", [-1, weights(4, 35)], {"transB": 1})
    ),
    "a signal is also a sequence": graph(
        [1, 3, 3], conv(3, 3, 3, pads=[1, 1]), ("MatMul", [0, 1], {}), ("Add", [-1, 1], {})
    ),
    "softmax of channels": graph([1, 3, 4, 5], ("Softmax", [-1], {"axis": 1})),
    "log": graph([1, 9], ("Softmax", [-1], {"axis": -1}), ("Log", [-1], {})),
    "pad with a number": graph(
        [1, 3, 4, 5], ("Pad", [-1, np.array([0, 0, 1, 0, 0, 0, 2, 3]), F(1.5)], {})
    ),
    "pad two axes": graph([1, 3, 4, 5], ("Pad", [-1, np.array([1, 2, 0, 1]), None, np.array([-1, 2])], {})),
    "pad by reflection": graph(
        [1, 3, 4, 5], ("Pad", [-1, np.array([0, 0, 3, 0, 0, 0, 2, 4]), None], {"mode": "reflect"})
    ),
    "pad with the edge": graph([1, 3, 4, 5], ("Pad", [-1, np.array([0, 0, 1, 6, 0, 0, 7, 0]), None], {"mode": "edge"})),
    "pad a sequence around": graph(
        [1, 6, 5], ("Pad", [-1, np.array([0, 2, 0, 0, 1, 0]), None], {"mode": "wrap"}), opset=19
    ),
    "expand": graph([1, 3, 1, 5], ("Expand", [-1, np.array([2, 3, 4, 5])], {})),
    "expand to more axes": graph([3, 1], ("Expand", [-1, np.array([2, 3, 4])], {})),
    "expand a map by a row": graph(
        [1, 3, 4, 5], ("ReduceMean", [0, np.array([0, 1, 2])], {"keepdims": 0}),
        ("Expand", [1, np.array([1, 3, 4, 5])], {}), ("Add", [0, 2], {}),
    ),
    "tile": graph([1, 3, 2, 5], ("Tile", [-1, np.array([1, 2, 3, 1])], {})),
    "leaky relu": graph([1, 3, 4, 5], ("LeakyRelu", [-1], {"alpha": 0.2})),
    "prelu": graph([1, 3, 4, 5], ("PRelu", [-1, weights(3, 1, 1)], {})),
    "prelu of rows": graph([2, 5], ("PRelu", [-1, weights(5).ravel()], {})),
    "elu": graph([1, 3, 4, 5], ("Elu", [-1], {})),
    "elu with an alpha": graph([1, 3, 4, 5], ("Elu", [-1], {"alpha": 0.3})),
    "softplus of large numbers": graph([1, 3, 4, 5], ("Mul", [-1, F(60)], {}), ("Softplus", [-1], {})),
    "mish": graph([1, 3, 4, 5], ("Mish", [-1], {}), opset=20),
    "reciprocal of a root": graph([1, 9], ("Exp", [-1], {}), ("Sqrt", [-1], {}), ("Reciprocal", [-1], {})),
    "length": graph([1, 3, 4, 5], ("ReduceL2", [-1, np.array([1])], {"keepdims": 1})),
    "length, without the axis": graph([1, 3, 4, 5], ("ReduceL2", [-1, np.array([-1])], {"keepdims": 0})),
    "minimum over pixels": graph([1, 3, 4, 5], ("ReduceMin", [-1, np.array([2, 3])], {"keepdims": 1})),
    "sum of three": graph([1, 3, 5], ("Neg", [0], {}), ("Sum", [0, weights(5).ravel(), 1], {})),
    "floor, ceil, round": graph(
        [1, 3, 5], ("Floor", [0], {}), ("Ceil", [0], {}), ("Round", [0], {}), ("Sum", [1, 2, 3], {})
    ),
    "sine and cosine": graph([1, 3, 5], ("Sin", [0], {}), ("Cos", [0], {}), ("Sub", [1, 2], {})),
    "comparisons": graph(
        [1, 3, 5], ("GreaterOrEqual", [0, F(0)], {}), ("LessOrEqual", [0, F(1)], {}), ("And", [1, 2], {}),
        ("Cast", [-1], {"to": onnx.TensorProto.FLOAT}),
    ),
    "instance norm": graph(
        [1, 3, 4, 5], ("InstanceNormalization", [-1, weights(3).ravel(), weights(3, seed=2).ravel()], {})
    ),
    "instance norm of rows": graph(
        [1, 3, 9], ("InstanceNormalization", [-1, weights(3).ravel(), weights(3, seed=2).ravel()], {"epsilon": 0.1})
    ),
    "einsum of two maps": graph(
        [1, 3, 4, 5], ("Neg", [0], {}), ("Einsum", [0, 1], {"equation": "bchw,bchk->bhwk"})
    ),
    "einsum with a table": graph(
        [1, 3, 4, 5], ("Einsum", [0, weights(4, 7, 5)], {"equation": "b y h c, h k c -> b y h k"})
    ),
    "einsum without a sum": graph([2, 3], ("Relu", [0], {}), ("Einsum", [0, 1], {"equation": "ab,ac->cab"})),
    "einsum to the left": graph([1, 4, 5], ("Einsum", [weights(6, 5), 0], {"equation": "oc,bnc->bno"})),
    "depth to space": graph([1, 12, 3, 4], ("DepthToSpace", [-1], {"blocksize": 2})),
    "pixel shuffle": graph([1, 12, 3, 4], ("DepthToSpace", [-1], {"blocksize": 2, "mode": "CRD"})),
    "space to depth": graph([1, 3, 4, 6], ("SpaceToDepth", [-1], {"blocksize": 2})),
    "conv transpose": graph([1, 3, 5, 4], transposed(3, 5, 3, 3)),
    "conv transpose, as upsampling": graph(
        [1, 3, 5, 4], transposed(3, 5, 3, 3, strides=[2, 2], pads=[1] * 4, output_padding=[1, 1])
    ),
    "conv transpose, lopsided": graph(
        [1, 3, 5, 4], transposed(3, 5, 4, 3, strides=[2, 3], pads=[0, 1, 2, 0]), ("Relu", [-1], {})
    ),
    "conv transpose with gaps": graph(
        [1, 3, 5, 4], transposed(3, 5, 2, 1, strides=[3, 4], output_padding=[1, 2])
    ),
    "conv transpose, grouped": graph([1, 6, 5, 4], transposed(6, 2, 3, 3, group=3, strides=[2, 2])),
    "conv transpose of signals": graph([1, 3, 7], transposed(3, 5, 4, strides=[2], pads=[1, 1])),
    "identity at the end": graph([1, 9], ("Relu", [-1], {}), ("Identity", [-1], {})),
    "identity inside": graph([1, 9], ("Identity", [-1], {}), ("Relu", [-1], {})),
}  # fmt: skip


@pytest.mark.parametrize("runtime", models.EVERY)
@pytest.mark.parametrize("name", CASES)
def test_operators(name: str, runtime: str) -> None:
    model = CASES[name]
    samples = models.inputs(model)
    if len(model.graph.input[0].type.tensor_type.shape.dim) == 4:
        expected = models.in_onnxruntime(model, samples)
        found = models.in_tflite(write(model, {}), samples, runtime)
    else:
        feeds = models.feeds(model, 4)
        expected = models.answers(model, feeds)
        found = models.answers_of_file(write(model, {}), layouts(model), feeds, runtime)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("runtime", models.EVERY)
def test_an_input_of_uint8(runtime: str) -> None:
    model = graph(
        [1, 3, 4, 5],
        ("Cast", [-1], {"to": onnx.TensorProto.FLOAT}),
        ("Div", [-1, F(255)], {}),
        conv(4, 3, 3, 3),
        dtype=onnx.TensorProto.UINT8,
    )
    samples = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5)).astype(np.uint8)
    found = models.in_tflite(write(model, {}), samples, runtime)
    np.testing.assert_allclose(found, models.in_onnxruntime(model, samples), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("runtime", models.EVERY)
@pytest.mark.parametrize("size", [[10, 12], [7, 9], [3, 2], [5, 6]])
@pytest.mark.parametrize("kind", ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"])
@pytest.mark.parametrize("mode", ["nearest", "nearest, floor", "linear", "cubic"])
def test_resize(mode: str, kind: str, size: list[int], runtime: str) -> None:
    name, _, nearest = mode.partition(", ")
    attributes = {"mode": name, "coordinate_transformation_mode": kind}
    if nearest:
        attributes["nearest_mode"] = nearest
    model = graph([1, 3, 5, 6], ("Resize", [-1, None, None, np.array([1, 3, *size])], attributes))
    samples = models.inputs(model)
    expected = models.in_onnxruntime(model, samples)
    found = models.in_tflite(write(model, {}), samples, runtime)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("runtime", models.EVERY)
@pytest.mark.parametrize("scales", [[2.0, 2.0], [1.5, 0.6]])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_resize_by_a_factor(mode: str, scales: list[float], runtime: str) -> None:
    """The factor as it is written, not the quotient of the sizes, says where pixels come from."""
    attributes = {"mode": mode, "coordinate_transformation_mode": "asymmetric"}
    model = graph([1, 3, 5, 6], ("Resize", [-1, None, np.array([1, 1, *scales], F)], attributes))
    samples = models.inputs(model)
    found = models.in_tflite(write(model, {}), samples, runtime)
    np.testing.assert_allclose(found, models.in_onnxruntime(model, samples), rtol=1e-4, atol=1e-5)


@settings(deadline=None, max_examples=40, derandomize=True)
@given(
    size=st.tuples(st.integers(3, 11), st.integers(3, 11)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    pads=st.tuples(*[st.integers(0, 2)] * 4),
    dilation=st.sampled_from([None, 1, 2]),
)
def test_any_window(
    size: tuple[int, int],
    kernel: tuple[int, int],
    strides: tuple[int, int],
    pads: tuple[int, int, int, int],
    dilation: int | None,
) -> None:
    """Of a max pool when there is no dilation, else of a convolution."""
    assume(all(size[a] + pads[a] + pads[a + 2] > (kernel[a] - 1) * (dilation or 1) for a in (0, 1)))
    if dilation is None:
        assume(all(max(pads[a], pads[a + 2]) < kernel[a] for a in (0, 1)))
        last: models.Step = ("MaxPool", [-1], {"kernel_shape": kernel, "strides": strides, "pads": pads})
    else:
        last = conv(2, 2, *kernel, strides=strides, pads=pads, dilations=[dilation] * 2)
    model = graph([1, 2, *size], last)
    samples = models.inputs(model, count=1) - 5
    found = models.in_tflite(write(model, {}), samples, models.RUNTIMES[0])
    np.testing.assert_allclose(found, models.in_onnxruntime(model, samples), rtol=1e-4, atol=1e-4)
