"""Metrics of masks, points, vectors and pictures, against scikit-learn's and counts by hand."""

from __future__ import annotations

import numpy as np
import pytest
from edgepress.core import metrics, picture_metrics
from edgepress.core.map_metrics import VOID, peaks
from edgepress.core.metrics import METRICS, of_constant
from edgepress.data.targets import mask
from sklearn.metrics import accuracy_score, average_precision_score, jaccard_score

RANDOM = np.random.default_rng(7)


def masks(count: int = 12, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Logits and masks in which class 3 is nowhere true, class 4 nowhere at all, and some pixels are void."""
    y = RANDOM.integers(0, 3, (count, 8, 10)).astype(np.uint8)
    logits = RANDOM.normal(size=(count, classes, 8, 10)).astype(np.float32)
    logits[:, 4] = -9
    np.put_along_axis(logits, y[:, None].astype(int), 1.0, 1)
    y[RANDOM.random(y.shape) < 0.1] = VOID
    return logits, y


def test_iou_is_scikit_learns_without_void_pixels() -> None:
    logits, y = masks()
    assert mask.VOID == VOID
    known = y != VOID
    found, true = logits.argmax(1)[known], y[known]
    each = jaccard_score(true, found, labels=range(4), average=None)
    assert METRICS["miou"](logits, y) == pytest.approx(each.mean(), abs=1e-12)
    assert METRICS["worst-iou"](logits, y) == pytest.approx(each.min(), abs=1e-12) == 0, "class 3 is predicted only"
    assert METRICS["pixel-accuracy"](logits, y) == pytest.approx(accuracy_score(true, found), abs=1e-12)


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.summed])
def test_chunks_and_draws_are_those_of_the_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    metric = METRICS[name]
    outputs, y = {
        "segmentation": masks(),
        "keypoints": points(),
        "embedding": vectors(),
        "image": pictures(),
    }.get(metric.tasks[0], (RANDOM.normal(size=(30, 3)).astype(np.float32), np.arange(30) % 3))
    y = outputs if name == "cosine" else y
    whole = metric(outputs, y)
    drawn = metric.resampled(outputs, y)
    assert len(drawn) == 1000
    if metric.chunked:
        monkeypatch.setattr(metrics, "CHUNK", 5)
        assert metric(outputs, y) == pytest.approx(whole)
        rows = np.random.default_rng(len(y)).integers(0, len(y), len(y))
        assert drawn[0] == pytest.approx(metric(outputs[rows], y[rows]), abs=1e-6)


def points(shape: tuple[int, int] = (16, 24)) -> tuple[np.ndarray, np.ndarray]:
    """Heat maps of Gaussians that are up to some cells off, and points, one in five of which is not to be seen."""
    y = np.concatenate([RANDOM.random((20, 3, 2)), RANDOM.random((20, 3, 1)) < 0.8], 2).astype(np.float32)
    at = y[..., :2] + RANDOM.normal(0, 0.1, (20, 3, 2))
    down, across = np.ogrid[: shape[0], : shape[1]]
    x = (across + 0.5)[None, None] / shape[1] - at[..., 0, None, None]
    heat = np.exp(-((x * 10) ** 2 + (((down + 0.5)[None, None] / shape[0] - at[..., 1, None, None]) * 10) ** 2))
    return heat.astype(np.float32), y


def test_points_are_found_in_pixels_of_the_picture() -> None:
    y = np.array([[[0.25, 0.5, 1], [0.75, 0.5, 1], [0.1, 0.9, 0]]], np.float32)
    heat = np.zeros((1, 3, 4, 8), np.float32)
    heat[0, 0, 2, 2] = heat[0, 1, 2, 0] = heat[0, 2, 0, 7] = 2
    heat[0, 0, 2, 1] = heat[0, 0, 1, 2] = 1
    # Column 2 of 8 has its centre at 20 of 64 pixels, and a quarter cell to the left is 18; so has row 2 of 4 at 20.
    assert peaks(heat)[0, 0] * (64, 32) == pytest.approx((18, 18))
    assert peaks(heat)[0, 1] * (64, 32) == pytest.approx((4, 20)), "there is no shift at the edge"
    error = METRICS["point-error"].of_data(size=(32, 64))
    first, second = np.hypot(18 - 16, 18 - 16), np.hypot(4 - 48, 20 - 16)
    assert error(heat, y) == pytest.approx((first + second) / 2, rel=1e-6)
    assert METRICS["pck"].of_data(size=(32, 64))(heat, y) == 0.5, "one of two that are to be seen is within 6.4 pixels"
    assert error.score_points(heat, y) == pytest.approx(-100 * (first + second) / 2 / 64)


def vectors() -> tuple[np.ndarray, np.ndarray]:
    y = np.append(np.arange(40) % 8, 99)
    return (RANDOM.normal(size=(41, 6)) + 2 * RANDOM.normal(size=(100, 6))[y]).astype(np.float32), y


def test_queries_are_compared_with_all_others() -> None:
    outputs, y = vectors()
    units = outputs / np.linalg.norm(outputs, axis=1, keepdims=True)
    alike, hits, areas = units.astype(np.float64) @ units.T.astype(np.float64), [], []
    for query in range(40):  # the last has no other of its identity
        rest = np.delete(np.arange(41), query)
        same = y[rest] == y[query]
        hits.append(same[alike[query, rest].argmax()])
        areas.append(average_precision_score(same, alike[query, rest]))
    assert METRICS["recall@1"](outputs, y) == pytest.approx(np.mean(hits), abs=1e-12)
    assert METRICS["map"](outputs, y) == pytest.approx(np.mean(areas), abs=1e-12)
    assert METRICS["map"](outputs * 5, y) == pytest.approx(np.mean(areas), abs=1e-12), "only directions count"
    assert METRICS["cosine"](outputs, 3 * outputs) == pytest.approx(1)
    assert METRICS["cosine"](outputs, -outputs) == 0
    assert METRICS["recall@1"](np.full_like(outputs, np.nan), y) <= 1 / 8


def pictures() -> tuple[np.ndarray, np.ndarray]:
    y = RANDOM.integers(0, 256, (6, 3, 20, 24)).astype(np.uint8)
    return (y / 255 + RANDOM.normal(0, 0.1, y.shape)).astype(np.float32), y


def test_pictures_are_scored_in_decibels() -> None:
    _, y = pictures()
    flat = np.full_like(y, 100)
    off = (flat / 255 + 0.1).astype(np.float32)
    assert METRICS["psnr"](off, flat) == pytest.approx(20, abs=1e-4), "an error of 0.1 of 1"
    assert METRICS["psnr"]((flat / 255).astype(np.float32), flat) == 100
    assert METRICS["psnr"].of_data(peak=2.0)(off, flat) == pytest.approx(20 + 20 * np.log10(2), abs=1e-4)
    assert METRICS["psnr"].score_points(off, flat) == pytest.approx(20, abs=1e-4), "a point is a decibel"
    assert METRICS["mae"](off, flat) == pytest.approx(0.1, abs=1e-6)
    constant = of_constant(METRICS["mae"], y)
    assert constant == pytest.approx(np.abs(y / 255 - (y / 255).mean(0)).mean(), abs=1e-6)
    assert of_constant(METRICS["point-error"], points()[1]) is None, "a mean place is no heat map"


def test_structural_similarity_is_that_of_its_window() -> None:
    """By the formula, with the window as a sum over pixels."""
    outputs, y = pictures()
    weights = np.exp(-((np.arange(-5, 6) / 1.5) ** 2) / 2)
    window = np.outer(weights, weights) / weights.sum() ** 2
    a, b = outputs[0, 0].astype(np.float64), y[0, 0] / 255
    values = []
    for row in range(5, 15):
        for column in range(5, 19):
            p, q = (each[row - 5 : row + 6, column - 5 : column + 6] for each in (a, b))
            mean_p, mean_q = (window * p).sum(), (window * q).sum()
            var_p, var_q = (window * p * p).sum() - mean_p**2, (window * q * q).sum() - mean_q**2
            both = (window * p * q).sum() - mean_p * mean_q
            top = (2 * mean_p * mean_q + 1e-4) * (2 * both + 9e-4)
            values.append(top / ((mean_p**2 + mean_q**2 + 1e-4) * (var_p + var_q + 9e-4)))
    assert picture_metrics.structure(outputs[:1, :1], y[:1, :1])[0, 0] == pytest.approx(np.mean(values), abs=1e-9)
    assert METRICS["ssim"]((y / 255).astype(np.float32), y) == pytest.approx(1, abs=1e-5)
    assert METRICS["ssim"](np.full_like(outputs, np.nan), y) == 0


@pytest.mark.parametrize("name", ["miou", "worst-iou", "pixel-accuracy", "pck", "point-error"])
def test_targets_that_all_do_not_count_are_no_crash(name: str) -> None:
    if METRICS[name].tasks == ("segmentation",):
        outputs, y = masks()
        assert METRICS[name](outputs, np.full_like(y, VOID)) == 0
    else:
        outputs, y = points()
        assert METRICS[name](outputs, y * (1, 1, 0)) == 0
