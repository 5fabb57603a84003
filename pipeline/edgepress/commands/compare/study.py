"""Distil, or fuse, or both? The routes of a recipe, or several recipes, made several times, measured, put in words."""

from __future__ import annotations

import datetime
import os
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ...config.recipe import Recipe, load
from ...config.target import Target
from ...config.target import load as load_target
from ...core import child_processes, machine, ownership
from ...core.errors import Problem, UserError
from ...core.paths import replacing
from ...engine.cache import Cache
from ...engine.engine import Engine
from .. import exit_codes
from . import fit, text
from . import routes as ways
from .results import Comparison, Made

FILE = "compare.json"
TOLD = (exit_codes.WRONG, exit_codes.CRASHED, exit_codes.UNDECIDED, exit_codes.INTERRUPTED, exit_codes.CLOSED_PIPE)
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
    """Make, measure and tell; the exit code."""
    recipes = [load(path, changes) for path in paths]
    judge, others = _targets(recipes, target)
    tflite = judge is not None and judge.runtime != "onnxruntime"
    names, left_out = _routes(recipes[0], routes) if len(recipes) == 1 else (_recipes(recipes, routes, tflite), ())
    engine = _engine(recipes, Cache(cache), limit)
    chosen = ["--routes", ",".join(names)] if len(recipes) == 1 else []
    chosen += ["--tflite"] if tflite else []
    output = ownership.record(runs / "+".join(recipe.name for recipe in recipes) / FILE, ownership.COMPARISON)
    judges = [each.file for each in (judge, *others) if each and each.file]
    lines = _repeated(paths, changes, chosen, judges, seeds, limit, cache)
    if isinstance(lines, int):
        return lines
    comparison = _measured(recipes, engine, names, lines, judge, others, price).model_copy(
        update={"left_out": left_out}
    )
    with replacing(output) as temporary:
        temporary.write_text(comparison.model_dump_json(), encoding="utf-8")
    print(comparison.model_dump_json(indent=1) if json else text.render(comparison), end="")
    return 0


def _routes(recipe: Recipe, routes: str | None) -> tuple[dict[str, str], tuple[str, ...]]:
    """The routes to compare, with what each is, and the stages of the recipe that none takes."""
    found = ways.parts(recipe)
    return {name: ways.ROUTES[name] for name in ways.wanted(routes, found)}, found.left_out


def _recipes(recipes: Sequence[Recipe], routes: str | None, tflite: bool) -> dict[str, str]:
    """The names of recipes, with what each does. Raises: UserError for those that cannot be shown side by side."""
    if routes is not None:
        raise UserError("`--routes` are those of one recipe, and several are compared as they are", "leave it out")
    ways.alike(recipes)
    for recipe in recipes:
        ways.ends(recipe, tflite=tflite)
    return {recipe.name: ways.chained(recipe) for recipe in recipes}


def _engine(recipes: Sequence[Recipe], cache: Cache, limit: int | None) -> Engine:
    """That of the first recipe. What is wrong with data and metric is told once, before processes begin.

    Raises: UserError for recipes that do not learn from the same data, or are not scored alike.
    """
    first, *others = (Engine(recipe, cache, limit) for recipe in recipes)
    for engine in (first, *others):
        document = engine.recipe.document
        for option, what, values in (
            ("data", "learns from other data", [each.data.digest for each in (first, engine)]),
            ("metric", "is scored otherwise", [[each.metric.name, *each.metric.key] for each in (first, engine)]),
        ):
            if values[0] != values[1]:
                said = f"`{engine.recipe.name}` {what} than `{recipes[0].name}`, so the two cannot be compared"
                place = document.place(document.nearest(("task", option)))
                raise UserError([Problem(said, "give both the same `task:`", place)])
    return first


def _targets(recipes: Sequence[Recipe], name: str | None) -> tuple[Target | None, list[Target]]:
    """The target that judges, and those that are judged besides: the recipes' first that is measured here or estimated,
    and their others; or the one asked for alone. Of a target that several recipes give budgets, the first recipe's
    count for all. Raises: UserError."""
    targets: dict[str, Target] = {}
    for each in (each for recipe in recipes for each in recipe.load_targets()):
        targets.setdefault(each.name, each)
    if name is None:
        first = next((each for each in targets.values() if not each.attached), None)
        return first, [each for each in targets.values() if each is not first]
    from ..catalog import find

    found = targets.get(name) or load_target(find(name, "targets"))
    if found.attached:
        said = f"`{name}` is asked by `edgepress run`; `compare` judges what is measured here or estimated"
        raise UserError(said, "another --target")
    return found, []


