"""Run a recipe to its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from ..config.recipe import load
from ..core import distributed, file_lock, ownership, temporary
from ..core.errors import UserError
from ..core.paths import Destination, replacing, require_writable, temporary_folder
from ..core.progress import Silent, progress
from ..core.results import Report
from ..gate import baseline as baselines
from ..gate import judge
from ..gate.report import formats as outcome
from . import artifacts, lock, pictures
from .cache import Cache
from .engine import Engine
from .last import REPORT, show
from .report import build

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
    accepted = baselines.read(baseline, engine.metric, engine.data.digest, lazy=engine.data.lazy) if baseline else {}
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
        # A second run of the recipe would replace the files that this one measures.
        with file_lock.alone(folder, f"the files in `{folder}`"):
            known = artifacts.known(folder / "models", _before(folder))
            locked = lock.write(engine, folder) if limit is None else None
            report = build(engine, artifacts.deliver(engine, folder / "models", locked, known), accepted, shown)
            shown_examples = pictures.write(engine, report, folder / pictures.FOLDER, wanted=with_pictures)
            report = report.model_copy(update={"pictures": shown_examples})
            with replacing(folder / REPORT) as file:
                file.write_text(report.as_json(), encoding="utf-8")
    finally:
        shown.close()
    return show(report, recipe, targets, on_undecided, outputs)


def _before(folder: Path) -> Report | None:
    """Return the report of the last run in `folder` if it can be read."""
    try:
        return Report.model_validate_json((folder / REPORT).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None
