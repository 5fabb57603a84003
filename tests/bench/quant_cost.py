"""What quantizing EfficientNet-Lite0 costs: seconds, peak memory and SQNR, here and by others, a process for each.

Seconds are of quantizing alone, the checks and timings of ours among them; `stage` is with the metric of each file that
is made. The peak is of the whole process, its imports and data too. `make bench-quant-cost` writes quant-cost.json.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from edgepress.benchmark.worker import peak
from edgepress.stages.quantize import ptq

from tests.bench import results
from tests.bench.quant import EXPORT, INT8, ROOT, Subject
from tests.bench.quant_models import CASES
from tests.bench.quant_settings import ORT, PYTHON, Options

NAME = "efficientnet"
EFFORTS = ("full", "fast")
PEERS: dict[str, tuple[str, Options]] = {
    "onnxruntime": ("ort", {}),
    "onnxruntime, per channel, uint8": ("ort", ORT[0]),
    "NNCF": ("nncf", {}),
}


def main() -> None:
    subject = Subject.of(NAME)
    rows = [*(ours(subject, effort) for effort in EFFORTS), *(theirs(subject, method) for method in PEERS)]
    facts = {"model": subject.case.title, "samples": len(subject.seen), "images": len(subject.data["test"].y)}
    print(results.write("quant-cost", "make bench-quant-cost", {**facts, "rows": rows}))


def ours(subject: Subject, effort: str) -> dict[str, Any]:
    """Run `quantize.static` with a cache that has the float model alone."""
    printed = output([sys.executable, "-m", "tests.bench.quant_cost", effort], "", ROOT)
    cost: dict[str, Any] = json.loads(printed.splitlines()[-1])
    files = cost.pop("files")
    return shown(
        {
            "method": f"edgepress, effort: {effort}",
            **cost,
            "sqnr": {each: db(subject, Path(files[each])) for each in files},
        }
    )


def run(effort: str) -> None:
    """In a process of its own: quantize, and print seconds, bytes and files."""
    stage, spent = INT8 if effort == "full" else {**INT8, "effort": effort}, []
    quantize = ptq.quantize_static

    def timed(*arguments: Any, **options: Any) -> Any:
        started = time.monotonic()
        try:
            return quantize(*arguments, **options)
        finally:
            spent.append(round(time.monotonic() - started, 1))

    ptq.quantize_static = timed
    int8 = CASES[NAME].run(NAME, [EXPORT, stage]).results["int8"]
    if int8.facts.cached:
        shutil.rmtree(int8.entry.folder)
        int8 = CASES[NAME].run(NAME, [EXPORT, stage]).results["int8"]
    files = {preset: str(int8.artifact.preset(preset).resolve()) for preset in int8.artifact.presets}
    seconds = {"seconds": spent[-1], "stage": round(int8.facts.seconds, 1)}
    print(json.dumps({**seconds, "memory": peak(), "files": files}))


def theirs(subject: Subject, method: str) -> dict[str, Any]:
    peer, options = PEERS[method]
    python = ROOT / PYTHON if (ROOT / PYTHON).is_file() else Path(sys.executable)
    with tempfile.TemporaryDirectory() as work:
        out = Path(work, "out.onnx")
        files = {"source": subject.onnx, "calibration": subject.calibration, "out": out}
        job = {**{name: str(path.resolve()) for name, path in files.items()}, "options": options}
        try:
            output([str(python), "-m", f"tests.bench.peers.{peer}"], json.dumps(job), Path(work))
        except subprocess.CalledProcessError as error:
            return shown({"method": method, "options": options, "refused": error.stderr.strip().splitlines()[-1]})
        cost = {"seconds": float(read(out, ".seconds")), "memory": int(read(out, ".memory"))}
        return shown({"method": method, "options": options, **cost, "sqnr": db(subject, out)})


def output(command: list[str], input: str, folder: Path) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "NNCF_CI": "1", "PYTHONPATH": f"{ROOT / 'pipeline'}:{ROOT}"}
    done = subprocess.run(command, input=input, text=True, capture_output=True, env=environment, check=True, cwd=folder)
    return done.stdout


def read(out: Path, suffix: str) -> str:
    return out.with_suffix(suffix).read_text(encoding="utf-8")


def db(subject: Subject, file: Path) -> float:
    return round(subject.sqnr(file, "test"), 2)


def shown(row: dict[str, Any]) -> dict[str, Any]:
    print(row, flush=True)
    return row


if __name__ == "__main__":
    run(sys.argv[1]) if sys.argv[1:] else main()
