"""onnxruntime's `quantize_static`, behind its `quant_pre_process`.

Options: `per_channel`, `activations` (`QInt8`, `QUInt8`), `ranges` (`MinMax`, `Percentile`, `Entropy`), and `extra`,
its `extra_options`. Without any they are its defaults.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime import quantization as ort

from . import Job


class Reader(ort.CalibrationDataReader):
    """The examples one by one; `set_range` is what `CalibStridedMinMax` wants."""

    def __init__(self, names: list[str], rows: list[list[np.ndarray]]) -> None:
        self.names, self.rows = names, rows
        self.set_range(0, len(rows))

    def __len__(self) -> int:
        return len(self.rows)

    def set_range(self, start_index: int, end_index: int) -> None:
        self.left = iter(self.rows[start_index:end_index])

    def get_next(self) -> dict[str, np.ndarray] | None:
        row = next(self.left, None)
        return None if row is None else dict(zip(self.names, row, strict=True))


def main() -> None:
    job = Job.read()
    logging.getLogger().setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as work:
        prepared = Path(work, "prepared.onnx")
        ort.quant_pre_process(str(job.source), str(prepared), skip_symbolic_shape=True)
        given: dict[str, Any] = {"extra_options": job.options["extra"]} if "extra" in job.options else {}
        if "per_channel" in job.options:
            given["per_channel"] = job.options["per_channel"]
        if "activations" in job.options:
            given["activation_type"] = getattr(ort.QuantType, job.options["activations"])
        if "ranges" in job.options:
            given["calibrate_method"] = getattr(ort.CalibrationMethod, job.options["ranges"])
            # What it saw is the same for every kind of scale.
            given["calibration_cache_path"] = job.out.parent / _named(job.options)
        names = [each.name for each in onnx.load(prepared).graph.input]
        ort.quantize_static(str(prepared), str(job.out), Reader(names, job.rows), **given)
    job.done()


def _named(options: dict[str, Any]) -> str:
    extra = [f"{name}{value}" for name, value in sorted(options.get("extra", {}).items())]
    return "-".join(["ranges", options["ranges"], *extra]) + ".json"


if __name__ == "__main__":
    main()
