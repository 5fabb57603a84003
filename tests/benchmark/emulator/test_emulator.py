"""A board's instruction set: what is asked of it, how the gate counts it, and what is said where there is none."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from edgepress.benchmark.emulator import install, qemu
from edgepress.core import machine
from edgepress.core.errors import UserError
from edgepress.core.results import Emulated, Report
from edgepress.data.load import load_dataset
from edgepress.gate import judge
from edgepress.gate.report import details, text
from edgepress.models import session
from onnx import TensorProto, helper, numpy_helper

from tests import graphs
from tests.conftest import Place, edgepress
from tests.gate.test_judge import STAGES, board, only, report

needed = pytest.mark.skipif(qemu.versions() is None, reason=f"there is no emulator: {qemu.INSTALL}")


def emulated(correct: str, **changes: Any) -> Emulated:
    share = correct.count("1") / max(len(correct), 1)
    facts = {"path": "s.onnx", "cpu": "cortex-a72", "runtime": "onnxruntime", "versions": {}, "correct": correct}
    return Emulated(**(facts | {"scores": {"accuracy": share}, "agreement": share} | changes))


@pytest.mark.parametrize(
    ("correct", "status"),
    [("1" * 995 + "0" * 5, "ok"), ("1" * 950 + "0" * 50, "FAIL"), ("1" * 979 + "0" * 21, "undecided")],
)
def test_accuracy_is_judged_by_what_the_board_answers(correct: str, status: str) -> None:
    pi = board({"accuracy_drop": "2 points"}, name="pi", reach="none", preset="arm", emulate="cortex-a72")
    stages = [
        STAGES[0],
        STAGES[1].model_copy(update={"files": [STAGES[1].files[0].model_copy(update={"correct": "1" * 1000})]}),
    ]
    here = only(judge.judge(report(stages), [pi]))
    assert (here.status, here.label) == ("ok", "measured")
    assert here.note.endswith(f"for cortex-a72's own accuracy: {qemu.INSTALL}")
    there = only(judge.judge(report(stages, emulated={"pi": [emulated(correct)]}), [pi]))
    assert (there.status, there.label, there.basis) == (status, "emulated", "1000 test images, emulated cortex-a72")
    other = only(judge.judge(report(stages, emulated={"pi": [emulated(correct, path="another.onnx")]}), [pi]))
    assert other.label == "measured"


def test_a_file_that_does_not_run_there_has_no_number() -> None:
    pi = board({"accuracy_drop": "2 points"}, name="pi", reach="none", preset="arm", emulate="cortex-a72")
    broken = emulated("", error="NOT_IMPLEMENTED: ConvInteger")
    finding = only(judge.judge(report(STAGES, emulated={"pi": [broken]}), [pi]))
    assert (finding.status, finding.value) == ("no number", None)
    assert finding.note == "it does not run on cortex-a72: NOT_IMPLEMENTED: ConvInteger"
    said = details.emulated(report(STAGES, emulated={"pi": [broken]}))
    assert said[-1] == "pi  cortex-a72  s.onnx  onnxruntime  does not run  NOT_IMPLEMENTED: ConvInteger"


PI = {"name": "pi", "reach": "none", "preset": "arm", "emulate": "cortex-a72"}
HERE = [
    STAGES[0],
    STAGES[1].model_copy(update={"files": [STAGES[1].files[0].model_copy(update={"correct": "1" * 1000})]}),
]
"""The file for the board is right about every image, on this machine."""


@pytest.mark.parametrize(("correct", "status"), [("1" * 1000, "ok"), ("1" * 950 + "0" * 50, "FAIL")])
def test_what_the_recipe_keeps_is_what_the_board_answers(correct: str, status: str) -> None:
    facts = report(HERE, keep=2.0, emulated={"pi": [emulated(correct)]})
    keep = judge.judge(facts, [board({"size": "5 MB"}, **PI)])[-1]
    assert (keep.check, keep.status, keep.label) == ("keep accuracy_drop", status, "emulated")
    unknown = judge.judge(report(HERE, keep=2.0), [board({"size": "5 MB"}, **PI)])[-1]
    assert (unknown.status, unknown.label) == ("ok", "measured")


@pytest.mark.parametrize("change", [{"cpu": "cortex-a53"}, {"runtime": "litert"}])
def test_answers_of_another_processor_or_runtime_do_not_count(change: dict[str, Any]) -> None:
    """A target may have changed since the run that `check` judges."""
    facts = report(HERE, emulated={"pi": [emulated("0" * 1000, **change)]})
    found = only(judge.judge(facts, [board({"accuracy_drop": "2 points"}, **PI)]))
    assert (found.status, found.label) == ("ok", "measured")


def test_a_worst_recall_is_the_boards_too() -> None:
    facts = report(HERE, emulated={"pi": [emulated("1" * 1000, bounds={"worst_recall": (0.5, 0.45, 0.55)})]})
    found = only(judge.judge(facts, [board({"worst_recall": "60%"}, **PI)]))
    assert (found.status, found.label, found.value) == ("FAIL", "emulated", 0.5)


def test_a_regression_is_counted_on_one_processor() -> None:
    """An accepted file was never asked elsewhere: what the board answers otherwise is no regression."""
    accepted = HERE[1].files[0].model_copy(update={"sha256": "another"})
    facts = report(HERE, accepted={"pi": accepted}, emulated={"pi": [emulated("1" * 900 + "0" * 100)]})
    checks = {each.check: each for each in judge.judge(facts, [board({}, **PI)])}
    assert checks["accuracy_drop vs accepted"].status == "ok"
    assert checks["accuracy_drop vs accepted"].label == "measured"


@pytest.mark.parametrize(
    ("agreement", "advice"),
    [(0.2, "cortex-a72 and this machine predict differently"), (0.99, "a more accurate model to start from")],
)
def test_a_red_row_says_whose_answers_they_are_and_what_next(agreement: float, advice: str) -> None:
    facts = report(HERE, emulated={"pi": [emulated("1" * 900 + "0" * 100, agreement=agreement)]})
    findings = judge.judge(facts, [board({"accuracy_drop": "2 points"}, **PI)])
    (gated,) = [block for block in text.render(facts, findings).split("\n\n") if block.startswith("pi    ")]
    assert gated.splitlines()[1].startswith("  FAIL  accuracy_drop  10.00 points")
    assert gated.splitlines()[2] == "        1000 test images, emulated cortex-a72; against teacher"
    assert f"\nNext: accuracy_drop: {advice}" in text.render(facts, findings)


def test_an_emulator_with_other_runtimes_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(qemu.FOLDER, str(tmp_path))
    stored = machine.versions(["numpy", "onnxruntime", "ai-edge-litert"]) | {"qemu": "10.0"}
    for content, known in [
        (stored, stored),
        (stored | {"numpy": "1.0"}, stored | {"numpy": "1.0"}),
        (stored | {"onnxruntime": "1.0"}, None),
        ([1], None),
        (7, None),
    ]:
        (tmp_path / qemu.STAMP).write_text(json.dumps(content))
        assert qemu.versions() == known


def test_a_folder_of_the_users_is_not_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(qemu.FOLDER, str(tmp_path))
    monkeypatch.setattr(install, "_possible", lambda: None)
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match="is there, and is no emulator"):
        install.install()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_one_that_does_not_work_takes_no_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Downloads succeed here; what they make cannot be started."""
    monkeypatch.setenv(qemu.FOLDER, str(tmp_path / "arm64"))
    (tmp_path / "arm64").mkdir()
    (tmp_path / "arm64" / qemu.STAMP).write_text("{}")
    monkeypatch.setattr(install, "_possible", lambda: None)

    def debian(made: Path, apt: Path, say: object) -> None:
        made.mkdir()
        for program in (qemu.QEMU, qemu.QEMU_X86):
            (made / program).write_text("#!/bin/sh\ntest $1 = --version && echo qemu version 10 && exit\nexit 3\n")
            (made / program).chmod(0o755)

    monkeypatch.setattr(install, "_debian", debian)
    monkeypatch.setattr(install, "_wheels", lambda packages, work, say: {})
    with pytest.raises(UserError, match="does not load onnxruntime as cortex-a53: it ended with code 3") as error:
        install.install()
    assert "nothing was changed" in error.value.problems[0].help
    assert (tmp_path / "arm64" / qemu.STAMP).read_text() == "{}"
    assert {each.name for each in tmp_path.iterdir()} == {"arm64", ".arm64.lock"}


