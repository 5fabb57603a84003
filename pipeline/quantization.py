"""Integers in an ONNX graph, by onnxruntime's quantizer; the presets that it has no word for are derived here."""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import numpy_helper

from . import metadata
from .errors import UserError
from .onnxio import constant, quantized, write
from .predict import predict

if TYPE_CHECKING:
    from .data import Dataset

_CALIBRATORS = {"minmax": "MinMax", "percentile": "Percentile", "entropy": "Entropy"}
_WEIGHTED = ("Conv", "Gemm", "MatMul", "ConvTranspose")


def quantize_static(
    source: Path,
    data: Dataset,
    folder: Path,
    *,
    presets: tuple[str, ...],
    samples: int,
    ranges: str,
    per_channel: bool,
) -> dict[str, str]:
    """Quantize `source` with ranges from the first `samples` validation examples; preset → file name in `folder`.

    `s8s8` is always written, since TFLite is made from it; the order is that of `presets`.
    """
    model = _float_model(source)
    columns = _columns(source, model, data, samples)
    made = signed(source, columns, ranges=ranges, per_channel=per_channel)
    metadata.embed(made, metadata.read_onnx(model))
    models = {"s8s8": made}
    if "u8s8" in presets:
        models["u8s8"] = unsigned(made)
    files = {preset: f"model.{preset}.onnx" for preset in dict.fromkeys((*presets, "s8s8"))}
    for preset, file in files.items():
        onnx.checker.check_model(models[preset])
        (folder / file).write_bytes(models[preset].SerializeToString())
    return files


def quantize_int16(source: Path, data: Dataset, path: Path, *, samples: int) -> None:
    """Quantize `source` with int16 activations, on ranges around 0 of the first `samples` validation examples."""
    model = _float_model(source)
    made = signed(source, _columns(source, model, data, samples), wide=True)
    metadata.embed(made, metadata.read_onnx(model))
    write(made, path)


def _columns(source: Path, model: onnx.ModelProto, data: Dataset, samples: int) -> tuple[np.ndarray, ...]:
    """The first `samples` validation examples as the model takes them. Raises: UserError for what is not a number."""
    columns = metadata.ready(metadata.read_onnx(model), data, data["validation"].x[:samples])
    if not all(np.isfinite(each).all() for each in columns):
        raise UserError("the validation examples hold values that are not numbers")
    if not np.isfinite(predict(source, columns)).all():
        raise UserError("the float model's answers to the validation examples are not numbers")
    return columns


def signed(
    source: Path,
    inputs: np.ndarray | tuple[np.ndarray, ...],
    *,
    ranges: str = "minmax",
    per_channel: bool = True,
    wide: bool = False,
) -> onnx.ModelProto:
    """The float graph of `source` in QDQ form, int8 everywhere, with ranges from `inputs`, as `predict` takes them.

    `wide` makes activations int16 with zero points of 0, as TFLite's 16x8 kernels have them.
    """
    from onnxruntime import quantization as ort

    columns = inputs if isinstance(inputs, tuple) else (inputs,)

    class Reader(ort.CalibrationDataReader):
        def __init__(self, names: list[str]) -> None:
            rows = zip(*columns, strict=True)
            self.feeds: Iterator[dict[str, np.ndarray]] = (
                {name: value[None] for name, value in zip(names, row, strict=True)} for row in rows
            )

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.feeds, None)

    with _quiet(), tempfile.TemporaryDirectory() as work:
        prepared, made = Path(work, "prepared.onnx"), Path(work, "quantized.onnx")
        ort.quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        ort.quantize_static(
            str(prepared),
            str(made),
            Reader([each.name for each in onnx.load(prepared).graph.input]),
            quant_format=ort.QuantFormat.QDQ,
            activation_type=ort.QuantType.QInt16 if wide else ort.QuantType.QInt8,
            weight_type=ort.QuantType.QInt8,
            per_channel=per_channel,
            calibrate_method=getattr(ort.CalibrationMethod, _CALIBRATORS[ranges]),
            extra_options={"ActivationSymmetric": wide, "WeightSymmetric": True},
        )
        return _joined(onnx.load(made)) if wide else onnx.load(made)


