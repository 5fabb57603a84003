"""Before the first stage runs: what only the data, or networks that are built, decide; and all at once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from edgepress.config import recipe
from edgepress.core.document import Document
from edgepress.core.errors import Problem, UserError
from edgepress.core.results import StageFacts
from edgepress.core.runtimes import RUNTIMES
from edgepress.core.yamlio import parse
from edgepress.engine import preflight
from edgepress.engine.cache import Cache
from edgepress.engine.engine import Engine

from tests.conftest import TINY

NET = json.dumps(TINY)
A = f"{{use: train, name: a, model: {NET}, epochs: 1}}"
OWN = """
import numpy as np
from edgepress import Examples
def load(regression=False):
    x = np.random.default_rng(0).random((60, 3, 16), np.float32)
    y = np.linspace(0, 1, 60, dtype=np.float32) if regression else np.arange(60) % 2
    return Examples(x, y)
"""


class _Nobody:
    """Fails where a stage begins."""

    def begin(self, label: str, use: str, position: int, count: int) -> None:
        raise AssertionError(f"`{label}` began")

    def advance(self, done: int, total: int, words: str) -> None: ...
    def end(self, facts: StageFacts) -> None: ...


def refused(*stages: str, folder: Path, data: str = "digits", more: str = "") -> list[Problem]:
    lines = ["name: mine", f"task: {{data: {data}{more}}}", "targets: []", "stages:", *(f"  - {one}" for one in stages)]
    checked = recipe.checked(parse(Document(folder / "mine.yaml", "\n".join(lines))))
    with pytest.raises(UserError) as error:
        Engine(checked, Cache(folder / "cache"), 32).run(_Nobody())
    return error.value.problems


def distilled(use: str, layers: str, student: str = NET) -> str:
    return f"{{use: distill.{use}, student: {student}, teacher: a, layers: {{{layers}}}, epochs: 1}}"


@pytest.mark.parametrize(
    ("stage", "words", "text"),
    [
        (distilled("fitnet", "layer9: layer4"), "the student has no layer `layer9`", "{layer9: layer4}"),
        (distilled("fitnet", "layer4: layer9"), "the teacher has no layer `layer9`", "{layer4: layer9}"),
        (distilled("at", "layer1: layer4"), "the student's map is 8 × 8, the teacher's 1 × 1", "{layer1: layer4}"),
        (
            "{use: distill.kd, student: {arch: timm/resnet18, args: {layrs: 1}}, teacher: a}",
            "timm cannot build `resnet18`",
            "{arch: timm/resnet18, args: {layrs: 1}}",
        ),
        pytest.param(
            "{use: prune.channels, finetune: {precision: fp16}}",
            "`precision: fp16` needs a GPU",
            "fp16",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is one"),
        ),
    ],
)
def test_networks_that_cannot_be_built_or_do_not_go_together(stage: str, words: str, text: str, tmp_path: Path) -> None:
    (problem,) = refused(A, stage, folder=tmp_path)
    assert words in problem.message
    assert problem.place
    assert problem.place.text == text


def test_every_network_at_once(tmp_path: Path) -> None:
    found = refused(A, distilled("at", "layer1: layer4"), distilled("fitnet", "x: layer4"), folder=tmp_path)
    assert [each.place.line for each in found if each.place] == [6, 7]


@pytest.mark.parametrize(
    ("data", "more", "stages", "lines"),
    [
        (
            "",
            "",
            [f"{{use: train, model: {NET}}}", "{use: distill.dist, student: edgepress/conv1d, teacher: t}"],
            [6, 7],
        ),
        (", args: {regression: true}", ", metric: mae", ["{use: export.onnx, embed: [softmax], input: t}"], [6]),
    ],
)
def test_what_the_data_decide(data: str, more: str, stages: list[str], lines: list[int], tmp_path: Path) -> None:
    """A function of the user's may return anything: only the data that it returned tell."""
    (tmp_path / "own.py").write_text(OWN)
    source = f"{{from: ./own.py:load, normalize: none{data}}}"
    first = "{use: train, name: t, model: edgepress/conv1d}"
    found = refused(first, *stages, folder=tmp_path, data=source, more=more)
    assert [each.place.line for each in found if each.place] == lines


def test_weights_of_the_chance_are_drawn_as_before(tmp_path: Path) -> None:
    """Building networks beforehand takes nothing from the stream of random numbers."""
    from edgepress.engine import preflight

    text = f"name: mine\ntask: {{data: digits}}\ntargets: []\nstages:\n  - {A}\n  - {distilled('at', 'layer1: layer1')}"
    engine = Engine(recipe.checked(parse(Document(tmp_path / "mine.yaml", text))), Cache(tmp_path / "cache"), 32)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    preflight.check_networks(engine, engine.recipe.steps(), ["a", "distill.at"])
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("reach", "refuses"), [("local", True), ("none", False), ("ssh://pi@board", False)])
def test_a_target_whose_runtime_is_not_here_is_refused_if_it_is_timed_here(
    reach: str, refuses: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attached board has a runtime of its own, and without references nothing is timed."""
    monkeypatch.setitem(RUNTIMES, "litert", replace(RUNTIMES["litert"], loader="api:not_there", last_python=(3, 8)))
    (tmp_path / "desk.yaml").write_text(f"name: desk\nruntime: litert\nreach: {reach}\nbudgets: {{size: 1 MB}}\n")
    stages = [A, "{use: export.onnx}", "{use: convert.tflite}"]
    lines = ["name: mine", "task: {data: digits}", "targets: [desk.yaml]", "stages:", *(f"  - {one}" for one in stages)]
    checked = recipe.checked(parse(Document(tmp_path / "mine.yaml", "\n".join(lines))))
    engine = Engine(checked, Cache(tmp_path / "cache"), 32)
    if not refuses:
        return preflight.check_data(engine, checked.steps())
    with pytest.raises(UserError) as error:
        preflight.check_data(engine, checked.steps())
    (problem,) = error.value.problems
    assert problem.message.startswith("ai-edge-litert has no wheel for Python 3.")
    assert str(problem.place) == f"{tmp_path / 'desk.yaml'}:2:10"
