"""Define a recipe: data set, stages, and the targets to fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from ..core import yamlio
from ..core.errors import Mistake, Problem, UserError, suggest
from ..core.metrics import METRICS
from ..core.names import Name
from ..core.units import Drop, Odds, Points, Share
from ..core.user_code import is_function
from ..core.validation import in_order, validated
from ..core.yamlio import Document
from ..data.dataset import NAMES
from ..data.source import Source
from ..stage import Stage
from ..stages import TABLE
from . import chain, overrides, target, target_use
from .custom_metric import OwnMetric
from .target_use import AnyTarget, TargetUse, name_of, once

if TYPE_CHECKING:
    AnyStage = Stage
else:
    AnyStage = Annotated[reduce(or_, TABLE.values()), Field(discriminator="use")]


if TYPE_CHECKING:
    Shipped = str
else:
    Shipped = Literal[NAMES]


def _metric(name: str) -> str:
    if name not in METRICS:
        raise Mistake("there is no such metric", suggest(name, METRICS))
    return name


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Task(_Options):
    """Data set and metric of a recipe."""

    data: Source | Shipped = Field(
        description="data set by name, or your own: a folder of images, a .csv, an .npz or `./my_data.py:load`"
    )
    metric: OwnMetric | str = Field(
        default="accuracy",
        description="metric to evaluate models by, or your own function `./my_metric.py:f`",
        examples=list(METRICS),
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="random seed of the whole recipe")
    examples: int | None = Field(default=None, ge=1, description="number of training examples to use, for experiments")
    labels: int | None = Field(
        default=None, ge=1, description="number of training labels to keep; `distill.*` uses the others unlabelled"
    )
    unlabelled: Source | None = Field(
        default=None, description="additional unlabelled examples for `distill.*`, written like your own `data`"
    )
    label_noise: Share | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="share of training labels replaced by wrong ones, to compare the robustness of methods",
    )
    imbalance: Odds | None = Field(
        default=None,
        description="class imbalance to make: training classes are thinned out, the first least and the last most",
    )

    @field_validator("data", mode="wrap")
    @classmethod
    def _named_or_own(cls, value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        """A bare name is that of a data set here; all else is the user's own."""
        if value in NAMES or isinstance(value, Source):
            return value
        if isinstance(value, str) and not any(mark in value for mark in "./\\"):
            raise Mistake("there is no such data set", suggest(value, NAMES))
        return Source.model_validate(value, context=info.context)

    @field_validator("metric", mode="wrap")
    @classmethod
    def _known_or_own(cls, value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        """The same for a metric."""
        if isinstance(value, dict) or (isinstance(value, str) and is_function(value)):
            return OwnMetric.model_validate(value, context=info.context, strict=True)
        return _metric(value) if isinstance(value, str) else handler(value)

    @property
    def metric_name(self) -> str:
        """Return the key of the metric in `ModelFile.scores`; of the user's own, as the recipe writes it."""
        return self.metric if isinstance(self.metric, str) else self.metric.source

    @property
    def lower_is_better(self) -> bool:
        return not METRICS[self.metric].higher if isinstance(self.metric, str) else self.metric.lower_is_better


class Keep(_Options):
    """Accuracy that the compressed model must keep, on every target."""

    accuracy_drop: Points | None = Field(default=None, description="largest drop of accuracy below the reference")
    metric_drop: Drop | None = Field(
        default=None,
        description="largest drop of the recipe's metric below the reference; for an error metric its largest growth: "
        "`5%`",
    )

    def limit(self) -> tuple[str, float] | None:
        """Return the option that is set, and its limit in points or percent."""
        if self.accuracy_drop is not None:
            return "accuracy_drop", self.accuracy_drop
        return None if self.metric_drop is None else ("metric_drop", self.metric_drop)


class Recipe(_Options):
    """Options of a recipe; `load` reads one from a file."""

    name: Name = Field(description="name of the run, its report and its lock file")
    task: Task
    stages: tuple[AnyStage, ...] = Field(
        min_length=1, description="stages in order; each takes the result above it, or the one named by `input:`"
    )
    reference: str | None = Field(
        default=None,
        description="name of the result that accuracy drops are measured against; by default the teacher of the first "
        "distillation, or else the input of the first stage that changes a model",
    )
    keep: Keep = Keep()
    targets: Annotated[tuple[AnyTarget, ...], AfterValidator(once)] = Field(
        default=("host",),
        description="names of target profiles, or paths that end in .yaml; `{use: NAME, budgets: {…}}` adds budgets; "
        "[] judges by `keep` alone",
    )

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
    problems: list[Problem] = []
    try:
        recipe = validated(document, Recipe)
        recipe._document = document
        problems += _unserved(recipe)
    except UserError as error:
        problems += error.problems
    if isinstance(document.data, dict):
        problems += chain.check(document)
    if problems:
        raise UserError(in_order(problems))
    return recipe


def _unserved(recipe: Recipe) -> Iterator[Problem]:
    """Yield the problems of the target files, and every target that runs none of the recipe's files."""
    kinds = {stage.kind for stage in recipe.stages}
    seen: dict[Path, str | TargetUse] = {}
    for index, chosen in enumerate(recipe.targets):
        name, place = name_of(chosen), recipe.document.place(("targets", index))
        try:
            profile = target_use.load(recipe.document, index, chosen)
        except UserError as error:
            yield from error.problems
            continue
        file = target.find(name, recipe.document.path).resolve()
        if (first := seen.setdefault(file, chosen)) is not chosen and TargetUse in (type(first), type(chosen)):
            yield Problem(f"`{name}` is the same target as `{name_of(first)}`", "take one out", place)
        if profile.runtime != "onnxruntime" and "tflite" not in kinds:
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
            problems += [problem for problem in error.problems if problem not in problems]
    return problems


def is_target(document: Document) -> bool:
    """Return whether a file is a target: its options decide, since a folder or a name would be less certain."""
    options = set(document.data) if isinstance(document.data, dict) else set()
    return len(options & set(target.Target.model_fields)) > len(options & set(Recipe.model_fields))
