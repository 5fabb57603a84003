"""A QDQ graph as a torch module that learns: numbers are rounded on the way, as its integers tell them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from .operators import OPERATORS
from .plan import Step, along, read

PACE = 10.0
"""An optimizer moves a number by about its learning rate a step, and the logarithm of a scale by so many times that."""


def rounded(x: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
    """`x` as integers of the zero point's type tell it, half to even; the gradient knows nothing of the rounding.

    So that of x is 1 within the range and 0 without, and the scale has that of LSQ (Esser et al., 2020, equation 3).
    """
    limits = torch.iinfo(zero_point.dtype)
    zero = zero_point.to(x.dtype)
    steps = torch.minimum(torch.maximum(x / scale, limits.min - zero), limits.max - zero)
    return (steps + (steps.round() - steps).detach()) * scale


class Graph(nn.Module):
    """A float or QDQ graph with a batch of 1, as a module that takes batches: a tensor (b, *shape) an input.

    The kernels and biases that it stores as integers are parameters, and so are the scales, save those of a range that
    is known; the rest stays as it is. A kernel is held in shares of the largest weight of each channel, a bias in
    shares of the largest product that it is added to, and a scale by how it has grown: one learning rate fits all.
    """

    def __init__(
        self, model: onnx.ModelProto, real: Mapping[str, np.ndarray] | None = None, *, logits: bool = False
    ) -> None:
        """`real` has float arrays that kernels begin as, by their initializer; others begin as they are stored.

        `logits` gives what a Softmax or Sigmoid at the end takes. Raises: UserError as `plan.read`.
        """
        super().__init__()
        self.plan = plan = read(model, logits=logits)
        self.learnt = nn.ParameterDict()
        for name in {name for step in plan.steps for name in step.inputs} & plan.arrays.keys():
            if name not in plan.kernels and name not in plan.biases and name not in plan.scales:
                self._keep("constant", name, plan.arrays[name])
        for name, kernel in plan.kernels.items():
            values = (real or {}).get(name, plan.real(name))
            axes = tuple(axis for axis in range(values.ndim) if axis != kernel.channels)
            unit = np.maximum(np.abs(values).max(axes, keepdims=True), np.float32(1e-9))
            self._learn(name, values / unit, unit)
        for name, bias in plan.biases.items():
            values = plan.real(name)
            unit = self._kept("unit", bias.kernel).numpy().reshape(-1) * plan.arrays[bias.given] * 255
            self._learn(name, values / unit, unit)
        for name in plan.scales:
            self._learn(name, np.zeros_like(plan.arrays[name]), plan.arrays[name])
        last = {name: number for number, step in enumerate(plan.steps) for name in step.inputs}
        self._over = [[name for name in {*step.inputs} if last[name] == number] for number, step in enumerate(plan.steps)]

    def forward(self, *inputs: Tensor) -> Tensor:
        """Answers (b, labels)."""
        stored = self._stored()

        def one(*inputs: Tensor) -> Tensor:
            values = {**stored, **dict(zip(self.plan.inputs, inputs, strict=True))}
            for step, over in zip(self.plan.steps, self._over, strict=True):
                if step.outputs[0] not in stored:
                    made = self._made(step, values)
                    values.update(zip(step.outputs, [made] if isinstance(made, Tensor) else made, strict=False))
                for name in over:
                    values.pop(name, None)
            return values[self.plan.output].reshape(-1)

        return torch.vmap(one)(*(each.unsqueeze(1) for each in inputs))

    def _made(self, step: Step, values: Mapping[str, Tensor]) -> Tensor | list[Tensor]:
        if step.op == "QuantizeLinear":
            return rounded(values[step.inputs[0]], self._scale(step.inputs[1]), self._kept("constant", step.inputs[2]))
        if step.op == "DequantizeLinear":
            return values[step.inputs[0]]
        return OPERATORS[step.op](step.attributes, *(values[name] if name else None for name in step.inputs))

    def _stored(self) -> dict[str, Tensor]:
        """Every constant of the graph, and what DequantizeLinear makes of those that are integers."""
        ...
