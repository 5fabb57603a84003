"""Refuse, before the first stage runs, what a later stage would refuse.

First what options and data decide, then whether the networks can be built and belong together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ..config import rejections
from ..config.chain import Step
from ..config.target_use import unjudged
from ..core.errors import Problem, UserError
from ..core.presets import PresetName
from ..core.runtimes import RUNTIMES
from ..core.validation import in_order
from ..data.facts import DataFacts
from ..models.description import Network
from ..models.input_preparation import Unprepared
from ..training import seeded
from ..training.loop import require_gpu

if TYPE_CHECKING:
    from .engine import Engine


def check_data(engine: Engine, steps: list[Step]) -> None:
    """Raise UserError with every reason why stages cannot work on the data; keep their warnings."""
    document = engine.recipe.document
    problems = list(rejections.check(document, DataFacts.of(engine.data), _presets(engine)))
    problems += [*_absent_runtimes(engine, steps), *unjudged(engine.targets, engine.data.task)]
    for position, step in enumerate(steps):
        try:
            engine.data_warnings[step.label] = step.stage.check_data(engine.data, document.path)
        except Unprepared as error:
            problems += error.at(document.place(("task", "data"))).problems
        except UserError as error:
            problems += error.at(engine.place(position, error)).problems
    if problems:
        raise UserError(in_order(dict.fromkeys(problems)))


def check_networks(engine: Engine, steps: list[Step], waiting: Collection[str]) -> None:
    """Raise UserError where the `waiting` stages cannot build or use their networks as options say, or need a GPU.

    The first of them builds its own at once. Networks are built untrained; the user's functions are called only for a
    stage that tries its input.
    """
    document = engine.recipe.document
    later = [position for position, step in enumerate(steps) if step.label in waiting][1:]
    problems = [problem for position in later for problem in _network_problems(engine, steps[position], position)]
    for position in later:
        for option, schedule in steps[position].stage.schedules():
            try:
                if schedule.epochs:
                    require_gpu(schedule)
            except UserError as error:
                problems += error.at(document.place(("stages", position, *option, "precision"))).problems
    if problems:
        raise UserError(in_order(dict.fromkeys(problems)))


def _network_problems(engine: Engine, step: Step, position: int) -> Iterator[Problem]:
    document, loc = engine.recipe.document, ("stages", position)
    sources = rejections.lineages(document)[position].sources
    described = {name: source.network for name, source in sources.items()}
    if step.stage.tries_input and "input" in sources:
        described["input"] = sources["input"].unpruned
    options = {option: getattr(step.stage, option) for option in type(step.stage).model_fields}
    own = {option: value for option, value in options.items() if isinstance(value, Network)}
    networks, example = {}, None
    for name, network in (described | own).items():
        if not isinstance(network, Network) or (network.own and not (name == "input" and step.stage.tries_input)):
            continue
        plain = network.model_copy(update={"pretrained": False})  # published weights are not fetched for it
        description = plain.describe(engine.data)
        try:
            with seeded(0):
                networks[name] = description.build(engine.code)
            example = description.example()
        except UserError as error:
            if name in own:
                yield from error.at(document.place(document.nearest((*loc, name)))).problems
    if example is None:
        return
    try:
        step.stage.check_networks(networks, example)
    except UserError as error:
        nearest = document.nearest((*loc, "layers"))
        yield from error.at(document.place((*loc, "use") if nearest == loc else nearest)).problems


def _absent_runtimes(engine: Engine, steps: list[Step]) -> Iterator[Problem]:
    """Yield a problem for each target whose files this machine is to time in a runtime that it does not have."""
    kinds = {step.kind for step in steps}
    for target in engine.targets:
        absent = RUNTIMES[target.runtime].absent()
        timed = target.reach == "local" or (target.reach == "none" and target.references)
        if absent and timed and RUNTIMES[target.runtime].kind in kinds:
            yield replace(absent, place=target.place("runtime"))


def _presets(engine: Engine) -> dict[PresetName, str]:
    """Return the integer formats that are needed, with the target that needs each."""
    owners = {profile.integers(engine.machine): profile.name for profile in reversed(engine.targets)}
    return {preset: owners.get(preset, "") for preset in engine.presets}
