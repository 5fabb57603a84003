"""Archives where they are used: a Python with numpy and the runtime alone, and a C compiler."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from edgepress.data import text

from tests.commands.bundle.made import ENVIRONMENT, SITE, bare_python, finish, unpacked
from tests.conftest import Place, Said
from tests.engine.test_outputs import two_to_three
from tests.tasks import test_detection
from tests.tasks.test_end_to_end import CASES, MODEL, arrays

pytestmark = pytest.mark.slow

SEVERAL = """\
name: mine
task:
  data: {from: ./x.npz, labels: none, normalize: none}
  metric: agreement
stages:
  - {use: load, name: float, from: ./m.onnx}
  - {use: quantize.static, name: int8, faster: false}
  - {use: convert.tflite, name: lite}
targets: [desk.yaml, phone.yaml]
"""
QUANTITIES = """\
name: mine
task:
  data: {from: ./x.npz, task: regression, labels: [sum, difference]}
  metric: mae
stages:
  - {use: train, name: net, model: {arch: edgepress/mlp, args: {width: 16}}, epochs: 20, batch: 16, lr: 0.01}
  - {use: export.onnx, name: float}
  - {use: quantize.static, name: int8, samples: 16}
  - {use: convert.tflite, name: tflite}
targets: [desk.yaml, phone.yaml]
"""
WORDS = """\
name: mine
task: {data: text, metric: accuracy, examples: 400}
stages:
  - {use: train, name: net, model: {arch: edgepress/text, args: {width: 8}}, epochs: 1, lr: 0.01}
  - {use: export.onnx, name: float}
  - {use: convert.tflite, name: tflite}
targets: [desk.yaml, phone.yaml]
"""
BOXES = """\
name: mine
task: {data: {from: ./my_data.py:load, task: detection}}
stages:
  - {use: train, name: net, model: {arch: "./my_model.py:build"}, epochs: 8, batch: 16, lr: 0.01, shift: 2}
  - {use: export.onnx, name: float}
  - {use: quantize.static, name: int8, samples: 8}
  - {use: convert.tflite, name: tflite}
targets: [desk.yaml, phone.yaml]
"""
TASK = """\
name: mine
task:
  data: {{from: ./x.npz, task: {task}}}
stages:
  - use: train
    name: net
    model: {{arch: "./my_model.py:{model}"}}
    epochs: 2
    batch: 16
    lr: {lr}
    shift: 1
  - {{use: export.onnx, name: float}}
  - {{use: quantize.static, name: int8, samples: 8}}
  - {{use: convert.tflite, name: tflite}}
targets: [desk.yaml, phone.yaml]
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bare_python(tmp_path_factory.mktemp("bare"))


def checked(python: Path, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "selftest.py"], cwd=home, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )


