"""Advise what to change first in a model, by the largest possible saving.

Advice holds for this very file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from ...stages.quantize.summary import reason_for_float
from .layers import CONVERSIONS, Layer

MOST = 0.15
"""The share of the whole from which something is worth changing first."""
NAMED = 4
"""Operators that a sentence names, those that cost most."""
ACTIVATIONS = {
    "HardSwish", "HardSigmoid", "Sigmoid", "Erf", "Gelu", "FastGelu", "QuickGelu", "BiasGelu", "Tanh", "Elu", "Selu",
    "Celu", "Mish", "Softplus", "Swish", "HARD_SWISH", "LOGISTIC", "GELU", "TANH", "ELU",
}  # fmt: skip
"""What a ReLU may stand for, and costs less than."""
SUITED = {
    "Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "Sub", "Mul", "Relu", "Clip", "MaxPool", "AveragePool",
    "GlobalAveragePool", "Concat", "Resize", "Split", "Slice", "Gather", "Pad", "ReduceMean", "CONV_2D",
    "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "ADD", "SUB", "MUL", "RELU", "RELU6", "MAX_POOL_2D",
    "AVERAGE_POOL_2D", "MEAN", "CONCATENATION", "RESIZE_BILINEAR",
}  # fmt: skip
"""What has an int8 form in the runtimes."""
CHANNELS = {"Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"}
PRODUCTS = {"Gemm", "MatMul", "QGemm", "QLinearMatMul", "MatMulInteger", "FULLY_CONNECTED", "BATCH_MATMUL"}


def advice(
    layers: Sequence[Layer],
    cost: Callable[[Layer], float],
    total: float,
    notes: dict[str, Any] | None = None,
    prunes: bool = False,
) -> list[str]:
    """Return a sentence for each part that takes more than `MOST` of `total`, the largest first.

    `notes` are those of the stage that made the file, if a recipe did, and `prunes` is whether it prunes.
    """
    savings = list(_all(layers, cost, total, notes or {}))
    if savings:
        return [words for _, words in sorted(savings, reverse=True)]
    channels = sum(cost(layer) for layer in layers if layer.op in CHANNELS) > total / 2
    prune = f"; so does {'a higher ratio of ' * prunes}`prune.channels`" if channels else ""
    return [f"no part takes more than {MOST:.0%}: a smaller student takes from all{prune}"]


def _all(
    layers: Sequence[Layer], cost: Callable[[Layer], float], total: float, notes: dict[str, Any]
) -> Iterator[tuple[float, str]]:
    def over(some: Iterable[Layer]) -> tuple[float, str] | None:
        """Return share and operators of some layers, if they take enough."""
        taken = list(some)
        share = sum(map(cost, taken)) / total
        return (share, named(taken)) if share > MOST else None

    def named(some: Sequence[Layer]) -> str:
        ops = list(dict.fromkeys(layer.op for layer in sorted(some, key=cost, reverse=True) if cost(layer)))
        return ", ".join([*ops[:NAMED], *["…"] * (len(ops) > NAMED)])

    real = [layer for layer in layers if layer.real]
    integers = any(layer.holds == "integers" for layer in layers)
    if most := over(layer for layer in layers if layer.op in CONVERSIONS):
        share, ops = most
        between = named(real)
        help = (
            f"between int8 and what computes in float: {between}"
            if between and integers
            else "at the ends of the file: with the preset `integer-only` it takes and gives integers"
            if integers
            else "and nothing computes in int8 here"
        )
        yield share, f"{share:.0%} goes into {ops}, {help}"
    if most := over(layer for layer in layers if layer.op in ("Transpose", "TRANSPOSE")):
        share, ops = most
        yield share, f"{share:.0%} goes into {ops}, which computes nothing: a network that keeps one layout needs less"
    if most := over(layer for layer in layers if layer.op in ACTIVATIONS and layer.activates):
        share, ops = most
        form = ", and has an int8 form" * integers
        yield share, f"{share:.0%} is in {ops}: ReLU or ReLU6 costs less{form}"
    if integers and (most := over(layer for layer in real if layer.op in SUITED)):
        share, ops = most
        yield share, f"{share:.0%} computes in float though it has an int8 form, {ops}: {reason_for_float(notes)}"
    if integers and (most := over(layer for layer in real if layer.op not in SUITED | ACTIVATIONS)):
        share, ops = most
        yield share, f"{share:.0%} computes in float, {ops}: a network with fewer of these gains more from int8"
    parts: dict[str, list[Layer]] = defaultdict(list)
    for layer in layers:
        if not layer.moves:
            parts[layer.part].append(layer)
    name, largest = max(parts.items(), key=lambda part: sum(map(cost, part[1])), default=("", []))
    if most := over(largest):
        share, _ = most
        yield share, f"{share:.0%} is in `{name}`: {_smaller(max(largest, key=cost))} saves that much at most"


def _smaller(layer: Layer) -> str:
    if layer.op in CHANNELS and layer.bytes:
        return "fewer channels there (`prune.channels`), or a student without it,"
    if layer.op in PRODUCTS and layer.bytes:
        return "a narrower layer there, or a student without it,"
    return f"a network without this {layer.op}, or with less to give to it,"
