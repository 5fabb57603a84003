"""onnxruntime 1.29 and later sends usage data from Linux: off in every process that edgepress starts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from edgepress.benchmark.devices.agent import Agent, Stream
from edgepress.benchmark.emulator import qemu

OFF = "ORT_DISABLE_TELEMETRY"
LOAD = """
import onnx
import onnxruntime
from onnx import helper
value = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"]
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "graph", value[:1], value[1:])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
"""


def left_at_home(program: str, home: Path) -> list[str]:
    """What a process with an empty home leaves there: the uploader has an identifier of the device and a queue."""
    kept = {name: value for name, value in os.environ.items() if name not in (OFF, "CI", "XDG_CACHE_HOME")}
    home.mkdir()
    subprocess.run(
        [sys.executable, "-c", program], check=True, env=kept | {"HOME": str(home), "TMPDIR": str(home)}, timeout=120
    )
    return sorted(path.name for path in home.rglob("*") if path.is_file())


def test_a_process_that_imports_edgepress_sends_nothing(tmp_path: Path) -> None:
    if "deviceid" not in left_at_home(LOAD, tmp_path / "without"):
        pytest.skip("this onnxruntime has no telemetry")
    assert left_at_home(f"import edgepress\n{LOAD}", tmp_path / "with") == []


def test_what_runs_on_a_board_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(OFF, raising=False)
    agent = Agent(Stream(0, 1))
    reply, output = agent.run({"program": ["env"], "timeout": 60}, b"")
    shutil.rmtree(agent.folder)
    assert reply["code"] == 0
    assert f"{OFF}=1" in output.decode().splitlines()


def test_what_runs_in_the_emulator_sends_nothing(tmp_path: Path) -> None:
    program = tmp_path / qemu.QEMU
    program.write_text("#!/bin/sh\nenv\n")
    program.chmod(0o755)
    assert f"{OFF}=1" in qemu.run("cortex-a72", tmp_path / "script.py", root=tmp_path).splitlines()
