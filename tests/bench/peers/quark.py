"""AMD Quark's ONNX quantizer: its preset A8W8, cross-layer equalization, AdaRound and AdaQuant.

Options: `per_channel` (weights), `activations` (`int8`, `uint8`), `ranges` (`MinMax`, `Percentile`), `equalize`, and
`finetune` (`adaround`, `adaquant`) with its `iterations` for each layer. Without any it is A8W8 as it comes, which is
made for AMD's NPUs.
"""

from __future__ import annotations

import copy
from typing import Any

import onnx
from quark.onnx import ModelQuantizer
from quark.onnx.quantization.config import algorithm, custom_config, spec

from . import Job
from .ort import Reader

FINETUNED_ON = 64
"""Calibration examples that AdaRound and AdaQuant look at."""


def main() -> None:
    job = Job.read()
    config = copy.deepcopy(custom_config.A8W8_QCONFIG)
    options = job.options
    if "ranges" in options or "per_channel" in options or "activations" in options:
        ranges: dict[str, Any] = {}
        if "ranges" in options:
            ranges["calibration_method"] = getattr(spec.CalibMethod, options["ranges"])
        kind = spec.UInt8Spec if options.get("activations") == "uint8" else spec.Int8Spec
        whole = spec.QuantGranularity.Channel if options.get("per_channel") else spec.QuantGranularity.Tensor
        config.global_config = spec.QLayerConfig(
            activation=kind(**ranges), weight=spec.Int8Spec(quant_granularity=whole, **ranges)
        )
    algorithms: list[algorithm.AlgoConfig] = [algorithm.CLEConfig(cle_steps=-1)] if options.get("equalize") else []
    if "finetune" in options:
        kinds = {"adaround": algorithm.AdaRoundConfig, "adaquant": algorithm.AdaQuantConfig}
        rates = {"adaround": 0.1, "adaquant": 1e-5}
        algorithms.append(kinds[options["finetune"]](
            data_size=FINETUNED_ON, batch_size=2, num_iterations=options["iterations"],
            learning_rate=rates[options["finetune"]], early_stop=True,
        ))  # fmt: skip
    if algorithms:
        config.algo_config = algorithms
    names = [value.name for value in onnx.load(job.source).graph.input]
    ModelQuantizer(config).quantize_model(str(job.source), str(job.out), Reader(names, job.rows))
    job.done()


if __name__ == "__main__":
    main()
