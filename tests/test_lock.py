"""The lock file: what was made from what, in the same bytes, with nothing of this machine's folders or clock."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from edgepress.config import recipe
from edgepress.core import yamlio
from edgepress.core.paths import digest
from edgepress.engine.cache import Cache
from edgepress.engine.engine import Engine
from edgepress.stages.export import ExportOnnx
from edgepress.stages.fuse.ensemble import FuseStack

from tests.conftest import Place, Said


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each)
    else:
        yield value


def test_no_paths_of_the_machine_no_times_and_no_names_of_it(finished: tuple[Place, Said]) -> None:
    place, _ = finished
    text = place.lock.read_text()
    for word in (str(place.folder), str(Path.home()), str(Path.cwd()), "/tmp", ".edgepress", "seconds", "cpu"):
        assert word not in text, word
    assert not re.search(r"\d\d:\d\d:\d\d|20\d\d-\d\d-\d\d", text)
    data = yamlio.read(place.lock).data
    assert not [leaf for leaf in leaves(data) if isinstance(leaf, str) and leaf.startswith(("/", "~"))]


def test_it_says_what_was_made_from_what(finished: tuple[Place, Said]) -> None:
    place, _ = finished
    data = yamlio.read(place.lock).data
    assert (data["recipe"], data["recipe_sha256"]) == ("whole", digest(place.recipe))
    assert {"torch", "timm", "onnx", "onnxruntime", "torch-pruning"} <= set(data["libraries"])
    stages = {stage["name"]: stage for stage in data["stages"]}
    assert list(stages)[:4] == ["base", "a", "b", "soup"], "in the order of the recipe"
    assert stages["base"]["options"]["lr"] == 0.02
    assert stages["base"]["options"]["weight_decay"] == 0.05, "defaults stand in it"
    models = place.runs / "whole" / "models"
    assert stages["float"]["sha256"] == [digest(models / "float.onnx")]
    assert stages["student"]["sha256"] == [digest(models / "student.safetensors")]
    for preset, file in stages["int8"]["files"].items():
        assert file["bytes"] == (models / f"int8.{preset}.onnx").stat().st_size
        assert 0 < file["test"]["accuracy"] <= 1


def test_it_is_sorted_and_has_no_long_floats(finished: tuple[Place, Said]) -> None:
    place, _ = finished
    data = yamlio.read(place.lock).data
    assert list(data) == sorted(data)
    floats = [leaf for leaf in leaves(data) if isinstance(leaf, float)]
    assert floats
    assert all(round(value, 6) == value for value in floats)
    assert yamlio.dump(data) in place.lock.read_text()


def test_nothing_is_written_into_the_installed_package(copy: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgepress.engine.lock.SHIPPED", copy.folder)
    before = yamlio.read(copy.lock).data
    copy.lock.unlink()
    assert copy.run().code == 0
    assert not copy.lock.exists()
    assert yamlio.read(copy.runs / "whole" / "recipe.lock.yaml").data == before


def test_a_library_enters_the_locks_of_the_recipes_that_use_it_alone(
    copy: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library that a new stage brings changes no lock of a recipe without that stage."""

    def versions() -> dict[str, str]:
        return Engine(recipe.load(copy.recipe), Cache(copy.cache)).versions

    before = versions()
    monkeypatch.setattr(FuseStack, "libraries", (*FuseStack.libraries, "pytest"))
    assert versions() == before
    monkeypatch.setattr(ExportOnnx, "libraries", (*ExportOnnx.libraries, "pytest"))
    assert set(versions()) == {*before, "pytest"}
