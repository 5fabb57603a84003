"""What ends the work's process becomes words and an exit code, and an interruption ends it always."""

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from edgepress.core import child_processes
from onnx import helper, numpy_helper

HEAD = """
import os, resource, signal, sys, time
from edgepress.commands.supervise import supervised
from edgepress.core.activity import activity
if {limit}:
    resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))
def work():
    {body}
    return 0
sys.exit(supervised(work))
"""


INTERRUPTED = "interrupted; the same command continues from here\n"


def start(body: str, limit: int = 0, **environment: str) -> "subprocess.Popen[str]":
    """Start the work in a process that has at most `limit` bytes of addresses, if there is a limit."""
    code = HEAD.format(body=body, limit=limit)
    root = Path(__file__).parents[2] / "pipeline"
    return subprocess.Popen(
        [*child_processes.PYTHON, "-c", code],
        env=os.environ | {"PYTHONPATH": str(root)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(body: str, limit: int = 0, **environment: str) -> tuple[int, str]:
    process = start(body, limit, **environment)
    errors = process.communicate()[1]
    return process.returncode, errors


def started(body: str, **environment: str) -> "tuple[subprocess.Popen[str], str]":
    """Start the work, and wait for the line that it prints."""
    process = start(body, **environment)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def interrupted(process: "subprocess.Popen[str]") -> tuple[int, str]:
    process.send_signal(signal.SIGINT)
    errors = process.communicate()[1]
    return process.returncode, errors


def await_end(process: int) -> None:
    """Wait until a process has ended, though its parent may not have read its status."""
    status = Path(f"/proc/{process}/stat")
    while status.exists() and status.read_text().rpartition(")")[2].split()[0] not in "ZX":
        time.sleep(0.01)


def test_the_code_of_the_work_is_the_code_of_the_command():
    assert ended("return 4") == (4, "")


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        ("SIGKILL", 2, "when memory runs out"),
        ("SIGSEGV", 3, "segmentation fault"),
        ("SIGFPE", 3, "integer division"),
    ],
)
def test_a_signal_that_ends_the_work_becomes_words(number, code, words):
    done = ended(f"os.kill(os.getpid(), signal.{number})")
    assert done[0] == code
    assert words in done[1]
    assert "Traceback" not in done[1]


@pytest.mark.parametrize(("number", "code"), [("SIGSEGV", 2), ("SIGABRT", 2), ("SIGFPE", 3)])
def test_native_code_that_a_limit_on_memory_ends_is_no_crash(number, code):
    """Few libraries survive the lack of memory; an integer division is none's way to say it."""
    done = ended(f"os.kill(os.getpid(), signal.{number})", limit=2**40)
    assert done[0] == code
    assert ("memory ran out, which this shell limits to 1100 GB: native code ended" in done[1]) == (code == 2)


@pytest.mark.parametrize("code", [0, 1, 4])
def test_the_code_of_a_library_that_ends_the_process_is_no_verdict(code):
    done = ended(f"os._exit({code})")
    assert done[0] == 3
    assert f"native code ended the process, with code {code}" in done[1]
    blamed = ended(f"with activity(doing='running', file='a.onnx', library='onnxruntime'): os._exit({code})")
    assert blamed[0] == 2
    assert f"onnxruntime ended the process while running `a.onnx`, with code {code}" in blamed[1]


def test_own_code_that_exits_is_no_verdict():
    body = (
        "import click; from edgepress.commands import exit_codes; "
        "return exit_codes.run(click.Command('run', callback=lambda: sys.exit(0)))"
    )
    code, words = ended(body)
    assert code == 2
    assert words.startswith("error: code of yours or of a library called `sys.exit(0)`")


def test_stage_and_file_are_named():
    body = "with activity(stage='int8', doing='running', file='a.tflite'): os.kill(os.getpid(), signal.SIGSEGV)"
    code, words = ended(body)
    assert code == 2
    assert words.startswith("error: stage `int8`: native code ended the process while running `a.tflite`: segmentation")


def test_an_interruption_ends_work_that_ignores_it():
    body = "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT]); print('ready', flush=True); time.sleep(600)"
    process, _ = started(body)
    assert interrupted(process) == (130, INTERRUPTED)


