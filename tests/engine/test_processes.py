"""`run --jobs`: stages in processes side by side make what one after the other makes, and end together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TINY, Place, laid_out

TRAIN = f"model: {json.dumps(TINY)}, epochs: 1, batch: 32, flip: false, shift: 0"
PAIR = f"""\
name: pair
task: {{data: digits, seed: 0}}
stages:
  - {{use: train, name: a, {TRAIN}}}
  - {{use: train, name: b, {TRAIN}, seed: 1}}
  - {{use: fuse.ensemble, name: both, models: [a, b], weights: equal}}
  - {{use: export.onnx, name: float}}
keep: {{accuracy_drop: 60 points}}
targets: []
"""
ENDLESS = PAIR.replace("epochs: 1,", "epochs: 100000,")


def made(place: Place) -> dict[str, bytes]:
    """The files of the cache's entries."""
    return {str(path.relative_to(place.cache)): path.read_bytes() for path in place.cache.rglob("entries/*/*")}


def reported(place: Place) -> list[dict[str, Any]]:
    """What the report says of the stages, but for seconds; latencies are measured."""
    (file,) = place.runs.rglob("report.json")
    stages: list[dict[str, Any]] = json.loads(file.read_text().replace(str(place.folder), ""))["stages"]
    assert all(stage.pop("seconds") > 0 for stage in stages)
    return stages


@pytest.mark.slow
def test_the_results_are_those_of_one_after_the_other(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    one, two = (laid_out(tmp_path / name, PAIR) for name in ("one", "two"))
    first, second = one.run(), two.run("--jobs", 2)
    assert (first.code, second.code) == (0, 0), (first.err, second.err, capfd.readouterr().err)
    assert made(one) == made(two)
    assert one.lock.read_bytes() == two.lock.read_bytes()
    assert reported(one) == reported(two)
    assert not any(stage["cached"] for stage in reported(two))
    lines = second.err.splitlines()
    assert lines.index("[2/4] b: train") < [line.startswith("  a: ") for line in lines].index(True), "side by side"
    assert not [*two.cache.glob("work/*")]
    again = two.run("--jobs", 2)
    assert again.err.count("cached") == 4


def begun(place: Place, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edgepress", "run", str(place.recipe), "--jobs", "2", *options]
    root = Path(__file__).parents[2] / "pipeline"
    return subprocess.Popen(
        command, cwd=place.folder, env=os.environ | {"PYTHONPATH": str(root)}, stderr=subprocess.PIPE, text=True
    )


def processes(place: Place) -> list[int]:
    """The processes of stages of this place."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = each.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if "stage_process" in words and str(place.folder) in words:
            found.append(int(each.parent.name))
    return found


def await_(what: Any) -> None:
    until = time.monotonic() + 120
    while not what():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc")
def test_an_interruption_ends_all(tmp_path: Path) -> None:
    place = laid_out(tmp_path, ENDLESS)
    run = begun(place)
    await_(lambda: len([*(place.folder / ".edgepress" / "work").glob("*/scratch")]) == 2)
    run.send_signal(signal.SIGINT)
    errors = run.communicate(timeout=60)[1]
    assert run.returncode == 130
    assert errors.count("interrupted; the same command continues from here") == 1
    await_(lambda: not processes(place))
    assert not [*place.folder.glob(".edgepress/entries/*")]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc")
def test_an_error_of_one_ends_the_others_and_is_said_once(tmp_path: Path) -> None:
    text = ENDLESS.replace("seed: 1}", "seed: 1, lr: 1.0e+30}")
    assert "1.0e+30" in text
    place = laid_out(tmp_path, text)
    run = begun(place)
    errors = run.communicate(timeout=300)[1]
    assert run.returncode == 2, errors
    assert errors.count("error") == 1
    assert "recipe.yaml:5" in errors
    await_(lambda: not processes(place))


def test_a_recipe_that_changes_meanwhile_is_told(tmp_path: Path) -> None:
    from edgepress.config import recipe
    from edgepress.core.errors import UserError
    from edgepress.core.progress import Silent
    from edgepress.engine.cache import Cache
    from edgepress.engine.engine import Engine

    place = laid_out(tmp_path, PAIR)
    with pytest.raises(UserError, match="has changed since the run began"):
        Engine(recipe.load(place.recipe), Cache(place.cache)).make("b", "another key", Silent())
    assert not place.cache.exists()
