"""Define the task of a recipe: its data, its metric, and experiments on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from ..core.errors import Mistake, Rejection, suggest
from ..core.metrics import DEFAULTS, METRICS
from ..core.units import Odds, Share
from ..core.user_code import is_function
from ..data import facts
from ..data.dataset import NAMES
from ..data.facts import DataFacts
from ..data.kinds import WHAT
from ..data.source import Source
from ..data.target_options import about_targets
from ..data.targets import KINDS
from .custom_metric import OwnMetric

if TYPE_CHECKING:
    Shipped = str
else:
    Shipped = Literal[NAMES]


def _metric(name: str) -> str:
    if name not in METRICS:
        raise Mistake("there is no such metric", suggest(name, METRICS))
    return name


class Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Task(Options):
    """Data set and metric of a recipe."""

    data: Source | Shipped = Field(
        description="data set by name, or your own: a folder of images, a .csv, an .npz, `hf://OWNER/NAME` or "
        "`./my_data.py:load`"
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

    @model_validator(mode="after")
    def _metric_of_the_task(self) -> Task:
        """Take the metric of the task where the recipe names none."""
        if "metric" not in self.model_fields_set:
            object.__setattr__(self, "metric", DEFAULTS.get(self.facts().task or "", self.metric))
        return self

    def facts(self) -> DataFacts:
        """Return what these options tell about the data."""
        return facts.known(self.data, unlabelled=self.labels is not None or self.unlabelled is not None)

    @property
    def code_of_data(self) -> str | None:
        """Return the user's function that makes the data, `./my_data.py:load`; None where no code does."""
        sources = (source for source in (self.data, self.unlabelled) if isinstance(source, Source))
        return next((source.source for source in sources if source.kind == "user"), None)

    def reject(self) -> Iterator[Rejection]:
        """Yield why the options cannot go with the data, as far as options tell what it is."""
        data = self.facts()
        yield from self.reject_metric(data)
        targets = KINDS[data.task] if data.task else None
        if targets and not targets.classes and self.imbalance is not None:
            message = f"{data.name} is a {data.task} task, and `imbalance` is about classes"
            yield Rejection(message, "take `imbalance` out", ("imbalance",))
        if targets and not targets.noisy and self.label_noise is not None:
            message = f"this is a {data.task} task, and `label_noise` is about classes"
            yield Rejection(message, "take `label_noise` out", ("label_noise",))
        if self.unlabelled is not None and self.unlabelled.kind not in ("folder", "arrays"):
            message = f"`unlabelled` names {WHAT[self.unlabelled.kind]}"
            yield Rejection(message, "a folder of images, or an .npz with `x`", ("unlabelled",))
        for option, written in about_targets(self.unlabelled).items() if self.unlabelled is not None else ():
            message = f"`{written}` is about targets, which `unlabelled` examples do not have"
            yield Rejection(message, "take it out", ("unlabelled", option))
        normalize = None if isinstance(self.data, str) else self.data.normalize
        if normalize is not None and data.kinds and set(data.kinds) == {"tokens"}:
            message = f"{data.name} has only tokens, which are not normalized"
            yield Rejection(message, "take `normalize` out", ("data", "normalize"))
        elif normalize == "imagenet" and data.kinds and "image" not in data.kinds:
            message = f"{data.name} has no images, which `normalize: imagenet` is for"
            yield Rejection(message, "`none`, or {mean: […], std: […]}", ("data", "normalize"))

    def reject_metric(self, data: DataFacts) -> Iterator[Rejection]:
        """Yield why the metric cannot score the task of `data`, if it is known."""
        name = self.metric
        if isinstance(name, str) and data.task and data.task not in METRICS[name].tasks:
            fitting = ", ".join(candidate for candidate, metric in METRICS.items() if data.task in metric.tasks)
            named = f"`{name}`" if "metric" in self.model_fields_set else f"the default metric, `{name}`,"
            message = f"the task of {data.name} is {data.task}, which {named} cannot score"
            yield Rejection(message, f"add `metric:` to `task:`, one of: {fitting}", ("metric",))

    @property
    def metric_name(self) -> str:
        """Return the key of the metric in `ModelFile.scores`; of the user's own, as the recipe writes it."""
        return self.metric if isinstance(self.metric, str) else self.metric.source

    @property
    def lower_is_better(self) -> bool:
        return not METRICS[self.metric].higher if isinstance(self.metric, str) else self.metric.lower_is_better
