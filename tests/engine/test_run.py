"""A whole run on digits: what it leaves, that strangers can use it, and that judging again needs no measuring."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from edgepress.core.paths import digest
from edgepress.core.results import Report
from edgepress.data.load import load_dataset

from tests.conftest import LIGHT, Place, Said, edgepress, laid_out

LABELS = [
    "base", "a", "b", "soup", "teacher", "student", "small", "float", "convert.tflite", "dynamic", "int8",
    "int8-tflite",
]  # fmt: skip


def report(place: Place) -> Report:
    return Report.model_validate_json((place.runs / "whole" / "report.json").read_text())


def test_it_ends_well(finished: tuple[Place, Said]) -> None:
    place, said = finished
    assert said.code == 0, said
    assert "exit 0" in said.out
    assert [stage.name for stage in report(place).stages] == LABELS


def test_every_step_is_counted_and_scored(finished: tuple[Place, Said]) -> None:
    place, _ = finished
    stages = {stage.name: stage for stage in report(place).stages}
    for stage in stages.values():
        assert stage.parameters > 1000
        assert stage.macs
        for file in stage.files:
            assert len(file.correct) == 360
            assert file.scores["test"]["accuracy"] == pytest.approx(file.correct.count("1") / 360)
            assert file.scores["test"]["accuracy"] > 0.4
    assert stages["small"].parameters < stages["student"].parameters
    assert stages["teacher"].parameters == stages["soup"].parameters + stages["a"].parameters
    sizes = {stages[name].parameters for name in ("small", "float", "convert.tflite", "dynamic", "int8", "int8-tflite")}
    assert len(sizes) == 1, "converting and quantizing change no count"
    assert len({stages[name].macs for name in ("small", "float", "int8", "int8-tflite")}) == 1
    for name in ("float", "int8-tflite"):
        assert stages[name].notes["agreement"] == 1
    assert stages["convert.tflite"].notes["agreement"] >= 0.98


def test_every_file_is_delivered_with_its_contract(finished: tuple[Place, Said]) -> None:
    place, _ = finished
    found = report(place)
    models = place.runs / "whole" / "models"
    for stage in found.stages:
        if stage.kind == "torch":
            assert (models / f"{stage.name}.safetensors").is_file()
            continue
        for file in stage.files:
            assert digest(Path(file.path)) == file.sha256
            assert Path(file.path).parent == models
            contract = json.loads(Path(f"{file.path}.json").read_text())
            assert contract["labels"] == list("0123456789")
            assert contract["source"] == {"recipe": "whole", "lock": digest(place.lock)}
    assert not [path for path in models.rglob("*") if path.name.startswith(".")], "no temporary files"


def test_a_stranger_finds_the_same_accuracy(finished: tuple[Place, Said], tmp_path: Path) -> None:
    """Each delivered file on raw pixels, in a process that knows numpy and the runtime only."""
    place, _ = finished
    x, y = load_dataset("digits")["test"]
    np.savez(tmp_path / "images.npz", x=x, y=y)
    files = [file for stage in report(place).stages if stage.kind != "torch" for file in stage.files]
    script = Path(__file__).parents[1] / "independent.py"
    assert "pipeline" not in script.read_text().split('"""')[2], "it knows nothing of the pipeline"
    command = [sys.executable, "-I", script, "images.npz", *(Path(file.path).resolve() for file in files)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    assert len(found) == len(files) >= 5
    for file in files:
        assert found[str(Path(file.path).resolve())] == pytest.approx(file.scores["test"]["accuracy"], abs=1e-9), (
            file.path
        )


def test_again_everything_is_cached_and_the_lock_the_same_bytes(copy: Place) -> None:
    before = copy.lock.read_bytes()
    assert {action for action, _ in copy.plan().values()} == {"cached"}
    said = copy.run()
    assert said.code == 0
    assert all(stage.cached for stage in report(copy).stages)
    assert copy.lock.read_bytes() == before
    assert said.err.count(": cached, ") == len(LABELS)


@pytest.mark.slow
def test_a_smoke_run_writes_no_lock_and_no_evidence(tmp_path: Path) -> None:
    place = laid_out(tmp_path, LIGHT)
    said = place.run("--limit", 40)
    assert said.code in (0, 1, 4), said
    assert "smoke run" in said.out
    limited = Report.model_validate_json((place.runs / "light" / "limited" / "report.json").read_text())
    assert limited.limited == 40
    assert {len(file.correct) for stage in limited.stages for file in stage.files} == {40}
    assert not place.lock.exists()
    assert place.check().code == 2, "there is no full run to judge"
    assert {action for action, _ in place.plan("--limit", 40).values()} == {"cached"}
    assert {action for action, _ in place.plan().values()} == {"run"}, "a smoke run's models are not the full run's"


@pytest.mark.parametrize(
    ("old", "new", "code", "shown"),
    [
        ("size: 5 MB", "size: 1 kB", 1, "FAIL"),
        ("size: 5 MB", "size: {limit: 1 kB, level: advisory}", 0, "size"),
        ("accuracy: 30%", "accuracy: 99.99%", 1, "FAIL"),
        ("latency: 1 s", "latency: 1 us", 1, "FAIL"),
        ("accuracy: 30%", "accuracy: {ACCURACY}", 4, "1 undecided"),
        ("runtime: onnxruntime\nreach: local", "runtime: onnxruntime\nreach: none", 4, "no number"),
        ("latency: 1 s", "latency: 2 s", 0, "exit 0"),
        ("latency: 1 s", "latency: 2", 2, "desk.yaml:4:"),
    ],
)
def test_judged_again_by_changed_budgets_without_measuring(
    copy: Place, old: str, new: str, code: int, shown: str
) -> None:  # fmt: skip
    found = report(copy)
    judged = next(stage for stage in found.stages if stage.name == "int8").files[0]
    exact = f"{100 * judged.scores['test']['accuracy']:.2f}%"
    before = (copy.runs / "whole" / "report.json").read_bytes()
    copy.edit("desk.yaml", old, new.replace("{ACCURACY}", exact))
    said = copy.check()
    assert said.code == code, said
    assert shown in said.out + said.err or shown == "no number"
    assert "Traceback" not in said.out + said.err
    assert (copy.runs / "whole" / "report.json").read_bytes() == before


def test_check_says_when_the_recipe_has_changed_since(copy: Place) -> None:
    assert "has changed since" not in copy.check().out
    copy.edit("recipe.yaml", "60 points", "0.001 points")
    said = copy.check()
    assert "has changed since this run" in said.err
    assert said.code in (1, 4), "the recipe's own budget is read anew"


def test_check_says_where_an_older_report_does_not_say_how_a_loaded_file_was_fed(copy: Place) -> None:
    """Older versions assumed it, and a wrong assumption is no error."""
    file = copy.runs / "whole" / "report.json"
    content = json.loads(file.read_text())
    content["stages"][-1]["use"] = "load"
    words = "`int8-tflite` is from an older report without the normalization of inputs (see its warning)."
    file.write_text(json.dumps(content))
    assert words not in copy.check().out
    del content["data"]["inputs"]
    file.write_text(json.dumps(content))
    said = copy.check()
    assert f"\n{words}" in said.out
    assert "`edgepress run` again writes it, or reports where to state it" in " ".join(said.out.split())


@pytest.mark.parametrize("content", [b"", b"{}", b'{"version": 99}', b"\xff\xfe"])
def test_a_damaged_report_is_told(copy: Place, content: bytes) -> None:
    (copy.runs / "whole" / "report.json").write_bytes(content)
    said = copy.check()
    assert said.code == 2
    assert "report.json` is damaged" in said.err
    assert "edgepress run" in said.err


def test_check_without_a_run_is_told(finished: tuple[Place, Said], tmp_path: Path) -> None:
    place = Place(finished[0].folder)
    said = edgepress("check", place.recipe, "--runs", tmp_path)
    assert said.code == 2
    assert "there is no run of `whole`" in said.err


@pytest.mark.slow
def test_a_run_leaves_what_is_not_its_own(copy: Place) -> None:
    """And goes on deleting what it delivered before and delivers no more."""
    models = copy.runs / "whole" / "models"
    theirs = {"mine.onnx": "mine", "student.mine.onnx": "mine", "sub/x.onnx": "mine", "dynamic.txt": "mine"}
    for name, text in theirs.items():
        (models / name).parent.mkdir(exist_ok=True)
        (models / name).write_text(text)
    copy.edit("recipe.yaml", "  - {use: quantize.dynamic, name: dynamic, input: float}\n", "")
    assert (models / "dynamic.onnx").is_file()
    assert copy.run().code == 0
    assert not list(models.glob("dynamic.onnx*"))
    assert {name: (models / name).read_text() for name in theirs} == theirs
    done = subprocess.run(["sha256sum", "--check", "--quiet", "--strict", "SHA256SUMS"], cwd=models, check=False)
    assert done.returncode == 0
    listed = {line.split()[-1] for line in (models / "SHA256SUMS").read_text().splitlines()[1:]}
    assert listed == {path.name for path in models.iterdir() if path.is_file()} - {*theirs, "SHA256SUMS"}


@pytest.mark.slow
def test_what_an_older_version_delivered_is_known_by_its_report(copy: Place) -> None:
    models = copy.runs / "whole" / "models"
    (models / "SHA256SUMS").unlink()
    (models / "mine.onnx").write_text("mine")
    (models / "float.safetensors").write_text("mine")
    copy.edit("recipe.yaml", "  - {use: quantize.dynamic, name: dynamic, input: float}\n", "")
    assert copy.run().code == 0
    assert not list(models.glob("dynamic.onnx*"))
    assert (models / "mine.onnx").read_text() == (models / "float.safetensors").read_text() == "mine"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("runs/whole/models/float.onnx", "mine"),
        ("runs/whole/models/int8.arm.onnx.json", "mine"),
        ("runs/whole/models/SHA256SUMS", "mine"),
        ("runs/whole/report.json", '{"sales": 1}'),
        ("recipe.lock.yaml", "packages: []\n"),
    ],
)
def test_a_file_of_somebody_elses_where_a_run_writes_ends_it_before_it_begins(
    copy: Place, file: str, text: str
) -> None:
    before = (copy.runs / "whole" / "report.json").read_bytes()
    (copy.folder / file).write_text(text)
    said = copy.run()
    assert said.code == 2
    assert f"`{copy.folder / file}`" in said.err
    assert "is not overwritten" in said.err
    assert "[1/" not in said.err, "nothing was made"
    assert (copy.folder / file).read_text() == text
    assert file.endswith("report.json") or (copy.runs / "whole" / "report.json").read_bytes() == before


