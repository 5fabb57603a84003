"""Count the cost of a route: networks an inference runs, compute to train.

Compute is examples × epochs × multiply-accumulates.
"""

from __future__ import annotations

from ...engine.engine import Engine
from ...models import checkpoint
from ...models.description import Description


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
    return sum(trained(engine, step) for step in made_from(engine, label))


def trained(engine: Engine, label: str) -> float:
    """Return the training compute of a step alone: examples × epochs × multiply-accumulates of its network."""
    stage = next(step.stage for step in engine.recipe.steps() if step.label == label)
    epochs = getattr(getattr(stage, "finetune", stage), "epochs", 0)
    more = engine.data.unlabelled
    use_more = more is not None and getattr(stage, "unlabelled", False)
    count = len(engine.data["train"].y) + (len(more) if use_more and more is not None else 0)
    return float(epochs * count * (engine.results[label].facts.macs or 1))
