"""Run a recipe: each stage once, or from the cache if nothing changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ..config.chain import Step, sources
from ..core import distributed, paths, system_errors
from ..core.activity import activity
from ..core.errors import OwnCodeError, Place, UserError
from ..core.presets import host_preset
from ..core.printable import say, word
from ..core.results import Curve, ModelFile, StageFacts
from ..stage import MAIN_FILE, Artifact, Context, Made
from . import demand, preflight, remarks
from .cache import Entry, key_of
from .key import FORMAT, codes, floor, material
from .processes import Processes, needs
from .setup import Setup

if TYPE_CHECKING:
    from ..data.dataset import Dataset


class Progress(Protocol):
    """Where the progress of a run is shown: a terminal, a log, or nowhere."""

    def begin(self, label: str, use: str, position: int, count: int) -> None: ...
    def advance(self, done: int, total: int, words: str, label: str = "") -> None: ...
    def end(self, facts: StageFacts) -> None: ...


@dataclass(frozen=True)
class Planned:
    """What a run would do with a step: `cached`, `run`, or `run` because of a step before it.

    It is `unknown` where only code that must not be run could tell.
    """

    label: str
    use: str
    action: Literal["cached", "run", "unknown"]
    because: str


@dataclass(frozen=True)
class Result:
    """A finished step: the model, and what is known about it."""

    entry: Entry
    artifact: Artifact
    facts: StageFacts


@cache
def _say_once(words: str) -> None:
    if distributed.first():
        say(f"note: {word(words)}", error=True)


def _input_file(step: Step, results: dict[str, Result]) -> dict[str, str]:
    """Return the note of the file that a step works on, if its input is one."""
    source = results.get(step.input) if step.input else None
    if source is None or source.facts.kind == "torch":
        return {}
    return {"doing": f"{step.stage.use} worked on", "file": source.facts.files[0].path}


@dataclass
class Engine(Setup):
    """Run the chain of one recipe."""

    results: dict[str, Result] = field(default_factory=dict)
    data_warnings: dict[str, list[str]] = field(default_factory=dict)
    """By label of a stage, its warnings about the data."""

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
        from . import evaluate

        file = Path(self.results[self.recipe.reference_label()].facts.files[0].path)
        splits = {name: self.data[name].x for name in ("validation", "test")}
        return self.data.with_labels({name: evaluate.marks(file, self.data, x) for name, x in splits.items()})

    def plan(self, *, run_code: bool = True) -> list[Planned]:
        """Return what `run` would do, without doing it; without `run_code`, no code of the user's is run for it."""
        known: dict[str, Entry] = {}
        planned: list[Planned] = []
        steps = self.recipe.steps()
        if not run_code and (code := self.recipe.task.code_of_data):
            because = f"depends on the data of `{code}`"
            return [Planned(step.label, step.stage.use, "unknown", because) for step in steps]
        preflight.check_data(self, steps)
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

    def run(self, progress: Progress, jobs: int = 1) -> list[StageFacts]:
        """Make every result of the chain, in order; as many as `jobs` that do not depend on each other side by side."""
        steps = self.recipe.steps()
        waiting = [planned.label for planned in self.plan() if planned.action == "run"]
        if waiting:
            paths.require_writable(*self.cache.destinations())
        preflight.check_networks(self, steps, waiting)
        if words := self.demand(waiting):
            _say_once(words)
        if jobs == 1 or len(waiting) < 2:
            for position, step in enumerate(steps):
                progress.begin(step.label, step.stage.use, position, len(steps))
                progress.end(self._placed(position, step, progress))
            return [result.facts for result in self.results.values()]
        with Processes(self, progress, jobs).started() as processes:
            for position, step in enumerate(steps):
                processes.ready(step.label)
                facts = self._placed(position, step, progress)
                if (seconds := processes.made.get(step.label)) is not None:
                    facts = facts.model_copy(update={"cached": False, "seconds": seconds})
                    self.results[step.label] = replace(self.results[step.label], facts=facts)
                progress.end(facts)
        return [result.facts for result in self.results.values()]

    def demand(self, waiting: Collection[str]) -> str:
        """Return in words what memory and disk the `waiting` stages take. Raises: UserError where there is less."""
        wanted = demand.of(self, self.recipe.steps(), waiting)
        if wanted is None:
            return ""
        demand.require(wanted, self.cache.root)
        return wanted.words()

    def make(self, label: str, key: str, progress: Progress) -> None:
        """Make the result of one stage from those in the cache. Raises: UserError where it has another `key` by now."""
        steps = {step.label: (position, step) for position, step in enumerate(self.recipe.steps())}
        wanted, above = [label], dict[str, None]()
        while wanted:
            found = needs(self, steps[wanted.pop()][1])
            wanted += found - above.keys()
            above |= dict.fromkeys(found)
        for name in sorted(above, key=lambda name: steps[name][0]):
            self._placed(*steps[name], progress)
        position, step = steps[label]
        if key_of(material(self, step, {name: result.entry for name, result in self.results.items()})) != key:
            message = f"`{self.recipe.document.path}`, or a file that it names, has changed since the run began"
            raise UserError(message, "start it again")
        progress.end(self._placed(position, step, progress))

    def _placed(self, position: int, step: Step, progress: Progress) -> StageFacts:
        """Make a result, whose errors get their place in the recipe."""
        try:
            with activity(stage=step.label, **_input_file(step, self.results)):
                self.results[step.label] = self._result(step, progress)
        except Exception as error:
            wrong = system_errors.of(error) or (error if isinstance(error, UserError) else self.code.blamed(error))
            if wrong is None:
                raise
            raise wrong.at(self.place(position, wrong)) from error
        return self.results[step.label].facts

    def place(self, position: int, error: UserError) -> Place:
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
        entry = self.cache.make(material(self, step, entries), maker, f"`{step.label}` as well")
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
            curves=[Curve.model_validate(facts) for facts in entry.facts.get("curves", [])],
        )
        return Result(entry, artifact, remarks.remarked(self, step, facts, entries))

    def _make(self, step: Step, folder: Path, scratch: Path, say: Callable[[int, int, str], None]) -> dict[str, Any]:
        from ..training import curve
        from . import evaluate

        def derive(key: dict[str, Any], make: Callable[[Path], None]) -> Path:
            def maker(folder: Path, scratch: Path) -> dict[str, Any]:
                make(folder)
                return {}

            derived = {"derived": key, "format": FORMAT, **codes(self, step, entries)}
            return self.cache.make(derived, maker, f"a part of `{step.label}` as well").folder

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
            if rows := evaluate.likeness_rows(folder / facts["files"][0]["path"], source.entry.folder, self.data):
                facts["notes"]["likeness"] = rows
            if boxes := evaluate.boxes_kept(folder / facts["files"][0]["path"], source.entry.folder, self.data):
                facts["notes"]["boxes"] = boxes
        if still := evaluate.constant(folder / facts["files"][0]["path"], self.data):
            facts["notes"]["constant"] = still
        files = made.presets.values() or [MAIN_FILE[made.kind]]
        digests = [paths.digest(folder / name) for name in files]
        more: dict[str, Any] = {"summary": made.summary} if made.summary else {}
        if curves := list(curve.read(scratch)):
            more["curves"] = curves
        return {**facts, **more, "presets": made.presets, "digests": digests, **codes(self, step, entries)}
