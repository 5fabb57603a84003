"""A run from the recipe to the verdict, and the verdict asked for again."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from ..benchmark import paired, statistics
from ..benchmark.emulator import qemu
from ..commands.catalog import aimed
from ..config.chain import Step
from ..config.recipe import Recipe, load
from ..config.target import Target
from ..core import distributed, ownership
from ..core.errors import UserError, suggest
from ..core.paths import digest, replacing
from ..core.progress import Shown, Silent, progress
from ..core.results import Emulated, ModelFile, Report, Runtime, Samples, StageFacts
from ..data import preprocessing_time
from ..gate import baseline as accepted
from ..gate import estimate, judge
from ..gate.report import formats as outcome
from ..models import input_preparation, metadata
from . import artifacts, lock, on_device
from .cache import Cache
from .engine import Engine

REPORT = "report.json"
RUNTIME: dict[str, Runtime] = {"onnx": "onnxruntime", "tflite": "litert"}
"""The runtime in which the stage table times a kind of file."""
TABLE_PROCESSES = 4
"""The stage table shows an interval and gives no verdict."""
REFERENCE_PROCESSES, REFERENCE_ROUNDS = 4, 30
"""Published networks take milliseconds, and the factor of an estimate is far wider than their noise."""


def run(
    path: Path,
    *,
    cache: Path,
    runs: Path,
    limit: int | None,
    changes: Sequence[str] = (),
    aims: Sequence[str] = (),
    baseline: Path | None = None,
    on_undecided: judge.OnUndecided = "fail",
    formats: Sequence[str] = (),
) -> int:
    """Make, measure and judge, also against the accepted model in `baseline`; show the report, give the exit code.

    `aims` are `--target` arguments: targets in the place of the recipe's own.
    """
    outputs = [outcome.parse(words) for words in formats]
    recipe = load(path, (*changes, *aimed(path, aims)))
    engine = Engine(recipe, Cache(cache), limit)
    targets = engine.targets
    held = accepted.read(baseline, engine.metric.name, engine.data.digest) if baseline else {}
    folder = runs / recipe.name if limit is None else runs / recipe.name / "limited"
    # What is there of somebody else's is told before hours of training, not after.
    ownership.record(folder / REPORT, ownership.REPORT, artifacts.OTHER)
    known = artifacts.known(folder / "models", _before(folder))
    artifacts.free(engine, folder / "models", known)
    if limit is None:
        lock.where(recipe, folder)
    task = recipe.task
    shown = progress(metric=task.metric_name, error=task.lower_is_better) if distributed.first() else Silent()
    try:
        engine.run(shown)
        first = distributed.first()
        distributed.parted()
        if not first:
            return 0
        locked = lock.write(engine, folder) if limit is None else None
        report = _measured(engine, artifacts.deliver(engine, folder / "models", locked, known), held, shown)
    finally:
        shown.close()
    with replacing(folder / REPORT) as temporary:
        temporary.write_text(report.model_dump_json(), encoding="utf-8")
    return _judge(report, recipe, targets, on_undecided, outputs)


def check(
    path: Path,
    *,
    runs: Path,
    aims: Sequence[str] = (),
    on_undecided: judge.OnUndecided = "fail",
    formats: Sequence[str] = (),
) -> int:
    """Judge the stored measurements of the last run by the budgets as they stand now: of the run's targets, or those
    that `aims` name, `--target` arguments."""
    outputs = [outcome.parse(words) for words in formats]
    report, recipe, targets = _last(path, runs, aimed(path, aims))
    return _judge(report, recipe, targets, on_undecided, outputs)


def why(path: Path, *, runs: Path, target: str | None) -> str:
    """Where the time and bytes of a recipe's judged file go: of `target`, or of the recipe's first one."""
    from ..commands.why.explain import explain
    from ..commands.why.layers import layers

    report, recipe, targets = _last(path, runs)
    chosen = next((each for each in targets if target in (None, each.name)), None)
    if chosen is None:
        raise UserError(f"`{recipe.name}` has no target `{target}`", suggest(target or "", [t.name for t in targets]))
    file = judge.judged(report, chosen)
    if file is None:
        raise UserError(f"no stage of `{recipe.name}` makes a file for `{chosen.name}`")
    findings = [each for each in judge.judge(report, [chosen]) if each.target == chosen.name]
    return explain(Path(file.path), layers(Path(file.path)), findings, report)


def accept(path: Path, *, runs: Path, folder: Path | None, force: bool) -> int:
    """Keep the files of the last run that targets judge, for later runs to be held against."""
    report, recipe, targets = _last(path, runs)
    code = judge.exit_code(judge.judge(report, targets))
    if code and not force:
        raise UserError(
            f"the last run of `{recipe.name}` did not meet its budgets: exit {code}",
            f"`edgepress check {path}` shows them; --force accepts it nevertheless",
        )
    for file in accepted.accept(report, targets, folder or Path("accepted") / recipe.name):
        print(f"accepted {file}")
    return 0


def _last(path: Path, runs: Path, changes: Sequence[str] = ()) -> tuple[Report, Recipe, list[Target]]:
    """The report of the last run, with the recipe and the targets as they stand now, and `changes` besides."""
    recipe = load(path)
    file = runs / recipe.name / REPORT
    if not file.is_file():
        raise UserError(f"there is no run of `{recipe.name}` in `{runs}`", f"`edgepress run {path}` makes one")
    try:
        report = Report.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise UserError(
            f"`{file}` is damaged, or from another version of edgepress",
            f"move it away, and `edgepress run {path}` makes it anew",
        ) from error
    if report.data["recipe_sha256"] != digest(path):
        print(f"note: {path} has changed since this run; its models are as they were then", file=sys.stderr)
    recipe = load(path, (*report.data.get("set", ()), *changes))
    report = report.model_copy(update={"keep": _limit(recipe), "stages": _of_unknown_inputs(report)})
    return report, recipe, recipe.load_targets()


def _of_unknown_inputs(report: Report) -> list[StageFacts]:
    """The stages of a report, where those that load a file are doubted if an older version, which assumed how inputs
    are normalized, has written it."""
    if report.data.get("inputs"):
        return report.stages
    doubt = "of an older report, which does not say how inputs are made"
    warning = f"is {doubt}: `edgepress run` does, or asks for it"
    return [
        each.model_copy(update={"doubt": doubt, "warnings": [*each.warnings, warning]}) if each.use == "load" else each
        for each in report.stages
    ]


def _before(folder: Path) -> Report | None:
    """The report of the last run in `folder`, if there is one that can be read."""
    try:
        return Report.model_validate_json((folder / REPORT).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None


def _limit(recipe: Recipe) -> float | None:
    kept = recipe.keep.limit()
    return kept[1] if kept else None


def _judge(
    report: Report,
    recipe: Recipe,
    targets: list[Target],
    on_undecided: judge.OnUndecided,
    outputs: Sequence[outcome.Output],
) -> int:
    kept = recipe.keep.limit()
    place = recipe.document.place(("keep", kept[0])) if kept else None
    findings = judge.judge(report, targets, place)
    outcome.show(outputs, report, findings, on_undecided)
    return judge.exit_code(findings, on_undecided)


def _measured(engine: Engine, stages: list[StageFacts], held: dict[str, ModelFile], shown: Shown) -> Report:
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
        keep=_limit(recipe),
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
    models = [paired.Model(file.path, Path(file.path), RUNTIME[file.kind]) for file in files]
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
                estimate.built(reference, engine.cache, engine.versions),
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
            runtime = target.runtime if file.path == _path(judge.judged(report, target)) else RUNTIME[file.kind]
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
                paired.Model(each.label, estimate.built(each, engine.cache, engine.versions), each.runtime)
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
        paired.weighed(each, paired.Model(each.path, Path(each.path), each.runtime, each.threads, each.provider))
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
        if step.stage.shrinks and now and before and now.runtime == before.runtime:
            ratio, interval = statistics.spread(statistics.log_ratios(now, before))
            if interval and interval[1] >= 1:
                word = "slower" if interval[0] > 1 else "not shown to be faster"
                line = f"is {word} than its input here: {ratio:.2f}x [{interval[0]:.2f}-{interval[1]:.2f}]"
                stage = stage.model_copy(update={"warnings": [*stage.warnings, line]})
        found.append(stage)
    return found
