"""Import an ONNX file: checked, of fixed shape, one file, with metadata."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from ...core.errors import UserError, suggest
from .. import metadata
from ..input_preparation import reconciled, require_stated
from ..predict import predict
from .export import TOLERANCE, off, quantized, shape, write
from .simplify import bind, simplified

if TYPE_CHECKING:
    from ...data.dataset import Dataset, Input

COMPARED = 16
"""Validation examples that the simplified graph is compared with the given one on."""


_MORE = "; for classes that this data has none of, list them all in its order: `data: {from: …, labels: […]}`"


def adopt(
    source: Path,
    data: Dataset,
    path: Path,
    *,
    shapes: dict[str, list[int]] | None = None,
    constants: dict[str, float] | None = None,
    output: str | None = None,
) -> bool:
    """Write the model of `source`, simplified, to `path`; return whether it is quantized already, and left as it is.

    A batch that is left open becomes 1, other open axes need `shapes`, by input. Inputs among `constants` are filled
    with a number, once and for all. Of several outputs `output` is kept.
    Raises UserError for whatever this pipeline cannot use.
    """
    model, constants = _read(source), constants or {}
    every = _fixed(source, model, shapes or {}, constants)
    _choose(source, model, output)
    inputs = [value for value in every if value.name not in constants]
    contract = _contract(source, inputs, data, _own(model))
    name = model.graph.output[0].name
    filled = bind(model, constants)
    integers = quantized(model)
    if not integers:
        model = simplified(source, model)
    contract["output"] |= {"name": model.graph.output[0].name, "kind": _output_kind(model, data)}
    metadata.embed(model, contract)
    del model.graph.value_info[:]  # shapes as they were before
    columns = metadata.to_model_inputs(contract, data, data["validation"].x[:COMPARED])
    try:
        write(model, path)
        outputs = predict(path, columns, kernels="usual")  # as onnxruntime runs the file that came
        _require_same(source, _run_original(source, name, columns, filled), outputs)
    except UserError:
        path.unlink(missing_ok=True)
        raise
    except Exception as error:  # onnxruntime's errors have no common base
        path.unlink(missing_ok=True)
        raise UserError(f"onnxruntime cannot run `{source}`: {str(error).splitlines()[0]}") from error
    if outputs.shape[1] != len(data.labels):
        path.unlink(missing_ok=True)
        count = "1 output" if outputs.shape[1] == 1 else f"{outputs.shape[1]} outputs"
        raise UserError(
            f"`{source}` gives {count}, `{data.name}` has {len(data.labels)} labels",
            "is it a model of this data? another one of its outputs may be: `output: NAME`"
            + (_MORE if data.task == "single-label" and outputs.shape[1] > len(data.labels) else ""),
        )
    return integers


def _output_kind(model: onnx.ModelProto, data: Dataset) -> str:
    """Return `probabilities` where the graph ends in the operator that makes them, else the task's kind."""
    last = next((node for node in model.graph.node if model.graph.output[0].name in node.output), None)
    ends = {"single-label": "Softmax", "multi-label": "Sigmoid"}.get(data.task)
    return "probabilities" if last is not None and last.op_type == ends else metadata.OUTPUT_KINDS[data.task]


def _run_original(
    source: Path, output: str, columns: tuple[np.ndarray, ...], filled: dict[str, np.ndarray]
) -> np.ndarray:
    """Run the file as it came, with the constants fed as inputs."""
    import onnxruntime

    model = onnx.load(source)  # with weights that lie beside it, at which onnxruntime fails to tell shapes
    for value in model.graph.input:
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_value <= 0:  # some exporters write 0 for an open axis
                axis.ClearField("dim_value")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs() if entry.name not in filled]
    rows = zip(*columns, strict=True)
    feeds = (dict(zip(names, (entry[None] for entry in row), strict=True)) for row in rows)
    return np.stack([session.run([output], feed | filled)[0].reshape(-1) for feed in feeds])


def _require_same(source: Path, expected: np.ndarray, outputs: np.ndarray) -> None:
    """Raise UserError where the simplified graph gives other outputs than the original."""
    error = off(outputs, expected)
    if not error <= TOLERANCE and np.isfinite(expected).all():
        raise UserError(f"`{source}`, simplified, differs from the original by {error:.1%} of the largest")


def _read(source: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(source)
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError, OSError, TypeError) as error:
        raise UserError(f"`{source}` is not a sound ONNX file: {str(error).splitlines()[0]}") from error
    except Exception as error:
        # protobuf's DecodeError has no stable home across its versions.
        if type(error).__name__ != "DecodeError":
            raise
        raise UserError(f"`{source}` is not an ONNX file") from error
    return model


