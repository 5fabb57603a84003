"""Import an ONNX file: checked, of fixed shape, one file, with metadata."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from ...core import system_errors
from ...core.activity import Bounds, bounded, limited_memory
from ...core.errors import UserError, suggest
from ...core.model_size import stored_bytes
from ...core.runtime_errors import cannot_run
from .. import metadata
from ..input_preparation import reconciled, require_stated
from ..predict import predict
from .comparison import Original
from .export import quantized, shape, write
from .heads import described_heads, heads, nameless_heads, require_heads
from .input_form import Form, fit, in_float32, put_in_front
from .outputs import choose, described, fix, require_fixed, require_output
from .reading import RUN_ALONE, read
from .simplify import bind, simplifications
from .standard_form import standardize
from .unique_names import separate

if TYPE_CHECKING:
    from ...data.dataset import Dataset
    from ..decode import Decode

COMPARED = 16
"""Validation examples that the simplified graph is compared with the given one on."""


@dataclass(frozen=True)
class Imported:
    """What became of a file: whether it is `quantized` already, and left as it is; and what to warn of."""

    quantized: bool
    warnings: list[str] = field(default_factory=list)


def adopt(
    source: Path,
    data: Dataset,
    path: Path,
    *,
    shapes: dict[str, list[int]] | None = None,
    constants: dict[str, float] | None = None,
    output: str | None = None,
    simplify: bool = True,
    decode: Decode | None = None,
) -> Imported:
    """Write the model of `source`, simplified, to `path`; one that is quantized already is left as it is.

    A batch that is left open becomes 1, other open axes need `shapes`, by input. Inputs among `constants` are filled
    with a number, once and for all. `decode` describes the outputs of a detector; without it the file's own metadata
    does, or their shapes. All outputs are kept in their order, or `output` alone; data with labels needs one that is
    what its task takes, and boxes those that `decode` names. Inputs get the form of the data's: channels first, ids of
    64 bits, float32. Less is simplified, or nothing without `simplify`, where outputs would change.
    Raises UserError for whatever this pipeline cannot use.
    """
    model, constants = read(source), constants or {}
    every = _fixed(source, model, shapes or {}, constants)
    own = _own(model)
    choose(source, model, output, data, heads(decode, own))
    inputs = [value for value in every if value.name not in constants]
    contract, forms = _contract(source, inputs, data, own)
    names = [value.name for value in model.graph.output]
    filled = bind(model, constants)
    integers = quantized(model)
    half = not integers and in_float32(model)
    put_in_front(model, [replace(form, takes_dtype="float32") if _halved(form, half) else form for form in forms])
    columns = metadata.to_model_inputs(contract, data, data["validation"].x[:COMPARED])
    original = Original(source, names, forms, columns, filled, half)
    bounds = Bounds(stored_bytes(source), sum(column[:1].nbytes for column in columns))
    try:
        with bounded(bounds, doing="simplifying and running", file=source, library="onnxruntime"):
            _require_run(original)
            if data.task == "detection":
                contract |= {"decode": described_heads(source, original.shapes, decode, own, data)}
            elif not data.labels and (how := nameless_heads(source, original.shapes, decode, own, data)):
                contract |= {"boxes": how}
            outputs, warnings = (
                (_written(model, contract, data, path, original), list[str]())
                if integers
                else _simplest(source, model, contract, data, path, original, simplify)
            )
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    try:
        if data.labels and data.task != "detection":
            require_output(source, outputs, shape(model.graph.output[0]), data)
        elif data.labels or "boxes" in contract:
            require_heads(source, outputs, contract, data)
    except UserError:
        path.unlink(missing_ok=True)
        raise
    if half:
        warnings.append("computes in float16 in the file that came, and in float32 here")
    return Imported(integers, warnings)


def _halved(form: Form, half: bool) -> bool:
    return half and form.takes_dtype == "float16"


def _simplest(
    source: Path,
    model: onnx.ModelProto,
    contract: dict[str, Any],
    data: Dataset,
    path: Path,
    original: Original,
    simplify: bool,
) -> tuple[np.ndarray, list[str]]:
    """Write the simplest graph whose outputs are the file's; return these, and a warning if it is not the usual one."""
    refusals: list[UserError] = []
    for way, simplified in simplifications(source, model, simplify):
        try:
            simpler = standardize(simplified())
            separate(simpler)
            outputs = _written(simpler, contract, data, path, original)
            excess = original.excess(outputs)
        except UserError as error:
            _pass_on(error)
            refusals.append(error)
            continue
        if excess <= 1:
            changed = f": {refusals[0].problems[0].message}" if refusals else ""
            return outputs, [f"was simplified {way}{changed}"] if way and simplify and refusals else []
        refusals.append(UserError(f"`{source}`, simplified, differs from the original by {_share(original, outputs)}"))
    raise refusals[0]


