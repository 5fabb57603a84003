"""`prune.channels`: fewer channels in the counts that were asked for, and a file that rebuilds what is left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from edgepress.core.errors import UserError
from edgepress.data.dataset import Dataset
from edgepress.models import checkpoint
from edgepress.models.description import Network
from edgepress.stage import Artifact
from edgepress.stages.prune import PruneChannels
from pydantic import ValidationError
from torch import nn

from tests.conftest import fresh

Perform = Callable[..., Any]
MOBILENET = Network(arch="timm/mobilenetv2_050")


def stage(**options: Any) -> PruneChannels:
    return PruneChannels.model_validate({"use": "prune.channels", "finetune": {"epochs": 0}} | options)


def widths(artifact: Artifact) -> list[int]:
    return [layer.out_channels for layer in checkpoint.load(artifact.path)[0].modules() if isinstance(layer, nn.Conv2d)]


def count(artifact: Artifact) -> int:
    return sum(p.numel() for p in checkpoint.load(artifact.path)[0].parameters())


def answers(module: nn.Module, data: Dataset) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = module.eval()(torch.from_numpy(data.input.to_model_inputs(data["test"].x[:16])))
    return found


@pytest.fixture(scope="module")
def mobilenet(few: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return fresh(MOBILENET, few, tmp_path_factory.mktemp("mobilenet"))


@pytest.mark.parametrize(("round_to", "multiple"), [(None, 8), (1, 1), (4, 4)])
def test_channel_counts(
    mobilenet: Artifact, few: Dataset, perform: Perform, round_to: int | None, multiple: int
) -> None:
    options = {} if round_to is None else {"round_to": round_to}
    artifact, made = perform(stage(ratio="40%", **options), {"input": mobilenet}, few)
    found = widths(artifact)
    assert len(found) == len(widths(mobilenet)), "channels go, layers stay"
    assert all(width % multiple == 0 and width > 0 for width in found)
    assert (multiple > 1) or any(width % 8 for width in found)
    assert made.notes["parameters"] == [count(mobilenet), count(artifact)]
    assert count(artifact) < 0.75 * count(mobilenet)


def test_the_share_of_channels_is_the_ratio(mobilenet: Artifact, few: Dataset, perform: Perform) -> None:
    artifact, _ = perform(stage(ratio="50%", round_to=1), {"input": mobilenet}, few)
    for before, after in zip(widths(mobilenet), widths(artifact), strict=True):
        assert after == pytest.approx(before / 2, abs=1)


@pytest.mark.parametrize(
    "options", [{"round_to": 1}, {}, {"everywhere": True, "round_to": 1}], ids=["odd", "8", "global"]
)
def test_the_file_rebuilds_the_pruned_network(
    mobilenet: Artifact, few: Dataset, perform: Perform, tmp_path: Path, options: dict[str, Any]
) -> None:
    artifact, _ = perform(stage(ratio="30%", **options), {"input": mobilenet}, few)
    module, description = checkpoint.load(artifact.path)
    again, _ = checkpoint.load(artifact.path)
    assert torch.equal(answers(module, few), answers(again, few))
    assert description.pruned
    checkpoint.save(module, description, tmp_path / "copy.safetensors")
    assert torch.equal(answers(checkpoint.load(tmp_path / "copy.safetensors")[0], few), answers(module, few))


def test_what_is_left_are_the_strongest_channels_of_the_original(tiny: Network, few: Dataset, perform: Perform,
    tmp_path: Path) -> None:  # fmt: skip
    """Channels whose every weight is zero go first, and the answers stay what they were."""
    source = fresh(tiny, few, tmp_path / "m")
    module, description = checkpoint.load(source.path)
    with torch.no_grad():
        block = module.layer4[0]  # the channels between its two convolutions depend on nothing else
        for tensor in (block.conv1.weight, block.bn1.weight, block.bn1.bias):
            tensor[::4] = 0
        block.conv2.weight[:, ::4] = 0
    checkpoint.save(module, description, source.path)
    artifact, _ = perform(stage(ratio="25%", round_to=1), {"input": source}, few)
    pruned, _ = checkpoint.load(artifact.path)
    kept = pruned.layer4[0].conv1.weight
    assert kept.shape[0] == 24
    assert float(kept.detach().flatten(1).norm(dim=1).min()) > 0


def test_pruned_twice(mobilenet: Artifact, few: Dataset, perform: Perform) -> None:
    once, _ = perform(stage(ratio="30%", round_to=1), {"input": mobilenet}, few)
    twice, _ = perform(stage(ratio="30%", round_to=1), {"input": once}, few)
    assert count(twice) < count(once) < count(mobilenet)
    module, description = checkpoint.load(twice.path)
    assert len(description.pruned) > len(checkpoint.load(once.path)[1].pruned)
    assert torch.isfinite(answers(module, few)).all()


def test_fine_tuning_learns_from_the_model_before(digits: Dataset, perform: Perform) -> None:
    from edgepress.core import metric_functions
    from edgepress.stages.train import Train
    from edgepress.training import Examples, logits

    from tests.conftest import TINY

    options = {"use": "train", "model": TINY, "batch": 64, "lr": 0.02, "flip": False, "shift": 0, "epochs": 4}
    teacher, _ = perform(Train.model_validate(options), {}, digits)
    finetune = {"epochs": 3, "lr": 0.01, "batch": 64, "flip": False, "shift": 0}
    raw, _ = perform(stage(ratio="40%", round_to=1), {"input": teacher}, digits)
    tuned, _ = perform(stage(ratio="40%", round_to=1, finetune=finetune), {"input": teacher}, digits)

    def accuracy(artifact: Artifact) -> float:
        return metric_functions.accuracy(
            logits(checkpoint.load(artifact.path)[0], Examples(digits, "test", 0)), digits["test"].y
        )

    assert accuracy(raw) + 0.1 < accuracy(tuned)
    assert accuracy(tuned) > 0.85
    assert widths(raw) == widths(tuned)


def test_an_ensemble_is_refused(tiny: Network, few: Dataset, perform: Perform, tmp_path: Path) -> None:
    from edgepress.stages.fuse.ensemble import FuseEnsemble

    models = {name: fresh(tiny, few, tmp_path / name) for name in ("a", "b")}
    both, _ = perform(FuseEnsemble.model_validate({"use": "fuse.ensemble", "models": ["a", "b"]}), models, few)
    with pytest.raises(UserError, match="an ensemble cannot be pruned") as error:
        perform(stage(ratio="30%"), {"input": both}, few)
    assert "distil" in error.value.problems[0].help


@pytest.mark.parametrize("ratio", ["0%", "100%", "130%", "30", 0.3])
def test_ratios_that_leave_all_or_nothing_are_refused_before_a_run(ratio: Any) -> None:
    with pytest.raises(ValidationError):
        stage(ratio=ratio)


def test_rounding_may_leave_every_channel(few: Dataset, perform: Perform, tmp_path: Path) -> None:
    """The file is then a copy, and the engine says so."""
    args = {"layers": [1, 1, 1, 1], "channels": [8, 8, 8, 8], "stem_type": "deep", "stem_width": 4}
    source = fresh(Network(arch="timm/resnet18", args=args), few, tmp_path / "m")
    artifact, made = perform(stage(ratio="30%"), {"input": source}, few)
    assert made.notes["parameters"][0] == made.notes["parameters"][1]
    assert widths(artifact) == widths(source)


def test_ignore_enters_neither_key_nor_lock_by_default() -> None:
    assert "ignore" not in stage().model_dump(mode="json")
    assert stage(ignore=["head"]).model_dump(mode="json")["ignore"] == ["head"]


NETS = """
from torch import nn


