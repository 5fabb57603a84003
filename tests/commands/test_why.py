"""`why`: the layers of a file, what they cost, and what is worth changing first."""

from __future__ import annotations

import platform
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from edgepress.commands.why import explain
from edgepress.commands.why.advice import advice
from edgepress.commands.why.layers import Layer, Layers, layers
from edgepress.commands.why.source import Source, alike
from edgepress.core.errors import UserError
from edgepress.core.machine import machine
from edgepress.core.presets import host_preset
from edgepress.gate.judge import Finding
from edgepress.models.onnx import packed_weights
from onnx import TensorProto, helper, numpy_helper

from tests import graphs
from tests.conftest import Place, Said, edgepress

FLOAT = TensorProto.FLOAT


def layer(name: str, op: str = "Conv", seconds: float | None = 1e-3, **more: object) -> Layer:
    facts = {"shape": (1, 8), "bytes": 100, "real": False}
    return Layer(name=name, op=op, seconds=seconds, **(facts | more))  # type: ignore[arg-type]


def told(found: list[Layer], **more: Any) -> list[str]:
    def cost(each: Layer) -> float:
        return each.seconds or 0.0

    return advice(found, cost, sum(map(cost, found)), **more)


def value(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, FLOAT, shape)


def constant(name: str, *shape: int, dtype: str = "float32") -> TensorProto:
    return numpy_helper.from_array(np.random.default_rng(0).normal(0, 9, shape).astype(dtype), name)


def saved(
    path: Path, nodes: list[onnx.NodeProto], shape: tuple[int, ...], tensors: list[TensorProto], **more: Any
) -> Path:
    """A file whose input is `x`, and whose output `y` has a shape that nobody says."""
    graph = helper.make_graph(
        nodes, "g", [value("x", *shape)], [helper.make_tensor_value_info("y", FLOAT, None)], tensors
    )
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    onnx.save(helper.make_model(graph, opset_imports=sets, ir_version=8, **more), path)
    return path


def blocked(path: Path) -> Path:
    """Convolutions that onnxruntime computes in a layout of its own on x86, where weights lose their names."""
    nodes = [
        helper.make_node("Conv", ["x", "stem.0.weight", "stem.0.bias"], ["c"], "first", pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["reorder"]),  # as onnxruntime calls what it makes
        helper.make_node("Conv", ["reorder", "body.1.weight"], ["d"], "second", pads=[1] * 4),
        helper.make_node("Add", ["d", "reorder"], ["e"]),
        helper.make_node("Relu", ["e"], ["relu_token_3"]),
        helper.make_node("Sigmoid", ["relu_token_3"], ["s"], "/gate/gate.0/Sigmoid"),
        helper.make_node("Conv", ["s", "head.weight"], ["y"], "last"),
    ]
    tensors = [
        constant("stem.0.weight", 16, 3, 3, 3), constant("stem.0.bias", 16), constant("body.1.weight", 16, 16, 3, 3),
        constant("head.weight", 16, 16, 1, 1),
    ]  # fmt: skip
    return saved(path, nodes, (1, 3, 32, 32), tensors)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="elsewhere onnxruntime fuses less")
def test_times_and_bytes_are_of_the_files_own_nodes(tmp_path: Path) -> None:
    whole = layers(blocked(tmp_path / "m.onnx"))
    assert [(each.name, each.op, each.part) for each in whole.layers] == [
        ("stem.0.weight", "Conv", "stem.0"),
        ("body.1.weight", "Conv", "body.1"),
        ("/gate/gate.0/Sigmoid", "Sigmoid", "gate.0"),
        ("head.weight", "Conv", "head"),
    ]
    assert [each.bytes for each in whole.layers] == [4 * (432 + 16), 4 * 2304, 0, 4 * 256]
    assert [each.fused for each in whole.layers] == [("Relu",), ("Add", "Relu"), (), ()]
    assert {each.shape for each in whole.layers} == {(1, 16, 32, 32)}
    assert whole.size == (tmp_path / "m.onnx").stat().st_size == sum(each.bytes for each in whole.layers) + whole.graph
    spent = sum(each.seconds or 0 for each in whole.layers)
    assert spent + whole.between == pytest.approx(whole.seconds)
    assert all(each.inserted <= (each.seconds or 0) for each in whole.layers)
    assert all(each.real for each in whole.layers)


