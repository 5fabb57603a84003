"""Collect what a run works with: data, metric, machine, targets, versions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..config import rejections, target
from ..config.recipe import Recipe
from ..core import machine
from ..core.errors import Problem, UserError
from ..core.presets import PresetName
from ..core.results import Machine
from ..core.user_code import Code
from ..data.facts import DataFacts
from ..data.load import load_dataset, load_unlabelled
from ..stage import LIBRARIES
from .cache import Cache

if TYPE_CHECKING:
    from ..core.metric import Metric
    from ..data.dataset import Dataset


@dataclass
class Setup:
    """What a recipe and this machine determine before the first stage, each computed at its first use.

    `limit` keeps the first so many examples of each split: the same code on less, for a smoke run.
    """

    recipe: Recipe
    cache: Cache
    limit: int | None = None

    @cached_property
    def data(self) -> Dataset:
        from ..data.corruptions import corrupted, joined

        task, document = self.recipe.task, self.recipe.document
        base = document.path.parent
        try:
            data = load_dataset(task.data, self.limit, base=base, seed=task.seed, cache=self.cache.root)
        except UserError as error:
            raise error.at(document.place(("task", "data"))) from error
        try:
            if task.unlabelled is not None:
                data = joined(data, load_unlabelled(task.unlabelled, base, data, self.limit, self.cache.root))
        except UserError as error:
            raise error.at(document.place(("task", "unlabelled"))) from error
        try:
            return corrupted(
                data,
                task.seed,
                imbalance=task.imbalance,
                examples=task.examples,
                label_noise=task.label_noise,
                labels=task.labels,
            )
        except UserError as error:
            raise error.at(document.place(("task",))) from error

    @cached_property
    def metric(self) -> Metric:
        from ..core.metrics import METRICS

        name = self.recipe.task.metric
        if not self.data.labelled and name != "agreement":
            message = f"`{self.data.name}` has no labels, which `{name}` counts by"
            help = "`metric: agreement` counts how often a model's prediction is that of its source model"
            if getattr(self.recipe.task.data, "task", None):
                help += ", of data without `task`"
            raise UserError([Problem(message, help, self.recipe.document.place(self._metric_place))])
        if not isinstance(name, str):
            return name.metric(self.recipe.document.path.parent, self.recipe.document.place(("task", "metric")))
        if rejected := list(self.recipe.task.reject_metric(DataFacts.of(self.data))):
            raise UserError([rejections.place(self.recipe.document, ("task",), rejection) for rejection in rejected])
        if name in ("recall@1", "map") and self.data.task == "embedding" and self.data["test"].y.ndim > 1:
            message, help = (
                f"the targets of `{self.data.name}` are vectors, and `{name}` is about identities",
                "`cosine`",
            )
            raise UserError([Problem(message, help, self.recipe.document.place(self._metric_place))])
        if name == "cosine" and self.data["test"].y.ndim == 1:
            message = f"the targets of `{self.data.name}` are identities, and `cosine` is about vectors"
            raise UserError([Problem(message, "`recall@1` or `map`", self.recipe.document.place(self._metric_place))])
        metric = METRICS[name].of_task.get(self.data.task, METRICS[name])
        metric = metric.of_data(**self._of_pictures())
        self._require_counted(metric)
        return metric

    def _require_counted(self, metric: Metric) -> None:
        """Raise UserError where nothing of a split counts, such as no box of the size that the metric is about."""
        import numpy as np

        counts = {"detection": ("box", "`map` counts boxes of every size"),
                  "multi-label": ("label", "add examples that have one")}  # fmt: skip
        for split in ("validation", "test") if self.data.task in counts else ():
            y = self.data[split].y[:]
            nothing = np.zeros(y.shape) if self.data.task == "multi-label" else np.full((len(y), 1, 6), -1, np.float32)
            if np.isnan(metric(nothing, y)):
                what, help = counts[self.data.task]
                message = f"no {split} example of `{self.data.name}` has a {what} that `{metric.name}` counts"
                raise UserError([Problem(message, help, self.recipe.document.place(self._metric_place))])

    @property
    def _metric_place(self) -> tuple[str | int, ...]:
        return self.recipe.document.nearest(("task", "metric"))

    def _of_pictures(self) -> dict[str, Any]:
        """Return what metrics need to know about pictures: the size of the examples, the range of the targets."""
        images, y = [each.shape[1:] for each in self.data.inputs if each.kind == "image"], self.data["train"].y
        peak = 1.0 if y.dtype == "uint8" else float(y.max() - y.min()) if self.data.task == "image" else None
        return {"size": images[0] if len(images) == 1 else None, "peak": peak or None}

    @cached_property
    def constant(self) -> float | None:
        """Value of an error metric on the test split when every output is the mean of the labels; else None."""
        from ..core.metric import of_constant

        return of_constant(self.metric, self.data["test"].y)

    @cached_property
    def code(self) -> Code:
        """The functions that the recipe names as networks, as their files were at the first access."""
        networks = [network for stage in self.recipe.stages for network in stage.networks()]
        return Code.read((each.arch for each in networks if each.own), self.recipe.document.path.parent)

    @cached_property
    def machine(self) -> Machine:
        return machine.machine()

    @cached_property
    def targets(self) -> list[target.Target]:
        return self.recipe.load_targets()

    @cached_property
    def presets(self) -> tuple[PresetName, ...]:
        """The integer presets that the targets need, the host's first."""
        return target.presets(self.targets, self.machine)

    @cached_property
    def versions(self) -> dict[str, str]:
        """Versions of the libraries that every lock records, and of those that the stages use besides."""
        return machine.versions([*LIBRARIES, *(name for stage in self.recipe.stages for name in stage.libraries)])
