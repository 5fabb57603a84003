"""Metrics of masks, points, vectors and images, against scikit-learn's, torchmetrics', the papers' and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from edgepress.core.errors import UserError
from edgepress.core.metric import of_constant
from edgepress.core.metric_points import places
from edgepress.core.metrics import METRICS

RANDOM = np.random.default_rng(0)


def masks(count: int = 6) -> tuple[np.ndarray, np.ndarray]:
    y = RANDOM.integers(0, 3, (count, 9, 7)).astype(np.uint8)
    y[:, 0, :3] = 255
    logits = RANDOM.normal(size=(count, 5, 9, 7)).astype(np.float32)  # classes 3 and 4 are never true
    logits[:, 4] = -9  # and 4 is never predicted
    return logits, y


def test_masks_count_as_scikit_learn_counts_their_pixels() -> None:
    from sklearn.metrics import accuracy_score, jaccard_score

    logits, y = masks()
    kept = y != 255
    true, predicted = y[kept], logits.argmax(1)[kept]
    ious = jaccard_score(true, predicted, labels=[0, 1, 2, 3], average=None)
    for outputs in (logits, logits.argmax(1).astype(np.uint8)):
        assert METRICS["miou"](outputs, y) == pytest.approx(ious.mean(), abs=1e-12)
        assert METRICS["worst-iou"](outputs, y) == ious.min() == 0
        assert METRICS["pixel-accuracy"](outputs, y) == pytest.approx(accuracy_score(true, predicted), abs=1e-12)


def test_void_is_no_right_and_no_wrong_pixel() -> None:
    y = np.array([[[0, 255], [255, 1]]], np.uint8)
    assert METRICS["miou"](np.array([[[0, 1], [0, 1]]]), y) == 1
    assert METRICS["miou"](np.array([[[0, 1], [0, 255]]]), y) == 0.5, "void where there is a class is wrong"


@pytest.mark.parametrize("name", ["miou", "worst-iou", "pixel-accuracy", "pck", "point-error", "recall@1", "map"])
def test_where_nothing_counts_there_is_no_number(name: str) -> None:
    outputs, y = {
        "segmentation": (np.zeros((3, 2, 4, 4), np.float32), np.full((3, 4, 4), 255, np.uint8)),
        "keypoints": (np.zeros((3, 2, 4, 4), np.float32), np.zeros((3, 2, 3), np.float32)),
        "embedding": (np.eye(3, dtype=np.float32), np.arange(3)),
    }[METRICS[name].tasks[0]]
    assert np.isnan(METRICS[name](outputs, y))
    assert set(METRICS[name].resampled(outputs, y)) == {0.0}


def test_a_pixel_whose_logits_are_no_numbers_is_wrong() -> None:
    y = np.array([[[0, 1], [0, 1]]], np.uint8)
    logits = 9 * np.eye(2, dtype=np.float32)[y].transpose(0, 3, 1, 2)
    assert METRICS["pixel-accuracy"](logits, y) == METRICS["miou"](logits, y) == 1
    for broken in (np.nan, np.inf, -np.inf):
        logits[0, 1, 0, 0] = broken
        assert METRICS["pixel-accuracy"](logits, y) == 0.75
        assert METRICS["miou"](logits, y) == 0.75, "the background has 1 of its 2 pixels"
    assert METRICS["pixel-accuracy"](np.full_like(logits, np.nan), y) == 0


def test_draws_are_of_images_and_sum_what_each_counts() -> None:
    for name in ("miou", "worst-iou", "pixel-accuracy"):
        outputs, y = masks(20)
        found = METRICS[name].resampled(outputs, y)
        random = np.random.default_rng(20)
        for value in found[:5]:
            rows = random.integers(0, 20, 20)
            assert value == pytest.approx(METRICS[name](outputs[rows], y[rows]), abs=1e-6)


@pytest.mark.parametrize("name", ["miou", "pck", "point-error", "recall@1", "map", "psnr", "ssim", "mae"])
def test_chunks_have_the_same_parts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    metric = METRICS[name]
    by_task = {
        "segmentation": masks(),
        "keypoints": (RANDOM.normal(size=(6, 2, 8, 8)), RANDOM.random((6, 2, 3))),
        "embedding": (RANDOM.normal(size=(6, 4)), np.arange(6) % 2),
        "image": (RANDOM.random((6, 3, 16, 16)).astype(np.float32), RANDOM.integers(0, 256, (6, 3, 16, 16), np.uint8)),
    }
    outputs, y = by_task[next(task for task in metric.tasks if task in by_task)]
    whole = metric.collected(outputs, y)
    monkeypatch.setattr("edgepress.core.metric.CHUNK", 1)
    assert np.array_equal(whole, metric.collected(outputs, y))
    assert len(metric.resampled(outputs, y)) == 1000


def test_points_are_found_within_a_tenth_of_the_picture() -> None:
    heat = np.zeros((1, 3, 10, 20), np.float32)
    heat[0, 0, 5, 10] = heat[0, 1, 0, 0] = heat[0, 2, 9, 19] = 1
    centres = np.array([[[10.5 / 20, 5.5 / 10], [0.5 / 20, 0.5 / 10], [19.5 / 20, 9.5 / 10]]])
    assert places(heat) == pytest.approx(centres)
    y = np.concatenate([np.add(centres, [[[0.05, 0], [0.3, 0.4], [0, 0]]]), [[[1], [1], [0]]]], 2).astype(np.float32)
    assert METRICS["pck"](heat, y) == 0.5
    error = METRICS["point-error"].of_data(size=(40, 80))
    assert error(heat, y) == pytest.approx((0.05 * 80 + np.hypot(0.3 * 80, 0.4 * 40)) / 2, abs=1e-4), "in pixels"
    assert error.score_points(heat, y) == pytest.approx(-100 * error(heat, y) / 80)
    tall = METRICS["pck"].of_data(size=(400, 20))
    assert tall(heat, y - np.float32([0, 0.09, 0])) == 0.5, "36 of 400 pixels are within a tenth of the larger side"
    heat[0, 0, 5, 11] = 0.5
    assert places(heat)[0, 0] == pytest.approx([10.75 / 20, 5.5 / 10]), "a quarter of a cell to the higher neighbour"
    heat[0, 0] = np.nan
    assert METRICS["pck"](heat, y) == 0


def test_vectors_find_their_identity_as_scikit_learn_ranks_them() -> None:
    from sklearn.metrics import average_precision_score

    y = np.array([0, 0, 1, 1, 2, 1, 0, 3, 3])  # 2 is alone, and no query
    outputs = RANDOM.normal(size=(9, 5)).astype(np.float32)
    units = outputs.astype(float) / np.linalg.norm(outputs.astype(float), axis=1, keepdims=True)
    alike, nearest, precision = units @ units.T, [], []
    for query in range(9):
        others = np.flatnonzero(np.arange(9) != query)
        if (y[others] == y[query]).any():
            nearest.append(y[others[alike[query, others].argmax()]] == y[query])
            precision.append(average_precision_score(y[others] == y[query], alike[query, others]))
    assert METRICS["recall@1"](outputs, y) == pytest.approx(np.mean(nearest))
    assert METRICS["map"](outputs, y) == pytest.approx(np.mean(precision), abs=1e-12)
    assert METRICS["map"](outputs * 7, y) == pytest.approx(METRICS["map"](outputs, y)), "lengths do not count"
    assert max(METRICS["recall@1"].resampled(np.eye(9)[:, :5] + 1, np.arange(9))) == 0, "no draw finds itself"


def test_vectors_are_compared_with_a_teachers_by_their_cosine() -> None:
    outputs = RANDOM.normal(size=(5, 4)).astype(np.float32)
    assert METRICS["cosine"](3 * outputs, outputs) == pytest.approx(1)
    assert METRICS["cosine"](outputs, -outputs) == 0
    with pytest.raises(UserError, match="compares identities"):
        METRICS["map"](outputs, outputs)
    with pytest.raises(UserError, match="compares vectors"):
        METRICS["cosine"](outputs, np.arange(5))
    with pytest.raises(UserError, match="7 numbers, and the model's outputs 4"):
        METRICS["cosine"](outputs, np.ones((5, 7), np.float32))


def test_images_are_a_decibel_a_point_and_alike_at_100() -> None:
    y = RANDOM.integers(0, 256, (4, 3, 20, 24), np.uint8)
    outputs = (y / 255 + RANDOM.normal(0, 0.05, y.shape)).astype(np.float32)
    exact = np.clip(outputs.astype(float), 0, 1) - y / np.float32(255).astype(float)
    ratios = -10 * np.log10((exact**2).mean((1, 2, 3)))
    assert METRICS["psnr"](outputs, y) == pytest.approx(ratios.mean(), abs=1e-5)
    assert METRICS["psnr"].score_points(outputs, y) == METRICS["psnr"](outputs, y), "a point is a decibel"
    assert METRICS["mae"](outputs, y) == pytest.approx(np.abs(outputs - y / 255).mean(), abs=1e-6)
    same = (y / np.float32(255)).astype(np.float32)
    assert [METRICS[name](same, y) for name in ("psnr", "ssim", "mae")] == [100, pytest.approx(1), 0]
    assert METRICS["psnr"](np.full_like(same, np.nan), y) < 10
    depth = RANDOM.uniform(0, 20, (4, 1, 20, 24)).astype(np.float32)
    off = METRICS["psnr"].of_data(peak=20.0)(depth + 2, depth)
    assert off == pytest.approx(20, abs=1e-4), "2 of a range of 20 metres"
    constant = of_constant(METRICS["mae"], y)
    assert constant == pytest.approx(np.abs(y / 255 - (y / 255).mean(0)).mean(), abs=1e-6)


def test_ssim_is_the_papers_formula_in_each_window() -> None:
    y = RANDOM.random((2, 1, 14, 13)).astype(np.float32)
    outputs = np.clip(y + RANDOM.normal(0, 0.1, y.shape), 0, 1).astype(np.float32)
    line = np.exp(-np.square(np.arange(-5, 6)) / (2 * 1.5**2))
    weights = np.outer(line, line) / line.sum() ** 2
    found = []
    for a, b in zip(outputs[:, 0].astype(float), y[:, 0].astype(float), strict=True):
        for top in range(4):
            for left in range(3):
                p, q = a[top : top + 11, left : left + 11], b[top : top + 11, left : left + 11]
                mp, mq = (weights * p).sum(), (weights * q).sum()
                vp, vq = (weights * (p - mp) ** 2).sum(), (weights * (q - mq) ** 2).sum()
                both = (weights * (p - mp) * (q - mq)).sum()
                above = (2 * mp * mq + 1e-4) * (2 * both + 9e-4)
                found.append(above / ((mp**2 + mq**2 + 1e-4) * (vp + vq + 9e-4)))
    assert METRICS["ssim"](outputs, y) == pytest.approx(np.mean(found), abs=1e-9)


def test_torchmetrics_has_the_same_of_masks_vectors_and_images() -> None:
    """It keeps sums over all examples in place of what each counts, so that intervals cannot be drawn from it."""
    import torch
    from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure
    from torchmetrics.functional.segmentation import mean_iou
    from torchmetrics.retrieval import RetrievalHitRate, RetrievalMAP

    logits = RANDOM.normal(size=(6, 3, 9, 7)).astype(np.float32)
    y = RANDOM.integers(0, 3, (6, 9, 7)).astype(np.uint8)
    whole = (torch.from_numpy(each).reshape(1, 54, 7) for each in (logits.argmax(1), y.astype(int)))
    assert METRICS["miou"](logits, y) == pytest.approx(float(mean_iou(*whole, num_classes=3, input_format="index")))

    vectors, of = RANDOM.normal(size=(30, 5)).astype(np.float32), np.arange(30) // 3
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = ~np.eye(30, dtype=bool)
    # It takes what has a negative score for irrelevant, and a cosine may have one.
    preds, target = torch.from_numpy((units @ units.T + 1)[pairs]), torch.from_numpy((of[:, None] == of)[pairs])
    queries = torch.from_numpy(np.nonzero(pairs)[0])
    assert METRICS["map"](vectors, of) == pytest.approx(float(RetrievalMAP()(preds, target, indexes=queries)))
    nearest = RetrievalHitRate(top_k=1)(preds, target, indexes=queries)
    assert METRICS["recall@1"](vectors, of) == pytest.approx(float(nearest))

    pixels = RANDOM.integers(0, 256, (4, 3, 20, 24), np.uint8)
    outputs = np.clip(pixels / 255 + RANDOM.normal(0, 0.05, pixels.shape), 0, 1)
    pair = torch.from_numpy(outputs), torch.from_numpy(pixels / 255)
    ratio = peak_signal_noise_ratio(*pair, data_range=1.0, reduction="elementwise_mean", dim=(1, 2, 3))
    assert METRICS["psnr"](outputs, pixels) == pytest.approx(float(ratio))
    _, windows = structural_similarity_index_measure(*pair, data_range=1.0, return_full_image=True)
    inside = float(windows[:, :, 5:-5, 5:-5].mean())  # its own mean is over windows beyond the edges, too
    assert METRICS["ssim"](outputs, pixels) == pytest.approx(inside, abs=1e-9)


def test_points_have_no_constant_output() -> None:
    assert of_constant(METRICS["point-error"], np.ones((3, 2, 3), np.float32)) is None


def test_only_examples_that_a_metric_counts_bound_its_interval() -> None:
    """A query without a mate, unseen points and void pixels say nothing, so that they make no interval narrower."""
    assert METRICS["recall@1"].examples(np.array([3, 3, 7, 5, 5, 5])) == METRICS["map"].examples(np.arange(5) // 4) + 1
    points = RANDOM.uniform(size=(4, 2, 3)).astype(np.float32)
    points[1, :, 2] = 0
    points[2, 0, 2] = 0
    assert METRICS["pck"].examples(points) == 3
    y = masks()[1]
    y[2] = 255
    assert METRICS["miou"].examples(y) == 5
    assert METRICS["accuracy"].examples(np.zeros(8, int)) == 8


def test_a_mean_cosine_is_a_share_in_spite_of_rounding() -> None:
    vectors = RANDOM.normal(size=(200, 3)).astype(np.float32)
    values = METRICS["cosine"].collected(vectors, vectors)
    assert values.max() > 1
    assert METRICS["cosine"].value(values.max(keepdims=True)) == 1