def _pass_on(error: UserError) -> None:
    """Raise a fault of the system: the next way is for what is wrong with the graph, as memory beyond its bounds."""
    fault = system_errors.of(error)
    of_graph = fault and system_errors.is_of_memory(fault) and not system_errors.was_raised(error)
    if fault and (limited_memory() or not of_graph):
        raise fault from error


def _share(original: Original, outputs: np.ndarray) -> str:
    share = original.share(outputs)
    return f"{share:.1%} of the largest output" if np.isfinite(share) else "what is no finite number"


def _require_run(original: Original) -> None:
    """Raise UserError unless onnxruntime runs the file as it came: what it takes is sound enough to be changed."""
    try:
        original.outputs  # noqa: B018
    except UserError:
        raise
    except Exception as error:  # onnxruntime's errors have no common base
        raise cannot_run(original.source, error, RUN_ALONE) from error


def _written(
    model: onnx.ModelProto, contract: dict[str, Any], data: Dataset, path: Path, original: Original
) -> np.ndarray:
    """Write the model with its metadata, and return its outputs for the examples that it is compared on."""
    if not data.labels:
        require_fixed(original.source, model, original.shapes)
        fix(model, original.shapes)
    metadata.embed(model, described(model, contract, data))
    del model.graph.value_info[:]  # shapes as they were before
    try:
        write(model, path)
        outputs = predict(path, original.columns, kernels="usual")  # as onnxruntime runs the file that came
    except UserError:
        raise
    except Exception as error:  # onnxruntime's errors have no common base
        raise cannot_run(original.source, error, RUN_ALONE) from error
    return outputs


def _fixed(
    source: Path, model: onnx.ModelProto, shapes: dict[str, list[int]], constants: dict[str, float]
) -> list[onnx.ValueInfoProto]:
    """Fix every axis of the graph's inputs, and return these."""
    inputs = list(model.graph.input)
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


def _own(model: onnx.ModelProto) -> dict[str, Any] | None:
    return metadata.own({entry.key: entry.value for entry in model.metadata_props})


def check(source: Path, data: Dataset, constants: Collection[str] = ()) -> None:
    """Raise UserError unless the file or the recipe states how the inputs of `source` are made of raw values."""
    model = read(source)
    inputs = [value for value in model.graph.input if value.name not in constants]
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
) -> tuple[dict[str, Any], list[Form]]:
    """Return the contract of `data` with the file's names, and how each input is made of the data's, in order."""
    takes = [(_type(value), shape(value)) for value in inputs]
    gives = [(input.dtype, [1, *input.shape]) for input in data.inputs]
    forms = [
        form
        for value, (kind, sides), input in zip(inputs, takes, data.inputs, strict=False)
        if (form := fit(value.name, kind, sides, input))
    ]
    if not len(takes) == len(gives) == len(forms):
        raise UserError(
            f"`{source}` takes {_words(takes)} where `{data.name}` gives {_words(gives)}",
            _help(inputs, data),
        )
    data, itself = _fed(source, inputs, data, own)
    contract = metadata.describe(data)
    raw = {"scale": 1.0, "mean": [], "std": []}
    named = [
        entry
        | {"name": form.name}
        | ({"dtype": form.dtype} | raw if form.dtype == "uint8" or form.name in itself else {})
        for entry, form in zip(contract["inputs"], forms, strict=True)
    ]
    return contract | {"inputs": named}, forms


def _help(inputs: list[onnx.ValueInfoProto], data: Dataset) -> str:
    if len(inputs) <= len(data.inputs):
        return "export it for this input, or change `task: {data: …}`"
    rest = ", ".join(f"{value.name}: 0" for value in inputs[len(data.inputs) :])
    return f"inputs that stay the same, such as a sample rate or a state, are filled once: `constants: {{{rest}}}`"


def _type(value: onnx.ValueInfoProto) -> str:
    name: str = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)).name
    return name


def _words(inputs: list[tuple[str, list[int]]]) -> str:
    return " and ".join(f"{kind} {' × '.join(str(side or '?') for side in sides)}" for kind, sides in inputs)
