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
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import get_qmin_qmax_for_qType


class Quantizer(QDQQuantizer):
    """onnxruntime's, whose methods of one weight are replaced where it is float32 and has a scale for each channel."""

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
        self, input_scale: NDArray[Any], weight_scale: NDArray[Any], weight: str, bias: onnx.TensorProto, *rest: Any
    ) -> Any:
        """Look at each channel, as the base class does, only where one may have to be adjusted."""
        steps = input_scale.astype(np.float64) * weight_scale
        largest = np.abs(numpy_helper.to_array(bias).astype(np.float64))
        if largest.shape == steps.shape and (largest < 0.99 * np.iinfo(np.int32).max * steps).all():
            return False, None
        return super()._adjust_weight_scale_for_int32_bias(input_scale, weight_scale, weight, bias, *rest)

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
