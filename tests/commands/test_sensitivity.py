"""`why --sensitivity`: the operator that loses most as integers is named first, in text, JSON and on the page."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from edgepress.commands.why import compared, origin, values
from edgepress.commands.why.layers import layers
from edgepress.core.errors import UserError
from edgepress.gate.report.page.render import render
from onnx import TensorProto, helper, numpy_helper

from tests.conftest import edgepress
from tests.gate.report.test_page import Page
from tests.gate.report.test_text import FINDINGS, MEASURED, STAGES, report

SHAPE = (1, 4, 12, 12)
RUN = Path(__file__).parents[1] / "bench" / "run.json"


def network(path: Path, *, outlier: float) -> Path:
    """Three convolutions and a head. `outlier` is the weight with which `second` takes a channel that is always 0.

    It moves no output, and takes the bits of the layer's other weights where they have one scale.
    """
    random = np.random.default_rng(5)

    def weight(name: str, *shape: int, scale: float = 0.3) -> TensorProto:
        return numpy_helper.from_array(random.normal(0, scale, shape).astype(np.float32), name)

    first, second = numpy_helper.to_array(weight("", 8, 4, 3, 3)), numpy_helper.to_array(weight("", 8, 8, 3, 3)).copy()
    bias = np.full(8, 0.1, np.float32)
    bias[0] = -100.0  # behind the Relu the first channel is 0
    second[:, 0] = outlier
    tensors = [
        numpy_helper.from_array(first, "first.weight"), numpy_helper.from_array(bias, "first.bias"),
        numpy_helper.from_array(second, "second.weight"), weight("third.weight", 8, 8, 3, 3),
        weight("head.weight", 8, 5),
    ]  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "first.weight", "first.bias"], ["a"], "first", pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["b"], "first_relu"),
        helper.make_node("Conv", ["b", "second.weight"], ["c"], "second", pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["d"], "second_relu"),
        helper.make_node("Conv", ["d", "third.weight"], ["e"], "third", pads=[1] * 4),
        helper.make_node("Relu", ["e"], ["f"], "third_relu"),
        helper.make_node("GlobalAveragePool", ["f"], ["g"], "pool"),
        helper.make_node("Flatten", ["g"], ["h"], "flatten"),
        helper.make_node("MatMul", ["h", "head.weight"], ["y"], "head"),
    ]
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("x", SHAPE), ("y", (1, 5)))
    ]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def quantized(source: Path, path: Path, *exclude: str) -> Path:
    """Quantize by onnxruntime alone, with one scale for a weight: a file that edgepress has not made."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rows = iter(np.random.default_rng(0).normal(size=(16, *SHAPE)).astype(np.float32))

        def get_next(self) -> Any:
            row = next(self.rows, None)
            return None if row is None else {"x": row}

    quantize_static(
        str(source), str(path), Reader(), quant_format=QuantFormat.QDQ, per_channel=False,
        weight_type=QuantType.QInt8, activation_type=QuantType.QInt8, nodes_to_exclude=list(exclude),
    )  # fmt: skip
    return path


pytestmark = pytest.mark.xdist_group("sensitivity")
"""One worker makes the files."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("bad")
    whole = network(folder / "float.onnx", outlier=60.0)
    return whole, quantized(whole, folder / "int8.onnx")


def sqnr(path: Path, source: Path) -> float:
    """The SQNR of a file's outputs, by onnxruntime alone."""
    columns = (np.random.default_rng(1).normal(size=(16, *SHAPE[1:])).astype(np.float32),)
    rows = [list(values.values(onnx.load(file), columns)) for file in (source, path)]
    expected, found = (np.concatenate([row[0] for row in part]) for part in rows)
    return float(10 * np.log10((expected**2).sum() / ((found - expected) ** 2).sum()))


