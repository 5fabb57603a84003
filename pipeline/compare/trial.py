"""One repetition of a comparison, as a process: every route made with seeds of its own, its facts into a file."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from .. import ending, recipe, zoo
from ..cache import Cache
from ..engine import Engine, Result
from ..facts import ModelFile
from ..paths import replacing
from ..progress import Lines
from ..scores import agreement
from . import routes as ways
from .facts import Made

FLOAT, INT8 = "float", "int8"


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--set", "changes", multiple=True)
@click.option("--routes", required=True)
@click.option("--repetition", type=int, required=True)
@click.option("--limit", type=int)
@click.option("--cache", type=click.Path(path_type=Path), required=True)
@click.option("--output", type=click.Path(path_type=Path), required=True)
def main(
    file: Path, changes: tuple[str, ...], routes: str, repetition: int, limit: int | None, cache: Path, output: Path
) -> int:
    found = by_routes(recipe.load(file, changes), routes.split(","), repetition, Cache(cache), limit)
    with replacing(output) as temporary:
        temporary.write_text("\n".join(each.model_dump_json() for each in found), encoding="utf-8")
    return 0


def by_routes(given: recipe.Recipe, names: list[str], repetition: int, cache: Cache, limit: int | None) -> list[Made]:
    """Every route of one recipe: the teachers first, since the best single one is told by validation."""
    found = ways.parts(given)

    def run(stages: list[dict[str, Any]]) -> Engine:
        engine = Engine(recipe.checked(ways.document(given, stages, repetition)), cache, limit)
        engine.run(_Prefixed(repetition, error=given.task.lower_is_better))
        return engine

    teachers = run(found.upstream)
    best = max(found.members, key=lambda name: _goodness(teachers, teachers.results[name], "validation"))
    effort = 1.0
    if "longer" in names:
        alone = run(ways.stages(found, ["plain"], best, effort))
        effort += sum(map(partial(_trained, teachers), teachers.results)) / _trained(alone, ways.called("plain"))
    engine = run(ways.stages(found, names, best, effort))
    sources = {route: ways.source_of(found, route, best) for route in names}
    floats = {route: engine.results[ways.float_of(found, route, best)] for route in names}
    strongest = max(floats.values(), key=lambda each: _goodness(engine, each, "validation"))
    reference = _answers(strongest, strongest.facts.files[0])
    students = [sources[route] for route in ("plain", "distill", "both") if route in sources]
    own = min((_trained(engine, source) for source in students), default=0.0) or 1.0
    return [
        _made(engine, route, source, floats[route], reference).model_copy(
            update={
                "repetition": repetition,
                "effort": sum(_trained(engine, label) for label in _before(engine, source)) / own,
            }
        )
        for route, source in sources.items()
    ]


def _made(engine: Engine, route: str, source: str, file: Result, reference: np.ndarray) -> Made:
    """A route, of the first repetition; `reference` is what the strongest model answers."""
    result = engine.results[source]
    ends = {FLOAT: file, INT8: engine.results[f"{route}-{INT8}"]}
    files = {which: each.facts.files[0] for which, each in ends.items()}
    answers = {which: _answers(each, files[which]) for which, each in ends.items()}
    y = engine.data["test"].y
    return Made(
        route=route,
        repetition=0,
        parameters=result.facts.parameters,
        macs=result.facts.macs,
        passes=_passes(engine, source),
        files=files,
        agreement={which: agreement(each, reference, y) for which, each in answers.items()},
        recalls={which: _recalls(each, y, engine.data.labels) for which, each in answers.items()},
        effort=0.0,
    )


def _goodness(engine: Engine, result: Result, split: str) -> float:
    value = result.facts.files[0].scores[split][engine.metric.name]
    return value if engine.metric.higher else -value


def _answers(result: Result, file: ModelFile) -> np.ndarray:
    found: np.ndarray = np.load(result.entry.folder / f"{file.precision}.npy")
    return found


def _recalls(answers: np.ndarray, y: np.ndarray, labels: tuple[str, ...]) -> dict[str, float]:
    if y.ndim > 1 or y.dtype.kind == "f":
        return {}
    told = answers.argmax(1)
    return {label: float((told[y == k] == k).mean()) for k, label in enumerate(labels) if (y == k).any()}


def _passes(engine: Engine, label: str) -> int:
    """Networks that an answer takes."""
    step = next(step for step in engine.recipe.steps() if step.label == label)
    if step.stage.use in ("fuse.ensemble", "fuse.stack"):
        return sum(_passes(engine, name) for name in step.named)
    artifact = engine.results[label].artifact
    return _networks(zoo.read(artifact.path)[0]) if artifact.kind == "torch" else 1


def _networks(description: zoo.Description | None) -> int:
    """Those of a file that was loaded."""
    return sum(map(_networks, description.members)) if description and description.members else 1


def _before(engine: Engine, label: str) -> set[str]:
    """A step and all that it is made from."""
    steps, found, open_ = {step.label: step for step in engine.recipe.steps()}, set(), [label]
    while open_:
        step = steps[open_.pop()]
        if step.label not in found:
            found.add(step.label)
            open_ += [*step.named, *([step.input] if step.input else [])]
    return found


def _trained(engine: Engine, label: str) -> float:
    """Examples times passes that a step itself learnt from, times the multiply-accumulates of its network."""
    stage = next(step.stage for step in engine.recipe.steps() if step.label == label)
    epochs = getattr(stage, "epochs", 0)
    more = engine.data.unlabelled
    use_more = more is not None and getattr(stage, "unlabelled", False)
    count = len(engine.data["train"].y) + (len(more) if use_more and more is not None else 0)
    return float(epochs * count * (engine.results[label].facts.macs or 1))


class _Prefixed(Lines):
    """Lines of several processes at once: each says whose it is."""

    def __init__(self, repetition: int, *, error: bool) -> None:
        super().__init__(error=error)
        self.repetition = repetition

    def _print(self, line: str) -> None:
        super()._print(f"seed {self.repetition + 1}: {line}")


if __name__ == "__main__":
    sys.exit(ending.run(main))
