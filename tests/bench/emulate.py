"""What the files of the `mobilenet` recipe answer on the instruction sets of boards, on every test image.

`make bench-emulate` (after `make compress RECIPE=mobilenet` and `edgepress doctor --install-emulator`) writes
emulate.json: accuracy, how many answers are this machine's, and what a target with a budget of one point for int8 says.
And whether a run goes red for a file that only x86 gets right: the x86 one with its input rounded by hand in a way
that C++ leaves open (`tests.graphs.wrapping`).
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import onnx
from edgepress.benchmark.emulator import qemu
from edgepress.config.target import Target
from edgepress.core.metrics import METRICS
from edgepress.core.results import Emulated, ModelFile, Report, Runtime, StageFacts
from edgepress.data.load import load_dataset
from edgepress.engine.cache import Cache
from edgepress.engine.emulated import scored
from edgepress.engine.run import run
from edgepress.gate import judge, scores

from tests import graphs
from tests.bench import results

FILES: dict[str, list[tuple[str, Runtime]]] = {
    "float": [("float.onnx", "onnxruntime"), ("float-tflite.tflite", "tflite-runtime")],
    "int8": [
        ("int8.xnnpack.onnx", "onnxruntime"),
        ("int8.x86.onnx", "onnxruntime"),
        ("int8-tflite.tflite", "litert"),
        ("int8-tflite.tflite", "tflite-runtime"),
    ],
}
LIMIT = "1 point"
RECIPE = """\
name: x86-only
task: {data: fashion-mnist-10k, metric: accuracy}
stages: [{use: load, name: x86-only, from: model.onnx}]
targets: [board.yaml]
"""
TARGET = "name: raspberry-pi-4\nruntime: onnxruntime\nbudgets: {accuracy: 85%}\n"


def main() -> None:
    report = Report.model_validate_json(Path("runs/mobilenet/report.json").read_text(encoding="utf-8"))
    images = load_dataset(str(report.data["name"]))
    files = {Path(file.path).name: (stage, file) for stage in report.stages for file in stage.files}
    reference, rows, cache = files["float.onnx"], [], Cache(Path(".edgepress"))
    for kind, asked in FILES.items():
        for name, runtime in asked:
            stage, file = files[name]
            for cpu in qemu.CPUS:
                found = scored(file, cpu, runtime, images, METRICS["accuracy"], cache.make)
                assert not found.error
                drop = scores.accuracy_drop(reference[1].correct, found.correct, 0)
                row: dict[str, Any] = {"file": name, "precision": kind, "cpu": cpu, "runtime": runtime}
                row |= {
                    "accuracy": found.scores["accuracy"],
                    "agreement": found.agreement,
                    "images": len(found.correct),
                }
                row |= {"drop": drop.value, "interval": drop.interval, "here": file.scores["test"]["accuracy"]}
                row["verdict"] = _judged(report, (reference[0], stage, file), runtime, found)
                rows.append(row)
                print(row, flush=True)
    only = x86_only(Path(files["int8.x86.onnx"][1].path))
    limits = {"x86_only": only, "limit": LIMIT, "reference": reference[1].scores["test"]["accuracy"]}
    print(results.write("emulate", "make bench-emulate", {"rows": rows, "emulator": qemu.versions()} | limits))


def x86_only(path: Path) -> dict[str, Any]:
    """Exit code and finding of a run whose target does not emulate its processor, and of one that does."""
    found = {}
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        onnx.save(graphs.wrapping(onnx.load(path)), folder / "model.onnx")
        (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
        for name, option in (("without", ""), ("with", "emulate: cortex-a72\n")):
            (folder / "board.yaml").write_text(option + TARGET, encoding="utf-8")
            record = folder / f"{name}.json"
            places = {"cache": folder / "cache", "runs": folder / "runs"}
            code = run(folder / "recipe.yaml", **places, limit=None, formats=["text", f"json={record}"])
            (finding,) = json.loads(record.read_text(encoding="utf-8"))["findings"]
            found[name] = {"exit": code} | {key: finding[key] for key in ("status", "label", "value", "interval")}
    return found


def _judged(
    report: Report, chain: tuple[StageFacts, StageFacts, ModelFile], runtime: Runtime, found: Emulated
) -> dict[str, str]:
    """The status of a target's budget for accuracy: by this machine's answers, and by the board's."""
    reference, stage, file = chain
    facts: dict[str, Any] = {"name": "board", "runtime": runtime, "budgets": {"accuracy_drop": LIMIT}}
    target = Target.model_validate(facts | {"emulate": found.cpu, "preset": "x86" if "x86" in file.path else "xnnpack"})
    only = stage.model_copy(update={"files": [file]})
    alone = report.model_copy(update={"stages": [reference, only], "reference": reference.name, "keep": None})
    statuses = {}
    for name, emulated in (("here", {}), ("emulated", {"board": [found]})):
        (finding,) = judge.judge(alone.model_copy(update={"emulated": emulated}), [target])
        statuses[name] = finding.status
    return statuses


if __name__ == "__main__":
    main()
