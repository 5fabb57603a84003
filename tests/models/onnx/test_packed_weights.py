"""Weights in fewer bits: how far they move, what they weigh, and that onnxruntime unpacks them once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from edgepress.core.errors import UserError
from edgepress.models.onnx import export
from edgepress.models.onnx.packed_weights import float16, held_in, stored, weights_only, whole_float16
from edgepress.models.operators import operators
from onnx import TensorProto, numpy_helper

from tests.models.tflite.models import Step, answers, feeds, graph, weights
from tests.stages.quantize import masked

F = np.float32


def conv(given: int, *shape: int, **attributes: object) -> Step:
    return ("Conv", [given, weights(*shape, seed=given + 1), weights(shape[0], seed=3).ravel()], attributes)


CASES = {
    "images, odd channels, depthwise": graph(
        [1, 3, 12, 12],
        conv(0, 37, 3, 3, 3, pads=[1] * 4), ("Relu", [-1], {}), conv(2, 37, 1, 3, 3, group=37), conv(3, 13, 37, 1, 1),
        ("ReduceMean", [-1, np.array([2, 3])], {"keepdims": 0}),
        ("Gemm", [-1, weights(31, 13), weights(31).ravel()], {"transB": 1}),
    ),
    "signals": graph([1, 6, 50], conv(0, 23, 6, 5), ("Relu", [-1], {}), conv(2, 9, 23, 3, strides=[2])),
    "tokens": graph(
        [1, 8],
        ("Gather", [weights(40, 17), 0], {}), ("MatMul", [-1, weights(17, 25)], {}), ("Relu", [-1], {}),
        ("Flatten", [-1], {}), ("Gemm", [-1, weights(200, 5), weights(5).ravel()], {}),
        dtype=TensorProto.INT64,
    ),
    "transposed convolution": graph(
        [1, 8, 6, 6], ("ConvTranspose", [0, weights(8, 11, 3, 3), weights(11).ravel()], {"strides": [2, 2]})
    ),
    "a gated unit": graph(
        [5, 1, 7], ("GRU", [0, weights(1, 33, 7), weights(1, 33, 11), weights(1, 66)], {"hidden_size": 11})
    ),
    "a constant on the left": graph([1, 24, 5], ("MatMul", [weights(19, 24), 0], {})),
}  # fmt: skip


def loaded(model: onnx.ModelProto, folder: Path) -> list[str]:
    """The operators that onnxruntime is left with once it has loaded the model."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(folder / "loaded.onnx"), 3
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [node.op_type for node in onnx.load(folder / "loaded.onnx").graph.node]


def written(model: onnx.ModelProto, folder: Path) -> Path:
    export.write(model, folder / "m.onnx")
    return folder / "m.onnx"


def arrays(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}


@pytest.mark.parametrize("name", CASES)
def test_int8_weights_are_off_by_half_a_step_at_most(name: str) -> None:
    model = CASES[name]
    made = weights_only(model)
    real, packed = arrays(model), arrays(made)
    found = {out: source for out, source in stored(made.graph).items() if out in real}
    assert found
    for out, source in found.items():
        integers, scale = packed[source], packed[f"{out}_scale"]
        assert integers.dtype == np.int8
        assert np.abs(integers * scale - real[out]).max() <= scale.max() / 2 * 1.001
        assert (np.abs(integers * scale - real[out]) <= scale / 2 * 1.001).all(), "each channel has its own step"
        assert scale.size > 1


@pytest.mark.parametrize("name", CASES)
def test_the_answers_are_near_and_the_network_is_the_same(name: str, tmp_path: Path) -> None:
    model = CASES[name]
    samples = feeds(model, 6)
    expected = answers(model, samples)
    for pack, off in ((weights_only, 0.03), (float16, 1e-3)):
        made = pack(model)
        onnx.checker.check_model(made, full_check=True)
        found = answers(made, samples)
        assert 0 < np.abs(found - expected).max() < off * np.abs(expected).max()
        sizes = [(export.size(path), operators(path)) for path in (written(each, tmp_path) for each in (model, made))]
        assert sizes[0] == sizes[1]


@pytest.mark.parametrize("name", CASES)
def test_onnxruntime_unpacks_them_when_it_loads_the_file(name: str, tmp_path: Path) -> None:
    expected = loaded(CASES[name], tmp_path)
    for pack in (weights_only, float16):
        assert loaded(pack(CASES[name]), tmp_path) == expected


def test_large_weights_weigh_a_quarter_and_half() -> None:
    model = graph([1, 512], ("Gemm", [0, weights(512, 512), weights(512).ravel()], {"transB": 1}))
    before = model.ByteSize()
    assert 0.25 < weights_only(model).ByteSize() / before < 0.26
    assert 0.5 < float16(model).ByteSize() / before < 0.505


def test_only_the_nodes_that_are_named() -> None:
    model = CASES["images, odd channels, depthwise"]
    made = weights_only(model, ["node_4"])
    assert set(stored(made.graph).values()) == {"constant_4_1_int8"}
    kept = arrays(made)
    for name, values in arrays(model).items():
        if name != "constant_4_1":
            np.testing.assert_array_equal(kept[name], values)
    assert weights_only(model, []) == model
    assert model == CASES["images, odd channels, depthwise"], "the given graph stays as it was"


