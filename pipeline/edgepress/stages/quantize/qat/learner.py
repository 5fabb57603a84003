"""Train a QDQ graph (quantization-aware training, QAT), and write it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from ....core.errors import UserError
from ....models import metadata
from ....models.predict import in_torch
from .module import Graph

if TYPE_CHECKING:
    from ....data.dataset import Dataset

__all__ = ["Graph", "Learner", "check"]

TOLERANCE = 0.01
"""Largest mean difference of torch's outputs from onnxruntime's, as a share of the largest output."""


class Learner(nn.Module):
    """A QDQ graph with the inputs of the task's networks, and with logits or values as outputs."""

    def __init__(self, model: onnx.ModelProto, source: onnx.ModelProto, data: Dataset, *, largest: int = 127) -> None:
        super().__init__()
        contract = metadata.read_onnx(model)
        self.flat = data.task in metadata.LABEL_TASKS
        self.probable = contract["outputs"][0]["meaning"] == "probabilities"
        self.graph = Graph(model, source, logits=self.probable, largest=largest)
        self.pixels = [
            declared if entry["dtype"] == "uint8" else None
            for entry, declared in zip(contract["inputs"], data.inputs, strict=True)
        ]

    def forward(self, *inputs: Tensor) -> Tensor:
        """Map one tensor (b, *shape) an input to (b, labels), or to maps (b, …) of a task that has them."""
        pixels = [
            x if declared is None else torch.from_numpy(declared.raw(x.cpu().numpy())).to(x.device)
            for x, declared in zip(inputs, self.pixels, strict=True)
        ]
        logits: Tensor = self.graph(*pixels)
        return logits.flatten(1) if self.flat else logits


def check(learner: Learner, model: onnx.ModelProto, data: Dataset, count: int = 64) -> float:
    """Return the mean difference of the learner's outputs from those of `model`, as a share of the largest.

    onnxruntime takes every node literally here: integer kernels round a little otherwise, or saturate on old x86.
    Raises: UserError when it is above `TOLERANCE`.
    """
    x = data["validation"].x[:count]
    outputs = in_torch(learner.eval(), data.to_model_inputs(x))
    if learner.probable:
        outputs = outputs.softmax(1) if data.targets.link == "softmax" else outputs.sigmoid()
    expected = _literally(model, metadata.to_model_inputs(metadata.read_onnx(model), data, x)).reshape(outputs.shape)
    error = float(np.abs(outputs.numpy() - expected).mean() / max(float(np.abs(expected).max()), 1e-6))
    if not error <= TOLERANCE:
        raise UserError(
            f"torch and onnxruntime differ on this graph by {error:.1%} of the largest output",
            "`use: quantize.static` quantizes it without training; report the operators that it has",
        )
    return error


def _literally(model: onnx.ModelProto, columns: tuple[Any, ...]) -> np.ndarray:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_inputs()]
    rows = [dict(zip(names, (item[None] for item in row), strict=True)) for row in zip(*columns, strict=True)]
    return np.stack([session.run(None, row)[0] for row in rows]).astype(np.float32)
