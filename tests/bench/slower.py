"""Does the gate see a model that does a fifth more work? The `mobilenet` recipe's int8 model, and the same made slower.

The slower twin runs the first part of the network a second time, on another input, and adds nothing to the answer; how
much of it is chosen by measured CPU time. Both are judged by `targets/host.yaml` as it is shipped.
`make bench-slower` (after `make compress RECIPE=mobilenet`) writes slower.json.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from statistics import median

import numpy as np
import onnx
from onnx import helper, numpy_helper

from pipeline import estimate, gate, target
from pipeline.bench import pairs, verdict
from pipeline.facts import Report, Samples
from tests.bench import results

TIMES = 5
WANTED = (1.18, 1.22)
"""Measured CPU time of the slower twin over the original's."""


def main() -> None:
    report = Report.model_validate_json(Path("runs/mobilenet/report.json").read_text(encoding="utf-8"))
    host = target.load(Path("targets/host.yaml"))
    file = gate.judged(report, host)
    assert file is not None
    original, folder = Path(file.path), Path(".edgepress/slower")
    folder.mkdir(parents=True, exist_ok=True)
    slower, ratio = _fifth_slower(original, folder / "slower.onnx")
    (pinned,) = estimate.pinned_models(host)
    reference = pairs.Model(pinned.label, estimate.build(pinned, folder))
    verdicts: dict[str, Counter[str]] = {"unchanged": Counter(), "slower": Counter()}
    for name, path in (("unchanged", original), ("slower", slower)):
        for seed in range(TIMES):
            found = _judged(report, host, [pairs.Model(file.path, path), reference], seed)
            verdicts[name][found] += 1
            print(name, seed, found, flush=True)
    print(results.write("slower", "make bench-slower", {"ratio": ratio, "verdicts": verdicts, "times": TIMES}))


def _judged(report: Report, host: target.Target, models: list[pairs.Model], seed: int) -> str:
    """The status of the host's latency budget for freshly measured `models`."""

    def with_samples(samples: list[Samples]) -> Report:
        return report.model_copy(update={"samples": samples})

    samples = pairs.measure(models, seed=seed, enough=lambda found: gate.latency_decided(with_samples(found), [host]))
    findings = gate.judge(with_samples(samples), [host])
    return next(finding.status for finding in findings if finding.check.startswith("latency"))


def _fifth_slower(original: Path, path: Path) -> tuple[Path, float]:
    """Write the twin whose measured time is nearest to a fifth more; its path and the ratio."""
    model = onnx.load(original)
    cuts = [i for i, node in enumerate(model.graph.node) if node.op_type == "QuantizeLinear"]
    low, high = 0, len(cuts) - 1
    best = (float("inf"), 0.0, model)
    while low <= high:
        middle = (low + high) // 2
        twin = _twice(model, cuts[middle])
        path.write_bytes(twin.SerializeToString())
        samples = pairs.measure([pairs.Model("one", original), pairs.Model("two", path)], looks=(6,))
        ratio, _ = verdict.spread(verdict.log_ratios(samples[1], samples[0]))
        print(f"the first {cuts[middle]} nodes twice: {ratio:.3f}x", flush=True)
        if abs(ratio - median(WANTED)) < best[0]:
            best = (abs(ratio - median(WANTED)), ratio, twin)
        if WANTED[0] <= ratio <= WANTED[1]:
            break
        low, high = (middle + 1, high) if ratio < WANTED[0] else (low, middle - 1)
    path.write_bytes(best[2].SerializeToString())
    return path, best[1]


def _twice(model: onnx.ModelProto, last: int) -> onnx.ModelProto:
    """The graph with its nodes up to `last` run once more on half the input, into an answer that is multiplied by 0."""
    twin = onnx.ModelProto()
    twin.CopyFrom(model)
    graph = twin.graph
    begin, end = graph.input[0].name, graph.output[0].name
    renamed = {begin: "again_input"}
    extra = [helper.make_node("Mul", [begin, "again_half"], ["again_input"])]
    for node in list(graph.node)[: last + 1]:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.name = f"again_{node.name}"
        del copy.input[:], copy.output[:]
        copy.input.extend(renamed.get(name, name) for name in node.input)
        renamed |= {name: f"again_{name}" for name in node.output}
        copy.output.extend(renamed[name] for name in node.output)
        extra.append(copy)
    quantize = graph.node[last]
    extra += [
        helper.make_node("DequantizeLinear", [renamed[quantize.output[0]], *quantize.input[1:]], ["again_float"]),
        helper.make_node("ReduceMax", ["again_float"], ["again_one"], keepdims=0),
        helper.make_node("Mul", ["again_one", "again_zero"], ["again_nothing"]),
        helper.make_node("Add", ["again_answer", "again_nothing"], [end]),
    ]
    for node in graph.node:
        node.output[:] = ["again_answer" if name == end else name for name in node.output]
    graph.initializer.append(numpy_helper.from_array(np.float32(0.5), "again_half"))
    graph.initializer.append(numpy_helper.from_array(np.float32(0), "again_zero"))
    graph.node.extend(extra)
    _sort(graph)
    onnx.checker.check_model(twin)
    return twin


def _sort(graph: onnx.GraphProto) -> None:
    """Nodes in an order in which every input is made before it is read."""
    known = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer} | {""}
    waiting, done = list(graph.node), []
    while waiting:
        ready = [node for node in waiting if known.issuperset(node.input)]
        done += ready
        known |= {name for node in ready for name in node.output}
        waiting = [node for node in waiting if node not in ready]
    del graph.node[:]
    graph.node.extend(done)


if __name__ == "__main__":
    main()
