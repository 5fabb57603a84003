"""Build networks whose outputs are maps: masks, heat maps and pictures.

A network of timm is cut before its classifier and gets the head of LR-ASPP (Howard et al., 2019, MobileNetV3). A
segmentation network of torchvision has a head, and gives one tensor here instead of a dictionary. Pictures as large as
the input, or a multiple of it, are what `espcn` makes without losing resolution on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor, nn

from ..core.errors import UserError
from .output_shape import by

if TYPE_CHECKING:
    from ..data.dataset import Input
    from .description import Description, Network

HEAD = 128
"""Channels of the head, as in the paper."""


class Dense(nn.Module):
    """The head of LR-ASPP on two maps of `backbone`: the last, and one at a quarter of its stride.

    The last map is weighted by a sigmoid of its mean, both maps are classified, and the sum is interpolated to `size`
    (height, width); without one it stays as large as the finer map. Torchvision interpolates before it classifies: the
    two are linear and commute, and this order interpolates the few output channels alone.
    """

    def __init__(self, backbone: Any, outputs: int, width: int, size: tuple[int, int] | None) -> None:
        super().__init__()
        channels, strides = backbone.feature_info.channels(), backbone.feature_info.reduction()
        self.backbone = backbone
        self.size = size
        self.channels_last = getattr(backbone, "output_fmt", "NCHW") == "NHWC"
        self.low = max((at for at, stride in enumerate(strides) if stride <= strides[-1] / 4), default=0)
        self.project = nn.Sequential(
            nn.Conv2d(channels[-1], width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.scale = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels[-1], width, 1, bias=False), nn.Sigmoid())
        self.low_classifier = nn.Conv2d(channels[self.low], outputs, 1)
        self.high_classifier = nn.Conv2d(width, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Compute (b, outputs, height, width)."""
        maps = self.backbone(x)
        low, high = (y.movedim(-1, 1) if self.channels_last else y for y in (maps[self.low], maps[-1]))
        coarse = self.high_classifier(self.project(high) * self.scale(high))
        outputs = self.low_classifier(low) + interpolated(coarse, low.shape[-2:])
        return outputs if self.size is None else interpolated(outputs, self.size)


def interpolated(x: Tensor, size: Any) -> Tensor:
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def on_timm(name: str, network: Network, description: Description) -> nn.Module:
    """Build `timm/NAME` with a head for maps."""
    import timm

    backbone = timm.create_model(
        name, pretrained=network.pretrained, in_chans=description.channels, features_only=True, **network.args
    )
    outputs, *size = description.output
    return Dense(backbone, outputs, network.head_channels or HEAD, (size[0], size[1]) if any(size) else None)


def of_torchvision(name: str, network: Network, description: Description) -> nn.Module:
    """Build `torchvision/segmentation/NAME` without an auxiliary output.

    LR-ASPP ignores arguments without a word, so they are refused.
    """
    from torchvision import models

    if network.args and name.startswith("lraspp"):
        raise UserError(
            f"`{network.arch}` takes no arguments",
            "smaller ones are `timm/NAME` with a head of their own, such as timm/mobilenetv3_small_050",
        )
    module: nn.Module = models.get_model(
        name, weights=None, weights_backbone=None, num_classes=description.classes, **network.args
    )
    module.register_forward_hook(_only_output)  # names of weights stay torchvision's, as in its files
    return module


def _only_output(module: nn.Module, inputs: Any, outputs: dict[str, Tensor]) -> Tensor:
    return outputs["out"]


def espcn(inputs: Sequence[Input], outputs: Sequence[int], *, width: int = 32, depth: int = 3) -> nn.Module:
    """Build `depth` convolutions of `width`, and a pixel shuffle where the output is larger (Shi et al., 2016).

    A 1 × 1 convolution of the input is added, so that what is learnt is the difference, as in DnCNN.
    """
    channels, height, width_in = inputs[0].shape
    scale = outputs[1] // height
    if (height * scale, width_in * scale) != tuple(outputs[1:]):
        raise UserError(
            f"`edgepress/espcn` makes pictures of {by((height, width_in))} pixels larger by a whole factor, and the "
            f"targets have {by(outputs[1:])}",
            "resize the targets, or name a network of timm, which is interpolated to any size",
        )
    return _Espcn(channels, outputs[0], scale, width, depth)


class _Espcn(nn.Module):
    def __init__(self, channels: int, outputs: int, scale: int, width: int, depth: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 5, padding=2), nn.ReLU()]
        for _ in range(depth - 1):
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, outputs * scale**2, 3, padding=1))
        self.skip = nn.Conv2d(channels, outputs * scale**2, 1)
        self.shuffle = nn.PixelShuffle(scale) if scale > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        shuffled: Tensor = self.shuffle(self.layers(x) + self.skip(x))
        return shuffled
