from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from edgepress.config import recipe
from edgepress.core.errors import UserError

from ..recipe_errors import GOLDEN, HEAD, TRAINED

SHIPPED = sorted(p for p in Path(__file__).parents[2].glob("recipes/*.yaml") if not p.name.endswith(".lock.yaml"))
HOST = "name: host\nruntime: onnxruntime\nreach: local\nbudgets: {size: 2 MB}\n"
FULL = """\
name: full
task: {data: digits, metric: accuracy, seed: 7}
stages:
  - {use: train, name: a, model: timm/resnet18}
  - {use: load, name: b, from: b.safetensors}
  - {use: fuse.ensemble, name: both, models: [a, b]}
  - {use: distill.kd, student: timm/mobilenetv2_050, teacher: [both, a], temperature: 2}
  - {use: prune.channels, ratio: 30%, finetune: {epochs: 1}, name: small}
  - {use: export.onnx}
  - {use: quantize.static, name: ints}
  - {use: convert.tflite}
  - {use: export.onnx, input: a}
  - {use: convert.tflite, input: ints}
keep: {accuracy_drop: 1.5 points}
targets: [host, ./my-board.yaml]
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe's path in a folder with a target and a model file beside it."""
    monkeypatch.chdir(tmp_path)
    Path("targets").mkdir()
    Path("targets/host.yaml").write_text(HOST)
    Path("my-board.yaml").write_text(HOST.replace("host", "my-board").replace("onnxruntime", "litert"))
    Path("b.safetensors").touch()
    return Path("mine.yaml")


def load(path: Path, text: str) -> recipe.Recipe:
    path.write_text(text, encoding="utf-8")
    return recipe.load(path)


