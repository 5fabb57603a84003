"""The lock file: what was made from what, in the same bytes, with nothing of this machine's folders or clock."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
from edgepress.config import recipe
from edgepress.core import yamlio
from edgepress.core.errors import UserError
from edgepress.core.machine import machine
from edgepress.core.paths import digest
from edgepress.engine.cache import Cache
from edgepress.engine.engine import Engine
from edgepress.engine.lock import _same_sources, read
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
    (cached,) = stages["float"]["sha256"]
    (made, *_) = {path for path in place.cache.glob("entries/*/model.onnx") if digest(path) == cached}
    delivered = onnx.load(models / "float.onnx")
    assert onnx.load(made).graph == delivered.graph, "what is delivered has the metadata of others beside ours"
    assert stages["student"]["sha256"] == [digest(models / "student.safetensors")]
    for preset, file in stages["int8"]["files"].items():
        sizes = {path.stat().st_size for path in place.cache.glob(f"entries/*/model.{preset}.onnx")}
        assert file["bytes"] in sizes
        assert (models / f"int8.{preset}.onnx").is_file()
        assert 0 < file["test"]["accuracy"] <= 1


def test_it_is_sorted_and_has_no_long_floats(finished: tuple[Place, Said]) -> None:
    place, _ = finished
    data = yamlio.read(place.lock).data
    assert list(data) == sorted(data)
    floats = [leaf for leaf in leaves(data) if isinstance(leaf, float)]
    assert floats
    assert all(round(value, 6) == value for value in floats)
    assert yamlio.dump(data) in place.lock.read_text()


@pytest.mark.slow
def test_nothing_is_written_into_the_installed_package(copy: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgepress.engine.lock.SHIPPED", copy.folder)
    before = yamlio.read(copy.lock).data
    copy.lock.unlink()
    assert copy.run().code == 0
    assert not copy.lock.exists()
    assert yamlio.read(copy.runs / "whole" / "recipe.lock.yaml").data == before


@pytest.mark.slow
def test_another_processor_leaves_the_lock_as_it_is(copy: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Times, int8 arithmetic and the last bits of sums differ between processors; the committed file does not."""
    before, own, here = copy.lock.read_bytes(), copy.runs / "whole" / "recipe.lock.yaml", machine()
    other = here.model_copy(update={"cpu": "Another Processor"})
    monkeypatch.setattr("edgepress.core.machine.machine", lambda: other)
    assert copy.run().code == 0
    assert copy.lock.read_bytes() == before
    assert yamlio.read(own).data["machine"]["processor"] == "Another Processor"
    contract = yamlio.read(copy.runs / "whole" / "models" / "float.onnx.json").data
    assert contract["source"]["lock"] == digest(own), "models point at the lock that has their digests"

    monkeypatch.setattr("edgepress.core.machine.machine", lambda: here)
    assert copy.run().code == 0
    assert copy.lock.read_bytes() == before
    assert not own.exists()


def lock_of(processor: str, **changes: Any) -> dict[str, Any]:
    sources = {"recipe": "r", "recipe_sha256": "1", "task": {"seed": 0}, "data_sha256": "2", "libraries": {"onnx": "1"}}
    stages = [{"name": "a", "use": "load", "options": {"weights": "a.pt"}, "loaded_sha256": ["3"]}]
    return {**sources, "stages": stages, "machine": {"processor": processor, "instructions": []}, **changes}


@pytest.mark.parametrize(
    "change",
    [
        *({source: "changed"} for source in ("recipe", "recipe_sha256", "task", "data_sha256", "libraries")),
        *({"stages": [{"name": "a", "use": "load", "options": {"weights": "a.pt"}, **each}]} for each in (
            {}, {"loaded_sha256": ["4"]}, {"loaded_sha256": ["3"], "code_sha256": "5"}
        )),
    ],
)  # fmt: skip
def test_other_sources_are_recorded_on_any_processor(change: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "r.lock.yaml"
    path.write_text(yamlio.dump(lock_of("one")))
    assert _same_sources(path, lock_of("two"), ())
    assert not _same_sources(path, lock_of("one"), ())
    assert not _same_sources(path, lock_of("two", **change), ())


def test_a_choice_that_came_out_otherwise_leaves_the_lock_as_it_is(tmp_path: Path) -> None:
    """What `faster` measures varies from run to run; the sources, which the committed file is of, do not."""
    path, stage = tmp_path / "r.lock.yaml", {"name": "int8", "use": "quantize.static", "options": {}, "key": "k"}
    after = {"name": "lite", "use": "convert.tflite", "options": {}}

    def lock(digest: str, key: str = "k", train: str = "0") -> dict[str, Any]:
        first = {"name": "net", "use": "train", "options": {}, "key": "t", "sha256": [train]}
        last = after | {"key": f"of {digest}", "sha256": [digest]}
        return lock_of("one", stages=[first, stage | {"key": key, "sha256": [digest]}, last])

    path.write_text(yamlio.dump(lock("1")))
    assert _same_sources(path, lock("2"), ["int8"])
    assert not _same_sources(path, lock("1"), ["int8"]), "the same results: the same bytes"
    assert not _same_sources(path, lock("2"), []), "without a choice by time"
    assert not _same_sources(path, lock("2", key="l"), ["int8"]), "another version of the stage"
    assert not _same_sources(path, lock("2", train="1"), ["int8"]), "what stands before it differs as well"


@pytest.mark.parametrize("text", ["", "[]", "- [", yamlio.dump(lock_of("one", machine={"architecture": "x86_64"}))])
def test_a_lock_that_does_not_say_its_processor_is_written_anew(text: str, tmp_path: Path) -> None:
    path = tmp_path / "r.lock.yaml"
    assert not _same_sources(path, lock_of("two"), ())
    path.write_text(text)
    assert not _same_sources(path, lock_of("two"), ())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "r.lock.yaml:1:1: `{path}` is damaged: it has no list of stages"),
        ("stages: [5]", "r.lock.yaml:1:9: `{path}` is damaged: it has no list of stages"),
        ("a: 1\n<<<<<<< HEAD\nb: [", "r.lock.yaml:3:"),
        ("a: \xff", "is not UTF-8 text"),
        ("a: " + "[" * 10**5, "more than 40 levels of nesting"),
    ],
)
def test_a_damaged_lock_is_told_before_anything_runs(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "r.lock.yaml"
    assert read(path) is None
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError) as caught:
        read(path)
    assert words.format(path=path) in str(caught.value)
    assert "`edgepress run` writes it anew" in str(caught.value)


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
