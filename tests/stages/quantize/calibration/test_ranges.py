"""Ranges of activations: those of onnxruntime's calibrators, in memory that the number of examples does not change."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import pytest
from edgepress.core.errors import UserError
from edgepress.data.dataset import Dataset, Split
from edgepress.models import metadata
from edgepress.stages.quantize.calibration import ranges
from edgepress.stages.quantize.calibration.examples import prepared
from edgepress.stages.quantize.calibration.histograms import HALF, VALUES, Histogram, sample
from edgepress.stages.quantize.calibration.range_estimators import BINS, CLIPS
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import calibrate

from tests import graphs

OTHERS = {
    "minmax": (calibrate.MinMaxCalibrater, {}),
    "percentile": (calibrate.PercentileCalibrater, {"num_bins": 2048}),
    "entropy": (calibrate.EntropyCalibrater, {"num_bins": BINS, "num_quantized_bins": 128}),
}


@pytest.fixture(scope="module")
def examples() -> np.ndarray:
    """Of heavy tails, so that the ways differ."""
    return np.random.default_rng(0).standard_t(4, (200, 1, 8, 8)).astype(np.float32)


def theirs(model: onnx.ModelProto, x: np.ndarray, method: str, folder: Path, symmetric: bool) -> dict[str, Any]:
    """Activation → (low, high) by onnxruntime's calibrator."""
    onnx.save(model, folder / "m.onnx")
    feeds = iter([{"x": row[None]} for row in x])

    class Reader(calibrate.CalibrationDataReader):
        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(feeds, None)

    kind, options = OTHERS[method]
    made = kind(folder / "m.onnx", augmented_model_path=str(folder / "a.onnx"), symmetric=symmetric, **options)
    made.augment_graph()
    made.create_inference_session()
    made.collect_data(Reader())
    found = made.compute_data()
    return {name: tuple(map(float, np.array(data.range_value).ravel())) for name, data in found.items()}


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("method", ["minmax", "percentile"])
def test_as_onnxruntime_has_it(method: str, symmetric: bool, examples: np.ndarray, tmp_path: Path) -> None:
    """The same extremes, and otherwise within a bin of its histograms."""
    model = graphs.small()
    found = ranges.ranges(model, (examples,), methods=[method], symmetric=symmetric)[method]
    expected = theirs(model, examples, method, tmp_path, symmetric)
    extremes = ranges.ranges(model, (examples,), methods=["minmax"])["minmax"]
    assert list(found) == ["x", "c1", "r1", "c2", "m", "y"]
    assert found.keys() == expected.keys()
    for name, (low, high) in found.items():
        lowest, highest = extremes[name]
        largest = max(-lowest, highest)
        width = {"minmax": 2e-7 * largest, "percentile": largest / 1024}[method]
        if symmetric:
            assert low == -high
        ends = np.array([low, high])
        if method != "minmax":  # whose symmetric ranges alone go beyond the values seen there too
            ends = ends.clip(lowest, highest)
        assert np.abs(ends - expected[name]).max() <= 1.01 * width, name
    assert found["r1"][0] == (-found["r1"][1] if symmetric else 0)


