"""Count the cost of a route: networks an inference runs, compute to train.

Compute is examples × epochs × multiply-accumulates, with the passes of a teacher that a student learns from.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...engine.engine import Engine
from ...models import checkpoint
from ...models.description import Description

FORWARD = 1 / 3
"""Compute of a forward pass, as a share of a pass in training: backward takes twice as much (Kaplan et al., 2020)."""


def passes(engine: Engine, label: str) -> int:
    """Count the networks that run in one inference."""
    step = next(step for step in engine.recipe.steps() if step.label == label)
    if step.stage.use in ("fuse.ensemble", "fuse.stack"):
        return sum(passes(engine, name) for name in step.named)
    artifact = engine.results[label].artifact
    return _networks(checkpoint.read(artifact.path)[0]) if artifact.kind == "torch" else 1


def _networks(description: Description | None) -> int:
    """Count the networks of a loaded file."""
    return sum(map(_networks, description.members)) if description and description.members else 1


def made_from(engine: Engine, label: str) -> set[str]:
    """Return a step and all that it is made from."""
    steps, needed, open_ = {step.label: step for step in engine.recipe.steps()}, set(), [label]
    while open_:
        step = steps[open_.pop()]
        if step.label not in needed:
            needed.add(step.label)
            open_ += [*step.named, *([step.input] if step.input else [])]
    return needed


def total_effort(engine: Engine, label: str) -> float:
    """Return the training compute of a step and all that it is made from."""
    return sum(step_effort(engine, step) for step in made_from(engine, label))


def step_effort(engine: Engine, label: str) -> float:
    """Return the training compute of a step alone: of its network, and of the teachers that it runs."""
    step = next(step for step in engine.recipe.steps() if step.label == label)
    return trained(engine, label) + taught(engine, step.stage, step.named)


def trained(engine: Engine, label: str) -> float:
    """Return the training compute of a step's network: examples × epochs × multiply-accumulates."""
    stage = next(step.stage for step in engine.recipe.steps() if step.label == label)
    epochs = getattr(getattr(stage, "finetune", stage), "epochs", 0)
    return float(epochs * _examples(engine, stage) * _macs(engine, label))


def taught(engine: Engine, stage: Any, teachers: Iterable[str]) -> float:
    """Return the compute of a distillation's teachers: they run once a view, and in every step where layers count."""
    if stage.family != "distill":
        return 0.0
    times = stage.views + (stage.epochs if hasattr(stage, "layers") else 0)
    return FORWARD * times * _examples(engine, stage) * sum(_macs(engine, name) for name in teachers)


def _macs(engine: Engine, label: str) -> int:
    return engine.results[label].facts.macs or 1


def _examples(engine: Engine, stage: Any) -> int:
    more = engine.data.unlabelled if getattr(stage, "unlabelled", False) else None
    return len(engine.data["train"].y) + (0 if more is None else len(more))
