"""Use int8 weights with float activations: TFLite's hybrid kernels.

Activations are quantized at run time.
"""

from __future__ import annotations

from .builder import quantization
from .graph import Constant, Graph, Node


def fuse_dynamic(graph: Graph) -> None:
    """Fuse DynamicQuantizeLinear → MatMulInteger → Cast → Mul by both scales to one MatMul with a packed weight.

    So onnxruntime's quantizer writes a MatMul or Gemm.
    """
    users, makers = graph.users(), graph.makers()

    def only_user(node: Node, op: str) -> Node | None:
        after = users.get(node.output, [])
        return after[0] if len(after) == 1 and after[0].op == op and node.output not in graph.outputs else None

    for node in [node for node in graph.nodes if node.op == "MatMulInteger"]:
        source, weight = makers.get(node.inputs[0]), graph.constants.get(node.inputs[1])
        cast = only_user(node, "Cast")
        scaled = only_user(cast, "Mul") if cast else None
        scales = makers.get(next(name for name in scaled.inputs if name != cast.output)) if scaled and cast else None
        if not (
            source and source.op == "DynamicQuantizeLinear" and weight and scaled and scales and scales.op == "Mul"
        ):
            continue
        scale = next((graph.constants[name] for name in scales.inputs if name in graph.constants), None)
        zero_point = graph.constants.get(node.inputs[3]) if len(node.inputs) > 3 else None
        if source.outputs[1] not in scales.inputs or scale is None or weight.values.dtype != "int8":
            continue
        if weight.values.ndim != 2 or (zero_point is not None and zero_point.values.any()):
            continue
        steps = quantization(scale.real.ravel(), axis=1 if scale.values.size > 1 else 0)
        graph.constants[weight.name] = Constant(weight.name, weight.values, steps, packed=True)
        graph.dynamic.add(weight.name)
        merged = Node("MatMul", node.name, [source.inputs[0], weight.name], scaled.outputs, {})
        graph.nodes[graph.nodes.index(scaled)] = merged
