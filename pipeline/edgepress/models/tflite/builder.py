"""Build a TFLite file: tensors, operators, signature and metadata.

The format: https://github.com/google-ai-edge/LiteRT/blob/main/tflite/schema/schema.fbs
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from ...core.errors import UserError

INT8, INT16 = np.dtype(np.int8), np.dtype(np.int16)
_TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.uint8): schema.TensorType.UINT8,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.bool_): schema.TensorType.BOOL,
}
_STORED = _TYPES | {
    np.dtype(np.float16): schema.TensorType.FLOAT16,
    np.dtype(np.int16): schema.TensorType.INT16,
    np.dtype(np.int64): schema.TensorType.INT64,
}
"""Of constants, and of tensors with a quantization."""
_ALIGNMENT = 16
_ROOM = 1 << 20  # bytes for everything but the weights, at first
_HIGHEST_BYTE_CODE = 127


@dataclass(frozen=True, eq=False)
class Quantization:
    """real = scale · (integer − zero_point); more than one scale run along `axis`. `type` is that of activations."""

    scale: NDArray[np.float32]
    zero_point: NDArray[np.int64]
    axis: int = 0
    type: np.dtype[Any] = INT8

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Quantization)
            and np.array_equal(self.scale, other.scale)
            and np.array_equal(self.zero_point, other.zero_point)
            and self.type == other.type
        )

    def __hash__(self) -> int:
        return hash((self.scale.tobytes(), self.zero_point.tobytes()))

    def along(self, values: NDArray[Any], rank: int) -> NDArray[Any]:
        """Return `values`, one a channel, shaped to broadcast along `axis` of an array of that rank."""
        return values.reshape([-1 if axis == self.axis else 1 for axis in range(rank)]) if values.size > 1 else values

    @property
    def limits(self) -> tuple[int, int]:
        """Return the lowest and the highest integer."""
        return int(np.iinfo(self.type).min), int(np.iinfo(self.type).max)

    def quantize(self, real: NDArray[Any]) -> NDArray[Any]:
        """Round to the nearest integer, ties to even, as onnxruntime and XNNPACK do."""
        integers = np.rint(real / self.along(self.scale, real.ndim)) + self.along(self.zero_point, real.ndim)
        clipped: NDArray[Any] = np.clip(integers, *self.limits).astype(self.type)
        return clipped

    def dequantize(self, integers: NDArray[Any]) -> NDArray[np.float32]:
        steps = integers.astype(np.float32) - self.along(self.zero_point, integers.ndim)
        return np.asarray(steps * self.along(self.scale, integers.ndim), np.float32)


def quantization(scale: Any, zero_point: Any = 0, axis: int = 0, type: np.dtype[Any] = INT8) -> Quantization:
    """Return parameters from numbers or arrays; one zero point may be that of all channels."""
    scales = np.atleast_1d(np.asarray(scale, np.float32))
    return Quantization(scales, np.resize(np.asarray(zero_point, np.int64), scales.shape), axis, type)


class AlignedBuffer(schema.BufferT):
    """The Python generator ignores the schema's `force_align: 16`, which kernels that map the file rely on."""

    def Pack(self, builder: flatbuffers.Builder) -> int:
        builder.StartVector(1, self.data.size, _ALIGNMENT)
        builder.head -= self.data.size
        builder.Bytes[builder.head : builder.head + self.data.size] = self.data.tobytes()
        data = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, data)
        return int(schema.BufferEnd(builder))


def packed(model: Any) -> bytes:
    """Return the file of a `schema.ModelT`, its buffers aligned."""
    model.buffers = [
        buffer
        if buffer.data is None or isinstance(buffer, AlignedBuffer) or not len(buffer.data)
        else AlignedBuffer(data=np.asarray(buffer.data, np.uint8))
        for buffer in model.buffers
    ]
    file = flatbuffers.Builder(sum(buffer.data.nbytes for buffer in model.buffers if buffer.data is not None) + _ROOM)
    file.Finish(model.Pack(file), b"TFL3")
    return bytes(file.Output())


