"""Run a recipe: each stage once, or from the cache if nothing changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ..config import target
from ..config.chain import Step, sources
from ..config.recipe import Recipe
from ..core import distributed, machine, paths
from ..core.errors import Place, Problem, UserError
from ..core.presets import PresetName, host_preset
from ..core.results import Machine, ModelFile, StageFacts
from ..core.user_code import Code, OwnCodeError
from ..data.load import load_dataset, load_unlabelled
from ..models.input_preparation import Unprepared
from ..stage import LIBRARIES, MAIN_FILE, Artifact, Context, Made
from . import remarks
from .cache import Cache, Entry, key_of
from .key import FORMAT, codes, floor, material

if TYPE_CHECKING:
    from ..core.metrics import Metric
    from ..data.dataset import Dataset


class Progress(Protocol):
    """Where the progress of a run is shown: a terminal, a log, or nowhere."""

    def begin(self, label: str, use: str, position: int, count: int) -> None: ...
    def advance(self, done: int, total: int, words: str) -> None: ...
    def end(self, facts: StageFacts) -> None: ...


@dataclass(frozen=True)
class Planned:
    """What a run would do with a step: `cached`, `run`, or `run` because of a step before it."""

    label: str
    use: str
    action: Literal["cached", "run"]
    because: str


@dataclass(frozen=True)
class Result:
    """A finished step: the model, and what is known about it."""

    entry: Entry
    artifact: Artifact
    facts: StageFacts


@dataclass
class Engine:
    """Run the chain of one recipe.

    `limit` keeps the first so many examples of each split: the same code on less, for a smoke run.
    """

    recipe: Recipe
    cache: Cache
    limit: int | None = None
    results: dict[str, Result] = field(default_factory=dict)
    data_warnings: dict[str, list[str]] = field(default_factory=dict)
    """By label of a stage, its warnings about the data."""

    @cached_property
    def data(self) -> Dataset:
        task = self.recipe.task
        from ..data.corruptions import corrupted, joined

        base, document = self.recipe.document.path.parent, self.recipe.document
        try:
            found = load_dataset(task.data, self.limit, base=base, seed=task.seed)
        except UserError as error:
            raise error.at(document.place(("task", "data"))) from error
        try:
            if task.unlabelled is not None:
                found = joined(found, load_unlabelled(task.unlabelled, base, found, self.limit))
        except UserError as error:
            raise error.at(document.place(("task", "unlabelled"))) from error
        try:
            return corrupted(
                found,
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

        name, task = self.recipe.task.metric, self.data.task
        if not self.data.labelled and name != "agreement":
            message = f"`{self.data.name}` has no labels, which `{name}` counts by"
            help = "`metric: agreement` counts how often a model's prediction is that of its source model"
            place = self.recipe.document.nearest(("task", "metric"))
            raise UserError([Problem(message, help, self.recipe.document.place(place))])
        if not isinstance(name, str):
            return name.metric(self.recipe.document.path.parent, self.recipe.document.place(("task", "metric")))
        if task not in METRICS[name].tasks:
            fitting = ", ".join(candidate for candidate, metric in METRICS.items() if task in metric.tasks)
            message = f"`{self.data.name}` is a {task} task, which `{name}` cannot score"
            raise UserError([Problem(message, f"one of: {fitting}", self.recipe.document.place(("task", "metric")))])
        return METRICS[name]

    @cached_property
    def constant(self) -> float | None:
        """Value of an error metric on the test split when every output is the mean of the labels; else None."""
        from ..core.metrics import of_constant

        return of_constant(self.metric, self.data["test"].y)

    @property
    def scored(self) -> Dataset:
        """The evaluated data; for `agreement` its labels are the predictions of the reference, once it is there."""
        if self.recipe.task.metric != "agreement":
            return self.data
        if self.recipe.reference_label() not in self.results:
            return replace(self.data, labelled=False)
        return self._with_reference_labels

    @cached_property
    def _with_reference_labels(self) -> Dataset:
        from ..models.metadata import read, to_model_inputs
        from ..models.predict import predict

        file = Path(self.results[self.recipe.reference_label()].facts.files[0].path)
        columns = {name: to_model_inputs(read(file), self.data, self.data[name].x) for name in ("validation", "test")}
        return self.data.with_labels({name: predict(file, column).argmax(1) for name, column in columns.items()})

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

    def plan(self) -> list[Planned]:
        """Return what `run` would do, without doing it."""
        known: dict[str, Entry] = {}
        planned: list[Planned] = []
        steps = self.recipe.steps()
        self._check_data(steps)
        for step in steps:
            missing = next((label for label in sources(step) if label not in known), None)
            entry = None if missing else self.cache.get(key_of(material(self, step, known)))
            if entry:
                known[step.label] = entry
            because = (
                f"after {missing}" if missing else "nothing changed" if entry else "not made yet with these options"
            )
            planned.append(Planned(step.label, step.stage.use, "cached" if entry else "run", because))
        return planned

    def run(self, progress: Progress) -> list[StageFacts]:
        """Make every result of the chain, in order."""
        steps = self.recipe.steps()
        self._check_data(steps)
        for position, step in enumerate(steps):
            progress.begin(step.label, step.stage.use, position, len(steps))
            try:
                self.results[step.label] = self._result(step, progress)
            except Exception as error:
                wrong = error if isinstance(error, UserError) else self.code.blamed(error)
                if wrong is None:
                    raise
                raise wrong.at(self._place(position, wrong)) from error
            progress.end(self.results[step.label].facts)
        return [result.facts for result in self.results.values()]

    def _check_data(self, steps: list[Step]) -> None:
        """Raise UserError where a stage cannot work on the data, before any works."""
        document = self.recipe.document
        for position, step in enumerate(steps):
            try:
                self.data_warnings[step.label] = step.stage.check_data(self.data, document.path)
            except Unprepared as error:
                raise error.at(document.place(("task", "data"))) from error
            except UserError as error:
                raise error.at(self._place(position, error)) from error

    def _place(self, position: int, error: UserError) -> Place:
        """Return the place to change: the user's function if that failed, else the stage."""
        document, loc = self.recipe.document, ("stages", position)
        names = (each for each, value in document.scalars(loc) if value in self.code.functions)
        own = next(names, None) if isinstance(error, OwnCodeError) else None
        return document.place(own or (*loc, "use"))

    def _result(self, step: Step, progress: Progress) -> Result:
        started, fresh = time.monotonic(), []

        def maker(folder: Path, scratch: Path) -> dict[str, Any]:
            fresh.append(step.label)
            return self._make(step, folder, scratch, progress.advance)

        entries = {label: result.entry for label, result in self.results.items()}
        entry = self.cache.make(
            material(self, step, entries), maker, lambda: progress.advance(0, 1, "another run is making this; waiting")
        )
        # The cache sorts the keys of its JSON; what counts is the order of the files, the host's first.
        order = [file["precision"] for file in entry.facts["files"]]
        presets = dict(sorted(entry.facts["presets"].items(), key=lambda item: order.index(item[0])))
        artifact = Artifact(step.kind, entry.folder, presets, entry.facts["notes"])
        files = [
            ModelFile.model_validate(file | {"path": str(entry.folder / file["path"])}) for file in entry.facts["files"]
        ]
        facts = StageFacts(
            name=step.label,
            use=step.stage.use,
            kind=step.kind,
            inputs=sources(step),
            cached=not fresh,
            seconds=time.monotonic() - started,
            parameters=entry.facts["parameters"],
            macs=entry.facts["macs"],
            files=files,
            notes=entry.facts["notes"],
            warnings=[],
            summary=entry.facts.get("summary", []),
        )
        return Result(entry, artifact, remarks.remarked(self, step, facts, entries))

    def _make(self, step: Step, folder: Path, scratch: Path, say: Callable[[int, int, str], None]) -> dict[str, Any]:
        from . import evaluate

        def derive(key: dict[str, Any], make: Callable[[Path], None]) -> Path:
            def maker(folder: Path, scratch: Path) -> dict[str, Any]:
                make(folder)
                return {}

            derived = {"derived": key, "format": FORMAT, **codes(self, step, entries)}
            return self.cache.make(derived, maker).folder

        entries = {label: result.entry for label, result in self.results.items()}
        inputs = {name: self.results[name].artifact for name in step.named}
        source = self.results[step.input] if step.input else None
        if source:
            inputs["input"] = source.artifact
        context = Context(
            folder=folder,
            scratch=scratch,
            data=self.data,
            metric=self.metric,
            seed=self.recipe.task.seed,
            source=self.recipe.document.path,
            presets=self.presets,
            say=say,
            derive=derive,
            code=self.code,
            host=host_preset(self.machine),
            floor=floor(self, entries),
            before=source.entry.facts["files"][0]["scores"]["validation"].get(self.metric.name) if source else None,
            marks=self.scored["validation"].y if self.metric.name == "agreement" and self.scored.labelled else None,
        )
        made: Made = step.stage.run(inputs, context)
        if not distributed.first():
            return {}
        say(0, 1, f"measuring {self.metric.name}")
        before = source.entry.facts if source else None
        facts = evaluate.evaluate(made, folder, self.scored, self.metric, before, self.code)
        if source:
            facts["notes"]["agreement"] = evaluate.agreement(folder, source.entry.folder, self.data)
        files = made.presets.values() or [MAIN_FILE[made.kind]]
        digests = [paths.digest(folder / name) for name in files]
        more = {"summary": made.summary} if made.summary else {}
        return {**facts, **more, "presets": made.presets, "digests": digests, **codes(self, step, entries)}
