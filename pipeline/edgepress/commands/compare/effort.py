"""Count the cost of a route: networks an inference runs, compute to train.

Compute is examples × epochs × multiply-accumulates, with the passes of a teacher that a student learns from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, Self

from ...config.chain import Step
from ...engine.engine import Engine
from ...models import checkpoint
from ...models.description import Description

FORWARD = 1 / 3
"""Compute of a forward pass, as a share of a pass in training: backward takes twice as much (Kaplan et al., 2020)."""


def passes(engine: Engine, label: str) -> int:
    """Count the networks that run in one inference."""
    step = _step(engine, label)
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


@dataclass(frozen=True)
class Compute:
    """Training compute. Where the multiply-accumulates of one network are not known, every network counts alike."""

    counted: bool

    @classmethod
    def of(cls, results: Iterable[tuple[Engine, str]]) -> Self:
        """Return that of all that the `results` are made from."""
        networks = [
            engine.results[network].facts.macs
            for engine, label in results
            for step in map(partial(_step, engine), made_from(engine, label))
            for network in (*_teachers(step), *([step.label] if _schedule(step.stage).epochs else []))
        ]
        return cls(all(networks))

    def total(self, engine: Engine, label: str) -> float:
        """Return the compute of a step and all that it is made from."""
        return sum(self.of_step(engine, step) for step in made_from(engine, label))

    def of_step(self, engine: Engine, label: str) -> float:
        """Return the compute of a step alone: of its network, and of the teachers that it runs."""
        step = _step(engine, label)
        return self.own(engine, label) + self.taught(engine, step.stage, _teachers(step))

    def own(self, engine: Engine, label: str) -> float:
        """Return the compute of a step's network: examples × epochs × multiply-accumulates."""
        stage = _step(engine, label).stage
        epochs = _schedule(stage).epochs
        return float(epochs * _examples(engine, stage) * self._macs(engine, label)) if epochs else 0.0

    def taught(self, engine: Engine, stage: Any, teachers: Sequence[str]) -> float:
        """Return the compute of `teachers`: each runs once a view, and in every step the first, for its layers."""
        if not teachers:
            return 0.0
        schedule, macs = _schedule(stage), [self._macs(engine, name) for name in teachers]
        passes = schedule.views * sum(macs) + (schedule.epochs * macs[0] if hasattr(stage, "layers") else 0)
        return FORWARD * passes * _examples(engine, stage)

    def _macs(self, engine: Engine, label: str) -> int:
        return (engine.results[label].facts.macs or 1) if self.counted else passes(engine, label)


def _step(engine: Engine, label: str) -> Step:
    return next(step for step in engine.recipe.steps() if step.label == label)


def _schedule(stage: Any) -> Any:
    """Return what has the `epochs` of a stage, or of its fine-tuning; 0 where nothing is trained."""
    found = getattr(stage, "finetune", stage)
    return found if hasattr(found, "epochs") else SimpleNamespace(epochs=0)


def _teachers(step: Step) -> list[str]:
    """Return the models whose outputs a step learns from: a network that is pruned has them from itself, if none is
    named."""
    schedule = _schedule(step.stage)
    if not schedule.epochs or not hasattr(schedule, "views"):
        return []
    return [*step.named] or ([step.input] if step.input else [])


def _examples(engine: Engine, stage: Any) -> int:
    more = engine.data.unlabelled if getattr(stage, "unlabelled", False) else None
    return len(engine.data["train"].y) + (0 if more is None else len(more))
