"""Run one repetition of a comparison in a process of its own.

Routes or recipes are built with seeds of their own; the results go to a file.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from ...config import recipe, target
from ...config.target import Target
from ...core.errors import UserError
from ...core.metric_functions import agreement
from ...core.paths import replacing
from ...core.progress import Lines
from ...core.results import ModelFile
from ...core.yamlio import Document
from ...engine.artifacts import detailed, regrouped
from ...engine.cache import Cache
from ...engine.engine import Engine, Result
from ...models import checkpoint
from ...models.description import Description
from .. import exit_codes
from . import routes as ways
from .results import Made

FLOAT, INT8 = "float", "int8"


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--set", "changes", multiple=True)
@click.option("--routes")
@click.option("--tflite", is_flag=True)
@click.option("--judge", "judges", multiple=True, type=click.Path(path_type=Path))
@click.option("--repetition", type=int, required=True)
@click.option("--limit", type=int)
@click.option("--cache", type=click.Path(path_type=Path), required=True)
@click.option("--output", type=click.Path(path_type=Path), required=True)
def main(
    files: tuple[Path, ...],
    changes: tuple[str, ...],
    routes: str | None,
    tflite: bool,
    judges: tuple[Path, ...],
    repetition: int,
    limit: int | None,
    cache: Path,
    output: Path,
) -> int:
    """`judges` are the targets whose budgets the files of the first repetition are judged by."""
    targets = [target.load(file) for file in judges]
    given = [recipe.load(file, changes) for file in files]
    found = (
        by_routes(given[0], routes.split(","), repetition, Cache(cache), limit, targets, tflite=tflite)
        if routes
        else by_recipes(given, repetition, Cache(cache), limit, targets, tflite=tflite)
    )
    with replacing(output) as temporary:
        temporary.write_text("\n".join(each.model_dump_json() for each in found), encoding="utf-8")
    return 0


def by_routes(
    given: recipe.Recipe,
    names: list[str],
    repetition: int,
    cache: Cache,
    limit: int | None,
    targets: list[Target],
    *,
    tflite: bool,
) -> list[Made]:
    """Every route of one recipe: the teachers first, since the best single one is told by validation."""
    found = ways.parts(given)

    def run(stages: list[dict[str, Any]], targets: Sequence[Target] = ()) -> Engine:
        return _run(ways.document(given, stages, repetition), repetition, cache, limit, targets)

    teachers = run(found.upstream)
    best = max(found.members, key=lambda name: _goodness(teachers, teachers.results[name], "validation"))
    effort = 1.0
    if "longer" in names:
        alone = run(ways.stages(found, ["plain"], best, effort))
        effort += sum(map(partial(_trained, teachers), teachers.results)) / _trained(alone, ways.called("plain"))
    engine = run(ways.stages(found, names, best, effort, tflite=tflite), targets)
    sources = {route: ways.source_of(found, route, best) for route in names}
    files = {route: ways.files_of(found, route, best, tflite=tflite) for route in names}
    reference = _strongest([(engine, float_) for float_, _ in files.values()])
    students = [sources[route] for route in ("plain", "distill", "both") if route in sources]
    own = min((_trained(engine, source) for source in students), default=0.0) or 1.0
    made = [
        _made(engine, route, source, files[route], reference, repetition, _effort(engine, source) / own)
        for route, source in sources.items()
    ]
    if repetition:
        return made
    more = tflite or any(each.runtime != "onnxruntime" for each in targets)
    judged = []
    for each in made:
        ends, lite, unfit = ways.files_of(found, each.route, best), None, ""
        try:
            lite = run(ways.stages(found, [each.route], best, effort, tflite=True), targets) if more else None
        except UserError as error:  # a route that nobody converts is one that does not fit there, and says why
            unfit = error.problems[0].message
        labels = dict(zip((FLOAT, INT8), ([(engine, end)] for end in ends), strict=True))
        if lite:
            for which, end in zip((FLOAT, INT8), ways.files_of(found, each.route, best, tflite=True), strict=True):
                labels[which].append((lite, end))
        judged.append(_to_judge(each, labels, engine, found.reference, unfit))
    return judged


def by_recipes(
    given: list[recipe.Recipe],
    repetition: int,
    cache: Cache,
    limit: int | None,
    targets: list[Target],
    *,
    tflite: bool,
) -> list[Made]:
    """Every recipe as it is."""
    engines = [_run(ways.again(each, repetition), repetition, cache, limit) for each in given]
    files = [ways.ends(each, tflite=tflite) for each in given]
    sources = [_exported(engine, float_) for engine, (float_, _) in zip(engines, files, strict=True)]
    reference = _strongest([(engine, float_) for engine, (float_, _) in zip(engines, files, strict=True)])
    efforts = [_effort(engine, source) for engine, source in zip(engines, sources, strict=True)]
    least = min(filter(None, efforts), default=1.0)
    made = [
        _made(engine, each.name, source, labels, reference, repetition, effort / least)
        for each, engine, source, labels, effort in zip(given, engines, sources, files, efforts, strict=True)
    ]
    if repetition:
        return made
    judged = []
    for one, each, engine in zip(made, given, engines, strict=True):
        last = [ways.last(each, tflite=kind) for kind in (False, True)]
        labels = {
            which: [(engine, found[int8]) for found in last if int8 in found]
            for which, int8 in ((FLOAT, False), (INT8, True))
        }
        judged.append(_to_judge(one, labels, engine, each.reference_label(), ""))
    return judged


def _to_judge(
    made: Made, labels: dict[str, list[tuple[Engine, str]]], engine: Engine, reference: str, unfit: str
) -> Made:
    """`made` with what budgets ask about: its last files of each kind and preset, and those of the reference."""
    judged = {
        which: [
            detailed(each, each.results[label], file)
            for each, label in ends
            for file in each.results[label].facts.files
        ]
        for which, ends in labels.items()
    }
    found = engine.results.get(reference)
    start = [regrouped(engine, found, file) for file in found.facts.files] if found else []
    return made.model_copy(update={"judged": judged, "reference": start, "unfit": unfit})


def _run(
    document: Document, repetition: int, cache: Cache, limit: int | None, targets: Sequence[Target] = ()
) -> Engine:
    """An engine that has run; `targets` name the integer presets that the document's own do not."""
    engine = Engine(recipe.checked(document), cache, limit)
    engine.presets = target.presets([*engine.targets, *targets], engine.machine)
    engine.run(_Prefixed(repetition, metric=engine.metric.name, error=not engine.metric.higher))
    return engine