def test_shares_add_up_to_the_whole(tmp_path: Path) -> None:
    found = tuple(layer(f"blocks.{number}.w", seconds=0.05) for number in range(12))
    said = explain.explain(tmp_path / "m.onnx", Layers(found, 2000, 1.0))
    assert "m.onnx  2.0 kB: 1.2 kB of weights, 800 B of graph and metadata\n1 s an inference in 12 layers" in said
    rows = said.partition("share\n")[2].partition("\n\n")[0].splitlines()
    assert [row.split()[0] for row in rows[-2:]] == ["2", "between"]
    assert sum(int(row.rsplit(maxsplit=1)[1].rstrip("%")) for row in rows) == 100
    assert said.count("40%") == 1, "between operators"


def test_an_advisory_budget_is_told_from_a_required_one(tmp_path: Path) -> None:
    findings = [
        Finding("t", "size", "advisory", "FAIL", 100.0, "bytes", 184.0, label="measured"),
        Finding("t", "memory", "required", "FAIL", 100.0, "bytes", 184.0, label="measured"),
    ]
    said = explain.explain(tmp_path / "m.onnx", Layers((layer("w"),), 2000, 1.0), findings)
    assert "\n  FAIL (advisory)  size  184 B  of 100 B  184%  +84 B\n  FAIL  memory  184 B" in said


@pytest.mark.parametrize("packed", [packed_weights.weights_only, packed_weights.float16])
def test_packed_weights_weigh_what_the_file_holds(packed: Any, tmp_path: Path) -> None:
    onnx.save(packed(onnx.load(blocked(tmp_path / "float.onnx"))), tmp_path / "m.onnx")
    plain, whole = layers(tmp_path / "float.onnx"), layers(tmp_path / "m.onnx")
    assert [each.name for each in whole.layers] == [each.name for each in plain.layers]
    assert all(mine.bytes <= theirs.bytes for mine, theirs in zip(whole.layers, plain.layers, strict=True))
    assert sum(each.bytes for each in whole.layers) < 0.6 * sum(each.bytes for each in plain.layers)
    assert 0 < whole.graph < whole.size / 2


def test_an_int8_file_weighs_what_it_holds(finished: tuple[Place, Said]) -> None:
    """onnxruntime folds the integers of some weights into floats when it loads the file: four times the bytes."""
    path = finished[0].runs / "whole" / "models" / f"int8.{host_preset(machine())}.onnx"
    whole = layers(path)
    model = onnx.load(path)
    held = sum(numpy_helper.to_array(each).nbytes for each in model.graph.initializer)
    assert sum(each.bytes for each in whole.layers) == held < whole.size
    own = {name for node in model.graph.node for name in [node.op_type]}
    assert {each.op for each in whole.layers} <= own, "what onnxruntime adds is no layer"


