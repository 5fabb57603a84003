"""What tests share: a small data set, networks of some thousand parameters, and one finished run."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline import data, zoo
from pipeline.cache import Cache
from pipeline.data import Dataset
from pipeline.stage import Artifact, Context, Made, Stage

TINY: dict[str, Any] = {
    "arch": "timm/resnet18",
    "args": {"layers": [1, 1, 1, 1], "channels": [8, 16, 24, 32], "stem_width": 8},
}
"""A ResNet of 29 thousand parameters, as a recipe writes it."""


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return data.load("digits")


@pytest.fixture(scope="session")
def few(digits: Dataset) -> Dataset:
    return digits.limited(96)


@pytest.fixture(scope="session")
def tiny() -> zoo.Network:
    return zoo.Network.model_validate(TINY)


@pytest.fixture
def context(tmp_path: Path) -> Callable[..., Context]:
    """`context(data, **changes)`: what the engine gives a stage, in folders of its own, with a real cache."""
    count = 0

    def make(data: Dataset, **changes: Any) -> Context:
        nonlocal count
        count += 1
        folder, scratch = tmp_path / f"stage-{count}", tmp_path / f"scratch-{count}"
        folder.mkdir()
        scratch.mkdir()
        cache = Cache(tmp_path / "cache")

        def derive(key: dict[str, Any], make: Callable[[Path], None]) -> Path:
            return cache.make(key, lambda folder, scratch: make(folder) or {}).folder

        given = {
            "folder": folder,
            "scratch": scratch,
            "data": data,
            "seed": 0,
            "source": tmp_path / "recipe.yaml",
            "presets": ("u8s8", "s8s8"),
            "say": lambda done, total, words: None,
            "derive": derive,
        }
        return Context(**(given | changes))

    return make


@pytest.fixture
def perform(context: Callable[..., Context]) -> Callable[..., tuple[Artifact, Made]]:
    """`perform(stage, inputs, data, **changes of the context)`: run one stage; its artifact and what it says."""

    def run(stage: Stage, inputs: dict[str, Artifact], data: Dataset, **changes: Any) -> tuple[Artifact, Made]:
        given = context(data, **changes)
        made = stage.run(inputs, given)
        return Artifact(made.kind, given.folder, made.presets, made.notes), made

    return run


def saved(module: Any, description: zoo.Description, folder: Path) -> Artifact:
    """A torch model as an earlier stage would have left it."""
    folder.mkdir(parents=True, exist_ok=True)
    zoo.save(module, description, folder / "model.safetensors")
    return Artifact("torch", folder)


def fresh(network: zoo.Network, data: Dataset, folder: Path, seed: int = 0) -> Artifact:
    """An untrained network of the zoo, whose batch norms have something to say."""
    import torch

    from pipeline.train import seeded

    description = network.describe(data)
    with seeded(seed), torch.no_grad():
        module = description.build().eval()
        for layer in module.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                for tensor in (layer.weight, layer.running_var):
                    tensor.uniform_(0.5, 1.5)
                for tensor in (layer.bias, layer.running_mean):
                    tensor.normal_(0, 0.2)
        return saved(module, description, folder)
