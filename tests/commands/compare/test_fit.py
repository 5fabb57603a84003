"""The files of a route are judged as a run judges them: by the `keep` of stages too, and the time to decode boxes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from edgepress.commands.compare import fit
from edgepress.commands.compare.results import Comparison, Fits
from edgepress.config import recipe, target
from edgepress.core import keep
from edgepress.engine import decode_time

from tests.commands.compare.test_trial import RECIPE
from tests.commands.compare.test_verdict import FAR, comparison, words

DATA: Any = SimpleNamespace(task="single-label", labels=("a", "b"))


def fits(found: Comparison, route: str, folder: Path, budgets: str = "size: 5 MB") -> list[Fits]:
    (folder / "a.yaml").write_text(RECIPE)
    (folder / "host.yaml").write_text(f"name: host\nruntime: onnxruntime\nreach: local\nbudgets: {{{budgets}}}\n")
    (result, *_) = found.of(route)
    judged = {which: [file.model_copy(update={"precision": "int8"})] for which, file in result.files.items()}
    result = result.model_copy(update={"judged": judged})
    rows = fit.fits(result, found, recipe.load(folder / "a.yaml"), [target.load(folder / "host.yaml")], [], DATA)
    return [each for each in rows if each.which == "int8"]


def test_a_stages_own_keep_that_is_missed_is_no_pick(tmp_path: Path) -> None:
    """`edgepress run` fails it."""
    found = comparison(FAR)
    scores = {"fuse": 0.5, "teacher": 0.9}
    rows = {name: [keep.row("accuracy", "stage", 0.9, 0.89, {"x86": score}, higher=True)]
            for name, score in scores.items()}  # fmt: skip
    made = [
        each.model_copy(update={"kept": {"int8": {"quantized": rows[each.route]}}}) if each.route in rows else each
        for each in found.made
    ]
    found = found.model_copy(update={"made": made})
    (_, missed), (_, held) = (fits(found, route, tmp_path) for route in ("fuse", "teacher"))
    assert (missed.target, missed.checks) == ("recipe", {"keep accuracy_drop of quantized": "FAIL"})
    assert held.checks == {"keep accuracy_drop of quantized": "ok"}
    said = words(found.model_copy(update={"fits": (*found.fits, missed, held)}))
    assert "Verdict: teacher" in said
    assert "fuse does not meet the recipe's keep: keep accuracy_drop of quantized" in said


def test_the_time_to_decode_boxes_is_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It said that only detectors have boxes to decode, of a detector."""
    timed: list[Path] = []
    monkeypatch.setattr(decode_time, "of_file", lambda file, data: timed.append(file) or [0.001] * 20)
    found = comparison(FAR)
    (host,) = fits(found, "fuse", tmp_path, "decode: 5 ms")
    assert host.checks == {"decode": "ok"}
    assert timed == [Path("fuse.float"), Path("fuse.int8")]
    timed.clear()
    fits(found, "fuse", tmp_path)
    assert timed == []
