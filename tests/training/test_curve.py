"""Training curves: a number for each epoch, and the same weights as without them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from edgepress.core.errors import OwnCodeError
from edgepress.core.metrics import METRICS
from edgepress.data.dataset import Dataset
from edgepress.models.description import Network
from edgepress.training import Schedule, curve, fit

from tests.training.test_loop import build, cross_entropy, quiet, same


def followed(tiny: Network, few: Dataset, checkpoint: Path, **more: Any) -> Any:
    schedule = Schedule.model_validate({"epochs": 3, "batch": 32} | more.pop("schedule", {}))
    facts: dict[str, Any] = {"seed": 3, "checkpoint": checkpoint, "say": quiet}
    return fit(build(tiny, few), few, cross_entropy, schedule, **(facts | more))


def test_a_curve_has_a_number_for_each_epoch_and_changes_no_weight(tiny: Network, few: Dataset, tmp_path: Path) -> None:
    with_curve = followed(tiny, few, tmp_path / "checkpoint.pt", metric=METRICS["accuracy"])
    without = followed(tiny, few, tmp_path / "other.pt")
    assert same(with_curve, without)
    own, other = curve.read(tmp_path)
    assert (own["name"], other["name"]) == ("", "other")
    assert len(own["loss"]) == len(own["metric"]) == 3
    assert own["loss"] == other["loss"]
    assert all(0 <= value <= 1 for value in own["metric"])
    assert own["examples"] == len(few["validation"].y)
    assert (other["metric"], other["examples"]) == ([], 0)


def test_a_stopped_training_goes_on_with_its_curve(tiny: Network, few: Dataset, tmp_path: Path) -> None:
    def stopping(done: int, total: int, words: str) -> None:
        if done == 5:
            raise KeyboardInterrupt

    followed(tiny, few, tmp_path / "whole.pt", metric=METRICS["accuracy"])
    with pytest.raises(KeyboardInterrupt):
        followed(tiny, few, tmp_path / "checkpoint.pt", metric=METRICS["accuracy"], say=stopping)
    followed(tiny, few, tmp_path / "checkpoint.pt", metric=METRICS["accuracy"])
    again, whole = (json.loads((tmp_path / f"{name}.curve.json").read_text()) for name in ("checkpoint", "whole"))
    assert again["loss"] == whole["loss"]
    assert again["metric"] == whole["metric"]


def test_a_metric_that_fails_leaves_a_gap_and_no_error(tiny: Network, few: Dataset, tmp_path: Path) -> None:
    def fails(outputs: Any, y: Any) -> Any:
        raise OwnCodeError("no such class yet")

    followed(tiny, few, tmp_path / "checkpoint.pt", metric=replace(METRICS["accuracy"], parts=fails))
    (own,) = curve.read(tmp_path)
    assert own["metric"] == []
    assert len(own["loss"]) == 3


def test_a_slow_metric_takes_a_share_of_the_time(few: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, *(float(second) for second in range(100, 200))])
    monkeypatch.setattr(curve.time, "monotonic", lambda: next(clock))
    calls: list[int] = []
    monkeypatch.setattr(curve, "score", lambda *_: calls.append(1) or 0.5)
    follower = curve.Follower(few, METRICS["accuracy"])
    follower.spent = 50.0
    assert math.isnan(follower(torch.nn.Identity())), "it took half of the time until now"
    follower.spent = 1.0
    assert follower(torch.nn.Identity()) == 0.5
    assert calls == [1]


def test_of_many_examples_some_are_scored_evenly_spread(few: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curve, "MOST", 10)
    follower = curve.Follower(few, METRICS["accuracy"])
    assert follower.examples == len(follower.data["validation"].y) == 10
    assert follower.data["validation"].y[-1] == few["validation"].y[-1]
    assert len(few["validation"].y) > 10
