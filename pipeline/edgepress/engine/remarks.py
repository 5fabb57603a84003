"""Collect the warnings of a finished stage from its own numbers.

They are computed at every run, also for cached stages.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import tasks
from ..config.chain import Step, sources
from ..core import keep as kept
from ..core.runtimes import RUNTIMES, agreement_note, others
from ..models.metadata import LABEL_TASKS
from ..models.published_inputs import misfed
from ..tasks.detection import SHOWN
from . import key

if TYPE_CHECKING:
    from ..core.results import StageFacts
    from ..stage import Shrinks
    from .cache import Entry
    from .engine import Engine

_GROUPS = 4
"""Most channel groups that are named."""
_CLASSES = 10
"""Most classes whose average precision is named."""
_EXACT = 60.0
"""SQNR in dB from which nothing but the worst group is named: a float conversion rounds that much."""
AGREEMENT = 0.99
"""Agreement with the source, as `Task.agreement` has it, below which a conversion warns."""
BOXES = 0.97
"""F1 of a detector's boxes against its source's below which a stage warns, where no labels tell which are right."""


def remarked(engine: Engine, step: Step, facts: StageFacts, entries: dict[str, Entry]) -> StageFacts:
    """Return `facts` with the step's warnings, summary, doubt, and the rows of a `keep` in the recipe."""
    if _asks(step) and step.input:  # written in the recipe, so it is judged
        rows = facts.notes.get("keep") or kept_by(engine, step, engine.results[step.input].facts, facts, entries)
        facts = facts.model_copy(update={"notes": kept.written(facts.notes, rows)})
    doubt, reasons = _doubts(engine, step, facts)
    lines = [*warnings(engine, step, facts, entries), *reasons]
    summary = [*(facts.summary or []), *step.stage.summarize(facts.notes), *_alike(step, facts), *_untried(facts)]
    summary += _precisions(engine, step, facts)
    return facts.model_copy(update={"warnings": lines, "doubt": doubt, "summary": summary})


def _alike(step: Step, facts: StageFacts) -> list[str]:
    """Return a line on how like its input's a model's outputs are, for each channel group, the worst first."""
    rows = facts.notes.get("likeness", [])
    named = rows[: 1 if rows and rows[0]["sqnr"] >= _EXACT else _GROUPS]
    words = [
        f"{row['group']} {row['sqnr']:.1f} dB" + ("" if row["cosine"] is None else f" (cosine {row['cosine']:.4f})")
        for row in named
    ]
    more = f"; and {len(rows) - len(named)} more" if len(rows) > len(named) else ""
    lines = [f"SQNR of its outputs against {step.input}, worst first: {'; '.join(words)}{more}"] if rows else []
    if boxes := facts.notes.get("boxes"):
        lines.append(f"boxes: {_boxes(step, boxes)}")
    return lines


def _boxes(step: Step, boxes: dict[str, Any]) -> str:
    return (
        f"F1 of {boxes['f1']:.3f} against the {boxes['boxes']:,} of {step.input} on the test pictures (score {SHOWN}, "
        "IoU 0.5, one to one)"
    )


def _precisions(engine: Engine, step: Step, facts: StageFacts) -> list[str]:
    """Return a line on the average precision by class, worst first, and by size of boxes, of the first and last model.

    It is of the matches that the evaluation left beside the file.
    """
    shown = (engine.recipe.reference_label(), engine.recipe.steps()[-1].label)
    if engine.data.task != "detection" or not engine.data.labels or step.label not in shown:
        return []
    import numpy as np

    from ..core import metric_boxes
    from .dense import PARTS

    stored = Path(facts.files[0].path).parent / f"{facts.files[0].precision}{PARTS}"
    if not stored.is_file():
        return []
    with np.load(stored) as arrays:
        parts = arrays["parts"]
    by_class = sorted(metric_boxes.by_class(parts).items(), key=lambda item: item[1])
    sizes = {size: metric_boxes.mean_precision(parts, size=size) for size in metric_boxes.SIZES if size != "all"}
    words = [f"{engine.data.labels[label]} {value:.1%}" for label, value in by_class[:_CLASSES]]
    words += [f"and {len(by_class) - _CLASSES} more classes"] if len(by_class) > _CLASSES else []
    words += [f"{size} boxes {value:.1%}" for size, value in sizes.items() if not np.isnan(value)]
    return [f"average precision, worst class first: {', '.join(words)}"]