@pytest.mark.parametrize("tails", [2, 3, 5, 100])
def test_entropy_as_onnxruntime_has_it(tails: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a bin of the least divergence by its count, where its bins are a number of whole bins here."""
    x = np.random.default_rng(tails).standard_t(tails, (500, 1, 8, 8))
    x *= np.nextafter(np.float32(4), np.float32(0)) / x.max()
    x = x.clip(-x.max()).astype(np.float32)
    model = graph([helper.make_node("Relu", ["x"], ["y"])])
    divergences: list[float] = []
    count = calibrate.entropy

    def counted(p: np.ndarray, q: np.ndarray) -> Any:
        divergences.append(float(count(p, q)))
        return np.float32(divergences[-1])

    monkeypatch.setattr(calibrate, "entropy", counted)
    expected = theirs(model, x, "entropy", tmp_path, False)
    found = ranges.ranges(model, (x,), methods=["entropy"])["entropy"]
    symmetric = ranges.ranges(model, (x,), methods=["entropy"], symmetric=True)["entropy"]
    for name, each in zip(expected, np.array(divergences).reshape(2, -1), strict=True):
        candidate = round(symmetric[name][1] / (8 / BINS)) - 1 - 64  # the narrowest has 64 bins at each side and one
        assert each[max(0, candidate - 1) : candidate + 2].min() <= 1.0001 * each.min(), name
        assert found[name] == tuple(np.clip(symmetric[name], x.min() if name == "x" else 0, x.max()))


def rounded(x: np.ndarray, low: float, high: float, symmetric: bool) -> float:
    """The mean squared error of 8 bits, value by value."""
    scale = high / 127 if symmetric else (high - low) / 255
    zero = 0 if symmetric else np.rint(-128 - low / scale)
    q = np.clip(np.rint(x / scale) + zero, -127 if symmetric else -128, 127)
    return float(np.mean((x - (q - zero) * scale) ** 2))


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("kind", ["tails", "one-sided", "negative", "skewed", "uniform"])
def test_mse_clips_where_the_error_of_8_bits_is_least(kind: str, symmetric: bool) -> None:
    random = np.random.default_rng(1)
    tails = random.standard_t(3, 100_000)
    x = {
        "tails": tails, "one-sided": np.maximum(tails, 0), "negative": np.minimum(tails, 0),
        "skewed": np.where(tails > 0, 5 * tails, tails), "uniform": random.uniform(-1, 2, 100_000),
    }[kind].astype(np.float32)  # fmt: skip
    model = graph([helper.make_node("Identity", ["x"], ["y"])], (1, 100))
    low, high = ranges.ranges(model, (x.reshape(-1, 100),), methods=["mse"], symmetric=symmetric)["mse"]["y"]
    shares = np.arange(1, 21) / 20
    if symmetric:
        largest = float(np.abs(x).max())
        every = [(-share * largest, share * largest) for share in shares]
        assert low == -high
    else:
        every = [(a * float(x.min()), b * float(x.max())) for a in shares for b in shares]
        assert (low == 0, high == 0) == (kind == "one-sided", kind == "negative")
    least = min(rounded(x, *each, symmetric) for each in every)
    assert rounded(x, low, high, symmetric) < 1.02 * least
    if kind != "uniform":
        assert rounded(x, low, high, symmetric) < 0.96 * rounded(x, *every[-1], symmetric)


def test_the_order_of_the_examples_does_not_matter(examples: np.ndarray) -> None:
    """Bins are merged as values grow, and the outcome is what counting in the widest from the start gives."""
    one, two, three, four, five = (Histogram() for _ in range(5))
    grown = examples[np.abs(examples).max(axis=(1, 2, 3)).argsort()] * np.float32(1e-3)
    grown[-1] *= 1e6
    three.widen(float(grown.min()), float(grown.max()))
    for histogram, order in ((one, grown), (two, grown[::-1]), (three, grown)):
        for turn, x in enumerate(order):
            histogram.widen(float(x.min()), float(x.max()))
            histogram.count(sample(x, turn))
    for turn, x in enumerate(grown[::-1]):
        four.add(Histogram.of(x, turn))
        five.add(Histogram.of(x, turn, five.exponent))
    assert (one.counts == two.counts).all()
    assert (one.counts == three.counts).all()
    for added in (four, five):
        assert (one.counts == added.counts).all()
        assert (one.exponent, one.low, one.high) == (added.exponent, added.low, added.high)
    assert (one.exponent, one.low, one.high) == (three.exponent, float(grown.min()), float(grown.max()))
    assert one.counts.sum() == grown.size
    expected, _ = np.histogram(grown.astype(np.float64), one.edges)
    assert (one.counts == expected).all()
    for clip in CLIPS.values():
        assert clip(one, False) == clip(two, False)


@pytest.mark.parametrize("values", [[], [1e31, 0.5], [0.0], [0.25, -2]], ids=str)
def test_bins_that_are_known_change_nothing(values: list[float]) -> None:
    """Also of an example without values, or with one beyond them."""
    known, anew = Histogram.of(np.float32([3.0]), 0), Histogram.of(np.float32([3.0]), 0)
    known.add(Histogram.of(np.float32(values), 1, known.exponent))
    anew.add(Histogram.of(np.float32(values), 1))
    assert vars(known).keys() == vars(anew).keys()
    assert all(np.array_equal(value, getattr(anew, name)) for name, value in vars(known).items())


@pytest.mark.parametrize("shape", [(1, 32, 112, 112), (1, 197, 768), (1, 40_000), (1, 100_000, 1)], ids=str)
def test_of_large_activations_some_values_are_counted_and_all_in_turn(shape: tuple[int, ...]) -> None:
    """Each example's from all over it, of every channel; the extremes are exact."""
    size = int(np.prod(shape))
    x = np.arange(size, dtype=np.float32).reshape(shape)
    histogram = Histogram()
    histogram.widen(0, size - 1)
    histogram.count(sample(x, 0))
    assert VALUES // 2 < histogram.counts.sum() <= VALUES
    assert histogram.counts[HALF:][: int(size / histogram.width)].min() > 0, "from all over it"
    step = round(size / histogram.counts.sum())
    if shape[-1] > 1:
        channels = {number % shape[-1] for number in range(0, size, step)}
        assert len(channels) == min(shape[-1], -(-size // step))
    for turn in range(1, step):
        histogram.count(sample(x, turn))
    assert histogram.counts.sum() == size, "each value once"
    assert (histogram.counts[HALF : HALF + int(size / histogram.width)] == histogram.width).all()


def test_constants_and_integers_have_no_range(examples: np.ndarray) -> None:
    nodes = [
        helper.make_node("Constant", [], ["two"], value=numpy_helper.from_array(np.float32(2))),
        helper.make_node("Sqrt", ["two"], ["root"]),
        helper.make_node("Mul", ["x", "root"], ["z"]),
        helper.make_node("Shape", ["z"], ["sides"]),
        helper.make_node("Reshape", ["z", "sides"], ["y"]),
    ]
    found = ranges.ranges(graph(nodes), (examples,))
    assert list(found) == list(ranges.METHODS) == ["minmax", "percentile", "entropy", "mse"]
    for each in found.values():
        assert list(each) == ["x", "z", "y"]
        assert each["z"] == each["y"]
    some = ranges.ranges(graph(nodes), (examples,), tensors=["y"])
    assert some == {method: {"y": each["y"]} for method, each in found.items()}
    with pytest.raises(UserError, match="computes no `yy`"):
        ranges.ranges(graph(nodes), (examples,), tensors=["yy"])


@pytest.mark.parametrize("value", [0.0, 3.0, -3.0, 1e-38, 9e29], ids=str)
def test_an_activation_that_is_always_the_same(value: float) -> None:
    model = graph([helper.make_node("Identity", ["x"], ["y"])])
    for method, found in ranges.ranges(model, (np.full((3, 1, 8, 8), value, np.float32),)).items():
        low, high = found["y"]
        assert low <= high, method
        assert {low, high} <= {0.0, float(np.float32(value))}, method


def test_the_memory_is_that_of_one_example() -> None:
    """Eight times as many examples, which are made when they are asked for, take no more."""
    model = graphs.small((1, 1, 64, 64))

    class Made:
        def __init__(self, count: int) -> None:
            self.count = count

        def __len__(self) -> int:
            return self.count

        def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
            random = np.random.default_rng(0)
            return ((random.standard_normal((1, 64, 64), np.float32),) for _ in range(self.count))

    peaks = []
    for count in (25, 25, 200):
        tracemalloc.start()
        ranges.ranges(model, Made(count))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.1 * peaks[1]


def test_the_progress_is_told(examples: np.ndarray) -> None:
    said: list[tuple[int, int]] = []
    ranges.ranges(
        graphs.small(), (examples[:3],), methods=["minmax"], say=lambda done, total, _: said.append((done, total))
    )
    assert said == [(1, 3), (2, 3), (3, 3)]


def spoilt(x: np.ndarray, value: float) -> np.ndarray:
    found = x.copy()
    found[7, 0, 3, 3] = value
    return found


NO_NUMBERS = r"example 7 \(from 0\) of input `x` holds values that are infinite or no numbers"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x[:0], "there are no examples"),
        (
            lambda x: x[:, :, :7],
            r"example 0 \(from 0\) of input `x` is float32 1 × 7 × 8, and the graph takes float32 1 ×",
        ),
        (lambda x: x[:, 0], r"is float32 8 × 8, and"),
        (lambda x: x.astype(np.float64), r"is float64 1 × 8 × 8, and the graph takes float32"),
        (lambda x: (255 * x).astype(np.uint8), r"is uint8 1 × 8 × 8, and the graph takes float32"),
        (lambda x: spoilt(x, np.nan), NO_NUMBERS),
        (lambda x: spoilt(x, np.inf), NO_NUMBERS),
        (lambda x: spoilt(x, -np.inf), NO_NUMBERS),
    ],
)
def test_examples_that_the_graph_cannot_take(change: Any, words: str, examples: np.ndarray) -> None:
    with pytest.raises(UserError, match=words):
        ranges.ranges(graphs.small(), (change(examples),))