def _fixed(
    source: Path, model: onnx.ModelProto, shapes: dict[str, list[int]], constants: dict[str, float]
) -> list[onnx.ValueInfoProto]:
    """Fix every axis of the graph's inputs, and return these."""
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in stored]
    names = [value.name for value in inputs]
    for name in (*shapes, *constants):
        if name not in names:
            raise UserError(f"`{source}` has no input `{name}`", suggest(name, names))
    for value in inputs:
        axes = value.type.tensor_type.shape.dim
        wanted = shapes.get(value.name)
        if wanted is not None and len(wanted) != len(axes):
            raise UserError(f"`shapes` gives `{value.name}` {len(wanted)} axes, `{source}` has {len(axes)}")
        for index, axis in enumerate(axes):
            if wanted is not None:
                if axis.dim_value > 0 and axis.dim_value != wanted[index]:
                    raise UserError(
                        f"axis {index} of `{value.name}` is {axis.dim_value} in `{source}`, not {wanted[index]}"
                    )
                axis.dim_value = wanted[index]
            elif axis.dim_value <= 0 and index == 0:
                axis.dim_value = 1
            elif axis.dim_value <= 0:
                sizes = [side.dim_value if side.dim_value > 0 else side.dim_param or "?" for side in axes]
                raise UserError(
                    f"`{source}` leaves axis {index} of `{value.name}` open: {sizes}",
                    f"fix it: `shapes: {{{value.name}: [1, …]}}`",
                )
    for result in model.graph.output:
        first = result.type.tensor_type.shape.dim
        if len(first) and first[0].dim_value <= 0:
            first[0].dim_value = 1
    return inputs


def _choose(source: Path, model: onnx.ModelProto, output: str | None) -> None:
    """Keep one output."""
    names = [value.name for value in model.graph.output]
    if output is None and len(names) > 1:
        raise UserError(f"`{source}` has {len(names)} outputs: {', '.join(names)}", "choose one: `output: NAME`")
    if output is not None and output not in names:
        raise UserError(f"`{source}` has no output `{output}`", suggest(output, names))
    chosen = [value for value in model.graph.output if output in (None, value.name)]
    del model.graph.output[:]
    model.graph.output.extend(chosen)


def _own(model: onnx.ModelProto) -> dict[str, Any] | None:
    return metadata.own({entry.key: entry.value for entry in model.metadata_props})


def check(source: Path, data: Dataset, constants: Collection[str] = ()) -> None:
    """Raise UserError unless the file or the recipe states how the inputs of `source` are made of raw values."""
    model = _read(source)
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in stored and value.name not in constants]
    if len(inputs) == len(data.inputs):  # otherwise `adopt` refuses it
        _fed(source, inputs, data, _own(model))


def _fed(
    source: Path, inputs: list[onnx.ValueInfoProto], data: Dataset, own: dict[str, Any] | None
) -> tuple[Dataset, dict[str, Any]]:
    """Return `data` as the file takes it, and the entries of inputs that the file normalizes itself."""
    if own is not None and [entry["name"] for entry in own["inputs"]] == [value.name for value in inputs]:
        prepared = reconciled(source, own, data)
        return prepared, {entry["name"]: entry for entry in own["inputs"] if entry.get("mean") == []}
    pairs = zip(inputs, data.inputs, strict=True)
    require_stated(source, data, [input for value, input in pairs if _type(value).startswith("float")])
    return data, {}


def _contract(
    source: Path, inputs: list[onnx.ValueInfoProto], data: Dataset, own: dict[str, Any] | None
) -> dict[str, Any]:
    """Return the contract of `data` with the file's names; every input has to fit one of the data's, in order."""
    takes = [(_type(value), shape(value)) for value in inputs]
    gives = [(input.dtype, [1, *input.shape]) for input in data.inputs]
    fits = len(takes) == len(gives) and all(
        form == wanted and _accepts(kind, input)
        for (kind, form), (_, wanted), input in zip(takes, gives, data.inputs, strict=True)
    )
    if not fits:
        raise UserError(
            f"`{source}` takes {_words(takes)} where `{data.name}` gives {_words(gives)}",
            _help(inputs, data),
        )
    data, itself = _fed(source, inputs, data, own)
    contract = metadata.describe(data)
    raw = {"scale": 1.0, "mean": [], "std": []}
    named = [
        entry | {"name": value.name} | ({"dtype": kind} | raw if kind == "uint8" or value.name in itself else {})
        for entry, value, (kind, _) in zip(contract["inputs"], inputs, takes, strict=True)
    ]
    return contract | {"inputs": named}


def _help(inputs: list[onnx.ValueInfoProto], data: Dataset) -> str:
    if len(inputs) <= len(data.inputs):
        return "export it for this input, or change `task: {data: …}`"
    rest = ", ".join(f"{value.name}: 0" for value in inputs[len(data.inputs) :])
    return f"inputs that stay the same, such as a sample rate or a state, are filled once: `constants: {{{rest}}}`"


def _accepts(kind: str, input: Input) -> bool:
    return kind == input.dtype or (kind == "uint8" and input.kind == "image")


def _type(value: onnx.ValueInfoProto) -> str:
    name: str = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)).name
    return name


def _words(inputs: list[tuple[str, list[int]]]) -> str:
    return " and ".join(f"{kind} {' × '.join(str(side or '?') for side in sides)}" for kind, sides in inputs)
