"""Does the gate see a model that does a fifth more work? The `mobilenet` recipe's int8 model, and the same made slower.

The slower twin runs the last part of the network a second time, on other values, and adds nothing to the answer; how
much of it is chosen by measured CPU time. Both are judged by `targets/host.yaml` with a limit a tenth above what the
original is measured at.
`make bench-slower` (after `make compress RECIPE=mobilenet`) writes slower.json.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
from edgepress.benchmark import paired, statistics
from edgepress.config import target
from edgepress.core.results import Report, Samples
from edgepress.core.units import Relative
from edgepress.engine import references
from edgepress.gate import judge, published
from onnx import helper, numpy_helper

from tests.bench import results

TIMES = 5
WANTED = 1.2
"""Measured CPU time of the slower twin over the original's."""
SLACK = 1.1
"""The limit over what the original takes."""


def main() -> None:
    report = Report.model_validate_json(Path("runs/mobilenet/report.json").read_text(encoding="utf-8"))
    host = target.load(Path("targets/host.yaml"))
    file = judge.judged(report, host)
    assert file is not None
    original, folder = Path(file.path), Path(".edgepress/slower")
    folder.mkdir(parents=True, exist_ok=True)
    slower, ratio = _fifth_slower(original, folder / "slower.onnx")
    (pinned,) = published.pinned_models(host)
    reference = paired.Model(pinned.label, references.build(pinned, folder))
    mine, theirs = paired.measure([paired.Model("original", original), reference], looks=(16,))
    limit = SLACK * statistics.spread(statistics.log_ratios(mine, theirs))[0]
    host = _limited(host, limit)
    verdicts: dict[str, Counter[str]] = {"unchanged": Counter(), "slower": Counter()}
    for name, path in (("unchanged", original), ("slower", slower)):
        for seed in range(TIMES):
            found = _judged(report, host, [paired.Model(file.path, path), reference], seed)
            verdicts[name][found] += 1
            print(name, seed, found, flush=True)
    found = {"ratio": ratio, "limit": limit, "verdicts": verdicts, "times": TIMES}
    print(results.write("slower", "make bench-slower", found))


def _limited(host: target.Target, ratio: float) -> target.Target:
    """The target with another limit for its latency, of the same reference."""
    latency = host.budgets.latency
    assert latency is not None
    assert isinstance(latency.limit, Relative)
    limit = Relative(ratio, latency.limit.model)
    budgets = host.budgets.model_copy(update={"latency": latency.model_copy(update={"limit": limit})})
    return host.model_copy(update={"budgets": budgets})


def _judged(report: Report, host: target.Target, models: list[paired.Model], seed: int) -> str:
    """The status of the host's latency budget for freshly measured `models`."""

    def with_samples(samples: list[Samples]) -> Report:
        return report.model_copy(update={"samples": samples})

    samples = paired.measure(models, seed=seed, enough=lambda found: judge.latency_decided(with_samples(found), [host]))
    findings = judge.judge(with_samples(samples), [host])
    return next(finding.status for finding in findings if finding.check.startswith("latency"))


def _fifth_slower(original: Path, path: Path) -> tuple[Path, float]:
    """Write the twin whose measured time is nearest to a fifth more; its path and the ratio."""
    model = onnx.load(original)
    cuts = _activations(model.graph)
    low, high = 0, len(cuts) - 1
    best = (float("inf"), 0.0, model)
    while low <= high:
        middle = (low + high) // 2
        twin = _twice(model, cuts[middle])
        path.write_bytes(twin.SerializeToString())
        samples = paired.measure([paired.Model("one", original), paired.Model("two", path)], looks=(6,))
        ratio, _ = statistics.spread(statistics.log_ratios(samples[1], samples[0]))
        print(f"all that follows activation {middle} of {len(cuts)} twice: {ratio:.3f}x", flush=True)
        best = min(best, (abs(ratio - WANTED), ratio, twin), key=lambda each: each[0])
        low, high = (middle + 1, high) if ratio > WANTED else (low, middle - 1)
    path.write_bytes(best[2].SerializeToString())
    return path, best[1]


def _activations(graph: onnx.GraphProto) -> list[str]:
    """Float tensors that hang on the input, in the order they are made."""
    found, reached = [], {each.name for each in graph.input}
    for node in graph.node:
        if reached.isdisjoint(node.input):
            continue
        reached.update(node.output)
        if node.op_type != "QuantizeLinear" and graph.output[0].name not in node.output:
            found += node.output
    return found


def _twice(model: onnx.ModelProto, tensor: str) -> onnx.ModelProto:
    """The graph with all that follows float `tensor` run once more from half its values, times 0 in the answer."""
    twin = onnx.ModelProto()
    twin.CopyFrom(model)
    graph = twin.graph
    end = graph.output[0].name
    renamed = {tensor: "again_begun"}
    extra = [helper.make_node("Mul", [tensor, "again_half"], ["again_begun"])]
    for node in graph.node:
        if renamed.keys().isdisjoint(node.input):
            continue
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.name = f"again_{node.name}"
        copy.input[:] = [renamed.get(name, name) for name in copy.input]
        renamed |= {name: f"again_{name}" for name in node.output}
        copy.output[:] = [renamed[name] for name in node.output]
        extra.append(copy)
    extra += [
        helper.make_node("Mul", [renamed[end], "again_zero"], ["again_nothing"]),
        helper.make_node("Add", ["first_answer", "again_nothing"], [end]),
    ]
    for node in graph.node:
        node.output[:] = ["first_answer" if name == end else name for name in node.output]
        node.input[:] = ["first_answer" if name == end else name for name in node.input]
    graph.initializer.append(numpy_helper.from_array(np.float32(0.5), "again_half"))
    graph.initializer.append(numpy_helper.from_array(np.float32(0), "again_zero"))
    graph.node.extend(extra)
    onnx.checker.check_model(twin)
    return twin


if __name__ == "__main__":
    main()
