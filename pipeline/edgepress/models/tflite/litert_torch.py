"""Convert torch to TFLite by Google's litert-torch.

For networks with operators that the writer here lacks.
"""

from __future__ import annotations

import importlib.util
import io
import os
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.errors import UserError
from .. import metadata
from ..onnx.export import TOLERANCE, off
from ..predict import in_torch, predict

if TYPE_CHECKING:
    from torch import nn

    from ...data.dataset import Dataset


def convert(module: nn.Module, data: Dataset, path: Path) -> float:
    """Write `module` as one float TFLite file with the metadata contract: a batch of 1, images and maps channels last.

    Returns the largest difference from torch on validation examples, as a share of the largest answer;
    raises UserError when it is above `onnxio.TOLERANCE`, or where litert-torch is missing or refuses the module.
    """
    import torch

    from .rename_io import named

    litert_torch = _package()
    images = [index for index, input in enumerate(data.inputs) if input.kind == "image"]
    module = module.eval().to(memory_format=torch.contiguous_format)
    columns = data.to_model_inputs(data["validation"].x[:64])
    example = [torch.from_numpy(input[:1].copy()) for input in columns]
    for index in images:
        example[index] = example[index].permute(0, 2, 3, 1).contiguous()
    expected = in_torch(module, columns).numpy()
    contract = metadata.describe(data, expected.shape[1:])
    inner = _channels_last(module) if "layout" in contract["outputs"][0] else module
    wrapped = litert_torch.to_channel_last_io(inner, args=images) if images else inner
    output = io.StringIO()
    try:
        with redirect_stdout(output), redirect_stderr(output), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            converted = litert_torch.convert(wrapped.eval(), tuple(example))
            converted.export(str(path))
    except Exception as error:  # torch's exporter and the converter raise whatever they meet
        line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError(f"litert-torch cannot convert this network: {line[:200]}") from error
    names = [input.name for input in data.inputs]
    described = metadata.for_tflite(contract, [names[index] for index in images])
    path.write_bytes(named(path.read_bytes(), names, ["output"], described))

    largest = off(predict(path, columns), expected)
    if not largest <= TOLERANCE:
        raise UserError(f"the file of litert-torch differs from torch by {largest:.1%} of the largest output")
    return largest


def _channels_last(module: nn.Module) -> nn.Module:
    """Return `module` with channels behind height and width in its output, as TFLite has maps."""
    from torch import Tensor
    from torch.nn import Module

    class Last(Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, *inputs: Tensor) -> Tensor:
            outputs: Tensor = self.module(*inputs).movedim(1, -1)
            return outputs

    return Last()


def require() -> None:
    """Raise UserError where the package is not installed; it is not imported, which takes seconds."""
    if importlib.util.find_spec("litert_torch") is None:
        raise _missing("litert_torch")


def _missing(module: str) -> UserError:
    return UserError(
        f"`convert.litert` needs litert-torch, and `{module}` is not installed",
        "pip install 'edgepress[litert]' (1.1 GB), or use `export.onnx` and `convert.tflite`",
    )


def _package() -> Any:
    """Import the package. Raises: UserError where it is not installed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import litert_torch
    except ModuleNotFoundError as error:
        raise _missing(str(error.name)) from error
    return litert_torch
