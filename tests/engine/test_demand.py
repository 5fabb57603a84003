"""What a chain wants of memory and disk: told before its first stage, and refused where it is not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from edgepress.config import recipe
from edgepress.core import capacity
from edgepress.core.document import Document
from edgepress.core.errors import UserError
from edgepress.core.yamlio import parse
from edgepress.engine import demand
from edgepress.engine.cache import Cache
from edgepress.engine.engine import Engine
from edgepress.models import footprint

NET = "{arch: edgepress/mlp, args: {width: 64}}"
BASE = f"{{use: train, name: base, model: {NET}, epochs: 2, batch: 32}}"
STUDENT = f"{{use: distill.kd, name: student, teacher: base, student: {NET}, views: 3, epochs: 2}}"


def engine(folder: Path, *stages: str, data: str = "./x.npz") -> Engine:
    lines = ["name: mine", f"task: {{data: {data}}}", "targets: []", "stages:", *(f"  - {one}" for one in stages)]
    return Engine(recipe.checked(parse(Document(folder / "mine.yaml", "\n".join(lines)))), Cache(folder / "cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    from tests.data.made import arrays

    arrays(tmp_path / "x.npz")
    return tmp_path


def of(found: Engine, *waiting: str) -> demand.Demand:
    wanted = demand.of(found, found.recipe.steps(), waiting)
    assert wanted is not None
    return wanted


def test_memory_is_of_the_largest_stage_and_disk_of_all(folder: Path) -> None:
    both = engine(folder, BASE, STUDENT)
    first, second = of(both, "base"), of(both, "base", "student")
    assert first.whole
    assert first.stage == "base"
    assert second.memory >= first.memory
    train = len(both.data["train"].y)
    assert second.certain_disk == train * 3 * 2 * 4, "three views of the teacher's two logits"
    assert second.disk == 2 * first.disk + second.certain_disk
    assert demand.of(both, both.recipe.steps(), ()) is None


def test_a_network_is_counted_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = of(engine(folder, BASE), "base")
    monkeypatch.setattr(footprint, "_counted", lambda _: pytest.fail("built again"))
    assert of(engine(folder, BASE), "base") == before


def test_parameters_and_activations_are_those_of_the_network(folder: Path) -> None:
    import torch

    found = engine(folder, BASE)
    description = found.recipe.stages[0].networks()[0].describe(found.data)
    counted = footprint.footprint(description, None)
    module = description.build()
    assert counted.parameters == sum(parameter.numel() for parameter in module.parameters())
    widths = [layer.out_features for layer in module.modules() if isinstance(layer, torch.nn.Linear)]
    assert counted.activations >= sum(widths)


def test_a_network_of_the_users_is_not_built(folder: Path) -> None:
    (folder / "net.py").write_text("raise SystemExit('run')\ndef build(**_): ...\n")
    wanted = of(engine(folder, "{use: train, name: base, model: ./net.py:build, epochs: 1}"), "base")
    assert not wanted.whole
    assert "at least" in wanted.words()


def test_what_does_not_fit_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = engine(folder, BASE, STUDENT)
    with monkeypatch.context() as patch:
        patch.setattr(capacity, "memory", lambda: 10_000)
        with pytest.raises(UserError, match=r"`\w+` takes .* of memory for weights, a batch and data, and there are"):
            found.demand(["base", "student"])
    with monkeypatch.context() as patch:
        patch.setattr(demand.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10})())
        with pytest.raises(UserError, match=r"the teachers' outputs on the training examples take .*, and the disk of"):
            found.demand(["base", "student"])
    assert found.demand(["base", "student"]).startswith("takes about ")
    assert found.demand([]) == ""


def test_large_outputs_are_no_reason_to_refuse(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are kept as float16 where the disk is full, or computed in every step."""
    found = engine(folder, BASE, STUDENT)
    kept = of(found, "base", "student")
    monkeypatch.setattr(demand, "IN_MEMORY", kept.certain_disk - 1)
    large = of(found, "base", "student")
    assert (large.disk, large.certain_disk) == (kept.disk, 0)


def test_the_memory_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = capacity.memory()
    assert whole is None or whole > 2**28
    (tmp_path / "memory.max").write_text("1000\n")
    monkeypatch.setattr(capacity, "_BOUNDS", (str(tmp_path / "memory.max"), str(tmp_path / "none")))
    bounded = capacity.memory()
    assert whole is None or (bounded is not None and bounded < whole)
    (tmp_path / "memory.max").write_text("max\n")
    assert capacity.memory() == whole


def test_an_accelerator_has_memory_of_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "has_accelerator", lambda: False)
    here = of(engine(folder, BASE), "base")
    monkeypatch.setattr(capacity, "has_accelerator", lambda: True)
    there = of(engine(folder, BASE), "base")
    assert there.certain_memory < here.certain_memory
