"""`why FILE --coverage`: what becomes of every operator of an ONNX file in TFLite."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.commands.test_why import constant, value
from tests.conftest import edgepress
from tests.models.tflite import models
from tests.models.tflite.models import graph, weights

NET = [
    helper.make_node("Conv", ["x", "w"], ["c"], "first"),
    helper.make_node("Relu", ["c"], ["r"]),
    helper.make_node("Selu", ["r"], ["s"], "bent\x1b[31m"),
    helper.make_node("Own\u202e", ["s"], ["o"], domain="own"),
    helper.make_node("MaxPool", ["s"], ["p"], "pooled", kernel_shape=[2, 2], dilations=[2, 2]),
    helper.make_node("Sigmoid", ["p"], ["y"]),
    helper.make_node("Relu", ["o"], ["z"], "behind"),
]


def saved(path: Path, nodes: list[onnx.NodeProto], opset: int = 17, **tensors: TensorProto) -> Path:
    outputs = [value(name, "a", "b", "c", "d") for name in ("y", "z")]
    made = helper.make_graph(
        nodes, "g", [value("x", "batch", 3, 16, 16)], outputs, list(tensors.values()) or [constant("w", 4, 3, 3, 3)]
    )
    sets = [helper.make_opsetid("", opset), helper.make_opsetid("own", 1)]
    onnx.save(helper.make_model(made, opset_imports=sets, ir_version=8), path)
    return path


def rows(out: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split()[1:] for line in out.split("\n\n")[1].splitlines()[1:]}


def test_every_operator_is_tried_and_foreign_names_are_shown(tmp_path: Path) -> None:
    said = edgepress("why", saved(tmp_path / "m.onnx", NET), "--coverage")
    assert said.code == 0, said.err
    assert said.out.startswith("m.onnx  operator set 17, 7 operators: 4 of them stop the conversion to TFLite\n")
    table = rows(said.out)
    assert table["Conv"] == ["1", "1"]
    assert table["Relu"] == ["2", "1", "1"], "one is merged into the convolution, one has no shape"
    assert table["Sigmoid"] == ["1", "1"]
    assert "stops: Selu `bent\\x1b[31m`: the operator is not in the TFLite writer's set\n  = help: " in said.out
    assert "stops: own.Own\\u202e `o`: the domain `own` is not in" in said.out
    assert "stops: MaxPool `pooled`: TFLite has no dilated pooling" in said.out
    assert "stops: Relu `behind`: tensor `o` has no fixed shape" in said.out
    assert "\x1b" not in said.out


def test_int8_and_what_stays_float(tmp_path: Path) -> None:
    net = graph(
        [1, 3, 8, 8], ("Conv", [-1, weights(4, 3, 3, 3), weights(4).ravel()], {}), ("Relu", [-1], {}),
        ("Mish", [-1], {}), ("Conv", [-1, weights(2, 4, 1, 1), weights(2).ravel()], {}),
    )  # fmt: skip
    made = models.quantized(net, models.inputs(net))
    onnx.save(made, tmp_path / "m.onnx")
    table = rows(edgepress("why", tmp_path / "m.onnx", "--coverage").out)
    assert table["Conv"] == ["2", "2"]
    assert all(len(row) == 2 or op.endswith("Linear") for op, row in table.items())


def test_an_older_operator_set_and_int8_of_other_kinds(tmp_path: Path) -> None:
    old = saved(
        tmp_path / "old.onnx", [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Elu", ["x"], ["z"])], 11
    )
    assert "operator set 13, 2 operators: all convert" in edgepress("why", old, "--coverage").out
    steps = {"s": numpy_helper.from_array(np.float32(0.1), "s"), "u": numpy_helper.from_array(np.uint8(3), "u")}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "u"], ["q"], "q"),
        helper.make_node("DequantizeLinear", ["q", "s", "u"], ["y"], "d"),
        helper.make_node("Relu", ["x"], ["z"]),
    ]
    said = edgepress("why", saved(tmp_path / "u.onnx", nodes, **steps), "--coverage")
    assert "stops: QuantizeLinear `q`: it quantizes to uint8" in said.out
    assert "the preset `xnnpack`" in said.out
    assert rows(said.out)["Relu"] == ["1", "1"]


def test_a_network_of_volumes(tmp_path: Path) -> None:
    net = graph(
        [1, 3, 4, 4, 4], ("ConvTranspose", [-1, weights(3, 4, 2, 2, 2)], {}), ("GlobalAveragePool", [-1], {}),
        ("Relu", [-1], {}),
    )  # fmt: skip
    onnx.save(net, tmp_path / "m.onnx")
    said = edgepress("why", tmp_path / "m.onnx", "--coverage")
    assert said.code == 0, said.err
    assert "3 operators: 2 of them stop the conversion" in said.out
    assert "stops: ConvTranspose `node_1`: its input has the shape [1, 3, 4, 4, 4], and only images" in said.out


def test_weights_that_are_not_beside_the_file(tmp_path: Path) -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"]), helper.make_node("Relu", ["x"], ["z"])]
    path = saved(tmp_path / "m.onnx", nodes)
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="gone.bin", size_threshold=0)
    (tmp_path / "gone.bin").unlink()
    said = edgepress("why", path, "--coverage")
    assert said.code == 2
    assert "beside it" in said.err


def test_an_open_side_and_other_files(tmp_path: Path) -> None:
    model = onnx.load(saved(tmp_path / "m.onnx", NET))
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    onnx.save(model, tmp_path / "m.onnx")
    said = edgepress("why", tmp_path / "m.onnx", "--coverage")
    assert said.code == 2
    assert "leaves axis 2 of `x` open" in said.err
    assert "is not an .onnx file" in edgepress("why", tmp_path / "m.tflite", "--coverage").err
