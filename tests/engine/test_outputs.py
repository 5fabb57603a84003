"""Files of several outputs without a label: loaded, quantized, converted, compared and judged."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from edgepress.config import recipe
from edgepress.core.errors import UserError
from edgepress.core.results import StageFacts
from edgepress.engine.cache import Cache
from edgepress.engine.engine import Engine
from edgepress.models import metadata
from onnx import helper

from tests.engine.test_engine import Quiet
from tests.models.onnx import made
from tests.models.onnx.made import FLOAT, node

RECIPE = """\
name: mine
task:
  data: {from: ./x.npz, labels: none, normalize: none}
  metric: agreement
stages:
  - {use: load, name: float, from: ./m.onnx}
  - {use: quantize.static, name: int8, faster: false, keep: 2 points}
  - {use: convert.tflite, name: lite}
targets: []
"""


def eight(folder: Path) -> list[str]:
    """Scores and boxes of four levels, as of a detector; the scores come first."""
    nodes: list[Any] = []
    tensors: dict[str, Any] = {}
    weights = partial(made.weights, random=np.random.default_rng(1))
    last = "x"
    for level, channels in enumerate((3, 6, 6, 6)):
        tensors |= {f"w{level}": weights(6, channels, 3, 3), f"s{level}": 3 * weights(2, 6, 1, 1)}
        tensors |= {f"k{level}": weights(4, 6, 1, 1)}
        nodes += [
            node("Conv", [last, f"w{level}"], [f"c{level}"], pads=[1] * 4), node("Relu", [f"c{level}"], [f"r{level}"]),
            node("Conv", [f"r{level}", f"s{level}"], [f"l{level}"]), node("Sigmoid", [f"l{level}"], [f"score{level}"]),
            node("Conv", [f"r{level}", f"k{level}"], [f"box{level}"]),
        ]  # fmt: skip
        last = f"r{level}"
    names = [f"{kind}{level}" for kind in ("score", "box") for level in range(4)]
    values = [helper.make_tensor_value_info(name, FLOAT, ["n", 2 if name[0] == "s" else 4, 8, 8]) for name in names]
    save(folder, nodes, [helper.make_tensor_value_info("x", FLOAT, ["n", 3, 8, 8])], values, tensors)
    np.savez(folder / "x.npz", x=np.random.default_rng(0).integers(0, 256, (60, 3, 8, 8)).astype(np.uint8))
    return names


def two_to_three(folder: Path) -> list[str]:
    """A picture and numbers to a map, a vector of both, and one that is the same for every example."""
    weights = partial(made.weights, random=np.random.default_rng(1))
    tensors = {"w": weights(6, 3, 3, 3), "k": weights(2, 6, 1, 1), "v": weights(6, 5), "u": weights(4, 5), "o": [[0.0]]}
    nodes = [
        node("Conv", ["x", "w"], ["c"], pads=[1] * 4), node("Relu", ["c"], ["r"]), node("Conv", ["r", "k"], ["map"]),
        node("GlobalAveragePool", ["r"], ["p"]), node("Flatten", ["p"], ["f"]), node("Gemm", ["f", "v"], ["a"]),
        node("Gemm", ["more", "u"], ["b"]), node("Add", ["a", "b"], ["vector"]), node("Mul", ["vector", "o"], ["dead"]),
    ]  # fmt: skip
    sides = {"map": ["n", 2, 8, 8], "dead": ["n", 5], "vector": ["n", 5]}
    inputs = [helper.make_tensor_value_info("x", FLOAT, ["n", 3, 8, 8])]
    inputs.append(helper.make_tensor_value_info("more", FLOAT, ["n", 4]))
    outputs = [helper.make_tensor_value_info(name, FLOAT, axes) for name, axes in sides.items()]
    save(folder, nodes, inputs, outputs, tensors)
    random = np.random.default_rng(0)
    x = np.empty(60, [("x", np.uint8, (3, 8, 8)), ("more", np.float32, (4,))])
    x["x"], x["more"] = random.integers(0, 256, (60, 3, 8, 8)), random.uniform(-1, 1, (60, 4))
    np.savez(folder / "x.npz", x=x)
    return [*sides]


def save(folder: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], tensors: dict[str, Any]) -> None:
    stored = [onnx.numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in tensors.items()]
    graph = helper.make_graph(nodes, "made", inputs, outputs, stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), folder / "m.onnx")


@pytest.mark.parametrize("build", [eight, two_to_three])
def test_every_output_comes_through(build: Callable[[Path], list[str]], tmp_path: Path) -> None:
    names = build(tmp_path)
    (tmp_path / "mine.yaml").write_text(RECIPE)
    run = Engine(recipe.load(tmp_path / "mine.yaml"), Cache(tmp_path / "cache"))
    stages: list[StageFacts] = run.run(Quiet())
    source, int8, lite = stages
    for stage in stages:
        contract = metadata.read(Path(stage.files[0].path))
        assert [entry["name"] for entry in contract["outputs"]] == names
        assert contract["labels"] == []
        assert stage.files[0].scores["test"]["agreement"] > 0.98
        assert len(stage.files[0].resampled) == 1000
    assert source.files[0].scores["test"]["agreement"] == 1
    alive = [row for row in int8.notes["likeness"] if not row["constant"]]
    assert {row["group"] for row in alive} == {*names} - {"dead"}
    assert min(row["cosine"] for row in alive) > 0.999
    assert min(row["sqnr"] for row in lite.notes["likeness"]) > 60
    assert int8.notes["keep"][0]["missed"] == []
    assert any(line.startswith("SQNR of its outputs against float, worst first: ") for line in int8.summary or [])
    still = [line for line in source.warnings if line.startswith("gives the same for every test example as dead")]
    assert len(still) == ("dead" in names)


def test_an_output_that_is_never_finite_is_refused(tmp_path: Path) -> None:
    two_to_three(tmp_path)
    model = onnx.load(tmp_path / "m.onnx")
    zero = next(tensor for tensor in model.graph.initializer if tensor.name == "o")
    zero.CopyFrom(onnx.numpy_helper.from_array(np.float32([[np.nan]]), "o"))
    onnx.save(model, tmp_path / "m.onnx")
    (tmp_path / "mine.yaml").write_text(RECIPE)
    engine = Engine(recipe.load(tmp_path / "mine.yaml"), Cache(tmp_path / "cache"))
    with pytest.raises(UserError, match="no finite number as `dead` for any of") as caught:
        engine.run(Quiet())
    assert caught.value.problems[0].place is not None
    assert "`output: NAME`" in caught.value.problems[0].help