def test_graphs_within_a_node_functions_and_names_that_mislead(tmp_path: Path) -> None:
    tensors = [constant("@3.0", 64, 64)]  # as the profile calls what a node gives
    inner = [helper.make_node("MatMul", ["reorder", "@3.0"], ["t"], "@0")]
    other = [helper.make_node("MatMul", ["reorder", "own"], ["t"], "@0")]
    branches = {
        "then_branch": helper.make_graph(inner, "then", [], [value("t", 1, 64)]),
        "else_branch": helper.make_graph(other, "else", [], [value("t", 1, 64)], [constant("own", 64, 64)]),
    }
    nodes = [
        helper.make_node("Twice", ["x"], ["reorder"], "red\x1b[31m\nname", domain="own"),
        helper.make_node("ReduceSum", ["reorder"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["sum"], ["condition"], to=TensorProto.BOOL),
        helper.make_node("If", ["condition"], ["z"], "choice\x1b[31m", **branches),
        helper.make_node("Sigmoid", ["z"], ["y"], "end"),
    ]
    twice = [helper.make_node("Add", ["a", "a"], ["c"]), helper.make_node("Neg", ["c"], ["b"])]
    sets = [helper.make_opsetid("", 17)]
    functions = [helper.make_function("own", "Twice", ["a"], ["b"], twice, sets)]
    path = saved(tmp_path / "m.onnx", nodes, (1, 64), tensors, functions=functions)
    whole = layers(path)
    assert [each.op for each in whole.layers] == ["Add", "Neg", "ReduceSum", "Cast", "If", "Sigmoid"]
    choice = whole.layers[4]
    assert (choice.name, choice.bytes) == ("choice\\x1b[31m", 2 * 4 * 64 * 64), "both branches"
    assert "\x1b" not in explain.explain(path, whole)


def test_weights_beside_the_file_count(tmp_path: Path) -> None:
    model = onnx.load(blocked(tmp_path / "m.onnx"))
    before = layers(tmp_path / "m.onnx")
    onnx.save(model, tmp_path / "e.onnx", save_as_external_data=True, location="e.bin", size_threshold=0)
    whole = layers(tmp_path / "e.onnx")
    assert [each.bytes for each in whole.layers] == [each.bytes for each in before.layers]
    assert whole.size == sum((tmp_path / name).stat().st_size for name in ("e.onnx", "e.bin"))


def test_several_nodes_that_one_operator_computes_are_one_layer(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "mlp.fc1.weight"], ["m"]),
        helper.make_node("Div", ["m", "root"], ["d"]), helper.make_node("Erf", ["d"], ["e"]),
        helper.make_node("Add", ["e", "one"], ["a"]), helper.make_node("Mul", ["m", "a"], ["p"]),
        helper.make_node("Mul", ["p", "half"], ["y"]),
    ]  # fmt: skip
    scalars = {"root": 2**0.5, "one": 1.0, "half": 0.5}
    tensors = [numpy_helper.from_array(np.float32(number), name) for name, number in scalars.items()]
    whole = layers(saved(tmp_path / "m.onnx", nodes, (1, 16, 32), [constant("mlp.fc1.weight", 32, 64), *tensors]))
    first, second = whole.layers
    assert (first.name, first.bytes) == ("mlp.fc1.weight", 4 * 32 * 64)
    assert (second.op, second.bytes, second.fused) == ("Gelu", 12, ("Div", "Erf", "Add", "Mul"))


def test_an_operator_that_only_onnxruntime_has_is_called_as_the_file_does(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "a.weight"], ["c"]),
        helper.make_node("Sigmoid", ["c"], ["s"], "act"),
        helper.make_node("Mul", ["c", "s"], ["y"]),
    ]
    whole = layers(saved(tmp_path / "m.onnx", nodes, (1, 3, 16, 16), [constant("a.weight", 8, 3, 1, 1)]))
    assert {each.op for each in whole.layers} <= {"Conv", "Sigmoid", "Mul"}, "no QuickGelu"
    (sigmoid,) = (each for each in whole.layers if each.op == "Sigmoid")
    assert sigmoid.name == "act"
    assert sigmoid.activates


def test_operators_of_onnxruntime_are_those_of_onnx() -> None:
    same = {"QLinearConv": "Conv", "FusedConv": "Conv", "QGemm": "Gemm", "DynamicQuantizeMatMul": "MatMulInteger"}
    assert all(alike(mine, theirs) for mine, theirs in same.items())
    assert not alike("Gelu", "Mul")
    assert not alike("QuantizeLinear", "Gemm")


