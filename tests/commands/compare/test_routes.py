"""What a recipe offers to compare, as stages of its own; and what it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest
from edgepress.commands.compare import routes, written
from edgepress.config import recipe
from edgepress.core.errors import UserError

from tests.conftest import TINY

NET = str(TINY["arch"])
HEAD = f"""\
name: a
task: {{data: digits, seed: 7}}
stages:
  - {{use: train, name: one, model: {NET}, epochs: 4}}
  - {{use: train, name: two, model: {NET}, epochs: 4, seed: 1}}
"""
TAIL = f"""\
  - {{use: fuse.ensemble, name: both, models: [one, two]}}
  - {{use: distill.kd, student: {NET}, teacher: both, epochs: 6, lr: 0.01, temperature: 2}}
  - {{use: prune.channels, ratio: 30%}}
  - {{use: export.onnx}}
  - {{use: quantize.static, samples: 64}}
"""


def read(tmp_path: Path, text: str) -> recipe.Recipe:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    return recipe.load(path)


def test_the_parts_of_a_recipe(tmp_path: Path) -> None:
    found = routes.parts(read(tmp_path, HEAD + "  - {use: train, name: other, model: timm/resnet34}\n" + TAIL))
    assert found.members == ["one", "two"]
    assert found.fused == "both"
    assert [each["name"] for each in found.upstream] == ["one", "two", "both"], "what nothing needs is left out"
    assert found.quantize == {"use": "quantize.static", "samples": 64}


def test_every_route_is_stages_that_a_recipe_may_have(tmp_path: Path) -> None:
    given = read(tmp_path, HEAD + TAIL)
    found = routes.parts(given)
    stages = routes.stages(found, list(routes.ROUTES), "two", 3.5)
    checked = recipe.checked(written.document(given, stages, 2))
    by_name = {stage.name: stage for stage in checked.stages}
    assert by_name["route-plain"].epochs == by_name["route-distill"].epochs == 6  # type: ignore[union-attr]
    assert by_name["route-plain"].lr == 0.01  # type: ignore[union-attr]
    assert by_name["route-longer"].epochs == 21  # type: ignore[union-attr]
    assert by_name["route-distill"].teacher == "two"  # type: ignore[union-attr]
    assert by_name["route-both"].teacher == "both"  # type: ignore[union-attr]
    assert {f"{name}-int8" for name in routes.ROUTES} <= set(by_name)
    seeds = {name: getattr(stage, "seed", None) for name, stage in by_name.items()}
    assert (seeds["one"], seeds["two"], seeds["route-plain"]) == (2007, 2001, 2007)
    assert checked.task == given.task, "the data stay, whatever the seeds"


def test_routes_go_on_to_tflite(tmp_path: Path) -> None:
    given = read(tmp_path, HEAD + TAIL)
    found = routes.parts(given)
    stages = routes.stages(found, ["plain", "fuse"], "two", 1.0, tflite=True)
    checked = recipe.checked(written.document(given, stages, 0))
    kinds = {step.label: step.kind for step in checked.steps()}
    for route in ("plain", "fuse"):
        for name in routes.files_of(found, route, "two", tflite=True):
            assert kinds[name] == "tflite"


def test_the_last_files_of_each_kind(tmp_path: Path) -> None:
    more = "  - {use: convert.tflite, name: t8}\n  - {use: convert.tflite, name: t32, input: float}\n"
    given = read(tmp_path, HEAD + TAIL.replace("{use: export.onnx}", "{use: export.onnx, name: float}") + more)
    assert written.ends(given) == ("float", "quantize.static")
    assert written.ends(given, tflite=True) == ("t32", "t8")
    with pytest.raises(UserError, match="no float TFLite file"):
        written.ends(read(tmp_path, HEAD + TAIL), tflite=True)


def test_the_first_repetition_is_the_recipe_as_it_is(tmp_path: Path) -> None:
    given = read(tmp_path, HEAD + TAIL)
    checked = recipe.checked(written.document(given, routes.parts(given).upstream, 0))
    assert checked.stages == given.stages[:3], "so that its results are in the cache already"


def test_what_no_route_does_is_told(tmp_path: Path) -> None:
    assert routes.parts(read(tmp_path, HEAD + TAIL)).left_out == ("prune.channels",)


def test_int8_is_made_as_the_recipe_makes_it(tmp_path: Path) -> None:
    text = HEAD + TAIL.replace("{use: quantize.static, samples: 64}", "{use: quantize.dynamic, name: small}")
    assert routes.parts(read(tmp_path, text)).quantize == {"use": "quantize.dynamic"}


def test_a_whole_recipe_again(tmp_path: Path) -> None:
    given = read(tmp_path, HEAD + TAIL + "keep: {accuracy_drop: 3 points}\n")
    first, second = (recipe.checked(written.again(given, repetition)) for repetition in (0, 1))
    assert first.model_dump() == given.model_dump()
    assert [getattr(stage, "seed", None) for stage in second.stages] == [1007, 1001, None, 1007, None, None, None]
    assert written.ends(given) == ("export.onnx", "quantize.static")
    assert written.chained(given).startswith("2 x train, fuse.ensemble, distill.kd, prune.channels")


def test_a_seed_of_zero_is_not_that_of_the_task(tmp_path: Path) -> None:
    """Two networks of other seeds would be the same from the second repetition on."""
    text = HEAD.replace("epochs: 4}", "epochs: 4, seed: 0}").replace("seed: 7", "seed: 1") + TAIL
    checked = recipe.checked(written.again(read(tmp_path, text), 1))
    assert [getattr(stage, "seed", None) for stage in checked.stages[:2]] == [1000, 1001]


def test_without_fusion_there_is_nothing_to_fuse(tmp_path: Path) -> None:
    text = HEAD + TAIL.replace("teacher: both", "teacher: one").replace(TAIL.splitlines()[0] + "\n", "")
    found = routes.parts(read(tmp_path, text))
    assert (found.members, found.fused) == (["one"], None)
    assert routes.wanted(None, found) == ["plain", "distill", "teacher"]
    with pytest.raises(UserError, match="`both` needs several teachers"):
        routes.wanted("plain,both", found)


def test_what_cannot_be_compared_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no `distill") as error:
        routes.parts(read(tmp_path, HEAD))
    assert "a.yaml:4" in str(error.value)
    with pytest.raises(UserError, match="no route `plan`"):
        routes.wanted("plan", routes.parts(read(tmp_path, HEAD + TAIL)))


def test_a_stage_without_a_name_gets_one(tmp_path: Path) -> None:
    text = (
        HEAD
        + f"""\
  - {{use: prune.channels, input: one, name: small, ratio: 10%}}
  - {{use: distill.kd, student: {NET}, teacher: [small, two]}}
