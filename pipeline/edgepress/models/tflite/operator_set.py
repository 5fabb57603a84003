"""Refuse the operators that the TFLite writer does not have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ...core.errors import Problem, UserError

if TYPE_CHECKING:
    import onnx

_BAG = "write `nn.EmbeddingBag` as `nn.Embedding` and a mean over the tokens"
_FLOAT = "convert the float model, or one that `quantize.static` made of it"
_FIXED = "end the graph before it: a file of fixed shapes has no result of as many rows as are found in an example"
_INSTEAD = {
    **dict.fromkeys(("Loop", "SequenceEmpty", "ConcatFromSequence"), _BAG),
    **dict.fromkeys(("ConvInteger", "QLinearConv", "QLinearMatMul"), _FLOAT),
    **dict.fromkeys(("Compress", "NonMaxSuppression", "NonZero", "Unique"), _FIXED),
}
"""What to do about operators that people are likely to meet; torch exports an EmbeddingBag as a loop."""
_STANDARD = ("", "ai.onnx")
_LIKE_STANDARD = ("DequantizeLinear", "Gelu", "QuantizeLinear")
"""Operators of `com.microsoft` that are those of ONNX: onnxruntime had them first."""


def missing(node: onnx.NodeProto) -> tuple[str, str] | None:
    """Return why a node's operator is not in the set, and the next act; None where it is."""
    from .ops.table import OPERATORS

    if node.domain not in _STANDARD and not (node.domain == "com.microsoft" and node.op_type in _LIKE_STANDARD):
        help = _FLOAT if node.op_type.startswith("QLinear") else "export it with operators of ONNX alone"
        return f"the domain `{node.domain}` is not in the TFLite writer's set", help
    if node.op_type in OPERATORS or node.op_type == "Constant":
        return None
    others = f"the set is {', '.join(OPERATORS)}; the package `litert-torch` converts others, from PyTorch"
    return "the operator is not in the TFLite writer's set", _INSTEAD.get(node.op_type, others)


def require(nodes: Iterable[onnx.NodeProto]) -> None:
    """Raise UserError with every operator outside the set at once, each with its first node."""
    absent = [(node, why) for node in nodes if (why := missing(node))]
    counts = Counter((node.domain, node.op_type) for node, _ in absent)
    first = {(node.domain, node.op_type): (node, why) for node, why in reversed(absent)}
    if absent:
        raise UserError(
            Problem(
                f"cannot convert node `{node.name or node.output[0]}` ({node.op_type}): {why} ({count} in this model)",
                help,
            )
            for kind, count in counts.items()
            for node, (why, help) in [first[kind]]
        )