def compiled(home: Path, folder: Path) -> Path:
    """Compile the runner in C against the library of the runtime's wheel; skip where there is none."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    source = next(name for name in ("onnxruntime.c", "litert.c") if (home / "c" / name).is_file())
    pattern, name = {
        "onnxruntime.c": ("onnxruntime/capi/libonnxruntime.so.*", "onnxruntime"),
        "litert.c": ("ai_edge_litert/libLiteRt.so", "LiteRt"),
    }[source]
    libraries = sorted(SITE.glob(pattern))
    if not libraries:
        pytest.skip(f"the wheel carries no lib{name}.so")
    for link in (f"lib{name}.so", f"lib{name}.so.1"):  # the name to link by, and the name that the library has
        (folder / link).unlink(missing_ok=True)
        (folder / link).symlink_to(libraries[0])
    program = folder / f"run-{name}"
    strict = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-O2"]
    files = [home / "c" / "main.c", home / "c" / source]
    where = [f"-L{folder}", f"-Wl,-rpath,{folder}:{libraries[0].parent}"]
    subprocess.run(["cc", *strict, *files, "-o", program, *where, f"-l{name}", "-lm"], check=True)
    return program


def outputs_of_c(program: Path, home: Path, example: Path, folder: Path) -> list[bytes]:
    inputs, expected = (sorted(example.glob(f"{side}_*.bin")) for side in ("input", "output"))
    written = [folder / path.name for path in expected]
    model = next(home.glob("model.*[xe]"))
    subprocess.run([program, model, *inputs, *written], check=True, capture_output=True)
    return [path.read_bytes() for path in written]


def assert_runs(place: Place, target: str, python: Path, folder: Path) -> Path:
    """The self-test passes in Python, and the runner in C computes the expected outputs."""
    home = unpacked(place, target, folder)
    done = checked(python, home)
    assert done.returncode == 0, done
    assert done.stdout.splitlines()[-1] == "5 of 5 are as expected"
    program = compiled(home, folder)
    described = json.loads((home / "model.json").read_text())
    for example in sorted((home / "selftest").glob("[0-9]")):
        found = outputs_of_c(program, home, example, folder)
        for index, (content, entry) in enumerate(zip(found, described["outputs"], strict=True)):
            expected = np.fromfile(example / f"output_{index:02}.bin", entry["dtype"])
            np.testing.assert_allclose(np.frombuffer(content, entry["dtype"]), expected, rtol=1e-5, atol=1e-6)
    return home


def test_edgepress_is_not_there(python: Path) -> None:
    done = subprocess.run([python, "-c", "import edgepress"], env=ENVIRONMENT, capture_output=True, check=False)
    assert b"No module named 'edgepress'" in done.stderr


@pytest.mark.parametrize("target", ["desk", "phone"])
def test_a_classifier_runs(target: str, finished: tuple[Place, Said], python: Path, tmp_path: Path) -> None:
    home = assert_runs(finished[0], target, python, tmp_path)
    raw = home / "selftest" / "0" / "raw_00.npy"
    command = [python, "run.py", raw]
    done = subprocess.run(command, cwd=home, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    label = json.loads((home / "selftest" / "labels.json").read_text())[0]
    assert label is None or f"[('{label}', " in done.stdout


def test_a_wrong_model_fails_the_self_test(finished: tuple[Place, Said], python: Path, tmp_path: Path) -> None:
    home = unpacked(finished[0], "phone", tmp_path)
    path = home / "selftest" / "3" / "output_00.bin"
    path.write_bytes((np.fromfile(path, np.float32) * 1.5).tobytes())
    done = checked(python, home)
    assert done.returncode == 1
    assert "3: output `" in done.stdout
    assert done.stdout.splitlines()[-1] == "4 of 5 are as expected"
    program = compiled(home, tmp_path)
    inputs = home / "selftest" / "3" / "input_00.bin"
    command = [program, "--check", "0.05", home / "model.tflite", inputs, path]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1


def test_misuse_of_the_runner_in_c_is_told(finished: tuple[Place, Said], tmp_path: Path) -> None:
    home = unpacked(finished[0], "desk", tmp_path)
    program = compiled(home, tmp_path)
    cases = {
        (): "error: usage: ",
        (home / "model.onnx",): "name 1 inputs and 1 outputs behind the model",
        (home / "absent.onnx", "a", "b"): "error: onnxruntime: ",
        (home / "README.md", "a", "b"): "error: onnxruntime: ",
        (home / "model.onnx", home / "README.md", "b"): "has another size than the tensor",
        (home / "model.onnx", home / "absent", "b"): "cannot be opened",
    }
    for arguments, message in cases.items():
        done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 2, arguments
        assert message in done.stderr


@pytest.mark.parametrize("target", ["desk", "phone"])
def test_several_inputs_and_outputs(target: str, python: Path, tmp_path: Path) -> None:
    names = two_to_three(tmp_path)
    place = finish(tmp_path, SEVERAL)
    home = assert_runs(place, target, python, tmp_path)
    described = json.loads((home / "model.json").read_text())
    assert [entry["name"] for entry in described["outputs"]] == names
    assert len(list((home / "selftest" / "0").iterdir())) == 2 + 2 + 3
    assert not (home / "labels.txt").exists()
    assert json.loads((home / "selftest" / "labels.json").read_text()) == [None] * 5


@pytest.mark.parametrize("task", CASES)
def test_a_task_without_classes_runs(task: str, python: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", **arrays(task))
    (tmp_path / "my_model.py").write_text(MODEL)
    place = finish(tmp_path, TASK.format(task=task, **CASES[task]))
    for target in ("desk", "phone"):
        assert_runs(place, target, python, tmp_path)


def said_by(python: Path, home: Path, *words: object) -> str:
    """What `run.py` prints for `words`."""
    command = [python, "run.py", *words]
    return subprocess.run(command, cwd=home, env=ENVIRONMENT, capture_output=True, text=True, check=True).stdout


def test_quantities_have_their_names(python: Path, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(120, 4)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x, y=np.stack([x.sum(1), x[:, 0] - x[:, 1]], 1))
    place = finish(tmp_path, QUANTITIES)
    for target in ("desk", "phone"):
        home = assert_runs(place, target, python, tmp_path)
        words = said_by(python, home, "selftest/0/raw_00.npy")
        raw = np.load(home / "selftest" / "0" / "raw_00.npy")
        found = ast.literal_eval(words.partition(": ")[2])
        assert list(found) == ["sum", "difference"]
        assert found["sum"] == pytest.approx(raw.sum(), abs=1.5)


def test_texts_are_tokenized(python: Path, tmp_path: Path) -> None:
    place = finish(tmp_path, WORDS)
    for target in ("desk", "phone"):
        home = assert_runs(place, target, python, tmp_path)
        words = "A small, hard-shelled FRUIT of 1 tree; zzz"
        code = f"from tokens import tokens; print(tokens({words!r}).tolist())"
        done = subprocess.run(
            [python, "-c", code], cwd=home, env=ENVIRONMENT, capture_output=True, text=True, check=True
        )
        vocabulary = json.loads((home / "vocabulary.json").read_text())["words"]
        assert json.loads(done.stdout) == text.tokens([words], vocabulary)[0].tolist()
        assert said_by(python, home, words).startswith(f"{words}: [('")
        assert 'python run.py "a text of some words"' in (home / "README.md").read_text()


def test_boxes_are_decoded_and_placed_on_the_picture(python: Path, tmp_path: Path) -> None:
    (tmp_path / "my_data.py").write_text(test_detection.DATA)
    (tmp_path / "my_model.py").write_text(test_detection.MODEL)
    place = finish(tmp_path, BOXES)
    for target in ("desk", "phone"):
        home = assert_runs(place, target, python, tmp_path)
        assert "boxes in pixels of the input" in (home / "README.md").read_text()
        boxes = np.load(home / "selftest" / "0" / "boxes.npy")
        assert boxes.shape[1] == 6
        found = ast.literal_eval(said_by(python, home, "selftest/0/raw_00.npy").partition(": ")[2])
        assert 0 < len(found) <= 5
        assert {label for label, _, _ in found} <= {"red", "green"}
        best = boxes[0]
        np.save(home / "selftest" / "0" / "boxes.npy", boxes + np.float32([9, 0, 9, 0, 0, 0]))
        done = checked(python, home)
        assert (done.returncode, "0: the expected outputs are decoded as other boxes" in done.stdout) == (1, True)
        assert abs(found[0][1] - best[4]) < 0.1
