"""Build a trainable torch module of a QDQ graph, with fake quantization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from ....models.onnx.export import constant
from .operators import OPERATORS
from .qdq_plan import Step, read

PACE = 30.0
"""An optimizer moves a number by about its learning rate a step, and the logarithm of a scale by so many times that.

Of 1, 10 and 30 the best on validation, for channels of very different sizes under one scale."""
_INT32 = torch.iinfo(torch.int32)


def rounded(x: Tensor, scale: Tensor, low: int, high: int) -> Tensor:
    """Round `x` to whole steps of `scale`, half to even, from `low` to `high` of them; the gradient skips the rounding.

    So that of x is 1 within the range and 0 without, and the scale has that of LSQ (Esser et al., 2020, equation 3).
    """
    steps = (x / scale).clamp(low, high)
    return (steps + (steps.round() - steps).detach()) * scale


class Graph(nn.Module):
    """A float or QDQ graph with a batch of 1, as a module that takes batches: a tensor (b, *shape) an input.

    The kernels and biases that it stores as integers are parameters, and so are the scales, save those of a range that
    is known; the rest stays as it is. A kernel is held in shares of the largest weight of each channel, a bias in
    shares of the largest product that it is added to, and a scale by how it has grown: one learning rate fits all.
    """

    def __init__(
        self, model: onnx.ModelProto, source: onnx.ModelProto | None = None, *, logits: bool = False, largest: int = 127
    ) -> None:
        """Start kernels from the float graph `source` where they are found there, else as rounded.

        `logits` gives what a Softmax or Sigmoid at the end takes; weights are integers of up to `largest`.
        Raises: UserError as `plan.read`.
        """
        super().__init__()
        self.largest = largest
        self.plan = plan = read(model, logits=logits)
        self.learnt = nn.ParameterDict()
        floats = {} if source is None else {tensor.name: constant(tensor) for tensor in source.graph.initializer}
        for name in {name for step in plan.steps for name in step.inputs} & plan.arrays.keys():
            self._keep(name, plan.arrays[name])
        for name, kernel in plan.kernels.items():
            values = plan.initial_values(name, floats)
            axes = tuple(axis for axis in range(values.ndim) if axis != kernel.channels)
            self._learn(name, values, np.maximum(np.abs(values).max(axes, keepdims=True), np.float32(1e-9)))
        for name, bias in plan.biases.items():
            self._learn(
                name,
                plan.initial_values(name, floats),
                self._buffer(bias.kernel).numpy().ravel() * plan.arrays[bias.input_scale] * 255,
            )
        for name in plan.scales:
            self.learnt[slot(name)] = nn.Parameter(torch.zeros_like(self._buffer(name)))
        self._stored = [step for step in plan.steps if step.op == "DequantizeLinear" and step.inputs[0] in plan.arrays]
        self._steps = [step for step in plan.steps if step not in self._stored]
        last = {name: step for step in self._steps for name in step.inputs if name not in plan.outputs}
        self._over = [[name for name in {*step.inputs} if last.get(name) is step] for step in self._steps]

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return the output (b, *shape), or several, where a batch of 1 in the graph's output is an example."""
        constants = {name: self._buffer(name) for name in self.plan.arrays if hasattr(self, slot(name))}
        constants |= {step.outputs[0]: self._dequantized(step) for step in self._stored}

        def run(*inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
            values = {**constants, **dict(zip(self.plan.inputs, inputs, strict=True))}
            for step, over in zip(self._steps, self._over, strict=True):
                results = self._compute(step, values)
                values.update(zip(step.outputs, [results] if isinstance(results, Tensor) else results, strict=True))
                for name in over:
                    values.pop(name, None)
            wanted = [values[name] for name in self.plan.outputs]
            found = tuple(each[0] if each.ndim > 1 and len(each) == 1 else each for each in wanted)
            return found[0] if len(found) == 1 else found

        # Shapes in the graph count on a batch of 1, which each example is.
        outputs: Tensor | tuple[Tensor, ...] = torch.vmap(run)(*(x.unsqueeze(1) for x in inputs))
        return outputs

    def written(self, model: onnx.ModelProto) -> onnx.ModelProto:
        """Return `model`, which this was read from, with the trained integers and scales."""
        plan, trained = self.plan, onnx.ModelProto()
        trained.CopyFrom(model)
        arrays = {}
        with torch.no_grad():
            for name in plan.scales:
                arrays[name] = self._scale(name).cpu().numpy()
            for name, kernel in plan.kernels.items():
                scale = self._along(kernel.axis, kernel.scale, name)
                steps = rounded(self._real(name), scale, *plan.reach(name, self.largest)) / scale
                arrays[name] = steps.round().cpu().numpy() + plan.zero(kernel.zero_point)
            for name, bias in plan.biases.items():
                scale = self._bias_scale(name)
                arrays[bias.scale] = scale.cpu().numpy()
                steps = (self._bias(name).double() / scale).round()
                arrays[name] = steps.clamp(_INT32.min, _INT32.max).cpu().numpy()  # float32 has no largest int32
        for tensor in trained.graph.initializer:
            if tensor.name in arrays:
                values = arrays[tensor.name].astype(plan.arrays[tensor.name].dtype)
                tensor.CopyFrom(numpy_helper.from_array(values.reshape(tensor.dims), tensor.name))
        return trained

    def _compute(self, step: Step, values: Mapping[str, Tensor]) -> Tensor | Sequence[Tensor]:
        if step.op == "QuantizeLinear":
            x, scale, zero_point = step.inputs
            return rounded(values[x], self._scale(scale), *self.plan.limits(zero_point))
        if step.op == "DequantizeLinear":
            return values[step.inputs[0]]
        return OPERATORS[step.op](step.attributes, *(values[name] if name else None for name in step.inputs))

    def _dequantized(self, step: Step) -> Tensor:
        """Dequantize a constant that is stored as integers."""
        name, scale, zero_point = step.inputs
        if name in self.plan.biases:
            return self._bias(name)
        axis = step.attributes.get("axis", 1)
        steps = self._along(axis, scale, name)
        if name in self.plan.kernels:
            return rounded(self._real(name), steps, *self.plan.reach(name, self.largest))
        return (self._buffer(name).to(steps.dtype) - self._along(axis, zero_point, name)) * steps

    def _along(self, axis: int, name: str, of: str) -> Tensor:
        """Shape a scale or zero point to go with the initializer `of`, whose `axis` it counts."""
        scale = self._scale(name)
        rank = self.plan.arrays[of].ndim
        return scale.reshape([-1 if place == axis % rank else 1 for place in range(rank)]) if scale.ndim else scale

    def _bias(self, name: str) -> Tensor:
        return rounded(self._real(name), self._bias_scale(name), _INT32.min, _INT32.max)

    def _bias_scale(self, name: str) -> Tensor:
        """Return the bias's scale: it goes with the product of the scales of the layer's input and kernel."""
        bias = self.plan.biases[name]
        return (
            self._buffer(bias.scale)
            * self._growth(bias.input_scale)
            * self._growth(self.plan.kernels[bias.kernel].scale)
        )

    def _scale(self, name: str) -> Tensor:
        return self._buffer(name) * self._growth(name)

    def _growth(self, name: str) -> Tensor | float:
        return (PACE * self.learnt[slot(name)]).exp() if slot(name) in self.learnt else 1.0

    def _real(self, name: str) -> Tensor:
        return self._buffer(name) * self.learnt[slot(name)]

    def _learn(self, name: str, values: np.ndarray, unit: np.ndarray) -> None:
        self._keep(name, unit)
        self.learnt[slot(name)] = nn.Parameter(torch.from_numpy((values / unit).astype(np.float32)))

    def _keep(self, name: str, array: np.ndarray) -> None:
        self.register_buffer(slot(name), torch.from_numpy(np.array(array)), persistent=False)

    def _buffer(self, name: str) -> Tensor:
        """Return a constant of the graph; of a kernel or bias its unit, of a scale its first value."""
        return self.get_buffer(slot(name))


def slot(name: str) -> str:
    """Return a tensor's name in a form that torch allows and that no attribute of a module has."""
    return "of " + name.replace(".", "·")
