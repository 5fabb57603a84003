"""Run one repetition of a comparison in a process of its own.

Routes or recipes are built with seeds of their own; the results go to a file.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ...config import recipe, target
from ...config.target import Target
from ...core import keep, linear_algebra
from ...core.document import Document
from ...core.errors import UserError
from ...core.paths import replacing
from ...core.progress import Lines
from ...core.runtimes import RUNTIMES
from ...engine.artifacts import detailed, regrouped
from ...engine.cache import Cache
from ...engine.engine import Engine
from .. import exit_codes, supervise
from . import routes as ways
from . import written
from .describe import FLOAT, INT8, route_result, signed_score, strongest
from .effort import Compute, made_from
from .results import HALF, RouteResult


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
    linear_algebra.take_memory()
    targets = [target.load(file) for file in judges]
    recipes = [recipe.load(file, changes) for file in files]
    results = (
        by_routes(recipes[0], routes.split(","), repetition, Cache(cache), limit, targets, tflite=tflite)
        if routes
        else by_recipes(recipes, repetition, Cache(cache), limit, targets, tflite=tflite)
    )
    with replacing(output) as temporary:
        temporary.write_text("\n".join(result.as_json() for result in results), encoding="utf-8")
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

    def run(stages: list[dict[str, Any]], targets: Sequence[Target] = (), labels: int | None = None) -> Engine:
        return _run(written.document(recipe_, stages, repetition, labels), repetition, cache, limit, targets)

    teachers = run(parts.upstream)
    best = max(parts.members, key=lambda name: signed_score(teachers, teachers.results[name], "validation"))
    effort = 1.0
    made: list[Engine] = []
    if "longer" in names:
        made = [run(ways.stages(parts, ["plain"], best, effort))]
        effort = _longer(teachers, made[0], parts, recipe_)
    main = [route for route in names if route != HALF]
    engine = run(ways.stages(parts, main, best, effort, tflite=tflite), targets)
    engines = dict.fromkeys(main, engine)
    if HALF in names:
        alone_ = [
            each for each in ways.stages(parts, [HALF], best, effort, tflite=tflite) if each not in parts.upstream
        ]
        engines[HALF] = run(alone_, labels=len(engine.data["train"].y) // 2)
    sources = {route: ways.source_of(parts, route, best) for route in names}
    files = {route: ways.files_of(parts, route, best, tflite=tflite) for route in names}
    reference = strongest([(engine, files[route][0]) for route in main])
    compute = Compute.of((engines[route], source) for route, source in sources.items())
    efforts = {route: compute.total(engines[route], source) for route, source in sources.items()}
    own = _own([*made, *engines.values()], compute) or min(filter(None, efforts.values()), default=1.0)
    results = [
        route_result(
            engines[route], route, source, files[route], reference, repetition, efforts[route] / own, compute.counted
        )
        for route, source in sources.items()
    ]  # fmt: skip
    if repetition:
        return results
    more = not tflite and any(RUNTIMES[target.runtime].kind == "tflite" for target in targets)
    judged = []
    for result in results:
        if result.route == HALF:
            judged.append(result)
            continue
        converted, reason = engine if tflite else None, ""
        try:
            if more:
                converted = run(ways.stages(parts, [result.route], best, effort, tflite=True), targets)
        except UserError as error:  # a route that cannot be converted does not fit there, for this reason
            reason = error.problems[0].message
        labels: dict[str, list[tuple[Engine, str]]] = {FLOAT: [], INT8: []}
        for maker, kind in ((engine, False), (converted, True)):
            for which, label in zip(labels, ways.files_of(parts, result.route, best, tflite=kind), strict=True):
                labels[which] += [(maker, label)] if maker else []
        judged.append(_to_judge(result, labels, engine, parts.reference, reason))
    return judged


def _own(engines: list[Engine], compute: Compute) -> float:
    """Return the compute of the student alone, which is the unit; 0 where no route trains it."""
    for students in (("plain", "distill", "both"), (HALF,)):
        names = {ways.called(route) for route in students}
        found = [compute.own(engine, name) for engine in engines for name in {*engine.results} & names]
        if found:
            return min(found)
    return 0.0


def _longer(teachers: Engine, alone: Engine, parts: ways.Parts, recipe_: recipe.Recipe) -> float:
    """Return the epochs of `longer`, of `plain`'s: for the compute of all teachers and of a distilled student.

    A student learns from examples without labels too, where there are some, and its teachers answer all of them.
    """
    distil = next(step.stage for step in recipe_.steps() if step.stage.family == "distill")
    names = parts.together if isinstance(parts.together, list) else [parts.together or parts.members[0]]
    plain = ways.called("plain")
    compute = Compute.of([*((teachers, label) for label in teachers.results), (alone, plain)])
    compute = Compute(compute.counted and all(teachers.results[name].facts.macs for name in names))
    own, more = compute.own(alone, plain), alone.data.unlabelled
    further = (
        len(more) / len(alone.data["train"].y) if more is not None and parts.distill.get("unlabelled", True) else 0.0
    )
    upstream = sum(compute.of_step(teachers, label) for label in teachers.results)
    return 1 + further + (compute.taught(teachers, distil, names) + upstream) / own


def by_recipes(
    recipes: list[recipe.Recipe],
    repetition: int,
    cache: Cache,
    limit: int | None,
    targets: list[Target],
    *,
    tflite: bool,
) -> list[RouteResult]:
    """Run every recipe as it is, and for the presets of `targets`, which it may not name itself."""
    engines = [_run(written.again(recipe_, repetition), repetition, cache, limit, targets) for recipe_ in recipes]
    files = [written.ends(recipe_, tflite=tflite) for recipe_ in recipes]
    sources = [_exported(engine, float_) for engine, (float_, _) in zip(engines, files, strict=True)]
    reference = strongest([(engine, float_) for engine, (float_, _) in zip(engines, files, strict=True)])
    compute = Compute.of(zip(engines, sources, strict=True))
    efforts = [compute.total(engine, source) for engine, source in zip(engines, sources, strict=True)]
    least = min(filter(None, efforts), default=1.0)
    results = [
        route_result(engine, recipe_.name, source, labels, reference, repetition, effort / least, compute.counted)
        for recipe_, engine, source, labels, effort in zip(recipes, engines, sources, files, efforts, strict=True)
    ]
    if repetition:
        return results
    judged = []
    for result, recipe_, engine in zip(results, recipes, engines, strict=True):
        last = [written.last(recipe_, tflite=kind) for kind in (False, True)]
        labels = {
            which: [(engine, labels_by_precision[int8]) for labels_by_precision in last if int8 in labels_by_precision]
            for which, int8 in ((FLOAT, False), (INT8, True))
        }
        judged.append(_to_judge(result, labels, engine, recipe_.reference_label(), "", whole=True))
    return judged


def _to_judge(
    result: RouteResult,
    labels: dict[str, list[tuple[Engine, str]]],
    engine: Engine,
    reference: str,
    reason: str,
    *,
    whole: bool = False,
) -> RouteResult:
    """Return `result` with its last files of each kind and preset, and those of the reference, for the budgets.

    A stage's own `keep` counts where a file is made from it; of a `whole` recipe the int8 file, by which it counts, is
    held to that of every stage, as in a run.
    """
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
    kept = {which: _kept(ends, whole=whole and which == INT8) for which, ends in labels.items()}
    return result.model_copy(update={"judged": judged, "reference": start, "kept": kept, "unfit": reason})


def _kept(ends: list[tuple[Engine, str]], *, whole: bool) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = {}
    for run, label in ends:
        needed = {*run.results} if whole else made_from(run, label)
        for step, result in run.results.items():
            if step in needed and (found := keep.judged(result.facts.notes)):
                rows[step] = [dict(row) for row in found]
    return rows


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


class _Prefixed(Lines):
    """Progress lines of several processes at once, each with its seed."""

    def __init__(self, repetition: int, *, metric: str, error: bool) -> None:
        super().__init__(metric=metric, error=error)
        self.repetition = repetition

    def _print(self, line: str) -> None:
        super()._print(f"seed {self.repetition + 1}: {line}")


if __name__ == "__main__":
    sys.exit(supervise.supervised(lambda: exit_codes.run(main)))
