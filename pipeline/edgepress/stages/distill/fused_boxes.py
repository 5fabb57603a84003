"""Make several detectors one teacher by weighted boxes fusion, whatever their heads are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ...core.boxes import CLASS, SCORE, areas, fused
from ...data.dataset import Dataset
from ...data.targets.boxes import CLASS as LABEL
from ...data.targets.boxes import COUNTS, none
from ...models.decode import Decode
from ...models.decoder import detections
from .kept import Outputs

SURE = 0.5
"""Least score of a fused box that a student learns: one that half of the teachers are sure of."""
AT_ONCE = 256


def fused_boxes(heads: Sequence[Outputs], decodes: Sequence[Decode], shares: Sequence[float], data: Dataset) -> Tensor:
    """Return targets float32 (n, most, 6), as `data.targets.boxes` has them, of teachers' heads (n, places, columns).

    They are the fused boxes of at least `SURE`. The teachers' boxes are decoded and fused once, not in every epoch.
    """
    size = (data.input.shape[1], data.input.shape[2])
    pictures: list[np.ndarray] = []
    for rows in torch.arange(len(heads[0])).split(AT_ONCE):
        found = [
            detections(each[rows].float().numpy(), decode, size) for each, decode in zip(heads, decodes, strict=True)
        ]
        pictures += [fused(of_one, shares) for of_one in zip(*found, strict=True)]
    pictures = [boxes[(boxes[:, SCORE] >= SURE) & (areas(boxes) > 0)] for boxes in pictures]
    targets = none((len(pictures), max(1, *map(len, pictures)), 6))
    for target, boxes in zip(targets, pictures, strict=True):
        rows = target[: len(boxes)]
        rows[:, :4], rows[:, LABEL], rows[:, COUNTS] = boxes[:, :4], boxes[:, CLASS], 1
    return torch.from_numpy(targets)
