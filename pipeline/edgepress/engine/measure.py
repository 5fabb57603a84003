"""Measure what a finished chain made: everything that is timed or emulated for the budgets."""

from __future__ import annotations

import datetime
from pathlib import Path

from ..benchmark import paired, statistics
from ..benchmark.emulator import qemu
from ..benchmark.runtimes import DEFAULT
from ..config.chain import Step
from ..config.recipe import Recipe
from ..config.target import Target
from ..core.paths import digest
from ..core.progress import Shown
from ..core.results import Emulated, ModelFile, Report, Samples, StageFacts
from ..data import preprocessing_time
from ..gate import estimate, judge
from ..models import input_preparation, metadata
from . import on_device
from .engine import Engine
from .references import built

TABLE_PROCESSES = 4
"""The stage table shows an interval and gives no verdict."""

REFERENCE_PROCESSES, REFERENCE_ROUNDS = 4, 30
"""Published networks take milliseconds, and the factor of an estimate is far wider than their noise."""

FASTER = {"parameters", "bytes"}
"""Where a stage shrinks these, it makes a model faster; kernels multiply by zeros as by any other weight."""


def limit_of_keep(recipe: Recipe) -> float | None:
    kept = recipe.keep.limit()
    return kept[1] if kept else None


def measured(engine: Engine, stages: list[StageFacts], held: dict[str, ModelFile], shown: Shown) -> Report:
    """The report of a finished chain: every stage timed side by side, then what the estimates rest on."""
    recipe, targets = engine.recipe, engine.targets
    report = Report(
        recipe=recipe.name,
        source=str(recipe.document.path),
        date=datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        limited=engine.limit,
        machine=engine.machine,
        versions=engine.versions,
        data={
            "name": engine.data.name,
            "kind": "images" if engine.data.inputs[0].kind == "image" else "examples",
            "sha256": engine.data.digest,
            "recipe_sha256": digest(recipe.document.path),
            "set": list(recipe.document.changes),
            "inputs": _inputs(engine),
            "images": {name: len(split.y) for name, split in engine.data.splits.items()},
        },
        reference=recipe.reference_label(),
        metric=engine.metric.name,
        lower_is_better=not engine.metric.higher,
        constant=engine.constant,
        groups=[] if engine.data.groups is None else engine.data.groups.tolist(),
        keep=limit_of_keep(recipe),
        targets=[str(file) for file in recipe.target_files()],
        stages=stages,
        samples=[],
        accepted=held,
        preprocessing=preprocessing_time.measure(engine.data),
        references=[],
    )
    shown.begin("measuring budgets", "measuring budgets", -1, 0)
    samples = paired.measure(
        _judged(report, engine),
        say=shown.advance,
        enough=lambda found: judge.latency_decided(report.model_copy(update={"samples": found}), targets),
    )
    samples = _weighed(samples, report, targets)
    shown.begin("measuring stages", "measuring stages", -1, 0)
    files = [file for stage in report.stages if (file := judge.host_file(stage, report.machine))]
    models = [paired.Model(file.path, Path(file.path), DEFAULT[file.kind]) for file in files]
    samples += paired.measure(models, looks=(TABLE_PROCESSES,), say=shown.advance)
    report = report.model_copy(update={"samples": samples})
    for target in targets:
        if target.attached and judge.judged(report, target):
            report = _attached(target, report, engine, shown)
    report = report.model_copy(update={"emulated": _emulated(report, engine, shown)})
    if models := _estimated(report, engine):
        shown.begin("measuring references", "measuring references", -1, 0)
        found = paired.measure(models, looks=(REFERENCE_PROCESSES,), rounds=REFERENCE_ROUNDS, say=shown.advance)
        report = report.model_copy(update={"references": found})
    return report.model_copy(update={"stages": _not_faster(recipe.steps(), report)})


def _inputs(engine: Engine) -> str:
    """How the inputs of the models are made of raw values; where loaded files differ, of each."""
    lines: dict[str, list[str]] = {}
    for step in engine.recipe.steps():
        if step.kind == "torch":
            words = input_preparation.described(engine.data)
        elif step.stage.use == "load":
            words = input_preparation.taken(metadata.read(engine.results[step.label].artifact.path), engine.data)
        else:
            continue
        lines.setdefault(words, []).append(step.label)
    if len(lines) == 1:
        return next(iter(lines))
    return "; ".join(f"{', '.join(labels)}: {words}" for words, labels in lines.items())


def _judged(report: Report, engine: Engine) -> list[paired.Model]:
    """The files that measured targets judge, and their pinned references: alone, as what else runs in a process
    shares its caches, and a verdict must not depend on how many stages the recipe has."""
    models = []
    for target in engine.targets:
        if target.reach != "local":
            continue
        models += _of_target(target, report, engine)
    return list(dict.fromkeys(models))