def _untried(facts: StageFacts) -> list[str]:
    """Return a line for each runtime that was to prove the file compatible, and that this Python cannot use."""
    missing = {
        name: reason.message
        for name in others(Path(facts.files[0].path).suffix)
        if agreement_note(name) not in facts.notes and (reason := RUNTIMES[name].absent())
    }
    return [f"not tried in {name}: {message}" for name, message in missing.items()]


def _doubts(engine: Engine, step: Step, facts: StageFacts) -> tuple[str, list[str]]:
    """Return why a float or loaded model is probably fed or read wrongly, and the warnings.

    In a chain only the first such result warns: a later one cannot be better, unless it is trained.
    """
    file, loaded = facts.files[0], step.stage.use == "load"
    inherited = next((doubt for label in sources(step) if (doubt := engine.results[label].facts.doubt)), "")
    floats = facts.kind != "tflite" and file.precision == "float32"
    untrained = engine.limit is not None and not loaded  # a smoke run learns nothing
    if not engine.data.labelled or untrained or not (floats or loaded):
        return inherited, []
    import numpy as np

    from . import plausibility

    path = Path(file.path)
    outputs = np.load(path.parent / f"{file.precision}.npy")
    if inherited:
        skill = tasks.of(engine.data).skill(outputs, engine.data["test"].y, engine.metric.name)
        good = skill.value >= plausibility.GOOD
        return "" if good else inherited, []
    return plausibility.doubts(path, outputs, engine.data, engine.metric.name, loaded=loaded)


def warnings(engine: Engine, step: Step, facts: StageFacts, entries: dict[str, Entry]) -> list[str]:
    """Return the warnings of a stage, and where it did not improve on its input."""
    lines: list[str] = list(facts.notes.get("warnings", []))
    lines += engine.data_warnings.get(step.label, [])
    if still := facts.notes.get("constant"):
        lines.append(
            f"gives the same for every test example as {'; '.join(still)}: nothing can be judged by it; check how the "
            "inputs are prepared (`normalize`), and that the examples are of the model's task"
        )
    lines += _broken(engine, facts)
    lines += misfed(getattr(step.stage, "source", None), step.stage.networks(), engine.data)
    if not step.input:
        return lines
    before = engine.results[step.input].facts
    decided, rows = facts.notes.get("keep", []), kept_by(engine, step, before, facts, entries)
    missed = {row["of"] for row in decided if row["missed"]}
    by = {row["of"]: row["by"] for row in decided}  # likeness is asked of other answers than agreement counts
    rows = [row for row in rows if row["of"] not in missed and by.get(row["of"], row["by"]) == row["by"]]
    # Few examples may have decided, and kept what all of validation does not.
    lines += kept.unmet([*decided, *rows], partial(step.stage.explain_loss, facts.notes))
    for name in step.stage.shrinks:
        words, size = _SIZES[name]
        was, now = size(before), size(facts)
        if now >= was:
            lines.append(f"did not lower the {words}: {was} before, {now} after")
    if (boxes := facts.notes.get("boxes")) and boxes["f1"] < BOXES:
        lines.append(
            f"finds other boxes: {_boxes(step, boxes)}; judge it by pictures with labels, or lower the `keep` of "
            "`quantize.static`"
        )
    if facts.kind == "tflite":
        lines += _disagreement(step.input, facts.notes, tasks.of(engine.data).alike if engine.data.labels else "")
    return lines


