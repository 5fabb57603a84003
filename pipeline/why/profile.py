"""One fresh process that profiles an ONNX file: `profile.py MODEL SECONDS` prints one JSON list of its nodes.

Each has `name`, `op`, `seconds` (the median over the runs), `shape` and `types` of what it gives, `bytes` of its
parameters and `weight`, the name of the first of them, all of the graph as onnxruntime's optimisations leave it.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

WARM = 10
"""Runs that do not count."""
END = "_kernel_time"


def main(model: str, seconds: str) -> None:
    with tempfile.TemporaryDirectory() as work:
        json.dump(profiled(model, float(seconds), Path(work)), sys.stdout)


def profiled(path: str, seconds: float, work: Path) -> list[dict[str, Any]]:
    import numpy as np
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = str(work / "profile")
    options.optimized_model_filepath = str(work / "optimized.onnx")
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    model = onnx.load(path)
    for number, node in enumerate(model.graph.node):  # the profile and the optimised graph have names in common only
        node.name = node.name or f"{node.op_type}_{number}"
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    random, feed = np.random.default_rng(0), {}
    for each in session.get_inputs():
        dtype = {"float": "float32", "double": "float64", "float16": "float16"}.get(name := each.type[7:-1], name)
        shape = [size if isinstance(size, int) else 1 for size in each.shape]
        feed[each.name] = (random.standard_normal(shape) if "float" in dtype else random.integers(0, 2, shape)).astype(
            dtype
        )
    runs, until = 0, time.perf_counter() + seconds
    while runs < 2 * WARM or time.perf_counter() < until:
        session.run(None, feed)
        runs += 1
    events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    graph = onnx.load(work / "optimized.onnx", load_external_data=False).graph
    nodes = {node.name: node for node in graph.node}
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    sizes = {tensor.name: onnx.numpy_helper.to_array(tensor).nbytes for tensor in model.graph.initializer}
    for node in model.graph.node:  # a weight that is unpacked on loading weighs what it is unpacked from
        if node.op_type in ("Cast", "Mul") and all(name in sizes for name in node.input):
            sizes[node.output[0]] = sum(sizes[name] for name in node.input)
    taken: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(END):
            taken[event["name"][: -len(END)]].append(event)
    found = []
    for name, each in taken.items():
        held = [tensors[i] for i in nodes[name].input if i in tensors] if name in nodes else []
        size = sum(sizes.get(tensor.name) or onnx.numpy_helper.to_array(tensor).nbytes for tensor in held)
        found.append(_row(name, each, next((tensor.name for tensor in held if tensor.dims), ""), size))
    return found


def _row(name: str, events: list[dict[str, Any]], weight: str, size: int) -> dict[str, Any]:
    said = events[-1]["args"]
    gives = [pair for output in said["output_type_shape"] for pair in output.items()]
    return {
        "name": name,
        "op": said["op_name"],
        "seconds": median(event["dur"] for event in events[WARM:]) / 1e6,
        "shape": gives[0][1] if gives else [],
        "types": [kind for kind, _ in gives],
        "bytes": size,
        "weight": weight,
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