def test_the_bad_layer_is_named_first_and_its_return_to_float_shows_why(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    whole, integers = files
    alone = quantized(whole, tmp_path / "returned.onnx", "second")
    assert sqnr(alone, whole) - sqnr(integers, whole) >= 6, "int8 loses that much by this layer alone"
    healthy = network(tmp_path / "healthy.onnx", outlier=0.3)
    assert sqnr(quantized(healthy, tmp_path / "q.onnx"), healthy) - sqnr(integers, whole) >= 6
    found = compared.explained(integers, layers(integers), whole, tmp_path)
    worst, *others = found.operators
    assert worst.node == "second"
    assert worst.gain >= 6
    assert all(row.gain < 2 for row in others)
    assert worst.alone.sqnr == min(row.alone.sqnr for row in found.operators)
    assert {row.node for row in found.operators} >= {"first", "second", "third", "head"}
    said = compared.text(found)
    assert "first: return to float: `second` (Conv, +" in said
    page = Page(render(report(STAGES, MEASURED), FINDINGS, why=found))
    assert "First: return to float: second (Conv, +" in page.text


def test_by_itself_and_in_the_whole_file(files: tuple[Path, Path], tmp_path: Path) -> None:
    whole, integers = files
    found = {row.node: row for row in compared.explained(integers, layers(integers), whole, tmp_path).operators}
    assert 0 <= found["first"].alone.sqnr - found["first"].cumulative.sqnr < 6, "only the input is before it"
    assert found["third"].alone.sqnr > found["third"].cumulative.sqnr + 6, "what it gets is wrong already"
    assert 0.9 < (found["third"].alone.cosine or 0) <= 1
    assert found["third"].alone.sqnr > 30, "the Relu that int8 has by its range is no error"


@pytest.mark.slow
def test_text_and_json_of_the_command(files: tuple[Path, Path]) -> None:
    whole, integers = files
    said = edgepress("why", integers, "--sensitivity", "--float", whole)
    assert said.code == 0, said.err
    assert "int8.onnx against float.onnx on 8 random inputs" in said.out
    assert "first: return to float: `second`" in said.out
    said = edgepress("why", integers, "--sensitivity", "--float", whole, "--json")
    rows = json.loads(said.out)["operators"]
    assert rows[0]["node"] == "second"
    assert [row["gain"] for row in rows] == sorted((row["gain"] for row in rows), reverse=True)


@pytest.mark.slow
def test_files_that_are_no_pair_are_refused(files: tuple[Path, Path], tmp_path: Path) -> None:
    whole, integers = files
    said = edgepress("why", integers, "--sensitivity")
    assert said.code == 2
    assert "no run is known that made" in said.err
    assert "name it: `--float FILE`" in said.err
    assert edgepress("why", integers, "--json").code == 2
    for first, second, words in (
        (whole, whole, "has no int8 activations"),
        (integers, integers, "is quantized, and no float model"),
        (integers, other(tmp_path / "other.onnx"), "takes other inputs than"),
    ):
        with pytest.raises(UserError, match=words):
            compared.explained(first, layers(first), second, tmp_path)


def other(path: Path) -> Path:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 3)) for name in ("z", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["z"], ["y"])], "g", values[:1], values[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize(
    ("ladder", "is_noted"),
    [
        ([{"step": "ranges: mse", "kept": True}, {"step": "equalisation", "kept": True}], True),
        ([{"step": "equalisation of groups", "kept": True}], True),
        ([{"step": "equalisation", "kept": False}], False),
        (["equalisation"], False),
        (None, False),
    ],
)
def test_equalized_layers_are_noted(ladder: Any, is_noted: bool) -> None:
    """Their channels have other scales than in the float file, so that a single one of them cannot return."""
    stage = STAGES[2].model_copy(update={"notes": {"ladder": ladder}})
    made_by = origin.Origin(report(STAGES, []), stage, Path())
    assert ("cross-layer equalization was kept" in origin.remark(made_by)) == is_noted
    assert origin.remark(None) == ""


@pytest.mark.slow
def test_ranges_of_files_that_are_no_pair_are_refused(files: tuple[Path, Path], tmp_path: Path) -> None:
    said = edgepress("why", files[1], "--ranges", "--float", other(tmp_path / "other.onnx"))
    assert said.code == 2
    assert "takes other inputs than" in said.err


@pytest.mark.parametrize("named", ["from its folder", "by a link", "in full"])
def test_the_folder_of_a_run_is_that_of_its_report(named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "runs" / "mine"
    model, link = home / "models" / "int8.onnx", tmp_path / "here" / "link.onnx"
    for path in (model, link):
        path.parent.mkdir(parents=True)
    model.write_bytes(b"model")
    link.symlink_to(model)
    facts = json.loads(RUN.read_text(encoding="utf-8"))
    facts["stages"][-1]["files"][0]["sha256"] = hashlib.sha256(b"model").hexdigest()
    (home / "report.json").write_text(json.dumps(facts))
    monkeypatch.chdir(model.parent)
    made_by = origin.origin_of({"from its folder": Path(model.name), "by a link": link, "in full": model}[named])
    assert made_by
    assert made_by.folder == home.resolve()


@pytest.mark.parametrize("words", ["./mine.py:load", r'"./mine.\x70y:load"', r'{from: "./mine\u002epy:load"}'])
def test_code_that_a_report_names_does_not_run(words: str, tmp_path: Path) -> None:
    stages = "[{use: train, model: {arch: edgepress/mlp}, epochs: 1}, {use: export.onnx}]"
    recipe, ran = tmp_path / "recipe.yaml", tmp_path / "ran"
    recipe.write_text(f"name: mine\ntask: {{data: digits}}\nstages: {stages}\n")
    (tmp_path / "mine.py").write_text(f"open({str(ran)!r}, 'w')\ndef load(): ...\n")
    found = report(STAGES, [], source=str(recipe), data={"set": ["task.seed=1", f"task.data={words}"]})
    with pytest.raises(UserError, match=r"sets `\./mine\.py:load`, which is code"):
        origin.inputs_of(origin.Origin(found, STAGES[2], tmp_path), [], tmp_path / "cache")
    assert not ran.exists()
