"""`why`: the layers of a file, what they cost, and what is worth changing first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pipeline import why
from pipeline.errors import UserError
from pipeline.machine import machine
from pipeline.presets import host_preset
from pipeline.why.layers import Layer, layers
from tests import graphs
from tests.conftest import Place, Said, edgepress


def layer(name: str, op: str = "QLinearConv", seconds: float | None = 1e-3, **more: object) -> Layer:
    facts = {"shape": (1, 8), "bytes": 100, "real": False}
    return Layer(name=name, op=op, seconds=seconds, **(facts | more))  # type: ignore[arg-type]


def told(found: list[Layer]) -> list[str]:
    def cost(each: Layer) -> float:
        return each.seconds or 0.0

    return why.advice(found, cost, sum(map(cost, found)))


def test_the_layers_of_an_onnx_file_with_their_times_and_bytes(tmp_path: Path) -> None:
    onnx.save(graphs.small(), tmp_path / "m.onnx")
    found = layers(tmp_path / "m.onnx")
    assert min(each.seconds or 0 for each in found) >= 0
    assert all(each.real for each in found if not each.moves)
    assert {each.name: each.bytes for each in found}["w"] == 4 * (80 + 10)
    assert sum(each.bytes for each in found) >= 4 * graphs.PARAMETERS, "more where onnxruntime pads them"
    assert found[-1].shape == (1, 10)


def test_the_layers_of_a_tflite_file(finished: tuple[Place, Said]) -> None:
    models = finished[0].runs / "whole" / "models"
    found = layers(models / "int8-tflite.tflite")
    assert {each.seconds for each in found} == {None}
    assert "CONV_2D" in {each.op for each in found}
    assert not [each for each in found if each.real], "an int8 file computes nothing in float"
    assert sum(each.bytes for each in found) < (models / "int8-tflite.tflite").stat().st_size
    assert [each for each in layers(models / "convert.tflite.tflite") if each.real]
    said = why.explain(models / "int8-tflite.tflite", found)
    assert "LiteRT tells no times of operators: by bytes" in said


@pytest.mark.parametrize(
    ("found", "first"),
    [
        (
            [layer("a.0.w"), layer("q", "QuantizeLinear"), layer("d", "DequantizeLinear")],
            "67% goes into DequantizeLinear, Qu",
        ),
        ([layer("a.0.w"), layer("b.0.w", "HardSwish", 2e-3, real=True)], "67% is still computed in float: HardSwish"),
        ([layer("blocks.2.0.w", seconds=3e-3), layer("blocks.2.1.w"), layer("head.w")], "80% is in `blocks.2`: fewer"),
        ([layer(f"blocks.{number}.w") for number in range(10)], "no part takes more than 15%"),
    ],
)
def test_what_to_change_first(found: list[Layer], first: str) -> None:
    assert told(found)[0].startswith(first)


def test_a_float_model_is_not_told_that_it_computes_in_float() -> None:
    assert not [words for words in told([layer("a.0.w", "Conv", real=True)]) if "float" in words]


def test_why_of_a_recipe(finished: tuple[Place, Said]) -> None:
    place, _ = finished
    said = edgepress("why", place.recipe, "--runs", place.runs, "--target", "desk")
    assert said.code == 0, said
    assert f"int8.{host_preset(machine())}.onnx" in said.out
    for words in ("by operator: ", "what each stage changed:", "budgets:\n", "first: "):
        assert words in said.out
    said = edgepress("why", place.recipe, "--runs", place.runs, "--target", "dsk")
    assert said.code == 2
    assert "has no target `dsk`" in said.err
    assert "did you mean `desk`?" in said.err


def test_the_sum_is_of_all_operators(tmp_path: Path) -> None:
    weight = numpy_helper.from_array(np.ones((64, 64), np.float32), "layer.weight")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "layer.weight"], ["y"])],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 64))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 64))],
        [weight],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    (only,) = layers(tmp_path / "m.onnx")
    assert (only.name, only.part, only.op, only.bytes) == ("layer.weight", "layer", "MatMul", 64 * 64 * 4)
    assert edgepress("why", tmp_path / "m.onnx").out.startswith("m.onnx  ")


@pytest.mark.parametrize(
    ("name", "words"), [("gone.onnx", "there is no file"), ("bad.onnx", "cannot run"), ("bad.tflite", "cannot run")]
)
def test_what_is_no_model(name: str, words: str, tmp_path: Path) -> None:
    if name.startswith("bad"):
        (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(UserError, match=words):
        layers(tmp_path / name)