def _joined(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph without a rounding between a weighted operator, or a sum, and the Relu or Clip that alone reads it.

    onnxruntime's quantizer leaves it out itself where a zero point can stand for the bound.
    """
    graph = model.graph
    makers = {name: node for node in graph.node for name in node.output}
    readers = Counter(name for node in graph.node for name in node.input)
    dropped = []
    for node in graph.node:
        back = makers.get(node.input[0]) if node.op_type in ("Relu", "Clip") else None
        rounding = makers.get(back.input[0]) if back and back.op_type == "DequantizeLinear" else None
        maker = makers.get(rounding.input[0]) if rounding and rounding.op_type == "QuantizeLinear" else None
        if not (back and rounding and maker and maker.op_type in (*_WEIGHTED, "Add")):
            continue
        if {readers[name] for name in (rounding.input[0], rounding.output[0], back.output[0])} == {1}:
            node.input[0] = rounding.input[0]
            dropped += [rounding, back]
    for node in dropped:
        graph.node.remove(node)
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return model


def quantize_dynamic(source: Path, path: Path, *, per_channel: bool) -> None:
    """Quantize the weights of matrix products in `source`; convolutions stay float, for which runtimes are fast."""
    from onnxruntime import quantization as ort

    model = _float_model(source)
    if not any(node.op_type in ("Gemm", "MatMul") for node in model.graph.node):
        raise UserError("this graph has no matrix product to quantize", "use `quantize.static`")
    with _quiet(), tempfile.TemporaryDirectory() as work:
        made = Path(work, "quantized.onnx")
        ort.quantize_dynamic(
            str(source), str(made), op_types_to_quantize=["MatMul", "Gemm"], per_channel=per_channel,
            weight_type=ort.QuantType.QInt8,
        )  # fmt: skip
        dynamic = onnx.load(made)
    metadata.embed(dynamic, metadata.read_onnx(model))
    path.write_bytes(dynamic.SerializeToString())


def unsigned(signed: onnx.ModelProto) -> onnx.ModelProto:
    """The same quantized graph with uint8 activations: every activation's zero point, and constant, plus 128.

    x86's 8-bit dot products multiply unsigned by signed, so weights stay signed.
    """
    model = onnx.ModelProto()
    model.CopyFrom(signed)
    graph = model.graph
    tensors = {t.name: t for t in graph.initializer}
    readers: dict[str, list[tuple[onnx.NodeProto, int]]] = {}
    for node in graph.node:
        for position, name in enumerate(node.input):
            readers.setdefault(name, []).append((node, position))

    def is_weight(dequantize: onnx.NodeProto) -> bool:
        return dequantize.input[0] in tensors and any(
            reader.op_type in _WEIGHTED and position > 0 for reader, position in readers.get(dequantize.output[0], [])
        )

    shifted: dict[str, str] = {}

    def shift(name: str) -> str:
        """The name of the unsigned twin of an int8 initializer."""
        if name not in shifted:
            values = constant(tensors[name]).astype(np.int16) + 128
            twin = numpy_helper.from_array(values.astype(np.uint8), f"{name}_u8")
            graph.initializer.append(twin)
            shifted[name] = twin.name
        return shifted[name]

    for node in graph.node:
        if node.op_type == "DequantizeLinear" and is_weight(node):
            continue
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            if node.op_type == "DequantizeLinear" and node.input[0] in tensors:
                node.input[0] = shift(node.input[0])
            node.input[2] = shift(node.input[2])
    used = {name for node in graph.node for name in node.input}
    kept = [t for t in graph.initializer if t.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    quantized_names = {node.output[0] for node in graph.node if node.op_type == "QuantizeLinear"}
    for value in graph.value_info:
        if value.name in quantized_names:
            value.type.tensor_type.elem_type = onnx.TensorProto.UINT8
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """onnxruntime's quantizer gives advice on the root logger."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)


def _float_model(source: Path) -> onnx.ModelProto:
    model = onnx.load(source)
    if quantized(model):
        raise UserError("this graph is quantized already", "quantize the float model: `input: NAME OF ITS STAGE`")
    return model
