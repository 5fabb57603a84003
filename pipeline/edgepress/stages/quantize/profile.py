"""Profile each operator of a graph in onnxruntime, in float and int8."""

from __future__ import annotations

import json
import math
import re
import statistics
import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnx

from ...core.paths import scratch
from ...models.onnx.uint8 import WEIGHTED
from .qdq import Plan

_RUNS, _LEAST_RUNS, _SECONDS = 40, 12, 0.25
"""Runs of a profile; fewer of a large graph, which has more microseconds to average, after so many seconds."""
_NODE = re.compile(r"(?<![A-Za-z0-9])ep(\d+)(?![0-9])")
_KERNEL = "_kernel_time"
_LEAST = 1.0
"""Microseconds that a conversion takes at least, with what it takes to call a kernel."""

Times = list[tuple[str, str, float]]
"""Operator, name and microseconds of every kernel of a session, in the order in which they run."""


def renamed(plan: Plan) -> tuple[Plan, dict[str, str]]:
    """Name the nodes and their results `ep0`, `ep1` …; return the plan, and new → old name.

    onnxruntime derives the names of its kernels from those of nodes or results, so that kernels are found again.
    """
    model = onnx.ModelProto()
    model.CopyFrom(plan.graph)
    outputs = {value.name for value in model.graph.output}
    tensors: dict[str, str] = {}
    nodes: dict[str, str] = {}
    for index, node in enumerate(model.graph.node):
        nodes[node.name] = f"ep{index}"
        for place, name in enumerate(node.output):
            if name and name not in outputs:
                tensors[name] = f"ep{index}" if place == 0 else f"ep{index}/{place}"
    for node in model.graph.node:
        node.name = nodes[node.name]
        node.input[:] = [tensors.get(name, name) for name in node.input]
        node.output[:] = [tensors.get(name, name) for name in node.output]
    for value in model.graph.value_info:
        value.name = tensors.get(value.name, value.name)
    known = replace(
        plan,
        graph=model,
        ranges={tensors.get(name, name): bounds for name, bounds in plan.ranges.items()},
        floats=frozenset(nodes[name] for name in plan.floats),
        exact=frozenset(nodes[name] for name in plan.exact),
        coarse=None,  # other numbers, in the same time
    )
    return known, {new: old for old, new in nodes.items()}


def profiled(model: onnx.ModelProto) -> Times:
    """Profile a session of one thread on random inputs."""
    import onnxruntime

    with scratch() as work:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(work, "profile"))
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        random = np.random.default_rng(0)
        types = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32}
        feed = {
            value_info.name: (
                random.random(value_info.shape) if "float" in value_info.type else np.zeros(value_info.shape)
            ).astype(types.get(value_info.type, np.uint8))
            for value_info in session.get_inputs()
        }
        until = time.perf_counter() + _SECONDS
        for done in range(_RUNS):
            if done >= _LEAST_RUNS and time.perf_counter() > until:
                break
            session.run(None, feed)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    kernel_times: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_KERNEL):
            kernel_times[event["args"]["op_name"], event["name"].removesuffix(_KERNEL)].append(event["dur"])
    return [(operator, name, _typical(durations)) for (operator, name), durations in kernel_times.items()]


