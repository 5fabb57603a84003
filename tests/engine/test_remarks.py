"""What a finished step is warned of: a `keep` that is not reached, and a model that is probably fed wrongly."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from edgepress.config import recipe
from edgepress.config.chain import Step
from edgepress.core.results import StageFacts
from edgepress.core.runtimes import RUNTIMES
from edgepress.engine import key, remarks
from edgepress.engine.cache import Entry
from edgepress.engine.engine import Engine
from edgepress.stage import Artifact, Context, Made
from edgepress.stages.export import ExportOnnx

from tests.conftest import Place
from tests.engine.test_engine import finished, planned


def of(label: str, place: Place) -> tuple[Engine, Step, StageFacts, dict[str, Entry]]:
    """A finished engine, and of one of its steps all that remarks are made from."""
    engine = finished(place)
    (step,) = (each for each in engine.recipe.steps() if each.label == label)
    return engine, step, engine.results[label].facts, {name: each.entry for name, each in engine.results.items()}


def fell(engine: Engine, facts: StageFacts, drop: float) -> tuple[float, StageFacts]:
    """The accuracy of `float` on validation, and the facts of files that are less accurate by `drop`."""
    own = engine.results["float"].facts.files[0].scores["validation"]["accuracy"]
    scores = {"validation": {"accuracy": own - drop}, "test": {}}
    return own, facts.model_copy(update={"files": [each.model_copy(update={"scores": scores}) for each in facts.files]})


def test_a_keep_that_the_recipe_writes_is_judged_and_makes_nothing_anew(copy: Place) -> None:
    """It is the default: the same key, the same files, but a check."""
    assert "keep_asked" not in finished(copy).results["int8"].facts.notes
    copy.edit("recipe.yaml", "samples: 64", "samples: 64, keep: 1 points")
    assert planned(copy) == set()
    notes = finished(copy).results["int8"].facts.notes
    assert notes["keep_asked"] is True
    assert [row["of"] for row in notes["keep"]] == ["stage", "recipe"]
    written = {file.precision for file in finished(copy).results["int8"].facts.files}
    assert len(written) > 1, "one for this machine, whichever it is, and one for ARM"
    for row in notes["keep"]:
        assert set(row["found"]) == written, "every preset that was written"
        assert row["missed"] == []


def test_a_stage_without_a_keep_of_its_own_is_held_to_the_recipes(copy: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, step, facts, entries = of("dynamic", copy)
    own, lost = fell(engine, facts, 0.2)
    monkeypatch.setattr(key, "floor", lambda engine, entries: 100 * own - 10)
    (said,) = [each for each in remarks.warnings(engine, step, lost, entries) if "`keep`" in each]
    assert said.startswith("the `keep` of the recipe is not reached by dynamic: accuracy")
    assert not [each for each in remarks.warnings(engine, step, facts, entries) if "`keep`" in each]
    monkeypatch.setattr(key, "floor", lambda engine, entries: 100 * own + 10)
    assert not [each for each in remarks.warnings(engine, step, lost, entries) if "`keep`" in each], (
        "nor has the float model it"
    )


def test_a_keep_that_is_written_later_is_judged_by_an_old_result_too(copy: Place) -> None:
    """A missing number never passes: the files have scores on validation."""
    engine = finished(copy)
    copy.edit("recipe.yaml", "samples: 64", "samples: 64, keep: 1 points")
    (step,) = (each for each in recipe.load(copy.recipe).steps() if each.label == "int8")
    facts = engine.results["int8"].facts
    old = facts.model_copy(update={"notes": {name: each for name, each in facts.notes.items() if name != "keep"}})
    entries = {label: result.entry for label, result in engine.results.items()}
    rows = remarks.kept_by(engine, step, engine.results["float"].facts, old, entries)
    assert (rows[0]["by"], rows[0]["of"]) == ("accuracy", "stage")
    assert set(rows[0]["found"]) == {file.precision for file in facts.files}


def test_an_old_result_that_fell_short_is_told_as_well(copy: Place) -> None:
    """Its notes do not say what it kept; its scores do."""
    engine, step, facts, entries = of("int8", copy)
    _, lost = fell(engine, facts, 0.5)
    rows = [{"node": "c", "operator": "Conv", "decibels": 3.0, "bytes": 0, "seconds": None}]
    old = lost.model_copy(update={"notes": {"restored": rows}})
    said = [each for each in remarks.warnings(engine, step, old, entries) if each.startswith("`keep` is not reached")]
    assert len(said) == 1
    assert "c (Conv, 3.0 dB)" in said[0]


def test_what_few_held_out_examples_keep_is_held_against_all_of_validation(copy: Place) -> None:
    engine, step, facts, entries = of("int8", copy)
    _, lost = fell(engine, facts, 0.3)
    assert all(row["missed"] == [] for row in facts.notes["keep"])
    said = remarks.warnings(engine, step, lost, entries)
    (warning,) = [each for each in said if each.startswith("`keep` is not reached")]
    assert "accuracy on validation: float" in warning


def test_likeness_on_few_examples_is_not_held_against_agreement_on_all(copy: Place) -> None:
    """A model that hesitates between two answers keeps its likeness whichever of them it gives."""
    engine, step, facts, entries = of("int8", copy)
    (row,) = [each for each in facts.notes["keep"] if each["of"] == "stage"]
    score = facts.files[0].scores["validation"] | {"accuracy": 0.0}
    worse = [file.model_copy(update={"scores": {**file.scores, "validation": score}}) for file in facts.files]
    for by, count in (("accuracy", 1), ("likeness", 0)):
        notes = {**facts.notes, "keep": [row | {"by": by}]}
        lost = facts.model_copy(update={"files": worse, "notes": notes})
        said = remarks.warnings(engine, step, lost, entries)
        assert len([each for each in said if each.startswith("`keep` is not reached")]) == count


def test_what_has_learnt_is_cleared_of_a_doubt_and_what_is_made_without_is_not(copy: Place) -> None:
    engine = finished(copy)
    doubted = engine.results["student"].facts.model_copy(update={"doubt": "near chance level"})
    engine.results["student"] = replace(engine.results["student"], facts=doubted)
    (small,) = (each for each in engine.recipe.steps() if each.label == "small")
    facts = engine.results["small"].facts
    assert remarks._doubts(engine, small, facts) == ("", []), "it was finetuned, and is right on most digits"
    integers = facts.files[0].model_copy(update={"precision": "int8"})
    assert remarks._doubts(engine, small, facts.model_copy(update={"files": [integers]})) == ("near chance level", [])


def test_a_stage_that_promises_fewer_nonzero_weights_is_judged_by_these_alone(
    copy: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zeros take as many bytes and as much time as other weights: neither is its fault."""
    engine, step, facts, entries = of("float", copy)
    monkeypatch.setattr(type(step.stage), "shrinks", ("nonzero",))
    (line,) = remarks.warnings(engine, step, facts, entries)
    assert line.startswith("did not lower the nonzero weights: ")
    monkeypatch.setitem(remarks._SIZES, "nonzero", ("nonzero weights", lambda facts: len(facts.inputs) * -1))
    assert remarks.warnings(engine, step, facts.model_copy(update={"inputs": [*facts.inputs, "x"]}), entries) == []


