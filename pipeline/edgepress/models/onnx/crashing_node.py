"""Find the node of an ONNX file at which onnxruntime crashes: `FILE`, in a process of its own.

Beginnings of the graph are run, each in a child. The last node of the shortest that crashes is the one.
"""

from __future__ import annotations

import os
import resource
import sys

import onnx

from ...benchmark.worker import random_input
from ...core import child_processes
from ...core.activity import lower

_SECONDS, _BYTES = 2, 2**30
"""CPU time and memory of each child."""


def find(model: onnx.ModelProto) -> str:
    """Return the name and operator of the node, as text; empty where the graph does not crash on random inputs."""
    nodes = list(model.graph.node)
    if not _crashes(model, len(nodes)):
        return ""
    low, high = 0, len(nodes)  # the first `low` nodes run, the first `high` crash
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _crashes(model, middle) else (middle, high)
    node = nodes[high - 1]
    return f"`{node.name or node.output[0]}` ({node.op_type})"


def _crashes(model: onnx.ModelProto, count: int) -> bool:
    """Whether a signal ends a child that runs the first `count` nodes, with every result as an output."""
    parent, child = os.getpid(), os.fork()
    if child == 0:
        child_processes.end_with(parent)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        lower(resource.RLIMIT_CPU, _SECONDS)
        lower(resource.RLIMIT_DATA, _BYTES)
        try:
            _run(model, count)
        finally:
            os._exit(0)  # an exception is no crash
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _run(model: onnx.ModelProto, count: int) -> None:
    import onnxruntime

    graph = model.graph
    del graph.node[count:]
    del graph.output[:]
    graph.output.extend(onnx.ValueInfoProto(name=name) for node in graph.node for name in node.output if name)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    types = {"float": "float32", "double": "float64"}
    feed = {}
    for value in session.get_inputs():
        name = value.type[len("tensor(") : -1]
        shape = [size if isinstance(size, int) else 1 for size in value.shape]
        feed[value.name] = random_input(types.get(name, name), shape)
    session.run(None, feed)


if __name__ == "__main__":
    import onnxruntime  # noqa: F401, once for all children

    print(find(onnx.load(sys.argv[1])))
