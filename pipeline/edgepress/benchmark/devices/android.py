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


def work(job: str, run: Run, binary: str | None, name: str) -> Done:
    """What `bench.worker` would have said of `job`. Raises: DeviceError for what cannot be run, or not be read."""
    asked: dict[str, Any] = json.loads(job)
    if binary is None:
        raise DeviceError(
            f"{name} has no Python to measure with",
            "put TFLite's benchmark_model, or onnxruntime_perf_test, there, and name it in the target: `binary: PATH`",
        )
    order = list(range(len(asked["models"])))
    random.Random(asked["seed"]).shuffle(order)
    found: dict[int, dict[str, float]] = {}
    for index in order:
        command = _command(binary, asked, asked["models"][index])
        done = run(command, timeout=900 + asked.get("warm", 0))
        if done.code:
            return Done(done.code, "", done.err or done.out)
        found[index] = parsed(done.out + done.err, name)
    if not asked["rounds"]:
        return Done(0, json.dumps(found[0]), "")
    times = [[found[index]["seconds"]] for index in range(len(order))]
    return Done(0, json.dumps({"wall": times, "cpu": times}), "")


def _command(binary: str, job: dict[str, Any], model: str) -> list[str]:
    """A run of at most `rounds`: the time of one is their median, or mean where that is all that is told."""
    rounds, threads = max(job["rounds"], 1), job["threads"]
    if model.endswith(".onnx"):
        return [binary, "-I", "-e", "cpu", "-m", "times", "-r", str(rounds), "-x", str(threads), "-s", model]
    seconds = job.get("warm", 0.15)
    counts = [f"--num_runs={rounds}", "--min_secs=0", f"--warmup_runs={WARM}", f"--warmup_min_secs={seconds}"]
    return [binary, f"--graph={model}", f"--num_threads={threads}", *counts]


def parsed(said: str, name: str) -> dict[str, float]:
    """`seconds` of an inference, of `load` and `first`, and `memory` in bytes. Raises: DeviceError."""
    if found := re.search(rf"Init: {NUMBER}, First inference: {NUMBER}, .*Inference \(avg\): {NUMBER}", said):
        load, first, mean = (float(each) / 1e6 for each in found.groups())
        medians = re.findall(rf"count=\d+ .*median={NUMBER}", said)
        peak = re.findall(rf"(?:via periodic monitoring: |footprint.*overall=){NUMBER}", said)
        memory = int(float(peak[-1]) * 2**20) if peak else 0
        seconds = float(medians[-1]) / 1e6 if medians else mean
        return {"seconds": seconds, "load": load, "first": first, "memory": memory}
    if found := re.search(rf"P50 Latency: {NUMBER} s", said):
        told = {
            "load": (rf"Session creation time cost: {NUMBER} s", 1.0),
            "first": (rf"First inference time cost: {NUMBER} ms", 1e-3),
            "memory": (rf"Peak working set size: {NUMBER}", 1.0),
        }
        more = {key: re.search(pattern, said) for key, (pattern, _) in told.items()}
        return {"seconds": float(found[1])} | {
            key: float(each[1]) * told[key][1] if each else 0.0 for key, each in more.items()
        }
    last = (said.strip().splitlines() or ["it printed nothing"])[-1]
    raise DeviceError(f"{name}: the benchmark program printed no inference time: {last}", "is it of this project?")
