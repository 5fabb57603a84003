"""Profile an ONNX file in a fresh process: `profile.py MODEL SECONDS CPU BYTES`.

It prints one JSON object. So many seconds of CPU time end the process, and bytes bound its memory, until the file has
run once.

`seconds` is the CPU time of one inference without the profile, and `events` are the operators that onnxruntime runs,
each with `op`, `seconds`, `shape` and `types` of what it gives, and `node`, the number of the file's node that it
computes, or None. `inserted` is true of what onnxruntime adds by itself, such as ReorderInput: its `node` is the one
that needs it. What the profile adds to an operator, some microseconds, is taken off: by it the sum exceeds an inference
without it.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WARM = 10
"""Runs that do not count."""
SLOW = 4.0
"""Seconds after which a slow model's runs end, though they are few."""
END = "_kernel_time"
MOST = 100_000
"""Operators that are recorded in all: the profile of a tiny model would fill the memory in two seconds."""
KEPT = 0.9
"""Share of the runs, the fastest, whose mean counts: the profile has whole microseconds, which a median stays with."""
FORMS = ("ReorderInput", "ReorderOutput", "Transpose", "Cast", "QuantizeLinear", "DequantizeLinear", "Reshape",
         "Squeeze", "Unsqueeze", "MemcpyToHost", "MemcpyFromHost")  # fmt: skip
"""What onnxruntime inserts: operators that compute nothing."""


def main(model: str, seconds: str, cpu: str, memory: str) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for kind, limit in ((resource.RLIMIT_CPU, cpu), (resource.RLIMIT_DATA, memory)):
        hard = resource.getrlimit(kind)[1]  # the user's own bound, which may be lower
        finite = [each for each in (int(limit), hard) if each != resource.RLIM_INFINITY]
        resource.setrlimit(kind, (min(finite, default=hard), hard))
    with tempfile.TemporaryDirectory() as work:
        json.dump(profiled(model, float(seconds), Path(work)), sys.stdout)


def profiled(path: str, seconds: float, work: Path) -> dict[str, Any]:
    import onnx.inliner
    import onnxruntime

    model = onnx.load(path)
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    sign = "@"
    while sign in "\n".join(names(model.graph)):
        sign += "@"
    mark(model.graph, {}, sign)
    content = model.SerializeToString()

    def session(**more: Any) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        for name, value in more.items():
            setattr(options, name, value)
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    plain = session()
    feed = fed(plain)
    plain.run(None, feed)
    looping = any(node.op_type in ("Loop", "Scan") for node in model.graph.node)
    # Every turn of a loop makes events, which take a kilobyte each: their memory stays bounded, and their time.
    for kind in (resource.RLIMIT_CPU,) if looping else (resource.RLIMIT_CPU, resource.RLIMIT_DATA):
        resource.setrlimit(kind, (resource.getrlimit(kind)[1],) * 2)
    seconds = seconds / 10 if looping else seconds
    written = work / "optimized.onnx"
    watched = session(
        enable_profiling=True, profile_file_prefix=str(work / "profile"), optimized_model_filepath=str(written)
    )
    alone: list[float] = []
    begun = time.perf_counter()
    rounds = max(2 * WARM, MOST // max(1, len(model.graph.node)))
    while len(alone) < rounds:  # in turn, so that both meet the same caches
        taken_seconds = time.perf_counter() - begun
        if taken_seconds > seconds and (len(alone) >= 2 * WARM or (len(alone) > 2 and taken_seconds > SLOW)):
            break
        start = time.thread_time()
        plain.run(None, feed)
        alone.append(time.thread_time() - start)
        watched.run(None, feed)
    taken: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in json.loads(Path(watched.end_profiling()).read_text(encoding="utf-8")):
        if event.get("cat") == "Node" and event["name"].endswith(END):
            taken[event["name"][: -len(END)]].append(event)
    nodes = onnx.load(written, load_external_data=False).graph.node
    ops = [node.op_type for node in model.graph.node]
    pairs = zip(nodes, owners(nodes, sign), strict=True)
    events = [_event(taken[node.name], *owner, ops) for node, owner in pairs if node.name in taken]
    seconds_ = mean(_warm(alone))
    extra = max(0.0, sum(event["seconds"] for event in events) - seconds_) / max(1, len(events))
    return {
        "seconds": seconds_,
        "events": [event | {"seconds": max(0.0, event["seconds"] - extra)} for event in events],
    }


def names(graph: Any) -> Iterator[str]:
    """Yield the names of every node and tensor, in graphs within it too."""
    yield from (tensor.name for tensor in [*graph.input, *graph.initializer])
    for node in graph.node:
        yield from (node.name, *node.output)
        for inner in inside(node):
            yield from names(inner)


def inside(node: Any) -> list[Any]:
    """Return the graphs that are a node's attributes, such as the two of an If."""
    return [
        graph
        for attribute in node.attribute
        for graph in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]
    ]


