"""Average precision of boxes: by hand, against faster-coco-eval, and on draws of the pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from edgepress.core import boxes, metric_boxes
from edgepress.core.metrics import METRICS
from hypothesis import given, settings
from hypothesis import strategies as st

MAP, MAP50 = METRICS["map"].of_task["detection"], METRICS["map50"]
NONE = [0, 0, 0, 0, -1, 0]


def scene(count: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Detections and boxes of `count` pictures of 128 pixels: near ones, doubled ones, wrong ones, crowds."""
    random = np.random.default_rng(seed)
    y, found = np.tile(np.array(NONE, np.float32), (count, 6, 1)), np.zeros((count, 12, 6), np.float32)
    found[..., 5] = -1
    for targets, rows in zip(y, found, strict=True):
        number = random.integers(0, 6)
        corner, side = random.uniform(0, 80, (number, 2)), random.uniform(6, 120, (number, 2))
        targets[:number, :2], targets[:number, 2:4] = corner, corner + side
        targets[:number, 4], targets[:number, 5] = random.integers(0, 3, number), random.random(number) < 0.85
        at = 0
        for target in targets[:number]:
            for _ in range(random.integers(0, 3)):
                rows[at, :4] = target[:4] + random.normal(0, 4, 4)
                rows[at, 2:4] = np.maximum(rows[at, 2:4], rows[at, :2] + 1)  # COCO's negative areas count nowhere
                rows[at, 4], rows[at, 5] = random.random(), target[4] if random.random() < 0.8 else 2
                at += 1
        rows[at, :] = 5, 5, 40, 50, random.random(), 0
    return found, y


def coco(found: np.ndarray, y: np.ndarray) -> Any:
    """Statistics of faster-coco-eval: map, map50, map75, map of small, medium and large boxes, …"""
    faster = pytest.importorskip("faster_coco_eval")
    truth: dict[str, Any] = {
        "images": [{"id": row} for row in range(len(y))],
        "categories": [{"id": label} for label in range(3)],
        "annotations": [],
    }
    results = []
    for row, (targets, detections) in enumerate(zip(y, found, strict=True)):
        for target in targets[targets[:, 4] >= 0].astype(float):
            box = [*target[:2], *(target[2:4] - target[:2])]
            entry = {"image_id": row, "category_id": int(target[4]), "bbox": box, "area": box[2] * box[3]}
            truth["annotations"].append(entry | {"id": len(truth["annotations"]) + 1, "iscrowd": int(not target[5])})
        for each in detections[detections[:, 5] >= 0].astype(float):
            box = [*each[:2], *(each[2:4] - each[:2])]
            results.append({"image_id": row, "category_id": int(each[5]), "bbox": box, "score": each[4]})
    own = faster.COCO(truth)
    run = faster.COCOeval_faster(own, own.loadRes(results), "bbox")
    run.evaluate()
    run.accumulate()
    run.summarize()
    return run.stats


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_number_of_coco(seed: int) -> None:
    found, y = scene(seed=seed)
    stats = coco(found, y)
    parts = metric_boxes.matched(found, y)
    ours = [MAP.value(parts), MAP50.value(parts)]
    ours += [METRICS[f"map-{size}"].value(parts) for size in ("small", "medium", "large")]
    assert ours == pytest.approx([stats[0], stats[1], stats[3], stats[4], stats[5]], abs=1e-6)


def test_right_boxes_are_1_and_none_are_0() -> None:
    _, y = scene()
    perfect = np.concatenate([y[..., :4], np.ones_like(y[..., :1]), y[..., 4:5]], 2)
    assert MAP(perfect, y) == pytest.approx(1)
    nothing = np.full_like(perfect, 0)
    nothing[..., 5] = -1
    assert MAP(nothing, y) == 0
    assert np.isnan(MAP(nothing, np.tile(np.array(NONE, np.float32), (len(y), 1, 1))))


def test_a_box_is_found_once_and_what_does_not_count_costs_nothing() -> None:
    y = np.array([[[0, 0, 10, 10, 0, 1], [20, 20, 40, 40, 0, 0]]], np.float32)
    twice = np.array(
        [[[0, 0, 10, 10, 0.9, 0], [0, 0, 10, 9, 0.8, 0], [20, 20, 40, 40, 0.7, 0], [20, 20, 40, 38, 0.6, 0]]]
    )
    parts = metric_boxes.matched(twice.astype(np.float32), y)
    assert [bin(each) for each in parts["right"][0, 0]][:2] == ["0b1111111111", "0b0"]
    assert (parts["left"][0, 0, 2:] == 1023).all(), "a crowd takes all"
    assert MAP.value(parts) == pytest.approx(1)
    wrong_first = twice.copy()
    wrong_first[0, 1] = 50, 50, 60, 60, 0.95, 0
    assert MAP(wrong_first.astype(np.float32), y) == pytest.approx(0.5)


