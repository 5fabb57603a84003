"""Ranges of activations: those of onnxruntime's calibrators, in memory that the number of examples does not change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnxruntime.quantization import calibrate

from pipeline import calibration
from pipeline.calibration.clips import BINS
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
@pytest.mark.parametrize("method", OTHERS)
def test_as_onnxruntime_has_it(method: str, symmetric: bool, examples: np.ndarray, tmp_path: Path) -> None:
    """The same extremes, and otherwise within a bin of its histograms."""
    model = graphs.small()
    found = calibration.ranges(model, (examples,), methods=[method], symmetric=symmetric)[method]
    expected = theirs(model, examples, method, tmp_path, symmetric)
    extremes = calibration.ranges(model, (examples,), methods=["minmax"])["minmax"]
    assert list(found) == ["x", "c1", "r1", "c2", "m", "y"]
    assert found.keys() == expected.keys()
    for name, (low, high) in found.items():
        lowest, highest = extremes[name]
        largest = max(-lowest, highest)
        width = {"minmax": 2e-7 * largest, "percentile": largest / 1024, "entropy": 2 * largest / BINS}[method]
        if symmetric:
            assert low == -high
        if method != "minmax":  # whose symmetric ranges go beyond the values seen there too
            low, high = max(low, lowest), min(high, highest)
        assert abs(low - expected[name][0]) <= 1.01 * width, name
        assert abs(high - expected[name][1]) <= 1.01 * width, name
    assert found["r1"][0] == (-found["r1"][1] if symmetric else 0)