def _of_target(target: Target, report: Report, engine: Engine) -> list[paired.Model]:
    """What is timed for one measured target."""
    models = []
    if file := judge.judged(report, target):
        models.append(paired.Model(file.path, Path(file.path), target.runtime, target.threads, target.provider))
    if (held := report.accepted.get(target.name)) and target.regression.latency:
        models.append(paired.Model(held.path, Path(held.path), target.runtime, target.threads, target.provider))
    for reference in estimate.pinned_models(target):
        models.append(
            paired.Model(
                reference.label,
                built(reference, engine.cache, engine.versions),
                target.runtime,
                target.threads,
                target.provider,
            )
        )
    return models


def _attached(target: Target, report: Report, engine: Engine, shown: Shown) -> Report:
    """The report with what a target's own device said."""
    shown.begin(f"measuring {target.name}", f"measuring {target.name}", -1, 0)

    def enough(found: list[Samples]) -> bool:
        named = [each.model_copy(update={"device": target.name}) for each in found]
        return judge.latency_decided(report.model_copy(update={"samples": [*report.samples, *named]}), [target])

    found, device = on_device.measure(target, _of_target(target, report, engine), say=shown.advance, enough=enough)
    changed = {"samples": [*report.samples, *found], "devices": {**report.devices, target.name: device}}
    return report.model_copy(update=changed)


def _emulated(report: Report, engine: Engine, shown: Shown) -> dict[str, list[Emulated]]:
    """What the last file of each kind answers on the instruction set of each target that says which it has."""
    if not any(target.emulate for target in engine.targets) or qemu.versions() is None:
        return {}
    from .emulated import scored

    shown.begin("emulating", "emulating", -1, 0)
    found: dict[str, list[Emulated]] = {}
    for target in engine.targets:
        if target.emulate is None:
            continue
        for file in judge.last_files(report, target):
            shown.advance(0, 1, f"{Path(file.path).name} on {target.emulate}")
            runtime = target.runtime if file.path == _path(judge.judged(report, target)) else DEFAULT[file.kind]
            found.setdefault(target.name, []).append(
                scored(file, target.emulate, runtime, engine.scored, engine.metric, engine.cache.make)
            )
    return found


def _path(file: ModelFile | None) -> str:
    return file.path if file else ""


def _estimated(report: Report, engine: Engine) -> list[paired.Model]:
    """The files that are judged by an estimate, and the published networks that it rests on."""
    models: list[paired.Model] = []
    for target in engine.targets:
        file = judge.judged(report, target)
        references = estimate.reference_models(target, file.precision) if file else []
        if file and references:
            models.append(paired.Model(file.path, Path(file.path), target.runtime))
            models += [
                paired.Model(each.label, built(each, engine.cache, engine.versions), each.runtime)
                for each in references
            ]
    return list(dict.fromkeys(models))


def _weighed(samples: list[Samples], report: Report, targets: list[Target]) -> list[Samples]:
    """The samples with the peak memory and cold start of what targets judge on this machine."""
    wanted = {
        (file.path, target.runtime, target.threads)
        for target in targets
        if target.reach == "local" and (file := judge.judged(report, target))
    }
    return [
        paired.weigh(each, paired.Model(each.path, Path(each.path), each.runtime, each.threads, each.provider))
        if (each.path, each.runtime, each.threads) in wanted
        else each
        for each in samples
    ]


def _not_faster(steps: list[Step], report: Report) -> list[StageFacts]:
    """The stages, with a warning at each that promised a smaller model and is not shown to be faster as well."""
    times = {samples.path: samples for samples in report.samples}
    facts = {stage.name: stage for stage in report.stages}

    def time_of(stage: StageFacts) -> Samples | None:
        file: ModelFile | None = judge.host_file(stage, report.machine)
        return times.get(file.path) if file else None

    found = []
    for step in steps:
        stage = facts[step.label]
        now, before = time_of(stage), time_of(facts[step.input]) if step.input else None
        if FASTER & {*step.stage.shrinks} and now and before and now.runtime == before.runtime:
            ratio, interval = statistics.spread(statistics.log_ratios(now, before))
            if interval and interval[1] >= 1:
                word = "slower" if interval[0] > 1 else "not shown to be faster"
                line = f"is {word} than its input here: {ratio:.2f}x [{interval[0]:.2f}-{interval[1]:.2f}]"
                stage = stage.model_copy(update={"warnings": [*stage.warnings, line]})
        found.append(stage)
    return found