def test_the_lines_that_a_stage_makes_stand_in_its_entry_and_in_the_report(
    copy: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ExportOnnx.run

    def told(self: ExportOnnx, inputs: dict[str, Artifact], context: Context) -> Made:
        return replace(run(self, inputs, context), summary=["half of the weights are zero"])

    monkeypatch.setattr(ExportOnnx, "run", told)
    copy.edit("recipe.yaml", "use: export.onnx,", "use: export.onnx, opset: 19,")
    first, again = finished(copy), finished(copy)
    assert not first.results["float"].facts.cached
    assert again.results["float"].facts.cached
    for engine in (first, again):
        assert engine.results["float"].facts.summary == ["half of the weights are zero"]


@pytest.mark.parametrize(
    ("notes", "words"),
    [
        ({"agreement": 1.0}, None),
        ({"agreement": 1.0, "agreement_of_tflite_runtime": 0.995}, None),
        (
            {"agreement": 1.0, "agreement_of_tflite_runtime": 0.952},
            (
                "tflite-runtime predicts as LiteRT on only 95.2%",
                "tflite-runtime is probably wrong",
                "`runtime: litert`",
            ),
        ),
        (
            {"agreement": 0.9, "agreement_of_tflite_runtime": 1.0},
            ("agrees with int8 on only 90.0%", "tflite-runtime predicts alike, so the file", "`samples`"),
        ),
        ({"agreement": 0.9}, ("agrees with int8 on only 90.0%", "the file, or LiteRT's rounding,", "`samples`")),
        (
            {"agreement": 0.9, "agreement_of_tflite_runtime": 0.8},
            ("agrees with int8 on only 90.0%", "no runtime is shown to be right", "the ONNX file of int8"),
        ),
    ],
)
def test_runtimes_that_disagree_are_named_with_what_to_do(
    notes: dict[str, float], words: tuple[str, ...] | None
) -> None:
    lines = remarks._disagreement("int8", notes)
    assert len(lines) == (words is not None)
    for word in words or ():
        assert word in lines[0]


@pytest.mark.parametrize(
    ("alike", "words", "more"),
    [
        ("pixels", "on only 90.0% of the pixels of the test examples", "predicts as LiteRT on only 80.0%"),
        ("points", "on only 90.0% of the points of the test examples", "predicts as LiteRT on only 80.0%"),
        ("", "by an R² of only 0.900 on the test examples", "predicts as LiteRT by an R² of only 0.800"),
    ],
)
def test_agreement_is_said_in_the_words_of_the_task(alike: str, words: str, more: str) -> None:
    (line,) = remarks._disagreement("int8", {"agreement": 0.9, "agreement_of_tflite_runtime": 0.8}, alike)
    assert words in line
    assert more in line


def test_a_runtime_that_is_not_here_is_named_with_the_reason(copy: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {label: result.facts for label, result in finished(copy).results.items()}
    none = facts["int8-tflite"].model_copy(update={"notes": {"agreement": 1.0}})
    gone = replace(RUNTIMES["tflite-runtime"], loader="interpreter:not_there", last_python=(3, 8))
    monkeypatch.setitem(RUNTIMES, "tflite-runtime", gone)
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    line = f"not tried in tflite-runtime: tflite-runtime has no wheel for Python {here} on {sys.platform}"
    assert remarks._untried(none) == [line]
    tried = none.model_copy(update={"notes": {"agreement_of_tflite_runtime": 0.99}})
    assert remarks._untried(tried) == [], "as an entry of the cache has it"
    assert remarks._untried(facts["int8"]) == [], "no runtime proves another kind of file"


def test_a_file_that_gives_no_numbers_is_named(copy: Place) -> None:
    engine, step, facts, entries = of("int8", copy)
    assert not [line for line in remarks.warnings(engine, step, facts, entries) if "no number" in line]
    precision = facts.files[-1].precision
    stored = Path(facts.files[-1].path).parent / f"{precision}.npy"
    outputs = np.load(stored)
    outputs[:3, 1] = np.nan
    stored.unlink()  # the copy's files are links to those of other tests
    np.save(stored, outputs)
    words = f"{precision} gives no number for 3 of {len(outputs)} test examples, none of which counts as right"
    assert words in remarks.warnings(engine, step, facts, entries)


def test_a_detector_that_finds_other_boxes_than_its_source_is_named(copy: Place) -> None:
    engine, step, facts, entries = of("int8", copy)
    for f1, warned in ((0.98, False), (0.9, True)):
        notes = facts.notes | {"boxes": {"f1": f1, "boxes": 1234}}
        seen = facts.model_copy(update={"notes": notes})
        words = f"F1 of {f1:.3f} against the 1,234 of float on the test pictures (score 0.3, IoU 0.5, one to one)"
        assert f"boxes: {words}" in remarks._alike(step, seen)
        assert any(words in line for line in remarks.warnings(engine, step, seen, entries)) is warned
