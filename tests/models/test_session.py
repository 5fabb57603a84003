"""What the runtimes write to stderr while a model is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgepress.core.runtimes import RUNTIMES
from edgepress.models import session

from tests.conftest import Place, Said


@pytest.fixture
def model(finished: tuple[Place, Said]) -> Path:
    return next((finished[0].runs / "whole" / "models").glob("*.tflite"))


def test_a_delegate_is_not_announced(finished: tuple[Place, Said], model: Path, tmp_path: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    shape = Interpreter(model_path=str(model)).get_input_details()[0]["shape"]
    np.save(tmp_path / "x.npy", np.zeros(shape, np.float32))
    command = [
        sys.executable,
        session.__file__,
        RUNTIMES["litert"].loader,
        model,
        tmp_path / "y.npz",
        "[]",
        tmp_path / "x.npy",
    ]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "y.npz").is_file()


class Interpreter:
    """A TFLite runtime whose file has its outputs in another order than the metadata."""

    def __init__(self, **_: object) -> None:
        self.tensors = {7: np.arange(2, dtype=np.float32)[None], 4: np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3)}

    def allocate_tensors(self) -> None: ...

    def invoke(self) -> None: ...

    def set_tensor(self, index: int, value: np.ndarray) -> None: ...

    def get_tensor(self, index: int) -> np.ndarray:
        return self.tensors[index]

    def get_input_details(self) -> list[dict[str, Any]]:
        return [{"index": 0, "dtype": np.float32}]

    def get_output_details(self) -> list[dict[str, Any]]:
        return [{"index": 7, "name": "scores"}, {"index": 4, "name": "map"}]


def test_outputs_are_named_and_ordered_as_in_the_metadata_with_channels_first(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("runtime_of_the_test")
    vars(module)["Interpreter"] = Interpreter
    monkeypatch.setitem(sys.modules, module.__name__, module)
    x = np.zeros((2, 1), np.float32)
    found = session.run_file(f"interpreter:{module.__name__}", "m", (x,), named=[("map", True), ("scores", None)])
    assert [*found] == ["map", "scores"]
    assert (found["map"].shape, found["scores"].shape) == ((2, 3, 2, 2), (2, 2))
    assert found["map"][0, 1, 0].tolist() == [1, 4]
    left = session.run_file(f"interpreter:{module.__name__}", "m", (x,), named=[("map", False), ("scores", False)])
    assert left["map"].shape == (2, 2, 2, 3), "the layout decides, not the rank"


def test_an_interpreter_is_one_threads_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Busy] = []

    class Busy(Interpreter):
        def __init__(self, **_: object) -> None:
            super().__init__()
            made.append(self)
            self.lock, self.value = threading.Lock(), 0.0

        def set_tensor(self, index: int, value: np.ndarray) -> None:
            assert self.lock.acquire(blocking=False)
            self.value = float(value[0, 0])

        def invoke(self) -> None:
            time.sleep(0.001 * (self.value % 3))
            self.tensors[7] = np.float32([[self.value, 0]])

        def get_tensor(self, index: int) -> np.ndarray:
            if index == 4:
                self.lock.release()
            return self.tensors[index]

    module = types.ModuleType("runtime_of_the_test")
    vars(module)["Interpreter"] = Busy
    monkeypatch.setitem(sys.modules, module.__name__, module)
    begun: list[None] = []
    found = session.run_file(
        f"interpreter:{module.__name__}", "m", (np.arange(30, dtype=np.float32)[:, None],), threads=4,
        begin=lambda: begun.append(None),
    )  # fmt: skip
    assert found["scores"][:, 0].tolist() == [*range(30)]
    assert len(made) == 4
    assert len(begun) == 30 + 3, "the others are loaded within seconds of their own"


def test_an_error_of_a_thread_ends_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[int] = []

    def load(*_: object) -> session.Run:
        def run(row: list[Any]) -> dict[str, Any]:
            ran.append(int(row[0][0]))
            if ran[-1] == 3:
                raise ValueError("the third")
            return {"y": row[0]}

        return run

    monkeypatch.setitem(session.APIS, "onnxruntime", load)
    with pytest.raises(ValueError, match="the third"):
        session.run_file("onnxruntime", "m", (np.arange(1000),), threads=2)
    assert len(ran) < 20


def test_an_output_that_grows_with_the_example_is_named() -> None:
    rows = [{"found": np.zeros((1, count, 4))} for count in (2, 2, 3)]
    with pytest.raises(session.OpenShapeError, match="`found` has another shape"):
        session.stacked("found", rows)


def test_every_other_line_is_passed_on_also_before_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\nERROR: a delegate failed\n")
        os.write(2, b"no end of line")
        raise RuntimeError

    with pytest.raises(RuntimeError), session.without_delegates():
        fail()
    assert capfd.readouterr().err == "ERROR: a delegate failed\nno end of line"


def test_a_closed_stderr_is_no_error() -> None:
    lines = ("import os", "from edgepress.models import session", "os.close(2)")
    program = "\n".join([*lines, "with session.without_delegates(): print(1)"])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "1\n")