def build(num_classes, in_chans, more=False):
    body = [nn.Conv2d(in_chans, 32, 3), nn.GroupNorm(4, 32), nn.ReLU()]
    body += [nn.Conv2d(32, 32, 1), nn.ReLU()] if more else []
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, num_classes))
"""
RECIPE = """\
name: group-norm
task: {data: digits}
stages:
  - {use: train, name: base, model: {arch: "./nets.py:build", args: {more: MORE}}, epochs: 1}
  - {use: prune.channels, name: small, ratio: 40%, round_to: 4, finetune: {epochs: 0}}
"""


def engine(folder: Path, more: str) -> Any:
    from edgepress.config.recipe import load
    from edgepress.engine.cache import Cache
    from edgepress.engine.engine import Engine

    (folder / "nets.py").write_text(NETS)
    (folder / "recipe.yaml").write_text(RECIPE.replace("MORE", more))
    return Engine(load(folder / "recipe.yaml"), Cache(folder / "cache"), limit=40)


def test_what_is_left_is_warned_of(tmp_path: Path) -> None:
    from edgepress.core.progress import Silent

    facts = engine(tmp_path, "true").run(Silent())[1]
    assert facts.notes["unpruned"] == {"0": "a norm averages over their channels"}
    assert "left channels unpruned, a norm averages over their channels: `0`" in facts.warnings


def test_a_network_that_cannot_be_pruned_is_refused_before_it_is_trained(tmp_path: Path) -> None:
    from edgepress.core.progress import Silent

    run = engine(tmp_path, "false")
    with pytest.raises(UserError, match="can be pruned: a norm averages over their channels: `0`") as error:
        run.run(Silent())
    place = error.value.problems[0].place
    assert place is not None
    assert place.line == 5
    assert not run.results