def test_more_inputs_than_the_graph_has(examples: np.ndarray) -> None:
    with pytest.raises(UserError, match="has 2 values, and the graph 1 inputs"):
        ranges.ranges(graphs.small(), (examples, examples))


def test_the_first_activation_that_is_no_number_is_named(examples: np.ndarray) -> None:
    """Even where a later one hides it: after ReLU it may be 0."""
    nodes = [
        helper.make_node("Mul", ["x", "x"], ["square"]),
        helper.make_node("Log", ["square"], ["log"]),
        helper.make_node("Relu", ["log"], ["y"]),
    ]
    nodes[1] = helper.make_node("Div", ["square", "square"], ["log"])
    with pytest.raises(UserError, match=r"example 7 \(from 0\) makes `log` \(Div\) no number"):
        ranges.ranges(graph(nodes), (spoilt(examples, 0),), methods=["minmax"])
    with pytest.raises(UserError, match=r"makes `c1` \(Conv\) no number"):
        ranges.ranges(graphs.small(spoilt=True), (examples,))


@pytest.mark.parametrize("method", ranges.METHODS)
@pytest.mark.parametrize("fill", [-np.inf, np.inf, np.finfo(np.float32).min, -1e30, -1e9, -65504, -10000, -5000])
def test_an_activation_that_a_mask_fills_has_no_range(fill: float, method: str, examples: np.ndarray) -> None:
    """A step of 8 bits from −5000 on is 20, and the other values lie between −1 and 1."""
    nodes = [helper.make_node("Where", ["open", "x", "fill"], ["y"])]
    model = graph(nodes)
    tensors = {"open": np.arange(8) < 5, "fill": np.float32(fill)}
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(each), name) for name, each in tensors.items())
    found = ranges.ranges(model, (examples,), methods=[method])[method]
    assert found["y"] == ranges.OPEN
    assert np.isfinite(found["x"]).all()


