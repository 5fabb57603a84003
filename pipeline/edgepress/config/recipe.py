"""Define a recipe: data set, stages, and the targets to fit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from itertools import islice
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import (
    AfterValidator,
    Field,
    PrivateAttr,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import to_json

from ..core import yamlio
from ..core.document import Document, Loc
from ..core.errors import MOST_SHOWN, Problem, UserError
from ..core.metrics import points_of
from ..core.names import Name
from ..core.presets import PresetName
from ..core.runtimes import RUNTIMES
from ..core.units import Drop, Points, of_drop
from ..core.validation import in_order, validated
from ..data.facts import DataFacts
from ..stage import Stage
from ..stages import TABLE
from . import chain, overrides, rejections, target, target_use
from .target_use import AnyTarget, TargetUse, name_of, once
from .task import Options, Task

if TYPE_CHECKING:
    AnyStage = Stage
else:
    AnyStage = Annotated[reduce(or_, TABLE.values()), Field(discriminator="use")]


MOST_TARGETS = 100
"""Each is a file to read, and a verdict."""


class Keep(Options):
    """Accuracy that the compressed model must keep, on every target."""

    accuracy_drop: Points | None = Field(default=None, description="largest drop of accuracy below the reference")
    metric_drop: Drop | None = Field(
        default=None,
        description="largest drop of the recipe's metric below the reference; for an error metric its largest growth, "
        "`5%`, and for PSNR `0.5 dB`",
    )

    map_drop: Points | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="detection: the same for `metric: map`, largest drop of mean average precision below the reference",
    )

    def limit(self) -> tuple[str, float] | None:
        """Return the option that is set, and its limit in points or percent."""
        if self.accuracy_drop is not None:
            return "accuracy_drop", self.accuracy_drop
        if self.map_drop is not None:
            return "map_drop", self.map_drop
        return None if self.metric_drop is None else ("metric_drop", self.metric_drop)

    @property
    def most(self) -> float | None:
        """Return the limit alone."""
        limit = self.limit()
        return limit[1] if limit else None


class Card(Options):
    """Statements of the model card in the archive of `edgepress bundle`."""

    intended_use: str | None = Field(
        default=None, min_length=1, max_length=2000, description="what the model is meant for, and what not"
    )
    weights: str | None = Field(default=None, min_length=1, max_length=500, description="licence of the weights")
    data: str | None = Field(default=None, min_length=1, max_length=500, description="licence of the data")
    code: str | None = Field(default=None, min_length=1, max_length=500, description="licence of the network's code")

    def licences(self) -> dict[str, str]:
        """Return the licences that are stated: of `weights`, `data` and `code`."""
        return self.model_dump(include={"weights", "data", "code"}, exclude_none=True)


class Recipe(Options):
    """Options of a recipe; `load` reads one from a file."""

    name: Name = Field(description="name of the run, its report and its lock file")
    task: Task
    stages: tuple[AnyStage, ...] = Field(
        min_length=1,
        max_length=chain.MOST,
        description="stages in order; each takes the result above it, or the one named by `input:`",
    )
    reference: str | None = Field(
        default=None,
        description="name of the result that accuracy drops are measured against; by default the teacher of the first "
        "distillation, or else the input of the first stage that changes a model",
    )
    keep: Keep = Keep()
    targets: Annotated[tuple[AnyTarget, ...], AfterValidator(once)] = Field(
        default=("host",),
        max_length=MOST_TARGETS,
        description="names of target profiles, or paths that end in .yaml; `{use: NAME, budgets: {…}}` adds budgets; "
        "[] judges by `keep` alone",
    )
    card: Card = Card()

    _document: Document | None = PrivateAttr(default=None)

    @property
    def document(self) -> Document:
        """Return the file that it was read from, for places in it."""
        assert self._document is not None, "only a recipe from `load` has a document"
        return self._document

    def steps(self) -> list[chain.Step]:
        """Return the stages with their labels and inputs."""
        return chain.steps(self.stages)

    def reference_label(self) -> str:
        """Return the label of the result that accuracy drops count from."""
        return self.reference or chain.reference(self.steps())

    def target_names(self) -> list[str]:
        """Return the names or paths of the target profiles, as the recipe writes them."""
        return [name_of(chosen) for chosen in self.targets]

    def target_files(self) -> list[Path]:
        return [target.find(name, self.document.path) for name in self.target_names()]

    def load_targets(self) -> list[target.Target]:
        """Read the target profiles, with the recipe's budgets laid over theirs. Raises: UserError."""
        return [target_use.load(self.document, index, chosen) for index, chosen in enumerate(self.targets)]


def load(path: Path, changes: Sequence[str] = (), *, loose: bool = False) -> Recipe:
    """Read a recipe and check all of it, its targets included, before anything heavy is imported or run.

    `changes` are `--set` arguments, as `overrides.apply` takes them; `loose` leaves out whether the user's data and
    code are there. Raises: UserError with every problem, in the order of the file.
    """
    document = yamlio.read(path)
    document.loose = loose
    overrides.apply(document, changes)
    return checked(document)


