"""Run a recipe to its verdict, or judge the last run again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from ..config.recipe import Recipe, load
from ..config.target import Target
from ..core import distributed, ownership, stored, temporary
from ..core.errors import UserError
from ..core.paths import Destination, digest, replacing, require_writable, temporary_folder
from ..core.printable import say, word
from ..core.progress import Silent, progress
from ..core.results import Report, StageFacts
from ..gate import baseline as baselines
from ..gate import files, judge, start
from ..gate.report import formats as outcome
from . import artifacts, lock, pictures
from .cache import Cache
from .engine import Engine
from .report import build, limit_of_keep

REPORT = "report.json"
ELSEWHERE = "choose another folder: `--runs`"


def run(
    path: Path,
    *,
    cache: Path,
    runs: Path,
    limit: int | None,
    jobs: int = 1,
    changes: Sequence[str] = (),
    baseline: Path | None = None,
    on_undecided: judge.OnUndecided = "fail",
    formats: Sequence[str] = (),
    with_pictures: bool = True,
) -> int:
    """Run, measure and judge, also against the accepted model in `baseline`; show the report; return the exit code."""
    outputs = [outcome.parse(words) for words in formats]
    if jobs > 1 and distributed.several():
        raise UserError("`--jobs` starts processes, and so does `accelerate launch`", "leave out one of the two")
    recipe = load(path, changes)
    engine = Engine(recipe, Cache(cache), limit)
    targets = engine.targets
    accepted = (
        baselines.read(baseline, engine.metric.name, engine.data.digest, lazy=engine.data.lazy) if baseline else {}
    )
    folder = runs / recipe.name if limit is None else runs / recipe.name / "limited"
    # Files of somebody else are refused before hours of training, not after.
    ownership.record(folder / REPORT, ownership.REPORT, artifacts.OTHER)
    known = artifacts.known(folder / "models", _before(folder))
    artifacts.free(engine, folder / "models", known)
    pictures.free(folder / pictures.FOLDER)
    require_writable(
        *(engine.cache.destinations() if engine.cache.empty else ()),
        Destination(folder, ELSEWHERE),
        *(Destination(folder / name, ELSEWHERE) for name in ("models", pictures.FOLDER) if (folder / name).exists()),
        *(lock.destinations(recipe, folder) if limit is None else ()),
        temporary_folder(),
    )
    for place in (path.parent, folder, folder / "models"):
        temporary.sweep(place)
    task = recipe.task
    shown = progress(metric=task.metric_name, error=task.lower_is_better) if distributed.first() else Silent()
    try:
        engine.run(shown, jobs)
        first = distributed.first()
        distributed.parted()
        if not first:
            return 0
        locked = lock.write(engine, folder) if limit is None else None
        report = build(engine, artifacts.deliver(engine, folder / "models", locked, known), accepted, shown)
        shown_examples = pictures.write(engine, report, folder / pictures.FOLDER, wanted=with_pictures)
        report = report.model_copy(update={"pictures": shown_examples})
    finally:
        shown.close()
    with replacing(folder / REPORT) as file:
        file.write_text(report.as_json(), encoding="utf-8")
    return _judge(report, recipe, targets, on_undecided, outputs)


def check(
    path: Path,
    *,
    runs: Path,
    changes: Sequence[str] = (),
    on_undecided: judge.OnUndecided = "fail",
    formats: Sequence[str] = (),
) -> int:
    """Judge the stored measurements of the last run by the budgets as they stand now."""
    outputs = [outcome.parse(words) for words in formats]
    report, recipe, targets = last(path, runs, changes)
    files.verify(report, targets)
    return _judge(report, recipe, targets, on_undecided, outputs)


def last(path: Path, runs: Path, changes: Sequence[str] = ()) -> tuple[Report, Recipe, list[Target]]:
    """Return the report of the last run, with the recipe and targets as they are now and `changes`."""
    recipe = load(path)
    file = runs / recipe.name / REPORT
    if not file.exists():
        raise UserError(f"there is no run of `{recipe.name}` in `{runs}`", f"`edgepress run {path}` makes one")
    return of_file(file, path, changes)


def source(file: Path) -> Path:
    """Return the recipe that the report in `file` is of: budgets are read anew from it and its targets."""
    recipe = Path(stored.read(file, Report, stored.of_report, "move it away, and run the recipe again").source)
    if not recipe.is_file():
        message = f"`{word(recipe)}`, the recipe of `{file}`, is not there, and budgets are read from it"
        raise UserError(message, "run the command in the folder of the run, or name the recipe in place of the file")
    return recipe


def of_file(file: Path, path: Path, changes: Sequence[str] = ()) -> tuple[Report, Recipe, list[Target]]:
    """Return what `last` does, of the report `file` of a run of the recipe `path`."""
    recipe = load(path)
    if not file.is_file():
        raise UserError(f"`{file}` is not a file", f"move it away, and `edgepress run {path}` writes it")
    help = f"move it away, and `edgepress run {path}` makes it anew"
    report = stored.read(file, Report, stored.of_report, help)
    if report.recipe != recipe.name:
        raise UserError(f"`{file}` is of the recipe `{report.recipe}`, not of `{recipe.name}`", help)
    if report.data["recipe_sha256"] != digest(path):
        say(f"note: {word(path)} has changed since this run; its models are as they were then", error=True)
    recipe = load(path, (*report.data.get("set", ()), *changes))
    report = report.model_copy(update={"keep": limit_of_keep(recipe), "stages": _of_unknown_inputs(report)})
    targets = recipe.load_targets()
    files.weigh(report, targets, file)
    return report, recipe, targets


def _of_unknown_inputs(report: Report) -> list[StageFacts]:
    """Return the stages; in a report of an older version, which assumed a normalization, loaded files are doubted."""
    if report.data.get("inputs"):
        return report.stages
    doubt = "from an older report without the normalization of inputs"
    warning = f"is {doubt}: `edgepress run` again writes it, or reports where to state it"
    changed = {stage.name: {"doubt": doubt, "warnings": [*stage.warnings, warning]} for stage in report.stages}
    return [stage.model_copy(update=changed[stage.name]) if stage.use == "load" else stage for stage in report.stages]


def _before(folder: Path) -> Report | None:
    """Return the report of the last run in `folder` if it can be read."""
    try:
        return Report.model_validate_json((folder / REPORT).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None


def judged(report: Report, recipe: Recipe, targets: Sequence[Target]) -> list[judge.Finding]:
    """Return the findings of a report, each beside that of the starting model."""
    limit = recipe.keep.limit()
    place = recipe.document.place(("keep", limit[0])) if limit else None
    return start.beside(report, targets, judge.judge(report, targets, place))


def _judge(
    report: Report,
    recipe: Recipe,
    targets: list[Target],
    on_undecided: judge.OnUndecided,
    outputs: Sequence[outcome.Output],
) -> int:
    findings = judged(report, recipe, targets)
    outcome.show(outputs, report, findings, on_undecided)
    return judge.exit_code(findings, on_undecided)
