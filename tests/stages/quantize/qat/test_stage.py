"""`quantize.aware`: what int8 lost comes back, in the same graph; nothing is kept that is no better."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from edgepress.config import recipe
from edgepress.core.errors import UserError
from edgepress.core.presets import PRESETS
from edgepress.data.dataset import Dataset, Split
from edgepress.data.load import load_dataset
from edgepress.engine.cache import Cache
from edgepress.engine.engine import Engine
from edgepress.models import checkpoint, metadata
from edgepress.models.description import Network
from edgepress.models.onnx import export
from edgepress.models.predict import predict
from edgepress.stage import Artifact
from edgepress.stages.convert import ConvertTflite
from edgepress.stages.quantize.aware import QuantizeAware
from edgepress.stages.quantize.division import divided
from edgepress.stages.quantize.qat.learner import Learner, check
from edgepress.stages.quantize.static import QuantizeStatic
from edgepress.training import Schedule, fit, seeded
from onnx import numpy_helper
from torch import nn
from torch.nn import functional

from tests.conftest import TINY, fresh
from tests.engine.test_engine import Quiet

Perform = Callable[..., Any]
QUICK = {
    "batch": 32, "views": 1, "flip": False, "shift": 0, "samples": 64, "ranges": "minmax", "improve": False,
}  # fmt: skip


def stage(**options: Any) -> QuantizeAware:
    return QuantizeAware.model_validate({"use": "quantize.aware"} | QUICK | options)


def plain(per_channel: bool) -> QuantizeStatic:
    """What the training begins with: integers without the improvements that need none."""
    given = {"samples": 64, "ranges": "minmax", "improve": False, "keep": None, "faster": False}
    return QuantizeStatic.model_validate({"use": "quantize.static", "per_channel": per_channel} | given)


def held(data: Dataset) -> Dataset:
    """The validation examples that decide."""
    x, y = data["validation"]
    rows = divided(len(y), 64)[1]
    return replace(data, splits={**data.splits, "validation": Split(x[rows], y[rows])})


def uneven(data: Dataset, folder: Path) -> Artifact:
    """A trained network whose channels differ in size by orders of magnitude, for which the next layer makes up."""
    with seeded(0):
        net = nn.Sequential(
            nn.Conv2d(1, 11, 3, padding=1), nn.ReLU(), nn.Conv2d(11, 19, 3, 2, 1), nn.ReLU(),
            nn.Conv2d(19, 24, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 10),
        )  # fmt: skip
    schedule = Schedule(epochs=8, batch=64, lr=0.02, flip=False, shift=0)
    folder.mkdir()
    fit(
        net, data, lambda z, y, rows: functional.cross_entropy(z, y), schedule,
        seed=0, checkpoint=folder / "checkpoint.pt", say=lambda *words: None,
    )  # fmt: skip
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for one, two in ((net[0], net[2]), (net[2], net[4])):
            assert isinstance(one, nn.Conv2d)
            assert isinstance(two, nn.Conv2d)
            assert one.bias is not None
            factors = torch.exp(2 * torch.randn(one.out_channels, generator=random))
            one.weight *= factors[:, None, None, None]
            one.bias *= factors
            two.weight /= factors[:, None, None]
    export.export(net, data, folder / "model.onnx")
    return Artifact("onnx", folder)


@pytest.fixture(scope="module")
def hard(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return uneven(digits, tmp_path_factory.mktemp("hard") / "net")


@pytest.fixture(scope="module")
def small(tiny: Network, few: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return exported(tiny, few, tmp_path_factory.mktemp("small"))


def exported(network: Network, data: Dataset, folder: Path, **options: Any) -> Artifact:
    export.export(checkpoint.load(fresh(network, data, folder).path)[0], data, folder / "model.onnx", **options)
    return Artifact("onnx", folder)


def arrays(path: Path) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}


def accuracy(path: Path, data: Dataset, split: str = "test") -> float:
    x, y = data[split]
    return float((predict(path, metadata.to_model_inputs(metadata.read(path), data, x)).argmax(1) == y).mean())


def test_it_wins_back_what_one_scale_for_uneven_channels_lost(
    hard: Artifact, digits: Dataset, perform: Perform
) -> None:
    artifact, made = perform(stage(per_channel=False), {"input": hard}, digits)
    reached = made.notes["x86"]
    assert made.notes["x86"]["kept"] == "trained"
    assert reached["static"] < made.notes["float"] - 25, "the case is hard"
    assert reached["trained"] > reached["static"] + 25
    assert artifact.presets == {"x86": "model.x86.onnx", "xnnpack": "model.xnnpack.onnx"}
    assert accuracy(artifact.preset("xnnpack"), held(digits), "validation") == pytest.approx(reached["trained"] / 100)
    static, _ = perform(
        plain(False),
        {"input": hard},
        digits,
    )
    assert accuracy(static.preset("xnnpack"), held(digits), "validation") == pytest.approx(reached["static"] / 100)
    assert accuracy(artifact.preset("xnnpack"), digits) > accuracy(static.preset("xnnpack"), digits) + 0.2


def test_the_graph_is_that_of_the_static_stage_with_other_numbers(
    hard: Artifact, digits: Dataset, perform: Perform
) -> None:
    artifact, made = perform(stage(per_channel=False), {"input": hard}, digits)
    assert made.notes["x86"]["kept"] == "trained"
    static, _ = perform(plain(False), {"input": hard}, digits)
    for preset in ("xnnpack", "x86"):
        one, two = (onnx.load(each.preset(preset)) for each in (artifact, static))
        assert [n.SerializeToString() for n in one.graph.node] == [n.SerializeToString() for n in two.graph.node]
        assert metadata.read_onnx(one) == metadata.read_onnx(two)
        mine, theirs = arrays(artifact.preset(preset)), arrays(static.preset(preset))
        assert {k: (v.dtype, v.shape) for k, v in mine.items()} == {k: (v.dtype, v.shape) for k, v in theirs.items()}
        zero = [name for name in mine if "zero_point" in name]
        assert all(np.array_equal(mine[name], theirs[name]) for name in zero), "zero points stay"
        assert sum(not np.array_equal(mine[name], theirs[name]) for name in mine) > len(mine) / 2


def test_a_biases_scale_is_the_product_of_its_layers(hard: Artifact, digits: Dataset, perform: Perform) -> None:
    """Integer kernels add it to the products without looking at its own scale."""
    artifact, _ = perform(stage(per_channel=True), {"input": hard}, digits)
    model, found = onnx.load(artifact.preset("xnnpack")), arrays(artifact.preset("xnnpack"))
    makers = {node.output[0]: node for node in model.graph.node}
    layers = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    for layer in layers:
        given, kernel, bias = (found[makers[name].input[1]] for name in layer.input)
        np.testing.assert_allclose(bias, given * kernel, rtol=1e-5)
    assert len(layers) == 4


def test_the_tflite_file_answers_as_the_int8_graph(hard: Artifact, digits: Dataset, perform: Perform) -> None:
    artifact, _ = perform(stage(per_channel=False), {"input": hard}, digits)
    converted, made = perform(ConvertTflite.model_validate({"use": "convert.tflite"}), {"input": artifact}, digits)
    assert made.notes == {"precision": "xnnpack"}
    x = digits["test"].x[:120]
    expected = predict(artifact.preset("xnnpack"), digits.to_model_inputs(x))
    found = predict(converted.path, digits.to_model_inputs(x))
    scale = float(arrays(artifact.preset("xnnpack"))["output_scale"])
    steps = np.rint(np.abs(found - expected) / scale)
    assert (steps == 0).mean() > 0.95
    assert steps.max() <= 2


def test_what_is_no_better_is_not_kept(small: Artifact, few: Dataset, perform: Perform) -> None:
    artifact, made = perform(stage(epochs=0), {"input": small}, few)
    static, _ = perform(plain(True), {"input": small}, few)
    assert made.notes["x86"]["kept"] == "static"
    assert made.notes["x86"]["static"] >= made.notes["x86"]["trained"]
    for preset in ("x86", "xnnpack"):
        assert artifact.preset(preset).read_bytes() == static.preset(preset).read_bytes()


@pytest.mark.parametrize(
    ("presets", "expected"), [(("xnnpack",), ["xnnpack"]), (("x86",), ["x86", "xnnpack"]), ((), ["xnnpack"])], ids=str
)
def test_presets(
    presets: tuple[str, ...], expected: list[str], small: Artifact, few: Dataset, perform: Perform
) -> None:
    artifact, _ = perform(stage(epochs=1), {"input": small}, few, presets=presets)
    assert list(artifact.presets) == expected


class Killed(Exception):
    pass


def test_killed_and_resumed_it_comes_to_the_same_bytes(
    hard: Artifact, few: Dataset, context: Callable[..., Any]
) -> None:
    options, seen = stage(per_channel=False), list[tuple[str, int]]()

    def stop(done: int, total: int, words: str) -> None:
        if "epoch 3" in words:
            raise Killed

    whole, again = context(few), context(few, say=stop)
    options.run({"input": hard}, whole)
    with pytest.raises(Killed):
        options.run({"input": hard}, again)
    assert (again.scratch / "x86.pt").is_file()
    assert not list(again.folder.iterdir())
    options.run({"input": hard}, replace(again, say=lambda done, total, words: seen.append((words, done))))
    assert min(done for words, done in seen if words.startswith("x86: epoch")) == 7, (
        "two epochs of three steps are not done again"
    )
    for one, two in ((whole.scratch, again.scratch), (whole.folder, again.folder)):
        files = sorted(path.name for path in one.glob("*.onnx"))
        assert len(files) == 2
        assert all((one / file).read_bytes() == (two / file).read_bytes() for file in files)


def test_a_graph_with_its_own_normalisation_and_softmax(
    tiny: Network, digits: Dataset, tmp_path: Path, perform: Perform
) -> None:
    data = digits.limited(256)
    logits = exported(tiny, data, tmp_path / "logits")
    whole = exported(tiny, data, tmp_path / "whole", embed=["normalize", "softmax"], raw=True)
    artifact, made = perform(stage(epochs=2, kd_weight=1.0, lr=0.003), {"input": whole}, data)
    contract = metadata.read(artifact.path)
    assert contract["outputs"][0]["meaning"] == "probabilities"
    assert contract["inputs"][0]["dtype"] == "uint8"
    assert made.notes["float"] == pytest.approx(100 * accuracy(logits.path, held(data), "validation"), abs=1)
    learner = Learner(onnx.load(artifact.preset("xnnpack")), onnx.load(whole.path), data)
    assert check(learner, onnx.load(artifact.preset("xnnpack")), data) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("per_channel", [True, False])
def test_it_answers_more_like_the_float_model(
    tiny: Network, digits: Dataset, tmp_path: Path, perform: Perform, per_channel: bool
) -> None:
    """Without labels nothing but the float model's answers is learnt."""
    source = exported(tiny, digits, tmp_path / "net")
    options = {"per_channel": per_channel, "kd_weight": 1.0, "epochs": 3}
    trained, made = perform(stage(**options), {"input": source}, digits)
    static = plain(per_channel)
    before, _ = perform(static, {"input": source}, digits)
    x = digits.to_model_inputs(digits["test"].x)
    expected = predict(source.path, x)
    far = [np.abs(predict(each.preset("xnnpack"), x) - expected).mean() for each in (trained, before)]
    if made.notes["x86"]["kept"] == "trained":
        assert far[0] < far[1]
    else:
        assert far[0] == far[1]


