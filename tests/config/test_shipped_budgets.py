"""Every shipped recipe makes its case: its starting model exceeds a required budget of each target, its result none.

The sizes are those of the committed lock files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from edgepress.config import recipe, target
from edgepress.core import yamlio

ROOT = Path(__file__).parents[2]
RECIPES = {path.stem: path for path in ROOT.glob("recipes/*.yaml") if not path.name.endswith(".lock.yaml")}
EXCEPTED = {
    "distill-vs-fuse": "`compare` judges every route by its target: a limit would refuse the large routes beforehand",
    "distill-vs-fuse-equal": "the same",
    "distill-vs-fuse-rare": "the same",
    "distill-vs-fuse-noisy": "the same",
    "distill-vs-fuse-sensor": "the same",
    "efficientnet-lite": "it names no target: `keep` alone judges it",
    "detect-teacher": "it makes a teacher, nothing smaller, and names no target",
    "segment-teacher": "it makes a teacher, nothing smaller, and names no target",
    "teachers": "the same",
}
UNLOCKED = {"mobilenet-imagefolder": "its photos are the user's: tests/config/test_shipped.py runs it on some"}


def limits(loaded: recipe.Recipe) -> dict[str, float]:
    """By target, the required budget for size that the recipe itself sets."""
    return {
        found.name: found.budgets.size.limit
        for found in loaded.load_targets()
        if found.budgets.size and found.budgets.size.level == "required" and sets(loaded, found)
    }


def sets(loaded: recipe.Recipe, found: target.Target) -> bool:
    place = found.place("budgets", "size")
    return place is not None and place.path == loaded.document.path


def result(stages: list[dict[str, Any]], found: target.Target) -> list[int]:
    """The sizes of the last ONNX or TFLite files, whichever the target runs, in every preset of the lock."""
    lite = found.runtime != "onnxruntime"
    stage = next(each for each in reversed(stages) if (each["use"] == "convert.tflite") is lite)
    return [file["bytes"] for file in stage["files"].values()]


@pytest.mark.parametrize("name", sorted(RECIPES.keys() - EXCEPTED.keys()))
def test_the_recipe_sets_a_required_size_for_each_target(name: str) -> None:
    loaded = recipe.load(RECIPES[name], loose=True)
    assert loaded.targets
    assert limits(loaded).keys() == {found.name for found in loaded.load_targets()}


@pytest.mark.parametrize("name", sorted(RECIPES.keys() - EXCEPTED.keys() - UNLOCKED.keys()))
def test_the_starting_model_exceeds_it_and_the_result_meets_it(name: str) -> None:
    loaded = recipe.load(RECIPES[name], loose=True)
    stages = yamlio.read(ROOT / f"recipes/{name}.lock.yaml").data["stages"]
    (start,) = (each for each in stages if each["name"] == loaded.reference_label())
    (begun,) = (file["bytes"] for file in start["files"].values())
    for found in loaded.load_targets():
        sizes = result(stages, found)
        assert max(sizes) <= limits(loaded)[found.name] < begun


@pytest.mark.parametrize("name", EXCEPTED)
def test_a_recipe_is_excepted_only_while_it_sets_none(name: str) -> None:
    assert not limits(recipe.load(RECIPES[name], loose=True)), f"take `{name}` out of EXCEPTED"
