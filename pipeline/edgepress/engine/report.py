"""Measure a finished chain and build its report."""

from __future__ import annotations

import datetime
from collections import defaultdict
from functools import partial
from pathlib import Path

from ..benchmark import paired, statistics
from ..benchmark.emulator import qemu
from ..config.chain import Step
from ..core.paths import digest
from ..core.progress import Shown
from ..core.results import Device, Emulated, Machine, ModelFile, Report, Samples, StageFacts
from ..core.runtimes import DEFAULT
from ..data import preprocessing_time
from ..gate import judge
from ..models import input_preparation, metadata
from . import decode_time, on_device
from .engine import Engine
from .timings import Timing, timings

FASTER = {"parameters", "bytes"}
"""Sizes whose reduction should make a model faster; kernels multiply by zeros as by any weight."""
_RECALLS_OF = {"segmentation": "pixels", "detection": "boxes"}
"""What recalls by class count, where it is not examples."""


def build(engine: Engine, stages: list[StageFacts], accepted: dict[str, ModelFile], shown: Shown) -> Report:
    """Time and emulate what the stages made, and return the report: see `timings` for what is timed for whom."""
    with_results = _assembler(engine, accepted)
    # Without times a report tells which files are judged, and with those of a moment whether they decide.
    draft = partial(with_results, stages=stages)
    results: dict[str, list[Samples]] = {"samples": [], "references": []}
    devices: dict[str, Device] = {}
    for timing in timings(draft(**results), engine):
        shown.begin(timing.title, timing.title, -1, 0)

        def enough(samples: list[Samples], timing: Timing = timing) -> bool:
            name = timing.device.name if timing.device else ""
            placed = [sample.model_copy(update={"device": name}) for sample in samples]
            return judge.latency_decided(draft(samples=[*results["samples"], *placed], references=[]), timing.targets)

        if timing.device:
            samples, devices[timing.device.name] = on_device.measure(
                timing.device, timing.models, looks=timing.looks, say=shown.advance, enough=enough
            )
        else:
            samples = paired.measure(
                timing.models, looks=timing.looks, rounds=timing.rounds, say=shown.advance, enough=enough
            )
            samples = _weighed(samples, timing, draft(**results))
        results[timing.field] += samples
    return with_results(
        stages=_not_faster(engine.recipe.steps(), stages, engine.machine, results["samples"]),
        devices=devices,
        emulated=_emulated(draft(**results), engine, shown),
        **results,
    )


def _assembler(engine: Engine, accepted: dict[str, ModelFile]) -> partial[Report]:
    """Return a report's constructor with everything that does not depend on times."""
    recipe, data = engine.recipe, engine.data
    return partial(
        Report,
        recipe=recipe.name,
        source=str(recipe.document.path),
        date=datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        limited=engine.limit,
        machine=engine.machine,
        versions=engine.versions,
        data={
            "name": data.name,
            "kind": "images" if data.inputs[0].kind == "image" else "examples",
            "sha256": data.digest,
            "recipe_sha256": digest(recipe.document.path),
            "set": list(recipe.document.changes),
            **({"metric_key": list(engine.metric.key)} if engine.metric.key else {}),
            "inputs": _inputs(engine),
            **({"notes": list(engine.data.notes)} if engine.data.notes else {}),
            **({"warnings": list(engine.data.warnings)} if engine.data.warnings else {}),
            **({"recalls_of": unit} if (unit := _RECALLS_OF.get(data.task)) else {}),
            **({"licences": stated} if (stated := recipe.card.licences()) else {}),
            "images": {name: len(split.y) for name, split in data.splits.items()},
            **({"graded": True} if engine.data.task == "detection" else {}),
            **({"counted": engine.metric.examples(data["test"].y)} if engine.metric.counting else {}),
        },
        reference=recipe.reference_label(),
        metric=engine.metric.name,
        lower_is_better=not engine.metric.higher,
        constant=engine.constant,
        groups=[] if data.groups is None else data.groups.tolist(),
        keep=recipe.keep.most,
        targets=[str(file) for file in recipe.target_files()],
        accepted=accepted,
        preprocessing=preprocessing_time.measure(data).model_copy(update={"decode": decode_time.measure(engine)}),
    )


def _inputs(engine: Engine) -> str:
    """Describe how the inputs are made of raw values; for each stage where loaded files differ."""
    labels: dict[str, list[str]] = defaultdict(list)
    for step in engine.recipe.steps():
        if step.kind == "torch":
            labels[input_preparation.described(engine.data)].append(step.label)
        elif step.stage.use == "load":
            contract = metadata.read(engine.results[step.label].artifact.path)
            labels[input_preparation.taken(contract, engine.data)].append(step.label)
    if len(labels) == 1:
        return next(iter(labels))
    return "; ".join(f"{', '.join(names)}: {words}" for words, names in labels.items())


def _weighed(samples: list[Samples], timing: Timing, draft: Report) -> list[Samples]:
    """Add peak memory and cold start to the samples of the files that targets judge on this machine."""
    judged = {
        (file.path, target.runtime, target.threads)
        for target in timing.targets
        if (file := judge.judged(draft, target))
    }
    return [
        paired.weigh(sample, model) if (model.name, model.runtime, model.threads) in judged else sample
        for sample, model in zip(samples, timing.models, strict=True)
    ]


def _emulated(draft: Report, engine: Engine, shown: Shown) -> dict[str, list[Emulated]]:
    """Evaluate the last file of each kind on the instruction set of each target that names one."""
    targets = [target for target in engine.targets if target.emulate]
    if not targets or qemu.versions() is None:
        return {}
    from .emulated import scored

    shown.begin("emulating", "emulating", -1, 0)
    results: dict[str, list[Emulated]] = defaultdict(list)
    for target in targets:
        judged = judge.judged(draft, target)
        for file in judge.last_files(draft, target):
            shown.advance(0, 1, f"{Path(file.path).name} on {target.emulate}")
            runtime = target.runtime if judged and file.path == judged.path else DEFAULT[file.kind]
            results[target.name].append(
                scored(file, str(target.emulate), runtime, engine.scored, engine.metric, engine.cache.make)
            )
    return dict(results)


def _not_faster(
    steps: list[Step], stages: list[StageFacts], machine: Machine, samples: list[Samples]
) -> list[StageFacts]:
    """Warn at each stage that promises a smaller model and is not shown to be faster as well."""
    times = {sample.path: sample for sample in samples}
    facts = {stage.name: stage for stage in stages}

    def time_of(stage: StageFacts) -> Samples | None:
        file = judge.host_file(stage, machine)
        return times.get(file.path) if file else None

    warned = []
    for step in steps:
        stage = facts[step.label]
        now, before = time_of(stage), time_of(facts[step.input]) if step.input else None
        if FASTER & {*step.stage.shrinks} and now and before and now.runtime == before.runtime:
            ratio, interval = statistics.spread(statistics.log_ratios(now, before))
            if interval and interval[1] >= 1:
                word = "slower" if interval[0] > 1 else "not shown to be faster"
                line = f"is {word} than its input here: {ratio:.2f}x [{interval[0]:.2f}-{interval[1]:.2f}]"
                stage = stage.model_copy(update={"warnings": [*stage.warnings, line]})
        warned.append(stage)
    return warned
