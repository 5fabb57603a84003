"""A board's instruction set: what is asked of it, how the gate counts it, and what is said where there is none."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pipeline import answer, emulator, gate
from pipeline.emulator import install
from pipeline.errors import UserError
from pipeline.facts import Emulated, Report
from pipeline.report import judged
from tests import graphs
from tests.conftest import Place, edgepress
from tests.test_gate import STAGES, board, only, report

needed = pytest.mark.skipif(emulator.versions() is None, reason=f"there is no emulator: {emulator.INSTALL}")


def emulated(correct: str, **changes: Any) -> Emulated:
    share = correct.count("1") / max(len(correct), 1)
    facts = {"path": "s.onnx", "cpu": "cortex-a72", "runtime": "onnxruntime", "versions": {}, "correct": correct}
    return Emulated(**(facts | {"scores": {"accuracy": share}, "agreement": share} | changes))


@pytest.mark.parametrize(
    ("correct", "status"),
    [("1" * 995 + "0" * 5, "ok"), ("1" * 950 + "0" * 50, "FAIL"), ("1" * 979 + "0" * 21, "undecided")],
)
def test_accuracy_is_judged_by_what_the_board_answers(correct: str, status: str) -> None:
    pi = board({"accuracy_drop": "2 points"}, name="pi", reach="none", preset="s8s8", emulate="cortex-a72")
    stages = [
        STAGES[0],
        STAGES[1].model_copy(update={"files": [STAGES[1].files[0].model_copy(update={"correct": "1" * 1000})]}),
    ]
    here = only(gate.judge(report(stages), [pi]))
    assert (here.status, here.label) == ("ok", "measured")
    assert here.note.endswith(f"for cortex-a72's own answers: {emulator.INSTALL}")
    there = only(gate.judge(report(stages, emulated={"pi": [emulated(correct)]}), [pi]))
    assert (there.status, there.label, there.basis) == (status, "emulated", "1000 test images, emulated cortex-a72")
    other = only(gate.judge(report(stages, emulated={"pi": [emulated(correct, path="another.onnx")]}), [pi]))
    assert other.label == "measured"


def test_a_file_that_does_not_run_there_has_no_number() -> None:
    pi = board({"accuracy_drop": "2 points"}, name="pi", reach="none", preset="s8s8", emulate="cortex-a72")
    broken = emulated("", error="NOT_IMPLEMENTED: ConvInteger")
    finding = only(gate.judge(report(STAGES, emulated={"pi": [broken]}), [pi]))
    assert (finding.status, finding.value) == ("no number", None)
    assert finding.note == "it does not run on cortex-a72: NOT_IMPLEMENTED: ConvInteger"
    said = judged.emulated(report(STAGES, emulated={"pi": [broken]}))
    assert said[-1] == "pi  cortex-a72  s.onnx  onnxruntime  does not run  NOT_IMPLEMENTED: ConvInteger"


def test_the_report_says_how_many_answers_are_the_same() -> None:
    found = report(STAGES, emulated={"pi": [emulated("1" * 999 + "0", versions={"qemu": "10.0.13"})]})
    assert judged.emulated(found) == [
        "accuracy on test, emulated: on the device's own instruction set (qemu 10.0.13)",
        "pi  cortex-a72  s.onnx  onnxruntime  99.9%  999 of 1000 answers as here",
    ]


def test_nothing_is_said_without_an_emulator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(emulator.FOLDER, str(tmp_path))
    assert emulator.versions() is None
    said = edgepress("doctor")
    assert "note  emulator of boards: none" in said.out
    assert emulator.INSTALL in said.out
    assert said.code == 0, "it is no need"


def test_where_it_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    with pytest.raises(UserError, match="there is no apt-get here") as error:
        install.install()
    assert emulator.FOLDER in error.value.problems[0].help


def test_a_failed_download_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(emulator.FOLDER, str(tmp_path / "arm64"))
    monkeypatch.setattr(install, "_mirror", lambda: "http://127.0.0.1:9/debian")
    monkeypatch.setattr(install, "KEYS", tmp_path / "keys")
    (tmp_path / "keys").touch()
    try:
        install._possible()
    except UserError:
        pytest.skip("apt-get and dpkg-deb are not here")
    with pytest.raises(UserError, match="`apt-get update` failed: "):
        install.install()
    assert [each.name for each in tmp_path.iterdir()] == ["keys"]


def test_files_are_asked_alike_in_a_process_of_their_own(tmp_path: Path) -> None:
    onnx.save(graphs.small(), tmp_path / "m.onnx")
    x = np.random.default_rng(0).normal(size=(5, 1, 8, 8)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    answer.main("onnxruntime", str(tmp_path / "m.onnx"), str(tmp_path / "y.npy"), str(tmp_path / "x.npy"))
    found = np.load(tmp_path / "y.npy")
    assert found.shape == (5, 10)
    assert np.array_equal(found, answer.answers("onnxruntime", str(tmp_path / "m.onnx"), (x,)))


@needed
def test_scripts_run_on_every_processor(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import platform, sys\nprint(platform.machine(), *sys.argv[1:])\n")
    for cpu in emulator.CPUS:
        if cpu in emulator.X86 and platform.machine() != "x86_64":
            continue
        assert emulator.run(cpu, script, "a b") == f"{'x86_64' if cpu in emulator.X86 else 'aarch64'} a b\n"
    script.write_text("raise ValueError('no')\n")
    with pytest.raises(RuntimeError, match=r"^ValueError: no$"):
        emulator.run("cortex-a72", script)


@needed
def test_a_run_counts_what_the_board_answers(copy: Place) -> None:
    budgets = "{size: 5 MB, accuracy_drop: 60 points}"
    for name, cpu in {"desk": "cortex-a53", "phone": "cortex-a76"}.items():
        runtime = "onnxruntime" if name == "desk" else "tflite-runtime"
        facts = f"name: {name}\nruntime: {runtime}\npreset: s8s8\nemulate: {cpu}\nbudgets: {budgets}\n"
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
    assert "answers as here" in said.out
    again = copy.run()
    assert again.code == 0
    assert "answers as here" in again.out, "from the cache"


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


@needed
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the Python that would be emulated is not of x86")
def test_products_that_saturate_are_seen(tmp_path: Path) -> None:
    """A file that is right with VNNI, and on boards, and wrong on other x86: pairs of its products exceed 16 bits."""
    onnx.save(product(), tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", np.ones((1, 64), np.float32))
    found = {}
    for cpu in emulator.CPUS:
        arguments = ("onnxruntime", str(tmp_path / "m.onnx"), str(tmp_path / f"{cpu}.npy"), str(tmp_path / "x.npy"))
        emulator.run(cpu, Path(answer.__file__), *arguments)
        found[cpu] = float(np.load(tmp_path / f"{cpu}.npy")[0, 0])
    assert found == {cpu: pytest.approx(32 if cpu in emulator.X86 else 64, abs=1) for cpu in emulator.CPUS}
