"""Measure on a device without Python, by a benchmark program.

It is TFLite's `benchmark_model` or onnxruntime's `onnxruntime_perf_test`.

Both are programs of these projects; the target's `binary` says where they are on the device.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

from .transport import DeviceError, Done

CABLE = "is it on, and its cable or network steady? the same command measures again"
WARM = 5
NUMBER = r"([\d.]+(?:e[+-]?\d+)?)"
Run = Callable[..., Done]


PROGRAM = "put TFLite's benchmark_model, or onnxruntime_perf_test, there, and name it in the target: `binary: PATH`"
"""What a device without Python measures with."""


def work(job: str, run: Run, binary: str | None, name: str) -> Done:
    """Do the `job` of a worker. Raises: DeviceError for what cannot be run, or not be read."""
    request: dict[str, Any] = json.loads(job)
    if binary is None:
        raise DeviceError(
            f"{name} has no Python to measure with",
            PROGRAM,
        )
    order = list(range(len(request["models"])))
    random.Random(request["seed"]).shuffle(order)
    results: dict[int, dict[str, float]] = {}
    for index in order:
        command = _command(binary, request, request["models"][index])
        done = run(command, timeout=900 + request.get("warm", 0))
        if done.code:
            return Done(done.code, "", done.err or done.out)
        results[index] = parsed(done.out + done.err, name)
    if not request["rounds"]:
        return Done(0, json.dumps(results[0]), "")
    times = [[results[index]["seconds"]] for index in range(len(order))]
    return Done(0, json.dumps({"wall": times, "cpu": times}), "")


def _command(binary: str, job: dict[str, Any], model: str) -> list[str]:
    """Return the command of at most `rounds`; their median is the time, or their mean where no median is printed."""
    rounds, threads = max(job["rounds"], 1), job["threads"]
    if model.endswith(".onnx"):
        return [binary, "-I", "-e", "cpu", "-m", "times", "-r", str(rounds), "-x", str(threads), "-s", model]
    seconds = job.get("warm", 0.15)
    counts = [f"--num_runs={rounds}", "--min_secs=0", f"--warmup_runs={WARM}", f"--warmup_min_secs={seconds}"]
    return [binary, f"--graph={model}", f"--num_threads={threads}", *counts]


def parsed(output: str, name: str) -> dict[str, float]:
    """Parse `seconds` of an inference, and those of `load`, `first` and `memory` in bytes that are printed.

    Raises: DeviceError where no inference time is.
    """
    if match := re.search(rf"Init: {NUMBER}, First inference: {NUMBER}, .*Inference \(avg\): {NUMBER}", output):
        load, first, mean = (float(group) / 1e6 for group in match.groups())
        medians = re.findall(rf"count=\d+ .*median={NUMBER}", output)
        peak = re.findall(rf"(?:via periodic monitoring: |footprint.*overall=){NUMBER}", output)
        memory = {"memory": int(float(peak[-1]) * 2**20)} if peak and float(peak[-1]) > 0 else {}
        seconds = float(medians[-1]) / 1e6 if medians else mean
        return {"seconds": seconds, "load": load, "first": first, **memory}
    if match := re.search(rf"P50 Latency: {NUMBER} s", output):
        patterns = {
            "load": (rf"Session creation time cost: {NUMBER} s", 1.0),
            "first": (rf"First inference time cost: {NUMBER} ms", 1e-3),
            "memory": (rf"Peak working set size: {NUMBER}", 1.0),
        }
        more = {key: re.search(pattern, output) for key, (pattern, _) in patterns.items()}
        return {"seconds": float(match[1])} | {
            key: float(group[1]) * patterns[key][1] for key, group in more.items() if group
        }
    last = (output.strip().splitlines() or ["it printed nothing"])[-1]
    raise DeviceError(f"{name}: the benchmark program printed no inference time: {last}", "is it of this project?")
