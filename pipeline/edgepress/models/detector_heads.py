"""Define the heads that a detector of timm gets: SSDLite's with anchors, and FCOS's with centre points."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.fcos import FCOSClassificationHead, FCOSRegressionHead
from torchvision.models.detection.ssdlite import SSDLiteHead, _extra_block
from torchvision.ops import FeaturePyramidNetwork

from .decode import Decode, Level

_RATIOS = (2.0, 3.0)
_SCALES = (0.15, 0.9)
"""Sides of the anchors of the first and last map, as shares of the picture."""


class Ssd(nn.Module):
    """SSDLite (Sandler et al., 2018) on the maps of a network of timm, and on further maps of half the size each."""

    def __init__(self, backbone: Any, classes: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.backbone = backbone
        norm = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.03)
        channels = list(backbone.feature_info.channels())
        sides = min(cells_of(maps_of(backbone, size)[-1]))
        self.extra = nn.ModuleList()
        while sides > 2:
            self.extra.append(_extra_block(channels[-1], width := max(64, channels[-1] // 2), norm))
            channels.append(width)
            sides = (sides + 1) // 2
        anchors = 2 + 2 * len(_RATIOS)
        self.head = SSDLiteHead(channels, [anchors] * len(channels), classes + 1, norm)
        self.eval()  # batch norm has no variance of one value
        with torch.no_grad():
            cells = [cells_of(each) for each in self._features(torch.zeros(1, channels_of(backbone), *size))]
        levels = [Level(cells=each, sizes=sizes) for each, sizes in zip(cells, _sizes(len(cells), size), strict=True)]
        self.decode = of_ssd(levels)

    def _features(self, images: Tensor) -> list[Tensor]:
        maps = maps_of(self.backbone, images)
        for block in self.extra:
            maps.append(block(maps[-1]))
        return maps

    def heads(self, images: Tensor) -> tuple[Tensor, Tensor]:
        found = self.head(self._features(images))
        return found["bbox_regression"], found["cls_logits"]


class Fcos(nn.Module):
    """FCOS (Tian et al., 2019) with a feature pyramid on the maps of a network of timm; batch norm folds, unlike group
    norm."""

    def __init__(self, backbone: Any, classes: int, size: tuple[int, int], width: int) -> None:
        super().__init__()
        self.backbone = backbone
        norm = nn.BatchNorm2d
        self.fpn = FeaturePyramidNetwork(backbone.feature_info.channels(), width, norm_layer=norm)
        self.classification_head = FCOSClassificationHead(width, 1, classes, 2, norm_layer=norm)
        self.regression_head = FCOSRegressionHead(width, 1, 2, norm_layer=norm)
        with torch.no_grad():
            cells = [cells_of(each) for each in maps_of(backbone, size)]
        self.decode = of_fcos(cells, size, 0.5)

    def heads(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps = OrderedDict((str(at), each) for at, each in enumerate(maps_of(self.backbone, images)))
        features = list(self.fpn(maps).values())
        boxes, scores = self.regression_head, self.classification_head
        beside, within = _through(boxes.conv, features), _through(scores.conv, features)
        return (
            torch.cat([_table(boxes.bbox_reg(each).relu()) for each in beside], 1),
            torch.cat([_table(boxes.bbox_ctrness(each)) for each in beside], 1),
            torch.cat([_table(scores.cls_logits(each)) for each in within], 1),
        )


def _through(tower: nn.Sequential, maps: list[Tensor]) -> list[Tensor]:
    """Run the layers of a tower that all maps share.

    In training a norm takes the moments of all maps together. Evaluation has one running mean for all of them, which
    would be that of no map, were their moments taken apart.
    """
    for layer in tower:
        if isinstance(layer, nn.BatchNorm2d) and layer.training:
            sizes = [each.shape[2:] for each in maps]
            together = layer(torch.cat([each.flatten(2) for each in maps], 2)[..., None])[..., 0]
            parts = together.split([math.prod(size) for size in sizes], 2)
            maps = [part.unflatten(2, size) for part, size in zip(parts, sizes, strict=True)]
        else:
            maps = [layer(each) for each in maps]
    return maps


def _table(values: Tensor) -> Tensor:
    """Return a map (b, columns, height, width) as (b, places, columns)."""
    return values.flatten(2).transpose(1, 2)


def of_ssd(levels: Sequence[Level]) -> Decode:
    return Decode(
        coding="anchors", boxes=("boxes",), scores=("scores",), levels=tuple(levels), activation="softmax", background=0
    )


def of_fcos(cells: Sequence[tuple[int, int]], size: tuple[int, int], offset: float) -> Decode:
    return Decode(
        coding="distances", boxes=("boxes",), objectness=("objectness",), scores=("scores",), offset=offset, root=True,
        strides=tuple(1 << (math.ceil(size[0] / each[0]) - 1).bit_length() for each in cells),
    )  # fmt: skip


def _sizes(count: int, size: tuple[int, int]) -> list[tuple[tuple[float, float], ...]]:
    """Return width and height of the anchors of each map in pixels, as SSD has them (Liu et al., 2016, 2.2)."""
    low, high = _SCALES
    scales = [low + (high - low) * at / max(count - 1, 1) for at in range(count)] + [1.0]
    found = []
    for scale, next_scale in pairwise(scales):
        middle = math.sqrt(scale * next_scale)
        shares = [(scale, scale), (middle, middle)]
        for root in map(math.sqrt, _RATIOS):
            shares += [(scale * root, scale / root), (scale / root, scale * root)]
        found.append(tuple((min(w, 1.0) * size[1], min(h, 1.0) * size[0]) for w, h in shares))
    return found


def maps_of(backbone: Any, images: Tensor | tuple[int, int]) -> list[Tensor]:
    """Return the maps (b, c, h, w) of a backbone of timm, of images or of zeros of that size."""
    if isinstance(images, tuple):
        images = torch.zeros(1, channels_of(backbone), *images)
    last = getattr(backbone, "output_fmt", "NCHW") == "NHWC"
    return [each.movedim(-1, 1) if last else each for each in backbone(images)]


def channels_of(backbone: nn.Module) -> int:
    return next(layer.in_channels for layer in backbone.modules() if isinstance(layer, nn.Conv2d))


def cells_of(values: Tensor) -> tuple[int, int]:
    return values.shape[2], values.shape[3]
