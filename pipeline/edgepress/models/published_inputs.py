"""Check that the data fits the inputs that published networks expect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..data.normalize import IMAGENET, PIXELS, Moments
from .input_preparation import formula
from .pretrained import PACKAGES, Package

if TYPE_CHECKING:
    from ..data.dataset import Dataset, Input
    from ..data.rows import Rows
    from .description import Network

MATERIAL = 0.2
"""How far apart two normalisations of a black or a white pixel may be: ImageNet's and (x − 127) / 128 are by 1.1."""


def misfed(source: str | None, networks: Sequence[Network], data: Dataset) -> list[str]:
    """Warn for each published network whose images `data` normalizes materially otherwise than it expects.

    `source` is what a stage loads from, and `networks` are those that its options describe: with published weights, or
    with a file of them, for nothing else tells ImageNet's classes apart where the data has no labels to train on.
    """
    package = PACKAGES.get(source or "")
    expected = {source: Moments(mean=package.mean, std=package.std)} if package else {}
    published = [network.arch for network in networks if network.pretrained or not data.labelled]
    expected |= {arch: stated for arch in published if (stated := moments(arch))}
    pairs = zip(data.inputs, data.columns(data["train"].x), strict=True)
    images = [(network, raw) for network, raw in pairs if network.kind == "image"]
    return [
        f"the published weights of `{name}` expect pixels as {formula(_fed(input, wants))}, and `{data.name}` "
        f"gives {formula(input)}, which costs accuracy that `agreement` cannot see; "
        f"write `{_line(wants)}` into the recipe's `data`"
        for name, wants in expected.items()
        for input, raw in images
        if input.shape[0] == len(wants.mean) and _apart(wants, input, raw) > MATERIAL
    ]


def _fed(input: Input, wants: Moments) -> Input:
    return replace(input, scale=PIXELS, mean=wants.mean, std=wants.std)


def line_of(package: Package) -> str:
    """Return the option of `data` that feeds a package's weights as they were trained."""
    return _line(Moments(mean=package.mean, std=package.std))


def moments(arch: str) -> Moments | None:
    """Return mean and std of the published weights of `timm/NAME` or `torchvision/NAME`, if the library has them."""
    home, _, name = arch.replace("/segmentation/", "/").partition("/")
    if home == "timm":
        import timm

        config: Any = timm.get_pretrained_cfg(name, allow_unregistered=True)
    else:
        from torchvision import models

        config = models.get_model_weights(name).DEFAULT.transforms() if home == "torchvision" else None
    mean, std = (getattr(config, field, None) for field in ("mean", "std"))
    return Moments(mean=tuple(mean), std=tuple(std)) if mean and std else None


def _apart(wants: Moments, input: Input, raw: Rows) -> float:
    """Return the largest difference between a black or white pixel as the network expects it and as `input` makes it.

    0 where raw values are no pixels from 0 to 1 or to 255, but something that nobody can compare with them.
    """
    white = 255
    if raw.dtype != "uint8":
        values = raw[:]
        low, high = (float(value) for value in (values.min(), values.max())) if values.size else (0.0, 0.0)
        if low < 0 or high > 255:
            return 0.0
        white = 255 if high > 1 else 1
    mean, std = input.mean or (0.0,) * len(wants.mean), input.std or (1.0,) * len(wants.std)
    return max(
        abs((pixel - a) / b - (pixel * white * input.scale - c) / d)
        for pixel in (0, 1)
        for a, b, c, d in zip(wants.mean, wants.std, mean, std, strict=True)
    )


def _line(wants: Moments) -> str:
    """Return the recipe's option; 8 digits leave float32 nothing to round."""
    if wants == IMAGENET:
        return "normalize: imagenet"
    mean, std = (", ".join(f"{value:.8g}" for value in values) for values in (wants.mean, wants.std))
    return f"normalize: {{mean: [{mean}], std: [{std}]}}"