def test_an_interruption_within_a_deletion_is_not_lost():
    body = (
        "from edgepress.commands.supervise import interrupt_once; interrupt_once(); "
        "Slow = type('Slow', (), {'__del__': lambda self: (print('ready', flush=True), time.sleep(600))}); "
        "slow = Slow(); del slow; time.sleep(600)"
    )
    process, _ = started(body)
    assert interrupted(process) == (130, INTERRUPTED)


def test_an_interruption_that_a_library_in_c_prints_is_not_lost():
    """As an import of numpy's C interface does; CPython's own way to run text prints it by the same function."""
    body = (
        "from edgepress.commands.supervise import interrupt_once; interrupt_once(); import ctypes; "
        "ctypes.pythonapi.PyRun_SimpleString(b'import time; print(\\'ready\\', flush=True); time.sleep(600)'); "
        "time.sleep(600)"
    )
    process, _ = started(body)
    assert interrupted(process) == (130, INTERRUPTED)


def test_an_interruption_waits_until_a_library_in_c_is_loaded():
    """One in C++ calls Python while it loads, and ends the process when that raises."""
    body = """
    from importlib import _bootstrap_external, machinery
    from types import SimpleNamespace
    from edgepress.commands.supervise import interrupt_once
    def load(module):
        print("ready", flush=True); time.sleep(0.5); print("loaded", file=sys.stderr, flush=True)
    _bootstrap_external._imp = SimpleNamespace(exec_dynamic=load)
    interrupt_once()
    machinery.ExtensionFileLoader("library", "library.so").exec_module(None)
    time.sleep(600)"""
    process, _ = started(body)
    assert interrupted(process) == (130, "loaded\n" + INTERRUPTED)


@pytest.mark.parametrize("interrupt", [True, False])
def test_errors_that_follow_from_an_interruption_are_not_shown(interrupt):
    """Of a deletion and of a thread; without an interruption both are."""
    body = """
    import threading
    from edgepress.commands.supervise import interrupt_once
    class Lost:
        def __del__(self): [].pop()
    interrupt_once()
    print('ready', flush=True)
    try:
        if {interrupt}: time.sleep(600)
    finally:
        Lost()
        thread = threading.Thread(target=lambda: dict()[0])
        thread.start()
        thread.join()"""
    process, _ = started(body.format(interrupt=interrupt))
    code, errors = interrupted(process) if interrupt else (0, process.communicate()[1])
    assert code == (130 if interrupt else 0)
    assert errors == INTERRUPTED if interrupt else "IndexError" in errors and "KeyError" in errors


def test_a_command_that_ends_is_not_killed_by_a_signal():
    """While the interpreter ended, Python had no handlers any more."""
    root = Path(__file__).parents[2] / "pipeline"
    for number in range(30):
        process = subprocess.Popen(
            [*child_processes.PYTHON, "-m", "edgepress", "--version"],
            env=os.environ | {"PYTHONPATH": str(root)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(number / 400)
        process.send_signal(signal.SIGTERM)
        process.communicate()
        assert process.returncode in (0, 130)


def test_the_work_ends_with_the_process_that_supervises_it():
    process, child = started("print(os.getpid(), flush=True); time.sleep(600)")
    process.kill()
    process.wait()
    await_end(int(child))


def test_what_an_interrupted_work_has_started_ends_too():
    body = (
        "import subprocess; signal.signal(signal.SIGINT, signal.SIG_IGN); "
        "print(subprocess.Popen(['sleep', '600'], stdout=subprocess.DEVNULL).pid, flush=True); time.sleep(600)"
    )
    process, child = started(body)
    assert interrupted(process)[0] == 130
    await_end(int(child))


def model(path: Path, nodes: list[onnx.NodeProto], **stored: np.ndarray) -> Path:
    """Write a graph of four numbers; `h` is a product of the input, `output` its result."""
    weights = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
    tensors = [numpy_helper.from_array(value, name) for name, value in {"w": weights, **stored}.items()]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["input", "w"], ["h"]), *nodes],
        "g",
        [helper.make_tensor_value_info("input", 1, [1, 16])],
        [helper.make_tensor_value_info("output", 1, [1, 4])],
        tensors,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


PREDICT = (
    "import numpy as np; from pathlib import Path; from edgepress.models.predict import predict; "
    "predict(Path({path!r}), np.ones((3, 16), 'f4'))"
)


