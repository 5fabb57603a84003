"""Judge the files of a route by every target, as `edgepress run` does.

The code is the same; no attached device is measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from ...benchmark import paired
from ...benchmark.runtimes import RUNTIMES
from ...config.recipe import Recipe
from ...config.target import Target
from ...core.results import ModelFile, Report, Samples, StageFacts
from ...engine.engine import Engine
from ...engine.references import file_for as reference_file
from ...gate import estimate, judge
from ...gate.judge import Finding
from ...stage import Kind
from . import text
from .results import Comparison, Fits, Made

PROCESSES, ROUNDS = 6, 100
"""Fresh processes, and rounds of each, in which all files are timed side by side."""
REFERENCE_PROCESSES, REFERENCE_ROUNDS = 4, 30


def timed(first: Sequence[Made], engine: Engine, targets: Sequence[Target]) -> tuple[list[Samples], list[Samples]]:
    """Times of all files of the first repetition side by side, and what estimates for the targets rest on.

    First each route's files on one thread, as tables show them; then what local targets judge in their own number of
    threads, with their pinned references, and with memory and cold start where a budget asks for them.
    """
    main = next((each for each in targets if not each.attached), None)
    files = [file for each in first for file in each.files.values()]
    models = [paired.Model(file.path, Path(file.path), main.runtime if main else "onnxruntime") for file in files]
    references: list[paired.Model] = []
    weighed: list[paired.Model] = []
    for target in targets:
        judged = list(_judged(first, target, engine))
        if target.reach == "local":
            mine = [_model(target, file.path, Path(file.path)) for file in judged]
            pinned = estimate.pinned_models(target)
            built = [_model(target, each.label, reference_file(each, engine.cache, engine.versions)) for each in pinned]
            models += [*mine, *built]
            weighed += mine if target.budgets.memory or target.budgets.cold_start else []
        elif not target.attached and target.budgets.latency:
            needed = {each: None for file in judged for each in estimate.reference_models(target, file.precision)}
            if needed:
                references += [paired.Model(file.path, Path(file.path), target.runtime) for file in judged]
            references += [
                paired.Model(each.label, reference_file(each, engine.cache, engine.versions), each.runtime)
                for each in needed
            ]
    models = list(dict.fromkeys(models))
    samples = paired.measure(models, looks=(PROCESSES,), rounds=ROUNDS)
    samples = [
        paired.weigh(found, model) if model in weighed else found for model, found in zip(models, samples, strict=True)
    ]
    references = list(dict.fromkeys(references))
    return samples, paired.measure(references, looks=(REFERENCE_PROCESSES,), rounds=REFERENCE_ROUNDS)


def _model(target: Target, label: str, file: Path) -> paired.Model:
    return paired.Model(label, file, target.runtime, target.threads, target.provider)


def _judged(first: Sequence[Made], target: Target, engine: Engine) -> Iterable[ModelFile]:
    kind, wanted = RUNTIMES[target.runtime].kind, target.integers(engine.machine)
    for made in first:
        for which in made.judged:
            for stage in _stages(made, which):
                if stage.kind == kind and (file := judge.file_of(stage, wanted)):
                    yield file


def fits(
    made: Made, comparison: Comparison, recipe: Recipe, targets: Sequence[Target], references: list[Samples]
) -> list[Fits]:
    """What the targets, and the recipe's own `keep`, say of a route's two files; drops count from the recipe's
    reference, with the seeds of the first repetition."""
    kept = recipe.keep.limit()
    found = []
    for which in made.files:
        stages = _stages(made, which)
        report = Report(
            recipe=comparison.name, source="", date=comparison.date, limited=None, machine=comparison.machine,
            versions=comparison.versions, data={"images": comparison.data["images"]},
            reference=REFERENCE if made.reference else recipe.reference_label(), metric=comparison.metric,
            lower_is_better=comparison.error, constant=comparison.constant, groups=comparison.groups,
            keep=kept[1] if kept else None, targets=[], stages=stages, samples=comparison.samples,
            references=references,
        )  # fmt: skip
        by_name = {target.name: target for target in targets}
        findings = [_explained(each, made, recipe, by_name.get(each.target)) for each in judge.judge(report, targets)]
        for name, group in groupby(findings, key=lambda each: each.target):
            judged = list(group)
            found.append(
                Fits(
                    route=made.route,
                    which="float" if which == "float" else "int8",
                    target=name,
                    checks={each.check: each.status for each in judged if each.level == "required"},
                    said=[text.budget(each) for each in judged],
                )
            )
    return found


REFERENCE = "the recipe's reference"


def _stages(made: Made, which: str) -> list[StageFacts]:
    """The reference, and the last ONNX and TFLite files, as a run would have them in its stages."""

    def stage(name: str, kind: Kind, files: list[ModelFile]) -> StageFacts:
        return StageFacts(
            name=name, use=which, kind=kind, inputs=[], cached=True, seconds=0, parameters=made.parameters,
            macs=made.macs, files=files, notes={}, warnings=[],
        )  # fmt: skip

    kinds: tuple[Kind, ...] = ("onnx", "tflite")
    files = made.judged.get(which, [])
    by_kind = [(kind, [file for file in files if file.kind == kind]) for kind in kinds]
    last = [stage(f"{made.route} {which}", kind, mine) for kind, mine in by_kind if mine]
    return [*([stage(REFERENCE, "torch", made.reference)] if made.reference else []), *last]


def _explained(finding: Finding, made: Made, recipe: Recipe, target: Target | None) -> Finding:
    """The finding, with the reason of a missing number where the comparison itself is the reason."""
    if finding.value is not None or "accepted" in finding.check:
        return finding
    if made.unfit and target and RUNTIMES[target.runtime].kind != "onnx":
        return replace(finding, note=made.unfit)
    if "drop" in finding.check and not made.reference:
        return replace(finding, note=f"drops count from `{recipe.reference_label()}`, which no route makes")
    if not finding.note and target and target.attached:
        return replace(finding, note="`edgepress run` measures it on the device")
    return finding
