"""A runtime is one row: what users write, what is validated, measured and predicted takes its facts from the table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from edgepress.benchmark import worker
from edgepress.core.runtimes import RUNTIMES
from edgepress.models import session

from tests import graphs

WITH_A_ROW = """
import sys
from pathlib import Path

from edgepress.core import runtimes

runtimes.RUNTIMES["mine"] = runtimes.Row(
    "onnx", packages=("my-runtime",), loader="onnxruntime", published=frozenset(), default=False
)

import numpy as np
from edgepress.benchmark import paired
from edgepress.commands.main import cli
from edgepress.config import schema
from edgepress.config.recipe import validate
from edgepress.config.target import Target
from edgepress.core.runtimes import packages
from edgepress.models.predict import predict

file = Path("model.onnx")
assert schema.schema(Target)["properties"]["runtime"]["enum"][-1] == "mine"
Path("target.yaml").write_text("name: t\\nruntime: mine\\nreach: local\\nbudgets: {size: 1 MB}\\n")
assert validate([Path("target.yaml")]) == []
assert packages()[-1] == "my-runtime"
x = np.ones((2, 1, 8, 8), np.float32)
assert np.array_equal(predict(file, x, "mine"), predict(file, x))
(samples,) = paired.measure([paired.Model("m", file, "mine")], looks=(1,), rounds=2)
assert samples.runtime == "mine"
assert len(samples.cpu[0]) == 2
assert "mine" in next(option for option in cli.commands["bench"].params if option.name == "runtime").type.choices
"""


def test_a_row_is_all_that_a_runtime_of_a_known_api_needs(tmp_path: Path) -> None:
    onnx.save(graphs.small(), tmp_path / "model.onnx")
    done = subprocess.run(
        [sys.executable, "-c", WITH_A_ROW], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", RUNTIMES)
def test_every_row_names_a_function_of_both_files_that_go_to_devices(name: str) -> None:
    api = RUNTIMES[name].loader.partition(":")[0]
    assert api in worker.APIS
    assert api in session.APIS