def _typical(durations: list[float]) -> float:
    """Return the mean of the faster three quarters: whole microseconds are too coarse for a median."""
    return statistics.fmean(sorted(durations)[: max(1, len(durations) * 3 // 4)])


@dataclass
class Profile:
    """Times of a renamed plan's nodes, and prices of conversions, from profiles of float, int8 and mixed graphs."""

    plan: Plan
    nodes: list[str] = field(init=False)
    tensors: dict[str, tuple[str | None, list[str]]] = field(init=False)
    """Computed tensors and inputs: who makes it (nobody makes an input), and who reads it."""
    _times: dict[tuple[str, bool], float] = field(default_factory=dict)
    _conversions: list[tuple[int, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        graph = self.plan.graph.graph
        self.nodes = [node.name for node in graph.node]
        constant = {tensor.name for tensor in graph.initializer}
        makers: dict[str, str | None] = {value.name: None for value in graph.input if value.name not in constant}
        makers |= {name: node.name for node in graph.node for name in node.output if name}
        self.tensors = {name: (maker, []) for name, maker in makers.items()}
        for node in graph.node:
            for name in dict.fromkeys(node.input):
                if name in self.tensors:
                    self.tensors[name][1].append(node.name)
        self._elements = {
            value.name: math.prod(axis.dim_value for axis in value.type.tensor_type.shape.dim)
            for value in (*graph.value_info, *graph.input, *graph.output)
        }
        self._results = {node.output[0]: node.name for node in graph.node}
        self._kinds = {node.name: node.op_type for node in graph.node}

    def learn(self, times: Times, floats: frozenset[str]) -> None:
        """Take in a profile of the graph in which the nodes `floats` are float; what is known already is averaged.

        Kernels without a name of ours change layouts; they count to the node that runs next.
        """
        mine: dict[str, float] = defaultdict(float)
        waiting = 0.0
        for operator, name, microseconds in times:
            node = self._node(name)
            if operator in ("QuantizeLinear", "DequantizeLinear"):
                tensor = name.removesuffix("_QuantizeLinear").removesuffix("_DequantizeLinear")
                if tensor in self._elements:
                    self._conversions.append((self._elements[tensor], microseconds))
            elif node is None:
                waiting += microseconds
            else:
                mine[node] += microseconds + waiting
                waiting = 0.0
        self._unfuse(mine)
        for node in self.nodes:
            key = node, node in floats
            value = mine.get(node, 0.0)  # fused into another, or there for nothing
            self._times[key] = (self._times[key] + value) / 2 if key in self._times else value

    def _unfuse(self, mine: dict[str, float]) -> None:
        """Give the time of a fused convolution back to it: the kernel has the name of the last operator."""
        readers = {maker: names for maker, names in self.tensors.values() if maker}
        for node in self.nodes:
            last = node
            while self._kinds[node] in WEIGHTED and node not in mine and len(readers.get(last, [])) == 1:
                last = readers[last][0]
                if self._kinds[last] in WEIGHTED:
                    break
                if last in mine:
                    mine[node] = mine.pop(last)

    def float_time(self, node: str) -> float:
        return self._times.get((node, True), 0.0)

    def integer_time(self, node: str) -> float:
        return self._times.get((node, False), 0.0)

    def may_be_integer(self, node: str) -> bool:
        """Whether onnxruntime's quantizer supports the operator, and the plan does not hold it in float."""
        from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

        return node not in self.plan.floats and self._kinds[node] in {*QDQRegistry, *QLinearOpsRegistry}

    def cost(self, floats: frozenset[str]) -> float:
        """Return microseconds of the mixture with these nodes in float; what somebody reads in the other kind is
        converted once."""
        total = sum(self.float_time(node) if node in floats else self.integer_time(node) for node in self.nodes)
        for tensor, (maker, readers) in self.tensors.items():
            made_float = maker is None or maker in floats
            others = any((reader in floats) != made_float for reader in readers)
            if others or (not readers and not made_float):
                total += self.conversion(tensor)
        return total

    def conversion(self, tensor: str) -> float:
        """Return microseconds to quantize or dequantize it: a line through the conversions of this graph."""
        base, slope = self._line()
        return base + slope * self._elements.get(tensor, 0)

    def _line(self) -> tuple[float, float]:
        if len({elements for elements, _ in self._conversions}) < 2:
            return 2 * _LEAST, 0.0
        elements, times = np.array(self._conversions, np.float64).T
        slope, base = np.polyfit(elements, times, 1)
        return _LEAST + max(float(base), _LEAST), max(float(slope), 0.0)

    def _node(self, kernel: str) -> str | None:
        for tensor, node in self._results.items():
            if not tensor.startswith("ep") and tensor in kernel:  # the graph's own outputs keep their names
                return node
        match = _NODE.search(kernel)
        return f"ep{match[1]}" if match else None
