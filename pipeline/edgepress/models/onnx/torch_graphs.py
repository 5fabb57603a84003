"""Turn a torch module into ONNX graphs that are simplified more or less."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ...core.errors import UserError, first_line
from .simplify import by_folding, is_near, lift_constants

if TYPE_CHECKING:
    import onnx
    from torch import Tensor, nn

_NEUTRAL = {"add": 0.0, "sub": 0.0, "mul": 1.0, "div": 1.0}


def graphs(
    module: nn.Module,
    example: tuple[Tensor, ...],
    names: list[str],
    opset: int,
    simplify: bool,
    outputs: Sequence[str] = ("output",),
) -> Iterator[tuple[str, onnx.ModelProto]]:
    """Yield the graph simplified in fewer and fewer ways, each with its name; that of the usual one is empty.

    The usual one has been through onnxscript's rules, unless they would leave out a constant that counts.
    Raises: UserError where torch cannot export the module.
    """
    import onnxsim

    if simplify:
        program = _exported(module, example, names, opset, outputs, optimize=True)
        if not _near_neutral(program.exported_program):
            model, same = onnxsim.simplify(program.model_proto)
            if same:
                yield "", model
        model, same = onnxsim.simplify(by_folding(_plain(module, example, names, opset, outputs)))
        if same:
            yield "without onnxscript's rules", model
    yield "not at all", lift_constants(_plain(module, example, names, opset, outputs))


def _plain(
    module: nn.Module, example: tuple[Tensor, ...], names: list[str], opset: int, outputs: Sequence[str]
) -> onnx.ModelProto:
    model: onnx.ModelProto = _exported(module, example, names, opset, outputs, optimize=False).model_proto
    return model


def _exported(
    module: nn.Module,
    example: tuple[Tensor, ...],
    names: list[str],
    opset: int,
    outputs: Sequence[str],
    *,
    optimize: bool,
) -> Any:
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    for name in ("torch.onnx", "onnxscript", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        # By its formula: torch loses track of strides in fused attention with a computed mask.
        with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module, example, dynamo=True, opset_version=opset, output_names=[*outputs], input_names=names,
                external_data=False, verbose=False, optimize=optimize,
            )  # fmt: skip
    except torch.onnx.errors.OnnxExporterError as error:
        raise UserError(f"torch cannot export this network: {first_line(error)}") from error
    assert program is not None
    return program


def _near_neutral(program: Any) -> bool:
    """Return whether a number, or a buffer of one number, is so near to 0 or 1 that onnxscript leaves it out."""
    buffers = [value.item() for value in program.state_dict.values() if value.numel() == 1]
    if any(is_near(number, neutral) for number in buffers for neutral in (0.0, 1.0)):
        return True
    for node in program.graph.nodes:
        neutral = _NEUTRAL.get(str(node.target).removeprefix("aten.").partition(".")[0])
        numbers = (number for number in node.args if isinstance(number, float))
        if neutral is not None and any(is_near(number, neutral) for number in numbers):
            return True
    return False
