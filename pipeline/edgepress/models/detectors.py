"""Build detection networks: heads on the maps of a backbone, as one tensor in torch and as named outputs in files.

A detector is an nn.Module with `heads(images)`, a tuple of tensors (b, places, columns): boxes, objectness where there
is one, and scores; and with `decode`, which says how they become boxes; see `models.decode`. Its loss follows from
`decode`, unless it has one of its own, `loss(heads, targets)`. Resizing, normalization and non-maximum suppression,
which torchvision's detectors have within `forward`, are the data's and the decoder's here.
"""

from __future__ import annotations

import math
from types import MethodType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.models.detection.image_list import ImageList

from ..core.errors import UserError, suggest
from .decode import Decode, Level
from .decoder import detections
from .detector_heads import Fcos, Ssd, cells_of, of_fcos, of_ssd

if TYPE_CHECKING:
    from .description import Description, Network

HEAD = 64
"""Channels of an FCOS head on a network of timm."""
TORCHVISION = ("ssdlite320_mobilenet_v3_large", "ssd300_vgg16", "fcos_resnet50_fpn")
_SMALL = 256
"""Pixels of a side below which maps of stride 8 get a head, too: of 16, objects would have a cell or two."""


class Detector(NamedTuple):
    """What is known of a network that finds boxes; it is the attribute `edgepress` of its module."""

    decode: Decode
    classes: int
    size: tuple[int, int]

    def predictions(self, outputs: np.ndarray) -> np.ndarray:
        """Return the detections (n, most, 6) of the joined heads (n, places, columns)."""
        return detections(outputs, self.decode, self.size)


def as_detector(module: nn.Module, classes: int, size: tuple[int, int]) -> nn.Module:
    """Make a module with `heads` and `decode` one whose output is one tensor, (b, places, columns).

    It is changed in place, and the names of its weights stay. Raises: UserError where it has no such things.
    """
    found: Any = module
    decode = getattr(module, "decode", None)
    if not callable(getattr(module, "heads", None)) or decode is None:
        raise UserError(
            f"a detector has `heads(images)`, a tuple of tensors, and `decode`, and {type(module).__name__} lacks "
            f"`{'decode' if callable(getattr(module, 'heads', None)) else 'heads'}`",
            "for example `self.decode = {'coding': 'distances', 'boxes': ['boxes'], 'scores': ['scores'], "
            "'strides': [8, 16]}`",
        )
    how = decode if isinstance(decode, Decode) else Decode.model_validate(decode)
    found.edgepress = Detector(how, classes, size)
    found.forward = MethodType(_joined, module)  # a method, which a copy of the module has as its own
    return module


def _joined(module: Any, images: Tensor) -> Tensor:
    return torch.cat(tuple(module.heads(images)), 2)


class Heads(nn.Module):
    """A detector for a file: its heads are outputs of their own, each with its own int8 scale."""

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.detector: Any = detector

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.detector.heads(images))


class Torchvision(nn.Module):
    """An SSD or FCOS of torchvision, by the same names of weights."""

    def __init__(self, network: Any, size: tuple[int, int]) -> None:
        super().__init__()
        self.backbone, self.head = network.backbone, network.head
        self.fcos = isinstance(network, detection.FCOS)
        with torch.no_grad():
            images = torch.zeros(1, 3, *size)
            maps = list(self.backbone.eval()(images).values())
            (boxes,) = network.anchor_generator(ImageList(images, [size]), maps)
        cells = [cells_of(each) for each in maps]
        counts = network.anchor_generator.num_anchors_per_location()
        starts = np.cumsum([0, *(math.prod(each) * count for each, count in zip(cells, counts, strict=True))])
        first = [boxes[start : start + count] for start, count in zip(starts, counts, strict=False)]
        if self.fcos:
            self.decode = of_fcos(cells, size, 0.0)
        else:
            sizes = [tuple((float(x1 - x0), float(y1 - y0)) for x0, y0, x1, y1 in each.tolist()) for each in first]
            levels = [Level(cells=each, sizes=size) for each, size in zip(cells, sizes, strict=True)]
            self.decode = of_ssd(levels)

    def heads(self, images: Tensor) -> tuple[Tensor, ...]:
        found = self.head(list(self.backbone(images).values()))
        names = ("bbox_regression", "bbox_ctrness", "cls_logits") if self.fcos else ("bbox_regression", "cls_logits")
        return tuple(found[name] for name in names)


def on_timm(name: str, network: Network, description: Description) -> nn.Module:
    """Build `timm/NAME` with the head of an SSDLite or of FCOS."""
    import timm

    fcos = network.head == "fcos"
    strides = timm.create_model(name, in_chans=description.channels, features_only=True).feature_info.reduction()
    finest = 8 if fcos or min(description.size) < _SMALL else 16
    at = [index for index, stride in enumerate(strides) if stride >= finest] or [len(strides) - 1]
    backbone = timm.create_model(
        name, pretrained=network.pretrained, in_chans=description.channels, features_only=True, out_indices=at,
        **network.args,
    )  # fmt: skip
    backbone.eval()
    if fcos:
        module: nn.Module = Fcos(backbone, description.classes, description.size, network.head_channels or HEAD)
    else:
        module = Ssd(backbone, description.classes, description.size)
    return as_detector(module, description.classes, description.size)


def of_torchvision(name: str, network: Network, description: Description) -> nn.Module:
    """Build `torchvision/detection/NAME` without published weights of the backbone. Raises: UserError."""
    from torchvision import models

    if name not in TORCHVISION:
        raise UserError(f"`{network.arch}` is no SSD or FCOS", suggest(name, TORCHVISION))
    classes = description.classes + (not name.startswith("fcos"))
    model: Any = models.get_model(name, weights=None, weights_backbone=None, num_classes=classes, **network.args)
    return as_detector(Torchvision(model, description.size), description.classes, description.size)
