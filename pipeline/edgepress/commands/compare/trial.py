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
from .results import RouteResult

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
    """Run one repetition; targets in `judges` judge the files of the first one."""
    targets = [target.load(file) for file in judges]
    recipes = [recipe.load(file, changes) for file in files]
    results = (
        by_routes(recipes[0], routes.split(","), repetition, Cache(cache), limit, targets, tflite=tflite)
        if routes
        else by_recipes(recipes, repetition, Cache(cache), limit, targets, tflite=tflite)
    )
    with replacing(output) as temporary:
        temporary.write_text("\n".join(result.model_dump_json() for result in results), encoding="utf-8")
    return 0


def by_routes(
    recipe_: recipe.Recipe,
    names: list[str],
    repetition: int,
    cache: Cache,
    limit: int | None,
    targets: list[Target],
    *,
    tflite: bool,
) -> list[RouteResult]:
    """Run every route of one recipe: teachers first, since validation selects the best single one."""
    parts = ways.parts(recipe_)

    def run(stages: list[dict[str, Any]], targets: Sequence[Target] = ()) -> Engine:
        return _run(ways.document(recipe_, stages, repetition), repetition, cache, limit, targets)

    teachers = run(parts.upstream)
    best = max(parts.members, key=lambda name: _signed_score(teachers, teachers.results[name], "validation"))
    effort = 1.0
    if "longer" in names:
        alone = run(ways.stages(parts, ["plain"], best, effort))
        effort += sum(map(partial(_trained, teachers), teachers.results)) / _trained(alone, ways.called("plain"))
    engine = run(ways.stages(parts, names, best, effort, tflite=tflite), targets)
    sources = {route: ways.source_of(parts, route, best) for route in names}
    files = {route: ways.files_of(parts, route, best, tflite=tflite) for route in names}
    reference = _strongest([(engine, float_) for float_, _ in files.values()])
    students = [sources[route] for route in ("plain", "distill", "both") if route in sources]
    own = min((_trained(engine, source) for source in students), default=0.0) or 1.0
    results = [
        _route_result(engine, route, source, files[route], reference, repetition, _effort(engine, source) / own)
        for route, source in sources.items()
    ]
    if repetition:
        return results
    more = tflite or any(target.runtime != "onnxruntime" for target in targets)
    judged = []
    for result in results:
        ends, lite, reason = ways.files_of(parts, result.route, best), None, ""
        try:
            lite = run(ways.stages(parts, [result.route], best, effort, tflite=True), targets) if more else None
        except UserError as error:  # a route that cannot be converted does not fit there, for this reason
            reason = error.problems[0].message
        labels = dict(zip((FLOAT, INT8), ([(engine, end)] for end in ends), strict=True))
        if lite:
            for which, end in zip((FLOAT, INT8), ways.files_of(parts, result.route, best, tflite=True), strict=True):
                labels[which].append((lite, end))
        judged.append(_to_judge(result, labels, engine, parts.reference, reason))
    return judged


def by_recipes(
    recipes: list[recipe.Recipe],
    repetition: int,
    cache: Cache,
    limit: int | None,
    targets: list[Target],
    *,
    tflite: bool,
) -> list[RouteResult]:
    """Run every recipe as it is."""
    engines = [_run(ways.again(recipe_, repetition), repetition, cache, limit) for recipe_ in recipes]
    files = [ways.ends(recipe_, tflite=tflite) for recipe_ in recipes]
    sources = [_exported(engine, float_) for engine, (float_, _) in zip(engines, files, strict=True)]
    reference = _strongest([(engine, float_) for engine, (float_, _) in zip(engines, files, strict=True)])
    efforts = [_effort(engine, source) for engine, source in zip(engines, sources, strict=True)]
    least = min(filter(None, efforts), default=1.0)
    results = [
        _route_result(engine, recipe_.name, source, labels, reference, repetition, effort / least)
        for recipe_, engine, source, labels, effort in zip(recipes, engines, sources, files, efforts, strict=True)
    ]
    if repetition:
        return results
    judged = []
    for result, recipe_, engine in zip(results, recipes, engines, strict=True):
        last = [ways.last(recipe_, tflite=kind) for kind in (False, True)]
        labels = {
            which: [(engine, labels_by_precision[int8]) for labels_by_precision in last if int8 in labels_by_precision]
            for which, int8 in ((FLOAT, False), (INT8, True))
        }
        judged.append(_to_judge(result, labels, engine, recipe_.reference_label(), ""))
    return judged


def _to_judge(
    result: RouteResult, labels: dict[str, list[tuple[Engine, str]]], engine: Engine, reference: str, reason: str
) -> RouteResult:
    """Return `result` with its last files of each kind and preset, and those of the reference, for the budgets."""
    judged = {
        which: [
            detailed(run, run.results[label], file) for run, label in ends for file in run.results[label].facts.files
        ]
        for which, ends in labels.items()
    }
    reference_result = engine.results.get(reference)
    start = (
        [regrouped(engine, reference_result, file) for file in reference_result.facts.files] if reference_result else []
    )
    return result.model_copy(update={"judged": judged, "reference": start, "unfit": reason})