def test_the_smallest_weights_stay_float16_as_far_as_bytes_allow() -> None:
    model = graph(
        [1, 3, 12, 12],
        conv(0, 16, 3, 3, 3), ("Relu", [-1], {}), conv(2, 16, 1, 3, 3, group=16), conv(3, 300, 16, 1, 1),
        ("ReduceMean", [-1, np.array([2, 3])], {"keepdims": 0}),
        ("Gemm", [-1, weights(300, 300), weights(300).ravel()], {"transB": 1}),
    )  # fmt: skip
    samples = feeds(model, 6)
    expected = answers(model, samples)

    def packed(half: float) -> tuple[dict[str, np.dtype[Any]], float, int]:
        made = weights_only(model, half=half)
        onnx.checker.check_model(made, full_check=True)
        kinds = {out: arrays(made)[source].dtype for out, source in stored(made.graph).items() if "cast" not in out}
        return kinds, float(np.abs(answers(made, samples) - expected).max()), made.ByteSize()

    none, some, most = packed(0.0), packed(0.01), packed(0.1)
    assert set(none[0].values()) == {np.dtype(np.int8)}
    assert [str(some[0][f"constant_{n}_1"]) for n in (1, 4, 6)] == ["float16", "int8", "int8"]
    assert [str(most[0][f"constant_{n}_1"]) for n in (1, 4, 6)] == ["float16", "float16", "int8"]
    assert str(some[0]["constant_6_2"]) == "float16", "and so do biases"
    assert none[1] > some[1] > most[1]
    assert most[2] < 1.1 * none[2]


def test_a_table_that_is_a_matrix_too_is_stored_once() -> None:
    table = weights(40, 24)
    model = graph(
        [1, 6], ("Gather", [table, 0], {}), ("Flatten", [-1], {}), ("Gemm", [-1, weights(24, 144)], {"transB": 1}),
        ("Gemm", [-1, table], {"transB": 1}), dtype=TensorProto.INT64,
    )  # fmt: skip
    model.graph.node[3].input[1] = model.graph.node[0].input[0]
    del model.graph.initializer[2]
    made = weights_only(model)
    assert len(stored(made.graph)) == 2 * 2
    samples = feeds(model, 4)
    expected = answers(model, samples)
    assert np.abs(answers(made, samples) - expected).max() < 0.03 * np.abs(expected).max()


def test_packed_twice_is_packed_once() -> None:
    for pack in (weights_only, float16):
        made = pack(CASES["signals"])
        assert pack(made) == made
    assert held_in(weights_only(CASES["signals"]).graph) == {"weights", "float32"}
    assert held_in(float16(CASES["signals"]).graph) == {"float16", "float32"}
    assert held_in(CASES["signals"].graph) == {"float32"}


@pytest.mark.parametrize("value", [1e5, -1e5, np.inf, np.nan])
def test_what_float16_does_not_have_stays(value: float) -> None:
    large = weights(40, 24)
    large[3, 5] = value
    model = graph([1, 24], ("Gemm", [0, large], {"transB": 1}), ("Gemm", [-1, weights(40, 40)], {}))
    assert set(stored(float16(model).graph)) == {"constant_2_1"}
    with pytest.raises(UserError, match="beyond ±65504"):
        whole_float16(model)
    if not np.isfinite(value):
        assert [name for name in stored(weights_only(model).graph) if name.startswith("constant_1")] == []


def test_a_channel_of_zeros_stays_zero() -> None:
    matrix = weights(40, 24)
    matrix[7] = 0
    model = graph([1, 24], ("Gemm", [0, matrix], {"transB": 1}))
    found = answers(weights_only(model), feeds(model, 3))
    assert (found[..., 7] == 0).all()
    assert np.abs(found).min(axis=(0, 1))[6] > 0


@pytest.mark.parametrize("name", CASES)
def test_a_whole_graph_in_float16(name: str) -> None:
    model = CASES[name]
    made = whole_float16(model)
    onnx.checker.check_model(made)
    assert [each.type.tensor_type.elem_type for each in (*made.graph.input, *made.graph.output)] == [
        each.type.tensor_type.elem_type for each in (*model.graph.input, *model.graph.output)
    ]
    assert not [each.name for each in made.graph.initializer if each.data_type == TensorProto.FLOAT]
    samples = feeds(model, 6)
    expected = answers(model, samples)
    assert 0 < np.abs(answers(made, samples) - expected).max() < 0.01 * np.abs(expected).max()


@pytest.mark.parametrize("never", [-1e9, float(np.finfo(np.float32).min), -np.inf])
def test_a_mask_in_float16_is_float16s_lowest(never: float) -> None:
    """A softmax makes the same zero of it; a weight of that size is refused still."""
    made = whole_float16(masked.added(never))
    (mask,) = (numpy_helper.to_array(each) for each in made.graph.initializer if each.name == "mask")
    assert mask.dtype == np.float16
    assert mask.min() == np.finfo(np.float16).min


@pytest.mark.parametrize("case", [masked.chosen, masked.bounded])
@pytest.mark.parametrize("never", [-1e9, float(np.finfo(np.float32).min), -np.inf])
def test_a_single_number_that_stands_for_never_is_float16_too(
    case: Callable[[float], onnx.ModelProto], never: float
) -> None:
    """It became float64 between float16 ones, which no runtime loads."""
    model = case(never)
    made = whole_float16(model)
    onnx.checker.check_model(made, full_check=True)
    assert TensorProto.DOUBLE not in {each.data_type for each in made.graph.initializer}
    samples = feeds(model, 4)
    expected = answers(model, samples)
    assert np.abs(answers(made, samples) - expected).max() < 0.01 * np.abs(expected).max()
