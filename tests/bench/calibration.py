"""What taking ranges costs, in memory and time: EfficientNet-Lite0 at 224 pixels, here and by onnxruntime itself.

Each setting has a process of its own, on one core; its peak is that of the whole process, and its time that of the
processor: setting up is left out of it, and choosing the ranges is in it. `make bench-calibration` writes
calibration.json. The examples are parts of photographs, moved about, and made one at a time.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

SETTINGS = {
    "onnxruntime MinMax": (100,),
    "onnxruntime Percentile": (20, 60),
    "onnxruntime Entropy": (20,),
    "minmax": (100,),
    "percentile, entropy and mse": (100, 1_000, 10_000),
}
VARIANTS = 3
"""JPEGs of each photograph."""


class Moved:
    """`count` examples: the photographs in turn, each time moved a few pixels on."""

    def __init__(self, pixels: np.ndarray, count: int) -> None:
        self.pixels, self.count = pixels, count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        for turn in range(self.count):
            yield (np.roll(self.pixels[turn % len(self.pixels)], 3 * turn, axis=(1, 2)),)


def main() -> None:
    from tests.bench import results

    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        make(folder)
        rows = [measured(folder, setting, count) for setting, counts in SETTINGS.items() for count in counts]
    print(results.write("calibration", "make bench-calibration", {"rows": rows}))


def make(folder: Path) -> None:
    """The file that `recipes/efficientnet-lite.yaml` exports, and pixels for it."""
    from edgepress.models import metadata
    from edgepress.models.onnx import export
    from edgepress.stages.load import packaged

    from tests.bench.efficientnet import PACKAGE, photos

    files, examples = photos(folder, VARIANTS)
    module, _ = packaged(PACKAGE, examples)
    export.export(module, examples, folder / "float.onnx", embed=["normalize", "softmax"], raw=True)
    entry = metadata.read(folder / "float.onnx")["inputs"][0]
    np.save(folder / "pixels.npy", np.stack([metadata.photo(entry, file) for file in files]))


def measured(folder: Path, setting: str, count: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.calibration", str(folder), setting, str(count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(setting, count, found, flush=True)
    return {"setting": setting, "samples": count, **found}


def alone(folder: Path, setting: str, count: int) -> dict[str, Any]:
    """One setting, in this process: its peak in bytes, and seconds of the processor for an example."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rows = Moved(np.load(folder / "pixels.npy"), count)
    seconds = theirs(folder, setting.split()[1], rows) if "onnxruntime" in setting else ours(folder, setting, rows)
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert peak
    return {"peak": 1024 * int(peak[1]), "seconds_a_sample": seconds / count}


def ours(folder: Path, setting: str, rows: Moved) -> float:
    import onnx
    from edgepress.stages.quantize.calibration import ranges

    methods = [method for method in ranges.METHODS if method in setting]
    model = onnx.load(folder / "float.onnx")
    start = time.process_time()
    ranges.ranges(model, rows, methods=methods)
    return time.process_time() - start


def theirs(folder: Path, method: str, rows: Moved) -> float:
    import onnxruntime
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, calibrate

    source, augmented = folder / "float.onnx", folder / f"{method}.onnx"
    made = calibrate.create_calibrator(
        source, augmented_model_path=str(augmented), calibrate_method=CalibrationMethod[method]
    )
    # As `create_calibrator` sets it up, on one core.
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    made.infer_session = onnxruntime.InferenceSession(str(augmented), options, providers=["CPUExecutionProvider"])
    feeds = ({made.infer_session.get_inputs()[0].name: row[None]} for (row,) in rows)

    class Reader(CalibrationDataReader):
        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(feeds, None)

    start = time.process_time()
    made.collect_data(Reader())
    made.compute_data()
    return time.process_time() - start


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(alone(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))
    else:
        main()
