"""The smallest network of each of timm's modules, with random weights that matter, and images for it."""

from __future__ import annotations

import json
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from edgepress.data.dataset import Dataset, Input, Split
from PIL import Image

FOLDER = Path(".edgepress/coverage")
PIXELS = 64
CALIBRATION, EXAMPLES = 16, 8


@cache
def smallest() -> dict[str, dict[str, Any]]:
    """Module → its smallest model and that one's parameters, counted once for each version of timm."""
    path = FOLDER / f"smallest-{version('timm')}.json"
    if not path.is_file():
        import timm

        found = {}
        for module in timm.list_modules():
            sizes = {name: _parameters(name) for name in timm.list_models(module=module)}
            name = min(sizes, key=lambda name: (sizes[name], name))
            found[module] = {"model": name, "parameters": sizes[name]}
            print(module, found[module], flush=True)
        FOLDER.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found), encoding="utf-8")
    said: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return said


def _parameters(name: str) -> int:
    """Without the numbers themselves, where the network can be made so."""
    import timm
    import torch

    try:
        with torch.device("meta"):
            module = timm.create_model(name)
    except (NotImplementedError, RuntimeError):
        module = timm.create_model(name)
    return sum(each.numel() for each in module.parameters())


def fresh(name: str) -> tuple[Any, Dataset]:
    """The network with random weights, and images of a size that it takes; `NAME@PIXELS` says which."""
    import timm
    import torch

    torch.manual_seed(0)
    name, _, pixels = name.partition("@")
    module = timm.create_model(name).eval()
    own = module.pretrained_cfg["input_size"][1:]
    wished = (int(pixels or PIXELS),) * 2
    sizes = [own] if module.pretrained_cfg.get("fixed_input_size") else [wished, own]
    with torch.no_grad():
        for parameter in module.parameters():
            unequal(parameter)
        try:
            module(torch.zeros(1, 3, *sizes[0]))
        except (AssertionError, RuntimeError):  # too small for its last layers
            sizes.pop(0)
        data = images(*sizes[0])
        norms = [each for each in module.modules() if isinstance(each, torch.nn.modules.batchnorm._BatchNorm)]
        for norm in norms:
            norm.reset_running_stats()
            norm.train().momentum = None
        module(*map(torch.from_numpy, data.to_model_inputs(data["validation"].x)))
    return module.eval(), data


def unequal(parameter: Any) -> None:
    """Numbers that start all alike, such as those of norms and of the scale of a layer, become numbers that matter."""
    value = float(parameter.min())
    if value != float(parameter.max()):
        return
    if parameter.numel() == 1:
        parameter.fill_(value or 0.5)
    elif value == 0 and parameter.ndim > 1:
        parameter.normal_(0, float(np.prod(parameter.shape[1:])) ** -0.5)
    elif value == 0:
        parameter.normal_(0, 0.2)
    else:
        parameter.uniform_(0.5, 1.5).mul_(max(value, 0.3))


def images(height: int, width: int) -> Dataset:
    """Clouds of colour with noise on them, each of its own brightness and contrast."""

    def drawn(count: int, seed: int) -> Split:
        random = np.random.default_rng(seed)
        pictures = []
        for _ in range(count):
            coarse = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8))
            cloud = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.float32) - 128
            cloud = (
                cloud * random.uniform(0.3, 1.2) + random.normal(0, 25, (height, width, 3)) + random.uniform(70, 180)
            )
            pictures.append(np.clip(cloud, 0, 255).astype(np.uint8).transpose(2, 0, 1))
        return Split(np.stack(pictures), np.zeros(count, np.int64))

    splits = {"train": drawn(1, 0), "validation": drawn(CALIBRATION, 1), "test": drawn(EXAMPLES, 2)}
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    given = Input("input", "image", (3, height, width), 1 / 255, mean, std)
    return Dataset("clouds", ("any",), splits, (given,), labelled=False)
