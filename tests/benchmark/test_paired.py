"""Real processes on tiny models: pairing, stopping, memory, and what a process that dies leaves behind."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from edgepress.benchmark import paired, statistics, worker
from edgepress.benchmark.paired import Model
from edgepress.core.errors import UserError
from edgepress.core.results import Samples
from onnx import TensorProto, helper, numpy_helper


def dense(repeats: int, dtype: int = TensorProto.FLOAT, batch: int | str = 1) -> onnx.ModelProto:
    """`repeats` matrix products of 256 channels; an input that is not float is cast first."""
    weight = numpy_helper.from_array(np.full((256, 256), 0.01, np.float32), "w")
    nodes = [helper.make_node("Cast", ["x"], ["h0"], to=TensorProto.FLOAT)]
    nodes += [helper.make_node("MatMul", [f"h{index}", "w"], [f"h{index + 1}"]) for index in range(repeats)]
    graph = helper.make_graph(
        nodes,
        "dense",
        [helper.make_tensor_value_info("x", dtype, [batch, 256])],
        [helper.make_tensor_value_info(f"h{repeats}", TensorProto.FLOAT, [batch, 256])],
        [weight],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture
def light(tmp_path: Path) -> Path:
    onnx.save(dense(2), tmp_path / "light.onnx")
    return tmp_path / "light.onnx"


@pytest.fixture
def heavy(tmp_path: Path) -> Path:
    onnx.save(dense(40, batch="n"), tmp_path / "heavy.onnx")
    return tmp_path / "heavy.onnx"


def test_samples_have_one_row_a_process_and_one_column_a_round(light: Path, heavy: Path) -> None:
    models = [Model("heavy", heavy), Model("light", light)]
    told: list[tuple[int, int, str]] = []
    found = paired.measure(models, looks=(2,), rounds=5, say=lambda *words: told.append(words))
    assert [(each.path, each.runtime, each.threads) for each in found] == [
        ("heavy", "onnxruntime", 1),
        ("light", "onnxruntime", 1),
    ]
    for each in found:
        assert np.shape(each.wall) == np.shape(each.cpu) == (2, 5)
        assert np.min(each.wall) > 0
        assert np.min(each.cpu) > 0
    assert [words[:2] for words in told] == [(0, 2), (1, 2)]
    # Twenty times the work: the order of models and results was not mixed up.
    assert min(statistics.log_ratios(found[0], found[1])) > 0


def test_it_stops_at_the_look_that_is_enough(light: Path) -> None:
    seen: list[int] = []

    def enough(samples: list[Samples]) -> bool:
        seen.append(len(samples[0].cpu))
        return len(seen) == 2

    found = paired.measure([Model("light", light)], looks=(1, 2, 4), rounds=2, enough=enough)
    assert seen == [1, 2]
    assert len(found[0].cpu) == 2


def test_threads_have_processes_of_their_own(light: Path) -> None:
    models = [Model("one", light), Model("two", light, threads=2), Model("also one", light)]
    found = paired.measure(models, looks=(1,), rounds=3)
    assert [(each.path, each.threads) for each in found] == [("one", 1), ("two", 2), ("also one", 1)]


def test_every_timed_call_follows_one_of_the_same_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the caches are full of another model, and a small one looks several times slower than it is."""
    calls: list[str] = []
    monkeypatch.setattr(worker, "load", lambda runtime, path, threads, provider: lambda: calls.append(path))
    monkeypatch.setattr(worker, "WARM_SECONDS", 0)
    job = {
        "loader": "interpreter:ai_edge_litert.interpreter",
        "threads": 1,
        "provider": "cpu",
        "models": ["a", "b", "c"],
        "seed": 1,
        "rounds": 20,
        "seconds": 60,
    }
    times = worker.time_models(job)
    rounds = calls[3:]
    assert rounds[::2] == rounds[1::2]
    orders = {tuple(rounds[start : start + 6 : 2]) for start in range(0, 120, 6)}
    assert len(orders) > 1
    assert {"".join(sorted(order)) for order in orders} == {"abc"}
    assert [len(each) for each in times["wall"]] == [20, 20, 20]


def test_nothing_to_measure() -> None:
    assert paired.measure([]) == []


@pytest.mark.parametrize("dtype", [TensorProto.UINT8, TensorProto.INT8, TensorProto.INT64, TensorProto.FLOAT16])
def test_inputs_of_other_types_and_a_dynamic_batch(tmp_path: Path, dtype: int) -> None:
    onnx.save(dense(1, dtype, "batch"), tmp_path / "m.onnx")
    assert paired.measure([Model("m", tmp_path / "m.onnx")], looks=(1,), rounds=1)[0].cpu[0][0] > 0


