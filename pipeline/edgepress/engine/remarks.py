"""Collect the warnings of a finished stage from its own numbers.

They are computed at every run, also for cached stages.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config.chain import Step, sources
from ..core import keep as kept
from ..models.published_inputs import misfed
from . import key

if TYPE_CHECKING:
    from ..core.results import StageFacts
    from ..stage import Shrinks
    from .cache import Entry
    from .engine import Engine

AGREEMENT = 0.99
"""Share of the test examples to which a converted file gives its source's class; less is warned of."""


def remarked(engine: Engine, step: Step, facts: StageFacts, entries: dict[str, Entry]) -> StageFacts:
    """`facts` with the step's warnings, its summary, what makes it doubtful, and the rows of a `keep` in the recipe."""
    if _asks(step) and step.input:  # written in the recipe, so it is judged
        rows = facts.notes.get("keep") or kept_by(engine, step, engine.results[step.input].facts, facts, entries)
        facts = facts.model_copy(update={"notes": {**facts.notes, "keep": rows, "keep_asked": True}})
    doubt, reasons = _doubts(engine, step, facts)
    found = [*warnings(engine, step, facts, entries), *reasons]
    summary = [*(facts.summary or []), *step.stage.summarize(facts.notes)]
    return facts.model_copy(update={"warnings": found, "doubt": doubt, "summary": summary})


def _doubts(engine: Engine, step: Step, facts: StageFacts) -> tuple[str, list[str]]:
    """Why a float or loaded model is probably fed or read wrongly, by the test labels, and the warning of it.

    Of a chain only the first such result is warned of: what is made of it cannot be better, unless it has learnt.
    """
    file, loaded = facts.files[0], step.stage.use == "load"
    known = next((doubt for label in sources(step) if (doubt := engine.results[label].facts.doubt)), "")
    floats = facts.kind != "tflite" and file.precision == "float32"
    untrained = engine.limit is not None and not loaded  # a smoke run learns nothing
    if not engine.data.labelled or untrained or not (floats or loaded):
        return known, []
    import numpy as np

    from . import plausibility

    path = Path(file.path)
    answers = np.load(path.parent / f"{file.precision}.npy")
    if known:
        good = plausibility.skill(answers, engine.data["test"].y, engine.metric.name).value >= plausibility.GOOD
        return "" if good else known, []
    return plausibility.doubts(path, answers, engine.data, engine.metric.name, loaded=loaded)


def warnings(engine: Engine, step: Step, facts: StageFacts, entries: dict[str, Entry]) -> list[str]:
    """What a stage warns of, and where it did not do its job, counted against what it worked on."""
    found: list[str] = list(facts.notes.get("warnings", []))
    found += engine.data_warnings.get(step.label, [])
    found += misfed(getattr(step.stage, "source", None), step.stage.networks(), engine.data)
    if not step.input:
        return found
    before = engine.results[step.input].facts
    decided, whole = facts.notes.get("keep", []), kept_by(engine, step, before, facts, entries)
    missed = {row["of"] for row in decided if row["missed"]}
    by = {row["of"]: row["by"] for row in decided}  # likeness is asked of other answers than agreement counts
    whole = [row for row in whole if row["of"] not in missed and by.get(row["of"], row["by"]) == row["by"]]
    # Few examples may have decided, and kept what all of validation does not.
    found += kept.unmet([*decided, *whole], facts.notes)
    for name in step.stage.shrinks:
        words, size = _SIZES[name]
        was, now = size(before), size(facts)
        if now >= was:
            found.append(f"did not lower the {words}: {was} before, {now} after")
    if facts.kind == "tflite":
        found += [
            f"{where}agrees with {step.input} on only {facts.notes[note]:.1%} of the test examples"
            for note, where in (("agreement", ""), ("agreement_of_tflite_runtime", "in tflite-runtime "))
            if facts.notes.get(note, 1.0) < AGREEMENT
        ]
    return found


def _nonzero(facts: StageFacts) -> int:
    """Counted in the file, since entries do not hold it; a torch model has its float ONNX view."""
    from ..models.onnx.export import nonzero

    return nonzero(Path(facts.files[0].path))


_SIZES: dict[Shrinks, tuple[str, Callable[[StageFacts], int]]] = {
    "parameters": ("parameters", lambda facts: facts.parameters),
    "bytes": ("bytes", lambda facts: facts.files[0].bytes),
    "nonzero": ("nonzero weights", _nonzero),
}
"""What `Stage.shrinks` may promise: in words, and how it is counted."""


def kept_by(
    engine: Engine, step: Step, before: StageFacts, facts: StageFacts, entries: dict[str, Entry]
) -> list[dict[str, Any]]:
    """What `keep` asks of a stage that quantizes and has no say in it, or had none when its result was made: by
    the scores of its files on validation, and only where the model before it has as much."""
    if step.stage.family != "quantize" or before.files[0].scores.get("validation") is None:
        return []
    name, higher = engine.metric.name, engine.metric.higher
    own = before.files[0].scores["validation"].get(name)
    scores = {file.precision: file.scores["validation"][name] for file in facts.files}
    if own is None:
        return []
    found, floor = [], key.floor(engine, entries)
    keep = getattr(step.stage, "keep", None)
    if keep is not None and (_asks(step) or facts.notes.get("restored") or facts.notes.get("keep")):
        least = kept.limit(engine.metric, own, keep, engine.data["validation"].y)
        found.append(kept.row(name, "stage", own, least, scores, higher=higher))
    if floor is not None and (own >= floor / 100 if higher else own <= floor / 100):
        found.append(kept.row(name, "recipe", own, floor / 100, scores, higher=higher))
    return found


def _asks(step: Step) -> bool:
    """Whether the recipe itself writes a stage's `keep`."""
    return "keep" in step.stage.model_fields_set and getattr(step.stage, "keep", None) is not None
