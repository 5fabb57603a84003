"""Qualcomm's AIMET on ONNX: `QuantizationSimModel`, cross-layer equalization and AdaRound, written as QDQ.

Options: `equalize` (CLE), `adaround`, its iterations for each layer, and `per_channel`. Without any they are its
defaults with its `default_config`, which stands for no accelerator. It is made to simulate Qualcomm's accelerators.
"""

from __future__ import annotations

from pathlib import Path

import aimet_onnx
import onnx
from aimet_onnx.common import quantsim_config
from aimet_onnx.cross_layer_equalization import equalize_model

from . import Job

BATCHES = 16
"""Calibration examples that AdaRound looks at."""


def main() -> None:
    job = Job.read()
    model = onnx.load(job.source)
    names = [value.name for value in model.graph.input]
    feeds = [dict(zip(names, row, strict=True)) for row in job.rows]
    if job.options.get("equalize"):
        equalize_model(model)
    config = "default_config_per_channel" if job.options.get("per_channel") else "default_config"
    sim = aimet_onnx.QuantizationSimModel(
        model,
        dummy_input=feeds[0],
        config_file=str(Path(quantsim_config.__file__).with_name(f"{config}.json")),
        providers=["CPUExecutionProvider"],
    )
    if "adaround" in job.options:
        aimet_onnx.apply_adaround(sim, feeds[:BATCHES], num_iterations=job.options["adaround"])
    sim.compute_encodings(feeds)
    onnx.save(sim.to_onnx_qdq(), job.out)
    job.done()


if __name__ == "__main__":
    main()
