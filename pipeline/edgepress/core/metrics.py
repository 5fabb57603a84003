"""Name the metrics that a recipe may choose: a row each."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .metric import Metric

if TYPE_CHECKING:
    import numpy as np

VOID = 255
"""The class of pixels that count neither in training nor in metrics."""


def _call(name: str, *arrays: np.ndarray, **facts: Any) -> Any:
    """Call the function `MODULE.FUNCTION`, imported only here: recipes are validated without numpy."""
    module, function = name.split(".")
    return getattr(import_module(f".{module}", __package__), function)(*arrays, **facts)


def _metric(
    module: str, name: str, parts: str, reduce: str, ranked: str = "", counting: str = "", **more: Any
) -> Metric:
    """Return the metric of the functions `parts`, `reduce`, `ranked` and `counting` of a module."""
    made, reduced, ranking = (partial(_call, f"{module}.{function}") for function in (parts, reduce, ranked))
    if "." in reduce:
        reduced = partial(_call, reduce)
    if counting:
        more["counting"] = partial(_call, f"{module}.{counting}")
    return Metric(name, made, reduced, ranking if ranked else None, **more)


_of_labels = partial(_metric, "metric_functions")
_of_masks = partial(_metric, "metric_masks", tasks=("segmentation",), summed=True, graded=True, counting="not_all_void")
_of_points = partial(
    _metric, "metric_points", tasks=("keypoints",), summed=True, graded=True, needs="size", counting="to_be_seen"
)
_of_vectors = partial(_metric, "metric_embeddings", tasks=("embedding",))
_of_images = partial(_metric, "metric_images", tasks=("image",), graded=True, needs="peak")


_SHARE, _MEAN = "metric_functions.share", "metric_functions.mean_share"
DEFAULTS = {"segmentation": "miou", "keypoints": "pck", "embedding": "recall@1", "image": "psnr", "detection": "map"}
"""The metric of a recipe that names none; of other tasks `accuracy`."""
_CLASSES = ("single-label", "multi-label")


def _of_boxes(name: str, **options: Any) -> Metric:
    """Return mean average precision of one of COCO's sizes, over the first `most` IoUs."""
    weighing = partial(_call, "metric_boxes.weighing", **options)
    reduce = partial(_call, "metric_boxes.mean_precision", **options)
    made = partial(_call, "metric_boxes.matched")
    return Metric(name, made, reduce, weighing=weighing, tasks=("detection",), graded=True)


METRICS = {
    metric.name: metric
    for metric in (
        _of_labels("accuracy", "right", "share", summed=True, tasks=_CLASSES, counted=True),
        _of_labels("macro-f1", "classified", "macro_f1", tasks=_CLASSES),
        _of_labels("worst-recall", "classified", "worst_recall", tasks=_CLASSES),
        _of_labels("auc", "odds", "auc", "odds_ranked", tasks=_CLASSES),
        _of_labels("mae", "errors", "mean", higher=False, tasks=("regression", "image")),
        # With the answers of the reference in the place of labels.
        _of_labels(
            "agreement", "agreed", "agreed_share", summed=True, chunked=False, tasks=("single-label",), counted=True
        ),
        _of_masks("miou", "overlaps", "mean_iou", "present"),
        _of_masks("worst-iou", "overlaps", "worst_iou", "present"),
        _of_masks("pixel-accuracy", "right_pixels", _SHARE),
        _of_points("pck", "found", _SHARE),
        _of_points("point-error", "apart", _SHARE, higher=False),
        _of_vectors("recall@1", "vectors", "recall_at_1", "queried", "mated", summed=True),
        _of_vectors("map", "vectors", "mean_average_precision", "queried", "mated", summed=True),
        _of_vectors("cosine", "cosines", _MEAN, graded=True),
        _of_images("psnr", "psnr", "mean_decibels", points=1.0),
        _of_images("ssim", "ssim", _MEAN),
        _of_boxes("map50", most=1),
        _of_boxes("map-small", size="small"),
        _of_boxes("map-medium", size="medium"),
        _of_boxes("map-large", size="large"),
    )
}
"""What a recipe's `metric:` may name: one row each."""
METRICS["map"] = replace(
    METRICS["map"],
    tasks=("embedding", "detection"),
    of_task={"detection": _of_boxes("map")},
)


def points_of(name: str) -> float:
    """Return what a difference of 1 of the metric `name`, one here or the user's, is in points."""
    return METRICS[name].points if name in METRICS else 100.0
