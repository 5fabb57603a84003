"""Train a QDQ graph (quantization-aware training, QAT), and write it back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from ....core.errors import UserError
from ....models import decoder, metadata
from ....models.predict import in_torch
from .module import Graph

if TYPE_CHECKING:
    from ....data.dataset import Dataset
    from ....models.detectors import Detector

__all__ = ["Graph", "Learner", "check"]

TOLERANCE = 0.01
"""Largest mean difference of torch's outputs from onnxruntime's, as a share of the largest output."""


class Learner(nn.Module):
    """A QDQ graph with the inputs of the task's networks, and with their outputs: logits, values, or joined heads.

    `edgepress` is what is known of a detector, as a network in torch has it.
    """

    def __init__(self, model: onnx.ModelProto, source: onnx.ModelProto, data: Dataset, *, largest: int = 127) -> None:
        super().__init__()
        contract = metadata.read_onnx(model)
        self.flat = data.task in metadata.LABEL_TASKS
        self.names = [entry["name"] for entry in contract["outputs"]]
        self.edgepress: Detector | None = None
        if data.task == "detection":
            from ....models.detectors import Detector

            self.edgepress = Detector(
                decoder.read(contract), len(data.labels), (data.input.shape[1], data.input.shape[2])
            )
        self.probable = contract["outputs"][0]["meaning"] == "probabilities"
        self.graph = Graph(model, source, logits=self.probable, largest=largest)
        self.pixels = [
            declared if entry["dtype"] == "uint8" else None
            for entry, declared in zip(contract["inputs"], data.inputs, strict=True)
        ]

    def forward(self, *inputs: Tensor) -> Tensor:
        """Map one tensor (b, *shape) an input to (b, labels), to maps (b, …), or to heads (b, places, columns)."""
        pixels = [
            x if declared is None else torch.from_numpy(declared.raw(x.cpu().numpy())).to(x.device)
            for x, declared in zip(inputs, self.pixels, strict=True)
        ]
        outputs = self.graph(*pixels)
        if self.edgepress is not None:
            columns = (outputs,) if isinstance(outputs, Tensor) else outputs
            return self.heads(dict(zip(self.names, columns, strict=True)), torch.cat)
        return outputs.flatten(1) if self.flat else outputs

    def heads(self, columns: Mapping[str, Any], join: Callable[..., Any]) -> Any:
        """Return outputs (b, …) by name as heads side by side, (b, places, columns)."""
        assert self.edgepress is not None
        return decoder.joined(columns, self.edgepress.decode, self.edgepress.classes, join)


def check(learner: Learner, model: onnx.ModelProto, data: Dataset, count: int = 64) -> float:
    """Return the mean difference of the learner's outputs from those of `model`, as a share of the largest.

    onnxruntime takes every node literally here: integer kernels round a little otherwise, or saturate on old x86.
    Raises: UserError when it is above `TOLERANCE`.
    """
    x = data["validation"].x[:count]
    outputs = in_torch(learner.eval(), data.to_model_inputs(x))
    if learner.probable:
        outputs = outputs.softmax(1) if data.targets.link == "softmax" else outputs.sigmoid()
    columns = _literally(model, metadata.to_model_inputs(metadata.read_onnx(model), data, x))
    expected = next(iter(columns.values())) if learner.edgepress is None else learner.heads(columns, np.concatenate)
    expected = expected.reshape(outputs.shape)
    error = float(np.abs(outputs.numpy() - expected).mean() / max(float(np.abs(expected).max()), 1e-6))
    if not error <= TOLERANCE:
        raise UserError(
            f"torch and onnxruntime differ on this graph by {error:.1%} of the largest output",
            "`use: quantize.static` quantizes it without training; report the operators that it has",
        )
    return error


def _literally(model: onnx.ModelProto, columns: tuple[Any, ...]) -> dict[str, np.ndarray]:
    """Return the outputs float32 (n, …) by name, where the batch of 1 is an example."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_inputs()]
    rows = [dict(zip(names, (item[None] for item in row), strict=True)) for row in zip(*columns, strict=True)]
    found = [session.run(None, row) for row in rows]
    return {
        item.name: np.concatenate([row[place] for row in found]).astype(np.float32)
        for place, item in enumerate(session.get_outputs())
    }
