"""Integers in the graph: two presets with one meaning, near the float model; what cannot be quantized is told."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from edgepress.core.errors import UserError
from edgepress.core.machine import machine
from edgepress.core.metrics import METRICS
from edgepress.core.presets import saturates
from edgepress.data.dataset import Dataset
from edgepress.models import checkpoint, metadata
from edgepress.models.description import Network
from edgepress.models.ensemble import Ensemble
from edgepress.models.onnx import export
from edgepress.models.onnx.importer import adopt
from edgepress.models.predict import predict
from edgepress.stages.quantize.division import divided
from edgepress.stages.quantize.ptq import Options, quantize_dynamic, quantize_static
from onnx import numpy_helper

from tests import graphs
from tests.conftest import fresh


@pytest.fixture(scope="module")
def network(digits: Dataset, tiny: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("network")
    export.export(checkpoint.load(fresh(tiny, digits, folder).path)[0], digits, folder / "model.onnx")
    return folder / "model.onnx"


def static(source: Path, data: Dataset, folder: Path, **options: Any) -> dict[str, str]:
    presets = options.pop("presets", ("x86", "xnnpack"))
    given = {"samples": 32, "ranges": "minmax", "improve": False, "keep": None, "faster": False}
    chosen = Options(**(given | options))
    return quantize_static(source, data, METRICS["accuracy"], folder, presets=presets, options=chosen)[0]


def scales(path: Path) -> dict[str, Any]:
    """Scale of every tensor that is quantized, by the name that the QuantizeLinear or DequantizeLinear gives."""
    model = onnx.load(path)
    tensors = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    marks = ("QuantizeLinear", "DequantizeLinear")
    return {node.output[0]: tensors[node.input[1]].tolist() for node in model.graph.node if node.op_type in marks}


def zero_points(path: Path) -> dict[str, Any]:
    model = onnx.load(path)
    tensors = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    return {node.output[0]: tensors[node.input[2]] for node in model.graph.node if node.op_type == "QuantizeLinear"}


def test_the_unsigned_twin_means_the_same(network: Path, digits: Dataset, tmp_path: Path) -> None:
    """Same scales, zero points 128 apart, weights untouched, and the same answers up to a rounding of the output."""
    files = static(network, digits, tmp_path)
    assert files == {"x86": "model.x86.onnx", "xnnpack": "model.xnnpack.onnx"}
    x86, xnnpack = (tmp_path / files[name] for name in ("x86", "xnnpack"))
    assert scales(x86) == scales(xnnpack)
    unsigned, signed = zero_points(x86), zero_points(xnnpack)
    assert unsigned.keys() == signed.keys()
    for name, zero in unsigned.items():
        assert zero.dtype == np.uint8
        assert signed[name].dtype == np.int8
        assert int(zero) == int(signed[name]) + 128
    weights = [
        {t.name: t.raw_data for t in onnx.load(path).graph.initializer if len(t.dims) > 1} for path in (x86, xnnpack)
    ]
    assert weights[0] == weights[1]

    x, cut = digits.input.to_model_inputs(digits["test"].x[:100]), saturates(machine())
    one, two = predict(x86, x, kernels="none" if cut else "usual"), predict(xnnpack, x)
    steps = np.abs(one - two) / scales(xnnpack)["output"]
    if cut:
        assert steps.max() < 6, "a value on the edge of two integers may fall either way, in each layer"
        assert (steps < 0.5).mean() > 0.95
        assert (one.argmax(1) == two.argmax(1)).mean() > 0.98
    else:
        assert not steps.any(), "integer kernels compute the same integers, signed or not"


def test_near_the_float_model(network: Path, digits: Dataset, tmp_path: Path) -> None:
    static(network, digits, tmp_path)
    x = digits.input.to_model_inputs(digits["test"].x[:100])
    expected, found = predict(network, x), predict(tmp_path / "model.xnnpack.onnx", x)
    assert 20 * np.log10(np.linalg.norm(expected) / np.linalg.norm(expected - found)) > 20
    assert (tmp_path / "model.xnnpack.onnx").stat().st_size < 0.6 * network.stat().st_size


@pytest.mark.parametrize(
    ("presets", "expected"),
    [
        (("x86", "xnnpack"), ["x86", "xnnpack"]),
        (("xnnpack", "x86"), ["xnnpack", "x86"]),
        (("x86",), ["x86", "xnnpack"]),
        (("xnnpack",), ["xnnpack"]),
        ((), ["xnnpack"]),
    ],
    ids=str,
)
def test_presets_come_in_the_order_asked_and_tflite_has_its_own(
    presets: tuple[str, ...], expected: list[str], few: Dataset, tmp_path: Path
) -> None:
    onnx.save(graphs.small(), tmp_path / "g.onnx")
    adopt(tmp_path / "g.onnx", few, tmp_path / "model.onnx")
    files = static(tmp_path / "model.onnx", few, tmp_path, presets=presets)
    assert list(files) == expected
    assert sorted(path.name for path in tmp_path.glob("model.*.onnx")) == sorted(files.values())
    for name in files.values():
        assert metadata.read(tmp_path / name) == metadata.read(tmp_path / "model.onnx")


def test_the_same_bytes_each_time(few: Dataset, tmp_path: Path) -> None:
    onnx.save(graphs.small(), tmp_path / "g.onnx")
    adopt(tmp_path / "g.onnx", few, tmp_path / "model.onnx")
    found = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        static(tmp_path / "model.onnx", few, tmp_path / name)
        found.append([(tmp_path / name / file).read_bytes() for file in ("model.x86.onnx", "model.xnnpack.onnx")])
    assert found[0] == found[1]


@pytest.mark.parametrize("ranges", ["minmax", "percentile", "entropy", "mse"])
@pytest.mark.parametrize("per_channel", [True, False])
def test_every_way_to_take_ranges(ranges: str, per_channel: bool, few: Dataset, tmp_path: Path) -> None:
    onnx.save(graphs.small(), tmp_path / "g.onnx")
    adopt(tmp_path / "g.onnx", few, tmp_path / "model.onnx")
    static(tmp_path / "model.onnx", few, tmp_path, ranges=ranges, per_channel=per_channel, samples=16)
    x = few.input.to_model_inputs(few["test"].x[:20])
    expected, found = predict(tmp_path / "model.onnx", x), predict(tmp_path / "model.xnnpack.onnx", x)
    assert np.abs(expected - found).max() < 0.15 * np.abs(expected).max()
    kernel = next(np.asarray(v) for v in scales(tmp_path / "model.xnnpack.onnx").values() if np.ndim(v) == per_channel)
    assert kernel.size == (4 if per_channel else 1)


def test_ranges_come_from_validation_images_spread_over_the_split(few: Dataset, tmp_path: Path) -> None:
    """Not from the test images, nor from the training images; more samples than there are leave some to decide."""
    onnx.save(graphs.small(), tmp_path / "g.onnx")
    adopt(tmp_path / "g.onnx", few, tmp_path / "model.onnx")

    def found(data: Dataset, samples: int) -> bytes:
        static(tmp_path / "model.onnx", data, tmp_path, samples=samples)
        return (tmp_path / "model.xnnpack.onnx").read_bytes()

    ten = divided(len(few["validation"].y), 10)[0]
    black = few["validation"]._replace(x=few["validation"].x.copy())
    black.x[np.setdiff1d(np.arange(len(black.x)), ten)] = 0
    tail = replace(few, splits=few.splits | {"validation": black})
    others = few.splits | {name: few[name]._replace(x=few[name].x // 9) for name in ("train", "test")}
    assert found(few, 10) == found(tail, 10)
    assert found(few, 10) == found(replace(few, splits=others), 10)
    assert found(few, 72) == found(few, 10**6)
    assert found(few, 72) != found(tail, 72)


def test_a_quantized_graph_is_refused(few: Dataset, tmp_path: Path) -> None:
    onnx.save(graphs.small(), tmp_path / "g.onnx")
    adopt(tmp_path / "g.onnx", few, tmp_path / "model.onnx")
    static(tmp_path / "model.onnx", few, tmp_path)
    quantize_dynamic(tmp_path / "model.onnx", tmp_path / "dynamic.onnx", per_channel=True)
    for name in ("model.x86.onnx", "model.xnnpack.onnx", "dynamic.onnx"):
        with pytest.raises(UserError, match="quantized already") as error:
            static(tmp_path / name, few, tmp_path)
        assert "input:" in error.value.problems[0].help
        with pytest.raises(UserError, match="quantized already"):
            quantize_dynamic(tmp_path / name, tmp_path / "again.onnx", per_channel=True)


@pytest.mark.parametrize("ranges", ["minmax", "percentile", "entropy"])
def test_a_graph_whose_answers_are_no_numbers_is_told(ranges: str, few: Dataset, tmp_path: Path) -> None:
    onnx.save(graphs.small(spoilt=True), tmp_path / "g.onnx")
    adopt(tmp_path / "g.onnx", few, tmp_path / "model.onnx")
    said = r"the weight `k1` of `\w+` \(Conv\) holds values that are infinite or no numbers"
    with pytest.raises(UserError, match=said):
        static(tmp_path / "model.onnx", few, tmp_path, ranges=ranges)
    with pytest.raises(UserError, match=said):
        quantize_dynamic(tmp_path / "model.onnx", tmp_path / "dynamic.onnx", per_channel=True)


def test_images_that_are_no_numbers_are_told(few: Dataset, tmp_path: Path) -> None:
    onnx.save(graphs.small(), tmp_path / "g.onnx")
    adopt(tmp_path / "g.onnx", few, tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    contract = metadata.read_onnx(model)
    contract["inputs"][0]["mean"] = [float("nan")]
    metadata.embed(model, contract)
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(UserError, match="not numbers"):
        static(tmp_path / "model.onnx", few, tmp_path)


def test_dynamic_makes_the_matrix_products_integers_and_leaves_the_rest(few: Dataset, tmp_path: Path) -> None:
    onnx.save(graphs.small(), tmp_path / "g.onnx")
    adopt(tmp_path / "g.onnx", few, tmp_path / "model.onnx")
    quantize_dynamic(tmp_path / "model.onnx", tmp_path / "dynamic.onnx", per_channel=True)
    operators = [node.op_type for node in onnx.load(tmp_path / "dynamic.onnx").graph.node]
    assert operators.count("MatMulInteger") == 1
    assert operators.count("Conv") == 2
    x = few.input.to_model_inputs(few["test"].x[:20])
    expected, found = predict(tmp_path / "model.onnx", x), predict(tmp_path / "dynamic.onnx", x)
    assert np.abs(expected - found).max() < 0.03 * np.abs(expected).max()
    assert metadata.read(tmp_path / "dynamic.onnx") == metadata.read(tmp_path / "model.onnx")


def test_dynamic_without_a_matrix_product_is_told(few: Dataset, tmp_path: Path) -> None:
    model = graphs.small()
    del model.graph.node[-1]
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("m", onnx.TensorProto.FLOAT, (1, 8)))
    metadata.embed(model, metadata.describe(few))
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(UserError, match="no matrix product") as error:
        quantize_dynamic(tmp_path / "m.onnx", tmp_path / "d.onnx", per_channel=True)
    assert "quantize.static" in error.value.problems[0].help


def test_the_callers_logging_stays_as_it_was(few: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx.save(graphs.small(), tmp_path / "g.onnx")
    adopt(tmp_path / "g.onnx", few, tmp_path / "model.onnx")
    monkeypatch.setattr(logging.getLogger(), "level", logging.INFO)
    static(tmp_path / "model.onnx", few, tmp_path)
    assert logging.getLogger().level == logging.INFO


def test_an_ensembles_probabilities_stay_float(digits: Dataset, tiny: Network, tmp_path: Path) -> None:
    members = [checkpoint.load(fresh(tiny, digits, tmp_path).path)[0] for _ in range(2)]
    for member in members:
        for weight in list(member.parameters())[-2:]:
            weight.data *= 200  # so sure of itself that most classes are less likely than 1/256
    export.export(Ensemble(members, [0.5, 0.5]), digits, tmp_path / "model.onnx")
    files = static(tmp_path / "model.onnx", digits, tmp_path)
    x = digits.input.to_model_inputs(digits["test"].x[:64])
    expected = predict(tmp_path / "model.onnx", x)
    for name in files.values():
        found = predict(tmp_path / name, x)
        assert np.isfinite(found).all()
        assert (found.argmax(1) == expected.argmax(1)).mean() > 0.9
