"""`--set`: the option is what was said, and what is wrong is told of the argument."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from edgepress.config import recipe
from edgepress.core import yamlio
from edgepress.core.errors import UserError
from edgepress.core.results import Report

from tests.conftest import LIGHT, edgepress, laid_out

TEXT = """\
name: n
task: {data: digits}
stages:
  - {use: train, name: base, model: timm/resnet18}
  - {use: prune.channels, name: v1.5, ratio: 30%}
  - {use: export.onnx, name: float}
  - use: convert.tflite
  - {use: convert.tflite, input: float}
targets: [desk.yaml, phone.yaml]
"""


def loaded(folder: Path, *changes: str) -> recipe.Recipe:
    return recipe.load(laid_out(folder, TEXT).recipe, changes)


@pytest.mark.parametrize("stage", ["v1.5", "1"])
def test_a_stage_goes_by_name_or_number(stage: str, tmp_path: Path) -> None:
    found = loaded(tmp_path, f"stages.{stage}.ratio=40%", f"stages.{stage}.finetune.epochs=7").stages[1]
    assert found.model_dump()["ratio"] == 0.4
    assert found.model_dump()["finetune"]["epochs"] == 7, "the mapping was not in the file"


def test_unnamed_stages_go_by_their_label(tmp_path: Path) -> None:
    assert loaded(tmp_path, "stages.convert.tflite-2.name=second").steps()[4].label == "second"
    assert loaded(tmp_path, "stages.convert.tflite.name=first").steps()[3].label == "first"


def test_every_kind_of_value(tmp_path: Path) -> None:
    changes = ["task.seed=3", "task.seed=4", "keep.accuracy_drop='2 points'", "targets=[desk.yaml]"]
    found = loaded(tmp_path, *changes, "stages.base.lr=1e-4")
    assert (found.task.seed, found.keep.accuracy_drop, found.targets) == (4, 2, ("desk.yaml",)), "the last one counts"
    assert found.stages[0].model_dump()["lr"] == 1e-4
    assert loaded(tmp_path, "targets.1=desk.yaml", "targets.0=phone.yaml").targets == ("phone.yaml", "desk.yaml")
    whole = loaded(tmp_path, "stages.base={use: train, name: base, model: timm/resnet34, epochs: 2}")
    assert whole.stages[0].model_dump()["model"]["arch"] == "timm/resnet34"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "stages.v1.5.ratoi=40%",
            """\
--set:1:13: unknown option `ratoi`
   1 | stages.v1.5.ratoi=40%
     |             ^^^^^
     = help: did you mean `ratio`?""",
        ),
        (
            "stages.1.ratio=40",
            """\
--set:1:16: `ratio`: a number needs a unit here, got `40`
   1 | stages.1.ratio=40
     |                ^^
     = help: for example `30%`""",
        ),
        (
            "stages.bse.lr=1",
            """\
--set:1:8: there is no stage `bse`
   1 | stages.bse.lr=1
     |        ^^^
     = help: did you mean `base`?""",
        ),
        (
            "tsk.seed=1",
            """\
--set:1:1: unknown option `tsk`
   1 | tsk.seed=1
     | ^^^
     = help: did you mean `task`?""",
        ),
        (
            "targets.2=host",
            """\
--set:1:9: `targets` has no item `2`
   1 | targets.2=host
     |         ^
     = help: items have numbers from 0 to 1""",
        ),
        (
            "stages.base.model.stride=4",
            """\
--set:1:19: `model` has no options: it is `timm/resnet18`
   1 | stages.base.model.stride=4
     |                   ^^^^^^
     = help: set the whole of `stages.0.model`""",
        ),
        (
            "task.data=digts",
            """\
--set:1:11: `data`: there is no such data set, got `digts`
   1 | task.data=digts
     |           ^^^^^
     = help: did you mean `digits`?""",
        ),
        (
            "targets=[desk.yaml, dsk.yaml]",
            """\
--set:1:21: `targets`: there is no file `FOLDER/dsk.yaml`, got `dsk.yaml`
   1 | targets=[desk.yaml, dsk.yaml]
     |                     ^^^^^^^^
     = help: a path counts from the recipe's folder""",
        ),
        (
            "task.seed=",
            """\
--set:1:11: `seed`: write a whole number, got nothing
   1 | task.seed=
     |           ^""",
        ),
    ],
)
def test_what_is_wrong_is_told_of_the_argument(change: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        loaded(tmp_path, change)
    assert str(error.value).replace(str(tmp_path), "FOLDER") == message


@pytest.mark.parametrize("change", ["ratio", "=1", "", "a=[", "a=!!python/object:os.system {}", "a=&x 1", "a=\x00"])
def test_what_is_no_path_and_no_yaml(change: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        loaded(tmp_path, change)
    assert "--set" in str(error.value)


def test_all_wrong_arguments_at_once_and_those_of_the_file(tmp_path: Path) -> None:
    place = laid_out(tmp_path, TEXT.replace("name: n\n", "nmae: n\n"))
    with pytest.raises(UserError) as error:
        recipe.load(place.recipe, ["stages.9.lr=1", "targets.7=x"])
    assert len(error.value.problems) == 2
    with pytest.raises(UserError) as error:
        recipe.load(place.recipe, ["task.seed=x"])
    assert [str(p.place).partition(":")[0].rpartition("/")[2] for p in error.value.problems] == ["--set", "recipe.yaml"]


OWN = "# Written by `edgepress run`; commit it beside the recipe.\nthe recipe's own\n"


@pytest.mark.slow
def test_a_run_keeps_the_lock_of_the_recipe(tmp_path: Path) -> None:
    place = laid_out(tmp_path, LIGHT.replace("epochs: 6", "epochs: 1"))
    place.lock.write_text(OWN)
    before = place.recipe.read_text()
    said = place.run(
        "--set", "stages.base.epochs=2", "--set", "targets.0=phone.yaml", "--set", "stages.export.onnx.name=f"
    )
    assert said.code == 2, "phone.yaml runs TFLite"
    assert "--set:1:" in said.err
    said = place.run("--set", "stages.base.epochs=0", "--set", "keep.accuracy_drop='99 points'")
    assert said.code in (0, 1, 4), said
    assert "\nset: stages.base.epochs=0  keep.accuracy_drop='99 points'\n" in said.out
    assert (place.lock.read_text(), place.recipe.read_text()) == (OWN, before)
    own = place.runs / "light" / "recipe.lock.yaml"
    lock = yamlio.read(own).data
    assert lock["set"] == ["stages.base.epochs=0", "keep.accuracy_drop='99 points'"]
    assert lock["stages"][0]["options"]["epochs"] == 0
    report = Report.model_validate_json((place.runs / "light" / "report.json").read_bytes())
    assert report.data["set"] == lock["set"]
    assert report.keep == 99
    contract = json.loads((place.runs / "light" / "models" / "export.onnx.onnx.json").read_text())
    from edgepress.core.paths import digest

    assert contract["source"]["lock"] == digest(own)

    check = place.check()
    assert "keep accuracy_drop" in check.out, "the run is judged as what it was"
    assert {action for action, _ in place.plan("--set", "stages.0.epochs=0").values()} == {"cached"}
    assert {action for action, _ in place.plan().values()} == {"run"}
    place.lock.unlink()
    assert place.run().code in (0, 1, 4)
    assert not own.exists(), "of the run before"
    assert yamlio.read(place.lock).data["stages"][0]["options"]["epochs"] == 1


def test_the_help_says_where_the_lock_goes() -> None:
    assert "with --set" in " ".join(edgepress("run", "--help").out.split())
