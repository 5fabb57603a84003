"""Read a QDQ graph node by node, and list its trainable numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import helper

from ....core.errors import UserError
from ....models.onnx.export import constant
from ..keep_float import LOWEST
from .operators import OPERATORS
from .windows import Attributes

_KERNEL = {"Conv": 1, "Gemm": 1, "MatMul": 1, "Gather": 0}
"""Which input of an operator is learnt, if it is stored as integers."""
_BOUNDED = ("Softmax", "Sigmoid", "HardSigmoid", "Tanh")
"""Their range is known, and with it the scale, which integer kernels count on."""
_ENDS = ("Softmax", "Sigmoid")
_ROUNDING = ("QuantizeLinear", "DequantizeLinear")


@dataclass(frozen=True)
class Step:
    """One node: its operator, and the tensors that it reads (`""` for none) and writes."""

    op: str
    attributes: Attributes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Kernel:
    """int8 weights: the names of their scale and zero point, the axis of those, and that of the layer's outputs."""

    scale: str
    zero_point: str
    axis: int
    channels: int | None


@dataclass(frozen=True)
class Bias:
    """int32 biases: the names of their scale, of the scale of the layer's input, and of the layer's kernel."""

    scale: str
    input_scale: str
    kernel: str


@dataclass
class Plan:
    """The nodes that lead to `outputs`, in order; kernels, biases and scales by the names of their initializers."""

    steps: list[Step]
    arrays: dict[str, np.ndarray]
    inputs: list[str]
    outputs: list[str]
    kernels: dict[str, Kernel] = field(default_factory=dict)
    biases: dict[str, Bias] = field(default_factory=dict)
    scales: list[str] = field(default_factory=list)

    def initial_values(self, name: str, floats: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the kernel or bias of that name, float32: that of `floats` if its integers are these."""
        integers, (scale, zero) = self.arrays[name], self._scaling(name)
        stored = ((integers.astype(np.float64) - zero) * scale).astype(np.float32)
        source = floats.get(name.removesuffix("_quantized"))
        if source is None or source.shape != stored.shape:
            return stored
        info = np.iinfo(integers.dtype)
        cut = (integers == info.min) | (integers == info.max)
        return source if (cut | (np.abs(source - stored) < 0.51 * scale)).all() else stored

    def _scaling(self, name: str) -> tuple[np.ndarray, int]:
        if name in self.biases:
            return self.arrays[self.biases[name].scale], 0
        kernel = self.kernels[name]
        return along(self.arrays[kernel.scale], kernel.axis, self.arrays[name].ndim), self.zero(kernel.zero_point)

    def zero(self, name: str) -> int:
        """Return a zero point that is one for all channels."""
        return int(self.arrays[name].flat[0])

    def limits(self, name: str) -> tuple[int, int]:
        """Return the least and largest integer of a zero point's type, less the zero point."""
        info = np.iinfo(self.arrays[name].dtype)
        return int(info.min) - self.zero(name), int(info.max) - self.zero(name)

    def reach(self, name: str, largest: int) -> tuple[int, int]:
        """Return the least and largest integer of a kernel, less its zero point; one around 0 is symmetric."""
        zero_point = self.kernels[name].zero_point
        return self.limits(zero_point) if self.zero(zero_point) else (-largest, largest)


def read(model: onnx.ModelProto, *, logits: bool = False) -> Plan:
    """Read the plan of a float or QDQ graph; `logits` ends it before a Softmax or Sigmoid at its end.

    Raises: UserError naming the first node whose operator is not in the table.
    """
    arrays = {tensor.name: constant(tensor) for tensor in model.graph.initializer}
    steps = [_step(node) for node in model.graph.node]
    makers = {name: step for step in steps for name in step.outputs}
    outputs = [item.name for item in model.graph.output]
    plan = Plan(steps, arrays, [item.name for item in model.graph.input if item.name not in arrays], outputs)
    if logits:
        plan.outputs = [_before_end(makers, output) for output in outputs]
    plan.steps = _leading_to(plan.outputs, steps)
    _find_kernels(plan)
    known = {step.inputs[1] for step in _of(plan, "QuantizeLinear") if _made_by(makers, step.inputs[0]) in _BOUNDED}
    scales = [step.inputs[1] for step in _of(plan, "QuantizeLinear")] + [item.scale for item in plan.kernels.values()]
    plan.scales = [name for name in dict.fromkeys(scales) if name not in known]
    return plan


def along(values: np.ndarray, axis: int, rank: int) -> np.ndarray:
    """Shape a number for each place on `axis` to go with arrays of `rank` axes; a single one goes with any."""
    return values.reshape([-1 if place == axis % rank else 1 for place in range(rank)]) if values.size > 1 else values


def _step(node: onnx.NodeProto) -> Step:
    if node.op_type not in {*OPERATORS, *_ROUNDING} or node.domain not in ("", "ai.onnx"):
        raise UserError(
            f"node `{node.name or node.output[0]}` ({node.op_type}) is not among the operators that can be trained",
            f"they are {', '.join(OPERATORS)}; `use: quantize.static` quantizes any graph without training",
        )
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    return Step(node.op_type, attributes, tuple(node.input), tuple(node.output))


def _before_end(makers: dict[str, Step], output: str) -> str:
    """Return the input of the last Softmax or Sigmoid, or the output itself."""
    name = output
    while name in makers and (makers[name].op in (*_ROUNDING, "Identity", "Reshape", "Flatten") or _idle(makers[name])):
        name = makers[name].inputs[0]
    return makers[name].inputs[0] if name in makers and makers[name].op in _ENDS else output


def _leading_to(outputs: list[str], steps: list[Step]) -> list[Step]:
    wanted, leading = {*outputs}, []
    for step in reversed(steps):
        if wanted.intersection(step.outputs):
            wanted.update(step.inputs)
            leading.append(step)
    return leading[::-1]


def _of(plan: Plan, op: str) -> list[Step]:
    return [step for step in plan.steps if step.op == op]


def _made_by(makers: dict[str, Step], name: str) -> str | None:
    """Return the operator; for a Max that changes nothing, the one before it."""
    if name in makers and _idle(makers[name]):
        name = makers[name].inputs[0]
    return makers[name].op if name in makers else None


def _idle(step: Step) -> bool:
    """Whether it is the Max that keeps a Softmax in float."""
    return step.op == "Max" and step.inputs[-1] == LOWEST


def _find_kernels(plan: Plan) -> None:
    dequantized = {step.outputs[0]: step for step in _of(plan, "DequantizeLinear")}
    for step in plan.steps:
        place = _KERNEL.get(step.op)
        source = None if place is None else dequantized.get(step.inputs[place])
        if source is None or source.inputs[0] not in plan.arrays:
            continue
        name, scale, zero_point = source.inputs
        if np.ptp(plan.arrays[zero_point]):
            continue
        axis, channels = source.attributes.get("axis", 1), _channels(step, plan.arrays[name].ndim)
        plan.kernels.setdefault(name, Kernel(scale, zero_point, axis, channels))
        added = dequantized.get(step.inputs[2]) if len(step.inputs) > 2 else None
        source_input = dequantized.get(step.inputs[0])
        if added is not None and source_input is not None and added.inputs[0] in plan.arrays:
            plan.biases.setdefault(added.inputs[0], Bias(added.inputs[1], source_input.inputs[1], name))


def _channels(step: Step, rank: int) -> int | None:
    """Return the axis of a kernel that counts the layer's outputs."""
    if step.op == "Conv" or (step.op == "Gemm" and step.attributes.get("transB")):
        return 0
    return None if step.op == "Gather" else rank - 1