@pytest.mark.parametrize("size", [900.0, 5000.0, 1e6, 1e20])
def test_large_values_alone_have_a_range(size: float, examples: np.ndarray) -> None:
    """Prices, areas and squares are no mask: between them and zero there are others."""
    nodes = [helper.make_node("Mul", ["x", "size"], ["a"]), helper.make_node("Relu", ["a"], ["y"])]
    model = graph(nodes)
    model.graph.initializer.append(numpy_helper.from_array(np.float32(size), "size"))
    found = ranges.ranges(model, (examples,))
    assert all(np.isfinite(each[name]).all() for each in found.values() for name in ("a", "y"))


def graph(nodes: list[onnx.NodeProto], shape: tuple[int, ...] = (1, 1, 8, 8)) -> onnx.ModelProto:
    """From `x` to `y`, both of this shape."""
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)] for name in "xy"]
    made = helper.make_graph(nodes, "g", *ends)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def test_the_first_validation_examples_one_at_a_time(few: Dataset) -> None:
    contract = metadata.describe(few)
    rows, warnings = prepared(contract, few, np.arange(10))
    assert len(rows) == 10
    assert warnings == []
    expected = few.input.to_model_inputs(few["validation"].x[:10])
    assert np.array_equal(np.stack([row for (row,) in rows]), expected)
    assert len(prepared(contract, few, np.arange(len(few["validation"].y)))[0]) == len(few["validation"].y)
    alike = [ranges.ranges(graphs.small(), each, methods=["minmax"]) for each in ((expected,), rows)]
    assert alike[0] == alike[1]


