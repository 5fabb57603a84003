"""Choose the recipe that `new` starts from, by the data.

Shipped data have shipped recipes; one's own numbers, series and words have a plain one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..core import paths
from ..core.metrics import DEFAULTS
from ..data.dataset import NAMES
from ..data.facts import DataFacts, known
from ..data.load import load_dataset
from ..data.source import Source

SHIPPED = {
    "fashion-mnist": "mobilenet",
    "fashion-mnist-10k": "mobilenet",
    "recommend": "recommend",
    "scenes": "segment",
    "sensor": "sensor",
    "text": "text",
}
"""Recipes by their data; the user's own photos go through `PHOTOS`, other images through `IMAGES`."""
PHOTOS = "mobilenet-imagefolder"
IMAGES = "resnet"

PLAIN = """\
# Train a small network on {words}, quantize and convert it. Written by `edgepress new`.
name: {name}
task: {{data: {data}, metric: {metric}, seed: 0}}
stages:
  - use: train
    name: base
    model: {{arch: {arch}}} # `edgepress show train` has its options; your own: `./my_model.py:build`
    epochs: 20 # longer is better, up to a point
    lr: 0.003
  - {{use: export.onnx, name: float}}
  - {{use: convert.tflite, name: float-tflite}}
  - {{use: quantize.static, name: int8, input: float, samples: 256}} # examples that the integer ranges are taken from
  - {{use: convert.tflite, name: int8-tflite}}
keep: {{{keep}}} # below `base`, on the test examples
targets: []
"""
NETWORKS: dict[tuple[str, ...], tuple[str, str]] = {
    ("series",): ("edgepress/conv1d", "a series"),
    ("tokens",): ("edgepress/text", "words"),
}
TOWERS = ("edgepress/two-tower", "words of several kinds")
COLUMNS = ("edgepress/mlp", "columns of numbers")
PICTURES = {
    "segmentation": ("timm/mobilenetv1_100", "pictures and masks"),
    "keypoints": ("timm/mobilenetv1_100", "pictures and points"),
    "embedding": ("timm/mobilenetv1_100", "pictures of identities"),
    "image": ("edgepress/espcn", "pairs of pictures"),
    "detection": ("timm/mobilenetv1_100", "pictures and boxes"),
}
"""Network and words for tasks of the user's own pictures."""
KEEP = {"regression": ("mae", "metric_drop: 5%"), "image": ("psnr", "metric_drop: 0.5 dB")}
"""Metric and its largest drop, where they are not the default of the task and 2 points."""


def facts(data: Any, base: Path) -> DataFacts:
    """Return what is known of the data that a recipe in `base` names; numbers of an .npz or a CSV are read for it.

    Raises: UserError for a file that cannot be read.
    """
    if isinstance(data, str) and data in NAMES:
        return known(data, unlabelled=False)
    try:
        source = Source.model_validate(data)
    except ValidationError:  # reported by the validation of the recipe
        return DataFacts()
    if source.kind not in ("arrays", "table") or source.image is not None:
        return known(source, unlabelled=False)
    return DataFacts.of(load_dataset(source, base=base))


def shipped(data: Any, facts: DataFacts) -> Path | None:
    """Return the shipped recipe for this data; None where none is for its kind."""
    name: str | None = None
    if facts.task in PICTURES and not (isinstance(data, str) and data in SHIPPED):
        return None
    if isinstance(data, str) and data in SHIPPED:
        name = SHIPPED[data]
    elif facts.kinds in (None, ("image",)):
        name = PHOTOS if _files(data) else IMAGES
    return paths.folder_of("recipes") / f"{name}.yaml" if name else None


def _files(data: Any) -> bool:
    """Return whether the images are files: a folder of them, or a column of a CSV."""
    if isinstance(data, str) and data in NAMES:
        return False
    try:
        source = Source.model_validate(data)
    except ValidationError:
        return False
    return source.kind == "folder" or source.image is not None


def plain(name: str, data: str, facts: DataFacts) -> str:
    """Return the text of a recipe for data that have none of their own; `data` is YAML."""
    kinds, task = facts.kinds or (), facts.task or ""
    arch, words = PICTURES.get(task) or NETWORKS.get(kinds, TOWERS if "tokens" in kinds else COLUMNS)
    name_of_drop = "metric_drop" if task in DEFAULTS else "accuracy_drop"
    metric, keep = KEEP.get(task) or (DEFAULTS.get(task, "accuracy"), f"{name_of_drop}: 2 points")
    return PLAIN.format(name=name, data=data, arch=arch, words=words, metric=metric, keep=keep)