def test_the_report_says_how_many_answers_are_the_same() -> None:
    found = report(STAGES, emulated={"pi": [emulated("1" * 999 + "0", versions={"qemu": "10.0.13"})]})
    assert details.emulated(found) == [
        "accuracy on test, emulated: on the device's own instruction set (qemu 10.0.13)",
        "pi  cortex-a72  s.onnx  onnxruntime  99.9%  999 of 1000 predictions as here",
    ]


def test_nothing_is_said_without_an_emulator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(qemu.FOLDER, str(tmp_path))
    assert qemu.versions() is None
    said = edgepress("doctor")
    assert "note  emulator of boards: none" in said.out
    assert qemu.INSTALL in said.out
    assert said.code == 0, "it is no need"


def test_where_it_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    with pytest.raises(UserError, match="there is no apt-get here") as error:
        install.install()
    assert qemu.FOLDER in error.value.problems[0].help


def test_a_failed_download_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(qemu.FOLDER, str(tmp_path / "arm64"))
    monkeypatch.setattr(install, "_mirror", lambda: "http://127.0.0.1:9/debian")
    monkeypatch.setattr(install, "KEYS", tmp_path / "keys")
    (tmp_path / "keys").touch()
    try:
        install._possible()
    except UserError:
        pytest.skip("apt-get and dpkg-deb are not here")
    with pytest.raises(UserError, match="`apt-get update` failed: "):
        install.install()
    assert {each.name for each in tmp_path.iterdir()} == {"keys", ".arm64.lock"}