def test_litert_runs_a_converted_model(tmp_path: Path) -> None:
    from edgepress.models.tflite import convert

    relu = helper.make_node("Relu", ["x"], ["y"])
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4, 8, 8]) for name in "xy"]
    graph = helper.make_graph([relu], "relu", infos[:1], infos[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (tmp_path / "m.tflite").write_bytes(convert.write(model, {}))
    found = paired.measure([Model("m", tmp_path / "m.tflite", "litert")], looks=(1,), rounds=2)
    assert found[0].runtime == "litert"
    assert min(found[0].cpu[0]) > 0


def weight(model: Model) -> int:
    nothing = Samples(path=model.name, runtime=model.runtime, threads=1, wall=[], cpu=[])
    found = paired.weigh(nothing, model)
    assert len(found.load) == len(found.first) == paired.COLD
    assert min([*found.load, *found.first]) > 0
    assert found.memory
    return found.memory


def test_memory_is_of_the_model_alone_and_not_of_this_process(tmp_path: Path, light: Path) -> None:
    ballast = np.ones(10**8)  # 800 MB that a child must not be charged for
    small = weight(Model("light", light))
    assert 10e6 < small < ballast.nbytes / 2
    large = dense(1)
    large.graph.initializer.append(numpy_helper.from_array(np.ones((6400, 4096), np.float32), "big"))
    large.graph.node.append(helper.make_node("ReduceSum", ["big"], ["sum"]))
    large.graph.output.append(helper.make_tensor_value_info("sum", TensorProto.FLOAT, [1, 1]))
    onnx.save(large, tmp_path / "large.onnx")
    assert weight(Model("large", tmp_path / "large.onnx")) > small + 90e6


def test_a_model_that_does_not_load_is_named_with_what_the_runtime_said(tmp_path: Path, light: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model")
    words = r"light, broken in onnxruntime failed: Load model from .*broken.onnx[^\n]*$"  # without a traceback
    with pytest.raises(paired.WorkerDied, match=words):
        paired.measure([Model("light", light), Model("broken", broken)], looks=(1,), rounds=1)


def test_what_a_process_writes_that_ends_without_an_exception_is_shown(
    light: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = tmp_path / "worker.py"
    ends.write_text("import os; os.write(2, b'op 3: no kernel\\nfatal\\n'); os._exit(9)")
    monkeypatch.setattr(paired, "WORKER", ends)
    with pytest.raises(paired.WorkerDied, match=r"failed: fatal\n  op 3: no kernel\n  fatal$"):
        paired.measure([Model("light", light)], looks=(1,), rounds=1)


def test_a_killed_process_says_so(light: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suicide = tmp_path / "worker.py"
    suicide.write_text("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    monkeypatch.setattr(paired, "WORKER", suicide)
    with pytest.raises(UserError, match=r"was killed while measuring `.*light\.onnx`, as the kernel does when memory"):
        paired.measure([Model("light", light)], looks=(1,), rounds=1)


def test_a_missing_runtime_says_what_to_install(tmp_path: Path, light: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ai_edge_litert.py").write_text("raise ModuleNotFoundError(\"No module named 'ai_edge_litert'\")")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(UserError, match="litert is not installed here") as error:
        paired.measure([Model("light", light, "litert")], looks=(1,), rounds=1)
    assert "pip install ai-edge-litert" in str(error.value)


def test_chatter_of_a_runtime_does_not_reach_the_result(
    light: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import atexit; atexit.register(print, 'chatter')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert paired.measure([Model("light", light)], looks=(1,), rounds=1)[0].cpu


def test_the_worker_needs_neither_torch_nor_this_package() -> None:
    import subprocess

    code = (
        "import runpy, sys; runpy.run_path(sys.argv[1], run_name='x'); "
        "print({'torch', 'edgepress', 'scipy', 'onnx'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, paired.WORKER], capture_output=True, text=True, check=True, cwd="/"
    )
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_provider_that_is_not_there_is_told(provider: Any, light: Path) -> None:
    import onnxruntime

    first = worker.PROVIDERS[provider][0]
    if first in onnxruntime.get_available_providers():
        pytest.skip(f"this onnxruntime has {first}")
    with pytest.raises(UserError, match=f"^error: onnxruntime .* has no {first}"):
        paired.measure([Model("light", light, provider=provider)], looks=(1,), rounds=1)


def test_times_on_a_gpu_are_wall_times() -> None:
    taken = {"path": "m", "runtime": "onnxruntime", "threads": 1, "wall": [[2.0]], "cpu": [[0.1]]}
    assert statistics.log_percentiles(Samples(**taken, provider="cuda"), 50) == [pytest.approx(np.log(2))]
    assert statistics.log_percentiles(Samples(**taken), 50) == [pytest.approx(np.log(0.1))]
    assert statistics.how(Samples(**taken, provider="tensorrt")).startswith("onnxruntime on tensorrt, 1 thread, ")
    assert statistics.how(Samples(**taken, provider="tensorrt")).endswith("wall time")
