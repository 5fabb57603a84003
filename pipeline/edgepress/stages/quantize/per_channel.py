"""Quantize all channels of a weight at once, in onnxruntime's quantizer.

It takes channels one by one, some 100 µs each: 2 s for the 22,000 of an EfficientNet, and plans are written many times.
Scales and integers are the same to the bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization.base_quantizer import QuantizationParams
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import get_qmin_qmax_for_qType

_STEP = 1.01
"""Steps by which the ends of integers may be off, since their zero point is a whole number."""


class _Model(ONNXModel):
    """onnxruntime's, which looks at all initializers whenever it adds one: at those of a type that is not used here."""

    def initializer_extend(self, inits: list[onnx.TensorProto]) -> None:
        self.model.graph.initializer.extend(inits)


class Quantizer(QDQQuantizer):
    """onnxruntime's, whose methods of one weight are replaced where it is float32 and has a scale for each channel."""

    model: Any
    tensors_to_quantize: dict[str, Any]

    def __init__(self, model: onnx.ModelProto, *rest: Any) -> None:
        super().__init__(model, *rest)
        self.model = _Model(self.model.model)

    def try_replacing_upstream_output(self, upstream_output_name: str, output_name: str) -> bool:
        """Take a Relu or Clip out only where the integers of its result end where it cuts, to a step.

        Those of one that was dead on the calibration examples do not, nor those of bounds that leave 0 out.
        """
        (node,) = (node for node in self.model.nodes() if output_name in node.output)
        if output_name not in self.quantization_params or not self._ends_within(node, output_name):
            return False
        return bool(super().try_replacing_upstream_output(upstream_output_name, output_name))

    def _ends_within(self, node: onnx.NodeProto, name: str) -> bool:
        params = self.quantization_params[name].original
        scale, zero_point = (float(np.asarray(params[each]).item()) for each in ("scale", "zero_point"))
        lowest, highest = (
            (end - zero_point) * scale for end in get_qmin_qmax_for_qType(params["quant_type"], symmetric=False)
        )
        low, high = (0.0, np.inf) if node.op_type == "Relu" else self._bounds(node)
        return lowest >= low - scale * _STEP and highest <= high + scale * _STEP

    def _bounds(self, node: onnx.NodeProto) -> tuple[float, float]:
        """Return where a Clip cuts; where that is computed, a range that no integers end within."""
        found = {1: -np.inf, 2: np.inf}
        for place, name in enumerate(node.input):
            if place and name:
                tensor = self.initializers.get(name)
                found[place] = np.nan if tensor is None else float(numpy_helper.to_array(tensor).item())
        return found[1], found[2]

    def _calc_initializer_quant_params(self) -> dict[str, Any]:
        every = self.tensors_to_quantize
        mine = {name: info.axis for name, info in every.items() if self._by_channel(name, info.axis)}
        self.tensors_to_quantize = {name: info for name, info in every.items() if name not in mine}
        try:
            found: dict[str, Any] = super()._calc_initializer_quant_params()
        finally:
            self.tensors_to_quantize = every
        return found | {name: self._params(name, axis) for name, axis in mine.items()}

    def _adjust_weight_scale_for_int32_bias(
        self,
        input_scale: NDArray[Any],
        weight_scale: NDArray[Any],
        weight: str,
        bias: onnx.TensorProto,
        is_per_channel: bool,
    ) -> Any:
        """Leave the channels whose bias surely fits in int32 out of the base class's loop over channels."""
        values = numpy_helper.to_array(bias)
        if not is_per_channel or values.shape != weight_scale.shape:
            return super()._adjust_weight_scale_for_int32_bias(input_scale, weight_scale, weight, bias, is_per_channel)
        steps = input_scale.astype(np.float64) * weight_scale
        near = np.flatnonzero(np.abs(values.astype(np.float64)) >= 0.99 * np.iinfo(np.int32).max * steps)
        adjusted, scale = super()._adjust_weight_scale_for_int32_bias(
            input_scale, weight_scale[near], weight, numpy_helper.from_array(values[near], bias.name), is_per_channel
        )
        if adjusted:
            weight_scale[near] = scale
        return adjusted, weight_scale

    def _add_qdq_nodes_for_initializer(self, weight_proto: onnx.TensorProto) -> None:
        name, params = weight_proto.name, self.initializer_quant_params[weight_proto.name]
        axis = params.get("axis")
        if not self._by_channel(name, axis):
            super()._add_qdq_nodes_for_initializer(weight_proto)
            return
        weight = numpy_helper.to_array(weight_proto)
        super()._add_qdq_nodes_for_initializer(numpy_helper.from_array(weight.take([0], axis), name))
        steps = params["scale"].reshape([-1 if at == axis else 1 for at in range(weight.ndim)])
        integers = np.rint(weight / steps).clip(-128, 127).astype(np.int8)
        stored = self.model.get_initializer(f"{name}_quantized")
        stored.CopyFrom(numpy_helper.from_array(integers, stored.name))

    def _by_channel(self, name: str, axis: int | None) -> bool:
        """Whether the weight is one that is quantized here."""
        tensor, info = self.initializers.get(name), self.tensors_to_quantize.get(name)
        return (
            tensor is not None
            and info is not None
            and info.tensor_type.name == "WEIGHT"
            and axis is not None
            and tensor.data_type == onnx.TensorProto.FLOAT
            and self.weight_qType == onnx.TensorProto.INT8
            and 0 <= axis < len(tensor.dims)
            and all(tensor.dims)
        )

    def _params(self, name: str, axis: int) -> Any:
        """Return scales (channels,) by the largest magnitude; 1 where that is 0."""
        weight = np.moveaxis(numpy_helper.to_array(self.initializers[name]), axis, 0)
        low, high = get_qmin_qmax_for_qType(self.weight_qType, self.reduce_range, symmetric=True)
        largest = np.abs(weight.reshape(len(weight), -1)).max(1).astype(np.float64)
        steps = 2 * largest / (np.float64(high) - np.float64(low))
        scale = np.where(steps < np.finfo(np.float32).tiny, 1, steps).astype(np.float32)
        zeros = np.zeros(len(scale), np.int8)
        return QuantizationParams(zero_point=zeros, scale=scale, quant_type=self.weight_qType, axis=axis)