def mark(graph: Any, outer: dict[str, str], sign: str) -> None:
    """Call node number 5 `@5` and what it gives `@5.0`, …: onnxruntime's own names are made of these.

    `outer` has the new names that a graph within a node meets; its own stay.
    """
    called = outer | {tensor.name: tensor.name for tensor in [*graph.input, *graph.initializer]}
    for number, node in enumerate(graph.node):
        called |= {name: name if outer else f"{sign}{number}.{index}" for index, name in enumerate(node.output) if name}
    for number, node in enumerate(graph.node):
        node.input[:] = [called.get(name, name) for name in node.input]
        for inner in inside(node):
            mark(inner, called, sign)
        if not outer:
            node.name = f"{sign}{number}"
            node.output[:] = [called.get(name, name) for name in node.output]
    for output in graph.output:
        output.name = called.get(output.name, output.name)
    del graph.value_info[:]


def fed(session: Any) -> dict[str, Any]:
    import numpy as np

    random, feed = np.random.default_rng(0), {}
    for input in session.get_inputs():
        dtype = {"float": "float32", "double": "float64", "float16": "float16"}.get(name := input.type[7:-1], name)
        shape = [size if isinstance(size, int) else 1 for size in input.shape]
        values = random.standard_normal(shape) if "float" in dtype else random.integers(0, 2, shape)
        feed[input.name] = np.asarray(values).astype(dtype)
    return feed


def _warm(values: list[float]) -> list[float]:
    """Return the runs that count; of a slow model there are few, and the first is not one."""
    return values[WARM:] or values[1:] or values


def mean(values: list[float]) -> float:
    fastest = sorted(values)[: max(1, round(KEPT * len(values)))]
    return sum(fastest) / len(fastest)


def owners(nodes: Any, sign: str) -> list[tuple[int | None, bool]]:
    """Return, for each node of the optimised graph, the number of the file's node it computes, and whether it is
    inserted.

    A node is called by one of the file's, or gives what one of these gives; else it prepares what its first user takes.
    """
    owner: dict[int, tuple[int | None, bool]] = {}
    users: dict[str, int] = {}
    for position, node in reversed(list(enumerate(nodes))):
        named = re.search(rf"{sign}(\d+)", node.name)
        gives = next((match for name in node.output if (match := re.match(rf"{sign}(\d+)\.", name))), None)
        user = next((users[name] for name in node.output if name in users), None)
        if named:
            owner[position] = int(named[1]), False
        elif gives:
            owner[position] = int(gives[1]), node.op_type in FORMS
        else:
            owner[position] = (None if user is None else owner[user][0]), True
        users |= dict.fromkeys(node.input, position)
    return [owner[position] for position in range(len(nodes))]


def _event(events: list[dict[str, Any]], node: int | None, inserted: bool, ops: list[str]) -> dict[str, Any]:
    arguments = events[-1]["args"]
    gives = [pair for output in arguments["output_type_shape"] for pair in output.items()]
    return {
        "node": node,
        "op": arguments["op_name"],
        "inserted": inserted and not (node is not None and ops[node] == arguments["op_name"]),
        "seconds": mean(_warm([event["dur"] for event in events])) / 1e6,
        "shape": gives[0][1] if gives else [],
        "types": [kind for kind, _ in gives],
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
