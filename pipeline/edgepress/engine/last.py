"""Read the last run of a recipe, and judge its measurements by the budgets as they stand now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..config.recipe import Recipe, load
from ..config.target import Target
from ..core import stored, yamlio
from ..core.document import Document
from ..core.errors import UserError
from ..core.paths import digest
from ..core.printable import say, word
from ..core.results import Report, StageFacts
from ..gate import files, judge, start
from ..gate.report import formats as outcome

REPORT = "report.json"


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
    return show(report, recipe, targets, on_undecided, outputs)


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


def require_no_code(recipe: Recipe, help: str) -> None:
    """Raise UserError where the overrides of a stored run name code, which the file of its recipe does not.

    A person who names a run trusts the recipe; the overrides stand in the report, which anybody may have written.
    """
    document = recipe.document
    own = _code(yamlio.read(document.path))
    if named := [value for value in _code(document) if value not in own]:
        raise UserError(f"the last run of `{recipe.name}` sets `{word(named[0])}`, which is code", help)


def _code(document: Document) -> list[str]:
    return [value for _, value in document.scalars() if isinstance(value, str) and ".py" in value]


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
    report = report.model_copy(update={"keep": recipe.keep.most, "stages": _of_unknown_inputs(report)})
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


def judged(report: Report, recipe: Recipe, targets: Sequence[Target]) -> list[judge.Finding]:
    """Return the findings of a report, each beside that of the starting model."""
    limit = recipe.keep.limit()
    place = recipe.document.place(("keep", limit[0])) if limit else None
    return start.beside(report, targets, judge.judge(report, targets, place))


def show(
    report: Report,
    recipe: Recipe,
    targets: list[Target],
    on_undecided: judge.OnUndecided,
    outputs: Sequence[outcome.Output],
) -> int:
    """Judge a report and write it in each of the formats; return the exit code."""
    findings = judged(report, recipe, targets)
    outcome.show(outputs, report, findings, on_undecided)
    return judge.exit_code(findings, on_undecided)