@pytest.mark.slow
def test_a_killed_run_leaves_no_file_that_the_next_one_does_not_know(
    copy: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between two models, the new one is in the list already, beside the one that it replaces."""
    copy.edit("recipe.yaml", "samples: 64", "samples: 32")

    def killed(source: object, target: object) -> None:
        Path(str(target)).write_bytes(Path(str(source)).read_bytes())
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("edgepress.engine.artifacts.shutil.copyfile", killed)
        assert copy.run().code == 130
    assert copy.run().code == 0


@pytest.mark.parametrize("name", ["recipe.yaml", "x.ONNX", "data.csv", "runs"])
def test_a_report_never_takes_the_place_of_an_input(copy: Place, name: str) -> None:
    path = copy.folder / name
    before = path.read_bytes() if path.is_file() else None
    said = copy.check("--format", f"json={path}")
    assert said.code == 2
    assert "a report" in said.err
    assert (path.read_bytes() if path.is_file() else None) == before


def test_a_report_may_go_where_no_file_can_be(copy: Place) -> None:
    """`/dev/null` stays a device: replaced by a file, root would have taken it from every other program."""
    null = Path("/dev/null")
    assert copy.check("--format", f"json={null}").code == 0
    assert null.is_char_device()


@pytest.mark.slow
def test_one_target_is_judged_alone(copy: Place) -> None:
    lock = copy.lock.read_bytes()
    for name in ("phone", "phone.yaml"):
        said = copy.run("--target", name)
        assert said.code == 0, said
        assert "\nset: targets=[phone.yaml]\n" in said.out
        assert "phone    int8-tflite.tflite" in said.out
        assert "desk    " not in said.out
    assert copy.lock.read_bytes() == lock, "as with --set, the recipe's own lock stays"
    assert "phone    " in copy.check().out
    missing = copy.check("--target", "desk")
    assert missing.code == 4, "it was not measured for that one"
    assert "desk    " in missing.out
    assert "phone    " not in missing.out


@pytest.mark.slow
def test_a_target_that_is_none_of_the_recipes(copy: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bench.yaml").write_text((copy.folder / "desk.yaml").read_text().replace("desk", "bench"))
    monkeypatch.chdir(tmp_path)
    for name in ("bench", "bench.yaml"):
        said = copy.plan("--target", name)
        assert said
    said = copy.run("--target", "bench", "--target", "desk")
    assert said.code == 0, said
    assert "\nset: targets=[../bench.yaml, desk.yaml]\n" in said.out
    both = copy.run("--target", "desk", "--target", "phone")
    assert "\nset: " not in both.out, "these are the recipe's own"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("phnoe.yaml", "--target: there is no file `phnoe.yaml`"),
        ("hsot", "--target: there is no target `hsot`\n  = help: did you mean `host`?"),
        ("mobilenet", "--target: there is no target `mobilenet`"),
    ],
)
def test_no_such_target(name: str, shown: str, copy: Place) -> None:
    for command in (copy.run, copy.check):
        said = command("--target", name)
        assert said.code == 2, said
        assert shown in said.err