class Builder:
    """One subgraph; tensors are known by their index."""

    def __init__(self) -> None:
        self._buffers = [schema.BufferT()]  # buffer 0 means "no data"
        self._codes: dict[tuple[int, int], int] = {}
        self._names: set[str] = set()
        self._quantizations: list[Quantization | None] = []
        self._subgraph = schema.SubGraphT(tensors=[], operators=[], name="main")

    def shape(self, tensor: int) -> tuple[int, ...]:
        return tuple(int(size) for size in self._subgraph.tensors[tensor].shape)

    def quantization(self, tensor: int) -> Quantization | None:
        return self._quantizations[tensor]

    def rename(self, tensor: int, name: str) -> None:
        self._subgraph.tensors[tensor].name = name

    def tensor(self, name: str, shape: Any, dtype: Any = np.float32, quantization: Quantization | None = None) -> int:
        """Add a tensor without data, of its quantization's type, if any. A name in use gets a number behind it."""
        if quantization:
            return self._add(name, shape, _STORED[quantization.type], quantization, buffer=0)
        kind = np.dtype(dtype)
        if kind not in _TYPES:
            raise UserError(f"tensor `{name}` takes {kind}, which no TFLite kernel of the set does", "use float32")
        return self._add(name, shape, _TYPES[kind], None, buffer=0)

    def like(self, tensor: int, name: str, shape: Any = None) -> int:
        """Add a tensor without data, of the type and scale of another, and of its shape unless `shape` is set."""
        size, kind = self.shape(tensor) if shape is None else shape, self._subgraph.tensors[tensor].type
        return self._add(name, size, kind, self._quantizations[tensor], buffer=0)

    def constant(self, name: str, values: NDArray[Any], quantization: Quantization | None = None) -> int:
        """Add a tensor that holds `values` as they are."""
        data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        return self._add(name, values.shape, _STORED[values.dtype], quantization, self._buffer(data))

    def operator(self, code: str, version: int, inputs: list[int], outputs: list[int], options: Any = None) -> None:
        """Append the builtin operator `code`; `options` is the schema's `…OptionsT` of the operator, if it has one."""
        builtin = getattr(schema.BuiltinOperator, code)
        kind = getattr(schema.BuiltinOptions, type(options).__name__[:-1]) if options is not None else 0
        self._subgraph.operators.append(
            schema.OperatorT(
                opcodeIndex=self._codes.setdefault((builtin, version), len(self._codes)),
                inputs=np.array(inputs, np.int32),
                outputs=np.array(outputs, np.int32),
                builtinOptionsType=kind,
                builtinOptions=options,
            )
        )

    def finish(self, inputs: dict[str, int], outputs: dict[str, int], metadata: dict[str, bytes]) -> bytes:
        """Return the file, whose one signature is `serving_default`; operators that nothing reads are left out."""
        self._drop_unused(set(outputs.values()))
        self._subgraph.inputs = np.array(list(inputs.values()), np.int32)
        self._subgraph.outputs = np.array(list(outputs.values()), np.int32)
        entries = [
            schema.MetadataT(name=name, buffer=self._buffer(np.frombuffer(data, np.uint8)))
            for name, data in metadata.items()
        ]
        signature = schema.SignatureDefT(_tensor_map(inputs), _tensor_map(outputs), "serving_default", 0)
        model = schema.ModelT(
            version=3,
            operatorCodes=[
                schema.OperatorCodeT(min(builtin, _HIGHEST_BYTE_CODE), None, version, builtin)
                for builtin, version in self._codes
            ],
            subgraphs=[self._subgraph],
            description="edgepress",
            buffers=self._buffers,
            metadata=entries,
            signatureDefs=[signature],
        )
        return packed(model)

    def _drop_unused(self, wanted: set[int]) -> None:
        operators = []
        for operator in reversed(self._subgraph.operators):
            if wanted.intersection(operator.outputs.tolist()):
                operators.append(operator)
                wanted.update(operator.inputs.tolist())
        self._subgraph.operators = operators[::-1]

    def _add(self, name: str, shape: Any, kind: int, quantization: Quantization | None, buffer: int) -> int:
        index = len(self._subgraph.tensors)
        unique = name if name not in self._names else f"{name}_{index}"
        self._names.add(unique)
        tensor = schema.TensorT(shape=np.array(shape, np.int32), type=kind, buffer=buffer, name=unique)
        if quantization is not None:
            _check(unique, quantization.scale)
            tensor.quantization = schema.QuantizationParametersT(
                scale=quantization.scale,
                zeroPoint=quantization.zero_point,
                quantizedDimension=quantization.axis,
            )
        self._subgraph.tensors.append(tensor)
        self._quantizations.append(quantization)
        return index

    def _buffer(self, data: NDArray[np.uint8]) -> int:
        self._buffers.append(AlignedBuffer(data=data) if data.size else schema.BufferT())
        return len(self._buffers) - 1


def _check(name: str, scale: NDArray[np.float32]) -> None:
    """Raise UserError for a scale with which a runtime computes nothing, or crashes."""
    usable = (scale >= np.finfo(np.float32).tiny) & (scale <= np.finfo(np.float32).max)
    if not usable.all():
        raise UserError(
            f"tensor `{name}` has the scale {scale[~usable].flat[0]:g}, with which no TFLite kernel can compute",
            "quantize the float model anew: its ranges have to be finite, and wider than nothing",
        )


def _tensor_map(tensors: dict[str, int]) -> list[Any]:
    return [schema.TensorMapT(name, index) for name, index in tensors.items()]
