"""Show which operators of an ONNX file convert to TFLite."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from ...core.activity import Bounds, bounded
from ...core.errors import UserError, first_line
from ...core.model_size import stored_bytes
from ...core.printable import lines as printed
from ...core.printable import word

if TYPE_CHECKING:
    import onnx

    from ...models.tflite.coverage import Tried

COLUMNS = ("integers", "float", "merged", "stops")
_OLDEST = 13
_OTHERS = 3
"""Nodes that are named of those that stop for the same reason."""


def coverage(path: Path) -> str:
    """Return the table of the operators of an ONNX file by type, and what to do about those that stop.

    Raises:
        UserError: the file is no ONNX, cannot be read whole, or leaves a side of an input open.
    """
    if path.suffix != ".onnx":
        raise UserError(f"`{path}` is not an .onnx file", "`--coverage` tells which operators of one convert to TFLite")
    size = stored_bytes(path)
    with bounded(Bounds(size), doing="converting", file=path, library="onnx"):
        from ...models.onnx.export import opset
        from ...models.onnx.reading import read
        from ...models.tflite.coverage import coverage as tried

        model = _prepared(path, read(path))
        found = tried(model)
    stops = [one for one in found if one.how == "stops"]
    heading = f"{word(path.name)}  operator set {opset(model)}, {len(found)} operators: "
    heading += f"{len(stops)} of them stop the conversion to TFLite" if stops else "all convert to TFLite"
    return printed("\n".join([heading, "", *_table(found), *_reasons(stops)]) + "\n")


def _prepared(path: Path, model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model without functions, of an operator set that converts, with a batch of 1 and all shapes."""
    import onnx.inliner
    from onnx import shape_inference, version_converter

    from ...models.onnx.export import opset

    for value in model.graph.input:
        for place, side in enumerate(value.type.tensor_type.shape.dim):
            if side.dim_value <= 0 and place:
                sides = [one.dim_value or one.dim_param or "?" for one in value.type.tensor_type.shape.dim]
                raise UserError(
                    f"`{path}` leaves axis {place} of `{value.name}` open: {sides}",
                    "a TFLite file has fixed shapes: export it with that size fixed",
                )
            if side.dim_value <= 0:
                side.dim_value = 1
    try:
        if model.functions:
            model = onnx.inliner.inline_local_functions(model)
        if opset(model) < _OLDEST:
            model = version_converter.convert_version(model, _OLDEST)
        del model.graph.value_info[:]
        for value in model.graph.output:
            value.type.tensor_type.ClearField("shape")
        return shape_inference.infer_shapes(model, data_prop=True)
    except (RuntimeError, ValueError, shape_inference.InferenceError) as error:
        raise UserError(
            f"the shapes in `{path}` cannot be inferred: {first_line(error)}",
            "mend the graph until `onnx.shape_inference.infer_shapes` takes it",
        ) from error


def _table(found: list[Tried]) -> list[str]:
    """Return the rows: an operator, how many of it there are, and what becomes of them."""
    counts: Counter[tuple[str, str]] = Counter((one.op, one.how) for one in found)
    totals = Counter(one.op for one in found)
    rows = [["operator", "count", *COLUMNS]]
    for op, total in totals.most_common():
        rows.append([word(op), str(total), *(str(counts[op, how] or "") for how in COLUMNS)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]


def _reasons(stops: list[Tried]) -> list[str]:
    """Return a paragraph for each operator and reason, with the nodes and the next act."""
    groups: dict[tuple[str, str], list[Tried]] = {}
    for one in stops:
        why = one.why.partition("): ")[2] if one.why.startswith("cannot convert node") else one.why
        groups.setdefault((one.op, why), []).append(one)
    said = []
    for (op, why), nodes in groups.items():
        names = ", ".join(f"`{word(one.name)}`" for one in nodes[:_OTHERS])
        more = f" and {len(nodes) - _OTHERS} more" * (len(nodes) > _OTHERS)
        said += ["", f"stops: {word(op)} {names}{more}: {why}", f"  = help: {nodes[0].help}"]
    return said
