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

from .. import children, ending, estimate, gate, machine, ours
from ..bench import pairs
from ..cache import Cache
from ..engine import Engine
from ..errors import Problem, UserError
from ..facts import ModelFile, Report, Runtime, Samples, StageFacts
from ..paths import replacing
from ..recipe import Recipe, load
from ..stage import Kind
from ..target import Target
from ..target import load as load_target
from . import routes as ways
from . import text
from .facts import Comparison, Fits, Made

FILE = "compare.json"
PROCESSES, ROUNDS = 6, 100
"""Fresh processes, and rounds of each, in which all files are timed side by side."""
REFERENCE_PROCESSES, REFERENCE_ROUNDS = 4, 30
TOLD = (ending.WRONG, ending.CRASHED, ending.UNDECIDED, ending.INTERRUPTED, ending.CLOSED_PIPE)
"""How a repetition ends when it has said why. A 1 would be Python's own, never a verdict: it judges nothing."""
JUDGED = ("size", "latency")
"""Budgets that a route may fail; what accuracy it has is the question, and memory `edgepress run` measures."""


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
    judge = _target(recipes, target)
    tflite = judge is not None and judge.runtime != "onnxruntime"
    names, left_out = _routes(recipes[0], routes) if len(recipes) == 1 else (_recipes(recipes, routes, tflite), ())
    engine = _engine(recipes, Cache(cache), limit)
    chosen = ["--routes", ",".join(names)] if len(recipes) == 1 else []
    chosen += ["--tflite"] if tflite else []
    output = ours.record(runs / "+".join(recipe.name for recipe in recipes) / FILE, ours.RECORD)
    lines = _repeated(paths, changes, chosen, seeds, limit, cache)
    if isinstance(lines, int):
        return lines
    comparison = _measured(recipes, engine, names, lines, judge, price).model_copy(update={"left_out": left_out})
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


def _target(recipes: Sequence[Recipe], name: str | None) -> Target | None:
    """The target that judges: the one asked for, or the recipes' first that can be. Raises: UserError."""
    targets = [load_target(file) for recipe in recipes for file in recipe.target_files()]
    if name is None:
        return next((each for each in targets if not each.attached), None)
    from ..shelf import find

    found = next((each for each in targets if each.name == name), None) or load_target(find(name, "targets"))
    if found.attached:
        said = f"`{name}` is asked by `edgepress run`; `compare` judges what is measured here or estimated"
        raise UserError(said, "another --target")
    return found


def _repeated(
    paths: Sequence[Path], changes: Sequence[str], routes: list[str], seeds: int, limit: int | None, cache: Path
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
            if failed:
                return output
            share = cores // (odd if odd and repetition >= seeds - odd else at_once)
            environment = os.environ | {"OMP_NUM_THREADS": str(max(1, share))}
            code = subprocess.run(
                children.module(f"{__name__}.trial", arguments), env=environment, check=False
            ).returncode
            if code:
                failed.append(code)  # no use in beginning another one
            return output

        with ThreadPoolExecutor(at_once) as pool:
            outputs = list(pool.map(run, range(seeds)))
        for code in failed:
            if code not in TOLD:
                raise children.ChildDied(f"a process that makes the routes {children.ended(code)}")
        if failed:
            return failed[0]
        if missing := [each for each in outputs if not each.is_file()]:
            raise children.ChildDied(f"a process that makes the routes left nothing: {missing[0].name}")
        return [Made.model_validate_json(line) for each in outputs for line in each.read_text("utf-8").splitlines()]


def _measured(
    recipes: Sequence[Recipe],
    engine: Engine,
    names: dict[str, str],
    made: list[Made],
    target: Target | None,
    price: float | None,
) -> Comparison:
    task = recipes[0].document.data["task"]
    first = [each for each in made if each.repetition == 0]
    files = [file for each in first for file in each.files.values()]
    samples, references = _timed(files, engine, target)
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
        routes=names,
        repetitions=len({each.repetition for each in made}),
        made=made,
        samples=samples,
        price=price,
    )
    if target is None:
        return comparison
    fits = tuple(fit for each in first for fit in _fits(each, comparison, target, references))
    return comparison.model_copy(update={"target": target.name, "fits": fits})


def _counted(y: Any, labels: tuple[str, ...]) -> dict[str, int]:
    """Training examples by class."""
    if y.ndim > 1 or y.dtype.kind == "f":
        return {}
    return {label: int((y == k).sum()) for k, label in enumerate(labels)}


def _timed(files: list[ModelFile], engine: Engine, target: Target | None) -> tuple[list[Samples], list[Samples]]:
    """Times of all files side by side on one thread, and what an estimate for the target rests on.

    What a local target measures, its pinned reference and its own number of threads, is among the first.
    """
    runtime: Runtime = target.runtime if target else "onnxruntime"
    models = [pairs.Model(file.path, Path(file.path), runtime) for file in files]
    references: list[pairs.Model] = []

    def of(label: str, file: Path) -> pairs.Model:
        return pairs.Model(label, file, runtime, target.threads if target else 1)

    if target and target.reach == "local":
        models += [of(each.name, each.file) for each in models if target.threads != 1]
        models += [
            of(each.label, estimate.built(each, engine.cache, engine.versions))
            for each in estimate.pinned_models(target)
        ]
    elif target:
        needed = [each for file in files for each in estimate.reference_models(target, file.precision)]
        references = [
            pairs.Model(each.label, estimate.built(each, engine.cache, engine.versions), each.runtime)
            for each in dict.fromkeys(needed)
        ]
        references += models if references else []
    samples = pairs.measure(models, looks=(PROCESSES,), rounds=ROUNDS)
    return samples, pairs.measure(references, looks=(REFERENCE_PROCESSES,), rounds=REFERENCE_ROUNDS)


def _fits(made: Made, comparison: Comparison, target: Target, references: list[Samples]) -> list[Fits]:
    """What the target's budgets for size and time say of a route's two files."""
    found = []
    kind: Kind = "onnx" if target.runtime == "onnxruntime" else "tflite"
    for which, file in made.files.items():
        stage = StageFacts(
            name=made.route, use="compare", kind=kind, inputs=[], cached=True, seconds=0,
            parameters=made.parameters, macs=made.macs, files=[file], notes={}, warnings=[],
        )  # fmt: skip
        report = Report(
            recipe=comparison.name, source="", date=comparison.date, limited=None, machine=comparison.machine,
            versions=comparison.versions, data={}, reference=None, metric=comparison.metric, keep=None, targets=[],
            stages=[stage], samples=comparison.samples, references=references,
        )  # fmt: skip
        judged = [each for each in gate.judge(report, [target]) if each.check.split()[0] in JUDGED]
        found.append(
            Fits(
                route=made.route,
                which="float" if which == "float" else "int8",
                checks={each.check: each.status for each in judged if each.level == "required"},
                said=[text.budget(each) for each in judged],
            )
        )
    return found
