"""Results that are read hold together; everything else is damaged, with the place of what is wrong."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from edgepress.core import stored
from edgepress.core.errors import UserError
from edgepress.core.results import Report

REPORTS = Path(__file__).parents[1] / "bench"
REAL = json.loads((REPORTS / "run.json").read_text(encoding="utf-8"))


def read(content: bytes, folder: Path) -> Report:
    (folder / "report.json").write_bytes(content)
    return stored.read(folder / "report.json", Report, stored.of_report, "run again")


@pytest.mark.parametrize("name", ["run", "boards"])
def test_reports_of_today_hold_together(name: str, tmp_path: Path) -> None:
    content = (REPORTS / f"{name}.json").read_bytes()
    assert read(content, tmp_path) == Report.model_validate_json(content)


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    report = copy.deepcopy(REAL)
    change(report)
    return json.dumps(report).encode()


NAN = float("nan")
FILE = REAL["stages"][-1]["files"][0]
DAMAGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "samples.0.cpu": lambda r: r["samples"][0]["cpu"][0].__setitem__(0, NAN),
    "samples.0.wall": lambda r: r["samples"][0]["wall"][0].__setitem__(0, -1.0),
    "samples.1.cpu": lambda r: r["samples"][1]["cpu"][0].pop(),
    "samples.1.cpu: it": lambda r: r["samples"][1]["cpu"].pop(),
    "samples.1.wall.0: there": lambda r: r["samples"][1].update(wall=[[0 for _ in p] for p in r["samples"][1]["wall"]]),
    "samples.0.load: it": lambda r: r["samples"][0].update(load=[0.1], first=[]),
    "samples.0.load: this": lambda r: r["samples"][0].update(load=[0.0], first=[0.0]),
    "samples.0.threads": lambda r: r["samples"][0].update(threads=0),
    "samples.0.threads: Input": lambda r: r["samples"][0].update(threads=True),
    "samples.0.runtime": lambda r: r["samples"][0].update(runtime="x"),
    "samples.0.memory": lambda r: r["samples"][0].update(memory=-1),
    "stages.0.files.0.bytes": lambda r: r["stages"][0]["files"][0].update(bytes=0),
    "stages.0.files.0.bytes: Input": lambda r: r["stages"][0]["files"][0].update(bytes="5"),
    "stages.0.files.0.sha256": lambda r: r["stages"][0]["files"][0].update(sha256="x"),
    "stages.0.files.0.kind": lambda r: r["stages"][0]["files"][0].update(kind="tflite"),
    "stages.0.files.0.path": lambda r: r["stages"][0]["files"][0].update(path=""),
    "stages.0.files.0.scores": lambda r: r["stages"][0]["files"][0]["scores"]["test"].update(accuracy=NAN),
    "stages.0.files.0.scores.accuracy": lambda r: r["stages"][0]["files"][0]["scores"]["test"].update(accuracy=1.5),
    "stages.0.files.0.scores.validation": lambda r: r["stages"][0]["files"][0]["scores"].pop("validation"),
    "stages.0.files.0.scores.nll": lambda r: r["stages"][0]["files"][0]["scores"]["test"].update(nll=-1.0),
    "stages.0.files.0.correct": lambda r: r["stages"][0]["files"][0].update(correct="1"),
    "stages.0.files.0.correct: its marks": lambda r: r["stages"][0]["files"][0].update(correct="0" * 2000),
    "stages.0.files: there is none": lambda r: r["stages"][0].update(files=[]),
    "stages.0.seconds": lambda r: r["stages"][0].update(seconds=float("inf")),
    "stages.0.parameters": lambda r: r["stages"][0].update(parameters=-1),
    "an integer has more than 18 digits": lambda r: r["stages"][0].update(macs=10**400),
    "stages.0.inputs": lambda r: r["stages"][0].update(inputs=["nothing"]),
    "stages.0.notes.keep.0": lambda r: r["stages"][0]["notes"].update(keep=[{"of": "stage"}]),
    "stages.0.notes.keep": lambda r: r["stages"][0]["notes"].update(keep=5),
    "stages: ": lambda r: r.update(stages=[]),
    "stages: this": lambda r: r["stages"].append(r["stages"][0]),
    "machine.cores": lambda r: r["machine"].update(cores=0),
    "data.recipe_sha256": lambda r: r["data"].pop("recipe_sha256"),
    "data.images": lambda r: r["data"]["images"].update(test=-5),
    "data.set": lambda r: r["data"].update(set="a"),
    "data.warnings": lambda r: r["data"].update(warnings=[5]),
    "data.inputs": lambda r: r["data"].update(inputs=5),
    "reference": lambda r: r.update(reference="nothing"),
    "groups": lambda r: r.update(groups=[0, 2]),
    "date": lambda r: r.update(date="today"),
    "keep": lambda r: r.pop("keep"),
    "zz": lambda r: r.update(zz=1),
    "accepted.t.bytes": lambda r: r.update(accepted={"t": FILE | {"bytes": -1}}),
    "preprocessing": lambda r: r["preprocessing"].update(ready=[]),
}


@pytest.mark.parametrize("place", DAMAGES)
def test_a_report_that_does_not_hold_together_is_damaged(place: str, tmp_path: Path) -> None:
    content = changed(DAMAGES[place])
    with pytest.raises(UserError) as caught:
        read(content, tmp_path)
    assert f"report.json` is damaged, or from another version of edgepress: {place}" in str(caught.value)
    assert str(caught.value).endswith("= help: run again")


WHOLE = json.dumps(REAL)
BYTES = [b"", b"\0" * 9, b"[" * 10**5, b'{"a":' * 10**5, b'{"a": "\xed\xa0\x80"}', b"1" * 10**5, b'{"version": 1e400}']
BYTES += [WHOLE[:5000].encode(), WHOLE.encode("utf-16"), WHOLE.encode() + b"x"]


@pytest.mark.parametrize("content", BYTES)
def test_what_is_no_json_is_damaged(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is damaged"):
        read(content, tmp_path)


def test_a_key_that_stands_twice_is_damaged(tmp_path: Path) -> None:
    """The last one would win silently."""
    with pytest.raises(UserError, match="`bytes` stands twice"):
        read(json.dumps(REAL).replace('"bytes":', '"bytes": 1, "bytes":', 1).encode(), tmp_path)


def test_a_number_of_a_diverged_model_is_read(tmp_path: Path) -> None:
    """It was written as it is, and no budget is met by it."""

    def diverge(report: dict[str, Any]) -> None:
        report |= {"metric": "mae", "emulated": {}}
        for stage in report["stages"]:
            for file in stage["files"]:
                scores = {"mae": float("inf"), "nll": NAN}
                file.update(correct="", resampled=[float("inf"), 1.0], bounds={}, worst=None)
                file["scores"] = {"test": scores, "validation": {"mae": 1.0, "nll": 1.0}}

    assert read(changed(diverge), tmp_path).error
    with pytest.raises(UserError, match=r"scores\.mae"):
        read(changed(lambda r: (diverge(r), r["stages"][0]["files"][0].update(resampled=[1.0, 2.0]))), tmp_path)


@pytest.mark.parametrize(("metric", "value"), [("mae", NAN), ("mae", float("inf")), ("auc", NAN)])
def test_a_number_that_a_model_does_not_give_is_read_on_validation_too(
    metric: str, value: float, tmp_path: Path
) -> None:
    def break_(report: dict[str, Any]) -> None:
        report |= {"metric": metric, "emulated": {}}
        for stage in report["stages"]:
            for file in stage["files"]:
                file.update(correct="", resampled=[value] * 20, bounds={}, worst=None)
                file["scores"] = {split: {metric: value} for split in ("test", "validation")}

    assert read(changed(break_), tmp_path).metric == metric


def test_names_of_undecodable_bytes_are_written_as_escapes() -> None:
    """A folder of a class may have any bytes as its name; UTF-8 has no such character, nor has pydantic's JSON."""
    report = Report.model_validate(REAL | {"data": REAL["data"] | {"ox\udcff": ["\udcff\U0001f600"]}})
    again = Report.model_validate_json(report.as_json(), strict=True)
    assert again.data["ox\\udcff"] == ["\\udcff\U0001f600"]
    assert Report.model_validate_json(Report.model_validate(REAL).as_json()) == Report.model_validate(REAL)


def test_only_a_metric_of_the_users_own_may_be_without_draws() -> None:
    """It may be too slow for them."""
    for metric, problems in (("./my_metric.py:f", 0), ("auc", 1)):
        expected = stored.Expected(metric, examples=9)
        assert len(list(expected.problems("files.0", {metric: 0.5}, "", []))) == problems
