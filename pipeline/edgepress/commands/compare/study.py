"""Run a comparison: build, measure and describe routes or recipes.

Each is repeated with several seeds.
"""

from __future__ import annotations

import datetime
import os
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ... import tasks
from ...config.recipe import Recipe, load
from ...config.target import Target
from ...config.target import load as load_target
from ...core import child_processes, machine, ownership
from ...core.errors import Problem, UserError
from ...core.paths import Destination, replacing, require_writable, scratch, temporary_folder
from ...core.printable import as_json, say
from ...core.runtimes import RUNTIMES
from ...engine.cache import Cache
from ...engine.engine import Engine
from .. import exit_codes, supervise
from . import fit, text, written
from . import routes as ways
from .results import FILE, HALF, Comparison, RouteResult

REPORTED = (supervise.WRONG, supervise.CRASHED, exit_codes.UNDECIDED, supervise.INTERRUPTED, exit_codes.CLOSED_PIPE)
"""How a repetition ends when it has said why. A 1 would be Python's own, never a verdict: it judges nothing."""


def compare(
    paths: Sequence[Path],
    *,
    changes: Sequence[str],
    routes: str | None,
    seeds: int,
    price: float | None,
    target: str | None,
    limit: int | None,
    cache: Path,
    runs: Path,
    json: bool,
) -> int:
    """Build and measure all routes or recipes, print the comparison, and return the exit code."""
    recipes = [load(path, changes) for path in paths]
    judge, further = _targets(recipes, target)
    tflite = judge is not None and RUNTIMES[judge.runtime].kind == "tflite"
    names, left_out = _routes(recipes[0], routes) if len(recipes) == 1 else (_recipes(recipes, routes, tflite), ())
    engine = _engine(recipes, Cache(cache), limit)
    if HALF in names and not _divisible(engine):
        if routes is not None:
            message = f"half of {len(engine.data['train'].y):,} labels are too few to learn every class"
            raise UserError(message, f"leave `{HALF}` out of `--routes`")
        names = {name: words for name, words in names.items() if name != HALF}
    chosen = ["--routes", ",".join(names)] if len(recipes) == 1 else []
    chosen += ["--tflite"] if tflite else []
    output = ownership.record(runs / "+".join(recipe.name for recipe in recipes) / FILE, ownership.COMPARISON)
    judges = [target.file for target in (judge, *further) if target and target.file]
    away = Destination(output.parent, "choose another folder: `--runs`")
    require_writable(away, *engine.cache.destinations(), temporary_folder())
    lines = _repeated(paths, changes, chosen, judges, seeds, limit, cache)
    if isinstance(lines, int):
        return lines
    comparison = _measured(recipes, engine, names, lines, judge, further, price).model_copy(
        update={"left_out": left_out}
    )
    with replacing(output) as temporary:
        temporary.write_text(comparison.as_json(), encoding="utf-8")
    say(as_json(comparison.model_dump()) if json else text.render(comparison), end="\n" if json else "")
    return 0


def _divisible(engine: Engine) -> bool:
    """Whether half of the labelled examples hold one of each class, or one where there are no classes."""
    labels = len(engine.data.labels) if engine.data.task == "single-label" else 1
    return len(engine.data["train"].y) // 2 >= max(labels, 1)


def _routes(recipe: Recipe, routes: str | None) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the routes with their descriptions, and the stages of the recipe that none takes."""
    parts = ways.parts(recipe)
    return {name: ways.about(name, parts) for name in ways.wanted(routes, parts)}, parts.left_out


def _recipes(recipes: Sequence[Recipe], routes: str | None, tflite: bool) -> dict[str, str]:
    """Return the recipes' names with their chains. Raises: UserError for those that cannot be shown side by side."""
    if routes is not None:
        raise UserError("`--routes` are those of one recipe, and several are compared as they are", "leave it out")
    written.alike(recipes)
    for recipe in recipes:
        written.ends(recipe, tflite=tflite)
    return {recipe.name: written.chained(recipe) for recipe in recipes}


def _engine(recipes: Sequence[Recipe], cache: Cache, limit: int | None) -> Engine:
    """Return the engine of the first recipe, so that problems of data and metric are reported once, before processes
    start.

    Raises: UserError for recipes with different data or metrics.
    """
    first, *rest = (Engine(recipe, cache, limit) for recipe in recipes)
    for engine in (first, *rest):
        document = engine.recipe.document
        for option, difference, values in (
            ("data", "learns from other data", [engine_.data.digest for engine_ in (first, engine)]),
            (
                "metric",
                "is scored otherwise",
                [[engine_.metric.name, *engine_.metric.key] for engine_ in (first, engine)],
            ),
        ):
            if values[0] != values[1]:
                message = f"`{engine.recipe.name}` {difference} than `{recipes[0].name}`, so the two cannot be compared"
                place = document.place(document.nearest(("task", option)))
                raise UserError([Problem(message, "give both the same `task:`", place)])
    return first