def test_a_constant_that_several_nodes_share_counts_once(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"], "a"), helper.make_node("MatMul", ["h", "w"], ["y"], "b")]
    path = saved(tmp_path / "m.onnx", nodes, (1, 64), [constant("w", 64, 64)])
    assert [each.bytes for each in layers(path).layers] == [4 * 64 * 64, 0]
    assert [Source(path).name(number) for number in (0, 1)] == ["a", "b"], "`w` does not say where it is"


def test_the_layers_of_a_tflite_file(finished: tuple[Place, Said]) -> None:
    models = finished[0].runs / "whole" / "models"
    whole = layers(models / "int8-tflite.tflite")
    assert {each.seconds for each in whole.layers} == {None}
    assert "CONV_2D" in {each.op for each in whole.layers}
    assert not [each for each in whole.layers if each.real], "an int8 file computes nothing in float"
    assert 0 < whole.graph < whole.size == (models / "int8-tflite.tflite").stat().st_size
    assert [each for each in layers(models / "convert.tflite.tflite").layers if each.real]
    said = explain.explain(models / "int8-tflite.tflite", whole)
    assert "LiteRT reports no time per operator: shares are of the weights' bytes" in said


def test_a_tflite_file_is_not_run(tmp_path: Path) -> None:
    """One that is no whole model made LiteRT end the process by a signal."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    file = flatbuffers.Builder(64)
    file.Finish(schema.ModelT(version=3).Pack(file), b"TFL3")
    (tmp_path / "empty.tflite").write_bytes(bytes(file.Output()))
    said = edgepress("why", tmp_path / "empty.tflite")
    assert (said.code, said.err.count("\n")) == (2, 2)
    assert "cannot be read as TFLite" in said.err


@pytest.mark.parametrize(
    ("found", "first"),
    [
        (
            [layer("a.0.w"), layer("b.0.w", "Softmax", 1e-4, real=True), layer("q", "QuantizeLinear", 1.9e-3)],
            "63% goes into QuantizeLinear, between int8 and what computes in float: Softmax",
        ),
        ([layer("a.0.w"), layer("q", "QuantizeLinear", 2e-3)], "67% goes into QuantizeLinear, at the ends of the file"),
        (
            [layer("a.0.w", real=True), layer("t", "Transpose", 2e-3)],
            "67% goes into Transpose, which computes nothing: a network that keeps one layout needs less",
        ),
        (
            [layer("a.0.w"), layer("h", "HardSwish", 2e-3, real=True)],
            "67% is in `h`: a network without this HardSwish",
        ),
        (
            [layer("a.0.w"), layer("w", seconds=2e-3, real=True)],
            "67% is in `w`: fewer channels there (`prune.channels`), or a student without it, saves that much at most",
        ),
        ([layer("a.0.w"), layer("n", "LayerNormalization", 2e-3, real=True)], "67% is in `n`: a network without this"),
        ([layer("blocks.2.0.w", seconds=3e-3), layer("blocks.2.1.w"), layer("head.w")], "80% is in `blocks.2`: fewer"),
        ([layer("fc.w", "Gemm"), layer("act", "Relu", 1e-5)], "99% is in `fc`: a narrower layer there"),
        ([layer(f"blocks.{number}.w") for number in range(10)], "no part takes more than 15%"),
    ],
)
def test_what_to_change_first(found: list[Layer], first: str) -> None:
    assert told(found)[0].startswith(first)


def words(found: list[Layer], **more: Any) -> str:
    return "\n".join(told(found, **more))


def test_a_relu_is_advised_only_for_another_activation_that_costs() -> None:
    many = [layer(f"blocks.{number}.w", real=True) for number in range(4)]
    assert "ReLU" not in words([*many, layer("i.w")]), "convolutions in float are no activations"
    assert "ReLU" not in words([*many, layer("r", "Relu", 2e-3, real=True)])
    assert "ReLU or ReLU6 costs less" in words([*many, layer("h", "HardSwish", 1e-3, real=True)])
    assert "and has an int8 form" not in words([*many, layer("h", "HardSwish", 1e-3, real=True)])
    assert "and has an int8 form" in words([*many, layer("i.w"), layer("h", "HARD_SWISH", 1e-3, real=True)])
    assert "ReLU" not in words([*many, layer("g", "Sigmoid", 1e-3, real=True, activates=False)])
    assert "ReLU" not in words([*many, layer("h", "HardSwish", 1e-6, real=True)]), "it costs nothing"


@pytest.mark.parametrize(
    ("with_", "after", "activates"),
    [
        ("x", ["p"], True),  # SiLU
        ("other", ["p"], False),  # a gate, as of squeeze-and-excitation
        ("x", [], False),  # an answer
    ],
)
def test_a_sigmoid_is_an_activation_where_it_multiplies_what_it_took(
    with_: str, after: list[str], activates: bool, tmp_path: Path
) -> None:
    silu = [
        helper.make_node("Sigmoid", ["x"], ["s" if after else "y"]),
        *(helper.make_node("Mul", [with_, "s"], ["y"]) for _ in after),
    ]
    path = saved(tmp_path / "m.onnx", silu, (1, 8), [constant("other", 1, 8)])
    assert Source(path).activates(0) is activates
    both = {"x": "xd", "s": "sd"}
    quantized = [
        node
        for name, real in both.items()
        for node in (
            helper.make_node("QuantizeLinear", [name, "scale"], [f"{name}q"]),
            helper.make_node("DequantizeLinear", [f"{name}q", "scale"], [real]),
        )
    ]
    nodes = [*quantized[:2], helper.make_node("Sigmoid", ["xd"], ["s" if after else "y"]), *quantized[2:]]
    nodes = nodes if after else nodes[:3]
    nodes += [helper.make_node("Mul", [both.get(with_, with_), "sd"], ["y"]) for _ in after]
    scale = numpy_helper.from_array(np.float32(0.1), "scale")
    path = saved(tmp_path / "q.onnx", nodes, (1, 8), [constant("other", 1, 8), scale])
    assert Source(path).activates(2) is activates, "through integers too"


def test_what_computes_in_float_beside_integers_is_told_with_the_reason() -> None:
    found = [layer("i.w"), layer("f.w", seconds=3e-3, real=True)]
    assert "75% computes in float though it has an int8 form, Conv: the file was quantized so" in told(found)
    speed = {"speed": {"chosen": "mixed"}}
    assert "Conv: slower as int8 on this processor, as `faster` measured; nothing to gain" in words(found, notes=speed)
    assert "Conv: `keep` holds it in float, for the accuracy (mixed precision)" in words(found, notes={"restored": [1]})
    assert "in float" not in words([layer("a.0.w", real=True)]), "a float model computes in float"
    ids = layer("ids", "ArgMax", 1e-4, counts=True)
    assert "in float" not in words([layer("a.0.w", real=True), ids]), "and so it does where it counts something"


def test_pruning_is_advised_for_channels_only() -> None:
    wide = [layer(f"blocks.{number}.w", "MatMul") for number in range(10)]
    some = [layer("patches.w"), *wide]
    assert told(some) == ["no part takes more than 15%: a smaller student takes from all"], "a transformer"
    wide = [layer(f"blocks.{number}.w") for number in range(10)]
    assert told(wide)[0].endswith("a smaller student takes from all; so does `prune.channels`")
    assert told(wide, prunes=True)[0].endswith("so does a higher ratio of `prune.channels`")


def test_parts_are_as_deep_as_their_number() -> None:
    parts = {
        "": "",
        "//": "//",
        "blocks.2.0.conv.weight": "blocks.2", "model.layers.3.mlp.weight": "model.layers.3",
        "conv_stem.weight": "conv_stem",
        "/blocks/blocks.2/blocks.2.0/conv/Conv": "blocks.2", "/fc/Gemm": "fc", "node_12": "node_12",
    }  # fmt: skip
    assert {name: layer(name).part for name in parts} == parts


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
    path = saved(tmp_path / "m.onnx", [helper.make_node("MatMul", ["x", "layer.weight"], ["y"])], (1, 64),
                 [constant("layer.weight", 64, 64)])  # fmt: skip
    (only,) = layers(path).layers
    assert (only.name, only.part, only.op, only.bytes) == ("layer.weight", "layer", "MatMul", 64 * 64 * 4)
    assert edgepress("why", path).out.startswith("m.onnx  ")


def test_a_file_without_weights_or_nodes(tmp_path: Path) -> None:
    graph = helper.make_graph([], "g", [value("x", 1, 4)], [value("x", 1, 4)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "m.onnx")
    said = edgepress("why", tmp_path / "m.onnx")
    assert said.code == 0
    assert "between operators" in said.out


def test_a_crash_of_onnxruntime_is_told_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx.save(graphs.small(), tmp_path / "m.onnx")

    def crashed(command: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, -signal.SIGSEGV, "", "")

    monkeypatch.setattr(subprocess, "run", crashed)
    with pytest.raises(UserError, match=r"ended the process while profiling `.*m\.onnx`: segmentation fault"):
        layers(tmp_path / "m.onnx")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gone.onnx", "there is no file"),
        ("bad.onnx", "cannot be read as ONNX"),
        ("bad.tflite", "cannot be read as TFLite"),
        ("cut.tflite", "cannot be read as TFLite"),
    ],
)
def test_what_is_no_model(name: str, words: str, tmp_path: Path) -> None:
    if name.startswith("bad"):
        (tmp_path / name).write_bytes(b"nothing")
    if name.startswith("cut"):
        (tmp_path / name).write_bytes(b"\x1c\0\0\0TFL3" + b"\xff" * 40)
    with pytest.raises(UserError, match=words):
        layers(tmp_path / name)