def _disagreement(source: str, notes: dict[str, Any], alike: str = "examples") -> list[str]:
    """Return a warning where a TFLite file predicts otherwise than its source: the cause and the remedy.

    `alike` is what agreement is the share of, as `Task` has it.
    """
    of = "the test examples" if alike == "examples" else f"the {alike} of the test examples"

    def much(share: float, only: str = "only ") -> str:
        return f"on {only}{share:.1%}" if alike else f"by an R² of {only}{share:.3f}"

    litert = notes.get("agreement", 1.0)
    shares = {name: notes[note] for name in others(".tflite") if (note := agreement_note(name)) in notes}
    low = {name: share for name, share in shares.items() if share < AGREEMENT}
    apart = ", ".join(f"{name} predicts as LiteRT {much(share)}" for name, share in low.items())
    if litert >= AGREEMENT:
        wrong = (
            f"{apart}{f' of {of}' if alike else ''}. LiteRT agrees with {source} {much(litert, '')}, so "
            f"{' and '.join(low)} is probably wrong: run the file with LiteRT on the device (`runtime: litert`)"
        )
        return [wrong] if apart else []
    if rows := notes.get("likeness"):
        return [
            f"its outputs differ from those of {source} in LiteRT: {rows[0]['group']} by an SQNR of only "
            f"{rows[0]['sqnr']:.1f} dB; run the ONNX file of {source} on the device, or calibrate with more `samples`"
        ]
    line = f"agrees with {source} {much(litert)}{f' of {of}' if alike else ' on the test examples'} in LiteRT"
    if apart:
        return [
            f"{line}, and {apart}: no runtime is shown to be right, so judge the file by its metric on the device, or "
            f"deploy the ONNX file of {source}"
        ]
    cause = f"{' and '.join(shares)} predicts alike, so the file" if shares else "the file, or LiteRT's rounding,"
    return [
        f"{line}. {cause} is probably at fault: compare its metric with that of {source}; if it falls too, calibrate "
        "with more `samples`, or convert the torch model by `convert.litert`"
    ]


def _nonzero(facts: StageFacts) -> int:
    """Count in the file, since entries do not hold it; a torch model has its float ONNX view."""
    from ..models.onnx.export import nonzero

    return nonzero(Path(facts.files[0].path))


_SIZES: dict[Shrinks, tuple[str, Callable[[StageFacts], int]]] = {
    "parameters": ("parameters", lambda facts: facts.parameters),
    "bytes": ("bytes", lambda facts: facts.files[0].bytes),
    "nonzero": ("nonzero weights", _nonzero),
}
"""Sizes that `Stage.shrinks` may name: the words, and how to count."""


def kept_by(
    engine: Engine, step: Step, before: StageFacts, facts: StageFacts, entries: dict[str, Entry]
) -> list[dict[str, Any]]:
    """Return the rows of `keep` for a stage that quantizes without deciding by it.

    They compare validation scores of its files, only where its input reaches the limit itself.
    """
    if step.stage.family != "quantize" or before.files[0].scores.get("validation") is None:
        return []
    name, higher = engine.metric.name, engine.metric.higher
    own = before.files[0].scores["validation"].get(name)
    scores = {file.precision: file.scores["validation"][name] for file in facts.files}
    if own is None:
        return []
    rows, floor = [], key.floor(engine, entries)
    keep = getattr(step.stage, "keep", None)
    if keep is not None and (_asks(step) or facts.notes.get("restored") or facts.notes.get("keep")):
        least = kept.limit(engine.metric, own, keep, engine.data["validation"].y[:])
        rows.append(kept.row(name, "stage", own, least, scores, higher=higher))
    allowed = None if floor is None else floor / engine.metric.points
    if allowed is not None and (own >= allowed if higher else own <= allowed):
        rows.append(kept.row(name, "recipe", own, allowed, scores, higher=higher))
    return rows


def _broken(engine: Engine, facts: StageFacts) -> list[str]:
    """Return a line for each file that gives no number for some of the test examples."""
    import numpy as np

    from .evaluate import without_number

    lines = []
    for file in facts.files if engine.data.task in LABEL_TASKS else ():
        outputs = np.load(Path(file.path).parent / f"{file.precision}.npy")
        if broken := without_number(outputs, engine.data):
            words = f"gives no number for {broken:,} of {len(outputs):,} test examples, none of which counts as right"
            lines.append(f"{file.precision} {words}" if len(facts.files) > 1 else words)
    return lines


def _asks(step: Step) -> bool:
    """Return whether the recipe itself writes the stage's `keep`."""
    return "keep" in step.stage.model_fields_set and getattr(step.stage, "keep", None) is not None