def test_a_crashing_node_is_named(tmp_path):
    node = helper.make_node
    divide = [
        node("Div", ["k", "z"], ["y"], "halve"),
        node("Cast", ["y"], ["f"], to=1),
        node("Add", ["h", "f"], ["output"]),
    ]
    path = model(tmp_path / "div.onnx", divide, k=np.array(-(2**31), np.int32), z=np.array(-1, np.int32))
    code, words = ended(PREDICT.format(path=str(path)))
    assert code == 2
    assert f"while running `{path}`: integer division" in words
    assert "node `halve` (Div) does it" in words


def loop(path: Path, count: str, *before: onnx.NodeProto, **stored: np.ndarray) -> Path:
    """Write a graph that does nothing `count` times."""
    info, node = helper.make_tensor_value_info, helper.make_node
    body = helper.make_graph(
        [node("Identity", ["ci"], ["co"]), node("Identity", ["v"], ["vo"])],
        "b",
        [info("i", 7, []), info("ci", 9, []), info("v", 1, [1, 4])],
        [info("co", 9, []), info("vo", 1, [1, 4])],
    )
    return model(path, [*before, node("Loop", [count, "c", "h"], ["output"], body=body)], c=np.array(True), **stored)


def test_a_graph_that_never_ends_is_ended(tmp_path):
    path = loop(tmp_path / "loop.onnx", "t", t=np.array(2**62))
    code, words = ended(PREDICT.format(path=str(path)), EDGEPRESS_LIMITS="0.2")
    assert code == 2
    assert "takes more than 1 s of CPU time" in words
    assert "`EDGEPRESS_LIMITS=10`" in words


@pytest.mark.slow
def test_an_example_that_never_ends_is_ended_beside_others(tmp_path):
    """The seconds are those of each run: many of them take more, and begin on every thread all the while."""
    node = helper.make_node
    largest = node("ReduceMax", ["input"], ["m"], keepdims=0)
    path = loop(tmp_path / "loop.onnx", "t", largest, node("Cast", ["m"], ["t"], to=7))
    body = (
        "import numpy as np; from pathlib import Path; from edgepress.models import predict"
        "\n    predict.at_most = lambda: 3"
        f"\n    run = lambda x: predict.predict(Path({str(path)!r}), np.repeat(np.float32(x)[:, None], 16, 1))"
        "\n    run(np.full(2000, 2e4)); print('all', flush=True)"
        "\n    run(np.where(np.arange(2000) == 5, 1e18, 1))"
    )
    process, word = started(body, EDGEPRESS_LIMITS="0.2")
    words = process.communicate()[1]
    assert (word, process.returncode) == ("all", 2), words
    assert f"running `{path}` takes more than 1 s of CPU time" in words


def test_no_bounds_are_none(tmp_path):
    """Bounds within bounds, as an import has, give the outer ones their seconds again."""
    node = helper.make_node
    path = model(tmp_path / "m.onnx", [node("Relu", ["h"], ["output"])])
    nested = (
        "from edgepress.core.activity import Bounds, bounded; import resource\n"
        "    with bounded(Bounds(100)):\n"
        f"        {PREDICT.format(path=str(path))}\n"
        "        unbounded = resource.getrlimit(resource.RLIMIT_CPU)[0] == resource.RLIM_INFINITY\n"
        "    return 5 if unbounded else 6"
    )
    assert ended(nested, EDGEPRESS_LIMITS="0") == (5, "")
    assert ended(nested) == (6, "")


def test_a_graph_that_fills_memory_fails_where_it_allocates(tmp_path):
    node = helper.make_node
    nodes = [
        node("ConstantOfShape", ["s"], ["k"]),
        node("ReduceSum", ["k"], ["r"], keepdims=0),
        node("Add", ["h", "r"], ["output"]),
    ]
    path = model(tmp_path / "big.onnx", nodes, s=np.array([2**16, 2**15]))
    code, words = ended(PREDICT.format(path=str(path)))
    assert code == 3  # of this work: the command line has words for it
    assert "Failed to allocate memory" in words


def test_seconds_are_those_that_the_kernel_counts():
    """It counts ticks, which run ahead of the exact clock on a busy machine: a long run was killed for 4 ms of work."""
    body = (
        "from edgepress.core.activity import Bounds, bounded, limited_seconds\n"
        "    while limited_seconds() < 1.5: pass\n"
        "    time.process_time = lambda: 0.0\n"
        "    with bounded(Bounds(100)):\n"
        "        for _ in range(10**6): pass\n"
        "    return 5"
    )
    assert ended(body, EDGEPRESS_LIMITS="0.05") == (5, "")
