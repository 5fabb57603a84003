"""NNCF's ONNX backend: `nncf.quantize`, or `nncf.quantize_with_accuracy_control`.

Options: `preset` (`performance`, `mixed`), `fast_bias_correction` and `per_tensor`: it gives the input of a depthwise
convolution a scale for each channel, which onnxruntime computes in float, or refuses. With `max_drop`, the share of
examples that may be lost, accuracy is controlled on the examples and labels of the file `validation`. Without any they
are its defaults. With `metric: map` it is the mean average precision of the validation split of `data`, of a recipe.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nncf
import numpy as np
import onnx
import onnxruntime
from nncf.quantization.advanced_parameters import QuantizationParameters

from . import Job

CONTROLLED = 256
"""Pictures by which accuracy is controlled."""


def main() -> None:
    job = Job.read()
    options = dict(job.options)
    model = onnx.load(job.source)
    names = [each.name for each in model.graph.input]
    calibration = nncf.Dataset([dict(zip(names, row, strict=True)) for row in job.rows])
    given: dict[str, Any] = {"subset_size": len(job.rows)}
    if "preset" in options:
        given["preset"] = nncf.QuantizationPreset(options["preset"])
    if "fast_bias_correction" in options:
        given["fast_bias_correction"] = options["fast_bias_correction"]
    if options.get("per_tensor"):
        scales = QuantizationParameters(per_channel=False)
        name = "advanced_quantization_parameters" if "max_drop" in options else "advanced_parameters"
        given[name] = nncf.AdvancedQuantizationParameters(activations_quantization_params=scales)
    if "max_drop" in options:
        if options.get("metric") == "map":
            pictures, value = _detections(job.source, options["data"], names)
            validation = nncf.Dataset(pictures, lambda item: item[0])
        else:
            validation, value = nncf.Dataset(_labelled(Path(options["validation"]), names)), _accuracy
        made = nncf.quantize_with_accuracy_control(
            model, calibration, validation, value, max_drop=options["max_drop"], **given
        )
    else:
        made = nncf.quantize(model, calibration, **given)
    onnx.save(made, job.out)
    job.done()


def _labelled(path: Path, names: list[str]) -> list[tuple[dict[str, np.ndarray], int]]:
    with np.load(path) as stored:
        *columns, labels = (stored[name] for name in stored.files)
    feeds = [dict(zip(names, (value[None] for value in row), strict=True)) for row in zip(*columns, strict=True)]
    return list(zip(feeds, labels.tolist(), strict=True))


def _detections(source: Path, data: str | dict[str, Any], names: list[str]) -> tuple[list[Any], Any]:
    """Return pictures of the validation split with their numbers, and what scores a model on those that it is given."""
    from edgepress.core.columns import joined
    from edgepress.core.metrics import METRICS
    from edgepress.data.load import load_dataset
    from edgepress.data.source import Source
    from edgepress.models.metadata import read, to_logits, to_model_inputs

    found = load_dataset(data if isinstance(data, str) else Source.model_validate(data))
    contract, split = read(source), found["validation"]
    columns = to_model_inputs(contract, found, split.x[:CONTROLLED])
    feeds = [dict(zip(names, (v[None] for v in row), strict=True)) for row in zip(*columns, strict=True)]
    outputs = [entry["name"] for entry in contract["outputs"]]

    def value(model: onnx.ModelProto, examples: Iterable[tuple[dict[str, np.ndarray], int]]) -> tuple[float, None]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        rows, numbers = zip(*((session.run(outputs, feed), number) for feed, number in examples), strict=True)
        heads = {name: np.concatenate([row[at] for row in rows]) for at, name in enumerate(outputs)}
        metric = METRICS["map"].of_task["detection"]
        return metric.value(metric.collected(to_logits(joined(heads), contract, found), split.y[list(numbers)])), None

    return [(feed, number) for number, feed in enumerate(feeds)], value


def _accuracy(
    model: onnx.ModelProto, examples: Iterable[tuple[dict[str, np.ndarray], int]]
) -> tuple[float, list[float]]:
    """The share of the examples that are right, and 1 or 0 for each."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    right = [float(session.run(None, feed)[0].argmax() == label) for feed, label in examples]
    return float(np.mean(right)), right


if __name__ == "__main__":
    main()
