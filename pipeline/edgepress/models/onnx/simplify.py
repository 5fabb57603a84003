"""Simplify a float graph of any exporter for quantizing and converting.

Its outputs stay the same.
"""

from __future__ import annotations

import logging
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from ...core import child_processes
from ...core.errors import UserError
from . import constant_folding
from .export import opset

OPSET = 13
"""The oldest operator set with a scale for each channel of a weight."""
_BRANCHES = ("If", "Loop", "Scan")


def bind(model: onnx.ModelProto, values: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Make inputs of fixed shape constants filled with a number, as a sample rate or a state; return these."""
    inputs = {value.name: value for value in model.graph.input}
    filled: dict[str, np.ndarray] = {}
    for name, number in values.items():
        value = inputs[name]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        sides = [axis.dim_value for axis in value.type.tensor_type.shape.dim]
        model.graph.initializer.append(
            numpy_helper.from_array(filled.setdefault(name, np.full(sides, number, dtype)), name)
        )
        model.graph.input.remove(value)
    return filled


def simplified(source: Path, model: onnx.ModelProto) -> onnx.ModelProto:
    """Return `model` with constants folded, chosen branches taken and batch norms merged; its shapes are fixed.

    onnxscript goes first, then onnxruntime's basic level: they take the branch of an `If` whose condition is known, at
    which onnxsim and the version converter fail, and their result has standard operators only.
    Raises: UserError naming the operator, where branches are left, or where the operator set cannot be raised.
    """
    import onnxsim
    from onnxscript import optimizer

    simpler = onnx.ModelProto()
    simpler.CopyFrom(model)
    del simpler.graph.value_info[:]  # shapes as they were before
    for result in simpler.graph.output:
        result.type.tensor_type.ClearField("shape")
    if opset(simpler) < OPSET and not _branching(
        simpler
    ):  # onnxscript writes for later ones: a Gemm without its zero bias
        simpler = _raised(source, simpler)
    try:
        simpler = _folded(optimizer.optimize(simpler))
    except Exception as error:  # onnxruntime's errors have no common base
        raise _refused(source, model, error) from error
    for node in _branching(simpler):
        raise UserError(
            f"`{source}`: node `{node.name or node.output[0]}` ({node.op_type}) decides while it runs what to "
            "compute, which cannot be quantized",
            "fix the input that it depends on, `constants: {NAME: NUMBER}`, or export one branch alone",
        )
    if opset(simpler) < OPSET:
        simpler = _raised(source, simpler)
    try:
        simpler, same = onnxsim.simplify(simpler)
    except RuntimeError as error:
        raise _refused(source, simpler, error) from error
    if not same:
        raise UserError(f"onnxsim changed the outputs of `{source}`", "export it anew, simplified")
    return simpler


def _raised(source: Path, model: onnx.ModelProto) -> onnx.ModelProto:
    try:
        return onnx.version_converter.convert_version(model, OPSET)
    except RuntimeError as error:
        raise UserError(
            f"`{source}` uses ONNX operator set {opset(model)}, which cannot be raised to {OPSET}: {_line(error)}",
            f"export it anew with operator set {OPSET} or later",
        ) from error


def _branching(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.op_type in _BRANCHES]


def _folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """Fold constants in another process: at some branches within branches onnxruntime 1.32 has a segmentation fault."""
    with tempfile.TemporaryDirectory() as work:
        source, target = Path(work, "given.onnx"), Path(work, "folded.onnx")
        onnx.save(model, source)
        command = child_processes.script(constant_folding.__file__, source, target)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not target.is_file():
            last = done.stderr.strip().splitlines()[-1:]
            raise RuntimeError(
                last[0] if done.returncode > 0 and last else f"it {child_processes.ended(done.returncode)}"
            )
        folded = onnx.load(target)
    used = {node.domain for node in folded.graph.node}
    opsets = [entry for entry in folded.opset_import if entry.domain in used or entry.domain == ""]
    del folded.opset_import[:]
    folded.opset_import.extend(opsets)
    # Shapes of answers that the exporter left open, or got wrong, are told by the operators.
    return onnx.shape_inference.infer_shapes(folded)


def _refused(source: Path, model: onnx.ModelProto, error: Exception) -> UserError:
    """Return the error, which names the first branch of the graph: the likely reason, and one to act on."""
    logging.getLogger(__name__).debug("%s", error)
    branch = next((node for node in model.graph.node if node.op_type in _BRANCHES), None)
    if branch is None:
        return UserError(f"onnxruntime cannot run `{source}`: {_line(error)}")
    return UserError(
        f"`{source}`: node `{branch.name or branch.output[0]}` ({branch.op_type}) has branches that cannot be told "
        f"apart before it runs: {_line(error)[:200]}",
        "export one branch alone, without the others",
    )


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
