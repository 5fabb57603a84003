"""`train`: from scratch or from an earlier result, by the seed alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from edgepress.core.paths import digest
from edgepress.data.dataset import Dataset
from edgepress.data.facts import DataFacts
from edgepress.models import checkpoint
from edgepress.models.description import Network
from edgepress.stage import Setting
from edgepress.stages.train import FuseSwa, Train
from pydantic import ValidationError

from tests.conftest import TINY, fresh

Perform = Callable[..., Any]


def stage(**options: Any) -> Train:
    return Train.model_validate({"use": "train", "epochs": 1, "batch": 32} | options)


def test_the_recipes_seed_is_the_default(few: Dataset, perform: Perform) -> None:
    found = [
        digest(perform(stage(model=TINY, **options), {}, few, seed=seed)[0].path)
        for options, seed in (({}, 5), ({"seed": 5}, 0), ({"seed": 5}, 5), ({}, 6))
    ]
    assert found[0] == found[1] == found[2] != found[3]


def test_further_from_an_earlier_result(tiny: Network, few: Dataset, tmp_path: Path, perform: Perform) -> None:
    start = fresh(tiny, few, tmp_path / "start")
    before = digest(start.path)
    untouched, _ = perform(stage(start="s", epochs=0), {"s": start}, few)
    assert untouched.path.read_bytes() == start.path.read_bytes(), "no epochs: the very weights"
    further, _ = perform(stage(start="s"), {"s": start}, few)
    assert digest(start.path) == before
    weights = [dict(checkpoint.load(each.path)[0].named_parameters()) for each in (start, further)]
    moved = [float((weights[1][name] - tensor).detach().abs().max()) for name, tensor in weights[0].items()]
    assert 0 < max(moved) < 0.1, "a few small steps away"


def test_smoothing_shapes_the_result(few: Dataset, perform: Perform) -> None:
    plain, smooth = (perform(stage(model=TINY, label_smoothing=s), {}, few)[0] for s in (0.0, 0.2))
    assert digest(plain.path) != digest(smooth.path)


def test_the_file_is_in_eval_mode_and_whole(few: Dataset, perform: Perform) -> None:
    module, description = checkpoint.load(perform(stage(model=TINY), {}, few)[0].path)
    assert not module.training
    assert description.network == Network.model_validate(TINY)
    assert all(torch.isfinite(value).all() for value in module.state_dict().values())


@pytest.mark.parametrize(
    "options", [{}, {"model": TINY, "start": "s"}, {"model": "resnet18"}, {"model": "timm/Res Net"}]
)
def test_either_a_network_or_a_start(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        stage(**options)


@pytest.mark.parametrize(
    ("options", "facts", "words"),
    [
        ({"mixup": 0.2}, DataFacts(), "examples that are not in the bag"),
        ({}, DataFacts(task="embedding"), "a bag holds copies"),
        ({}, DataFacts(task="single-label"), None),
    ],
)
def test_a_bag_holds_only_its_own(options: dict[str, Any], facts: DataFacts, words: str | None) -> None:
    found = [each.message for each in stage(model=TINY, bag=True, **options).reject(Setting({}, facts, {}))]
    assert [words in each for each in found] == ([True] if words else [])


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("patience", 2, "`patience` keeps the weights of one epoch"),
        ("ema", 0.99, "`ema` keeps a moving average"),
        ("schedule", "cosine", "whatever the `schedule`"),
    ],
)
def test_a_mean_of_weights_is_no_other_choice_of_them(option: str, value: Any, words: str) -> None:
    """Its first weights, which are untrained, would be the best of every epoch before the last quarter."""
    swa = FuseSwa.model_validate({"use": "fuse.swa", "model": TINY, "epochs": 8, option: value})
    (rejection,) = swa.reject(Setting({}, DataFacts(), {}))
    assert words in rejection.message
