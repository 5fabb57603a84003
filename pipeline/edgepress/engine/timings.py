"""List what a run times and for whom: one row for each group of processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..benchmark import paired
from ..benchmark.statistics import LOOKS
from ..config.target import Target
from ..core.results import Report
from ..core.runtimes import DEFAULT
from ..gate import judge, published
from .engine import Engine
from .references import file_for

TABLE_PROCESSES = 4
"""The stage table shows an interval and gives no verdict."""

ROUNDS, REFERENCE_ROUNDS = 100, 30
"""Published networks take milliseconds, and the factor of an estimate is far wider than their noise."""


@dataclass(frozen=True)
class Timing:
    """Models that are timed side by side.

    Attributes:
        title: what the progress shows.
        models: without repetition.
        targets: those that the times decide, which also end the measuring early.
        device: the target on whose device it is; None for this machine.
        field: where `Report` holds the times.
    """

    title: str
    models: tuple[paired.Model, ...]
    targets: tuple[Target, ...] = ()
    device: Target | None = None
    looks: tuple[int, ...] = (TABLE_PROCESSES,)
    rounds: int = ROUNDS
    field: Literal["samples", "references"] = "samples"


def timings(draft: Report, engine: Engine) -> list[Timing]:
    """Return all that is timed for the stages of `draft`, in order; groups without a model are left out."""
    local = tuple(target for target in engine.targets if target.reach == "local")
    devices = [target for target in engine.targets if target.attached and judge.judged(draft, target)]
    groups = [
        # Alone, since other models in a process share its caches, and a verdict must not depend on how many stages
        # the recipe has.
        Timing("measuring budgets", _unique(_of_targets(local, draft, engine)), local, looks=LOOKS),
        Timing("measuring stages", tuple(_of_stages(draft))),
        *(
            Timing(
                f"measuring {target.name}",
                tuple(_of_targets([target], draft, engine)),
                (target,),
                device=target,
                looks=LOOKS,
            )
            for target in devices
        ),
        Timing(
            "measuring references",
            _unique(_of_estimates(draft, engine)),
            rounds=REFERENCE_ROUNDS,
            field="references",
        ),
    ]
    return [group for group in groups if group.models]


def _unique(models: list[paired.Model]) -> tuple[paired.Model, ...]:
    return tuple(dict.fromkeys(models))


def _of_targets(targets: Sequence[Target], draft: Report, engine: Engine) -> list[paired.Model]:
    """Return the judged file, the accepted one and the pinned references of measured targets."""
    models = []
    for target in targets:
        files = []
        if file := judge.judged(draft, target):
            files.append((file.path, Path(file.path)))
        if (accepted := draft.accepted.get(target.name)) and target.regression.latency:
            files.append((accepted.path, Path(accepted.path)))
        for reference in published.pinned_models(target):
            files.append((reference.label, file_for(reference, engine.cache, engine.versions)))
        models += [paired.Model(name, file, target.runtime, target.threads, target.provider) for name, file in files]
    return models


def _of_stages(draft: Report) -> list[paired.Model]:
    """Return every stage's file for this machine."""
    files = [file for stage in draft.stages if (file := judge.host_file(stage, draft.machine))]
    return [paired.Model(file.path, Path(file.path), DEFAULT[file.kind]) for file in files]


def _of_estimates(draft: Report, engine: Engine) -> list[paired.Model]:
    """Return the files that are judged by an estimate, and the published networks that it rests on."""
    models = []
    for target in engine.targets:
        file = judge.judged(draft, target)
        references = published.reference_models(target, file.precision) if file else []
        if file and references:
            models.append(paired.Model(file.path, Path(file.path), target.runtime))
            models += [
                paired.Model(reference.label, file_for(reference, engine.cache, engine.versions), reference.runtime)
                for reference in references
            ]
    return models