def _run(
    document: Document, repetition: int, cache: Cache, limit: int | None, targets: Sequence[Target] = ()
) -> Engine:
    """Return an engine that has run; `targets` add integer presets to those of the document's own."""
    engine = Engine(recipe.checked(document), cache, limit)
    engine.presets = target.presets([*engine.targets, *targets], engine.machine)
    engine.run(_Prefixed(repetition, metric=engine.metric.name, error=not engine.metric.higher))
    return engine


def _exported(engine: Engine, label: str) -> str:
    """Return the label of a file's source: a torch model, a fusion of files, or a file that was loaded."""
    steps = {step.label: step for step in engine.recipe.steps()}
    while steps[label].kind in ("onnx", "tflite") and (above := steps[label].input):
        label = above
    return label


def _strongest(floats: list[tuple[Engine, str]]) -> np.ndarray:
    """Return the test outputs of the best float model by validation."""
    engine, label = max(floats, key=lambda pair: _signed_score(pair[0], pair[0].results[pair[1]], "validation"))
    return _outputs(engine.results[label], engine.results[label].facts.files[0])


def _route_result(
    engine: Engine,
    name: str,
    source: str,
    labels: tuple[str, str],
    reference: np.ndarray,
    repetition: int,
    effort: float,
) -> RouteResult:
    """Describe a route or recipe: the model `source`, and its float and int8 files, beside the outputs `reference`."""
    result = engine.results[source]
    ends = dict(zip((FLOAT, INT8), (engine.results[label] for label in labels), strict=True))
    files = {which: regrouped(engine, result_, result_.facts.files[0]) for which, result_ in ends.items()}
    outputs = {which: _outputs(result_, files[which]) for which, result_ in ends.items()}
    y = engine.data["test"].y
    return RouteResult(
        route=name,
        repetition=repetition,
        parameters=result.facts.parameters,
        macs=result.facts.macs,
        passes=_passes(engine, source),
        files=files,
        agreement={which: agreement(scores, reference, y) for which, scores in outputs.items()},
        recalls={which: _recalls(scores, y, engine.data.labels) for which, scores in outputs.items()},
        effort=effort,
    )


def _signed_score(engine: Engine, result: Result, split: str) -> float:
    value = result.facts.files[0].scores[split][engine.metric.name]
    return value if engine.metric.higher else -value


def _outputs(result: Result, file: ModelFile) -> np.ndarray:
    outputs: np.ndarray = np.load(result.entry.folder / f"{file.precision}.npy")
    return outputs


def _recalls(outputs: np.ndarray, y: np.ndarray, labels: tuple[str, ...]) -> dict[str, float]:
    if y.ndim > 1 or y.dtype.kind == "f":
        return {}
    predicted = outputs.argmax(1)
    return {label: float((predicted[y == k] == k).mean()) for k, label in enumerate(labels) if (y == k).any()}


def _passes(engine: Engine, label: str) -> int:
    """Count the networks that run in one inference."""
    step = next(step for step in engine.recipe.steps() if step.label == label)
    if step.stage.use in ("fuse.ensemble", "fuse.stack"):
        return sum(_passes(engine, name) for name in step.named)
    artifact = engine.results[label].artifact
    return _networks(checkpoint.read(artifact.path)[0]) if artifact.kind == "torch" else 1


def _networks(description: Description | None) -> int:
    """Count the networks of a loaded file."""
    return sum(map(_networks, description.members)) if description and description.members else 1


def _before(engine: Engine, label: str) -> set[str]:
    """Return a step and all that it is made from."""
    steps, needed, open_ = {step.label: step for step in engine.recipe.steps()}, set(), [label]
    while open_:
        step = steps[open_.pop()]
        if step.label not in needed:
            needed.add(step.label)
            open_ += [*step.named, *([step.input] if step.input else [])]
    return needed


def _effort(engine: Engine, label: str) -> float:
    """Return the training compute of a step and all that it is made from."""
    return sum(_trained(engine, step) for step in _before(engine, label))


def _trained(engine: Engine, label: str) -> float:
    """Return the training compute of a step alone: examples × epochs × multiply-accumulates of its network."""
    stage = next(step.stage for step in engine.recipe.steps() if step.label == label)
    epochs = getattr(getattr(stage, "finetune", stage), "epochs", 0)
    more = engine.data.unlabelled
    use_more = more is not None and getattr(stage, "unlabelled", False)
    count = len(engine.data["train"].y) + (len(more) if use_more and more is not None else 0)
    return float(epochs * count * (engine.results[label].facts.macs or 1))


class _Prefixed(Lines):
    """Progress lines of several processes at once, each with its seed."""

    def __init__(self, repetition: int, *, metric: str, error: bool) -> None:
        super().__init__(metric=metric, error=error)
        self.repetition = repetition

    def _print(self, line: str) -> None:
        super()._print(f"seed {self.repetition + 1}: {line}")


if __name__ == "__main__":
    sys.exit(exit_codes.run(main))