def error(path: Path, text: str) -> str:
    with pytest.raises(UserError) as caught:
        load(path, text)
    return str(caught.value)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_recipe_loads(path: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()  # what the recipes for photos name, and a user brings
    assert recipe.load(shutil.copy(path, tmp_path / path.name)).name == path.stem
    assert path.read_text().startswith("# yaml-language-server: $schema=../schema/recipe.json\n")


@pytest.mark.parametrize("mistake", GOLDEN)
def test_what_is_printed_about_each_mistake(here: Path, mistake: str) -> None:
    written, printed = GOLDEN[mistake]
    assert error(here, written) == printed


def test_the_chain_of_a_full_recipe(here: Path) -> None:
    found = load(here, FULL)
    assert [(step.label, step.input, step.named) for step in found.steps()] == [
        ("a", None, ()),
        ("b", None, ()),
        ("both", None, ("a", "b")),
        ("distill.kd", None, ("both", "a")),
        ("small", "distill.kd", ()),
        ("export.onnx", "small", ()),
        ("ints", "export.onnx", ()),
        ("convert.tflite", "ints", ()),
        ("export.onnx-2", "a", ()),
        ("convert.tflite-2", "ints", ()),
    ]
    assert found.reference_label() == "both"
    assert found.keep.accuracy_drop == 1.5
    assert found.target_files() == [Path("targets/host.yaml"), Path("my-board.yaml")]
    assert found.document.path == here


def test_a_label_never_takes_the_name_of_another(here: Path) -> None:
    text = HEAD + TRAINED + "  - use: export.onnx\n  - {use: export.onnx, input: a, name: export.onnx}\n"
    text += "  - {use: export.onnx, input: a, name: export.onnx-2}\n"
    assert [step.label for step in load(here, text).steps()] == ["a", "export.onnx-3", "export.onnx", "export.onnx-2"]


@pytest.mark.parametrize(
    ("stages", "label"),
    [
        (TRAINED, "a"),
        (TRAINED + "  - {use: load, name: b, from: b.safetensors}\n  - {use: prune.channels, input: a}\n", "a"),
        (TRAINED + "  - {use: prune.channels}\n  - {use: export.onnx}\n", "a"),
        (TRAINED + "  - {use: distill.kd, student: timm/resnet10t, teacher: a}\n  - {use: prune.channels}\n", "a"),
        (TRAINED + "  - {use: prune.channels, name: c}\nreference: c\n", "c"),
        (TRAINED + "  - {use: export.onnx, name: float}\n  - use: quantize.static\nreference: float\n", "float"),
    ],
)
def test_what_accuracy_drops_count_from(here: Path, stages: str, label: str) -> None:
    assert load(here, HEAD + stages).reference_label() == label


def test_a_wrong_stage_hides_no_other_problem(here: Path) -> None:
    """The second stage is wrong in itself, and still known to be called `b` and to give a torch model."""
    text = HEAD + TRAINED + "  - {use: prune.channels, name: b, ratio: 3}\n  - use: convert.tflite\n"
    text += "  - {use: distill.kd, student: timm/resnet18, teacher: b}\n"
    text += "  - {use: distill.kd, student: timm/x, teacher: c}\n"
    assert re.findall(r"mine.yaml:(\d+):\d+: (.*)", error(here, text)) == [
        ("5", "`ratio`: a number needs a unit here, got `3`"),
        ("6", "`convert.tflite` takes an ONNX model, but the stage above gives a torch model"),
        ("8", "timm has no network `x`"),
        ("8", "no result above is called `c`"),
    ]


def test_a_target_that_nothing_is_made_for(here: Path) -> None:
    assert (
        error(here, HEAD + TRAINED + "  - use: export.onnx\ntargets: [host, ./my-board.yaml]\n")
        == """\
mine.yaml:6:17: `./my-board.yaml` runs TFLite (litert), and no stage makes it
   6 | targets: [host, ./my-board.yaml]
     |                 ^^^^^^^^^^^^^^^
     = help: add `- use: convert.tflite`"""
    )


def test_what_is_wrong_in_a_target_is_told_with_the_recipe(here: Path) -> None:
    Path("my-board.yaml").write_text(HOST.replace("2 MB", "2"))
    printed = error(here, HEAD + TRAINED + "targets: [./my-board.yaml]\n")
    assert printed.startswith("my-board.yaml:4:17: `size`: a number needs a unit here, got `2`\n")


def test_recipes_and_targets_are_told_apart(here: Path) -> None:
    here.write_text(HEAD + TRAINED.replace("model", "modle"))
    Path("bad.yaml").write_text("name: bad\nruntime: onnxruntim\nbudgets: {}\n")
    Path("empty.yaml").touch()
    found = recipe.validate([here, Path("targets/host.yaml"), Path("bad.yaml"), Path("empty.yaml"), Path("none.yaml")])
    assert [problem.message for problem in found] == [
        "unknown option `modle`",
        "`runtime`: write `onnxruntime`, `litert` or `tflite-runtime`, got `onnxruntim`",
        "the file is empty",
        "there is no file `none.yaml`",
    ]


def test_a_problem_of_a_shared_target_is_told_once(here: Path) -> None:
    Path("targets/host.yaml").write_text(HOST.replace("2 MB", "2"))
    here.write_text(HEAD + TRAINED)
    Path("other.yaml").write_text(HEAD + TRAINED)
    assert len(recipe.validate([here, Path("other.yaml"), Path("targets/host.yaml")])) == 1


def test_the_seed_of_a_stage_and_of_the_recipe_are_whole_numbers(here: Path) -> None:
    assert "`seed`: write less than 4294967296, got `4294967296`" in error(
        here, HEAD.replace("digits", "digits, seed: 4294967296") + TRAINED
    )


def test_reading_recipes_imports_nothing_heavy(here: Path) -> None:
    here.write_text(FULL)
    code = (
        "import sys; from pathlib import Path; from edgepress.config import recipe\n"
        "HEAVY = {'torch', 'onnx', 'onnxruntime', 'numpy', 'scipy', 'sklearn', 'timm'}\n"
        "problems = recipe.validate(map(Path, sys.argv[1:]))\n"
        "print(len(problems), sorted(HEAVY & {*sys.modules}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, "mine.yaml", "targets/host.yaml", "missing.yaml"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "1 []\n"


def test_a_task_has_its_metric_where_the_recipe_names_none() -> None:
    from edgepress.config.task import Task
    from edgepress.data.source import Source

    for task, metric in (("segmentation", "miou"), ("image", "psnr"), ("regression", "accuracy"), (None, "accuracy")):
        assert Task(data=Source.model_validate({"from": "./x.npz", "task": task})).metric == metric
    assert Task(data="scenes").metric_name == "miou"
    assert Task(data="scenes", metric="worst-iou").metric == "worst-iou"
    assert Task(data="digits").metric == "accuracy"


@pytest.mark.parametrize(
    ("task", "written", "said"),
    [
        ("{data: scenes}", "0.5 dB", "`miou` is not in dB, and its drop is written in `dB`\n.*\n.*\n.*`1.5 points`"),
        (
            "{data: {from: ./x.npz, task: image}}",
            "5%",
            "`psnr` is in dB, and its drop is written in `%`\n.*\n.*\n.*`0.5 dB`",
        ),
        ("{data: {from: ./x.npz, task: image}}", "1 point", "`psnr` is in dB, and its drop is written in `point`"),
        ("{data: {from: ./x.npz, task: image}, metric: mae}", "1 dB", "`mae` is not in dB.*\n.*\n.*\n.*`5%`"),
    ],
)
def test_decibels_are_of_decibels_alone(task: str, written: str, said: str, here: Path) -> None:
    Path("x.npz").touch()
    text = (
        f"name: mine\ntask: {task}\nstages:\n"
        + TRAINED.replace("timm/resnet18", "./m.py:net")
        + "QUANTIZED{keep}targets: [host]\n"
    )
    Path("m.py").write_text("def net(): ...\n")
    export = "  - {use: export.onnx}\n  - {use: quantize.static, name: q%s}\n"
    for quantized, keep in ((f", keep: {written}", ""), ("", f"keep: {{metric_drop: {written}}}\n")):
        message = error(here, text.replace("QUANTIZED", export % quantized).replace("{keep}", keep))
        assert re.search(said, message), message
        assert "dB" in message
    right = "0.5 dB" if "mae" not in task and "image" in task else "2 points"
    load(here, text.replace("QUANTIZED", export % f", keep: {right}").replace("{keep}", ""))
    load(here, text.replace("QUANTIZED", export % "").replace("{keep}", f"keep: {{metric_drop: {right}}}\n"))