def _exported(engine: Engine, label: str) -> str:
    """The label of what a file was made from: a torch model, a fusion of files, or a file that was loaded."""
    steps = {step.label: step for step in engine.recipe.steps()}
    while steps[label].kind in ("onnx", "tflite") and (above := steps[label].input):
        label = above
    return label


def _strongest(floats: list[tuple[Engine, str]]) -> np.ndarray:
    """What the best float model by validation answers to the test examples."""
    engine, label = max(floats, key=lambda each: _goodness(each[0], each[0].results[each[1]], "validation"))
    return _answers(engine.results[label], engine.results[label].facts.files[0])


def _made(
    engine: Engine,
    name: str,
    source: str,
    labels: tuple[str, str],
    reference: np.ndarray,
    repetition: int,
    effort: float,
) -> Made:
    """A route or recipe: the model `source`, and its float and int8 files; `reference` is the strongest's answers."""
    result = engine.results[source]
    ends = dict(zip((FLOAT, INT8), (engine.results[label] for label in labels), strict=True))
    files = {which: regrouped(engine, each, each.facts.files[0]) for which, each in ends.items()}
    answers = {which: _answers(each, files[which]) for which, each in ends.items()}
    y = engine.data["test"].y
    return Made(
        route=name,
        repetition=repetition,
        parameters=result.facts.parameters,
        macs=result.facts.macs,
        passes=_passes(engine, source),
        files=files,
        agreement={which: agreement(each, reference, y) for which, each in answers.items()},
        recalls={which: _recalls(each, y, engine.data.labels) for which, each in answers.items()},
        effort=effort,
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
    return _networks(checkpoint.read(artifact.path)[0]) if artifact.kind == "torch" else 1


def _networks(description: Description | None) -> int:
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


def _effort(engine: Engine, label: str) -> float:
    """That of a step and all that it is made from."""
    return sum(_trained(engine, each) for each in _before(engine, label))


def _trained(engine: Engine, label: str) -> float:
    """Examples times passes that a step itself learnt from, times the multiply-accumulates of its network."""
    stage = next(step.stage for step in engine.recipe.steps() if step.label == label)
    epochs = getattr(getattr(stage, "finetune", stage), "epochs", 0)
    more = engine.data.unlabelled
    use_more = more is not None and getattr(stage, "unlabelled", False)
    count = len(engine.data["train"].y) + (len(more) if use_more and more is not None else 0)
    return float(epochs * count * (engine.results[label].facts.macs or 1))


class _Prefixed(Lines):
    """Lines of several processes at once: each says whose it is."""

    def __init__(self, repetition: int, *, metric: str, error: bool) -> None:
        super().__init__(metric=metric, error=error)
        self.repetition = repetition

    def _print(self, line: str) -> None:
        super()._print(f"seed {self.repetition + 1}: {line}")


if __name__ == "__main__":
    sys.exit(exit_codes.run(main))
