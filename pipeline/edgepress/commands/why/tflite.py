"""List the operators of a TFLite file and their bytes, without running it."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any, NamedTuple

from ...core.errors import UserError


class Row(NamedTuple):
    """An operator: `shape` is of its output; `real` is whether it computes in float, and `counts` whether it computes
    with ids, shapes or truth."""

    name: str
    op: str
    shape: tuple[int, ...]
    bytes: int
    real: bool
    counts: bool


def read(path: Path) -> list[Row]:
    """Return the operators, in the file's order. Raises: UserError.

    An operator that unpacks a constant is not listed: its bytes count for the first that takes it. Each buffer of
    the file counts once.
    """
    from ai_edge_litert import schema_py_generated as schema

    data = path.read_bytes()
    try:
        if data[4:8] != b"TFL3":
            raise ValueError("it does not begin as a TFLite file does")
        model = schema.ModelT.InitFromPackedBuf(data)
        return [row for graph in model.subgraphs for row in _graph(graph, model, schema)]
    except (ValueError, TypeError, IndexError, AttributeError, struct.error, OverflowError, MemoryError) as error:
        raise UserError(f"`{path}` cannot be read as TFLite", "is it a whole model?") from error


def _graph(graph: Any, model: Any, schema: Any) -> list[Row]:
    """Return the rows of one subgraph; a buffer that is counted is emptied."""
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    floats = (schema.TensorType.FLOAT32, schema.TensorType.FLOAT16)
    integers = (schema.TensorType.INT8, schema.TensorType.UINT8, schema.TensorType.INT16)
    indices = (schema.TensorType.INT32, schema.TensorType.INT64)
    ops, tensors = graph.operators or [], graph.tensors
    computed = {index for op in ops for index in op.outputs}
    taken = set(graph.inputs)
    packed: dict[int, int] = {}
    rows = []
    for op in ops:
        code = model.operatorCodes[op.opcodeIndex]
        name = names.get(max(code.builtinCode, code.deprecatedBuiltinCode), "CUSTOM")
        if name == "CUSTOM" and code.customCode:
            name = code.customCode.decode(errors="replace")
        held = [packed.get(index, index) for index in op.inputs if index >= 0]
        fixed = [index for index in held if index not in computed and index not in taken]
        if name == "DEQUANTIZE" and len(fixed) == len(held) == 1:
            packed[op.outputs[0]] = fixed[0]
            continue
        gives = tensors[op.outputs[0]] if len(op.outputs) else None
        weights = [tensors[index] for index in fixed if tensors[index].type not in indices]
        weight = next((_name(tensor) for tensor in weights if len(_shape(tensor)) > 1), "")
        # int8 weights that meet floats: these become integers as they come.
        hybrid = any(
            tensors[index].type == schema.TensorType.INT8 and len(_shape(tensors[index])) > 1
            for index in fixed
            if index in op.inputs
        )
        rows.append(
            Row(
                re.sub(r"(_quantized|_packed)$", "", weight) or (_name(gives) if gives else name),
                name,
                _shape(gives) if gives else (),
                sum(_take(model.buffers, tensors[index].buffer) for index in fixed),
                gives is not None and gives.type in floats and not hybrid,
                gives is not None and gives.type not in (*floats, *integers) and not hybrid,
            )
        )
    return rows


def _name(tensor: Any) -> str:
    return str((tensor.name or b"").decode(errors="replace"))


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(int(side) for side in tensor.shape) if tensor.shape is not None else ()


def _take(buffers: list[Any], index: int) -> int:
    """Return the bytes of a buffer that has not been counted yet, and empty it."""
    buffer = buffers[index]
    size = int(buffer.size or 0) or (0 if buffer.data is None else len(buffer.data))
    buffer.data, buffer.size = None, 0
    return size
