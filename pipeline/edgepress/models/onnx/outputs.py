"""Choose, check and describe the outputs of an ONNX file that is imported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from ...core.columns import flat
from ...core.errors import UserError, suggest
from .. import metadata
from ..description import expected
from ..output_shape import VECTORS, by, fits, is_map, open_shape, wanted, words_of
from .export import shape

if TYPE_CHECKING:
    import numpy as np

    from ...data.dataset import Dataset

_MORE = "; for classes that this data has none of, list them all in its order: `data: {from: …, labels: […]}`"
_ENDS = {"Softmax": "probabilities", "Sigmoid": "probabilities"}
_COUNTED = ("NonMaxSuppression", "NonZero", "Compress", "Unique")
"""Operators whose outputs have as many rows as are found."""


def choose(source: Path, model: onnx.ModelProto, output: str | None, data: Dataset, heads: Sequence[str] = ()) -> None:
    """Keep `output` alone, the `heads` of a detector, or all outputs: one for data with labels. Raises: UserError."""
    names = [value.name for value in model.graph.output]
    if output is not None and output not in names:
        raise UserError(f"`{source}` has no output `{output}`", suggest(output, names))
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise UserError(
            f"`{source}` has two outputs called `{twice[0]}`", "export it anew, each output with a name of its own"
        )
    if lacking := [name for name in heads if name not in names]:
        raise UserError(f"`{source}` has no output `{lacking[0]}`, which `decode` names", suggest(lacking[0], names))
    if output is None and len(names) > 1 and data.labels and data.task != "detection":
        raise UserError(f"`{source}` has {len(names)} outputs: {', '.join(names)}", "choose one: `output: NAME`")
    kept = [output] if output is not None else heads or names
    chosen = [value for value in model.graph.output if value.name in kept]
    del model.graph.output[:]
    model.graph.output.extend(chosen)


def require_output(source: Path, outputs: np.ndarray, sides: list[int], data: Dataset) -> None:
    """Raise UserError unless the one output is what the task of `data` takes; `sides` are those of the graph.

    That is a number for each label, whatever its axes of 1; or a map, a vector or a picture.
    """
    if data.task not in metadata.LABEL_TASKS:
        if not fits(outputs.shape[1:], expected(data)):
            raise UserError(
                f"`{source}` gives {by(outputs.shape[1:])} for each example, and the task {data.task} of "
                f"`{data.name}` takes {wanted(expected(data))}",
                "is it a model of this task, with channels first? another one of its outputs may be: `output: NAME`",
            )
        return
    count = flat(outputs).shape[1]
    if count == len(data.labels):
        return
    if is_map(sides):
        raise UserError(
            f"`{source}` gives a map of {words_of(sides)} for each example, `{data.name}` has "
            f"{len(data.labels)} labels",
            f"{VECTORS}; another one of its outputs may be a vector: `output: NAME`",
        )
    raise UserError(
        f"`{source}` gives {'1 output' if count == 1 else f'{count} outputs'}, `{data.name}` has "
        f"{len(data.labels)} labels",
        "is it a model of this data? another one of its outputs may be: `output: NAME`"
        + (_MORE if data.task == "single-label" and count > len(data.labels) else ""),
    )


def require_fixed(source: Path, model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]]) -> None:
    """Raise UserError where the number of rows of an output depends on what is found in an example.

    `shapes` are those of the outputs for one example.
    """
    makers = {name: node for node in model.graph.node for name in node.output}
    for value in model.graph.output:
        waiting, visited = [value.name], set[str]()
        while waiting and not _is_stated(value, shapes):
            node = makers.get(waiting.pop())
            if node is None or node.output[0] in visited:
                continue
            visited.add(node.output[0])
            waiting += node.input
            if node.op_type in _COUNTED:
                why = f"`{node.name or node.output[0]}` ({node.op_type}) gives as many rows as it finds in an example"
                raise open_shape(source, value.name, why)


def _is_stated(value: onnx.ValueInfoProto, shapes: Mapping[str, Sequence[int]]) -> bool:
    """Return whether the graph states every side of an output; without a shape not even their number is known.

    A first axis that was open is 1 by now, as if it were the batch: so the sides are those that examples have.
    """
    return value.type.tensor_type.HasField("shape") and shape(value) == [*shapes[value.name]]


def fix(model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]]) -> None:
    """Write the shapes of the outputs, as examples show them, where the graph leaves them open or tells others."""
    for value in model.graph.output:
        if not _is_stated(value, shapes):
            kind = value.type.tensor_type.elem_type
            value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, kind, [*shapes[value.name]]))


def described(model: onnx.ModelProto, contract: dict[str, Any], data: Dataset) -> dict[str, Any]:
    """Return the contract with the graph's outputs: their names, shapes and types, and what they mean.

    An output is `probabilities` where the graph ends in the operator that makes them, else as the task has it, or
    `raw` for data without labels.
    """
    contract = metadata.with_outputs(contract, model)
    makers = {name: node.op_type for node in model.graph.node for name in node.output}
    ends = {"softmax": "Softmax", "sigmoid": "Sigmoid"}
    if data.task == "detection" and data.labels:
        return contract
    for entry in contract["outputs"]:
        kind = makers.get(entry["name"], "")
        if data.labels:
            probable = kind == ends.get(data.targets.link)
            entry["meaning"] = "probabilities" if probable else metadata.MEANINGS[data.task]
        else:
            entry["meaning"] = _ENDS.get(kind, "raw")
    return contract