def test_test_images_decide_nothing(hard: Artifact, digits: Dataset, perform: Perform) -> None:
    data = digits.limited(200)
    x, y = data["test"]
    other = replace(data, splits={**data.splits, "test": Split(x[::-1].copy(), (y + 1) % 10)})
    one, two = (perform(stage(epochs=1, per_channel=False), {"input": hard}, each)[0] for each in (data, other))
    assert one.path.read_bytes() == two.path.read_bytes()


def test_a_rate_that_is_too_high_is_told(small: Artifact, few: Dataset, perform: Perform) -> None:
    with pytest.raises(UserError, match="not a number in epoch 1") as error:
        perform(stage(lr=1e20), {"input": small}, few)
    assert "lower `lr" in error.value.problems[0].help


def test_a_quantized_graph_is_refused(small: Artifact, few: Dataset, tmp_path: Path, perform: Perform) -> None:
    once, _ = perform(stage(epochs=0), {"input": small}, few)
    (tmp_path / "model.onnx").write_bytes(once.path.read_bytes())
    with pytest.raises(UserError, match="quantized already"):
        perform(stage(), {"input": Artifact("onnx", tmp_path)}, few)


def test_answers_that_are_no_numbers_are_told(small: Artifact, few: Dataset, tmp_path: Path, perform: Perform) -> None:
    model = onnx.load(small.path)
    kernel = next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 4)
    kernel.CopyFrom(numpy_helper.from_array(np.full(kernel.dims, np.nan, np.float32), kernel.name))
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(UserError, match="holds values that are infinite or no numbers"):
        perform(stage(), {"input": Artifact("onnx", tmp_path)}, few)