"""
    )
    found = routes.parts(read(tmp_path, text))
    assert found.members == ["small", "two"]
    assert found.upstream[-1]["input"] == "one"


@pytest.mark.parametrize("names", ["half", ",", " "])
def test_one_route_at_least_can_be_picked(names: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no route that can be picked"):
        routes.wanted(names, routes.parts(read(tmp_path, HEAD + TAIL)))


def test_a_stage_that_trains_is_no_fusion(tmp_path: Path) -> None:
    """A mean of weights along one training has no members to choose from."""
    text = HEAD + TAIL.replace(
        "{use: fuse.ensemble, name: both, models: [one, two]}",
        f"{{use: fuse.swa, name: both, model: {NET}, epochs: 4}}",
    )
    found = routes.parts(read(tmp_path, text))
    assert (found.members, found.fused) == (["both"], None)


def test_a_fusion_of_others_than_the_teachers_is_none(tmp_path: Path) -> None:
    found = routes.parts(read(tmp_path, HEAD + TAIL.replace("teacher: both", "teacher: one")))
    assert (found.members, found.fused) == (["one"], None)


def test_the_base_of_a_fusion_is_no_member(tmp_path: Path) -> None:
    tuned = "".join(f"  - {{use: train, name: {name}, start: one, epochs: 1}}\n" for name in ("a1", "a2"))
    fusion = "{use: fuse.ties, name: both, models: [a1, a2], base: one}"
    text = HEAD + tuned + TAIL.replace("{use: fuse.ensemble, name: both, models: [one, two]}", fusion)
    assert routes.parts(read(tmp_path, text)).members == ["a1", "a2"]


def test_weights_of_several_teachers_are_of_no_single_one(tmp_path: Path) -> None:
    text = HEAD + TAIL.replace("teacher: both,", "teacher: [one, two], weigh: fixed, weights: [0.7, 0.3],")
    given = read(tmp_path, text)
    stages = routes.stages(routes.parts(given), ["plain", "distill"], "two", 1.0)
    recipe.checked(written.document(given, stages, 0))
    (distilled,) = (stage for stage in stages if stage["name"] == "route-distill")
    assert distilled["teacher"] == "two"
    assert "weights" not in distilled


def test_several_teachers_teach_together_as_the_recipe_writes(tmp_path: Path) -> None:
    """Without a fusion too: what the recipe itself makes is one of its routes."""
    text = HEAD + TAIL.replace("teacher: both,", "teacher: [one, two], weigh: fixed, weights: [0.7, 0.3],")
    given = read(tmp_path, text.replace(TAIL.splitlines()[0] + "\n", ""))
    found = routes.parts(given)
    assert routes.wanted(None, found) == ["plain", "distill", "both", "teacher"]
    stages = routes.stages(found, ["both"], "two", 1.0)
    recipe.checked(written.document(given, stages, 0))
    (distilled,) = (stage for stage in stages if stage["name"] == "route-both")
    assert (distilled["teacher"], distilled["weights"]) == (["one", "two"], [0.7, 0.3])
    assert routes.about("both", found) == routes.OTHERS[0]
    with pytest.raises(UserError, match="`fuse` needs a teacher that"):
        routes.wanted("plain,fuse", found)


SINGLE = ["plain", "distill", "teacher"]
FUSED = ["plain", "distill", "both", "teacher", "fuse"]


@pytest.mark.parametrize(
    ("teacher", "layer", "possible"),
    [
        ("both", "members.0.layer3", ["plain", "both", "teacher", "fuse"]),
        ("further", "members.0.layer3", ["plain", "both", "teacher", "fuse"]),
        ("both", "embedding", FUSED),
        ("[one, two]", "layer3", ["plain", "both", "teacher"]),
        ("[one, two]", "embedding", ["plain", "distill", "both", "teacher"]),
        ("two", "layer3", SINGLE),
        ("soup", "layer3", FUSED),
    ],
)
def test_layers_are_of_the_teacher_that_the_recipe_names(
    teacher: str, layer: str, possible: list[str], tmp_path: Path
) -> None:
    """An ensemble has those of its members, below other names; a mean of weights has those of each."""
    more = "  - {use: fuse.soup.uniform, name: soup, models: [one, two]}\n"
    student = f"use: distill.fitnet, layers: {{layer3: {layer}}}, student"
    tail = TAIL.replace("use: distill.kd, student", student).replace("teacher: both", f"teacher: {teacher}")
    fusion, *rest = tail.splitlines(keepends=True)
    if teacher == "further":
        rest.insert(0, "  - {use: train, name: further, start: both, epochs: 1}\n")
    found = routes.parts(read(tmp_path, HEAD + more + fusion + "".join(rest)))
    assert routes.wanted(None, found) == possible
    if "distill" not in possible:
        with pytest.raises(UserError, match="`distill` has another teacher than the recipe, which may lack"):
            routes.wanted("distill", found)
    assert found.together == ({"[one, two]": ["one", "two"], "two": None}.get(teacher, teacher))


def test_a_fusion_among_several_teachers(tmp_path: Path) -> None:
    """The best single teacher is one of all, and `both` learns from what the recipe lists."""
    text = HEAD + f"  - {{use: train, name: three, model: {NET}, seed: 2}}\n" + TAIL
    found = routes.parts(read(tmp_path, text.replace("teacher: both", "teacher: [both, three]")))
    assert (found.members, found.fused, found.together) == (["one", "two", "three"], "both", ["both", "three"])
    assert routes.about("both", found) == routes.OTHERS[0]
    second = "  - {use: fuse.ensemble, name: second, models: [two, three]}\n"
    found = routes.parts(read(tmp_path, text.replace("  - {use: distill", second + "  - {use: distill").replace(
        "teacher: both", "teacher: [both, second]")))  # fmt: skip
    assert (found.members, found.fused) == (["one", "two", "three"], "both")


def test_a_fusion_that_only_taught_the_teacher_is_none(tmp_path: Path) -> None:
    pruned = "  - {use: prune.channels, input: three, name: small, teacher: both, ratio: 10%}\n"
    tail = TAIL.replace("  - {use: distill", pruned + "  - {use: distill")
    tail = tail.replace("teacher: both, epochs", "teacher: small, epochs")
    text = HEAD + f"  - {{use: train, name: three, model: {NET}, seed: 2}}\n" + tail
    found = routes.parts(read(tmp_path, text))
    assert (found.members, found.fused, found.together) == (["small"], None, None)


def test_a_fusion_that_is_trained_further_teaches_as_the_recipe_writes(tmp_path: Path) -> None:
    further = "  - {use: train, name: further, start: both, epochs: 1}\n"
    text = HEAD + TAIL.replace("  - {use: distill", further + "  - {use: distill").replace(
        "teacher: both", "teacher: further")  # fmt: skip
    found = routes.parts(read(tmp_path, text))
    assert (found.members, found.fused, found.together) == (["one", "two"], "both", "further")
    assert routes.about("both", found) == routes.OTHERS[1]
    assert "further" in [each["name"] for each in found.upstream]


def test_what_is_made_of_the_student_is_no_route(tmp_path: Path) -> None:
    tail = (
        TAIL
        + f"  - {{use: train, name: other, model: {NET}}}\n"
        + ("  - {use: fuse.ensemble, name: mean, models: [small, distilled]}\n")
    )
    tail = tail.replace("use: prune.channels,", "use: prune.channels, name: small,")
    found = routes.parts(read(tmp_path, HEAD + tail.replace("use: distill.kd,", "use: distill.kd, name: distilled,")))
    assert found.left_out == ("small", "mean")


def test_files_are_exported_and_converted_as_the_recipe_does(tmp_path: Path) -> None:
    text = HEAD + TAIL.replace("{use: export.onnx}", "{use: export.onnx, embed: [softmax], opset: 19}")
    found = routes.parts(read(tmp_path, text))
    exported = [each for each in routes.stages(found, ["plain", "fuse"], "two", 1.0) if each["use"] == "export.onnx"]
    assert [(each["embed"], each["opset"]) for each in exported] == [(["softmax"], 19)] * 2


def test_half_of_the_labels_are_learnt_in_as_many_steps(tmp_path: Path) -> None:
    found = routes.parts(read(tmp_path, HEAD + TAIL))
    epochs = {each["name"]: each.get("epochs") for each in routes.stages(found, ["plain", "half"], "two", 1.0)}
    assert epochs["route-half"] == 2 * epochs["route-plain"]
