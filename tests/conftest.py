"""What tests share: a small data set, networks of some thousand parameters, and one finished run."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import io
import json
import re
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from edgepress.commands import exit_codes, main
from edgepress.core.metrics import METRICS
from edgepress.data.dataset import Dataset
from edgepress.data.load import load_dataset
from edgepress.engine.cache import Cache
from edgepress.models import checkpoint
from edgepress.models.description import Description, Network
from edgepress.stage import Artifact, Context, Made, Stage
from hypothesis import settings

# In the background of a script SIGINT is ignored, also by the processes that tests interrupt: those would never end.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no failure.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

TINY: dict[str, Any] = {
    "arch": "timm/resnet18",
    "args": {"layers": [1, 1, 1, 1], "channels": [8, 16, 24, 32], "stem_width": 8},
}
"""A ResNet of 29 thousand parameters, as a recipe writes it."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker makes the finished run, and tests all that needs it."""
    for item in items:
        if "finished" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("finished"))


@pytest.fixture(autouse=True)
def same_random_numbers() -> None:
    """Which tests ran before in this process changes no number: not of torch, not of a test module's `RANDOM`."""
    torch.manual_seed(0)
    start = np.random.default_rng(0).bit_generator.state
    for name, module in list(sys.modules.items()):
        if name.startswith("tests.") and isinstance(getattr(module, "RANDOM", None), np.random.Generator):
            module.RANDOM.bit_generator.state = start


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load_dataset("digits")


@pytest.fixture(scope="session")
def few(digits: Dataset) -> Dataset:
    """Its normalization is the recipe's, so that files from elsewhere can be loaded."""
    return replace(digits.limited(96), inputs=(replace(digits.input, normalized_by="recipe"),))


@pytest.fixture(scope="session")
def tiny() -> Network:
    return Network.model_validate(TINY)


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
            "metric": METRICS["accuracy"],
            "seed": 0,
            "source": tmp_path / "recipe.yaml",
            "presets": ("x86", "xnnpack"),
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


def saved(module: Any, description: Description, folder: Path) -> Artifact:
    """A torch model as an earlier stage would have left it."""
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint.save(module, description, folder / "model.safetensors")
    return Artifact("torch", folder)


def fresh(network: Network, data: Dataset, folder: Path, seed: int = 0) -> Artifact:
    """An untrained network of the zoo, whose batch norms have something to say."""
    import torch
    from edgepress.training import seeded

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


RECIPE = f"""\
name: whole
task: {{data: digits, seed: 0}}
stages:
  - {{use: train, name: base, model: {json.dumps(TINY)}, epochs: 3, batch: 64, lr: 0.02, flip: false, shift: 0}}
  - {{use: train, name: a, start: base, epochs: 1, lr: 0.002, flip: false, shift: 0, seed: 1}}
  - {{use: train, name: b, start: base, epochs: 1, lr: 0.002, flip: false, shift: 0, seed: 2}}
  - {{use: fuse.soup.greedy, name: soup, models: [a, b]}}
  - {{use: fuse.ensemble, name: teacher, models: [soup, a]}}
  - use: distill.kd
    name: student
    student: {json.dumps(TINY)}
    teacher: teacher
    epochs: 3
    batch: 64
    lr: 0.02
    flip: false
    shift: 0
    views: 1
  - use: prune.channels
    name: small
    ratio: 30%
    round_to: 1
    finetune: {{epochs: 3, batch: 64, lr: 0.02, flip: false, shift: 0}}
  - {{use: export.onnx, name: float}}
  - {{use: convert.tflite}}
  - {{use: quantize.dynamic, name: dynamic, input: float}}
  - {{use: quantize.static, name: int8, input: float, samples: 64}}
  - {{use: convert.tflite, name: int8-tflite}}
keep: {{accuracy_drop: 60 points}}
targets: [desk.yaml, phone.yaml]
"""
"""Every kind of stage, on digits; its budgets are wide, for the times of such networks are noise."""
LIGHT = f"""\
name: light
task: {{data: digits, seed: 0}}
stages:
  - {{use: train, name: base, model: {json.dumps(TINY)}, epochs: 6, batch: 16, shift: 1}}
  - {{use: export.onnx}}
targets: [desk.yaml]
"""
"""Two stages: enough to be stopped in the middle."""
TARGETS = {
    "desk.yaml": """\
name: desk
runtime: onnxruntime
reach: local
budgets: {size: 5 MB, latency: 1 s, memory: 4 GB, accuracy: 30%, accuracy_drop: 60 points}
""",
    "phone.yaml": """\
name: phone
runtime: litert
reach: local
budgets: {size: 5 MB, latency: 1 s}
""",
}


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


def edgepress(*arguments: object) -> Said:
    """The command line in this process, without its supervisor: `edgepress(*arguments)`."""
    out, err = io.StringIO(), io.StringIO()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before, sys.argv = sys.argv, ["edgepress", *map(str, arguments)]
    try:
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            sys.exit(exit_codes.run(main.cli))
    finally:
        sys.argv = before
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return Said(int(ended.value.code or 0), out.getvalue(), err.getvalue())


@dataclass(frozen=True)
class Place:
    """A folder with a recipe, its targets, a cache and runs."""

    folder: Path

    @property
    def recipe(self) -> Path:
        return self.folder / "recipe.yaml"

    @property
    def lock(self) -> Path:
        return self.folder / "recipe.lock.yaml"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    def run(self, *options: object) -> Said:
        return edgepress("run", self.recipe, "--cache", self.cache, "--runs", self.runs, *options)

    def check(self, *options: object) -> Said:
        return edgepress("check", self.recipe, "--runs", self.runs, *options)

    def plan(self, *options: object) -> dict[str, tuple[str, str]]:
        """label → (action, why)."""
        said = edgepress("plan", self.recipe, "--cache", self.cache, *options)
        assert said.code == 0, said.err
        rows = [re.split(r" {2,}", line) for line in said.out.splitlines()]
        return {row[1]: (row[0], row[2]) for row in rows}

    def copied(self, folder: Path) -> Place:
        """The same, apart from the original; the cache is shared by hard links."""
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("cache"))
        shutil.copytree(self.cache, folder / "cache", copy_function=os.link)
        return Place(folder)

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


def laid_out(folder: Path, recipe: str = RECIPE) -> Place:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {**TARGETS, "recipe.yaml": recipe}.items():
        (folder / name).write_text(text)
    return Place(folder)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Said]:
    """One whole run, made once; whoever changes anything works on a copy."""
    place = laid_out(tmp_path_factory.mktemp("whole"))
    return place, place.run()


@pytest.fixture
def copy(finished: tuple[Place, Said], tmp_path: Path) -> Place:
    return finished[0].copied(tmp_path / "copy")