def _targets(recipes: Sequence[Recipe], name: str | None) -> tuple[Target | None, list[Target]]:
    """Return the target that judges, and those that are judged besides. Raises: UserError.

    The first is the recipes' first that is measured here or estimated, or `name` alone. Of a target that several
    recipes give budgets, the first recipe's count for all.
    """
    targets: dict[str, Target] = {}
    for target in (target for recipe in recipes for target in recipe.load_targets()):
        targets.setdefault(target.name, target)
    if name is None:
        first = next((target for target in targets.values() if not target.attached), None)
        return first, [target for target in targets.values() if target is not first]
    from ..catalog import find

    chosen = targets.get(name) or load_target(find(name, "targets"))
    if chosen.attached:
        message = f"`{name}` is measured by `edgepress run` only; `compare` judges targets measured here or estimated"
        raise UserError(message, "another --target")
    return chosen, []


def _repeated(
    paths: Sequence[Path],
    changes: Sequence[str],
    routes: list[str],
    judges: list[Path],
    seeds: int,
    limit: int | None,
    cache: Path,
) -> list[RouteResult] | int:
    """Run every repetition, as many at once as there are cores, each with its share of them.

    Returns the exit code of a repetition that printed its own error. Raises: ChildDied for one that ended
    otherwise.
    """
    cores = machine.machine().cores
    at_once = min(seeds, cores)
    odd = seeds % at_once  # so many are left over in the last round, and have the cores for themselves
    failed: list[int] = []
    with scratch() as folder:

        def run(repetition: int) -> Path:
            output = Path(folder) / f"{repetition}.jsonl"
            arguments = [
                *map(str, paths), *routes,
                "--repetition", str(repetition), "--cache", str(cache), "--output", str(output),
            ]  # fmt: skip
            arguments += [argument for change in changes for argument in ("--set", change)]
            arguments += ["--limit", str(limit)] if limit else []
            arguments += [argument for judge in judges if not repetition for argument in ("--judge", str(judge))]
            if failed:
                return output
            share = cores // (odd if odd and repetition >= seeds - odd else at_once)
            environment = os.environ | {"OMP_NUM_THREADS": str(max(1, share))}
            code = subprocess.run(
                child_processes.module(f"{__package__}.trial", arguments), env=environment, check=False
            ).returncode
            if code:
                failed.append(code)  # no use in beginning another one
            return output

        with ThreadPoolExecutor(at_once) as pool:
            outputs = list(pool.map(run, range(seeds)))
        for code in failed:
            if code not in REPORTED:
                raise child_processes.ChildDied(f"a process that makes the routes {child_processes.ended(code)}")
        if failed:
            return failed[0]
        if missing := [file for file in outputs if not file.is_file()]:
            raise child_processes.ChildDied(f"a process that makes the routes left nothing: {missing[0].name}")
        return [
            RouteResult.model_validate_json(line) for file in outputs for line in file.read_text("utf-8").splitlines()
        ]


def _measured(
    recipes: Sequence[Recipe],
    engine: Engine,
    names: dict[str, str],
    results: list[RouteResult],
    target: Target | None,
    further: list[Target],
    price: float | None,
) -> Comparison:
    task = recipes[0].document.data["task"]
    first = [result for result in results if result.repetition == 0]
    targets = [*([target] if target else []), *further]
    samples, references = fit.timed(first, engine, targets)
    train = engine.data["train"].y
    comparison = Comparison(
        name="+".join(recipe.name for recipe in recipes),
        source=[str(recipe.document.path) for recipe in recipes],
        date=datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        machine=engine.machine,
        versions=engine.versions,
        data={
            "name": engine.data.name,
            "alike": tasks.of(engine.data).alike,
            "sha256": engine.data.digest,
            "images": {name: len(split.y) for name, split in engine.data.splits.items()},
            "counted": engine.metric.examples(engine.data["test"].y),
            **({"graded": True} if engine.data.task == "detection" else {}),
            "limited": engine.limit,
            "unlabelled": 0 if engine.data.unlabelled is None else len(engine.data.unlabelled),
            "classes": _counted(train, engine.data.labels)
            if engine.data.labelled and engine.data.targets.classes
            else {},
            "task": {name: task[name] for name in ("examples", "labels", "label_noise", "imbalance") if name in task},
            "set": list(recipes[0].document.changes),
        },
        metric=engine.metric.name,
        error=not engine.metric.higher,
        labels=list(engine.data.labels),
        groups=[] if engine.data.groups is None else engine.data.groups.tolist(),
        constant=engine.constant,
        routes=names,
        repetitions=len({result.repetition for result in results}),
        made=results,
        samples=samples,
        price=price,
    )
    by_name = {recipe.name: recipe for recipe in recipes}
    fits = [
        fits_
        for result in first
        if result.route != HALF
        for fits_ in fit.fits(
            result, comparison, by_name.get(result.route, recipes[0]), targets, references, engine.data
        )
    ]
    named = {"target": target.name if target else None, "others": tuple(judge.name for judge in further)}
    return comparison.model_copy(update={"fits": tuple(fits), **named})


def _counted(y: Any, labels: tuple[str, ...]) -> dict[str, int]:
    """Count the training examples by class."""
    return {label: int((y == k).sum()) for k, label in enumerate(labels)}
