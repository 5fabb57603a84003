"""Judge the files of a route by every target, as `edgepress run` does.

The code is the same; no attached device is measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from ...benchmark import paired
from ...config.recipe import Recipe
from ...config.target import Target
from ...core.keep import written
from ...core.results import ModelFile, Preprocessing, Report, Samples, StageFacts
from ...core.runtimes import DEFAULT, RUNTIMES
from ...data.dataset import Dataset
from ...engine import decode_time
from ...engine.engine import Engine
from ...engine.references import file_for as reference_file
from ...gate import judge, published
from ...gate.judge import Finding
from ...stage import Kind
from . import text
from .results import Comparison, Fits, RouteResult

PROCESSES, ROUNDS = 6, 100
"""Fresh processes, and rounds of each, in which all files are timed side by side."""
REFERENCE_PROCESSES, REFERENCE_ROUNDS = 4, 30


def timed(
    first: Sequence[RouteResult], engine: Engine, targets: Sequence[Target]
) -> tuple[list[Samples], list[Samples]]:
    """Time all files of the first repetition side by side, and the references of estimates for the targets.

    Each route's files run on one thread, as tables show them. Files of local targets run in the target's number of
    threads beside its pinned references, with memory and cold start where a budget needs them.
    """
    main = next((target for target in targets if not target.attached), None)
    files = [file for route in first for file in route.files.values()]
    models = [paired.Model(file.path, Path(file.path), main.runtime if main else DEFAULT["onnx"]) for file in files]
    references: list[paired.Model] = []
    weighed: list[paired.Model] = []
    for target in targets:
        judged = list(_judged(first, target, engine))
        if target.reach == "local":
            mine = [_model(target, file.path, Path(file.path)) for file in judged]
            pinned = published.pinned_models(target)
            built = [
                _model(target, reference.label, reference_file(reference, engine.cache, engine.versions))
                for reference in pinned
            ]
            models += [*mine, *built]
            weighed += mine if target.budgets.memory or target.budgets.cold_start else []
        elif not target.attached and target.budgets.latency:
            needed = {
                reference: None for file in judged for reference in published.reference_models(target, file.precision)
            }
            if needed:
                references += [paired.Model(file.path, Path(file.path), target.runtime) for file in judged]
            references += [
                paired.Model(
                    reference.label, reference_file(reference, engine.cache, engine.versions), reference.runtime
                )
                for reference in needed
            ]
    models = list(dict.fromkeys(models))
    samples = paired.measure(models, looks=(PROCESSES,), rounds=ROUNDS)
    samples = [
        paired.weigh(sample, model) if model in weighed else sample
        for model, sample in zip(models, samples, strict=True)
    ]
    references = list(dict.fromkeys(references))
    return samples, paired.measure(references, looks=(REFERENCE_PROCESSES,), rounds=REFERENCE_ROUNDS)


def _model(target: Target, label: str, file: Path) -> paired.Model:
    return paired.Model(label, file, target.runtime, target.threads, target.provider)


def _judged(first: Sequence[RouteResult], target: Target, engine: Engine) -> Iterable[ModelFile]:
    kind, wanted = RUNTIMES[target.runtime].kind, target.integers(engine.machine)
    for route in first:
        for which in route.judged:
            for stage in _stages(route, which):
                if stage.kind == kind and (file := judge.file_of(stage, wanted)):
                    yield file


def fits(
    route: RouteResult,
    comparison: Comparison,
    recipe: Recipe,
    targets: Sequence[Target],
    references: list[Samples],
    data: Dataset,
) -> list[Fits]:
    """Judge a route's two files by the targets and the recipe's own `keep`.

    Drops count from the recipe's reference, with the seeds of the first repetition. `data` has the pictures whose
    boxes are decoded where a target has a budget of that time.
    """
    keep = recipe.keep.limit()
    names = ("images", "counted", "graded")
    counts: dict[str, Any] = {name: comparison.data[name] for name in names if name in comparison.data}
    decoded = any(target.budgets.decode for target in targets)
    rows = []
    for which, shown in route.files.items():
        times = decode_time.of_file(Path(shown.path), data) if decoded else []
        stages = _stages(route, which)
        report = Report(
            recipe=comparison.name, source="", date=comparison.date, limited=None, machine=comparison.machine,
            versions=comparison.versions, data=counts,
            reference=REFERENCE if route.reference else recipe.reference_label(), metric=comparison.metric,
            lower_is_better=comparison.error, constant=comparison.constant, groups=comparison.groups,
            keep=keep[1] if keep else None, targets=[], stages=stages, samples=comparison.samples,
            references=references, preprocessing=Preprocessing(read=[], ready=[], decode=times),
        )  # fmt: skip
        by_name = {target.name: target for target in targets}
        findings = [
            _explained(finding, route, recipe, by_name.get(finding.target)) for finding in judge.judge(report, targets)
        ]
        for name, group in groupby(findings, key=lambda finding: finding.target):
            judged = list(group)
            rows.append(
                Fits(
                    route=route.route,
                    which="float" if which == "float" else "int8",
                    target=name,
                    checks={finding.check: finding.status for finding in judged if finding.level == "required"},
                    said=[text.budget(finding) for finding in judged],
                )
            )
    return rows


REFERENCE = "the recipe's reference"


def _stages(route: RouteResult, which: str) -> list[StageFacts]:
    """Return the reference, the stages whose own `keep` is judged, and the last ONNX and TFLite files.

    They have the form of a run's stages.
    """

    def stage(name: str, kind: Kind, files: list[ModelFile], notes: dict[str, Any] | None = None) -> StageFacts:
        return StageFacts(
            name=name, use=which, kind=kind, inputs=[], cached=True, seconds=0, parameters=route.parameters,
            macs=route.macs, files=files, notes=notes or {}, warnings=[],
        )  # fmt: skip

    kinds: tuple[Kind, ...] = ("onnx", "tflite")
    files = route.judged.get(which, [])
    by_kind = [(kind, [file for file in files if file.kind == kind]) for kind in kinds]
    last = [stage(f"{route.route} {which}", kind, mine) for kind, mine in by_kind if mine]
    # Their files are not judged, but for the last ones; what they kept is, whatever file goes to a target.
    kept = [stage(name, "torch", [], written({}, rows)) for name, rows in route.kept.get(which, {}).items()]
    return [*([stage(REFERENCE, "torch", route.reference)] if route.reference else []), *kept, *last]


def _explained(finding: Finding, route: RouteResult, recipe: Recipe, target: Target | None) -> Finding:
    """Return the finding, with the reason of a missing number where the comparison itself is the reason."""
    if finding.value is not None or "accepted" in finding.check:
        return finding
    if route.unfit and target and RUNTIMES[target.runtime].kind != "onnx":
        return replace(finding, note=route.unfit)
    if "drop" in finding.check and not route.reference:
        return replace(finding, note=f"drops count from `{recipe.reference_label()}`, which no route makes")
    if not finding.note and target and target.attached:
        return replace(finding, note="`edgepress run` measures it on the device")
    return finding
