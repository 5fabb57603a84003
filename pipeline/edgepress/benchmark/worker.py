"""Time models, or weigh one, in a fresh process.

The job comes as JSON on stdin, the result goes as JSON to stdout. The file stands alone (Python 3.8 or newer, numpy
and the runtime), so that a device needs this one file. The job:

    {"loader": "onnxruntime", "threads": 1, "provider": "cpu", "models": [paths], "seed": 0,
     "rounds": 100, "seconds": 1.0}

gives `{"wall": [[seconds]], "cpu": [[seconds]]}`, and with `"rounds": 0` and one model `{"memory": bytes, "load":
seconds, "first": seconds}`. Times are seconds, `[model][round]`. After `seconds` a model the rounds end, though not
before the twentieth: the replicate is the process, to which more rounds of a slow model add little. Models are loaded
in random order, warmed (`"warm"` seconds, by default 0.15), and run once a round in an order that is drawn anew for
each, so that nothing that drifts favours one of them. Every timed call follows an untimed one of the same model: right
after larger models, a network of half a millisecond took 2.5 times as long (caches full of theirs). `bounds` on CPU
seconds and bytes are for a process that takes no times: under one the kernel counts CPU time by ticks.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

WARM_SECONDS = 0.15
PROVIDERS = {
    "cpu": ["CPUExecutionProvider"],
    "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"],
    "tensorrt": ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"],
}
"""What an operator falls back to stands after what it is wanted on. TensorRT builds its engine on loading."""
NO_PROVIDER = "has no"
LEAST_ROUNDS = 20


def main() -> None:
    """Run the job on standard input."""
    # Runtimes write to stdout at will; the result has it for itself.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    job = json.load(sys.stdin)
    if "bounds" in job:
        bound(*job["bounds"])
    result = time_models(job) if job["rounds"] else weigh(job)
    json.dump(result, out)
    out.flush()


def time_models(job: dict[str, Any]) -> dict[str, list[list[float]]]:
    """Return wall and CPU seconds of every model and round; CPU time is of the whole process, all threads together."""
    order = list(range(len(job["models"])))
    generator = random.Random(job["seed"])
    generator.shuffle(order)
    calls = {index: load(job["loader"], job["models"][index], job["threads"], job["provider"]) for index in order}
    for call in calls.values():
        until = time.perf_counter() + job.get("warm", WARM_SECONDS)
        call()
        while time.perf_counter() < until:
            call()
    wall: list[list[float]] = [[] for _ in order]
    cpu: list[list[float]] = [[] for _ in order]
    gc.disable()
    deadline = time.perf_counter() + job["seconds"] * len(order)
    for done in range(job["rounds"]):
        if done >= LEAST_ROUNDS and time.perf_counter() > deadline:
            break
        generator.shuffle(order)
        for index in order:
            call = calls[index]
            # A device runs one model over and over: fill the caches with this one first.
            call()
            cpu_started, started = time.process_time_ns(), time.perf_counter_ns()
            call()
            ended, cpu_ended = time.perf_counter_ns(), time.process_time_ns()
            # A clock that has not ticked counts one tick: ratios are taken in the log.
            wall[index].append(max(ended - started, 1) / 1e9)
            cpu[index].append(max(cpu_ended - cpu_started, 1) / 1e9)
    return {"wall": wall, "cpu": cpu}


def weigh(job: dict[str, Any]) -> dict[str, float]:
    """Return peak resident bytes with one model loaded and run, and the seconds of loading and of the first run.

    The runtime is imported before.
    """
    (path,) = job["models"]
    runtime(job["loader"])
    started = time.perf_counter()
    call = load(job["loader"], path, job["threads"], job["provider"])
    loaded = time.perf_counter()
    call()
    first = time.perf_counter()
    call()
    return {"memory": peak(), "load": loaded - started, "first": first - loaded}


def bound(seconds: str, memory: str) -> None:
    """Let SIGXCPU end this process after so many seconds of CPU time, and allocations beyond so many bytes fail."""
    import resource

    for kind, limit in ((resource.RLIMIT_CPU, int(seconds)), (resource.RLIMIT_DATA, int(memory))):
        hard = resource.getrlimit(kind)[1]  # the user's own bound, which may be lower
        finite = [each for each in (limit, hard) if each != resource.RLIM_INFINITY]
        resource.setrlimit(kind, (min(finite, default=hard), hard))


def peak() -> int:
    """Return peak resident bytes. `ru_maxrss` would start from the parent's on Linux, which keeps it across exec."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def load(loader: str, path: str, threads: int, provider: str = "cpu") -> Callable[[], object]:
    """Return a call that runs the model once on fixed random input of its declared type and shape."""
    api, module = runtime(loader)
    return APIS[api](module, path, threads, provider)


def runtime(loader: str) -> tuple[str, Any]:
    """Return the API of a runtime and its module, imported."""
    api, _, module = loader.partition(":")
    return api, importlib.import_module(module or api)


def _onnxruntime(onnxruntime: Any, path: str, threads: int, provider: str) -> Callable[[], object]:
    first = PROVIDERS[provider][0]
    if first not in onnxruntime.get_available_providers():
        raise RuntimeError(f"onnxruntime {onnxruntime.__version__} {NO_PROVIDER} {first}")

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(threads > 1)))
    session = onnxruntime.InferenceSession(path, options, providers=PROVIDERS[provider])
    types = {"float": "float32", "double": "float64", "float16": "float16"}
    feed = {}
    for tensor in session.get_inputs():
        name = tensor.type[len("tensor(") : -1]
        shape = [size if isinstance(size, int) else 1 for size in tensor.shape]
        feed[tensor.name] = random_input(types.get(name, name), shape)
    return lambda: session.run(None, feed)


def _interpreter(tflite: Any, path: str, threads: int, provider: str) -> Callable[[], object]:
    interpreter = tflite.Interpreter(model_path=path, num_threads=threads)
    for tensor in interpreter.get_input_details():
        interpreter.resize_tensor_input(tensor["index"], [max(size, 1) for size in tensor["shape_signature"]])
    interpreter.allocate_tensors()
    for tensor in interpreter.get_input_details():
        interpreter.set_tensor(tensor["index"], random_input(np.dtype(tensor["dtype"]).name, list(tensor["shape"])))
    invoke: Callable[[], object] = interpreter.invoke
    return invoke


APIS = {"onnxruntime": _onnxruntime, "interpreter": _interpreter}


def random_input(dtype: str, shape: list[int]) -> np.ndarray[Any, Any]:
    """Return normal floats; bytes over their range; wider integers 0 or 1, since they may be indices."""
    generator, kind = np.random.default_rng(0), np.dtype(dtype)
    if kind.kind == "f":
        return generator.standard_normal(shape).astype(kind)
    if kind.itemsize == 1 and kind.kind in "iu":
        return generator.integers(np.iinfo(kind).min, np.iinfo(kind).max, shape, dtype=kind, endpoint=True)
    return generator.integers(0, 2, shape).astype(kind)


if __name__ == "__main__":
    main()
