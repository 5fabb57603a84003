"""What is run again and what is not, as `plan` says before and the run shows after."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from edgepress.config import recipe
from edgepress.config.chain import Step
from edgepress.core import yamlio
from edgepress.core.errors import UserError
from edgepress.core.paths import digest
from edgepress.core.results import StageFacts
from edgepress.engine import key
from edgepress.engine.cache import Cache
from edgepress.engine.engine import Engine
from edgepress.engine.key import MEASURING

from tests.conftest import LIGHT, TINY, Place, Said, laid_out

LAST = {"float", "convert.tflite", "dynamic", "int8", "int8-tflite"}


class Quiet:
    def __init__(self) -> None:
        self.begun: list[tuple[str, int, int]] = []

    def begin(self, label: str, use: str, position: int, count: int) -> None:
        self.begun.append((label, position, count))

    def advance(self, done: int, total: int, words: str) -> None:
        assert 0 <= done <= total
        assert words

    def end(self, facts: StageFacts) -> None:
        assert facts.name == self.begun[-1][0]


def finished(place: Place) -> Engine:
    engine = Engine(recipe.load(place.recipe), Cache(place.cache))
    engine.run(Quiet())
    return engine


def made(place: Place) -> set[str]:
    """The results that a run makes anew, without measuring them."""
    facts = Engine(recipe.load(place.recipe), Cache(place.cache)).run(Quiet())
    return {stage.name for stage in facts if not stage.cached}


def planned(place: Place) -> set[str]:
    return {label for label, (action, _) in place.plan().items() if action == "run"}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("samples: 64", "samples: 32", {"int8", "int8-tflite"}),
        ("samples: 64", "samples: 64, ranges: auto", set()),
        ("name: dynamic, input: float", "name: dynamic, input: float, per_channel: false", {"dynamic"}),
        ("name: int8, input", "name: integers, input", set()),
        ("name: whole", "name: other", set()),
        ("export.onnx, name: float", "export.onnx, name: float, opset: 18", set()),
        ("export.onnx, name: float", "export.onnx, name: float, opset: 19", LAST),
        ("ratio: 30%", "ratio: 35%", {"small", *LAST}),
    ],
)
def test_an_option_reruns_what_depends_on_it(copy: Place, old: str, new: str, expected: set[str]) -> None:
    copy.edit("recipe.yaml", old, new)
    assert planned(copy) == expected
    assert made(copy) == expected


def test_what_the_recipe_keeps_shapes_what_is_quantized(copy: Place) -> None:
    """Operators go back to float for it; here none did, and what is made of the same file is not made again.

    Without `faster`: which operators are slower in integers is timed, and two files of one run may differ by it.
    """
    copy.edit("recipe.yaml", "samples: 64", "samples: 64, faster: false")
    finished(copy)
    copy.edit("recipe.yaml", "keep: {accuracy_drop: 60 points}", "")
    assert planned(copy) == {"int8", "int8-tflite"}
    assert made(copy) == {"int8"}
    assert planned(copy) == set()


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        ("seed: 0}", "seed: 1}", set()),
        ("data: digits", "data: fashion-mnist-10k", set()),
        ("shift: 0, seed: 2", "shift: 0, seed: 3", {"base", "a"}),
        ("temperature", "temperature", None),
        ("views: 1", "views: 1\n    temperature: 2", {"base", "a", "b", "soup", "teacher"}),
        ("models: [soup, a]", "models: [a, soup]", {"base", "a", "b", "soup"}),
    ],
)  # fmt: skip
def test_a_plan_follows_the_chain(copy: Place, old: str, new: str, kept: set[str] | None) -> None:
    if kept is None:
        assert planned(copy) == set()
        return
    before = set(copy.plan())
    copy.edit("recipe.yaml", old, new)
    plan = copy.plan()
    assert planned(copy) == before - kept
    reasons = [why for action, why in plan.values() if action == "run"]
    assert reasons[0] == "not made yet with these options"
    assert any(why.startswith("after ") for why in reasons)


def test_another_target_reruns_only_the_integers(copy: Place) -> None:
    (copy.folder / "board.yaml").write_text(
        "name: board\nruntime: onnxruntime\nreach: local\npreset: xnnpack\nbudgets: {size: 5 MB}\n"
    )
    copy.edit("recipe.yaml", "[desk.yaml, phone.yaml]", "[desk.yaml, phone.yaml, board.yaml]")
    assert planned(copy) <= {"int8", "int8-tflite"}


def test_a_changed_file_reruns_what_was_loaded_from_it(tmp_path: Path, finished: tuple[Place, Said]) -> None:
    text = "name: l\ntask: {data: digits}\nstages:\n  - {use: load, from: m.safetensors}\ntargets: [desk.yaml]\n"
    place = laid_out(tmp_path, text)
    models = finished[0].runs / "whole" / "models"
    shutil.copy(models / "a.safetensors", tmp_path / "m.safetensors")
    assert made(place) == {"load"}
    assert made(place) == set()
    shutil.copy(models / "b.safetensors", tmp_path / "m.safetensors")
    assert made(place) == {"load"}


def test_changed_weights_beside_a_file_rerun_what_was_loaded_from_it(
    tmp_path: Path, finished: tuple[Place, Said]
) -> None:
    """The graph is the same bytes when they alone are trained again."""
    text = "name: l\ntask: {data: digits}\nstages:\n  - {use: load, from: m.onnx}\ntargets: [desk.yaml]\n"
    place = laid_out(tmp_path, text)
    model = onnx.load(finished[0].runs / "whole" / "models" / "float.onnx")
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.bin", size_threshold=0)
    graph, weights = ((tmp_path / name).read_bytes() for name in ("m.onnx", "m.bin"))
    assert made(place) == {"load"}
    assert made(place) == set()
    tensor = max(onnx.load_model_from_string(graph).graph.initializer, key=lambda each: int(np.prod(each.dims)))
    where = {entry.key: entry.value for entry in tensor.external_data}
    start, end = int(where["offset"]), int(where["offset"]) + int(where["length"])
    halved = (np.frombuffer(weights[start:end], np.float32) / 2).tobytes()
    (tmp_path / "m.bin").write_bytes(weights[:start] + halved + weights[end:])
    assert (tmp_path / "m.onnx").read_bytes() == graph
    assert made(place) == {"load"}


def test_a_damaged_result_is_made_again_and_what_follows_is_still_good(copy: Place) -> None:
    """It comes out the same, byte for byte, so nothing after it changes."""
    stages = {stage["name"]: stage for stage in yamlio.read(copy.lock).data["stages"]}
    (wanted,) = {path.read_bytes() for path in copy.cache.glob("entries/*/model.onnx")
                 if [digest(path)] == stages["float"]["sha256"]}  # fmt: skip
    (entry,) = (path.parent for path in copy.cache.glob("entries/*/model.onnx") if path.read_bytes() == wanted and
                (path.parent / "float32.npy").exists())  # fmt: skip
    damaged = entry / "model.onnx"
    damaged.unlink()  # it is a hard link to the original's
    damaged.write_bytes(wanted[:-1] + b"!")
    assert planned(copy) >= {"float"}
    assert made(copy) == {"float"}


def test_progress_is_told_in_order(copy: Place) -> None:
    quiet = Quiet()
    Engine(recipe.load(copy.recipe), Cache(copy.cache)).run(quiet)
    assert [position for _, position, _ in quiet.begun] == list(range(12))
    assert {count for _, _, count in quiet.begun} == {12}


def test_a_stage_that_fails_is_named_with_its_place(tmp_path: Path) -> None:
    text = LIGHT.replace("batch: 16", "batch: 16, lr: 1.0e+30")
    place = laid_out(tmp_path, text)
    with pytest.raises(UserError, match="is not a number in epoch") as error:
        made(place)
    (problem,) = error.value.problems
    assert problem.place is not None
    assert str(problem.place).endswith("recipe.yaml:4:11")
    assert "lower `lr" in problem.help


def test_a_stage_that_did_not_shrink_warns(tmp_path: Path, finished: tuple[Place, Said]) -> None:
    """Rounding to 64 channels leaves a network of 8 to 64 as it was."""
    text = (
        f"name: l\ntask: {{data: digits}}\nstages:\n  - {{use: train, model: {TINY}, epochs: 0}}\n"
        "  - {use: prune.channels, ratio: 1%, round_to: 64, finetune: {epochs: 0}}\ntargets: [desk.yaml]\n"
    )
    place = laid_out(tmp_path, text)
    facts = Engine(recipe.load(place.recipe), Cache(place.cache)).run(Quiet())
    assert facts[1].parameters == facts[0].parameters
    for each, count in (("parameters", facts[1].parameters), ("bytes", facts[1].files[0].bytes)):
        assert f"did not lower the {each}: {count} before, {count} after" in facts[1].warnings


def test_the_key_of_a_step_holds_what_shapes_it(finished: tuple[Place, Said]) -> None:
    engine = Engine(recipe.load(finished[0].recipe), Cache(finished[0].cache))
    engine.run(Quiet())
    entries = {label: result.entry for label, result in engine.results.items()}
    steps: dict[str, Step] = {step.label: step for step in engine.recipe.steps()}
    material = key.material(engine, steps["int8"], entries)
    assert material["stage"] == ["quantize.static", 8]
    assert material["options"]["samples"] == 64
    for features, cut in ((["avx2"], True), (["avx2", "avx_vnni"], False)):
        engine.machine = engine.machine.model_copy(update={"architecture": "x86_64", "features": features})
        assert key.material(engine, steps["dynamic"], entries).get("saturates", False) is cut
        assert "saturates" not in key.material(engine, steps["base"], entries)
    assert material["options"]["ranges"] == "auto", "defaults belong to it"
    assert "name" not in material["options"]
    assert material["inputs"] == [entries["float"].facts["digests"]]
    assert material["data"] == engine.data.digest
    assert set(material["versions"]) == {"numpy", *MEASURING}, "its own libraries, and those that score it"
    assert key.material(engine, steps["teacher"], entries)["inputs"] == [
        entries["soup"].facts["digests"], entries["a"].facts["digests"],
    ]  # fmt: skip


def test_a_share_of_an_error_shapes_what_is_quantized_and_a_share_of_labels_as_before(copy: Place) -> None:
    engine = finished(copy)
    (step,) = (each for each in engine.recipe.steps() if each.label == "int8")
    entries = {label: result.entry for label, result in engine.results.items()}
    assert set(key.material(engine, step, entries)) & {"keep", "fills"} == set(), "keys are what they were"
    error = replace(engine.metric, higher=False)
    engine.__dict__["metric"] = error
    assert key.material(engine, step, entries)["keep"] == "share of the error"
    reference = entries[engine.recipe.reference_label()].facts["files"][0]["scores"]["validation"]["accuracy"]
    assert key.material(engine, step, entries)["floor"] == pytest.approx(100 * reference * 1.6)


def test_the_file_of_this_machine_is_the_first_from_the_cache_too(copy: Place) -> None:
    """The cache sorts its JSON, so `arm` came before `x86` and `xnnpack` from the second run on."""
    copy.edit("recipe.yaml", "samples: 64", "samples: 64, presets: [arm]")
    orders = []
    for _ in range(2):
        engine = Engine(recipe.load(copy.recipe), Cache(copy.cache))
        engine.run(Quiet())
        result = engine.results["int8"]
        orders.append([list(result.artifact.presets), [file.precision for file in result.facts.files]])
    assert orders[0] == orders[1]
    assert orders[0][0][0] == engine.presets[0]
    assert "arm" in orders[0][0][1:]


def test_a_metric_of_labels_that_no_example_has_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rare.py").write_text(
        "import numpy as np\nfrom edgepress import Examples\n\n"
        "def load():\n    marks = np.zeros((60, 2), np.float32)\n    marks[0] = 1\n"
        "    return Examples(np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32), marks, ('a', 'b'))\n"
    )
    (tmp_path / "rare.yaml").write_text(
        "name: rare\ntask: {data: {from: ./rare.py:load, task: multi-label}, metric: worst-recall}\n"
        "stages: [{use: train, model: {arch: edgepress/mlp}, epochs: 1}, {use: export.onnx}]\ntargets: []\n"
    )
    with pytest.raises(UserError, match="has a label that `worst-recall` counts"):
        _ = Engine(recipe.load(tmp_path / "rare.yaml"), Cache(tmp_path / "cache")).metric