def test_files_are_asked_alike_in_a_process_of_their_own(tmp_path: Path) -> None:
    onnx.save(graphs.small(), tmp_path / "m.onnx")
    x = np.random.default_rng(0).normal(size=(5, 1, 8, 8)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    session.main("onnxruntime", str(tmp_path / "m.onnx"), str(tmp_path / "y.npz"), "[]", str(tmp_path / "x.npy"))
    with np.load(tmp_path / "y.npz") as stored:
        found, names = stored["arr_0"], stored["names"].tolist()
    assert found.shape == (5, 10)
    expected = session.run_file("onnxruntime", str(tmp_path / "m.onnx"), (x,))
    assert np.array_equal(found, expected[names[0]])


@needed
def test_scripts_run_on_every_processor(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import platform, sys\nprint(platform.machine(), *sys.argv[1:])\n")
    for cpu in qemu.CPUS:
        if cpu in qemu.X86 and platform.machine() != "x86_64":
            continue
        assert qemu.run(cpu, script, "a b") == f"{'x86_64' if cpu in qemu.X86 else 'aarch64'} a b\n"
    script.write_text("raise ValueError('no')\n")
    with pytest.raises(RuntimeError, match=r"^ValueError: no$"):
        qemu.run("cortex-a72", script)


@pytest.mark.slow
@needed
def test_a_run_counts_what_the_board_answers(copy: Place) -> None:
    budgets = "{size: 5 MB, accuracy_drop: 60 points}"
    for name, cpu in {"desk": "cortex-a53", "phone": "cortex-a76"}.items():
        runtime = "onnxruntime" if name == "desk" else "tflite-runtime"
        facts = f"name: {name}\nruntime: {runtime}\npreset: xnnpack\nemulate: {cpu}\nbudgets: {budgets}\n"
        (copy.folder / f"{name}.yaml").write_text(facts)
    said = copy.run()
    assert said.code == 0, said
    found = Report.model_validate_json((copy.runs / "whole" / "report.json").read_text()).emulated
    asked = {(name, each.cpu, each.runtime, Path(each.path).suffix) for name, files in found.items() for each in files}
    assert asked == {
        ("desk", "cortex-a53", "onnxruntime", ".onnx"),
        ("desk", "cortex-a53", "litert", ".tflite"),
        ("phone", "cortex-a76", "onnxruntime", ".onnx"),
        ("phone", "cortex-a76", "tflite-runtime", ".tflite"),
    }
    for each in (each for files in found.values() for each in files):
        assert len(each.correct) == 360
        assert each.agreement > 0.97
        assert each.scores["accuracy"] == pytest.approx(each.correct.count("1") / 360)
    assert "predictions as here" in said.out
    again = copy.run()
    assert again.code == 0
    assert "predictions as here" in again.out, "from the cache"


RECIPE = """\
name: made-on-x86
task: {data: {from: fashion-mnist-10k, normalize: {mean: [0.286], std: [0.353]}}, metric: accuracy}
stages: [{use: load, name: int16, from: model.onnx}]
targets: [board.yaml]
"""
TARGET = "name: board\nruntime: onnxruntime\nemulate: cortex-a72\nbudgets: {accuracy: 55%}\n"


@needed
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the file is right on x86")
def test_a_file_that_only_x86_gets_right_is_red(tmp_path: Path) -> None:
    """Its input goes through uint16 by hand: 68% here, about 40% on the board."""
    onnx.save(graphs.wrapping(graphs.of_means(load_dataset("fashion-mnist-10k"))), tmp_path / "model.onnx")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "board.yaml").write_text(TARGET)
    place = Place(tmp_path)
    said = place.run("--limit", 100)
    assert said.code == 1, said
    found = Report.model_validate_json((tmp_path / "runs/made-on-x86/limited/report.json").read_text())
    ((there,), (here,)) = found.emulated["board"], found.stages[0].files
    assert there.scores["accuracy"] < 0.5
    assert here.scores["test"]["accuracy"] > 0.6
    assert there.agreement < 0.7
    assert "  FAIL  accuracy  " in said.out
    assert "        100 test images, emulated cortex-a72; a smoke run" in said.out
    assert "Next: accuracy: cortex-a72 and this machine predict differently" in said.out
    place.edit("board.yaml", "emulate: cortex-a72\n", "")
    assert place.run("--limit", 100).code == 0


def product() -> onnx.ModelProto:
    """64 inputs from 0 to 1 times weights of 1, in int8: an answer of 64, or of half of that where pairs saturate."""
    stored = {
        "one": np.float32(1 / 255), "none": np.uint8(0), "w": np.full((64, 4), 127, np.int8),
        "ws": np.float32(1 / 127), "wz": np.int8(0), "ys": np.float32(0.3), "yz": np.uint8(0),
    }  # fmt: skip
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "one", "none"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "one", "none"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"]),
        helper.make_node("MatMul", ["xd", "wd"], ["p"]),
        helper.make_node("QuantizeLinear", ["p", "ys", "yz"], ["pq"]),
        helper.make_node("DequantizeLinear", ["pq", "ys", "yz"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 64))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 4))],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.slow
@needed
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the Python that would be emulated is not of x86")
def test_products_that_saturate_are_seen(tmp_path: Path) -> None:
    """A file that is right with VNNI, and on boards, and wrong on other x86: pairs of its products exceed 16 bits."""
    onnx.save(product(), tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", np.ones((1, 64), np.float32))
    found = {}
    for cpu in qemu.CPUS:
        files = (str(tmp_path / "m.onnx"), str(tmp_path / f"{cpu}.npz"), "[]", str(tmp_path / "x.npy"))
        qemu.run(cpu, Path(session.__file__), "onnxruntime", *files)
        with np.load(tmp_path / f"{cpu}.npz") as stored:
            found[cpu] = float(stored["arr_0"][0, 0])
    assert found == {cpu: pytest.approx(32 if cpu in qemu.X86 else 64, abs=1) for cpu in qemu.CPUS}