def test_a_box_at_an_iou_of_seven_tenths_counts_at_five_of_ten() -> None:
    y = np.array([[[0, 0, 10, 10, 0, 1]]], np.float32)
    found = np.array([[[0, 0, 10, 7.1, 0.9, 0]]], np.float32)
    assert MAP(found, y) == pytest.approx(0.5)
    assert MAP50(found, y) == pytest.approx(1)


def test_outputs_that_are_no_numbers_are_no_boxes() -> None:
    found, y = scene()
    found[0, 0] = np.nan
    found[1, 0, 4] = np.inf
    kept = found.copy()
    kept[0, 0], kept[1, 0] = (0, 0, 0, 0, 0, -1), (0, 0, 0, 0, 0, -1)
    assert MAP(found, y) == MAP(kept, y)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_a_draw_is_the_metric_of_the_pictures_that_it_drew(seed: int) -> None:
    found, y = scene(20, seed)
    found[..., 4] += np.random.default_rng(seed).uniform(0, 1e-3, found.shape[:2])  # no two scores are equal
    rows = np.random.default_rng(seed).integers(0, len(y), len(y))
    parts = metric_boxes.matched(found, y)
    for metric in (MAP, MAP50, METRICS["map-medium"]):
        assert metric.weighing is not None
        drawn = metric.weighing(parts)(np.bincount(rows, minlength=len(y)))
        assert drawn == pytest.approx(metric(found[rows], y[rows]), abs=1e-9, nan_ok=True)


def test_pictures_are_matched_once_and_draws_are_of_pictures_or_of_groups() -> None:
    found, y = scene()
    parts = MAP.collected(found, y)
    halves = MAP.joined([MAP.of_chunk(found[:7], y[:7]), MAP.of_chunk(found[7:], y[7:])])
    assert np.array_equal(parts, halves)
    draws = MAP.draws(parts)
    assert len(draws) == 1000
    assert np.std(draws) > 0
    assert abs(np.mean(draws) - MAP.value(parts)) < 3 * np.std(draws)
    assert np.std(MAP.draws(parts, np.arange(len(y)) // 20)) != pytest.approx(np.std(draws))


def test_precision_by_class_has_the_mean_of_all() -> None:
    found, y = scene()
    by_class = metric_boxes.by_class(metric_boxes.matched(found, y))
    assert set(by_class) == {0, 1, 2}
    assert np.mean(list(by_class.values())) == pytest.approx(MAP(found, y))


def test_f1_of_two_models_is_of_boxes_that_match_one_to_one() -> None:
    one = np.array([[[0, 0, 10, 10, 0.9, 0], [20, 20, 30, 30, 0.8, 1], [0, 0, 9, 9, 0.2, 0]]], np.float32)
    other = one.copy()
    assert boxes.f1(one, other, 0.3) == 1
    other[0, 1, 5] = 0
    assert boxes.f1(one, other, 0.3) == pytest.approx(0.5)
    other[0, :, 4] = 0.1
    assert boxes.f1(one, other, 0.3) == 0
    assert boxes.f1(other, other, 0.3) == 1, "both show nothing"


def test_suppression_is_torchvisions() -> None:
    import torch
    from torchvision.ops import batched_nms

    random = np.random.default_rng(0)
    corner = random.uniform(0, 60, (200, 2))
    found = np.concatenate([corner, corner + random.uniform(5, 40, (200, 2))], 1).astype(np.float32)
    scores, classes = random.random(200).astype(np.float32), random.integers(0, 3, 200)
    kept = batched_nms(*map(torch.from_numpy, (found, scores, classes)), 0.5).numpy()
    assert boxes.suppressed(found, scores, classes, 0.5, 1000).tolist() == kept.tolist()


def test_a_draw_of_pictures_without_a_box_that_counts_is_no_hole_in_the_interval() -> None:
    found, y = scene(60)
    y[3:], found[3:, :, 5] = NONE, -1
    draws = MAP.resampled(found, y)
    assert np.isfinite(draws).all()
    assert min(draws) == 0