def test_raw_pixels_stay_what_they_are(few: Dataset) -> None:
    contract = metadata.describe(few)
    contract["inputs"][0] |= {"dtype": "uint8", "scale": 1.0, "mean": [], "std": []}
    rows, _ = prepared(contract, few, np.arange(3))
    assert np.array_equal(np.stack([row for (row,) in rows]), few["validation"].x[:3])


def test_examples_of_one_class_alone_are_warned_of(few: Dataset) -> None:
    x, y = few["validation"]
    threes = replace(few, splits=few.splits | {"validation": Split(x, np.full_like(y, 3))})
    contract = metadata.describe(few)
    _, warnings = prepared(contract, threes, np.arange(20))
    words = (
        "its ranges come from {}, and others may go beyond: raise `samples`, or give the validation split more classes"
    )
    assert warnings == [words.format("20 examples of one class, `3`")]
    assert prepared(contract, few, np.arange(1))[1] == [words.format(f"1 example of one class, `{y[0]}`")]
    assert prepared(contract, replace(threes, labelled=False), np.arange(20))[1] == []
    assert prepared(contract, replace(threes, task="regression"), np.arange(20))[1] == []


def test_values_that_mean_and_deviation_are_not_of(few: Dataset) -> None:
    """Pixels of 0 to 255, where the training examples went from 0 to 1."""
    wrong = replace(few, inputs=(replace(few.input, scale=1.0, normalized_by="train"),))
    with pytest.raises(UserError, match=r"5.% of the values lie more than 10 deviations from the mean") as error:
        prepared(metadata.describe(wrong), wrong, np.arange(20))
    assert error.value.problems[0].help == "values are normalised as (raw · 1 − mean) / std"


@pytest.mark.parametrize("by", ["function", "file"])
def test_a_mean_and_deviation_from_elsewhere_are_a_networks(few: Dataset, by: Literal["function", "file"]) -> None:
    """Networks that take 0 to 255 less a mean are common; 95% of their values are no mistake, and are pointed out."""
    raw = replace(few, inputs=(replace(few.input, scale=1.0, mean=(128.0,), std=(1.0,), normalized_by=by),))
    rows, (warning,) = prepared(metadata.describe(raw), raw, np.arange(20))
    assert len(rows) == 20
    assert "of the values lie more than 10 deviations from the mean; unless the network was trained so" in warning


def test_a_normalization_that_the_recipe_states_is_of_a_network(few: Dataset) -> None:
    """Caffe's networks take pixels from -128 to 127: many lie more than 10 of such "deviations" from the mean."""
    caffe = replace(few, inputs=(replace(few.input, mean=(0.5,), std=(1 / 255,), normalized_by="recipe"),))
    assert prepared(metadata.describe(caffe), caffe, np.arange(20))[1] == []