def checked(document: Document) -> Recipe:
    """Return the recipe of a document. Raises: UserError with every problem, in the order of the file."""
    problems = list(_too_many(document))
    if problems:
        raise UserError(problems)
    try:
        recipe = validated(document, Recipe)
        recipe._document = document
        problems += _unserved(recipe)
    except UserError as error:
        problems += error.problems
    if isinstance(document.data, dict):
        problems += islice(chain.check(document), MOST_SHOWN)
        task = _task(document)
        if task is not None:
            problems += [rejections.place(document, ("task",), rejection) for rejection in task.reject()]
        problems += _of_drops(document, task) if task else ()
        problems += rejections.check(document, task.facts() if task else DataFacts(), _presets(document))
    if problems:
        raise UserError(in_order(dict.fromkeys(problems)))
    return recipe


def _too_many(document: Document) -> Iterator[Problem]:
    """Yield the lists that are too long to look at each of their items."""
    for name, most in (("stages", chain.MOST), ("targets", MOST_TARGETS)):
        items = document.data.get(name) if isinstance(document.data, dict) else None
        if isinstance(items, list) and len(items) > most:
            yield Problem(f"`{name}`: write {most} or less, got {len(items)}", "", document.place((name,)))


def _task(document: Document) -> Task | None:
    """Return the options of `task:`, whatever is wrong elsewhere in the recipe."""
    try:
        return Task.model_validate_json(to_json(document.data.get("task")), strict=True, context=document)
    except ValidationError:
        return None


def _of_drops(document: Document, task: Task) -> Iterator[Problem]:
    """Yield the drops that are written in a unit that the metric does not have."""
    name, error = task.metric_name, task.lower_is_better
    keep = document.data.get("keep")
    if isinstance(keep, dict) and "map_drop" in keep and not name.startswith("map"):
        help = "`metric: map` of detection, or `metric_drop`"
        yield Problem(f"`map_drop` is of average precision, and this recipe's metric is {name}", help,
                      document.place(("keep", "map_drop"), key=True))  # fmt: skip
    for place, value in document.scalars():
        of_stage = place[0] == "stages" and place[2:] == ("keep",) and _use(document, place).startswith("quantize.")
        if (of_stage or place == ("keep", "metric_drop")) and (
            wrong := of_drop(value, name, error=error, points=points_of(name))
        ):
            yield Problem(*wrong, document.place(place))


def _use(document: Document, place: Loc) -> str:
    """Return the `use` of the stage that an option at `place` belongs to."""
    return str(document.value(place[:2]).get("use"))


def _presets(document: Document) -> dict[PresetName, str]:
    """Return the integer formats that targets set, each with the name of one that does."""
    presets: dict[PresetName, str] = {}
    targets = document.data.get("targets")
    for chosen in targets if isinstance(targets, list) else ():
        with contextlib.suppress(UserError, ValidationError):  # reported by the validation of the recipe
            use = TypeAdapter(AnyTarget).validate_python(chosen)
            profile = target.load(target.find(name_of(use), document.path))
            if profile.preset:
                presets.setdefault(profile.preset, profile.name)
    return presets


def _unserved(recipe: Recipe) -> Iterator[Problem]:
    """Yield the problems of the target files, and every target that runs none of the recipe's files."""
    kinds, task = {stage.kind for stage in recipe.stages}, recipe.task.facts().task
    seen: dict[Path, str | TargetUse] = {}
    for index, chosen in enumerate(recipe.targets):
        name, place = name_of(chosen), recipe.document.place(("targets", index))
        try:
            profile = target_use.load(recipe.document, index, chosen)
        except UserError as error:
            yield from error.problems
            continue
        yield from target_use.unjudged([profile], task)
        file = target.find(name, recipe.document.path).resolve()
        if (first := seen.setdefault(file, chosen)) is not chosen and TargetUse in (type(first), type(chosen)):
            yield Problem(f"`{name}` is the same target as `{name_of(first)}`", "take one out", place)
        if RUNTIMES[profile.runtime].kind == "tflite" and "tflite" not in kinds:
            message = f"`{name}` runs TFLite ({profile.runtime}), and no stage makes it"
            yield Problem(message, "add `- use: convert.tflite`", place)


def validate(files: Iterable[Path], changes: Sequence[str] = ()) -> list[Problem]:
    """Return every problem of recipes with their targets, and of target files, each once.

    `changes` are `--set` arguments, for every recipe.
    """
    problems: list[Problem] = []
    for file in files:
        try:
            document = yamlio.read(file)
            if not is_target(document):
                overrides.apply(document, changes)
                checked(document)
            elif changes:
                raise UserError(f"`--set` is for recipes, and `{file}` is none")
            else:
                validated(document, target.Target)
        except UserError as error:
            problems += error.problems
    return list(dict.fromkeys(problems))


def is_target(document: Document) -> bool:
    """Return whether a file is a target: its options decide, since a folder or a name would be less certain."""
    options = set(document.data) if isinstance(document.data, dict) else set()
    return len(options & set(target.Target.model_fields)) > len(options & set(Recipe.model_fields))
