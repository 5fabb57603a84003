"""What the runtimes write to stderr while a model is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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
        tmp_path / "y.npy",
        tmp_path / "x.npy",
    ]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "y.npy").is_file()


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