def test_a_graph_that_torch_computes_otherwise_is_told(
    small: Artifact, few: Dataset, perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgepress.stages.quantize.qat.operators import OPERATORS

    monkeypatch.setitem(OPERATORS, "Relu", lambda attributes, x: x + 1)
    monkeypatch.setitem(OPERATORS, "MaxPool", lambda attributes, x: x[:, :, ::2, ::2] - 1)
    with pytest.raises(UserError, match="torch and onnxruntime differ on this graph") as error:
        perform(stage(), {"input": small}, few)
    assert "quantize.static" in error.value.problems[0].help


@pytest.mark.parametrize(
    ("name", "network"),
    [("sensor", "conv1d"), ("sensor", "attention"), ("text", "text"), ("recommend", "two-tower")],
    ids=str,
)
def test_other_inputs_and_tasks(name: str, network: str, tmp_path: Path, perform: Perform) -> None:
    """Signals, tokens and two inputs, from ONNX to TFLite."""
    found = load_dataset(name).limited(64)
    source = exported(Network(arch=f"edgepress/{network}"), found, tmp_path / "net")
    artifact, made = perform(stage(epochs=1), {"input": source}, found)
    assert set(made.notes["x86"]) == {"kept", "static", "trained"}
    converted, _ = perform(ConvertTflite.model_validate({"use": "convert.tflite"}), {"input": artifact}, found)
    x = found.to_model_inputs(found["test"].x)
    expected, answers = predict(artifact.preset("xnnpack"), x), predict(converted.path, x)
    assert np.abs(expected - answers).mean() < 0.02 * np.abs(expected).max()


def test_a_recipe_has_it_like_any_other_quantizer(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "name: mine\ntask: {data: digits, seed: 0}\ntargets: []\nstages:\n"
        f"  - {{use: train, name: net, model: {json.dumps(TINY)}, epochs: 1, batch: 64}}\n"
        "  - {use: export.onnx, name: float}\n"
        "  - {use: quantize.aware, name: int8, epochs: 1}\n"
        "  - {use: convert.tflite}\n"
    )
    engine = Engine(recipe.load(tmp_path / "mine.yaml"), Cache(tmp_path / "cache"), limit=64)
    _, floats, int8, tflite = engine.run(Quiet())
    assert all(each["kept"] in ("trained", "static") for name, each in int8.notes.items() if name in PRESETS)
    assert max(file.bytes for file in int8.files) < 0.6 * floats.files[0].bytes
    assert {file.precision for file in int8.files} <= set(PRESETS)
    assert {file.precision for file in tflite.files} == {"xnnpack"}


def test_processors_whose_integers_are_others_have_a_training_of_their_own(
    hard: Artifact, digits: Dataset, perform: Perform
) -> None:
    """Weights of 7 bits, zero points of 0, integers to the ends: each is better than before, in its own form."""
    presets = ("x86-avx2", "tensorrt", "integer-only")
    artifact, made = perform(stage(per_channel=False), {"input": hard}, digits, presets=presets)
    assert list(artifact.presets) == [*presets, "xnnpack"]
    assert {name for name in made.notes if name not in ("float", "ladder")} == {"x86-avx2", "tensorrt", "integer-only"}
    for name in ("x86-avx2", "tensorrt", "integer-only"):
        assert made.notes[name]["kept"] == "trained", name
    kernels = [v for v in arrays(artifact.preset("x86-avx2")).values() if v.dtype == np.int8 and v.ndim > 1]
    assert len(kernels) == 4
    assert max(int(np.abs(each.astype(int)).max()) for each in kernels) == 64
    zeros = [v for k, v in arrays(artifact.preset("tensorrt")).items() if "zero_point" in k]
    assert not any(each.any() for each in zeros)
    graph = onnx.load(artifact.preset("integer-only")).graph
    assert {each.type.tensor_type.elem_type for each in (*graph.input, *graph.output)} == {onnx.TensorProto.INT8}