def _repeated(
    paths: Sequence[Path],
    changes: Sequence[str],
    routes: list[str],
    judges: list[Path],
    seeds: int,
    limit: int | None,
    cache: Path,
) -> list[Made] | int:
    """Every repetition, as many at once as there are cores, each with its share of them; or the exit code of one that
    said what is wrong. Raises: ChildDied for one that ended otherwise."""
    cores = machine.machine().cores
    at_once = min(seeds, cores)
    odd = seeds % at_once  # so many are left over in the last round, and have the cores for themselves
    failed: list[int] = []
    with tempfile.TemporaryDirectory() as folder:

        def run(repetition: int) -> Path:
            output = Path(folder) / f"{repetition}.jsonl"
            arguments = [
                *map(str, paths), *routes,
                "--repetition", str(repetition), "--cache", str(cache), "--output", str(output),
            ]  # fmt: skip
            arguments += [each for change in changes for each in ("--set", change)]
            arguments += ["--limit", str(limit)] if limit else []
            arguments += [each for judge in judges if not repetition for each in ("--judge", str(judge))]
            if failed:
                return output
            share = cores // (odd if odd and repetition >= seeds - odd else at_once)
            environment = os.environ | {"OMP_NUM_THREADS": str(max(1, share))}
            code = subprocess.run(
                child_processes.module(f"{__name__}.trial", arguments), env=environment, check=False
            ).returncode
            if code:
                failed.append(code)  # no use in beginning another one
            return output

        with ThreadPoolExecutor(at_once) as pool:
            outputs = list(pool.map(run, range(seeds)))
        for code in failed:
            if code not in TOLD:
                raise child_processes.ChildDied(f"a process that makes the routes {child_processes.ended(code)}")
        if failed:
            return failed[0]
        if missing := [each for each in outputs if not each.is_file()]:
            raise child_processes.ChildDied(f"a process that makes the routes left nothing: {missing[0].name}")
        return [Made.model_validate_json(line) for each in outputs for line in each.read_text("utf-8").splitlines()]


def _measured(
    recipes: Sequence[Recipe],
    engine: Engine,
    names: dict[str, str],
    made: list[Made],
    target: Target | None,
    others: list[Target],
    price: float | None,
) -> Comparison:
    task = recipes[0].document.data["task"]
    first = [each for each in made if each.repetition == 0]
    targets = [*([target] if target else []), *others]
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
            "sha256": engine.data.digest,
            "images": {name: len(split.y) for name, split in engine.data.splits.items()},
            "limited": engine.limit,
            "unlabelled": 0 if engine.data.unlabelled is None else len(engine.data.unlabelled),
            "classes": _counted(train, engine.data.labels),
            "task": {name: task[name] for name in ("examples", "labels", "label_noise", "imbalance") if name in task},
            "set": list(recipes[0].document.changes),
        },
        metric=engine.metric.name,
        error=not engine.metric.higher,
        labels=list(engine.data.labels),
        groups=[] if engine.data.groups is None else engine.data.groups.tolist(),
        constant=engine.constant,
        routes=names,
        repetitions=len({each.repetition for each in made}),
        made=made,
        samples=samples,
        price=price,
    )
    by_name = {recipe.name: recipe for recipe in recipes}
    fits = [
        each
        for one in first
        for each in fit.fits(one, comparison, by_name.get(one.route, recipes[0]), targets, references)
    ]
    named = {"target": target.name if target else None, "others": tuple(each.name for each in others)}
    return comparison.model_copy(update={"fits": tuple(fits), **named})


def _counted(y: Any, labels: tuple[str, ...]) -> dict[str, int]:
    """Training examples by class."""
    if y.ndim > 1 or y.dtype.kind == "f":
        return {}
    return {label: int((y == k).sum()) for k, label in enumerate(labels)}
